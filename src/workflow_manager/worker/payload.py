"""JSON objects as tasks and commands exchange them: read strictly, written compactly, never a value that JSON lacks."""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn


class NotAnObject(ValueError):
    """A text is not a JSON object; the message says what it is instead, without quoting it."""


def parse_object(text: str) -> dict[str, Any]:
    """Read a JSON object. Raises NotAnObject for anything else: bad JSON, NaN, numbers no double holds, other values."""
    try:
        value = json.loads(text, parse_constant=_refuse_constant, parse_float=_finite)
    except RecursionError:
        raise NotAnObject("it is nested too deeply") from None
    except ValueError as error:
        raise NotAnObject(str(error)) from None
    if not isinstance(value, dict):
        raise NotAnObject(f"it is {_kind(value)}")
    return value


def compact(value: dict[str, Any]) -> str:
    """Write an object without spaces, its fields in their order; the text can always be encoded as UTF-8."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    try:
        text.encode()
    except UnicodeEncodeError:  # half a surrogate pair, which JSON can escape and UTF-8 cannot hold
        return json.dumps(value, allow_nan=False, separators=(",", ":"))
    return text


def _kind(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case str():
            return "a string"
        case _:
            return "an array"


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON value")


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise ValueError("a number is too large for a double")
    return number
