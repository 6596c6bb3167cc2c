"""Write docs/api.md, the reference of the HTTP API, from its OpenAPI document; ``--check`` says whether it is stale."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from workflow_manager.api.app import document

PAGE = Path(__file__).parents[1] / "docs" / "api.md"
HEAD = """\
# HTTP API

<!-- Written by `make generate` from the OpenAPI document; do not edit. -->

A server has this page's source as OpenAPI 3.1 at `/openapi.json`, and to try it out at `/docs`. Clients for Python, Go and
TypeScript are described in [clients](clients.md).

Requests and answers are JSON. Every error has a body with a stable `code` and a `message`; any request can meet 400, 500 and 503.
Times are RFC 3339 with three decimals; one that has not come is `0001-01-01T00:00:00.000Z`. `input` and `output` are texts that
hold JSON.

"""


def main() -> None:
    text = page(document())
    if "--check" in sys.argv[1:]:
        if not PAGE.is_file() or PAGE.read_text(encoding="utf-8") != text:
            sys.exit("stale: docs/api.md; run make generate")
    else:
        PAGE.write_text(text, encoding="utf-8")


def page(api: dict[str, Any]) -> str:
    schemas = api["components"]["schemas"]
    return HEAD + "\n".join((*_contents(api), *_operations(api), *_schemas(schemas))).rstrip() + "\n"


def _by_tag(api: dict[str, Any]) -> Iterator[tuple[dict[str, Any], list[tuple[str, str, dict[str, Any]]]]]:
    for tag in api["tags"]:
        yield (
            tag,
            [
                (method.upper(), path, operation)
                for path, methods in api["paths"].items()
                for method, operation in methods.items()
                if tag["name"] in operation["tags"]
            ],
        )


def _contents(api: dict[str, Any]) -> Iterator[str]:
    yield "| operation | request | |"
    yield "| --- | --- | --- |"
    for _, operations in _by_tag(api):
        for method, path, operation in operations:
            name = operation["operationId"]
            yield f"| [{name}](#{name.lower()}) | `{method} {path}` | {operation['summary']} |"
    yield ""


def _operations(api: dict[str, Any]) -> Iterator[str]:
    for tag, operations in _by_tag(api):
        yield f"## {tag['name']}\n\n{tag['description']}\n"
        for method, path, operation in operations:
            yield from _operation(method, path, operation)


def _operation(method: str, path: str, operation: dict[str, Any]) -> Iterator[str]:
    yield f"### {operation['operationId']}\n\n`{method} {path}`\n\n{operation['description']}\n"
    if parameters := operation.get("parameters"):
        yield "| parameter | in | type | |"
        yield "| --- | --- | --- | --- |"
        for each in parameters:
            yield f"| `{each['name']}` | {each['in']} | {_type(each['schema'])} | {_cell(each['description'])} |"
        yield ""
    if body := operation.get("requestBody"):
        content = body["content"]["application/json"]
        yield f"Body: {_type(content['schema'])}, for example\n"
        yield from _example(content["example"])
    yield "| status | answer | |"
    yield "| --- | --- | --- |"
    for status, answer in operation["responses"].items():
        kinds = [_type(each["schema"]) for each in answer.get("content", {}).values()]
        yield f"| {status} | {', '.join(kinds) or 'empty'} | {_cell(answer['description'])} |"
    yield ""


def _schemas(schemas: dict[str, Any]) -> Iterator[str]:
    yield "## Types\n"
    for name, schema in schemas.items():
        yield f"### {name}\n\n{schema.get('description', '')}\n"
        if properties := schema.get("properties"):
            required = schema.get("required", ())
            yield "| field | type | |"
            yield "| --- | --- | --- |"
            for field, each in properties.items():
                said = [each.get("description", ""), "" if field in required else "May be left out."]
                yield f"| `{field}` | {_type(each)} | {_cell(' '.join(part for part in said if part))} |"
            yield ""


def _type(schema: dict[str, Any]) -> str:
    if reference := schema.get("$ref"):
        name = reference.rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if options := schema.get("anyOf"):
        return " or ".join(_type(each) for each in options)
    match schema.get("type"):
        case "array":
            return f"list of {_type(schema['items'])}"
        case str(kind):
            return f"{kind} ({schema['format']})" if "format" in schema else kind
        case _:
            return "any JSON"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _example(value: Any) -> Iterator[str]:
    yield f"```json\n{json.dumps(value, indent=2, ensure_ascii=False)}\n```\n"


if __name__ == "__main__":
    main()
