"""One command per task: started, fed, listened to, stopped when it must be, and read as an outcome.

The slot's thread waits on a mailbox into which come the command's end and every interruption of the task; a second thread
pumps the command's output. So the order of events is the order of messages, and the grace period is a timeout of the
mailbox: no timers, no locks. The pump collects the command's exit status only after both its outputs have ended, so until
then the process id, and the group that bears its number, cannot become somebody else's, and signals reach whom they should.
"""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import selectors
import shutil
import signal
import stat
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import IO

from structlog.typing import FilteringBoundLogger

from workflow_manager.worker.capture import LastLine, Tail
from workflow_manager.worker.limits import MAX_CAUSE
from workflow_manager.worker.outcome import MAX_OUTPUT_LINE, CommandEnd, ErrorName, Failure, Outcome, read_end
from workflow_manager.worker.payload import compact
from workflow_manager.worker.task import EXECUTION_NAME, Gone, Interruption, Signalled, Task, TimedOut

STOPPING = frozenset({signal.SIGTERM, signal.SIGINT})
"""Signals that ask a command to finish; after them the grace period runs."""

KILLED_SECONDS = 5.0
"""How long the outputs of a killed command may stay open (a process outside its group may hold them) before it is left."""

BYTES_PER_CHARACTER = 4
READ_BYTES = 64 * 1024

Sink = Callable[[bytes], None]
"""Where a command's output goes as it comes. Must not raise."""


@dataclass(frozen=True, slots=True)
class _Ended:
    returncode: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandRunner:
    """Runs ``command`` with the task's input as its last argument. ``run`` is what the loop calls, from several threads.

    ``grace_seconds`` is what a command told to stop gets before SIGKILL; ``workdir`` where each task's WORK_DIR is made;
    ``memory_mb`` the address space that each of a command's processes may have (Linux only).
    """

    command: tuple[str, ...]
    grace_seconds: float
    workdir: Path | None
    stdout: Sink
    stderr: Sink
    log: FilteringBoundLogger
    memory_mb: int | None = None

    def run(self, task: Task) -> Outcome:
        if task.fields is None:
            return Failure(
                ErrorName.TASK_INPUT_NOT_JSON, f"the task's input is not a JSON object: {task.not_an_object}"
            )
        try:
            work_dir = self._make_work_dir()
        except OSError as error:
            return Failure(ErrorName.UNKNOWN, f"no work directory could be made in {self.workdir}: {error.strerror}")
        try:
            return self._run(task, compact(task.fields), work_dir)
        finally:
            if work_dir is not None:
                self._remove(work_dir)

    def _run(self, task: Task, argument: str, work_dir: Path | None) -> Outcome:
        assert task.fields is not None
        try:
            process = self._start(argument, _environment(task, work_dir))
        except OSError as error:
            return _not_started(self.command[0], error)
        except ValueError as error:  # a NUL in an argument or a variable
            return Failure(ErrorName.UNKNOWN, f"the command could not be started: {error}")
        self._limit(process)
        last_line, tail = LastLine(MAX_OUTPUT_LINE), Tail(MAX_CAUSE * BYTES_PER_CHARACTER)
        mailbox: SimpleQueue[_Ended | Interruption] = SimpleQueue()

        def read_stdout(chunk: bytes) -> None:
            last_line.feed(chunk)
            self.stdout(chunk)

        def read_stderr(chunk: bytes) -> None:
            tail.feed(chunk)
            self.stderr(chunk)

        assert process.stdout is not None
        assert process.stderr is not None
        outputs = {process.stdout: read_stdout, process.stderr: read_stderr}
        threading.Thread(target=_pump, args=(process, outputs, mailbox), name="pump", daemon=True).start()
        task.subscribe(mailbox.put)
        returncode, stopped, too_long = self._wait(process, mailbox)
        last_line.finish()
        end = CommandEnd(
            returncode=returncode,
            stopped=stopped,
            timeout_seconds=too_long,
            output=last_line.text,
            output_too_long=last_line.too_long,
            errors=tail.text,
        )
        return read_end(end, task.fields)

    def _start(self, argument: str, environment: dict[str, str | bytes]) -> subprocess.Popen[bytes]:
        return subprocess.Popen(  # noqa: S603 - running the user's command is the purpose
            [*self.command, argument.encode()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            env=environment,
            start_new_session=True,  # a group of its own, which a signal can be sent to; no Ctrl-C behind our back
        )

    def _limit(self, process: subprocess.Popen[bytes]) -> None:
        """Set the limit on the process that has just begun, and so on all that it starts.

        Not between fork and exec, where Python code is not safe beside threads: what a program has allocated within its
        first moment stays, and the limit holds from then on.
        """
        if self.memory_mb is not None:
            size = self.memory_mb << 20
            with contextlib.suppress(ProcessLookupError):  # it has ended already
                resource.prlimit(process.pid, resource.RLIMIT_AS, (size, size))

    def _wait(
        self, process: subprocess.Popen[bytes], mailbox: SimpleQueue[_Ended | Interruption]
    ) -> tuple[int | None, bool, float | None]:
        """Answer how the command ended: its exit status, whether it had been told to stop, and its time limit if that is why.

        The status is None if the command outlived its SIGKILL.
        """
        deadline: float | None = None
        too_long: float | None = None
        killed = False

        def kill() -> None:
            nonlocal killed, deadline
            _signal_group(process, signal.SIGKILL)
            killed, deadline = True, time.monotonic() + KILLED_SECONDS

        while True:
            match _receive(mailbox, deadline):
                case None if killed:
                    self.log.error("the killed command's output is still open after all; leaving it")
                    return None, True, too_long
                case None:
                    self.log.warning("the command did not finish in its grace period", seconds=self.grace_seconds)
                    kill()
                case _Ended(returncode):
                    return returncode, deadline is not None, too_long
                case Gone() | TimedOut() as why:
                    if isinstance(why, TimedOut) and deadline is None:
                        too_long = why.seconds
                    _signal_group(process, signal.SIGTERM)
                    deadline = deadline or time.monotonic() + self.grace_seconds
                case Signalled(signal.SIGINT) if deadline is not None and not killed:
                    kill()  # a second Ctrl-C: a person does not want to wait
                case Signalled(number) if number in STOPPING:
                    _signal_group(process, number)
                    deadline = deadline or time.monotonic() + self.grace_seconds
                case Signalled(number):
                    process.send_signal(number)

    def _make_work_dir(self) -> Path | None:
        if self.workdir is None:
            return None
        self.workdir.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(dir=self.workdir.resolve()))

    def _remove(self, work_dir: Path) -> None:
        shutil.rmtree(work_dir, ignore_errors=True)
        if not work_dir.exists():
            return
        _make_removable(work_dir)
        shutil.rmtree(work_dir, ignore_errors=True)
        if work_dir.exists():
            self.log.warning("a task's work directory could not be removed", path=str(work_dir))


def _receive(mailbox: SimpleQueue[_Ended | Interruption], deadline: float | None) -> _Ended | Interruption | None:
    """The next message, or None when there is none by the deadline."""
    try:
        return mailbox.get(timeout=None if deadline is None else max(0.0, deadline - time.monotonic()))
    except Empty:
        return None


def _environment(task: Task, work_dir: Path | None) -> dict[str, str | bytes]:
    environment: dict[str, str | bytes] = dict(os.environ)
    environment.pop(EXECUTION_NAME, None)  # of a workflow that started this worker, perhaps
    if task.execution_name is not None:
        environment[EXECUTION_NAME] = task.execution_name.encode("utf-8", "replace")
    if work_dir is not None:
        environment["WORK_DIR"] = str(work_dir)
    return environment


def _pump(
    process: subprocess.Popen[bytes],
    outputs: dict[IO[bytes], Sink],
    mailbox: SimpleQueue[_Ended | Interruption],
) -> None:
    """Read the outputs until both have ended, then wait for the exit status and put the end into the mailbox."""
    with selectors.DefaultSelector() as selector:
        for pipe, sink in outputs.items():
            selector.register(pipe, selectors.EVENT_READ, sink)
        while selector.get_map():
            for key, _ in selector.select():
                chunk = os.read(key.fd, READ_BYTES)
                if chunk:
                    key.data(chunk)
                else:
                    selector.unregister(key.fileobj)
    for pipe in outputs:
        pipe.close()
    mailbox.put(_Ended(process.wait()))


def _signal_group(process: subprocess.Popen[bytes], number: int) -> None:
    if process.returncode is not None:  # collected: the number may be somebody else's by now
        return
    with contextlib.suppress(ProcessLookupError, PermissionError):  # all have ended: macOS says so by PermissionError
        os.killpg(process.pid, number)


def _not_started(command: str, error: OSError) -> Failure:
    match error.errno:
        case errno.ENOENT | errno.ENOTDIR:
            return Failure(ErrorName.COMMAND_NOT_FOUND, f"{command}: no such command, or its interpreter is missing")
        case errno.EACCES | errno.EPERM:
            return Failure(ErrorName.COMMAND_NOT_FOUND, f"{command}: the command is not executable")
        case errno.ENOEXEC:
            return Failure(ErrorName.COMMAND_NOT_FOUND, f"{command}: neither a program nor a script with a #! line")
        case errno.E2BIG:
            return Failure(
                ErrorName.UNKNOWN,
                f"{command}: the task's input is too large for an argument of a command"
                " (Linux takes 128 KiB); pass a reference to the data instead",
            )
        case _:
            return Failure(ErrorName.UNKNOWN, f"the command could not be started: {error}")


def _make_removable(tree: Path) -> None:
    """Give back the permissions on folders that a command has taken away (caches of packages do so)."""
    with contextlib.suppress(OSError):
        tree.chmod(stat.S_IRWXU)
        for folder, names, _ in os.walk(tree):
            for path in (Path(folder, name) for name in names):
                if not path.is_symlink():
                    path.chmod(stat.S_IRWXU)
