"""How long the first page of a list takes with few and with many workflows stored, in a real SQLite file.

    python bench/list_workflows.py [--few 1000] [--n 1000000] [--runs 50]

Medians of several runs of one page of ten. The ratio is what counts: lists are served by index walks.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import random
import statistics
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import apsw
import uvloop

from workflow_manager.database import Database
from workflow_manager.model import Workflow, WorkflowDefinition, WorkflowQuery, WorkflowStatus
from workflow_manager.store.sqlite import SqliteStore

T0 = datetime(2024, 1, 1, tzinfo=UTC)
SHARES = {
    WorkflowStatus.SUCCEEDED: 90,
    WorkflowStatus.FAILED: 5,
    WorkflowStatus.RUNNING: 3,
    WorkflowStatus.CANCELLED: 1,
    WorkflowStatus.QUEUED: 1,
}
QUERIES: dict[str, dict[str, Any]] = {
    "definition, status": {"definition_name": "d3", "statuses": (WorkflowStatus.FAILED,)},
    "definition, three statuses": {
        "definition_name": "d3",
        "statuses": (WorkflowStatus.FAILED, WorkflowStatus.RUNNING, WorkflowStatus.QUEUED),
    },
    "definition": {"definition_name": "d3"},
    "definition, unresolved": {"definition_name": "d3", "resolved_by_user": False},
    "status": {"statuses": (WorkflowStatus.FAILED,)},
    "unresolved": {"resolved_by_user": False},
    "namespace": {"namespace": "n2"},
    "namespace, status": {"namespace": "n2", "statuses": (WorkflowStatus.FAILED,)},
    "queue": {"queue": "default"},
    "tag": {"tags": {"team": "t4"}},
    "definition, tag": {"definition_name": "d3", "tags": {"team": "t4"}},
    "all": {},
    "all, oldest first": {"oldest_first": True},
}


async def fill(store: SqliteStore, count: int) -> None:
    chance = random.Random(1)
    machine = {"StartAt": "S", "States": {"S": {"Type": "Succeed"}}}
    definitions = [
        await store.save_definition(WorkflowDefinition(id=f"d{i}", name=f"d{i}", created_at=T0, state_machine=machine))
        for i in range(20)
    ]
    for first in range(0, count, 5_000):
        batch = []
        for i in range(first, min(first + 5_000, count)):
            created = T0 + timedelta(seconds=i)
            status = chance.choices(list(SHARES), list(SHARES.values()))[0]
            workflow = Workflow(
                id=f"{i:08}",
                created_at=created,
                last_updated=created,
                status=status,
                namespace=f"n{chance.randrange(5)}",
                queue="default",
                input='{"some": "input"}',
                tags={"team": f"t{chance.randrange(8)}"},
                workflow_definition=definitions[chance.randrange(len(definitions))],
                resolved_by_user=status in {WorkflowStatus.SUCCEEDED, WorkflowStatus.CANCELLED},
                jobs=[],
                retries=[],
            )
            batch.append(store.save_workflow(workflow))
        await asyncio.gather(*batch)


async def measure(count: int, runs: int) -> dict[str, float]:
    """Milliseconds of each query, the median."""
    with tempfile.TemporaryDirectory() as folder:
        database = Database(Path(folder) / "bench.db", synchronous="OFF")
        store = SqliteStore(database)
        await fill(store, count)
        found = {}
        for name, filters in QUERIES.items():
            times = []
            for _ in range(runs):
                began = time.perf_counter()
                page = await store.workflows(WorkflowQuery(limit=10, **filters))
                times.append((time.perf_counter() - began) * 1e3)
            assert page.items, name
            found[name] = statistics.median(times)
        await database.close()
        return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--few", type=int, default=1_000)
    parser.add_argument("--n", "--many", dest="many", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=50)
    options = parser.parse_args()
    print(
        f"{os.cpu_count()} cores, Python {platform.python_version()}, SQLite {apsw.sqlite_lib_version()}, {platform.system()}"
    )
    few = uvloop.run(measure(options.few, options.runs))
    many = uvloop.run(measure(options.many, options.runs))
    print(f"| first page by | {options.few:,} workflows, ms | {options.many:,} workflows, ms | ratio |")
    print("| --- | --- | --- | --- |")
    for name in QUERIES:
        print(f"| {name} | {few[name]:.3f} | {many[name]:.3f} | {many[name] / few[name]:.2f} |")


if __name__ == "__main__":
    main()
