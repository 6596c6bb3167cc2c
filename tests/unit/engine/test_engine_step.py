"""``step`` as tables: a definition, what happens to it, and what that decides."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stepping import ACTIVITY, Stepped, frozen

from workflow_manager.asl.program import Retrier
from workflow_manager.engine.core.draft import Limits
from workflow_manager.engine.core.outcomes import retry_delay
from workflow_manager.engine.core.stimuli import (
    Continue,
    Start,
    Stop,
    TaskFailed,
    TaskHeartbeat,
    TaskStarted,
    TaskSucceeded,
    TimerFired,
)


def machine(states: dict[str, Any], start: str = "A", **fields: Any) -> dict[str, Any]:
    return {"StartAt": start, "States": states, **fields}


def task(**fields: Any) -> dict[str, Any]:
    return {"Type": "Task", "Resource": ACTIVITY, "End": True, **fields}


DONE = {"Type": "Pass", "End": True}


def test_a_chain_of_passes_ends_in_one_step() -> None:
    run = Stepped(machine({"A": {"Type": "Pass", "Next": "B"}, "B": DONE}), {"x": 1}).start()

    assert [(e.id, e.previous_event_id, e.type) for e in run.history] == [
        (1, 0, "ExecutionStarted"),
        (2, 0, "PassStateEntered"),
        (3, 2, "PassStateExited"),
        (4, 3, "PassStateEntered"),
        (5, 4, "PassStateExited"),
        (6, 5, "ExecutionSucceeded"),
    ]
    assert run.output == {"x": 1}


@pytest.mark.parametrize(
    ("wait", "value", "seconds"),
    [
        pytest.param({"Seconds": 10}, {}, 10, id="Seconds"),
        pytest.param({"SecondsPath": "$.s"}, {"s": 7}, 7, id="SecondsPath"),
        pytest.param({"Timestamp": "1970-01-01T00:16:45Z"}, {}, 5, id="Timestamp"),
        pytest.param({"TimestampPath": "$.t"}, {"t": "1970-01-01T00:16:50Z"}, 10, id="TimestampPath"),
    ],
)
def test_a_wait_takes_its_time(wait: dict[str, Any], value: dict[str, Any], seconds: float) -> None:
    run = Stepped(machine({"A": {"Type": "Wait", "End": True, **wait}}), value).start()

    run.pass_time(seconds - 0.001)
    assert run.types[-1] == "WaitStateEntered"
    run.pass_time(0.001)
    assert run.types[-2:] == ["WaitStateExited", "ExecutionSucceeded"]


@pytest.mark.parametrize(
    ("error", "caught"),
    [
        pytest.param("Custom", True, id="States.ALL catches any error"),
        pytest.param("States.Timeout", True, id="also a timeout"),
        pytest.param("States.Runtime", False, id="but not States.Runtime"),
        pytest.param("States.DataLimitExceeded", True, id="States.DataLimitExceeded, too (recorded from AWS)"),
    ],
)
def test_what_states_all_catches(error: str, caught: bool) -> None:
    catch = [{"ErrorEquals": ["States.ALL"], "Next": "B", "ResultPath": "$.e"}]
    run = Stepped(machine({"A": task(Catch=catch), "B": DONE}), {"x": 1}).start()

    run.take(TaskStarted(0, 3, "w"))
    run.take(TaskFailed(0, 3, error, "why"))

    assert run.outcome is not None
    if caught:
        assert run.output == {"x": 1, "e": {"Error": error, "Cause": "why"}}
    else:
        assert (run.outcome.status, run.outcome.error, run.outcome.cause) == ("FAILED", error, "why")


def test_retriers_count_each_for_itself_and_then_the_catcher_has_it() -> None:
    retry = [
        {"ErrorEquals": ["E"], "IntervalSeconds": 2, "BackoffRate": 2, "MaxAttempts": 2},
        {"ErrorEquals": ["F"], "IntervalSeconds": 5, "MaxAttempts": 1},
    ]
    run = Stepped(machine({"A": task(Retry=retry, Catch=[{"ErrorEquals": ["E"], "Next": "B"}]), "B": DONE})).start()
    waits = []
    for error in ("E", "F", "E"):
        run.take(TaskFailed(0, run.calls[-1].scheduled_event, error, None))
        (due,) = run.timers.values()
        waits.append(due - run.now)
        run.pass_time(due - run.now)

    assert waits == [2, 5, 4]
    run.take(TaskFailed(0, run.calls[-1].scheduled_event, "E", "last"))
    assert run.output == {"Error": "E", "Cause": "last"}
    assert run.types.count("ActivityScheduled") == 4


@pytest.mark.parametrize(
    ("retries_made", "seconds"),
    [
        pytest.param(0, 3, id="first retry waits IntervalSeconds"),
        pytest.param(1, 6, id="then IntervalSeconds x BackoffRate"),
        pytest.param(3, 20, id="never more than MaxDelaySeconds"),
        pytest.param(99_999_998, 20, id="also where floats end"),
    ],
)
def test_retry_delay(retries_made: int, seconds: float) -> None:
    retrier = Retrier(("E",), interval_seconds=3, backoff_rate=2.0, max_delay_seconds=20)

    assert retry_delay(retrier, retries_made) == seconds


@given(
    interval=st.integers(1, 99_999_999),
    rate=st.floats(1, 1e9),
    longest=st.none() | st.integers(1, 31_622_400),
    made=st.integers(0, 99_999_999),
)
def test_no_delay_is_beyond_its_bound(interval: int, rate: float, longest: int | None, made: int) -> None:
    delay = retry_delay(Retrier(("E",), interval, 99_999_999, rate, longest), made)

    assert 0 < delay <= (longest or 31_622_400)


def test_full_jitter_draws_from_what_it_is_handed() -> None:
    retry = [{"ErrorEquals": ["E"], "IntervalSeconds": 8, "JitterStrategy": "FULL"}]
    run = Stepped(machine({"A": task(Retry=retry)}), random=0.25).start()

    run.take(TaskFailed(0, 3, "E", None))

    assert run.timers == {(0, "retry"): run.now + 2}


def test_a_timeout_counts_from_the_start_of_the_task() -> None:
    run = Stepped(machine({"A": task(TimeoutSeconds=30)})).start()
    run.pass_time(1_000)
    run.take(TaskStarted(0, 3, "w"))

    run.pass_time(29.999)
    assert run.types[-1] == "ActivityStarted"
    run.pass_time(0.001)
    assert run.types[-2:] == ["ActivityTimedOut", "ExecutionFailed"]
    assert run.outcome is not None
    assert run.outcome.error == "States.Timeout"


def test_heartbeats_put_their_timeout_off() -> None:
    run = Stepped(machine({"A": task(HeartbeatSeconds=10)})).start()
    run.take(TaskStarted(0, 3, None))
    for _ in range(5):
        run.pass_time(9)
        run.take(TaskHeartbeat(0, 3))
    assert run.outcome is None

    run.pass_time(10)

    assert run.types[-2:] == ["ActivityTimedOut", "ExecutionFailed"]


def test_an_execution_times_out_whatever_it_does() -> None:
    run = Stepped(machine({"A": task()}, TimeoutSeconds=60)).start()

    run.pass_time(60)

    assert (run.history[-1].type, run.history[-1].previous_event_id) == ("ExecutionTimedOut", 0)
    assert run.outcome is not None
    assert run.outcome.status == "TIMED_OUT"


def test_stop_aborts_and_withdraws_what_was_asked_for() -> None:
    run = Stepped(machine({"A": task()})).start()

    effects = run.take(Stop("Why", "because"))

    assert [frame for frame, _ in effects.withdrawn] == [0]
    assert run.history[-1].details == {"error": "Why", "cause": "because"}
    assert run.outcome is not None
    assert run.outcome.status == "ABORTED"


MAP = {
    "Type": "Map",
    "ItemsPath": "$.items",
    "ItemProcessor": {"StartAt": "T", "States": {"T": task()}},
    "End": True,
}


def test_a_map_runs_as_many_at_once_as_it_may_and_keeps_the_order() -> None:
    run = Stepped(machine({"A": {**MAP, "MaxConcurrency": 2}}), {"items": [1, 2, 3]}).start()
    assert len(run.calls) == 2

    run.take(TaskSucceeded(run.calls[1].frame, run.calls[1].scheduled_event, '"second"'))
    assert len(run.calls) == 3
    run.take(TaskSucceeded(run.calls[2].frame, run.calls[2].scheduled_event, '"third"'))
    run.take(TaskSucceeded(run.calls[0].frame, run.calls[0].scheduled_event, '"first"'))

    assert run.output == ["first", "second", "third"]
    last = [event.id for event in run.history if event.type == "MapIterationSucceeded"][-1]
    ends = [e.previous_event_id for e in run.history if e.type in {"MapStateSucceeded", "MapStateExited"}]
    assert ends == [last, last]


def test_one_failure_fails_a_map_and_aborts_the_others() -> None:
    run = Stepped(machine({"A": MAP}), {"items": [1, 2]}).start()

    effects = run.take(TaskFailed(run.calls[0].frame, run.calls[0].scheduled_event, "E", "why"))

    failing = next(event.id for event in run.history if event.type == "ActivityFailed")
    pointing = [event.type for event in run.history if event.previous_event_id == failing]
    assert pointing == ["MapIterationFailed", "TaskStateAborted", "MapIterationAborted", "MapStateFailed"]
    assert run.calls[1].frame in [frame for frame, _ in effects.withdrawn]
    assert run.outcome is not None
    assert run.outcome.error == "E"


@pytest.mark.parametrize(
    ("tolerated", "succeeds"),
    [
        pytest.param({"ToleratedFailureCount": 1}, True, id="as many as tolerated"),
        pytest.param({"ToleratedFailurePercentage": 50}, True, id="as much as tolerated"),
        pytest.param({"ToleratedFailurePercentage": 49}, False, id="more than tolerated"),
        pytest.param({"ToleratedFailureCount": 0}, False, id="none tolerated"),
    ],
)
def test_tolerated_failures(tolerated: dict[str, Any], succeeds: bool) -> None:
    run = Stepped(machine({"A": {**MAP, **tolerated}}), {"items": [1, 2]}).start()

    run.take(TaskFailed(run.calls[0].frame, run.calls[0].scheduled_event, "E", None))
    if succeeds:
        run.take(TaskSucceeded(run.calls[1].frame, run.calls[1].scheduled_event, '"ok"'))

    assert run.outcome is not None
    assert run.outcome.status == ("SUCCEEDED" if succeeds else "FAILED")
    if not succeeds:
        assert run.outcome.error == "States.ExceedToleratedFailureThreshold"


def test_an_endless_loop_is_taken_in_pieces_until_its_history_is_full() -> None:
    limits = Limits(transitions_per_step=100, history_events=1_000)
    loop = {
        "A": {"Type": "Pass", "Next": "B"},
        "B": {"Type": "Choice", "Choices": [{"Variable": "$.x", "IsPresent": True, "Next": "Z"}], "Default": "A"},
        "Z": {"Type": "Succeed"},
    }
    run = Stepped(machine(loop), limits=limits)
    effects = run.take(Start())
    pieces = 1
    while effects.continues:
        effects = run.take(Continue())
        pieces += 1

    assert pieces >= 5
    assert run.outcome is not None
    assert run.outcome.status == "FAILED"
    assert [event.id for event in run.history] == list(range(1, 1_001))
    assert run.history[-1].type == "ExecutionFailed"
    assert "1000" in (run.outcome.cause or "")


def test_an_output_beyond_the_limit_fails_the_state() -> None:
    run = Stepped(machine({"A": task()}), limits=Limits(payload_bytes=100)).start()

    run.take(TaskSucceeded(0, 3, '"' + "x" * 200 + '"'))

    assert run.outcome is not None
    assert run.outcome.error == "States.DataLimitExceeded"


@pytest.mark.parametrize(
    "late",
    [
        TaskSucceeded(0, 99, "{}"),
        TaskFailed(7, 3, "E", None),
        TaskHeartbeat(0, 2),
        TaskStarted(5, 3),
        TimerFired(0, "wait"),
        TimerFired(0, "timeout"),
        TimerFired(9, "retry"),
    ],
)
def test_what_nobody_waits_for_changes_nothing(late: Any) -> None:
    run = Stepped(machine({"A": task()})).start()

    effects = run.decide(late)

    assert (effects.events, effects.frames, effects.calls, effects.outcome) == ([], {}, [], None)


# ------------------------------------------------------------------------------------------- properties

BUSY = machine(
    {
        "A": {
            "Type": "Parallel",
            "Branches": [
                machine({"M": {**MAP, "MaxConcurrency": 2}}, "M"),
                machine({"W": {"Type": "Wait", "Seconds": 3, "Next": "B"}, "B": task(TimeoutSeconds=20)}, "W"),
                machine(
                    {"R": task(Retry=[{"ErrorEquals": ["States.ALL"], "IntervalSeconds": 1, "MaxAttempts": 2}])}, "R"
                ),
            ],
            "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "C", "ResultPath": "$.e"}],
            "Next": "C",
        },
        "C": {"Type": "Succeed"},
    }
)


def moves() -> st.SearchStrategy[list[tuple[str, int]]]:
    return st.lists(
        st.tuples(st.sampled_from(["succeed", "fail", "start", "time", "late"]), st.integers(0, 9)), max_size=25
    )


def play(run: Stepped, plan: list[tuple[str, int]], *, reload: bool = False, watch: bool = False) -> None:
    for move, n in plan:
        if run.outcome is not None:
            return
        if reload:
            run.reload()
        call = run.calls[n % len(run.calls)]
        before = {i: frozen(frame) for i, frame in run.execution.frames.items()}
        match move:
            case "succeed":
                stimulus: Any = TaskSucceeded(call.frame, call.scheduled_event, f'{{"n":{n}}}')
            case "fail":
                stimulus = TaskFailed(call.frame, call.scheduled_event, f"E{n % 3}", None)
            case "start":
                stimulus = TaskStarted(call.frame, call.scheduled_event, "w")
            case "late":
                stimulus = TaskSucceeded(call.frame, 999, "{}")
            case _:
                run.pass_time(n)
                continue
        if watch:
            run.decide(stimulus)
            assert {i: frozen(frame) for i, frame in run.execution.frames.items()} == before, "the step changed it"
        run.take(stimulus)


@given(moves())
def test_a_step_changes_nothing_that_it_is_given(plan: list[tuple[str, int]]) -> None:
    play(Stepped(BUSY, {"items": [1, 2, 3]}).start(), plan, watch=True)


@given(moves())
def test_histories_have_no_gaps_and_point_back(plan: list[tuple[str, int]]) -> None:
    run = Stepped(BUSY, {"items": [1, 2, 3]}).start()
    play(run, plan)

    assert [event.id for event in run.history] == list(range(1, len(run.history) + 1))
    assert all(event.previous_event_id < event.id for event in run.history)


@given(moves())
def test_a_restart_between_any_two_stimuli_changes_nothing(plan: list[tuple[str, int]]) -> None:
    through, restarted = (Stepped(BUSY, {"items": [1, 2, 3]}).start() for _ in range(2))
    play(through, plan)
    play(restarted, plan, reload=True)

    assert restarted.history == through.history
    assert restarted.outcome == through.outcome
    assert restarted.timers == through.timers
