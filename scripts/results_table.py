"""Print README's table of results: how far inversions of virtual experiments are from their known truth.

    python scripts/results_table.py [--twin FOLDER] [--niobium FOLDER] [--picture FILE.png] [--draws N]

Inverts the virtual experiment that comes with fcinv, all of it and single orientations, with the shipped models: by
the network alone, by refinement with free amplitudes and with structure factors, along the path and over the
irreducible zone, and by refinement from the prior without a network. The first FOLDER may hold a
larger experiment (ge_arcs_twin.nxs, ge_arcs_twin_solid_angle.nxs) and beside it ge_dft with its POSCAR and
FORCE_CONSTANTS; the second what scripts/niobium_experiment.py wrote. FILE.png is README's picture, of the first
experiment.
"""

from __future__ import annotations

import argparse
import platform
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
from fcinv_core.inversion.refining import AmplitudeChoice
from fcinv_core.inversion.truth import compare
from fcinv_core.networks.model import Model, load_model
from fcinv_core.plotting import save_figure
from fcinv_core.qpath import FOLD_POINTS, standard_path
from fcinv_core.report.figures import spectra
from fcinv_core.shipped import find_model, virtual_experiment


@dataclass(frozen=True)
class Answer:
    """A way to invert: its name, settings, and whether it refines over the irreducible zone."""

    name: str
    method: Method
    amplitudes: AmplitudeChoice
    zone: bool = False


NETWORK = Answer("network alone", "network", "auto")
FREE = Answer("refined, free amplitudes", "refine", "free")
PRIOR = Answer("the same from the prior", "fit", "free")
COHERENT = Answer("refined, structure factors", "refine", "coherent")
ZONE = Answer("the same over the zone", "refine", "coherent", zone=True)
WHOLE, SINGLE = (NETWORK, FREE, PRIOR, COHERENT, ZONE), (NETWORK, COHERENT, ZONE)
#: Divisions of the irreducible zone.
GRID = 10


@dataclass(frozen=True, eq=False)
class Experiment:
    """A virtual experiment along the path and over the zone, a model, and the force constants that made it."""

    name: str
    model: Model
    folded: Folded
    zone: Folded
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
    print("| Measurement | Answer | rms over the zone, meV | modes in 68 / 95 % band | FCs in 1 / 2 σ |")
    print("|---|---|---:|---:|---:|")
    for number, experiment in enumerate(experiments):
        for answer in SINGLE if len(experiment.folded.runs) == 1 else WHOLE:
            inversion = invert_with(experiment, answer, arguments.draws)
            found = compare(inversion, experiment.truth)
            print(
                f"| {experiment.name} | {answer.name} | {found.zone_rms:.2f} | {100 * found.bands68:.0f} / "
                f"{100 * found.bands95:.0f} % | {100 * found.intervals68:.0f} / {100 * found.intervals95:.0f} % |",
                flush=True,
            )
            if number == 0 and answer is FREE and arguments.picture is not None:
                save_figure(spectra(inversion), arguments.picture)


def invert_with(experiment: Experiment, answer: Answer, draws: int) -> Inversion:
    """Invert an experiment in one way."""
    zone = (experiment.zone, select_cells(experiment.zone)[0]) if answer.zone else None
    keep, _ = select_cells(experiment.folded)
    settings = InversionSettings(method=answer.method, amplitudes=answer.amplitudes, n_draws=draws)
    return invert(experiment.folded, keep, experiment.model, settings, zone=zone)


def folds(events: Path, structure: Path, solid_angles: Path | None = None) -> tuple[Folded, Folded]:
    """Fold events along the path, and over the irreducible zone."""
    crystal, source = read_structure(structure), open_events([events])
    known = None if solid_angles is None else read_solid_angles(solid_angles)
    settings = FoldSettings(grid=energy_bins(source))
    return (
        fold(source, crystal, standard_path(crystal, FOLD_POINTS), settings, solid_angles=known),
        fold(source, crystal, GRID, settings, solid_angles=known),
    )


def shipped(model: Model) -> list[Experiment]:
    """The virtual experiment that comes with fcinv, and three of its orientations, each alone."""
    folder = virtual_experiment()
    folded, zone = folds(folder / "ge_small.nxs", folder / "POSCAR")
    truth = read_force_constants(folder / "phonopy_params_truth.yaml.xz", model.prior.crystal)
    numbers = [run.number for run in folded.runs]
    few = [numbers[0], numbers[len(numbers) // 2], numbers[-1]]
    return [
        Experiment(f"shipped, {len(numbers)} orientations", model, folded, zone, truth),
        *(
            Experiment(
                f"shipped, run {number} alone", model, folded.only_runs([number]), zone.only_runs([number]), truth
            )
            for number in few
        ),
    ]


def twin(model: Model, folder: Path) -> list[Experiment]:
    """A larger experiment on germanium whose force constants are those of a density functional."""
    known = folder.parent / "ge_dft"
    angles = folder / "ge_arcs_twin_solid_angle.nxs"
    folded, zone = folds(folder / "ge_arcs_twin.nxs", known / "POSCAR", angles)
    truth = read_force_constants(known / "FORCE_CONSTANTS", model.prior.crystal, structure=known / "POSCAR")
    return [Experiment(f"DFT twin, {len(folded.runs)} orientations", model, folded, zone, truth)]


def niobium(model: Model, folder: Path) -> list[Experiment]:
    """An experiment on niobium at room temperature whose force constants were measured."""
    folded, zone = folds(folder / "events.nxs", folder / "POSCAR")
    truth = read_force_constants(folder / "phonopy_params_truth.yaml", model.prior.crystal)
    return [Experiment(f"Nb at 296 K, {len(folded.runs)} orientations", model, folded, zone, truth)]


if __name__ == "__main__":
    main()
