"""The context object (``$$``) of a state under test: made up, or given by the caller and then used as it stands."""

from __future__ import annotations

import uuid
from typing import Any

from workflow_manager.asl.jsontext import from_text
from workflow_manager.asl.program import MapState, ParallelState, State, TaskState
from workflow_manager.engine.core.draft import iso
from workflow_manager.stepfunctions.arns import Arns
from workflow_manager.stepfunctions.errors import ValidationException

TEXT, NUMBER, ANY = "a string", "a number", ""

FIELDS: dict[str, dict[str, str]] = {
    "Execution": {
        "Id": TEXT,
        "Input": ANY,
        "Name": TEXT,
        "RoleArn": TEXT,
        "StartTime": TEXT,
        "RedriveCount": NUMBER,
        "RedriveTime": TEXT,
    },
    "State": {"EnteredTime": TEXT, "Name": TEXT, "RetryCount": NUMBER},
    "StateMachine": {"Id": TEXT, "Name": TEXT},
    "Task": {"Token": TEXT},
}
"""What a given context object may hold, and of which type (SFN developer guide, "Context object fields")."""

PREFIX = "Invalid Context object provided: "


def given_context(text: str) -> dict[str, Any]:
    """The caller's context object. Raises ValidationException."""
    try:
        context = from_text(text)
    except ValueError:
        raise ValidationException(f"{PREFIX}Context object must be valid JSON") from None
    if not isinstance(context, dict):
        raise ValidationException(f"{PREFIX}Context object must be a JSON object")
    for part, value in context.items():
        if part == "Map":
            raise ValidationException(f"{PREFIX}'Map' field is not supported when mocking a Context object")
        if part not in FIELDS:
            raise ValidationException(f"{PREFIX}Field '{part}' is not allowed")
        if not isinstance(value, dict):
            raise ValidationException(f"{PREFIX}{part} must be an object")
        for name, member in value.items():
            if name not in FIELDS[part]:
                raise ValidationException(f"{PREFIX}Field '{name}' is not allowed")
            expected = FIELDS[part][name]
            if not _is(member, expected):
                raise ValidationException(f"{PREFIX}{part}.{name} must be {expected}")
    return context


def _is(value: Any, expected: str) -> bool:
    match expected:
        case "a string":
            return isinstance(value, str)
        case "a number":
            return isinstance(value, int | float) and not isinstance(value, bool)
        case _:
            return True


def made_up_context(
    state: State, data: Any, role_arn: str | None, retry_count: int, arns: Arns, now: float
) -> dict[str, Any]:
    """The context object where none is given: of an Express execution that is not there."""
    machine, name = str(uuid.uuid4()), str(uuid.uuid4())
    execution: dict[str, Any] = {
        "Id": arns.of("express", f"{machine}:{name}"),
        "Input": data,
        "Name": name,
        "StartTime": iso(now),
    }
    if role_arn is not None:
        execution["RoleArn"] = role_arn
    at: dict[str, Any] = {"Name": state.name, "EnteredTime": iso(now)}
    if isinstance(state, TaskState | ParallelState | MapState):
        at["RetryCount"] = retry_count
    return {
        "Execution": execution,
        "StateMachine": {"Id": arns.state_machine(machine), "Name": machine},
        "State": at,
    }
