"""Log groups over boto3: made once, completed when somebody else was stopped in the middle of making one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from workflow_manager.metrics import Metrics
from workflow_manager.stepfunctions import errors
from workflow_manager.stepfunctions.awslogs import AwsLogGroups

NAME = "/aws/vendedlogs/states/ns--d--0--w"
TAGS = {"application": "workflow-manager"}
CREATE = {"logGroupName": NAME, "tags": TAGS}
FIND = {"logGroupNamePrefix": NAME, "limit": 1}
RETAIN = {"logGroupName": NAME, "retentionInDays": 7}


@pytest.fixture
async def logs() -> AsyncIterator[tuple[AwsLogGroups, Stubber, Metrics]]:
    session = boto3.Session(aws_access_key_id="any", aws_secret_access_key="any", region_name="us-east-1")
    metrics = Metrics()
    groups = AwsLogGroups(session, counted=metrics.calls("logs"))
    with Stubber(groups._client) as stubber:
        yield groups, stubber, metrics
        stubber.assert_no_pending_responses()
    await groups.close()


async def ensure(groups: AwsLogGroups) -> None:
    await groups.ensure(NAME, retention_days=7, tags=TAGS)


async def test_one_that_is_not_there(logs: tuple[AwsLogGroups, Stubber, Metrics]) -> None:
    groups, stubber, metrics = logs
    stubber.add_response("create_log_group", {}, CREATE)
    stubber.add_response("put_retention_policy", {}, RETAIN)

    await ensure(groups)

    assert b'wfm_aws_calls_total{operation="CreateLogGroup",outcome="ok",service="logs"} 1.0' in metrics.render()


@pytest.mark.parametrize(
    ("found", "completed"),
    [
        pytest.param([{"logGroupName": NAME, "retentionInDays": 30}], False, id="with a retention, which stays"),
        pytest.param([{"logGroupName": NAME}], True, id="without one"),
        pytest.param([{"logGroupName": NAME + "x", "retentionInDays": 30}], True, id="another's retention"),
    ],
)
async def test_one_that_is_there(
    logs: tuple[AwsLogGroups, Stubber, Metrics], found: list[dict[str, Any]], completed: bool
) -> None:
    groups, stubber, _ = logs
    stubber.add_client_error("create_log_group", "ResourceAlreadyExistsException", expected_params=CREATE)
    stubber.add_response("describe_log_groups", {"logGroups": found}, FIND)
    if completed:
        stubber.add_response("put_retention_policy", {}, RETAIN)

    await ensure(groups)


async def test_no_permission(logs: tuple[AwsLogGroups, Stubber, Metrics]) -> None:
    groups, stubber, metrics = logs
    stubber.add_client_error(
        "create_log_group", "AccessDeniedException", "not authorized to perform: logs:CreateLogGroup"
    )

    with pytest.raises(errors.AccessDeniedException, match="logs:CreateLogGroup"):
        await ensure(groups)

    assert b'outcome="AccessDeniedException",service="logs"} 1.0' in metrics.render()
