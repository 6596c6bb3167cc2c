"""A workflow from definition to output; then the server is killed in the middle of the next one, and that finishes too.

Run by ``make demo``. Uses only the ``wfm`` commands that it prints, a temporary folder and a free loopback port, and
removes what it made, however it ends.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

EXAMPLES = Path(__file__).parent
WFM = Path(sys.executable).with_name("wfm")
BOLD, DIM, PLAIN = (
    ("\033[1m", "\033[2m", "\033[0m") if sys.stdout.isatty() and "NO_COLOR" not in os.environ else ("",) * 3
)


class DemoFailed(Exception):
    """Something did not happen that should have."""


def say(text: str) -> None:
    print(f"\n{BOLD}{text}{PLAIN}", flush=True)


def show(*arguments: str | Path) -> None:
    shown = " ".join(f"'{each}'" if " " in str(each) or "{" in str(each) else str(each) for each in arguments)
    print(f"{DIM}$ wfm {shown}{PLAIN}", flush=True)


class Demo:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self.url = f"http://127.0.0.1:{self.port}"
        self.environment = os.environ | {
            "WFM_SERVER": self.url,
            "WFM_OUTPUT": "table",
            "ECHO_SECONDS": "1",
            "COLUMNS": "120",
        }
        self.processes: list[subprocess.Popen[bytes]] = []

    def wfm(self, *arguments: str | Path) -> None:
        """Run a command, its output to the terminal."""
        show(*arguments)
        done = subprocess.run([WFM, *arguments], env=self.environment, check=False)
        if done.returncode != 0:
            raise DemoFailed(f"wfm {arguments[0]} ended with exit code {done.returncode}")

    def submit(self, *arguments: str) -> str:
        """Submit a workflow without following it; its id."""
        show("submit", *arguments, "--json")
        done = subprocess.run(
            [WFM, "submit", *arguments, "--json"], env=self.environment, check=False, stdout=subprocess.PIPE
        )
        if done.returncode != 0:
            raise DemoFailed(f"wfm submit ended with exit code {done.returncode}")
        workflow_id: str = json.loads(done.stdout)["id"]
        print(workflow_id, flush=True)
        return workflow_id

    def get(self, path: str) -> Any:
        """What the HTTP API answers."""
        return json.loads(self.text(path))

    def text(self, path: str) -> str:
        with urllib.request.urlopen(self.url + path, timeout=5) as answer:
            return str(answer.read(), "utf-8")

    def start(self, name: str, *arguments: str | Path) -> subprocess.Popen[bytes]:
        """Start a process that stays, its output to a log file."""
        show(*arguments)
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen([WFM, *arguments], env=self.environment, stdout=log, stderr=log, cwd=self.folder)
        self.processes.append(process)
        return process

    def serve(self, *arguments: str) -> subprocess.Popen[bytes]:
        return self.answers(
            self.start("server", "serve", "--port", str(self.port), "--data", self.folder / "data", *arguments),
            self.url,
        )

    def answers(self, process: subprocess.Popen[bytes], url: str) -> subprocess.Popen[bytes]:
        """The process, once it answers there."""
        until = time.monotonic() + 20
        while time.monotonic() < until and process.poll() is None:
            with contextlib.suppress(urllib.error.URLError, OSError):
                urllib.request.urlopen(f"{url}/_health", timeout=5).close()
                return process
            time.sleep(0.02)
        raise DemoFailed("the server does not answer")

    def wait_for_job(self, workflow_id: str, status: str) -> None:
        until = time.monotonic() + 20
        while time.monotonic() < until:
            jobs = self.get(f"/workflows/{workflow_id}")["jobs"]
            if jobs and jobs[-1]["status"] == status:
                return
            time.sleep(0.02)
        raise DemoFailed(f"no job of workflow {workflow_id} is {status}")

    def run(self) -> None:
        say("A server, with its data in a temporary folder")
        server = self.serve()

        say("A workflow definition: it is stored as version 0; a second time it is unchanged")
        self.wfm("apply", EXAMPLES / "sfncli-test.yaml")
        self.wfm("apply", EXAMPLES / "sfncli-test.yaml")
        self.wfm("definitions")

        say("A worker: one command for each task of the resource `echo` in the namespace `demo`")
        self.start("worker", "worker", "--activity", "echo", "--namespace", "demo", "--endpoint-url", self.url, "--",
                   EXAMPLES / "echo.sh")  # fmt: skip

        say("A workflow, followed live to its end; then its output and jobs")
        self.wfm("submit", "sfncli-test:master", '{"foo": true}', "--namespace", "demo", "--queue", "night", "--follow")
        first = self.get("/workflows?workflowDefinitionName=sfncli-test:master&limit=1")[0]["id"]

        say("Another one; in the middle of its task the server is killed (SIGKILL) ...")
        second = self.submit("sfncli-test:master", '{"bar": [1, 2]}', "--namespace", "demo", "--queue", "night")
        self.wait_for_job(second, "running")
        print(f"{DIM}$ kill -9 {server.pid}{PLAIN}", flush=True)
        server.send_signal(signal.SIGKILL)
        server.wait()

        say("... and started again; the worker and the workflow go on")
        self.serve()
        self.wfm("workflow", second, "--follow")

        for workflow_id, expected in ((first, {"foo": True}), (second, {"bar": [1, 2]})):
            found = self.get(f"/workflows/{workflow_id}")
            output = json.loads(found["output"] or "null")
            if found["status"] != "succeeded" or output != expected | {"_EXECUTION_NAME": workflow_id}:
                raise DemoFailed(f"workflow {workflow_id} is {found['status']} with output {output}")
        say("Both workflows succeeded.")

    def clean(self) -> None:
        for process in reversed(self.processes):
            if process.poll() is None:
                process.terminate()
        for process in self.processes:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def main(kind: type[Demo] = Demo) -> int:
    with tempfile.TemporaryDirectory(prefix="wfm-demo-") as folder:
        demo = kind(Path(folder))
        try:
            demo.run()
        except (DemoFailed, OSError) as error:
            print(f"\nthe demo failed: {error}", file=sys.stderr)
            for log in sorted(Path(folder).glob("*.log")):
                print(
                    f"--- the end of {log.name}:",
                    *log.read_text(errors="replace").splitlines()[-15:],
                    sep="\n",
                    file=sys.stderr,
                )
            return 1
        except KeyboardInterrupt:
            return 130
        finally:
            demo.clean()
    return 0


if __name__ == "__main__":
    sys.exit(main())
