"""Tags: those of users, which are texts; and those of state machines, which obey AWS's limits."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from workflow_manager.manager.naming import Identity
from workflow_manager.manager.pointers import pointer
from workflow_manager.model.errors import InvalidRequest
from workflow_manager.stepfunctions import types as t

TAGS_PER_RESOURCE = 50
KEY_LENGTH = 128
VALUE_LENGTH = 256

APPLICATION = "workflow-manager"

_NOT_IN_TAGS = re.compile(r"[^\w\s.:/=+\-@]")
"""AWS's tags hold letters, digits, spaces and ``_ . : / = + - @`` (API reference, TagResource)."""


def not_texts(tags: Mapping[str, Any], field: str) -> list[tuple[str, str]]:
    """JSON pointer and message of every tag whose value is not text."""
    return [
        (pointer(field, key), f"the value of tag {key!r} is {_kind(value)}; write it as text, in quotes")
        for key, value in tags.items()
        if not isinstance(value, str)
    ]


def checked(tags: Mapping[str, Any], field: str) -> dict[str, str]:
    """The tags, all of them texts. Raises InvalidRequest naming every one that is not."""
    faults = not_texts(tags, field)
    if faults:
        raise InvalidRequest(
            "; ".join(f"{at}: {message}" for at, message in faults),
            faults=[{"location": at, "message": message} for at, message in faults],
        )
    return dict(tags)


def state_machine_tags(identity: Identity, environment: str, default_tags: Mapping[str, str]) -> list[t.Tag]:
    """The tags of a state machine: ours first, then as many of the definition's as AWS allows.

    Characters that AWS refuses become ``_``; keys that are AWS's own (``aws:...``) or ours already are left out.
    """
    wanted = {
        "application": APPLICATION,
        "environment": environment,
        "workflow-definition-name": identity.definition,
        "workflow-definition-version": str(identity.version),
        "workflow-definition-start-at": identity.start_at,
    }
    if not environment:
        del wanted["environment"]
    tags = {key: _fit(value, VALUE_LENGTH) for key, value in wanted.items()}
    for key, value in default_tags.items():
        fitting = _fit(key, KEY_LENGTH)
        if fitting and not fitting.lower().startswith("aws:"):
            tags.setdefault(fitting, _fit(value, VALUE_LENGTH))
    return [t.Tag(key=key, value=value) for key, value in list(tags.items())[:TAGS_PER_RESOURCE]]


def _fit(text: str, length: int) -> str:
    return _NOT_IN_TAGS.sub("_", text)[:length]


def _kind(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case list():
            return "a list"
        case _:
            return "an object"
