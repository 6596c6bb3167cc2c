"""A task in a worker's hands, and what may interrupt it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from workflow_manager.worker.payload import NotAnObject, parse_object

EXECUTION_NAME = "_EXECUTION_NAME"
"""The field of a task's input in which workflow-manager passes the workflow's id."""


@dataclass(frozen=True, slots=True)
class Gone:
    """Step Functions waits for this task no longer: it timed out, or its execution has ended."""


@dataclass(frozen=True, slots=True)
class Signalled:
    """The worker was sent a signal that is for the task too. SIGTERM and SIGINT mean: finish soon."""

    number: int


Interruption = Gone | Signalled


class Task:
    """One task: its token, its input, and the interruptions that reach it from the worker's other threads.

    ``fields`` is the input as a JSON object, or None when it is something else; ``not_an_object`` then says what.
    ``execution_name`` is there when the input holds ``_EXECUTION_NAME`` as a string.
    """

    def __init__(self, token: str, text: str) -> None:
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
