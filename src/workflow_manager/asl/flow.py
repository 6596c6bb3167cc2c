"""How states follow each other: transitions that lead nowhere, states nothing leads to, cycles without a way out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches

from .diagnostics import Diagnostic

_MAX_SUGGESTIONS = 20
_MAX_STATES_FOR_SUGGESTIONS = 500


@dataclass(frozen=True, slots=True)
class Transition:
    """``location`` is the pointer to the field, which is called ``field``."""

    target: str
    field: str
    location: str


@dataclass(slots=True)
class Step:
    """A state as the flow sees it. ``terminal``: the sequence of states may end here."""

    location: str
    transitions: list[Transition]
    terminal: bool


def check_flow(start: Transition | None, nodes: Mapping[str, Step], location: str) -> Iterable[Diagnostic]:
    """Find the faults in one sequence of states; ``location`` is the pointer to its ``States``."""
    suggestions = _MAX_SUGGESTIONS if len(nodes) <= _MAX_STATES_FOR_SUGGESTIONS else 0
    transitions = [*([start] if start else ()), *(t for node in nodes.values() for t in node.transitions)]
    for transition in transitions:
        if transition.target in nodes:
            continue
        close = get_close_matches(transition.target, nodes, n=1) if suggestions > 0 else []
        suggestions -= 1
        hint = f"; did you mean {close[0]!r}?" if close else ""
        yield Diagnostic(
            "MISSING_TRANSITION_TARGET",
            f"Missing '{transition.field}' target: {transition.target}{hint}",
            transition.location,
        )
    if start is None or start.target not in nodes:
        return
    reached = _reach([start.target], {name: [t.target for t in node.transitions] for name, node in nodes.items()})
    for name, node in nodes.items():
        if name not in reached:
            yield Diagnostic("MISSING_TRANSITION_TARGET", f'State "{name}" is not reachable.', node.location)
    yield from _check_ends(nodes, reached, location)


def _check_ends(nodes: Mapping[str, Step], reached: set[str], location: str) -> Iterable[Diagnostic]:
    sources: dict[str, list[str]] = {}
    for name, node in nodes.items():
        for transition in node.transitions:
            sources.setdefault(transition.target, []).append(name)
    # A target that is missing has been reported already: its state may well have been meant to end.
    ends = [n for n, node in nodes.items() if node.terminal or any(t.target not in nodes for t in node.transitions)]
    leaving = _reach(ends, sources)
    trapped = [name for name in nodes if name in reached and name not in leaving]
    if not trapped:
        return
    names = ", ".join(repr(name) for name in trapped[:5]) + (", ..." if len(trapped) > 5 else "")
    yield Diagnostic(
        "MISSING_END_STATE",
        f"No terminal state can be reached from {names}: end one of them, or lead one to a Succeed or Fail state",
        location if len(trapped) == len(nodes) else nodes[trapped[0]].location,
    )


def _reach(starts: list[str], following: Mapping[str, list[str]]) -> set[str]:
    reached = set(starts)
    waiting = list(starts)
    while waiting:
        for name in following.get(waiting.pop(), ()):
            if name not in reached:
                reached.add(name)
                waiting.append(name)
    return reached
