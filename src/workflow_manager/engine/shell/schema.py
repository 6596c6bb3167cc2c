"""The engine's tables.

Keys of history, frames and asides are ``execution << SHIFT | number``: rows of one execution lie together, new executions
append at the end, and no second index is needed. What is written when: a start that ends in the same step writes one
execution row and one history row; a step of a waiting execution writes one history row and the frames it touched. Frames
stay after an end that is not a success, for a redrive; those of a success go.

The children of a Map Run are executions whose ``machine`` is the run's id, negated: one index lists both. What they are to
work on waits in ``map_item`` under ``run << ITEM_SHIFT | index``.

The numbers of executions and Map Runs are never used again: ``forgotten`` has the highest of those that were deleted.
"""

from __future__ import annotations

SHIFT = 24
"""Bits for the number of an event or frame within its execution."""

NUMBER = (1 << SHIFT) - 1
"""The part of a key that is that number."""

ITEM_SHIFT = 32
"""Bits for the index of a child within its Map Run."""

LAST_NUMBER = """SELECT max(
    coalesce((SELECT max(id) FROM {0}), 0), coalesce((SELECT last FROM forgotten WHERE name = '{0}'), 0))"""
"""Of a table, ``execution`` or ``map_run``: the highest number that one of its rows has or had."""

SCHEMA = """
CREATE TABLE IF NOT EXISTS definition (
    id INTEGER PRIMARY KEY, hash BLOB NOT NULL UNIQUE, text TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS state_machine (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, status TEXT NOT NULL, definition INTEGER NOT NULL REFERENCES definition,
    role_arn TEXT NOT NULL, type TEXT NOT NULL, created REAL NOT NULL, updated REAL NOT NULL, revision TEXT,
    settings BLOB NOT NULL, versions INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS machine_version (
    machine INTEGER NOT NULL REFERENCES state_machine, version INTEGER NOT NULL, definition INTEGER NOT NULL,
    role_arn TEXT NOT NULL, settings BLOB NOT NULL, revision TEXT, description TEXT, created REAL NOT NULL,
    PRIMARY KEY (machine, version)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS machine_alias (
    machine INTEGER NOT NULL REFERENCES state_machine, name TEXT NOT NULL, description TEXT, routing BLOB NOT NULL,
    created REAL NOT NULL, updated REAL NOT NULL, PRIMARY KEY (machine, name)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS tag (
    arn TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (arn, key)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS execution (
    id INTEGER PRIMARY KEY, machine INTEGER NOT NULL, name TEXT NOT NULL, status TEXT NOT NULL,
    definition INTEGER NOT NULL, role_arn TEXT NOT NULL, start REAL NOT NULL, stop REAL, input TEXT NOT NULL, output TEXT,
    error TEXT, cause TEXT, trace TEXT, parent TEXT, version INTEGER, alias TEXT, UNIQUE (machine, name));
CREATE INDEX IF NOT EXISTS execution_status ON execution (machine, status);
CREATE INDEX IF NOT EXISTS execution_version ON execution (machine, version, status) WHERE version IS NOT NULL;
CREATE INDEX IF NOT EXISTS execution_alias ON execution (machine, alias, status) WHERE alias IS NOT NULL;
CREATE TABLE IF NOT EXISTS payload (
    id INTEGER PRIMARY KEY, hash BLOB NOT NULL UNIQUE, text TEXT NOT NULL, used INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS payload_used ON payload (used);
CREATE TABLE IF NOT EXISTS redrive (
    execution INTEGER PRIMARY KEY, count INTEGER NOT NULL, date REAL NOT NULL, token TEXT);
CREATE TABLE IF NOT EXISTS history (
    key INTEGER PRIMARY KEY, last INTEGER NOT NULL, events BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS frame (
    key INTEGER PRIMARY KEY, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS aside (
    key INTEGER PRIMARY KEY, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS timer (
    execution INTEGER NOT NULL, frame INTEGER NOT NULL, kind TEXT NOT NULL, due REAL NOT NULL,
    PRIMARY KEY (execution, frame, kind)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS timer_due ON timer (due);
CREATE TABLE IF NOT EXISTS activity (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, created REAL NOT NULL);
CREATE TABLE IF NOT EXISTS activity_task (
    execution INTEGER NOT NULL, frame INTEGER NOT NULL, event INTEGER NOT NULL, activity TEXT NOT NULL,
    state INTEGER NOT NULL, seq INTEGER NOT NULL, input TEXT NOT NULL, token TEXT NOT NULL,
    PRIMARY KEY (execution, frame)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS activity_task_queue ON activity_task (activity, seq) WHERE state < 2;
CREATE TABLE IF NOT EXISTS integration_call (
    execution INTEGER NOT NULL, frame INTEGER NOT NULL, event INTEGER NOT NULL, resource TEXT NOT NULL,
    arguments TEXT NOT NULL, token TEXT NOT NULL, role_arn TEXT, submitted TEXT, PRIMARY KEY (execution, frame)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS mocked (
    execution INTEGER PRIMARY KEY, test_case TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS map_run (
    id INTEGER PRIMARY KEY, execution INTEGER NOT NULL, machine INTEGER NOT NULL REFERENCES state_machine,
    label TEXT NOT NULL, run_id TEXT NOT NULL UNIQUE, express INTEGER NOT NULL, phase INTEGER NOT NULL, body BLOB NOT NULL,
    spec BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS map_run_of_execution ON map_run (execution);
CREATE INDEX IF NOT EXISTS map_run_live ON map_run (id) WHERE phase < 3;
CREATE TABLE IF NOT EXISTS map_item (
    key INTEGER PRIMARY KEY, items INTEGER NOT NULL, input TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS forgotten (
    name TEXT PRIMARY KEY, last INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS outbox (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, body BLOB NOT NULL);
"""
