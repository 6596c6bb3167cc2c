"""State machines and their tags: the operations of the API on them, over the database."""

from __future__ import annotations

import hashlib
import uuid
from collections import Counter
from collections.abc import Callable, Collection
from typing import Any

import msgspec

from workflow_manager.asl import InvalidDefinition as Refused
from workflow_manager.asl import Program, compile, diagnose  # noqa: A004 - the language's word
from workflow_manager.asl.diagnostics import Diagnostic
from workflow_manager.asl.support import unsupported
from workflow_manager.database import Batch, Database
from workflow_manager.engine.operations.machine_settings import (
    MAX_TAGS,
    check_encryption,
    check_logging,
    check_name,
    check_role,
    check_tracing,
    default_encryption,
    full_logging,
    plain,
    tag_rows,
)
from workflow_manager.engine.operations.pages import page_of, page_token
from workflow_manager.engine.shell.machine import Machine, Settings
from workflow_manager.engine.shell.runner import Runner
from workflow_manager.stepfunctions import types as t
from workflow_manager.stepfunctions.arns import Arns, parse
from workflow_manager.stepfunctions.errors import (
    InvalidDefinition,
    MissingRequiredParameter,
    ResourceNotFound,
    StateMachineAlreadyExists,
    StateMachineDoesNotExist,
    TooManyTags,
    ValidationException,
)

LABEL_FAULTS = ("Label cannot ", "Label contains ")
"""How the messages begin that say what is wrong with a Map's Label (asl/compiler.py)."""


class Machines:
    """Keeps every state machine that was asked for in memory; writes go through and are seen after their commit.

    Until then whoever is not in the batch finds what is on disk.
    """

    def __init__(self, database: Database, arns: Arns, runner: Runner, services: Collection[str]) -> None:
        self._database = database
        self._arns = arns
        self._runner = runner
        self._services = services
        self._query = database.query
        self._query_one = database.query_one
        self._known: dict[str, Machine] = {}
        self._changing: Counter[str] = Counter()  # names, by how many operations of the batch change them
        runner.logging_of = self.logging_of
        self.publish: Callable[[Batch, Machine, str | None], tuple[str, float]]
        """Set by whoever keeps the versions (versions.py)."""

    # ------------------------------------------------------------------------------------------ reading

    def get(self, arn: str) -> Machine:
        """Raises InvalidArn, StateMachineDoesNotExist."""
        parsed = parse(arn, "stateMachine")
        machine = self.by_name(parsed.name)
        if machine is None or arn != machine.arn:
            raise StateMachineDoesNotExist(f"State Machine Does Not Exist: '{arn}'")
        return machine

    def by_name(self, name: str) -> Machine | None:
        if name in self._changing:
            machine = self._load(name)  # as the batch has it, or as it is on disk
        else:
            machine = self._known.get(name)
            if machine is None:
                machine = self._load(name)
                if machine is not None:
                    self._known[name] = machine
        return machine if machine is not None and machine.status == "ACTIVE" else None

    def logging_of(self, name: str) -> t.LoggingConfiguration | None:
        """What a state machine wants logged of its executions, None when nothing; of a Map Run's ``name/label``, too."""
        machine = self.by_name(name.partition("/")[0])
        logging = machine.settings.logging if machine is not None else None
        return logging if logging is not None and logging.level not in (None, "OFF") else None

    def _load(self, name: str) -> Machine | None:
        row = self._query_one(
            "SELECT id, name, status, definition, role_arn, type, created, updated, revision, settings "
            "FROM state_machine WHERE name = ?",
            (name,),
        )
        if row is None:
            return None
        arn = self._arns.state_machine(name)
        tagged = self._query_one(
            "SELECT 1 FROM tag WHERE arn = ? AND key = 'application' AND value = 'workflow-manager'", (arn,)
        )
        machine, _, status, definition, role_arn, kind, created, updated, revision, settings = row
        return Machine(
            machine,
            name,
            arn,
            status,
            definition,
            role_arn,
            kind,
            created,
            updated,
            revision,
            msgspec.msgpack.decode(settings, type=Settings),
            tagged is not None,
            self._arns,
        )

    def definition_text(self, definition: int) -> str:
        ((text,),) = self._database.read("SELECT text FROM definition WHERE id = ?", (definition,))
        return str(text)

    def _changes(self, batch: Batch, name: str) -> None:
        """Have the state machine read whenever it is asked for, until what the operation writes is on disk or undone."""
        self._known.pop(name, None)
        self._changing[name] += 1
        batch.after_commit(lambda: self._settled(name))
        batch.after_rollback(lambda: self._settled(name))

    def _settled(self, name: str) -> None:
        self._changing[name] -= 1
        if not self._changing[name]:
            del self._changing[name]

    # ------------------------------------------------------------------------------------------ checking

    def check(self, definition: str, kind: str) -> Program:
        """Compile, and refuse what the engine cannot run. Raises InvalidDefinition."""
        try:
            program = compile(definition, state_machine_type="EXPRESS" if kind == "EXPRESS" else "STANDARD")
        except Refused as refused:
            raise invalid_definition(refused.diagnostics, definition) from None
        lacking = self._lacking(program)
        if lacking:
            raise InvalidDefinition(f"Invalid State Machine Definition: '{Refused(lacking)}'")
        return program

    def _lacking(self, program: Program) -> list[Diagnostic]:
        return list(unsupported(program, self._services))

    def validate(self, request: t.ValidateStateMachineDefinitionInput) -> t.ValidateStateMachineDefinitionOutput:
        kind = request.type or "STANDARD"
        found = diagnose(request.definition, state_machine_type=kind)
        if not any(d.severity == "ERROR" for d in found):
            found += self._lacking(compile(request.definition, state_machine_type=kind))
        if request.severity != "WARNING":
            found = [d for d in found if d.severity == "ERROR"]
        limit = request.max_results or len(found)  # AWS stops at 100; whoever wants that says so
        return t.ValidateStateMachineDefinitionOutput(
            result="FAIL" if any(d.severity == "ERROR" for d in found) else "OK",
            diagnostics=[
                t.ValidateStateMachineDefinitionDiagnostic(
                    severity=d.severity, code=d.code, message=d.message, location=d.location
                )
                for d in found[:limit]
            ],
            truncated=len(found) > limit,
        )

    # ------------------------------------------------------------------------------------------ writing

    async def create(self, request: t.CreateStateMachineInput) -> t.CreateStateMachineOutput:
        if request.version_description is not None and not request.publish:
            raise ValidationException("Version description can only be set when publish is true")
        check_name(request.name)
        check_role(request.role_arn)
        check_logging(request.logging_configuration)
        check_tracing(request.tracing_configuration)
        check_encryption(request.encryption_configuration)
        tags = tag_rows(request.tags)
        kind = request.type or "STANDARD"
        program = self.check(request.definition, kind)
        settings = Settings(
            request.logging_configuration, request.tracing_configuration, request.encryption_configuration
        )

        def write(batch: Batch) -> t.CreateStateMachineOutput:
            there = self.by_name(request.name)
            if there is not None:
                alike = (there.type, plain(there.settings)) == (kind, plain(settings))
                if alike and self._same(there, request.definition):
                    return t.CreateStateMachineOutput(
                        state_machine_arn=there.arn,
                        creation_date=there.created,
                        state_machine_version_arn=self._published(batch, there, request) if request.publish else None,
                    )
                raise StateMachineAlreadyExists(f"State Machine Already Exists: '{there.arn}'")
            now, arn = self._runner.now(), self._arns.state_machine(request.name)
            definition = self._definition(batch, request.definition)
            batch.execute(
                "INSERT INTO state_machine (name, status, definition, role_arn, type, created, updated, settings) "
                "VALUES (?, 'ACTIVE', ?, ?, ?, ?, ?, ?) ON CONFLICT (name) DO UPDATE SET status = 'ACTIVE', "
                "definition = excluded.definition, role_arn = excluded.role_arn, type = excluded.type, "
                "created = excluded.created, updated = excluded.updated, revision = NULL, "
                "settings = excluded.settings, versions = 0",
                (request.name, definition, request.role_arn, kind, now, now, msgspec.msgpack.encode(settings)),
            )
            self._forget_versions(batch, request.name)
            batch.execute("DELETE FROM tag WHERE arn = ?", (arn,))
            batch.executemany("INSERT INTO tag VALUES (?, ?, ?)", [(arn, *row) for row in tags])
            self._changes(batch, request.name)
            batch.after_commit(lambda: self._runner.keep_program(definition, program))
            batch.after_commit(lambda: self._runner.log_to(request.logging_configuration))
            machine = self.get(arn)
            return t.CreateStateMachineOutput(
                state_machine_arn=arn,
                creation_date=now,
                state_machine_version_arn=self._published(batch, machine, request) if request.publish else None,
            )

        return await self._database.write(write)

    def _published(
        self, batch: Batch, machine: Machine, request: t.CreateStateMachineInput | t.UpdateStateMachineInput
    ) -> str:
        return self.publish(batch, machine, request.version_description)[0]

    @staticmethod
    def _forget_versions(batch: Batch, name: str) -> None:
        of_name = "WHERE machine = (SELECT id FROM state_machine WHERE name = ?)"
        batch.execute(f"DELETE FROM machine_version {of_name}", (name,))  # noqa: S608 - a constant
        batch.execute(f"DELETE FROM machine_alias {of_name}", (name,))  # noqa: S608 - a constant

    def _same(self, machine: Machine, definition: str) -> bool:
        ((text,),) = self._query("SELECT text FROM definition WHERE id = ?", (machine.definition,))
        return bool(text == definition)

    def _definition(self, batch: Batch, text: str) -> int:
        digest = hashlib.sha256(text.encode()).digest()
        batch.execute("INSERT INTO definition (hash, text) VALUES (?, ?) ON CONFLICT DO NOTHING", (digest, text))
        ((definition,),) = batch.execute("SELECT id FROM definition WHERE hash = ?", (digest,)).fetchall()
        batch.after_rollback(lambda: self._runner.forget_program(definition))  # the id may come to be another's
        return int(definition)

    async def update(self, request: t.UpdateStateMachineInput) -> t.UpdateStateMachineOutput:
        if request.version_description is not None and not request.publish:
            raise ValidationException("Version description can only be set when publish is true")
        machine = self.get(request.state_machine_arn)
        changed = (
            request.definition,
            request.role_arn,
            request.logging_configuration,
            request.tracing_configuration,
            request.encryption_configuration,
        )
        if all(value is None for value in changed):
            raise MissingRequiredParameter(
                "Either the definition, the role ARN, the LoggingConfiguration, "
                "or the TracingConfiguration must be specified"
            )
        check_logging(request.logging_configuration)
        check_tracing(request.tracing_configuration)
        check_encryption(request.encryption_configuration)
        if request.role_arn is not None:
            check_role(request.role_arn)
        if request.definition is not None:
            self.check(request.definition, machine.type)

        def write(batch: Batch) -> t.UpdateStateMachineOutput:
            machine = self.get(request.state_machine_arn)
            definition = machine.definition
            if request.definition is not None:
                definition = self._definition(batch, request.definition)
            settings = Settings(
                request.logging_configuration or machine.settings.logging,
                request.tracing_configuration or machine.settings.tracing,
                request.encryption_configuration or machine.settings.encryption,
            )
            role_arn = request.role_arn or machine.role_arn
            same = (definition, role_arn, settings) == (machine.definition, machine.role_arn, machine.settings)
            revision = machine.revision if same else str(uuid.uuid4())
            now = self._runner.now()
            batch.execute(
                "UPDATE state_machine SET definition = ?, role_arn = ?, settings = ?, updated = ?, revision = ? WHERE id = ?",
                (definition, role_arn, msgspec.msgpack.encode(settings), now, revision, machine.id),
            )
            self._changes(batch, machine.name)
            machine = self.get(request.state_machine_arn)
            return t.UpdateStateMachineOutput(
                update_date=now,
                revision_id=revision,
                state_machine_version_arn=self._published(batch, machine, request) if request.publish else None,
            )

        return await self._database.write(write)

    async def delete(self, request: t.DeleteStateMachineInput) -> t.DeleteStateMachineOutput:
        """Delete a state machine; one that is not there is no error. Its executions run on."""
        name = _unqualified(request.state_machine_arn)

        def write(batch: Batch) -> t.DeleteStateMachineOutput:
            batch.execute("UPDATE state_machine SET status = 'DELETED' WHERE name = ?", (name,))
            self._forget_versions(batch, name)
            batch.execute("DELETE FROM tag WHERE arn = ?", (self._arns.state_machine(name),))
            self._changes(batch, name)
            return t.DeleteStateMachineOutput()

        return await self._database.write(write)

    # ------------------------------------------------------------------------------------------ describing

    def describe(self, machine: Machine) -> t.DescribeStateMachineOutput:
        return t.DescribeStateMachineOutput(
            state_machine_arn=machine.arn,
            name=machine.name,
            status="ACTIVE",
            definition=self.definition_text(machine.definition),
            role_arn=machine.role_arn,
            type="EXPRESS" if machine.type == "EXPRESS" else "STANDARD",
            creation_date=machine.created,
            revision_id=machine.revision,
            **self._described(machine, machine.definition),
        )

    def describe_for(self, machine_id: int, definition: int, role_arn: str) -> t.DescribeStateMachineForExecutionOutput:
        """The state machine as an execution of it sees it: with the definition and role it was started with."""
        ((name,),) = self._database.read("SELECT name FROM state_machine WHERE id = ?", (machine_id,))
        machine = self._known.get(name) or self._load(name)
        assert machine is not None
        current = machine.definition == definition
        return t.DescribeStateMachineForExecutionOutput(
            state_machine_arn=machine.arn,
            name=machine.name,
            definition=self.definition_text(definition),
            role_arn=role_arn,
            update_date=machine.updated,
            revision_id=machine.revision if current else None,
            **self._described(machine, definition),
        )

    def _described(self, machine: Machine, definition: int) -> dict[str, Any]:
        program = self._runner.program(definition)
        references = program.variable_references
        return {
            "encryption_configuration": machine.settings.encryption or default_encryption(program),
            "logging_configuration": full_logging(machine.settings.logging),
            "tracing_configuration": machine.settings.tracing or t.TracingConfiguration(enabled=False),
            "variable_references": {state: list(names) for state, names in references.items()} or None,
        }

    def listed(self, request: t.ListStateMachinesInput) -> t.ListStateMachinesOutput:
        limit, after = page_of(request.max_results, request.next_token, str)
        rows = self._database.read(
            "SELECT name, type, created FROM state_machine WHERE status = 'ACTIVE' AND name > ? ORDER BY name LIMIT ?",
            (after or "", limit + 1),
        )
        return t.ListStateMachinesOutput(
            state_machines=[
                t.StateMachineListItem(
                    state_machine_arn=self._arns.state_machine(name), name=name, type=kind, creation_date=created
                )
                for name, kind, created in rows[:limit]
            ],
            next_token=page_token(rows[limit - 1][0]) if len(rows) > limit else None,
        )

    # ------------------------------------------------------------------------------------------ tags

    def _taggable(self, arn: str) -> str:
        """The name of the state machine, '' for an activity. Raises InvalidArn, ResourceNotFound."""
        if ":activity:" in arn:
            name = parse(arn, "activity").name
            if not self._database.read("SELECT 1 FROM activity WHERE name = ?", (name,)):
                raise ResourceNotFound(f"Resource not found: '{arn}'", resourceName=arn)
            return ""
        parsed = parse(arn, "stateMachine")
        name = parsed.name
        if self.by_name(name) is None or parsed.qualifier is not None:  # versions and aliases have no tags
            raise ResourceNotFound(f"Resource not found: '{arn}'", resourceName=arn)
        return name

    async def tag(self, request: t.TagResourceInput) -> t.TagResourceOutput:
        rows = tag_rows(request.tags)
        name = self._taggable(request.resource_arn)

        def write(batch: Batch) -> t.TagResourceOutput:
            arn = request.resource_arn
            batch.executemany("INSERT OR REPLACE INTO tag VALUES (?, ?, ?)", [(arn, *row) for row in rows])
            ((count,),) = batch.execute("SELECT count(*) FROM tag WHERE arn = ?", (arn,)).fetchall()
            if count > MAX_TAGS:
                raise TooManyTags(f"A resource has at most {MAX_TAGS} tags", resourceName=arn)
            self._changes(batch, name)
            return t.TagResourceOutput()

        return await self._database.write(write)

    async def untag(self, request: t.UntagResourceInput) -> t.UntagResourceOutput:
        name = self._taggable(request.resource_arn)

        def write(batch: Batch) -> t.UntagResourceOutput:
            rows = [(request.resource_arn, key) for key in request.tag_keys]
            batch.executemany("DELETE FROM tag WHERE arn = ? AND key = ?", rows)
            self._changes(batch, name)
            return t.UntagResourceOutput()

        return await self._database.write(write)

    def tags(self, request: t.ListTagsForResourceInput) -> t.ListTagsForResourceOutput:
        self._taggable(request.resource_arn)
        rows = self._database.read("SELECT key, value FROM tag WHERE arn = ? ORDER BY key", (request.resource_arn,))
        return t.ListTagsForResourceOutput(tags=[t.Tag(key=key, value=value) for key, value in rows])


def invalid_definition(diagnostics: list[Diagnostic], definition: str) -> InvalidDefinition:
    """The error for a definition that was refused, in the words of the recordings.

    They have a form of their own for a Map's Label, without its place; everything else reads "CODE: message at location".
    """
    errors = [diagnostic for diagnostic in diagnostics if diagnostic.severity == "ERROR"]
    if errors and all(error.message.startswith(LABEL_FAULTS) for error in errors):
        return InvalidDefinition(f"Error=ValueError Args={[errors[0].message]!r} in definition '{definition}'.")
    return InvalidDefinition(f"Invalid State Machine Definition: '{Refused(diagnostics)}'")


def _unqualified(arn: str) -> str:
    """The name of the state machine that an ARN without a version, alias or label names. Raises ValidationException."""
    parsed = parse(arn, "stateMachine")
    if parsed.qualifier is not None or parsed.label is not None:
        raise ValidationException(f"The ARN of a state machine is needed, without a version, alias or label: '{arn}'")
    return parsed.name
