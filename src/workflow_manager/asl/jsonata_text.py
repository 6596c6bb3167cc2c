"""Values as text, and text as numbers, as JavaScript has them."""

from __future__ import annotations

import json
import math
import re
from decimal import Decimal
from typing import Any

from .jsonata_values import JsonataFault, Value, is_function, number

_quoted = json.JSONEncoder(ensure_ascii=False).encode
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:[Ee][-+]?\d{1,5})?", re.ASCII)
_RADIX = re.compile(r"0[xX][0-9A-Fa-f]{1,64}|0[oO][0-7]{1,64}|0[bB][01]{1,64}")


def number_text(value: float) -> str:
    """A number as JavaScript writes it: no exponent from 1e-6 to 1e21; fractions to 15 digits."""
    if value.__class__ is int:
        if -(10**21) < value < 10**21:
            return str(value)
        value = float(value)
    if value.is_integer() and abs(value) < 1e21:
        return str(int(value))
    if not value.is_integer():
        value = float(f"{value:.15g}")
    text = repr(value)
    mantissa, _, exponent = text.partition("e")
    if exponent:
        power = int(exponent)
        if -7 < power < 21:
            return format(Decimal(text), "f")
        return f"{mantissa.removesuffix('.0')}e{'+' if power > 0 else '-'}{abs(power)}"
    if 0 < abs(value) < 1e-6:
        shifted = Decimal(text).normalize()
        digits = "".join(map(str, shifted.as_tuple().digits))
        power = shifted.adjusted()
        sign = "-" if value < 0 else ""
        return f"{sign}{digits[0]}{'.' + digits[1:] if len(digits) > 1 else ''}e-{-power}"
    return text.removesuffix(".0")


def string(run: Any, value: Value, *, pretty: bool = False) -> str:
    """``$string``. Raises JsonataFault."""
    kind = value.__class__
    if kind is str:
        return str(value)
    if kind is bool:
        return "true" if value else "false"
    if kind is int or kind is float:
        if not math.isfinite(value):
            raise JsonataFault("D3001")
        return number_text(value)
    if is_function(value):
        return ""
    parts: list[str] = []
    _write(run, value, parts, "\n" if pretty else "")
    return str(run.text("".join(parts)))


def _write(run: Any, value: Value, parts: list[str], line: str) -> None:
    run.charge(1)
    if value is None:
        parts.append("null")
    elif value is True or value is False:
        parts.append("true" if value else "false")
    elif isinstance(value, str):
        run.charge(len(value) >> 8)
        parts.append(_quoted(value))
    elif isinstance(value, (int, float)):
        if not math.isfinite(value):
            raise JsonataFault("D1001", value)
        parts.append(number_text(value))
    elif isinstance(value, list):
        inner = line + "  " if line else ""
        start = "["
        for item in value:
            parts.append(start + inner)
            _write(run, item, parts, inner)
            start = ","
        parts.append("[]" if start == "[" else line + "]")
    elif isinstance(value, dict):
        inner = line + "  " if line else ""
        start = "{"
        for key, item in value.items():
            parts.append(f"{start}{inner}{_quoted(key)}:{' ' if line else ''}")
            _write(run, item, parts, inner)
            start = ","
        parts.append("{}" if start == "{" else line + "}")
    else:
        parts.append('""')


def to_number(value: Value) -> float:
    """``$number``. Raises JsonataFault."""
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, (int, float)):
        return value
    if isinstance(value, str) and len(value) < 2000:
        if _NUMBER.fullmatch(value):
            made = float(value)
            if math.isfinite(made):
                return int(value) if value.lstrip("-").isdigit() and len(value) < 19 else number(made)
        elif _RADIX.fullmatch(value):
            return number(float(int(value, 0)))
    raise JsonataFault("D3030", value if not isinstance(value, str) else value[:100])
