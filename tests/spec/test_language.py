"""The Amazon States Language as tables: a state, its input, and what comes of it, by section of the specification."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from workflow_manager.asl import Failure

from .evaluate import evaluate

HERE = Path(__file__).parent


def cases() -> list[Any]:
    return [
        pytest.param(case, id=f"{path.stem}: {case['id']}")
        for path in sorted((HERE / "cases").glob("*.yaml"))
        for group in yaml.safe_load(path.read_text())
        for case in group["cases"]
    ]


@pytest.mark.parametrize("case", cases())
def test_state(case: dict[str, Any]) -> None:
    if "fails" in case:
        with pytest.raises(Failure) as failure:
            evaluate(case)
        assert {"error": failure.value.error, "cause": failure.value.cause} == case["fails"]
    else:
        assert evaluate(case) == case["gives"]


def test_every_group_names_its_section() -> None:
    groups = [group for path in (HERE / "cases").glob("*.yaml") for group in yaml.safe_load(path.read_text())]

    assert all(group["section"] and group["cases"] for group in groups)
