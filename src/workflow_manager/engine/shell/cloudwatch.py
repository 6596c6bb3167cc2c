"""Execution logs to CloudWatch Logs: a Destination (logs.py) that a thread of its own empties through boto3.

Nobody waits for it. What is not delivered yet is bounded: past the bound, and where CloudWatch Logs keeps refusing, records
are dropped and a warning says how many. Records of a state machine go to one stream of its log group.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

import structlog
from botocore.exceptions import BotoCoreError, ClientError

if TYPE_CHECKING:
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_logs.type_defs import InputLogEventTypeDef

VALIDATION_STREAM = "log_stream_created_by_aws_to_validate_log_delivery_subscriptions"
"""Made in the log group of every new state machine that logs, as AWS does."""
CAPACITY = 10_000
"""How many records may wait."""
CAPACITY_CHARACTERS = 1 << 26
"""How long their texts together may be: ten thousand of the greatest records were gigabytes."""
MAX_EVENTS, MAX_BATCH_BYTES, EVENT_OVERHEAD = 10_000, 1_048_576, 26
"""Quotas of PutLogEvents."""
MAX_EVENT_BYTES = 262_144 - EVENT_OVERHEAD
ATTEMPTS = 3
RETRY_SECONDS = 1.0
CLOSE_SECONDS = 2.0
"""How long to go on delivering when the server stops."""

log = structlog.get_logger(__name__)


class _Entry(NamedTuple):
    """One record on its way; without a text, only its stream is wanted."""

    group: str
    stream: str
    timestamp: int
    text: str | None

    @property
    def characters(self) -> int:
        return len(self.text) if self.text is not None else 0


class CloudWatchLogs:
    """``client``: a boto3 client of CloudWatch Logs. Used on the event loop; ``close`` after the last put."""

    def __init__(
        self,
        client: CloudWatchLogsClient,
        *,
        capacity: int = CAPACITY,
        capacity_characters: int = CAPACITY_CHARACTERS,
        retry_seconds: float = RETRY_SECONDS,
    ) -> None:
        self._client = client
        self._capacity = capacity
        self._retry_seconds = retry_seconds
        self._capacity_characters = capacity_characters
        self._waiting: deque[_Entry] = deque()
        self._characters = 0  # of those that wait
        self._dropped = 0
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="cloudwatch-logs")
        self._delivering: asyncio.Task[None] | None = None
        self._plain_names: set[str] = set()  # groups that refuse colons in streams' names

    def created(self, log_group_arn: str, /) -> None:
        self._add([_Entry(group_name(log_group_arn), VALIDATION_STREAM, 0, None)])

    def put(self, log_group_arn: str, state_machine_arn: str, records: list[dict[str, Any]], /) -> None:
        group, stream = group_name(log_group_arn), f"states/{state_machine_arn}"
        self._add([_Entry(group, stream, int(made["event_timestamp"]), text_of(made)) for made in records])

    def _add(self, entries: list[_Entry]) -> None:
        for taken, entry in enumerate(entries):
            if len(self._waiting) >= self._capacity or self._characters + entry.characters > self._capacity_characters:
                self._drop(len(entries) - taken)
                break
            self._waiting.append(entry)
            self._characters += entry.characters
        if self._delivering is None or self._delivering.done():
            self._delivering = asyncio.get_running_loop().create_task(self._deliver())

    def _drop(self, count: int) -> None:
        if self._dropped == 0:
            log.warning("execution logs are dropped: CloudWatch Logs does not keep up", waiting=len(self._waiting))
        self._dropped += count

    async def _deliver(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            batch = _batch(self._waiting)
            for attempt in range(1, ATTEMPTS + 1):
                try:
                    await loop.run_in_executor(self._thread, self._send, batch)
                    break
                except (BotoCoreError, ClientError) as error:
                    if attempt == ATTEMPTS or _is_final(error):
                        log.warning("execution logs could not be delivered", records=len(batch), reason=str(error))
                        break
                    await asyncio.sleep(self._retry_seconds)
            for _ in batch:
                self._characters -= self._waiting.popleft().characters
        if self._dropped:
            log.warning("execution logs were dropped", records=self._dropped)
            self._dropped = 0

    def _send(self, batch: list[_Entry]) -> None:
        """In the thread. Raises ClientError, BotoCoreError."""
        group, stream = batch[0].group, batch[0].stream
        if group in self._plain_names:
            stream = _plain(stream)
        entries = [entry for entry in batch if entry.text is not None]
        events: list[InputLogEventTypeDef] = [
            {"timestamp": entry.timestamp, "message": str(entry.text)}
            for entry in sorted(entries, key=lambda entry: entry.timestamp)
        ]
        try:
            if not events:
                self._create(group, stream)
                return
            self._client.put_log_events(logGroupName=group, logStreamName=stream, logEvents=events)
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code")
            if code == "InvalidParameterException" and ":" in stream:
                self._plain_names.add(group)  # AWS's own, where a stream's name has no colons
                self._send(batch)
            elif code == "ResourceNotFoundException" and events:
                self._create(group, stream)
                self._client.put_log_events(logGroupName=group, logStreamName=stream, logEvents=events)
            else:
                raise

    def _create(self, group: str, stream: str) -> None:
        with contextlib.suppress(self._client.exceptions.ResourceAlreadyExistsException):
            self._client.create_log_stream(logGroupName=group, logStreamName=stream)

    async def close(self) -> None:
        """Deliver what waits, for a short while, and end the thread."""
        if self._delivering is not None and not self._delivering.done():
            await asyncio.wait([self._delivering], timeout=CLOSE_SECONDS)
            self._delivering.cancel()
            await asyncio.gather(self._delivering, return_exceptions=True)
        self._thread.shutdown(wait=False, cancel_futures=True)


def _batch(waiting: deque[_Entry]) -> list[_Entry]:
    """The first entries, as many as one call takes: of one stream, within the quotas."""
    first, size = waiting[0], 0
    batch: list[_Entry] = []
    for entry in islice(waiting, MAX_EVENTS):
        size += EVENT_OVERHEAD + len((entry.text or "").encode())
        if (entry.group, entry.stream, entry.text is None) != (first.group, first.stream, first.text is None):
            break
        if batch and size > MAX_BATCH_BYTES:
            break
        batch.append(entry)
    return batch


def _is_final(error: Exception) -> bool:
    """Whether asking again would not help: the log group is gone, say."""
    return isinstance(error, ClientError) and error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") == 400


def group_name(log_group_arn: str) -> str:
    """The name in ``arn:aws:logs:<region>:<account>:log-group:<name>:*``."""
    return log_group_arn.split(":")[6]


def _plain(stream: str) -> str:
    """The name of a stream without its state machine's ARN: ``states/<name>``."""
    return "states/" + stream.rpartition(":")[2]


def text_of(made: dict[str, Any]) -> str:
    """A record as JSON; one that is larger than an event may be goes without its data, and says so."""
    text = json.dumps(made, ensure_ascii=False, separators=(",", ":"))
    if len(text) * 4 > MAX_EVENT_BYTES and len(text.encode()) > MAX_EVENT_BYTES:
        details = {
            name: {"truncated": True} if name.endswith("Details") else value
            for name, value in made["details"].items()
            if name not in ("input", "output", "parameters", "assignedVariables")
        }
        text = json.dumps(made | {"details": details}, ensure_ascii=False, separators=(",", ":"))
    return text
