"""What several folders of tests stand on: a DynamoDB on this machine, started once.

``WFM_TEST_DYNAMODB`` names another endpoint to use instead, such as an Amazon DynamoDB Local that runs already.
"""

from __future__ import annotations

import asyncio
import os
import urllib.request
from collections.abc import Iterator

import local_dynamodb
import pytest
from moto.server import ThreadedMotoServer


@pytest.fixture(scope="session")
def dynamodb_url() -> Iterator[str]:
    """Where a DynamoDB answers."""
    if url := os.environ.get("WFM_TEST_DYNAMODB"):
        yield url
        return
    with local_dynamodb.running() as url:
        yield url


@pytest.fixture(scope="session")
def moto_url() -> Iterator[str]:
    """Where moto answers, which stands in for all of AWS."""
    from moto_sfn import close_client, mend  # takes half a second, and few tests need it

    mend()
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    # executions are carried out rather than only noted
    config = urllib.request.Request(
        f"{url}/moto-api/config",
        b'{"stepfunctions": {"execute_state_machine": true}}',
        {"Content-Type": "application/json"},
    )
    urllib.request.urlopen(config).close()
    yield url
    asyncio.run(close_client(url))
    server.stop()
