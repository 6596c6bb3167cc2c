"""What stands around every operation: request ids, compression, errors of all kinds, limits of time, pages for people."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest
import structlog
from api_machines import PASS, in_process

from workflow_manager.api.app import Api, create_api
from workflow_manager.api.settings import ApiSettings
from workflow_manager.model.errors import BackendUnavailable, StorageUnavailable


class Broken:
    """A manager of which every operation does the same."""

    def __init__(self, act: Callable[[], Any]) -> None:
        self._act = act

    def __getattr__(self, _name: str) -> Any:
        async def operation(*_: Any, **__: Any) -> Any:
            return await self._act()

        return operation


def raising(error: Exception) -> Broken:
    async def act() -> None:
        raise error

    return Broken(act)


# ---------------------------------------------------------------------------------------------- headers


@pytest.mark.parametrize(
    ("path", "method"),
    [("/_health", "GET"), ("/none", "GET"), ("/workflows", "PATCH"), ("/workflows/w", "GET"), ("/docs", "GET")],
)
async def test_every_answer_is_named_and_not_sniffed(client: httpx.AsyncClient, path: str, method: str) -> None:
    answer = await client.request(method, path, headers={"X-Request-Id": "mine-1"})

    assert answer.headers["x-request-id"] == "mine-1"
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("given", [None, "", "a b", "x" * 129, 'x"', "ä"], ids=repr)
async def test_request_ids_are_made_where_none_that_is_sane_is_given(
    client: httpx.AsyncClient, given: str | None
) -> None:
    headers = {} if given is None else {"X-Request-Id": given.encode("latin-1")}

    ids = {(await client.get("/_health", headers=headers)).headers["x-request-id"] for _ in range(2)}

    assert len(ids) == 2
    assert all(re.fullmatch("[0-9a-f]{16}", each) for each in ids)


async def test_one_line_per_request_without_what_is_private(client: httpx.AsyncClient) -> None:
    with structlog.testing.capture_logs(processors=[structlog.contextvars.merge_contextvars]) as logs:
        await client.post(
            "/workflows/secret-id?key=secret-query",
            content=b"secret-body",
            headers={"x-request-id": "r-1", "authorization": "secret-header"},
        )

    (line,) = logs
    assert line.pop("ms") >= 0
    assert line == {
        "event": "request",
        "log_level": "info",
        "request_id": "r-1",
        "method": "POST",
        "path": "/workflows/{workflowID}",
        "status": 400,
    }


@pytest.mark.parametrize(
    ("accepted", "compressed"),
    [
        ("gzip", True),
        ("deflate, GZIP;q=0.5", True),
        ("*", True),
        ("", False),
        ("identity", False),
        ("gzip;q=0", False),
        ("gzip; q=0.0, identity", False),
    ],
)
async def test_gzip_when_accepted(api: Api, accepted: str, *, compressed: bool) -> None:
    async with (
        in_process(api) as client,
        client.stream("GET", "/openapi.json", headers={"accept-encoding": accepted}) as answer,
    ):
        raw = b"".join([part async for part in answer.aiter_raw()])

    assert ("content-encoding" in answer.headers) == compressed
    assert int(answer.headers["content-length"]) == len(raw)
    assert answer.headers["vary"] == "accept-encoding"
    assert json.loads(gzip.decompress(raw) if compressed else raw)["openapi"] == "3.1.0"


async def test_what_is_small_is_not_compressed(client: httpx.AsyncClient) -> None:
    answer = await client.get("/workflows", headers={"accept-encoding": "gzip"})

    assert "content-encoding" not in answer.headers


# ---------------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/none", 404, "NoSuchPath"),
        ("GET", "/workflows/a/b/c", 404, "NoSuchPath"),
        ("GET", "/workflows/a%2Fb%2Fc", 404, "NoSuchPath"),
        ("GET", "/", 404, "NoSuchPath"),
        ("POST", "/", 405, "MethodNotAllowed"),
        ("PATCH", "/workflows", 405, "MethodNotAllowed"),
        ("DELETE", "/workflow-definitions/n", 405, "MethodNotAllowed"),
    ],
)
async def test_what_is_not_there(client: httpx.AsyncClient, method: str, path: str, status: int, code: str) -> None:
    answer = await client.request(method, path)

    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/json"
    assert ("allow" in answer.headers) == (status == 405)


async def test_an_unexpected_error_tells_its_request_and_nothing_else() -> None:
    async with in_process(create_api(raising(KeyError("secret")))) as client:
        with structlog.testing.capture_logs() as logs:
            answer = await client.get("/workflow-definitions", headers={"x-request-id": "r-1"})

    assert answer.status_code == 500
    assert (answer.json()["code"], answer.json()["requestId"]) == ("InternalError", "r-1")
    assert "secret" not in answer.text
    assert [line["event"] for line in logs] == ["unexpected error", "request"]


@pytest.mark.parametrize("error", [StorageUnavailable("the disk is full"), BackendUnavailable("throttled")])
async def test_what_is_unavailable_says_when_to_come_again(error: Exception) -> None:
    async with in_process(create_api(raising(error))) as client:
        answer = await client.get("/workflow-definitions")

    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert answer.json() == {"code": error.code, "message": error.message}


async def test_endless_recursion_is_the_requests_fault() -> None:
    async with in_process(create_api(raising(RecursionError()))) as client:
        answer = await client.get("/workflow-definitions")

    assert (answer.status_code, answer.json()["code"]) == (400, "InvalidRequest")


async def test_a_handler_that_takes_too_long_is_stopped() -> None:
    stopped = asyncio.Event()

    async def act() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()

    async with in_process(create_api(Broken(act), settings=ApiSettings(request_seconds=0.02))) as client:
        answer = await client.get("/workflow-definitions")

    assert stopped.is_set()
    assert answer.status_code == 503
    assert answer.json() == {"code": "RequestTimedOut", "message": "Request timed out"}


async def test_a_timeout_of_another_is_not_taken_for_ours() -> None:
    async with in_process(create_api(raising(TimeoutError()))) as client:
        answer = await client.get("/workflow-definitions")

    assert (answer.status_code, answer.json()["code"]) == (500, "InternalError")


@pytest.mark.parametrize(("size", "status"), [(1000, 404), (1001, 400), (4001, 400)])
async def test_bodies_are_bounded(size: int, status: int, manager: Any) -> None:
    api = create_api(manager, settings=ApiSettings(body_limit_bytes=1000))
    body = b'{"reason": "' + b"x" * (size - 14) + b'"}'
    assert len(body) == size

    async def parts() -> Any:
        for at in range(0, size, 100):
            yield body[at : at + 100]

    async with in_process(api) as client:
        whole = await client.request("DELETE", "/workflows/none", content=body)
        in_parts = await client.request("DELETE", "/workflows/none", content=parts())

    assert [whole.status_code, in_parts.status_code] == [status, status]
    if status == 400:
        assert whole.json()["message"] == "the body is longer than 1000 bytes: send less"


# ---------------------------------------------------------------------------------------------- pages for people


async def test_browsers_come_to_the_documentation(client: httpx.AsyncClient) -> None:
    home = await client.get("/", headers={"accept": "text/html,*/*"})
    page = await client.get("/docs")

    assert (home.status_code, home.headers["location"]) == (302, "/docs")
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "default-src 'none'" in page.headers["content-security-policy"]


async def test_the_documentation_loads_nothing_from_elsewhere(client: httpx.AsyncClient) -> None:
    page = (await client.get("/docs")).text

    assert re.findall(r"(?:https?:)?//[a-z]", page) == []
    assert re.findall(r"""(?:src|href)="([^"]*)""", page) == ["openapi.json", "openapi.json"]


async def test_cut_off_by_the_client(api: Api) -> None:
    """A body that ends in a disconnection is no request, and no unexpected error either."""
    sent: list[Any] = []
    messages = [{"type": "http.request", "body": b"{", "more_body": True}, {"type": "http.disconnect"}]

    async def receive() -> Any:
        return messages.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/workflows",
        "query_string": b"",
        "headers": [],
        "http_version": "1.1",
    }
    await api(scope, receive, send)

    assert sent[0]["status"] == 400


async def test_a_definition_of_many_states_is_answered_after_little_work(client: httpx.AsyncClient) -> None:
    states = {f"s{n}": {"Type": "Pass", "Next": f"s{n + 1}"} for n in range(10_000)}
    before = time.process_time()  # which a busy machine does not lengthen

    answer = await client.post(
        "/workflow-definitions", json={"name": "n", "stateMachine": {"StartAt": "s0", "States": states}}
    )

    assert (answer.status_code, answer.json()["code"]) == (400, "InvalidWorkflowDefinition")
    assert time.process_time() - before < 5
    assert (await client.post("/workflow-definitions", json={"name": "n", "stateMachine": PASS})).status_code == 201
