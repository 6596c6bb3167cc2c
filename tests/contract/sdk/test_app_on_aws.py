"""The same program with ``backend="aws"``: through boto3, against a server that speaks the Step Functions API."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from conftest import PATIENCE, MakeApp
from sdk_definitions import definition, task

from workflow_manager.composition import service
from workflow_manager.sdk import App, Context, WorkflowFailed
from workflow_manager.settings import Settings


@pytest.fixture
async def endpoint(tmp_path: Path) -> AsyncIterator[str]:
    async with service(Settings(port=0, data=tmp_path / "server")) as running:
        yield running.server.url


@pytest.fixture
def app(make_app: MakeApp, endpoint: str, monkeypatch: pytest.MonkeyPatch) -> App:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "local")
    app = make_app(
        backend="aws",
        aws_endpoint_url=endpoint,
        region="us-east-1",
        role_arn="arn:aws:iam::000000000000:role/r",
    )

    @app.task
    def reserve(context: Context, order: dict[str, Any]) -> dict[str, Any]:
        if order["order"] == 0:
            raise LookupError("no such order")
        return {**order, "attempt": context.attempt}

    @app.task
    async def ship(order: dict[str, Any]) -> dict[str, Any]:
        return {"shipped": order}

    app.load(definition("fulfil", Reserve=task("reserve", Next="Ship"), Ship=task("ship")))
    return app


async def test_the_same_program(app: App) -> None:
    async with app:
        wf = await app.start_async("fulfil", {"order": 7}, tags={"customer": "x"})
        assert await wf.result_async(PATIENCE) == {"shipped": {"order": 7, "attempt": 1}}

        failed = await app.start_async("fulfil", {"order": 0})
        with pytest.raises(WorkflowFailed, match="no such order"):
            await failed.result_async(PATIENCE)
        assert [each.id async for each in app.workflows_async("fulfil", tags={"customer": "x"})] == [wf.id]
        again = await failed.resume_async("Ship", input={"order": 0})
        assert await again.result_async(PATIENCE) == {"shipped": {"order": 0}}
