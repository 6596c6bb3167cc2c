"""Times and durations as people write and read them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

UNITS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400, "w": 604_800}
"""Unit of an age -> seconds."""
_AGE = re.compile(r"([0-9]{1,9})(s|min|m|h|d|w)")
_DAY = re.compile(r"\d{4}-\d\d-\d\d")
EXPECTED = "a time (2026-03-01T09:30:00Z), a day (2026-03-01), or an age (90s, 30min, 2h, 3d, 1w)"


def parse_time(text: str, now: datetime) -> datetime:
    """A time as RFC 3339, a day (its beginning in UTC), or how long ago. Raises ValueError saying what is expected."""
    text = text.strip()
    age = _AGE.fullmatch(text)
    try:
        if age is not None:
            return now - timedelta(seconds=int(age[1]) * UNITS[age[2]])
        if _DAY.fullmatch(text):
            text += "T00:00:00Z"
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is not None:
            return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError(f"{text!r} is too far away; expected {EXPECTED}") from None
    except ValueError:
        raise ValueError(f"{text!r} is no time; expected {EXPECTED}") from None
    raise ValueError(f"{text!r} lacks its offset from UTC; write {text}Z, or {text}+01:00")


class Times:
    """How times are shown: ``style`` is relative, absolute (local time) or both; ``now`` is when the command began."""

    def __init__(self, style: str, now: datetime) -> None:
        self.style = style
        self.now = now

    def when(self, moment: datetime) -> str:
        """A time; nothing when it has not come."""
        if not is_set(moment):
            return ""
        exact = f"{moment.astimezone():%Y-%m-%d %H:%M:%S}"
        match self.style:
            case "absolute":
                return exact
            case "both":
                return f"{exact} ({ago(moment, self.now)})"
            case _:
                return ago(moment, self.now)

    def between(self, start: datetime, end: datetime) -> str:
        """How long from start to end, or until now when the end has not come."""
        return between(start, end, self.now)


def is_set(moment: datetime) -> bool:
    """Whether a time has come: year 1 says that it has not."""
    return moment.year > 1


def duration(seconds: float) -> str:
    """How long something took, in one or two units."""
    if seconds < 10:
        return f"{max(seconds, 0):.1f} s"
    whole = round(seconds)
    for size, unit, smaller, name in ((86_400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            rest = whole % size // smaller
            return f"{whole // size} {unit} {rest} {name}" if rest else f"{whole // size} {unit}"
    return f"{whole} s"


def between(start: datetime, end: datetime, now: datetime) -> str:
    """How long from start to end, or until now when the end has not come; nothing when the start has not."""
    if not is_set(start):
        return ""
    return duration(((end if is_set(end) else now) - start).total_seconds())


def ago(moment: datetime, now: datetime) -> str:
    """How long ago, roughly; the day itself after a month."""
    if not is_set(moment):
        return ""
    seconds = (now - moment).total_seconds()
    if seconds < 1:
        return "just now"
    if seconds > 30 * 86_400:
        return moment.strftime("%Y-%m-%d")
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{int(seconds // size)} {unit} ago"
    return f"{int(seconds)} s ago"
