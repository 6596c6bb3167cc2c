"""The store in SQLite, in the embedded engine's file: writes are grouped by its writer, reads see what is committed.

Tables and indexes are sqlite_schema's business, lists sqlite_listing's; here are rows into values and back.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from operator import itemgetter
from typing import Any, TypeVar

import msgspec
from msgspec import Struct, field, structs

from workflow_manager.database import Batch, Database, DatabaseUnavailable
from workflow_manager.model import (
    UNSET_TIME,
    Job,
    Page,
    StateResource,
    Workflow,
    WorkflowChange,
    WorkflowDefinition,
    WorkflowQuery,
    WorkflowStatus,
)
from workflow_manager.model.errors import (
    StateResourceNotFound,
    StorageUnavailable,
    WorkflowAlreadyExists,
    WorkflowDefinitionAlreadyExists,
    WorkflowDefinitionNotFound,
    WorkflowNotFound,
)
from workflow_manager.store.changes import changed, definition_summary, job_summary
from workflow_manager.store.paging import Place, microseconds, page_token, range_of
from workflow_manager.store.sqlite_listing import select_page
from workflow_manager.store.sqlite_schema import (
    FULL_COLUMNS,
    LAST_UPDATED,
    PAYLOADS_PER_WORKFLOW,
    SCHEMA,
    SUMMARY_COLUMNS,
    UNFINISHED,
    Payload,
)

T = TypeVar("T")
Row = tuple[Any, ...]

DEFINITIONS_KEPT = 256
"""Versions kept decoded. A stored version never changes, so what is kept is never stale."""
MAX_INTEGER = 2**63 - 1

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_STATUSES = {str(status): status for status in WorkflowStatus}

_ORDER = itemgetter(1, 0)  # created_at, id
_SELECT_WORKFLOW = f"SELECT w.id, w.created_at, {FULL_COLUMNS} FROM workflows AS w WHERE w.id = ?"  # noqa: S608 - names only
_SELECT_UNFINISHED = (
    f"SELECT w.id, w.created_at, {SUMMARY_COLUMNS} FROM workflows AS w"  # noqa: S608 - names only
    f" WHERE {UNFINISHED} AND {LAST_UPDATED} < ? ORDER BY {LAST_UPDATED}, id LIMIT ?"
)
_SELECT_DEFINITION = "SELECT d.name, d.version, d.body, d.state_machine FROM definitions AS d"


class _Body(Struct, rename="camel", omit_defaults=True, frozen=True, kw_only=True):
    """What a list item shows besides the columns. ``definition`` only if it is not the stored version; no payloads."""

    last_updated: datetime
    stopped_at: datetime = UNSET_TIME
    status_reason: str = ""
    tags: dict[str, str] = field(default_factory=dict)
    last_job: Job | None = None
    retry_for: str = ""
    retries: list[str] | None = None
    definition: WorkflowDefinition | None = None


_BODY = msgspec.json.Decoder(_Body)
_DEFINITION = msgspec.json.Decoder(WorkflowDefinition)
_STATE_RESOURCE = msgspec.json.Decoder(StateResource)
_JOBS = msgspec.json.Decoder(list[Job])
_JOB = msgspec.json.Decoder(Job)


class SqliteStore:
    """Implements Store. The database stays its opener's to close."""

    def __init__(self, database: Database) -> None:
        database.migrate(SCHEMA)
        self._database = database
        self._kept_definition = lru_cache(DEFINITIONS_KEPT)(self._read_definition)
        self._kept_summary = lru_cache(DEFINITIONS_KEPT)(self._read_definition_summary)

    # ------------------------------------------------------------------ definitions

    async def save_definition(self, definition: WorkflowDefinition, /) -> WorkflowDefinition:
        def operation(batch: Batch) -> WorkflowDefinition:
            added = _rows(
                batch,
                "INSERT INTO definition_names VALUES (?, 0) ON CONFLICT DO NOTHING RETURNING latest_version",
                (definition.name,),
            )
            if not added:
                raise WorkflowDefinitionAlreadyExists(definition.name)
            return _insert_version(batch, definition, 0)

        return await self._write(operation)

    async def update_definition(self, definition: WorkflowDefinition, /) -> WorkflowDefinition:
        def operation(batch: Batch) -> WorkflowDefinition:
            allocated = _rows(
                batch,
                "UPDATE definition_names SET latest_version = latest_version + 1 WHERE name = ? RETURNING latest_version",
                (definition.name,),
            )
            if not allocated:
                raise WorkflowDefinitionNotFound(definition.name)
            return _insert_version(batch, definition, allocated[0][0])

        return await self._write(operation)

    async def definitions(self) -> list[WorkflowDefinition]:
        rows = self._read(
            f"{_SELECT_DEFINITION} JOIN definition_names AS n ON n.name = d.name AND n.latest_version = d.version"
            " ORDER BY n.name"
        )
        return [_definition(row) for row in rows]

    async def definition_versions(self, name: str, /) -> list[WorkflowDefinition]:
        rows = self._read(f"{_SELECT_DEFINITION} WHERE d.name = ? ORDER BY d.version", (name,))
        if not rows:
            raise WorkflowDefinitionNotFound(name)
        return [_definition(row) for row in rows]

    async def definition(self, name: str, version: int, /) -> WorkflowDefinition:
        return self._kept_definition(name, version)

    async def latest_definition(self, name: str, /) -> WorkflowDefinition:
        rows = self._read("SELECT latest_version FROM definition_names WHERE name = ?", (name,))
        if not rows:
            raise WorkflowDefinitionNotFound(name)
        return self._kept_definition(name, rows[0][0])

    def _read_definition(self, name: str, version: int) -> WorkflowDefinition:
        if not 0 <= version <= MAX_INTEGER:
            raise WorkflowDefinitionNotFound(name, version)
        rows = self._read(f"{_SELECT_DEFINITION} WHERE d.name = ? AND d.version = ?", (name, version))
        if not rows:
            raise WorkflowDefinitionNotFound(name, version)
        return _definition(rows[0])

    def _read_definition_summary(self, name: str, version: int) -> WorkflowDefinition:
        rows = self._read("SELECT body FROM definitions WHERE name = ? AND version = ?", (name, version))
        return _DEFINITION.decode(rows[0][0])

    # ------------------------------------------------------------------ workflows

    async def save_workflow(self, workflow: Workflow, /) -> None:
        definition = workflow.workflow_definition
        created_at = microseconds(workflow.created_at)
        own = not self._is_stored(definition)
        columns = (
            workflow.id,
            created_at,
            definition.name,
            definition.version,
            workflow.namespace,
            workflow.queue,
            workflow.status,
            workflow.resolved_by_user,
            _encode(_body_of(workflow, definition_summary(definition) if own else None)),
        )
        payloads = _payloads_of(workflow)
        if own and definition.state_machine is not None:
            payloads[Payload.STATE_MACHINE] = _encode(definition.state_machine)

        def operation(batch: Batch) -> None:
            added = _rows(
                batch,
                "INSERT INTO workflows (id, created_at, definition_name, definition_version, namespace, queue, status,"
                " resolved, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING RETURNING seq",
                columns,
            )
            if not added:
                raise WorkflowAlreadyExists(workflow.id)
            seq = added[0][0]
            for key, value in workflow.tags.items():
                batch.execute(
                    "INSERT INTO workflow_tags VALUES (?, ?, ?, ?, ?)", (key, value, created_at, workflow.id, seq)
                )
            for payload, payload_text in payloads.items():
                if payload_text is not None:
                    _write_payload(batch, seq, payload, payload_text)

        await self._write(operation)

    async def change_workflow(self, workflow_id: str, change: WorkflowChange, /) -> tuple[Workflow, bool]:
        """As the Protocol says. Changes that are asked for at once share one commit, however many they are."""

        def operation(batch: Batch) -> tuple[Workflow, bool]:
            rows = _rows(batch, _SELECT_WORKFLOW, (workflow_id,))
            if not rows:
                raise WorkflowNotFound(workflow_id)
            row = rows[0]
            seq, body, payloads = row[2], _BODY.decode(row[9]), row[10:]
            stored = self._workflow(row, body)
            after = changed(stored, change)
            if after is None:
                return stored, False
            text = _encode(_body_of(after, body.definition))
            if (after.status, after.resolved_by_user) == (stored.status, stored.resolved_by_user):
                batch.execute("UPDATE workflows SET body = ? WHERE seq = ?", (text, seq))  # touches no index
            else:
                batch.execute(
                    "UPDATE workflows SET status = ?, resolved = ?, body = ? WHERE seq = ?",
                    (after.status, after.resolved_by_user, text, seq),
                )
            for payload, value in _payloads_of(after).items():
                if value != payloads[payload]:
                    _write_payload(batch, seq, payload, value)
            return after, True

        return await self._write(operation)

    async def delete_workflow(self, workflow_id: str, /) -> None:
        def operation(batch: Batch) -> None:
            deleted = _rows(batch, "DELETE FROM workflows WHERE id = ? RETURNING seq, created_at, body", (workflow_id,))
            for seq, created_at, body in deleted:
                first = seq * PAYLOADS_PER_WORKFLOW
                batch.execute(
                    "DELETE FROM payloads WHERE id BETWEEN ? AND ?", (first, first + PAYLOADS_PER_WORKFLOW - 1)
                )
                for key, value in _BODY.decode(body).tags.items():
                    batch.execute(
                        "DELETE FROM workflow_tags WHERE key = ? AND value = ? AND created_at = ? AND id = ?",
                        (key, value, created_at, workflow_id),
                    )

        await self._write(operation)

    async def workflow(self, workflow_id: str, /) -> Workflow:
        rows = self._read(_SELECT_WORKFLOW, (workflow_id,))
        if not rows:
            raise WorkflowNotFound(workflow_id)
        return self._workflow(rows[0], _BODY.decode(rows[0][9]))

    async def workflows(self, query: WorkflowQuery, /) -> Page[Workflow]:
        sql, arguments = select_page(query, range_of(query), self._read)
        rows = sorted(self._read(sql, arguments), key=_ORDER, reverse=not query.oldest_first)
        if not rows:
            return Page(items=[])
        last_id, last_created_at = rows[-1][:2]
        item = self._workflow_summary if query.summary_only else self._workflow
        return Page(
            items=[item(row, _BODY.decode(row[9])) for row in rows],
            next_page_token=page_token(Place(last_created_at, last_id), oldest_first=query.oldest_first),
        )

    async def unfinished_workflows(self, updated_before: datetime, limit: int, /) -> list[Workflow]:
        before = msgspec.json.encode(updated_before).decode().strip('"').rstrip("Z")
        rows = self._read(_SELECT_UNFINISHED, (before, limit))
        return [self._workflow_summary(row, _BODY.decode(row[9])) for row in rows]

    def _is_stored(self, definition: WorkflowDefinition) -> bool:
        """Whether a workflow need not keep a copy. Compared as text: to Python, 1, 1.0 and true are equal."""
        try:
            stored = self._kept_definition(definition.name, definition.version)
        except WorkflowDefinitionNotFound:
            return False
        return stored is definition or _encode(stored) == _encode(definition)

    def _workflow_summary(self, row: Row, body: _Body) -> Workflow:
        """From an id, a created_at and SUMMARY_COLUMNS."""
        return _assembled(row, body, body.definition or self._kept_summary(row[3], row[4]))

    def _workflow(self, row: Row, body: _Body) -> Workflow:
        """From an id, a created_at and FULL_COLUMNS."""
        payloads = row[10:]
        definition = body.definition
        if definition is None:
            definition = self._kept_definition(row[3], row[4])
        elif (state_machine := payloads[Payload.STATE_MACHINE]) is not None:
            definition = structs.replace(definition, state_machine=msgspec.json.decode(state_machine))
        input_, jobs, last_job = payloads[Payload.INPUT], payloads[Payload.JOBS], payloads[Payload.LAST_JOB]
        return structs.replace(
            _assembled(row, body, definition),
            input="{}" if input_ is None else input_,
            output=payloads[Payload.OUTPUT] or "",
            jobs=None if jobs is None else _JOBS.decode(jobs),
            last_job=body.last_job if last_job is None else _JOB.decode(last_job),
        )

    # ------------------------------------------------------------------ state resources

    async def save_state_resource(self, resource: StateResource, /) -> None:
        row = (resource.namespace, resource.name, _encode(resource))

        def operation(batch: Batch) -> None:
            batch.execute("INSERT OR REPLACE INTO state_resources VALUES (?, ?, ?)", row)

        await self._write(operation)

    async def state_resource(self, namespace: str, name: str, /) -> StateResource:
        rows = self._read("SELECT body FROM state_resources WHERE namespace = ? AND name = ?", (namespace, name))
        if not rows:
            raise StateResourceNotFound(namespace, name)
        return _STATE_RESOURCE.decode(rows[0][0])

    async def delete_state_resource(self, namespace: str, name: str, /) -> None:
        def operation(batch: Batch) -> None:
            deleted = _rows(
                batch, "DELETE FROM state_resources WHERE namespace = ? AND name = ? RETURNING 1", (namespace, name)
            )
            if not deleted:
                raise StateResourceNotFound(namespace, name)

        await self._write(operation)

    # ------------------------------------------------------------------ leases

    async def take_lease(self, name: str, holder: str, now: datetime, until: datetime, /) -> bool:
        row = (name, holder, microseconds(until), microseconds(now))

        def operation(batch: Batch) -> bool:
            return bool(
                _rows(
                    batch,
                    "INSERT INTO leases VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET holder = ?2, ends = ?3"
                    " WHERE holder = ?2 OR ends <= ?4 RETURNING 1",
                    row,
                )
            )

        return await self._write(operation)

    async def release_lease(self, name: str, holder: str, /) -> None:
        def operation(batch: Batch) -> None:
            batch.execute("DELETE FROM leases WHERE name = ? AND holder = ?", (name, holder))

        await self._write(operation)

    # ------------------------------------------------------------------ the database

    async def close(self) -> None:
        """Nothing to let go of: the database is shared, and closed by who opened it."""

    def _read(self, sql: str, arguments: tuple[Any, ...] | dict[str, Any] = ()) -> list[Row]:
        try:
            return self._database.read(sql, arguments)
        except DatabaseUnavailable as error:
            raise StorageUnavailable(str(error)) from None

    async def _write(self, operation: Callable[[Batch], T]) -> T:
        try:
            return await self._database.write(operation)
        except DatabaseUnavailable as error:
            raise StorageUnavailable(str(error)) from None


def _encode(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _rows(batch: Batch, sql: str, arguments: tuple[Any, ...]) -> list[Row]:
    rows: list[Row] = batch.execute(sql, arguments).fetchall()
    return rows


def _definition(row: Row) -> WorkflowDefinition:
    _, _, body, state_machine = row
    return structs.replace(_DEFINITION.decode(body), state_machine=msgspec.json.decode(state_machine))


def _insert_version(batch: Batch, definition: WorkflowDefinition, version: int) -> WorkflowDefinition:
    stored = structs.replace(definition, version=version)
    batch.execute(
        "INSERT INTO definitions VALUES (?, ?, ?, ?)",
        (stored.name, version, _encode(definition_summary(stored)), _encode(stored.state_machine)),
    )
    return stored


def _body_of(workflow: Workflow, own_definition: WorkflowDefinition | None) -> _Body:
    return _Body(
        last_updated=workflow.last_updated,
        stopped_at=workflow.stopped_at,
        status_reason=workflow.status_reason,
        tags=workflow.tags,
        last_job=job_summary(workflow.last_job),
        retry_for=workflow.retry_for,
        retries=workflow.retries,
        definition=own_definition,
    )


def _assembled(row: Row, body: _Body, definition: WorkflowDefinition) -> Workflow:
    """Without payloads."""
    workflow_id, created_at, _, _, _, namespace, queue, status, resolved = row[:9]
    return Workflow(
        id=workflow_id,
        created_at=_EPOCH + timedelta(microseconds=created_at),
        last_updated=body.last_updated,
        stopped_at=body.stopped_at,
        status=_STATUSES[status],
        status_reason=body.status_reason,
        namespace=namespace,
        queue=queue,
        input="",
        tags=body.tags,
        workflow_definition=definition,
        last_job=body.last_job,
        retry_for=body.retry_for,
        retries=body.retries,
        resolved_by_user=bool(resolved),
    )


def _payloads_of(workflow: Workflow) -> dict[Payload, str | None]:
    """Each payload as text, None where it is the default and takes no row. The state machine is the definition's."""
    last_job = workflow.last_job
    return {
        Payload.INPUT: None if workflow.input == "{}" else workflow.input,
        Payload.OUTPUT: workflow.output or None,
        Payload.JOBS: None if workflow.jobs is None else _encode(workflow.jobs),
        Payload.LAST_JOB: _encode(last_job) if last_job is not None and (last_job.input or last_job.output) else None,
    }


def _write_payload(batch: Batch, seq: int, payload: Payload, value: str | None) -> None:
    payload_id = seq * PAYLOADS_PER_WORKFLOW + payload
    if value is None:
        batch.execute("DELETE FROM payloads WHERE id = ?", (payload_id,))
    else:
        batch.execute("INSERT OR REPLACE INTO payloads VALUES (?, ?)", (payload_id, value))
