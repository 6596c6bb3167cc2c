"""What DynamoDB is asked for, counted in the units it bills: writes as documented, pages whatever is filtered by."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Iterator
from itertools import product
from typing import Any

import pytest
from dynamodb_world import Meter, empty_store, load
from store_values import at, definition, workflow

from workflow_manager.model import Workflow, WorkflowChange, WorkflowQuery, WorkflowStatus
from workflow_manager.store.dynamodb import DynamoStore
from workflow_manager.store.dynamodb_listing import streams_of

S = WorkflowStatus

COUNT = 3000
PAGE = 10
"""Read units of a page of ten small workflows, read consistently."""

DEFINITIONS: list[dict[str, Any]] = [{}, {"definition_name": "big"}, {"definition_name": "rare"}]
STATES: list[dict[str, Any]] = [
    {},
    {"statuses": (S.FAILED,)},
    {"statuses": (S.FAILED,), "resolved_by_user": False},
    {"statuses": (S.QUEUED, S.RUNNING)},
    {"statuses": (S.SUCCEEDED,)},
    {"resolved_by_user": False},
]
PLACES: list[dict[str, Any]] = [{}, {"namespace": "prod"}, {"namespace": "dev"}]
OTHERS: list[dict[str, Any]] = [
    {},
    {"queue": "default"},
    {"queue": "slow"},
    {"tags": {"team": "x"}},
    {"tags": {"canary": "yes"}},
    {"tags": {"team": "x", "canary": "yes"}, "queue": "default"},
    {"tags": {"order": "1500"}},
]


def skewed(count: int) -> Iterator[Workflow]:
    """As installations are: nearly all of one definition, in one namespace and queue, succeeded, with the same tag."""
    chance = random.Random(1)
    statuses = {S.SUCCEEDED: 950, S.FAILED: 30, S.RUNNING: 10, S.QUEUED: 5, S.CANCELLED: 5}
    for i in range(count):
        status = chance.choices(list(statuses), list(statuses.values()))[0]
        tags = {"order": str(i)}
        if chance.random() < 0.9:
            tags["team"] = "x"
        if chance.random() < 0.01:
            tags["canary"] = "yes"
        yield workflow(
            f"w{i:06}",
            created_at=at(i // 3),
            status=status,
            namespace="prod" if chance.random() < 0.98 else "dev",
            queue="default" if chance.random() < 0.99 else "slow",
            tags=tags,
            resolved_by_user=status in (S.SUCCEEDED, S.CANCELLED) or chance.random() < 0.3,
            workflow_definition=definition("big" if chance.random() < 0.97 else "rare"),
        )


@pytest.fixture
async def store(dynamodb_url: str) -> AsyncIterator[DynamoStore]:
    async with empty_store(dynamodb_url) as store:
        for name in ("big", "rare"):
            await store.save_definition(definition(name))
        yield store


async def test_a_page_costs_no_more_than_two_whatever_is_filtered_by(store: DynamoStore) -> None:
    """Two pages of items, and one look into each lane of an index; COUNT of them would be 300 pages."""
    stored = list(skewed(COUNT))
    await load(store, stored)
    meter = Meter(store)
    asked_for = 0
    for filters in product(DEFINITIONS, STATES, PLACES, OTHERS):
        asked = {name: value for part in filters for name, value in part.items()}
        query = WorkflowQuery(**asked, oldest_first=asked_for % 2 == 0, summary_only=True)
        expected = [each for each in stored if _is_asked_for(each, query)]
        meter.calls.clear()

        page = await store.workflows(query)

        assert [each.id for each in page.items] == _first(expected, query), asked
        lanes = sum(len(stream) for stream in streams_of(query))
        assert meter.units <= 2 * PAGE + 0.5 * lanes, (asked, meter.calls)
        assert {operation for operation, _ in meter.calls} <= {"Query", "BatchGetItem"}
        asked_for += 1

    assert asked_for == 3 * 6 * 3 * 7


def _first(expected: list[Workflow], query: WorkflowQuery) -> list[str]:
    in_order = sorted(((each.created_at, each.id) for each in expected), reverse=not query.oldest_first)
    return [workflow_id for _, workflow_id in in_order][: query.limit]


def _is_asked_for(each: Workflow, query: WorkflowQuery) -> bool:
    return (
        query.definition_name in (None, each.workflow_definition.name)
        and query.namespace in (None, each.namespace)
        and query.queue in (None, each.queue)
        and query.resolved_by_user in (None, each.resolved_by_user)
        and (not query.statuses or each.status in query.statuses)
        and query.tags.items() <= each.tags.items()
    )


async def test_of_one_definition_and_status_nothing_is_read_but_the_page(store: DynamoStore) -> None:
    await load(store, skewed(300))
    meter = Meter(store)

    page = await store.workflows(WorkflowQuery(definition_name="big", statuses=(S.SUCCEEDED,), summary_only=True))

    assert len(page.items) == 10
    assert meter.calls == [("Query", 0.5), ("Query", 0.5), ("BatchGetItem", 10.0)]


async def test_what_writes_cost_is_what_is_documented(store: DynamoStore) -> None:
    """The figures of dynamodb_schema and docs/dynamodb.md, for an item below 1 KB."""
    stored = await store.definition("big", 0)
    meter = Meter(store)

    async def cost(call: Any) -> list[tuple[str, float]]:
        meter.calls.clear()
        await call
        return [(operation, units) for operation, units in meter.calls if operation != "GetItem"]

    plain, tagged = (
        workflow("plain", workflow_definition=stored),
        workflow("tagged", workflow_definition=stored, tags={"k": "v", "l": "w"}),
    )
    assert await cost(store.save_workflow(plain)) == [("PutItem", 1 + 7 + 1)]
    assert await cost(store.save_workflow(tagged)) == [("TransactWriteItems", 2 + 7 + 1 + 2 * 3)]
    running = WorkflowChange(status=S.RUNNING, last_updated=at(1))
    assert await cost(store.change_workflow("plain", running)) == [("PutItem", 1 + 8 + 2)]
    assert await cost(store.change_workflow("plain", WorkflowChange(last_updated=at(2)))) == [("PutItem", 1 + 2)]
    ended = WorkflowChange(status=S.FAILED, last_updated=at(3))
    assert await cost(store.change_workflow("plain", ended)) == [("PutItem", 1 + 8 + 1)]
    resolved = WorkflowChange(resolved_by_user=True, last_updated=at(4))
    assert await cost(store.change_workflow("plain", resolved)) == [("PutItem", 1 + 8)]
    assert await cost(store.change_workflow("plain", WorkflowChange(status_reason="why"))) == [("PutItem", 1)]
    assert await cost(store.change_workflow("tagged", ended)) == [
        ("PutItem", 1 + 8 + 1),
        ("UpdateItem", 1),
        ("UpdateItem", 1),
    ]
    assert await cost(store.delete_workflow("plain")) == [("DeleteItem", 1 + 7)]
    assert await cost(store.delete_workflow("tagged")) == [("DeleteItem", 1 + 7), ("BatchWriteItem", 2 * 2)]
