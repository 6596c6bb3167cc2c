"""The optimised integrations: their parameters, errors, results and jobs, as tables over one class.

They differ from SDK integrations in what they take (objects where the service wants JSON text), in what they answer (the
HTTP headers and the request id beside the result), in the names of errors (AWS SDK for Java 1), and in ``.sync``.
Source: SFN developer guide, "Integrating optimized services with Step Functions".
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import socket
import uuid
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any
from urllib.parse import urlsplit

import msgspec

from workflow_manager.engine.tasks.integrations import Integration, IntegrationCall, IntegrationFailed
from workflow_manager.integrations import emulators, shapes
from workflow_manager.integrations.aws import Answer, Aws
from workflow_manager.integrations.jobs import JOBS
from workflow_manager.integrations.refusals import Refused, Unreachable
from workflow_manager.integrations.sdk import (
    checked_request,
    checks_members,
    encoded,
    error_name,
    null_member,
    unstartable,
)

THROTTLED = {
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
    "RequestLimitExceeded",
    "RequestThrottled",
}


@dataclass(frozen=True, slots=True)
class Service:
    """One service: ``client`` is botocore's name for it, ``prefix`` that of its errors, ``sdk`` what causes call it.

    ``unnamed``: the error of a code that the service's model does not have. ``texts``: action -> parameters that may be
    any JSON value and are sent as text (``Entries/Detail``: in each member of a list).
    """

    client: str
    prefix: str
    sdk: str
    actions: tuple[str, ...]
    unnamed: str = ""
    texts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    operations: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """Actions that call another operation than their own name says, or another client: action -> (client, operation)."""

    @property
    def unnamed_error(self) -> str:
        return self.unnamed or f"{self.sdk}Exception"


@dataclass(frozen=True, slots=True)
class Named:
    """How something is found by its name: the parameter that has it, the operation that lists its kind, and where."""

    what: str
    within: str
    parameter: str
    operation: str
    member: str


SERVICES: dict[str, Service] = {
    "athena": Service(
        "athena",
        "Athena",
        "AmazonAthena",
        ("startQueryExecution", "stopQueryExecution", "getQueryExecution", "getQueryResults"),
    ),
    "batch": Service("batch", "Batch", "AWSBatch", ("submitJob",)),
    "bedrock": Service(
        "bedrock",
        "Bedrock",
        "AmazonBedrock",
        ("createModelCustomizationJob", "invokeModel"),
        texts={"invokeModel": ("Body",)},
        operations={"invokeModel": ("bedrock-runtime", "InvokeModel")},
    ),
    "codebuild": Service(
        "codebuild",
        "CodeBuild",
        "AWSCodeBuild",
        (
            "startBuild",
            "stopBuild",
            "batchDeleteBuilds",
            "batchGetReports",
            "startBuildBatch",
            "stopBuildBatch",
            "retryBuildBatch",
            "deleteBuildBatch",
        ),
    ),
    "databrew": Service("databrew", "DataBrew", "AWSGlueDataBrew", ("startJobRun",)),
    "dynamodb": Service(
        "dynamodb",
        "DynamoDB",
        "AmazonDynamoDBv2",
        ("getItem", "putItem", "deleteItem", "updateItem"),
        unnamed="AmazonDynamoDBException",
    ),
    "ecs": Service("ecs", "ECS", "AmazonECS", ("runTask",)),
    "eks": Service(
        "eks",
        "EKS",
        "AmazonEKS",
        (
            "createCluster",
            "deleteCluster",
            "createNodegroup",
            "deleteNodegroup",
            "createAddon",
            "deleteAddon",
            "createFargateProfile",
            "deleteFargateProfile",
        ),
    ),
    "elasticmapreduce": Service(
        "emr",
        "ElasticMapReduce",
        "AmazonElasticMapReduce",
        (
            "createCluster",
            "terminateCluster",
            "addStep",
            "cancelStep",
            "setClusterTerminationProtection",
            "modifyInstanceFleetByName",
            "modifyInstanceGroupByName",
        ),
        operations={
            "createCluster": ("emr", "RunJobFlow"),
            "terminateCluster": ("emr", "TerminateJobFlows"),
            "addStep": ("emr", "AddJobFlowSteps"),
            "cancelStep": ("emr", "CancelSteps"),
            "setClusterTerminationProtection": ("emr", "SetTerminationProtection"),
            "modifyInstanceFleetByName": ("emr", "ModifyInstanceFleet"),
            "modifyInstanceGroupByName": ("emr", "ModifyInstanceGroups"),
        },
    ),
    "emr-containers": Service(
        "emr-containers",
        "EMRContainers",
        "AmazonEMRContainers",
        ("createVirtualCluster", "deleteVirtualCluster", "startJobRun"),
    ),
    "emr-serverless": Service(
        "emr-serverless",
        "EMRServerless",
        "AWSEMRServerless",
        (
            "createApplication",
            "startApplication",
            "stopApplication",
            "deleteApplication",
            "startJobRun",
            "cancelJobRun",
        ),
    ),
    "events": Service(
        "events", "EventBridge", "AmazonEventBridge", ("putEvents",), texts={"putEvents": ("Entries/Detail",)}
    ),
    "glue": Service("glue", "Glue", "AWSGlue", ("startJobRun",)),
    "mediaconvert": Service("mediaconvert", "MediaConvert", "AWSMediaConvert", ("createJob",)),
    "sagemaker": Service(
        "sagemaker",
        "SageMaker",
        "AmazonSageMaker",
        (
            "createTrainingJob",
            "createTransformJob",
            "createHyperParameterTuningJob",
            "createLabelingJob",
            "createProcessingJob",
            "createAutoMLJob",
            "createEndpoint",
            "createEndpointConfig",
            "createModel",
            "updateEndpoint",
            "addTags",
        ),
    ),
    "sns": Service("sns", "SNS", "AmazonSNS", ("publish",), texts={"publish": ("Message",)}),
    "sqs": Service("sqs", "SQS", "AmazonSQS", ("sendMessage",), texts={"sendMessage": ("MessageBody",)}),
}
"""Service, as Resources spell it -> what there is to know of it. lambda, http, apigateway and states have their own modules."""


def optimised_services(aws: Aws) -> dict[str, Integration]:
    """The integrations of all services that may be called."""
    return {name: Optimised(aws, name, each) for name, each in SERVICES.items() if aws.may_call(each.client)}


class Optimised:
    """One service."""

    def __init__(self, aws: Aws, name: str, service: Service) -> None:
        self._aws = aws
        self._name = name
        self._service = service
        jobs = {f"{action}.sync" for action in service.actions if f"{name}:{action}" in JOBS}
        self.actions: Collection[str] = frozenset(service.actions) | jobs

    async def invoke(self, call: IntegrationCall, /) -> str:
        service = self._service
        client, operation_name = service.operations.get(call.action, (service.client, ""))
        model = await self._aws.model(client)
        name = operation_name or call.action[:1].upper() + call.action[1:]
        operation = model.operation_model(name)
        arguments = self._arguments(call)
        named = NAMED.get(f"{self._name}:{call.action}")
        if named is not None:
            arguments["Id"] = await self._id_of(named, arguments, call, model)
        before = REQUESTS.get(f"{self._name}:{call.action}")
        if before is not None:
            arguments = before(arguments)
        request = checked_request(operation.input_shape, msgspec.structs.replace(call, arguments=json.dumps(arguments)))
        if request.lacking and checks_members(model):
            raise self._failed(
                Refused("ValidationException", null_member(request.lacking), 400, str(uuid.uuid4())), model
            )
        if self._name == "sqs":
            await self._look_up(arguments.get("QueueUrl"))
        try:
            answer = await self._call(client, name, request.parameters, call)
        except Refused as refused:
            raise self._failed(refused, model) from None
        except Unreachable as unreachable:
            raise IntegrationFailed(f"{service.prefix}.SdkClientException", unreachable.message) from None
        result = shapes.result(operation.output_shape, answer.members, shapes.milliseconds) or {}
        if result.get("FailedEntryCount"):  # of PutEvents
            raise IntegrationFailed(f"{service.prefix}.FailedEntry", encoded(result))
        after = RESULTS.get(f"{self._name}:{call.action}")
        if after is not None:
            result = after(result)
        return encoded(result | sdk_metadata(HEADERS.get(f"{self._name}:{call.action}", self._name), answer, result))

    async def _id_of(self, named: Named, arguments: dict[str, Any], call: IntegrationCall, model: Any) -> str:
        """The id of what the arguments name, of which the service knows only ids. Raises IntegrationFailed."""
        lacking = [name for name in (named.within, named.parameter) if not isinstance(arguments.get(name), str)]
        if lacking:
            raise unstartable(call, [f"The field '{name}' is required but was missing" for name in lacking])
        wanted, asked = arguments[named.parameter], {named.within: arguments[named.within]}
        marker: dict[str, Any] = {}
        try:
            while True:
                answer = await self._call(self._service.client, named.operation, asked | marker, call)
                for each in answer.members.get(named.member, ()):
                    if each.get("Name") == wanted:
                        return str(each["Id"])
                if not answer.members.get("Marker"):
                    break
                marker = {"Marker": answer.members["Marker"]}
        except Refused as refused:
            raise self._failed(refused, model) from None
        except Unreachable as unreachable:
            raise IntegrationFailed(f"{self._service.prefix}.SdkClientException", unreachable.message) from None
        raise IntegrationFailed(
            f"{self._service.prefix}.{self._service.unnamed_error}",
            f"There is no {named.what} named '{wanted}' in the cluster {asked[named.within]}",
        )

    async def _call(self, client: str, operation: str, parameters: dict[str, Any], call: IntegrationCall) -> Answer:
        """Raises Refused, Unreachable."""

        async def send(sent: dict[str, Any]) -> Answer:
            return await self._aws.call(
                client, operation, sent, role_arn=call.role_arn, session_name=call.execution_arn[-64:]
            )

        entries = parameters.get("Entries")
        if operation != "PutEvents" or not isinstance(entries, list) or not self._aws.emulated(client):
            return await send(parameters)
        bad = [emulators.malformed(entry) for entry in entries]
        good = [entry for entry, malformed in zip(entries, bad, strict=True) if not malformed]
        answer = await send({**parameters, "Entries": good}) if good else Answer({}, {}, 200, "", genuine=False)
        told = iter(answer.members.get("Entries", []))
        members = {
            "FailedEntryCount": answer.members.get("FailedEntryCount", 0) + sum(bad),
            "Entries": [emulators.MALFORMED if malformed else next(told, {}) for malformed in bad],
        }
        return dataclasses.replace(answer, members=members)

    def _arguments(self, call: IntegrationCall) -> dict[str, Any]:
        """The Task's arguments, with what the service takes as text made text. Raises IntegrationFailed."""
        arguments = msgspec.json.decode(call.arguments)
        if not isinstance(arguments, dict):
            raise unstartable(call, ["The Parameters must be an object"])
        for path in self._service.texts.get(call.action, ()):
            _make_text(arguments, path.split("/"))
        if self._name == "events":
            entries = arguments.get("Entries")
            for entry in entries if isinstance(entries, list) else ():
                if isinstance(entry, dict):
                    given = entry.get("Resources")
                    own = [call.state_machine_arn, call.execution_arn]  # AWS adds them, too
                    entry["Resources"] = [*given, *own] if isinstance(given, list) else own
        return arguments

    async def _look_up(self, queue_url: Any) -> None:
        """A queue's address is where its messages are sent; one that does not exist is found out as AWS does."""
        try:
            host = urlsplit(queue_url).hostname if isinstance(queue_url, str) else None
        except ValueError:  # such an address is the service's to refuse
            return
        if not host:
            return
        try:
            await asyncio.get_running_loop().getaddrinfo(host, None)
        except (socket.gaierror, UnicodeError):
            cause = f"Unable to execute HTTP request: {host}: Name or service not known"
            raise IntegrationFailed(f"{self._service.prefix}.SdkClientException", cause) from None

    def _failed(self, refused: Refused, model: Any) -> IntegrationFailed:
        name = error_name(model, refused.code) or self._service.unnamed_error
        return IntegrationFailed(f"{self._service.prefix}.{name}", cause_of(refused, self._service.sdk))

    # ------------------------------------------------------------------------------------------ jobs

    async def result(self, call: IntegrationCall, submitted: str, /) -> str | None:
        """Look at the job; its result when it went well. What a service cannot tell just now is asked again."""
        job = JOBS[f"{self._name}:{call.action}"]
        arguments, answered = msgspec.json.decode(call.arguments), msgspec.json.decode(submitted)
        model = await self._aws.model(self._service.client)
        try:
            answer = await self._aws.call(
                self._service.client,
                job.describe,
                job.parameters(arguments, answered),
                role_arn=call.role_arn,
                session_name=call.execution_arn[-64:],
            )
        except Refused as refused:
            if refused.code == job.gone:
                return encoded(job.output({}, answered))
            if refused.status >= 500 or refused.code in THROTTLED:
                return None
            raise self._failed(refused, model) from None
        except Unreachable:
            return None
        shape = model.operation_model(job.describe).output_shape
        described = shapes.result(shape, answer.members, shapes.milliseconds)
        verdict = job.verdict(described)
        if verdict is None:
            return None
        output = encoded(job.output(described, answered))
        if not verdict:
            raise IntegrationFailed("States.TaskFailed", output)
        return output

    async def cancel(self, call: IntegrationCall, submitted: str, /) -> None:
        job = JOBS[f"{self._name}:{call.action}"]
        if job.stop is not None:
            parameters = job.stop_parameters(msgspec.json.decode(call.arguments), msgspec.json.decode(submitted))
            await self._aws.call(self._service.client, job.stop, parameters, role_arn=call.role_arn)


def cause_of(refused: Refused, sdk: str) -> str:
    """An error's cause in the words of the SDK for Java 1."""
    extended = f"; S3 Extended Request ID: {refused.extended_id}" if refused.extended_id else ""
    return (
        f"{refused.message} (Service: {sdk}; Status Code: {refused.status}; Error Code: {refused.code}; "
        f"Request ID: {refused.request_id}{extended}; Proxy: null)"
    )


def _make_text(value: Any, path: list[str]) -> None:
    name, *rest = path
    if not isinstance(value, dict) or value.get(name) is None:
        return
    if not rest:
        value[name] = shapes.as_text(value[name])
    elif isinstance(value[name], list):
        for item in value[name]:
            _make_text(item, rest)


# ---------------------------------------------------------------------- parameters and results of their own


def _add_step(arguments: dict[str, Any]) -> dict[str, Any]:
    step = arguments.pop("Step", None)
    return {"JobFlowId": arguments.pop("ClusterId", None), "Steps": [step] if step is not None else None, **arguments}


def _cancel_step(arguments: dict[str, Any]) -> dict[str, Any]:
    return {"ClusterId": arguments.get("ClusterId"), "StepIds": [arguments.get("StepId")]}


def _cluster(arguments: dict[str, Any]) -> dict[str, Any]:
    return {"JobFlowIds": [arguments.get("ClusterId")]}


def _protection(arguments: dict[str, Any]) -> dict[str, Any]:
    return {
        "JobFlowIds": [arguments.get("ClusterId")],
        "TerminationProtected": arguments.get("TerminationProtected"),
    }


def _fleet(arguments: dict[str, Any]) -> dict[str, Any]:
    changed = {"InstanceFleetId": arguments["Id"], **_object(arguments.get("InstanceFleet"))}
    return {"ClusterId": arguments["ClusterId"], "InstanceFleet": changed}


def _group(arguments: dict[str, Any]) -> dict[str, Any]:
    changed = {"InstanceGroupId": arguments["Id"], **_object(arguments.get("InstanceGroup"))}
    return {"ClusterId": arguments["ClusterId"], "InstanceGroups": [changed]}


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _created(result: dict[str, Any]) -> dict[str, Any]:
    return {"ClusterId": result.pop("JobFlowId", None), **result}


def _added(result: dict[str, Any]) -> dict[str, Any]:
    return {"StepId": next(iter(result.get("StepIds") or []), None)}


def _cancelled(result: dict[str, Any]) -> dict[str, Any]:
    return {"CancelStepsInfo": next(iter(result.get("CancelStepsInfoList") or []), None)}


def _model_answer(result: dict[str, Any]) -> dict[str, Any]:
    try:
        return {**result, "Body": json.loads(result.get("Body", ""))}
    except ValueError:
        return result


REQUESTS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "elasticmapreduce:addStep": _add_step,
    "elasticmapreduce:cancelStep": _cancel_step,
    "elasticmapreduce:terminateCluster": _cluster,
    "elasticmapreduce:setClusterTerminationProtection": _protection,
    "elasticmapreduce:modifyInstanceFleetByName": _fleet,
    "elasticmapreduce:modifyInstanceGroupByName": _group,
}
"""Actions whose parameters are not their operation's."""

NAMED: dict[str, Named] = {
    "elasticmapreduce:modifyInstanceFleetByName": Named(
        "instance fleet", "ClusterId", "InstanceFleetName", "ListInstanceFleets", "InstanceFleets"
    ),
    "elasticmapreduce:modifyInstanceGroupByName": Named(
        "instance group", "ClusterId", "InstanceGroupName", "ListInstanceGroups", "InstanceGroups"
    ),
}
"""Actions on something that is looked for by its name."""

RESULTS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "bedrock:invokeModel": _model_answer,
    "elasticmapreduce:addStep": _added,
    "elasticmapreduce:cancelStep": _cancelled,
    "elasticmapreduce:createCluster": _created,
}
"""Actions whose results are not their operation's."""


# ---------------------------------------------------------------------- what the SDK adds

HEADERS = {"dynamodb:getItem": "dynamodb:getItem"}
"""Actions whose answers AWS was seen to send with other headers than its service's others."""

_JSON_1_0 = ("x-amzn-RequestId", "connection", "Content-Length", "Date", "Content-Type")
SENT: dict[str, tuple[str, ...]] = {
    "dynamodb": ("Server", "Connection", "x-amzn-RequestId", "x-amz-crc32", "Content-Length", "Date", "Content-Type"),
    "dynamodb:getItem": (
        "Server",
        "x-amzn-requestid",
        "Connection",
        "x-amz-crc32",
        "Content-Length",
        "Date",
        "Content-Type",
    ),
    "lambda": (
        "X-Amz-Executed-Version",
        "x-amzn-Remapped-Content-Length",
        "Connection",
        "x-amzn-RequestId",
        "Content-Length",
        "Date",
        "X-Amzn-Trace-Id",
        "Content-Type",
    ),
}
"""Service -> the headers that AWS sends, as it spells them; ``_JSON_1_0`` of all others."""
CONTENT_TYPES = {
    "sns": "text/xml",
    "lambda": "application/json",
    "sqs": "application/x-amz-json-1.0",
    "dynamodb": "application/x-amz-json-1.0",
    "dynamodb:getItem": "application/x-amz-json-1.0",
}
SNS_ANSWER = """<PublishResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/">
  <PublishResult>
    <MessageId>{MessageId}</MessageId>
  </PublishResult>
  <ResponseMetadata>
    <RequestId>{RequestId}</RequestId>
  </ResponseMetadata>
</PublishResponse>
"""


def sdk_metadata(kind: str, answer: Answer, result: dict[str, Any], length: int | None = None) -> dict[str, Any]:
    """SdkHttpMetadata and SdkResponseMetadata of an answer.

    An emulator's headers say nothing of the service, and differ: its answers are given those that AWS sends, so that a
    ResultSelector or a test finds what it finds on AWS. ``length`` is the body's, where it is not that of the result.
    """
    request_id = answer.request_id or str(uuid.uuid4())
    names = {name.lower(): name for name in SENT.get(kind, _JSON_1_0)}
    sent = {names.get(name, name): value for name, value in answer.headers.items()}
    if not answer.genuine:
        made = {
            "server": "Server",
            "connection": "keep-alive",
            "content-length": str(len(_body(kind, result)) if length is None else length),
            "content-type": CONTENT_TYPES.get(kind, "application/x-amz-json-1.1"),
            "date": formatdate(usegmt=True),
            "x-amzn-requestid": request_id,
            "x-amz-crc32": "0",
            "x-amz-executed-version": "$LATEST",
            "x-amzn-remapped-content-length": "0",
            "x-amzn-trace-id": f"Root=1-{uuid.uuid4().hex[:8]}-{uuid.uuid4().hex[:24]};Sampled=0",
        }
        told = {"date", "x-amz-executed-version", "x-amzn-trace-id", "x-amz-crc32"}
        given = answer.headers
        sent = {name: given[low] if low in told and low in given else made[low] for low, name in names.items()}
        if "x-amz-log-result" in given:
            sent["X-Amz-Log-Result"] = given["x-amz-log-result"]
    return {
        "SdkHttpMetadata": {
            "AllHttpHeaders": {name: [value] for name, value in sent.items()},
            "HttpHeaders": sent,
            "HttpStatusCode": answer.status,
        },
        "SdkResponseMetadata": {"RequestId": request_id},
    }


def _body(kind: str, result: dict[str, Any]) -> bytes:
    """A body as long as the one that AWS sends for a result."""
    if kind == "sns":
        return SNS_ANSWER.format(MessageId=result.get("MessageId", ""), RequestId=uuid.uuid4()).encode()
    return msgspec.json.encode(result)
