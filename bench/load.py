"""A small asyncio client of the Step Functions wire, cheap enough to load a server on the same machine."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import msgspec

AUTHORIZATION = (
    b"Authorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260101/us-east-1/states/aws4_request, "
    b"SignedHeaders=host;x-amz-date;x-amz-target, Signature=0\r\n"
)
"""Nobody checks it, but emulators find the service and the region in it."""


class Connection(asyncio.Protocol):
    """One keep-alive connection, one request at a time. Understands what our server answers: Content-Length bodies."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._whole = 0  # how long the answer is, once its head has been read
        self._body_at = 0
        self._answer: asyncio.Future[tuple[int, bytes]] | None = None
        self._transport: asyncio.Transport | None = None
        self.closed = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self._whole:
            head = self._buffer.find(b"\r\n\r\n")
            if head < 0:
                return
            heads = self._buffer[:head].lower()
            at = heads.find(b"content-length:")
            end = heads.find(b"\r\n", at)
            self._body_at = head + 4
            self._whole = self._body_at + int(heads[at + 15 : end if end > 0 else None])
            self.closed = heads.startswith(b"http/1.0") or b"connection: close" in heads
        if len(self._buffer) < self._whole:
            return
        with memoryview(self._buffer) as view:
            body = bytes(view[self._body_at : self._whole])
        status = int(self._buffer[9:12])
        self._buffer.clear()
        self._whole = 0
        if self._answer is not None and not self._answer.done():  # whoever asked may have gone
            self._answer.set_result((status, body))

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(ConnectionError(f"the connection was lost: {exc}"))

    async def post(self, target: str, body: bytes) -> tuple[int, bytes]:
        assert self._transport is not None
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(
            b"POST / HTTP/1.1\r\nHost: bench\r\nContent-Type: application/x-amz-json-1.0\r\n"
            b"X-Amz-Target: AWSStepFunctions.%b\r\n%bContent-Length: %d\r\n\r\n%b"
            % (target.encode(), AUTHORIZATION, len(body), body)
        )
        return await self._answer


class Client:
    """Calls operations; connections are made as many as are used at once."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._idle: list[Connection] = []

    async def call(self, operation: str, **parameters: Any) -> dict[str, Any]:
        connection = self._idle.pop() if self._idle else await self._connect()
        while connection.closed:
            connection = self._idle.pop() if self._idle else await self._connect()
        status, body = await connection.post(operation, msgspec.json.encode(parameters))
        if not connection.closed:
            self._idle.append(connection)
        answer: dict[str, Any] = msgspec.json.decode(body) if body else {}
        if status != 200:
            raise RuntimeError(f"{operation}: {status} {answer}")
        return answer

    async def _connect(self) -> Connection:
        _, connection = await asyncio.get_running_loop().create_connection(Connection, "127.0.0.1", self._port)
        return connection
