"""Evaluates one state the way a Program says it is to be: paths, templates, rules, but no engine."""

from __future__ import annotations

from typing import Any

from workflow_manager import asl
from workflow_manager.asl.program import ChoiceState, Env, FailState, MapState, PassState, TaskState, WaitState

CONTEXT = {
    "Execution": {"Id": "arn:aws:states:us-east-1:123456789012:execution:m:e", "Input": {"who": "world"}, "Name": "e"},
    "State": {"Name": "State", "EnteredTime": "2024-02-29T12:00:00.000Z", "RetryCount": 0},
}
NOW = 1_700_000_000.5


def environment(variables: dict[str, Any] | None = None) -> Env:
    return Env(
        lambda: CONTEXT,
        variables or {},
        uuid=lambda: "00000000-0000-4000-8000-000000000000",
        random=lambda: 0.5,
        now=lambda: NOW,
    )


def compile_state(state: dict[str, Any], language: str) -> Any:
    """Compile a machine of which ``state`` is the first, with a state ``Other`` that it may lead to."""
    state = {**({} if state["Type"] in ("Choice", "Fail", "Succeed") or "Next" in state else {"End": True}), **state}
    other = {"Other": {"Type": "Succeed"}} if "Other" in repr(state) else {}
    program = asl.compile({"StartAt": "State", "QueryLanguage": language, "States": {"State": state, **other}})
    return program.graphs[0].states["State"]


def evaluate(case: dict[str, Any]) -> Any:
    """Answer what a case's state makes of its input: what it puts out, or for some types what it decides."""
    language = case.get("language", "JSONPath")
    state = compile_state(case["state"], language)
    env = environment(case.get("variables"))
    raw = case.get("input", {})
    env.input = raw
    data = raw if state.input_path is None else state.input_path(raw, env)
    match state:
        case ChoiceState():
            return next((rule.next for rule in state.rules if rule.condition(data, env)), state.default)
        case WaitState():
            return (state.seconds or state.timestamp)(data, env)
        case FailState():
            return {name: made(data, env) for name in ("error", "cause") if (made := getattr(state, name)) is not None}
        case MapState():
            items = state.items(data, env)
            numbers = ("max_concurrency", "tolerated_failure_count", "tolerated_failure_percentage")
            return {"items": items, **{n: made(data, env) for n in numbers if (made := getattr(state, n)) is not None}}
    return _output(state, case, raw, data, env)


def _output(state: Any, case: dict[str, Any], raw: Any, data: Any, env: Env) -> Any:
    arguments = data if state.arguments is None else state.arguments(data, env)
    result = arguments
    if isinstance(state, PassState) and state.result is not None:
        result = state.result(arguments, env)
    if isinstance(state, TaskState):
        result = case.get("result", arguments)
        if state.result_selector is not None:
            result = state.result_selector(result, env)
    env.result = result
    if state.jsonata:
        assigned = None if state.assign is None else state.assign(result, env)
        output = result if state.output is None else state.output(result, env)
    else:
        assigned = None if state.assign is None else state.assign(result, env)
        placed = result if state.result_path is None else state.result_path(raw, result)
        output = placed if state.output_path is None else state.output_path(placed, env)
    return {"assigned": assigned, "output": output} if assigned is not None else output
