"""One resume at a time of a workflow and all that resume it, whichever server is asked.

Two at once would not see each other among the descendants.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from workflow_manager.manager.turns import NotYourTurn, Turns
from workflow_manager.model.errors import ResumeNotAllowed, WorkflowNotFound
from workflow_manager.store import WorkflowStore


class Families:
    """A family is a workflow that resumes none, with all that resume it or one another."""

    def __init__(self, store: WorkflowStore, turns: Turns) -> None:
        self._store = store
        self._turns = turns

    @asynccontextmanager
    async def only_one(self, workflow_id: str) -> AsyncIterator[Callable[[], Awaitable[None]]]:
        """Be the only one who resumes a member of this workflow's family; what is yielded prolongs that.

        Raises WorkflowNotFound, and ResumeNotAllowed if another server does so, or has meanwhile taken over.
        """
        root = await self._root(workflow_id)
        try:
            async with self._turns.take(f"resume:{root}") as still_ours:
                yield still_ours
        except NotYourTurn:
            raise ResumeNotAllowed(
                f"Workflow {workflow_id}, or one that resumes it, is being resumed by another server at this moment; "
                "look at its retries before you try again"
            ) from None

    async def _root(self, workflow_id: str) -> str:
        """The workflow that all of the family goes back to, as far as records are kept. Raises WorkflowNotFound."""
        seen = {workflow_id}
        workflow = await self._store.workflow(workflow_id)
        while workflow.retry_for and workflow.retry_for not in seen:
            seen.add(workflow.retry_for)
            try:
                workflow = await self._store.workflow(workflow.retry_for)
            except WorkflowNotFound:
                break
        return workflow.id
