"""Executions that ended long ago are forgotten with all that they left; all others stay, and nobody waits for it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from embedded_world import PASS, World, running, task
from test_distributed_map import distributed

from workflow_manager.clock import VirtualClock
from workflow_manager.database import Batch
from workflow_manager.engine import Limits
from workflow_manager.engine.retention import AT_ONCE, PAUSE_SECONDS, Retention
from workflow_manager.stepfunctions import types as t
from workflow_manager.stepfunctions.errors import ExecutionDoesNotExist

DAYS = 30
DAY = 86_400
LIFTED = Limits(payload_bytes=4 << 20)
LARGE = json.dumps("x" * 40_000)
FAIL: dict[str, Any] = {"F": {"Type": "Fail", "Error": "E"}}

WAIT: dict[str, Any] = {"W": {"Type": "Wait", "Seconds": 90 * DAY, "End": True}}

SHAPES: dict[str, tuple[dict[str, Any], str]] = {
    "a success": (PASS, "{}"),
    "a failure, whose frames stay for a redrive": (FAIL, "{}"),
    "a Map Run": (distributed(), "[1,2,3]"),
    "a Map Run that failed, whose items stay": (distributed(FAIL, MaxConcurrency=1), json.dumps([*range(20)])),
    "a Map Run with more children than go at once": (distributed(), json.dumps([*range(2 * AT_ONCE + 1)])),
    "a Map Run within a Map Run": (distributed({"N": distributed(Label="inner")["M"]}), "[[1,2],[3]]"),
    "a Map Run of Express executions": (distributed(kind="EXPRESS"), "[1,2,3]"),
    "a large payload": (PASS, LARGE),
}

PER_EXECUTION = (
    "execution",
    "history",
    "frame",
    "aside",
    "redrive",
    "mocked",
    "timer",
    "map_run",
    "map_item",
    "payload",
)


@pytest.fixture
async def world(tmp_path: Path, clock: VirtualClock) -> AsyncIterator[World]:
    async with running(tmp_path / "e.db", clock, limits=LIFTED) as world:
        yield world


async def forget(world: World) -> int:
    return await Retention(world.database, world.clock, world.engine._runner, days=DAYS).forget()


def kept(world: World) -> dict[str, int]:
    """How many rows there are in the tables about executions."""
    return {table: count for table in PER_EXECUTION if (count := world.rows(table))}


@pytest.mark.parametrize("shape", SHAPES)
async def test_nothing_stays_of_what_ended_long_ago(world: World, shape: str) -> None:
    states, value = SHAPES[shape]
    arn = await world.start(await world.machine(states), value=value)
    await world.ended(arn)
    newer = await world.machine(PASS, name="newer")
    await world.start(newer, name="old")
    world.clock.advance(DAYS * DAY + 1)
    newest = await world.start(newer, name="new")

    assert await forget(world) == 2

    assert kept(world) == {"execution": 1, "history": 1}
    assert (await world.describe(newest)).status == "SUCCEEDED"
    with pytest.raises(ExecutionDoesNotExist):
        await world.history(arn)
    again = await world.start(arn.rpartition(":")[0].replace(":execution:", ":stateMachine:"), value=value)
    assert again == arn  # the name is free
    await world.ended(again)


async def test_what_runs_or_ended_lately_stays(world: World) -> None:
    activity = await world.activity()
    waits, works = await world.machine(WAIT), await world.machine({"T": task(activity)}, name="w")
    runs, late = await world.start(waits), await world.start(works)
    world.clock.advance(DAYS * DAY + 1)
    await world.succeed((await world.poll(activity)).task_token)
    newest = await world.start(waits, name="newest")

    assert await forget(world) == 0

    statuses = [(await world.describe(arn)).status for arn in (runs, late, newest)]
    assert statuses == ["RUNNING", "SUCCEEDED", "RUNNING"]


async def test_a_number_is_used_once_though_what_had_it_is_forgotten(tmp_path: Path, clock: VirtualClock) -> None:
    file = tmp_path / "e.db"
    async with running(file, clock) as world:
        machine = await world.machine(distributed())
        await world.ended(await world.start(machine, name="first", value="[1]"))
        await world.ended(await world.start(machine, name="second", value="[1]"))
        clock.advance(DAYS * DAY + 1)
        ((last, run),) = world.database.read("SELECT max(execution.id), max(map_run.id) FROM execution, map_run")
        await forget(world)
    async with running(file, clock) as world:
        await world.ended(await world.start(machine, name="third", value="[1]"))
        numbers = world.database.read("SELECT id FROM execution WHERE name = 'third'")
        runs = world.database.read("SELECT id FROM map_run WHERE execution = ?", numbers[0])

    assert numbers[0][0] > last
    assert runs[0][0] > run


async def test_a_payload_stays_as_long_as_any_refers_to_it(world: World) -> None:
    machine = await world.machine(PASS)
    await world.start(machine, name="old", value=LARGE)
    world.clock.advance(DAYS * DAY)
    young = await world.start(machine, name="young", value=LARGE)
    await world.start(machine, name="younger")
    world.clock.advance(1)

    assert await forget(world) == 1
    assert world.rows("payload") == 1
    assert (await world.describe(young)).output == LARGE

    world.clock.advance(DAYS * DAY)
    assert await forget(world) == 2
    assert world.rows("payload") == 0


async def test_one_that_is_redriven_meanwhile_stays(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    activity = await world.activity()
    arn = await world.start(await world.machine({"T": task(activity)}))
    await world.fail((await world.poll(activity)).task_token)
    await world.start(await world.machine(PASS, name="another"), name="another")
    retention = Retention(world.database, world.clock, world.engine._runner, days=1)
    world.clock.advance(2 * DAY)
    look = retention._forget_map_runs

    async def redriven_first(root: int, *more: Any) -> None:
        if world.database.read("SELECT name FROM execution WHERE id = ?", (root,)) == [("e",)]:
            await world.api.redrive_execution(t.RedriveExecutionInput(execution_arn=arn))
        await look(root, *more)

    monkeypatch.setattr(retention, "_forget_map_runs", redriven_first)
    assert await retention.forget() == 1

    await world.succeed((await world.poll(activity)).task_token, "1")
    assert (await world.ended(arn)).output == "1"


@pytest.mark.parametrize("asked", ["stop", "redrive"])
async def test_one_that_is_asked_for_in_this_moment_is_not_there(world: World, asked: str) -> None:
    arn = await world.start(await world.machine(FAIL))
    world.clock.advance(DAYS * DAY + 1)
    call = (
        world.stop(arn) if asked == "stop" else world.api.redrive_execution(t.RedriveExecutionInput(execution_arn=arn))
    )

    def forgotten(batch: Batch) -> None:
        batch.execute("DELETE FROM execution")

    first = asyncio.ensure_future(world.database.write(forgotten))
    second = asyncio.ensure_future(call)
    await first
    with pytest.raises(ExecutionDoesNotExist):
        await second


async def test_an_engine_forgets_at_its_start_and_every_hour(tmp_path: Path, clock: VirtualClock) -> None:
    async with running(tmp_path / "e.db", clock, retention_days=DAYS) as world:
        machine = await world.machine(PASS)
        for name in ("first", "second", "third"):
            await world.start(machine, name=name)
            clock.advance(PAUSE_SECONDS)
        clock.advance(DAYS * DAY - 2 * PAUSE_SECONDS)
        async with asyncio.timeout(30):
            while world.rows("execution") > 1:
                clock.advance(PAUSE_SECONDS)
                await asyncio.sleep(0.001)

        listed = await world.api.list_executions(t.ListExecutionsInput(state_machine_arn=machine))
    assert [execution.name for execution in listed.executions] == ["third"]
