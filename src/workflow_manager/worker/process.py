"""The process of a command worker: signals, logs, and the parts put together."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType

import structlog
from structlog.typing import FilteringBoundLogger, Processor

from workflow_manager.worker.command import CommandRunner
from workflow_manager.worker.health import CannotListen, health_port
from workflow_manager.worker.limits import MAX_WORKER_NAME
from workflow_manager.worker.loop import STOPPING, LoopSettings, Worker
from workflow_manager.worker.metrics import WorkerMetrics
from workflow_manager.worker.service import Refused
from workflow_manager.worker.settings import WorkerSettings
from workflow_manager.worker.team import Team

PASSED_ON = (signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)
"""Signals that the commands get and the worker itself does not mind."""

STDOUT, STDERR = 1, 2

ENDED = 0
"""The byte that says that the worker has ended; no signal has this number."""

RECEIVE_BYTES = 64


def run_worker(settings: WorkerSettings) -> int:
    """Work until SIGTERM or SIGINT, and answer the exit code.

    It is 0 after a clean stop, and 1 when the worker could not begin (said in one sentence on stderr) or when the result of
    a finished task could not be reported.
    Must be called in the main thread; the handlers of signals it replaces are put back.
    """
    from workflow_manager.worker.sfn import connect

    log = make_logger(json=not os.isatty(STDERR)).bind(activity=settings.activity_name)
    worker_name = settings.worker_name or default_worker_name()
    if len(worker_name) > MAX_WORKER_NAME:
        fault = f"the worker's name has {len(worker_name)} characters, and may have {MAX_WORKER_NAME}"
        return _cannot_begin(settings, Refused(fault))
    try:
        service = connect(
            activity_name=settings.activity_name,
            worker_name=worker_name,
            endpoint_url=settings.endpoint_url,
            region=settings.region,
            concurrency=settings.concurrency,
        )
    except Refused as error:
        return _cannot_begin(settings, error)
    runner = CommandRunner(
        command=settings.command,
        grace_seconds=settings.grace_seconds,
        workdir=settings.workdir,
        memory_mb=settings.memory_mb,
        stdout=writer_to(STDOUT),
        stderr=writer_to(STDERR),
        log=log,
    )
    loop_settings = LoopSettings(
        activity=settings.activity_name,
        timeout_seconds=settings.timeout_seconds,
        concurrency=settings.concurrency,
        heartbeat_seconds=settings.heartbeat_seconds,
        report_seconds=settings.report_seconds,
    )
    metrics = WorkerMetrics()
    worker = Worker(service, runner.run, loop_settings, log=log, observer=metrics)
    try:
        with listening(settings.health_host, settings.health_port, metrics, log):
            return 0 if run_with_signals(worker) else 1
    except (Refused, CannotListen) as error:
        return _cannot_begin(settings, error)


@contextlib.contextmanager
def listening(host: str, port: int | None, metrics: WorkerMetrics, log: FilteringBoundLogger) -> Iterator[None]:
    """Answer on the health port, if there is one. Raises CannotListen."""
    if port is None:
        yield
        return
    with health_port(host, port, metrics) as number:
        log.info("health port open", host=host, port=number)
        yield


def run_with_signals(worker: Worker | Team) -> bool:
    """Work until a signal stops it; answer whether no result was lost. Raises what ``run_until_stopped`` does.

    Must be called in the main thread. The worker runs in another one, while this one, the main one, hands it the signals.

    Signals arrive as bytes in a socket, their numbers, which the interpreter's C handler writes in whichever thread the
    kernel has chosen. A Python handler would not do: it runs in the main thread only once that wakes, and a signal that
    another thread takes does not wake it.
    """
    results: list[bool | BaseException] = []
    reader, writer = socket.socketpair()
    writer.setblocking(False)

    def work() -> None:
        try:
            results.append(worker.run_until_stopped())
        except BaseException as error:  # noqa: BLE001 - raised again by the main thread
            results.append(error)
        finally:
            writer.send(bytes([ENDED]))

    with reader, writer, _handled(writer.fileno()) as numbers:
        threading.Thread(target=work, name="worker", daemon=True).start()
        while ENDED not in (received := reader.recv(RECEIVE_BYTES)):
            for number in received:
                if number in numbers:
                    worker.signal(number)
    result = results[0]
    if isinstance(result, BaseException):
        raise result
    return result


@contextlib.contextmanager
def _handled(descriptor: int) -> Iterator[set[int]]:
    """Have the numbers of our signals written to a file descriptor; yields them. What was there before is put back."""
    handlers = {}
    previous = signal.set_wakeup_fd(descriptor, warn_on_full_buffer=False)
    try:
        for number in (*STOPPING, *PASSED_ON):
            if number in STOPPING or signal.getsignal(number) != signal.SIG_IGN:  # nohup stays in force
                handlers[number] = signal.signal(number, _nothing_more)
        yield {int(number) for number in handlers}
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(previous)


def _nothing_more(_: int, __: FrameType | None) -> None:
    """The number has been written already."""


def writer_to(descriptor: int) -> Callable[[bytes], None]:
    """What writes bytes at once and whole to a file descriptor, and carries on when nobody reads them (any more)."""

    def write(data: bytes) -> None:
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[os.write(descriptor, rest) :]
        except OSError:
            return

    return write


class _Stderr:
    """stderr as the logger writes to it: each line at once, never an exception into the loop."""

    def __init__(self) -> None:
        self._write = writer_to(STDERR)

    def write(self, text: str) -> None:
        self._write(text.encode("utf-8", "replace"))

    def flush(self) -> None:
        """Nothing is held back."""


def make_logger(*, json: bool) -> FilteringBoundLogger:
    """Log to stderr, as JSON lines or for people. Not through structlog's global configuration, which is the application's."""
    processors: list[Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if json:
        processors += [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    else:
        processors.append(structlog.dev.ConsoleRenderer(colors="NO_COLOR" not in os.environ))
    logger: FilteringBoundLogger = structlog.wrap_logger(
        structlog.WriteLogger(_Stderr()),  # type: ignore[arg-type]  # of a file it uses these two methods
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger("info"),
        context_class=dict,
        cache_logger_on_first_use=False,
    )
    return logger


def default_worker_name() -> str:
    """The host's name and the process id, without characters that Step Functions refuses in names."""
    process = f"-{os.getpid()}"
    host = re.sub(r"[^A-Za-z0-9._-]", "-", socket.gethostname())
    return host[: MAX_WORKER_NAME - len(process)] + process


def _cannot_begin(settings: WorkerSettings, error: Refused | CannotListen) -> int:
    sys.stderr.write(f"wfm worker: cannot serve the activity {settings.activity_name}: {error}\n")
    return 1
