"""A graph as SVG: one file, no scripts, no fonts or styles from elsewhere; readable on light and dark backgrounds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise
from xml.sax.saxutils import escape, quoteattr

from workflow_manager.diagrams.graph import Graph
from workflow_manager.diagrams.layout import CHARACTER, PADDING, Box, Drawing, Path, lay_out

COLOURS = {
    "created": "#b3e5fc",
    "queued": "#b3e5fc",
    "running": "#90caf9",
    "succeeded": "#a5d6a7",
    "failed": "#ef9a9a",
    "cancelled": "#ffe082",
    "aborted_by_user": "#ffe082",
}
"""Status of a job -> what its state is filled with."""
PLAIN = "#ffffff"
FONT = 'font-family="ui-sans-serif, system-ui, sans-serif" font-size="13"'
ARROW = """\
<defs><marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">\
<path d="M0 0L8 4L0 8z" fill="#607d8b"/></marker></defs>"""
LABEL_LENGTH = 32
_FORBIDDEN = {n: "\ufffd" for n in [*range(32), *range(0xD800, 0xE000), 0xFFFE, 0xFFFF] if n not in (9, 10, 13)}
"""What no XML document may hold (XML 1.0, "Characters")."""


def svg(graph: Graph, statuses: Mapping[str, str] | None = None) -> str:
    """An SVG document. ``statuses``: name of a state -> status of its job, which colours it."""
    drawing = lay_out(graph)
    width, height = drawing.width, drawing.height
    size = f'width="{width:.0f}" height="{height:.0f}"'
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" {size} {FONT}>',
            ARROW,
            f'<rect width="{width:.0f}" height="{height:.0f}" rx="6" fill="#f8fafb"/>',
            *_drawing(drawing, 0.0, 0.0, statuses or {}),
            "</svg>\n",
        )
    )


def _drawing(drawing: Drawing, x: float, y: float, statuses: Mapping[str, str]) -> Iterator[str]:
    for path in drawing.paths:
        yield from _path(path, x, y)
    for box in drawing.boxes:
        yield from _box(box, x, y, statuses, start=box.node.id == drawing.graph.start)
    for path in drawing.paths:
        yield from _label(path, x, y)


def _path(path: Path, x: float, y: float) -> Iterator[str]:
    points = [(px + x, py + y) for px, py in path.points]
    line = f"M{points[0][0]:.1f} {points[0][1]:.1f}"
    for (x0, y0), (x1, y1) in pairwise(points):
        middle = (y0 + y1) / 2
        line += f"C{x0:.1f} {middle:.1f} {x1:.1f} {middle:.1f} {x1:.1f} {y1:.1f}"
    dashes = ' stroke-dasharray="5 4"' if path.edge.kind == "catch" else ""
    yield f'<path d="{line}" fill="none" stroke="#607d8b" stroke-width="1.4" marker-end="url(#arrow)"{dashes}/>'


def _label(path: Path, x: float, y: float) -> Iterator[str]:
    edge = path.edge
    text = {"next": "", "default": "otherwise", "catch": f"⚠ {edge.label}"}.get(edge.kind, edge.label)
    if not text:
        return
    (x0, y0), (x1, y1) = path.points[:2]
    at_x, at_y = x + x0 + (x1 - x0) * 0.5, y + y0 + (y1 - y0) * 0.5
    yield (
        f'<text x="{at_x:.1f}" y="{at_y:.1f}" text-anchor="middle" font-size="11" fill="#455a64" stroke="#f8fafb"'
        f' stroke-width="3" paint-order="stroke">{_text(text, LABEL_LENGTH)}<title>{_text(text)}</title></text>'
    )


def _box(box: Box, x: float, y: float, statuses: Mapping[str, str], *, start: bool) -> Iterator[str]:
    node, left, top = box.node, box.x + x, box.y + y
    status = statuses.get(node.name, "")
    border = 2.4 if start else 1.4
    yield f'<g class="state" data-state={quoteattr(node.name.translate(_FORBIDDEN))} data-status={quoteattr(status)}>'
    yield (
        f'<rect x="{left:.1f}" y="{top:.1f}" width="{box.width:.1f}" height="{box.height:.1f}" rx="8"'
        f' fill="{COLOURS.get(status, PLAIN)}" stroke="#37474f" stroke-width="{border}"/>'
    )
    if node.ends:
        yield (
            f'<rect x="{left + 3:.1f}" y="{top + 3:.1f}" width="{box.width - 6:.1f}" height="{box.height - 6:.1f}" rx="6"'
            ' fill="none" stroke="#37474f" stroke-width="0.8"/>'
        )
    fits = int((box.width - PADDING) / CHARACTER)
    middle = left + box.width / 2
    said = ", ".join(part for part in (node.type, status) if part)
    yield (
        f'<text x="{middle:.1f}" y="{top + 19:.1f}" text-anchor="middle" font-weight="600" fill="#212121">'
        f"{_text(node.name, fits)}<title>{_text(node.name)}</title></text>"
    )
    yield (
        f'<text x="{middle:.1f}" y="{top + 34:.1f}" text-anchor="middle" font-size="11" fill="#546e7a">'
        f"{_text(said, fits)}</text>"
    )
    for drawing in box.inner:
        at_x, at_y = left + drawing.x, top + drawing.y
        yield (
            f'<rect x="{at_x:.1f}" y="{at_y:.1f}" width="{drawing.width:.1f}" height="{drawing.height:.1f}" rx="6"'
            ' fill="#eceff1" stroke="#90a4ae" stroke-dasharray="3 3"/>'
            f'<text x="{at_x + 8:.1f}" y="{at_y + 15:.1f}" font-size="11" fill="#546e7a">{_text(drawing.graph.title)}</text>'
        )
        yield from _drawing(drawing, at_x, at_y, statuses)
    yield "</g>"


def _text(text: str, length: int | None = None) -> str:
    if length is not None and len(text) > length:
        text = f"{text[: max(length - 1, 1)]}…"
    return escape(text.translate(_FORBIDDEN))
