"""AWS Lambda handlers that take status changes, for whoever would rather not have servers receive them.

    workflow_manager.lambdas.eventbridge_handler    an EventBridge rule invokes it with an event
    workflow_manager.lambdas.queue_handler          an SQS queue of such events is its event source
    workflow_manager.lambdas.kinesis_handler        a Kinesis stream of CloudWatch Logs records is its event source

They read what they are given by the same function as the server's own receivers, and write by the same rules. The event
sources need ``ReportBatchItemFailures``: only what could not be written comes again. Settings are the server's, from the
environment (WFM_STORE, WFM_ROLE_ARN, ...).

Lambda keeps a process for many invocations: clients, connections and the event loop are made by the first and stay.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Any, TypeAlias

import msgspec
import structlog

from workflow_manager.stepfunctions.changes import StatusChange
from workflow_manager.stepfunctions.events import Heard, heard
from workflow_manager.stepfunctions.queue import Deliver

Compose: TypeAlias = Callable[[], AbstractAsyncContextManager[Deliver]]
Event: TypeAlias = dict[str, Any]
Answer: TypeAlias = dict[str, Any]
"""``batchItemFailures``: what of a batch must come again (Lambda guide, "Reporting batch item failures")."""

log = structlog.get_logger("workflow_manager.lambdas")


class NotDealtWith(Exception):
    """An event could not be dealt with; Lambda invokes again, or puts it where the function's configuration says."""


class Handlers:
    """The handlers over what ``compose`` makes, which is made once, when it is first needed, and never let go of."""

    def __init__(self, compose: Compose) -> None:
        self._compose = compose
        self._runner: asyncio.Runner | None = None
        self._kept = AsyncExitStack()
        self._deliver: Deliver | None = None

    def eventbridge(self, event: Event, _context: object = None) -> None:
        """Raises NotDealtWith if it could not be written."""
        told = heard(msgspec.json.encode(event))
        _say(told)
        for outcome in self._written(told.changes):
            if outcome is not None:
                raise NotDealtWith(f"{type(outcome).__name__}: {outcome}") from outcome

    def queue(self, event: Event, _context: object = None) -> Answer:
        """Answers the messages that could not be written or read: the queue keeps them, and its redrive policy bounds that."""
        records = _records(event, "aws:sqs")
        told = [heard(record.get("body", "")) for record in records]
        failed = self._failed(told)
        return {
            "batchItemFailures": [
                {"itemIdentifier": record["messageId"]}
                for record, each, fails in zip(records, told, failed, strict=True)
                if fails or each.unreadable
            ]
        }

    def kinesis(self, event: Event, _context: object = None) -> Answer:
        """Answers the first record that could not be written: a stream goes on from there.

        One that cannot be read is passed over: it would hold up all that come after it, and never be readable.
        """
        records = [record["kinesis"] for record in _records(event, "aws:kinesis")]
        failed = self._failed([heard(record.get("data", "")) for record in records])
        first = next((record for record, fails in zip(records, failed, strict=True) if fails), None)
        return {"batchItemFailures": [] if first is None else [{"itemIdentifier": first["sequenceNumber"]}]}

    def close(self) -> None:
        """For tests: Lambda just stops a process."""
        if self._runner is not None:
            self._runner.run(self._kept.aclose())
            self._runner.close()
            self._runner = self._deliver = None

    def _failed(self, told: Sequence[Heard]) -> list[bool]:
        """Of each message or record, whether something that it tells could not be written."""
        for each in told:
            _say(each)
        outcomes = iter(self._written([change for each in told for change in each.changes]))
        failed = []
        for each in told:
            faults = [outcome for outcome in (next(outcomes) for _ in each.changes) if outcome is not None]
            if faults:
                log.warning("status_message_failed", reason=f"{type(faults[0]).__name__}: {faults[0]}")
            failed.append(bool(faults))
        return failed

    def _written(self, changes: Sequence[StatusChange]) -> Sequence[BaseException | None]:
        if not changes:
            return ()
        if self._runner is None:
            self._runner = asyncio.Runner()
        return self._runner.run(self._write(changes))

    async def _write(self, changes: Sequence[StatusChange]) -> Sequence[BaseException | None]:
        if self._deliver is None:
            self._deliver = await self._kept.enter_async_context(self._compose())
        return await self._deliver(changes)


def _records(event: Event, source: str) -> list[dict[str, Any]]:
    records = event.get("Records")
    if not isinstance(records, list) or any(record.get("eventSource", source) != source for record in records):
        raise ValueError(
            f"the event is not one of an event source {source}: see docs/deploy.md for which handler takes what"
        )
    return records


def _say(told: Heard) -> None:
    if told.unreadable:
        log.warning("status_message_unreadable", reason=told.unreadable)
    if told.ignored:
        log.info("status_messages_ignored", count=len(told.ignored), reason=told.ignored[0])


def _composed() -> AbstractAsyncContextManager[Deliver]:
    from workflow_manager.api.logging import configure_logging
    from workflow_manager.composition import delivery
    from workflow_manager.settings import Settings, load

    settings = load(Settings, environ=os.environ)
    configure_logging(level=logging.getLevelNamesMapping()[settings.log_level.upper()], style="json")
    return delivery(settings)


_handlers = Handlers(_composed)
eventbridge_handler = _handlers.eventbridge
queue_handler = _handlers.queue
kinesis_handler = _handlers.kinesis
