"""The commands of ``wfm``, in the order of its help; each is loaded when it is called, so that ``wfm`` starts quickly."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

COMMANDS = {
    "serve": ("serve", "Start the server: the HTTP API, its documentation, and the Step Functions API, on one port."),
    "init-store": ("initstore", "Make what the store needs, or check that it is there: the tables in DynamoDB."),
    "apply": ("apply", "Create or update definitions from files; what is unchanged makes no new version."),
    "definitions": ("definitions", "List definitions, the versions of one, or show one version."),
    "diff": ("diagrams", "Say what is different between two versions of a definition."),
    "graph": ("diagrams", "Draw a definition: SVG, Mermaid, DOT, or text on the terminal."),
    "validate": ("validate", "Check definitions, here and without a server; every fault is listed."),
    "submit": ("workflows", "Submit a workflow."),
    "workflows": ("workflows", "List workflows."),
    "workflow": ("workflows", "Show a workflow and its jobs."),
    "history": ("history", "Show the events of a workflow's execution so far."),
    "follow": ("history", "Follow many workflows at once, a line for each event; with --where also those that come."),
    "top": ("top", "Show queues, running and failed workflows and workers, live."),
    "cancel": ("workflows", "Cancel a workflow, or all that --where finds."),
    "resume": ("workflows", "Start a new workflow from a state of a finished one, or of all that --where finds."),
    "resolve": ("workflows", "Mark a failed workflow as looked after, or all that --where finds."),
    "refresh": ("workflows", "Bring a workflow up to date with its execution, or all that --where finds."),
    "worker": (
        "worker",
        "Do tasks by a command for each, or by an application's functions; Ctrl-C lets running ones end.",
    ),
    "doctor": ("doctor", "Check configuration, server, clock, data folder and AWS, and say what to do."),
    "completion": ("completion", "Print the script that completes commands, options, definitions and ids in a shell."),
    "version": ("version", "Say which version this is."),
}
"""Command -> the module that has the function of its name, and the first line of its help."""


class _Commands(dict[str, Any]):
    """Commands by name, loaded when they are asked for."""

    def __missing__(self, name: str) -> Any:
        if name not in COMMANDS:
            raise KeyError(name)
        module = import_module(f"workflow_manager.cli.{COMMANDS[name][0]}")
        one = _typer()
        # a worker's command has options of its own, which begin where the command begins
        one.command(name, context_settings={"allow_interspersed_args": name != "worker"})(
            getattr(module, name.replace("-", "_"))
        )
        command = self[name] = get_command(one)
        return command

    def get(self, name: str, default: Any = None) -> Any:
        return self[name] if name in COMMANDS else default

    def keys(self) -> Any:
        return COMMANDS.keys()

    def __iter__(self) -> Iterator[str]:
        return iter(COMMANDS)


class _Group(TyperGroup):
    """``wfm`` itself; lists its commands without loading them."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.commands = _Commands()

    def list_commands(self, ctx: Any) -> list[str]:
        del ctx
        return list(COMMANDS)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


def _typer(**arguments: Any) -> typer.Typer:
    return typer.Typer(
        add_completion=False,
        rich_markup_mode=None,  # the plain help starts three times as fast
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["--help", "-h"], "max_content_width": 110},
        **arguments,
    )


app = _typer(
    name="wfm",
    cls=_Group,
    help="Versioned workflows, namespaces, queues, readable jobs and resume, on Step Functions or an embedded engine.",
    epilog="Exit codes: 0 done or succeeded, 1 failed or refused, 2 wrong usage, 3 cancelled, 4 server not reached.",
)


@app.callback(invoke_without_command=True)
def wfm(
    context: typer.Context,
    show_version: Annotated[bool, typer.Option("--version", help="Say which version this is.")] = False,
) -> None:
    if show_version:
        from workflow_manager.cli.version import version

        version()
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
        raise typer.Exit
