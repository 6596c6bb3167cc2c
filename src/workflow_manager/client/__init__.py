"""A client of the HTTP API, in the types of the model; Client blocks, AsyncClient is awaited.

with Client("http://127.0.0.1:8080") as client:
    workflow = client.start("greet", {"name": "you"}, namespace="demo")
    print(workflow.result())
"""

from workflow_manager.client.asynchronous import AsyncClient, AsyncWorkflowHandle
from workflow_manager.client.client import DEFAULT_SERVER, Client, WorkflowHandle
from workflow_manager.client.errors import (
    ApiError,
    ClientError,
    ServerUnreachable,
    UnexpectedAnswer,
    WaitTimedOut,
    WorkflowCancelled,
    WorkflowEnded,
    WorkflowFailed,
)
from workflow_manager.client.events import HISTORY, WORKFLOW, Event
from workflow_manager.client.operations import LATEST, WorkflowPage

__all__ = [
    "DEFAULT_SERVER",
    "HISTORY",
    "LATEST",
    "WORKFLOW",
    "ApiError",
    "AsyncClient",
    "AsyncWorkflowHandle",
    "Client",
    "ClientError",
    "Event",
    "ServerUnreachable",
    "UnexpectedAnswer",
    "WaitTimedOut",
    "WorkflowCancelled",
    "WorkflowEnded",
    "WorkflowFailed",
    "WorkflowHandle",
    "WorkflowPage",
]


def _describe() -> None:
    """Give the methods that block the descriptions of those that are awaited, for ``help``."""
    for blocking, awaited in ((Client, AsyncClient), (WorkflowHandle, AsyncWorkflowHandle)):
        for name, method in vars(blocking).items():
            if not name.startswith("_") and callable(method):
                method.__doc__ = getattr(awaited, name).__doc__


_describe()
