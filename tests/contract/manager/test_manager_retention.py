"""Workflows that ended long ago are forgotten; all others stay."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import UTC, datetime, timedelta

import pytest
from manager_world import World

from workflow_manager.manager.retention import PAGE, PAUSE_SECONDS, Retention
from workflow_manager.model import Workflow, WorkflowDefinition, WorkflowQuery, WorkflowStatus
from workflow_manager.model.errors import StorageUnavailable, WorkflowNotFound

DAYS = 30


async def stored(world: World, workflow_id: str, status: str, *, began: float, ended: float | None = None) -> str:
    """Save a workflow that began so many days ago, and ended."""
    now = datetime.fromtimestamp(world.clock.now(), UTC)
    times = {"created_at": now - timedelta(days=began), "last_updated": now}
    if ended is not None:
        times["stopped_at"] = now - timedelta(days=ended)
    definition = WorkflowDefinition(id="d", name="d", version=0, created_at=now, state_machine={})
    workflow = Workflow(
        id=workflow_id,
        status=WorkflowStatus(status),
        namespace="ns",
        tags={"a": "b"},
        workflow_definition=definition,
        **times,
    )
    await world.store.save_workflow(workflow)
    return workflow_id


async def left(world: World) -> set[str]:
    page = await world.store.workflows(WorkflowQuery(limit=10_000, summary_only=True))
    return {workflow.id for workflow in page.items}


def retention(world: World) -> Retention:
    return Retention(world.store, world.clock, asyncio.sleep, days=DAYS)


@pytest.mark.parametrize(
    ("status", "began", "ended", "stays"),
    [
        pytest.param("succeeded", 40, 31, False, id="succeeded long ago"),
        pytest.param("failed", 40, 31, False, id="failed long ago"),
        pytest.param("cancelled", 40, 31, False, id="cancelled long ago"),
        pytest.param("succeeded", 40, 29, True, id="began long ago, ended since"),
        pytest.param("succeeded", 2, 1, True, id="ended lately"),
        pytest.param("running", 400, None, True, id="runs still"),
        pytest.param("queued", 400, None, True, id="waits still"),
    ],
)
async def test_what_ended_long_ago_is_forgotten(
    world: World, status: str, began: float, ended: float | None, stays: bool
) -> None:
    await stored(world, "w", status, began=began, ended=ended)

    assert await retention(world).forget() == (not stays)

    assert await left(world) == ({"w"} if stays else set())
    if not stays:
        with pytest.raises(WorkflowNotFound):
            await world.store.workflow("w")
        assert (await world.store.workflows(WorkflowQuery(tags={"a": "b"}))).items == []


async def test_those_that_stay_do_not_hide_those_that_go(world: World) -> None:
    stay = {await stored(world, f"stays-{i}", "succeeded", began=100, ended=1) for i in range(PAGE + 1)}
    for i in range(3):
        await stored(world, f"goes-{i}", "failed", began=50, ended=40)

    assert await retention(world).forget() == 3

    assert await left(world) == stay


async def test_it_is_done_now_and_every_hour_whatever_fails(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    delete, failures = world.store.delete_workflow, [StorageUnavailable("for a moment")]

    async def fails_once(workflow_id: str) -> None:
        if failures:
            raise failures.pop()
        await delete(workflow_id)

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 2:
            raise asyncio.CancelledError

    monkeypatch.setattr(world.store, "delete_workflow", fails_once)
    await stored(world, "w", "failed", began=50, ended=40)

    with contextlib.suppress(asyncio.CancelledError):
        await Retention(world.store, world.clock, sleep, days=DAYS).forget_for_ever()

    assert pauses == [PAUSE_SECONDS, PAUSE_SECONDS]
    assert await left(world) == set()
