"""The wire on a real server, and boto3 without an account."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from typing import Any

import boto3
import uvicorn

from workflow_manager.stepfunctions.protocol import StepFunctions
from workflow_manager.stepfunctions.wire import create_wire

PATIENCE_SECONDS = 1.0
"""How long requests that are under way when a server stops may take."""


@asynccontextmanager
async def served(stepfunctions: StepFunctions, **options: Any) -> AsyncIterator[str]:
    """Serve an implementation on a free loopback port; its URL."""
    # asyncio sets TCP_NODELAY only where the protocol is named; without it every answer takes 40 ms
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    config = uvicorn.Config(
        create_wire(stepfunctions, **options),
        http="httptools",
        lifespan="off",
        log_config=None,
        access_log=False,
    )
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    await server.startup([listener])
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        await _stop(server)


async def _stop(server: uvicorn.Server) -> None:
    """What uvicorn does when it stops, without the pauses that it makes: there is a server for nearly every test."""
    for each in server.servers:
        each.close()
    state = server.server_state
    for connection in list(state.connections):
        connection.shutdown()
    if state.tasks:
        _, late = await asyncio.wait(state.tasks, timeout=PATIENCE_SECONDS)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
    for connection in list(state.connections):
        connection.transport.close()
    async with asyncio.timeout(10):
        while state.connections:  # noqa: ASYNC110 - a connection that is lost tells nobody
            await asyncio.sleep(0)


@cache
def session() -> boto3.Session:
    return boto3.Session(aws_access_key_id="any", aws_secret_access_key="any", region_name="us-east-1")
