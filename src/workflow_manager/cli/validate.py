"""``wfm validate``: check definitions without a server, the way the server checks them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from workflow_manager.cli.exits import ExitCode
from workflow_manager.cli.options import Json, OutputFormat
from workflow_manager.cli.session import output_of

if TYPE_CHECKING:
    from workflow_manager.cli.output import Output
    from workflow_manager.definition_files import DefinitionDocument

SEVERITY_STYLES = {"ERROR": "red", "WARNING": "yellow"}
NAMELESS = "state-machine"
"""A state machine that stands alone in its file is checked under this name."""


def validate(
    paths: Annotated[
        list[Path],
        typer.Argument(metavar="FILE|DIR...", help="Files, or folders; state machines without a name are taken, too."),
    ],
    json: Json = False,
    output: OutputFormat = None,
) -> None:
    """Check definitions, here and without a server; every fault is listed."""
    from workflow_manager.cli.output import Output
    from workflow_manager.definition_files import find_files
    from workflow_manager.settings import ClientSettings, load

    printer = Output(load(ClientSettings, {"output": output_of(json, output)}).output)
    faulty = 0
    for path in find_files(paths):
        faulty += _validate_file(path, printer)
    if faulty:
        raise typer.Exit(ExitCode.FAILED)


def diagnose(document: DefinitionDocument) -> list[dict[str, Any]]:
    """Every finding as the server would tell it: code, message, location (in what its author wrote), severity."""
    import msgspec

    from workflow_manager.asl import diagnose as diagnose_state_machine
    from workflow_manager.manager.checks import faults
    from workflow_manager.manager.expansion import expand
    from workflow_manager.manager.naming import Arns, ManagerSettings
    from workflow_manager.model import NewWorkflowDefinition

    found = [
        msgspec.to_builtins(fault)
        for fault in faults(
            NewWorkflowDefinition(
                name=document.name,
                manager=document.manager,
                state_machine=document.state_machine,
                default_tags=document.default_tags,
            )
        )
    ]
    if any(fault["code"] == "NESTED_TOO_DEEPLY" for fault in found):
        return found
    expansion = expand(document.state_machine, "namespace", Arns(ManagerSettings()), lambda _: None)
    told = {fault["location"] for fault in found}
    for each in diagnose_state_machine(expansion.state_machine):
        location = "/stateMachine" + expansion.as_written(each.location or "")
        if location not in told:
            found.append({"code": each.code, "message": each.message, "location": location, "severity": each.severity})
    return found


def errors_of(document: DefinitionDocument) -> list[dict[str, Any]]:
    """The findings for which the server would refuse a definition."""
    return [each for each in diagnose(document) if each["severity"] == "ERROR"]


def _validate_file(path: Path, output: Output) -> bool:
    """Check one file and say what was found; whether it has errors."""
    from workflow_manager.definition_files import DefinitionFileError

    try:
        documents = _documents(path)
    except DefinitionFileError as error:
        _tell(output, str(path), [{"severity": "ERROR", "code": "UNREADABLE", "message": str(error), "location": ""}])
        return True
    faulty = False
    for document in documents:
        findings = diagnose(document)
        _tell(output, document.place, findings)
        faulty = faulty or any(each["severity"] == "ERROR" for each in findings)
    return faulty


def _documents(path: Path) -> list[DefinitionDocument]:
    """The definitions in a file; a state machine alone gets a name. Raises DefinitionFileError."""
    from workflow_manager.definition_files import DefinitionFileError, definition, read_documents

    found = read_documents(path)
    if not found:
        raise DefinitionFileError(f"{path}: there is no definition in it")
    return [
        definition(
            place,
            {"name": NAMELESS, "stateMachine": document}
            if isinstance(document, dict) and "States" in document and "stateMachine" not in document
            else document,
        )
        for place, document in found
    ]


def _tell(output: Output, place: str, findings: list[dict[str, Any]]) -> None:
    if output.structured:
        errors = any(each["severity"] == "ERROR" for each in findings)
        output.line({"place": place, "valid": not errors, "diagnostics": findings})
        return
    if not findings:
        output.show(f"{place}: valid", style="green")
    for each in findings:
        unreadable = each["code"] == "UNREADABLE"  # whose message says where, as it has no pointer
        where = "" if unreadable else f"{place}: {each['location'] or '/'}: "
        output.show(
            f"{where}{each['severity'].lower()}: {each['message']} ({each['code']})",
            style=SEVERITY_STYLES.get(each["severity"]),
        )
