"""What AWS's messages about executions say, message by message; and that no message does harm."""

from __future__ import annotations

import base64
import gzip
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflow_manager.stepfunctions import events
from workflow_manager.stepfunctions.changes import StatusChange
from workflow_manager.stepfunctions.events import heard

MACHINE = "arn:aws:states:eu-west-1:123456789012:stateMachine:ns--d--0--echo"
EXECUTION = "arn:aws:states:eu-west-1:123456789012:execution:ns--d--0--echo:w1"
TOLD = StatusChange(
    execution_arn=EXECUTION, state_machine_arn=MACHINE, name="w1", status="RUNNING", start_date=1547148840.101
)


def event(status: str = "RUNNING", **detail: Any) -> dict[str, Any]:
    """An event as EventBridge delivers it."""
    return {
        "version": "0",
        "id": "315c1398-40ff-a850-213b-158f73e60175",
        "detail-type": "Step Functions Execution Status Change",
        "source": "aws.states",
        "account": "123456789012",
        "time": "2019-01-10T19:34:00Z",
        "region": "eu-west-1",
        "resources": [EXECUTION],
        "detail": {
            "executionArn": EXECUTION,
            "stateMachineArn": MACHINE,
            "name": "w1",
            "status": status,
            "startDate": 1547148840101,
            "stopDate": None if status == "RUNNING" else 1547148840122,
            "input": "{}",
            "inputDetails": {"included": True},
            "output": None,
            "outputDetails": None,
            "stateMachineVersionArn": None,
            "stateMachineAliasArn": None,
            "redriveCount": 0,
            "redriveDate": None,
            "error": None,
            "cause": None,
            **detail,
        },
    }


def without(told: dict[str, Any], *members: str) -> dict[str, Any]:
    return {**told, "detail": {name: value for name, value in told["detail"].items() if name not in members}}


def ended(status: Any, **fields: Any) -> dict[str, Any]:
    return {"status": status, "stop_date": 1547148840.122, **fields}


@pytest.mark.parametrize(
    ("message", "said"),
    [
        pytest.param(event(), {}, id="running"),
        pytest.param(
            event("SUCCEEDED", output='{"a":1}', outputDetails={"included": True}),
            ended("SUCCEEDED", output='{"a":1}'),
            id="succeeded",
        ),
        pytest.param(
            event("SUCCEEDED", output=None, outputDetails={"included": False}),
            ended("SUCCEEDED", complete=False),
            id="an output too large for an event",
        ),
        pytest.param(
            without(event("SUCCEEDED"), "output", "outputDetails"),
            ended("SUCCEEDED", complete=False),
            id="no output at all",
        ),
        pytest.param(event("FAILED", error="E", cause="why"), ended("FAILED", error="E", cause="why"), id="failed"),
        pytest.param(event("FAILED"), ended("FAILED"), id="failed without a reason"),
        pytest.param(
            without(event("FAILED"), "error", "cause"),
            ended("FAILED", complete=False),
            id="an event that knows no reasons, as they once were",
        ),
        pytest.param(event("TIMED_OUT"), ended("TIMED_OUT"), id="timed out"),
        pytest.param(event("ABORTED", cause="why"), ended("ABORTED", cause="why"), id="aborted"),
    ],
)
def test_an_event_of_eventbridge(message: dict[str, Any], said: dict[str, Any]) -> None:
    told = heard(json.dumps(message))

    assert told.ignored == ()
    assert told.unreadable == ""
    assert told.changes == (StatusChange(**{**fields(TOLD), **said}),)


def fields(change: StatusChange) -> dict[str, Any]:
    return {name: getattr(change, name) for name in change.__struct_fields__}


def logged(number: int | str, kind: str, execution_arn: str = EXECUTION, **details: Any) -> str:
    """A line that a state machine logs."""
    return json.dumps(
        {
            "id": str(number),
            "type": kind,
            "details": details,
            "previous_event_id": "0",
            "event_timestamp": "1547148840122",
            "execution_arn": execution_arn,
            "redrive_count": "0",
        }
    )


def record(*messages: str, kind: str = "DATA_MESSAGE") -> dict[str, Any]:
    """What a subscription delivers, before it is packed."""
    return {
        "messageType": kind,
        "owner": "123456789012",
        "logGroup": "/aws/vendedlogs/states/ns--d--0--echo",
        "logStream": "states/ns--d--0--echo/2019-01-10-19-34/1",
        "subscriptionFilters": ["workflow-manager"],
        "logEvents": [
            {"id": str(number), "timestamp": 1547148840122, "message": each} for number, each in enumerate(messages)
        ],
    }


def packed(told: Any) -> bytes:
    return gzip.compress(json.dumps(told).encode())


@pytest.mark.parametrize(
    ("message", "said"),
    [
        pytest.param(logged(1, "ExecutionStarted", input="{}"), None, id="event 1: it was asked for"),
        pytest.param(logged(2, "TaskStateEntered", name="echo"), {"status": "RUNNING"}, id="event 2: it runs"),
        pytest.param(logged(3, "ActivityScheduled"), None, id="event 3: it runs still"),
        pytest.param(
            logged(2, "ExecutionFailed", error="E"), ended("FAILED", error="E"), id="event 2 can be the end already"
        ),
        pytest.param(
            logged(9, "ExecutionSucceeded", output="1", outputDetails={"truncated": False}),
            ended("SUCCEEDED", output="1"),
            id="succeeded",
        ),
        pytest.param(
            logged(9, "ExecutionSucceeded", output="[1,2", outputDetails={"truncated": True}),
            ended("SUCCEEDED", output="[1,2", complete=False),
            id="an output that was cut",
        ),
        pytest.param(
            logged(9, "ExecutionSucceeded"), ended("SUCCEEDED", complete=False), id="logged without execution data"
        ),
        pytest.param(
            logged(9, "ExecutionFailed", error="E", cause="why"), ended("FAILED", error="E", cause="why"), id="failed"
        ),
        pytest.param(logged(9, "ExecutionFailed"), ended("FAILED", complete=False), id="failed, it does not say why"),
        pytest.param(logged(9, "ExecutionTimedOut"), ended("TIMED_OUT"), id="timed out"),
        pytest.param(logged(9, "ExecutionAborted", cause="why"), ended("ABORTED", cause="why"), id="aborted"),
        pytest.param(logged(9, "ExecutionRedriven"), None, id="what ended goes on: the status that was final stays"),
    ],
)
def test_a_record_of_logs(message: str, said: dict[str, Any] | None) -> None:
    told = heard(packed(record(message)))

    assert told.ignored == ()
    assert told.unreadable == ""
    start = 1547148840.122 if said == {"status": "RUNNING"} else None
    assert told.changes == (() if said is None else (StatusChange(**{**fields(TOLD), "start_date": start, **said}),))


@pytest.mark.parametrize("carried", [bytes, base64.b64encode, lambda each: base64.b64encode(each).decode() + "\n"])
def test_a_record_comes_as_it_is_or_as_text(carried: Any) -> None:
    message = carried(packed(record(logged(2, "TaskStateEntered"), logged(7, "ExecutionSucceeded", output="1"))))

    assert [change.status for change in heard(message).changes] == ["RUNNING", "SUCCEEDED"]


def test_cloudwatch_tries_whether_records_arrive() -> None:
    assert heard(packed(record("CWL CONTROL MESSAGE: Checking health.", kind="CONTROL_MESSAGE"))) == events.Heard()


def test_a_line_that_is_none_keeps_nothing_from_the_others() -> None:
    child = "arn:aws:states:eu-west-1:123456789012:execution:ns--d--0--echo/map:5f2e"
    told = heard(
        packed(
            record(
                "not json",
                "[" * 100_000,
                logged("x", "TaskStateEntered"),
                logged(2, "TaskStateEntered", child),
                logged(2, "TaskStateEntered", "arn:aws:s3:::bucket"),
                logged(9, "ExecutionSucceeded", output="1"),
            )
        )
    )

    assert [change.status for change in told.changes] == ["SUCCEEDED"]
    assert len(told.ignored) == 5


@pytest.mark.parametrize(
    "message",
    [
        pytest.param({"detail-type": "EC2 Instance State-change Notification", "detail": {}}, id="of another service"),
        pytest.param(
            event(executionArn="arn:aws:states:eu-west-1:123456789012:execution:m/map:c", name="c"), id="a Map's child"
        ),
        pytest.param(
            event(executionArn="arn:aws:states:eu-west-1:123456789012:express:m:c:1", name="c"),
            id="an Express execution",
        ),
    ],
)
def test_what_is_nothing_to_us(message: dict[str, Any]) -> None:
    told = heard(json.dumps(message))

    assert told.changes == ()
    assert len(told.ignored) == 1
    assert told.unreadable == ""


@pytest.mark.parametrize(
    "message",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"garbage", id="garbage"),
        pytest.param(b"\xff\xfe", id="no text"),
        pytest.param("é", id="not ASCII"),
        pytest.param(b"{}", id="an object without a kind"),
        pytest.param(b"[]", id="no object"),
        pytest.param(b'{"detail-type":' * 5000, id="deep"),
        pytest.param(packed(record())[:-9], id="gzip that ends early"),
        pytest.param(gzip.compress(b"x")[:12] + b"\0" * 8, id="damaged gzip"),
        pytest.param(gzip.compress(b" " * (events.LARGEST_MESSAGE_BYTES + 1)), id="gzip of far too much"),
        pytest.param(b"1", id="a number"),
        pytest.param(json.dumps(event("SLEEPING")), id="no such status"),
        pytest.param(json.dumps(event(name="other")), id="two names"),
        pytest.param(json.dumps(event(startDate=1e30)), id="a time that no calendar has"),
        pytest.param(json.dumps(event(output=1)), id="an output that is no text"),
        pytest.param(json.dumps({"detail-type": events.STATUS_CHANGE}), id="no detail"),
        pytest.param(json.dumps({"messageType": "DATA_MESSAGE", "logEvents": {}}), id="no list"),
        pytest.param(json.dumps({"messageType": 1}), id="a type that is no text"),
    ],
)
def test_what_cannot_be_read(message: bytes | str) -> None:
    told = heard(message)

    assert told.changes == ()
    assert told.unreadable


JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(st.binary(max_size=200) | st.text(max_size=50))
def test_no_bytes_do_harm(message: bytes | str) -> None:
    heard(message)


@given(st.sampled_from(sorted(event()["detail"])), JSON)
def test_no_member_of_an_event_does_harm(member: str, value: Any) -> None:
    told = event("SUCCEEDED", output="1")
    told["detail"][member] = value

    heard(json.dumps(told))


@given(st.sampled_from(["id", "type", "details", "event_timestamp", "execution_arn"]), JSON)
def test_no_member_of_a_logged_event_does_harm(member: str, value: Any) -> None:
    line = json.dumps({**json.loads(logged(9, "ExecutionSucceeded", output="1")), member: value})

    told = heard(packed(record(line, logged(2, "TaskStateEntered"))))

    assert told.changes[-1].status == "RUNNING"
