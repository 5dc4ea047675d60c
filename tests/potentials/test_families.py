"""The families of force fields in their own environments, each where its environment is there.

Slow. FCINV_ENVIRONMENTS says where the environments are; `fcinv ensemble --setup` makes them. MACE and M3GNet
run tiny untrained models that are made on the spot: what is tested is the way in and out, not their physics.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import phonopy
import pytest

from fcinv_core.crystal import Crystal, read_structure
from fcinv_core.potentials import EnsembleConfig, Member, MemberJob, run_member, shipped_ensemble
from fcinv_core.potentials.environments import interpreter_of
from fcinv_core.potentials.finite_displacements import force_constants_of
from fcinv_core.potentials.job import run_worker

pytestmark = pytest.mark.slow

GE = Crystal.from_cell(2.829 * (np.ones((3, 3)) - np.eye(3)), [[0, 0, 0], [0.25, 0.25, 0.25]], ("Ge", "Ge"))

TINY_MACE = """
import sys, numpy as np, torch
from mace.modules import ScaleShiftMACE, interaction_classes  # before e3nn: it lets old e3nn read its constants
from e3nn import o3
torch.manual_seed(1)
torch.set_default_dtype(torch.float64)
block = interaction_classes["RealAgnosticResidualInteractionBlock"]
model = ScaleShiftMACE(
    r_max=4.5, num_bessel=4, num_polynomial_cutoff=5, max_ell=2, interaction_cls=block,
    interaction_cls_first=block, num_interactions=2, num_elements=1, hidden_irreps=o3.Irreps("8x0e + 8x1o"),
    MLP_irreps=o3.Irreps("8x0e"), atomic_energies=np.array([-4.0]), avg_num_neighbors=16.0, atomic_numbers=[32],
    correlation=2, gate=torch.nn.functional.silu, atomic_inter_scale=1.0, atomic_inter_shift=0.0,
)
torch.save(model, sys.argv[1])
"""

TINY_M3GNET = """
import sys, torch
from matgl.apps.pes import Potential
from matgl.models import M3GNet
torch.manual_seed(1)
model = M3GNet(element_types=("Ge",), is_intensive=False, units=8, dim_node_embedding=8, dim_edge_embedding=8)
Potential(model=model, data_std=100.0).save(sys.argv[1])
"""


def member_of(family: str, folder: Path) -> Member:
    """A member of ``family`` that can run here; the test is skipped where its environment is missing."""
    names = {"chgnet": "0.2.0", "sevennet": "7net-0", "mace": "tiny", "m3gnet": "tiny"}
    python = interpreter_of(Member(family, names[family]))
    if not python.exists():
        pytest.skip(f"there is no {python}: `fcinv ensemble --setup {family}` makes it")
    program = {"mace": TINY_MACE, "m3gnet": TINY_M3GNET}.get(family)
    if program is None:
        return Member(family, names[family])
    checkpoint = folder / "checkpoint"
    subprocess.run([python, "-I", "-c", program, checkpoint], check=True, capture_output=True)
    return Member(family, names[family], checkpoint=checkpoint)


@pytest.fixture(params=["chgnet", "sevennet", "mace", "m3gnet"])
def member(request: pytest.FixtureRequest, tmp_path: Path) -> Member:
    return member_of(request.param, tmp_path)


def test_forces_are_derivatives_of_the_energy(member: Member, tmp_path: Path) -> None:
    lattice, fractions, _ = GE.conventional_cell()
    places = np.random.default_rng(2).normal(scale=0.08, size=(8, 3)) + fractions @ lattice
    step = 0.01
    positions = np.array([places] * 5)
    positions[1, 3, 0] += step
    positions[2, 3, 0] -= step
    positions[3, 5, 2] += step
    positions[4, 5, 2] -= step
    result = run_worker(
        member, "forces", lattice, [32] * 8, positions, device="cpu", force_tolerance=1e-3, folder=tmp_path / "job"
    )
    forces, energies = result.arrays["forces"][0], result.arrays["energies"]
    scale = np.abs(forces).max()
    assert scale > 0
    for (atom, axis), (up, down) in {(3, 0): (1, 2), (5, 2): (3, 4)}.items():
        derivative = -(energies[up] - energies[down]) / (2 * step)
        # Single-precision energies of some eV: 1e-6 eV over 0.02 Å.
        assert forces[atom, axis] == pytest.approx(derivative, rel=0.03, abs=0.02 * scale + 1e-4)


def test_a_member_runs_from_structure_to_force_constants(member: Member, tmp_path: Path) -> None:
    config = EnsembleConfig((member,), min_length=5.0, convergence=())
    outcome = run_member(MemberJob(GE, member, config, tmp_path / "fcs"))
    assert outcome.record is not None, outcome.reason
    assert outcome.record.removed < 0.01
    assert outcome.record.versions["torch"].startswith("2.13.0")
    assert run_member(MemberJob(GE, member, config, tmp_path / "fcs")).state == "kept"


@pytest.mark.parametrize("family", ["chgnet", "sevennet"])
def test_a_member_computed_now_has_the_shipped_force_constants(family: str, tmp_path: Path) -> None:
    member = member_of(family, tmp_path)
    (shipped,) = (path for path in shipped_ensemble("nb") if path.name.endswith(f"{member.label}.yaml.xz"))
    job = MemberJob(
        read_structure(shipped.parent / "POSCAR"),
        member,
        EnsembleConfig((member,), convergence=()),
        tmp_path / "fcs",
    )
    assert run_member(job).state == "made"
    found = force_constants_of(phonopy.load(job.force_constants_path, log_level=0))
    expected = force_constants_of(phonopy.load(shipped, log_level=0))
    # Another processor may round the forces otherwise: 4e-6 eV/Å over 0.02 Å.
    np.testing.assert_allclose(found, expected, atol=2e-4)


def test_a_relaxed_chgnet_crystal_has_no_pressure_left(tmp_path: Path) -> None:
    member = member_of("chgnet", tmp_path)
    config = EnsembleConfig((member,), min_length=5.0, convergence=(), relax=True)
    outcome = run_member(MemberJob(GE, member, config, tmp_path / "fcs"))
    assert outcome.record is not None, outcome.reason
    constant = outcome.record.lattice[0][0]
    _, fractions, _ = GE.conventional_cell()
    energies = []
    for a in (constant - 0.05, constant, constant + 0.05):
        result = run_worker(
            member,
            "forces",
            a * np.eye(3),
            [32] * 8,
            (fractions * a)[None],
            device="cpu",
            force_tolerance=1e-3,
            folder=tmp_path / "energy",
        )
        energies.append(float(result.arrays["energies"][0]))
    # A parabola through three energies has its minimum where the relaxation ended.
    left, middle, right = energies
    assert abs(0.05 * (left - right) / (2 * (left + right - 2 * middle))) < 0.01
