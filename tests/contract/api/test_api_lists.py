"""Listing workflows: filters, order, and the paging header that clients follow."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest
from api_machines import PASS, WAIT

Start = Callable[..., Awaitable[dict[str, Any]]]
HEADER = "x-next-page-path"


@pytest.fixture
def start(start: Start, client: httpx.AsyncClient) -> Start:
    """Start a workflow, and wait until its status rests: a status is a place in an index, and between two it may be missed."""

    async def started(*arguments: Any, **fields: Any) -> dict[str, Any]:
        workflow = await start(*arguments, **fields)
        while (await client.get(f"/workflows/{workflow['id']}")).json()["status"] == "queued":
            pass
        return workflow

    return started


async def follow(client: httpx.AsyncClient, path: str) -> list[list[str]]:
    """The ids on every page, the empty last one included."""
    pages = []
    while True:
        answer = await client.get(path)
        assert answer.status_code == 200
        pages.append([each["id"] for each in answer.json()])
        assert (HEADER in answer.headers) == bool(pages[-1])
        if not pages[-1]:
            return pages
        path = answer.headers[HEADER]


async def test_pages_until_an_empty_one(client: httpx.AsyncClient, start: Start) -> None:
    ids = [(await start(PASS))["id"] for _ in range(5)]

    latest_first = await follow(client, "/workflows?workflowDefinitionName=flow&limit=2")
    oldest_first = await follow(client, "/workflows?workflowDefinitionName=flow&limit=2&oldestFirst=true")

    assert [len(page) for page in latest_first] == [2, 2, 1, 0]
    assert [each for page in oldest_first for each in page] == [each for page in latest_first for each in page][::-1]
    assert sorted(each for page in latest_first for each in page) == sorted(ids)


async def test_workflows_that_come_in_do_not_disturb_paging(client: httpx.AsyncClient, start: Start) -> None:
    ids = {(await start(PASS))["id"] for _ in range(4)}

    first = await client.get("/workflows?limit=2")
    await start(PASS)
    rest = await follow(client, first.headers[HEADER])

    assert {each["id"] for each in first.json()} | {each for page in rest for each in page} == ids


@pytest.mark.parametrize(
    ("query", "repeated"),
    [
        ("", "limit=10&pageToken=T&summaryOnly=false"),
        ("workflowDefinitionName=flow", "limit=10&pageToken=T&summaryOnly=false&workflowDefinitionName=flow"),
        ("workflowDefinitionName=", "limit=10&pageToken=T&summaryOnly=false&workflowDefinitionName="),
        ("limit=0&summaryOnly=1", "limit=10&pageToken=T&summaryOnly=true"),
        ("oldestFirst=true&limit=3", "limit=3&oldestFirst=true&pageToken=T&summaryOnly=false"),
        (
            "queue=default&tag.team=a%26b&status=running&status=queued,odd&createdAfter=2017-10-25T18:11:03.350Z",
            "createdAfter=2017-10-25T18%3A11%3A03.350Z&limit=10&pageToken=T&queue=default"  # noqa: ISC004 - one address
            "&status=running%2Cqueued&summaryOnly=false&tag.team=a%26b",
        ),
        (
            "namespace=test&resolvedByUser=f&unknown=1&limit=5&limit=7&createdBefore=3000-01-01T00:00:00Z",
            "createdBefore=3000-01-01T00%3A00%3A00Z&limit=5&namespace=test&pageToken=T&resolvedByUser=f&summaryOnly=false",
        ),
    ],
    ids=lambda value: value or "nothing",
)
async def test_the_next_pages_path(client: httpx.AsyncClient, start: Start, query: str, repeated: str) -> None:
    await start(WAIT, tags={"team": "a&b"})

    path = (await client.get(f"/workflows?{query}")).headers[HEADER]

    parts = urlsplit(path)
    token = dict(parse_qsl(parts.query))["pageToken"]
    assert (parts.scheme, parts.netloc, parts.path) == ("", "", "/workflows")
    assert parts.query.replace(f"pageToken={token}", "pageToken=T") == repeated


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("workflowDefinitionName=flow", 2),
        ("workflowDefinitionName=none", 0),
        ("namespace=other", 1),
        ("namespace=other&queue=slow", 1),
        ("queue=slow&namespace=test", 0),
        ("tag.team=a", 2),
        ("tag.team=a&tag.kind=x", 1),
        ("tag.team=none", 0),
        ("status=odd", 0),
        ("status=cancelled", 0),
        ("status=running&status=queued", 3),
        ("status=running,queued,odd", 3),
        ("resolvedByUser=false", 3),
        ("resolvedByUser=true", 0),
        ("createdAfter=2000-01-01T00:00:00Z", 3),
        ("createdAfter=2000-01-01T00:00:00+01:00", 3),
        ("createdBefore=2000-01-01T00:00:00Z", 0),
        ("limit=2", 2),
        ("pageToken=", 3),
    ],
)
async def test_filters(client: httpx.AsyncClient, start: Start, query: str, count: int) -> None:
    await start(WAIT, tags={"team": "a"})
    await start(WAIT, tags={"team": "a", "kind": "x"})
    await start(WAIT, name="second", namespace="other", queue="slow")

    answer = await client.get(f"/workflows?{query}")

    assert (answer.status_code, len(answer.json())) == (200, count)


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("limit=10001", "InvalidRequest"),
        ("limit=-1", "InvalidRequest"),
        ("limit=", "InvalidRequest"),
        ("limit=ten", "InvalidRequest"),
        ("oldestFirst=yes", "InvalidRequest"),
        ("resolvedByUser=", "InvalidRequest"),
        ("summaryOnly=no", "InvalidRequest"),
        ("createdAfter=yesterday", "InvalidRequest"),
        ("pageToken=nonsense", "InvalidPageToken"),
        ("pageToken=1700000000000", "InvalidPageToken"),
    ],
)
async def test_queries_refused(client: httpx.AsyncClient, query: str, code: str) -> None:
    answer = await client.get(f"/workflows?{query}")

    assert (answer.status_code, answer.json()["code"]) == (400, code)


async def test_list_items_have_version_and_tags(client: httpx.AsyncClient, start: Start) -> None:
    await start(WAIT)
    await client.put("/workflow-definitions/flow", json={"name": "flow", "stateMachine": WAIT})
    await start(WAIT, workflowDefinition={"name": "flow", "version": 1}, tags={"a": "b"})

    latest, _ = (await client.get("/workflows")).json()

    assert (latest["workflowDefinition"]["version"], latest["tags"], latest["jobs"]) == (1, {"a": "b"}, None)


async def test_a_summary_leaves_out_what_can_be_large(client: httpx.AsyncClient, start: Start) -> None:
    await start(WAIT, input='{"large": true}')

    (full,) = (await client.get("/workflows?summaryOnly=false")).json()
    (summary,) = (await client.get("/workflows?summaryOnly=true")).json()

    assert full["workflowDefinition"]["stateMachine"] == WAIT
    assert full.keys() - summary.keys() == {"input"}
    assert full["workflowDefinition"].keys() - summary["workflowDefinition"].keys() == {"stateMachine"}
