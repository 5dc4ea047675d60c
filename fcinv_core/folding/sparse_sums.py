"""Sums over cells of which few are filled, in memory that grows with the filled ones only."""

from __future__ import annotations

from collections.abc import Callable

import numba
import numpy as np

from fcinv_core.crystal import FloatArray, IntArray

#: What a free slot holds in place of a cell.
EMPTY = -1
_FIRST_SIZE = 1 << 14
#: 2^64 over the golden ratio: its multiples spread evenly (Knuth, The Art of Computer Programming 3, 6.4).
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


class SparseSums:
    """A table of sums by cell number, open addressing, doubled when half full.

    Parameters
    ----------
    n_columns
        Sums kept for each cell.
    size
        Slots to begin with; rounded up to a power of 2.
    """

    def __init__(self, n_columns: int, size: int = _FIRST_SIZE) -> None:
        size = 1 << max(size - 1, 1).bit_length()
        self._cells = np.full(size, EMPTY, dtype=np.int64)
        self._sums = np.zeros((size, n_columns))
        self._filled = 0

    def fill(self, add: Callable[[int, IntArray, FloatArray, int], tuple[int, int]], stop: int) -> None:
        """Call ``add(start, cells, sums, filled) -> (next, filled)`` until it has done ``stop`` items."""
        start = 0
        while True:
            start, self._filled = add(start, self._cells, self._sums, self._filled)
            if start >= stop:
                return
            self._grow()

    def add(self, cells: IntArray, values: FloatArray) -> None:
        """Add sums (k, n_columns) of cells (k,)."""

        def add(start: int, table: IntArray, sums: FloatArray, filled: int) -> tuple[int, int]:
            return _add_sums(cells, values, start, table, sums, filled)  # type: ignore[no-any-return]

        self.fill(add, len(cells))

    def _grow(self) -> None:
        cells = np.full(2 * len(self._cells), EMPTY, dtype=np.int64)
        sums = np.zeros((len(cells), self._sums.shape[1]))
        _move_sums(self._cells, self._sums, cells, sums)
        self._cells, self._sums = cells, sums

    def content(self) -> tuple[IntArray, FloatArray]:
        """Return the filled cells, sorted (k,), and their sums (k, n_columns)."""
        used = np.flatnonzero(self._cells >= 0)
        order = used[np.argsort(self._cells[used])]
        return self._cells[order], self._sums[order]


@numba.njit(nogil=True, cache=True)
def slot_of(table, key):  # type: ignore[no-untyped-def]
    """Place of ``key`` in an open-addressing table whose length is a power of 2: its own, or the free one."""
    mask = len(table) - 1
    hashed = np.uint64(key) * _GOLDEN
    place = np.int64(hashed >> np.uint64(20)) & mask
    while table[place] != EMPTY and table[place] != key:
        place = (place + 1) & mask
    return place


@numba.njit(nogil=True, cache=True)
def part_of(key, n_parts):  # type: ignore[no-untyped-def]
    """To which of ``n_parts`` tables of nearly equal size ``key`` belongs."""
    return np.int64((np.uint64(key) * _GOLDEN >> np.uint64(12)) % np.uint64(n_parts))


@numba.njit(nogil=True, cache=True)
def _move_sums(table, sums, new_table, new_sums):  # type: ignore[no-untyped-def]
    """Copy a sparse sum into a larger, empty one."""
    for k in range(len(table)):
        if table[k] != EMPTY:
            place = slot_of(new_table, table[k])
            new_table[place] = table[k]
            new_sums[place] = sums[k]


@numba.njit(nogil=True, cache=True)
def _add_sums(cells, values, start, table, sums, filled):  # type: ignore[no-untyped-def]
    """Add sums from ``start`` on; return (next, filled slots): it stops where the table is half full."""
    for k in range(start, len(cells)):
        if filled >= len(table) // 2:
            return k, filled
        place = slot_of(table, cells[k])
        if table[place] == EMPTY:
            table[place] = cells[k]
            filled += 1
        for column in range(values.shape[1]):
            sums[place, column] += values[k, column]
    return len(cells), filled
