"""The embedded engine behind the wire and nothing else: what the recorded cases are replayed against.

python tests/conformance/server.py --data DIR [--port PORT]

Prints its URL once it serves. Port 0, the default, is a free one.
"""

from __future__ import annotations

import argparse
import asyncio
import socket
import sys
from pathlib import Path

import structlog
import uvicorn

from workflow_manager.database import Database
from workflow_manager.engine import EmbeddedStepFunctions
from workflow_manager.stepfunctions.wire import create_wire


async def serve(data: Path, listener: socket.socket) -> None:
    database = Database(data / "workflows.db", synchronous="OFF")  # the cases judge behaviour; none survives the test
    engine = EmbeddedStepFunctions(database)
    await engine.start()
    config = uvicorn.Config(
        create_wire(engine),
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
        await database.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--port", type=int, default=0)
    options = parser.parse_args()
    structlog.configure(
        logger_factory=structlog.PrintLoggerFactory(sys.stderr)
    )  # execution logs; stdout is for the URL
    listener = socket.create_server(("127.0.0.1", options.port))
    with asyncio.Runner(loop_factory=uvicorn.Config(None, loop="uvloop").get_loop_factory()) as runner:
        runner.run(serve(options.data, listener))


if __name__ == "__main__":
    main()
