"""Keeping workflows' statuses true: by what executions tell, and by looking when a workflow is read."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from datetime import datetime, timedelta

from msgspec import structs

from workflow_manager.clock import Clock
from workflow_manager.manager.executions import Executions
from workflow_manager.manager.jobs import last_job
from workflow_manager.manager.status import STATUSES, workflow_change
from workflow_manager.manager.times import moment
from workflow_manager.model import Workflow, WorkflowChange, WorkflowStatus
from workflow_manager.model.errors import BackendUnavailable, WorkflowNotFound
from workflow_manager.stepfunctions.changes import StatusChange
from workflow_manager.stepfunctions.types import DescribeExecutionOutput
from workflow_manager.store import Store

NEVER_BEGAN_AFTER = timedelta(minutes=5)
"""For how long a workflow may be without an execution: a start that is under way takes far less."""
NEVER_BEGAN = "Execution not found: it was never started, or is no longer kept"


class Updates:
    def __init__(self, store: Store, executions: Executions, clock: Clock) -> None:
        self._store = store
        self._executions = executions
        self._clock = clock

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
            change = workflow_change(execution, self._now())
            if change.status is WorkflowStatus.FAILED:
                workflow = await self._store.workflow(told.name)
                if not workflow.status.final:
                    await self._fail(workflow, change)
            else:
                await self._store.change_workflow(told.name, change)

    async def refreshed(self, workflow: Workflow) -> Workflow:
        """The workflow as its execution says it is, stored so. A final one stays.

        A workflow that has no execution five minutes after its creation has failed. Raises WorkflowNotFound.
        """
        if workflow.status.final:
            return workflow
        execution = await self._executions.describe(workflow)
        now = self._now()
        if execution is None:
            if now - workflow.created_at < NEVER_BEGAN_AFTER:
                return workflow
            change = WorkflowChange(
                status=WorkflowStatus.FAILED, status_reason=NEVER_BEGAN, stopped_at=now, last_updated=now
            )
            return (await self._store.change_workflow(workflow.id, change))[0]
        if STATUSES[execution.status] is workflow.status:
            return workflow
        change = workflow_change(execution, now)
        if change.status is WorkflowStatus.FAILED:
            return await self._fail(workflow, change)
        return (await self._store.change_workflow(workflow.id, change))[0]

    async def _fail(self, workflow: Workflow, change: WorkflowChange) -> Workflow:
        """Store a failure, with the job that failed. That it failed is told even when its history cannot be read."""
        with contextlib.suppress(BackendUnavailable):
            failed = last_job(await self._executions.history(workflow), workflow)
            if failed is not None:
                change = structs.replace(change, last_job=failed)
        return (await self._store.change_workflow(workflow.id, change))[0]

    def _now(self) -> datetime:
        return moment(self._clock.now())
