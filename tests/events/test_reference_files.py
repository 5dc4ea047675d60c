"""Files of a real Mantid: what is known of them, and the kinematics of every single event."""

from __future__ import annotations

import json

import h5py
import numpy as np
import pytest

from fcinv_core.events import axis_rotation, open_events, q_from_detectors, ub_from_vectors

FILES = (
    "mantid/toy_qsample_dE_3runs_mdevent.nxs",
    "mantid/toy_qsample_dE_3runs_mdevent_newlayout.nxs",
    "mantid/cncs_qsample_dE_3runs_mdevent.nxs",
    "mantid/cncs_hkl_dE_1run_mdevent.nxs",
    "measured/hyspec_mno_25meV_5K.nxs",
    "twin/ge_arcs_twin.nxs",
)


@pytest.mark.parametrize("name", FILES)
def test_q_of_every_event_follows_from_its_detector_energy_and_run(shared_data, name) -> None:
    source = open_events(shared_data / name)
    count, worst = 0, 0.0
    for chunk in source.chunks(200_000):
        worst = max(worst, float(np.abs(q_from_detectors(chunk, source) - chunk.q_sample).max()))
        low, high = np.transpose([run.energy_limits for run in source.runs])
        assert (chunk.energy >= low[chunk.run]).all()
        assert (chunk.energy <= high[chunk.run]).all()
        count += len(chunk)
    assert count == source.n_events
    assert worst < 2e-6  # single precision


def test_old_and_new_layout_hold_the_same_events(shared_data) -> None:
    old, new = (next(open_events(shared_data / name).chunks()) for name in FILES[:2])
    for key in ("q_sample", "energy", "signal", "error_squared", "run", "detector"):
        assert np.array_equal(getattr(old, key), getattr(new, key)), key


def test_toy_runs_have_their_charges_and_rotations(shared_data) -> None:
    source = open_events(shared_data / FILES[0])
    assert [run.proton_charge for run in source.runs] == [1.0, 1.5, 2.0]
    for run, psi in zip(source.runs, (0, 45, 90), strict=True):
        np.testing.assert_allclose(run.goniometer, axis_rotation((0, 1, 0), psi), atol=1e-14)
    assert source.energy_bin_width == pytest.approx(0.5)


def test_cncs_agrees_with_what_it_was_made_from(shared_data) -> None:
    truth = json.loads((shared_data / "mantid/cncs_truth.json").read_text())
    source = open_events(shared_data / FILES[2])
    ub = ub_from_vectors((truth["a"], truth["a"], truth["c"], 90, 90, 90), (1, 0, 0), (0, 1, 0))
    np.testing.assert_allclose(ub, truth["UB"], atol=1e-15)
    for run, psi in zip(source.runs, truth["psi"], strict=True):
        np.testing.assert_allclose(run.ub, truth["UB"], atol=1e-15)
        np.testing.assert_allclose(run.goniometer, axis_rotation((0, 1, 0), psi), atol=1e-14)
        assert run.incident_energy == truth["Ei"]
        assert run.number == 1000 + psi


def test_hkl_and_q_sample_files_of_one_run_agree(shared_data) -> None:
    in_q, in_hkl = (next(open_events(shared_data / name).chunks()) for name in (FILES[2], FILES[3]))
    mine = in_q.run == 1
    a = dict(zip(zip(in_q.detector[mine], in_q.energy[mine], strict=True), in_q.q_sample[mine], strict=True))
    b = dict(zip(zip(in_hkl.detector, in_hkl.energy, strict=True), in_hkl.q_sample, strict=True))
    common = sorted(set(a) & set(b))
    # The two files were cut at different Q, so a few events are in one only.
    assert len(common) > 1500
    np.testing.assert_allclose([a[key] for key in common], [b[key] for key in common], atol=2e-6)


def test_twin_has_its_runs(shared_data) -> None:
    source = open_events(shared_data / FILES[5])
    assert source.n_events == 841_137
    assert [run.number for run in source.runs] == list(range(90_000, 90_120))
    assert {run.incident_energy for run in source.runs} == {40.0}
    assert {run.temperature for run in source.runs} == {5.0}
    assert {run.energy_limits for run in source.runs} == {(-4.0, 38.0)}
    for psi, run in enumerate(source.runs):
        np.testing.assert_allclose(run.goniometer, axis_rotation((0, 1, 0), psi), atol=1e-12)
    assert len({id(one) for one in source.detectors}) == 1
    assert len(source.detectors[0].ids) == 1106
    assert source.energy_bin_width == pytest.approx(0.5)


def test_measured_hyspec_runs_are_true_events(shared_data) -> None:
    source = open_events(shared_data / FILES[4])
    assert source.n_events == 111_315
    assert [run.number for run in source.runs] == [178921, 178922, 178923, 178925, 178926]
    assert source.energy_bin_width is None
    for run in source.runs:
        assert run.temperature == pytest.approx(4.13, abs=0.05)
        assert run.proton_charge == pytest.approx(55.6, abs=0.2)
        assert run.logs["s2"] == pytest.approx(-33.0, abs=0.02)
        assert np.diag(np.linalg.inv(run.ub.T @ run.ub)) ** 0.5 == pytest.approx([5.12484, 5.33161, 7.31103])
    # 20 480 pixels of 24.4 × 9.4 mm, 4.5 to 4.7 m away.
    solid_angle = source.detectors[0].solid_angle
    assert solid_angle is not None
    assert solid_angle.sum() == pytest.approx(0.2266, rel=1e-3)


def test_geometric_solid_angles_resemble_those_of_the_twin(shared_data) -> None:
    detectors = open_events(shared_data / FILES[5]).detectors[0]
    with h5py.File(shared_data / "twin/ge_arcs_twin_solid_angle.nxs") as file:
        given = file["mantid_workspace_1/workspace/values"][:, 0]
    # The definition draws all pixels of a tube equally high; the simulation took 2 × 4 degrees.
    ratio = detectors.solid_angle / given
    assert ratio.min() > 0.7
    assert ratio.max() < 1.1
