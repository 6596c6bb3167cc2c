"""A JSON value together with its text: what flows between states.

History, storage and the API want the text, expressions want the value. Each is made from the other when first asked
for, so that data which passes through unchanged is neither parsed nor written twice.
"""

from __future__ import annotations

from typing import Any

import msgspec

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode
_NONE = object()


class Data:
    """Immutable by agreement: nobody changes ``value`` in place."""

    __slots__ = ("_text", "_value")

    def __init__(self, value: Any = _NONE, text: str | None = None) -> None:
        self._value = value
        self._text = text

    @property
    def text(self) -> str:
        if self._text is None:
            self._text = _encode(self._value).decode()
        return self._text

    @property
    def value(self) -> Any:
        if self._value is _NONE:
            assert self._text is not None
            self._value = _decode(self._text)
        return self._value

    def exceeds(self, limit_bytes: int) -> bool:
        """Whether the text takes more than ``limit_bytes`` in UTF-8."""
        text = self.text
        return len(text) > limit_bytes or (len(text) * 4 > limit_bytes and len(text.encode()) > limit_bytes)


def text_of(value: Any) -> str:
    """The JSON text of a value, without spaces."""
    return _encode(value).decode()


EMPTY = Data({}, "{}")
