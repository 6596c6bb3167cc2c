"""Where the parts of a graph stand: layers from top to bottom, as few crossings as a few sweeps find, inner graphs side by side.

The method is Sugiyama's, in its plain form: cycles are broken by a depth-first search, layers are longest paths from the start,
edges over several layers pass through a bend in each, layers are ordered by the median of their neighbours, and nodes are moved
towards the middle of these. Graphs within a state are laid out first and make its size. Lengths are in pixels.
"""

from __future__ import annotations

from itertools import pairwise
from statistics import median

from msgspec import Struct, field

from workflow_manager.diagrams.graph import Edge, Graph, Node

CHARACTER = 7.2
"""Width of a character of a name, about."""
HEIGHT = 44.0
NARROWEST = 120.0
WIDEST = 260.0
GAP_X = 36.0
GAP_Y = 52.0
BESIDE = 14.0
"""How far to the right of the middle an edge that leads back leaves and arrives, so as not to cover one that leads down."""
PADDING = 16.0
TITLE = 22.0
SWEEPS = 8
ALIGNMENTS = 12
BENDS = 20_000
"""A graph whose edges would have more bends gets straight ones: ten thousand states that all lead back have millions."""


class Box(Struct):
    """A node and where it stands: its upper left corner and its size. ``inner``: its graphs, laid out at places of their own."""

    node: Node
    width: float
    height: float
    x: float = 0.0
    y: float = 0.0
    inner: list[Drawing] = field(default_factory=list)


class Path(Struct):
    """An edge and the points that it passes through, from its source's border to its target's."""

    edge: Edge
    points: list[tuple[float, float]]


class Drawing(Struct):
    """A graph laid out. ``x`` and ``y`` are its upper left corner within the node that it is in."""

    graph: Graph
    width: float
    height: float
    boxes: list[Box]
    paths: list[Path]
    x: float = 0.0
    y: float = 0.0


def lay_out(graph: Graph) -> Drawing:
    """Place every node and edge of a graph, and of those within it."""
    boxes = {node.id: _sized(node) for node in graph.nodes}
    edges = [(edge.source, edge.target) for edge in graph.edges if edge.source != edge.target]
    forward = _without_cycles(graph, edges)
    layer = _layers(boxes, forward)
    chains = {pair: _chain(pair, layer) for pair in _bent(forward, layer)}
    rows = _ordered(boxes, layer, chains)
    centres, tops = _placed(rows, boxes, chains)
    for name, box in boxes.items():
        box.x, box.y = centres[name] - box.width / 2, tops[layer[name]]
    paths = [Path(edge, _points(edge, boxes, chains, centres, tops, rows)) for edge in graph.edges]
    drawing = Drawing(graph, 0.0, 0.0, list(boxes.values()), paths)
    _move_to_origin(drawing)
    return drawing


def _sized(node: Node) -> Box:
    text = max(len(node.name), len(node.type) + 2) * CHARACTER + 2 * PADDING
    width = min(max(text, NARROWEST), WIDEST)
    inner = [lay_out(graph) for graph in node.inner]
    if not inner:
        return Box(node, width, HEIGHT)
    at = PADDING
    for drawing in inner:
        drawing.x, drawing.y = at, HEIGHT
        at += drawing.width + PADDING
    shift = max(0.0, (width - at) / 2)
    for drawing in inner:
        drawing.x += shift
    return Box(node, max(width, at), HEIGHT + max(each.height for each in inner) + PADDING, inner=inner)


Pair = tuple[str, str]


def _without_cycles(graph: Graph, edges: list[Pair]) -> list[Pair]:
    """The edges, those that lead back turned round. Nothing here recurses: ten thousand states in a row are no danger."""
    out: dict[str, list[str]] = {node.id: [] for node in graph.nodes}
    for source, target in edges:
        out[source].append(target)
    open_, done, back = set[str](), set[str](), set[Pair]()
    for root in dict.fromkeys([graph.start, *out] if graph.start else out):
        if root in done:
            continue
        stack = [(root, iter(out[root]))]
        open_.add(root)
        while stack:
            name, targets = stack[-1]
            for target in targets:
                if target in open_:
                    back.add((name, target))
                elif target not in done:
                    open_.add(target)
                    stack.append((target, iter(out[target])))
                    break
            else:
                stack.pop()
                open_.discard(name)
                done.add(name)
    return [(target, source) if (source, target) in back else (source, target) for source, target in edges]


def _layers(boxes: dict[str, Box], edges: list[Pair]) -> dict[str, int]:
    """How far below the top each node stands: the longest way to it."""
    incoming = dict.fromkeys(boxes, 0)
    out: dict[str, list[str]] = {name: [] for name in boxes}
    for source, target in edges:
        incoming[target] += 1
        out[source].append(target)
    layer = dict.fromkeys(boxes, 0)
    ready = [name for name, count in incoming.items() if count == 0]
    for name in ready:  # grows while it is walked
        for target in out[name]:
            layer[target] = max(layer[target], layer[name] + 1)
            incoming[target] -= 1
            if incoming[target] == 0:
                ready.append(target)
    return layer


def _bent(edges: list[Pair], layer: dict[str, int]) -> list[Pair]:
    """The edges that take part in the layout: all of them, or where that is too much those between neighbouring layers."""
    pairs = list(dict.fromkeys(edges))
    if sum(layer[target] - layer[source] - 1 for source, target in pairs) <= BENDS:
        return pairs
    return [(source, target) for source, target in pairs if layer[target] == layer[source] + 1]


def _chain(pair: Pair, layer: dict[str, int]) -> list[str]:
    """The edge's ends, and between them a bend for each layer that it passes."""
    source, target = pair
    bends = [f"{source}\0{target}\0{at}" for at in range(layer[source] + 1, layer[target])]
    return [source, *bends, target]


def _ordered(boxes: dict[str, Box], layer: dict[str, int], chains: dict[Pair, list[str]]) -> list[list[str]]:
    """The layers from the top, each from left to right."""
    rows: list[list[str]] = [[] for _ in range(max(layer.values(), default=-1) + 1)]
    for name in boxes:
        rows[layer[name]].append(name)
    above: dict[str, list[str]] = {}
    below: dict[str, list[str]] = {}
    for (source, _), chain in chains.items():
        for depth, bend in enumerate(chain[1:-1], layer[source] + 1):
            rows[depth].append(bend)
        for upper, lower in pairwise(chain):
            below.setdefault(upper, []).append(lower)
            above.setdefault(lower, []).append(upper)
    for sweep in range(SWEEPS):
        down = sweep % 2 == 0
        neighbours = above if down else below
        sequence = range(1, len(rows)) if down else range(len(rows) - 2, -1, -1)
        for depth in sequence:
            near = {name: at for at, name in enumerate(rows[depth - 1 if down else depth + 1])}
            here = {name: float(at) for at, name in enumerate(rows[depth])}
            key = {
                name: median(near[each] for each in neighbours[name]) if neighbours.get(name) else here[name]
                for name in rows[depth]
            }
            rows[depth].sort(key=key.__getitem__)
    return rows


def _placed(
    rows: list[list[str]], boxes: dict[str, Box], chains: dict[Pair, list[str]]
) -> tuple[dict[str, float], list[float]]:
    """The middle of every node and bend, and the top of every layer."""
    near: dict[str, list[str]] = {}
    for chain in chains.values():
        for upper, lower in pairwise(chain):
            near.setdefault(upper, []).append(lower)
            near.setdefault(lower, []).append(upper)

    def width(name: str) -> float:
        return boxes[name].width if name in boxes else 0.0

    centres: dict[str, float] = {}
    for row in rows:
        at = 0.0
        for name in row:
            centres[name] = at + width(name) / 2
            at += width(name) + GAP_X
        shift = (at - GAP_X) / 2
        for name in row:
            centres[name] -= shift
    for turn in range(ALIGNMENTS):
        for row in rows if turn % 2 == 0 else reversed(rows):
            wanted = [median(centres[each] for each in near[name]) if near.get(name) else centres[name] for name in row]
            centres.update(zip(row, _apart(wanted, [width(name) for name in row]), strict=True))
    tops, top = [], 0.0
    for row in rows:
        tops.append(top)
        top += max((boxes[name].height for name in row if name in boxes), default=0.0) + GAP_Y
    return centres, tops


def _apart(wanted: list[float], widths: list[float]) -> list[float]:
    """Places as near to those wanted as keeping order and distance allows: the mean of pushing right and pushing left."""
    right: list[float] = []
    for at, centre in enumerate(wanted):
        least = right[-1] + (widths[at - 1] + widths[at]) / 2 + GAP_X if right else centre
        right.append(max(centre, least))
    left = list(wanted)
    for at in range(len(wanted) - 2, -1, -1):
        left[at] = min(wanted[at], left[at + 1] - (widths[at] + widths[at + 1]) / 2 - GAP_X)
    return [(one + other) / 2 for one, other in zip(right, left, strict=True)]


def _points(
    edge: Edge,
    boxes: dict[str, Box],
    chains: dict[Pair, list[str]],
    centres: dict[str, float],
    tops: list[float],
    rows: list[list[str]],
) -> list[tuple[float, float]]:
    source, target = boxes[edge.source], boxes[edge.target]
    if edge.source == edge.target:  # a loop at the right border
        right, middle = source.x + source.width, source.y + HEIGHT / 2
        return [(right, middle - 8), (right + 20, middle - 8), (right + 20, middle + 8), (right, middle + 8)]
    if source.y < target.y:
        bends = chains.get((edge.source, edge.target), [])[1:-1]
        begin, end = (centres[edge.source], source.y + source.height), (centres[edge.target], target.y)
    else:  # it leads back, upwards
        bends = chains.get((edge.target, edge.source), [])[1:-1][::-1]
        begin = centres[edge.source] + BESIDE, source.y
        end = centres[edge.target] + BESIDE, target.y + target.height
    points = [begin]
    upwards = begin[1] > end[1]
    for bend in bends:
        depth = int(bend.rpartition("\0")[2])
        height = max((boxes[name].height for name in rows[depth] if name in boxes), default=0.0)
        passed = [(centres[bend], tops[depth]), (centres[bend], tops[depth] + height)]
        points += reversed(passed) if upwards else passed
    return [*points, end]


def _move_to_origin(drawing: Drawing) -> None:
    """Move everything so that it begins at (PADDING, TITLE or PADDING), and measure it."""
    xs = [x for path in drawing.paths for x, _ in path.points]
    xs += [x for box in drawing.boxes for x in (box.x, box.x + box.width)]
    ys = [y for path in drawing.paths for _, y in path.points]
    ys += [y for box in drawing.boxes for y in (box.y, box.y + box.height)]
    top = TITLE if drawing.graph.title else PADDING
    dx, dy = PADDING - min(xs, default=0.0), top - min(ys, default=0.0)
    for box in drawing.boxes:
        box.x += dx
        box.y += dy
    for path in drawing.paths:
        path.points = [(x + dx, y + dy) for x, y in path.points]
    title = len(drawing.graph.title) * CHARACTER
    drawing.width = max(max(xs, default=0.0) + dx, title + PADDING) + PADDING
    drawing.height = max(ys, default=0.0) + dy + PADDING
