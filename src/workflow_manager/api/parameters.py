"""Parameters in path, query and headers: how each is read, and, in the same place, how it is documented.

Parsing follows the HTTP contract, hence Go: booleans as strconv.ParseBool reads them, numbers as 64-bit decimals,
a repeated key by its first value, unknown keys ignored.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Generic, Literal, Protocol, TypeVar

from workflow_manager.model import WorkflowStatus
from workflow_manager.model.errors import InvalidRequest

T = TypeVar("T")

_BOOLEANS = dict.fromkeys(("1", "t", "T", "TRUE", "true", "True"), True) | dict.fromkeys(
    ("0", "f", "F", "FALSE", "false", "False"), False
)
_INTEGER = re.compile(r"[+-]?[0-9]{1,4300}", re.ASCII)
_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
DEFAULT_LIMIT = 10
MAX_LIMIT = 10_000


class Source(Protocol):
    """Where values come from."""

    def values(self, where: str, name: str, /) -> list[str]: ...


@dataclass(frozen=True, slots=True)
class Parameter(Generic[T]):
    """``parse`` gets the parameter's name, for its complaint, and the text. ``schema`` is JSON Schema."""

    name: str
    where: Literal["path", "query", "header"]
    parse: Callable[[str, str], T]
    default: T
    schema: dict[str, Any]
    description: str
    example: Any
    extra: dict[str, Any] = field(default_factory=dict)  # further members of the OpenAPI parameter object

    def read(self, source: Source) -> T:
        """Raises InvalidRequest."""
        values = source.values(self.where, self.name)
        return self.parse(self.name, values[0]) if values else self.default


def text(_name: str, value: str) -> str:
    return value


def boolean(name: str, value: str) -> bool:
    try:
        return _BOOLEANS[value]
    except KeyError:
        raise InvalidRequest(f"{name}: expected true or false, got {_shown(value)}") from None


def integer(name: str, value: str) -> int:
    number = int(value) if _INTEGER.fullmatch(value) else None
    if number is None or not -(2**63) <= number < 2**63:
        raise InvalidRequest(f"{name}: expected a whole number of 64 bits, got {_shown(value)}")
    return number


def limit(name: str, value: str) -> int:
    number = integer(name, value)
    if not 0 <= number <= MAX_LIMIT:
        raise InvalidRequest(f"{name}: expected 1 to {MAX_LIMIT}, got {number}; ask for further pages instead")
    return number or DEFAULT_LIMIT


def event_id(name: str, value: str) -> int:
    number = integer(name, value)
    if number < 0:
        raise InvalidRequest(f"{name}: expected the id of a history event, 0 for all events, got {number}")
    return number


def instant(name: str, value: str) -> datetime:
    """A time with its offset. A plus sign that a client left unescaped arrives as a space, and is taken for one."""
    spelled = value[:-6] + "+" + value[-5:] if value[-6:-5] == " " else value
    try:
        if not _RFC3339.fullmatch(spelled):
            raise ValueError  # noqa: TRY301 - one complaint for both
        return datetime.fromisoformat(spelled.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        raise InvalidRequest(
            f"{name}: expected a time as RFC 3339, such as 2017-10-25T18:11:03.350Z, got {_shown(value)}"
        ) from None


def statuses(values: list[str]) -> tuple[WorkflowStatus, ...] | None:
    """Statuses from repeated or comma-separated values. Empty: none asked for. None: none of those asked for exists."""
    asked = [each for value in values for each in value.split(",") if each]
    known = tuple(dict.fromkeys(WorkflowStatus(each) for each in asked if each in _STATUSES))
    return known if known or not asked else None


_STATUSES = frozenset(WorkflowStatus)


def _shown(value: str) -> str:
    return repr(value if len(value) <= 60 else value[:57] + "...")
