"""Task states: scheduling a task, and everything that can come back: started, submitted, succeeded, failed, timed out."""

from __future__ import annotations

from typing import Any, cast

from workflow_manager.asl.program import Env, Failure, TaskResource, TaskState
from workflow_manager.engine.core import outcomes
from workflow_manager.engine.core.data import Data
from workflow_manager.engine.core.draft import NOT_TRUNCATED, Draft
from workflow_manager.engine.core.frames import Frame, Phase, TaskWait
from workflow_manager.engine.core.inputs import effective_input
from workflow_manager.engine.core.stimuli import (
    TaskCall,
    TaskFailed,
    TaskHeartbeat,
    TaskStarted,
    TaskSubmitted,
    TaskSucceeded,
)

EVENTS = {"activity": "Activity", "lambda": "LambdaFunction", "service": "Task"}
"""Kind of resource -> what its events' types begin with."""


def schedule(draft: Draft, frame: Frame, state: TaskState) -> None:
    """Do a Task's work: schedule it. Raises Failure."""
    # the token must be known to the arguments ($$.Task.Token), before the event that it names exists
    resource = state.resource
    frame.task = TaskWait(draft.last_event + 1, draft.env.uuid())
    try:
        data, env = effective_input(draft, frame, state)
        env = env or (draft.expressions(frame) if _needs_env(state) else None)
        timeout = _seconds(state.timeout_seconds, frame, env)
        heartbeat = _seconds(state.heartbeat_seconds, frame, env)
        credentials = state.credentials(frame.input.value, env) if state.credentials is not None and env else None
    except Failure:
        frame.task = None
        raise
    if data.exceeds(draft.env.limits.payload_bytes):
        frame.task = None
        raise outcomes.too_large(frame.state)
    details: dict[str, Any] = (
        {
            "resource": resource.resource,
            "resourceType": resource.resource_type,
            "region": draft.env.region,
            "parameters": data.text,
        }
        if resource.kind == "service"
        else {"resource": resource.arn, "input": data.text, "inputDetails": NOT_TRUNCATED}
    )
    if timeout is not None:
        details["timeoutInSeconds"] = int(timeout)
    if heartbeat is not None:
        details["heartbeatInSeconds"] = int(heartbeat)
    if credentials is not None:
        details["taskCredentials"] = {"roleArn": credentials.get("RoleArn")}
    frame.last_event = draft.emit(frame.last_event, f"{EVENTS[resource.kind]}Scheduled", details)
    frame.phase = Phase.TASK
    frame.task.timeout_seconds = timeout
    frame.task.heartbeat_seconds = heartbeat
    if resource.kind == "activity":
        frame.task.activity = resource.arn
    else:
        _begin(draft, frame, resource, None)
    role_arn = credentials.get("RoleArn") if credentials is not None else None
    draft.effects.calls.append(
        TaskCall(frame.id, frame.task.scheduled_event, resource, data.text, draft.token(frame), role_arn)
    )


def _needs_env(state: TaskState) -> bool:
    return any(x is not None for x in (state.timeout_seconds, state.heartbeat_seconds, state.credentials))


def _seconds(expression: Any, frame: Frame, env: Env | None) -> float | None:
    return cast(float, expression(frame.input.value, env)) if expression is not None else None


def _begin(draft: Draft, frame: Frame, resource: TaskResource, worker_name: str | None) -> None:
    """The task starts: its event, and its clocks."""
    task = frame.task
    assert task is not None
    details: dict[str, Any] | None
    match resource.kind:
        case "activity":
            details = {"workerName": worker_name} if worker_name is not None else {}
        case "service":
            details = _names(resource)
        case _:
            details = None
    frame.last_event = draft.emit(frame.last_event, f"{EVENTS[resource.kind]}Started", details)
    task.started = True
    task.started_at = task.heartbeat_at = draft.now
    if task.timeout_seconds is not None:
        draft.effects.timers[frame.id, "timeout"] = draft.now + task.timeout_seconds
    if task.heartbeat_seconds is not None:
        draft.effects.timers[frame.id, "heartbeat"] = draft.now + task.heartbeat_seconds


def _names(resource: TaskResource) -> dict[str, Any]:
    return {"resource": resource.resource, "resourceType": resource.resource_type}


def _waiting(draft: Draft, frame_id: int, scheduled_event: int) -> tuple[Frame, TaskState, TaskWait] | None:
    """The frame that waits for this very task, for changing; None when it does not any more."""
    frame = draft.find(frame_id)
    if frame is None or frame.phase is not Phase.TASK or frame.task is None:
        return None
    if frame.task.scheduled_event != scheduled_event:
        return None
    frame = draft.touch(frame_id)
    assert frame.task is not None
    return frame, cast(TaskState, draft.state(frame)), frame.task


def started(draft: Draft, stimulus: TaskStarted) -> None:
    found = _waiting(draft, stimulus.frame, stimulus.scheduled_event)
    if found is not None and not found[2].started:
        _begin(draft, found[0], found[1].resource, stimulus.worker_name)


def submitted(draft: Draft, stimulus: TaskSubmitted) -> None:
    found = _waiting(draft, stimulus.frame, stimulus.scheduled_event)
    if found is None:
        return
    frame, state, task = found
    task.submitted = True
    task.child = stimulus.child
    details = {"output": stimulus.output, "outputDetails": NOT_TRUNCATED, **_names(state.resource)}
    frame.last_event = draft.emit(frame.last_event, "TaskSubmitted", details)


def heartbeat(draft: Draft, stimulus: TaskHeartbeat) -> None:
    found = _waiting(draft, stimulus.frame, stimulus.scheduled_event)
    if found is not None:
        found[2].heartbeat_at = draft.now  # the timer looks at this when it fires, so it need not be moved


def succeeded(draft: Draft, stimulus: TaskSucceeded) -> None:
    found = _waiting(draft, stimulus.frame, stimulus.scheduled_event)
    if found is None:
        return
    frame, state, _ = found
    resource, output = state.resource, Data(text=stimulus.output)
    if output.exceeds(draft.env.limits.payload_bytes):
        what = resource.arn if resource.kind == "lambda" else resource.resource_type or frame.state
        failure = outcomes.too_large(what)
        _fail_task(draft, frame, resource, failure.error, failure.cause)
        return
    details: dict[str, Any] = {"output": output.text, "outputDetails": NOT_TRUNCATED}
    if resource.kind == "service":
        details |= _names(resource)
    frame.last_event = draft.emit(frame.last_event, f"{EVENTS[resource.kind]}Succeeded", details)
    _stop_clocks(draft, frame)
    frame.phase = Phase.READY

    def complete() -> None:
        outcomes.complete(draft, frame, state, output)

    frame.task = None
    outcomes.guarded(draft, frame, complete)
    if frame.phase is Phase.READY:
        draft.ready.append(frame)


def failed(draft: Draft, stimulus: TaskFailed) -> None:
    found = _waiting(draft, stimulus.frame, stimulus.scheduled_event)
    if found is not None:
        frame, state, _ = found
        _fail_task(draft, frame, state.resource, stimulus.error, stimulus.cause, submitting=stimulus.submitting)


def _fail_task(
    draft: Draft,
    frame: Frame,
    resource: TaskResource,
    error: str | None,
    cause: str | None,
    *,
    submitting: bool = False,
) -> None:
    details = outcomes.error_details(error, cause)
    if resource.kind == "service":
        details |= _names(resource)
    kind = f"{EVENTS[resource.kind]}{'SubmitFailed' if submitting else 'Failed'}"
    frame.last_event = draft.emit(frame.last_event, kind, details)
    _stop_clocks(draft, frame)
    outcomes.fail(draft, frame, error, cause)


def timer(draft: Draft, frame: Frame, kind: str) -> None:
    """The task's timeout or heartbeat is due; a heartbeat that came in the meantime moves its timer."""
    task = frame.task
    if task is None or not task.started:
        return
    if kind == "timeout":
        due = task.started_at + (task.timeout_seconds or 0)
    else:
        due = task.heartbeat_at + (task.heartbeat_seconds or 0)
    if due > draft.now:
        draft.effects.timers[frame.id, kind] = due
        return
    frame = draft.touch(frame.id)
    resource = cast(TaskState, draft.state(frame)).resource
    details = {"error": "States.Timeout"}
    if resource.kind == "service":
        details |= _names(resource)
    frame.last_event = draft.emit(frame.last_event, f"{EVENTS[resource.kind]}TimedOut", details)
    withdraw(draft, frame)
    outcomes.fail(draft, frame, "States.Timeout", None)


def withdraw(draft: Draft, frame: Frame) -> None:
    """Nobody waits for the frame's task any more; one that this very step scheduled is not begun."""
    if frame.task is not None:
        draft.effects.withdrawn.append((frame.id, frame.task))
        calls = draft.effects.calls
        calls[:] = [call for call in calls if call.frame != frame.id]
    _stop_clocks(draft, frame)


def _stop_clocks(draft: Draft, frame: Frame) -> None:
    task = frame.task
    if task is None:
        return
    if task.timeout_seconds is not None:
        draft.effects.timers[frame.id, "timeout"] = None
    if task.heartbeat_seconds is not None:
        draft.effects.timers[frame.id, "heartbeat"] = None
