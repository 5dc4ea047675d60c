"""Axes of MD files: names, frames, projections."""

from __future__ import annotations

import numpy as np
import pytest

from fcinv_core.errors import InputError
from fcinv_core.events.axes import Axis, find_axes

ENERGY = Axis("DeltaE", "DeltaE", "DeltaE")


def hkl(*names: str, frame: str = "HKL") -> list[Axis]:
    return [*(Axis(f"Q{k + 1}", name, frame) for k, name in enumerate(names)), ENERGY]


def test_directions_are_read_from_the_names() -> None:
    axes = find_axes(hkl("[H,H,0]", "[0.5K,-0.5K,0]", "[0,0,-L]"), 3, "Inelastic", "file")
    np.testing.assert_allclose(axes.projection, [[1, 0.5, 0], [1, -0.5, 0], [0, 0, -1]])
    ub = np.diag([0.1, 0.2, 0.3])
    np.testing.assert_allclose(
        axes.to_q_sample(None, ub, None, "file") @ [1, 2, 3], 2 * np.pi * ub @ [2.0, 0.0, -3.0]
    )


def test_names_of_directions_make_up_for_a_frame_that_is_not_named() -> None:
    axes = find_axes(hkl("[H,0,0]", "[0,K,0]", "[0,0,L]", frame="General Frame"), 0, "Inelastic", "file")
    assert axes.frame == "HKL"


def test_axes_in_another_order_are_put_right() -> None:
    stored = [ENERGY, *(Axis(f"Q{c}", f"Q_sample_{c}", "QSample") for c in "zxy")]
    axes = find_axes(stored, 2, "Inelastic", "file")
    assert axes.energy == 0
    assert axes.q.tolist() == [1, 2, 3]
    np.testing.assert_array_equal(axes.to_q_sample(None, None, None, "file") @ [3, 1, 2], [1, 2, 3])


def test_crystallographic_convention_changes_the_sign() -> None:
    stored = [*(Axis(f"Q{c}", f"Q_lab_{c}", "") for c in "xyz"), ENERGY]
    axes = find_axes(stored, 1, "Crystallography", "file")
    assert axes.frame == "QLab"
    np.testing.assert_array_equal(axes.to_q_sample(np.eye(3), None, None, "file"), -np.eye(3))


def test_dimension_xml_is_read() -> None:
    text = (
        '<Dimension ID="Q1"><Name>[H,0,0]</Name><Units>in 1.496 A^-1</Units><Frame>HKL</Frame>'
        "<UpperBounds>4</UpperBounds><LowerBounds>-4</LowerBounds><NumberOfBins>3</NumberOfBins></Dimension>"
    )
    assert Axis.from_xml(text) == Axis("Q1", "[H,0,0]", "HKL")


@pytest.mark.parametrize(
    ("axes", "system", "word"),
    [
        (hkl("[H,0,0]", "[0,K,0]"), 3, "3 dimensions"),
        ([*hkl("[H,0,0]", "[0,K,0]", "[0,0,L]")[:3], Axis("x", "S2", "")], 3, "0 axes of energy"),
        (hkl("a", "b", "c", frame="Unknown frame"), 0, "frame of file is not known"),
        (hkl("[H,0,0]", "[0,K,0]", "[H,0,0]"), 3, "one plane"),
    ],
)
def test_axes_that_are_not_three_of_q_and_one_of_energy_are_refused(axes, system, word) -> None:
    with pytest.raises(InputError, match=word):
        find_axes(axes, system, "Inelastic", "file")


@pytest.mark.parametrize(
    ("names", "frame", "word"),
    [
        (("a", "b", "c"), "HKL", "not known in HKL"),
        (("[H,0,0]", "[0,K,0]", "[0,0,L]"), "HKL", "give --ub"),
        (("Q_lab_x", "Q_lab_y", "Q_lab_z"), "QLab", "goniometer"),
    ],
)
def test_a_frame_asks_for_what_it_needs(names, frame, word) -> None:
    axes = find_axes(hkl(*names, frame=frame), None, "Inelastic", "file")
    with pytest.raises(InputError, match=word):
        axes.to_q_sample(None, None, None, "file")
