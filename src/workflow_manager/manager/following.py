"""Following one workflow live: its history and its statuses, until it has ended."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

from workflow_manager.manager.consistency import Sleep
from workflow_manager.manager.executions import Executions
from workflow_manager.model import Workflow
from workflow_manager.stepfunctions.changes import ExecutionChanges
from workflow_manager.stepfunctions.history import HistoryEvent

NOTIFIED_SECONDS = 15.0
"""How long a notification of a change is waited for before looking anyway: some changes leave no event."""
FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 2.0


async def follow(
    read: Callable[[], Awaitable[Workflow]],
    executions: Executions,
    changes: ExecutionChanges | None,
    sleep: Sleep,
    after_event_id: int,
    *,
    wait: bool = True,
) -> AsyncIterator[HistoryEvent | Workflow]:
    """The workflow as ``read`` answers it now; then history events and, whenever its status changes, the workflow again.

    A status comes after every event that led to it, and the final one last, unless it was final to begin with: then the
    events follow it. Without ``wait`` it ends with what has happened so far.
    """
    workflow = await read()
    yield workflow
    last_event_id, pause = after_event_id, FIRST_PAUSE_SECONDS
    while True:
        current = workflow if workflow.status.final else await read()
        events = await executions.events(current, after_event_id=last_event_id)
        for event in events:
            last_event_id = event.id
            yield event
        if current.status is not workflow.status:
            yield current
        news = bool(events) or current.status is not workflow.status
        workflow = current
        if workflow.status.final or not wait:
            return
        if changes is None:
            pause = FIRST_PAUSE_SECONDS if news else min(2 * pause, LONGEST_PAUSE_SECONDS)
            await sleep(pause)
            continue
        if not news:  # a notification without news must not become a busy loop
            await sleep(FIRST_PAUSE_SECONDS)
        await executions.changed(changes, workflow, last_event_id, NOTIFIED_SECONDS)
