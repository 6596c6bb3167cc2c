"""What must withstand ``kill -9`` and power cuts: a real server, a real worker process, SIGKILL at random and at chosen moments.

Executions of every shape in chaos_shapes.py are started all the time. The server ends thirty times (``make soak``: a thousand
times), at a random moment or at a crash point of its disk (failing_disk.py), and every other time a power cut takes some of what
was written and not synced. Then an independent account is held against the server's: every acknowledged start ended once, with
the right outcome and output; histories have no gaps; no acknowledged task result is missing or was asked for again; every nested
execution was started once; no timer was early, and none was lost.
"""

from __future__ import annotations

import collections
import concurrent.futures
import contextlib
import itertools
import json
import os
import random
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import pytest
from chaos_shapes import CHILDREN, SHAPES, Shape, faults, output_fault
from failing_disk import POINTS, cut_power
from forked_server import ForkedServers
from server_process import free_port
from sfn_http import Refused, StepFunctionsHttp, Unreachable

KILLS = int(os.environ.get("WFM_TEST_KILLS", "30"))
pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(300 + 10 * KILLS)]

EACH = 2
"""Executions of each shape between two kills."""
CLIENTS = 8
OPERATORS = 2
ONE_MOMENT_SECONDS = 2.0
"""How much later than another thread of the worker one may note what it got, on a busy machine."""
START_SECONDS = 0.2
"""A server hands out nothing before it has run so long."""
AGAIN_SECONDS = 0.02
ROLE = "arn:aws:iam::000000000000:role/test"


class Server:
    """``wfm serve`` on one port and folder, started and ended many times."""

    def __init__(self, folder: Path, port: int, servers: ForkedServers) -> None:
        self.folder = folder
        self.port = port
        self._servers = servers
        self._process = 0

    def start(self, crash: str = "") -> None:
        """Begin to start; ``crash``: the crash point to end at."""
        how = {
            "arguments": ["--port", str(self.port), "--data", str(self.folder)],
            "environment": {"WFM_TEST_CRASH": crash, "WFM_LOG_LEVEL": "warning"},
            "log": str(self.folder.with_suffix(".log")),
        }
        self._process = self._servers.ask("start", how)

    def answers(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 5):
            return True
        return False

    def has_ended(self) -> bool:
        return bool(self._servers.ask("over", self._process))

    def end(self) -> int:
        return int(self._servers.ask("end", self._process))


@dataclass
class Account:
    """What we were told: the independent model."""

    started: dict[str, dict[str, int]] = field(default_factory=lambda: collections.defaultdict(dict))
    """By shape: the number of each execution."""
    asked: list[concurrent.futures.Future[None]] = field(default_factory=list)
    """What operators were asked to do."""


def test_nothing_acknowledged_is_lost_or_doubled(tmp_path: Path) -> None:
    seed = int(os.environ.get("WFM_TEST_SEED", "0")) or random.randrange(1, 1 << 30)
    print(f"seed {seed}")  # noqa: T201 - to draw the same moments again
    chance = random.Random(seed)
    log = tmp_path / "worker.log"
    account = Account()
    with (
        ForkedServers() as servers,
        concurrent.futures.ThreadPoolExecutor(CLIENTS) as clients,
        concurrent.futures.ThreadPoolExecutor(OPERATORS) as operators,
        Clients(free_port()) as api,
    ):
        server = Server(tmp_path / "data", api.port, servers)
        server.start()
        activity, machines = create(api)
        with subprocess.Popen(
            [sys.executable, Path(__file__).with_name("chaos_worker.py"), str(server.port), activity, log, "12"]
        ) as worker:
            try:
                life = Life(server, chance)
                for batch in itertools.count():
                    starts = list(start_some(clients, api, machines, batch, account))
                    life.end_somehow()
                    life.go_on_until(starts)
                    account.asked += ask(operators, api, machines, batch)
                    if life.ends >= KILLS:
                        break
                life.go_on_until(account.asked)
                life.end_once_more()
                print(life.how)  # noqa: T201
                wait_until_none_runs(api, machines)
                histories = check_executions(api, machines, account)
            finally:
                worker.kill()
                server.end()
        check_tasks(log, life.starts, histories)


def create(api: Clients) -> tuple[str, dict[str, str]]:
    activity = api.insist("CreateActivity", name="work")["activityArn"]
    arns = {"activity": activity}
    definitions: list[tuple[str, Any]] = [*CHILDREN.items(), *((shape.name, shape.definition) for shape in SHAPES)]
    for name, definition in definitions:
        arns[name] = api.insist("CreateStateMachine", name=name, definition=json.dumps(definition(arns)), roleArn=ROLE)[
            "stateMachineArn"
        ]
    return activity, arns


class Life:
    """Lets a server end and start again; ``ends``: how often it ended, ``how``, and when it ``starts``."""

    def __init__(self, server: Server, chance: random.Random) -> None:
        self.server = server
        self.chance = chance
        self.ends = 0
        self.how = collections.Counter[str]()
        self.starts: list[float] = []

    def end_somehow(self) -> None:
        """Let it answer a while, perhaps into its crash point; end it else. One in ten may not even start."""
        if self.chance.random() < 0.9:
            while not self.server.answers() and not self.server.has_ended():
                time.sleep(AGAIN_SECONDS)
        until = time.monotonic() + self.chance.uniform(0.02, 0.8)
        while time.monotonic() < until and not self.server.has_ended():
            time.sleep(AGAIN_SECONDS)
        self._again(self._crash_point())

    def go_on_until(self, done: list[concurrent.futures.Future[None]]) -> None:
        """Start it again whenever it ends, until all of these are done; raises what they raise."""
        while waiting := concurrent.futures.wait(done, timeout=AGAIN_SECONDS).not_done:
            if self.server.has_ended():
                self._again(self._crash_point() if len(waiting) > EACH else "")
        for each in done:
            each.result()

    def end_once_more(self) -> None:
        """And start to stay."""
        self._again("")

    def _again(self, crash: str) -> None:
        self.how["at a crash point" if self.server.has_ended() else "at a random moment"] += 1
        self.ends += 1
        self.server.end()
        if self.chance.random() < 1 / 2:
            self.how["sectors lost"] += cut_power(self.server.folder, self.chance)
        self.starts.append(time.monotonic())
        self.server.start(crash)

    def _crash_point(self) -> str:
        """Where it is to end next, two times in three."""
        chance = self.chance
        return f"{chance.choice(POINTS)}@{int(2 ** chance.uniform(2, 10))}" if chance.random() < 2 / 3 else ""


# ---------------------------------------------------------------------------------------------- asking


class Clients:
    """A client for each thread that asks, all of them closed at the end."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._all: list[StepFunctionsHttp] = []
        self._own = threading.local()
        self._over = False

    def insist(self, operation: str, **parameters: Any) -> dict[str, Any]:
        """Call until there is an answer."""
        client: StepFunctionsHttp | None = getattr(self._own, "client", None)
        if client is None:
            client = self._own.client = StepFunctionsHttp(self.port)
            self._all.append(client)
        while True:
            try:
                return client.call(operation, **parameters)
            except Unreachable:
                if self._over:
                    raise
                time.sleep(AGAIN_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._over = True
        for client in self._all:
            client.close()


def start_some(
    clients: concurrent.futures.Executor, api: Clients, machines: dict[str, str], batch: int, account: Account
) -> Iterator[concurrent.futures.Future[None]]:
    for n in range(EACH):
        for shape in SHAPES:
            number = batch * EACH + n
            account.started[shape.name][f"{shape.name}-{number}"] = number
            yield clients.submit(start_until_acknowledged, api, machines[shape.name], shape, number)


def start_until_acknowledged(api: Clients, machine: str, shape: Shape, n: int) -> None:
    name = f"{shape.name}-{n}"
    value = {"name": name, "n": n, "items": [1, 2, 3]}
    try:
        api.insist("StartExecution", stateMachineArn=machine, name=name, input=json.dumps(value))
    except Refused as refused:
        if refused.code != "ExecutionAlreadyExists":  # started, and ended, before it was acknowledged
            raise


def ask(
    operators: concurrent.futures.Executor, api: Clients, machines: dict[str, str], batch: int
) -> Iterator[concurrent.futures.Future[None]]:
    """Have what was started in this batch stopped and redriven."""
    does = {"stop": stop_until_acknowledged, "redrive": redrive_until_acknowledged}
    for shape in SHAPES:
        if shape.asked:
            for n in range(batch * EACH, (batch + 1) * EACH):
                arn = f"{machines[shape.name].replace(':stateMachine:', ':execution:')}:{shape.name}-{n}"
                yield operators.submit(does[shape.asked], api, arn)


def stop_until_acknowledged(api: Clients, execution: str) -> None:
    api.insist("StopExecution", executionArn=execution, error="Stopped", cause="by the operator")


def redrive_until_acknowledged(api: Clients, execution: str) -> None:
    while api.insist("DescribeExecution", executionArn=execution)["status"] == "RUNNING":
        time.sleep(0.1)
    api.insist("RedriveExecution", executionArn=execution, clientToken=execution.rsplit(":", 1)[-1])


# ---------------------------------------------------------------------------------------------- checking


def wait_until_none_runs(api: Clients, machines: dict[str, str]) -> None:
    until = time.monotonic() + 120
    for name, machine in machines.items():
        while name != "activity" and listed(api, machine, "RUNNING", at_most=1):
            assert time.monotonic() < until, f"some executions of {name} never end"
            time.sleep(0.2)


def listed(api: Clients, machine: str, status: str = "", at_most: int = 1000) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    asks: dict[str, Any] = {"stateMachineArn": machine, "maxResults": at_most}
    if status:
        asks["statusFilter"] = status
    while True:
        page = api.insist("ListExecutions", **asks)
        found += page["executions"]
        if "nextToken" not in page or at_most == 1:
            return found
        asks["nextToken"] = page["nextToken"]


def check_executions(api: Clients, machines: dict[str, str], account: Account) -> dict[str, Any]:
    """Hold the account against the server; how tasks ended, by the execution's name and event type."""
    wrong: list[str] = []
    ended: dict[str, Any] = {}
    children = collections.Counter[str]()
    for shape in SHAPES:
        executions = listed(api, machines[shape.name])
        names = collections.Counter(execution["name"] for execution in executions)
        started = account.started[shape.name]
        assert names == collections.Counter(started.keys()), f"not what was started of {shape.name}"
        children[shape.children[0]] += shape.children[1] * len(started)
        for execution in executions:
            name = execution["name"]
            described = api.insist("DescribeExecution", executionArn=execution["executionArn"])
            fault = output_fault(shape, name, started[name], described)
            events = history(api, execution["executionArn"])
            ended[name] = collections.Counter(event["type"] for event in events)
            wrong += [f"{name} {each}" for each in ([fault] if fault else [])]
            wrong += [f"{name}: {each}" for each in faults(shape, shape.status, events)]
    for child in CHILDREN:
        executions = listed(api, machines[child])
        if len(executions) != children[child]:
            wrong.append(f"{len(executions)} executions of {child} were started and not {children[child]}")
        for execution in executions:
            events = history(api, execution["executionArn"])
            ended[execution["name"]] = collections.Counter(event["type"] for event in events)
            wrong += [f"{child} {execution['name']}: {each}" for each in faults(None, "SUCCEEDED", events)]
    assert not wrong, "\n".join(wrong[:50])
    return ended


def history(api: Clients, execution: str) -> list[dict[str, Any]]:
    answer = api.insist("GetExecutionHistory", executionArn=execution, maxResults=1000)
    events: list[dict[str, Any]] = answer["events"]
    return events


def check_tasks(log: Path, starts: list[float], histories: dict[str, Any]) -> None:
    """Every acknowledged result is in its history; no token comes again after that, and none is acknowledged twice.

    A token that was being handed out when the server was killed is handed out again, so that two threads of the worker may
    have it at one moment, and note it in either order. A result that was forgotten comes back from a later server.
    """
    acknowledged: dict[str, float] = {}
    told: dict[tuple[str, str, str], int] = collections.Counter()
    for line in sorted(log.read_text().splitlines(), key=lambda line: float(line.split()[0])):
        at, what, token, *more = line.split()
        if what == "GOT":
            then, now = acknowledged.get(token, float(at)), float(at)
            again = now - then > ONE_MOMENT_SECONDS or any(then < start < now - START_SECONDS for start in starts)
            assert not again, f"asked for again after {now - then} s"
            continue
        told[what, more[0], more[1]] += 1
        if what == "ACK":
            assert token not in acknowledged, "acknowledged twice"
            acknowledged[token] = float(at)
    assert len(acknowledged) > KILLS
    for outcome, event in (("success", "ActivitySucceeded"), ("failure", "ActivityFailed")):
        for name, types in histories.items():
            sure = told["ACK", outcome, name]
            assert sure <= types[event] <= sure + told["GONE", outcome, name], (name, event, types[event], sure)
