"""Parallel and inline Map: starting the frames below, gathering what they make, and what one failure does to the others."""

from __future__ import annotations

from workflow_manager.asl.program import Env, MapState, ParallelState, TaskState, WaitState
from workflow_manager.engine.core import distributed, outcomes, tasks
from workflow_manager.engine.core.data import Data
from workflow_manager.engine.core.draft import Draft, Given, map_item
from workflow_manager.engine.core.frames import Children, Frame, Phase
from workflow_manager.engine.core.inputs import effective_input

TOLERANCE_EXCEEDED = "States.ExceedToleratedFailureThreshold"


def start_parallel(draft: Draft, frame: Frame, state: ParallelState) -> None:
    """Do a Parallel's work: start every branch. Raises Failure."""
    data, _ = effective_input(draft, frame, state)
    frame.last_event = draft.emit(frame.last_event, "ParallelStateStarted")
    _adopt(draft, frame, len(state.branches))
    assert frame.children is not None
    for index, graph in enumerate(state.branches):
        _start_child(draft, frame, graph, index, data, frame.last_event)
    frame.children.started = len(state.branches)


def start_map(draft: Draft, frame: Frame, state: MapState) -> None:
    """Do a Map's work: start as many iterations as may run at once. Raises Failure."""
    if state.distributed is not None:
        distributed.start(draft, frame, state)
        return
    data, env = effective_input(draft, frame, state)
    env = env or draft.expressions(frame)
    items = state.items(data.value, env)
    at_once = int(state.max_concurrency(data.value, env)) if state.max_concurrency is not None else 0
    frame.last_event = draft.emit(frame.last_event, "MapStateStarted", {"length": len(items)})
    count, percentage = state.tolerated_failure_count, state.tolerated_failure_percentage
    tolerated_count = count(data.value, env) if count is not None else None
    tolerated_percentage = percentage(data.value, env) if percentage is not None else None
    if not items:
        draft.emit(frame.last_event, "MapStateSucceeded")
        outcomes.complete(draft, frame, state, Data([]))
        return
    limit = draft.env.limits.map_concurrency
    frame.items = items
    _adopt(draft, frame, len(items))
    children = frame.children
    assert children is not None
    children.max_concurrency = min(at_once or limit, limit)
    children.tolerated_count = tolerated_count
    children.tolerated_percentage = tolerated_percentage
    start_iterations(draft, frame, state, frame.last_event)


def _adopt(draft: Draft, frame: Frame, length: int) -> None:
    """Reserve the ids of the children, and have the frame's input kept beside its row while they work."""
    frame.phase = Phase.CHILDREN
    frame.children = Children(draft.next_frame, length)
    draft.next_frame += length
    draft.effects.asides[frame.id] = frame


def _start_child(draft: Draft, parent: Frame, graph: int, index: int, data: Data, previous: int) -> Frame:
    assert parent.children is not None
    child = Frame(parent.children.first + index, parent.id, graph, draft.program.graphs[graph].start_at, data)
    child.index = index
    child.last_event = previous
    draft.add(child)
    draft.ready.append(child)
    return child


def start_iterations(draft: Draft, frame: Frame, state: MapState, previous: int) -> None:
    """Start iterations until as many run as may. Raises Failure when the ItemSelector fails."""
    children, items = frame.children, frame.items
    assert children is not None
    assert items is not None
    env: Env | None = None
    while children.started < children.length:
        if children.started - children.succeeded - children.failed >= children.max_concurrency:
            return
        index = children.started
        event = draft.emit(previous, "MapIterationStarted", {"name": frame.state, "index": index})
        data = Data(items[index])
        if state.item_selector is not None:
            env = draft.expressions(frame, Map={"Item": map_item(index, items[index])})
            selected_from = frame.input.value
            if state.input_path is not None:
                selected_from = state.input_path(selected_from, env)
            data = Data(state.item_selector(selected_from, env))
        children.started += 1  # only now: one whose selector failed is not there, for a redrive to begin with
        _start_child(draft, frame, state.processor, index, data, event)


def succeeded(draft: Draft, child: Frame) -> None:
    """A branch or iteration has come to its end."""
    parent = draft.touch(child.parent)
    state, children = draft.state(parent), parent.children
    assert children is not None
    children.succeeded += 1
    if isinstance(state, MapState):
        event = draft.emit(child.last_event, "MapIterationSucceeded", {"name": parent.state, "index": child.index})
        children.last_success = event
    _go_on(draft, parent, child.last_event)


def _go_on(draft: Draft, parent: Frame, previous: int) -> None:
    """After a child's end: start the next ones, or gather when all have ended."""
    children, state = parent.children, draft.state(parent)
    assert children is not None
    if children.succeeded + children.failed < children.length:
        if isinstance(state, MapState):
            iterated = state
            outcomes.guarded(draft, parent, lambda: start_iterations(draft, parent, iterated, previous))
        return
    ended = [draft.frame(children.first + index) for index in range(children.length)]
    results = Data(text="[" + ",".join(f.output.text for f in ended if f.output is not None) + "]")
    if isinstance(state, MapState):
        parent.last_event = children.last_success or previous
        draft.emit(parent.last_event, "MapStateSucceeded")
    else:
        parent.last_event = previous
        draft.emit(parent.last_event, "ParallelStateSucceeded")
    _disown(draft, parent)
    parent.phase = Phase.READY
    outcomes.guarded(draft, parent, lambda: outcomes.complete(draft, parent, state, results))
    if parent.phase is Phase.READY:
        draft.ready.append(parent)


def failed(draft: Draft, child: Frame, error: str | None, cause: str | None) -> None:
    """Nothing in the child handles its error: tolerate it, or fail the Parallel or Map."""
    parent = draft.touch(child.parent)
    state, children = draft.state(parent), parent.children
    assert children is not None
    failing = child.last_event
    if isinstance(state, MapState):
        draft.emit(failing, "MapIterationFailed", {"name": parent.state, "index": child.index})
        children.failed += 1
        child.phase = Phase.FAILED
        if _tolerated(children):
            draft.failing.clear()
            _go_on(draft, parent, failing)
            return
        if children.tolerated_count is not None or children.tolerated_percentage is not None:
            error, cause = TOLERANCE_EXCEEDED, "The specified tolerated failure threshold was exceeded"
    elif isinstance(draft.state(child), TaskState):
        draft.emit(failing, ABORTED[TaskState])  # of the Task that failed itself (recorded from AWS)
    child.phase = Phase.FAILED
    abandon(draft, parent, failing)
    parent.last_event = failing
    outcomes.fail(draft, parent, error, cause, inside=True)
    if parent.phase is Phase.READY and parent not in draft.ready:
        draft.ready.append(parent)


def _tolerated(children: Children) -> bool:
    count, percentage = children.tolerated_count, children.tolerated_percentage
    if count is None and percentage is None:
        return False
    return (count is None or children.failed <= count) and (
        percentage is None or children.failed * 100 <= percentage * children.length
    )


def abandon(draft: Draft, parent: Frame, failing: int) -> None:
    """Abort the children that still work, and drop all of them. ``failing`` is the event that is the reason."""
    _abort(draft, parent, failing)
    _remember(draft, parent)
    _disown(draft, parent)


def _remember(draft: Draft, frame: Frame) -> None:
    """Note the frame and those below as they are now that they have been given up."""
    if frame.id in draft.failing:
        return  # the failure came from there
    children = frame.children
    draft.failing[frame.id] = Given(frame, children, frame.items, frame.map_run)
    if children is not None:
        for frame_id in range(children.first, children.first + children.started):
            child = draft.find(frame_id)
            if child is not None:
                _remember(draft, child)


def _abort(draft: Draft, parent: Frame, failing: int) -> None:
    """Abort the children that still work; their events all follow the failing one."""
    children, state = parent.children, draft.state(parent)
    assert children is not None
    for frame_id in range(children.first, children.first + children.started):
        frame = draft.find(frame_id)
        if frame is None or frame.phase in (Phase.DONE, Phase.FAILED):
            continue
        frame = draft.touch(frame_id)
        if frame.children is not None:
            _abort(draft, frame, failing)
        distributed.abort(draft, frame, failing)
        inner = ABORTED.get(type(draft.state(frame)))
        if inner is not None and frame.entered_event:
            draft.emit(failing, inner)
        if isinstance(state, MapState):
            draft.emit(failing, "MapIterationAborted", {"name": parent.state, "index": frame.index})
        tasks.withdraw(draft, frame)
        if frame.phase is Phase.WAITING:
            draft.effects.timers[frame.id, "wait"] = None
        if frame.phase is Phase.RETRYING:
            draft.effects.timers[frame.id, "retry"] = None
        frame.phase = Phase.FAILED  # so that the run loop passes it over


ABORTED: dict[type, str] = {
    TaskState: "TaskStateAborted",
    WaitState: "WaitStateAborted",
    ParallelState: "ParallelStateAborted",
    MapState: "MapStateAborted",
}


def _disown(draft: Draft, parent: Frame) -> None:
    """Drop the frames below, at every depth."""
    children = parent.children
    assert children is not None
    for frame_id in range(children.first, children.first + children.started):
        frame = draft.find(frame_id)
        if frame is None:
            continue
        if frame.children is not None:
            _disown(draft, frame)
        draft.drop(frame_id)
    parent.children = None
    parent.items = None
    draft.effects.asides[parent.id] = None
