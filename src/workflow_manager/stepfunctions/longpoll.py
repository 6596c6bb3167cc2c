"""Handing a task to a poller that may have left.

GetActivityTask waits up to a minute. When its client disconnects meanwhile, the call is cancelled, so that the task goes to
a poller that is still there; when a task was found but could not be sent, the implementation is told, so that it need
not wait for the task's timeout. An implementation that wants to know has the two methods of ``Delivery``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Protocol, runtime_checkable

from workflow_manager.stepfunctions.types import GetActivityTaskOutput


class Gone(Exception):
    """The client has disconnected: there is nobody to answer."""


@runtime_checkable
class Delivery(Protocol):
    """What an implementation of the seam may offer beyond the API's operations; called on the event loop."""

    def delivered(self, task_token: str, /) -> None:
        """The answer that holds this token has been sent."""

    def undelivered(self, task_token: str, /) -> None:
        """Nobody has received this token, nor will: the task may be given to another poller."""


@runtime_checkable
class Describes(Protocol):
    """What an implementation may offer besides: GetActivityTask tells a worker neither the state nor the attempt."""

    def about(self, task_token: str, /) -> tuple[str, int] | None:
        """The state that the task is of, and which attempt at it this is (1 is the first); None if nobody waits for it."""


async def answer_poll(
    call: Coroutine[Any, Any, GetActivityTaskOutput],
    disconnected: Coroutine[Any, Any, None],
    send: Callable[[GetActivityTaskOutput], Awaitable[None]],
    delivery: Delivery | None,
) -> None:
    """Await the call and send its result, unless ``disconnected`` returns first.

    Raises Gone, and the errors of the call. Whatever happens, also when this task is cancelled, a token that was taken is
    either sent or given back.
    """
    poll, gone = asyncio.ensure_future(call), asyncio.ensure_future(disconnected)
    sent = False
    try:
        await asyncio.wait((poll, gone), return_when=asyncio.FIRST_COMPLETED)
        if gone.done():
            raise Gone
        result = poll.result()
        try:
            await send(result)
        except OSError:
            raise Gone from None
        sent = True
        if delivery is not None and result.task_token is not None:
            delivery.delivered(result.task_token)
    finally:
        gone.cancel()
        if not sent:
            await _take_back(poll, delivery)


async def _take_back(poll: asyncio.Future[GetActivityTaskOutput], delivery: Delivery | None) -> None:
    """Cancel the poll; if that comes too late, give back what it found."""
    poll.cancel()
    await asyncio.wait((poll,))
    if poll.cancelled() or poll.exception() is not None:
        return
    token = poll.result().task_token
    if delivery is not None and token is not None:
        delivery.undelivered(token)
