"""Breaks definitions in one place at a time, and says whether a diagnostic speaks of that place.

A mutation drops a field, misspells the name of a state, breaks a path or an expression, or puts a value of another type.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

Steps: TypeAlias = tuple[str | int, ...]
"""The way to a place: names of fields and indexes."""

TRANSITIONS = ("StartAt", "Next", "Default")
BROKEN_PATHS = ("$.[", "$.a[", "$..", "$$.x[?", "a.b", "$.a b")
BROKEN_EXPRESSIONS = ("{% $ + %}", "{% ( %}", "{% $states.input.[ %}", "{% 'a %}")
OF_OTHER_TYPES: tuple[Any, ...] = (None, True, -1, 1.5, "text", [], {}, [1], {"a": 1})


@dataclass(frozen=True, slots=True)
class Mutation:
    """``place`` is where the definition was changed, ``led_to`` the states that transitions led to from there."""

    kind: str
    place: Steps
    definition: dict[str, Any]
    led_to: frozenset[str]


def mutate(definition: dict[str, Any], chance: random.Random) -> Mutation | None:
    """One mutation; None when the definition has nothing that this kind of mutation could change."""
    kind = chance.choice(sorted(_KINDS))
    places = [steps for steps, value in walk(definition) if steps and _KINDS[kind][0](steps, value)]
    if not places:
        return None
    place = chance.choice(places)
    mutated = copy.deepcopy(definition)
    holder = at(mutated, place[:-1])
    led_to = frozenset(targets(holder[place[-1]], place[-1]))
    _KINDS[kind][1](holder, place[-1], chance)
    return Mutation(kind, place, mutated, led_to)


def walk(node: Any, steps: Steps = ()) -> Iterator[tuple[Steps, Any]]:
    yield steps, node
    if isinstance(node, dict):
        for name, value in node.items():
            yield from walk(value, (*steps, name))
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from walk(value, (*steps, index))


def at(node: Any, steps: Steps) -> Any:
    for step in steps:
        node = node[step]
    return node


def targets(node: Any, name: str | int = "") -> Iterator[str]:
    """The states that transitions in this part of a definition lead to."""
    if isinstance(node, str) and name in TRANSITIONS:
        yield node
    elif isinstance(node, dict):
        for key, value in node.items():
            yield from targets(value, key)
    elif isinstance(node, list):
        for value in node:
            yield from targets(value)


def pointer(steps: Steps) -> str:
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in steps)


# ------------------------------------------------------------------------------------------- the kinds


def _drop(holder: Any, key: Any, _chance: random.Random) -> None:
    del holder[key]


def _is_transition(steps: Steps, value: Any) -> bool:
    return isinstance(value, str) and steps[-1] in TRANSITIONS and not _in_data(steps)


def _misspell(holder: Any, key: Any, chance: random.Random) -> None:
    name = holder[key]
    cut = chance.randrange(len(name)) if name else 0
    holder[key] = name[:cut] + "\N{MULTIPLICATION SIGN}" + name[cut + 1 :]


def _is_state(steps: Steps, value: Any) -> bool:
    return len(steps) >= 2 and steps[-2] == "States" and isinstance(value, dict) and not _in_data(steps)


def _rename(holder: Any, key: Any, _chance: random.Random) -> None:
    state = holder.pop(key)
    holder[f"{key}\N{MULTIPLICATION SIGN}"[-80:]] = state


def _is_path(steps: Steps, value: Any) -> bool:
    name = str(steps[-1])
    return isinstance(value, str) and (name.endswith((".$", "Path")) or name == "Variable" or value.startswith("{%"))


def _break_path(holder: Any, key: Any, chance: random.Random) -> None:
    holder[key] = chance.choice(BROKEN_EXPRESSIONS if holder[key].startswith("{%") else BROKEN_PATHS)


def _swap(holder: Any, key: Any, chance: random.Random) -> None:
    others = [value for value in OF_OTHER_TYPES if type(value) is not type(holder[key])]
    holder[key] = copy.deepcopy(chance.choice(others))


def _in_data(steps: Steps) -> bool:
    """Whether a place is in what a definition passes on, where any name may stand."""
    return any(step in {"Result", "Parameters", "Arguments", "Output", "Assign", "ItemSelector"} for step in steps[:-1])


_KINDS: dict[str, tuple[Callable[[Steps, Any], bool], Callable[[Any, Any, random.Random], None]]] = {
    "drop": (lambda steps, _: isinstance(steps[-1], str), _drop),
    "misspell": (_is_transition, _misspell),
    "rename": (_is_state, _rename),
    "break": (_is_path, _break_path),
    "swap": (lambda *_: True, _swap),
}

# ------------------------------------------------------------------------------------------- the diagnostics

REACHES = {"QueryLanguage": 1, "Mode": 3, "ExecutionType": 3, "ProcessorConfig": 2, "Type": 1, "Resource": 1}
"""Fields that decide what others may be -> how many levels up the object is whose fields those are."""


def speaks_of(location: str | None, mutation: Mutation) -> bool:
    """Whether a diagnostic's location is the mutation's place, above it in the same state, or a transition to it or from it.

    A field that decides what others may be shows in those; what is renamed, in its new name.
    """
    place = pointer(mutation.place)
    where = (location or "").removesuffix("/")
    if f"{place}/".startswith(f"{where}/") and where.startswith(pointer(_state_of(mutation.place))):
        return True
    levels = REACHES.get(str(mutation.place[-1]))
    if levels is not None and where.startswith(pointer(mutation.place[:-levels])):
        return True
    steps = tuple(step.replace("~1", "/").replace("~0", "~") for step in where.split("/")[1:])
    name = str(mutation.place[-1])
    if mutation.kind == "rename" and where.startswith(pointer(mutation.place[:-1])) and name in steps[-1]:
        return True
    if steps and steps[-1] in TRANSITIONS:
        target = _found(mutation.definition, steps)
        return target in mutation.place  # the place is a state, or in one, that the transition leads to
    return len(steps) >= 2 and steps[-2] == "States" and steps[-1] in mutation.led_to


def _state_of(place: Steps) -> Steps:
    """The innermost state that a place is in; of a state, or a sequence of states, what that is in; () outside of all."""
    ends = [end for end in range(2, len(place)) if place[end - 2] == "States"]
    return place[: ends[-1]] if ends else ()


def _found(definition: Any, steps: tuple[str, ...]) -> Any:
    node = definition
    for step in steps:
        node = node[int(step)] if isinstance(node, list) else node[step]
    return node
