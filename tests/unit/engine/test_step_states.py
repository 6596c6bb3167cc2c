"""``step``: the states that need neither tasks nor children, and what their events say."""

from __future__ import annotations

from typing import Any

import pytest
from stepping import Stepped, events, machine, task

from workflow_manager.engine.core.draft import Limits, iso
from workflow_manager.engine.core.stimuli import TaskFailed, TimerFired

DONE = {"Type": "Succeed"}


@pytest.mark.parametrize(
    ("state", "kind"),
    [
        pytest.param({"Type": "Pass", "End": True}, "Pass", id="Pass"),
        pytest.param({"Type": "Succeed"}, "Succeed", id="Succeed"),
        pytest.param({"Type": "Wait", "Seconds": 0, "End": True}, "Wait", id="Wait of no time"),
        pytest.param(
            {"Type": "Wait", "Timestamp": "1970-01-01T00:00:01Z", "End": True},
            "Wait",
            id="Wait for a time that is past",
        ),
    ],
)
def test_what_ends_at_once(state: dict[str, Any], kind: str) -> None:
    run = Stepped(machine({"A": state}), {"x": 1}).start()

    assert events(run) == [
        (1, 0, "ExecutionStarted"),
        (2, 0, f"{kind}StateEntered"),  # follows nothing, as recorded from AWS
        (3, 2, f"{kind}StateExited"),
        (4, 3, "ExecutionSucceeded"),
    ]
    assert run.history[0].details == {"input": '{"x":1}', "inputDetails": {"truncated": False}, "roleArn": "arn:role"}
    assert run.history[1].details == {"name": "A", "input": '{"x":1}', "inputDetails": {"truncated": False}}
    assert run.history[2].details == {"name": "A", "output": '{"x":1}', "outputDetails": {"truncated": False}}
    assert run.history[3].details == {"output": '{"x":1}', "outputDetails": {"truncated": False}}
    assert run.outcome is not None
    assert (run.outcome.status, run.outcome.output) == ("SUCCEEDED", '{"x":1}')
    assert (run.timers, run.rows) == ({}, {}), "nothing of an ended execution waits or is kept"


@pytest.mark.parametrize(
    ("fields", "output"),
    [
        pytest.param({}, {"a": {"b": 1}}, id="the input"),
        pytest.param({"Result": [1]}, [1], id="Result"),
        pytest.param({"Result": 2, "ResultPath": "$.a.r"}, {"a": {"b": 1, "r": 2}}, id="ResultPath"),
        pytest.param({"Result": 2, "ResultPath": None}, {"a": {"b": 1}}, id="a null ResultPath drops the result"),
        pytest.param({"InputPath": "$.a"}, {"b": 1}, id="InputPath"),
        pytest.param({"InputPath": None}, {}, id="a null InputPath is an empty object"),
        pytest.param({"OutputPath": "$.a.b"}, 1, id="OutputPath"),
        pytest.param({"OutputPath": None}, {}, id="a null OutputPath is an empty object"),
        pytest.param(
            {"Parameters": {"c.$": "$.a.b", "in.$": "$$.State.Name"}, "ResultPath": "$.p"},
            {"a": {"b": 1}, "p": {"c": 1, "in": "A"}},
            id="Parameters see the context",
        ),
    ],
)
def test_what_a_pass_makes_of_its_input(fields: dict[str, Any], output: Any) -> None:
    run = Stepped(machine({"A": {"Type": "Pass", "End": True, **fields}}), {"a": {"b": 1}}).start()

    assert run.output == output


@pytest.mark.parametrize(
    ("value", "taken"),
    [
        pytest.param({"n": 1}, "One", id="the first rule that is true"),
        pytest.param({"n": 2}, "Few", id="a later one"),
        pytest.param({"n": 9}, "Else", id="the default"),
    ],
)
def test_a_choice_takes_one_way(value: Any, taken: str) -> None:
    rules = [
        {"Variable": "$.n", "NumericEquals": 1, "Next": "One"},
        {"Variable": "$.n", "NumericLessThan": 5, "Next": "Few"},
    ]
    states = {"C": {"Type": "Choice", "Choices": rules, "Default": "Else"}, "One": DONE, "Few": DONE, "Else": DONE}

    run = Stepped(machine(states), value).start()

    assert events(run)[1:4] == [
        (2, 0, "ChoiceStateEntered"),
        (3, 2, "ChoiceStateExited"),
        (4, 3, "SucceedStateEntered"),
    ]
    assert (run.history[3].details or {})["name"] == taken


def test_a_choice_that_matches_nothing_fails_and_says_where() -> None:
    rules = [{"Variable": "$.n", "NumericEquals": 1, "Next": "B"}]
    run = Stepped(machine({"C": {"Type": "Choice", "Choices": rules}, "B": DONE}), {"n": 2}).start()

    assert events(run)[1:] == [(2, 0, "ChoiceStateEntered"), (3, 2, "ExecutionFailed")]
    assert run.outcome is not None
    assert run.outcome.error == "States.NoChoiceMatched"
    assert str(run.outcome.cause).startswith(
        "An error occurred while executing the state 'C' (entered at the event id #2)"
    )


@pytest.mark.parametrize(
    ("fields", "details"),
    [
        pytest.param({}, {}, id="says nothing of what it was not told"),
        pytest.param({"Error": "E"}, {"error": "E"}, id="Error"),
        pytest.param({"Cause": "why"}, {"cause": "why"}, id="Cause"),
        pytest.param(
            {"ErrorPath": "$.e", "CausePath": "States.Format('{}!', $.c)"}, {"error": "X", "cause": "y!"}, id="paths"
        ),
    ],
)
def test_a_fail_ends_the_execution_and_is_not_exited(fields: dict[str, Any], details: dict[str, str]) -> None:
    run = Stepped(machine({"F": {"Type": "Fail", **fields}}), {"e": "X", "c": "y"}).start()

    assert events(run)[1:] == [(2, 0, "FailStateEntered"), (3, 2, "ExecutionFailed")]
    assert run.history[-1].details == details
    assert run.outcome is not None
    assert run.outcome.status == "FAILED"
    assert (run.outcome.error, run.outcome.cause) == (details.get("error"), details.get("cause"))


@pytest.mark.parametrize(
    "wait",
    [
        pytest.param({"Seconds": 10}, id="Seconds"),
        pytest.param({"SecondsPath": "$.s"}, id="SecondsPath"),
        pytest.param({"Timestamp": "1970-01-01T00:16:50Z"}, id="Timestamp"),
        pytest.param({"TimestampPath": "$.t"}, id="TimestampPath"),
    ],
)
def test_a_wait_sets_one_timer_and_is_done_when_it_fires(wait: dict[str, Any]) -> None:
    states = {"W": {"Type": "Wait", "Next": "B", "OutputPath": "$.s", **wait}, "B": DONE}
    run = Stepped(machine(states), {"s": 10, "t": "1970-01-01T02:16:50+02:00"}).start()
    assert run.timers == {(0, "wait"): 1_010.0}

    run.pass_time(10)

    assert events(run, 2) == [
        (3, 2, "WaitStateExited"),
        (4, 3, "SucceedStateEntered"),
        (5, 4, "SucceedStateExited"),
        (6, 5, "ExecutionSucceeded"),
    ]
    assert run.output == 10


@pytest.mark.parametrize(
    ("value", "says"),
    [
        pytest.param({"s": -1}, "references a negative value", id="negative"),
        pytest.param({"s": 1.5}, "cannot be parsed as a long value: $.s == 1.5", id="not whole"),
        pytest.param({}, "$.s", id="absent"),
    ],
)
def test_a_wait_that_cannot_know_how_long_fails(value: Any, says: str) -> None:
    run = Stepped(machine({"W": {"Type": "Wait", "SecondsPath": "$.s", "End": True}}), value).start()

    assert run.types[-1] == "ExecutionFailed"
    assert run.outcome is not None
    assert run.outcome.error == "States.Runtime"
    assert says in str(run.outcome.cause)


@pytest.mark.parametrize(
    ("state", "stimuli", "kind"),
    [
        pytest.param({"Type": "Wait", "Seconds": 10, "End": True}, [], "wait", id="wait"),
        pytest.param(
            task(Retry=[{"ErrorEquals": ["E"], "IntervalSeconds": 10}]),
            [TaskFailed(0, 3, "E", None)],
            "retry",
            id="retry",
        ),
    ],
)
def test_a_timer_that_fires_too_early_comes_again(state: dict[str, Any], stimuli: list[Any], kind: Any) -> None:
    """The clock may be set back between looking for the timers that are due and stepping."""
    run = Stepped(machine({"A": state})).start()
    for stimulus in stimuli:
        run.take(stimulus)

    effects = run.take(TimerFired(0, kind))

    assert (effects.events, effects.timers) == ([], {(0, kind): 1_010.0})
    run.pass_time(10)
    assert run.types[-1] in {"ExecutionSucceeded", "ActivityScheduled"}


def test_variables_are_seen_from_the_next_state_on_and_said_in_the_exit() -> None:
    states = {
        "A": {"Type": "Pass", "Assign": {"x": 1, "y.$": "$.n"}, "Next": "B"},
        "B": {"Type": "Pass", "Assign": {"x.$": "$y"}, "Parameters": {"x.$": "$x"}, "Next": "C"},
        "C": {"Type": "Pass", "Parameters": {"x.$": "$x", "y.$": "$y"}, "End": True},
    }
    run = Stepped(machine(states), {"n": [2]}).start()

    assert run.output == {"x": [2], "y": [2]}
    exits = [event.details or {} for event in run.history if event.type == "PassStateExited"]
    assert [details.get("assignedVariables") for details in exits] == [{"x": "1", "y": "[2]"}, {"x": "[2]"}, None]
    assert '"x":1' in exits[1]["output"], "a state's own Assign is not seen by itself"


def test_variables_of_a_branch_are_its_own() -> None:
    def branch(n: int) -> dict[str, Any]:
        seen = {"sum.$": "States.MathAdd($outside, $inside)"}
        return machine(
            {
                f"P{n}": {"Type": "Pass", "Assign": {"inside": n}, "Next": f"Q{n}"},
                f"Q{n}": {"Type": "Pass", "Parameters": seen, "End": True},
            }
        )

    states = {
        "A": {"Type": "Pass", "Assign": {"outside": 10}, "Next": "B"},
        "B": {"Type": "Parallel", "Branches": [branch(1), branch(2)], "Next": "C"},
        "C": {"Type": "Pass", "Parameters": {"o.$": "$outside", "all.$": "$[*].sum"}, "End": True},
    }
    run = Stepped(machine(states)).start()

    assert run.output == {"o": 10, "all": [11, 12]}


def test_the_context_says_where_it_is_and_since_when() -> None:
    see = {"e.$": "$$.Execution", "s.$": "$$.State", "m.$": "$$.StateMachine"}
    run = Stepped(
        machine(
            {"W": {"Type": "Wait", "Seconds": 5, "Next": "A"}, "A": {"Type": "Pass", "Parameters": see, "End": True}}
        )
    ).start()
    run.pass_time(5)

    assert run.output == {
        "e": {
            "Id": "arn:e",
            "Input": {},
            "StartTime": "1970-01-01T00:16:40.000Z",
            "Name": "e",
            "RoleArn": "arn:role",
            "RedriveCount": 0,
        },
        "s": {"Name": "A", "EnteredTime": "1970-01-01T00:16:45.000Z"},
        "m": {"Id": "arn:m", "Name": "m"},
    }


@pytest.mark.parametrize("milliseconds", [0, 1, 57, 123, 290, 499, 999])
def test_times_in_the_context_are_exact_to_the_millisecond(milliseconds: int) -> None:
    assert iso(round(1_764_000_000 + milliseconds / 1_000, 3)) == f"2025-11-24T16:00:00.{milliseconds:03d}Z"


@pytest.mark.parametrize(
    ("size", "status"),
    [pytest.param(100, "SUCCEEDED", id="as large as may be"), pytest.param(101, "FAILED", id="one byte more")],
)
@pytest.mark.parametrize("letter", ["x", "é"])
def test_payloads_are_measured_in_bytes(size: int, status: str, letter: str) -> None:
    text = letter * ((size - 2) // len(letter.encode()))
    text += "x" * (size - 2 - len(text.encode()))
    run = Stepped(
        machine({"A": {"Type": "Pass", "Result": text, "End": True}}), limits=Limits(payload_bytes=100)
    ).start()

    assert run.outcome is not None
    assert run.outcome.status == status
    if status == "FAILED":
        assert run.outcome.error == "States.DataLimitExceeded"
        assert run.outcome.cause == (
            "The state/task 'A' returned a result with a size exceeding the maximum number of bytes service limit."
        )


@pytest.mark.parametrize(("days", "error"), [(24_855, None), (24_856, "States.Runtime")])
def test_how_far_ahead_a_wait_may_end(days: int, error: str | None) -> None:
    wait = {"Type": "Wait", "TimestampPath": "$.t", "End": True}

    run = Stepped(machine({"A": wait}), {"t": iso(1_000 + days * 86_400)}).start()

    assert (run.outcome.error if run.outcome is not None else None) == error
