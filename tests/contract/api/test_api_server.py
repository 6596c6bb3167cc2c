"""The server: two APIs on one port, and clients that are slow, stuck or rude."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from api_machines import PASS

from workflow_manager.api.app import Api
from workflow_manager.api.server import Server
from workflow_manager.api.settings import ApiSettings

HASTY = ApiSettings(head_seconds=0.2, body_seconds=0.2, write_seconds=0.3, keep_alive_seconds=0.2, shutdown_seconds=0.3)
POST = b"POST /workflow-definitions HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n"


async def wire(scope: Any, receive: Any, send: Any) -> None:
    """Stands for the Step Functions API: says what it got."""
    message = await receive()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"wire got " + message["body"], "more_body": False})


async def waiting_wire(scope: Any, receive: Any, send: Any) -> None:
    """Stands for a long poll."""
    await asyncio.Event().wait()


@asynccontextmanager
async def connection(server: Server) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    try:
        yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def until_closed(reader: asyncio.StreamReader) -> bytes:
    async with asyncio.timeout(5):
        return await reader.read()


def answer_of(raw: bytes) -> tuple[int, dict[str, Any]]:
    head, _, body = raw.partition(b"\r\n\r\n")
    assert b"content-type: application/json" in head
    assert b"connection: close" in head
    return int(head.split()[1]), json.loads(body)


@pytest.fixture
async def hasty(api: Api) -> AsyncIterator[Server]:
    async with Server(api, wire, port=0, settings=HASTY) as server:
        yield server


# ---------------------------------------------------------------------------------------------- one port


@pytest.mark.parametrize(
    ("method", "path", "headers", "is_wire"),
    [
        ("POST", "/", {"X-Amz-Target": "AWSStepFunctions.ListActivities"}, True),
        ("POST", "/", {}, False),
        ("POST", "/workflows", {"X-Amz-Target": "AWSStepFunctions.ListActivities"}, False),
        ("GET", "/", {"X-Amz-Target": "AWSStepFunctions.ListActivities"}, False),
    ],
)
async def test_which_api_a_request_is_for(
    hasty: Server, method: str, path: str, headers: dict[str, str], *, is_wire: bool
) -> None:
    async with httpx.AsyncClient(base_url=hasty.url) as client:
        answer = await client.request(method, path, headers=headers, content=b"{}")

    assert (answer.text == "wire got {}") == is_wire


async def test_answers_have_a_date_and_do_not_name_the_server(over_http: httpx.AsyncClient) -> None:
    answer = await over_http.get("/_health")

    assert "date" in answer.headers
    assert "server" not in answer.headers


async def test_a_workflow_over_http(over_http: httpx.AsyncClient) -> None:
    await over_http.post("/workflow-definitions", json={"name": "n", "stateMachine": PASS})
    started = await over_http.post("/workflows", json={"workflowDefinition": {"name": "n"}, "namespace": "x"})

    async with over_http.stream("GET", f"/workflows/{started.json()['id']}/events") as stream:
        lines = [line async for line in stream.aiter_lines()]

    told = [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]
    assert [each["status"] for each in told if "status" in each][-1] == "succeeded"
    assert [each["type"] for each in told if "type" in each][-1] == "ExecutionSucceeded"


async def test_an_address_that_is_taken(server: Server, api: Api) -> None:
    with pytest.raises(OSError, match="in use"):
        await Server(api, port=server.port).start()


# ---------------------------------------------------------------------------------------------- slow clients


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param([], id="nothing"),
        pytest.param([b"POST /workflows HTTP/1.1\r\n"], id="half a head"),
        pytest.param([b"P", b"O", b"S", b"T", b" ", b"/", b"w", b"o", b"r", b"k", b"f"], id="a head in drops"),
        pytest.param([POST + b"\r\n"], id="no body"),
        pytest.param([POST + b"\r\n", b"1", b"2", b"3", b"4", b"5", b"6", b"7"], id="a body in drops"),
    ],
)
async def test_a_request_that_takes_too_long_to_arrive(hasty: Server, sent: list[bytes]) -> None:
    async with connection(hasty) as (reader, writer):
        answer = asyncio.create_task(until_closed(reader))
        for drop in sent:
            writer.write(drop)
            await asyncio.wait({answer}, timeout=0.05)

        status, body = answer_of(await answer)

    assert (status, body["code"]) == (408, "RequestTimeout")


async def test_an_idle_connection_is_closed(hasty: Server) -> None:
    async with connection(hasty) as (reader, writer):
        writer.write(b"GET /_health HTTP/1.1\r\nHost: a\r\n\r\n")

        answers = await until_closed(reader)

    assert answers.startswith(b"HTTP/1.1 200 OK\r\n")
    assert answers.count(b"HTTP/1.1") == 1


async def test_a_second_request_has_a_deadline_of_its_own(hasty: Server) -> None:
    async with connection(hasty) as (reader, writer):
        writer.write(b"GET /_health HTTP/1.1\r\nHost: a\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"GET /_hea")

        status, _ = answer_of(await until_closed(reader))

    assert status == 408


async def test_a_request_behind_a_long_one_is_not_late(api: Api) -> None:
    """Its body is not read while the one before is being answered: that takes no blame."""
    release = asyncio.Event()

    async def slow(_scope: Any, _receive: Any, send: Any) -> None:
        await release.wait()
        await wire(_scope, _receive, send)

    async with Server(api, slow, port=0, settings=HASTY) as server, connection(server) as (reader, writer):
        head = b"POST / HTTP/1.1\r\nHost: a\r\nX-Amz-Target: x\r\nContent-Length: 2\r\n\r\n"
        writer.write(head + b"{}" + head)
        await asyncio.sleep(3 * HASTY.body_seconds)  # deadlines are the event loop's own: they pass in real time
        release.set()
        await reader.readuntil(b"wire got {}")
        writer.write(b"[]")
        async with asyncio.timeout(5):
            await reader.readuntil(b"wire got []")


async def test_a_client_that_takes_no_answer_is_let_go(api: Api) -> None:
    size = 64 * 1024 * 1024
    let_go = asyncio.Event()

    async def large(_scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"x" * size, "more_body": True})
        while (await receive())["type"] != "http.disconnect":
            pass
        let_go.set()

    async with Server(api, large, port=0, settings=HASTY) as server, connection(server) as (reader, writer):
        writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nX-Amz-Target: x\r\nContent-Length: 0\r\n\r\n")
        await asyncio.wait_for(let_go.wait(), 30)

        assert len(await until_closed(reader)) < size


async def test_a_client_that_takes_its_answer_slowly_gets_it_all(api: Api) -> None:
    size = 16 * 1024 * 1024

    async def large(_scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"connection", b"close")]})
        await send({"type": "http.response.body", "body": b"x" * size, "more_body": False})

    settings = ApiSettings(write_seconds=0.7)
    async with Server(api, large, port=0, settings=settings) as server, connection(server) as (reader, writer):
        writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nX-Amz-Target: x\r\nContent-Length: 0\r\n\r\n")
        taken = 0
        while part := await reader.read(128 * 1024):
            taken += len(part)
            await asyncio.sleep(0.01)

    assert taken > size


# ---------------------------------------------------------------------------------------------- rude clients


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        pytest.param(b"hello\r\n\r\n", 400, id="no HTTP"),
        pytest.param(b"GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n", 400, id="a path that is no ASCII"),
        pytest.param(b"GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n", 400, id="a length that is no number"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X-A: b\r\n" * 20_000, 431, id="headers without end"),
        pytest.param(b"GET /" + b"x" * 200_000, 431, id="a path without end"),
    ],
)
async def test_what_is_no_request(hasty: Server, sent: bytes, status: int) -> None:
    async with connection(hasty) as (reader, writer):
        writer.write(sent)

        answer = answer_of(await until_closed(reader))

    assert (answer[0], answer[1]["code"]) == (status, "InvalidRequest")


async def test_an_upgrade_is_answered_as_if_none_was_asked_for(hasty: Server) -> None:
    async with connection(hasty) as (reader, writer):
        writer.write(b"GET /_health HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")

        assert (await until_closed(reader)).startswith(b"HTTP/1.1 200 OK\r\n")


async def test_a_body_that_is_too_large_is_told_so(api: Api) -> None:
    async with Server(api, port=0) as server, httpx.AsyncClient(base_url=server.url) as client:
        answer = await client.post("/workflows", content=b"x" * 5_000_000)

    assert (answer.status_code, answer.json()["code"]) == (400, "InvalidRequest")


# ---------------------------------------------------------------------------------------------- the end


async def test_a_request_under_way_is_cut_off_with_an_answer(api: Api) -> None:
    server = Server(api, waiting_wire, port=0, settings=HASTY)
    await server.start()
    async with connection(server) as (reader, writer):
        writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nX-Amz-Target: x\r\nContent-Length: 0\r\n\r\n")
        await asyncio.sleep(0.05)

        await asyncio.wait_for(server.stop(), 5)
        status, body = answer_of(await until_closed(reader))

    assert (status, body["__type"]) == (503, "ServiceUnavailable")


async def test_a_client_that_takes_no_answer_does_not_hold_up_the_end(api: Api) -> None:
    begun = asyncio.Event()

    async def large(_scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"x" * 64 * 1024 * 1024, "more_body": True})
        begun.set()
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    server = Server(api, large, port=0, settings=ApiSettings(shutdown_seconds=0.1, write_seconds=60))
    await server.start()
    async with connection(server) as (_, writer):
        writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nX-Amz-Target: x\r\nContent-Length: 0\r\n\r\n")
        await asyncio.wait_for(begun.wait(), 5)

        await asyncio.wait_for(server.stop(), 5)


async def test_a_stopped_server_listens_no_more(api: Api) -> None:
    async with Server(api, port=0) as server:
        url = server.url

    async with httpx.AsyncClient() as client:
        with pytest.raises(httpx.ConnectError):
            await client.get(url)
