"""The suite runs over every implementation of the Store; a further one is a further parameter here."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from dynamodb_world import empty_store

from workflow_manager.database import Database
from workflow_manager.store import Store
from workflow_manager.store.memory import MemoryStore
from workflow_manager.store.sqlite import SqliteStore


@pytest.fixture
def few(request: pytest.FixtureRequest) -> bool:
    """Whether the store is moto's, which is slow, and is to be tried with little."""
    return request.node.callspec.params.get("store") == "moto"


@pytest.fixture(params=["memory", "sqlite", "dynamodb", "moto"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    if request.param == "memory":
        yield MemoryStore()
    elif request.param == "sqlite":
        database = Database(tmp_path / "store.db")
        yield SqliteStore(database)
        await database.close()
    else:
        # moto looks at a condition and writes in two steps, between which another of its threads may write
        threads = 1 if request.param == "moto" else 16
        async with empty_store(request.getfixturevalue(f"{request.param}_url"), threads=threads) as dynamodb:
            yield dynamodb
