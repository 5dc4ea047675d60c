"""The comparison with the measured cut of quartz prints what it finds, and its lines are those of CASTEP."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest


def script() -> ModuleType:
    path = Path(__file__).parent.parent / "scripts" / "compare_quartz.py"
    spec = importlib.util.spec_from_file_location("compare_quartz", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_lines_of_quartz_lie_where_castep_puts_them(shared_data: Path, tmp_path: Path) -> None:
    module = script()
    found = module.compare(shared_data / "quartz_merlin")
    lower, upper = found.centroids["lower"], found.centroids["upper"]
    # CASTEP has 15.9 and 27.65 meV at Γ and the cut averages over 0.1 reciprocal lattice units around it; measured
    # are 16.7 and 26.6 meV (the data's own description).
    assert lower[1] == pytest.approx(15.9, abs=0.4)
    assert upper[1] == pytest.approx(27.65, abs=0.4)
    assert 0.35 < found.fwhm < 2.1
    assert lower[0] == pytest.approx(16.7, abs=3 * lower[2])
    assert upper[0] == pytest.approx(26.6, abs=3 * upper[2])
    # The chi2 that is printed is that of the curve that is plotted.
    chi2 = (((found.intensity - found.model) / found.error) ** 2).sum()
    assert found.chi2 == pytest.approx(chi2, rel=1e-6)
    assert f"chi2 {chi2:.1f} for {len(found.energy) - 3} degrees" in found.report()
    # The model is no good fit (the relative strengths of its lines are off), but far better than no line at all.
    flat = np.average(found.intensity, weights=1 / found.error**2)
    assert chi2 < (((found.intensity - flat) / found.error) ** 2).sum() - 50
    module.draw(found, tmp_path / "quartz.png")
    assert (tmp_path / "quartz.png").stat().st_size > 10_000
