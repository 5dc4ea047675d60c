"""Measure the speed of folding: events a second against operations, path points and threads; normalisation; memory.

Prints a table. Every figure stands beside that of numpy.histogramdd on the same events in the same run, because
machines differ and are shared.
"""

from __future__ import annotations

import argparse
import itertools
import platform
import resource
import time
from collections.abc import Callable, Iterator

import numpy as np

from fcinv_core.crystal import Crystal
from fcinv_core.events.experiment import NEUTRON_ENERGY, Detectors, Run, axis_rotation, momentum_transfer
from fcinv_core.events.source import EventChunk, EventSource
from fcinv_core.folding.accumulate import add_hits, classify_events
from fcinv_core.folding.binning import Binning
from fcinv_core.folding.fold import FoldSettings, fold
from fcinv_core.folding.normalisation import expose_run, trajectories
from fcinv_core.folding.orientation import find_setting
from fcinv_core.folding.path_bins import path_bins
from fcinv_core.folding.point_groups import folding_group
from fcinv_core.folding.sparse_sums import SparseSums
from fcinv_core.folding.zone_volume import zone_volume
from fcinv_core.qpath import standard_path
from fcinv_core.spectrum import SpectralGrid

INCIDENT = 40.0
GRID = SpectralGrid(-4.0, 38.0, 84)
FCC = 5.658 / 2 * np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0]])
GERMANIUM = Crystal.from_cell(FCC, [[0, 0, 0], [0.25, 0.25, 0.25]], ["Ge", "Ge"])
UB = np.eye(3)[[1, 2, 0]] / 5.658
#: Subgroups of m-3m, each within the next.
GROUPS = {1: "x,y,z", 2: "-1", 8: "mmm", 16: "4/mmm", 48: "m-3m"}


def array_of_detectors(n: int) -> Detectors:
    """A cylinder of detectors about the sample, -28 to 135 degrees and 26 degrees up and down."""
    rows = max(2, int(np.sqrt(n / 3)))
    horizontal, vertical = np.meshgrid(
        np.radians(np.linspace(4, 135, n // rows)), np.radians(np.linspace(-26, 26, rows)), indexing="ij"
    )
    direction = np.stack(
        [np.cos(vertical) * np.sin(horizontal), np.sin(vertical), np.cos(vertical) * np.cos(horizontal)], axis=-1
    ).reshape(-1, 3)
    count = len(direction)
    return Detectors(
        np.arange(count),
        np.arccos(direction[:, 2]),
        np.arctan2(direction[:, 1], direction[:, 0]),
        np.full(count, 3.0),
        np.zeros(count, dtype=bool),
        np.full(count, 1e-4),
    )


def orientations(n: int) -> tuple[Run, ...]:
    """Runs of a sample that turns by a degree about the vertical."""
    return tuple(
        Run(k, INCIDENT, axis_rotation([0, 1, 0], float(k)), UB, 1.0, (GRID.minimum, GRID.maximum))
        for k in range(n)
    )


def random_events(n: int, runs: tuple[Run, ...], detectors: Detectors, seed: int) -> EventChunk:
    """True events, evenly over runs, detectors and energies."""
    rng = np.random.default_rng(seed)
    run, detector = rng.integers(len(runs), size=n), rng.integers(len(detectors.ids), size=n)
    energy = rng.uniform(GRID.minimum, GRID.maximum, size=n)
    lab = momentum_transfer(INCIDENT, detectors.two_theta[detector], detectors.azimuth[detector], energy)
    turns = np.array([one.goniometer.T for one in runs])
    q = np.einsum("nij,nj->ni", turns[run], lab)
    return EventChunk(q, energy, np.ones(n), np.ones(n), run, detectors.ids[detector])


def best_of(times: int, action: Callable[[], object]) -> float:
    """Shortest processor time of an action, s."""
    durations = []
    for _ in range(times):
        start = time.thread_time()
        action()
        durations.append(time.thread_time() - start)
    return min(durations)


def fold_chunk(chunk: EventChunk, transforms: np.ndarray, binning: Binning, sums: SparseSums) -> int:
    """What one thread does with a chunk; returns the number of hits."""
    keys, numbers = np.empty(1 << 18, np.int64), np.empty(1 << 18, np.int32)
    start, total = 0, 0
    while start < len(chunk):
        stop = min(start + (1 << 17), len(chunk))
        start, hits = classify_events(
            chunk.q_sample, chunk.energy, chunk.run, transforms, np.arange(len(transforms)),
            (GRID.minimum, 1 / GRID.width, GRID.n_bins), len(binning.classes.zones), len(binning.bins),
            binning.lookup, start, stop, keys, numbers,
        )  # fmt: skip
        sums.fill(
            lambda begin, cells, values, filled, hits=hits: add_hits(
                keys, numbers, hits, chunk.signal, chunk.error_squared, 0, 1, begin, cells, values, filled
            ),
            hits,
        )
        total += hits
    return total


def main() -> None:
    """Run the measurements that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=2_000_000)
    parser.add_argument("--detectors", type=int, default=100_000)
    parser.add_argument("--orientations", type=int, default=120)
    parser.add_argument("--exposed", type=int, default=2, help="orientations whose exposure is timed")
    parser.add_argument("--stream", type=float, default=0, help="events of a generated stream, for the peak memory")
    parser.add_argument("--joined", action="store_true", help="do not keep the runs of the stream apart")
    parser.add_argument("--only-stream", action="store_true", help="measure nothing else")
    arguments = parser.parse_args()
    print(
        f"{platform.processor() or platform.machine()}, Python {platform.python_version()}, numpy {np.__version__}"
    )

    runs, detectors = orientations(arguments.orientations), array_of_detectors(arguments.detectors)
    if not arguments.only_stream:
        measure_speed(arguments, runs, detectors)
    if arguments.stream:
        measure_stream(int(arguments.stream), runs, detectors, not arguments.joined)


def measure_speed(arguments: argparse.Namespace, runs: tuple[Run, ...], detectors: Detectors) -> None:
    """Time the fold of events in memory, and the exposure."""
    chunk = random_events(arguments.events, runs, detectors, 0)
    setting = find_setting(GERMANIUM, UB)
    transforms = np.array([setting.from_sample(run.ub) for run in runs])
    path = standard_path(GERMANIUM)
    q_max = 2 * np.sqrt(INCIDENT / NEUTRON_ENERGY) * 1.1

    sample = np.column_stack([chunk.q_sample, chunk.energy])[:500_000]
    edges = [np.linspace(-9, 9, 41)] * 3 + [GRID.edges]
    peer = len(sample) / best_of(3, lambda: np.histogramdd(sample, edges)) / 1e6
    print(f"numpy.histogramdd: {peer:.2f} million events/s")
    print("fold of a path (201 points, 0.1 1/Å), one thread: the more operations, the more events land")
    binnings = {
        f"  {order:2d} operations": path_bins(GERMANIUM, path, (0.1, 0.1), folding_group(GERMANIUM, symbol), q_max)
        for order, symbol in GROUPS.items()
    }
    for n in (51, 401):
        binnings[f"  {n} points, 48 operations"] = path_bins(
            GERMANIUM, standard_path(GERMANIUM, n), (0.1, 0.1), folding_group(GERMANIUM), q_max
        )
    explain(report(binnings, chunk, transforms, peer))
    print("fold of the irreducible zone (16 divisions), one thread: every event lands in one cell")
    binnings = {
        f"  {order:2d} operations": zone_volume(GERMANIUM, 16, folding_group(GERMANIUM, symbol), q_max)
        for order, symbol in GROUPS.items()
    }
    times = [nanoseconds for _, nanoseconds in report(binnings, chunk, transforms, peer)]
    print(f"  flat within {100 * (max(times) / min(times) - 1):.0f} % from 1 to 48 operations")

    binning = path_bins(GERMANIUM, path, (0.1, 0.1), folding_group(GERMANIUM), q_max)
    points = trajectories(runs[0], GRID, None, float(binning.bins.widths.min()))
    seconds = best_of(
        arguments.exposed,
        lambda: expose_run(runs[0], detectors, detectors.solid_angle, transforms[0], points, GRID, binning),
    )
    laid = len(detectors.ids) * points.k_final.shape[1]
    print(
        f"exposure: {len(detectors.ids)} detectors × {GRID.n_bins} energies ({points.k_final.shape[1]} points) in "
        f"{seconds:.2f} s, {laid / seconds / 1e6:.1f} million points/s; {arguments.orientations} orientations on 2 "
        f"cores: {seconds * arguments.orientations / 2:.0f} s"
    )


def report(
    binnings: dict[str, Binning], chunk: EventChunk, transforms: np.ndarray, peer: float
) -> list[tuple[float, float]]:
    """Time the fold of a chunk into several binnings and print it; return hits and nanoseconds an event of each."""
    tables = {name: SparseSums(3) for name in binnings}
    hits = {name: fold_chunk(chunk, transforms, binnings[name], tables[name]) for name in binnings}
    seconds = dict.fromkeys(binnings, np.inf)
    # In turns, so that a busy spell of the machine meets all of them.
    for _, (name, binning) in itertools.product(range(6), binnings.items()):
        once = best_of(1, lambda name=name, binning=binning: fold_chunk(chunk, transforms, binning, tables[name]))
        seconds[name] = min(seconds[name], once)
    n = len(chunk)
    for name in binnings:
        speed = n / seconds[name] / 1e6
        print(
            f"{name:28s} {speed:6.1f} million events/s, {speed / peer:5.1f} × histogramdd, {hits[name]} hits of "
            f"{n} events: {1e9 * seconds[name] / n:.1f} ns an event"
        )
    return [(hits[name] / n, 1e9 * seconds[name] / n) for name in binnings]


def explain(timings: list[tuple[float, float]]) -> None:
    """Print what one event costs, what a hit adds, and how much operations and points change beyond that."""
    share, nanoseconds = np.array(timings).T
    hit, event = np.polyfit(share, nanoseconds, 1, w=1 / nanoseconds)
    rest = np.abs((event + hit * share) / nanoseconds - 1).max()
    print(f"  all of these: {event:.1f} ns an event + {hit:.0f} ns a hit, within {100 * rest:.0f} %")


def measure_stream(n: int, runs: tuple[Run, ...], detectors: Detectors, runs_apart: bool) -> None:
    """Fold a stream of events that are generated as it goes, and print its peak memory."""
    generating = 0.0

    def read(size: int) -> Iterator[EventChunk]:
        nonlocal generating
        for start in range(0, n, size):
            began = time.perf_counter()
            chunk = random_events(min(size, n - start), runs, detectors, start + 1)
            generating += time.perf_counter() - began
            yield chunk

    source = EventSource("generated", runs, (detectors,) * len(runs), n, False, None, read)
    began = time.perf_counter()
    folded = fold(source, GERMANIUM, standard_path(GERMANIUM, 101), FoldSettings(GRID, runs_apart=runs_apart))
    seconds = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    cells = sum(len(run.data_cells) + len(run.exposure_cells) for run in folded.runs)
    print(
        f"stream of {n:.2g} events, {len(runs)} orientations × {len(detectors.ids)} detectors, path of 101 points, "
        f"runs {'apart' if runs_apart else 'joined'}: {seconds - generating:.0f} s and {generating:.0f} s to make "
        f"the events; {cells:.3g} cells kept; peak memory {peak:.2f} GB"
    )


if __name__ == "__main__":
    main()
