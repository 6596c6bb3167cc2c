"""Regular expressions that take time linear in the text, whatever the pattern: JavaScript's and Java's syntax on RE2.

Expressions come with definitions and texts with inputs, so neither may cost more than it says. RE2 has neither backreferences nor
lookaround; a pattern with them is refused where it is compiled. What is spelled differently is translated.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import re2

MAX_PATTERN = 2000
"""Characters of a pattern."""
_MAX_MEMORY = 4 << 20
"""Bytes that the automaton of one pattern may take."""

_LOOKAROUND = re.compile(r"\(\?<?[=!]")
_BACKREFERENCE = re.compile(r"\\(?:[1-9]|k<)")
_SURROGATE = re.compile("[\ud800-\udfff]")
_SPACES = r"\s\x0b\x{a0}\x{feff}\p{Z}"
_OUTSIDE = {"s": f"[{_SPACES}]", "S": f"[^{_SPACES}]", "/": "/", "-": "-", "'": "'", '"': '"', "Z": r"\z", "e": r"\x1b"}
_INSIDE = {"s": _SPACES, "/": "/", "'": "'", '"': '"', "b": r"\x08", "e": r"\x1b"}
_HEX = re.compile(r"u([0-9a-fA-F]{4})|u\{([0-9a-fA-F]{1,6})\}")


class RegexError(ValueError):
    """The pattern cannot be compiled; the message says why."""


@dataclass(frozen=True, slots=True)
class Match:
    """One match: its text, where it starts and ends, and its groups (None for one that took no part)."""

    text: str
    start: int
    end: int
    groups: tuple[str | None, ...]


class Regex:
    """A compiled pattern. Immutable."""

    __slots__ = ("_compiled", "pattern")

    def __init__(self, pattern: str, compiled: Any) -> None:
        self.pattern = pattern
        self._compiled = compiled

    def fullmatch(self, text: str) -> bool:
        return self._compiled.fullmatch(_encodable(text)) is not None

    def groups(self, text: str) -> tuple[str | None, ...] | None:
        """The groups of a match of the whole text; None when it does not match."""
        found = self._compiled.fullmatch(_encodable(text))
        return None if found is None else tuple(found.groups())

    def find(self, text: str) -> Iterator[Match]:
        """Find the matches one after the other. Each looks at most once through what is left of the text."""
        for found in self._compiled.finditer(_encodable(text)):
            start, end = found.span()
            spans = (found.span(group + 1) for group in range(self._compiled.groups))
            yield Match(text[start:end], start, end, tuple(None if a < 0 else text[a:b] for a, b in spans))


@lru_cache(maxsize=1024)
def compile_regex(pattern: str, *, ignore_case: bool = False, multiline: bool = False, dot_all: bool = False) -> Regex:
    """Compile a pattern. Raises RegexError."""
    if len(pattern) > MAX_PATTERN:
        raise RegexError(f"a regular expression has at most {MAX_PATTERN} characters")
    if _LOOKAROUND.search(pattern):
        raise RegexError(f"lookahead and lookbehind, as in /{pattern}/, are not supported in regular expressions")
    flags = ("m" if multiline else "") + ("s" if dot_all else "")
    options = re2.Options()
    options.case_sensitive = not ignore_case
    options.max_mem = _MAX_MEMORY
    options.log_errors = False
    try:
        compiled = re2.compile((f"(?{flags})" if flags else "") + _translate(pattern), options)
    except (re2.error, UnicodeEncodeError) as error:
        if _BACKREFERENCE.search(pattern):
            raise RegexError(f"backreferences, as in /{pattern}/, are not supported in regular expressions") from None
        reason = error.args[0]
        reason = reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
        raise RegexError(f"/{pattern}/ is no regular expression: {reason}") from None
    return Regex(pattern, compiled)


def _encodable(text: str) -> str:
    """The text with a stand-in of the same length for what UTF-8 cannot hold."""
    return text if text.isascii() else _SURROGATE.sub("\ufffd", text)


def _translate(pattern: str) -> str:
    """Spell a pattern as RE2 does."""
    parts: list[str] = []
    at = 0
    inside = False
    while at < len(pattern):
        character = pattern[at]
        if character == "\\" and at + 1 < len(pattern):
            following = pattern[at + 1]
            if found := _HEX.match(pattern, at + 1):
                parts.append(f"\\x{{{found[1] or found[2]}}}")
                at = found.end()
                continue
            parts.append((_INSIDE if inside else _OUTSIDE).get(following, "\\" + following))
            at += 2
            continue
        if inside:
            inside = character != "]"
            parts.append("\\[" if character == "[" else character)
            at += 1
            continue
        if character == "[":
            inside = True
            for empty, meaning in (("[^]", r"(?s:.)"), ("[]", r"[^\x00-\x{10ffff}]")):
                if pattern.startswith(empty, at):
                    parts.append(meaning)
                    at += len(empty)
                    inside = False
                    break
            if not inside:
                continue
        parts.append(character)
        at += 1
    return "".join(parts)
