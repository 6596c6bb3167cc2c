"""The embedded engine answers as AWS did: every recorded case, of Step Functions alone and with other services.

What does not pass is listed in expected_failures.txt with its reason; what is listed must not pass, so that the list is true.
"""

from __future__ import annotations

from concurrent.futures import Future

import pytest
from expectations import expected_failures
from replay import Result, cases

EXPECTED_FAILURES = expected_failures("expected_failures.txt")
CASE_IDS = [case["id"] for case in cases()]


@pytest.mark.timeout(300)  # the first test waits for cases of others, too
@pytest.mark.parametrize("case_id", CASE_IDS)
def test_case(case_id: str, replays: dict[str, Future[Result]], passed: dict[str, bool]) -> None:
    why = replays[case_id].result().why
    passed[case_id] = why is None

    if case_id in EXPECTED_FAILURES:
        assert why is not None, "passes now: take its line out of expected_failures.txt"
    else:
        assert why is None, why


def test_expected_failures_are_cases() -> None:
    assert set(EXPECTED_FAILURES) <= set(CASE_IDS)
