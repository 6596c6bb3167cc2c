"""Entering a state, and the work of the types that need neither tasks nor children: Pass, Choice, Wait, Succeed, Fail."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from workflow_manager.asl.program import (
    ChoiceState,
    Env,
    FailState,
    Failure,
    MapState,
    ParallelState,
    PassState,
    State,
    SucceedState,
    TaskState,
    WaitState,
)
from workflow_manager.engine.core import children, outcomes, tasks
from workflow_manager.engine.core.data import Data
from workflow_manager.engine.core.draft import Draft, entered
from workflow_manager.engine.core.frames import Frame, Phase
from workflow_manager.engine.core.inputs import effective_input

FURTHEST_SECONDS = 2_147_483_647
"""How far ahead a Wait's Timestamp may lie: AWS's boundary is between 24,855 and 24,856 days."""


def enter(draft: Draft, frame: Frame) -> None:
    """Enter the frame's state, or, after a retry, do its work again."""
    state = draft.program.graphs[frame.graph].states[frame.state]
    entered_type, work = WORK[type(state)]
    if frame.entered_event == 0:
        frame.before_entry = frame.last_event
        frame.entered_event = frame.last_event = draft.emit(
            frame.last_event, entered_type, entered(frame.state, frame.input)
        )
        frame.entered_at = draft.now
    try:
        work(draft, frame, state)
    except Failure as failure:
        outcomes.fail_by(draft, frame, failure)


def _pass(draft: Draft, frame: Frame, state: PassState) -> None:
    result, env = effective_input(draft, frame, state)
    if state.result is not None:
        env = env or draft.expressions(frame)
        result = Data(state.result(result.value, env))
    outcomes.complete(draft, frame, state, result, env)


def _choice(draft: Draft, frame: Frame, state: ChoiceState) -> None:
    data, env = effective_input(draft, frame, state)
    env = env or draft.expressions(frame)
    value = data.value
    rule = next((rule for rule in state.rules if rule.condition(value, env)), None)
    if rule is None and state.default is None:
        outcomes.fail_by(
            draft,
            frame,
            Failure(
                "States.NoChoiceMatched",
                "Failed to transition out of the state. The state does not point to a next state.",
            ),
        )
        return
    assign_expr = rule.assign if rule is not None else state.assign
    output_expr = rule.output if rule is not None else state.output
    assigned = assign_expr(value, env) if assign_expr is not None else None
    output = data
    if output_expr is not None:
        output = Data(output_expr(value, env))
    if state.output_path is not None:
        picked = state.output_path(output.value, env)
        output = output if picked is output.value else Data(picked)
    if assigned is not None:
        outcomes.assign(frame, assigned)
    outcomes.exit_state(draft, frame, output, rule.next if rule is not None else state.default)


def _wait(draft: Draft, frame: Frame, state: WaitState) -> None:
    data, env = effective_input(draft, frame, state)
    env = env or draft.expressions(frame)
    if state.seconds is not None:
        frame.due = draft.now + state.seconds(data.value, env)
    else:
        assert state.timestamp is not None
        frame.due = state.timestamp(data.value, env)
        if frame.due - draft.now > FURTHEST_SECONDS:
            raise Failure(
                "States.Runtime", "The timestamp is too far in the future: a Wait ends within 2147483647 seconds"
            )
    if frame.due <= draft.now:
        _leave_wait(draft, frame, state, data, env)
        return
    frame.phase = Phase.WAITING
    draft.effects.timers[frame.id, "wait"] = frame.due


def waited(draft: Draft, frame: Frame) -> None:
    """The Wait state's time has come."""
    state = cast(WaitState, draft.state(frame))

    def leave() -> None:
        data, env = effective_input(draft, frame, state)
        _leave_wait(draft, frame, state, data, env)

    outcomes.guarded(draft, frame, leave)
    if frame.phase is Phase.READY:
        draft.ready.append(frame)


def _leave_wait(draft: Draft, frame: Frame, state: WaitState, data: Data, env: Env | None) -> None:
    frame.phase = Phase.READY
    outcomes.complete(draft, frame, state, data, env)


def _succeed(draft: Draft, frame: Frame, state: SucceedState) -> None:
    result, env = effective_input(draft, frame, state)
    outcomes.complete(draft, frame, state, result, env)


def _fail(draft: Draft, frame: Frame, state: FailState) -> None:
    error = cause = None
    if state.error is not None or state.cause is not None:
        env, value = draft.expressions(frame), frame.input.value
        error = state.error(value, env) if state.error is not None else None
        cause = state.cause(value, env) if state.cause is not None else None
    outcomes.fail_frame(draft, frame, error, cause)


Work = Callable[[Draft, Frame, Any], None]

WORK: dict[type[State], tuple[str, Work]] = {
    PassState: ("PassStateEntered", _pass),
    TaskState: ("TaskStateEntered", tasks.schedule),
    ChoiceState: ("ChoiceStateEntered", _choice),
    WaitState: ("WaitStateEntered", _wait),
    SucceedState: ("SucceedStateEntered", _succeed),
    FailState: ("FailStateEntered", _fail),
    ParallelState: ("ParallelStateEntered", children.start_parallel),
    MapState: ("MapStateEntered", children.start_map),
}
"""State type -> type of its entry event, what it does."""
