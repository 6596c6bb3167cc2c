"""Counting the children of a Map Run, when it has failed, and what its results look like: tables."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflow_manager.engine.maps.map_run import MapRun, Phase, child_name, run_of
from workflow_manager.engine.maps.results import Child, entry, file_of, folder, manifest, redrive_of, texts

RUN_ID = "850411dc-61f5-47c8-bd6c-80814e01a10d"


def run(**fields: Any) -> MapRun:
    whole = {
        "id": 1,
        "execution": 1,
        "frame": 0,
        "event": 4,
        "machine": 1,
        "machine_name": "m",
        "execution_arn": "arn",
        "label": "l",
        "run_id": RUN_ID,
        "definition": 1,
        "role_arn": "role",
        "graph": 1,
        "state": "M",
        "entered_event": 2,
        "express": False,
        "start": 0.0,
    }
    return MapRun(**(whole | fields))


@pytest.mark.parametrize(
    ("count", "percentage", "failed", "all_read", "intolerable"),
    [
        pytest.param(None, None, 0, True, False, id="none has failed"),
        pytest.param(None, None, 1, False, True, id="without a threshold none may"),
        pytest.param(0, None, 1, False, True, id="a count of 0 tolerates none"),
        pytest.param(2, None, 2, True, False, id="as many as the count"),
        pytest.param(2, None, 3, False, True, id="more than the count, while items are still read"),
        pytest.param(None, 20, 2, True, False, id="as many as the percentage"),
        pytest.param(None, 20, 3, True, True, id="more than the percentage"),
        pytest.param(None, 20, 10, False, False, id="a percentage says nothing before all items are read"),
        pytest.param(None, 0.5, 1, True, True, id="a fraction of a percent"),
        pytest.param(None, 100, 10, True, False, id="all may fail"),
        pytest.param(5, 20, 3, True, True, id="either threshold: the percentage"),
        pytest.param(1, 50, 2, True, True, id="either threshold: the count"),
        pytest.param(2, 50, 2, True, False, id="neither threshold"),
    ],
)
def test_tolerated_failures(
    count: int | None, percentage: float | None, failed: int, all_read: bool, intolerable: bool
) -> None:
    """Ten items, each a child."""
    at = run(tolerated_count=count, tolerated_percentage=percentage, all_read=all_read)
    at.items.pending = at.executions.pending = 10
    for _ in range(failed):
        at.moved("pending", "running", 1)
        at.moved("running", "failed", 1)

    assert at.intolerable() is intolerable


def test_thresholds_count_items_and_every_way_not_to_succeed() -> None:
    at = run(tolerated_count=10, all_read=True)
    at.items.running, at.executions.running = 12, 3

    at.moved("running", "failed", 5)
    at.moved("running", "timed_out", 5)
    assert not at.intolerable()
    at.moved("running", "aborted", 2)
    assert at.intolerable()
    assert (at.items.total, at.executions.total) == (12, 3)


@pytest.mark.parametrize(
    ("most", "running", "room"),
    [
        pytest.param(0, 0, 1_000, id="no bound but the service's"),
        pytest.param(5, 0, 5, id="MaxConcurrency"),
        pytest.param(5, 3, 2, id="what is left of it"),
        pytest.param(5, 9, -4, id="it was lowered meanwhile"),
        pytest.param(2_000, 0, 1_000, id="more than the service's"),
    ],
)
def test_room(most: int, running: int, room: int) -> None:
    at = run(max_concurrency=most)
    at.executions.running = running

    assert at.room(1_000) == room


def test_the_first_reason_stands() -> None:
    at = run()
    at.fail("A", "a")
    at.fail("B", "b")

    assert (at.phase, at.status, at.error, at.cause) == (Phase.STOPPING, "FAILED", "A", "a")


@given(number=st.integers(1, 2**40), index=st.integers(0, 10**8))
def test_names_of_children_say_their_run_and_are_the_same_again(number: int, index: int) -> None:
    name = child_name(number, RUN_ID, index)

    assert name == child_name(number, RUN_ID, index) != child_name(number, RUN_ID, index + 1)
    assert run_of(name) == number
    assert [len(part) for part in name.split("-")] == [8, 4, 4, 4, 12]


@pytest.mark.parametrize("name", ["", "e", "x" * 36, "é" * 36])
def test_other_names_are_of_no_run(name: str) -> None:
    assert run_of(name) is None


SUCCEEDED = Child("n", "SUCCEEDED", '{"a":1}', "[1,2]", start=1_700_000_000.5, stop=1_700_000_001.0)
FAILED = Child("n", "FAILED", "1", None, "E", "why", 1_700_000_000.0, 1_700_000_002.0)


def test_a_child_as_result_files_describe_it() -> None:
    assert entry(SUCCEEDED, "arn:e", "arn:m") == {
        "ExecutionArn": "arn:e",
        "Input": '{"a":1}',
        "InputDetails": {"Included": True},
        "Name": "n",
        "Output": "[1,2]",
        "OutputDetails": {"Included": True},
        "RedriveCount": 0,
        "RedriveStatus": "NOT_REDRIVABLE",
        "RedriveStatusReason": "Execution is SUCCEEDED and cannot be redriven",
        "StartDate": "2023-11-14T22:13:20.500Z",
        "StateMachineArn": "arn:m",
        "Status": "SUCCEEDED",
        "StopDate": "2023-11-14T22:13:21.000Z",
    }
    failed = entry(FAILED, "arn:e", "arn:m")
    assert {key: failed[key] for key in ("Error", "Cause", "Status", "RedriveStatus")} == {
        "Error": "E",
        "Cause": "why",
        "Status": "FAILED",
        "RedriveStatus": "REDRIVABLE_BY_MAP_RUN",
    }
    assert entry(Child(None, "PENDING", "1"), "", "arn:m") == {
        "Input": "1",
        "InputDetails": {"Included": True},
        "StateMachineArn": "arn:m",
        "Status": "PENDING",
    }


@pytest.mark.parametrize(
    ("child", "transformation", "made"),
    [
        pytest.param(SUCCEEDED, "NONE", [{"described": 1}], id="described"),
        pytest.param(SUCCEEDED, "COMPACT", [[1, 2]], id="its output"),
        pytest.param(SUCCEEDED, "FLATTEN", [1, 2], id="what is in its output"),
        pytest.param(SUCCEEDED._replace(output="{}"), "FLATTEN", [{}], id="an output that is no array"),
        pytest.param(SUCCEEDED._replace(output="[]"), "FLATTEN", [], id="an empty array"),
        pytest.param(FAILED, "COMPACT", [{"described": 1}], id="one that failed is described"),
        pytest.param(FAILED, "FLATTEN", [{"described": 1}], id="whatever the transformation"),
    ],
)
def test_transformations(child: Child, transformation: str, made: list[Any]) -> None:
    assert [json.loads(text) for text in texts(child, {"described": 1}, transformation)] == made


def test_the_manifest_names_the_files_of_each_kind() -> None:
    text = manifest("b", "arn:run", {"SUCCEEDED": [{"Key": "p/SUCCEEDED_0.json", "Size": 3}]})

    assert json.loads(text) == {
        "DestinationBucket": "b",
        "MapRunArn": "arn:run",
        "ResultFiles": {"FAILED": [], "PENDING": [], "SUCCEEDED": [{"Key": "p/SUCCEEDED_0.json", "Size": 3}]},
    }
    assert [folder(prefix, "id") for prefix in ("p", "p/", "/p/q/", "", None)] == ["p/id", "p/id", "p/q/id", "id", "id"]


@pytest.mark.parametrize(
    ("status", "file", "redrive"),
    [
        ("SUCCEEDED", "SUCCEEDED", "NOT_REDRIVABLE"),
        ("FAILED", "FAILED", "REDRIVABLE_BY_MAP_RUN"),
        ("TIMED_OUT", "FAILED", "REDRIVABLE_BY_MAP_RUN"),
        ("ABORTED", "FAILED", "REDRIVABLE_BY_MAP_RUN"),
        ("PENDING", "PENDING", "NOT_REDRIVABLE"),
    ],
)
def test_statuses(status: str, file: str, redrive: str) -> None:
    assert file_of(status) == file
    assert redrive_of(status, express=False)[0] == redrive
    assert redrive_of(status, express=True)[0] == "NOT_REDRIVABLE"
