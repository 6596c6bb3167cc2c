"""Answers of the Step Functions API, as JSON, in the seam's types."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import msgspec
from botocore.utils import parse_timestamp
from msgspec import Struct

from workflow_manager.stepfunctions import types as t
from workflow_manager.stepfunctions.history import DETAILS, HistoryEvent

Result = TypeVar("Result")


def decoder(operation: str, result_type: type[Result]) -> Callable[[bytes], Result]:
    """What decodes an operation's answers. It raises msgspec's errors for what is none."""
    if operation == "GetExecutionHistory":
        return _history  # type: ignore[return-value]  # the one operation whose type is not what is on the wire
    strict = msgspec.json.Decoder(result_type).decode

    def decode(body: bytes) -> Result:
        body = body or b"{}"
        try:
            return strict(body)
        except msgspec.ValidationError:  # some endpoints write times as text
            return msgspec.convert(_with_numbers_for_times(msgspec.json.decode(body)), result_type)

    return decode


class _Page(Struct, rename="camel"):
    events: list[dict[str, Any]]
    next_token: str | None = None


_page = msgspec.json.Decoder(_Page).decode


def _history(body: bytes) -> t.GetExecutionHistoryOutput:
    page = _page(body)
    return t.GetExecutionHistoryOutput(
        events=[
            HistoryEvent(
                event["id"],
                event.get("previousEventId", 0),
                _seconds(event["timestamp"]),
                event["type"],
                event.get(DETAILS[event["type"]]),
            )
            for event in page.events
        ],
        next_token=page.next_token,
    )


def _with_numbers_for_times(value: Any) -> Any:
    match value:
        case dict():
            return {
                key: _seconds(member)
                if key.endswith("Date") and isinstance(member, str)
                else _with_numbers_for_times(member)
                for key, member in value.items()
            }
        case list():
            return [_with_numbers_for_times(each) for each in value]
        case _:
            return value


def _seconds(at: float | str) -> float:
    return at if isinstance(at, (int, float)) else parse_timestamp(at).timestamp()
