"""The commands of ``wfm`` and their order in its help."""

from __future__ import annotations

from typing import Annotated

import typer

from workflow_manager.cli import apply, definitions, serve, validate, version, worker, workflows

app = typer.Typer(
    name="wfm",
    help="Versioned workflows, namespaces, queues, readable jobs and resume, on Step Functions or an embedded engine.",
    epilog="Exit codes: 0 done or succeeded, 1 failed or refused, 2 wrong usage, 3 cancelled, 4 server not reached.",
    rich_markup_mode=None,  # the plain help starts three times as fast
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["--help", "-h"], "max_content_width": 110},
)


@app.callback(invoke_without_command=True)
def wfm(
    context: typer.Context,
    show_version: Annotated[bool, typer.Option("--version", help="Say which version this is.")] = False,
) -> None:
    if show_version:
        version.version()
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
        raise typer.Exit


app.command()(serve.serve)
app.command()(apply.apply)
app.command()(definitions.definitions)
app.command()(validate.validate)
app.command()(workflows.submit)
app.command("workflows")(workflows.workflows)
app.command()(workflows.workflow)
app.command()(workflows.cancel)
app.command()(workflows.resume)
app.command()(workflows.resolve)
app.command(context_settings={"allow_interspersed_args": False})(worker.worker)
app.command()(version.version)
