"""Runs and detectors: kinematics, goniometers, UB of two vectors."""

from __future__ import annotations

import numpy as np
import pytest

from fcinv_core.errors import InputError
from fcinv_core.events import (
    NEUTRON_ENERGY,
    Detectors,
    axis_rotation,
    momentum_length,
    momentum_transfer,
    ub_from_vectors,
)


def test_elastic_scattering_has_q_of_twice_k_sine_theta() -> None:
    angles = np.radians([5.0, 40.0, 130.0])
    q = momentum_transfer(40.0, angles, np.radians([10.0, -90.0, 170.0]), np.zeros(3))
    k = np.sqrt(40.0 / NEUTRON_ENERGY)
    np.testing.assert_allclose(np.linalg.norm(q, axis=1), 2 * k * np.sin(angles / 2), rtol=1e-12)
    assert k == pytest.approx(4.3936, abs=1e-4)


def test_momentum_transfer_is_incident_minus_final_wavevector() -> None:
    q = momentum_transfer(20.0, [np.pi / 2], [0.0], [5.0])
    ki, kf = np.sqrt(np.array([20.0, 15.0]) / NEUTRON_ENERGY)
    np.testing.assert_allclose(q, [[-kf, 0.0, ki]], atol=1e-12)


def test_goniometer_axis_is_right_handed() -> None:
    # A positive angle about the vertical turns the beam direction z towards x.
    np.testing.assert_allclose(axis_rotation((0, 2, 0), 90) @ [0, 0, 1], [1, 0, 0], atol=1e-15)


def test_u_lies_along_the_beam_and_v_in_the_horizontal_plane() -> None:
    lattice, u, v = (4.1, 4.9, 5.7, 80.0, 95.0, 103.0), np.array([1, 2, 0]), np.array([0, 1, -1])
    ub = ub_from_vectors(lattice, u, v)
    beam, side = ub @ u, ub @ v
    np.testing.assert_allclose(beam[:2], 0, atol=1e-12)
    assert beam[2] > 0
    assert side[1] == pytest.approx(0, abs=1e-12)
    assert side[0] > 0
    assert np.linalg.det(ub) > 0
    # The direct lattice comes back: its metric is the inverse of the reciprocal one.
    metric = np.linalg.inv(ub.T @ ub)
    np.testing.assert_allclose(np.sqrt(np.diag(metric)), lattice[:3], rtol=1e-12)
    assert metric[0, 1] == pytest.approx(4.1 * 4.9 * np.cos(np.radians(103)))


@pytest.mark.parametrize(
    ("lattice", "u", "v", "word"),
    [
        ((4, 4, 4, 90, 90, 90), (1, 0, 0), (2, 0, 0), "parallel"),
        ((4, 4, 4, 90, 90, 90), (0, 0, 0), (2, 0, 0), "parallel"),
        ((4, 4, 4, 30, 30, 170), (1, 0, 0), (0, 1, 0), "volume"),
        ((4, 4, 0, 90, 90, 90), (1, 0, 0), (0, 1, 0), "volume"),
        ((4, 4, 4), (1, 0, 0), (0, 1, 0), "six"),
    ],
)
def test_vectors_and_lattices_that_orient_nothing_are_refused(lattice, u, v, word) -> None:
    with pytest.raises(InputError, match=word):
        ub_from_vectors(lattice, u, v)


def test_detector_ids_are_found_in_any_order() -> None:
    angle = np.zeros(4)
    detectors = Detectors(np.array([7, 3, 11, 5]), angle, angle, angle + 1, angle > 0)
    assert detectors.rows([3, 11, 4, 7, 100]).tolist() == [1, 2, -1, 0, -1]


def test_length_of_the_momentum_transfer_is_the_cosine_rule() -> None:
    generator = np.random.default_rng(0)
    angle, about = generator.uniform(0, 2, 50), generator.uniform(-3, 3, 50)
    energy = generator.uniform(-20, 38, 50)
    lengths = np.linalg.norm(momentum_transfer(40.0, angle, about, energy), axis=1)
    np.testing.assert_allclose(momentum_length(angle, 40.0, energy), lengths)
