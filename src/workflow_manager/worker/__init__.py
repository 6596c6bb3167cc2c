"""Activity workers: they long-poll a Step Functions activity and do its tasks, a command for each.

``run_worker`` is what ``wfm worker`` calls. The loop beneath it (loop.py) only knows a callable ``run(task) -> Outcome``,
so that other kinds of workers share polling, heartbeats, reporting and draining with this one.
"""

from workflow_manager.worker.process import run_worker
from workflow_manager.worker.settings import WorkerSettings

__all__ = ["WorkerSettings", "run_worker"]
