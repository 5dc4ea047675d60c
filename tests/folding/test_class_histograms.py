"""Data and normalisation by zone class: they give the intensity, and hold the measurement together."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fcinv_core.crystal import Crystal
from fcinv_core.errors import InputError
from fcinv_core.folding import class_histograms as module
from fcinv_core.folding.class_histograms import class_histograms, read_class_histograms
from fcinv_core.folding.fold import FoldSettings, fold
from fcinv_core.folding.folded import Folded
from fcinv_core.folding.folded_file import write_folded
from fcinv_core.nexus import read_mdhisto, write_mdhisto
from fcinv_core.qpath import QPath
from tests.folding.measurement import GRID, constant_scattering, detectors, make_runs
from tests.folding.test_folded_file import assert_identical


@pytest.fixture(scope="module")
def folded(germanium: Crystal, path: QPath) -> Folded:
    source = constant_scattering(make_runs(germanium, 3), detectors(30, 8), 100.0, seed=0, weight=0.7)
    empty = constant_scattering(make_runs(germanium, 1, 90), detectors(30, 8), 20.0, seed=5)
    settings = FoldSettings(GRID, widths=(0.25, 0.25), kikf_applied=False)
    return fold(source, germanium, path, settings, background=empty)


@pytest.fixture
def files(folded: Folded, tmp_path: Path) -> tuple[Path, Path]:
    paths = (tmp_path / "data.nxs", tmp_path / "normalisation.nxs")
    for path, histo in zip(paths, class_histograms(folded), strict=True):
        write_mdhisto(path, histo, folded.bins.crystal)
    return paths


def test_their_quotient_is_the_intensity(folded: Folded) -> None:
    data, normalisation = class_histograms(folded)
    assert data.signal.shape == normalisation.signal.shape == folded.shape
    bare = replace(folded, backgrounds=())
    with np.errstate(invalid="ignore"):
        np.testing.assert_allclose(
            data.signal.sum(axis=0) / normalisation.signal.sum(axis=0), bare.intensity().intensity, rtol=1e-12
        )
    assert data.content["zone_classes_hkl"] == folded.hkl.tolist()
    assert (data.signal[normalisation.signal == 0] == 0).all()
    few, _ = class_histograms(folded, rows=[1, 3])
    np.testing.assert_array_equal(few.signal, data.signal[[1, 3]])


@pytest.mark.parametrize("rows", [None, [0, 2]])
def test_they_give_back_every_bit_of_the_measurement(
    folded: Folded, rows: list[int] | None, tmp_path: Path
) -> None:
    paths = (tmp_path / "data.nxs", tmp_path / "normalisation.nxs")
    for path, histo in zip(paths, class_histograms(folded, rows=rows), strict=True):
        write_mdhisto(path, histo, folded.bins.crystal)
    assert [d.id for d in read_mdhisto(paths[0]).dimensions] == ["zone", "path", "DeltaE"]
    assert_identical(folded, read_class_histograms(*paths))


def test_what_does_not_belong_together_is_refused(
    folded: Folded, files: tuple[Path, Path], tmp_path: Path, germanium: Crystal
) -> None:
    data, normalisation = files
    with pytest.raises(InputError, match=r"normalisation\.nxs is no folded data"):
        read_class_histograms(normalisation, data)
    write_folded(tmp_path / "intensity.nxs", folded)
    with pytest.raises(InputError, match="D is no folded data"):
        read_class_histograms(tmp_path / "intensity.nxs", normalisation, ("D", "N"))
    other = replace(folded, runs=folded.runs[1:], backgrounds=())
    write_mdhisto(tmp_path / "other.nxs", class_histograms(other)[1], germanium)
    with pytest.raises(InputError, match="do not belong together"):
        read_class_histograms(data, tmp_path / "other.nxs")
    histo = read_mdhisto(data)
    write_mdhisto(tmp_path / "doubled.nxs", replace(histo, signal=2 * histo.signal), germanium)
    with pytest.raises(InputError, match="a signal was changed"):
        read_class_histograms(tmp_path / "doubled.nxs", normalisation)


def test_histograms_that_fill_the_memory_are_refused(folded: Folded, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LARGEST_DENSE", 1000)
    with pytest.raises(InputError, match="too large"):
        class_histograms(folded)
