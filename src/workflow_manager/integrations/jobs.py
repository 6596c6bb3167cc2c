"""``.sync``: how to see what becomes of a job that an optimised integration began, and how to stop it. A table; pure.

Step Functions describes the job until its status is final. A job that failed fails the Task with ``States.TaskFailed`` and
the job's description as the cause; one that nobody waits for any more is stopped, where its service can.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

Described: TypeAlias = dict[str, Any]
Parameters: TypeAlias = Callable[[dict[str, Any], dict[str, Any]], dict[str, Any]]
"""botocore's parameters, from the Task's arguments and from what the call that began the job answered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """``verdict`` of a description: whether the job went well; None while it runs.

    ``output`` is what the Task's result (or, if the job failed, its cause) is made from: a description and the answer of
    the call that began the job. ``gone``: the error code by which the service says that there is no such thing (any more),
    which is what was wanted.
    """

    describe: str
    parameters: Parameters
    verdict: Callable[[Described], bool | None]
    output: Callable[[Described, dict[str, Any]], Any] = lambda described, _: described
    stop: str | None = None
    stop_parameters: Parameters = lambda _arguments, _submitted: {}
    gone: str | None = None


def at(value: Any, *path: str | int) -> Any:
    """What stands at a path; None if nothing does."""
    for key in path:
        if isinstance(key, int):
            value = value[key] if isinstance(value, list) and len(value) > key else None
        else:
            value = value.get(key) if isinstance(value, dict) else None
    return value


def _final(*path: str | int, well: str, badly: str) -> Callable[[Described], bool | None]:
    """The verdict by a status: the words that say that the job went well, and those that say the opposite."""
    verdicts = dict.fromkeys(well.split(), True) | dict.fromkeys(badly.split(), False)
    return lambda described: verdicts.get(at(described, *path))


def _answered(**names: str) -> Parameters:
    """Parameters from what the call that began the job answered: parameter -> member."""
    return lambda _, submitted: {name: submitted[member] for name, member in names.items()}


def _given(**names: str) -> Parameters:
    """Parameters that the Task gave: parameter -> the Task's."""
    return lambda arguments, _: {name: arguments[given] for name, given in names.items()}


def _build(member: str, plural: str) -> Job:
    """CodeBuild's builds, single or in batches."""
    status = "BuildBatchStatus" if member == "BuildBatch" else "BuildStatus"
    return Job(
        describe=f"BatchGet{plural}",
        parameters=lambda _, submitted: {"ids": [submitted[member]["Id"]]},
        verdict=_final(plural, 0, status, well="SUCCEEDED", badly="FAILED FAULT STOPPED TIMED_OUT"),
        output=lambda described, _: {member: at(described, plural, 0)},
        stop=f"Stop{member}",
        stop_parameters=lambda _, submitted: {"id": submitted[member]["Id"]},
    )


def _sagemaker(kind: str, status: str = "") -> Job:
    name = f"{kind}Name"
    return Job(
        describe=f"Describe{kind}",
        parameters=_given(**{name: name}),
        verdict=_final(status or f"{kind}Status", well="Completed", badly="Failed Stopped"),
        stop=f"Stop{kind}",
        stop_parameters=_given(**{name: name}),
    )


def _eks(kind: str, **names: str) -> tuple[Job, Job]:
    """Creating and deleting one kind of resource."""
    create = Job(
        describe=f"Describe{kind}",
        parameters=_given(**names),
        verdict=_final(kind, "Status", well="ACTIVE", badly="FAILED CREATE_FAILED DEGRADED"),
    )
    delete = Job(
        describe=f"Describe{kind}",
        parameters=_given(**names),
        verdict=_final(kind, "Status", well="", badly="DELETE_FAILED"),
        output=lambda described, submitted: described or submitted,
        gone="ResourceNotFoundException",
    )
    return create, delete


def _application(well: str, badly: str = "TERMINATED") -> Job:
    """An EMR Serverless application on its way to a state."""
    return Job(
        describe="GetApplication",
        parameters=lambda arguments, submitted: {
            "applicationId": submitted.get("ApplicationId") or arguments["ApplicationId"]
        },
        verdict=_final("Application", "State", well=well, badly=badly),
        output=lambda described, submitted: described or submitted,
        gone="ResourceNotFoundException" if well == "TERMINATED" else None,
    )


def _serverless_run(well: str, badly: str, *, stop: bool) -> Job:
    def ids(arguments: dict[str, Any], submitted: dict[str, Any]) -> dict[str, Any]:
        return {
            "applicationId": submitted.get("ApplicationId") or arguments["ApplicationId"],
            "jobRunId": submitted.get("JobRunId") or arguments["JobRunId"],
        }

    return Job(
        describe="GetJobRun",
        parameters=ids,
        verdict=_final("JobRun", "State", well=well, badly=badly),
        stop="CancelJobRun" if stop else None,
        stop_parameters=ids,
    )


def _ecs_task(word: str) -> Parameters:
    """The task, in its cluster, under the name that an operation has for it."""

    def parameters(arguments: dict[str, Any], submitted: dict[str, Any]) -> dict[str, Any]:
        task = at(submitted, "Tasks", 0, "TaskArn")
        cluster = {"cluster": arguments["Cluster"]} if arguments.get("Cluster") else {}
        return {word: [task] if word == "tasks" else task, **cluster}

    return parameters


def _ecs_verdict(described: Described) -> bool | None:
    """A task that could not be run, or a container that ended with a code other than 0, is a failure."""
    if at(described, "Failures", 0) is not None:
        return False
    if at(described, "Tasks", 0, "LastStatus") != "STOPPED":
        return None
    containers = at(described, "Tasks", 0, "Containers") or []
    return all(container.get("ExitCode") == 0 for container in containers)


def _cluster(well: str, badly: str) -> Job:
    return Job(
        describe="DescribeCluster",
        parameters=lambda arguments, submitted: {"ClusterId": submitted.get("ClusterId") or arguments["ClusterId"]},
        verdict=_final("Cluster", "Status", "State", well=well, badly=badly),
        output=lambda described, submitted: {
            **described,
            "ClusterId": at(described, "Cluster", "Id"),
            **_plain(submitted),
        },
        stop="TerminateJobFlows" if "WAITING" in well else None,
        stop_parameters=lambda _, submitted: {"JobFlowIds": [submitted["ClusterId"]]},
    )


def _plain(submitted: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in submitted.items() if not name.startswith("Sdk")}


_EKS = {
    "Cluster": _eks("Cluster", name="Name"),
    "Nodegroup": _eks("Nodegroup", clusterName="ClusterName", nodegroupName="NodegroupName"),
    "Addon": _eks("Addon", clusterName="ClusterName", addonName="AddonName"),
    "FargateProfile": _eks("FargateProfile", clusterName="ClusterName", fargateProfileName="FargateProfileName"),
}

JOBS: dict[str, Job] = {
    "athena:startQueryExecution": Job(
        describe="GetQueryExecution",
        parameters=_answered(QueryExecutionId="QueryExecutionId"),
        verdict=_final("QueryExecution", "Status", "State", well="SUCCEEDED", badly="FAILED CANCELLED"),
        stop="StopQueryExecution",
        stop_parameters=_answered(QueryExecutionId="QueryExecutionId"),
    ),
    "batch:submitJob": Job(
        describe="DescribeJobs",
        parameters=lambda _, submitted: {"jobs": [submitted["JobId"]]},
        verdict=_final("Jobs", 0, "Status", well="SUCCEEDED", badly="FAILED"),
        output=lambda described, _: at(described, "Jobs", 0),
        stop="TerminateJob",
        stop_parameters=lambda _, submitted: {
            "jobId": submitted["JobId"],
            "reason": "The execution that submitted the job does not wait for it any more",
        },
    ),
    "bedrock:createModelCustomizationJob": Job(
        describe="GetModelCustomizationJob",
        parameters=_answered(jobIdentifier="JobArn"),
        verdict=_final("Status", well="Completed", badly="Failed Stopped"),
        stop="StopModelCustomizationJob",
        stop_parameters=_answered(jobIdentifier="JobArn"),
    ),
    "codebuild:startBuild": _build("Build", "Builds"),
    "codebuild:startBuildBatch": _build("BuildBatch", "BuildBatches"),
    "codebuild:retryBuildBatch": _build("BuildBatch", "BuildBatches"),
    "databrew:startJobRun": Job(
        describe="DescribeJobRun",
        parameters=lambda arguments, submitted: {"Name": arguments["Name"], "RunId": submitted["RunId"]},
        verdict=_final("State", well="SUCCEEDED", badly="FAILED STOPPED TIMEOUT"),
        stop="StopJobRun",
        stop_parameters=lambda arguments, submitted: {"Name": arguments["Name"], "RunId": submitted["RunId"]},
    ),
    "ecs:runTask": Job(
        describe="DescribeTasks",
        parameters=_ecs_task("tasks"),
        verdict=_ecs_verdict,
        output=lambda described, _: at(described, "Tasks", 0) or described,
        stop="StopTask",
        stop_parameters=_ecs_task("task"),
    ),
    **{f"eks:create{kind}": create for kind, (create, _) in _EKS.items()},
    **{f"eks:delete{kind}": delete for kind, (_, delete) in _EKS.items()},
    "elasticmapreduce:createCluster": _cluster("WAITING RUNNING", "TERMINATED TERMINATED_WITH_ERRORS"),
    "elasticmapreduce:terminateCluster": _cluster("TERMINATED TERMINATED_WITH_ERRORS", ""),
    "elasticmapreduce:addStep": Job(
        describe="DescribeStep",
        parameters=lambda arguments, submitted: {"ClusterId": arguments["ClusterId"], "StepId": submitted["StepId"]},
        verdict=_final("Step", "Status", "State", well="COMPLETED", badly="FAILED CANCELLED INTERRUPTED"),
        stop="CancelSteps",
        stop_parameters=lambda arguments, submitted: {
            "ClusterId": arguments["ClusterId"],
            "StepIds": [submitted["StepId"]],
        },
    ),
    "emr-containers:deleteVirtualCluster": Job(
        describe="DescribeVirtualCluster",
        parameters=_answered(id="Id"),
        verdict=_final("VirtualCluster", "State", well="TERMINATED", badly="ARRESTED"),
    ),
    "emr-containers:startJobRun": Job(
        describe="DescribeJobRun",
        parameters=_answered(id="Id", virtualClusterId="VirtualClusterId"),
        verdict=_final("JobRun", "State", well="COMPLETED", badly="FAILED CANCELLED"),
        stop="CancelJobRun",
        stop_parameters=_answered(id="Id", virtualClusterId="VirtualClusterId"),
    ),
    "emr-serverless:createApplication": _application("CREATED STARTED"),
    "emr-serverless:startApplication": _application("STARTED"),
    "emr-serverless:stopApplication": _application("STOPPED"),
    "emr-serverless:deleteApplication": _application("TERMINATED", ""),
    "emr-serverless:startJobRun": _serverless_run("SUCCESS", "FAILED CANCELLED", stop=True),
    "emr-serverless:cancelJobRun": _serverless_run("CANCELLED SUCCESS FAILED", "", stop=False),
    "glue:startJobRun": Job(
        describe="GetJobRun",
        parameters=lambda arguments, submitted: {"JobName": arguments["JobName"], "RunId": submitted["JobRunId"]},
        verdict=_final("JobRun", "JobRunState", well="SUCCEEDED", badly="FAILED ERROR STOPPED TIMEOUT"),
        output=lambda described, _: at(described, "JobRun"),
        stop="BatchStopJobRun",
        stop_parameters=lambda arguments, submitted: {
            "JobName": arguments["JobName"],
            "JobRunIds": [submitted["JobRunId"]],
        },
    ),
    "mediaconvert:createJob": Job(
        describe="GetJob",
        parameters=lambda _, submitted: {"Id": submitted["Job"]["Id"]},
        verdict=_final("Job", "Status", well="COMPLETE", badly="ERROR CANCELED"),
        stop="CancelJob",
        stop_parameters=lambda _, submitted: {"Id": submitted["Job"]["Id"]},
    ),
    "sagemaker:createAutoMLJob": _sagemaker("AutoMLJob"),
    "sagemaker:createHyperParameterTuningJob": _sagemaker("HyperParameterTuningJob"),
    "sagemaker:createLabelingJob": _sagemaker("LabelingJob"),
    "sagemaker:createProcessingJob": _sagemaker("ProcessingJob"),
    "sagemaker:createTrainingJob": _sagemaker("TrainingJob"),
    "sagemaker:createTransformJob": _sagemaker("TransformJob"),
}
"""``<service>:<action>`` that may end in ``.sync`` -> its job. Nested executions are the engine's own."""
