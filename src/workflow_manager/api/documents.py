"""What goes over the wire: the JSON documents of the API, and how the model's values become them.

Names and omission follow the HTTP contract: text, numbers, booleans and maps that are empty are left out; times, ``jobs``,
``retries`` and ``attempts`` are always there. A state machine passes through as its author wrote it.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct, field

from workflow_manager import model

Timestamp = Annotated[
    str,
    Meta(
        description="RFC 3339 with exactly three decimals; `0001-01-01T00:00:00.000Z` is a time that has not come.",
        examples=["2017-10-25T18:11:03.350Z"],
        extra_json_schema={"format": "date-time"},
    ),
]
JsonText = Annotated[str, Meta(description="JSON, as text.", examples=['{"foo": true}'])]
StateMachine = Annotated[
    dict[str, Any],
    Meta(
        description="A state machine in the Amazon States Language. A Task's `Resource` may be short: `echo` is an activity, "
        "`lambda:echo` a function, `glue:echo` a Glue job, each in the workflow's namespace.",
        examples=[
            {
                "Version": "1.0",
                "StartAt": "echo",
                "TimeoutSeconds": 60,
                "States": {"echo": {"Type": "Task", "Resource": "echo", "End": True}},
            }
        ],
    ),
]
Tags = Annotated[
    dict[str, str], Meta(description="Free names and values to find workflows by.", examples=[{"team": "billing"}])
]


class WorkflowDefinition(Struct, rename="camel", omit_defaults=True, kw_only=True):
    """One version of a named state machine."""

    id: Annotated[
        str, Meta(description="Of this version alone.", examples=["8f3b1c52-6c8e-4d8c-9d0e-2f6f0d6f6a11"])
    ] = ""
    name: Annotated[str, Meta(description="Shared by all versions.", examples=["sfncli-test:master"])] = ""
    version: Annotated[int, Meta(description="Counts from 0; version 0 is left out.", examples=[3])] = 0
    created_at: Timestamp
    manager: Annotated[
        str, Meta(description="What executes it; always `step-functions`.", examples=["step-functions"])
    ] = ""
    state_machine: StateMachine | None = None
    default_tags: Tags = field(default_factory=dict)


class StateResource(Struct, rename="camel", omit_defaults=True, kw_only=True):
    """What a Task's Resource resolves to in a namespace."""

    name: Annotated[str, Meta(examples=["echo"])] = ""
    namespace: Annotated[str, Meta(examples=["production"])] = ""
    type: Annotated[str, Meta(description="Always `ActivityARN`.", examples=["ActivityARN"])] = ""
    uri: Annotated[
        str,
        Meta(
            description="The ARN that the name stands for.",
            examples=["arn:aws:states:us-east-1:123456789012:activity:production--echo"],
        ),
    ] = ""
    last_updated: Timestamp


class JobAttempt(Struct, rename="camel", omit_defaults=True, kw_only=True):
    """An earlier try of a job that was retried."""

    created_at: Timestamp
    started_at: Timestamp
    stopped_at: Timestamp
    reason: Annotated[str, Meta(description="Why it failed.", examples=["disk full\nsfncli.CommandExitedNonzero"])] = ""
    exit_code: Annotated[int, Meta(description="Of the command; 0 is left out.", examples=[1])] = 0
    container_instance_arn: Annotated[str, Meta(examples=["worker-1"])] = field(default="", name="containerInstanceARN")
    task_arn: Annotated[str, Meta(examples=["worker-1"])] = field(default="", name="taskARN")


class Job(Struct, rename="camel", omit_defaults=True, kw_only=True):
    """One run of one Task, Choice or Succeed state of a workflow."""

    id: Annotated[str, Meta(description="Number of the history event it began with.", examples=["2"])] = ""
    state: Annotated[str, Meta(description="Name of the state.", examples=["echo"])] = ""
    status: Annotated[
        str,
        Meta(
            description="One of " + ", ".join(f"`{s}`" for s in model.JobStatus) + ".",
            examples=["succeeded"],
        ),
    ] = ""
    status_reason: Annotated[
        str, Meta(description="Last lines of the cause and the error's name.", examples=["boom\nMyError"])
    ] = ""
    created_at: Timestamp
    started_at: Timestamp
    stopped_at: Timestamp
    input: JsonText = ""
    output: JsonText = ""
    container: Annotated[str, Meta(description="Name of the worker that took it.", examples=["worker-1"])] = ""
    name: Annotated[str, Meta(description="Not in use.", examples=["echo"])] = ""
    queue: Annotated[str, Meta(description="Not in use.", examples=["default"])] = ""
    state_resource: StateResource | None = None
    attempts: Annotated[
        list[JobAttempt] | None, Meta(description="Earlier tries, oldest first; null when there are none.")
    ]


class Workflow(Struct, rename="camel", omit_defaults=True, kw_only=True):
    """One run of a workflow definition."""

    id: Annotated[
        str,
        Meta(description="Names the execution, too.", examples=["0b3a8a2e-8f0c-4f0e-9a51-3a3d0c0c5a2b"]),
    ]
    created_at: Timestamp
    last_updated: Timestamp
    stopped_at: Timestamp
    status: Annotated[
        str,
        Meta(description="One of " + ", ".join(f"`{s}`" for s in model.WorkflowStatus) + ".", examples=["running"]),
    ] = ""
    status_reason: Annotated[
        str, Meta(description="Why it failed or was cancelled.", examples=["Workflow timed out"])
    ] = ""
    namespace: Annotated[str, Meta(description="Where Resources resolve.", examples=["production"])] = ""
    queue: Annotated[str, Meta(description="Where it waited.", examples=["default"])] = ""
    input: JsonText = ""
    output: JsonText = ""
    tags: Tags = field(default_factory=dict)
    workflow_definition: WorkflowDefinition | None = None
    jobs: Annotated[
        list[Job] | None,
        Meta(description="What its states did; null when not asked for, as in lists."),
    ]
    last_job: Job | None = None
    retry_for: Annotated[
        str,
        Meta(description="The workflow that this one resumes.", examples=["5ad0a0a4-4f6f-45a6-8d3b-9e2f6d4f1b7c"]),
    ] = ""
    retries: Annotated[
        list[str] | None,
        Meta(description="Workflows that resume this one.", examples=[["9c1e0d8f-0f0f-4b0c-8f57-0a3e7a0c6d11"]]),
    ]
    resolved_by_user: Annotated[
        bool, Meta(description="Succeeded, cancelled, or looked after by a person.", examples=[True])
    ] = False
    truncated: Annotated[
        bool,
        Meta(description="The history was too long to be read in time: `jobs` has the first of them.", examples=[True]),
    ] = False


class Event(Struct, omit_defaults=True, kw_only=True):
    """One server-sent event of a workflow's stream."""

    event: Annotated[str, Meta(description="`history` or `workflow`.", examples=["history"])]
    id: Annotated[str, Meta(description="Of the history event; `workflow` has none.", examples=["1"])] = ""
    data: Annotated[
        str,
        Meta(
            description="JSON: an event as the Step Functions API spells it, or a `Workflow` without what can be large.",
            examples=['{"timestamp":1508955063.35,"type":"ExecutionStarted","id":1,"previousEventId":0}'],
        ),
    ]


class Diagnostic(Struct, omit_defaults=True, kw_only=True):
    """One fault of a definition."""

    severity: Annotated[str, Meta(examples=["ERROR"])] = ""
    code: Annotated[str, Meta(examples=["MISSING_TRANSITION_TARGET"])] = ""
    location: Annotated[
        str | None, Meta(description="JSON pointer into the state machine.", examples=["/States/Charge/Next"])
    ] = None
    message: Annotated[str, Meta(examples=["'Refnd' is not a state here; did you mean 'Refund'?"])] = ""


class Error(Struct, rename="camel", omit_defaults=True, kw_only=True):
    """Every error has this body. Programs go by `code`; `message` is for people and may change."""

    code: Annotated[str, Meta(description="Stable.", examples=["InvalidRequest"])]
    message: Annotated[
        str,
        Meta(description="What was wrong, where, and what to do.", examples=["/input: expected text, got a number"]),
    ]
    diagnostics: Annotated[list[Diagnostic], Meta(description="Every fault of a refused definition.")] = field(
        default_factory=list
    )
    fields: Annotated[
        list[str],
        Meta(
            description="Of `IdempotencyKeyReused`: where the content differs, as JSON pointers.", examples=[["/input"]]
        ),
    ] = field(default_factory=list)
    workflow_id: Annotated[
        str,
        Meta(
            description="Of `IdempotencyKeyReused`: whose key it is.",
            examples=["0b3a8a2e-8f0c-4f0e-9a51-3a3d0c0c5a2b"],
        ),
    ] = field(default="", name="workflowID")
    request_id: Annotated[
        str, Meta(description="Of an unexpected error: what to look for in the log.", examples=["6f1d0c7be0a84d52"])
    ] = ""


_encoder = msgspec.json.Encoder()
encode = _encoder.encode
"""A document as JSON."""


def timestamp(at: datetime) -> str:
    """RFC 3339 in UTC with three decimals; ``at`` is aware UTC, further decimals are cut off."""
    return at.isoformat(timespec="milliseconds")[:23] + "Z"


def workflow_definition(value: model.WorkflowDefinition, *, summary: bool = False) -> WorkflowDefinition:
    """``summary``: without the state machine."""
    return WorkflowDefinition(
        id=value.id,
        name=value.name,
        version=value.version,
        created_at=timestamp(value.created_at),
        manager=value.manager.value,
        state_machine=None if summary else value.state_machine,
        default_tags=value.default_tags,
    )


def state_resource(value: model.StateResource) -> StateResource:
    return StateResource(
        name=value.name,
        namespace=value.namespace,
        type=value.type.value,
        uri=value.uri,
        last_updated=timestamp(value.last_updated),
    )


def job_attempt(value: model.JobAttempt) -> JobAttempt:
    return JobAttempt(
        created_at=timestamp(value.created_at),
        started_at=timestamp(value.started_at),
        stopped_at=timestamp(value.stopped_at),
        reason=value.reason,
        exit_code=value.exit_code,
        container_instance_arn=value.container_instance_arn,
        task_arn=value.task_arn,
    )


def job(value: model.Job) -> Job:
    return Job(
        id=value.id,
        state=value.state,
        status=value.status.value,
        status_reason=value.status_reason,
        created_at=timestamp(value.created_at),
        started_at=timestamp(value.started_at),
        stopped_at=timestamp(value.stopped_at),
        input=value.input,
        output=value.output,
        container=value.container,
        name=value.name,
        queue=value.queue,
        state_resource=None if value.state_resource is None else state_resource(value.state_resource),
        attempts=None if value.attempts is None else [job_attempt(attempt) for attempt in value.attempts],
    )


def workflow(value: model.Workflow, *, summary: bool = False) -> Workflow:
    """``summary``: without what can be large, that is state machine, input, output and jobs."""
    return Workflow(
        id=value.id,
        created_at=timestamp(value.created_at),
        last_updated=timestamp(value.last_updated),
        stopped_at=timestamp(value.stopped_at),
        status=value.status.value,
        status_reason=value.status_reason,
        namespace=value.namespace,
        queue=value.queue,
        input="" if summary else value.input,
        output="" if summary else value.output,
        tags=value.tags,
        workflow_definition=workflow_definition(value.workflow_definition, summary=summary),
        jobs=None if summary or value.jobs is None else [job(each) for each in value.jobs],
        last_job=None if summary or value.last_job is None else job(value.last_job),
        retry_for=value.retry_for,
        retries=value.retries,
        resolved_by_user=value.resolved_by_user,
        truncated=value.truncated,
    )
