"""What a function may be told about the task it does, if it asks for it with a parameter of type Context."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """One task, seen by the function that does it. May be used from any thread.

    ``workflow_id`` is the id of the workflow, which is also the name of its execution; None when the task's input does not
    have it, because an earlier state dropped ``_EXECUTION_NAME``. ``state`` is the name of the state, and ``attempt`` counts
    from 1; both are None where the backend does not tell (docs/sdk.md). ``logger`` takes ``logger.info("text", key=value)``.
    ``cancellation`` is set when the task should end soon: nobody waits for it any more, its time is up, or the worker stops.
    """

    task: str
    workflow_id: str | None
    state: str | None
    attempt: int | None
    logger: Any
    cancellation: threading.Event = field(default_factory=threading.Event)
    beat: Callable[[], None] = lambda: None

    @property
    def execution_name(self) -> str | None:
        """The name of the execution, as Step Functions calls it."""
        return self.workflow_id

    @property
    def cancelled(self) -> bool:
        """Whether the task should end soon."""
        return self.cancellation.is_set()

    def heartbeat(self) -> None:
        """Tell Step Functions now that the task is being worked on. It is told regularly without this, too."""
        self.beat()
