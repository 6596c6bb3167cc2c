"""Map Runs carried out: children are started in windows, their ends counted, whoever waits told what came of it all.

Starting and stopping children happens in the writer, a bounded number per operation, so that neither a hundred thousand items
nor their children are ever in memory, and others get their turn; items are read and results written outside of it (work.py).
After a crash every run goes on from its row: the reader skips what it has read, and a child cannot be started twice (its name
is its index).
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import msgspec
import structlog

from workflow_manager.database import Batch, Database, DatabaseUnavailable
from workflow_manager.engine.core.data import Data
from workflow_manager.engine.core.frames import Execution
from workflow_manager.engine.core.redriving import REDRIVABLE
from workflow_manager.engine.core.stimuli import MapRunEnded, MapRunRedrive, MapRunStart, Outcome
from workflow_manager.engine.maps.map_run import (
    ENDINGS,
    TOLERANCE_CAUSE,
    TOLERANCE_EXCEEDED,
    MapRun,
    Phase,
    Spec,
    child_name,
)
from workflow_manager.engine.maps.object_stores import ObjectStores
from workflow_manager.engine.maps.results import Results
from workflow_manager.engine.maps.rows import MapRunRows
from workflow_manager.engine.maps.work import Work
from workflow_manager.engine.shell.runner import ChildOf, Runner
from workflow_manager.engine.shell.schema import ITEM_SHIFT, LAST_NUMBER
from workflow_manager.stepfunctions.arns import Arns

MOST_AT_ONCE = 10_000
"""Children that run at once where MaxConcurrency sets no lower bound (SFN developer guide, "Quotas")."""
STARTED_PER_OPERATION = 100
TAKEN_UP_AT_ONCE = 50
"""How many runs are taken up in one batch after a restart."""
COLLECTED_AT_ONCE = 100
"""How many children's results may be collected in the writer; not more than are in a page (rows.py)."""
RETRY_SECONDS = 1.0

LEFT = "The Map Run that started this execution has ended"

logger = structlog.get_logger(__name__)


class MapRuns:
    """``stores``: where items and results are."""

    def __init__(self, database: Database, arns: Arns, runner: Runner, stores: ObjectStores) -> None:
        self._database = database
        self._runner = runner
        self._query = database.query
        self.rows = MapRunRows(database, arns, runner)
        self._work = Work(
            database, runner, self.rows, stores, again=self._again, end=self._end, end_with=self._end_with
        )
        self._busy: int | None = None
        """The run whose children are being started or stopped: it is saved once, when that is done."""
        self._woken: set[int] = set()
        self._taking_up: asyncio.Task[None] | None = None
        self._closing = False
        runner.on_map_run = self.begin
        runner.on_map_run_redriven = self.redriven
        runner.on_map_run_left = self.left
        runner.on_child_ended = self.child_ended

    def open(self) -> None:
        """Take up the runs that were not over when the process ended: bit by bit, while others are served already."""
        left = [run_id for (run_id,) in self._query("SELECT id FROM map_run WHERE phase < 3")]
        if left:
            self._taking_up = asyncio.get_running_loop().create_task(self._take_up(left))

    async def _take_up(self, left: list[int]) -> None:
        for first in range(0, len(left), TAKEN_UP_AT_ONCE):
            await self._work.written(partial(self._take_up_some, left[first : first + TAKEN_UP_AT_ONCE]))

    def _take_up_some(self, left: list[int], batch: Batch) -> None:
        def go_on() -> None:
            for run_id in left:
                if run_id not in self._work:  # else it has been taken up meanwhile
                    self._go_on(run_id)

        batch.after_commit(go_on)

    async def close(self) -> None:
        self._closing = True
        tasks = self._work.tasks
        if self._taking_up is not None:
            tasks.append(self._taking_up)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # ------------------------------------------------------------------------------------------ what the step asks for

    def begin(self, batch: Batch, execution: Execution, asked: MapRunStart) -> None:
        name = execution.machine_name.partition("/")[0]
        ((machine,),) = self._query("SELECT id FROM state_machine WHERE name = ?", (name,))
        ((last,),) = self._query(LAST_NUMBER.format("map_run"))
        run = MapRun(
            id=last + 1,
            execution=execution.id,
            frame=asked.frame,
            event=asked.event,
            machine=machine,
            machine_name=name,
            execution_arn=execution.arn,
            label=asked.label,
            run_id=asked.run_id,
            definition=execution.definition,
            role_arn=execution.role_arn,
            graph=asked.graph,
            state=asked.state,
            entered_event=asked.entered_event,
            express=asked.express,
            start=self._runner.now(),
            max_concurrency=asked.max_concurrency,
            tolerated_count=asked.tolerated_count,
            tolerated_percentage=asked.tolerated_percentage,
            spec=Spec(asked.reader, asked.batcher, asked.writer),
        )
        batch.after_rollback(partial(self._runner.live.forget_map_run, run.id))
        self.rows.add(batch, run)
        batch.after_commit(partial(self._go_on, run.id))

    def redriven(self, batch: Batch, asked: MapRunRedrive) -> None:
        """The run goes on: children that did not succeed are run again, items that are left are read and started."""
        run = self.rows.by_run_id(asked.run_id)
        assert run is not None
        self.rows.change(batch, run)
        run.event, run.redrives, run.redrive_date = asked.event, asked.count, self._runner.now()
        run.status, run.stop, run.error, run.cause = "RUNNING", None, None, None
        if run.phase is Phase.STOPPING and run.executions.running:
            run.again = True
        else:
            self._settle(run)
            run.begin_again()
        self.rows.save(batch, run)
        batch.after_commit(partial(self._go_on, run.id))

    def left(self, batch: Batch, run_id: str) -> None:
        """Nobody waits for the run any more."""
        run = self.rows.by_run_id(run_id)
        if run is None or run.phase is Phase.ENDED:
            return
        self.rows.change(batch, run)
        run.fail(None, None)
        run.status, run.stop, run.again = "ABORTED", self._runner.now(), False
        self.rows.save(batch, run)
        batch.after_commit(partial(self.wake, run.id))

    def child_ended(self, batch: Batch, execution: Execution, outcome: Outcome) -> None:
        assert execution.map_run is not None
        assert execution.parent is not None
        run = self.rows.get(execution.map_run)
        assert run is not None
        self.rows.change(batch, run)
        run.moved("running", ENDINGS[outcome.status], execution.parent[2])
        if run.intolerable():
            run.fail(TOLERANCE_EXCEEDED, TOLERANCE_CAUSE)
        if self._busy != run.id:
            self.rows.save(batch, run)
            batch.after_commit(partial(self.wake, run.id))

    # ------------------------------------------------------------------------------------------ going on

    def wake(self, run_id: int) -> None:
        """Look at a run in the next batch: start or stop children, end it."""
        if run_id in self._woken or self._closing or self._database.closed:
            return
        self._woken.add(run_id)

        def written(future: asyncio.Future[None]) -> None:
            if future.cancelled():
                return
            error = future.exception()
            if error is None:
                return
            self._woken.discard(run_id)
            if not isinstance(error, DatabaseUnavailable):
                logger.error("a Map Run could not go on; trying again", map_run=run_id, exc_info=error)
            if not self._closing and not self._database.closed:
                asyncio.get_running_loop().call_later(RETRY_SECONDS, self.wake, run_id)

        self._database.submit(partial(self._advance, run_id)).add_done_callback(written)

    def _go_on(self, run_id: int) -> None:
        """Begin, or after a restart take up, what a run has to do in its phase."""
        run = self.rows.get(run_id)
        if run is None or self._closing:
            return
        if run.phase is Phase.WRITING:
            if run.writes:
                self._work.write(run)
            else:
                self._work.collect(run)
            return
        if run.phase is Phase.RUNNING and not run.all_read:
            self._work.read(run)
        self.wake(run_id)

    def _advance(self, run_id: int, batch: Batch) -> None:
        self._woken.discard(run_id)
        run = self.rows.get(run_id)
        if run is None:
            return
        before = self._busy
        self._busy = run_id
        try:
            self.rows.change(batch, run)
            match run.phase:
                case Phase.RUNNING:
                    self._start_children(batch, run)
                case Phase.STOPPING:
                    self._stop_children(batch, run)
                case Phase.WRITING | Phase.ENDED:
                    return
        finally:
            self._busy = before

    def _again(self, batch: Batch, run: MapRun) -> None:
        batch.after_commit(partial(self.wake, run.id))

    # ------------------------------------------------------------------------------------------ children

    def _start_children(self, batch: Batch, run: MapRun) -> None:
        room = min(run.room(MOST_AT_ONCE), STARTED_PER_OPERATION)
        if run.executions.pending_redrive and room > 0:
            room -= self._redrive_children(batch, run, room)
        first, beyond = run.id << ITEM_SHIFT, (run.id + 1) << ITEM_SHIFT
        rows = (
            self._query(
                "SELECT key, items, input FROM map_item WHERE key >= ? AND key < ? ORDER BY key LIMIT ?",
                (first, beyond, room),
            )
            if room > 0 and run.executions.pending and run.phase is Phase.RUNNING
            else []
        )
        machine = self.rows.machine(run)
        child_of = ChildOf(run.id, run.graph, run.express)
        started = 0
        for key, items, text in rows:
            index = key - first
            run.moved("pending", "running", items)
            self._runner.start(
                batch,
                machine,
                child_name(run.id, run.run_id, index),
                Data(text=text),
                parent=(run.id, index, items),
                child_of=child_of,
            )
            started += 1
            if run.phase is not Phase.RUNNING:
                break
        if started:
            batch.execute("DELETE FROM map_item WHERE key >= ? AND key <= ?", (first, rows[started - 1][0]))
        if run.intolerable():  # all items may have been read since a child ended, or a threshold lowered
            run.fail(TOLERANCE_EXCEEDED, TOLERANCE_CAUSE)
        if run.phase is not Phase.RUNNING or (run.waiting and run.room(MOST_AT_ONCE) > 0):
            self._again(batch, run)
        elif run.all_read and not run.waiting and not run.executions.running:
            self._conclude(batch, run)
            return
        self.rows.save(batch, run)

    def _redrive_children(self, batch: Batch, run: MapRun, room: int) -> int:
        """Have children run again that did not succeed; how many were looked at.

        Standard ones are redriven, where they can be; Express ones, which left nothing to go on from, are started anew.
        """
        rows: list[tuple[Any, ...]] = []
        for status in REDRIVABLE:  # one by one, as the index has them
            rows += self._query(
                "SELECT id, status, stop, parent, coalesce(count, 0) FROM execution LEFT JOIN redrive ON execution = id "
                "WHERE machine = ? AND status = ? AND id > ? ORDER BY id LIMIT ?",
                (-run.id, status, run.redriven_to, room),
            )
        rows.sort()
        looked_at = 0
        for child, status, stop, parent, redrives in rows[:room]:
            looked_at += 1
            run.redriven_to = child
            items = msgspec.json.decode(parent)[2]
            if run.express:
                run.moved("pending_redrive", "running", items)
                self._runner.start_anew(batch, child, run.graph)
            elif self._runner.not_redrivable(child, status, stop, redrives) is None:
                run.moved("pending_redrive", "running", items)
                self._runner.redrive(batch, child, None)
            else:
                run.moved("pending_redrive", ENDINGS[status], items)
                run.executions.failures_not_redrivable += 1
                run.items.failures_not_redrivable += items
            if run.phase is not Phase.RUNNING:
                break
        return looked_at

    def _settle(self, run: MapRun) -> None:
        """Children that were to be redriven and have not been are what they were."""
        if not run.executions.pending_redrive:
            return
        rows = self._query(
            "SELECT status, count(*), sum(json_extract(parent, '$[2]')) FROM execution "
            "WHERE machine = ? AND status IN ('FAILED', 'TIMED_OUT', 'ABORTED') AND id > ? GROUP BY status",
            (-run.id, run.redriven_to),
        )
        for status, children, items in rows:
            run.executions.move("pending_redrive", ENDINGS[status], children)
            run.items.move("pending_redrive", ENDINGS[status], items)

    def _stop_children(self, batch: Batch, run: MapRun) -> None:
        rows = self._query(
            "SELECT id FROM execution WHERE machine = ? AND status = 'RUNNING' LIMIT ?",
            (-run.id, STARTED_PER_OPERATION),
        )
        for (child,) in rows:
            self._runner.stop(batch, child, None, LEFT)
        if run.executions.running:
            self._again(batch, run)
            self.rows.save(batch, run)
        else:
            self._conclude(batch, run)

    # ------------------------------------------------------------------------------------------ the end

    def _conclude(self, batch: Batch, run: MapRun) -> None:
        """Every child has ended: have the results written, or tell them to whoever waits."""
        self._settle(run)
        if run.again:
            run.begin_again()
            self.rows.save(batch, run)
            batch.after_commit(partial(self._go_on, run.id))
            return
        wanted = run.status != "ABORTED" and run.error is None
        if run.writes or (wanted and run.executions.total > COLLECTED_AT_ONCE):
            run.phase = Phase.WRITING
            self.rows.save(batch, run)
            batch.after_commit(partial(self._go_on, run.id))
            return
        output = None
        if wanted:
            results = Results(self._runner.limits.payload_bytes)
            self._work.collect_page(run, results, self.rows.page(run, 0))
            output = results.text
        self._end_with(batch, run, output)

    def _end_with(self, batch: Batch, run: MapRun, output: str | None) -> None:
        """End a run whose results are the state's."""
        if run.status != "ABORTED" and run.error is None:
            for counts in (run.executions, run.items):
                counts.results_written = counts.succeeded
        self._end(batch, run, output)

    def _end(self, batch: Batch, run: MapRun, output: str | None) -> None:
        """``output`` None: it failed, or what came of it is too large to be passed on."""
        told = run.status != "ABORTED"
        if told:
            run.status = "SUCCEEDED" if run.error is None else "FAILED"
            run.stop = self._runner.now()
        run.phase = Phase.ENDED
        self.rows.save(batch, run)
        if told:
            stimulus = MapRunEnded(
                run.frame,
                run.event,
                "SUCCEEDED" if run.error is None else "FAILED",
                output,
                run.error,
                run.cause,
            )
            self._runner.take(batch, run.execution, stimulus)
