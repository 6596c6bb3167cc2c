"""``step``: which errors Retry and Catch match, how long a retry waits, and what a catcher hands on."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stepping import Stepped, events, machine, task

from workflow_manager.engine.core.stimuli import TaskFailed, TaskStarted

CAUGHT = {"Type": "Pass", "Result": "caught", "End": True}


def failing(error: str | None, **fields: Any) -> Stepped:
    """A Task that has failed once, before which nothing else happened."""
    states = {"A": task(**fields)} | ({"Caught": CAUGHT} if "Catch" in fields else {})
    run = Stepped(machine(states), {"x": 1}).start()
    run.take(TaskFailed(0, 3, error, "why"))
    return run


def fail_again(run: Stepped, error: str) -> float:
    """Fail the task that was last scheduled; answer how long its retry then waits."""
    run.take(TaskFailed(0, run.calls[-1].scheduled_event, error, None))
    (due,) = run.timers.values()
    delay = due - run.now
    run.pass_time(delay)
    return delay


# ------------------------------------------------------------------------------------------- what matches


MATCHES = [
    pytest.param(["Custom"], "Custom", True, id="its name"),
    pytest.param(["Other", "Custom"], "Custom", True, id="one of several names"),
    pytest.param(["Custom"], "custom", False, id="names are case-sensitive"),
    pytest.param(["States.ALL"], "Custom", True, id="States.ALL"),
    pytest.param(["States.ALL"], "States.Timeout", True, id="States.ALL matches a timeout"),
    pytest.param(["States.ALL"], None, True, id="States.ALL matches an error without a name"),
    pytest.param(["States.TaskFailed"], "Custom", True, id="States.TaskFailed"),
    pytest.param(["States.TaskFailed"], "States.Timeout", False, id="States.TaskFailed does not match a timeout"),
    pytest.param(["States.Timeout"], "States.Timeout", True, id="States.Timeout"),
    pytest.param(["States.Timeout"], "Custom", False, id="States.Timeout matches nothing else"),
    pytest.param(["States.Timeout"], "States.HeartbeatTimeout", True, id="a missed heartbeat is a timeout"),
    pytest.param(["States.HeartbeatTimeout"], "States.Timeout", False, id="but not the other way round"),
    pytest.param(["States.ALL"], "States.DataLimitExceeded", True, id="States.ALL takes DataLimitExceeded, too"),
    pytest.param(["States.TaskFailed"], "States.DataLimitExceeded", True, id="and so does States.TaskFailed"),
    pytest.param(["States.DataLimitExceeded"], "States.DataLimitExceeded", True, id="and it can be named"),
    pytest.param(["States.ALL"], "States.Runtime", False, id="States.ALL leaves out States.Runtime"),
    pytest.param(["States.TaskFailed"], "States.Runtime", False, id="and so does States.TaskFailed here"),
]


@pytest.mark.parametrize(("names", "error", "matches"), MATCHES)
def test_what_a_catcher_matches(names: list[str], error: str | None, matches: bool) -> None:
    run = failing(error, Catch=[{"ErrorEquals": names, "Next": "Caught"}])

    assert run.outcome is not None
    assert run.outcome.status == ("SUCCEEDED" if matches else "FAILED")
    assert run.types[3] == "ActivityFailed"
    assert ("TaskStateExited" in run.types) is matches
    if not matches:
        assert events(run)[-1] == (5, 4, "ExecutionFailed")
        assert (run.outcome.error, run.outcome.cause) == (error, "why")


@pytest.mark.parametrize(("names", "error", "matches"), MATCHES)
def test_what_a_retrier_matches(names: list[str], error: str | None, matches: bool) -> None:
    run = failing(error, Retry=[{"ErrorEquals": names}])

    assert run.timers == ({(0, "retry"): run.now + 1} if matches else {})
    assert (run.outcome is None) is matches


def test_states_runtime_is_never_retried_even_by_its_name() -> None:
    run = failing("States.Runtime", Retry=[{"ErrorEquals": ["States.Runtime"]}])

    assert run.outcome is not None
    assert run.outcome.error == "States.Runtime"


# ------------------------------------------------------------------------------------------- retrying


@pytest.mark.parametrize(
    ("fields", "delays"),
    [
        pytest.param({}, [1, 2, 4], id="three tries from a second, doubling, by default"),
        pytest.param({"IntervalSeconds": 3}, [3, 6, 12], id="IntervalSeconds"),
        pytest.param({"BackoffRate": 1.0}, [1, 1, 1], id="BackoffRate 1"),
        pytest.param({"BackoffRate": 1.5, "IntervalSeconds": 2}, [2, 3, 4.5], id="BackoffRate 1.5"),
        pytest.param({"MaxAttempts": 1}, [1], id="MaxAttempts counts retries, not runs"),
        pytest.param({"MaxAttempts": 5, "MaxDelaySeconds": 5}, [1, 2, 4, 5, 5], id="MaxDelaySeconds"),
        pytest.param({"JitterStrategy": "NONE"}, [1, 2, 4], id="no jitter"),
        pytest.param({"JitterStrategy": "FULL"}, [0.5, 1, 2], id="full jitter draws from zero to the delay"),
        pytest.param(
            {"JitterStrategy": "FULL", "MaxDelaySeconds": 3}, [0.5, 1, 1.5], id="jitter comes after the bound"
        ),
    ],
)
def test_how_long_retries_wait(fields: dict[str, Any], delays: list[float]) -> None:
    run = Stepped(machine({"A": task(Retry=[{"ErrorEquals": ["E"], **fields}])}), random=0.5).start()

    assert [fail_again(run, "E") for _ in delays] == delays
    run.take(TaskFailed(0, run.calls[-1].scheduled_event, "E", None))
    assert run.types[-1] == "ExecutionFailed"
    assert run.types.count("TaskStateEntered") == 1, "a retry does not enter the state again"


def test_no_attempts_means_no_retry_whatever_stands_after_it() -> None:
    retry = [{"ErrorEquals": ["E"], "MaxAttempts": 0}, {"ErrorEquals": ["States.ALL"]}]
    run = failing("E", Retry=retry)

    assert run.outcome is not None
    assert run.outcome.error == "E"


def test_retriers_count_each_for_itself() -> None:
    retry = [
        {"ErrorEquals": ["E"], "IntervalSeconds": 10, "MaxAttempts": 2},
        {"ErrorEquals": ["States.ALL"], "IntervalSeconds": 100, "MaxAttempts": 2},
    ]
    run = Stepped(machine({"A": task(Retry=retry)})).start()

    assert [fail_again(run, error) for error in ("E", "F", "E", "G")] == [10, 100, 20, 200]
    run.take(TaskFailed(0, run.calls[-1].scheduled_event, "E", None))
    assert run.outcome is not None


def test_counts_begin_anew_when_the_state_is_entered_again() -> None:
    states = {
        "A": task(
            Retry=[{"ErrorEquals": ["E"], "MaxAttempts": 1}], Catch=[{"ErrorEquals": ["E"], "Next": "Again"}], Next="A2"
        ),
        "Again": {"Type": "Pass", "Next": "A"},
        "A2": {"Type": "Succeed"},
    }
    run = Stepped(machine(states)).start()
    assert fail_again(run, "E") == 1
    run.take(TaskFailed(0, run.calls[-1].scheduled_event, "E", None))
    assert run.types.count("TaskStateEntered") == 2

    assert fail_again(run, "E") == 1


def test_the_context_counts_retries_and_each_has_its_own_token() -> None:
    run = Stepped(
        machine(
            {"A": task(Parameters={"n.$": "$$.State.RetryCount"}, Retry=[{"ErrorEquals": ["E"], "MaxAttempts": 2}])}
        )
    ).start()
    for _ in range(2):
        fail_again(run, "E")

    assert [call.arguments for call in run.calls] == ['{"n":0}', '{"n":1}', '{"n":2}']
    assert len({call.token for call in run.calls}) == 3


def test_a_retry_of_a_million_attempts_keeps_its_bounds() -> None:
    retry = {"ErrorEquals": ["E"], "MaxAttempts": 99_999_999, "BackoffRate": 9e7, "MaxDelaySeconds": 60}
    run = Stepped(machine({"A": task(Retry=[retry])})).start()

    delays = [fail_again(run, "E") for _ in range(60)]  # 9e7 to the 60th is beyond a float

    assert delays == [1] + [60] * 59


@given(draw=st.floats(0, 1, exclude_max=True), interval=st.integers(1, 99_999_999), made=st.integers(1, 5))
def test_jitter_only_ever_shortens(draw: float, interval: int, made: int) -> None:
    retry = {"ErrorEquals": ["E"], "IntervalSeconds": interval, "MaxAttempts": 9, "BackoffRate": 3.0}
    plain, jittered = (
        Stepped(machine({"A": task(Retry=[retry | {"JitterStrategy": jitter}])}), random=draw).start()
        for jitter in ("NONE", "FULL")
    )
    for _ in range(made):
        longest, delay = fail_again(plain, "E"), fail_again(jittered, "E")
        assert 0 <= delay <= longest


# ------------------------------------------------------------------------------------------- catching


@pytest.mark.parametrize(
    ("fields", "output"),
    [
        pytest.param({}, {"Error": "E", "Cause": "why"}, id="the error replaces the input"),
        pytest.param({"ResultPath": "$.e"}, {"x": 1, "e": {"Error": "E", "Cause": "why"}}, id="ResultPath"),
        pytest.param({"ResultPath": None}, {"x": 1}, id="a null ResultPath drops the error"),
    ],
)
def test_what_a_catcher_hands_on(fields: dict[str, Any], output: Any) -> None:
    catch = [{"ErrorEquals": ["States.ALL"], "Next": "Next", **fields}]
    run = Stepped(machine({"A": task(Catch=catch), "Next": {"Type": "Succeed"}}), {"x": 1}).start()
    run.take(TaskFailed(0, 3, "E", "why"))

    assert events(run, 3) == [
        (4, 3, "ActivityFailed"),
        (5, 4, "TaskStateExited"),
        (6, 5, "SucceedStateEntered"),
        (7, 6, "SucceedStateExited"),
        (8, 7, "ExecutionSucceeded"),
    ]
    assert run.output == output


def test_the_first_catcher_that_matches_has_it() -> None:
    catch = [
        {"ErrorEquals": ["F"], "Next": "Other"},
        {"ErrorEquals": ["E", "F"], "Next": "Caught"},
        {"ErrorEquals": ["States.ALL"], "Next": "Other"},
    ]
    states = {"A": task(Catch=catch), "Caught": CAUGHT, "Other": {"Type": "Succeed"}}
    run = Stepped(machine(states)).start()
    run.take(TaskFailed(0, 3, "E", None))

    assert run.output == "caught"


def test_retries_come_before_catchers() -> None:
    fields = {"Retry": [{"ErrorEquals": ["E"], "MaxAttempts": 1}], "Catch": [{"ErrorEquals": ["E"], "Next": "Caught"}]}
    run = failing("E", **fields)
    assert run.outcome is None

    run.pass_time(1)
    run.take(TaskFailed(0, run.calls[-1].scheduled_event, "E", None))

    assert run.output == "caught"


def test_a_catcher_may_assign_from_the_error() -> None:
    catch = [{"ErrorEquals": ["E"], "Next": "B", "Assign": {"error.$": "$.Error"}, "ResultPath": None}]
    states = {"A": task(Catch=catch), "B": {"Type": "Pass", "Parameters": {"saw.$": "$error"}, "End": True}}
    run = Stepped(machine(states)).start()
    run.take(TaskFailed(0, 3, "E", None))

    assert run.output == {"saw": "E"}


def test_a_result_that_cannot_be_placed_fails_the_state_after_the_task_succeeded() -> None:
    """Only the state's own fields are at fault: its task is not asked for again, and States.ALL does not match."""
    run = Stepped(
        machine(
            {
                "A": task(
                    ResultSelector={"y.$": "$.absent"},
                    Retry=[{"ErrorEquals": ["States.ALL"]}],
                    Catch=[{"ErrorEquals": ["States.ALL"], "Next": "Caught"}],
                ),
                "Caught": CAUGHT,
            }
        )
    ).start()
    run.take(TaskStarted(0, 3, None))
    run.finish()

    assert run.types[-2:] == ["ActivitySucceeded", "ExecutionFailed"]
    assert run.outcome is not None
    assert run.outcome.error == "States.Runtime"


@pytest.mark.parametrize(
    "child",
    [
        pytest.param({"Type": "Fail", "Error": "E", "Cause": "why"}, id="a Fail"),
        pytest.param(
            {
                "Type": "Parallel",
                "Branches": [machine({"F": {"Type": "Fail", "Error": "E", "Cause": "why"}})],
                "End": True,
            },
            id="a Parallel within",
        ),
    ],
)
@pytest.mark.parametrize("kind", ["Parallel", "Map"])
def test_an_error_goes_up_to_who_handles_it(kind: str, child: dict[str, Any]) -> None:
    inside = machine({"Child": child})
    work = {"Branches": [inside]} if kind == "Parallel" else {"ItemProcessor": inside, "ItemsPath": "$.items"}
    fields = {
        "Retry": [{"ErrorEquals": ["E"], "MaxAttempts": 1}],
        "Catch": [{"ErrorEquals": ["E"], "Next": "Next", "ResultPath": "$.e"}],
        "End": True,
    }
    states = {"A": {"Type": kind, **work, **fields}, "Next": {"Type": "Succeed"}}
    run = Stepped(machine(states), {"items": [1]}).start()
    assert run.timers == {(0, "retry"): run.now + 1}
    within = kind == child["Type"]
    assert run.types.count(f"{kind}StateFailed") == within, "what is tried again has not failed"
    assert set(run.rows) == {0}, "what was below is dropped"

    run.pass_time(1)

    assert run.types.count(f"{kind}StateStarted") == 2 + 2 * within
    assert run.output == {"items": [1], "e": {"Error": "E", "Cause": "why"}}
    assert run.types[-4:] == [f"{kind}StateExited", "SucceedStateEntered", "SucceedStateExited", "ExecutionSucceeded"]
