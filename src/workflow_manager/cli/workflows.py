"""``wfm submit``, ``workflows``, ``workflow``, ``cancel``, ``resume``, ``resolve``: workflows, from their start on."""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from workflow_manager.cli.definitions import split_version
from workflow_manager.cli.exits import usage
from workflow_manager.cli.options import Follow, Json, Namespace, Server, Tags, WorkflowId
from workflow_manager.cli.session import now, parse_tags, session
from workflow_manager.cli.times import parse_time

PAGE = 500
"""How many workflows are asked for at once when many are wanted."""
STATUSES = ("queued", "running", "succeeded", "failed", "cancelled")


def submit(
    name: Annotated[
        str, typer.Argument(metavar="NAME[@VERSION]", help="The definition; its latest version if none is given.")
    ],
    input_: Annotated[
        str, typer.Argument(metavar="[INPUT|@FILE|-]", help="A JSON object; of a file, or of standard input.")
    ] = "{}",
    namespace: Namespace = None,
    queue: Annotated[str, typer.Option("--queue", "-q", help="Queue it waits in.")] = "default",
    tag: Tags = None,
    follow: Follow = False,
    server: Server = None,
    json: Json = False,
) -> None:
    """Submit a workflow."""
    definition, version = split_version(name)
    text = read_input(input_)
    tags = parse_tags(tag)
    with session(server, json) as at:
        from workflow_manager.client import LATEST
        from workflow_manager.model import NewWorkflow

        workflow = at.client.start_workflow(
            NewWorkflow(
                definition_name=definition,
                version=LATEST if version is None else version,
                input=text,
                namespace=at.namespace if namespace is None else namespace,
                queue=queue,
                tags=tags,
            )
        )
        if follow:
            from workflow_manager.cli.follow import follow_workflow

            raise typer.Exit(follow_workflow(at, workflow))
        if at.output.json:
            at.output.line(workflow)
        else:
            at.output.show(f"submitted workflow {workflow.id}")
            at.output.show(f"see it with: wfm workflow {workflow.id} --follow", style="dim")


def workflows(
    definition: Annotated[
        str | None, typer.Option("--definition", "-d", metavar="NAME", help="Of this definition.", show_default=False)
    ] = None,
    status: Annotated[
        list[str] | None,
        typer.Option("--status", "-s", help=f"One of {', '.join(STATUSES)}; may be repeated.", show_default=False),
    ] = None,
    namespace: Annotated[
        str | None, typer.Option("--namespace", "-n", help="Of this namespace.", show_default=False)
    ] = None,
    queue: Annotated[str | None, typer.Option("--queue", "-q", help="Of this queue.", show_default=False)] = None,
    tag: Tags = None,
    after: Annotated[
        str | None,
        typer.Option("--after", metavar="TIME", help="Created then or later: 2026-03-01T09:30:00Z, 2h, 3d."),
    ] = None,
    before: Annotated[str | None, typer.Option("--before", metavar="TIME", help="Created before then.")] = None,
    unresolved: Annotated[
        bool, typer.Option("--unresolved", help="Neither succeeded, nor cancelled, nor resolved by a person.")
    ] = False,
    oldest_first: Annotated[bool, typer.Option("--oldest-first", help="Instead of newest first.")] = False,
    limit: Annotated[int, typer.Option("--limit", "-l", min=1, metavar="N", help="At most so many.")] = 20,
    everything: Annotated[bool, typer.Option("--all", help="All of them, however many.")] = False,
    server: Server = None,
    json: Json = False,
) -> None:
    """List workflows."""
    from itertools import islice

    from workflow_manager.model import WorkflowQuery, WorkflowStatus

    wrong = [each for each in status or () if each not in STATUSES]
    if wrong:
        raise usage(f"--status {wrong[0]!r} must be one of {', '.join(STATUSES)}")
    moment = now()
    query = WorkflowQuery(
        definition_name=definition,
        statuses=tuple(WorkflowStatus(each) for each in status or ()),
        namespace=namespace,
        queue=queue,
        tags=parse_tags(tag),
        created_after=_time("--after", after),
        created_before=_time("--before", before),
        resolved_by_user=False if unresolved else None,
        oldest_first=oldest_first,
        limit=PAGE if everything else min(limit, PAGE),
        summary_only=not json,
    )
    with session(server, json) as at:
        found = islice(at.client.iterate_workflows(query), None if everything else limit)
        if at.output.json:
            for each in found:
                at.output.line(each)
            return
        from workflow_manager.cli.views import workflows_table

        listed = list(found)
        if listed:
            at.output.show(workflows_table(listed, moment))
        else:
            at.output.show("no such workflows")
        if len(listed) == limit and not everything:
            at.output.show(f"the first {limit}; more with --limit or --all", style="dim")


def workflow(
    workflow_id: WorkflowId,
    follow: Follow = False,
    full: Annotated[bool, typer.Option("--full", help="With the input and output of every job.")] = False,
    server: Server = None,
    json: Json = False,
) -> None:
    """Show a workflow and its jobs."""
    with session(server, json) as at:
        found = at.client.workflow(workflow_id)
        if follow:
            from workflow_manager.cli.follow import follow_workflow

            raise typer.Exit(follow_workflow(at, found, full=full))
        if at.output.json:
            at.output.line(found)
        else:
            from workflow_manager.cli.views import workflow_view

            at.output.show(workflow_view(found, now(), full=full))


def cancel(
    workflow_id: WorkflowId,
    reason: Annotated[str, typer.Option("--reason", "-r", help="Why; it is kept with the workflow.")],
    server: Server = None,
    json: Json = False,
) -> None:
    """Cancel a workflow."""
    if not reason.strip():
        raise usage("--reason is empty; say why the workflow is cancelled")
    with session(server, json) as at:
        at.client.cancel_workflow(workflow_id, reason)
        if at.output.json:
            at.output.line(at.client.workflow(workflow_id))
        else:
            at.output.show(f"cancelled workflow {workflow_id}")


def resume(
    workflow_id: WorkflowId,
    start_at: Annotated[str, typer.Option("--from", metavar="STATE", help="State to start at; it must have run.")],
    follow: Follow = False,
    server: Server = None,
    json: Json = False,
) -> None:
    """Start a new workflow from a state of a finished one."""
    with session(server, json) as at:
        resumed = at.client.resume_workflow(workflow_id, start_at)
        if follow:
            from workflow_manager.cli.follow import follow_workflow

            raise typer.Exit(follow_workflow(at, resumed))
        if at.output.json:
            at.output.line(resumed)
        else:
            at.output.show(f"resumed from {start_at} as workflow {resumed.id}")


def resolve(workflow_id: WorkflowId, server: Server = None, json: Json = False) -> None:
    """Mark a failed workflow as looked after."""
    with session(server, json) as at:
        at.client.resolve_workflow(workflow_id)
        if at.output.json:
            at.output.line(at.client.workflow(workflow_id))
        else:
            at.output.show(f"resolved workflow {workflow_id}")


def read_input(argument: str) -> str:
    """The text of an input: the argument itself, @FILE's, or standard input's for ``-``. Raises Problem."""
    import msgspec

    where = {"-": "standard input"}.get(argument, argument.removeprefix("@") if argument.startswith("@") else "INPUT")
    try:
        if argument == "-":
            text = sys.stdin.buffer.read().decode()
        elif argument.startswith("@"):
            text = Path(argument[1:]).read_text(encoding="utf-8")
        else:
            text = argument
        value = msgspec.json.decode(text)
    except OSError as error:
        raise usage(f"{where}: cannot be read ({(error.strerror or str(error)).lower()})") from None
    except UnicodeError:
        raise usage(f"{where}: is not UTF-8 text") from None
    except (msgspec.DecodeError, RecursionError) as error:
        raise usage(f"{where}: is not JSON ({_plain(error)}); give an object such as '{{\"foo\": true}}'") from None
    if not isinstance(value, dict):
        raise usage(f"{where}: must be a JSON object such as '{{\"foo\": true}}', not {_kind(value)}")
    return text


def _plain(error: Exception) -> str:
    return str(error).removeprefix("JSON is malformed: ")


def _kind(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case str():
            return "text"
        case _:
            return "a list"


def _time(option: str, text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        return parse_time(text, now())
    except ValueError as error:
        raise usage(f"{option}: {error}") from None
