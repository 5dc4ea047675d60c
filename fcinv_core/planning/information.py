"""Expected Fisher information of runs that were not made."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from fcinv_core.crystal import FloatArray
from fcinv_core.planning.candidates import side_by_side
from fcinv_core.prior import Prior
from fcinv_core.refinement.coherent import CoherentModel
from fcinv_core.refinement.measurement import Measurement
from fcinv_core.structure_factor.scattering_lengths import ScatteringLengths

#: Runs that are looked at together; each needs some megabytes and some tenths of a second.
_BATCH = 4
#: Phonon counts of the first run, to which the others are relative.
_UNIT = 1e6
#: Logarithm of a factor that leaves nothing of a background.
_NOTHING = -60.0


@dataclass(frozen=True, eq=False)
class RunInformation:
    """What c runs say about n force constants and m parameters of the measurement, for each of d sets.

    Attributes
    ----------
    matrices
        Shape (d, c, n + m, n + m): expected Fisher information of each run.
    counts
        Shape (d, c): expected counts of each run, background included.
    nuisance_sigma
        Shape (m,): prior standard deviations of the parameters of the measurement.
    """

    matrices: FloatArray
    counts: FloatArray
    nuisance_sigma: FloatArray

    def scaled(self, factor: FloatArray) -> RunInformation:
        """Return it with all exposures multiplied by a factor for each set (d,): counts of Poisson add up."""
        return RunInformation(
            self.matrices * factor[:, None, None, None], self.counts * factor[:, None], self.nuisance_sigma
        )


def information_of_runs(
    measurements: Sequence[Measurement],
    prior: Prior,
    lengths: ScatteringLengths,
    draws: FloatArray,
    background: float,
    between: Callable[[], None] = lambda: None,
) -> RunInformation:
    """Return the expected information of runs with coherent amplitudes and counting noise.

    All runs have one scale, set so that the first one counts a million phonons; `RunInformation.scaled` gives them
    the counts that are expected. Resolution, energy offset, scale, Debye-Waller factor and backgrounds are
    parameters of the measurement that all runs share.

    Parameters
    ----------
    measurements
        One for each run (`planned_measurements`); their counts do not matter.
    prior
        Dynamics.
    lengths
        Scattering lengths.
    draws
        Shape (d, n): force constants for which information is expected.
    background
        Counts of a constant background as a fraction of those of phonons.
    between
        Called between steps.
    """
    matrices: list[FloatArray] = []
    counts: list[FloatArray] = []
    for start in range(0, len(measurements), _BATCH):
        # The first run comes along with every batch: the model's scale is relative to it.
        batch = side_by_side([measurements[0], *measurements[start : start + _BATCH]])
        n_bins = len(measurements[0].q)
        model = CoherentModel(batch, prior, lengths)
        found = []
        for values in draws:
            between()
            found.append(_at(model, values, n_bins, background))
        matrices.append(np.array([one[0] for one in found]))
        counts.append(np.array([one[1] for one in found]))
    sigma = model.prior_of(prior).sigma[prior.n_force_constants :]
    return RunInformation(np.concatenate(matrices, axis=1), np.concatenate(counts, axis=1), sigma)


def _at(model: CoherentModel, values: FloatArray, n_bins: int, background: float) -> tuple[FloatArray, FloatArray]:
    """Information (c, p, p) and counts (c,) of the runs after the first at one set of force constants."""
    place = {name: len(values) + k for k, (name, _) in enumerate(model.names)}
    model.set_reference(values)
    parameters = np.append(values, np.zeros(len(model.names)))

    def of_runs(expected: FloatArray) -> FloatArray:
        run = model.measurement.bin // n_bins
        return np.asarray(np.bincount(run, expected), dtype=float)

    backgrounds = [place["log_background"], place["log_incoherent"]]
    parameters[backgrounds] = _NOTHING
    phonons = of_runs(model.expected(parameters))[0]
    parameters[place["log_scale"]] = np.log(_UNIT / phonons)
    without = of_runs(model.expected(parameters))[0]
    parameters[place["log_background"]] = 0.0
    flat = of_runs(model.expected(parameters))[0] - without
    parameters[place["log_background"]] = np.log(max(background * _UNIT / flat, 1e-12))
    # Incoherent scattering has the scale of coherent scattering.
    parameters[place["log_incoherent"]] = parameters[place["log_scale"]]
    at = model.linearised(parameters)
    by_run = at.informations.reshape(-1, n_bins, *at.information.shape).sum(axis=1)
    return by_run[1:], of_runs(model.expected(parameters))[1:]
