"""Looking after workflows that nobody reads and nothing tells of: one server does it, each in its turn, at a bounded rate."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest
from manager_world import DONE, WAITING, World

from workflow_manager.clock import VirtualClock
from workflow_manager.manager import SweepSettings
from workflow_manager.manager.sweeping import LEASE_PAUSES, MOST_FAILURES, PAGE, PAUSE_SECONDS, Sweeper
from workflow_manager.manager.updates import NEVER_BEGAN
from workflow_manager.model import Workflow, WorkflowQuery, WorkflowStatus
from workflow_manager.model.errors import StorageUnavailable
from workflow_manager.stepfunctions import errors


class Server:
    """A server's sweeper, whose waiting makes time pass."""

    def __init__(self, world: World, name: str = "a", *, pushed: bool = False, **settings: float) -> None:
        self.pauses: list[float] = []
        self.turns = 1
        self._clock = world.clock
        self.sweeper = Sweeper(
            world.store,
            world.manager._updates,
            world.clock,
            self._sleep,
            settings=SweepSettings(**settings),
            pushed=pushed,
            holder=name,
        )

    async def _sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        if seconds >= PAUSE_SECONDS:
            self.turns -= 1
            if self.turns == 0:
                raise asyncio.CancelledError
        self._clock.advance(seconds)
        await asyncio.sleep(0)

    async def run(self, turns: int = 1) -> None:
        """Sweep so many times, then stop as a server does."""
        self.turns = turns
        with contextlib.suppress(asyncio.CancelledError):
            await self.sweeper.sweep_for_ever()


@pytest.fixture
async def alone(untold: World) -> World:
    """No server sweeps but those that a test runs."""
    await untold.manager.stop()
    return untold


async def never_begun(world: World, workflow_id: str = "lost") -> Workflow:
    """A workflow that was saved before a crash, and whose execution was not started."""
    definition = (await world.manager.definitions() or [await world.define(DONE)])[0]
    now = (await world.run()).created_at if workflow_id == "lost" else (await world.store.workflow("lost")).created_at
    lost = Workflow(id=workflow_id, created_at=now, last_updated=now, namespace="ns", workflow_definition=definition)
    await world.store.save_workflow(lost)
    return lost


async def test_what_has_ended_is_found_though_nobody_reads_it(alone: World) -> None:
    workflow = await alone.run(DONE)
    server = Server(alone)

    alone.clock.advance(300)
    await server.run()
    assert (await alone.store.workflow(workflow.id)).status is WorkflowStatus.QUEUED

    alone.clock.advance(1)
    await server.run()
    assert (await alone.store.workflow(workflow.id)).status is WorkflowStatus.SUCCEEDED


@pytest.mark.parametrize("pushed", [True, False])
async def test_what_never_began_is_found(alone: World, *, pushed: bool) -> None:
    lost = await never_begun(alone)
    alone.clock.advance(301)

    await Server(alone, pushed=pushed).run()

    found = await alone.store.workflow(lost.id)
    assert (found.status, found.status_reason) == (WorkflowStatus.FAILED, NEVER_BEGAN)


async def test_a_look_that_finds_nothing_new_is_remembered(alone: World) -> None:
    """So that each has its turn: it comes again only after as long a time."""
    workflow = await alone.run(WAITING)
    alone.clock.advance(301)
    server = Server(alone)

    assert await server.sweeper.sweep() == 1
    assert (await alone.store.workflow(workflow.id)).status is WorkflowStatus.RUNNING
    alone.clock.advance(301)
    assert await server.sweeper.sweep() == 1
    assert await server.sweeper.sweep() == 0

    found = await alone.store.workflow(workflow.id)
    assert found.last_updated.timestamp() == pytest.approx(alone.clock.now(), abs=1)


async def test_where_changes_are_pushed_what_runs_is_left_alone(world: World) -> None:
    """However many wait for days, they cost nothing."""
    workflow = await world.run(WAITING)
    await world.stored(workflow, until=lambda each: each.status is WorkflowStatus.RUNNING)
    world.clock.advance(86_400)
    world.stepfunctions.calls.clear()

    assert await Server(world, pushed=True).sweeper.sweep() == 0

    assert world.stepfunctions.calls == []


async def test_the_rate_is_bounded_however_many_there_are(alone: World) -> None:
    await never_begun(alone)
    for number in range(2 * PAGE + 10):
        await never_begun(alone, f"lost-{number}")
    alone.clock.advance(301)
    started, server = alone.clock.now(), Server(alone, per_second=4.0)

    assert await server.sweeper.sweep() == 2 * PAGE + 12  # with the one that did begin

    assert alone.clock.now() - started >= (2 * PAGE + 12) / 4
    unfinished = (WorkflowStatus.QUEUED, WorkflowStatus.RUNNING)
    assert (await alone.store.workflows(WorkflowQuery(statuses=unfinished))).items == []


async def test_one_that_cannot_be_looked_at_keeps_nothing_from_the_others(alone: World) -> None:
    first = await alone.run(DONE)
    alone.clock.advance(1)
    second = await alone.run()
    alone.clock.advance(301)
    alone.stepfunctions.errors["describe_execution"] = [errors.ThrottlingException("slow down")]

    await Server(alone).run()

    assert (await alone.store.workflow(first.id)).status is WorkflowStatus.QUEUED
    assert (await alone.store.workflow(first.id)).last_updated.timestamp() >= alone.clock.now() - 1
    assert (await alone.store.workflow(second.id)).status is WorkflowStatus.SUCCEEDED


async def test_a_backend_that_is_gone_is_not_asked_about_everything(alone: World) -> None:
    await never_begun(alone)
    for number in range(20):
        await never_begun(alone, f"lost-{number}")
    alone.clock.advance(301)
    alone.stepfunctions.errors["describe_execution"] = [errors.ThrottlingException("slow down")] * 100
    alone.stepfunctions.calls.clear()

    await Server(alone).run()

    assert alone.stepfunctions.calls == ["describe_execution"] * MOST_FAILURES


async def test_sweeping_goes_on_after_a_failure(alone: World, monkeypatch: pytest.MonkeyPatch) -> None:
    lost = await never_begun(alone)
    alone.clock.advance(301)
    faults = [StorageUnavailable("disk full")]
    take_lease = alone.store.take_lease

    async def unsure(*arguments: Any) -> bool:
        if faults:
            raise faults.pop()
        return await take_lease(*arguments)

    monkeypatch.setattr(alone.store, "take_lease", unsure)

    await Server(alone).run(turns=2)

    assert (await alone.store.workflow(lost.id)).status is WorkflowStatus.FAILED


async def test_of_two_servers_one_sweeps(alone: World) -> None:
    first, second = Server(alone, "a"), Server(alone, "b")
    assert await first.sweeper._leads()

    workflow = await alone.run(DONE)
    alone.clock.advance(PAUSE_SECONDS)
    assert await first.sweeper._leads()  # and so on, as long as it lives
    await second.run(turns=2)

    assert (await alone.store.workflow(workflow.id)).status is WorkflowStatus.QUEUED


async def test_when_one_dies_another_takes_over(alone: World) -> None:
    dead, other = Server(alone, "a"), Server(alone, "b")
    assert await dead.sweeper._leads()
    workflow = await alone.run(DONE)

    await other.run(turns=2)
    assert (await alone.store.workflow(workflow.id)).status is WorkflowStatus.QUEUED

    alone.clock.advance(301)
    assert LEASE_PAUSES * PAUSE_SECONDS < 300
    await other.run()
    assert (await alone.store.workflow(workflow.id)).status is WorkflowStatus.SUCCEEDED


async def test_one_that_stops_lets_another_take_over_at_once(alone: World) -> None:
    await Server(alone, "a").run()

    assert await Server(alone, "b").sweeper._leads()


async def test_a_leader_that_was_too_slow_gives_way(alone: World) -> None:
    """Its lease ended while it looked; the other looks at the rest."""
    await never_begun(alone)
    await never_begun(alone, "second")
    alone.clock.advance(301)
    slow, other = Server(alone, "a"), Server(alone, "b")
    assert await slow.sweeper._leads()
    look_at = slow.sweeper._look_at

    async def slowly(workflow_id: str) -> None:
        await look_at(workflow_id)
        alone.clock.advance(LEASE_PAUSES * PAUSE_SECONDS)
        assert await other.sweeper._leads()

    slow.sweeper._look_at = slowly  # type: ignore[method-assign]

    assert await slow.sweeper.sweep() == 1


async def test_one_that_is_taken_back_in_this_moment(alone: World, monkeypatch: pytest.MonkeyPatch) -> None:
    lost = await never_begun(alone)
    alone.clock.advance(301)

    async def then_gone(*arguments: Any) -> Any:
        monkeypatch.undo()
        found = await alone.store.unfinished_workflows(*arguments)
        await alone.store.delete_workflow(lost.id)
        return found

    monkeypatch.setattr(alone.store, "unfinished_workflows", then_gone)

    assert await Server(alone).sweeper.sweep() == 2


async def test_the_manager_sweeps_by_itself(alone: World, clock: VirtualClock) -> None:
    lost = await never_begun(alone)
    clock.advance(301)

    await alone.manager.start()  # as its fixture stops it

    found = await alone.stored(lost, until=lambda each: each.status.final)
    assert found.status_reason == NEVER_BEGAN


async def test_one_that_stops_while_it_takes_the_lease_gives_it_back(
    alone: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A call that is under way to a store elsewhere is carried out there, whoever waits for it."""
    take_lease, asked, goes_on = alone.store.take_lease, asyncio.Event(), asyncio.Event()

    async def slowly(*arguments: Any) -> bool:
        asked.set()
        await goes_on.wait()
        return await take_lease(*arguments)

    monkeypatch.setattr(alone.store, "take_lease", slowly)
    running = asyncio.create_task(Server(alone, "a").run())
    await asked.wait()
    running.cancel()
    goes_on.set()
    await running
    monkeypatch.undo()

    assert await Server(alone, "b").sweeper._leads()
