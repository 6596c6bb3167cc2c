"""How a distributed Map's cost grows with its items, and an inline Map's beside it, over HTTP against ``wfm serve``.

    python bench/distributed_map.py [--items 10 1000 ...] [--inline 10 100 ...] [--batch 100] [--json FILE]

distributed  a CSV file of so many rows, a child execution with one Pass for each, results written to a file
batched      the same with an ItemBatcher, so that there are --batch times fewer children
inline       an inline Map of so many items, a Pass for each, MaxConcurrency 40: in this process, since it needs more events than
             AWS lets an execution have (and the server with it); in executions enough for 10,000 items in all

Every execution must have succeeded, and the Map Run must have counted every item once. Memory is what the server's proportional
set size has grown by at its highest since it was asked to start, in kilobytes; CPU is the server's, which a busy machine changes
less than the time that passes.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import uvloop
from engine import ROLE, Server, machine
from load import Client

from workflow_manager.database import Database
from workflow_manager.engine import EmbeddedStepFunctions, Limits
from workflow_manager.stepfunctions import types as t

PASS = {"StartAt": "P", "States": {"P": {"Type": "Pass", "End": True}}}


def distributed(batch: int | None) -> dict[str, Any]:
    state: dict[str, Any] = {
        "Type": "Map",
        "Label": "bench",
        "ItemReader": {
            "Resource": "arn:aws:states:::s3:getObject",
            "ReaderConfig": {"InputType": "CSV", "CSVHeaderLocation": "FIRST_ROW"},
            "Parameters": {"Bucket": "file://in", "Key.$": "$.key"},
        },
        "ItemProcessor": {"ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}, **PASS},
        "ResultWriter": {"Resource": "arn:aws:states:::s3:putObject", "Parameters": {"Bucket": "file://out"}},
        "End": True,
    }
    if batch is not None:
        state["ItemBatcher"] = {"MaxItemsPerBatch": batch}
    return {"StartAt": "M", "States": {"M": state}}


INLINE = {
    "StartAt": "M",
    "States": {
        "M": {"Type": "Map", "MaxConcurrency": 40, "ItemProcessor": PASS, "ResultPath": None, "End": True},
    },
}


class Memory:
    """The highest memory of a server while it is watched."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._ended = threading.Event()
        self.before = self.highest = server.memory_kb()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def _watch(self) -> None:
        while not self._ended.wait(0.05):
            self.highest = max(self.highest, self._server.memory_kb())

    def end(self) -> int:
        self._ended.set()
        self._thread.join()
        return self.highest - self.before


def cpu_seconds(pid: int) -> float:
    """What a process has used so far, in user and kernel mode."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def finished(call: Any, arn: str) -> dict[str, Any]:
    while True:
        described: dict[str, Any] = await call("DescribeExecution", executionArn=arn)
        if described["status"] != "RUNNING":
            assert described["status"] == "SUCCEEDED", described
            return described
        await asyncio.sleep(0.02)


async def of_distributed(server: Server, files: Path, items: int, batch: int | None) -> dict[str, float]:
    with (files / "in" / f"{items}.csv").open("w") as file:
        file.write("id,name,amount\n")
        file.writelines(f"{i},customer {i},{i % 997}\n" for i in range(items))
    call = Client(server.port).call
    arn = await machine(call, f"distributed-{items}-{batch}", distributed(batch))
    memory = Memory(server)
    cpu, began = cpu_seconds(server.process.pid), time.perf_counter()
    started = await call("StartExecution", stateMachineArn=arn, input=json.dumps({"key": f"{items}.csv"}))
    await finished(call, started["executionArn"])
    seconds = time.perf_counter() - began
    cpu = cpu_seconds(server.process.pid) - cpu
    grown = memory.end()
    (run,) = (await call("ListMapRuns", executionArn=started["executionArn"]))["mapRuns"]
    counts = (await call("DescribeMapRun", mapRunArn=run["mapRunArn"]))["itemCounts"]
    assert counts["succeeded"] == counts["total"] == counts["resultsWritten"] == items, counts
    return {
        "items": items,
        "seconds": seconds,
        "us per item": seconds / items * 1e6,
        "CPU us per item": cpu / items * 1e6,
        "memory KB": grown,
    }


async def of_inline(folder: Path, items: int, total: int) -> dict[str, float]:
    database = Database(folder / f"inline-{items}.db")
    engine = EmbeddedStepFunctions(database, limits=Limits(history_events=1 << 23, payload_bytes=1 << 23))
    await engine.start()
    made = await engine.create_state_machine(
        t.CreateStateMachineInput(name="inline", definition=json.dumps(INLINE), role_arn=ROLE)
    )
    times = max(1, total // items)
    text = json.dumps(list(range(items)))
    cpu, began = time.process_time(), time.perf_counter()
    for _ in range(times):
        request = t.StartExecutionInput(state_machine_arn=made.state_machine_arn, input=text)
        arn = (await engine.start_execution(request)).execution_arn
        while (
            described := await engine.describe_execution(t.DescribeExecutionInput(execution_arn=arn))
        ).status == "RUNNING":
            await engine.changed(arn, 1 << 30, 0.05)
        assert described.status == "SUCCEEDED", described
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    await engine.close()
    await database.close()
    each = 1e6 / times / items
    return {"items": items, "seconds": seconds, "us per item": seconds * each, "CPU us per item": cpu * each}


async def measure(options: argparse.Namespace) -> dict[str, list[dict[str, float]]]:
    found: dict[str, list[dict[str, float]]] = {}

    def told(name: str, figures: dict[str, float]) -> None:
        found.setdefault(name, []).append(figures)
        cells = [
            f"{figures['items']:,}",
            f"{figures['seconds']:.2f}",
            *(
                f"{figures[key]:,.0f}" if key in figures else ""
                for key in ("us per item", "CPU us per item", "memory KB")
            ),
        ]
        print(f"| {name} | {' | '.join(cells)} |", flush=True)

    for name, batch in (("distributed", None), (f"batched by {options.batch}", options.batch)):
        for items in options.items:
            with tempfile.TemporaryDirectory() as folder:
                files = Path(folder) / "files"
                (files / "in").mkdir(parents=True)
                server = Server(folder, "--map-files", str(files))
                try:
                    await of_distributed(server, files, 20, batch)  # so that what is made once is made
                    told(name, await of_distributed(server, files, items, batch))
                finally:
                    server.end()
    with tempfile.TemporaryDirectory() as folder:
        for items in options.inline:
            told("inline", await of_inline(Path(folder), items, max(options.inline, default=0)))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, nargs="*", default=[10, 100, 1_000, 10_000, 100_000])
    parser.add_argument("--inline", type=int, nargs="*", default=[10, 100, 1_000, 10_000])
    parser.add_argument("--batch", type=int, default=100)
    parser.add_argument("--json")
    options = parser.parse_args()
    print("| Map | items | seconds | us per item | CPU us per item | memory KB |")
    print("| --- | --- | --- | --- | --- | --- |")
    found = uvloop.run(measure(options))
    if options.json:
        Path(options.json).write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
