"""An activity in memory: as an object for the loop, and behind HTTP for boto3. And a log that can be asked."""

from __future__ import annotations

import json
import threading
from collections import defaultdict
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Queue, SimpleQueue
from typing import Any, Self

import structlog
from structlog.testing import LogCapture

from workflow_manager.worker.service import ServiceError
from workflow_manager.worker.task import Task

PATIENCE = 20.0
"""Seconds after which something that must happen counts as not happening."""


def logger() -> tuple[Any, LogCapture]:
    capture = LogCapture()
    return structlog.wrap_logger(
        None, processors=[capture], wrapper_class=structlog.make_filtering_bound_logger(0)
    ), capture


class FakeActivity:
    """Hands out the tasks of ``offer``; answers in ``reports``; ``fail_next`` makes calls raise first."""

    def __init__(self) -> None:
        self.reports: Queue[tuple[str, ...]] = Queue()
        self.beats: Queue[str] = Queue()
        self.calls: dict[str, int] = defaultdict(int)
        self.idle = threading.Semaphore(0)  # released for every poll that begins
        self._tasks: SimpleQueue[Task | None] = SimpleQueue()
        self._errors: dict[str, list[Exception]] = defaultdict(list)
        self._always: dict[str, Exception] = {}
        self._closed = threading.Event()

    def offer(self, token: str, text: str = "{}") -> Task:
        task = Task(token, text)
        self._tasks.put(task)
        return task

    def end_poll(self) -> None:
        """Answer a poll without a task."""
        self._tasks.put(None)

    def fail_next(self, method: str, *errors: Exception) -> None:
        self._errors[method] += errors

    def fail_always(self, method: str, error: Exception) -> None:
        self._always[method] = error

    def register(self) -> None:
        self._called("register")

    def poll(self) -> Task | None:
        self._called("poll")
        self.idle.release()
        task = self._tasks.get()
        if task is None and self._closed.is_set():
            self._tasks.put(None)  # for the next poller
            raise ServiceError("polling is over")
        return task

    def close_polls(self) -> None:
        self._called("close_polls")
        self._closed.set()
        self._tasks.put(None)

    def succeed(self, task: Task, output: str) -> None:
        self._called("succeed")
        self.reports.put(("succeeded", task.token, output))

    def fail(self, task: Task, error: str, cause: str) -> None:
        self._called("fail")
        self.reports.put(("failed", task.token, error, cause))

    def heartbeat(self, task: Task) -> None:
        self._called("heartbeat")
        self.beats.put(task.token)

    def _called(self, method: str) -> None:
        self.calls[method] += 1
        if self._errors[method]:
            raise self._errors[method].pop(0)
        if method in self._always:
            raise self._always[method]


class _QuietServer(ThreadingHTTPServer):
    def handle_error(self, *_: object) -> None:
        """Clients that leave without waiting for their answer are what some tests are about."""


class ActivityServer:
    """Answers the operations of a worker as AWS JSON 1.0. ``answers`` maps an operation to (status, body) or a function."""

    def __init__(self) -> None:
        self.requests: Queue[tuple[str, dict[str, Any]]] = Queue()
        self.answers: dict[str, Callable[[dict[str, Any]], tuple[int, Any]]] = {}
        self.headers: dict[str, dict[str, str]] = {}
        self.pollers_gone: Queue[bool] = Queue()
        self._server = _QuietServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def next_request(self) -> tuple[str, dict[str, Any]]:
        return self.requests.get(timeout=PATIENCE)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                operation = self.headers["X-Amz-Target"].rpartition(".")[2]
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.requests.put((operation, body))
                answer = outer.answers.get(operation)
                if answer is None:
                    if operation == "GetActivityTask":  # a long poll: nothing comes until the client leaves
                        outer.pollers_gone.put(self.rfile.read(1) == b"")
                        self.close_connection = True
                        return
                    status, payload = 200, {"activityArn": "arn:aws:states:us-east-1:000000000000:activity:a"}
                else:
                    status, payload = answer(body)
                content = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/x-amz-json-1.0")
                self.send_header("Content-Length", str(len(content)))
                for name, value in outer.headers.get(operation, {}).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                """Quiet."""

        return Handler
