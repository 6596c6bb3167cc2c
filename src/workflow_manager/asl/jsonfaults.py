"""What is wrong with a text that is not JSON, in the words and at the place that AWS's parser names: it is Jackson's.

Reads the text from left to right with a stack of what is open, and stops at the first fault; it makes no values. Jackson
counts columns from 1 and names the one after the last character that it has read.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NoReturn

VALUES = "(JSON String, Number, Array, Object or token 'null', 'true' or 'false')"
MAX_TOKEN = 256
MAX_READ = 65_536
"""How many characters are read; a fault after them is left to whoever found that the text is not JSON."""
MAX_SOURCE = 500
"""How much of a text is shown with the place of its fault."""

_SPACE = re.compile(r"[ \t\r\n]*")
_PLAIN = re.compile(r'[^"\\\x00-\x1f]*')
_TOKEN = re.compile(r"[\w$]*")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_ESCAPES = '"\\/bfnrt'
_HEX = frozenset("0123456789abcdefABCDEF")


@dataclass(frozen=True, slots=True)
class JsonFault(Exception):
    """``message`` says what is wrong; ``source`` where, as Jackson does: the text, the line and the column."""

    message: str
    source: str

    def __str__(self) -> str:
        return self.message


@dataclass(frozen=True, slots=True)
class _Open:
    """An object or array that has not ended: what Jackson calls it, what ends it, where it starts."""

    kind: str
    end: str
    start: int


def find_fault(text: str) -> JsonFault | None:
    """The first fault of a text; None if it is JSON as far as it is read."""
    try:
        _Reader(text).read()
    except JsonFault as fault:
        return fault
    return None


def place_in(text: str, line: int, column: int) -> str:
    """A place in a text, as Jackson writes it."""
    cut = f"[truncated {len(text) - MAX_SOURCE} chars]" if len(text) > MAX_SOURCE else ""
    return f'[Source: (String)"{text[:MAX_SOURCE]}"{cut}; line: {line}, column: {column}]'


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._open: list[_Open] = []

    # ------------------------------------------------------------------------------------------ structure

    def read(self) -> None:
        """Read the whole text. Raises JsonFault."""
        character = self._next()
        while self._at < MAX_READ:
            opened = self._value(character)
            character = self._next() if opened else ""
            if opened and character not in "]}":
                character = self._entry(character)
                continue
            if opened:
                self._close(character)
            if not self._open or not (character := self._following()):
                self._end()
                return

    def _end(self) -> None:
        self._skip_space()
        if self._at < len(self._text):
            self._at += 1
            self._fail("Unexpected character after the value: there is one value in a text")

    def _following(self) -> str:
        """Read on after a value: the ends of what is open, and up to the next value; its first character, if there is one."""
        while self._open:
            character = self._next()
            if character == ",":
                return self._entry(self._next(within=True))
            if character not in "]}":
                self._unexpected(f"was expecting comma to separate {self._open[-1].kind} entries")
            self._close(character)
        return ""

    def _next(self, *, within: bool = False) -> str:
        """Read the next character that is no space. ``within``: something has to follow it in what is open."""
        self._skip_space()
        if self._at == len(self._text):
            self._ended(within=within)
        character = self._text[self._at]
        self._at += 1
        if character < " ":
            allowed = r"only regular white space (\r, \n, \t) is allowed between tokens"
            self._fail(f"Illegal character ({_described(character)}): {allowed}")
        return character

    def _ended(self, *, within: bool) -> NoReturn:
        if not self._open:
            self._fail("No content to map due to end-of-input")
        inner = self._open[-1]
        if within:
            self._fail(f"Unexpected end-of-input within/between {inner.kind} entries")
        start = place_in(self._text, *self._place(inner.start))
        self._fail(f"Unexpected end-of-input: expected close marker for {inner.kind} (start marker at {start})")

    def _skip_space(self) -> None:
        found = _SPACE.match(self._text, self._at)
        assert found is not None
        self._at = found.end()

    def _close(self, character: str) -> None:
        inner = self._open[-1]
        if character != inner.end:
            self._mismatched(character, inner.end, inner.kind, *self._place(inner.start))
        self._open.pop()

    def _mismatched(self, character: str, end: str, kind: str, line: int, column: int) -> NoReturn:
        start = place_in(self._text, line, column)
        self._fail(f"Unexpected close marker '{character}': expected '{end}' (for {kind} starting at {start})")

    def _entry(self, character: str) -> str:
        """Read up to the value of an array's element, or of an object's field; the value's first character."""
        if self._open[-1].kind == "Array":
            return character
        if character != '"':
            self._unexpected("was expecting double-quote to start field name")
        self._string("name", " in field name")
        if self._next(within=True) != ":":
            self._unexpected("was expecting a colon to separate field name and value")
        return self._next(within=True)

    # ------------------------------------------------------------------------------------------ values

    def _value(self, character: str) -> bool:
        """Read a value; whether it is an object or array, of which only the beginning is read."""
        match character:
            case "{" | "[":
                kind, end = ("Object", "}") if character == "{" else ("Array", "]")
                self._open.append(_Open(kind, end, self._at - 1))
                return True
            case '"':
                self._string("string value", ": was expecting closing quote for a string value")
            case "]" | "}" if not self._open:
                self._mismatched(character, "}" if character == "]" else "]", "root", 1, 0)
            case "}":
                self._unexpected("expected a value")
            case _ if character == "-" or "0" <= character <= "9":
                self._number()
            case _ if character in "_$" or character.isalpha():
                self._word()
            case _:
                self._unexpected(f"expected a valid value {VALUES}")
        return False

    def _string(self, what: str, at_end: str) -> None:
        while True:
            found = _PLAIN.match(self._text, self._at)
            assert found is not None
            self._at = found.end()
            character = self._character(at_end)
            if character == '"':
                return
            if character != "\\":
                why = f"has to be escaped using backslash to be included in {what}"
                self._fail(f"Illegal unquoted character ({_described(character)}): {why}")
            self._escape()

    def _escape(self) -> None:
        character = self._character(" in character escape sequence")
        if character == "u":
            for _ in range(4):
                if self._character(" in character escape sequence") not in _HEX:
                    self._unexpected("expected a hex-digit for character escape sequence")
        elif character not in _ESCAPES:
            self._fail(f"Unrecognized character escape {_described(character)}")

    def _character(self, at_end: str) -> str:
        if self._at == len(self._text):
            self._fail(f"Unexpected end-of-input{at_end}")
        self._at += 1
        return self._text[self._at - 1]

    def _number(self) -> None:
        start = self._at - 1
        found = _NUMBER.match(self._text, start)
        if found is None:
            self._in_number("expected digit (0-9) to follow minus sign, for valid numeric value")
        self._at = found.end()
        following = self._text[self._at : self._at + 1]
        if following.isdigit():
            self._fail("Invalid numeric value: Leading zeroes not allowed")
        self._at += 1
        if following == ".":
            self._in_number("Decimal point not followed by a digit")
        elif following in ("e", "E"):
            self._at += self._text[self._at : self._at + 1] in ("+", "-")
            self._in_number("Exponent indicator not followed by a digit")
        elif following and not self._open and not following.isspace():
            self._unexpected("Expected space separating root-level values")
        self._at -= 1

    def _in_number(self, why: str) -> NoReturn:
        character = self._character(f" in a number: {why}")
        self._fail(f"Unexpected character ({_described(character)}) in numeric value: {why}")

    def _word(self) -> None:
        found = _TOKEN.match(self._text, self._at - 1)
        assert found is not None
        word, self._at = found[0], found.end()
        if word in ("NaN", "Infinity"):
            self._fail(f"Non-standard token '{word}': it is no number in JSON")
        if word not in ("null", "true", "false"):
            shown = word if len(word) < MAX_TOKEN else f"{word[:MAX_TOKEN]}..."
            self._fail(f"Unrecognized token '{shown}': was expecting {VALUES}")

    # ------------------------------------------------------------------------------------------ faults

    def _unexpected(self, why: str) -> NoReturn:
        self._fail(f"Unexpected character ({_described(self._text[self._at - 1])}): {why}")

    def _fail(self, message: str) -> NoReturn:
        raise JsonFault(message, place_in(self._text, *self._place(self._at)))

    def _place(self, at: int) -> tuple[int, int]:
        """Line and column of a character, or of where the next one would be."""
        return self._text.count("\n", 0, at) + 1, at - self._text.rfind("\n", 0, at)


def _described(character: str) -> str:
    code = ord(character)
    if code < 32 or 127 <= code < 160:
        return f"(CTRL-CHAR, code {code})"
    return f"'{character}' (code {code}{f' / {code:#x}' if code > 255 else ''})"
