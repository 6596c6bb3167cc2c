"""JSON as text: how AWS writes it into messages, and what is read from the texts that executions hold."""

from __future__ import annotations

import json
import re
from typing import NoReturn

from .program import Json

MAX_DEPTH = 500
"""Levels of nesting of what is read: everything that walks a value may recurse."""


_HALF = re.compile("[\ud800-\udfff]")


def to_text(value: Json) -> str:
    """Write JSON without spaces and without escapes of what is not ASCII."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def has_half(text: str) -> bool:
    """Whether a text holds half of a surrogate pair, which is no character and has no UTF-8, though JSON has an escape for it."""
    return not text.isascii() and _HALF.search(text) is not None


def is_longer(value: Json, characters: int) -> bool:
    """Whether JSON text of the value would be longer, roughly; looks no further than that, however often a part is in it."""
    left = characters
    waiting = [value]
    while waiting:
        inner = waiting.pop()
        if isinstance(inner, str):
            left -= len(inner) + 2
        elif isinstance(inner, dict):
            left -= 2 + sum(map(len, inner)) + 4 * len(inner)
            waiting.extend(inner.values())
        elif isinstance(inner, list):
            left -= 2 + len(inner)
            waiting.extend(inner)
        else:
            left -= 1
        if left < 0:
            return True
    return False


def from_text(text: str) -> Json:
    """Read JSON. Raises ValueError for what is none, or is nested too deeply."""
    try:
        value = json.loads(text, parse_constant=_refuse)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if text.count("[") + text.count("{") > MAX_DEPTH:
        _check_depth(value)
    if ("\\u" in text or not text.isascii()) and has_half(to_text(value)):
        raise ValueError("half of a surrogate pair is no character")
    return value


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number in JSON")


def _check_depth(value: Json) -> None:
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            inner
            for outer in level
            if isinstance(outer, (dict, list))
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
        if not level:
            return
    raise ValueError("nested too deeply")
