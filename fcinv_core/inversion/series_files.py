"""The folder of a series: a table and JSON of all answers, a picture, and a result in a folder for each."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import fcinv_core
from fcinv_core.files import replace_folder_when_complete, write_text
from fcinv_core.inversion.results import write_result
from fcinv_core.inversion.series import INDEPENDENCE, Series, SeriesAnswer
from fcinv_core.plotting import save_figure
from fcinv_core.report.series_figure import series_figure

#: Names of the files.
CONTENT, TABLE, PICTURE = "series.json", "series.csv", "series.png"


def write_series(
    series: Series,
    folder: Path,
    provenance: Mapping[str, Any],
    between: Callable[[], None] = lambda: None,
) -> None:
    """Write the folder of a series, whole or not at all.

    Parameters
    ----------
    series
        What to write.
    folder
        Where. Each answer has a folder in it, named by its temperature or pressure (`write_result`).
    provenance
        Plain content for JSON.
    between
        Called between parts of the work; what it raises ends it, and nothing is written.

    Raises
    ------
    InputError
        If the folder cannot be written to, or holds something other than an earlier series.
    """
    with replace_folder_when_complete(folder, CONTENT) as temporary:
        for one in series.answers:
            write_result(one.inversion, temporary / folder_name(series, one), between)
        content = json.dumps(series_content(series, provenance), indent=1, ensure_ascii=False, allow_nan=False)
        write_text(temporary / CONTENT, f"{content}\n")
        write_text(temporary / TABLE, series_table(series))
        save_figure(series_figure(series), temporary / PICTURE)


def folder_name(series: Series, answer: SeriesAnswer) -> str:
    """Return the name of the folder of one answer, such as "300K"."""
    return f"{answer.at:g}{series.unit}"


def series_content(series: Series, provenance: Mapping[str, Any]) -> dict[str, Any]:
    """Return the content of series.json: plain types, units in the keys."""
    return {
        "format": "fcinv series",
        "schema": 1,
        "quantity": series.quantity,
        "unit": series.unit,
        "independence": INDEPENDENCE,
        "labels": list(series.labels),
        "measurements": [
            {
                "at": one.at,
                "measurement": one.name,
                "folder": folder_name(series, one),
                "status": one.inversion.status.value,
                "amplitudes": _amplitudes(one),
                "strain_from_first": one.strain,
                "strain_from_prior": one.inversion.strain,
                "volume_cubic_angstrom": one.volume,
                "values_ev_per_square_angstrom": one.inversion.values.tolist(),
                "sigma_ev_per_square_angstrom": one.inversion.sigma.tolist(),
                "decided_by": list(one.inversion.decided_by),
            }
            for one in series.answers
        ],
        "modes": [
            {
                "point": mode.point,
                "branches": list(mode.branches),
                "energies_mev": mode.energies.tolist(),
                "sigma_mev": mode.sigma.tolist(),
            }
            for mode in series.modes
        ],
        "provenance": {**provenance, "fcinv": fcinv_core.__version__},
    }


def series_table(series: Series) -> str:
    """Return a table in CSV: a line for each measurement, with value and sigma of force constants and modes."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    named = [f"{label} {what} (eV/Å²)" for label in series.labels for what in ("value", "sigma")]
    named += [f"{mode.name} {what} (meV)" for mode in series.modes for what in ("energy", "sigma")]
    head = [f"{series.quantity} ({series.unit})", "measurement", "folder", "verdict", "amplitudes"]
    writer.writerow([*head, "strain from first", "strain from prior", "volume (Å³)", *named])
    for k, one in enumerate(series.answers):
        found = one.inversion
        pairs = [*zip(found.values, found.sigma, strict=True)]
        pairs += [(mode.energies[k], mode.sigma[k]) for mode in series.modes]
        words = [f"{one.at:g}", one.name, folder_name(series, one), found.status.value, _amplitudes(one)]
        lattice = [f"{one.strain:.3g}", f"{found.strain:.3g}", f"{one.volume:.6g}"]
        writer.writerow([*words, *lattice, *(f"{x:.6g}" for pair in pairs for x in pair)])
    return stream.getvalue()


def _amplitudes(one: SeriesAnswer) -> str:
    return "network" if one.inversion.refined is None else one.inversion.refined.model
