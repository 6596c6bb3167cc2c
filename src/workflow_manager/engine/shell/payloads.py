"""Large payloads: where the limit on them is lifted, each is stored once, and referred to from wherever it occurs.

A reference stands in the place of a JSON text, in rows only: it begins with a NUL, with which no JSON text begins. Small
payloads, and all of them under AWS's limit, are stored where they occur; nothing is looked up for those.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

from workflow_manager.database import Batch, Database
from workflow_manager.stepfunctions.history import HistoryEvent, decode_events, encode_events

LARGE = 32_768
"""Texts of more characters than this are stored once."""
MARK = "\0"
REFERS = b" "
"""What a row of history begins with that has references in it."""
FIELDS = ("input", "output", "parameters")
"""Members of event details that hold JSON texts."""


class Payloads:
    """``lifted``: whether payloads may be larger than AWS's limit, so that it is worth while."""

    def __init__(self, database: Database, *, lifted: bool) -> None:
        self._query = database.query
        self.lifted = lifted
        self.newest: Callable[[], int] = int
        """The highest number that an execution has by now, which ``used`` remembers of a payload (retention.py)."""

    def kept(self, batch: Batch, text: str) -> str:
        """What to write in place of a text: itself, or a reference to it."""
        if not self.lifted or len(text) <= LARGE:
            return text
        digest = hashlib.sha256(text.encode()).digest()
        batch.execute(
            "INSERT INTO payload (hash, text, used) VALUES (?, ?, ?) ON CONFLICT (hash) DO UPDATE SET used = excluded.used",
            (digest, text, self.newest()),
        )
        ((number,),) = batch.execute("SELECT id FROM payload WHERE hash = ?", (digest,)).fetchall()
        return f"{MARK}{number}"

    def text(self, kept: str) -> str:
        """The text that ``kept`` is, or refers to."""
        if kept[:1] != MARK:
            return kept
        ((text,),) = self._query("SELECT text FROM payload WHERE id = ?", (int(kept[1:]),))
        return str(text)

    def kept_or_none(self, batch: Batch, text: str | None) -> str | None:
        return self.kept(batch, text) if text is not None else None

    def text_or_none(self, kept: str | None) -> str | None:
        return self.text(kept) if kept is not None else None

    def row(self, batch: Batch, events: list[HistoryEvent]) -> bytes:
        """Events as a row of history: a JSON array, with a space before it where they refer to payloads."""
        if not self.lifted:
            return encode_events(events)
        kept = [self._kept_event(batch, event) for event in events]
        refer = any(one is not event for one, event in zip(kept, events, strict=True))
        return REFERS + encode_events(kept) if refer else encode_events(kept)

    def events(self, row: bytes) -> list[HistoryEvent]:
        """The events of a row of history."""
        events = decode_events(row)
        if row.startswith(REFERS):
            self._resolve(events)
        return events

    def plain(self, row: bytes) -> bytes:
        """A row of history without references."""
        return encode_events(self.events(row)) if row.startswith(REFERS) else row

    def _kept_event(self, batch: Batch, event: HistoryEvent) -> HistoryEvent:
        details = event.details
        large = [name for name in FIELDS if details is not None and len(details.get(name) or "") > LARGE]
        if not large or details is None:
            return event
        changed: dict[str, Any] = {name: self.kept(batch, details[name]) for name in large}
        return HistoryEvent(event.id, event.previous_event_id, event.timestamp, event.type, details | changed)

    def _resolve(self, events: list[HistoryEvent]) -> None:
        """Put the texts back into events that were read."""
        for event in events:
            details = event.details
            if details is None:
                continue
            for name in FIELDS:
                kept = details.get(name)
                if kept is not None and kept[:1] == MARK:
                    details[name] = self.text(kept)
