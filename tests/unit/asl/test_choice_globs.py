"""StringMatches: what its pattern matches, and that it costs no more than pattern times text."""

from __future__ import annotations

import re
import time

from hypothesis import given
from hypothesis import strategies as st

from workflow_manager.asl.choice import glob

PATTERNS = st.text("ab*\\", max_size=8).filter(lambda text: not text.replace("\\\\", "").endswith("\\"))


def as_regex(pattern: str) -> str:
    parts = re.findall(r"\\.|.", pattern)
    return "".join(".*" if part == "*" else re.escape(part[-1]) for part in parts)


@given(pattern=PATTERNS, text=st.text("ab*\\", max_size=10))
def test_agrees_with_regular_expressions(pattern: str, text: str) -> None:
    assert glob(pattern)(text) == (re.fullmatch(as_regex(pattern), text) is not None)


def test_does_not_run_away() -> None:
    start = time.process_time()

    assert not glob("*a" * 500 + "b")("a" * 100_000)
    assert time.process_time() - start < 1
