"""What a program or a person can meet has a place in the reference: commands, settings, operations, errors, metrics."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from workflow_manager.api.app import document
from workflow_manager.api.errors import status_of
from workflow_manager.cli.app import COMMANDS
from workflow_manager.model.errors import WfmError
from workflow_manager.settings import ClientSettings, Settings, options

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
SOURCES = ROOT / "src" / "workflow_manager"
OTHER_CONSTANTS = {"TIMED_OUT", "LOAD_AND_FLATTEN", "FIRST_ROW", "ATHENA_DATA", "PENDING_REDRIVE", "NOT_REDRIVABLE"}
"""Of the API and of the language, in capitals as codes of diagnostics are."""


def page(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def rows(text: str) -> dict[str, str]:
    """The first cell of each row of a page's tables, without backticks -> the row."""
    return {
        first.strip().strip("`"): line
        for line in text.splitlines()
        if line.startswith("| ") and (first := line.split("|")[1])
    }


def named_in_source(pattern: str, *folders: str) -> set[str]:
    return {
        found
        for folder in folders
        for file in (SOURCES / folder).rglob("*.py")
        for found in re.findall(pattern, file.read_text(encoding="utf-8"))
    }


def every_error(kind: type[WfmError] = WfmError) -> set[type[WfmError]]:
    """All kinds that the API tells of; those of applications (sdk) are there once a test has imported them."""
    kinds = {kind}.union(*(every_error(each) for each in kind.__subclasses__()))
    return {each for each in kinds if not each.__module__.startswith("workflow_manager.sdk.")}


@pytest.mark.parametrize("kind", sorted(every_error(), key=lambda each: each.__name__), ids=lambda each: each.__name__)
def test_every_code_of_the_api_is_described_with_its_status(kind: type[WfmError]) -> None:
    row = rows(page("errors.md"))[kind.code]

    assert row.split("|")[2].strip() == str(status_of(kind.__new__(kind)))


def test_every_code_of_a_diagnostic_is_described() -> None:
    codes = named_in_source(r'"([A-Z]{3,}(?:_[A-Z]+)+)"', "asl", "manager") - OTHER_CONSTANTS

    assert len(codes) >= 10
    assert codes <= rows(page("errors.md")).keys()


def test_every_error_of_an_execution_is_described() -> None:
    errors = named_in_source(r'"(States\.[A-Z]\w+(?:\.[A-Z]\w+)*)"', "engine")

    assert len(errors) >= 10
    assert errors <= rows(page("errors.md")).keys()


def test_every_operation_of_the_api_is_described() -> None:
    text = page("api.md")

    for path, methods in document()["paths"].items():
        for method, operation in methods.items():
            assert f"### {operation['operationId']}\n\n`{method.upper()} {path}`\n" in text


def test_every_command_is_described() -> None:
    text = page("cli.md")

    for command in COMMANDS:
        assert f"\n## wfm {command}\n" in text


@pytest.mark.parametrize("kind", [Settings, ClientSettings])
def test_every_setting_is_described(kind: type[Settings | ClientSettings]) -> None:
    described = rows(page("configuration.md"))

    for option in options(kind).values():
        assert option.name in described


def test_every_metric_is_described() -> None:
    metrics = named_in_source(r'"(wfm_\w+)"', "")

    assert metrics
    written = "".join(file.read_text(encoding="utf-8") for file in DOCS.rglob("*.md"))
    for metric in metrics:
        assert metric in written, metric
