"""An ensemble from structure to summary, with calculators that ase brings along."""

from __future__ import annotations

import csv
import json
import pickle
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import phonopy
import pytest
from ase import Atoms
from ase.calculators.emt import EMT

from fcinv_core.crystal import Crystal
from fcinv_core.errors import InputError
from fcinv_core.potentials import EnsembleConfig, EnsembleSummary, Member, MemberJob, MemberOutcome, run_ensemble
from fcinv_core.potentials.ensemble import MemberRecord
from fcinv_core.potentials.finite_displacements import force_constants_of

COPPER = Crystal.from_cell(1.8 * (np.ones((3, 3)) - np.eye(3)), [[0, 0, 0]], ("Cu",))
EMT_MEMBER = Member("ase", "ase.calculators.emt:EMT")
# The cutoff lies 0.015 Å beyond the nearest neighbours of a = 3.6 Å: a displacement of 0.03 Å cuts bonds.
NEAREST = 3.6 / np.sqrt(2)
CUT = Member(
    "ase",
    "ase.calculators.lj:LennardJones",
    options={"epsilon": 0.4, "sigma": NEAREST / 2 ** (1 / 6), "rc": NEAREST + 0.015},
)
ABSENT = Member("mace", "small")
CONFIG = EnsembleConfig((EMT_MEMBER, CUT, ABSENT), min_length=7.0, convergence=(0.005, 0.01, 0.03))


def run(out: Path, config: EnsembleConfig = CONFIG) -> tuple[EnsembleSummary, list[str]]:
    lines: list[str] = []
    return run_ensemble(COPPER, config, out, report=lines.append), lines


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[EnsembleSummary, list[str]]:
    return run(tmp_path_factory.mktemp("fcs"))


def test_every_member_is_accounted_for(finished: tuple[EnsembleSummary, list[str]]) -> None:
    summary, lines = finished
    assert [outcome.state for outcome in summary.outcomes] == ["made", "made", "left out"]
    assert lines[-1] == '3/3 mace-small: left out, no checkpoint given (checkpoint = "path" in ensemble.toml)'
    with open(summary.out / "ensemble.csv", encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["member"] for row in rows] == [
        "ase-ase.calculators.emt-EMT",
        "ase-ase.calculators.lj-LennardJones",
        "mace-small",
    ]
    assert rows[0]["stable"] == "yes"
    assert rows[2]["reason"].startswith("no checkpoint given")
    content = json.loads((summary.out / "ensemble.json").read_text(encoding="utf-8"))
    assert list(content["left_out"]) == ["mace-small"]
    assert "2 of 3 members took part" in summary.table()
    assert (summary.out / "dispersions.png").read_bytes().startswith(b"\x89PNG")


def test_force_constants_are_derivatives_of_the_calculators_forces(
    finished: tuple[EnsembleSummary, list[str]],
) -> None:
    phonon = phonopy.load(finished[0].force_constants_paths[0], log_level=0)
    atoms = Atoms(
        phonon.supercell.symbols, positions=phonon.supercell.positions, cell=phonon.supercell.cell, pbc=True
    )
    atoms.calc = EMT()
    expected = np.empty((len(atoms), 3, 3))
    for axis in range(3):
        forces = []
        for step in (1e-4, -1e-4):
            atoms.positions = phonon.supercell.positions
            atoms.positions[0, axis] += step
            forces.append(atoms.get_forces())
        expected[:, axis] = (forces[1] - forces[0]) / 2e-4
    found = force_constants_of(phonon)[list(phonon.primitive.p2s_map).index(0)]
    np.testing.assert_allclose(found, expected, atol=2e-3 * np.abs(expected).max())


def test_only_the_member_that_depends_on_the_displacement_is_flagged(
    finished: tuple[EnsembleSummary, list[str]],
) -> None:
    smooth, cut = finished[0].taken
    assert not smooth.depends_on_displacement
    assert cut.depends_on_displacement
    by_length = {c.displacement: c.change for c in cut.convergence}
    assert by_length[0.03] > 10 * by_length[0.01]
    assert "depends on the displacement" in finished[1][2]


def test_records_survive_their_file(finished: tuple[EnsembleSummary, list[str]]) -> None:
    for record in finished[0].taken:
        text = (finished[0].out / f"{record.label}.json").read_text(encoding="utf-8")
        assert MemberRecord.from_json(text) == record
        assert {"python", "ase", "numpy", "phonopy", "symfc", "fcinv"} <= set(record.versions)


def test_finished_members_are_kept_and_damaged_or_changed_ones_made_again(tmp_path: Path) -> None:
    config = EnsembleConfig((EMT_MEMBER,), min_length=7.0, convergence=())
    first, _ = run(tmp_path, config)
    (force_constants,) = first.force_constants_paths
    made = force_constants.read_bytes()
    log = tmp_path / "jobs" / EMT_MEMBER.label / "forces" / "worker.log"

    log.write_text("untouched", encoding="utf-8")
    again, lines = run(tmp_path, config)
    assert [o.state for o in again.outcomes] == ["kept"]
    assert lines[-1].startswith("1/1 ase-ase.calculators.emt-EMT: kept, stable")
    assert again.taken == first.taken
    assert log.read_text(encoding="utf-8") == "untouched"

    force_constants.write_bytes(made[:-100])
    assert [o.state for o in run(tmp_path, config)[0].outcomes] == ["made"]
    assert force_constants.read_bytes() == made

    (tmp_path / f"{EMT_MEMBER.label}.json").write_text("{", encoding="utf-8")
    assert [o.state for o in run(tmp_path, config)[0].outcomes] == ["made"]
    assert [o.state for o in run(tmp_path, replace(config, displacement=0.01))[0].outcomes] == ["made"]


def test_an_interrupted_run_keeps_what_it_had(tmp_path: Path) -> None:
    config = EnsembleConfig((EMT_MEMBER, replace(EMT_MEMBER, modal="second")), min_length=7.0, convergence=())

    def stopping(function, shared, jobs):  # type: ignore[no-untyped-def]
        yield function(shared, next(iter(jobs)))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_ensemble(COPPER, config, tmp_path, map_units=stopping, report=lambda line: None)
    assert not (tmp_path / "ensemble.csv").exists()
    assert [o.state for o in run(tmp_path, config)[0].outcomes] == ["kept", "made"]


def test_a_relaxed_member_has_its_own_lattice(tmp_path: Path) -> None:
    config = EnsembleConfig((EMT_MEMBER,), min_length=7.0, convergence=(), relax=True)
    (record,) = run(tmp_path, config)[0].taken
    a = record.lattice[0][0]
    assert record.relaxed
    assert abs(a - 3.6) > 0.005  # the EMT copper of ase has a = 3.59 Å
    atoms = Atoms("Cu", cell=a / 2 * (np.ones((3, 3)) - np.eye(3)), pbc=True)
    atoms.calc = EMT()
    assert np.abs(atoms.get_stress()).max() < 1e-3


def test_an_ensemble_without_members_says_why_and_writes_no_summary(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none of the 1 members .* mace-small was left out, no checkpoint given"):
        run(tmp_path / "fcs", EnsembleConfig((ABSENT,)))
    assert not (tmp_path / "fcs").exists()


def test_members_can_be_spread(tmp_path: Path, finished: tuple[EnsembleSummary, list[str]]) -> None:
    def remote(function: Callable[[None, MemberJob], MemberOutcome], shared: None, jobs: Iterable[MemberJob]):  # type: ignore[no-untyped-def]
        """Several members at once, all that goes in and out pickled as on the way to another machine."""
        with ThreadPoolExecutor(2) as pool:
            for packed in pool.map(
                lambda job: pickle.dumps(function(shared, pickle.loads(job))), map(pickle.dumps, jobs)
            ):
                yield pickle.loads(packed)

    spread = run_ensemble(COPPER, CONFIG, tmp_path, map_units=remote, report=lambda line: None)
    assert [record.sha256 for record in spread.taken] == [record.sha256 for record in finished[0].taken]
