"""Lists: every filter and order, and pages that neither skip nor repeat, whatever comes in between."""

from __future__ import annotations

import random
from typing import Any

import pytest
from store_values import at, definition, workflow

from workflow_manager.model import Workflow, WorkflowQuery, WorkflowStatus
from workflow_manager.model.errors import InvalidPageToken
from workflow_manager.store import Store

S = WorkflowStatus


def some_workflows(count: int, seed: int = 1) -> list[Workflow]:
    """Workflows of all kinds, several of which share a creation time."""
    chance = random.Random(seed)
    return [
        workflow(
            f"w{i:04}",
            created_at=at(chance.randrange(count // 3)),
            status=chance.choice(list(S)),
            namespace=chance.choice("ab"),
            queue=chance.choice("qr"),
            tags={"team": chance.choice("xyz"), "n": str(i % 4)},
            resolved_by_user=chance.random() < 0.5,
            workflow_definition=definition(chance.choice("de")),
        )
        for i in range(count)
    ]


def matches(w: Workflow, query: WorkflowQuery) -> bool:
    return (
        query.definition_name in (None, w.workflow_definition.name)
        and query.namespace in (None, w.namespace)
        and query.queue in (None, w.queue)
        and (not query.statuses or w.status in query.statuses)
        and query.resolved_by_user in (None, w.resolved_by_user)
        and query.tags.items() <= w.tags.items()
        and (query.created_after is None or w.created_at >= query.created_after)
        and (query.created_before is None or w.created_at < query.created_before)
    )


async def walk(store: Store, **query: Any) -> list[str]:
    """The ids of all pages."""
    found: list[str] = []
    token = None
    while True:
        page = await store.workflows(WorkflowQuery(**query, page_token=token))
        found += [w.id for w in page.items]
        assert len(page.items) <= query.get("limit", 10)
        assert (page.next_page_token is not None) == bool(page.items)
        if not page.items:
            return found
        token = page.next_page_token


FILTERS: list[dict[str, Any]] = [
    {},
    {"definition_name": "d"},
    {"definition_name": "no such"},
    {"definition_name": "d", "statuses": (S.FAILED,)},
    {"definition_name": "d", "statuses": (S.FAILED, S.RUNNING, S.QUEUED)},
    {"definition_name": "e", "resolved_by_user": False},
    {"definition_name": "e", "resolved_by_user": True, "statuses": (S.SUCCEEDED,)},
    {"statuses": (S.QUEUED, S.RUNNING)},
    {"resolved_by_user": False},
    {"namespace": "a"},
    {"namespace": "a", "queue": "q"},
    {"namespace": "b", "statuses": (S.CANCELLED, S.FAILED)},
    {"queue": "r", "definition_name": "d"},
    {"tags": {"team": "x"}},
    {"tags": {"team": "x", "n": "2"}},
    {"tags": {"team": "x"}, "namespace": "b", "statuses": (S.FAILED,)},
    {"tags": {"no such": "x"}},
    {"created_after": at(10)},
    {"created_before": at(20)},
    {"created_after": at(10), "created_before": at(20), "definition_name": "d"},
]


@pytest.mark.parametrize("oldest_first", [False, True])
async def test_pages_hold_what_matches_in_order_once_each(store: Store, oldest_first: bool, few: bool) -> None:
    workflows = some_workflows(30 if few else 90)
    for name in "de":
        await store.save_definition(definition(name))
    for each in workflows:
        await store.save_workflow(each)

    for filters in FILTERS:
        query = WorkflowQuery(**filters)
        expected = sorted((w for w in workflows if matches(w, query)), key=lambda w: (w.created_at, w.id))
        ids = [w.id for w in (expected if oldest_first else reversed(expected))]
        for limit in (1000,) if few else (7, 1000):
            assert await walk(store, **filters, oldest_first=oldest_first, limit=limit) == ids, filters


async def test_pages_may_hold_one_item_each(store: Store) -> None:
    workflows = some_workflows(12)
    for each in workflows:
        await store.save_workflow(each)
    ids = [w.id for w in sorted(workflows, key=lambda w: (w.created_at, w.id))]

    assert await walk(store, limit=1, oldest_first=True) == ids
    assert await walk(store, limit=1) == ids[::-1]


async def test_pages_stay_right_while_workflows_come_and_change(store: Store) -> None:
    """Newest first, with ties: what was there at the start is met once each, whatever is added before the place reached."""
    there = [workflow(f"w{i}", created_at=at(i // 4)) for i in range(40)]
    for each in there:
        await store.save_workflow(each)
    met: list[str] = []
    token = None
    added = 0
    while True:
        page = await store.workflows(WorkflowQuery(limit=3, page_token=token))
        if not page.items:
            break
        met += [w.id for w in page.items]
        token = page.next_page_token
        await store.save_workflow(workflow(f"new{added}", created_at=at(100 + added)))
        added += 1

    assert sorted(met) == sorted(w.id for w in there)


async def test_a_summary_leaves_the_heavy_fields_out(store: Store) -> None:
    await store.save_definition(definition("d"))
    await store.save_workflow(workflow(input='{"big": 1}', output="2", tags={"k": "v"}))

    (full,) = (await store.workflows(WorkflowQuery())).items
    (summary,) = (await store.workflows(WorkflowQuery(summary_only=True))).items

    assert full.input == '{"big": 1}'
    assert summary.workflow_definition.state_machine is None
    assert (summary.input, summary.output) == ("", "")
    assert summary.tags == {"k": "v"}
    assert summary.workflow_definition.name == "d"


@pytest.mark.parametrize("token", ["", "nonsense", "e30", "WzFd", "é", "A" * 5000])
async def test_a_page_token_of_nobody_is_refused(store: Store, token: str) -> None:
    await store.save_workflow(workflow())

    with pytest.raises(InvalidPageToken):
        await store.workflows(WorkflowQuery(page_token=token))


async def test_a_page_token_of_the_other_order_is_refused(store: Store) -> None:
    await store.save_workflow(workflow())
    token = (await store.workflows(WorkflowQuery())).next_page_token

    with pytest.raises(InvalidPageToken):
        await store.workflows(WorkflowQuery(page_token=token, oldest_first=True))
