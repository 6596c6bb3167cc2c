"""A workflow and its execution: starting one with the other, looking at it, stopping it."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import NamedTuple, TypeAlias

from workflow_manager.clock import Clock
from workflow_manager.manager.consistency import Sleep, until_consistent
from workflow_manager.manager.errors import ABSENT, translate, translated
from workflow_manager.manager.histories import History, events_after, first_events, last_events
from workflow_manager.manager.inputs import execution_input
from workflow_manager.manager.machines import StateMachines
from workflow_manager.manager.naming import Arns, ManagerSettings
from workflow_manager.manager.status import CANCELLED_ERROR
from workflow_manager.model import Workflow
from workflow_manager.model.errors import BackendUnavailable, StartUnknown, StorageUnavailable
from workflow_manager.stepfunctions import errors
from workflow_manager.stepfunctions import types as t
from workflow_manager.stepfunctions.arns import parse_execution_arn
from workflow_manager.stepfunctions.changes import ExecutionChanges
from workflow_manager.stepfunctions.history import HistoryEvent
from workflow_manager.stepfunctions.loggroups import LogGroups
from workflow_manager.stepfunctions.protocol import StepFunctions
from workflow_manager.store import Store

REMEMBERED = 10_000
"""How many started workflows' state machines are known without reading the workflow."""
BEFORE = timedelta(hours=12)
"""An execution that began so long before its workflow was made is not that workflow's: clocks differ by less, and an earlier
workflow of the same id was kept for longer."""


class NameTaken(BackendUnavailable):
    """The workflow's execution cannot have its name: an earlier workflow of the same id, kept no longer, had one of it.

    Step Functions keeps the name of an execution for 90 days after its end (API reference, StartExecution: name).
    """


Undoable: TypeAlias = Callable[[], Awaitable[None]]


async def nothing() -> None:
    """Announce or retract nothing."""


class Call(NamedTuple):
    """What an execution is started with: the state machine's name, and the input as JSON."""

    machine: str
    input: str


class Executions:
    """Every method raises StorageUnavailable and BackendUnavailable besides what it says."""

    def __init__(
        self,
        store: Store,
        stepfunctions: StepFunctions,
        settings: ManagerSettings,
        *,
        clock: Clock,
        sleep: Sleep,
        log_groups: LogGroups | None = None,
    ) -> None:
        self._store = store
        self._stepfunctions = stepfunctions
        self._sleep = sleep
        self._history_seconds = settings.history_seconds
        self._arns = Arns(settings)
        self._machines = StateMachines(store, stepfunctions, settings, clock=clock, sleep=sleep, log_groups=log_groups)
        self._machine_arns: dict[str, str] = {}  # workflow id -> of the state machine it was started on, lately

    async def start(self, workflow: Workflow, *, announce: Undoable = nothing, retract: Undoable = nothing) -> None:
        """Save a new workflow, then start its execution; if nothing was started, the workflow is deleted again.

        Between the two it is announced, and retracted before it is deleted.

        When no answer came the execution may have begun all the same: then the workflow stays queued, and what becomes of
        it is found out like anything else about it (updates.py). Raises StartUnknown then, which is a BackendUnavailable;
        also raises InvalidRequest, InvalidWorkflowDefinition.
        """
        call = await self.prepare(workflow)
        try:
            await self._store.save_workflow(workflow)
        except StorageUnavailable:  # it may be there all the same, if an answer was lost
            await self._take_back(workflow, nothing)
            raise
        try:
            await announce()
            await self.begin(workflow, call)
        except StartUnknown:
            raise
        except Exception:
            await self._take_back(workflow, retract)
            raise

    async def _take_back(self, workflow: Workflow, retract: Undoable) -> None:
        """Have it as if nobody had wanted the workflow; where that cannot be, it is found to have never begun (updates.py)."""
        with contextlib.suppress(StorageUnavailable):
            await retract()
            await self._store.delete_workflow(workflow.id)

    async def prepare(self, workflow: Workflow) -> Call:
        """Check its input, and find or make its state machine. Raises InvalidRequest, InvalidWorkflowDefinition."""
        text = execution_input(workflow.input, workflow.id)
        with translated():
            machine = await self._machines.name(workflow.workflow_definition, workflow.namespace)
        return Call(machine, text)

    async def begin(self, workflow: Workflow, call: Call) -> None:
        """Start the execution of a workflow that is saved; one that has begun is left as it is.

        Raises NameTaken, and StartUnknown when no answer came; after any other error nothing was started by this.
        """
        try:
            await self._begin(workflow, call.machine, call.input)
        except Exception as error:
            if isinstance(error, errors.StepFunctionsError) and error.outcome_unknown:
                raise StartUnknown(workflow.id, error.message) from error
            self._machine_arns.pop(workflow.id, None)
            if isinstance(error, errors.StepFunctionsError):
                raise translate(error) from error
            raise

    async def _begin(self, workflow: Workflow, machine: str, text: str) -> None:
        """Raises StepFunctionsError."""
        try:
            await self._start_execution(machine, workflow, text)
        except errors.StateMachineDoesNotExist:  # someone deleted it since, or it was made this moment
            self._machines.forget(workflow.workflow_definition, workflow.namespace)
            with translated():
                machine = await self._machines.name(workflow.workflow_definition, workflow.namespace)
            await until_consistent(
                self._sleep,
                lambda: self._start_execution(machine, workflow, text),
                errors.StateMachineDoesNotExist,
            )

    async def _start_execution(self, machine: str, workflow: Workflow, text: str) -> None:
        arn = self._arns.state_machine(machine)
        if len(self._machine_arns) >= REMEMBERED:
            self._machine_arns.pop(next(iter(self._machine_arns)))
        self._machine_arns[workflow.id] = arn
        try:
            await self._stepfunctions.start_execution(
                t.StartExecutionInput(state_machine_arn=arn, name=workflow.id, input=text)
            )
        except errors.ExecutionAlreadyExists:
            await self._check_own(workflow, self._arns.execution(machine, workflow.id))

    async def _check_own(self, workflow: Workflow, execution_arn: str) -> None:
        """Raises NameTaken if an execution that has the workflow's name is not the workflow's, which was started before."""
        try:
            with contextlib.suppress(*ABSENT):  # made this moment, by whoever asks for the same
                found = await self._stepfunctions.describe_execution(
                    t.DescribeExecutionInput(execution_arn=execution_arn)
                )
                if _is_anothers(found, workflow):
                    raise NameTaken(f"there has been an execution of the name {workflow.id}")
        except errors.StepFunctionsError as error:
            error.outcome_unknown = True  # whose it is
            raise

    async def is_of_workflow(self, workflow_id: str, state_machine_arn: str) -> bool:
        """Whether an execution that is named like a workflow is that workflow's.

        It need not be: a workflow can start another's state machine with its own ``_EXECUTION_NAME`` for a name.
        Raises WorkflowNotFound.
        """
        expected = self._machine_arns.get(workflow_id)
        if expected is not None:
            return state_machine_arn == expected
        workflow = await self._store.workflow(workflow_id)
        names = self._machines.possible_names(workflow.workflow_definition, workflow.namespace)
        return state_machine_arn in {self._arns.state_machine(name) for name in names}

    async def describe(self, workflow: Workflow) -> t.DescribeExecutionOutput | None:
        """The workflow's execution, or None if there is none."""
        for arn in self._arns_of(workflow):
            with translated(), contextlib.suppress(*ABSENT):
                answer = await self._stepfunctions.describe_execution(t.DescribeExecutionInput(execution_arn=arn))
                if _is_anothers(answer, workflow):
                    continue
                self._machines.found(workflow.workflow_definition, workflow.namespace, parse_execution_arn(arn).name)
                return answer
        return None

    async def stop(self, workflow: Workflow, cause: str) -> bool:
        """Stop the workflow's execution; answer whether there is one. One that has ended is left as it is."""
        for arn in self._arns_of(workflow):
            with translated(), contextlib.suppress(*ABSENT):
                await self._stepfunctions.stop_execution(
                    t.StopExecutionInput(execution_arn=arn, error=CANCELLED_ERROR, cause=cause)
                )
                return True
        return False

    async def history(self, workflow: Workflow) -> History:
        """The history of the workflow's execution, as far as time allows; empty if there is no execution."""
        for arn in self._arns_of(workflow):
            with translated(), contextlib.suppress(*ABSENT):
                return await first_events(self._stepfunctions, arn, self._history_seconds)
        return History([])

    async def last_events(self, workflow: Workflow) -> list[HistoryEvent]:
        """The last page of the history, oldest event first; none if there is no execution."""
        for arn in self._arns_of(workflow):
            with translated(), contextlib.suppress(*ABSENT):
                return await last_events(self._stepfunctions, arn)
        return []

    async def events(self, workflow: Workflow, *, after_event_id: int = 0) -> list[HistoryEvent]:
        """All events of the workflow's execution after that one, oldest first; none if there is no execution."""
        for arn in self._arns_of(workflow):
            with translated(), contextlib.suppress(*ABSENT):
                return await events_after(self._stepfunctions, arn, after_event_id)
        return []

    async def changed(
        self, changes: ExecutionChanges, workflow: Workflow, last_event_id: int, timeout_seconds: float
    ) -> None:
        """Wait for an event after that one, or the timeout, or not at all if there is no execution."""
        with translated(), contextlib.suppress(*ABSENT):
            await changes.changed(self._arns_of(workflow)[0], last_event_id, timeout_seconds)

    def _arns_of(self, workflow: Workflow) -> list[str]:
        """Where the workflow's execution can be; where it is, once it has been described."""
        names = self._machines.possible_names(workflow.workflow_definition, workflow.namespace)
        return [self._arns.execution(name, workflow.id) for name in names]


def _is_anothers(execution: t.DescribeExecutionOutput, workflow: Workflow) -> bool:
    return execution.start_date < (workflow.created_at - BEFORE).timestamp()
