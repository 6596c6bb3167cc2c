"""Definitions, workflows and state resources as items of DynamoDB, and back: pure.

An item takes at most 400 KB, and each KB of it is paid for whenever anything of it changes. So what may be big (a state machine,
input, output, jobs) is a *payload*: an attribute that holds the text itself when it is short, else the text compressed, and if
that is still big, a reference to *pieces*, items of their own. A piece is named after what it holds, so it never changes: a new
value makes new pieces, written before the item that refers to them. Nothing is ever cut off or left out.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
import zstandard
from msgspec import Struct, field, structs

from workflow_manager.model import (
    UNSET_TIME,
    Job,
    StateResource,
    Workflow,
    WorkflowDefinition,
    WorkflowStatus,
)
from workflow_manager.store import dynamodb_schema as schema
from workflow_manager.store.changes import definition_summary, job_summary

Item = dict[str, Any]
"""As the low-level client has it: attribute -> {type: value}."""

COMPRESSED_FROM_BYTES = 1024
"""Shorter texts stay as they are: they can be read in the console, and compressing them would save no write unit."""
INLINE_BYTES = 8 * 1024
"""A compressed payload up to this stays in its item. Five of them leave an item far below 400 KB."""
PIECE_BYTES = 380 * 1024

INPUT, OUTPUT, JOBS, LAST_JOB, STATE_MACHINE, BODY = "input", "output", "jobs", "lastJob", "stateMachine", "body"
REVISION, TTL, PIECES_TTL = "_rev", "_ttl", "_pieces-ttl"
"""A write's own name; when an item expires, and when what derives from it does, in seconds since the epoch."""
DATA = "data"

_COMPRESSION_LEVEL = 3


class _Body(Struct, rename="camel", omit_defaults=True, frozen=True, kw_only=True):
    """What is neither filtered by nor big. ``own_machine``: the state machine is kept here, not that of the version."""

    stopped_at: datetime = UNSET_TIME
    status_reason: str = ""
    tags: dict[str, str] = field(default_factory=dict)
    last_job: Job | None = None
    retry_for: str = ""
    retries: list[str] | None = None
    definition: WorkflowDefinition
    own_machine: bool = False


_BODY = msgspec.json.Decoder(_Body)
_DEFINITION = msgspec.json.Decoder(WorkflowDefinition)
_STATE_RESOURCE = msgspec.json.Decoder(StateResource)
_JOBS = msgspec.json.Decoder(list[Job])
_JOB = msgspec.json.Decoder(Job)


def encoded(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def text(value: str) -> dict[str, str]:
    return {"S": value}


def number(value: int) -> dict[str, str]:
    return {"N": str(value)}


# ---------------------------------------------------------------------- payloads


@dataclass(frozen=True, slots=True)
class Reference:
    """What an attribute holds of a payload that lies in pieces of its own."""

    payload: str
    digest: str
    pieces: int

    def ids(self, owner: str) -> list[str]:
        return [schema.overflow_id(owner, self.payload, self.digest, piece) for piece in range(self.pieces)]

    @property
    def attribute(self) -> dict[str, Any]:
        return {"M": {"digest": text(self.digest), "pieces": number(self.pieces)}}


def packed(owner: str, payload: str, value: str) -> tuple[dict[str, Any], dict[str, bytes]]:
    """A payload as an attribute, and the pieces it refers to: id -> what it holds."""
    raw = value.encode()
    if len(raw) < COMPRESSED_FROM_BYTES:
        return text(value), {}
    small = zstandard.ZstdCompressor(level=_COMPRESSION_LEVEL).compress(raw)
    if len(small) <= INLINE_BYTES:
        return {"B": small}, {}
    pieces = [small[start : start + PIECE_BYTES] for start in range(0, len(small), PIECE_BYTES)]
    reference = Reference(payload, hashlib.sha256(raw).hexdigest()[:32], len(pieces))
    return reference.attribute, dict(zip(reference.ids(owner), pieces, strict=True))


def all_packed(owner: str, texts: dict[str, str]) -> tuple[dict[str, Item], dict[str, bytes]]:
    """Payloads as attributes, and the pieces that these refer to."""
    attributes: dict[str, Item] = {}
    pieces: dict[str, bytes] = {}
    for name, value in texts.items():
        attributes[name], more = packed(owner, name, value)
        pieces |= more
    return attributes, pieces


def piece_ids(item: Item, owner: str) -> set[str]:
    return {piece for reference in references(item).values() for piece in reference.ids(owner)}


def unpacked(attribute: dict[str, Any]) -> str:
    """The text of a payload that is in its item."""
    if "S" in attribute:
        plain: str = attribute["S"]
        return plain
    return decompressed(attribute["B"])


def decompressed(data: bytes) -> str:
    return zstandard.ZstdDecompressor().decompress(data).decode()


def references(item: Item) -> dict[str, Reference]:
    """Payload -> its reference, for those of an item that lie in pieces."""
    return {
        name: Reference(name, attribute["M"]["digest"]["S"], int(attribute["M"]["pieces"]["N"]))
        for name in (INPUT, OUTPUT, JOBS, LAST_JOB, STATE_MACHINE, BODY)
        if "M" in (attribute := item.get(name, {}))
    }


# ---------------------------------------------------------------------- definitions


def definition_item(definition: WorkflowDefinition) -> tuple[Item, dict[str, bytes]]:
    """One version, and the pieces of its state machine."""
    body = encoded(definition_summary(definition))
    item: Item = {"name": text(schema.key(definition.name)), "version": number(definition.version)}
    owner = definition_owner(item)
    pieces: dict[str, bytes] = {}
    for name, value in ((BODY, body), (STATE_MACHINE, encoded(definition.state_machine))):
        item[name], more = packed(owner, name, value)
        pieces |= more
    return item, pieces


def definition_owner(item: Item) -> str:
    """What the pieces of a version are named after."""
    return f"{item['name']['S']}:{item['version']['N']}"


def definition_piece_key(piece: str) -> Item:
    return {"name": text(piece), "version": number(0)}


def definition_of(payloads: dict[str, str]) -> WorkflowDefinition:
    """From the texts of its payloads."""
    return structs.replace(
        _DEFINITION.decode(payloads[BODY]), state_machine=msgspec.json.decode(payloads[STATE_MACHINE])
    )


# ---------------------------------------------------------------------- workflows


def workflow_texts(workflow: Workflow, *, own_machine: bool) -> dict[str, str]:
    """The texts of a workflow's payloads; those that are as by default are left out.

    ``own_machine``: whether its state machine is not that of the stored version, and must be kept with it.
    """
    last_job, definition = workflow.last_job, workflow.workflow_definition
    body = _Body(
        stopped_at=workflow.stopped_at,
        status_reason=workflow.status_reason,
        tags=workflow.tags,
        last_job=job_summary(last_job),
        retry_for=workflow.retry_for,
        retries=workflow.retries,
        definition=definition_summary(definition),
        own_machine=own_machine,
    )
    texts = {BODY: encoded(body)}
    if workflow.input != "{}":
        texts[INPUT] = workflow.input
    if workflow.output:
        texts[OUTPUT] = workflow.output
    if workflow.jobs is not None:
        texts[JOBS] = encoded(workflow.jobs)
    if last_job is not None and (last_job.input or last_job.output):
        texts[LAST_JOB] = encoded(last_job)
    if own_machine and definition.state_machine is not None:
        texts[STATE_MACHINE] = encoded(definition.state_machine)
    return texts


def workflow_item(
    workflow: Workflow, payloads: dict[str, Item], *, revision: str, expires: int, pieces_expire: int
) -> Item:
    """A workflow's own item. ``payloads`` are its packed texts; times are in seconds since the epoch."""
    item: Item = {
        REVISION: text(revision),
        TTL: number(expires),
        PIECES_TTL: number(pieces_expire),
        "id": text(schema.key(workflow.id)),
        "status": text(workflow.status.value),
        "resolvedByUser": {"BOOL": workflow.resolved_by_user},
        "namespace": text(workflow.namespace),
        "queue": text(workflow.queue),
        schema.PLACE: text(schema.place_text(workflow.created_at, workflow.id)),
        "lastUpdated": text(schema.time_text(workflow.last_updated)),
        **payloads,
    }
    for lane in schema.lanes_of(workflow):
        item[schema.LANE_ATTRIBUTE[lane.index]] = text(lane.value)
    if not workflow.status.final:
        item[schema.LAST_UPDATED] = text(schema.place_text(workflow.last_updated, workflow.id))
    return item


def tag_items(workflow: Workflow, expires: int) -> list[Item]:
    """The items that put a workflow into the lanes of its tags."""
    shard = schema.shard_of(workflow.id)
    return [
        {
            "id": text(schema.tag_id(workflow.id, name, value)),
            schema.LANE_ATTRIBUTE[schema.Index.TAGS]: text(schema.tag_lane(name, value, shard).value),
            schema.PLACE: text(schema.place_text(workflow.created_at, workflow.id)),
            TTL: number(expires),
        }
        for name, value in workflow.tags.items()
    ]


def tag_ids(workflow: Workflow) -> list[str]:
    return [schema.tag_id(workflow.id, name, value) for name, value in workflow.tags.items()]


def workflow_summary(item: Item, body: str) -> tuple[Workflow, bool]:
    """Without state machine, input, output and jobs; and whether it keeps a state machine of its own."""
    place, rest = item[schema.PLACE]["S"], _BODY.decode(body)
    summary = Workflow(
        id=schema.id_of(place),
        created_at=schema.time_of_place(place),
        last_updated=schema.time_of(item["lastUpdated"]["S"]),
        stopped_at=rest.stopped_at,
        status=WorkflowStatus(item["status"]["S"]),
        status_reason=rest.status_reason,
        namespace=item["namespace"]["S"],
        queue=item["queue"]["S"],
        input="",
        tags=rest.tags,
        workflow_definition=rest.definition,
        last_job=rest.last_job,
        retry_for=rest.retry_for,
        retries=rest.retries,
        resolved_by_user=item["resolvedByUser"]["BOOL"],
    )
    return summary, rest.own_machine


def workflow_of(summary: Workflow, payloads: dict[str, str], state_machine: dict[str, Any] | None) -> Workflow:
    """A whole workflow. ``state_machine`` is that of the stored version, unless the workflow keeps its own."""
    if STATE_MACHINE in payloads:
        state_machine = msgspec.json.decode(payloads[STATE_MACHINE])
    return structs.replace(
        summary,
        workflow_definition=structs.replace(summary.workflow_definition, state_machine=state_machine),
        input=payloads.get(INPUT, "{}"),
        output=payloads.get(OUTPUT, ""),
        jobs=_JOBS.decode(payloads[JOBS]) if JOBS in payloads else None,
        last_job=_JOB.decode(payloads[LAST_JOB]) if LAST_JOB in payloads else summary.last_job,
    )


# ---------------------------------------------------------------------- state resources


def state_resource_key(namespace: str, name: str) -> Item:
    return {"name": text(schema.key(name)), "namespace": text(schema.key(namespace))}


def state_resource_item(resource: StateResource) -> Item:
    return {**state_resource_key(resource.namespace, resource.name), BODY: text(encoded(resource))}


def state_resource_of(item: Item) -> StateResource:
    return _STATE_RESOURCE.decode(item[BODY]["S"])
