"""The seam over AWS: the Step Functions API called with boto3.

boto3 blocks, so its calls run in threads (threads.py). Operations that hold their thread for long, polls of activities above
all, have threads of their own and never keep other calls waiting. boto3's errors become those of errors.py (awserrors.py);
answers are decoded straight into the seam's types, as botocore's own parser takes long.

A client that is throttled slows all its calls down (botocore's adaptive retries), while AWS has a rate for each operation. So
there is a client for each kind of call: when reading is throttled, or making state machines, starting goes on.
"""

from __future__ import annotations

import asyncio
import importlib.metadata
import os
import threading
import time
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Literal, Self, TypeAlias, TypeVar

import boto3
import botocore
import msgspec
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from workflow_manager.deadline import end_in_time
from workflow_manager.metrics import Calls
from workflow_manager.sender import send_leanly
from workflow_manager.stepfunctions import errors
from workflow_manager.stepfunctions import types as t
from workflow_manager.stepfunctions.awsanswers import decoder
from workflow_manager.stepfunctions.awserrors import attempt_may_have_been_carried_out, translated
from workflow_manager.stepfunctions.protocol import OPERATIONS
from workflow_manager.threads import NoThread, Threads

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient

Request = TypeVar("Request")
Result = TypeVar("Result")

THREADS = 32
QUEUE = 1000
POLLS = 64

LONG_READ_SECONDS = {"GetActivityTask": 70, "StartSyncExecution": 310}
"""Operations that hold their thread -> how long they may be silent: polls end after 60 seconds ("set your client side socket
timeout to at least 65", API reference), synchronous executions after 5 minutes."""

APPLICATION = "workflow-manager"
"""Value of the tag ``application`` of state machines whose definitions never change."""
REMEMBERED = 1_000
"""How many of them are known."""

Kind: TypeAlias = Literal["act", "read", "make", "long"]

CONNECT_SECONDS = 3
READ_SECONDS = 3
"""Silence after which a call is tried again: early enough that a request of five seconds sees the second try succeed."""
ATTEMPTS = 4
"""How often a call is tried when it is throttled, breaks off or is answered a 5xx; botocore pauses longer every time."""
USER_AGENT = f"workflow-manager/{importlib.metadata.version('workflow-manager')} Botocore/{botocore.__version__}"
"""botocore would put one together for every call, twice, which takes a sixth of the call's time."""


def kind_of(operation: str) -> Kind:
    """Of the API's operations: those on executions and tasks act, and the others read or make what they act on."""
    if operation in LONG_READ_SECONDS:
        return "long"
    if operation.startswith(("Describe", "Get", "List", "Validate", "TestState")):
        return "read"
    if operation.startswith(("Create", "Delete", "Publish", "Tag", "Untag", "Update")):
        return "make"
    return "act"


def _operation(
    name: str, request_type: type[Request], result_type: type[Result]
) -> Callable[[AwsStepFunctions, Request], Coroutine[Any, Any, Result]]:
    """A method of AwsStepFunctions: the operation ``name`` of the API."""
    method, *types = OPERATIONS[name]
    assert types == [request_type, result_type]
    decode = decoder(name, result_type)

    kind = kind_of(name)

    async def call(self: AwsStepFunctions, request: Request, /) -> Result:
        function = getattr(self._client(kind), method)

        def blocking() -> Result:
            return self._call(name, function, request, decode)

        try:
            return await (self._long_calls if kind == "long" else self._calls).run(blocking)
        except NoThread as refusal:
            if self._counted is not None:
                self._counted.refused()
            raise errors.NotSent(
                f"{name} was not sent to Step Functions: {refusal}; try again in a moment, and give the server more "
                "threads if this goes on"
            ) from None

    call.__name__ = method
    return call


class AwsStepFunctions:
    """Calls the Step Functions API of AWS, or of whatever ``endpoint_url`` (else botocore's variables) names.

    ``region`` and ``profile`` default to the AWS default chain. At most ``threads`` calls run at a time and ``queue`` more
    wait; ``polls`` is how many long calls (polls of activities, synchronous executions) run, with as many waiting. Calls
    are told to ``counted``, if given. Use as an async context manager, or close.
    """

    def __init__(
        self,
        *,
        region: str | None = None,
        endpoint_url: str | None = None,
        profile: str | None = None,
        threads: int = THREADS,
        queue: int = QUEUE,
        polls: int = POLLS,
        session: boto3.Session | None = None,
        counted: Calls | None = None,
    ) -> None:
        self._session = session or boto3.Session(
            profile_name=profile, region_name=region or os.environ.get("AWS_REGION")
        )
        self._endpoint_url = endpoint_url
        self._counted = counted
        self._attempts = threading.local()  # of the call that a thread is carrying out
        self._connections = {"long": polls, "act": threads, "read": threads, "make": threads}
        self._clients: dict[Kind, SFNClient] = {}
        self._immutable: dict[str, t.DescribeStateMachineOutput | None] = {}  # ARN -> what it is, once that was asked
        self._calls = Threads(threads, queue, "stepfunctions")
        self._long_calls = Threads(polls, polls, "stepfunctions-long")
        self._client("act")  # what is wrong with the configuration is told now
        if counted is not None:
            counted.watch(lambda: self._calls.inside)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Wait for running calls, and refuse those that have not begun; long ones are cut off with their connections."""
        self._long_calls.shutdown(wait=False)
        if "long" in self._clients:
            self._clients["long"].close()
        await asyncio.to_thread(self._calls.shutdown, wait=True)
        for client in self._clients.values():
            client.close()

    def _client(self, kind: Kind) -> SFNClient:
        """The client for one kind of call, made when it is needed: most servers poll for nobody."""
        client = self._clients.get(kind)
        if client is None:
            client = self._clients[kind] = self._new_client(kind)
        return client

    def _new_client(self, kind: Kind) -> SFNClient:
        read_seconds = max(LONG_READ_SECONDS.values()) if kind == "long" else READ_SECONDS
        config = Config(
            connect_timeout=CONNECT_SECONDS,
            read_timeout=read_seconds,
            max_pool_connections=self._connections[kind],
            parameter_validation=False,  # the service's own words serve callers better, and are the same everywhere
            retries={"mode": "adaptive", "total_max_attempts": ATTEMPTS},
            tcp_keepalive=True,
            user_agent=USER_AGENT,
        )
        # no other endpoint than AWS's has a second host name (sync-...) for operations that answer with an outcome
        elsewhere = config.merge(Config(inject_host_prefix=False))
        known = self._endpoint_url is not None and not _is_aws(self._endpoint_url)
        client: SFNClient = self._session.client(
            "stepfunctions", endpoint_url=self._endpoint_url, config=elsewhere if known else config
        )
        if not known and not _is_aws(client.meta.endpoint_url):  # botocore's variables and files name it
            client.close()
            self._endpoint_url = client.meta.endpoint_url
            client = self._session.client("stepfunctions", endpoint_url=self._endpoint_url, config=elsewhere)
        send_leanly(
            client,
            connect_seconds=CONNECT_SECONDS,
            read_seconds=read_seconds,
            connections=self._connections[kind],
        )
        end_in_time(client, attempts=ATTEMPTS)
        events = client.meta.events
        events.register("before-parse.sfn", _leave_body_alone)
        events.register("response-received.sfn", self._attempt_ended)
        return client

    def _attempt_ended(self, response_dict: dict[str, Any] | None, exception: Exception | None, **_: object) -> None:
        """Hear from botocore of every attempt of a call, in the call's thread."""
        self._attempts.made += 1
        status = None if response_dict is None else response_dict["status_code"]
        if attempt_may_have_been_carried_out(status, exception):
            self._attempts.unknown = True

    def _call(
        self,
        name: str,
        method: Callable[..., dict[str, Any]],
        request: Any,
        decode: Callable[[bytes], Result],
    ) -> Result:
        """One blocking call. Raises the errors of errors.py."""
        attempts = self._attempts
        attempts.made, attempts.unknown = 0, False
        outcome, began = "ok", time.perf_counter()
        try:
            return decode(method(**msgspec.to_builtins(request))[BODY])
        except (ClientError, BotoCoreError, msgspec.MsgspecError) as error:
            ours = translated(name, error)
            ours.outcome_unknown = ours.outcome_unknown or attempts.unknown
            outcome = ours.code
            raise ours from error
        finally:
            if self._counted is not None:
                self._counted.ended(name, outcome, time.perf_counter() - began, attempts=attempts.made)

    async def create_state_machine(self, request: t.CreateStateMachineInput, /) -> t.CreateStateMachineOutput:
        answer = await self._create_state_machine(request)
        if any(tag.key == "application" and tag.value == APPLICATION for tag in request.tags or ()):
            if len(self._immutable) >= REMEMBERED:
                self._immutable.pop(next(iter(self._immutable)))
            self._immutable[answer.state_machine_arn] = None
        return answer

    async def describe_state_machine(self, request: t.DescribeStateMachineInput, /) -> t.DescribeStateMachineOutput:
        """Asked once for a state machine that was made here for workflow-manager: nobody changes its definition."""
        arn = request.state_machine_arn
        known = self._immutable.get(arn)
        if known is not None and request.included_data is None:
            return known
        answer = await self._describe_state_machine(request)
        if arn in self._immutable and request.included_data is None:
            self._immutable[arn] = answer
        return answer

    async def update_state_machine(self, request: t.UpdateStateMachineInput, /) -> t.UpdateStateMachineOutput:
        self._immutable.pop(request.state_machine_arn, None)
        return await self._update_state_machine(request)

    async def delete_state_machine(self, request: t.DeleteStateMachineInput, /) -> t.DeleteStateMachineOutput:
        self._immutable.pop(request.state_machine_arn, None)
        return await self._delete_state_machine(request)

    _create_state_machine = _operation("CreateStateMachine", t.CreateStateMachineInput, t.CreateStateMachineOutput)
    _describe_state_machine = _operation(
        "DescribeStateMachine", t.DescribeStateMachineInput, t.DescribeStateMachineOutput
    )
    _update_state_machine = _operation("UpdateStateMachine", t.UpdateStateMachineInput, t.UpdateStateMachineOutput)
    _delete_state_machine = _operation("DeleteStateMachine", t.DeleteStateMachineInput, t.DeleteStateMachineOutput)

    create_activity = _operation("CreateActivity", t.CreateActivityInput, t.CreateActivityOutput)
    create_state_machine_alias = _operation(
        "CreateStateMachineAlias", t.CreateStateMachineAliasInput, t.CreateStateMachineAliasOutput
    )
    delete_activity = _operation("DeleteActivity", t.DeleteActivityInput, t.DeleteActivityOutput)
    delete_state_machine_alias = _operation(
        "DeleteStateMachineAlias", t.DeleteStateMachineAliasInput, t.DeleteStateMachineAliasOutput
    )
    delete_state_machine_version = _operation(
        "DeleteStateMachineVersion", t.DeleteStateMachineVersionInput, t.DeleteStateMachineVersionOutput
    )
    describe_activity = _operation("DescribeActivity", t.DescribeActivityInput, t.DescribeActivityOutput)
    describe_execution = _operation("DescribeExecution", t.DescribeExecutionInput, t.DescribeExecutionOutput)
    describe_map_run = _operation("DescribeMapRun", t.DescribeMapRunInput, t.DescribeMapRunOutput)
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
    update_state_machine_alias = _operation(
        "UpdateStateMachineAlias", t.UpdateStateMachineAliasInput, t.UpdateStateMachineAliasOutput
    )
    validate_state_machine_definition = _operation(
        "ValidateStateMachineDefinition", t.ValidateStateMachineDefinitionInput, t.ValidateStateMachineDefinitionOutput
    )


BODY = "body"
"""Where an answer's body is kept for the seam's own decoder."""


def _leave_body_alone(response_dict: dict[str, Any], customized_response_dict: dict[str, Any], **_: object) -> None:
    """Hand botocore's parser an empty answer, and the body around it; errors are left to botocore."""
    if response_dict["status_code"] < 300:
        customized_response_dict[BODY] = response_dict["body"]
        response_dict["body"] = b"{}"


def _is_aws(endpoint_url: str) -> bool:
    host = endpoint_url.partition("://")[2].partition("/")[0].partition(":")[0]
    return host.endswith((".amazonaws.com", ".amazonaws.com.cn", ".api.aws"))
