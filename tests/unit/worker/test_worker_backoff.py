"""Waits grow up to a bound, with jitter, and begin anew after a success."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflow_manager.worker.backoff import FIRST_SECONDS, LONGEST_SECONDS, Backoff


def test_waits_double_up_to_the_longest_and_begin_anew() -> None:
    backoff = Backoff(longest_seconds=1.0, jitter=lambda: 1.0)

    assert [backoff.next_seconds() for _ in range(6)] == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.0, 1.0])
    backoff.reset()
    assert backoff.next_seconds() == pytest.approx(0.1)


@given(st.floats(0, 1, exclude_max=True), st.integers(0, 10_000))
def test_no_wait_leaves_the_bounds(jitter: float, waits: int) -> None:
    backoff = Backoff(jitter=lambda: jitter)
    for _ in range(min(waits, 100)):
        backoff.next_seconds()

    assert FIRST_SECONDS / 2 <= backoff.next_seconds() <= LONGEST_SECONDS
