"""The seam over AWS: the Step Functions API called with boto3.

boto3 blocks, so its calls run in two bounded pools of threads: long polls of GetActivityTask, each of which holds its thread for
up to a minute, never keep other calls waiting. Its errors become those of errors.py, its datetimes seconds since the epoch,
its history events HistoryEvents.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any, Self, TypeVar

import boto3
import msgspec
from botocore import exceptions
from botocore.config import Config

from workflow_manager.stepfunctions import errors
from workflow_manager.stepfunctions import types as t
from workflow_manager.stepfunctions.history import DETAILS, HistoryEvent
from workflow_manager.stepfunctions.protocol import OPERATIONS

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient

Request = TypeVar("Request")
Result = TypeVar("Result")

POLL_READ_TIMEOUT_SECONDS = 70
"""GetActivityTask answers within 60 seconds (API reference); "set your client side socket timeout to at least 65"."""


def _operation(
    name: str, request_type: type[Request], result_type: type[Result]
) -> Callable[[AwsStepFunctions, Request], Coroutine[Any, Any, Result]]:
    """A method of AwsStepFunctions: the operation ``name`` of the API."""
    method, *types = OPERATIONS[name]
    assert types == [request_type, result_type]

    async def call(self: AwsStepFunctions, request: Request, /) -> Result:
        pool = self._polls if name == "GetActivityTask" else self._calls
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(pool, _call, getattr(self._client, method), request, result_type)

    call.__name__ = method
    return call


class AwsStepFunctions:
    """Calls the Step Functions API of AWS, or of whatever ``endpoint_url`` names.

    ``region`` and ``profile`` default to the AWS default chain. At most ``threads`` calls and ``polls`` polls of
    activities run at a time; further ones wait. Use as an async context manager, or close.
    """

    def __init__(
        self,
        *,
        region: str | None = None,
        endpoint_url: str | None = None,
        profile: str | None = None,
        threads: int = 16,
        polls: int = 64,
        session: boto3.Session | None = None,
    ) -> None:
        session = session or boto3.Session(profile_name=profile, region_name=region)
        config = Config(
            # the endpoint of a test or of this product has no second host name for synchronous executions
            inject_host_prefix=False if endpoint_url else None,
            max_pool_connections=threads + polls,
            parameter_validation=False,  # the service's own words serve callers better, and are the same everywhere
            read_timeout=POLL_READ_TIMEOUT_SECONDS,
            retries={"mode": "standard"},
        )
        self._client: SFNClient = session.client("stepfunctions", endpoint_url=endpoint_url, config=config)
        self._calls = ThreadPoolExecutor(threads, "stepfunctions")
        self._polls = ThreadPoolExecutor(polls, "stepfunctions-poll")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Wait for running calls, and drop those that have not begun; polls are cut off with their connections."""
        self._polls.shutdown(wait=False, cancel_futures=True)
        await asyncio.to_thread(self._calls.shutdown, cancel_futures=True)
        self._client.close()

    create_activity = _operation("CreateActivity", t.CreateActivityInput, t.CreateActivityOutput)
    create_state_machine = _operation("CreateStateMachine", t.CreateStateMachineInput, t.CreateStateMachineOutput)
    create_state_machine_alias = _operation(
        "CreateStateMachineAlias", t.CreateStateMachineAliasInput, t.CreateStateMachineAliasOutput
    )
    delete_activity = _operation("DeleteActivity", t.DeleteActivityInput, t.DeleteActivityOutput)
    delete_state_machine = _operation("DeleteStateMachine", t.DeleteStateMachineInput, t.DeleteStateMachineOutput)
    delete_state_machine_alias = _operation(
        "DeleteStateMachineAlias", t.DeleteStateMachineAliasInput, t.DeleteStateMachineAliasOutput
    )
    delete_state_machine_version = _operation(
        "DeleteStateMachineVersion", t.DeleteStateMachineVersionInput, t.DeleteStateMachineVersionOutput
    )
    describe_activity = _operation("DescribeActivity", t.DescribeActivityInput, t.DescribeActivityOutput)
    describe_execution = _operation("DescribeExecution", t.DescribeExecutionInput, t.DescribeExecutionOutput)
    describe_map_run = _operation("DescribeMapRun", t.DescribeMapRunInput, t.DescribeMapRunOutput)
    describe_state_machine = _operation(
        "DescribeStateMachine", t.DescribeStateMachineInput, t.DescribeStateMachineOutput
    )
    describe_state_machine_alias = _operation(
        "DescribeStateMachineAlias", t.DescribeStateMachineAliasInput, t.DescribeStateMachineAliasOutput
    )
    describe_state_machine_for_execution = _operation(
        "DescribeStateMachineForExecution",
        t.DescribeStateMachineForExecutionInput,
        t.DescribeStateMachineForExecutionOutput,
    )
    get_activity_task = _operation("GetActivityTask", t.GetActivityTaskInput, t.GetActivityTaskOutput)
    get_execution_history = _operation("GetExecutionHistory", t.GetExecutionHistoryInput, t.GetExecutionHistoryOutput)
    list_activities = _operation("ListActivities", t.ListActivitiesInput, t.ListActivitiesOutput)
    list_executions = _operation("ListExecutions", t.ListExecutionsInput, t.ListExecutionsOutput)
    list_map_runs = _operation("ListMapRuns", t.ListMapRunsInput, t.ListMapRunsOutput)
    list_state_machine_aliases = _operation(
        "ListStateMachineAliases", t.ListStateMachineAliasesInput, t.ListStateMachineAliasesOutput
    )
    list_state_machine_versions = _operation(
        "ListStateMachineVersions", t.ListStateMachineVersionsInput, t.ListStateMachineVersionsOutput
    )
    list_state_machines = _operation("ListStateMachines", t.ListStateMachinesInput, t.ListStateMachinesOutput)
    list_tags_for_resource = _operation("ListTagsForResource", t.ListTagsForResourceInput, t.ListTagsForResourceOutput)
    publish_state_machine_version = _operation(
        "PublishStateMachineVersion", t.PublishStateMachineVersionInput, t.PublishStateMachineVersionOutput
    )
    redrive_execution = _operation("RedriveExecution", t.RedriveExecutionInput, t.RedriveExecutionOutput)
    send_task_failure = _operation("SendTaskFailure", t.SendTaskFailureInput, t.SendTaskFailureOutput)
    send_task_heartbeat = _operation("SendTaskHeartbeat", t.SendTaskHeartbeatInput, t.SendTaskHeartbeatOutput)
    send_task_success = _operation("SendTaskSuccess", t.SendTaskSuccessInput, t.SendTaskSuccessOutput)
    start_execution = _operation("StartExecution", t.StartExecutionInput, t.StartExecutionOutput)
    start_sync_execution = _operation("StartSyncExecution", t.StartSyncExecutionInput, t.StartSyncExecutionOutput)
    stop_execution = _operation("StopExecution", t.StopExecutionInput, t.StopExecutionOutput)
    tag_resource = _operation("TagResource", t.TagResourceInput, t.TagResourceOutput)
    test_state = _operation("TestState", t.TestStateInput, t.TestStateOutput)
    untag_resource = _operation("UntagResource", t.UntagResourceInput, t.UntagResourceOutput)
    update_map_run = _operation("UpdateMapRun", t.UpdateMapRunInput, t.UpdateMapRunOutput)
    update_state_machine = _operation("UpdateStateMachine", t.UpdateStateMachineInput, t.UpdateStateMachineOutput)
    update_state_machine_alias = _operation(
        "UpdateStateMachineAlias", t.UpdateStateMachineAliasInput, t.UpdateStateMachineAliasOutput
    )
    validate_state_machine_definition = _operation(
        "ValidateStateMachineDefinition", t.ValidateStateMachineDefinitionInput, t.ValidateStateMachineDefinitionOutput
    )


def _call(method: Callable[..., dict[str, Any]], request: Any, result_type: type[Result]) -> Result:
    """One blocking call. Raises the errors of errors.py."""
    try:
        response = method(**msgspec.to_builtins(request))
    except exceptions.ClientError as error:
        raise _client_error(error) from error
    except (exceptions.NoCredentialsError, exceptions.PartialCredentialsError) as error:
        raise errors.AccessDeniedException(
            f"{error}; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY or configure a profile"
        ) from error
    except exceptions.BotoCoreError as error:  # no connection, no answer in time, or one that is not AWS's
        raise errors.ServiceUnavailable(f"Step Functions could not be reached: {error}") from error
    response.pop("ResponseMetadata", None)
    return msgspec.convert(_plain(response), result_type)


def _client_error(error: exceptions.ClientError) -> errors.StepFunctionsError:
    """Ours for AWS's. What is not the caller's fault becomes ServiceUnavailable: it is worth another try."""
    answer = error.response
    code, message = answer.get("Error", {}).get("Code", ""), answer.get("Error", {}).get("Message", "")
    if answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 400) >= 500:
        return errors.ServiceUnavailable(message or str(error))
    members = {
        member: value
        for member, value in answer.items()
        if member not in ("Error", "ResponseMetadata", "message", "Message")
    }
    return (errors.BY_CODE.get(code) or _unlisted(code))(message, **members)


@cache
def _unlisted(code: str) -> type[errors.StepFunctionsError]:
    """The kind of an error that the service model does not list, such as ExpiredTokenException."""
    return type(code or "UnknownError", (errors.StepFunctionsError,), {"code": code or "UnknownError"})


def _plain(value: Any) -> Any:
    """What boto3 answers, in the seam's terms."""
    match value:
        case datetime():
            return value.timestamp()
        case {"type": str(), "id": int(), "timestamp": datetime()}:
            return _event(value)
        case dict():
            return {key: _plain(member) for key, member in value.items()}
        case list():
            return [_plain(element) for element in value]
        case _:
            return value


def _event(event: dict[str, Any]) -> HistoryEvent:
    return HistoryEvent(
        event["id"],
        event.get("previousEventId", 0),
        event["timestamp"].timestamp(),
        event["type"],
        _plain(event.get(DETAILS[event["type"]])),
    )
