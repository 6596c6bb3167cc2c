"""Options and arguments that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

Server = Annotated[
    str | None,
    typer.Option("--server", metavar="URL", help="Address of the server [WFM_SERVER; default: http://127.0.0.1:8080]."),
]
Json = Annotated[
    bool, typer.Option("--json", help="Print JSON lines, also on a terminal [WFM_OUTPUT: table, json or auto].")
]
WorkflowId = Annotated[str, typer.Argument(metavar="ID", help="Id of the workflow.", show_default=False)]
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
