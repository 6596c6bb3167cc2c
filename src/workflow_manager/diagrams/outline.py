"""A graph as lines of text: each state in the order in which it can be reached, below it where it goes, and its inner graphs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from msgspec import Struct

from workflow_manager.diagrams.difference import when
from workflow_manager.diagrams.graph import Graph, Node

MARKS = {
    "created": "○",
    "queued": "○",
    "running": "◐",
    "succeeded": "✔",
    "failed": "✘",
    "cancelled": "◌",
    "aborted_by_user": "◌",
}
"""Status of a job -> the mark before its state."""
PLAIN = "•"


class Line(Struct, frozen=True):
    """A line of the outline: indentation and what to print; ``status`` is for who has colours."""

    indent: int
    text: str
    status: str = ""


def outline(graph: Graph, statuses: Mapping[str, str] | None = None) -> list[Line]:
    """The lines. ``statuses``: name of a state -> status of its job."""
    return list(_graph(graph, statuses or {}, 0))


def text(graph: Graph, statuses: Mapping[str, str] | None = None) -> str:
    """The outline as one text."""
    return "\n".join("  " * line.indent + line.text for line in outline(graph, statuses)) + "\n"


def _graph(graph: Graph, statuses: Mapping[str, str], indent: int) -> Iterator[Line]:
    names = {node.id: node.name for node in graph.nodes}
    for node in _reached(graph):
        status = statuses.get(node.name, "")
        said = ", ".join(part for part in (node.type, status) if part)
        begins = "▶ " if node.id == graph.start else ""
        yield Line(indent, f"{MARKS.get(status, PLAIN)} {begins}{_one_line(node.name)}  ({said})", status)
        for inner in node.inner:
            yield Line(indent + 1, f"┌ {inner.title}")
            yield from _graph(inner, statuses, indent + 2)
        for edge in graph.edges:
            if edge.source == node.id:
                arrow = "⚠" if edge.kind == "catch" else "→"
                label = "" if edge.kind == "next" else f"  {_one_line(when(edge))}"
                yield Line(indent + 1, f"{arrow} {_one_line(names[edge.target])}{label}")
        if node.ends:
            yield Line(indent + 1, "■ end")


def _reached(graph: Graph) -> Iterator[Node]:
    """The nodes in the order of a walk from the start, those that cannot be reached last."""
    nodes = {node.id: node for node in graph.nodes}
    out: dict[str, list[str]] = {}
    for edge in graph.edges:
        out.setdefault(edge.source, []).append(edge.target)
    seen = dict.fromkeys([graph.start] if graph.start else [])
    waiting = list(seen)
    for name in waiting:  # grows while it is walked
        for target in out.get(name, ()):
            if target not in seen:
                seen[target] = None
                waiting.append(target)
    yield from (nodes[name] for name in dict.fromkeys([*seen, *nodes]))


def _one_line(value: str) -> str:
    return "".join(char if char.isprintable() else " " for char in value)
