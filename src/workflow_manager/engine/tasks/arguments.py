"""What Tasks hand to the Step Functions API, as a request of it; checked as AWS checks it before a request is sent, and by then.

Source: SFN developer guide, "Using AWS SDK service integrations"; the words are those recorded of other services.
"""

from __future__ import annotations

from typing import Any

from workflow_manager.engine.core.data import text_of
from workflow_manager.stepfunctions.validation import JSON_KINDS, Shape, refusal, request_shape

UNBOUNDED = 1 << 40
"""Characters of payloads: the engine itself knows how many there may be."""


class Unstartable(Exception):
    """The arguments are no request: the Task fails with ``States.Runtime``. ``reasons``: one for each parameter."""

    def __init__(self, reasons: list[str]) -> None:
        super().__init__(", ".join(reasons))
        self.reasons = reasons


def unstartable_cause(arguments: str, reasons: list[str]) -> str:
    """The cause of ``States.Runtime``; ``arguments`` as JSON text."""
    return f"The Parameters '{arguments}' could not be used to start the Task: [{', '.join(reasons)}]"


def api_request(operation: str, arguments: Any) -> dict[str, Any]:
    """The request of an operation in its own spelling. Where the API has text and the state JSON, it is the JSON's text.

    Raises Unstartable, ValidationException.
    """
    if not isinstance(arguments, dict):
        raise Unstartable(["The Parameters must be an object"])
    reasons: list[str] = []
    made = _structure(request_shape(operation, UNBOUNDED), arguments, reasons)
    if reasons:
        raise Unstartable(reasons)
    refused = refusal(operation, made, UNBOUNDED)
    if refused is not None:
        raise refused
    return made


def _structure(shape: Shape, value: Any, reasons: list[str]) -> dict[str, Any]:
    """Members that are null are as good as not there."""
    members = {name[:1].upper() + name[1:]: name for name in shape.members}
    made = {}
    for name, item in value.items():
        if name not in members:
            reasons.append(f"The field '{name}' is not supported by Step Functions")
        elif item is not None:
            made[members[name]] = _value(shape.members[members[name]], item, name, reasons)
    return made


def _value(shape: Shape, value: Any, name: str, reasons: list[str]) -> Any:
    kinds: tuple[type[Any], ...] = JSON_KINDS[shape.kind]
    if shape.kind == "string" and isinstance(value, dict | list):
        return text_of(value)
    if kinds == (int,) and isinstance(value, float) and value.is_integer():
        return int(value)
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        called = shape.kind.upper()
        reasons.append(f"The value for the field '{name}' must be a{'n' if called[0] in 'IA' else ''} {called}")
        return value
    if shape.kind == "structure":
        return _structure(shape, value, reasons)
    if shape.kind == "list" and shape.member is not None:
        return [_value(shape.member, item, name, reasons) for item in value]
    return value
