"""How a command's end is read: the rules that commands written for sfncli rely on."""

from __future__ import annotations

from typing import Any

import pytest

from workflow_manager.worker.outcome import CommandEnd, Failure, Outcome, Success, read_end


def end(returncode: int | None, output: str = "", errors: str = "", **more: bool) -> CommandEnd:
    facts = {"stopped": False, "output_too_long": False} | more
    return CommandEnd(returncode=returncode, output=output, errors=errors, **facts)


NAMED = {"_EXECUTION_NAME": "w1"}


@pytest.mark.parametrize(
    ("command_end", "fields", "outcome"),
    [
        pytest.param(end(0), {}, Success("{}"), id="no output means an empty object"),
        pytest.param(end(0, '{"a": 1}'), {}, Success('{"a":1}'), id="the last line is the output"),
        pytest.param(end(0), NAMED, Success('{"_EXECUTION_NAME":"w1"}'), id="_EXECUTION_NAME is put back"),
        pytest.param(
            end(0, '{"_EXECUTION_NAME":"x"}'),
            NAMED,
            Success('{"_EXECUTION_NAME":"w1"}'),
            id="whatever the command says",
        ),
        pytest.param(
            end(0), {"_EXECUTION_NAME": 1}, Success('{"_EXECUTION_NAME":1}'), id="whatever the input has there"
        ),
        pytest.param(end(0, '{"error":"E"}'), {}, Success('{"error":"E"}'), id="an error in an output is output"),
        pytest.param(end(0, "{}", stopped=True), {}, Success("{}"), id="told to stop, it finished well"),
        pytest.param(
            end(0, "done"),
            {},
            Failure(
                "sfncli.TaskOutputNotJSON",
                "the last line of stdout is not a JSON object (Expecting value: line 1 column 1 (char 0)): done",
            ),
            id="output that is not JSON",
        ),
        pytest.param(
            end(0, "[1]"),
            {},
            Failure("sfncli.TaskOutputNotJSON", "the last line of stdout is not a JSON object (it is an array): [1]"),
            id="output that is no object",
        ),
        pytest.param(
            end(0, '{"a":1}', output_too_long=True),
            {},
            Failure("sfncli.TaskOutputNotJSON", "the last line of stdout is longer than 1,048,576 bytes"),
            id="output longer than is kept",
        ),
        pytest.param(end(3, "", "a\nb"), {}, Failure("sfncli.CommandExitedNonzero", "a\nb"), id="stderr is the cause"),
        pytest.param(
            end(3),
            {},
            Failure("sfncli.CommandExitedNonzero", "the command exited with status 3 and wrote nothing to stderr"),
            id="nothing on stderr",
        ),
        pytest.param(
            end(1, '{"error":"My.Error","cause":"why"}', "log"),
            {},
            Failure("My.Error", "why"),
            id="an error of its own",
        ),
        pytest.param(end(1, '{"error":"My.Error"}', "log"), {}, Failure("My.Error", ""), id="without a cause"),
        pytest.param(end(1, '{"error":"E","cause":null}'), {}, Failure("E", ""), id="with a cause of null"),
        pytest.param(
            end(1, '{"error":"E","cause":{"k":1}}'),
            {},
            Failure("E", '{"k": 1}'),
            id="with a cause that is not a string",
        ),
        pytest.param(end(1, '{"Error":"E","Cause":"c"}'), {}, Failure("E", "c"), id="keys in any case"),
        pytest.param(
            end(1, '{"error":"","cause":"c"}', "log"), {}, Failure("sfncli.CommandExitedNonzero", "log"), id="no name"
        ),
        pytest.param(
            end(1, '{"error":7}', "log"),
            {},
            Failure("sfncli.CommandExitedNonzero", "log"),
            id="a name that is no string",
        ),
        pytest.param(end(1, "[]", "log"), {}, Failure("sfncli.CommandExitedNonzero", "log"), id="no object"),
        pytest.param(
            end(1, '{"error":"E"}', "log", output_too_long=True),
            {},
            Failure("sfncli.CommandExitedNonzero", "log"),
            id="a line that was cut names nothing",
        ),
        pytest.param(end(-9, "", "log"), {}, Failure("sfncli.CommandKilled", "log"), id="died by a signal"),
        pytest.param(
            end(-11),
            {},
            Failure("sfncli.CommandKilled", "the command was killed by SIGSEGV and wrote nothing to stderr"),
            id="died by a signal in silence",
        ),
        pytest.param(
            end(-40),
            {},
            Failure("sfncli.CommandKilled", "the command was killed by signal 40 and wrote nothing to stderr"),
            id="died by a signal without a name",
        ),
        pytest.param(
            end(-9, '{"error":"E","cause":"c"}'),
            {},
            Failure("E", "c"),
            id="its own error counts although it was killed",
        ),
        pytest.param(
            end(1, "", "log", stopped=True),
            {},
            Failure("sfncli.CommandTerminated", "log"),
            id="told to stop, it gave up",
        ),
        pytest.param(
            end(-15, stopped=True),
            {},
            Failure("sfncli.CommandTerminated", "the command was told to stop and was killed by SIGTERM"),
            id="told to stop, it died",
        ),
        pytest.param(
            end(1, '{"error":"E"}', stopped=True), {}, Failure("E", ""), id="told to stop, it named its own error"
        ),
        pytest.param(
            end(None, stopped=True),
            {},
            Failure("sfncli.CommandTerminated", "the command did not end when it was killed"),
            id="outlived its SIGKILL",
        ),
    ],
)
def test_a_commands_end_is_read_as_an_outcome(
    command_end: CommandEnd, fields: dict[str, Any], outcome: Outcome
) -> None:
    assert read_end(command_end, fields) == outcome
