"""Reading histories page by page: whole, as far as time allows, or only what is new."""

from __future__ import annotations

import asyncio

from msgspec import Struct

from workflow_manager.stepfunctions import types as t
from workflow_manager.stepfunctions.history import TERMINAL, HistoryEvent
from workflow_manager.stepfunctions.protocol import StepFunctions

PAGE = 1000
NEWEST_PAGE = 100
"""Few events are new when a history is followed."""


class History(Struct, frozen=True):
    """What was read of a history, oldest event first. ``truncated``: time ran out before its end."""

    events: list[HistoryEvent]
    truncated: bool = False

    @property
    def ended(self) -> bool:
        """Whether it is all there ever will be. AWS may tell that an execution has ended before its history does."""
        return not self.truncated and bool(self.events) and self.events[-1].type in TERMINAL


async def first_events(stepfunctions: StepFunctions, execution_arn: str, seconds: float | None) -> History:
    """The history from its beginning, as far as it can be read in that time. Raises StepFunctionsError."""
    found: list[HistoryEvent] = []
    token: str | None = None
    try:
        async with asyncio.timeout(seconds) as deadline:
            while True:
                answer = await stepfunctions.get_execution_history(
                    t.GetExecutionHistoryInput(execution_arn=execution_arn, max_results=PAGE, next_token=token)
                )
                found += answer.events
                token = answer.next_token
                if token is None:
                    return History(found)
    except TimeoutError:
        if not deadline.expired():
            raise
        return History(found, truncated=True)


async def last_events(stepfunctions: StepFunctions, execution_arn: str) -> list[HistoryEvent]:
    """The last page of a history, oldest event first. Raises StepFunctionsError."""
    answer = await stepfunctions.get_execution_history(
        t.GetExecutionHistoryInput(execution_arn=execution_arn, max_results=PAGE, reverse_order=True)
    )
    return answer.events[::-1]


async def events_after(stepfunctions: StepFunctions, execution_arn: str, event_id: int) -> list[HistoryEvent]:
    """The events after that one, oldest first; all of them for 0. Raises StepFunctionsError.

    The API pages from either end only, so what is new is read from the new end back to what is known.
    """
    newest_first = event_id > 0
    found: list[HistoryEvent] = []
    token: str | None = None
    while True:
        answer = await stepfunctions.get_execution_history(
            t.GetExecutionHistoryInput(
                execution_arn=execution_arn,
                max_results=NEWEST_PAGE if newest_first and not found else PAGE,
                reverse_order=newest_first,
                next_token=token,
            )
        )
        new = [event for event in answer.events if event.id > event_id]
        found += new
        token = answer.next_token
        if token is None or len(new) < len(answer.events):
            return found[::-1] if newest_first else found
