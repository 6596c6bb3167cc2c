"""A state machine as the tree its author wrote: every state at every depth, and what can be reached from where.

Nothing here trusts its input: a definition may hold any JSON, and what is not shaped as the language asks is passed over
(the validator reports it). Nothing here recurses, so that depth is no danger.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from workflow_manager.manager.pointers import pointer

StateMachine = dict[str, Any]

JSONATA = "JSONata"


class Located(NamedTuple):
    """A state, its name, and the JSON pointer to it from the state machine's root."""

    pointer: str
    name: str
    state: dict[str, Any]


def states(machine: StateMachine) -> Iterator[Located]:
    """Every state: the top level's in the author's order, then those of Parallel branches and Map processors."""
    for at, graph in graphs(machine):
        for name, state in _states_of(graph).items():
            if isinstance(state, dict):
                yield Located(at + pointer("States", name), name, state)


def graphs(machine: StateMachine) -> Iterator[tuple[str, StateMachine]]:
    """Every object that has States, outer ones first, with the JSON pointer to it."""
    waiting: list[tuple[str, StateMachine]] = [("", machine)]
    for at, graph in waiting:  # grows while it is walked
        yield at, graph
        for name, state in _states_of(graph).items():
            if isinstance(state, dict):
                waiting += ((at + pointer("States", name) + inner, child) for inner, child in children(state))


def children(state: dict[str, Any]) -> Iterator[tuple[str, StateMachine]]:
    """The graphs inside one state, with the JSON pointer to each from the state."""
    match state.get("Type"):
        case "Parallel":
            branches = state.get("Branches")
            for index, branch in enumerate(branches if isinstance(branches, list) else ()):
                if isinstance(branch, dict):
                    yield pointer("Branches", str(index)), branch
        case "Map":
            for field in ("Iterator", "ItemProcessor"):
                if isinstance(processor := state.get(field), dict):
                    yield pointer(field), processor


def copied(machine: StateMachine) -> StateMachine:
    """A copy in which every graph and every state is new, and what they hold besides is shared."""
    root = dict(machine)
    waiting = [root]
    for graph in waiting:  # grows while it is walked
        if not isinstance(graph.get("States"), dict):
            continue
        graph["States"] = {
            name: dict(state) if isinstance(state, dict) else state for name, state in graph["States"].items()
        }
        for state in graph["States"].values():
            if isinstance(state, dict):
                waiting += _copy_children(state)
    return root


def _copy_children(state: dict[str, Any]) -> list[StateMachine]:
    """Replace the graphs inside a state by copies; answer these."""
    copies: list[StateMachine] = []
    match state.get("Type"):
        case "Parallel" if isinstance(state.get("Branches"), list):
            state["Branches"] = [dict(branch) if isinstance(branch, dict) else branch for branch in state["Branches"]]
            copies = [branch for branch in state["Branches"] if isinstance(branch, dict)]
        case "Map":
            for field in ("Iterator", "ItemProcessor"):
                if isinstance(processor := state.get(field), dict):
                    state[field] = dict(processor)
                    copies.append(state[field])
    return copies


def starting_at(machine: StateMachine, start_at: str) -> StateMachine:
    """The same machine begun at another of its top-level states, without the states that cannot be reached from there."""
    everything = _states_of(machine)
    reached = {start_at}
    waiting = [start_at]
    for name in waiting:  # grows while it is walked
        for target in _targets(everything.get(name)):
            if target in everything and target not in reached:
                reached.add(target)
                waiting.append(target)
    kept = {name: state for name, state in everything.items() if name in reached}
    return {**machine, "StartAt": start_at, "States": kept}


def _targets(state: Any) -> Iterator[str]:
    """The states that may follow: by Next, Default, a choice rule's Next or a catcher's."""
    if not isinstance(state, dict):
        return
    candidates = [state.get("Next"), state.get("Default")]
    for field in ("Choices", "Catch"):
        rules = state.get(field)
        candidates += (
            rule.get("Next") for rule in (rules if isinstance(rules, list) else ()) if isinstance(rule, dict)
        )
    yield from (target for target in candidates if isinstance(target, str))


def uses_jsonata(machine: StateMachine, state: dict[str, Any]) -> bool:
    """A state's QueryLanguage, or else the whole machine's (ASL, "Query languages")."""
    return bool(state.get("QueryLanguage", machine.get("QueryLanguage")) == JSONATA)


def _states_of(graph: StateMachine) -> dict[str, Any]:
    declared = graph.get("States")
    return declared if isinstance(declared, dict) else {}


def deeper_than(value: Any, limit: int) -> bool:
    """Whether more than ``limit`` containers are nested in each other."""
    level = [value] if isinstance(value, (dict, list)) else []
    for _ in range(limit):
        if not level:
            return False
        inner: list[Any] = []
        for each in level:
            values = each.values() if isinstance(each, dict) else each
            inner += (v for v in values if isinstance(v, (dict, list)))
        level = inner
    return bool(level)
