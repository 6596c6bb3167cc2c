"""Why a request is refused, in AWS's words.

The wire decodes requests with decoders that check nearly everything but say little. Only when one refuses is the request
held against botocore's service model, here, to write down every fault the way AWS does:

    1 validation error detected: Value '1001' at 'maxResults' failed to satisfy constraint: Member must have value less
    than or equal to 1000

Members that the model marks as sensitive (definitions, payloads, task tokens, causes) are never quoted.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any, TypeAlias

import msgspec

from workflow_manager.stepfunctions.errors import SerializationException, StepFunctionsError, ValidationException

REDACTED = "***Sensitive Data Redacted***"
LONGEST_QUOTE = 4096
"""Values are quoted whole up to this many characters, so that no request is answered by megabytes of itself."""

MAX_PAYLOAD = 262_144
"""Characters that the model allows of a payload: an input, an output. An embedded engine may allow more."""

PAYLOADS = {"SendTaskSuccess", "StartExecution", "StartSyncExecution"}
"""Operations that take payloads whose length is not in the requests' types."""

JSON_KINDS: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "long": (int,),
    "float": (int, float),
    "double": (int, float),
    "timestamp": (int, float),
    "boolean": (bool,),
    "structure": (dict,),
    "map": (dict,),
    "list": (list,),
}
"""Kind of shape -> what its JSON decodes to."""

JAVA_NAMES = {
    "string": "a String",
    "integer": "an Integer",
    "long": "a Long",
    "float": "a Float",
    "double": "a Double",
    "timestamp": "a Date",
    "boolean": "a Boolean",
}

ENUM_ORDERS = {"ExecutionStatus": ("SUCCEEDED", "TIMED_OUT", "PENDING_REDRIVE", "ABORTED", "FAILED", "RUNNING")}
"""Shape -> its values in the order in which AWS writes them, where that is not the model's."""

Check: TypeAlias = tuple[str, Callable[[Any], bool]]
"""Name of a request's member in JSON, and whether a value of it will do."""


@dataclass(frozen=True, slots=True)
class Shape:
    """A shape of the service model. ``least`` and ``most`` bound a number, or the length of a string or list."""

    name: str
    kind: str
    least: float | None = None
    most: float | None = None
    pattern: str | None = None
    enum: tuple[str, ...] = ()
    sensitive: bool = False
    required: tuple[str, ...] = ()
    members: dict[str, Shape] = field(default_factory=dict)
    member: Shape | None = None
    payload: bool = False

    @property
    def sized(self) -> bool:
        return self.kind in ("string", "list", "map")


def request_shape(operation: str, max_payload: int = MAX_PAYLOAD) -> Shape:
    """The shape of an operation's request, whose payloads may have so many characters."""
    model = _service_model()
    return _shape(model["operations"][operation]["input"]["shape"], max_payload if operation in PAYLOADS else None)


def checks(shape: Shape) -> tuple[Check, ...]:
    """What the request's own type cannot check: patterns, the lengths of lists, and those of payloads, which can be lifted."""
    return tuple(
        (name, _fits_length(member.most) if member.payload and member.most else _fits(member))
        for name, member in shape.members.items()
        if member.payload or member.pattern is not None or (member.kind == "list" and (member.least or member.most))
    )


def diagnose(operation: str, body: bytes, max_payload: int = MAX_PAYLOAD) -> StepFunctionsError:
    """Why this body is no request of the operation; it is known that it is none."""
    try:
        request = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return SerializationException("The request's body is not JSON, or not encoded in UTF-8, or nested too deeply.")
    shape = request_shape(operation, max_payload)
    misfit = next(_misfits(shape, request, ""), None)
    if misfit is not None:
        return SerializationException(misfit)
    # the decoder is stricter than the model: 1e400, for one
    unrepresentable = SerializationException("A number in the request's body cannot be represented.")
    return refusal(operation, request, max_payload) or unrepresentable


def refusal(operation: str, request: dict[str, Any], max_payload: int = MAX_PAYLOAD) -> ValidationException | None:
    """Every constraint that a request of the right types breaks; None if it breaks none."""
    faults = list(_faults(request_shape(operation, max_payload), request, "", hidden=False))
    if not faults:
        return None
    errors = "error" if len(faults) == 1 else "errors"
    return ValidationException(f"{len(faults)} validation {errors} detected: {'; '.join(faults)}")


@cache
def _service_model() -> dict[str, Any]:
    """The model of the API in botocore, read without importing botocore, which takes a third of a second."""
    versions = files("botocore").joinpath("data", "stepfunctions")
    latest = max((version for version in versions.iterdir() if version.is_dir()), key=lambda version: version.name)
    packed = latest.joinpath("service-2.json.gz")
    text = gzip.decompress(packed.read_bytes()) if packed.is_file() else latest.joinpath("service-2.json").read_bytes()
    model: dict[str, Any] = msgspec.json.decode(text)
    return model


@cache
def _shape(name: str, max_payload: int | None) -> Shape:
    model: dict[str, Any] = _service_model()["shapes"][name]
    inner: dict[str, str] | None = model.get("member") or model.get("value")
    payload = max_payload is not None and model["type"] == "string" and model.get("max") == MAX_PAYLOAD
    return Shape(
        name=name,
        kind=model["type"],
        least=model.get("min"),
        most=max_payload if payload else model.get("max"),
        payload=payload,
        pattern=model.get("pattern"),
        enum=ENUM_ORDERS.get(name) or tuple(model.get("enum", ())),
        sensitive=model.get("sensitive", False),
        required=tuple(model.get("required", ())),
        members={member: _shape(target["shape"], max_payload) for member, target in model.get("members", {}).items()},
        member=None if inner is None else _shape(inner["shape"], max_payload),
    )


def _fits(shape: Shape) -> Callable[[Any], bool]:
    return lambda value: value is None or not any(_broken(shape, value))


def _fits_length(most: float) -> Callable[[Any], bool]:
    return lambda value: value is None or len(value) <= most


def _misfits(shape: Shape, value: Any, path: str) -> Iterator[str]:
    """Values of the wrong JSON type, which AWS reports before anything else."""
    if value is None and path:
        return
    kinds: tuple[type[Any], ...] = JSON_KINDS[shape.kind]
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        yield _misfit(shape, value) + (f" (at '{path}')" if path else " (the request must be a JSON object)")
    elif shape.kind == "structure":
        for name, member in shape.members.items():
            yield from _misfits(member, value.get(name), _join(path, name))
    elif shape.member is not None:
        for name, element in _elements(value):
            yield from _misfits(shape.member, element, _join(path, name))


def _misfit(shape: Shape, value: Any) -> str:
    match value:
        case dict():
            return "Start of structure or map found where not expected."
        case list():
            return "Start of list found where not expected."
        case _ if shape.kind in ("structure", "map"):
            return "Expected start of structure or map."
        case _ if shape.kind == "list":
            return "Expected list or null."
        case bool():
            return f"{str(value).upper()}_VALUE can not be converted to {JAVA_NAMES[shape.kind]}"
        case str():
            return f"STRING_VALUE can not be converted to {JAVA_NAMES[shape.kind]}"
        case _:
            return f"NUMBER_VALUE can not be converted to {JAVA_NAMES[shape.kind]}"


def _faults(shape: Shape, value: Any, path: str, *, hidden: bool) -> Iterator[str]:
    """One clause for each constraint that does not hold, in the model's order."""
    hidden = hidden or shape.sensitive
    if path:
        yield from (_fault(value, path, constraint, shape, hidden=hidden) for constraint in _broken(shape, value))
    if value is None:
        return
    if shape.kind == "structure":
        for name, member in shape.members.items():
            place, inner = _join(path, name), value.get(name)
            if inner is not None:
                yield from _faults(member, inner, place, hidden=hidden)
            elif name in shape.required:
                yield _fault(None, place, "Member must not be null", member, hidden=hidden or member.sensitive)
    elif shape.member is not None and shape.member.kind in ("structure", "list", "map"):
        for name, element in _elements(value):
            yield from _faults(shape.member, element, _join(path, name), hidden=hidden)


def _broken(shape: Shape, value: Any) -> Iterator[str]:
    """The constraints of this shape alone that a value of the right type breaks."""
    if value is None:
        yield "Member must not be null"
        return
    if shape.enum:
        if value not in shape.enum:
            yield f"Member must satisfy enum value set: [{', '.join(shape.enum)}]"
        return
    what, size = ("length", len(value)) if shape.sized else ("value", value)
    if shape.kind not in ("structure", "boolean"):
        if shape.most is not None and size > shape.most:
            yield f"Member must have {what} less than or equal to {shape.most}"
        if shape.least is not None and size < shape.least:
            yield f"Member must have {what} greater than or equal to {shape.least}"
    if shape.pattern is not None and not _compiled(shape.pattern).fullmatch(value):
        yield f"Member must satisfy regular expression pattern: {shape.pattern}"
    if shape.member is not None and shape.member.kind not in ("structure", "list", "map"):
        elements = [element for _, element in _elements(value)]
        if any(True for element in elements for _ in _broken(shape.member, element)):
            yield f"Member must satisfy constraint: [{', '.join(_constraints(shape.member))}]"


def _constraints(shape: Shape) -> Iterator[str]:
    """All constraints of a list's members: AWS names them all when one does not hold."""
    what = "length" if shape.sized else "value"
    if shape.most is not None:
        yield f"Member must have {what} less than or equal to {shape.most}"
    if shape.least is not None:
        yield f"Member must have {what} greater than or equal to {shape.least}"
    if shape.pattern is not None:
        yield f"Member must satisfy regular expression pattern: {shape.pattern}"
    if shape.enum:
        yield f"Member must satisfy enum value set: [{', '.join(shape.enum)}]"
    yield "Member must not be null"


def _fault(value: Any, path: str, constraint: str, shape: Shape, *, hidden: bool) -> str:
    if hidden:
        quoted = "Value"
    elif value is None:
        quoted = "Value null"
    else:
        text = _java(shape, value)
        quoted = f"Value '{text if len(text) <= LONGEST_QUOTE else text[:LONGEST_QUOTE] + '...'}'"
    return f"{quoted} at '{path}' failed to satisfy constraint: {constraint}"


def _java(shape: Shape, value: Any) -> str:
    """A value as AWS's servers print it."""
    if value is None:
        return "null"
    if shape.sensitive:
        return REDACTED
    match value:
        case bool():
            return str(value).lower()
        case dict() if shape.kind == "structure":
            members = (f"{name}={_java(member, value.get(name))}" for name, member in shape.members.items())
            return f"{shape.name}({', '.join(members)})"
        case dict() if shape.member is not None:
            return "{" + ", ".join(f"{key}={_java(shape.member, element)}" for key, element in value.items()) + "}"
        case list() if shape.member is not None:
            return "[" + ", ".join(_java(shape.member, element) for element in value) + "]"
        case _:
            return str(value)


def _elements(value: Any) -> Iterator[tuple[str, Any]]:
    """Elements of a list or map, with the steps of AWS's paths to them."""
    if isinstance(value, dict):
        yield from ((f"{key}.member", element) for key, element in value.items())
    else:
        yield from ((f"{number}.member", element) for number, element in enumerate(value, 1))


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    """The model's patterns are Java's, and must match the whole value."""
    return re.compile(pattern.replace(r"\p{ASCII}", r"[\x00-\x7f]"))
