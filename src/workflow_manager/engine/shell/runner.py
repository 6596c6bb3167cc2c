"""The shell around ``step``: takes stimuli, loads, steps, writes, and only after the commit lets anything out.

Every method that takes a Batch runs inside the one writer's transaction. What follows from a step within the engine (a
nested execution started, its parent told of its end) is done in the same transaction, so that a crash never finds it half done.
"""

from __future__ import annotations

import asyncio
import random
import uuid
from collections import OrderedDict, deque
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from workflow_manager.asl import compile as compile_definition
from workflow_manager.asl.program import Program
from workflow_manager.database import Batch, Database
from workflow_manager.engine.core.data import Data
from workflow_manager.engine.core.draft import Limits, StepEnv
from workflow_manager.engine.core.frames import Execution, TaskWait
from workflow_manager.engine.core.redriving import CLIENT_TOKEN_SECONDS, REDRIVABLE, not_redrivable
from workflow_manager.engine.core.step import step
from workflow_manager.engine.core.stimuli import (
    Effects,
    MapRunRedrive,
    MapRunStart,
    Outcome,
    Redrive,
    Start,
    Stimulus,
    Stop,
    TaskCall,
    TimerFired,
)
from workflow_manager.engine.shell.logs import Destination, group_of, tell
from workflow_manager.engine.shell.payloads import Payloads
from workflow_manager.engine.shell.rows import LiveExecutions, MachineNames
from workflow_manager.engine.shell.schema import LAST_NUMBER, SHIFT
from workflow_manager.stepfunctions import types as t
from workflow_manager.stepfunctions.changes import StatusChange
from workflow_manager.stepfunctions.errors import ExecutionAlreadyExists, ExecutionNotRedrivable
from workflow_manager.stepfunctions.history import HistoryEvent

if TYPE_CHECKING:
    from workflow_manager.clock import Clock
    from workflow_manager.engine.shell.machine import Machine

PROGRAMS = 500
"""How many compiled definitions are kept."""
TIMERS_PER_BATCH = 500


class ChildOf(NamedTuple):
    """What makes an execution a child of a Map Run: see Execution."""

    map_run: int
    graph: int
    express: bool


class Runner:
    """Steps executions. ``on_call`` carries out what a step asks for, inside the batch; ``on_ended`` is told of each end."""

    def __init__(self, database: Database, names: MachineNames, clock: Clock, limits: Limits, region: str) -> None:
        self.database = database
        self.clock = clock
        self.limits = limits
        self.region = region
        self._query = database.query
        self._query_one = database.query_one
        self.payloads = Payloads(database, lifted=limits.payload_bytes > Limits().payload_bytes)
        self.live = LiveExecutions(database, names, self.payloads)
        self._programs: OrderedDict[int, Program] = OrderedDict()
        self._work: deque[tuple[int, Stimulus]] = deque()
        self._working = False
        self._changed: dict[str, list[asyncio.Future[None]]] = {}
        self.next_execution = 1
        self.payloads.newest = lambda: self.next_execution
        self.next_due: float | None = None
        self.timer_set = asyncio.Event()
        self.outbox_filled = asyncio.Event()
        self.outbox_wanted = False
        self.on_call: Callable[[Batch, Execution, TaskCall], None] = _nobody
        self.on_withdrawn: Callable[[Batch, Execution, int, TaskWait], None] = _nobody
        self.on_ended: Callable[[Batch, Execution, Outcome, float], None] = _nobody
        self.logging_of: Callable[[str], t.LoggingConfiguration | None] = _nobody
        """By state machine's name: what it wants logged, None when nothing."""
        self.log_destination: Destination | None = None
        self.on_map_run: Callable[[Batch, Execution, MapRunStart], None] = _nobody
        self.on_map_run_redriven: Callable[[Batch, MapRunRedrive], None] = _nobody
        self.on_map_run_left: Callable[[Batch, str], None] = _nobody
        self.on_child_ended: Callable[[Batch, Execution, Outcome], None] = _nobody

    def open(self) -> None:
        """Read what there is to know at start; its cost does not grow with the executions that wait."""
        ((last,),) = self._query(LAST_NUMBER.format("execution"))
        self.next_execution = last + 1
        ((self.next_due,),) = self._query("SELECT min(due) FROM timer")

    # ------------------------------------------------------------------------------------------ programs

    def program(self, definition: int) -> Program:
        program = self._programs.get(definition)
        if program is None:
            ((text,),) = self._query("SELECT text FROM definition WHERE id = ?", (definition,))
            program = compile_definition(text)
            self.keep_program(definition, program)
        else:
            self._programs.move_to_end(definition)
        return program

    def forget_program(self, definition: int) -> None:
        self._programs.pop(definition, None)

    def keep_program(self, definition: int, program: Program) -> None:
        self._programs[definition] = program
        while len(self._programs) > PROGRAMS:
            self._programs.popitem(last=False)

    # ------------------------------------------------------------------------------------------ stimuli

    def start(
        self,
        batch: Batch,
        machine: Machine,
        name: str,
        data: Data,
        trace: str | None = None,
        parent: tuple[int, int, int] | None = None,
        told: tuple[int, Stimulus] | None = None,
        qualifier: tuple[int | None, str | None] = (None, None),
        child_of: ChildOf | None = None,
    ) -> tuple[str, float]:
        """Start an execution; (ARN, start date). Raises ExecutionAlreadyExists.

        ``parent``: who waits for its end, by execution, frame and event. ``told``: a stimulus for the execution that starts
        this one, to be taken before any that this one makes. ``qualifier``: the version and alias it was started by.
        ``child_of``: the Map Run that it is a child of.

        One with the same name and input that still runs is answered as if it had been started now
        (API reference, StartExecution).
        """
        now = self.now()
        execution = Execution(
            self.next_execution,
            machine.execution_arn(name),
            name,
            machine.arn,
            machine.name,
            machine.role_arn,
            machine.definition,
            now,
            data,
            parent,
            **({} if child_of is None else child_of._asdict()),
        )
        arns = [machine.arns.state_machine(machine.name, part) if part is not None else None for part in qualifier]
        effects = step(self.program(machine.definition), execution, Start(*arns), self._env(now))
        outcome = effects.outcome
        batch.execute(
            "INSERT INTO execution VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (
                execution.id,
                machine.id,
                name,
                outcome.status if outcome is not None else "RUNNING",
                machine.definition,
                machine.role_arn,
                now,
                now if outcome is not None else None,
                self.payloads.kept(batch, data.text),
                self.payloads.kept_or_none(batch, outcome.output) if outcome is not None else None,
                outcome.error if outcome is not None else None,
                outcome.cause if outcome is not None else None,
                trace,
                msgspec.json.encode(parent).decode() if parent is not None else None,
                *qualifier,
            ),
        )
        fresh = self.database.writer.changes() > 0
        if not fresh:
            answer = self._already(machine, name, data, execution.arn, waited_for=parent is not None)
        else:
            answer = execution.arn, now
        if told is not None:
            self._work.append(told)
        if fresh:
            self.next_execution += 1
            batch.after_rollback(self._forget)
            working, self._working = self._working, True
            try:
                self._apply(batch, execution, effects, tracked=machine.tracked, fresh=True)
            finally:
                self._working = working
        self._work_off(batch)
        return answer

    def _already(self, machine: Machine, name: str, data: Data, arn: str, *, waited_for: bool) -> tuple[str, float]:
        ((status, start, before),) = self._query(
            "SELECT status, start, input FROM execution WHERE machine = ? AND name = ?", (machine.id, name)
        )
        before = self.payloads.text(before)
        if (
            not waited_for
            and status == "RUNNING"
            and (before == data.text or msgspec.json.decode(before) == data.value)
        ):
            return arn, start
        raise ExecutionAlreadyExists(f"Execution Already Exists: '{arn}'")

    def take(self, batch: Batch, execution_id: int, stimulus: Stimulus) -> bool:
        """Step a live execution, and all that follows from it; whether there is such an execution."""
        if self.live.get(execution_id) is None:
            return False
        batch.after_rollback(self._forget)
        self._work.append((execution_id, stimulus))
        self._work_off(batch)
        return True

    def _work_off(self, batch: Batch) -> None:
        if self._working:
            return  # the call below us does it
        self._working = True
        try:
            while self._work:
                execution_id, stimulus = self._work.popleft()
                execution = self.live.get(execution_id)
                if execution is None:
                    continue
                effects = step(self.program(execution.definition), execution, stimulus, self._env(self.now()))
                self._apply(batch, execution, effects)
        finally:
            self._working = False

    def _forget(self) -> None:
        """What is in memory may not be what is on disk: the batch, or the operation that took a stimulus, was undone."""
        self._work.clear()
        self.live.forget()

    def step_env(self) -> StepEnv:
        """What expressions need that are evaluated outside a step."""
        return self._env(self.now())

    def _env(self, now: float) -> StepEnv:
        return StepEnv(now, _uuid, random.random, self.region, self.limits)

    def now(self) -> float:
        """Milliseconds are what the API tells."""
        return round(self.clock.now(), 3)

    # ------------------------------------------------------------------------------------------ effects

    def _apply(
        self, batch: Batch, execution: Execution, effects: Effects, *, tracked: bool | None = None, fresh: bool = False
    ) -> None:
        for frame_id, task in effects.withdrawn:  # before their rows go with the execution's
            self.on_withdrawn(batch, execution, frame_id, task)
        self.live.write(batch, execution, effects, fresh=fresh)
        for call in effects.calls:
            self.on_call(batch, execution, call)
        for run_id in effects.left_map_runs:
            self.on_map_run_left(batch, run_id)
        for asked in effects.map_runs:
            self.on_map_run(batch, execution, asked)
        for redriven in effects.redriven_map_runs:
            self.on_map_run_redriven(batch, redriven)
        outcome = effects.outcome
        if outcome is not None and not fresh:
            stop = effects.events[-1].timestamp
            batch.execute(
                "UPDATE execution SET status = ?, stop = ?, output = ?, error = ?, cause = ? WHERE id = ?",
                (
                    outcome.status,
                    stop,
                    self.payloads.kept_or_none(batch, outcome.output),
                    outcome.error,
                    outcome.cause,
                    execution.id,
                ),
            )
        if outcome is not None:
            if execution.map_run is not None:
                self.on_child_ended(batch, execution, outcome)
            else:
                self.on_ended(batch, execution, outcome, effects.events[-1].timestamp)
        elif effects.timers:
            due = min((due for due in effects.timers.values() if due is not None), default=None)
            if due is not None and (self.next_due is None or due < self.next_due):
                self.next_due = due
                batch.after_commit(self.timer_set.set)
                batch.after_rollback(self._look_at_timers)
        if self.outbox_wanted and (fresh or outcome is not None):
            self._tell(batch, execution, outcome, tracked=tracked)
        if effects.events and self.logging_of(execution.machine_name) is not None:
            batch.after_commit(partial(self.log, execution, effects.events))
        if effects.events:  # whoever begins to wait while the batch is being committed is woken too
            batch.after_commit(partial(self._wake, execution.arn))

    def _tell(self, batch: Batch, execution: Execution, outcome: Outcome | None, *, tracked: bool | None) -> None:
        """Put a status change into the outbox, for executions of the state machines that are listened to."""
        if tracked is None:
            tracked = bool(
                self._query(
                    "SELECT 1 FROM tag WHERE arn = ? AND key = 'application' AND value = 'workflow-manager'",
                    (execution.machine_arn,),
                )
            )
        if not tracked:
            return
        change = StatusChange(
            execution_arn=execution.arn,
            state_machine_arn=execution.machine_arn,
            name=execution.name,
            status=outcome.status if outcome is not None else "RUNNING",
            start_date=execution.start_date,
            stop_date=self.now() if outcome is not None else None,
            output=outcome.output if outcome is not None else None,
            error=outcome.error if outcome is not None else None,
            cause=outcome.cause if outcome is not None else None,
        )
        batch.execute("INSERT INTO outbox (body) VALUES (?)", (msgspec.msgpack.encode(change),))
        batch.after_commit(self.outbox_filled.set)

    def log_to(self, config: t.LoggingConfiguration | None) -> None:
        """A state machine was made with this logging configuration."""
        group = group_of(config)
        if self.log_destination is not None and group is not None:
            self.log_destination.created(group)

    def log(self, execution: Execution, events: list[HistoryEvent]) -> None:
        """Tell events as the state machine's logging configuration asks for."""
        config = self.logging_of(execution.machine_name)
        if config is not None:
            tell(config, execution, events, self.log_destination)

    # ------------------------------------------------------------------------------------------ watching

    def _wake(self, arn: str) -> None:
        for future in self._changed.pop(arn, ()):
            if not future.done():
                future.set_result(None)

    async def changed(self, arn: str, timeout_seconds: float) -> None:
        """Wait until an execution's history grows."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiting = self._changed.setdefault(arn, [])
        waiting.append(future)
        try:
            await asyncio.wait_for(future, timeout_seconds)
        except TimeoutError:
            pass
        finally:
            if future in waiting:
                waiting.remove(future)
            if not waiting and self._changed.get(arn) is waiting:
                del self._changed[arn]

    # ------------------------------------------------------------------------------------------ timers

    def fire_timers(self, batch: Batch) -> None:
        """Take the timers that are due, oldest first, up to a bound; learn when the next one is."""
        due = self._query(
            "SELECT execution, frame, kind FROM timer WHERE due <= ? ORDER BY due LIMIT ?",
            (self.now(), TIMERS_PER_BATCH),
        )
        for execution_id, frame, kind in due:
            if not self.take(batch, execution_id, TimerFired(frame, kind)):
                batch.execute(
                    "DELETE FROM timer WHERE execution = ? AND frame = ? AND kind = ?", (execution_id, frame, kind)
                )
        batch.after_rollback(self._look_at_timers)
        ((self.next_due,),) = self._query("SELECT min(due) FROM timer")

    def _look_at_timers(self) -> None:
        """Timers that were taken are there again, and the next one may be none: see which is."""
        self.next_due = 0.0
        self.timer_set.set()

    # ------------------------------------------------------------------------------------------ stopping

    def stop(self, batch: Batch, execution_id: int, error: str | None, cause: str | None) -> bool:
        return self.take(batch, execution_id, Stop(error, cause))

    # ------------------------------------------------------------------------------------------ redriving

    def redrive(self, batch: Batch, execution_id: int, token: str | None) -> float:
        """Run an ended execution again from where it did not succeed; the date of the redrive. Raises ExecutionNotRedrivable.

        The same client token within its time is answered as it was the first time.
        """
        now = self.now()
        ((status, stop, count, date, before),) = batch.execute(
            "SELECT status, stop, coalesce(count, 0), date, token FROM execution LEFT JOIN redrive ON execution = id "
            "WHERE id = ?",
            (execution_id,),
        ).fetchall()
        if token is not None and token == before and now - date < CLIENT_TOKEN_SECONDS:
            return float(date)
        why = self.not_redrivable(execution_id, status, stop, count)
        if why is not None:
            raise ExecutionNotRedrivable(why)
        self._reopen(batch, execution_id)
        batch.execute("INSERT OR REPLACE INTO redrive VALUES (?, ?, ?, ?)", (execution_id, count + 1, now, token))
        batch.after_rollback(self._forget)
        self._work.append((execution_id, Redrive()))
        execution = self.live.get(execution_id)
        if self.outbox_wanted and execution is not None:
            self._tell(batch, execution, None, tracked=None)
        self._work_off(batch)
        return now

    def start_anew(self, batch: Batch, execution_id: int, graph: int) -> None:
        """Run an ended Express child of a Map Run again from its start; it keeps its row, and so its place among the others."""
        self._reopen(batch, execution_id)
        batch.execute("UPDATE execution SET start = ? WHERE id = ?", (self.now(), execution_id))
        first, beyond = execution_id << SHIFT, (execution_id + 1) << SHIFT
        batch.execute("DELETE FROM frame WHERE key >= ? AND key < ?", (first, beyond))
        batch.execute("DELETE FROM aside WHERE key >= ? AND key < ?", (first, beyond))
        batch.after_rollback(self._forget)
        execution = self.live.get(execution_id)
        assert execution is not None
        execution.graph = graph
        self._work.append((execution_id, Start()))
        self._work_off(batch)

    @staticmethod
    def _reopen(batch: Batch, execution_id: int) -> None:
        batch.execute(
            "UPDATE execution SET status = 'RUNNING', stop = NULL, output = NULL, error = NULL, cause = NULL WHERE id = ?",
            (execution_id,),
        )

    def not_redrivable(self, execution_id: int, status: str, stop: float | None, redrives: int) -> str | None:
        """Why an execution cannot be redriven; None when it can."""
        last_event, kept = 0, False
        if status in REDRIVABLE:
            base = execution_id << SHIFT
            ((last_event, kept),) = self._query(
                "SELECT last, EXISTS (SELECT 1 FROM frame WHERE key = ?) FROM history WHERE key > ? AND key < ? "
                "ORDER BY key DESC LIMIT 1",
                (base, base, base + (1 << SHIFT)),
            )
        limit = self.limits.history_events
        return not_redrivable(status, stop, self.now(), last_event, limit, redrives, kept=bool(kept))


def _uuid() -> str:
    return str(uuid.uuid4())


def _nobody(*_: object) -> None:
    """What is called before anyone is interested."""
