"""Redrive: an execution that failed, timed out or was aborted runs again from where it did not succeed.

Pure, like all of the step. The frames are those that the execution ended with (``Effects.remains``). States that had been
entered do their work again without being entered again, with their retries reset; branches and iterations that succeeded
keep what they made, and so do the children of a Map Run. A Fail state alone is entered again.

Source: SFN developer guide, "Restarting state machine executions with redrive".
"""

from __future__ import annotations

from workflow_manager.asl.program import FailState, MapState
from workflow_manager.engine.core import children, distributed, outcomes
from workflow_manager.engine.core.draft import Draft
from workflow_manager.engine.core.frames import ROOT, Frame, Phase

REDRIVABLE = ("FAILED", "TIMED_OUT", "ABORTED")
"""Statuses of executions that can be redriven."""
PERIOD_SECONDS = 14 * 86_400.0
"""How long after its end an execution can be redriven."""
MAX_REDRIVES = 1_000
CLIENT_TOKEN_SECONDS = 15 * 60.0
"""How long a redrive's clientToken is known."""


def redrive(draft: Draft) -> None:
    """Begin again; the execution's own timeout begins anew, too."""
    execution, timeout = draft.execution, draft.program.timeout_seconds
    event = draft.emit(execution.last_event, "ExecutionRedriven", {"redriveCount": execution.redrive_count})
    if timeout is not None:
        draft.effects.timers[ROOT, "execution"] = draft.now + timeout
    _resume(draft, draft.touch(ROOT), event)


def _resume(draft: Draft, frame: Frame, event: int) -> None:
    """Have a frame go on after the event; of a Parallel or Map, the children that did not succeed."""
    if frame.children is not None:
        _resume_children(draft, frame, event)
        return
    if frame.map_run is not None:
        distributed.redrive(draft, frame, event)
        return
    frame.phase = Phase.READY
    frame.task = None
    frame.retries = None
    frame.retry_count = 0
    frame.due = 0.0
    frame.last_event = event
    if isinstance(draft.state(frame), FailState):
        frame.entered_event = 0
    draft.ready.append(frame)


def _resume_children(draft: Draft, frame: Frame, event: int) -> None:
    below, state = frame.children, draft.state(frame)
    assert below is not None
    frame.phase = Phase.CHILDREN
    frame.retries = None
    frame.retry_count = 0
    below.failed = 0
    for frame_id in range(below.first, below.first + below.started):
        child = draft.frame(frame_id)
        if child.phase is not Phase.DONE:
            _resume(draft, draft.touch(frame_id), event)
    if isinstance(state, MapState):
        outcomes.guarded(draft, frame, lambda: children.start_iterations(draft, frame, state, event))


def not_redrivable(
    status: str, stop: float | None, now: float, last_event: int, history_events: int, redrives: int, *, kept: bool
) -> str | None:
    """Why an execution cannot be redriven, in AWS's words; None when it can.

    ``last_event``: id of its last event. ``history_events``: how many it may have. ``kept``: whether there is anything to
    begin again with. Source: API reference, DescribeExecution (redriveStatusReason).
    """
    if status not in REDRIVABLE:
        return f"Execution is {status} and cannot be redriven"
    if last_event >= history_events - 1:
        return "Execution history event limit exceeded."
    if not kept:
        return "Execution was started before the launch of RedriveExecution."
    if stop is not None and now - stop > PERIOD_SECONDS:
        return "Execution redrivable period exceeded."
    if redrives >= MAX_REDRIVES:
        return f"Execution has been redriven {MAX_REDRIVES} times and cannot be redriven again"
    return None
