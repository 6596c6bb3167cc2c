"""A command per task, with real processes: what it is given, what passes through, how it is stopped."""

from __future__ import annotations

import json
import os
import signal
import stat
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from worker_fakes import PATIENCE, logger

from workflow_manager.worker.command import CommandRunner
from workflow_manager.worker.outcome import Failure, Outcome, Success
from workflow_manager.worker.task import Gone, Signalled, Task, TimedOut

LONG = 600.0
"""A grace period that a test does not live to see the end of."""


class Output:
    """What passed through; ``wait_for`` returns once a text has."""

    def __init__(self) -> None:
        self.data = b""
        self._changed = threading.Condition()

    def __call__(self, chunk: bytes) -> None:
        with self._changed:
            self.data += chunk
            self._changed.notify_all()

    def wait_for(self, text: bytes) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: text in self.data, PATIENCE), f"{text!r} not in {self.data!r}"


class Bench:
    """A runner, its outputs, and a task that runs in a thread when something is to happen meanwhile."""

    def __init__(self) -> None:
        self.stdout, self.stderr = Output(), Output()
        log, self.log = logger()
        self.runner = CommandRunner(
            command=("true",), grace_seconds=LONG, workdir=None, stdout=self.stdout, stderr=self.stderr, log=log
        )

    def set(self, **changes: Any) -> None:
        self.runner = replace(self.runner, **changes)

    def run(self, *command: str, text: str = "{}") -> Outcome:
        self.set(command=command)
        return self.runner.run(Task("token", text))

    def start(self, *command: str, text: str = "{}") -> tuple[Task, Running]:
        self.set(command=command)
        task = Task("token", text)
        return task, Running(self.runner, task)


class Running:
    def __init__(self, runner: CommandRunner, task: Task) -> None:
        self._outcomes: list[Outcome] = []
        self._thread = threading.Thread(target=lambda: self._outcomes.append(runner.run(task)), daemon=True)
        self._thread.start()

    def outcome(self) -> Outcome:
        self._thread.join(PATIENCE)
        assert self._outcomes, "the command has not ended"
        return self._outcomes[0]


@pytest.fixture
def bench() -> Bench:
    return Bench()


def sh(script: str) -> tuple[str, ...]:
    return "sh", "-c", script, "sh"


def python(script: str) -> tuple[str, ...]:
    return sys.executable, "-c", script


def executable(path: Path, text: str, mode: int = 0o755) -> str:
    path.write_text(text)
    path.chmod(mode)
    return str(path)


def test_the_input_is_the_last_argument(bench: Bench) -> None:
    text = '{ "text": "é \\n $HOME \\u0000", "n": [1, 2.5, null] }'
    outcome = bench.run(*python("import json,sys; print(json.dumps({'arguments': sys.argv[1:]}))"), "-a", text=text)

    assert outcome == Success(
        json.dumps(
            {"arguments": ["-a", '{"text":"é \\n $HOME \\u0000","n":[1,2.5,null]}']},
            ensure_ascii=False,
            separators=(",", ":"),
        )
    )


@pytest.mark.parametrize(
    ("text", "seen", "put_back"),
    [
        pytest.param('{"_EXECUTION_NAME": "w-1é"}', "w-1é", {"_EXECUTION_NAME": "w-1é"}, id="there"),
        pytest.param("{}", "unset", {}, id="missing is no failure, and nothing is inherited"),
        pytest.param('{"_EXECUTION_NAME": 7}', "unset", {"_EXECUTION_NAME": 7}, id="not a string"),
    ],
)
def test_execution_name_goes_into_the_environment_and_back_into_the_output(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, text: str, seen: str, put_back: dict[str, Any]
) -> None:
    monkeypatch.setenv("_EXECUTION_NAME", "of the worker")
    monkeypatch.setenv("OTHER", "inherited")
    script = 'printf \'{"name":"%s","other":"%s"}\' "${_EXECUTION_NAME-unset}" "$OTHER"'

    outcome = bench.run(*sh(script), text=text)

    assert isinstance(outcome, Success)
    assert json.loads(outcome.output) == {"name": seen, "other": "inherited"} | put_back


def test_a_command_that_cannot_be_given_its_name_fails_the_task(bench: Bench) -> None:
    outcome = bench.run("true", text='{"_EXECUTION_NAME": "a\\u0000b"}')

    assert outcome == Failure("sfncli.Unknown", "the command could not be started: embedded null byte")


def test_there_is_nothing_to_read_on_stdin(bench: Bench) -> None:
    assert bench.run(*sh('printf \'{"read":"%s"}\' "$(cat)"')) == Success('{"read":""}')


@pytest.mark.parametrize("text", ["", "nope", "[]", "null"])
def test_input_that_is_no_object_fails_before_anything_runs(bench: Bench, text: str) -> None:
    outcome = bench.run(*sh("echo ran"), text=text)

    assert isinstance(outcome, Failure)
    assert outcome.error == "sfncli.TaskInputNotJSON"
    assert bench.stdout.data == b""


def test_a_missing_command_fails_when_the_task_comes(bench: Bench) -> None:
    assert bench.run("no-such-command") == Failure(
        "sfncli.CommandNotFound", "no-such-command: no such command, or its interpreter is missing"
    )


@pytest.mark.parametrize(
    ("text", "mode", "cause"),
    [
        pytest.param("#!/bin/sh\n", 0o644, "the command is not executable", id="no permission"),
        pytest.param("#!/no/such\n", 0o755, "no such command, or its interpreter is missing", id="no interpreter"),
        pytest.param("echo\n", 0o755, "neither a program nor a script with a #! line", id="no program"),
    ],
)
def test_a_command_that_cannot_be_executed(bench: Bench, tmp_path: Path, text: str, mode: int, cause: str) -> None:
    command = executable(tmp_path / "command", text, mode)

    assert bench.run(command) == Failure("sfncli.CommandNotFound", f"{command}: {cause}")


def test_a_folder_is_no_command(bench: Bench, tmp_path: Path) -> None:
    outcome = bench.run(str(tmp_path))

    assert outcome == Failure("sfncli.CommandNotFound", f"{tmp_path}: the command is not executable")


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have other limits")
def test_input_that_is_too_large_for_an_argument(bench: Bench) -> None:
    outcome = bench.run("true", text=json.dumps({"x": "y" * 200_000}))

    assert isinstance(outcome, Failure)
    assert outcome.error == "sfncli.Unknown"
    assert "too large for an argument" in outcome.cause


def test_outputs_pass_through_while_the_command_runs(bench: Bench, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    _, running = bench.start(*sh(f"echo out; echo err >&2; cat {gate}; echo; echo '{{\"a\":1}}'"))

    bench.stdout.wait_for(b"out\n")
    bench.stderr.wait_for(b"err\n")
    gate.write_bytes(b"\xff\x00")

    assert running.outcome() == Success('{"a":1}')
    assert bench.stdout.data == b'out\n\xff\x00\n{"a":1}\n'


def test_much_output_of_any_kind_does_no_harm(bench: Bench) -> None:
    script = """
import os, sys
for _ in range(40):
    os.write(1, os.urandom(65536))
    os.write(2, b"x" * 65536)
os.write(1, b"\\n" * 100_000 + b"z" * 3_000_000 + b"\\n")
os.write(1, b'{"ok": true}\\n\\n')
"""
    outcome = bench.run(*python(script))

    assert outcome == Success('{"ok":true}')
    assert len(bench.stdout.data) > 5_700_000
    assert bench.stderr.data == b"x" * 65536 * 40


def test_an_output_line_beyond_what_is_kept(bench: Bench) -> None:
    outcome = bench.run(*python("print('{\"a\":\"' + 'x' * 1_100_000 + '\"}')"))

    assert outcome == Failure("sfncli.TaskOutputNotJSON", "the last line of stdout is longer than 1,048,576 bytes")


def test_a_task_ends_when_the_command_and_its_outputs_have(bench: Bench) -> None:
    """As in shells: what a command leaves running to write its last line, such as a tee, is waited for."""
    outcome = bench.run(*sh("(read -r _ </dev/null; echo '{\"late\":1}') & exit 0"))

    assert outcome == Success('{"late":1}')


def test_a_command_that_closes_its_outputs_is_waited_for(bench: Bench, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    _, running = bench.start(*sh(f"echo '{{\"a\":1}}'; exec >/dev/null 2>&1; cat {gate}; exit 4"))
    bench.stdout.wait_for(b"}\n")
    gate.write_bytes(b"")

    assert running.outcome() == Failure(
        "sfncli.CommandExitedNonzero", "the command exited with status 4 and wrote nothing to stderr"
    )


@pytest.mark.parametrize(
    ("script", "outcome"),
    [
        pytest.param("echo a >&2; echo b >&2; exit 1", Failure("sfncli.CommandExitedNonzero", "a\nb"), id="stderr"),
        pytest.param(
            'echo log; echo \'{"error":"E","cause":"c"}\'; exit 1', Failure("E", "c"), id="an error of its own"
        ),
        pytest.param("echo dying >&2; kill -9 $$", Failure("sfncli.CommandKilled", "dying"), id="died by a signal"),
        pytest.param(
            "kill -TERM $$",
            Failure("sfncli.CommandKilled", "the command was killed by SIGTERM and wrote nothing to stderr"),
            id="SIGTERM from elsewhere is no termination",
        ),
    ],
)
def test_failures(bench: Bench, script: str, outcome: Outcome) -> None:
    assert bench.run(*sh(script)) == outcome


WAIT_FOR_SIGNAL = """
import signal, sys
signal.signal(signal.SIG{name}, lambda *_: ({action}))
print("ready", flush=True)
while True:
    signal.pause()
"""


def waiting(name: str, action: str) -> tuple[str, ...]:
    return python(WAIT_FOR_SIGNAL.format(name=name, action=action))


@pytest.mark.parametrize("name", ["TERM", "INT"])
def test_a_stopping_signal_is_passed_on_and_the_command_may_finish(bench: Bench, name: str) -> None:
    task, running = bench.start(*waiting(name, "print('{\"saved\":1}'), sys.exit(0)"))
    bench.stdout.wait_for(b"ready\n")
    task.interrupt(Signalled(signal.Signals[f"SIG{name}"]))

    assert running.outcome() == Success('{"saved":1}')


@pytest.mark.parametrize(
    ("command", "cause"),
    [
        pytest.param(
            waiting("TERM", "print('gave up', file=sys.stderr), sys.exit(3)"), "gave up", id="it exits with a status"
        ),
        pytest.param(
            sh("echo ready; exec sleep 600"), "the command was told to stop and was killed by SIGTERM", id="it dies"
        ),
        pytest.param(
            sh("echo ready; sleep 600; exit 1"),
            "the command was told to stop and was killed by SIGTERM",
            id="its children get the signal too",
        ),
    ],
)
def test_a_command_that_does_not_finish_is_terminated(bench: Bench, command: tuple[str, ...], cause: str) -> None:
    task, running = bench.start(*command)
    bench.stdout.wait_for(b"ready\n")
    task.interrupt(Signalled(signal.SIGTERM))

    assert running.outcome() == Failure("sfncli.CommandTerminated", cause)


IGNORING = python(
    "import signal, subprocess, sys\n"
    "signal.signal(signal.SIGTERM, signal.SIG_IGN); signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
    "child = subprocess.Popen(['sleep', '600'])\n"
    "print('ready', flush=True)\n"
    "signal.pause()"
)
"""Neither the command nor its child minds signals; both hold the outputs."""

KILLED = Failure("sfncli.CommandTerminated", "the command was told to stop and was killed by SIGKILL")


def test_after_the_grace_period_the_whole_group_is_killed(bench: Bench) -> None:
    """The child too: while it lives, the outputs are open and the command's status is not asked for."""
    bench.set(grace_seconds=0.05)
    task, running = bench.start(*IGNORING)
    bench.stdout.wait_for(b"\n")
    task.interrupt(Signalled(signal.SIGTERM))

    assert running.outcome() == KILLED


def test_a_second_interrupt_does_not_wait_for_the_grace_period(bench: Bench) -> None:
    task, running = bench.start(*IGNORING)
    bench.stdout.wait_for(b"\n")
    task.interrupt(Signalled(signal.SIGINT))
    task.interrupt(Signalled(signal.SIGINT))

    assert running.outcome() == KILLED


def test_a_second_sigterm_changes_nothing(bench: Bench) -> None:
    task, running = bench.start(*waiting("TERM", "print('got', flush=True)"))
    bench.stdout.wait_for(b"ready\n")
    task.interrupt(Signalled(signal.SIGTERM))
    bench.stdout.wait_for(b"got\n")
    task.interrupt(Signalled(signal.SIGTERM))
    bench.stdout.wait_for(b"got\ngot\n")
    task.interrupt(Signalled(signal.SIGINT))

    assert running.outcome() == KILLED


def test_a_command_whose_task_is_gone_is_stopped(bench: Bench) -> None:
    task, running = bench.start(*waiting("TERM", "print('stopped'), sys.exit(1)"))
    bench.stdout.wait_for(b"ready\n")
    task.interrupt(Gone())

    assert isinstance(running.outcome(), Failure)
    assert b"stopped" in bench.stdout.data


def test_other_signals_are_passed_on_to_the_command_alone(bench: Bench) -> None:
    task, running = bench.start(*waiting("USR1", "print('{\"reloaded\":1}'), sys.exit(0)"))
    bench.stdout.wait_for(b"ready\n")
    task.interrupt(Signalled(signal.SIGUSR1))

    assert running.outcome() == Success('{"reloaded":1}')


def test_an_interruption_before_the_command_starts_reaches_it(bench: Bench) -> None:
    bench.set(command=sh("sleep 600"))
    task = Task("token", "{}")
    task.interrupt(Signalled(signal.SIGTERM))

    outcome = bench.runner.run(task)

    assert isinstance(outcome, Failure)
    assert outcome.error == "sfncli.CommandTerminated"


def test_what_outlives_its_group_is_left(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workflow_manager.worker.command.KILLED_SECONDS", 0.05)
    bench.set(grace_seconds=0.0)
    script = (
        "import subprocess, time\n"
        "print('ready', subprocess.Popen(['sleep', '600'], start_new_session=True).pid, flush=True)\n"
        "time.sleep(600)"
    )
    task, running = bench.start(*python(script))
    bench.stdout.wait_for(b"\n")
    try:
        task.interrupt(Signalled(signal.SIGTERM))

        outcome = running.outcome()
    finally:
        os.kill(int(bench.stdout.data.split()[1]), signal.SIGKILL)

    assert isinstance(outcome, Failure)
    assert outcome.error == "sfncli.CommandTerminated"


def test_each_task_gets_a_work_directory_that_is_removed(bench: Bench, tmp_path: Path) -> None:
    workdir = tmp_path / "not" / "there yet"
    bench.set(workdir=workdir)
    script = (
        'mkdir -p "$WORK_DIR/a/b"; touch "$WORK_DIR/a/f"; chmod 0500 "$WORK_DIR/a"; printf \'{"d":"%s"}\' "$WORK_DIR"'
    )

    outcomes = [bench.run(*sh(script)), bench.run(*sh(script))]

    places = [Path(json.loads(outcome.output)["d"]) for outcome in outcomes if isinstance(outcome, Success)]
    assert len(set(places)) == 2
    assert {place.parent for place in places} == {workdir}
    assert list(workdir.iterdir()) == []


def test_the_work_directory_of_a_failed_command_is_removed(bench: Bench, tmp_path: Path) -> None:
    bench.set(workdir=tmp_path)
    assert isinstance(bench.run(*sh('touch "$WORK_DIR/f"; exit 1')), Failure)
    assert isinstance(bench.run("no-such-command"), Failure)

    assert list(tmp_path.iterdir()) == []


def test_permissions_that_a_command_took_away_are_given_back(tmp_path: Path) -> None:
    from workflow_manager.worker.command import _make_removable

    outside = tmp_path / "outside"
    outside.mkdir(mode=0o500)
    tree = tmp_path / "tree"
    (tree / "a" / "b").mkdir(parents=True)
    (tree / "a" / "link").symlink_to(outside)
    (tree / "a" / "b").chmod(0o500)
    (tree / "a").chmod(0o500)

    _make_removable(tree)

    assert stat.S_IMODE((tree / "a").stat().st_mode) == stat.S_IMODE((tree / "a" / "b").stat().st_mode) == 0o700
    assert stat.S_IMODE(outside.stat().st_mode) == 0o500


def test_a_work_directory_that_cannot_be_made_fails_the_task(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    bench.set(workdir=tmp_path / "file")

    assert bench.run("true") == Failure(
        "sfncli.Unknown", f"no work directory could be made in {tmp_path / 'file'}: File exists"
    )


def test_logs_hold_neither_input_nor_output(bench: Bench) -> None:
    bench.set(grace_seconds=0.0)
    task, running = bench.start(
        *sh("trap '' TERM; echo ready-secret; echo secret >&2; sleep 600"), text='{"k":"secret"}'
    )
    bench.stdout.wait_for(b"ready-secret\n")
    task.interrupt(Signalled(signal.SIGTERM))
    running.outcome()

    assert bench.log.entries
    assert "secret" not in str(bench.log.entries)


def test_a_command_that_takes_too_long_is_stopped(bench: Bench) -> None:
    task, running = bench.start("sh", "-c", "echo up; sleep 600")
    bench.stdout.wait_for(b"up")
    task.interrupt(TimedOut(1.5))

    assert running.outcome() == Failure("States.Timeout", "the command took longer than its 1.5 seconds")


def test_a_command_may_finish_when_its_time_is_up(bench: Bench) -> None:
    task, running = bench.start("sh", "-c", "trap 'echo \"{}\"; exit 0' TERM; echo up; while :; do sleep 0.01; done")
    bench.stdout.wait_for(b"up")
    task.interrupt(TimedOut(1.5))

    assert running.outcome() == Success("{}")


def test_a_commands_memory_is_limited(bench: Bench) -> None:
    bench.set(memory_mb=256)
    takes = "import sys; print(len(bytearray(int(sys.argv[1]) << 20))); print('{}')"

    assert bench.run(sys.executable, "-c", takes, "1") == Success("{}")
    failed = bench.run(sys.executable, "-c", takes, "1000")
    assert isinstance(failed, Failure)
    assert "MemoryError" in failed.cause
