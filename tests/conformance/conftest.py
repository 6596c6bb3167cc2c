"""A live server for the recorded cases, and the count of those that pass."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path

import pytest
from replay import Endpoint, Result, cases, replay_all

HERE = Path(__file__).parent
JOBS = 8
PASSED = pytest.StashKey[dict[str, bool]]()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of the embedded engine, in a process of its own, on a free port and an empty data folder."""
    command = [sys.executable, HERE / "server.py", "--data", tmp_path_factory.mktemp("conformance")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            assert url, "the server ended before it served; its own words stand above"
            yield url
        finally:
            process.terminate()


@pytest.fixture(scope="session")
def replays(server: str, request: pytest.FixtureRequest) -> dict[str, Future[Result]]:
    """The replays of all cases that were selected, under way: cases wait far more than they compute."""
    selected = {
        item.callspec.params["case_id"]
        for item in request.session.items
        if isinstance(item, pytest.Function) and hasattr(item, "callspec") and "case_id" in item.callspec.params
    }
    return replay_all([case for case in cases() if case["id"] in selected], Endpoint(server), JOBS)


@pytest.fixture
def passed(request: pytest.FixtureRequest) -> dict[str, bool]:
    """Case id -> whether it passed; told at the end."""
    return request.config.stash.setdefault(PASSED, {})


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    passed = config.stash.get(PASSED, {})
    if passed:
        terminalreporter.write_line(f"conformance: {sum(passed.values())} of {len(passed)} recorded cases pass")
