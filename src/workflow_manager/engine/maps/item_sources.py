"""From the bytes of a file to the items in it: JSON, JSON Lines, CSV, manifests; plain or compressed.

Pure but for reading the stream it is handed, from front to back, of which it holds no more than an item and a block: a file
may be larger than memory. What cannot be read raises Unreadable, whose text is the cause of States.ItemReaderFailed.
Source: SFN developer guide, "ItemReader (Map)"; causes as recorded from AWS where they are known.
"""

from __future__ import annotations

import csv
import gzip
import io
import itertools
import json
import re
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, BinaryIO, TypeAlias, TypeVar, cast

import zstandard

from workflow_manager.asl.distributed import DELIMITERS

BLOCK = 1 << 16
MAX_FIELD = 1 << 20
"""Characters of one CSV field; the library's own bound is below what an item may hold."""
MAX_VALUE = 1 << 24
"""Characters of one JSON value, line, row or manifest: an item that is larger could not be passed on."""

GZIP_MARK = b"\x1f\x8b"
ZSTD_MARK = b"\x28\xb5\x2f\xfd"
LONGEST_MARK = 4
"""What compressed files begin with."""

NOT_A_LIST = "Attempting to map over non-iterable node."

T = TypeVar("T")

Items: TypeAlias = Iterator[Any]
Config: TypeAlias = Mapping[str, Any]
Opener: TypeAlias = Callable[[str, str], BinaryIO]
"""(bucket, key) -> the object's bytes."""


class Unreadable(Exception):
    """The items cannot be read; the text says why."""


def items_of(stream: BinaryIO, config: Config, opener: Opener) -> Items:
    """The items of one object, as ``ReaderConfig`` says. ``opener`` opens what a manifest names."""
    if config.get("InputType") == "MANIFEST" or config.get("ManifestType") is not None:
        if config.get("ManifestType") == "ATHENA_DATA":
            return _athena(stream, config, opener)
        return _inventory(stream, opener)
    return _READERS[config["InputType"]](decompressed(stream), config)


def decompressed(stream: BinaryIO) -> BinaryIO:
    """The stream's plain bytes: what is compressed shows by its first bytes, whatever its name."""
    start = b""
    while len(start) < LONGEST_MARK and (more := stream.read(LONGEST_MARK - len(start))):
        start += more
    whole = _buffered(_Raw(stream, start))
    if start.startswith(GZIP_MARK):
        return _buffered(_Raw(cast(BinaryIO, gzip.GzipFile(fileobj=whole))))
    if start.startswith(ZSTD_MARK):
        reader = zstandard.ZstdDecompressor().stream_reader(whole, read_across_frames=True)
        return _buffered(_Raw(cast(BinaryIO, reader)))
    return whole


def _buffered(raw: io.RawIOBase) -> BinaryIO:
    return cast(BinaryIO, io.BufferedReader(cast(Any, raw), BLOCK))


class _Raw(io.RawIOBase):
    """Whatever has ``read``, as the raw stream that Python's buffers want. ``start`` was read from it already."""

    def __init__(self, stream: BinaryIO, start: bytes = b"") -> None:
        self._stream = stream
        self._start = start

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        size = len(buffer)
        data, self._start = self._start[:size], self._start[size:]
        data = data or self._stream.read(size)
        buffer[: len(data)] = data
        return len(data)


def _text(stream: BinaryIO, newline: str | None = None) -> io.TextIOWrapper:
    return io.TextIOWrapper(stream, "utf-8-sig", newline=newline)


def _lines(stream: BinaryIO, newline: str | None = None) -> Iterator[str]:
    """The lines of a text, of which none is taken into memory that is too long for an item."""
    text = _text(stream, newline)
    while line := text.readline(MAX_VALUE + 1):
        if len(line) > MAX_VALUE:
            raise Unreadable(f"A line is longer than {MAX_VALUE} characters.")
        yield line


# ------------------------------------------------------------------------------------------- JSON


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


_decode = json.JSONDecoder(parse_constant=_no_constant).raw_decode
_BLANK = re.compile(r"[ \t\r\n]*")


class _Json:
    """A JSON text that is taken apart from its front: the values of an array one by one, never the whole."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = _text(stream)
        self._buffer = ""
        self._at = 0
        self._ended = False

    def _more(self) -> bool:
        block = self._stream.read(max(BLOCK, len(self._buffer) - self._at))
        self._buffer = self._buffer[self._at :] + block
        self._at = 0
        self._ended = not block
        if len(self._buffer) > 2 * MAX_VALUE:
            raise Unreadable(f"A value in the JSON is longer than {MAX_VALUE} characters.")
        return not self._ended

    def peek(self) -> str:
        """The next character that is no white space; empty at the end."""
        while True:
            found = _BLANK.match(self._buffer, self._at)
            assert found is not None
            self._at = found.end()
            if self._at < len(self._buffer):
                return self._buffer[self._at]
            if not self._more():
                return ""

    def take(self, characters: str) -> str:
        """The next character, which must be one of these."""
        found = self.peek()
        if not found or found not in characters:
            raise Unreadable(
                f"The object is not valid JSON: expected {' or '.join(characters)}, got {found or 'its end'}."
            )
        self._at += 1
        return found

    def value(self) -> Any:
        """The next value, whole."""
        self.peek()
        while True:
            try:
                value, end = _decode(self._buffer, self._at)
                if end < len(self._buffer) or self._ended:  # a number may go on in the next block
                    self._at = end
                    return value
            except ValueError as error:
                if self._ended:
                    raise Unreadable(f"The object is not valid JSON: {error}.") from None
            except RecursionError:
                raise Unreadable("The JSON is nested too deeply.") from None
            self._more()

    def elements(self) -> Items:
        """The values of the array that comes next."""
        self.take("[")
        if self.peek() == "]":
            self.take("]")
            return
        while True:
            yield self.value()
            if self.take(",]") == "]":
                return

    def enter(self, step: str) -> None:
        """Go to a member of the object, or the element of the array, that comes next."""
        if self.peek() == "[" and step.isascii() and step.isdigit():
            self.take("[")
            for _ in range(int(step)):
                self.value()
                self.take(",")
            return
        if self.peek() != "{":
            raise Unreadable(NOT_A_LIST)
        self.take("{")
        while self.peek() == '"':
            name = self.value()
            self.take(":")
            if name == step:
                return
            self.value()
            if self.take(",}") == "}":
                break
        raise Unreadable(f"The ItemsPointer leads nowhere: there is no {step!r}.")


def _json(stream: BinaryIO, config: Config) -> Items:
    document = _Json(stream)
    for step in (config.get("ItemsPointer") or "").split("/")[1:]:
        document.enter(step.replace("~1", "/").replace("~0", "~"))
    if document.peek() != "[":
        document.value()  # to say so if it is not JSON at all
        raise Unreadable(NOT_A_LIST)
    yield from document.elements()
    if not config.get("ItemsPointer") and document.peek():
        raise Unreadable("The object is not valid JSON: there is more after the array.")


def _json_lines(stream: BinaryIO, _config: Config) -> Items:
    for number, line in enumerate(_lines(stream), 1):
        if not line.strip():
            continue
        try:
            yield json.loads(line, parse_constant=_no_constant)
        except (ValueError, RecursionError) as error:
            raise Unreadable(f"Line {number} is not valid JSON: {error}.") from None


# ------------------------------------------------------------------------------------------- CSV


def _csv(stream: BinaryIO, config: Config) -> Items:
    """Rows as objects of texts: what a row lacks is empty, what it has too much is left out, empty lines do not count."""
    csv.field_size_limit(MAX_FIELD)
    delimiter = DELIMITERS[config.get("CSVDelimiter", "COMMA")]
    size = 0  # of the row that is being read: quoted, a line's end does not end it

    def lines() -> Iterator[str]:
        nonlocal size
        for line in _lines(stream, newline=""):
            size += len(line)
            if size > MAX_VALUE:
                raise Unreadable(f"A row is longer than {MAX_VALUE} characters.")
            yield line

    rows = (row for row in csv.reader(lines(), delimiter=delimiter) if row)
    try:
        headers = config.get("CSVHeaders") if config.get("CSVHeaderLocation") == "GIVEN" else next(rows, [])
        if len(set(headers or ())) != len(headers or ()):
            raise Unreadable("CSV headers cannot contain duplicates.")
        for row in rows:
            size = 0
            yield dict(itertools.zip_longest(headers or (), row[: len(headers or ())], fillvalue=""))
    except csv.Error as error:
        raise Unreadable(f"The object is not valid CSV: {error}.") from None


_READERS: dict[str, Callable[[BinaryIO, Config], Items]] = {"JSON": _json, "JSONL": _json_lines, "CSV": _csv}

# ------------------------------------------------------------------------------------------- manifests


def _inventory(stream: BinaryIO, opener: Opener) -> Items:
    """The rows of an S3 inventory's files (S3 user guide, "Inventory manifest"): their headers are in ``fileSchema``."""
    text = decompressed(stream).read(MAX_VALUE + 1)
    if len(text) > MAX_VALUE:
        raise Unreadable(f"The manifest is longer than {MAX_VALUE} bytes.")
    try:
        manifest = json.loads(text)
        bucket = str(manifest["destinationBucket"]).rpartition(":::")[2]
        headers = [name.strip() for name in manifest["fileSchema"].split(",")]
        keys = [file["key"] for file in manifest["files"]]
        kind = manifest.get("fileFormat", "CSV")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise Unreadable(f"The object is not the manifest of an S3 inventory: {error!r}.") from None
    if kind != "CSV":
        raise Unreadable(f"The inventory's files are {kind}; what can be read is CSV.")
    for key in keys:
        with opener(bucket, key) as file:
            yield from _csv(decompressed(file), {"CSVHeaderLocation": "GIVEN", "CSVHeaders": headers})


def _athena(stream: BinaryIO, config: Config, opener: Opener) -> Items:
    """The items of the files that a manifest of Athena's UNLOAD names, an ``s3://`` address a line."""
    kind = config.get("InputType")
    for line in _lines(decompressed(stream)):
        address = line.strip().strip('"')
        if not address:
            continue
        scheme, _, rest = address.partition("://")
        bucket, _, key = rest.partition("/")
        if scheme not in ("s3", "file") or not key:
            raise Unreadable(f"The manifest names no object of S3: {address[:200]}.")
        with opener(bucket if scheme == "s3" else f"file://{bucket}", key) as file:
            inner = dict(config, InputType=kind if kind in _READERS else "CSV")
            inner.pop("ManifestType", None)
            yield from _READERS[inner["InputType"]](decompressed(file), inner)


# ------------------------------------------------------------------------------------------- faults


def readable(items: Iterator[T]) -> Iterator[T]:
    """The same items; what streams and decoders raise comes out as Unreadable."""
    try:
        yield from items
    except UnicodeDecodeError as error:
        raise Unreadable(f"The object is not UTF-8 text: {error.reason} at byte {error.start}.") from None
    except (gzip.BadGzipFile, zlib.error, EOFError, zstandard.ZstdError) as error:
        raise Unreadable(f"The object cannot be decompressed: {error}.") from None
    except OSError as error:
        raise Unreadable(f"The object cannot be read: {error.strerror or error}.") from None
