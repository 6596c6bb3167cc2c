"""A Choice rule as a short text for people (ASL, "Choice state")."""

from __future__ import annotations

import json
from typing import Any

COMPARISONS = {
    "LessThanEquals": "<=",
    "GreaterThanEquals": ">=",
    "Equals": "=",
    "LessThan": "<",
    "GreaterThan": ">",
    "Matches": "matches",
}
"""The end of an operator's name, the longer ones first -> how it is written between its operands."""
TESTS = {
    "IsNull": "is null",
    "IsPresent": "is present",
    "IsNumeric": "is a number",
    "IsString": "is a string",
    "IsBoolean": "is a boolean",
    "IsTimestamp": "is a timestamp",
}
MAX_LENGTH = 60
MAX_DEPTH = 20


def condition(rule: dict[str, Any]) -> str:
    """The rule's condition, shortened to 60 characters; empty if it has none that can be read."""
    text = _text(rule, MAX_DEPTH)
    return text if len(text) <= MAX_LENGTH else f"{text[: MAX_LENGTH - 1]}…"


def _text(rule: Any, depth: int) -> str:
    if not isinstance(rule, dict) or depth == 0:
        return "…"
    if "Condition" in rule:
        return str(rule["Condition"]).strip().removeprefix("{%").removesuffix("%}").strip()
    for combination, word in (("And", " and "), ("Or", " or ")):
        if isinstance(rules := rule.get(combination), list):
            return word.join(_operand(each, depth - 1) for each in rules)
    if "Not" in rule:
        return f"not {_operand(rule['Not'], depth - 1)}"
    variable = str(rule.get("Variable", ""))
    for operator, expected in rule.items():
        if operator in TESTS:
            return f"{variable} {TESTS[operator] if expected is not False else _negated(TESTS[operator])}"
        name = operator.removesuffix("Path")
        for ending, sign in COMPARISONS.items():
            if name.endswith(ending):
                operand = expected if name != operator else json.dumps(expected, ensure_ascii=False)
                return f"{variable} {sign} {operand}"
    return ""


def _operand(rule: Any, depth: int) -> str:
    text = _text(rule, depth)
    return f"({text})" if isinstance(rule, dict) and ("And" in rule or "Or" in rule) else text


def _negated(test: str) -> str:
    return test.replace("is ", "is not ", 1)
