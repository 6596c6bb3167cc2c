"""RedriveExecution: over every implementation, over restarts, and what the API says of it before and after."""

from __future__ import annotations

from pathlib import Path

import pytest
from embedded_world import START, World, running, task

from workflow_manager.clock import VirtualClock
from workflow_manager.stepfunctions import types as t
from workflow_manager.stepfunctions.errors import (
    ExecutionDoesNotExist,
    ExecutionNotRedrivable,
    InvalidArn,
    ValidationException,
)

DAY = 86_400.0


async def redrive(world: World, arn: str, token: str | None = None) -> float:
    request = t.RedriveExecutionInput(execution_arn=arn, client_token=token)
    return (await world.api.redrive_execution(request)).redrive_date


async def failed(world: World, **fields: object) -> tuple[str, str]:
    """(activity, execution): an execution whose one task failed."""
    activity = await world.activity()
    arn = await world.start(await world.machine({"T": task(activity, **fields)}))
    await world.fail((await world.poll(activity)).task_token)
    assert (await world.ended(arn)).status == "FAILED"
    return activity, arn


async def test_a_failed_execution_goes_on_from_where_it_failed(any_world: World) -> None:
    activity, arn = await failed(any_world)
    before = await any_world.describe(arn)
    any_world.clock.advance(5)

    date = await redrive(any_world, arn)
    running = await any_world.describe(arn)
    await any_world.succeed((await any_world.poll(activity)).task_token, "7")
    after = await any_world.ended(arn)

    assert (before.redrive_count, before.redrive_date, before.redrive_status) == (0, None, "REDRIVABLE")
    assert before.redrive_status_reason is None
    assert date == any_world.clock.now()
    assert (running.status, running.stop_date, running.error, running.cause) == ("RUNNING", None, None, None)
    assert (running.redrive_count, running.redrive_date) == (1, date)
    assert (after.status, after.output, after.start_date) == ("SUCCEEDED", "7", before.start_date)
    assert (after.redrive_status, after.redrive_status_reason) == (
        "NOT_REDRIVABLE",
        "Execution is SUCCEEDED and cannot be redriven",
    )
    assert any_world.rows("frame") == 0
    machine = before.state_machine_arn
    (listed,) = (await any_world.api.list_executions(t.ListExecutionsInput(state_machine_arn=machine))).executions
    assert (listed.redrive_count, listed.redrive_date, listed.status) == (1, date, "SUCCEEDED")


async def test_a_client_token_makes_one_redrive_of_many_requests(any_world: World) -> None:
    activity, arn = await failed(any_world)
    date = await redrive(any_world, arn, "once")
    any_world.clock.advance(60)

    assert await redrive(any_world, arn, "once") == date
    with pytest.raises(ExecutionNotRedrivable, match="Execution is RUNNING and cannot be redriven"):
        await redrive(any_world, arn, "another")

    await any_world.fail((await any_world.poll(activity)).task_token)
    assert await redrive(any_world, arn, "once") == date  # still known: nothing is begun
    any_world.clock.advance(15 * 60)
    assert await redrive(any_world, arn, "once") == any_world.clock.now()
    assert (await any_world.describe(arn)).redrive_count == 2


@pytest.mark.parametrize(
    ("arn", "error"),
    [
        ("arn:aws:states:us-east-1:000000000000:execution:m:absent", ExecutionDoesNotExist),
        ("arn:aws:states:us-east-1:000000000000:express:m:e:r", InvalidArn),
        ("foo", InvalidArn),
    ],
)
async def test_what_is_not_there_cannot_be_redriven(any_world: World, arn: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        await redrive(any_world, arn)


async def test_redrives_end_with_their_period(world: World) -> None:
    _, arn = await failed(world)
    world.clock.advance(14 * DAY + 1)

    described = await world.describe(arn)

    assert (described.redrive_status, described.redrive_status_reason) == (
        "NOT_REDRIVABLE",
        "Execution redrivable period exceeded.",
    )
    with pytest.raises(ExecutionNotRedrivable, match="Execution redrivable period exceeded"):
        await redrive(world, arn)


async def test_executions_that_ended_before_there_was_redrive(world: World) -> None:
    """Databases of earlier versions kept nothing of a failed execution."""
    _, arn = await failed(world)
    await world.database.submit(lambda batch: batch.execute("DELETE FROM frame"))

    with pytest.raises(ExecutionNotRedrivable, match="Execution was started before the launch of RedriveExecution"):
        await redrive(world, arn)


async def test_a_redrive_filter_is_for_map_runs(world: World) -> None:
    machine = await world.machine({"F": {"Type": "Fail"}})

    with pytest.raises(ValidationException, match="redriveFilter"):
        await world.api.list_executions(t.ListExecutionsInput(state_machine_arn=machine, redrive_filter="REDRIVEN"))


@pytest.mark.parametrize("restart", ["before the redrive", "after the redrive", "after it failed again"])
async def test_redrives_survive_restarts(tmp_path: Path, clock: VirtualClock, restart: str) -> None:
    file = tmp_path / "e.db"
    async with running(file, clock) as world:
        activity, arn = await failed(world)
        if restart != "before the redrive":
            await redrive(world, arn)
        if restart == "after it failed again":
            await world.fail((await world.poll(activity)).task_token)
    async with running(file, clock) as world:
        if restart != "after the redrive":
            await redrive(world, arn)
        await world.succeed((await world.poll(activity)).task_token, '"out"')

        ended = await world.ended(arn)
        history = await world.history(arn)

    count = 2 if restart == "after it failed again" else 1
    assert (ended.status, ended.output, ended.redrive_count) == ("SUCCEEDED", '"out"', count)
    assert [event.id for event in history] == list(range(1, len(history) + 1))
    redriven = [event for event in history if event.type == "ExecutionRedriven"]
    assert [event.details for event in redriven] == [{"redriveCount": n + 1} for n in range(count)]


async def test_parallel_branches_that_succeeded_are_kept_on_disk(tmp_path: Path, clock: VirtualClock) -> None:
    file = tmp_path / "e.db"
    branches = [
        {"StartAt": "K", "States": {"K": {"Type": "Pass", "Result": "kept", "End": True}}},
        {"StartAt": "T", "States": {"T": task("arn:aws:states:us-east-1:000000000000:activity:a")}},
    ]
    async with running(file, clock) as world:
        activity = await world.activity()
        arn = await world.start(await world.machine({"P": {"Type": "Parallel", "Branches": branches, "End": True}}))
        await world.fail((await world.poll(activity)).task_token)
        await world.ended(arn)
    async with running(file, clock) as world:
        await redrive(world, arn)
        await world.succeed((await world.poll(activity)).task_token, "1")

        assert (await world.ended(arn)).output == '["kept",1]'
        assert [world.rows(table) for table in ("frame", "aside", "timer", "activity_task")] == [0, 0, 0, 0]


async def test_an_execution_of_its_own_timeout_and_a_stopped_one(world: World) -> None:
    activity = await world.activity()
    machine = await world.machine({"T": task(activity)}, top={"TimeoutSeconds": 10})
    first, second = await world.start(machine, "first"), await world.start(machine, "second")
    await world.stop(second)
    world.clock.advance(10)
    assert (await world.ended(first)).status == "TIMED_OUT"

    for arn in (first, second):
        assert (await world.describe(arn)).redrive_status == "REDRIVABLE"
        await redrive(world, arn)
        await world.succeed((await world.poll(activity)).task_token)
        assert (await world.ended(arn)).status == "SUCCEEDED"


async def test_a_nested_execution_is_started_anew(world: World) -> None:
    """The parent's redrive starts another child; the child's own redrive tells nobody who does not wait any more."""
    activity = await world.activity()
    child = await world.machine({"T": task(activity)}, "child")
    parent = await world.start(
        await world.machine({"N": task(f"{START}.sync:2", Parameters={"StateMachineArn": child})}), "parent"
    )
    await world.fail((await world.poll(activity)).task_token)
    assert (await world.ended(parent)).status == "FAILED"

    await redrive(world, parent)
    await world.succeed((await world.poll(activity)).task_token, "1")

    assert (await world.ended(parent)).status == "SUCCEEDED"
    children = (await world.api.list_executions(t.ListExecutionsInput(state_machine_arn=child))).executions
    assert sorted(each.status for each in children) == ["FAILED", "SUCCEEDED"]
    again = next(each.execution_arn for each in children if each.status == "FAILED")
    await redrive(world, again)
    await world.succeed((await world.poll(activity)).task_token, "2")
    assert (await world.ended(again)).status == "SUCCEEDED"


async def test_a_nested_execution_with_a_name_of_its_own_cannot_be_started_anew(world: World) -> None:
    activity = await world.activity()
    child = await world.machine({"T": task(activity)}, "child")
    parent = await world.start(
        await world.machine({"N": task(f"{START}.sync:2", Parameters={"StateMachineArn": child, "Name": "one"})}),
        "parent",
    )
    await world.fail((await world.poll(activity)).task_token)
    await world.ended(parent)

    await redrive(world, parent)

    ended = await world.ended(parent)  # the name is taken, as on AWS
    assert ended.error == "StepFunctions.ExecutionAlreadyExistsException"
