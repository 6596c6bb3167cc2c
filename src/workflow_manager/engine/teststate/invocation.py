"""What a Task under test calls when it is not mocked: the same integrations as executions, once, and for no execution."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import structlog

from workflow_manager.asl.program import TaskResource
from workflow_manager.engine.tasks import own_api
from workflow_manager.engine.tasks.integrations import (
    LAMBDA,
    HttpExchange,
    Integration,
    IntegrationCall,
    IntegrationFailed,
    ShowsExchanges,
    answered,
)

logger = structlog.get_logger(__name__)


class Invocations:
    """``integrations``: service (``aws-sdk:sfn``, ...) -> who carries its calls out."""

    def __init__(self, integrations: Mapping[str, Integration]) -> None:
        self._integrations = integrations

    async def invoke(
        self, resource: TaskResource, arguments: str, role_arn: str | None, show: Callable[[HttpExchange], None]
    ) -> str:
        """Carry a request out; answer its result as JSON text. Raises IntegrationFailed.

        ``role_arn``: the role of the state's Credentials. ``show``: what is called with an HTTP request and its response.
        """
        if resource.service == "states":
            return await self._start(resource, arguments, role_arn, show)
        return await self._call(resource.service or LAMBDA, resource, arguments, role_arn, show)

    async def _call(
        self,
        service: str,
        resource: TaskResource,
        arguments: str,
        role_arn: str | None,
        show: Callable[[HttpExchange], None],
    ) -> str:
        integration = self._integrations.get(service)
        if integration is None or (resource.action and resource.action not in integration.actions):
            raise IntegrationFailed(
                "States.TaskFailed", f"Tasks of {resource.arn} cannot be carried out here; mock them"
            )
        call = IntegrationCall(
            execution_arn="",
            resource=resource.arn,
            service=service,
            action=resource.action,
            pattern=resource.pattern,
            arguments=arguments,
            task_token="",
            role_arn=role_arn,
        )
        try:
            if isinstance(integration, ShowsExchanges):
                return answered(await integration.invoke_showing(call, show))
            return answered(await integration.invoke(call))
        except IntegrationFailed:
            raise
        except Exception:
            logger.exception("an integration failed unexpectedly", resource=resource.arn)
            raise IntegrationFailed("States.TaskFailed", "The integration failed") from None

    async def _start(
        self, resource: TaskResource, arguments: str, role_arn: str | None, show: Callable[[HttpExchange], None]
    ) -> str:
        """Start an execution that nobody waits for: as the API does, with the errors of the optimised integration."""
        try:
            return await self._call(own_api.SERVICE, resource, arguments, role_arn, show)
        except IntegrationFailed as failure:
            raise IntegrationFailed(failure.error.replace("Sfn.", "StepFunctions.", 1), failure.cause) from None
