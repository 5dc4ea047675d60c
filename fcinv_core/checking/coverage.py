"""Coverage: what was measured of |Q|, energy and the Brillouin zone, and what each run adds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fcinv_core.crystal import FloatArray, IntArray
from fcinv_core.verdict import Finding, Status

_Q_BIN, _N_ENERGIES = 0.1, 40
#: Divisions of the primitive reciprocal basis, and energy windows, for the share of the zone.
_ZONE_DIVISIONS, _ZONE_WINDOWS = 6, 10
_COUNTS = 5.0
#: Shares of the zone (and energies) that are enough, and that are little.
_OK_SHARE, _POOR_SHARE = 0.8, 0.2


@dataclass(frozen=True, eq=False)
class Coverage:
    """What was measured.

    Attributes
    ----------
    q_edges, energy_edges
        Shapes (a + 1,) in 1/Å and (b + 1,) in meV.
    signal, exposure
        Shape (a, b): weight of events, and exposure of pixels.
    run_counts
        Shape (r,): number of events of each run.
    run_weights
        Shape (r,): their weight.
    zone_covered
        Share of the irreducible Brillouin zone (at all energies) that a pixel passed; NaN without a structure.
    zone_counted
        Share in which five counts or more were seen.
    zone_by_energy
        Shape (w,): share covered in each energy window.
    zone_energy_edges
        Shape (w + 1,): meV.
    n_events, n_unknown
        Events in all, and those of unknown or masked pixels.
    """

    q_edges: FloatArray
    energy_edges: FloatArray
    signal: FloatArray
    exposure: FloatArray
    run_counts: IntArray
    run_weights: FloatArray
    zone_covered: float
    zone_counted: float
    zone_by_energy: FloatArray
    zone_energy_edges: FloatArray
    n_events: int
    n_unknown: int


class CoverageSums:
    """Sums over |Q| and energy, and over the Brillouin zone."""

    def __init__(
        self,
        largest_q: float,
        energies: tuple[float, float],
        inelastic_from: float,
        n_runs: int,
        to_fraction: FloatArray | None,
    ) -> None:
        low, high = energies
        self.q_edges = np.arange(0, largest_q + 2 * _Q_BIN, _Q_BIN)
        self.energy_edges = np.linspace(low, high, _N_ENERGIES + 1)
        shape = (len(self.q_edges) - 1, _N_ENERGIES)
        self.signal, self.exposure = np.zeros(shape), np.zeros(shape)
        self.run_counts, self.run_weights = np.zeros(n_runs, dtype=np.int64), np.zeros(n_runs)
        self.to_fraction = to_fraction
        self.zone_edges = np.linspace(max(inelastic_from, low), high, _ZONE_WINDOWS + 1)
        cells = _ZONE_DIVISIONS**3 * _ZONE_WINDOWS
        self.zone_exposure = np.zeros(cells)
        self.zone_signal, self.zone_variance = np.zeros(cells), np.zeros(cells)
        self.n_events = self.n_unknown = 0

    def add(
        self, q: FloatArray, energy: FloatArray, run: IntArray, signal: FloatArray, variance: FloatArray
    ) -> None:
        """Add events of known runs and pixels."""
        length = np.linalg.norm(q, axis=1)
        self.signal += np.histogram2d(length, energy, bins=(self.q_edges, self.energy_edges), weights=signal)[0]
        n = len(self.run_counts)
        self.run_counts += np.bincount(run, minlength=n)
        self.run_weights += np.bincount(run, signal, minlength=n)
        use, cell = self._zone(q, energy)
        np.add.at(self.zone_signal, cell, signal[use])
        np.add.at(self.zone_variance, cell, variance[use])

    def expose(self, q: FloatArray, energy: float, weight: FloatArray) -> None:
        """Add points of trajectories at one energy."""
        column = int(np.searchsorted(self.energy_edges, energy, side="right")) - 1
        if 0 <= column < _N_ENERGIES:
            length = np.linalg.norm(q, axis=1)
            self.exposure[:, column] += np.histogram(length, bins=self.q_edges, weights=weight)[0]
        use, cell = self._zone(q, energy)
        np.add.at(self.zone_exposure, cell, weight[use])

    def _zone(self, q: FloatArray, energy: FloatArray | float) -> tuple[IntArray, IntArray]:
        if self.to_fraction is None:
            return np.empty(0, np.int64), np.empty(0, np.int64)
        window = np.broadcast_to(np.searchsorted(self.zone_edges, energy, side="right") - 1, len(q))
        use = np.flatnonzero((window >= 0) & (window < _ZONE_WINDOWS))
        n = _ZONE_DIVISIONS
        node = np.rint(n * (q[use] @ self.to_fraction.T)).astype(np.int64) % n
        return use, ((node[:, 0] * n + node[:, 1]) * n + node[:, 2]) * _ZONE_WINDOWS + window[use]

    def result(self, operations: IntArray | None) -> Coverage:
        """Fold the zone by the Laue class (g, 3, 3) and return what is covered."""
        covered = counted = np.nan
        by_energy = np.full(_ZONE_WINDOWS, np.nan)
        if operations is not None and self.to_fraction is not None:
            n = _ZONE_DIVISIONS
            node = np.stack(np.unravel_index(np.arange(n**3), (n, n, n)), axis=1)
            code = np.full(n**3, -1)
            for operation in operations:
                image = (node @ operation.T) % n
                code = np.maximum(code, (image[:, 0] * n + image[:, 1]) * n + image[:, 2])
            _, orbit, size = np.unique(code, return_inverse=True, return_counts=True)

            def folded(values: FloatArray) -> FloatArray:
                table = values.reshape(n**3, _ZONE_WINDOWS)
                out = np.zeros((len(size), _ZONE_WINDOWS))
                np.add.at(out, orbit.ravel(), table)
                return out

            seen = folded(self.zone_exposure) > 0
            signal, variance = folded(self.zone_signal), folded(self.zone_variance)
            enough = signal**2 >= _COUNTS * np.maximum(variance, 1e-300)
            by_energy = np.average(seen, axis=0, weights=size)
            covered = float(by_energy.mean())
            counted = float(np.average((enough & seen).mean(axis=1), weights=size))
        return Coverage(
            q_edges=self.q_edges,
            energy_edges=self.energy_edges,
            signal=self.signal,
            exposure=self.exposure,
            run_counts=self.run_counts,
            run_weights=self.run_weights,
            zone_covered=float(covered),
            zone_counted=float(counted),
            zone_by_energy=by_energy,
            zone_energy_edges=self.zone_edges,
            n_events=self.n_events,
            n_unknown=self.n_unknown,
        )


def judge_coverage(coverage: Coverage, run_numbers: list[int], charges: FloatArray) -> Finding:
    """Say what is covered and which runs are odd."""
    rate = coverage.run_weights / np.maximum(charges, 1e-300)
    middle = float(np.median(rate))
    odd = np.flatnonzero((rate < 0.5 * middle) | (rate > 2 * middle)) if len(rate) > 2 else np.empty(0, np.int64)
    numbers = {
        "n_events": coverage.n_events,
        "n_events_of_unknown_or_masked_pixels": coverage.n_unknown,
        "n_runs": len(run_numbers),
        "run_numbers": run_numbers,
        "run_events": coverage.run_counts.tolist(),
        "run_weight_per_charge": rate.tolist(),
        "zone_covered_share": None if np.isnan(coverage.zone_covered) else coverage.zone_covered,
        "zone_counted_share": None if np.isnan(coverage.zone_counted) else coverage.zone_counted,
        "zone_covered_share_by_energy": [None if np.isnan(x) else float(x) for x in coverage.zone_by_energy],
        "zone_energy_edges_mev": coverage.zone_energy_edges.tolist(),
        "largest_q_per_angstrom": float(coverage.q_edges[1:][coverage.exposure.sum(axis=1) > 0].max(initial=0)),
    }
    said = f"{coverage.n_events:,} events in {len(run_numbers)} runs"
    if len(odd):
        worst = int(odd[np.abs(np.log(np.maximum(rate[odd], 1e-12) / middle)).argmax()])
        return Finding(
            "coverage",
            Status.LOOK,
            f"{said}, but {len(odd)} of them differ more than twofold in counts per charge, most run "
            f"{run_numbers[worst]} ({rate[worst] / middle:.2f} of the median): check its charge, or leave it out.",
            numbers,
        )
    if np.isnan(coverage.zone_covered):
        return Finding("coverage", Status.LOOK, f"{said}; the zone needs the right structure.", numbers)
    share = (
        f"{100 * coverage.zone_covered:.0f} % of the irreducible zone and energies covered, "
        f"{100 * coverage.zone_counted:.0f} % with five counts or more"
    )
    if coverage.zone_covered < _OK_SHARE:
        much = "little" if coverage.zone_covered < _POOR_SHARE else "part of the zone"
        return Finding("coverage", Status.LOOK, f"{said}: {share}; {much}, measure more orientations.", numbers)
    return Finding("coverage", Status.OK, f"{said}: {share}.", numbers)
