"""Processes that functions run in: started when they are needed, kept for the next task, killed when a task must end.

A child is a fresh interpreter (``spawn``) that imports the function by its module and name, so the function must stand at the
top of a module, and a script must begin its work below ``if __name__ == "__main__":``. Parent and child exchange tuples over a
pipe; a child whose parent has gone ends.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import pickle
import signal
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import Any

from workflow_manager.sdk.context import Context
from workflow_manager.sdk.functions import TaskFunction, call, failure, task_function
from workflow_manager.worker.outcome import ErrorName, Failure, Outcome

_START = threading.Lock()


class Processes:
    """The processes of one function, as many as its tasks need at once. ``memory_mb`` is the limit of each."""

    def __init__(self, memory_mb: int | None = None) -> None:
        self._memory_mb = memory_mb
        self._idle: list[Child] = []
        self._lock = threading.Lock()
        self._closed = False

    def take(self) -> Child:
        """A process that is alive and idle."""
        with self._lock:
            while self._idle:
                child = self._idle.pop()
                if child.alive:
                    return child
                child.kill()
        return Child(self._memory_mb)

    def give_back(self, child: Child) -> None:
        with self._lock:
            if child.alive and not self._closed:
                self._idle.append(child)
                return
        child.kill()

    def close(self) -> None:
        """End those that are idle; others end when they are given back."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for child in idle:
            child.kill()


class Child:
    """One process. ``run`` in one thread; ``cancel`` and ``kill`` come from others."""

    def __init__(self, memory_mb: int | None) -> None:
        spawn = multiprocessing.get_context("spawn")
        self._pipe, theirs = spawn.Pipe()
        self._process: SpawnProcess = spawn.Process(target=_serve, args=(theirs, memory_mb), daemon=True)
        with _START:  # what is started concurrently would inherit the other's pipe
            self._process.start()
        theirs.close()
        self._send_lock = threading.Lock()
        self._usable = True

    @property
    def alive(self) -> bool:
        return self._usable and self._process.is_alive()

    def run(self, function: TaskFunction, text: str, context: Context) -> Outcome:
        """Do one task; what came of it. Never raises."""
        about = (context.task, context.workflow_id, context.state, context.attempt)
        try:
            target = pickle.dumps((function.function, function.name))
        except Exception as error:  # noqa: BLE001 - whatever pickle makes of what it is given
            return Failure(ErrorName.UNKNOWN, f"the task {function.name!r} cannot run in a process of its own: {error}")
        try:
            self._send(("run", target, text, about))
            while True:
                kind, *content = self._pipe.recv()
                if kind == "heartbeat":
                    context.beat()
                elif kind == "log":
                    level, event, values = content
                    getattr(context.logger, level)(event, **values)
                else:
                    return content[0]  # type: ignore[no-any-return]  # an Outcome
        except (EOFError, OSError):
            self._usable = False
            self._process.join(1.0)
            code = self._process.exitcode
            how = f"was killed by signal {-code}" if code is not None and code < 0 else f"ended with status {code}"
            return Failure(ErrorName.COMMAND_KILLED, f"the process of the task {function.name!r} {how}")

    def cancel(self) -> None:
        """Have the function's context say that it is cancelled."""
        with contextlib.suppress(OSError):
            self._send(("cancel",))

    def kill(self) -> None:
        self._usable = False
        self._process.kill()
        self._process.join()

    def _send(self, message: tuple[Any, ...]) -> None:
        with self._send_lock:
            self._pipe.send(message)


class _Log:
    """The logger of a context in a child: what is logged is the parent's to write."""

    def __init__(self, send: Callable[[tuple[Any, ...]], None], bound: dict[str, Any] | None = None) -> None:
        self._send = send
        self._bound = bound or {}

    def bind(self, **values: Any) -> _Log:
        return _Log(self._send, self._bound | values)

    def __getattr__(self, level: str) -> Callable[..., None]:
        if level not in ("debug", "info", "warning", "error", "critical", "exception"):
            raise AttributeError(level)

        def log(event: str, **values: Any) -> None:
            told = {name: value if _plain(value) else repr(value) for name, value in (self._bound | values).items()}
            self._send(("log", "error" if level == "exception" else level, event, told))

        return log


def _plain(value: Any) -> bool:
    return value is None or isinstance(value, (str, int, float, bool))


def _serve(pipe: Connection, memory_mb: int | None) -> None:
    """Be a child: do tasks until the parent is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C reaches the whole group, and the parent decides
    signal.signal(signal.SIGTERM, lambda *_: None)  # likewise; programs that the function starts do not inherit this
    if memory_mb is not None:
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (memory_mb << 20, memory_mb << 20))
    messages, arrived = [], threading.Condition()
    cancellation = threading.Event()
    send_lock = threading.Lock()

    def send(message: tuple[Any, ...]) -> None:
        with send_lock:
            pipe.send(message)

    def read() -> None:
        while True:
            try:
                message = pipe.recv()
            except (EOFError, OSError):
                os._exit(0)
            if message[0] == "cancel":
                cancellation.set()
                continue
            with arrived:
                messages.append(message)
                arrived.notify()

    threading.Thread(target=read, name="pipe", daemon=True).start()
    while True:
        with arrived:
            arrived.wait_for(lambda: messages)
            _, target, text, (name, workflow_id, state, attempt) = messages.pop()
        cancellation.clear()
        context = Context(
            task=name,
            workflow_id=workflow_id,
            state=state,
            attempt=attempt,
            logger=_Log(send),
            cancellation=cancellation,
            beat=lambda: send(("heartbeat",)),
        )
        send(("done", _do(target, text, context)))


def _do(target: bytes, text: str, context: Context) -> Outcome:
    try:
        plain, name = pickle.loads(target)  # noqa: S301 - from our own parent
        function = task_function(plain, name=name)
        convert = function.converter()
    except Exception as error:  # noqa: BLE001 - importing runs whatever is in the module
        return failure(error)
    return call(function, convert, text, context)
