"""A client of the HTTP API, in the types of the model.

with Client("http://127.0.0.1:8080") as client:
    workflow = client.start_workflow(NewWorkflow(definition_name="greet", version=LATEST, namespace="demo"))
    for event in client.events(workflow.id):
        ...
"""

from workflow_manager.client.client import DEFAULT_SERVER, LATEST, Client, WorkflowPage
from workflow_manager.client.errors import ApiError, ClientError, ServerUnreachable, UnexpectedAnswer
from workflow_manager.client.events import HISTORY, WORKFLOW, Event

__all__ = [
    "DEFAULT_SERVER",
    "HISTORY",
    "LATEST",
    "WORKFLOW",
    "ApiError",
    "Client",
    "ClientError",
    "Event",
    "ServerUnreachable",
    "UnexpectedAnswer",
    "WorkflowPage",
]
