"""Calls to DynamoDB: boto3's low-level client in a bounded pool of threads, its errors as ours.

boto3 blocks, so calls run in threads (threads.py); its pool of connections has one for each. Throttling is met by botocore's
adaptive retries, which end before whoever waits gives up (deadline.py).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import boto3
from botocore import exceptions
from botocore.config import Config

from workflow_manager.deadline import end_in_time
from workflow_manager.metrics import Calls
from workflow_manager.model.errors import StorageUnavailable
from workflow_manager.sender import send_leanly
from workflow_manager.threads import ENDING, NoThread, Threads

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

WAITING_PER_THREAD = 64
CONNECT_SECONDS = 2.0
READ_SECONDS = 3.0
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
        counted: Calls | None = None,
    ) -> None:
        """Calls are told to ``counted``, if given. Raises StorageUnavailable if there is no such profile, or no region."""
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
        send_leanly(
            self.client, connect_seconds=CONNECT_SECONDS, read_seconds=READ_SECONDS, connections=threads
        )  # which ends in time, too
        end_in_time(self.client, attempts=ATTEMPTS)
        self._threads = Threads(threads, threads * WAITING_PER_THREAD, "dynamodb")
        self._counted = counted
        if counted is not None:
            counted.watch(lambda: self._threads.inside)

    async def call(self, operation: str, /, **request: Any) -> dict[str, Any]:
        """One operation, by its method's name. Raises ConditionFailed, StorageUnavailable."""
        method = getattr(self.client, operation)
        try:
            return await self._threads.run(lambda: self._call(operation, method, request))
        except NoThread as refusal:
            if str(refusal) == ENDING:
                raise StorageUnavailable("the server is stopping; nothing was written") from None
            if self._counted is not None:
                self._counted.refused()
            raise StorageUnavailable(
                "too many calls wait for DynamoDB; try again, or raise --dynamodb-threads"
            ) from None

    def _call(self, operation: str, method: Callable[..., dict[str, Any]], request: dict[str, Any]) -> dict[str, Any]:
        """One blocking call, counted."""
        outcome, attempts, began = "ok", 1, time.perf_counter()
        try:
            answer = _called(method, request)
            attempts += answer.get("ResponseMetadata", {}).get("RetryAttempts", 0)
        except Exception as error:
            cause = error.__cause__
            answered: dict[str, Any] = cause.response if isinstance(cause, exceptions.ClientError) else {}  # type: ignore[assignment]
            outcome = answered.get("Error", {}).get("Code") or type(cause or error).__name__
            attempts += answered.get("ResponseMetadata", {}).get("RetryAttempts", 0)
            raise
        else:
            return answer
        finally:
            if self._counted is not None:
                name = "".join(word.title() for word in operation.split("_"))  # as the API spells it
                self._counted.ended(name, outcome, time.perf_counter() - began, attempts=attempts)

    async def close(self) -> None:
        """Wait for running calls, and drop those that have not begun."""
        await asyncio.to_thread(self._threads.shutdown, wait=True)
        self.client.close()


def _called(method: Callable[..., dict[str, Any]], request: dict[str, Any]) -> dict[str, Any]:
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
