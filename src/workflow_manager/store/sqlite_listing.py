"""A query for workflows as one SELECT that walks indexes in the order of the list, and never sorts.

What is filtered by decides which index is walked; the remaining filters are checked on the way. An index whose order is
preceded by the status is walked once for each status and resolution that is asked for, all of them side by side, merged by
SQLite as they go: UNION ALL with an ORDER BY is a merge of its parts, each of which stands still until its next row is wanted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import product
from typing import Any

from workflow_manager.model import WorkflowQuery, WorkflowStatus
from workflow_manager.store.paging import Range
from workflow_manager.store.sqlite_schema import FULL_COLUMNS, SUMMARY_COLUMNS

Read = Callable[[str, dict[str, Any]], list[tuple[Any, ...]]]

FEW = 1000
"""Up to so many workflows with a tag are walked whatever else is asked for: each costs one look at its row."""

_COLUMNS = ("definition_name", "namespace", "queue")
_IN_RANGE = "({0}.created_at, {0}.id) >= (:first_at, :first_id) AND ({0}.created_at, {0}.id) < (:end_at, :end_id)"
_HAS_TAG = (
    "EXISTS (SELECT 1 FROM workflow_tags WHERE key = :key{0} AND value = :value{0}"
    " AND created_at = w.created_at AND id = w.id)"
)
_COUNT_TAG = (
    "SELECT count(*) FROM"
    " (SELECT 1 FROM workflow_tags AS t WHERE t.key = :key{0} AND t.value = :value{0} AND {1} LIMIT :few)"
)


def select_page(query: WorkflowQuery, places: Range, read: Read) -> tuple[str, dict[str, Any]]:
    """The SELECT for a page and its arguments. ``read`` is asked how common the tags are, if that decides the way.

    The walks are made over index entries alone where no check needs more; rows are looked up for what is on the page. Its rows
    are the page's, but SQL promises no order of a join: sort them (which costs nothing where they are sorted).
    """
    arguments = _arguments(query, places)
    tag = _tag_to_walk(query, arguments, read)
    parts = _along_workflows(query) if tag is None else [_along_tag(query, tag)]
    direction = "ASC" if query.oldest_first else "DESC"
    page = f"{' UNION ALL '.join(parts)} ORDER BY 2 {direction}, 1 {direction} LIMIT :limit"
    columns = SUMMARY_COLUMNS if query.summary_only else FULL_COLUMNS
    return (
        f"SELECT p.id, p.created_at, {columns} FROM ({page}) AS p CROSS JOIN workflows AS w ON w.seq = p.seq",  # noqa: S608
        arguments,
    )


def _arguments(query: WorkflowQuery, places: Range) -> dict[str, Any]:
    arguments: dict[str, Any] = {
        "first_at": places.first.created_at,
        "first_id": places.first.id,
        "end_at": places.end.created_at,
        "end_id": places.end.id,
        "limit": query.limit,
    }
    arguments.update((column, value) for column in _COLUMNS if (value := getattr(query, column)) is not None)
    for number, (key, value) in enumerate(query.tags.items()):
        arguments |= {f"key{number}": key, f"value{number}": value}
    return arguments


def _tag_to_walk(query: WorkflowQuery, arguments: dict[str, Any], read: Read) -> int | None:
    """The number of the rarest tag if walking it is the best way, or None if walking an index of ``workflows`` is.

    Nobody knows beforehand whether a tag is one order's number or in every workflow, so the entries in range are counted,
    up to a few. Walking a common tag is right only if no other index narrows the list.
    """
    if not query.tags:
        return None
    narrowed = bool(
        query.definition_name is not None
        or query.namespace is not None
        or query.statuses
        or query.resolved_by_user is not None
    )
    if len(query.tags) == 1 and not narrowed:
        return 0
    in_range = _IN_RANGE.format("t")
    counts = [
        read(_COUNT_TAG.format(number, in_range), arguments | {"few": FEW})[0][0] for number in range(len(query.tags))
    ]
    rarest = min(range(len(counts)), key=counts.__getitem__)
    return None if narrowed and counts[rarest] == FEW else rarest


def _along_tag(query: WorkflowQuery, tag: int) -> str:
    source = "workflow_tags AS t CROSS JOIN workflows AS w ON w.seq = t.workflow"  # CROSS JOIN keeps the tag's order
    conditions = [f"t.key = :key{tag}", f"t.value = :value{tag}", *_checks(query, without_tag=tag)]
    if query.statuses:
        conditions.append("w.status IN ({})".format(", ".join(f"'{status}'" for status in _statuses(query))))
    if query.resolved_by_user is not None:
        conditions.append(f"w.resolved = {query.resolved_by_user:d}")
    return _part("t", source, conditions)


def _along_workflows(query: WorkflowQuery) -> list[str]:
    """One part for each status and resolution along the index that fits, or a single one along the queue's."""
    by_status = bool(query.statuses) or query.resolved_by_user is not None
    if query.definition_name is not None:
        index = "workflows_by_definition"
    elif query.namespace is not None:
        index = "workflows_by_namespace"
    elif query.queue is not None and not by_status:
        return [_part("w", "workflows AS w INDEXED BY workflows_by_queue", list(_checks(query)))]
    else:
        index = "workflows_by_status"
    source = f"workflows AS w INDEXED BY {index}"
    checks = list(_checks(query))
    resolutions = (0, 1) if query.resolved_by_user is None else (int(query.resolved_by_user),)
    return [
        _part("w", source, [f"w.status = '{status}'", f"w.resolved = {resolved}", *checks])
        for status, resolved in product(_statuses(query), resolutions)
    ]


def _statuses(query: WorkflowQuery) -> list[WorkflowStatus]:
    """In the order of the enumeration, each once: equal queries make equal statements, which SQLite has prepared already."""
    return [status for status in WorkflowStatus if status in query.statuses or not query.statuses]


def _checks(query: WorkflowQuery, *, without_tag: int | None = None) -> Iterable[str]:
    for column in _COLUMNS:
        if getattr(query, column) is not None:
            yield f"w.{column} = :{column}"
    for number in range(len(query.tags)):
        if number != without_tag:
            yield _HAS_TAG.format(number)


def _part(walked: str, source: str, conditions: list[str]) -> str:
    """One walk. ``walked`` is the alias of the table whose index is walked: the order must be read from that."""
    where = " AND ".join([*conditions, _IN_RANGE.format(walked)])
    return f"SELECT {walked}.id, {walked}.created_at, w.seq FROM {source} WHERE {where}"  # noqa: S608 - names only
