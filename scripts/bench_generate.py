"""Measure the forward model: time for each set of force constants, as ratios to peers in the same run.

    python scripts/bench_generate.py [--sets 10000] [--repeats 3]

The peers loop over sets of germanium, 200 q-points each, and render the same way: phonopy by its fastest call
(`run_qpoints`), and Euphonic. The floor is what nothing can do without: `numpy.linalg.eigvalsh` on matrices
that are there already, and the rendering. Then: how time grows with sets, q-points and atoms a cell.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import phonopy
from euphonic import ForceConstants as EuphonicForceConstants
from threadpoolctl import threadpool_limits

from fcinv_core.crystal import Crystal, read_structure
from fcinv_core.dynamics import BornVonKarman, gpu
from fcinv_core.force_constants.bonds import bonds_within
from fcinv_core.force_constants.pairs import ForceConstants
from fcinv_core.force_constants.parametrisation import Parametrisation
from fcinv_core.force_constants.phonopy_files import (
    read_force_constants,
    to_phonopy,
    write_phonopy_params,
)
from fcinv_core.potentials.shipped import shipped_ensemble
from fcinv_core.prior import Prior, prior_from_members
from fcinv_core.qpath import standard_path
from fcinv_core.spectrum import Resolution, SpectralGrid, render
from fcinv_core.training_set import Sampling, draw_block
from fcinv_core.units import THZ_TO_MEV

GRID, RESOLUTION = SpectralGrid(0.0, 50.0, 100), Resolution((1.5,))
#: Sets in one run of a peer that needs milliseconds for each.
FEW = 100


def milliseconds(work: Callable[[], object], n_sets: int, repeats: int) -> float:
    """Return the time for one set: the shortest of some runs, after one that is not counted."""
    work()
    times = []
    for _ in range(repeats):
        begin = time.perf_counter()
        work()
        times.append(time.perf_counter() - begin)
    return 1e3 * min(times) / n_sets


def germanium() -> Prior:
    """Return the prior from the ensemble that comes with fcinv."""
    files = shipped_ensemble("ge")
    crystal = read_structure(files[0].parent / "POSCAR")
    return prior_from_members([read_force_constants(file, crystal) for file in files])


def stable_values(prior: Prior, n: int) -> np.ndarray:
    """Return n stable choices of all force constants, shape (n, n_force_constants), eight of them drawn."""
    sampling = Sampling.around(prior, standard_path(prior.crystal), np.arange(8), seed=0, others="reference")
    return draw_block(sampling, 0).values[:n]


def model_of(prior: Prior, n_points: int, n_varied: int = 8) -> BornVonKarman:
    """Return the dynamics along the path, linear in the first force constants."""
    return prior.dynamics(standard_path(prior.crystal, n_points).q, select=np.arange(n_varied))


def compare(n_sets: int, repeats: int) -> None:
    """Print the time for one set with its spectrum, of every way to compute it."""
    prior = germanium()
    model, values = model_of(prior, 200), stable_values(prior, FEW)
    few = [prior.force_constants(value, "set") for value in values[: FEW // 10]]
    many = np.resize(values[:, :8], (n_sets, 8))
    energies, matrices = model.energies(many), model.matrices(values[:, :8])

    def ours() -> None:
        for start in range(0, n_sets, 1000):
            render(model.energies(many[start : start + 1000]), GRID, RESOLUTION)

    # Making phonopy's object costs a second: one serves all sets, whose constants are linear in the parameters.
    phonon = to_phonopy(few[0])
    start, steps = np.array(phonon.force_constants), np.eye(8, prior.n_force_constants)
    slopes = np.array(
        [to_phonopy(prior.force_constants(values[0] + step, "step")).force_constants - start for step in steps]
    )
    constants = [start + np.tensordot(value[:8] - values[0, :8], slopes, 1) for value in values]

    def by_phonopy() -> None:
        for constant in constants:
            phonon.force_constants = constant
            phonon.run_qpoints(model.q)
            render(phonon.qpoints.frequencies[None] * THZ_TO_MEV, GRID, RESOLUTION)

    euphonic = [as_euphonic(fcs) for fcs in few[:3]]

    def by_euphonic() -> None:
        for fcs in euphonic:
            found = fcs.calculate_qpoint_frequencies(model.q)
            render(found.frequencies.to("meV").magnitude[None], GRID, RESOLUTION)

    # On small matrices BLAS threads only get in the way: every way is also tried without them.
    with threadpool_limits(1, user_api="blas"):
        solver = milliseconds(lambda: np.linalg.eigvalsh(matrices), FEW, 5 * repeats)
        phonopy_alone = milliseconds(by_phonopy, FEW, repeats)
        euphonic_alone = milliseconds(by_euphonic, len(euphonic), repeats)
    rendering = milliseconds(lambda: render(energies, GRID, RESOLUTION), n_sets, repeats)
    times = {
        "fcinv": milliseconds(ours, n_sets, repeats),
        "phonopy run_qpoints + render": min(phonopy_alone, milliseconds(by_phonopy, FEW, repeats)),
        "Euphonic + render": min(euphonic_alone, milliseconds(by_euphonic, len(euphonic), repeats)),
        "bare eigvalsh": solver,
        "bare render": rendering,
        "bare eigvalsh + bare render": solver + rendering,
    }
    if device := gpu():
        times[f"fcinv on {device}, without render"] = milliseconds(
            lambda: model.energies(many, device=device), n_sets, repeats
        )
    print(f"\n{n_sets} sets of germanium, 8 force constants varied, 200 q-points, 100 energy bins\n")
    print(f"{'':32} {'ms a set':>9} {'/ fcinv':>8}")
    for name, value in times.items():
        print(f"{name:32} {value:9.3f} {value / times['fcinv']:8.2f}")


def as_euphonic(fcs: ForceConstants) -> EuphonicForceConstants:
    """Pass a set to Euphonic through phonopy's file."""
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        write_phonopy_params(fcs, Path(folder) / "phonopy.yaml")
        return EuphonicForceConstants.from_phonopy(path=folder, summary_name="phonopy.yaml")


def growth(repeats: int) -> None:
    """Print how the time for one set grows with the number of sets, q-points, force constants and atoms."""
    prior = germanium()
    values = stable_values(prior, FEW)
    print("\ngermanium, mode energies alone: ms a set")
    for n_points in (50, 200, 800):
        for n_varied in (8, prior.n_force_constants):
            model = model_of(prior, n_points, n_varied)
            row = []
            for n_sets in (10, 100, 1000):
                batch = np.resize(values[:, :n_varied], (n_sets, n_varied))
                row.append(milliseconds(lambda model=model, batch=batch: model.energies(batch), n_sets, repeats))
            numbers = "  ".join(f"{value:8.3f}" for value in row)
            print(f"  {n_points:4} q-points, {n_varied:3} varied, for 10 / 100 / 1000 sets: {numbers}")
    print("\ncubic crystal of 1 ... 27 atoms a cell, 200 q-points, 8 varied: ms a set")
    for n_side in (1, 2, 3):
        model = synthetic(n_side)
        batch = np.tile(model.reference_values, (FEW, 1))
        print(f"  {n_side**3:3} atoms: {milliseconds(lambda m=model, b=batch: m.energies(b), FEW, repeats):9.3f}")


def synthetic(n_side: int) -> BornVonKarman:
    """Return the dynamics of n_side³ atoms in a cube, all masses different, with springs to near neighbours."""
    places = np.arange(n_side) / n_side
    positions = np.array(np.meshgrid(places, places, places)).reshape(3, -1).T
    masses = 20.0 + np.arange(len(positions))
    crystal = Crystal.from_cell(np.eye(3) * 3.0 * n_side, positions, ["Al"] * len(positions), masses)
    parametrisation = Parametrisation.from_bonds(bonds_within(crystal, 3.5))
    values = np.array(
        [-1.0 if element.component in ("xx", "yy", "zz") else 0.0 for element in parametrisation.elements]
    )
    empty = ForceConstants(
        crystal,
        parametrisation.first,
        parametrisation.second,
        parametrisation.cells,
        np.zeros((len(parametrisation.first), 3, 3)),
        2 * np.eye(3, dtype=np.int64),
        None,
        "",
    )
    reference = parametrisation.force_constants(values, empty, "springs")
    q = np.random.default_rng(0).uniform(-0.5, 0.5, (200, 3))
    n_varied = min(8, parametrisation.n_parameters)
    return BornVonKarman.at(q, reference, parametrisation, values, np.arange(n_varied))


def whole_command(n_sets: int) -> None:
    """Print time and peak memory of `fcinv generate`, for a tenth of the sets and for all."""
    files = shipped_ensemble("ge")
    print("\nfcinv generate, stability test, files and pictures included:")
    for n in (n_sets // 10, n_sets):
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, "-m", "fcinv_core", "generate", str(files[0].parent / "POSCAR")]
            command += ["--force-constants", *map(str, files), "--n", str(n), "--out", f"{folder}/training.h5"]
            begin = time.perf_counter()
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            elapsed = time.perf_counter() - begin
        print(f"  {n:6} sets: {elapsed:6.1f} s, peak memory {usage.ru_maxrss / 1024:5.0f} MiB")


def main() -> None:
    """Run the comparisons."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    print(
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, "
        f"Python {platform.python_version()}, numpy {np.__version__}, phonopy {phonopy.__version__}"
    )
    # First: the peak memory of a child counts what its parent held when it was started.
    whole_command(arguments.sets)
    compare(arguments.sets, arguments.repeats)
    growth(arguments.repeats)


if __name__ == "__main__":
    main()
