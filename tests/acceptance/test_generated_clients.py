"""The generated clients, compiled and run against a live server by their own examples."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from server_process import ServerProcess

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(300)]

CLIENTS = Path(__file__).parents[2] / "clients"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path_factory.mktemp("clients") / "data") as running:
        yield running


def run(*command: str, folder: str) -> str:
    done = subprocess.run(command, cwd=CLIENTS / folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, (command, done.stdout, done.stderr)
    return done.stdout


def check(printed: str) -> None:
    *ended, listed = printed.splitlines()
    assert [line.split()[1:] for line in ended] == [["succeeded", '"world"']] * 3
    assert listed == "3 listed"


def test_go(server: ServerProcess) -> None:
    assert run("gofmt", "-l", ".", folder="go") == ""
    run("go", "vet", "./...", folder="go")

    check(run("go", "run", "./examples/start", server.url, folder="go"))


@pytest.fixture(scope="module")
def _compiled() -> None:
    if not (CLIENTS / "typescript" / "node_modules").exists():
        run("npm", "ci", "--silent", folder="typescript")
    run("npm", "run", "--silent", "build", folder="typescript")


@pytest.mark.usefixtures("_compiled")
def test_typescript(server: ServerProcess) -> None:
    check(run("node", "examples/start.mjs", server.url, folder="typescript"))


@pytest.mark.usefixtures("_compiled")
def test_what_the_server_refuses_is_an_error_with_its_code(server: ServerProcess) -> None:
    """In TypeScript; in Go it is the same field of the same document."""
    program = (
        "import { connect, waitForWorkflow } from './dist/index.js';"
        f"try {{ await waitForWorkflow(connect('{server.url}'), 'nobody') }}"
        "catch (error) { console.log(error.name, error.status, error.code, error.message) }"
    )
    printed = run("node", "--input-type=module", "-e", program, folder="typescript")
    assert printed.split() == ["WorkflowManagerError", "404", "WorkflowNotFound", "nobody"]
