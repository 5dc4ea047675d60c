"""Spectrometers: geometry against Mantid's own files, kinematics, goniometer, UB, resolution."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from fcinv_core.errors import InputError
from fcinv_core.events import Detectors
from fcinv_core.instrument import (
    INSTRUMENTS,
    Instrument,
    detectors,
    find_instrument,
    resolution,
)

ALL = pytest.mark.parametrize("instrument", list(INSTRUMENTS.values()), ids=lambda found: found.name)


def of(instrument: Instrument, spacing: float = 0.0) -> Detectors:
    """Detectors, the bank of HYSPEC straight ahead."""
    return detectors(instrument, spacing, 0.0 if instrument.bank_turns else None)


@ALL
def test_groups_of_pixels_keep_the_solid_angle_and_the_mean_direction(instrument: Instrument) -> None:
    fine, coarse = of(instrument), of(instrument, 3.0)
    assert len(coarse) < len(fine) / 20
    assert coarse.solid_angle.sum() == pytest.approx(fine.solid_angle.sum())
    means = [found.solid_angle @ found.directions / found.solid_angle.sum() for found in (fine, coarse)]
    np.testing.assert_allclose(means[0], means[1], atol=2e-3)
    np.testing.assert_array_equal(coarse.ids, np.arange(1, len(coarse) + 1))


@ALL
def test_solid_angle_of_a_pixel_is_the_flux_through_its_face(instrument: Instrument) -> None:
    """Width x height of the pixel, seen along the line from the sample: w h (n.d) / r²."""
    found = of(instrument)
    outward = found.directions[:, [0, 2]]
    horizontal = np.linalg.norm(outward, axis=1)  # cosine of the elevation
    areas = found.solid_angle * found.distance**2 / horizontal
    assert areas.max() / areas.min() < 2
    assert 4 * np.pi > found.solid_angle.sum() > 0.1


def test_coverage_is_the_published_one() -> None:
    """Horizontal and vertical ranges, degrees: the papers named in the table, to 4 degrees."""
    published = {
        "ARCS": (-28, 136, -27, 26),
        "SEQUOIA": (-30, 60, -18, 18),
        "CNCS": (-50, 135, -16, 16),
        "HYSPEC": (-30, 30, -7.5, 7.5),
        "MERLIN": (-45, 135, -30, 30),
        "LET": (-40, 140, -30, 30),
    }
    for name, (left, right, down, up) in published.items():
        x, y, z = of(INSTRUMENTS[name]).directions.T
        horizontal, vertical = np.degrees(np.arctan2(x, z)), np.degrees(np.arcsin(y))
        assert [horizontal.min(), horizontal.max()] == pytest.approx([left, right], abs=4)
        # SEQUOIA has four packs far below the beam, which the paper's range leaves out.
        lowest = np.quantile(vertical, 0.05) if name == "SEQUOIA" else vertical.min()
        assert [lowest, vertical.max()] == pytest.approx([down, up], abs=4)


@pytest.mark.parametrize(
    ("name", "file"),
    [("CNCS", "mantid/cncs_qsample_dE_3runs_mdevent.nxs"), ("HYSPEC", "measured/hyspec_mno_25meV_5K.nxs")],
)
def test_pixels_lie_where_mantid_has_them(shared_data: Path, name: str, file: str) -> None:
    """Each pixel of Mantid's instrument has one of ours within a pixel, 0.5 degrees or so."""
    with h5py.File(shared_data / file) as nexus:
        group = nexus["MDEventWorkspace/experiment0/instrument/physical_detectors"]
        polar, azimuth = (np.radians(group[key][()]) for key in ("polar_angle", "azimuthal_angle"))
        distance = group["distance"][()]
    theirs = np.stack([np.sin(polar) * np.cos(azimuth), np.sin(polar) * np.sin(azimuth), np.cos(polar)], axis=1)
    instrument = INSTRUMENTS[name]
    bank_angle = None
    if instrument.bank_turns:
        horizontal = np.degrees(np.arctan2(theirs[:, 0], theirs[:, 2]))
        bank_angle = float((horizontal.min() + horizontal.max()) / 2)
    ours = detectors(instrument, 0.0, bank_angle)
    assert len(ours) == len(theirs)
    chosen = np.random.default_rng(0).choice(len(theirs), 300, replace=False)
    cosines = np.clip(theirs[chosen] @ ours.directions.T, -1, 1)
    nearest = cosines.argmax(axis=1)
    assert np.degrees(np.arccos(cosines.max(axis=1))).max() < 0.5
    np.testing.assert_allclose(ours.distance[nearest], distance[chosen], rtol=0.01)


@ALL
def test_resolution_narrows_with_energy_transfer_and_stays_positive(instrument: Instrument) -> None:
    for ei in (instrument.widths[0][0], instrument.widths[-1][0]):
        energy = np.linspace(-ei, 0.95 * ei, 200)
        fwhm = resolution(instrument, ei).fwhm(energy)
        assert fwhm.min() > 0
        assert (np.diff(fwhm) < 1e-3 * ei).all()
        assert 0.005 < fwhm[np.abs(energy).argmin()] / ei < 0.16


def test_resolution_follows_the_tabulated_form() -> None:
    """FWHM² = Ei² (c0 + c1 t + c2 t²) at a row of the table."""
    ei, *squares = INSTRUMENTS["ARCS"].widths[2]
    energy = np.linspace(-ei, 0.95 * ei, 100)
    time_ratio = (1 - energy / ei) ** 1.5
    expected = ei * np.sqrt(squares[0] + squares[1] * time_ratio + squares[2] * time_ratio**2)
    np.testing.assert_allclose(resolution(INSTRUMENTS["ARCS"], ei).fwhm(energy), expected, rtol=2e-3)


def test_a_measured_elastic_width_scales_the_resolution() -> None:
    given, usual = (resolution(INSTRUMENTS["CNCS"], 12.0, width) for width in (0.3, None))
    assert given.fwhm(np.array(0.0)) == pytest.approx(0.3, rel=2e-3)
    np.testing.assert_allclose(
        given.fwhm(np.array(6.0)) / given.fwhm(np.array(0.0)), usual.fwhm(np.array(6.0)) / usual.fwhm(np.array(0.0))
    )


@pytest.mark.parametrize(
    ("name", "ei", "settings"),
    [
        ("ARCS", 34.0, {"chopper_package": "ARCS-100-1.5-AST", "chopper_frequency": 300}),
        ("SEQUOIA", 34.0, {"chopper_package": "ARCS-100-1.5-AST", "chopper_frequency": 300}),
        ("CNCS", 34.0, {"chopper_package": "High Flux", "resolution_disk_frequency": 300, "fermi_frequency": 60}),
        ("HYSPEC", 34.0, {"chopper_package": "OnlyOne", "chopper_frequency": 180}),
        ("MERLIN", 34.0, {"chopper_package": "G", "chopper_frequency": 250}),
        ("LET", 2.9, {"chopper_package": "High Flux", "resolution_frequency": 240, "pulse_remover_frequency": 120}),
        (
            "LET",
            17.0,
            {"chopper_package": "High Flux", "resolution_frequency": 240, "pulse_remover_frequency": 120},
        ),
    ],
)
def test_resolution_is_that_of_pychop(name: str, ei: float, settings: dict[str, str | int]) -> None:
    """Between the rows of the table too, to 4 %."""
    resins = pytest.importorskip("resins")
    model = resins.Instrument.from_default(name, name).get_resolution_function("PyChop_fit", e_init=ei, **settings)
    energy = np.linspace(0, 0.9 * ei, 20)
    theirs = model.get_characteristics(energy[:, None])["sigma"]
    np.testing.assert_allclose(resolution(INSTRUMENTS[name], ei).sigma(energy), theirs, rtol=0.04)


def test_input_that_makes_no_sense_is_refused() -> None:
    arcs = INSTRUMENTS["ARCS"]
    with pytest.raises(InputError, match="not a known instrument"):
        find_instrument("IN5")
    with pytest.raises(InputError, match="stand still"):
        detectors(arcs, bank_angle=10.0)
    with pytest.raises(InputError, match="turns"):
        detectors(INSTRUMENTS["HYSPEC"])
    with pytest.raises(InputError, match="negative"):
        detectors(arcs, -1.0)
    with pytest.raises(InputError, match="no resolution"):
        resolution(arcs, 1000.0)
    with pytest.raises(InputError, match="elastic width"):
        resolution(arcs, 40.0, 0.0)


def test_instruments_are_found_in_any_case() -> None:
    assert find_instrument(" sequoia ") is INSTRUMENTS["SEQUOIA"]
