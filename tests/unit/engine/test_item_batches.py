"""Batching as a table (SFN developer guide, "ItemBatcher (Map)"), and what holds whatever the items are."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflow_manager.engine.core.stimuli import Batcher
from workflow_manager.engine.maps.item_batches import Batches, ChildInput, TooLarge


def batched(items: list[Any], batcher: Batcher | None) -> list[ChildInput]:
    batches = Batches(batcher)
    made = [batch for item in items for batch in batches.add(item)]
    return made + list(batches.rest())


@pytest.mark.parametrize(
    ("items", "batcher", "inputs"),
    [
        pytest.param(
            [1, "a", {"b": None}], None, ["1", '"a"', '{"b":null}'], id="without a batcher each item is an input"
        ),
        pytest.param([], Batcher(most_items=2), [], id="no items, no batch"),
        pytest.param(
            [1, 2, 3], Batcher(most_items=2), ['{"Items":[1,2]}', '{"Items":[3]}'], id="the last one is smaller"
        ),
        pytest.param([1, 2], Batcher(most_items=2), ['{"Items":[1,2]}'], id="exactly full"),
        pytest.param(
            [1, 2],
            Batcher(most_items=2, batch_input='{"k":[]}'),
            ['{"Items":[1,2],"BatchInput":{"k":[]}}'],
            id="with what all batches share",
        ),
        pytest.param(
            ["aaaa", "bbbb", "c"],
            Batcher(most_bytes=25),
            ['{"Items":["aaaa","bbbb"]}', '{"Items":["c"]}'],
            id="by bytes",
        ),
        pytest.param(["€", "€"], Batcher(most_bytes=17), ['{"Items":["€"]}', '{"Items":["€"]}'], id="bytes of UTF-8"),
        pytest.param(
            [1, 2, 33],
            Batcher(most_items=2, most_bytes=14),
            ['{"Items":[1]}', '{"Items":[2]}', '{"Items":[33]}'],
            id="whichever is reached first: the bytes",
        ),
        pytest.param(
            [1, 2, 3],
            Batcher(2, 1_000),
            ['{"Items":[1,2]}', '{"Items":[3]}'],
            id="whichever is reached first: the items",
        ),
    ],
)
def test_batches(items: list[Any], batcher: Batcher | None, inputs: list[str]) -> None:
    assert [batch.text for batch in batched(items, batcher)] == inputs


def test_an_item_that_fits_into_no_batch() -> None:
    with pytest.raises(TooLarge, match="An item takes 114 bytes in a batch of its own, more than the 100"):
        batched(["x" * 100], Batcher(most_bytes=100))


@given(
    items=st.lists(st.text(max_size=12), max_size=60),
    most_items=st.none() | st.integers(1, 10),
    most_bytes=st.integers(100, 300),
    shared=st.none() | st.just({"k": "é"}),
)
def test_every_item_is_in_one_batch_in_order_and_batches_keep_their_bounds(
    items: list[str], most_items: int | None, most_bytes: int, shared: Any
) -> None:
    batcher = Batcher(most_items, most_bytes, json.dumps(shared) if shared is not None else None)

    batches = batched(items, batcher)

    decoded = [json.loads(batch.text) for batch in batches]
    assert [item for each in decoded for item in each["Items"]] == items
    assert all(each.get("BatchInput") == shared for each in decoded)
    assert [batch.items for batch in batches] == [len(each["Items"]) for each in decoded]
    assert all(len(batch.text.encode()) <= most_bytes for batch in batches)
    assert all(len(each["Items"]) <= (most_items or 60) for each in decoded)
