"""Parameters and results between Step Functions' spelling and botocore's, by the shapes of botocore's models. Pure.

Step Functions spells members in PascalCase whatever the service does (``StateMachineArn``); keys of maps are the user's. It
refuses parameters of the wrong type before it calls anything, and takes null for a parameter that is not there.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import msgspec

from workflow_manager.integrations.names import member_name

TYPES: dict[str, tuple[str, tuple[type, ...]]] = {
    "string": ("STRING", (str,)),
    "character": ("STRING", (str,)),
    "integer": ("INTEGER", (int,)),
    "long": ("LONG", (int,)),
    "float": ("FLOAT", (int, float)),
    "double": ("DOUBLE", (int, float)),
    "boolean": ("BOOLEAN", (bool,)),
    "timestamp": ("TIMESTAMP", (str, int, float)),
    "list": ("LIST", (list,)),
    "map": ("MAP", (dict,)),
    "structure": ("STRUCTURE", (dict,)),
}
"""Kind of shape -> what messages call it, and the JSON values that it takes."""


@dataclass(slots=True)
class Request:
    """A request in botocore's spelling, and why it cannot be sent: ``unfit`` parameters, and members that are ``lacking``.

    ``lacking`` are paths as the services' own messages give them: ``item``, ``entries.1.member.source``.
    """

    parameters: dict[str, Any] = field(default_factory=dict)
    unfit: list[str] = field(default_factory=list)
    lacking: list[str] = field(default_factory=list)


def request(shape: Any, arguments: dict[str, Any]) -> Request:
    """Translate a Task's arguments for an operation whose input is ``shape`` (None: it takes none)."""
    made = Request()
    if shape is None:
        made.unfit += [_unknown(name) for name in arguments]
    else:
        made.parameters = _structure(shape, arguments, made, "")
    return made


def _structure(shape: Any, value: dict[str, Any], made: Request, path: str) -> dict[str, Any]:
    if getattr(shape, "is_document_type", False):
        return value
    members = {member_name(name): (name, member) for name, member in shape.members.items()}
    translated = {}
    for name, item in value.items():
        known = members.get(name)
        if known is None:
            made.unfit.append(_unknown(name))
        elif item is not None:
            translated[known[0]] = _value(known[1], item, made, name, _below(path, known[0]))
    made.lacking += [_below(path, name) for name in shape.required_members if translated.get(name) is None]
    return translated


def _value(shape: Any, value: Any, made: Request, name: str, path: str) -> Any:
    kind: str = shape.type_name
    if kind == "blob":
        streaming = shape.serialization.get(
            "streaming"
        )  # such a body is JSON, also where it is text (recorded from AWS)
        return msgspec.json.encode(value) if streaming else as_text(value).encode()
    called, types = TYPES[kind]
    if getattr(shape, "is_document_type", False):
        return value
    if types == (int,) and isinstance(value, float) and value.is_integer():
        return int(value)
    if not _is(value, types):
        made.unfit.append(f"The value for the field '{name}' must be a{'n' if called[0] in 'IA' else ''} {called}")
        return value
    if kind == "structure":
        return _structure(shape, value, made, path)
    if kind == "list":
        places = enumerate(value, 1)
        return [_value(shape.member, item, made, name, f"{path}.{place}.member") for place, item in places]
    if kind == "map":
        return {
            key: _value(shape.value, item, made, key, f"{path}.{key}.member")
            for key, item in value.items()
            if item is not None
        }
    return value


def _is(value: Any, types: tuple[type, ...]) -> bool:
    return isinstance(value, types) and (bool in types or not isinstance(value, bool))


def _unknown(name: str) -> str:
    return f"The field '{name}' is not supported by Step Functions"


def _below(path: str, name: str) -> str:
    name = name[:1].lower() + name[1:]
    return f"{path}.{name}" if path else name


def as_text(value: Any) -> str:
    """Text as it is, anything else as JSON: what SFN does with payloads, bodies and messages."""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def result(shape: Any, value: Any, time: Callable[[datetime], Any]) -> Any:
    """An answer of botocore in Step Functions' spelling. ``time`` says what becomes of a timestamp."""
    if shape is None or value is None:
        return value
    match shape.type_name:
        case "structure":
            if getattr(shape, "is_document_type", False):
                return value
            members = shape.members
            return {
                member_name(name): result(members[name], item, time)
                for name, item in value.items()
                if item is not None and name in members
            }
        case "list":
            return [result(shape.member, item, time) for item in value]
        case "map":
            return {key: result(shape.value, item, time) for key, item in value.items()}
        case "timestamp":
            return time(value) if isinstance(value, datetime) else value
        case "blob":
            return _readable(value)
        case _:
            return value


def _readable(value: Any) -> Any:
    """Bytes as text; as base64 where they are none."""
    if not isinstance(value, bytes | bytearray):
        return value
    try:
        return bytes(value).decode()
    except UnicodeDecodeError:
        return base64.b64encode(value).decode()


def milliseconds(moment: datetime) -> int:
    """As optimised integrations answer times: since the epoch."""
    return round(moment.timestamp() * 1000)


def instant(moment: datetime) -> str:
    """As SDK integrations answer times: ISO 8601, without a fraction where there is none."""
    text = moment.astimezone(UTC).isoformat(timespec="milliseconds" if moment.microsecond else "seconds")
    return text.replace("+00:00", "Z")
