"""Sending for botocore: one request and its answer on a kept connection, for two thirds of the CPU time.

botocore stays what it is, with its credentials, signatures and retries; only the part that moves bytes is another. Whatever is
out of the ordinary (a proxy, a client's certificate) is sent by botocore's own session, which ``Sender`` stands before.
"""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import time
from collections import deque
from typing import Any
from urllib.parse import urlsplit

import httptools
from botocore.awsrequest import AWSResponse
from botocore.exceptions import (
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    ReadTimeoutError,
    SSLError,
)
from botocore.httpsession import get_cert_path

from workflow_manager.deadline import at_most

READ_BYTES = 256 * 1024
FRESH_SECONDS = 1.0
"""An unused connection is looked at before it is used again, but not this soon: servers keep them for longer."""


def send_leanly(client: Any, *, connect_seconds: float, read_seconds: float, connections: int) -> None:
    """Make a boto3 client send its requests this way, if nothing is out of the ordinary. Call it before the first request.

    The places that this looks at are not part of botocore's interface: where they are not as they were, nothing is changed.
    """
    with contextlib.suppress(AttributeError, OSError):
        url, session = client.meta.endpoint_url, client._endpoint.http_session  # noqa: SLF001 - see above
        proxied = session._proxy_config.proxy_url_for(url) is not None  # noqa: SLF001
        verify = session._verify  # noqa: SLF001 - True, False, or a file of certificates
        if not proxied and verify and session._cert_file is None:  # noqa: SLF001
            sender = Sender(
                session,
                url,
                certificates=get_cert_path(verify) or "",
                connect_seconds=connect_seconds,
                read_seconds=read_seconds,
                connections=connections,
            )
            client._endpoint.http_session = sender  # noqa: SLF001


class Sender:
    """What botocore's endpoint takes for its session. Keeps up to ``connections`` that are not in use."""

    def __init__(
        self,
        otherwise: Any,
        endpoint_url: str,
        *,
        certificates: str,
        connect_seconds: float,
        read_seconds: float,
        connections: int,
    ) -> None:
        parts = urlsplit(endpoint_url)
        self._otherwise = otherwise
        self._scheme, self._netloc = parts.scheme, parts.netloc
        self._host = parts.hostname or ""
        self._port = parts.port or (443 if parts.scheme == "https" else 80)
        self._connect_seconds = connect_seconds
        self._read_seconds = read_seconds
        self._context = None
        if parts.scheme == "https":
            self._context = ssl.create_default_context(cafile=certificates)
        self._connections = connections
        self._idle: deque[tuple[float, socket.socket]] = deque()  # since when; the one used last is taken first

    def send(self, request: Any) -> Any:
        """The answer to a request, an AWSResponse. Raises botocore's errors, as its own session does."""
        parts = urlsplit(request.url)
        ours = parts.scheme == self._scheme and parts.netloc == self._netloc
        if not ours or not isinstance(request.body, bytes) or request.stream_output:
            return self._otherwise.send(request)
        message = _message(request, parts.path or "/", parts.query, self._netloc)
        connection = self._kept() or self._connect(request.url)
        answer = _Answer()
        try:
            connection.settimeout(at_most(self._read_seconds))
            connection.sendall(message)
            while not answer.complete:
                answer.parser.feed_data(_received(connection))
        except BaseException as error:
            connection.close()
            raise _botocores(error, request) from error
        finally:
            del answer.parser  # which holds the answer
        if answer.keep:
            self._keep(connection)
        else:
            connection.close()
        response = AWSResponse(request.url, answer.status, answer.headers, answer)  # type: ignore[arg-type]
        response.content  # noqa: B018 - read once, as botocore's own session does
        return response

    def close(self) -> None:
        while self._idle:
            self._idle.pop()[1].close()
        self._otherwise.close()

    def _kept(self) -> socket.socket | None:
        """A connection that nobody uses and that is still open."""
        with contextlib.suppress(IndexError):
            while True:
                since, connection = self._idle.pop()
                if time.monotonic() - since < FRESH_SECONDS or not _readable(connection):
                    return connection
                connection.close()  # there is nothing to read but its end
        return None

    def _keep(self, connection: socket.socket) -> None:
        if len(self._idle) < self._connections:
            self._idle.append((time.monotonic(), connection))
        else:
            connection.close()

    def _connect(self, url: str) -> socket.socket:
        try:
            connection = socket.create_connection((self._host, self._port), timeout=at_most(self._connect_seconds))
        except TimeoutError as error:
            raise ConnectTimeoutError(endpoint_url=url, error=error) from error
        except OSError as error:
            raise EndpointConnectionError(endpoint_url=url, error=error) from error
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            if self._context is not None:
                connection = self._context.wrap_socket(connection, server_hostname=self._host)
        except ssl.SSLError as error:
            connection.close()
            raise SSLError(endpoint_url=url, error=error) from error
        except TimeoutError as error:
            connection.close()
            raise ConnectTimeoutError(endpoint_url=url, error=error) from error
        except OSError as error:
            connection.close()
            raise EndpointConnectionError(endpoint_url=url, error=error) from error
        return connection


class _Answer:
    """Takes an answer from the parser; botocore reads it from ``stream``."""

    def __init__(self) -> None:
        self.parser = httptools.HttpResponseParser(self)
        self.status = 0
        self.keep = False
        self.headers: dict[str, str] = {}
        self.complete = False
        self._body: list[bytes] = []

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers[name.decode("latin-1")] = value.decode("latin-1")

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        self.status = self.parser.get_status_code()
        self.keep = self.parser.should_keep_alive()  # which it knows here only
        self.complete = True

    def stream(self) -> list[bytes]:
        return self._body


def _message(request: Any, path: str, query: str, netloc: str) -> bytes:
    """The request as bytes, in one piece."""
    lines = [f"{request.method} {path}{'?' if query else ''}{query} HTTP/1.1"]
    named = set()
    for name, value in request.headers.items():
        named.add(name.lower())
        lines.append(f"{name}: {value.decode('latin-1') if isinstance(value, bytes) else value}")
    if "host" not in named:
        lines.append(f"Host: {netloc}")
    if "accept-encoding" not in named:
        lines.append("Accept-Encoding: identity")
    if "content-length" not in named:
        lines.append(f"Content-Length: {len(request.body)}")
    head = "\r\n".join(lines)
    return head.encode("latin-1") + b"\r\n\r\n" + bytes(request.body)


def _received(connection: socket.socket) -> bytes:
    data = connection.recv(READ_BYTES)
    if not data:
        raise ConnectionResetError("closed before the answer was there")
    return data


def _readable(connection: socket.socket) -> bool:
    poll = select.poll()
    poll.register(connection, select.POLLIN)
    return bool(poll.poll(0))


def _botocores(error: BaseException, request: Any) -> BaseException:
    """The error that botocore's own session would raise."""
    match error:
        case TimeoutError():
            return ReadTimeoutError(endpoint_url=request.url, error=error)
        case ssl.SSLError():
            return SSLError(endpoint_url=request.url, error=error)
        case OSError() | httptools.HttpParserError():
            return ConnectionClosedError(endpoint_url=request.url, error=error, request=request)
        case _:
            return error
