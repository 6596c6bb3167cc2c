"""A distributed Map withstands ``kill -9`` while it reads, starts, counts and writes: every item once, nothing twice."""

from __future__ import annotations

import json
import os
import random
import time
from pathlib import Path
from typing import Any

import pytest
from server_process import ServerProcess
from sfn_http import StepFunctionsHttp

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(300)]

KILLS = int(os.environ.get("WFM_TEST_KILLS", "20")) // 3
ITEMS = 4_000
ROLE = "arn:aws:iam::000000000000:role/test"


def definition() -> dict[str, Any]:
    """Every seventh item waits for a second."""
    naps = [{"Variable": "$.nap", "StringEquals": "y", "Next": "Nap"}]
    return {
        "StartAt": "Each",
        "States": {
            "Each": {
                "Type": "Map",
                "Label": "each",
                "MaxConcurrency": 200,
                "ItemReader": {
                    "Resource": "arn:aws:states:::s3:getObject",
                    "ReaderConfig": {"InputType": "CSV", "CSVHeaderLocation": "FIRST_ROW"},
                    "Parameters": {"Bucket": "file://in", "Key": "items.csv"},
                },
                "ItemProcessor": {
                    "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
                    "StartAt": "Kind",
                    "States": {
                        "Kind": {"Type": "Choice", "Choices": naps, "Default": "Done"},
                        "Nap": {"Type": "Wait", "Seconds": 1, "Next": "Done"},
                        "Done": {"Type": "Pass", "Parameters": {"n.$": "$.n"}, "End": True},
                    },
                },
                "ResultWriter": {
                    "Resource": "arn:aws:states:::s3:putObject",
                    "Parameters": {"Bucket": "file://out"},
                    "WriterConfig": {"Transformation": "COMPACT", "OutputType": "JSONL"},
                },
                "End": True,
            }
        },
    }


def test_every_item_is_worked_on_once(tmp_path: Path) -> None:
    seed = random.randrange(1 << 30)
    print(f"seed {seed}")  # noqa: T201 - to repeat a run
    chance = random.Random(seed)
    files = tmp_path / "files"
    (files / "in").mkdir(parents=True)
    rows = (f"{n},{'y' if n % 7 == 0 else 'n'}\n" for n in range(ITEMS))
    (files / "in" / "items.csv").write_text("n,nap\n" + "".join(rows))
    with ServerProcess(tmp_path / "data", "--map-files", str(files)) as server:
        with StepFunctionsHttp(server.port) as client:
            machine = client.call("CreateStateMachine", name="m", definition=json.dumps(definition()), roleArn=ROLE)
            arn = client.call("StartExecution", stateMachineArn=machine["stateMachineArn"], input="{}")["executionArn"]
        for _ in range(KILLS):
            time.sleep(chance.uniform(0.02, 0.5))
            server.kill()
            server.start()

        with StepFunctionsHttp(server.port) as client:
            until = time.monotonic() + 120
            while (described := client.call("DescribeExecution", executionArn=arn))["status"] == "RUNNING":
                assert time.monotonic() < until, client.call("ListMapRuns", executionArn=arn)
                time.sleep(0.1)
            assert described["status"] == "SUCCEEDED", described
            output = json.loads(described["output"])
            counts = client.call("DescribeMapRun", mapRunArn=output["MapRunArn"])["executionCounts"]
            children: list[str] = []
            token: dict[str, Any] = {}
            while True:
                page = client.call("ListExecutions", mapRunArn=output["MapRunArn"], maxResults=1000, **token)
                children += [child["name"] for child in page["executions"] if child["status"] == "SUCCEEDED"]
                if "nextToken" not in page:
                    break
                token = {"nextToken": page["nextToken"]}

    assert counts["succeeded"] == counts["total"] == counts["resultsWritten"] == ITEMS
    assert len(set(children)) == len(children) == ITEMS
    manifest = json.loads((files / "out" / output["ResultWriterDetails"]["Key"]).read_text())
    (result,) = manifest["ResultFiles"]["SUCCEEDED"]
    lines = (files / "out" / result["Key"]).read_text().splitlines()
    assert [json.loads(line)["n"] for line in lines] == [str(n) for n in range(ITEMS)]
