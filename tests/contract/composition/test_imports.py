"""What is imported only where it is needed: boto3, which takes a fifth of a second and 10 MB."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SERVE = """
import asyncio, logging, sys
from pathlib import Path

import httpx

from workflow_manager.api.logging import configure_logging
from workflow_manager.composition import service
from workflow_manager.settings import Settings

MACHINE = {"StartAt": "p", "States": {"p": {"Type": "Pass", "End": True}}}
TARGET = {"x-amz-target": "AWSStepFunctions.ListStateMachines", "content-type": "application/x-amz-json-1.0"}


async def main():
    settings = Settings(port=0, data=Path(sys.argv[1]), backend="embedded", store=sys.argv[2])
    configure_logging(level=logging.WARNING, style="text")
    async with service(settings) as running, httpx.AsyncClient(base_url=running.server.url) as client:
        await client.post("/workflow-definitions", json={"name": "d", "stateMachine": MACHINE})
        started = await client.post("/workflows", json={"workflowDefinition": {"name": "d"}, "namespace": "n"})
        listed = await client.post("/", json={}, headers=TARGET)
        print(started.status_code, len(listed.json()["stateMachines"]))


asyncio.run(main())
print(*sorted(name for name in sys.modules if name == "boto3" or name.startswith("botocore.")))
"""


@pytest.mark.parametrize("store", ["sqlite", "memory"])
def test_the_embedded_engine_is_served_without_boto3(tmp_path: Path, store: str) -> None:
    """Also when state machines are made and requests on the wire are checked: of botocore only data files are read.

    The package itself, which is nearly empty, is where those are found.
    """
    done = subprocess.run(
        [sys.executable, "-c", SERVE, str(tmp_path / "data"), store], capture_output=True, text=True, check=False
    )

    assert (done.stdout, done.stderr) == ("200 1\n\n", "")
