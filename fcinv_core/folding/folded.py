"""A folded measurement: data and exposure of every run by zone class, bin and energy, and their sums."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcinv_core.crystal import FloatArray, IntArray
from fcinv_core.errors import InputError
from fcinv_core.folding.binning import Bins
from fcinv_core.folding.bose import BoseCorrection, bose_factor
from fcinv_core.folding.cells import Cells, sum_runs
from fcinv_core.folding.zones import zone_order
from fcinv_core.spectrum import SpectralGrid

BoolArray = NDArray[np.bool_]
FloatArray32 = NDArray[np.float32]

#: Order of the six products of offsets (along, u, v).
PRODUCTS = ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))


@dataclass(frozen=True, eq=False)
class FoldedRun:
    """What one run (goniometer setting) puts into the cells.

    A cell is (row, bin, energy bin), numbered (row n_bins + bin) n_energies + energy bin.

    Attributes
    ----------
    number
        Run number.
    incident_energy
        meV.
    proton_charge
        As in the file.
    goniometer
        Shape (3, 3): Q_lab = R Q_sample.
    temperature
        K, or None: that of the sample, and of the Bose correction if there is one.
    data_cells
        Shape (m,): cells that hold events, ascending.
    signal, variance, counts
        Shape (m,): sums of weights s and of their variances e², and effective counts, the sum of s² / e².
    exposure_cells
        Shape (k,): cells that were covered, ascending.
    exposure
        Shape (k,): solid angle times proton charge times energy width; of points that carry their own, its sum.
    offset
        Shape (k, 3): exposure-weighted mean of Q - bin centre in the local frame (along, u, v) of the bin, 1/Å, for
        Q in the canonical zone of its class.
    square
        Shape (k, 6): exposure-weighted mean of the products `PRODUCTS` of that offset, 1/Å².
    """

    number: int
    incident_energy: float
    proton_charge: float
    goniometer: FloatArray
    temperature: float | None
    data_cells: IntArray
    signal: FloatArray
    variance: FloatArray
    counts: FloatArray
    exposure_cells: IntArray
    exposure: FloatArray
    offset: FloatArray32
    square: FloatArray32


@dataclass(frozen=True, eq=False)
class Background:
    """A background folded into the same cells.

    Attributes
    ----------
    description
        What it is.
    runs
        Run numbers of the data that its laboratory frame was turned with; empty if it was measured in the sample's
        own frame and does not depend on them.
    scale
        Factor by which it is subtracted.
    cells
        Shape (k,): cells, ascending.
    signal, variance, exposure
        Shape (k,): sums of weights, their variances, exposure.
    """

    description: str
    runs: tuple[int, ...]
    scale: float
    cells: IntArray
    signal: FloatArray
    variance: FloatArray
    exposure: FloatArray


@dataclass(frozen=True, eq=False)
class Intensity:
    """I(bin, E) summed over zone classes.

    Attributes
    ----------
    intensity
        Shape (n_bins, n_energies): sum D / sum N less background; NaN without coverage, 0 where there was coverage
        and no count.
    sigma
        Shape (n_bins, n_energies): standard deviation from counting, for display; 0 where there was no count: a fit
        uses ``counts`` and ``exposure_in_counts``.
    counts, exposure, exposure_in_counts
        Shape (n_bins, n_energies): effective counts; exposure; exposure over the weight of one count.
    n_classes
        Shape (n_bins, n_energies): zone classes that cover the cell.
    """

    intensity: FloatArray
    sigma: FloatArray
    counts: FloatArray
    exposure: FloatArray
    exposure_in_counts: FloatArray
    n_classes: IntArray


@dataclass(frozen=True, eq=False)
class Folded:
    """A folded measurement.

    Attributes
    ----------
    bins
        Where the bins lie: a path, or the irreducible zone.
    grid
        Energy bins.
    zones, hkl
        Shape (n_rows, 3): canonical zone of each class in the primitive and the conventional reciprocal basis.
    runs
        By run number, ascending.
    backgrounds
        None, one, or after merging several.
    overlaps
        (bin, other bin, share): bins that share events.
    kikf_applied
        Whether signals hold the factor ki/kf.
    bose_applied
        Bose correction that signals hold ("None", "Chi" or "SED"), at the temperature of each run.
    coverage
        Where the exposure is from (`PointCoverage.origin`); None where it follows from detectors.
    notes
        What was assumed, one sentence each.
    provenance
        Plain content for JSON: settings, source, versions.
    """

    bins: Bins
    grid: SpectralGrid
    zones: IntArray
    hkl: IntArray
    runs: tuple[FoldedRun, ...]
    backgrounds: tuple[Background, ...] = ()
    overlaps: tuple[tuple[int, int, float], ...] = ()
    kikf_applied: bool = True
    bose_applied: BoseCorrection = "None"
    coverage: str | None = None
    notes: tuple[str, ...] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(zone classes, bins, energy bins)."""
        return len(self.zones), len(self.bins), self.grid.n_bins

    @cached_property
    def uncovered(self) -> tuple[float, float]:
        """Effective counts that lie where their own run covers nothing, in all and as a share of what was folded.

        They would be infinite intensity. Rounding of stored coordinates leaves about one in a million; more says
        that detectors, goniometer or limits of the file do not belong to its events.
        """
        outside = total = 0.0
        for run in self.runs:
            stray = ~np.isin(run.data_cells, run.exposure_cells, assume_unique=True)
            outside += float(run.counts[stray].sum())
            total += float(run.counts.sum())
        return outside, outside / total if total else 0.0

    @cached_property
    def cells(self) -> Cells:
        """Sums over all runs, in the order of their numbers, so that they do not depend on how sets were merged."""
        return sum_runs([(run, self.count_weight(run)) for run in self.runs], len(self.bins), self.grid.n_bins)

    def count_weight(self, run: FoldedRun) -> FloatArray:
        """Weight of one count of a run in each energy bin, shape (n_energies,).

        ki/kf and Bose correction where the signals hold them, times one scale for the whole run (monitor or
        vanadium normalisation).
        """
        energies = self.grid.centres
        factor = np.ones(len(energies))
        if self.kikf_applied:
            below = np.maximum(run.incident_energy - energies, 1e-3 * run.incident_energy)
            factor = np.sqrt(run.incident_energy / below)
        if run.temperature is not None:
            factor = factor * bose_factor(energies, run.temperature, self.bose_applied)
        # Beyond the elastic line the corrected signal may be negative, and so is its weight.
        expected = float((run.counts * np.abs(factor)[run.data_cells % len(energies)]).sum())
        return np.asarray(factor * (float(np.abs(run.signal).sum()) / expected if expected > 0 else 1.0))

    def select(
        self,
        *,
        hkl: Sequence[tuple[int, int, int]] | None = None,
        q_range: tuple[float, float] | None = None,
        minimum_exposure: float = 0.0,
        rejected: BoolArray | None = None,
        elastic: float = 0.0,
        window: tuple[float, float] | None = None,
    ) -> BoolArray:
        """Choose cells of `cells`, shape (k,).

        Parameters
        ----------
        hkl
            Canonical zones to keep, conventional basis.
        q_range
            Smallest and largest |Q| of a cell's centre, 1/Å.
        minimum_exposure
            Smallest exposure of a cell, as a share of the median of covered cells.
        rejected
            Shape (n_rows, n_bins): zone classes to leave out of bins (`fcinv_core.folding.outliers`).
        elastic
            Energy bins that reach within this energy (meV) of zero are left out.
        window
            Only energy bins wholly inside (meV) are kept.

        Raises
        ------
        InputError
            If a zone is not among the classes or nothing is left.
        """
        cells = self.cells
        keep = cells.exposure > 0
        if hkl is not None:
            rows = []
            for wanted in hkl:
                row = np.flatnonzero((self.hkl == np.array(wanted)).all(axis=1))
                if not len(row):
                    covered = [str(tuple(zone)) for zone in self.hkl[np.unique(cells.row)][:6].tolist()]
                    raise InputError(
                        f"zone {tuple(int(i) for i in wanted)} is not among the zone classes",
                        f"those are named by one zone each, such as {', '.join(covered)}",
                        "name the class by its canonical zone",
                    )
                rows.append(int(row[0]))
            keep &= np.isin(cells.row, rows)
        if q_range is not None:
            length = np.linalg.norm(
                (self.zones[cells.row] + self.bins.q[cells.bin]) @ self.bins.crystal.reciprocal_lattice, axis=1
            )
            keep &= (length >= q_range[0]) & (length <= q_range[1])
        if minimum_exposure > 0 and keep.any():
            keep &= cells.exposure >= minimum_exposure * np.median(cells.exposure[cells.exposure > 0])
        keep &= self.grid_bins(elastic, window)[cells.energy]
        if rejected is not None:
            keep &= ~rejected[cells.row, cells.bin]
        if not keep.any():
            raise InputError(
                "no covered cell is left by the selection",
                f"limits of zone, |Q|, energy and exposure were applied to {len(self.zones)} zone classes",
                "widen the selection",
            )
        return keep

    def grid_bins(self, elastic: float = 0.0, window: tuple[float, float] | None = None) -> BoolArray:
        """Energy bins that an elastic cut (meV) and a window (meV) leave, shape (n_energies,)."""
        bottom, top = self.grid.edges[:-1], self.grid.edges[1:]
        tolerance = 1e-9 * self.grid.width
        keep = np.ones(self.grid.n_bins, dtype=bool)
        if elastic > 0:
            keep &= (bottom >= elastic - tolerance) | (top <= -elastic + tolerance)
        if window is not None:
            keep &= (bottom >= window[0] - tolerance) & (top <= window[1] + tolerance)
        return keep

    def intensity(self, keep: BoolArray | None = None) -> Intensity:
        """Sum zone classes to I(bin, E).

        Parameters
        ----------
        keep
            Shape (k,): cells of `cells` to sum; all by default.
        """
        cells = self.cells
        chosen = cells.exposure > 0 if keep is None else keep & (cells.exposure > 0)
        signal, variance, counts, exposure, expected = (
            self._sum(cells.cell[chosen], column[chosen])
            for column in (cells.signal, cells.variance, cells.counts, cells.exposure, cells.exposure_in_counts)
        )
        n_classes = self._sum(cells.cell[chosen], np.ones(int(chosen.sum()))).astype(np.int64)
        with np.errstate(invalid="ignore", divide="ignore"):
            intensity = np.where(exposure > 0, signal / exposure, np.nan)
            sigma = np.where(exposure > 0, np.sqrt(variance) / exposure, np.nan)
        if self.backgrounds:
            level, error = self._background(cells.cell[chosen])
            intensity, sigma = intensity - level, np.sqrt(sigma**2 + error**2)
        return Intensity(intensity, sigma, counts, exposure, expected, n_classes)

    def _sum(self, cell: IntArray, values: FloatArray) -> FloatArray:
        _, n_bins, n_energies = self.shape
        flat = np.bincount(cell % (n_bins * n_energies), values, minlength=n_bins * n_energies)
        return np.asarray(flat.reshape(n_bins, n_energies), dtype=float)

    def _background(self, chosen: IntArray) -> tuple[FloatArray, FloatArray]:
        """Level and standard deviation of the background in I(bin, E), from the chosen cells only."""
        shape = self.shape[1:]
        signal, exposure, error = np.zeros(shape), np.zeros(shape), np.zeros(shape)
        for part in self.backgrounds:
            inside = np.isin(part.cells, chosen, assume_unique=True)
            signal += part.scale * self._sum(part.cells[inside], part.signal[inside])
            exposure += self._sum(part.cells[inside], part.exposure[inside])
            # The same background counts stand behind every part: errors add, not their squares.
            error += part.scale * np.sqrt(self._sum(part.cells[inside], part.variance[inside]))
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(exposure > 0, signal / exposure, np.nan), np.where(
                exposure > 0, error / exposure, np.nan
            )

    def merge(self, other: Folded) -> Folded:
        """Add the runs of another fold into the same bins.

        Sums are kept for each run, so adding is exact and its order does not matter.

        Raises
        ------
        InputError
            If crystal, bins, energies, corrections or the origin of the coverage differ, or a run is in both.
        """
        if not self.bins.same_as(other.bins) or self.grid != other.grid:
            raise InputError(
                "the folded sets have other bins",
                "crystal, symmetry, path, widths or energies differ",
                "fold all of them with the same settings",
            )
        if (self.kikf_applied, self.bose_applied) != (other.kikf_applied, other.bose_applied):
            raise InputError(
                "the folded sets hold other corrections",
                "ki/kf or Bose factor was applied to one of them only",
                "fold all of them with the same settings",
            )
        if self.coverage != other.coverage:
            raise InputError(
                "the folded sets are normalised differently",
                "; ".join(one or "coverage follows from detectors" for one in (self.coverage, other.coverage)),
                "fold events with events and histograms with histograms",
            )
        twice = sorted({run.number for run in self.runs} & {run.number for run in other.runs})
        if twice:
            raise InputError(
                f"run {twice[0]} is in both folded sets", f"{len(twice)} runs would count twice", "leave one out"
            )
        if bool(self.backgrounds) != bool(other.backgrounds):
            raise InputError(
                "one of the folded sets has a background", "the other has none", "fold both with it, or without"
            )
        zones = np.unique(np.concatenate([self.zones, other.zones]), axis=0)
        crystal = self.bins.crystal
        hkl = zones @ crystal.conventional.T
        order = zone_order(zones @ crystal.reciprocal_lattice, hkl)
        zones, hkl = zones[order], hkl[order]
        runs, backgrounds = [], list[Background]()
        for one in (self, other):
            row = _rows_of(one.zones, zones)
            runs += [one._renumbered_run(run, row) for run in one.runs]
            for part in one.backgrounds:
                moved = replace(part, cells=one._renumber(part.cells, row))
                if part.runs or not any(part.description == known.description for known in backgrounds):
                    backgrounds.append(moved)
        sources = [
            *self.provenance.get("merged", [dict(self.provenance)]),
            *other.provenance.get("merged", [dict(other.provenance)]),
        ]
        return Folded(
            bins=self.bins,
            grid=self.grid,
            zones=zones,
            hkl=hkl,
            runs=tuple(sorted(runs, key=lambda run: run.number)),
            backgrounds=tuple(sorted(backgrounds, key=lambda part: part.runs)),
            overlaps=self.overlaps,
            kikf_applied=self.kikf_applied,
            bose_applied=self.bose_applied,
            coverage=self.coverage,
            notes=tuple(dict.fromkeys(self.notes + other.notes)),
            provenance={"merged": sources},
        )

    def only_runs(self, numbers: Sequence[int]) -> Folded:
        """Return the fold of some of the runs, such as one orientation.

        Raises
        ------
        InputError
            If a run is not there, or a background belongs to wanted and unwanted runs together.
        """
        missing = sorted(set(numbers) - {run.number for run in self.runs})
        if missing:
            raise InputError(
                f"run {missing[0]} is not in the folded set", f"it holds {len(self.runs)} runs", "check it"
            )
        wanted = set(numbers)
        backgrounds = tuple(part for part in self.backgrounds if not part.runs or wanted & set(part.runs))
        if any(set(part.runs) - wanted for part in backgrounds):
            raise InputError(
                "the background was turned with several runs together",
                "it cannot be split among them",
                "fold the runs that are wanted with the background",
            )
        return replace(self, runs=tuple(run for run in self.runs if run.number in wanted), backgrounds=backgrounds)

    def only_zones(self, rows: IntArray) -> Folded:
        """Return the fold with the zone classes ``rows`` (ascending) only; no other may hold anything."""
        new = np.full(len(self.zones), -1, dtype=np.int64)
        new[rows] = np.arange(len(rows))
        return replace(
            self,
            zones=self.zones[rows],
            hkl=self.hkl[rows],
            runs=tuple(self._renumbered_run(run, new) for run in self.runs),
            backgrounds=tuple(replace(part, cells=self._renumber(part.cells, new)) for part in self.backgrounds),
        )

    def _renumber(self, cells: IntArray, row: IntArray) -> IntArray:
        size = self.shape[1] * self.shape[2]
        return row[cells // size] * size + cells % size

    def _renumbered_run(self, run: FoldedRun, row: IntArray) -> FoldedRun:
        # Rows keep their order, so cells stay ascending.
        return replace(
            run,
            data_cells=self._renumber(run.data_cells, row),
            exposure_cells=self._renumber(run.exposure_cells, row),
        )


def _rows_of(zones: IntArray, among: IntArray) -> IntArray:
    place = {tuple(zone): k for k, zone in enumerate(among.tolist())}
    return np.array([place[tuple(zone)] for zone in zones.tolist()], dtype=np.int64)
