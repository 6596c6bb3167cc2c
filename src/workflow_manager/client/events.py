"""The event stream of a workflow: parsing it, and following it across broken connections."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import Any

import httpx
import msgspec
from msgspec import Struct

from workflow_manager.client.errors import ApiError, UnexpectedAnswer
from workflow_manager.client.transport import UNAVAILABLE, Transport
from workflow_manager.model import WorkflowStatus

SILENCE_SECONDS = 45.0
"""The server sends a comment every 15 s; after three that did not come the connection counts as broken."""
RECONNECT_SECONDS = 0.25
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


def parse(lines: Iterable[str]) -> Iterator[Event]:
    """Events of a stream of lines (HTML standard, "Interpreting an event stream")."""
    name, last_id = "", 0
    data: list[str] = []
    for line in lines:
        if not line:
            if data:
                yield Event(id=last_id, name=name or "message", data=_object("\n".join(data)))
            name, data = "", []
            continue
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        match field:
            case "event":
                name = value
            case "data":
                data.append(value)
            case "id" if value.isascii() and value.isdigit():
                last_id = int(value)


def follow(transport: Transport, path: str, last_event_id: int, patience_seconds: float) -> Iterator[Event]:
    """Events after ``last_event_id`` until the workflow has ended, over as many connections as that takes.

    Raises ServerUnreachable after ``patience_seconds`` without a connection, or at once when the first one fails.
    """
    broken_since: float | None = None
    connected = False
    while True:
        try:
            with transport.stream(
                path, {"last-event-id": str(last_event_id)}, silence_seconds=SILENCE_SECONDS
            ) as response:
                connected, final, broken_since = True, False, None
                for event in parse(response.iter_lines()):
                    last_event_id = max(last_event_id, event.id)
                    if event.name == WORKFLOW:
                        final = event.data.get("status") in FINAL
                    yield event
                if final:  # a server that stops ends its streams, too
                    return
        except httpx.TransportError as error:
            broken_since = broken_since or time.monotonic()
            if not connected or time.monotonic() - broken_since > patience_seconds:
                raise transport.unreachable(error) from None
        except ApiError as error:
            broken_since = broken_since or time.monotonic()
            if error.status not in UNAVAILABLE or time.monotonic() - broken_since > patience_seconds:
                raise
        time.sleep(RECONNECT_SECONDS)


def so_far(transport: Transport, path: str, last_event_id: int) -> Iterator[Event]:
    """Events after ``last_event_id`` up to now. Raises ServerUnreachable, ApiError."""
    try:
        with transport.stream(
            f"{path}?follow=false", {"last-event-id": str(last_event_id)}, silence_seconds=SILENCE_SECONDS
        ) as response:
            yield from parse(response.iter_lines())
    except httpx.TransportError as error:
        raise transport.unreachable(error) from None


def _object(text: str) -> dict[str, Any]:
    """Raises UnexpectedAnswer."""
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeEncodeError) as error:
        raise UnexpectedAnswer(f"the event stream holds something else than JSON objects ({error})") from None
