"""Planning a virtual experiment on an instrument of the table: runs, pixels, energy bins, counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from fcinv_core.errors import InputError
from fcinv_core.events import Detectors, Run, axis_rotation, instrument_definition, ub_from_vectors, with_shapes
from fcinv_core.force_constants.pairs import ForceConstants
from fcinv_core.instrument import Instrument, resolution
from fcinv_core.instrument import detectors as detectors_of
from fcinv_core.spectrum import SpectralGrid
from fcinv_core.virtual_experiment.experiment import VirtualExperiment, expected, longest_wavevector
from fcinv_core.virtual_experiment.sample import make_sample

#: Size of a pixel unless told otherwise, degrees: coarse, so that an experiment takes minutes.
PIXEL_SPACING = 3.0
#: Bins of the energy transfer unless told otherwise, in units of Ei.
_LOWEST, _STEP, _HIGHEST = -0.1, 0.0125, 0.95
#: Runs that tell how many counts an experiment has.
_PILOT_RUNS = 8


def plan(
    force_constants: ForceConstants,
    instrument: Instrument,
    incident_energy: float,
    temperature: float,
    psi: Sequence[float],
    *,
    u: ArrayLike = (1, 0, 0),
    v: ArrayLike = (0, 1, 0),
    grid: SpectralGrid | None = None,
    pixel_spacing: float = PIXEL_SPACING,
    bank_angle: float | None = None,
    elastic_fwhm: float | None = None,
    first_number: int = 1,
) -> VirtualExperiment:
    """Plan an experiment; without background, spurions and Bragg peaks, and of unit scale.

    Parameters
    ----------
    force_constants
        Of the crystal.
    instrument
        Detectors and resolution.
    incident_energy
        meV.
    temperature
        K.
    psi
        Goniometer angles about the vertical, degrees, one a run.
    u, v
        Reciprocal lattice vectors (h, k, l) of the conventional cell, along the beam and in the horizontal
        plane at psi = 0.
    grid
        Energy bins; 84 from -0.1 to 0.95 Ei by default.
    pixel_spacing
        Size of a pixel, degrees; 0 for every pixel of the instrument.
    bank_angle
        Angle of a detector bank that turns, degrees.
    elastic_fwhm
        Measured width of the elastic line, meV, which the resolution is scaled to.
    first_number
        Run number of the first run.

    Raises
    ------
    InputError
        If one of them does not fit the others.
    """
    bins = _default_grid(incident_energy) if grid is None else grid
    if not (np.isfinite(incident_energy) and incident_energy > 0):
        raise InputError(
            f"an incident energy of {incident_energy} meV is not one", "it must be positive", "check it"
        )
    if bins.minimum < -incident_energy or bins.maximum > 0.95 * incident_energy * (1 + 1e-9):
        raise InputError(
            f"energies from {bins.minimum:g} to {bins.maximum:g} meV",
            f"the resolution at Ei = {incident_energy:g} meV is known from {-incident_energy:g} to "
            f"{0.95 * incident_energy:g} meV",
            "choose energy bins in that range",
        )
    crystal = force_constants.crystal
    width = resolution(instrument, incident_energy, elastic_fwhm)
    detectors, size = pixels(instrument, pixel_spacing, bank_angle)
    ub = ub_from_vectors(crystal.cell_parameters, u, v)
    runs = tuple(
        Run(
            number=first_number + k,
            incident_energy=float(incident_energy),
            goniometer=axis_rotation((0, 1, 0), float(angle)),
            ub=ub,
            proton_charge=1.0,
            energy_limits=(bins.minimum, bins.maximum),
            energy_edges=bins.edges,
            temperature=float(temperature),
            title=f"virtual {crystal.formula}, psi {angle:g}",
        )
        for k, angle in enumerate(psi)
    )
    longest = longest_wavevector(detectors.two_theta, size, incident_energy, (bins.minimum, bins.maximum))
    sample = make_sample(force_constants, temperature, longest)
    return VirtualExperiment(
        sample=sample, runs=runs, detectors=detectors, pixel_size=size, grid=bins, resolution=width
    )


def scaled_to(experiment: VirtualExperiment, counts: float, background: float = 0.0) -> VirtualExperiment:
    """Return the same experiment with so many expected counts of the crystal.

    They are counted in eight runs at most, evenly spaced, and taken to be alike in the others.

    Parameters
    ----------
    experiment
        Its ``scale`` and ``background`` are replaced.
    counts
        Of phonons, all runs together: without elastic line, Bragg peaks and background.
    background
        Counts of the flat background as a fraction of these.

    Raises
    ------
    InputError
        If they are negative or nothing scatters.
    """
    if not (counts > 0 and background >= 0):
        raise InputError(
            f"{counts:g} counts with {background:g} of it as background",
            "the first must be positive and the second not negative",
            "check them",
        )
    unit = replace(experiment, scale=1.0, background=0.0, spurions=(), bragg=None, elastic=False, points=1)
    n_runs = len(experiment.runs)
    pilot = np.unique(np.rint(np.linspace(0, n_runs - 1, min(n_runs, _PILOT_RUNS))).astype(int)).tolist()
    seen = sum(float(block.signal.sum()) for run in pilot for block in expected(unit, run))
    if not seen > 0:
        raise InputError("the virtual experiment sees no phonons", "no counts are expected", "check energies and Q")
    charge = sum(run.proton_charge for run in experiment.runs)
    total = seen / sum(experiment.runs[run].proton_charge for run in pilot) * charge
    n_bins = len(experiment.unmasked) * experiment.n_reachable
    return replace(experiment, scale=counts / total, background=background * counts / (charge * n_bins))


def pixels(
    instrument: Instrument, spacing: float, bank_angle: float | None = None
) -> tuple[Detectors, tuple[float, float]]:
    """Return the pixels of an instrument, and their horizontal and vertical size, degrees.

    The solid angle of a pixel is that of a flat plate of one size for all, facing the sample: what the instrument
    definition of the written file says, which normalises the data.
    """
    grouped = detectors_of(instrument, spacing, bank_angle)
    arc = instrument.arcs[0]
    finest = (
        (arc.last - arc.first) / (arc.n_tubes - 1),
        float(np.degrees(arc.length / arc.n_pixels / arc.radius)),
    )
    size = (max(spacing, finest[0]), max(spacing, finest[1]))
    assert grouped.solid_angle is not None
    area = float(np.median(grouped.solid_angle * grouped.distance**2))
    plates = replace(grouped, solid_angle=area / grouped.distance**2)
    return with_shapes(definition_of(plates, instrument.name), plates), size


def definition_of(detectors: Detectors, name: str, source_distance: float = 10.0) -> str:
    """Return the instrument definition of pixels that are flat plates of one size, facing the sample."""
    assert detectors.solid_angle is not None
    side = float(np.sqrt(np.median(detectors.solid_angle * detectors.distance**2)))
    return instrument_definition(
        name, detectors, source_distance=source_distance, pixel_width=side, pixel_height=side
    )


def _default_grid(incident_energy: float) -> SpectralGrid:
    n_bins = round((_HIGHEST - _LOWEST) / _STEP)
    return SpectralGrid(_LOWEST * incident_energy, _HIGHEST * incident_energy, n_bins)
