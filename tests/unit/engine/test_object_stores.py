"""Where items are read and results written: the folder that nothing leads out of, and S3 as botocore's stubs answer."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from botocore.session import Session

from workflow_manager.engine.maps.object_stores import S3, LocalFiles, ObjectsFailed, ObjectStores


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "secret").write_text("s")
    root = tmp_path / "root"
    (root / "orders" / "2026").mkdir(parents=True)
    (root / "orders" / "2026" / "may.csv").write_text("a\n1\n")
    (root / "orders" / "b.txt").write_text("bb")
    (root / "orders-2").mkdir()
    (root / "orders-2" / "x").write_text("x")
    (root / "orders" / "out").symlink_to(tmp_path)
    (root / "orders" / "secret").symlink_to(tmp_path / "secret")
    return root


@pytest.mark.parametrize(
    ("bucket", "key", "content"),
    [
        ("file://orders", "2026/may.csv", b"a\n1\n"),
        ("file://orders/2026", "may.csv", b"a\n1\n"),
        ("file:///orders", "/b.txt", b"bb"),
        ("file://", "orders/b.txt", b"bb"),
        ("file://orders", "2026/../b.txt", b"bb"),
    ],
)
def test_local_files(root: Path, bucket: str, key: str, content: bytes) -> None:
    with LocalFiles(root).open(bucket, key, {}) as file:
        assert file.read() == content


@pytest.mark.parametrize(
    ("bucket", "key"),
    [
        pytest.param("file://..", "secret", id="a bucket above the root"),
        pytest.param("file://orders", "../../secret", id="a key above the root"),
        pytest.param("file://orders", "../orders-2/x", id="a key in another bucket"),
        pytest.param("file://orders/../..", "secret", id="back and forth"),
        pytest.param("file://orders", "out/secret", id="through a link to a folder"),
        pytest.param("file://orders/out", "secret", id="a link as bucket"),
        pytest.param("file://orders", "secret", id="a link to a file"),
        pytest.param("file:////etc", "passwd", id="an absolute bucket"),
        pytest.param("file://orders", "/etc/passwd", id="an absolute key"),
        pytest.param("file://orders", "a\0b", id="a zero byte"),
        pytest.param("file://orders", "x" * 5_000, id="a name that is too long"),
        pytest.param("file://orders", "2026", id="a folder"),
        pytest.param("file://orders", "none", id="nothing"),
        pytest.param("file://none", "none", id="no bucket"),
    ],
)
def test_nothing_else_is_read_or_written(root: Path, bucket: str, key: str) -> None:
    files = LocalFiles(root)
    with pytest.raises(ObjectsFailed):
        files.open(bucket, key, {})
    if "none" not in (bucket, key) and key not in ("none", "/etc/passwd", "passwd"):
        with pytest.raises(ObjectsFailed):
            files.put(bucket, key, io.BytesIO(b"gotcha"), "text/plain", {})
    assert (root.parent / "secret").read_text() == "s"
    assert sorted(path.name for path in root.parent.iterdir()) == ["root", "secret"]


def test_without_a_folder_there_are_no_local_files() -> None:
    with pytest.raises(ObjectsFailed, match="map_files"):
        ObjectStores().of("file://x").open("file://x", "y", {})


def test_s3_is_called_only_where_it_may_be() -> None:
    with pytest.raises(ObjectsFailed, match="aws_integrations"):
        ObjectStores().of("orders")


def test_local_files_are_listed_by_key_and_links_out_are_not(root: Path) -> None:
    def keys(**arguments: Any) -> list[str]:
        return [found["Key"] for found in LocalFiles(root).listed("file://orders", arguments)]

    assert keys() == ["2026/may.csv", "b.txt"]
    assert keys(Prefix="2026/") == ["2026/may.csv"]
    assert keys(StartAfter="2026/may.csv") == ["b.txt"]
    (found,) = LocalFiles(root).listed("file://orders/2026", {})
    assert (found["Size"], found["StorageClass"], set(found)) == (
        4,
        "STANDARD",
        {"Etag", "Key", "LastModified", "Size", "StorageClass"},
    )


def test_local_files_are_written_whole(root: Path) -> None:
    files = LocalFiles(root)
    files.put("file://results", "p/manifest.json", io.BytesIO(b"one"), "application/json", {})
    files.put("file://results", "p/manifest.json", io.BytesIO(b"two"), "application/json", {})

    assert (root / "results" / "p" / "manifest.json").read_bytes() == b"two"
    assert [path.name for path in (root / "results" / "p").iterdir()] == ["manifest.json"]


def failing_client(error: Exception) -> Any:
    """A client of S3 that raises whatever is asked of it."""
    client = Session().create_client("s3", "us-east-1", aws_access_key_id="a", aws_secret_access_key="s")

    def fail(**_: Any) -> None:
        raise error

    client.meta.events.register("before-call.s3", fail)
    return client


@pytest.mark.parametrize(
    ("error", "told"),
    [
        pytest.param(
            ClientError(
                {
                    "Error": {"Code": "NoSuchKey", "Message": "The specified key does not exist."},
                    "ResponseMetadata": {"HTTPStatusCode": 404, "RequestId": "R", "HostId": "H"},  # type: ignore[typeddict-item]
                },
                "GetObject",
            ),
            "The specified key does not exist. (Service: S3, Status Code: 404, Request ID: R, Extended Request ID: H)",
            id="what S3 says, in the SDK's words",
        ),
        pytest.param(
            EndpointConnectionError(endpoint_url="http://x"),
            'S3 cannot be asked: Could not connect to the endpoint URL: "http://x"',
            id="nobody there",
        ),
    ],
)
def test_what_s3_fails_with(error: Exception, told: str) -> None:
    s3 = S3(lambda: failing_client(error))
    for work in (
        lambda: s3.open("b", "k", {}),
        lambda: list(s3.listed("b", {})),
        lambda: s3.put("b", "k", io.BytesIO(), "text/plain", {}),
    ):
        with pytest.raises(ObjectsFailed) as failed:
            work()
        assert str(failed.value) == told
