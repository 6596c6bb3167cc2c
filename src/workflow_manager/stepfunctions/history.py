"""A history event, whatever its type.

AWS has one optional member per kind of details (37 of them), of which an event fills at most one. Here an event is one
small value: its type, and its details as AWS spells them. ``DETAILS`` says which member the details are on the wire.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from msgspec import Raw, Struct
from msgspec.json import Encoder

if TYPE_CHECKING:
    from workflow_manager.stepfunctions.types import GetExecutionHistoryInput


class HistoryEvent(Struct, array_like=True):
    """One event of an execution's history (API reference, HistoryEvent).

    ``details`` keeps AWS's own spelling of its members (``inputDetails``, ``workerName``); ``timestamp`` is in seconds
    since the epoch. Encoded as an array: this is also how the embedded engine stores it.
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


class StoredEvent(Struct, array_like=True):
    """A HistoryEvent as it was stored, its details unread: what is only passed on need not be."""

    id: int
    previous_event_id: int
    timestamp: float
    type: str
    details: Raw = Raw(b"null")

    def wire(self) -> dict[str, Any]:
        """The event as the API spells it."""
        event = {
            "timestamp": self.timestamp,
            "type": self.type,
            "id": self.id,
            "previousEventId": self.previous_event_id,
        }
        if self.details != NO_DETAILS:
            event[DETAILS[self.type]] = self.details
        return event


NO_DETAILS = Raw(b"null")

_encode = Encoder().encode


def encode_page(events: Sequence[HistoryEvent] | Sequence[StoredEvent], next_token: str | None) -> bytes:
    """The answer of GetExecutionHistory, as JSON."""
    page: dict[str, Any] = {"events": [event.wire() for event in events]}
    if next_token is not None:
        page["nextToken"] = next_token
    return _encode(page)


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
