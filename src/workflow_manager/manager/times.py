"""Times: seconds since the epoch in the Step Functions API, aware UTC in the model."""

from __future__ import annotations

from datetime import UTC, datetime

from workflow_manager.model import UNSET_TIME


def moment(seconds: float | None) -> datetime:
    """None is a time that has not come."""
    return UNSET_TIME if seconds is None else datetime.fromtimestamp(seconds, UTC)
