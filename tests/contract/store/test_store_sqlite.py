"""What is the SQLite store's own: what it keeps once, what it shares with the engine's database, what it says when that fails."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from store_values import definition, workflow

from workflow_manager.database import Database
from workflow_manager.model import StateResource, WorkflowChange, WorkflowQuery, WorkflowStatus
from workflow_manager.model.errors import StorageUnavailable, WfmError
from workflow_manager.store import Store
from workflow_manager.store.sqlite import SqliteStore


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    opened = Database(tmp_path / "store.db", synchronous="OFF")
    SqliteStore(opened)
    yield opened
    await opened.close()


async def test_a_definition_is_stored_once_and_a_changed_one_with_its_workflow(database: Database) -> None:
    store = SqliteStore(database)
    machine: dict[str, Any] = {"StartAt": "S", "States": {"S": {"Type": "Succeed", "Comment": 1}}}
    stored = await store.save_definition(definition("d", state_machine=machine))
    looks_equal: dict[str, Any] = {"StartAt": "S", "States": {"S": {"Type": "Succeed", "Comment": True}}}
    changed = definition("d", state_machine=looks_equal)
    assert changed == stored  # to Python, 1 and True are equal

    await store.save_workflow(workflow("same", workflow_definition=stored))
    await store.save_workflow(workflow("changed", workflow_definition=changed))

    kept = database.read("SELECT p.value FROM payloads AS p JOIN workflows AS w ON p.id = w.seq * 8 + 4 ORDER BY w.id")
    assert [value for (value,) in kept] == ['{"StartAt":"S","States":{"S":{"Type":"Succeed","Comment":true}}}']
    read = (await store.workflow("changed")).workflow_definition.state_machine
    assert read is not None
    assert read["States"]["S"]["Comment"] is True


async def test_a_deleted_workflow_leaves_no_rows(database: Database) -> None:
    store = SqliteStore(database)
    await store.save_workflow(workflow(input="[1]", output="2", tags={"k": "v", "l": "w"}))

    await store.delete_workflow("w")

    for table in ("workflows", "payloads", "workflow_tags"):
        assert database.read(f"SELECT * FROM {table}") == []


async def test_many_changes_at_once_share_commits(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workflow_manager.database.BATCH_SECONDS", 60.0)
    store = SqliteStore(database)
    await asyncio.gather(*(store.save_workflow(workflow(f"w{i}")) for i in range(100)))
    before = database.commits

    change = WorkflowChange(status=WorkflowStatus.RUNNING)
    changed = await asyncio.gather(*(store.change_workflow(f"w{i}", change) for i in range(100)))

    assert all(made for _, made in changed)
    assert database.commits == before + 1


async def test_stored_data_outlives_the_store(tmp_path: Path) -> None:
    database = Database(tmp_path / "again.db")
    store = SqliteStore(database)
    saved = await store.save_definition(definition("d"))
    await store.save_workflow(workflow(workflow_definition=saved, output="1", tags={"k": "v"}))
    before = await store.workflow("w")
    await database.close()

    database = Database(tmp_path / "again.db")
    store = SqliteStore(database)
    assert await store.workflow("w") == before
    assert (await store.update_definition(saved)).version == 1
    await database.close()


READS: dict[str, Callable[[Store], Awaitable[Any]]] = {
    "definitions": lambda store: store.definitions(),
    "definition_versions": lambda store: store.definition_versions("d"),
    "definition": lambda store: store.definition("d", 0),
    "latest_definition": lambda store: store.latest_definition("d"),
    "workflow": lambda store: store.workflow("w"),
    "workflows": lambda store: store.workflows(WorkflowQuery()),
    "state_resource": lambda store: store.state_resource("n", "r"),
}
WRITES: dict[str, Callable[[Store], Awaitable[Any]]] = {
    "save_definition": lambda store: store.save_definition(definition("big", state_machine={"Comment": "x" * 100_000})),
    "update_definition": lambda store: store.update_definition(
        definition("d", state_machine={"Comment": "x" * 100_000})
    ),
    "save_workflow": lambda store: store.save_workflow(workflow("big", input="x" * 100_000)),
    "change_workflow": lambda store: store.change_workflow("w", WorkflowChange(output="x" * 100_000)),
    "save_state_resource": lambda store: store.save_state_resource(
        StateResource(name="big", namespace="n", uri="x" * 100_000)
    ),
}


@pytest.mark.parametrize("call", [*READS.values(), *WRITES.values()], ids=[*READS, *WRITES])
async def test_a_closed_database_is_storage_unavailable(
    database: Database, call: Callable[[Store], Awaitable[Any]]
) -> None:
    store = SqliteStore(database)
    await database.close()

    with pytest.raises(StorageUnavailable, match="closed"):
        await call(store)


@pytest.mark.parametrize("call", WRITES.values(), ids=WRITES)
async def test_on_a_full_disk_nothing_is_changed_and_later_it_goes_on(
    database: Database, call: Callable[[Store], Awaitable[Any]]
) -> None:
    store = SqliteStore(database)
    await store.save_definition(definition("d"))
    await store.save_workflow(workflow())
    await store.save_state_resource(StateResource(name="r", namespace="n"))

    async def everything() -> list[Any]:
        answers = []
        for read in READS.values():
            try:
                answers.append(await read(store))
            except WfmError as error:
                answers.append(str(error))
        return answers

    before = await everything()
    pages = database.read("PRAGMA page_count")[0][0]
    database.writer.pragma("max_page_count", pages + 1)

    with pytest.raises(StorageUnavailable, match="the disk is full; nothing was written"):
        await call(store)
    assert await everything() == before

    database.writer.pragma("max_page_count", pages + 1000)
    await call(store)
