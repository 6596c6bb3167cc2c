"""Requests and results of the Step Functions API; written by tools/generate_stepfunctions.py.

Names, bounds and required members are those of botocore's service model; times are seconds since the epoch.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct, field

from workflow_manager.stepfunctions.history import HistoryEvent


class Tag(Struct, rename="camel", omit_defaults=True, kw_only=True):
    key: Annotated[str, Meta(min_length=1, max_length=128)] | None = None
    value: Annotated[str, Meta(max_length=256)] | None = None


class EncryptionConfiguration(Struct, rename="camel", omit_defaults=True, kw_only=True):
    type: Literal["AWS_OWNED_KEY", "CUSTOMER_MANAGED_KMS_KEY"]
    kms_key_id: Annotated[str, Meta(min_length=1, max_length=2048)] | None = None
    kms_data_key_reuse_period_seconds: Annotated[int, Meta(ge=60, le=900)] | None = None


class CreateActivityInput(Struct, rename="camel", omit_defaults=True, kw_only=True):
    name: Annotated[str, Meta(min_length=1, max_length=80)]
    tags: list[Tag] | None = None
    encryption_configuration: EncryptionConfiguration | None = None


class CreateActivityOutput(Struct, rename="camel", omit_defaults=True, kw_only=True):
    activity_arn: Annotated[str, Meta(min_length=1, max_length=256)]
    creation_date: float


class CloudWatchLogsLogGroup(Struct, rename="camel", omit_defaults=True, kw_only=True):
    log_group_arn: Annotated[str, Meta(min_length=1, max_length=256)] | None = None


class LogDestination(Struct, rename="camel", omit_defaults=True, kw_only=True):
    cloud_watch_logs_log_group: CloudWatchLogsLogGroup | None = None


class LoggingConfiguration(Struct, rename="camel", omit_defaults=True, kw_only=True):
    level: Literal["ALL", "ERROR", "FATAL", "OFF"] | None = None
    include_execution_data: bool | None = None
    destinations: list[LogDestination] | None = None


class TracingConfiguration(Struct, rename="camel", omit_defaults=True, kw_only=True):
    enabled: bool | None = None


class CreateStateMachineInput(Struct, rename="camel", omit_defaults=True, kw_only=True):
    name: Annotated[str, Meta(min_length=1, max_length=80)]
    definition: Annotated[str, Meta(min_length=1, max_length=1048576)]
    role_arn: Annotated[str, Meta(min_length=1, max_length=256)]
    type: Literal["STANDARD", "EXPRESS"] | None = None
    logging_configuration: LoggingConfiguration | None = None
    tags: list[Tag] | None = None
    tracing_configuration: TracingConfiguration | None = None
    publish: bool | None = None
    version_description: Annotated[str, Meta(max_length=256)] | None = None
    encryption_configuration: EncryptionConfiguration | None = None


class CreateStateMachineOutput(Struct, rename="camel", omit_defaults=True, kw_only=True):
    state_machine_arn: Annotated[str, Meta(min_length=1, max_length=256)]
    creation_date: float
    state_machine_version_arn: Annotated[str, Meta(min_length=1, max_length=256)] | None = None


class RoutingConfigurationListItem(Struct, rename="camel", omit_defaults=True, kw_only=True):
    state_machine_version_arn: Annotated[str, Meta(min_length=1, max_length=256)]
    weight: Annotated[int, Meta(ge=0, le=100)]


class CreateStateMachineAliasInput(Struct, rename="camel", omit_defaults=True, kw_only=True):
    name: Annotated[str, Meta(min_length=1, max_length=80)]
    routing_configuration: list[RoutingConfigurationListItem]
    description: Annotated[str, Meta(max_length=256)] | None = None


class CreateStateMachineAliasOutput(Struct, rename="camel", omit_defaults=True, kw_only=True):
    state_machine_alias_arn: Annotated[str, Meta(min_length=1, max_length=256)]
    creation_date: float


class DeleteActivityInput(Struct, rename="camel", omit_defaults=True, kw_only=True):
    activity_arn: Annotated[str, Meta(min_length=1, max_length=256)]


class DeleteActivityOutput(Struct, rename="camel", omit_defaults=True, kw_only=True):
    pass


class DeleteStateMachineInput(Struct, rename="camel", omit_defaults=True, kw_only=True):
    state_machine_arn: Annotated[str, Meta(min_length=1, max_length=256)]


class DeleteStateMachineOutput(Struct, rename="camel", omit_defaults=True, kw_only=True):
    pass


class DeleteStateMachineAliasInput(Struct, rename="camel", omit_defaults=True, kw_only=True):
    state_machine_alias_arn: Annotated[str, Meta(min_length=1, max_length=256)]


class DeleteStateMachineAliasOutput(Struct, rename="camel", omit_defaults=True, kw_only=True):
    pass


class DeleteStateMachineVersionInput(Struct, rename="camel", omit_defaults=True, kw_only=True):
    state_machine_version_arn: Annotated[str, Meta(min_length=1, max_length=2000)]


class DeleteStateMachineVersionOutput(Struct, rename="camel", omit_defaults=True, kw_only=True):
    pass


class DescribeActivityInput(Struct, rename="camel", omit_defaults=True, kw_only=True):
    activity_arn: Annotated[str, Meta(min_length=1, max_length=256)]


class DescribeActivityOutput(Struct, rename="camel", omit_defaults=True, kw_only=True):
    activity_arn: Annotated[str, Meta(min_length=1, max_length=256)]
    name: Annotated[str, Meta(min_length=1, max_length=80)]
    creation_date: float
    encryption_configuration: EncryptionConfiguration | None = None


class DescribeExecutionInput(Struct, rename="camel", omit_defaults=True, kw_only=True):
    execution_arn: Annotated[str, Meta(min_length=1, max_length=256)]
    included_data: Literal["ALL_DATA", "METADATA_ONLY"] | None = None


class CloudWatchEventsExecutionDataDetails(Struct, rename="camel", omit_defaults=True, kw_only=True):
    included: bool | None = None


class DescribeExecutionOutput(Struct, rename="camel", omit_defaults=True, kw_only=True):
    execution_arn: Annotated[str, Meta(min_length=1, max_length=256)]
    state_machine_arn: Annotated[str, Meta(min_length=1, max_length=256)]
    status: Literal["RUNNING", "SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED", "PENDING_REDRIVE"]
    start_date: float
    name: Annotated[str, Meta(min_length=1, max_length=80)] | None = None
    stop_date: float | None = None
    input: str | None = None
    input_details: CloudWatchEventsExecutionDataDetails | None = None
    output: str | None = None
    output_details: CloudWatchEventsExecutionDataDetails | None = None
    trace_header: Annotated[str, Meta(max_length=256)] | None = None
    map_run_arn: Annotated[str, Meta(min_length=1, max_length=2000)] | None = None
    error: Annotated[str, Meta(max_length=256)] | None = None
    cause: Annotated[str, Meta(max_length=32768)] | None = None
    state_machine_version_arn: Annotated[str, Meta(min_length=1, max_length=256)] | None = None
    state_machine_alias_arn: Annotated[str, Meta(min_length=1, max_length=256)] | None = None
    redrive_count: int | None = None
    redrive_date: float | None = None
    redrive_status: Literal["REDRIVABLE", "NOT_REDRIVABLE", "REDRIVABLE_BY_MAP_RUN"] | None = None
    redrive_status_reason: str | None = None


class DescribeMapRunInput(Struct, rename="camel", omit_defaults=True, kw_only=True):
    map_run_arn: Annotated[str, Meta(min_length=1, max_length=2000)]


class MapRunItemCounts(Struct, rename="camel", omit_defaults=True, kw_only=True):
    pending: Annotated[int, Meta(ge=0)]
    running: Annotated[int, Meta(ge=0)]
    succeeded: Annotated[int, Meta(ge=0)]
    failed: Annotated[int, Meta(ge=0)]
    timed_out: Annotated[int, Meta(ge=0)]
    aborted: Annotated[int, Meta(ge=0)]
    total: Annotated[int, Meta(ge=0)]
    results_written: Annotated[int, Meta(ge=0)]
    failures_not_redrivable: int | None = None
    pending_redrive: int | None = None


class MapRunExecutionCounts(Struct, rename="camel", omit_defaults=True, kw_only=True):
    pending: Annotated[int, Meta(ge=0)]
    running: Annotated[int, Meta(ge=0)]
    succeeded: Annotated[int, Meta(ge=0)]
    failed: Annotated[int, Meta(ge=0)]
    timed_out: Annotated[int, Meta(ge=0)]
    aborted: Annotated[int, Meta(ge=0)]
    total: Annotated[int, Meta(ge=0)]
    results_written: Annotated[int, Meta(ge=0)]
    failures_not_redrivable: int | None = None
    pending_redrive: int | None = None


class DescribeMapRunOutput(Struct, rename="camel", omit_defaults=True, kw_only=True):
    map_run_arn: Annotated[str, Meta(min_length=1, max_length=2000)]
    execution_arn: Annotated[str, Meta(min_length=1, max_length=256)]
    status: Literal["RUNNING", "SUCCEEDED", "FAILED", "ABORTED"]
    start_date: float
    max_concurrency: Annotated[int, Meta(ge=0)]
    tolerated_failure_percentage: Annotated[float, Meta(ge=0, le=100)]
    tolerated_failure_count: Annotated[int, Meta(ge=0)]
    item_counts: MapRunItemCounts
    execution_counts: MapRunExecutionCounts
    stop_date: float | None = None
    redrive_count: int | None = None
    redrive_date: float | None = None


class DescribeStateMachineInput(Struct, rename="camel", omit_defaults=True, kw_only=True):
    state_machine_arn: Annotated[str, Meta(min_length=1, max_length=256)]
    included_data: Literal["ALL_DATA", "METADATA_ONLY"] | None = None


class DescribeStateMachineOutput(Struct, rename="camel", omit_defaults=True, kw_only=True):
    state_machine_arn: Annotated[str, Meta(min_length=1, max_length=256)]
    name: Annotated[str, Meta(min_length=1, max_length=80)]
    definition: Annotated[str, Meta(min_length=1, max_length=1048576)]
    role_arn: Annotated[str, Meta(min_length=1, max_length=256)]
    type: Literal["STANDARD", "EXPRESS"]
    creation_date: float
    status: Literal["ACTIVE", "DELETING"] | None = None
    logging_configuration: LoggingConfiguration | None = None
    tracing_configuration: TracingConfiguration | None = None
    label: str | None = None
    revision_id: str | None = None
    description: Annotated[str, Meta(max_length=256)] | None = None
    encryption_configuration: EncryptionConfiguration | None = None
    variable_references: dict[str, list[str]] | None = None


class DescribeStateMachineAliasInput(Struct, rename="camel", omit_defaults=True, kw_only=True):
    state_machine_alias_arn: Annotated[str, Meta(min_length=1, max_length=256)]


class DescribeStateMachineAliasOutput(Struct, rename="camel", omit_defaults=True, kw_only=True):
    state_machine_alias_arn: Annotated[str, Meta(min_length=1, max_length=256)] | None = None
    name: Annotated[str, Meta(min_length=1, max_length=80)] | None = None
    description: Annotated[str, Meta(max_length=256)] | None = None
    routing_configuration: list[RoutingConfigurationListItem] | None = None
    creation_date: float | None = None
    update_date: float | None = None


class DescribeStateMachineForExecutionInput(Struct, rename="camel", omit_defaults=True, kw_only=True):
    execution_arn: Annotated[str, Meta(min_length=1, max_length=256)]
    included_data: Literal["ALL_DATA", "METADATA_ONLY"] | None = None


class DescribeStateMachineForExecutionOutput(Struct, rename="camel", omit_defaults=True, kw_only=True):
    state_machine_arn: Annotated[str, Meta(min_length=1, max_length=256)]
    name: Annotated[str, Meta(min_length=1, max_length=80)]
    definition: Annotated[str, Meta(min_length=1, max_length=1048576)]
    role_arn: Annotated[str, Meta(min_length=1, max_length=256)]
    update_date: float
    logging_configuration: LoggingConfiguration | None = None
    tracing_configuration: TracingConfiguration | None = None
    map_run_arn: Annotated[str, Meta(min_length=1, max_length=2000)] | None = None
    label: str | None = None
    revision_id: str | None = None
    encryption_configuration: EncryptionConfiguration | None = None
    variable_references: dict[str, list[str]] | None = None


class GetActivityTaskInput(Struct, rename="camel", omit_defaults=True, kw_only=True):
    activity_arn: Annotated[str, Meta(min_length=1, max_length=256)]
    worker_name: Annotated[str, Meta(min_length=1, max_length=80)] | None = None


class GetActivityTaskOutput(Struct, rename="camel", omit_defaults=True, kw_only=True):
    task_token: Annotated[str, Meta(min_length=1, max_length=2048)] | None = None
    input: Annotated[str, Meta(max_length=1048576)] | None = None


class GetExecutionHistoryInput(Struct, rename="camel", omit_defaults=True, kw_only=True):
    execution_arn: Annotated[str, Meta(min_length=1, max_length=256)]
    max_results: Annotated[int, Meta(ge=0, le=1000)] | None = None
    reverse_order: bool | None = None
    next_token: Annotated[str, Meta(min_length=1, max_length=1024)] | None = None
    include_execution_data: bool | None = None


class GetExecutionHistoryOutput(Struct, rename="camel", omit_defaults=True, kw_only=True):
    events: list[HistoryEvent]
    next_token: Annotated[str, Meta(min_length=1, max_length=1024)] | None = None


class ListActivitiesInput(Struct, rename="camel", omit_defaults=True, kw_only=True):
    max_results: Annotated[int, Meta(ge=0, le=1000)] | None = None
    next_token: Annotated[str, Meta(min_length=1, max_length=1024)] | None = None


class ActivityListItem(Struct, rename="camel", omit_defaults=True, kw_only=True):
    activity_arn: Annotated[str, Meta(min_length=1, max_length=256)]
    name: Annotated[str, Meta(min_length=1, max_length=80)]
    creation_date: float


class ListActivitiesOutput(Struct, rename="camel", omit_defaults=True, kw_only=True):
    activities: list[ActivityListItem]
    next_token: Annotated[str, Meta(min_length=1, max_length=1024)] | None = None


class ListExecutionsInput(Struct, rename="camel", omit_defaults=True, kw_only=True):
    state_machine_arn: Annotated[str, Meta(min_length=1, max_length=256)] | None = None
    status_filter: Literal["RUNNING", "SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED", "PENDING_REDRIVE"] | None = None
    max_results: Annotated[int, Meta(ge=0, le=1000)] | None = None
    next_token: Annotated[str, Meta(min_length=1, max_length=3096)] | None = None
    map_run_arn: Annotated[str, Meta(min_length=1, max_length=2000)] | None = None
    redrive_filter: Literal["REDRIVEN", "NOT_REDRIVEN"] | None = None


class ExecutionListItem(Struct, rename="camel", omit_defaults=True, kw_only=True):
    execution_arn: Annotated[str, Meta(min_length=1, max_length=256)]
    state_machine_arn: Annotated[str, Meta(min_length=1, max_length=256)]
    name: Annotated[str, Meta(min_length=1, max_length=80)]
    status: Literal["RUNNING", "SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED", "PENDING_REDRIVE"]
    start_date: float
    stop_date: float | None = None
    map_run_arn: Annotated[str, Meta(min_length=1, max_length=2000)] | None = None
    item_count: Annotated[int, Meta(ge=0)] | None = None
    state_machine_version_arn: Annotated[str, Meta(min_length=1, max_length=256)] | None = None
    state_machine_alias_arn: Annotated[str, Meta(min_length=1, max_length=256)] | None = None
    redrive_count: int | None = None
    redrive_date: float | None = None


class ListExecutionsOutput(Struct, rename="camel", omit_defaults=True, kw_only=True):
    executions: list[ExecutionListItem]
    next_token: Annotated[str, Meta(min_length=1, max_length=3096)] | None = None


class ListMapRunsInput(Struct, rename="camel", omit_defaults=True, kw_only=True):
    execution_arn: Annotated[str, Meta(min_length=1, max_length=256)]
    max_results: Annotated[int, Meta(ge=0, le=1000)] | None = None
    next_token: Annotated[str, Meta(min_length=1, max_length=1024)] | None = None


class MapRunListItem(Struct, rename="camel", omit_defaults=True, kw_only=True):
    execution_arn: Annotated[str, Meta(min_length=1, max_length=256)]
    map_run_arn: Annotated[str, Meta(min_length=1, max_length=2000)]
    state_machine_arn: Annotated[str, Meta(min_length=1, max_length=256)]
    start_date: float
    stop_date: float | None = None


class ListMapRunsOutput(Struct, rename="camel", omit_defaults=True, kw_only=True):
    map_runs: list[MapRunListItem]
    next_token: Annotated[str, Meta(min_length=1, max_length=1024)] | None = None


class ListStateMachineAliasesInput(Struct, rename="camel", omit_defaults=True, kw_only=True):
    state_machine_arn: Annotated[str, Meta(min_length=1, max_length=256)]
    next_token: Annotated[str, Meta(min_length=1, max_length=1024)] | None = None
    max_results: Annotated[int, Meta(ge=0, le=1000)] | None = None


class StateMachineAliasListItem(Struct, rename="camel", omit_defaults=True, kw_only=True):
    state_machine_alias_arn: Annotated[str, Meta(min_length=1, max_length=2000)]
    creation_date: float


class ListStateMachineAliasesOutput(Struct, rename="camel", omit_defaults=True, kw_only=True):
    state_machine_aliases: list[StateMachineAliasListItem]
    next_token: Annotated[str, Meta(min_length=1, max_length=1024)] | None = None


class ListStateMachineVersionsInput(Struct, rename="camel", omit_defaults=True, kw_only=True):
    state_machine_arn: Annotated[str, Meta(min_length=1, max_length=256)]
    next_token: Annotated[str, Meta(min_length=1, max_length=1024)] | None = None
    max_results: Annotated[int, Meta(ge=0, le=1000)] | None = None


class StateMachineVersionListItem(Struct, rename="camel", omit_defaults=True, kw_only=True):
    state_machine_version_arn: Annotated[str, Meta(min_length=1, max_length=2000)]
    creation_date: float


class ListStateMachineVersionsOutput(Struct, rename="camel", omit_defaults=True, kw_only=True):
    state_machine_versions: list[StateMachineVersionListItem]
    next_token: Annotated[str, Meta(min_length=1, max_length=1024)] | None = None


class ListStateMachinesInput(Struct, rename="camel", omit_defaults=True, kw_only=True):
    max_results: Annotated[int, Meta(ge=0, le=1000)] | None = None
    next_token: Annotated[str, Meta(min_length=1, max_length=1024)] | None = None


class StateMachineListItem(Struct, rename="camel", omit_defaults=True, kw_only=True):
    state_machine_arn: Annotated[str, Meta(min_length=1, max_length=256)]
    name: Annotated[str, Meta(min_length=1, max_length=80)]
    type: Literal["STANDARD", "EXPRESS"]
    creation_date: float


class ListStateMachinesOutput(Struct, rename="camel", omit_defaults=True, kw_only=True):
    state_machines: list[StateMachineListItem]
    next_token: Annotated[str, Meta(min_length=1, max_length=1024)] | None = None


class ListTagsForResourceInput(Struct, rename="camel", omit_defaults=True, kw_only=True):
    resource_arn: Annotated[str, Meta(min_length=1, max_length=256)]


class ListTagsForResourceOutput(Struct, rename="camel", omit_defaults=True, kw_only=True):
    tags: list[Tag] | None = None


class PublishStateMachineVersionInput(Struct, rename="camel", omit_defaults=True, kw_only=True):
    state_machine_arn: Annotated[str, Meta(min_length=1, max_length=256)]
    revision_id: str | None = None
    description: Annotated[str, Meta(max_length=256)] | None = None


class PublishStateMachineVersionOutput(Struct, rename="camel", omit_defaults=True, kw_only=True):
    creation_date: float
    state_machine_version_arn: Annotated[str, Meta(min_length=1, max_length=256)]


class RedriveExecutionInput(Struct, rename="camel", omit_defaults=True, kw_only=True):
    execution_arn: Annotated[str, Meta(min_length=1, max_length=256)]
    client_token: Annotated[str, Meta(min_length=1, max_length=64)] | None = None


class RedriveExecutionOutput(Struct, rename="camel", omit_defaults=True, kw_only=True):
    redrive_date: float


class SendTaskFailureInput(Struct, rename="camel", omit_defaults=True, kw_only=True):
    task_token: Annotated[str, Meta(min_length=1, max_length=2048)]
    error: Annotated[str, Meta(max_length=256)] | None = None
    cause: Annotated[str, Meta(max_length=32768)] | None = None


class SendTaskFailureOutput(Struct, rename="camel", omit_defaults=True, kw_only=True):
    pass


class SendTaskHeartbeatInput(Struct, rename="camel", omit_defaults=True, kw_only=True):
    task_token: Annotated[str, Meta(min_length=1, max_length=2048)]


class SendTaskHeartbeatOutput(Struct, rename="camel", omit_defaults=True, kw_only=True):
    pass


class SendTaskSuccessInput(Struct, rename="camel", omit_defaults=True, kw_only=True):
    task_token: Annotated[str, Meta(min_length=1, max_length=2048)]
    output: str


class SendTaskSuccessOutput(Struct, rename="camel", omit_defaults=True, kw_only=True):
    pass


class StartExecutionInput(Struct, rename="camel", omit_defaults=True, kw_only=True):
    state_machine_arn: Annotated[str, Meta(min_length=1, max_length=256)]
    name: Annotated[str, Meta(min_length=1, max_length=80)] | None = None
    input: str | None = None
    trace_header: Annotated[str, Meta(max_length=256)] | None = None


class StartExecutionOutput(Struct, rename="camel", omit_defaults=True, kw_only=True):
    execution_arn: Annotated[str, Meta(min_length=1, max_length=256)]
    start_date: float


class StartSyncExecutionInput(Struct, rename="camel", omit_defaults=True, kw_only=True):
    state_machine_arn: Annotated[str, Meta(min_length=1, max_length=256)]
    name: Annotated[str, Meta(min_length=1, max_length=80)] | None = None
    input: str | None = None
    trace_header: Annotated[str, Meta(max_length=256)] | None = None
    included_data: Literal["ALL_DATA", "METADATA_ONLY"] | None = None


class BillingDetails(Struct, rename="camel", omit_defaults=True, kw_only=True):
    billed_memory_used_in_mb: Annotated[int, Meta(ge=0)] | None = field(default=None, name="billedMemoryUsedInMB")
    billed_duration_in_milliseconds: Annotated[int, Meta(ge=0)] | None = None


class StartSyncExecutionOutput(Struct, rename="camel", omit_defaults=True, kw_only=True):
    execution_arn: Annotated[str, Meta(min_length=1, max_length=256)]
    start_date: float
    stop_date: float
    status: Literal["SUCCEEDED", "FAILED", "TIMED_OUT"]
    state_machine_arn: Annotated[str, Meta(min_length=1, max_length=256)] | None = None
    name: Annotated[str, Meta(min_length=1, max_length=80)] | None = None
    error: Annotated[str, Meta(max_length=256)] | None = None
    cause: Annotated[str, Meta(max_length=32768)] | None = None
    input: str | None = None
    input_details: CloudWatchEventsExecutionDataDetails | None = None
    output: str | None = None
    output_details: CloudWatchEventsExecutionDataDetails | None = None
    trace_header: Annotated[str, Meta(max_length=256)] | None = None
    billing_details: BillingDetails | None = None


class StopExecutionInput(Struct, rename="camel", omit_defaults=True, kw_only=True):
    execution_arn: Annotated[str, Meta(min_length=1, max_length=256)]
    error: Annotated[str, Meta(max_length=256)] | None = None
    cause: Annotated[str, Meta(max_length=32768)] | None = None


class StopExecutionOutput(Struct, rename="camel", omit_defaults=True, kw_only=True):
    stop_date: float


class TagResourceInput(Struct, rename="camel", omit_defaults=True, kw_only=True):
    resource_arn: Annotated[str, Meta(min_length=1, max_length=256)]
    tags: list[Tag]


class TagResourceOutput(Struct, rename="camel", omit_defaults=True, kw_only=True):
    pass


class MockErrorOutput(Struct, rename="camel", omit_defaults=True, kw_only=True):
    error: Annotated[str, Meta(max_length=256)] | None = None
    cause: Annotated[str, Meta(max_length=32768)] | None = None


class MockInput(Struct, rename="camel", omit_defaults=True, kw_only=True):
    result: Annotated[str, Meta(max_length=262144)] | None = None
    error_output: MockErrorOutput | None = None
    field_validation_mode: Literal["STRICT", "PRESENT", "NONE"] | None = None


class TestStateConfiguration(Struct, rename="camel", omit_defaults=True, kw_only=True):
    retrier_retry_count: Annotated[int, Meta(ge=0)] | None = None
    error_caused_by_state: Annotated[str, Meta(min_length=1, max_length=80)] | None = None
    map_iteration_failure_count: Annotated[int, Meta(ge=0)] | None = None
    map_item_reader_data: Annotated[str, Meta(max_length=262144)] | None = None


class TestStateInput(Struct, rename="camel", omit_defaults=True, kw_only=True):
    definition: Annotated[str, Meta(min_length=1, max_length=1048576)]
    role_arn: Annotated[str, Meta(min_length=1, max_length=256)] | None = None
    input: Annotated[str, Meta(max_length=262144)] | None = None
    inspection_level: Literal["INFO", "DEBUG", "TRACE"] | None = None
    reveal_secrets: bool | None = None
    variables: Annotated[str, Meta(max_length=262144)] | None = None
    state_name: Annotated[str, Meta(min_length=1, max_length=80)] | None = None
    mock: MockInput | None = None
    context: Annotated[str, Meta(max_length=262144)] | None = None
    state_configuration: TestStateConfiguration | None = None


class InspectionDataRequest(Struct, rename="camel", omit_defaults=True, kw_only=True):
    protocol: str | None = None
    method: str | None = None
    url: str | None = None
    headers: str | None = None
    body: str | None = None


class InspectionDataResponse(Struct, rename="camel", omit_defaults=True, kw_only=True):
    protocol: str | None = None
    status_code: str | None = None
    status_message: str | None = None
    headers: str | None = None
    body: str | None = None


class InspectionErrorDetails(Struct, rename="camel", omit_defaults=True, kw_only=True):
    catch_index: Annotated[int, Meta(ge=0)] | None = None
    retry_index: Annotated[int, Meta(ge=0)] | None = None
    retry_backoff_interval_seconds: Annotated[int, Meta(ge=0)] | None = None


class InspectionData(Struct, rename="camel", omit_defaults=True, kw_only=True):
    input: Annotated[str, Meta(max_length=262144)] | None = None
    after_arguments: Annotated[str, Meta(max_length=262144)] | None = None
    after_input_path: Annotated[str, Meta(max_length=262144)] | None = None
    after_parameters: Annotated[str, Meta(max_length=262144)] | None = None
    result: Annotated[str, Meta(max_length=262144)] | None = None
    after_result_selector: Annotated[str, Meta(max_length=262144)] | None = None
    after_result_path: Annotated[str, Meta(max_length=262144)] | None = None
    request: InspectionDataRequest | None = None
    response: InspectionDataResponse | None = None
    variables: Annotated[str, Meta(max_length=262144)] | None = None
    error_details: InspectionErrorDetails | None = None
    after_items_path: Annotated[str, Meta(max_length=262144)] | None = None
    after_item_selector: Annotated[str, Meta(max_length=262144)] | None = None
    after_item_batcher: Annotated[str, Meta(max_length=262144)] | None = None
    after_items_pointer: Annotated[str, Meta(max_length=262144)] | None = None
    tolerated_failure_count: Annotated[int, Meta(ge=0)] | None = None
    tolerated_failure_percentage: Annotated[float, Meta(ge=0, le=100)] | None = None
    max_concurrency: Annotated[int, Meta(ge=0)] | None = None


class TestStateOutput(Struct, rename="camel", omit_defaults=True, kw_only=True):
    output: Annotated[str, Meta(max_length=262144)] | None = None
    error: Annotated[str, Meta(max_length=256)] | None = None
    cause: Annotated[str, Meta(max_length=32768)] | None = None
    inspection_data: InspectionData | None = None
    next_state: Annotated[str, Meta(min_length=1, max_length=80)] | None = None
    status: Literal["SUCCEEDED", "FAILED", "RETRIABLE", "CAUGHT_ERROR"] | None = None


class UntagResourceInput(Struct, rename="camel", omit_defaults=True, kw_only=True):
    resource_arn: Annotated[str, Meta(min_length=1, max_length=256)]
    tag_keys: list[Annotated[str, Meta(min_length=1, max_length=128)]]


class UntagResourceOutput(Struct, rename="camel", omit_defaults=True, kw_only=True):
    pass


class UpdateMapRunInput(Struct, rename="camel", omit_defaults=True, kw_only=True):
    map_run_arn: Annotated[str, Meta(min_length=1, max_length=2000)]
    max_concurrency: Annotated[int, Meta(ge=0)] | None = None
    tolerated_failure_percentage: Annotated[float, Meta(ge=0, le=100)] | None = None
    tolerated_failure_count: Annotated[int, Meta(ge=0)] | None = None


class UpdateMapRunOutput(Struct, rename="camel", omit_defaults=True, kw_only=True):
    pass


class UpdateStateMachineInput(Struct, rename="camel", omit_defaults=True, kw_only=True):
    state_machine_arn: Annotated[str, Meta(min_length=1, max_length=256)]
    definition: Annotated[str, Meta(min_length=1, max_length=1048576)] | None = None
    role_arn: Annotated[str, Meta(min_length=1, max_length=256)] | None = None
    logging_configuration: LoggingConfiguration | None = None
    tracing_configuration: TracingConfiguration | None = None
    publish: bool | None = None
    version_description: Annotated[str, Meta(max_length=256)] | None = None
    encryption_configuration: EncryptionConfiguration | None = None


class UpdateStateMachineOutput(Struct, rename="camel", omit_defaults=True, kw_only=True):
    update_date: float
    revision_id: str | None = None
    state_machine_version_arn: Annotated[str, Meta(min_length=1, max_length=256)] | None = None


class UpdateStateMachineAliasInput(Struct, rename="camel", omit_defaults=True, kw_only=True):
    state_machine_alias_arn: Annotated[str, Meta(min_length=1, max_length=256)]
    description: Annotated[str, Meta(max_length=256)] | None = None
    routing_configuration: list[RoutingConfigurationListItem] | None = None


class UpdateStateMachineAliasOutput(Struct, rename="camel", omit_defaults=True, kw_only=True):
    update_date: float


class ValidateStateMachineDefinitionInput(Struct, rename="camel", omit_defaults=True, kw_only=True):
    definition: Annotated[str, Meta(min_length=1, max_length=1048576)]
    type: Literal["STANDARD", "EXPRESS"] | None = None
    severity: Literal["ERROR", "WARNING"] | None = None
    max_results: Annotated[int, Meta(ge=0, le=100)] | None = None


class ValidateStateMachineDefinitionDiagnostic(Struct, rename="camel", omit_defaults=True, kw_only=True):
    severity: Literal["ERROR", "WARNING"]
    code: str
    message: str
    location: str | None = None


class ValidateStateMachineDefinitionOutput(Struct, rename="camel", omit_defaults=True, kw_only=True):
    result: Literal["OK", "FAIL"]
    diagnostics: list[ValidateStateMachineDefinitionDiagnostic]
    truncated: bool | None = None
