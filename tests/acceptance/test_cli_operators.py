"""What an operator does at three in the morning: find what failed, understand it, repair all of it, with a real server."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from server_process import ServerProcess
from test_cli import WFM, Cli

pytestmark = pytest.mark.acceptance

MACHINE = """\
name: {name}
stateMachine:
  StartAt: look
  States:
    look:
      Type: Parallel
      Branches:
        - StartAt: judge
          States:
            judge:
              Type: Choice
              Choices: [{{Variable: $.good, BooleanEquals: true, Next: fine}}]
              Default: broken
            fine: {{Type: Pass, End: true}}
            broken: {{Type: Pass, InputPath: $.missing, End: true}}
      End: true
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path_factory.mktemp("operators") / "data") as running:
        yield running


@pytest.fixture
def wfm(server: ServerProcess, tmp_path: Path) -> Cli:
    return Cli(server.url, tmp_path)


def failed(wfm: Cli, name: str, count: int) -> list[str]:
    """Workflows of a definition that have failed within a Parallel branch."""
    (wfm.folder / f"{name}.yaml").write_text(MACHINE.format(name=name))
    wfm("apply", f"{name}.yaml")
    ids = [wfm.lines("submit", name, '{"good": false}', "--namespace", "n")[0]["id"] for _ in range(count)]
    for each in ids:
        wfm("workflow", each, "--follow", code=1)
    return ids


def outcomes(lines: list[dict[str, Any]]) -> list[str]:
    return sorted(line["outcome"] for line in lines)


def test_many_are_resumed_with_a_mended_input_and_once(wfm: Cli) -> None:
    ids = failed(wfm, "mend", 3)
    (wfm.folder / "good.json").write_text('{"good": true}')
    asked = ("resume", "--where", "status=failed,definition=mend", "--from", "failed", "--input", "good.json")

    assert "nobody can be asked here" in (wfm(*asked, code=2), wfm.error)[1]
    done = wfm.lines(*asked, "--yes", "--rate", "100")
    assert {line["id"] for line in done} == set(ids)
    assert outcomes(done) == ["done"] * 3
    for line in done:
        wfm("workflow", line["message"], "--follow")
    assert outcomes(wfm.lines(*asked, "--yes")) == ["skipped"] * 3
    table = wfm(*asked, "--yes", table=True)
    assert "3 workflows:" in table
    assert "was resumed before" in table


def test_resuming_says_what_starts_instead_of_what_failed(wfm: Cli) -> None:
    [workflow] = failed(wfm, "inside", 1)

    said = wfm("resume", workflow, "--from", "failed", table=True)

    assert "resumed from look as workflow" in said
    assert "it cannot be started alone, so look starts" in said


def test_a_state_that_is_called_failed_is_meant_by_that_name(wfm: Cli) -> None:
    (wfm.folder / "called.yaml").write_text(
        "name: called\nstateMachine:\n  StartAt: failed\n  States:\n"
        "    failed: {Type: Pass, Next: broken}\n    broken: {Type: Pass, InputPath: $.missing, End: true}\n"
    )
    wfm("apply", "called.yaml")
    workflow = wfm.lines("submit", "called")[0]["id"]
    wfm("workflow", workflow, "--follow", code=1)

    [done] = wfm.lines("resume", "--where", "definition=called", "--from", "failed", "--yes")
    resumed = [wfm.lines("workflow", done["message"])[0], *wfm.lines("resume", workflow, "--from", "failed")]
    assert [each["workflowDefinition"]["stateMachine"]["StartAt"] for each in resumed] == ["failed", "failed"]


def test_many_are_resolved_and_single_errors_do_not_stop_the_rest(wfm: Cli) -> None:
    ids = failed(wfm, "resolved", 2)
    wfm("resolve", ids[0])

    assert outcomes(wfm.lines("resolve", "--where", "definition=resolved,resolved=true", "--yes")) == ["skipped"]
    assert outcomes(wfm.lines("resolve", "--where", "definition=resolved", "--yes")) == ["done"]
    assert wfm("resolve", "--where", "definition=resolved", "--yes", table=True).strip() == "no such workflows"
    late = wfm.lines("cancel", "-r", "late", "--where", "status=failed,definition=resolved", "--yes", code=1)
    assert outcomes(late) == ["failed", "failed"]
    assert "Cancellation not allowed" in late[0]["message"]


def test_many_are_cancelled_and_refreshed(wfm: Cli) -> None:
    (wfm.folder / "wait.yaml").write_text(
        "name: wait\nstateMachine: {StartAt: w, States: {w: {Type: Wait, Seconds: 600, End: true}}}\n"
    )
    wfm("apply", "wait.yaml")
    ids = {wfm.lines("submit", "wait", "--queue", q)[0]["id"] for q in ("a", "b", "c")}

    where = ("--where", "queue=a,definition=wait", "--where", "queue=b", "--yes")
    assert outcomes(wfm.lines("refresh", *where)) == ["done", "done"]
    assert outcomes(wfm.lines("cancel", "-r", "stop", *where)) == ["done", "done"]
    left = wfm.lines("cancel", "-r", "stop", "--where", "definition=wait", "--yes")
    assert {line["id"] for line in left} < ids
    assert outcomes(left) == ["done"]


def test_an_interrupted_run_tells_how_far_it_came_and_goes_on(wfm: Cli) -> None:
    ids = failed(wfm, "slow", 4)
    command = wfm.start("resolve", "--where", "definition=slow", "--yes", "--rate", "1")
    assert command.stdout is not None
    first = json.loads(command.stdout.readline())
    command.send_signal(signal.SIGINT)
    rest, error = command.communicate(timeout=30)

    assert command.returncode == 130, error
    done = {first["id"], *(json.loads(line)["id"] for line in rest.splitlines())}
    assert "left; the same command does what is left" in error
    left = wfm.lines("resolve", "--where", "definition=slow", "--yes")
    assert {line["id"] for line in left} == set(ids) - done


def test_history_and_following_many(wfm: Cli) -> None:
    [workflow] = failed(wfm, "told", 1)

    events = wfm.lines("history", workflow)
    assert [event["id"] for event in events] == list(range(1, len(events) + 1))
    assert [event["type"] for event in wfm.lines("history", workflow, "--type", "ExecutionF")] == ["ExecutionFailed"]
    assert [event["type"] for event in wfm.lines("history", workflow, "--state", "judge")][:1] == ["ChoiceStateEntered"]
    assert wfm.lines("history", workflow, "--after", str(len(events))) == []
    assert "ParallelStateEntered" in wfm("history", workflow, "--full", table=True)
    *_, last, status = wfm("follow", workflow, table=True, code=1).splitlines()
    assert "ExecutionFailed" in last
    assert "  failed  " in status
    lines = wfm("follow", workflow, "--errors", table=True, code=1).splitlines()
    assert all("Failed" in line or "failed" in line for line in lines)


def test_history_of_what_still_runs_ends_now(wfm: Cli) -> None:
    (wfm.folder / "long.yaml").write_text(
        "name: long\nstateMachine: {StartAt: w, States: {w: {Type: Wait, Seconds: 600, End: true}}}\n"
    )
    wfm("apply", "long.yaml")
    workflow = wfm.lines("submit", "long")[0]["id"]

    assert [event["type"] for event in wfm.lines("history", workflow)] == ["ExecutionStarted", "WaitStateEntered"]
    command = wfm.start("follow", "--where", "definition=long")
    assert command.stdout is not None
    assert json.loads(command.stdout.readline())["workflow"] == workflow
    other = wfm.lines("submit", "long")[0]["id"]
    while json.loads(command.stdout.readline())["workflow"] != other:
        pass
    wfm("cancel", "-r", "enough", "--where", "definition=long", "--yes")
    command.send_signal(signal.SIGINT)
    command.communicate(timeout=30)
    assert command.returncode == 130


def test_top_counts(wfm: Cli) -> None:
    failed(wfm, "counted", 2)

    [look] = wfm.lines("top")
    [row] = [row for row in look["definitions"] if row["name"] == "counted"]
    assert row == {"name": "counted", "queued": 0, "running": 0, "failed": 2}
    assert "counted" in wfm("top", "--once", table=True)


def test_formats(wfm: Cli) -> None:
    failed(wfm, "format", 1)

    [row] = csv.DictReader(io.StringIO(wfm("workflows", "-d", "format", "--output", "csv")))
    assert (row["status"], row["workflowDefinition.name"]) == ("failed", "format")
    assert wfm("definitions", "--output", "yaml").startswith("---\n")
    year = time.strftime("%Y-")
    assert year in wfm("workflows", "-d", "format", "--times", "absolute", table=True)


def test_graph_and_diff_of_what_is_stored(wfm: Cli) -> None:
    [workflow] = failed(wfm, "drawn", 1)
    mended = MACHINE.format(name="drawn").replace("InputPath: $.missing, ", "Result: {}, ")
    (wfm.folder / "drawn.yaml").write_text(mended)
    wfm("apply", "drawn.yaml")

    assert "✔ ▶ judge  (Choice, succeeded)" in wfm("graph", "--workflow", workflow, "--format", "text")
    assert wfm("graph", "drawn@0", "--format", "svg").startswith("<svg")
    assert wfm("diff", "drawn", "0", table=True).splitlines() == [
        "- state 'look/branch 1/broken': /InputPath: \"$.missing\"",
        "+ state 'look/branch 1/broken': /Result: {}",
    ]
    assert [line["change"] for line in wfm.lines("diff", "drawn", "0", "1")] == ["removed", "added"]


def test_doctor_finds_a_server_that_is_well(wfm: Cli) -> None:
    levels = {line["check"]: line["level"] for line in wfm.lines("doctor")}

    assert set(levels.values()) == {"ok"}, levels
    assert {"server", "clock", "server's version", "server's store", "data folder"} <= levels.keys()


@pytest.mark.parametrize(
    ("words", "proposed"),
    [("wfm resol", "resolve"), ("wfm resume --fr", "--from"), ("wfm definitions mend", "mend")],
)
def test_a_shell_is_told_what_there_is(wfm: Cli, words: str, proposed: str) -> None:
    failed(wfm, "mend", 0)
    asked = {"_WFM_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
    done = subprocess.run(
        [WFM], env=os.environ | wfm.environment | asked, capture_output=True, text=True, check=False, timeout=30
    )

    assert proposed in done.stdout.split()


def test_a_script_for_each_shell(wfm: Cli) -> None:
    for shell in ("bash", "zsh", "fish"):
        assert "_WFM_COMPLETE" in wfm("completion", shell)
