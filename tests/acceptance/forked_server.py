"""``wfm serve`` in a process that is forked from one that has imported everything, for tests that start it very often.

A start then costs what the server does at a start, and not what importing it does (several times as much).

    python forked_server.py

Reads a JSON array from each line of standard input, answers one line:

    ["start", {"arguments": [...], "environment": {...}, "log": PATH}]  ->  the process's id
    ["end", ID]     kill it (SIGKILL), unless it is gone                 ->  how it ended, as os.waitstatus_to_exitcode says
    ["over", ID]    whether it has ended of itself                       ->  true or false
"""

from __future__ import annotations

import gc
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, NoReturn, Self

from failing_disk import install

ended: dict[int, int] = {}


def main() -> None:
    import workflow_manager.api.server
    import workflow_manager.cli.app
    import workflow_manager.composition  # noqa: F401 - so that the forked processes need not

    gc.freeze()
    for line in sys.stdin:
        command, argument = json.loads(line)
        answer: object
        match command:
            case "start":
                answer = start(argument)
            case "over":
                answer = over(argument)
            case _:
                answer = end(argument)
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def start(how: dict[str, Any]) -> int:
    process = os.fork()
    if not process:
        serve(how)
    return process


def serve(how: dict[str, Any]) -> NoReturn:
    os.setsid()
    log = os.open(how["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    null = os.open(os.devnull, os.O_RDONLY)
    for number, opened in enumerate((null, log, log)):
        os.dup2(opened, number)
    os.environ.update(how["environment"])
    install(os.environ.get("WFM_TEST_CRASH", ""))
    from workflow_manager.cli import main as wfm

    wfm(["serve", *how["arguments"]])


def over(process: int) -> bool:
    if process not in ended:
        found, status = os.waitpid(process, os.WNOHANG)
        if not found:
            return False
        ended[process] = os.waitstatus_to_exitcode(status)
    return True


def end(process: int) -> int:
    if process not in ended:
        os.kill(process, signal.SIGKILL)
        _, status = os.waitpid(process, 0)
        ended[process] = os.waitstatus_to_exitcode(status)
    return ended.pop(process)


class ForkedServers:
    """The other end: starts and ends servers through a process of this module."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, Path(__file__)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )

    def ask(self, command: str, argument: object) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([command, argument]) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self._process as process:
            process.kill()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()


if __name__ == "__main__":
    main()
