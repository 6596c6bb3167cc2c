"""Several workers of one process, one for each activity, started, signalled and stopped together."""

from __future__ import annotations

import signal
import threading
from collections.abc import Sequence

from workflow_manager.worker.loop import Worker


class Team:
    """What a Worker is to who runs it, for several: ``run_until_stopped`` blocks, ``signal`` comes from other threads."""

    def __init__(self, workers: Sequence[Worker]) -> None:
        self._workers = tuple(workers)

    def run_until_stopped(self) -> bool:
        """Work until a signal stops all of them; answer whether no result was lost. Raises Refused as a Worker does."""
        results: list[bool] = []
        errors: list[BaseException] = []

        def work(worker: Worker) -> None:
            try:
                results.append(worker.run_until_stopped())
            except BaseException as error:  # noqa: BLE001 - raised again below
                errors.append(error)
                self.signal(signal.SIGTERM)

        threads = [
            threading.Thread(target=work, args=(worker,), name=f"worker-{number}", daemon=True)
            for number, worker in enumerate(self._workers)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if errors:
            raise errors[0]
        return all(results)

    def signal(self, number: int) -> None:
        for worker in self._workers:
            worker.signal(number)

    @property
    def tasks_in_hand(self) -> int:
        return sum(worker.tasks_in_hand for worker in self._workers)
