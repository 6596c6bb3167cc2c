"""What a worker needs of Step Functions: one activity, seen from the side of who does its tasks."""

from __future__ import annotations

from typing import Protocol

from workflow_manager.worker.task import Task


class ServiceError(Exception):
    """An answer that is none: the endpoint cannot be reached, is overloaded, or fails. Ask again later."""


class Refused(ServiceError):
    """The request itself is refused; asked again, it would be again. The message is the endpoint's."""


class Invalid(Refused):
    """What was sent is not acceptable in itself: too large, or not what the API takes (InvalidOutput, ValidationException)."""


class TaskGone(ServiceError):
    """Nobody waits for this task any more (TaskTimedOut, TaskDoesNotExist, InvalidToken)."""


class ActivityGone(ServiceError):
    """The activity is not there (any more): create it again (ActivityDoesNotExist)."""


class ActivityService(Protocol):
    """One activity of one Step Functions endpoint. Methods are called from several threads at once and block.

    All raise ServiceError or one of its kinds.
    """

    def register(self) -> None:
        """Create the activity, or find it there. Raises Refused when that cannot succeed."""
        ...

    def poll(self) -> Task | None:
        """Wait for a task, for about a minute: None when there was none. Raises ActivityGone."""
        ...

    def close_polls(self) -> None:
        """Let the endpoint know that polling is over, and end every ``poll`` under way within seconds.

        A poll that is being answered right then still returns its task. Afterwards ``poll`` raises.
        """
        ...

    def succeed(self, task: Task, output: str) -> None:
        """Raises TaskGone; Invalid when the endpoint does not take this output."""
        ...

    def fail(self, task: Task, error: str, cause: str) -> None:
        """Raises TaskGone."""
        ...

    def heartbeat(self, task: Task) -> None:
        """Raises TaskGone."""
        ...
