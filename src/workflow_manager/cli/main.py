"""The entry point: run a command, and say what went wrong in one sentence on standard error, never in a traceback."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from typing import NoReturn

from workflow_manager.cli.exits import ExitCode, Problem, complain, diagnostic_line


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run ``wfm`` and leave with its exit code (see ExitCode)."""
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def run(arguments: Sequence[str]) -> int:
    """Run ``wfm`` and return its exit code."""
    try:
        code = _invoke(arguments)
        sys.stdout.flush()
    except BrokenPipeError:  # whoever read our output has gone, as head does; there is nobody to tell
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.FAILED
    return code


def _invoke(arguments: Sequence[str]) -> int:
    import typer

    from workflow_manager.cli.app import app
    from workflow_manager.cli.completion import VARIABLE

    if VARIABLE in os.environ:  # a shell asks for proposals; its dialects are loaded for that alone
        from typer._completion_classes import completion_init

        completion_init()
    try:
        result = app(list(arguments), prog_name="wfm", standalone_mode=False)
    except typer.TyperException as error:
        context = getattr(error, "ctx", None)
        message = error.format_message().strip().rstrip(".")
        command = context.command_path if context is not None else "wfm"
        complain(f"{message[:1].lower()}{message[1:]}; see {command} --help")
        return error.exit_code
    except Problem as problem:
        complain(problem.message, *problem.details)
        return problem.code
    except (KeyboardInterrupt, typer.Abort):
        result = ExitCode.INTERRUPTED
    except Exception as error:
        known = _problem(error)
        if known is None:
            raise
        complain(known.message, *known.details)
        return known.code
    if result == ExitCode.INTERRUPTED:  # as typer answers Ctrl-C
        complain("interrupted")
    return result if isinstance(result, int) else ExitCode.OK


NOT_FOUND = {
    "WorkflowNotFound": "there is no workflow {0}; wfm workflows lists those that there are",
    "WorkflowDefinitionNotFound": "there is no workflow definition {0}; wfm definitions lists those that there are",
}
"""Code of an error whose message is a name alone -> a sentence with that name."""


def _problem(error: Exception) -> Problem | None:
    """An error of the parts below as a problem; None if it is a fault of ours.

    A part that was not loaded raised nothing, so none is loaded for this.
    """
    loaded = sys.modules.get
    if (client := loaded("workflow_manager.client.errors")) and isinstance(error, client.ClientError):
        if isinstance(error, client.ApiError):
            return _refusal(error.code, error.message, error.diagnostics)
        unreachable = isinstance(error, client.ServerUnreachable)
        return Problem(str(error), ExitCode.UNREACHABLE if unreachable else ExitCode.FAILED)
    if (settings := loaded("workflow_manager.settings")) and isinstance(error, settings.SettingsError):
        return Problem(str(error), ExitCode.USAGE)
    if (files := loaded("workflow_manager.definition_files")) and isinstance(error, files.DefinitionFileError):
        return Problem(str(error))
    return None


def _refusal(code: str, message: str, diagnostics: Sequence[Mapping[str, object]]) -> Problem:
    if code in NOT_FOUND:
        return Problem(NOT_FOUND[code].format(message))
    if diagnostics:
        return Problem("the definition has faults:", details=[diagnostic_line(each) for each in diagnostics])
    return Problem(message)
