"""A live server for the recorded cases, with the other services that they need, and the count of those that pass."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path

import pytest
from gateway import Gateway
from lambdas import Lambda
from replay import RECORDED_ACCOUNT, Endpoint, Result, cases, replay_all

HERE = Path(__file__).parent
JOBS = 8
PASSED = pytest.StashKey[dict[str, bool]]()


@pytest.fixture(scope="session")
def emulator() -> Iterator[str]:
    """URL of moto's server: the services besides Step Functions and Lambda."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    environment = os.environ | {"MOTO_ACCOUNT_ID": RECORDED_ACCOUNT}
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            _wait_for(port, process)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    for _ in range(600):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            assert process.poll() is None, "the emulator ended before it served"
            time.sleep(0.1)
        else:
            return
    raise AssertionError("the emulator does not serve")


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, emulator: str) -> Iterator[str]:
    """URL of the embedded engine, in a process of its own, on a free port and an empty data folder."""
    data = tmp_path_factory.mktemp("conformance")
    command = [sys.executable, HERE / "server.py", "--data", data, "--others", emulator]
    environment = os.environ | {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_ENDPOINT_URL": emulator,
        "AWS_ENDPOINT_URL_LAMBDA": f"http://127.0.0.1:{Lambda.serve()}",
    }
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
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
    endpoint = Endpoint(server, f"http://127.0.0.1:{Gateway.serve()}")
    return replay_all([case for case in cases() if case["id"] in selected], endpoint, JOBS)


@pytest.fixture
def passed(request: pytest.FixtureRequest) -> dict[str, bool]:
    """Case id -> whether it passed; told at the end."""
    return request.config.stash.setdefault(PASSED, {})


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    passed = config.stash.get(PASSED, {})
    if passed:
        terminalreporter.write_line(f"conformance: {sum(passed.values())} of {len(passed)} recorded cases pass")
