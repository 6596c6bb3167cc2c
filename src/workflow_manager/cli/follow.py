"""Following a workflow: what happens, as it happens, and how it ended."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from workflow_manager.cli.exits import ExitCode, Problem
from workflow_manager.cli.session import Session, now
from workflow_manager.cli.times import Times
from workflow_manager.client import HISTORY, Event
from workflow_manager.model import Workflow, WorkflowStatus

EXITS = {
    WorkflowStatus.SUCCEEDED: ExitCode.OK,
    WorkflowStatus.FAILED: ExitCode.FAILED,
    WorkflowStatus.CANCELLED: ExitCode.CANCELLED,
}
"""How a workflow ended -> the exit code of who followed it."""
STYLES = {"Succeeded": "green", "Failed": "red", "TimedOut": "red", "Aborted": "yellow", "Retried": "yellow"}
"""End of an event's type -> its colour."""
TOLD = ("error", "cause", "workerName", "resource")
"""Which details of an event are told besides its state."""
DETAIL_LENGTH = 120


def follow_workflow(at: Session, workflow: Workflow, *, full: bool = False) -> ExitCode:
    """Print events until the workflow has ended, then the workflow; answer how it ended.

    As JSON lines: every event as the stream has it (``event`` says which kind), then the workflow on the last line.
    """
    try:
        _follow(at, workflow)
        ended = at.client.workflow(workflow.id)
    except KeyboardInterrupt:
        raise Problem(
            f"stopped following; the workflow goes on: wfm workflow {workflow.id} --follow", ExitCode.INTERRUPTED
        ) from None
    if at.output.structured:
        at.output.line(ended)
    else:
        from workflow_manager.cli.views import workflow_view

        at.output.show("")
        at.output.show(workflow_view(ended, Times(at.times.style, now()), full=full))
    return EXITS.get(ended.status, ExitCode.FAILED)


def _follow(at: Session, workflow: Workflow) -> None:
    if not at.output.structured:
        at.output.show(f"workflow {workflow.id}", style="bold")
    for event in at.client.events(workflow.id):
        if at.output.structured:
            at.output.line({"event": event.name, "data": event.data})
        elif event.name == HISTORY:
            kind = str(event.data.get("type", ""))
            style = next((style for end, style in STYLES.items() if kind.endswith(end)), None)
            at.output.show(event_line(event, workflow.created_at), style=style)


def event_line(event: Event, since: datetime) -> str:
    """An event of the history on one line: when, what, where, why."""
    data = event.data
    stamp = data.get("timestamp")
    moment = datetime.fromtimestamp(stamp, UTC) if isinstance(stamp, int | float) else since
    seconds = max((moment - since).total_seconds(), 0.0)
    details = next((value for name, value in data.items() if name.endswith("Details")), None) or {}
    return f"  {seconds:7.2f} s  {data.get('type', ''):<28}{told(details)}".rstrip()


def told(details: dict[str, Any]) -> str:
    """What an event says of its state and its end, shortened."""
    parts = [str(details[name]) for name in ("name", *TOLD) if details.get(name)]
    text = "  ".join(" ".join(part.split()) for part in parts)
    return text if len(text) <= DETAIL_LENGTH else text[: DETAIL_LENGTH - 3] + "..."
