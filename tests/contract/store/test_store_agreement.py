"""Properties: memory, SQLite and DynamoDB agree on any calls; pages are right whatever the limit and whatever comes in."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from dynamodb_world import empty_store
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from msgspec import UNSET
from store_values import T0, definition, workflow

from workflow_manager.database import Database
from workflow_manager.model import (
    Job,
    JobStatus,
    Page,
    StateResource,
    Workflow,
    WorkflowChange,
    WorkflowDefinition,
    WorkflowQuery,
    WorkflowStatus,
)
from workflow_manager.model.errors import InvalidPageToken, WfmError
from workflow_manager.store import Store
from workflow_manager.store.memory import MemoryStore
from workflow_manager.store.sqlite import SqliteStore

NAMES = st.sampled_from(["d", "e", "é\0x"])
IDS = st.sampled_from(["a", "a\0", "b", "é", "Z", "", "'; --"])
WORDS = st.sampled_from(["", "x", "y", "\0", "ß"])
PAYLOADS = st.sampled_from(["", "{}", '{"a": 1}', "null"])
TAGS = st.dictionaries(WORDS, WORDS, max_size=2)
TIMES = st.integers(-3, 3).map(lambda microseconds: T0 + timedelta(microseconds=microseconds))
"""So close together that many are the same: ties are what paging must get right."""
STATUSES = st.sampled_from(WorkflowStatus)
MACHINES = st.sampled_from(
    [None, {}, {"StartAt": "S", "States": {"S": {"Type": "Pass", "Result": [1, 1.5, True, None]}}}]
)


def optional(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | strategy


def or_unset(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.just(UNSET) | strategy


DEFINITIONS = st.builds(
    definition,
    NAMES,
    st.integers(0, 2),
    id=WORDS,
    created_at=TIMES,
    state_machine=MACHINES,
    default_tags=TAGS,
)
JOBS = st.builds(Job, id=WORDS, state=WORDS, status=st.sampled_from(JobStatus), input=PAYLOADS, output=PAYLOADS)
WORKFLOWS = st.builds(
    workflow,
    IDS,
    created_at=TIMES,
    last_updated=TIMES,
    stopped_at=TIMES,
    status=STATUSES,
    status_reason=WORDS,
    namespace=WORDS,
    queue=WORDS,
    input=PAYLOADS,
    output=PAYLOADS,
    tags=TAGS,
    workflow_definition=DEFINITIONS,
    jobs=optional(st.lists(JOBS, max_size=2)),
    last_job=optional(JOBS),
    retry_for=WORDS,
    retries=optional(st.lists(IDS, max_size=2)),
    resolved_by_user=st.booleans(),
)
CHANGES = st.builds(
    WorkflowChange,
    status=or_unset(STATUSES),
    status_reason=or_unset(WORDS),
    output=or_unset(PAYLOADS),
    stopped_at=or_unset(TIMES),
    last_updated=or_unset(TIMES),
    resolved_by_user=or_unset(st.booleans()),
    last_job=or_unset(JOBS),
    jobs=or_unset(st.lists(JOBS, max_size=2)),
    add_retry=or_unset(IDS),
)
QUERIES = st.builds(
    WorkflowQuery,
    definition_name=optional(NAMES),
    namespace=optional(WORDS),
    queue=optional(WORDS),
    tags=TAGS,
    statuses=st.lists(STATUSES, max_size=3).map(tuple),
    resolved_by_user=optional(st.booleans()),
    created_after=optional(TIMES),
    created_before=optional(TIMES),
    oldest_first=st.booleans(),
    limit=st.integers(0, 4) | st.just(10_001),
    page_token=optional(st.text(max_size=8)),
    summary_only=st.booleans(),
)
RESOURCES = st.builds(StateResource, name=WORDS, namespace=WORDS, uri=WORDS, last_updated=TIMES)


class StoresAgree(RuleBasedStateMachine):
    """Every call goes to memory and to another store; what they answer, errors included, must be the same."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.folder = tempfile.TemporaryDirectory()
        self.memory = MemoryStore()
        self.other = self.runner.run(self.opened())
        self.token: str | None = None

    async def opened(self) -> Store:
        self.database = Database(Path(self.folder.name) / "store.db", synchronous="OFF")
        return SqliteStore(self.database)

    async def closed(self) -> None:
        await self.database.close()

    def teardown(self) -> None:
        self.runner.run(self.closed())
        self.runner.close()
        self.folder.cleanup()

    def both(self, call: Callable[[Store], Awaitable[Any]]) -> Any:
        expected, found = (self.runner.run(outcome(call, store)) for store in (self.memory, self.other))
        assert found == expected
        return found

    @rule(value=DEFINITIONS)
    def save_definition(self, value: WorkflowDefinition) -> None:
        self.both(lambda store: store.save_definition(value))

    @rule(value=DEFINITIONS)
    def update_definition(self, value: WorkflowDefinition) -> None:
        self.both(lambda store: store.update_definition(value))

    @rule(name=NAMES, version=st.integers(-1, 3) | st.just(2**70))
    def read_definitions(self, name: str, version: int) -> None:
        self.both(lambda store: store.definitions())
        self.both(lambda store: store.definition_versions(name))
        self.both(lambda store: store.latest_definition(name))
        self.both(lambda store: store.definition(name, version))

    @rule(value=WORKFLOWS)
    def save_workflow(self, value: Workflow) -> None:
        self.both(lambda store: store.save_workflow(value))

    @rule(value=WORKFLOWS, name=NAMES)
    def save_workflow_of_a_stored_definition(self, value: Workflow, name: str) -> None:
        async def save(store: Store) -> None:
            stored = await store.latest_definition(name)
            await store.save_workflow(workflow(value.id, created_at=value.created_at, workflow_definition=stored))

        self.both(save)

    @rule(workflow_id=IDS, change=CHANGES)
    def change_workflow(self, workflow_id: str, change: WorkflowChange) -> None:
        self.both(lambda store: store.change_workflow(workflow_id, change))

    @rule(workflow_id=IDS)
    def delete_workflow(self, workflow_id: str) -> None:
        self.both(lambda store: store.delete_workflow(workflow_id))

    @rule(query=QUERIES)
    def list_workflows(self, query: WorkflowQuery) -> None:
        found = self.both(lambda store: store.workflows(query))
        if isinstance(found, Page):
            self.token = found.next_page_token

    @rule(oldest_first=st.booleans(), summary_only=st.booleans())
    def list_from_an_earlier_token(self, oldest_first: bool, summary_only: bool) -> None:
        query = WorkflowQuery(page_token=self.token, oldest_first=oldest_first, summary_only=summary_only)
        self.both(lambda store: store.workflows(query))

    @rule(resource=RESOURCES)
    def save_state_resource(self, resource: StateResource) -> None:
        self.both(lambda store: store.save_state_resource(resource))

    @rule(namespace=WORDS, name=WORDS)
    def delete_state_resource(self, namespace: str, name: str) -> None:
        self.both(lambda store: store.state_resource(namespace, name))
        self.both(lambda store: store.delete_state_resource(namespace, name))

    @invariant()
    def all_workflows_are_the_same(self) -> None:
        self.both(lambda store: store.workflows(WorkflowQuery(limit=100)))


async def outcome(call: Callable[[Store], Awaitable[Any]], store: Store) -> Any:
    """What was answered, or the error's class and message."""
    try:
        return await call(store)
    except WfmError as error:
        return type(error), str(error)


StoresAgree.TestCase.settings = settings(
    max_examples=30, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestStoresAgree = StoresAgree.TestCase


def test_dynamodb_agrees(dynamodb_url: str) -> None:
    class DynamoAgrees(StoresAgree):
        async def opened(self) -> Store:
            self.tables = empty_store(dynamodb_url)
            return await self.tables.__aenter__()

        async def closed(self) -> None:
            await self.tables.__aexit__(None, None, None)

    run_state_machine_as_test(DynamoAgrees, settings=settings(StoresAgree.TestCase.settings, max_examples=8))


@settings(max_examples=60, deadline=None)
@given(
    places=st.lists(st.tuples(TIMES, IDS), unique_by=lambda place: place[1], max_size=7),
    later=st.lists(
        st.tuples(TIMES, st.integers(0, 9).map("new{}".format)), unique_by=lambda place: place[1], max_size=8
    ),
    limit=st.integers(1, 5),
    oldest_first=st.booleans(),
)
def test_walking_the_pages_meets_everything_once_in_order_while_more_comes_in(
    places: list[tuple[datetime, str]], later: list[tuple[datetime, str]], limit: int, oldest_first: bool
) -> None:
    """What was there is met once; what comes in meanwhile is met once or not at all, depending on its place."""

    async def walk(store: Store) -> None:
        for created_at, workflow_id in places:
            await store.save_workflow(workflow(workflow_id, created_at=created_at))
        coming = list(later)
        met: list[tuple[datetime, str]] = []
        query = WorkflowQuery(limit=limit, oldest_first=oldest_first)
        while (page := await store.workflows(query)).items:
            met += [(each.created_at, each.id) for each in page.items]
            assert len(set(met)) == len(met)
            if coming:
                created_at, workflow_id = coming.pop()
                await store.save_workflow(workflow(workflow_id, created_at=created_at))
            query = WorkflowQuery(limit=limit, oldest_first=oldest_first, page_token=page.next_page_token)

        assert met == sorted(met, reverse=not oldest_first)
        assert set(places) <= set(met) <= {*places, *later}

    async def walk_both() -> None:
        await walk(MemoryStore())
        with tempfile.TemporaryDirectory() as folder:
            database = Database(Path(folder) / "store.db", synchronous="OFF")
            try:
                await walk(SqliteStore(database))
            finally:
                await database.close()

    asyncio.run(walk_both())


@settings(max_examples=300)
@given(token=st.text(max_size=60) | st.text("WzEsIm5ld2VzdCIsMTIzLCJhIl0=-_", max_size=60))
def test_any_text_is_a_page_token_or_is_refused_as_one(token: str) -> None:
    async def ask() -> None:
        try:
            await MemoryStore().workflows(WorkflowQuery(page_token=token))
        except InvalidPageToken as error:
            assert error.message.startswith("pageToken: ")  # noqa: PT017 - most, not all, are refused

    asyncio.run(ask())
