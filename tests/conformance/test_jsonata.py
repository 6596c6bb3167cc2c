"""JSONata's reference test suite, through the evaluator that states use.

What we do not answer as the reference does is listed in expected_jsonata_failures.txt with its reason, and must differ.
"""

from __future__ import annotations

import json
import math
import time
from pathlib import Path
from typing import Any

import pytest
from expectations import expected_failures

from workflow_manager.asl import jsonata
from workflow_manager.asl.jsonata_values import UNDEFINED, JsonataFault
from workflow_manager.asl.program import Env

DATA = Path(__file__).parent / "data" / "jsonata"
CASES: list[dict[str, Any]] = [json.loads(line) for line in (DATA / "cases.jsonl").read_text().splitlines()]
DATASETS: dict[str, Any] = json.loads((DATA / "datasets.json").read_text())["datasets"]
EXPECTED_FAILURES = expected_failures("expected_jsonata_failures.txt")
GROUPS = sorted({case["group"] for case in CASES})


def name_of(case: dict[str, Any]) -> str:
    return f"{case['group']}/{case['case']}"


def answer(case: dict[str, Any]) -> Any:
    """What we answer: JSON, UNDEFINED, or the code of an error as ``{"code": ...}``."""
    data = json.dumps(case["data"] if "data" in case else DATASETS[case["dataset"]] if case.get("dataset") else None)
    env = Env(dict, {}, uuid=str, random=lambda: 0.5, now=time.time)
    try:
        parsed, _ = jsonata.parse_in_state(case["expr"])
        absent = "data" not in case and not case.get("dataset")
        return jsonata.evaluate(parsed, UNDEFINED if absent else json.loads(data), case.get("bindings", {}), env)
    except JsonataFault as fault:
        return {"code": fault.code}
    except jsonata.JsonataError as error:
        return {"code": str(error).partition(":")[0]}


def expected(case: dict[str, Any]) -> Any:
    if "code" in case or "error" in case:
        return {"code": case.get("code") or case["error"]["code"]}
    return UNDEFINED if case.get("undefinedResult") else case["result"]


def same(ours: Any, theirs: Any) -> bool:
    """Equal as JSON, numbers to the precision of what a double's last digit may be."""
    if isinstance(ours, bool) or isinstance(theirs, bool):
        return ours is theirs
    if isinstance(ours, (int, float)) and isinstance(theirs, (int, float)):
        return math.isclose(ours, theirs, rel_tol=1e-14)
    if isinstance(ours, list) and isinstance(theirs, list):
        return len(ours) == len(theirs) and all(map(same, ours, theirs))
    if isinstance(ours, dict) and isinstance(theirs, dict):
        return ours.keys() == theirs.keys() and all(same(ours[key], theirs[key]) for key in ours)
    return type(ours) is type(theirs) and ours == theirs


def passes(case: dict[str, Any]) -> bool:
    ours, theirs = answer(case), expected(case)
    if case.get("unordered") and isinstance(ours, list):
        ours, theirs = sorted(ours, key=json.dumps), sorted(theirs, key=json.dumps)
    return same(ours, theirs)


@pytest.mark.parametrize("group", GROUPS)
def test_group(group: str) -> None:
    cases = [case for case in CASES if case["group"] == group]
    listed = {name for name in EXPECTED_FAILURES if name.startswith(f"{group}/")}

    wrong = {name_of(case) for case in cases if not passes(case)}

    assert not wrong - listed, "not as the reference answers"
    assert not listed - wrong, "right now: take these lines out of expected_jsonata_failures.txt"


def test_expected_failures_are_cases() -> None:
    assert set(EXPECTED_FAILURES) <= {name_of(case) for case in CASES}
