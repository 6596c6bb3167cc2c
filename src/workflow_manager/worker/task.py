"""A task in a worker's hands, and what may interrupt it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from workflow_manager.worker.payload import NotAnObject, parse_object

EXECUTION_NAME = "_EXECUTION_NAME"
"""The field of a task's input in which workflow-manager passes the workflow's id."""
STATE_NAME = "_STATE_NAME"
RETRY_COUNT = "_RETRY_COUNT"
"""Fields in which a definition may pass ``$$.State.Name`` and ``$$.State.RetryCount``, which AWS tells no worker."""


@dataclass(frozen=True, slots=True)
class Gone:
    """Step Functions waits for this task no longer: it timed out, or its execution has ended."""


@dataclass(frozen=True, slots=True)
class Signalled:
    """The worker was sent a signal that is for the task too. SIGTERM and SIGINT mean: finish soon."""

    number: int


@dataclass(frozen=True, slots=True)
class TimedOut:
    """The task has had the time that this worker gives it, in seconds."""

    seconds: float


Interruption = Gone | Signalled | TimedOut


class Task:
    """One task: its token, its input, and the interruptions that reach it from the worker's other threads.

    ``fields`` is the input as a JSON object, or None when it is something else; ``not_an_object`` then says what.
    ``execution_name`` is there when the input holds ``_EXECUTION_NAME`` as a string. ``state`` and ``attempt`` (1 is the first)
    are None where neither the endpoint nor the input tells. ``left_behind`` is a thread that still works on the task although
    its outcome is known: it could not be made to stop.
    """

    def __init__(self, token: str, text: str, *, state: str | None = None, attempt: int | None = None) -> None:
        self.token = token
        self.input = text
        self.not_an_object = ""
        self.fields: dict[str, Any] | None = None
        try:
            self.fields = parse_object(text)
        except NotAnObject as error:
            self.not_an_object = str(error)
        name = (self.fields or {}).get(EXECUTION_NAME)
        self.execution_name: str | None = name if isinstance(name, str) else None
        self.state = state or _text((self.fields or {}).get(STATE_NAME))
        self.attempt = attempt or _attempt((self.fields or {}).get(RETRY_COUNT))
        self.left_behind: threading.Thread | None = None
        self._lock = threading.Lock()
        self._interruptions: list[Interruption] = []
        self._listeners: list[Callable[[Interruption], None]] = []
        self._gone = threading.Event()

    def interrupt(self, interruption: Interruption) -> None:
        with self._lock:
            self._interruptions.append(interruption)
            for listener in self._listeners:
                listener(interruption)
        if isinstance(interruption, Gone):
            self._gone.set()

    def subscribe(self, listener: Callable[[Interruption], None]) -> None:
        """Hand every interruption to ``listener``, those that came earlier first. It must not block."""
        with self._lock:
            for interruption in self._interruptions:
                listener(interruption)
            self._listeners.append(listener)

    @property
    def gone(self) -> bool:
        return self._gone.is_set()

    def wait_until_gone(self, seconds: float) -> bool:
        return self._gone.wait(seconds)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _attempt(retry_count: object) -> int | None:
    whole = isinstance(retry_count, int) and not isinstance(retry_count, bool)
    return retry_count + 1 if whole and retry_count >= 0 else None  # type: ignore[operator]  # whole says so
