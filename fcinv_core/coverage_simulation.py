"""The spectrum that a set of force constants would give on the coverage of a folded measurement."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict

import numpy as np

import fcinv_core
from fcinv_core.crystal import FloatArray
from fcinv_core.errors import InputError
from fcinv_core.folding.bose import bose_factor
from fcinv_core.folding.folded import BoolArray, Folded
from fcinv_core.folding.folded_file import first_dimension
from fcinv_core.force_constants.pairs import ForceConstants
from fcinv_core.nexus import MDHisto, energy_dimension
from fcinv_core.spectrum import Resolution
from fcinv_core.structure_factor.debye_waller import thermal_displacements
from fcinv_core.structure_factor.one_phonon import coherent_one_phonon, one_phonon_spectra
from fcinv_core.structure_factor.scattering_lengths import natural_scattering_lengths

#: Cells of the fold that are computed at once.
_BLOCK = 20_000


def measured_temperature(folded: Folded) -> float:
    """Return the mean temperature of the runs of a folded measurement, K.

    Raises
    ------
    InputError
        If a run has none.
    """
    known = [run.temperature for run in folded.runs if run.temperature is not None]
    if len(known) < len(folded.runs):
        raise InputError(
            "the temperature of the sample is not known",
            "a run of the measurement has none",
            "give the temperature",
        )
    return float(np.mean(known))


def coherent_on_coverage(
    folded: Folded,
    force_constants: ForceConstants,
    temperature: float,
    resolution: Resolution,
    *,
    keep: BoolArray | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> FloatArray:
    """Return coherent one-phonon scattering summed over zone classes as the measurement was.

    I(q, E) = sum_c N_c S(Q_c, E) / sum_c N_c over the cells c that were covered, each at the exposure-weighted mean
    Q of its detectors' trajectories, with the factors (ki/kf, Bose) that the measured signals hold. Elastic line,
    incoherent and multiphonon scattering and background are left out.

    Parameters
    ----------
    folded
        The measurement.
    force_constants
        Of the same crystal object's lattice.
    temperature
        K.
    resolution
        Energy resolution.
    keep
        Shape (k,): cells of ``folded.cells`` that are summed; all covered ones by default.
    progress
        Called with cells done and all cells.

    Returns
    -------
    Shape (n_bins, n_energies), mb/sr/meV per atom; NaN where nothing was covered.

    Raises
    ------
    InputError
        If the force constants belong to another crystal or are unstable.
    """
    crystal, bins = force_constants.crystal, folded.bins
    if crystal.symbols != bins.crystal.symbols or not np.allclose(
        crystal.lattice, bins.crystal.lattice, rtol=0.05, atol=0.05 * np.abs(crystal.lattice).max()
    ):
        raise InputError(
            f"the force constants are those of {crystal.describe()}",
            f"the measurement is of {bins.crystal.describe()}",
            "give both of one crystal",
        )
    cells = folded.cells
    chosen = np.flatnonzero(cells.exposure > 0 if keep is None else keep & (cells.exposure > 0))
    lengths = natural_scattering_lengths(crystal)
    displacements = thermal_displacements(force_constants, temperature)
    to_fraction = np.linalg.inv(bins.crystal.reciprocal_lattice)
    values = np.empty(len(chosen))
    for start in range(0, len(chosen), _BLOCK):
        block = chosen[start : start + _BLOCK]
        bin_of = cells.bin[block]
        offset = np.einsum("ka,kab->kb", cells.offset[block], bins.axes[bin_of]) @ to_fraction
        q = folded.zones[cells.row[block]] + bins.q[bin_of] + offset
        directions = None if bins.path is None else bins.path.direction[bin_of]
        lines = coherent_one_phonon(force_constants, q, lengths, displacements, directions)
        spectra = one_phonon_spectra(lines, temperature, folded.grid, resolution)
        values[start : start + _BLOCK] = spectra[np.arange(len(block)), cells.energy[block]]
        progress(min(start + _BLOCK, len(chosen)), len(chosen))
    values *= _factors(folded, temperature)[cells.energy[chosen]]
    shape = folded.shape[1:]
    place = cells.bin[chosen] * shape[1] + cells.energy[chosen]
    total = np.bincount(place, cells.exposure[chosen], shape[0] * shape[1])
    weighted = np.bincount(place, cells.exposure[chosen] * values, shape[0] * shape[1])
    with np.errstate(invalid="ignore"):
        return np.asarray((weighted / total).reshape(shape))


def coverage_histogram(
    folded: Folded,
    intensity: FloatArray,
    force_constants: ForceConstants,
    temperature: float,
    resolution: Resolution,
) -> MDHisto:
    """Return the result of `coherent_on_coverage` as a histogram over the axes of the measurement."""
    return MDHisto(
        signal=intensity,
        error_squared=np.zeros_like(intensity),
        num_events=np.isfinite(intensity).astype(float),
        dimensions=(first_dimension(folded), energy_dimension(folded.grid.edges)),
        logs={
            "run_title": f"simulated I(q,E) of {force_constants.crystal.formula} on the coverage of a measurement"
        },
        content={
            "kind": "simulation on a coverage",
            "signal": "coherent one-phonon scattering, mb/sr/meV per atom, summed as the measurement",
            "path": None if folded.bins.path is None else folded.bins.path.to_dict(),
            "grid_mev": asdict(folded.grid),
            "temperature_k": temperature,
            "resolution_fwhm_mev": list(resolution.fwhm_coefficients),
            "force_constants": force_constants.source,
            "runs": [run.number for run in folded.runs],
            "kikf_applied": folded.kikf_applied,
            "bose_applied": folded.bose_applied,
            "version": fcinv_core.__version__,
        },
    )


def _factors(folded: Folded, temperature: float) -> FloatArray:
    """What measured signals hold beside S(Q, E), by energy bin."""
    energies = folded.grid.centres
    factors = bose_factor(energies, temperature, folded.bose_applied) if folded.bose_applied != "None" else 1.0
    if folded.kikf_applied:
        return np.asarray(factors * np.ones(len(energies)))
    incident = float(np.mean([run.incident_energy for run in folded.runs]))
    return np.asarray(factors * np.sqrt(np.maximum(incident - energies, 0.0) / incident))
