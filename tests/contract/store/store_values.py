"""Values for the store's tests, with what a test does not care about filled in."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from workflow_manager.model import Workflow, WorkflowDefinition

T0 = datetime(2024, 5, 1, 12, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def definition(name: str = "d", version: int = 0, **fields: Any) -> WorkflowDefinition:
    machine = {"StartAt": "S", "States": {"S": {"Type": "Succeed"}}}
    made = {"id": f"{name}-{version}", "created_at": T0, "state_machine": machine} | fields
    return WorkflowDefinition(name=name, version=version, **made)


def workflow(id: str = "w", **fields: Any) -> Workflow:  # noqa: A002 - the field's name
    made: dict[str, Any] = {
        "created_at": T0,
        "last_updated": T0,
        "namespace": "n",
        "workflow_definition": definition(),
        "jobs": [],
        "retries": [],
    }
    return Workflow(id=id, **(made | fields))
