"""``wfm apply``: make the server's definitions be what files say."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from workflow_manager.cli.exits import ExitCode, Problem
from workflow_manager.cli.options import Json, OutputFormat, Server
from workflow_manager.cli.session import Session, session

if TYPE_CHECKING:
    from workflow_manager.client import Client
    from workflow_manager.definition_files import DefinitionDocument
    from workflow_manager.model import WorkflowDefinition


def apply(
    paths: Annotated[
        list[Path], typer.Argument(metavar="FILE|DIR...", help="Files, or folders of *.yaml, *.yml and *.json.")
    ],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would change, and change nothing.")] = False,
    server: Server = None,
    json: Json = False,
    output: OutputFormat = None,
) -> None:
    """Create or update definitions from files; what is unchanged makes no new version."""
    documents = read(paths)
    refused = 0
    with session(server, json, output) as at:
        for document in documents:
            refused += not _apply_one(at, document, dry_run=dry_run)
    if refused:
        raise typer.Exit(ExitCode.FAILED)


def read(paths: Sequence[Path]) -> list[DefinitionDocument]:
    """Every definition in files and folders. Raises DefinitionFileError, and Problem if a name stands twice."""
    from workflow_manager.definition_files import find_files, read_definitions

    documents = [document for path in find_files(paths) for document in read_definitions(path)]
    if not documents:
        raise Problem(f"{', '.join(map(str, paths))}: there is no definition in it")
    places: dict[str, str] = {}
    for document in documents:
        if document.name in places:
            raise Problem(
                f"the definition {document.name!r} stands twice: in {places[document.name]} and in {document.place}; "
                "keep one of them"
            )
        places[document.name] = document.place
    return documents


def _apply_one(at: Session, document: DefinitionDocument, *, dry_run: bool) -> bool:
    """Apply one definition and say what became of it; False if it is refused."""
    from workflow_manager.cli.validate import errors_of
    from workflow_manager.client import ApiError

    stored = _stored(at.client, document.name)
    if stored is not None and not _differs(stored, document):
        _tell(at, document, "unchanged", stored.version)
        return True
    action: Literal["created", "updated"] = "created" if stored is None else "updated"
    if dry_run:
        faults = errors_of(document)
        if faults:
            _complain(at, document, "would be refused", faults)
            return False
        _tell(
            at, document, action, 0 if stored is None else stored.version + 1, dry_run=True, diff=diff(stored, document)
        )
        return True
    try:
        saved = (
            at.client.new_definition(_new(document)) if stored is None else at.client.update_definition(_new(document))
        )
    except ApiError as error:
        if error.status != 400:
            raise
        _complain(at, document, error.message, error.diagnostics)
        return False
    _tell(at, document, action, saved.version)
    return True


def _stored(client: Client, name: str) -> WorkflowDefinition | None:
    """The latest version of a name, if there is any."""
    from workflow_manager.client import ApiError

    try:
        return client.latest_definition(name)
    except ApiError as error:
        if error.status == 404:
            return None
        raise


def _new(document: DefinitionDocument) -> Any:
    from workflow_manager.model import NewWorkflowDefinition

    return NewWorkflowDefinition(
        name=document.name,
        manager=document.manager,
        state_machine=document.state_machine,
        default_tags=document.default_tags,
    )


def _differs(stored: WorkflowDefinition, document: DefinitionDocument) -> bool:
    """Whether a file means something else than what is stored; the order of keys means nothing."""
    from workflow_manager.definition_files import canonical

    return canonical([stored.manager.value, stored.state_machine, stored.default_tags]) != canonical(
        [document.manager, document.state_machine, document.default_tags]
    )


def diff(stored: WorkflowDefinition | None, document: DefinitionDocument) -> list[str]:
    """Lines of a unified diff from the stored version to the file, as YAML."""
    from workflow_manager.definition_files import dump_yaml

    old, old_name = "", "nothing"
    new = dump_yaml(_shown(document.state_machine, document.default_tags, document.manager))
    if stored is not None:
        machine = _ordered(stored.state_machine, document.state_machine)
        old = dump_yaml(_shown(machine, _ordered(stored.default_tags, document.default_tags), stored.manager.value))
        old_name = f"version {stored.version}"
    return list(difflib.unified_diff(old.splitlines(), new.splitlines(), old_name, document.place, lineterm=""))


def _shown(machine: Any, tags: Any, manager: str) -> dict[str, Any]:
    return {"manager": manager, "stateMachine": machine, **({"defaultTags": tags} if tags else {})}


def _ordered(value: Any, like: Any) -> Any:
    """A value with its keys in the order of another, so that a diff shows no change of order."""
    if isinstance(value, dict) and isinstance(like, dict):
        keys = [key for key in like if key in value] + [key for key in value if key not in like]
        return {key: _ordered(value[key], like.get(key)) for key in keys}
    if isinstance(value, list) and isinstance(like, list):
        return [_ordered(item, like[at] if at < len(like) else None) for at, item in enumerate(value)]
    return value


STYLES = {"created": "green", "updated": "yellow", "unchanged": "dim"}


def _tell(
    at: Session,
    document: DefinitionDocument,
    action: Literal["created", "updated", "unchanged"],
    version: int,
    *,
    dry_run: bool = False,
    diff: Sequence[str] = (),
) -> None:
    if at.output.structured:
        line = {"name": document.name, "action": action, "version": version, "dryRun": dry_run, "place": document.place}
        at.output.line({**line, "diff": list(diff)} if diff else line)
        return
    would = "would be " if dry_run else ""
    at.output.show(f"{document.name}: {would}{action} (v{version})", style=STYLES[action])
    for changed in diff:
        at.output.show(changed, style=_diff_style(changed))


def _diff_style(line: str) -> str | None:
    if line.startswith(("---", "+++")):
        return "bold"
    return {"+": "green", "-": "red", "@": "cyan"}.get(line[:1])


def _complain(at: Session, document: DefinitionDocument, message: str, diagnostics: Sequence[dict[str, Any]]) -> None:
    from workflow_manager.cli.exits import complain, diagnostic_line

    if at.output.structured:
        at.output.line(
            {
                "name": document.name,
                "action": "refused",
                "place": document.place,
                "message": message,
                "diagnostics": list(diagnostics),
            }
        )
    if diagnostics:
        message = f"has {len(diagnostics)} {'fault' if len(diagnostics) == 1 else 'faults'}"
    complain(f"{document.place}: {document.name}: {message}", *map(diagnostic_line, diagnostics))
