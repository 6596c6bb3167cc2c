"""Following a workflow: its history in order, its statuses, and then the end."""

import asyncio
import itertools
from collections.abc import Callable
from typing import Any

import pytest
from manager_world import DONE, ECHO, WAITING, World

from workflow_manager.manager.histories import NEWEST_PAGE
from workflow_manager.model import Workflow, WorkflowStatus
from workflow_manager.model.errors import WorkflowNotFound
from workflow_manager.stepfunctions.history import HistoryEvent

Items = list[HistoryEvent | Workflow]


def events(items: Items) -> list[int]:
    return [item.id for item in items if isinstance(item, HistoryEvent)]


def statuses(items: Items) -> list[str]:
    return [item.status for item in items if isinstance(item, Workflow)]


async def followed(world: World, workflow: Workflow, after_event_id: int = 0) -> Items:
    async with asyncio.timeout(10):
        return [item async for item in world.manager.follow(workflow.id, after_event_id=after_event_id)]


async def collect(world: World, workflow: Workflow, items: Items) -> None:
    async for item in world.manager.follow(workflow.id):
        items.append(item)


async def reached(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - any condition will do
            await asyncio.sleep(0.001)


async def test_live(told_or_not: World) -> None:
    world = told_or_not
    workflow = await world.run(ECHO)
    items: Items = []
    following = asyncio.create_task(collect(world, workflow, items))
    await reached(lambda: len(events(items)) == 3)
    assert isinstance(items[0], Workflow)
    assert statuses(items) == ["running"]

    token_taken = asyncio.create_task(world.task())
    await reached(lambda: len(events(items)) == 4)  # started: told while it runs
    await token_taken
    await world.manager.cancel(workflow.id, "enough")
    await following

    assert events(items) == list(range(1, len(events(items)) + 1))
    assert statuses(items) == ["running", "cancelled"]
    last = items[-1]
    assert isinstance(last, Workflow)
    assert [job.state for job in last.jobs or ()] == ["echo"]


@pytest.mark.parametrize("after", [0, 1, 3, 4, 99])
async def test_from_any_event_on(world: World, after: int) -> None:
    workflow = await world.finished(DONE)

    items = await followed(world, workflow, after)

    assert statuses(items) == ["succeeded"]
    assert isinstance(items[0], Workflow)
    assert events(items) == [number for number in range(1, 5) if number > after]


@pytest.mark.parametrize("back", [1, NEWEST_PAGE - 1, NEWEST_PAGE, NEWEST_PAGE + 1, 1500, 2300])
async def test_a_long_history_is_told_whole_and_in_order(world: World, back: int) -> None:
    """Page by page, from either end."""
    steps = {name: {"Type": "Pass", "Next": after} for name, after in itertools.pairwise("abcd")}
    machine = {
        "StartAt": "make",
        "States": {
            "make": {"Type": "Pass", "Parameters": {"list.$": "States.ArrayRange(1, 230, 1)"}, "Next": "map"},
            "map": {
                "Type": "Map",
                "ItemsPath": "$.list",
                "Iterator": {"StartAt": "a", "States": {**steps, "d": {"Type": "Pass", "End": True}}},
                "End": True,
            },
        },
    }
    workflow = await world.finished(machine)
    everything = events(await followed(world, workflow))
    assert everything == list(range(1, len(everything) + 1))
    assert len(everything) > 2300

    assert events(await followed(world, workflow, len(everything) - back)) == everything[-back:]


async def test_a_virtual_hour(world: World) -> None:
    workflow = await world.run(WAITING)
    following = asyncio.create_task(followed(world, workflow))
    await asyncio.sleep(0.01)
    world.clock.advance(3600)

    items = await following

    assert statuses(items)[-1] == WorkflowStatus.SUCCEEDED
    assert events(items) == [1, 2, 3, 4]


async def test_an_execution_that_never_began(world: World) -> None:
    workflow = await world.run(WAITING)
    lost = Workflow(
        id="lost",
        created_at=workflow.created_at,
        last_updated=workflow.created_at,
        namespace="ns",
        workflow_definition=workflow.workflow_definition,
    )
    await world.store.save_workflow(lost)
    items: Items = []
    following = asyncio.create_task(collect(world, lost, items))
    await reached(lambda: items)
    world.clock.advance(301)
    await following

    assert statuses(items) == ["queued", "failed"]


async def test_an_unknown_workflow(world: World) -> None:
    with pytest.raises(WorkflowNotFound):
        await anext(world.manager.follow("nobody"))
