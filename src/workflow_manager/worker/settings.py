"""What a command worker is told: which activity, where, which command, and its limits."""

from __future__ import annotations

import resource
from dataclasses import dataclass
from pathlib import Path

HEARTBEAT_SECONDS = 20.0
GRACE_SECONDS = 25.0
REPORT_SECONDS = 900.0


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSettings:
    """One worker. It serves the activity ``{namespace}--{activity}`` and runs ``command`` for each of its tasks.

    ``endpoint_url`` is a Step Functions endpoint (the server of ``wfm serve``, say); without it the AWS default chain decides.
    ``region`` likewise; with an endpoint and none configured it is us-east-1. ``workdir`` is the folder in which every task
    gets a fresh one of its own. ``worker_name`` is what Step Functions records of who took a task, at most 80 characters;
    the default is made of the host's name and the process id. ``report_seconds`` is how long a finished task's result is
    sent again while the endpoint cannot take it. ``timeout_seconds`` and ``memory_mb`` limit each task; None is no limit.
    ``health_port`` is where health and metrics are answered (health.py), 0 a free port, None nowhere.
    """

    activity: str
    namespace: str
    command: tuple[str, ...]
    endpoint_url: str | None = None
    region: str | None = None
    workdir: Path | None = None
    concurrency: int = 1
    timeout_seconds: float | None = None
    memory_mb: int | None = None
    health_host: str = "127.0.0.1"
    health_port: int | None = None
    worker_name: str | None = None
    heartbeat_seconds: float = HEARTBEAT_SECONDS
    grace_seconds: float = GRACE_SECONDS
    report_seconds: float = REPORT_SECONDS

    def __post_init__(self) -> None:
        if not self.command:
            raise ValueError("command is empty: give the command to run for each task after --")
        if self.concurrency < 1:
            raise ValueError(f"concurrency is {self.concurrency}: it must be at least 1")
        if self.memory_mb is not None and not hasattr(resource, "prlimit"):
            raise ValueError("memory_mb limits commands on Linux only; leave it out here")
        if self.heartbeat_seconds <= 0:
            raise ValueError(f"heartbeat_seconds is {self.heartbeat_seconds}: it must be more than 0")

    @property
    def activity_name(self) -> str:
        return f"{self.namespace}--{self.activity}"
