"""``wfm top``: what runs and what failed, by queue and by definition, and who works; live on a terminal."""

from __future__ import annotations

import time
from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from workflow_manager.cli.options import Json, OutputFormat, Server
from workflow_manager.cli.session import Session, now, session

if TYPE_CHECKING:
    from rich.console import RenderableType

    from workflow_manager.model import Workflow

SEEN = 1000
"""How many workflows of each status are looked at; a number that reached it is shown with a +."""
LOOKED_INTO = 25
"""Of how many running workflows the jobs are read, to learn who works."""
ROWS = 15


def top(
    interval: Annotated[float, typer.Option("--interval", metavar="SECONDS", min=0.5, help="Between two looks.")] = 2.0,
    since: Annotated[
        int, typer.Option("--hours", metavar="N", min=1, max=8760, help="Failures of the last so many hours.")
    ] = 24,
    once: Annotated[
        bool, typer.Option("--once", help="One look; also what is shown where there is no terminal.")
    ] = False,
    server: Server = None,
    json: Json = False,
    output: OutputFormat = None,
) -> None:
    """Show queues, running and failed workflows and workers, live."""
    with session(server, json, output) as at:
        if once or at.output.structured or not at.output.terminal:
            look = _look(at, since)
            if at.output.structured:
                at.output.line(look)
            else:
                at.output.show(_view(look, at))
            return
        from rich.live import Live

        with Live(screen=True, auto_refresh=False) as live:
            while True:
                live.update(_view(_look(at, since), at), refresh=True)
                time.sleep(interval)


def _look(at: Session, hours: int) -> dict[str, Any]:
    """What there is at this moment; counts are of the newest SEEN workflows of a status."""
    from itertools import islice

    from workflow_manager.model import WorkflowQuery, WorkflowStatus

    def newest(status: WorkflowStatus, **fields: Any) -> list[Workflow]:
        query = WorkflowQuery(statuses=(status,), limit=500, summary_only=True, **fields)
        return list(islice(at.client.iterate_workflows(query), SEEN))

    queued = newest(WorkflowStatus.QUEUED)
    running = newest(WorkflowStatus.RUNNING)
    failed = newest(WorkflowStatus.FAILED, resolved_by_user=False, created_after=now() - timedelta(hours=hours))
    kinds = {"queued": queued, "running": running, "failed": failed}
    return {
        "at": now(),
        "hours": hours,
        "total": {kind: len(found) for kind, found in kinds.items()},
        "complete": {kind: len(found) < SEEN for kind, found in kinds.items()},
        "queues": _counts(kinds, lambda each: each.queue),
        "definitions": _counts(kinds, lambda each: each.workflow_definition.name),
        "workers": _workers(at, running[:LOOKED_INTO]),
        "newestFailures": [
            {
                "id": each.id,
                "definition": each.workflow_definition.name,
                "createdAt": each.created_at,
                "state": each.last_job.state if each.last_job is not None else "",
                "reason": each.status_reason,
            }
            for each in failed[:ROWS]
        ],
    }


def _counts(kinds: dict[str, list[Workflow]], name_of: Any) -> list[dict[str, Any]]:
    counts = {kind: Counter(name_of(each) for each in found) for kind, found in kinds.items()}
    names = sorted({name for each in counts.values() for name in each})
    return [{"name": name, **{kind: count[name] for kind, count in counts.items()}} for name in names]


def _workers(at: Session, running: list[Workflow]) -> list[dict[str, Any]]:
    """Who runs a job of the newest running workflows: only the backend knows its workers, by what they have begun."""
    from workflow_manager.client import ApiError
    from workflow_manager.model import JobStatus

    busy: dict[str, list[str]] = {}
    for workflow in running:
        try:
            jobs = at.client.workflow(workflow.id).jobs or []
        except ApiError:  # it has gone meanwhile
            continue
        for job in jobs:
            if job.status is JobStatus.RUNNING and job.container:
                busy.setdefault(job.container, []).append(job.state)
    return [{"name": name, "jobs": len(states), "states": sorted(set(states))} for name, states in sorted(busy.items())]


def _view(look: dict[str, Any], at: Session) -> RenderableType:
    from rich.console import Group
    from rich.text import Text

    def number(kind: str) -> str:
        return f"{look['total'][kind]:,}{'' if look['complete'][kind] else '+'}"

    head = Text.assemble(
        (f"{look['at'].astimezone():%H:%M:%S}  ", "dim"),
        (f"{number('queued')} queued  ", "cyan"),
        (f"{number('running')} running  ", "blue"),
        (f"{number('failed')} failed and unresolved within {look['hours']} h", "red"),
    )
    parts: list[RenderableType] = [head]
    for title, rows in (("QUEUE", look["queues"]), ("DEFINITION", look["definitions"])):
        if rows:
            ordered = sorted(rows, key=lambda row: (-row["failed"], -row["running"], row["name"]))[:ROWS]
            cells = [[row["name"], *(f"{row[kind]:,}" for kind in ("queued", "running", "failed"))] for row in ordered]
            parts += [Text(), _table((title, "QUEUED", "RUNNING", "FAILED"), cells)]
    if look["workers"]:
        cells = [[row["name"], str(row["jobs"]), ", ".join(row["states"])] for row in look["workers"][:ROWS]]
        parts += [Text(), _table(("WORKER", "JOBS", "STATES"), cells)]
    if look["newestFailures"]:
        times = type(at.times)(at.times.style, look["at"])
        cells = [
            [
                row["id"],
                row["definition"],
                times.when(row["createdAt"]),
                row["state"],
                " ".join(row["reason"].split())[:60],
            ]
            for row in look["newestFailures"]
        ]
        parts += [Text(), _table(("FAILED", "DEFINITION", "CREATED", "STATE", "REASON"), cells)]
    return Group(*parts)


def _table(columns: tuple[str, ...], rows: list[list[str]]) -> RenderableType:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, header_style="dim", pad_edge=False, padding=(0, 2, 0, 0))
    for column in columns:
        right = column in ("QUEUED", "RUNNING", "JOBS") or (column == "FAILED" and columns[0] != "FAILED")
        table.add_column(column, overflow="fold", justify="right" if right else "left")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    return table
