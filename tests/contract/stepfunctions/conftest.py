"""The embedded engine, by itself and as a client of AWS sees it."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import boto3
import pytest
from embedded_world import World, running

from workflow_manager.clock import VirtualClock
from workflow_manager.stepfunctions.aws import AwsStepFunctions

sys.path.insert(0, str(Path(__file__).parents[1] / "wire"))  # the tests of the wire know how to serve it
from serving import served, session


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
async def world(tmp_path: Path, clock: VirtualClock) -> AsyncIterator[World]:
    async with running(tmp_path / "e.db", clock) as world:
        yield world


@pytest.fixture
async def patient(tmp_path: Path, clock: VirtualClock) -> AsyncIterator[World]:
    """An engine whose polls wait as long as a test may take."""
    async with running(tmp_path / "e.db", clock, long_poll_seconds=30) as world:
        yield world


@pytest.fixture(scope="session")
def boto() -> boto3.Session:
    """One for all tests: reading the service's model takes longer than most of them."""
    return session()


@pytest.fixture(params=["embedded", "aws over the wire"])
async def any_world(request: pytest.FixtureRequest, world: World, boto: boto3.Session) -> AsyncIterator[World]:
    """Each implementation of the seam."""
    if request.param == "embedded":
        yield world
        return
    async with (
        served(world.engine) as url,
        AwsStepFunctions(session=boto, endpoint_url=url, threads=4, polls=4) as world.api,
    ):
        yield world
