"""How things look on a terminal: tables and summaries of definitions, workflows, jobs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from workflow_manager.cli.times import Times, is_set
from workflow_manager.model import Job, Workflow, WorkflowDefinition

STYLES = {
    "queued": "cyan",
    "created": "cyan",
    "running": "blue",
    "succeeded": "green",
    "failed": "red",
    "cancelled": "yellow",
    "aborted_by_user": "yellow",
}
"""Status -> its colour, of workflows and of jobs."""
REASON_LENGTH = 300


def status(value: str) -> Text:
    return Text(value, style=STYLES.get(value, ""))


def definition_name(definition: WorkflowDefinition) -> str:
    return f"{definition.name}@{definition.version}"


def definitions_table(definitions: Iterable[WorkflowDefinition], times: Times) -> Table:
    table = _table()
    for column in ("NAME", "VERSION", "CREATED", "STARTS AT", "STATES", "TAGS"):
        table.add_column(column, overflow="fold", justify="right" if column in {"VERSION", "STATES"} else "left")
    for each in definitions:
        machine = each.state_machine or {}
        states = machine.get("States")
        table.add_row(
            Text(each.name, style="bold"),
            str(each.version),
            times.when(each.created_at),
            str(machine.get("StartAt", "")),
            str(len(states)) if isinstance(states, dict) else "",
            tags(each.default_tags),
        )
    return table


_NARROW = 100
"""A terminal of fewer columns has no room for all that is said of a workflow in one line."""
_LEFT_OUT = {"QUEUE", "TOOK"}


def workflows_table(workflows: Sequence[Workflow], times: Times, width: int) -> Table:
    """For a terminal of this width. Names fold where they must; ids, statuses and times do not."""
    table = _table()
    table.add_column("ID", no_wrap=True, min_width=max((len(each.id) for each in workflows), default=2))
    columns = [
        each
        for each in ("STATUS", "DEFINITION", "NAMESPACE", "QUEUE", "CREATED", "TOOK")
        if width >= _NARROW or each not in _LEFT_OUT
    ]
    for column in columns:
        table.add_column(column, overflow="fold", min_width={"STATUS": 9, "NAMESPACE": 9, "CREATED": 8}.get(column))
    for each in workflows:
        state = status(each.status)
        if each.status == "failed" and each.resolved_by_user:
            state.append(" (resolved)", style="dim")
        cells: dict[str, Text | str] = {
            "STATUS": state,
            "DEFINITION": definition_name(each.workflow_definition),
            "NAMESPACE": each.namespace,
            "QUEUE": each.queue,
            "CREATED": times.when(each.created_at),
            "TOOK": times.between(each.created_at, each.stopped_at),
        }
        table.add_row(each.id, *(cells[column] for column in columns))
    return table


def workflow_view(workflow: Workflow, times: Times, *, full: bool) -> RenderableType:
    """Everything about a workflow; ``full`` adds the input and output of every job."""
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="dim")
    facts.add_column(overflow="fold")
    for name, value in _facts(workflow, times, full):
        facts.add_row(name, value)
    parts: list[RenderableType] = [
        Text.assemble("workflow ", (workflow.id, "bold"), "  ", status(workflow.status)),
        Padding(facts, (0, 0, 0, 2), expand=False),
    ]
    if workflow.jobs:
        parts += [Text(), jobs_table(workflow.jobs, times)]
        if full:
            parts += [_job_payloads(job) for job in workflow.jobs]
    return Group(*parts)


def jobs_table(jobs: Sequence[Job], times: Times) -> Table:
    table = _table()
    for column in ("STATE", "STATUS", "TOOK", "ATTEMPTS", "WORKER", "REASON"):
        table.add_column(column, overflow="fold", justify="right" if column == "ATTEMPTS" else "left")
    for job in jobs:
        started = job.started_at if is_set(job.started_at) else job.created_at
        table.add_row(
            Text(job.state, style="bold"),
            status(job.status),
            times.between(started, job.stopped_at),
            str(len(job.attempts or ()) + 1),
            job.container,
            _shortened(job.status_reason),
        )
    return table


def tags(values: dict[str, str]) -> str:
    return ", ".join(f"{name}={value}" for name, value in values.items())


def payload(text: str, *, full: bool = True) -> str:
    """JSON text, indented when it is long and wanted in full."""
    if len(text) <= 100:
        return text
    if not full:
        return _shortened(text)
    try:
        return json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    except ValueError:
        return text


def _facts(workflow: Workflow, times: Times, full: bool) -> list[tuple[str, RenderableType]]:
    """What there is to say, without what is empty."""
    took = times.between(workflow.created_at, workflow.stopped_at)
    created = Times("both", times.now).when(workflow.created_at)
    facts = {
        "definition": definition_name(workflow.workflow_definition),
        "namespace": workflow.namespace,
        "queue": workflow.queue,
        "tags": tags(workflow.tags),
        "created": created + (f", took {took}" if is_set(workflow.stopped_at) else f", for {took} now"),
        "reason": workflow.status_reason if full else _shortened(workflow.status_reason),
        "resolved": "by a person" if workflow.status == "failed" and workflow.resolved_by_user else "",
        "resumes": workflow.retry_for,
        "resumed by": ", ".join(workflow.retries or ()),
        "input": payload(workflow.input, full=full),
        "output": payload(workflow.output, full=full),
    }
    return [(name, Text(value)) for name, value in facts.items() if value]


def _job_payloads(job: Job) -> RenderableType:
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="dim")
    facts.add_column(overflow="fold")
    for name, value in (("input", payload(job.input)), ("output", payload(job.output)), ("reason", job.status_reason)):
        if value:
            facts.add_row(name, Text(value))
    return Group(Text(), Text(f"{job.state} ({job.id})", style="bold"), Padding(facts, (0, 0, 0, 2), expand=False))


def _shortened(text: str) -> str:
    return text if len(text) <= REASON_LENGTH else f"{text[:REASON_LENGTH]}... (all of it with --full)"


def _table() -> Table:
    return Table(box=None, header_style="dim", pad_edge=False, padding=(0, 2, 0, 0))
