"""Commands without a server: usage, help, and what is read from arguments."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from workflow_manager.cli.app import COMMANDS
from workflow_manager.cli.apply import diff
from workflow_manager.cli.definitions import split_version
from workflow_manager.cli.exits import ExitCode, Problem
from workflow_manager.cli.main import run
from workflow_manager.cli.session import parse_tags
from workflow_manager.cli.workflows import read_input
from workflow_manager.definition_files import DefinitionDocument
from workflow_manager.model import UNSET_TIME, WorkflowDefinition
from workflow_manager.settings import Settings, options

DOCUMENT = Path(__file__).parents[3] / "docs" / "cli.md"


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No settings but the defaults, and a server that is not there."""
    for name in list(os.environ):
        if name.startswith("WFM_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("WFM_SERVER", "http://127.0.0.1:9")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("text", "name", "version"),
    [("a:b", "a:b", None), ("a@3", "a", 3), ("a@latest", "a", -1), ("a@b@0", "a@b", 0)],
)
def test_a_name_may_carry_a_version(text: str, name: str, version: int | None) -> None:
    assert split_version(text) == (name, version)


@pytest.mark.parametrize("text", ["a@", "a@x", "@3", "a@-1", "a@1.5", "a@99999999999999999999"])
def test_what_is_no_version_is_wrong_usage(text: str) -> None:
    with pytest.raises(Problem) as problem:
        split_version(text)

    assert problem.value.code == ExitCode.USAGE


def test_tags_are_keys_and_values() -> None:
    assert parse_tags(["a=1", "b=", "c=x=y"]) == {"a": "1", "b": "", "c": "x=y"}
    assert parse_tags(None) == {}
    for wrong in ("a", "=1"):
        with pytest.raises(Problem, match="must be KEY=VALUE"):
            parse_tags([wrong])


def test_an_input_is_an_argument_a_file_or_standard_input(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (elsewhere / "in.json").write_text('{"from": "file"}')
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b'{"from": "stdin"}')))

    assert read_input('{"big": 12345678901234567890123}') == '{"big": 12345678901234567890123}'
    assert read_input("@in.json") == '{"from": "file"}'
    assert read_input("-") == '{"from": "stdin"}'


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("{foo: 1}", "INPUT: is not JSON"),
        ("[1]", "INPUT: must be a JSON object such as '{\"foo\": true}', not a list"),
        ("null", "INPUT: must be a JSON object such as '{\"foo\": true}', not null"),
        ("@no.json", "no.json: cannot be read (no such file or directory)"),
        ("@.", ".: cannot be read (is a directory)"),
    ],
)
def test_an_input_that_is_none_is_wrong_usage(argument: str, message: str) -> None:
    with pytest.raises(Problem) as problem:
        read_input(argument)

    assert problem.value.message.startswith(message)
    assert problem.value.code == ExitCode.USAGE


def test_a_diff_shows_what_means_something_else_only() -> None:
    stored = WorkflowDefinition(
        id="x",
        name="a",
        version=3,
        created_at=UNSET_TIME,
        state_machine={"States": {"b": {"Type": "Succeed"}}, "StartAt": "b"},
    )
    document = DefinitionDocument(
        place="a.yaml",
        name="a",
        state_machine={"StartAt": "c", "States": {"b": {"Type": "Succeed"}}},
        default_tags={"team": "x"},
    )

    lines = diff(stored, document)

    assert lines[:2] == ["--- version 3", "+++ a.yaml"]
    assert [line for line in lines[2:] if line[0] in "+-"] == [
        "-  StartAt: b",
        "+  StartAt: c",
        "+defaultTags:",
        "+  team: x",
    ]


# ---------------------------------------------------------------------- the command line as a whole


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["bogus"], "no such command 'bogus'; see wfm --help"),
        (["valdate"], "no such command 'valdate'. Did you mean 'validate'?; see wfm --help"),
        (["submit"], "missing argument 'NAME[@VERSION]'; see wfm submit --help"),
        (["submit", "a@x"], "the version in 'a@x' must be a number or latest"),
        (["submit", "a", "{}", "--tag", "x"], "--tag 'x' must be KEY=VALUE"),
        (["workflows", "--status", "done"], "--status 'done' must be one of queued, running, succeeded, failed, cancelled"),
        (["workflows", "--after", "noon"], "--after: 'noon' is no time; expected a time (2026-03-01T09:30:00Z), a day"),
        (["workflows", "--limit", "0"], "invalid value for '--limit' / '-l'"),
        (["cancel", "x"], "--reason is missing or empty; say why it is cancelled"),
        (["cancel", "x", "--reason", " "], "--reason is missing or empty; say why it is cancelled"),
        (["cancel", "-r", "y"], "name one workflow, or say which with --where"),
        (["cancel", "x", "-r", "y", "--where", "status=failed"], "name one workflow, or say which with --where"),
        (["resolve", "--where", "state=failed"], "--where: there is no key 'state'; did you mean status?"),
        (["resume", "x"], "--from is missing; name a state, or failed for the state that failed"),
        (["resume", "x", "--from", "a", "--version", "new"], "the version in 'definition@new' must be a number or latest"),
        (["resume", "x", "--from", "a", "--input", "gone.json"], "gone.json: cannot be read (no such file or directory)"),
        (["resume", "--from", "a", "--where", "status=failed", "--follow"], "--follow is for one workflow"),
        (["workflows", "--json", "--output", "csv"], "--json and --output csv are both given; give one of them"),
        (["workflows", "--output", "xml"], "--output must be one of auto, table, json, yaml, csv, not 'xml'"),
        (["workflows", "--times", "short"], "--times must be one of relative, absolute, both, not 'short'"),
        (["follow"], "name workflows, or say which with --where definition=NAME"),
        (["completion", "tcsh"], "'tcsh' must be one of bash, zsh, fish"),
        (["worker", "--activity", "a", "--", "true"], "a worker needs a namespace; give it with --namespace"),
        (["serve", "--port", "x"], "--port must be a whole number from 0 to 65535, not 'x'"),
        (["workflows", "--server", "localhost:80"], "--server must be an address, as http://127.0.0.1:8080"),
    ],
)  # fmt: skip
def test_wrong_usage_is_one_sentence(capsys: pytest.CaptureFixture[str], arguments: list[str], message: str) -> None:
    assert run(arguments) == ExitCode.USAGE

    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"wfm: {message}")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["definitions"],
        ["submit", "a"],
        ["workflows"],
        ["workflow", "x"],
        ["workflow", "x", "--follow"],
        ["cancel", "x", "-r", "y"],
        ["resume", "x", "--from", "a"],
        ["resolve", "x"],
        ["refresh", "x"],
        ["resolve", "--where", "status=failed", "--yes"],
        ["history", "x"],
        ["follow", "x"],
        ["follow", "--where", "definition=a"],
        ["top", "--once"],
    ],
)
def test_a_server_that_is_not_there_has_an_exit_code_of_its_own(
    capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    assert run(arguments) == ExitCode.UNREACHABLE

    assert capsys.readouterr().err == (
        "wfm: cannot reach the server at http://127.0.0.1:9 (connection refused); "
        "start it with wfm serve, or name another one with --server or WFM_SERVER\n"
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_that_starts_as_in_the_list(capsys: pytest.CaptureFixture[str], command: str) -> None:
    assert run([command, "--help"]) == 0

    text = " ".join(capsys.readouterr().out.split())
    assert text.startswith(f"Usage: wfm {command} ")
    assert COMMANDS[command][1] in text


def test_the_help_of_serve_lists_every_setting(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["serve", "--help"]) == 0

    text = " ".join(capsys.readouterr().out.split())
    for option in options(Settings).values():
        assert option.flag in text
        default = str(option.default) or "empty"
        assert f"[{option.variable}; default: {default}]" in text


def test_every_command_and_option_is_documented() -> None:
    from typer.main import get_command

    from workflow_manager.cli.app import app

    text = DOCUMENT.read_text(encoding="utf-8")
    group: Any = get_command(app)
    for name in COMMANDS:
        assert f"## wfm {name}\n" in text
        section = text.split(f"## wfm {name}\n")[1].split("\n## ")[0]
        for parameter in group.commands[name].params if name != "serve" else ():
            for flag in (each for each in parameter.opts if each.startswith("--") and each != "--help"):
                assert f"`{flag}" in section, f"{name} {flag}"


def test_every_exit_code_is_documented() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")

    for code in ExitCode:
        assert f"\n| {code.value} |" in text


BARE = "StartAt: a\nStates:\n  a: {Type: Task, Resource: echo, Next: b}\n"


def test_validate_lists_every_fault_with_file_pointer_and_code(
    elsewhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (elsewhere / "bad.yaml").write_text(f"name: a/b\nstateMachine:\n{BARE.replace('StartAt', '  StartAt')}"
                                        .replace("States", "  States").replace("  a:", "    a:"))  # fmt: skip
    (elsewhere / "bare.yaml").write_text(BARE.replace("Next: b", "End: true"))
    (elsewhere / "broken.json").write_text("{")

    assert run(["validate", "bad.yaml", "bare.yaml", "broken.json", "--json"]) == ExitCode.FAILED

    import json

    bad, bare, broken = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert {(each["location"], each["code"]) for each in bad["diagnostics"]} >= {
        ("/name", "INVALID_NAME"),
        ("/stateMachine/States/a/Next", "MISSING_TRANSITION_TARGET"),
    }
    assert (bad["place"], bad["valid"]) == ("bad.yaml", False)
    assert (bare["place"], bare["valid"], bare["diagnostics"]) == ("bare.yaml", True, [])
    assert (broken["place"], broken["diagnostics"][0]["code"]) == ("broken.json", "UNREADABLE")


def test_validate_says_what_is_valid(
    elsewhere: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WFM_OUTPUT", "table")
    (elsewhere / "a.yaml").write_text(BARE.replace("Next: b", "End: true"))

    assert run(["validate", "a.yaml"]) == 0
    assert capsys.readouterr().out == "a.yaml: valid\n"


def test_apply_refuses_a_name_that_stands_twice(elsewhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (elsewhere / "a.yaml").write_text("name: a\nstateMachine: {}\n---\nname: a\nstateMachine: {}\n")

    assert run(["apply", "a.yaml"]) == ExitCode.FAILED
    assert capsys.readouterr().err == (
        "wfm: the definition 'a' stands twice: in a.yaml, document 1 and in a.yaml, document 2; keep one of them\n"
    )


def test_help_loads_neither_the_http_client_nor_the_server_s_parts() -> None:
    """Which is why it is there at once."""
    program = (
        "import sys; from workflow_manager.cli.main import run; run(['--help']);"
        "heavy = {'httpx', 'litestar', 'apsw', 'boto3', 'rich', 'workflow_manager.engine', 'workflow_manager.manager'};"
        "sys.stderr.write(' '.join(heavy & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)

    assert "Usage: wfm" in done.stdout
    assert done.stderr == ""


# ---------------------------------------------------------------------------------------------- graph and diff


def machine_file(folder: Path, name: str = "m.yaml", follows: str = "b") -> str:
    path = folder / name
    path.write_text(
        "stateMachine:\n  StartAt: a\n  States:\n"
        f"    a: {{Type: Pass, Next: {follows}}}\n    b: {{Type: Succeed}}\n    c: {{Type: Succeed}}\n"
    )
    return str(path)


@pytest.mark.parametrize(
    ("arguments", "begins"),
    [
        (["--format", "svg"], "<svg "),
        (["--format", "mermaid"], "flowchart TD\n"),
        (["--format", "dot"], "digraph {\n"),
        (["--format", "text"], "• ▶ a  (Pass)\n"),
        (["--json"], '{"graph":{'),
    ],
)
def test_a_file_is_drawn(capsys: pytest.CaptureFixture[str], tmp_path: Path, arguments: list[str], begins: str) -> None:
    assert run(["graph", machine_file(tmp_path), *arguments]) == 0

    assert capsys.readouterr().out.startswith(begins)


@pytest.mark.parametrize(
    ("ending", "begins"), [("svg", "<svg"), ("dot", "digraph"), ("mmd", "flowchart"), ("x", "• ▶ a")]
)
def test_the_file_s_name_says_the_format(tmp_path: Path, ending: str, begins: str) -> None:
    out = tmp_path / f"drawn.{ending}"

    assert run(["graph", machine_file(tmp_path), "--out", str(out)]) == 0
    assert out.read_text().startswith(begins)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["graph"], 2, "name a definition or a file"),
        (["graph", "x", "--format", "pdf"], 2, "must be one of text, svg, mermaid, dot"),
        (["graph", "gone.yaml"], 1, "gone.yaml: cannot be read"),
        (["graph", "FILE", "--out", "no/such/folder.svg"], 1, "no/such/folder.svg cannot be written"),
        (["diff", "name", "1", "two"], 2, "'two' must be the number of a version, or latest"),
        (["diff", "name"], 2, "missing argument"),
        (["diff", "FILE", "gone.yaml"], 1, "gone.yaml: cannot be read"),
    ],
)
def test_what_cannot_be_drawn_or_compared(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, arguments: list[str], code: int, said: str
) -> None:
    file = machine_file(tmp_path)

    assert run([file if each == "FILE" else each for each in arguments]) == code
    assert said in capsys.readouterr().err


def test_files_are_compared(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("WFM_OUTPUT", "table")
    one, other = machine_file(tmp_path, "1.yaml"), machine_file(tmp_path, "2.yaml", follows="c")

    assert run(["diff", one, other]) == 0
    assert capsys.readouterr().out == "~ state 'a': then: b → c\n"
    assert run(["diff", one, other, "--exit-code"]) == 1
    capsys.readouterr()
    assert run(["diff", one, one, "--exit-code"]) == 0
    assert "are the same state machine" in capsys.readouterr().out
