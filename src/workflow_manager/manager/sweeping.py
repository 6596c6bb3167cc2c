"""Finding workflows that have ended, or never began, though nobody reads them and nothing told.

Whatever tells of status changes can fail: a message too old, a consumer that is not there, a crash between saving a workflow
and starting its execution. Reading a workflow always looks; this looks at those that nobody reads. Of several servers on one
store one does it, the holder of a lease; when it stops or dies another takes over.

Where executions push their changes (``pushed``) only a workflow that was never started is missed, so only queued ones are
looked at. Elsewhere every unfinished one is that was not looked at for long, the one longest ago first; looking at it makes it
the one looked at last, so that each has its turn.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import socket
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import NoReturn

import structlog
from msgspec import Struct, structs

from workflow_manager.clock import Clock
from workflow_manager.manager.consistency import Sleep
from workflow_manager.manager.times import moment
from workflow_manager.manager.updates import NEVER_BEGAN_AFTER, Updates
from workflow_manager.model import Workflow, WorkflowChange, WorkflowQuery, WorkflowStatus
from workflow_manager.model.errors import BackendUnavailable, WfmError, WorkflowNotFound
from workflow_manager.store import Store

LEASE = "sweep"
PAGE = 100
PUSHED_PAUSE_SECONDS = 300.0
"""How often to look where changes are pushed."""
PAUSE_SECONDS = 30.0
"""How often to look elsewhere."""
LEASE_PAUSES = 3
"""A lease lasts for so many pauses: a leader that has died is missed no longer."""
MOST_FAILURES = 10
"""After so many in one sweep it is not the workflows that are at fault."""

log = structlog.get_logger("workflow_manager.manager")


class SweepSettings(Struct, frozen=True, kw_only=True):
    """``after_seconds``: for how long nobody must have looked at a workflow. ``per_second``: how many are looked at, at most."""

    after_seconds: float = 300.0
    per_second: float = 10.0


class Sweeper:
    def __init__(
        self,
        store: Store,
        updates: Updates,
        clock: Clock,
        sleep: Sleep,
        *,
        settings: SweepSettings,
        pushed: bool,
        holder: str | None = None,
    ) -> None:
        self._store = store
        self._updates = updates
        self._clock = clock
        self._sleep = sleep
        self._settings = settings
        self._pushed = pushed
        self._pause_seconds = PUSHED_PAUSE_SECONDS if pushed else PAUSE_SECONDS
        self._holder = holder or f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
        self._renew_at = 0.0
        self._taking: asyncio.Future[bool] | None = None

    async def sweep_for_ever(self) -> NoReturn:
        """Sweep now and again and again, whenever this is the leader. What fails is tried again after a pause."""
        try:
            while True:
                try:
                    if await self._leads():
                        await self.sweep()
                except WfmError as error:  # what is wrong now may be right after the pause
                    log.warning("sweep_failed", code=error.code, reason=error.message)
                await self._sleep(self._pause_seconds)
        finally:
            if self._taking is not None:  # stopped while it took the lease: it is given back once it is taken
                await asyncio.wait({self._taking})
            with contextlib.suppress(WfmError):
                await self._store.release_lease(LEASE, self._holder)

    async def sweep(self) -> int:
        """Look at the workflows whose time has come; answer at how many. Ends early when another has become the leader."""
        looked_at = failures = 0
        async for workflow_id in self._due():
            if self._clock.now() >= self._renew_at and not await self._leads():
                break
            try:
                await self._look_at(workflow_id)
            except BackendUnavailable as error:
                log.warning("sweep_failed", workflow_id=workflow_id, code=error.code, reason=error.message)
                failures += 1
                if failures == MOST_FAILURES:
                    break
            looked_at += 1
            await self._sleep(1 / self._settings.per_second)
        return looked_at

    async def _leads(self) -> bool:
        """Take the lease, or prolong it."""
        now = self._clock.now()
        until = moment(now + LEASE_PAUSES * self._pause_seconds)
        self._taking = asyncio.ensure_future(self._store.take_lease(LEASE, self._holder, moment(now), until))
        if not await asyncio.shield(self._taking):
            return False
        self._renew_at = now + self._pause_seconds
        return True

    async def _look_at(self, workflow_id: str) -> None:
        """Raises BackendUnavailable; it is the others' turn first in this case, too."""
        try:
            workflow = await self._store.workflow(workflow_id)
            after = workflow
            try:
                after = await self._updates.refreshed(workflow)
            finally:
                if after.last_updated == workflow.last_updated and not self._pushed and not after.status.final:
                    seen = WorkflowChange(last_updated=moment(self._clock.now()))
                    await self._store.change_workflow(workflow_id, seen)
        except WorkflowNotFound:  # its start failed in this moment, and took it back
            return

    async def _due(self) -> AsyncIterator[str]:
        """Ids of workflows, each once."""
        given: set[str] = set()
        async for page in self._queued() if self._pushed else self._unseen():
            new = [workflow.id for workflow in page if workflow.id not in given]
            given.update(new)
            for workflow_id in new:
                yield workflow_id
            if len(page) < PAGE or not new:
                return

    async def _queued(self) -> AsyncIterator[list[Workflow]]:
        """Those that have been queued for longer than it takes to find out whether they are started."""
        query = WorkflowQuery(
            statuses=(WorkflowStatus.QUEUED,),
            created_before=moment(self._clock.now()) - NEVER_BEGAN_AFTER,
            oldest_first=True,
            limit=PAGE,
            summary_only=True,
        )
        while True:
            page = await self._store.workflows(query)
            yield page.items
            query = structs.replace(query, page_token=page.next_page_token)

    async def _unseen(self) -> AsyncIterator[list[Workflow]]:
        """Those that nobody has looked at for long. What was looked at is none of them any more."""
        before = moment(self._clock.now()) - timedelta(seconds=self._settings.after_seconds)
        while True:
            yield await self._store.unfinished_workflows(before, PAGE)
