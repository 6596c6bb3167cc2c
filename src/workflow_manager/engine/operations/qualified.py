"""ListExecutions where versions and aliases come in: the executions of one, and which of them a list's executions came by.

Source: API reference, ListExecutions ("stateMachineArn") and ExecutionListItem.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from itertools import islice
from typing import Any

import msgspec

from workflow_manager.database import Database
from workflow_manager.engine.core.data import text_of
from workflow_manager.engine.operations.executions import STATUSES, Executions
from workflow_manager.engine.operations.machines import Machines
from workflow_manager.engine.operations.pages import page_of, page_token
from workflow_manager.engine.operations.versions import Versions
from workflow_manager.engine.shell.machine import Machine
from workflow_manager.stepfunctions import types as t
from workflow_manager.stepfunctions.arns import Arns, ParsedArn, parse
from workflow_manager.stepfunctions.errors import StateMachineTypeNotSupported


class QualifiedExecutions:
    def __init__(
        self, database: Database, arns: Arns, machines: Machines, versions: Versions, executions: Executions
    ) -> None:
        self._database = database
        self._arns = arns
        self._machines = machines
        self._versions = versions
        self._executions = executions

    def listed(self, request: t.ListExecutionsInput) -> t.ListExecutionsOutput:
        """Raises InvalidArn, InvalidToken, StateMachineDoesNotExist, and what Executions.listed does."""
        if request.state_machine_arn is None:
            return self._executions.listed(request)
        parsed = parse(request.state_machine_arn, "stateMachine")
        if parsed.qualifier is not None:
            machine, _, _ = self._versions.resolve(request.state_machine_arn)
            return self._of_qualifier(request, machine, parsed)
        found = self._executions.listed(request)
        machine = self._machines.get(request.state_machine_arn)
        came_by = self._came_by(machine, [item.name for item in found.executions])
        items = [self._qualified(item, machine, *came_by.get(item.name, (None, None))) for item in found.executions]
        return msgspec.structs.replace(found, executions=items)

    def _of_qualifier(
        self, request: t.ListExecutionsInput, machine: Machine, parsed: ParsedArn
    ) -> t.ListExecutionsOutput:
        if machine.type == "EXPRESS":
            raise StateMachineTypeNotSupported("This operation is not supported by this type of state machine")
        limit, before = page_of(request.max_results, request.next_token, int)
        column, value = ("version", parsed.version) if parsed.version is not None else ("alias", parsed.alias)
        statuses = (request.status_filter,) if request.status_filter is not None else STATUSES
        walks: list[Iterable[tuple[Any, ...]]] = [
            self._database.read(
                f"SELECT id, name, version, alias FROM execution WHERE machine = ? AND {column} = ? "  # noqa: S608 - two names
                "AND status = ? AND id < ? ORDER BY id DESC LIMIT ?",
                (machine.id, value, status, before if before is not None else 1 << 62, limit + 1),
            )
            for status in statuses
        ]
        rows = list(islice(heapq.merge(*walks, key=lambda row: -row[0]), limit + 1))
        return t.ListExecutionsOutput(
            executions=[
                self._qualified(self._item(machine, name), machine, version, alias)
                for _, name, version, alias in rows[:limit]
            ],
            next_token=page_token(rows[limit - 1][0]) if len(rows) > limit else None,
        )

    def _item(self, machine: Machine, name: str) -> t.ExecutionListItem:
        described = self._executions.describe(
            t.DescribeExecutionInput(execution_arn=machine.execution_arn(name), included_data="METADATA_ONLY")
        )
        shared = {
            field: getattr(described, field)
            for field in t.ExecutionListItem.__struct_fields__
            if hasattr(described, field)
        }
        return t.ExecutionListItem(**shared)

    def _came_by(self, machine: Machine, names: list[str]) -> dict[str, tuple[int | None, str | None]]:
        """Name of an execution -> version and alias by which it was started, where there is one."""
        if not names:
            return {}
        rows = self._database.read(
            "SELECT name, version, alias FROM execution WHERE machine = ? AND version IS NOT NULL "
            "AND name IN (SELECT value FROM json_each(?))",
            (machine.id, text_of(names)),
        )
        return {name: (version, alias) for name, version, alias in rows}

    def _qualified(
        self, item: t.ExecutionListItem, machine: Machine, version: int | None, alias: str | None
    ) -> t.ExecutionListItem:
        return msgspec.structs.replace(
            item,
            state_machine_version_arn=None if version is None else self._arns.state_machine(machine.name, version),
            state_machine_alias_arn=None if alias is None else self._arns.state_machine(machine.name, alias),
        )
