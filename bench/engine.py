"""The engine's hot paths, in this process and over HTTP against ``wfm serve``; medians of several runs.

    python bench/engine.py [--runs 5] [--n 4000] [--concurrency 64] [--waiting 10000] [--json FILE]

pass10      workflows of ten Pass states: starts (answered when durable), and transitions, per second
activity    one Task on an activity, 32 workers: round trips per second
waiting     executions in a long Wait: memory of the server for each, and how long it takes to start again with them

Every figure is checked: all executions must have succeeded, or wait.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import platform
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import apsw
import uvloop
from load import Client

from workflow_manager.database import Database
from workflow_manager.engine import EmbeddedStepFunctions
from workflow_manager.stepfunctions.protocol import OPERATIONS

ROLE = "arn:aws:iam::000000000000:role/bench"
WFM = Path(sys.executable).with_name("wfm")
Call = Callable[..., Awaitable[dict[str, Any]]]


def chain(length: int) -> dict[str, Any]:
    states: dict[str, Any] = {f"S{i}": {"Type": "Pass", "Next": f"S{i + 1}"} for i in range(length)}
    states[f"S{length - 1}"] = {"Type": "Pass", "End": True}
    return {"StartAt": "S0", "States": states}


async def machine(call: Call, name: str, definition: dict[str, Any]) -> str:
    made = await call("CreateStateMachine", name=name, definition=json.dumps(definition), roleArn=ROLE)
    return str(made["stateMachineArn"])


async def start_all(call: Call, arn: str, prefix: str, n: int, concurrency: int, text: str = '{"a":1}') -> float:
    """Start n executions; seconds until the last was acknowledged."""
    names = iter(range(n))

    async def starter() -> None:
        for i in names:
            await call("StartExecution", stateMachineArn=arn, name=f"{prefix}-{i}", input=text)

    began = time.perf_counter()
    await asyncio.gather(*(starter() for _ in range(concurrency)))
    return time.perf_counter() - began


async def count(call: Call, arn: str, status: str) -> int:
    found, token = 0, {}
    while True:
        page = await call("ListExecutions", stateMachineArn=arn, statusFilter=status, maxResults=1000, **token)
        found += len(page["executions"])
        if "nextToken" not in page:
            return found
        token = {"nextToken": page["nextToken"]}


async def pass10(call: Call, options: argparse.Namespace, run: int) -> dict[str, float]:
    arn = await machine(call, f"pass10-{run}", chain(10))
    seconds = await start_all(call, arn, "e", options.n, options.concurrency)
    done = await count(call, arn, "SUCCEEDED")
    assert done == options.n, f"{done} of {options.n} succeeded"
    return {"workflows/s": options.n / seconds, "transitions/s": 10 * options.n / seconds}


async def activity(call: Call, options: argparse.Namespace, run: int) -> dict[str, float]:
    resource = (await call("CreateActivity", name=f"work-{run}"))["activityArn"]
    arn = await machine(
        call, f"activity-{run}", {"StartAt": "T", "States": {"T": {"Type": "Task", "Resource": resource, "End": True}}}
    )
    left = n = options.n
    finished = asyncio.Event()

    async def worker() -> None:
        nonlocal left
        while True:
            task = await call("GetActivityTask", activityArn=resource, workerName="bench")
            await call("SendTaskSuccess", taskToken=task["taskToken"], output="{}")
            left -= 1
            if left == 0:
                finished.set()

    workers = [asyncio.create_task(worker()) for _ in range(32)]
    began = time.perf_counter()
    await start_all(call, arn, "e", n, options.concurrency)
    await finished.wait()
    seconds = time.perf_counter() - began
    for task in workers:
        task.cancel()
    await asyncio.gather(*workers, return_exceptions=True)
    done = await count(call, arn, "SUCCEEDED")
    assert done == n, f"{done} of {n} succeeded"
    return {"round trips/s": n / seconds}


# ------------------------------------------------------------------------------------------- in process


async def in_process(options: argparse.Namespace, work: Any, run: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        database = Database(Path(folder) / "bench.db")
        engine = EmbeddedStepFunctions(database)
        await engine.start()

        async def call(operation: str, **parameters: Any) -> dict[str, Any]:
            import msgspec

            method, request, _ = OPERATIONS[operation]
            answer = await getattr(engine, method)(msgspec.convert(parameters, request))
            result: dict[str, Any] = msgspec.to_builtins(answer)
            return result

        figures: dict[str, float] = await work(call, options, run)
        await engine.close()
        await database.close()
        return figures


# ------------------------------------------------------------------------------------------- over HTTP


class Server:
    def __init__(self, folder: str, *flags: str) -> None:
        self._flags = flags
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self._folder = folder
        self.start()

    def start(self) -> float:
        """Seconds until the first request is answered."""
        began = time.perf_counter()
        self.process = subprocess.Popen(
            [WFM, "serve", "--port", str(self.port), "--data", self._folder, *self._flags],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        while True:
            with contextlib.suppress(urllib.error.URLError, OSError):
                urllib.request.urlopen(f"http://127.0.0.1:{self.port}/_health", timeout=5).close()
                return time.perf_counter() - began
            time.sleep(0.005)

    def end(self, how: signal.Signals = signal.SIGTERM) -> None:
        self.process.send_signal(how)
        self.process.wait()

    def memory_kb(self) -> int:
        """Proportional set size."""
        for line in Path(f"/proc/{self.process.pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1])
        raise RuntimeError("no Pss")


@contextlib.contextmanager
def serving() -> Iterator[Server]:
    with tempfile.TemporaryDirectory() as folder:
        server = Server(folder)
        try:
            yield server
        finally:
            server.end()


async def over_http(options: argparse.Namespace, work: Any, run: int) -> dict[str, float]:
    with serving() as server:
        figures: dict[str, float] = await work(Client(server.port).call, options, run)
        return figures


async def waiting(options: argparse.Namespace, run: int) -> dict[str, float]:
    definition = {"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 86_400, "End": True}}}
    with serving() as server:
        call = Client(server.port).call
        warm = await machine(call, f"warm-{run}", definition)
        await start_all(call, warm, "w", 2_000, options.concurrency)
        before = server.memory_kb()
        arn = await machine(call, f"waiting-{run}", definition)
        seconds = await start_all(call, arn, "e", options.waiting, options.concurrency)
        after = server.memory_kb()
        server.end(signal.SIGKILL)
        empty = restart_empty()
        again = server.start()
        running = await count(Client(server.port).call, arn, "RUNNING")
        assert running == options.waiting, f"{running} of {options.waiting} wait"
    return {
        "starts/s": options.waiting / seconds,
        "KB each": (after - before) / options.waiting,
        "restart s": again,
        "start s with none waiting": empty,
    }


def restart_empty() -> float:
    with tempfile.TemporaryDirectory() as folder:
        server = Server(folder)
        server.end()
        seconds = server.start()
        server.end()
        return seconds


# ------------------------------------------------------------------------------------------- the table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--n", type=int, default=4_000)
    parser.add_argument("--concurrency", type=int, default=64)
    parser.add_argument("--waiting", type=int, default=10_000)
    parser.add_argument("--json")
    options = parser.parse_args()
    print(
        f"{os.cpu_count()} cores, Python {platform.python_version()}, SQLite {apsw.sqlite_lib_version()}, {platform.system()}"
    )
    rows: dict[str, dict[str, float]] = {}
    benches: list[tuple[str, Any]] = [
        ("pass10, in process", lambda run: in_process(options, pass10, run)),
        ("pass10, over HTTP", lambda run: over_http(options, pass10, run)),
        ("activity, in process", lambda run: in_process(options, activity, run)),
        ("activity, over HTTP", lambda run: over_http(options, activity, run)),
        (f"{options.waiting} waiting, over HTTP", lambda run: waiting(options, run)),
    ]
    for name, bench in benches:
        found = [uvloop.run(bench(run)) for run in range(options.runs)]
        rows[name] = {key: statistics.median(run[key] for run in found) for key in found[0]}
        for key, value in rows[name].items():
            low, high = min(run[key] for run in found), max(run[key] for run in found)
            print(f"| {name} | {key} | {value:,.2f} | {low:,.2f} to {high:,.2f} |", flush=True)
    if options.json:
        Path(options.json).write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
