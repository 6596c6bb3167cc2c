"""The archive of the Lambda functions: unpacked as Lambda unpacks it, its handlers are called in a Python that has nothing else.

It is built for this machine and the Python that runs the tests, or for the one that ``WFM_TEST_LAMBDA_PYTHON`` names, such as
a python3.12, which Lambda has. DynamoDB is the emulator, Step Functions the engine behind the wire, and what tells of changes is
as AWS was recorded to send it.
"""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
import os
import platform
import shutil
import subprocess
import sys
import textwrap
import zipfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from dynamodb_world import empty_store
from serving import served, session

from workflow_manager.database import Database
from workflow_manager.engine import EmbeddedStepFunctions
from workflow_manager.manager import ManagerSettings, WorkflowManager
from workflow_manager.model import NewWorkflow, NewWorkflowDefinition, Workflow
from workflow_manager.stepfunctions import errors
from workflow_manager.stepfunctions.arns import Arns
from workflow_manager.stepfunctions.aws import AwsStepFunctions
from workflow_manager.store import Store

pytestmark = pytest.mark.acceptance

ROOT = Path(__file__).parents[2]
RECORDED = ROOT / "tests" / "conformance" / "data" / "cases"
PYTHON = shutil.which(os.environ.get("WFM_TEST_LAMBDA_PYTHON", sys.executable)) or "no such Python"
ARNS = Arns(account="000000000000")
MACHINES: dict[str, dict[str, Any]] = {
    "succeeds": {"StartAt": "s", "States": {"s": {"Type": "Pass", "Result": {"n": 1}, "End": True}}},
    "fails": {"StartAt": "s", "States": {"s": {"Type": "Fail", "Error": "E"}}},
    "waits": {"StartAt": "s", "States": {"s": {"Type": "Wait", "Seconds": 3600, "End": True}}},
}
RUNTIME = """
    import importlib, json, os, sys

    sys.path.insert(0, os.environ["LAMBDA_TASK_ROOT"])
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what the function prints is a log
    for line in sys.stdin:
        asked = json.loads(line)
        module, _, name = asked["handler"].rpartition(".")
        answer = getattr(importlib.import_module(module), name)(asked["event"], None)
        print(json.dumps(answer), file=answers, flush=True)
"""
"""What Lambda's runtime does: a process imports the handler once, and calls it for each event."""


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lambda")
    version = subprocess.run(
        [PYTHON, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"], capture_output=True, text=True, check=True
    ).stdout.strip()
    archive = folder / "functions.zip"
    kind = "manylinux_2_28" if sys.platform == "linux" else "apple-darwin"
    command = ["tools/make_lambda.sh", archive, version, f"{platform.machine()}-{kind}"]
    environment = os.environ | {"UV": str(Path(sys.executable).with_name("uv"))}
    # what was installed to run the tests is in uv's cache; only for another Python something is fetched
    offline = environment | {"UV_OFFLINE": "1"}
    if subprocess.run(command, cwd=ROOT, env=offline, capture_output=True, check=False).returncode:
        subprocess.run(command, cwd=ROOT, env=environment, check=True, stdout=subprocess.DEVNULL)
    with zipfile.ZipFile(archive) as files:
        files.extractall(folder / "task")
    return folder / "task"


@dataclass
class Function:
    """A process of the functions, as Lambda keeps it for many events."""

    process: asyncio.subprocess.Process

    async def __call__(self, handler: str, event: Any) -> Any:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        asked = {"handler": f"workflow_manager.lambdas.{handler}", "event": event}
        self.process.stdin.write(json.dumps(asked).encode() + b"\n")
        async with asyncio.timeout(60):
            return json.loads(await self.process.stdout.readline())


@asynccontextmanager
async def a_function(unpacked: Path, environment: dict[str, str], log: Path) -> AsyncIterator[Function]:
    with log.open("wb") as into:
        process = await asyncio.create_subprocess_exec(
            *(PYTHON, "-I", "-S", "-B", "-c", textwrap.dedent(RUNTIME)),
            env=environment | {"LAMBDA_TASK_ROOT": str(unpacked)},
            cwd=unpacked,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=into,
        )
        try:
            yield Function(process)
        finally:
            process.kill()
            await process.wait()


class StepFunctions:
    """The engine, which tells nothing of executions while it refuses to."""

    def __init__(self, engine: EmbeddedStepFunctions) -> None:
        self._engine = engine
        self.refuses = False

    def __getattr__(self, operation: str) -> Any:
        return getattr(self._engine, operation)

    async def describe_execution(self, request: Any) -> Any:
        if self.refuses:
            raise errors.AccessDeniedException("not authorized to perform: states:DescribeExecution")
        return await self._engine.describe_execution(request)


@dataclass
class World:
    store: Store
    manager: WorkflowManager
    stepfunctions: StepFunctions
    function: Function

    async def begun(self, definition: str) -> Workflow:
        return await self.manager.start_workflow(NewWorkflow(definition_name=definition, namespace="ns"))

    async def stored(self, *workflows: Workflow) -> list[str]:
        return [(await self.store.workflow(each.id)).status.value for each in workflows]


@pytest.fixture
async def world(unpacked: Path, tmp_path: Path, dynamodb_url: str) -> AsyncIterator[World]:
    database = Database(tmp_path / "engine.db", synchronous="OFF")
    engine = EmbeddedStepFunctions(database, arns=ARNS)
    await engine.start()
    stepfunctions = StepFunctions(engine)
    log = tmp_path / "log"
    async with (
        empty_store(dynamodb_url) as store,
        served(stepfunctions) as url,
        AwsStepFunctions(session=session(), endpoint_url=url) as aws,
        a_function(
            unpacked,
            {
                "AWS_ACCESS_KEY_ID": "any",
                "AWS_SECRET_ACCESS_KEY": "any",
                "AWS_REGION": "us-east-1",
                "AWS_ENDPOINT_URL_DYNAMODB": dynamodb_url,
                "AWS_ENDPOINT_URL_SFN": url,
                "WFM_BACKEND": "aws",
                "WFM_STORE": "dynamodb",
                "WFM_DYNAMODB_PREFIX": store._tables.workflows.removesuffix("-workflows"),
                "WFM_ROLE_ARN": "arn:aws:iam::000000000000:role/any",
            },
            log,
        ) as function,
    ):
        manager = WorkflowManager(store, aws, settings=ManagerSettings())
        for name, machine in MACHINES.items():
            await manager.create_definition(NewWorkflowDefinition(name=name, state_machine=machine))
        yield World(store, manager, stepfunctions, function)
    await engine.close()
    await database.close()
    assert "Traceback" not in log.read_text()


def event(workflow: Workflow, status: str, **detail: Any) -> dict[str, Any]:
    """As in the Step Functions Developer Guide, "EventBridge events for Step Functions"."""
    machine = f"ns--{workflow.workflow_definition.name}--0--s"
    return {
        "version": "0",
        "id": "315c1398-40ff-a850-213b-158f73e60175",
        "detail-type": "Step Functions Execution Status Change",
        "source": "aws.states",
        "account": "000000000000",
        "time": "2026-02-26T19:42:21Z",
        "region": "us-east-1",
        "resources": [ARNS.execution(machine, workflow.id)],
        "detail": {
            "executionArn": ARNS.execution(machine, workflow.id),
            "stateMachineArn": ARNS.state_machine(machine),
            "name": workflow.id,
            "status": status,
            "startDate": 1_700_000_000_000,
            "stopDate": None if status == "RUNNING" else 1_700_000_001_000,
            "input": "{}",
            "inputDetails": {"included": True},
            "output": '{"n": 1}' if status == "SUCCEEDED" else None,
            "outputDetails": {"included": True} if status == "SUCCEEDED" else None,
            "error": None,
            "cause": None,
            **detail,
        },
    }


LEFT_OUT = {"output": None, "outputDetails": {"included": False}}
"""Of an event whose output was too large for it."""


def in_queue(*bodies: Any) -> dict[str, Any]:
    return {
        "Records": [
            {
                "messageId": f"m{number}",
                "receiptHandle": "r",
                "body": body if isinstance(body, str) else json.dumps(body),
                "attributes": {"ApproximateReceiveCount": "1", "SenderId": "events", "SentTimestamp": "1700000001000"},
                "messageAttributes": {},
                "md5OfBody": "098f6bcd4621d373cade4e832627b4f6",
                "eventSource": "aws:sqs",
                "eventSourceARN": "arn:aws:sqs:us-east-1:000000000000:status",
                "awsRegion": "us-east-1",
            }
            for number, body in enumerate(bodies)
        ]
    }


def logged(workflow: Workflow, recording: str) -> str:
    """A record of a stream: what an execution was recorded to log, as the workflow's."""
    lines = json.loads((RECORDED / f"logs.{recording}.json").read_text())["expected"]["logged_execution_events"]
    arn = ARNS.execution(f"ns--{workflow.workflow_definition.name}--0--s", workflow.id)
    events = [{**line, "details": {}} if line["id"] == "1" else line for line in lines]  # its input is no text there
    messages = [json.dumps({**each, "event_timestamp": "1700000001000", "execution_arn": arn}) for each in events]
    return record("DATA_MESSAGE", *messages)


def record(kind: str, *messages: str) -> str:
    content = {
        "messageType": kind,
        "owner": "000000000000",
        "logGroup": "/aws/vendedlogs/states/m",
        "logStream": "s",
        "subscriptionFilters": ["workflow-manager"],
        "logEvents": [
            {"id": str(number), "timestamp": 1_700_000_001_000, "message": message}
            for number, message in enumerate(messages)
        ],
    }
    return base64.b64encode(gzip.compress(json.dumps(content).encode())).decode()


SUCCEEDED = "logs__test_base__pass_result.json5_ALL_False"
"""Without execution data, so that the execution has to be asked what came out."""
FAILED = "logs__test_base__raise_failure.json5_ALL_True"


def in_stream(*records: str) -> dict[str, Any]:
    return {
        "Records": [
            {
                "kinesis": {
                    "kinesisSchemaVersion": "1.0",
                    "partitionKey": "p",
                    "sequenceNumber": f"4959{number}",
                    "data": each,
                    "approximateArrivalTimestamp": 1_700_000_001.0,
                },
                "eventSource": "aws:kinesis",
                "eventVersion": "1.0",
                "eventID": f"shardId-000000000006:4959{number}",
                "eventName": "aws:kinesis:record",
                "awsRegion": "us-east-1",
                "eventSourceARN": "arn:aws:kinesis:us-east-1:000000000000:stream/logs",
            }
            for number, each in enumerate(records)
        ]
    }


def failures(*identifiers: str) -> dict[str, Any]:
    return {"batchItemFailures": [{"itemIdentifier": each} for each in identifiers]}


async def test_a_queue(world: World) -> None:
    """What could not be written or read comes again, and nothing else."""
    runs, done, asked = await world.begun("waits"), await world.begun("succeeds"), await world.begun("succeeds")
    world.stepfunctions.refuses = True

    answer = await world.function(
        "queue_handler",
        in_queue(
            event(runs, "RUNNING"),
            event(asked, "SUCCEEDED", **LEFT_OUT),
            "garbage",
            {"source": "aws.ec2", "detail-type": "EC2 Instance State-change Notification", "detail": {}},
            event(done, "SUCCEEDED"),
            event(done, "RUNNING"),
        ),
    )

    assert answer == failures("m1", "m2")
    assert await world.stored(runs, done, asked) == ["running", "succeeded", "queued"]
    world.stepfunctions.refuses = False
    assert await world.function("queue_handler", in_queue(event(asked, "SUCCEEDED", **LEFT_OUT))) == failures()
    assert await world.stored(asked) == ["succeeded"]
    assert json.loads((await world.store.workflow(asked.id)).output) == {"n": 1}


async def test_a_rule(world: World) -> None:
    done = await world.begun("succeeds")

    assert await world.function("eventbridge_handler", event(done, "SUCCEEDED")) is None

    assert await world.stored(done) == ["succeeded"]


async def test_a_stream(world: World) -> None:
    """It goes on from the first record that could not be written; what cannot be read is passed over."""
    failed, asked, last = await world.begun("fails"), await world.begun("succeeds"), await world.begun("fails")
    records = [
        "garbage",
        record("CONTROL_MESSAGE"),
        logged(failed, FAILED),
        logged(asked, SUCCEEDED),
        logged(last, FAILED),
    ]
    world.stepfunctions.refuses = True

    assert await world.function("kinesis_handler", in_stream(*records)) == failures("49593")

    assert await world.stored(failed, asked) == ["failed", "queued"]
    assert "SomeFailure" in (await world.store.workflow(failed.id)).status_reason
    world.stepfunctions.refuses = False
    assert await world.function("kinesis_handler", in_stream(*records[3:])) == failures()
    assert await world.stored(failed, asked, last) == ["failed", "succeeded", "failed"]
