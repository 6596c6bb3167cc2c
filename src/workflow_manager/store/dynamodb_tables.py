"""Creating and checking the tables of the DynamoDB store: on demand, with expiry and point-in-time recovery.

Whatever is missing is made, whatever is there is left as it is, so that it can be run at any time; what is there but cannot be
used (another key, another index of the same name) is said and not touched.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from workflow_manager.model.errors import StorageUnavailable
from workflow_manager.store import dynamodb_schema as schema
from workflow_manager.store.dynamodb_calls import DynamoCalls, OperationUnknown, TableNotFound
from workflow_manager.store.dynamodb_items import TTL
from workflow_manager.store.dynamodb_schema import Index, Tables

READY_SECONDS = 900
"""How long a table or an index may take to become usable: that of a big table is filled first."""
LOOK_SECONDS = 2.0

Say = Callable[[str], None]
Sleep = Callable[[float], Awaitable[None]]


async def init_tables(calls: DynamoCalls, prefix: str, *, say: Say, sleep: Sleep = asyncio.sleep) -> None:
    """Make what is missing, and say of each table what was done. Raises StorageUnavailable."""
    tables = Tables.of(prefix)
    for name, request in schema.create_requests(tables).items():
        try:
            found = await _described(calls, name)
        except TableNotFound:
            await calls.call("create_table", **request)
            indexes = len(request.get("GlobalSecondaryIndexes", []))
            done = [f"created with {indexes} indexes" if indexes else "created"]
        else:
            _check_key(found, request)
            done = [f"added the index {index}" for index in await _add_indexes(calls, found, request, sleep)]
        await _usable(calls, name, sleep)
        if name == tables.workflows and await _turn_on_expiry(calls, name):
            done.append("expiry turned on")
        try:
            if await _turn_on_recovery(calls, name, sleep):
                done.append("point-in-time recovery turned on")
        except OperationUnknown:
            done.append("no point-in-time recovery, which this DynamoDB does not offer")
        say(f"{name}: {', '.join(done) or 'as it should be'}")


async def check_tables(calls: DynamoCalls, prefix: str) -> None:
    """Raises StorageUnavailable in one sentence if a table or an index is missing or is not usable."""
    tables = Tables.of(prefix)
    for name, request in schema.create_requests(tables).items():
        found = await _described(calls, name)
        _check_key(found, request)
        there = {index["IndexName"]: index for index in found.get("GlobalSecondaryIndexes", [])}
        missing = [
            wanted["IndexName"]
            for wanted in request.get("GlobalSecondaryIndexes", [])
            if there.get(wanted["IndexName"], {}).get("IndexStatus", "ACTIVE") != "ACTIVE"
            or wanted["IndexName"] not in there
        ]
        if missing:
            raise StorageUnavailable(
                f"the table {name!r} has no usable index {', '.join(missing)}; make it with wfm init-store --store dynamodb"
            )


async def _described(calls: DynamoCalls, name: str) -> dict[str, Any]:
    table: dict[str, Any] = (await calls.call("describe_table", TableName=name))["Table"]
    return table


def _check_key(found: dict[str, Any], request: dict[str, Any]) -> None:
    wanted = [(part["AttributeName"], part["KeyType"]) for part in request["KeySchema"]]
    there = [(part["AttributeName"], part["KeyType"]) for part in found["KeySchema"]]
    if there != wanted:
        raise StorageUnavailable(
            f"the table {request['TableName']!r} is there with the key ({_names(there)}) rather than ({_names(wanted)}); "
            "it is another's: choose another prefix with --dynamodb-prefix"
        )
    keys = {index["IndexName"]: index["KeySchema"] for index in found.get("GlobalSecondaryIndexes", [])}
    for index in request.get("GlobalSecondaryIndexes", []):
        if keys.get(index["IndexName"], index["KeySchema"]) != index["KeySchema"]:
            raise StorageUnavailable(
                f"the index {index['IndexName']!r} of the table {request['TableName']!r} has another key; "
                "delete it, and run wfm init-store --store dynamodb again"
            )


async def _add_indexes(calls: DynamoCalls, found: dict[str, Any], request: dict[str, Any], sleep: Sleep) -> list[str]:
    """Add the indexes that are missing, one after another as DynamoDB wants it; the names of those."""
    there = {index["IndexName"] for index in found.get("GlobalSecondaryIndexes", [])}
    added = []
    for index in Index if "GlobalSecondaryIndexes" in request else ():
        if index.value not in there:
            await _usable(calls, request["TableName"], sleep)
            await calls.call(
                "update_table",
                TableName=request["TableName"],
                AttributeDefinitions=schema.index_attributes(index),
                GlobalSecondaryIndexUpdates=[{"Create": schema.index_request(index)}],
            )
            added.append(index.value)
    return added


async def _usable(calls: DynamoCalls, name: str, sleep: Sleep) -> None:
    for _ in range(int(READY_SECONDS / LOOK_SECONDS)):
        try:
            found = await _described(calls, name)
        except TableNotFound:  # so soon after it was created
            found = {}
        statuses = [found.get("TableStatus")]
        statuses += [index.get("IndexStatus", "ACTIVE") for index in found.get("GlobalSecondaryIndexes", [])]
        if set(statuses) == {"ACTIVE"}:
            return
        await sleep(LOOK_SECONDS)
    raise StorageUnavailable(f"the table {name!r} is not usable yet; run wfm init-store --store dynamodb again later")


async def _turn_on_expiry(calls: DynamoCalls, name: str) -> bool:
    found = (await calls.call("describe_time_to_live", TableName=name)).get("TimeToLiveDescription", {})
    if found.get("TimeToLiveStatus") in {"ENABLED", "ENABLING"}:
        if found.get("AttributeName", TTL) != TTL:
            raise StorageUnavailable(
                f"items of the table {name!r} expire by {found['AttributeName']!r} rather than {TTL!r}; "
                "turn that off, and run wfm init-store --store dynamodb again in an hour"
            )
        return False
    wanted = {"Enabled": True, "AttributeName": TTL}
    await calls.call("update_time_to_live", TableName=name, TimeToLiveSpecification=wanted)
    return True


async def _turn_on_recovery(calls: DynamoCalls, name: str, sleep: Sleep) -> bool:
    found = (await calls.call("describe_continuous_backups", TableName=name)).get("ContinuousBackupsDescription", {})
    recovery = found.get("PointInTimeRecoveryDescription", {})
    if recovery.get("PointInTimeRecoveryStatus") == "ENABLED":
        return False
    wanted = {"PointInTimeRecoveryEnabled": True}
    for _ in range(int(READY_SECONDS / LOOK_SECONDS)):
        try:
            await calls.call("update_continuous_backups", TableName=name, PointInTimeRecoverySpecification=wanted)
        except StorageUnavailable as error:
            if "ContinuousBackupsUnavailableException" not in error.message:
                raise
            await sleep(LOOK_SECONDS)  # so soon after the table was created
        else:
            return True
    raise StorageUnavailable(f"the table {name!r} takes no point-in-time recovery yet; run wfm init-store again later")


def _names(key: list[tuple[str, str]]) -> str:
    return ", ".join(name for name, _ in key)
