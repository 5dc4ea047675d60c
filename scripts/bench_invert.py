"""Print how much processor time a refinement takes, on one core.

    python scripts/bench_invert.py FOLDED.nxs [--fwhm C0 C1 ...]

refines the folded measurement of germanium with `free` and `coherent`, from the mean of the shipped force fields
and from near their answers, as the draws of a network lie.
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

from fcinv_core.crystal import read_structure
from fcinv_core.folding.folded_file import read_folded
from fcinv_core.force_constants.phonopy_files import read_force_constants
from fcinv_core.potentials import shipped_ensemble
from fcinv_core.prior import prior_from_members
from fcinv_core.refinement.measurement import data_of_folded
from fcinv_core.refinement.refine import refine
from fcinv_core.refinement.refined import AmplitudeModel, Refined
from fcinv_core.refinement.settings import RefineSettings
from fcinv_core.spectrum import Resolution


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folded", type=Path)
    parser.add_argument("--fwhm", type=float, nargs="+", default=[0.99, -0.021], help="FWHM(E), meV")
    options = parser.parse_args()
    folded, keep = read_folded(options.folded)
    paths = shipped_ensemble("ge")
    crystal = read_structure(paths[0].parent / "POSCAR")
    prior = prior_from_members([read_force_constants(path, crystal) for path in paths])
    print(f"{platform.machine()}, {os.cpu_count()} cores, numpy {np.__version__}; {len(keep)} cells")
    begin = time.process_time()
    data = data_of_folded(folded, keep, Resolution(tuple(options.fwhm)))
    print(f"take the data          {time.process_time() - begin:8.2f} s")
    models: tuple[AmplitudeModel, ...] = ("free", "coherent")
    for model in models:
        settings = RefineSettings(model=model, reweight=False)
        found = timed(f"{model}, far start", partial(refine, data, prior, prior.mean, settings))
        near = found.values + 0.3 * found.sigma
        settings = RefineSettings(model=model, max_starts=1, far=False, reweight=False)
        timed(f"{model}, near start", partial(refine, data, prior, near, settings))


def timed(what: str, run: Callable[[], Refined]) -> Refined:
    """Run twice, because the first time compiles, and print the second."""
    run()
    begin = time.process_time()
    found = run()
    print(f"{what:22} {time.process_time() - begin:8.2f} s")
    return found


if __name__ == "__main__":
    main()
