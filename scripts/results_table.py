"""Print README's table of results: how far inversions of virtual experiments are from their known truth.

    python scripts/results_table.py [--twin FOLDER] [--niobium FOLDER] [--picture FILE.png] [--draws N]

Inverts the virtual experiment that comes with fcinv, all of it and single orientations, with the shipped models: by
the network alone, by refinement, and by refinement from the prior without a network. The first FOLDER may hold a
larger experiment (ge_arcs_twin.nxs, ge_arcs_twin_solid_angle.nxs) and beside it ge_dft with its POSCAR and
FORCE_CONSTANTS; the second what scripts/niobium_experiment.py wrote. FILE.png is README's picture, of the first
experiment.
"""

from __future__ import annotations

import argparse
import platform
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fcinv_core.crystal import read_structure
from fcinv_core.events.opening import open_events
from fcinv_core.folding.energy_bins import energy_bins
from fcinv_core.folding.fold import FoldSettings, fold
from fcinv_core.folding.folded import Folded
from fcinv_core.folding.normalisation import read_solid_angles
from fcinv_core.folding.selection import select_cells
from fcinv_core.force_constants.pairs import ForceConstants
from fcinv_core.force_constants.phonopy_files import read_force_constants
from fcinv_core.inversion.inversion import Inversion, Method
from fcinv_core.inversion.invert import InversionSettings, invert
from fcinv_core.inversion.truth import compare
from fcinv_core.networks.model import Model, load_model
from fcinv_core.plotting import save_figure
from fcinv_core.qpath import FOLD_POINTS, standard_path
from fcinv_core.report.figures import spectra
from fcinv_core.shipped import find_model, virtual_experiment

METHODS: dict[Method, str] = {
    "network": "network alone",
    "refine": "network + refinement",
    "fit": "refinement from the prior",
}


@dataclass(frozen=True, eq=False)
class Experiment:
    """A folded virtual experiment, the model to invert it with, and the force constants that it was made with."""

    name: str
    model: Model
    folded: Folded
    truth: ForceConstants


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--twin", type=Path)
    parser.add_argument("--niobium", type=Path)
    parser.add_argument("--picture", type=Path)
    parser.add_argument("--draws", type=int, default=300)
    arguments = parser.parse_args()
    model = load_model(find_model("ge"))
    experiments = shipped(model)
    if arguments.twin is not None:
        experiments += twin(model, arguments.twin)
    if arguments.niobium is not None:
        experiments += niobium(load_model(find_model("nb")), arguments.niobium)
    print(f"{platform.machine()}, {platform.processor() or platform.system()}, numpy {np.__version__}\n")
    print("| Measurement | Answer | rms over the zone, meV | modes in 68 / 95 % band | FCs in 1 / 2 σ | seconds |")
    print("|---|---|---:|---:|---:|---:|")
    for number, experiment in enumerate(experiments):
        for method, name in METHODS.items():
            started = time.perf_counter()
            inversion = invert_with(experiment, method, arguments.draws)
            seconds = time.perf_counter() - started
            found = compare(inversion, experiment.truth)
            print(
                f"| {experiment.name} | {name} | {found.zone_rms:.2f} | {100 * found.bands68:.0f} / "
                f"{100 * found.bands95:.0f} % | {100 * found.intervals68:.0f} / {100 * found.intervals95:.0f} % "
                f"| {seconds:.0f} |",
                flush=True,
            )
            if number == 0 and method == "refine" and arguments.picture is not None:
                save_figure(spectra(inversion), arguments.picture)


def invert_with(experiment: Experiment, method: Method, draws: int) -> Inversion:
    """Invert an experiment by one method."""
    keep, _ = select_cells(experiment.folded)
    return invert(experiment.folded, keep, experiment.model, InversionSettings(method=method, n_draws=draws))


def shipped(model: Model) -> list[Experiment]:
    """The virtual experiment that comes with fcinv, and three of its orientations, each alone."""
    folder = virtual_experiment()
    crystal = read_structure(folder / "POSCAR")
    source = open_events([folder / "ge_small.nxs"])
    folded = fold(source, crystal, standard_path(crystal, FOLD_POINTS), FoldSettings(grid=energy_bins(source)))
    truth = read_force_constants(folder / "phonopy_params_truth.yaml.xz", model.prior.crystal)
    numbers = [run.number for run in folded.runs]
    few = [numbers[0], numbers[len(numbers) // 2], numbers[-1]]
    return [
        Experiment(f"shipped, {len(numbers)} orientations", model, folded, truth),
        *(Experiment(f"shipped, run {number} alone", model, folded.only_runs([number]), truth) for number in few),
    ]


def twin(model: Model, folder: Path) -> list[Experiment]:
    """A larger experiment on germanium whose force constants are those of a density functional."""
    known = folder.parent / "ge_dft"
    crystal = read_structure(known / "POSCAR")
    source = open_events([folder / "ge_arcs_twin.nxs"])
    folded = fold(
        source,
        crystal,
        standard_path(crystal, FOLD_POINTS),
        FoldSettings(grid=energy_bins(source)),
        solid_angles=read_solid_angles(folder / "ge_arcs_twin_solid_angle.nxs"),
    )
    truth = read_force_constants(known / "FORCE_CONSTANTS", model.prior.crystal, structure=known / "POSCAR")
    return [Experiment(f"DFT twin, {len(folded.runs)} orientations", model, folded, truth)]


def niobium(model: Model, folder: Path) -> list[Experiment]:
    """An experiment on niobium at room temperature whose force constants were measured."""
    crystal = read_structure(folder / "POSCAR")
    source = open_events([folder / "events.nxs"])
    folded = fold(source, crystal, standard_path(crystal, FOLD_POINTS), FoldSettings(grid=energy_bins(source)))
    truth = read_force_constants(folder / "phonopy_params_truth.yaml", model.prior.crystal)
    return [Experiment(f"Nb at 296 K, {len(folded.runs)} orientations", model, folded, truth)]


if __name__ == "__main__":
    main()
