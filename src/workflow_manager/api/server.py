"""The server: one port for the REST API and for the Step Functions API, on uvicorn.

``Server`` runs within an event loop that is there: the command line's, a test's. It takes connections from when ``start``
returns until ``stop``, which lets requests that are under way finish, for a while.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import Callable, Coroutine, Generator
from types import TracebackType
from typing import Any, Self, TypeAlias, TypeVar

import msgspec
import uvicorn
import uvloop

from workflow_manager.api.app import Api, Receive, Send
from workflow_manager.api.passthrough import signed_for_another
from workflow_manager.api.protocol import protocol_with
from workflow_manager.api.replies import Reply
from workflow_manager.api.settings import ApiSettings

T = TypeVar("T")
Application: TypeAlias = Any
"""An ASGI application."""

BACKLOG = 2048
LAST_ANSWER_SECONDS = 0.5
"""How long clients may take the answer to a request that the end of the server cut off."""


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run a program on the event loop that the server is fast on."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main)


def dispatch(api: Api, wire: Application | None, others: Application | None = None) -> Application:
    """One application: ``POST /`` with ``X-Amz-Target`` is the Step Functions API's, all else is REST.

    ``others`` takes requests that are signed for other AWS services.
    """

    async def application(scope: Any, receive: Receive, send: Send) -> None:
        chosen: Application = api
        if others is not None and scope["type"] == "http" and signed_for_another(scope):
            chosen = others
        elif (
            wire is not None
            and scope["type"] == "http"
            and scope["method"] == "POST"
            and scope["path"] == "/"
            and any(name == b"x-amz-target" for name, _ in scope["headers"])
        ):
            chosen = wire
        try:
            await chosen(scope, receive, send)
        except asyncio.CancelledError:
            if not api.closing.is_set():
                raise
            with contextlib.suppress(RuntimeError):  # uvicorn's, if an answer has begun
                await _STOPPING(scope, receive, send)

    return application


_STOPPING = Reply(
    503,
    msgspec.json.encode(
        {"__type": "ServiceUnavailable", "code": "StorageUnavailable", "message": "the server stops; try again"}
    ),
    headers=((b"retry-after", b"1"), (b"x-content-type-options", b"nosniff")),
)
"""For a request that the end of the server cut off, readable for clients of either API."""


class Server:
    """Serves an ``Api``, and a wire application beside it, on one address. Port 0 is any that is free.

    ``others``: who takes requests that are signed for other AWS services (passthrough.py).
    ``around`` makes an application that stands around both.
    """

    def __init__(
        self,
        api: Api,
        wire: Application | None = None,
        others: Application | None = None,
        *,
        host: str = "127.0.0.1",
        port: int = 8080,
        settings: ApiSettings | None = None,
        around: Callable[[Application], Application] | None = None,
    ) -> None:
        self._settings = settings or ApiSettings()
        self._api = api
        self._host = host
        self._wanted_port = port
        self._sockets: list[socket.socket] = []
        application = dispatch(api, wire, others)
        self._uvicorn = _Uvicorn(_configuration(around(application) if around else application, self._settings))
        self._serving: asyncio.Task[None] | None = None

    @property
    def port(self) -> int:
        """The port it listens on; only while it serves."""
        port: int = self._sockets[0].getsockname()[1]
        return port

    @property
    def url(self) -> str:
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self.port}"

    async def start(self) -> None:
        """Listen. Raises OSError if the address is taken or is none of this machine's."""
        self._sockets = await _listen(self._host, self._wanted_port)
        self._serving = asyncio.create_task(self._uvicorn.serve(self._sockets))
        started = asyncio.create_task(self._uvicorn.serves.wait())
        await asyncio.wait({started, self._serving}, return_when=asyncio.FIRST_COMPLETED)
        if self._serving.done():
            started.cancel()
            await self._serving

    async def stop(self) -> None:
        """Take no further requests, end event streams, let other requests finish, then close."""
        self._api.closing.set()
        self._uvicorn.should_exit = True
        if self._serving is not None:
            ending = asyncio.create_task(self._cut_off())
            try:
                await self._serving
            finally:
                ending.cancel()

    async def _cut_off(self) -> None:
        """End what has not ended in time: first with an answer, then without."""
        state = self._uvicorn.server_state
        await asyncio.sleep(self._settings.shutdown_seconds)
        for task in list(state.tasks):
            task.cancel()
        await asyncio.sleep(LAST_ANSWER_SECONDS)
        for connection in list(state.connections):
            connection.transport.abort()

    async def serve_until_signal(self, *, heard: Callable[[], None] = lambda: None) -> None:
        """Wait for SIGINT or SIGTERM, then stop; a second one does not wait for requests that are under way.

        ``heard`` is called when the first one comes.
        """
        loop = asyncio.get_running_loop()
        told = asyncio.Event()

        def tell() -> None:
            if told.is_set():
                self._uvicorn.force_exit = True
            else:
                heard()
            told.set()

        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, tell)
        try:
            await told.wait()
            await self.stop()
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.stop()


class _Uvicorn(uvicorn.Server):
    """uvicorn, told to stop by its owner rather than by signals, and saying when it serves."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.serves = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        await self.on_tick(0)  # the first answers have a date, too
        self.serves.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


def _configuration(application: Application, settings: ApiSettings) -> uvicorn.Config:
    return uvicorn.Config(
        application,
        http=protocol_with(settings),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        backlog=BACKLOG,
        timeout_keep_alive=settings.keep_alive_seconds,  # type: ignore[arg-type]  # it is handed to call_later
    )


async def _listen(host: str, port: int) -> list[socket.socket]:
    """Bound sockets for every address that a host name stands for, all of one port."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    sockets: list[socket.socket] = []
    try:
        for family, kind, protocol, _, address in dict.fromkeys(found):
            listener = socket.socket(family, kind, protocol)
            sockets.append(listener)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            taken = port or (sockets[0].getsockname()[1] if len(sockets) > 1 else 0)
            listener.bind((address[0], taken, *address[2:]))
            listener.setblocking(False)
    except OSError:
        for listener in sockets:
            listener.close()
        raise
    return sockets
