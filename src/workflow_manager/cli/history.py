"""``wfm history`` and ``wfm follow``: what has happened in one workflow, and what happens in many."""

from __future__ import annotations

import queue
import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from workflow_manager.cli.exits import ExitCode, complain, usage
from workflow_manager.cli.follow import EXITS, STYLES, event_line, told
from workflow_manager.cli.options import Json, OutputFormat, Server, Where, WorkflowId
from workflow_manager.cli.session import Session, now, session

if TYPE_CHECKING:
    from workflow_manager.client import Event
    from workflow_manager.model import Workflow, WorkflowQuery

MANY = 100
"""How many workflows are followed at once; each has a connection."""
LOOK_SECONDS = 2.0
"""How often it is looked for further workflows."""
ID_LENGTH = 8


def history(
    workflow_id: WorkflowId,
    type_: Annotated[
        str | None,
        typer.Option("--type", metavar="TEXT", help="Only events whose type has this in it.", show_default=False),
    ] = None,
    state: Annotated[
        str | None,
        typer.Option("--state", metavar="NAME", help="Only events that name this state.", show_default=False),
    ] = None,
    after: Annotated[int, typer.Option("--after", metavar="ID", min=0, help="Only events after this one.")] = 0,
    full: Annotated[bool, typer.Option("--full", help="With all details of every event.")] = False,
    server: Server = None,
    json: Json = False,
    output: OutputFormat = None,
) -> None:
    """Show the events of a workflow's execution so far."""
    from workflow_manager.client import HISTORY

    with session(server, json, output) as at:
        since = at.client.workflow(workflow_id, fetch_history=False).created_at
        for event in at.client.events_so_far(workflow_id, last_event_id=after):
            if event.name == HISTORY and _wanted(event.data, type_, state):
                _show(at, event, since, full=full)


def _wanted(data: dict[str, Any], type_: str | None, state: str | None) -> bool:
    if type_ is not None and type_.lower() not in str(data.get("type", "")).lower():
        return False
    return state is None or _details(data).get("name") == state


def _details(data: dict[str, Any]) -> dict[str, Any]:
    found = next((value for name, value in data.items() if name.endswith("Details")), None)
    return found if isinstance(found, dict) else {}


def _show(at: Session, event: Event, since: datetime, *, full: bool) -> None:
    if at.output.structured:
        at.output.line(event.data)
        return
    kind = str(event.data.get("type", ""))
    style = next((style for end, style in STYLES.items() if kind.endswith(end)), None)
    at.output.show(f"{event.id:>6}{event_line(event, since)}", style=style)
    if full:
        for name, value in _details(event.data).items():
            at.output.show(f"{'':>20}{name}: {value}", style="dim")


def follow(
    workflow_ids: Annotated[
        list[str] | None, typer.Argument(metavar="[ID...]", help="Workflows.", show_default=False)
    ] = None,
    where: Where = None,
    errors: Annotated[
        bool, typer.Option("--errors", help="Only what failed, timed out or was aborted, and how each ended.")
    ] = False,
    exit_: Annotated[
        bool, typer.Option("--exit", help="With --where: end when those found at first have ended.")
    ] = False,
    server: Server = None,
    json: Json = False,
    output: OutputFormat = None,
) -> None:
    """Follow many workflows at once, a line for each event; with --where also those that come."""
    if bool(workflow_ids) == bool(where):
        raise usage("name workflows, or say which with --where definition=NAME")
    with session(server, json, output) as at:
        from workflow_manager.cli.where import parse_where

        began = now()
        queries = parse_where(where or (), began) if where else []
        raise typer.Exit(_Followed(at, errors=errors).run(workflow_ids or [], queries, began, goes_on=not exit_))


class _Followed:
    """Workflows that are followed, each in a thread with a connection of its own; their lines come out one at a time."""

    def __init__(self, at: Session, *, errors: bool) -> None:
        self._at = at
        self._errors = errors
        self._lines: queue.Queue[tuple[Workflow, Event | None]] = queue.Queue(1000)
        self._known: set[str] = set()
        self._open = 0
        self._too_many = False
        self._code = ExitCode.OK

    def run(self, ids: list[str], queries: list[WorkflowQuery], began: datetime, *, goes_on: bool) -> ExitCode:
        for workflow_id in ids:
            self._begin(self._at.client.workflow(workflow_id, fetch_history=False))
        for query in queries:
            self._find(query, running=True)
        looked = began
        while self._open or (queries and goes_on):
            try:
                workflow, event = self._lines.get(timeout=LOOK_SECONDS if queries else None)
            except queue.Empty:
                pass
            else:
                self._tell(workflow, event)
            if queries and goes_on and now() - looked > timedelta(seconds=LOOK_SECONDS):
                looked = now()
                for query in queries:
                    self._find(query, since=began)
        return self._code

    def _find(self, query: WorkflowQuery, *, running: bool = False, since: datetime | None = None) -> None:
        """Begin with what the query finds: at first those that run, later those that came since."""
        from msgspec import structs

        from workflow_manager.model import WorkflowStatus

        if running and not query.statuses:
            query = structs.replace(query, statuses=(WorkflowStatus.QUEUED, WorkflowStatus.RUNNING))
        if since is not None:
            query = structs.replace(query, created_after=max(since, query.created_after or since))
        for workflow in self._at.client.iterate_workflows(query):
            self._begin(workflow)

    def _begin(self, workflow: Workflow) -> None:
        if workflow.id in self._known:
            return
        if self._open >= MANY:
            if not self._too_many:
                complain(f"more than {MANY} at once; further ones are followed when some of these have ended")
            self._too_many = True
            return
        self._known.add(workflow.id)
        self._open += 1
        threading.Thread(target=self._read, args=(workflow,), daemon=True).start()

    def _read(self, workflow: Workflow) -> None:
        from workflow_manager.client import WORKFLOW, ClientError
        from workflow_manager.model import WorkflowStatus

        ended: Event | None = None  # is told last, though it is what a stream begins with where the end has been
        try:
            with self._at.another_client() as client:
                for event in client.events(workflow.id):
                    if event.name == WORKFLOW and WorkflowStatus(event.data.get("status", "queued")).final:
                        ended = event
                    else:
                        self._lines.put((workflow, event))
            if ended is not None:
                self._lines.put((workflow, ended))
        except ClientError as error:
            complain(f"workflow {workflow.id} is followed no more: {error}")
        self._lines.put((workflow, None))

    def _tell(self, workflow: Workflow, event: Event | None) -> None:
        from workflow_manager.client import WORKFLOW
        from workflow_manager.model import WorkflowStatus

        if event is None:
            self._open -= 1
            return
        ended = None
        if event.name == WORKFLOW:
            status = WorkflowStatus(event.data.get("status", "queued"))
            if not status.final:
                return
            ended = status
            self._code = max(self._code, EXITS[status])
        kind = str(event.data.get("type", ""))
        style = next((style for end, style in STYLES.items() if kind.endswith(end)), None)
        if self._errors and ended is None and style != "red":
            return
        if self._at.output.structured:
            self._at.output.line({"workflow": workflow.id, "event": event.name, "data": event.data})
            return
        moment = datetime.fromtimestamp(event.data["timestamp"], UTC) if "timestamp" in event.data else now()
        head = f"{moment.astimezone():%H:%M:%S}  {workflow.id[:ID_LENGTH]}  {workflow.workflow_definition.name}  "
        if ended is not None:
            reason = " ".join(str(event.data.get("statusReason", "")).split())
            self._at.output.show(f"{head}{ended.value}  {reason}".rstrip(), style=_ENDS.get(ended.value))
        else:
            self._at.output.show(f"{head}{kind}  {told(_details(event.data))}".rstrip(), style=style)


_ENDS = {"succeeded": "bold green", "failed": "bold red", "cancelled": "bold yellow"}
