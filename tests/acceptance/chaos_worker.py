"""A worker for the kill test: answers tasks as fast as it can, and notes every token it got and had acknowledged.

    python chaos_worker.py PORT ACTIVITY_ARN LOG THREADS

A task whose input has ``"flaky": true`` fails once for each execution with error Flaky, then succeeds.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time

from sfn_http import Refused, StepFunctionsHttp, Unreachable


def work(port: int, activity: str, log: int, failed: set[str]) -> None:
    client = StepFunctionsHttp(port)
    while True:
        try:
            task = client.call("GetActivityTask", activityArn=activity, workerName=f"w{os.getpid()}")
        except (Unreachable, Refused):
            time.sleep(0.02)
            continue
        token = task.get("taskToken")
        if not token:
            continue
        note(log, "GOT", token)
        value = json.loads(task["input"])
        answer(client, log, token, value, failed)


def answer(client: StepFunctionsHttp, log: int, token: str, value: dict[str, object], failed: set[str]) -> None:
    name = str(value["name"])
    fails = bool(value["flaky"]) and name not in failed
    while True:
        try:
            if fails:
                client.call("SendTaskFailure", taskToken=token, error="Flaky", cause="the first try")
                failed.add(name)
            else:
                client.call("SendTaskSuccess", taskToken=token, output=json.dumps({"doubled": value["n"] * 2}))
        except Unreachable:
            time.sleep(0.02)
        except Refused as refused:
            if refused.code != "TaskTimedOut":
                raise
            failed.add(name)
            note(log, "GONE", token)  # an earlier answer counted, though its acknowledgement was lost
            return
        else:
            note(log, "ACK", token)
            return


def note(log: int, what: str, token: str) -> None:
    os.write(log, f"{time.monotonic():.6f} {what} {token}\n".encode())


def main() -> None:
    port, activity, path, threads = int(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])
    log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    failed: set[str] = set()
    for _ in range(threads):
        threading.Thread(target=work, args=(port, activity, log, failed), daemon=True).start()
    threading.Event().wait()


if __name__ == "__main__":
    main()
