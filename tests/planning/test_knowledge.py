"""A plan starts from what the folder of a result, or a prior, says."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from fcinv_core.errors import InputError
from fcinv_core.inversion.inversion import Inversion
from fcinv_core.planning.knowledge import knowledge_of_prior, knowledge_of_result
from tests.inversion import standin


def test_the_posterior_of_a_result_is_read(inverted: Inversion, result: Path) -> None:
    known = knowledge_of_result(result, 3)
    np.testing.assert_allclose(known.precision @ inverted.covariance, np.eye(len(inverted.values)), atol=1e-6)
    np.testing.assert_array_equal(known.draws[0], inverted.values)
    assert known.draws.shape == (3, len(inverted.values))
    np.testing.assert_allclose(known.crystal.lattice, inverted.crystal.lattice)
    assert known.temperature == 20.0
    # The refinement looked at bins from 3 meV on only.
    above = inverted.folded.grid.edges[:-1] >= 3.0
    assert known.counts == inverted.intensity.counts[:, above].sum()


def test_without_a_result_the_prior_is_known() -> None:
    prior = standin.prior()
    known = knowledge_of_prior(prior, 3)
    np.testing.assert_allclose(np.diag(known.precision), prior.sigma**-2.0)
    np.testing.assert_array_equal(known.draws[0], prior.mean)
    assert any(np.array_equal(known.draws[1], member.values) for member in prior.members)


@pytest.mark.parametrize("damage", ["missing", "newer", "torn"])
def test_a_folder_that_is_no_result_is_refused(damage: str, result: Path, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(result, folder)
    if damage == "missing":
        (folder / "posterior.h5").unlink()
    elif damage == "newer":
        content = json.loads((folder / "result.json").read_text(encoding="utf-8"))
        (folder / "result.json").write_text(json.dumps({**content, "schema": 99}), encoding="utf-8")
    else:
        (folder / "result.json").write_text("{", encoding="utf-8")
    with pytest.raises(InputError, match="holds no result"):
        knowledge_of_result(folder)
