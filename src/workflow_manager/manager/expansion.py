"""From the definition its author wrote to the one that Step Functions runs in a namespace.

At every depth: shorthand becomes ARNs, every Task gets the safety-net retrier, and Maps that build their items pass
``_EXECUTION_NAME`` on to them. The author's definition is never changed.
"""

from __future__ import annotations

import re
from typing import Any

from msgspec import Struct

from workflow_manager.manager.graphs import StateMachine, copied, states, uses_jsonata
from workflow_manager.manager.naming import Arns, resource_name
from workflow_manager.manager.resources import Lookup, registered_arn, shorthand
from workflow_manager.model import StateResourceType

EXECUTION_NAME = "_EXECUTION_NAME"
"""The field of every execution's input that holds the workflow's id."""

SAFETY_NET_ERROR = "sfncli.CommandTerminated"
SAFETY_NET = {
    "ErrorEquals": [SAFETY_NET_ERROR],
    "IntervalSeconds": 10,
    "MaxAttempts": 10,
    "BackoffRate": 1.0,
}
"""What every Task retries: its worker was shut down, which says nothing about the task."""

_RETRY = re.compile(r"/Retry/(?P<index>\d+)(?=/|$)")


class Expansion(Struct, frozen=True):
    """An expanded definition, the activities it needs, and the pointers to the states whose Retry grew at its front."""

    state_machine: StateMachine
    activities: frozenset[str]
    with_safety_net: frozenset[str]

    def as_written(self, pointer: str) -> str:
        """Where a place of the expanded definition is in the author's."""
        for retry in _RETRY.finditer(pointer):
            head, tail = pointer[: retry.start()], pointer[retry.end() :]
            if head in self.with_safety_net:
                index = int(retry["index"]) - 1
                return f"{head}/Retry/{index}{tail}" if index >= 0 else head
        return pointer


def expand(machine: StateMachine, namespace: str, arns: Arns, lookup: Lookup) -> Expansion:
    """Expand a definition for a namespace. ``lookup`` finds stored state resources of that namespace."""
    expanded = copied(machine)
    activities: set[str] = set()
    with_safety_net: set[str] = set()
    distributed: tuple[str, ...] = ()
    for at, _, state in states(expanded):
        match state.get("Type"):
            case "Task":
                _expand_resource(expanded, state, namespace, arns, lookup, activities)
                if _add_safety_net(state):
                    with_safety_net.add(at)
            case "Map":
                if not at.startswith(distributed):
                    _pass_execution_name_on(expanded, state)
                if _is_distributed(state):
                    distributed += (f"{at}/",)
    return Expansion(expanded, frozenset(activities), frozenset(with_safety_net))


def _expand_resource(
    machine: StateMachine, state: dict[str, Any], namespace: str, arns: Arns, lookup: Lookup, activities: set[str]
) -> None:
    """Replace shorthand in a Task; note the activity that it needs."""
    wanted = shorthand(state.get("Resource"))
    if wanted is None:
        return
    name = resource_name(namespace, wanted.name)
    if wanted.type is StateResourceType.GLUE_JOB:
        state["Resource"] = arns.glue_start_job_run
        field = "Arguments" if uses_jsonata(machine, state) else "Parameters"
        given = state.get(field, {})
        if isinstance(given, dict) and not given.keys() & {"JobName", "JobName.$"}:
            state[field] = {"JobName": name, **given}
        return
    registered = registered_arn(wanted, lookup)
    if registered is not None:
        state["Resource"] = registered
    elif wanted.type is StateResourceType.LAMBDA_FUNCTION_ARN:
        state["Resource"] = arns.function(name)
    else:
        state["Resource"] = arns.activity(name)
        activities.add(name)


def _add_safety_net(state: dict[str, Any]) -> bool:
    """Put our retrier first (States.ALL must stand last), unless the author names its error."""
    retriers = state.get("Retry", [])
    if not isinstance(retriers, list):
        return False
    for retrier in retriers:
        named = retrier.get("ErrorEquals") if isinstance(retrier, dict) else None
        if isinstance(named, list) and SAFETY_NET_ERROR in named:
            return False
    state["Retry"] = [SAFETY_NET, *retriers]
    return True


def _pass_execution_name_on(machine: StateMachine, state: dict[str, Any]) -> None:
    """Add the workflow's id where a Map builds its items. Where it hands them on as they are, they stay so.

    The id is taken from the context object, which always has it, rather than from the Map's input, in which an earlier
    state may not have kept it. Children of a distributed Map are executions with names of their own, so Maps inside of
    them are left alone.
    """
    name, value = f"{EXECUTION_NAME}.$", "$$.Execution.Name"
    fields = ["ItemSelector", "Parameters"]
    if uses_jsonata(machine, state):
        name, value = EXECUTION_NAME, "{% $states.context.Execution.Name %}"
        fields = ["ItemSelector"]
    for field in fields:
        template = state.get(field)
        if isinstance(template, dict) and not template.keys() & {EXECUTION_NAME, f"{EXECUTION_NAME}.$"}:
            state[field] = {**template, name: value}


def _is_distributed(state: dict[str, Any]) -> bool:
    processor = state.get("ItemProcessor", state.get("Iterator"))
    config = processor.get("ProcessorConfig") if isinstance(processor, dict) else None
    return isinstance(config, dict) and config.get("Mode") == "DISTRIBUTED"
