"""One at a time of what only one may do at a time, whichever server is asked.

Within one server the second waits; between servers a lease in the store says whose turn it is, and ends by itself if that
server dies.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from weakref import WeakValueDictionary

from workflow_manager.clock import Clock
from workflow_manager.manager.consistency import Sleep
from workflow_manager.manager.times import moment
from workflow_manager.model.errors import StorageUnavailable
from workflow_manager.store import LeaseStore

LEASE = timedelta(seconds=60)
"""How long a lease lasts if it is not given back. A request ends long before."""
PAUSES = (0.05, 0.1, 0.2, 0.4, 0.8)
"""Seconds between tries to take the lease; then somebody else is slow, and the caller is told."""


class NotYourTurn(Exception):
    """Another server does it at this moment, or has meanwhile taken over."""


class Turns:
    def __init__(self, store: LeaseStore, clock: Clock, sleep: Sleep) -> None:
        self._store = store
        self._clock = clock
        self._sleep = sleep
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def take_here(self, name: str) -> asyncio.Lock:
        """The lock for being the only one in this server."""
        return self._locks.setdefault(name, asyncio.Lock())

    @asynccontextmanager
    async def take(self, name: str) -> AsyncIterator[Callable[[], Awaitable[None]]]:
        """Be the only one; what is yielded prolongs that. Raises NotYourTurn."""
        async with self.take_here(name):
            holder = str(uuid.uuid4())

            async def still_ours() -> None:
                if not await self._take(name, holder):
                    raise NotYourTurn(name)

            for pause in PAUSES:
                if await self._take(name, holder):
                    break
                await self._sleep(pause)
            else:
                await still_ours()
            try:
                yield still_ours
            finally:
                with suppress(StorageUnavailable):  # it ends by itself
                    await self._store.release_lease(name, holder)

    async def _take(self, name: str, holder: str) -> bool:
        now = moment(self._clock.now())
        return await self._store.take_lease(name, holder, now, now + LEASE)
