r"""Intrinsic function calls as text: ``States.Format('{} is {}', $.name, States.UUID())``.

Source: ASL, "Intrinsic Functions". An argument is a path, a call, text in single quotes, a number, true, false or null. In text,
``\'``, ``\{``, ``\}`` and ``\\`` stand for the character after the backslash; no other escape exists.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TypeAlias

from .paths import MAX_LENGTH, Path, PathError, parse

MAX_NESTING = 10
"""Calls within calls (Step Functions guide, "Intrinsic functions": up to 10)."""

_CALL = re.compile(r"States\.([A-Za-z0-9]+)\s*\(")
_TEXT = re.compile(r"'((?:[^'\\]|\\['{}\\])*)'")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d{1,3})?(?=[\s,)]|$)")
_WORD = re.compile(r"(?:true|false|null)(?=[\s,)]|$)")
_WORDS = {"true": True, "false": False, "null": None}


class IntrinsicError(ValueError):
    """The text is no call of an intrinsic function; the message says why."""


class IllegalTextError(IntrinsicError):
    """Text in quotes is not closed or has an escape that does not exist."""


@dataclass(frozen=True, slots=True)
class Text:
    """Text in quotes, with its escapes."""

    raw: str


@dataclass(frozen=True, slots=True)
class Constant:
    value: float | bool | None


@dataclass(frozen=True, slots=True)
class Call:
    """``text`` is the call as it was written, for messages."""

    name: str
    arguments: tuple[Argument, ...]
    text: str


Argument: TypeAlias = Text | Constant | Path | Call


def parse_call(text: str) -> Call:
    """Parse one call. Raises IntrinsicError."""
    if len(text) > MAX_LENGTH * 4:
        raise IntrinsicError(f"a function call has at most {MAX_LENGTH * 4} characters")
    start = _skip_blanks(text, 0)
    call, end = _call(text, start, depth=1)
    if _skip_blanks(text, end) != len(text):
        raise IntrinsicError(f"nothing may follow the call, but at character {end + 1} something does")
    return call


def _call(text: str, at: int, depth: int) -> tuple[Call, int]:
    if depth > MAX_NESTING:
        raise IntrinsicError(f"calls nest at most {MAX_NESTING} deep")
    head = _CALL.match(text, at)
    if head is None:
        raise IntrinsicError(f"a call such as States.UUID() is expected at character {at + 1}")
    arguments: list[Argument] = []
    place = _skip_blanks(text, head.end())
    if text.startswith(")", place):
        return Call(head[1], (), text[at : place + 1]), place + 1
    while True:
        argument, place = _argument(text, place, depth)
        arguments.append(argument)
        place = _skip_blanks(text, place)
        if text.startswith(")", place):
            return Call(head[1], tuple(arguments), text[at : place + 1]), place + 1
        if not text.startswith(",", place):
            raise IntrinsicError(f"',' or ')' is expected at character {place + 1}")
        place = _skip_blanks(text, place + 1)


def _argument(text: str, at: int, depth: int) -> tuple[Argument, int]:
    if text.startswith("$", at):
        end = _end_of_path(text, at)
        try:
            return parse(text[at:end].rstrip()), end
        except PathError as error:
            raise IntrinsicError(str(error)) from None
    if text.startswith("'", at):
        if found := _TEXT.match(text, at):
            return Text(found[1]), found.end()
        raise IllegalTextError(
            f"the text at character {at + 1} is not closed, or has an escape other than \\', \\{{, \\}} and \\\\"
        )
    if found := _WORD.match(text, at):
        return Constant(_WORDS[found[0]]), found.end()
    if found := _NUMBER.match(text, at):
        if len(found[0]) > 100:
            raise IntrinsicError("a number has at most 100 digits")
        return Constant(_number(found[0])), found.end()
    return _call(text, at, depth + 1)


def _number(text: str) -> float:
    return int(text) if text.lstrip("-").isdigit() else float(text)


def _skip_blanks(text: str, at: int) -> int:
    while at < len(text) and text[at].isspace():
        at += 1
    return at


def _end_of_path(text: str, at: int) -> int:
    """Return where a path in an argument ends: at the comma or parenthesis that is not inside its brackets."""
    depth = 0
    quote = ""
    place = at
    while place < len(text):
        character = text[place]
        if quote:
            if character == "\\":
                place += 1
            elif character == quote:
                quote = ""
        elif character in "'\"" and depth:
            quote = character
        elif character in "[(":
            depth += 1
        elif character in "])" and depth:
            depth -= 1
        elif character in ",)":
            break
        place += 1
    return place
