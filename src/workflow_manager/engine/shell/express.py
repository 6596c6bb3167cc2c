"""Express workflows: executions that live in memory for five minutes at most, and leave nothing but their log.

The same ``step`` moves them as moves Standard ones; what differs is the shell: effects are applied to memory, timers are this
module's, and integrations are called at once. Nothing is written, so an execution ends with the process, and one that was
asked for asynchronously may be lost or, by whoever asks again, run twice.

Source: SFN developer guide, "Choosing workflow type"; API reference, StartSyncExecution.
"""

from __future__ import annotations

import asyncio
import dataclasses
import math
import random
import uuid
from collections import deque
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

import structlog

from workflow_manager.asl.program import Program
from workflow_manager.engine.core.data import Data
from workflow_manager.engine.core.draft import StepEnv
from workflow_manager.engine.core.frames import ROOT, Execution
from workflow_manager.engine.core.step import step
from workflow_manager.engine.core.stimuli import Effects, Outcome, Start, Stimulus, TaskCall, TimerFired
from workflow_manager.stepfunctions import types as t
from workflow_manager.stepfunctions.errors import (
    ExecutionLimitExceeded,
    ServiceUnavailable,
    StateMachineTypeNotSupported,
)

if TYPE_CHECKING:
    from workflow_manager.engine.shell.machine import Machine
    from workflow_manager.engine.shell.runner import Runner

MAX_SECONDS = 300.0
"""How long an Express execution may take."""
MAX_LIVE = 10_000
"""How many run at once; they are what takes memory."""
UNBOUNDED_EVENTS = 1 << 40
"""Express executions have no limit on their history, which nobody keeps."""
BILLED_MEMORY_MB = 64
BILLED_STEP_MILLISECONDS = 100
NOT_SUPPORTED = "This operation is not supported by this type of state machine"

Invoke = Callable[[Execution, TaskCall, str | None], Coroutine[Any, Any, Stimulus]]
"""(execution, call, name of the execution's test case) -> what came of it."""

logger = structlog.get_logger(__name__)


class Run:
    """An Express execution under way, or ended."""

    __slots__ = (
        "ended",
        "execution",
        "inbox",
        "invocations",
        "machine",
        "outcome",
        "program",
        "stop",
        "test_case",
        "timers",
        "woken",
    )

    def __init__(self, execution: Execution, machine: Machine, program: Program, test_case: str | None = None) -> None:
        self.execution = execution
        self.machine = machine
        self.program = program
        self.test_case = test_case
        self.inbox: deque[Stimulus] = deque([Start()])
        self.timers: dict[tuple[int, str], float] = {}
        self.invocations: dict[int, asyncio.Task[None]] = {}  # by frame
        self.woken = asyncio.Event()
        self.outcome: Outcome | None = None
        self.stop = 0.0
        self.ended: asyncio.Task[None] | None = None


class Express:
    """``invoke`` carries out tasks; set by whoever can (tasks/calls.py)."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self._limits = dataclasses.replace(runner.limits, history_events=UNBOUNDED_EVENTS)
        self._live: set[Run] = set()
        self.invoke: Invoke

    # ------------------------------------------------------------------------------------------ starting

    def prepare(self, machine: Machine, name: str, data: Data, test_case: str | None = None) -> Run:
        """An execution that ``begin`` starts; ``test_case``: what mocks its Tasks (mocks.py). Raises ExecutionLimitExceeded."""
        if len(self._live) >= MAX_LIVE:
            raise ExecutionLimitExceeded(f"The maximum number of running executions has been reached: {MAX_LIVE}")
        execution = Execution(
            0,  # no row: no task token leads to it
            machine.arns.express(machine.name, name, str(uuid.uuid4())),
            name,
            machine.arn,
            machine.name,
            machine.role_arn,
            machine.definition,
            self._runner.now(),
            data,
        )
        execution.redrive_count = None
        return Run(execution, machine, self._runner.program(machine.definition), test_case)

    def begin(self, run: Run) -> asyncio.Task[None]:
        self._live.add(run)
        run.ended = asyncio.get_running_loop().create_task(self._live_out(run))
        return run.ended

    async def start_sync(
        self,
        machine: Machine,
        name: str,
        data: Data,
        request: t.StartSyncExecutionInput,
        test_case: str | None = None,
    ) -> t.StartSyncExecutionOutput:
        """Run an execution and answer with its end. Raises StateMachineTypeNotSupported, ExecutionLimitExceeded."""
        if machine.type != "EXPRESS":
            raise StateMachineTypeNotSupported(NOT_SUPPORTED)
        run = self.prepare(machine, name, data, test_case)
        ended = self.begin(run)
        try:
            await asyncio.shield(ended)  # it runs to its end though its caller may leave
        except asyncio.CancelledError:
            if ended.cancelled():
                raise ServiceUnavailable("the server is stopping") from None
            raise
        return _answer(run, request)

    async def close(self) -> None:
        """End with the process."""
        tasks = [run.ended for run in self._live if run.ended is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # ------------------------------------------------------------------------------------------ running

    async def _live_out(self, run: Run) -> None:
        """Take stimuli and timers until the execution ends."""
        run.timers[ROOT, "execution"] = run.execution.start_date + MAX_SECONDS
        try:
            while run.outcome is None:
                stimulus = await self._next(run)
                if stimulus is not None:
                    self._take(run, stimulus)
        except Exception:
            logger.exception("an Express execution failed unexpectedly", execution=run.execution.arn)
            run.outcome = Outcome("FAILED", error="States.Runtime", cause="An internal error occurred.")
            run.stop = self._runner.now()
        finally:
            self._live.discard(run)
            for task in run.invocations.values():
                task.cancel()

    async def _next(self, run: Run) -> Stimulus | None:
        """What comes next; None when something woke the execution. It always waits for something: its end by time."""
        if run.inbox:
            return run.inbox.popleft()
        (frame, kind), due = min(run.timers.items(), key=lambda item: item[1])
        if due > self._runner.clock.now():
            run.woken.clear()
            await self._runner.clock.wait(due, run.woken)
            return None
        del run.timers[frame, kind]
        await asyncio.sleep(0)  # a loop without end must not keep others from going on
        return TimerFired(frame, kind)  # type: ignore[arg-type]

    def _take(self, run: Run, stimulus: Stimulus) -> None:
        now = self._runner.now()
        env = StepEnv(now, lambda: str(uuid.uuid4()), random.random, self._runner.region, self._limits)
        effects = step(run.program, run.execution, stimulus, env)
        self._runner.log(run.execution, effects.events)
        for frame_id, _ in effects.withdrawn:
            invocation = run.invocations.pop(frame_id, None)
            if invocation is not None:
                invocation.cancel()
        if effects.outcome is not None:
            run.outcome, run.stop = effects.outcome, now
            return
        self._apply(run, effects)

    def _apply(self, run: Run, effects: Effects) -> None:
        execution = run.execution
        execution.last_event, execution.next_frame = effects.last_event, effects.next_frame
        for frame_id, frame in effects.frames.items():
            if frame is None:
                del execution.frames[frame_id]
            else:
                execution.frames[frame_id] = frame
        for key, due in effects.timers.items():
            if due is None:
                run.timers.pop(key, None)
            elif key == (ROOT, "execution"):
                run.timers[key] = min(due, run.timers[key])
            else:
                run.timers[key] = due
        for call in effects.calls:
            self._carry_out(run, call)

    def _carry_out(self, run: Run, call: TaskCall) -> None:
        async def invoke() -> None:
            stimulus = await self.invoke(run.execution, call, run.test_case)
            run.inbox.append(stimulus)
            run.woken.set()

        task = run.invocations[call.frame] = asyncio.get_running_loop().create_task(invoke())
        task.add_done_callback(lambda done: _forget(run.invocations, call.frame, done))


def _forget(invocations: dict[int, asyncio.Task[None]], frame: int, task: asyncio.Task[None]) -> None:
    if invocations.get(frame) is task:
        del invocations[frame]


def billed(seconds: float) -> int:
    """The duration that AWS bills, in milliseconds."""
    steps = math.ceil(round(seconds * 1_000, 3) / BILLED_STEP_MILLISECONDS)
    return max(1, steps) * BILLED_STEP_MILLISECONDS


def _answer(run: Run, request: t.StartSyncExecutionInput) -> t.StartSyncExecutionOutput:
    execution, outcome = run.execution, run.outcome
    assert outcome is not None
    included = request.included_data != "METADATA_ONLY"
    details = t.CloudWatchEventsExecutionDataDetails(included=True) if included else None
    timed_out = outcome.status == "TIMED_OUT"
    return t.StartSyncExecutionOutput(
        execution_arn=execution.arn,
        state_machine_arn=execution.machine_arn,
        name=execution.name,
        start_date=execution.start_date,
        stop_date=run.stop,
        status="SUCCEEDED" if outcome.status == "SUCCEEDED" else "TIMED_OUT" if timed_out else "FAILED",
        error="States.Timeout" if timed_out else outcome.error,
        cause=outcome.cause,
        input=execution.input.text if included else None,
        input_details=details,
        output=outcome.output if included else None,
        output_details=details,
        trace_header=request.trace_header,
        billing_details=t.BillingDetails(
            billed_memory_used_in_mb=BILLED_MEMORY_MB,
            billed_duration_in_milliseconds=billed(run.stop - execution.start_date),
        ),
    )
