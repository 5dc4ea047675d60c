"""A result on disk: fields, phonopy, whole or not at all."""

from __future__ import annotations

import json
import re
import warnings
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import phonopy
import pytest

from fcinv_core.errors import InputError
from fcinv_core.inversion import results
from fcinv_core.inversion.inversion import Inversion
from fcinv_core.inversion.results import write_result
from fcinv_core.prior_hdf5 import read_prior
from fcinv_core.units import THZ_TO_MEV


@pytest.fixture(scope="module")
def folder(inversion: Inversion, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_result(inversion, tmp_path_factory.mktemp("work") / "result")


@pytest.fixture(scope="module")
def content(folder: Path) -> dict[str, Any]:
    def refuse(name: str) -> float:
        raise AssertionError(f"{name} is no JSON")

    text = (folder / "result.json").read_text(encoding="utf-8")
    return dict(json.loads(text, parse_constant=refuse))


def test_force_constants_have_all_fields(content: dict[str, Any], inversion: Inversion) -> None:
    rows = content["force_constants"]
    assert len(rows) == inversion.prior.n_force_constants
    wanted = {
        "index", "label", "shell", "distance_angstrom", "element", "value", "sigma", "unit", "prior_mean",
        "prior_sigma", "decided_by",
    }  # fmt: skip
    assert wanted <= set(rows[0])
    assert [row["index"] for row in rows] == list(range(len(rows)))
    np.testing.assert_allclose([row["value"] for row in rows], inversion.values)
    np.testing.assert_allclose([row["sigma"] for row in rows], inversion.sigma)
    assert {row["unit"] for row in rows} == {"eV/Å²"}


def test_everything_an_inversion_reports_is_there(content: dict[str, Any]) -> None:
    """Design: table, predictive chi2, coverage, flags, imaginary fraction, assumptions, provenance."""
    assert content["verdict"]["status"] == "ok"
    assert content["fit"]["expected_chi2"] > 0
    assert content["coverage"]["covered_share"] == pytest.approx(1)
    assert content["network"]["out_of_range"] == []
    assert content["derived"]["imaginary_share"] == 0
    assert len(content["assumptions"]) > 4
    assert content["provenance"]["command"] == "test"
    assert content["provenance"]["settings"]["n_draws"] == 60
    assert content["derived"]["elastic_constants"]["C11"]["unit"] == "GPa"
    assert content["crystal"]["strain_from_prior"] == pytest.approx(0.01, rel=1e-3)
    assert len(content["network"]["force_constants"]) == len(content["force_constants"])


def test_phonopy_loads_the_force_constants_at_the_measured_lattice(folder: Path, inversion: Inversion) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        phonon = phonopy.load(folder / "phonopy_params.yaml")
    np.testing.assert_allclose(
        abs(np.linalg.det(phonon.primitive.cell)), abs(np.linalg.det(inversion.crystal.lattice)), rtol=1e-9
    )
    path = inversion.path
    theirs = np.sort(phonon.run_qpoints(path.q).frequencies, axis=1) * THZ_TO_MEV
    np.testing.assert_allclose(inversion.derived.energies.value, theirs, atol=1e-3)


def test_posterior_holds_covariance_draws_prior_and_spectra(folder: Path, inversion: Inversion) -> None:
    with h5py.File(folder / "posterior.h5") as file:
        np.testing.assert_array_equal(file["force_constants/covariance"][()], inversion.covariance)
        np.testing.assert_array_equal(file["force_constants/draws"][()], inversion.draws)
        assert read_prior(file["prior"]).labels == inversion.prior.labels
        assert inversion.refined is not None
        np.testing.assert_array_equal(file["spectra/fitted"][()], inversion.refined.fitted)
        np.testing.assert_array_equal(file["spectra/measured"][()], inversion.intensity.intensity)
        lower, upper = (file[f"dispersion/answer/{name}"][()] for name in ("lower95", "upper95"))
        assert (lower <= upper).all()
        assert file["spectra/network/reconstructed"].shape == (30, 50)


class _Page(HTMLParser):
    """Collects headings, and where things are loaded from."""

    def __init__(self) -> None:
        super().__init__()
        self.sources: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.sources += [value or "" for name, value in attributes if name in ("src", "href")]
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_report_is_one_file_with_the_verdict_first(folder: Path, inversion: Inversion) -> None:
    text = (folder / "report.html").read_text(encoding="utf-8")
    page = _Page()
    page.feed(text)
    assert not page.open, "every tag is closed"
    assert len(page.sources) >= 5
    assert all(source.startswith("data:image/png;base64,") for source in page.sources)
    assert "url(" not in text
    assert text.index(inversion.headline) < text.index("<figure>")
    for one in inversion.findings:
        assert one.name in text
    assert inversion.prior.labels[0] in text
    words = re.sub(r"data:image/png;base64,[^\"]+", "", text)
    assert "nan" not in re.sub(r"<style>.*?</style>", "", words, flags=re.S).lower().split()


def test_a_result_replaces_an_earlier_one_and_nothing_else(
    inversion: Inversion, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(results, "write_phonopy_params", lambda fcs, path: path.write_text("phonopy"))
    monkeypatch.setattr(results, "report", lambda *_: "page")
    folder = tmp_path / "result"
    write_result(inversion, folder)
    write_result(inversion, folder)
    assert sorted(path.name for path in folder.iterdir()) == [
        "phonopy_params.yaml",
        "posterior.h5",
        "report.html",
        "result.json",
    ]
    other = tmp_path / "mine"
    other.mkdir()
    (other / "thesis.tex").write_text("years of work")
    with pytest.raises(InputError, match="holds files"):
        write_result(inversion, other)
    assert [path.name for path in other.iterdir()] == ["thesis.tex"]

    def fail(*_: object) -> str:
        raise OSError("disk full")

    monkeypatch.setattr(results, "report", fail)
    before = (folder / "result.json").stat().st_mtime_ns
    for target in (folder, tmp_path / "new"):
        with pytest.raises(OSError, match="disk full"):
            write_result(inversion, target)
    assert (folder / "result.json").stat().st_mtime_ns == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine", "result"]
