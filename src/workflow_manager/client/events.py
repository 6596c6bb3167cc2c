"""The event stream of a workflow: parsing it, and following it across broken connections."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import httpx
import msgspec
from msgspec import Struct

from workflow_manager.client.errors import ApiError, UnexpectedAnswer
from workflow_manager.client.transport import UNAVAILABLE, Transport
from workflow_manager.model import Workflow, WorkflowStatus

SILENCE_SECONDS = 45.0
"""The server sends a comment every 15 s; after three that did not come the connection counts as broken."""
RECONNECT_SECONDS = 0.25
SHORTEST_SECONDS = 0.05
"""What a connection is given at least, however little time is left."""
LATE_SECONDS = 0.5
"""How much later than asked for it may be noticed that time is over; or by a tenth of what was left."""
WORKFLOW = "workflow"
"""Name of an event whose data is the workflow without what can be large; it comes first and with every change of status."""
HISTORY = "history"
"""Name of an event whose data is an event of the execution's history, as the Step Functions API spells it."""
FINAL = frozenset(status.value for status in WorkflowStatus if status.final)


class Event(Struct, frozen=True, kw_only=True):
    """One event of the stream: ``name`` is WORKFLOW or HISTORY, ``id`` that of the last history event so far, or 0."""

    id: int
    name: str
    data: dict[str, Any]

    @property
    def workflow(self) -> Workflow | None:
        """Of a WORKFLOW event: the workflow, without what can be large. Raises UnexpectedAnswer."""
        if self.name != WORKFLOW:
            return None
        try:
            return msgspec.convert(self.data, Workflow)
        except msgspec.ValidationError as error:
            raise UnexpectedAnswer(f"the event stream holds something else than workflows ({error})") from None


class Parser:
    """Makes events of the lines of a stream (HTML standard, "Interpreting an event stream")."""

    def __init__(self) -> None:
        self._name, self._id = "", 0
        self._data: list[str] = []

    def event(self, line: str) -> Event | None:
        """The event that a line completes, if it does. Raises UnexpectedAnswer."""
        if not line:
            data, name = self._data, self._name
            self._name, self._data = "", []
            return Event(id=self._id, name=name or "message", data=_object("\n".join(data))) if data else None
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        match field:
            case "event":
                self._name = value
            case "data":
                self._data.append(value)
            case "id" if value.isascii() and value.isdigit():
                self._id = int(value)
        return None


async def follow(
    transport: Transport,
    path: str,
    last_event_id: int,
    patience_seconds: float,
    *,
    until: float | None = None,
) -> AsyncGenerator[Event]:
    """Events after ``last_event_id`` until the workflow has ended, over as many connections as that takes.

    Raises ServerUnreachable after ``patience_seconds`` without a connection, or at once if the server was never there;
    TimeoutError when it has not ended ``until`` then, on the wire's clock.
    """
    broken_since: float | None = None
    while True:
        left = _left(transport, until)
        if left <= 0:
            raise TimeoutError
        silence = max(min(SILENCE_SECONDS, left), SHORTEST_SECONDS)
        try:
            async with transport.stream(path, {"last-event-id": str(last_event_id)}, silence_seconds=silence) as lines:
                final, broken_since = False, None
                parser = Parser()
                async for line in lines:
                    if (event := parser.event(line)) is not None:
                        last_event_id = max(last_event_id, event.id)
                        if event.name == WORKFLOW:
                            final = event.data.get("status") in FINAL
                        yield event
                    left = _left(transport, until)
                    if not final and silence - left > max(LATE_SECONDS, left / 10):
                        break  # else the next line would be waited for longer than there is time
                else:
                    if final:  # a server that stops ends its streams, too
                        return
                    await before_reconnecting(transport)
        except httpx.TransportError as error:
            broken_since = broken_since or transport.wire.now()
            if isinstance(error, httpx.ReadTimeout) and _left(transport, until) <= 0:
                raise TimeoutError from None
            if not transport.was_there or transport.wire.now() - broken_since > patience_seconds:
                raise transport.unreachable(error) from None
            await before_reconnecting(transport)
        except ApiError as error:
            broken_since = broken_since or transport.wire.now()
            if error.status not in UNAVAILABLE or transport.wire.now() - broken_since > patience_seconds:
                raise
            await before_reconnecting(transport)


async def so_far(transport: Transport, path: str, last_event_id: int) -> AsyncGenerator[Event]:
    """Events after ``last_event_id`` up to now. Raises ServerUnreachable, ApiError."""
    parser = Parser()
    try:
        async with transport.stream(
            f"{path}?follow=false", {"last-event-id": str(last_event_id)}, silence_seconds=SILENCE_SECONDS
        ) as lines:
            async for line in lines:
                if (event := parser.event(line)) is not None:
                    yield event
    except httpx.TransportError as error:
        raise transport.unreachable(error) from None


async def before_reconnecting(transport: Transport) -> None:
    await transport.wire.sleep(RECONNECT_SECONDS)


def _left(transport: Transport, until: float | None) -> float:
    """Seconds; endless without an end."""
    return float("inf") if until is None else until - transport.wire.now()


def _object(text: str) -> dict[str, Any]:
    """Raises UnexpectedAnswer."""
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeEncodeError) as error:
        raise UnexpectedAnswer(f"the event stream holds something else than JSON objects ({error})") from None
