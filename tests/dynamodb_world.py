"""DynamoDB for tests: stores whose tables are their own, on an endpoint that is shared."""

from __future__ import annotations

import uuid
from typing import Any

import boto3

from workflow_manager.store.dynamodb import DynamoStore
from workflow_manager.store.dynamodb_calls import DynamoCalls
from workflow_manager.store.dynamodb_tables import init_tables

SESSION = boto3.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name="us-east-1")


def new_prefix() -> str:
    return f"test-{uuid.uuid4().hex[:12]}"


async def empty_store(url: str, **settings: Any) -> DynamoStore:
    calls, prefix = DynamoCalls(session=SESSION, endpoint_url=url), new_prefix()
    await init_tables(calls, prefix, say=lambda _: None)
    return DynamoStore(calls, prefix=prefix, **settings)
