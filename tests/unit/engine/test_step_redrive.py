"""``step``: redrive. What succeeded is kept, what did not runs again.

Source: SFN developer guide, "Restarting state machine executions with redrive".
"""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from stepping import ACTIVITY, Stepped, events, machine, task
from test_step_properties import INPUT, at_tasks, machines, play, stimulus_for

from workflow_manager.engine.core.draft import Limits
from workflow_manager.engine.core.redriving import not_redrivable
from workflow_manager.engine.core.stimuli import Start, Stop, TaskFailed, TaskSucceeded
from workflow_manager.stepfunctions.history import TERMINAL

PASS = {"Type": "Pass", "End": True}
DAY = 86_400.0


NAMES = itertools.count()


def branch(state: dict[str, Any]) -> dict[str, Any]:
    """A branch of one state, whose name no other one has."""
    return machine({f"B{next(NAMES)}": state})


def parallel(*states: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"Type": "Parallel", "Branches": [branch(state) for state in states], "End": True, **fields}


def each(state: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"Type": "Map", "ItemProcessor": branch(state), "End": True, **fields}


def started(states: dict[str, Any], value: Any = None, **fields: Any) -> Stepped:
    return Stepped(machine(states, **fields), value).start()


def succeed(run: Stepped, call: int, output: str = "{}") -> None:
    run.take(TaskSucceeded(run.calls[call].frame, run.calls[call].scheduled_event, output))


def fail(run: Stepped, call: int, error: str = "E") -> None:
    run.take(TaskFailed(run.calls[call].frame, run.calls[call].scheduled_event, error, "why"))


def since(run: Stepped) -> list[str]:
    """Types of the events from the last redrive on."""
    return run.types[len(run.types) - run.types[::-1].index("ExecutionRedriven") - 1 :]


# ------------------------------------------------------------------------------------------- one state


def test_a_failed_task_is_scheduled_again_without_being_entered_again() -> None:
    run = started({"P": {"Type": "Pass", "Result": 7, "Next": "T"}, "T": task()})
    fail(run, 0)

    run.redrive()
    succeed(run, 0, "1")

    assert since(run) == [
        "ExecutionRedriven",
        "ActivityScheduled",
        "ActivitySucceeded",
        "TaskStateExited",
        "ExecutionSucceeded",
    ]
    redriven, scheduled = run.history[-5:-3]
    assert redriven.details == {"redriveCount": 1}
    assert redriven.previous_event_id == redriven.id - 1
    assert scheduled.previous_event_id == redriven.id
    assert (scheduled.details or {})["input"] == "7"
    assert [event.id for event in run.history] == list(range(1, len(run.history) + 1))


def test_a_redriven_execution_can_fail_and_be_redriven_again() -> None:
    run = started({"T": task()})
    for count in (1, 2, 3):
        fail(run, 0)
        run.redrive()
        assert [e.details for e in run.history if e.type == "ExecutionRedriven"][-1] == {"redriveCount": count}
    succeed(run, 0, "3")

    assert run.output == 3


def test_retries_begin_anew() -> None:
    run = started({"T": task(Retry=[{"ErrorEquals": ["E"], "MaxAttempts": 1, "IntervalSeconds": 1}])})
    fail(run, 0)
    run.pass_time(1)
    fail(run, 1)
    assert run.outcome is not None

    run.redrive()
    fail(run, 0)

    assert run.outcome is None
    assert [kind for _, kind in run.timers] == ["retry"]


def test_a_catcher_that_failed_is_tried_again() -> None:
    catch = [{"ErrorEquals": ["E"], "ResultPath": "$.a", "Next": "T"}]
    run = started({"T": task(Catch=catch)}, value=[])  # $.a cannot be put into a list
    fail(run, 0)
    assert run.outcome is not None

    run.redrive()

    assert since(run) == ["ExecutionRedriven", "ActivityScheduled"]


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        pytest.param(
            {"F": {"Type": "Fail", "Error": "E"}},
            ["ExecutionRedriven", "FailStateEntered", "ExecutionFailed"],
            id="Fail is entered again, and fails again",
        ),
        pytest.param(
            {
                "C": {"Type": "Choice", "Choices": [{"Variable": "$.a", "IsPresent": True, "Next": "S"}]},
                "S": {"Type": "Succeed"},
            },
            ["ExecutionRedriven", "ExecutionFailed"],
            id="Choice looks at its rules again",
        ),
        pytest.param(
            {"P": {"Type": "Pass", "InputPath": "$.absent", "End": True}},
            ["ExecutionRedriven", "ExecutionFailed"],
            id="Pass does its work again",
        ),
    ],
)
def test_what_always_fails_fails_again(states: dict[str, Any], expected: list[str]) -> None:
    run = started(states)

    run.redrive()

    assert since(run) == expected
    assert run.outcome is not None
    assert run.outcome.status == "FAILED"


def test_an_aborted_wait_waits_again() -> None:
    run = started({"W": {"Type": "Wait", "Seconds": 60, "End": True}})
    run.pass_time(59)
    run.take(Stop())

    run.redrive()

    assert run.timers == {(0, "wait"): run.now + 60}
    run.pass_time(60)
    assert since(run) == ["ExecutionRedriven", "WaitStateExited", "ExecutionSucceeded"]


def test_an_aborted_wait_until_a_time_that_has_come_is_over() -> None:
    run = started({"W": {"Type": "Wait", "Timestamp": "1970-01-01T00:20:00Z", "End": True}})
    run.take(Stop())
    run.pass_time(1_000)

    run.redrive()

    assert since(run) == ["ExecutionRedriven", "WaitStateExited", "ExecutionSucceeded"]


def test_the_timeout_of_the_execution_begins_anew() -> None:
    run = started({"T": task()}, TimeoutSeconds=100)
    run.pass_time(100)
    assert run.outcome is not None
    assert run.outcome.status == "TIMED_OUT"
    run.pass_time(1_000)

    run.redrive()

    assert run.timers == {(0, "execution"): run.now + 100}


def test_variables_and_the_context_object_survive() -> None:
    run = started(
        {
            "A": {"Type": "Pass", "Assign": {"x": 5}, "Next": "T"},
            "T": task(Next="B"),
            "B": {
                "Type": "Pass",
                "Parameters": {"x.$": "$x", "n.$": "$$.Execution.RedriveCount", "t.$": "$$.Execution.RedriveTime"},
                "End": True,
            },
        }
    )
    fail(run, 0)
    run.pass_time(DAY)

    run.redrive()
    succeed(run, 0)

    assert run.output == {"x": 5, "n": 1, "t": "1970-01-02T00:16:40.000Z"}


# ------------------------------------------------------------------------------------------- children


def test_branches_that_succeeded_are_kept() -> None:
    run = started({"P": parallel({"Type": "Pass", "Result": "kept", "End": True}, task(), task())})
    succeed(run, 1, '"also kept"')
    fail(run, 0)

    run.redrive()
    assert since(run) == ["ExecutionRedriven", "ActivityScheduled"]
    succeed(run, 0, '"now"')

    assert run.output == ["kept", "now", "also kept"]
    assert since(run)[-3:] == ["ParallelStateSucceeded", "ParallelStateExited", "ExecutionSucceeded"]


def test_branches_that_were_aborted_run_again() -> None:
    run = started({"P": parallel(task(), task(), {"Type": "Wait", "Seconds": 5, "End": True})})
    fail(run, 0)

    run.redrive()
    assert len(run.calls) == 2
    succeed(run, 0, "0")
    succeed(run, 1, "1")
    run.pass_time(5)

    assert run.output == [0, 1, {}]


@pytest.mark.parametrize("at_once", [0, 1, 2])
def test_iterations_that_succeeded_are_kept(at_once: int) -> None:
    run = started({"M": each(task(), MaxConcurrency=at_once)}, value=[0, 1, 2, 3])
    succeed(run, 0, '"kept"')
    fail(run, 1)

    run.redrive()
    done = 0
    while run.outcome is None:
        succeed(run, done, str(done))
        done += 1

    assert done == 3
    assert run.output == ["kept", 0, 1, 2]
    iterations = [
        event.details["index"] for event in run.history if event.type == "MapIterationSucceeded" and event.details
    ]
    assert sorted(iterations) == [0, 1, 2, 3]


def test_what_failed_below_what_failed_is_kept_at_every_depth() -> None:
    inner = parallel({"Type": "Pass", "Result": "inner kept", "End": True}, task())
    run = started({"M": each({"Type": "Parallel", "Branches": [branch(inner), branch(PASS)], "End": True})}, value=[1])
    fail(run, 0)

    run.redrive()
    succeed(run, 0, '"done"')

    assert run.output == [[["inner kept", "done"], 1]]
    assert run.types.count("ParallelStateStarted") == 2


def test_iterations_that_were_tolerated_run_again_when_too_many_failed() -> None:
    run = started({"M": each(task(), ToleratedFailureCount=1)}, value=[0, 1, 2])
    fail(run, 0)
    succeed(run, 1, '"kept"')
    assert run.outcome is None
    fail(run, 2)

    run.redrive()
    assert len(run.calls) == 2
    succeed(run, 0, '"a"')
    succeed(run, 1, '"b"')

    assert run.output == ["a", "kept", "b"]


def test_a_failure_that_was_handled_leaves_nothing_to_a_later_one() -> None:
    run = started(
        {
            "P": parallel(task(), task(), Catch=[{"ErrorEquals": ["E"], "Next": "T"}]),
            "T": task(),
        }
    )
    fail(run, 0)
    effects = run.take(TaskFailed(run.calls[2].frame, run.calls[2].scheduled_event, "E", None))

    assert list(effects.remains) == [0]
    run.redrive()
    assert since(run) == ["ExecutionRedriven", "ActivityScheduled"]


def test_an_item_selector_that_failed_is_tried_again() -> None:
    selector = {"v.$": "States.ArrayGetItem($$.Map.Item.Value, 0)"}
    run = started({"M": each(task(), ItemSelector=selector, MaxConcurrency=1)}, value=[[1], []])
    succeed(run, 0, '"kept"')
    assert run.outcome is not None

    run.redrive()

    assert run.outcome is not None
    assert "MapIterationStarted" in since(run)
    assert run.calls == []


# ------------------------------------------------------------------------------------------- what cannot be


def test_a_full_history_leaves_nothing_to_redrive() -> None:
    loop = {"Type": "Choice", "Choices": [{"Variable": "$.a", "IsPresent": True, "Next": "S"}], "Default": "A"}
    run = Stepped(machine({"A": loop, "S": {"Type": "Succeed"}}), limits=Limits(history_events=50))
    effects = run.take(Start())

    assert effects.outcome is not None
    assert effects.remains == {}


def test_a_success_leaves_nothing() -> None:
    assert Stepped(machine({"A": PASS})).take(Start()).remains == {}


@pytest.mark.parametrize(
    ("status", "stop", "last_event", "redrives", "expected"),
    [
        pytest.param("FAILED", 0.0, 5, 0, None, id="failed"),
        pytest.param("TIMED_OUT", 0.0, 5, 999, None, id="timed out"),
        pytest.param("ABORTED", 0.0, 24_998, 0, None, id="aborted, with room for one event"),
        pytest.param("RUNNING", None, 5, 0, "Execution is RUNNING and cannot be redriven", id="running"),
        pytest.param("SUCCEEDED", 0.0, 5, 0, "Execution is SUCCEEDED and cannot be redriven", id="succeeded"),
        pytest.param(
            "FAILED", 0.0, 0, 0, "Execution was started before the launch of RedriveExecution.", id="nothing kept"
        ),
        pytest.param("FAILED", 0.0, 24_999, 0, "Execution history event limit exceeded.", id="history is full"),
        pytest.param("FAILED", -14 * DAY - 1, 5, 0, "Execution redrivable period exceeded.", id="too long ago"),
        pytest.param("FAILED", -14 * DAY, 5, 0, None, id="just in time"),
        pytest.param(
            "FAILED",
            0.0,
            5,
            1_000,
            "Execution has been redriven 1000 times and cannot be redriven again",
            id="too often",
        ),
    ],
)
def test_reasons(status: str, stop: float | None, last_event: int, redrives: int, expected: str | None) -> None:
    assert not_redrivable(status, stop, 0.0, last_event, 25_000, redrives, kept=last_event > 0) == expected


def test_tasks_of_the_redriven_execution_have_tokens_of_their_own() -> None:
    run = started({"T": task()})
    before = run.calls[0].token
    fail(run, 0)

    run.redrive()

    assert run.calls[0].token != before
    assert run.calls[0].resource.arn == ACTIVITY
    assert events(run)


# ------------------------------------------------------------------------------------------- whatever the definition is


def go_on(run: Stepped) -> None:
    """One more thing happens, and it is a success."""
    run.pass_time(0)
    if at_tasks(run):
        run.take(stimulus_for(run, "succeed", 0))
    elif run.outcome is None:
        run.pass_time(min(run.timers.values()) - run.now)


@settings(deadline=None)
@given(machines(), st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3)), max_size=6), st.integers(1, 20))
def test_an_execution_redriven_time_and_again_ends_as_one_that_never_failed(
    definition: dict[str, Any], breaks: list[tuple[int, int]], bound: int
) -> None:
    """And no task that succeeded runs twice, wherever the execution failed or was stopped."""
    text = json.dumps(definition).replace("ToleratedFailureCount", "Comment").replace('"Comment": 1', '"Comment": "1"')
    assume('"Fail"' not in text)
    definition = json.loads(text)
    undisturbed = play(definition, [], bound=bound)
    run = Stepped(definition, INPUT, limits=Limits(transitions_per_step=bound)).start()

    for successes, which in breaks:
        for _ in range(successes):
            if run.outcome is None:
                go_on(run)
        if run.outcome is not None:
            break
        waiting = at_tasks(run)
        if waiting and which:
            task_ = waiting[which % len(waiting)]
            assert task_.task is not None
            run.take(TaskFailed(task_.id, task_.task.scheduled_event, "nobody handles this", None))
        else:
            run.take(Stop())
        run.redrive()
    while run.outcome is None:
        go_on(run)

    assert run.outcome == undisturbed.outcome
    assert [event.id for event in run.history] == list(range(1, len(run.history) + 1))
    redriven = run.types.count("ExecutionRedriven")
    assert redriven == run.execution.redrive_count
    assert sum(run.types.count(kind) for kind in TERMINAL) == redriven + 1
    for kind in (
        "ActivitySucceeded",
        "TaskSucceeded",
        "PassStateExited",
        "MapStateSucceeded",
        "ParallelStateSucceeded",
    ):
        assert run.types.count(kind) == undisturbed.types.count(kind), kind
