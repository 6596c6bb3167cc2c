"""The health port of a worker: whether it lives, whether it takes tasks, and what it counts.

/healthz   200 as long as the process can answer; what restarts a container asks this
/readyz    200 while it takes tasks, 503 before it could register, while its endpoint is away, and once it drains
/metrics   Prometheus' text format
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from prometheus_client.exposition import CONTENT_TYPE_LATEST

from workflow_manager.worker.metrics import WorkerMetrics

READ_SECONDS = 10.0
"""How long a client may take to send its request."""
PLAIN = "text/plain; charset=utf-8"


class CannotListen(Exception):
    """The port cannot be had; the message is one sentence."""


@contextlib.contextmanager
def health_port(host: str, port: int, metrics: WorkerMetrics) -> Iterator[int]:
    """Answer on the port while the block runs; yields its number (that of a free one for 0). Raises CannotListen."""
    try:
        server = _Server((host, port), _handler(metrics))
    except (OSError, OverflowError) as error:
        why = getattr(error, "strerror", None) or error
        raise CannotListen(f"cannot listen on {host}:{port} ({why}); choose another port with --health-port") from None
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, name="health", daemon=True)
    thread.start()
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that leaves in the middle is its own business."""


def _handler(metrics: WorkerMetrics) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = READ_SECONDS

        def do_GET(self) -> None:
            match self.path.partition("?")[0]:
                case "/healthz":
                    self._answer(200, b"draining\n" if metrics.draining else b"ok\n")
                case "/readyz":
                    self._answer(*((200, b"ready\n") if metrics.ready else (503, b"not ready\n")))
                case "/metrics":
                    self._answer(200, metrics.render(), CONTENT_TYPE_LATEST)
                case _:
                    self._answer(404, b"there are /healthz, /readyz and /metrics\n")

        do_HEAD = do_GET  # noqa: N815 - the name is http.server's

        def _answer(self, status: int, body: bytes, content_type: str = PLAIN) -> None:
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Probes are no news."""

    return Handler
