"""Parameters as Go's strconv reads them, and as the HTTP contract bounds them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflow_manager.api import parameters
from workflow_manager.model import WorkflowStatus
from workflow_manager.model.errors import InvalidRequest


@pytest.mark.parametrize(
    ("parse", "text", "value"),
    [
        *((parameters.boolean, text, True) for text in ("1", "t", "T", "TRUE", "true", "True")),
        *((parameters.boolean, text, False) for text in ("0", "f", "F", "FALSE", "false", "False")),
        (parameters.integer, "-1", -1),
        (parameters.integer, "+7", 7),
        (parameters.integer, "007", 7),
        (parameters.integer, str(2**63 - 1), 2**63 - 1),
        (parameters.integer, str(-(2**63)), -(2**63)),
        (parameters.limit, "0", 10),
        (parameters.limit, "1", 1),
        (parameters.limit, "10000", 10_000),
        (parameters.event_id, "0", 0),
        (parameters.instant, "2017-10-25T18:11:03.35Z", datetime(2017, 10, 25, 18, 11, 3, 350_000, tzinfo=UTC)),
        (parameters.instant, "2017-10-25t18:11:03z", datetime(2017, 10, 25, 18, 11, 3, tzinfo=UTC)),
        (parameters.instant, "2017-10-25T18:11:03+02:00", datetime(2017, 10, 25, 16, 11, 3, tzinfo=UTC)),
        (parameters.instant, "2017-10-25T18:11:03 02:00", datetime(2017, 10, 25, 16, 11, 3, tzinfo=UTC)),
        (parameters.instant, "2017-10-25T18:11:03.123456789Z", datetime(2017, 10, 25, 18, 11, 3, 123_456, tzinfo=UTC)),
    ],
)
def test_parameters_that_are_taken(parse: Callable[[str, str], Any], text: str, value: Any) -> None:
    assert parse("name", text) == value


@pytest.mark.parametrize(
    ("parse", "text"),
    [
        *((parameters.boolean, text) for text in ("", "yes", "tRUE", "2", " true", "on")),
        *((parameters.integer, text) for text in ("", "1.0", "1_000", "0x1", " 1", "٣", "1e3", "--1")),
        *((parameters.integer, text) for text in (str(2**63), str(-(2**63) - 1), "9" * 5000)),
        *((parameters.limit, text) for text in ("-1", "10001", "", "many")),
        *((parameters.event_id, text) for text in ("-1", "x")),
        *(
            (parameters.instant, text)
            for text in (
                "",
                "2017-10-25",
                "20171025T181103Z",
                "2017-10-25T18:11:03",
                "2017-13-25T18:11:03Z",
                "2017-10-25T25:11:03Z",
                "0001-01-01T00:00:00+14:00",
                "1508955063",
                "now",
            )
        ),
    ],
)
def test_parameters_that_are_refused_by_name(parse: Callable[[str, str], Any], text: str) -> None:
    with pytest.raises(InvalidRequest, match=r"^theName: expected "):
        parse("theName", text)


@given(st.text())
def test_no_text_is_too_strange(text: str) -> None:
    for parse in (parameters.boolean, parameters.integer, parameters.limit, parameters.instant):
        try:
            parse("name", text)
        except InvalidRequest as error:
            assert len(error.message) < 800  # noqa: PT017 - the length is what a hostile text could blow up


@pytest.mark.parametrize(
    ("values", "statuses"),
    [
        pytest.param([], (), id="absent is any"),
        pytest.param([""], (), id="empty is any"),
        pytest.param(["failed"], (WorkflowStatus.FAILED,), id="one"),
        pytest.param(["failed", "running"], (WorkflowStatus.FAILED, WorkflowStatus.RUNNING), id="repeated key"),
        pytest.param(["failed,running"], (WorkflowStatus.FAILED, WorkflowStatus.RUNNING), id="commas"),
        pytest.param(["failed,failed"], (WorkflowStatus.FAILED,), id="twice is once"),
        pytest.param(["failed,odd"], (WorkflowStatus.FAILED,), id="unknown beside known"),
        pytest.param(["odd"], None, id="unknown alone matches nothing"),
        pytest.param(["FAILED"], None, id="case counts"),
    ],
)
def test_statuses(values: list[str], statuses: tuple[WorkflowStatus, ...] | None) -> None:
    assert parameters.statuses(values) == statuses
