"""The whole job on virtual experiments whose truth is known, with the model that ships."""

from __future__ import annotations

from pathlib import Path

import pytest

from fcinv_core.crystal import read_structure
from fcinv_core.events.opening import open_events
from fcinv_core.folding.energy_bins import energy_bins
from fcinv_core.folding.fold import FoldSettings, fold
from fcinv_core.folding.normalisation import read_solid_angles
from fcinv_core.folding.selection import select_cells
from fcinv_core.force_constants.phonopy_files import read_force_constants
from fcinv_core.inversion.inversion import Inversion
from fcinv_core.inversion.invert import invert
from fcinv_core.inversion.truth import Comparison, compare
from fcinv_core.networks.model import load_model
from fcinv_core.qpath import FOLD_POINTS, standard_path
from fcinv_core.shipped import find_model, virtual_experiment
from fcinv_core.verdict import Status

pytestmark = pytest.mark.slow


def job(
    events: Path, structure: Path, truth: Path, solid_angles: Path | None = None
) -> tuple[Inversion, Comparison]:
    model = load_model(find_model("ge"))
    crystal = read_structure(structure)
    source = open_events([events])
    folded = fold(
        source,
        crystal,
        standard_path(crystal, FOLD_POINTS),
        FoldSettings(grid=energy_bins(source)),
        solid_angles=None if solid_angles is None else read_solid_angles(solid_angles),
    )
    keep, _ = select_cells(folded)
    inversion = invert(folded, keep, model)
    return inversion, compare(inversion, read_force_constants(truth, model.prior.crystal, structure=structure))


def check(inversion: Inversion, found: Comparison) -> None:
    """Dispersion within 0.2 meV rms over the zone; bands and intervals hold their share."""
    assert found.zone_rms < 0.2, found.describe()
    assert found.network_rms is not None
    assert found.zone_rms < found.network_rms
    # Modes of one fit are far from independent, and free amplitudes allow for scatter that cells have in common:
    # shares differ by more than their number suggests.
    assert 0.5 < found.bands68 < 0.99, found.describe()
    assert found.bands95 > 0.85, found.describe()
    assert found.intervals68 > 0.5, found.describe()
    assert found.intervals95 > 0.85, found.describe()
    assert inversion.status is not Status.BAD, [one.sentence for one in inversion.findings]


def test_the_twin_of_a_density_functional(shared_data: Path) -> None:
    """120 orientations on ARCS; neither the model nor its prior has seen the truth."""
    known, twin = shared_data / "ge_dft", shared_data / "twin"
    inversion, found = job(
        twin / "ge_arcs_twin.nxs",
        known / "POSCAR",
        known / "FORCE_CONSTANTS",
        twin / "ge_arcs_twin_solid_angle.nxs",
    )
    check(inversion, found)
    # Its lattice parameter is 0.2 % smaller than that of the force fields.
    assert 0.001 < inversion.strain < 0.003


def test_the_experiment_that_ships() -> None:
    folder = virtual_experiment()
    check(*job(folder / "ge_small.nxs", folder / "POSCAR", folder / "phonopy_params_truth.yaml.xz"))
