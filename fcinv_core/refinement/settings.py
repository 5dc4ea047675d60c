"""What can be chosen about a refinement."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fcinv_core.refinement.refined import AmplitudeModel
from fcinv_core.structure_factor.scattering_lengths import ScatteringLengths

#: Factors that are tried on every start that may be far off: force fields are soft together.
FAR_SCALES = np.array([0.8, 0.9, 1.0, 1.1, 1.25, 1.4, 1.6, 1.8, 2.0])


@dataclass(frozen=True, eq=False)
class RefineSettings:
    """How a measurement is refined.

    Attributes
    ----------
    model
        Amplitude model.
    max_starts
        Starts that are followed.
    far
        Whether starts may lie farther off than lines are wide: each is tried scaled as a whole too, since force
        fields are soft together, and lines are wide at first.
    n_draws
        Draws from the posterior.
    reweight
        Whether the draws get importance weights, at the cost of an evaluation each.
    lengths
        Scattering lengths for `coherent`; default: natural isotope mixtures.
    seed
        Of draws.
    """

    model: AmplitudeModel = "free"
    max_starts: int = 4
    far: bool = True
    n_draws: int = 200
    reweight: bool = True
    lengths: ScatteringLengths | None = None
    seed: int = 0
