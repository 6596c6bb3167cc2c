"""Saving and reading workflow definitions: names, versions, and what is refused."""

from __future__ import annotations

import contextlib
import uuid

import msgspec
from msgspec import structs

from workflow_manager.clock import Clock
from workflow_manager.manager.checks import Diagnostic, faults
from workflow_manager.manager.errors import translated
from workflow_manager.manager.expansion import Expansion, expand
from workflow_manager.manager.naming import Arns, ManagerSettings
from workflow_manager.manager.times import moment
from workflow_manager.model import NewWorkflowDefinition, WorkflowDefinition
from workflow_manager.model.errors import InvalidRequest, InvalidWorkflowDefinition
from workflow_manager.stepfunctions import types as t
from workflow_manager.stepfunctions.protocol import StepFunctions
from workflow_manager.store import DefinitionStore

PLACEHOLDER_NAMESPACE = "namespace"
"""A definition is checked before it is known where it will run."""
DEFINITION_LENGTH = 1_048_576
"""How many bytes of definition Step Functions takes (API reference, CreateStateMachine)."""
REMEMBERED = 1_000
"""How many versions are kept in memory; a version never changes."""
SHOWN = 3
"""How many faults the message of an error tells; its details list all."""


class Definitions:
    def __init__(
        self, store: DefinitionStore, stepfunctions: StepFunctions, settings: ManagerSettings, clock: Clock
    ) -> None:
        self._store = store
        self._stepfunctions = stepfunctions
        self._arns = Arns(settings)
        self._clock = clock
        self._known: dict[tuple[str, int], WorkflowDefinition] = {}

    async def create(self, new: NewWorkflowDefinition) -> WorkflowDefinition:
        """Raises WorkflowDefinitionAlreadyExists, InvalidWorkflowDefinition."""
        return await self._store.save_definition(await self._checked(new))

    async def update(self, name: str, new: NewWorkflowDefinition) -> WorkflowDefinition:
        """Raises WorkflowDefinitionNotFound, InvalidRequest, InvalidWorkflowDefinition."""
        if new.name not in ("", name):
            raise InvalidRequest(
                f"/name is {new.name!r}, but the path says {name!r}; make them equal, or leave the name out of the body",
                location="/name",
            )
        await self._store.latest_definition(name)
        return await self._store.update_definition(await self._checked(structs.replace(new, name=name)))

    async def find(self, name: str, version: int) -> WorkflowDefinition:
        """One version; a negative one is the latest. Raises WorkflowDefinitionNotFound."""
        if version < 0:
            return await self._store.latest_definition(name)
        known = self._known.get((name, version))
        if known is None:
            known = await self._store.definition(name, version)
            if len(self._known) >= REMEMBERED:
                self._known.pop(next(iter(self._known)))
            self._known[name, version] = known
        return known

    async def _checked(self, new: NewWorkflowDefinition) -> WorkflowDefinition:
        found = faults(new)
        truncated = False
        if not any(each.code == "NESTED_TOO_DEEPLY" for each in found):
            more, truncated = await self._state_machine_faults(new)
            found += [each for each in more if each.location not in {known.location for known in found}]
        if any(each.severity == "ERROR" for each in found):
            raise _refused(found, truncated=truncated)
        return WorkflowDefinition(
            id=str(uuid.uuid4()),
            name=new.name,
            created_at=moment(self._clock.now()),
            state_machine=new.state_machine,
            default_tags=dict(new.default_tags),
        )

    async def _state_machine_faults(self, new: NewWorkflowDefinition) -> tuple[list[Diagnostic], bool]:
        """What Step Functions finds in the definition as it would be run, placed where its author wrote it."""
        expansion = expand(new.state_machine, PLACEHOLDER_NAMESPACE, self._arns, lambda _: None)
        text = msgspec.json.encode(expansion.state_machine)
        found: list[Diagnostic] = []
        refusal = contextlib.ExitStack()
        if len(text) > DEFINITION_LENGTH:
            message = (
                f"the state machine has {len(text)} bytes when it is expanded; Step Functions takes {DEFINITION_LENGTH}. "
                "Move parts of it to definitions of their own"
            )
            found.append(Diagnostic(code="DEFINITION_TOO_LONG", message=message, location="/stateMachine"))
            refusal.enter_context(contextlib.suppress(InvalidRequest))  # the length is refused there, too
        truncated = False
        with refusal, translated():
            answer = await self._stepfunctions.validate_state_machine_definition(
                t.ValidateStateMachineDefinitionInput(definition=text.decode())
            )
            found += (_as_written(expansion, each) for each in answer.diagnostics)
            truncated = bool(answer.truncated)
        return found, truncated


def _as_written(expansion: Expansion, diagnostic: t.ValidateStateMachineDefinitionDiagnostic) -> Diagnostic:
    return Diagnostic(
        code=diagnostic.code,
        message=diagnostic.message,
        location="/stateMachine" + expansion.as_written(diagnostic.location or ""),
        severity=diagnostic.severity,
    )


def _refused(found: list[Diagnostic], *, truncated: bool) -> InvalidWorkflowDefinition:
    """One error that lists every fault; warnings come along but are no reason."""
    wrong = [each for each in found if each.severity == "ERROR"]
    message = "; ".join(f"{each.location}: {each.message}" for each in wrong[:SHOWN])
    if len(wrong) > SHOWN:
        message += f"; and {len(wrong) - SHOWN} more"
    details = {"truncated": True} if truncated else {}
    return InvalidWorkflowDefinition(message, diagnostics=[msgspec.to_builtins(each) for each in found], **details)
