"""Requests and answers: addresses, timeouts, retries where they are safe, errors as exceptions."""

from __future__ import annotations

import random
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, TypeAlias, TypeVar

import httpx
import msgspec

from workflow_manager.client.errors import ServerUnreachable, UnexpectedAnswer, refusal
from workflow_manager.client.wire import Wire

T = TypeVar("T")
Query: TypeAlias = Mapping[str, str] | list[tuple[str, str | int | float | bool | None]]

RETRY_SECONDS = (0.2, 0.6, 1.8)
"""Before the second try and those after it of a request that may be repeated; each give or take a half, at random."""
LONGEST_PAUSE_SECONDS = 10.0
"""How long a server may ask to be left alone (Retry-After)."""
UNAVAILABLE = (502, 503, 504)
"""Statuses of a server, or of a proxy before it, that may do better soon."""
CONNECT_SECONDS = 5.0


def settings(server: str, timeout_seconds: float) -> dict[str, Any]:
    """What httpx's clients are made with. ``timeout_seconds`` bounds each wait for the server, not the whole exchange."""
    return {
        "base_url": server,
        "timeout": httpx.Timeout(timeout_seconds, connect=min(timeout_seconds, CONNECT_SECONDS)),
        "headers": {"accept": "application/json", "user-agent": "wfm"},
        # each workflow that is waited for has a connection of its own
        "limits": httpx.Limits(max_connections=None, max_keepalive_connections=20),
        "verify": server.startswith("https:"),  # loading certificates takes its time
    }


class Transport:
    """Talks to one server. Nothing is sent before the first call."""

    def __init__(self, server: str, make: Callable[[dict[str, Any]], Wire], *, timeout_seconds: float) -> None:
        """``make`` makes the wire of ``settings``. Raises ServerUnreachable if ``server`` is no address."""
        self.server = server.rstrip("/")
        self._timeout_seconds = timeout_seconds
        self.was_there = False  # whether the server has answered this client before
        try:
            self.wire = make(settings(self.server, timeout_seconds))
        except (httpx.InvalidURL, ValueError) as error:
            raise ServerUnreachable(f"{server!r} is no address of a server ({error})") from None

    async def call(
        self,
        method: str,
        path: str,
        *,
        query: Query | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        repeatable: bool | None = None,
    ) -> httpx.Response:
        """Send a request and return its answer, a success.

        ``repeatable`` requests (by default GET alone) are tried again when the connection breaks or the server is
        unavailable for the moment; any request is when no connection is made to a server that was there before, as it does while
        it is started anew. Raises ApiError, ServerUnreachable, UnexpectedAnswer.
        """
        repeatable = method == "GET" if repeatable is None else repeatable
        again = iter(RETRY_SECONDS)
        content = None if body is None else msgspec.json.encode(body)
        headers = {**(headers or {}), **({} if body is None else {"content-type": "application/json"})}
        while True:
            pause = next(again, None)
            try:
                request = self.wire.build(method, path, params=query, content=content, headers=headers)
                response = await self.wire.send(request)
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                if pause is None or not self.was_there:
                    raise self.unreachable(error) from None
            except (httpx.TransportError, httpx.InvalidURL) as error:
                if pause is None or not repeatable:
                    raise self.unreachable(error) from None
            else:
                self.was_there = True
                if response.status_code not in UNAVAILABLE or pause is None or not repeatable:
                    return self._success(response)
                pause = max(pause, _retry_after(response))
            await self.wire.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311 - it keeps clients apart, no secrets

    async def get(self, kind: type[T], path: str, query: Query | None = None) -> T:
        """GET a document. Raises ApiError, ServerUnreachable, UnexpectedAnswer."""
        return self.decode(kind, await self.call("GET", path, query=query))

    def decode(self, kind: type[T], response: httpx.Response) -> T:
        """Raises UnexpectedAnswer."""
        try:
            return msgspec.json.decode(response.content, type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise UnexpectedAnswer(
                f"{self.server} answered {response.request.method} {response.request.url.path} with something else "
                f"than expected ({error}); is it a workflow-manager server?"
            ) from None

    @asynccontextmanager
    async def stream(
        self, path: str, headers: Mapping[str, str], *, silence_seconds: float
    ) -> AsyncGenerator[AsyncGenerator[str]]:
        """The lines of a stream; ``silence_seconds`` without a byte count as a broken connection.

        Raises ApiError, UnexpectedAnswer, httpx errors.
        """
        connect = min(silence_seconds, CONNECT_SECONDS)
        timeout = httpx.Timeout(self._timeout_seconds, connect=connect, read=silence_seconds)
        headers = {"accept": "text/event-stream", **headers}
        response = await self.wire.send(self.wire.build("GET", path, headers=headers, timeout=timeout), stream=True)
        try:
            if not response.is_success:
                await self.wire.read(response)
                self._success(response)
            self.was_there = True
            lines = self.wire.lines(response)
            try:
                yield lines
            finally:
                await lines.aclose()
        finally:
            await self.wire.finish(response)

    def unreachable(self, error: Exception) -> ServerUnreachable:
        match error:
            case httpx.ConnectError() | httpx.ConnectTimeout():
                return ServerUnreachable(
                    f"cannot reach the server at {self.server} ({_reason(error)}); "
                    "start it with wfm serve, or name another one with --server or WFM_SERVER"
                )
            case httpx.TimeoutException():
                return ServerUnreachable(
                    f"the server at {self.server} did not answer within {self._timeout_seconds:g} s"
                )
            case _:
                return ServerUnreachable(f"the connection to the server at {self.server} broke ({_reason(error)})")

    def _success(self, response: httpx.Response) -> httpx.Response:
        """The answer, unless it is an error. Raises ApiError, UnexpectedAnswer."""
        if response.is_success:
            return response
        try:
            body = msgspec.json.decode(response.content, type=dict[str, Any])
        except (msgspec.DecodeError, UnicodeDecodeError):
            body = {}
        message = body.pop("message", None)
        code = body.pop("code", None)
        if not isinstance(message, str):
            raise UnexpectedAnswer(
                f"{self.server} answered {response.request.method} {response.request.url.path} with status "
                f"{response.status_code} and no message; is it a workflow-manager server?"
            )
        raise refusal(response.status_code, code if isinstance(code, str) else "", message, body)


def _retry_after(response: httpx.Response) -> float:
    """Seconds; 0 if the server says nothing, or a date."""
    text = response.headers.get("retry-after", "")
    return min(float(text), LONGEST_PAUSE_SECONDS) if text.isascii() and text.isdigit() else 0.0


def _reason(error: Exception) -> str:
    """Why there was no connection, in a few words."""
    text = str(error).lower() or type(error).__name__
    return text.split("] ", 1)[-1].rstrip(".")  # "[Errno 111] Connection refused"
