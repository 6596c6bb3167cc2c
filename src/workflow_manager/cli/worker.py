"""``wfm worker``: do the tasks of an activity by running commands, or those of a Python application's functions."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from workflow_manager.cli.exits import Problem, usage
from workflow_manager.cli.options import Namespace


def worker(
    command: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[-- CMD [ARGS]...]", help="Run for every task, its input as one more argument.", show_default=False
        ),
    ] = None,
    activity: Annotated[
        list[str] | None,
        typer.Option(
            "--activity",
            "-a",
            help="The resource as definitions name it. With --app it may be given several times: its functions to serve, "
            "instead of all.",
            show_default=False,
        ),
    ] = None,
    app: Annotated[
        str | None,
        typer.Option(
            "--app",
            metavar="MODULE:APP",
            help="Do the tasks of this application's functions instead of running commands.",
        ),
    ] = None,
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
    max_tasks: Annotated[
        int | None,
        typer.Option(
            "--max-tasks",
            "--concurrency",
            "-c",
            min=1,
            metavar="N",
            help="How many tasks at once; 1, or what the application says.",
            show_default=False,
        ),
    ] = None,
    task_timeout: Annotated[
        float | None,
        typer.Option(
            "--task-timeout",
            min=0.001,
            metavar="SECONDS",
            help="Stop a task that takes longer: it fails as States.Timeout.",
        ),
    ] = None,
    task_memory: Annotated[
        int | None,
        typer.Option(
            "--task-memory", min=1, metavar="MIB", help="Memory that each command, or process of a function, may have."
        ),
    ] = None,
    grace: Annotated[
        float,
        typer.Option("--grace", min=0, metavar="SECONDS", help="How long tasks may take to end when told to stop."),
    ] = 25.0,
    health_port: Annotated[
        int | None,
        typer.Option(
            "--health-port",
            min=0,
            max=65535,
            metavar="PORT",
            help="Answer /healthz, /readyz and /metrics there; 0: a free port.",
        ),
    ] = None,
    health_host: Annotated[
        str, typer.Option("--health-host", metavar="ADDRESS", help="Address that the health port is on.")
    ] = "127.0.0.1",
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
    """Do tasks by a command for each, or by an application's functions; Ctrl-C lets running ones end."""
    from workflow_manager.settings import ClientSettings, is_set, load
    from workflow_manager.worker import WorkerSettings, run_worker

    if bool(app) == bool(command):
        raise usage(
            "a worker runs a command for each task (after --), or functions of an application (--app): give one"
        )
    settings = load(ClientSettings, {"server": server, "namespace": namespace})
    if endpoint_url is None and is_set("server", server):
        endpoint_url = settings.server
    if app is not None:
        from workflow_manager.sdk.worker import CannotImport, FunctionWorkerSettings, find_app, run_function_worker

        if workdir is not None:
            raise usage("--workdir is for commands; a function makes the folders that it needs")
        try:
            found = find_app(app)
        except CannotImport as error:
            raise Problem(str(error)) from None
        code = run_function_worker(
            found,
            FunctionWorkerSettings(
                namespace=settings.namespace or None,
                endpoint_url=endpoint_url,
                region=region,
                worker_name=name,
                max_tasks=max_tasks,
                only=tuple(activity or ()),
                timeout_seconds=task_timeout,
                memory_mb=task_memory,
                grace_seconds=grace,
                health_host=health_host,
                health_port=health_port,
            ),
        )
        raise typer.Exit(code)
    if not activity or len(activity) > 1:
        raise usage("a worker that runs commands needs the activity that they are for; give one with --activity")
    if not settings.namespace:
        raise usage("a worker needs a namespace; give it with --namespace or WFM_NAMESPACE")
    try:
        chosen = WorkerSettings(
            activity=activity[0],
            namespace=settings.namespace,
            command=tuple(command or ()),
            endpoint_url=endpoint_url,
            region=region,
            concurrency=max_tasks or 1,
            workdir=workdir,
            worker_name=name,
            timeout_seconds=task_timeout,
            memory_mb=task_memory,
            grace_seconds=grace,
            health_host=health_host,
            health_port=health_port,
        )
    except ValueError as error:
        raise usage(str(error)) from None
    raise typer.Exit(run_worker(chosen) or 0)
