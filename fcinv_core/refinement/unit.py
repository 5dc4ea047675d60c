"""The amplitude model `unit`: every mode weighs 1, up to one scale; that of simulated spectra."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np

from fcinv_core.crystal import FloatArray
from fcinv_core.prior import Prior
from fcinv_core.refinement.branches import Branches
from fcinv_core.refinement.known import bin_losses, expected_counts, linearised_counts
from fcinv_core.refinement.lines import SHAPE, Modes, place_modes, shape_sigma
from fcinv_core.refinement.measurement import Measurement
from fcinv_core.refinement.noise import Noise
from fcinv_core.refinement.refined import AmplitudeModel
from fcinv_core.refinement.scoring import GaussianPrior, Linearised

#: Prior standard deviations of the logarithms of scale and background.
_SIGMA = (5.0, 10.0)
#: The background starts at this share of the counts.
_BACKGROUND_SHARE = 0.05
#: Variance of blurred counts, in units of their mean: no cell is free of it.
_LEAST_VARIANCE = 0.1


class UnitModel:
    """Counts of a measurement whose modes all weigh the same.

    Parameters are the n force constants in FC order, the four of `SHAPE`, and the logarithms of the scale and of a
    background constant in counts.
    """

    name: AmplitudeModel = "unit"
    names = (*SHAPE, ("log_scale", ""), ("log_background", ""))
    n_free_amplitudes = 0

    def __init__(self, measurement: Measurement, prior: Prior) -> None:
        self.measurement = data = measurement
        self.noise = Noise(measurement)
        self.n_force_constants = prior.n_force_constants
        self._branches = Branches.of(prior.dynamics(data.node_q.reshape(-1, 3), data.node_directions))
        m = self._branches.n_modes
        self._weights = np.ones((len(data.cut_bin), data.nodes.per_bin, m))
        self._factors = self._weights.astype(complex)
        total = max(data.counts.sum(), 1.0)
        self._flat = data.background * _BACKGROUND_SHARE * total / data.background.sum()
        start = np.append(prior.mean, np.zeros(len(self.names)))
        energies = self._per_bin(self._branches.energies(prior.mean))
        modes = self._modes(energies, start, 0.1 * data.grid.maximum)
        expected = expected_counts(data, modes, data.exposure, self._weights)
        self._scale = total * (1 - _BACKGROUND_SHARE) / expected.sum()

    @property
    def is_complete(self) -> bool:
        """Whether every energy of every bin was counted, so that counts can be blurred."""
        data = self.measurement
        return len(data.counts) == len(data.q) * data.grid.n_bins and not (data.variance > 0).any()

    def blurred(self, width: float, tolerance: float) -> UnitModel:
        """Return the model of the same spectrum blurred along the energy, whose errors are Gaussian.

        With lines broadened alike, the squares of the differences have wider and fewer minima than the likelihood.

        Parameters
        ----------
        width
            Standard deviation of the blur, meV.
        tolerance
            Error that is allowed for besides that of counting, relative to the blurred counts.
        """
        data, n = self.measurement, self.measurement.grid.n_bins
        steps = (np.arange(n)[:, None] - np.arange(n)) * data.grid.width / width
        kernel = np.exp(-0.5 * steps**2) * data.grid.width / (width * np.sqrt(2 * np.pi))

        def blur(values: FloatArray) -> FloatArray:
            return np.asarray((values.reshape(-1, n) @ kernel).ravel())

        counts = blur(data.counts)
        mean = max(counts.mean(), 1e-3)
        variance = counts + _LEAST_VARIANCE * mean + tolerance**2 * (counts**2 + mean**2)
        other = copy.copy(self)
        other.measurement = replace(
            data,
            counts=counts,
            background=blur(data.background),
            fixed=blur(data.fixed),
            variance=variance,
        )
        other.noise = Noise(other.measurement)
        other._flat = blur(self._flat)
        return other

    def prior_of(self, prior: Prior) -> GaussianPrior:
        """Return the Gaussian prior of all parameters."""
        mean = np.append(prior.mean, np.zeros(len(self.names)))
        return GaussianPrior(mean, np.concatenate([prior.sigma, shape_sigma(self.measurement.resolution), _SIGMA]))

    def parameters_of(self, values: FloatArray, *, scale: float, background: float) -> FloatArray:
        """Return parameters for force constants (n,), a scale of S and a background in units of S (above 0)."""
        level = background * self.measurement.background.sum() / self._flat.sum()
        rest = np.log([scale / self._scale, max(level, 1e-6)])
        return np.concatenate([values, np.zeros(len(SHAPE)), rest])

    def energies(self, values: FloatArray) -> FloatArray:
        """Return mode energies at the nodes of all bins, shape (n_bins nodes, m), meV, of force constants (n,)."""
        return self._branches.energies(values)

    def loss(self, parameters: FloatArray, broadening: float = 0.0) -> float:
        """Return the negative log likelihood."""
        return float(self.measurement.weight @ bin_losses(self.noise, self.expected(parameters, broadening)))

    def expected(self, parameters: FloatArray, broadening: float = 0.0) -> FloatArray:
        """Return expected counts of all cells, shape (k,)."""
        energies = self._per_bin(self._branches.energies(parameters[: self.n_force_constants]))
        return self._expected(self._modes(energies, parameters, broadening), parameters)

    def linearised(self, parameters: FloatArray, broadening: float = 0.0) -> Linearised:
        """Return loss, gradient and information at parameters."""
        n = self.n_force_constants
        energies, slopes = self._branches.energies_and_derivatives(parameters[:n])
        modes = self._modes(self._per_bin(energies), parameters, broadening)
        n_bins, per_bin, m = modes.energies.shape
        return linearised_counts(
            self.noise,
            modes,
            self._strength(parameters),
            self._weights,
            np.zeros_like(self._weights),
            self._factors,
            0,
            slopes.reshape(n_bins, per_bin, m, n).swapaxes(1, 2).reshape(n_bins, -1, n),
            self._background(parameters)[:, None],
            self._expected(modes, parameters),
            n_scales=1,
        )

    def _expected(self, modes: Modes, parameters: FloatArray) -> FloatArray:
        counts = expected_counts(self.measurement, modes, self._strength(parameters), self._weights)
        return np.asarray(counts + self.measurement.fixed + self._background(parameters))

    def _strength(self, parameters: FloatArray) -> FloatArray:
        return np.asarray(self.measurement.exposure * self._scale * np.exp(parameters[self.n_force_constants + 4]))

    def _background(self, parameters: FloatArray) -> FloatArray:
        return np.asarray(self._flat * np.exp(parameters[self.n_force_constants + 5]))

    def _modes(self, energies: FloatArray, parameters: FloatArray, broadening: float) -> Modes:
        n, equal = self.n_force_constants, np.ones_like(energies)
        return place_modes(
            self.measurement, energies, equal, np.zeros_like(equal), parameters[n : n + 4], broadening
        )

    def _per_bin(self, energies: FloatArray) -> FloatArray:
        return energies.reshape(len(self.measurement.q), self.measurement.nodes.per_bin, -1)
