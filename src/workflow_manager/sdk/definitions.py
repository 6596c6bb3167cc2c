"""Definitions of an application: read from files, checked against its functions, saved when they are new or have changed."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from workflow_manager.asl import diagnose as diagnose_state_machine
from workflow_manager.definition_files import (
    DefinitionDocument,
    DefinitionFileError,
    canonical,
    definition,
    find_files,
    read_definitions,
)
from workflow_manager.manager import WorkflowManager
from workflow_manager.manager.checks import faults
from workflow_manager.manager.expansion import expand
from workflow_manager.manager.graphs import states
from workflow_manager.manager.naming import Arns, ManagerSettings
from workflow_manager.manager.resources import shorthand
from workflow_manager.model import NewWorkflowDefinition, StateResourceType, WorkflowDefinition
from workflow_manager.model.errors import InvalidWorkflowDefinition, WorkflowDefinitionNotFound
from workflow_manager.sdk.errors import DefinitionsRefused, Fault

UNREADABLE = "UNREADABLE"
UNKNOWN_TASK = "UNKNOWN_TASK"

Source = str | Path | Mapping[str, Any]
"""A file, a folder of files, or a definition as a mapping with ``name`` and ``stateMachine``."""


def read(sources: Iterable[Source]) -> list[DefinitionDocument]:
    """Every definition of the sources. Raises DefinitionsRefused with every source that is none."""
    documents: list[DefinitionDocument] = []
    found: list[Fault] = []
    for number, source in enumerate(sources, 1):
        try:
            if isinstance(source, Mapping):
                documents.append(definition(f"definition {number}", dict(source)))
            else:
                documents += [each for file in find_files([Path(source)]) for each in read_definitions(file)]
        except DefinitionFileError as error:
            found.append(Fault(place=str(source)[:80], code=UNREADABLE, message=str(error)))
    places: dict[str, str] = {}
    for document in documents:
        if document.name in places:
            why = f"the definition {document.name!r} stands in {places[document.name]} already; keep one of them"
            found.append(Fault(place=document.place, code="DUPLICATE_NAME", message=why, location="/name"))
        places[document.name] = document.place
    if found:
        raise DefinitionsRefused(found)
    return documents


def check(documents: Iterable[DefinitionDocument], tasks: Collection[str]) -> None:
    """Raises DefinitionsRefused, with every fault of every document, if any has one.

    ``tasks`` are the names that a Task's Resource may have, besides ARNs, ``lambda:`` and ``glue:``.
    """
    found = [fault for document in documents for fault in _faults(document, tasks)]
    if found:
        raise DefinitionsRefused(found)


def _faults(document: DefinitionDocument, tasks: Collection[str]) -> Iterator[Fault]:
    """What makes a definition unusable, whatever it is to run on; what only the backend knows it says itself."""
    told = set()
    for each in faults(_new(document)):
        told.add(each.location)
        yield Fault(place=document.place, code=each.code, message=each.message, location=each.location)
        if each.code == "NESTED_TOO_DEEPLY":
            return
    expansion = expand(document.state_machine, "namespace", Arns(ManagerSettings()), lambda _: None)
    for finding in diagnose_state_machine(expansion.state_machine):
        location = "/stateMachine" + expansion.as_written(finding.location or "")
        if finding.severity == "ERROR" and location not in told:
            yield Fault(place=document.place, code=finding.code, message=finding.message, location=location)
    for at, _, state in states(document.state_machine):
        wanted = shorthand(state.get("Resource")) if state.get("Type") == "Task" else None
        if wanted is None or wanted.type is not StateResourceType.ACTIVITY_ARN or wanted.name in tasks:
            continue
        yield Fault(
            place=document.place,
            code=UNKNOWN_TASK,
            message=_unknown(wanted.name, tasks),
            location=f"/stateMachine{at}/Resource",
        )


def _unknown(name: str, tasks: Collection[str]) -> str:
    close = difflib.get_close_matches(name, sorted(tasks), 1)
    if close:
        return f"there is no task {name!r}; did you mean {close[0]!r}?"
    there = f"those there are: {', '.join(sorted(tasks))}" if tasks else "there are none yet"
    return f"there is no task {name!r} ({there}); register a function with @app.task before the definitions are loaded"


async def save(manager: WorkflowManager, documents: Iterable[DefinitionDocument]) -> None:
    """Save each as a new version of its name unless it is what is there. Raises DefinitionsRefused."""
    for document in documents:
        try:
            stored = (await manager.definition_versions(document.name, latest=True))[0]
        except WorkflowDefinitionNotFound:
            stored = None
        if stored is not None and _same(stored, document):
            continue
        try:
            if stored is None:
                await manager.create_definition(_new(document))
            else:
                await manager.update_definition(document.name, _new(document))
        except InvalidWorkflowDefinition as error:
            raise DefinitionsRefused(_told(document, error)) from None


def _told(document: DefinitionDocument, error: InvalidWorkflowDefinition) -> list[Fault]:
    diagnostics = [each for each in error.details.get("diagnostics", ()) if each.get("severity", "ERROR") == "ERROR"]
    return [
        Fault(place=document.place, code=each["code"], message=each["message"], location=each.get("location", ""))
        for each in diagnostics
    ] or [Fault(place=document.place, code=error.code, message=error.message)]


def _new(document: DefinitionDocument) -> NewWorkflowDefinition:
    return NewWorkflowDefinition(
        name=document.name,
        manager=document.manager,
        state_machine=document.state_machine,
        default_tags=document.default_tags,
    )


def _same(stored: WorkflowDefinition, document: DefinitionDocument) -> bool:
    return canonical([stored.state_machine, stored.default_tags]) == canonical(
        [document.state_machine, document.default_tags]
    )
