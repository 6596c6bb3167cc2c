"""AsyncClient: the operations, to be awaited."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from types import TracebackType
from typing import Any, Self

import httpx

from workflow_manager.client.client import DEFAULT_SERVER
from workflow_manager.client.events import Event
from workflow_manager.client.operations import LATEST, Operations, new_workflow
from workflow_manager.client.transport import Transport
from workflow_manager.client.wire import AwaitedWire
from workflow_manager.model import Resumption, Workflow


class AsyncClient(Operations):
    """A connection to one server; close it, or use it in an ``async with`` statement. It is for any number of tasks of one loop.

    Every method may raise ApiError (the server refused), ServerUnreachable and UnexpectedAnswer.
    """

    def __init__(
        self,
        server: str = DEFAULT_SERVER,
        *,
        timeout_seconds: float = 30.0,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """``timeout_seconds`` bounds each wait for the server; ``transport`` replaces the network, for tests.

        Raises ServerUnreachable if ``server`` is no address.
        """

        def wire(settings: dict[str, Any]) -> AwaitedWire:
            return AwaitedWire(httpx.AsyncClient(**settings, transport=transport))

        super().__init__(Transport(server, wire, timeout_seconds=timeout_seconds))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def start(
        self,
        definition_name: str,
        input: Any = None,  # noqa: A002 - the field's name
        *,
        version: int = LATEST,
        namespace: str = "",
        queue: str = "default",
        tags: Mapping[str, str] | None = None,
        idempotency_key: str | None = None,
    ) -> AsyncWorkflowHandle:
        """Submit a workflow, and have it at hand. ``input`` is a JSON object as text, or anything that msgspec writes as one.

        Of one ``idempotency_key`` there is one workflow (``start_workflow``). Raises TypeError for an input that is no JSON.
        """
        new = new_workflow(definition_name, input, version=version, namespace=namespace, queue=queue, tags=tags)
        return AsyncWorkflowHandle(self, (await self.start_workflow(new, idempotency_key=idempotency_key)).id)

    def handle(self, workflow_id: str) -> AsyncWorkflowHandle:
        """A workflow that there is already. Nothing is asked of the server."""
        return AsyncWorkflowHandle(self, workflow_id)


class AsyncWorkflowHandle:
    """One workflow, through an AsyncClient."""

    def __init__(self, client: AsyncClient, workflow_id: str) -> None:
        self._client = client
        self.id = workflow_id

    async def workflow(self) -> Workflow:
        """The workflow as it is now, with its jobs."""
        return await self._client.workflow(self.id)

    async def wait(self, timeout_seconds: float | None = None) -> Workflow:
        """The workflow once it has ended, however that is. Raises WaitTimedOut, which is a TimeoutError; it goes on then."""
        return await self._client.wait(self.id, timeout_seconds)

    async def result(self, timeout_seconds: float | None = None) -> Any:
        """The output once it has succeeded, as JSON values.

        Raises WorkflowFailed with the job that failed, WorkflowCancelled, WaitTimedOut.
        """
        return await self._client.result(self.id, timeout_seconds)

    def follow(self, *, last_event_id: int = 0) -> AsyncGenerator[Event]:
        """What happens, as it happens, until the workflow has ended; over broken connections and restarts of the server."""
        return self._client.events(self.id, last_event_id=last_event_id)

    async def cancel(self, reason: str) -> None:
        """Stop it; again is no error. Raises CancellationNotAllowed if it has succeeded or failed."""
        await self._client.cancel_workflow(self.id, reason)

    async def resume(self, how: Resumption | str) -> AsyncWorkflowHandle:
        """Start a new workflow from a state of this one, which has ended. Raises ResumeNotAllowed."""
        return AsyncWorkflowHandle(self._client, (await self._client.resume_workflow(self.id, how)).id)

    async def resolve(self) -> None:
        """Mark it as looked after. Raises WorkflowAlreadyResolved."""
        await self._client.resolve_workflow(self.id)
