"""Definitions that the tests of the SDK load."""

from __future__ import annotations

from typing import Any


def task(resource: str, **fields: Any) -> dict[str, Any]:
    return {"Type": "Task", "Resource": resource, **({} if "Next" in fields else {"End": True}), **fields}


def definition(name: str, **states: dict[str, Any]) -> dict[str, Any]:
    """A definition that starts at the first of its states."""
    return {"name": name, "stateMachine": {"StartAt": next(iter(states)), "States": states}}
