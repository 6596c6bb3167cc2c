"""Shorthand in a Task's Resource: which kind of thing it names, and which namespaced thing that is.

    echo            the activity ``{namespace}--echo``
    lambda:echo     the function ``{namespace}--echo``
    glue:echo       ``glue:startJobRun.sync`` with the JobName ``{namespace}--echo``
    arn:...         itself

A state resource that is stored for (namespace, name) says another ARN than the one that is derived.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from workflow_manager.manager.graphs import StateMachine, states
from workflow_manager.model import StateResource, StateResourceType

KINDS = {
    "lambda:": StateResourceType.LAMBDA_FUNCTION_ARN,
    "glue:": StateResourceType.GLUE_JOB,
}

Lookup = Callable[[str], StateResource | None]
"""A state resource by its name, in the namespace at hand."""


class Shorthand(NamedTuple):
    """What a Resource that is no ARN names."""

    name: str
    type: StateResourceType


def shorthand(resource: Any) -> Shorthand | None:
    """None when the Resource is an ARN, or nothing that can name something."""
    if not isinstance(resource, str) or not resource or resource.startswith("arn:"):
        return None
    for prefix, kind in KINDS.items():
        if resource.startswith(prefix):
            return Shorthand(resource.removeprefix(prefix), kind)
    return Shorthand(resource, StateResourceType.ACTIVITY_ARN)


def named_resources(machine: StateMachine) -> set[Shorthand]:
    """What the machine's Tasks name by shorthand."""
    found = (shorthand(state.get("Resource")) for _, _, state in states(machine) if state.get("Type") == "Task")
    return {each for each in found if each is not None}


def registered_arn(wanted: Shorthand, lookup: Lookup) -> str | None:
    """The ARN that a stored state resource gives, if there is one of the right kind.

    State resources do not tell activities from functions (the HTTP contract types them all as activities), so a function
    is recognised by its ARN.
    """
    stored = lookup(wanted.name)
    if stored is None or not stored.uri:
        return None
    if wanted.type is StateResourceType.LAMBDA_FUNCTION_ARN and ":lambda:" not in stored.uri:
        return None
    return stored.uri
