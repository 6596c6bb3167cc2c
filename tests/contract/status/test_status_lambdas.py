"""The Lambda handlers: what of a batch comes again, and what a process keeps from one invocation to the next."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from status_messages import ARNS, message

from workflow_manager.lambdas import Handlers, NotDealtWith
from workflow_manager.stepfunctions.changes import StatusChange
from workflow_manager.stepfunctions.queue import Deliver


class Writes:
    """What the handlers are composed of: counts how often that is, and fails for the workflows it is told to."""

    def __init__(self) -> None:
        self.composed = 0
        self.batches: list[list[tuple[str, str]]] = []
        self.failing: set[str] = set()
        self.closed = False
        self.unusable: list[Exception] = []

    @asynccontextmanager
    async def __call__(self) -> AsyncIterator[Deliver]:
        if self.unusable:
            raise self.unusable.pop()
        self.composed += 1
        yield self._write
        self.closed = True

    async def _write(self, changes: Sequence[StatusChange]) -> Sequence[BaseException | None]:
        self.batches.append([(change.name, change.status) for change in changes])
        return [OSError("disk full") if change.name in self.failing else None for change in changes]


@pytest.fixture
def writes() -> Writes:
    return Writes()


@pytest.fixture
def handlers(writes: Writes) -> Iterator[Handlers]:
    handlers = Handlers(writes)
    yield handlers
    handlers.close()


def from_queue(*bodies: str) -> dict[str, Any]:
    """A batch as Lambda reads it from SQS."""
    return {
        "Records": [
            {
                "messageId": f"m{number}",
                "receiptHandle": "r",
                "body": body,
                "attributes": {"ApproximateReceiveCount": "1"},
                "messageAttributes": {},
                "md5OfBody": "",
                "eventSource": "aws:sqs",
                "eventSourceARN": "arn:aws:sqs:us-east-1:000000000000:status",
                "awsRegion": "us-east-1",
            }
            for number, body in enumerate(bodies)
        ]
    }


def logged(name: str, number: int, kind: str, **details: Any) -> str:
    return json.dumps(
        {
            "id": str(number),
            "type": kind,
            "details": details,
            "event_timestamp": "1700000000000",
            "execution_arn": ARNS.execution("ns--d--0--echo", name),
        }
    )


def data(*lines: str, kind: str = "DATA_MESSAGE") -> str:
    record = {"messageType": kind, "logEvents": [{"id": "1", "timestamp": 1, "message": line} for line in lines]}
    return base64.b64encode(gzip.compress(json.dumps(record).encode())).decode()


def from_stream(*records: str) -> dict[str, Any]:
    """A batch as Lambda reads it from Kinesis."""
    return {
        "Records": [
            {
                "kinesis": {
                    "kinesisSchemaVersion": "1.0",
                    "partitionKey": "p",
                    "sequenceNumber": f"4959{number}",
                    "data": each,
                    "approximateArrivalTimestamp": 1545084650.987,
                },
                "eventSource": "aws:kinesis",
                "eventID": f"shardId-000000000006:4959{number}",
            }
            for number, each in enumerate(records)
        ]
    }


def failures(*identifiers: str) -> dict[str, Any]:
    return {"batchItemFailures": [{"itemIdentifier": each} for each in identifiers]}


def test_an_event(handlers: Handlers, writes: Writes) -> None:
    handlers.eventbridge(json.loads(message("w")), object())

    assert writes.batches == [[("w", "SUCCEEDED")]]


def test_an_event_that_cannot_be_written_fails_the_invocation(handlers: Handlers, writes: Writes) -> None:
    writes.failing = {"w"}

    with pytest.raises(NotDealtWith, match=r"^OSError: disk full$"):
        handlers.eventbridge(json.loads(message("w")))


@pytest.mark.parametrize("event", [{}, {"detail-type": "Other"}, {"detail-type": 1}, []])
def test_an_event_of_another_kind_is_passed_over(handlers: Handlers, writes: Writes, event: Any) -> None:
    handlers.eventbridge(event)

    assert writes.composed == 0


def test_of_a_queues_batch_only_what_failed_comes_again(handlers: Handlers, writes: Writes) -> None:
    """What cannot be read, too: the queue's redrive policy moves it where people find it."""
    writes.failing = {"b"}
    event = from_queue(message("a", "RUNNING"), message("b"), "garbage", '{"detail-type": "Other"}', message("c"))

    assert handlers.queue(event, object()) == failures("m1", "m2")
    assert writes.batches == [[("a", "RUNNING"), ("b", "SUCCEEDED"), ("c", "SUCCEEDED")]]


def test_a_stream_goes_on_from_the_first_record_that_failed(handlers: Handlers, writes: Writes) -> None:
    writes.failing = {"b"}
    event = from_stream(
        data(logged("a", 2, "TaskStateEntered"), logged("a", 9, "ExecutionSucceeded", output="1")),
        data(kind="CONTROL_MESSAGE"),
        "garbage",
        data(logged("b", 2, "TaskStateEntered")),
        data(logged("c", 2, "TaskStateEntered")),
        data(logged("b", 9, "ExecutionFailed", error="E")),
    )

    assert handlers.kinesis(event, object()) == failures("49593")
    assert writes.batches == [
        [("a", "RUNNING"), ("a", "SUCCEEDED"), ("b", "RUNNING"), ("c", "RUNNING"), ("b", "FAILED")]
    ]


def test_what_cannot_be_read_holds_up_no_stream(handlers: Handlers, writes: Writes) -> None:
    assert handlers.kinesis(from_stream("garbage", data("no json"))) == failures()
    assert writes.composed == 0


def test_a_batch_that_is_written_whole(handlers: Handlers) -> None:
    assert handlers.queue(from_queue(message("a"), message("b"))) == failures()
    assert handlers.kinesis(from_stream(data(logged("a", 2, "TaskStateEntered")))) == failures()


def test_a_process_is_composed_once(handlers: Handlers, writes: Writes) -> None:
    for number in range(3):
        handlers.queue(from_queue(message(f"w{number}")))
    handlers.eventbridge(json.loads(message("w")))

    assert (writes.composed, len(writes.batches)) == (1, 4)


def test_what_could_not_be_composed_is_tried_again(handlers: Handlers, writes: Writes) -> None:
    writes.unusable = [ValueError("no region")]

    with pytest.raises(ValueError, match="no region"):
        handlers.queue(from_queue(message("a")))
    assert handlers.queue(from_queue(message("a"))) == failures()


@pytest.mark.parametrize("event", [{}, {"Records": 1}, from_queue("x")], ids=["none", "no list", "another source's"])
def test_an_event_source_that_is_not_the_handlers(handlers: Handlers, event: Any) -> None:
    with pytest.raises(ValueError, match="is not one of an event source aws:kinesis"):
        handlers.kinesis(event)
