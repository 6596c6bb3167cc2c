"""The tables of the DynamoDB store, its keys, and what each write pays for the indexes.

| table                                 | key                     | an item is                                    |
| ------------------------------------- | ----------------------- | --------------------------------------------- |
| ``{prefix}-workflow-definitions``       | ``name``, ``version``   | one version                                   |
| ``{prefix}-latest-workflow-definitions`` | ``name``                | the same as the latest version                |
| ``{prefix}-workflows``                  | ``id``                  | a workflow, or what derives from one (below)  |
| ``{prefix}-state-resources``            | ``name``, ``namespace`` | a state resource                              |

A list is a walk along *lanes*: partitions of an index, each in the order of lists, merged as they are read. An index keeps keys
only; the workflows of a page are then read from the table, so that a list shows each as it is. The order is that of ``_gsi-ca``:
the creation time, then the id, as one text, so that workflows of the same microsecond have an order too.

| index                      | a lane is one                         | entries written when                     |
| -------------------------- | ------------------------------------- | ---------------------------------------- |
| ``workflowname-createdat``   | definition                            | saved, deleted                           |
| ``definition-status``        | definition, status, resolution        | saved, deleted, status or resolution changed |
| ``namespace-status``         | namespace, status, resolution         | the same                                 |
| ``definition-namespace-status`` | definition, namespace, status, resolution | the same                           |
| ``status``                   | status, resolution, shard             | the same                                 |
| ``everything``               | shard                                 | saved, deleted                           |
| ``queue``                    | queue, shard                          | saved, deleted                           |
| ``tags``                     | tag, shard; of the tag's own items    | saved, deleted                           |
| ``unfinished``               | shard; in the order of last update    | saved, changed, while it is unfinished   |

What grows with the whole installation is spread over SHARDS partitions by a hash of the id: a partition takes 1,000 writes a
second.

In write units (WCU; one for each KB of an item, begun or whole; moving an entry to another lane is two):

- *save*: the item's KBs + 7 entries (definition, definition-status, namespace-status, definition-namespace-status, status,
  everything, queue) + 1 unfinished. With tags it is a transaction: twice the item's KBs, and 3 for each tag (2 its item, 1 its
  entry).
- *a change of status or resolution*: the item's KBs + 8 (four entries move) + 2 while it stays unfinished, or 1 when it ends;
  when it ends also 1 for each tag, whose item is told when to expire.
- *any other change*: the item's KBs, + 2 while it is unfinished.
- *delete*: the item's KBs + 7 entries (+ 1), and 2 for each tag.

Ids of ``workflows`` that begin with an underscore are the store's own: ``_overflow:...`` (a piece of a payload that is too big
for its workflow's item), ``_tag:...`` (a workflow's place in the lane of one of its tags), ``_lease:...``. No index but ``tags``
lists any of them.
"""

from __future__ import annotations

import hashlib
import zlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import product
from typing import Any, NamedTuple

from workflow_manager.model import Workflow, WorkflowStatus

SHARDS = 4
"""Of every index that grows with the whole installation. Not to be changed: stored entries are in these."""
OWN = "_"
"""What the store's own ids begin with."""
KEY_BYTES = 900
"""A longer name stands in a key as its hash: DynamoDB takes 1 to 2,048 bytes of a partition key, 1,024 of a sort key."""
TIME_LENGTH = 26

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
BEFORE_ALL, AFTER_ALL = "0", ":"
"""Texts that come before and after every time as it is spelled here."""

PLACE = "_gsi-ca"
LAST_UPDATED = "_gsi-lu"


class Index(StrEnum):
    DEFINITION = "workflowname-createdat"
    DEFINITION_STATUS = "definition-status"
    NAMESPACE_STATUS = "namespace-status"
    DEFINITION_NAMESPACE_STATUS = "definition-namespace-status"
    STATUS = "status"
    EVERYTHING = "everything"
    QUEUE = "queue"
    TAGS = "tags"
    UNFINISHED = "unfinished"


LANE_ATTRIBUTE = {
    Index.DEFINITION: "_gsi-wn",
    Index.DEFINITION_STATUS: "_gsi-ds",
    Index.NAMESPACE_STATUS: "_gsi-ns",
    Index.DEFINITION_NAMESPACE_STATUS: "_gsi-dn",
    Index.STATUS: "_gsi-st",
    Index.EVERYTHING: "_gsi-ev",
    Index.QUEUE: "_gsi-qu",
    Index.TAGS: "_gsi-tg",
    Index.UNFINISHED: "_gsi-un",
}
"""Index -> the attribute that is its partition key."""
ORDER_ATTRIBUTE = {index: LAST_UPDATED if index is Index.UNFINISHED else PLACE for index in Index}
"""Index -> the attribute that is its sort key."""


class Tables(NamedTuple):
    """The names of the tables."""

    definitions: str
    latest_definitions: str
    workflows: str
    state_resources: str

    @classmethod
    def of(cls, prefix: str) -> Tables:
        return cls(
            f"{prefix}-workflow-definitions",
            f"{prefix}-latest-workflow-definitions",
            f"{prefix}-workflows",
            f"{prefix}-state-resources",
        )


def create_requests(tables: Tables) -> dict[str, dict[str, Any]]:
    """Table -> the request of CreateTable: keys, indexes, paid by request."""
    return {
        tables.definitions: _request(tables.definitions, {"name": "S", "version": "N"}),
        tables.latest_definitions: _request(tables.latest_definitions, {"name": "S"}),
        tables.workflows: _request(tables.workflows, {"id": "S"}, list(Index)),
        tables.state_resources: _request(tables.state_resources, {"name": "S", "namespace": "S"}),
    }


def index_request(index: Index) -> dict[str, Any]:
    return {
        "IndexName": index.value,
        "KeySchema": _key_schema([LANE_ATTRIBUTE[index], ORDER_ATTRIBUTE[index]]),
        "Projection": {"ProjectionType": "KEYS_ONLY"},
    }


def index_attributes(*indexes: Index) -> list[dict[str, str]]:
    names = sorted({LANE_ATTRIBUTE[index] for index in indexes} | {ORDER_ATTRIBUTE[index] for index in indexes})
    return [{"AttributeName": name, "AttributeType": "S"} for name in names]


def _request(table: str, key: dict[str, str], indexes: list[Index] | None = None) -> dict[str, Any]:
    request: dict[str, Any] = {
        "TableName": table,
        "AttributeDefinitions": [{"AttributeName": name, "AttributeType": kind} for name, kind in key.items()],
        "KeySchema": _key_schema(list(key)),
        "BillingMode": "PAY_PER_REQUEST",
    }
    if indexes:
        request["AttributeDefinitions"] += index_attributes(*indexes)
        request["GlobalSecondaryIndexes"] = [index_request(index) for index in indexes]
    return request


def _key_schema(names: list[str]) -> list[dict[str, str]]:
    return [{"AttributeName": name, "KeyType": kind} for name, kind in zip(names, ("HASH", "RANGE"), strict=False)]


# ---------------------------------------------------------------------- keys


def key(text: str) -> str:
    """A text as a key: never empty, and never one of the store's own, whatever the text is."""
    return f"{OWN}={text}" if not text or text.startswith(OWN) else text


def overflow_id(owner: str, payload: str, digest: str, piece: int) -> str:
    return f"{OWN}overflow:{owner}:{payload}:{digest}:{piece}"


def tag_id(workflow_id: str, name: str, value: str) -> str:
    return f"{OWN}tag:{workflow_id}:{_hash(_joined(name, value))}"


def lease_id(name: str) -> str:
    return f"{OWN}lease:{name}"


@dataclass(frozen=True, slots=True)
class Lane:
    """A partition of an index."""

    index: Index
    value: str


def definition_lane(name: str) -> Lane:
    return Lane(Index.DEFINITION, _short(key(name)))


def definition_status_lane(name: str, status: WorkflowStatus, resolved: bool) -> Lane:
    return Lane(Index.DEFINITION_STATUS, _joined(name, *_state(status, resolved)))


def namespace_status_lane(namespace: str, status: WorkflowStatus, resolved: bool) -> Lane:
    return Lane(Index.NAMESPACE_STATUS, _joined(namespace, *_state(status, resolved)))


def definition_namespace_status_lane(name: str, namespace: str, status: WorkflowStatus, resolved: bool) -> Lane:
    return Lane(Index.DEFINITION_NAMESPACE_STATUS, _joined(name, namespace, *_state(status, resolved)))


def status_lane(status: WorkflowStatus, resolved: bool, shard: int) -> Lane:
    return Lane(Index.STATUS, _joined(*_state(status, resolved), str(shard)))


def everything_lane(shard: int) -> Lane:
    return Lane(Index.EVERYTHING, str(shard))


def queue_lane(queue: str, shard: int) -> Lane:
    return Lane(Index.QUEUE, _joined(queue, str(shard)))


def tag_lane(name: str, value: str, shard: int) -> Lane:
    return Lane(Index.TAGS, _joined(name, value, str(shard)))


def unfinished_lane(shard: int) -> Lane:
    return Lane(Index.UNFINISHED, str(shard))


def lanes_of(workflow: Workflow) -> list[Lane]:
    """The lanes that a workflow's own item is in; its tags have items of their own."""
    name, namespace = workflow.workflow_definition.name, workflow.namespace
    state = workflow.status, workflow.resolved_by_user
    shard = shard_of(workflow.id)
    lanes = [
        definition_lane(name),
        definition_status_lane(name, *state),
        namespace_status_lane(namespace, *state),
        definition_namespace_status_lane(name, namespace, *state),
        status_lane(*state, shard),
        everything_lane(shard),
        queue_lane(workflow.queue, shard),
    ]
    return lanes if workflow.status.final else [*lanes, unfinished_lane(shard)]


def shard_of(workflow_id: str) -> int:
    return zlib.crc32(workflow_id.encode()) % SHARDS


def _state(status: WorkflowStatus, resolved: bool) -> tuple[str, str]:
    return status.value, "resolved" if resolved else "unresolved"


def _joined(*parts: str) -> str:
    """Different parts make different texts."""
    return "|".join(_short(part.replace("%", "%25").replace("|", "%7C")) for part in parts)


def _short(text: str) -> str:
    return text if len(text.encode()) <= KEY_BYTES else "%sha256:" + _hash(text)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]


# ---------------------------------------------------------------------- order


def time_text(time: datetime) -> str:
    """A time as 26 characters that sort as times do: 2024-05-01T12:00:00.000000."""
    return time.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds")


def time_of(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def time_of_place(place: str) -> datetime:
    return time_of(place[:TIME_LENGTH])


def place_text(created_at: datetime, workflow_id: str) -> str:
    """A workflow's place in the order of lists."""
    return time_text(created_at) + workflow_id


def bound_text(microseconds: int, workflow_id: str) -> str:
    """A place that a list begins or ends at, which may be beyond all times (paging.Place)."""
    try:
        return place_text(_EPOCH + timedelta(microseconds=microseconds), workflow_id)
    except OverflowError:
        return BEFORE_ALL if microseconds < 0 else AFTER_ALL


def id_of(place: str) -> str:
    return place[TIME_LENGTH:]


STATES = tuple(product(WorkflowStatus, (False, True)))
"""Every status and resolution."""
