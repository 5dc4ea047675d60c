"""Data and normalisation of a folded measurement by zone class, as two histograms: MDNorm's outputs, folded.

Together they hold the whole measurement, the sums of every run included, so that later runs can be added to them
without loss: the histogram of the data carries what events gave, that of the normalisation what was covered.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fcinv_core.crystal import FloatArray
from fcinv_core.errors import InputError
from fcinv_core.folding.folded import Folded
from fcinv_core.folding.folded_file import arrays_of, content_of, first_dimension, folded_from
from fcinv_core.nexus import GENERAL_FRAME, Dimension, MDHisto, energy_dimension, read_mdhisto

#: `MDHisto.content` names what a histogram is by these.
DATA, NORMALISATION = "folded data", "folded normalisation"
#: Cells that a dense histogram may have: 24 bytes each, so 1.2 GB.
LARGEST_DENSE = 50_000_000

#: Arrays of the collection "runs" that tell what was covered.
_COVERED = ("exposure_start", "exposure_cells", "exposure", "offset", "square")


def class_histograms(folded: Folded, *, rows: Sequence[int] | None = None) -> tuple[MDHisto, MDHisto]:
    """Return data and normalisation over (zone class, path point, energy).

    Their quotient, or that of their sums over classes, is the intensity; both are 0 where nothing was covered.
    Data outside of the coverage are left out. Backgrounds are not subtracted.

    Parameters
    ----------
    folded
        The folded measurement.
    rows
        Zone classes that are shown, ascending; all by default. The sums of all are there in any case.

    Raises
    ------
    InputError
        If the histograms would be too large.
    """
    chosen = np.arange(len(folded.zones)) if rows is None else np.asarray(rows, dtype=np.int64)
    _, n_bins, n_energies = folded.shape
    shape = (len(chosen), n_bins, n_energies)
    if np.prod(shape) > LARGEST_DENSE:
        raise InputError(
            f"data and normalisation of {len(chosen)} zone classes are too large",
            f"{np.prod(shape):.3g} cells, {LARGEST_DENSE:.3g} are allowed",
            "choose zones, or read the sparse sums of the folded file",
        )
    cells = folded.cells
    place = np.full(len(folded.zones), -1, dtype=np.int64)
    place[chosen] = np.arange(len(chosen))
    inside = (cells.exposure > 0) & (place[cells.row] >= 0)
    at = (place[cells.row[inside]], cells.bin[inside], cells.energy[inside])

    def spread(values: FloatArray) -> FloatArray:
        dense = np.zeros(shape)
        dense[at] = values[inside]
        return dense

    edges = np.arange(len(chosen) + 1, dtype=float) - 0.5
    dimensions = (
        Dimension("zone", "zone class", "", GENERAL_FRAME, edges),
        first_dimension(folded),
        energy_dimension(folded.grid.edges),
    )
    content = {**content_of(folded), "zone_classes_hkl": folded.hkl[chosen].tolist()}
    arrays = arrays_of(folded)
    covered = {name: arrays["runs"].pop(name) for name in _COVERED}
    counts = spread(cells.counts)
    formula = folded.bins.crystal.formula
    data = MDHisto(
        signal=spread(cells.signal),
        error_squared=spread(cells.variance),
        num_events=counts,
        dimensions=dimensions,
        logs={"run_title": f"{DATA} of {formula} by zone class"},
        content={**content, "kind": DATA, "signal": "sum of weights of events"},
        collections=arrays,
    )
    normalisation = MDHisto(
        signal=spread(cells.exposure),
        error_squared=np.zeros(shape),
        num_events=counts,
        dimensions=dimensions,
        logs={"run_title": f"{NORMALISATION} of {formula} by zone class"},
        content={**content, "kind": NORMALISATION, "signal": "solid angle times proton charge times energy width"},
        collections={"runs": covered},
    )
    return data, normalisation


def read_class_histograms(data: Path, normalisation: Path, names: tuple[str, str] | None = None) -> Folded:
    """Read the measurement that two files of `class_histograms` hold together, bit for bit.

    Parameters
    ----------
    data, normalisation
        The two files, whether fcinv or Mantid's SaveMD wrote them.
    names
        How error messages call the two; their paths by default.

    Raises
    ------
    InputError
        If one of them is something else, they are of two different folds, or a signal was changed since.
    """
    called = (str(data), str(normalisation)) if names is None else names
    one, other = read_mdhisto(data), read_mdhisto(normalisation)
    for histo, name, kind in ((one, called[0], DATA), (other, called[1], NORMALISATION)):
        if histo.content.get("kind") != kind:
            raise InputError(
                f"{name} is no {kind}", "it is something else", "give both outputs of one earlier fold"
            )
    try:
        runs = {**one.collections["runs"], **other.collections["runs"]}
        folded = folded_from(one.content, {**one.collections, "runs": runs})
        hkl = {tuple(zone): row for row, zone in enumerate(folded.hkl.tolist())}
        rows = [hkl[tuple(zone)] for zone in one.content["zone_classes_hkl"]]
        again = class_histograms(folded, rows=rows)
        # Not to the bit: another numpy may add in another order.
        same = all(
            np.allclose(histo.signal, expected.signal, rtol=1e-9)
            for histo, expected in zip((one, other), again, strict=True)
        )
    except (KeyError, ValueError, TypeError, IndexError, AttributeError):
        same = False
    if not same or {**one.content, **_OWN} != {**other.content, **_OWN}:
        raise InputError(
            f"{called[0]} and {called[1]} do not belong together",
            "they are of different folds, or a signal was changed since",
            "give both outputs of one earlier fold, as they were",
        )
    return folded


#: What the contents of the two differ in.
_OWN = {"kind": None, "signal": None}
