"""The one difference between the two clients: httpx that blocks, and httpx that is awaited.

Everything above is written once, as coroutines over a Wire. With BlockingWire they wait for nothing but the call they make, so
that running one is a single step (``done``), and iterating over one a step for each item (``items``).
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Awaitable, Iterator
from typing import Any, Protocol, TypeVar

import httpx

T = TypeVar("T")


class Wire(Protocol):
    """Sends requests of httpx. Every method may raise httpx's TransportError."""

    def build(self, method: str, path: str, /, **arguments: Any) -> httpx.Request:
        """A request to a path of the server. Raises httpx.InvalidURL."""
        ...

    async def send(self, request: httpx.Request, *, stream: bool = False) -> httpx.Response: ...

    def lines(self, response: httpx.Response) -> AsyncGenerator[str]:
        """Of a response that streams."""
        ...

    async def read(self, response: httpx.Response) -> None: ...

    async def finish(self, response: httpx.Response) -> None: ...

    async def sleep(self, seconds: float) -> None: ...

    def now(self) -> float:
        """Seconds on a clock that only goes forward."""
        ...

    async def close(self) -> None: ...


class _Clock:
    def now(self) -> float:
        return time.monotonic()


class BlockingWire(_Clock):
    def __init__(self, http: httpx.Client) -> None:
        self._http = http

    def build(self, method: str, path: str, /, **arguments: Any) -> httpx.Request:
        return self._http.build_request(method, path, **arguments)

    async def send(self, request: httpx.Request, *, stream: bool = False) -> httpx.Response:
        return self._http.send(request, stream=stream)

    async def lines(self, response: httpx.Response) -> AsyncGenerator[str]:
        for line in response.iter_lines():
            yield line

    async def read(self, response: httpx.Response) -> None:
        response.read()

    async def finish(self, response: httpx.Response) -> None:
        response.close()

    async def sleep(self, seconds: float) -> None:
        time.sleep(seconds)  # noqa: ASYNC251 - blocking is what this one is for

    async def close(self) -> None:
        self._http.close()


class AwaitedWire(_Clock):
    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    def build(self, method: str, path: str, /, **arguments: Any) -> httpx.Request:
        return self._http.build_request(method, path, **arguments)

    async def send(self, request: httpx.Request, *, stream: bool = False) -> httpx.Response:
        return await self._http.send(request, stream=stream)

    async def lines(self, response: httpx.Response) -> AsyncGenerator[str]:
        async for line in response.aiter_lines():
            yield line

    async def read(self, response: httpx.Response) -> None:
        await response.aread()

    async def finish(self, response: httpx.Response) -> None:
        await response.aclose()

    async def sleep(self, seconds: float) -> None:
        import asyncio  # commands that block do without, and start sooner

        await asyncio.sleep(seconds)

    async def close(self) -> None:
        await self._http.aclose()


def done(work: Awaitable[T]) -> T:
    """The result of a coroutine over a BlockingWire."""
    try:
        next(work.__await__())
    except StopIteration as stopped:
        result: T = stopped.value
        return result
    raise AssertionError("a coroutine over a BlockingWire waits for something else")


def items(iterator: AsyncGenerator[T]) -> Iterator[T]:
    """The items of an asynchronous generator over a BlockingWire; it is closed with its iteration."""
    try:
        while True:
            try:
                item = done(anext(iterator))
            except StopAsyncIteration:
                return
            yield item
    finally:
        done(iterator.aclose())
