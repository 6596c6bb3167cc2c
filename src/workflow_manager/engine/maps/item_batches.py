"""From items to the inputs of child executions: which items go together, and how their batch is written.

Pure. Source: SFN developer guide, "ItemBatcher (Map)".
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from workflow_manager.engine.core.data import text_of
from workflow_manager.engine.core.stimuli import Batcher


class ChildInput(NamedTuple):
    """The input of one child execution as JSON text, and how many items are in it."""

    text: str
    items: int


class TooLarge(Exception):
    """An item does not fit into any batch."""


class Batches:
    """Takes items one by one and answers batches as they become full. Without a Batcher every item is one."""

    def __init__(self, batcher: Batcher | None) -> None:
        self._batcher = batcher
        self._texts: list[str] = []
        self._before, self._after = batcher.frame if batcher is not None else ("", "")
        self._empty = len((self._before + self._after).encode())
        self._size = self._empty

    def add(self, value: Any) -> Iterator[ChildInput]:
        """Raises TooLarge."""
        text = text_of(value)
        batcher = self._batcher
        if batcher is None:
            yield ChildInput(text, 1)
            return
        size = len(text) if text.isascii() else len(text.encode())
        if self._texts and self._size + 1 + size > batcher.most_bytes:
            yield self._take()
        if not self._texts and self._empty + size > batcher.most_bytes:
            raise TooLarge(
                f"An item takes {self._empty + size} bytes in a batch of its own, more than the "
                f"{batcher.most_bytes} that a batch may have."
            )
        self._size += size + bool(self._texts)
        self._texts.append(text)
        if len(self._texts) == batcher.most_items:
            yield self._take()

    def rest(self) -> Iterator[ChildInput]:
        """The last batch, if anything is in it."""
        if self._texts:
            yield self._take()

    @property
    def pending(self) -> int:
        """Items taken in that are in no batch yet."""
        return len(self._texts)

    def _take(self) -> ChildInput:
        batch = ChildInput(self._before + ",".join(self._texts) + self._after, len(self._texts))
        self._texts = []
        self._size = self._empty
        return batch
