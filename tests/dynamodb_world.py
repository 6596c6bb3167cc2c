"""DynamoDB for tests: stores whose tables are their own, on an endpoint that is shared."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import Any

from serving import session

from workflow_manager.model import Workflow
from workflow_manager.store import dynamodb_items as items
from workflow_manager.store.dynamodb import DynamoStore
from workflow_manager.store.dynamodb_calls import DynamoCalls
from workflow_manager.store.dynamodb_tables import init_tables

FAR = 4_000_000_000
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


async def empty_store(url: str, **settings: Any) -> DynamoStore:
    calls, prefix = DynamoCalls(session=session(), endpoint_url=url), new_prefix()
    await init_tables(calls, prefix, say=lambda _: None)
    return DynamoStore(calls, prefix=prefix, **settings)


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
