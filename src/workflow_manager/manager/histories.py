"""Reading histories page by page: whole, or only what is new."""

from __future__ import annotations

from workflow_manager.stepfunctions import types as t
from workflow_manager.stepfunctions.history import HistoryEvent
from workflow_manager.stepfunctions.protocol import StepFunctions

PAGE = 1000
NEWEST_PAGE = 100
"""Few events are new when a history is followed."""


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
