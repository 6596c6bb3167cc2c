"""A history event, whatever its type, and its spelling.

AWS has one optional member per kind of details (37 of them), of which an event fills at most one. Here an event is one
small value: its type, and its details as AWS spells them. ``DETAILS`` says which member the details are on the wire.
The embedded engine stores events as the wire spells them, so that a page of history is put together and never made.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from msgspec import Struct, defstruct
from msgspec.json import Decoder, Encoder

if TYPE_CHECKING:
    from workflow_manager.stepfunctions.types import GetExecutionHistoryInput


class HistoryEvent(Struct):
    """One event of an execution's history (API reference, HistoryEvent).

    ``details`` keeps AWS's own spelling of its members (``inputDetails``, ``workerName``); ``timestamp`` is in seconds
    since the epoch.
    """

    id: int
    previous_event_id: int
    timestamp: float
    type: str
    details: dict[str, Any] | None = None

    def wire(self) -> dict[str, Any]:
        """The event as the API spells it."""
        event = {
            "timestamp": self.timestamp,
            "type": self.type,
            "id": self.id,
            "previousEventId": self.previous_event_id,
        }
        if self.details is not None:
            event[DETAILS[self.type]] = self.details
        return event


def encode_events(events: Iterable[HistoryEvent]) -> bytes:
    """A JSON array of events as the API spells them."""
    return _encode([_spelled(event) for event in events])


def decode_events(text: bytes) -> list[HistoryEvent]:
    """What ``encode_events`` wrote."""
    return [
        HistoryEvent(e.id, e.previousEventId, e.timestamp, e.type, getattr(e, DETAILS[e.type], None))
        for e in _decode(text)
    ]


def encode_page(events: Iterable[bytes], next_token: str | None) -> bytes:
    """The answer of GetExecutionHistory, as JSON, of texts that each are a JSON array of events."""
    pieces: list[bytes | memoryview] = []
    for text in events:
        pieces += (b",", memoryview(text)[1:-1])
    pieces[:1] = [b'{"events":[']
    pieces.append(b"]}" if next_token is None else b'],"nextToken":' + _encode(next_token) + b"}")
    return b"".join(pieces)


@runtime_checkable
class EncodedHistory(Protocol):
    """An implementation that can answer GetExecutionHistory as the wire spells it, without reading what it passes on."""

    async def encoded_history(self, request: GetExecutionHistoryInput, /) -> bytes: ...


def _details_member(event_type: str) -> str:
    """The member of HistoryEvent that holds the details of this type."""
    if event_type.endswith("StateEntered"):
        return "stateEnteredEventDetails"
    if event_type.endswith("StateExited"):
        return "stateExitedEventDetails"
    return f"{event_type[0].lower()}{event_type[1:]}EventDetails"


class _Details(dict[str, str]):
    def __missing__(self, event_type: str) -> str:
        member = self[event_type] = _details_member(event_type)
        return member


DETAILS = _Details()
"""Event type -> name of the member that holds its details."""

TERMINAL = {"ExecutionSucceeded", "ExecutionFailed", "ExecutionAborted", "ExecutionTimedOut"}
"""Types of the event that ends a history."""

_DETAILS_OF = {
    "activity": ("Failed", "Scheduled", "ScheduleFailed", "Started", "Succeeded", "TimedOut"),
    "evaluation": ("Failed",),
    "execution": ("Aborted", "Failed", "Redriven", "Started", "Succeeded", "TimedOut"),
    "lambdaFunction": ("Failed", "Scheduled", "ScheduleFailed", "StartFailed", "Succeeded", "TimedOut"),
    "mapIteration": ("Aborted", "Failed", "Started", "Succeeded"),
    "mapRun": ("Failed", "Redriven", "Started"),
    "mapState": ("Started",),
    "state": ("Entered", "Exited"),
    "task": ("Failed", "Scheduled", "Started", "StartFailed", "SubmitFailed", "Submitted", "Succeeded", "TimedOut"),
}
"""The members for details, by what they begin with."""
_MEMBERS = [f"{subject}{what}EventDetails" for subject, happenings in _DETAILS_OF.items() for what in happenings]

_EVENT: list[tuple[str, type]] = [("timestamp", float), ("type", str), ("id", int), ("previousEventId", int)]

_AnyEvent: Any = defstruct("_AnyEvent", [*_EVENT, *((member, dict[str, Any] | None, None) for member in _MEMBERS)])
_decode = Decoder(list[_AnyEvent]).decode
_encode = Encoder().encode


class _Spellings(dict[str, Any]):
    def __missing__(self, event_type: str) -> Any:
        made = self[event_type] = defstruct(event_type, [*_EVENT, (DETAILS[event_type], dict[str, Any])])
        return made


_with_details = _Spellings()
"""Event type -> struct that is encoded as the API spells it: what a dictionary is made for takes longer."""
_without_details = defstruct("_Event", _EVENT)


def _spelled(event: HistoryEvent) -> Any:
    if event.details is None:
        return _without_details(event.timestamp, event.type, event.id, event.previous_event_id)
    return _with_details[event.type](event.timestamp, event.type, event.id, event.previous_event_id, event.details)
