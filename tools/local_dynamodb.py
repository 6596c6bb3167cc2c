"""A DynamoDB on this machine for tests and benches: dynoxide, an emulator on SQLite, built once from its crate.

    python tools/local_dynamodb.py            # build it unless it is there; print where it is
    python tools/local_dynamodb.py serve      # and serve on a free port of 127.0.0.1 until interrupted

It is kept in the user's cache folder (XDG_CACHE_HOME), so that other checkouts find it. It needs cargo.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

CRATE, VERSION = "dynoxide-rs", "3.2.0"
CARGO_VERSION = (1, 88)
FEATURES = "native-sqlite,http-server,cli"
PROFILE = {"CARGO_PROFILE_RELEASE_LTO": "off", "CARGO_PROFILE_RELEASE_CODEGEN_UNITS": "16"}
"""Two minutes of building instead of five; the program is fast enough."""
READY_SECONDS = 20.0


class CannotBuild(Exception):
    """One sentence that says how to get what is missing."""


def home() -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "workflow-manager" / f"dynoxide-{VERSION}"


def program() -> Path:
    return home() / "bin" / "dynoxide"


def build() -> Path:
    """Build the program unless it is there. Raises CannotBuild."""
    if program().exists():
        return program()
    cargo = _cargo()
    print(f"local_dynamodb: building {CRATE} {VERSION} with {cargo}, once, into {home()}", file=sys.stderr)
    command = [cargo, "install", "-q", CRATE, "--version", VERSION, "--locked", "--root", str(home())]
    command += ["--no-default-features", "--features", FEATURES]
    if subprocess.run(command, env=os.environ | PROFILE, check=False).returncode != 0:
        raise CannotBuild(f"{' '.join(command)} failed; the lines above say why")
    return program()


def _cargo() -> str:
    """A cargo that is new enough; installed from Debian's packages if there is none and that can be done."""
    found = _new_enough()
    if found is None and shutil.which("apt-get") and os.geteuid() == 0:
        subprocess.run(["apt-get", "-qq", "update"], stdout=subprocess.DEVNULL, check=False)
        subprocess.run(["apt-get", "-qq", "-y", "install", "cargo", "gcc"], stdout=subprocess.DEVNULL, check=False)
        found = _new_enough()
    if found is None:
        wanted = ".".join(map(str, CARGO_VERSION))
        raise CannotBuild(
            f"the tests need a DynamoDB, which is built with cargo {wanted} or later: install Rust (with rustup, or your "
            "distribution's package rust or cargo if it is new enough), and run this again"
        )
    return found


def _new_enough() -> str | None:
    for cargo in (shutil.which("cargo"), str(Path.home() / ".cargo" / "bin" / "cargo")):
        if cargo is None or not Path(cargo).exists():
            continue
        said = subprocess.run([cargo, "--version"], capture_output=True, text=True, check=False).stdout
        version = re.search(r"(\d+)\.(\d+)", said)
        if version and tuple(map(int, version.groups())) >= CARGO_VERSION:
            return cargo
    return None


@contextlib.contextmanager
def running(*, database: Path | None = None) -> Iterator[str]:
    """Serve on a free loopback port, in memory unless a file is named; its address. Raises CannotBuild."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [str(build()), "serve", "--port", str(port), "--log", "quiet"]
    if database is not None:
        command += ["--db-path", str(database)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        _wait_for(url, process)
        yield url
    finally:
        process.terminate()
        process.wait()


def _wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    ends = time.monotonic() + READY_SECONDS
    while time.monotonic() < ends and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=1):
                return
        except urllib.error.HTTPError:
            return  # it answers, if not to this
        except OSError:
            time.sleep(0.02)
    raise CannotBuild(f"{program()} does not serve; remove {home()} and run this again")


def main() -> None:
    try:
        if sys.argv[1:] == ["serve"]:
            with running() as url, contextlib.suppress(KeyboardInterrupt):
                print(url, flush=True)
                while True:
                    time.sleep(3600)
        else:
            print(build())
    except CannotBuild as error:
        sys.exit(f"local_dynamodb: {error}")


if __name__ == "__main__":
    main()
