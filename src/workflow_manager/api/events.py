"""The event stream of a workflow: its history and its changes of status, as server-sent events.

A stream ends with the workflow, when its client goes away, or when the server stops; however it ends, the iterator behind it
is closed. A client that does not read stops the iterator, too: nothing is fetched before what went before is taken.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeAlias

from workflow_manager.api import documents, parameters
from workflow_manager.api.openapi import Answer, Operation
from workflow_manager.api.parameters import Parameter
from workflow_manager.api.requests import Request
from workflow_manager.api.workflows import WORKFLOW_ID
from workflow_manager.manager import WorkflowManager
from workflow_manager.model import Workflow
from workflow_manager.stepfunctions.history import HistoryEvent

Item: TypeAlias = HistoryEvent | Workflow

AFTER = Parameter(
    name="after",
    where="query",
    parse=parameters.event_id,
    default=0,
    schema={"type": "integer", "format": "int64", "minimum": 0, "default": 0},
    description="Only history events after the one of this id.",
    example=0,
)
LAST_EVENT_ID: Parameter[int | None] = Parameter(
    name="Last-Event-ID",
    where="header",
    parse=parameters.event_id,
    default=None,
    schema={"type": "integer", "format": "int64", "minimum": 0},
    description="The same, as browsers say it when they connect again; goes before `after`.",
    example=5,
)
FOLLOW = Parameter(
    name="follow",
    where="query",
    parse=parameters.boolean,
    default=True,
    schema={"type": "boolean", "default": True},
    description="Wait for what is to come; without it the stream ends with what has happened so far.",
    example=False,
)
EXAMPLE = {
    "event": "history",
    "id": "1",
    "data": '{"timestamp":1508955063.35,"type":"ExecutionStarted","id":1,"previousEventId":0}',
}


async def get_workflow_events(manager: WorkflowManager, request: Request) -> EventStream:
    """Follow a workflow.

    Server-sent events. `workflow` comes first and with every change of status: the workflow without what can be large.
    `history` is an event of the execution's history as the Step Functions API spells it (times in seconds since 1970); its
    id is the event's. The stream ends when the workflow has ended. A client that connects again goes on where it was by
    `Last-Event-ID`. Lines that begin with a colon keep the connection open and mean nothing.
    """
    last_event_id = LAST_EVENT_ID.read(request)
    after = AFTER.read(request) if last_event_id is None else last_event_id
    items = manager.follow(WORKFLOW_ID.read(request), after_event_id=after, wait=FOLLOW.read(request))
    try:
        first = await anext(items)  # a workflow that is not there is told by a status
    except BaseException:
        await _close(items)
        raise
    return EventStream(first, items)


OPERATIONS = (
    Operation(
        id="getWorkflowEvents",
        method="GET",
        path="/workflows/{workflowID}/events",
        tag="workflows",
        handler=get_workflow_events,
        parameters=(WORKFLOW_ID, AFTER, FOLLOW, LAST_EVENT_ID),
        answer=Answer(
            status=200,
            description="A stream of events.",
            kind=documents.Event,
            content_type="text/event-stream",
            example=EXAMPLE,
        ),
        errors=(404,),
    ),
)


class EventStream:
    """Sends what an iterator yields. ``first`` is what it has yielded already."""

    def __init__(self, first: Item, items: AsyncIterator[Item]) -> None:
        self._first = first
        self._items = items

    async def run(
        self,
        receive: Callable[[], Awaitable[Any]],
        send: Callable[[Any], Awaitable[None]],
        *,
        comment_seconds: float,
        closing: asyncio.Event,
    ) -> None:
        """Answer with the stream. ``closing``: the server stops."""
        over: list[asyncio.Future[Any]] = [
            asyncio.ensure_future(_disconnected(receive)),
            asyncio.ensure_future(closing.wait()),
        ]
        upcoming: asyncio.Future[Item | None] | None = None
        try:
            await send({"type": "http.response.start", "status": 200, "headers": list(_HEADERS)})
            await _send(send, spell(self._first))
            while True:
                if upcoming is None:
                    upcoming = asyncio.ensure_future(_next(self._items))
                watched: set[asyncio.Future[Any]] = {upcoming, *over}
                await asyncio.wait(watched, timeout=comment_seconds, return_when=asyncio.FIRST_COMPLETED)
                if any(each.done() for each in over):
                    break
                if not upcoming.done():
                    await _send(send, b":\n\n")
                    continue
                if (item := upcoming.result()) is None:
                    break
                upcoming = None
                await _send(send, spell(item))
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            await _cancel(*over, *([upcoming] if upcoming is not None else []))
            await _close(self._items)


_HEADERS = ((b"content-type", b"text/event-stream"), (b"cache-control", b"no-store"), (b"x-accel-buffering", b"no"))


def spell(item: Item) -> bytes:
    """An item as a server-sent event. JSON has no line breaks, so its data is one line."""
    if isinstance(item, HistoryEvent):
        return b"id: %d\nevent: history\ndata: %b\n\n" % (item.id, documents.encode(item.wire()))
    return b"event: workflow\ndata: %b\n\n" % documents.encode(documents.workflow(item, summary=True))


async def _next(items: AsyncIterator[Item]) -> Item | None:
    return await anext(items, None)


async def _send(send: Callable[[Any], Awaitable[None]], body: bytes) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": True})


async def _disconnected(receive: Callable[[], Awaitable[Any]]) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _cancel(*futures: asyncio.Future[Any]) -> None:
    """Cancel what is under way and wait until it is over; an iterator cannot be closed while it runs."""
    for future in futures:
        future.cancel()
    await asyncio.gather(*futures, return_exceptions=True)


async def _close(items: AsyncIterator[Item]) -> None:
    if (close := getattr(items, "aclose", None)) is not None:
        await close()
