"""The store in DynamoDB: for the AWS backend, for more than one server, for more than one disk holds.

Tables, keys and costs are dynamodb_schema's business, items dynamodb_items', lists dynamodb_listing's; here is in which order
what is written, and under which conditions. A change is made to what was read, provided that it is still what is stored: each
write has a name of its own (``_rev``), so that a write whose answer was lost is told from one that another made.

What derives from a workflow (pieces of big payloads, entries of its tags) is written before it or with it and deleted after it,
and expires like it: a crash in between leaves at worst something that nothing refers to, until it expires.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import random
import time
import uuid
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from datetime import datetime
from typing import Any, TypeVar

from msgspec import structs

from workflow_manager.model import (
    Page,
    StateResource,
    Workflow,
    WorkflowChange,
    WorkflowDefinition,
    WorkflowQuery,
)
from workflow_manager.model.errors import (
    InvalidRequest,
    StateResourceNotFound,
    StorageUnavailable,
    WorkflowAlreadyExists,
    WorkflowDefinitionAlreadyExists,
    WorkflowDefinitionNotFound,
    WorkflowNotFound,
)
from workflow_manager.store import dynamodb_items as items
from workflow_manager.store import dynamodb_listing as listing
from workflow_manager.store import dynamodb_schema as schema
from workflow_manager.store.changes import changed
from workflow_manager.store.dynamodb_calls import ConditionFailed, DynamoCalls
from workflow_manager.store.dynamodb_items import PIECES_TTL, REVISION, TTL, Item, number, text
from workflow_manager.store.dynamodb_schema import Lane, Tables
from workflow_manager.store.paging import Place, microseconds, page_token, range_of

T = TypeVar("T")
R = TypeVar("R")

log = logging.getLogger(__name__)

DEFAULT_TTL_DAYS = 30
DAY = 86_400
LONGEST_EXECUTION_DAYS = 366
"""Step Functions lets an execution run for a year; while it does, its workflow must not expire."""
SLACK_DAYS = 30
"""How much longer than an unfinished workflow what derives from it is kept, so that not every change has to prolong it."""

ATTEMPTS = 40
"""How often a write is tried anew because someone else was faster."""
DEFINITIONS_KEPT = 256
"""Versions kept decoded. A stored version never changes, so what is kept is never stale."""
BATCH_GET = 100
BATCH_WRITE = 25
TRANSACTION = 100
TRANSACTION_BYTES = 3_500_000
AT_ONCE = 8
"""Calls that one request of ours may have under way."""
MAX_VERSION = 2**63 - 1


class DynamoStore:
    """Implements Store."""

    def __init__(
        self,
        calls: DynamoCalls,
        *,
        prefix: str,
        ttl_days: int = DEFAULT_TTL_DAYS,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._calls = calls
        self._tables = Tables.of(prefix)
        self._ttl = ttl_days * DAY
        self._now = now
        self._kept: OrderedDict[tuple[str, int], WorkflowDefinition] = OrderedDict()

    async def close(self) -> None:
        await self._calls.close()

    # ------------------------------------------------------------------ definitions

    async def save_definition(self, definition: WorkflowDefinition, /) -> WorkflowDefinition:
        stored = structs.replace(definition, version=0)
        try:
            await _persistently(lambda: self._write_version(stored, after=None), _named(stored), only_conflicts=True)
        except ConditionFailed:
            raise WorkflowDefinitionAlreadyExists(definition.name) from None
        return stored

    async def update_definition(self, definition: WorkflowDefinition, /) -> WorkflowDefinition:
        async def attempt() -> WorkflowDefinition:
            latest = int((await self._latest_item(definition.name))["version"]["N"])
            stored = structs.replace(definition, version=latest + 1)
            await self._write_version(stored, after=latest)
            return stored

        return await _persistently(attempt, _named(definition))

    async def definitions(self) -> list[WorkflowDefinition]:
        found = [item async for item in self._scan(self._tables.latest_definitions)]
        return sorted([await self._definition(item) for item in found], key=lambda definition: definition.name)

    async def definition_versions(self, name: str, /) -> list[WorkflowDefinition]:
        request = {
            "TableName": self._tables.definitions,
            "KeyConditionExpression": "#name = :name",
            "ExpressionAttributeNames": {"#name": "name"},
            "ExpressionAttributeValues": {":name": text(schema.key(name))},
            "ConsistentRead": True,
        }
        found = [await self._definition(item) async for item in self._pages("query", request)]
        if not found:
            raise WorkflowDefinitionNotFound(name)
        return found

    async def definition(self, name: str, version: int, /) -> WorkflowDefinition:
        if (kept := self._kept.get((name, version))) is not None:
            self._kept.move_to_end((name, version))
            return kept
        if not 0 <= version <= MAX_VERSION:
            raise WorkflowDefinitionNotFound(name, version)
        item = await self._get(self._tables.definitions, {"name": text(schema.key(name)), "version": number(version)})
        if item is None:
            raise WorkflowDefinitionNotFound(name, version)
        return await self._definition(item)

    async def latest_definition(self, name: str, /) -> WorkflowDefinition:
        return await self._definition(await self._latest_item(name))

    async def _latest_item(self, name: str) -> Item:
        item = await self._get(self._tables.latest_definitions, {"name": text(schema.key(name))})
        if item is None:
            raise WorkflowDefinitionNotFound(name)
        return item

    async def _write_version(self, definition: WorkflowDefinition, *, after: int | None) -> None:
        """Write a version, its pieces and the latest, all or nothing, if the latest is still ``after``.

        Raises ConditionFailed.
        """
        item, pieces = items.definition_item(definition)
        size = sum(map(len, pieces.values())) + 2 * items.INLINE_BYTES
        if len(pieces) > TRANSACTION - 2 or size > TRANSACTION_BYTES:
            raise InvalidRequest(
                f"stateMachine: it takes {size:,} bytes compressed, and {TRANSACTION_BYTES:,} can be stored; "
                "move parts of it to definitions of their own"
            )
        latest: Item = {
            "TableName": self._tables.latest_definitions,
            "Item": item,
            "ExpressionAttributeNames": {"#name": "name"},
            "ConditionExpression": "attribute_not_exists(#name)",
        }
        if after is not None:
            latest |= {
                "ExpressionAttributeNames": {"#version": "version"},
                "ExpressionAttributeValues": {":after": number(after)},
                "ConditionExpression": "#version = :after",
            }
        version = {
            "TableName": self._tables.definitions,
            "Item": item,
            "ExpressionAttributeNames": {"#name": "name"},
            "ConditionExpression": "attribute_not_exists(#name)",
        }
        puts = [latest, version] + [
            {
                "TableName": self._tables.definitions,
                "Item": {**items.definition_piece_key(piece), items.DATA: {"B": data}},
            }
            for piece, data in pieces.items()
        ]
        await self._calls.call("transact_write_items", TransactItems=[{"Put": put} for put in puts])

    async def _definition(self, item: Item) -> WorkflowDefinition:
        names = (items.BODY, items.STATE_MACHINE)
        payloads = {name: items.unpacked(item[name]) for name in names if "M" not in item[name]}
        for name, reference in items.references(item).items():
            keys = [items.definition_piece_key(piece) for piece in reference.ids(items.definition_owner(item))]
            payloads[name] = items.decompressed(await self._pieces(self._tables.definitions, keys))
        definition = items.definition_of(payloads)
        key = definition.name, definition.version
        self._kept[key] = definition
        self._kept.move_to_end(key)
        if len(self._kept) > DEFINITIONS_KEPT:
            self._kept.popitem(last=False)
        return definition

    # ------------------------------------------------------------------ workflows

    async def save_workflow(self, workflow: Workflow, /) -> None:
        own_machine = not await self._is_stored(workflow.workflow_definition)
        packed, pieces = items.all_packed(workflow.id, items.workflow_texts(workflow, own_machine=own_machine))
        expires = self._expiry(workflow)
        pieces_expire = expires + SLACK_DAYS * DAY
        revision = str(uuid.uuid4())
        item = items.workflow_item(workflow, packed, revision=revision, expires=expires, pieces_expire=pieces_expire)
        tags = items.tag_items(workflow, pieces_expire)
        await self._put_pieces(pieces, pieces_expire)
        put = {"TableName": self._tables.workflows, "Item": item, "ConditionExpression": "attribute_not_exists(id)"}
        try:
            if not tags:
                await self._calls.call("put_item", **put)
                return
            # more tags than a transaction takes come before it: nobody sees them until the workflow is there
            together = tags[: TRANSACTION - 1]
            await self._batch_write([{"PutRequest": {"Item": entry}} for entry in tags[TRANSACTION - 1 :]])
            entries = [{"Put": {"TableName": self._tables.workflows, "Item": entry}} for entry in together]
            await _persistently(
                lambda: self._calls.call("transact_write_items", TransactItems=[{"Put": put}, *entries]),
                f"workflow {workflow.id}",
                only_conflicts=True,
            )
        except ConditionFailed:
            stored = await self._workflow_item(workflow.id)
            if stored is not None and stored[REVISION]["S"] == revision:
                return  # it was us: an answer was lost, and the call tried again
            if stored is None:  # it has been deleted since, or DynamoDB is not right
                raise StorageUnavailable(
                    f"workflow {workflow.id} was refused; nothing was written, try again"
                ) from None
            raise WorkflowAlreadyExists(workflow.id) from None

    async def change_workflow(self, workflow_id: str, change: WorkflowChange, /) -> tuple[Workflow, bool]:
        written: set[str] = set()

        async def attempt() -> tuple[Workflow, bool]:
            item = await self._workflow_item(workflow_id)
            if item is None:
                raise WorkflowNotFound(workflow_id)
            try:
                stored = await self._whole(item)
            except _PieceGone:
                await self._workflow(item)  # raises if it is not because someone else has changed it
                raise ConditionFailed from None
            if item[REVISION]["S"] in written:
                return stored, True
            after = changed(stored, change)
            if after is None:
                return stored, False
            revision = str(uuid.uuid4())
            written.add(revision)
            await self._replace(item, stored, after, revision)
            return after, True

        return await _persistently(attempt, f"workflow {workflow_id}")

    async def delete_workflow(self, workflow_id: str, /) -> None:
        key = {"id": text(schema.key(workflow_id))}
        answer = await self._calls.call(
            "delete_item", TableName=self._tables.workflows, Key=key, ReturnValues="ALL_OLD"
        )
        if old := answer.get("Attributes"):
            await self._delete([*items.piece_ids(old, workflow_id), *items.tag_ids(await self._summary(old))])

    async def workflow(self, workflow_id: str, /) -> Workflow:
        item = await self._workflow_item(workflow_id)
        if item is None:
            raise WorkflowNotFound(workflow_id)
        return await self._workflow(item)

    async def workflows(self, query: WorkflowQuery, /) -> Page[Workflow]:
        bounds = range_of(query)
        read = self._summary if query.summary_only else self._workflow
        found = await self._listed(
            listing.Intersection(
                listing.streams_of(query),
                schema.bound_text(*bounds.first),
                schema.bound_text(*bounds.end),
                query.limit,
                self._read_lane,
                forward=query.oldest_first,
            ),
            query.limit,
            read,
            lambda workflow: listing.matches(workflow, query),
        )
        if not found:
            return Page(items=[])
        last = Place(microseconds(found[-1].created_at), found[-1].id)
        return Page(items=found, next_page_token=page_token(last, oldest_first=query.oldest_first))

    async def unfinished_workflows(self, updated_before: datetime, limit: int, /) -> list[Workflow]:
        lanes = [schema.unfinished_lane(shard) for shard in range(schema.SHARDS)]
        first, end = schema.BEFORE_ALL, schema.time_text(updated_before)
        return await self._listed(
            listing.Intersection([lanes], first, end, limit, self._read_lane, forward=True),
            limit,
            self._summary,
            lambda workflow: not workflow.status.final and workflow.last_updated < updated_before,
        )

    async def _listed(
        self,
        walk: listing.Intersection,
        limit: int,
        read: Callable[[Item], Awaitable[Workflow]],
        matches: Callable[[Workflow], bool],
    ) -> list[Workflow]:
        """What a walk finds, as it is now. What has changed since the indexes were written, or is gone, is left out."""

        async def read_if_there(item: Item) -> Workflow | None:
            try:
                return await read(item)
            except WorkflowNotFound:  # deleted since its item was read
                return None

        found: list[Workflow] = []
        more = True
        while more and len(found) < limit:
            places: list[str] = []
            while len(found) + len(places) < limit:
                place = await walk.next()
                if place is None:
                    more = False
                    break
                places.append(place)
            there = await _each(read_if_there, await self._items([schema.id_of(place) for place in places]))
            matching = [workflow for workflow in there if workflow is not None and matches(workflow)]
            walk.judge(len(places), len(matching))
            found += matching
        return found

    def _expiry(self, workflow: Workflow) -> int:
        """When a workflow expires: so long after its last change, and not while its execution may run."""
        last = max(workflow.last_updated.timestamp(), self._now())
        return math.ceil(last) + self._ttl + (0 if workflow.status.final else LONGEST_EXECUTION_DAYS * DAY)

    async def _is_stored(self, definition: WorkflowDefinition) -> bool:
        """Whether a workflow need not keep a copy. Compared as text: to Python, 1, 1.0 and true are equal."""
        try:
            stored = await self.definition(definition.name, definition.version)
        except WorkflowDefinitionNotFound:
            return False
        return stored is definition or items.encoded(stored) == items.encoded(definition)

    async def _replace(self, item: Item, stored: Workflow, after: Workflow, revision: str) -> None:
        """Write a changed workflow over what was read. Raises ConditionFailed if that is no longer what is stored."""
        own_machine = (await self._summary_and_machine(item))[1]
        before = items.workflow_texts(stored, own_machine=own_machine)
        now = items.workflow_texts(after, own_machine=own_machine)
        same = {name for name in now if before.get(name) == now[name]}
        packed, pieces = items.all_packed(after.id, {name: value for name, value in now.items() if name not in same})
        packed |= {name: item[name] for name in same}
        old, expires = int(item[PIECES_TTL]["N"]), self._expiry(after)
        if old < expires:
            pieces_expire = expires + SLACK_DAYS * DAY
        elif after.status.final and old > expires + 2 * DAY:
            pieces_expire = expires + DAY
        else:
            pieces_expire = old
        written = items.workflow_item(after, packed, revision=revision, expires=expires, pieces_expire=pieces_expire)
        before_ids, ids = items.piece_ids(item, after.id), items.piece_ids(written, after.id)
        kept = [*(ids & before_ids), *items.tag_ids(after)]
        await self._put_pieces(pieces, pieces_expire)
        if pieces_expire > old:
            await self._expire(kept, pieces_expire)
        await self._calls.call(
            "put_item",
            TableName=self._tables.workflows,
            Item=written,
            ConditionExpression="#rev = :rev",
            ExpressionAttributeNames={"#rev": REVISION},
            ExpressionAttributeValues={":rev": item[REVISION]},
        )
        try:
            await self._delete(before_ids - ids)
            if pieces_expire < old:
                await self._expire(kept, pieces_expire)
        except StorageUnavailable as error:  # the change is made, and what is left expires by itself
            log.warning("what a change left over will expire later: %s", error)

    async def _workflow_item(self, workflow_id: str) -> Item | None:
        return await self._get(self._tables.workflows, {"id": text(schema.key(workflow_id))})

    async def _summary_and_machine(self, item: Item) -> tuple[Workflow, bool]:
        reference = items.references(item).get(items.BODY)
        if reference is None:
            return items.workflow_summary(item, items.unpacked(item[items.BODY]))
        return items.workflow_summary(item, await self._payload(item, reference))

    async def _summary(self, item: Item) -> Workflow:
        return (await self._summary_and_machine(item))[0]

    async def _workflow(self, item: Item) -> Workflow:
        """A whole workflow. If its pieces were replaced since its item was read, it is read again."""
        workflow_id = schema.id_of(item[schema.PLACE]["S"])
        for _ in range(ATTEMPTS):
            try:
                return await self._whole(item)
            except _PieceGone as gone:
                again = await self._workflow_item(workflow_id)
                if again is None:
                    raise WorkflowNotFound(workflow_id) from None
                if again[REVISION] == item[REVISION]:
                    raise StorageUnavailable(f"workflow {workflow_id}: a piece of it is missing: {gone}") from None
                item = again
        raise StorageUnavailable(f"workflow {workflow_id} changes faster than it can be read; try again")

    async def _whole(self, item: Item) -> Workflow:
        summary, own_machine = await self._summary_and_machine(item)
        names = (items.INPUT, items.OUTPUT, items.JOBS, items.LAST_JOB, items.STATE_MACHINE)
        payloads = {name: items.unpacked(item[name]) for name in names if name in item and "M" not in item[name]}
        for name, reference in items.references(item).items():
            if name != items.BODY:
                payloads[name] = await self._payload(item, reference)
        machine = None
        if not own_machine:
            definition = summary.workflow_definition
            machine = (await self.definition(definition.name, definition.version)).state_machine
        return items.workflow_of(summary, payloads, machine)

    async def _payload(self, item: Item, reference: items.Reference) -> str:
        ids = reference.ids(schema.id_of(item[schema.PLACE]["S"]))
        return items.decompressed(await self._pieces(self._tables.workflows, [{"id": text(piece)} for piece in ids]))

    async def _items(self, workflow_ids: Sequence[str]) -> list[Item]:
        """The items of those that are there, once each, in the order asked for, as they are now."""
        # an index that is behind may have a workflow where it was and where it is
        asked = list(dict.fromkeys(schema.key(workflow_id) for workflow_id in workflow_ids))
        batches = [asked[start : start + BATCH_GET] for start in range(0, len(asked), BATCH_GET)]
        found = {item["id"]["S"]: item for batch in await _each(self._batch_get, batches) for item in batch}
        return [found[key] for key in asked if key in found]

    async def _read_lane(self, lane: Lane, first: str, end: str, limit: int, forward: bool) -> tuple[list[str], bool]:
        """Read of dynamodb_listing. A range of DynamoDB has both its ends in it; ours ends before ``end``."""
        order = schema.ORDER_ATTRIBUTE[lane.index]
        answer = await self._calls.call(
            "query",
            TableName=self._tables.workflows,
            IndexName=lane.index.value,
            KeyConditionExpression="#lane = :lane AND #order BETWEEN :first AND :last",
            ExpressionAttributeNames={"#lane": schema.LANE_ATTRIBUTE[lane.index], "#order": order},
            ExpressionAttributeValues={":lane": text(lane.value), ":first": text(first), ":last": text(end)},
            ScanIndexForward=forward,
            Limit=limit,
        )
        places = [entry[order]["S"] for entry in answer["Items"]]
        return [place for place in places if place < end], "LastEvaluatedKey" in answer

    # ------------------------------------------------------------------ state resources

    async def save_state_resource(self, resource: StateResource, /) -> None:
        item = items.state_resource_item(resource)
        await self._calls.call("put_item", TableName=self._tables.state_resources, Item=item)

    async def state_resource(self, namespace: str, name: str, /) -> StateResource:
        item = await self._get(self._tables.state_resources, items.state_resource_key(namespace, name))
        if item is None:
            raise StateResourceNotFound(namespace, name)
        return items.state_resource_of(item)

    async def delete_state_resource(self, namespace: str, name: str, /) -> None:
        key = items.state_resource_key(namespace, name)
        answer = await self._calls.call(
            "delete_item", TableName=self._tables.state_resources, Key=key, ReturnValues="ALL_OLD"
        )
        if not answer.get("Attributes"):
            raise StateResourceNotFound(namespace, name)

    # ------------------------------------------------------------------ leases

    async def take_lease(self, name: str, holder: str, now: datetime, until: datetime, /) -> bool:
        ends = microseconds(until)
        item = {
            "id": text(schema.lease_id(name)),
            "holder": text(holder),
            "ends": number(ends),
            TTL: number(ends // 1_000_000 + DAY),
        }
        try:
            await self._calls.call(
                "put_item",
                TableName=self._tables.workflows,
                Item=item,
                ConditionExpression="attribute_not_exists(id) OR #holder = :holder OR #ends <= :now",
                ExpressionAttributeNames={"#holder": "holder", "#ends": "ends"},
                ExpressionAttributeValues={":holder": text(holder), ":now": number(microseconds(now))},
            )
        except ConditionFailed:
            return False
        return True

    async def release_lease(self, name: str, holder: str, /) -> None:
        with contextlib.suppress(ConditionFailed):  # it is another's
            await self._calls.call(
                "delete_item",
                TableName=self._tables.workflows,
                Key={"id": text(schema.lease_id(name))},
                ConditionExpression="#holder = :holder",
                ExpressionAttributeNames={"#holder": "holder"},
                ExpressionAttributeValues={":holder": text(holder)},
            )

    # ------------------------------------------------------------------ calls

    async def _get(self, table: str, key: Item) -> Item | None:
        answer = await self._calls.call("get_item", TableName=table, Key=key, ConsistentRead=True)
        return answer.get("Item")

    async def _batch_get(self, ids: Sequence[str]) -> list[Item]:
        table = self._tables.workflows
        return await self._batch_get_keys(table, [{"id": text(each)} for each in ids])

    async def _batch_get_keys(self, table: str, keys: Sequence[Item]) -> list[Item]:
        """Up to 100 items, those that are there, in no order. DynamoDB answers what fits into 16 MB at a time."""
        found: list[Item] = []
        asked: dict[str, Any] = {table: {"Keys": keys, "ConsistentRead": True}}
        for attempt in range(ATTEMPTS):
            answer = await self._calls.call("batch_get_item", RequestItems=asked)
            got = answer["Responses"].get(table, [])
            found += got
            asked = answer.get("UnprocessedKeys") or {}
            if not asked:
                return found
            if not got:
                await _pause(attempt)
        raise StorageUnavailable("DynamoDB is asked for more than it allows at the moment; try again")

    async def _batch_write(self, requests: Sequence[Item]) -> None:
        table = self._tables.workflows

        async def write(batch: Sequence[Item]) -> None:
            asked: dict[str, Any] = {table: batch}
            for attempt in range(ATTEMPTS):
                asked = (await self._calls.call("batch_write_item", RequestItems=asked)).get("UnprocessedItems") or {}
                if not asked:
                    return
                await _pause(attempt)
            raise StorageUnavailable("DynamoDB is asked for more than it allows at the moment; try again")

        await _each(write, [requests[start : start + BATCH_WRITE] for start in range(0, len(requests), BATCH_WRITE)])

    async def _put_pieces(self, pieces: dict[str, bytes], expires: int) -> None:
        async def put(piece: tuple[str, bytes]) -> None:
            item = {"id": text(piece[0]), items.DATA: {"B": piece[1]}, TTL: number(expires)}
            await self._calls.call("put_item", TableName=self._tables.workflows, Item=item)

        await _each(put, list(pieces.items()))

    async def _pieces(self, table: str, keys: Sequence[Item]) -> bytes:
        async def read(key: Item) -> bytes:
            item = await self._get(table, key)
            if item is None:
                raise _PieceGone(next(iter(key.values()))["S"])
            data: bytes = item[items.DATA]["B"]
            return data

        return b"".join(await _each(read, keys))

    async def _delete(self, ids: Iterable[str]) -> None:
        await self._batch_write([{"DeleteRequest": {"Key": {"id": text(each)}}} for each in ids])

    async def _expire(self, ids: Iterable[str], expires: int) -> None:
        """Have items expire at another time; what is not there is not made."""

        async def update(each: str) -> None:
            with contextlib.suppress(ConditionFailed):  # it is gone
                await self._calls.call(
                    "update_item",
                    TableName=self._tables.workflows,
                    Key={"id": text(each)},
                    UpdateExpression="SET #ttl = :ttl",
                    ConditionExpression="attribute_exists(id)",
                    ExpressionAttributeNames={"#ttl": TTL},
                    ExpressionAttributeValues={":ttl": number(expires)},
                )

        await _each(update, list(ids))

    async def _scan(self, table: str) -> AsyncIterator[Item]:
        async for item in self._pages("scan", {"TableName": table, "ConsistentRead": True}):
            yield item

    async def _pages(self, operation: str, request: dict[str, Any]) -> AsyncIterator[Item]:
        """The items of all pages of a query or scan."""
        start: dict[str, Any] = {}
        while True:
            answer = await self._calls.call(operation, **request, **start)
            for item in answer["Items"]:
                yield item
            if "LastEvaluatedKey" not in answer:
                return
            start = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}


class _PieceGone(Exception):
    """A piece that an item refers to is not there: the item has been replaced since it was read."""


def _named(definition: WorkflowDefinition) -> str:
    return f"workflow definition {definition.name}"


async def _each(do: Callable[[T], Awaitable[R]], values: Sequence[T]) -> list[R]:
    """Do it with each value, some at once; the results in order."""
    results: list[R] = []
    for start in range(0, len(values), AT_ONCE):
        results += await asyncio.gather(*(do(value) for value in values[start : start + AT_ONCE]))
    return results


async def _persistently(attempt: Callable[[], Awaitable[R]], what: str, *, only_conflicts: bool = False) -> R:
    """Try until nobody else was faster. ``only_conflicts``: a condition that does not hold is the answer (ConditionFailed)."""
    for number_of_attempt in range(ATTEMPTS):
        try:
            return await attempt()
        except ConditionFailed as failed:
            if only_conflicts and ("ConditionalCheckFailed" in failed.reasons or not failed.reasons):
                raise
        await _pause(number_of_attempt)
    raise StorageUnavailable(f"{what} is being changed by others all the time; nothing was written, try again")


async def _pause(attempt: int) -> None:
    """Between tries: up to a longer time each time, so that those who met once do not meet again."""
    await asyncio.sleep(random.random() * min(1.0, 0.005 * 2**attempt))  # noqa: S311 - no secret
