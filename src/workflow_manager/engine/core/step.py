"""``step``: what one stimulus does to one execution.

Pure: no I/O, no clock, no randomness but what ``env`` hands in. The execution is read, never changed; all that is decided
is in the Effects. A step makes as many transitions as it can, up to a bound, until every frame waits for something.
"""

from __future__ import annotations

from typing import assert_never

from workflow_manager.asl.program import Program
from workflow_manager.engine.core import distributed, outcomes, redriving, states, tasks
from workflow_manager.engine.core.draft import Draft, HistoryLimitReached, StepEnv
from workflow_manager.engine.core.frames import ROOT, Execution, Frame, Phase
from workflow_manager.engine.core.stimuli import (
    Continue,
    Effects,
    MapRunEnded,
    Redrive,
    Start,
    Stimulus,
    Stop,
    TaskFailed,
    TaskHeartbeat,
    TaskStarted,
    TaskSubmitted,
    TaskSucceeded,
    TimerFired,
)
from workflow_manager.stepfunctions.history import HistoryEvent

__all__ = ["step"]

WAITS_IN = {"wait": Phase.WAITING, "retry": Phase.RETRYING}
"""Kind of timer -> the phase of a frame that waits for it."""
EXPRESS_SECONDS = 300
"""How long an Express execution may take."""


def step(program: Program, execution: Execution, stimulus: Stimulus, env: StepEnv) -> Effects:
    """Decide what a stimulus does. One that nobody waits for (a late timer, a task that is over) has no effects."""
    draft = Draft(program, execution, env)
    try:
        _take(draft, stimulus)
        _run(draft)
    except HistoryLimitReached:
        _end_at_history_limit(draft)
    except RecursionError:  # the data is: definitions are held to a depth when they are compiled
        draft = Draft(program, execution, env)
        _end_too_deep(draft)
    effects = draft.effects
    effects.last_event = draft.last_event
    effects.next_frame = draft.next_frame
    return effects


def _take(draft: Draft, stimulus: Stimulus) -> None:
    match stimulus:
        case Start():
            _start(draft, stimulus)
        case Continue():
            draft.effects.timers[ROOT, "continue"] = None
            ready = [frame.id for frame in draft.execution.frames.values() if frame.phase is Phase.READY]
            draft.ready.extend(draft.touch(frame_id) for frame_id in sorted(ready))  # after a restart, too
        case TimerFired():
            _timer(draft, stimulus)
        case TaskStarted():
            tasks.started(draft, stimulus)
        case TaskSubmitted():
            tasks.submitted(draft, stimulus)
        case TaskSucceeded():
            tasks.succeeded(draft, stimulus)
        case TaskFailed():
            tasks.failed(draft, stimulus)
        case TaskHeartbeat():
            tasks.heartbeat(draft, stimulus)
        case MapRunEnded():
            distributed.ended(draft, stimulus)
        case Stop():
            outcomes.stop(draft, "ABORTED", stimulus.error, stimulus.cause)
        case Redrive():
            redriving.redrive(draft)
        case _:
            assert_never(stimulus)


def _start(draft: Draft, start: Start) -> None:
    execution, program = draft.execution, draft.program
    draft.emit(
        0,
        "ExecutionStarted",
        {
            "input": execution.input.text,
            "inputDetails": {"truncated": False},
            "roleArn": execution.role_arn,
            **start.arns,
        },
    )
    root = Frame(ROOT, -1, execution.graph, program.graphs[execution.graph].start_at, execution.input)
    draft.add(root)
    draft.ready.append(root)
    timeout = program.timeout_seconds if execution.map_run is None else EXPRESS_SECONDS if execution.express else None
    if timeout is not None:
        draft.effects.timers[ROOT, "execution"] = execution.start_date + timeout


def _timer(draft: Draft, fired: TimerFired) -> None:
    """A timer is as good as what the frame says it waits for: one that came too late changes nothing.

    One that came too early, as when the clock was set back, comes again.
    """
    draft.effects.timers[fired.frame, fired.kind] = None
    frame = draft.find(fired.frame)
    if frame is None:
        return
    match fired.kind:
        case "wait" | "retry" if frame.phase is WAITS_IN[fired.kind] and frame.due > draft.now:
            draft.effects.timers[fired.frame, fired.kind] = frame.due
        case "wait" if frame.phase is Phase.WAITING:
            states.waited(draft, draft.touch(frame.id))
        case "retry" if frame.phase is Phase.RETRYING:
            frame = draft.touch(frame.id)
            frame.phase = Phase.READY
            draft.ready.append(frame)
        case "timeout" | "heartbeat" if frame.phase is Phase.TASK:
            tasks.timer(draft, frame, fired.kind)
        case "execution":
            outcomes.stop(draft, "TIMED_OUT", None, None)
        case "continue":
            _take(draft, Continue())


def _run(draft: Draft) -> None:
    """Move every ready frame on until it waits, ends, or the bound on transitions is reached."""
    ready, effects = draft.ready, draft.effects
    while ready and effects.outcome is None:
        frame = ready.popleft()
        while frame.phase is Phase.READY and effects.outcome is None and effects.frames.get(frame.id) is frame:
            if draft.budget <= 0:
                effects.continues = True
                effects.timers[ROOT, "continue"] = draft.now
                draft.touch(ROOT)
                return
            draft.budget -= 1
            states.enter(draft, frame)


def _end_at_history_limit(draft: Draft) -> None:
    """AWS fails an execution whose history is full; the last event says so."""
    limit = draft.env.limits.history_events
    cause = f"The execution reached the maximum number of history events ({limit})."
    del draft.events[max(0, limit - 1 - draft.execution.last_event) :]
    draft.last_event = draft.execution.last_event + len(draft.events) + 1
    draft.events.append(
        HistoryEvent(
            draft.last_event,
            draft.last_event - 1,
            draft.now,
            "ExecutionFailed",
            {"error": "States.Runtime", "cause": cause},
        )
    )
    outcomes.close(draft, "FAILED", error="States.Runtime", cause=cause)
    draft.effects.remains.clear()  # it cannot be redriven: there is no room for what would happen


def _end_too_deep(draft: Draft) -> None:
    """Fail an execution whose data nests deeper than it can be written; it must not keep others from going on."""
    cause = "The data of the execution is nested too deeply."
    draft.emit(draft.execution.last_event, "ExecutionFailed", {"error": "States.Runtime", "cause": cause})
    outcomes.close(draft, "FAILED", error="States.Runtime", cause=cause)
