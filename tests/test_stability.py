"""Stability is judged where instabilities show."""

import numpy as np
import pytest
from phonopy.harmonic.dynmat_to_fc import get_commensurate_points

from fcinv_core.force_constants.phonopy_files import from_phonopy
from fcinv_core.stability import TOLERANCE, commensurate_points, judge, stability_points
from tests.ensembles import aluminium, aluminium_ensemble, spring_phonopy


def test_stable_springs_are_called_stable() -> None:
    verdict = judge(aluminium_ensemble()[0])
    assert verdict.stable
    assert verdict.lowest > -1e-3


def test_imaginary_modes_are_found_with_their_q_point_as_phonopy_finds_them() -> None:
    fcs = aluminium_ensemble(unstable=True)[-1]
    verdict = judge(fcs)
    phonon = spring_phonopy(aluminium(), [(3.0, -1.0, 0.0)])
    phonon.run_qpoints([verdict.worst_q])
    assert not verdict.stable
    assert verdict.lowest < -TOLERANCE
    assert np.isclose(phonon.qpoints.frequencies.min() * 4.135667696, verdict.lowest, atol=1e-3)


def test_an_elastic_instability_shows_at_long_waves() -> None:
    # Second neighbours that push apart make the elastic constant C' negative.
    crystal = aluminium_ensemble()[0].crystal
    soft = from_phonopy(spring_phonopy(aluminium(), [(3.0, 1.0, 0.0), (4.2, -0.3, 0.0)]), crystal, source="soft")
    points = stability_points(crystal)
    lengths = np.linalg.norm(points @ crystal.reciprocal_lattice, axis=1)
    verdict = judge(soft, points[(lengths > 0) & (lengths < 0.1)])
    assert not verdict.stable
    assert np.linalg.norm(verdict.worst_q @ crystal.reciprocal_lattice) < 0.1


def test_verdict_turns_with_the_sign_of_the_force_constants() -> None:
    fcs = aluminium_ensemble()[0]
    good, bad = judge(fcs), judge(fcs.with_tensors(-fcs.tensors, "negative"))
    assert good.stable
    assert not bad.stable
    assert np.isclose(bad.lowest, -good.highest, atol=1e-9)
    # The energies of fcc springs are largest at X, where waves fit into the supercell.
    assert np.isclose(bad.lowest_commensurate, bad.lowest, atol=1e-9)


@pytest.mark.parametrize(
    "supercell", [np.eye(3, dtype=int) * 4, [[-3, 3, 3], [3, -3, 3], [3, 3, -3]], [[1, 2, 0], [0, 3, 1], [1, 0, 2]]]
)
def test_commensurate_points_are_those_of_phonopy(supercell: list[list[int]]) -> None:
    def folded(q: np.ndarray) -> set[tuple[float, ...]]:
        return {tuple(point) for point in np.mod(np.round(q, 9), 1).round(6) % 1}

    ours, theirs = commensurate_points(np.array(supercell)), get_commensurate_points(np.array(supercell).T)
    assert len(ours) == len(theirs)
    assert folded(ours) == folded(theirs)


def test_points_hold_no_two_equivalent_long_waves() -> None:
    fcs = aluminium_ensemble()[0]
    points = stability_points(fcs.crystal)
    lengths = np.linalg.norm(points @ fcs.crystal.reciprocal_lattice, axis=1)
    near = points[(lengths > 0) & (lengths < 0.1)]
    # Directions 100, 110, 111, 120 and 123 of a cubic crystal, in whatever basis.
    assert 3 <= len(near) <= 8
    assert len(np.unique(points.round(6), axis=0)) == len(points)
