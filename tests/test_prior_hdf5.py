"""A prior comes back from a file as it was."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from fcinv_core.force_constants.non_analytic import NonAnalyticTerm
from fcinv_core.prior import prior_from_members
from fcinv_core.prior_hdf5 import read_prior, write_prior
from tests.ensembles import aluminium_ensemble


@pytest.mark.parametrize("converged", [False, True])
def test_the_dipole_term_comes_back_with_its_sum(converged: bool, tmp_path: Path) -> None:
    prior = prior_from_members(aluminium_ensemble())
    reference = prior.reference
    term = NonAnalyticTerm(reference.crystal, reference.supercell, 0.1 * np.eye(3)[None], 2 * np.eye(3), 14.4)
    term = term.converged() if converged else term
    with h5py.File(tmp_path / "prior.h5", "w") as file:
        write_prior(file.create_group("prior"), replace(prior, reference=replace(reference, non_analytic=term)))
    with h5py.File(tmp_path / "prior.h5") as file:
        again = read_prior(file["prior"]).reference.non_analytic
    assert again is not None
    assert (again.cutoff is None) is not converged
    assert (again.method, again.factor, again.cutoff, again.smearing) == (
        term.method,
        term.factor,
        term.cutoff,
        term.smearing,
    )
    np.testing.assert_array_equal(again.born, term.born)
