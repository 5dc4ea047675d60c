"""Sums over cells of which few are filled, in memory that grows with the filled ones only."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fcinv_core.crystal import FloatArray, IntArray
from fcinv_core.folding.accumulate import move_sums

_FIRST_SIZE = 1 << 14


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
        self._cells = np.full(size, -1, dtype=np.int64)
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

    def _grow(self) -> None:
        cells = np.full(2 * len(self._cells), -1, dtype=np.int64)
        sums = np.zeros((len(cells), self._sums.shape[1]))
        move_sums(self._cells, self._sums, cells, sums)
        self._cells, self._sums = cells, sums

    def content(self) -> tuple[IntArray, FloatArray]:
        """Return the filled cells, sorted (k,), and their sums (k, n_columns)."""
        used = np.flatnonzero(self._cells >= 0)
        order = used[np.argsort(self._cells[used])]
        return self._cells[order], self._sums[order]
