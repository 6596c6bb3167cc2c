"""Whatever the OpenAPI document allows, and much that it does not: no 5xx, and no answer that it does not describe."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from api_machines import FAIL, PASS
from hypothesis import HealthCheck, settings
from schemathesis import checks
from schemathesis.config import GenerationConfig, ProjectConfig, ProjectsConfig, SchemathesisConfig
from schemathesis.generation import GenerationMode

from workflow_manager.api.app import create_api, document
from workflow_manager.api.server import Server
from workflow_manager.database import Database
from workflow_manager.engine import EmbeddedStepFunctions
from workflow_manager.manager import ManagerSettings, WorkflowManager
from workflow_manager.model import NewWorkflow, NewWorkflowDefinition, StateResource
from workflow_manager.store.memory import MemoryStore

EXAMPLES = 40
"""For each operation; some of them keep to the document, others break it on purpose."""
KNOWN = "known"
"""Name of a definition, a namespace and a resource that are there."""

CHECKS = [
    checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]

api = schemathesis.openapi.from_dict(
    document(),
    config=SchemathesisConfig(
        projects=ProjectsConfig(
            default=ProjectConfig(
                generation=GenerationConfig(
                    modes=[GenerationMode.POSITIVE, GenerationMode.NEGATIVE], deterministic=True
                )
            )
        )
    ),
)


class Running:
    """A server on an event loop of its own, and ids of workflows that it knows."""

    def __init__(self, folder: Path) -> None:
        self._told: queue.Queue[Any] = queue.Queue()
        self._loop = asyncio.new_event_loop()
        self._over = asyncio.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=[self._serve(folder)])
        self._thread.start()
        self.url, self.workflow_ids = self._told.get(timeout=30)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(timeout=30)
        self._loop.close()

    async def _serve(self, folder: Path) -> None:
        database = Database(folder / "engine.db", synchronous="OFF")
        engine = EmbeddedStepFunctions(database)
        await engine.start()
        manager = WorkflowManager(MemoryStore(), engine, settings=ManagerSettings(), changes=engine)
        await manager.start()
        ids = []
        for name, machine in ((KNOWN, PASS), ("fails", FAIL)):
            await manager.create_definition(NewWorkflowDefinition(name=name, state_machine=machine))
            workflow = await manager.start_workflow(NewWorkflow(definition_name=name, namespace=KNOWN))
            ids.append(workflow.id)
            async for _ in manager.follow(workflow.id):
                pass
        await manager.save_state_resource(StateResource(name=KNOWN, namespace=KNOWN))
        async with Server(create_api(manager), port=0) as server:
            self._told.put((server.url, ids))
            await self._over.wait()
        await manager.stop()
        await engine.close()
        await database.close()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    running = Running(tmp_path_factory.mktemp("schemathesis"))
    yield running
    running.stop()


@api.parametrize()
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
def test_no_answer_is_a_surprise(case: schemathesis.Case, running: Running) -> None:
    case.call_and_validate(base_url=running.url, checks=CHECKS, timeout=20)


@api.parametrize()
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
def test_no_answer_about_what_is_there_is_a_surprise(case: schemathesis.Case, running: Running) -> None:
    """The same for things that are there, which made-up names hardly ever hit."""
    at = len(str(case.query)) + len(str(case.body))
    known = {"name": KNOWN, "namespace": KNOWN, "version": 0, "workflowID": running.workflow_ids[at % 2]}
    case.path_parameters = {name: known[name] for name in case.path_parameters or {}}
    if isinstance(case.body, dict) and isinstance(case.body.get("workflowDefinition"), dict):
        case.body["workflowDefinition"]["name"] = KNOWN

    case.call_and_validate(base_url=running.url, checks=CHECKS, timeout=20)
