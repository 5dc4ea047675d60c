"""Answers of single orientations as plain content and as a table."""

from __future__ import annotations

import csv
import io
from typing import Any

from fcinv_core.inversion.per_run import PartialAnswer, PerRun

#: Names of the files beside result.json.
TABLE, CONTENT = "per_run.csv", "per_run.json"


def per_run_content(per_run: PerRun) -> dict[str, Any]:
    """Return the content of per_run.json: plain types, units in the keys."""
    return {
        "seconds": per_run.seconds,
        "compared_with": "the answer of all runs; errors are root mean squares of mode energies over the zone",
        "single": [_plain(one) for one in per_run.single],
        "running": [_plain(one) for one in per_run.running],
    }


def per_run_table(per_run: PerRun, labels: tuple[str, ...]) -> str:
    """Return a table in CSV: a line for each orientation, with value and sigma of every force constant."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    columns = [f"{name} {what} (eV/Å²)" for name in labels for what in ("value", "sigma")]
    head = ["run", "angle (degrees)", "counts", "amplitudes", "error (meV)", "expected error (meV)"]
    writer.writerow([*head, *columns])
    for one in per_run.single:
        pairs = [f"{x:.6g}" for pair in zip(one.values, one.sigma, strict=True) for x in pair]
        numbers = [f"{one.angle:.4g}", f"{one.counts:.6g}", one.amplitudes]
        writer.writerow([one.runs[0], *numbers, f"{one.error:.4g}", f"{one.expected_error:.4g}", *pairs])
    return stream.getvalue()


def _plain(one: PartialAnswer) -> dict[str, Any]:
    return {
        "runs": list(one.runs),
        "angle_degrees": one.angle,
        "counts": one.counts,
        "amplitudes": one.amplitudes,
        "error_mev": one.error,
        "expected_error_mev": one.expected_error,
        "values_ev_per_square_angstrom": one.values.tolist(),
        "sigma_ev_per_square_angstrom": one.sigma.tolist(),
        "failure": one.failure or None,
    }
