"""RFC 3339 timestamps (ASL, "Timestamps"), exact to the nanosecond."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflow_manager.asl.timestamps import parse_nanoseconds, parse_seconds

MOMENTS = st.datetimes(
    timezones=st.integers(-23 * 60, 23 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
).filter(lambda moment: 1 < moment.year < 9999)


@given(moment=MOMENTS)
def test_agrees_with_datetime(moment: datetime) -> None:
    elapsed = moment - datetime(1970, 1, 1, tzinfo=UTC)

    assert parse_nanoseconds(moment.isoformat()) == elapsed // timedelta(microseconds=1) * 1000


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("2016-08-18T17:33:00", id="no offset"),
        pytest.param("2016-08-18 17:33:00Z", id="no T"),
        pytest.param("2016-08-18t17:33:00z", id="small letters"),
        pytest.param("2016-13-18T17:33:00Z", id="month 13"),
        pytest.param("2015-02-29T17:33:00Z", id="a day that was not"),
        pytest.param("2016-08-18T25:33:00Z", id="hour 25"),
        pytest.param("2016-08-18T17:33:00+24:00", id="offset of a day"),
        pytest.param("2016-08-18T17:33:00.Z", id="no digits after the point"),
        pytest.param("2016-08-18T17:33:00Z\n", id="more after it"),
        pytest.param("٢٠١٦-08-18T17:33:00Z", id="digits of another script"),
        pytest.param("", id="nothing"),
    ],
)
def test_what_is_none(text: str) -> None:
    assert parse_nanoseconds(text) is None
    assert parse_seconds(text) is None
