"""What the engine does over the wire, durably, beside the ceiling and moto in the same run.

    python bench/workloads.py [--runs 5] [--only NAME ...] [--flush-delay-ms 2] [--json FILE]

pass10       workflows of ten Pass states, 64 clients: per second, and the share of the ceiling's (ceiling.py); also of moto's
slow disk    pass10 with 256 clients, with --flush-delay-ms added to every flush: the share of the rate without it
choice_map   Map of 100 items, a Choice and two Pass each: transitions per second, and how many times moto's
activity     one Task on an activity, 32 workers: workflows per second, and from start to stop when one runs at a time
waiters      executions in a Wait: starts per second, and the server's memory for each
history      GetExecutionHistory of 2,002 events in pages of 1,000: milliseconds for 1,000 events
retry        a Task that fails twice and is retried after a second: how late the retries are

Servers take turns within a run, so that what else the machine does meets all of them; medians of the runs. Everything is
checked: all executions must have ended, with the right output.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import statistics
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import apsw
import servers
import uvloop
from engine import chain, count, machine, start_all
from load import Client

from workflow_manager.garbage import look_seldom

Figures = dict[str, float]
Call = Callable[..., Awaitable[dict[str, Any]]]

MAP_ITEMS = 100
TRANSITIONS = 3 * MAP_ITEMS + 1
TARGETS: dict[tuple[str, str], str] = {
    ("pass10", "of the ceiling"): "at least 0.30",
    ("slow disk", "of the rate without"): "at least 0.50",
    ("choice_map", "times moto"): "at least 20",
    ("activity", "workflows/s"): "at least 1,000",
    ("activity", "start to stop p50, ms"): "below 8",
    ("waiters", "starts/s"): "at least 2,000",
    ("waiters", "KB each"): "below 2",
    ("history", "ms for 1,000 events"): "below 2",
    ("retry", "late p99, ms"): "below 50",
}


def percentile(values: list[float], percent: float) -> float:
    return sorted(values)[round((len(values) - 1) * percent / 100)]


async def until_none_runs(call: Call, arn: str) -> None:
    """Whatever the server is, there is nothing but asking."""
    while (await call("ListExecutions", stateMachineArn=arn, statusFilter="RUNNING", maxResults=1))["executions"]:  # noqa: ASYNC110
        await asyncio.sleep(0.01)


async def rate(call: Call, definition: dict[str, Any], n: int, clients: int, text: str = '{"a":1}') -> float:
    """Executions per second, from the first start to the last end."""
    warm = await machine(call, "warm", definition)
    await start_all(call, warm, "w", min(20, n), min(4, clients), text)
    await until_none_runs(call, warm)
    arn = await machine(call, "measured", definition)
    began = time.perf_counter()
    await start_all(call, arn, "e", n, clients, text)
    await until_none_runs(call, arn)
    seconds = time.perf_counter() - began
    found = await count(call, arn, "SUCCEEDED")
    assert found == n, f"{found} of {n} succeeded"
    return n / seconds


async def pass10(options: argparse.Namespace) -> Figures:
    with servers.ceiling() as server:
        best = await rate(Client(server.port).call, chain(10), options.n, 64)
    with servers.ours() as server:
        before = server.cpu_seconds()
        own = await rate(Client(server.port).call, chain(10), options.n, 64)
        spent = (server.cpu_seconds() - before) / options.n
    with servers.moto() as server:
        others = await rate(Client(server.port).call, chain(10), 100, 16)
    return {
        "workflows/s": own,
        "transitions/s": 10 * own,
        "server's CPU, ms each": 1000 * spent,
        "ceiling, workflows/s": best,
        "of the ceiling": own / best,
        "moto, workflows/s": others,
        "times moto": own / others,
    }


async def slow_disk(options: argparse.Namespace) -> Figures:
    with servers.ours() as server:
        fast = await rate(Client(server.port).call, chain(10), options.n, 256)
    with servers.ours(options.flush_delay_ms) as server:
        slow = await rate(Client(server.port).call, chain(10), options.n, 256)
    return {"workflows/s without": fast, "workflows/s": slow, "of the rate without": slow / fast}


async def choice_map(_: argparse.Namespace) -> Figures:
    states = {
        "C": {
            "Type": "Choice",
            "Choices": [{"Variable": "$.x", "NumericGreaterThan": MAP_ITEMS // 2, "Next": "P1"}],
            "Default": "P2",
        },
        "P1": {"Type": "Pass", "Result": "hi", "ResultPath": "$.r", "Next": "P3"},
        "P2": {"Type": "Pass", "Result": "lo", "ResultPath": "$.r", "Next": "P3"},
        "P3": {"Type": "Pass", "End": True},
    }
    processor = {"ProcessorConfig": {"Mode": "INLINE"}, "StartAt": "C", "States": states}
    over = {"Type": "Map", "ItemsPath": "$.items", "ItemProcessor": processor, "End": True}
    definition = {"StartAt": "M", "States": {"M": over}}
    text = json.dumps({"items": [{"x": i} for i in range(MAP_ITEMS)]})
    with servers.moto() as server:
        others = TRANSITIONS * await rate(Client(server.port).call, definition, 3, 1, text)
    with servers.ours() as server:
        own = TRANSITIONS * await rate(Client(server.port).call, definition, 100, 8, text)
    return {"transitions/s": own, "moto, transitions/s": others, "times moto": own / others}


class Workers:
    """32 of them poll an activity; each of its tasks is failed ``fails`` times, then it succeeds."""

    def __init__(self, call: Call, activity: str, fails: int = 0) -> None:
        self._call = call
        self._activity = activity
        self._fails = fails
        self._seen: dict[str, int] = {}

    async def _work(self) -> None:
        while True:
            task = await self._call("GetActivityTask", activityArn=self._activity, workerName="bench")
            tries = self._seen[task["input"]] = self._seen.get(task["input"], 0) + 1
            if tries <= self._fails:
                await self._call("SendTaskFailure", taskToken=task["taskToken"], error="Flaky", cause="x")
            else:
                await self._call("SendTaskSuccess", taskToken=task["taskToken"], output="{}")

    async def __aenter__(self) -> None:
        self._tasks = [asyncio.create_task(self._work()) for _ in range(32)]
        await asyncio.sleep(0.2)

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def tasks(call: Call, name: str, **more: Any) -> tuple[str, str]:
    resource = (await call("CreateActivity", name=name))["activityArn"]
    state = {"Type": "Task", "Resource": resource, "End": True, **more}
    return resource, await machine(call, name, {"StartAt": "T", "States": {"T": state}})


async def took(call: Call, executions: list[str]) -> list[float]:
    found = [await call("DescribeExecution", executionArn=arn) for arn in executions]
    return [1000 * (each["stopDate"] - each["startDate"]) for each in found]


async def activity(options: argparse.Namespace) -> Figures:
    with servers.ours() as server:
        call = Client(server.port).call
        resource, arn = await tasks(call, "busy")
        n = options.n // 2
        async with Workers(call, resource):
            began, before = time.perf_counter(), server.cpu_seconds()
            await start_all(call, arn, "e", n, 32)
            await until_none_runs(call, arn)
            seconds, spent = time.perf_counter() - began, (server.cpu_seconds() - before) / n
        assert await count(call, arn, "SUCCEEDED") == n
        resource, arn = await tasks(call, "idle")
        async with Workers(call, resource):
            for i in range(100):
                await start_all(call, arn, f"e{i}", 1, 1)
                await asyncio.sleep(0.01)
            await until_none_runs(call, arn)
        executions = (await call("ListExecutions", stateMachineArn=arn, maxResults=1000))["executions"]
        times = await took(call, [each["executionArn"] for each in executions])
    return {
        "workflows/s": n / seconds,
        "server's CPU, ms each": 1000 * spent,
        "start to stop p50, ms": percentile(times, 50),
    }


async def waiters(options: argparse.Namespace) -> Figures:
    definition = {"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 86_400, "End": True}}}
    with servers.ours() as server:
        call = Client(server.port).call
        await start_all(call, await machine(call, "warm", definition), "w", 2_000, 32)
        before = server.memory_kb()
        arn = await machine(call, "waiters", definition)
        seconds = await start_all(call, arn, "e", options.waiting, 32)
        each = (server.memory_kb() - before) / options.waiting
        assert await count(call, arn, "RUNNING") == options.waiting
    return {"starts/s": options.waiting / seconds, "KB each": each}


async def history(_: argparse.Namespace) -> Figures:
    with servers.ours() as server:
        call = Client(server.port).call
        arn = await machine(call, "history", chain(1000))
        text = json.dumps({"pad": "x" * 200})
        execution = (await call("StartExecution", stateMachineArn=arn, name="h", input=text))["executionArn"]
        await until_none_runs(call, arn)
        found: dict[str, float] = {}
        for size in (1000, 100):
            times, before = [], server.cpu_seconds()
            for _ in range(20):
                events, token, began = 0, {}, time.perf_counter()
                while True:
                    page = await call("GetExecutionHistory", executionArn=execution, maxResults=size, **token)
                    events += len(page["events"])
                    if "nextToken" not in page:
                        break
                    token = {"nextToken": page["nextToken"]}
                times.append(1000 * (time.perf_counter() - began) / events * 1000)
                assert events == 2002, events
            found["ms for 1,000 events" if size == 1000 else f"the same in pages of {size}"] = statistics.median(times)
            found[f"server's CPU, ms, pages of {size}"] = (server.cpu_seconds() - before) / 20 / events * 1e6
    return found


async def retry(_: argparse.Namespace) -> Figures:
    retries, n = 2, 200
    with servers.ours() as server:
        call = Client(server.port).call
        retrier = {"ErrorEquals": ["Flaky"], "IntervalSeconds": 1, "BackoffRate": 1.0, "MaxAttempts": 5}
        resource, arn = await tasks(call, "retried", Retry=[retrier])
        async with Workers(call, resource, retries):
            for i in range(n):
                await call("StartExecution", stateMachineArn=arn, name=f"e{i}", input=json.dumps({"i": i}))
            await until_none_runs(call, arn)
        executions = (await call("ListExecutions", stateMachineArn=arn, maxResults=1000))["executions"]
        assert len(executions) == n
        late = [(ms - 1000 * retries) / retries for ms in await took(call, [e["executionArn"] for e in executions])]
    return {"late p50, ms": percentile(late, 50), "late p99, ms": percentile(late, 99)}


WORKLOADS: dict[str, Callable[[argparse.Namespace], Awaitable[Figures]]] = {
    "pass10": pass10,
    "slow disk": slow_disk,
    "choice_map": choice_map,
    "activity": activity,
    "waiters": waiters,
    "history": history,
    "retry": retry,
}


async def within(name: str, options: argparse.Namespace) -> Figures:
    async with asyncio.timeout(300):
        return await WORKLOADS[name](options)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--n", type=int, default=4_000)
    parser.add_argument("--waiting", type=int, default=20_000)
    parser.add_argument("--flush-delay-ms", type=float, default=2.0)
    parser.add_argument("--only", nargs="*", choices=WORKLOADS, default=list(WORKLOADS))
    parser.add_argument("--results", type=Path, default=Path(__file__).with_name("results"))
    options = parser.parse_args()
    look_seldom()  # this is the client: what it measures is the server
    about = f"{os.cpu_count()} cores, Python {platform.python_version()}, SQLite {apsw.sqlite_lib_version()}"
    lines = [
        f"Medians of {options.runs} runs; {about}, {platform.system()}; load {os.getloadavg()[0]:.1f} at the beginning.\n",
        "| workload | figure | median | least to most | wanted |",
        "| --- | --- | --- | --- | --- |",
    ]
    print("\n".join(lines))
    for name in options.only:
        found = [uvloop.run(within(name, options)) for _ in range(options.runs)]
        for key in found[0]:
            values = [run[key] for run in found]
            spread = f"{min(values):,.2f} to {max(values):,.2f}"
            target = TARGETS.get((name, key), "")
            lines.append(f"| {name} | {key} | {statistics.median(values):,.2f} | {spread} | {target} |")
            print(lines[-1], flush=True)
    options.results.mkdir(exist_ok=True)
    (options.results / "workloads.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
