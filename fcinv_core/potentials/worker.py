"""The program that runs in a force field's own interpreter: cells go in, their forces come out.

    python worker.py JOBDIR

It stands alone: the standard library, numpy, ase and the package of one force field, never fcinv_core,
because the families of universal force fields do not share an environment with each other or with us.

JOBDIR holds, when it starts,

    job.json     family, name, checkpoint (path or null), modal (or null), options (keyword arguments of the
                 calculator), device ("cpu" or "cuda"), task ("forces" or "relax"), force_tolerance (eV/Å)
    cells.npz    lattice (3, 3) basis vectors in rows, Å; numbers (n,) atomic numbers; positions (m, n, 3)
                 Cartesian, Å

and when it ends well

    result.npz   task "forces": forces (m, n, 3), eV/Å, and energies (m,), eV;
                 task "relax": lattice (3, 3) and positions (1, n, 3) at the minimum
    report.json  versions of the packages, seconds to load the model and to run the task

Otherwise it holds failure.json with one sentence, `reason`, and the exit code is 1.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import os
import platform
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

#: Begins a line on stdout that says how far the work is; the packages print there, too.
PROGRESS_MARK = "progress: "
#: Least seconds between two such lines.
PROGRESS_INTERVAL = 2.0
#: Steps after which a relaxation is given up.
RELAXATION_STEPS = 500


def chgnet_calculator(job: dict[str, Any]) -> Any:
    """CHGNet: the models inside the package by version, or a checkpoint."""
    from chgnet.model.dynamics import CHGNetCalculator
    from chgnet.model.model import CHGNet

    if job["checkpoint"]:
        model = CHGNet.from_file(job["checkpoint"])
    else:
        model = CHGNet.load(model_name=job["name"], use_device=job["device"], verbose=False)
    return CHGNetCalculator(model=model, use_device=job["device"], **job["options"])


def sevennet_calculator(job: dict[str, Any]) -> Any:
    """SevenNet: the models inside the package by name, or a checkpoint; multi-fidelity ones need a modal."""
    from sevenn.calculator import SevenNetCalculator

    return SevenNetCalculator(
        model=job["checkpoint"] or job["name"], modal=job["modal"], device=job["device"], **job["options"]
    )


def mace_calculator(job: dict[str, Any]) -> Any:
    """MACE, from a checkpoint, in double precision as its authors advise for phonons."""
    from mace.calculators import MACECalculator

    options = {"default_dtype": "float64", **job["options"]}
    return MACECalculator(model_paths=job["checkpoint"], device=job["device"], **options)


def m3gnet_calculator(job: dict[str, Any]) -> Any:
    """M3GNet in its matgl form, from the folder of a saved potential."""
    import matgl
    from matgl.ext.ase import PESCalculator

    # Its own default unit of stress, GPa, is not ase's.
    options = {"stress_unit": "eV/A3", "use_voigt": True, **job["options"]}
    return PESCalculator(potential=matgl.load_model(job["checkpoint"]), **options)


def ase_calculator(job: dict[str, Any]) -> Any:
    """Any calculator with the interface of ase, named "module:callable"."""
    module, _, attribute = job["name"].partition(":")
    return getattr(importlib.import_module(module), attribute)(**job["options"])


#: How each family makes its calculator, and the packages whose versions decide its numbers.
FAMILIES = {
    "chgnet": (chgnet_calculator, ("chgnet", "torch", "ase", "numpy")),
    "sevennet": (sevennet_calculator, ("sevenn", "e3nn", "torch", "ase", "numpy")),
    "mace": (mace_calculator, ("mace-torch", "e3nn", "torch", "ase", "numpy")),
    "m3gnet": (m3gnet_calculator, ("matgl", "torch", "ase", "numpy")),
    "ase": (ase_calculator, ("ase", "numpy")),
}


class Progress:
    """Says how far the work is, at most once in ``PROGRESS_INTERVAL``."""

    def __init__(self) -> None:
        self._said = time.monotonic()

    def say(self, text: str) -> None:
        """Print ``text`` if the last line is old enough."""
        if time.monotonic() - self._said > PROGRESS_INTERVAL:
            print(f"{PROGRESS_MARK}{text}", flush=True)
            self._said = time.monotonic()


def forces(atoms: Any, positions: NDArray[np.float64], calculator: Any) -> dict[str, Any]:
    """Return forces (m, n, 3), eV/Å, and energies (m,), eV, with the atoms at each of ``positions``."""
    found = np.empty(positions.shape)
    energies = np.empty(len(positions))
    progress = Progress()
    for k, place in enumerate(positions):
        cell = atoms.copy()
        cell.positions = place
        cell.calc = calculator
        found[k] = cell.get_forces()
        energies[k] = float(cell.get_potential_energy())
        progress.say(f"{k + 1} of {len(positions)} supercells")
    if not np.isfinite(found).all():
        raise ValueError("the model gives forces that are not finite")
    return {"forces": found, "energies": energies}


def relax(atoms: Any, calculator: Any, force_tolerance: float) -> dict[str, Any]:
    """Minimise the energy over lattice and positions with the space group held."""
    import ase.constraints
    import ase.filters
    import ase.optimize

    atoms = atoms.copy()
    atoms.calc = calculator
    atoms.set_constraint(ase.constraints.FixSymmetry(atoms))
    lattice_and_atoms: Any = ase.filters.FrechetCellFilter(atoms)
    search = ase.optimize.BFGS(lattice_and_atoms, logfile=None, maxstep=0.05)
    progress = Progress()
    search.attach(lambda: progress.say(f"relaxation step {search.nsteps}"))
    if not search.run(fmax=force_tolerance, steps=RELAXATION_STEPS):
        raise ValueError(f"the lattice did not relax to {force_tolerance} eV/Å in {RELAXATION_STEPS} steps")
    return {"lattice": atoms.cell.array, "positions": atoms.positions[None]}


def run(folder: Path) -> None:
    """Do the job in ``folder``."""
    job = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    with np.load(folder / "cells.npz", allow_pickle=False) as cells:
        positions = cells["positions"]
        atoms = Atoms(numbers=cells["numbers"], positions=positions[0], cell=cells["lattice"], pbc=True)
    make_calculator, packages = FAMILIES[job["family"]]

    begin = time.perf_counter()
    calculator = make_calculator(job)
    loaded = time.perf_counter()
    if job["task"] == "relax":
        result = relax(atoms, calculator, job["force_tolerance"])
    else:
        result = forces(atoms, positions, calculator)
    ended = time.perf_counter()

    report = {
        "versions": {"python": platform.python_version()} | {p: importlib.metadata.version(p) for p in packages},
        "seconds": {"load": round(loaded - begin, 2), job["task"]: round(ended - loaded, 2)},
    }
    (folder / "report.json").write_text(json.dumps(report, indent=1), encoding="utf-8")
    # Renamed last: whoever finds result.npz finds all of it.
    with open(folder / "unfinished.npz", "wb") as stream:
        np.savez(stream, **result)
    os.replace(folder / "unfinished.npz", folder / "result.npz")


def main() -> int:
    """Run the job named on the command line; return the exit code."""
    folder = Path(sys.argv[1])
    try:
        run(folder)
    except Exception as error:  # whatever a foreign package raises becomes the member's reason
        text = str(error).strip()
        reason = f"{type(error).__name__}: {text.splitlines()[0]}" if text else type(error).__name__
        (folder / "failure.json").write_text(json.dumps({"reason": reason}), encoding="utf-8")
        raise
    return 0


if __name__ == "__main__":
    sys.exit(main())
