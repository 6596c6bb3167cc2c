"""The servers that are measured, each a process of its own: ours, the ceiling, and moto."""

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
import urllib.request
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).parent
PYTHON = sys.executable


class Server:
    """``command`` may contain {port} and {folder}."""

    def __init__(self, command: list[str], folder: str) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self._command = [part.format(port=self.port, folder=folder) for part in command]
        self.start()

    def start(self) -> float:
        """Seconds until it takes connections."""
        began = time.perf_counter()
        self.process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 5):
                return time.perf_counter() - began
            if self.process.poll() is not None:
                raise RuntimeError(f"{self._command} has ended")
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

    def cpu_seconds(self) -> float:
        """Of user and system, so far; in steps of 10 ms."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def _serving(command: list[str]) -> Iterator[Server]:
    with tempfile.TemporaryDirectory() as folder:
        server = Server(command, folder)
        try:
            yield server
        finally:
            server.end(signal.SIGKILL)


def ours(flush_delay_ms: float = 0.0) -> contextlib.AbstractContextManager[Server]:
    slow = [PYTHON, str(HERE / "slow_disk.py"), str(flush_delay_ms)]
    program = slow if flush_delay_ms else [str(Path(PYTHON).with_name("wfm"))]
    return _serving([*program, "serve", "--port", "{port}", "--data", "{folder}/data"])


def ceiling() -> contextlib.AbstractContextManager[Server]:
    return _serving([PYTHON, str(HERE / "ceiling.py"), "{port}", "{folder}/ceiling.db"])


@contextlib.contextmanager
def moto() -> Iterator[Server]:
    with _serving([str(Path(PYTHON).with_name("moto_server")), "-p", "{port}"]) as server:
        config = json.dumps({"stepfunctions": {"execute_state_machine": True}}).encode()
        urllib.request.urlopen(f"http://127.0.0.1:{server.port}/moto-api/config", config).close()
        yield server
