"""Leases: one holder at a time, until it gives them back or their time has come."""

from __future__ import annotations

import asyncio

from store_values import at

from workflow_manager.store import Store


async def test_a_lease_has_one_holder(store: Store) -> None:
    assert await store.take_lease("sweep", "a", at(0), at(60))
    assert not await store.take_lease("sweep", "b", at(59), at(119))
    assert await store.take_lease("other", "b", at(0), at(60))


async def test_its_holder_prolongs_it(store: Store) -> None:
    await store.take_lease("sweep", "a", at(0), at(60))

    assert await store.take_lease("sweep", "a", at(50), at(110))
    assert not await store.take_lease("sweep", "b", at(100), at(160))


async def test_one_that_has_ended_is_anyone_s(store: Store) -> None:
    await store.take_lease("sweep", "a", at(0), at(60))

    assert await store.take_lease("sweep", "b", at(60), at(120))
    assert not await store.take_lease("sweep", "a", at(61), at(121))


async def test_one_that_was_given_back_is_anyone_s(store: Store) -> None:
    await store.take_lease("sweep", "a", at(0), at(60))
    await store.release_lease("sweep", "a")

    assert await store.take_lease("sweep", "b", at(1), at(61))


async def test_nobody_gives_back_another_s(store: Store) -> None:
    await store.take_lease("sweep", "a", at(0), at(60))
    await store.release_lease("sweep", "b")
    await store.release_lease("nobody's", "b")

    assert not await store.take_lease("sweep", "b", at(1), at(61))


async def test_of_many_who_ask_at_once_one_gets_it(store: Store) -> None:
    answers = await asyncio.gather(*(store.take_lease("sweep", f"{n}", at(0), at(60)) for n in range(20)))

    assert answers.count(True) == 1
