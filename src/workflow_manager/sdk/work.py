"""The workers of an application: one for each of its functions, sharing what the process can do."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection
from typing import Any

from workflow_manager.sdk.background import BackgroundLoop
from workflow_manager.sdk.functions import TaskFunction
from workflow_manager.sdk.processes import Processes
from workflow_manager.sdk.runner import FunctionRunner
from workflow_manager.worker.loop import LoopSettings, Worker
from workflow_manager.worker.observer import Observer
from workflow_manager.worker.polling import Room
from workflow_manager.worker.service import ActivityService
from workflow_manager.worker.settings import HEARTBEAT_SECONDS
from workflow_manager.worker.team import Team

ServiceOf = Callable[[str, int], ActivityService]
"""Activity name, most polls at once -> the activity."""


class FunctionTeam(Team):
    """Does the tasks of functions. ``max_tasks`` bounds all of them together; call ``close`` when it has stopped.

    Raises TypeError when a function's annotations cannot be used.
    """

    def __init__(
        self,
        functions: Collection[TaskFunction],
        service_of: ServiceOf,
        *,
        namespace: str,
        max_tasks: int,
        grace_seconds: float,
        log: Any,
        timeout_seconds: float | None = None,
        memory_mb: int | None = None,
        observer: Observer | None = None,
    ) -> None:
        room = Room(max_tasks)
        self._loop: BackgroundLoop | None = None
        self._loop_lock = threading.Lock()
        self._processes: list[Processes] = []
        workers = []
        for function in functions:
            activity = f"{namespace}--{function.name}"
            slots = min(function.concurrency, max_tasks)
            service = service_of(activity, slots)
            bound = log.bind(activity=activity)
            processes = None
            if function.run_in == "process":
                processes = Processes(function.memory_mb or memory_mb)
                self._processes.append(processes)
            runner = FunctionRunner(
                function=function,
                service=service,
                grace_seconds=grace_seconds,
                log=bound,
                loop=self._tasks_loop,
                processes=processes,
            )
            settings = LoopSettings(
                activity=activity,
                concurrency=slots,
                timeout_seconds=function.timeout_seconds or timeout_seconds,
                heartbeat_seconds=function.heartbeat_seconds or HEARTBEAT_SECONDS,
            )
            workers.append(Worker(service, runner.run, settings, log=bound, room=room, observer=observer))
        super().__init__(workers)

    def close(self) -> None:
        """End the processes and the loop that the functions ran in."""
        for processes in self._processes:
            processes.close()
        with self._loop_lock:
            loop, self._loop = self._loop, None
        if loop is not None:
            loop.close()

    def _tasks_loop(self) -> BackgroundLoop:
        with self._loop_lock:
            if self._loop is None:
                self._loop = BackgroundLoop("wfm-tasks")
            return self._loop
