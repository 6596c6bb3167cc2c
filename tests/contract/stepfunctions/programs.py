"""Random programs that always end: states in a row, which Choices and Catchers leave for the last one."""

from __future__ import annotations

from typing import Any

from embedded_world import ARN
from hypothesis import strategies as st
from reference_interpreter import CAUSE

ACTIVITY = f"{ARN}:activity:work"
ROOT = ["Pass", "Pass", "Choice", "Wait", "Task", "Task", "Parallel", "Map", "Fail"]
LEAVES = [*ROOT[:6], "Fail"]
SELECTOR = {"n.$": "$[0].n", "items": [7, 8]}


@st.composite
def programs(draw: st.DrawFn) -> dict[str, Any]:
    """A whole machine. Its data is ``{"n": number, "items": [...]}`` everywhere; ``$x`` is always assigned."""
    first = {
        "Type": "Pass",
        "Parameters": {"n.$": "$.n", "items": draw(st.lists(st.integers(0, 9), min_size=1, max_size=3))},
        "Assign": {"x.$": "$.n"},
        "Next": "0",
    }
    inner = draw(sequences("", 2))
    return {"StartAt": "first", "States": {"first": first, **inner["States"]}}


@st.composite
def sequences(draw: st.DrawFn, prefix: str, depth: int) -> dict[str, Any]:
    kinds = draw(st.lists(st.sampled_from(ROOT if depth else LEAVES), min_size=1, max_size=3))
    if "Fail" in kinds:
        kinds = kinds[: kinds.index("Fail") + 1]
    names = [f"{prefix}{n}" for n in range(len(kinds))]
    last = f"{prefix}end"
    states = {
        name: draw(states_of(kind, name, following, last, depth))
        for name, following, kind in zip(names, [*names[1:], last], kinds, strict=True)
    }
    reached = {target for state in states.values() for target in targets(state)}
    return {"StartAt": names[0], "States": states | ({last: {"Type": "Succeed"}} if last in reached else {})}


def targets(state: dict[str, Any]) -> list[str]:
    rules = [*state.get("Choices", ()), *state.get("Catch", ())]
    return [holder[name] for holder in (state, *rules) for name in ("Next", "Default") if name in holder]


@st.composite
def states_of(draw: st.DrawFn, kind: str, name: str, following: str, last: str, depth: int) -> dict[str, Any]:
    number = draw(st.integers(-2, 3))
    state: dict[str, Any] = {"Type": kind, "Next": following}
    match kind:
        case "Fail":
            return {"Type": "Fail", "Error": "Broken", "Cause": CAUSE}
        case "Choice":
            operator = draw(st.sampled_from(["NumericGreaterThan", "NumericEquals"]))
            rule = {"Variable": draw(st.sampled_from(["$.n", "$x"])), operator: number, "Next": last}
            return {"Type": "Choice", "Choices": [rule], "Default": following}
        case "Wait":
            return {**state, "Seconds": draw(st.integers(0, 100))}
        case "Pass":
            value = draw(st.sampled_from([f"States.MathAdd($.n, {number})", "States.MathAdd($x, $.n)", "$x"]))
            state["Parameters"] = {"n.$": value, "items.$": "$.items"}
        case "Task":
            failures = draw(st.sampled_from([0, 0, 1, 2, 9]))
            state["Resource"] = ACTIVITY
            state["Parameters"] = {"attempt.$": "$$.State.RetryCount", "failures": failures, "data.$": "$"}
        case "Parallel":
            count = draw(st.integers(1, 3))
            state["Branches"] = [draw(sequences(f"{name}.{branch}.", depth - 1)) for branch in range(count)]
            state["ResultSelector"] = SELECTOR
        case "Map":
            state["ItemsPath"] = "$.items"
            state["ItemSelector"] = {"n.$": "States.MathAdd($.n, $$.Map.Item.Value)", "items.$": "$.items"}
            state["ItemProcessor"] = draw(sequences(f"{name}.", depth - 1))
            state["MaxConcurrency"] = draw(st.integers(0, 2))
            state["ResultSelector"] = SELECTOR
    if draw(st.booleans()):
        state["Assign"] = {"x.$": "$.n"}
    if kind in ("Task", "Parallel", "Map"):
        errors = st.sampled_from([["Broken"], ["States.ALL"], ["Other"]])
        if draw(st.booleans()):
            state["Retry"] = [
                {"ErrorEquals": draw(errors), "MaxAttempts": draw(st.integers(0, 2)), "IntervalSeconds": 3}
            ]
        if draw(st.booleans()):
            state["Catch"] = [{"ErrorEquals": draw(errors), "Next": last, "ResultPath": "$.error"}]
    return state
