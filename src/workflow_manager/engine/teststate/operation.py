"""The operation TestState: reads a request, tries the state, has a Task's call made, and answers."""

from __future__ import annotations

import asyncio
import random
import uuid
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from workflow_manager.asl.jsontext import from_text
from workflow_manager.asl.program import Env, Failure, Json, TaskResource, TaskState
from workflow_manager.engine.core.data import text_of
from workflow_manager.engine.core.draft import Limits
from workflow_manager.engine.tasks.integrations import HttpExchange, IntegrationFailed
from workflow_manager.engine.teststate import evaluation
from workflow_manager.engine.teststate.context import given_context, made_up_context
from workflow_manager.engine.teststate.evaluation import Attempt, StateFailed
from workflow_manager.engine.teststate.exchange import exchanged
from workflow_manager.engine.teststate.mock_schema import check_result
from workflow_manager.engine.teststate.request import Trial, read_request
from workflow_manager.stepfunctions import types as t
from workflow_manager.stepfunctions.arns import Arns

Invoke: TypeAlias = Callable[[TaskResource, str, str | None, Callable[[HttpExchange], None]], Awaitable[str]]
"""Carries a Task's call out once: (resource, arguments as JSON text, role of the Credentials, who is shown HTTP requests) ->
result as JSON text. Raises IntegrationFailed."""


class StateTester:
    """``invoke`` carries out what a Task without a mock calls; ``now`` answers seconds since the epoch."""

    def __init__(self, arns: Arns, limits: Limits, now: Callable[[], float], invoke: Invoke) -> None:
        self._arns = arns
        self._limits = limits
        self._now = now
        self._invoke = invoke

    async def test(self, request: t.TestStateInput) -> t.TestStateOutput:
        """Raises InvalidArn, InvalidDefinition, InvalidExecutionInput, ValidationException."""
        trial = read_request(request, self._limits.payload_bytes)
        await _check_mock(trial)
        attempt = Attempt(trial, self._env(trial, request.context), self._limits.payload_bytes)
        try:
            answer = await self._tried(attempt)
        except RecursionError:  # the data is: definitions are held to a depth when they are compiled
            answer = evaluation.failed(attempt, "States.Runtime", "The data of the state is nested too deeply.")
        if request.inspection_level in ("DEBUG", "TRACE"):
            answer.inspection_data = attempt.inspection()
        if request.inspection_level == "TRACE" and attempt.exchanges:
            shown = exchanged(attempt.exchanges[-1], reveal=bool(request.reveal_secrets))
            attempt.seen.request, attempt.seen.response = shown
        return answer

    async def _tried(self, attempt: Attempt) -> t.TestStateOutput:
        trial = attempt.trial
        try:
            work = evaluation.before_work(attempt)
            if isinstance(trial.state, TaskState) and trial.mock is None:
                async with asyncio.timeout(attempt.timeout_seconds):
                    role_arn, show = attempt.role_arn, attempt.exchanges.append
                    work = from_text(await self._invoke(trial.state.resource, text_of(work), role_arn, show))
        except IntegrationFailed as failure:
            return evaluation.failed(attempt, failure.error, failure.cause)
        except TimeoutError:
            return evaluation.failed(attempt, "States.Timeout", None)
        except (Failure, StateFailed) as failure:
            return evaluation.failed(attempt, failure.error, failure.cause)
        return evaluation.finish(attempt, work)

    def _env(self, trial: Trial, context: str | None) -> Env:
        given = given_context(context) if context is not None else None
        now = self._now()

        def make_context() -> dict[str, Json]:
            if given is not None:
                return given
            made = made_up_context(trial.state, trial.input.value, trial.role_arn, trial.retries_made, self._arns, now)
            return made | _task_context(trial)

        return Env(
            make_context,
            trial.variables,
            uuid=lambda: str(uuid.uuid4()),
            random=random.random,
            now=lambda: now,
        )


async def _check_mock(trial: Trial) -> None:
    """Hold a Task's mocked result against its API. In a thread: models take up to 0.2 s to read. Raises ValidationException."""
    state, mock = trial.state, trial.mock
    if isinstance(state, TaskState) and mock is not None and mock.result is not None and mock.mode != "NONE":
        await asyncio.to_thread(check_result, state.resource, mock.result.value, mock.mode)


def _task_context(trial: Trial) -> dict[str, Any]:
    state = trial.state
    if isinstance(state, TaskState) and state.resource.pattern == "waitForTaskToken":
        return {"Task": {"Token": uuid.uuid4().hex}}
    return {}
