"""The worker as a process: signals, exit codes, what goes to stdout and stderr."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest
from worker_fakes import PATIENCE, ActivityServer

from workflow_manager.worker.process import default_worker_name, run_with_signals, writer_to
from workflow_manager.worker.settings import WorkerSettings

PROGRAM = """
import sys
from workflow_manager.worker import WorkerSettings, run_worker
sys.exit(run_worker(WorkerSettings(activity="echo", namespace="ns", **eval(sys.argv[1]))))
"""

Worker = subprocess.Popen[bytes]


class Activities(ActivityServer):
    """Hands out each task that is put into ``tasks`` once; polls wait while there is none."""

    def __init__(self) -> None:
        super().__init__()
        self.tasks: SimpleQueue[dict[str, str]] = SimpleQueue()
        self.polled = threading.Semaphore(0)
        self.over = threading.Event()
        self.answers["GetActivityTask"] = self._poll
        for operation in ("SendTaskHeartbeat", "SendTaskSuccess", "SendTaskFailure"):
            self.answers[operation] = lambda _: (200, {})

    def report(self) -> tuple[str, dict[str, Any]]:
        while True:
            operation, body = self.next_request()
            if operation in {"SendTaskSuccess", "SendTaskFailure"}:
                return operation, body

    def _poll(self, _: dict[str, Any]) -> tuple[int, Any]:
        self.polled.release()
        return 200, self.tasks.get()


@pytest.fixture
def server() -> Iterator[Activities]:
    with Activities() as running:
        yield running


@pytest.fixture
def workers() -> Iterator[list[Worker]]:
    """Workers that a test has started; none outlives it."""
    started: list[Worker] = []
    yield started
    for worker in started:
        if worker.poll() is None:
            worker.kill()
        worker.communicate()


def start(workers: list[Worker], endpoint_url: str, *command: str, **settings: Any) -> Worker:
    settings |= {"command": command, "endpoint_url": endpoint_url}
    worker = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, repr(settings)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    workers.append(worker)
    return worker


def finish(worker: Worker) -> tuple[int, bytes, list[dict[str, Any]]]:
    """Exit code, stdout, and those lines of stderr that are logs."""
    stdout, stderr = worker.communicate(timeout=PATIENCE)
    logs = [json.loads(line) for line in stderr.splitlines() if line.startswith(b"{")]
    return worker.returncode, stdout, logs


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_idle_worker_ends_cleanly(server: Activities, workers: list[Worker], number: signal.Signals) -> None:
    del server.answers["GetActivityTask"]  # polls stay open until the worker leaves
    worker = start(workers, server.url, "true", concurrency=2)
    assert [server.next_request()[0] for _ in range(2)] == ["CreateActivity", "GetActivityTask"]  # one poll while idle

    worker.send_signal(number)

    assert server.pollers_gone.get(timeout=PATIENCE) is True
    code, stdout, logs = finish(worker)
    assert (code, stdout) == (0, b"")
    assert logs[-1]["event"] == "worker stopped"
    assert {log["activity"] for log in logs} == {"ns--echo"}


def test_a_task_is_done_and_its_output_passes_through(server: Activities, workers: list[Worker]) -> None:
    server.tasks.put({"taskToken": "t", "input": '{"_EXECUTION_NAME":"w1"}'})
    script = 'echo "to stderr" >&2; echo "$1"; echo "{\\"seen\\":\\"$_EXECUTION_NAME\\"}"'
    worker = start(workers, server.url, "sh", "-c", script, "sh")

    operation, body = server.report()
    worker.send_signal(signal.SIGTERM)
    stdout, stderr = worker.communicate(timeout=PATIENCE)

    assert operation == "SendTaskSuccess"
    assert body == {"taskToken": "t", "output": '{"seen":"w1","_EXECUTION_NAME":"w1"}'}
    assert stdout == b'{"_EXECUTION_NAME":"w1"}\n{"seen":"w1"}\n'
    assert b"to stderr\n" in stderr
    assert worker.returncode == 0


def on_signal(number: signal.Signals, action: str) -> tuple[str, ...]:
    """A command that says "ready", then waits for a signal, acts, and ends with status 0."""
    script = (
        "import signal, sys\n"
        f"signal.signal({int(number)}, lambda *_: ({action}, sys.exit(0)))\n"
        "print('ready', flush=True)\n"
        "while True: signal.pause()"
    )
    return sys.executable, "-c", script


def wait_until_ready(worker: Worker) -> None:
    assert worker.stdout is not None
    assert worker.stdout.readline() == b"ready\n"


def test_a_signal_reaches_the_command_and_the_task_is_terminated(server: Activities, workers: list[Worker]) -> None:
    server.tasks.put({"taskToken": "t", "input": "{}"})
    worker = start(workers, server.url, *on_signal(signal.SIGTERM, "sys.exit('got TERM')"))
    wait_until_ready(worker)

    worker.send_signal(signal.SIGTERM)

    assert server.report() == (
        "SendTaskFailure",
        {"taskToken": "t", "error": "sfncli.CommandTerminated", "cause": "got TERM"},
    )
    assert finish(worker)[0] == 0


def test_a_command_that_does_not_mind_is_killed_after_the_grace_period(
    server: Activities, workers: list[Worker]
) -> None:
    server.tasks.put({"taskToken": "t", "input": "{}"})
    worker = start(workers, server.url, "sh", "-c", "trap '' TERM; echo ready; sleep 600", grace_seconds=0.05)
    wait_until_ready(worker)

    worker.send_signal(signal.SIGTERM)

    assert server.report()[1]["error"] == "sfncli.CommandTerminated"
    assert finish(worker)[0] == 0


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGQUIT])
def test_other_signals_are_for_the_command(server: Activities, workers: list[Worker], number: signal.Signals) -> None:
    server.tasks.put({"taskToken": "t", "input": "{}"})
    worker = start(workers, server.url, *on_signal(number, "print('{\"got\":1}')"))
    wait_until_ready(worker)

    worker.send_signal(number)

    assert server.report() == ("SendTaskSuccess", {"taskToken": "t", "output": '{"got":1}'})
    worker.send_signal(signal.SIGTERM)
    assert finish(worker)[0] == 0


class Recording:
    """Stands in for the loop: it ends at the first signal, which is sent to a thread of its own."""

    def __init__(self) -> None:
        self.signals: SimpleQueue[int] = SimpleQueue()

    def run_until_stopped(self) -> bool:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGUSR1})
        os.kill(os.getpid(), signal.SIGUSR1)
        return self.signals.get(timeout=PATIENCE) == signal.SIGUSR1

    def signal(self, number: int) -> None:
        self.signals.put(number)


def test_a_signal_that_another_thread_takes_is_not_lost() -> None:
    """The kernel may hand a signal to any thread that does not block it; here, the main thread does."""
    before = signal.getsignal(signal.SIGUSR1), signal.set_wakeup_fd(-1)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    try:
        assert run_with_signals(Recording()) is True  # type: ignore[arg-type]
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGUSR1})
    assert (signal.getsignal(signal.SIGUSR1), signal.set_wakeup_fd(-1)) == before


def test_a_task_that_timed_out_gets_its_command_stopped(server: Activities, workers: list[Worker]) -> None:
    server.answers["SendTaskHeartbeat"] = lambda _: (400, {"__type": "TaskTimedOut", "message": "Task Timed Out"})
    server.tasks.put({"taskToken": "t1", "input": '{"wait":1}'})
    script = 'case "$1" in *wait*) echo waiting; exec sleep 600;; esac'
    worker = start(workers, server.url, "sh", "-c", script, "sh", heartbeat_seconds=0.01)
    assert worker.stdout is not None
    assert worker.stdout.readline() == b"waiting\n"
    server.tasks.put({"taskToken": "t2", "input": "{}"})

    assert server.report() == ("SendTaskSuccess", {"taskToken": "t2", "output": "{}"})
    worker.send_signal(signal.SIGTERM)
    assert finish(worker)[0] == 0


def test_a_worker_whose_output_nobody_reads_carries_on(server: Activities, workers: list[Worker]) -> None:
    worker = start(workers, server.url, "sh", "-c", "echo out; echo err >&2; echo '{}'", "sh")
    assert worker.stdout is not None
    assert worker.stderr is not None
    worker.stdout.close()
    worker.stderr.close()
    for number in range(2):
        server.tasks.put({"taskToken": f"t{number}", "input": "{}"})

    assert [server.report()[1]["taskToken"] for _ in range(2)] == ["t0", "t1"]
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(PATIENCE) == 0


def test_a_refused_registration_is_one_sentence(server: Activities, workers: list[Worker]) -> None:
    server.answers["CreateActivity"] = lambda _: (400, {"__type": "InvalidName", "message": "Invalid Name: 'ns--echo'"})
    worker = start(workers, server.url, "true")

    _, stderr = worker.communicate(timeout=PATIENCE)

    assert worker.returncode == 1
    assert stderr.decode() == (
        "wfm worker: cannot serve the activity ns--echo: InvalidName: Invalid Name: 'ns--echo'\n"
    )


def test_a_name_that_is_too_long_is_said_before_anything_is_sent(server: Activities, workers: list[Worker]) -> None:
    worker = start(workers, server.url, "true", worker_name="n" * 81)

    _, stderr = worker.communicate(timeout=PATIENCE)

    assert (worker.returncode, stderr) == (
        1,
        b"wfm worker: cannot serve the activity ns--echo: the worker's name has 81 characters, and may have 80\n",
    )
    assert server.requests.empty()


def test_a_worker_that_waits_for_its_endpoint_can_be_stopped(workers: list[Worker]) -> None:
    worker = start(workers, "http://127.0.0.1:1", "true")
    assert worker.stderr is not None
    assert b"cannot register the activity yet" in worker.stderr.readline()

    worker.send_signal(signal.SIGTERM)

    assert finish(worker)[0] == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        pytest.param({"command": ()}, "command is empty", id="no command"),
        pytest.param({"concurrency": 0}, "concurrency is 0", id="no slot"),
        pytest.param({"heartbeat_seconds": 0}, "heartbeat_seconds is 0", id="heartbeats without a pause"),
    ],
)
def test_settings_that_cannot_work(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        WorkerSettings(**({"activity": "a", "namespace": "n", "command": ("true",)} | changes))


@pytest.mark.parametrize(
    ("host", "expected"),
    [("host", "host-7"), ("a b/c:d", "a-b-c-d-7"), ("h" * 200, "h" * 78 + "-7")],
    ids=["plain", "characters that names cannot hold", "long"],
)
def test_the_default_name_of_a_worker(monkeypatch: pytest.MonkeyPatch, host: str, expected: str) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: host)
    monkeypatch.setattr("os.getpid", lambda: 7)

    assert default_worker_name() == expected


def test_writing_goes_on_until_all_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    with (tmp_path / "file").open("wb") as file:
        monkeypatch.setattr("os.write", lambda descriptor, data: write(descriptor, data[:3]))
        writer_to(file.fileno())(b"0123456789")

    assert (tmp_path / "file").read_bytes() == b"0123456789"
