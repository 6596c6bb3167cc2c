"""Write the OpenAPI document, and from it the Go and TypeScript clients; ``--check`` says whether they are stale.

Needs go and npm. oapi-codegen and @hey-api/openapi-ts are kept up, take operations' names as they are, and leave a client of one
file or folder with nothing to install beside it.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from workflow_manager.api.app import document as openapi_document

ROOT = Path(__file__).parents[1] / "clients"
DOCUMENT = ROOT / "openapi.json"
GO = ROOT / "go"
TYPESCRIPT = ROOT / "typescript"
OAPI_CODEGEN = "github.com/oapi-codegen/oapi-codegen/v2/cmd/oapi-codegen@v2.8.2"
LINK = re.compile(r"\{@link https?://\S+ (`[^`]+`)\}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; end with 1 if something is stale")
    options = parser.parse_args()
    for tool, kind in (("go", "Go 1.26 or later"), ("npm", "Node.js 20.19 or later")):
        if shutil.which(tool) is None:
            sys.exit(f"{tool} is not there: install {kind}")
    document = openapi_document()
    stale = []
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder)
        write(made / "openapi.json", document)
        generate_go(document, made)
        generate_typescript(made)
        for new, old in outputs(made):
            if not same(new, old):
                stale.append(old)
                if not options.check:
                    shutil.rmtree(old) if old.is_dir() else old.unlink(missing_ok=True)
                    (shutil.copytree if new.is_dir() else shutil.copyfile)(new, old)
    if options.check and stale:
        sys.exit(f"stale: {', '.join(str(each.relative_to(ROOT.parent)) for each in stale)}; run make generate")


def outputs(made: Path) -> list[tuple[Path, Path]]:
    return [
        (made / "openapi.json", DOCUMENT),
        (made / "client.gen.go", GO / "client.gen.go"),
        (made / "generated", TYPESCRIPT / "src" / "generated"),
    ]


def same(one: Path, other: Path) -> bool:
    if one.is_file():
        return other.is_file() and one.read_bytes() == other.read_bytes()
    files = {each.relative_to(one) for each in one.rglob("*") if each.is_file()}
    theirs = {each.relative_to(other) for each in other.rglob("*") if each.is_file()}
    return files == theirs and all(same(one / each, other / each) for each in files)


def generate_go(document: dict[str, Any], made: Path) -> None:
    """oapi-codegen reads OpenAPI 3.0."""
    write(made / "openapi-3.0.json", as_3_0(document))
    run(
        [
            *("go", "run", OAPI_CODEGEN),
            *("-config", str(GO / "oapi-codegen.yaml"), "-o", str(made / "client.gen.go")),
            str(made / "openapi-3.0.json"),
        ],
        GO,
    )
    run(["gofmt", "-w", str(made / "client.gen.go")], GO)


def generate_typescript(made: Path) -> None:
    if not (TYPESCRIPT / "node_modules").exists():
        run(["npm", "ci", "--silent", "--no-audit", "--no-fund"], TYPESCRIPT)
    paths = {"OPENAPI": str(made / "openapi.json"), "OUTPUT": str(made / "generated")}
    run(["npx", "--no-install", "openapi-ts", "--silent"], TYPESCRIPT, paths)
    for file in (made / "generated").rglob("*.ts"):  # its own advertisement is not ours
        file.write_text(LINK.sub(r"\1", file.read_text(encoding="utf-8")), encoding="utf-8")


def as_3_0(value: Any) -> Any:
    """A document of OpenAPI 3.1 as 3.0 says the same: null is ``nullable``, of several examples there is one."""
    if isinstance(value, list):
        return [as_3_0(each) for each in value]
    if not isinstance(value, dict):
        return value
    converted = {name: as_3_0(each) for name, each in value.items() if name not in ("propertyNames", "identifier")}
    if isinstance(value.get("openapi"), str):
        converted["openapi"] = "3.0.3"
    match converted.get("anyOf"):
        case [kind, {"type": "null"}]:
            del converted["anyOf"]
            converted |= {"allOf": [kind]} if "$ref" in kind else kind
            converted["nullable"] = True
    if isinstance(examples := converted.get("examples"), list):
        del converted["examples"]
        if examples and "$ref" not in converted:
            converted.setdefault("example", examples[0])
    return converted


def write(path: Path, document: Any) -> None:
    path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def run(command: list[str], folder: Path, variables: dict[str, str] | None = None) -> None:
    environment = os.environ | (variables or {})
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command[:3])} failed:\n{done.stdout}{done.stderr}")


if __name__ == "__main__":
    main()
