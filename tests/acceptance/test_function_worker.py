"""Functions in real processes: ``wfm worker --app`` and ``app.run_worker()``, drained, killed, and asked for their health."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from server_process import WFM, ServerProcess

pytestmark = pytest.mark.acceptance

PATIENCE = 40.0
ROLE = "arn:aws:iam::000000000000:role/r"
APP = Path(__file__).parent / "sdk_app" / "orders.py"
RETRIED = [{"ErrorEquals": ["sfncli.CommandTerminated"], "IntervalSeconds": 1, "MaxAttempts": 5, "BackoffRate": 1.0}]

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start a process in the application's folder; its stderr is in worker.log."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "WFM_"))}
    environment |= {"ORDERS_FOLDER": str(tmp_path), "PYTHONPATH": str(APP.parent), "PYTHONUNBUFFERED": "1"}
    processes: list[subprocess.Popen[str]] = []

    def begin(*command: str) -> subprocess.Popen[str]:
        with (tmp_path / "worker.log").open("a") as log:
            processes.append(
                subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, env=environment, cwd=tmp_path, text=True)
            )
        return processes[-1]

    yield begin
    for process in processes:
        if process.poll() is None:
            process.kill()
        process.communicate()


def wait_for(path: Path, lines: int = 1, *, of: str = "") -> list[str]:
    """The file's lines, once there are so many, and one that ends so."""
    until = time.monotonic() + PATIENCE
    while True:
        found = path.read_text().splitlines() if path.exists() else []
        if len(found) >= lines and any(line.endswith(of) for line in found):
            return found
        assert time.monotonic() < until, f"{path.name} has not {lines} lines"
        time.sleep(0.02)


class TestInOneProcess:
    """The engine, the workflows and the tasks in one process, on the folder ``wfm-data`` beside it."""

    def test_a_script(self, start: Start) -> None:
        process = start(sys.executable, str(APP), "run", "quick")
        out, _ = process.communicate(timeout=PATIENCE)

        assert process.returncode == 0
        assert f"'pid': {process.pid}" in out

    def test_a_script_that_is_killed_goes_on_in_the_next(self, start: Start, tmp_path: Path) -> None:
        """The task in hand has no heartbeat and no timeout: it is handed out again all the same."""
        first = start(sys.executable, str(APP), "start", "waits")
        assert first.stdout is not None
        workflow_id = first.stdout.readline().strip()
        assert wait_for(tmp_path / "begun") == [f"{workflow_id} {first.pid}"]
        first.kill()
        first.wait()
        (tmp_path / "go").touch()
        out, _ = start(sys.executable, str(APP), "finish", workflow_id).communicate(timeout=PATIENCE)

        assert out == "{'done': True}\n"
        assert len(wait_for(tmp_path / "begun", 2)) == 2

    def test_a_script_that_just_ends(self, start: Start, tmp_path: Path) -> None:
        """What it began goes on in the next one, and nothing is said on stderr."""
        first = start(sys.executable, str(APP), "leave", "quick")
        workflow_id = first.communicate(timeout=PATIENCE)[0].strip()
        out, _ = start(sys.executable, str(APP), "finish", workflow_id).communicate(timeout=PATIENCE)

        assert first.returncode == 0
        assert "'pid'" in out
        assert (tmp_path / "worker.log").read_text() == ""

    def test_run_worker_stops_at_sigterm(self, start: Start, tmp_path: Path) -> None:
        workflow_id = start(sys.executable, str(APP), "leave", "sleeps").communicate(timeout=PATIENCE)[0].strip()
        worker = start(sys.executable, str(APP))
        wait_for(tmp_path / "begun", of=str(worker.pid))  # the first one may have begun the task, too, before it left
        worker.send_signal(signal.SIGTERM)

        assert worker.wait(PATIENCE) == 0
        log = [json.loads(line) for line in (tmp_path / "worker.log").read_text().splitlines() if line.startswith("{")]
        (failed,) = [line for line in log if line["event"] == "task failed" and line["execution"] == workflow_id]
        assert (failed["error"], failed["state"], failed["app"]) == ("sfncli.CommandTerminated", "S", "orders")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path / "data") as running:
        yield running


@pytest.fixture
def sfn(server: ServerProcess) -> Iterator[Any]:
    client = boto3.client(
        "stepfunctions",
        endpoint_url=server.url,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(proxies={}, retries={"mode": "standard", "total_max_attempts": 10}),
    )
    yield client
    client.close()


@pytest.fixture
def work(server: ServerProcess, start: Start) -> Start:
    """Start ``wfm worker --app orders:app`` against the server."""
    return lambda *options: start(WFM, "worker", "--app", "orders:app", "--endpoint-url", server.url, *options)


def run(sfn: Any, task: str, value: dict[str, Any] | None = None, **fields: Any) -> str:
    activity = sfn.create_activity(name=f"ns--{task}")["activityArn"]
    states = {"S": {"Type": "Task", "Resource": activity, "End": True, **fields}}
    machine = sfn.create_state_machine(
        name=f"m-{task}-{len(fields)}", definition=json.dumps({"StartAt": "S", "States": states}), roleArn=ROLE
    )["stateMachineArn"]
    return str(sfn.start_execution(stateMachineArn=machine, input=json.dumps(value or {}))["executionArn"])


def ended(sfn: Any, execution: str) -> dict[str, Any]:
    until = time.monotonic() + PATIENCE
    while True:
        description: dict[str, Any] = sfn.describe_execution(executionArn=execution)
        if description["status"] != "RUNNING":
            return description
        assert time.monotonic() < until, "the execution is still running"
        time.sleep(0.02)


def output(sfn: Any, execution: str) -> Any:
    description = ended(sfn, execution)
    assert description["status"] == "SUCCEEDED", description
    return json.loads(description["output"])


def test_functions_of_every_kind(sfn: Any, work: Start, tmp_path: Path) -> None:
    worker = work()

    assert output(sfn, run(sfn, "quick", {"x": 1})) == {"x": 1, "pid": worker.pid}
    apart = output(sfn, run(sfn, "apart"))
    assert apart["pid"] != worker.pid
    assert (apart["state"], apart["attempt"]) == ("S", 1)
    assert output(sfn, run(sfn, "apart"))["pid"] == apart["pid"], "an idle process is used again"
    for what, error in (
        ("memory", "MemoryError"),
        ("raise", "LookupError"),
        ("die", "sfncli.CommandKilled"),
    ):
        failed = ended(sfn, run(sfn, "apart", {"what": what}))
        assert (failed["status"], failed["error"]) == ("FAILED", error), failed
    assert '"event": "apart"' in (tmp_path / "worker.log").read_text()
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(PATIENCE) == 0


def test_a_stopped_worker_hands_its_tasks_to_another(sfn: Any, work: Start, tmp_path: Path) -> None:
    """Deaf in a thread, and asleep in an event loop: neither ends in time, and both are retried elsewhere."""
    first = work("--grace", "0.3")
    deaf = run(sfn, "waits", Retry=RETRIED)
    wait_for(tmp_path / "begun")
    first.send_signal(signal.SIGTERM)
    assert first.wait(PATIENCE) == 0
    (tmp_path / "go").touch()
    second = work()

    assert output(sfn, deaf) == {"done": True}
    assert [line.split()[1] for line in wait_for(tmp_path / "begun", 2)] == [str(first.pid), str(second.pid)]


def test_a_stopped_worker_lets_tasks_finish(sfn: Any, work: Start, tmp_path: Path) -> None:
    worker = work()
    execution = run(sfn, "waits")
    wait_for(tmp_path / "begun")
    worker.send_signal(signal.SIGTERM)
    wait_for_text(tmp_path / "worker.log", '"event": "stopping"')
    (tmp_path / "go").touch()

    assert output(sfn, execution) == {"done": True}
    assert worker.wait(PATIENCE) == 0


def wait_for_text(path: Path, text: str) -> None:
    until = time.monotonic() + PATIENCE
    while text not in path.read_text():
        assert time.monotonic() < until, f"{path.name} does not say {text}"
        time.sleep(0.02)


def test_a_killed_workers_tasks_are_done_by_another(sfn: Any, work: Start, tmp_path: Path) -> None:
    first = work()
    retry = [{"ErrorEquals": ["States.Timeout", "States.HeartbeatTimeout"], "IntervalSeconds": 1, "MaxAttempts": 3}]
    execution = run(sfn, "waits", Retry=retry, HeartbeatSeconds=1)
    wait_for(tmp_path / "begun")
    first.kill()
    first.wait()
    (tmp_path / "go").touch()
    work()

    assert output(sfn, execution) == {"done": True}


def test_a_process_is_killed_when_its_task_is_over(sfn: Any, work: Start, tmp_path: Path) -> None:
    """It is told by its context first, and hangs on."""
    worker = work("--grace", "0.2")
    execution = run(sfn, "apart", {"what": "hang"})
    wait_for(tmp_path / "begun")
    worker.send_signal(signal.SIGTERM)

    assert worker.wait(PATIENCE) == 0
    assert ended(sfn, execution)["error"] == "sfncli.CommandTerminated"
    (pid,) = wait_for(tmp_path / "cancelled")
    until = time.monotonic() + PATIENCE
    while Path(f"/proc/{pid}").exists():
        assert time.monotonic() < until, "the process is still there"
        time.sleep(0.02)


def get(port: int, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=PATIENCE) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_the_health_port(sfn: Any, work: Start, server: ServerProcess, tmp_path: Path) -> None:
    worker = work("--health-port", "0", "--max-tasks", "3")
    wait_for_text(tmp_path / "worker.log", "health port open")
    port = int(re.findall(r'"port": (\d+)', (tmp_path / "worker.log").read_text())[0])
    assert output(sfn, run(sfn, "quick")) == {"pid": worker.pid}
    ended(sfn, run(sfn, "apart", {"what": "raise"}))
    until = time.monotonic() + PATIENCE
    while get(port, "/readyz")[0] != 200:
        assert time.monotonic() < until
        time.sleep(0.05)

    assert get(port, "/healthz") == (200, "ok\n")
    metrics = get(port, "/metrics")[1]
    assert 'wfm_worker_tasks_total{activity="ns--quick",outcome="succeeded"} 1.0' in metrics
    assert 'wfm_worker_tasks_total{activity="ns--apart",outcome="failed"} 1.0' in metrics
    assert 'wfm_worker_task_seconds_count{activity="ns--quick"} 1.0' in metrics
    assert 'wfm_worker_polls_total{activity="ns--quick",result="task"} 1.0' in metrics
    assert get(port, "/nowhere")[0] == 404

    run(sfn, "waits")
    wait_for(tmp_path / "begun")
    worker.send_signal(signal.SIGTERM)
    until = time.monotonic() + PATIENCE
    while get(port, "/healthz") != (200, "draining\n"):
        assert time.monotonic() < until
        time.sleep(0.02)
    assert get(port, "/readyz") == (503, "not ready\n")
    assert 'wfm_worker_tasks_running{activity="ns--waits"} 1.0' in get(port, "/metrics")[1]
    (tmp_path / "go").touch()
    assert worker.wait(PATIENCE) == 0


@pytest.mark.parametrize(
    ("options", "code", "why"),
    [
        pytest.param(["--app", "orders"], 1, "named as module:app", id="no attribute"),
        pytest.param(["--app", "orders:nothing"], 1, "cannot be imported", id="no such attribute"),
        pytest.param(["--app", "no_such_module:app"], 1, "cannot be imported", id="no such module"),
        pytest.param(["--app", "orders:HERE"], 1, "not an App", id="something else"),
        pytest.param(["--app", "orders:app", "--activity", "quik"], 1, "no task 'quik'", id="no such task"),
        pytest.param(["--app", "orders:app", "--workdir", "w"], 2, "--workdir is for commands", id="an option of commands"),
        pytest.param(["--app", "orders:app", "--", "true"], 2, "give one", id="a command besides"),
        pytest.param([], 2, "give one", id="neither"),
        pytest.param(["--app", "orders:app", "--health-port", "1", "--health-host", "1.1.1.1"], 1, "cannot listen", id="port"),
    ],
)  # fmt: skip
def test_what_a_worker_refuses(start: Start, tmp_path: Path, options: list[str], code: int, why: str) -> None:
    process = start(WFM, "worker", "--endpoint-url", "http://127.0.0.1:9", *options)

    assert process.wait(PATIENCE) == code
    assert why in (tmp_path / "worker.log").read_text()
    assert "Traceback" not in (tmp_path / "worker.log").read_text()
