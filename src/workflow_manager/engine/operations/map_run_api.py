"""Map Runs: the operations of the API on them."""

from __future__ import annotations

from functools import partial

from workflow_manager.database import Batch, Database
from workflow_manager.engine.maps.map_run import MapRun, Phase
from workflow_manager.engine.maps.map_runs import MapRuns
from workflow_manager.engine.operations.executions import Executions
from workflow_manager.engine.operations.pages import page_of, page_token
from workflow_manager.stepfunctions import types as t
from workflow_manager.stepfunctions.errors import ValidationException


class MapRunApi:
    def __init__(self, database: Database, map_runs: MapRuns, executions: Executions) -> None:
        self._database = database
        self._map_runs = map_runs
        self._rows = map_runs.rows
        self._executions = executions

    def describe(self, request: t.DescribeMapRunInput) -> t.DescribeMapRunOutput:
        run = self._rows.found(request.map_run_arn)
        return t.DescribeMapRunOutput(
            map_run_arn=request.map_run_arn,
            execution_arn=run.execution_arn,
            status="RUNNING" if run.stop is None else run.status,
            start_date=run.start,
            stop_date=run.stop,
            max_concurrency=run.max_concurrency,
            tolerated_failure_count=run.tolerated_count or 0,
            tolerated_failure_percentage=run.tolerated_percentage or 0.0,
            item_counts=t.MapRunItemCounts(**_counts(run, "items")),
            execution_counts=t.MapRunExecutionCounts(**_counts(run, "executions")),
            redrive_count=run.redrives or None,
            redrive_date=run.redrive_date,
        )

    def listed(self, request: t.ListMapRunsInput) -> t.ListMapRunsOutput:
        limit, before = page_of(request.max_results, request.next_token, int)
        execution = self._executions.id_of(request.execution_arn)
        rows = self._database.read(
            "SELECT id FROM map_run WHERE execution = ? AND id < ? ORDER BY id DESC LIMIT ?",
            (execution, before if before is not None else 1 << 62, limit + 1),
        )
        runs = [run for (run_id,) in rows[:limit] if (run := self._rows.stored(run_id)) is not None]
        return t.ListMapRunsOutput(
            map_runs=[
                t.MapRunListItem(
                    execution_arn=run.execution_arn,
                    map_run_arn=self._rows.arn(run),
                    state_machine_arn=self._rows.machine(run).arn,
                    start_date=run.start,
                    stop_date=run.stop,
                )
                for run in runs
            ],
            next_token=page_token(rows[limit - 1][0]) if len(rows) > limit else None,
        )

    async def update(self, request: t.UpdateMapRunInput) -> t.UpdateMapRunOutput:
        run_id = self._rows.found(request.map_run_arn).id

        def write(batch: Batch) -> t.UpdateMapRunOutput:
            run = self._rows.get(run_id)
            if run is None or run.phase is not Phase.RUNNING:
                raise ValidationException("The Map Run is not running; only one that runs can be updated")
            self._rows.change(batch, run)
            if request.max_concurrency is not None:
                run.max_concurrency = request.max_concurrency
            if request.tolerated_failure_count is not None:
                run.tolerated_count = request.tolerated_failure_count
            if request.tolerated_failure_percentage is not None:
                run.tolerated_percentage = request.tolerated_failure_percentage
            self._rows.save(batch, run)
            batch.after_commit(partial(self._map_runs.wake, run_id))
            return t.UpdateMapRunOutput()

        return await self._database.write(write)


def _counts(run: MapRun, of: str) -> dict[str, int]:
    """Redrives are spoken of only where there was one (recorded from AWS)."""
    counts = getattr(run, of)
    redriven = {
        "failures_not_redrivable": counts.failures_not_redrivable,
        "pending_redrive": counts.pending_redrive,
    }
    return (redriven if run.redrives else {}) | {
        "pending": counts.pending,
        "running": counts.running,
        "succeeded": counts.succeeded,
        "failed": counts.failed,
        "timed_out": counts.timed_out,
        "aborted": counts.aborted,
        "total": counts.total,
        "results_written": counts.results_written,
    }
