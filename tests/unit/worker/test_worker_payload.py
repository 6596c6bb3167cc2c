"""Inputs and outputs of tasks are JSON objects, read strictly and written compactly."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflow_manager.worker.payload import NotAnObject, compact, parse_object

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(), children, max_size=4),
    max_leaves=20,
)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        pytest.param('{ "b" : 1,\n "a" : [1, 2] }', '{"b":1,"a":[1,2]}', id="spaces go, order stays"),
        pytest.param(
            '{"n": 123456789012345678901234567890}', '{"n":123456789012345678901234567890}', id="large integers"
        ),
        pytest.param('{"x": 0.1, "y": 1e300}', '{"x":0.1,"y":1e+300}', id="doubles"),
        pytest.param('{"s": "\\u00e9<&\\u0000"}', '{"s":"é<&\\u0000"}', id="text unescaped, NUL escaped"),
        pytest.param('{"s": "\\ud83d\\ude00"}', '{"s":"😀"}', id="a surrogate pair is one character"),
        pytest.param('{"s": "\\ud83d", "t": "é"}', '{"s":"\\ud83d","t":"\\u00e9"}', id="half a pair stays escaped"),
        pytest.param('{"a": 1, "a": 2}', '{"a":2}', id="the last of equal fields counts"),
    ],
)
def test_an_object_is_rewritten_compactly(text: str, written: str) -> None:
    assert compact(parse_object(text)) == written


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("", "Expecting value", id="empty"),
        pytest.param("{", "Expecting property name", id="cut off"),
        pytest.param("{} {}", "Extra data", id="two values"),
        pytest.param("null", "it is null", id="null"),
        pytest.param("true", "it is a boolean", id="boolean"),
        pytest.param("1.5", "it is a number", id="number"),
        pytest.param('"secret"', "it is a string", id="string"),
        pytest.param("[{}]", "it is an array", id="array"),
        pytest.param('{"x": NaN}', "NaN is no JSON value", id="NaN"),
        pytest.param('{"x": 1e999}', "too large for a double", id="no double holds it"),
        pytest.param('{"x": ' + "9" * 5000 + "}", "Exceeds the limit", id="thousands of digits"),
        pytest.param('{"x":' * 100_000 + "1" + "}" * 100_000, "nested too deeply", id="nested too deeply"),
    ],
)
def test_what_is_not_an_object_is_refused_with_a_reason(text: str, message: str) -> None:
    with pytest.raises(NotAnObject, match=message) as caught:
        parse_object(text)
    assert "secret" not in str(caught.value)


@given(st.dictionaries(st.text(), json_values))
def test_writing_and_reading_gives_the_same_object(value: dict[str, Any]) -> None:
    text = compact(value)

    assert parse_object(text) == value
    assert json.loads(text.encode()) == value
    assert "\n" not in text
