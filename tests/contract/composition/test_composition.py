"""A running service from its settings: backend and store are chosen independently, and what is missing is one sentence."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest
from botocore.exceptions import ClientError

from workflow_manager import composition
from workflow_manager.aws import configured
from workflow_manager.composition import service
from workflow_manager.engine.maps.object_stores import S3, ObjectsFailed
from workflow_manager.integrations import aws
from workflow_manager.manager import ManagerSettings
from workflow_manager.settings import Settings, SettingsError

ROLE = "arn:aws:iam::123456789012:role/workflow-manager"
PASS: dict[str, Any] = {"StartAt": "p", "States": {"p": {"Type": "Pass", "End": True}}}


@pytest.fixture(autouse=True)
def no_aws_here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing of AWS's configuration is there, and nobody is asked for it."""
    for name in ("AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_SFN"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))


@pytest.fixture
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "any")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "any")


def settings(folder: Path, **fields: Any) -> Settings:
    return Settings(**{"port": 0, "data": folder / "data", **fields})


async def run(url: str) -> dict[str, Any]:
    """Define and run a workflow to its end over HTTP."""
    async with httpx.AsyncClient(base_url=url) as client:
        await client.post("/workflow-definitions", json={"name": "d", "stateMachine": PASS})
        answer = await client.post("/workflows", json={"workflowDefinition": {"name": "d"}, "namespace": "ns"})
        assert answer.status_code == 200, answer.text
        async with asyncio.timeout(10):
            while True:
                found: dict[str, Any] = (await client.get(f"/workflows/{answer.json()['id']}")).json()
                if found["status"] not in ("queued", "running"):
                    return found
                await asyncio.sleep(0.02)


@pytest.mark.parametrize("store", ["sqlite", "memory"])
@pytest.mark.parametrize("named_by", ["setting", "AWS_ENDPOINT_URL_SFN", "AWS_ENDPOINT_URL"])
@pytest.mark.usefixtures("credentials")
async def test_the_aws_backend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, store: str, named_by: str) -> None:
    """Against another service's wire, found by the setting or by botocore's own variables."""
    elsewhere = settings(tmp_path / "sfn", region="eu-west-1", account_id="123456789012")
    async with service(elsewhere) as sfn:
        if named_by != "setting":
            monkeypatch.setenv(named_by, sfn.server.url)
        monkeypatch.setenv("AWS_REGION", "eu-west-1")
        ours = settings(
            tmp_path,
            backend="aws",
            store=store,
            role_arn=ROLE,
            aws_endpoint_url=sfn.server.url if named_by == "setting" else "",
        )
        async with service(ours) as running:
            found = await run(running.server.url)
            async with httpx.AsyncClient() as client:
                metrics = (await client.get(f"{running.server.url}/_metrics")).text
            boto = boto3.client("stepfunctions", endpoint_url=running.server.url, region_name="eu-west-1")
            with pytest.raises(ClientError, match="Leave out endpoint_url"):
                await asyncio.to_thread(boto.list_state_machines)
            boto.close()

    assert (found["status"], [job["state"] for job in found["jobs"]]) == ("succeeded", [])
    assert 'wfm_aws_calls_total{operation="StartExecution",outcome="ok",service="stepfunctions"} 1.0' in metrics
    assert 'wfm_aws_call_seconds_count{operation="DescribeExecution",service="stepfunctions"}' in metrics
    assert 'wfm_aws_calls_under_way{service="stepfunctions"} 0.0' in metrics
    assert (tmp_path / "data").exists() == (store == "sqlite")


@pytest.mark.parametrize("store", ["sqlite", "memory"])
async def test_the_embedded_backend(tmp_path: Path, store: str) -> None:
    async with service(settings(tmp_path, store=store)) as running:
        assert (await run(running.server.url))["status"] == "succeeded"
        boto = boto3.client(
            "stepfunctions",
            endpoint_url=running.server.url,
            region_name="us-east-1",
            aws_access_key_id="any",
            aws_secret_access_key="any",
        )
        machines = (await asyncio.to_thread(boto.list_state_machines))["stateMachines"]
        boto.close()

    assert [machine["stateMachineArn"] for machine in machines] == [
        "arn:aws:states:us-east-1:000000000000:stateMachine:ns--d--0--p"
    ]


@pytest.mark.parametrize(
    ("aws_integrations", "environ", "called"),
    [
        ("off", {"AWS_ENDPOINT_URL_S3": "http://127.0.0.1:1"}, False),
        ("auto", {}, False),
        ("auto", {"AWS_ENDPOINT_URL_SQS": "http://127.0.0.1:1"}, False),
        ("auto", {"AWS_ENDPOINT_URL_S3": "http://127.0.0.1:1"}, True),
        ("auto", {"AWS_ENDPOINT_URL": "http://127.0.0.1:1"}, True),
        ("on", {}, True),
    ],
)
def test_maps_call_s3_only_where_tasks_may(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    aws_integrations: Any,
    environ: dict[str, str],
    called: bool,
) -> None:
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    stores = composition._objects(settings(tmp_path, aws_integrations=aws_integrations), ManagerSettings())
    if called:
        assert isinstance(stores.of("orders"), S3)
    else:
        with pytest.raises(ObjectsFailed, match="aws_integrations"):
            stores.of("orders")


@pytest.mark.parametrize(
    ("aws_integrations", "environ", "why"),
    [
        ("auto", {"AWS_ENDPOINT_URL": "http://127.0.0.1:1"}, "Could not connect to the endpoint"),
        ("on", {}, "Unable to load AWS credentials"),
    ],
)
def test_maps_need_no_credentials_for_an_emulator(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, aws_integrations: Any, environ: dict[str, str], why: str
) -> None:
    for name, value in {"AWS_EC2_METADATA_DISABLED": "true", **environ}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(aws, "ATTEMPTS", 1)
    stores = composition._objects(settings(tmp_path, aws_integrations=aws_integrations), ManagerSettings())

    with pytest.raises(ObjectsFailed, match=why):
        stores.of("orders").open("orders", "a.csv", {})


NEEDS = "the backend aws needs "
REGION = "a region (--region, AWS_REGION, or one in the profile)"
ROLE_ARN = "the ARN of the role that state machines run with (--role-arn)"
CREDENTIALS = "credentials (AWS_PROFILE, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a role of its host)"


@pytest.mark.parametrize(
    ("fields", "environ", "message"),
    [
        pytest.param({}, {}, f"{NEEDS}{REGION}, {ROLE_ARN} and {CREDENTIALS}", id="all"),
        pytest.param({"role_arn": ROLE}, {"AWS_REGION": "us-east-1"}, NEEDS + CREDENTIALS, id="credentials"),
        pytest.param(
            {"region": "us-east-1", "role_arn": ROLE},
            {"AWS_ACCESS_KEY_ID": "a"},
            f"{NEEDS}credentials that can be used ",
            id="half of the credentials",
        ),
        pytest.param(
            {"aws_profile": "nobody"},
            {},
            "AWS's configuration cannot be used: The config profile (nobody) could not be found",
            id="profile",
        ),
    ],
)
def test_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fields: dict[str, str], environ: dict[str, str], message: str
) -> None:
    for name, value in environ.items():
        monkeypatch.setenv(name, value)

    with pytest.raises(SettingsError) as missing:
        configured(settings(tmp_path, backend="aws", **fields))

    assert str(missing.value).startswith(message)
    assert "\n" not in str(missing.value)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        pytest.param({"role_arn": "me"}, "--role-arn must be the ARN of a role, as arn:aws:iam::", id="no ARN"),
        pytest.param(
            {"role_arn": ROLE, "account_id": "210987654321"},
            "--account-id is 210987654321, but the role arn:aws:iam::123456789012:role/workflow-manager is of another",
            id="another account",
        ),
    ],
)
@pytest.mark.usefixtures("credentials")
def test_what_does_not_fit(tmp_path: Path, fields: dict[str, str], message: str) -> None:
    with pytest.raises(SettingsError, match="^" + message):
        configured(settings(tmp_path, backend="aws", region="us-east-1", **fields))


@pytest.mark.usefixtures("credentials")
async def test_an_address_that_is_none(tmp_path: Path) -> None:
    bad = settings(tmp_path, backend="aws", region="us-east-1", role_arn=ROLE, aws_endpoint_url="http://a b")

    with pytest.raises(SettingsError, match="cannot be used: Invalid endpoint: http://a b"):
        async with service(bad):
            raise AssertionError


@pytest.mark.parametrize(
    ("environ", "written", "region"),
    [
        pytest.param({"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "us-west-1"}, "", "eu-west-1", id="AWS_REGION"),
        pytest.param({"AWS_DEFAULT_REGION": "us-west-1"}, "", "us-west-1", id="AWS_DEFAULT_REGION"),
        pytest.param({}, "[default]\nregion = ap-south-1\n", "ap-south-1", id="the file"),
        pytest.param({"AWS_PROFILE": "p"}, "[profile p]\nregion = sa-east-1\n", "sa-east-1", id="the profile's"),
    ],
)
@pytest.mark.usefixtures("credentials")
def test_where_the_region_comes_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, environ: dict[str, str], written: str, region: str
) -> None:
    (tmp_path / "config").write_text(written)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)

    assert configured(settings(tmp_path, backend="aws", role_arn=ROLE)).region == region


@pytest.mark.usefixtures("credentials")
def test_account_and_partition_are_the_roles(tmp_path: Path) -> None:
    role = "arn:aws-cn:iam::123456789012:role/path/workflow-manager"

    aws = configured(settings(tmp_path, backend="aws", region="cn-north-1", role_arn=role))

    assert (aws.account_id, aws.partition) == ("123456789012", "aws-cn")
