"""Ending long polls that are under way: the sockets of a boto3 client, within reach.

botocore offers no way to end a request from another thread, and a task that is handed to a poll nobody reads is lost until
it times out. So the client's connections are kept in a set, and closed in two steps: first only our direction, which tells
the endpoint that the poller leaves while an answer already on its way still arrives; then both.

This replaces the classes of connections in botocore's pool manager, which are not part of its interface:
a test makes sure that it works with the version at hand.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import weakref
from typing import Any

from botocore.awsrequest import (
    AWSHTTPConnection,
    AWSHTTPConnectionPool,
    AWSHTTPSConnection,
    AWSHTTPSConnectionPool,
)


class Connections:
    """The connections of one client. Once ``hang_up`` was called, new ones are closed as soon as they are open."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: weakref.WeakSet[Any] = weakref.WeakSet()
        self._ended = False

    def hang_up(self) -> None:
        """Send the end of our direction on every connection. What the endpoint still sends can be read."""
        self._shut(socket.SHUT_WR)

    def cut(self) -> None:
        """End both directions: whoever reads is woken."""
        self._shut(socket.SHUT_RDWR)

    def opened(self, connection: Any) -> None:
        with self._lock:
            if not self._ended:
                self._open.add(connection)
                return
        connection.close()
        raise ConnectionAbortedError("polling is over")

    def _shut(self, how: int) -> None:
        with self._lock:
            self._ended = True
            connections = list(self._open)
        for connection in connections:
            if connection.sock is not None:
                with contextlib.suppress(OSError):  # closed already
                    # An SSLSocket's own shutdown() would take away the TLS state under the thread that is reading.
                    socket.socket.shutdown(connection.sock, how)


def keep_connections(client: Any) -> Connections:
    """Keep the connections that this boto3 client is going to open. To be called before its first request."""
    connections = Connections()

    class PlainConnection(AWSHTTPConnection):
        def connect(self) -> None:
            super().connect()
            connections.opened(self)

    class TLSConnection(AWSHTTPSConnection):
        def connect(self) -> None:
            super().connect()
            connections.opened(self)

    class PlainPool(AWSHTTPConnectionPool):
        ConnectionCls = PlainConnection

    class TLSPool(AWSHTTPSConnectionPool):
        ConnectionCls = TLSConnection

    # Proxied connections share this mapping, so it is changed rather than replaced.
    client._endpoint.http_session._pool_classes_by_scheme.update(http=PlainPool, https=TLSPool)  # noqa: SLF001 - see above
    return connections
