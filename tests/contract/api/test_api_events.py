"""The event stream: what it tells, from where on, when it ends, and that nothing is left behind."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import pytest
from api_machines import PASS, WAIT, in_process

from workflow_manager.api.app import Api, create_api
from workflow_manager.api.server import Server
from workflow_manager.api.settings import ApiSettings
from workflow_manager.manager import WorkflowManager

Start = Callable[..., Awaitable[dict[str, Any]]]


def parse(text: str) -> list[dict[str, Any]]:
    """Events of a stream (HTML standard, "Interpreting an event stream"); comments mean nothing."""
    events = []
    for block in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
        if fields:
            events.append({**fields, "data": json.loads(fields["data"])})
    return events


async def test_a_finished_workflow(client: httpx.AsyncClient, start: Start, ended: Any) -> None:
    workflow = await ended((await start(PASS, input='{"foo": 1}'))["id"])

    answer = await client.get(f"/workflows/{workflow['id']}/events")

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/event-stream"
    assert answer.headers["cache-control"] == "no-store"
    first, *history = parse(answer.text)
    assert (first["event"], first["data"]["status"]) == ("workflow", "succeeded")
    assert "input" not in first["data"]
    assert [(each["event"], each["id"], each["data"]["type"]) for each in history] == [
        ("history", "1", "ExecutionStarted"),
        ("history", "2", "SucceedStateEntered"),
        ("history", "3", "SucceedStateExited"),
        ("history", "4", "ExecutionSucceeded"),
    ]
    assert history[1]["data"].keys() == {"timestamp", "type", "id", "previousEventId", "stateEnteredEventDetails"}


@pytest.mark.parametrize(
    ("query", "headers", "ids"),
    [
        pytest.param("", {}, ["1", "2", "3", "4"], id="from the beginning"),
        pytest.param("?after=2", {}, ["3", "4"], id="after an event"),
        pytest.param("", {"Last-Event-ID": "3"}, ["4"], id="as browsers ask for it"),
        pytest.param("?after=1", {"Last-Event-ID": "3"}, ["4"], id="the header goes before the address"),
        pytest.param("?after=99", {}, [], id="after events that are not there"),
    ],
)
async def test_from_where_on(
    client: httpx.AsyncClient, start: Start, ended: Any, query: str, headers: dict[str, str], ids: list[str]
) -> None:
    workflow = await ended((await start(PASS))["id"])

    answer = await client.get(f"/workflows/{workflow['id']}/events{query}", headers=headers)

    assert [each["id"] for each in parse(answer.text) if each["event"] == "history"] == ids


@pytest.mark.parametrize(
    ("query", "headers", "name"),
    [
        ("?after=x", {}, "after"),
        ("?after=-1", {}, "after"),
        ("", {"Last-Event-ID": "x"}, "Last-Event-ID"),
    ],
)
async def test_refused(client: httpx.AsyncClient, query: str, headers: dict[str, str], name: str) -> None:
    answer = await client.get(f"/workflows/w/events{query}", headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (400, "InvalidRequest")
    assert answer.json()["message"].startswith(f"{name}: ")


async def test_live_until_the_end(over_http: httpx.AsyncClient, start: Start) -> None:
    workflow_id = (await start(WAIT))["id"]

    seen = []
    async with over_http.stream("GET", f"/workflows/{workflow_id}/events") as answer:
        text = ""
        async for part in answer.aiter_text():
            text += part
            if "WaitStateEntered" in text and not seen:
                seen.append("waits")
                cancelled = await over_http.request("DELETE", f"/workflows/{workflow_id}", json={"reason": "enough"})
                assert cancelled.status_code == 200

    events = parse(text)
    assert [each["data"]["type"] for each in events if each["event"] == "history"][-1] == "ExecutionAborted"
    assert [each["data"]["status"] for each in events if each["event"] == "workflow"][-1] == "cancelled"


# ---------------------------------------------------------------------------------------------- ends of all kinds


class Followed:
    """A manager whose workflow goes on until it is closed, and which knows that it was."""

    def __init__(self, manager: WorkflowManager, workflow_id: str, *, talkative: bool = False) -> None:
        self._manager = manager
        self._id = workflow_id
        self._talkative = talkative
        self.yielded = 0
        self.closed = asyncio.Event()

    async def follow(self, _workflow_id: str, *, after_event_id: int = 0, wait: bool = True) -> AsyncIterator[Any]:
        workflow = await self._manager.workflow(self._id, fetch_history=False)
        try:
            yield workflow
            while True:
                if self._talkative:
                    self.yielded += 1
                    yield workflow
                else:
                    await asyncio.Event().wait()
        finally:
            self.closed.set()


async def test_without_following_it_ends_with_what_has_happened(client: httpx.AsyncClient, start: Start) -> None:
    workflow = await start(WAIT)

    answer = await client.get(f"/workflows/{workflow['id']}/events", params={"follow": "false"})

    kinds = [line.removeprefix("event: ") for line in answer.text.splitlines() if line.startswith("event: ")]
    assert kinds[:3] == ["workflow", "history", "history"]
    assert "WaitStateEntered" in answer.text


async def test_a_client_that_goes_away_leaves_nothing_behind(manager: WorkflowManager, start: Start) -> None:
    followed = Followed(manager, (await start(WAIT))["id"])
    async with Server(create_api(followed), port=0) as server, httpx.AsyncClient(base_url=server.url) as client:
        async with client.stream("GET", "/workflows/w/events") as answer:
            assert (await anext(answer.aiter_lines())) == "event: workflow"
            assert not followed.closed.is_set()

        await asyncio.wait_for(followed.closed.wait(), 5)


async def test_the_end_of_the_server_ends_streams(manager: WorkflowManager, start: Start) -> None:
    followed = Followed(manager, (await start(WAIT))["id"])
    server = Server(create_api(followed), port=0, settings=ApiSettings(shutdown_seconds=30))
    await server.start()
    async with (
        httpx.AsyncClient(base_url=server.url) as client,
        client.stream("GET", "/workflows/w/events") as answer,
    ):
        lines = answer.aiter_lines()
        await anext(lines)

        await asyncio.wait_for(server.stop(), 5)

        assert [line async for line in lines][-1] == ""
    assert followed.closed.is_set()


async def test_a_client_that_does_not_read_stops_the_iterator_and_is_let_go(
    manager: WorkflowManager, start: Start
) -> None:
    followed = Followed(manager, (await start(WAIT))["id"], talkative=True)
    settings = ApiSettings(write_seconds=0.3)
    async with Server(create_api(followed, settings=settings), port=0, settings=settings) as server:
        _, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=1024)
        writer.write(b"GET /workflows/w/events HTTP/1.1\r\nHost: a\r\n\r\n")

        await asyncio.wait_for(followed.closed.wait(), 10)

        writer.close()
    assert 10 < followed.yielded < 200_000


async def test_a_quiet_stream_says_that_it_is_there(manager: WorkflowManager, start: Start) -> None:
    followed = Followed(manager, (await start(WAIT))["id"])
    api = create_api(followed, settings=ApiSettings(stream_comment_seconds=0.02))
    async with (
        Server(api, port=0) as server,
        httpx.AsyncClient(base_url=server.url) as client,
        client.stream("GET", "/workflows/w/events") as answer,
    ):
        lines = answer.aiter_lines()
        told = [await anext(lines) for _ in range(5)]

    assert told[0] == "event: workflow"
    assert told[3:] == [":", ""]


async def test_a_stream_outlives_the_limit_of_handlers(manager: WorkflowManager, start: Start) -> None:
    followed = Followed(manager, (await start(WAIT))["id"])
    api = create_api(followed, settings=ApiSettings(request_seconds=0.05, stream_comment_seconds=0.02))
    async with (
        Server(api, port=0) as server,
        httpx.AsyncClient(base_url=server.url) as client,
        client.stream("GET", "/workflows/w/events") as answer,
    ):
        lines = answer.aiter_lines()
        told = [await anext(lines) for _ in range(20)]

    assert told[-2:] in ([":", ""], ["", ":"])


async def test_streams_are_not_compressed(api: Api, start: Start, ended: Any) -> None:
    workflow = await ended((await start(PASS))["id"])
    async with in_process(api) as client:
        answer = await client.get(f"/workflows/{workflow['id']}/events", headers={"accept-encoding": "gzip"})

    assert "content-encoding" not in answer.headers
