"""TestState on every state of every definition that AWS accepts, whole and broken: an answer or a refusal, and nothing else.

WFM_MUTATIONS=N breaks each definition in N places (`make mutations`).
"""

from __future__ import annotations

import json
import os
import random
from pathlib import Path
from typing import Any

import pytest
from mutations import mutate

from workflow_manager.engine.core.draft import Limits
from workflow_manager.engine.tasks.integrations import IntegrationFailed
from workflow_manager.engine.teststate import StateTester
from workflow_manager.stepfunctions import types as t
from workflow_manager.stepfunctions.arns import Arns
from workflow_manager.stepfunctions.errors import StepFunctionsError

DEFINITIONS = Path(__file__).parents[2] / "conformance" / "data" / "definitions"
EACH = int(os.environ.get("WFM_MUTATIONS", "2"))
ROLE = "arn:aws:iam::000000000000:role/r"
INPUTS = ["{}", "[1, 2]", '"text"', '{"Values": [1], "items": [{"id": 1}], "name": "n", "value": 3}']
MOCKS = [
    None,
    t.MockInput(result="{}", field_validation_mode="NONE"),
    t.MockInput(result="[1, 2]", field_validation_mode="NONE"),
    t.MockInput(error_output=t.MockErrorOutput(error="States.TaskFailed")),
]


def valid() -> list[Any]:
    index = json.loads((DEFINITIONS / "index.json").read_text())["definitions"]
    return [pytest.param(entry["file"], id=entry["file"]) for entry in index if entry["status"] == "valid"]


def names(node: Any) -> list[str]:
    """The names of all states in a definition, at every depth."""
    found = []
    for key, value in node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ():
        if key == "States" and isinstance(value, dict):
            found += value
        found += names(value)
    return found


async def refuse(*_: Any) -> str:
    raise IntegrationFailed("E", "cause")


@pytest.mark.timeout(EACH * 20)
@pytest.mark.parametrize("file", valid())
async def test_every_state_is_answered_or_refused(file: str) -> None:
    whole = json.loads((DEFINITIONS / file).read_text())
    tester = StateTester(Arns(), Limits(), lambda: 0.0, refuse)
    chances = [random.Random(f"{file} {seed}") for seed in range(EACH)]
    broken = [mutation.definition for chance in chances if (mutation := mutate(whole, chance)) is not None]
    chance = chances[0]
    for definition in (whole, *broken):
        for name in names(definition)[:8]:
            request = t.TestStateInput(
                definition=json.dumps(definition),
                state_name=name or None,
                role_arn=ROLE,
                input=chance.choice(INPUTS),
                inspection_level="TRACE",
                mock=chance.choice(MOCKS),
            )
            try:
                answer = await tester.test(request)
            except StepFunctionsError:
                continue
            assert answer.status in {"SUCCEEDED", "FAILED", "RETRIABLE", "CAUGHT_ERROR"}
            assert answer.status == "FAILED" or answer.output is not None or answer.status == "RETRIABLE"
            assert answer.inspection_data is not None
            assert answer.inspection_data.input == request.input
