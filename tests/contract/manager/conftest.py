"""A WorkflowManager over each pair of a StepFunctions and a Store: ``pair`` is the one place that says which."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest
from manager_world import ARNS, World, a_world
from moto_cases import pairs_of, sort_out
from pairs import Pair, a_pair

from workflow_manager.clock import VirtualClock
from workflow_manager.database import Database
from workflow_manager.engine import EmbeddedStepFunctions


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "pair" in metafunc.fixturenames:
        metafunc.parametrize("pair", pairs_of(metafunc.definition.path.name), indirect=True)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    sort_out(config, items)


@pytest.fixture
async def pair(
    request: pytest.FixtureRequest, database: Database, engine: EmbeddedStepFunctions, dynamodb_url: str
) -> AsyncIterator[Pair]:
    moto_url = partial(request.getfixturevalue, "moto_url")
    async with a_pair(request.param, engine, database, dynamodb_url, moto_url) as pair:
        yield pair


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
async def world(pair: Pair, engine: EmbeddedStepFunctions, clock: VirtualClock) -> AsyncIterator[World]:
    """Told of changes by the backend."""
    async with a_world(pair, engine, clock, told=True) as world:
        yield world


@pytest.fixture
async def untold(pair: Pair, engine: EmbeddedStepFunctions, clock: VirtualClock) -> AsyncIterator[World]:
    """Told of nothing: a workflow's status is looked up when it is read."""
    async with a_world(pair, engine, clock, told=False) as world:
        yield world


@pytest.fixture(params=[True, False], ids=["told", "not told"])
async def told_or_not(
    request: pytest.FixtureRequest, pair: Pair, engine: EmbeddedStepFunctions, clock: VirtualClock
) -> AsyncIterator[World]:
    async with a_world(pair, engine, clock, told=request.param) as world:
        yield world
