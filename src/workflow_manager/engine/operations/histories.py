"""Histories as they are read: pages of rows that hold a step's events each, as the wire spells them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from workflow_manager.database import Database
from workflow_manager.engine.operations.pages import page_of, page_token
from workflow_manager.engine.shell.payloads import Payloads
from workflow_manager.engine.shell.schema import NUMBER, SHIFT
from workflow_manager.stepfunctions import types as t
from workflow_manager.stepfunctions.errors import InvalidToken
from workflow_manager.stepfunctions.history import encode_events, encode_page

EXECUTION_DATA = ("input", "output", "parameters", "cause", "error")
"""Members of event details that includeExecutionData=false leaves out."""

_each = msgspec.json.Decoder(list[msgspec.Raw]).decode
_encode = msgspec.json.Encoder().encode


class Histories:
    def __init__(self, database: Database, payloads: Payloads) -> None:
        self._database = database
        self._payloads = payloads

    def page(self, execution_id: int, request: t.GetExecutionHistoryInput) -> t.GetExecutionHistoryOutput:
        page = self._page(execution_id, request)
        events = [event for row in page.rows for event in self._payloads.events(row[2])[page.within(row)]]
        if request.reverse_order:
            events.reverse()
        if request.include_execution_data is False:
            for event in events:
                if event.details is not None:
                    event.details = {k: v for k, v in event.details.items() if k not in EXECUTION_DATA}
        return t.GetExecutionHistoryOutput(events=events, next_token=page.token)

    def encoded_page(self, execution_id: int, request: t.GetExecutionHistoryInput) -> bytes:
        """The same as JSON, as the wire spells it. Rows are passed on as they were written."""
        if request.include_execution_data is False:
            answer = self.page(execution_id, request)
            return encode_page([encode_events(answer.events)], answer.next_token)
        page = self._page(execution_id, request)
        texts: list[bytes] = []
        for row in page.rows:
            key, last, _ = row
            text = self._payloads.plain(row[2])
            if page.first <= key & NUMBER and last <= page.last and not request.reverse_order:
                texts.append(text)
            else:
                texts.append(_encode(_each(text)[page.within(row)][:: -1 if request.reverse_order else 1]))
        if request.reverse_order:
            texts.reverse()
        return encode_page(texts, page.token)

    def _page(self, execution_id: int, request: t.GetExecutionHistoryInput) -> _Page:
        limit, at = page_of(request.max_results, request.next_token, int)
        if at is not None and at > NUMBER:
            raise InvalidToken("Invalid Token: 'Invalid token'")
        end = self.last_event_id(execution_id)
        if request.reverse_order:
            last = end if at is None else min(at, end)
            first = max(last - limit + 1, 1)
            following = first - 1 or None
        else:
            first = at or 1
            last = min(first + limit - 1, end)
            following = last + 1 if last < end else None
        base = execution_id << SHIFT
        rows = self._database.read(
            "SELECT key, last, events FROM history WHERE key <= :last AND key >= "
            "(SELECT max(key) FROM history WHERE key > :base AND key <= :first) ORDER BY key",
            {"base": base, "first": base + first, "last": base + last},
        )
        return _Page(first, last, rows, page_token(following) if following is not None else None)

    def last_event_id(self, execution_id: int) -> int:
        """0 where there is no history."""
        base = execution_id << SHIFT
        rows = self._database.read(
            "SELECT last FROM history WHERE key > ? AND key < ? ORDER BY key DESC LIMIT 1", (base, base + (1 << SHIFT))
        )
        return int(rows[0][0]) if rows else 0


class _Page(NamedTuple):
    """A page of a history: the ids of its first and last event (ids have no gaps), and the rows that hold them, in order."""

    first: int
    last: int
    rows: Sequence[tuple[Any, ...]]
    token: str | None

    def within(self, row: tuple[Any, ...]) -> slice:
        """Which of a row's events are on the page."""
        begins = row[0] & NUMBER
        return slice(max(self.first - begins, 0), self.last - begins + 1)
