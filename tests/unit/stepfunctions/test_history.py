"""Events are written as the API spells them, every type of them, and read again."""

from __future__ import annotations

import json
from typing import Any

import botocore.session
import pytest

from workflow_manager.stepfunctions.history import HistoryEvent, decode_events, encode_events, encode_page

MODEL = botocore.session.get_session().get_service_model("stepfunctions")
EVENT = MODEL.shape_for("HistoryEvent").members
DETAILS = {member.removesuffix("EventDetails"): member for member in EVENT if member.endswith("EventDetails")}


def member_of(event_type: str) -> str | None:
    """The member of the API's HistoryEvent for the details of this type, None if it has none."""
    kind = "state" + event_type.partition("State")[2] if event_type.endswith(("Entered", "Exited")) else event_type
    return DETAILS.get(kind[0].lower() + kind[1:])


CASES = [
    (event_type, details)
    for event_type in MODEL.shape_for("HistoryEventType").enum
    for details in (None, {}, {"name": "S", "input": '{"a": "\\u0000é"}'})
    if details is None or member_of(event_type) is not None
]


@pytest.mark.parametrize(("event_type", "details"), CASES)
def test_an_event_is_spelled_as_the_api_does_and_read_again(event_type: str, details: dict[str, Any] | None) -> None:
    event = HistoryEvent(7, 6, 1_700_000_000.25, event_type, details)
    expected = {"timestamp": 1_700_000_000.25, "type": event_type, "id": 7, "previousEventId": 6}
    expected |= {} if details is None else {member_of(event_type): details}

    text = encode_events([event])

    assert json.loads(text) == [expected] == [event.wire()]
    assert decode_events(text) == [event]


def test_every_member_for_details_is_that_of_a_type() -> None:
    found = {member_of(event_type) for event_type in MODEL.shape_for("HistoryEventType").enum} - {None}

    assert found == set(DETAILS.values())


@pytest.mark.parametrize("token", [None, 'a "token"'])
@pytest.mark.parametrize("numbers", [[], [[1]], [[1, 2], [3], [4, 5, 6]]], ids=str)
def test_a_page_is_put_together_from_texts(numbers: list[list[int]], token: str | None) -> None:
    texts = [[HistoryEvent(n, n - 1, 0.5, "ParallelStateStarted") for n in some] for some in numbers]

    page = json.loads(encode_page([encode_events(some) for some in texts], token))

    expected: dict[str, Any] = {"events": [event.wire() for some in texts for event in some]}
    assert page == (expected if token is None else expected | {"nextToken": token})
