"""What AWS services answer, as botocore's service models describe it, in the names that Tasks see.

Read from botocore's data without importing botocore, which takes a third of a second. Shapes are read as they are asked for:
models are large, and some shapes hold themselves.
"""

from __future__ import annotations

import gzip
from functools import cache, cached_property
from importlib.resources import files
from typing import Any

import msgspec

from workflow_manager.asl.program import TaskResource

SDK = "aws-sdk:"

FOLDERS = {
    "applicationdiscoveryservice": "discovery",
    "cloudwatchlogs": "logs",
    "cognitoidentityprovider": "cognito-idp",
    "configservice": "config",
    "costandusagereportservice": "cur",
    "costexplorer": "ce",
    "databasemigrationservice": "dms",
    "directoryservice": "ds",
    "directoryservicedata": "ds-data",
    "elasticloadbalancing": "elb",
    "elasticloadbalancingv2": "elbv2",
    "elasticmapreduce": "emr",
    "elasticsearchservice": "es",
    "eventbridge": "events",
    "iotdataplane": "iot-data",
    "iotjobsdataplane": "iot-jobs-data",
    "lexmodelbuildingservice": "lex-models",
    "lexmodelsv2": "lexv2-models",
    "lexruntimeservice": "lex-runtime",
    "lexruntimev2": "lexv2-runtime",
    "marketplaceentitlementservice": "marketplace-entitlement",
    "marketplacemetering": "meteringmarketplace",
    "migrationhub": "mgh",
    "pinpointsmsvoice": "sms-voice",
    "serverlessapplicationrepository": "serverlessrepo",
    "sfn": "stepfunctions",
    "simpledb": "sdb",
    "states": "stepfunctions",
}
"""Service as a Resource spells it -> botocore's folder, where that is not the same without hyphens."""

NARROWER: dict[tuple[str, str], dict[str, float]] = {("lambda", "MemorySize"): {"max": 10_240}}
"""Folder, shape -> bounds that Step Functions was recorded to hold to although the service has moved them since."""

ELEMENT = "*"
RESULTS_OF_JOBS: dict[tuple[str, str], tuple[str, tuple[str, ...]]] = {
    ("athena", "startQueryExecution"): ("GetQueryExecution", ()),
    ("batch", "submitJob"): ("DescribeJobs", ("Jobs", ELEMENT)),
    ("bedrock", "createModelCustomizationJob"): ("GetModelCustomizationJob", ()),
    ("codebuild", "retryBuildBatch"): ("RetryBuildBatch", ()),
    ("codebuild", "startBuild"): ("StartBuild", ()),
    ("codebuild", "startBuildBatch"): ("StartBuildBatch", ()),
    ("databrew", "startJobRun"): ("DescribeJobRun", ()),
    ("ecs", "runTask"): ("DescribeTasks", ("Tasks", ELEMENT)),
    **{
        ("eks", f"{does}{kind}"): (f"Describe{kind}", ())
        for does in ("create", "delete")
        for kind in ("Addon", "Cluster", "FargateProfile", "Nodegroup")
    },
    ("elasticmapreduce", "addStep"): ("DescribeStep", ()),
    ("elasticmapreduce", "createCluster"): ("DescribeCluster", ()),
    ("elasticmapreduce", "terminateCluster"): ("DescribeCluster", ()),
    ("emr-containers", "deleteVirtualCluster"): ("DescribeVirtualCluster", ()),
    ("emr-containers", "startJobRun"): ("DescribeJobRun", ()),
    **{
        ("emr-serverless", f"{does}Application"): ("GetApplication", ())
        for does in ("create", "delete", "start", "stop")
    },
    ("emr-serverless", "cancelJobRun"): ("GetJobRun", ()),
    ("emr-serverless", "startJobRun"): ("GetJobRun", ()),
    ("glue", "startJobRun"): ("GetJobRun", ("JobRun",)),
    ("mediaconvert", "createJob"): ("GetJob", ()),
    **{
        ("sagemaker", f"create{kind}Job"): (f"Describe{kind}Job", ())
        for kind in ("AutoML", "HyperParameterTuning", "Labeling", "Processing", "Training", "Transform")
    },
    ("states", "startExecution"): ("DescribeExecution", ()),
}
"""Service, action of a ``.sync`` -> the operation whose answer its result is made from, and which members lead to it."""


class _Target(msgspec.Struct):
    shape: str


class _Shape(msgspec.Struct):
    """A shape in a model, as far as we look at it."""

    type: str
    min: float | None = None
    max: float | None = None
    enum: tuple[str, ...] = ()
    document: bool = False
    required: tuple[str, ...] = ()
    members: dict[str, _Target] = {}
    member: _Target | None = None
    value: _Target | None = None


class _Operation(msgspec.Struct):
    output: _Target | None = None


class _Model(msgspec.Struct):
    operations: dict[str, _Operation]
    shapes: dict[str, _Shape]


class Shape:
    """A shape of a service's model; member names begin with a capital. ``least`` and ``most`` bound numbers and lengths."""

    def __init__(self, folder: str, name: str) -> None:
        data = _model(folder).shapes[name]
        bounds = NARROWER.get((folder, name), {})
        self._folder = folder
        self._data = data
        self.kind = data.type
        self.least = bounds.get("min", data.min)
        self.most = bounds.get("max", data.max)
        self.enum = data.enum
        self.document = data.document
        self.required = tuple(_capital(member) for member in data.required)

    @cached_property
    def members(self) -> dict[str, Shape]:
        return {_capital(name): _shape(self._folder, target.shape) for name, target in self._data.members.items()}

    @cached_property
    def element(self) -> Shape:
        """Of a list, or of a map's values."""
        target = self._data.member or self._data.value
        assert target is not None, self.kind
        return _shape(self._folder, target.shape)


def output_shape(resource: TaskResource) -> Shape | None:
    """What a Task's call answers; None where no API's model says."""
    service, action, path = resource.service.removeprefix(SDK), resource.action, tuple[str, ...]()
    if resource.pattern in ("sync", "sync:2"):
        if (service, action) not in RESULTS_OF_JOBS:
            return None
        action, path = RESULTS_OF_JOBS[service, action]
    folder = _folder(service)
    if folder is None:
        return None
    operation = _model(folder).operations.get(_capital(action))
    output = operation.output if operation is not None else None
    if output is None:
        return None
    shape = _shape(folder, output.shape)
    for name in path:
        shape = shape.element if name == ELEMENT else shape.members[name]
    return shape


def _capital(name: str) -> str:
    return name[:1].upper() + name[1:]


@cache
def _shape(folder: str, name: str) -> Shape:
    return Shape(folder, name)


@cache
def _folders() -> dict[str, str]:
    """Folder without hyphens -> folder."""
    return {folder.name.replace("-", ""): folder.name for folder in _data().iterdir() if folder.is_dir()}


@cache
def _folder(service: str) -> str | None:
    name = service.replace("-", "").lower()
    return FOLDERS.get(name) or _folders().get(name)


def _data() -> Any:
    return files("botocore").joinpath("data")


@cache
def _model(folder: str) -> _Model:
    versions = [version for version in _data().joinpath(folder).iterdir() if version.is_dir()]
    latest = max(versions, key=lambda version: version.name)
    packed = latest.joinpath("service-2.json.gz")
    text = gzip.decompress(packed.read_bytes()) if packed.is_file() else latest.joinpath("service-2.json").read_bytes()
    return msgspec.json.decode(text, type=_Model)
