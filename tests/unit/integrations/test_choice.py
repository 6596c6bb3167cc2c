"""Which integrations a server has, by its settings."""

from __future__ import annotations

import json
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import msgspec
import pytest
from stand_ins import called

from workflow_manager.engine.tasks.integrations import IntegrationFailed
from workflow_manager.integrations.choice import IntegrationSettings, UnusableIntegrations, choose


@pytest.fixture(autouse=True)
def no_endpoints(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_LAMBDA", "AWS_ENDPOINT_URL_SQS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


async def chosen(**settings: Any) -> set[str]:
    async with AsyncExitStack() as stack:
        return {name for name in choose(IntegrationSettings(**settings), stack) if not name.startswith("aws-sdk:")}


async def test_nothing_without_a_setting() -> None:
    assert await chosen() == set()


async def test_registered_functions_alone() -> None:
    assert await chosen(functions={"f": "json:loads"}) == {"lambda"}


async def test_an_endpoint_for_functions() -> None:
    assert await chosen(lambda_endpoint="http://127.0.0.1:1", aws="off") == {"lambda"}


async def test_with_an_endpoint_for_functions_no_role_is_assumed_at_aws() -> None:
    async with AsyncExitStack() as stack:
        functions = choose(IntegrationSettings(lambda_endpoint="http://127.0.0.1:1", aws="off"), stack)["lambda"]
        call = msgspec.structs.replace(
            called("lambda", "invoke", {"FunctionName": "f"}), role_arn="arn:aws:iam::1:role/r"
        )

        with pytest.raises(IntegrationFailed) as failed:
            await functions.invoke(call)

    assert str(failed.value.cause).endswith("Connect to 127.0.0.1 failed: Connection refused")


async def test_an_endpoint_of_one_service(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_SQS", "http://127.0.0.1:1")
    assert await chosen() == {"sqs"}
    assert await chosen(aws="off") == set()


async def test_connections(tmp_path: Path) -> None:
    file = tmp_path / "connections.json"
    file.write_text(json.dumps({"c": {"AuthorizationType": "API_KEY", "AuthParameters": {}}}))

    assert await chosen(connections=str(file)) == {"http"}


async def test_all_of_aws() -> None:
    assert await chosen(aws="on") >= {"lambda", "http", "apigateway", "dynamodb", "sqs", "glue", "batch"}


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"functions": {"f": "no_such_module:f"}}, "lambda_functions: .*no_such_module"),
        ({"connections": "no-such-file"}, "http_connections: no-such-file cannot be read"),
    ],
)
async def test_settings_that_cannot_be_used(settings: dict[str, Any], why: str) -> None:
    with pytest.raises(UnusableIntegrations, match=why):
        await chosen(**settings)


async def test_a_file_that_is_none_of_connections(tmp_path: Path) -> None:
    file = tmp_path / "connections.json"
    file.write_text('{"c": {}}')

    with pytest.raises(UnusableIntegrations, match="AuthorizationType"):
        await chosen(connections=str(file))
