"""Print how much processor time an inversion takes, on one core, next to phonopy's dispersion of the same path.

    python scripts/bench_invert.py FOLDED.nxs

inverts the folded measurement of germanium, as `fcinv invert` does, in parts: the answer of the network, the
refinement from its draws with free amplitudes and with structure factors, the weights of draws, and single
orientations, network and refinement together. Times are medians of three, after a first one that compiles.
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import phonopy
import torch

from fcinv_core.folding.folded import BoolArray, Folded
from fcinv_core.folding.folded_file import read_folded
from fcinv_core.inversion.invert import InversionSettings, refinable
from fcinv_core.inversion.refining import AmplitudeChoice, refine_measurement
from fcinv_core.networks.model import Model, NetworkDraws, load_model
from fcinv_core.potentials import shipped_ensemble
from fcinv_core.refinement.settings import RefineSettings
from fcinv_core.shipped import find_model

#: Draws of a whole inversion, and of one that is part of many.
_DRAWS, _FEW = 300, 20
#: Single orientations that are tried.
_RUNS = 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folded", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    folded, keep = read_folded(options.folded)
    model = load_model(find_model("ge"))
    data = refinable(folded, keep, InversionSettings())
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, numpy {np.__version__}; {len(folded.runs)} runs, "
        f"{len(data.counts)} cells, {data.counts.sum():.0f} counts"
    )
    peer = seconds(phonopy_dispersion(model))
    print(f"{'phonopy, dispersion of the path':46} {peer:8.3f} s")

    def show(what: str, run: Callable[[], object]) -> None:
        spent = seconds(run)
        print(f"{what:46} {spent:8.3f} s {spent / peer:8.0f} dispersions", flush=True)

    show("network", partial(answer, model, folded, keep, _DRAWS))
    drawn = answer(model, folded, keep, _FEW)
    choices: tuple[AmplitudeChoice, ...] = ("free", "coherent")
    for amplitudes in choices:
        settings = RefineSettings(n_draws=_FEW, reweight=False)
        refinement = partial(refine_measurement, data, model.prior, drawn, amplitudes)
        show(f"refinement, {amplitudes}", partial(refinement, settings))
        show(f"the same with weights of {_DRAWS} draws", partial(refinement, RefineSettings(n_draws=_DRAWS)))
    numbers = [run.number for run in folded.runs]
    for number in numbers[:: max(1, len(numbers) // _RUNS)][:_RUNS]:
        show(f"run {number} alone, network and refinement", partial(single, model, folded, number))


def answer(model: Model, folded: Folded, keep: BoolArray, n: int) -> NetworkDraws:
    """Ask the network."""
    found, path = folded.intensity(keep), folded.bins.path
    assert path is not None
    return model.draw(found.counts, found.exposure_in_counts, n, 0, path=path, grid=folded.grid)


def single(model: Model, folded: Folded, number: int) -> object:
    """Invert one orientation alone."""
    one = folded.only_runs([number])
    keep = one.cells.exposure > 0
    settings = RefineSettings(n_draws=_FEW, reweight=False)
    data = refinable(one, keep, InversionSettings())
    return refine_measurement(data, model.prior, answer(model, one, keep, _FEW), "auto", settings)


def phonopy_dispersion(model: Model) -> Callable[[], object]:
    """Return what solves for the modes along the path with phonopy."""
    peer = phonopy.load(shipped_ensemble("ge")[0], log_level=0)
    return partial(peer.run_qpoints, model.qpath.q)


def seconds(run: Callable[[], object]) -> float:
    """Return the median processor time of three runs after a first one, which compiles."""
    run()
    spent = []
    for _ in range(3):
        begin = time.process_time()
        run()
        spent.append(time.process_time() - begin)
    return float(np.median(spent))


if __name__ == "__main__":
    main()
