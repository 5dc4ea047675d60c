"""Files of ISIS: .nxspe with psi, lattice, u and v."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from fcinv_core.errors import InputError
from fcinv_core.events import NEUTRON_ENERGY, axis_rotation, open_events, ub_from_vectors

POLAR, AZIMUTHAL = np.array([10.0, 30.0, 60.0, 90.0, 120.0]), np.array([0.0, 90.0, -120.0, 180.0, 45.0])
EDGES = np.linspace(-2.0, 16.0, 10)
UB = ub_from_vectors((4, 5, 6, 90, 90, 120), (1, 0, 0), (0, 0, 1))


def write_nxspe(path: Path, psi: float = 25.0, **changes: object) -> np.ndarray:
    """Write a file as SaveNXSPE does; ``changes`` replace or, if None, leave out entries."""
    intensity = np.random.default_rng(5).uniform(1, 3, (len(POLAR), len(EDGES) - 1))
    intensity[2] = np.nan
    intensity[0, 4] = np.nan
    entries: dict[str, object] = {
        "definition": b"NXSPE",
        "NXSPE_info/fixed_energy": [14.0],
        "NXSPE_info/psi": [psi],
        "NXSPE_info/ki_over_kf_scaling": np.array([1], dtype=np.int32),
        "instrument/name": [b"MERLIN"],
        "instrument/run_number": np.array([4321], dtype=np.int32),
        "data/data": intensity,
        "data/error": np.where(np.isnan(intensity), 0, intensity / 10),
        "data/energy": EDGES,
        "data/polar": POLAR,
        "data/azimuthal": AZIMUTHAL,
        "data/polar_width": np.full(len(POLAR), 2.0),
        "data/azimuthal_width": np.full(len(POLAR), 3.0),
        "data/distance": np.full(len(POLAR), 2.5),
    }
    entries |= {key.replace("__", "/"): value for key, value in changes.items()}
    with h5py.File(path, "w") as file:
        for key, value in entries.items():
            if value is not None:
                file[f"run/{key}"] = value
    return intensity


def test_every_good_bin_is_an_event_where_its_pixel_and_energy_put_it(tmp_path) -> None:
    intensity = write_nxspe(tmp_path / "a.nxspe")
    source = open_events(tmp_path / "a.nxspe", ub=UB)
    (run,), (detectors,) = source.runs, source.detectors
    assert (run.number, run.incident_energy, run.logs["psi"]) == (4321, 14.0, 25.0)
    assert run.logs["ki_over_kf_scaling"] == 1.0
    assert run.energy_limits == (-2.0, 14.0)
    assert detectors.masked.tolist() == [False, False, True, False, False]
    np.testing.assert_allclose(run.goniometer, axis_rotation((0, 1, 0), 25))
    assert source.energy_bin_width == 2.0
    (chunk,) = source.chunks()
    # The last bin is centred above Ei; a bin and a pixel are NaN.
    centres = (EDGES[1:] + EDGES[:-1]) / 2
    assert len(chunk) == 4 * int((centres < 14).sum()) - 1
    row, column = detectors.rows(chunk.detector), np.searchsorted(EDGES, chunk.energy) - 1
    angle = 4 * np.tan(np.radians(1)) * np.tan(np.radians(1.5))
    np.testing.assert_allclose(detectors.solid_angle, angle)
    np.testing.assert_allclose(chunk.signal, intensity[row, column] * 2.0 * angle)
    np.testing.assert_allclose(chunk.error_squared, (chunk.signal / 10) ** 2)
    # |Q| by the law of cosines, and its direction for the pixel overhead.
    ki, kf = np.sqrt(14 / NEUTRON_ENERGY), np.sqrt((14 - chunk.energy) / NEUTRON_ENERGY)
    length = ki**2 + kf**2 - 2 * ki * kf * np.cos(np.radians(POLAR[row]))
    np.testing.assert_allclose((chunk.q_sample**2).sum(axis=1), length)
    above = row == 1
    np.testing.assert_allclose(chunk.q_sample[above, 1], -kf[above] * np.sin(np.radians(30)))
    lab = chunk.q_sample @ run.goniometer.T
    np.testing.assert_allclose(lab[above, 0], 0, atol=1e-12)


def test_psi_brings_u_towards_plus_x(tmp_path) -> None:
    # LoadNXSPE: goniometer axis psi about +y, counter-clockwise; u starts along the beam.
    write_nxspe(tmp_path / "a.nxspe", psi=90.0)
    run = open_events(tmp_path / "a.nxspe", ub=UB).runs[0]
    u = run.goniometer @ run.ub @ [1, 0, 0]
    np.testing.assert_allclose(u / np.linalg.norm(u), [1, 0, 0], atol=1e-12)


@pytest.mark.parametrize("size", [3, 20, 1000])
def test_chunks_are_never_larger_than_asked_for(tmp_path, size) -> None:
    write_nxspe(tmp_path / "a.nxspe")
    source = open_events(tmp_path / "a.nxspe", ub=UB)
    chunks = list(source.chunks(size))
    assert max(len(chunk) for chunk in chunks) <= size
    (whole,) = source.chunks()
    assert np.array_equal(np.concatenate([chunk.signal for chunk in chunks]), whole.signal)


def test_several_orientations_are_one_source_with_shared_detectors(tmp_path) -> None:
    for k, psi in enumerate((0.0, 10.0, 20.0)):
        write_nxspe(tmp_path / f"{k}.nxspe", psi)
    source = open_events([tmp_path / f"{k}.nxspe" for k in range(3)], ub=UB)
    assert len({id(one) for one in source.detectors}) == 1
    assert [run.logs["psi"] for run in source.runs] == [0.0, 10.0, 20.0]
    again = open_events([tmp_path / f"{k}.nxspe" for k in range(3)], ub=UB, psi=[5, 6, 7])
    assert [run.logs["psi"] for run in again.runs] == [5, 6, 7]


def test_pixels_without_sizes_weigh_the_same(tmp_path) -> None:
    write_nxspe(tmp_path / "a.nxspe", data__polar_width=None, data__energy=(EDGES[1:] + EDGES[:-1]) / 2)
    source = open_events(tmp_path / "a.nxspe", ub=UB)
    assert source.detectors[0].solid_angle is None
    np.testing.assert_allclose(source.runs[0].energy_edges, EDGES)
    assert any("equal solid angles" in note for note in source.runs[0].notes)


@pytest.mark.parametrize(
    ("changes", "options", "word"),
    [
        ({}, {}, "no UB matrix.*--lattice, --u and --v"),
        ({"NXSPE_info__psi": [np.nan]}, {"ub": UB}, "no psi.*give --psi"),
        ({"NXSPE_info__fixed_energy": [np.nan]}, {"ub": UB}, "no incident energy.*give --ei"),
        ({"NXSPE_info__fixed_energy": np.ones(5)}, {"ub": UB}, "indirect"),
        ({"data__data": np.full((5, 9), np.nan)}, {"ub": UB}, "all its pixels are masked"),
        ({"data__error": None}, {"ub": UB}, "lacks error"),
        ({"data__energy": EDGES[:-2]}, {"ub": UB}, "do not bound"),
        ({"data__polar": POLAR[:-1]}, {"ub": UB}, "angles are not those of 5 pixels"),
        ({}, {"ub": UB, "psi": [1.0, 2.0]}, "2 psi angles for 1 files"),
    ],
)
def test_files_that_lack_something_are_refused_with_a_reason(tmp_path, changes, options, word) -> None:
    write_nxspe(tmp_path / "a.nxspe", **changes)
    with pytest.raises(InputError, match=word):
        open_events(tmp_path / "a.nxspe", **options)
