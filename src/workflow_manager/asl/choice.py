"""Choice rules of the JSONPath query language: the comparison operators as a table, And, Or and Not around them.

Source: ASL, "Choice State". A comparison of values of other types than the operator's is false, not an error.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, Literal, TypeAlias

from .program import Env, Expr, Json
from .timestamps import parse_nanoseconds

Kind: TypeAlias = Literal["string", "number", "boolean", "timestamp"]
Compare: TypeAlias = Callable[[Any, Any], bool]

_ORDERS: dict[str, Compare] = {
    "Equals": operator.eq,
    "LessThan": operator.lt,
    "GreaterThan": operator.gt,
    "LessThanEquals": operator.le,
    "GreaterThanEquals": operator.ge,
}

COMPARISONS: dict[str, tuple[Kind, Compare]] = {
    **{f"String{name}": ("string", compare) for name, compare in _ORDERS.items()},
    **{f"Numeric{name}": ("number", compare) for name, compare in _ORDERS.items()},
    **{f"Timestamp{name}": ("timestamp", compare) for name, compare in _ORDERS.items()},
    "BooleanEquals": ("boolean", operator.eq),
}
"""Operators that have a form with ``Path`` appended, too."""


def is_string(value: Json) -> bool:
    return isinstance(value, str)


def is_number(value: Json) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def is_boolean(value: Json) -> bool:
    return isinstance(value, bool)


def is_timestamp(value: Json) -> bool:
    return isinstance(value, str) and parse_nanoseconds(value) is not None


def is_null(value: Json) -> bool:
    return value is None


OPERANDS: dict[Kind, tuple[Callable[[Json], bool], str]] = {
    "string": (is_string, "a string"),
    "number": (is_number, "a number"),
    "boolean": (is_boolean, "true or false"),
    "timestamp": (is_timestamp, "an RFC 3339 timestamp such as '2016-08-18T17:33:00Z'"),
}

TYPE_TESTS: dict[str, Callable[[Json], bool]] = {
    "IsNull": is_null,
    "IsNumeric": is_number,
    "IsString": is_string,
    "IsBoolean": is_boolean,
    "IsTimestamp": is_timestamp,
}

OPERATORS = frozenset(
    {*COMPARISONS, *(f"{name}Path" for name in COMPARISONS), *TYPE_TESTS, "IsPresent", "StringMatches"}
)


def comparison(variable: Expr, name: str, constant: Json) -> Expr:
    """Compare what ``variable`` answers to a constant of the operator's type."""
    kind, compare = COMPARISONS[name]
    if kind == "timestamp":
        moment = parse_nanoseconds(constant)

        def compare_moments(data: Json, env: Env) -> bool:
            value = variable(data, env)
            left = parse_nanoseconds(value) if isinstance(value, str) else None
            return left is not None and compare(left, moment)

        return compare_moments
    fits = OPERANDS[kind][0]

    def compare_to_constant(data: Json, env: Env) -> bool:
        value = variable(data, env)
        return fits(value) and compare(value, constant)

    return compare_to_constant


def path_comparison(variable: Expr, name: str, other: Expr) -> Expr:
    """Compare what ``variable`` answers to what the path ``other`` answers."""
    kind, compare = COMPARISONS[name]
    fits = OPERANDS[kind][0]

    def compare_values(data: Json, env: Env) -> bool:
        left, right = variable(data, env), other(data, env)
        if not (fits(left) and fits(right)):
            return False
        if kind == "timestamp":
            return compare(parse_nanoseconds(left), parse_nanoseconds(right))
        return compare(left, right)

    return compare_values


def type_test(variable: Expr, name: str, *, expected: bool) -> Expr:
    test = TYPE_TESTS[name]
    return lambda data, env: test(variable(data, env)) is expected


def string_matches(variable: Expr, pattern: str) -> Expr:
    matches = glob(pattern)

    def match(data: Json, env: Env) -> bool:
        value = variable(data, env)
        return isinstance(value, str) and matches(value)

    return match


def all_of(rules: tuple[Expr, ...]) -> Expr:
    return lambda data, env: all(rule(data, env) for rule in rules)


def any_of(rules: tuple[Expr, ...]) -> Expr:
    return lambda data, env: any(rule(data, env) for rule in rules)


def negation(rule: Expr) -> Expr:
    return lambda data, env: not rule(data, env)


def glob(pattern: str) -> Callable[[str], bool]:
    r"""Return what matches ``pattern``: ``*`` is any text, ``\*`` and ``\\`` are the characters themselves.

    Searches the parts between asterisks from left to right, so its time is bounded by pattern times text.
    """
    parts = _parts(pattern)
    if len(parts) == 1:
        (literal,) = parts
        return lambda text: text == literal
    first, *middle, last = parts

    def matches(text: str) -> bool:
        if len(text) < len(first) + len(last) or not text.startswith(first) or not text.endswith(last):
            return False
        at, end = len(first), len(text) - len(last)
        for part in middle:
            at = text.find(part, at, end)
            if at < 0:
                return False
            at += len(part)
        return True

    return matches


def _parts(pattern: str) -> list[str]:
    parts = [""]
    characters = iter(pattern)
    for character in characters:
        if character == "*":
            parts.append("")
        elif character == "\\":
            parts[-1] += next(characters, "\\")
        else:
            parts[-1] += character
    return parts
