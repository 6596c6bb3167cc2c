"""The activity service over boto3: any endpoint that speaks the Step Functions API."""

from __future__ import annotations

import ipaddress
import os
import threading
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import boto3
import botocore.session
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    NoCredentialsError,
    NoRegionError,
    ParamValidationError,
    PartialCredentialsError,
)

from workflow_manager.worker.connections import keep_connections
from workflow_manager.worker.service import ActivityGone, Invalid, Refused, ServiceError, TaskGone
from workflow_manager.worker.task import Task

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient

DEFAULT_REGION = "us-east-1"
POLL_READ_SECONDS = 75.0
"""GetActivityTask answers within 60 seconds; its reference asks for socket timeouts of at least 65."""

READ_SECONDS = 15.0
CONNECT_SECONDS = 5.0
HANG_UP_SECONDS = 2.0
"""How long the endpoint may take to end polls when it is told that their poller leaves."""

TASK_GONE = frozenset({"TaskTimedOut", "TaskDoesNotExist", "InvalidToken"})
CONFIGURATION = (NoCredentialsError, PartialCredentialsError, NoRegionError, ParamValidationError)
"""Errors of botocore that only a person can mend."""

INVALID = frozenset({"InvalidOutput", "ValidationException", "SerializationException"})
THROTTLED = frozenset(
    {"ThrottlingException", "Throttling", "TooManyRequestsException", "RequestLimitExceeded", "SlowDown"}
)


class SfnActivity:
    """One activity, through two clients: one for polls, which can be cut off, and one for everything else."""

    def __init__(self, polls: SFNClient, calls: SFNClient, *, activity_name: str, worker_name: str) -> None:
        self._polls = polls
        self._calls = calls
        self._connections = keep_connections(polls)
        self._activity_name = activity_name
        self._worker_name = worker_name
        self._activity_arn = ""
        self._polling = 0
        self._polling_changed = threading.Condition()

    def register(self) -> None:
        try:
            answer = self._calls.create_activity(name=self._activity_name)
        except (BotoCoreError, ClientError) as error:
            raise _translated(error) from error
        if "activityArn" not in answer:
            raise Refused("the answer to CreateActivity names no activity: is this a Step Functions endpoint?")
        self._activity_arn = answer["activityArn"]

    def poll(self) -> Task | None:
        with self._polling_changed:
            self._polling += 1
        try:
            answer = self._polls.get_activity_task(activityArn=self._activity_arn, workerName=self._worker_name)
        except (BotoCoreError, ClientError) as error:
            raise _translated(error) from error
        finally:
            with self._polling_changed:
                self._polling -= 1
                self._polling_changed.notify_all()
        token = answer.get("taskToken")
        headers = answer["ResponseMetadata"].get("HTTPHeaders", {})
        attempt = headers.get("x-wfm-attempt", "")
        return (
            Task(
                token,
                answer.get("input", ""),
                state=unquote(headers.get("x-wfm-state", "")) or None,
                attempt=int(attempt) if attempt.isdecimal() else None,
            )
            if token
            else None
        )

    def close_polls(self) -> None:
        self._connections.hang_up()
        with self._polling_changed:
            self._polling_changed.wait_for(lambda: self._polling == 0, timeout=HANG_UP_SECONDS)
        self._connections.cut()

    def succeed(self, task: Task, output: str) -> None:
        try:
            self._calls.send_task_success(taskToken=task.token, output=output)
        except (BotoCoreError, ClientError) as error:
            raise _translated(error) from error

    def fail(self, task: Task, error: str, cause: str) -> None:
        try:
            self._calls.send_task_failure(taskToken=task.token, error=error, cause=cause)
        except (BotoCoreError, ClientError) as refusal:
            raise _translated(refusal) from refusal

    def heartbeat(self, task: Task) -> None:
        try:
            self._calls.send_task_heartbeat(taskToken=task.token)
        except (BotoCoreError, ClientError) as error:
            raise _translated(error) from error


def connect(
    *,
    activity_name: str,
    worker_name: str,
    endpoint_url: str | None,
    region: str | None,
    concurrency: int,
    profile: str | None = None,
) -> SfnActivity:
    """Make the service. Nothing is sent yet. Raises Refused when the configuration cannot work, saying what to do.

    On a loopback endpoint nothing needs to be configured: credentials are made up when there are none (and not looked for
    at the addresses of a cloud), and proxies are not used. With any endpoint URL, the region is us-east-1 unless configured.
    """
    endpoint = endpoint_url or os.environ.get("AWS_ENDPOINT_URL_SFN") or os.environ.get("AWS_ENDPOINT_URL")
    local = endpoint is not None and is_loopback(endpoint)
    try:
        core = botocore.session.Session(profile=profile)
        if local:
            core.get_component("credential_provider").remove("iam-role")
            if core.get_credentials() is None:
                core.set_credentials("local", "local")
        region = region or os.environ.get("AWS_REGION") or core.get_config_variable("region")
        session = boto3.Session(botocore_session=core, region_name=region or (DEFAULT_REGION if endpoint else None))

        def client(read_seconds: float, connections: int) -> SFNClient:
            config = Config(
                connect_timeout=CONNECT_SECONDS,
                read_timeout=read_seconds,
                max_pool_connections=connections,
                retries={"mode": "standard", "total_max_attempts": 1},  # the loop asks again: it knows when to stop
                tcp_keepalive=True,
                proxies={} if local else None,
            )
            made: SFNClient = session.client("stepfunctions", endpoint_url=endpoint_url, config=config)
            return made

        polls, calls = client(POLL_READ_SECONDS, concurrency), client(READ_SECONDS, 2 * concurrency)
    except BotoCoreError as error:
        raise Refused(_sentence(error)) from error
    except ValueError as error:
        raise Refused(f"the endpoint URL {endpoint!r} cannot be used: {_sentence(error)}") from error
    return SfnActivity(polls, calls, activity_name=activity_name, worker_name=worker_name)


def is_loopback(url: str) -> bool:
    """Whether an endpoint is on this machine: localhost, a name below it, or a loopback address."""
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        return False
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _translated(error: BotoCoreError | ClientError) -> ServiceError:
    """The error of boto3 as one of ours; what is not known to be permanent counts as passing."""
    if not isinstance(error, ClientError):
        return (Refused if isinstance(error, CONFIGURATION) else ServiceError)(_sentence(error))
    code = error.response.get("Error", {}).get("Code", "")
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500)
    sentence = f"{code}: {error.response.get('Error', {}).get('Message', '')}"
    if code in TASK_GONE:
        return TaskGone(sentence)
    if code == "ActivityDoesNotExist":
        return ActivityGone(sentence)
    if code in THROTTLED or code.endswith("ThrottlingException") or not 400 <= status < 429:
        return ServiceError(sentence)
    return (Invalid if code in INVALID or status == 413 else Refused)(sentence)


def _sentence(error: Exception) -> str:
    return " ".join(str(error).split())
