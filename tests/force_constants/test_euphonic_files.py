"""Force constants read through Euphonic give Euphonic's phonons."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
from euphonic import ForceConstants as EuphonicForceConstants

from fcinv_core.crystal import FloatArray, map_cell
from fcinv_core.dynamics import mode_energies
from fcinv_core.errors import InputError
from fcinv_core.force_constants.euphonic_files import read_euphonic_force_constants
from fcinv_core.force_constants.pairs import ForceConstants
from tests.structure_factor.judge import in_euphonic, stable


def euphonic_energies(judge: EuphonicForceConstants, fcs: ForceConstants, q: FloatArray) -> FloatArray:
    """Euphonic's energies, meV, at fractions of our primitive reciprocal basis."""
    cell = judge.crystal
    symbols = [str(symbol) for symbol in cell.atom_type]
    vectors = cell.cell_vectors.to("angstrom").magnitude
    basis = map_cell(fcs.crystal, vectors, cell.atom_r, symbols, name="Euphonic's cell").basis
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        modes = judge.calculate_qpoint_phonon_modes(q @ basis, asr="reciprocal", use_c=False)
    return np.sort(modes.frequencies.to("meV").magnitude, axis=1)


@pytest.mark.parametrize(("name", "n_cells"), [("Nb", 3), ("wurtzite ZnO", 2), ("triclinic P1", 2)])
def test_json_of_euphonic_gives_the_same_energies_everywhere(name: str, n_cells: int, tmp_path: Path) -> None:
    judge = in_euphonic(stable(name, n_cells))
    judge.to_json_file(str(tmp_path / "fcs.json"))
    fcs = read_euphonic_force_constants(tmp_path / "fcs.json")
    q = np.random.default_rng(2).uniform(-1, 1, (30, 3))
    np.testing.assert_allclose(mode_energies(fcs, q), euphonic_energies(judge, fcs, q), atol=1e-4)


def test_another_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "nothing.castep_bin").write_bytes(b"nothing of the kind")
    with pytest.raises(InputError, match="is not a file of force constants"):
        read_euphonic_force_constants(tmp_path / "nothing.castep_bin")
    with pytest.raises(InputError, match=r"missing.castep_bin"):
        read_euphonic_force_constants(tmp_path / "missing.castep_bin")


@pytest.mark.slow
def test_polar_quartz_of_castep_gives_the_same_energies_with_its_dipoles(shared_data: Path) -> None:
    path = shared_data / "quartz_merlin" / "quartz.castep_bin"
    fcs = read_euphonic_force_constants(path)
    assert fcs.crystal.space_group_number in (152, 154)
    assert fcs.non_analytic is not None
    judge = EuphonicForceConstants.from_castep(str(path))
    q = np.random.default_rng(3).uniform(-0.5, 0.5, (40, 3))
    # The acoustic sum rule is shared among images here, and put into one cell there.
    np.testing.assert_allclose(mode_energies(fcs, q), euphonic_energies(judge, fcs, q), atol=2e-4)
    # Close to Γ the longitudinal modes depend on the direction.
    near = 0.01 * q / np.linalg.norm(q, axis=1, keepdims=True)
    found, theirs = mode_energies(fcs, near), euphonic_energies(judge, fcs, near)
    np.testing.assert_allclose(found, theirs, atol=2e-4)
