"""The Store: where definitions, workflows and state resources are kept. One Protocol in four parts, several implementations.

Every method may raise StorageUnavailable, having changed nothing. What a method has answered is durable.
"""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from workflow_manager.model import (
    Page,
    StateResource,
    Workflow,
    WorkflowChange,
    WorkflowDefinition,
    WorkflowQuery,
)


class DefinitionStore(Protocol):
    async def save_definition(self, definition: WorkflowDefinition, /) -> WorkflowDefinition:
        """Store version 0 of a new name. Raises WorkflowDefinitionAlreadyExists."""
        ...

    async def update_definition(self, definition: WorkflowDefinition, /) -> WorkflowDefinition:
        """Store the next version of a name, whatever ``version`` says, and answer it with its version.

        Concurrent updates each get a version of their own. Raises WorkflowDefinitionNotFound.
        """
        ...

    async def definitions(self) -> list[WorkflowDefinition]:
        """The latest version of every name, by name."""
        ...

    async def definition_versions(self, name: str, /) -> list[WorkflowDefinition]:
        """Every version of a name, oldest first. Raises WorkflowDefinitionNotFound."""
        ...

    async def definition(self, name: str, version: int, /) -> WorkflowDefinition:
        """One version. Raises WorkflowDefinitionNotFound with the version."""
        ...

    async def latest_definition(self, name: str, /) -> WorkflowDefinition:
        """Raises WorkflowDefinitionNotFound."""
        ...


class WorkflowStore(Protocol):
    async def save_workflow(self, workflow: Workflow, /) -> None:
        """Store a new workflow. Raises WorkflowAlreadyExists."""
        ...

    async def change_workflow(self, workflow_id: str, change: WorkflowChange, /) -> tuple[Workflow, bool]:
        """Change a workflow in one conditional write; answer it as stored after, and whether the change was made.

        A change with a ``status`` is made only if the stored status comes before it (queued < running < final; final
        ones never change, and a status equal to the stored one is not before it); otherwise nothing is changed at all.
        A change without ``status`` is always made. Raises WorkflowNotFound.
        """
        ...

    async def delete_workflow(self, workflow_id: str, /) -> None:
        """Delete a workflow; one that is not there is no error."""
        ...

    async def workflow(self, workflow_id: str, /) -> Workflow:
        """Raises WorkflowNotFound."""
        ...

    async def workflows(self, query: WorkflowQuery, /) -> Page[Workflow]:
        """List by creation time, ties broken by id, so that paging neither skips nor repeats while rows come in.

        The definition in a list item has no state machine when ``summary_only``. Raises InvalidPageToken.
        """
        ...

    async def unfinished_workflows(self, updated_before: datetime, limit: int, /) -> list[Workflow]:
        """Summaries of queued and running workflows last updated before that, the one longest ago first, up to ``limit``."""
        ...


class StateResourceStore(Protocol):
    async def save_state_resource(self, resource: StateResource, /) -> None:
        """Store or overwrite."""
        ...

    async def state_resource(self, namespace: str, name: str, /) -> StateResource:
        """Raises StateResourceNotFound."""
        ...

    async def delete_state_resource(self, namespace: str, name: str, /) -> None:
        """Raises StateResourceNotFound."""
        ...


class LeaseStore(Protocol):
    """Who of several servers does what only one may do at a time. Times are the holders' own, so skew shortens a lease."""

    async def take_lease(self, name: str, holder: str, now: datetime, until: datetime, /) -> bool:
        """Take or prolong a lease up to ``until``, in one conditional write; whether ``holder`` has it.

        Refused while another holder's has not ended (its ``until`` is after ``now``).
        """
        ...

    async def release_lease(self, name: str, holder: str, /) -> None:
        """Give a lease back; one that is another's, or nobody's, is left alone."""
        ...


class Store(DefinitionStore, WorkflowStore, StateResourceStore, LeaseStore, Protocol):
    """All four."""

    async def close(self) -> None: ...
