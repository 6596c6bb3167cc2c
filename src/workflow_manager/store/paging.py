"""Where a page of workflows ends: places in the order of a list, and the opaque tokens that carry them to the next call.

A list is ordered by creation time, then by id. A token names the last item a client has seen, so the next page starts after
it whatever was inserted or deleted meanwhile. It holds for any filters, but for one direction only.
"""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal, NamedTuple

import msgspec

from workflow_manager.model import WorkflowQuery
from workflow_manager.model.errors import InvalidPageToken, InvalidRequest

MAX_LIMIT = 10_000

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_BEFORE_ALL_TIME = -(2**63)
_AFTER_ALL_TIME = 2**63 - 1

_Direction = Literal["newest", "oldest"]
_Token = tuple[Literal[1], _Direction, Annotated[int, msgspec.Meta(ge=_BEFORE_ALL_TIME, le=_AFTER_ALL_TIME)], str]
_TOKEN_DECODER = msgspec.json.Decoder(_Token)


class Place(NamedTuple):
    """A place in the order. ``created_at`` is in microseconds since the epoch, ``id`` breaks ties."""

    created_at: int
    id: str


class Range(NamedTuple):
    """Places from ``first`` (inclusive) up to ``end`` (exclusive), whichever way they are walked."""

    first: Place
    end: Place


def microseconds(time: datetime) -> int:
    """Microseconds since the epoch, exactly (a float of seconds would round)."""
    return (time - _EPOCH) // _MICROSECOND


def page_token(last: Place, *, oldest_first: bool) -> str:
    """The token of the page after ``last``: URL-safe characters only."""
    text = msgspec.json.encode((1, _direction(oldest_first), last.created_at, last.id))
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


def range_of(query: WorkflowQuery) -> Range:
    """What of the order a query may still answer: its creation times, from its page token on.

    Raises InvalidPageToken, and InvalidRequest for a limit that is not 1 to 10,000.
    """
    if not 1 <= query.limit <= MAX_LIMIT:
        raise InvalidRequest(f"limit: {query.limit} is not between 1 and {MAX_LIMIT}")
    first, end = Place(_BEFORE_ALL_TIME, ""), Place(_AFTER_ALL_TIME, "")
    if query.created_after is not None:
        first = Place(microseconds(query.created_after), "")
    if query.created_before is not None:
        end = Place(microseconds(query.created_before), "")
    if query.page_token is not None:
        last = _place_in(query.page_token, oldest_first=query.oldest_first)
        if query.oldest_first:
            first = max(first, Place(last.created_at, last.id + "\0"))  # the least text that comes after the id
        else:
            end = min(end, last)
    return Range(first, end)


def _place_in(token: str, *, oldest_first: bool) -> Place:
    try:
        padded = token.encode("ascii") + b"=" * (-len(token) % 4)
        _, direction, created_at, workflow_id = _TOKEN_DECODER.decode(base64.b64decode(padded, b"-_", validate=True))
    except (ValueError, msgspec.MsgspecError):  # ValueError: not ASCII, not base64, not UTF-8
        raise InvalidPageToken(
            "pageToken: this is not a token that a list of workflows answered; "
            "take it as it stands in the path of the next page, or leave it out to start from the first page"
        ) from None
    if direction != _direction(oldest_first):
        raise InvalidPageToken(
            f"pageToken: this token continues a list with the {direction} first; "
            f"ask with oldestFirst={str(direction == 'oldest').lower()}, or leave it out to start from the first page"
        )
    return Place(created_at, workflow_id)


def _direction(oldest_first: bool) -> _Direction:
    return "oldest" if oldest_first else "newest"
