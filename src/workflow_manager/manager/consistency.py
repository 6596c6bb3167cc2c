"""Waiting until AWS agrees with itself: what was just made may not be found yet; what is being changed refuses changes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias, TypeVar

from workflow_manager.stepfunctions.errors import StepFunctionsError

T = TypeVar("T")
Sleep: TypeAlias = Callable[[float], Awaitable[object]]

PAUSES = (0.1, 0.2, 0.4, 0.8, 1.2)
"""Seconds between tries: together less than a request may take, and several times what AWS was seen to need."""


async def until_consistent(sleep: Sleep, call: Callable[[], Awaitable[T]], *passing: type[StepFunctionsError]) -> T:
    """The call's answer, tried again while it raises one of the errors that pass. Raises the last one in the end."""
    for pause in PAUSES:
        try:
            return await call()
        except passing:
            await sleep(pause)
    return await call()
