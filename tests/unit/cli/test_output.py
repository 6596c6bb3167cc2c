"""What commands print for programs, and how times are shown."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime, timedelta

import pytest
import yaml
from rich.console import Console

from workflow_manager.cli.output import Output
from workflow_manager.cli.times import Times
from workflow_manager.cli.views import workflows_table
from workflow_manager.model import UNSET_TIME, Workflow, WorkflowDefinition

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)


def workflow(id_: str, **fields: object) -> Workflow:
    definition = WorkflowDefinition(id="i", name="d,1", version=2, created_at=NOW, state_machine=None)
    return Workflow(id=id_, created_at=NOW, last_updated=NOW, workflow_definition=definition, **fields)


def test_json_lines(capsys: pytest.CaptureFixture[str]) -> None:
    output = Output("json")
    output.line({"a": [1]})
    output.line({"b": "é"})

    assert output.structured
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == [{"a": [1]}, {"b": "é"}]


def test_yaml_documents(capsys: pytest.CaptureFixture[str]) -> None:
    output = Output("yaml")
    output.line({"a": [1], "b": "yes"})
    output.line(workflow("w"))

    one, other = yaml.safe_load_all(capsys.readouterr().out)
    assert one == {"a": [1], "b": "yes"}
    assert (other["id"], other["workflowDefinition"]["name"]) == ("w", "d,1")


def test_csv_rows(capsys: pytest.CaptureFixture[str]) -> None:
    output = Output("csv")
    output.line(workflow("w", tags={"k": "v"}, input='{"a": "x\ny"}'))
    output.line(workflow("v"))

    one, other = csv.DictReader(io.StringIO(capsys.readouterr().out))
    assert (one["id"], one["workflowDefinition.name"], one["workflowDefinition.version"]) == ("w", "d,1", "2")
    assert (json.loads(one["tags"]), one["input"]) == ({"k": "v"}, '{"a": "x\ny"}')
    assert (other["id"], json.loads(other["tags"])) == ("v", {})


def test_csv_columns_are_those_of_the_first_row(capsys: pytest.CaptureFixture[str]) -> None:
    output = Output("csv")
    output.line({"a": 1, "b": 2})
    output.line({"b": 3, "c": 4})

    assert capsys.readouterr().out == "a,b\n1,2\n,3\n"


@pytest.mark.parametrize(
    ("style", "shown"),
    [
        ("relative", "2 h ago"),
        ("absolute", f"{(NOW - timedelta(hours=2)).astimezone():%Y-%m-%d %H:%M:%S}"),
        ("both", f"{(NOW - timedelta(hours=2)).astimezone():%Y-%m-%d %H:%M:%S} (2 h ago)"),
    ],
)
def test_times(style: str, shown: str) -> None:
    times = Times(style, NOW)

    assert times.when(NOW - timedelta(hours=2)) == shown
    assert times.when(UNSET_TIME) == ""


@pytest.mark.parametrize(
    ("width", "headers"),
    [
        (80, ["ID", "STATUS", "DEFINITION", "NAMESPACE", "CREATED"]),
        (120, ["ID", "STATUS", "DEFINITION", "NAMESPACE", "QUEUE", "CREATED", "TOOK"]),
    ],
)
def test_a_list_of_workflows_can_be_read_on_a_narrow_terminal(width: int, headers: list[str]) -> None:
    id_ = "488c25b9-f94b-4397-a568-462f25bd66de"
    console = Console(width=width, record=True, file=io.StringIO())

    console.print(workflows_table([workflow(id_, namespace="production")], Times("relative", NOW), width))

    header, first, *_ = console.export_text().splitlines()
    assert header.split() == headers
    assert first.split()[:2] == [id_, "queued"]
