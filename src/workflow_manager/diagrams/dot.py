"""A graph in the DOT language of Graphviz."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from workflow_manager.diagrams.difference import when
from workflow_manager.diagrams.graph import Graph, Node
from workflow_manager.diagrams.svg import COLOURS, PLAIN


def dot(graph: Graph, statuses: Mapping[str, str] | None = None) -> str:
    """A ``digraph``. ``statuses``: name of a state -> status of its job, which colours it."""
    numbers = {node.id: f"s{n}" for n, node in enumerate(graph.walk())}
    return "\n".join(
        (
            "digraph {",
            "  compound=true",
            '  node [shape=box style="rounded,filled" fontname="sans-serif"]',
            '  edge [fontname="sans-serif" fontsize=11]',
            *_graph(graph, numbers, statuses or {}, "  "),
            "}\n",
        )
    )


def _graph(graph: Graph, numbers: Mapping[str, str], statuses: Mapping[str, str], indent: str) -> Iterator[str]:
    for node in graph.nodes:
        yield f"{indent}{numbers[node.id]} [label={_quoted(_label(node))} fillcolor={_colour(node, statuses)}{_shape(node)}]"
        for n, inner in enumerate(node.inner):
            yield f"{indent}subgraph cluster_{numbers[node.id]}_{n} {{"
            yield f"{indent}  label={_quoted(f'{node.name}: {inner.title}')}"
            yield from _graph(inner, numbers, statuses, indent + "  ")
            yield f"{indent}}}"
            if inner.start:
                yield f"{indent}{numbers[node.id]} -> {numbers[inner.start]} [style=dotted lhead=cluster_{numbers[node.id]}_{n}]"
    if graph.start and not graph.at:
        yield f'{indent}start [shape=point width=0.15 label=""]'
        yield f"{indent}start -> {numbers[graph.start]}"
    for edge in graph.edges:
        label = "" if edge.kind == "next" else f" label={_quoted(when(edge))}"
        style = " style=dashed" if edge.kind == "catch" else ""
        attributes = f" [{(label + style).strip()}]" if label or style else ""
        yield f"{indent}{numbers[edge.source]} -> {numbers[edge.target]}{attributes}"


def _label(node: Node) -> str:
    return f"{node.name}\n{node.type}" if node.type else node.name


def _colour(node: Node, statuses: Mapping[str, str]) -> str:
    return _quoted(COLOURS.get(statuses.get(node.name, ""), PLAIN))


def _shape(node: Node) -> str:
    return " peripheries=2" if node.ends else " shape=diamond" if node.type == "Choice" else ""


def _quoted(text: str) -> str:
    """A DOT string: quotes and backslashes escaped, line breaks as its own (Graphviz, "The DOT language")."""
    plain = "".join(char if char.isprintable() or char == "\n" else " " for char in text)
    return '"' + plain.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
