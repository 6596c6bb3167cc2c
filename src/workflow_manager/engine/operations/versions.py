"""Versions and aliases of state machines: what is published does not change, and an alias divides starts among versions.

Source: SFN developer guide, "Managing continuous deployments with versions and aliases".
"""

from __future__ import annotations

import random
from typing import Any

import msgspec

from workflow_manager.database import Batch, Database
from workflow_manager.engine.operations.machine_settings import check_name
from workflow_manager.engine.operations.machines import Machines
from workflow_manager.engine.operations.pages import page_of, page_token
from workflow_manager.engine.shell.machine import Machine, Settings
from workflow_manager.engine.shell.runner import Runner
from workflow_manager.stepfunctions import types as t
from workflow_manager.stepfunctions.arns import Arns, parse
from workflow_manager.stepfunctions.errors import (
    ConflictException,
    ResourceNotFound,
    ServiceQuotaExceededException,
    StateMachineDoesNotExist,
    ValidationException,
)

MAX_VERSIONS = 1_000
MAX_ALIASES = 100
"""Of one state machine (SFN developer guide, "Quotas related to state machines")."""

ABSENT = "Request references a resource that does not exist."

_routes = msgspec.json.Decoder(list[t.RoutingConfigurationListItem]).decode


class Versions:
    def __init__(self, database: Database, arns: Arns, runner: Runner, machines: Machines) -> None:
        self._database = database
        self._arns = arns
        self._runner = runner
        self._machines = machines
        self._query = database.query
        self._query_one = database.query_one

    # ------------------------------------------------------------------------------------------ versions

    def publish_in(self, batch: Batch, machine: Machine, description: str | None) -> tuple[str, float]:
        """Publish what the state machine is now; (ARN, creation date). The newest version is answered if it is the same."""
        newest = batch.execute(
            "SELECT version, revision, created FROM machine_version WHERE machine = ? ORDER BY version DESC LIMIT 1",
            (machine.id,),
        ).fetchone()
        if newest is not None and newest[1] == machine.revision:
            return self._arns.state_machine(machine.name, newest[0]), newest[2]
        _check_quota(batch, "machine_version", machine, MAX_VERSIONS, "versions")
        ((version,),) = batch.execute(
            "UPDATE state_machine SET versions = versions + 1 WHERE id = ? RETURNING versions", (machine.id,)
        ).fetchall()
        now = self._runner.now()
        batch.execute(
            "INSERT INTO machine_version VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                machine.id,
                version,
                machine.definition,
                machine.role_arn,
                msgspec.msgpack.encode(machine.settings),
                machine.revision,
                description,
                now,
            ),
        )
        return self._arns.state_machine(machine.name, version), now

    async def publish(self, request: t.PublishStateMachineVersionInput) -> t.PublishStateMachineVersionOutput:
        self._machines.get(request.state_machine_arn)

        def write(batch: Batch) -> t.PublishStateMachineVersionOutput:
            machine = self._machines.get(request.state_machine_arn)
            if request.revision_id is not None and request.revision_id != (machine.revision or "INITIAL"):
                raise ConflictException(
                    "Failed to publish the State Machine version for revision "
                    f"{request.revision_id}. The current State Machine revision is {machine.revision or 'INITIAL'}."
                )
            arn, created = self.publish_in(batch, machine, request.description)
            return t.PublishStateMachineVersionOutput(state_machine_version_arn=arn, creation_date=created)

        return await self._database.write(write)

    def resolve(self, arn: str) -> tuple[Machine, int | None, str | None]:
        """The state machine as an ARN means it, with the version and the alias it names.

        An alias draws one of its versions by their weights. Raises InvalidArn, StateMachineDoesNotExist.
        """
        parsed = parse(arn, "stateMachine")
        if parsed.qualifier is None:
            return self._machines.get(arn), None, None
        machine = self._machines.by_name(parsed.name)
        version = parsed.version
        if machine is not None and parsed.alias is not None:
            routes = self._routes_of(machine, parsed.alias)
            if routes:
                drawn = random.choices([item[0] for item in routes], [item[1] for item in routes])[0]  # noqa: S311
                version = parse(drawn, "stateMachine").version
        found = self._version(machine, version) if machine is not None and version is not None else None
        if found is None or not arn.startswith(self._arns.state_machine(parsed.name)):
            raise StateMachineDoesNotExist(f"State Machine Does Not Exist: '{arn}'")
        return found[0], version, parsed.alias

    def _version(self, machine: Machine, version: int) -> tuple[Machine, str | None] | None:
        """(the state machine as it was published, the version's description)."""
        row = self._query_one(
            "SELECT definition, role_arn, settings, revision, description, created FROM machine_version "
            "WHERE machine = ? AND version = ?",
            (machine.id, version),
        )
        if row is None:
            return None
        definition, role_arn, settings, revision, description, created = row
        published = msgspec.structs.replace(
            machine,
            definition=definition,
            role_arn=role_arn,
            settings=msgspec.msgpack.decode(settings, type=Settings),
            revision=revision,
            created=created,
        )
        return published, description

    def describe(self, request: t.DescribeStateMachineInput) -> t.DescribeStateMachineOutput:
        parsed = parse(request.state_machine_arn, "stateMachine")
        if parsed.qualifier is None:
            return self._machines.describe(self._machines.get(request.state_machine_arn))
        machine, version, _ = self.resolve(request.state_machine_arn)
        assert version is not None
        found = self._version(machine, version)
        described = self._machines.describe(machine)
        return msgspec.structs.replace(
            described,
            state_machine_arn=self._arns.state_machine(machine.name, version),
            description=found[1] if found is not None else None,
        )

    async def delete(self, request: t.DeleteStateMachineVersionInput) -> t.DeleteStateMachineVersionOutput:
        """Delete a version; one that is not there is no error. Raises ConflictException while an alias refers to it."""
        parsed = parse(request.state_machine_version_arn, "stateMachine")
        if parsed.version is None:
            raise ValidationException(f"Invalid Arn: '{request.state_machine_version_arn}' is not a version's")
        version = parsed.version

        def write(batch: Batch) -> t.DeleteStateMachineVersionOutput:
            machine = self._machines.by_name(parsed.name)
            if machine is not None:
                rows = batch.execute(
                    "SELECT name, routing FROM machine_alias WHERE machine = ?", (machine.id,)
                ).fetchall()
                arn = request.state_machine_version_arn
                users = [
                    name for name, routing in rows if any(r.state_machine_version_arn == arn for r in _routes(routing))
                ]
                if users:
                    raise ConflictException(
                        "Version to be deleted must not be referenced by an alias. "
                        f"Current list of aliases referencing this version: [{', '.join(users)}]"
                    )
                batch.execute("DELETE FROM machine_version WHERE machine = ? AND version = ?", (machine.id, version))
            return t.DeleteStateMachineVersionOutput()

        return await self._database.write(write)

    def listed(self, request: t.ListStateMachineVersionsInput) -> t.ListStateMachineVersionsOutput:
        """Newest first."""
        limit, before = page_of(request.max_results, request.next_token, int)
        parsed = parse(request.state_machine_arn, "stateMachine")
        machine = self._machines.by_name(parsed.name)
        rows = (
            self._database.read(
                "SELECT version, created FROM machine_version WHERE machine = ? AND version < ? "
                "ORDER BY version DESC LIMIT ?",
                (machine.id, before if before is not None else 1 << 62, limit + 1),
            )
            if machine is not None
            else []
        )
        return t.ListStateMachineVersionsOutput(
            state_machine_versions=[
                t.StateMachineVersionListItem(
                    state_machine_version_arn=self._arns.state_machine(parsed.name, version), creation_date=created
                )
                for version, created in rows[:limit]
            ],
            next_token=page_token(rows[limit - 1][0]) if len(rows) > limit else None,
        )

    # ------------------------------------------------------------------------------------------ aliases

    def _routes_of(self, machine: Machine, alias: str) -> list[tuple[str, int]]:
        row = self._query_one("SELECT routing FROM machine_alias WHERE machine = ? AND name = ?", (machine.id, alias))
        return [(r.state_machine_version_arn, r.weight) for r in _routes(row[0])] if row is not None else []

    def _check_routes(self, routes: list[t.RoutingConfigurationListItem]) -> Machine:
        """The state machine whose versions these are. Raises ValidationException, ResourceNotFound."""
        arns = [route.state_machine_version_arn for route in routes]
        received = f"Received: [{', '.join(arns)}]"
        parsed = [parse(arn, "stateMachine") for arn in arns]
        if any(each.version is None for each in parsed):
            raise ValidationException(f"Routing configuration must contain state machine version ARNs. {received}")
        if len(set(arns)) < len(arns):
            raise ValidationException(
                f"Routing configuration must contain distinct state machine version ARNs. {received}"
            )
        weights = [route.weight for route in routes]
        if sum(weights) != 100:
            raise ValidationException(f"Sum of routing configuration weights must equal 100. Received: {weights}")
        if len({each.name for each in parsed}) > 1:
            raise ValidationException(f"Routing configuration must name versions of one state machine. {received}")
        machine = self._machines.by_name(parsed[0].name)
        if machine is None or any(self._version(machine, each.version or 0) is None for each in parsed):
            raise ResourceNotFound(ABSENT)
        return machine

    async def create_alias(self, request: t.CreateStateMachineAliasInput) -> t.CreateStateMachineAliasOutput:
        """Idempotent for an alias that is as it is asked for."""
        check_name(request.name)
        self._check_routes(request.routing_configuration)

        def write(batch: Batch) -> t.CreateStateMachineAliasOutput:
            machine = self._check_routes(request.routing_configuration)
            arn, now = self._arns.state_machine(machine.name, request.name), self._runner.now()
            routing = msgspec.json.encode(request.routing_configuration)
            there = batch.execute(
                "SELECT routing, description, created FROM machine_alias WHERE machine = ? AND name = ?",
                (machine.id, request.name),
            ).fetchone()
            if there is not None:
                if (there[0], there[1]) == (routing, request.description):
                    return t.CreateStateMachineAliasOutput(state_machine_alias_arn=arn, creation_date=there[2])
                raise ConflictException(
                    "Failed to create alias because an alias with the same name and a different routing configuration "
                    "already exists."
                )
            _check_quota(batch, "machine_alias", machine, MAX_ALIASES, "aliases")
            batch.execute(
                "INSERT INTO machine_alias VALUES (?, ?, ?, ?, ?, ?)",
                (machine.id, request.name, request.description, routing, now, now),
            )
            return t.CreateStateMachineAliasOutput(state_machine_alias_arn=arn, creation_date=now)

        return await self._database.write(write)

    def _find_alias(self, arn: str) -> tuple[Machine, str, tuple[Any, ...]]:
        """(state machine, alias, its row). Raises InvalidArn, ResourceNotFound."""
        parsed = parse(arn, "stateMachine")
        machine = self._machines.by_name(parsed.name)
        row = (
            self._query_one(
                "SELECT description, routing, created, updated FROM machine_alias WHERE machine = ? AND name = ?",
                (machine.id, parsed.alias),
            )
            if machine is not None and parsed.alias is not None
            else None
        )
        if machine is None or parsed.alias is None or row is None:
            raise ResourceNotFound(ABSENT)
        return machine, parsed.alias, row

    def describe_alias(self, request: t.DescribeStateMachineAliasInput) -> t.DescribeStateMachineAliasOutput:
        _, name, (description, routing, created, updated) = self._find_alias(request.state_machine_alias_arn)
        return t.DescribeStateMachineAliasOutput(
            state_machine_alias_arn=request.state_machine_alias_arn,
            name=name,
            description=description,
            routing_configuration=_routes(routing),
            creation_date=created,
            update_date=updated,
        )

    async def update_alias(self, request: t.UpdateStateMachineAliasInput) -> t.UpdateStateMachineAliasOutput:
        if request.description is None and request.routing_configuration is None:
            raise ValidationException("Either the description or the routingConfiguration must be specified")
        if request.routing_configuration is not None:
            self._check_routes(request.routing_configuration)

        def write(batch: Batch) -> t.UpdateStateMachineAliasOutput:
            machine, name, (description, routing, _, _) = self._find_alias(request.state_machine_alias_arn)
            if request.routing_configuration is not None:
                if self._check_routes(request.routing_configuration).id != machine.id:
                    raise ValidationException("Routing configuration must name versions of the alias's state machine")
                routing = msgspec.json.encode(request.routing_configuration)
            if request.description is not None:
                description = request.description
            now = self._runner.now()
            batch.execute(
                "UPDATE machine_alias SET description = ?, routing = ?, updated = ? WHERE machine = ? AND name = ?",
                (description, routing, now, machine.id, name),
            )
            return t.UpdateStateMachineAliasOutput(update_date=now)

        return await self._database.write(write)

    async def delete_alias(self, request: t.DeleteStateMachineAliasInput) -> t.DeleteStateMachineAliasOutput:
        """Delete an alias; one that is not there is no error."""
        parsed = parse(request.state_machine_alias_arn, "stateMachine")

        def write(batch: Batch) -> t.DeleteStateMachineAliasOutput:
            batch.execute(
                "DELETE FROM machine_alias WHERE name = ? AND machine = (SELECT id FROM state_machine WHERE name = ?)",
                (parsed.alias, parsed.name),
            )
            return t.DeleteStateMachineAliasOutput()

        return await self._database.write(write)

    def aliases(self, request: t.ListStateMachineAliasesInput) -> t.ListStateMachineAliasesOutput:
        """By name; of one version only, if the ARN names one."""
        limit, after = page_of(request.max_results, request.next_token, str)
        machine, version, _ = self.resolve(request.state_machine_arn)
        rows = self._database.read(
            "SELECT name, routing, created FROM machine_alias WHERE machine = ? AND name > ? ORDER BY name",
            (machine.id, after or ""),
        )
        if version is not None:
            of_version = self._arns.state_machine(machine.name, version)
            rows = [row for row in rows if any(r.state_machine_version_arn == of_version for r in _routes(row[1]))]
        return t.ListStateMachineAliasesOutput(
            state_machine_aliases=[
                t.StateMachineAliasListItem(
                    state_machine_alias_arn=self._arns.state_machine(machine.name, name), creation_date=created
                )
                for name, _, created in rows[:limit]
            ],
            next_token=page_token(rows[limit - 1][0]) if len(rows) > limit else None,
        )


def _check_quota(batch: Batch, table: str, machine: Machine, most: int, what: str) -> None:
    """Raises ServiceQuotaExceededException."""
    sql = f"SELECT count(*) FROM {table} WHERE machine = ?"  # noqa: S608 - a constant of this module
    ((count,),) = batch.execute(sql, (machine.id,)).fetchall()
    if count >= most:
        raise ServiceQuotaExceededException(f"A state machine has at most {most} {what}; delete one that is not used")
