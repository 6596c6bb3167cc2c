r"""Halves of surrogate pairs, which JSON and JSONata have escapes for: no characters, and no output or message has one."""

from __future__ import annotations

import json
from typing import Any

import pytest
from stepping import Stepped

from workflow_manager import asl

HALF, PAIR = "'\\ud83d'", "'\\ud83d\\ude00'"
JSONATA: dict[str, Any] = {"Type": "Pass", "QueryLanguage": "JSONata", "End": True}
NO_CHARACTER = "It returned half of a surrogate pair, which is no character"


def run(state: dict[str, Any]) -> Any:
    return Stepped({"StartAt": "A", "States": {"A": state}}, {}).start().outcome


@pytest.mark.parametrize(
    ("expression", "output"),
    [
        (PAIR, "😀"),
        ("'\\ud83d' & '\\ude00'", "😀"),
        ("{'\\ud83d\\ude00': ['\\ud83d' & '\\ude00']}", {"😀": ["😀"]}),
        ("$length('\\ud83d')", 1),
        ("$parse('\"\\\\ud83d\\\\ude00\"')", "😀"),
    ],
)
def test_halves_that_come_together_are_a_character(expression: str, output: Any) -> None:
    outcome = run({**JSONATA, "Output": f"{{% {expression} %}}"})

    assert outcome.status == "SUCCEEDED"
    assert json.loads(outcome.output) == output


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        (HALF, NO_CHARACTER),
        ("'\\ude00' & '\\ud83d'", NO_CHARACTER),
        ("[1, ['a', '\\ud83d']]", NO_CHARACTER),
        ("{'\\ud83d': 1}", NO_CHARACTER),
        ("$parse('\"\\\\ud83d\"')", "D3137: The argument of $parse is not JSON"),
        ("$error('\\ud83d')", "D3137: \ufffd"),
    ],
)
@pytest.mark.parametrize("field", ["Output", "Assign"])
def test_others_fail_the_state(expression: str, reason: str, field: str) -> None:
    value: Any = f"{{% {expression} %}}"
    outcome = run({**JSONATA, field: {"x": value} if field == "Assign" else value})

    assert (outcome.status, outcome.error) == ("FAILED", "States.QueryEvaluationError")
    assert outcome.cause.encode().decode().endswith(reason)


def test_an_intrinsic_function_refuses_them() -> None:
    outcome = run({"Type": "Pass", "Parameters": {"a.$": "States.StringToJson('\"\\\\ud83d\"')"}, "End": True})

    assert (outcome.status, outcome.error) == ("FAILED", "States.IntrinsicFailure")
    assert outcome.cause.endswith("the first argument is not JSON")


@pytest.mark.parametrize("written", [True, False], ids=["as an escape", "as it is"])
@pytest.mark.parametrize("state", [{"Result": "\ud83d"}, {"Result": {"\ude00": 1}}, {"Comment": "a\ud83d"}])
def test_a_definition_that_has_one_is_refused(state: dict[str, Any], written: bool) -> None:
    definition: Any = {"StartAt": "A", "States": {"A": {"Type": "Pass", "End": True, **state}}}
    (diagnostic,) = asl.diagnose(json.dumps(definition) if written else definition)

    assert diagnostic.code == "INVALID_JSON_DESCRIPTION"
    assert "half of a surrogate pair" in diagnostic.message.encode().decode()
