"""Where distributed Maps read items from and write results to: S3, and a folder of this machine.

A Bucket that begins with ``file://`` names a folder below the one that the server was given for this (``map_files``); any other
is a bucket of S3, where the server may call that. Nothing outside that folder can be reached, whatever a definition says: not
by ``..``, not by a symbolic link. Without such a folder there are no local files at all.

Calls block: whoever makes them does it in a thread.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, Protocol, Self, cast

LOCAL = "file://"


class ObjectsFailed(Exception):
    """A store refused or failed; the text is the cause that the execution sees."""


class ObjectStore(Protocol):
    """Objects by bucket and key. Every method raises ObjectsFailed."""

    def open(self, bucket: str, key: str, arguments: dict[str, Any]) -> BinaryIO:
        """The object's bytes, from the front. ``arguments``: further parameters of S3's GetObject."""
        ...

    def listed(self, bucket: str, arguments: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """The objects of a bucket as ListObjectsV2 describes them, in the order of their keys."""
        ...

    def put(self, bucket: str, key: str, file: BinaryIO, content_type: str, arguments: dict[str, Any]) -> None:
        """Write an object whole."""
        ...


class ObjectStores:
    """Every store there is, by the Bucket's name. ``s3`` is None where S3 is not to be called."""

    def __init__(self, files: Path | None = None, s3: ObjectStore | None = None) -> None:
        self._files: ObjectStore = LocalFiles(files)
        self._s3 = s3

    def of(self, bucket: str) -> ObjectStore:
        """Raises ObjectsFailed."""
        if bucket.startswith(LOCAL):
            return self._files
        if self._s3 is None:
            raise ObjectsFailed(
                f"S3 is not called from here, so there is no bucket {bucket[:100]}: "
                "set aws_integrations to on, or give S3 an endpoint (AWS_ENDPOINT_URL_S3)."
            )
        return self._s3


# ------------------------------------------------------------------------------------------- S3


class S3:
    """S3 through botocore. ``client`` makes the client when it is first wanted, or raises ObjectsFailed."""

    def __init__(self, client: Callable[[], Any]) -> None:
        self._make = client
        self._made: Any = None

    @property
    def _client(self) -> Any:
        if self._made is None:
            self._made = self._make()
        return self._made

    def open(self, bucket: str, key: str, arguments: dict[str, Any]) -> BinaryIO:
        with _told():
            body = self._client.get_object(**{**arguments, "Bucket": bucket, "Key": key})["Body"]
        return cast(BinaryIO, _Body(body))

    def listed(self, bucket: str, arguments: dict[str, Any]) -> Iterator[dict[str, Any]]:
        with _told():
            pages = iter(self._client.get_paginator("list_objects_v2").paginate(**{**arguments, "Bucket": bucket}))
        while True:
            with _told():
                page = next(pages, None)
            if page is None:
                return
            for found in page.get("Contents", ()):
                yield {
                    "Etag": found["ETag"],
                    "Key": found["Key"],
                    "LastModified": int(found["LastModified"].timestamp()),
                    "Size": found["Size"],
                    "StorageClass": found.get("StorageClass", "STANDARD"),
                }

    def put(self, bucket: str, key: str, file: BinaryIO, content_type: str, arguments: dict[str, Any]) -> None:
        from boto3.s3.inject import upload_fileobj  # most servers never need it, and all would start later for it

        with _told():
            upload_fileobj(self._client, file, bucket, key, ExtraArgs={"ContentType": content_type, **arguments})


class _Body:
    """The body of an answer of S3; that it breaks off is said like any other failure."""

    def __init__(self, body: Any) -> None:
        self._body = body

    def read(self, size: int) -> bytes:
        with _told():
            return cast(bytes, self._body.read(size))

    def close(self) -> None:
        self._body.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _told:  # noqa: N801 - reads as a function where it is used
    """What botocore raises, in the words that the AWS SDK uses."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is None:
            return
        from botocore.exceptions import BotoCoreError, ClientError  # loaded by then, and by those only who call S3
        from botocore.parsers import ResponseParserError

        if isinstance(error, ClientError):
            answer = error.response
            metadata = answer.get("ResponseMetadata", {})
            said = answer.get("Error", {}).get("Message", str(error))
            raise ObjectsFailed(
                f"{said} (Service: S3, Status Code: {metadata.get('HTTPStatusCode', 0)}, "
                f"Request ID: {metadata.get('RequestId', '')}, Extended Request ID: {metadata.get('HostId', '')})"
            ) from None
        if isinstance(error, ResponseParserError):
            raise ObjectsFailed(f"S3 cannot be asked: {str(error).splitlines()[0]}") from None
        if isinstance(error, (BotoCoreError, ValueError, TypeError, AttributeError)):
            raise ObjectsFailed(f"S3 cannot be asked: {error}") from None


# ------------------------------------------------------------------------------------------- local files


class LocalFiles:
    """Files below ``root``. A Bucket ``file://orders`` is the folder ``orders`` in it; ``file://`` is the root itself."""

    def __init__(self, root: Path | None) -> None:
        self._root = root.resolve() if root is not None else None

    def _place(self, bucket: str, key: str) -> tuple[Path, Path]:
        """(the bucket's folder, the place of the key in it), both below the root, links followed."""
        if self._root is None:
            raise ObjectsFailed(
                "Local files are not served: the server was started without a folder for them (map_files)."
            )
        try:
            folder = (self._root / bucket.removeprefix(LOCAL).lstrip("/")).resolve()
            place = (folder / key.lstrip("/")).resolve()
        except (OSError, ValueError, RuntimeError):  # a zero byte, a name too long, links in a circle
            raise ObjectsFailed(f"{bucket}/{key} is no place for a file.") from None
        if not folder.is_relative_to(self._root) or not place.is_relative_to(folder):
            raise ObjectsFailed(f"{bucket}/{key} lies outside the folder that local files are served from.")
        return folder, place

    def open(self, bucket: str, key: str, arguments: dict[str, Any]) -> BinaryIO:
        del arguments
        _, place = self._place(bucket, key)
        try:
            if not place.is_file():
                raise ObjectsFailed(f"There is no file {bucket}/{key}.")
            return place.open("rb")
        except OSError as error:
            raise ObjectsFailed(f"{bucket}/{key} cannot be read: {error.strerror}.") from None

    def listed(self, bucket: str, arguments: dict[str, Any]) -> Iterator[dict[str, Any]]:
        folder, _ = self._place(bucket, "")
        if not folder.is_dir():
            raise ObjectsFailed(f"There is no folder {bucket}.")
        prefix, after = str(arguments.get("Prefix") or ""), str(arguments.get("StartAfter") or "")
        for key in sorted(_keys(folder)):
            if not key.startswith(prefix) or key <= after:
                continue
            try:
                _, place = self._place(bucket, key)
                found = place.stat()
            except (ObjectsFailed, OSError):
                continue  # a link that leads out, or a file that is gone
            tag = hashlib.md5(f"{found.st_mtime_ns}-{found.st_size}".encode(), usedforsecurity=False).hexdigest()
            yield {
                "Etag": f'"{tag}"',
                "Key": key,
                "LastModified": int(found.st_mtime),
                "Size": found.st_size,
                "StorageClass": "STANDARD",
            }

    def put(self, bucket: str, key: str, file: BinaryIO, content_type: str, arguments: dict[str, Any]) -> None:
        del content_type, arguments
        _, place = self._place(bucket, key)
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            part = place.with_name(f"{place.name}.{uuid.uuid4().hex}.part")
            try:
                with part.open("wb") as out:
                    shutil.copyfileobj(file, out, 1 << 20)
                part.replace(place)  # whole, or as it was
            finally:
                part.unlink(missing_ok=True)
        except OSError as error:
            raise ObjectsFailed(f"{bucket}/{key} cannot be written: {error.strerror}.") from None


def _keys(folder: Path) -> Iterator[str]:
    for path, _, names in os.walk(folder):
        for name in names:
            yield (Path(path) / name).relative_to(folder).as_posix()


def spool() -> BinaryIO:
    """A file of no name for what is to be put: in memory while it is small."""
    return cast(BinaryIO, tempfile.SpooledTemporaryFile(max_size=1 << 20))
