"""``wfm worker`` against ``wfm serve``: real processes, real commands, histories read over the wire."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
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


Work = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def work(server: ServerProcess, tmp_path: Path) -> Iterator[Work]:
    """Start a worker for ns--echo: ``work(*command, options=[...])``. Its stderr is in worker.log."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "WFM_"))}
    workers: list[subprocess.Popen[bytes]] = []

    def start(*command: str, options: tuple[str, ...] = ()) -> subprocess.Popen[bytes]:
        arguments = ["worker", "--activity", "echo", "--namespace", "ns", "--endpoint-url", server.url, *options]
        with (tmp_path / "worker.log").open("ab") as log:
            workers.append(
                subprocess.Popen(
                    [WFM, *arguments, "--", *command], stdout=log, stderr=log, env=environment, cwd=tmp_path
                )
            )
        return workers[-1]

    yield start
    for worker in workers:
        if worker.poll() is None:
            worker.kill()
        worker.wait()


def activity_arn(sfn: Any) -> str:
    return str(sfn.create_activity(name="ns--echo")["activityArn"])


def state_machine(sfn: Any, **fields: Any) -> str:
    definition = {
        "StartAt": "echo",
        "States": {"echo": {"Type": "Task", "Resource": activity_arn(sfn), "End": True} | fields},
    }
    return str(sfn.create_state_machine(name="m", definition=json.dumps(definition), roleArn=ROLE)["stateMachineArn"])


def run(sfn: Any, machine: str, **payload: Any) -> str:
    return str(sfn.start_execution(stateMachineArn=machine, input=json.dumps(payload))["executionArn"])


def ended(sfn: Any, execution: str) -> dict[str, Any]:
    until = time.monotonic() + PATIENCE
    while True:
        description: dict[str, Any] = sfn.describe_execution(executionArn=execution)
        if description["status"] != "RUNNING":
            return description
        assert time.monotonic() < until, "the execution is still running"
        time.sleep(0.02)


def history(sfn: Any, execution: str) -> list[str]:
    events = sfn.get_execution_history(executionArn=execution, maxResults=1000)["events"]
    return [event["type"] for event in events]


def wait_for(path: Path, lines: int = 1) -> list[str]:
    """Lines that commands have appended to a file, once there are so many."""
    until = time.monotonic() + PATIENCE
    while not path.exists() or len(path.read_text().splitlines()) < lines:
        assert time.monotonic() < until, f"{path.name} has not {lines} lines"
        time.sleep(0.02)
    return path.read_text().splitlines()


def stop(worker: subprocess.Popen[bytes], how: signal.Signals = signal.SIGTERM) -> int:
    worker.send_signal(how)
    return worker.wait(PATIENCE)


def test_a_task_is_done_by_a_command(sfn: Any, work: Work) -> None:
    worker = work("sh", "-c", 'echo starting; echo "{\\"seen\\":$1,\\"name\\":\\"$_EXECUTION_NAME\\"}"', "sh")
    description = ended(sfn, run(sfn, state_machine(sfn), foo=True, _EXECUTION_NAME="w1"))

    assert description["status"] == "SUCCEEDED"
    assert json.loads(description["output"]) == {
        "seen": {"foo": True, "_EXECUTION_NAME": "w1"}, "name": "w1", "_EXECUTION_NAME": "w1",
    }  # fmt: skip
    assert stop(worker) == 0


@pytest.mark.parametrize(
    ("command", "error", "cause"),
    [
        pytest.param(("sh", "-c", "echo why >&2; exit 3"), "sfncli.CommandExitedNonzero", "why", id="exited nonzero"),
        pytest.param(("sh", "-c", 'echo \'{"error":"My.E","cause":"c"}\'; exit 1'), "My.E", "c", id="its own error"),
        pytest.param(("sh", "-c", "echo oops >&2; kill -9 $$"), "sfncli.CommandKilled", "oops", id="killed"),
        pytest.param(
            ("no-such-command",),
            "sfncli.CommandNotFound",
            "no-such-command: no such command, or its interpreter is missing",
            id="not found",
        ),
    ],
)
def test_failures_reach_the_execution(sfn: Any, work: Work, command: tuple[str, ...], error: str, cause: str) -> None:
    work(*command)
    description = ended(sfn, run(sfn, state_machine(sfn)))

    assert (description["status"], description["error"], description["cause"]) == ("FAILED", error, cause)


def test_input_that_is_no_object(sfn: Any, work: Work) -> None:
    work("true")
    description = ended(sfn, run(sfn, state_machine(sfn, InputPath="$.list"), list=[1]))

    assert description["error"] == "sfncli.TaskInputNotJSON"


def test_an_output_that_the_server_does_not_take_fails_the_task(sfn: Any, work: Work, tmp_path: Path) -> None:
    script = tmp_path / "large.sh"
    script.write_text("printf '{\"x\":\"'; head -c 300000 /dev/zero | tr '\\0' x; echo '\"}'\n")
    work("sh", str(script))
    description = ended(sfn, run(sfn, state_machine(sfn)))

    assert description["status"] == "FAILED"
    assert description["error"] == "sfncli.TaskOutputNotJSON"
    assert description["cause"].startswith("the output was refused: ")


def test_tasks_run_at_once(sfn: Any, work: Work, tmp_path: Path) -> None:
    """Each command waits until all four have begun."""
    begun = tmp_path / "begun"
    script = f'echo x >> {begun}; until [ "$(wc -l < {begun})" -ge 4 ]; do sleep 0.02; done'
    work("sh", "-c", script, "sh", options=("--concurrency", "4"))
    machine = state_machine(sfn)
    executions = [run(sfn, machine) for _ in range(4)]

    assert {ended(sfn, execution)["status"] for execution in executions} == {"SUCCEEDED"}


def test_a_task_that_times_out_gets_its_command_stopped(sfn: Any, work: Work, tmp_path: Path) -> None:
    script = (
        "import sys; from workflow_manager.worker import WorkerSettings, run_worker\n"
        "sys.exit(run_worker(WorkerSettings(activity='echo', namespace='ns', endpoint_url=sys.argv[1],"
        " heartbeat_seconds=0.2, command=tuple(sys.argv[2:]))))"
    )
    trace = tmp_path / "trace"
    program = (
        "import signal, sys; trace = open(sys.argv[1], 'a', buffering=1)\n"
        "signal.signal(signal.SIGTERM, lambda *_: (print('stopped', file=trace), sys.exit(1)))\n"
        "print('begun', file=trace)\n"
        "while True: signal.pause()"
    )
    command = (str(WFM.with_name("python")), "-c", program, str(trace))
    worker = subprocess.Popen(
        [WFM.with_name("python"), "-c", script, sfn.meta.endpoint_url, *command],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        description = ended(sfn, run(sfn, state_machine(sfn, TimeoutSeconds=1)))

        assert description["error"] == "States.Timeout"
        assert wait_for(trace, 2) == ["begun", "stopped"]
    finally:
        assert stop(worker) == 0


def test_a_terminated_task_is_done_by_the_next_worker(sfn: Any, work: Work, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    retry = [{"ErrorEquals": ["sfncli.CommandTerminated"], "IntervalSeconds": 1, "MaxAttempts": 3}]
    first = work("sh", "-c", f"echo begun >> {trace}; exec sleep 600", "sh")
    execution = run(sfn, state_machine(sfn, Retry=retry))
    wait_for(trace)

    assert stop(first) == 0
    work("sh", "-c", 'echo \'{"by":"second"}\'')

    description = ended(sfn, execution)
    assert json.loads(description["output"]) == {"by": "second"}
    assert history(sfn, execution).count("ActivityFailed") == 1


def test_an_idle_worker_that_stops_takes_no_task_with_it(sfn: Any, work: Work, tmp_path: Path) -> None:
    """A task that comes right after is given to the worker that is left, not to a poll nobody reads."""
    trace = tmp_path / "trace"
    leaving = work("sh", "-c", f"echo first >> {trace}", "sh", options=("--concurrency", "4"))
    machine = state_machine(sfn)
    ended(sfn, run(sfn, machine))
    wait_for(trace)

    assert stop(leaving, signal.SIGINT) == 0
    work("sh", "-c", f"echo second >> {trace}", "sh")
    for number in range(5):
        assert ended(sfn, run(sfn, machine))["status"] == "SUCCEEDED"
        assert wait_for(trace, number + 2)[number + 1] == "second"


def test_a_result_survives_a_restart_of_the_server(server: ServerProcess, sfn: Any, work: Work, tmp_path: Path) -> None:
    """The command finishes while the server is down; its result arrives, and no command runs twice."""
    trace, gate = tmp_path / "trace", tmp_path / "gate"
    script = (
        f"echo begun >> {trace}; until [ -e {gate} ]; do sleep 0.02; done; echo done >> {trace}; echo '{{\"a\":1}}'"
    )
    worker = work("sh", "-c", script, "sh")
    execution = run(sfn, state_machine(sfn))
    wait_for(trace)

    server.kill()
    gate.touch()
    wait_for(trace, 2)
    server.start()

    assert json.loads(ended(sfn, execution)["output"]) == {"a": 1}
    assert trace.read_text().splitlines() == ["begun", "done"]
    assert (
        ended(sfn, run(sfn, sfn.list_state_machines()["stateMachines"][0]["stateMachineArn"]))["status"] == "SUCCEEDED"
    )
    assert stop(worker) == 0


def test_a_worker_may_be_there_before_the_server(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path / "data")
    with (tmp_path / "worker.log").open("ab") as log:
        worker = subprocess.Popen(
            [WFM, "worker", "--activity", "echo", "--namespace", "ns", "--endpoint-url", server.url, "--", "true"],
            stdout=log, stderr=log, cwd=tmp_path,
        )  # fmt: skip
    try:
        until = time.monotonic() + PATIENCE
        while b"cannot register" not in (tmp_path / "worker.log").read_bytes():
            assert time.monotonic() < until
            time.sleep(0.02)
        with server:
            client = boto3.client(
                "stepfunctions", endpoint_url=server.url, region_name="us-east-1", aws_access_key_id="test",
                aws_secret_access_key="test", config=Config(proxies={}),
            )  # fmt: skip
            assert ended(client, run(client, state_machine(client)))["status"] == "SUCCEEDED"
            client.close()
            assert stop(worker) == 0
    finally:
        if worker.poll() is None:
            worker.kill()
            worker.wait()


def test_each_task_has_its_own_work_directory(sfn: Any, work: Work, tmp_path: Path) -> None:
    folder = tmp_path / "scratch"
    work(
        "sh",
        "-c",
        'echo x > "$WORK_DIR/file"; echo "{\\"d\\":\\"$WORK_DIR\\"}"',
        "sh",
        options=("--workdir", str(folder)),
    )
    machine = state_machine(sfn)
    places = {json.loads(ended(sfn, run(sfn, machine))["output"])["d"] for _ in range(3)}

    assert len(places) == 3
    assert {Path(place).parent for place in places} == {folder}
    assert list(folder.iterdir()) == []


def test_tasks_follow_each_other_without_a_pause(sfn: Any, work: Work) -> None:
    """The original polled once a second; twenty tasks in a row would take it twenty seconds."""
    work("true")
    machine = state_machine(sfn)
    ended(sfn, run(sfn, machine))
    started = time.monotonic()
    executions = [run(sfn, machine) for _ in range(20)]

    assert {ended(sfn, execution)["status"] for execution in executions} == {"SUCCEEDED"}
    assert time.monotonic() - started < 10
