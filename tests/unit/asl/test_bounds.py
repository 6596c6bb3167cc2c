"""What a definition costs is bounded: to compile, and to evaluate."""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import pytest

from workflow_manager import asl
from workflow_manager.asl.program import Env, Failure
from workflow_manager.asl.recursion import ROOM

COUNT = 10_000
SECOND = 1 if sys.gettrace() is None else 10
"""Measuring coverage takes several times as long."""


def chain(state: dict[str, Any], **more: Any) -> str:
    last = COUNT - 1
    states = {
        f"s{index}": {**state, **({"Next": f"s{index + 1}"} if index < last else {"End": True})}
        for index in range(COUNT)
    }
    return json.dumps({"StartAt": "s0", **more, "States": states})


def evaluate(expression: str) -> Any:
    definition = {
        "StartAt": "S",
        "QueryLanguage": "JSONata",
        "States": {"S": {"Type": "Pass", "End": True, "Output": expression}},
    }
    state = asl.compile(definition).graphs[0].states["S"]
    assert state.output is not None
    return state.output(None, Env(dict, {}, uuid=str, random=lambda: 0.5, now=lambda: 0.0))


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(chain({"Type": "Pass", "InputPath": "$.a.b[0]", "Parameters": {"x.$": "$.y"}}), id="Pass"),
        pytest.param(
            chain({"Type": "Pass", "Output": {"a": "{% $states.input.a %}"}}, QueryLanguage="JSONata"), id="JSONata"
        ),
    ],
)
def test_ten_thousand_states_compile_within_a_second(text: str) -> None:
    start = time.process_time()
    program = asl.compile(text)

    assert time.process_time() - start < SECOND
    assert len(program.graphs[0].states) == COUNT


def test_ten_thousand_faults_are_all_listed_within_a_second() -> None:
    text = chain({"Type": "Pass", "InputPath": "no path"})

    start = time.process_time()
    diagnostics = asl.diagnose(text)

    assert time.process_time() - start < SECOND
    assert len(diagnostics) == COUNT


def nested(levels: int) -> str:
    text = '{"StartAt": "s", "States": {"s": {"Type": "Succeed"}}}'
    for level in range(levels):
        text = f'{{"StartAt": "s{level}", "States": {{"s{level}": {{"Type": "Parallel", "End": true, "Branches": [{text}]}}}}}}'
    return text


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(nested(1000), id="Parallel in Parallel"),
        pytest.param('{"StartAt": ' + "[" * 1000 + "]" * 1000 + "}", id="JSON"),
        pytest.param("[" * 500_000, id="JSON that does not end"),
    ],
)
def test_a_thousand_levels_are_refused(text: str) -> None:
    (diagnostic,) = asl.diagnose(text)

    assert diagnostic.code == "INVALID_JSON_DESCRIPTION"
    assert "nested more than 250 levels deep" in diagnostic.message


def test_forty_levels_are_not() -> None:
    assert len(asl.compile(nested(40)).graphs) == 41


def test_an_object_that_holds_itself_is_refused() -> None:
    definition: dict[str, Any] = {}
    definition["StartAt"] = definition

    (diagnostic,) = asl.diagnose(definition)

    assert "nested more than 250 levels deep" in diagnostic.message


def test_an_object_that_is_in_very_many_places_is_refused() -> None:
    value: Any = []
    for _ in range(100):
        value = [value, value]

    (diagnostic,) = asl.diagnose({"StartAt": value})

    assert diagnostic.message == "Definition has more than 1000000 values; split it into several state machines"


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        pytest.param("{% ($f := function($n){$f($n+1)+1}; $f(1)) %}", "D1011", id="recursion"),
        pytest.param("{% ($f := function($n){$f($n+1)}; $f(1)) %}", "D1012", id="a loop"),
        pytest.param("{% [1..5000000] %}", "D2014", id="a range"),
        pytest.param("{% ($f := function($s,$n){$n=0?$s:$f($s&$s,$n-1)}; $f('x',60)) %}", "D2015", id="a text"),
        pytest.param("{% $pad('x', 100000000) %}", "D2015", id="padding"),
        pytest.param("{% $range(0, 100000, 1) %}", "D2014", id="$range"),
        pytest.param("{% $power(10, 400) %}", "D3061", id="a number"),
        pytest.param("{% 1 / 0 %}", "D1001", id="a division by zero"),
    ],
)
def test_expressions_end(expression: str, reason: str) -> None:
    with pytest.raises(Failure) as failure:
        evaluate(expression)

    assert failure.value.error == "States.QueryEvaluationError"
    assert failure.value.cause is not None
    assert f"threw an error during evaluation. {reason}: " in failure.value.cause


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        pytest.param("$reduce([1..100000], $append)", "D1012", id="copies"),
        pytest.param("$match($pad('', 200000, 'a'), /a.*b|a/)", "D1012", id="a text that each match looks through"),
        pytest.param(
            "($f := function($x,$n){$n=0?$x:$f([$x,$x],$n-1)}; $f(1,60))", "D2015", id="one value in many places"
        ),
        pytest.param("($f := function($x,$n){$n=0?$x:$f({'a':$x},$n-1)}; $f(1,2000))", "D1011", id="a deep value"),
        pytest.param("{'a': 1} ~> |$|{'self': $}|", "D1011", id="a value that holds itself"),
        pytest.param("$formatInteger(1e300, 'I')", "D1001", id="a long number"),
        pytest.param("$fromMillis(0, '[Y,999999999]')", "D2015", id="a wide picture"),
    ],
)
def test_what_functions_make_is_bounded(expression: str, reason: str) -> None:
    with pytest.raises(Failure, match=f"threw an error during evaluation. {reason}: "):
        evaluate(f"{{% {expression} %}}")


def test_no_picture_is_a_pattern() -> None:
    with pytest.raises(Failure, match="returned nothing"):
        evaluate("{% $toMillis($pad('', 900, 'a'), '(a+)+b[Y]') %}")


def test_room_for_recursion_is_given_back() -> None:
    """Neither importing jsonata-python nor an expression leaves Python's limit raised."""
    limit = sys.getrecursionlimit()
    assert limit < ROOM

    assert evaluate("{% ($f := function($n){$n = 0 ? 0 : 1 + $f($n - 1)}; $f(80)) %}") == 80

    assert sys.getrecursionlimit() == limit


def test_what_a_pattern_lacks_is_said_when_the_definition_is_checked() -> None:
    states = {
        "A": {"Type": "Pass", "QueryLanguage": "JSONata", "Output": "{% $match('aa', /(a)\\1/) %}", "Next": "B"},
        "B": {"Type": "Pass", "InputPath": "$[?(@.a =~ /a(?=b)/)]", "End": True},
    }

    messages = [d.message for d in asl.diagnose({"StartAt": "A", "States": states})]

    assert messages == [
        (
            "The JSONata expression '$match('aa', /(a)\\1/)' specified for the field 'Output' is not valid. "
            "backreferences, as in /(a)\\1/, are not supported in regular expressions"
        ),
        "Value is not a valid JSONPath: lookahead and lookbehind, as in /a(?=b)/, are not supported in regular expressions",
    ]


def test_long_and_deep_expressions_are_refused() -> None:
    calls = "States.Array(" * 11 + ")" * 11
    state = {
        "Type": "Pass",
        "InputPath": "$" + ".a" * 3000,
        "Parameters": {"x.$": calls},
        "End": True,
    }

    messages = [d.message for d in asl.diagnose({"StartAt": "S", "States": {"S": state}})]

    assert messages == [
        "Value is not a valid JSONPath: a path has at most 4096 characters",
        "The value for the field 'x.$' must be a valid JSONPath or a valid intrinsic function call: calls nest at most 10 deep",
    ]


@pytest.mark.parametrize(
    "call",
    ["States.Base64Encode($)", "States.Base64Decode($)", "States.Hash($, 'MD5')"],
)
def test_functions_take_ten_thousand_characters(call: str) -> None:
    definition = {"StartAt": "S", "States": {"S": {"Type": "Pass", "Parameters": {"x.$": call}, "End": True}}}
    state: Any = asl.compile(definition).graphs[0].states["S"]
    env = Env(dict, {}, uuid=str, random=lambda: 0.5, now=lambda: 0.0)

    assert state.arguments("a" * 10_000, env)
    with pytest.raises(Failure) as failure:
        state.arguments("a" * 10_001, env)
    assert failure.value.error == "States.IntrinsicFailure"


def test_deep_json_in_a_text_is_not_read() -> None:
    call = "States.StringToJson($)"
    definition = {"StartAt": "S", "States": {"S": {"Type": "Pass", "Parameters": {"x.$": call}, "End": True}}}
    state: Any = asl.compile(definition).graphs[0].states["S"]
    env = Env(dict, {}, uuid=str, random=lambda: 0.5, now=lambda: 0.0)

    for depth in (501, 100_000):
        with pytest.raises(Failure, match="the first argument is not JSON"):
            state.arguments("[" * depth + "]" * depth, env)


@pytest.mark.parametrize(
    ("path", "cause"),
    [
        pytest.param("$" + "[0,0]" * 40 + ".z", "more than 100000 places match", id="the same place many times"),
        pytest.param("$..*..*..*.z", "more than 100000 places match", id="descents within descents"),
        pytest.param(
            "$..[?(@..a)]", "it looks at more than 1000000 places", id="a descent for each place of a descent"
        ),
    ],
)
def test_searches_end(path: str, cause: str) -> None:
    definition = {"StartAt": "S", "States": {"S": {"Type": "Pass", "InputPath": path, "End": True}}}
    state: Any = asl.compile(definition).graphs[0].states["S"]
    data: Any = 1
    for _ in range(450):
        data = [data, *([0] * 10)]

    with pytest.raises(Failure) as failure:
        state.input_path(data, Env(dict, {}, uuid=str, random=lambda: 0.5, now=lambda: 0.0))

    assert failure.value.cause == f"Invalid path '{path}' : {cause}"


@pytest.mark.parametrize("path", ["$[?(@..a..b)]", "$[?(@[0,0][0,0] == 1)]"])
def test_filters_do_not_search_within_searches(path: str) -> None:
    definition = {"StartAt": "S", "States": {"S": {"Type": "Pass", "InputPath": path, "End": True}}}

    (diagnostic,) = asl.diagnose(definition)

    assert diagnostic.message == (
        "Value is not a valid JSONPath: a filter may hold neither several '..' nor lists of names or indexes such as ['a','b']"
    )


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        pytest.param({"Parameters": {f"x{n}.$": "$" for n in range(5_000)}}, "States.DataLimitExceeded", id="paths"),
        pytest.param(
            {"Parameters": {"x.$": f"States.JsonToString(States.Array({', '.join(['$'] * 3_000)}))"}},
            "States.IntrinsicFailure",
            id="a function's arguments",
        ),
        pytest.param(
            {"QueryLanguage": "JSONata", "Output": [f"{{% [1..{5_000 + n}].($ * 2) %}}" for n in range(1_000)]},
            "States.QueryEvaluationError",
            id="expressions",
        ),
    ],
)
def test_what_all_the_expressions_of_a_state_cost_is_bounded(fields: dict[str, Any], error: str) -> None:
    """Each of them alone is well within its bound."""
    definition = {"StartAt": "S", "States": {"S": {"Type": "Pass", "End": True, **fields}}}
    state: Any = asl.compile(definition).graphs[0].states["S"]
    env = Env(dict, {}, uuid=str, random=lambda: 0.5, now=lambda: 0.0)

    with pytest.raises(Failure) as failure:
        (state.arguments or state.output)(["x" * 1_000] * 100, env)

    assert failure.value.error == error
