"""A workflow in an application's hands."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar, overload

import msgspec

from workflow_manager.manager import WorkflowManager
from workflow_manager.model import Resumption, Workflow, WorkflowStatus
from workflow_manager.sdk.conversion import converter, without_id
from workflow_manager.sdk.errors import WorkflowCancelled, WorkflowFailed

if TYPE_CHECKING:
    from workflow_manager.sdk.app import App

T = TypeVar("T")


class WorkflowHandle:
    """One workflow, by its ``id``. Every method has a twin for coroutines, whose name ends in ``_async``.

    All raise WorkflowNotFound, StorageUnavailable and BackendUnavailable besides what they say. Times are in seconds.
    """

    def __init__(self, app: App, workflow_id: str) -> None:
        self._app = app
        self.id = workflow_id

    def __repr__(self) -> str:
        return f"<workflow {self.id}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, WorkflowHandle) and other.id == self.id

    def __hash__(self) -> int:
        return hash(self.id)

    # ------------------------------------------------------------------ looking at it

    def details(self) -> Workflow:
        """All that is known of it, with its jobs."""
        return self._app.call(lambda manager: manager.workflow(self.id))

    async def details_async(self) -> Workflow:
        return await self._app.call_async(lambda manager: manager.workflow(self.id))

    def status(self) -> WorkflowStatus:
        return self.details().status

    async def status_async(self) -> WorkflowStatus:
        return (await self.details_async()).status

    def wait(self, timeout: float | None = None) -> Workflow:
        """Wait until it has ended, however it did. Raises TimeoutError; the workflow goes on."""
        return self._app.call(lambda manager: _ended(manager, self.id, timeout))

    async def wait_async(self, timeout: float | None = None) -> Workflow:
        return await self._app.call_async(lambda manager: _ended(manager, self.id, timeout))

    @overload
    def result(self, timeout: float | None = None) -> Any: ...
    @overload
    def result(self, timeout: float | None = None, *, type: type[T]) -> T: ...
    def result(self, timeout: float | None = None, *, type: Any = Any) -> Any:  # noqa: A002
        """Wait for its output: JSON, or a value of ``type``. Raises TimeoutError, WorkflowFailed, WorkflowCancelled."""
        return _result(self.wait(timeout), type)

    @overload
    async def result_async(self, timeout: float | None = None) -> Any: ...
    @overload
    async def result_async(self, timeout: float | None = None, *, type: type[T]) -> T: ...
    async def result_async(self, timeout: float | None = None, *, type: Any = Any) -> Any:  # noqa: A002
        return _result(await self.wait_async(timeout), type)

    # ------------------------------------------------------------------ doing something with it

    def cancel(self, reason: str = "") -> None:
        """Stop it. Raises CancellationNotAllowed when it has ended."""
        self._app.call(lambda manager: manager.cancel(self.id, reason))

    async def cancel_async(self, reason: str = "") -> None:
        await self._app.call_async(lambda manager: manager.cancel(self.id, reason))

    def resume(self, from_: str | None = None, *, input: Any = None, version: int | None = None) -> WorkflowHandle:  # noqa: A002
        """Start a new workflow from a state of this one, which has ended; without ``from_`` from the one that failed.

        Without ``input`` it begins with what the state had, without ``version`` in the definition that this one ran.
        Raises ResumeNotAllowed.
        """
        how = _resumption(from_, input, version)
        return WorkflowHandle(self._app, self._app.call(lambda manager: manager.resume(self.id, how)).id)

    async def resume_async(
        self,
        from_: str | None = None,
        *,
        input: Any = None,  # noqa: A002
        version: int | None = None,
    ) -> WorkflowHandle:
        how = _resumption(from_, input, version)
        resumed = await self._app.call_async(lambda manager: manager.resume(self.id, how))
        return WorkflowHandle(self._app, resumed.id)

    def resolve(self) -> None:
        """Mark a failure as dealt with. Raises WorkflowAlreadyResolved."""
        self._app.call(lambda manager: manager.resolve(self.id))

    async def resolve_async(self) -> None:
        await self._app.call_async(lambda manager: manager.resolve(self.id))


Work = Callable[[WorkflowManager], Coroutine[Any, Any, T]]


async def _ended(manager: WorkflowManager, workflow_id: str, timeout: float | None) -> Workflow:
    try:
        async with asyncio.timeout(timeout):
            async for told in manager.follow(workflow_id):
                if isinstance(told, Workflow) and told.status.final:
                    return told
    except TimeoutError:
        raise TimeoutError(f"workflow {workflow_id} has not ended within {timeout:g} seconds; it goes on") from None
    raise AssertionError("following ends with the workflow")


def _result(workflow: Workflow, kind: Any) -> Any:
    match workflow.status:
        case WorkflowStatus.SUCCEEDED:
            output = msgspec.json.decode(workflow.output) if workflow.output else None
            return converter(kind)(without_id(output))
        case WorkflowStatus.CANCELLED:
            raise WorkflowCancelled(workflow)
        case _:
            raise WorkflowFailed(workflow)


def _resumption(from_: str | None, value: Any, version: int | None) -> Resumption:
    from workflow_manager.sdk.app import input_text

    text = None if value is None else input_text(value)
    return Resumption(start_at=from_ or "", from_failed=from_ is None, input=text, version=version)
