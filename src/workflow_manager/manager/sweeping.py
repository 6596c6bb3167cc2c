"""Finding workflows whose execution never began, though nobody reads them: a crash can come between saving and starting."""

from __future__ import annotations

from typing import NoReturn

import structlog

from workflow_manager.clock import Clock
from workflow_manager.manager.consistency import Sleep
from workflow_manager.manager.times import moment
from workflow_manager.manager.updates import NEVER_BEGAN_AFTER, Updates
from workflow_manager.model import WorkflowQuery, WorkflowStatus
from workflow_manager.model.errors import WfmError, WorkflowNotFound
from workflow_manager.store import Store

SWEEP_SECONDS = 300.0
PAGE = 100

log = structlog.get_logger("workflow_manager.manager")


async def sweep_for_ever(store: Store, updates: Updates, clock: Clock, sleep: Sleep) -> NoReturn:
    """Sweep now and every five minutes."""
    while True:
        try:
            await sweep(store, updates, clock)
        except WfmError as error:  # what is wrong now may be right in five minutes
            log.warning("sweep_failed", code=error.code, reason=error.message)
        await sleep(SWEEP_SECONDS)


async def sweep(store: Store, updates: Updates, clock: Clock) -> None:
    """Bring every workflow up to date that has been queued for longer than it takes to find out."""
    before = moment(clock.now()) - NEVER_BEGAN_AFTER
    token: str | None = None
    while True:
        page = await store.workflows(
            WorkflowQuery(
                statuses=(WorkflowStatus.QUEUED,),
                created_before=before,
                oldest_first=True,
                limit=PAGE,
                page_token=token,
            )
        )
        for workflow in page.items:
            try:
                await updates.refreshed(workflow)
            except WorkflowNotFound:  # its start failed in this moment, and took it back
                continue
        token = page.next_page_token
        if token is None or len(page.items) < PAGE:
            return
