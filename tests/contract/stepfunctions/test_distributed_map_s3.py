"""Distributed Maps over S3, as moto's server plays it: boto3's client, pages, compressed objects, manifests, result files."""

from __future__ import annotations

import gzip
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from embedded_world import World, running
from moto.server import ThreadedMotoServer

from workflow_manager.clock import VirtualClock
from workflow_manager.engine.maps.object_stores import S3, ObjectStores
from workflow_manager.stepfunctions import types as t

GET = "arn:aws:states:::s3:getObject"
LIST = "arn:aws:states:::s3:listObjectsV2"
PUT = "arn:aws:states:::s3:putObject"


@pytest.fixture(scope="module")
def s3() -> Iterator[Any]:
    """A client of an S3 with a bucket for items and one for results."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    client = boto3.client(
        "s3",
        endpoint_url=f"http://{host}:{port}",
        region_name="us-east-1",
        aws_access_key_id="a",
        aws_secret_access_key="s",
    )
    for bucket in ("items", "results"):
        client.create_bucket(Bucket=bucket)
    yield client
    client.close()
    server.stop()


@pytest.fixture
async def world(tmp_path: Path, clock: VirtualClock, s3: Any) -> AsyncIterator[World]:
    async with running(tmp_path / "e.db", clock, objects=ObjectStores(s3=S3(lambda: s3))) as world:
        yield world


def distributed(reader: dict[str, Any], **fields: Any) -> dict[str, Any]:
    processor = {
        "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
        "StartAt": "P",
        "States": {"P": {"Type": "Pass", "End": True}},
    }
    return {"M": {"Type": "Map", "ItemReader": reader, "ItemProcessor": processor, "End": True, **fields}}


def reader(key: str | None, resource: str = GET, bucket: str = "items", **config: Any) -> dict[str, Any]:
    where = {"Bucket": bucket} | ({"Key": key} if key is not None else {})
    return {"Resource": resource, "ReaderConfig": config, "Parameters": where}


async def result(world: World, states: dict[str, Any]) -> t.DescribeExecutionOutput:
    arn = await world.start(await world.machine(states))
    return await world.ended(arn)


async def test_an_object_is_read_whole_and_in_order(world: World, s3: Any) -> None:
    rows = "".join(f"{n},{'x' * 90}\n" for n in range(3_000))
    s3.put_object(Bucket="items", Key="large.csv.gz", Body=gzip.compress(f"n,x\n{rows}".encode()))
    ended = await result(
        world,
        distributed(
            reader("large.csv.gz", InputType="CSV", CSVHeaderLocation="FIRST_ROW"),
            ItemSelector={"n.$": "$$.Map.Item.Value.n", "from.$": "$$.Map.Item.Source"},
            ItemBatcher={"MaxItemsPerBatch": 250},
        ),
    )

    batches = json.loads(str(ended.output))
    assert [item["n"] for batch in batches for item in batch["Items"]] == [str(n) for n in range(3_000)]
    assert len(batches) == 12
    assert batches[-1]["Items"][-1]["from"] == "S3://items/large.csv.gz"


async def test_listings_go_on_over_their_pages(world: World, s3: Any) -> None:
    for n in range(7):
        s3.put_object(Bucket="items", Key=f"listed/{n}", Body=b"x" * n)
    listing = reader(None, LIST)
    listing["Parameters"] |= {"Prefix": "listed/", "MaxKeys": 3}
    ended = await result(world, distributed(listing))

    found = json.loads(str(ended.output))
    assert [(each["Key"], each["Size"]) for each in found] == [(f"listed/{n}", n) for n in range(7)]
    assert {frozenset(each) for each in found} == {frozenset({"Etag", "Key", "LastModified", "Size", "StorageClass"})}
    assert all(isinstance(each["LastModified"], int) and each["Etag"].startswith('"') for each in found)


async def test_an_inventory_names_the_files_to_read(world: World, s3: Any) -> None:
    manifest = {
        "destinationBucket": "arn:aws:s3:::items",
        "fileFormat": "CSV",
        "fileSchema": "Bucket, Key",
        "files": [{"key": "inventory/1.csv.gz"}, {"key": "inventory/2.csv.gz"}],
    }
    s3.put_object(Bucket="items", Key="manifest.json", Body=json.dumps(manifest).encode())
    for n in (1, 2):
        s3.put_object(Bucket="items", Key=f"inventory/{n}.csv.gz", Body=gzip.compress(f'"b","k{n}"\n'.encode()))
    ended = await result(world, distributed(reader("manifest.json", InputType="MANIFEST")))

    assert json.loads(str(ended.output)) == [{"Bucket": "b", "Key": "k1"}, {"Bucket": "b", "Key": "k2"}]


@pytest.mark.parametrize(
    ("where", "cause"),
    [
        pytest.param(reader("none", InputType="JSON"), "The specified key does not exist.", id="no such key"),
        pytest.param(
            reader("k", bucket="no-such-bucket", InputType="JSON"),
            "The specified bucket does not exist",
            id="no such bucket",
        ),
        pytest.param(reader(None, LIST, "no-such-bucket"), "The specified bucket does not exist", id="nothing to list"),
    ],
)
async def test_what_s3_refuses_fails_the_reading(world: World, where: dict[str, Any], cause: str) -> None:
    ended = await result(world, distributed(where))

    assert ended.error == "States.ItemReaderFailed"
    assert str(ended.cause).startswith(f"{cause} (Service: S3, Status Code: 404, Request ID: ")


async def test_results_go_to_a_bucket(world: World, s3: Any) -> None:
    s3.put_object(Bucket="items", Key="two.json", Body=b"[1,2]")
    writer = {"Resource": PUT, "Parameters": {"Bucket": "results", "Prefix": "jobs/"}}
    ended = await result(world, distributed(reader("two.json", InputType="JSON"), ResultWriter=writer))

    output = json.loads(str(ended.output))
    run_id = output["MapRunArn"].rpartition(":")[2]
    assert output["ResultWriterDetails"] == {"Bucket": "results", "Key": f"jobs/{run_id}/manifest.json"}
    manifest = json.loads(s3.get_object(Bucket="results", Key=f"jobs/{run_id}/manifest.json")["Body"].read())
    (written,) = manifest["ResultFiles"]["SUCCEEDED"]
    content = s3.get_object(Bucket="results", Key=written["Key"])["Body"].read()
    assert (written["Key"], written["Size"]) == (f"jobs/{run_id}/SUCCEEDED_0.json", len(content))
    assert [(each["Input"], each["Output"]) for each in json.loads(content)] == [("1", "1"), ("2", "2")]


async def test_a_bucket_for_results_that_is_not_there(world: World, s3: Any) -> None:
    s3.put_object(Bucket="items", Key="two.json", Body=b"[1,2]")
    writer = {"Resource": PUT, "Parameters": {"Bucket": "no-such-bucket"}}
    ended = await result(world, distributed(reader("two.json", InputType="JSON"), ResultWriter=writer))

    assert ended.error == "States.ResultWriterFailed"
    assert "The specified bucket does not exist" in str(ended.cause)
