"""SimulateDispersion, as a script or Workbench runs it."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from fcinv_core.cli import main
from fcinv_core.crystal import Crystal, read_structure
from fcinv_core.dynamics import mode_energies
from fcinv_core.force_constants.bonds import bonds_of_pairs
from fcinv_core.force_constants.parametrisation import Parametrisation
from fcinv_core.force_constants.phonopy_files import read_force_constants
from fcinv_core.nexus import read_mdhisto
from fcinv_core.qpath import standard_path
from fcinv_core.shipped import virtual_experiment
from fcinv_core.simulation import simulate
from tests.plugins.cancelling import cancel_after
from tests.plugins.test_FoldToIQE import content, make_another_histogram

FILES = virtual_experiment()
TRUTH = str(FILES / "phonopy_params_truth.yaml.xz")
POSCAR = str(FILES / "POSCAR")


@pytest.fixture(scope="module")
def germanium() -> Crystal:
    return read_structure(POSCAR)


def simulate_dispersion(simpleapi: ModuleType, output: str = "bands", **options: Any) -> Any:
    given = {"StructureFile": POSCAR, "ForceConstantsFile": TRUTH, "OutputWorkspace": output, "QStep": 0.1}
    simpleapi.SimulateDispersion(**{**given, **options})
    return simpleapi.mtd[output]


def energies_of(workspace: Any) -> Any:
    return np.array([workspace.readY(k) for k in range(workspace.getNumberHistograms())]).T


def test_a_spectrum_is_a_branch_over_the_distance(simpleapi: ModuleType, germanium: Crystal) -> None:
    bands = simulate_dispersion(simpleapi)
    path = standard_path(germanium, bands.blocksize())
    expected = mode_energies(read_force_constants(TRUTH, germanium), path.q)
    np.testing.assert_allclose(energies_of(bands), expected, atol=1e-9)
    np.testing.assert_allclose(bands.readX(0), path.distance, atol=1e-12)
    assert [bands.getAxis(1).label(k) for k in range(6)] == [f"branch {k + 1}" for k in range(6)]
    assert sorted(map(str, simpleapi.mtd.getObjectNames())) == ["bands"]
    history = bands.getHistory()
    assert [history.getAlgorithmHistory(k).name() for k in range(history.size())] == ["SimulateDispersion"]


def test_the_spectrum_is_that_of_the_command_line(
    simpleapi: ModuleType, germanium: Crystal, tmp_path: Path
) -> None:
    options = {"EnergyBinning": [0.0, 1.0, 45.0], "ResolutionFWHM": [2.0, -0.01], "Path": "G-X"}
    simulate_dispersion(simpleapi, OutputSpectrumWorkspace="iqe", **options)
    iqe = simpleapi.mtd["iqe"]
    simpleapi.SaveMD(InputWorkspace="iqe", Filename=str(tmp_path / "iqe.nxs"))
    stored = read_mdhisto(tmp_path / "iqe.nxs")
    n = stored.signal.shape[0]
    words = ["--path", "G-X", "--points", str(n), "--energy-range", "0", "45", "--energy-bins", "45"]
    assert main(["simulate", POSCAR, TRUTH, "--out", str(tmp_path), *words, "--fwhm", "2.0", "-0.01"]) == 0
    commanded = read_mdhisto(tmp_path / "iqe.nxs")
    np.testing.assert_array_equal(iqe.getSignalArray(), commanded.signal)
    np.testing.assert_array_equal(
        stored.collections["bands"]["energies"], commanded.collections["bands"]["energies"]
    )


def test_a_table_is_as_good_as_its_file(simpleapi: ModuleType, germanium: Crystal) -> None:
    fcs = read_force_constants(TRUTH, germanium)
    parametrisation = Parametrisation.from_bonds(bonds_of_pairs(germanium, fcs.first, fcs.second, fcs.cells))
    values = parametrisation.project(fcs).values
    make_table(simpleapi, zip(parametrisation.labels, values.tolist(), strict=True))
    from_table = simulate_dispersion(simpleapi, "tabled", ForceConstantsFile="", ForceConstantsTable="table")
    np.testing.assert_allclose(energies_of(from_table), energies_of(simulate_dispersion(simpleapi)), atol=0.02)


def make_table(simpleapi: ModuleType, rows: Any, columns: tuple[str, str] = ("Label", "Value")) -> Any:
    table = simpleapi.CreateEmptyTableWorkspace(OutputWorkspace="table")
    table.addColumn("str", columns[0])
    table.addColumn("double", columns[1])
    for row in rows:
        table.addRow(list(row))
    return table


def test_scattering_on_a_coverage_explains_what_was_measured(simpleapi: ModuleType) -> None:
    simpleapi.LoadMD(Filename=str(FILES / "ge_small.nxs"), OutputWorkspace="events")
    simpleapi.FoldToIQE(InputWorkspace="events", StructureFile=POSCAR, OutputWorkspace="measured", QStep=0.1)
    made = json.loads((FILES / "ge_small.json").read_text(encoding="utf-8"))
    options = {
        "CoverageWorkspace": "measured",
        "OutputCoverageWorkspace": "expected",
        "ResolutionFWHM": made["resolution_fwhm_coefficients"],
    }
    simulate_dispersion(simpleapi, **options)
    measured, expected = simpleapi.mtd["measured"], simpleapi.mtd["expected"]
    assert content(expected)["temperature_k"] == made["temperature_k"], "that of the runs"
    np.testing.assert_array_equal(np.isfinite(expected.getSignalArray()), np.isfinite(measured.getSignalArray()))
    seen, error, model = (
        np.array(array)
        for array in (measured.getSignalArray(), measured.getErrorSquaredArray(), expected.getSignalArray())
    )
    grid = content(measured)["grid_mev"]
    edges = np.linspace(grid["minimum"], grid["maximum"], grid["n_bins"] + 1)
    # Clear of the elastic line, which the model leaves out.
    inelastic = np.isfinite(seen) & (error > 0) & (edges[:-1] > 4)[None, :]
    right = misfit(seen[inelastic], model[inelastic], error[inelastic])
    # The same spectrum 2.25 meV higher is another crystal's.
    shifted = misfit(seen[inelastic], np.roll(model, 3, axis=1)[inelastic], error[inelastic])
    assert right < 0.7 * shifted
    assert right < 2.0, "with two free numbers, near what counting allows"


def misfit(seen: Any, model: Any, variance: Any) -> float:
    """Reduced chi square with the best scale and constant background."""
    design = np.stack([model, np.ones(len(model))], axis=1) / np.sqrt(variance)[:, None]
    _, [left], *_ = np.linalg.lstsq(design, seen / np.sqrt(variance), rcond=None)
    return float(left / (len(seen) - 2))


@pytest.mark.parametrize(
    ("options", "name", "says"),
    [
        ({"ForceConstantsFile": ""}, "ForceConstantsFile", "Give a file of force constants, or a table"),
        ({"ForceConstantsTable": "table"}, "ForceConstantsFile", "ForceConstantsTable is given too"),
        ({"ForceConstantsFile": POSCAR, "StructureFile": ""}, "StructureFile", "only a phonopy yaml holds it"),
        ({"EnergyBinning": [0.5]}, "EnergyBinning", "write min,step,max"),
        ({"EnergyBinning": [0.0, 0.7, 2.0]}, "EnergyBinning", "not a whole number of steps"),
        ({"Supercell": [2, 2]}, "Supercell", "3 or 9 integers"),
        ({"Path": "G-Q"}, "Path", "'Q' is not a high-symmetry point"),
        ({"CoverageWorkspace": "other"}, "CoverageWorkspace", "other is no result of FoldToIQE"),
        ({"OutputCoverageWorkspace": "expected"}, "CoverageWorkspace", "give the measurement"),
    ],
)
def test_wrong_entries_are_named_in_a_sentence(
    simpleapi: ModuleType, options: dict[str, Any], name: str, says: str
) -> None:
    from mantid.api import AlgorithmManager

    make_another_histogram(simpleapi)
    make_table(simpleapi, [("Ge1-Ge2 (0.25 0.25 0.25) xx", -2.0)])
    algorithm = AlgorithmManager.create("SimulateDispersion")
    given = {"StructureFile": POSCAR, "ForceConstantsFile": TRUTH, "OutputWorkspace": "bands"}
    for key, value in {**given, **options}.items():
        algorithm.setProperty(key, value)
    problems = dict(algorithm.validateInputs())
    assert name in problems
    assert says in problems[name]
    assert "\n" not in problems[name]


def test_a_table_that_is_none_of_force_constants_is_named(simpleapi: ModuleType) -> None:
    make_table(simpleapi, [("a", 1.0)], ("Peak", "Value"))
    with pytest.raises(RuntimeError, match="invalid Properties"):
        simulate_dispersion(simpleapi, ForceConstantsFile="", ForceConstantsTable="table")
    make_table(simpleapi, [("Ge1-Ge2 (0.25 0.25 0.25) xx", -2.0)])
    with pytest.raises(RuntimeError, match=r"table does not belong to Ge.* has no value for it"):
        simulate_dispersion(simpleapi, ForceConstantsFile="", ForceConstantsTable="table")


def test_default_bins_are_those_of_the_core(simpleapi: ModuleType, germanium: Crystal) -> None:
    bands = simulate_dispersion(simpleapi, OutputSpectrumWorkspace="iqe", StructureFile="")
    expected = simulate(read_force_constants(TRUTH, germanium), standard_path(germanium, bands.blocksize()))
    # The structure comes from the yaml, whose lattice has fewer digits than the POSCAR's.
    np.testing.assert_allclose(simpleapi.mtd["iqe"].getSignalArray(), expected.spectrum, rtol=1e-5, atol=1e-6)


def test_cancelling_ends_it_within_a_second(simpleapi: ModuleType) -> None:
    from mantid.api import AlgorithmManager

    simpleapi.LoadMD(Filename=str(FILES / "ge_small.nxs"), OutputWorkspace="events")
    simpleapi.FoldToIQE(InputWorkspace="events", StructureFile=POSCAR, OutputWorkspace="measured")
    algorithm = AlgorithmManager.create("SimulateDispersion")
    given = {"StructureFile": POSCAR, "ForceConstantsFile": TRUTH, "OutputWorkspace": "bands"}
    coverage = {"CoverageWorkspace": "measured", "OutputCoverageWorkspace": "expected"}
    for name, value in {**given, **coverage}.items():
        algorithm.setProperty(name, value)
    cancel_after(algorithm, 1.0)
    assert not simpleapi.mtd.doesExist("expected")
