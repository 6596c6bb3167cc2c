"""What is known not to pass, as data beside the tests."""

from __future__ import annotations

from pathlib import Path


def expected_failures(name: str) -> dict[str, str]:
    """Id -> reason, from lines ``id: reason``; empty lines and those that begin with # say nothing."""
    lines = [line for line in (Path(__file__).parent / name).read_text().splitlines() if line and line[0] != "#"]
    return dict(line.split(": ", 1) for line in lines)
