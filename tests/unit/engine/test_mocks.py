"""The mock configuration known from Step Functions Local."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflow_manager.engine.mocks import InvalidMocks, Return, Throw, parse_mocks

DOCUMENT: dict[str, Any] = {
    "StateMachines": {"Orders": {"TestCases": {"Declined": {"Pay": "Declined"}, "Nothing": {}}}},
    "MockedResponses": {
        "Declined": {
            "0": {"Throw": {"Error": "E", "Cause": "c"}},
            "1-2": {"Throw": {"Error": "F"}},
            "3": {"Return": None},
        }
    },
}


def test_attempts() -> None:
    case = parse_mocks(json.dumps(DOCUMENT)).test_case("Orders", "Declined")

    assert case is not None
    assert [case["Pay"].response(attempt) for attempt in range(5)] == [
        Throw("E", "c"),
        Throw("F"),
        Throw("F"),
        Return("null"),
        None,
    ]


def test_what_is_not_there() -> None:
    mocks = parse_mocks(json.dumps(DOCUMENT))

    assert mocks.test_case("Orders", "Nothing") == {}
    assert mocks.test_case("Orders", "Other") is None
    assert mocks.test_case("Other", "Declined") is None


def responses(value: Any) -> dict[str, Any]:
    return {"StateMachines": {}, "MockedResponses": {"R/1": value}}


@pytest.mark.parametrize(
    ("document", "pointer"),
    [
        ([], "/MockedResponses"),
        ({"MockedResponses": {}}, "/StateMachines"),
        ({"StateMachines": {"M": {}}, "MockedResponses": {}}, "/StateMachines/M/TestCases"),
        ({"StateMachines": {"M": {"TestCases": {"C": []}}}, "MockedResponses": {}}, "/StateMachines/M/TestCases/C"),
        (
            {"StateMachines": {"M": {"TestCases": {"C": {"S~": "no"}}}}, "MockedResponses": {}},
            "/StateMachines/M/TestCases/C/S~0",
        ),
        (responses({}), "/MockedResponses/R~11"),
        (responses({"a": {"Return": 1}}), "/MockedResponses/R~11/a"),
        (responses({"2-1": {"Return": 1}}), "/MockedResponses/R~11/2-1"),
        (responses({"0-2": {"Return": 1}, "1": {"Return": 1}}), "/MockedResponses/R~11/1"),
        (responses({"0": {}}), "/MockedResponses/R~11/0"),
        (responses({"0": {"Return": 1, "Throw": {"Error": "E"}}}), "/MockedResponses/R~11/0"),
        (responses({"0": {"Throw": {}}}), "/MockedResponses/R~11/0/Throw"),
        (responses({"0": {"Throw": {"Error": "E", "Cause": 1}}}), "/MockedResponses/R~11/0/Throw/Cause"),
    ],
)
def test_faults_are_named_with_their_place(document: Any, pointer: str) -> None:
    with pytest.raises(InvalidMocks) as refused:
        parse_mocks(json.dumps(document))

    assert f"{pointer}: " in str(refused.value)


def test_what_is_no_json() -> None:
    with pytest.raises(InvalidMocks, match="not JSON"):
        parse_mocks("{")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)
)


@given(JSON, JSON)
def test_any_document_is_read_or_refused(machines: Any, mocked: Any) -> None:
    """It never raises anything else."""
    with contextlib.suppress(InvalidMocks):
        parse_mocks(json.dumps({"StateMachines": machines, "MockedResponses": mocked}))
