"""Logs, goniometer, lattice and instrument of a run."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import pytest


def test_log_is_a_property_with_a_value_and_a_unit(spectra: Any) -> None:
    run = spectra.mutableRun()
    run.addProperty("temperature", 5.0, "K", True)
    assert run["temperature"].value == run.getProperty("temperature").value == 5.0
    assert run.get("temperature").units == "K"
    assert "temperature" in run
    assert run.hasProperty("temperature")
    assert not run.hasProperty("pressure")


def test_missing_log_is_a_runtime_error(spectra: Any) -> None:
    with pytest.raises(RuntimeError, match="Unknown property"):
        spectra.run().getProperty("pressure")


def test_log_is_not_replaced_unless_told_to(spectra: Any) -> None:
    spectra.mutableRun().addProperty("twice", 1.0, True)
    with pytest.raises((RuntimeError, ValueError)):
        spectra.mutableRun().addProperty("twice", 2.0, False)
    spectra.mutableRun().addProperty("twice", 3.0, True)
    assert spectra.run()["twice"].value == 3.0


def test_array_as_a_log_is_refused(spectra: Any) -> None:
    with pytest.raises((RuntimeError, TypeError, ValueError)):
        spectra.mutableRun().addProperty("array", np.zeros(3), True)


def test_digits_alone_make_an_integer_log_that_conversion_refuses(simpleapi: ModuleType, spectra: Any) -> None:
    from tests.contract.conftest import to_events

    simpleapi.AddSampleLog(Workspace="spectra", LogName="Ei", LogText="20", LogType="Number")
    assert isinstance(spectra.run()["Ei"].value, int)
    with pytest.raises(ValueError, match="Ei"):
        to_events(simpleapi, "spectra", "refused")


def test_series_is_an_array(spectra: Any) -> None:
    np.testing.assert_array_equal(spectra.run()["psi"].value, [30.0])


def test_goniometer_follows_the_log(spectra: Any) -> None:
    angle = np.radians(30.0)
    expected = [[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]]
    np.testing.assert_allclose(spectra.run().getGoniometer().getR(), expected, atol=1e-12)
    first, middle, last = spectra.run().getGoniometer().getEulerAngles("YZY")
    assert middle == pytest.approx(0, abs=1e-6)
    assert first + last == pytest.approx(30)


def test_axis_of_a_missing_log_changes_nothing(simpleapi: ModuleType, spectra: Any) -> None:
    before = np.array(spectra.run().getGoniometer().getR())
    simpleapi.SetGoniometer(Workspace="spectra", Axis0="nowhere,0,1,0,1")
    np.testing.assert_array_equal(spectra.run().getGoniometer().getR(), before)


def test_lattice_has_no_two_pi_but_its_momentum_transfer_does(spectra: Any) -> None:
    lattice = spectra.sample().getOrientedLattice()
    ub = lattice.getUB()
    np.testing.assert_allclose(np.linalg.norm(ub @ [1, 0, 0]), 1 / 4.0)
    q = np.array([0.3, -1.0, 2.0])
    hkl = lattice.hklFromQ(_v3d(q))
    np.testing.assert_allclose([hkl.X(), hkl.Y(), hkl.Z()], np.linalg.inv(2 * np.pi * ub) @ q, atol=1e-12)


def test_u_lies_along_the_beam_and_v_beside_it(spectra: Any) -> None:
    ub = spectra.sample().getOrientedLattice().getUB()
    np.testing.assert_allclose(ub @ [1, 0, 0], [0, 0, 1 / 4.0], atol=1e-12)
    np.testing.assert_allclose(ub @ [0, 1, 0], [1 / 5.0, 0, 0], atol=1e-12)


def test_matrix_is_set_and_cleared(simpleapi: ModuleType, events: Any) -> None:
    ub = np.array([[0.0, 0.25, 0.0], [0.0, 0.0, 0.25], [0.25, 0.0, 0.0]])
    simpleapi.SetUB(Workspace="events", UB=ub.ravel())
    lattice = events.getExperimentInfo(0).sample().getOrientedLattice()
    np.testing.assert_allclose(lattice.getUB(), ub, atol=1e-12)
    assert [lattice.a(), lattice.b(), lattice.c()] == pytest.approx([4, 4, 4])
    assert [lattice.alpha(), lattice.beta(), lattice.gamma()] == pytest.approx([90, 90, 90])
    simpleapi.ClearUB(Workspace="events")
    assert not events.getExperimentInfo(0).sample().hasOrientedLattice()
    with pytest.raises(RuntimeError):
        events.getExperimentInfo(0).sample().getOrientedLattice()


def test_hexagonal_cell_has_its_volume() -> None:
    from mantid.geometry import OrientedLattice

    lattice = OrientedLattice(3.0, 3.0, 5.0, 90.0, 90.0, 120.0)
    assert lattice.volume() == pytest.approx(45 * np.sqrt(3) / 2)
    np.testing.assert_allclose(lattice.getUB() @ [1, 0, 0], [2 / (3 * np.sqrt(3)), 0, 0], atol=1e-12)


def test_crystal_structure_gives_cell_atoms_and_operations(spectra: Any) -> None:
    from mantid.geometry import CrystalStructure

    sample = spectra.mutableSample()
    assert not sample.hasCrystalStructure()
    sample.setCrystalStructure(CrystalStructure("5.6 5.6 5.6", "F d -3 m", "Ge 0 0 0 1.0 0.05"))
    structure = sample.getCrystalStructure()
    assert structure.getUnitCell().a() == 5.6
    assert structure.getUnitCell().gamma() == 90.0
    assert structure.getScatterers()[0].split()[:4] == ["Ge", "0", "0", "0"]
    images = set()
    for operation in structure.getSpaceGroup().getSymmetryOperations():
        image = operation.transformCoordinates([0.0, 0.0, 0.0])
        images.add(tuple(round(value % 1, 6) % 1 for value in (image.X(), image.Y(), image.Z())))
    assert len(images) == 8
    assert (0.25, 0.25, 0.25) in images


def test_mode_and_energy_of_a_direct_instrument(spectra: Any) -> None:
    assert str(spectra.getEMode()) == "Direct"
    assert spectra.getEFixed(1) == 20.0
    assert spectra.run().getProtonCharge() == 1.5


def test_detectors_by_index(spectra: Any) -> None:
    info = spectra.detectorInfo()
    numbers = [int(number) for number in info.detectorIDs()]
    index = numbers.index(3)
    assert np.degrees(info.twoTheta(index)) == pytest.approx(40.0)
    assert info.position(index).X() == pytest.approx(2 * np.sin(np.radians(40.0)))
    assert not info.isMasked(index)
    assert spectra.getInstrument().getName() == "EIGHT"
    assert spectra.spectrumInfo().l2(2) == pytest.approx(2.0)


def _v3d(values: Any) -> Any:
    from mantid.kernel import V3D

    return V3D(*(float(value) for value in values))
