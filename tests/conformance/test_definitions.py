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
from workflow_manager.engine.operations.machines import invalid_definition as engine_error

DEFINITIONS = Path(__file__).parent / "data" / "definitions"
INDEX: list[dict[str, Any]] = json.loads((DEFINITIONS / "index.json").read_text())["definitions"]
EXPECTED_FAILURES = expected_failures("expected_definition_failures.txt")
PREFIX = "Invalid State Machine Definition: "
FUNCTION = "arn:aws:lambda:us-east-1:123456789012:function:"


def definitions(*statuses: str) -> list[Any]:
    """Those whose status begins with one of these, by file."""
    return [pytest.param(entry, id=entry["file"]) for entry in INDEX if entry["status"].startswith(statuses)]


def text(entry: dict[str, Any]) -> str:
    """A definition; of a sample, with plausible values in the place of its template's placeholders.

    What was put for one that is a whole Resource is no resource of a Task: a function's ARN is.
    """
    read = (DEFINITIONS / entry.get("resolved", entry["file"])).read_text()
    for placeholder in entry.get("placeholders", ()):
        resource = rf'("Resource"\s*:\s*)"(?:arn:aws:states:[\w-]+:\d+:resource:)?{placeholder}"'
        read = re.sub(resource, rf'\1"{FUNCTION}{placeholder}"', read)
    return read


def errors(entry: dict[str, Any]) -> list[asl.Diagnostic]:
    recorded = entry.get("error") or ""
    express = entry.get("type") == "EXPRESS" or "Express state machine" in recorded  # indexed once for two types
    found = asl.diagnose(text(entry), state_machine_type="EXPRESS" if express else "STANDARD")
    return [diagnostic for diagnostic in found if diagnostic.severity == "ERROR"]


@pytest.mark.parametrize("entry", definitions("valid", "published"))
def test_accepted(entry: dict[str, Any]) -> None:
    judge(entry, not errors(entry), f"refused: {errors(entry)}")


@pytest.mark.parametrize("entry", definitions("invalid"))
def test_refused(entry: dict[str, Any]) -> None:
    """In the recorded words, at the recorded places. Some refusals were recorded without AWS's words; then any will do."""
    found = errors(entry)
    recorded = entry.get("error") or ""
    if isinstance(recorded, list):
        ours: Any = [
            {"severity": error.severity, "code": error.code, "message": error.message}
            | ({"location": error.location} if error.location is not None else {})
            for error in found
        ]
    else:
        ours = str(engine_error(found, text(entry)))
        recorded = recorded[max(0, recorded.find(PREFIX)) :]

    judge(entry, bool(found) and (not recorded or ours == recorded), f"expected {recorded or 'a refusal'}, got {ours}")


def judge(entry: dict[str, Any], holds: bool, why: str) -> None:
    if entry["file"] in EXPECTED_FAILURES:
        assert not holds, "holds now: take its line out of expected_definition_failures.txt"
    else:
        assert holds, why


def test_expected_failures_are_definitions() -> None:
    assert set(EXPECTED_FAILURES) <= {entry["file"] for entry in INDEX}
