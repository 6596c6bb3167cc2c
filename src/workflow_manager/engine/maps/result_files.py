"""The result files of a Map Run, written as they grow: spooled, put when they are full or the run is over."""

from __future__ import annotations

import asyncio
import contextlib
import io
from collections.abc import Iterator
from types import TracebackType
from typing import Any, BinaryIO, Self

from workflow_manager.engine.maps.map_run import MapRun
from workflow_manager.engine.maps.object_stores import ObjectsFailed, ObjectStore, ObjectStores, spool
from workflow_manager.engine.maps.results import KINDS, FileKind, file_of, folder, manifest

FULL_BYTES = 1 << 30
"""A result file that has become this large is put, and the next one begun."""
TYPES = {"JSON": "application/json", "JSONL": "application/jsonl"}


class ResultFiles:
    """``arguments``: further parameters of S3's PutObject; ``writer``: transformation and output_type. Raises ObjectsFailed."""

    def __init__(
        self,
        store: ObjectStore,
        bucket: str,
        prefix: str | None,
        run_id: str,
        arguments: dict[str, Any],
        writer: dict[str, Any],
    ) -> None:
        self.transformation: str = writer["transformation"]
        self._store = store
        self.bucket = bucket
        self._folder = folder(prefix, run_id)
        self._arguments = arguments
        self._lines = writer["output_type"] == "JSONL"
        self._type = TYPES[writer["output_type"]]
        self._open: dict[FileKind, BinaryIO] = {}
        self._files: dict[FileKind, list[dict[str, Any]]] = {kind: [] for kind in KINDS}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for file in self._open.values():
            with contextlib.suppress(OSError):
                file.close()

    async def add(self, status: str, results: Iterator[str]) -> None:
        """Add a child's results, JSON texts, to the file of its status."""
        kind = file_of(status)
        for text in results:
            file = self._open.get(kind)
            if file is None:
                file = self._open[kind] = spool()
                between = b"" if self._lines else b"["
            else:
                between = b"\n" if self._lines else b","
            file.write(between + text.encode())
            if file.tell() > FULL_BYTES:
                await self._put(kind)

    async def _put(self, kind: FileKind) -> None:
        file = self._open.pop(kind)
        with file:
            file.write(b"\n" if self._lines else b"]")
            size = file.tell()
            file.seek(0)
            number = len(self._files[kind])
            key = f"{self._folder}/{kind}_{number}.{'jsonl' if self._lines else 'json'}"
            await asyncio.to_thread(self._store.put, self.bucket, key, file, self._type, self._arguments)
        self._files[kind].append({"Key": key, "Size": size})

    async def finish(self, map_run_arn: str) -> str:
        """Put what is left, and last the manifest; its key."""
        for kind in tuple(self._open):
            await self._put(kind)
        key = f"{self._folder}/manifest.json"
        content = io.BytesIO(manifest(self.bucket, map_run_arn, self._files))
        await asyncio.to_thread(self._store.put, self.bucket, key, content, TYPES["JSON"], self._arguments)
        return key


def result_files(stores: ObjectStores, run: MapRun) -> ResultFiles:
    """Raises ObjectsFailed."""
    assert run.spec.writer is not None
    arguments = dict(run.spec.writer["arguments"])
    bucket, prefix = arguments.pop("Bucket", None), arguments.pop("Prefix", None)
    if not isinstance(bucket, str) or not isinstance(prefix, str | None):
        raise ObjectsFailed("The ResultWriter's Bucket and Prefix must be strings.")
    return ResultFiles(stores.of(bucket), bucket, prefix, run.run_id, arguments, run.spec.writer)
