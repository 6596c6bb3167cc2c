"""A mocked result held against what the service's API answers (``mock.fieldValidationMode``).

STRICT asks for every required field and checks every field that the API knows; PRESENT checks only what is there; NONE
checks nothing. Fields that the API does not know are let through. Names are PascalCase, as Tasks see them. What a ``.sync``
waits for is held against the operation that describes it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from workflow_manager.asl.program import Json, TaskResource
from workflow_manager.engine.teststate.service_models import Shape, output_shape
from workflow_manager.stepfunctions.errors import ValidationException

KINDS: dict[str, tuple[tuple[type, ...], str]] = {
    "string": ((str,), "a string"),
    "blob": ((str,), "a string"),
    "timestamp": ((str,), "a string"),
    "integer": ((int, float), "a number"),
    "long": ((int, float), "a number"),
    "float": ((int, float), "a number"),
    "double": ((int, float), "a number"),
    "boolean": ((bool,), "a boolean"),
    "structure": ((dict,), "an object"),
    "map": ((dict,), "an object"),
    "list": ((list,), "an array"),
}
"""Kind of shape -> what it is in JSON, and how AWS says so."""

OPAQUE: dict[tuple[str, str], frozenset[str]] = {
    ("lambda", "invoke"): frozenset({"Payload"}),
    ("states", "startExecution.sync:2"): frozenset({"Input", "Output"}),
}
"""Service, resource -> fields that the integration answers in another form than the API; any value of theirs will do."""

SIZED = {"string", "blob", "list", "map"}


def check_result(resource: TaskResource, result: Json, mode: str) -> None:
    """Raises ValidationException at the first field that does not conform."""
    if mode == "NONE" or resource.kind != "service" or resource.pattern == "waitForTaskToken":
        return
    shape = output_shape(resource)
    if shape is None:
        return  # no API, as for http:invoke, or one that we have no model of
    if not isinstance(result, dict):
        raise _error("Mock result must be an object")
    opaque = OPAQUE.get((resource.service, resource.resource), frozenset())
    _Check(mode, numbers_are_dates=resource.pattern in ("sync", "sync:2")).members(shape, result, opaque)


@dataclass(frozen=True, slots=True)
class _Check:
    """``numbers_are_dates``: a job's description has its times in milliseconds, too."""

    mode: str
    numbers_are_dates: bool

    def members(self, shape: Shape, value: dict[str, Json], opaque: frozenset[str] = frozenset()) -> None:
        if self.mode == "STRICT":
            for name in shape.required:
                if value.get(name) is None:
                    raise _error(f"Required field '{name}' is missing")
        for name, member in value.items():
            known = shape.members.get(name)
            if known is not None and member is not None and name not in opaque:
                self.value(known, member, name)

    def value(self, shape: Shape, value: Any, name: str) -> None:
        """Check one value; ``name`` is that of the field it is in."""
        if shape.document:
            return
        kind = "long" if shape.kind == "timestamp" and self.numbers_are_dates and _is_number(value) else shape.kind
        kinds, expected = KINDS[kind]
        if not _is_one_of(value, kinds):
            raise _error(f"Field '{name}' must be {expected}")
        if shape.enum and value not in shape.enum:
            raise _error(f"Field '{name}' is not an expected value")
        _check_bounds(shape, value, name)
        if kind == "structure":
            self.members(shape, value)
        elif kind == "list":
            for element in value:
                self.value(shape.element, element, name)
        elif kind == "map":
            for key, element in value.items():
                self.value(shape.element, element, key)


def _is_number(value: Json) -> bool:
    return _is_one_of(value, (int, float))


def _is_one_of(value: Json, kinds: tuple[type, ...]) -> bool:
    return isinstance(value, kinds) and (bool in kinds or not isinstance(value, bool))


def _check_bounds(shape: Shape, value: Json, name: str) -> None:
    if shape.kind in SIZED:
        if shape.least is not None and len(value) < shape.least:
            raise _error(f"Field '{name}' is smaller than the minimum length")
        if shape.most is not None and len(value) > shape.most:
            raise _error(f"Field '{name}' exceeds the maximum length")
    elif isinstance(value, int | float):
        if shape.least is not None and value < shape.least:
            raise _error(f"Field '{name}' is less than the minimum value")
        if shape.most is not None and value > shape.most:
            raise _error(f"Field '{name}' exceeds the maximum value")


def _error(what: str) -> ValidationException:
    return ValidationException(f"Mock result schema validation error: {what}")
