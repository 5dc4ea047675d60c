"""The amplitude model `coherent`: one-phonon structure factors at every zone class that was measured."""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np

from fcinv_core.crystal import FloatArray
from fcinv_core.dynamics import to_energies
from fcinv_core.force_constants.pairs import ComplexArray
from fcinv_core.prior import Prior
from fcinv_core.refinement.branches import Branches
from fcinv_core.refinement.known import bin_losses, contrast_of_looks, expected_counts, linearised_counts
from fcinv_core.refinement.lines import SHAPE, Modes, one_phonon_weights, place_modes, shape_sigma
from fcinv_core.refinement.measurement import Measurement
from fcinv_core.refinement.noise import Noise
from fcinv_core.refinement.refined import AmplitudeModel
from fcinv_core.refinement.scoring import GaussianPrior, Linearised
from fcinv_core.structure_factor.debye_waller import HBAR2_PER_AMU, displacements_of
from fcinv_core.structure_factor.incoherent import incoherent_scattering
from fcinv_core.structure_factor.modes import mesh_modes
from fcinv_core.structure_factor.scattering_lengths import ScatteringLengths
from fcinv_core.units import ROOT_TO_MEV

#: Prior standard deviations of the logarithms of scale, Debye-Waller factor's exponent, and the two backgrounds.
_SIGMA = (5.0, 0.3, 2.0, 1.0)
#: The constant background starts at this share of the counts.
_BACKGROUND_SHARE = 0.1
#: Lines as wide as this share of the highest mode make a first scale that does not hang on where they lie.
_BROAD = 0.05


@dataclass(frozen=True, eq=False)
class _Solved:
    """Energies (n_bins, nodes, m), vectors in the packed basis (n, m, m) and Cartesian (n_bins, nodes, m, m)."""

    energies: FloatArray
    vectors: ComplexArray | FloatArray
    cartesian: ComplexArray


class CoherentModel:
    """Counts of a measurement by coherent one-phonon scattering.

    Parameters are the n force constants in FC order, the four of `SHAPE`, and logarithms: of the scale, of the
    factor of the Debye-Waller exponents, of a background constant in counts, and of incoherent and multiphonon
    scattering relative to what the incoherent approximation gives for reference force constants.

    Mode energies and structure factors are known at the nodes of each bin. S(Q, E) is a function of the dynamical
    matrix, which is differentiated by divided differences (Daleckii and Krein, 1951): it has a derivative at
    degenerate modes too.
    """

    name: AmplitudeModel = "coherent"
    names = (
        *SHAPE,
        ("log_scale", ""),
        ("log_debye_waller", ""),
        ("log_background", ""),
        ("log_incoherent", ""),
    )

    def __init__(self, measurement: Measurement, prior: Prior, lengths: ScatteringLengths) -> None:
        self.measurement = data = measurement
        self.n_force_constants = prior.n_force_constants
        self.n_free_amplitudes = 0
        self.noise = Noise(measurement)
        self._branches = Branches.of(prior.dynamics(data.node_q.reshape(-1, 3), data.node_directions))
        self._lengths, self._prior = lengths, prior
        crystal = data.crystal
        fractions = data.zones[:, None] + data.node_q[data.cut_bin]
        q = fractions @ crystal.reciprocal_lattice
        phases = (
            np.exp(-2j * np.pi * (fractions @ crystal.positions.T)) * lengths.coherent / np.sqrt(crystal.masses)
        )
        self._q, self._phases = q, phases
        self.set_reference(prior.mean)
        start = np.append(prior.mean, np.zeros(len(self.names)))
        solved = self._solved(prior.mean)
        weights = np.abs(self._structure_factors(solved, self._damping(start))) ** 2
        modes = self._modes(solved.energies, start, _BROAD * float(solved.energies.max()))
        expected = expected_counts(data, modes, data.exposure, weights)
        self._scale = max(data.counts.sum(), 1.0) * (1 - _BACKGROUND_SHARE) / expected.sum()
        self._flat = data.background * _BACKGROUND_SHARE * max(data.counts.sum(), 1.0) / data.background.sum()

    def set_reference(self, values: FloatArray) -> None:
        """Take thermal displacements and incoherent scattering from force constants (n,), not differentiated."""
        fcs = self._prior.force_constants(values, "refinement")
        self._mesh = mesh_modes(fcs, 0.3)
        tensors = displacements_of(self._mesh, self.measurement.temperature).tensors
        self._exponents = 0.5 * np.einsum("cka,jab,ckb->ckj", self._q, tensors, self._q, optimize=True)
        self._incoherent = self.measurement.exposure * self._incoherent_spectra()

    def prior_of(self, prior: Prior) -> GaussianPrior:
        """Return the Gaussian prior of all parameters."""
        mean = np.append(prior.mean, np.zeros(len(self.names)))
        return GaussianPrior(mean, np.concatenate([prior.sigma, shape_sigma(self.measurement.resolution), _SIGMA]))

    def energies(self, values: FloatArray) -> FloatArray:
        """Return mode energies at the nodes of all bins, shape (n_bins nodes, m), meV, of force constants (n,)."""
        return self._branches.energies(values)

    def loss(self, parameters: FloatArray, broadening: float = 0.0) -> float:
        """Return the negative log likelihood."""
        return float(self.measurement.weight @ bin_losses(self.noise, self.expected(parameters, broadening)))

    def expected(self, parameters: FloatArray, broadening: float = 0.0) -> FloatArray:
        """Return expected counts of all cells, shape (k,)."""
        return self._expected(*self._weighed(parameters, broadening), parameters)

    def expected_and_contrast(self, parameters: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return expected counts of all cells, and by how much looks at each differ (`Noise`), shape (k,) each."""
        modes, weights = self._weighed(parameters, 0.0)
        expected, strength = self._expected(modes, weights, parameters), self._strength(parameters)
        return expected, contrast_of_looks(self.measurement, modes, strength, weights, expected)

    def linearised(self, parameters: FloatArray, broadening: float = 0.0) -> Linearised:
        """Return loss, gradient and information at parameters."""
        n, branches = self.n_force_constants, self._branches
        solved, damping = self._solved(parameters[:n]), self._damping(parameters)
        found = self._structure_factors(solved, damping)
        exponents = np.exp(parameters[n + 5]) * self._exponents
        damped = 2 * (found.conj() * self._structure_factors(solved, -exponents * damping)).real
        modes, weights = self._modes(solved.energies, parameters, broadening), np.abs(found) ** 2
        return linearised_counts(
            self.noise,
            modes,
            self._strength(parameters),
            weights,
            damped,
            found,
            1 if branches.is_real else 2,
            self._slopes(solved),
            self._backgrounds(parameters),
            self._expected(modes, weights, parameters),
            n_scales=2,
        )

    def _weighed(self, parameters: FloatArray, broadening: float) -> tuple[Modes, FloatArray]:
        """Modes at the nodes, and what multiplies each in each cut, shape (n_cuts, nodes, m)."""
        solved = self._solved(parameters[: self.n_force_constants])
        weights = np.abs(self._structure_factors(solved, self._damping(parameters))) ** 2
        return self._modes(solved.energies, parameters, broadening), weights

    def _expected(self, modes: Modes, weights: FloatArray, parameters: FloatArray) -> FloatArray:
        counts = expected_counts(self.measurement, modes, self._strength(parameters), weights)
        return np.asarray(counts + self.measurement.fixed + self._backgrounds(parameters).sum(axis=1))

    def _strength(self, parameters: FloatArray) -> FloatArray:
        return np.asarray(self.measurement.exposure * self._scale * np.exp(parameters[self.n_force_constants + 4]))

    def _backgrounds(self, parameters: FloatArray) -> FloatArray:
        """Expected counts of constant background and incoherent scattering, shape (k, 2)."""
        return np.stack([self._flat, self._scale * self._incoherent], axis=1) * np.exp(
            parameters[self.n_force_constants + 6 :]
        )

    def _damping(self, parameters: FloatArray) -> ComplexArray:
        """What multiplies Q.e of each site: b / sqrt(m) exp(-i Q.τ - W), shape (n_cuts, nodes, s)."""
        return np.asarray(self._phases * np.exp(-np.exp(parameters[self.n_force_constants + 5]) * self._exponents))

    def _solved(self, values: FloatArray) -> _Solved:
        branches, data = self._branches, self.measurement
        eigenvalues, vectors = np.linalg.eigh(branches.matrices(values))
        shape = (len(data.q), data.nodes.per_bin, branches.n_modes)
        energies = to_energies(np.asarray(eigenvalues, dtype=float)).reshape(shape)
        cartesian = vectors if branches.basis is None else branches.basis @ vectors
        return _Solved(energies, vectors, cartesian.reshape(*shape, branches.n_modes))

    def _structure_factors(self, solved: _Solved, factors: ComplexArray) -> ComplexArray:
        """Structure factors of every cut, node and mode, shape (n_cuts, nodes, m), fm / (Å amu^½)."""
        found = np.zeros((*factors.shape[:2], solved.energies.shape[2]), dtype=complex)
        _add_structure_factors(self.measurement.cut_bin, self._q, factors, solved.cartesian, found)
        return found

    def _slopes(self, solved: _Solved) -> FloatArray:
        """Derivatives of energies and of mixing matrix elements; see `linearised_counts`."""
        branches = self._branches
        n_bins, per_bin, m = solved.energies.shape
        n = self.n_force_constants
        lines = branches.energy_derivatives(solved.energies.reshape(-1, m), solved.vectors)
        lines = lines.reshape(n_bins, per_bin, m, n).swapaxes(1, 2).reshape(n_bins, -1, n)
        mixing = ROOT_TO_MEV**2 * branches.mixing_derivatives(solved.vectors)
        return np.concatenate([lines, mixing.reshape(n_bins, -1, n)], axis=1)

    def _modes(self, energies: FloatArray, parameters: FloatArray, broadening: float) -> Modes:
        n = self.n_force_constants
        strengths = one_phonon_weights(energies, self.measurement.temperature, self.measurement.resolution)
        return place_modes(self.measurement, energies, *strengths, parameters[n : n + 4], broadening)

    def _incoherent_spectra(self) -> FloatArray:
        """Incoherent one-phonon and multiphonon scattering in every cell, in units of the coherent model."""
        data = self.measurement
        length = np.sqrt(data.q_squared)
        scattering = incoherent_scattering(self._mesh, data.temperature, self._lengths, float(length.max()))
        table = np.linspace(0.0, float(length.max()), 64)
        spectra = scattering.one_phonon(table, data.grid, data.resolution) + scattering.multiphonon(
            table, data.grid, data.resolution
        )
        # S of `one_phonon` is 10 hbar² / (2 N amu) |F|² / E per meV; here it is |F|² / E times the width of a bin.
        unit = 10.0 * HBAR2_PER_AMU / (2 * data.crystal.n_sites)
        place = length / table[1]
        low = np.minimum(place.astype(np.int64), len(table) - 2)
        share = place - low
        value = (1 - share) * spectra[low, data.energy] + share * spectra[low + 1, data.energy]
        return np.asarray(value * data.grid.width / unit)


@numba.njit(nogil=True, cache=True)
def _add_structure_factors(cut_bin, q, factors, vectors, found):  # type: ignore[no-untyped-def]
    """Add sum_j factor_j Q.e_j to ``found`` in every cut, node and mode."""
    n_cuts, per_bin, n_modes = found.shape
    for c in range(n_cuts):
        for k in range(per_bin):
            of_node, row = vectors[cut_bin[c], k], found[c, k]
            for component in range(n_modes):
                site, axis = component // 3, component % 3
                factor = factors[c, k, site] * q[c, k, axis]
                for s in range(n_modes):
                    row[s] += factor * of_node[component, s]
