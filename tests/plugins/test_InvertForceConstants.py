"""InvertForceConstants, as a script or Workbench runs it."""

from __future__ import annotations

import json
import sys
import threading
import time
from pathlib import Path
from types import ModuleType
from typing import Any, get_args

import h5py
import numpy as np
import pytest

from fcinv_core.cli import main
from fcinv_core.dynamics import mode_energies
from fcinv_core.folding.folded_file import write_folded
from fcinv_core.inversion.inversion import Method
from fcinv_core.inversion.invert import InversionSettings
from fcinv_core.inversion.refining import AmplitudeChoice
from fcinv_core.qpath import standard_path
from tests.inversion import standin
from tests.inversion.test_per_run import ANGLES, three_runs
from tests.inversion.test_zone import over_the_zone
from tests.plugins.cancelling import cancel_after
from tests.plugins.test_FoldToIQE import axes, content, make_another_histogram
from tests.plugins.test_SimulateDispersion import energies_of
from tests.test_generation import STRUCTURE

#: The measurement is of a spectrum in which every mode weighs the same.
QUICK = {"Amplitudes": "unit", "NumberOfDraws": 20}
QUICK_WORDS = ("--refine", "unit", "--draws", "20")
OPTIONAL = {
    "OutputDispersionWorkspace": "bands",
    "OutputFittedWorkspace": "fitted",
    "OutputReconstructedWorkspace": "reconstructed",
    "OutputPosteriorWorkspace": "posterior",
}


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folded measurement of aluminium."""
    path = tmp_path_factory.mktemp("measured") / "iqe.nxs"
    write_folded(path, standin.measurement())
    return path


@pytest.fixture
def iqe(simpleapi: ModuleType, measured: Path) -> Any:
    return simpleapi.LoadMD(Filename=str(measured), LoadHistory=False, OutputWorkspace="iqe")


@pytest.fixture(scope="module")
def measured_apart(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same counts in three runs."""
    path = tmp_path_factory.mktemp("measured") / "iqe.nxs"
    write_folded(path, three_runs())
    return path


@pytest.fixture
def three(simpleapi: ModuleType, measured_apart: Path) -> Any:
    return simpleapi.LoadMD(Filename=str(measured_apart), LoadHistory=False, OutputWorkspace="iqe")


@pytest.fixture(scope="module")
def measured_zone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The measurement at points all over the zone."""
    path = tmp_path_factory.mktemp("measured") / "zone.nxs"
    write_folded(path, over_the_zone(16))
    return path


@pytest.fixture
def zone(simpleapi: ModuleType, measured_zone: Path) -> Any:
    return simpleapi.LoadMD(Filename=str(measured_zone), LoadHistory=False, OutputWorkspace="zone")


def invert(simpleapi: ModuleType, model: Path, **options: Any) -> Any:
    given = {"InputWorkspace": "iqe", "Model": str(model), "OutputWorkspace": "found", **QUICK}
    simpleapi.InvertForceConstants(**{**given, **options})
    return simpleapi.mtd["found"]


def test_the_result_is_that_of_the_command_line(
    simpleapi: ModuleType, iqe: Any, measured: Path, model_folder: Path, tmp_path: Path
) -> None:
    words = ["invert", str(measured), "--model", str(model_folder), *QUICK_WORDS, "--window", "3", "40"]
    assert main([*words, "--fwhm", "2.0", "0", "--out", str(tmp_path / "a")]) == 0
    options = {"EnergyWindow": [3.0, 40.0], "ResolutionFWHM": [2.0, 0.0], "ResultFolder": str(tmp_path / "b")}
    table = invert(simpleapi, model_folder, **OPTIONAL, **options)
    one, other = (json.loads((tmp_path / name / "result.json").read_text(encoding="utf-8")) for name in "ab")
    for result in (one, other):
        result.pop("provenance")
    assert one == other
    assert (tmp_path / "b" / "report.html").exists()
    rows = one["force_constants"]
    for column, key in {
        "Label": "label",
        "Value": "value",
        "Error": "sigma",
        "PriorValue": "prior_mean",
        "DecidedBy": "decided_by",
    }.items():
        assert list(table.column(column)) == [row[key] for row in rows]
    assert list(table.column("NetworkValue")) == [row["value"] for row in one["network"]["force_constants"]]
    with h5py.File(tmp_path / "a" / "posterior.h5") as file:
        bands = file["dispersion/answer"]
        np.testing.assert_allclose(energies_of(simpleapi.mtd["bands"]), bands["value"][()], atol=1e-12)
        errors = np.array([simpleapi.mtd["bands"].readE(k) for k in range(3)]).T
        np.testing.assert_allclose(errors, (bands["upper68"][()] - bands["lower68"][()]) / 2, atol=1e-12)
        posterior = simpleapi.mtd["posterior"]
        drawn = np.array([posterior.column(name) for name in posterior.getColumnNames()]).T
        np.testing.assert_array_equal(drawn, file["force_constants/draws"][()])
        np.testing.assert_array_equal(simpleapi.mtd["fitted"].getSignalArray(), file["spectra/fitted"][()])
        np.testing.assert_array_equal(
            simpleapi.mtd["reconstructed"].getSignalArray(), file["spectra/network/reconstructed"][()]
        )


def test_it_finds_the_truth_within_its_errors(simpleapi: ModuleType, iqe: Any, model_folder: Path) -> None:
    found = invert(simpleapi, model_folder, OutputDispersionWorkspace="bands", NumberOfDraws=100)
    values, errors = (np.array(found.column(name)) for name in ("Value", "Error"))
    away = (values - standin.truth()) / errors
    assert (np.abs(away) < 2).mean() > 0.9
    # The mean of the prior lies 7 % below every energy.
    bands = simpleapi.mtd["bands"]
    path = standin.measurement().bins.path
    assert path is not None
    exact = standin.prior().dynamics(path.q).energies(standin.truth())
    assert np.sqrt(((energies_of(bands) - exact) ** 2).mean()) < 0.2
    np.testing.assert_allclose(bands.readX(0), path.distance, atol=1e-12)


def test_histograms_lie_on_the_axes_of_measurement_and_model(
    simpleapi: ModuleType, iqe: Any, model_folder: Path
) -> None:
    invert(simpleapi, model_folder, **OPTIONAL)
    fitted, reconstructed = (simpleapi.mtd[name] for name in ("fitted", "reconstructed"))
    assert axes(fitted) == axes(iqe)
    seen, model = iqe.getSignalArray(), fitted.getSignalArray()
    fit = np.isfinite(model)
    assert not fit[:, :4].any(), "the elastic line is left out"
    # Counts scatter about the fit: 40 for an intensity of 1.
    chi2 = (standin.EXPOSURE * (seen[fit] - model[fit]) ** 2 / model[fit]).mean()
    assert 0.7 < chi2 < 1.3
    assert content(fitted)["kind"] == "fitted spectrum"
    assert axes(reconstructed)[0][2] == 31
    assert axes(reconstructed)[1][2] == 40
    assert content(reconstructed)["kind"] == "reconstructed spectrum"


def test_the_table_can_be_simulated(simpleapi: ModuleType, iqe: Any, model_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "POSCAR").write_text(STRUCTURE)
    found = invert(simpleapi, model_folder, Method="fit")
    simpleapi.SimulateDispersion(
        ForceConstantsTable="found",
        StructureFile=str(tmp_path / "POSCAR"),
        QStep=0.1,
        CoverageWorkspace="iqe",
        OutputWorkspace="again",
        OutputCoverageWorkspace="expected",
    )
    again, values = energies_of(simpleapi.mtd["again"]), np.array(found.column("Value"))
    path = standard_path(standin.prior().crystal, len(again))
    force_constants = standin.prior().force_constants(values, "the table")
    np.testing.assert_allclose(again, mode_energies(force_constants, path.q), atol=1e-4)
    expected = simpleapi.mtd["expected"].getSignalArray()
    np.testing.assert_array_equal(np.isfinite(expected), np.isfinite(iqe.getSignalArray()))


def test_the_network_alone(simpleapi: ModuleType, iqe: Any, model_folder: Path, tmp_path: Path) -> None:
    table = invert(simpleapi, model_folder, Method="network", OutputReconstructedWorkspace="reconstructed", Seed=3)
    assert list(table.column("Value")) == list(table.column("NetworkValue"))
    assert list(table.column("Error")) == pytest.approx(list(table.column("NetworkError")))
    fit = invert(simpleapi, model_folder, Method="fit", OutputWorkspace="found")
    assert np.isnan(fit.column("NetworkValue")).all()
    assert sorted(map(str, simpleapi.mtd.getObjectNames())) == ["found", "iqe", "reconstructed"]


def test_single_runs_are_those_of_the_command_line(
    simpleapi: ModuleType, three: Any, measured_apart: Path, model_folder: Path, tmp_path: Path
) -> None:
    words = ["invert", str(measured_apart), "--model", str(model_folder), *QUICK_WORDS, "--method", "fit"]
    assert main([*words, "--per-run", "--out", str(tmp_path / "a")]) == 0
    options = {"PerRun": True, "OutputPerRunWorkspace": "runs", "ResultFolder": str(tmp_path / "b")}
    invert(simpleapi, model_folder, Method="fit", **options)
    one, other = (json.loads((tmp_path / name / "per_run.json").read_text(encoding="utf-8")) for name in "ab")
    assert one["single"] == other["single"]
    assert one["running"] == other["running"]
    assert (tmp_path / "a" / "per_run.csv").read_bytes() == (tmp_path / "b" / "per_run.csv").read_bytes()
    assert "Single orientations" in (tmp_path / "b" / "report.html").read_text(encoding="utf-8")
    table = simpleapi.mtd["runs"]
    assert list(table.column("Run")) == [11, 12, 13]
    np.testing.assert_allclose(table.column("Angle"), ANGLES, atol=1e-9)
    for column, key in {
        "Difference": "error_mev",
        "ExpectedError": "expected_error_mev",
        "Counts": "counts",
    }.items():
        assert list(table.column(column)) == [run[key] for run in one["single"]]
    assert set(table.column("Amplitudes")) == {"unit"}
    assert sorted(map(str, simpleapi.mtd.getObjectNames())) == ["found", "iqe", "runs"]


def test_over_the_zone_the_result_is_that_of_the_command_line(
    simpleapi: ModuleType,
    iqe: Any,
    zone: Any,
    measured: Path,
    measured_zone: Path,
    model_folder: Path,
    tmp_path: Path,
) -> None:
    words = ["invert", str(measured), "--zone", str(measured_zone), "--model", str(model_folder), *QUICK_WORDS]
    assert main([*words, "--window", "3", "40", "--out", str(tmp_path / "a")]) == 0
    options = {"ZoneWorkspace": "zone", "EnergyWindow": [3.0, 40.0], "OutputFittedWorkspace": "fitted"}
    table = invert(simpleapi, model_folder, **options, ResultFolder=str(tmp_path / "b"))
    one, other = (json.loads((tmp_path / name / "result.json").read_text(encoding="utf-8")) for name in "ab")
    assert other["provenance"]["zone"] == "zone"
    for result in (one, other):
        result.pop("provenance")
    assert one == other
    assert list(table.column("Value")) == [row["value"] for row in one["force_constants"]]
    assert any("irreducible zone" in sentence for sentence in one["assumptions"])
    with h5py.File(tmp_path / "a" / "posterior.h5") as file:
        np.testing.assert_array_equal(simpleapi.mtd["fitted"].getSignalArray(), file["spectra/fitted"][()])
    assert axes(simpleapi.mtd["fitted"]) == axes(iqe)
    assert sorted(map(str, simpleapi.mtd.getObjectNames())) == ["fitted", "found", "iqe", "zone"]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"ZoneWorkspace": "other"}, "other is no folded measurement: give OutputWorkspace of FoldToIQE with Grid"),
        ({"ZoneWorkspace": "iqe"}, "iqe is folded along a path: give OutputWorkspace of FoldToIQE with Grid"),
        ({"InputWorkspace": "apart"}, "zone and apart are not of the same runs: fold the same events twice"),
        ({"Method": "network"}, "A network answers from the path: leave it empty, or choose refine"),
    ],
)
def test_what_is_no_zone_of_this_measurement_is_refused(
    simpleapi: ModuleType,
    iqe: Any,
    zone: Any,
    measured_apart: Path,
    model_folder: Path,
    options: dict[str, Any],
    says: str,
) -> None:
    make_another_histogram(simpleapi)
    simpleapi.LoadMD(Filename=str(measured_apart), LoadHistory=False, OutputWorkspace="apart")
    problems = prepared(model_folder, **{"ZoneWorkspace": "zone", **options}).validateInputs()
    assert type(problems) is dict
    assert list(problems) == ["ZoneWorkspace"]
    assert says in problems["ZoneWorkspace"]


def test_single_runs_that_are_not_kept_or_not_there_are_refused(
    simpleapi: ModuleType, three: Any, model_folder: Path, measured: Path
) -> None:
    for options, says in (
        ({"PerRun": True}, "give ResultFolder or OutputPerRunWorkspace"),
        ({"OutputPerRunWorkspace": "runs"}, "choose PerRun"),
    ):
        assert says in dict(prepared(model_folder, **options).validateInputs())["PerRun"]
    assert not prepared(model_folder, PerRun=True, OutputPerRunWorkspace="runs").validateInputs()
    simpleapi.LoadMD(Filename=str(measured), LoadHistory=False, OutputWorkspace="iqe")
    problems = dict(prepared(model_folder, PerRun=True, OutputPerRunWorkspace="runs").validateInputs())
    assert "iqe has one run" in problems["PerRun"]


def test_one_entry_in_the_history_and_nothing_left_behind(
    simpleapi: ModuleType, iqe: Any, model_folder: Path
) -> None:
    invert(simpleapi, model_folder, Method="network", OutputDispersionWorkspace="bands")
    assert sorted(map(str, simpleapi.mtd.getObjectNames())) == ["bands", "found", "iqe"]
    history = simpleapi.mtd["bands"].getHistory()
    entries = [history.getAlgorithmHistory(k) for k in range(history.size())]
    assert [entry.name() for entry in entries] == ["LoadMD", "InvertForceConstants"]
    assert entries[1].childHistorySize() == 0


def prepared(model: Path, **options: Any) -> Any:
    from mantid.api import AlgorithmManager

    algorithm = AlgorithmManager.create("InvertForceConstants")
    given = {"InputWorkspace": "iqe", "Model": str(model), "OutputWorkspace": "found", **QUICK}
    for name, value in {**given, **options}.items():
        algorithm.setProperty(name, value)
    return algorithm


def test_choices_are_those_of_the_core(model_folder: Path) -> None:
    from mantid.api import AlgorithmManager

    algorithm = AlgorithmManager.create("InvertForceConstants")
    assert sorted(algorithm.getProperty("Method").allowedValues) == sorted(get_args(Method))
    assert sorted(algorithm.getProperty("Amplitudes").allowedValues) == sorted(get_args(AmplitudeChoice))
    assert algorithm.getProperty("Amplitudes").value == InversionSettings().amplitudes


@pytest.mark.parametrize(
    ("options", "name", "says"),
    [
        (
            {"InputWorkspace": "other"},
            "InputWorkspace",
            "other is no result of FoldToIQE: give its OutputWorkspace",
        ),
        ({"Model": "nowhere"}, "Model", "there is no model 'nowhere'"),
        ({"Model": "."}, "Model", "is not a model: there is no card.json in it"),
        ({"EnergyWindow": [3.0]}, "EnergyWindow", "two energies, the lower one first"),
        ({"EnergyWindow": [30.0, 3.0]}, "EnergyWindow", "two energies, the lower one first"),
        ({"Instrument": "ARC"}, "Instrument", "'ARC' is not a known instrument"),
        ({"Instrument": "ARCS", "ResolutionFWHM": [1.0]}, "Instrument", "leave one of them empty"),
        ({"ResultFolder": str(Path(__file__).parent)}, "ResultFolder", "it holds files but no result.json"),
        (
            {"Method": "fit", "OutputReconstructedWorkspace": "r"},
            "OutputReconstructedWorkspace",
            "asks no network",
        ),
        ({"Method": "network", "OutputFittedWorkspace": "f"}, "OutputFittedWorkspace", "fits nothing"),
    ],
)
def test_wrong_entries_are_named_in_a_sentence(
    simpleapi: ModuleType, iqe: Any, model_folder: Path, options: dict[str, Any], name: str, says: str
) -> None:
    make_another_histogram(simpleapi)
    problems = dict(prepared(model_folder, **options).validateInputs())
    assert list(problems) == [name]
    assert says in problems[name]
    assert "\n" not in problems[name]
    with pytest.raises(RuntimeError, match="invalid Properties"):
        invert(simpleapi, model_folder, **options)
    assert not simpleapi.mtd.doesExist("found")


def test_a_measurement_of_another_crystal_is_one_sentence(simpleapi: ModuleType, iqe: Any, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="crystal of the measurement"):
        invert(simpleapi, Path("ge"), ResultFolder=str(tmp_path / "result"))
    assert list(tmp_path.iterdir()) == []


def test_a_changed_measurement_is_refused(simpleapi: ModuleType, iqe: Any, model_folder: Path) -> None:
    iqe.setSignalArray(np.array(iqe.getSignalArray()) * 2)
    with pytest.raises(RuntimeError, match="the histogram is not the sum of the runs"):
        invert(simpleapi, model_folder)


def test_a_missing_package_is_named_with_the_line_that_installs_it(
    simpleapi: ModuleType, iqe: Any, model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "fcinv_core.inversion.invert", None)
    with pytest.raises(RuntimeError, match=r"fcinv_core\.inversion\.invert.*python -m pip install -c"):
        invert(simpleapi, model_folder)


def test_cancelling_ends_it_within_a_second(
    simpleapi: ModuleType, iqe: Any, model_folder: Path, tmp_path: Path
) -> None:
    options = {"NumberOfDraws": 50_000, "Method": "fit", "ResultFolder": str(tmp_path / "result")}
    cancel_after(prepared(model_folder, **options), 2.0)
    assert sorted(map(str, simpleapi.mtd.getObjectNames())) == ["iqe"]
    assert list(tmp_path.iterdir()) == []


def test_cancelling_single_runs_ends_them_within_a_second(
    simpleapi: ModuleType, three: Any, model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fcinv_core.inversion import per_run

    begun = threading.Event()

    def endless(*arguments: Any) -> None:
        begun.set()
        between = arguments[-1]
        while True:
            between()
            time.sleep(0.02)

    monkeypatch.setattr(per_run, "refine_measurement", endless)
    options = {"Method": "fit", "PerRun": True, "ResultFolder": str(tmp_path / "result")}
    cancel_after(prepared(model_folder, **options), 0.5, begun.is_set)
    assert sorted(map(str, simpleapi.mtd.getObjectNames())) == ["iqe"]
    assert list(tmp_path.iterdir()) == []
