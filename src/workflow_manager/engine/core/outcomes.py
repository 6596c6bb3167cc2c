"""How a state ends: well, with an error that is retried or caught, or with one that goes up to the frame around it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from workflow_manager.asl.program import (
    Catcher,
    ChoiceState,
    Env,
    Failure,
    Json,
    MapState,
    ParallelState,
    PassState,
    Retrier,
    State,
    SucceedState,
    TaskState,
    WaitState,
)
from workflow_manager.engine.core import children, distributed
from workflow_manager.engine.core.data import Data, text_of
from workflow_manager.engine.core.draft import NOT_TRUNCATED, Draft
from workflow_manager.engine.core.frames import ROOT, Frame, Phase
from workflow_manager.engine.core.stimuli import Outcome

UNCATCHABLE = {"States.Runtime"}
"""What States.ALL does not match (ASL, "Errors"). It does match States.DataLimitExceeded, whatever the SFN developer guide
says: recorded from AWS."""


def guarded(draft: Draft, frame: Frame, work: Callable[[], None]) -> None:
    """Do a state's work; a Failure in it fails the state."""
    try:
        work()
    except Failure as failure:
        fail_by(draft, frame, failure)


def fail_by(draft: Draft, frame: Frame, failure: Failure) -> None:
    """Fail a state by an error in its own fields."""
    cause = failure.cause
    state = draft.state(frame)
    if failure.runtime:
        cause = (
            f"An error occurred while executing the state '{frame.state}' "
            f"(entered at the event id #{frame.entered_event}). {cause or ''}"
        )
    if failure.error == "States.QueryEvaluationError":
        details: dict[str, Any] = {"error": failure.error, "cause": cause, "state": frame.state}
        if failure.location is not None:
            details["location"] = failure.location
        before = frame.last_event if isinstance(state, WaitState) else frame.before_entry  # as recorded from AWS
        frame.last_event = draft.emit(before, "EvaluationFailed", details)
        fail(draft, frame, failure.error, cause, inside=isinstance(state, MapState | ParallelState))
    else:
        fail(draft, frame, failure.error, cause)


# ------------------------------------------------------------------------------------------- success


def complete(draft: Draft, frame: Frame, state: State, result: Data, env: Env | None = None) -> None:
    """The state's work is done: make its output from the result, and go on. Raises Failure."""
    if state.jsonata:
        output = _jsonata_output(draft, frame, state, result, env)
    else:
        output = _jsonpath_output(draft, frame, state, result, env)
    exit_state(draft, frame, output, state.next)


def _jsonata_output(draft: Draft, frame: Frame, state: State, result: Data, env: Env | None) -> Data:
    if state.output is None and state.assign is None:
        return result
    env = env or draft.expressions(frame)
    env.result = result.value
    assigned = state.assign(None, env) if state.assign is not None else None
    output = Data(state.output(None, env)) if state.output is not None else result
    if assigned is not None:
        assign(frame, assigned)
    return output


def _jsonpath_output(draft: Draft, frame: Frame, state: State, result: Data, env: Env | None) -> Data:
    selector = getattr(state, "result_selector", None)
    placed = getattr(state, "result_path", None)
    output = result
    if selector is not None:
        env = env or draft.expressions(frame)
        output = Data(selector(result.value, env))
    if state.assign is not None:
        env = env or draft.expressions(frame)
        assigned = state.assign(output.value, env)
        assign(frame, assigned)
    if placed is not None:
        raw = frame.input.value
        value = placed(raw, output.value)
        output = frame.input if value is raw else Data(value)
    if state.output_path is not None:
        env = env or draft.expressions(frame)
        value = state.output_path(output.value, env)
        if value is not output.value:
            output = Data(value)
    return output


def assign(frame: Frame, assigned: dict[str, Any]) -> None:
    """Have the frame take variables with it when it leaves its state, to be seen from the next one on."""
    frame.assigned = assigned


def exit_state(draft: Draft, frame: Frame, output: Data, next_state: str | None) -> None:
    """Leave the state with its output, for the next one or for the end of the frame. Raises Failure when it is too large."""
    state = draft.state(frame)
    if output.exceeds(draft.env.limits.payload_bytes):
        raise too_large(frame.state)
    details: dict[str, Any] = {"name": frame.state, "output": output.text, "outputDetails": NOT_TRUNCATED}
    if frame.assigned:
        details["assignedVariables"] = _take_assigned(draft, frame, frame.assigned)
        details["assignedVariablesDetails"] = NOT_TRUNCATED
    frame.assigned = None
    frame.last_event = draft.emit(frame.last_event, EXITED[type(state)], details)
    if next_state is None:
        end(draft, frame, output)
        return
    frame.state = next_state
    frame.input = output
    frame.phase = Phase.READY
    frame.entered_event = 0
    frame.retries = None
    frame.retry_count = 0


MAX_ASSIGNMENTS = 40
"""Assignments of the greatest size that an execution may hold at a time: 10 MiB of 256 KiB each."""


def _take_assigned(draft: Draft, frame: Frame, assigned: dict[str, Any]) -> dict[str, str]:
    """Put what was assigned into the frame's variables; answer it as texts. Raises Failure when it is too large.

    Source: SFN developer guide, "Passing data between states with variables", limits.
    """
    frame.assigned = None
    texts = {name: text_of(value) for name, value in assigned.items()}
    limit = draft.env.limits.payload_bytes
    if sum(len(text) for text in texts.values()) * 4 > limit:
        size = sum(len(text.encode()) for text in texts.values())
        if size > limit:
            raise Failure(
                "States.DataLimitExceeded",
                f"The variables assigned in the state '{frame.state}' have {size} bytes, "
                f"which exceeds the maximum of {limit} bytes.",
                runtime=False,
            )
    variables = {**(frame.variables or {}), **assigned}
    if len(variables) > MAX_ASSIGNMENTS:  # fewer cannot have come to more
        size = sum(len(text_of(value).encode()) for value in {**draft.variables(frame), **variables}.values())
        if size > limit * MAX_ASSIGNMENTS:
            raise Failure(
                "States.DataLimitExceeded",
                f"The variables of the execution have {size} bytes after the state '{frame.state}', "
                f"which exceeds the maximum of {limit * MAX_ASSIGNMENTS} bytes.",
                runtime=False,
            )
    frame.variables = variables
    return texts


def too_large(what: str) -> Failure:
    return Failure(
        "States.DataLimitExceeded",
        f"The state/task '{what}' returned a result with a size exceeding the maximum number of bytes service limit.",
        runtime=False,
    )


def end(draft: Draft, frame: Frame, output: Data) -> None:
    """The frame has come to its end: of the execution, or of one child of a Parallel or Map."""
    if frame.id == ROOT:
        draft.emit(frame.last_event, "ExecutionSucceeded", {"output": output.text, "outputDetails": NOT_TRUNCATED})
        close(draft, "SUCCEEDED", output=output.text)
        return
    frame.phase = Phase.DONE
    frame.output = output
    frame.variables = None
    children.succeeded(draft, frame)


# ------------------------------------------------------------------------------------------- failure


def fail(draft: Draft, frame: Frame, error: str | None, cause: str | None, *, inside: bool = False) -> None:
    """Fail the state the frame is in: retry it, catch the error, or fail the frame.

    ``frame.last_event`` is the event that says so. ``inside``: the error came from a child, so that a Parallel or Map
    that does not run again says that it failed.
    """
    state = draft.state(frame)
    if frame.children is not None:
        children.abandon(draft, frame, frame.last_event)
    if isinstance(state, TaskState | ParallelState | MapState):
        frame.task = None
        retrier = _retrier(frame, state.retry, error)
        if retrier is not None:
            _retry(draft, frame, *retrier)
            return
        if inside:
            kind = "MapStateFailed" if isinstance(state, MapState) else "ParallelStateFailed"
            frame.last_event = draft.emit(frame.last_event, kind)
        catcher = next((c for c in state.catch if matches(c.error_equals, error)), None)
        if catcher is not None:
            try:
                _catch(draft, frame, state, catcher, error, cause)
            except Failure as failure:
                error, cause = failure.error, failure.cause
            else:
                return
    fail_frame(draft, frame, error, cause)


def matches(names: tuple[str, ...], error: str | None) -> bool:
    """Whether an ErrorEquals matches (ASL, "Error representation" and "Predefined error codes")."""
    if error is not None and error in names:
        return True
    if error in UNCATCHABLE:
        return False
    if "States.ALL" in names:
        return True
    if error == "States.HeartbeatTimeout":
        return "States.Timeout" in names
    return "States.TaskFailed" in names and error != "States.Timeout"


def _retrier(frame: Frame, retriers: tuple[Retrier, ...], error: str | None) -> tuple[Retrier, int] | None:
    """The first retrier that matches, with its index, if it has an attempt left."""
    if error == "States.Runtime":
        return None
    for index, retrier in enumerate(retriers):
        if matches(retrier.error_equals, error):
            made = frame.retries[index] if frame.retries is not None else 0
            if made >= retrier.max_attempts:
                return None
            if frame.retries is None:
                frame.retries = [0] * len(retriers)
            frame.retries[index] += 1
            return retrier, made
    return None


def retry_delay(retrier: Retrier, retries_made: int) -> float:
    """Seconds until the next try, before jitter.

    Source: Amazon States Language, "Retrying after error".
    """
    longest = retrier.max_delay_seconds if retrier.max_delay_seconds is not None else 31_622_400.0
    try:
        return float(min(retrier.interval_seconds * retrier.backoff_rate**retries_made, longest))
    except OverflowError:  # MaxAttempts may be 99,999,999; floats end sooner
        return longest


def _retry(draft: Draft, frame: Frame, retrier: Retrier, made: int) -> None:
    delay = retry_delay(retrier, made)
    if retrier.full_jitter:
        delay *= draft.env.random()
    draft.failing.clear()
    frame.phase = Phase.RETRYING
    frame.retry_count += 1
    frame.children = None
    frame.items = None
    frame.due = draft.now + delay
    draft.effects.timers[frame.id, "retry"] = frame.due


def _catch(
    draft: Draft,
    frame: Frame,
    state: TaskState | ParallelState | MapState,
    catcher: Catcher,
    error: str | None,
    cause: str | None,
) -> None:
    frame.children = None
    frame.items = None
    made, assigned = caught(state, catcher, error, cause, frame.input.value, draft.expressions(frame))
    if assigned is not None:
        assign(frame, assigned)
    output = Data(made)
    exit_state(draft, frame, output, catcher.next)
    draft.failing.clear()
    draft.ready.append(frame)


def caught(
    state: TaskState | ParallelState | MapState,
    catcher: Catcher,
    error: str | None,
    cause: str | None,
    raw_input: Json,
    env: Env,
) -> tuple[Json, dict[str, Any] | None]:
    """What a catcher makes of an error: the output, and what it assigns. Raises Failure."""
    error_output: dict[str, Any] = {"Error": error if error is not None else ""}
    if cause is not None or not state.jsonata:
        error_output["Cause"] = cause if cause is not None else ""
    if state.jsonata:
        env.error_output = error_output
        assigned = catcher.assign(None, env) if catcher.assign is not None else None
        return (error_output if catcher.output is None else catcher.output(None, env)), assigned
    assigned = catcher.assign(error_output, env) if catcher.assign is not None else None
    output = error_output if catcher.result_path is None else catcher.result_path(raw_input, error_output)
    return output, assigned


def fail_frame(draft: Draft, frame: Frame, error: str | None, cause: str | None) -> None:
    """Nothing in the frame handles the error."""
    if frame.id == ROOT:
        draft.emit(frame.last_event, "ExecutionFailed", error_details(error, cause))
        close(draft, "FAILED", error=error, cause=cause)
    else:
        children.failed(draft, frame, error, cause)


def error_details(error: str | None, cause: str | None) -> dict[str, Any]:
    details = {}
    if error is not None:
        details["error"] = error
    if cause is not None:
        details["cause"] = cause
    return details


# ------------------------------------------------------------------------------------ the whole execution


def stop(draft: Draft, status: Literal["ABORTED", "TIMED_OUT"], error: str | None, cause: str | None) -> None:
    """StopExecution, or the execution's own timeout. Its event follows none (recorded from AWS)."""
    for frame_id in sorted(draft.execution.frames):
        frame = draft.frame(frame_id)
        if frame.map_run is not None:
            draft.emit(frame.map_run.event, "MapRunAborted")
    event = "ExecutionAborted" if status == "ABORTED" else "ExecutionTimedOut"
    draft.emit(0, event, error_details(error, cause))
    close(draft, status, error=error, cause=cause)


def close(
    draft: Draft,
    status: Literal["SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED"],
    output: str | None = None,
    error: str | None = None,
    cause: str | None = None,
) -> None:
    """End the execution: nothing of it waits any more."""
    effects = draft.effects
    for frame in {**draft.execution.frames, **effects.frames}.values():
        if frame is not None and frame.task is not None:
            effects.withdrawn.append((frame.id, frame.task))
        if frame is not None:
            distributed.leave(draft, frame)
    if status != "SUCCEEDED":
        effects.remains = _remains(draft)
    effects.frames.clear()
    effects.asides.clear()
    effects.timers.clear()
    effects.calls.clear()
    effects.map_runs.clear()
    effects.continues = False
    draft.ready.clear()
    effects.outcome = Outcome(status, output, error, cause)


def _remains(draft: Draft) -> dict[int, Frame]:
    """The tree of frames as the failure found it."""
    frames = {**draft.execution.frames, **draft.effects.frames}
    remains = {frame_id: frame for frame_id, frame in frames.items() if frame is not None}
    for frame_id, (frame, below, items, map_run) in draft.failing.items():
        if below is not None or map_run is not None:
            frame = frame.copy()  # noqa: PLW2901 - as it was before its children were dropped
            frame.children, frame.items, frame.map_run = below, items, map_run
            frame.phase = Phase.CHILDREN if below is not None else Phase.MAP_RUN
        remains[frame_id] = frame
    return remains


EXITED: dict[type[State], str] = {
    PassState: "PassStateExited",
    TaskState: "TaskStateExited",
    ChoiceState: "ChoiceStateExited",
    WaitState: "WaitStateExited",
    SucceedState: "SucceedStateExited",
    ParallelState: "ParallelStateExited",
    MapState: "MapStateExited",
}
"""State type -> type of its exit event. A Fail state has none."""
