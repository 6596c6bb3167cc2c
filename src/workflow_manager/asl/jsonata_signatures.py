"""Signatures of JSONata functions, such as ``<s-nn?:s>``: which arguments there may be, and what the context stands in for.

Source: JSONata documentation, "Function signature syntax".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from .jsonata_values import UNDEFINED, JsonataFault, Value, is_function

_NAMES = {
    "a": "arrays",
    "b": "booleans",
    "f": "functions",
    "n": "numbers",
    "o": "objects",
    "s": "strings",
}


@dataclass(slots=True)
class _Parameter:
    type: str
    regex: str
    context: bool = False
    context_regex: str = ""
    subtype: str | None = None


def symbol(value: Value) -> str:
    """The letter of a value's type."""
    kind = value.__class__
    if kind is str:
        return "s"
    if kind is bool:
        return "b"
    if kind is int or kind is float:
        return "n"
    if value is None:
        return "l"
    if value is UNDEFINED:
        return "m"
    if isinstance(value, list):
        return "a"
    if isinstance(value, dict):
        return "o"
    return "f" if is_function(value) else "m"


class Signature:
    """A parsed signature. Raises JsonataFault (S0401, S0402) for one that means nothing."""

    __slots__ = ("_parameters", "_regex", "required")

    def __init__(self, text: str) -> None:
        self._parameters = _parse(text)
        self._regex = re.compile("".join(f"({parameter.regex})" for parameter in self._parameters))
        self.required = sum("?" not in parameter.regex or parameter.context for parameter in self._parameters)

    @classmethod
    def of_library(cls, parsed: Any) -> Signature:
        """The same signature as the library parsed it, with our rules."""
        made = cls.__new__(cls)
        made._parameters = [
            _Parameter(
                parameter.type or "x",
                parameter.regex,
                bool(parameter.context),
                parameter.regex.rstrip("?"),
                parameter.subtype,
            )
            for parameter in parsed._params
        ]
        made._regex = re.compile("".join(f"({parameter.regex})" for parameter in made._parameters))
        made.required = len(made._parameters)
        return made

    def validate(self, arguments: list[Value], context: Value, name: str) -> list[Value]:
        """Return the arguments as the function wants them. Raises JsonataFault."""
        symbols = "".join(map(symbol, arguments))
        found = self._regex.fullmatch(symbols)
        if found is None:
            raise self._fault(symbols, name)
        validated: list[Value] = []
        at = 0
        for index, parameter in enumerate(self._parameters):
            matched = found[index + 1]
            if not matched:
                if parameter.context and parameter.context_regex:
                    if not re.fullmatch(parameter.context_regex, symbol(context)):
                        raise JsonataFault("T0411", at + 1, name)
                    validated.append(context)
                else:
                    validated.append(arguments[at] if at < len(arguments) else UNDEFINED)
                    at += 1
                continue
            for single in matched:
                argument = arguments[at] if at < len(arguments) else UNDEFINED
                if parameter.type == "a" and single != "m":
                    if parameter.subtype is not None and not _holds(argument, single, matched, parameter.subtype):
                        raise JsonataFault("T0412", at + 1, name, _NAMES.get(parameter.subtype[0], "values"))
                    if single != "a":
                        argument = [argument]
                validated.append(argument)
                at += 1
        return validated

    def _fault(self, symbols: str, name: str) -> JsonataFault:
        pattern = ""
        good = 0
        for parameter in self._parameters:
            pattern += parameter.regex
            found = re.match(pattern, symbols)
            if found is None:
                break
            good = found.end()
        return JsonataFault("T0410", good + 1, name)


def _holds(argument: Value, single: str, matched: str, subtype: str) -> bool:
    """Whether an argument is an array of the type, or one such value."""
    if single != "a":
        return matched == subtype
    return all(symbol(item) == subtype[0] for item in argument)


@lru_cache(maxsize=256)
def _parse_cached(text: str) -> tuple[_Parameter, ...]:
    parameters: list[_Parameter] = []
    at = 1
    while at < len(text):
        letter = text[at]
        if letter == ":":
            break
        if letter in "snblo":
            parameters.append(_Parameter(letter, f"[{letter}m]"))
        elif letter == "a":
            parameters.append(_Parameter("a", "[asnblfom]"))
        elif letter == "f":
            parameters.append(_Parameter("f", "f"))
        elif letter == "j":
            parameters.append(_Parameter("j", "[asnblom]"))
        elif letter == "x":
            parameters.append(_Parameter("x", "[asnblfom]"))
        elif letter == "-":
            last = parameters[-1]
            last.context, last.context_regex = True, last.regex
            last.regex += "?"
        elif letter in "?+":
            parameters[-1].regex += letter
        elif letter == "(":
            end = text.index(")", at)
            choice = text[at + 1 : end]
            if "<" in choice:
                raise JsonataFault("S0402")
            parameters.append(_Parameter(f"({choice})", f"[{choice}m]"))
            at = end
        elif letter == "<":
            if not parameters or parameters[-1].type not in ("a", "f"):
                raise JsonataFault("S0401")
            end = text.index(">", at)
            parameters[-1].subtype = text[at + 1 : end]
            at = end
        at += 1
    return tuple(parameters)


def _parse(text: str) -> list[_Parameter]:
    return list(_parse_cached(text))
