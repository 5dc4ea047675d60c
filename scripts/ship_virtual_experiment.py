"""Make the small virtual experiment on germanium that ships with fcinv.

    python scripts/ship_virtual_experiment.py

Writes fcinv_core/data/virtual/: ge_small.nxs (events), POSCAR, phonopy_params_truth.yaml.xz (the force constants
it was made with) and ge_small.json (how). The truth is neither a member of the shipped ensemble nor a measured
set: the member 7net-l3i5, all of it times 1.12 because force fields are too soft, and then every independent
force constant times a factor of its own from [0.94, 1.06]. Takes half a minute on two cores.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np

from fcinv_core import __version__, files
from fcinv_core.crystal import read_structure
from fcinv_core.force_constants.bonds import bonds_in_supercell
from fcinv_core.force_constants.pairs import ForceConstants
from fcinv_core.force_constants.parametrisation import Parametrisation
from fcinv_core.force_constants.phonopy_files import read_force_constants, write_phonopy_params
from fcinv_core.instrument import find_instrument
from fcinv_core.spectrum import SpectralGrid
from fcinv_core.stability import judge
from fcinv_core.virtual_experiment import VirtualExperiment, plan, scaled_to, write_experiment

DATA = Path(__file__).parent.parent / "fcinv_core" / "data"
DESTINATION = DATA / "virtual"
MEMBER = DATA / "ensembles" / "ge" / "phonopy_params_sevennet-7net-l3i5.yaml.xz"
COMMON_FACTOR, SPREAD, SEED = 1.12, 0.06, 20260
INSTRUMENT, INCIDENT_ENERGY, TEMPERATURE = "ARCS", 45.0, 10.0
PSI = np.arange(0.0, 90.0, 4.0)
GRID = SpectralGrid(-3.0, 42.0, 60)
PIXEL_SPACING = 4.0
COUNTS, BACKGROUND = 105_000.0, 0.15


def truth() -> tuple[ForceConstants, dict[str, list[float]]]:
    """Return the force constants, and label to (value, factor) of each independent one."""
    crystal = read_structure(DATA / "ensembles" / "ge" / "POSCAR")
    member = read_force_constants(MEMBER, crystal)
    parametrisation = Parametrisation.from_bonds(bonds_in_supercell(crystal, member.supercell))
    factors = COMMON_FACTOR * np.random.default_rng(SEED).uniform(
        1 - SPREAD, 1 + SPREAD, parametrisation.n_parameters
    )
    values = factors * parametrisation.project(member).values
    source = f"{MEMBER.name} with every independent force constant changed"
    made = parametrisation.force_constants(values, member, source)
    verdict = judge(made)
    assert verdict.lowest > -0.01, f"imaginary modes: {verdict}"
    table = {
        label: [float(value), float(factor)]
        for label, value, factor in zip(parametrisation.labels, values, factors, strict=True)
    }
    return made, table


def experiment(force_constants: ForceConstants) -> VirtualExperiment:
    """Return the experiment that ships: (h, h, l) and beyond, psi about [1, -1, 0]."""
    planned = plan(
        force_constants,
        find_instrument(INSTRUMENT),
        INCIDENT_ENERGY,
        TEMPERATURE,
        PSI.tolist(),
        u=(1, 1, 0),
        v=(0, 0, 1),
        grid=GRID,
        pixel_spacing=PIXEL_SPACING,
    )
    return scaled_to(replace(planned, seed=SEED), COUNTS, BACKGROUND)


def main() -> None:
    """Make all files."""
    made, table = truth()
    planned = experiment(made)
    structure = DATA / "ensembles" / "ge" / "POSCAR"
    files.write_text(DESTINATION / "POSCAR", structure.read_text(encoding="utf-8"))
    write_phonopy_params(made, DESTINATION / "phonopy_params_truth.yaml.xz")
    content = {
        "made_by": "scripts/ship_virtual_experiment.py",
        "fcinv": __version__,
        "truth": {
            "from": MEMBER.name,
            "from_sha256": files.sha256(MEMBER),
            "change": f"all times {COMMON_FACTOR}, then each times a factor from [{1 - SPREAD}, {1 + SPREAD}]",
            "value_ev_per_square_angstrom_and_factor": table,
        },
        "instrument": INSTRUMENT,
        "incident_energy_mev": INCIDENT_ENERGY,
        "temperature_k": TEMPERATURE,
        "psi_degrees": PSI.tolist(),
        "along_beam_and_in_plane": [[1, 1, 0], [0, 0, 1]],
        "energy_bins_mev": [GRID.minimum, GRID.width, GRID.maximum],
        "pixel_degrees": planned.pixel_size,
        "resolution_fwhm_coefficients": planned.resolution.fwhm_coefficients,
        "expected_phonon_counts": COUNTS,
        "background_fraction": BACKGROUND,
        "scale": planned.scale,
        "background_counts_per_pixel_and_bin": planned.background,
        "contains": "coherent one-phonon, incoherent one-phonon, multiphonon, incoherent elastic, flat background",
        "seed": SEED,
    }
    events = DESTINATION / "ge_small.nxs"
    n_events = write_experiment(
        events,
        planned,
        instrument_name=INSTRUMENT,
        provenance={"virtual_experiment": json.dumps(content)},
        progress=lambda done, total: print(f"  run {done} of {total}", flush=True),
    )
    content |= {"events": n_events, "events_sha256": files.sha256(events)}
    files.write_text(DESTINATION / "ge_small.json", json.dumps(content, indent=1) + "\n")
    print(f"{n_events} filled pixels and bins, {events.stat().st_size / 1e6:.2f} MB: {events}")


if __name__ == "__main__":
    main()
