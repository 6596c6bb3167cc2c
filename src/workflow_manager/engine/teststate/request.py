"""A TestState request, read: which state, with what; and everything for which one is refused."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from workflow_manager import asl
from workflow_manager.asl.compiler import MAX_STATE_NAME
from workflow_manager.asl.document import UnreadableDefinitionError, read_document
from workflow_manager.asl.jsontext import from_text
from workflow_manager.asl.program import Json, MapState, ParallelState, Program, State, TaskState
from workflow_manager.engine.core.data import Data
from workflow_manager.engine.operations.executions import parse_input
from workflow_manager.engine.operations.machine_settings import check_role
from workflow_manager.engine.operations.machines import invalid_definition
from workflow_manager.stepfunctions import types as t
from workflow_manager.stepfunctions.errors import InvalidDefinition, ValidationException

BARE_NAME = "StateName"
"""What a state is called that is given without a state machine around it."""


@dataclass(frozen=True, slots=True)
class Mock:
    """What stands for the work of a Task, Map or Parallel: a result, or an error.

    ``mode`` is how strictly a Task's result is held against its API (mock_schema.py).
    """

    result: Data | None = None
    mode: str = "NONE"
    error: str | None = None
    cause: str | None = None


@dataclass(frozen=True, slots=True)
class Trial:
    """What is tried. ``read`` is what an ItemReader would have read, as it stands in its source."""

    state: State
    input: Data
    variables: dict[str, Any]
    mock: Mock | None
    role_arn: str | None
    retries_made: int = 0
    iterations_failed: int | None = None
    read: str | None = None


def read_request(request: t.TestStateInput, limit_bytes: int) -> Trial:
    """Check a request. Raises InvalidArn, InvalidDefinition, InvalidExecutionInput, ValidationException."""
    _check_combinations(request)
    if request.role_arn is not None:
        check_role(request.role_arn)
    text = request.input if request.input is not None else "{}"
    data = Data(parse_input(text, limit_bytes), text)
    program, state = _find(request)
    mock = _mock(request, state)
    configuration = request.state_configuration or t.TestStateConfiguration()
    _check_origin(configuration.error_caused_by_state, state, program)
    return Trial(
        state=state,
        input=data,
        variables=_variables(request.variables),
        mock=mock,
        role_arn=request.role_arn,
        retries_made=configuration.retrier_retry_count or 0,
        iterations_failed=configuration.map_iteration_failure_count,
        read=configuration.map_item_reader_data,
    )


# ------------------------------------------------------------------------------------------- the request


def _check_combinations(request: t.TestStateInput) -> None:
    mock = request.mock
    if mock is None:
        configuration = request.state_configuration or t.TestStateConfiguration()
        for name, value in (
            ("RetrierRetryCount", configuration.retrier_retry_count),
            ("ErrorCausedByState", configuration.error_caused_by_state),
            ("MapIterationFailureCount", configuration.map_iteration_failure_count),
            ("MapItemReaderData", configuration.map_item_reader_data),
            ("Context", request.context),
        ):
            if value is not None:
                raise ValidationException(f"TestState does not support {name} when a mock is not specified.")
        return
    if mock.result is not None and mock.error_output is not None:
        raise ValidationException("A test mock should have only one of the following fields: [result, errorOutput].")
    if mock.result is None and mock.error_output is None:
        raise ValidationException("A test mock should have one of the following fields: [result, errorOutput].")
    if request.reveal_secrets:
        raise ValidationException("TestState does not support RevealSecrets when a mock is specified.")


def _variables(text: str | None) -> dict[str, Any]:
    if text is None:
        return {}
    try:
        variables = from_text(text)
    except ValueError:
        raise ValidationException("Variables must be valid JSON") from None
    if not isinstance(variables, dict):
        raise ValidationException("Variables must be a JSON object: names of variables, and their values")
    return variables


# ------------------------------------------------------------------------------------------- the state


def _find(request: t.TestStateInput) -> tuple[Program, State]:
    """Compile the definition, and find the state in it, at whatever depth."""
    if request.state_name is None:
        program = _compiled(_wrapped(request.definition))
        return program, program.graphs[0].states[BARE_NAME]
    program = _compiled(request.definition)
    for graph in program.graphs:
        if request.state_name in graph.states:
            return program, graph.states[request.state_name]
    raise ValidationException("State not found in definition")


def _compiled(definition: str | dict[str, Any]) -> Program:
    try:
        return asl.compile(definition)
    except asl.InvalidDefinition as refused:
        raise invalid_definition(refused.diagnostics, definition if isinstance(definition, str) else "") from None


def _wrapped(definition: str) -> dict[str, Any]:
    """A state as the one state of a state machine; where it leads, there is something."""
    try:
        state = read_document(definition).root
    except UnreadableDefinitionError as error:
        raise InvalidDefinition(
            f"Invalid State Machine Definition: '{asl.InvalidDefinition([error.diagnostic])}'"
        ) from None
    states: dict[str, Any] = {name: {"Type": "Succeed"} for name in _targets(state)}
    return {"StartAt": BARE_NAME, "States": {**states, BARE_NAME: state}}


def _targets(state: dict[str, Any]) -> Iterator[str]:
    taken = set(_inner_names(state))
    holders: list[Any] = [state]
    for name in ("Choices", "Catch"):
        rules = state.get(name)
        holders += rules if isinstance(rules, list) else []
    for holder in holders:
        for name in ("Next", "Default"):
            target = holder.get(name) if isinstance(holder, dict) else None
            if isinstance(target, str) and 1 <= len(target) <= MAX_STATE_NAME and target not in taken:
                yield target


def _inner_names(node: Json) -> Iterator[str]:
    """The names of the states inside a Map or Parallel: they are taken."""
    if isinstance(node, dict):
        states = node.get("States")
        if isinstance(states, dict):
            yield from states
        for value in node.values():
            yield from _inner_names(value)
    elif isinstance(node, list):
        for value in node:
            yield from _inner_names(value)


# ------------------------------------------------------------------------------------------- the mock

NEEDS_MOCK = (
    "TestState API does not support Map or Parallel states. "
    "Supported state types include: [Task, Wait, Pass, Succeed, Fail, Choice]"
)


def _mock(request: t.TestStateInput, state: State) -> Mock | None:
    given = request.mock
    if given is None:
        _check_without_mock(request, state)
        return None
    if not isinstance(state, TaskState | MapState | ParallelState):
        kind = type(state).__name__.removesuffix("State")
        raise ValidationException(f"State type '{kind}' is not supported when a mock is specified")
    if given.error_output is not None:
        if given.error_output.error is None:
            raise ValidationException("Mocked error output must have the field 'error'")
        return Mock(error=given.error_output.error, cause=given.error_output.cause)
    try:
        result = from_text(given.result or "")
    except ValueError:
        raise ValidationException("Mocked result must be valid JSON") from None
    configuration = request.state_configuration or t.TestStateConfiguration()
    if isinstance(state, TaskState):
        return Mock(Data(result, given.result), given.field_validation_mode or "STRICT")
    if isinstance(state, MapState):
        _check_map(state, result, configuration)
    else:
        _check_parallel(state, result)
    return Mock(Data(result, given.result))


def _check_without_mock(request: t.TestStateInput, state: State) -> None:
    if isinstance(state, MapState | ParallelState):
        raise InvalidDefinition(NEEDS_MOCK)
    if not isinstance(state, TaskState):
        return
    if state.resource.kind == "activity":
        raise InvalidDefinition("TestState API does not support Activity tasks when a mock is not specified.")
    if state.resource.pattern != "request_response":
        pattern = state.resource.pattern
        raise InvalidDefinition(
            f"TestState API does not support the .{pattern} service integration pattern when a mock is not specified."
        )
    if request.role_arn is None:
        raise ValidationException("RoleArn must be specified when testing a Task state")


def _check_parallel(state: ParallelState, result: Json) -> None:
    if not isinstance(result, list):
        raise ValidationException("Mocked result must be an array.")
    if len(result) != len(state.branches):
        raise ValidationException("Mocked result must contain the same number of items as number of Parallel branches.")


def _check_map(state: MapState, result: Json, configuration: t.TestStateConfiguration) -> None:
    if state.distributed is not None and state.distributed.get("ResultWriter") is not None:
        if not isinstance(result, dict):  # where the results are
            raise ValidationException("Mocked result must be an object.")
        return
    if not isinstance(result, list):
        raise ValidationException("Mocked result must be an array.")
    check_failure_count(configuration.map_iteration_failure_count, len(result))


def check_failure_count(failed: int | None, iterations: int) -> None:
    """Raises ValidationException."""
    if failed is not None and failed > iterations:
        raise ValidationException(
            "Map iteration failure count must be less than or equal to the number of Map iterations"
        )


def _check_origin(name: str | None, state: State, program: Program) -> None:
    """``errorCausedByState`` is a state inside the Map or Parallel."""
    if name is None:
        return
    graphs = {ParallelState: "branches", MapState: "processor"}
    member = graphs.get(type(state))
    if member is None:
        raise ValidationException("ErrorCausedByState is only supported for Map and Parallel states")
    inner = getattr(state, member)
    waiting = [inner] if isinstance(inner, int) else list(inner)
    while waiting:
        graph = program.graphs[waiting.pop()]
        if name in graph.states:
            return
        for other in graph.states.values():
            if isinstance(other, MapState):
                waiting.append(other.processor)
            elif isinstance(other, ParallelState):
                waiting += other.branches
    raise ValidationException(f"ErrorCausedByState '{name}' is not a state inside the state under test")
