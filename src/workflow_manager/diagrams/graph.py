"""The graph of a state machine: a node for each state, an edge for each transition, and graphs within Parallel and Map."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from msgspec import Struct

from workflow_manager.diagrams.conditions import condition
from workflow_manager.manager.graphs import StateMachine, children

MAX_DEPTH = 100
"""Graphs nested deeper than this are left out: nobody could look at them."""

Kind = Literal["next", "default", "choice", "catch"]


class Edge(Struct, frozen=True):
    """A transition. ``label`` says when it is taken: a condition, or the errors that are caught; else it is empty."""

    source: str
    target: str
    kind: Kind
    label: str = ""


class Node(Struct, frozen=True):
    """A state. ``id`` is its path of names, unique in the machine. ``ends``: the machine, or its branch, can end here."""

    id: str
    name: str
    type: str
    ends: bool
    inner: tuple[Graph, ...] = ()


class Graph(Struct, frozen=True):
    """States and the transitions between them. ``start`` is a node's id, or empty.

    ``at`` is the path of the state that the graph is in, with its own ``title`` at the end; both are empty for a whole machine.
    """

    at: str
    title: str
    start: str
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]

    def walk(self) -> Iterator[Node]:
        """Every node, those of inner graphs after the node that they are in."""
        for node in self.nodes:
            yield node
            for graph in node.inner:
                yield from graph.walk()


def graph_of(machine: StateMachine) -> Graph:
    """The graph of a state machine in ASL, whether it is right or not: transitions to nowhere are left out."""
    return _graph(machine, "", "", MAX_DEPTH)


def _graph(machine: StateMachine, title: str, at: str, depth: int) -> Graph:
    prefix = f"{at}/" if at else ""
    declared = machine.get("States")
    states = {
        name: state
        for name, state in (declared.items() if isinstance(declared, dict) else ())
        if isinstance(state, dict)
    }
    start = machine.get("StartAt")
    return Graph(
        at=at,
        title=title,
        start=prefix + start if isinstance(start, str) and start in states else "",
        nodes=tuple(_node(name, state, prefix, depth) for name, state in states.items()),
        edges=tuple(
            Edge(prefix + name, prefix + target, kind, label)
            for name, state in states.items()
            for kind, label, target in transitions(state)
            if target in states
        ),
    )


def _node(name: str, state: dict[str, Any], prefix: str, depth: int) -> Node:
    inner = list(children(state)) if depth else []
    kind = str(state.get("Type", ""))
    return Node(
        id=prefix + name,
        name=name,
        type=kind,
        ends=state.get("End") is True or kind in ("Succeed", "Fail"),
        inner=tuple(
            _graph(graph, title, f"{prefix}{name}/{title}", depth - 1)
            for (_, graph), title in zip(inner, _titles(kind, len(inner)), strict=True)
        ),
    )


def _titles(kind: str, count: int) -> list[str]:
    return [f"branch {n + 1}" for n in range(count)] if kind == "Parallel" else ["each item"] * count


def transitions(state: dict[str, Any]) -> Iterator[tuple[Kind, str, str]]:
    """(kind, label, name of the target) of every transition out of a state, in the order in which they are tried."""
    for rule in _dicts(state.get("Choices")):
        if isinstance(target := rule.get("Next"), str):
            yield "choice", condition(rule), target
    for kind, field in (("default", "Default"), ("next", "Next")):
        if isinstance(target := state.get(field), str):
            yield kind, "", target  # type: ignore[misc]  # the two words are Kinds
    for catcher in _dicts(state.get("Catch")):
        if isinstance(target := catcher.get("Next"), str):
            errors = catcher.get("ErrorEquals")
            yield "catch", ", ".join(map(str, errors)) if isinstance(errors, list) else "", target


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []
