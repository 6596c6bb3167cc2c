"""What is done for a Map Run outside of the writer: its items read into rows, its results collected or written.

A chunk at a time: what is read is on disk, with how far reading has come, before the next chunk is asked for. One thing at a time
is done for a run.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, TypeVar

import structlog

from workflow_manager.asl.program import Failure
from workflow_manager.database import Batch, Database, DatabaseUnavailable
from workflow_manager.engine.core.data import Data
from workflow_manager.engine.core.outcomes import too_large
from workflow_manager.engine.maps.item_batches import Batches, ChildInput, TooLarge
from workflow_manager.engine.maps.item_sources import Unreadable
from workflow_manager.engine.maps.map_run import MapRun, Phase
from workflow_manager.engine.maps.object_stores import ObjectsFailed, ObjectStores
from workflow_manager.engine.maps.reading import Reading, Source, opened
from workflow_manager.engine.maps.result_files import ResultFiles, result_files
from workflow_manager.engine.maps.results import Child, Results, entry, texts
from workflow_manager.engine.maps.rows import MapRunRows
from workflow_manager.engine.shell.runner import Runner
from workflow_manager.engine.shell.schema import ITEM_SHIFT

SKIPPED_AT_ONCE = 10_000
READ_PER_CHUNK = 200
RETRY_SECONDS = 1.0

ITEM_READER_FAILED = "States.ItemReaderFailed"
RESULT_WRITER_FAILED = "States.ResultWriterFailed"

T = TypeVar("T")

logger = structlog.get_logger(__name__)


class Work:
    """``again``: the run is to be looked at when the batch is on disk. ``end``: it is over; None is no output.

    ``end_with``: it is over, and its results are the state's.
    """

    def __init__(
        self,
        database: Database,
        runner: Runner,
        rows: MapRunRows,
        stores: ObjectStores,
        *,
        again: Callable[[Batch, MapRun], None],
        end: Callable[[Batch, MapRun, str | None], None],
        end_with: Callable[[Batch, MapRun, str | None], None],
    ) -> None:
        self._database = database
        self._runner = runner
        self._rows = rows
        self._stores = stores
        self._again = again
        self._end = end
        self._end_with = end_with
        self._working: dict[int, asyncio.Task[None]] = {}  # what reads for a run, or writes its results

    def read(self, run: MapRun) -> None:
        self._take_on(run.id, self._read_items(run, run.redrives))

    def write(self, run: MapRun) -> None:
        self._take_on(run.id, self._write_results(run, run.redrives))

    def collect(self, run: MapRun) -> None:
        self._take_on(run.id, self._collect(run, run.redrives))

    def __contains__(self, run_id: int) -> bool:
        """Whether anything is being done for a run."""
        return run_id in self._working

    @property
    def tasks(self) -> list[asyncio.Task[None]]:
        return [*self._working.values()]

    def _take_on(self, run_id: int, work: Coroutine[Any, Any, None]) -> None:
        before = self._working.get(run_id)

        async def do() -> None:
            if before is not None:
                await asyncio.wait([before])
            await work

        task = asyncio.get_running_loop().create_task(do())
        self._working[run_id] = task

        def done(_: asyncio.Task[None]) -> None:
            if self._working.get(run_id) is task:
                del self._working[run_id]
            work.close()

        task.add_done_callback(done)

    async def written(self, operation: Callable[[Batch], T]) -> T | None:
        """Write, again until it is on disk; what the operation answers, None when the database was closed."""
        while True:
            try:
                return await self._database.submit(operation)
            except DatabaseUnavailable:
                if self._database.closed:
                    return None
                await asyncio.sleep(RETRY_SECONDS)

    async def _failed(self, run_id: int, attempt: int, error: str, cause: str | None) -> None:
        """What was done for the run failed; ``attempt``: how often it had been redriven when that was begun."""

        def write(batch: Batch) -> None:
            run = self._rows.get(run_id)
            if run is None or run.redrives != attempt:
                return
            self._rows.change(batch, run)
            if run.phase is Phase.WRITING and run.error is None:
                run.error, run.cause = error, cause
            elif run.phase is Phase.RUNNING:
                run.fail(error, cause)
            if run.phase is Phase.WRITING:
                self._end(batch, run, None)
            else:
                self._rows.save(batch, run)
                self._again(batch, run)

        await self.written(write)

    # ------------------------------------------------------------------------------------------ reading

    async def _read_items(self, run: MapRun, attempt: int) -> None:
        source, failed = Source(), partial(self._failed, run.id, attempt)
        try:
            await self._read_all(run, source)
        except (Unreadable, ObjectsFailed) as error:
            await failed(ITEM_READER_FAILED, str(error))
        except TooLarge as error:
            await failed("States.DataLimitExceeded", str(error))
        except Failure as failure:
            where = f"An error occurred while executing the state '{run.state}' "
            where += f"(entered at the event id #{run.entered_event}). "
            await failed(failure.error, (where if failure.runtime else "") + (failure.cause or ""))
        except asyncio.CancelledError:
            raise
        except Exception:
            logger.exception("the items of a Map Run could not be read", map_run=run.id)
            await failed(ITEM_READER_FAILED, "The items could not be read.")
        finally:
            source.close()

    async def _read_all(self, run: MapRun, source: Source) -> None:
        """Read on from where a reader before this one has come to."""
        read, ahead = run.read, 0  # items that are in rows; items that were read since
        at = await self.written(partial(self._reading, run.id, read))
        if at is None:
            return
        take = opened(self._stores, run.spec, at, source)
        for skipped in range(0, read, SKIPPED_AT_ONCE):
            await take(min(SKIPPED_AT_ONCE, read - skipped))
        batches = Batches(run.spec.batcher)
        limit = self._runner.limits.payload_bytes
        while at is not None:
            chunk = await take(READ_PER_CHUNK)
            inputs: list[ChildInput] = []
            for value in at.selected(chunk, read + ahead):
                inputs += batches.add(value)
            ahead += len(chunk)
            ended = len(chunk) < READ_PER_CHUNK
            if ended:
                inputs += batches.rest()
            if any(Data(text=each.text).exceeds(limit) for each in inputs):
                raise too_large(run.state)
            taken = ahead - batches.pending
            at = await self.written(partial(self._take_in, run.id, read, taken, inputs, ended))
            read, ahead = read + taken, ahead - taken
            if ended:
                return

    def _reading(self, run_id: int, read: int, batch: Batch) -> Reading | None:
        """Where items are selected, as it stands; None when the run wants no more, or another reader has brought some."""
        del batch
        run = self._rows.get(run_id)
        if run is None or run.phase is not Phase.RUNNING or run.read != read:
            return None
        execution = self._runner.live.get(run.execution)
        frame = execution.frames.get(run.frame) if execution is not None else None
        if execution is None or frame is None or frame.map_run is None:
            return None
        return Reading(self._runner, execution, frame)

    def _take_in(
        self,
        run_id: int,
        read: int,
        taken: int,
        inputs: list[ChildInput],
        ended: bool,
        batch: Batch,
    ) -> Reading | None:
        """Write a chunk of inputs; None when the run wants no more."""
        run, at = self._rows.get(run_id), self._reading(run_id, read, batch)
        if run is None or at is None or not (inputs or ended):
            return at
        self._rows.change(batch, run)
        first = (run.id << ITEM_SHIFT) + run.children
        batch.executemany(
            "INSERT INTO map_item VALUES (?, ?, ?)",
            [(first + at, each.items, each.text) for at, each in enumerate(inputs)],
        )
        run.children += len(inputs)
        run.executions.pending += len(inputs)
        run.items.pending += sum(each.items for each in inputs)
        run.read += taken
        run.all_read = ended
        self._rows.save(batch, run)
        self._again(batch, run)
        return at

    # ------------------------------------------------------------------------------------------ collecting results

    def collect_page(self, run: MapRun, results: Results, page: list[tuple[int, Child]]) -> None:
        """Put what children made, in the order of their items, into the state's result."""
        writer = run.spec.writer
        transformation = writer["transformation"] if writer is not None else "COMPACT"
        for _, child in page:
            for text in texts(child, self._rows.described(run, child), transformation):
                results.add(text)

    async def _collect(self, run: MapRun, attempt: int) -> None:
        """Collect the results of more children than the writer should stand still for."""
        results = Results(self._runner.limits.payload_bytes)
        after = 0
        while not results.too_large and (page := self._rows.page(run, after)):
            self.collect_page(run, results, page)
            after = page[-1][0]
            await asyncio.sleep(0)

        def write(batch: Batch) -> None:
            at = self._rows.get(run.id)
            if at is not None and at.phase is Phase.WRITING and at.redrives == attempt:
                self._rows.change(batch, at)
                self._end_with(batch, at, results.text)

        await self.written(write)

    # ------------------------------------------------------------------------------------------ writing results

    async def _write_results(self, run: MapRun, attempt: int) -> None:
        try:
            with result_files(self._stores, run) as files:
                after = 0
                while page := self._rows.page(run, after):
                    for _, child in page:
                        await files.add(
                            child.status, texts(child, self._rows.described(run, child), files.transformation)
                        )
                    after = page[-1][0]
                    await asyncio.sleep(0)
                await self._write_pending(run, files)
                key = await files.finish(self._rows.arn(run))
        except ObjectsFailed as error:
            await self._failed(run.id, attempt, RESULT_WRITER_FAILED, str(error))
        except asyncio.CancelledError:
            raise
        except Exception:
            logger.exception("the results of a Map Run could not be written", map_run=run.id)
            await self._failed(run.id, attempt, RESULT_WRITER_FAILED, "The results could not be written.")
        else:
            details = {"MapRunArn": self._rows.arn(run), "ResultWriterDetails": {"Bucket": files.bucket, "Key": key}}
            await self.written(partial(self._results_written, run.id, attempt, Data(details).text))

    async def _write_pending(self, run: MapRun, files: ResultFiles) -> None:
        first = run.id << ITEM_SHIFT
        machine = self._rows.machine(run).arn
        while rows := self._rows.pending(run, first):
            for _, text in rows:
                child = Child(None, "PENDING", text)
                await files.add("PENDING", texts(child, entry(child, "", machine), "NONE"))
            first = rows[-1][0] + 1
            await asyncio.sleep(0)

    def _results_written(self, run_id: int, attempt: int, output: str, batch: Batch) -> None:
        run = self._rows.get(run_id)
        if run is None or run.phase is not Phase.WRITING or run.redrives != attempt:
            return
        self._rows.change(batch, run)
        for counts in (run.executions, run.items):
            counts.results_written = counts.succeeded + counts.unsuccessful
        self._end(batch, run, output if run.error is None else None)
