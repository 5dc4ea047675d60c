"""What can be chosen about a refinement."""

from __future__ import annotations

from dataclasses import dataclass

from fcinv_core.refinement.refined import AmplitudeModel
from fcinv_core.structure_factor.scattering_lengths import ScatteringLengths


@dataclass(frozen=True, eq=False)
class RefineSettings:
    """How a measurement is refined.

    Attributes
    ----------
    model
        Amplitude model.
    max_starts
        Starts that are followed; by default eight, with structure factors, which have fewer maxima, four.
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
    max_starts: int | None = None
    far: bool = True
    n_draws: int = 200
    reweight: bool = True
    lengths: ScatteringLengths | None = None
    seed: int = 0
