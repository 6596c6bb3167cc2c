"""Map Runs as rows: reading one and writing it, by its number or its ARN, and reading its children by pages.

A run that is not over is kept in memory as the open batch has it; whoever changes one says so first, so that it is forgotten
if the batch is undone.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import msgspec

from workflow_manager.asl.program import MapState
from workflow_manager.database import Batch, Database
from workflow_manager.engine.core.data import text_of
from workflow_manager.engine.core.distributed import map_run_arn
from workflow_manager.engine.core.packing import pack, unpacker
from workflow_manager.engine.maps.map_run import ENDINGS, MapRun, Phase, Spec
from workflow_manager.engine.maps.results import Child, entry
from workflow_manager.engine.shell.machine import Machine, Settings
from workflow_manager.engine.shell.runner import Runner
from workflow_manager.engine.shell.schema import ITEM_SHIFT
from workflow_manager.stepfunctions.arns import Arns, parse
from workflow_manager.stepfunctions.errors import ResourceNotFound

ROWS_PER_PAGE = 200

_decode = msgspec.msgpack.Decoder(MapRun).decode
_decode_spec = unpacker(Spec).decode
_encode = msgspec.msgpack.Encoder().encode

NO_SPEC = Spec()


class MapRunRows:
    def __init__(self, database: Database, arns: Arns, runner: Runner) -> None:
        self._database = database
        self._arns = arns
        self._runner = runner
        self._query = database.query
        self._query_one = database.query_one
        self._runs: dict[int, MapRun] = {}

    def get(self, run_id: int) -> MapRun | None:
        """A run as the open batch sees it. Within a batch, or where none is being committed: what it reads is kept."""
        run = self._runs.get(run_id)
        if run is None:
            row = self._query_one("SELECT body, spec FROM map_run WHERE id = ?", (run_id,))
            if row is None:
                return None
            run = _unpack(*row)
            if run.phase is not Phase.ENDED:
                self._runs[run_id] = run
        return run

    def by_run_id(self, run_id: str) -> MapRun | None:
        row = self._query_one("SELECT id FROM map_run WHERE run_id = ?", (run_id,))
        return self.get(row[0]) if row is not None else None

    def add(self, batch: Batch, run: MapRun) -> None:
        batch.execute(
            "INSERT INTO map_run VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                run.id,
                run.execution,
                run.machine,
                run.label,
                run.run_id,
                run.express,
                int(run.phase),
                _pack(run),
                pack(run.spec),
            ),
        )

    def change(self, batch: Batch, run: MapRun) -> None:
        """To be called before a run is changed: what is kept in memory is forgotten if the batch is undone."""
        batch.after_rollback(partial(self._runs.pop, run.id, None))

    def save(self, batch: Batch, run: MapRun) -> None:
        batch.execute("UPDATE map_run SET phase = ?, body = ? WHERE id = ?", (int(run.phase), _pack(run), run.id))
        if run.phase is Phase.ENDED:
            self._runs.pop(run.id, None)

    def arn(self, run: MapRun) -> str:
        return map_run_arn(self._arns.state_machine(run.machine_name), run.label, run.run_id)

    def stored(self, run_id: int) -> MapRun | None:
        """A run as it is on disk: what may be told."""
        rows = self._database.read("SELECT body, spec FROM map_run WHERE id = ?", (run_id,))
        return _unpack(*rows[0]) if rows else None

    def found(self, arn: str) -> MapRun:
        """A run, as it is on disk, by its ARN. Raises InvalidArn, ResourceNotFound."""
        parsed = parse(arn, "mapRun")
        rows = self._database.read("SELECT body, spec FROM map_run WHERE run_id = ?", (parsed.run_id,))
        run = _unpack(*rows[0]) if rows else None
        if run is None or arn != self.arn(run):
            raise ResourceNotFound(f"Resource not found: '{arn}'")
        return run

    def processor(self, run: MapRun, definition: str) -> str:
        """The part of a definition that the run's children execute."""
        program = self._runner.program(run.definition)
        for graph in program.graphs:
            for state in graph.states.values():
                if isinstance(state, MapState) and state.processor == run.graph:
                    return text_of(_at(msgspec.json.decode(definition), state.pointer))
        return definition

    def machine(self, run: MapRun) -> Machine:
        """What the run's children execute, as a state machine."""
        name = f"{run.machine_name}/{run.label}"
        kind = "EXPRESS" if run.express else "STANDARD"
        arn = self._arns.state_machine(name)
        return Machine(
            id=-run.id,
            name=name,
            arn=arn,
            status="ACTIVE",
            definition=run.definition,
            role_arn=run.role_arn,
            type=kind,
            created=run.start,
            updated=run.start,
            revision=None,
            settings=Settings(),
            tracked=False,
            arns=self._arns,
        )

    # ------------------------------------------------------------------------------------------ children

    def page(self, run: MapRun, after: int) -> list[tuple[int, Child]]:
        """Up to ROWS_PER_PAGE children that have ended, with their row ids, which grow with the index of the item."""
        statuses = [status for status, count in ENDINGS.items() if getattr(run.executions, count)]
        rows: list[tuple[Any, ...]] = []
        for status in statuses:
            rows += self._query(
                "SELECT id, name, status, input, output, error, cause, start, stop, coalesce(count, 0) "
                "FROM execution LEFT JOIN redrive ON execution = id "
                "WHERE machine = ? AND status = ? AND id > ? ORDER BY id LIMIT ?",
                (-run.id, status, after, ROWS_PER_PAGE),
            )
        rows.sort()
        text = self._runner.payloads.text
        return [
            (row_id, Child(name, status, text(given), text(made) if made is not None else None, *rest))
            for row_id, name, status, given, made, *rest in rows[:ROWS_PER_PAGE]
        ]

    def pending(self, run: MapRun, first: int) -> list[tuple[int, str]]:
        """Up to ROWS_PER_PAGE inputs of which no child was started: (key, text), from a key on."""
        return self._query(
            "SELECT key, input FROM map_item WHERE key >= ? AND key < ? ORDER BY key LIMIT ?",
            (first, (run.id + 1) << ITEM_SHIFT, ROWS_PER_PAGE),
        )

    def described(self, run: MapRun, child: Child) -> dict[str, Any]:
        machine = self.machine(run)
        return entry(child, self.child_arn(run, str(child.name)), machine.arn, express=run.express)

    def child_arn(self, run: MapRun, name: str) -> str:
        of = f"{run.machine_name}/{run.label}"
        return self._arns.express(of, name, name) if run.express else self._arns.execution(of, name)


def _pack(run: MapRun) -> bytes:
    """The row of a run: small, whatever its spec, which is written once beside it."""
    spec, run.spec = run.spec, NO_SPEC
    body = _encode(run)
    run.spec = spec
    return body


def _unpack(body: bytes, spec: bytes) -> MapRun:
    run = _decode(body)
    run.spec = _decode_spec(spec)
    return run


def _at(definition: Any, pointer: str) -> Any:
    """The processor of the Map at a pointer into a definition."""
    for step in pointer.split("/")[1:]:
        step = step.replace("~1", "/").replace("~0", "~")  # noqa: PLW2901 - decoded
        definition = definition[int(step) if isinstance(definition, list) else step]
    return definition.get("ItemProcessor", definition.get("Iterator"))
