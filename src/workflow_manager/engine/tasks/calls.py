"""Carrying out what Tasks ask for: activities, nested executions, and integrations outside the engine."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from itertools import islice
from typing import Any

import msgspec
import structlog

from workflow_manager.asl.program import TaskResource, TaskState
from workflow_manager.asl.resources import parse_resource
from workflow_manager.database import Batch, Database, DatabaseUnavailable
from workflow_manager.engine.core.data import Data, text_of
from workflow_manager.engine.core.distributed import base_arn
from workflow_manager.engine.core.frames import Execution, TaskWait
from workflow_manager.engine.core.stimuli import (
    Outcome,
    Stimulus,
    TaskCall,
    TaskFailed,
    TaskStarted,
    TaskSubmitted,
    TaskSucceeded,
)
from workflow_manager.engine.mocks import Asked, Mocks, Response, Return, StandIn, Throw
from workflow_manager.engine.operations.versions import Versions
from workflow_manager.engine.shell.express import NOT_SUPPORTED, Express
from workflow_manager.engine.shell.machine import Machine
from workflow_manager.engine.shell.runner import Runner
from workflow_manager.engine.tasks.activities import Activities
from workflow_manager.engine.tasks.arguments import Unstartable
from workflow_manager.engine.tasks.integrations import (
    LAMBDA,
    Integration,
    IntegrationCall,
    IntegrationFailed,
    Jobs,
    answered,
)
from workflow_manager.engine.tasks.nested import described_end, nested_answer, nested_arguments, nested_failure
from workflow_manager.stepfunctions import types as t
from workflow_manager.stepfunctions.arns import Arns, parse
from workflow_manager.stepfunctions.errors import (
    StateMachineTypeNotSupported,
    StepFunctionsError,
)

NATIVE = frozenset({"activity", "states:startExecution"})
"""Tasks that run in the engine itself."""
MAX_INVOCATIONS = 64
"""How many integrations are called at once, by default. Jobs that are being waited for do not count."""
JOB_SECONDS = (0.5, 20.0)
"""How long to wait before a job is looked at for the first time, and at most between two looks."""
RESUMED_AT_ONCE = 100
"""How many calls are taken up again in one batch after a restart."""
RETRY_SECONDS = 1.0
"""How long to wait before writing an answer again that the database refused."""

logger = structlog.get_logger(__name__)


class Calls:
    """``integrations``: service (``aws-sdk:sfn``, ...) -> who carries its calls out. ``mocks``: answers of test cases."""

    def __init__(
        self,
        database: Database,
        arns: Arns,
        runner: Runner,
        versions: Versions,
        activities: Activities,
        integrations: Mapping[str, Integration],
        express: Express,
        mocks: Mocks | None = None,
        max_invocations: int = MAX_INVOCATIONS,
    ) -> None:
        self._database = database
        self._arns = arns
        self._runner = runner
        self._versions = versions
        self._activities = activities
        self._integrations = integrations
        self._express = express
        self.start: Callable[[t.StartExecutionInput], Awaitable[t.StartExecutionOutput]]
        """StartExecution, for Express executions; set by whoever has it (operations/executions.py)."""
        self._query = database.query
        self._query_one = database.query_one
        self._mocks = mocks
        self.stand_in: StandIn | None = None
        """Answers Tasks in the place of all others, in tests; set by whoever makes this."""
        self._slots = asyncio.Semaphore(max_invocations)
        self._running: dict[tuple[int, int, int], asyncio.Task[None]] = {}  # by execution, frame and event
        self._cancelling: set[asyncio.Task[None]] = set()
        self._resuming: asyncio.Task[None] | None = None
        runner.on_call = self.call
        runner.on_withdrawn = self.withdrawn
        runner.on_ended = self.ended
        express.invoke = self.invoke

    # ------------------------------------------------------------------------------------------ in the batch

    def call(self, batch: Batch, execution: Execution, call: TaskCall) -> None:
        mocked = self._mocked(execution, call) or self._stood_in_for(execution, call)
        if mocked is not None:
            self._answer(batch, execution, call, mocked)
        elif call.resource.kind == "activity":
            self._activities.schedule(batch, execution, call)
        elif call.resource.service == "states" and call.resource.action == "startExecution":
            self._start_nested(batch, execution, call)
        else:
            arguments = self._runner.payloads.kept(batch, call.arguments)
            batch.execute(
                "INSERT OR REPLACE INTO integration_call VALUES (?, ?, ?, ?, ?, ?, ?, NULL)",
                (
                    execution.id,
                    call.frame,
                    call.scheduled_event,
                    call.resource.arn,
                    arguments,
                    call.token,
                    call.role_arn,
                ),
            )
            batch.after_commit(lambda: self._invoke(execution, call))

    def withdrawn(self, batch: Batch, execution: Execution, frame: int, task: TaskWait) -> None:
        if task.activity is not None:
            self._activities.withdraw(batch, execution.id, frame)
        else:
            rows = batch.execute(
                "DELETE FROM integration_call WHERE execution = ? AND frame = ? "
                "RETURNING event, resource, arguments, token, role_arn, submitted",
                (execution.id, frame),
            ).fetchall()
            for event, resource, arguments, token, role_arn, submitted in rows:
                call = TaskCall(
                    frame, event, _resource(resource), self._runner.payloads.text(arguments), token, role_arn
                )
                self._cancel(batch, execution, call, submitted)
        if task.child is not None:
            child = self._execution_id(task.child)
            if child is not None:
                self._runner.stop(
                    batch, child, None, "The execution that started this one does not wait for it any more"
                )

    def ended(self, batch: Batch, execution: Execution, outcome: Outcome, stop: float) -> None:
        """Tell the execution that waits for this one (.sync)."""
        if execution.parent is None:
            return
        parent, frame, event = execution.parent
        waiting = self._runner.live.get(parent)
        at = waiting.frames.get(frame) if waiting is not None else None
        if waiting is None or at is None or at.task is None:
            return
        state = self._runner.program(waiting.definition).graphs[at.graph].states[at.state]
        assert isinstance(state, TaskState)  # since it has a task
        self._runner.take(batch, parent, self._end_of_child(execution, outcome, stop, state, frame, event))

    def _end_of_child(
        self, execution: Execution, outcome: Outcome, stop: float, state: TaskState, frame: int, event: int
    ) -> Stimulus:
        """What its end is to the Task that waits for it."""
        try:
            described = described_end(execution, outcome, stop, parsed=state.resource.pattern == "sync:2")
            if state.credentials is not None or execution.redrive_count:
                # recorded from AWS: where it asks another account's DescribeExecution there is more than in the event of its own
                described |= self._redrivable(execution, outcome, stop)
            text = text_of(described)
        except RecursionError:  # one end within another: it must not keep the child from ending
            return TaskFailed(frame, event, "States.Runtime", "What the execution made is nested too deeply.")
        if outcome.status == "SUCCEEDED":
            return TaskSucceeded(frame, event, text)
        return TaskFailed(frame, event, "States.TaskFailed", text)

    def _redrivable(self, execution: Execution, outcome: Outcome, stop: float) -> dict[str, Any]:
        """What DescribeExecution says of the ended execution's redrives."""
        count, date = execution.redrive_count or 0, execution.redrive_date
        why = self._runner.not_redrivable(execution.id, outcome.status, stop, count)
        described: dict[str, Any] = {"RedriveCount": count}
        if date is not None:
            described["RedriveDate"] = int(date * 1000)
        described["RedriveStatus"] = "REDRIVABLE" if why is None else "NOT_REDRIVABLE"
        if why is not None:
            described["RedriveStatusReason"] = why
        return described

    # ------------------------------------------------------------------------------------------ nested executions

    def _start_nested(self, batch: Batch, execution: Execution, call: TaskCall) -> None:
        pattern, frame, event = call.resource.pattern, call.frame, call.scheduled_event
        waits = pattern in ("sync", "sync:2")
        try:
            arguments = msgspec.json.decode(call.arguments)
            machine_arn, name, data = nested_arguments(arguments)
            machine, version, alias = self._versions.resolve(machine_arn)
            parent = (execution.id, frame, event) if waits else None
            arn = machine.execution_arn(name)
            stimulus = nested_answer(call, arn, self._runner.now(), child=arn if waits else None)
            if machine.type == "EXPRESS":
                if waits:
                    raise StateMachineTypeNotSupported(NOT_SUPPORTED)
                self._start_nested_express(batch, execution.id, call, machine, name, data)
                return
            # told first that it waits, since the nested execution may end at once
            self._runner.start(
                batch,
                machine,
                name,
                data,
                parent=parent,
                told=(execution.id, stimulus),
                qualifier=(version, alias),
            )
        except (StepFunctionsError, Unstartable) as error:
            self._runner.take(batch, execution.id, nested_failure(call, error))

    def _start_nested_express(
        self, batch: Batch, execution_id: int, call: TaskCall, machine: Machine, name: str, data: Data
    ) -> None:
        """Start an Express execution once it is on disk that it was; it and its start can be lost with the process."""
        run = self._express.prepare(machine, name, data)
        batch.after_commit(lambda: self._express.begin(run))
        self._runner.take(batch, execution_id, nested_answer(call, run.execution.arn, run.execution.start_date))

    async def _start_for_express(self, call: TaskCall) -> Stimulus:
        """StartExecution in an Express execution, which can only ask for it, and not wait for its end."""
        try:
            arn, name, data = nested_arguments(msgspec.json.decode(call.arguments))
            made = await self.start(t.StartExecutionInput(state_machine_arn=arn, name=name, input=data.text))
        except (StepFunctionsError, Unstartable) as error:
            return nested_failure(call, error)
        return nested_answer(call, made.execution_arn, made.start_date)

    def _execution_id(self, arn: str) -> int | None:
        parsed = parse(arn, "execution")
        row = self._query_one(
            "SELECT execution.id FROM execution JOIN state_machine ON state_machine.id = machine "
            "WHERE state_machine.name = ? AND execution.name = ?",
            (parsed.name, parsed.execution_name),
        )
        return int(row[0]) if row is not None else None

    # ------------------------------------------------------------------------------------------ integrations

    def _invoke(self, execution: Execution, call: TaskCall, submitted: str | None = None) -> None:
        key = execution.id, call.frame, call.scheduled_event
        request = _request(execution, call)
        task = asyncio.get_running_loop().create_task(self._carry_out(execution.id, call, request, submitted))
        self._running[key] = task
        task.add_done_callback(lambda _: self._running.pop(key, None))

    async def _carry_out(
        self, execution_id: int, call: TaskCall, request: IntegrationCall, submitted: str | None
    ) -> None:
        """Call an integration, wait for its job if it has one, and bring the answer back."""
        frame, event, pattern = call.frame, call.scheduled_event, request.pattern
        waits = pattern != "request_response"
        integration = self._integrations.get(request.service, _NOBODY)
        if submitted is None:
            async with self._slots:
                came = await self._attempt(integration.invoke(request), call, submitting=waits)
            stimulus: Stimulus | None = came
            if isinstance(came, TaskSucceeded) and waits:
                submitted = came.output
                stimulus = TaskSubmitted(frame, event, submitted)
            jobs = waits and pattern != "waitForTaskToken" and submitted is not None
            await self._bring_back(execution_id, stimulus, submitted if jobs else None)
            if not jobs:
                return
        assert isinstance(integration, Jobs)
        assert submitted is not None
        pause, longest = JOB_SECONDS
        while True:
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, longest)
            async with self._slots:
                came = await self._attempt(integration.result(request, submitted), call)
            if came is not None:
                await self._bring_back(execution_id, came, None)
                return

    async def invoke(self, execution: Execution, call: TaskCall, test_case: str | None) -> Stimulus:
        """Call an integration for an Express execution, which waits for nothing else; what came of it."""
        mocked = self._response(test_case, execution, call) if test_case is not None else None
        mocked = mocked or self._stood_in_for(execution, call)
        if mocked is not None:
            return _mocked_outcome(call, mocked)
        if call.resource.service == "states" and call.resource.action == "startExecution":
            return await self._start_for_express(call)
        request = _request(execution, call)
        async with self._slots:
            stimulus = await self._attempt(self._integrations.get(request.service, _NOBODY).invoke(request), call)
        assert stimulus is not None
        return stimulus

    async def _attempt(
        self, work: Awaitable[Any], call: TaskCall, *, submitting: bool = False
    ) -> TaskSucceeded | TaskFailed | None:
        """What a call of an integration comes to; None when it answers None."""
        try:
            output = await work
            if output is not None:
                answered(output)
        except IntegrationFailed as failure:
            return TaskFailed(call.frame, call.scheduled_event, failure.error, failure.cause, submitting)
        except Exception:
            logger.exception("an integration failed unexpectedly", resource=call.resource.arn)
            return TaskFailed(
                call.frame, call.scheduled_event, "States.TaskFailed", "The integration failed", submitting
            )
        return TaskSucceeded(call.frame, call.scheduled_event, output) if output is not None else None

    async def _bring_back(self, execution_id: int, stimulus: Any, submitted: str | None) -> None:
        """Take the answer; again until it is on disk. With ``submitted``, the call is still needed, to wait for its job."""

        def write(batch: Batch) -> None:
            this = (execution_id, stimulus.frame, stimulus.scheduled_event)  # it may have been retried since
            if submitted is None:
                batch.execute("DELETE FROM integration_call WHERE execution = ? AND frame = ? AND event = ?", this)
            else:
                batch.execute(
                    "UPDATE integration_call SET submitted = ? WHERE execution = ? AND frame = ? AND event = ?",
                    (submitted, *this),
                )
            self._runner.take(batch, execution_id, stimulus)

        await self._written(write)

    async def _written(self, operation: Callable[[Batch], None]) -> None:
        """Write, again until it is on disk or the database is closed."""
        while True:
            try:
                await self._database.submit(operation)
            except DatabaseUnavailable:
                if self._database.closed:
                    return
                await asyncio.sleep(RETRY_SECONDS)
            else:
                return

    def _cancel(self, batch: Batch, execution: Execution, call: TaskCall, submitted: str | None) -> None:
        """After the commit: stop a call that nobody waits for any more, and the job that it began."""
        request = _request(execution, call)

        def stop() -> None:
            running = self._running.get((execution.id, call.frame, call.scheduled_event))
            if running is not None:
                running.cancel()
            integration = self._integrations.get(request.service)
            if submitted is not None and isinstance(integration, Jobs):
                task = asyncio.get_running_loop().create_task(_give_up(integration, request, submitted))
                self._cancelling.add(task)
                task.add_done_callback(self._cancelling.discard)

        batch.after_commit(stop)

    def open(self) -> None:
        """Call again what was being called when the process ended; go on waiting for the jobs that were begun.

        Bit by bit, while others are served already: as many jobs may be waited for as there are executions.
        """
        left = deque(self._query("SELECT execution, frame, event FROM integration_call"))
        if left:
            self._resuming = asyncio.get_running_loop().create_task(self._resume(left))

    async def _resume(self, left: deque[tuple[int, int, int]]) -> None:
        while left:
            await self._written(partial(self._resume_some, [*islice(left, RESUMED_AT_ONCE)]))
            for _ in range(min(RESUMED_AT_ONCE, len(left))):
                left.popleft()

    def _resume_some(self, keys: list[tuple[int, int, int]], batch: Batch) -> None:
        for execution_id, frame, event in keys:
            row = batch.execute(
                "SELECT resource, arguments, token, role_arn, submitted FROM integration_call "
                "WHERE execution = ? AND frame = ? AND event = ?",
                (execution_id, frame, event),
            ).fetchone()
            execution = self._runner.live.get(execution_id)
            if row is None or execution is None or frame not in execution.frames:
                continue  # nobody waits for it any more
            resource, arguments, token, role_arn, submitted = row
            call = TaskCall(frame, event, _resource(resource), self._runner.payloads.text(arguments), token, role_arn)
            if _request(execution, call).service in self._integrations:
                batch.after_commit(partial(self._invoke, execution, call, submitted))
            else:
                logger.warning(
                    "a task waits for an integration that is not configured any more",
                    resource=resource,
                    execution=execution.arn,
                )

    async def close(self) -> None:
        tasks = [*self._running.values(), *self._cancelling]
        if self._resuming is not None:
            tasks.append(self._resuming)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # ------------------------------------------------------------------------------------------ mocks

    def _stood_in_for(self, execution: Execution, call: TaskCall) -> Response | None:
        if self.stand_in is None:
            return None
        frame = execution.frames[call.frame]
        return self.stand_in.answer(
            Asked(
                execution=execution.name,
                state=frame.state,
                attempt=frame.retry_count,
                resource=call.resource.arn,
                arguments=call.arguments,
            )
        )

    def _mocked(self, execution: Execution, call: TaskCall) -> Response | None:
        """What the execution's test case answers this attempt at the state, if it names the state.

        The children of a Map Run have that of the execution whose Map it is.
        """
        if self._mocks is None:
            return None
        execution_id, map_run = execution.id, execution.map_run
        while map_run is not None:
            execution_id, machine = self._query(
                "SELECT map_run.execution, execution.machine FROM map_run JOIN execution ON execution.id = map_run.execution "
                "WHERE map_run.id = ?",
                (map_run,),
            )[0]
            map_run = -machine if machine < 0 else None
        row = self._query_one("SELECT test_case FROM mocked WHERE execution = ?", (execution_id,))
        return self._response(row[0], execution, call) if row is not None else None

    def _response(self, test_case: str, execution: Execution, call: TaskCall) -> Response | None:
        if self._mocks is None:
            return None
        case = self._mocks.test_case(parse(base_arn(execution.machine_arn), "stateMachine").name, test_case)
        frame = execution.frames[call.frame]
        mocked = case.get(frame.state) if case is not None else None
        return None if mocked is None else mocked.answer(frame.retry_count)

    def _answer(self, batch: Batch, execution: Execution, call: TaskCall, response: Response) -> None:
        """Have a task answered by its mock, as if it had been carried out at once."""
        frame, event = call.frame, call.scheduled_event
        if call.resource.kind == "activity":
            self._runner.take(batch, execution.id, TaskStarted(frame, event))
        elif call.resource.pattern != "request_response" and isinstance(response, Return):
            self._runner.take(batch, execution.id, TaskSubmitted(frame, event, response.output))
        self._runner.take(batch, execution.id, _mocked_outcome(call, response))


def _mocked_outcome(call: TaskCall, response: Response) -> TaskSucceeded | TaskFailed:
    match response:
        case Return(output):
            return TaskSucceeded(call.frame, call.scheduled_event, output)
        case Throw(error, cause):
            return TaskFailed(call.frame, call.scheduled_event, error, cause)


class _Nobody:
    """Who carries out the Tasks of services that there are not: where anything may be mocked, and one is not."""

    actions = ()

    async def invoke(self, call: IntegrationCall, /) -> str:
        raise IntegrationFailed("States.TaskFailed", f"Tasks of {call.resource} cannot be carried out here; mock them")


_NOBODY = _Nobody()


def _resource(arn: str) -> TaskResource:
    parsed = parse_resource(arn)
    assert parsed is not None  # a Program had it
    return parsed


def _request(execution: Execution, call: TaskCall) -> IntegrationCall:
    resource = call.resource
    return IntegrationCall(
        execution_arn=execution.arn,
        state_machine_arn=execution.machine_arn,
        resource=resource.arn,
        service=resource.service or LAMBDA,
        action=resource.action,
        pattern=resource.pattern,
        arguments=call.arguments,
        task_token=call.token,
        role_arn=call.role_arn,
    )


async def _give_up(integration: Jobs, request: IntegrationCall, submitted: str) -> None:
    try:
        await integration.cancel(request, submitted)
    except Exception as error:  # noqa: BLE001 - the execution has gone on; only a person can do more
        logger.warning("a job could not be stopped", resource=request.resource, reason=str(error))
