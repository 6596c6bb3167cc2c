"""Starts per second through the AWS backend, and the CPU time of each; ``--help`` has the options, README.md the figures.

A process of its own plays Step Functions: it answers StartExecution after a latency, and does nothing else. How fast it is by
itself is measured with requests made beforehand, on as many connections as there are workflows at a time.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import json
import multiprocessing
import pstats
import re
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import boto3
import uvloop

from workflow_manager.manager import ManagerSettings, WorkflowManager
from workflow_manager.model import NewWorkflow, NewWorkflowDefinition
from workflow_manager.stepfunctions import types as t
from workflow_manager.stepfunctions.aws import AwsStepFunctions
from workflow_manager.store.memory import MemoryStore

ARN = "arn:aws:states:us-east-1:000000000000"
ANSWERS = {
    b"StartExecution": {"executionArn": f"{ARN}:execution:m:e", "startDate": 1.5},
    b"CreateStateMachine": {"stateMachineArn": f"{ARN}:stateMachine:m", "creationDate": 4e9},
    b"ValidateStateMachineDefinition": {"result": "OK", "diagnostics": []},
}
LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)


class Endpoint(asyncio.Protocol):
    """Answers one request after another on a connection, each after the latency."""

    def __init__(self, latency: float) -> None:
        self._latency = latency
        self._buffer = b""

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, blank, body = self._buffer.partition(b"\r\n\r\n")
        length = LENGTH.search(head)
        if not blank or len(body) < (int(length[1]) if length else 0):
            return
        self._buffer = b""
        operation = re.search(rb"AWSStepFunctions\.(\w+)", head)
        content = json.dumps(ANSWERS[operation[1]]).encode() if operation else b"{}"
        answer = b"HTTP/1.1 200 OK\r\ncontent-type: application/x-amz-json-1.0\r\ncontent-length: %d\r\n\r\n%s"
        asyncio.get_running_loop().call_later(self._latency, self._transport.write, answer % (len(content), content))


def endpoint(port: Any, latency: float) -> None:
    async def serve() -> None:
        server = await asyncio.get_running_loop().create_server(lambda: Endpoint(latency), "127.0.0.1", 0)
        port.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    uvloop.run(serve())


async def rate(one: Callable[[], Awaitable[Any]], concurrency: int, seconds: float) -> tuple[float, float]:
    """How often a second so many at a time do it, and how much CPU time of this process each takes."""
    done, until = 0, time.perf_counter() + seconds

    async def again() -> None:
        nonlocal done
        while time.perf_counter() < until:
            await one()
            done += 1

    began, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(again() for _ in range(concurrency)))
    return done / (time.perf_counter() - began), (time.process_time() - cpu) / done


async def own_rate(port: int, concurrency: int, seconds: float) -> float:
    """The endpoint's own: one prepared request after another on each of so many connections."""
    request = (
        b"POST / HTTP/1.1\r\nhost: any\r\nx-amz-target: AWSStepFunctions.StartExecution\r\ncontent-length: 2\r\n\r\n{}"
    )
    connections = [await asyncio.open_connection("127.0.0.1", port) for _ in range(concurrency)]
    idle = list(connections)

    async def one() -> None:
        reader, writer = idle.pop()
        writer.write(request)
        await reader.readuntil(b"}")
        idle.append((reader, writer))

    answer, _ = await rate(one, concurrency, seconds)
    for _, writer in connections:
        writer.close()
    return answer


async def measure(port: int, options: argparse.Namespace) -> None:
    session = boto3.Session(aws_access_key_id="any", aws_secret_access_key="any", region_name="us-east-1")
    async with AwsStepFunctions(
        session=session, endpoint_url=f"http://127.0.0.1:{port}", threads=options.threads
    ) as aws:
        manager = WorkflowManager(MemoryStore(), aws, settings=ManagerSettings())
        machine = {"StartAt": "p", "States": {"p": {"Type": "Pass", "End": True}}}
        await manager.create_definition(NewWorkflowDefinition(name="d", state_machine=machine))
        new = NewWorkflow(definition_name="d", namespace="ns", input='{"a": 1}')
        call = t.StartExecutionInput(state_machine_arn=f"{ARN}:stateMachine:m", name="e", input='{"a": 1}')
        await rate(partial(manager.start_workflow, new), options.threads, 0.5)  # connections are open now
        print(f"{options.latency * 1000:g} ms latency, {options.threads} threads")
        print("at a time   workflows/s  CPU each   calls/s  CPU each   endpoint's own/s")
        for concurrency in options.concurrency:
            own = await own_rate(port, concurrency, options.seconds)
            calls, cpu_of_call = await rate(partial(aws.start_execution, call), concurrency, options.seconds)
            starts, cpu_of_start = await rate(partial(manager.start_workflow, new), concurrency, options.seconds)
            print(
                f"{concurrency:9}   {starts:11.0f}  {cpu_of_start * 1000:5.2f} ms   {calls:7.0f}  "
                f"{cpu_of_call * 1000:5.2f} ms   {own:16.0f}"
            )
        if options.profile:
            profile = cProfile.Profile()
            blocking = partial(profile.runcall, partial(many_calls, aws, call))
            await asyncio.to_thread(blocking)
            pstats.Stats(profile).sort_stats("tottime").print_stats(30)


def many_calls(aws: AwsStepFunctions, call: t.StartExecutionInput) -> None:
    """Calls of one thread, without the loop and the threads around them."""
    start = aws._client("act").start_execution  # noqa: SLF001 - what is measured
    for _ in range(500):
        aws._call("StartExecution", start, call, bytes)  # noqa: SLF001


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--concurrency", type=int, nargs="+", default=[1, 32, 256])
    parser.add_argument("--latency", type=float, default=0.015, help="seconds that every call takes at the endpoint")
    parser.add_argument("--seconds", type=float, default=3.0, help="how long each figure is measured")
    parser.add_argument("--threads", type=int, default=32)
    parser.add_argument("--profile", action="store_true", help="show what a call's CPU time goes to")
    options = parser.parse_args()
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=endpoint, args=(theirs, options.latency), daemon=True)
    process.start()
    try:
        uvloop.run(measure(ours.recv(), options))
    finally:
        process.terminate()
        process.join()


if __name__ == "__main__":
    main()
