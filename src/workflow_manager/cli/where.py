"""``--where``: which workflows a command is about, written as ``status=failed,definition=x,namespace=prod,after=2d``.

Within one --where every condition must hold; of several, any. A status may name several: ``status=failed|cancelled``. A comma
or a backslash within a value is written with a backslash before it.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from workflow_manager.cli.exits import usage
from workflow_manager.cli.times import parse_time

if TYPE_CHECKING:
    from workflow_manager.model import WorkflowQuery

KEYS = ("status", "definition", "namespace", "queue", "tag.NAME", "resolved", "after", "before")
STATUSES = ("queued", "running", "succeeded", "failed", "cancelled")
PAGE = 500
_PARTS = re.compile(r"(?:[^,\\]|\\.)+", re.DOTALL)


def parse_where(texts: Sequence[str], now: datetime, **defaults: Any) -> list[WorkflowQuery]:
    """A query for each --where, newest first; ``defaults`` are fields that hold where a text does not say otherwise.

    Raises Problem naming what is wrong.
    """
    return [_query(text, now, defaults) for text in texts]


def _query(text: str, now: datetime, defaults: dict[str, Any]) -> WorkflowQuery:
    from workflow_manager.model import WorkflowQuery

    fields: dict[str, Any] = {}
    tags: dict[str, str] = {}
    for part in _PARTS.findall(text):
        key, equals, value = re.sub(r"\\(.)", r"\1", part).strip().partition("=")
        key, value = key.strip(), value.strip()
        if not equals or not value:
            raise usage(f"--where {part!r} must be KEY=VALUE, for example status=failed")
        if key.startswith("tag.") and key != "tag.":
            tags[key.removeprefix("tag.")] = value
            continue
        name, read = _FIELDS.get(key, (None, None))
        if name is None or read is None:
            raise usage(f"--where: there is no key {key!r}; {_instead(key)}")
        if name in fields:
            raise usage(f"--where: {key} stands twice in {text!r}; give --where twice to ask for either")
        fields[name] = read(key, value, now)
    if not fields and not tags:
        raise usage(f"--where is empty; the keys are {', '.join(KEYS)}")
    return WorkflowQuery(**{**defaults, **fields}, tags=tags, limit=PAGE, summary_only=True)


def _text(_key: str, value: str, _now: datetime) -> str:
    return value


def _statuses(key: str, value: str, _now: datetime) -> Any:
    from workflow_manager.model import WorkflowStatus

    asked = value.split("|")
    for each in asked:
        if each not in STATUSES:
            raise usage(f"--where {key}={each}: must be one of {', '.join(STATUSES)}")
    return tuple(WorkflowStatus(each) for each in asked)


def _boolean(key: str, value: str, _now: datetime) -> bool:
    if value not in ("true", "false"):
        raise usage(f"--where {key}={value}: must be true or false")
    return value == "true"


def _time(key: str, value: str, now: datetime) -> datetime:
    try:
        return parse_time(value, now)
    except ValueError as error:
        raise usage(f"--where {key}: {error}") from None


_FIELDS = {
    "status": ("statuses", _statuses),
    "definition": ("definition_name", _text),
    "namespace": ("namespace", _text),
    "queue": ("queue", _text),
    "resolved": ("resolved_by_user", _boolean),
    "after": ("created_after", _time),
    "before": ("created_before", _time),
}
"""Key -> the query's field, and how its value is read."""


def _instead(key: str) -> str:
    close = difflib.get_close_matches(key, KEYS, 1)
    return f"did you mean {close[0]}?" if close else f"the keys are {', '.join(KEYS)}"
