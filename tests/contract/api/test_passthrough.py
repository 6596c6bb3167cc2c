"""Requests signed for other AWS services are handed on: one endpoint_url serves all."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import uvicorn

from workflow_manager.api.passthrough import Passthrough, signed_for_another

SIGNED = "AWS4-HMAC-SHA256 Credential=test/20240501/us-east-1/{}/aws4_request, SignedHeaders=host, Signature=0"


@pytest.mark.parametrize(
    ("authorization", "another"),
    [
        (SIGNED.format("sqs"), True),
        (SIGNED.format("s3"), True),
        (SIGNED.format("states"), False),
        ("Bearer x", False),
        ("", False),
    ],
)
def test_which_requests(authorization: str, another: bool) -> None:
    assert signed_for_another({"headers": [(b"authorization", authorization.encode())]}) is another
    assert signed_for_another({"headers": []}) is False


class Upstream:
    """Another service: keeps what it gets, answers 201."""

    def __init__(self) -> None:
        self.got: list[tuple[str, str, bytes, dict[str, str]]] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        target = scope["raw_path"].decode() + "?" + scope["query_string"].decode()
        self.got.append((scope["method"], target, body, headers))
        await send({"type": "http.response.start", "status": 201, "headers": [(b"x-amzn-requestid", b"id")]})
        await send({"type": "http.response.body", "body": b"<xml/>"})


async def serving(application: Any) -> AsyncIterator[str]:
    import asyncio
    import socket

    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(application, lifespan="off", log_config=None))
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        await task


@pytest.fixture
def upstream() -> Upstream:
    return Upstream()


@pytest.fixture
async def client(upstream: Upstream) -> AsyncIterator[httpx.AsyncClient]:
    async for url in serving(upstream):
        passthrough = Passthrough(url)
        transport = httpx.ASGITransport(passthrough)
        async with httpx.AsyncClient(transport=transport, base_url="http://one.test") as client:
            yield client
        await passthrough.close()


async def test_a_request_and_its_answer_pass_unchanged(upstream: Upstream, client: httpx.AsyncClient) -> None:
    answer = await client.put("/bucket/a%20b?x-id=PutObject", content=b"body", headers={"authorization": "signed"})

    assert (answer.status_code, answer.content, answer.headers["x-amzn-requestid"]) == (201, b"<xml/>", "id")
    [(method, target, body, headers)] = upstream.got
    assert (method, target, body) == ("PUT", "/bucket/a%20b?x-id=PutObject", b"body")
    assert (headers["host"], headers["authorization"]) == ("one.test", "signed"), "the signature covers the host"


async def test_an_upstream_that_is_away() -> None:
    passthrough = Passthrough("http://127.0.0.1:1")
    async with httpx.AsyncClient(transport=httpx.ASGITransport(passthrough), base_url="http://one.test") as client:
        answer = await client.get("/")
    await passthrough.close()

    assert (answer.status_code, answer.text) == (502, "http://127.0.0.1:1 cannot be reached")
