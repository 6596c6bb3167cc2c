"""One state, tried: the same expressions in the same order as in an execution, and what each of them made.

Pure. ``before_work`` goes up to the arguments; then comes the state's work, which for a Task is done elsewhere or
mocked; ``after_work`` makes the output of its result, ``failed`` finds who handles its error. Which steps AWS reports for
which type is recorded in tests/conformance (``test_state``).
"""

from __future__ import annotations

import io
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from workflow_manager.asl.program import (
    ChoiceState,
    Env,
    FailState,
    Failure,
    Json,
    MapState,
    ParallelState,
    PassState,
    State,
    SucceedState,
    TaskState,
    WaitState,
)
from workflow_manager.engine.core import outcomes
from workflow_manager.engine.core.children import TOLERANCE_EXCEEDED
from workflow_manager.engine.core.data import Data, text_of
from workflow_manager.engine.core.distributed import batcher_of
from workflow_manager.engine.maps.item_batches import Batches, TooLarge
from workflow_manager.engine.maps.item_sources import Unreadable, items_of, readable
from workflow_manager.engine.tasks.integrations import HttpExchange
from workflow_manager.engine.teststate.request import Trial, check_failure_count
from workflow_manager.stepfunctions import types as t

LONGEST_SECONDS = 300
"""How long a trial may take (API reference, TestState)."""
EXCEEDED_CAUSE = "The specified tolerated failure threshold was exceeded"


@dataclass(slots=True)
class Attempt:
    """A trial under way. ``seen`` gathers what the inspection tells; ``assigned`` what the state put into variables.

    ``timeout_seconds`` is how long a Task's call may take, ``role_arn`` the role of its Credentials; ``exchanges`` are the HTTP
    requests that it made.
    """

    trial: Trial
    env: Env
    limit_bytes: int
    seen: t.InspectionData = field(default_factory=t.InspectionData)
    assigned: dict[str, Any] = field(default_factory=dict)
    next_state: str | None = None
    timeout_seconds: float = LONGEST_SECONDS
    role_arn: str | None = None
    exchanges: list[HttpExchange] = field(default_factory=list)

    @property
    def state(self) -> State:
        return self.trial.state

    def inspection(self) -> t.InspectionData:
        variables = self.trial.variables | self.assigned
        if variables:
            self.seen.variables = text_of(variables)
        return self.seen


# ------------------------------------------------------------------------------------------- before the work


def before_work(attempt: Attempt) -> Json:
    """Evaluate everything that comes before the state's work; answer what it works on. Raises Failure."""
    attempt.seen.input = attempt.trial.input.text
    attempt.env.input, attempt.env.given = attempt.trial.input.value, attempt.trial.input
    attempt.next_state = attempt.state.next
    return BEFORE[type(attempt.state)](attempt, attempt.state)


def _filtered(attempt: Attempt, state: State) -> Json:
    """The input after InputPath."""
    value = attempt.trial.input.value
    if state.jsonata:
        return value
    if state.input_path is not None:
        value = state.input_path(value, attempt.env)
    attempt.seen.after_input_path = text_of(value)
    return value


def _pass(attempt: Attempt, state: Any) -> Json:
    if state.result is not None:  # nothing else of the input is looked at, and AWS does not tell it
        result = state.result(None, attempt.env)
        attempt.seen.result = text_of(result)
        return result
    value = _filtered(attempt, state)
    if state.jsonata:
        return value
    if state.arguments is not None:
        value = state.arguments(value, attempt.env)
    attempt.seen.after_parameters = text_of(value)
    return value


def _task(attempt: Attempt, state: Any) -> Json:
    value, env = _filtered(attempt, state), attempt.env
    if state.arguments is not None:
        value = state.arguments(value, env)
    if state.jsonata:
        attempt.seen.after_arguments = text_of(value)
    else:
        attempt.seen.after_parameters = text_of(value)
    raw = attempt.trial.input.value
    if state.timeout_seconds is not None:
        attempt.timeout_seconds = min(state.timeout_seconds(raw, env), LONGEST_SECONDS)
    if state.heartbeat_seconds is not None:
        state.heartbeat_seconds(raw, env)
    if state.credentials is not None:
        attempt.role_arn = state.credentials(raw, env).get("RoleArn")
    return value


def _parallel(attempt: Attempt, state: Any) -> Json:
    """AWS tells nothing of what the branches get."""
    value = attempt.trial.input.value
    if state.input_path is not None:
        value = state.input_path(value, attempt.env)
    return value if state.arguments is None else state.arguments(value, attempt.env)


def _map(attempt: Attempt, state: Any) -> Json:
    value, env, seen = _filtered(attempt, state), attempt.env, attempt.seen
    fields = state.distributed or {}
    reader, batcher = fields.get("ItemReader"), fields.get("ItemBatcher")
    if reader is not None:
        items = _read(attempt, reader, value)
    else:
        items = state.items(value, env)
        if not state.jsonata:
            seen.after_items_path = text_of(items)
    selected = items
    if state.item_selector is not None:
        selected = [_selected(state, value, env, index, item) for index, item in enumerate(items)]
        seen.after_item_selector = text_of(selected)
    if batcher is not None:
        seen.after_item_batcher = _batched(attempt, batcher, value, selected)
    seen.max_concurrency = 0
    if state.max_concurrency is not None:
        seen.max_concurrency = int(state.max_concurrency(value, env))
    if state.tolerated_failure_count is not None:
        seen.tolerated_failure_count = int(state.tolerated_failure_count(value, env))
    if state.tolerated_failure_percentage is not None:
        seen.tolerated_failure_percentage = float(state.tolerated_failure_percentage(value, env))
    return items


def _read(attempt: Attempt, reader: Any, value: Json) -> list[Json]:
    """The items in what the request says that the ItemReader read. Raises Failure.

    Of a listing or a manifest, whose objects are not there, an array of the items will do.
    """
    text, config = attempt.trial.read, reader["ReaderConfig"]
    if text is None:
        return []
    if config.get("InputType") not in ("JSON", "JSONL", "CSV") or config.get("ManifestType") is not None:
        config = {"InputType": "JSON"} if text.lstrip().startswith("[") or "InputType" not in config else config
    most = int(reader["MaxItems"](value, attempt.env)) if reader["MaxItems"] is not None else 0
    found = items_of(io.BytesIO(text.encode()), config, _nothing_else)
    try:
        items = list(itertools.islice(readable(found), most or None))
    except Unreadable as error:
        raise Failure("States.ItemReaderFailed", str(error), runtime=False) from None
    if config.get("ItemsPointer"):
        attempt.seen.after_items_pointer = text_of(items)
    return items


def _nothing_else(bucket: str, key: str) -> BinaryIO:
    raise Unreadable(f"There is no object {key} in {bucket}: only what the ItemReader reads first is given.")


def _batched(attempt: Attempt, fields: Any, value: Json, items: list[Json]) -> str:
    """The inputs of the children, as an array's text. Raises Failure."""
    batches = Batches(batcher_of(fields, value, attempt.env, attempt.limit_bytes))
    try:
        made = [batch.text for item in items for batch in batches.add(item)]
    except TooLarge as error:
        raise Failure("States.DataLimitExceeded", str(error), runtime=False) from None
    return f"[{','.join([*made, *(batch.text for batch in batches.rest())])}]"


def _selected(state: MapState, value: Json, env: Env, index: int, item: Json) -> Json:
    assert state.item_selector is not None
    inner = Env(
        lambda: env.context | {"Map": {"Item": {"Index": index, "Value": item}}},
        env.variables,
        uuid=env.uuid,
        random=env.random,
        now=env.now,
    )
    inner.input, inner.given = env.input, env.given
    return state.item_selector(value, inner)


def _choice(attempt: Attempt, state: Any) -> Json:
    value = _filtered(attempt, state)
    rule = next((rule for rule in state.rules if rule.condition(value, attempt.env)), None)
    if rule is None and state.default is None:
        raise Failure(
            "States.NoChoiceMatched",
            "Failed to transition out of the state. The state does not point to a next state.",
        )
    chosen = state if rule is None else rule
    attempt.next_state = state.default if rule is None else rule.next
    output = value if chosen.output is None else chosen.output(value, attempt.env)
    if chosen.assign is not None:
        attempt.assigned = chosen.assign(value, attempt.env)
    return output


def _wait(attempt: Attempt, state: Any) -> Json:
    """How long is evaluated, but not waited for."""
    value = _filtered(attempt, state)
    (state.timestamp if state.seconds is None else state.seconds)(value, attempt.env)
    return value


def _fail(attempt: Attempt, state: Any) -> Json:
    value = _filtered(attempt, state)
    error = state.error(value, attempt.env) if state.error is not None else None
    cause = state.cause(value, attempt.env) if state.cause is not None else None
    raise StateFailed(error, cause)


class StateFailed(Exception):
    """What a Fail state does."""

    def __init__(self, error: str | None, cause: str | None) -> None:
        super().__init__(error, cause)
        self.error = error
        self.cause = cause


BEFORE: dict[type[State], Callable[[Attempt, Any], Json]] = {
    PassState: _pass,
    TaskState: _task,
    ParallelState: _parallel,
    MapState: _map,
    ChoiceState: _choice,
    WaitState: _wait,
    SucceedState: _filtered,
    FailState: _fail,
}

# ------------------------------------------------------------------------------------------- after it


def check_tolerance(attempt: Attempt, items: list[Json]) -> None:
    """Fail a Map of which more iterations failed than it tolerates. Raises Failure, ValidationException.

    One that says nothing of what it tolerates succeeds, however many the request says have failed (recorded from AWS).
    """
    failed, seen = attempt.trial.iterations_failed, attempt.seen
    if failed is None:
        return
    check_failure_count(failed, len(items))
    count, percentage = seen.tolerated_failure_count, seen.tolerated_failure_percentage
    share = failed * 100 / len(items) if items else 0
    if (count is not None and failed > count) or (percentage is not None and share > percentage):
        raise Failure(TOLERANCE_EXCEEDED, EXCEEDED_CAUSE, runtime=False)


def after_work(attempt: Attempt, result: Json) -> t.TestStateOutput:
    """Make the output of what the state's work made. Raises Failure."""
    state, env = attempt.state, attempt.env
    if isinstance(state, TaskState):
        attempt.seen.result = text_of(result)
    assigned: dict[str, Any] | None = None
    if isinstance(state, ChoiceState):
        output, assigned = result, attempt.assigned
        if state.output_path is not None:
            output = state.output_path(result, env)
    elif state.jsonata:
        env.result = result
        assigned = None if state.assign is None else state.assign(None, env)
        output = result if state.output is None else state.output(None, env)
    else:
        output, assigned = _jsonpath_output(attempt, state, result)
    data = Data(output)
    if data.exceeds(attempt.limit_bytes):
        raise outcomes.too_large(state.name)
    attempt.assigned = assigned or {}  # only of a state that succeeds
    return t.TestStateOutput(output=data.text, next_state=attempt.next_state, status="SUCCEEDED")


def _jsonpath_output(attempt: Attempt, state: State, result: Json) -> tuple[Json, dict[str, Any] | None]:
    """(output, what is assigned)."""
    env, tells = attempt.env, isinstance(state, PassState | TaskState | ParallelState | MapState)
    selector = getattr(state, "result_selector", None)
    placed = getattr(state, "result_path", None)
    if selector is not None:
        result = selector(result, env)
    if tells:
        attempt.seen.after_result_selector = text_of(result)
    assigned = None if state.assign is None else state.assign(result, env)
    output = result if placed is None else placed(attempt.trial.input.value, result)
    if tells:
        attempt.seen.after_result_path = text_of(output)
    return (output if state.output_path is None else state.output_path(output, env)), assigned


def failed(attempt: Attempt, error: str | None, cause: str | None) -> t.TestStateOutput:
    """What an error leads to: another try, a catcher, or the end."""
    state = attempt.state
    if isinstance(state, TaskState | ParallelState | MapState):
        handled = _retried(attempt, state, error, cause)
        if handled is None:
            try:
                handled = _caught(attempt, state, error, cause)
            except Failure as failure:  # in the catcher's own fields
                error, cause = failure.error, failure.cause
        if handled is not None:
            return handled
    return t.TestStateOutput(error=error, cause=cause, status="FAILED")


def _retried(
    attempt: Attempt, state: TaskState | ParallelState | MapState, error: str | None, cause: str | None
) -> t.TestStateOutput | None:
    """The first retrier that matches is told of, even when it has no attempt left."""
    if error == "States.Runtime":
        return None
    matching = (i for i, retrier in enumerate(state.retry) if outcomes.matches(retrier.error_equals, error))
    index = next(matching, None)
    if index is None:
        return None
    retrier, made = state.retry[index], attempt.trial.retries_made
    details = attempt.seen.error_details = t.InspectionErrorDetails(retry_index=index)
    if made >= retrier.max_attempts:
        return None
    details.retry_backoff_interval_seconds = int(outcomes.retry_delay(retrier, made))
    return t.TestStateOutput(error=error, cause=cause, status="RETRIABLE")


def _caught(
    attempt: Attempt, state: TaskState | ParallelState | MapState, error: str | None, cause: str | None
) -> t.TestStateOutput | None:
    """Raises Failure."""
    matching = (i for i, catcher in enumerate(state.catch) if outcomes.matches(catcher.error_equals, error))
    index = next(matching, None)
    if index is None:
        return None
    catcher = state.catch[index]
    output, assigned = outcomes.caught(state, catcher, error, cause, attempt.trial.input.value, attempt.env)
    attempt.assigned = assigned or {}
    details = attempt.seen.error_details or t.InspectionErrorDetails()
    details.catch_index = index
    attempt.seen.error_details = details
    return t.TestStateOutput(
        output=text_of(output), error=error, cause=cause, next_state=catcher.next, status="CAUGHT_ERROR"
    )


def finish(attempt: Attempt, work: Json) -> t.TestStateOutput:
    """Go on when the work is done, or mocked: ``work`` is what before_work answered, or of a Task what its call did."""
    mock = attempt.trial.mock
    try:
        if mock is not None and mock.result is None:
            return failed(attempt, mock.error, mock.cause)
        if isinstance(attempt.state, MapState):
            check_tolerance(attempt, work)
        return after_work(attempt, work if mock is None or mock.result is None else mock.result.value)
    except Failure as failure:
        return failed(attempt, failure.error, failure.cause)
