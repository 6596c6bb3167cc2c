"""What is different between two state machines: states, transitions and fields, as a person would say it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from difflib import SequenceMatcher
from typing import Any, Literal

from msgspec import Struct

from workflow_manager.diagrams.graph import Edge, Graph, graph_of
from workflow_manager.manager.graphs import StateMachine, children
from workflow_manager.manager.pointers import pointer

TRANSITIONS = ("Next", "Default", "End")
"""Fields of a state that its transitions say."""
GRAPHS = ("States", "Branches", "Iterator", "ItemProcessor")
"""Fields that hold states, which are told of one by one."""
MAX_DEPTH = 100


class Difference(Struct, frozen=True, omit_defaults=True):
    """One difference: what differs, and how.

    ``at`` is the state's path of names, empty for the machine itself. ``field`` is the JSON pointer to a field, or says when a
    transition is taken. ``before`` and ``after`` are values; of a transition the names of its targets; of a state its type.
    """

    kind: Literal["state", "transition", "field"]
    change: Literal["added", "removed", "changed"]
    at: str
    field: str = ""
    before: Any = None
    after: Any = None


def differences(before: StateMachine, after: StateMachine) -> list[Difference]:
    """Every difference: states first, then transitions, then fields, each in the order of the machine's states."""
    old, new = _states(before), _states(after)
    told = [Difference("state", "removed", at, before=old[at][0]) for at in old if at not in new]
    told += [Difference("state", "added", at, after=new[at][0]) for at in new if at not in old]
    told += _transitions(graph_of(before), graph_of(after))
    told += _fields("", _own(before), _own(after))
    for at, (_, state) in new.items():
        if at in old:
            told += _fields(at, _own(old[at][1]), _own(state))
    return told


def _states(machine: StateMachine) -> dict[str, tuple[str, dict[str, Any]]]:
    """Path of names -> (type, state); paths as graph_of makes them."""
    found: dict[str, tuple[str, dict[str, Any]]] = {}

    def walk(graph: Graph, source: StateMachine) -> None:
        states = source.get("States")
        for node in graph.nodes:
            state = states[node.name] if isinstance(states, dict) else {}
            found[node.id] = node.type, state
            for inner, (_, child) in zip(node.inner, children(state), strict=False):
                walk(inner, child)

    walk(graph_of(machine), machine)
    return found


def _transitions(before: Graph, after: Graph) -> Iterator[Difference]:
    """Those of states and graphs that are in both; the others' come and go with them."""
    old, new = _edges(before), _edges(after)
    kept = _places(before) & _places(after)
    for at in (*old, *(at for at in new if at not in old)):
        if at[0] not in kept:
            continue
        gone, come = old.get(at), new.get(at)
        if gone != come:
            change: Any = "added" if gone is None else "removed" if come is None else "changed"
            yield Difference("transition", change, at[0], field=at[1], before=gone, after=come)


def _places(graph: Graph) -> set[str]:
    return {graph.at, *(place for node in graph.walk() for place in (node.id, *(inner.at for inner in node.inner)))}


def _edges(graph: Graph) -> dict[tuple[str, str], str]:
    """(path of the state, when it is taken) -> name of the state that follows. An end follows like a state, named ``End``."""
    found: dict[tuple[str, str], str] = {}

    def walk(graph: Graph) -> None:
        names = {node.id: node.name for node in graph.nodes}
        if graph.start:
            found[graph.at, "StartAt"] = names[graph.start]
        for edge in graph.edges:
            at = edge.source, when(edge)
            found[at] = f"{found[at]}, {names[edge.target]}" if at in found else names[edge.target]
        for node in graph.nodes:
            if node.ends and node.type not in ("Succeed", "Fail"):
                found[node.id, "then"] = "End"
            for inner in node.inner:
                walk(inner)

    walk(graph)
    return found


def when(edge: Edge) -> str:
    """When a transition is taken, in a few words."""
    match edge.kind:
        case "next":
            return "then"
        case "default":
            return "otherwise"
        case "choice":
            return f"if {edge.label}"
        case "catch":
            return f"on {edge.label}"


def _own(holder: dict[str, Any]) -> dict[str, Any]:
    """What a state or machine says besides its transitions and its inner states."""
    own = {name: value for name, value in holder.items() if name not in (*TRANSITIONS, *GRAPHS, "StartAt")}
    for field in ("Choices", "Catch"):
        if isinstance(rules := own.get(field), list):
            own[field] = [
                {k: v for k, v in rule.items() if k != "Next"} if isinstance(rule, dict) else rule for rule in rules
            ]
    for at, graph in children(holder):
        own[at.removeprefix("/").replace("/", " ")] = {
            name: value for name, value in graph.items() if name not in ("States", "StartAt")
        }
    return own


def _fields(at: str, before: dict[str, Any], after: dict[str, Any]) -> Iterator[Difference]:
    yield from (
        Difference("field", _change(gone, come), at, field=field, before=_shown(gone), after=_shown(come))
        for field, gone, come in _values("", before, after, MAX_DEPTH)
    )


_ABSENT: Any = object()


def _change(gone: Any, come: Any) -> Literal["added", "removed", "changed"]:
    return "added" if gone is _ABSENT else "removed" if come is _ABSENT else "changed"


def _shown(value: Any) -> Any:
    return None if value is _ABSENT else value


def _values(at: str, before: Any, after: Any, depth: int) -> Iterator[tuple[str, Any, Any]]:
    """The places where two JSON values differ: as deep as both have a place, and elements of lists matched by their content."""
    if _same(before, after):
        return
    if isinstance(before, dict) and isinstance(after, dict) and depth:
        for key in (*before, *(key for key in after if key not in before)):
            yield from _values(at + pointer(key), before.get(key, _ABSENT), after.get(key, _ABSENT), depth - 1)
    elif isinstance(before, list) and isinstance(after, list) and depth:
        matcher = SequenceMatcher(None, [*map(_text, before)], [*map(_text, after)], autojunk=False)
        for tag, i1, i2, j1, j2 in matcher.get_opcodes():
            if tag == "equal":
                continue
            both = min(i2 - i1, j2 - j1)
            for n in range(both):
                yield from _values(at + pointer(str(j1 + n)), before[i1 + n], after[j1 + n], depth - 1)
            yield from ((at + pointer(str(i)), before[i], _ABSENT) for i in range(i1 + both, i2))
            yield from ((at + pointer(str(j)), _ABSENT, after[j]) for j in range(j1 + both, j2))
    else:
        yield at, before, after


def _same(one: Any, other: Any) -> bool:
    """Equal as JSON: to Python, 1, 1.0 and true are equal."""
    return one is other or (one is not _ABSENT and other is not _ABSENT and _text(one) == _text(other))


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)
