"""Live executions as rows: reading one, and writing what a step decided about it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from functools import partial

import msgspec

from workflow_manager.database import Batch, Database
from workflow_manager.engine.core.data import Data
from workflow_manager.engine.core.frames import ROOT, Execution, is_kept_aside, pack, pack_aside, unpack
from workflow_manager.engine.core.stimuli import Effects
from workflow_manager.engine.shell.payloads import Payloads
from workflow_manager.engine.shell.schema import SHIFT
from workflow_manager.stepfunctions.arns import Arns

CACHED = 1_000
"""How many live executions are kept in memory; the others are rows until something happens to them."""

EVENTS_A_ROW = 100
"""A step's events are one row of history, or several: a page of it is read without reading thousands that are not on it."""


class LiveExecutions:
    """The live executions, of which the last used are in memory too.

    A step's Effects are applied to the one in memory when they are written; if the batch is then rolled back, what is in
    memory is forgotten (``forget``) and read again.
    """

    def __init__(self, database: Database, machine_names: MachineNames, payloads: Payloads) -> None:
        self._query = database.query
        self._payloads = payloads
        self._cache: OrderedDict[int, Execution] = OrderedDict()
        self._machine_names = machine_names

    def forget(self) -> None:
        self._cache.clear()

    def forget_map_run(self, run: int) -> None:
        self._machine_names.forget_map_run(run)

    def get(self, execution_id: int) -> Execution | None:
        """A live execution, None when it has ended or never was."""
        execution = self._cache.get(execution_id)
        if execution is not None:
            self._cache.move_to_end(execution_id)
            return execution
        return self._load(execution_id)

    def _load(self, execution_id: int) -> Execution | None:
        rows = self._query(
            "SELECT machine, name, role_arn, definition, start, input, parent, count, date FROM execution "
            "LEFT JOIN redrive ON execution = id WHERE id = ? AND status = 'RUNNING'",
            (execution_id,),
        )
        if not rows:
            return None
        machine, name, role_arn, definition, start, text, parent, redrives, redriven = rows[0]
        machine_name = self._machine_names.name_of(machine)
        execution = Execution(
            execution_id,
            self._machine_names.execution_arn(machine_name, name, express=self._machine_names.is_express(machine)),
            name,
            self._machine_names.machine_arn(machine_name),
            machine_name,
            role_arn,
            definition,
            start,
            Data(text=self._payloads.text(text)),
            msgspec.json.decode(parent, type=tuple[int, int, int]) if parent is not None else None,
            map_run=-machine if machine < 0 else None,
            express=self._machine_names.is_express(machine),
        )
        execution.redrive_count, execution.redrive_date = redrives or 0, redriven
        first, beyond = execution_id << SHIFT, (execution_id + 1) << SHIFT
        asides = dict(self._query("SELECT key, body FROM aside WHERE key >= ? AND key < ?", (first, beyond)))
        for key, body in self._query("SELECT key, body FROM frame WHERE key >= ? AND key < ?", (first, beyond)):
            frame_id = key - first
            execution.frames[frame_id] = unpack(execution, frame_id, body, asides.get(key), self._payloads.text)
        self._keep(execution)
        return execution

    def _keep(self, execution: Execution) -> None:
        self._cache[execution.id] = execution
        while len(self._cache) > CACHED:
            self._cache.popitem(last=False)

    # ------------------------------------------------------------------------------------------ writing

    def write(self, batch: Batch, execution: Execution, effects: Effects, *, fresh: bool) -> None:
        """Write a step's effects on a live execution. ``fresh``: it began in this step, so nothing of it is stored yet."""
        base = execution.id << SHIFT
        events = effects.events
        kept = partial(self._payloads.kept, batch) if self._payloads.lifted else None
        if events and not execution.express:
            for at in range(0, len(events), EVENTS_A_ROW):
                some = events[at : at + EVENTS_A_ROW] if len(events) > EVENTS_A_ROW else events
                row = self._payloads.row(batch, some)
                batch.execute("INSERT INTO history VALUES (?, ?, ?)", (base + some[0].id, some[-1].id, row))
        if effects.outcome is not None:
            self._cache.pop(execution.id, None)
            if not fresh:
                self._delete(batch, execution.id)
            self._write_remains(batch, base, effects, kept)
            return
        execution.last_event = effects.last_event
        execution.next_frame = effects.next_frame
        frames = execution.frames
        for frame_id, frame in effects.frames.items():
            if frame is None:
                del frames[frame_id]
                batch.execute("DELETE FROM frame WHERE key = ?", (base + frame_id,))
            else:
                frames[frame_id] = frame
                body = pack(frame, effects.last_event, effects.next_frame, kept)
                batch.execute("INSERT OR REPLACE INTO frame VALUES (?, ?)", (base + frame_id, body))
        if ROOT not in effects.frames and events:
            body = pack(frames[ROOT], effects.last_event, effects.next_frame, kept)
            batch.execute("INSERT OR REPLACE INTO frame VALUES (?, ?)", (base, body))
        for frame_id, aside in effects.asides.items():
            if aside is not None:
                batch.execute("INSERT OR REPLACE INTO aside VALUES (?, ?)", (base + frame_id, pack_aside(aside, kept)))
            elif not fresh:
                batch.execute("DELETE FROM aside WHERE key = ?", (base + frame_id,))
        for (frame_id, kind), due in effects.timers.items():
            if due is not None:
                batch.execute("INSERT OR REPLACE INTO timer VALUES (?, ?, ?, ?)", (execution.id, frame_id, kind, due))
            elif not fresh:
                batch.execute(
                    "DELETE FROM timer WHERE execution = ? AND frame = ? AND kind = ?", (execution.id, frame_id, kind)
                )
        self._keep(execution)

    @staticmethod
    def _write_remains(batch: Batch, base: int, effects: Effects, kept: Callable[[str], str] | None) -> None:
        """Keep what a redrive begins with."""
        for frame_id, frame in effects.remains.items():
            body = pack(frame, effects.last_event, effects.next_frame, kept)
            batch.execute("INSERT OR REPLACE INTO frame VALUES (?, ?)", (base + frame_id, body))
            if is_kept_aside(frame):
                batch.execute("INSERT OR REPLACE INTO aside VALUES (?, ?)", (base + frame_id, pack_aside(frame, kept)))

    @staticmethod
    def _delete(batch: Batch, execution_id: int) -> None:
        first, beyond = execution_id << SHIFT, (execution_id + 1) << SHIFT
        batch.execute("DELETE FROM frame WHERE key >= ? AND key < ?", (first, beyond))
        batch.execute("DELETE FROM aside WHERE key >= ? AND key < ?", (first, beyond))
        batch.execute("DELETE FROM timer WHERE execution = ?", (execution_id,))
        batch.execute("DELETE FROM activity_task WHERE execution = ?", (execution_id,))
        batch.execute("DELETE FROM integration_call WHERE execution = ?", (execution_id,))


class MachineNames:
    """State machines' names by row id, and the ARNs made from them.

    The children of a Map Run have its number, negated, in place of a state machine's: what they execute is called
    ``{state machine}/{label}``.
    """

    def __init__(self, database: Database, arns: Arns) -> None:
        self._query = database.query
        self._names: dict[int, str] = {}
        self._of_map_runs: OrderedDict[int, tuple[str, bool]] = OrderedDict()
        self._arns = arns

    def name_of(self, machine: int) -> str:
        if machine < 0:
            return self._of_map_run(machine)[0]
        name = self._names.get(machine)
        if name is None:
            ((name,),) = self._query("SELECT name FROM state_machine WHERE id = ?", (machine,))
            self._names[machine] = name
        return name

    def is_express(self, machine: int) -> bool:
        """Whether these are Express executions: those of a Map Run whose ExecutionType says so."""
        return machine < 0 and self._of_map_run(machine)[1]

    def _of_map_run(self, machine: int) -> tuple[str, bool]:
        known = self._of_map_runs.get(machine)
        if known is None:
            ((of, label, express),) = self._query(
                "SELECT machine, label, express FROM map_run WHERE id = ?", (-machine,)
            )
            known = f"{self.name_of(of)}/{label}", bool(express)
            self._of_map_runs[machine] = known
            while len(self._of_map_runs) > CACHED:
                self._of_map_runs.popitem(last=False)
        return known

    def forget_map_run(self, run: int) -> None:
        """What was known of it was undone: its number may come to be another's."""
        self._of_map_runs.pop(-run, None)

    def machine_arn(self, name: str) -> str:
        return self._arns.state_machine(name)

    def execution_arn(self, machine_name: str, name: str, *, express: bool = False) -> str:
        return self._arns.express(machine_name, name, name) if express else self._arns.execution(machine_name, name)
