"""Exposure: solid angles and points along the trajectories."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fcinv_core.errors import InputError
from fcinv_core.folding.normalisation import read_solid_angles, solid_angles_of, trajectories
from tests.crystals import crystal
from tests.folding.measurement import GRID, detectors, make_runs


def test_solid_angles_are_read_by_detector(shared_data: Path) -> None:
    angles = read_solid_angles(shared_data / "twin" / "ge_arcs_twin_solid_angle.nxs")
    assert len(angles) == 1106
    assert angles[1] == pytest.approx(0.00219031, rel=1e-5)


def test_solid_angles_of_other_detectors_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="other detectors"):
        solid_angles_of(detectors(), {1: 0.1})
    values, sentence = solid_angles_of(detectors(), None)
    assert "geometric" in sentence
    np.testing.assert_array_equal(values, detectors().solid_angle)
    assert "count the same" in solid_angles_of(replace(detectors(), solid_angle=None), None)[1]
    wrong = tmp_path / "wrong.nxs"
    wrong.write_bytes(b"nothing")
    with pytest.raises(InputError, match="SaveNexusProcessed"):
        read_solid_angles(wrong)


def test_trajectories_cover_the_limits_of_a_run_once() -> None:
    [run] = make_runs(crystal("Ge"), 1)
    points = trajectories(run, GRID, None, 0.05)
    assert points.energy_width.sum() == pytest.approx(25.0 - 2.0)
    travel = -np.diff(points.k_final[0])
    assert (travel > 0).all()
    assert travel.max() < 0.5 * 0.05 * 1.5
    energies = run.incident_energy - 2.0721 * points.k_final**2
    np.testing.assert_array_equal(
        np.floor((energies - GRID.minimum) / GRID.width), np.broadcast_to(points.energy_bin, energies.shape)
    )
