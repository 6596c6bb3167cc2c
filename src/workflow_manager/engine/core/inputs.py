"""What a state works on: its input after InputPath and Parameters, or Arguments."""

from __future__ import annotations

from workflow_manager.asl.program import Env, State
from workflow_manager.engine.core.data import Data
from workflow_manager.engine.core.draft import Draft
from workflow_manager.engine.core.frames import Frame


def effective_input(draft: Draft, frame: Frame, state: State) -> tuple[Data, Env | None]:
    """The state's input after InputPath and Parameters (or Arguments), and the Env if one was needed. Raises Failure."""
    data, env = frame.input, None
    if state.input_path is not None:
        env = draft.expressions(frame)
        value = state.input_path(data.value, env)
        if value is not data.value:
            data = Data(value)
    arguments = getattr(state, "arguments", None)
    if arguments is not None:
        env = env or draft.expressions(frame)
        data = Data(arguments(data.value, env))
    return data, env
