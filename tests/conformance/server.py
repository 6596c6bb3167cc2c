"""The embedded engine behind the wire, with its integrations: what the recorded cases are replayed against.

python tests/conformance/server.py --data DIR [--port PORT] [--others URL]

Prints its URL once it serves. Port 0, the default, is a free one. Which services Tasks can call is in the environment
(AWS_ENDPOINT_URL, AWS_ENDPOINT_URL_LAMBDA); requests that are signed for other services are handed on to ``--others``.
"""

from __future__ import annotations

import argparse
import asyncio
import socket
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import boto3
import structlog
import uvicorn

from workflow_manager.api.passthrough import Passthrough, signed_for_another
from workflow_manager.database import Database
from workflow_manager.engine import EmbeddedStepFunctions
from workflow_manager.engine.maps.object_stores import S3, ObjectStores
from workflow_manager.engine.shell.cloudwatch import CloudWatchLogs
from workflow_manager.integrations.aws import Aws
from workflow_manager.integrations.choice import IntegrationSettings, choose
from workflow_manager.stepfunctions.wire import create_wire


async def serve(data: Path, listener: socket.socket, others: str | None) -> None:
    async with AsyncExitStack() as stack:
        await _serve(data, listener, others, stack)


async def _serve(data: Path, listener: socket.socket, others: str | None, stack: AsyncExitStack) -> None:
    database = Database(data / "workflows.db", synchronous="OFF")  # the cases judge behaviour; none survives the test
    logs = CloudWatchLogs(boto3.client("logs", region_name="us-east-1"))
    engine = EmbeddedStepFunctions(
        database,
        integrations=choose(IntegrationSettings(), stack),
        log_destination=logs,
        objects=ObjectStores(s3=S3(lambda: Aws("us-east-1").client("s3"))),
    )
    await engine.start()
    wire, passthrough = create_wire(engine), Passthrough(others) if others is not None else None

    async def application(scope: Any, receive: Any, send: Any) -> None:
        handed_on = passthrough if passthrough is not None and signed_for_another(scope) else wire
        await handed_on(scope, receive, send)

    config = uvicorn.Config(
        application,
        loop="uvloop",
        http="httptools",
        lifespan="off",
        access_log=False,
        log_level="warning",
        timeout_graceful_shutdown=1,
    )
    print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)  # noqa: T201 - this is what it is asked for
    try:
        await uvicorn.Server(config).serve(sockets=[listener])
    finally:
        await engine.close()
        await logs.close()
        await database.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--others", metavar="URL")
    options = parser.parse_args()
    structlog.configure(
        logger_factory=structlog.PrintLoggerFactory(sys.stderr)
    )  # execution logs; stdout is for the URL
    listener = socket.create_server(("127.0.0.1", options.port))
    with asyncio.Runner(loop_factory=uvicorn.Config(None, loop="uvloop").get_loop_factory()) as runner:
        runner.run(serve(options.data, listener, options.others))


if __name__ == "__main__":
    main()
