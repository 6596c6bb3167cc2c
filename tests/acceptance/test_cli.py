"""The command line as people and scripts use it: real processes, a real server, its exit codes and what it prints."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import pytest
from dynamodb_world import emptied_moto, new_prefix
from server_process import WFM, ServerProcess, free_port

pytestmark = pytest.mark.acceptance

MACHINES = """
name: greet
defaultTags: {team: a}
stateMachine:
  StartAt: hello
  States:
    hello: {Type: Pass, Next: done}
    done: {Type: Succeed}
---
name: fails
stateMachine:
  StartAt: try
  States:
    try: {Type: Choice, Choices: [{Variable: $.ok, IsPresent: true, Next: done}], Default: give-up}
    give-up: {Type: Fail, Error: Broken, Cause: it does not work}
    done: {Type: Succeed}
---
name: waits
stateMachine:
  StartAt: wait
  States:
    wait: {Type: Wait, Seconds: 600, End: true}
"""
UNWANTED = ("Traceback", "Error:")


class Cli:
    def __init__(self, url: str, folder: Path) -> None:
        self.folder = folder
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("WFM_")}
        self.environment.pop("COLUMNS", None)  # the width of whoever runs the tests
        self.environment |= {"WFM_SERVER": url}

    def __call__(self, *arguments: str, code: int = 0, table: bool = False, stdin: str = "") -> str:
        """What a command prints; its exit code must be ``code``, and nothing may look like a crash."""
        done = subprocess.run(
            [WFM, *arguments],
            env=self.environment | ({"WFM_OUTPUT": "table"} if table else {}),
            cwd=self.folder,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        self.error = done.stderr
        assert done.returncode == code, (arguments, done.stdout, done.stderr)
        assert not any(each in done.stderr for each in UNWANTED), done.stderr
        return done.stdout

    def lines(self, *arguments: str, code: int = 0, stdin: str = "") -> list[Any]:
        return [json.loads(line) for line in self(*arguments, code=code, stdin=stdin).splitlines()]

    def start(self, *arguments: str, into: IO[str] | int = subprocess.PIPE) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [WFM, *arguments],
            env=self.environment,
            cwd=self.folder,
            stdout=into,
            stderr=subprocess.PIPE,
            text=True,
        )


PAIRS = ["embedded+sqlite", "embedded+memory", "aws+dynamodb", "moto+dynamodb"]
REPRESENTATIVE = {
    "test_what_is_unchanged_makes_no_version",
    "test_the_exit_code_says_whether_a_followed_workflow_succeeded",
    "test_the_life_of_a_workflow_that_does_not_succeed",
    "test_lists_are_filtered",
}
"""What runs on every pair: each thing that commands ask of backend or store, once (apply, submit, follow, cancel, resume,
resolve, lists). The others are about the command line itself, and run on the first pair."""
STORE_ONLY = {"test_what_is_unchanged_makes_no_version", "test_lists_are_filtered"}
"""Not on moto, of which these ask nothing that the others do not."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "server" in metafunc.fixturenames:
        name = metafunc.function.__name__
        pairs = PAIRS[: 3 if name in STORE_ONLY else 4] if name in REPRESENTATIVE else PAIRS[:1]
        metafunc.parametrize("server", pairs, indirect=True, scope="module")


@pytest.fixture(scope="module")
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, dynamodb_url: str
) -> Iterator[ServerProcess]:
    """``aws``: a server of ours again, which is AWS Step Functions to the one that is tested; ``moto``: moto is that."""
    data = tmp_path_factory.mktemp("cli") / "data"
    backend, store = request.param.split("+")
    environment = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": "us-east-1"}
    arguments = ["--store", store]
    with contextlib.ExitStack() as stack:
        if store == "dynamodb":
            arguments += ["--dynamodb-endpoint-url", dynamodb_url, "--dynamodb-prefix", new_prefix()]
            made = [WFM, "init-store", *arguments]
            subprocess.run(made, env=os.environ | environment, check=True, stdout=subprocess.DEVNULL)
        if backend == "aws":
            stand_in = ServerProcess(data.with_name("sfn"), "--region", "us-east-1", "--account-id", "123456789012")
            environment["AWS_ENDPOINT_URL_SFN"] = stack.enter_context(stand_in).url
        if backend == "moto":
            environment["AWS_ENDPOINT_URL_SFN"] = emptied_moto(request.getfixturevalue("moto_url"))
        if backend != "embedded":
            arguments += ["--backend", "aws", "--role-arn", "arn:aws:iam::123456789012:role/any"]
        yield stack.enter_context(ServerProcess(data, *arguments, environment=environment))


@pytest.fixture(scope="module")
def wfm(server: ServerProcess, tmp_path_factory: pytest.TempPathFactory) -> Cli:
    """A command line whose server has the definitions above."""
    cli = Cli(server.url, tmp_path_factory.mktemp("work"))
    (cli.folder / "machines.yaml").write_text(MACHINES)
    assert [each["action"] for each in cli.lines("apply", "machines.yaml")] == ["created"] * 3
    return cli


def submitted(wfm: Cli, *arguments: str) -> str:
    [workflow] = wfm.lines("submit", *arguments)
    return str(workflow["id"])


# ---------------------------------------------------------------------- definitions


def test_what_is_unchanged_makes_no_version(wfm: Cli, tmp_path: Path) -> None:
    folder = tmp_path / "definitions"
    folder.mkdir()
    path = folder / "pet.yaml"
    path.write_text("name: pet\ndefaultTags: {a: b}\nstateMachine: {StartAt: x, States: {x: {Type: Succeed}}}")
    same = {
        "stateMachine": {"States": {"x": {"Type": "Succeed"}}, "StartAt": "x"},
        "defaultTags": {"a": "b"},
        "name": "pet",
    }

    def apply(*arguments: str) -> list[tuple[str, int]]:
        return [(each["action"], each["version"]) for each in wfm.lines("apply", str(folder), *arguments)]

    assert apply("--dry-run") == [("created", 0)]
    assert apply() == [("created", 0)]
    assert apply() == [("unchanged", 0)]

    path.rename(folder / "pet.txt")
    (folder / "pet.json").write_text(json.dumps(same))
    assert apply() == [("unchanged", 0)]

    (folder / "pet.json").write_text(json.dumps(same | {"defaultTags": {"a": "c"}}))
    assert apply("--dry-run") == [("updated", 1)]
    assert apply() == [("updated", 1)]
    assert [each["version"] for each in wfm.lines("definitions", "pet")] == [0, 1]
    assert wfm.lines("definitions", "pet@0")[0]["defaultTags"] == {"a": "b"}


def test_a_dry_run_shows_a_diff(wfm: Cli, tmp_path: Path) -> None:
    path = tmp_path / "greet.yaml"
    path.write_text(MACHINES.split("---", maxsplit=1)[0].replace("team: a", "team: b"))

    shown = wfm("apply", "--dry-run", str(path), table=True)

    assert "greet: would be updated (v1)" in shown
    assert "-  team: a\n+  team: b\n" in shown
    assert wfm.lines("definitions", "greet@latest")[0]["version"] == 0


def test_what_is_shown_can_be_applied(wfm: Cli, tmp_path: Path) -> None:
    path = tmp_path / "greet.yaml"
    path.write_text(wfm("definitions", "greet@0", table=True))

    assert wfm.lines("apply", str(path))[0]["action"] == "unchanged"


@pytest.mark.parametrize("dry_run", [[], ["--dry-run"]], ids=["applied", "tried"])
def test_one_bad_definition_keeps_no_other_out(wfm: Cli, tmp_path: Path, dry_run: list[str]) -> None:
    path = tmp_path / "some.yaml"
    path.write_text(
        "name: bad\nstateMachine: {StartAt: y, States: {x: {Type: Pass, Next: z}}}\n---\n"
        "name: greet\ndefaultTags: {team: a}\nstateMachine: {StartAt: hello, States: "
        "{hello: {Type: Pass, Next: done}, done: {Type: Succeed}}}"
    )

    bad, good = wfm.lines("apply", *dry_run, str(path), code=1)

    assert (bad["name"], bad["action"]) == ("bad", "refused")
    assert "/stateMachine/States/x/Next" in [each["location"] for each in bad["diagnostics"]]
    assert (good["name"], good["action"]) == ("greet", "unchanged")
    assert wfm.error.startswith(f"wfm: {path}, document 1: bad: ")
    assert "(MISSING_TRANSITION_TARGET)" in wfm.error


def test_validate_finds_what_the_server_would(wfm: Cli) -> None:
    shown = wfm("validate", "machines.yaml", table=True)

    assert shown.splitlines() == [f"machines.yaml, document {number}: valid" for number in (1, 2, 3)]


# ---------------------------------------------------------------------- workflows


@pytest.mark.parametrize(
    ("definition", "code", "status"),
    [
        pytest.param("greet", 0, "succeeded", id="succeeded"),
        pytest.param("fails@0", 1, "failed", id="failed"),
    ],
)
def test_the_exit_code_says_whether_a_followed_workflow_succeeded(
    wfm: Cli, definition: str, code: int, status: str
) -> None:
    *events, workflow = wfm.lines("submit", definition, '{"a": 1}', "--namespace", "n", "--follow", code=code)

    history = [each["data"] for each in events if each["event"] == "history"]
    assert [each["id"] for each in history] == list(range(1, len(history) + 1))
    assert history[0]["type"] == "ExecutionStarted"
    assert history[-1]["type"] == f"Execution{status.title()}"
    assert workflow["status"] == status


def test_people_see_events_then_the_workflow_and_its_jobs(wfm: Cli) -> None:
    shown = wfm("submit", "fails", "--namespace", "n", "--follow", code=1, table=True)

    assert "ExecutionStarted" in shown
    assert "ExecutionFailed" in shown
    assert "Broken" in shown
    assert "STATE  STATUS" in shown
    assert "\x1b[" not in shown


def test_an_input_may_come_from_a_file_or_standard_input(wfm: Cli) -> None:
    (wfm.folder / "input.json").write_text('{"from": "file"}')

    assert wfm.lines("submit", "greet", "@input.json", "-n", "n")[0]["input"] == '{"from": "file"}'
    assert wfm.lines("submit", "greet", "-", "-n", "n", stdin='{"from": 1}')[0]["input"] == '{"from": 1}'


def test_a_key_is_submitted_once(wfm: Cli) -> None:
    keyed = ("submit", "greet", "-n", "n", "--idempotency-key", "once")

    assert submitted(wfm, *keyed[1:]) == submitted(wfm, *keyed[1:])
    wfm(*keyed, "--queue", "other", code=1)
    assert "differs in /queue" in wfm.error


def test_the_life_of_a_workflow_that_does_not_succeed(wfm: Cli) -> None:
    failed = submitted(wfm, "fails", "-n", "n")
    wfm("workflow", failed, "--follow", code=1)

    *_, resumed = wfm.lines("resume", failed, "--from", "try", "--follow", code=1)
    assert resumed["retryFor"] == failed
    assert wfm.lines("workflow", failed)[0]["retries"] == [resumed["id"]]

    assert wfm("resolve", failed, table=True) == f"resolved workflow {failed}\n"
    wfm("resolve", failed, code=1)
    assert wfm.error == f"wfm: workflow {failed} already resolved\n"
    assert "failed (resolved)" in wfm("workflows", "--all", table=True)

    waiting = submitted(wfm, "waits", "-n", "n")
    assert wfm("cancel", waiting, "--reason", "too late", table=True) == f"cancelled workflow {waiting}\n"
    *_, cancelled = wfm.lines("workflow", waiting, "--follow", code=3)
    assert (cancelled["status"], cancelled["statusReason"]) == ("cancelled", "too late")


def test_lists_are_filtered(wfm: Cli) -> None:
    made = [
        wfm.lines("submit", "greet", "-n", "filters", "-q", f"q{n}", "--tag", f"n={n}", "--follow")[-1]["id"]
        for n in "ab"
    ]

    def ids(*arguments: str) -> list[str]:
        return [each["id"] for each in wfm.lines("workflows", "--namespace", "filters", *arguments)]

    assert ids() == made[::-1]
    assert ids("--oldest-first") == made
    assert ids("--limit", "1") == made[1:]
    assert ids("--queue", "qa") == made[:1]
    assert ids("--tag", "n=b", "--tag", "team=a") == made[1:]
    assert ids("--tag", "n=b", "--tag", "team=b") == []
    assert ids("--status", "succeeded", "--status", "failed") == made[::-1]
    assert ids("--status", "failed") == []
    assert ids("--unresolved") == []
    assert ids("--after", "1h") == made[::-1]
    assert ids("--before", "1h") == []
    assert ids("--definition", "fails") == []


def test_a_namespace_is_not_needed(wfm: Cli) -> None:
    workflow_id = submitted(wfm, "greet")

    assert workflow_id in [each["id"] for each in wfm.lines("workflows", "--limit", "1")]
    assert wfm.lines("workflow", workflow_id)[0]["namespace"] == ""


def test_ids_are_never_cut_off(wfm: Cli) -> None:
    workflow_id = submitted(wfm, "greet", "-n", "n")
    wfm.environment["COLUMNS"] = "60"
    try:
        assert workflow_id in wfm("workflows", "--limit", "1", table=True)
    finally:
        del wfm.environment["COLUMNS"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["workflow", "nobody"], "there is no workflow nobody; wfm workflows lists those that there are"),
        (["workflow", "nobody", "--follow"], "there is no workflow nobody; wfm workflows lists those that there are"),
        (["workflow", "a b?c#d"], "there is no workflow a b?c#d; wfm workflows lists those that there are"),
        (["submit", "nothing", "-n", "n"], "there is no workflow definition nothing; wfm definitions lists"),
        (["submit", "greet@9", "-n", "n"], "there is no workflow definition greet@9; wfm definitions lists"),
        (["definitions", "nothing"], "there is no workflow definition nothing; wfm definitions lists"),
    ],
)
def test_what_is_not_there_is_one_sentence(wfm: Cli, arguments: list[str], message: str) -> None:
    wfm(*arguments, code=1)

    assert wfm.error.startswith(f"wfm: {message}")
    assert wfm.error.count("\n") == 1


def test_a_reader_that_goes_away_is_no_crash(wfm: Cli) -> None:
    for _ in range(3):
        submitted(wfm, "greet", "-n", "n")
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [WFM, "workflows"], env=wfm.environment, stdout=writing, stderr=subprocess.PIPE, text=True, check=False
        )
    finally:
        os.close(writing)

    assert done.returncode == 1
    assert done.stderr == ""


def test_ctrl_c_stops_following_and_says_how_to_go_on(wfm: Cli) -> None:
    workflow_id = submitted(wfm, "waits", "-n", "n")
    following = wfm.start("workflow", workflow_id, "--follow")
    assert following.stdout is not None
    following.stdout.readline()

    following.send_signal(signal.SIGINT)
    _, error = following.communicate(timeout=30)

    assert following.returncode == 130
    assert error == f"wfm: stopped following; the workflow goes on: wfm workflow {workflow_id} --follow\n"
    wfm("cancel", workflow_id, "--reason", "the test is over")


# ---------------------------------------------------------------------- worker


def test_a_worker_finds_its_server_by_the_environment(wfm: Cli) -> None:
    (wfm.folder / "task.yaml").write_text(
        "name: task\nstateMachine: {StartAt: t, States: {t: {Type: Task, Resource: t, End: true}}}"
    )
    wfm("apply", "task.yaml")
    code = "import json,sys; print(json.dumps({'got': json.loads(sys.argv[-1])['n']}))"
    worker = wfm.start("worker", "--activity", "t", "--namespace", "w", "--", sys.executable, "-c", code)
    try:
        *_, workflow = wfm.lines("submit", "task", '{"n": 7}', "--namespace", "w", "--follow")
    finally:
        worker.terminate()
        worker.communicate(timeout=60)

    assert worker.returncode == 0
    assert json.loads(workflow["output"])["got"] == 7
    assert [(job["state"], job["status"]) for job in workflow["jobs"]] == [("t", "succeeded")]


# ---------------------------------------------------------------------- serve


def test_following_survives_a_restart_of_the_server(tmp_path: Path) -> None:
    with ServerProcess(tmp_path / "data") as server:
        wfm = Cli(server.url, tmp_path)
        (tmp_path / "pause.yaml").write_text(
            "name: pause\nstateMachine: {StartAt: w, States: {w: {Type: Wait, Seconds: 3, End: true}}}"
        )
        wfm("apply", "pause.yaml")
        printed = tmp_path / "printed.jsonl"
        with printed.open("w") as into:
            following = wfm.start("submit", "pause", "-n", "n", "--follow", into=into)
            until = time.monotonic() + 30
            while printed.read_text().count("\n") < 2:
                assert time.monotonic() < until
                time.sleep(0.02)
            server.kill()
            server.start()
            _, error = following.communicate(timeout=60)

    *events, workflow = (json.loads(line) for line in printed.read_text().splitlines())
    assert (following.returncode, error) == (0, "")
    assert [each["data"]["type"] for each in events if each["event"] == "history"] == [
        "ExecutionStarted",
        "WaitStateEntered",
        "WaitStateExited",
        "ExecutionSucceeded",
    ]
    assert workflow["status"] == "succeeded"


def refusal(*arguments: str, **environment: str) -> tuple[int, str]:
    """How a server that cannot start ends, and what it says."""
    done = subprocess.run(
        [WFM, "serve", *arguments],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "Traceback" not in done.stderr
    return done.returncode, done.stderr


def test_a_second_server_on_one_folder_says_why_it_does_not_start(server: ServerProcess) -> None:
    code, error = refusal("--port", "0", "--data", str(server.data))

    assert code == 1
    assert error == (
        f"wfm: the data folder {server.data} is in use by another server (process {server.pid}); "
        "stop it, or choose another folder with --data\n"
    )


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, error = refusal("--port", str(port), "--data", str(tmp_path / "data"))

    assert code == 1
    assert error == (
        f"wfm: cannot listen on 127.0.0.1:{port} (address already in use); choose another address with --host and --port\n"
    )


def test_an_address_of_no_interface(tmp_path: Path) -> None:
    code, error = refusal("--host", "192.0.2.1", "--port", "0", "--data", str(tmp_path / "data"))

    assert code == 1
    assert "wfm: cannot listen on 192.0.2.1:0 (" in error


def test_a_data_folder_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "workflow-manager.db").write_text("this is no database" * 100)

    code, error = refusal("--port", "0", "--data", str(tmp_path / "file"))
    assert (code, error) == (
        1,
        f"wfm: the data folder {tmp_path / 'file'} cannot be used (file exists); choose another one with --data\n",
    )
    code, error = refusal("--port", "0", "--data", str(tmp_path / "broken"))
    assert code == 1
    assert error.startswith(f"wfm: the data folder {tmp_path / 'broken'} cannot be used (")


@pytest.mark.parametrize(
    ("arguments", "environment", "message"),
    [
        (
            ["--backend", "aws", "--region", "us-east-1"],
            {"AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any"},
            "the backend aws needs the ARN of the role that state machines run with (--role-arn)",
        ),
        ([], {"WFM_PORT": "x"}, "the environment variable WFM_PORT must be a whole number from 0 to 65535, not 'x'"),
    ],
)
def test_settings_that_cannot_be_used(
    tmp_path: Path, arguments: list[str], environment: dict[str, str], message: str
) -> None:
    assert refusal("--data", str(tmp_path), *arguments, **environment) == (2, f"wfm: {message}\n")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_server_says_where_it_is_and_stops_when_told(tmp_path: Path, number: signal.Signals) -> None:
    data = tmp_path / "data"
    port = free_port()
    process = subprocess.Popen(
        [WFM, "serve", "--host", "0.0.0.0", "--port", str(port), "--data", data, "--log-level", "warning"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    started = time.monotonic()
    process.send_signal(number)
    rest, error = process.communicate(timeout=30)

    assert (process.returncode, rest) == (0, "")
    assert time.monotonic() - started < 10
    for told in (f"http://0.0.0.0:{port}", "/docs", "endpoint_url", str(data)):
        assert told in line
    assert error.startswith("wfm: warning: 0.0.0.0 may be reached from other machines, and there is no authentication")
    assert error.count("\n") == 1


def test_the_memory_store_leaves_nothing_behind(tmp_path: Path) -> None:
    with ServerProcess(tmp_path / "data", "--store", "memory", environment={"TMPDIR": str(tmp_path)}) as server:
        wfm = Cli(server.url, tmp_path)
        (tmp_path / "machines.yaml").write_text(textwrap.dedent(MACHINES))
        wfm("apply", "machines.yaml")
        wfm("submit", "greet", "-n", "n", "--follow")
        assert server.stop() == 0

    assert sorted(path.name for path in tmp_path.iterdir()) == ["data.log", "machines.yaml"]
