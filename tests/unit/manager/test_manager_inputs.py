"""An execution's input is the workflow's to the letter, with ``_EXECUTION_NAME`` added."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflow_manager.manager.inputs import execution_input
from workflow_manager.model.errors import InvalidRequest


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("{}", '{"_EXECUTION_NAME":"id"}', id="empty"),
        pytest.param('{"foo": true}', '{"foo":true,"_EXECUTION_NAME":"id"}', id="beside others"),
        pytest.param('{"_EXECUTION_NAME": 7}', '{"_EXECUTION_NAME":"id"}', id="in place of another"),
        pytest.param(
            '{"n": 1.50, "big": 123456789012345678901234567890, "e": 1E2, "s": "\\u00e9"}',
            '{"n":1.50,"big":123456789012345678901234567890,"e":1E2,"s":"\\u00e9","_EXECUTION_NAME":"id"}',
            id="numbers and texts as they were written",
        ),
    ],
)
def test_what_an_execution_is_given(text: str, expected: str) -> None:
    assert execution_input(text, "id") == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        "1",
        '"x"',
        "{",
        '{"a":}',
        "{} {}",
        "{'a': 1}",
        '{"a": NaN}',
        '{"a":' + "[" * 9999,
        '{"\ud800":1}',
    ],
    ids=lambda text: ascii(text[:12]),
)
def test_what_is_no_json_object_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest, match=r"^input is not a valid JSON object: ."):
        execution_input(text, "id")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


@given(st.dictionaries(st.text(), json_values), st.booleans())
def test_every_json_object_keeps_its_values(value: dict[str, Any], ascii_only: bool) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only)

    assert json.loads(execution_input(text, "id")) == {**value, "_EXECUTION_NAME": "id"}
