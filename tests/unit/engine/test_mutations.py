"""Definitions that are right, broken in one place: each still runs, or is refused for that place.

WFM_MUTATIONS=N makes N mutations of each definition (`make mutations`); the same seeds make the same mutations.
"""

from __future__ import annotations

import json
import os
import random
from pathlib import Path
from typing import Any

import pytest
from mutations import Mutation, mutate, pointer, speaks_of
from stepping import Stepped

from workflow_manager import asl
from workflow_manager.engine.core.draft import Limits
from workflow_manager.engine.core.stimuli import Continue, Stimulus, TaskFailed, TaskSucceeded

DEFINITIONS = Path(__file__).parents[2] / "conformance" / "data" / "definitions"
EACH = int(os.environ.get("WFM_MUTATIONS", "6"))
INPUT = {"a": [1, 2], "items": [{"id": 1}], "name": "n", "value": 3}
MOST_STIMULI = 60


def valid() -> list[Any]:
    index = json.loads((DEFINITIONS / "index.json").read_text())["definitions"]
    return [pytest.param(entry, id=entry["file"]) for entry in index if entry["status"] == "valid"]


@pytest.mark.timeout(EACH * 20)
@pytest.mark.parametrize("entry", valid())
def test_a_mutation_runs_or_is_refused_for_its_place(entry: dict[str, Any]) -> None:
    definition = json.loads((DEFINITIONS / entry["file"]).read_text())
    for seed in range(EACH):
        mutation = mutate(definition, random.Random(f"{entry['file']} {seed}"))
        if mutation is not None:
            judge(mutation, entry.get("type", "STANDARD"))


def judge(mutation: Mutation, machine_type: Any) -> None:
    found = asl.diagnose(json.dumps(mutation.definition), state_machine_type=machine_type)
    errors = [diagnostic for diagnostic in found if diagnostic.severity == "ERROR"]
    if not errors:
        run(mutation.definition)
        return
    told = "; ".join(f"{error.code} at {error.location}: {error.message}" for error in errors)
    spoken = any(speaks_of(error.location, mutation) for error in errors)
    assert spoken, f"{mutation.kind} at {pointer(mutation.place)} is refused elsewhere: {told}"


def run(definition: dict[str, Any]) -> None:
    """Step it until it ends, waits for nothing, or has been stepped often enough; what it must not do is raise."""
    stepped = Stepped(definition, INPUT, limits=Limits(history_events=500, transitions_per_step=100))
    stepped.start()
    for number in range(MOST_STIMULI):
        if stepped.outcome is not None:
            return
        frame = next((f for f in stepped.execution.frames.values() if f.task is not None), None)
        if frame is not None and frame.task is not None:
            stepped.take(answer(frame.id, frame.task.scheduled_event, number))
        elif stepped.timers:
            stepped.pass_time(max(0.0, min(stepped.timers.values()) - stepped.now))
        else:
            stepped.take(Continue())


def answer(frame: int, event: int, number: int) -> Stimulus:
    if number % 3 == 2:
        return TaskFailed(frame, event, "States.TaskFailed", "because")
    return TaskSucceeded(frame, event, json.dumps(INPUT))


@pytest.mark.parametrize(
    ("location", "speaks"),
    [
        pytest.param("/States/A/Next", True, id="at the place"),
        pytest.param("/States/A", True, id="above it"),
        pytest.param("/States/B", True, id="where it led to"),
        pytest.param("/", False, id="above the state"),
        pytest.param("/States/C", False, id="another state"),
        pytest.param("/States/A/Result", False, id="beside it"),
    ],
)
def test_what_speaks_of_a_place(location: str, speaks: bool) -> None:
    definition = {"StartAt": "A", "States": {"A": {"Type": "Pass", "Next": "X"}, "B": {"Type": "Succeed"}}}
    mutation = Mutation("misspell", ("States", "A", "Next"), definition, frozenset({"B"}))

    assert speaks_of(location, mutation) is speaks
