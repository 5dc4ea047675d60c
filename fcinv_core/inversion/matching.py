"""Whether a measurement and a model are of one crystal, and whether a measurement can be inverted at all."""

from __future__ import annotations

import numpy as np

from fcinv_core.crystal import SITE_TOLERANCE, Crystal, map_cell
from fcinv_core.errors import InputError
from fcinv_core.events.source import NORMALISED
from fcinv_core.folding.folded import BoolArray, Folded
from fcinv_core.networks.inputs import checked


def strain_between(measured: Crystal, known: Crystal) -> float:
    """Return the largest principal strain between a measured crystal and the one that force constants are known of.

    A few per cent are thermal expansion, or the density functional behind the force constants.

    Raises
    ------
    InputError
        If they are not the same crystal; the message says what differs.
    """
    name = "the crystal of the measurement"
    mapping = map_cell(known, measured.lattice, measured.positions, measured.symbols, measured.masses, name=name)
    same = measured.symbols == known.symbols and np.array_equal(measured.rotations, known.rotations)
    if same:
        # Fractions of the reciprocal basis must mean the same in both.
        shift = measured.positions - known.positions
        distance = np.linalg.norm((shift - np.rint(shift)) @ known.lattice, axis=1)
        same = float(distance.max()) < SITE_TOLERANCE and np.allclose(
            measured.lattice @ np.linalg.inv(known.lattice), np.eye(3), rtol=0, atol=2 * max(mapping.strain, 1e-6)
        )
    if not same:
        raise InputError(
            f"{name} is another crystal than {known.describe()}",
            f"it is {measured.describe()}, in another standard setting",
            "fold with the structure that the model was made for",
        )
    return mapping.strain


def check_measurement(folded: Folded, keep: BoolArray) -> None:
    """Raise InputError unless a folded measurement holds something along a path that can be inverted."""
    path = folded.bins.path
    if path is None:
        raise InputError(
            "the measurement is folded over the irreducible zone",
            "an inversion wants it along a path",
            "fold the events without --grid",
        )
    if folded.coverage == NORMALISED:
        raise InputError(
            "the measurement holds intensities, not counts",
            "it was folded from a histogram that was normalised before, and how many neutrons stand behind a voxel "
            "is not known",
            "fold the events, or MDNorm's data with --normalisation",
        )
    found, cells = folded.intensity(keep), folded.cells
    signal = cells.signal[keep & (cells.counts != 0)]
    if len(signal) and not np.isfinite(signal).any():
        raise InputError(
            "no intensity of the measurement is a number",
            "all of them are NaN",
            "look at the events with fcinv check",
        )
    checked(found.counts, found.exposure_in_counts, (path.n_points, folded.grid.n_bins))


def check_zone(zone: Folded, folded: Folded) -> None:
    """Raise InputError unless the first is the same measurement as the second, over the irreducible zone."""
    if zone.bins.path is not None:
        raise InputError(
            "the measurement of the zone is folded along a path",
            "a refinement over the irreducible zone wants it on a grid",
            "fold the same events on a grid",
        )
    if [run.number for run in zone.runs] != [run.number for run in folded.runs] or not np.allclose(
        zone.bins.crystal.lattice, folded.bins.crystal.lattice
    ):
        raise InputError(
            "path and zone are not of one measurement",
            "their runs or crystals differ",
            "fold the same events twice: along the path, and on a grid",
        )
    if zone.coverage == NORMALISED:
        raise InputError(
            "the measurement of the zone holds intensities, not counts",
            "it was normalised before",
            "fold the events",
        )
