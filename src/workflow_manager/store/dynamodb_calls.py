"""Calls to DynamoDB: boto3's low-level client in a bounded pool of threads, its errors as ours.

boto3 blocks, so calls run in threads; its pool of connections has one for each. Throttling is met by botocore's adaptive
retries. How many calls may wait for a thread is bounded too: past that a caller is told at once, rather than kept in a line that
only grows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from threading import BoundedSemaphore
from typing import TYPE_CHECKING, Any

import boto3
from botocore import exceptions
from botocore.config import Config

from workflow_manager.model.errors import StorageUnavailable

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

WAITING_PER_THREAD = 64
CONNECT_SECONDS = 2.0
READ_SECONDS = 5.0
ATTEMPTS = 4
"""How long a call may wait for a connection and for its answer, each try, and how many tries. Calls take milliseconds."""

_REFUSED = frozenset(
    {
        "AccessDeniedException",
        "ExpiredTokenException",
        "IncompleteSignatureException",
        "InvalidSignatureException",
        "MissingAuthenticationTokenException",
        "UnrecognizedClientException",
    }
)
_BUSY = frozenset(
    {
        "LimitExceededException",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "ThrottlingException",
        "TransactionConflictException",
        "TransactionInProgressException",
    }
)


class ConditionFailed(Exception):
    """The condition of a write does not hold, or a transaction met another one: nothing was written.

    ``reasons`` has a code for each item of a transaction ("None" where that item is not why).
    """

    def __init__(self, reasons: tuple[str, ...] = ()) -> None:
        super().__init__(", ".join(reasons))
        self.reasons = reasons


class DynamoCalls:
    """Makes calls. ``region``, ``profile`` and ``endpoint_url`` default to botocore's own chain of variables and files."""

    def __init__(
        self,
        *,
        region: str | None = None,
        profile: str | None = None,
        endpoint_url: str | None = None,
        threads: int = 16,
        session: boto3.Session | None = None,
    ) -> None:
        """Raises StorageUnavailable if there is no such profile, or no region."""
        config = Config(
            connect_timeout=CONNECT_SECONDS,
            max_pool_connections=threads,
            parameter_validation=False,  # what is sent is made here, and the check takes longer than the rest
            read_timeout=READ_SECONDS,
            retries={"mode": "adaptive", "total_max_attempts": ATTEMPTS},
        )
        try:
            session = session or boto3.Session(profile_name=profile, region_name=region)
            self.client: DynamoDBClient = session.client("dynamodb", endpoint_url=endpoint_url, config=config)
        except exceptions.NoRegionError:
            raise StorageUnavailable(
                "DynamoDB cannot be called: You must specify a region; name one with --region or AWS_REGION"
            ) from None
        except (exceptions.BotoCoreError, ValueError) as error:
            raise StorageUnavailable(f"DynamoDB cannot be called: {error}") from None
        self._threads = ThreadPoolExecutor(threads, "dynamodb")
        self._room = BoundedSemaphore(threads * (1 + WAITING_PER_THREAD))

    async def call(self, operation: str, /, **request: Any) -> dict[str, Any]:
        """One operation, by its method's name. Raises ConditionFailed, StorageUnavailable."""
        if not self._room.acquire(blocking=False):
            raise StorageUnavailable("too many calls wait for DynamoDB; try again, or raise --dynamodb-threads")
        try:
            # in the caller's context: its request's id is in what a thread logs, its span is the parent of the call's
            call = copy_context().run
            future = self._threads.submit(call, _call, getattr(self.client, operation), request)
        except RuntimeError:  # the pool is shut down
            self._room.release()
            raise StorageUnavailable("the server is stopping; nothing was written") from None
        future.add_done_callback(self._leave)
        return await asyncio.wrap_future(future)

    def _leave(self, _: Future[Any]) -> None:
        self._room.release()

    async def close(self) -> None:
        """Wait for running calls, and drop those that have not begun."""
        await asyncio.to_thread(self._threads.shutdown, cancel_futures=True)
        self.client.close()


def _call(method: Callable[..., dict[str, Any]], request: dict[str, Any]) -> dict[str, Any]:
    try:
        return method(**request)
    except exceptions.ClientError as error:
        raise _ours(error, request) from error
    except (exceptions.NoCredentialsError, exceptions.PartialCredentialsError, exceptions.TokenRetrievalError) as error:
        raise StorageUnavailable(
            f"DynamoDB cannot be called: {error}; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY or name a profile"
        ) from error
    except exceptions.BotoCoreError as error:  # no connection, no answer in time, or one that is not AWS's
        raise StorageUnavailable(f"DynamoDB could not be reached: {error}") from error


def _ours(error: exceptions.ClientError, request: dict[str, Any]) -> Exception:
    answer: dict[str, Any] = dict(error.response)
    code = answer.get("Error", {}).get("Code", "")
    message = answer.get("Error", {}).get("Message", "") or str(error)
    if code == "ConditionalCheckFailedException":
        return ConditionFailed()
    if code == "TransactionCanceledException":
        reasons = answer.get("CancellationReasons", [])
        codes = tuple(reason.get("Code", "None") for reason in reasons) or tuple(_codes_in(message))
        if set(codes) <= {"None", "ConditionalCheckFailed", "TransactionConflict"}:
            return ConditionFailed(codes)
        return StorageUnavailable(f"DynamoDB refused a transaction: {message}")
    if code == "TransactionConflictException":
        return ConditionFailed(("TransactionConflict",))
    if code == "ResourceNotFoundException":
        return TableNotFound(request.get("TableName", ""))
    if code == "UnknownOperationException":
        return OperationUnknown(message)
    if code in _REFUSED:
        return StorageUnavailable(f"DynamoDB refused the call: {message}; check the credentials and their permissions")
    if code in _BUSY:
        return StorageUnavailable(f"DynamoDB is asked for more than it allows at the moment: {message}")
    return StorageUnavailable(f"DynamoDB answered {code or 'an error'}: {message}")


def _codes_in(message: str) -> list[str]:
    """The reasons as the message lists them: "... [None, ConditionalCheckFailed]"."""
    inside = message.rpartition("[")[2].partition("]")[0]
    return [code.strip() for code in inside.split(",") if code.strip()]


class OperationUnknown(StorageUnavailable):
    """What stands in for DynamoDB does not offer the operation."""


class TableNotFound(StorageUnavailable):
    """A table is missing."""

    def __init__(self, table: str) -> None:
        super().__init__(
            f"DynamoDB has no table {table!r}; make it with wfm init-store --store dynamodb"
            if table
            else "a table is missing in DynamoDB; make it with wfm init-store --store dynamodb"
        )
