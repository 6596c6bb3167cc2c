"""Options and arguments that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

from workflow_manager.cli.completion import workflow_ids

Server = Annotated[
    str | None,
    typer.Option("--server", metavar="URL", help="Address of the server [WFM_SERVER; default: http://127.0.0.1:8080]."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON lines, also on a terminal; short for --output json.")]
OutputFormat = Annotated[
    str | None,
    typer.Option(
        "--output",
        metavar="FORMAT",
        help="How to print: table, json (lines), yaml or csv [WFM_OUTPUT; default: table on a terminal, else json].",
        show_default=False,
    ),
]
Times = Annotated[
    str | None,
    typer.Option(
        "--times",
        metavar="STYLE",
        help="How tables show times: relative, absolute or both [WFM_TIMES].",
        show_default=False,
    ),
]
WorkflowId = Annotated[
    str,
    typer.Argument(metavar="ID", help="Id of the workflow.", show_default=False, autocompletion=workflow_ids),
]
OptionalId = Annotated[
    str | None,
    typer.Argument(metavar="[ID]", help="Id of the workflow.", show_default=False, autocompletion=workflow_ids),
]
Where = Annotated[
    list[str] | None,
    typer.Option(
        "--where",
        metavar="KEY=VALUE,...",
        help="Workflows instead of one: status, definition, namespace, queue, tag.NAME, resolved, after, before; "
        "may be repeated, for either.",
        show_default=False,
    ),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
Rate = Annotated[
    float | None, typer.Option("--rate", metavar="N", min=0.01, help="At most so many a second.", show_default=False)
]
Namespace = Annotated[
    str | None,
    typer.Option("--namespace", "-n", help="Namespace, where resources resolve [WFM_NAMESPACE].", show_default=False),
]
Tags = Annotated[
    list[str] | None, typer.Option("--tag", metavar="KEY=VALUE", help="A tag; may be repeated.", show_default=False)
]
Follow = Annotated[
    bool, typer.Option("--follow", "-f", help="Show what happens until it ends; the exit code says how.")
]
