"""Timestamps as ASL wants them: RFC 3339 with an upper-case ``T`` and a ``Z`` or an offset (ASL, "Timestamps")."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

_PATTERN = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(?:(Z)|([+-])(\d\d):(\d\d))", re.ASCII
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def parse_nanoseconds(text: str) -> int | None:
    """Return the nanoseconds since the epoch, exactly; None when the text is no timestamp."""
    found = _PATTERN.fullmatch(text)
    if found is None:
        return None
    year, month, day, hour, minute, second = map(int, found.group(1, 2, 3, 4, 5, 6))
    try:
        moment = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        return None
    elapsed = moment - _EPOCH
    if found[8] is None:
        hours, minutes = int(found[10]), int(found[11])
        if hours > 23 or minutes > 59:
            return None
        offset = timedelta(hours=hours, minutes=minutes)
        elapsed += -offset if found[9] == "+" else offset
    fraction = int((found[7] or "").ljust(9, "0"))
    return (elapsed.days * 86_400 + elapsed.seconds) * 1_000_000_000 + fraction


def parse_seconds(text: str) -> float | None:
    """Return the seconds since the epoch; None when the text is no timestamp."""
    nanoseconds = parse_nanoseconds(text)
    return None if nanoseconds is None else nanoseconds / 1_000_000_000
