"""What comes of the child executions of a Map Run: entries of result files, the manifest, and the state's output.

Pure. Source: SFN developer guide, "ResultWriter (Map)".
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

import msgspec

from workflow_manager.engine.core.data import text_of
from workflow_manager.engine.core.draft import iso

FileKind = Literal["SUCCEEDED", "FAILED", "PENDING"]
KINDS: tuple[FileKind, ...] = ("SUCCEEDED", "FAILED", "PENDING")


class Child(NamedTuple):
    """One child execution as its row has it. ``name`` None: it was never started."""

    name: str | None
    status: str
    input: str
    output: str | None = None
    error: str | None = None
    cause: str | None = None
    start: float = 0.0
    stop: float | None = None
    redrives: int = 0


def file_of(status: str) -> FileKind:
    """Which result file a child goes to."""
    return "SUCCEEDED" if status == "SUCCEEDED" else "PENDING" if status == "PENDING" else "FAILED"


RedriveStatus = Literal["NOT_REDRIVABLE", "REDRIVABLE_BY_MAP_RUN"]


def redrive_of(status: str, *, express: bool) -> tuple[RedriveStatus, str | None]:
    """(redriveStatus, redriveStatusReason) of a child execution."""
    if status in ("RUNNING", "SUCCEEDED", "PENDING") or express:
        return "NOT_REDRIVABLE", f"Execution is {status} and cannot be redriven"
    return "REDRIVABLE_BY_MAP_RUN", None


def entry(child: Child, arn: str, machine_arn: str, *, express: bool = False) -> dict[str, Any]:
    """A child as AWS describes it in a result file."""
    if child.name is None:
        return {
            "Input": child.input,
            "InputDetails": {"Included": True},
            "StateMachineArn": machine_arn,
            "Status": "PENDING",
        }
    status, reason = redrive_of(child.status, express=express)
    described: dict[str, Any] = {
        "ExecutionArn": arn,
        "Input": child.input,
        "InputDetails": {"Included": True},
        "Name": child.name,
        "RedriveCount": child.redrives,
        "RedriveStatus": status,
        "StartDate": iso(child.start),
        "StateMachineArn": machine_arn,
        "Status": child.status,
    }
    if reason is not None:
        described["RedriveStatusReason"] = reason
    if child.output is not None:
        described |= {"Output": child.output, "OutputDetails": {"Included": True}}
    if child.error is not None:
        described["Error"] = child.error
    if child.cause is not None:
        described["Cause"] = child.cause
    if child.stop is not None:
        described["StopDate"] = iso(child.stop)
    return described


def texts(child: Child, described: dict[str, Any], transformation: str) -> Iterator[str]:
    """The JSON texts that a child adds to the results. One that did not succeed is described whatever the transformation."""
    if child.output is None or transformation == "NONE":
        yield text_of(described)
    elif transformation == "FLATTEN" and child.output.startswith("["):
        yield from (bytes(value).decode() for value in msgspec.json.decode(child.output, type=list[msgspec.Raw]))
    else:
        yield child.output


def manifest(bucket: str, map_run_arn: str, files: dict[FileKind, list[dict[str, Any]]]) -> bytes:
    """The text of ``manifest.json``; ``files``: {"Key", "Size"} of each file by kind."""
    return msgspec.json.encode(
        {
            "DestinationBucket": bucket,
            "MapRunArn": map_run_arn,
            "ResultFiles": {kind: files.get(kind, []) for kind in sorted(KINDS)},
        }
    )


def folder(prefix: str | None, run_id: str) -> str:
    """Where the files of a Map Run go: below the prefix, a folder named after the run."""
    return f"{prefix.strip('/')}/{run_id}" if prefix else run_id


class Results:
    """The results of children as one JSON array, unless it becomes too large to be passed on."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit = limit_bytes
        self._size = 1
        self._texts: list[str] = []
        self.too_large = False

    def add(self, text: str) -> None:
        if self.too_large:
            return
        self._size += len(text) + 1  # in characters, of which a byte is the least; the step counts bytes
        self._texts.append(text)
        if self._size > self._limit:
            self.too_large = True
            self._texts.clear()

    @property
    def text(self) -> str | None:
        return None if self.too_large else f"[{','.join(self._texts)}]"
