"""Writing a virtual experiment as the file that Mantid would have saved of a real one."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from threadpoolctl import threadpool_limits

from fcinv_core.events import EventChunk, write_mdevent
from fcinv_core.virtual_experiment.experiment import VirtualExperiment, draw_block
from fcinv_core.virtual_experiment.planning import definition_of

#: Blocks under way or waiting, for each thread.
_AHEAD = 3


def write_experiment(
    path: Path,
    experiment: VirtualExperiment,
    *,
    instrument_name: str,
    provenance: Mapping[str, str] | None = None,
    threads: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> int:
    """Make a virtual experiment and write its events (SaveMD's layout, Q_sample).

    Memory does not grow with the number of runs, and the number of threads does not change the file.

    Parameters
    ----------
    path
        Where to write; replaced only when complete.
    experiment
        What to measure.
    instrument_name
        Stored with the instrument definition.
    provenance
        Texts that are stored as logs of the first run.
    threads
        Number of threads, all cores by default.
    progress
        Called with the numbers of runs done and in all.

    Returns
    -------
    Number of events.

    Raises
    ------
    InputError
        If the file cannot be written or nothing was counted.
    """
    runs = experiment.runs
    if experiment.true_events:
        # Bins would tell a reader that events lie at their centres.
        runs = tuple(replace(run, energy_edges=None) for run in runs)
    return write_mdevent(
        path,
        _events(experiment, threads or os.cpu_count() or 1, progress),
        runs,
        experiment.detectors,
        instrument_name=instrument_name,
        instrument_xml=definition_of(experiment.detectors, instrument_name),
        title=f"virtual experiment: {experiment.sample.crystal.formula}",
        provenance=provenance,
    )


def _events(
    experiment: VirtualExperiment, threads: int, progress: Callable[[int, int], None] | None
) -> Iterator[EventChunk]:
    """Draw all runs, in order, a few blocks ahead of the writer."""
    n_runs, n_blocks = len(experiment.runs), len(experiment.blocks)
    _ = experiment.tables, experiment.to_primitive  # made once, before threads ask for them
    work = ((run, block) for run in range(n_runs) for block in range(n_blocks))
    waiting: deque[tuple[int, int, Future[EventChunk]]] = deque()
    # Blocks are the parallel units: BLAS threads inside them would only get in each other's way.
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(threads) as pool:
        try:
            while True:
                while len(waiting) < _AHEAD * threads and (next_one := next(work, None)) is not None:
                    waiting.append((*next_one, pool.submit(draw_block, experiment, *next_one)))
                if not waiting:
                    return
                run, block, future = waiting.popleft()
                yield future.result()
                if progress is not None and block == n_blocks - 1:
                    progress(run + 1, n_runs)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
