"""``step``: Parallel and Map, what their frames make together, and what one failure does to the others."""

from __future__ import annotations

from typing import Any

import pytest
from stepping import Stepped, events, machine, task

from workflow_manager.engine.core.draft import Limits
from workflow_manager.engine.core.stimuli import Continue, Start, TaskFailed, TaskStarted, TaskSubmitted, TaskSucceeded

PASS = {"Type": "Pass", "End": True}
FAIL = {"Type": "Fail", "Error": "E", "Cause": "why"}
WAIT = {"Type": "Wait", "Seconds": 60, "End": True}


def a_map(processor: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"Type": "Map", "ItemProcessor": processor, "End": True, **fields}


def parallel(*branches: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"Type": "Parallel", "Branches": list(branches), "End": True, **fields}


def started(state: dict[str, Any], value: Any = None, *, limits: Limits | None = None, **others: Any) -> Stepped:
    return Stepped(machine({"M": state, **others}), value, limits=limits).start()


def succeed(run: Stepped, call: int, output: str = "{}") -> None:
    run.take(TaskSucceeded(run.calls[call].frame, run.calls[call].scheduled_event, output))


def fail(run: Stepped, call: int, error: str = "E") -> None:
    run.take(TaskFailed(run.calls[call].frame, run.calls[call].scheduled_event, error, "why"))


# ------------------------------------------------------------------------------------------- Parallel


def test_a_parallel_gathers_its_branches_in_their_order() -> None:
    run = started(
        parallel(machine({"A": task()}), machine({"B": {"Type": "Pass", "Result": "b", "End": True}})), {"x": 1}
    )
    assert events(run, 1) == [
        (2, 0, "ParallelStateEntered"),
        (3, 2, "ParallelStateStarted"),
        (4, 3, "TaskStateEntered"),
        (5, 4, "ActivityScheduled"),
        (6, 3, "PassStateEntered"),
        (7, 6, "PassStateExited"),
    ]
    assert run.calls[0].arguments == '{"x":1}'

    succeed(run, 0, '"a"')

    assert events(run, 7) == [
        (8, 5, "ActivitySucceeded"),
        (9, 8, "TaskStateExited"),
        (10, 9, "ParallelStateSucceeded"),
        (11, 9, "ParallelStateExited"),
        (12, 11, "ExecutionSucceeded"),
    ]
    assert run.output == ["a", "b"]


def test_one_branch_s_failure_aborts_whatever_the_others_do() -> None:
    run = started(
        parallel(
            machine({"Fails": task()}),
            machine({"Waits": WAIT}),
            machine(
                {"Works": task("arn:aws:states:::states:startExecution.sync", Parameters={"StateMachineArn": "arn:x"})}
            ),
            machine({"Maps": a_map(machine({"Inner": task()}), ItemsPath="$.items")}),
            machine({"Retries": task(Retry=[{"ErrorEquals": ["F"]}])}),
            machine({"Done": PASS}),
            Catch=[{"ErrorEquals": ["E"], "Next": "After"}],
        ),
        {"items": [1]},
        After=WAIT,
    )
    failing, works, retries = run.calls[0], run.calls[1], run.calls[2]
    run.take(TaskSubmitted(works.frame, works.scheduled_event, "{}", "arn:child"))
    run.take(TaskFailed(retries.frame, retries.scheduled_event, "F", None))
    before = len(run.history)

    effects = run.take(TaskFailed(failing.frame, failing.scheduled_event, "E", None))

    assert [(previous - before, kind) for _, previous, kind in events(run, before)] == [
        (failing.scheduled_event - before, "ActivityFailed"),
        (1, "TaskStateAborted"),  # the one that failed
        (1, "WaitStateAborted"),
        (1, "TaskStateAborted"),
        (1, "TaskStateAborted"),  # in the Map
        (1, "MapIterationAborted"),
        (1, "MapStateAborted"),
        (1, "TaskStateAborted"),  # whose retry was waited for
        (1, "ParallelStateFailed"),
        (9, "ParallelStateExited"),
        (10, "WaitStateEntered"),
    ]
    assert [wait.child for _, wait in effects.withdrawn if wait.child] == ["arn:child"]
    assert len(effects.withdrawn) == 2, "two tasks were waited for besides the one that failed"
    assert (set(run.rows), run.asides) == ({0}, {})
    assert run.timers == {(0, "wait"): 1_060.0}


def test_what_a_parallel_hands_on() -> None:
    state = parallel(
        machine({"A": {"Type": "Pass", "Result": 1, "End": True}}),
        Parameters={"in.$": "$.x"},
        ResultSelector={"first.$": "$[0]"},
        ResultPath="$.out",
        OutputPath="$.out",
    )

    assert started(state, {"x": 7}).output == {"first": 1}


# ------------------------------------------------------------------------------------------- Map


def test_the_events_of_a_map() -> None:
    """MapIterationSucceeded and the next MapIterationStarted share their predecessor, as recorded from AWS."""
    run = started(a_map(machine({"P": PASS}), MaxConcurrency=1), ["a", "b"])

    assert events(run, 1) == [
        (2, 0, "MapStateEntered"),
        (3, 2, "MapStateStarted"),
        (4, 3, "MapIterationStarted"),
        (5, 4, "PassStateEntered"),
        (6, 5, "PassStateExited"),
        (7, 6, "MapIterationSucceeded"),
        (8, 6, "MapIterationStarted"),
        (9, 8, "PassStateEntered"),
        (10, 9, "PassStateExited"),
        (11, 10, "MapIterationSucceeded"),
        (12, 11, "MapStateSucceeded"),
        (13, 11, "MapStateExited"),
        (14, 13, "ExecutionSucceeded"),
    ]
    assert run.history[2].details == {"length": 2}
    assert [run.history[i].details for i in (3, 7)] == [{"name": "M", "index": 0}, {"name": "M", "index": 1}]
    assert run.output == ["a", "b"]


def test_a_map_over_nothing() -> None:
    run = started(a_map(machine({"P": PASS}), ItemsPath="$.items", ResultPath="$.r"), {"items": []})

    assert events(run, 1) == [
        (2, 0, "MapStateEntered"),
        (3, 2, "MapStateStarted"),
        (4, 3, "MapStateSucceeded"),
        (5, 3, "MapStateExited"),
        (6, 5, "ExecutionSucceeded"),
    ]
    assert run.history[2].details == {"length": 0}
    assert run.output == {"items": [], "r": []}


@pytest.mark.parametrize("old", [False, True], ids=["ItemSelector", "Parameters"])
def test_items_are_made_from_the_input_and_the_context(old: bool) -> None:
    selector = {"n.$": "$$.Map.Item.Index", "v.$": "$$.Map.Item.Value", "x.$": "$.x"}
    processor = machine({"P": {"Type": "Pass", "Parameters": {"in.$": "$", "at.$": "$$.Map.Item.Index"}, "End": True}})
    fields: dict[str, Any] = (
        {"Parameters": selector, "Iterator": processor}
        if old
        else {"ItemSelector": selector, "ItemProcessor": processor}
    )
    run = started({"Type": "Map", "ItemsPath": "$.items", "End": True, **fields}, {"x": 9, "items": ["a", "b"]})

    assert run.output == [{"in": {"n": n, "v": v, "x": 9}, "at": n} for n, v in enumerate("ab")]


@pytest.mark.parametrize(
    ("concurrency", "limit", "at_once"),
    [
        pytest.param({}, 40, 40, id="as many as AWS runs, when nothing is said"),
        pytest.param({"MaxConcurrency": 0}, 40, 40, id="0 is no bound of its own"),
        pytest.param({"MaxConcurrency": 3}, 40, 3, id="MaxConcurrency"),
        pytest.param({"MaxConcurrencyPath": "$.c"}, 40, 2, id="MaxConcurrencyPath"),
        pytest.param({"MaxConcurrency": 50}, 40, 40, id="never more than the limit"),
        pytest.param({}, 1_000, 60, id="a limit that was lifted"),
    ],
)
def test_how_many_run_at_once(concurrency: dict[str, Any], limit: int, at_once: int) -> None:
    run = started(
        a_map(machine({"T": task()}), ItemsPath="$.items", **concurrency),
        {"c": 2, "items": list(range(60))},
        limits=Limits(map_concurrency=limit),
    )
    assert len(run.calls) == at_once

    if at_once < 60:
        succeed(run, 0)
        assert len(run.calls) == at_once + 1
        assert run.calls[-1].arguments == str(at_once)
    run.finish()

    assert len(run.output) == 60


def test_a_map_waits_for_its_last_iteration_and_keeps_the_order() -> None:
    run = started(a_map(machine({"T": task()})), [1, 2, 3])
    for call, output in ((2, '"c"'), (0, '"a"'), (1, '"b"')):
        assert run.outcome is None
        succeed(run, call, output)

    assert run.output == ["a", "b", "c"]


def test_one_iteration_s_failure_fails_the_map() -> None:
    run = started(a_map(machine({"T": task()}), MaxConcurrency=2), [1, 2, 3])
    succeed(run, 0)
    before = len(run.history)

    fail(run, 1)

    failing = before + 1
    assert events(run, before) == [
        (failing, run.calls[1].scheduled_event, "ActivityFailed"),
        (failing + 1, failing, "MapIterationFailed"),
        (failing + 2, failing, "TaskStateAborted"),
        (failing + 3, failing, "MapIterationAborted"),
        (failing + 4, failing, "MapStateFailed"),
        (failing + 5, failing + 4, "ExecutionFailed"),
    ]
    assert run.history[failing].details == {"name": "M", "index": 1}
    assert run.history[failing + 2].details == {"name": "M", "index": 2}
    assert run.outcome is not None
    assert (run.outcome.error, run.outcome.cause) == ("E", "why")


@pytest.mark.parametrize(
    ("tolerated", "value", "failures"),
    [
        pytest.param({"ToleratedFailureCount": 2}, {}, 2, id="count"),
        pytest.param({"ToleratedFailurePercentage": 50}, {}, 2, id="percentage"),
        pytest.param({"ToleratedFailurePercentage": 74.9}, {}, 2, id="percentages are not rounded"),
        pytest.param({"ToleratedFailurePercentage": 100}, {}, 4, id="all of them"),
        pytest.param({"ToleratedFailureCount": 3, "ToleratedFailurePercentage": 25}, {}, 1, id="whichever is less"),
        pytest.param({"ToleratedFailureCountPath": "$.n"}, {"n": 1}, 1, id="count by path"),
        pytest.param({"ToleratedFailurePercentagePath": "$.n"}, {"n": 25}, 1, id="percentage by path"),
    ],
)
def test_how_many_failures_are_tolerated(tolerated: dict[str, Any], value: dict[str, Any], failures: int) -> None:
    run = started(a_map(machine({"T": task()}), ItemsPath="$.items", **tolerated), {"items": [1, 2, 3, 4], **value})
    for n in range(failures):
        assert run.outcome is None
        fail(run, n)

    if failures < 4:
        assert run.outcome is None
        fail(run, failures)
        assert run.outcome.error == "States.ExceedToleratedFailureThreshold"
        assert run.types.count("MapIterationFailed") == failures + 1
        assert run.types.count("MapIterationAborted") == 3 - failures
    else:
        assert run.output == []


def test_a_map_leaves_out_what_failed_and_was_tolerated() -> None:
    run = started(a_map(machine({"T": task()}), ToleratedFailureCount=1, MaxConcurrency=1), [1, 2, 3])
    succeed(run, 0, '"a"')
    fail(run, 1)
    succeed(run, 2, '"c"')

    assert run.output == ["a", "c"]
    last = next(
        event.id for event in run.history if event.details == {"name": "M", "index": 2} and "Succ" in event.type
    )
    assert [p for _, p, kind in events(run) if kind in {"MapStateSucceeded", "MapStateExited"}] == [last, last]


def test_items_that_are_no_list() -> None:
    run = started(a_map(machine({"P": PASS})), {"not": "a list"})

    assert run.outcome is not None
    assert (run.outcome.status, run.outcome.error) == ("FAILED", "States.Runtime")
    assert "'M' (entered at the event id #2). Reference path \"$\" must point to array." in str(run.outcome.cause)


def test_an_item_that_cannot_be_made_fails_the_map_and_aborts_what_runs() -> None:
    selector = {"x.$": "States.ArrayGetItem($.all, $$.Map.Item.Index)"}
    state = a_map(machine({"T": task()}), ItemsPath="$.items", ItemSelector=selector, MaxConcurrency=1)
    run = started(state, {"items": [1, 2], "all": ["only one"]})
    assert run.outcome is None

    succeed(run, 0)

    assert run.types[-1] == "ExecutionFailed"
    assert run.outcome is not None
    assert run.outcome.error == "States.IntrinsicFailure"
    assert run.outcome.cause is not None
    assert "'M' (entered at the event id #2)" in run.outcome.cause


def test_a_retry_runs_every_item_again() -> None:
    state = a_map(machine({"T": task()}), Retry=[{"ErrorEquals": ["E"], "IntervalSeconds": 5}], MaxConcurrency=2)
    run = started(state, ["a", "b", "c"])
    succeed(run, 0, '"first try"')
    fail(run, 1)
    assert (set(run.rows), run.asides, run.timers) == ({0}, {}, {(0, "retry"): 1_005.0})

    run.reload()
    run.pass_time(5)
    assert [call.arguments for call in run.calls[3:]] == ['"a"', '"b"']
    run.finish('"second try"')

    assert run.output == ["second try"] * 3
    assert run.types.count("MapStateStarted") == 2
    assert run.types.count("MapStateEntered") == 1


def test_maps_within_maps_see_their_own_item() -> None:
    seen = {"v.$": "$$.Map.Item.Value", "i.$": "$$.Map.Item.Index"}
    inner = a_map(machine({"P": {"Type": "Pass", "Parameters": seen, "End": True}}))
    run = started(a_map(machine({"Inner": inner})), [["a", "b"], [], ["c"]])

    assert run.output == [[{"v": "a", "i": 0}, {"v": "b", "i": 1}], [], [{"v": "c", "i": 0}]]
    assert (run.rows, run.asides) == ({}, {})


@pytest.mark.parametrize("way", ["gathered", "failed"])
def test_nothing_is_kept_of_what_was_below(way: str) -> None:
    """Rows, items kept beside them, timers: all go with the frames they belong to."""
    inner = a_map(machine({"T": task(TimeoutSeconds=60)}))
    states = {
        "M": a_map(machine({"Inner": inner}), Catch=[{"ErrorEquals": ["E"], "Next": "After"}], Next="After"),
        "After": WAIT,
    }
    del states["M"]["End"]
    run = Stepped(machine(states), [[1, 2], [3]]).start()
    for call in run.calls:
        run.take(TaskStarted(call.frame, call.scheduled_event))
    assert len(run.asides) == 3

    for n in range(3):
        if way == "gathered":
            succeed(run, n)
        elif n == 0:
            fail(run, n)

    assert run.types[-1] == "WaitStateEntered"
    assert (set(run.rows), run.asides) == ({0}, {})
    assert run.timers == {(0, "wait"): 1_060.0}


def test_a_large_map_is_taken_in_pieces_and_is_right_after_any_restart() -> None:
    """More items than transitions fit in a step; between any two pieces nothing is known but the rows."""
    limits = Limits(transitions_per_step=300, history_events=1_000_000)
    processor = machine({"P": {"Type": "Pass", "Parameters": {"v.$": "States.MathAdd($, 1)"}, "Next": "Q"}, "Q": PASS})
    kept, restarted = (Stepped(machine({"M": a_map(processor)}), list(range(2_000)), limits=limits) for _ in range(2))
    pieces = 0
    for run in (kept, restarted):
        effects = run.take(Start())
        while effects.continues:
            assert run.timers == {(0, "continue"): run.now}
            if run is restarted:
                run.reload()
                pieces += 1
            effects = run.take(Continue())

    assert pieces > 10
    assert kept.output == [{"v": n + 1} for n in range(2_000)]
    assert restarted.history == kept.history
    assert [event.id for event in kept.history] == list(range(1, len(kept.history) + 1))
    assert (restarted.rows, restarted.asides, restarted.timers) == ({}, {}, {})


@pytest.mark.parametrize("leaf", [PASS, FAIL], ids=["well", "failed"])
def test_the_deepest_nesting_that_a_definition_may_have(leaf: dict[str, Any]) -> None:
    nested = machine({"Leaf": leaf})
    for level in range(48):
        nested = machine({f"P{level}": parallel(nested)})
    run = Stepped(nested).start()

    assert run.outcome is not None
    assert run.outcome.status == ("SUCCEEDED" if leaf is PASS else "FAILED")
