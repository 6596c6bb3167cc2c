"""What is kept of a command's output while it passes through: bounded memory however much there is."""

from __future__ import annotations


class LastLine:
    """The last line that is not blank.

    Of a line longer than ``limit`` bytes only the beginning is kept; ``too_long`` then says so.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._open = bytearray()
        self._open_too_long = False
        self._line = b""
        self._too_long = False

    def feed(self, chunk: bytes) -> None:
        first, *others = chunk.split(b"\n")
        self._extend(first)
        for part in others:
            self._end_line()
            self._extend(part)

    def finish(self) -> None:
        """The output has ended: a last line needs no newline."""
        self._end_line()

    @property
    def text(self) -> str:
        """The line without the blanks around it; bytes that are not UTF-8 become U+FFFD. Empty if every line is blank."""
        return self._line.decode("utf-8", "replace").strip()

    @property
    def too_long(self) -> bool:
        return self._too_long

    def _extend(self, part: bytes) -> None:
        room = self._limit - len(self._open)
        self._open += part[:room]
        self._open_too_long |= len(part) > room

    def _end_line(self) -> None:
        if self._open_too_long or self._open.strip():
            self._line = bytes(self._open)
            self._too_long = self._open_too_long
        self._open.clear()
        self._open_too_long = False


class Tail:
    """The last ``limit`` bytes."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._bytes = bytearray()
        self._cut = False

    def feed(self, chunk: bytes) -> None:
        self._cut |= len(self._bytes) + len(chunk) > self._limit
        self._bytes += chunk[-self._limit :]
        if len(self._bytes) > 2 * self._limit:  # now and then, not at every chunk
            del self._bytes[: -self._limit]

    @property
    def text(self) -> str:
        """Without the blanks around it; bytes that are not UTF-8 become U+FFFD."""
        kept = bytes(self._bytes[-self._limit :])
        if self._cut:  # perhaps within a character, of which up to three bytes are left
            kept = kept[:3].lstrip(_CONTINUATION) + kept[3:]
        return kept.decode("utf-8", "replace").strip()


_CONTINUATION = bytes(range(0x80, 0xC0))
"""Bytes that continue a UTF-8 character."""
