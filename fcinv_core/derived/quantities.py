"""What force constants say of a crystal: dispersion, density of states, heat, displacements, elasticity."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from fcinv_core.crystal import Crystal, FloatArray
from fcinv_core.derived.bands import Band, band
from fcinv_core.derived.elasticity import (
    debye_temperature,
    elastic_basis,
    elastic_constants,
    long_waves,
    sound_velocities,
)
from fcinv_core.derived.thermodynamics import (
    debye_temperature_of_second_moment,
    density_of_states,
    heat_capacity,
)
from fcinv_core.derived.zone_mesh import irreducible_mesh
from fcinv_core.dynamics import BornVonKarman
from fcinv_core.prior import Prior
from fcinv_core.qpath import QPath
from fcinv_core.spectrum import SpectralGrid, grid_up_to
from fcinv_core.stability import TOLERANCE, stability_points
from fcinv_core.structure_factor.debye_waller import BOLTZMANN, displacements_of
from fcinv_core.structure_factor.modes import MeshModes, Modes

#: Spacing of the mesh, 1/Å, unless its coefficients would take more memory than this, bytes.
_SPACING, _MEMORY = 0.12, 400_000_000
#: Sets that are solved in one go.
_TOGETHER = 16
#: Broadening of the density of states (FWHM) and its bins, as shares of the highest energy.
_DOS_FWHM, _DOS_BINS = 0.015, 200
#: Temperatures of the heat capacity, K, as far as the mesh resolves the modes that matter there.
_TEMPERATURES = np.concatenate([np.arange(10.0, 100.0, 5.0), np.arange(100.0, 301.0, 10.0), [350, 400, 500, 600]])
#: kT at the lowest of them is at least this share of the lowest mode of the mesh: C_V is then right to 1 %.
_LOWEST_SHARE = 0.25
#: Temperature for displacements and heat capacity of a measurement that does not say its own, K.
ROOM_TEMPERATURE = 300.0


@dataclass(frozen=True, eq=False)
class Derived:
    """Quantities that follow from force constants, each with its intervals from posterior draws.

    Attributes
    ----------
    energies
        Shape (n_q, m): dispersion along the path, meV, sorted at each point.
    dos_grid, dos_fwhm, dos
        Energy bins, Gaussian broadening (FWHM, meV), and density of states (n_bins,), modes per meV and primitive
        cell: its integral is 3 for each atom.
    temperatures, heat_capacity
        K and J/(mol K) per mole of formula units, shape (n_t,).
    temperature, displacements
        K, and mean-square displacement of each site along one direction, averaged over directions, shape (s,), Å².
    debye_elastic, debye_second_moment
        Debye temperatures, K, shape (): from the sound velocities (limit of low temperature), and from the second
        moment of the mode energies (limit of high temperature).
    elastic_names, elastic
        Names and values (k,), GPa, of the independent elastic constants.
    elastic_misfit
        Relative norm of what of the acoustic slopes no elastic tensor gives; 0 in cubic crystals.
    sound_directions, sound
        Segments of the path from Γ, as "Γ-X", and the three velocities along each (n, 3), ascending, m/s.
    imaginary_share
        Share of the draws that have an imaginary mode on the mesh, the path or at long waves.
    lowest
        Lowest energy at the values themselves, meV; imaginary ones are negative.
    n_draws
        Number of draws.
    mesh_points
        Number of inequivalent wave vectors of the mesh.
    """

    energies: Band
    dos_grid: SpectralGrid
    dos_fwhm: float
    dos: Band
    temperatures: FloatArray
    heat_capacity: Band
    temperature: float
    displacements: Band
    debye_elastic: Band
    debye_second_moment: Band
    elastic_names: tuple[str, ...]
    elastic: Band
    elastic_misfit: float
    sound_directions: tuple[str, ...]
    sound: Band
    imaginary_share: float
    lowest: float
    n_draws: int
    mesh_points: int


def derive(
    prior: Prior,
    crystal: Crystal,
    path: QPath,
    values: FloatArray,
    draws: FloatArray,
    temperature: float = ROOM_TEMPERATURE,
    *,
    between: Callable[[], None] = lambda: None,
) -> Derived:
    """Compute what follows from force constants and from posterior draws of them.

    Sets with imaginary modes count in the bands of the dispersion and in no other.

    Parameters
    ----------
    prior
        What gives the dynamics.
    crystal
        The crystal with its lattice as measured, which counts for lengths and volumes.
    path
        Of the dispersion.
    values
        Shape (n,): force constants in FC order, eV/Å².
    draws
        Shape (d, n): draws of them.
    temperature
        Of the mean-square displacements, K.
    between
        Called between two sets; what it raises ends it.
    """
    sets = np.vstack([values, draws])
    energies = prior.dynamics(path.q, path.direction).energies(sets)
    special = prior.dynamics(stability_points(crystal)).energies(sets)
    q, weights = irreducible_mesh(crystal, _spacing(prior, crystal))
    modes, displacements = _on_mesh(prior.dynamics(q), crystal, weights, sets, temperature, between)

    lowest = np.min([x.reshape(len(sets), -1).min(axis=1) for x in (energies, special, modes)], axis=0)
    basis = elastic_basis(crystal)
    elastic, misfit = elastic_constants(crystal, basis, prior.dynamics(long_waves(crystal)).matrices(sets))
    debye = debye_temperature(crystal, basis, elastic)
    # Where an acoustic branch bends down from Γ on, its energies may still be within the tolerance.
    stable = (lowest >= -TOLERANCE) & np.isfinite(debye)

    def banded(of_sets: FloatArray) -> Band:
        return band(of_sets[0], of_sets[1:][stable[1:]])

    grid = grid_up_to(float(modes.max()), _DOS_BINS)
    fwhm = _DOS_FWHM * grid.maximum
    least = _LOWEST_SHARE * float(np.abs(modes[0]).min()) / BOLTZMANN
    temperatures = _TEMPERATURES[min(least, _TEMPERATURES[-1]) <= _TEMPERATURES]
    names, directions = _from_zone_centre(crystal, path)
    return Derived(
        energies=band(energies[0], energies[1:]),
        dos_grid=grid,
        dos_fwhm=fwhm,
        dos=banded(density_of_states(modes, weights, grid, fwhm)),
        temperatures=temperatures,
        heat_capacity=banded(heat_capacity(crystal, modes, weights, temperatures)),
        temperature=temperature,
        displacements=banded(displacements),
        debye_elastic=banded(debye),
        debye_second_moment=banded(debye_temperature_of_second_moment(modes, weights)),
        elastic_names=basis.names,
        elastic=banded(elastic),
        elastic_misfit=float(misfit[0]),
        sound_directions=names,
        sound=banded(sound_velocities(crystal, basis, elastic, directions)),
        imaginary_share=float((~stable[1:]).mean()) if len(draws) else 0.0,
        lowest=float(lowest[0]),
        n_draws=len(draws),
        mesh_points=len(q),
    )


def _spacing(prior: Prior, crystal: Crystal) -> float:
    """Spacing of the mesh, 1/Å, at which the coefficients of all force constants fit into memory."""
    spacing = _SPACING
    size = 16 * (3 * crystal.n_sites) ** 2 * (prior.n_force_constants + 1)
    while len(irreducible_mesh(crystal, spacing)[0]) * size > _MEMORY and spacing < 1.0:
        spacing *= 1.2
    return spacing


def _on_mesh(
    dynamics: BornVonKarman,
    crystal: Crystal,
    weights: FloatArray,
    sets: FloatArray,
    temperature: float,
    between: Callable[[], None],
) -> tuple[FloatArray, FloatArray]:
    """Energies (d, n_q, m), meV, and isotropic mean-square displacements (d, s), Å², of each set."""
    energies, displacements = [], []
    for start in range(0, len(sets), _TOGETHER):
        between()
        for found in map(Modes, *dynamics.modes(sets[start : start + _TOGETHER])):
            energies.append(found.energies)
            displacements.append(displacements_of(MeshModes(crystal, weights, found), temperature).isotropic)
    return np.array(energies), np.array(displacements)


def _from_zone_centre(crystal: Crystal, path: QPath) -> tuple[tuple[str, ...], FloatArray]:
    """Distinct directions in which the path leaves or meets Γ, by name, and as Cartesian unit vectors (n, 3)."""
    found: dict[str, FloatArray] = {}
    for piece in path.pieces:
        ticks = [(index, label) for index, label in path.ticks if piece.start <= index < piece.stop]
        for (start, name), (end, other) in itertools.pairwise(ticks):
            step = (path.q[end] - path.q[start]) @ crystal.reciprocal_lattice
            if "Γ" in (name, other) and step.any():
                text = "-".join((name, other) if name == "Γ" else (other, name))
                found.setdefault(text, step / np.linalg.norm(step))
    return tuple(found), np.array(list(found.values())).reshape(-1, 3)
