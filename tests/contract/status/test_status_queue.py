"""The queue of status changes, over SQS as moto plays it: nothing is deleted that is not written, nothing stops it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import boto3
import pytest
from status_messages import message

from workflow_manager.stepfunctions.changes import StatusChange
from workflow_manager.stepfunctions.queue import QueueSettings, QueueUnusable, StatusQueue, region_of

Outcomes = Sequence[BaseException | None]


class Written:
    """What takes the changes: writes them down, or fails as often as it is told to."""

    def __init__(self) -> None:
        self.statuses: dict[str, list[str]] = {}
        self.failing: dict[str, int] = {}
        self.raising: list[Exception] = []
        self.news = asyncio.Event()

    async def __call__(self, changes: Sequence[StatusChange]) -> Outcomes:
        self.news.set()
        if self.raising:
            raise self.raising.pop(0)
        return [self._write(change) for change in changes]

    def _write(self, change: StatusChange) -> Exception | None:
        if self.failing.get(change.name, 0) > 0:
            self.failing[change.name] -= 1
            return OSError("disk full")
        self.statuses.setdefault(change.name, []).append(change.status)
        return None


@pytest.fixture
def written() -> Written:
    return Written()


async def until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - a queue tells nobody
            await asyncio.sleep(0.01)


@pytest.fixture
def receiving(session: boto3.Session, queue: str) -> Callable[..., Any]:
    @asynccontextmanager
    async def receiving(deliver: Callable[..., Awaitable[Outcomes]], **settings: Any) -> AsyncIterator[StatusQueue]:
        status_queue = StatusQueue(
            QueueSettings(**{"url": queue, "poll_seconds": 1, "receivers": 2, **settings}),
            deliver,
            session=session,
            first_pause_seconds=0.01,
        )
        async with status_queue:
            yield status_queue

    return receiving


def left(sqs: Any, url: str) -> tuple[int, int]:
    """How many messages a queue has that are visible, and that someone holds."""
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
    return int(found[names[0]]), int(found[names[1]])


async def test_what_is_told_is_written_and_then_deleted(sqs: Any, queue: str, receiving: Any, written: Written) -> None:
    """Several at once, out of order, and more than one batch."""
    for number in range(25):
        for status in ("SUCCEEDED", "RUNNING"):
            sqs.send_message(QueueUrl=queue, MessageBody=message(f"w{number}", status))

    async with receiving(written) as status_queue:
        await until(lambda: status_queue.counts["deleted"] >= 50)

    # a busy machine may be told again: a message is visible again after two seconds
    assert {name: sorted(set(told)) for name, told in written.statuses.items()} == {
        f"w{number}": ["RUNNING", "SUCCEEDED"] for number in range(25)
    }
    assert left(sqs, queue) == (0, 0)


async def test_what_is_nothing_to_us_is_deleted_and_garbage_stays(
    sqs: Any, queue: str, receiving: Any, written: Written
) -> None:
    for body in ("garbage", '{"detail-type": "Other", "detail": {}}', "{}", message("w")):
        sqs.send_message(QueueUrl=queue, MessageBody=body)

    async with receiving(written) as status_queue:
        await until(lambda: status_queue.counts["deleted"] >= 2)
        await until(lambda: status_queue.counts["failed"] >= 2)

    assert written.statuses == {"w": ["SUCCEEDED"]}
    assert status_queue.counts["ignored"] >= 1
    assert sum(left(sqs, queue)) == 2


async def test_what_could_not_be_written_comes_again(sqs: Any, queue: str, receiving: Any, written: Written) -> None:
    written.failing["w1"] = 1
    for number in range(3):
        sqs.send_message(QueueUrl=queue, MessageBody=message(f"w{number}"))

    async with receiving(written) as status_queue:
        await until(lambda: len(written.statuses) == 2)
        assert "w1" not in written.statuses
        await until(lambda: status_queue.counts["deleted"] >= 3)

    assert {name: set(told) for name, told in written.statuses.items()} == {f"w{n}": {"SUCCEEDED"} for n in range(3)}
    assert status_queue.counts["failed"] == 1


async def test_a_fault_of_ours_does_not_stop_it(sqs: Any, queue: str, receiving: Any, written: Written) -> None:
    written.raising = [RuntimeError("a bug")]
    sqs.send_message(QueueUrl=queue, MessageBody=message("w"))

    async with receiving(written) as status_queue:
        await until(lambda: status_queue.counts["deleted"] >= 1)

    assert written.statuses == {"w": ["SUCCEEDED"]}
    assert status_queue.counts["failed"] == 1


async def test_poison_goes_to_the_dead_letter_queue(
    sqs: Any, queue: str, dead_letters: str, receiving: Any, written: Written
) -> None:
    """After a bound, whatever makes it poison; it can be read there as it was."""
    written.failing["w"] = 1_000
    for body in ("garbage", message("w"), message("good")):
        sqs.send_message(QueueUrl=queue, MessageBody=body)

    async with receiving(written, dead_letter_url=dead_letters, most_receives=2) as status_queue:
        await until(lambda: status_queue.counts["dead"] >= 2)

    assert left(sqs, queue) == (0, 0)
    found = sqs.receive_message(QueueUrl=dead_letters, MaxNumberOfMessages=10)["Messages"]
    assert {each["Body"] for each in found} == {"garbage", message("w")}
    assert status_queue.counts["failed"] >= 4
    assert written.statuses == {"good": ["SUCCEEDED"]}


async def test_a_dead_letter_queue_that_is_not_there_keeps_nothing_from_the_others(
    sqs: Any, queue: str, receiving: Any, written: Written
) -> None:
    for body in ("garbage", message("w")):
        sqs.send_message(QueueUrl=queue, MessageBody=body)

    async with receiving(written, dead_letter_url=f"{queue}-gone", most_receives=1) as status_queue:
        await until(lambda: status_queue.counts["deleted"] >= 1)

    assert written.statuses == {"w": ["SUCCEEDED"]}
    assert sum(left(sqs, queue)) == 1


async def test_a_process_that_dies_between_writing_and_deleting_is_told_again(
    sqs: Any, queue: str, session: boto3.Session, receiving: Any, written: Written
) -> None:
    first = StatusQueue(QueueSettings(url=queue, poll_seconds=1, receivers=1), written, session=session)

    async def dies(_messages: Any) -> None:
        await asyncio.Event().wait()

    first._delete = dies  # type: ignore[method-assign]
    sqs.send_message(QueueUrl=queue, MessageBody=message("w"))
    await first.start()
    await until(lambda: written.statuses)
    for receiver in first._receivers:
        receiver.cancel()
    await first._close()

    async with receiving(written) as status_queue:
        await until(lambda: status_queue.counts["deleted"] >= 1)

    assert set(written.statuses["w"]) == {"SUCCEEDED"}
    assert len(written.statuses["w"]) >= 2


async def test_stopping_finishes_what_is_being_written(sqs: Any, queue: str, receiving: Any, written: Written) -> None:
    may_write = asyncio.Event()

    async def slowly(changes: Sequence[StatusChange]) -> Outcomes:
        written.news.set()
        await may_write.wait()
        return await written(changes)

    sqs.send_message(QueueUrl=queue, MessageBody=message("w"))
    async with receiving(slowly, receivers=1) as status_queue:
        await written.news.wait()
        stopping = asyncio.create_task(status_queue.stop())
        await asyncio.sleep(0)
        may_write.set()
        await stopping

    assert written.statuses == {"w": ["SUCCEEDED"]}
    assert left(sqs, queue) == (0, 0)


async def test_stopping_gives_back_what_takes_too_long(
    sqs: Any, session: boto3.Session, endpoint: str, written: Written
) -> None:
    """Visible at once, though the queue would keep it from others for hours."""
    url = sqs.create_queue(QueueName="slow", Attributes={"VisibilityTimeout": "7200"})["QueueUrl"]

    async def never(changes: Sequence[StatusChange]) -> Outcomes:
        written.news.set()
        await asyncio.Event().wait()
        raise AssertionError

    sqs.send_message(QueueUrl=url, MessageBody=message("w"))
    status_queue = StatusQueue(QueueSettings(url=url, poll_seconds=1), never, session=session)
    await status_queue.start()
    await written.news.wait()
    assert left(sqs, url) == (0, 1)

    await status_queue.stop(within_seconds=0.05)

    assert left(sqs, url) == (1, 0)
    assert status_queue.counts["handed back"] == 1


async def test_stopping_gives_back_what_failed(sqs: Any, session: boto3.Session, written: Written) -> None:
    url = sqs.create_queue(QueueName="failing", Attributes={"VisibilityTimeout": "7200"})["QueueUrl"]
    stopped = asyncio.Event()

    async def fails(changes: Sequence[StatusChange]) -> Outcomes:
        written.news.set()
        await stopped.wait()
        return [OSError("disk full") for _ in changes]

    sqs.send_message(QueueUrl=url, MessageBody=message("w"))
    status_queue = StatusQueue(QueueSettings(url=url, poll_seconds=1), fails, session=session)
    await status_queue.start()
    await written.news.wait()
    stopping = asyncio.create_task(status_queue.stop())
    await asyncio.sleep(0)
    stopped.set()
    await stopping

    assert left(sqs, url) == (1, 0)


async def test_what_a_last_poll_brings_is_given_back(sqs: Any, session: boto3.Session, written: Written) -> None:
    """It came after the server was told to stop: another one shall have it at once."""
    url = sqs.create_queue(QueueName="late", Attributes={"VisibilityTimeout": "7200"})["QueueUrl"]
    status_queue = StatusQueue(QueueSettings(url=url, poll_seconds=1, receivers=1), written, session=session)
    poll, polls = status_queue._poll, asyncio.Event()
    loop = asyncio.get_running_loop()

    def announced() -> Any:
        loop.call_soon_threadsafe(polls.set)
        return poll()

    status_queue._poll = announced  # type: ignore[method-assign]
    await status_queue.start()
    await polls.wait()
    stopping = asyncio.create_task(status_queue.stop())
    await asyncio.to_thread(sqs.send_message, QueueUrl=url, MessageBody=message("w"))
    await stopping

    assert written.statuses == {}
    assert left(sqs, url) == (1, 0)


async def test_a_queue_that_is_not_there_is_said_at_once(session: boto3.Session, queue: str, written: Written) -> None:
    status_queue = StatusQueue(QueueSettings(url=f"{queue}-gone"), written, session=session)

    with pytest.raises(QueueUnusable, match=r"^the queue .*-gone cannot be read \(.*NonExistentQueue"):
        await status_queue.start()


async def test_an_outage_of_the_queue_is_waited_out(
    sqs: Any, queue: str, receiving: Any, written: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    from botocore.exceptions import EndpointConnectionError

    async with receiving(written, receivers=1) as status_queue:
        poll, faults = status_queue._poll, [EndpointConnectionError(endpoint_url="x"), ValueError("a bug")]

        def faulty() -> Any:
            if faults:
                raise faults.pop()
            return poll()

        monkeypatch.setattr(status_queue, "_poll", faulty)
        sqs.send_message(QueueUrl=queue, MessageBody=message("first"))
        await until(lambda: not faults)
        sqs.send_message(QueueUrl=queue, MessageBody=message("second"))
        await until(lambda: len(written.statuses) == 2)


@pytest.mark.parametrize(
    ("url", "region"),
    [
        ("https://sqs.eu-west-1.amazonaws.com/123456789012/q", "eu-west-1"),
        ("https://eu-west-1.queue.amazonaws.com/123456789012/q", "eu-west-1"),
        ("https://sqs.cn-north-1.amazonaws.com.cn/123456789012/q", "cn-north-1"),
        ("http://127.0.0.1:5000/123456789012/q", None),
        ("https://sqs.example.org/q", None),
    ],
)
def test_the_region_is_the_queues(url: str, region: str | None) -> None:
    assert region_of(url) == region


async def test_a_poll_that_nobody_waits_for_gives_back_what_it_brings(
    sqs: Any, session: boto3.Session, written: Written
) -> None:
    """The process ends when the poll does, and leaves nothing invisible."""
    url = sqs.create_queue(QueueName="abandoned", Attributes={"VisibilityTimeout": "7200"})["QueueUrl"]
    status_queue = StatusQueue(QueueSettings(url=url, poll_seconds=2, receivers=1), written, session=session)
    poll, polls, ended = status_queue._poll, asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def announced() -> Any:
        loop.call_soon_threadsafe(polls.set)
        try:
            return poll()
        finally:
            loop.call_soon_threadsafe(ended.set)

    status_queue._poll = announced  # type: ignore[method-assign]
    await status_queue.start()
    await polls.wait()
    await status_queue.stop(within_seconds=0.01)

    await asyncio.to_thread(sqs.send_message, QueueUrl=url, MessageBody=message("w"))
    await ended.wait()

    assert written.statuses == {}
    assert left(sqs, url) == (1, 0)
    (found,) = sqs.receive_message(QueueUrl=url, AttributeNames=["ApproximateReceiveCount"])["Messages"]
    assert found["Attributes"]["ApproximateReceiveCount"] == "2"  # the poll had it
