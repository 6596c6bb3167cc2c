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
DEFINITION_NAME = "workflow-definition-name"
START_AT = "workflow-definition-start-at"

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


def identity_tags(identity: Identity) -> dict[str, str]:
    """The tags that tell which state machine of ours it is."""
    tags = {
        DEFINITION_NAME: identity.definition,
        "workflow-definition-version": str(identity.version),
        START_AT: identity.start_at,
    }
    return {key: _fit(value, VALUE_LENGTH) for key, value in tags.items()}


def state_machine_tags(identity: Identity, environment: str, default_tags: Mapping[str, str]) -> dict[str, str]:
    """The tags of a state machine: ours first, then as many of the definition's as AWS allows.

    Characters that AWS refuses become ``_``; keys that are AWS's own (``aws:...``) or ours already are left out.
    """
    tags = {"application": APPLICATION}
    if environment:
        tags["environment"] = _fit(environment, VALUE_LENGTH)
    tags |= identity_tags(identity)
    for key, value in default_tags.items():
        fitting = _fit(key, KEY_LENGTH)
        if fitting and not fitting.lower().startswith("aws:"):
            tags.setdefault(fitting, _fit(value, VALUE_LENGTH))
    return dict(list(tags.items())[:TAGS_PER_RESOURCE])


def may_be(identity: Identity, theirs: Mapping[str, str]) -> bool:
    """Whether a state machine with these tags can be the one of this identity: no tag says that it is another's.

    The first workflow-manager wrote the definition's name where the start state belongs.
    """
    ours = identity_tags(identity)
    return all(
        theirs.get(key, value) == value or (key == START_AT and theirs[key] == ours[DEFINITION_NAME])
        for key, value in ours.items()
    )


def missing_tags(wanted: Mapping[str, str], theirs: Mapping[str, str]) -> dict[str, str]:
    """What to add to the tags of a state machine that is ours; other values of theirs are left alone, but for the start state."""
    missing = [(key, value) for key, value in wanted.items() if key not in theirs]
    added = dict(missing[: max(0, TAGS_PER_RESOURCE - len(theirs))])
    if START_AT in theirs and theirs[START_AT] != wanted[START_AT]:
        added[START_AT] = wanted[START_AT]
    return added


def as_tags(tags: Mapping[str, str]) -> list[t.Tag]:
    return [t.Tag(key=key, value=value) for key, value in tags.items()]


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
