"""Workflows inside a Python application: functions are the resources of Tasks.

    from workflow_manager.sdk import App

    app = App("orders", environment="dev")

    @app.task
    def reserve(order: Order) -> Reservation: ...

    app.load("workflows.yaml")
    print(app.start("fulfil", {"order": 7}).result())

The engine runs in this process, in ``./wfm-data``, or with ``backend="aws"`` it is AWS Step Functions.
"""

from workflow_manager.sdk.app import App
from workflow_manager.sdk.context import Context
from workflow_manager.sdk.errors import (
    CannotOpen,
    DefinitionsRefused,
    Fault,
    InvalidTaskInput,
    InvalidTaskOutput,
    TaskFailed,
    WorkflowCancelled,
    WorkflowDidNotSucceed,
    WorkflowFailed,
)
from workflow_manager.sdk.handle import WorkflowHandle

__all__ = [
    "App",
    "CannotOpen",
    "Context",
    "DefinitionsRefused",
    "Fault",
    "InvalidTaskInput",
    "InvalidTaskOutput",
    "TaskFailed",
    "WorkflowCancelled",
    "WorkflowDidNotSucceed",
    "WorkflowFailed",
    "WorkflowHandle",
]
