"""What is encoded: the same spectra clean, noisy, in a single orientation, measured; and folded measurements."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from fcinv_core.crystal import FloatArray
from fcinv_core.errors import InputError
from fcinv_core.folding.folded import BoolArray, Folded
from fcinv_core.inversion.matching import check_measurement, strain_between
from fcinv_core.networks.augmentation import MeasurementRanges, Spectrometer
from fcinv_core.networks.coverage import CoverageRanges, random_coverage
from fcinv_core.networks.inputs import FloatArray32, image_of, resample
from fcinv_core.networks.model import Model
from fcinv_core.refinement.limit import NoiseLevel, noisy_spectrum
from fcinv_core.training_set import TrainingSet

#: Noise of the noisy spectra: background a tenth of the maximum, where 100 counts are expected.
NOISE = NoiseLevel(peak_counts=100.0, background=0.1)
#: Coverage of the single orientations: bands over a tenth to a third of the path and energies.
_ORIENTATION = CoverageRanges(full=0.0, sparse=1.0, bands=(20, 60), gaps=0.0)
#: Single runs of a folded measurement that are encoded at most.
_RUNS = 24

#: Energies (n_q, s) and a source of randomness to counts and exposure, (n_q, n_bins) each.
Measure = Callable[[FloatArray, np.random.Generator], tuple[FloatArray, FloatArray]]


def kinds(training: TrainingSet) -> dict[str, Measure]:
    """Return by name how spectra of a training set are measured, from the best case to the real one."""
    path, grid, resolution = training.qpath, training.grid, training.resolution

    def noisy(energies: FloatArray, generator: np.random.Generator) -> tuple[FloatArray, FloatArray]:
        found = noisy_spectrum(training.prior.crystal, path, energies, grid, resolution, NOISE, generator)
        return found.summed(found.counts), found.summed(found.exposure)

    def one_orientation(energies: FloatArray, generator: np.random.Generator) -> tuple[FloatArray, FloatArray]:
        counts, exposure = noisy(energies, generator)
        covered = random_coverage(generator, path, grid, _ORIENTATION)[0] > 0
        return counts * covered, exposure * covered

    return {
        "clean": Spectrometer(path, grid, resolution, None).measure,
        "noisy": noisy,
        "single orientation": one_orientation,
        "simulated measurement": Spectrometer(path, grid, resolution, MeasurementRanges()).measure,
    }


def images_of(
    model: Model, training: TrainingSet, energies: FloatArray, measure: Measure, seed: int
) -> FloatArray32:
    """Return what a model sees of spectra, shape (m, c, n_q, n_bins), for mode energies (m, n_q, s)."""
    generators = (np.random.default_rng([seed, k]) for k in range(len(energies)))
    return np.stack(
        [
            image_of(
                *resample(*measure(one, source), training.qpath, training.grid, model.qpath, model.grid),
                model.grid,
                model.scaling,
            ).channels
            for one, source in zip(energies, generators, strict=True)
        ]
    )


@dataclass(frozen=True, eq=False)
class FoldedImages:
    """A folded measurement as a model sees it.

    Attributes
    ----------
    name
        What to call it.
    whole
        Shape (c, n_q, n_bins): of all runs together.
    runs
        Shape (r, c, n_q, n_bins): of single ones.
    numbers
        Their run numbers.
    """

    name: str
    whole: FloatArray32
    runs: FloatArray32
    numbers: tuple[int, ...]


def folded_images(model: Model, folded: Folded, keep: BoolArray, name: str) -> FoldedImages:
    """Return what a model sees of a folded measurement, whole and run by run.

    Parameters
    ----------
    model
        A model of its crystal.
    folded, keep
        The measurement, and which of its cells take part in the whole (`read_folded`).
    name
        What to call it.

    Raises
    ------
    InputError
        If it is of another crystal or along another path.
    """
    strain_between(folded.bins.crystal, model.prior.crystal)
    check_measurement(folded, keep)
    place = np.linspace(0, len(folded.runs) - 1, min(len(folded.runs), _RUNS)).round().astype(int)
    runs, numbers = [], []
    for k in place:
        one = folded.only_runs([folded.runs[k].number])
        try:
            runs.append(_image(model, one, one.cells.exposure > 0))
        except InputError:
            # This orientation does not meet the path.
            continue
        numbers.append(one.runs[0].number)
    whole = _image(model, folded, keep)
    return FoldedImages(name, whole, np.array(runs).reshape(len(runs), *whole.shape), tuple(numbers))


def _image(model: Model, folded: Folded, keep: BoolArray) -> FloatArray32:
    path, found = folded.bins.path, folded.intensity(keep)
    assert path is not None  # checked
    on_grid = resample(found.counts, found.exposure_in_counts, path, folded.grid, model.qpath, model.grid)
    return image_of(*on_grid, model.grid, model.scaling).channels
