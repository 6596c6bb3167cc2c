"""Forgetting executions that ended long ago, with what their Map Runs left: a few at a time, so that nobody waits for it.

Executions are numbered as they begin, so that those to look at are found without an index, which every execution would pay for.
A large payload goes when every execution has gone that had begun when it was last referred to, and the next one; so one that runs
on keeps the payloads of all that began after it.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import NoReturn

import structlog

from workflow_manager.clock import Clock
from workflow_manager.database import Batch, Database, DatabaseUnavailable
from workflow_manager.engine.maps.map_run import Phase
from workflow_manager.engine.shell.runner import Runner
from workflow_manager.engine.shell.schema import ITEM_SHIFT, SHIFT

AT_ONCE = 50
"""Executions, or payloads, that are deleted in one operation of the writer."""
ITEMS_AT_ONCE = 1_000
PAUSE_SECONDS = 3600.0
"""How often to look."""
DAY_SECONDS = 86_400.0

logger = structlog.get_logger(__name__)


class Retention:
    """``days``: how long an execution stays after its end."""

    def __init__(self, database: Database, clock: Clock, runner: Runner, *, days: float) -> None:
        self._database = database
        self._clock = clock
        self._runner = runner
        self._seconds = days * DAY_SECONDS

    async def forget_for_ever(self) -> NoReturn:
        """Forget now and every hour. What fails is tried again then."""
        never = asyncio.Event()
        while True:
            try:
                if count := await self.forget():
                    logger.info("executions forgotten", count=count)
            except DatabaseUnavailable as error:
                logger.warning("executions could not be forgotten; trying again later", reason=str(error))
            except Exception:
                logger.exception("forgetting failed unexpectedly")
            await self._clock.wait(self._clock.now() + PAUSE_SECONDS, never)

    async def forget(self) -> int:
        """Delete the executions whose time has come; answer how many, children of Map Runs apart. Raises DatabaseUnavailable."""
        before = self._clock.now() - self._seconds
        young, last, count = self._first_begun_since(before), 0, 0
        while True:
            rows = self._database.read(
                "SELECT id FROM execution WHERE id > ? AND id < ? AND machine > 0 AND stop < ? AND NOT EXISTS "
                "(SELECT 1 FROM map_run WHERE map_run.execution = execution.id AND phase < ?) ORDER BY id LIMIT ?",
                (last, young, before, int(Phase.ENDED), AT_ONCE),
            )
            if not rows:
                break
            for (execution,) in rows:
                await self._forget_map_runs(execution, execution, before)
            count += await self._database.submit(partial(_delete_ended, [execution for (execution,) in rows], before))
            last = rows[-1][0]
        while await self._database.submit(_delete_payloads):
            pass
        return count

    def _first_begun_since(self, moment: float) -> int:
        """The number of an execution from which on all have begun since then."""
        ((low, high),) = self._database.read("SELECT coalesce(min(id), 0), coalesce(max(id), 0) + 1 FROM execution")
        while low < high:
            middle = (low + high) // 2
            rows = self._database.read("SELECT id, start FROM execution WHERE id >= ? ORDER BY id LIMIT 1", (middle,))
            if not rows or rows[0][1] >= moment:
                high = middle
            else:
                low = rows[0][0] + 1
        return int(low)

    async def _forget_map_runs(self, root: int, execution: int, before: float) -> None:
        """Those that an execution started, which is ``root`` or one that a Map Run of its started."""
        for (run,) in self._database.read("SELECT id FROM map_run WHERE execution = ?", (execution,)):
            parents = self._database.read(
                "SELECT DISTINCT execution FROM map_run WHERE execution IN (SELECT id FROM execution WHERE machine = ?)",
                (-run,),
            )
            for (child,) in parents:
                await self._forget_map_runs(root, child, before)
            while await self._database.submit(partial(_delete_part, root, run, before)):
                pass
            self._runner.live.forget_map_run(run)


def _delete_ended(executions: list[int], before: float, batch: Batch) -> int:
    """Delete those that have still ended; answer how many."""
    ended = [execution for execution in executions if _has_ended(batch, execution, before)]
    _delete(batch, ended)
    return len(ended)


def _has_ended(batch: Batch, execution: int, before: float) -> bool:
    """Whether it may still be forgotten: it may have been redriven meanwhile."""
    return bool(batch.execute("SELECT 1 FROM execution WHERE id = ? AND stop < ?", (execution, before)).fetchall())


def _delete(batch: Batch, executions: list[int]) -> None:
    for execution in executions:
        first, beyond = execution << SHIFT, (execution + 1) << SHIFT
        for table in ("history", "frame", "aside"):
            batch.execute(f"DELETE FROM {table} WHERE key >= ? AND key < ?", (first, beyond))  # noqa: S608 - constants
        for table in ("redrive", "mocked"):
            batch.execute(f"DELETE FROM {table} WHERE execution = ?", (execution,))  # noqa: S608 - constants
        batch.execute("DELETE FROM execution WHERE id = ?", (execution,))
        _remember(batch, "execution", execution)


def _remember(batch: Batch, table: str, number: int) -> None:
    batch.execute(
        "INSERT INTO forgotten VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET last = max(last, excluded.last)",
        (table, number),
    )


def _delete_part(root: int, run: int, before: float, batch: Batch) -> bool:
    """Delete some of what a Map Run left, and in the end itself; answer whether there is more."""
    if not _has_ended(batch, root, before):
        return False
    rows = batch.execute("SELECT id FROM execution WHERE machine = ? LIMIT ?", (-run, AT_ONCE)).fetchall()
    if rows:
        _delete(batch, [child for (child,) in rows])
        return True
    items = batch.execute(
        "DELETE FROM map_item WHERE key IN (SELECT key FROM map_item WHERE key >= ? AND key < ? LIMIT ?) RETURNING 1",
        (run << ITEM_SHIFT, (run + 1) << ITEM_SHIFT, ITEMS_AT_ONCE),
    ).fetchall()
    if items:
        return True
    batch.execute("DELETE FROM map_run WHERE id = ?", (run,))
    _remember(batch, "map_run", run)
    return False


def _delete_payloads(batch: Batch) -> bool:
    """Delete some payloads that nothing refers to; answer whether there may be more."""
    gone = batch.execute(
        "DELETE FROM payload WHERE id IN (SELECT id FROM payload WHERE used < "
        "(SELECT coalesce(min(id), ?) FROM execution) LIMIT ?) RETURNING 1",
        (1 << 62, AT_ONCE),
    ).fetchall()
    return bool(gone)
