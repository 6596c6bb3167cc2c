"""A graph as a Mermaid flowchart, as Markdown pages show it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from workflow_manager.diagrams.difference import when
from workflow_manager.diagrams.graph import Graph
from workflow_manager.diagrams.svg import COLOURS


def mermaid(graph: Graph, statuses: Mapping[str, str] | None = None) -> str:
    """A ``flowchart``. ``statuses``: name of a state -> status of its job, which colours it."""
    numbers = {node.id: f"s{n}" for n, node in enumerate(graph.walk())}
    lines = ["flowchart TD", *_graph(graph, numbers, "  ")]
    told = dict(statuses or {})
    used = {told[node.name] for node in graph.walk() if node.name in told}
    lines += (f"  classDef {status} fill:{colour}" for status, colour in COLOURS.items() if status in used)
    lines += (
        f"  class {numbers[node.id]} {told[node.name]}" for node in graph.walk() if told.get(node.name) in COLOURS
    )
    return "\n".join(lines) + "\n"


def _graph(graph: Graph, numbers: Mapping[str, str], indent: str) -> Iterator[str]:
    for node in graph.nodes:
        number, label = numbers[node.id], _quoted(f"{node.name} ({node.type})" if node.type else node.name)
        if node.inner:
            yield f"{indent}subgraph {number} [{label}]"
            for n, inner in enumerate(node.inner):
                yield f"{indent}  subgraph {number}g{n} [{_quoted(inner.title)}]"
                yield from _graph(inner, numbers, indent + "    ")
                yield f"{indent}  end"
            yield f"{indent}end"
        else:
            left, right = ("([", "])") if node.ends else ("{{", "}}") if node.type == "Choice" else ("[", "]")
            yield f"{indent}{number}{left}{label}{right}"
    if graph.start:
        place = f"start{numbers[graph.start]}"
        yield f"{indent}{place}(( )) --> {numbers[graph.start]}"
    for edge in graph.edges:
        arrow = "-.->" if edge.kind == "catch" else "-->"
        label = "" if edge.kind == "next" else f"|{_quoted(when(edge))}|"
        yield f"{indent}{numbers[edge.source]} {arrow}{label} {numbers[edge.target]}"


def _quoted(text: str) -> str:
    """Text between quotes; what Mermaid would take for its own is written as entities (Mermaid, "Entity codes")."""
    return '"' + "".join(_ENTITIES.get(char, char if char.isprintable() else " ") for char in text) + '"'


_ENTITIES = {char: f"#{ord(char)};" for char in '"#;<>&`\\'}
