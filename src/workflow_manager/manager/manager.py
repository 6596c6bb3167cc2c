"""WorkflowManager: the product's operations, over a Store and a StepFunctions. Rules live in the modules beside this one."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator, Coroutine, Sequence
from datetime import datetime
from typing import Any, TypeVar

from msgspec import structs

from workflow_manager.clock import Clock, SystemClock
from workflow_manager.manager import resume
from workflow_manager.manager.consistency import Sleep
from workflow_manager.manager.definitions import Definitions
from workflow_manager.manager.executions import Executions
from workflow_manager.manager.families import Families
from workflow_manager.manager.following import follow
from workflow_manager.manager.jobs import jobs
from workflow_manager.manager.naming import ManagerSettings
from workflow_manager.manager.once import Once
from workflow_manager.manager.retention import Retention
from workflow_manager.manager.sweeping import Sweeper, SweepSettings
from workflow_manager.manager.tags import checked
from workflow_manager.manager.times import moment
from workflow_manager.manager.turns import Turns
from workflow_manager.manager.updates import Updates
from workflow_manager.model import (
    NewWorkflow,
    NewWorkflowDefinition,
    Page,
    Resumption,
    StateResource,
    Workflow,
    WorkflowChange,
    WorkflowDefinition,
    WorkflowQuery,
    WorkflowStatus,
)
from workflow_manager.model.errors import (
    CancellationNotAllowed,
    InvalidRequest,
    WorkflowAlreadyResolved,
    WorkflowNotFound,
)
from workflow_manager.stepfunctions.changes import ExecutionChanges, StatusChange
from workflow_manager.stepfunctions.history import HistoryEvent
from workflow_manager.stepfunctions.loggroups import LogGroups
from workflow_manager.stepfunctions.protocol import StepFunctions
from workflow_manager.store import Store

T = TypeVar("T")

LARGEST_PAGE = 10_000
CAUSE_LENGTH = 32_768
"""How many characters of a reason Step Functions takes (API reference, StopExecution: cause)."""


class WorkflowManager:
    """Every method may raise StorageUnavailable and BackendUnavailable besides what it says.

    ``changes`` tells of executions' new statuses; without it, a workflow's status is looked up when it is read.
    With ``log_groups``, state machines log their executions to one each. ``sleep`` is what waiting is done with; ``sweep`` bounds
    the looking after workflows that nobody reads. ``retention_days`` after their end workflows are deleted; 0: never.
    Call ``start`` before and ``stop`` after use.
    """

    def __init__(
        self,
        store: Store,
        stepfunctions: StepFunctions,
        *,
        settings: ManagerSettings,
        changes: ExecutionChanges | None = None,
        log_groups: LogGroups | None = None,
        clock: Clock = SystemClock(),  # noqa: B008 - it has no state
        sleep: Sleep = asyncio.sleep,
        sweep: SweepSettings = SweepSettings(),  # noqa: B008 - it is immutable
        retention_days: float = 0,
    ) -> None:
        self._store = store
        self._changes = changes
        self._clock = clock
        self._sleep = sleep
        self._definitions = Definitions(store, stepfunctions, settings, clock)
        self._executions = Executions(store, stepfunctions, settings, clock=clock, sleep=sleep, log_groups=log_groups)
        self._updates = Updates(store, self._executions, clock, keep_jobs=settings.keep_jobs)
        turns = Turns(store, clock, sleep)
        self._families = Families(store, turns)
        self._once = Once(store, self._executions, self._updates, turns, self._made_of)
        self._carried: set[asyncio.Task[Any]] = set()
        self._sweeper = Sweeper(store, self._updates, clock, sleep, settings=sweep, pushed=changes is not None)
        self._retention = Retention(store, clock, sleep, days=retention_days) if retention_days else None
        self._background: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Take part in status changes, and watch for what is not told."""
        if self._changes is not None:
            self._changes.subscribe(self.on_status_changes)
        self._background.append(asyncio.create_task(self._sweeper.sweep_for_ever()))
        if self._retention is not None:
            self._background.append(asyncio.create_task(self._retention.forget_for_ever()))

    async def stop(self) -> None:
        """Finish what was begun."""
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        self._background.clear()
        await self._updates.stop()
        await asyncio.gather(*self._carried, return_exceptions=True)

    async def on_status_changes(self, changes: Sequence[StatusChange]) -> None:
        """What ExecutionChanges calls. Raises, having dealt with what it could, if something must be delivered again."""
        await self._updates.on_status_changes(changes)

    async def apply_status_changes(self, changes: Sequence[StatusChange]) -> list[BaseException | None]:
        """What tells of changes one by one calls: for each, why it must be told again, or None. Never raises."""
        return await self._updates.apply(changes)

    # ------------------------------------------------------------------ definitions

    async def create_definition(self, new: NewWorkflowDefinition) -> WorkflowDefinition:
        """Save version 0 of a new name. Raises WorkflowDefinitionAlreadyExists, InvalidWorkflowDefinition."""
        return await self._definitions.create(new)

    async def update_definition(self, name: str, new: NewWorkflowDefinition) -> WorkflowDefinition:
        """Save the next version of a name. Raises WorkflowDefinitionNotFound, InvalidRequest, InvalidWorkflowDefinition."""
        return await self._definitions.update(name, new)

    async def definitions(self) -> list[WorkflowDefinition]:
        """The latest version of every name, by name."""
        return await self._store.definitions()

    async def definition_versions(self, name: str, *, latest: bool) -> list[WorkflowDefinition]:
        """The latest version only, or every version, oldest first. Raises WorkflowDefinitionNotFound."""
        return [await self._store.latest_definition(name)] if latest else await self._store.definition_versions(name)

    async def definition(self, name: str, version: int) -> WorkflowDefinition:
        """Raises WorkflowDefinitionNotFound."""
        if version < 0:  # there is no such version; "negative is the latest" is a rule of starting workflows
            return await self._store.definition(name, version)
        return await self._definitions.find(name, version)

    # ------------------------------------------------------------------ workflows

    async def start_workflow(self, new: NewWorkflow, *, idempotency_key: str | None = None) -> Workflow:
        """Start a version of a definition (a negative one: the latest) in a namespace.

        Of an ``idempotency_key`` there is one workflow: asked for again, it is answered as it is now. Once begun it is carried
        through, even if the caller gives up waiting. Raises WorkflowDefinitionNotFound, InvalidRequest,
        InvalidWorkflowDefinition, and IdempotencyKeyReused if the key's workflow is another.
        """
        if idempotency_key is not None:
            return await self._carry_through(self._once.start(new, idempotency_key))
        workflow = await self._made_of(new, str(uuid.uuid4()))
        await self._carry_through(self._executions.start(workflow))
        return structs.replace(workflow, jobs=[])

    async def workflow(self, workflow_id: str, *, fetch_history: bool = False) -> Workflow:
        """A workflow as it is now, with its jobs. ``fetch_history`` derives them anew even if they are stored.

        Raises WorkflowNotFound.
        """
        return await self._updates.with_jobs(await self._current(workflow_id), anew=fetch_history)

    async def workflows(self, query: WorkflowQuery) -> Page[Workflow]:
        """A page of workflows as they were last stored, without jobs. Raises InvalidRequest, InvalidPageToken."""
        if not 1 <= query.limit <= LARGEST_PAGE:
            raise InvalidRequest(f"limit is {query.limit}; it may be 1 to {LARGEST_PAGE}", location="limit")
        return await self._store.workflows(query)

    async def cancel(self, workflow_id: str, reason: str) -> None:
        """Stop a workflow; cancelling it again is no error. Raises WorkflowNotFound, CancellationNotAllowed.

        The reason is stored at once, and the status follows when the execution has stopped.
        """
        workflow = await self._current(workflow_id)
        if workflow.status is WorkflowStatus.CANCELLED:
            return
        if workflow.status.final:
            raise CancellationNotAllowed(f"Cancellation not allowed. Workflow {workflow_id} is {workflow.status}")
        reason = reason[:CAUSE_LENGTH]
        stopped = await self._executions.stop(workflow, reason)
        now = self._now()
        change = WorkflowChange(status_reason=reason, resolved_by_user=True, last_updated=now)
        if not stopped:  # its execution never began: nobody else will tell that it has ended
            change = structs.replace(change, status=WorkflowStatus.CANCELLED, stopped_at=now)
        await self._store.change_workflow(workflow_id, change)

    async def resume(self, workflow_id: str, how: Resumption | str) -> Workflow:
        """Start a new workflow from a state of a finished one (its name, or more), with the input which that state had.

        Once begun it is carried through, even if the caller gives up waiting. Raises WorkflowNotFound, ResumeNotAllowed and
        what ``start_workflow`` raises.
        """
        how = Resumption(start_at=how) if isinstance(how, str) else how
        return await self._carry_through(self._resume(workflow_id, how))

    async def resolve(self, workflow_id: str) -> None:
        """Mark a workflow as dealt with. Raises WorkflowNotFound, WorkflowAlreadyResolved."""
        workflow = await self._current(workflow_id)
        if workflow.resolved_by_user:
            raise WorkflowAlreadyResolved(workflow_id)
        await self._store.change_workflow(workflow_id, WorkflowChange(resolved_by_user=True, last_updated=self._now()))

    def follow(
        self, workflow_id: str, *, after_event_id: int = 0, wait: bool = True
    ) -> AsyncIterator[HistoryEvent | Workflow]:
        """The workflow now; then its history's events after that one, and the workflow again whenever its status changes.

        Ends when the workflow has ended and every event was told, or without ``wait`` with what has happened so far; a final
        workflow comes with its jobs.
        Raises WorkflowNotFound when iteration begins.
        """

        async def read() -> Workflow:
            current = await self._current(workflow_id)
            return await self._updates.with_jobs(current) if current.status.final else current

        return follow(read, self._executions, self._changes, self._sleep, after_event_id, wait=wait)

    # ------------------------------------------------------------------ state resources

    async def save_state_resource(self, resource: StateResource) -> StateResource:
        """Save or overwrite what a resource's name stands for in a namespace. Raises InvalidRequest."""
        for field, value in (("name", resource.name), ("namespace", resource.namespace)):
            if not value or "/" in value:
                raise InvalidRequest(
                    f"/{field} is {value!r}; it must not be empty and must not hold a '/'", location=f"/{field}"
                )
        resource = structs.replace(resource, last_updated=self._now())
        await self._store.save_state_resource(resource)
        return resource

    async def state_resource(self, namespace: str, name: str) -> StateResource:
        """Raises StateResourceNotFound."""
        return await self._store.state_resource(namespace, name)

    async def delete_state_resource(self, namespace: str, name: str) -> None:
        """Raises StateResourceNotFound."""
        await self._store.delete_state_resource(namespace, name)

    # ------------------------------------------------------------------ parts of the above

    async def _current(self, workflow_id: str) -> Workflow:
        """The stored workflow, brought up to date with its execution if it is unfinished. Raises WorkflowNotFound."""
        return await self._updates.refreshed(await self._store.workflow(workflow_id))

    async def _made_of(self, new: NewWorkflow, workflow_id: str) -> Workflow:
        """A workflow that is not saved yet. Raises WorkflowDefinitionNotFound, InvalidRequest."""
        tags = checked(new.tags, "tags")
        definition = await self._definitions.find(new.definition_name, new.version)
        return self._new_workflow(
            workflow_id,
            definition,
            namespace=new.namespace,
            queue=new.queue or "default",
            input=new.input or "{}",
            tags={**definition.default_tags, **tags},
        )

    async def _resume(self, workflow_id: str, how: Resumption) -> Workflow:
        async with self._families.only_one(workflow_id) as still_only_one:
            original = await self._current(workflow_id)
            resume.check_finished(original)
            definition = await self._definition_to_resume(original, how)
            if not how.from_failed:
                resume.top_level_state(definition, how.start_at)
            await self._check_descendants(original)
            start_at, input_ = await self._place_to_resume(original, how)
            resume.top_level_state(definition, start_at)
            workflow = self._new_workflow(
                str(uuid.uuid4()),
                resume.definition_from(definition, start_at),
                namespace=original.namespace,
                queue=original.queue,
                input=input_,
                tags=original.tags,
                retry_for=original.id,
            )
            await still_only_one()
            await self._start_retry(workflow)
        return structs.replace(workflow, jobs=[])

    async def _definition_to_resume(self, original: Workflow, how: Resumption) -> WorkflowDefinition:
        if how.version is None:
            return original.workflow_definition
        return await self._definitions.find(original.workflow_definition.name, how.version)

    async def _place_to_resume(self, original: Workflow, how: Resumption) -> tuple[str, str]:
        """The state to start at, and its input. Raises ResumeNotAllowed."""
        if not how.from_failed and how.input is not None:
            return how.start_at, how.input
        if how.from_failed:
            history = await self._executions.events(original)
            start_at, recorded = resume.failed_state(original, history, recorded=how.input is None)
        else:
            start_at, recorded = how.start_at, await self._recorded_input(original, how.start_at)
        return start_at, recorded if how.input is None else how.input

    async def _recorded_input(self, original: Workflow, start_at: str) -> str:
        """Raises ResumeNotAllowed."""
        if original.jobs is not None and resume.has_jobs(original, start_at):
            return resume.recorded_input(original, start_at, original.jobs, ())
        history = await self._executions.events(original)
        return resume.recorded_input(original, start_at, jobs(history, original), history)

    async def _start_retry(self, workflow: Workflow) -> None:
        """It is a descendant before it begins: no failure, and no crash, leaves one that runs and that nobody finds."""

        async def link() -> None:
            change = WorkflowChange(add_retry=workflow.id, last_updated=workflow.created_at)
            await self._store.change_workflow(workflow.retry_for, change)

        async def unlink() -> None:
            with contextlib.suppress(WorkflowNotFound):
                await self._store.change_workflow(workflow.retry_for, WorkflowChange(remove_retry=workflow.id))

        await self._executions.start(workflow, announce=link, retract=unlink)

    async def _check_descendants(self, workflow: Workflow) -> None:
        """Raises ResumeNotAllowed if a retry of the workflow, or a retry of one, is active."""
        seen = {workflow.id}
        waiting = list(workflow.retries or ())
        while waiting:
            descendant_id = waiting.pop()
            if descendant_id in seen:
                continue
            seen.add(descendant_id)
            try:
                descendant = await self._current(descendant_id)
            except WorkflowNotFound:  # records are not kept for ever
                continue
            resume.check_descendant(workflow, descendant)
            waiting += descendant.retries or ()

    async def _carry_through(self, work: Coroutine[Any, Any, T]) -> T:
        """Do it in a task of its own, so that a caller that gives up (a request's timeout) does not leave it half done."""
        task = asyncio.create_task(work)
        self._carried.add(task)
        task.add_done_callback(self._carried_through)
        return await asyncio.shield(task)

    def _carried_through(self, task: asyncio.Task[Any]) -> None:
        self._carried.discard(task)
        if not task.cancelled():
            task.exception()  # a caller that has gone away leaves nothing to complain about

    def _new_workflow(
        self,
        workflow_id: str,
        definition: WorkflowDefinition,
        *,
        namespace: str,
        queue: str,
        input: str,  # noqa: A002 - the field's name
        tags: dict[str, str],
        retry_for: str = "",
    ) -> Workflow:
        now = self._now()
        return Workflow(
            id=workflow_id,
            created_at=now,
            last_updated=now,
            namespace=namespace,
            queue=queue,
            input=input,
            tags=dict(tags),
            workflow_definition=definition,
            retry_for=retry_for,
            retries=[],
        )

    def _now(self) -> datetime:
        return moment(self._clock.now())
