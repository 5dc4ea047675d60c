"""The autoreduction hook adds run after run, loses nothing, and never makes the reduction fail."""

from __future__ import annotations

import gzip
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from fcinv_core.cli import main
from fcinv_core.folding.folded_file import read_folded
from fcinv_core.shipped import shipped_models, virtual_experiment
from tests.algorithm_calls import algorithm_calls
from tests.crystals import crystal
from tests.folding.test_folded_file import assert_identical
from tests.mantid_choice import ROOT
from tests.plugins.measurement import POSCAR, measure, write

HOOK = ROOT / "scripts" / "autoreduction" / "reduce_ARCS.py"
#: What makes a fold of the small measurement quick.
QUICK = {"points": 27, "widths": [0.25], "energies": [2, 24, 2]}
REDUCTION = """
from dataclasses import replace
from pathlib import Path
import shutil

def reduce(nexus_file, output_folder):
    print("the reduction speaks")
    if "vanadium" in nexus_file:
        return None
    file = Path(output_folder) / (Path(nexus_file).stem + "_md.nxs")
    shutil.copy(nexus_file, file)
    return str(file)

def publish(run, page):
    Path(__file__).with_name("published.html").write_text(page)
"""


@pytest.fixture(scope="session")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three runs in a file each, and all in one."""
    folder = tmp_path_factory.mktemp("raw")
    germanium = crystal("Ge")
    for number in (10, 11, 12):
        write(folder / f"ARCS_{number}.nxs", measure(germanium, 1, first=number, seed=number))
    return folder


class Facility:
    """An instrument's folder with the hook, and an experiment's."""

    def __init__(self, folder: Path) -> None:
        self.shared, self.out = folder / "shared", folder / "IPTS-1"
        self.shared.mkdir()
        self.out.mkdir()
        shutil.copy(HOOK, self.shared)
        (self.shared / "toy_reduction.py").write_text(REDUCTION)
        (self.out / "POSCAR").write_text(POSCAR)
        self.configure(shared={})

    def configure(self, *, shared: dict[str, Any] | None = None, experiment: Any = None) -> None:
        if shared is not None:
            content = {"reduction": "toy_reduction:reduce", "fold": QUICK, **shared}
            (self.shared / "fcinv.json").write_text(json.dumps(content))
        if experiment is not None:
            (self.out / "fcinv.json").write_text(json.dumps(experiment))

    def start(self, nexus: Path) -> subprocess.Popen[str]:
        command = [sys.executable, str(self.shared / HOOK.name), str(nexus), str(self.out)]
        return subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.shared.parent,
            env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        )

    def reduce(self, nexus: Path) -> str:
        """Run the hook; return what it printed after making sure that it looked like a success."""
        return finished(self.start(nexus))

    def program(self, text: str) -> None:
        """Let ``fcinv`` be this Python program."""
        file = self.shared / "fcinv"
        file.write_text(f"#!{sys.executable}\n{text}")
        file.chmod(0o755)
        self.configure(shared={"fcinv": str(file)})

    @property
    def status(self) -> dict[str, Any]:
        return dict(json.loads((self.out / "fcinv" / "status.json").read_text(encoding="utf-8")))


def finished(process: subprocess.Popen[str]) -> str:
    printed, errors = process.communicate(timeout=300)
    assert process.returncode == 0, printed + errors
    assert errors == ""
    return printed


@pytest.fixture
def facility(tmp_path: Path) -> Facility:
    return Facility(tmp_path)


@pytest.fixture(scope="module")
def hook() -> ModuleType:
    """The hook as a module."""
    spec = importlib.util.spec_from_file_location("reduce_ARCS", HOOK)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_run_after_run_is_the_fold_of_all(facility: Facility, raw: Path, tmp_path: Path) -> None:
    facility.configure(shared={"publish": "toy_reduction:publish"}, experiment={"structure": "POSCAR"})
    for number in (11, 10):
        printed = facility.reduce(raw / f"ARCS_{number}.nxs")
        assert "the reduction speaks" in printed
    whole = tmp_path / "whole.nxs"
    words = ["--points", "27", "--widths", "0.25", "--energies", "2", "24", "2", "--out", str(whole)]
    events = [str(raw / f"ARCS_{number}.nxs") for number in (10, 11)]
    assert main(["fold", *events, "--structure", str(facility.out / "POSCAR"), *words]) == 0
    added, keep = read_folded(facility.out / "fcinv" / "folded.nxs")
    together, kept = read_folded(whole)
    assert_identical(replace(added, provenance={}), replace(together, provenance={}))
    np.testing.assert_array_equal(keep, kept)

    status = facility.status
    assert (status["run"], status["problem"], status["result"]) == ("ARCS_10", None, None)
    assert status["measured"]["runs"] == [10, 11]
    assert status["measured"]["counts"] == pytest.approx(float(together.intensity(kept).counts.sum()))
    assert {"folded.nxs", "pictures/folded.png"} <= set(status["files"])
    page = (facility.shared / "published.html").read_text()
    assert page.startswith("<div>")
    assert "data:image/png;base64,iVBOR" in page


def test_runs_that_come_together_lose_nothing(facility: Facility, raw: Path) -> None:
    facility.configure(experiment={"structure": "POSCAR"})
    started = [facility.start(raw / f"ARCS_{number}.nxs") for number in (10, 11, 12)]
    for process in started:
        finished(process)
    folded, _ = read_folded(facility.out / "fcinv" / "folded.nxs")
    assert [run.number for run in folded.runs] == [10, 11, 12]


def test_a_run_that_is_reduced_again_takes_its_own_place(facility: Facility, raw: Path) -> None:
    facility.configure(experiment={"structure": "POSCAR"})
    facility.reduce(raw / "ARCS_10.nxs")
    first = facility.status["measured"]
    facility.reduce(raw / "ARCS_10.nxs")
    assert facility.status["problem"] is None
    assert facility.status["measured"] == first


def test_an_experiment_without_configuration_is_only_reduced(facility: Facility, raw: Path) -> None:
    printed = facility.reduce(raw / "ARCS_10.nxs")
    assert "nothing to do" in printed
    assert (facility.out / "ARCS_10_md.nxs").is_file()
    assert not (facility.out / "fcinv").exists()


def test_a_run_that_is_no_measurement_is_left_out(facility: Facility) -> None:
    facility.configure(experiment={"structure": "POSCAR"})
    assert "no measurement" in facility.reduce(facility.out / "vanadium.nxs")
    assert not (facility.out / "fcinv").exists()


def test_a_reduction_that_fails_fails(facility: Facility) -> None:
    facility.configure(experiment={"structure": "POSCAR"})
    process = facility.start(facility.out / "missing.nxs")
    _, errors = process.communicate(timeout=60)
    assert process.returncode != 0
    assert "missing.nxs" in errors


@pytest.mark.parametrize(
    ("experiment", "said"),
    [
        ({"structure": "CONTCAR"}, "CONTCAR"),
        ({}, "names no structure"),
        (["structure"], "holds no JSON object"),
        ({"structure": "POSCAR", "reduction": "os:system"}, "holds reduction: an experiment may give"),
        ({"structure": "POSCAR", "fold": {"out": "elsewhere.nxs"}}, "gives out for fold"),
        ({"structure": "POSCAR", "fold": {"wodths": 1}}, "--wodths"),
        ({"structure": "POSCAR", "model": "unobtainium"}, "there is no model 'unobtainium'"),
    ],
)
def test_what_is_wrong_is_said_on_stdout_and_in_the_status(
    facility: Facility, raw: Path, experiment: Any, said: str
) -> None:
    facility.configure(experiment=experiment)
    printed = facility.reduce(raw / "ARCS_10.nxs")
    [line] = [line for line in printed.splitlines() if line.startswith("fcinv: no new force constants: ")]
    assert said in line
    assert said in facility.status["problem"]
    assert facility.status["run"] == "ARCS_10"


def test_a_configuration_that_is_no_json_is_named(facility: Facility, raw: Path) -> None:
    (facility.out / "fcinv.json").write_text('{"structure": POSCAR}')
    assert "IPTS-1/fcinv.json cannot be read" in facility.reduce(raw / "ARCS_10.nxs")


@pytest.mark.parametrize(
    ("program", "limits", "said"),
    [
        ("import os; os.abort()", {}, "exit code -6"),
        ("import sys; sys.exit('the disk is full')", {}, "the disk is full"),
        ("import time; time.sleep(60)", {"minutes": 0.02}, "took longer than the 0.02 minutes"),
        ("bytes(10**9)", {"memory_gb": 0.5}, "MemoryError"),
    ],
)
def test_not_even_a_crash_reaches_the_reduction(
    facility: Facility, raw: Path, program: str, limits: dict[str, float], said: str
) -> None:
    facility.program(program)
    facility.configure(
        shared={"fcinv": str(facility.shared / "fcinv"), **limits}, experiment={"structure": "POSCAR"}
    )
    began = time.monotonic()
    facility.reduce(raw / "ARCS_10.nxs")
    assert said in facility.status["problem"]
    assert time.monotonic() - began < 30


def test_what_the_hook_started_ends_with_it(facility: Facility, raw: Path) -> None:
    facility.program("import os, pathlib, time; pathlib.Path('pid').write_text(str(os.getpid())); time.sleep(60)")
    facility.configure(experiment={"structure": "POSCAR"})
    process = facility.start(raw / "ARCS_10.nxs")
    file = facility.out / "pid"
    wait_until(lambda: file.is_file() and file.read_text() != "")
    process.kill()
    process.communicate()
    # The one that adopts it may take a moment to look after it.
    wait_until(lambda: ended(int(file.read_text())))
    facility.program("import sys; sys.exit('the lock is free')")
    facility.reduce(raw / "ARCS_10.nxs")
    assert facility.status["problem"] == "the lock is free"


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def ended(pid: int) -> bool:
    """Whether a process is gone, or a zombie."""
    state = Path(f"/proc/{pid}/stat")
    return not state.is_file() or state.read_text().rpartition(")")[2].split()[0] == "Z"


def test_a_python_of_its_own_is_not_misled_by_that_of_mantid(facility: Facility, raw: Path) -> None:
    facility.program("import os, sys; sys.exit('PYTHONPATH is ' + os.environ.get('PYTHONPATH', 'not set'))")
    facility.configure(experiment={"structure": "POSCAR"})
    facility.reduce(raw / "ARCS_10.nxs")
    assert facility.status["problem"] == "PYTHONPATH is not set"


def test_what_was_found_before_survives_a_problem(facility: Facility, raw: Path) -> None:
    facility.configure(experiment={"structure": "POSCAR"})
    facility.reduce(raw / "ARCS_10.nxs")
    before = (facility.out / "fcinv" / "folded.nxs").read_bytes()
    facility.configure(experiment={"structure": "POSCAR", "fold": {"widths": [0.3]}})
    facility.reduce(raw / "ARCS_11.nxs")
    assert "other widths" in facility.status["problem"]
    assert (facility.out / "fcinv" / "folded.nxs").read_bytes() == before
    assert facility.status["measured"]["runs"] == [10]


#: Stands for fcinv: every fold adds one run of 100 counts, and inverting takes as long as the file "slow" says.
COUNTING = """
import json, pathlib, sys, time
out = pathlib.Path(sys.argv[sys.argv.index("--out") + 1])
if sys.argv[1] == "fold":
    pictures = pathlib.Path(sys.argv[sys.argv.index("--pictures") + 1])
    pictures.mkdir(exist_ok=True)
    summary = pictures / "folded.json"
    runs = json.loads(summary.read_text())["runs"] if summary.exists() else []
    runs.append(len(runs))
    summary.write_text(json.dumps({"runs": runs, "counts": 100.0 * len(runs), "covered_share": 0.5}))
    out.touch()
else:
    with open("inversions", "a") as log:
        log.write(" ".join(sys.argv[4:]) + chr(10))
    while pathlib.Path("slow").exists():
        time.sleep(0.05)
    out.mkdir(exist_ok=True)
    (out / "result.json").write_text(json.dumps({"verdict": {"sentence": "Fine."}, "force_constants": []}))
"""


def inversions(facility: Facility) -> list[str]:
    file = facility.out / "inversions"
    return file.read_text().splitlines() if file.is_file() else []


def test_it_inverts_when_the_measurement_grew(facility: Facility, raw: Path) -> None:
    facility.program(COUNTING)
    experiment = {"structure": "POSCAR", "model": "ge", "growth": 0.4, "invert": {"window": [3, 36], "fwhm": 1.2}}
    facility.configure(experiment=experiment)
    # 100, 200, 300, 400, 500 counts: inverted at the first, and when there is 40 % more.
    expected = [1, 2, 3, 3, 4]
    for n in expected:
        facility.reduce(raw / "ARCS_10.nxs")
        assert len(inversions(facility)) == n
    assert inversions(facility)[0].endswith("--window 3 36 --fwhm 1.2")
    assert facility.status["result"]["runs"] == [0, 1, 2, 3, 4]
    assert facility.status["result"]["verdict"]["sentence"] == "Fine."


def test_what_arrives_while_another_run_inverts_is_taken_in_by_it(facility: Facility, raw: Path) -> None:
    facility.program(COUNTING)
    facility.configure(experiment={"structure": "POSCAR", "model": "ge"})
    (facility.out / "slow").touch()
    first = facility.start(raw / "ARCS_10.nxs")
    wait_until(lambda: bool(inversions(facility)))
    assert "will take this one in" in facility.reduce(raw / "ARCS_11.nxs")
    (facility.out / "slow").unlink()
    finished(first)
    assert len(inversions(facility)) == 2
    assert facility.status["result"]["runs"] == [0, 1]


def test_growth(hook: ModuleType) -> None:
    def measured(*runs: int, counts: float = 100.0, covered: float = 0.5) -> dict[str, Any]:
        return {"runs": list(runs), "counts": counts, "covered_share": covered}

    before = measured(1, 2)
    assert hook.grew(before, None, 0.1)
    assert not hook.grew(measured(1, counts=0.0), None, 0.1)
    assert not hook.grew(before, before, 0.1)
    assert hook.grew(measured(1, 2, counts=100.5), before, 0.1), "a run was reduced again"
    assert not hook.grew(measured(1, 2, 3, counts=105.0), before, 0.1)
    assert hook.grew(measured(1, 2, 3, counts=115.0), before, 0.1)
    assert hook.grew(measured(1, 2, 3, covered=0.6), before, 0.1)
    assert hook.grew(measured(1, 3), before, 0.1), "run 2 was taken out"


def test_a_file_that_a_real_mantid_wrote(facility: Facility, shared_data: Path) -> None:
    structure = "toy\n1.0\n3.9 0 0\n0 3.9 0\n0 0 5.2\nTi\n1\ndirect\n0 0 0\n"
    (facility.out / "POSCAR").write_text(structure)
    fold = {"points": 40, "widths": [0.3, 0.2], "energies": [-2, 7, 0.5]}
    facility.configure(experiment={"structure": "POSCAR", "fold": fold})
    facility.reduce(shared_data / "mantid" / "toy_qsample_dE_3runs_mdevent.nxs")
    assert facility.status["problem"] is None, facility.status["problem"]
    assert len(facility.status["measured"]["runs"]) == 3


@pytest.mark.slow
def test_a_measurement_becomes_force_constants_with_the_shipped_model(facility: Facility) -> None:
    if "ge" not in shipped_models():
        pytest.skip("no model of germanium comes with this checkout")
    files = virtual_experiment()
    shutil.copy(files / "POSCAR", facility.out)
    facility.configure(shared={"fold": {}}, experiment={"structure": "POSCAR", "model": "ge"})
    facility.reduce(files / "ge_small.nxs")
    status = facility.status
    assert status["problem"] is None
    assert status["result"]["runs"] == status["measured"]["runs"] == list(range(1, 24))
    written = json.loads((facility.out / "fcinv" / "result" / "result.json").read_text())
    assert status["result"]["verdict"] == written["verdict"]
    assert status["result"]["force_constants"] == written["force_constants"]
    assert {"result/report.html", "result/phonopy_params.yaml"} <= set(status["files"])


def test_the_example_of_a_reduction_names_properties_that_there_are(shared_data: Path) -> None:
    manifest = shared_data.parent / "mantid-manifest.json.gz"
    listed = json.loads(gzip.decompress(manifest.read_bytes()))["algorithms"]
    for name, given in algorithm_calls(HOOK.with_name("arcs_reduction.py")):
        # A workflow of several algorithms, which is not in the list.
        if name != "DgsReduction":
            assert given <= {one["name"] for one in listed[name]}, name


def test_the_shipped_examples_are_accepted(hook: ModuleType, tmp_path: Path) -> None:
    examples = HOOK.parent
    instrument = json.loads((examples / "fcinv.json").read_text())
    shutil.copy(examples / "experiment" / "fcinv.json", tmp_path)
    configuration = hook.read_configuration(instrument, tmp_path)
    module, _, function = configuration["reduction"].partition(":")
    assert f"def {function}(nexus_file, output_folder)" in (examples / f"{module}.py").read_text()
    # The words that follow are those of the command line.
    from fcinv_core.cli import build_parser

    parser = build_parser()
    parser.parse_args(
        ["fold", "e.nxs", "--structure", "P", "--out", "f.nxs", *map(str, hook.options(configuration["fold"]))]
    )
    parser.parse_args(
        ["invert", "f.nxs", "--model", "ge", "--out", "r", *map(str, hook.options(configuration["invert"]))]
    )
