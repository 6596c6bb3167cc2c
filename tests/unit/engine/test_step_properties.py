"""``step``: what holds whatever the definition is and whatever happens, in any order, to an execution of it."""

from __future__ import annotations

import itertools
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from stepping import Stepped, events, frozen, machine, task

from workflow_manager.engine.core.draft import Limits, StepEnv
from workflow_manager.engine.core.frames import Execution, Frame, Phase
from workflow_manager.engine.core.step import step
from workflow_manager.engine.core.stimuli import (
    Effects,
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
from workflow_manager.stepfunctions.history import TERMINAL

INPUT = {"items": [1, [2], {"three": 3}], "s": 4}
KINDS = ["pass", "choice", "wait", "activity", "service", "fail", "parallel", "map"]
LEAVES = KINDS[:6]
RETRY = [{"ErrorEquals": ["E0"], "IntervalSeconds": 2, "MaxAttempts": 2}, {"ErrorEquals": ["E1"], "MaxAttempts": 1}]


@st.composite
def machines(draw: st.DrawFn, prefix: str = "", depth: int = 2) -> dict[str, Any]:
    """A few states in a row, with a Succeed at the end that catchers lead to."""
    states: dict[str, Any] = {}
    end = f"{prefix}end"
    kinds = draw(st.lists(st.sampled_from(KINDS if depth else LEAVES), min_size=1, max_size=3))
    names = [f"{prefix}{n}" for n in range(len(kinds))]
    for name, following, kind in zip(names, [*names[1:], end], kinds, strict=True):
        state = _state(draw, kind, name, following, depth)
        if kind in {"activity", "service", "parallel", "map"}:
            state |= {"Retry": RETRY} if draw(st.booleans()) else {}
            state["Catch"] = [{"ErrorEquals": ["E0", "E2"], "Next": end, "ResultPath": "$"}]
        states[name] = state
        if kind == "fail":
            break
    reached = any("Catch" in state or following_is(state, end) for state in states.values())
    return machine(states | ({end: {"Type": "Succeed"}} if reached else {}))


def following_is(state: dict[str, Any], end: str) -> bool:
    return end in (state.get("Next"), state.get("Default"))


def _state(draw: st.DrawFn, kind: str, name: str, following: str, depth: int) -> dict[str, Any]:
    match kind:
        case "pass":
            return {"Type": "Pass", "Assign": {f"v{name}": {"by": name}}, "Next": following}
        case "choice":
            rule = {"Variable": "$.absent", "IsPresent": True, "Next": following}
            return {"Type": "Choice", "Choices": [rule], "Default": following}
        case "wait":
            return {"Type": "Wait", "Seconds": draw(st.integers(0, 5)), "Next": following}
        case "activity":
            return task(Next=following, TimeoutSeconds=7, HeartbeatSeconds=3)
        case "service":
            arguments = {"StateMachineArn": "arn:x", "Input": {"token.$": "$$.Task.Token"}}
            return task("arn:aws:states:::states:startExecution.waitForTaskToken", Parameters=arguments, Next=following)
        case "fail":
            return {"Type": "Fail", "Error": draw(st.sampled_from(["E0", "E1", "States.Runtime"]))}
        case "parallel":
            branches = [draw(machines(f"{name}{letter}", depth - 1)) for letter in "ab"]
            return {"Type": "Parallel", "Branches": branches, "Next": following}
        case _:
            return {
                "Type": "Map",
                "ItemsPath": "$$.Execution.Input.items",
                "MaxConcurrency": draw(st.integers(0, 2)),
                "ItemProcessor": draw(machines(f"{name}m", depth - 1)),
                "Next": following,
            } | draw(st.sampled_from([{}, {"ToleratedFailureCount": 1}]))


Plan = list[tuple[str, int]]


def plans() -> st.SearchStrategy[Plan]:
    moves = ["succeed", "succeed", "fail", "start", "submit", "beat", "time", "time", "late", "again"]
    return st.lists(st.tuples(st.sampled_from(moves), st.integers(0, 11)), max_size=30)


def at_tasks(run: Stepped) -> list[Frame]:
    return [frame for _, frame in sorted(run.execution.frames.items()) if frame.task is not None]


def stimulus_for(run: Stepped, move: str, n: int) -> Stimulus:
    """What a move means now: about a task that is waited for, if there is one, or about one of the past ("again")."""
    waiting = at_tasks(run)
    past = run.calls[n % len(run.calls)] if run.calls else None
    if move == "again" and past is not None:
        return TaskSucceeded(past.frame, past.scheduled_event, '"again"')
    if move == "late" or not waiting:
        return TimerFired(n, ("wait", "retry", "timeout", "heartbeat")[n % 4])  # type: ignore[arg-type]
    frame = waiting[n % len(waiting)]
    assert frame.task is not None
    event = frame.task.scheduled_event
    match move:
        case "fail":
            return TaskFailed(frame.id, event, f"E{n % 3}", "why")
        case "start":
            return TaskStarted(frame.id, event, "w")
        case "submit":
            return TaskSubmitted(frame.id, event, "{}")
        case "beat":
            return TaskHeartbeat(frame.id, event)
        case _:
            return TaskSucceeded(frame.id, event, f'{{"n":{n}}}')


def play(definition: dict[str, Any], plan: Plan, *, bound: int = 4, reload: bool = False) -> Stepped:
    """Start an execution, have the plan happen to it, then let every task succeed until it ends."""
    run = Stepped(definition, INPUT, limits=Limits(transitions_per_step=bound)).start()
    for move, n in plan:
        if reload:
            run.reload()
        if run.outcome is not None:
            return run
        if move == "time":
            run.pass_time(n)
        else:
            run.take(stimulus_for(run, move, n))
    while run.outcome is None:
        if reload:
            run.reload()
        run.pass_time(0)
        if at_tasks(run):
            run.take(stimulus_for(run, "succeed", 0))
        elif run.outcome is None:
            run.pass_time(min(run.timers.values()) - run.now)
    return run


def all_of(execution: Execution) -> tuple[Any, ...]:
    return (
        execution.last_event,
        execution.next_frame,
        execution.input.text,
        {frame_id: frozen(frame) for frame_id, frame in execution.frames.items()},
    )


def plain(effects: Effects) -> tuple[Any, ...]:
    def frame_of(frame: Any) -> Any:
        return None if frame is None else frozen(frame)

    return (
        effects.events,
        {frame_id: frame_of(frame) for frame_id, frame in effects.frames.items()},
        {frame_id: frame_of(frame) for frame_id, frame in effects.asides.items()},
        effects.timers,
        effects.calls,
        effects.withdrawn,
        effects.outcome,
        effects.continues,
    )


@settings(deadline=None)
@given(machines(), plans(), st.integers(1, 20))
def test_a_step_changes_nothing_it_is_given_and_decides_the_same_again(
    definition: dict[str, Any], plan: Plan, bound: int
) -> None:
    run = Stepped(definition, INPUT, limits=Limits(transitions_per_step=bound))

    def decide(stimulus: Stimulus) -> Effects:
        uuids = itertools.count()
        env = StepEnv(run.now, lambda: f"u{next(uuids)}", lambda: 0.5, limits=Limits(transitions_per_step=bound))
        return step(run.program, run.execution, stimulus, env)

    for stimulus in [Start(), *[None] * len(plan), Stop()]:
        move, n = ("", 0) if not plan or stimulus is not None else plan.pop()
        if move == "time":
            run.pass_time(n)
            continue
        happens = stimulus if stimulus is not None else stimulus_for(run, move, n)
        before = all_of(run.execution)

        first, second = decide(happens), decide(happens)

        assert all_of(run.execution) == before
        assert plain(first) == plain(second)
        run.take(happens)
        if run.outcome is not None:
            return


@settings(deadline=None)
@given(machines(), plans(), st.integers(1, 20))
def test_histories_are_whole_and_end_once(definition: dict[str, Any], plan: Plan, bound: int) -> None:
    run = play(definition, plan, bound=bound)

    history = events(run)
    assert [event_id for event_id, _, _ in history] == list(range(1, len(history) + 1))
    assert all(previous < event_id for event_id, previous, _ in history)
    assert [kind in TERMINAL for _, _, kind in history] == [False] * (len(history) - 1) + [True]
    assert (run.rows, run.asides, run.timers) == ({}, {}, {})


@settings(deadline=None)
@given(machines(), plans(), st.integers(1, 20))
def test_a_restart_between_any_two_stimuli_changes_nothing(definition: dict[str, Any], plan: Plan, bound: int) -> None:
    kept, restarted = (play(definition, plan, bound=bound, reload=reload) for reload in (False, True))

    assert restarted.history == kept.history
    assert restarted.outcome == kept.outcome


@settings(deadline=None)
@given(machines(), plans(), st.integers(1, 20))
def test_what_is_kept_is_what_is_waited_for(definition: dict[str, Any], plan: Plan, bound: int) -> None:
    """Every timer has a frame that waits for it, every frame a way on, and no Map runs more than it may."""
    run = Stepped(definition, INPUT, limits=Limits(transitions_per_step=bound)).start()
    for move, n in plan:
        if run.outcome is not None:
            return
        frames = run.execution.frames
        assert set(run.asides) == {frame_id for frame_id, frame in frames.items() if frame.children is not None}
        for frame_id, kind in run.timers:
            phase = frames[frame_id].phase
            assert phase is {"wait": Phase.WAITING, "retry": Phase.RETRYING}.get(kind, phase)
            assert kind not in {"timeout", "heartbeat"} or frames[frame_id].task is not None
        for frame_id, frame in frames.items():
            match frame.phase:
                case Phase.READY:
                    assert (0, "continue") in run.timers
                case Phase.WAITING | Phase.RETRYING:
                    assert (frame_id, "wait" if frame.phase is Phase.WAITING else "retry") in run.timers
                case Phase.TASK:
                    assert frame.task is not None
                case Phase.CHILDREN:
                    assert frame.children is not None
                    at_once = frame.children.started - frame.children.succeeded - frame.children.failed
                    assert at_once > 0
                    assert frame.children.max_concurrency in {0, 40} or at_once <= frame.children.max_concurrency
        if move == "time":
            run.pass_time(n)
        else:
            run.take(stimulus_for(run, move, n))
