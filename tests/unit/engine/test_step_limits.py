"""``step``: its bound on transitions, the limit of a history, and data that is too deep."""

from __future__ import annotations

from typing import Any

import pytest
from stepping import Stepped, machine, task

from workflow_manager.engine.core.draft import Limits
from workflow_manager.engine.core.stimuli import Continue, Start, Stop, TaskSucceeded, TimerFired


def endless(**fields: Any) -> dict[str, Any]:
    way_out = [{"Variable": "$.stop", "IsPresent": True, "Next": "End"}]
    return {
        "A": {"Type": "Pass", "Next": "B", **fields},
        "B": {"Type": "Choice", "Choices": way_out, "Default": "A"},
        "End": {"Type": "Succeed"},
    }


@pytest.mark.parametrize("stimulus", [Continue(), TimerFired(0, "continue")], ids=["at once", "by its timer"])
def test_a_step_goes_on_where_it_stopped(stimulus: Any) -> None:
    run = Stepped(machine(endless()), limits=Limits(transitions_per_step=7))
    first = run.take(Start())
    assert first.continues
    assert run.timers == {(0, "continue"): run.now}
    assert run.types[1:] == ["PassStateEntered", "PassStateExited", "ChoiceStateEntered", "ChoiceStateExited"] * 3 + [
        "PassStateEntered",
        "PassStateExited",
    ]

    run.reload()
    second = run.take(stimulus)

    assert second.continues
    assert run.history[len(first.events)].type == "ChoiceStateEntered"
    assert run.history[len(first.events)].previous_event_id == len(first.events)


def test_frames_go_on_in_the_order_of_their_ids_however_they_are_kept() -> None:
    """In memory they are kept in the order they came in, after a restart in the order of their rows."""
    branches = [machine({f"{n}": {"Type": "Pass", "Next": f"{n}b"}, f"{n}b": {"Type": "Succeed"}}) for n in range(4)]
    run = Stepped(
        machine({"P": {"Type": "Parallel", "Branches": branches, "End": True}}), limits=Limits(transitions_per_step=2)
    ).start()
    expected = run.decide(Continue()).events

    run.execution.frames = dict(reversed(run.execution.frames.items()))

    assert run.decide(Continue()).events == expected


def test_a_stop_between_two_pieces_ends_the_loop() -> None:
    run = Stepped(machine(endless()), limits=Limits(transitions_per_step=10)).start()

    run.take(Stop())

    assert run.types[-1] == "ExecutionAborted"
    assert (run.rows, run.timers) == ({}, {})
    assert not run.take(Continue()).events, "and a Continue that is late finds nothing to go on with"


def test_a_bound_that_is_met_exactly_leaves_nothing_to_continue() -> None:
    states = {"A": {"Type": "Pass", "Next": "B"}, "B": {"Type": "Succeed"}}

    assert not Stepped(machine(states), limits=Limits(transitions_per_step=2)).take(Start()).continues


@pytest.mark.parametrize("limit", [10, 11, 12, 13, 14, 15])
def test_a_history_ends_at_its_limit_wherever_that_falls(limit: int) -> None:
    run = Stepped(machine(endless()), limits=Limits(history_events=limit)).start()

    assert [event.id for event in run.history] == list(range(1, limit + 1))
    assert (run.history[-1].type, run.history[-1].previous_event_id) == ("ExecutionFailed", limit - 1)
    assert run.outcome is not None
    assert run.outcome.error == "States.Runtime"
    assert run.outcome.cause == f"The execution reached the maximum number of history events ({limit})."
    assert run.rows == {}


@pytest.mark.parametrize("limit", [8, 9, 10, 11, 12])
def test_a_full_history_withdraws_the_tasks_that_wait(limit: int) -> None:
    branches = [machine({"T": task()}), machine({"U": task(Next="V"), "V": task()})]
    run = Stepped(
        machine({"P": {"Type": "Parallel", "Branches": branches, "End": True}}), limits=Limits(history_events=limit)
    ).start()
    effects = None
    while run.outcome is None:
        call = run.calls[-1]
        effects = run.take(TaskSucceeded(call.frame, call.scheduled_event, "{}"))

    assert len(run.history) == limit
    assert run.history[-1].type == "ExecutionFailed"
    if effects is not None:
        assert 1 in {frame for frame, _ in effects.withdrawn}


def test_data_that_is_too_deep_to_write_fails_the_execution_and_no_other() -> None:
    deeper: Any = {"in.$": "$"}
    for _ in range(60):
        deeper = {"in": deeper}
    limits = Limits(payload_bytes=1 << 30)
    run = Stepped(machine(endless(Parameters=deeper)), limits=limits).start()

    assert run.history[-1].type == "ExecutionFailed"
    assert run.outcome is not None
    assert (run.outcome.error, run.outcome.cause) == (
        "States.Runtime",
        "The data of the execution is nested too deeply.",
    )
    assert run.rows == {}


def assigning(name: str, size: int, **fields: Any) -> dict[str, Any]:
    return {"Type": "Pass", "Assign": {name: "x" * (size - 2)}, **fields}


@pytest.mark.parametrize(
    ("size", "ends"),
    [
        pytest.param(500, "ExecutionSucceeded", id="as large as may be"),
        pytest.param(501, "ExecutionFailed", id="larger"),
    ],
)
def test_what_one_state_assigns_is_bounded(size: int, ends: str) -> None:
    run = Stepped(machine({"A": assigning("a", size, End=True)}), limits=Limits(payload_bytes=500)).start()

    assert run.types[-1] == ends
    if ends == "ExecutionFailed":
        assert run.outcome is not None
        assert run.outcome.error == "States.DataLimitExceeded"
        assert run.outcome.cause == (
            "The variables assigned in the state 'A' have 501 bytes, which exceeds the maximum of 500 bytes."
        )


def test_all_variables_together_are_bounded() -> None:
    states = {f"S{n}": assigning(f"v{n}", 500, Next=f"S{n + 1}") for n in range(41)}

    run = Stepped(machine({**states, "S41": {"Type": "Succeed"}}), limits=Limits(payload_bytes=500)).start()

    assert run.outcome is not None
    assert run.outcome.error == "States.DataLimitExceeded"
    assert run.outcome.cause == (
        "The variables of the execution have 20500 bytes after the state 'S40', which exceeds the maximum of 20000 bytes."
    )
