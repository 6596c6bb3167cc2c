"""What the Resource of a Task names (Step Functions guide, "Integrating services").

Activities, Lambda functions, optimised integrations and the SDK integrations, all as ARNs.
"""

from __future__ import annotations

import re
from typing import Literal

from .program import TaskResource

Pattern = Literal["request_response", "sync", "sync:2", "waitForTaskToken"]

_ACTIVITY = re.compile(r"arn:[^:]+:states:[^:]*:[^:]*:activity:[^:]+")
_LAMBDA = re.compile(r"arn:[^:]+:lambda:[^:]*:[^:]*:function:[^:]+(?::[^:]+)?")
_SERVICE = re.compile(r"arn:[^:]+:states:[^:]*:[^:]*:(?P<service>(?:aws-sdk:)?[A-Za-z0-9-]+):(?P<action>.+)")
_PATTERNS: dict[str, Pattern] = {
    ".waitForTaskToken": "waitForTaskToken",
    ".sync:2": "sync:2",
    ".sync": "sync",
}


def parse_resource(arn: str) -> TaskResource | None:
    """Split a Resource; None when it is no ARN of a kind that Step Functions knows."""
    if _ACTIVITY.fullmatch(arn):
        return TaskResource("activity", arn, resource_type="activity", resource=arn)
    if _LAMBDA.fullmatch(arn):
        return TaskResource("lambda", arn, resource_type="lambda", resource=arn)
    found = _SERVICE.fullmatch(arn)
    if found is None:
        return None
    service, resource = found["service"], found["action"]
    action = resource
    pattern: Pattern = "request_response"
    for suffix, name in _PATTERNS.items():
        if resource.endswith(suffix):
            action, pattern = resource.removesuffix(suffix), name
            break
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9]*", action):
        return None
    return TaskResource(
        "service", arn, service=service, action=action, pattern=pattern, resource_type=service, resource=resource
    )


OPTIMISED: dict[str, frozenset[str]] = {
    service: frozenset(actions.split())
    for service, actions in {
        "apigateway": "invoke",
        "athena": "startQueryExecution stopQueryExecution getQueryExecution getQueryResults",
        "batch": "submitJob",
        "bedrock": "invokeModel createModelCustomizationJob",
        "codebuild": "startBuild stopBuild batchDeleteBuilds batchGetReports startBuildBatch stopBuildBatch "
        "retryBuildBatch deleteBuildBatch",
        "databrew": "startJobRun",
        "dynamodb": "getItem putItem deleteItem updateItem",
        "ecs": "runTask",
        "eks": "call runJob createCluster deleteCluster createNodegroup deleteNodegroup createAddon deleteAddon "
        "createFargateProfile deleteFargateProfile",
        "elasticmapreduce": "createCluster terminateCluster addStep cancelStep setClusterTerminationProtection "
        "modifyInstanceFleetByName modifyInstanceGroupByName",
        "emr-containers": "createVirtualCluster deleteVirtualCluster startJobRun",
        "emr-serverless": "createApplication startApplication stopApplication deleteApplication startJobRun cancelJobRun",
        "events": "putEvents",
        "glue": "startJobRun",
        "http": "invoke",
        "lambda": "invoke",
        "mediaconvert": "createJob",
        "sagemaker": "createTrainingJob createTransformJob createHyperParameterTuningJob createLabelingJob "
        "createProcessingJob createEndpoint createEndpointConfig createModel updateEndpoint addTags createAutoMLJob",
        "sns": "publish",
        "sqs": "sendMessage",
        "states": "startExecution",
    }.items()
}
"""Step Functions guide, "Integrating optimized services"."""


_CALLBACKS = frozenset(["apigateway", "bedrock", "ecs", "eks", "events", "lambda", "sns", "sqs", "states"])
"""Services whose actions may end in ``.waitForTaskToken`` (the same page); those of SDK integrations may, too."""

_JOBS = frozenset(
    f"{service}:{action}"
    for service, actions in {
        "athena": "startQueryExecution",
        "batch": "submitJob",
        "bedrock": "createModelCustomizationJob",
        "codebuild": "startBuild startBuildBatch retryBuildBatch",
        "databrew": "startJobRun",
        "ecs": "runTask",
        "eks": "runJob createCluster deleteCluster createNodegroup deleteNodegroup createAddon deleteAddon "
        "createFargateProfile deleteFargateProfile",
        "elasticmapreduce": "createCluster terminateCluster addStep",
        "emr-containers": "deleteVirtualCluster startJobRun",
        "emr-serverless": "createApplication startApplication stopApplication deleteApplication startJobRun cancelJobRun",
        "glue": "startJobRun",
        "mediaconvert": "createJob",
        "sagemaker": "createTrainingJob createTransformJob createHyperParameterTuningJob createLabelingJob "
        "createProcessingJob createAutoMLJob",
        "states": "startExecution",
    }.items()
    for action in actions.split()
)
"""Actions that may end in ``.sync`` (the same page)."""


def is_known_integration(resource: TaskResource) -> bool:
    """Say whether Step Functions has the integration. Of SDK integrations (``aws-sdk:``) any is taken to be there."""
    sdk = resource.service.startswith("aws-sdk:")
    match resource.pattern:
        case "waitForTaskToken":
            offered = sdk or resource.service in _CALLBACKS
        case "sync":
            offered = f"{resource.service}:{resource.action}" in _JOBS
        case "sync:2":
            offered = resource.service == "states"
        case _:
            offered = True
    return offered and (sdk or resource.action in OPTIMISED.get(resource.service, frozenset()))
