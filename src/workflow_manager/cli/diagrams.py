"""``wfm graph`` and ``wfm diff``: what a definition looks like, and what is different between two versions of one."""

from __future__ import annotations

import json as json_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from workflow_manager.cli.completion import definition_names
from workflow_manager.cli.definitions import split_version
from workflow_manager.cli.exits import ExitCode, Problem, usage
from workflow_manager.cli.options import Json, OutputFormat, Server
from workflow_manager.cli.session import Session, session

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from workflow_manager.diagrams.difference import Difference
    from workflow_manager.model import Job, WorkflowDefinition

FORMATS = ("text", "svg", "mermaid", "dot")
SIGNS = {"added": ("+", "green"), "removed": ("-", "red"), "changed": ("~", "yellow")}
"""How something changed -> the sign before it, and its colour."""
VALUE_LENGTH = 100


def graph(
    source: Annotated[
        str | None,
        typer.Argument(
            metavar="[NAME[@VERSION]|FILE]", help="A stored definition, or a file; not needed with --workflow."
        ),
    ] = None,
    format_: Annotated[
        str | None,
        typer.Option(
            "--format",
            "-f",
            metavar="FORMAT",
            help=f"One of {', '.join(FORMATS)}; else what --out ends in.",
            show_default=False,
        ),
    ] = None,
    workflow: Annotated[
        str | None,
        typer.Option(
            "--workflow", "-w", metavar="ID", help="Colour the states by this workflow's jobs.", show_default=False
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", metavar="FILE", help="Write to a file; its ending can say the format.", show_default=False
        ),
    ] = None,
    server: Server = None,
    json: Json = False,
    output: OutputFormat = None,
) -> None:
    """Draw a definition: SVG, Mermaid, DOT, or text on the terminal."""
    as_ = _format(format_, out)
    if source is None and workflow is None:
        raise usage("name a definition or a file, or a workflow with --workflow")
    with session(server, json, output) as at:
        statuses: dict[str, str] = {}
        machine: dict[str, Any] | None = None
        if workflow is not None:
            found = at.client.workflow(workflow)
            statuses, machine = job_statuses(found.jobs or ()), found.workflow_definition.state_machine
        if source is not None:
            machine = _machine(at, source)
        _draw(at, machine or {}, statuses, as_, out)


def _draw(at: Session, machine: dict[str, Any], statuses: Mapping[str, str], as_: str | None, out: Path | None) -> None:
    from workflow_manager.diagrams.graph import graph_of

    drawn = graph_of(machine)
    if as_ is None and at.output.structured:
        at.output.line({"graph": drawn, "statuses": statuses})
        return
    if as_ is None:
        from rich.text import Text

        from workflow_manager.cli.views import STYLES
        from workflow_manager.diagrams.outline import outline

        for line in outline(drawn, statuses):
            at.output.show(Text("  " * line.indent + line.text, style=STYLES.get(line.status, "")))
        return
    document = _document(as_)(drawn, statuses)
    if out is None:
        at.output.write(document)
        return
    try:
        out.write_text(document, encoding="utf-8")
    except OSError as error:
        raise Problem(f"{out} cannot be written ({(error.strerror or str(error)).lower()})") from None
    at.output.show(f"wrote {out}")


def _document(format_: str) -> Any:
    match format_:
        case "svg":
            from workflow_manager.diagrams.svg import svg

            return svg
        case "mermaid":
            from workflow_manager.diagrams.mermaid import mermaid

            return mermaid
        case "dot":
            from workflow_manager.diagrams.dot import dot

            return dot
        case _:
            from workflow_manager.diagrams.outline import text

            return text


def _format(format_: str | None, out: Path | None) -> str | None:
    """What was asked for, or else what the file's name asks for; None is for people, or JSON. Raises Problem."""
    if format_ is None and out is not None:
        endings = {".svg": "svg", ".dot": "dot", ".gv": "dot", ".mmd": "mermaid", ".mermaid": "mermaid"}
        return endings.get(out.suffix.lower(), "text")
    if format_ is not None and format_ not in FORMATS:
        raise usage(f"--format {format_!r} must be one of {', '.join(FORMATS)}")
    return format_


def job_statuses(jobs: Sequence[Job]) -> dict[str, str]:
    """State -> the status of its last job; one that failed and whose state ran again is not in the way."""
    return {job.state: job.status.value for job in jobs}


def _machine(at: Session, source: str) -> dict[str, Any]:
    """The state machine of a stored definition or of a file. Raises Problem."""
    path = Path(source)
    if path.suffix in (".yaml", ".yml", ".json") or path.is_file():
        from workflow_manager.definition_files import read_documents

        documents = read_documents(path)
        if len(documents) != 1:
            raise usage(f"{path} holds {len(documents)} documents; one can be drawn at a time")
        ((_, document),) = documents
        machine = document.get("stateMachine", document) if isinstance(document, dict) else None
        if not isinstance(machine, dict):
            raise Problem(f"{path}: is no definition; it needs a stateMachine with StartAt and States")
        return machine
    return _stored(at, source).state_machine or {}


def _stored(at: Session, text: str) -> WorkflowDefinition:
    name, version = split_version(text)
    if version is None or version < 0:
        return at.client.latest_definition(name)
    return at.client.definition(name, version)


def diff(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME|FILE1", help="The definition; or the older of two files.", autocompletion=definition_names
        ),
    ],
    before: Annotated[str, typer.Argument(metavar="V1|FILE2", help="Its version; or the newer of two files.")],
    after: Annotated[str, typer.Argument(metavar="[V2]", help="The version to compare with.")] = "latest",
    exit_code: Annotated[bool, typer.Option("--exit-code", help="End with 1 if there are differences.")] = False,
    server: Server = None,
    json: Json = False,
    output: OutputFormat = None,
) -> None:
    """Say what is different between two versions of a definition."""
    from workflow_manager.diagrams.difference import differences

    if Path(name).is_file():
        one, other, said = name, before, f"{name} and {before}"
    else:
        wrong = [each for each in (before, after) if each != "latest" and not each.isdigit()]
        if wrong:
            raise usage(f"{wrong[0]!r} must be the number of a version, or latest; to compare files, name two files")
        one, other, said = f"{name}@{before}", f"{name}@{after}", f"versions {before} and {after} of {name}"
    with session(server, json, output) as at:
        found = differences(_machine(at, one), _machine(at, other))
        if at.output.structured:
            for each in found:
                at.output.line(each)
        elif not found:
            at.output.show(f"{said} are the same state machine")
        else:
            from rich.text import Text

            for each in found:
                sign, style = SIGNS[each.change]
                at.output.show(Text(f"{sign} {sentence(each)}", style=style))
    if found and exit_code:
        raise typer.Exit(ExitCode.FAILED)


def sentence(difference: Difference) -> str:
    """One difference in words."""
    at = f"state {difference.at!r}" if difference.at else "the state machine"
    match difference.kind, difference.change:
        case "state", "added":
            return f"{at} ({difference.after})"
        case "state", _:
            return f"{at} ({difference.before})"
        case "transition", "changed":
            return f"{at}: {difference.field}: {difference.before} → {difference.after}"
        case "transition", _:
            return f"{at}: {difference.field}: {difference.after or difference.before}"
        case _, "changed":
            return f"{at}: {difference.field}: {_value(difference.before)} → {_value(difference.after)}"
        case _, change:
            return f"{at}: {difference.field}: {_value(difference.after if change == 'added' else difference.before)}"


def _value(value: Any) -> str:
    text = json_module.dumps(value, ensure_ascii=False)
    return text if len(text) <= VALUE_LENGTH else f"{text[: VALUE_LENGTH - 1]}…"
