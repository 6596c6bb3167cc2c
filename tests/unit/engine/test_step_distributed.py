"""A distributed Map as the step sees it: what it asks for, how it takes the end, and that it is left alone when abandoned."""

from __future__ import annotations

from typing import Any

import pytest
from stepping import Stepped, events, frozen, machine, task

from workflow_manager.engine.core.frames import ROOT, Phase
from workflow_manager.engine.core.stimuli import Batcher, MapRunEnded, MapRunStart, Stop, TaskFailed

EACH = {"StartAt": "P", "States": {"P": {"Type": "Pass", "End": True}}}
READER = {
    "Resource": "arn:aws:states:::s3:getObject",
    "ReaderConfig": {"InputType": "JSON", "MaxItemsPath": "$.most"},
    "Parameters": {"Bucket.$": "$.bucket", "Key": "k"},
}
PASS = {"Type": "Pass", "Next": "M"}


def distributed(kind: str = "STANDARD", **fields: Any) -> dict[str, Any]:
    processor = {**EACH, "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": kind}}
    return {"Type": "Map", "ItemProcessor": processor, **({} if "Next" in fields else {"End": True}), **fields}


def started(state: dict[str, Any], value: Any, **before: Any) -> tuple[Stepped, MapRunStart]:
    run = Stepped(machine({**before, "M": state}), value)
    (asked,) = run.start().take_map_runs()
    return run, asked


def ending(asked: MapRunStart, **how: Any) -> MapRunEnded:
    return MapRunEnded(asked.frame, asked.event, **({"status": "SUCCEEDED", "output": "[1,2]"} | how))


def test_it_asks_for_a_map_run_and_waits() -> None:
    run, asked = started(
        distributed(
            "EXPRESS",
            Label="l",
            ItemsPath="$.items",
            MaxConcurrencyPath="$.most",
            ToleratedFailureCount=3,
            ToleratedFailurePercentage=1.5,
            ItemBatcher={"MaxItemsPerBatchPath": "$.most", "BatchInput": {"x.$": "$.bucket"}},
            ResultWriter={
                "Resource": "arn:aws:states:::s3:putObject",
                "Parameters": {"Bucket.$": "$.bucket"},
                "WriterConfig": {"OutputType": "JSONL"},
            },
        ),
        {"items": [1, 2, 3], "most": 7, "bucket": "b"},
    )

    assert asked == MapRunStart(
        frame=ROOT,
        event=4,
        run_id="uuid-1",
        label="l",
        state="M",
        entered_event=2,
        graph=1,
        express=True,
        max_concurrency=7,
        tolerated_count=3,
        tolerated_percentage=1.5,
        reader=None,
        batcher=Batcher(7, 262_144, '{"x":"b"}'),
        writer={"arguments": {"Bucket": "b"}, "writes": True, "transformation": "NONE", "output_type": "JSONL"},
    )
    assert events(run) == [
        (1, 0, "ExecutionStarted"),
        (2, 0, "MapStateEntered"),
        (3, 2, "MapStateStarted"),
        (4, 3, "MapRunStarted"),
    ]
    assert run.history[2].details == {"length": 3}
    frame = run.execution.frames[ROOT]
    assert (frame.phase, frame.items) == (Phase.MAP_RUN, [1, 2, 3])


def test_an_item_reader_takes_the_place_of_the_items() -> None:
    run, asked = started(
        distributed(ItemReader=READER, ItemsPath="$.nowhere"), {"bucket": "b", "most": -1}
    )  # -1: reading says so

    assert asked.reader == {
        "action": "s3:getObject",
        "arguments": {"Bucket": "b", "Key": "k"},
        "max_items": -1,
        "config": {"InputType": "JSON"},
    }
    assert run.history[2].details == {"length": 0}


@pytest.mark.parametrize(
    ("before", "follows"),
    [
        pytest.param({}, "MapRunSucceeded", id="the first state"),
        pytest.param({"B": PASS}, "MapRunStarted", id="a later state"),
    ],
)
def test_what_it_made_is_the_states_result(before: dict[str, Any], follows: str) -> None:
    run, asked = started(distributed(ItemsPath="$.items", ResultPath="$.made"), {"items": [0]}, **before)
    run.reload()
    run.take(ending(asked))

    types = {event.id: event.type for event in run.history}
    last = [(event.type, types.get(event.previous_event_id)) for event in run.history[-4:]]
    assert last == [
        ("MapRunSucceeded", "MapRunStarted"),
        ("MapStateSucceeded", "MapRunSucceeded"),
        ("MapStateExited", follows),
        ("ExecutionSucceeded", "MapStateExited"),
    ]
    assert run.output == {"items": [0], "made": [1, 2]}


def test_a_result_that_is_too_large_fails_the_state() -> None:
    run, asked = started(distributed(), [0])
    run.take(ending(asked, output=None))

    assert run.outcome is not None
    assert (run.outcome.error, run.outcome.cause) == (
        "States.DataLimitExceeded",
        "The state/task 'M' returned a result with a size exceeding the maximum number of bytes service limit.",
    )


FAILED = {"status": "FAILED", "output": None, "error": "States.ItemReaderFailed", "cause": "why"}


def test_a_failed_map_run_fails_the_state() -> None:
    run, asked = started(distributed(), [0])
    run.take(ending(asked, **FAILED))

    assert events(run, 4) == [(5, 4, "MapRunFailed"), (6, 5, "MapStateFailed"), (7, 6, "ExecutionFailed")]
    assert run.history[4].details == run.history[6].details == {"error": "States.ItemReaderFailed", "cause": "why"}
    assert run.rows == run.asides == {}


def test_a_failed_map_run_is_caught() -> None:
    catch = [{"ErrorEquals": ["States.ItemReaderFailed"], "Next": "C"}]
    run = Stepped(machine({"M": distributed(Catch=catch), "C": {"Type": "Pass", "End": True}}), [0])
    (asked,) = run.start().take_map_runs()
    run.take(ending(asked, **FAILED))

    assert run.output == {"Error": "States.ItemReaderFailed", "Cause": "why"}


def test_a_retry_asks_for_another_map_run_and_the_first_ones_end_is_nobodys() -> None:
    retry = [{"ErrorEquals": ["States.ALL"], "IntervalSeconds": 5}]
    run, first = started(distributed(Retry=retry), [0])
    run.take(ending(first, **FAILED))
    assert run.outcome is None
    run.reload()
    run.pass_time(5)
    (second,) = run.take_map_runs()

    assert first.run_id != second.run_id
    assert run.execution.frames[ROOT].items == [0]
    assert run.decide(ending(first)).events == []
    run.take(ending(second))
    assert run.output == [1, 2]


@pytest.mark.parametrize("ended", ["stopped", "timed out"])
def test_an_execution_that_ends_leaves_its_map_run(ended: str) -> None:
    run = Stepped(machine({"M": distributed()}, TimeoutSeconds=9), [0])
    (asked,) = run.start().take_map_runs()
    before = frozen(run.execution.frames[ROOT])
    effects = run.decide(Stop())
    assert effects.left_map_runs == [asked.run_id]
    assert frozen(run.execution.frames[ROOT]) == before

    if ended == "stopped":
        run.take(Stop())
    else:
        run.pass_time(9)
    assert run.types[-2:] == ["MapRunAborted", "ExecutionAborted" if ended == "stopped" else "ExecutionTimedOut"]


def test_a_branch_that_fails_leaves_the_map_runs_of_the_others() -> None:
    branches = [machine({"M": distributed(ItemsPath="$.items")}), machine({"T": task()})]
    run = Stepped(machine({"L": {"Type": "Parallel", "Branches": branches, "End": True}}), {"items": [0]})
    (asked,) = run.start().take_map_runs()
    (frame,) = (f for f in run.execution.frames.values() if f.task is not None)
    assert frame.task is not None
    effects = run.take(TaskFailed(frame.id, frame.task.scheduled_event, "E", None))

    assert effects.left_map_runs == [asked.run_id]
    assert run.types[-4:] == [
        "MapRunAborted",
        "MapStateAborted",
        "ParallelStateFailed",
        "ExecutionFailed",
    ]


def test_a_map_run_of_the_step_that_abandons_it_is_never_begun() -> None:
    branches = [machine({"M": distributed(ItemsPath="$.items")}), machine({"F": {"Type": "Fail"}})]
    run = Stepped(machine({"L": {"Type": "Parallel", "Branches": branches, "End": True}}), {"items": [0]})
    run.start()

    assert run.take_map_runs() == []
    assert run.outcome is not None
    assert run.outcome.status == "FAILED"
