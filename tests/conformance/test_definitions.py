"""Definitions that AWS accepts are accepted, and those that it refuses are refused with the same code.

What does not hold is listed in expected_definition_failures.txt with its reason, and must not hold.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from expectations import expected_failures

from workflow_manager import asl

DEFINITIONS = Path(__file__).parent / "data" / "definitions"
INDEX: list[dict[str, Any]] = json.loads((DEFINITIONS / "index.json").read_text())["definitions"]
EXPECTED_FAILURES = expected_failures("expected_definition_failures.txt")
CODE = re.compile(r"\b[A-Z]+(?:_[A-Z]+)+(?=: )")


def definitions(*statuses: str) -> list[Any]:
    """Those whose status begins with one of these, by file."""
    return [pytest.param(entry, id=entry["file"]) for entry in INDEX if entry["status"].startswith(statuses)]


def errors(entry: dict[str, Any]) -> list[asl.Diagnostic]:
    """What we find wrong; in a sample, with plausible values in the place of its template's placeholders."""
    text = (DEFINITIONS / entry.get("resolved", entry["file"])).read_bytes()
    found = asl.diagnose(text, state_machine_type=entry.get("type", "STANDARD"))
    return [diagnostic for diagnostic in found if diagnostic.severity == "ERROR"]


def recorded_codes(error: str | list[dict[str, str]]) -> set[str]:
    """From the message of CreateStateMachine, or from the diagnostics of ValidateStateMachineDefinition."""
    if isinstance(error, str):
        return set(CODE.findall(error))
    return {diagnostic["code"] for diagnostic in error if diagnostic["severity"] == "ERROR"}


@pytest.mark.parametrize("entry", definitions("valid", "published"))
def test_accepted(entry: dict[str, Any]) -> None:
    judge(entry, not errors(entry), f"refused: {errors(entry)}")


@pytest.mark.parametrize("entry", definitions("invalid"))
def test_refused(entry: dict[str, Any]) -> None:
    """Some refusals were recorded without AWS's codes; then any will do."""
    recorded = recorded_codes(entry.get("error", ""))
    ours = {error.code for error in errors(entry)}

    judge(entry, bool(ours) and recorded <= ours, f"expected {recorded or 'a refusal'}, got {ours or 'none'}")


def judge(entry: dict[str, Any], holds: bool, why: str) -> None:
    if entry["file"] in EXPECTED_FAILURES:
        assert not holds, "holds now: take its line out of expected_definition_failures.txt"
    else:
        assert holds, why


def test_expected_failures_are_definitions() -> None:
    assert set(EXPECTED_FAILURES) <= {entry["file"] for entry in INDEX}
