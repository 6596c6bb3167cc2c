"""Status changes from a queue: EventBridge puts Step Functions' events into SQS, several receivers take them out.

A message is deleted only after what it tells has been written; until then SQS keeps it, and delivers it again if this process
dies. So each may come more than once, and in any order, which is what ``deliver`` must take. A message that cannot be dealt
with stays in the queue: its redrive policy moves it to a dead-letter queue after so many receives, or this does where a
dead-letter queue is named.

boto3 blocks, so its calls run in a bounded pool of threads, and a poll lasts no longer than stopping may take: a poll that
was cut off would leave messages invisible that nobody has.
"""

from __future__ import annotations

import asyncio
import re
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Self, TypeAlias, TypeVar

import boto3
import structlog
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from workflow_manager.stepfunctions.changes import StatusChange
from workflow_manager.stepfunctions.events import Heard, heard

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import MessageTypeDef

Result = TypeVar("Result")
Deliver: TypeAlias = Callable[[Sequence[StatusChange]], Awaitable[Sequence[BaseException | None]]]
"""Writes changes. Answers for each why it could not be written, or None when it is, for good."""

BATCH = 10
"""Most messages that SQS gives at once, and takes back (API reference, ReceiveMessage)."""
LONGEST_POLL_SECONDS = 20
FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 60.0
CONNECT_SECONDS = 5
ANSWER_SECONDS = 10
"""How long SQS may take beyond the poll."""

log = structlog.get_logger("workflow_manager.queue")


class QueueUnusable(Exception):
    """The queue is not there, or may not be read. The message is one sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueSettings:
    """Which queue is read and how.

    ``receivers``: how many polls wait at once. ``poll_seconds``: how long each waits for messages, 1 to 20.
    ``dead_letter_url``: where a message goes that was received ``most_receives`` times and not dealt with; empty: the
    queue's own redrive policy is all there is.
    """

    url: str
    receivers: int = 2
    poll_seconds: int = LONGEST_POLL_SECONDS
    dead_letter_url: str = ""
    most_receives: int = 10


class StatusQueue:
    """Hands what a queue tells to ``deliver``, between ``start`` and ``stop``. No poll begins once ``stopping`` is set.

    ``counts`` says how many messages were received, deleted, failed (once each time), moved to the dead-letter queue
    and handed back, and how many parts of messages were ignored. Made and started, it may raise QueueUnusable.
    """

    def __init__(
        self,
        settings: QueueSettings,
        deliver: Deliver,
        *,
        session: boto3.Session,
        stopping: asyncio.Event | None = None,
        first_pause_seconds: float = FIRST_PAUSE_SECONDS,
    ) -> None:
        self.settings = settings
        self.counts: Counter[str] = Counter()
        self._deliver = deliver
        self._first_pause_seconds = first_pause_seconds
        config = Config(
            connect_timeout=CONNECT_SECONDS,
            read_timeout=settings.poll_seconds + ANSWER_SECONDS,
            max_pool_connections=settings.receivers + 1,
            retries={"mode": "standard"},
        )
        region = region_of(settings.url) or session.region_name
        try:
            self._client: SQSClient = session.client("sqs", region_name=region, config=config)
        except (BotoCoreError, ValueError) as error:  # no region, or no address
            raise QueueUnusable(f"the queue {settings.url} cannot be read ({error})") from None
        self._pool = ThreadPoolExecutor(settings.receivers + 1, "status-queue")
        self._receivers: list[asyncio.Task[None]] = []
        self._held: dict[str, MessageTypeDef] = {}  # receipt handle -> what is being dealt with
        self._stopping = stopping or asyncio.Event()
        self._abandoned = threading.Event()

    async def start(self) -> None:
        """Begin to receive. Raises QueueUnusable."""
        try:
            answer = await self._call(
                self._client.get_queue_attributes, QueueUrl=self.settings.url, AttributeNames=["RedrivePolicy"]
            )
        except (BotoCoreError, ClientError) as error:
            await self._close()
            raise QueueUnusable(f"the queue {self.settings.url} cannot be read ({error})") from None
        if not self.settings.dead_letter_url and "RedrivePolicy" not in answer.get("Attributes", {}):
            log.warning(
                "status_queue_keeps_everything",
                queue=self.settings.url,
                reason="it has no redrive policy: a message that cannot be dealt with comes again until it is too old",
            )
        self._receivers = [asyncio.create_task(self._receive_for_ever()) for _ in range(self.settings.receivers)]

    async def stop(self, *, within_seconds: float | None = None) -> None:
        """Finish what is being written, give everything else back to the queue, and let go of it.

        What takes longer than that is given back, too, and comes again.
        """
        self._stopping.set()
        if self._receivers:
            _, late = await asyncio.wait(self._receivers, timeout=within_seconds)
            self._abandoned.set()
            for receiver in late:
                receiver.cancel()
            await asyncio.gather(*self._receivers, return_exceptions=True)
            await self._hand_back(list(self._held.values()))
        await self._close()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    # ---------------------------------------------------------------------- receiving

    async def _receive_for_ever(self) -> None:
        pause = 0.0
        while not self._stopping.is_set():
            try:
                well = await self._receive()
            except (BotoCoreError, ClientError) as error:
                log.warning("status_queue_failed", queue=self.settings.url, reason=str(error))
                well = False
            except Exception:
                log.exception("status_queue_failed", queue=self.settings.url)
                well = False
            if well:
                pause = 0.0
                continue
            # each receive of a message counts towards the dead-letter queue: an outage must not send everything there
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS) or self._first_pause_seconds
            await _first(self._stopping, pause)

    async def _receive(self) -> bool:
        """Take some messages and deal with them; false if they could not be written now."""
        messages = await self._call(self._poll)
        self.counts["received"] += len(messages)
        for message in messages:
            self._held[message["ReceiptHandle"]] = message
        if self._stopping.is_set():
            await self._hand_back(messages)
            return True
        try:
            well = await self._deal_with(messages) if messages else True
        except Exception:
            self._let_go(messages)
            raise
        self._let_go(messages)  # but not when this was cancelled: then they are handed back
        return well

    def _let_go(self, messages: Iterable[MessageTypeDef]) -> None:
        for message in messages:
            self._held.pop(message["ReceiptHandle"], None)

    def _poll(self) -> list[MessageTypeDef]:
        """In a thread: what there is, or what comes soon."""
        answer = self._client.receive_message(
            QueueUrl=self.settings.url,
            MaxNumberOfMessages=BATCH,
            WaitTimeSeconds=self.settings.poll_seconds,
            MessageSystemAttributeNames=["ApproximateReceiveCount"],
        )
        messages = answer.get("Messages", [])
        if messages and self._abandoned.is_set():  # nobody waits for them any more
            self._client.change_message_visibility_batch(QueueUrl=self.settings.url, Entries=_visible(messages))
            return []
        return messages

    async def _deal_with(self, messages: Sequence[MessageTypeDef]) -> bool:
        told = [heard(message.get("Body", "")) for message in messages]
        self._count_ignored(told)
        faults = await self._faults(told)
        done = [message for message, fault in zip(messages, faults, strict=True) if fault is None]
        failed = [(message, fault) for message, fault in zip(messages, faults, strict=True) if fault is not None]
        for message, fault in failed:
            log.warning(
                "status_message_failed", message=message.get("MessageId"), receives=_receives(message), reason=fault
            )
        self.counts["failed"] += len(failed)
        await self._delete(done)
        poison = [message for message, _ in failed if self._is_poison(message)]
        moved = await self._bury(poison) if poison else ()
        if self._stopping.is_set():
            await self._hand_back([message for message, _ in failed if message not in moved])
        return all(each.unreadable or fault is None for each, fault in zip(told, faults, strict=True))

    async def _faults(self, told: Sequence[Heard]) -> list[str | None]:
        """Of each message: why it must come again, or None when all that it tells is written."""
        changes = [change for each in told for change in each.changes]
        try:
            outcomes = iter(await self._deliver(changes) if changes else ())
            return [
                each.unreadable or _reason([next(outcomes) for _ in each.changes])  # every outcome is taken
                for each in told
            ]
        except Exception as error:
            log.exception("status_changes_failed")
            return [each.unreadable or (_reason([error]) if each.changes else None) for each in told]

    def _count_ignored(self, told: Sequence[Heard]) -> None:
        ignored = [line for each in told for line in each.ignored]
        if ignored:
            self.counts["ignored"] += len(ignored)
            log.info("status_messages_ignored", count=len(ignored), reason=ignored[0])

    def _is_poison(self, message: MessageTypeDef) -> bool:
        return bool(self.settings.dead_letter_url) and _receives(message) >= self.settings.most_receives

    # ---------------------------------------------------------------------- calls

    async def _bury(self, messages: Sequence[MessageTypeDef]) -> Sequence[MessageTypeDef]:
        """Move messages to the dead-letter queue; those that were."""
        answer = await self._call(
            self._client.send_message_batch,
            QueueUrl=self.settings.dead_letter_url,
            Entries=[{"Id": str(number), "MessageBody": each["Body"]} for number, each in enumerate(messages)],
        )
        moved = [messages[int(each["Id"])] for each in answer.get("Successful", [])]
        self.counts["dead"] += len(moved)
        log.error("status_messages_dead", count=len(moved), queue=self.settings.dead_letter_url)
        await self._delete(moved)
        return moved

    async def _delete(self, messages: Sequence[MessageTypeDef]) -> None:
        """What cannot be deleted comes again, and changes nothing then."""
        if not messages:
            return
        answer = await self._call(
            self._client.delete_message_batch,
            QueueUrl=self.settings.url,
            Entries=[
                {"Id": str(number), "ReceiptHandle": each["ReceiptHandle"]} for number, each in enumerate(messages)
            ],
        )
        self.counts["deleted"] += len(answer.get("Successful", []))
        self._let_go(messages)

    async def _hand_back(self, messages: Sequence[MessageTypeDef]) -> None:
        """Let others have messages at once. One that cannot be handed back is visible again when its time is over."""
        for start in range(0, len(messages), BATCH):
            some = messages[start : start + BATCH]
            try:
                answer = await self._call(
                    self._client.change_message_visibility_batch, QueueUrl=self.settings.url, Entries=_visible(some)
                )
                self.counts["handed back"] += len(answer.get("Successful", []))
            except (BotoCoreError, ClientError) as error:
                log.warning("status_messages_not_handed_back", count=len(some), reason=str(error))
            self._let_go(some)

    async def _call(self, method: Callable[..., Result], **arguments: Any) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._pool, partial(method, **arguments))

    async def _close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._client.close()


def region_of(url: str) -> str | None:
    """The region that a queue's URL names; None for an endpoint that is not AWS's."""
    named = re.match(r"https://(?:sqs\.([a-z0-9-]+)|([a-z0-9-]+)\.queue)\.amazonaws\.com", url)
    return None if named is None else named[1] or named[2]


def _visible(messages: Iterable[MessageTypeDef]) -> list[Any]:
    return [
        {"Id": str(number), "ReceiptHandle": message["ReceiptHandle"], "VisibilityTimeout": 0}
        for number, message in enumerate(messages)
    ]


def _receives(message: MessageTypeDef) -> int:
    return int(message.get("Attributes", {}).get("ApproximateReceiveCount", 1))


def _reason(outcomes: Iterable[BaseException | None]) -> str | None:
    return next((f"{type(outcome).__name__}: {outcome}" for outcome in outcomes if outcome is not None), None)


async def _first(event: asyncio.Event, seconds: float) -> None:
    """Wait for the event, but no longer than that."""
    waiting = asyncio.ensure_future(event.wait())
    await asyncio.wait({waiting}, timeout=seconds)
    waiting.cancel()
