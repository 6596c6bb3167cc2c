"""``wfm worker``: do the tasks of an activity, a command for each."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from workflow_manager.cli.exits import usage
from workflow_manager.cli.options import Namespace


def worker(
    command: Annotated[
        list[str],
        typer.Argument(
            metavar="-- CMD [ARGS]...", help="Run for every task, its input as one more argument.", show_default=False
        ),
    ],
    activity: Annotated[
        str, typer.Option("--activity", "-a", help="The resource as definitions name it.", show_default=False)
    ],
    namespace: Namespace = None,
    endpoint_url: Annotated[
        str | None,
        typer.Option(
            "--endpoint-url",
            metavar="URL",
            help="A Step Functions endpoint. Without it: the server of --server, WFM_SERVER or wfm.toml if one of them "
            "says so, else what the AWS configuration says.",
            show_default=False,
        ),
    ] = None,
    server: Annotated[
        str | None,
        typer.Option("--server", metavar="URL", help="Address of a wfm server; the same as --endpoint-url."),
    ] = None,
    region: Annotated[
        str | None, typer.Option("--region", help="AWS region; by default what the AWS configuration says.")
    ] = None,
    concurrency: Annotated[
        int, typer.Option("--concurrency", "-c", min=1, metavar="N", help="How many tasks at once.")
    ] = 1,
    workdir: Annotated[
        Path | None,
        typer.Option(
            "--workdir",
            metavar="DIR",
            help="Give every task a folder in DIR, named in WORK_DIR and removed afterwards.",
        ),
    ] = None,
    name: Annotated[
        str | None, typer.Option("--name", help="Name of this worker in histories; by default host and process id.")
    ] = None,
) -> None:
    """Do the tasks of an activity by running a command for each; Ctrl-C lets running ones end."""
    from workflow_manager.settings import ClientSettings, is_set, load
    from workflow_manager.worker import WorkerSettings, run_worker

    settings = load(ClientSettings, {"server": server, "namespace": namespace})
    if not settings.namespace:
        raise usage("a worker needs a namespace; give it with --namespace or WFM_NAMESPACE")
    if endpoint_url is None and is_set("server", server):
        endpoint_url = settings.server
    code = run_worker(
        WorkerSettings(
            activity=activity,
            namespace=settings.namespace,
            command=tuple(command),
            endpoint_url=endpoint_url,
            region=region,
            concurrency=concurrency,
            workdir=workdir,
            worker_name=name,
        )
    )
    raise typer.Exit(code or 0)
