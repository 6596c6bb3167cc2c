"""A full disk, a locked database, a folder in use: a clear answer, nothing lost, and on it goes when the trouble is over."""

from __future__ import annotations

import json
import resource
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest
from server_process import WFM, ServerProcess, free_port

pytestmark = pytest.mark.acceptance

DEFINITION = {
    "name": "rest",
    "stateMachine": {
        "StartAt": "Rest",
        "States": {"Rest": {"Type": "Wait", "Seconds": 3600, "Next": "End"}, "End": {"Type": "Succeed"}},
    },
}


def post(server: ServerProcess, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    request = urllib.request.Request(server.url + path, json.dumps(body).encode(), {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())


def get(server: ServerProcess, path: str) -> Any:
    with urllib.request.urlopen(server.url + path, timeout=20) as answer:
        return json.loads(answer.read())


def submit(server: ServerProcess, note: str = "") -> tuple[int, dict[str, Any]]:
    return post(
        server,
        "/workflows",
        {
            "workflowDefinition": {"name": "rest", "version": -1},
            "namespace": "test",
            "input": json.dumps({"note": note}),
        },
    )


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path / "data") as running:
        assert post(running, "/workflow-definitions", DEFINITION)[0] == 201
        yield running


def listed(server: ServerProcess) -> set[str]:
    return {workflow["id"] for workflow in get(server, "/workflows?limit=1000")}


def test_a_disk_without_space_is_503_until_there_is_space(server: ServerProcess) -> None:
    """The process may write no file beyond a size: what a full disk is to SQLite, and it can be ended."""
    before = submit(server)
    assert before[0] == 200
    largest = max(path.stat().st_size for path in server.data.iterdir())
    resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (largest, resource.RLIM_INFINITY))

    refused = [submit(server, "x" * 100_000) for _ in range(5)]

    assert {status for status, _ in refused} == {503}
    assert all(answer["code"] == "StorageUnavailable" for _, answer in refused)
    assert all(
        "nothing was written" in answer["message"] or "cannot be written" in answer["message"] for _, answer in refused
    )
    assert listed(server) == {before[1]["id"]}

    resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    after = submit(server)
    assert after[0] == 200
    assert listed(server) == {before[1]["id"], after[1]["id"]}
    server.kill()
    server.start()
    assert listed(server) == {before[1]["id"], after[1]["id"]}


def test_a_locked_database_is_503_until_it_is_let_go(server: ServerProcess) -> None:
    (file,) = [path for path in server.data.iterdir() if path.suffix == ".db"]
    other = apsw.Connection(str(file))
    other.execute("BEGIN IMMEDIATE")
    try:
        status, answer = submit(server)
        assert status == 503
        assert "locked" in answer["message"]
        assert listed(server) == set()
    finally:
        other.execute("ROLLBACK")
        other.close()

    status, workflow = submit(server)

    assert status == 200
    assert listed(server) == {workflow["id"]}


def test_a_second_server_on_the_same_folder_is_refused(server: ServerProcess) -> None:
    second = subprocess.run(
        [WFM, "serve", "--port", str(free_port()), "--data", server.data],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

    assert second.returncode != 0
    assert "in use by another server" in second.stderr
    assert str(server.pid) in second.stderr
    assert "Traceback" not in second.stderr
    assert submit(server)[0] == 200


def test_a_taken_port_is_one_sentence(server: ServerProcess, tmp_path: Path) -> None:
    second = subprocess.run(
        [WFM, "serve", "--port", str(server.port), "--data", tmp_path / "other"],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

    assert second.returncode != 0
    assert str(server.port) in second.stderr
    assert "Traceback" not in second.stderr


def test_a_stopped_server_ends_well_and_goes_on_after_the_next_start(server: ServerProcess) -> None:
    _, workflow = submit(server)

    assert server.stop() == 0
    server.start()

    assert get(server, f"/workflows/{workflow['id']}")["status"] == "running"
