"""YAML as another way to write JSON: the core schema of YAML 1.2 and merge keys, bounded, without tags.

Built on the parser's events rather than on its loaders: those recurse, in C, once per level of nesting, and crash the process
on a document of brackets; and they read dates, octals and ``yes`` as what JSON does not have.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import yaml

from workflow_manager.model.errors import InvalidRequest

NODE_LIMIT = 500_000
"""Nodes of the document with every alias written out; more are the work of an attacker."""

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_INTEGER = re.compile(r"[-+]?[0-9]{1,4300}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_CONSTANTS = {
    "": None,
    "~": None,
    **dict.fromkeys(("null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_MISSING = object()


class _Open:
    """A mapping or sequence whose end has not come. ``nodes`` counts what is in it, ``height`` its levels.

    ``merged`` are the mappings that stand under its merge key.
    """

    __slots__ = ("anchor", "height", "key", "merged", "nodes", "value")

    def __init__(self, value: Any, anchor: str | None) -> None:
        self.value = value
        self.anchor = anchor
        self.key: Any = _MISSING
        self.merged: list[dict[str, Any]] = []
        self.nodes = 1
        self.height = 1


def read_yaml(body: bytes, *, depth_limit: int) -> Any:
    """The first document. Raises InvalidRequest with line and column."""
    try:
        return _build(yaml.parse(body, Loader=_Loader), depth_limit)
    except yaml.MarkedYAMLError as error:
        raise _complaint(error.problem or str(error), error.problem_mark) from None
    except yaml.YAMLError as error:
        raise _complaint(str(error), None) from None


def _build(events: Iterator[Any], depth_limit: int) -> Any:
    stack: list[_Open] = []
    anchors: dict[str, tuple[Any, int, int]] = {}
    for event in events:
        match event:
            case yaml.MappingStartEvent() | yaml.SequenceStartEvent():
                if len(stack) >= depth_limit:
                    raise _complaint(f"nested deeper than {depth_limit} levels: give it fewer", event.start_mark)
                stack.append(_Open({} if isinstance(event, yaml.MappingStartEvent) else [], event.anchor))
                continue
            case yaml.ScalarEvent():
                value, nodes, height, anchor = _scalar(event), 1, 0, event.anchor
            case yaml.AliasEvent():
                if event.anchor not in anchors:
                    raise _complaint(f"the alias *{event.anchor} has no anchor before it", event.start_mark)
                (value, nodes, height), anchor = anchors[event.anchor], None
            case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                done = stack.pop()
                for fields in done.merged:
                    done.value = {**fields, **done.value}
                value, nodes, height, anchor = done.value, done.nodes, done.height, done.anchor
            case _:
                continue
        if anchor is not None:
            anchors[anchor] = (value, nodes, height)
        if not stack:
            return value
        _put(stack, value, nodes, height, event.start_mark, depth_limit)
    raise InvalidRequest("the body is empty YAML: send a mapping")


def _put(stack: list[_Open], value: Any, nodes: int, height: int, mark: Any, depth_limit: int) -> None:
    """Place a finished value in the innermost open container."""
    into = stack[-1]
    into.nodes += nodes
    into.height = max(into.height, height + 1)
    if into.nodes > NODE_LIMIT or len(stack) + height > depth_limit:
        raise _complaint("aliases make it too large: write less with them", mark)
    if isinstance(into.value, list):
        into.value.append(value)
    elif into.key is _MISSING:
        if not isinstance(value, str):
            raise _complaint("the key of a mapping must be text: put it in quotes", mark)
        into.key = value
    else:
        if into.key == "<<":
            into.merged += _mappings(value, mark)
        else:
            into.value[into.key] = value
        into.key = _MISSING


def _mappings(value: Any, mark: Any) -> list[dict[str, Any]]:
    """What a merge key brings in: a mapping or several, of which earlier ones go before later ones."""
    mappings = value if isinstance(value, list) else [value]
    if not all(isinstance(each, dict) for each in mappings):
        raise _complaint("a merge key (<<) takes a mapping or a list of mappings", mark)
    return mappings


def _scalar(event: Any) -> Any:
    """What plain text means in the core schema; quoted and block text is text."""
    text: str = event.value
    if event.tag not in (None, "!", "tag:yaml.org,2002:str"):
        raise _complaint(f"the tag {event.tag} means nothing here: leave it out", event.start_mark)
    if not event.implicit[0]:
        return text
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        number = float(text)
        if number in (float("inf"), float("-inf")):
            raise _complaint(f"the number {text} is out of range", event.start_mark)
        return number
    return text


def _complaint(problem: str, mark: Any) -> InvalidRequest:
    where = f" (line {mark.line + 1}, column {mark.column + 1})" if mark is not None else ""
    return InvalidRequest(f"the body is not YAML that stands for JSON: {problem}{where}")
