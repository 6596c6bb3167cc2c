"""Execution logs: levels, records in AWS's form, and their delivery to CloudWatch Logs."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from moto import mock_aws
from structlog.testing import capture_logs

from workflow_manager.engine.core.data import Data
from workflow_manager.engine.core.frames import Execution
from workflow_manager.engine.shell import cloudwatch
from workflow_manager.engine.shell.cloudwatch import CloudWatchLogs, text_of
from workflow_manager.engine.shell.logs import record, tell
from workflow_manager.stepfunctions import types as t
from workflow_manager.stepfunctions.history import HistoryEvent

NOW = time.time()  # CloudWatch Logs takes no events from long ago
MACHINE = "arn:aws:states:us-east-1:000000000000:stateMachine:m"
ARN = "arn:aws:states:us-east-1:000000000000:execution:m:e"
GROUP = "arn:aws:logs:us-east-1:123456789012:log-group:group:*"


def execution() -> Execution:
    return Execution(1, ARN, "e", MACHINE, "m", "arn:role", 1, 0.0, Data({}))


def event(kind: str, number: int = 1, **details: Any) -> HistoryEvent:
    return HistoryEvent(number, number - 1, NOW, kind, details)


def config(level: Any = "ALL", *, data: bool = True, group: str | None = GROUP) -> t.LoggingConfiguration:
    destination = t.LogDestination(cloud_watch_logs_log_group=t.CloudWatchLogsLogGroup(log_group_arn=group))
    return t.LoggingConfiguration(
        level=level, include_execution_data=data, destinations=[destination] if group is not None else []
    )


# ------------------------------------------------------------------------------------------- levels and records


@pytest.mark.parametrize(
    ("level", "told"),
    [
        ("ALL", ["ExecutionStarted", "FailStateEntered", "TaskFailed", "ExecutionFailed"]),
        ("ERROR", ["FailStateEntered", "TaskFailed", "ExecutionFailed"]),
        ("FATAL", ["ExecutionFailed"]),
        ("OFF", []),
        (None, []),
    ],
)
def test_levels(level: str | None, told: list[str]) -> None:
    kinds = ["ExecutionStarted", "FailStateEntered", "TaskFailed", "ExecutionFailed"]

    with capture_logs() as logs:
        tell(config(level), execution(), [event(kind) for kind in kinds], None)

    assert [line["type"] for line in logs] == told
    assert all(line["log_level"] == ("info" if line["type"] == "ExecutionStarted" else "error") for line in logs)


def test_a_record_has_aws_s_form() -> None:
    made = record(
        event("PassStateEntered", 2, name="P", input="{}", inputDetails={"truncated": False}), execution(), data=True
    )

    assert made == {
        "id": "2",
        "type": "PassStateEntered",
        "details": {"name": "P", "input": "{}", "inputDetails": {"truncated": False}},
        "previous_event_id": "1",
        "event_timestamp": str(round(NOW * 1_000)),
        "execution_arn": ARN,
        "redrive_count": "0",
    }


@pytest.mark.parametrize(
    ("details", "left"),
    [
        ({"input": "{}", "inputDetails": {}, "roleArn": "r"}, {"roleArn": "r"}),
        ({"name": "P", "output": "{}", "outputDetails": {}}, {"name": "P"}),
        ({"name": "P", "assignedVariables": {}, "assignedVariablesDetails": {}}, {"name": "P"}),
        ({"parameters": "{}", "resource": "r"}, {"resource": "r"}),
        ({"error": "E", "cause": "why"}, {"error": "E", "cause": "why"}),
    ],
)
def test_without_execution_data(details: dict[str, Any], left: dict[str, Any]) -> None:
    assert record(event("T", **details), execution(), data=False)["details"] == left


def test_a_record_too_large_for_an_event_goes_without_its_data() -> None:
    made = record(event("E", name="P", input="é" * 200_000, inputDetails={"truncated": False}), execution(), data=True)

    text = text_of(made)

    assert len(text.encode()) < cloudwatch.MAX_EVENT_BYTES
    assert json.loads(text)["details"] == {"name": "P", "inputDetails": {"truncated": True}}


# ------------------------------------------------------------------------------------------- CloudWatch Logs


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "any")
    with mock_aws():
        made = boto3.client("logs", region_name="us-east-1")
        made.create_log_group(logGroupName="group")
        yield made


async def delivered(logs: CloudWatchLogs) -> None:
    assert logs._delivering is not None
    await asyncio.wait_for(asyncio.shield(logs._delivering), 20)


def messages(client: Any, stream: str) -> list[str]:
    events = client.get_log_events(logGroupName="group", logStreamName=stream, startFromHead=True)["events"]
    return [json.loads(each["message"])["type"] for each in events]


async def test_records_arrive_in_order_in_a_stream_of_the_state_machine(client: Any) -> None:
    logs = CloudWatchLogs(client)
    logs.created(GROUP)
    tell(config(), execution(), [event("A"), event("B", 2)], logs)
    tell(config(), execution(), [event("C", 3)], logs)

    await delivered(logs)
    await logs.close()

    assert messages(client, f"states/{MACHINE}") == ["A", "B", "C"]
    streams = client.describe_log_streams(logGroupName="group")["logStreams"]
    assert {each["logStreamName"] for each in streams} == {cloudwatch.VALIDATION_STREAM, f"states/{MACHINE}"}


async def test_closing_delivers_what_waits(client: Any) -> None:
    logs = CloudWatchLogs(client)
    tell(config(), execution(), [event("A")], logs)

    await logs.close()

    assert messages(client, f"states/{MACHINE}") == ["A"]


async def test_a_group_that_is_gone_loses_its_records_and_no_others(client: Any) -> None:
    logs = CloudWatchLogs(client)
    with capture_logs() as told:
        tell(config(group=GROUP.replace("group:*", "absent:*")), execution(), [event("A")], logs)
        tell(config(), execution(), [event("B")], logs)
        await delivered(logs)
    await logs.close()

    assert [line["event"] for line in told if line["log_level"] == "warning"] == [
        "execution logs could not be delivered"
    ]
    assert messages(client, f"states/{MACHINE}") == ["B"]


class Stub:
    """A client whose put_log_events answers as told, once each, and then well."""

    def __init__(self, *answers: Exception | None) -> None:
        self.answers = list(answers)
        self.streams: list[str] = []
        self.exceptions = type("E", (), {"ResourceAlreadyExistsException": KeyError})

    def put_log_events(self, *, logGroupName: str, logStreamName: str, logEvents: list[Any]) -> None:  # noqa: N803
        assert logGroupName
        assert logEvents
        self.streams.append(logStreamName)
        answer = self.answers.pop(0) if self.answers else None
        if answer is not None:
            raise answer


def refused(code: str, status: int) -> ClientError:
    return ClientError({"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}, "PutLogEvents")  # type: ignore[typeddict-item]


@pytest.mark.parametrize(
    ("answers", "calls", "warned"),
    [
        pytest.param([EndpointConnectionError(endpoint_url="u")], 2, False, id="tried again after no connection"),
        pytest.param([refused("ServiceUnavailableException", 503)], 2, False, id="tried again after a fault of theirs"),
        pytest.param([EndpointConnectionError(endpoint_url="u")] * 3, 3, True, id="given up after three tries"),
        pytest.param([refused("AccessDeniedException", 400)], 1, True, id="given up at once when refused"),
    ],
)
async def test_trouble(answers: list[Exception], calls: int, warned: bool) -> None:
    stub = Stub(*answers)
    logs = CloudWatchLogs(stub, retry_seconds=0)  # type: ignore[arg-type]
    with capture_logs() as told:
        logs.put(GROUP, MACHINE, [record(event("A"), execution(), data=True)])
        await delivered(logs)
    await logs.close()

    assert len(stub.streams) == calls
    assert any("could not be delivered" in line["event"] for line in told) == warned


async def test_streams_have_plain_names_where_colons_are_refused() -> None:
    stub = Stub(refused("InvalidParameterException", 400))
    logs = CloudWatchLogs(stub, retry_seconds=0)  # type: ignore[arg-type]
    logs.put(GROUP, MACHINE, [record(event("A"), execution(), data=True)])
    await delivered(logs)
    logs.put(GROUP, MACHINE, [record(event("B"), execution(), data=True)])
    await delivered(logs)
    await logs.close()

    assert stub.streams == [f"states/{MACHINE}", "states/m", "states/m"]


async def test_what_waits_is_bounded() -> None:
    stub = Stub()
    logs = CloudWatchLogs(stub, capacity=3)  # type: ignore[arg-type]
    with capture_logs() as told:
        logs.put(GROUP, MACHINE, [record(event("A"), execution(), data=True)] * 5)
        logs.put(GROUP, MACHINE, [record(event("B"), execution(), data=True)])
        assert len(logs._waiting) == 3
        await delivered(logs)
    await logs.close()

    assert [line.get("records") for line in told if "were dropped" in line["event"]] == [3]


async def test_what_waits_is_bounded_in_length_too() -> None:
    logs = CloudWatchLogs(Stub(), capacity_characters=1_000)  # type: ignore[arg-type]
    large = record(event("A"), execution(), data=True) | {"details": {"cause": "x" * 400}}
    with capture_logs() as told:
        for _ in range(5):
            logs.put(GROUP, MACHINE, [large])
        assert len(logs._waiting) == 1
        await delivered(logs)
        logs.put(GROUP, MACHINE, [large])
        await delivered(logs)
    await logs.close()

    assert [line.get("records") for line in told if "were dropped" in line["event"]] == [4]
