"""How long the first page of a list takes with few and with many workflows in DynamoDB, and how many read units it costs.

    python bench/list_dynamodb.py [--few 1000] [--counts 100000 1000000] [--runs 20] [--endpoint URL]

Without an endpoint a local emulator is started (tools/local_dynamodb.py), in memory. Workflows are loaded as ready-made items, in
batches; after each of the counts, medians of several runs of one page of ten are printed.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import platform
import random
import statistics
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
from list_workflows import QUERIES, SHARES

from workflow_manager.model import Workflow, WorkflowDefinition, WorkflowQuery, WorkflowStatus
from workflow_manager.store import dynamodb_items as items
from workflow_manager.store.dynamodb import DynamoStore
from workflow_manager.store.dynamodb_calls import DynamoCalls
from workflow_manager.store.dynamodb_tables import init_tables

sys.path.append(str(Path(__file__).parents[1] / "tools"))
import local_dynamodb

T0 = datetime(2024, 1, 1, tzinfo=UTC)
FAR = 4_000_000_000
BATCH = 5_000
DEFINITIONS = 5
"""So few that with 1,000 workflows a page of a definition's failed ones is full."""


def workflows(first: int, count: int, definitions: list[WorkflowDefinition], chance: random.Random) -> list[Workflow]:
    made = []
    for i in range(first, first + count):
        status = chance.choices(list(SHARES), list(SHARES.values()))[0]
        created = T0 + timedelta(seconds=i)
        made.append(
            Workflow(
                id=f"{i:08}",
                created_at=created,
                last_updated=created,
                status=status,
                namespace=f"n{chance.randrange(5)}",
                input='{"some": "input"}',
                tags={"team": f"t{chance.randrange(8)}"},
                workflow_definition=chance.choice(definitions),
                resolved_by_user=status in {WorkflowStatus.SUCCEEDED, WorkflowStatus.CANCELLED},
                jobs=[],
                retries=[],
            )
        )
    return made


def requests_for(made: list[Workflow]) -> list[dict[str, Any]]:
    requests = []
    for workflow in made:
        packed, _ = items.all_packed(workflow.id, items.workflow_texts(workflow, own_machine=False))
        item = items.workflow_item(workflow, packed, revision="loaded", expires=FAR, pieces_expire=FAR)
        requests += [{"PutRequest": {"Item": each}} for each in (item, *items.tag_items(workflow, FAR))]
    return requests


class Units:
    """Read units that calls consume."""

    def __init__(self, store: DynamoStore) -> None:
        self.units = 0.0
        events = store._calls.client.meta.events  # noqa: SLF001 - to count what it does
        for operation in ("Query", "BatchGetItem"):
            events.register(f"provide-client-params.dynamodb.{operation}", self._ask)
        events.register("after-call.dynamodb", self._count)

    def _ask(self, params: dict[str, Any], **_: Any) -> dict[str, Any]:
        return params | {"ReturnConsumedCapacity": "TOTAL"}

    def _count(self, parsed: dict[str, Any], **_: Any) -> None:
        consumed = parsed.get("ConsumedCapacity") or []
        for each in consumed if isinstance(consumed, list) else [consumed]:
            self.units += each["CapacityUnits"]


async def measure(stores: list[DynamoStore], runs: int) -> dict[str, list[tuple[float, float]]]:
    """Of each query and store: milliseconds, the median, and read units. The stores take turns, to meet the same noise."""
    counters, found = [Units(store) for store in stores], {}
    for name, filters in QUERIES.items():
        times: list[list[float]] = [[] for _ in stores]
        for counter in counters:
            counter.units = 0
        for _ in range(runs):
            for store, taken in zip(stores, times, strict=True):
                began = time.perf_counter()
                page = await store.workflows(WorkflowQuery(limit=10, **filters))
                taken.append((time.perf_counter() - began) * 1e3)
                assert page.items, name
        found[name] = [
            (statistics.median(taken), counter.units / runs) for taken, counter in zip(times, counters, strict=True)
        ]
    return found


async def opened(url: str | None) -> tuple[DynamoStore, list[WorkflowDefinition]]:
    """A store with tables of its own, and definitions."""
    session = boto3.Session(
        aws_access_key_id=os.environ.get("AWS_ACCESS_KEY_ID", "local"),
        aws_secret_access_key=os.environ.get("AWS_SECRET_ACCESS_KEY", "local"),
        region_name=os.environ.get("AWS_REGION", "us-east-1"),
    )
    calls, prefix = DynamoCalls(session=session, endpoint_url=url), f"bench-{time.time_ns()}"
    await init_tables(calls, prefix, say=lambda _: None)
    store = DynamoStore(calls, prefix=prefix)
    machine = {"StartAt": "S", "States": {"S": {"Type": "Succeed"}}}
    definitions = [
        await store.save_definition(WorkflowDefinition(id=f"d{i}", name=f"d{i}", created_at=T0, state_machine=machine))
        for i in range(DEFINITIONS)
    ]
    return store, definitions


async def fill(
    store: DynamoStore, definitions: list[WorkflowDefinition], chance: random.Random, first: int, end: int
) -> None:
    for start in range(first, end, BATCH):
        made = workflows(start, min(BATCH, end - start), definitions, chance)
        await store._batch_write(requests_for(made))  # noqa: SLF001 - thousands at a time


async def run(few: int, counts: list[int], runs: int, url: str | None) -> None:
    small, definitions = await opened(url)
    await fill(small, definitions, random.Random(1), 0, few)
    large, definitions = await opened(url)
    chance, loaded = random.Random(1), 0
    for count in counts:
        began = time.perf_counter()
        await fill(large, definitions, chance, loaded, count)
        loaded = count
        print(f"{loaded:,} loaded ({time.perf_counter() - began:.0f} s)", flush=True)
        print(f"| first page by | {few:,}, ms | {count:,}, ms | ratio | read units |\n| --- | --- | --- | --- | --- |")
        for name, ((before, units_before), (after, units)) in (await measure([small, large], runs)).items():
            print(
                f"| {name} | {before:.1f} | {after:.1f} | {after / before:.2f} | {units_before:.1f}, {units:.1f} |",
                flush=True,
            )
    await small.close()
    await large.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--counts", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--few", type=int, default=1_000)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--endpoint")
    options = parser.parse_args()
    print(f"{os.cpu_count()} cores, Python {platform.python_version()}, {platform.system()}")
    with contextlib.ExitStack() as stack:
        url = options.endpoint or stack.enter_context(local_dynamodb.running())
        asyncio.run(run(options.few, options.counts, options.runs, url))


if __name__ == "__main__":
    main()
