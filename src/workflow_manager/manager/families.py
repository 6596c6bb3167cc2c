"""One resume at a time of a workflow and all that resume it, whichever server is asked.

Two at once would not see each other among the descendants. Within one server the second waits; between servers a lease in the
store says whose turn it is, and ends by itself if that server dies.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from weakref import WeakValueDictionary

from workflow_manager.clock import Clock
from workflow_manager.manager.consistency import Sleep
from workflow_manager.manager.times import moment
from workflow_manager.model.errors import ResumeNotAllowed, StorageUnavailable, WorkflowNotFound
from workflow_manager.store import Store

LEASE = timedelta(seconds=60)
"""How long a lease lasts if it is not given back. A request ends long before."""
PAUSES = (0.05, 0.1, 0.2, 0.4, 0.8)
"""Seconds between tries to take the lease; then somebody else is slow, and the caller is told."""


class Families:
    """A family is a workflow that resumes none, with all that resume it or one another."""

    def __init__(self, store: Store, clock: Clock, sleep: Sleep) -> None:
        self._store = store
        self._clock = clock
        self._sleep = sleep
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()  # by the family's first member

    @asynccontextmanager
    async def only_one(self, workflow_id: str) -> AsyncIterator[Callable[[], Awaitable[None]]]:
        """Be the only one who resumes a member of this workflow's family; what is yielded prolongs that.

        Raises WorkflowNotFound, and ResumeNotAllowed if another server does so, or has meanwhile taken over.
        """
        root = await self._root(workflow_id)
        lock = self._locks.setdefault(root, asyncio.Lock())
        async with lock:
            name, holder = f"resume:{root}", str(uuid.uuid4())

            async def still() -> None:
                if not await self._take(name, holder):
                    raise self._refusal(workflow_id)

            for pause in (*PAUSES, None):
                if await self._take(name, holder):
                    break
                if pause is None:
                    raise self._refusal(workflow_id)
                await self._sleep(pause)
            try:
                yield still
            finally:
                with suppress(StorageUnavailable):  # it ends by itself
                    await self._store.release_lease(name, holder)

    async def _take(self, name: str, holder: str) -> bool:
        now = self._now()
        return await self._store.take_lease(name, holder, now, now + LEASE)

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

    def _refusal(self, workflow_id: str) -> ResumeNotAllowed:
        return ResumeNotAllowed(
            f"Workflow {workflow_id}, or one that resumes it, is being resumed by another server at this moment; "
            "look at its retries before you try again"
        )

    def _now(self) -> datetime:
        return moment(self._clock.now())
