"""State machines on the Step Functions side: made when a definition first runs in a namespace, found again after that."""

from __future__ import annotations

import asyncio

import msgspec

from workflow_manager.manager.expansion import expand
from workflow_manager.manager.graphs import StateMachine
from workflow_manager.manager.naming import (
    FORBIDDEN,
    NAME_LENGTH,
    Arns,
    Identity,
    ManagerSettings,
    state_machine_name,
    unambiguous_name,
)
from workflow_manager.manager.resources import named_resources
from workflow_manager.manager.tags import state_machine_tags
from workflow_manager.model import StateResource, WorkflowDefinition
from workflow_manager.model.errors import InvalidRequest, StateResourceNotFound
from workflow_manager.stepfunctions import errors
from workflow_manager.stepfunctions import types as t
from workflow_manager.stepfunctions.protocol import StepFunctions
from workflow_manager.store import StateResourceStore

REMEMBERED = 10_000
"""How many state machines are known without asking."""


def identity_of(definition: WorkflowDefinition, namespace: str) -> Identity:
    start_at = (definition.state_machine or {}).get("StartAt", "")
    return Identity(namespace=namespace, definition=definition.name, version=definition.version, start_at=str(start_at))


class StateMachines:
    """Finds or creates the state machine of a definition in a namespace, with the activities that its Tasks need."""

    def __init__(self, store: StateResourceStore, stepfunctions: StepFunctions, settings: ManagerSettings) -> None:
        self._store = store
        self._stepfunctions = stepfunctions
        self._settings = settings
        self._arns = Arns(settings)
        self._names: dict[Identity, str] = {}
        self._being_made: dict[Identity, asyncio.Task[str]] = {}

    async def name(self, definition: WorkflowDefinition, namespace: str) -> str:
        """The name of the state machine, which exists when this returns. Raises StepFunctionsError, InvalidRequest."""
        identity = identity_of(definition, namespace)
        known = self._names.get(identity)
        if known is not None:
            return known
        making = self._being_made.get(identity)
        if making is None:  # a hundred starts of a new definition make it once
            making = asyncio.create_task(self._make(identity, definition))
            self._being_made[identity] = making
            making.add_done_callback(lambda done: self._made(identity, done))
        return await asyncio.shield(making)

    def forget(self, definition: WorkflowDefinition, namespace: str) -> None:
        """It turned out not to exist; make it when it is asked for next."""
        self._names.pop(identity_of(definition, namespace), None)

    def found(self, definition: WorkflowDefinition, namespace: str, name: str) -> None:
        """It turned out to exist, by this name."""
        self._remember(identity_of(definition, namespace), name)

    def possible_names(self, definition: WorkflowDefinition, namespace: str) -> list[str]:
        """What the state machine is called: one name when it is known, else two."""
        identity = identity_of(definition, namespace)
        known = self._names.get(identity)
        return [known] if known is not None else [state_machine_name(identity), unambiguous_name(identity)]

    def _made(self, identity: Identity, done: asyncio.Task[str]) -> None:
        self._being_made.pop(identity, None)
        if not done.cancelled():
            done.exception()  # callers that have gone away leave nothing to complain about

    async def _make(self, identity: Identity, definition: WorkflowDefinition) -> str:
        machine = definition.state_machine or {}
        registered = await self._registered(machine, identity.namespace)
        expansion = expand(machine, identity.namespace, self._arns, registered.get)
        for activity in sorted(expansion.activities):
            await self._create_activity(activity)
        definition_text = msgspec.json.encode(expansion.state_machine).decode()
        name = state_machine_name(identity)
        try:
            await self._create(name, definition_text, identity, definition)
        except errors.StateMachineAlreadyExists:
            if not await self._is(name, identity):
                name = unambiguous_name(identity)
                await self._create_or_keep(name, definition_text, identity, definition)
        self._remember(identity, name)
        return name

    def _remember(self, identity: Identity, name: str) -> None:
        if identity not in self._names and len(self._names) >= REMEMBERED:
            self._names.pop(next(iter(self._names)))
        self._names[identity] = name

    async def _registered(self, machine: StateMachine, namespace: str) -> dict[str, StateResource]:
        """The stored state resources that the machine's shorthand names."""
        found = {}
        for name in {wanted.name for wanted in named_resources(machine)}:
            try:
                found[name] = await self._store.state_resource(namespace, name)
            except StateResourceNotFound:
                continue
        return found

    async def _create_activity(self, name: str) -> None:
        """A Task can only be scheduled on an activity that exists. Creating one again is no error."""
        if len(name) > NAME_LENGTH or FORBIDDEN.search(name):
            raise InvalidRequest(
                f"{name!r} cannot be the name of an activity: at most {NAME_LENGTH} characters, no spaces and none of "
                '<>{}[]?*"#%\\^|~`$&,;:/ are allowed; choose another namespace or resource'
            )
        await self._stepfunctions.create_activity(t.CreateActivityInput(name=name))

    async def _create(self, name: str, text: str, identity: Identity, definition: WorkflowDefinition) -> None:
        await self._stepfunctions.create_state_machine(
            t.CreateStateMachineInput(
                name=name,
                definition=text,
                role_arn=self._settings.role_arn,
                tags=state_machine_tags(identity, self._settings.environment, definition.default_tags),
            )
        )

    async def _create_or_keep(self, name: str, text: str, identity: Identity, definition: WorkflowDefinition) -> None:
        """One that exists differs in what its resources were at the time it was made; it stays as it is."""
        try:
            await self._create(name, text, identity, definition)
        except errors.StateMachineAlreadyExists:
            return

    async def _is(self, name: str, identity: Identity) -> bool:
        """Whether the state machine that has this name is the one meant, and not of a definition with a similar name."""
        answer = await self._stepfunctions.list_tags_for_resource(
            t.ListTagsForResourceInput(resource_arn=self._arns.state_machine(name))
        )
        theirs = {(tag.key, tag.value) for tag in answer.tags or ()}
        ours = {(tag.key, tag.value) for tag in state_machine_tags(identity, "", {})}
        return ours <= theirs
