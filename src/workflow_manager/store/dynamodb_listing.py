"""Lists from DynamoDB: which lanes a query walks, and the walk.

A query becomes one or more *streams*, each of lanes (dynamodb_schema) that are read side by side and merged: definition,
namespace, status and resolution, in whatever combination, are one stream of lanes that hold nothing else; a queue is one, and so
is each tag. The page is what is in all streams. With one stream, every entry that is read is on the page or would be on the next.
With several they leap over each other: each is asked for its next place at or after where another one stands, so that a stream
is read about as often as the rarest of them has places, and what lies between is never read.

Lanes hold keys only, a few dozen to a read unit. What they lead to is read from the table, consistently, and checked again:
the indexes follow the table by a moment.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from itertools import product
from math import ceil

from workflow_manager.model import Workflow, WorkflowQuery, WorkflowStatus
from workflow_manager.store import dynamodb_schema as schema
from workflow_manager.store.dynamodb_schema import Lane

Read = Callable[[Lane, str, str, int, bool], Awaitable[tuple[list[str], bool]]]
"""(lane, first, end, limit, forward) -> places from first up to end, exclusive, and whether more may follow.

An answer without places says that none follow.
"""

LEAST_READ = 16
"""Entries read at a time at least: fewer would cost the same read unit."""
MOST_READ = 1000
DENSER = 8.0
"""A stream so many times denser than the sparsest one is trusted (Intersection)."""


def streams_of(query: WorkflowQuery) -> list[list[Lane]]:
    """The streams of a query, as the lanes of each; never none."""
    shards = range(schema.SHARDS)
    streams = [[schema.tag_lane(name, value, shard) for shard in shards] for name, value in query.tags.items()]
    if query.queue is not None:
        streams.append([schema.queue_lane(query.queue, shard) for shard in shards])
    name, namespace = query.definition_name, query.namespace
    any_state = not query.statuses and query.resolved_by_user is None
    states = list(
        product(
            [status for status in WorkflowStatus if status in query.statuses or not query.statuses],
            [resolved for resolved in (False, True) if query.resolved_by_user in (None, resolved)],
        )
    )
    if name is not None and namespace is not None:
        streams.append([schema.definition_namespace_status_lane(name, namespace, *state) for state in states])
    elif namespace is not None:
        streams.append([schema.namespace_status_lane(namespace, *state) for state in states])
    elif name is not None and any_state:
        streams.append([schema.definition_lane(name)])
    elif name is not None:
        streams.append([schema.definition_status_lane(name, *state) for state in states])
    elif not any_state:
        streams.append([schema.status_lane(*state, shard) for state, shard in product(states, shards)])
    elif not streams:
        streams.append([schema.everything_lane(shard) for shard in shards])
    return streams


def matches(workflow: Workflow, query: WorkflowQuery) -> bool:
    """Every filter but those of the creation time, which bound the walk."""
    return (
        query.definition_name in (None, workflow.workflow_definition.name)
        and query.namespace in (None, workflow.namespace)
        and query.queue in (None, workflow.queue)
        and query.resolved_by_user in (None, workflow.resolved_by_user)
        and (not query.statuses or workflow.status in query.statuses)
        and query.tags.items() <= workflow.tags.items()
    )


class Intersection:
    """The places from ``first`` (inclusive) to ``end`` (exclusive) that are in all streams, in order.

    ``wanted`` is how many will be taken, at a guess. What the first reads span says how dense a stream is: the sparsest leads.
    A stream far denser than that is *trusted*: nearly every place is in it, so looking there would cost more than reading
    an item that turns out not to match. If that happens often, it is trusted no longer.
    """

    def __init__(
        self, streams: list[list[Lane]], first: str, end: str, wanted: int, read: Read, *, forward: bool
    ) -> None:
        size = wanted if len(streams) == 1 else LEAST_READ
        self._walks = [_Stream(lanes, first, end, size, read, forward=forward) for lanes in streams]
        self._trusted: list[_Stream] = []
        self._begun = False
        self._last: str | None = None

    async def next(self) -> str | None:
        """The next place; None at the end."""
        if not self._begun:
            await self._begin()
        leader = self._walks[0]
        if self._last is not None:
            leader.leap_past(self._last)
        place = await leader.next()
        while place is not None:
            for walk in self._walks[1:]:
                walk.leap_to(place)
                there = await walk.next()
                if there is None:
                    return None
                if there != place:
                    leader.leap_to(there)
                    break
            else:
                self._last = place
                return place
            place = await leader.next()
        return None

    def judge(self, read: int, matched: int) -> None:
        """Be told how many of the places that were given matched."""
        if self._trusted and matched * 2 < read:
            self._walks += self._trusted
            self._trusted = []

    async def _begin(self) -> None:
        self._begun = True
        if len(self._walks) == 1:
            return
        await asyncio.gather(*(walk.next() for walk in self._walks))
        density = {walk: walk.density() for walk in self._walks}
        leader, *others = sorted(self._walks, key=density.__getitem__)
        self._trusted = [walk for walk in others if walk.more and density[walk] > DENSER * density[leader]]
        self._walks = [leader, *(walk for walk in others if walk not in self._trusted)]


class _Stream:
    """Lanes that are read side by side and merged."""

    def __init__(self, lanes: list[Lane], first: str, end: str, wanted: int, read: Read, *, forward: bool) -> None:
        share = ceil(wanted / len(lanes)) + (LEAST_READ // 2 if len(lanes) > 1 else 0)
        size = max(LEAST_READ, min(MOST_READ, share))
        walk = _Forward if forward else _Backward
        self._lanes = [walk(lane, first, end, size, read) for lane in lanes]
        self._nearest: Callable[[list[str]], str] = min if forward else max

    def leap_to(self, place: str) -> None:
        """Leave behind what comes before the place."""
        for lane in self._lanes:
            lane.leap_to(place)

    def leap_past(self, place: str) -> None:
        """Leave the place behind too."""
        for lane in self._lanes:
            lane.leap_past(place)

    @property
    def more(self) -> bool:
        """Whether there is more than has been read."""
        return any(lane.more for lane in self._lanes)

    def density(self) -> float:
        """Places a second, by what has been read ahead; the lanes are far from equally dense, so each counts for itself."""
        return sum(lane.density() for lane in self._lanes)

    async def next(self) -> str | None:
        """The next place, which stays the next until it is leapt past; None at the end."""
        await asyncio.gather(*(lane.read_on() for lane in self._lanes if not lane.ahead and lane.more))
        heads = [lane.ahead[0] for lane in self._lanes if lane.ahead]
        return self._nearest(heads) if heads else None


class _Walk:
    """Where a walk along one lane stands: what was read ahead, and the range [first, end) that is still to be read."""

    def __init__(self, lane: Lane, first: str, end: str, size: int, read: Read) -> None:
        self._lane, self._first, self._end, self._size, self._read = lane, first, end, size, read
        self.ahead: deque[str] = deque()
        self.more = first < end

    def density(self) -> float:
        """Places a second; one that is known to be the last stands alone in all the time there is."""
        if len(self.ahead) < 2:
            return 0.0
        seconds = (schema.time_of_place(self.ahead[-1]) - schema.time_of_place(self.ahead[0])).total_seconds()
        return len(self.ahead) / max(abs(seconds), 1e-6)

    async def read_on(self) -> None:
        """Read until something is ahead, or all has been read."""
        while self.more and not self.ahead:
            found, more = await self._read(self._lane, self._first, self._end, self._size, isinstance(self, _Forward))
            self.ahead.extend(found)
            self.more = more
            if found:
                self._narrow(found[-1])
            self.more = more and self._first < self._end
            self._size = min(MOST_READ, self._size * 2)

    def _narrow(self, last: str) -> None:
        """Leave out of the range what has been read, up to and with ``last``."""
        raise NotImplementedError


class _Forward(_Walk):
    """From the oldest on."""

    def leap_to(self, place: str) -> None:
        while self.ahead and self.ahead[0] < place:
            self.ahead.popleft()
        self._first = max(self._first, place)
        self.more = self.more and self._first < self._end

    def leap_past(self, place: str) -> None:
        self.leap_to(_next(place))

    def _narrow(self, last: str) -> None:
        self._first = _next(last)


class _Backward(_Walk):
    """From the newest on."""

    def leap_to(self, place: str) -> None:
        self.leap_past(_next(place))

    def leap_past(self, place: str) -> None:
        while self.ahead and self.ahead[0] >= place:
            self.ahead.popleft()
        self._end = min(self._end, place)
        self.more = self.more and self._first < self._end

    def _narrow(self, last: str) -> None:
        self._end = last


def _next(place: str) -> str:
    """The least text that comes after."""
    return place + "\0"
