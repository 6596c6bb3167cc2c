"""What is packed for rows is read again, integers of any size among it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from workflow_manager.engine.core.packing import pack, unpacker

EDGES = [-(1 << 63) - 1, -(1 << 63), (1 << 64) - 1, 1 << 64, -(1 << 64), 10**400, -(10**400), 255 << 64, -(128 << 64)]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(EDGES) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)


class Row(msgspec.Struct, array_like=True):
    number: int
    values: dict[str, Any]
    inner: Row | None = None


@given(value=JSON)
@example(value=EDGES)
def test_any_json(value: Any) -> None:
    assert unpacker(object).decode(pack(value)) == value


@pytest.mark.parametrize("edge", EDGES)
def test_structs_that_hold_it(edge: int) -> None:
    row = Row(1, {"a": [edge]}, Row(2, {"b": {"c": edge}}))

    assert unpacker(Row).decode(pack(row)) == row
