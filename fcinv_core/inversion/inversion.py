"""The answer of an inversion: force constants, how sure they are, what they mean, and whether to believe them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from fcinv_core.crystal import Crystal, FloatArray
from fcinv_core.derived.bands import Band
from fcinv_core.derived.quantities import Derived
from fcinv_core.folding.folded import BoolArray, Folded, Intensity
from fcinv_core.force_constants.pairs import ForceConstants
from fcinv_core.prior import Prior
from fcinv_core.qpath import QPath
from fcinv_core.refinement.refined import Refined
from fcinv_core.spectrum import SpectralGrid
from fcinv_core.verdict import Finding, Status, worst

if TYPE_CHECKING:
    from fcinv_core.networks.model import NetworkAnswer

#: How the answer is found: by the network alone, by refinement of what the network says, or by refinement from the
#: prior without a network.
Method = Literal["network", "refine", "fit"]
#: A force constant counts as decided by the data when they removed more than this share of its prior variance, ...
_BY_DATA = 0.75
#: ... and as decided by the prior when less than this.
_BY_PRIOR = 0.25
#: Below this share of draws that importance weights leave, the draws are taken as they are.
FEW_DRAWS = 0.2


@dataclass(frozen=True, eq=False)
class NetworkPart:
    """What the network alone says.

    Attributes
    ----------
    answer
        Draws, reconstruction and flags.
    path, grid
        Of its input and of the reconstruction.
    energies
        Dispersion along the path of the measurement, meV.
    """

    answer: NetworkAnswer
    path: QPath
    grid: SpectralGrid
    energies: Band

    @property
    def values(self) -> FloatArray:
        """Mean of the draws, shape (n,), FC order, eV/Å²."""
        return np.asarray(self.answer.draws.mean(axis=0))

    @property
    def sigma(self) -> FloatArray:
        """Standard deviation of the draws, shape (n,), eV/Å²."""
        return np.asarray(self.answer.draws.std(axis=0, ddof=1))


@dataclass(frozen=True, eq=False)
class Inversion:
    """Force constants of a measured crystal, all n of them in FC order, eV/Å².

    Attributes
    ----------
    folded, keep
        The measurement, and the cells of ``folded.cells`` that took part.
    prior
        What was known before.
    strain
        Largest principal strain between the measured lattice and that of the prior.
    method
        How the answer was found.
    values, sigma
        Shape (n,): the answer and its standard deviation.
    covariance
        Shape (n, n): of the answer.
    draws
        Shape (d, n): equally likely sets.
    network
        What the network alone says; None with the method "fit".
    refined
        What the refinement says; None with the method "network".
    path_fit
        After a refinement over the irreducible zone: the fit along the path with these force constants.
    zone
        The same measurement over the irreducible zone, and the cells of it that took part, if that was refined.
    derived
        What follows from the answer.
    prior_energies
        Dispersion of the prior, meV: what was known of it before.
    findings
        The verdict, one sentence for each thing that was looked at.
    assumptions
        What was assumed, one sentence each.
    provenance
        Plain content for JSON.
    """

    folded: Folded
    keep: BoolArray
    prior: Prior
    strain: float
    method: Method
    values: FloatArray
    sigma: FloatArray
    covariance: FloatArray
    draws: FloatArray
    network: NetworkPart | None
    refined: Refined | None
    derived: Derived
    prior_energies: Band
    findings: tuple[Finding, ...] = ()
    assumptions: tuple[str, ...] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict)
    path_fit: Refined | None = None
    zone: tuple[Folded, BoolArray] | None = None

    @property
    def crystal(self) -> Crystal:
        """The crystal with its lattice as measured."""
        return self.folded.bins.crystal

    @property
    def path(self) -> QPath:
        """The path of the measurement."""
        path = self.folded.bins.path
        assert path is not None  # `invert` takes measurements along a path only
        return path

    @property
    def along_path(self) -> Refined | None:
        """The fit of the measurement along the path."""
        return self.refined if self.path_fit is None else self.path_fit

    @cached_property
    def intensity(self) -> Intensity:
        """The measured I(q, E)."""
        return self.folded.intensity(self.keep)

    @property
    def status(self) -> Status:
        """The worst of the findings."""
        return worst(self.findings)

    @property
    def headline(self) -> str:
        """The verdict in one sentence."""
        return {
            Status.OK: "The measurement supports this answer.",
            Status.LOOK: "The measurement supports this answer with the reservations below.",
            Status.BAD: "The measurement does not support this answer; do not use it without reading why.",
        }[self.status]

    @property
    def decided_share(self) -> FloatArray:
        """Share of the prior variance of each force constant that is gone, shape (n,), 0 to 1.

        Of the prior that the refinement took, which may be narrower (`fcinv_core.refinement.coherent_search`).
        """
        before = self.prior.sigma if self.refined is None else self.refined.prior_sigma
        return np.asarray(1 - np.clip(self.sigma**2 / before**2, 0, 1))

    @property
    def decided_by(self) -> tuple[str, ...]:
        """Who set each force constant: "data", "both" or "prior"."""
        return tuple(
            "data" if share > _BY_DATA else "prior" if share < _BY_PRIOR else "both" for share in self.decided_share
        )

    @property
    def conflict(self) -> FloatArray:
        """Distance of each force constant from its prior mean in prior standard deviations, shape (n,)."""
        return np.asarray((self.values - self.prior.mean) / self.prior.sigma)

    def force_constants(self) -> ForceConstants:
        """Return the full set of the answer in the measured crystal."""
        found = self.prior.force_constants(self.values, f"inverted from {len(self.folded.runs)} runs")
        term = found.non_analytic
        return replace(
            found, crystal=self.crystal, non_analytic=None if term is None else replace(term, crystal=self.crystal)
        )
