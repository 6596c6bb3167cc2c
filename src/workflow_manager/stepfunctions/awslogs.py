"""Log groups in Amazon CloudWatch Logs, over boto3."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TypeVar

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from workflow_manager.metrics import Calls
from workflow_manager.stepfunctions import errors
from workflow_manager.stepfunctions.awserrors import translated
from workflow_manager.threads import NoThread, Threads

if TYPE_CHECKING:
    from mypy_boto3_logs import CloudWatchLogsClient

T = TypeVar("T")

THREADS = 4
QUEUE = 200
"""A log group is made once for every state machine, and CloudWatch Logs takes some five such calls a second."""


class AwsLogGroups:
    """Implements LogGroups. Calls are told to ``counted``, if given."""

    def __init__(
        self, session: boto3.Session, *, endpoint_url: str | None = None, counted: Calls | None = None
    ) -> None:
        config = Config(
            connect_timeout=3,
            read_timeout=8,
            max_pool_connections=THREADS,
            retries={"mode": "adaptive", "total_max_attempts": 4},
        )
        self._client: CloudWatchLogsClient = session.client("logs", endpoint_url=endpoint_url, config=config)
        self._threads = Threads(THREADS, QUEUE, "logs")
        self._counted = counted

    async def close(self) -> None:
        await asyncio.to_thread(self._threads.shutdown, wait=True)
        self._client.close()

    async def ensure(self, name: str, *, retention_days: int, tags: Mapping[str, str]) -> None:
        try:
            await self._threads.run(lambda: self._ensure(name, retention_days, dict(tags)))
        except NoThread as refusal:
            raise errors.NotSent(f"the log group {name} was not made: {refusal}; try again in a moment") from None

    def _ensure(self, name: str, retention_days: int, tags: dict[str, str]) -> None:
        """A group that is there is completed, too: whoever made it may have been stopped before it set the retention."""
        client = self._client
        try:
            self._call("CreateLogGroup", lambda: client.create_log_group(logGroupName=name, tags=tags))
        except errors.StepFunctionsError as error:
            if error.code != "ResourceAlreadyExistsException":
                raise
            found = self._call(
                "DescribeLogGroups", lambda: client.describe_log_groups(logGroupNamePrefix=name, limit=1)
            )
            if any(group["logGroupName"] == name and "retentionInDays" in group for group in found["logGroups"]):
                return
        self._call(
            "PutRetentionPolicy",
            lambda: client.put_retention_policy(logGroupName=name, retentionInDays=retention_days),
        )

    def _call(self, operation: str, call: Callable[[], T]) -> T:
        """One blocking call. Raises StepFunctionsError."""
        outcome, began = "ok", time.perf_counter()
        try:
            return call()
        except (ClientError, BotoCoreError) as error:
            ours = translated(operation, error, "CloudWatch Logs")
            outcome = ours.code
            raise ours from error
        finally:
            if self._counted is not None:
                self._counted.ended(operation, outcome, time.perf_counter() - began)
