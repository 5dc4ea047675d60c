"""Arrays that travel as lists of double-precision numbers come back bit for bit."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from fcinv_core.array_logs import flatten, restore

_KINDS = st.one_of(
    arrays(np.float64, st.lists(st.integers(0, 4), max_size=3).map(tuple)),
    arrays(np.float32, st.lists(st.integers(0, 4), max_size=3).map(tuple)),
    arrays(np.int64, st.lists(st.integers(0, 4), max_size=3).map(tuple), elements=st.integers(-(2**53), 2**53)),
    arrays(np.int8, st.lists(st.integers(0, 4), max_size=3).map(tuple)),
)


@settings(deadline=None, max_examples=60)
@given(members=st.dictionaries(st.text("ab_", min_size=1, max_size=4), _KINDS, max_size=3))
def test_any_real_array_comes_back(members: dict[str, NDArray[Any]]) -> None:
    logs, table = flatten({"one": members})
    assert all(log.dtype == np.float64 and log.ndim == 1 and len(log) for log in logs.values())
    back = restore(json.loads(json.dumps(table)), logs.__getitem__)["one"]
    assert back.keys() == members.keys()
    for name, array in members.items():
        assert back[name].dtype == array.dtype
        np.testing.assert_array_equal(back[name], array)


@pytest.mark.parametrize("array", [np.array([2**53 + 1]), np.array([1j]), np.array(["a"])])
def test_what_double_precision_cannot_hold_is_refused(array: NDArray[Any]) -> None:
    with pytest.raises(ValueError, match="one/a"):
        flatten({"one": {"a": array}})


def test_a_list_of_another_length_is_refused() -> None:
    logs, table = flatten({"one": {"a": np.ones((2, 3))}})
    with pytest.raises(ValueError, match="reshape"):
        restore(table, lambda name: logs[name][:-1])
