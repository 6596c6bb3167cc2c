"""A server whose store is DynamoDB, as it is set up: tables first, then the server, and one sentence where that is not so."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from dynamodb_world import new_prefix
from server_process import WFM, ServerProcess, free_port

pytestmark = pytest.mark.acceptance

KEYS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}


def wfm(*arguments: str, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    bare = {name: value for name, value in os.environ.items() if not name.startswith(("WFM_", "AWS_"))}
    return subprocess.run(
        [WFM, *arguments],
        env=bare | {"AWS_EC2_METADATA_DISABLED": "true"} | (KEYS if environment is None else environment),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_tables_are_made_and_a_server_starts_on_them(dynamodb_url: str, tmp_path: Path) -> None:
    flags = ["--store", "dynamodb", "--dynamodb-prefix", new_prefix()]
    environment = KEYS | {"AWS_ENDPOINT_URL_DYNAMODB": dynamodb_url, "AWS_REGION": "eu-west-1"}

    refused = wfm(
        "serve", "--data", str(tmp_path / "data"), "--port", str(free_port()), *flags, environment=environment
    )
    made = wfm("init-store", *flags, environment=environment)
    again = wfm("init-store", *flags, environment=environment)

    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr.startswith("wfm: DynamoDB has no table 'test-")
    assert refused.stderr.endswith("make it with wfm init-store --store dynamodb\n")
    assert (made.returncode, made.stdout.count(": created")) == (0, 4)
    assert (again.returncode, again.stdout.count(": created"), again.stderr) == (0, 0, "")
    with ServerProcess(tmp_path / "data", *flags, environment=environment) as server:
        assert server.stop() == 0


@pytest.mark.parametrize(
    ("flags", "environment", "message"),
    [
        pytest.param(
            ["--dynamodb-endpoint-url", "http://127.0.0.1:9"],
            KEYS,
            "DynamoDB could not be reached: ",
            id="nobody there",
        ),
        pytest.param([], {}, "DynamoDB cannot be called: Unable to locate credentials; set AWS_", id="no credentials"),
        pytest.param(
            [], {"AWS_PROFILE": "none"}, "DynamoDB cannot be called: The config profile", id="no such profile"
        ),
    ],
)
def test_what_is_missing_is_one_sentence(flags: list[str], environment: dict[str, str], message: str) -> None:
    done = wfm("init-store", "--store", "dynamodb", *flags, environment=environment)

    assert done.returncode == 1
    assert done.stderr.startswith(f"wfm: {message}")
    assert done.stderr.count("\n") == 1


def test_a_prefix_that_no_table_can_have_is_refused() -> None:
    done = wfm("init-store", "--store", "dynamodb", "--dynamodb-prefix", "a b")

    assert (done.returncode, done.stderr) == (
        2,
        "wfm: --dynamodb-prefix must be 1 to 200 letters, digits, '-', '_' or '.', not 'a b'\n",
    )


def test_the_other_stores_need_nothing() -> None:
    done = wfm("init-store")

    assert (done.returncode, done.stdout) == (0, "the store sqlite needs nothing made beforehand\n")
