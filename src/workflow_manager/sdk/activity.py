"""The activities of an engine in this process, as a worker sees them: calls go straight to it, with no HTTP between.

A task is never confirmed as delivered (``stepfunctions.longpoll.Delivery``), so that the engine keeps it until it is answered:
when this process is killed with tasks in hand, they are handed out again as soon as the next one opens the data folder.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from workflow_manager.sdk.background import BackgroundLoop
from workflow_manager.stepfunctions import errors
from workflow_manager.stepfunctions import types as t
from workflow_manager.stepfunctions.longpoll import Describes
from workflow_manager.stepfunctions.protocol import StepFunctions
from workflow_manager.worker.service import ActivityGone, Invalid, Refused, ServiceError, TaskGone
from workflow_manager.worker.task import Task

T = TypeVar("T")

GONE = (errors.TaskTimedOut, errors.TaskDoesNotExist, errors.InvalidToken)
INVALID = (errors.InvalidOutput, errors.ValidationException, errors.SerializationException)
CALL_SECONDS = 30.0
"""How long a call that is no long poll may take: the engine answers after a COMMIT."""


class InProcessActivity:
    """One activity of ``stepfunctions``, which runs on ``background``. Called from several threads; blocks."""

    def __init__(
        self, stepfunctions: StepFunctions, background: BackgroundLoop, *, activity_name: str, worker_name: str
    ) -> None:
        self._stepfunctions = stepfunctions
        self._background = background
        self._activity_name = activity_name
        self._worker_name = worker_name
        self._activity_arn = ""
        self._closing = asyncio.Event()

    def register(self) -> None:
        made = self._call(self._stepfunctions.create_activity(t.CreateActivityInput(name=self._activity_name)))
        self._activity_arn = made.activity_arn

    def poll(self) -> Task | None:
        answer, (state, attempt) = self._call(self._polled(), timeout=None)
        if answer is None:
            raise ServiceError("polling is over")
        return Task(answer.task_token, answer.input or "", state=state, attempt=attempt) if answer.task_token else None

    def close_polls(self) -> None:
        self._background.loop.call_soon_threadsafe(self._closing.set)

    def succeed(self, task: Task, output: str) -> None:
        self._call(self._stepfunctions.send_task_success(t.SendTaskSuccessInput(task_token=task.token, output=output)))

    def fail(self, task: Task, error: str, cause: str) -> None:
        request = t.SendTaskFailureInput(task_token=task.token, error=error, cause=cause)
        self._call(self._stepfunctions.send_task_failure(request))

    def heartbeat(self, task: Task) -> None:
        self._call(self._stepfunctions.send_task_heartbeat(t.SendTaskHeartbeatInput(task_token=task.token)))

    async def _polled(self) -> tuple[t.GetActivityTaskOutput | None, tuple[str | None, int | None]]:
        """What a poll brought (None once polling is over), and the state and attempt of its task.

        What the engine has handed over when polling ends is still answered.
        """
        request = t.GetActivityTaskInput(activity_arn=self._activity_arn, worker_name=self._worker_name)
        poll = asyncio.ensure_future(self._stepfunctions.get_activity_task(request))
        closing = asyncio.ensure_future(self._closing.wait())
        try:
            await asyncio.wait((poll, closing), return_when=asyncio.FIRST_COMPLETED)
        finally:
            closing.cancel()
            if not poll.done():
                poll.cancel()  # a task that was being handed over goes to the next poller
        if not poll.done():
            await asyncio.wait((poll,))
        answer = None if poll.cancelled() else poll.result()
        about = None
        if answer is not None and answer.task_token and isinstance(self._stepfunctions, Describes):
            about = self._stepfunctions.about(answer.task_token)
        return answer, about or (None, None)

    def _call(self, work: Coroutine[Any, Any, T], timeout: float | None = CALL_SECONDS) -> T:
        """Raises ServiceError and its kinds."""
        try:
            return self._background.call(work, timeout)
        except GONE as error:
            raise TaskGone(_sentence(error)) from error
        except errors.ActivityDoesNotExist as error:
            raise ActivityGone(_sentence(error)) from error
        except INVALID as error:
            raise Invalid(_sentence(error)) from error
        except errors.ServiceUnavailable as error:
            raise ServiceError(_sentence(error)) from error
        except errors.StepFunctionsError as error:
            raise Refused(_sentence(error)) from error
        except TimeoutError:
            raise ServiceError("the engine did not answer in time") from None


def _sentence(error: errors.StepFunctionsError) -> str:
    return f"{error.code}: {error.message}"
