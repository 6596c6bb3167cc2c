"""Whatever is handed in is accepted or diagnosed, and whatever a program evaluates gives a value or a Failure."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from workflow_manager import asl
from workflow_manager.asl import paths
from workflow_manager.asl.intrinsic_parser import IntrinsicError, parse_call
from workflow_manager.asl.intrinsics import FUNCTIONS, compile_call
from workflow_manager.asl.program import Env, Failure, Program

from .definitions import JSON, machines, right_machines

CONTEXT = {"State": {"Name": "S"}}


def environment(data: Any = None) -> Env:
    env = Env(lambda: CONTEXT, {"v": {"a": [1, None]}}, uuid=lambda: "u", random=lambda: 0.25, now=lambda: 1.0)
    env.input = data
    return env


def expressions(program: Program) -> list[Any]:
    """Every expression there is in a program, result paths among them, which take a result for their environment."""
    found: list[Any] = []

    def look(value: Any, field: str = "") -> None:
        if callable(value) and not isinstance(value, type):
            found.append((lambda raw, _env: value(raw, "result")) if field == "result_path" else value)
        elif isinstance(value, tuple):
            for item in value:
                look(item)
        elif hasattr(value, "__slots__"):
            for name in {slot for kind in type(value).__mro__ for slot in getattr(kind, "__slots__", ())}:
                look(getattr(value, name), name)

    for graph in program.graphs:
        look(tuple(graph.states.values()))
    return found


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(definition=machines())
def test_a_definition_compiles_exactly_when_no_error_is_found(definition: Any) -> None:
    if any(diagnostic.severity == "ERROR" for diagnostic in asl.diagnose(json.dumps(definition))):
        with pytest.raises(asl.InvalidDefinition):
            asl.compile(definition)
    else:
        asl.unsupported(asl.compile(definition))


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(definition=right_machines(), data=JSON | st.just({"a": [{"b": 1}, {"b": 2}], "n": 3}))
def test_expressions_answer_or_fail_and_change_nothing(definition: Any, data: Any) -> None:
    program = asl.compile(definition)
    before, env = copy.deepcopy(data), environment(data)
    for expression in expressions(program):
        try:
            json.dumps(expression(data, env), allow_nan=False)
        except Failure as failure:
            assert failure.error.startswith("States.")  # noqa: PT017 - one of two ways to end
    assert data == before
    assert env.variables == {"v": {"a": [1, None]}}


@settings(max_examples=200, deadline=None)
@given(definition=JSON | st.text() | st.binary() | st.dictionaries(st.sampled_from(["StartAt", "States"]), JSON))
def test_anything_is_diagnosed(definition: Any) -> None:
    assert all(diagnostic.message for diagnostic in asl.diagnose(definition))


@pytest.mark.parametrize(
    "definition",
    [None, 1, float("nan"), {"a": float("inf")}, {1: 2}, {"a": {1, 2}}, {"a": object()}, b"\xff\xfe", "\ud800", "NaN"],
)
def test_what_is_no_json_is_diagnosed(definition: Any) -> None:
    (diagnostic,) = asl.diagnose(definition)

    assert diagnostic.severity == "ERROR"


@settings(max_examples=300, deadline=None)
@given(text=st.text("$.[]'\"ab0*?@:,()=- \\", max_size=20), data=JSON)
def test_a_path_is_refused_or_answers_or_fails(text: str, data: Any) -> None:
    try:
        path = paths.parse("$" + text)
    except paths.PathError as error:
        assert str(error)  # noqa: PT017 - one of three ways to end
        return
    try:
        paths.getter(path, paths.invalid_path(path))(data, environment())
    except Failure as failure:
        assert failure.error == "States.Runtime"  # noqa: PT017


@settings(max_examples=300, deadline=None)
@given(name=st.sampled_from(sorted(FUNCTIONS)), arguments=st.lists(JSON, max_size=4))
def test_a_function_is_refused_or_answers_json_or_fails(name: str, arguments: list[Any]) -> None:
    text = f"States.{name}({', '.join(f'$[{index}]' for index in range(len(arguments)))})"
    try:
        function = compile_call(parse_call(text))
    except IntrinsicError:
        most = FUNCTIONS[name].most
        assert len(arguments) < FUNCTIONS[name].least or (most is not None and len(arguments) > most)
        return
    try:
        json.dumps(function(arguments, environment()), allow_nan=False)
    except Failure as failure:
        assert failure.error in ("States.IntrinsicFailure", "States.Runtime")  # noqa: PT017


@settings(max_examples=200, deadline=None)
@given(text=st.text("States.Array(),'${}\\1e-5truenl ", max_size=30))
def test_a_call_is_parsed_or_refused(text: str) -> None:
    try:
        assert parse_call("States." + text).name
    except IntrinsicError as error:
        assert str(error)  # noqa: PT017
