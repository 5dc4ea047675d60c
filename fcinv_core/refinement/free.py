"""The amplitude model `free`: the weight of every mode in every cut is a parameter >= 0, eliminated cut by cut."""

from __future__ import annotations

import numba
import numpy as np

from fcinv_core.crystal import FloatArray
from fcinv_core.prior import Prior
from fcinv_core.refinement.amplitudes import cell_variance, solve_amplitudes
from fcinv_core.refinement.branches import Branches
from fcinv_core.refinement.lines import (
    SHAPE,
    add_derivatives,
    fill_windows,
    line_at,
    one_phonon_weights,
    place_modes,
    shape_sigma,
    share_at,
)
from fcinv_core.refinement.measurement import Measurement
from fcinv_core.refinement.noise import Noise
from fcinv_core.refinement.refined import AmplitudeModel
from fcinv_core.refinement.scoring import GaussianPrior, Linearised

#: The background starts at this share of the mean intensity, and may change by this factor (1 sd, logarithm).
_BACKGROUND_SHARE, _BACKGROUND_SIGMA = 0.2, 2.0


class FreeModel:
    """Counts of a measurement whose modes have free amplitudes.

    Parameters are the n force constants in FC order, the four of `SHAPE`, and the logarithms of two backgrounds:
    constant in counts, and proportional to |Q|² in intensity, as incoherent scattering. Amplitudes have an
    exponential prior, the distribution of squared structure factors (Wilson, Acta Cryst. 2, 318 (1949)). Its mean
    is such that intensities do not depend on the energies that are fitted, but on those of the prior's mean: a
    softer mode needs less amplitude for the counts it has, which a maximum over amplitudes would take for more
    likely (an integral over them would not), and all energies would come out too low.
    """

    def __init__(self, measurement: Measurement, prior: Prior) -> None:
        self.measurement = measurement
        self.n_force_constants = prior.n_force_constants
        self.branches = Branches.of(prior.dynamics(measurement.node_q.reshape(-1, 3), measurement.node_directions))
        data = measurement
        self.noise = Noise(measurement)
        self._strength = data.exposure * data.q_squared
        shapes = np.stack([data.background, self._strength / self._strength.sum() * data.exposure.sum()], axis=1)
        level = _BACKGROUND_SHARE * max(data.counts.sum(), 1.0) / shapes.sum(axis=0)
        self._backgrounds = shapes * level
        energies = self._per_bin(self.branches.energies(prior.mean))
        weights, _ = one_phonon_weights(energies, data.temperature, data.resolution)
        share = np.einsum("k,bks->b", data.nodes.shares, weights) * data.grid.width
        expected = self._strength @ share[data.bin] / (data.grid.maximum - data.grid.minimum)
        rate = expected / max(data.counts.sum(), 1.0)
        # Inverse mean intensities, which the energies of the fit do not change.
        self._rates = rate / np.einsum("k,bks->bs", data.nodes.shares, weights)
        self._amplitudes = np.full((len(data.cut_bin), self.branches.n_modes), 1 / rate)

    @property
    def name(self) -> AmplitudeModel:
        """Name of the amplitude model."""
        return "free"

    @property
    def names(self) -> tuple[tuple[str, str], ...]:
        """Names and units of the parameters of the measurement."""
        return (*SHAPE, ("log_background", ""), ("log_background_q_squared", ""))

    @property
    def n_free_amplitudes(self) -> int:
        """Number of amplitudes above 0 where `linearised` or `expected` were asked for last."""
        return int((self._amplitudes > 0).sum())

    def prior_of(self, prior: Prior) -> GaussianPrior:
        """Return the Gaussian prior of all parameters."""
        mean = np.append(prior.mean, np.zeros(len(self.names)))
        shape = shape_sigma(self.measurement.resolution)
        return GaussianPrior(mean, np.concatenate([prior.sigma, shape, [_BACKGROUND_SIGMA] * 2]))

    def energies(self, values: FloatArray) -> FloatArray:
        """Return mode energies at the nodes of all bins, shape (n_bins nodes, m), meV, of force constants (n,)."""
        return self.branches.energies(values)

    def loss(self, parameters: FloatArray, broadening: float = 0.0) -> float:
        """Return the negative log likelihood, amplitudes at their best."""
        energies = self._per_bin(self.branches.energies(parameters[: self.n_force_constants]))
        amplitudes = self._amplitudes.copy()
        losses, _, _, _ = self._run(energies, parameters, broadening, amplitudes, derivatives=False)
        return float(self.measurement.weight @ losses)

    def linearised(self, parameters: FloatArray, broadening: float = 0.0) -> Linearised:
        """Return loss, gradient and information at parameters."""
        n, weight = self.n_force_constants, self.measurement.weight
        energies, slopes = self.branches.energies_and_derivatives(parameters[:n])
        energies = self._per_bin(energies)
        n_bins, per_bin, n_modes = energies.shape
        losses, scores, informations, _ = self._run(
            energies, parameters, broadening, self._amplitudes, derivatives=True
        )
        # From energies of modes at nodes to force constants; the parameters of the measurement stay.
        n_lines, n_rest = n_modes * per_bin, len(parameters) - n
        chain = np.zeros((n_bins, n_lines + n_rest, n + n_rest))
        chain[:, :n_lines, :n] = (
            slopes.reshape(n_bins, per_bin, n_modes, n).swapaxes(1, 2).reshape(n_bins, n_lines, n)
        )
        chain[:, np.arange(n_lines, n_lines + n_rest), np.arange(n, n + n_rest)] = 1.0
        scores = weight[:, None] * (scores[:, None] @ chain)[:, 0]
        informations = weight[:, None, None] * (chain.swapaxes(1, 2) @ (informations @ chain))
        flat = slopes.reshape(-1, n)
        # A standard deviation of the line shape's parameters counts as a meV.
        unit = np.append(shape_sigma(self.measurement.resolution), [1.0, 1.0])
        metric = np.diag(np.append(np.zeros(n), 1 / unit**2))
        metric[:n, :n] = flat.T @ flat / len(flat)
        return Linearised(
            loss=float(weight @ losses),
            gradient=scores.sum(axis=0),
            information=informations.sum(axis=0),
            scores=scores,
            informations=informations,
            metric=metric,
        )

    def expected(self, parameters: FloatArray) -> FloatArray:
        """Return expected counts of all cells, shape (k,)."""
        energies = self._per_bin(self.branches.energies(parameters[: self.n_force_constants]))
        return self._run(energies, parameters, 0.0, self._amplitudes, derivatives=False)[3]

    def _run(
        self,
        energies: FloatArray,
        parameters: FloatArray,
        broadening: float,
        amplitudes: FloatArray,
        *,
        derivatives: bool,
    ) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        """Solve the amplitudes, in place; return losses, scores and informations of bins, and expected counts."""
        data = self.measurement
        rest = parameters[self.n_force_constants :]
        strengths = one_phonon_weights(energies, data.temperature, data.resolution)
        modes = place_modes(data, energies, *strengths, rest[:4], broadening)
        backgrounds = self._backgrounds * np.exp(rest[4:])
        n_bins, per_bin, n_modes = energies.shape
        p = n_modes * per_bin + len(rest) if derivatives else 0
        losses = np.zeros(n_bins)
        scores, informations = np.zeros((n_bins, p)), np.zeros((n_bins, p, p))
        expected = np.empty(len(data.counts))
        _free(
            modes,
            data.cut_bin,
            data.cut_start,
            data.energy,
            data.counts,
            data.variance,
            self.noise.excess,
            self._strength,
            data.fixed,
            backgrounds,
            self._rates,
            amplitudes,
            expected,
            losses,
            scores,
            informations,
        )
        return losses, scores, informations, expected

    def _per_bin(self, energies: FloatArray) -> FloatArray:
        return energies.reshape(len(self.measurement.q), self.measurement.nodes.per_bin, -1)


@numba.njit(nogil=True, cache=True, error_model="numpy")
def _free(  # type: ignore[no-untyped-def]
    modes,
    cut_bin,
    cut_start,
    energy,
    counts,
    variance,
    excess,
    strength,
    fixed,
    backgrounds,
    rates,
    amplitudes,
    expected,
    losses,
    scores,
    informations,
):
    """Solve the amplitudes of every cut; add loss, score and information to its bin."""
    _, per_bin, n_modes = modes.energies.shape
    n_lines, n_back = n_modes * per_bin, backgrounds.shape[1]
    p = scores.shape[1]
    there, turned, rate = np.zeros(3), np.zeros(3), np.empty(n_modes)
    low, high = np.empty((per_bin, n_modes), np.int64), np.empty((per_bin, n_modes), np.int64)
    for c in range(len(cut_bin)):
        b, first, last = cut_bin[c], cut_start[c], cut_start[c + 1]
        n = last - first
        fill_windows(modes, b, first, last, low, high)
        columns, base = np.zeros((n, n_modes)), fixed[first:last].copy()
        for i in range(n):
            cell = first + i
            for j in range(n_back):
                base[i] += backgrounds[cell, j]
            for s in range(n_modes):
                total = 0.0
                for k in range(per_bin):
                    if low[k, s] <= energy[cell] <= high[k, s]:
                        total += modes.strengths[b, k, s] * share_at(modes, b, k, s, cell, energy[cell])
                columns[i, s] = strength[cell] * total
        x = amplitudes[c]
        for s in range(n_modes):
            rate[s] = rates[b, s] * modes.strengths[b, :, s].sum()
            x[s] = max(x[s], 1e-3 / rate[s])
        loss = solve_amplitudes(
            counts[first:last], variance[first:last], excess[first:last], base, columns, rate, x
        )
        losses[b] += loss
        for i in range(n):
            value = base[i]
            for s in range(n_modes):
                value += columns[i, s] * x[s]
            expected[first + i] = value
        if p == 0:
            continue
        rows, residual = np.zeros((n, p)), np.empty(n)
        for i in range(n):
            cell, row = first + i, rows[i]
            for s in range(n_modes):
                if x[s] == 0.0 or columns[i, s] == 0.0:
                    continue
                for k in range(per_bin):
                    if modes.strengths[b, k, s] == 0.0 or not low[k, s] <= energy[cell] <= high[k, s]:
                        continue
                    share, by_centre, by_variance, smeared = line_at(
                        modes, b, k, s, cell, energy[cell], there, turned
                    )
                    if share == 0.0 and by_centre == 0.0:
                        continue
                    add_derivatives(
                        modes, b, k, s, cell, there, turned, share, by_centre, by_variance, smeared,
                        strength[cell] * x[s], rows, i, n_lines,
                    )  # fmt: skip
            for j in range(n_back):
                row[n_lines + 4 + j] = backgrounds[cell, j]
            root = 1.0 / np.sqrt(cell_variance(variance[cell], excess[cell], expected[cell]))
            residual[i] = (expected[cell] - counts[cell]) * root
            for j in range(p):
                row[j] *= root
            for s in range(n_modes):
                columns[i, s] *= root
        scores[b] += np.dot(rows.T, residual)
        for s in range(n_modes):
            for k in range(per_bin):
                scores[b, s * per_bin + k] += x[s] * rates[b, s] * modes.strength_slopes[b, k, s]
        information = np.dot(rows.T, rows)
        # An amplitude that sits at zero is not free: moving its line changes nothing.
        free = np.flatnonzero(x > 0.0)
        if len(free):
            m = len(free)
            held = np.empty((n, m))
            for u in range(m):
                held[:, u] = columns[:, free[u]]
            normal = np.dot(held.T, held)
            for u in range(m):
                normal[u, u] += 1e-9 * normal[u, u] + 1e-4 * rate[free[u]] ** 2
            cross = np.dot(held.T, rows)
            information -= np.dot(cross.T, np.linalg.solve(normal, cross))
        informations[b] += information
