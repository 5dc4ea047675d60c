"""Derived quantities of a posterior: phonopy at the values, and bands that hold what they should."""

from __future__ import annotations

import functools

import numpy as np
import pytest
from scipy.special import ndtr

from fcinv_core.derived.bands import band
from fcinv_core.derived.quantities import Derived, derive
from fcinv_core.force_constants.phonopy_files import to_phonopy
from fcinv_core.prior import Prior, prior_from_members
from fcinv_core.qpath import standard_path
from fcinv_core.structure_factor.debye_waller import thermal_displacements
from fcinv_core.units import THZ_TO_MEV
from tests.ensembles import aluminium_ensemble

TEMPERATURE = 120.0


@functools.cache
def prior() -> Prior:
    return prior_from_members(aluminium_ensemble())


@functools.cache
def derived(spread: float, n: int = 60) -> Derived:
    known = prior()
    noise = np.random.default_rng(3).standard_normal((n, known.n_force_constants))
    draws = known.mean + spread * known.sigma * noise
    return derive(known, known.crystal, standard_path(known.crystal, 40), known.mean, draws, TEMPERATURE)


def test_values_are_those_of_phonopy() -> None:
    found, known = derived(1e-3), prior()
    phonon = to_phonopy(known.reference)
    path = standard_path(known.crystal, 40)
    energies = np.sort(phonon.run_qpoints(path.q).frequencies, axis=1) * THZ_TO_MEV
    np.testing.assert_allclose(found.energies.value, energies, atol=2e-4)
    phonon.run_mesh([30] * 3, is_gamma_center=True)
    phonon.run_thermal_properties(temperatures=found.temperatures)
    np.testing.assert_allclose(
        found.heat_capacity.value, phonon.thermal_properties.heat_capacity, rtol=5e-3, atol=1e-3
    )
    whole = thermal_displacements(known.reference, TEMPERATURE, 0.06).isotropic
    np.testing.assert_allclose(found.displacements.value, whole, rtol=1e-2)
    assert found.dos.value.sum() * found.dos_grid.width == pytest.approx(3, rel=1e-3)
    assert found.elastic_names == ("C11", "C12", "C44")
    assert found.elastic_misfit < 1e-4
    assert found.imaginary_share == 0


def test_velocities_along_the_path_are_those_of_the_elastic_constants() -> None:
    found = derived(1e-3)
    assert found.sound_directions[0] == "Γ-X"
    density = prior().crystal.masses.sum() * 1.66053907e-27 / abs(np.linalg.det(prior().crystal.lattice)) * 1e30
    moduli = density * found.sound.value[0] ** 2 / 1e9
    c11, _, c44 = found.elastic.value
    np.testing.assert_allclose(moduli, [c44, c44, c11], rtol=1e-6)


def test_bands_grow_with_the_posterior_and_hold_the_values() -> None:
    narrow, wide = derived(5e-3), derived(2e-2)
    for name in ("energies", "heat_capacity", "displacements", "elastic", "debye_elastic", "dos"):
        one, other = getattr(narrow, name), getattr(wide, name)
        assert np.median(other.sigma) > 2 * np.median(one.sigma), name
        assert (one.lower95 <= one.lower68).all()
        assert (one.upper68 <= one.upper95).all()
        inside = (one.lower95 <= one.value + 1e-9) & (one.value - 1e-9 <= one.upper95)
        assert inside.mean() > 0.9, name


def test_unstable_draws_are_counted_and_left_out() -> None:
    found = derived(0.5)
    assert 0.05 < found.imaginary_share < 1
    assert np.isfinite(found.elastic.lower95).all()
    assert np.isfinite(found.heat_capacity.lower95).all()


def test_bands_are_quantiles_of_one_and_two_sigma() -> None:
    samples = np.random.default_rng(0).standard_normal((200_000, 1))
    found = band(np.zeros(1), samples)
    ends = np.concatenate([found.lower95, found.lower68, found.upper68, found.upper95])
    np.testing.assert_allclose(ndtr(ends), ndtr(np.array([-2.0, -1, 1, 2])), atol=4e-3)
    assert np.isnan(band(np.zeros(1), np.empty((0, 1))).sigma).all()
