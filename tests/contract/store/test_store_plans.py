"""How SQLite answers lists: by walking indexes in order, whatever is asked for together; it never sorts and never scans."""

from __future__ import annotations

from collections.abc import AsyncIterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from store_values import at, workflow

from workflow_manager.database import Database
from workflow_manager.model import WorkflowQuery, WorkflowStatus
from workflow_manager.store import sqlite_listing
from workflow_manager.store.paging import range_of
from workflow_manager.store.sqlite import SqliteStore
from workflow_manager.store.sqlite_listing import select_page

S = WorkflowStatus

DEFINITIONS: list[dict[str, Any]] = [{}, {"definition_name": "d"}]
STATUSES: list[dict[str, Any]] = [{}, {"statuses": (S.FAILED,)}, {"statuses": (S.QUEUED, S.RUNNING)}]
RESOLUTIONS: list[dict[str, Any]] = [{}, {"resolved_by_user": False}]
PLACES: list[dict[str, Any]] = [{}, {"namespace": "n"}, {"queue": "q"}, {"namespace": "n", "queue": "q"}]
TAGS: list[dict[str, Any]] = [{}, {"tags": {"k": "v"}}, {"tags": {"k": "v", "l": "w"}}]
TIMES: list[dict[str, Any]] = [{}, {"created_after": at(1), "created_before": at(9)}]
ORDERS: list[dict[str, Any]] = [{}, {"oldest_first": True}]


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    opened = Database(tmp_path / "store.db", synchronous="OFF")
    SqliteStore(opened)
    yield opened
    await opened.close()


def plan(database: Database, query: WorkflowQuery) -> list[str]:
    sql, arguments = select_page(query, range_of(query), database.read)
    return [detail for *_, detail in database.read(f"EXPLAIN QUERY PLAN {sql}", arguments)]


@pytest.mark.parametrize("few", [1000, 0], ids=["tags are rare", "tags are common"])
@pytest.mark.parametrize("summary_only", [False, True], ids=["whole", "summary"])
async def test_no_combination_of_filters_sorts_or_scans(
    database: Database, monkeypatch: pytest.MonkeyPatch, few: int, summary_only: bool
) -> None:
    monkeypatch.setattr(sqlite_listing, "FEW", few)
    seen = 0
    for filters in product(DEFINITIONS, STATUSES, RESOLUTIONS, PLACES, TAGS, TIMES, ORDERS):
        asked = {name: value for part in filters for name, value in part.items()}
        steps = plan(database, WorkflowQuery(**asked, summary_only=summary_only))

        assert not [step for step in steps if "TEMP B-TREE" in step], asked
        assert [step for step in steps if step.startswith("SCAN")] == ["SCAN p"], asked  # the page that was walked
        assert all("created_at,id" in step for step in steps if " INDEX workflows_by_" in step), asked
        assert any("payloads" in step for step in steps) is not summary_only, asked
        seen += 1

    assert seen == 2 * 3 * 2 * 4 * 3 * 2 * 2


@pytest.mark.parametrize(
    ("asked", "walked", "walks"),
    [
        pytest.param({"definition_name": "d", "statuses": (S.FAILED,)}, "by_definition", 2, id="definition, status"),
        pytest.param(
            {"definition_name": "d", "statuses": (S.FAILED, S.QUEUED, S.FAILED)},
            "by_definition",
            4,
            id="a status that is asked for twice is walked once",
        ),
        pytest.param(
            {"definition_name": "d", "statuses": (S.FAILED,), "resolved_by_user": False},
            "by_definition",
            1,
            id="definition, status, resolution",
        ),
        pytest.param({"definition_name": "d"}, "by_definition", 10, id="definition"),
        pytest.param({"namespace": "n", "statuses": (S.FAILED,)}, "by_namespace", 2, id="namespace, status"),
        pytest.param({"statuses": (S.FAILED,)}, "by_status", 2, id="status"),
        pytest.param({"resolved_by_user": False}, "by_status", 5, id="resolution"),
        pytest.param({}, "by_status", 10, id="everything"),
        pytest.param({"queue": "q"}, "by_queue", 1, id="queue"),
    ],
)
async def test_a_walk_reads_index_entries_alone(
    database: Database, asked: dict[str, Any], walked: str, walks: int
) -> None:
    steps = plan(database, WorkflowQuery(**asked))

    assert len([step for step in steps if f"USING COVERING INDEX workflows_{walked}" in step]) == walks
    assert len([step for step in steps if "workflows_by_" in step]) == walks


async def test_the_rarest_tag_is_walked_unless_it_is_common_and_something_else_narrows(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_listing, "FEW", 3)
    store = SqliteStore(database)
    for i in range(5):
        tags = {"team": "x"} | ({"order": "7"} if i == 2 else {})
        await store.save_workflow(workflow(f"w{i}", tags=tags, created_at=at(i)))

    def walked(**asked: Any) -> str:
        sql, _ = select_page(query := WorkflowQuery(**asked), range_of(query), database.read)
        return next((f"tag {n}" for n in (0, 1) if f"t.key = :key{n}" in sql), "workflows")

    assert walked(tags={"team": "x"}) == "tag 0"
    assert walked(tags={"team": "x", "order": "7"}) == "tag 1"
    assert walked(tags={"team": "x"}, definition_name="d") == "workflows"
    assert walked(tags={"team": "x", "order": "7"}, definition_name="d") == "tag 1"
    assert walked(tags={"team": "x"}, definition_name="d", created_after=at(3)) == "tag 0"  # only two are left
