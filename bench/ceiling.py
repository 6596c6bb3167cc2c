"""The ceiling: the least that a durable answer costs one Python process, for the workload pass10 and nothing else.

    python ceiling.py PORT FILE

It answers StartExecution after the commit that holds a row for the execution and one for each of its events, batches what
arrives meanwhile, and checks nothing. No engine can be as fast; what one reaches of it says more than a figure of one machine.
"""

from __future__ import annotations

import asyncio
import sys
import time
from typing import Any

import apsw
import httptools
import msgspec
import uvloop

encode, decode = msgspec.json.Encoder().encode, msgspec.json.Decoder().decode
ROLE = "arn:aws:iam::000000000000:role/ceiling"


class Chains:
    """State machines of Pass states, executed into rows."""

    def __init__(self, path: str) -> None:
        connection = apsw.Connection(path)
        for name, value in (("journal_mode", "wal"), ("synchronous", "FULL"), ("wal_autocheckpoint", 4000)):
            connection.pragma(name, value)
        self.cursor = connection.cursor()
        self.cursor.execute(
            "CREATE TABLE execution (id INTEGER PRIMARY KEY, arn TEXT, input TEXT, start REAL);"
            "CREATE TABLE event (execution INTEGER, id INTEGER, type TEXT, at REAL, details BLOB,"
            " PRIMARY KEY (execution, id)) WITHOUT ROWID"
        )
        self.machines: dict[str, dict[str, Any]] = {}
        self.ended: list[str] = []
        self.waiting: list[tuple[Connection, str, str, str]] = []

    def commit(self) -> None:
        batch, self.waiting = self.waiting, []
        now = time.time()
        executions, events = [], []
        for number, (_, machine, arn, text) in enumerate(batch, len(self.ended) + 1):
            executions.append((number, arn, text, now))
            events += [
                (number, at, kind, now, details) for at, (kind, details) in enumerate(self.run(machine, text), 1)
            ]
        self.cursor.execute("BEGIN IMMEDIATE")
        self.cursor.executemany("INSERT INTO execution VALUES (?, ?, ?, ?)", executions)
        self.cursor.executemany("INSERT INTO event VALUES (?, ?, ?, ?, ?)", events)
        self.cursor.execute("COMMIT")
        for connection, _, arn, _ in batch:
            self.ended.append(arn)
            connection.answer({"executionArn": arn, "startDate": now})

    def run(self, machine: str, text: str) -> list[tuple[str, bytes]]:
        definition = self.machines[machine]
        found = [("ExecutionStarted", encode({"input": text, "roleArn": ROLE}))]
        name = definition["StartAt"]
        while name:
            found.append(("PassStateEntered", encode({"name": name, "input": text})))
            found.append(("PassStateExited", encode({"name": name, "output": text})))
            name = definition["States"][name].get("Next")
        found.append(("ExecutionSucceeded", encode({"output": text})))
        return found

    def ask(self, connection: Connection, operation: bytes, asked: dict[str, Any]) -> None:
        match operation:
            case b"StartExecution":
                machine = asked["stateMachineArn"]
                arn = f"{machine.replace(':stateMachine:', ':execution:')}:{asked['name']}"
                decode(asked["input"])
                if not self.waiting:
                    asyncio.get_running_loop().call_soon(self.commit)
                self.waiting.append((connection, machine, arn, asked["input"]))
            case b"CreateStateMachine":
                arn = f"arn:aws:states:us-east-1:000000000000:stateMachine:{asked['name']}"
                self.machines[arn] = decode(asked["definition"])
                connection.answer({"stateMachineArn": arn, "creationDate": 0})
            case b"ListExecutions":
                of = f"{asked['stateMachineArn'].replace(':stateMachine:', ':execution:')}:"
                found = [] if asked["statusFilter"] == "RUNNING" else [arn for arn in self.ended if arn.startswith(of)]
                connection.answer({"executions": [{"executionArn": arn} for arn in found]})


class Connection(asyncio.Protocol):
    def __init__(self, chains: Chains) -> None:
        self.chains = chains
        self.parser = httptools.HttpRequestParser(self)
        self.body, self.operation = b"", b""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def on_header(self, name: bytes, value: bytes) -> None:
        if name == b"X-Amz-Target":
            self.operation = value.rpartition(b".")[2]

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        body, self.body = self.body, b""
        self.chains.ask(self, self.operation, decode(body))

    def answer(self, answer: dict[str, Any]) -> None:
        body = encode(answer)
        self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))


async def main(port: int, path: str) -> None:
    chains = Chains(path)
    server = await asyncio.get_running_loop().create_server(lambda: Connection(chains), "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), sys.argv[2]))
