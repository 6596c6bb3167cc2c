"""What a reader has: a folder, a terminal with a shell, other terminals for what goes on, and Python."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
import urllib.error
import urllib.request
from pathlib import Path

ADDRESS = "127.0.0.1:8080"
"""What pages call the server; it listens elsewhere here."""
_ADDRESSES = re.compile(r"\b(?:127\.0\.0\.1|localhost):8080\b")
_GOES_ON = re.compile(r"(?:\w+=\S* )*(?:wfm (?:serve|worker)|[\w./-]*python3? \w+\.py --serve)\b(?!.* --(?:help|once))")
_STARTED = re.compile(r"^(?:\w+=\S* )*wfm (?:submit|resume)\b|\$\(wfm (?:submit|resume)\b")
_ID = re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b")
_ESCAPES = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|.*\r(?!\n)")
"""Colours, movements of the cursor, and what a later print on the same line covers."""
_END = "\x1e"
_SECONDS = 60.0
_INTERPRETER = """
import json, sys, traceback
names = {"__name__": "__main__"}
for line in sys.stdin:
    place, number, source = json.loads(line)
    status = 0
    try:
        exec(compile("\\n" * (number - 1) + source, place, "exec"), names)
    except BaseException:
        traceback.print_exc(file=sys.stdout)
        status = 1
    print(f"\\x1e{status}\\x1e", flush=True)
"""


class Terminal:
    """A page's. Commands see ``port`` wherever the page says 8080, and the page sees 8080 wherever they say ``port``.

    ``<ID>`` in a command is the id of the workflow that was started last.
    """

    def __init__(self, folder: Path, port: int, environment: dict[str, str]) -> None:
        self.folder = folder
        self.port = port
        self.started = ""
        self._environment = environment
        self._script = folder.with_name(f"{folder.name}.command")
        self._serving: subprocess.Popen[bytes] | None = None
        self._others: list[subprocess.Popen[bytes]] = []
        self._python: subprocess.Popen[bytes] | None = None
        self._screen, slave = pty.openpty()
        attributes = termios.tcgetattr(slave)
        attributes[1] &= ~termios.OPOST  # lines end in \n alone
        termios.tcsetattr(slave, termios.TCSANOW, attributes)
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 120, 0, 0))
        self._shell = subprocess.Popen(
            ["bash", "--noprofile", "--norc"],
            cwd=folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
        )
        os.close(slave)

    def run(self, command: str) -> tuple[int, str]:
        """Exit status and output, as on a screen. What goes on is left running, and has status 0."""
        if "<ID>" in command:
            assert self.started, "no workflow was started on this page before <ID>"
            command = command.replace("<ID>", self.started)
        if command == "stop wfm serve":
            self._stop_serving()
            return 0, ""
        if _GOES_ON.match(command):
            self._go_on(command)
            return 0, ""
        status, output = self._run(self.here(command))
        if _STARTED.search(command) and (ids := _ID.findall(output)):
            # a resumed workflow is told beside the one that it resumes
            self.started = next((each for each in reversed(ids) if each not in command), ids[-1])
        return status, self.there(output)

    def python(self, place: str, number: int, source: str) -> tuple[int, str]:
        """The same of a block of Python; blocks of a page share their names."""
        if self._python is None:
            self._python = subprocess.Popen(
                [sys.executable, "-c", _INTERPRETER],
                cwd=self.folder,
                env=self._exported(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                start_new_session=True,
            )
        assert self._python.stdin is not None
        assert self._python.stdout is not None
        self._python.stdin.write(json.dumps([place, number, self.here(source)]).encode() + b"\n")
        self._python.stdin.flush()
        status, printed = _until_end(self._python.stdout.fileno())
        return status, self.there(printed)

    def save(self, name: str, text: str) -> Path:
        file = self.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(self.here(text) + "\n", encoding="utf-8")
        if text.startswith("#!"):
            file.chmod(0o755)
        return file

    def close(self) -> None:
        self._shell.stdin.close()  # type: ignore[union-attr]
        every = [self._shell, *self._others, *([self._python] if self._python else [])]
        for process in every:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        for process in every:
            process.wait()
        if self._python:
            self._python.stdin.close()  # type: ignore[union-attr]
            self._python.stdout.close()  # type: ignore[union-attr]
        os.close(self._screen)

    def here(self, text: str) -> str:
        return _ADDRESSES.sub(f"127.0.0.1:{self.port}", text)

    def there(self, text: str) -> str:
        text = _ESCAPES.sub("", text)
        return text.replace(f"127.0.0.1:{self.port}", ADDRESS).replace(str(self.folder), "...")

    def _run(self, command: str) -> tuple[int, str]:
        self._script.write_text(command + "\n", encoding="utf-8")
        assert self._shell.stdin is not None
        self._shell.stdin.write(f"source {self._script} </dev/null; printf '{_END}%d{_END}' $?\n".encode())
        self._shell.stdin.flush()
        return _until_end(self._screen)

    def _exported(self) -> dict[str, str]:
        """The environment as the shell has it by now."""
        listed = self._script.with_suffix(".env")
        self._run(f"env -0 > {listed}")
        return dict(each.split("=", 1) for each in listed.read_text(encoding="utf-8").split("\0") if "=" in each)

    def _go_on(self, command: str) -> None:
        """In another terminal, where what this one exported counts, too."""
        environment = self._exported()
        if "wfm worker" in command and environment["WFM_SERVER"] == self._environment["WFM_SERVER"]:
            del environment["WFM_SERVER"]  # a worker takes no server that it was not given
        _, folder = self._run("pwd")
        serves = "wfm serve" in command
        with (self.folder.with_name(f"{self.folder.name}.log")).open("ab") as log:
            process = subprocess.Popen(
                ["bash", "-c", self.here(command)],
                cwd=folder.strip(),
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._others.append(process)
        if serves:
            self._serving = process
            self._answers(Path(log.name), process)

    def _answers(self, log: Path, process: subprocess.Popen[bytes]) -> None:
        until = time.monotonic() + 30
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/_health", timeout=5):
                    return
            except (urllib.error.URLError, OSError):
                assert process.poll() is None, f"wfm serve ended: {log.read_text()[-2000:]}"
                assert time.monotonic() < until, f"wfm serve does not answer: {log.read_text()[-2000:]}"
                time.sleep(0.05)

    def _stop_serving(self) -> None:
        assert self._serving is not None
        os.killpg(self._serving.pid, signal.SIGTERM)
        self._serving.wait(15)
        self._serving = None


def _until_end(screen: int) -> tuple[int, str]:
    """What is printed until a command's end is, and the status that is given there."""
    printed = b""
    until = time.monotonic() + _SECONDS
    while not (end := re.search(f"{_END}(\\d+){_END}\n?$".encode(), printed)):
        ready, _, _ = select.select([screen], [], [], max(0.0, until - time.monotonic()))
        assert ready, f"no end after {_SECONDS} s: {printed.decode(errors='replace')}"
        more = os.read(screen, 65536)
        assert more, f"it ended: {printed.decode(errors='replace')}"
        printed += more
    return int(end[1]), printed[: end.start()].decode(errors="replace")
