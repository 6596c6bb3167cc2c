"""An application that the tests of workers start in processes of their own. Its tasks note what they do in files."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from typing import Any

from workflow_manager.sdk import App, Context

app = App("orders", environment="ns", grace_seconds=0.5)
HERE = Path(os.environ.get("ORDERS_FOLDER", "."))


def note(name: str, text: str) -> None:
    with (HERE / name).open("a") as file:
        file.write(f"{text}\n")


@app.task
def quick(value: dict[str, Any]) -> dict[str, Any]:
    return {**value, "pid": os.getpid()}


@app.task
def waits(context: Context, value: dict[str, Any]) -> dict[str, Any]:
    """End when there is a file ``go``; be deaf to everything else."""
    note("begun", f"{context.workflow_id} {os.getpid()}")
    while not (HERE / "go").exists():
        time.sleep(0.02)
    return {"done": True}


@app.task
async def sleeps() -> None:
    note("begun", str(os.getpid()))
    await asyncio.sleep(600)


@app.task(run_in="process", memory_mb=1024)
def apart(context: Context, value: dict[str, Any]) -> dict[str, Any]:
    """Run in a process of its own, and do there what the input asks for."""
    context.logger.info("apart", what=value.get("what"))
    match value.get("what"):
        case "memory":
            return {"bytes": len(bytearray(2 << 30))}
        case "die":
            os.abort()
        case "hang":
            note("begun", str(os.getpid()))
            while not context.cancelled:
                time.sleep(0.01)
            note("cancelled", str(os.getpid()))
            time.sleep(600)
        case "raise":
            raise LookupError("no shelf")
    return {"pid": os.getpid(), "state": context.state, "attempt": context.attempt}


def definition(task: str, **fields: Any) -> dict[str, Any]:
    state = {"Type": "Task", "Resource": task, "End": True, **fields}
    return {"name": task, "stateMachine": {"StartAt": "S", "States": {"S": state}}}


app.load(*(definition(task) for task in ("quick", "waits", "sleeps")), definition("apart", TimeoutSeconds=60))

if __name__ == "__main__":
    import sys

    match sys.argv[1:]:
        case ["run", task]:
            print(app.start(task).result(60))
        case ["start", task]:
            print(app.start(task).id, flush=True)
            time.sleep(600)
        case ["finish", workflow_id]:
            print(app.workflow(workflow_id).result(60))
        case ["leave", task]:
            print(app.start(task).id, flush=True)
        case _:
            sys.exit(app.run_worker())
