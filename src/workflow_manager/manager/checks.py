"""What a definition must be beyond valid Amazon States Language, which the StepFunctions seam checks."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from workflow_manager.manager.graphs import StateMachine, deeper_than, states, uses_jsonata
from workflow_manager.manager.naming import FORBIDDEN, NAME_LENGTH
from workflow_manager.manager.pointers import pointer
from workflow_manager.manager.resources import shorthand
from workflow_manager.manager.tags import not_texts
from workflow_manager.model import Manager, NewWorkflowDefinition, StateResourceType

NAME_OF_DEFINITION_LENGTH = 256
JSON_DEPTH = 200
"""How many JSON containers deep a state machine may be: some fifty Parallels or Maps inside each other."""
MAX_ATTEMPTS = 2000

SCHEMA = "SCHEMA_VALIDATION_FAILED"


class Diagnostic(Struct, frozen=True, kw_only=True):
    """One fault. ``location`` is a JSON pointer into what the person sent."""

    code: str
    message: str
    location: str = ""
    severity: str = "ERROR"


def faults(new: NewWorkflowDefinition) -> list[Diagnostic]:
    """Every fault that can be told without Step Functions."""
    found = [
        *_name_faults(new.name),
        *(
            Diagnostic(code="INVALID_TAG", message=why, location=at)
            for at, why in not_texts(new.default_tags, "defaultTags")
        ),
    ]
    if new.manager not in ("", Manager.STEP_FUNCTIONS):
        message = f"{new.manager!r} is no manager here; write {Manager.STEP_FUNCTIONS.value!r}, or leave the field out"
        found.append(Diagnostic(code="INVALID_MANAGER", message=message, location="/manager"))
    if deeper_than(new.state_machine, JSON_DEPTH):
        message = (
            f"the state machine is nested more than {JSON_DEPTH} deep; move inner parts to definitions of their own"
        )
        found.append(Diagnostic(code="NESTED_TOO_DEEPLY", message=message, location="/stateMachine"))
    else:
        found += _state_machine_faults(new.state_machine)
    return found


def _name_faults(name: str) -> list[Diagnostic]:
    message = None
    if not name:
        message = "a workflow definition needs a name"
    elif "/" in name:
        message = f"{name!r} holds a '/', which cannot be addressed in a URL; use another character, such as ':' or '-'"
    elif not name.isprintable():
        message = f"{name!r} holds characters that cannot be printed; leave them out"
    elif name in {".", ".."}:
        message = f"{name!r} cannot be addressed in a URL; choose another name"
    elif len(name) > NAME_OF_DEFINITION_LENGTH:
        message = f"the name has {len(name)} characters; {NAME_OF_DEFINITION_LENGTH} are allowed"
    return [] if message is None else [Diagnostic(code="INVALID_NAME", message=message, location="/name")]


def _state_machine_faults(machine: StateMachine) -> list[Diagnostic]:
    found = []
    version = machine.get("Version", "1.0")
    if version != "1.0":
        message = f"Version is {version!r}; the only one there is is '1.0', and the field may be left out"
        found.append(Diagnostic(code=SCHEMA, message=message, location="/stateMachine/Version"))
    for at, _, state in states(machine):
        where = f"/stateMachine{at}"
        found += _retry_faults(where, state)
        if state.get("Type") == "Task":
            found += _resource_faults(where, machine, state)
    return found


def _retry_faults(where: str, state: dict[str, Any]) -> list[Diagnostic]:
    retriers = state.get("Retry")
    attempts = (
        (index, retrier.get("MaxAttempts"))
        for index, retrier in enumerate(retriers if isinstance(retriers, list) else ())
        if isinstance(retrier, dict)
    )
    return [
        Diagnostic(
            code=SCHEMA,
            message=f"MaxAttempts is {given}; it may be 0 to {MAX_ATTEMPTS}",
            location=where + pointer("Retry", str(index), "MaxAttempts"),
        )
        for index, given in attempts
        if isinstance(given, (int, float)) and not 0 <= given <= MAX_ATTEMPTS
    ]


def _resource_faults(where: str, machine: StateMachine, state: dict[str, Any]) -> list[Diagnostic]:
    """Shorthand must be able to name something, and glue: must be able to say which job."""
    wanted = shorthand(state.get("Resource"))
    if wanted is None:
        return []
    at = f"{where}/Resource"
    if not wanted.name:
        message = f"{state['Resource']!r} names nothing; write a name after the colon"
        return [Diagnostic(code="INVALID_RESOURCE", message=message, location=at)]
    if FORBIDDEN.search(wanted.name) or len(wanted.name) > NAME_LENGTH:
        message = (
            f"{state['Resource']!r} cannot be part of a name in Step Functions; use at most {NAME_LENGTH} letters, digits, "
            "'-', '_' or '.', or a whole ARN"
        )
        return [Diagnostic(code="INVALID_RESOURCE", message=message, location=at)]
    if wanted.type is StateResourceType.GLUE_JOB:
        field = "Arguments" if uses_jsonata(machine, state) else "Parameters"
        if not isinstance(state.get(field, {}), dict):
            message = f"{field} must be an object here, so that JobName can be added to it"
            return [Diagnostic(code="INVALID_RESOURCE", message=message, location=f"{where}/{field}")]
    return []
