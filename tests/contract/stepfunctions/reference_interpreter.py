"""A sequential interpreter of a small part of the Amazon States Language, slow and plain: what the engine is held against.

It runs one state after the other and one branch after the other, keeps no history, and knows neither time nor crashes. Of
paths and functions it knows those that ``programs`` uses. A task is done by ``worker``, which the engine's tasks are given to as
well.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

CAUSE = "as it was told to"


class Failed(Exception):
    def __init__(self, error: str, cause: str) -> None:
        super().__init__(error, cause)
        self.error = error
        self.cause = cause


def worker(given: dict[str, Any]) -> dict[str, Any]:
    """Do a task: fail as often as its input says, then answer. What it does follows from its input alone."""
    if given["attempt"] < given["failures"]:
        raise Failed("Broken", CAUSE)
    return {**given["data"], "n": given["data"]["n"] * 2 + 1}


@dataclass
class Scope:
    """Variables of a sequence of states, over those of the states around it; and the item it works on."""

    outer: Scope | None = None
    variables: dict[str, Any] = field(default_factory=dict)
    item: dict[str, Any] | None = None

    def look_up(self, name: str) -> Any:
        if name in self.variables or self.outer is None:
            return self.variables[name]
        return self.outer.look_up(name)

    def item_around(self) -> dict[str, Any] | None:
        return self.item if self.item is not None or self.outer is None else self.outer.item_around()


def run(machine: dict[str, Any], data: Any, scope: Scope, path: list[str]) -> Any:
    """Run states until one ends; note in ``path`` which were entered. Raises Failed."""
    name = machine["StartAt"]
    while True:
        state = machine["States"][name]
        path.append(name)
        try:
            data, following = with_retries(state, data, scope, path)
        except Failed as failure:
            catcher = next((c for c in state.get("Catch", ()) if matches(c, failure)), None)
            if catcher is None:
                raise
            data = {**data, "error": {"Error": failure.error, "Cause": failure.cause}}
            following = catcher["Next"]
        if following is None:
            return data
        name = following


def with_retries(state: dict[str, Any], data: Any, scope: Scope, path: list[str]) -> tuple[Any, str | None]:
    attempts = [0] * len(state.get("Retry", ()))
    while True:
        try:
            return work(state, data, scope, path, sum(attempts))
        except Failed as failure:
            index = next((i for i, r in enumerate(state.get("Retry", ())) if matches(r, failure)), None)
            if index is None or attempts[index] >= state["Retry"][index]["MaxAttempts"]:
                raise
            attempts[index] += 1


def matches(rule: dict[str, Any], failure: Failed) -> bool:
    return any(name in (failure.error, "States.ALL") for name in rule["ErrorEquals"])


def work(state: dict[str, Any], data: Any, scope: Scope, path: list[str], attempt: int) -> tuple[Any, str | None]:
    """Do what a state does; answer its output, and the name of the state that follows, None at the end."""

    def made(template: Any, root: Any) -> Any:
        return fill(template, root, scope, attempt)

    following = state.get("Next")
    match state["Type"]:
        case "Choice":
            chosen = next((rule for rule in state["Choices"] if holds(rule, data, scope)), None)
            return data, chosen["Next"] if chosen else state["Default"]
        case "Fail":
            raise Failed(state["Error"], state["Cause"])
        case "Succeed" | "Wait":
            return data, following
        case "Pass":
            result = made(state["Parameters"], data)
        case "Task":
            result = worker(made(state["Parameters"], data))
        case "Parallel":
            results = [run(branch, data, Scope(scope), path) for branch in state["Branches"]]
            result = made(state["ResultSelector"], results)
        case "Map":
            results = []
            for index, value in enumerate(data["items"]):
                inner = Scope(scope, item={"Index": index, "Value": value})
                item = fill(state["ItemSelector"], data, inner, attempt)
                results.append(run(state["ItemProcessor"], item, inner, path))
            result = made(state["ResultSelector"], results)
    if "Assign" in state:
        scope.variables = {**scope.variables, **made(state["Assign"], result)}
    return result, following


def holds(rule: dict[str, Any], data: Any, scope: Scope) -> bool:
    value = evaluate(rule["Variable"], data, scope, 0)
    if "NumericGreaterThan" in rule:
        return bool(value > rule["NumericGreaterThan"])
    return bool(value == rule["NumericEquals"])


def fill(template: Any, data: Any, scope: Scope, attempt: int) -> Any:
    if isinstance(template, dict):
        return {
            key.removesuffix(".$"): evaluate(value, data, scope, attempt)
            if key.endswith(".$")
            else fill(value, data, scope, attempt)
            for key, value in template.items()
        }
    return template


def evaluate(text: str, data: Any, scope: Scope, attempt: int) -> Any:
    if added := re.fullmatch(r"States\.MathAdd\((.*), (.*)\)", text):
        return evaluate(added[1], data, scope, attempt) + evaluate(added[2], data, scope, attempt)
    if re.fullmatch(r"-?\d+", text):
        return int(text)
    if text == "$$.State.RetryCount":
        return attempt
    root, *steps = text.split(".")
    if root == "$$":
        item = scope.item_around()
        assert item is not None
        return item[steps[-1]]  # $$.Map.Item.Index, $$.Map.Item.Value
    value = data
    if indexed := re.fullmatch(r"\$\[(\d+)\]", root):
        value = data[int(indexed[1])]
    elif root != "$":
        value = scope.look_up(root[1:])
    for step in steps:
        value = value[step]
    return value
