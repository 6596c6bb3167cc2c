"""A Map with Mode DISTRIBUTED, as the step sees it: its Map Run is started, ends, or is left alone.

The children are executions of their own, which maps/map_runs.py starts and counts; the frame waits for how it all ended.
"""

from __future__ import annotations

import uuid
from typing import Any, cast

from workflow_manager.asl.program import Env, MapState
from workflow_manager.engine.core import outcomes
from workflow_manager.engine.core.data import Data, text_of
from workflow_manager.engine.core.draft import Draft, Given
from workflow_manager.engine.core.frames import Execution, Frame, MapRunWait, Phase
from workflow_manager.engine.core.inputs import effective_input
from workflow_manager.engine.core.stimuli import Batcher, MapRunEnded, MapRunRedrive, MapRunStart

BATCH_BYTES = 262_144


def start(draft: Draft, frame: Frame, state: MapState) -> None:
    """Do a distributed Map's work: ask for a Map Run. Raises Failure."""
    fields = state.distributed
    assert fields is not None
    data, env = effective_input(draft, frame, state)
    env = env or draft.expressions(frame)
    value = data.value
    reader = fields[
        "ItemReader"
    ]  # what it reads takes the place of the input's items, and of ItemsPath (recorded from AWS)
    items: list[Any] | None = state.items(value, env) if reader is None else None
    at_once = _number(state.max_concurrency, value, env)
    frame.last_event = draft.emit(frame.last_event, "MapStateStarted", {"length": len(items or ())})
    count = _number(state.tolerated_failure_count, value, env)
    percentage = _number(state.tolerated_failure_percentage, value, env)
    asked = MapRunStart(
        frame=frame.id,
        event=0,
        run_id=draft.env.uuid(),
        label=label_of(draft.execution, state),
        state=frame.state,
        entered_event=frame.entered_event,
        graph=state.processor,
        express=fields["ExecutionType"] == "EXPRESS",
        max_concurrency=int(at_once or 0),
        tolerated_count=int(count) if count is not None else None,
        tolerated_percentage=percentage,
        reader=_reader(reader, value, env),
        batcher=batcher_of(fields["ItemBatcher"], value, env, draft.env.limits.payload_bytes),
        writer=_writer(fields["ResultWriter"], value, env),
    )
    arn = map_run_arn(draft.execution.machine_arn, asked.label, asked.run_id)
    asked.event = frame.last_event = draft.emit(frame.last_event, "MapRunStarted", {"mapRunArn": arn})
    frame.phase = Phase.MAP_RUN
    frame.map_run = MapRunWait(asked.event, asked.run_id)
    frame.items = items
    draft.effects.asides[frame.id] = frame
    draft.effects.map_runs.append(asked)


def label_of(execution: Execution, state: MapState) -> str:
    """The Map's Label, or one made for it: the same in every execution of the state machine."""
    label = state.distributed["Label"] if state.distributed is not None else None
    if label is not None:
        return cast(str, label)
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{base_arn(execution.machine_arn)}#{state.pointer}"))


def base_arn(machine_arn: str) -> str:
    """The state machine's ARN without the label that stands in it for children."""
    return machine_arn.partition("/")[0]


def map_run_arn(machine_arn: str, label: str, run_id: str) -> str:
    return f"{base_arn(machine_arn).replace(':stateMachine:', ':mapRun:', 1)}/{label}:{run_id}"


def _number(expression: Any, value: Any, env: Env) -> float | None:
    return cast(float, expression(value, env)) if expression is not None else None


def _reader(fields: Any, value: Any, env: Env) -> dict[str, Any] | None:
    if fields is None:
        return None
    return {
        "action": fields["Resource"],
        "arguments": fields["Arguments"](value, env) if fields["Arguments"] is not None else {},
        "max_items": int(_number(fields["MaxItems"], value, env) or 0),
        "config": dict(fields["ReaderConfig"]),
    }


def batcher_of(fields: Any, value: Any, env: Env, limit: int) -> Batcher | None:
    """An ItemBatcher with its expressions evaluated; ``limit`` is what an input may have in bytes. Raises Failure."""
    if fields is None:
        return None
    most, size, shared = fields["MaxItemsPerBatch"], fields["MaxInputBytesPerBatch"], fields["BatchInput"]
    return Batcher(
        most_items=int(most(value, env)) if most is not None else None,
        most_bytes=min(int(size(value, env)), limit) if size is not None else min(BATCH_BYTES, limit),
        batch_input=text_of(shared(value, env)) if shared is not None else None,
    )


def _writer(fields: Any, value: Any, env: Env) -> dict[str, Any] | None:
    if fields is None:
        return None
    config = fields["WriterConfig"] or {}
    writes = fields["Resource"] is not None
    return {
        "arguments": fields["Arguments"](value, env) if fields["Arguments"] is not None else {},
        "writes": writes,
        "transformation": config.get("Transformation", "NONE" if writes else "COMPACT"),
        "output_type": config.get("OutputType", "JSON"),
    }


def ended(draft: Draft, stimulus: MapRunEnded) -> None:
    """The Map Run is over; one that the frame does not wait for any more changes nothing."""
    frame = draft.find(stimulus.frame)
    if frame is None or frame.map_run is None or frame.map_run.event != stimulus.event:
        return
    frame = draft.touch(frame.id)
    state = cast(MapState, draft.state(frame))
    started = stimulus.event
    given = Given(frame, None, frame.items, frame.map_run)
    forget(draft, frame)
    if stimulus.status == "FAILED":
        draft.failing[frame.id] = given  # a redrive goes on with this Map Run
        details = outcomes.error_details(stimulus.error, stimulus.cause)
        frame.last_event = draft.emit(started, "MapRunFailed", details)
        outcomes.fail(draft, frame, stimulus.error, stimulus.cause, inside=True)
    else:
        frame.last_event = draft.emit(started, "MapRunSucceeded")
        draft.emit(frame.last_event, "MapStateSucceeded")
        if frame.before_entry:  # recorded from AWS: it follows the end only where the Map is the first state
            frame.last_event = started

        def complete() -> None:
            if stimulus.output is None:
                raise outcomes.too_large(frame.state)
            outcomes.complete(draft, frame, state, Data(text=stimulus.output))

        frame.phase = Phase.READY
        outcomes.guarded(draft, frame, complete)
    if frame.phase is Phase.READY and frame not in draft.ready:
        draft.ready.append(frame)


def forget(draft: Draft, frame: Frame) -> None:
    frame.map_run = None
    frame.items = None
    draft.effects.asides[frame.id] = None


def redrive(draft: Draft, frame: Frame, event: int) -> None:
    """Have the frame's Map Run go on after the event, with its children that did not succeed and its items that are left."""
    before, state = frame.map_run, cast(MapState, draft.state(frame))
    assert before is not None
    count = before.redrives + 1
    arn = map_run_arn(draft.execution.machine_arn, label_of(draft.execution, state), before.run_id)
    frame.last_event = draft.emit(event, "MapRunRedriven", {"mapRunArn": arn, "redriveCount": count})
    frame.phase = Phase.MAP_RUN
    frame.map_run = MapRunWait(frame.last_event, before.run_id, count)
    frame.retries = None
    frame.retry_count = 0
    draft.effects.redriven_map_runs.append(MapRunRedrive(frame.last_event, before.run_id, count))


def leave(draft: Draft, frame: Frame) -> None:
    """Nobody waits for the frame's Map Run any more: its children are to be stopped.

    One of this very step is not begun, or does not go on: a later redrive does that.
    """
    if frame.map_run is None:
        return
    asked, redriven = draft.effects.map_runs, draft.effects.redriven_map_runs
    if any(each.run_id == frame.map_run.run_id for each in redriven):
        redriven[:] = [each for each in redriven if each.run_id != frame.map_run.run_id]
        return
    begun = all(each.run_id != frame.map_run.run_id for each in asked)
    if begun:
        draft.effects.left_map_runs.append(frame.map_run.run_id)
    else:
        asked[:] = [each for each in asked if each.run_id != frame.map_run.run_id]
        forget(draft, frame)  # a redrive begins another one


def abort(draft: Draft, frame: Frame, failing: int) -> None:
    """The frame is abandoned: say so, and leave its Map Run. ``failing`` is the event that is the reason."""
    if frame.map_run is not None:
        draft.emit(failing, "MapRunAborted")
        leave(draft, frame)
