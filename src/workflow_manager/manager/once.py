"""Starting a workflow once for each idempotency key, however often and wherever it is asked for.

The workflow's id follows from the key, and a store keeps an id once: that is the whole memory, so it lasts as long as the
workflow does, over restarts, and over all servers of a store. Its execution is named like it, so that starting it again, after
a server died or an answer was lost between the two, starts nothing twice. Step Functions may remember that name for longer than
the store does the workflow: then the key is refused, rather than answered with what another workflow did.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Awaitable, Callable

import msgspec
from msgspec import structs

from workflow_manager.manager.executions import Executions, NameTaken
from workflow_manager.manager.tags import checked
from workflow_manager.manager.turns import NotYourTurn, Turns
from workflow_manager.manager.updates import Updates
from workflow_manager.model import NewWorkflow, Workflow, WorkflowChange, WorkflowStatus
from workflow_manager.model.errors import (
    BackendUnavailable,
    IdempotencyKeyReused,
    InvalidRequest,
    StartUnknown,
    WorkflowAlreadyExists,
    WorkflowNotFound,
)
from workflow_manager.store import WorkflowStore

KEY_LENGTH = 255
TRIES = 3
"""How often others may begin or give up a start while it is looked at."""
_KEY = re.compile(rf"[!-~]{{1,{KEY_LENGTH}}}", re.ASCII)
_IDS = uuid.UUID("6c0f7f7e-1d0c-5b0e-9a53-3d1c5a0a8f2d")
"""What ids are made within (RFC 9562, version 5). It never changes: keys would be forgotten."""


def workflow_id(key: str) -> str:
    """The id of the workflow that a key stands for. Raises InvalidRequest."""
    if not _KEY.fullmatch(key):
        raise InvalidRequest(
            f"Idempotency-Key: expected 1 to {KEY_LENGTH} visible ASCII characters, no spaces; a UUID will do",
            location="Idempotency-Key",
        )
    return str(uuid.uuid5(_IDS, key))


def check_same(stored: Workflow, new: NewWorkflow, key: str) -> None:
    """Raises IdempotencyKeyReused if a key's workflow is not the one that is asked for, and InvalidRequest.

    A negative version asks for whichever is the latest, and had that when the workflow was first asked for.
    """
    definition = stored.workflow_definition
    asked = {
        "workflowDefinition/name": new.definition_name == definition.name,
        "workflowDefinition/version": new.version < 0 or new.version == definition.version,
        "namespace": new.namespace == stored.namespace,
        "queue": (new.queue or "default") == stored.queue,
        "input": _same_json(new.input or "{}", stored.input),
        "tags": {**definition.default_tags, **checked(new.tags, "tags")} == stored.tags,
    }
    others = [f"/{field}" for field, same in asked.items() if not same]
    if others:
        raise IdempotencyKeyReused(key, stored.id, others)


def _same_json(one: str, other: str) -> bool:
    """Whether two texts hold the same JSON: spaces and the order of fields do not count."""
    return one == other or _canonical(one) == _canonical(other)


def _canonical(text: str) -> bytes | str:
    try:
        return msgspec.json.encode(msgspec.json.decode(text), order="deterministic")
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return text


class Once:
    """``make`` turns what is asked for into a workflow of a given id that is not saved yet."""

    def __init__(
        self,
        store: WorkflowStore,
        executions: Executions,
        updates: Updates,
        turns: Turns,
        make: Callable[[NewWorkflow, str], Awaitable[Workflow]],
    ) -> None:
        self._store = store
        self._executions = executions
        self._updates = updates
        self._turns = turns
        self._make = make

    async def start(self, new: NewWorkflow, key: str) -> Workflow:
        """The key's workflow as it is now, started if there is none yet, or if its execution has not begun.

        Raises IdempotencyKeyReused, and what starting a workflow raises; after StartUnknown, asking again makes it known.
        """
        id_ = workflow_id(key)
        async with self._turns.take_here(f"key:{id_}"):
            try:
                return await self._started(new, key, id_)
            except NameTaken:
                raise IdempotencyKeyReused(key, id_) from None

    async def _started(self, new: NewWorkflow, key: str, id_: str) -> Workflow:
        for _ in range(TRIES):
            stored = await self._stored(id_)
            if stored is None:
                workflow = await self._make(new, id_)
                if await self._created(workflow):
                    return structs.replace(workflow, jobs=[])
                continue
            check_same(stored, new, key)
            current = await self._updates.refreshed(stored)
            if current.status is not WorkflowStatus.QUEUED:
                return await self._updates.with_jobs(current)
            await self._begin(id_)
        raise BackendUnavailable(f"other servers are starting workflow {id_} at this moment; try again")

    async def _created(self, workflow: Workflow) -> bool:
        """Save a workflow and begin it; False: another server has done so. If nothing was started, it is deleted again."""
        call = await self._executions.prepare(workflow)
        try:
            await self._store.save_workflow(workflow)
        except WorkflowAlreadyExists:
            return False
        try:
            await self._executions.begin(workflow, call)
        except StartUnknown:
            raise
        except Exception as error:
            try:
                async with self._turns.take(_turn(workflow.id)):
                    stored = await self._stored(workflow.id)
                    if stored is not None and stored.status is not WorkflowStatus.QUEUED:
                        return False  # another server was asked for it, too, and has begun it
                    await self._store.delete_workflow(workflow.id)
            except NotYourTurn:  # another server is at it right now
                raise StartUnknown(workflow.id, str(error)) from error
            raise
        return True

    async def _begin(self, id_: str) -> None:
        """Begin a workflow that is queued and has no execution. If that fails it stays: who saved it may be at it, too.

        Raises BackendUnavailable if another server does the same, and what starting an execution raises.
        """
        try:
            async with self._turns.take(_turn(id_)):
                workflow = await self._stored(id_)
                if workflow is None or workflow.status is not WorkflowStatus.QUEUED:
                    return
                await self._executions.begin(workflow, await self._executions.prepare(workflow))
                running = WorkflowChange(status=WorkflowStatus.RUNNING, last_updated=self._updates.now())
                after, made = await self._store.change_workflow(id_, running)
                if (
                    not made and after.status.final
                ):  # cancelled, or given up, meanwhile; what has ended is left as it is
                    await self._executions.stop(after, after.status_reason)
        except NotYourTurn:
            raise BackendUnavailable(f"another server is starting workflow {id_} at this moment; try again") from None

    async def _stored(self, id_: str) -> Workflow | None:
        try:
            return await self._store.workflow(id_)
        except WorkflowNotFound:
            return None


def _turn(workflow_id: str) -> str:
    return f"start:{workflow_id}"
