"""What a refinement fits: counts and exposure in cells of wavevector and energy, and where in q they lie."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from fcinv_core.crystal import Crystal, FloatArray, IntArray
from fcinv_core.errors import InputError
from fcinv_core.folding.bose import bose_factor
from fcinv_core.folding.folded import PRODUCTS, BoolArray, Folded
from fcinv_core.refinement.nodes import Nodes, lattice_nodes, seven_nodes, single_nodes
from fcinv_core.spectrum import Resolution, SpectralGrid

#: Energy bins within so many FWHM of the elastic line are left out unless asked otherwise.
_ELASTIC_FWHM = 3.0
#: Places of the variances in a covariance (`PRODUCTS`).
DIAGONAL = tuple(PRODUCTS.index((axis, axis)) for axis in range(3))


@dataclass(frozen=True, eq=False)
class Measurement:
    """Cells of a measurement, k of them, in n_bins wavevectors and the energy bins of a grid.

    Cells of one bin stand together, and in them those of one zone class: such a stretch is a line spectrum of its
    own, here called a cut.

    Attributes
    ----------
    crystal
        The measured crystal, which fixes lengths in 1/Å.
    q
        Shape (n_bins, 3): centres of the bins, fractions of the primitive reciprocal basis.
    directions
        Shape (n_bins, 3): direction from which Γ of a polar crystal is approached; None on a grid.
    axes
        Shape (n_bins, 3, 3): local frame of each bin (rows).
    grid, resolution
        Energy bins and expected resolution.
    zones
        Shape (n_cuts, 3): zone of each cut, primitive reciprocal basis.
    cut_bin
        Shape (n_cuts,): bin of each cut, ascending.
    cut_start
        Shape (n_cuts + 1,): first cell of each cut.
    energy
        Shape (k,): energy bin of each cell.
    counts
        Shape (k,): effective counts.
    variance
        Shape (k,): 0 where counts are Poisson, positive where they are Gaussian with that variance.
    exposure
        Shape (k,): expected counts where S(Q, E) is 1.
    background
        Shape (k,): expected counts of a background that is constant in counts and 1 in S on average.
    fixed
        Shape (k,): expected counts of a background that was measured.
    per_intensity
        Shape (k,): expected counts where the intensity, in the measurement's own unit, is 1.
    q_squared
        Shape (k,): |Q|², 1/Å²; 1 for spectra at no definite Q.
    looks
        Shape (k,): number of independent looks (runs and zone classes, by their exposure) that a cell averages:
        each sees another part of a pixel and another structure factor. Infinite where there is only counting.
    mean, covariance
        Shapes (k, 3) and (k, 6): mean and covariance (`PRODUCTS`) of Q - bin centre, local frame.
    weight
        Shape (n_bins,): share of a bin's events that it does not have in common with other bins.
    temperature
        K; 0 where it is not known.
    nodes
        Where modes are solved for.
    notes
        What was assumed, one sentence each.
    """

    crystal: Crystal
    q: FloatArray
    directions: FloatArray | None
    axes: FloatArray
    grid: SpectralGrid
    resolution: Resolution
    zones: IntArray
    cut_bin: IntArray
    cut_start: IntArray
    energy: IntArray
    counts: FloatArray
    variance: FloatArray
    exposure: FloatArray
    background: FloatArray
    fixed: FloatArray
    per_intensity: FloatArray
    q_squared: FloatArray
    looks: FloatArray
    mean: FloatArray
    covariance: FloatArray
    weight: FloatArray
    temperature: float
    nodes: Nodes
    notes: tuple[str, ...] = ()

    @cached_property
    def bin(self) -> IntArray:
        """Bin of each cell, shape (k,)."""
        return np.repeat(self.cut_bin, np.diff(self.cut_start))

    @property
    def node_q(self) -> FloatArray:
        """Wavevectors of all nodes, shape (n_bins, nodes, 3), fractions of the primitive reciprocal basis."""
        cartesian = self.nodes.offsets @ self.axes
        return np.asarray(self.q[:, None] + cartesian @ np.linalg.inv(self.crystal.reciprocal_lattice))

    @property
    def node_directions(self) -> FloatArray | None:
        """Directions of approach of all nodes, shape (n_bins nodes, 3)."""
        return None if self.directions is None else np.repeat(self.directions, self.nodes.per_bin, axis=0)

    def summed(self, values: FloatArray) -> FloatArray:
        """Sum a value of cells over zone classes, shape (n_bins, n_energies)."""
        shape = (len(self.q), self.grid.n_bins)
        flat = np.bincount(self.bin * shape[1] + self.energy, values, minlength=shape[0] * shape[1])
        return np.asarray(flat.reshape(shape), dtype=float)

    def finer(self) -> Measurement:
        """Return the same measurement with 27 nodes in each bin (`lattice_nodes`)."""
        mean, variance = _bin_moments(self.bin, len(self.q), self.exposure, self.mean, self.covariance)
        return replace(self, nodes=lattice_nodes(mean, variance))

    def merged(self) -> Measurement:
        """Return the same measurement with one cut a bin, zone classes weighted by exposure times |Q|²."""
        covered = self.summed(np.ones(len(self.energy))) > 0
        bins, energies = np.nonzero(covered)

        def pick(values: FloatArray) -> FloatArray:
            return self.summed(values)[covered]

        exposure, strength = pick(self.exposure), self.exposure * self.q_squared
        safe = np.maximum(pick(strength), 1e-300)
        scatter = pick(strength**2 / self.looks)
        mean = np.stack([pick(strength * self.mean[:, i]) / safe for i in range(3)], axis=1)
        second = [
            pick(strength * (self.covariance[:, p] + self.mean[:, i] * self.mean[:, j])) / safe
            - mean[:, i] * mean[:, j]
            for p, (i, j) in enumerate(PRODUCTS)
        ]
        present, start = np.unique(bins, return_index=True)
        return replace(
            self,
            zones=np.zeros((len(present), 3), dtype=np.int64),
            cut_bin=present,
            cut_start=np.append(start, len(bins)),
            energy=energies,
            counts=pick(self.counts),
            variance=pick(self.variance),
            exposure=exposure,
            background=pick(self.background),
            fixed=pick(self.fixed),
            per_intensity=pick(self.per_intensity),
            q_squared=pick(strength) / np.where(exposure > 0, exposure, 1.0),
            looks=np.divide(pick(strength) ** 2, scatter, out=np.full(len(bins), np.inf), where=scatter > 0),
            mean=mean,
            covariance=np.stack(second, axis=1),
        )


def data_of_spectrum(
    crystal: Crystal,
    q: FloatArray,
    grid: SpectralGrid,
    resolution: Resolution,
    counts: FloatArray,
    exposure: FloatArray | float,
    *,
    variance: FloatArray | None = None,
    directions: FloatArray | None = None,
) -> Measurement:
    """Take a spectrum at sharp wavevectors, such as one of the forward model.

    Parameters
    ----------
    crystal
        The crystal.
    q
        Shape (n_bins, 3): fractions of the primitive reciprocal basis.
    grid, resolution
        Energy bins and expected resolution.
    counts
        Shape (n_bins, n_energies): counts, or intensities with Gaussian errors; NaN where there are none.
    exposure
        Expected counts where the intensity is 1: a number or shape (n_bins, n_energies); 0 is not covered.
    variance
        Shape (n_bins, n_energies): of Gaussian errors; counts are Poisson by default.
    directions
        Shape (n_bins, 3): direction from which Γ of a polar crystal is approached.

    Raises
    ------
    InputError
        If counts are negative without errors, or nothing is covered.
    """
    full = np.broadcast_to(np.asarray(exposure, dtype=float), counts.shape)
    covered = np.isfinite(counts) & (full > 0)
    if variance is not None:
        covered &= np.asarray(variance) > 0
    _check_counts(counts[covered], poisson=variance is None)
    bins, energies = np.nonzero(covered)
    present, start = np.unique(bins, return_index=True)
    n = len(bins)
    return Measurement(
        crystal=crystal,
        q=np.asarray(q, dtype=float),
        directions=directions,
        axes=np.broadcast_to(np.eye(3), (len(q), 3, 3)),
        grid=grid,
        resolution=resolution,
        zones=np.zeros((len(present), 3), dtype=np.int64),
        cut_bin=present,
        cut_start=np.append(start, n),
        energy=energies,
        counts=np.asarray(counts[covered], dtype=float),
        variance=np.zeros(n) if variance is None else np.asarray(variance, dtype=float)[covered],
        exposure=full[covered],
        background=full[covered],
        fixed=np.zeros(n),
        per_intensity=full[covered],
        q_squared=np.ones(n),
        looks=np.full(n, np.inf),
        mean=np.zeros((n, 3)),
        covariance=np.zeros((n, 6)),
        weight=np.ones(len(q)),
        temperature=0.0,
        nodes=single_nodes(len(q)),
    )


def data_of_folded(
    folded: Folded,
    keep: BoolArray,
    resolution: Resolution,
    *,
    elastic_cut: float | None = None,
    temperature: float | None = None,
) -> Measurement:
    """Take the energy-loss side of a folded measurement.

    Counts follow kf/ki S whatever corrections the fold applied, so ki/kf and Bose factor are undone.

    Parameters
    ----------
    folded
        The folded measurement.
    keep
        Shape (k,): cells of ``folded.cells`` that take part.
    resolution
        Expected energy resolution; its width and slope are fitted around it.
    elastic_cut
        Energy bins that reach below this energy (meV) are left out; by default three FWHM of the elastic line.
    temperature
        K; default: that of the runs.

    Raises
    ------
    InputError
        If nothing is left, or counts are negative or no numbers.
    """
    cut = _ELASTIC_FWHM * resolution.elastic_fwhm if elastic_cut is None else elastic_cut
    cells, bins = folded.cells, folded.bins
    inside = folded.grid.edges[:-1] >= cut - 1e-9 * folded.grid.width
    exposure, background, looks = _expected(folded)
    chosen = np.flatnonzero(np.asarray(keep) & (cells.exposure > 0) & (exposure > 0) & inside[cells.energy])
    if not len(chosen):
        raise InputError(
            "nothing can be fitted",
            f"no cell above the elastic line (from {cut:g} meV) was covered",
            "widen the selection, or lower the elastic cut",
        )
    _check_counts(cells.counts[chosen], poisson=True)
    chosen = chosen[np.lexsort((cells.energy[chosen], cells.row[chosen], cells.bin[chosen]))]
    row, in_bin = cells.row[chosen], cells.bin[chosen]
    offset, covariance = cells.offset[chosen], cells.covariance[chosen]
    first = np.flatnonzero(np.diff(in_bin * len(folded.zones) + row, prepend=-1))
    centre = (folded.zones[row] + bins.q[in_bin]) @ bins.crystal.reciprocal_lattice
    middle = centre + np.einsum("ki,kij->kj", offset, bins.axes[in_bin])
    # A background that is 1 in S on average.
    unit = exposure[chosen].sum() / background[chosen].sum()
    mean, variance = _bin_moments(in_bin, len(bins), exposure[chosen], offset, covariance)
    sample_temperature, notes = _temperature(folded, temperature)
    shares = np.bincount(
        [pair[0] for pair in folded.overlaps], [pair[2] for pair in folded.overlaps], minlength=len(bins)
    )
    return Measurement(
        crystal=bins.crystal,
        q=bins.q,
        directions=None if bins.path is None else bins.path.direction,
        axes=bins.axes,
        grid=folded.grid,
        resolution=resolution,
        zones=folded.zones[row[first]],
        cut_bin=in_bin[first],
        cut_start=np.append(first, len(chosen)),
        energy=cells.energy[chosen],
        counts=cells.counts[chosen],
        variance=np.zeros(len(chosen)),
        exposure=exposure[chosen],
        background=background[chosen] * unit,
        fixed=_measured_background(folded, chosen),
        per_intensity=cells.exposure_in_counts[chosen],
        q_squared=(middle**2).sum(axis=1) + covariance[:, DIAGONAL].sum(axis=1),
        looks=looks[chosen],
        mean=offset,
        covariance=covariance,
        weight=1 / (1 + shares),
        temperature=sample_temperature,
        nodes=seven_nodes(mean, variance),
        notes=notes,
    )


def _expected(folded: Folded) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Counts expected in cells where S is 1, and where a detector's rate is 1; effective number of runs."""
    cells, energies = folded.cells, folded.grid.centres
    exposure, background, square = (np.zeros(len(cells.cell)) for _ in range(3))
    for run in folded.runs:
        weight = folded.count_weight(run)
        below = np.maximum(run.incident_energy - energies, 1e-3 * run.incident_energy)
        kf_over_ki = np.sqrt(below / run.incident_energy)
        seen = np.ones(len(energies)) if folded.kikf_applied else kf_over_ki
        if run.temperature is not None:
            # What was applied is in the weight of a count too, so it drops out.
            seen = seen * bose_factor(energies, run.temperature, folded.bose_applied)
        per_exposure = np.divide(seen, weight, out=np.zeros_like(seen), where=weight != 0)
        at, energy = np.searchsorted(cells.cell, run.exposure_cells), run.exposure_cells % len(energies)
        exposure[at] += run.exposure * per_exposure[energy]
        background[at] += run.exposure * (per_exposure / kf_over_ki)[energy]
        square[at] += (run.exposure * per_exposure[energy]) ** 2
    looks = np.divide(exposure**2, square, out=np.ones_like(square), where=square > 0)
    return exposure, background, looks


def _bin_moments(
    in_bin: IntArray, n_bins: int, weight: FloatArray, mean: FloatArray, covariance: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Mean and variances of Q - bin centre in whole bins, shape (n_bins, 3) each, from those of cells."""
    square = covariance[:, DIAGONAL] + mean**2
    total = np.maximum(np.bincount(in_bin, weight, minlength=n_bins), 1e-300)
    first, second = (
        np.stack([np.bincount(in_bin, weight * part[:, i], minlength=n_bins) / total for i in range(3)], axis=1)
        for part in (mean, square)
    )
    return first, np.maximum(second - first**2, 0.0)


def _measured_background(folded: Folded, chosen: IntArray) -> FloatArray:
    """Expected counts of a folded background in the chosen cells, alike in all zone classes of a bin."""
    cells = folded.cells
    if not folded.backgrounds:
        return np.zeros(len(chosen))
    keep = np.zeros(len(cells.cell), dtype=bool)
    keep[chosen] = True
    shown = folded.intensity(keep)
    place = cells.bin[chosen] * folded.grid.n_bins + cells.energy[chosen]
    size = shown.intensity.size
    with np.errstate(invalid="ignore", divide="ignore"):
        raw = np.bincount(place, cells.signal[chosen], minlength=size) / shown.exposure.ravel()
        level = np.nan_to_num(raw - shown.intensity.ravel())
    return np.asarray(np.maximum(level[place] * cells.exposure_in_counts[chosen], 0.0))


def _temperature(folded: Folded, given: float | None) -> tuple[float, tuple[str, ...]]:
    if given is not None:
        return given, ()
    found = sorted({run.temperature for run in folded.runs if run.temperature is not None})
    if not found:
        return 0.0, ("The temperature is not known; that of the ground state was taken.",)
    if len(found) > 1:
        return float(np.mean(found)), (f"Runs from {found[0]:g} to {found[-1]:g} K were taken at their mean.",)
    return found[0], ()


def _check_counts(values: FloatArray, *, poisson: bool) -> None:
    if not len(values):
        raise InputError("nothing can be fitted", "no cell is covered", "check exposure and selection")
    wrong = ~np.isfinite(values) | (poisson & (values < 0))
    if wrong.any():
        raise InputError(
            "the counts cannot be fitted",
            f"{int(wrong.sum())} of {len(values)} are negative or no numbers",
            "give counts, or intensities with their errors",
        )
