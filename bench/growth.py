"""How cost grows: curves that should be flat, drawn and written down.

    python bench/growth.py [--most 100000] [--results FOLDER]

concurrent   an execution's Task succeeds and its next begins, beside 100 to 100,000 others that wait: time per transition
long         one execution that loops over a Task, to its 20,000th event: time per event, by fifths
map          an inline Map with MaxConcurrency 40, of 10 to 10,000 items, each a Pass: time per item; and each a Task
distributed  a distributed Map of 10 to 100,000 items, each a Pass: time per item
waiting      100 to 100,000 executions in a Wait, over HTTP: the server's memory for each, and seconds to start again with them

Times are processor time of this process, in which the engine runs (all but the last): on a shared machine the clock would
measure the others. Each point is the best of the runs.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl
import msgspec
import servers
import uvloop
from engine import count, machine, start_all
from load import Client

from workflow_manager.database import Database
from workflow_manager.engine import EmbeddedStepFunctions
from workflow_manager.engine.core.draft import Limits
from workflow_manager.garbage import look_seldom
from workflow_manager.stepfunctions.protocol import OPERATIONS

mpl.use("agg")
import matplotlib.pyplot as plt

Call = Callable[..., Awaitable[dict[str, Any]]]
Curve = dict[int, float]
MAP_CONCURRENCY = 40


@asynccontextmanager
async def engine() -> AsyncIterator[Call]:
    with tempfile.TemporaryDirectory() as folder:
        database = Database(Path(folder) / "bench.db")
        running = EmbeddedStepFunctions(database, limits=Limits(payload_bytes=1 << 26, history_events=1 << 22))
        await running.start()

        async def call(operation: str, **parameters: Any) -> dict[str, Any]:
            method, request, _ = OPERATIONS[operation]
            answer = await getattr(running, method)(msgspec.convert(parameters, request))
            result: dict[str, Any] = msgspec.to_builtins(answer)
            return result

        try:
            yield call
        finally:
            await running.close()
            await database.close()


async def ended(call: Call, arn: str) -> None:
    while (found := await call("DescribeExecution", executionArn=arn))["status"] == "RUNNING":  # noqa: ASYNC110
        await asyncio.sleep(0.002)
    assert found["status"] == "SUCCEEDED", found


async def spent(call: Call, arn: str, value: Any) -> float:
    """Seconds of processor time for one execution."""
    began = time.process_time()
    started = await call("StartExecution", stateMachineArn=arn, name=os.urandom(8).hex(), input=json.dumps(value))
    await ended(call, started["executionArn"])
    return time.process_time() - began


def a_state(state: dict[str, Any], name: str = "S") -> dict[str, Any]:
    return {"StartAt": name, "States": {name: {**state, "End": True}}}


def endless(activity: str) -> dict[str, Any]:
    """A Task after another, until one fails."""
    task = {
        "Type": "Task",
        "Resource": activity,
        "Next": "T",
        "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "End"}],
    }
    return {"StartAt": "T", "States": {"T": task, "End": {"Type": "Succeed"}}}


async def concurrent(n: int) -> float:
    """Microseconds for a transition, of executions of which n are under way."""
    moved = 1_000
    async with engine() as call:
        resource = (await call("CreateActivity", name="work"))["activityArn"]
        await start_all(call, await machine(call, "m", endless(resource)), "e", n, 64)
        began = time.process_time()
        for _ in range(moved):
            got = await call("GetActivityTask", activityArn=resource)
            await call("SendTaskSuccess", taskToken=got["taskToken"], output="{}")
        return (time.process_time() - began) / moved * 1e6


async def long(events: int) -> Curve:
    """Microseconds for an event, by how many there were before."""
    curve: Curve = {}
    async with engine() as call:
        resource = (await call("CreateActivity", name="work"))["activityArn"]
        arn = await machine(call, "m", endless(resource))
        await call("StartExecution", stateMachineArn=arn, name="e", input="{}")
        each = 5  # events of an iteration: entered, scheduled, started, succeeded, exited
        for fifth in range(5):
            began = time.process_time()
            for _ in range(events // 5 // each):
                got = await call("GetActivityTask", activityArn=resource)
                await call("SendTaskSuccess", taskToken=got["taskToken"], output="{}")
            curve[events * (fifth + 1) // 5] = (time.process_time() - began) / (events // 5) * 1e6
    return curve


async def inline(n: int) -> float:
    """Microseconds for an item."""
    async with engine() as call:
        over = {"Type": "Map", "MaxConcurrency": MAP_CONCURRENCY, "ItemProcessor": a_state({"Type": "Pass"}, "Item")}
        arn = await machine(call, "m", a_state(over))
        times = max(1, 1_000 // n)
        return sum([await spent(call, arn, list(range(n))) for _ in range(times)]) / times / n * 1e6


async def inline_tasks(n: int) -> float:
    """Microseconds for an item, each of them a Task that a worker succeeds."""
    async with engine() as call:
        resource = (await call("CreateActivity", name="work"))["activityArn"]
        task = a_state({"Type": "Task", "Resource": resource}, "Item")
        over = {"Type": "Map", "MaxConcurrency": MAP_CONCURRENCY, "ItemProcessor": task}
        arn = await machine(call, "m", a_state(over))
        began, times = time.process_time(), max(1, 500 // n)
        for i in range(times):
            await call("StartExecution", stateMachineArn=arn, name=f"e{i}", input=json.dumps(list(range(n))))
            for _ in range(n):
                got = await call("GetActivityTask", activityArn=resource)
                await call("SendTaskSuccess", taskToken=got["taskToken"], output="{}")
        return (time.process_time() - began) / times / n * 1e6


async def distributed(n: int) -> float:
    """Microseconds for an item."""
    async with engine() as call:
        each = a_state({"Type": "Pass"}, "Item") | {
            "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}
        }
        over = {"Type": "Map", "ItemProcessor": each, "ResultPath": None}
        arn = await machine(call, "m", a_state(over))
        times = max(1, 200 // n)
        return sum([await spent(call, arn, list(range(n))) for _ in range(times)]) / times / n * 1e6


async def waiting(n: int) -> tuple[float, float, float]:
    """KB of the server for each; seconds until it answers after a kill and a start with them, and of processor time till then."""
    definition = a_state({"Type": "Wait", "Seconds": 86_400})
    with servers.ours() as server:
        call = Client(server.port).call
        await start_all(call, await machine(call, "warm", definition), "w", 2_000, 32)
        before = server.memory_kb()
        arn = await machine(call, "waiting", definition)
        await start_all(call, arn, "e", n, 32)
        each = (server.memory_kb() - before) / n
        server.end(signal.SIGKILL)
        again = server.start()
        spent = server.cpu_seconds()
        found = await count(Client(server.port).call, arn, "RUNNING")
        assert found == n, f"{found} of {n} wait"
        return each, again, spent


def best(measure: Callable[[int], Awaitable[float]], sizes: list[int], runs: int) -> Curve:
    async def one(size: int) -> float:
        return await measure(size)

    return {size: min(uvloop.run(one(size)) for _ in range(runs)) for size in sizes}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--most", type=int, default=100_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--only", nargs="*", default=["concurrent", "long", "map", "distributed", "waiting"])
    parser.add_argument("--results", type=Path, default=Path(__file__).with_name("results"))
    options = parser.parse_args()
    look_seldom()  # as a server does
    sizes = [size for size in (10, 100, 1_000, 10_000, 100_000) if size <= options.most]

    def keep(name: str, curve: Curve) -> None:
        print(name, {size: round(value, 3) for size, value in curve.items()}, flush=True)
        curves = known(options.results)
        curves[name] = curve
        options.results.mkdir(exist_ok=True)
        (options.results / "growth.json").write_bytes(
            msgspec.json.format(msgspec.json.encode(curves), indent=1) + b"\n"
        )

    if "concurrent" in options.only:
        keep("others under way: µs for a transition", best(concurrent, [s for s in sizes if s > 10], options.runs))
    if "long" in options.only:
        found = [uvloop.run(long(20_000)) for _ in range(options.runs)]
        keep("events before: µs for an event", {size: min(curve[size] for curve in found) for size in found[0]})
    if "map" in options.only:
        small = [size for size in sizes if size <= 10_000]
        keep("items of an inline Map, each a Pass: µs for an item", best(inline, small, options.runs))
        keep("items of an inline Map, each a Task: µs for an item", best(inline_tasks, small, options.runs))
    if "distributed" in options.only:
        keep("items of a distributed Map: µs for an item", best(distributed, sizes, options.runs))
    if "waiting" in options.only:
        found_at = {size: uvloop.run(waiting(size)) for size in sizes if size > 100}
        keep("waiting executions: KB for each", {size: each[0] for size, each in found_at.items()})
        keep("waiting executions: s to start again", {size: each[1] for size, each in found_at.items()})
        keep(
            "waiting executions: s of processor time to start again", {size: each[2] for size, each in found_at.items()}
        )
    write(known(options.results), options.results)


def known(folder: Path) -> dict[str, Curve]:
    """The curves that were measured before, of which some may be measured again."""
    file = folder / "growth.json"
    return msgspec.json.decode(file.read_bytes(), type=dict[str, Curve]) if file.exists() else {}


def write(curves: dict[str, Curve], folder: Path) -> None:
    lines = ["| curve | at | figure | ratio to the first |", "| --- | --- | --- | --- |"]
    figure, axes = plt.subplots(len(curves), 1, figsize=(7, 2.6 * len(curves)), layout="constrained", squeeze=False)
    for axis, (name, curve) in zip(axes[:, 0], curves.items(), strict=True):
        of, _, unit = name.partition(": ")
        first = next(iter(curve.values()))
        lines += [f"| {name} | {size:,} | {value:,.2f} | {value / first:.2f} |" for size, value in curve.items()]
        axis.plot(list(curve), list(curve.values()), marker="o")
        axis.set(xscale="log", xlabel=of, ylabel=unit, ylim=(0, 1.5 * max(curve.values())))
        axis.grid(visible=True, alpha=0.3)
    figure.savefig(folder / "growth.png", dpi=100)
    (folder / "growth.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
