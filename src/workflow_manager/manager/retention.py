"""Forgetting workflows that ended long ago: they are deleted, a few at a time.

For stores whose items do not expire by themselves, and that one server writes. A workflow's execution is its backend's to forget.
"""

from __future__ import annotations

from datetime import timedelta
from typing import NoReturn

import structlog
from msgspec import structs

from workflow_manager.clock import Clock
from workflow_manager.manager.consistency import Sleep
from workflow_manager.manager.times import moment
from workflow_manager.model import WorkflowQuery, WorkflowStatus
from workflow_manager.model.errors import WfmError
from workflow_manager.store import Store

PAGE = 100
PAUSE_SECONDS = 3600.0
"""How often to look."""
FINAL = tuple(status for status in WorkflowStatus if status.final)

log = structlog.get_logger("workflow_manager.manager")


class Retention:
    """``days``: how long a workflow stays after its end."""

    def __init__(self, store: Store, clock: Clock, sleep: Sleep, *, days: float) -> None:
        self._store = store
        self._clock = clock
        self._sleep = sleep
        self._days = timedelta(days=days)

    async def forget_for_ever(self) -> NoReturn:
        """Forget now and every hour. What fails is tried again then."""
        while True:
            try:
                if count := await self.forget():
                    log.info("workflows_forgotten", count=count)
            except WfmError as error:
                log.warning("forgetting_failed", code=error.code, reason=error.message)
            await self._sleep(PAUSE_SECONDS)

    async def forget(self) -> int:
        """Delete the workflows whose time has come; answer how many. Raises StorageUnavailable."""
        before = moment(self._clock.now()) - self._days
        query = WorkflowQuery(statuses=FINAL, created_before=before, oldest_first=True, limit=PAGE, summary_only=True)
        count = 0
        while True:
            page = await self._store.workflows(query)
            for workflow in page.items:
                if workflow.stopped_at < before:
                    await self._store.delete_workflow(workflow.id)
                    count += 1
            if len(page.items) < PAGE:
                return count
            query = structs.replace(query, page_token=page.next_page_token)
