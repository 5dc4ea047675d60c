"""The folder that holds the result of an inversion: JSON, HDF5, phonopy's file and a report."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from fcinv_core.crystal import FloatArray
from fcinv_core.derived.bands import Band
from fcinv_core.derived.quantities import Derived
from fcinv_core.files import replace_folder_when_complete, write_text
from fcinv_core.force_constants.phonopy_files import write_phonopy_params
from fcinv_core.inversion.content import FORMAT, PHONOPY, POSTERIOR, REPORT, RESULT, SCHEMA, result_content
from fcinv_core.inversion.inversion import Inversion
from fcinv_core.inversion.per_run import PerRun
from fcinv_core.inversion.per_run_content import CONTENT, TABLE, per_run_content, per_run_table
from fcinv_core.prior_hdf5 import write_prior
from fcinv_core.report.inversion_report import report


def write_result(
    inversion: Inversion,
    folder: Path | str,
    between: Callable[[], None] = lambda: None,
    per_run: PerRun | None = None,
) -> Path:
    """Write the folder of a result, whole or not at all; return it.

    It holds result.json (`result_content`), posterior.h5 (covariance, draws, prior, measured and fitted intensity,
    bands), phonopy_params.yaml (the inverted force constants, which ``phonopy.load`` takes as it is) and
    report.html (everything for people, in one file).

    Parameters
    ----------
    inversion
        What to write.
    folder
        Where.
    between
        Called between parts of the work; what it raises ends it, and nothing is written.
    per_run
        What each run says alone: per_run.json, per_run.csv and a section of the report.

    Raises
    ------
    InputError
        If the folder cannot be written to, or holds something other than an earlier result.
    """
    folder = Path(folder)
    with replace_folder_when_complete(folder, RESULT) as temporary:
        write_text(temporary / RESULT, _json(result_content(inversion)))
        _write_posterior(temporary / POSTERIOR, inversion)
        write_phonopy_params(inversion.force_constants(), temporary / PHONOPY)
        write_text(temporary / REPORT, report(inversion, between, per_run))
        if per_run is not None:
            write_text(temporary / CONTENT, _json(per_run_content(per_run)))
            write_text(temporary / TABLE, per_run_table(per_run, inversion.prior.labels))
    return folder


def _json(content: dict[str, Any]) -> str:
    return json.dumps(_finite(content), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _finite(content: Any) -> Any:
    """Replace what is not finite by null, which JSON has, and numpy's numbers by plain ones."""
    if isinstance(content, dict):
        return {str(key): _finite(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_finite(value) for value in content]
    if isinstance(content, np.generic):
        return _finite(content.item())
    if isinstance(content, float) and not np.isfinite(content):
        return None
    return content


def _write_posterior(path: Path, inversion: Inversion) -> None:
    with h5py.File(path, "w") as file:
        file.attrs["format"], file.attrs["schema"] = FORMAT, SCHEMA
        answer = file.create_group("force_constants")
        answer["labels"] = list(inversion.prior.labels)
        for name in ("values", "sigma", "covariance", "draws"):
            answer[name] = getattr(inversion, name)
        answer.attrs["unit"] = "eV/Å², (eV/Å²)² of the covariance, in FC order"
        write_prior(file.create_group("prior"), inversion.prior)
        _write_spectra(file, inversion)
        bands = file.create_group("dispersion")
        bands["q"], bands["distance"] = inversion.path.q, inversion.path.distance
        _write_band(bands.create_group("answer"), inversion.derived.energies)
        _write_band(bands.create_group("prior"), inversion.prior_energies)
        bands.attrs["unit"] = "meV; q in fractions of the primitive reciprocal basis, distance in 1/Å"
        if inversion.network is not None:
            _write_band(bands.create_group("network"), inversion.network.energies)
            file.create_group("network")["draws"] = inversion.network.answer.draws
        if inversion.refined is not None:
            part = file.create_group("refinement")
            part["draws"], part["log_weights"] = inversion.refined.draws, inversion.refined.log_weights
            part["information"] = inversion.refined.information
        _write_derived(file.create_group("derived"), inversion.derived)


def _write_spectra(file: h5py.File, inversion: Inversion) -> None:
    spectra = file.create_group("spectra")
    spectra["energy_edges"] = inversion.folded.grid.edges
    measured = inversion.intensity
    arrays: dict[str, FloatArray] = {
        "measured": measured.intensity,
        "sigma": measured.sigma,
        "counts": measured.counts,
        "exposure_in_counts": measured.exposure_in_counts,
    }
    if inversion.along_path is not None:
        arrays |= {"fitted": inversion.along_path.fitted, "residual": inversion.along_path.residual}
    for name, values in arrays.items():
        spectra.create_dataset(name, data=values, compression="gzip")
    if inversion.network is not None and inversion.network.answer.reconstructed is not None:
        network = spectra.create_group("network")
        network["energy_edges"], network["q"] = inversion.network.grid.edges, inversion.network.path.q
        network.create_dataset("reconstructed", data=inversion.network.answer.reconstructed, compression="gzip")


def _write_derived(group: h5py.Group, derived: Derived) -> None:
    _write_band(group.create_group("density_of_states"), derived.dos)
    group["density_of_states"]["energy_edges"] = derived.dos_grid.edges
    _write_band(group.create_group("heat_capacity"), derived.heat_capacity)
    group["heat_capacity"]["temperature"] = derived.temperatures
    _write_band(group.create_group("elastic_constants"), derived.elastic)
    group["elastic_constants"]["names"] = list(derived.elastic_names)
    _write_band(group.create_group("displacements"), derived.displacements)


def _write_band(group: h5py.Group, of: Band) -> None:
    for name in ("value", "lower95", "lower68", "upper68", "upper95"):
        group.create_dataset(name, data=getattr(of, name))
