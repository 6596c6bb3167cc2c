"""What AWS was recorded to send: its events and its log lines, put back into the form that they travel in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from workflow_manager.stepfunctions.events import heard

CASES = Path(__file__).parents[2] / "conformance" / "data" / "cases"
EXECUTION = "arn:aws:states:us-east-1:111111111111:execution:m:e"
MACHINE = "arn:aws:states:us-east-1:111111111111:stateMachine:m"
FINAL = {"ExecutionSucceeded": "SUCCEEDED", "ExecutionFailed": "FAILED"}


def recorded(case: Path, key: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(case.read_text())["expected"].get(key, [])
    return found


def as_text(value: Any) -> Any:
    """Payloads travel as text; the recordings show what it says."""
    return value if value is None or isinstance(value, str) else json.dumps(value)


def log_line(event: dict[str, Any]) -> str:
    details = {
        name: value if name.endswith("Details") else as_text(value) for name, value in event.get("details", {}).items()
    }
    return json.dumps({**event, "details": details, "event_timestamp": "1718026719122", "execution_arn": EXECUTION})


LOGS = sorted(case for case in CASES.glob("logs.*.json") if recorded(case, "logged_execution_events"))


@pytest.mark.parametrize("case", LOGS, ids=lambda case: case.stem)
def test_logs(case: Path) -> None:
    lines = recorded(case, "logged_execution_events")
    record = {"messageType": "DATA_MESSAGE", "logEvents": [{"message": log_line(line)} for line in lines]}

    told = heard(json.dumps(record))

    expected = ["RUNNING"] if any(line["id"] == "2" for line in lines) else []
    expected += [FINAL[line["type"]] for line in lines if line["type"] in FINAL]
    assert expected
    assert (told.ignored, told.unreadable) == ((), "")
    assert [change.status for change in told.changes] == expected
    for change in told.changes:
        assert (change.execution_arn, change.state_machine_arn, change.name) == (EXECUTION, MACHINE, "e")
        if change.status == "SUCCEEDED":  # a log without execution data does not say what came out
            assert change.complete == ("output" in lines[-1]["details"])
        if change.status == "FAILED":  # why it failed is in the log in any case
            assert (change.error, change.complete) == (lines[-1]["details"]["error"], True)


def test_there_are_recorded_logs() -> None:
    assert len(LOGS) >= 5


def test_events() -> None:
    told = []
    for event in recorded(CASES / "base.base__test_event_bridge_events_base.json", "stepfunctions_events"):
        detail = {
            **{name: as_text(value) for name, value in event["detail"].items()},
            "inputDetails": event["detail"]["inputDetails"],
            "outputDetails": event["detail"]["outputDetails"],
            "executionArn": EXECUTION,
            "stateMachineArn": MACHINE,
            "name": "e",
            "startDate": 1718026719122,
            "stopDate": None if event["detail"]["status"] == "RUNNING" else 1718026719900,
        }
        told.append(heard(json.dumps({**event, "detail": detail})))

    running, succeeded = (change for each in told for change in each.changes)
    assert (running.status, running.start_date, running.complete) == ("RUNNING", 1718026719.122, True)
    assert (succeeded.status, succeeded.output, succeeded.complete) == ("SUCCEEDED", '{"Arg1": "argument1"}', True)
    assert succeeded.stop_date == 1718026719.9
