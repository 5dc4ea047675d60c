"""Make a virtual experiment on niobium at 296 K from measured force constants, independent of any force field.

    python scripts/niobium_experiment.py FOLDER

The truth is the Born-von Karman fit to triple-axis data of Nakagawa and Woods, Phys. Rev. Lett. 11, 271 (1963), as
tabulated in Landolt-Börnstein III/13a (1981): eight shells, of which the outer ones are beyond most cells of force
fields. Writes FOLDER/POSCAR, phonopy_params_truth.yaml and events.nxs: coherent, incoherent and multiphonon
scattering, elastic line and background of ARCS, every count an event of its own. Takes minutes on two cores.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np

from fcinv_core import files
from fcinv_core.crystal import Crystal, FloatArray
from fcinv_core.dynamics import mode_energies
from fcinv_core.force_constants.pairs import ForceConstants
from fcinv_core.force_constants.phonopy_files import write_phonopy_params
from fcinv_core.instrument import find_instrument
from fcinv_core.spectrum import SpectralGrid
from fcinv_core.units import THZ_TO_MEV
from fcinv_core.virtual_experiment import plan, scaled_to, write_experiment

LATTICE_PARAMETER = 3.3008
#: Shell, as a bond in units of a/2, to xx, yy, zz, yz, xz, xy in N/m: those that the table gives, and those that
#: symmetry makes of them. The sign is that of a spring: opposite to phonopy's.
SHELLS = {
    (1, 1, 1): (14.14, 14.14, 14.14, 8.84, 8.84, 8.84),
    (2, 0, 0): (14.16, -3.64, -3.64, 0.0, 0.0, 0.0),
    (2, 2, 0): (2.27, 2.27, -6.38, 0.0, 0.0, 0.79),
    (3, 1, 1): (3.61, -0.75, -0.75, -0.95, 1.26, 1.26),
    (2, 2, 2): (-1.16, -1.16, -1.16, -1.33, -1.33, -1.33),
    (4, 0, 0): (-7.08, 1.32, 1.32, 0.0, 0.0, 0.0),
    (1, 3, 3): (-0.03, -0.10, -0.10, 0.37, -0.17, -0.17),
    (4, 2, 0): (0.51, -0.27, 0.81, 0.0, 0.0, -0.06),
}
#: Frequencies of that fit at H, N and P, THz.
FREQUENCIES = {(-0.5, 0.5, 0.5): (6.487,), (0.0, 0.5, 0.0): (3.949, 5.069, 5.618), (0.25, 0.25, 0.25): (5.027,)}
NEWTON_PER_METRE = 1 / 16.02176634  # eV/Å²

TEMPERATURE, INCIDENT_ENERGY, COUNTS, BACKGROUND = 296.0, 45.0, 1_000_000.0, 0.1
PSI = np.arange(0.0, 90.0, 2.0)
GRID = SpectralGrid(-3.0, 39.0, 84)
PIXEL_SPACING = 1.5


def main() -> None:
    """Write the experiment."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder: Path = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    crystal = Crystal.from_cell(LATTICE_PARAMETER * np.eye(3), np.array([[0, 0, 0], [0.5, 0.5, 0.5]]), ["Nb", "Nb"])
    truth = published(crystal)
    for q, frequencies in FREQUENCIES.items():
        found = mode_energies(truth, np.array([q]))[0] / THZ_TO_MEV
        assert np.abs(found - frequencies).max() < 1e-3, f"{found} THz at {q}, published: {frequencies}"
    lattice, positions, symbols = crystal.conventional_cell()
    rows = [" ".join(f"{x:.10f}" for x in row) for row in np.vstack([lattice, positions])]
    poscar = ["niobium at 296 K", "1.0", *rows[:3], symbols[0], str(len(symbols)), "Direct", *rows[3:]]
    files.write_text(folder / "POSCAR", "\n".join(poscar) + "\n")
    write_phonopy_params(truth, folder / "phonopy_params_truth.yaml")
    planned = plan(
        truth,
        find_instrument("ARCS"),
        INCIDENT_ENERGY,
        TEMPERATURE,
        PSI.tolist(),
        u=(1, 1, 0),
        v=(0, 0, 1),
        grid=GRID,
        pixel_spacing=PIXEL_SPACING,
    )
    n_events = write_experiment(
        folder / "events.nxs",
        scaled_to(replace(planned, seed=1963, true_events=True), COUNTS, BACKGROUND),
        instrument_name="ARCS",
        provenance={"made_by": "scripts/niobium_experiment.py"},
        progress=lambda done, total: print(f"  run {done} of {total}", flush=True),
    )
    print(f"{n_events} filled pixels and bins in {folder / 'events.nxs'}")


def published(crystal: Crystal) -> ForceConstants:
    """Return the published constants on all bonds of their shells, the on-site tensor by the acoustic sum rule."""
    bonds: dict[tuple[int, ...], FloatArray] = {}
    for bond, (xx, yy, zz, yz, xz, xy) in SHELLS.items():
        tensor = np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])
        for rotation in crystal.cartesian_rotations:
            image = tuple(int(x) for x in np.rint(rotation @ bond))
            rotated = rotation @ tensor @ rotation.T
            assert np.allclose(bonds.setdefault(image, rotated), rotated), f"{bond} breaks its own symmetry"
    vectors = np.array([(0, 0, 0), *bonds]) * LATTICE_PARAMETER / 2
    tensors = -NEWTON_PER_METRE * np.array([-sum(bonds.values()), *bonds.values()])
    cells = np.rint(vectors @ np.linalg.inv(crystal.lattice)).astype(np.int64)
    sites = np.zeros(len(cells), dtype=np.int64)
    reach = 2 * int(np.abs(cells).max()) + 1
    return ForceConstants(
        crystal=crystal,
        first=sites,
        second=sites,
        cells=cells,
        tensors=tensors,
        supercell=reach * np.eye(3, dtype=np.int64),
        non_analytic=None,
        source="Nakagawa and Woods, Phys. Rev. Lett. 11, 271 (1963)",
    )


if __name__ == "__main__":
    main()
