"""The store in memory: for tests, and the plainest statement of what the others must do."""

from __future__ import annotations

from datetime import datetime

from msgspec import structs

from workflow_manager.model import (
    Page,
    StateResource,
    Workflow,
    WorkflowChange,
    WorkflowDefinition,
    WorkflowQuery,
)
from workflow_manager.model.errors import (
    StateResourceNotFound,
    WorkflowAlreadyExists,
    WorkflowDefinitionAlreadyExists,
    WorkflowDefinitionNotFound,
    WorkflowNotFound,
)
from workflow_manager.store.changes import changed, summary
from workflow_manager.store.paging import Place, microseconds, page_token, range_of


class MemoryStore:
    """Implements Store. Nothing outlives the object; no method ever waits, so each is atomic on its event loop."""

    def __init__(self) -> None:
        self._definitions: dict[str, list[WorkflowDefinition]] = {}
        self._workflows: dict[str, Workflow] = {}
        self._state_resources: dict[tuple[str, str], StateResource] = {}
        self._leases: dict[str, tuple[str, datetime]] = {}

    async def save_definition(self, definition: WorkflowDefinition, /) -> WorkflowDefinition:
        if definition.name in self._definitions:
            raise WorkflowDefinitionAlreadyExists(definition.name)
        stored = structs.replace(definition, version=0)
        self._definitions[definition.name] = [stored]
        return stored

    async def update_definition(self, definition: WorkflowDefinition, /) -> WorkflowDefinition:
        versions = self._versions(definition.name)
        stored = structs.replace(definition, version=len(versions))
        versions.append(stored)
        return stored

    async def definitions(self) -> list[WorkflowDefinition]:
        return [versions[-1] for _, versions in sorted(self._definitions.items())]

    async def definition_versions(self, name: str, /) -> list[WorkflowDefinition]:
        return list(self._versions(name))

    async def definition(self, name: str, version: int, /) -> WorkflowDefinition:
        versions = self._definitions.get(name, [])
        if not 0 <= version < len(versions):
            raise WorkflowDefinitionNotFound(name, version)
        return versions[version]

    async def latest_definition(self, name: str, /) -> WorkflowDefinition:
        return self._versions(name)[-1]

    async def save_workflow(self, workflow: Workflow, /) -> None:
        if workflow.id in self._workflows:
            raise WorkflowAlreadyExists(workflow.id)
        self._workflows[workflow.id] = workflow

    async def change_workflow(self, workflow_id: str, change: WorkflowChange, /) -> tuple[Workflow, bool]:
        stored = await self.workflow(workflow_id)
        after = changed(stored, change)
        if after is None:
            return stored, False
        self._workflows[workflow_id] = after
        return after, True

    async def delete_workflow(self, workflow_id: str, /) -> None:
        self._workflows.pop(workflow_id, None)

    async def workflow(self, workflow_id: str, /) -> Workflow:
        try:
            return self._workflows[workflow_id]
        except KeyError:
            raise WorkflowNotFound(workflow_id) from None

    async def workflows(self, query: WorkflowQuery, /) -> Page[Workflow]:
        first, end = range_of(query)
        found = sorted(
            (
                workflow
                for workflow in self._workflows.values()
                if _matches(workflow, query) and first <= _place(workflow) < end
            ),
            key=_place,
            reverse=not query.oldest_first,
        )[: query.limit]
        return Page(
            items=[summary(workflow) for workflow in found] if query.summary_only else found,
            next_page_token=page_token(_place(found[-1]), oldest_first=query.oldest_first) if found else None,
        )

    async def unfinished_workflows(self, updated_before: datetime, limit: int, /) -> list[Workflow]:
        found = [
            workflow
            for workflow in self._workflows.values()
            if not workflow.status.final and workflow.last_updated < updated_before
        ]
        return [summary(workflow) for workflow in sorted(found, key=_staleness)[:limit]]

    async def save_state_resource(self, resource: StateResource, /) -> None:
        self._state_resources[resource.namespace, resource.name] = resource

    async def state_resource(self, namespace: str, name: str, /) -> StateResource:
        try:
            return self._state_resources[namespace, name]
        except KeyError:
            raise StateResourceNotFound(namespace, name) from None

    async def delete_state_resource(self, namespace: str, name: str, /) -> None:
        if self._state_resources.pop((namespace, name), None) is None:
            raise StateResourceNotFound(namespace, name)

    async def take_lease(self, name: str, holder: str, now: datetime, until: datetime, /) -> bool:
        held_by, ends = self._leases.get(name, (holder, now))
        if held_by != holder and ends > now:
            return False
        self._leases[name] = holder, until
        return True

    async def release_lease(self, name: str, holder: str, /) -> None:
        if self._leases.get(name, ("", None))[0] == holder:
            del self._leases[name]

    async def close(self) -> None:
        """Nothing to let go of."""

    def _versions(self, name: str) -> list[WorkflowDefinition]:
        try:
            return self._definitions[name]
        except KeyError:
            raise WorkflowDefinitionNotFound(name) from None


def _place(workflow: Workflow) -> Place:
    return Place(microseconds(workflow.created_at), workflow.id)


def _staleness(workflow: Workflow) -> tuple[datetime, str]:
    return workflow.last_updated, workflow.id


def _matches(workflow: Workflow, query: WorkflowQuery) -> bool:
    """Every filter but those of the creation time, which are a range of places."""
    return (
        query.definition_name in (None, workflow.workflow_definition.name)
        and query.namespace in (None, workflow.namespace)
        and query.queue in (None, workflow.queue)
        and query.resolved_by_user in (None, workflow.resolved_by_user)
        and (not query.statuses or workflow.status in query.statuses)
        and query.tags.items() <= workflow.tags.items()
    )
