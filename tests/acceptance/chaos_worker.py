"""A worker for the kill test: answers tasks as fast as it can, and notes every token it got and had acknowledged.

    python chaos_worker.py PORT ACTIVITY_ARN LOG THREADS

What a task's ``do`` says:

    double   succeed with {"doubled": 2n}
    flaky    fail the first task of each execution with error Flaky, then double      once   the same, with error Fatal
    fatal    fail with error Fatal
    silent   say nothing to the first task of each execution, then double
    beat     send three heartbeats, then double
    call     succeed the task whose token is in the input, then double

The log has a line for each token that was got (GOT), whose result was acknowledged (ACK success, ACK failure), or whose
result came too late or a second time, its first acknowledgement having been lost (GONE); the last word is the execution's name.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
import time
from typing import Any

from sfn_http import Refused, StepFunctionsHttp, Unreachable

AGAIN_SECONDS = 0.02
BEAT_SECONDS = 0.2


class Worker:
    def __init__(self, port: int, activity: str, log: int, first: dict[str, str]) -> None:
        self.client = StepFunctionsHttp(port)
        self.activity = activity
        self.log = log
        self.first = first  # an execution's name -> its first task's token, which may be handed out again

    def run(self) -> None:
        while True:
            try:
                task = self.client.call("GetActivityTask", activityArn=self.activity, workerName=f"w{os.getpid()}")
            except (Unreachable, Refused):
                time.sleep(AGAIN_SECONDS)
                continue
            if task.get("taskToken"):
                value = json.loads(task["input"])
                self.note("GOT", task["taskToken"], value["name"])
                self.work(task["taskToken"], value)

    def work(self, token: str, value: dict[str, Any]) -> None:
        do, name, result = value["do"], value["name"], json.dumps({"doubled": value["n"] * 2})
        first = self.first.setdefault(name, token) == token
        if do == "fatal" or (do in {"flaky", "once"} and first):
            error = "Flaky" if do == "flaky" else "Fatal"
            self.answer("SendTaskFailure", token, name, error=error, cause="the first try")
            return
        if do == "silent" and first:
            return
        if do == "beat":
            for _ in range(3):
                self.beat(token)
                time.sleep(BEAT_SECONDS)
        if do == "call":
            self.answer("SendTaskSuccess", value["token"], name, note=False, output=result)
        self.answer("SendTaskSuccess", token, name, output=result)

    def beat(self, token: str) -> None:
        with contextlib.suppress(Unreachable, Refused):  # the result will be refused, too, if it is late
            self.client.call("SendTaskHeartbeat", taskToken=token)

    def answer(self, operation: str, token: str, name: str, *, note: bool = True, **result: str) -> None:
        outcome = "ACK"
        while True:
            try:
                self.client.call(operation, taskToken=token, **result)
            except Unreachable:
                time.sleep(AGAIN_SECONDS)
                continue
            except Refused as refused:
                if refused.code != "TaskTimedOut":
                    raise
                outcome = "GONE"
            if note:
                self.note(outcome, token, f"{'success' if operation == 'SendTaskSuccess' else 'failure'} {name}")
            return

    def note(self, what: str, token: str, more: str) -> None:
        os.write(self.log, f"{time.monotonic():.6f} {what} {token} {more}\n".encode())


def main() -> None:
    port, activity, path, threads = int(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])
    log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    first: dict[str, str] = {}
    for _ in range(threads):
        threading.Thread(target=Worker(port, activity, log, first).run, daemon=True).start()
    threading.Event().wait()


if __name__ == "__main__":
    main()
