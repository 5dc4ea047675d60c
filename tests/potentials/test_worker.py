"""The program on the other side of the process border."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.lj import LennardJones

from fcinv_core.potentials import Member, worker
from fcinv_core.potentials.job import MemberLeftOutError, run_worker

COPPER = bulk("Cu", a=3.5, cubic=True)


def run(member: Member, task: str, folder: Path, positions: np.ndarray | None = None) -> dict[str, np.ndarray]:
    result = run_worker(
        member,
        task,  # type: ignore[arg-type]
        COPPER.cell.array,
        list(COPPER.numbers),
        COPPER.positions[None] if positions is None else positions,
        device="cpu",
        force_tolerance=1e-4,
        folder=folder,
    )
    assert result.versions["python"] == ".".join(map(str, sys.version_info[:3]))
    assert set(result.seconds) == {"load", task}
    return dict(result.arrays)


def test_it_imports_nothing_of_ours_and_no_force_field_at_the_top() -> None:
    tree = ast.parse(Path(worker.__file__).read_text(encoding="utf-8"))
    top, inside = set(), set()
    for node in ast.walk(tree):
        names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        (top if node in tree.body else inside).update(name.split(".")[0] for name in names)
    assert top - set(sys.stdlib_module_names) == {"numpy", "ase"}
    assert "fcinv_core" not in inside


def test_forces_are_those_of_the_calculator(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    positions = COPPER.positions + rng.normal(scale=0.05, size=(3, 4, 3))
    found = run(Member("ase", "ase.calculators.emt:EMT"), "forces", tmp_path / "job", positions)
    for place, forces, energy in zip(positions, found["forces"], found["energies"], strict=True):
        cell = COPPER.copy()
        cell.positions = place
        cell.calc = EMT()
        np.testing.assert_allclose(forces, cell.get_forces(), atol=1e-12)
        assert energy == pytest.approx(cell.get_potential_energy())


def test_options_reach_the_calculator(tmp_path: Path) -> None:
    options = {"epsilon": 0.3, "sigma": 2.4, "rc": 6.0}
    found = run(Member("ase", "ase.calculators.lj:LennardJones", options=options), "forces", tmp_path / "job")
    cell = COPPER.copy()
    cell.calc = LennardJones(**options)
    assert found["energies"][0] == pytest.approx(cell.get_potential_energy())


def test_relaxation_ends_at_the_lowest_energy_and_keeps_the_symmetry(tmp_path: Path) -> None:
    found = run(Member("ase", "ase.calculators.emt:EMT"), "relax", tmp_path / "job")
    a = found["lattice"][0, 0]
    np.testing.assert_allclose(found["lattice"], a * np.eye(3), atol=1e-8)

    def energy(length: float) -> float:
        cell = bulk("Cu", a=length, cubic=True)
        cell.calc = EMT()
        return float(cell.get_potential_energy())

    assert abs(a - 3.5) > 0.05
    assert energy(a) < min(energy(a - 0.002), energy(a + 0.002))


@pytest.mark.parametrize(
    ("member", "said"),
    [
        (Member("mace", "small"), 'no checkpoint given (checkpoint = "path" in ensemble.toml)'),
        (Member("mace", "small", checkpoint=Path("gone.model")), "its checkpoint gone.model does not exist"),
        (Member("chgnet", "0.3.0", interpreter=Path("gone/python")), "its interpreter gone/python does not exist"),
        (Member("ase", "no_such_module:Calculator"), "ModuleNotFoundError: No module named 'no_such_module'"),
        (Member("chgnet", "0.3.0", interpreter=Path(sys.executable)), "No module named 'chgnet'"),
        (Member("ase", "ase.calculators.emt:Nothing"), "has no attribute 'Nothing'"),
    ],
)
def test_a_member_that_cannot_run_says_why(tmp_path: Path, member: Member, said: str) -> None:
    with pytest.raises(MemberLeftOutError) as caught:
        run(member, "forces", tmp_path / "job")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_interpreter_without_ase_says_so(tmp_path: Path) -> None:
    # -I and a bare venv would take seconds to make; a program that fails at once stands for it.
    broken = tmp_path / "python"
    broken.write_text(
        "#!/bin/sh\necho \"ModuleNotFoundError: No module named 'ase'\" >&2\nexit 1\n", encoding="utf-8"
    )
    broken.chmod(0o755)
    with pytest.raises(MemberLeftOutError, match=r"ended with code 1: ModuleNotFoundError: No module named 'ase'"):
        run(Member("chgnet", "0.3.0", interpreter=broken), "forces", tmp_path / "job")
