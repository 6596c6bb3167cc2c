"""Executions: the operations of the API on them."""

from __future__ import annotations

import heapq
import uuid
from collections.abc import Iterable
from typing import Any, Literal

import msgspec
from msgspec.structs import replace

from workflow_manager.asl.jsonfaults import find_fault
from workflow_manager.database import Batch, Database
from workflow_manager.engine.core.data import Data
from workflow_manager.engine.maps.map_run import run_of
from workflow_manager.engine.maps.results import RedriveStatus
from workflow_manager.engine.maps.rows import MapRunRows
from workflow_manager.engine.mocks import Mocks
from workflow_manager.engine.operations.histories import Histories
from workflow_manager.engine.operations.machine_settings import check_name
from workflow_manager.engine.operations.machines import Machines
from workflow_manager.engine.operations.pages import page_of, page_token
from workflow_manager.engine.operations.versions import Versions
from workflow_manager.engine.shell.express import NOT_SUPPORTED, Express
from workflow_manager.engine.shell.runner import Runner
from workflow_manager.stepfunctions import types as t
from workflow_manager.stepfunctions.arns import Arns, ParsedArn, parse
from workflow_manager.stepfunctions.errors import (
    ExecutionDoesNotExist,
    ExecutionNotRedrivable,
    InvalidExecutionInput,
    StateMachineTypeNotSupported,
    ValidationException,
)

STATUSES = ("RUNNING", "SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED")
_json = msgspec.json.Decoder().decode


class Executions:
    def __init__(
        self,
        database: Database,
        arns: Arns,
        runner: Runner,
        machines: Machines,
        versions: Versions,
        express: Express,
        map_runs: MapRunRows,
        mocks: Mocks | None = None,
    ) -> None:
        self._database = database
        self._arns = arns
        self._runner = runner
        self._machines = machines
        self._versions = versions
        self._express = express
        self._mocks = mocks
        self._map_runs = map_runs
        self._histories = Histories(database, runner.payloads)

    # ------------------------------------------------------------------------------------------ starting

    async def start(self, request: t.StartExecutionInput) -> t.StartExecutionOutput:
        name = request.name if request.name is not None else str(uuid.uuid4())
        check_name(name)
        text = request.input if request.input is not None else "{}"
        data = Data(parse_input(text, self._runner.limits.payload_bytes), text)
        (machine_arn, test_case), trace = self._test_case(request.state_machine_arn), request.trace_header
        machine, _, _ = self._versions.resolve(machine_arn)  # so that a batch is not troubled with what is not there
        if machine.type == "EXPRESS":
            run = self._express.prepare(machine, name, data, test_case)
            self._express.begin(run)
            return t.StartExecutionOutput(execution_arn=run.execution.arn, start_date=run.execution.start_date)

        def write(batch: Batch) -> tuple[str, float]:
            machine, version, alias = self._versions.resolve(machine_arn)
            execution_id = self._runner.next_execution
            if test_case is not None:
                batch.execute("INSERT OR REPLACE INTO mocked VALUES (?, ?)", (execution_id, test_case))
            answer = self._runner.start(batch, machine, name, data, trace, qualifier=(version, alias))
            if test_case is not None and self._runner.next_execution == execution_id:  # it was there already
                batch.execute("DELETE FROM mocked WHERE execution = ?", (execution_id,))
            return answer

        arn, start = await self._database.submit(write)
        return t.StartExecutionOutput(execution_arn=arn, start_date=start)

    def _test_case(self, arn: str) -> tuple[str, str | None]:
        """The state machine's ARN, and the test case that may follow it after a #. Raises ValidationException."""
        machine_arn, chosen, name = arn.partition("#")
        if not chosen:
            return arn, None
        if self._mocks is None:
            raise ValidationException(
                f"'#{name}' names a test case, but there is no mock configuration; set WFM_MOCK_CONFIG to its file"
            )
        machine = parse(machine_arn, "stateMachine").name
        if self._mocks.test_case(machine, name) is None:
            raise ValidationException(
                f"The mock configuration has no test case '{name}' for the state machine '{machine}': "
                f"there is nothing at /StateMachines/{machine}/TestCases/{name}"
            )
        return machine_arn, name

    async def start_sync(self, request: t.StartSyncExecutionInput) -> t.StartSyncExecutionOutput:
        name = request.name if request.name is not None else str(uuid.uuid4())
        check_name(name)
        text = request.input if request.input is not None else "{}"
        data = Data(parse_input(text, self._runner.limits.payload_bytes), text)
        machine_arn, test_case = self._test_case(request.state_machine_arn)
        machine, _, _ = self._versions.resolve(machine_arn)
        return await self._express.start_sync(machine, name, data, request, test_case)

    async def stop(self, request: t.StopExecutionInput) -> t.StopExecutionOutput:
        execution_id = self.id_of(request.execution_arn)

        def write(batch: Batch) -> t.StopExecutionOutput:
            now = self._runner.now()
            if self._runner.stop(batch, execution_id, request.error, request.cause):
                return t.StopExecutionOutput(stop_date=now)
            rows = batch.execute("SELECT stop FROM execution WHERE id = ?", (execution_id,)).fetchall()
            if not rows:  # forgotten in this moment
                raise _no_execution(request.execution_arn)
            return t.StopExecutionOutput(stop_date=rows[0][0])

        return await self._database.write(write)

    async def redrive(self, request: t.RedriveExecutionInput) -> t.RedriveExecutionOutput:
        execution_id, machine, *_ = self._find(request.execution_arn)
        if machine < 0:
            raise ExecutionNotRedrivable("Execution is a child of a Map Run and can be redriven by that only")

        def write(batch: Batch) -> t.RedriveExecutionOutput:
            if not batch.execute("SELECT 1 FROM execution WHERE id = ?", (execution_id,)).fetchall():
                raise _no_execution(request.execution_arn)  # forgotten in this moment
            date = self._runner.redrive(batch, execution_id, request.client_token)
            return t.RedriveExecutionOutput(redrive_date=date)

        return await self._database.write(write)

    # ------------------------------------------------------------------------------------------ reading

    def _find(self, arn: str) -> tuple[Any, ...]:
        """The execution's row. Raises InvalidArn, ExecutionDoesNotExist."""
        parsed = parse(arn, "execution")
        if parsed.label is not None:
            return self._find_child(arn, parsed)
        rows = self._database.read(
            "SELECT execution.id, machine, execution.name, execution.status, execution.definition, "
            "execution.role_arn, start, stop, input, output, error, cause, trace, state_machine.name, version, alias, "
            "coalesce(count, 0), date "
            "FROM execution JOIN state_machine ON state_machine.id = machine LEFT JOIN redrive ON execution = execution.id "
            "WHERE state_machine.name = ? AND execution.name = ?",
            (parsed.name, parsed.execution_name),
        )
        return self._own(arn, parsed, rows)

    def _own(self, arn: str, parsed: ParsedArn, rows: list[tuple[Any, ...]]) -> tuple[Any, ...]:
        """The row that was found by an ARN, if that is of this region and account. Raises ExecutionDoesNotExist."""
        if not rows or arn != self._arns.execution(parsed.name, str(parsed.execution_name)):
            raise _no_execution(arn)
        return rows[0]

    def _find_child(self, arn: str, parsed: ParsedArn) -> tuple[Any, ...]:
        """The row of a Map Run's child: its name says which run's. Those of Express executions are not shown."""
        run = run_of(str(parsed.execution_name))
        rows = self._database.read(
            "SELECT execution.id, execution.machine, execution.name, execution.status, execution.definition, "
            "execution.role_arn, start, stop, input, output, error, cause, trace, "
            "state_machine.name || '/' || label, version, alias, coalesce(count, 0), date "
            "FROM execution JOIN map_run ON map_run.id = -execution.machine "
            "JOIN state_machine ON state_machine.id = map_run.machine "
            "LEFT JOIN redrive ON redrive.execution = execution.id "
            "WHERE execution.machine = ? AND execution.name = ? AND NOT express",
            (-run if run is not None else None, parsed.execution_name),
        )
        if not rows or arn != self._arns.execution(rows[0][13], str(parsed.execution_name)):
            raise _no_execution(arn)
        return rows[0]

    def describe(self, request: t.DescribeExecutionInput) -> t.DescribeExecutionOutput:
        row = self._find(request.execution_arn)
        (
            execution_id,
            machine,
            name,
            status,
            _,
            _,
            start,
            stop,
            text,
            output,
            error,
            cause,
            trace,
            machine_name,
            *rest,
        ) = row
        version, alias, redrives, redriven = rest
        run = self._map_runs.stored(-machine) if machine < 0 else None
        reason = self._runner.not_redrivable(execution_id, status, stop, redrives)
        redrive: RedriveStatus | Literal["REDRIVABLE"] = "NOT_REDRIVABLE"
        if reason is None:
            redrive = "REDRIVABLE_BY_MAP_RUN" if run is not None else "REDRIVABLE"
        included = request.included_data != "METADATA_ONLY"
        details = t.CloudWatchEventsExecutionDataDetails(included=True)
        return t.DescribeExecutionOutput(
            execution_arn=request.execution_arn,
            state_machine_arn=self._arns.state_machine(machine_name),
            state_machine_version_arn=self._arns.state_machine(machine_name, version) if version is not None else None,
            state_machine_alias_arn=self._arns.state_machine(machine_name, alias) if alias is not None else None,
            name=name,
            status=status,
            start_date=start,
            stop_date=stop,
            input=self._runner.payloads.text(text) if included else None,
            input_details=details if included else None,
            output=self._runner.payloads.text_or_none(output) if included else None,
            output_details=details if included and output is not None else None,
            error=error,
            cause=cause,
            trace_header=trace,
            map_run_arn=self._map_runs.arn(run) if run is not None else None,
            redrive_count=redrives,
            redrive_date=redriven,
            redrive_status=redrive,
            redrive_status_reason=reason,
        )

    def describe_machine(
        self, request: t.DescribeStateMachineForExecutionInput
    ) -> t.DescribeStateMachineForExecutionOutput:
        _, machine, _, _, definition, role_arn, *_ = self._find(request.execution_arn)
        if machine < 0:
            run = self._map_runs.stored(-machine)
            assert run is not None
            described = self._machines.describe_for(run.machine, definition, role_arn)
            return replace(
                described,
                state_machine_arn=self._map_runs.machine(run).arn,
                definition=self._map_runs.processor(run, described.definition),
                map_run_arn=self._map_runs.arn(run),
                label=run.label,
            )
        return self._machines.describe_for(machine, definition, role_arn)

    def listed(self, request: t.ListExecutionsInput) -> t.ListExecutionsOutput:
        limit, before = page_of(request.max_results, request.next_token, int)
        if (request.state_machine_arn is None) == (request.map_run_arn is None):
            raise ValidationException("Must provide a State Machine ARN or a Map Run ARN, and not both")
        if request.redrive_filter is not None and request.map_run_arn is None:
            raise ValidationException(
                "redriveFilter is for the executions of a Map Run; it cannot be used with a stateMachineArn"
            )
        run = self._map_runs.found(request.map_run_arn) if request.map_run_arn is not None else None
        if run is not None and run.express:
            return t.ListExecutionsOutput(executions=[])  # AWS keeps no record of Express executions
        machine = self._map_runs.machine(run) if run is not None else self._machines.get(str(request.state_machine_arn))
        if machine.type == "EXPRESS":
            raise StateMachineTypeNotSupported(NOT_SUPPORTED)
        statuses = (request.status_filter,) if request.status_filter is not None else STATUSES
        redriven_ones = None if request.redrive_filter is None else request.redrive_filter == "REDRIVEN"
        walks: list[Iterable[tuple[Any, ...]]] = [
            self._database.read(
                "SELECT id, name, status, start, stop, coalesce(count, 0), date, parent "
                "FROM execution LEFT JOIN redrive ON execution = id "
                "WHERE machine = ? AND status = ? AND id < ? AND coalesce((count IS NOT NULL) = ?, 1) ORDER BY id DESC LIMIT ?",
                (machine.id, status, before if before is not None else 1 << 62, redriven_ones, limit + 1),
            )
            for status in statuses
        ]
        rows = [row for _, row in zip(range(limit + 1), heapq.merge(*walks, key=lambda row: -row[0]), strict=False)]
        return t.ListExecutionsOutput(
            executions=[
                t.ExecutionListItem(
                    execution_arn=machine.execution_arn(name),
                    state_machine_arn=machine.arn,
                    name=name,
                    status=status,
                    start_date=start,
                    stop_date=stop,
                    redrive_count=redrives,
                    redrive_date=redriven,
                    map_run_arn=self._map_runs.arn(run) if run is not None else None,
                    item_count=_json(parent)[2] if run is not None else None,
                )
                for _, name, status, start, stop, redrives, redriven, parent in rows[:limit]
            ],
            next_token=page_token(rows[limit - 1][0]) if len(rows) > limit else None,
        )

    def history(self, request: t.GetExecutionHistoryInput) -> t.GetExecutionHistoryOutput:
        return self._histories.page(self.id_of(request.execution_arn), request)

    def encoded_history(self, request: t.GetExecutionHistoryInput) -> bytes:
        """The same as JSON, as the wire spells it."""
        return self._histories.encoded_page(self.id_of(request.execution_arn), request)

    def id_of(self, arn: str) -> int:
        """Its row's, without reading the rest of that. Raises InvalidArn, ExecutionDoesNotExist."""
        parsed = parse(arn, "execution")
        if parsed.label is not None:
            return int(self._find_child(arn, parsed)[0])
        rows = self._database.read(
            "SELECT execution.id FROM execution JOIN state_machine ON state_machine.id = machine "
            "WHERE state_machine.name = ? AND execution.name = ?",
            (parsed.name, parsed.execution_name),
        )
        return int(self._own(arn, parsed, rows)[0])

    def last_event_id(self, arn: str) -> int:
        """Raises InvalidArn, ExecutionDoesNotExist."""
        return self._histories.last_event_id(self.id_of(arn))


def _no_execution(arn: str) -> ExecutionDoesNotExist:
    return ExecutionDoesNotExist(f"Execution Does Not Exist: '{arn}'")


def parse_input(text: str, limit_bytes: int) -> Any:
    """The value of an execution's input. Raises InvalidExecutionInput, in AWS's words where it is known to have some."""
    if not text.strip():
        raise InvalidExecutionInput("Invalid State Machine Execution Input: 'Invalid execution input.'")
    if len(text) * 4 > limit_bytes and len(text.encode()) > limit_bytes:
        raise InvalidExecutionInput(
            f"Invalid State Machine Execution Input: 'The input is larger than {limit_bytes} bytes'"
        )
    try:
        return _json(text)
    except msgspec.DecodeError as error:
        why = find_fault(text) or error
        raise InvalidExecutionInput(f"Invalid State Machine Execution Input: '{why}'") from None
    except (RecursionError, UnicodeEncodeError):
        raise InvalidExecutionInput("Invalid State Machine Execution Input: 'Nested too deeply, or not text'") from None
