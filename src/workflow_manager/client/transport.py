"""Requests and answers: addresses, timeouts, retries where they are safe, errors as exceptions."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeAlias, TypeVar

import httpx
import msgspec

from workflow_manager.client.errors import ApiError, ServerUnreachable, UnexpectedAnswer

T = TypeVar("T")
Query: TypeAlias = Mapping[str, str] | list[tuple[str, str | int | float | bool | None]]

RETRY_SECONDS = (0.2, 1.0)
"""Before the second and the third try of a request that may be repeated."""
UNAVAILABLE = (502, 503, 504)
"""Statuses of a server, or of a proxy before it, that may do better soon."""
CONNECT_SECONDS = 5.0


class Transport:
    """Talks to one server. ``timeout_seconds`` bounds each wait for the server, not the whole exchange."""

    def __init__(
        self, server: str, *, timeout_seconds: float = 30.0, transport: httpx.BaseTransport | None = None
    ) -> None:
        """``transport`` replaces the network, for tests. Raises ServerUnreachable if ``server`` is no address."""
        self.server = server.rstrip("/")
        self._timeout_seconds = timeout_seconds
        try:
            self._http = httpx.Client(
                base_url=self.server,
                timeout=httpx.Timeout(timeout_seconds, connect=min(timeout_seconds, CONNECT_SECONDS)),
                headers={"accept": "application/json", "user-agent": "wfm"},
                verify=self.server.startswith("https:"),  # loading certificates takes its time
                transport=transport,
            )
        except (httpx.InvalidURL, ValueError) as error:
            raise ServerUnreachable(f"{server!r} is no address of a server ({error})") from None

    def close(self) -> None:
        self._http.close()

    def call(
        self,
        method: str,
        path: str,
        *,
        query: Query | None = None,
        body: Any = None,
        repeatable: bool | None = None,
    ) -> httpx.Response:
        """Send a request and return its answer, a success.

        ``repeatable`` requests (by default GET alone) are tried again when the connection breaks or the server is
        unavailable for the moment. Raises ApiError, ServerUnreachable, UnexpectedAnswer.
        """
        again = iter(RETRY_SECONDS if (method == "GET" if repeatable is None else repeatable) else ())
        content = None if body is None else msgspec.json.encode(body)
        headers = {} if body is None else {"content-type": "application/json"}
        while True:
            pause = next(again, None)
            try:
                response = self._http.request(method, path, params=query, content=content, headers=headers)
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                raise self.unreachable(error) from None
            except (httpx.TransportError, httpx.InvalidURL) as error:
                if pause is None:
                    raise self.unreachable(error) from None
            else:
                if response.status_code not in UNAVAILABLE or pause is None:
                    return self._success(response)
            time.sleep(pause)

    def get(self, kind: type[T], path: str, query: Query | None = None) -> T:
        """GET a document. Raises ApiError, ServerUnreachable, UnexpectedAnswer."""
        return self.decode(kind, self.call("GET", path, query=query))

    def decode(self, kind: type[T], response: httpx.Response) -> T:
        """Raises UnexpectedAnswer."""
        try:
            return msgspec.json.decode(response.content, type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise UnexpectedAnswer(
                f"{self.server} answered {response.request.method} {response.request.url.path} with something else "
                f"than expected ({error}); is it a workflow-manager server?"
            ) from None

    @contextmanager
    def stream(self, path: str, headers: Mapping[str, str], *, silence_seconds: float) -> Iterator[httpx.Response]:
        """GET a stream; ``silence_seconds`` without a byte count as a broken connection. Raises ApiError, httpx errors."""
        timeout = httpx.Timeout(self._timeout_seconds, connect=CONNECT_SECONDS, read=silence_seconds)
        with self._http.stream(
            "GET", path, headers={"accept": "text/event-stream", **headers}, timeout=timeout
        ) as response:
            if not response.is_success:
                response.read()
                self._success(response)
            yield response

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
        raise ApiError(response.status_code, code if isinstance(code, str) else "", message, body)


def _reason(error: Exception) -> str:
    """Why there was no connection, in a few words."""
    text = str(error).lower() or type(error).__name__
    return text.split("] ", 1)[-1].rstrip(".")  # "[Errno 111] Connection refused"
