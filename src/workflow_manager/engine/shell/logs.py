"""Execution logs: what a state machine's LoggingConfiguration asks to be told of its executions' events.

Records have the form that AWS writes to CloudWatch Logs. They go to the structured log, and to a Destination where there is
one. For Express executions they are all that remains.

Source: SFN developer guide, "Using CloudWatch Logs to log execution history in Step Functions" (levels, table of event types).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

import structlog

from workflow_manager.engine.core.frames import Execution
from workflow_manager.stepfunctions import types as t
from workflow_manager.stepfunctions.history import HistoryEvent

FATAL = frozenset({"ExecutionAborted", "ExecutionFailed", "ExecutionTimedOut"})
"""Event types that the level FATAL tells."""
ERROR = FATAL | {
    "ActivityFailed",
    "ActivityScheduleFailed",
    "ActivityTimedOut",
    "EvaluationFailed",
    "FailStateEntered",
    "LambdaFunctionFailed",
    "LambdaFunctionScheduleFailed",
    "LambdaFunctionStartFailed",
    "LambdaFunctionTimedOut",
    "MapIterationAborted",
    "MapIterationFailed",
    "MapRunAborted",
    "MapRunFailed",
    "MapStateAborted",
    "MapStateFailed",
    "ParallelStateAborted",
    "ParallelStateFailed",
    "TaskFailed",
    "TaskStartFailed",
    "TaskStateAborted",
    "TaskSubmitFailed",
    "TaskTimedOut",
    "WaitStateAborted",
}
"""Event types that the level ERROR tells; ALL tells every type."""
LEVELS: dict[str, frozenset[str] | None] = {"ALL": None, "ERROR": ERROR, "FATAL": FATAL, "OFF": frozenset()}

DATA = {"input", "output", "parameters", "assignedVariables"}
DATA |= {f"{name}Details" for name in DATA}
"""Members of details that are told with includeExecutionData only. (Errors and causes are not data.)"""

log = structlog.get_logger("workflow_manager.executions")


class Destination(Protocol):
    """Where records go besides the structured log; neither call waits or fails."""

    def created(self, log_group_arn: str, /) -> None:
        """A state machine was made that logs to this group."""
        ...

    def put(self, log_group_arn: str, state_machine_arn: str, records: list[dict[str, Any]], /) -> None: ...


def group_of(config: t.LoggingConfiguration | None) -> str | None:
    """The ARN of the log group that a configuration names."""
    for destination in (config.destinations or []) if config is not None else []:
        if destination.cloud_watch_logs_log_group is not None:
            return destination.cloud_watch_logs_log_group.log_group_arn
    return None


def tell(
    config: t.LoggingConfiguration,
    execution: Execution,
    events: Iterable[HistoryEvent],
    destination: Destination | None,
) -> None:
    """Log those of the events that the configuration's level asks for."""
    types = LEVELS[config.level or "OFF"]
    chosen = [event for event in events if types is None or event.type in types]
    if not chosen:
        return
    records = [record(event, execution, data=bool(config.include_execution_data)) for event in chosen]
    for made in records:
        (log.error if made["type"] in ERROR else log.info)("execution event", **made)
    group = group_of(config)
    if destination is not None and group is not None:
        destination.put(group, execution.machine_arn, records)


def record(event: HistoryEvent, execution: Execution, *, data: bool) -> dict[str, Any]:
    """The event as AWS logs it: numbers as text, times in milliseconds."""
    details = event.details or {}
    return {
        "id": str(event.id),
        "type": event.type,
        "details": details if data else {name: value for name, value in details.items() if name not in DATA},
        "previous_event_id": str(event.previous_event_id),
        "event_timestamp": str(round(event.timestamp * 1_000)),
        "execution_arn": execution.arn,
        "redrive_count": str(execution.redrive_count or 0),
    }
