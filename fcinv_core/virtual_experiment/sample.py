"""What the sample of a virtual experiment scatters: S(Q, E) of a harmonic crystal with the resolution in it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from fcinv_core.crystal import Crystal, FloatArray
from fcinv_core.force_constants.pairs import ForceConstants
from fcinv_core.spectrum import Resolution, SpectralGrid
from fcinv_core.structure_factor.debye_waller import ThermalDisplacements, bose_occupation, displacements_of
from fcinv_core.structure_factor.incoherent import IncoherentScattering, incoherent_scattering
from fcinv_core.structure_factor.modes import LOWEST_ENERGY, MESH_SPACING, mesh_modes
from fcinv_core.structure_factor.one_phonon import coherent_one_phonon
from fcinv_core.structure_factor.scattering_lengths import ScatteringLengths, natural_scattering_lengths

#: Distance of lines in the tables of what depends on |Q| only, 1/Å: linear interpolation is then good to 1e-4.
_Q_STEP = 0.02
#: Standard deviations at which a line of the resolution ends.
_LINE_REACH = 6.0
#: The highest mode lies this far, relatively, above the highest one on a mesh at most.
_ABOVE_MESH = 1.03


@dataclass(frozen=True, eq=False)
class Sample:
    """A single crystal, ready to scatter.

    Attributes
    ----------
    force_constants
        Of the crystal.
    temperature
        K.
    lengths
        Scattering lengths and cross-sections of its sites.
    displacements
        For the Debye-Waller factors.
    incoherent
        Incoherent one-phonon and multiphonon scattering.
    highest
        No mode lies above this energy, meV.
    """

    force_constants: ForceConstants
    temperature: float
    lengths: ScatteringLengths
    displacements: ThermalDisplacements
    incoherent: IncoherentScattering
    highest: float

    @property
    def crystal(self) -> Crystal:
        """The crystal whose primitive cell wavevectors refer to."""
        return self.force_constants.crystal

    def coherent(self, q: FloatArray, energy: FloatArray, resolution: Resolution) -> FloatArray:
        """Return the coherent one-phonon scattering at points (Q, E), broadened by the resolution.

        Parameters
        ----------
        q
            Shape (n, 3): full wavevectors, fractions of the primitive reciprocal basis.
        energy
            Shape (n,): energy transfer, meV; positive where the neutron loses energy.
        resolution
            Width of a line, at the energy transfer of that line.

        Returns
        -------
        Shape (n,): d²σ/dΩdE / (kf/ki), mb/sr/meV per atom.
        """
        found = np.zeros(len(q))
        reach = self.highest + _LINE_REACH * float(resolution.sigma(np.array(self.highest)))
        # Beyond the highest mode only several phonons scatter, and no modes are needed.
        near = np.flatnonzero(np.abs(energy) < reach)
        lines = coherent_one_phonon(self.force_constants, q[near], self.lengths, self.displacements, threads=1)
        counted = lines.energies > LOWEST_ENERGY
        modes = np.where(counted, lines.energies, 1.0)
        strengths = np.where(counted, lines.strengths, 0.0)
        occupation = bose_occupation(modes, self.temperature)
        transfer = energy[near, None]
        loss = (occupation + 1) * _gaussian(transfer - modes, resolution.sigma(modes))
        gain = occupation * _gaussian(transfer + modes, resolution.sigma(-modes)) if self.temperature > 0 else 0.0
        found[near] = (strengths * (loss + gain)).sum(axis=1)
        return found


@dataclass(frozen=True, eq=False)
class LengthTables:
    """Scattering that depends on |Q| and the energy bin only, tabulated.

    Attributes
    ----------
    lengths
        Shape (k,): |Q|, 1/Å, uniform from 0 on.
    inelastic
        Shape (k, n_bins): incoherent one-phonon and multiphonon scattering, mb/sr/meV per atom, averaged over
        each bin.
    elastic
        Shape (k, n_bins): incoherent elastic line, the same.
    """

    lengths: FloatArray
    inelastic: FloatArray
    elastic: FloatArray

    def at(self, table: FloatArray, q: FloatArray) -> FloatArray:
        """Interpolate a table at |Q| of shape (..., n_bins), one for each bin."""
        place = q / self.lengths[1]
        row = np.minimum(place.astype(np.int64), len(self.lengths) - 2)
        share = place - row
        column = np.arange(table.shape[1])
        return np.asarray((1 - share) * table[row, column] + share * table[row + 1, column])


def make_sample(
    force_constants: ForceConstants,
    temperature: float,
    longest: float,
    lengths: ScatteringLengths | None = None,
    spacing: float = MESH_SPACING,
) -> Sample:
    """Sum over the modes of a crystal what its scattering needs.

    Parameters
    ----------
    force_constants
        Of the crystal.
    temperature
        K.
    longest
        Largest |Q| that will be looked at, 1/Å.
    lengths
        Scattering lengths; those of the natural elements by default.
    spacing
        Of the mesh of modes, 1/Å.

    Raises
    ------
    InputError
        If the crystal is unstable, the temperature negative, or an element without scattering length.
    """
    known = natural_scattering_lengths(force_constants.crystal) if lengths is None else lengths
    mesh = mesh_modes(force_constants, spacing)
    return Sample(
        force_constants=force_constants,
        temperature=float(temperature),
        lengths=known,
        displacements=displacements_of(mesh, temperature),
        # A little longer than asked for, so that tables end beyond the last point.
        incoherent=incoherent_scattering(mesh, temperature, known, longest + 2 * _Q_STEP),
        highest=_ABOVE_MESH * float(mesh.modes.energies.max()),
    )


def tabulate(sample: Sample, longest: float, grid: SpectralGrid, resolution: Resolution) -> LengthTables:
    """Tabulate what depends on |Q| only, up to ``longest`` (1/Å).

    Raises
    ------
    InputError
        If the sample was made for shorter wavevectors.
    """
    count = int(np.ceil(longest / _Q_STEP)) + 2
    lengths: FloatArray = _Q_STEP * np.arange(count, dtype=float)
    incoherent = sample.incoherent
    inelastic = incoherent.one_phonon(lengths, grid, resolution) + incoherent.multiphonon(lengths, grid, resolution)
    elastic = np.outer(incoherent.elastic(lengths), elastic_line(grid, resolution))
    return LengthTables(lengths, inelastic, elastic)


def elastic_line(grid: SpectralGrid, resolution: Resolution) -> FloatArray:
    """Return a line at zero energy, averaged over each bin, shape (n_bins,), 1/meV; its area is 1."""
    sigma = float(resolution.sigma(np.array(0.0)))
    return np.asarray(np.diff(ndtr(grid.edges / sigma)) / grid.width)


def _gaussian(distance: FloatArray, sigma: FloatArray) -> FloatArray:
    return np.asarray(np.exp(-0.5 * (distance / sigma) ** 2) / (np.sqrt(2 * np.pi) * sigma))
