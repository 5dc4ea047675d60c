"""Whatever cell a UB matrix indexes, and however symmetry is given, Q ends in the crystal's own basis."""

from __future__ import annotations

import numpy as np
import pytest

from fcinv_core.crystal import Crystal
from fcinv_core.errors import InputError
from fcinv_core.events.experiment import axis_rotation
from fcinv_core.folding.orientation import find_setting, laue_operations
from fcinv_core.folding.point_groups import folding_group
from tests.crystals import CELLS, crystal, lattice

TURN = axis_rotation([1, -2, 0.5], 50.0)
#: Order of the Laue class.
ORDERS = {
    "Ge": 48,
    "ZnS": 48,
    "Mg": 24,
    "quartz": 12,
    "Bi": 12,
    "TiO2": 16,
    "orthorhombic": 8,
    "ZrO2": 4,
    "triclinic P1": 2,
}


def ub_of(cell: np.ndarray) -> np.ndarray:
    return np.asarray(TURN @ np.linalg.inv(cell))


@pytest.mark.parametrize("name", list(CELLS))
def test_q_of_the_standard_cell_is_found(name: str) -> None:
    material = crystal(name)
    setting = find_setting(material, ub_of(material.conventional_lattice))
    np.testing.assert_array_equal(setting.basis, material.conventional)
    q = np.array([0.3, -1.2, 2.1])
    sample = TURN @ (q @ material.reciprocal_lattice)
    np.testing.assert_allclose(setting.from_sample(ub_of(material.conventional_lattice)) @ sample, q, atol=1e-9)


@pytest.mark.parametrize("name", ["Ge", "Nb", "Bi", "quartz", "ZrO2", "triclinic P-1"])
@pytest.mark.parametrize("strain", [0.0, 0.02])
def test_any_strained_cell_of_the_lattice_gives_q_up_to_symmetry(name: str, strain: float) -> None:
    material = crystal(name)
    group = laue_operations(material)
    for change in (np.eye(3), np.eye(3)[[1, 2, 0]], np.array([[1, 0, 0], [1, 1, 0], [0, 0, 1]])):
        # Lattice parameters of a structure from theory are off by some per cent, mostly all alike.
        cell = change @ material.lattice * (1 + strain)
        setting = find_setting(material, ub_of(cell))
        assert setting.strain == pytest.approx(strain, abs=5e-4)
        q = np.array([0.31, -1.2, 2.13])
        found = setting.from_sample(ub_of(cell)) @ (TURN @ (q @ material.reciprocal_lattice)) / (1 + strain)
        images = group @ q
        if not setting.ambiguous:
            assert np.abs(images - found).max(axis=1).min() < 1e-6


def test_settings_that_the_metric_cannot_tell_apart_are_said_to_be_so() -> None:
    assert find_setting(crystal("quartz"), ub_of(crystal("quartz").conventional_lattice)).ambiguous
    assert not find_setting(crystal("Ge"), ub_of(crystal("Ge").conventional_lattice)).ambiguous


def test_a_ub_of_another_crystal_is_refused() -> None:
    with pytest.raises(InputError, match=r"another crystal.*4\.5 %"):
        find_setting(crystal("Ge"), ub_of(lattice(6.0, 6.0, 6.0)))
    with pytest.raises(InputError, match="no UB matrix"):
        find_setting(crystal("Ge"), np.zeros((3, 3)))


@pytest.mark.parametrize("name", list(ORDERS))
def test_the_laue_class_has_its_order_and_keeps_lengths(name: str) -> None:
    material = crystal(name)
    group = laue_operations(material)
    assert len(group) == ORDERS[name]
    np.testing.assert_array_equal(group[0], np.eye(3))
    q = np.array([0.31, -0.22, 0.47])
    lengths = np.linalg.norm((group @ q) @ material.reciprocal_lattice, axis=1)
    np.testing.assert_allclose(lengths, lengths[0], rtol=1e-4)


@pytest.mark.parametrize(
    ("name", "symbol", "order"),
    [
        ("Ge", "m-3m", 48),
        ("Ge", "F d -3 m", 48),
        ("Ge", "4/mmm", 16),
        ("Ge", "x,y,z;-x,-y,z", 2),
        ("Ge", "x,y,z; -x+1/2,-y,z+1/4", 2),
        ("Mg", "6/mmm", 24),
        ("Mg", "P 63/m m c", 24),
        ("quartz", "-3m1", 12),
        ("quartz", "-3m", 12),
        ("Bi", "-3m", 12),
        ("ZrO2", "2/m", 4),
        ("ZrO2", "P 1 21/c 1", 4),
        ("ZrO2", "-1", 2),
    ],
)
def test_symmetry_is_taken_as_mdnorm_takes_it(name: str, symbol: str, order: int) -> None:
    assert len(folding_group(crystal(name), symbol)) == order


def test_named_laue_classes_equal_those_of_the_structure() -> None:
    for name, symbol in (("Ge", "m-3m"), ("Mg", "6/mmm"), ("quartz", "-3m1"), ("ZrO2", "2/m"), ("Bi", "-3m1")):
        material = crystal(name)
        named, own = folding_group(material, symbol), laue_operations(material)
        assert {one.tobytes() for one in named} == {one.tobytes() for one in own}


@pytest.mark.parametrize(
    ("name", "text", "match"),
    [
        ("Ge", "no group", "neither a point group"),
        ("Ge", "x,y", "not a symmetry operation"),
        ("Ge", "x,y,z;y,z,x", "not a group"),
        ("Ge", "-x,y,z", "not a group"),
        ("ZrO2", "x,y,z;y,x,z", "do not map the lattice"),
        ("orthorhombic", "4/mmm", "do not map the lattice"),
    ],
)
def test_symmetry_that_cannot_be_is_refused(name: str, text: str, match: str) -> None:
    with pytest.raises(InputError, match=match):
        folding_group(crystal(name), text)


def test_rotations_of_a_non_orthogonal_cell_are_not_transposed() -> None:
    """(h, k, l) of a hexagonal crystal: the threefold axis takes (1, 0, 0) to (0, 1, 0), never to (1, 1, 0)."""
    material: Crystal = crystal("quartz")
    images = {tuple(one) for one in (folding_group(material, "3") @ np.array([1, 0, 0])).tolist()}
    assert images == {(1, 0, 0), (0, 1, 0), (-1, -1, 0)} or images == {(1, 0, 0), (-1, 1, 0), (0, -1, 0)}
    lengths = {round(float(np.linalg.norm(np.array(one) @ material.reciprocal_lattice)), 6) for one in images}
    assert len(lengths) == 1
