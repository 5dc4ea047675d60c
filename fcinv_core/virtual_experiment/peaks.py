"""Sharp things in a virtual experiment: Bragg peaks of a mosaic crystal, and spurions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fcinv_core.crystal import FloatArray
from fcinv_core.spectrum import FWHM_PER_SIGMA
from fcinv_core.virtual_experiment.sample import Sample

#: 1 fm² in mb.
_SQUARE_FM_TO_MB = 10.0


@dataclass(frozen=True)
class BraggPeaks:
    """Bragg peaks, Gaussian in Q; extinction and multiple scattering are left out.

    Attributes
    ----------
    mosaic
        FWHM of the orientations of the crystal's blocks, degrees.
    width
        FWHM along Q and, at least, across it, from the instrument, 1/Å.
    """

    mosaic: float = 0.5
    width: float = 0.03

    def scattering(self, sample: Sample, q: FloatArray) -> FloatArray:
        """Return the elastic scattering at wavevectors, integrated over energy, shape (n,), mb/sr per atom.

        dσ/dΩ = (2 pi)³ / (N V) sum_G |F(G)|² δ(Q - G), F(G) = sum_j b_j exp(-i G.τ_j) exp(-W_j) (Squires,
        eq. 3.87), with δ a Gaussian; the nearest G counts.

        Parameters
        ----------
        q
            Shape (n, 3): fractions of the primitive reciprocal basis.
        """
        crystal = sample.crystal
        nearest = np.rint(q)
        vector = nearest @ crystal.reciprocal_lattice
        length = np.linalg.norm(vector, axis=1)
        away = (q - nearest) @ crystal.reciprocal_lattice
        unit = vector / np.maximum(length, 1e-12)[:, None]
        along = (away * unit).sum(axis=1)
        across = np.sqrt(np.maximum((away**2).sum(axis=1) - along**2, 0.0))
        radial = self.width / FWHM_PER_SIGMA
        transverse = np.hypot(radial, length * np.radians(self.mosaic) / FWHM_PER_SIGMA)
        shape = np.exp(-0.5 * ((along / radial) ** 2 + (across / transverse) ** 2))
        shape /= (2 * np.pi) ** 1.5 * radial * transverse**2
        damping = np.exp(-sample.displacements.exponents(vector))
        phases = np.exp(-2j * np.pi * nearest @ crystal.positions.T)
        factor = np.abs((sample.lengths.coherent * damping * phases).sum(axis=1)) ** 2
        volume = abs(float(np.linalg.det(crystal.lattice)))
        scale = _SQUARE_FM_TO_MB * (2 * np.pi) ** 3 / (volume * crystal.n_sites)
        # The direct beam is no Bragg peak.
        return np.where(length > 0, scale * factor * shape, 0.0)


@dataclass(frozen=True)
class Spurion:
    """Something that is not the crystal's, Gaussian in the sample's Q and in energy.

    Attributes
    ----------
    hkl
        Where it is, in the indices of the UB matrix.
    energy
        Energy transfer, meV.
    height
        At its middle, mb/sr/meV per atom of the sample.
    q_width, energy_width
        FWHM, 1/Å and meV.
    """

    hkl: tuple[float, float, float]
    energy: float
    height: float
    q_width: float = 0.15
    energy_width: float = 1.0

    def scattering(self, q_sample: FloatArray, energy: FloatArray, ub: FloatArray) -> FloatArray:
        """Return its height at points: Q_sample (n, 3), 1/Å; energies (n,), meV; UB (3, 3) without the 2 pi."""
        away = q_sample - 2 * np.pi * ub @ np.asarray(self.hkl)
        squares = (away**2).sum(axis=1) / self.q_width**2 + (energy - self.energy) ** 2 / self.energy_width**2
        return np.asarray(self.height * np.exp(-0.5 * FWHM_PER_SIGMA**2 * squares))
