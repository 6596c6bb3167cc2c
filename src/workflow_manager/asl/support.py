"""What a Program asks for that the engine cannot do: found when the definition is saved, never at run time.

``services`` says which tasks the engine executes, each as ``activity``, ``lambda`` (functions named by their ARN), ``<service>``
or ``<service>:<action>``, for example ``{"activity", "states:startExecution", "aws-sdk:sfn"}``.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator

from .diagnostics import Diagnostic
from .program import MapState, Program, State, TaskState

CODE = "UNSUPPORTED_FEATURE"

EMBEDDED = frozenset({"activity", "states:startExecution", "aws-sdk:sfn"})
"""What an engine executes without any integration."""


NESTING = frozenset({"states:startExecution"})
"""Actions whose ``.sync`` the engine itself knows."""
NAMED = 10
"""How many SDK services a message names one by one."""


class Everything(Collection[str]):
    """All services there are: what an engine executes whose tasks may be mocked."""

    def __contains__(self, _: object) -> bool:
        return True

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


SETTINGS = {
    "activity": "",
    "lambda": "lambda_functions, lambda_endpoint or aws_integrations",
    "http": "http_connections or aws_integrations",
}
"""Service -> the settings that give it to an engine; of all others aws_integrations does."""

_Check = Callable[[State, Collection[str]], Iterator[tuple[str, str]]]


def unsupported(program: Program, services: Collection[str] = EMBEDDED) -> list[Diagnostic]:
    """List every state that an engine which executes ``services`` cannot run; empty when it can run the program."""
    return [
        Diagnostic(CODE, message, state.pointer + field)
        for graph in program.graphs
        for state in graph.states.values()
        for check in _CHECKS
        for message, field in check(state, services)
    ]


def _task(state: State, services: Collection[str]) -> Iterator[tuple[str, str]]:
    if not isinstance(state, TaskState):
        return
    resource = state.resource
    if resource.kind == "service":
        service = f"{resource.service}:{resource.action}"
        wanted = f"{service}.sync" if resource.pattern.startswith("sync") and service not in NESTING else service
        if resource.service in services or wanted in services:
            return
        if service in services:
            yield f"{service} cannot be run as a job ({resource.arn}); take its suffix away", "/Resource"
            return
    elif resource.kind in services:
        return
    else:
        service = resource.kind
    setting = SETTINGS.get(resource.service or resource.kind, "aws_integrations")
    yield (
        f"Tasks of {service} cannot be run here ({resource.arn}); what can: {', '.join(_named(services))}"
        + (f"; see the setting {setting}" if setting else ""),
        "/Resource",
    )


def _named(services: Collection[str]) -> list[str]:
    """The services in a sentence: an SDK's actions are many, its name says enough."""
    named = {name.rpartition(":")[0] if name.count(":") == 2 else name for name in services}
    if sum(name.startswith("aws-sdk:") for name in named) > NAMED:
        named = {name for name in named if not name.startswith("aws-sdk:")} | {"aws-sdk:*"}
    return sorted(named)


def _parquet(state: State, _services: Collection[str]) -> Iterator[tuple[str, str]]:
    reader = state.distributed["ItemReader"] if isinstance(state, MapState) and state.distributed is not None else None
    if reader is not None and reader["ReaderConfig"].get("InputType") == "PARQUET":
        yield (
            "Items cannot be read from Parquet here; use InputType CSV, JSON or JSONL",
            "/ItemReader/ReaderConfig/InputType",
        )


_CHECKS: tuple[_Check, ...] = (_task, _parquet)
