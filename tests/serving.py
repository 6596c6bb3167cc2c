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
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server._serve(sockets=[listener]))
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        await serving


@cache
def session() -> boto3.Session:
    return boto3.Session(aws_access_key_id="any", aws_secret_access_key="any", region_name="us-east-1")
