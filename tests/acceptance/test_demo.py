"""``make demo``: runs to its end in time, or stops when told to, and leaves nothing behind either way."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.acceptance

DEMO = Path(__file__).parents[2] / "examples" / "demo.py"


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return os.environ | {"TMPDIR": str(tmp_path)}


def processes_of(folder: Path) -> list[str]:
    """Command lines of running processes that name the folder."""
    found = []
    for each in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = each.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(folder) in command:
            found.append(command)
    return found


def test_the_demo_shows_two_workflows_that_succeed(tmp_path: Path, environment: dict[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, DEMO], env=environment, capture_output=True, text=True, timeout=60, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr
    steps = ["$ wfm serve", "created (v0)", "unchanged (v0)", "$ wfm definitions", "$ wfm worker", "$ wfm submit"]
    steps += ['{"foo":true,', "$ kill -9", "$ wfm serve", "--follow", '{"bar":[1,2],', "Both workflows succeeded."]
    at = 0
    for step in steps:
        assert step in done.stdout[at:], f"{step!r} does not follow in:\n{done.stdout}"
        at = done.stdout.index(step, at) + len(step)
    assert list(tmp_path.iterdir()) == []
    assert processes_of(tmp_path) == []


def test_the_demo_on_the_aws_backend(tmp_path: Path, environment: dict[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, DEMO.with_name("demo_aws.py")],
        env=environment | {"AWS_PROFILE": "not-there"},
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    steps = [
        "--backend aws",
        "$ wfm worker",
        '{"foo":true,',
        "$ kill -9",
        "--backend aws",
        '{"bar":[1,2],',
        "$ wfm cancel",
    ]
    steps += [
        "$ wfm resume",
        'operation="StartExecution",outcome="ok"',
        "Three workflows succeeded, and one was cancelled.",
    ]
    steps += ["On a real account", "wfm serve --backend aws"]
    at = 0
    for step in steps:
        assert step in done.stdout[at:], f"{step!r} does not follow in:\n{done.stdout}"
        at = done.stdout.index(step, at) + len(step)
    assert list(tmp_path.iterdir()) == []
    assert processes_of(tmp_path) == []


def test_ctrl_c_cleans_up_too(tmp_path: Path, environment: dict[str, str]) -> None:
    demo = subprocess.Popen(
        [sys.executable, DEMO], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert demo.stdout is not None
    until = time.monotonic() + 30
    while "ActivityScheduled" not in demo.stdout.readline():
        assert time.monotonic() < until

    demo.send_signal(signal.SIGINT)
    _, error = demo.communicate(timeout=60)

    assert demo.returncode == 130
    assert "Traceback" not in error
    assert list(tmp_path.iterdir()) == []
    assert processes_of(tmp_path) == []
