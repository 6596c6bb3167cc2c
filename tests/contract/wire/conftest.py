"""The embedded engine behind the wire on a real server, and what speaks to it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from serving import served, session

from workflow_manager.database import Database
from workflow_manager.engine import EmbeddedStepFunctions
from workflow_manager.stepfunctions.aws import AwsStepFunctions
from workflow_manager.stepfunctions.protocol import StepFunctions


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[EmbeddedStepFunctions]:
    database = Database(tmp_path / "workflows.db", synchronous="OFF")
    engine = EmbeddedStepFunctions(database, long_poll_seconds=0.2)
    await engine.start()
    yield engine
    await engine.close()
    await database.close()


@pytest.fixture
async def url(engine: EmbeddedStepFunctions) -> AsyncIterator[str]:
    async with served(engine) as url:
        yield url


@pytest.fixture
def boto(url: str) -> Any:
    """A plain boto3 client, as users make them."""
    client = session().client("stepfunctions", endpoint_url=url)
    yield client
    client.close()


@pytest.fixture(params=["embedded", "aws over the wire"])
async def stepfunctions(
    request: pytest.FixtureRequest, engine: EmbeddedStepFunctions, url: str
) -> AsyncIterator[StepFunctions]:
    """Each implementation of the seam: the engine itself, and the engine as a client of AWS sees it."""
    if request.param == "embedded":
        yield engine
        return
    async with AwsStepFunctions(session=session(), endpoint_url=url, threads=4, polls=4) as client:
        yield client
