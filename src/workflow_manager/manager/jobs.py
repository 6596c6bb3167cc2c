"""Jobs, derived from an execution's history: one for every run of a Task, Choice or Succeed state, however deep it stands.

Events of branches and iterations interleave, so an event is not about the state entered last: it is about the state of the
event before it in its own branch, ``previousEventId``. Handing every event the job of its predecessor walks that chain.
Pure: the same history gives the same jobs. Children of a distributed Map are executions of their own; their states are in
their own histories.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from workflow_manager.manager.graphs import states
from workflow_manager.manager.reasons import TIMED_OUT, failure_reason
from workflow_manager.manager.resources import shorthand
from workflow_manager.manager.times import moment
from workflow_manager.model import UNSET_TIME, Job, JobAttempt, JobStatus, StateResource, Workflow
from workflow_manager.stepfunctions.history import HistoryEvent

ABORTED_BESIDE = "Aborted: the execution went on without this state"
"""Why a job ended that was running when something beside it failed for good."""

_FINAL = (JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.ABORTED_BY_USER)


@dataclass(slots=True)
class _Draft:
    """A job while its events are read. ``entered_after`` is the event before the state was entered."""

    id: int
    entered_after: int
    state: str
    input: str
    created_at: datetime
    resource: StateResource | None
    is_task: bool
    status: JobStatus = JobStatus.CREATED
    status_reason: str = ""
    started_at: datetime = UNSET_TIME
    stopped_at: datetime = UNSET_TIME
    output: str = ""
    container: str = ""
    attempts: list[JobAttempt] = field(default_factory=list)
    exited: bool = False

    @property
    def final(self) -> bool:
        return self.status in _FINAL

    @property
    def may_fail(self) -> bool:
        """A task can have succeeded, and its state fail all the same in making its output of the result."""
        return self.status is not JobStatus.FAILED

    def stop(self, status: JobStatus, event: HistoryEvent, reason: str = "") -> None:
        self.status = status
        self.status_reason = reason
        self.stopped_at = moment(event.timestamp)

    def job(self) -> Job:
        return Job(
            id=str(self.id),
            state=self.state,
            status=self.status,
            status_reason=self.status_reason,
            created_at=self.created_at,
            started_at=self.started_at,
            stopped_at=self.stopped_at,
            input=self.input,
            output=self.output,
            container=self.container,
            state_resource=self.resource,
            attempts=self.attempts,
        )


def jobs(history: Sequence[HistoryEvent], workflow: Workflow) -> list[Job]:
    """The jobs of a whole history, in the order in which their states were entered.

    ``id`` is the number of the event that began the job's newest try, ``attempts`` the tries before it, oldest first.
    """
    return [draft.job() for draft in _Reader(workflow).read(history).drafts]


def last_job(history: Sequence[HistoryEvent], workflow: Workflow) -> Job | None:
    """The job that ended the execution, or else the one whose state was entered last."""
    reader = _Reader(workflow).read(history)
    ended_it = reader.of(history[-1].previous_event_id) if history else None
    if ended_it is None or ended_it.exited:  # the state after that job was at fault, and is none that has jobs
        ended_it = reader.drafts[-1] if reader.drafts else None
    return None if ended_it is None else ended_it.job()


class _Reader:
    """Goes through a history once, oldest event first."""

    def __init__(self, workflow: Workflow) -> None:
        self.drafts: list[_Draft] = []
        self._job_of: dict[int, _Draft] = {}  # event id -> the job that it is about
        self._aborted: list[_Draft] = []  # by the run of Aborted events right before the one at hand
        self._namespace = workflow.namespace
        self._defined_at = workflow.workflow_definition.created_at
        machine = workflow.workflow_definition.state_machine or {}
        self._resources = {name: state.get("Resource") for _, name, state in states(machine)}

    def read(self, history: Sequence[HistoryEvent]) -> _Reader:
        for event in history:
            self._read(event)
        return self

    def of(self, event_id: int) -> _Draft | None:
        return self._job_of.get(event_id)

    def _read(self, event: HistoryEvent) -> None:
        if event.type.endswith("StateEntered"):
            if event.type in _JOB_BEGINS:
                self._job_of[event.id] = self._enter(event)
            return
        draft = self._job_about(event)
        if draft is not None:
            self._job_of[event.id] = draft
            if event.type in _ABOUT_A_JOB:
                _ABOUT_A_JOB[event.type](draft, event)
            elif event.type in _GROUP_FAILED and draft.may_fail:
                draft.stop(JobStatus.FAILED, event)
        if event.type in _EXECUTION_ENDS:
            self._end(event, draft)
        if event.type == "TaskStateAborted" and draft is not None:
            self._aborted.append(draft)
        elif not event.type.endswith("Aborted"):
            self._aborted.clear()

    def _job_about(self, event: HistoryEvent) -> _Draft | None:
        """The job of the event before; but EvaluationFailed follows the event before its state was entered."""
        if event.type != "EvaluationFailed":
            draft = self._job_of.get(event.previous_event_id)
            return None if draft is None or draft.exited else draft
        state = (event.details or {}).get("state")
        for draft in reversed(self.drafts):
            if draft.state == state and not draft.exited and event.previous_event_id in (draft.entered_after, draft.id):
                return draft
        return None

    def _enter(self, event: HistoryEvent) -> _Draft:
        details = event.details or {}
        name = details.get("name", "")
        is_task = event.type == "TaskStateEntered"
        entered_at = moment(event.timestamp)
        draft = _Draft(
            id=event.id,
            entered_after=event.previous_event_id,
            state=name,
            input=details.get("input", ""),
            created_at=entered_at,
            resource=self._resource(name) if is_task else None,
            is_task=is_task,
            started_at=UNSET_TIME if is_task else entered_at,  # other states wait for nobody
        )
        self.drafts.append(draft)
        return draft

    def _resource(self, state: str) -> StateResource | None:
        """What the Task's Resource names, as its author wrote it."""
        written = self._resources.get(state)
        named = shorthand(written)
        if named is not None:
            return StateResource(
                name=named.name, namespace=self._namespace, type=named.type, last_updated=self._defined_at
            )
        if isinstance(written, str):
            return StateResource(name=written, namespace=self._namespace, uri=written, last_updated=self._defined_at)
        return None

    def _end(self, event: HistoryEvent, ended_it: _Draft | None) -> None:
        """The execution ended: so do the jobs that had not."""
        details = event.details or {}
        error, cause = details.get("error"), details.get("cause")
        match event.type:
            case "ExecutionAborted":
                status, reason = JobStatus.ABORTED_BY_USER, cause or ""
            case "ExecutionTimedOut":
                status, reason = JobStatus.FAILED, failure_reason(error, cause) if cause else TIMED_OUT
            case _:
                status, reason = JobStatus.FAILED, ABORTED_BESIDE
                if ended_it is not None and ended_it.may_fail:
                    ended_it.stop(JobStatus.FAILED, event)
                if ended_it is not None and not ended_it.status_reason:
                    ended_it.status_reason = failure_reason(error, cause)
        running = [draft for draft in self.drafts if not draft.final]
        if event.type == "ExecutionFailed" and ended_it is None and len(running) == 1:
            reason = failure_reason(error, cause)  # nothing else can have failed
        for draft in running:
            draft.stop(status, event, reason)
        if event.type != "ExecutionFailed":
            for draft in self._aborted:
                draft.status, draft.status_reason = status, reason


def _scheduled(draft: _Draft, event: HistoryEvent) -> None:
    if draft.final:  # a retry: what is known so far becomes an attempt
        draft.attempts.append(
            JobAttempt(
                created_at=draft.created_at,
                started_at=draft.started_at,
                stopped_at=draft.stopped_at,
                reason=draft.status_reason,
            )
        )
        draft.id = event.id
        draft.created_at = moment(event.timestamp)
        draft.started_at = draft.stopped_at = UNSET_TIME
        draft.status_reason = draft.container = draft.output = ""
    draft.status = JobStatus.QUEUED


def _started(draft: _Draft, event: HistoryEvent) -> None:
    if draft.final:
        return
    draft.status = JobStatus.RUNNING
    draft.started_at = moment(event.timestamp)
    draft.container = (event.details or {}).get("workerName") or ""


def _succeeded(draft: _Draft, event: HistoryEvent) -> None:
    draft.stop(JobStatus.SUCCEEDED, event)
    draft.output = (event.details or {}).get("output", "")


def _failed(draft: _Draft, event: HistoryEvent) -> None:
    details = event.details or {}
    draft.stop(JobStatus.FAILED, event, failure_reason(details.get("error"), details.get("cause")))


def _exited(draft: _Draft, event: HistoryEvent) -> None:
    """The state is over. A Task's result is known by now: one that was caught stays a failed job, with its output."""
    if not draft.final:
        draft.stop(JobStatus.FAILED if draft.is_task else JobStatus.SUCCEEDED, event)
    draft.output = (event.details or {}).get("output", "")
    draft.exited = True


def _aborted(draft: _Draft, event: HistoryEvent) -> None:
    if not draft.final:
        draft.stop(JobStatus.FAILED, event, ABORTED_BESIDE)


_JOB_BEGINS = {"TaskStateEntered", "ChoiceStateEntered", "SucceedStateEntered"}

_ABOUT_A_JOB: dict[str, Callable[[_Draft, HistoryEvent], Any]] = {
    **dict.fromkeys(("ActivityScheduled", "LambdaFunctionScheduled", "TaskScheduled"), _scheduled),
    **dict.fromkeys(("ActivityStarted", "LambdaFunctionStarted", "TaskStarted"), _started),
    **dict.fromkeys(("ActivitySucceeded", "LambdaFunctionSucceeded", "TaskSucceeded"), _succeeded),
    **dict.fromkeys(
        (
            "ActivityFailed",
            "ActivityScheduleFailed",
            "ActivityTimedOut",
            "EvaluationFailed",
            "LambdaFunctionFailed",
            "LambdaFunctionScheduleFailed",
            "LambdaFunctionStartFailed",
            "LambdaFunctionTimedOut",
            "TaskFailed",
            "TaskStartFailed",
            "TaskSubmitFailed",
            "TaskTimedOut",
        ),
        _failed,
    ),
    **dict.fromkeys(("TaskStateExited", "ChoiceStateExited", "SucceedStateExited"), _exited),
    "TaskStateAborted": _aborted,
}

_GROUP_FAILED = {"MapIterationFailed", "MapStateFailed", "ParallelStateFailed"}

_EXECUTION_ENDS = {"ExecutionFailed", "ExecutionAborted", "ExecutionTimedOut"}
