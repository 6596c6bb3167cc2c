"""Keeping workflows' statuses true: by what executions tell, and by looking when a workflow is read."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from datetime import datetime, timedelta

from msgspec import structs

from workflow_manager.clock import Clock
from workflow_manager.manager.executions import Executions
from workflow_manager.manager.histories import History
from workflow_manager.manager.jobs import jobs, last_job
from workflow_manager.manager.status import STATUSES, workflow_change
from workflow_manager.manager.times import moment
from workflow_manager.model import Job, Workflow, WorkflowChange, WorkflowStatus
from workflow_manager.model.errors import BackendUnavailable, StorageUnavailable, WorkflowNotFound
from workflow_manager.stepfunctions.changes import StatusChange
from workflow_manager.stepfunctions.types import DescribeExecutionOutput
from workflow_manager.store import Store

NEVER_BEGAN_AFTER = timedelta(minutes=5)
"""For how long a workflow may be without an execution: a start that is under way takes far less."""
REMEMBERED = 10_000
"""How many running workflows without an execution are known."""
READ_ON_AT_ONCE = 4
"""How many long histories are read to their ends at a time: each may be large."""
NEVER_BEGAN = "Execution not found: it was never started, or is no longer kept"


class Updates:
    """``keep_jobs``: the jobs of a workflow that has ended are stored with it as soon as they are known."""

    def __init__(self, store: Store, executions: Executions, clock: Clock, *, keep_jobs: bool = False) -> None:
        self._store = store
        self._executions = executions
        self._clock = clock
        self._keep_jobs = keep_jobs
        self._reading_on: dict[str, asyncio.Task[None]] = {}  # id of a finished workflow whose long history is read
        self._missing_since: dict[str, datetime] = {}  # id of a running workflow whose execution was not found

    async def on_status_changes(self, changes: Sequence[StatusChange]) -> None:
        """Apply changes, as ``apply`` does. Raises the first error once every change was tried."""
        for outcome in await self.apply(changes):
            if outcome is not None:
                raise outcome

    async def apply(self, changes: Sequence[StatusChange]) -> list[BaseException | None]:
        """Apply changes, several workflows' at once; executions that are no workflow's are passed over.

        Of several changes of one execution only one counts: the newest, but none that goes on after one that ends. Answers
        for each change why the one that counts could not be stored; None: it is dealt with.
        """
        counting: dict[str, StatusChange] = {}
        for change in changes:
            before = counting.get(change.execution_arn)
            if before is None or STATUSES[change.status].final or not STATUSES[before.status].final:
                counting[change.execution_arn] = change
        outcomes = await asyncio.gather(*map(self._apply, counting.values()), return_exceptions=True)
        outcome_of = dict(zip(counting, outcomes, strict=True))
        return [outcome_of[change.execution_arn] for change in changes]

    async def _apply(self, told: StatusChange) -> None:
        with contextlib.suppress(WorkflowNotFound):
            if not await self._executions.is_of_workflow(told.name, told.state_machine_arn):
                return
            execution: StatusChange | DescribeExecutionOutput = told
            if not told.complete:
                workflow = await self._store.workflow(told.name)
                if workflow.status.final:
                    return
                # what was told stands if the execution is kept no longer; if it runs again, its next end is told, too
                execution = await self._executions.describe(workflow) or told
            change = workflow_change(execution, self.now())
            if change.status is WorkflowStatus.FAILED:
                workflow = await self._store.workflow(told.name)
                if not workflow.status.final:
                    await self._fail(workflow, change)
                return
            workflow, made = await self._store.change_workflow(told.name, change)
            if not made and told.status == "RUNNING" and workflow.status is WorkflowStatus.CANCELLED:
                # it was cancelled before its execution was to be found; one that has ended since is left as it is
                await self._executions.stop(workflow, workflow.status_reason)

    async def refreshed(self, workflow: Workflow) -> Workflow:
        """The workflow as its execution says it is, stored so. A final one stays.

        A workflow that has no execution five minutes after its creation has failed; one whose execution was there, when it
        has not been found for five minutes. Raises WorkflowNotFound.
        """
        if workflow.status.final:
            return workflow
        execution = await self._executions.describe(workflow)
        now = self.now()
        if execution is None:
            if now - self._missing(workflow, now) < NEVER_BEGAN_AFTER:
                return workflow
            self._missing_since.pop(workflow.id, None)
            change = WorkflowChange(
                status=WorkflowStatus.FAILED, status_reason=NEVER_BEGAN, stopped_at=now, last_updated=now
            )
            return (await self._store.change_workflow(workflow.id, change))[0]
        self._missing_since.pop(workflow.id, None)
        if STATUSES[execution.status] is workflow.status:
            return workflow
        change = workflow_change(execution, now)
        if change.status is WorkflowStatus.FAILED:
            return await self._fail(workflow, change)
        return (await self._store.change_workflow(workflow.id, change))[0]

    async def with_jobs(self, workflow: Workflow, *, anew: bool = False) -> Workflow:
        """The workflow with its jobs, as they were kept or as its history tells; ``anew`` asks the history in any case."""
        if workflow.jobs is not None and not anew:
            return workflow
        history = await self._executions.history(workflow)
        if workflow.jobs is not None and not history.ended:  # what was kept is whole; a history is not there for ever
            return workflow
        found = jobs(history.events, workflow)
        if self._keep_jobs and workflow.status.final:
            if history.truncated:
                self._read_on(workflow)
            else:
                await self._keep(workflow, history, found)
        return structs.replace(workflow, jobs=found, truncated=history.truncated)

    async def stop(self) -> None:
        """Leave what is read for later readers."""
        reading = list(self._reading_on.values())
        for task in reading:
            task.cancel()
        await asyncio.gather(*reading, return_exceptions=True)

    def _read_on(self, workflow: Workflow) -> None:
        """Read a history to its end with nobody waiting, so that the next reader finds all jobs."""
        if workflow.id in self._reading_on or len(self._reading_on) >= READ_ON_AT_ONCE:
            return

        async def read() -> None:
            with contextlib.suppress(BackendUnavailable, StorageUnavailable):  # the next reader tries again
                history = History(await self._executions.events(workflow))
                await self._keep(workflow, history, jobs(history.events, workflow))

        task = self._reading_on[workflow.id] = asyncio.create_task(read())
        task.add_done_callback(lambda _: self._reading_on.pop(workflow.id))

    async def _keep(self, workflow: Workflow, history: History, found: list[Job]) -> None:
        if history.ended:
            with contextlib.suppress(StorageUnavailable, WorkflowNotFound):
                await self._store.change_workflow(workflow.id, WorkflowChange(jobs=found))

    async def _fail(self, workflow: Workflow, change: WorkflowChange) -> Workflow:
        """Store a failure, with the job that failed. That it failed is told even when its history cannot be read."""
        with contextlib.suppress(BackendUnavailable):
            history = await self._executions.history(workflow)
            # the end of a history that is too long tells which job failed, too
            events = await self._executions.last_events(workflow) if history.truncated else history.events
            failed = last_job(events, workflow)
            if failed is not None:
                change = structs.replace(change, last_job=failed)
            if self._keep_jobs and history.ended:
                change = structs.replace(change, jobs=jobs(events, workflow))
        return (await self._store.change_workflow(workflow.id, change))[0]

    def _missing(self, workflow: Workflow, now: datetime) -> datetime:
        """Since when a workflow's execution is not to be found."""
        if workflow.status is WorkflowStatus.QUEUED:
            return workflow.created_at
        if workflow.id not in self._missing_since and len(self._missing_since) >= REMEMBERED:
            self._missing_since.pop(next(iter(self._missing_since)))
        return self._missing_since.setdefault(workflow.id, now)

    def now(self) -> datetime:
        return moment(self._clock.now())
