"""``wfm serve`` as a process of its own, on a free loopback port, that can be killed and started again."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Self

WFM = Path(sys.executable).with_name("wfm")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class ServerProcess:
    def __init__(self, data: Path, *arguments: str, environment: dict[str, str] | None = None) -> None:
        self.data = data
        self.port = free_port()
        self.log = data.with_name(f"{data.name}.log")
        self._arguments = arguments
        self._environment = os.environ | (environment or {})
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Return once it answers its health check."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [WFM, "serve", "--port", str(self.port), "--data", self.data, *self._arguments],
                stdout=log,
                stderr=log,
                env=self._environment,
                start_new_session=True,
            )
        until = time.monotonic() + 30
        while True:
            try:
                with urllib.request.urlopen(f"{self.url}/_health", timeout=5) as answer:
                    assert answer.status == 200
                    return
            except (urllib.error.URLError, OSError):
                assert self._process.poll() is None, f"wfm serve ended: {self.log.read_text()[-2000:]}"
                assert time.monotonic() < until, f"wfm serve does not answer: {self.log.read_text()[-2000:]}"
                time.sleep(0.02)

    def kill(self) -> None:
        """SIGKILL: no warning, no clean-up."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        return self._end(signal.SIGTERM)

    def _end(self, how: signal.Signals) -> int:
        assert self._process is not None
        self._process.send_signal(how)
        return self._process.wait(30)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None and self._process.poll() is None:
            self.kill()
