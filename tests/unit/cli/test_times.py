"""Times and durations as people write and read them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflow_manager.cli.times import ago, between, duration, parse_time
from workflow_manager.model import UNSET_TIME

NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("90s", NOW - timedelta(seconds=90)),
        ("30min", NOW - timedelta(minutes=30)),
        ("30m", NOW - timedelta(minutes=30)),
        ("2h", NOW - timedelta(hours=2)),
        ("3d", NOW - timedelta(days=3)),
        ("1w", NOW - timedelta(weeks=1)),
        ("2026-03-01", datetime(2026, 3, 1, tzinfo=UTC)),
        ("2026-03-01T09:30:00Z", datetime(2026, 3, 1, 9, 30, tzinfo=UTC)),
        ("2026-03-01T09:30:00.250+02:00", datetime(2026, 3, 1, 7, 30, 0, 250_000, tzinfo=UTC)),
    ],
)
def test_a_time_or_how_long_ago(text: str, moment: datetime) -> None:
    assert parse_time(text, NOW) == moment


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("yesterday", "'yesterday' is no time; expected a time"),
        ("2 h", "'2 h' is no time"),
        ("", "'' is no time"),
        ("2026-13-01", "is no time"),
        ("999999999w", "'999999999w' is too far away"),
        ("0001-01-01T00:00:00+14:00", "is too far away"),
        ("2026-03-01T09:30:00", "lacks its offset from UTC; write 2026-03-01T09:30:00Z"),
    ],
)
def test_what_is_no_time_is_refused_with_a_sentence(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_time(text, NOW)


@given(st.text(max_size=30))
def test_any_text_is_a_time_or_refused(text: str) -> None:
    try:
        assert parse_time(text, NOW).utcoffset() == timedelta(0)
    except ValueError as error:
        assert repr(text.strip()) in str(error)  # noqa: PT017 - either way is right


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "0.0 s"),
        (-1, "0.0 s"),
        (1.26, "1.3 s"),
        (42.4, "42 s"),
        (59.6, "1 min"),
        (184, "3 min 4 s"),
        (7500, "2 h 5 min"),
        (86_400 * 2 + 3600, "2 d 1 h"),
    ],
)
def test_a_duration_has_one_or_two_units(seconds: float, shown: str) -> None:
    assert duration(seconds) == shown


@pytest.mark.parametrize(
    ("before", "shown"),
    [
        (timedelta(seconds=-5), "just now"),
        (timedelta(seconds=12), "12 s ago"),
        (timedelta(minutes=3, seconds=59), "3 min ago"),
        (timedelta(hours=5), "5 h ago"),
        (timedelta(days=3), "3 d ago"),
        (timedelta(days=60), "2026-01-09"),
    ],
)
def test_an_age_is_rough(before: timedelta, shown: str) -> None:
    assert ago(NOW - before, NOW) == shown


def test_what_has_not_happened_has_no_time() -> None:
    assert ago(UNSET_TIME, NOW) == ""
    assert between(UNSET_TIME, NOW, NOW) == ""


def test_what_goes_on_lasts_until_now() -> None:
    assert between(NOW - timedelta(seconds=30), UNSET_TIME, NOW) == "30 s"
