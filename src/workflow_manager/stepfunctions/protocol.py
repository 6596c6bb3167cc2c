"""The seam: the Step Functions API as a Protocol; written by tools/generate_stepfunctions.py.

Implemented by the embedded engine and by aws.py; served over HTTP by wire.py. Every method raises the errors
of errors.py that the API's reference lists for its operation, and ServiceUnavailable.
"""

from __future__ import annotations

from typing import Protocol

from workflow_manager.stepfunctions import types as t


class StepFunctions(Protocol):
    """The 37 operations of the Step Functions API."""

    async def create_activity(self, request: t.CreateActivityInput, /) -> t.CreateActivityOutput: ...

    async def create_state_machine(self, request: t.CreateStateMachineInput, /) -> t.CreateStateMachineOutput: ...

    async def create_state_machine_alias(
        self, request: t.CreateStateMachineAliasInput, /
    ) -> t.CreateStateMachineAliasOutput: ...

    async def delete_activity(self, request: t.DeleteActivityInput, /) -> t.DeleteActivityOutput: ...

    async def delete_state_machine(self, request: t.DeleteStateMachineInput, /) -> t.DeleteStateMachineOutput: ...

    async def delete_state_machine_alias(
        self, request: t.DeleteStateMachineAliasInput, /
    ) -> t.DeleteStateMachineAliasOutput: ...

    async def delete_state_machine_version(
        self, request: t.DeleteStateMachineVersionInput, /
    ) -> t.DeleteStateMachineVersionOutput: ...

    async def describe_activity(self, request: t.DescribeActivityInput, /) -> t.DescribeActivityOutput: ...

    async def describe_execution(self, request: t.DescribeExecutionInput, /) -> t.DescribeExecutionOutput: ...

    async def describe_map_run(self, request: t.DescribeMapRunInput, /) -> t.DescribeMapRunOutput: ...

    async def describe_state_machine(self, request: t.DescribeStateMachineInput, /) -> t.DescribeStateMachineOutput: ...

    async def describe_state_machine_alias(
        self, request: t.DescribeStateMachineAliasInput, /
    ) -> t.DescribeStateMachineAliasOutput: ...

    async def describe_state_machine_for_execution(
        self, request: t.DescribeStateMachineForExecutionInput, /
    ) -> t.DescribeStateMachineForExecutionOutput: ...

    async def get_activity_task(self, request: t.GetActivityTaskInput, /) -> t.GetActivityTaskOutput: ...

    async def get_execution_history(self, request: t.GetExecutionHistoryInput, /) -> t.GetExecutionHistoryOutput: ...

    async def list_activities(self, request: t.ListActivitiesInput, /) -> t.ListActivitiesOutput: ...

    async def list_executions(self, request: t.ListExecutionsInput, /) -> t.ListExecutionsOutput: ...

    async def list_map_runs(self, request: t.ListMapRunsInput, /) -> t.ListMapRunsOutput: ...

    async def list_state_machine_aliases(
        self, request: t.ListStateMachineAliasesInput, /
    ) -> t.ListStateMachineAliasesOutput: ...

    async def list_state_machine_versions(
        self, request: t.ListStateMachineVersionsInput, /
    ) -> t.ListStateMachineVersionsOutput: ...

    async def list_state_machines(self, request: t.ListStateMachinesInput, /) -> t.ListStateMachinesOutput: ...

    async def list_tags_for_resource(self, request: t.ListTagsForResourceInput, /) -> t.ListTagsForResourceOutput: ...

    async def publish_state_machine_version(
        self, request: t.PublishStateMachineVersionInput, /
    ) -> t.PublishStateMachineVersionOutput: ...

    async def redrive_execution(self, request: t.RedriveExecutionInput, /) -> t.RedriveExecutionOutput: ...

    async def send_task_failure(self, request: t.SendTaskFailureInput, /) -> t.SendTaskFailureOutput: ...

    async def send_task_heartbeat(self, request: t.SendTaskHeartbeatInput, /) -> t.SendTaskHeartbeatOutput: ...

    async def send_task_success(self, request: t.SendTaskSuccessInput, /) -> t.SendTaskSuccessOutput: ...

    async def start_execution(self, request: t.StartExecutionInput, /) -> t.StartExecutionOutput: ...

    async def start_sync_execution(self, request: t.StartSyncExecutionInput, /) -> t.StartSyncExecutionOutput: ...

    async def stop_execution(self, request: t.StopExecutionInput, /) -> t.StopExecutionOutput: ...

    async def tag_resource(self, request: t.TagResourceInput, /) -> t.TagResourceOutput: ...

    async def test_state(self, request: t.TestStateInput, /) -> t.TestStateOutput: ...

    async def untag_resource(self, request: t.UntagResourceInput, /) -> t.UntagResourceOutput: ...

    async def update_map_run(self, request: t.UpdateMapRunInput, /) -> t.UpdateMapRunOutput: ...

    async def update_state_machine(self, request: t.UpdateStateMachineInput, /) -> t.UpdateStateMachineOutput: ...

    async def update_state_machine_alias(
        self, request: t.UpdateStateMachineAliasInput, /
    ) -> t.UpdateStateMachineAliasOutput: ...

    async def validate_state_machine_definition(
        self, request: t.ValidateStateMachineDefinitionInput, /
    ) -> t.ValidateStateMachineDefinitionOutput: ...


OPERATIONS: dict[str, tuple[str, type, type]] = {
    "CreateActivity": ("create_activity", t.CreateActivityInput, t.CreateActivityOutput),
    "CreateStateMachine": ("create_state_machine", t.CreateStateMachineInput, t.CreateStateMachineOutput),
    "CreateStateMachineAlias": (
        "create_state_machine_alias",
        t.CreateStateMachineAliasInput,
        t.CreateStateMachineAliasOutput,
    ),
    "DeleteActivity": ("delete_activity", t.DeleteActivityInput, t.DeleteActivityOutput),
    "DeleteStateMachine": ("delete_state_machine", t.DeleteStateMachineInput, t.DeleteStateMachineOutput),
    "DeleteStateMachineAlias": (
        "delete_state_machine_alias",
        t.DeleteStateMachineAliasInput,
        t.DeleteStateMachineAliasOutput,
    ),
    "DeleteStateMachineVersion": (
        "delete_state_machine_version",
        t.DeleteStateMachineVersionInput,
        t.DeleteStateMachineVersionOutput,
    ),
    "DescribeActivity": ("describe_activity", t.DescribeActivityInput, t.DescribeActivityOutput),
    "DescribeExecution": ("describe_execution", t.DescribeExecutionInput, t.DescribeExecutionOutput),
    "DescribeMapRun": ("describe_map_run", t.DescribeMapRunInput, t.DescribeMapRunOutput),
    "DescribeStateMachine": ("describe_state_machine", t.DescribeStateMachineInput, t.DescribeStateMachineOutput),
    "DescribeStateMachineAlias": (
        "describe_state_machine_alias",
        t.DescribeStateMachineAliasInput,
        t.DescribeStateMachineAliasOutput,
    ),
    "DescribeStateMachineForExecution": (
        "describe_state_machine_for_execution",
        t.DescribeStateMachineForExecutionInput,
        t.DescribeStateMachineForExecutionOutput,
    ),
    "GetActivityTask": ("get_activity_task", t.GetActivityTaskInput, t.GetActivityTaskOutput),
    "GetExecutionHistory": ("get_execution_history", t.GetExecutionHistoryInput, t.GetExecutionHistoryOutput),
    "ListActivities": ("list_activities", t.ListActivitiesInput, t.ListActivitiesOutput),
    "ListExecutions": ("list_executions", t.ListExecutionsInput, t.ListExecutionsOutput),
    "ListMapRuns": ("list_map_runs", t.ListMapRunsInput, t.ListMapRunsOutput),
    "ListStateMachineAliases": (
        "list_state_machine_aliases",
        t.ListStateMachineAliasesInput,
        t.ListStateMachineAliasesOutput,
    ),
    "ListStateMachineVersions": (
        "list_state_machine_versions",
        t.ListStateMachineVersionsInput,
        t.ListStateMachineVersionsOutput,
    ),
    "ListStateMachines": ("list_state_machines", t.ListStateMachinesInput, t.ListStateMachinesOutput),
    "ListTagsForResource": ("list_tags_for_resource", t.ListTagsForResourceInput, t.ListTagsForResourceOutput),
    "PublishStateMachineVersion": (
        "publish_state_machine_version",
        t.PublishStateMachineVersionInput,
        t.PublishStateMachineVersionOutput,
    ),
    "RedriveExecution": ("redrive_execution", t.RedriveExecutionInput, t.RedriveExecutionOutput),
    "SendTaskFailure": ("send_task_failure", t.SendTaskFailureInput, t.SendTaskFailureOutput),
    "SendTaskHeartbeat": ("send_task_heartbeat", t.SendTaskHeartbeatInput, t.SendTaskHeartbeatOutput),
    "SendTaskSuccess": ("send_task_success", t.SendTaskSuccessInput, t.SendTaskSuccessOutput),
    "StartExecution": ("start_execution", t.StartExecutionInput, t.StartExecutionOutput),
    "StartSyncExecution": ("start_sync_execution", t.StartSyncExecutionInput, t.StartSyncExecutionOutput),
    "StopExecution": ("stop_execution", t.StopExecutionInput, t.StopExecutionOutput),
    "TagResource": ("tag_resource", t.TagResourceInput, t.TagResourceOutput),
    "TestState": ("test_state", t.TestStateInput, t.TestStateOutput),
    "UntagResource": ("untag_resource", t.UntagResourceInput, t.UntagResourceOutput),
    "UpdateMapRun": ("update_map_run", t.UpdateMapRunInput, t.UpdateMapRunOutput),
    "UpdateStateMachine": ("update_state_machine", t.UpdateStateMachineInput, t.UpdateStateMachineOutput),
    "UpdateStateMachineAlias": (
        "update_state_machine_alias",
        t.UpdateStateMachineAliasInput,
        t.UpdateStateMachineAliasOutput,
    ),
    "ValidateStateMachineDefinition": (
        "validate_state_machine_definition",
        t.ValidateStateMachineDefinitionInput,
        t.ValidateStateMachineDefinitionOutput,
    ),
}
"""Operation -> method of the Protocol, type of its request, type of its result."""
