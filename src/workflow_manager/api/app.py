"""The REST application: Litestar routes, the operations answer, and this is what stands around every one of them.

One layer rather than a stack of middlewares: it names the request, reads its body within bounds, stops a handler that takes
too long, turns errors into bodies, compresses, and logs one line.
"""

from __future__ import annotations

import asyncio
import gzip
import importlib.metadata
import importlib.resources
import re
import secrets
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import msgspec
import structlog
from litestar import HttpMethod, Litestar, Response
from litestar.connection import Request as LitestarRequest
from litestar.exceptions import HTTPException
from litestar.handlers import HTTPRouteHandler
from litestar.types import ASGIApp

from workflow_manager.api import definitions, errors, events, service, state_resources, workflows
from workflow_manager.api.openapi import Operation, openapi
from workflow_manager.api.replies import Reply
from workflow_manager.api.requests import Request
from workflow_manager.api.settings import ApiSettings
from workflow_manager.deadline import answer_within
from workflow_manager.manager import WorkflowManager
from workflow_manager.metrics import CONTENT_TYPE, Metrics
from workflow_manager.model.errors import InvalidRequest

Receive: TypeAlias = Callable[[], Awaitable[Any]]
Send: TypeAlias = Callable[[Any], Awaitable[None]]

OPERATIONS: tuple[Operation, ...] = (
    *definitions.OPERATIONS,
    *workflows.OPERATIONS,
    *events.OPERATIONS,
    *state_resources.OPERATIONS,
    *service.OPERATIONS,
)
COMPRESS_FROM_BYTES = 1024
COMPRESS_APART_FROM_BYTES = 64 * 1024
DRAIN_FACTOR = 4
"""How much of a body that is too large is read and thrown away, in limits, so that its client hears why it was refused."""

_SANE_ID = re.compile(rb"[A-Za-z0-9._:/+=@-]{1,128}")
_COMPRESSIBLE = (b"application/json", b"text/html")

log = structlog.get_logger("workflow_manager.api")


def create_api(manager: WorkflowManager, *, settings: ApiSettings | None = None, metrics: Metrics | None = None) -> Api:
    """The REST API over a manager, as an ASGI application. Metrics are told at ``/_metrics``, if there are any."""
    return Api(manager, settings or ApiSettings(), metrics)


def document() -> dict[str, Any]:
    """The OpenAPI document of this version."""
    return openapi(OPERATIONS, version=importlib.metadata.version("workflow-manager"))


class Api:
    """An ASGI application without a lifespan. ``closing`` set ends its event streams: the server stops."""

    def __init__(self, manager: WorkflowManager, settings: ApiSettings, metrics: Metrics | None = None) -> None:
        self._manager = manager
        self._settings = settings
        self.closing = asyncio.Event()
        self._litestar = Litestar(
            route_handlers=[*(self._route(operation) for operation in OPERATIONS), *_pages(), *_metrics(metrics)],
            openapi_config=None,
            logging_config=None,
            exception_handlers={HTTPException: _unrouted, Exception: _unexpected},
        )

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        started = time.perf_counter()
        request_id, compress = _read_headers(scope["headers"])
        scope.setdefault("state", {})["request_id"] = request_id
        exchange = _Exchange(send, request_id, compress=compress)
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                await self._litestar(scope, receive, exchange.send)
            except Exception as error:
                if exchange.status:  # too late to say so: let the server break the connection off
                    raise
                await errors.reply_to(error, request_id)(scope, receive, exchange.send)
            finally:
                log.info(
                    "request",
                    method=scope["method"],
                    path=scope.get("path_template", "unrouted"),
                    status=exchange.status,
                    ms=round((time.perf_counter() - started) * 1000, 1),
                )

    def _route(self, operation: Operation) -> HTTPRouteHandler:
        async def handle(request: LitestarRequest[Any, Any, Any]) -> ASGIApp:
            return await self._answer(operation, request.scope, request.receive)

        return HTTPRouteHandler(
            operation.path.replace("}", ":str}"),
            http_method=HttpMethod(operation.method),
            status_code=operation.answer.status,
            operation_id=operation.id,
        )(handle)

    async def _answer(self, operation: Operation, scope: Any, receive: Receive) -> ASGIApp:
        """The answer as an ASGI application. Every error is a reply."""
        request_id: str = scope["state"]["request_id"]
        settings = self._settings
        try:
            body = await _read_body(receive, settings.body_limit_bytes) if operation.body is not None else b""
            request = Request(scope, body=body, depth_limit=settings.depth_limit, request_id=request_id)
            try:
                async with asyncio.timeout(settings.request_seconds) as deadline:
                    with answer_within(settings.request_seconds):
                        answer = await operation.handler(self._manager, request)
            except TimeoutError:
                if not deadline.expired():
                    raise
                raise errors.RequestTimedOut from None
        except Exception as error:  # noqa: BLE001 - told to the client and logged
            return errors.reply_to(error, request_id)
        return self._stream(answer) if isinstance(answer, events.EventStream) else answer

    def _stream(self, stream: events.EventStream) -> ASGIApp:
        async def application(_scope: Any, receive: Receive, send: Send) -> None:
            await stream.run(receive, send, comment_seconds=self._settings.stream_comment_seconds, closing=self.closing)

        return application


class _Exchange:
    """Sends an answer on, with the headers that all have, compressed if that is wanted and worth it."""

    __slots__ = ("_compress", "_request_id", "_send", "_start", "status")

    def __init__(self, send: Send, request_id: str, *, compress: bool) -> None:
        self._send = send
        self._request_id = request_id.encode()
        self._compress = compress
        self._start: Any = None
        self.status = 0

    async def send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self._start = message
            self.status = message["status"]
            return
        start, self._start = self._start, None
        if start is not None:
            headers = [
                *start["headers"],
                (b"x-content-type-options", b"nosniff"),
                (b"x-request-id", self._request_id),
            ]
            content_type = next((value for name, value in headers if name == b"content-type"), b"")
            if content_type.startswith(_COMPRESSIBLE):
                headers.append((b"vary", b"accept-encoding"))
                body = message["body"]
                if self._compress and not message.get("more_body") and len(body) >= COMPRESS_FROM_BYTES:
                    # a large body in a thread, where compressing does not hold the loop up
                    large = len(body) >= COMPRESS_APART_FROM_BYTES
                    body = await asyncio.to_thread(gzip.compress, body, 5) if large else gzip.compress(body, 5)
                    message = {**message, "body": body}
                    headers = [each for each in headers if each[0] != b"content-length"]
                    headers += [(b"content-encoding", b"gzip"), (b"content-length", b"%d" % len(body))]
            await self._send({**start, "headers": headers})
        await self._send(message)


def _read_headers(headers: list[tuple[bytes, bytes]]) -> tuple[str, bool]:
    """The request's id, its own if it has a sane one, and whether its client takes gzip."""
    request_id = compress = None
    for name, value in headers:
        if name == b"x-request-id" and _SANE_ID.fullmatch(value):
            request_id = value.decode()
        elif name == b"accept-encoding":
            compress = _takes_gzip(value)
    return request_id or secrets.token_hex(8), compress or False


def _takes_gzip(accept: bytes) -> bool:
    """RFC 9110, 12.5.3. A weight of 0 is a refusal."""
    for each in accept.lower().split(b","):
        coding, _, weight = each.partition(b";")
        if coding.strip() in (b"gzip", b"*"):
            return weight.replace(b" ", b"") not in (b"q=0", b"q=0.0", b"q=0.00", b"q=0.000")
    return False


async def _read_body(receive: Receive, limit: int) -> bytes:
    """The body. Raises InvalidRequest if it is longer than ``limit``, or if its client goes away in its middle."""
    message = await receive()
    if not message.get("more_body") and len(body := message.get("body", b"")) <= limit:
        return bytes(body)
    chunks, size = [], 0
    while True:
        if message["type"] == "http.disconnect":
            raise InvalidRequest("the client went away before the body was there")
        size += len(message["body"])
        if size <= limit:
            chunks.append(message["body"])
        if not message.get("more_body") or size > DRAIN_FACTOR * limit:
            break
        message = await receive()
    if size > limit:
        raise InvalidRequest(f"the body is longer than {limit} bytes: send less")
    return b"".join(chunks)


def _unrouted(request: LitestarRequest[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    """What Litestar refuses by itself: paths and methods that are not there, hosts that are no hosts."""
    known = {
        404: errors.NoSuchPath(f"no such path: {request.scope['path']}; /docs lists what there is"),
        405: errors.MethodNotAllowed(f"{request.scope['method']} is not possible here"),
    }
    reply = errors.reply_to(known.get(error.status_code) or InvalidRequest(error.detail), _id(request))
    allow = {"allow": error.headers["allow"]} if error.headers and "allow" in error.headers else {}
    return Response(reply.body, status_code=reply.status, headers=allow, media_type="application/json")


def _unexpected(request: LitestarRequest[Any, Any, Any], error: Exception) -> Response[bytes]:
    reply = errors.reply_to(error, _id(request))
    return Response(reply.body, status_code=reply.status, media_type="application/json")


def _id(request: LitestarRequest[Any, Any, Any]) -> str:
    request_id: str = request.scope["state"]["request_id"]
    return request_id


def _pages() -> list[HTTPRouteHandler]:
    """What is there for people: the document of the API, a page to read it, and the way to that page."""
    described = Reply(200, msgspec.json.encode(document()))
    page = importlib.resources.files(__package__).joinpath("static/docs.html").read_bytes()
    docs = Reply(200, page, headers=((b"content-security-policy", _POLICY),), content_type=b"text/html; charset=utf-8")
    to_docs = Reply(302, headers=((b"location", b"/docs"),))

    async def home(request: LitestarRequest[Any, Any, Any]) -> ASGIApp:
        if "text/html" in request.headers.get("accept", ""):
            return to_docs
        return errors.reply_to(errors.NoSuchPath("no such path: /; /docs lists what there is"), _id(request))

    async def docs_page() -> ASGIApp:
        return docs

    async def openapi_document() -> ASGIApp:
        return described

    pages: dict[str, Callable[..., Awaitable[ASGIApp]]] = {
        "/": home,
        "/docs": docs_page,
        "/openapi.json": openapi_document,
    }
    return [HTTPRouteHandler(path, http_method=HttpMethod.GET)(page) for path, page in pages.items()]


def _metrics(metrics: Metrics | None) -> list[HTTPRouteHandler]:
    """What is there for Prometheus."""
    if metrics is None:
        return []

    async def page() -> ASGIApp:
        return Reply(200, metrics.render(), content_type=CONTENT_TYPE.encode())

    return [HTTPRouteHandler("/_metrics", http_method=HttpMethod.GET)(page)]


_POLICY = (
    b"default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; base-uri 'none'"
)
