"""The tables of the SQLite store, and what each write pays for their indexes.

``workflows`` holds what lists filter by and, as JSON in ``body``, what a list item shows besides. What may be big (input,
output, jobs) is a row of its own in ``payloads``, so that a summary does not read it and a change of status does not write it
again; a payload that has its default takes no row. A definition is stored once; a workflow names it by name and version, unless
it carries a changed one (a resumed workflow does): then ``body`` has the definition and ``payloads`` its state machine.

Every list is a walk along an index that ends in (created_at, id), the order of lists:

| index                   | its order is preceded by  | entries written when                          |
| ----------------------- | ------------------------- | --------------------------------------------- |
| workflows_by_definition | name, status, resolved    | saved, deleted, status or resolved changed    |
| workflows_by_namespace  | namespace, status, resolved | saved, deleted, status or resolved changed  |
| workflows_by_status     | status, resolved          | saved, deleted, status or resolved changed    |
| workflows_by_queue      | queue                     | saved, deleted                                |
| workflow_tags           | key, value                | saved, deleted; one per tag                   |

and one is in the order of their last update, which only unfinished workflows are in: ``workflows_unfinished``.

So a status change moves one entry in each of three indexes, and every other change none. What that buys: the failures among
a million successes are found at once, of one definition, in one namespace or overall. There is no index for the bare order: a
list without a status merges the walks of all statuses (sqlite_listing), which costs reads little and each save one entry less.
A queue is rarely asked for, and nearly all workflows are in the default one: it gets the one index that no change touches.
"""

from __future__ import annotations

from enum import IntEnum

from workflow_manager.model import WorkflowStatus

PAYLOADS_PER_WORKFLOW = 8
"""A payload's id is its workflow's ``seq`` times this, plus which payload it is."""


class Payload(IntEnum):
    """Which payload of a workflow a row of ``payloads`` is."""

    INPUT = 0
    OUTPUT = 1
    JOBS = 2
    LAST_JOB = 3
    STATE_MACHINE = 4


_STATUSES = ", ".join(f"'{status}'" for status in WorkflowStatus)

LAST_UPDATED = "rtrim(body ->> '$.lastUpdated', 'Z')"
"""When a workflow was last updated, as text that sorts as its time does (with the Z, a whole second would come last)."""

_unfinished = ", ".join(f"'{status}'" for status in WorkflowStatus if not status.final)
UNFINISHED = f"status IN ({_unfinished})"

SCHEMA = f"""
CREATE TABLE IF NOT EXISTS definition_names (
    name TEXT NOT NULL PRIMARY KEY,
    latest_version INTEGER NOT NULL CHECK (latest_version >= 0)
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS definitions (
    name TEXT NOT NULL REFERENCES definition_names,
    version INTEGER NOT NULL CHECK (version >= 0),
    body TEXT NOT NULL,
    state_machine TEXT NOT NULL,
    PRIMARY KEY (name, version)
);

CREATE TABLE IF NOT EXISTS workflows (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    created_at INTEGER NOT NULL,
    definition_name TEXT NOT NULL,
    definition_version INTEGER NOT NULL,
    namespace TEXT NOT NULL,
    queue TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ({_STATUSES})),
    resolved INTEGER NOT NULL CHECK (resolved IN (0, 1)),
    body TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS workflows_by_definition ON workflows (definition_name, status, resolved, created_at, id);
CREATE INDEX IF NOT EXISTS workflows_by_namespace ON workflows (namespace, status, resolved, created_at, id);
CREATE INDEX IF NOT EXISTS workflows_by_status ON workflows (status, resolved, created_at, id);
CREATE INDEX IF NOT EXISTS workflows_by_queue ON workflows (queue, created_at, id);
CREATE INDEX IF NOT EXISTS workflows_unfinished ON workflows ({LAST_UPDATED}, id) WHERE {UNFINISHED};

CREATE TABLE IF NOT EXISTS payloads (
    id INTEGER PRIMARY KEY,
    value TEXT NOT NULL
);

CREATE TABLE IF NOT EXISTS workflow_tags (
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    id TEXT NOT NULL,
    workflow INTEGER NOT NULL,
    PRIMARY KEY (key, value, created_at, id)
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS state_resources (
    namespace TEXT NOT NULL,
    name TEXT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (namespace, name)
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS leases (
    name TEXT NOT NULL PRIMARY KEY,
    holder TEXT NOT NULL,
    ends INTEGER NOT NULL
) WITHOUT ROWID;
"""

SUMMARY_COLUMNS = "w.seq, w.definition_name, w.definition_version, w.namespace, w.queue, w.status, w.resolved, w.body"
"""What follows a workflow's id and created_at, which every SELECT has first because an ORDER BY names them."""

_PAYLOAD_COLUMN = "(SELECT value FROM payloads WHERE id = w.seq * {0} + {1:d})"
FULL_COLUMNS = ", ".join(
    [SUMMARY_COLUMNS, *(_PAYLOAD_COLUMN.format(PAYLOADS_PER_WORKFLOW, payload) for payload in Payload)]
)
"""The same, and every payload in the order of Payload, NULL where there is none."""
