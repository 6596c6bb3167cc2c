"""Every block of the README and the documentation does what its page says."""

from __future__ import annotations

import ast
import configparser
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from blocks import Block, blocks, commands
from server_process import ServerProcess, free_port
from shown import is_shown
from terminal import Terminal
from typer.main import get_command

from workflow_manager.cli.app import COMMANDS, app
from workflow_manager.cli.main import run as wfm
from workflow_manager.engine.mocks import parse_mocks
from workflow_manager.settings import ClientSettings, Settings, SettingsError, load

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    page.relative_to(ROOT)
    for found in ("README.md", "CONTRIBUTING.md", "docs/**/*.md", "clients/*/README.md")
    for page in ROOT.glob(found)
)
BESIDE = ("clients", "deploy", "examples")
"""Folders of the project that commands name, as they are run in it."""
_NOT_EVERYWHERE = re.compile(r"(?:^|[|(] *)(jq|curl|aws)\b", re.MULTILINE)
"""Programs that pages use and that a machine may lack: there, what names them is looked at only."""
_PLACEHOLDER = re.compile(r"<[A-Za-z][\w ./-]*>")
"""What the reader fills in."""

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """For all pages that do not start one themselves."""
    arguments = ("--region", "eu-west-1", "--account-id", "123456789012")  # it plays Step Functions of AWS, too
    with ServerProcess(tmp_path_factory.mktemp("server") / "data", *arguments) as running:
        yield running


@pytest.fixture
def page_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "page"
    folder.mkdir()
    for name in BESIDE:
        (folder / name).symlink_to(ROOT / name)
    return folder


def environment(folder: Path, port: int) -> dict[str, str]:
    """Nothing of whoever runs the tests, but where programs are."""
    return {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(folder),
        "LANG": "C.UTF-8",
        "NO_COLOR": "1",
        "TERM": "xterm",
        "TZ": "UTC",
        "WFM_PORT": str(port),
        "WFM_SERVER": f"http://127.0.0.1:{port}",
        "PYTHONDONTWRITEBYTECODE": "1",
        **{name: os.environ[name] for name in ("COVERAGE_PROCESS_START",) if name in os.environ},
    }


def runs(block: Block) -> bool:
    return "not run" not in block.marks and "excerpt of" not in block.marks


def starts_a_server(page: Path) -> bool:
    return any(
        command.text.split("#")[0].strip().find("wfm serve") >= 0 and "--help" not in command.text
        for block in blocks(ROOT / page)
        if block.language == "console" and runs(block)
        for command in commands(block)
    )


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_every_block_does_what_the_page_says(
    page: Path, page_folder: Path, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    found = list(blocks(ROOT / page))
    if not any(block.language in {"console", "python", "sh", "bash"} and runs(block) for block in found):
        for block in found:
            check(block, None, page_folder, capsys)
        return
    shared = request.getfixturevalue("server")
    port = free_port() if starts_a_server(page) else shared.port
    stand_ins = {"STAND_IN_FOR_SFN": shared.url}
    if "STAND_IN_FOR_AWS" in (ROOT / page).read_text(encoding="utf-8"):
        stand_ins["STAND_IN_FOR_AWS"] = request.getfixturevalue("moto_url")
    terminal = Terminal(page_folder, port, environment(page_folder, port) | stand_ins)
    try:
        for block in found:
            check(block, terminal, page_folder, capsys)
    finally:
        terminal.close()


def check(block: Block, terminal: Terminal | None, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Run the block, or look at it; save it if the reader does."""
    if path := block.marks.get("excerpt of"):
        stands_in(block, ROOT / path)
        return
    if block.title and runs(block):
        saved = folder / block.title if terminal is None else terminal.save(block.title, block.text)
        saved.parent.mkdir(parents=True, exist_ok=True)
        if terminal is None:
            saved.write_text(block.text + "\n")
    match block.language:
        case "console" if runs(block):
            assert terminal is not None
            run_commands(block, terminal)
        case "console":
            for command in commands(block):
                has_shell_syntax(block, command.text)
                names_what_there_is(block, command.text)
        case "sh" | "bash" if runs(block) and not block.title:
            assert terminal is not None
            run(block, block.line, block.text, "", terminal)
        case "sh" | "bash":
            has_shell_syntax(block, block.text)
            for line in block.text.replace("\\\n", " ").splitlines():
                names_what_there_is(block, line)
        case "python" if runs(block) and not block.title:
            assert terminal is not None
            status, printed = terminal.python(str(block.page), block.line, block.text)
            assert status == 0, f"{block.place}:\n{printed}"
        case "python":
            ast.parse(block.text, block.place)
        case "json":
            is_valid(block, [json.loads(block.text)], folder, capsys)
        case "yaml":
            is_valid(block, list(yaml.safe_load_all(block.text)), folder, capsys)
        case "toml":
            has_known_settings(block, folder)
        case "dockerfile":
            assert block.text.startswith(("FROM ", "ARG ")), f"{block.place}: an image is made from one"
        case "ini":
            is_a_unit(block)
        case "text" | "":
            pass
        case other:
            pytest.fail(f"{block.place}: nothing here knows how to run {other!r}")


def run_commands(block: Block, terminal: Terminal) -> None:
    *others, last = commands(block)
    for command in others:
        run(block, command.line, command.text, command.output, terminal)
    run(block, last.line, last.text, last.output, terminal, int(block.marks.get("exits", "0")))


def run(block: Block, line: int, text: str, shown: str, terminal: Terminal, expected: int = 0) -> None:
    if any(shutil.which(each) is None for each in re.findall(_NOT_EVERYWHERE, text)):
        has_shell_syntax(block, text)
        return
    status, printed = terminal.run(text)
    place = f"{block.page}:{line}: $ {text}"
    assert status == expected, f"{place}\nended with {status}, not {expected}:\n{printed}"
    assert "Traceback (most recent call last)" not in printed, f"{place}\n{printed}"
    if shown:
        assert is_shown(shown, printed), f"{place}\nshows\n{shown}\nand printed\n{printed}"


def stands_in(block: Block, file: Path) -> None:
    """Every line, in its order; blank ones do not count."""
    rest = iter(line.strip() for line in file.read_text(encoding="utf-8").splitlines())
    for line in (each.strip() for each in block.text.splitlines() if each.strip()):
        assert line in rest, f"{block.place}: {line!r} does not stand in {file}, or stands elsewhere"


def has_shell_syntax(block: Block, text: str) -> None:
    filled = _PLACEHOLDER.sub("FILLED", text)
    checked = subprocess.run(["bash", "-n"], input=filled, text=True, capture_output=True, check=False)
    assert checked.returncode == 0, f"{block.place}: {checked.stderr}"


def names_what_there_is(block: Block, command: str) -> None:
    """Of a command that is not run: ``wfm`` has the command and its options, the Makefile the target."""
    for part in re.split(r"[|;]|&&", re.sub(r"\s#\s.*", "", command)):
        words = [word for word in _PLACEHOLDER.sub("FILLED", part).split() if not re.match(r"\w+=", word)]
        if words[:1] == ["if"]:
            del words[0]
        if words[:1] == ["make"] and len(words) > 1:
            assert re.search(rf"^{re.escape(words[1])}:", (ROOT / "Makefile").read_text(), re.MULTILINE), (
                f"{block.place}: {command}"
            )
        if words[:1] == ["wfm"] and len(words) > 1:
            assert words[1] in COMMANDS, f"{block.place}: there is no wfm {words[1]}"
            ours = words[2 : words.index("--")] if "--" in words else words[2:]
            given = {word.split("=")[0] for word in ours if word.startswith("-") and word != "-"}
            assert given <= options_of(words[1]), f"{block.place}: wfm {words[1]} has no {given - options_of(words[1])}"


@cache
def options_of(command: str) -> frozenset[str]:
    made: Any = get_command(app).commands[command]  # type: ignore[attr-defined]
    return frozenset(name for option in made.params for name in (*option.opts, *option.secondary_opts))


def is_valid(block: Block, documents: list[object], folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """State machines and workflow definitions are; of other documents it is enough that they can be read."""
    for number, document in enumerate(documents):
        if isinstance(document, dict) and "apiVersion" in document:  # Kubernetes
            assert document["kind"], block.place
            assert document["metadata"]["name"], block.place
            assert document.keys() & {"spec", "data", "stringData", "rules"}, block.place
        if isinstance(document, dict) and "MockedResponses" in document:
            parse_mocks(json.dumps(document))
        if not isinstance(document, dict) or not {"stateMachine", "States"} & document.keys():
            continue
        file = folder / f"checked-{block.line}-{number}.yaml"
        file.write_text(block.text if len(documents) == 1 else yaml.safe_dump(document))
        status = wfm(["validate", str(file)])
        said = capsys.readouterr()
        assert status == 0, f"{block.place}:\n{said.out}{said.err}"


def is_a_unit(block: Block) -> None:
    """A service of systemd."""
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string(block.text)
    assert {"Unit", "Service", "Install"} >= set(unit.sections()), block.place
    assert unit["Service"]["ExecStart"].startswith("/"), f"{block.place}: systemd wants the whole path"


def has_known_settings(block: Block, folder: Path) -> None:
    """A settings file: what it says, the server or a command takes."""
    tomllib.loads(block.text)
    file = folder / f"checked-{block.line}.toml"
    file.write_text(block.text)
    for kind in (Settings, ClientSettings):
        try:
            load(kind, environ={}, file=file)
        except SettingsError as error:
            pytest.fail(f"{block.place}: {error}")
