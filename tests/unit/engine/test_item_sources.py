"""Files to items: a table of what is in them and what comes out, whatever the blocks they arrive in, and what cannot be read."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import tracemalloc
from collections.abc import Iterator
from typing import Any, BinaryIO

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from workflow_manager.engine.maps import item_sources
from workflow_manager.engine.maps.item_sources import Unreadable, items_of, readable

FIRST_ROW = {"InputType": "CSV", "CSVHeaderLocation": "FIRST_ROW"}
JSON = {"InputType": "JSON"}
JSONL = {"InputType": "JSONL"}


def given_headers(*headers: str, **further: str) -> dict[str, Any]:
    return {"InputType": "CSV", "CSVHeaderLocation": "GIVEN", "CSVHeaders": list(headers), **further}


class Trickle(io.RawIOBase):
    """A stream that gives no more than some bytes at a time."""

    def __init__(self, content: bytes, size: int) -> None:
        self._stream, self._size = io.BytesIO(content), size

    def read(self, size: int = -1) -> bytes:
        return self._stream.read(self._size if size < 0 else min(size, self._size))


def no_opener(bucket: str, key: str) -> BinaryIO:
    raise AssertionError((bucket, key))


def read(content: bytes, config: dict[str, Any], size: int = 1 << 20) -> list[Any]:
    return list(readable(items_of(Trickle(content, size), config, no_opener)))  # type: ignore[arg-type]


@pytest.mark.parametrize("size", [1, 7, 1 << 20])
@pytest.mark.parametrize(
    ("content", "config", "items"),
    [
        pytest.param("[]", JSON, [], id="no items"),
        pytest.param(' [1, "a]", {"b": [2]}, null] \n', JSON, [1, "a]", {"b": [2]}, None], id="values of all kinds"),
        pytest.param("[12345, 6.5e3, -1]", JSON, [12345, 6500.0, -1], id="numbers are taken whole"),
        pytest.param('["é€😀"]', JSON, ["é€😀"], id="characters of several bytes"),
        pytest.param("\ufeff[1]", JSON, [1], id="a byte order mark"),
        pytest.param(
            '{"a": [9], "b": {"x": {}, "items": [1, 2]}, "c": 3}',
            {**JSON, "ItemsPointer": "/b/items"},
            [1, 2],
            id="a pointer into objects",
        ),
        pytest.param('{"a/b": [[0], [1, 2]]}', {**JSON, "ItemsPointer": "/a~1b/1"}, [1, 2], id="a pointer into arrays"),
        pytest.param('{"a": 1}\n\n  \n[2]\n"x"', JSONL, [{"a": 1}, [2], "x"], id="a value a line"),
        pytest.param("", JSONL, [], id="no lines"),
        pytest.param("a,b\n1,2\n3,4\n", FIRST_ROW, [{"a": "1", "b": "2"}, {"a": "3", "b": "4"}], id="headers first"),
        pytest.param("a,b\n", FIRST_ROW, [], id="headers only"),
        pytest.param("", FIRST_ROW, [], id="not even headers"),
        pytest.param("1\n\n2,x,y\n", given_headers("h", "i"), [{"h": "1", "i": ""}, {"h": "2", "i": "x"}], id="ragged"),
        pytest.param(
            ",,,\n   \n", given_headers("h", "i"), [{"h": "", "i": ""}, {"h": "   ", "i": ""}], id="blank fields"
        ),
        pytest.param('"a ""q"", b",2\r\n', given_headers("h", "i"), [{"h": 'a "q", b', "i": "2"}], id="quoted"),
        pytest.param(
            '"two\nlines",2\n', given_headers("h", "i"), [{"h": "two\nlines", "i": "2"}], id="line in a field"
        ),
        pytest.param("1|2", given_headers("h", "i", CSVDelimiter="PIPE"), [{"h": "1", "i": "2"}], id="pipes"),
        pytest.param("1;2", given_headers("h", "i", CSVDelimiter="SEMICOLON"), [{"h": "1", "i": "2"}], id="semicolons"),
        pytest.param("1 2", given_headers("h", "i", CSVDelimiter="SPACE"), [{"h": "1", "i": "2"}], id="spaces"),
        pytest.param("1\t2", given_headers("h", "i", CSVDelimiter="TAB"), [{"h": "1", "i": "2"}], id="tabs"),
    ],
)
@pytest.mark.parametrize(
    "packed",
    [
        pytest.param(lambda plain: plain, id="plain"),
        pytest.param(gzip.compress, id="gzip"),
        pytest.param(zstandard.ZstdCompressor().compress, id="zstd"),
    ],
)
def test_items(content: str, config: dict[str, Any], items: list[Any], packed: Any, size: int) -> None:
    assert read(packed(content.encode()), config, size) == items


@pytest.mark.parametrize(
    ("content", "config", "why"),
    [
        pytest.param(b'{"Hello": "world"}', JSON, "Attempting to map over non-iterable node.", id="no array"),
        pytest.param(b"3", JSON, "Attempting to map over non-iterable node.", id="a number"),
        pytest.param(b"", JSON, "The object is not valid JSON", id="nothing"),
        pytest.param(b"[1, 2", JSON, "The object is not valid JSON", id="cut off"),
        pytest.param(b"[1 2]", JSON, "The object is not valid JSON", id="no comma"),
        pytest.param(b"[1, NaN]", JSON, "The object is not valid JSON", id="not a number"),
        pytest.param(b"[1] [2]", JSON, "The object is not valid JSON: there is more after the array.", id="two arrays"),
        pytest.param(b"[" * 100_000, JSON, "The JSON is nested too deeply.", id="deep"),
        pytest.param(b'{"a": 1}', {**JSON, "ItemsPointer": "/b"}, "The ItemsPointer leads nowhere", id="astray"),
        pytest.param(b'{"a": 1}', {**JSON, "ItemsPointer": "/a"}, "Attempting to map over", id="pointer to no array"),
        pytest.param(
            b'{"a": 1}', {**JSON, "ItemsPointer": "/a/b"}, "Attempting to map over", id="pointer through a number"
        ),
        pytest.param(b'{"a": 1}\n{', JSONL, "Line 2 is not valid JSON", id="a line that is no JSON"),
        pytest.param(b"a,a\n1,2\n", FIRST_ROW, "CSV headers cannot contain duplicates.", id="same headers in the file"),
        pytest.param(
            b"1,2\n", given_headers("a", "a"), "CSV headers cannot contain duplicates.", id="same headers given"
        ),
        pytest.param(b"a\n\xff\n", FIRST_ROW, "The object is not UTF-8 text", id="bytes that are no text"),
        pytest.param(b"\x1f\x8b\x08\x00 nonsense", JSON, "The object cannot be decompressed", id="damaged gzip"),
        pytest.param(gzip.compress(b"[1, 2]")[:-9], JSON, "The object cannot be decompressed", id="half of a gzip"),
        pytest.param(
            b"a\n" + b"x" * ((1 << 20) + 1), FIRST_ROW, "The object is not valid CSV", id="a field without end"
        ),
        pytest.param(
            b"{}", {"InputType": "MANIFEST"}, "The object is not the manifest of an S3 inventory", id="no manifest"
        ),
        pytest.param(
            b"/etc/passwd\n", {**JSONL, "ManifestType": "ATHENA_DATA"}, "The manifest names no object of S3", id="no S3"
        ),
    ],
)
def test_unreadable(content: bytes, config: dict[str, Any], why: str) -> None:
    with pytest.raises(Unreadable, match=why.replace("(", r"\(")):
        read(content, config)


def test_what_comes_before_a_fault_is_read() -> None:
    items = readable(items_of(io.BytesIO(b"[1, 2, oops]"), JSON, no_opener))

    assert [next(items), next(items)] == [1, 2]
    with pytest.raises(Unreadable):
        next(items)


def test_manifests_open_what_they_name() -> None:
    files = {
        ("b", "inventory/1.csv.gz"): gzip.compress(b'"source","x/1.png","10"\n"source","x/2.png","20"\n'),
        ("b", "inventory/2.csv"): b'"source","y.png","30"\n',
        ("data", "part/1"): b'{"n": 1}\n',
        ("data", "part/2"): gzip.compress(b'{"n": 2}\n{"n": 3}\n'),
    }

    def opener(bucket: str, key: str) -> BinaryIO:
        return io.BytesIO(files[bucket, key])

    inventory = {
        "destinationBucket": "arn:aws:s3:::b",
        "fileFormat": "CSV",
        "fileSchema": "Bucket, Key, Size",
        "files": [{"key": "inventory/1.csv.gz"}, {"key": "inventory/2.csv"}],
    }
    athena = b"s3://data/part/1\ns3://data/part/2\n"

    assert list(items_of(io.BytesIO(json.dumps(inventory).encode()), {"InputType": "MANIFEST"}, opener)) == [
        {"Bucket": "source", "Key": "x/1.png", "Size": "10"},
        {"Bucket": "source", "Key": "x/2.png", "Size": "20"},
        {"Bucket": "source", "Key": "y.png", "Size": "30"},
    ]
    config = {"InputType": "JSONL", "ManifestType": "ATHENA_DATA"}
    assert list(items_of(io.BytesIO(athena), config, opener)) == [{"n": 1}, {"n": 2}, {"n": 3}]


JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(
    values=st.lists(JSON_VALUES, max_size=8),
    indent=st.none() | st.just(2),
    ascii_only=st.booleans(),
    size=st.integers(1, 40),
)
def test_arrays_are_taken_apart_as_a_parser_would(
    values: list[Any], indent: int | None, ascii_only: bool, size: int
) -> None:
    text = json.dumps(values, indent=indent, ensure_ascii=ascii_only)

    assert read(text.encode(errors="surrogatepass"), JSON, size) == json.loads(text)


@pytest.mark.parametrize(
    ("config", "before", "again"),
    [
        pytest.param(JSON, b'["', b"x" * 1_024, id="JSON"),
        pytest.param(JSONL, b'"', b"x" * 1_024, id="JSON Lines"),
        pytest.param(FIRST_ROW, b"a\n", b"x" * 1_024, id="a row"),
        pytest.param(FIRST_ROW, b"a\n", b'"\n",' * 256, id="a row of many lines"),
        pytest.param(FIRST_ROW, b"a,", b"x," * 512, id="headers"),
        pytest.param({"InputType": "MANIFEST"}, b'{"', b"x" * 1_024, id="an inventory"),
        pytest.param({**JSONL, "ManifestType": "ATHENA_DATA"}, b"s3://", b"x" * 1_024, id="addresses"),
    ],
)
def test_what_never_ends_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, config: dict[str, Any], before: bytes, again: bytes
) -> None:
    """A small compressed file may hold a line of any length."""

    class Endless(io.RawIOBase):
        taken = 0

        def readable(self) -> bool:
            return True

        def readinto(self, buffer: Any) -> int:
            part = again if self.taken else before
            self.taken += len(part)
            assert self.taken < 10 << 20, "more is read than any item may have"
            buffer[: len(part)] = part
            return len(part)

    monkeypatch.setattr(item_sources, "MAX_VALUE", 1 << 20)
    monkeypatch.setattr(item_sources, "MAX_FIELD", 1 << 26)
    with pytest.raises(Unreadable, match="longer than 1048576"):
        list(items_of(io.BufferedReader(Endless()), config, no_opener))


@given(content=st.binary(max_size=200), config=st.sampled_from([JSON, JSONL, FIRST_ROW, {"InputType": "MANIFEST"}]))
def test_any_bytes_are_items_or_unreadable(content: bytes, config: dict[str, Any]) -> None:
    with contextlib.suppress(Unreadable):
        assert isinstance(read(content, config), list)


def test_a_large_array_is_never_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    class Large(io.RawIOBase):
        """Twenty megabytes of JSON that nobody keeps."""

        def __init__(self) -> None:
            self._parts = self._content()
            self._rest = b""

        @staticmethod
        def _content() -> Iterator[bytes]:
            yield b"["
            for i in range(20_000):
                yield b'{"n": %d, "text": "%s"},' % (i, b"x" * 1_000)
            yield b"null]"

        def read(self, size: int = -1) -> bytes:
            while len(self._rest) < size and (part := next(self._parts, None)) is not None:
                self._rest += part
            taken, self._rest = self._rest[:size], self._rest[size:]
            return taken

    monkeypatch.setattr(item_sources, "BLOCK", 1 << 14)
    tracemalloc.start()
    try:
        count = sum(1 for _ in items_of(Large(), JSON, no_opener))  # type: ignore[arg-type]
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert count == 20_001
    assert peak < 1 << 20
