"""The operation that is about the service itself."""

from __future__ import annotations

from workflow_manager.api.openapi import Answer, Operation
from workflow_manager.api.replies import Reply
from workflow_manager.api.requests import Request
from workflow_manager.manager import WorkflowManager


async def health_check(_manager: WorkflowManager, _request: Request) -> Reply:
    """Tell whether the service serves."""
    return Reply(200)


OPERATIONS = (
    Operation(
        id="healthCheck",
        method="GET",
        path="/_health",
        tag="service",
        handler=health_check,
        answer=Answer(status=200, description="It does."),
    ),
)
