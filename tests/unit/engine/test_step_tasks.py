"""``step``: tasks of activities and services, from being scheduled to whatever comes back."""

from __future__ import annotations

from typing import Any

import pytest
from stepping import ACTIVITY, Stepped, events, machine, task

from workflow_manager.engine.core.stimuli import (
    Stop,
    TaskFailed,
    TaskHeartbeat,
    TaskStarted,
    TaskSubmitted,
    TaskSucceeded,
    TimerFired,
)
from workflow_manager.engine.core.tokens import parse_task_token

START = "arn:aws:states:::states:startExecution"
CALL = "arn:aws:states:::aws-sdk:sfn:listStateMachines"
NAMES = {"resource": "startExecution.sync", "resourceType": "states"}
SYNC = task(f"{START}.sync", Parameters={"StateMachineArn": "arn:x"})


def started(definition: dict[str, Any], value: Any = None) -> Stepped:
    return Stepped(machine({"A": definition}), value).start()


def test_an_activity_task_from_entry_to_end() -> None:
    run = started(task(Parameters={"y.$": "$.x"}, ResultPath="$.r", TimeoutSeconds=60, HeartbeatSeconds=5), {"x": 1})
    (call,) = run.calls
    assert (call.frame, call.scheduled_event, call.resource.arn, call.arguments) == (0, 3, ACTIVITY, '{"y":1}')
    assert parse_task_token(call.token) == (1, 0, 3, "uuid-1")
    assert run.timers == {}, "its clocks begin when a worker has it"

    run.take(TaskStarted(0, 3, "w"))
    assert run.timers == {(0, "timeout"): 1_060.0, (0, "heartbeat"): 1_005.0}
    run.take(TaskSucceeded(0, 3, '{"z": 2}'))

    assert events(run, 1) == [
        (2, 0, "TaskStateEntered"),
        (3, 2, "ActivityScheduled"),
        (4, 3, "ActivityStarted"),
        (5, 4, "ActivitySucceeded"),
        (6, 5, "TaskStateExited"),
        (7, 6, "ExecutionSucceeded"),
    ]
    details = [event.details for event in run.history]
    assert details[2] == {
        "resource": ACTIVITY,
        "input": '{"y":1}',
        "inputDetails": {"truncated": False},
        "timeoutInSeconds": 60,
        "heartbeatInSeconds": 5,
    }
    assert details[3] == {"workerName": "w"}
    assert details[4] == {"output": '{"z": 2}', "outputDetails": {"truncated": False}}
    assert run.output == {"x": 1, "r": {"z": 2}}


def test_a_worker_without_a_name_is_not_named() -> None:
    run = started(task())
    run.take(TaskStarted(0, 3, None))

    assert run.history[-1].details == {}


@pytest.mark.parametrize(
    ("error", "cause", "details"),
    [
        pytest.param("E", "why", {"error": "E", "cause": "why"}, id="error and cause"),
        pytest.param("E", None, {"error": "E"}, id="no cause"),
        pytest.param(None, None, {}, id="neither"),
    ],
)
def test_a_task_that_fails(error: str | None, cause: str | None, details: dict[str, str]) -> None:
    run = started(task())
    run.take(TaskFailed(0, 3, error, cause))

    assert events(run, 3) == [(4, 3, "ActivityFailed"), (5, 4, "ExecutionFailed")]
    assert [event.details for event in run.history[3:]] == [details, details]


def test_a_service_is_started_with_what_it_is_asked() -> None:
    run = started(task(CALL, Parameters={"MaxResults": 5}, TimeoutSeconds=30))

    assert events(run, 2) == [(3, 2, "TaskScheduled"), (4, 3, "TaskStarted")]
    names = {"resource": "listStateMachines", "resourceType": "aws-sdk:sfn"}
    assert run.history[2].details == names | {
        "region": "us-east-1",
        "parameters": '{"MaxResults":5}',
        "timeoutInSeconds": 30,
    }
    assert run.history[3].details == names
    assert run.timers == {(0, "timeout"): 1_030.0}
    run.take(TaskSucceeded(0, 3, "{}"))
    assert run.history[4].details == names | {"output": "{}", "outputDetails": {"truncated": False}}
    assert run.timers == {}


def test_a_job_is_submitted_and_then_waited_for() -> None:
    run = started(SYNC)
    run.take(TaskSubmitted(0, 3, '{"a":1}', "arn:child"))

    assert events(run, 4) == [(5, 4, "TaskSubmitted")]
    assert run.history[-1].details == NAMES | {"output": '{"a":1}', "outputDetails": {"truncated": False}}
    assert run.outcome is None
    run.take(TaskSucceeded(0, 3, '{"b":2}'))
    assert events(run, 5)[0] == (6, 5, "TaskSucceeded")
    assert run.output == {"b": 2}


def test_a_callback_has_its_token_in_the_arguments() -> None:
    run = started(
        task(f"{START}.waitForTaskToken", Parameters={"StateMachineArn": "arn:x", "Input": {"t.$": "$$.Task.Token"}})
    )
    (call,) = run.calls

    assert call.arguments == f'{{"StateMachineArn":"arn:x","Input":{{"t":"{call.token}"}}}}'
    run.take(TaskSubmitted(0, 3, "{}"))
    run.take(TaskSucceeded(0, 3, '"called back"'))
    assert run.output == "called back"


def test_a_call_that_fails_before_there_is_a_job_says_so() -> None:
    run = started(SYNC)
    run.take(TaskFailed(0, 3, "E", "why", submitting=True))

    assert events(run, 4) == [(5, 4, "TaskSubmitFailed"), (6, 5, "ExecutionFailed")]
    assert run.history[4].details == NAMES | {"error": "E", "cause": "why"}


# ------------------------------------------------------------------------------------------- time


def test_a_task_that_takes_too_long_is_withdrawn_with_its_child() -> None:
    run = started(SYNC | {"TimeoutSeconds": 10})
    run.take(TaskSubmitted(0, 3, "{}", "arn:child"))
    run.now += 10

    effects = run.take(TimerFired(0, "timeout"))

    assert events(run, 5) == [(6, 5, "TaskTimedOut"), (7, 6, "ExecutionFailed")]
    assert [event.details for event in run.history[5:]] == [
        NAMES | {"error": "States.Timeout"},
        {"error": "States.Timeout"},
    ]
    assert [(frame, wait.child) for frame, wait in effects.withdrawn] == [(0, "arn:child")]


def test_a_timeout_is_retried_with_a_new_clock() -> None:
    run = started(task(TimeoutSeconds=10, Retry=[{"ErrorEquals": ["States.Timeout"], "IntervalSeconds": 5}]))
    run.take(TaskStarted(0, 3, None))
    run.pass_time(10)
    assert run.types[-1] == "ActivityTimedOut"
    assert run.timers == {(0, "retry"): 1_015.0}

    run.pass_time(5)
    assert run.timers == {}, "the new task is not started yet"
    run.take(TaskStarted(0, run.calls[-1].scheduled_event, None))

    assert run.timers == {(0, "timeout"): 1_025.0}


@pytest.mark.parametrize(
    ("field", "value", "due"),
    [
        pytest.param("TimeoutSecondsPath", {"s": 7}, {(0, "timeout"): 1_007.0}, id="TimeoutSecondsPath"),
        pytest.param("HeartbeatSecondsPath", {"s": 7}, {(0, "heartbeat"): 1_007.0}, id="HeartbeatSecondsPath"),
    ],
)
def test_times_may_come_from_the_input(field: str, value: Any, due: dict[tuple[int, str], float]) -> None:
    run = started(task(**{field: "$.s"}), value)
    run.take(TaskStarted(0, 3, None))

    assert run.timers == due


def test_a_time_that_is_none_fails_the_state_before_anything_is_scheduled() -> None:
    run = started(task(TimeoutSecondsPath="$.s"), {"s": 0})

    assert events(run, 1) == [(2, 0, "TaskStateEntered"), (3, 2, "ExecutionFailed")]
    assert run.calls == []
    assert run.outcome is not None
    assert run.outcome.error == "States.Runtime"


def test_a_heartbeat_costs_no_history_and_its_timer_moves_only_when_it_fires() -> None:
    run = started(task(HeartbeatSeconds=10))
    run.take(TaskStarted(0, 3, None))
    run.now += 4

    beat = run.take(TaskHeartbeat(0, 3))
    assert (beat.events, beat.timers) == ([], {})
    run.reload()
    run.pass_time(6)

    assert run.timers == {(0, "heartbeat"): 1_014.0}
    run.pass_time(4)
    assert run.types[-2:] == ["ActivityTimedOut", "ExecutionFailed"]


def test_the_execution_s_own_timeout_withdraws_its_tasks() -> None:
    run = Stepped(machine({"A": SYNC}, TimeoutSeconds=60)).start()
    assert run.timers == {(0, "execution"): 1_060.0}
    run.take(TaskSubmitted(0, 3, "{}", "arn:child"))
    run.now += 60

    effects = run.take(TimerFired(0, "execution"))

    assert events(run, 5) == [(6, 0, "ExecutionTimedOut")]
    assert run.outcome is not None
    assert (run.outcome.status, run.outcome.error) == ("TIMED_OUT", None)
    assert [wait.child for _, wait in effects.withdrawn] == ["arn:child"]


@pytest.mark.parametrize(
    ("stop", "details"),
    [
        pytest.param(Stop(), {}, id="without a word"),
        pytest.param(Stop("E", "why"), {"error": "E", "cause": "why"}, id="with a reason"),
    ],
)
def test_stop_ends_all_at_once(stop: Stop, details: dict[str, str]) -> None:
    inside = {"W": {"Type": "Wait", "Seconds": 5, "End": True}}
    run = started({"Type": "Parallel", "Branches": [machine({"T": task()}), machine(inside)], "End": True})
    before = len(run.history)

    effects = run.take(stop)

    assert [(e.previous_event_id, e.type, e.details) for e in run.history[before:]] == [
        (0, "ExecutionAborted", details)
    ]
    assert [frame for frame, _ in effects.withdrawn] == [1]
    assert (run.timers, run.rows, run.asides) == ({}, {}, {})


# ------------------------------------------------------------------------------------------- what nobody waits for


SECOND = {"A": task(Next="B"), "B": task()}


@pytest.mark.parametrize(
    "late",
    [
        pytest.param(TaskSucceeded(0, 3, "1"), id="succeeded again"),
        pytest.param(TaskFailed(0, 3, "E", None), id="failed after it succeeded"),
        pytest.param(TaskStarted(0, 3, "w"), id="started after it ended"),
        pytest.param(TaskSubmitted(0, 3, "{}", "arn:x"), id="submitted after it ended"),
        pytest.param(TaskHeartbeat(0, 3), id="beating after it ended"),
        pytest.param(TimerFired(0, "timeout"), id="a timeout of before"),
        pytest.param(TimerFired(0, "heartbeat"), id="a heartbeat of before"),
        pytest.param(TimerFired(0, "retry"), id="a retry of before"),
        pytest.param(TimerFired(0, "wait"), id="a wait that is none"),
        pytest.param(TaskSucceeded(17, 3, "1"), id="a frame that never was"),
        pytest.param(TimerFired(17, "wait"), id="a timer of a frame that never was"),
    ],
)
def test_what_comes_too_late_changes_nothing(late: Any) -> None:
    run = Stepped(machine(SECOND)).start()
    run.take(TaskSucceeded(0, 3, "{}"))
    run.now += 1_000

    effects = run.decide(late)

    assert (effects.events, effects.frames, effects.calls, effects.withdrawn, effects.outcome) == ([], {}, [], [], None)
    assert all(due is None for due in effects.timers.values())


def test_a_task_starts_once() -> None:
    run = started(task(TimeoutSeconds=10))
    run.take(TaskStarted(0, 3, "first"))
    run.now += 5

    effects = run.take(TaskStarted(0, 3, "second"))

    assert effects.events == []
    assert run.timers == {(0, "timeout"): 1_010.0}, "its clock goes on as it was"


def test_what_is_scheduled_and_given_up_in_one_step_is_not_begun() -> None:
    """Otherwise a nested execution would be started that nobody waits for."""
    branches = [machine({"S": SYNC}), machine({"F": {"Type": "Fail", "Error": "E"}}), machine({"T": task()})]
    catch = [{"ErrorEquals": ["E"], "Next": "B"}]
    states = {"A": {"Type": "Parallel", "Branches": branches, "Catch": catch, "End": True}, "B": task()}
    run = Stepped(machine(states)).start()

    assert [(call.frame, call.resource.arn) for call in run.calls] == [(0, ACTIVITY)]
    assert run.outcome is None
    assert set(run.rows) == {0}
