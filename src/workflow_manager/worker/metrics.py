"""What a worker counts, for Prometheus to fetch from its health port."""

from __future__ import annotations

import threading

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

from workflow_manager.worker.observer import Observer, PollResult

BUCKETS = (0.005, 0.025, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 1800.0, 7200.0)
"""Upper bounds in seconds: tasks take milliseconds to hours."""


class WorkerMetrics(Observer):
    """Counts for one process. ``ready`` and ``draining`` are what its health is judged by."""

    def __init__(self, activities: int = 1) -> None:
        self._activities = activities
        self._lock = threading.Lock()
        self._registered: set[str] = set()
        self._failing: set[str] = set()
        self.draining = False
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._tasks = Counter(
            "wfm_worker_tasks",
            "Tasks that are done with, by how they ended: succeeded, failed, terminated, gone, lost.",
            ("activity", "outcome"),
            registry=self._registry,
        )
        self._seconds = Histogram(
            "wfm_worker_task_seconds",
            "How long tasks were in hand, their reports included.",
            ("activity",),
            buckets=BUCKETS,
            registry=self._registry,
        )
        self._running = Gauge("wfm_worker_tasks_running", "Tasks in hand.", ("activity",), registry=self._registry)
        self._polls = Counter(
            "wfm_worker_polls",
            "Polls that ended, by what they brought: task, empty, failed.",
            ("activity", "result"),
            registry=self._registry,
        )
        self._beats = Counter(
            "wfm_worker_heartbeats",
            "Heartbeats that were sent, by whether they were accepted.",
            ("activity", "accepted"),
            registry=self._registry,
        )
        draining = Gauge(
            "wfm_worker_draining", "1 once the worker was told to stop, and 0 before.", registry=self._registry
        )
        draining.set_function(lambda: float(self.draining))

    @property
    def ready(self) -> bool:
        """Whether every activity is there, its polls come through, and the worker takes tasks."""
        with self._lock:
            return len(self._registered) >= self._activities and not self._failing and not self.draining

    def polled(self, activity: str, result: PollResult) -> None:
        self._polls.labels(activity, result).inc()
        with self._lock:
            (self._failing.add if result == "failed" else self._failing.discard)(activity)

    def began(self, activity: str) -> None:
        self._running.labels(activity).inc()

    def ended(self, activity: str, outcome: str, seconds: float) -> None:
        self._running.labels(activity).dec()
        self._tasks.labels(activity, outcome).inc()
        self._seconds.labels(activity).observe(seconds)

    def beat(self, activity: str, *, accepted: bool) -> None:
        self._beats.labels(activity, "yes" if accepted else "no").inc()

    def registered(self, activity: str) -> None:
        self._running.labels(activity).set(0)
        with self._lock:
            self._registered.add(activity)

    def stopping(self) -> None:
        self.draining = True

    def render(self) -> bytes:
        """Everything, in Prometheus' text format."""
        return generate_latest(self._registry)
