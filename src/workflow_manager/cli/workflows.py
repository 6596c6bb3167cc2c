"""``wfm submit``, ``workflows``, ``workflow``, ``cancel``, ``resume``, ``resolve``: workflows, from their start on."""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from workflow_manager.cli.bulk import Act, Outcome
from workflow_manager.cli.completion import definition_names
from workflow_manager.cli.definitions import split_version
from workflow_manager.cli.exits import ExitCode, usage
from workflow_manager.cli.options import (
    Follow,
    Json,
    Namespace,
    OptionalId,
    OutputFormat,
    Rate,
    Server,
    Tags,
    Times,
    Where,
    WorkflowId,
    Yes,
)
from workflow_manager.cli.session import Session, now, parse_tags, session
from workflow_manager.cli.times import parse_time

if TYPE_CHECKING:
    from workflow_manager.client import Client
    from workflow_manager.model import Resumption, Workflow, WorkflowQuery

PAGE = 500
"""How many workflows are asked for at once when many are wanted."""
STATUSES = ("queued", "running", "succeeded", "failed", "cancelled")
UNFINISHED = ("queued", "running")
FAILED = ("failed",)


def submit(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME[@VERSION]",
            help="The definition; its latest version if none is given.",
            autocompletion=definition_names,
        ),
    ],
    input_: Annotated[
        str, typer.Argument(metavar="[INPUT|@FILE|-]", help="A JSON object; of a file, or of standard input.")
    ] = "{}",
    namespace: Namespace = None,
    queue: Annotated[str, typer.Option("--queue", "-q", help="Queue it waits in.")] = "default",
    tag: Tags = None,
    idempotency_key: Annotated[
        str | None,
        typer.Option(
            "--idempotency-key",
            metavar="KEY",
            help="Of one key there is one workflow, however often it is submitted.",
            show_default=False,
        ),
    ] = None,
    follow: Follow = False,
    server: Server = None,
    json: Json = False,
    output: OutputFormat = None,
) -> None:
    """Submit a workflow."""
    definition, version = split_version(name)
    text = read_input(input_)
    tags = parse_tags(tag)
    with session(server, json, output) as at:
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
            ),
            idempotency_key=idempotency_key,
        )
        if follow:
            from workflow_manager.cli.follow import follow_workflow

            raise typer.Exit(follow_workflow(at, workflow))
        if at.output.structured:
            at.output.line(workflow)
        else:
            at.output.show(f"submitted workflow {workflow.id}")
            at.output.show(f"see it with: wfm workflow {workflow.id} --follow", style="dim")


def workflows(
    definition: Annotated[
        str | None,
        typer.Option(
            "--definition",
            "-d",
            metavar="NAME",
            help="Of this definition.",
            show_default=False,
            autocompletion=definition_names,
        ),
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
    times: Times = None,
    server: Server = None,
    json: Json = False,
    output: OutputFormat = None,
) -> None:
    """List workflows."""
    from itertools import islice

    from msgspec import structs

    from workflow_manager.model import WorkflowQuery, WorkflowStatus

    wrong = [each for each in status or () if each not in STATUSES]
    if wrong:
        raise usage(f"--status {wrong[0]!r} must be one of {', '.join(STATUSES)}")
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
    )
    with session(server, json, output, times) as at:
        query = structs.replace(query, summary_only=not at.output.structured)
        found = islice(at.client.iterate_workflows(query), None if everything else limit)
        if at.output.structured:
            for each in found:
                at.output.line(each)
            return
        from workflow_manager.cli.views import workflows_table

        listed = list(found)
        if listed:
            at.output.show(workflows_table(listed, at.times, at.output.width))
        else:
            at.output.show("no such workflows")
        if len(listed) == limit and not everything:
            at.output.show(f"the first {limit}; more with --limit or --all", style="dim")


def workflow(
    workflow_id: WorkflowId,
    follow: Follow = False,
    full: Annotated[bool, typer.Option("--full", help="With the input and output of every job.")] = False,
    times: Times = None,
    server: Server = None,
    json: Json = False,
    output: OutputFormat = None,
) -> None:
    """Show a workflow and its jobs."""
    with session(server, json, output, times) as at:
        found = at.client.workflow(workflow_id)
        if follow:
            from workflow_manager.cli.follow import follow_workflow

            raise typer.Exit(follow_workflow(at, found, full=full))
        if at.output.structured:
            at.output.line(found)
        else:
            from workflow_manager.cli.views import workflow_view

            at.output.show(workflow_view(found, at.times, full=full))


def cancel(
    workflow_id: OptionalId = None,
    reason: Annotated[str, typer.Option("--reason", "-r", help="Why; it is kept with the workflow.")] = "",
    where: Where = None,
    yes: Yes = False,
    rate: Rate = None,
    server: Server = None,
    json: Json = False,
    output: OutputFormat = None,
) -> None:
    """Cancel a workflow, or all that --where finds."""
    if not reason.strip():
        raise usage("--reason is missing or empty; say why it is cancelled")
    with session(server, json, output) as at:
        if (queries := _queries(workflow_id, where, statuses=UNFINISHED)) is not None:

            def act(client: Client, workflow: Workflow) -> Outcome:
                client.cancel_workflow(workflow.id, reason)
                return _done(workflow)

            raise typer.Exit(_for_each(at, queries, "cancel", act, yes, rate))
        at.client.cancel_workflow(str(workflow_id), reason)
        if at.output.structured:
            at.output.line(at.client.workflow(str(workflow_id)))
        else:
            at.output.show(f"cancelled workflow {workflow_id}")


def resume(
    workflow_id: OptionalId = None,
    start_at: Annotated[
        str,
        typer.Option(
            "--from", metavar="STATE", help="State to start at, at the top level; failed is the one that it ended in."
        ),
    ] = "",
    input_: Annotated[
        str | None,
        typer.Option(
            "--input", metavar="FILE|-", help="A JSON object in place of the state's input.", show_default=False
        ),
    ] = None,
    version: Annotated[
        str | None,
        typer.Option("--version", metavar="N|latest", help="On this version of the definition.", show_default=False),
    ] = None,
    where: Where = None,
    yes: Yes = False,
    rate: Rate = None,
    follow: Follow = False,
    server: Server = None,
    json: Json = False,
    output: OutputFormat = None,
) -> None:
    """Start a new workflow from a state of a finished one, or of all that --where finds."""
    from workflow_manager.model import Resumption

    if not start_at:
        raise usage("--from is missing; name a state, or failed for the state that failed")
    how = Resumption(
        start_at=start_at,
        input=None if input_ is None else read_input(input_ if input_ == "-" else f"@{input_}"),
        version=None if version is None else split_version(f"definition@{version}")[1],
    )
    with session(server, json, output) as at:
        if (queries := _queries(workflow_id, where, statuses=FAILED)) is not None:
            if follow:
                raise usage("--follow is for one workflow; use wfm follow --where")

            def act(client: Client, workflow: Workflow) -> Outcome:
                if start_at == FROM_FAILED:  # what was listed has no states to look for that name among
                    workflow = client.workflow(workflow.id, fetch_history=False)
                if workflow.retries:
                    return Outcome(workflow.id, "skipped", "was resumed before")
                return Outcome(workflow.id, "done", client.resume_workflow(workflow.id, _meant(how, workflow)).id)

            raise typer.Exit(_for_each(at, queries, "resume", act, yes, rate))
        original = at.client.workflow(str(workflow_id)) if start_at == FROM_FAILED else None
        resumed = at.client.resume_workflow(str(workflow_id), how if original is None else _meant(how, original))
        if follow:
            from workflow_manager.cli.follow import follow_workflow

            raise typer.Exit(follow_workflow(at, resumed))
        if at.output.structured:
            at.output.line(resumed)
            return
        began = str((resumed.workflow_definition.state_machine or {}).get("StartAt", start_at))
        failed = original.last_job.state if original is not None and original.last_job is not None else began
        if start_at == FROM_FAILED and failed != began:
            at.output.show(f"what failed is {failed}; it cannot be started alone, so {began} starts", style="dim")
        at.output.show(f"resumed from {began} as workflow {resumed.id}")


FROM_FAILED = "failed"


def _meant(how: Resumption, workflow: Workflow) -> Resumption:
    """``--from failed`` is the state that failed, unless a state of the definition has that name."""
    from msgspec import structs

    states = (workflow.workflow_definition.state_machine or {}).get("States")
    if how.start_at != FROM_FAILED or (isinstance(states, dict) and FROM_FAILED in states):
        return how
    return structs.replace(how, start_at="", from_failed=True)


def resolve(
    workflow_id: OptionalId = None,
    where: Where = None,
    yes: Yes = False,
    rate: Rate = None,
    server: Server = None,
    json: Json = False,
    output: OutputFormat = None,
) -> None:
    """Mark a failed workflow as looked after, or all that --where finds."""
    with session(server, json, output) as at:
        if (queries := _queries(workflow_id, where, statuses=FAILED, resolved_by_user=False)) is not None:

            def act(client: Client, workflow: Workflow) -> Outcome:
                if workflow.resolved_by_user:
                    return Outcome(workflow.id, "skipped", "is resolved already")
                client.resolve_workflow(workflow.id)
                return _done(workflow)

            raise typer.Exit(_for_each(at, queries, "resolve", act, yes, rate))
        at.client.resolve_workflow(str(workflow_id))
        if at.output.structured:
            at.output.line(at.client.workflow(str(workflow_id)))
        else:
            at.output.show(f"resolved workflow {workflow_id}")


def refresh(
    workflow_id: OptionalId = None,
    where: Where = None,
    yes: Yes = False,
    rate: Rate = None,
    server: Server = None,
    json: Json = False,
    output: OutputFormat = None,
) -> None:
    """Bring a workflow up to date with its execution, or all that --where finds."""
    with session(server, json, output) as at:
        if (queries := _queries(workflow_id, where, statuses=UNFINISHED)) is not None:

            def act(client: Client, workflow: Workflow) -> Outcome:
                return Outcome(workflow.id, "done", client.workflow(workflow.id, fetch_history=False).status.value)

            raise typer.Exit(_for_each(at, queries, "refresh", act, yes, rate))
        found = at.client.workflow(str(workflow_id))
        if at.output.structured:
            at.output.line(found)
        else:
            at.output.show(f"workflow {workflow_id} is {found.status}")


def _queries(workflow_id: str | None, where: list[str] | None, **defaults: Any) -> list[WorkflowQuery] | None:
    """What --where asks for; None for one workflow. Raises Problem unless exactly one of them is given."""
    if (workflow_id is None) == (not where):
        raise usage("name one workflow, or say which with --where status=failed,definition=NAME")
    if not where:
        return None
    from workflow_manager.cli.where import parse_where
    from workflow_manager.model import WorkflowStatus

    if "statuses" in defaults:
        defaults["statuses"] = tuple(WorkflowStatus(each) for each in defaults["statuses"])
    return parse_where(where, now(), **defaults)


def _for_each(
    at: Session, queries: list[WorkflowQuery], verb: str, act: Act, yes: bool, rate: float | None
) -> ExitCode:
    from workflow_manager.cli.bulk import for_each

    return for_each(at, queries, verb, act, yes=yes, rate=rate)


def _done(workflow: Workflow) -> Outcome:
    return Outcome(workflow.id, "done")


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
