"""MDHisto files: voxels as weighted events."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from fcinv_core.errors import InputError
from fcinv_core.events import open_events

SHAPE = (5, 4, 3, 6)  # x, y, z, energy
NAMES = ("Q_sample_x", "Q_sample_y", "Q_sample_z")


def write_histogram(path: Path, names: tuple[str, ...] = NAMES, frame: str = "QSample") -> np.ndarray:
    """Write a histogram as SaveMD does, slowest axis first; return the signal (x, y, z, energy)."""
    signal = np.arange(np.prod(SHAPE), dtype=float).reshape(SHAPE)
    signal[0, 0, 0, 0] = np.nan
    axes = [(f"Q{k + 1}", name, frame) for k, name in enumerate(names)] + [("DeltaE", "DeltaE", "DeltaE")]
    with h5py.File(path, "w") as file:
        entry = file.create_group("MDHistoWorkspace")
        entry.attrs["QConvention"] = np.bytes_("Inelastic")
        entry["coordinate_system"] = np.array([3 if frame == "HKL" else 2], dtype=np.uint32)
        data = entry.create_group("data")
        data["signal"] = signal.T
        data["signal"].attrs["axes"] = np.bytes_(":".join(one[0] for one in axes[::-1]))
        data["errors_squared"] = signal.T / 2
        data["num_events"] = np.ones(SHAPE[::-1])
        mask = np.zeros(SHAPE[::-1], dtype=np.int8)
        mask[-1, -1, -1, -1] = 1
        data["mask"] = mask
        for k, (one, name, its_frame) in enumerate(axes):
            data[one] = np.linspace(-k - 1, k + 2, SHAPE[k] + 1)
            data[one].attrs.update(long_name=np.bytes_(name), frame=np.bytes_(its_frame))
    return signal


def centres(k: int) -> np.ndarray:
    edges = np.linspace(-k - 1, k + 2, SHAPE[k] + 1)
    return (edges[1:] + edges[:-1]) / 2


@pytest.mark.parametrize("size", [1_000_000, 100, 7, 1])
def test_every_good_voxel_is_one_event_at_its_centre(tmp_path, size) -> None:
    signal = write_histogram(tmp_path / "h.nxs")
    source = open_events(tmp_path / "h.nxs")
    assert source.lean
    assert source.runs == ()
    assert source.energy_bin_width == pytest.approx((5 - -4) / 6)
    chunks = list(source.chunks(size))
    assert max(len(chunk) for chunk in chunks) <= size
    q = np.concatenate([chunk.q_sample for chunk in chunks])
    energy = np.concatenate([chunk.energy for chunk in chunks])
    weight = np.concatenate([chunk.signal for chunk in chunks])
    assert len(weight) == np.prod(SHAPE) - 2
    values = np.column_stack([q, energy])
    place = [np.abs(values[:, k, None] - centres(k)).argmin(axis=1) for k in range(4)]
    for k in range(4):
        np.testing.assert_allclose(values[:, k], centres(k)[place[k]], atol=1e-12)
    assert np.array_equal(weight, signal[tuple(place)])
    assert np.array_equal(np.concatenate([chunk.error_squared for chunk in chunks]), weight / 2)


def test_directions_in_hkl_and_ub_give_q(tmp_path) -> None:
    write_histogram(tmp_path / "h.nxs", ("[H,H,0]", "[H,-H,0]", "[0,0,L]"), "HKL")
    with pytest.raises(InputError, match="give --ub"):
        open_events(tmp_path / "h.nxs")
    ub = np.diag([0.1, 0.2, 0.3])
    source = open_events(tmp_path / "h.nxs", ub=ub, incident_energy=20.0)
    assert source.require_runs()[0].energy_limits == (-4.0, 5.0)
    q = np.concatenate([chunk.q_sample for chunk in source.chunks()])
    hkl = q @ np.linalg.inv(2 * np.pi * ub).T
    # [H,H,0] and [H,-H,0] of the voxels are half the sum and difference of h and k.
    assert np.abs((hkl[:, 0] + hkl[:, 1]) / 2 - centres(0)[:, None]).min(axis=0).max() < 1e-12
    assert np.abs((hkl[:, 0] - hkl[:, 1]) / 2 - centres(1)[:, None]).min(axis=0).max() < 1e-12


def test_names_that_do_not_tell_are_made_up_for_by_the_stored_transformation(tmp_path) -> None:
    path = tmp_path / "h.nxs"
    write_histogram(path, ("along", "across", "up"))
    with pytest.raises(InputError, match="not known in QSample"):
        open_events(path)
    affine = np.eye(5)
    affine[:3, :3] = np.linalg.inv([[0, 1, 0], [1, 1, 0], [0, 0, 2]])
    with h5py.File(path, "r+") as file:
        file["MDHistoWorkspace/transform_from_orig"] = affine.ravel().astype(np.float32)
    first = next(open_events(path).chunks()).q_sample
    plain = tmp_path / "plain.nxs"
    write_histogram(plain)
    expected = next(open_events(plain).chunks()).q_sample @ np.array([[0, 1, 0], [1, 1, 0], [0, 0, 2]]).T
    np.testing.assert_allclose(first, expected, atol=1e-6)


def test_histograms_that_are_not_four_dimensional_or_lack_parts_are_refused(tmp_path) -> None:
    path = tmp_path / "h.nxs"
    write_histogram(path)
    with h5py.File(path, "r+") as file:
        del file["MDHistoWorkspace/data/Q2"]
    with pytest.raises(InputError, match="axes are not described"):
        open_events(path)
    with h5py.File(path, "r+") as file:
        del file["MDHistoWorkspace/data/signal"]
    with pytest.raises(InputError, match="signal is missing"):
        open_events(path)


def test_a_two_dimensional_histogram_of_mantid_is_refused(shared_data) -> None:
    with pytest.raises(InputError, match=r"2 dimensions \(Q_sample_x, DeltaE\)"):
        open_events(shared_data / "mantid" / "toy_qx_dE_mdhisto2d.nxs")
