"""What is the DynamoDB store's own: big items, expiry, answers that are lost, tables, and what it says when DynamoDB fails."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse
from botocore.exceptions import ConnectionClosedError
from dynamodb_world import empty_store, everything_in, new_prefix
from serving import session
from store_values import T0, at, definition, workflow

from workflow_manager.model import Job, Workflow, WorkflowChange, WorkflowQuery, WorkflowStatus
from workflow_manager.model.errors import (
    InvalidRequest,
    StorageUnavailable,
    WorkflowAlreadyExists,
    WorkflowDefinitionAlreadyExists,
)
from workflow_manager.store import dynamodb_schema as schema
from workflow_manager.store.dynamodb import DAY, LONGEST_EXECUTION_DAYS, SLACK_DAYS, DynamoStore
from workflow_manager.store.dynamodb_calls import DynamoCalls
from workflow_manager.store.dynamodb_tables import check_tables, init_tables

S = WorkflowStatus
NOW = int(T0.timestamp())


class Clock:
    """Seconds since the epoch; tests move it."""

    def __init__(self) -> None:
        self.seconds = float(NOW)

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def store(dynamodb_url: str, clock: Clock) -> AsyncIterator[DynamoStore]:
    async with empty_store(dynamodb_url, now=clock) as store:
        await store.save_definition(definition("d"))
        yield store


def noise(size: int, seed: int = 1) -> str:
    """Text that no compression makes smaller than three quarters."""
    return "".join(
        random.Random(seed).choices("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-", k=size)
    )


# ---------------------------------------------------------------------- big items


def big(size: int) -> Workflow:
    return workflow(
        input=f'"{noise(size)}"',
        output=f'"{noise(size, 2)}"',
        status_reason=noise(size, 3),
        jobs=[Job(id=str(i), state="S", input=noise(200, i), output="{}" * 100) for i in range(size // 400)],
        last_job=Job(id="last", input=noise(size, 4)),
        workflow_definition=definition(
            "d",
            state_machine={"StartAt": "S", "States": {"S": {"Type": "Pass", "Result": noise(size, 5), "End": True}}},
        ),
    )


@pytest.mark.parametrize("size", [100, 2_000, 20_000, 300_000, 1_200_000])
async def test_a_workflow_of_any_size_is_kept_whole(store: DynamoStore, size: int) -> None:
    saved = big(size)
    await store.save_workflow(saved)

    assert await store.workflow("w") == saved
    assert (await store.workflows(WorkflowQuery())).items == [saved]
    (summary,) = (await store.workflows(WorkflowQuery(summary_only=True))).items
    assert (summary.status_reason, summary.jobs) == (saved.status_reason, None)
    changed, made = await store.change_workflow("w", WorkflowChange(status=S.RUNNING, output=noise(size, 9)))
    assert made
    assert await store.workflow("w") == changed


async def test_a_workflow_of_25_000_events_keeps_its_jobs(store: DynamoStore) -> None:
    jobs = [
        Job(id=str(i), state=f"State{i}", input=f'{{"n": {i}}}', output="{}", created_at=at(i)) for i in range(8_000)
    ]
    await store.save_workflow(workflow())

    await store.change_workflow("w", WorkflowChange(jobs=jobs))

    assert (await store.workflow("w")).jobs == jobs


async def test_what_is_repetitive_stays_in_the_item_compressed(store: DynamoStore) -> None:
    repeated = '"' + "abc" * 50_000 + '"'
    await store.save_workflow(workflow(input=repeated))

    (item,) = (await everything_in(store)).values()
    assert len(item["input"]["B"]) < 1000
    assert (await store.workflow("w")).input == repeated


async def test_pieces_go_with_what_refers_to_them(store: DynamoStore) -> None:
    await store.save_workflow(workflow(input=noise(600_000), output=noise(20_000, 2), tags={"k": "v"}))
    assert sorted(id_.partition(":")[0] for id_ in await everything_in(store)) == ["_overflow"] * 3 + ["_tag", "w"]

    await store.change_workflow("w", WorkflowChange(output="small"))
    assert sorted(id_.partition(":")[0] for id_ in await everything_in(store)) == ["_overflow"] * 2 + ["_tag", "w"]

    await store.delete_workflow("w")
    assert await everything_in(store) == {}


async def test_pieces_are_in_no_list(store: DynamoStore) -> None:
    await store.save_workflow(workflow(input=noise(500_000)))

    for item in (await everything_in(store)).values():
        assert (item["id"]["S"] == "w") is any(name.startswith("_gsi") for name in item)


async def test_a_crash_between_pieces_and_workflow_changes_nothing(store: DynamoStore) -> None:
    await store.save_workflow(saved := workflow(output=noise(20_000, 2)))
    failing = Failing(store, "PutItem", lambda request: "_rev" in request["Item"])

    with pytest.raises(StorageUnavailable):
        await store.change_workflow("w", WorkflowChange(output=noise(20_000, 3)))
    failing.end()

    assert await store.workflow("w") == saved
    leftovers = [item for id_, item in (await everything_in(store)).items() if id_ != "w"]
    assert len(leftovers) == 2  # what is referred to, and what nothing refers to and so expires
    assert all("_ttl" in item for item in leftovers)


async def test_a_workflow_that_is_changed_while_it_is_read_is_read_again(store: DynamoStore) -> None:
    await store.save_workflow(workflow(output=noise(20_000)))
    item = await store._workflow_item("w")
    assert item is not None
    await store.change_workflow("w", WorkflowChange(output="new"))

    assert (await store._workflow(item)).output == "new"


async def test_a_big_state_machine_is_kept_with_its_definition(store: DynamoStore) -> None:
    machine = {"StartAt": "S", "States": {"S": {"Type": "Pass", "Result": noise(1_000_000), "End": True}}}
    saved = await store.save_definition(definition("big", state_machine=machine))
    updated = await store.update_definition(definition("big", state_machine=machine | {"Comment": "x"}))

    store._kept.clear()
    assert await store.definition("big", 0) == saved
    assert await store.latest_definition("big") == updated
    assert await store.definition_versions("big") == [saved, updated]
    assert [each.name for each in await store.definitions()] == ["big", "d"]


async def test_a_state_machine_that_no_transaction_takes_is_refused(store: DynamoStore) -> None:
    machine = {"StartAt": "S", "States": {"S": {"Type": "Pass", "Result": noise(6_000_000), "End": True}}}

    with pytest.raises(InvalidRequest, match=r"stateMachine: it takes 4,.* bytes compressed"):
        await store.save_definition(definition("big", state_machine=machine))
    assert [each.name for each in await store.definitions()] == ["d"]


async def test_more_tags_than_a_transaction_takes(store: DynamoStore) -> None:
    await store.save_workflow(workflow(tags={f"k{i}": "v" for i in range(130)}))

    for key in ("k0", "k98", "k99", "k129"):
        assert [each.id for each in (await store.workflows(WorkflowQuery(tags={key: "v"}))).items] == ["w"]


async def test_names_too_long_for_a_key(store: DynamoStore) -> None:
    long = "é" * 3000
    await store.save_workflow(workflow(namespace=long, queue=long, tags={"k": long, long: "v"}))
    await store.save_workflow(workflow("other", namespace=long + "x", queue=long + "x", tags={"k": long + "x"}))

    for asked in ({"namespace": long}, {"queue": long}, {"tags": {"k": long}}, {"tags": {long: "v"}}):
        assert [each.id for each in (await store.workflows(WorkflowQuery(**asked))).items] == ["w"]


async def test_a_workflow_that_an_index_has_twice_is_listed_once(store: DynamoStore) -> None:
    """As it may be for a moment while an index follows the table."""
    await store.save_workflow(workflow())

    assert len(await store._items(["w", "gone", "w"])) == 1


# ---------------------------------------------------------------------- expiry


def expiries(found: dict[str, Any]) -> dict[str, int]:
    return {id_.partition(":")[0]: int(item["_ttl"]["N"]) for id_, item in found.items()}


async def test_an_unfinished_workflow_outlives_its_execution_and_a_finished_one_is_kept_for_a_while(
    store: DynamoStore, clock: Clock
) -> None:
    await store.save_workflow(workflow(input=noise(20_000), tags={"k": "v"}))
    unfinished = NOW + (30 + LONGEST_EXECUTION_DAYS) * DAY
    later = unfinished + SLACK_DAYS * DAY
    assert expiries(await everything_in(store)) == {"w": unfinished, "_overflow": later, "_tag": later}

    clock.seconds += 10 * DAY
    await store.change_workflow("w", WorkflowChange(status=S.RUNNING))
    assert expiries(await everything_in(store)) == {"w": unfinished + 10 * DAY, "_overflow": later, "_tag": later}

    clock.seconds += 25 * DAY
    await store.change_workflow("w", WorkflowChange(status_reason="still there"))
    last, pieces = unfinished + 35 * DAY, unfinished + (35 + SLACK_DAYS) * DAY
    assert expiries(await everything_in(store)) == {"w": last, "_overflow": pieces, "_tag": pieces}

    clock.seconds += DAY
    await store.change_workflow("w", WorkflowChange(status=S.SUCCEEDED))
    ends = int(clock.seconds) + 30 * DAY
    assert expiries(await everything_in(store)) == {"w": ends, "_overflow": ends + DAY, "_tag": ends + DAY}


async def test_how_long_is_a_setting(dynamodb_url: str, clock: Clock) -> None:
    async with empty_store(dynamodb_url, now=clock, ttl_days=7) as store:
        await store.save_workflow(workflow(status=S.FAILED))

        assert expiries(await everything_in(store)) == {"w": NOW + 7 * DAY}


# ---------------------------------------------------------------------- lost answers, conflicts


class Failing:
    """Has calls of an operation fail, before they are sent or after they were carried out, until it is ended."""

    def __init__(
        self,
        store: DynamoStore,
        operation: str,
        which: Callable[[dict[str, Any]], bool] = lambda _: True,
        *,
        answer: tuple[int, str] | None = None,
        times: int = 1000,
    ) -> None:
        self.left, self.which, self.answer = times, which, answer
        self.wanted = False
        self.events = store._calls.client.meta.events
        self.params, self.send = f"provide-client-params.dynamodb.{operation}", f"before-send.dynamodb.{operation}"
        self.events.register(self.params, self._look)
        self.events.register(self.send, self._fail)

    def _look(self, params: dict[str, Any], **_: Any) -> None:
        self.wanted = self.which(params)

    def _fail(self, request: Any, **_: Any) -> AWSResponse | None:
        if not self.wanted or self.left == 0:
            return None
        self.left -= 1
        if self.answer is None:
            raise ConnectionClosedError(endpoint_url=request.url)
        status, code = self.answer
        body = f'{{"__type":"com.amazonaws.dynamodb.v20120810#{code}","message":"as told"}}'.encode()
        response = AWSResponse(request.url, status, {"x-amzn-RequestId": "1"}, None)
        response._content = body
        return response

    def end(self) -> None:
        self.events.unregister(self.params, self._look)
        self.events.unregister(self.send, self._fail)


def lose_answers(store: DynamoStore, operation: str, times: int = 1) -> None:
    """Have calls be carried out and their answers be lost, so that botocore sends them again."""
    left = [times]

    def lose(**_: Any) -> int | None:
        if left[0] == 0:
            return None
        left[0] -= 1
        return 0  # seconds until it is sent again

    store._calls.client.meta.events.register(f"needs-retry.dynamodb.{operation}", lose)


@pytest.mark.parametrize("tags", [{}, {"k": "v"}], ids=["one item", "a transaction"])
async def test_a_save_whose_answer_was_lost_is_not_told_that_it_is_there(
    store: DynamoStore, tags: dict[str, str]
) -> None:
    lose_answers(store, "TransactWriteItems" if tags else "PutItem")

    await store.save_workflow(workflow(tags=tags))

    with pytest.raises(WorkflowAlreadyExists):
        await store.save_workflow(workflow(tags=tags))


async def test_a_change_whose_answer_was_lost_was_made(store: DynamoStore) -> None:
    await store.save_workflow(workflow(status=S.RUNNING))
    lose_answers(store, "PutItem")

    stored, made = await store.change_workflow("w", WorkflowChange(status=S.FAILED))

    assert (stored.status, made) == (S.FAILED, True)


async def test_a_new_definition_whose_answer_was_lost_is_version_0(store: DynamoStore) -> None:
    lose_answers(store, "TransactWriteItems")

    assert (await store.save_definition(definition("a"))).version == 0
    with pytest.raises(WorkflowDefinitionAlreadyExists):
        await store.save_definition(definition("a"))


async def test_an_update_whose_answer_was_lost_makes_one_version(store: DynamoStore) -> None:
    lose_answers(store, "TransactWriteItems")

    assert (await store.update_definition(definition("d"))).version == 1
    assert [each.version for each in await store.definition_versions("d")] == [0, 1]


async def test_a_lease_whose_answer_was_lost_is_held(store: DynamoStore) -> None:
    lose_answers(store, "PutItem")

    assert await store.take_lease("sweep", "a", at(0), at(60))


async def test_a_storm_of_others_changes_is_waited_out(store: DynamoStore) -> None:
    await store.save_workflow(workflow())
    Failing(store, "PutItem", answer=(400, "ConditionalCheckFailedException"), times=5)

    _, made = await store.change_workflow("w", WorkflowChange(status=S.RUNNING))

    assert made


async def test_changes_from_many_sides_are_all_kept(store: DynamoStore) -> None:
    await store.save_workflow(workflow())

    await asyncio.gather(*(store.change_workflow("w", WorkflowChange(add_retry=f"r{i}")) for i in range(12)))

    assert sorted((await store.workflow("w")).retries or []) == sorted(f"r{i}" for i in range(12))


# ---------------------------------------------------------------------- failures


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Botocore tries again at once."""
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda *_: 0)
    monkeypatch.setattr("botocore.retries.adaptive.ClientRateLimiter.on_sending_request", lambda *_, **__: None)


@pytest.mark.usefixtures("impatient")  # before the store, which makes its client
@pytest.mark.parametrize(
    ("answer", "message"),
    [
        pytest.param(
            (400, "ThrottlingException"), "asked for more than it allows at the moment: as told", id="throttled"
        ),
        pytest.param((400, "ProvisionedThroughputExceededException"), "asked for more than it allows", id="throughput"),
        pytest.param((400, "ExpiredTokenException"), "as told; check the credentials", id="expired"),
        pytest.param((400, "AccessDeniedException"), "as told; check the credentials", id="denied"),
        pytest.param((500, "InternalServerError"), "DynamoDB answered InternalServerError: as told", id="broken"),
        pytest.param(None, "DynamoDB could not be reached", id="connection"),
    ],
)
@pytest.mark.parametrize("write", [True, False], ids=["write", "read"])
async def test_a_failing_dynamodb_is_said_in_a_sentence_and_nothing_is_changed(
    store: DynamoStore, answer: tuple[int, str] | None, message: str, write: bool
) -> None:
    await store.save_workflow(saved := workflow())
    failing = Failing(store, "PutItem" if write else "Query", answer=answer)
    change = WorkflowChange(status=S.RUNNING)

    with pytest.raises(StorageUnavailable, match=message):
        await (store.change_workflow("w", change) if write else store.workflows(WorkflowQuery()))
    failing.end()

    assert await store.workflow("w") == saved


@pytest.mark.usefixtures("impatient")
async def test_a_throttled_call_is_tried_again(store: DynamoStore) -> None:
    Failing(store, "PutItem", answer=(400, "ThrottlingException"), times=2)

    await store.save_workflow(workflow())


async def test_more_calls_than_may_wait_are_refused_at_once(dynamodb_url: str) -> None:
    calls = DynamoCalls(session=session(), endpoint_url=dynamodb_url, threads=1)
    await init_tables(calls, prefix := new_prefix(), say=lambda _: None)
    store = DynamoStore(calls, prefix=prefix)

    answers = await asyncio.gather(
        *(store.take_lease(f"{i}", "a", at(0), at(1)) for i in range(100)), return_exceptions=True
    )

    refused = [answer for answer in answers if isinstance(answer, StorageUnavailable)]
    assert answers.count(True) == 65  # one that runs, and 64 that wait
    assert len(refused) == 35
    assert "too many calls wait for DynamoDB" in str(refused[0])
    await store.close()
    with pytest.raises(StorageUnavailable, match="the server is stopping"):
        await store.workflow("w")


async def test_no_profile_of_that_name() -> None:
    with pytest.raises(StorageUnavailable, match="DynamoDB cannot be called: The config profile"):
        DynamoCalls(profile="no such profile", region="us-east-1")


# ---------------------------------------------------------------------- tables


@pytest.fixture
async def calls(dynamodb_url: str) -> AsyncIterator[DynamoCalls]:
    calls = DynamoCalls(session=session(), endpoint_url=dynamodb_url)
    yield calls
    await calls.close()


async def no_sleep(_: float) -> None:
    await asyncio.sleep(0)


async def test_tables_are_made_once_and_then_found(moto_url: str) -> None:
    """On moto, which has point-in-time recovery too."""
    calls, prefix, said = DynamoCalls(session=session(), endpoint_url=moto_url), new_prefix(), list[str]()

    await init_tables(calls, prefix, say=said.append, sleep=no_sleep)
    await init_tables(calls, prefix, say=said.append, sleep=no_sleep)

    assert said == [
        f"{prefix}-workflow-definitions: created, point-in-time recovery turned on",
        f"{prefix}-latest-workflow-definitions: created, point-in-time recovery turned on",
        f"{prefix}-workflows: created with 9 indexes, expiry turned on, point-in-time recovery turned on",
        f"{prefix}-state-resources: created, point-in-time recovery turned on",
        f"{prefix}-workflow-definitions: as it should be",
        f"{prefix}-latest-workflow-definitions: as it should be",
        f"{prefix}-workflows: as it should be",
        f"{prefix}-state-resources: as it should be",
    ]
    await check_tables(calls, prefix)
    table = (await calls.call("describe_table", TableName=f"{prefix}-workflows"))["Table"]
    assert table["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
    expiry = await calls.call("describe_time_to_live", TableName=f"{prefix}-workflows")
    assert expiry["TimeToLiveDescription"] == {"TimeToLiveStatus": "ENABLED", "AttributeName": "_ttl"}
    index = next(i for i in table["GlobalSecondaryIndexes"] if i["IndexName"] == "workflowname-createdat")
    assert [part["AttributeName"] for part in index["KeySchema"]] == ["_gsi-wn", "_gsi-ca"]
    await calls.close()


async def test_an_index_that_is_missing_is_added(calls: DynamoCalls) -> None:
    prefix, said = new_prefix(), list[str]()
    request = schema.create_requests(schema.Tables.of(prefix))[f"{prefix}-workflows"]
    indexes = request["GlobalSecondaryIndexes"][:-1]
    used = {part["AttributeName"] for index in indexes for part in index["KeySchema"]} | {"id"}
    attributes = [each for each in request["AttributeDefinitions"] if each["AttributeName"] in used]
    await calls.call(
        "create_table", **request | {"GlobalSecondaryIndexes": indexes, "AttributeDefinitions": attributes}
    )
    for name, other in schema.create_requests(schema.Tables.of(prefix)).items():
        if name != f"{prefix}-workflows":
            await calls.call("create_table", **other)

    with pytest.raises(StorageUnavailable, match=r"has no usable index unfinished; make it with wfm init-store"):
        await check_tables(calls, prefix)
    await init_tables(calls, prefix, say=said.append, sleep=no_sleep)
    await check_tables(calls, prefix)

    assert said[2].startswith(f"{prefix}-workflows: added the index unfinished, expiry turned on")


async def test_a_table_of_another_is_left_alone(calls: DynamoCalls) -> None:
    prefix = new_prefix()
    await calls.call(
        "create_table",
        TableName=f"{prefix}-workflow-definitions",
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
    )

    with pytest.raises(StorageUnavailable, match=r"is there with the key \(pk\) rather than \(name, version\)"):
        await init_tables(calls, prefix, say=lambda _: None, sleep=no_sleep)


async def test_tables_that_are_not_there_are_named_with_what_to_do(calls: DynamoCalls) -> None:
    store = DynamoStore(calls, prefix="none")

    for call in (check_tables(calls, "none"), store.definitions()):
        with pytest.raises(
            StorageUnavailable, match=r"has no table 'none-.*'; make it with wfm init-store --store dynamodb"
        ):
            await call
