"""Reading a Map Run's items: the objects that an ItemReader names, one item after another, and what ItemSelector makes of them.

Objects are read in a thread, so many items at a time; what is selected needs the frame that waits, and nothing outside.
Source: SFN developer guide, "ItemReader (Map)", "ItemSelector (Map)".
"""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, BinaryIO, TypeAlias

from workflow_manager.asl.program import MapState
from workflow_manager.engine.core.draft import Draft
from workflow_manager.engine.core.frames import Execution, Frame
from workflow_manager.engine.maps.item_sources import Unreadable, items_of, readable
from workflow_manager.engine.maps.map_run import Spec
from workflow_manager.engine.maps.object_stores import LOCAL, ObjectStores
from workflow_manager.engine.shell.runner import Runner

Item: TypeAlias = tuple[Any, str]
"""A value, and what ``$$.Map.Item.Source`` says of it."""


class Reading:
    """The Map state that items are read for: its frame does not change while it waits."""

    def __init__(self, runner: Runner, execution: Execution, frame: Frame) -> None:
        self.frame = frame
        program = runner.program(execution.definition)
        self._draft = Draft(program, execution, runner.step_env())
        self._state = program.graphs[frame.graph].states[frame.state]

    def selected(self, items: list[Item], first: int) -> Iterator[Any]:
        """The items as ItemSelector makes them. Raises Failure."""
        state, frame, draft = self._state, self.frame, self._draft
        if not isinstance(state, MapState) or state.item_selector is None:
            yield from (value for value, _ in items)
            return
        selected_from = frame.input.value
        if state.input_path is not None:
            selected_from = state.input_path(selected_from, draft.expressions(frame))
        for at, (value, origin) in enumerate(items):
            item = {"Index": first + at, "Value": value, "Source": origin}
            yield state.item_selector(selected_from, draft.expressions(frame, Map={"Item": item}))


class Source:
    """The streams that are open for one run. Items are taken in a thread; closing waits for one that is being taken."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._streams: list[BinaryIO] = []
        self._closed = False

    def opened(self, stream: BinaryIO) -> BinaryIO:
        self._streams.append(stream)
        return stream

    def taking(self, items: Iterator[Item], number: int) -> list[Item]:
        with self._lock:
            return list(itertools.islice(items, number)) if not self._closed else []

    def close(self) -> None:
        """Close at once, or, where a thread still reads, when it has: the loop does not wait for it."""
        if self._lock.acquire(blocking=False):
            try:
                self._close()
            finally:
                self._lock.release()
        else:
            threading.Thread(target=self._close_later, daemon=True).start()

    def _close_later(self) -> None:
        with self._lock:
            self._close()

    def _close(self) -> None:
        self._closed = True
        for stream in self._streams:
            stream.close()


def opened(
    stores: ObjectStores, spec: Spec, at: Reading, source: Source
) -> Callable[[int], Coroutine[Any, Any, list[Item]]]:
    """Who answers the next items, at most as many as asked for. Raises Unreadable."""
    if spec.reader is None:
        given = ((value, "STATE_DATA") for value in at.frame.items or ())

        async def of_input(number: int) -> list[Item]:
            return list(itertools.islice(given, number))

        return of_input
    reader = spec.reader
    most = reader["max_items"]
    if most < 0:
        raise Unreadable("field MaxItems must be positive")
    arguments = dict(reader["arguments"])
    bucket, key = arguments.pop("Bucket", None), arguments.pop("Key", None)
    if not isinstance(bucket, str) or (reader["action"] == "s3:getObject" and not isinstance(key, str)):
        raise Unreadable("The ItemReader's Bucket and Key must be strings.")
    items = readable(_items(stores, reader, bucket, key, arguments, source))
    bounded: Iterator[Item] = itertools.islice(items, most or None)

    async def of_objects(number: int) -> list[Item]:
        return await asyncio.to_thread(source.taking, bounded, number) if number else []

    return of_objects


def _items(
    stores: ObjectStores,
    reader: dict[str, Any],
    bucket: str,
    key: str | None,
    arguments: dict[str, Any],
    source: Source,
) -> Iterator[Item]:
    """What an ItemReader reads; the first object is opened when the first item is asked for, by whoever asks."""
    config, store = reader["config"], stores.of(bucket)
    where = bucket if bucket.startswith(LOCAL) else f"S3://{bucket}"

    def opener(of: str, name: str) -> BinaryIO:
        return source.opened(stores.of(of).open(of, name, {}))

    if reader["action"] == "s3:getObject":
        assert key is not None
        stream = source.opened(store.open(bucket, key, arguments))
        yield from ((value, f"{where}/{key}") for value in items_of(stream, config, opener))
        return
    for found in store.listed(bucket, arguments):
        if config.get("Transformation") == "LOAD_AND_FLATTEN":
            with store.open(bucket, found["Key"], {}) as stream:
                yield from ((value, f"{where}/{found['Key']}") for value in items_of(stream, config, opener))
        else:
            yield found, where
