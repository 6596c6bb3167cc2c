"""State machines on the Step Functions side: made when a definition first runs in a namespace, found again after that."""

from __future__ import annotations

import asyncio

import msgspec

from workflow_manager.clock import Clock
from workflow_manager.manager.consistency import Sleep, until_consistent
from workflow_manager.manager.expansion import expand
from workflow_manager.manager.graphs import StateMachine
from workflow_manager.manager.naming import (
    FORBIDDEN,
    NAME_LENGTH,
    Arns,
    Identity,
    ManagerSettings,
    log_group_name,
    state_machine_name,
    unambiguous_name,
)
from workflow_manager.manager.resources import named_resources
from workflow_manager.manager.tags import DEFINITION_NAME, as_tags, may_be, missing_tags, state_machine_tags
from workflow_manager.model import StateResource, WorkflowDefinition
from workflow_manager.model.errors import InvalidRequest, StateResourceNotFound
from workflow_manager.stepfunctions import errors
from workflow_manager.stepfunctions import types as t
from workflow_manager.stepfunctions.loggroups import LogGroups
from workflow_manager.stepfunctions.protocol import StepFunctions
from workflow_manager.store import StateResourceStore

REMEMBERED = 10_000
"""How many state machines are known without asking."""
RETENTION_DAYS = 7
CLOCKS_DIFFER_SECONDS = 2.0
"""By how much Step Functions' clock and ours may differ; a state machine that seems older was there before."""


def identity_of(definition: WorkflowDefinition, namespace: str) -> Identity:
    start_at = (definition.state_machine or {}).get("StartAt", "")
    return Identity(namespace=namespace, definition=definition.name, version=definition.version, start_at=str(start_at))


class StateMachines:
    """Finds or creates the state machine of a definition in a namespace, with the activities that its Tasks need."""

    def __init__(
        self,
        store: StateResourceStore,
        stepfunctions: StepFunctions,
        settings: ManagerSettings,
        *,
        clock: Clock,
        sleep: Sleep,
        log_groups: LogGroups | None = None,
    ) -> None:
        self._store = store
        self._clock = clock
        self._sleep = sleep
        self._log_groups = log_groups
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
        text = msgspec.json.encode(expansion.state_machine).decode()
        tags = state_machine_tags(identity, self._settings.environment, definition.default_tags)
        name = state_machine_name(identity)
        if not await self._find_or_create(name, text, identity, tags):
            name = unambiguous_name(identity)  # which no other identity has
            await self._find_or_create(name, text, identity, tags)
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

    async def _find_or_create(self, name: str, text: str, identity: Identity, tags: dict[str, str]) -> bool:
        """Make the state machine of this name, or complete the one that is there; whether it is the one meant.

        One that is there may differ in what its resources were at the time it was made; it stays as it is. Whoever made it
        in this moment (another server, another attempt of this call) meant the same: the API is idempotent then.
        """
        logging = await self._logging(name, tags)
        before = self._clock.now()
        same = True
        try:
            made = await until_consistent(
                self._sleep,
                lambda: self._stepfunctions.create_state_machine(
                    t.CreateStateMachineInput(
                        name=name,
                        definition=text,
                        role_arn=self._settings.role_arn,
                        logging_configuration=logging,
                        tags=as_tags(tags),
                    )
                ),
                errors.ConflictException,
            )
            if made.creation_date >= before - CLOCKS_DIFFER_SECONDS:
                return True
        except errors.StateMachineAlreadyExists:
            same = False
        return await self._complete(name, identity, tags, logging, same=same)

    async def _complete(
        self,
        name: str,
        identity: Identity,
        tags: dict[str, str],
        logging: t.LoggingConfiguration | None,
        *,
        same: bool,
    ) -> bool:
        """Give a state machine that was there what it lacks, if it is the one meant; whether it is.

        One whose definition is not the ``same`` must say by its tags that it is.
        """
        arn = self._arns.state_machine(name)
        answer = await until_consistent(
            self._sleep,
            lambda: self._stepfunctions.list_tags_for_resource(t.ListTagsForResourceInput(resource_arn=arn)),
            errors.ResourceNotFound,
        )
        theirs = {tag.key: tag.value or "" for tag in answer.tags or () if tag.key is not None}
        if not may_be(identity, theirs) or not (same or DEFINITION_NAME in theirs):
            return False
        missing = missing_tags(tags, theirs)
        if missing:
            await until_consistent(
                self._sleep,
                lambda: self._stepfunctions.tag_resource(t.TagResourceInput(resource_arn=arn, tags=as_tags(missing))),
                errors.ConflictException,
            )
        if logging is not None:
            await self._add_logging(arn, logging)
        return True

    async def _logging(self, name: str, tags: dict[str, str]) -> t.LoggingConfiguration | None:
        """The logging configuration of a state machine of this name, its log group made; None without log groups."""
        if self._log_groups is None:
            return None
        group = log_group_name(name)
        common = {key: value for key, value in tags.items() if key in {"application", "environment"}}
        await self._log_groups.ensure(group, retention_days=RETENTION_DAYS, tags=common)
        return t.LoggingConfiguration(
            level="ALL",
            include_execution_data=True,
            destinations=[
                t.LogDestination(
                    cloud_watch_logs_log_group=t.CloudWatchLogsLogGroup(log_group_arn=self._arns.log_group(group))
                )
            ],
        )

    async def _add_logging(self, arn: str, logging: t.LoggingConfiguration) -> None:
        """Once: a state machine that logs, to wherever and whatever, is left as it is."""
        described = await self._stepfunctions.describe_state_machine(t.DescribeStateMachineInput(state_machine_arn=arn))
        present = described.logging_configuration
        if present is None or not present.destinations:
            await until_consistent(
                self._sleep,
                lambda: self._stepfunctions.update_state_machine(
                    t.UpdateStateMachineInput(state_machine_arn=arn, logging_configuration=logging)
                ),
                errors.ConflictException,
            )
