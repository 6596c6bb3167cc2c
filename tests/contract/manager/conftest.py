"""A WorkflowManager over each Store and over a StepFunctions: ``engine`` is the one place that says which."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from manager_world import ARNS, World, a_world

from workflow_manager.clock import VirtualClock
from workflow_manager.database import Database
from workflow_manager.engine import EmbeddedStepFunctions
from workflow_manager.store import Store
from workflow_manager.store.memory import MemoryStore
from workflow_manager.store.sqlite import SqliteStore


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, database: Database) -> Store:
    return MemoryStore() if request.param == "memory" else SqliteStore(database)


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = Database(tmp_path / "test.db", synchronous="OFF")
    yield database
    await database.close()


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
async def engine(database: Database, clock: VirtualClock) -> AsyncIterator[EmbeddedStepFunctions]:
    engine = EmbeddedStepFunctions(database, arns=ARNS, clock=clock)
    await engine.start()
    yield engine
    await engine.close()


@pytest.fixture
async def world(store: Store, engine: EmbeddedStepFunctions, clock: VirtualClock) -> AsyncIterator[World]:
    """Told of changes by the backend."""
    async with a_world(store, engine, clock, told=True) as world:
        yield world


@pytest.fixture
async def untold(store: Store, engine: EmbeddedStepFunctions, clock: VirtualClock) -> AsyncIterator[World]:
    """Told of nothing: a workflow's status is looked up when it is read."""
    async with a_world(store, engine, clock, told=False) as world:
        yield world


@pytest.fixture(params=[True, False], ids=["told", "not told"])
async def told_or_not(
    request: pytest.FixtureRequest, store: Store, engine: EmbeddedStepFunctions, clock: VirtualClock
) -> AsyncIterator[World]:
    async with a_world(store, engine, clock, told=request.param) as world:
        yield world
