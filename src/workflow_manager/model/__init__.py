"""The nouns: workflow definitions, workflows, jobs, state resources, queries, and the errors that speak of them.

Values are immutable; times are aware UTC. Fields are spelled in camelCase as JSON (``createdAt``), so that a client decodes
what the API answers straight into these types; what the API writes, and which fields it leaves out, is api/'s business.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any, Generic, TypeVar

from msgspec import UNSET, Struct, UnsetType, field

T = TypeVar("T")

UNSET_TIME = datetime.fromisoformat("0001-01-01T00:00:00+00:00")
"""How the HTTP contract spells a time that has not come."""


class Manager(StrEnum):
    STEP_FUNCTIONS = "step-functions"


class WorkflowStatus(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def final(self) -> bool:
        return self in (WorkflowStatus.SUCCEEDED, WorkflowStatus.FAILED, WorkflowStatus.CANCELLED)


class JobStatus(StrEnum):
    CREATED = "created"
    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    ABORTED_BY_USER = "aborted_by_user"


class StateResourceType(StrEnum):
    ACTIVITY_ARN = "ActivityARN"
    LAMBDA_FUNCTION_ARN = "LambdaFunctionARN"
    GLUE_JOB = "GlueJob"


class WorkflowDefinition(Struct, rename="camel", frozen=True, kw_only=True):
    """One version of a named state machine. ``state_machine`` is the ASL as its author wrote it, shorthand included."""

    id: str
    name: str
    version: int = 0
    created_at: datetime
    manager: Manager = Manager.STEP_FUNCTIONS
    state_machine: dict[str, Any] | None = None
    default_tags: dict[str, str] = field(default_factory=dict)


class StateResource(Struct, rename="camel", frozen=True, kw_only=True):
    """What a Task's Resource resolves to in a namespace."""

    name: str
    namespace: str
    type: StateResourceType = StateResourceType.ACTIVITY_ARN
    uri: str = ""
    last_updated: datetime = UNSET_TIME


class JobAttempt(Struct, rename="camel", frozen=True, kw_only=True):
    """An earlier try of a job that was retried."""

    created_at: datetime = UNSET_TIME
    started_at: datetime = UNSET_TIME
    stopped_at: datetime = UNSET_TIME
    reason: str = ""
    exit_code: int = 0
    container_instance_arn: str = field(default="", name="containerInstanceARN")
    task_arn: str = field(default="", name="taskARN")


class Job(Struct, rename="camel", frozen=True, kw_only=True):
    """One run of one Task, Choice or Succeed state within a workflow. ``input`` and ``output`` are JSON as text."""

    id: str
    state: str = ""
    status: JobStatus = JobStatus.CREATED
    status_reason: str = ""
    created_at: datetime = UNSET_TIME
    started_at: datetime = UNSET_TIME
    stopped_at: datetime = UNSET_TIME
    input: str = ""
    output: str = ""
    container: str = ""
    name: str = ""
    queue: str = ""
    state_resource: StateResource | None = None
    attempts: list[JobAttempt] | None = None


class Workflow(Struct, rename="camel", frozen=True, kw_only=True):
    """One run of a workflow definition. ``input`` and ``output`` are JSON as text; ``id`` names the execution too.

    ``truncated``: its history was too long to be read in time, and ``jobs`` has the first of them. Never stored.
    """

    id: str
    created_at: datetime
    last_updated: datetime
    stopped_at: datetime = UNSET_TIME
    status: WorkflowStatus = WorkflowStatus.QUEUED
    status_reason: str = ""
    namespace: str = ""
    queue: str = "default"
    input: str = "{}"
    output: str = ""
    tags: dict[str, str] = field(default_factory=dict)
    workflow_definition: WorkflowDefinition
    jobs: list[Job] | None = None
    last_job: Job | None = None
    retry_for: str = ""
    retries: list[str] | None = None
    resolved_by_user: bool = False
    truncated: bool = False


class WorkflowChange(Struct, frozen=True, kw_only=True):
    """What to change of a stored workflow; UNSET leaves a field alone.

    Statuses move forward only: queued -> running -> one of the final ones. A change whose ``status`` would move a workflow
    backwards, or out of a final status, is refused whole (see WorkflowStore.change_workflow). ``add_retry`` appends an id
    to ``retries`` unless it is there; ``remove_retry`` takes one out.
    """

    status: WorkflowStatus | UnsetType = UNSET
    status_reason: str | UnsetType = UNSET
    output: str | UnsetType = UNSET
    stopped_at: datetime | UnsetType = UNSET
    last_updated: datetime | UnsetType = UNSET
    resolved_by_user: bool | UnsetType = UNSET
    last_job: Job | UnsetType = UNSET
    jobs: list[Job] | UnsetType = UNSET
    add_retry: str | UnsetType = UNSET
    remove_retry: str | UnsetType = UNSET


class WorkflowQuery(Struct, frozen=True, kw_only=True):
    """Which workflows to list, in which order, how many (1 to 10,000), and from where on.

    Every given filter must hold; ``statuses`` and ``tags`` are any-of and all-of. ``created_after`` is inclusive,
    ``created_before`` exclusive. ``summary_only`` leaves out the state machine, input, output and jobs.
    """

    definition_name: str | None = None
    namespace: str | None = None
    queue: str | None = None
    tags: dict[str, str] = field(default_factory=dict)
    statuses: tuple[WorkflowStatus, ...] = ()
    resolved_by_user: bool | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None
    oldest_first: bool = False
    limit: int = 10
    page_token: str | None = None
    summary_only: bool = False


class Page(Struct, Generic[T], frozen=True, kw_only=True):
    """One page of a list. ``next_page_token`` is there whenever the page is not empty: what comes after its last item."""

    items: list[T]
    next_page_token: str | None = None


class NewWorkflowDefinition(Struct, rename="camel", frozen=True, kw_only=True):
    """What a person hands in to create or update a definition."""

    name: str = ""
    manager: str = "step-functions"
    state_machine: dict[str, Any]
    default_tags: dict[str, Any] = field(default_factory=dict)


class NewWorkflow(Struct, rename="camel", frozen=True, kw_only=True):
    """What a person submits. ``version``: negative is the latest, absent is version 0 (HTTP contract, startWorkflow)."""

    definition_name: str
    version: int = 0
    input: str = "{}"
    namespace: str = ""
    queue: str = "default"
    tags: dict[str, Any] = field(default_factory=dict)


class Resumption(Struct, frozen=True, kw_only=True):
    """From where, with what and on which version a workflow is resumed.

    ``start_at`` is a state at the top level; ``from_failed`` asks for the one that the workflow ended in instead. Without
    ``input`` the state gets what it had; without ``version`` it runs in the definition that the workflow ran, with one in that
    version (negative: the latest).
    """

    start_at: str = ""
    from_failed: bool = False
    input: str | None = None
    version: int | None = None
