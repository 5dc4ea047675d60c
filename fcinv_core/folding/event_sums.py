"""Sums of events by cell, streaming: two compiled passes over every chunk, in ordinary threads."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fcinv_core.crystal import FloatArray, IntArray
from fcinv_core.errors import InputError
from fcinv_core.events.source import EventChunk, EventSource
from fcinv_core.folding.accumulate import add_hits, classify_events
from fcinv_core.folding.binning import Binning
from fcinv_core.folding.sparse_sums import SparseSums
from fcinv_core.spectrum import SpectralGrid

#: Events that one thread classifies at a time.
_BLOCK = 1 << 17
#: progress(what, done, total)
Progress = Callable[[str, int, int], None]
#: Cells (k,), ascending, and their sums (k, n_columns).
CellSums = tuple[IntArray, FloatArray]


def checked_chunks(source: EventSource, progress: Progress | None) -> Iterator[EventChunk]:
    """Yield the chunks of a source; progress is that of whoever takes the next one.

    Raises
    ------
    InputError
        If events belong to runs that the source does not describe.
    """
    done = 0
    for chunk in source.chunks():
        outside = (chunk.run < 0) | (chunk.run >= len(source.runs))
        if outside.any():
            raise InputError(
                f"{source.description} holds events of runs that it does not describe",
                f"run index {int(chunk.run[outside][0])}, {len(source.runs)} runs",
                "save it again with the experiment info of every run",
            )
        yield chunk
        done += len(chunk)
        if progress is not None:
            progress("events", done, source.n_events)


def sum_events(
    chunks: Iterable[EventChunk],
    transforms: FloatArray,
    sets: IntArray,
    binning: Binning,
    grid: SpectralGrid,
    pool: ThreadPoolExecutor,
    threads: int,
) -> list[CellSums]:
    """Sum events by set of runs and cell.

    Parameters
    ----------
    chunks
        Events, with runs that are indices of ``transforms``.
    transforms
        Shape (n_runs, 3, 3): Q_sample to fractions of the primitive reciprocal basis.
    sets
        Shape (n_runs,): the set, from 0 on, that each run is summed into.
    binning, grid
        What the cells are.
    pool, threads
        Threads to work in, and their number.

    Returns
    -------
    For each set, cells (row n_bins + bin) n_energies + energy bin, and sums (k, 3) of signal, variance and counts.
    They do not depend on the number of threads.
    """
    n_rows, n_bins = len(binning.classes.zones), len(binning.bins)
    sums = [SparseSums(3) for _ in range(threads)]
    for chunk in chunks:
        columns = _Columns.of(chunk)

        def classify(start: int, columns: _Columns = columns) -> list[_Hits]:
            found, stop = [], min(start + _BLOCK, len(columns.energy))
            keys, events = np.empty(2 * _BLOCK, np.int64), np.empty(2 * _BLOCK, np.int32)
            while start < stop:
                start, hits = classify_events(
                    columns.q,
                    columns.energy,
                    columns.run,
                    transforms,
                    sets,
                    (grid.minimum, 1 / grid.width, grid.n_bins),
                    n_rows,
                    n_bins,
                    binning.lookup,
                    start,
                    stop,
                    keys,
                    events,
                )
                found.append(_Hits(keys[:hits].copy(), events[:hits].copy(), columns))
            return found

        blocks = pool.map(classify, range(0, len(chunk), _BLOCK))
        found = [hits for block in blocks for hits in block]

        def add(part: int, found: list[_Hits] = found) -> None:
            for hits in found:
                hits.add_to(sums[part], part, threads)

        list(pool.map(add, range(threads)))
    contents = [one.content() for one in sums]
    cells = np.concatenate([content[0] for content in contents])
    values = np.concatenate([content[1] for content in contents])
    order = np.argsort(cells)
    return split_sets(cells[order], values[order], sets, binning, grid)


def split_sets(
    cells: IntArray, values: FloatArray, sets: IntArray, binning: Binning, grid: SpectralGrid
) -> list[CellSums]:
    """Cells and sums of each set, of cells (k,) that are numbered through all sets, ascending."""
    size = len(binning.classes.zones) * len(binning.bins) * grid.n_bins
    edges = np.searchsorted(cells, size * np.arange(int(sets.max()) + 2))
    return [(cells[a:b] - k * size, values[a:b]) for k, (a, b) in enumerate(itertools.pairwise(edges))]


@dataclass(frozen=True, eq=False)
class _Columns:
    """What the compiled loops read of a chunk."""

    q: FloatArray
    energy: FloatArray
    signal: FloatArray
    variance: FloatArray
    run: IntArray

    @classmethod
    def of(cls, chunk: EventChunk) -> _Columns:
        q, energy, signal, variance = (
            np.ascontiguousarray(column, dtype=float)
            for column in (chunk.q_sample, chunk.energy, chunk.signal, chunk.error_squared)
        )
        return cls(q, energy, signal, variance, np.ascontiguousarray(chunk.run, dtype=np.int64))


@dataclass(frozen=True, eq=False)
class _Hits:
    """Hits of a block of events: cells, and numbers of the events."""

    keys: IntArray
    events: NDArray[np.int32]
    columns: _Columns

    def add_to(self, sums: SparseSums, part: int, parts: int) -> None:
        """Add the hits whose cells belong to one of several parts."""

        def add(start: int, cells: IntArray, values: FloatArray, filled: int) -> tuple[int, int]:
            return add_hits(  # type: ignore[no-any-return]
                self.keys,
                self.events,
                len(self.keys),
                self.columns.signal,
                self.columns.variance,
                part,
                parts,
                start,
                cells,
                values,
                filled,
            )

        sums.fill(add, len(self.keys))
