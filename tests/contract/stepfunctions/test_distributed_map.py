"""Distributed Maps from the API: Map Runs and their children, readers, batches, results, tolerated failures, restarts."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from embedded_world import ARN, PASS, World, running, task

from workflow_manager.clock import VirtualClock
from workflow_manager.engine.core.draft import Limits
from workflow_manager.engine.maps import map_runs
from workflow_manager.engine.maps import rows as map_run_rows
from workflow_manager.engine.maps import work as map_run_work
from workflow_manager.engine.maps.object_stores import ObjectStores
from workflow_manager.engine.tasks.integrations import IntegrationCall, IntegrationFailed
from workflow_manager.stepfunctions import types as t
from workflow_manager.stepfunctions.errors import (
    ExecutionDoesNotExist,
    ExecutionNotRedrivable,
    InvalidArn,
    InvalidDefinition,
    ResourceNotFound,
    ValidationException,
)

GET = "arn:aws:states:::s3:getObject"
LIST = "arn:aws:states:::s3:listObjectsV2"
PUT = "arn:aws:states:::s3:putObject"
EXCEEDED = ("States.ExceedToleratedFailureThreshold", "The specified tolerated failure threshold was exceeded")
FAIL_ODD = {
    "C": {"Type": "Choice", "Choices": [{"Variable": "$", "NumericLessThan": 0, "Next": "F"}], "Default": "P"},
    "F": {"Type": "Fail", "Error": "Negative", "Cause": "below zero"},
    **PASS,
}
"""Children that fail where their item is negative."""


def distributed(states: dict[str, Any] | None = None, kind: str = "STANDARD", **fields: Any) -> dict[str, Any]:
    """A distributed Map named M of Label l; its children start at the first of these states."""
    states = states or PASS
    processor = {
        "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": kind},
        "StartAt": next(iter(states)),
        "States": states,
    }
    ends = {} if "Next" in fields else {"End": True}
    return {"M": {"Type": "Map", "Label": "l", "ItemProcessor": processor, **ends, **fields}}


def reader(key: str = "x", resource: str = GET, **config: Any) -> dict[str, Any]:
    return {
        "Resource": resource,
        "ReaderConfig": config,
        "Parameters": {"Bucket": "file://in", **({"Key": key} if resource == GET else {})},
    }


def writer(**config: Any) -> dict[str, Any]:
    return {
        "Resource": PUT,
        "Parameters": {"Bucket": "file://out", "Prefix": "p"},
        **({"WriterConfig": config} if config else {}),
    }


@pytest.fixture
def files(tmp_path: Path) -> Path:
    folder = tmp_path / "files"
    (folder / "in").mkdir(parents=True)
    return folder


@pytest.fixture
async def world(tmp_path: Path, clock: VirtualClock, files: Path) -> AsyncIterator[World]:
    async with running(tmp_path / "e.db", clock, objects=ObjectStores(files)) as world:
        yield world


async def the_run(world: World, arn: str) -> t.DescribeMapRunOutput:
    """The only Map Run of an execution."""
    (run,) = (await world.api.list_map_runs(t.ListMapRunsInput(execution_arn=arn))).map_runs
    return await world.api.describe_map_run(t.DescribeMapRunInput(map_run_arn=run.map_run_arn))


async def children(world: World, arn: str, **fields: Any) -> list[t.ExecutionListItem]:
    """The children of the only Map Run of an execution, in the order of their items."""
    run = await the_run(world, arn)
    found: list[t.ExecutionListItem] = []
    token = None
    while True:
        request = t.ListExecutionsInput(map_run_arn=run.map_run_arn, max_results=1_000, next_token=token, **fields)
        page = await world.api.list_executions(request)
        found += page.executions
        token = page.next_token
        if token is None:
            return found[::-1]


async def until(condition: Any) -> Any:
    """Wait for what an awaitable function answers to be true."""
    for _ in range(600):
        answer = await condition()
        if answer:
            return answer
        await asyncio.sleep(0.005)
    raise AssertionError("it never came to that")


async def finished(world: World, arn: str) -> t.DescribeExecutionOutput:
    async def ended() -> t.DescribeExecutionOutput | None:
        described = await world.describe(arn)
        return described if described.status != "RUNNING" else None

    described: t.DescribeExecutionOutput = await until(ended)
    return described


async def counted(world: World, arn: str, **counts: int) -> t.DescribeMapRunOutput:
    """Wait until the Map Run's children are counted like this."""

    async def so() -> t.DescribeMapRunOutput | None:
        runs = (await world.api.list_map_runs(t.ListMapRunsInput(execution_arn=arn))).map_runs
        if not runs:
            return None
        run = await the_run(world, arn)
        is_so = all(getattr(run.execution_counts, name) == count for name, count in counts.items())
        return run if is_so else None

    run: t.DescribeMapRunOutput = await until(so)
    return run


def written(files: Path, output: str | None) -> dict[str, Any]:
    """What the result files hold that the manifest names: kind -> values; and the names of all that was written."""
    details = json.loads(str(output))["ResultWriterDetails"]
    assert details["Bucket"] == "file://out"
    folder = files / "out"
    manifest = json.loads((folder / details["Key"]).read_text())
    found: dict[str, Any] = {"names": sorted(path.name for path in (folder / details["Key"]).parent.iterdir())}
    for kind, entries in manifest["ResultFiles"].items():
        for entry in entries:
            text = (folder / entry["Key"]).read_text()
            assert len(text.encode()) == entry["Size"]
            lines = text.splitlines() if entry["Key"].endswith("jsonl") else []
            found.setdefault(kind, []).extend(map(json.loads, lines) if lines else json.loads(text))
    return found


# ------------------------------------------------------------------------------------------- the API


async def test_a_map_run_and_its_children(any_world: World) -> None:
    world = any_world
    machine = await world.machine(distributed(ItemSelector={"v.$": "$$.Map.Item.Value", "i.$": "$$.Map.Item.Index"}))
    arn = await world.start(machine, value="[10,20,30]")

    ended = await finished(world, arn)
    assert json.loads(str(ended.output)) == [{"v": 10, "i": 0}, {"v": 20, "i": 1}, {"v": 30, "i": 2}]
    assert await world.types(arn) == [
        "ExecutionStarted",
        "MapStateEntered",
        "MapStateStarted",
        "MapRunStarted",
        "MapRunSucceeded",
        "MapStateSucceeded",
        "MapStateExited",
        "ExecutionSucceeded",
    ]

    run = await the_run(world, arn)
    assert run.map_run_arn.startswith(f"{ARN}:mapRun:m/l:")
    assert (run.execution_arn, run.status, run.max_concurrency) == (arn, "SUCCEEDED", 0)
    assert (run.tolerated_failure_count, run.tolerated_failure_percentage) == (0, 0.0)
    assert run.stop_date is not None
    assert run.stop_date >= run.start_date
    for counts in (run.execution_counts, run.item_counts):
        assert (counts.succeeded, counts.total, counts.results_written) == (3, 3, 3)
        assert counts.pending == counts.running == counts.failed == counts.timed_out == counts.aborted == 0

    listed = await children(world, arn)
    assert [child.execution_arn for child in listed] == [f"{ARN}:execution:m/l:{child.name}" for child in listed]
    assert {(c.state_machine_arn, c.map_run_arn, c.item_count, c.status) for c in listed} == {
        (f"{ARN}:stateMachine:m/l", run.map_run_arn, 1, "SUCCEEDED")
    }
    assert await children(world, arn, status_filter="FAILED") == []
    by_machine = await world.api.list_executions(t.ListExecutionsInput(state_machine_arn=machine))
    assert [execution.execution_arn for execution in by_machine.executions] == [arn]

    child = await world.describe(listed[1].execution_arn)
    assert (child.map_run_arn, child.state_machine_arn) == (run.map_run_arn, f"{ARN}:stateMachine:m/l")
    assert (child.input, child.output) == ('{"v":20,"i":1}', '{"v":20,"i":1}')
    assert (child.redrive_status, child.redrive_count) == ("NOT_REDRIVABLE", 0)
    assert await world.types(listed[1].execution_arn) == [
        "ExecutionStarted",
        "PassStateEntered",
        "PassStateExited",
        "ExecutionSucceeded",
    ]
    for_child = await world.api.describe_state_machine_for_execution(
        t.DescribeStateMachineForExecutionInput(execution_arn=listed[1].execution_arn)
    )
    assert (for_child.label, for_child.map_run_arn) == ("l", run.map_run_arn)
    assert for_child.state_machine_arn == f"{ARN}:stateMachine:m/l"
    assert json.loads(for_child.definition)["StartAt"] == "P"


@pytest.mark.parametrize(
    ("arn", "error"),
    [
        pytest.param("nonsense", InvalidArn, id="no ARN"),
        pytest.param(f"{ARN}:execution:m:e", InvalidArn, id="of an execution"),
        pytest.param(f"{ARN}:mapRun:m:850411dc-61f5-47c8-bd6c-80814e01a10d", InvalidArn, id="no label"),
        pytest.param(f"{ARN}:mapRun:m/l:850411dc-61f5-47c8-bd6c-80814e01a10d", ResourceNotFound, id="of no Map Run"),
    ],
)
async def test_map_runs_that_are_not_there(any_world: World, arn: str, error: type[Exception]) -> None:
    for work in (
        any_world.api.describe_map_run(t.DescribeMapRunInput(map_run_arn=arn)),
        any_world.api.update_map_run(t.UpdateMapRunInput(map_run_arn=arn, max_concurrency=1)),
        any_world.api.list_executions(t.ListExecutionsInput(map_run_arn=arn)),
    ):
        with pytest.raises(error):
            await work


@pytest.mark.parametrize(
    "name", ["850411dc-61f5-47c8-bd6c-000000000001", "850411dc-61f5-47c8-bd6c-80814e01a10d", "nobody"]
)
async def test_children_that_are_not_there(world: World, name: str) -> None:
    await finished(world, await world.start(await world.machine(distributed()), value="[1]"))

    with pytest.raises(ExecutionDoesNotExist):
        await world.describe(f"{ARN}:execution:m/l:{name}")


async def test_map_runs_are_listed_newest_first_by_pages(world: World) -> None:
    again = {
        **distributed(ResultPath="$.made", ItemsPath="$.items", Next="N"),
        "N": distributed({"Q": PASS["P"]}, ItemsPath="$.items", Label="n")["M"],
    }
    arn = await world.start(await world.machine(again), value='{"items":[1,2]}')
    await finished(world, arn)

    first = await world.api.list_map_runs(t.ListMapRunsInput(execution_arn=arn, max_results=1))
    second = await world.api.list_map_runs(
        t.ListMapRunsInput(execution_arn=arn, max_results=1, next_token=first.next_token)
    )
    assert [run.state_machine_arn for run in (*first.map_runs, *second.map_runs)] == [
        f"{ARN}:stateMachine:m/n",
        f"{ARN}:stateMachine:m/l",
    ]
    assert second.next_token is None


async def test_executions_are_listed_by_a_machine_or_a_map_run(world: World) -> None:
    machine = await world.machine(PASS)
    for request in (
        t.ListExecutionsInput(),
        t.ListExecutionsInput(state_machine_arn=machine, map_run_arn=f"{ARN}:mapRun:m/l:x"),
    ):
        with pytest.raises(ValidationException):
            await world.api.list_executions(request)


async def test_a_label_is_made_where_none_is_given_and_is_the_same_every_time(world: World) -> None:
    states = distributed()
    del states["M"]["Label"]
    machine = await world.machine(states)
    arns = set()
    for name in ("a", "b"):
        arn = await world.start(machine, name, "[1]")
        await finished(world, arn)
        arns.add((await children(world, arn))[0].state_machine_arn)

    (label,) = (arn.rpartition("/")[2] for arn in arns)
    assert len(label) == 36


# ------------------------------------------------------------------------------------------- concurrency


async def test_children_run_in_windows_and_the_window_can_be_changed(world: World) -> None:
    activity = await world.activity()
    arn = await world.start(
        await world.machine(distributed({"T": task(activity)}, MaxConcurrency=2)), value="[1,2,3,4,5,6,7]"
    )
    run = await counted(world, arn, running=2, pending=5)
    tasks = [await world.poll(activity) for _ in range(3)]
    assert [each.input for each in tasks] == ["1", "2", None]

    await world.succeed(tasks[0].task_token, "10")
    await counted(world, arn, running=2, pending=4, succeeded=1)
    await world.api.update_map_run(t.UpdateMapRunInput(map_run_arn=run.map_run_arn, max_concurrency=4))
    run = await counted(world, arn, running=4, pending=2)
    assert run.max_concurrency == 4
    await world.succeed(tasks[1].task_token, "20")
    for expected in range(3, 8):
        polled = await until(lambda: taken(world, activity))
        assert polled.input == str(expected)
        await world.succeed(polled.task_token, f"{expected}0")

    assert json.loads(str((await finished(world, arn)).output)) == [10, 20, 30, 40, 50, 60, 70]
    with pytest.raises(ValidationException, match="not running"):
        await world.api.update_map_run(t.UpdateMapRunInput(map_run_arn=run.map_run_arn, max_concurrency=4))


async def taken(world: World, activity: str) -> t.GetActivityTaskOutput | None:
    polled = await world.poll(activity)
    return polled if polled.task_token is not None else None


# ------------------------------------------------------------------------------------------- failures


@pytest.mark.parametrize(
    ("fields", "items", "outcome"),
    [
        pytest.param({}, [1, -1, 2], EXCEEDED, id="none is tolerated"),
        pytest.param({"ToleratedFailureCount": 1}, [1, -1, 2], None, id="one is tolerated"),
        pytest.param({"ToleratedFailureCount": 1}, [1, -1, -2], EXCEEDED, id="two are not"),
        pytest.param({"ToleratedFailurePercentage": 50}, [1, -1], None, id="half"),
        pytest.param({"ToleratedFailurePercentage": 49.9}, [1, -1], EXCEEDED, id="nearly half"),
        pytest.param({"ToleratedFailurePercentage": 100}, [-1, -1], None, id="all"),
        pytest.param(
            {"ToleratedFailureCount": 5, "ToleratedFailurePercentage": 10}, [1, -1], EXCEEDED, id="either threshold"
        ),
        pytest.param(
            {"ItemBatcher": {"MaxItemsPerBatch": 2}, "ToleratedFailureCount": 1},
            [0, 0],
            EXCEEDED,
            id="a batch fails with all its items",
        ),
    ],
)
async def test_tolerated_failures(
    world: World, fields: dict[str, Any], items: list[int], outcome: tuple[str, str] | None
) -> None:
    states: dict[str, Any] = FAIL_ODD if "ItemBatcher" not in fields else {"F": FAIL_ODD["F"]}
    arn = await world.start(await world.machine(distributed(states, **fields)), value=json.dumps(items))
    ended = await finished(world, arn)
    run = await the_run(world, arn)

    if outcome is None:
        assert (ended.status, run.status) == ("SUCCEEDED", "SUCCEEDED")
        assert run.item_counts.failed == sum(item < 0 for item in items)
        results = json.loads(str(ended.output))
        assert [result["Error"] if isinstance(result, dict) else result for result in results] == [
            item if item >= 0 else "Negative" for item in items
        ]
    else:
        assert (ended.status, run.status) == ("FAILED", "FAILED")
        assert (ended.error, ended.cause) == outcome
        assert (await world.types(arn))[-3:] == ["MapRunFailed", "MapStateFailed", "ExecutionFailed"]
    failed = [c for c in await children(world, arn) if c.status == "FAILED"]
    assert (await world.describe(failed[0].execution_arn)).redrive_status == "REDRIVABLE_BY_MAP_RUN"


async def test_a_failed_run_stops_what_runs_and_starts_nothing_more(world: World) -> None:
    activity = await world.activity()
    arn = await world.start(
        await world.machine(distributed({"T": task(activity)}, MaxConcurrency=3)), value=json.dumps([*range(8)])
    )
    await counted(world, arn, running=3, pending=5)
    tasks = [await world.poll(activity) for _ in range(3)]
    await world.fail(tasks[1].task_token)

    assert ((await finished(world, arn)).error) == EXCEEDED[0]
    run = await counted(world, arn, failed=1, aborted=2, pending=5, running=0)
    assert run.execution_counts.total == 8
    assert Counter(child.status for child in await children(world, arn)) == {"FAILED": 1, "ABORTED": 2}
    assert world.rows("map_item") == 5  # kept, as the children that failed are
    assert await until(lambda: nothing_left(world))


async def nothing_left(world: World) -> bool:
    """No Map Run goes on, and nothing of a child waits any more."""
    ((live,),) = world.database.read("SELECT count(*) FROM map_run WHERE phase < 3")
    return not live and all(world.rows(table) == 0 for table in ("timer", "activity_task", "integration_call"))


async def test_the_threshold_can_be_changed_while_it_runs(world: World) -> None:
    activity = await world.activity()
    arn = await world.start(await world.machine(distributed({"T": task(activity)})), value="[1,2]")
    run = await counted(world, arn, running=2)
    await world.api.update_map_run(
        t.UpdateMapRunInput(map_run_arn=run.map_run_arn, tolerated_failure_count=1, tolerated_failure_percentage=60)
    )
    run = await the_run(world, arn)
    assert (run.tolerated_failure_count, run.tolerated_failure_percentage) == (1, 60)
    await world.fail((await world.poll(activity)).task_token)
    await world.succeed((await world.poll(activity)).task_token)

    assert (await finished(world, arn)).status == "SUCCEEDED"


async def test_stopping_the_execution_aborts_the_run_and_its_children(world: World) -> None:
    activity = await world.activity()
    arn = await world.start(await world.machine(distributed({"T": task(activity)}, MaxConcurrency=2)), value="[1,2,3]")
    await counted(world, arn, running=2)
    await world.stop(arn)

    run = await counted(world, arn, aborted=2, running=0)
    assert run.status == "ABORTED"
    assert run.stop_date is not None
    assert (await world.types(arn))[-2:] == ["MapRunAborted", "ExecutionAborted"]
    assert await until(lambda: nothing_left(world))
    assert (await world.poll(activity)).task_token is None


async def test_a_child_that_someone_stops_has_not_succeeded(world: World) -> None:
    arn = await world.start(
        await world.machine(distributed({"W": {"Type": "Wait", "Seconds": 9, "End": True}})), value="[1]"
    )
    await counted(world, arn, running=1)
    (child,) = await children(world, arn)
    await world.stop(child.execution_arn)

    assert (await finished(world, arn)).error == EXCEEDED[0]
    await counted(world, arn, aborted=1)


# ------------------------------------------------------------------------------------------- reading


@pytest.mark.parametrize(
    ("name", "content", "config", "items"),
    [
        pytest.param("x", b'[{"a":1},2]', {"InputType": "JSON"}, [{"a": 1}, 2], id="JSON"),
        pytest.param("x.gz", gzip.compress(b"[1,2,3]"), {"InputType": "JSON", "MaxItems": 2}, [1, 2], id="some of gzip"),
        pytest.param("x", b'{"d":{"i":[5]}}', {"InputType": "JSON", "ItemsPointer": "/d/i"}, [5], id="by pointer"),
        pytest.param("x", b'{"a":1}\n{"a":2}\n', {"InputType": "JSONL"}, [{"a": 1}, {"a": 2}], id="JSON lines"),
        pytest.param(
            "x", b"a,b\n1,2\n", {"InputType": "CSV", "CSVHeaderLocation": "FIRST_ROW"}, [{"a": "1", "b": "2"}], id="CSV"
        ),
        pytest.param("x", b"[]", {"InputType": "JSON"}, [], id="no items"),
    ],
)  # fmt: skip
async def test_items_are_read(
    world: World, files: Path, name: str, content: bytes, config: dict[str, Any], items: list[Any]
) -> None:
    (files / "in" / name).write_bytes(content)
    arn = await world.start(await world.machine(distributed(ItemReader=reader(name, **config))))

    assert json.loads(str((await finished(world, arn)).output)) == items
    assert (await the_run(world, arn)).item_counts.total == len(items)


async def test_objects_are_listed_or_loaded_one_by_one(world: World, files: Path) -> None:
    for name, content in (("a/1.jsonl", "1\n2\n"), ("a/2.jsonl", "3\n"), ("b/1.jsonl", "4\n")):
        (files / "in" / name).parent.mkdir(exist_ok=True)
        (files / "in" / name).write_text(content)
    listing = reader(resource=LIST)
    listing["Parameters"]["Prefix"] = "a/"
    loading = reader(resource=LIST, Transformation="LOAD_AND_FLATTEN", InputType="JSONL")
    selector = {"k.$": "$$.Map.Item.Value.Key", "s.$": "$$.Map.Item.Source"}
    listed = await world.start(await world.machine(distributed(ItemReader=listing, ItemSelector=selector), "listing"))
    selector = {"v.$": "$$.Map.Item.Value", "s.$": "$$.Map.Item.Source"}
    loaded = await world.start(await world.machine(distributed(ItemReader=loading, ItemSelector=selector), "loading"))

    assert json.loads(str((await finished(world, listed)).output)) == [
        {"k": "a/1.jsonl", "s": "file://in"},
        {"k": "a/2.jsonl", "s": "file://in"},
    ]
    assert json.loads(str((await finished(world, loaded)).output)) == [
        {"v": 1, "s": "file://in/a/1.jsonl"},
        {"v": 2, "s": "file://in/a/1.jsonl"},
        {"v": 3, "s": "file://in/a/2.jsonl"},
        {"v": 4, "s": "file://in/b/1.jsonl"},
    ]


@pytest.mark.parametrize(
    ("fields", "error", "cause"),
    [
        pytest.param(
            {"ItemReader": reader("none", InputType="JSON")},
            "States.ItemReaderFailed",
            "There is no file file://in/none.",
            id="no such object",
        ),
        pytest.param(
            {"ItemReader": reader("../../e.db", InputType="JSON")},
            "States.ItemReaderFailed",
            "file://in/../../e.db lies outside the folder that local files are served from.",
            id="outside the folder",
        ),
        pytest.param(
            {"ItemReader": reader(InputType="JSON")},
            "States.ItemReaderFailed",
            "Attempting to map over non-iterable node.",
            id="no array",
        ),
        pytest.param(
            {"ItemReader": {**reader(InputType="JSON"), "Parameters": {"Bucket": "file://in", "Key": 1}}},
            "States.ItemReaderFailed",
            "The ItemReader's Bucket and Key must be strings.",
            id="a key that is no text",
        ),
        pytest.param(
            {"ItemSelector": {"v.$": "$$.Map.Item.Value.nowhere"}},
            "States.Runtime",
            None,
            id="an ItemSelector that leads nowhere",
        ),
        pytest.param(
            {"ItemBatcher": {"MaxInputBytesPerBatch": 10}}, "States.DataLimitExceeded", None, id="an item too large"
        ),
    ],
)
async def test_items_that_cannot_be_had_fail_the_run(
    world: World, files: Path, fields: dict[str, Any], error: str, cause: str | None
) -> None:
    (files / "in" / "x").write_text('{"Hello":"world"}')
    arn = await world.start(await world.machine(distributed(**fields)), value='["item"]')
    ended = await finished(world, arn)

    assert (ended.status, ended.error) == ("FAILED", error)
    assert cause is None or ended.cause == cause
    assert (await world.types(arn))[-4:] == ["MapRunStarted", "MapRunFailed", "MapStateFailed", "ExecutionFailed"]
    assert (await the_run(world, arn)).status == "FAILED"


async def test_a_jsonata_map(world: World, files: Path) -> None:
    (files / "in" / "x").write_text("[1,2,3]")
    state = distributed(
        QueryLanguage="JSONata",
        ItemReader={
            "Resource": GET,
            "ReaderConfig": {"InputType": "JSON", "MaxItems": "{% $states.input.most %}"},
            "Arguments": {"Bucket": "{% $states.input.bucket %}", "Key": "x"},
        },
        ItemSelector={"twice": "{% 2 * $states.context.Map.Item.Value %}", "of": "{% $states.input.most %}"},
        ItemBatcher={"MaxItemsPerBatch": 2, "BatchInput": {"b": "{% $states.input.bucket %}"}},
        Output={"made": "{% $states.result %}"},
    )
    arn = await world.start(await world.machine(state), value='{"bucket":"file://in","most":2}')

    assert json.loads(str((await finished(world, arn)).output)) == {
        "made": [{"Items": [{"twice": 2, "of": 2}, {"twice": 4, "of": 2}], "BatchInput": {"b": "file://in"}}]
    }
    assert [(c.item_count) for c in await children(world, arn)] == [2]
    run = await the_run(world, arn)
    assert (run.execution_counts.total, run.item_counts.total) == (1, 2)


# ------------------------------------------------------------------------------------------- results


async def test_results_are_written_with_a_manifest(world: World, files: Path) -> None:
    arn = await world.start(
        await world.machine(distributed(FAIL_ODD, ResultWriter=writer(), ToleratedFailureCount=1)), value="[1,-1,2]"
    )
    output = (await finished(world, arn)).output
    run = await the_run(world, arn)
    found = written(files, output)

    assert json.loads(str(output))["MapRunArn"] == run.map_run_arn
    assert found["names"] == ["FAILED_0.json", "SUCCEEDED_0.json", "manifest.json"]
    assert [(each["Input"], each["Output"], each["Status"]) for each in found["SUCCEEDED"]] == [
        ("1", "1", "SUCCEEDED"),
        ("2", "2", "SUCCEEDED"),
    ]
    assert [(each["Error"], each["Cause"]) for each in found["FAILED"]] == [("Negative", "below zero")]
    assert {each["ExecutionArn"] for each in (*found["SUCCEEDED"], *found["FAILED"])} == {
        child.execution_arn for child in await children(world, arn)
    }
    assert run.execution_counts.results_written == 3


async def test_results_of_a_run_that_fails_say_what_was_not_started(world: World, files: Path) -> None:
    arn = await world.start(
        await world.machine(distributed(FAIL_ODD, ResultWriter=writer(), MaxConcurrency=1)), value="[1,-1,2,3]"
    )
    assert (await finished(world, arn)).error == EXCEEDED[0]
    (manifest,) = (files / "out" / "p").glob("*/manifest.json")
    found = written(files, json.dumps({"ResultWriterDetails": {"Bucket": "file://out", "Key": str(manifest)}}))

    assert [each["Input"] for each in found["SUCCEEDED"]] == ["1"]
    assert [each["Input"] for each in found["FAILED"]] == ["-1"]
    assert [(each["Input"], each["Status"]) for each in found["PENDING"]] == [("2", "PENDING"), ("3", "PENDING")]


@pytest.mark.parametrize(
    ("config", "to_state", "to_file"),
    [
        pytest.param({"Transformation": "COMPACT"}, [[1, 2], 3], [[1, 2], 3], id="outputs"),
        pytest.param({"Transformation": "FLATTEN"}, [1, 2, 3], [1, 2, 3], id="flattened"),
        pytest.param({"Transformation": "FLATTEN", "OutputType": "JSONL"}, [1, 2, 3], [1, 2, 3], id="as lines"),
    ],
)
async def test_transformations_of_results(
    world: World, files: Path, config: dict[str, str], to_state: list[Any], to_file: list[Any]
) -> None:
    plain = await world.machine(distributed(ResultWriter={"WriterConfig": config}), "plain")
    exported = await world.machine(distributed(ResultWriter=writer(**config)), "exported")

    ended = await finished(world, await world.start(plain, value="[[1,2],3]"))
    assert json.loads(str(ended.output)) == to_state
    ended = await finished(world, await world.start(exported, value="[[1,2],3]"))
    assert written(files, ended.output)["SUCCEEDED"] == to_file


async def test_results_that_cannot_be_written_fail_the_run(world: World, files: Path) -> None:
    (files / "out").write_text("a file where a folder should be")
    arn = await world.start(await world.machine(distributed(ResultWriter=writer())), value="[1]")

    assert (await finished(world, arn)).error == "States.ResultWriterFailed"
    assert (await the_run(world, arn)).status == "FAILED"


async def test_results_that_are_too_large_to_be_passed_on(world: World) -> None:
    large = {"L": {"Type": "Pass", "Result": "x" * 50_000, "End": True}}
    arn = await world.start(await world.machine(distributed(large)), value="[1,2,3,4,5,6]")
    ended = await finished(world, arn)

    assert (ended.error, (await the_run(world, arn)).status) == ("States.DataLimitExceeded", "SUCCEEDED")


# ------------------------------------------------------------------------------------------- kinds of children


async def test_express_children_have_no_history_and_are_not_listed(world: World) -> None:
    arn = await world.start(await world.machine(distributed(kind="EXPRESS")), value="[1,2]")

    assert (await finished(world, arn)).output == "[1,2]"
    assert await children(world, arn) == []
    assert (await the_run(world, arn)).execution_counts.succeeded == 2
    ((rows,),) = world.database.read(
        "SELECT count(*) FROM history WHERE key >> 24 IN (SELECT id FROM execution WHERE machine < 0)"
    )
    assert rows == 0
    ((name,),) = world.database.read("SELECT name FROM execution WHERE machine < 0 LIMIT 1")
    with pytest.raises(ExecutionDoesNotExist):
        await world.describe(f"{ARN}:execution:m/l:{name}")


async def test_express_children_end_after_five_minutes(world: World, clock: VirtualClock) -> None:
    wait = {"W": {"Type": "Wait", "Seconds": 3_600, "End": True}}
    arn = await world.start(await world.machine(distributed(wait, kind="EXPRESS")), value="[1]")
    await counted(world, arn, running=1)
    clock.advance(300)

    assert (await finished(world, arn)).error == EXCEEDED[0]
    await counted(world, arn, timed_out=1)


async def test_distributed_maps_in_distributed_maps(world: World) -> None:
    inner = {"N": distributed(Label="inner")["M"]}
    arn = await world.start(await world.machine(distributed(inner)), value="[[1,2],[],[3]]")

    assert json.loads(str((await finished(world, arn)).output)) == [[1, 2], [], [3]]
    child = (await children(world, arn))[0]
    run = await the_run(world, child.execution_arn)
    assert run.map_run_arn.startswith(f"{ARN}:mapRun:m/inner:")


async def test_stopping_reaches_the_children_of_children(world: World) -> None:
    activity = await world.activity()
    inner = {"N": distributed({"T": task(activity)}, Label="inner")["M"]}
    arn = await world.start(await world.machine(distributed(inner)), value="[[1],[2]]")
    await counted(world, arn, running=2)
    for child in await children(world, arn):
        await counted(world, child.execution_arn, running=1)
    await world.stop(arn)

    assert await until(lambda: nothing_left(world))
    assert (await world.poll(activity)).task_token is None


async def test_a_run_that_failed_is_retried_as_another(world: World, files: Path) -> None:
    retry = [{"ErrorEquals": ["States.ItemReaderFailed"], "IntervalSeconds": 1}]
    arn = await world.start(await world.machine(distributed(ItemReader=reader(InputType="JSON"), Retry=retry)))

    async def failed() -> bool:
        return "MapRunFailed" in await world.types(arn)

    await until(failed)
    (files / "in" / "x").write_text("[1]")
    world.clock.advance(1)

    assert (await finished(world, arn)).output == "[1]"
    runs = (await world.api.list_map_runs(t.ListMapRunsInput(execution_arn=arn))).map_runs
    assert len({run.map_run_arn for run in runs}) == 2


# ------------------------------------------------------------------------------------------- redrive


async def redrive(world: World, arn: str) -> None:
    await world.api.redrive_execution(t.RedriveExecutionInput(execution_arn=arn))


async def work(world: World, activity: str, count: int, *refused: str) -> list[str]:
    """Do so many of the activity's tasks: fail those of these inputs, and answer 10 times the others. The inputs, sorted."""
    seen: list[str] = []
    for _ in range(count):
        polled = await until(lambda: taken(world, activity))
        seen.append(polled.input)
        if polled.input in refused:
            await world.fail(polled.task_token)
        else:
            await world.succeed(polled.task_token, f"{polled.input}0")
    return sorted(seen)


async def events_since_redrive(world: World, arn: str) -> list[Any]:
    history = (await world.api.get_execution_history(t.GetExecutionHistoryInput(execution_arn=arn))).events
    types = [event.type for event in history]
    return history[len(types) - 1 - types[::-1].index("ExecutionRedriven") :]


async def test_a_redrive_runs_the_children_again_that_did_not_succeed(world: World) -> None:
    activity = await world.activity()
    machine = await world.machine(distributed({"T": task(activity)}, ToleratedFailureCount=1))
    arn = await world.start(machine, value="[1,2,3,4]")
    assert await work(world, activity, 4, "3", "4") == ["1", "2", "3", "4"]
    assert (await finished(world, arn)).error == EXCEEDED[0]
    failed = await the_run(world, arn)
    assert (failed.status, failed.execution_counts.succeeded, failed.execution_counts.failed) == ("FAILED", 2, 2)
    assert (failed.redrive_count, failed.redrive_date) == (None, None)

    await redrive(world, arn)
    assert await work(world, activity, 2) == ["3", "4"]
    ended = await finished(world, arn)
    assert (ended.status, ended.output, ended.redrive_count) == ("SUCCEEDED", "[10,20,30,40]", 1)

    run = await the_run(world, arn)
    assert run.map_run_arn == failed.map_run_arn
    assert (run.status, run.redrive_count) == ("SUCCEEDED", 1)
    assert run.redrive_date is not None
    for counts in (run.execution_counts, run.item_counts):
        assert (counts.succeeded, counts.failed, counts.total, counts.results_written) == (4, 0, 4, 4)
        assert (counts.pending_redrive, counts.failures_not_redrivable) == (0, 0)

    events = await events_since_redrive(world, arn)
    assert [event.type for event in events] == [
        "ExecutionRedriven",
        "MapRunRedriven",
        "MapRunSucceeded",
        "MapStateSucceeded",
        "MapStateExited",
        "ExecutionSucceeded",
    ]
    assert events[1].details == {"mapRunArn": run.map_run_arn, "redriveCount": 1}
    assert [event.previous_event_id for event in events[1:3]] == [events[0].id, events[1].id]


async def test_children_that_were_redriven(world: World) -> None:
    activity = await world.activity()
    arn = await world.start(await world.machine(distributed({"T": task(activity)})), value="[1,2]")
    first = await until(lambda: taken(world, activity))
    await world.succeed(first.task_token, "1")
    second = await until(lambda: taken(world, activity))
    await world.fail(second.task_token)
    await finished(world, arn)
    (failed,) = await children(world, arn, status_filter="FAILED")
    described = await world.describe(failed.execution_arn)
    assert (described.redrive_status, described.redrive_status_reason) == ("REDRIVABLE_BY_MAP_RUN", None)

    await redrive(world, arn)
    await work(world, activity, 1)
    await finished(world, arn)
    (child,) = await children(world, arn, redrive_filter="REDRIVEN")
    assert (child.execution_arn, child.status, child.redrive_count) == (failed.execution_arn, "SUCCEEDED", 1)
    (other,) = await children(world, arn, redrive_filter="NOT_REDRIVEN")
    assert (other.status, other.redrive_count) == ("SUCCEEDED", 0)
    assert len(await children(world, arn)) == 2
    described = await world.describe(child.execution_arn)
    assert (described.redrive_count, described.redrive_status) == (1, "NOT_REDRIVABLE")
    types = [event.type for event in await events_since_redrive(world, child.execution_arn)]
    assert types[:2] == ["ExecutionRedriven", "ActivityScheduled"]


async def test_items_that_were_not_started_are_started_by_a_redrive(world: World) -> None:
    activity = await world.activity()
    machine = await world.machine(distributed({"T": task(activity)}, MaxConcurrency=1))
    arn = await world.start(machine, value="[1,2,3]")
    polled = await until(lambda: taken(world, activity))
    await world.fail(polled.task_token)
    await finished(world, arn)
    counts = (await the_run(world, arn)).execution_counts
    assert (counts.failed, counts.pending) == (1, 2)

    await redrive(world, arn)
    await work(world, activity, 3)
    assert (await finished(world, arn)).output == "[10,20,30]"


@pytest.mark.parametrize("at_once", [True, False])
async def test_a_redrive_of_a_stopped_execution(world: World, at_once: bool) -> None:
    """The children may still be being stopped when the redrive comes."""
    activity = await world.activity()
    arn = await world.start(await world.machine(distributed({"T": task(activity)})), value="[1,2]")
    await counted(world, arn, running=2)
    await world.stop(arn)
    if not at_once:
        assert await until(lambda: nothing_left(world))
    await redrive(world, arn)
    if at_once:
        await counted(world, arn, running=2, pending_redrive=0)
    assert await work(world, activity, 2) == ["1", "2"]
    assert (await finished(world, arn)).output == "[10,20]"
    assert (await the_run(world, arn)).redrive_count == 1


async def test_a_redrive_that_fails_again_and_another(world: World) -> None:
    activity = await world.activity()
    arn = await world.start(await world.machine(distributed({"T": task(activity)})), value="[1]")
    for number in range(3):
        assert await work(world, activity, 1, "1") == ["1"]
        assert (await finished(world, arn)).status == "FAILED"
        assert ((await the_run(world, arn)).redrive_count or 0) == number
        await redrive(world, arn)
    assert await work(world, activity, 1) == ["1"]
    assert (await finished(world, arn)).output == "[10]"
    (child,) = await children(world, arn)
    assert child.redrive_count == 3


class Unsteady:
    """An integration that takes a message and answers 10 times it, but refuses these at first."""

    actions = ("sendMessage",)

    def __init__(self, *refused: int) -> None:
        self.refused = set(refused)
        self.taken: list[int] = []

    async def invoke(self, call: IntegrationCall) -> str:
        message = json.loads(call.arguments)["MessageBody"]
        self.taken.append(message)
        if message in self.refused:
            self.refused.remove(message)
            raise IntegrationFailed("Unsteady")
        return str(message * 10)


async def test_express_children_are_started_anew(tmp_path: Path, clock: VirtualClock) -> None:
    """Those that failed are, from their first state and in their places; whoever succeeded is not run again."""
    service = Unsteady(1, 2)
    states = {
        "P": {"Type": "Pass", "Parameters": {"n.$": "$"}, "Next": "T"},
        "T": task("arn:aws:states:::sqs:sendMessage", Parameters={"QueueUrl": "q", "MessageBody.$": "$.n"}),
    }
    async with running(tmp_path / "e.db", clock, integrations={"sqs": service}) as world:
        fields = {"ToleratedFailureCount": 1, "MaxConcurrency": 1}
        arn = await world.start(await world.machine(distributed(states, "EXPRESS", **fields)), value="[0,1,2,3]")
        assert (await finished(world, arn)).status == "FAILED"
        assert service.taken == [0, 1, 2]

        await redrive(world, arn)
        assert (await finished(world, arn)).output == "[0,10,20,30]"
        assert service.taken == [0, 1, 2, 1, 2, 3]


async def test_children_that_cannot_be_redriven_have_failed_for_good(tmp_path: Path, clock: VirtualClock) -> None:
    """One whose history is full is counted among failuresNotRedrivable, and against the threshold."""
    limits = Limits(history_events=30)
    async with running(tmp_path / "l.db", clock, limits=limits) as world:
        choice = {"Type": "Choice", "Choices": [{"Variable": "$", "NumericEquals": 0, "Next": "S"}], "Default": "L"}
        loop = {"L": {"Type": "Pass", "Next": "C"}, "C": choice, "S": {"Type": "Succeed"}}
        arn = await world.start(await world.machine(distributed(loop)), value="[1,2]")
        assert (await finished(world, arn)).status == "FAILED"
        child = (await children(world, arn))[0]
        assert (await world.describe(child.execution_arn)).redrive_status == "NOT_REDRIVABLE"
        await redrive(world, arn)
        assert (await finished(world, arn)).error == EXCEEDED[0]
        counts = (await the_run(world, arn)).execution_counts
        assert counts.failures_not_redrivable == 1
        assert (counts.pending_redrive, counts.failed + counts.aborted + counts.pending) == (0, 2)


async def test_items_that_could_not_be_read_are_read_by_a_redrive(world: World, files: Path) -> None:
    arn = await world.start(await world.machine(distributed(ItemReader=reader(InputType="JSON"))))
    assert (await finished(world, arn)).error == "States.ItemReaderFailed"
    (files / "in" / "x").write_text("[1,2]")
    await redrive(world, arn)
    assert (await finished(world, arn)).output == "[1,2]"
    assert (await the_run(world, arn)).redrive_count == 1


async def test_a_redrive_of_a_map_run_whose_results_are_written(world: World, files: Path) -> None:
    activity = await world.activity()
    fields = {"ResultWriter": writer(Transformation="NONE")}
    arn = await world.start(await world.machine(distributed({"T": task(activity)}, **fields)), value="[1,2]")
    await work(world, activity, 1, "1")
    assert (await finished(world, arn)).status == "FAILED"
    await redrive(world, arn)
    await work(world, activity, 2)
    found = written(files, (await finished(world, arn)).output)
    assert [(each["Output"], each["Status"]) for each in found["SUCCEEDED"]] == [
        ("10", "SUCCEEDED"),
        ("20", "SUCCEEDED"),
    ]
    assert {each["RedriveCount"] for each in found["SUCCEEDED"]} == {1}
    assert "FAILED" not in found


async def test_map_runs_below_are_redriven_with_those_above(world: World) -> None:
    """A child of a Map Run that is redriven redrives its own."""
    activity = await world.activity()
    below = distributed({"T": task(activity)}, Label="below")
    arn = await world.start(await world.machine(distributed({"N": below["M"]})), value="[[1]]")
    await work(world, activity, 1, "1")
    assert (await finished(world, arn)).status == "FAILED"
    await redrive(world, arn)
    assert await work(world, activity, 1) == ["1"]
    assert (await finished(world, arn)).output == "[[10]]"
    assert len((await world.api.list_map_runs(t.ListMapRunsInput(execution_arn=arn))).map_runs) == 1


async def test_a_map_run_whose_sibling_fails_as_soon_as_it_is_redriven(world: World) -> None:
    """Nobody waits for it, so it does not go on; the next redrive takes it up."""
    activity, sibling = await world.activity(), await world.activity("sibling")
    branches = [
        {"StartAt": "M", "States": distributed({"T": task(activity)})},
        {"StartAt": "S", "States": {"S": task(sibling, Next="F"), "F": {"Type": "Fail", "Error": "Again"}}},
    ]
    arn = await world.start(
        await world.machine({"P": {"Type": "Parallel", "Branches": branches, "End": True}}), value="[1]"
    )
    await counted(world, arn, running=1)
    await world.succeed((await until(lambda: taken(world, sibling))).task_token)
    for _ in range(2):
        assert (await finished(world, arn)).error == "Again"
        assert await until(lambda: nothing_left(world))
        run = await the_run(world, arn)
        assert (run.status, run.execution_counts.aborted) == ("ABORTED", 1)
        await redrive(world, arn)
        types = [event.type for event in await events_since_redrive(world, arn)]
        assert types[:2] == ["ExecutionRedriven", "MapRunRedriven"]
        assert "MapRunAborted" in types


@pytest.mark.parametrize("begun", [True, False])
async def test_a_map_run_that_a_sibling_brought_down(world: World, begun: bool) -> None:
    """One that had not begun when its sibling failed is begun by the redrive."""
    activity = await world.activity()
    sibling = await world.activity("sibling")
    fails: dict[str, Any] = {"S": {**task(sibling), "End": True}}
    if not begun:
        fails = {"F": {"Type": "Fail"}}
    branches = [
        {"StartAt": "M", "States": distributed({"T": task(activity)})},
        {"StartAt": next(iter(fails)), "States": fails},
    ]
    parallel = {"P": {"Type": "Parallel", "Branches": branches, "End": True}}
    arn = await world.start(await world.machine(parallel), value="[1]")
    if begun:
        await counted(world, arn, running=1)
        await world.fail((await until(lambda: taken(world, sibling))).task_token)
    assert (await finished(world, arn)).status == "FAILED"
    await redrive(world, arn)
    types = [event.type for event in await events_since_redrive(world, arn)]
    assert ("MapRunRedriven" in types, "MapRunStarted" in types) == (begun, not begun)
    if begun:
        await work(world, activity, 1)
        await world.succeed((await until(lambda: taken(world, sibling))).task_token, "0")
        assert (await finished(world, arn)).output == "[[10],0]"


async def test_a_child_is_not_redriven_by_itself(world: World) -> None:
    arn = await world.start(await world.machine(distributed({"F": FAIL_ODD["F"]})), value="[1]")
    await finished(world, arn)
    (child,) = await children(world, arn)

    with pytest.raises(ExecutionNotRedrivable):
        await world.api.redrive_execution(t.RedriveExecutionInput(execution_arn=child.execution_arn))


# ------------------------------------------------------------------------------------------- interruptions

ITEMS = 120


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything is done in small pieces, so that it can be cut off between any two."""
    monkeypatch.setattr(map_run_work, "READ_PER_CHUNK", 7)
    monkeypatch.setattr(map_runs, "STARTED_PER_OPERATION", 5)
    monkeypatch.setattr(map_run_rows, "ROWS_PER_PAGE", 9)
    monkeypatch.setattr(map_runs, "COLLECTED_AT_ONCE", 8)
    monkeypatch.setattr(map_runs, "RETRY_SECONDS", 0.001)
    monkeypatch.setattr(map_run_work, "RETRY_SECONDS", 0.001)


@pytest.mark.usefixtures("small_pieces")
@pytest.mark.parametrize("loops", [1, 2, 4, 8])
@pytest.mark.parametrize("batch", [None, 4])
async def test_restarts_lose_nothing_and_double_nothing(
    tmp_path: Path, files: Path, batch: int | None, loops: int
) -> None:
    """The server is cut off again and again, after so many turns of its loop, while it reads, starts, counts and writes."""
    clock, file, stores = VirtualClock(), tmp_path / "r.db", ObjectStores(files)
    (files / "in" / "x").write_text("n\n" + "".join(f"{n}\n" for n in range(ITEMS)))
    fields: dict[str, Any] = {
        "ItemReader": reader(InputType="CSV", CSVHeaderLocation="FIRST_ROW"),
        "ItemSelector": {"n.$": "$$.Map.Item.Value.n", "i.$": "$$.Map.Item.Index"},
        "ResultWriter": writer(Transformation="COMPACT"),
        "MaxConcurrency": 20,
    }
    if batch is not None:
        fields["ItemBatcher"] = {"MaxItemsPerBatch": batch}
    async with running(file, clock, objects=stores) as world:
        arn = await world.start(await world.machine(distributed(**fields)))
    for _ in range(40):
        async with running(file, clock, objects=stores) as world:
            for _ in range(loops):
                await asyncio.sleep(0.0005)
            if (await world.describe(arn)).status != "RUNNING":
                break

    async with running(file, clock, objects=stores) as world:
        ended = await finished(world, arn)
        run = await the_run(world, arn)
        results = written(files, ended.output)["SUCCEEDED"]
        expected = [{"n": str(n), "i": n} for n in range(ITEMS)]
        if batch is not None:
            assert [item for each in results for item in each["Items"]] == expected
            assert [len(each["Items"]) for each in results] == [batch] * (ITEMS // batch)
        else:
            assert results == expected
        assert (run.item_counts.succeeded, run.item_counts.total) == (ITEMS, ITEMS)
        assert run.execution_counts.total == ITEMS // (batch or 1) == len(await children(world, arn))
        assert await until(lambda: nothing_left(world))
        assert [world.rows(table) for table in ("frame", "aside", "map_item")] == [0, 0, 0]
        assert (await world.types(arn)).count("MapRunSucceeded") == 1


@pytest.mark.usefixtures("small_pieces")
@pytest.mark.parametrize("kind", ["STANDARD", "EXPRESS"])
@pytest.mark.parametrize("loops", [1, 3])
async def test_a_redrive_is_carried_out_over_restarts(tmp_path: Path, kind: str, loops: int) -> None:
    """Every third item fails at first; the server is cut off again and again while they are redriven."""
    clock, file = VirtualClock(), tmp_path / "r.db"
    service = Unsteady(*range(0, 60, 3))
    states = {"T": task("arn:aws:states:::sqs:sendMessage", Parameters={"QueueUrl": "q", "MessageBody.$": "$"})}
    fields = {"ToleratedFailureCount": 19, "MaxConcurrency": 20}
    options: dict[str, Any] = {"integrations": {"sqs": service}}
    async with running(file, clock, **options) as world:
        arn = await world.start(
            await world.machine(distributed(states, kind, **fields)), value=json.dumps([*range(60)])
        )
        assert (await finished(world, arn)).error == EXCEEDED[0]
        await redrive(world, arn)
    for _ in range(25):
        async with running(file, clock, **options) as world:
            for _ in range(loops):
                await asyncio.sleep(0)
    async with running(file, clock, **options) as world:
        assert json.loads(str((await finished(world, arn)).output)) == [10 * n for n in range(60)]
        counts = (await the_run(world, arn)).execution_counts
        assert (counts.succeeded, counts.total, counts.failed, counts.pending_redrive) == (60, 60, 0, 0)


@pytest.mark.usefixtures("small_pieces")
@pytest.mark.parametrize("count", [1, 8, 9, 18, 60])
async def test_results_of_many_children_are_collected_in_order(tmp_path: Path, count: int) -> None:
    clock, file = VirtualClock(), tmp_path / "r.db"
    async with running(file, clock) as world:
        arn = await world.start(await world.machine(distributed()), value=json.dumps([*range(count)]))
    for _ in range(10):
        async with running(file, clock) as world:
            await asyncio.sleep(0.001)

    async with running(file, clock) as world:
        assert json.loads(str((await finished(world, arn)).output)) == [*range(count)]
        assert (await the_run(world, arn)).item_counts.results_written == count


@pytest.mark.usefixtures("small_pieces")
async def test_map_runs_are_taken_up_again_bit_by_bit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A start is not the later the more Map Runs there are."""
    monkeypatch.setattr(map_runs, "TAKEN_UP_AT_ONCE", 2)
    clock, file = VirtualClock(), tmp_path / "r.db"
    async with running(file, clock) as world:
        machine = await world.machine(distributed(MaxConcurrency=1))
        world.engine._map_runs._closing = True  # the process ends before anything follows
        arns = [await world.start(machine, f"e{number}", json.dumps([number, 7])) for number in range(5)]

    async with running(file, clock) as world:
        assert not world.engine._map_runs.rows._runs
        assert [(await finished(world, arn)).output for arn in arns] == [f"[{number},7]" for number in range(5)]


async def test_a_stop_is_carried_out_after_a_restart(tmp_path: Path, files: Path) -> None:
    clock, file, stores = VirtualClock(), tmp_path / "r.db", ObjectStores(files)
    async with running(file, clock, objects=stores) as world:
        activity = await world.activity()
        states = distributed({"T": task(activity)}, MaxConcurrency=30)
        arn = await world.start(await world.machine(states), value=json.dumps([*range(50)]))
        await counted(world, arn, running=30, pending=20)
        world.engine._map_runs._closing = True  # the process ends before anything follows
        await world.stop(arn)
        assert (await the_run(world, arn)).execution_counts.running == 30

    async with running(file, clock, objects=stores) as world:
        await counted(world, arn, running=0, aborted=30)
        assert await until(lambda: nothing_left(world))


@pytest.mark.usefixtures("small_pieces")
async def test_a_disk_that_is_full_for_a_while(tmp_path: Path, files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (files / "in" / "x").write_text(json.dumps([*range(ITEMS)]))
    async with running(tmp_path / "f.db", VirtualClock(), objects=ObjectStores(files)) as world:
        states = distributed(ItemReader=reader(InputType="JSON"), ResultWriter=writer(Transformation="COMPACT"))
        arn = await world.start(await world.machine(states))
        for _ in range(12):
            await asyncio.sleep(0.002)
            with world.full_disk(monkeypatch):
                await asyncio.sleep(0.002)

        ended = await finished(world, arn)
        assert written(files, ended.output)["SUCCEEDED"] == [*range(ITEMS)]
        assert (await the_run(world, arn)).execution_counts.total == ITEMS


# ------------------------------------------------------------------------------------------- labels


@pytest.mark.parametrize(
    ("label", "said"),
    [
        pytest.param("", "['Label cannot be empty']", id="empty"),
        pytest.param("x" * 41, "['Label cannot exceed 40 characters']", id="too long"),
        pytest.param("a~", "[\"Label contains invalid character: '~'\"]", id="a character that names have not"),
        pytest.param("a\x9f", "[\"Label contains invalid character: '\\\\x9f'\"]", id="a control character"),
    ],
)
async def test_labels_are_refused_as_recorded(world: World, label: str, said: str) -> None:
    definition = json.dumps({"StartAt": "M", "States": distributed(Label=label)})
    create = t.CreateStateMachineInput(name="m", definition=definition, role_arn="arn:aws:iam::000000000000:role/r")

    with pytest.raises(InvalidDefinition) as refused:
        await world.api.create_state_machine(create)
    assert refused.value.message == f"Error=ValueError Args={said} in definition '{definition}'."
    validated = await world.api.validate_state_machine_definition(
        t.ValidateStateMachineDefinitionInput(definition=definition)
    )
    (diagnostic,) = validated.diagnostics
    assert (diagnostic.code, diagnostic.location) == ("SCHEMA_VALIDATION_FAILED", "/States/M/Label")
