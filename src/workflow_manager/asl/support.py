"""What a program needs that whoever runs it may lack: to be refused when a definition is saved, not found out at run time."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from .diagnostics import Diagnostic
from .program import MapState, Program, State, TaskState

CODE = "UNSUPPORTED_FEATURE"
"""AWS has no such code: it supports all of the language."""


def unsupported(program: Program, services: Mapping[str, Collection[str]]) -> list[Diagnostic]:
    """A diagnostic for every state that needs more than activities, inline Maps and these services.

    ``services``: service, as Resources spell it (``states``, ``lambda``, ``aws-sdk:sfn``) -> the actions that can be called.
    """
    return [
        Diagnostic(CODE, message, state.pointer + place)
        for graph in program.graphs
        for state in graph.states.values()
        for message, place in _lacking(state, services)
    ]


def _lacking(state: State, services: Mapping[str, Collection[str]]) -> Iterator[tuple[str, str]]:
    """(sentence, pointer within the state)."""
    if isinstance(state, MapState) and state.distributed is not None:
        message = f"The Map state '{state.name}' has the mode DISTRIBUTED, which is not supported here; use INLINE"
        yield message, "/ItemProcessor/ProcessorConfig/Mode"
    if isinstance(state, TaskState) and state.resource.kind != "activity":
        resource = state.resource
        service = "lambda" if resource.kind == "lambda" else resource.service
        needs = f"The Task state '{state.name}' needs '{service}"
        if service not in services:
            there = f"supported are activities and {', '.join(sorted(services))}"
            yield f"{needs}', which is not supported here; {there}", "/Resource"
        elif resource.action not in services[service]:
            there = f"supported of '{service}' are {', '.join(sorted(services[service]))}"
            yield f"{needs}:{resource.action}', which is not supported here; {there}", "/Resource"
