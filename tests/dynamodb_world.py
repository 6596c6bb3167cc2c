"""DynamoDB for tests: stores whose tables are their own, on an endpoint that is shared."""

from __future__ import annotations

import asyncio
import urllib.request
import uuid
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from functools import cache
from typing import Any

from serving import session

from workflow_manager.model import Workflow
from workflow_manager.store import dynamodb_items as items
from workflow_manager.store.dynamodb import DynamoStore
from workflow_manager.store.dynamodb_calls import DynamoCalls
from workflow_manager.store.dynamodb_schema import Tables, create_requests
from workflow_manager.store.dynamodb_tables import init_tables

FAR = 4_000_000_000
MOST_DELETED = 50
"""Items of a table; to make another table is quicker than to delete more."""
METERED = (
    "BatchGetItem",
    "BatchWriteItem",
    "DeleteItem",
    "GetItem",
    "PutItem",
    "Query",
    "TransactWriteItems",
    "UpdateItem",
)


def new_prefix() -> str:
    return f"test-{uuid.uuid4().hex[:12]}"


_empty: dict[str, list[str]] = defaultdict(list)
"""Endpoint -> prefixes whose tables are there and hold nothing: making them costs more than most tests."""


def emptied_moto(url: str) -> str:
    """Moto without anything that an earlier test made, tables included."""
    urllib.request.urlopen(urllib.request.Request(f"{url}/moto-api/reset", method="POST")).close()
    _empty.pop(url, None)
    return url


@asynccontextmanager
async def empty_store(url: str, *, threads: int = 16, **settings: Any) -> AsyncIterator[DynamoStore]:
    """A store for one test, on tables that nobody else uses meanwhile."""
    calls = DynamoCalls(session=session(), endpoint_url=url, threads=threads)
    if _empty[url]:
        prefix = _empty[url].pop()
    else:
        prefix = new_prefix()
        await init_tables(calls, prefix, say=lambda _: None)
    store = DynamoStore(calls, prefix=prefix, **settings)
    try:
        yield store
    finally:
        await store.close()  # nothing that was under way is written after this
        if await asyncio.to_thread(_emptied, url, prefix):
            _empty[url].append(prefix)


def _emptied(url: str, prefix: str) -> bool:
    """Whether the tables could be emptied at little cost."""
    client = _client(url)
    for table, request in create_requests(Tables.of(prefix)).items():
        keys = [key["AttributeName"] for key in request["KeySchema"]]
        names = {f"#{number}": name for number, name in enumerate(keys)}
        found = client.scan(
            TableName=table, ProjectionExpression=", ".join(names), ExpressionAttributeNames=names, ConsistentRead=True
        )
        if "LastEvaluatedKey" in found or len(found["Items"]) > MOST_DELETED:
            return False
        for item in found["Items"]:
            client.delete_item(TableName=table, Key=item)
    return True


@cache
def _client(url: str) -> Any:
    return session().client("dynamodb", endpoint_url=url)


async def load(store: DynamoStore, workflows: Iterable[Workflow]) -> None:
    """Store many workflows quickly: their items, ready-made, in batches."""
    requests = []
    for workflow in workflows:
        packed, _ = items.all_packed(workflow.id, items.workflow_texts(workflow, own_machine=False))
        item = items.workflow_item(workflow, packed, revision="loaded", expires=FAR, pieces_expire=FAR)
        requests += [{"PutRequest": {"Item": each}} for each in (item, *items.tag_items(workflow, FAR))]
        if len(requests) >= 1000:
            await store._batch_write(requests)
            requests = []
    await store._batch_write(requests)


class Meter:
    """Counts what the calls of a store consume, by operation, as DynamoDB says."""

    def __init__(self, store: DynamoStore) -> None:
        self.calls: list[tuple[str, float]] = []
        events = store._calls.client.meta.events
        for operation in METERED:
            events.register(f"provide-client-params.dynamodb.{operation}", self._ask)
        events.register("after-call.dynamodb", self._count)

    @property
    def units(self) -> float:
        return sum(units for _, units in self.calls)

    def _ask(self, params: dict[str, Any], **_: Any) -> dict[str, Any]:
        return params | {"ReturnConsumedCapacity": "INDEXES"}

    def _count(self, model: Any, parsed: dict[str, Any], **_: Any) -> None:
        consumed = parsed.get("ConsumedCapacity")
        for each in consumed if isinstance(consumed, list) else [consumed]:
            if each is not None:
                self.calls.append((model.name, each["CapacityUnits"]))


async def everything_in(store: DynamoStore, table: str = "workflows") -> dict[str, Any]:
    """Every item of a table, whatever it is, by the first part of its key."""
    name = getattr(store._tables, table)
    return {(item.get("id") or item["name"])["S"]: item async for item in store._pages("scan", {"TableName": name})}
