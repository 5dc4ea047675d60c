"""What is known of the force constants before a measurement: ranges and a Gaussian from an ensemble of sets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from fcinv_core.crystal import Crystal, FloatArray, IntArray
from fcinv_core.dynamics import BornVonKarman
from fcinv_core.errors import InputError
from fcinv_core.force_constants.bonds import bonds_of_pairs, pairs_within
from fcinv_core.force_constants.pairs import ForceConstants
from fcinv_core.force_constants.parametrisation import Parametrisation
from fcinv_core.stability import Stability, judge, stability_points

#: Force constants reach at least this far (Å), also where the ensemble's supercells do not.
REACH = 9.5
#: Least standard deviation (eV/Å²) of the prior of a force constant up to `_FLOOR_FLAT` Å ...
_FLOOR_NEAR, _FLOOR_FLAT = 0.1, 6.5
#: ... and at `REACH`; between and beyond it falls exponentially.
_FLOOR_FAR = 0.03
#: Norm of a set's breach of symmetry, relative to its norm, above which it is not a set of this crystal.
_ASYMMETRY_LIMIT = 0.3


@dataclass(frozen=True)
class Member:
    """One set of force constants of an ensemble, and what became of it.

    Attributes
    ----------
    name
        Where it comes from.
    values
        Shape (n,): its parameters in FC order, eV/Å².
    asymmetry
        Relative norm of what the projection on symmetric force constants removed.
    stability
        Verdict; an unstable member does not take part.
    """

    name: str
    values: FloatArray
    asymmetry: float
    stability: Stability


@dataclass(frozen=True, eq=False)
class Prior:
    """Ensemble knowledge of a crystal's force constants.

    Force constants are numbered FC0, FC1 ... by falling magnitude in the reference, which is the mean of the
    stable members: stability is a convex property, so the mean is stable too.

    Attributes
    ----------
    parametrisation
        The independent force constants, in the parametrisation's own order.
    order
        Shape (n,): FC number -> index in the parametrisation.
    members
        All members that were given, with their verdicts.
    reference
        The full reference set, with the non-analytic term of a polar crystal.
    mean, sigma
        Shape (n,): Gaussian prior in FC order, eV/Å²; the mean is the reference.
    lower, upper
        Shape (n,): observed range in FC order: the members' values of least and of largest magnitude, eV/Å².
    """

    parametrisation: Parametrisation
    order: IntArray
    members: tuple[Member, ...]
    reference: ForceConstants
    mean: FloatArray
    sigma: FloatArray
    lower: FloatArray
    upper: FloatArray

    @property
    def crystal(self) -> Crystal:
        """The crystal."""
        return self.parametrisation.crystal

    @property
    def n_force_constants(self) -> int:
        """Number of independent force constants."""
        return len(self.order)

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the force constants in FC order."""
        return tuple(self.parametrisation.labels[k] for k in self.order)

    def in_range(self, t: FloatArray) -> FloatArray:
        """Return lower + t (upper - lower) in FC order; t = 1 is the largest magnitude seen."""
        return np.asarray(self.lower + t * (self.upper - self.lower))

    def dynamics(
        self, q: FloatArray, directions: FloatArray | None = None, select: IntArray | None = None
    ) -> BornVonKarman:
        """Return the dynamics at q-points, linear in the force constants in FC order around the reference.

        Parameters
        ----------
        q, directions
            See `BornVonKarman.at`.
        select
            FC numbers that vary; all by default.
        """
        chosen = self.order if select is None else self.order[select]
        return BornVonKarman.at(
            q, self.reference, self.parametrisation, self.mean[np.argsort(self.order)], chosen, directions
        )

    def about(self, mean: FloatArray, sigma: FloatArray, source: str) -> Prior:
        """Return the same force constants with another Gaussian prior, shape (n,) each, eV/Å²."""
        # Dynamics are linear about the mean.
        return replace(self, reference=self.force_constants(mean, source), mean=mean, sigma=sigma)

    def force_constants(self, values: FloatArray, source: str) -> ForceConstants:
        """Return the full set for values (n,) in FC order, eV/Å²."""
        unordered = np.empty(len(values))
        unordered[self.order] = values
        return self.parametrisation.force_constants(unordered, self.reference, source)


def floor_sigma(distance: FloatArray) -> FloatArray:
    """Least standard deviation of the prior at bond lengths (Å), eV/Å².

    0.1 to 6.5 Å, falling exponentially to 0.03 at 9.5 Å and on: force fields agree with each other better than
    with nature, above all at long range.
    """
    slope = np.log(_FLOOR_FAR / _FLOOR_NEAR) / (REACH - _FLOOR_FLAT)
    return np.asarray(_FLOOR_NEAR * np.exp(slope * np.maximum(np.asarray(distance) - _FLOOR_FLAT, 0)))


def prior_from_members(members: Sequence[ForceConstants], *, spread: float | None = None) -> Prior:
    """Build the prior from an ensemble of sets of one crystal.

    The parametrisation holds every pair that a member has and every pair closer than `REACH`.

    Parameters
    ----------
    members
        Sets expressed in one crystal; those with imaginary modes are listed but left out.
    spread
        Relative half-width of the range of each force constant when there is a single stable member.

    Raises
    ------
    InputError
        If no member is stable, if there is one without ``spread``, or if a member is not a set of this crystal.
    """
    crystal = members[0].crystal
    first, second, cells = pairs_within(crystal, REACH)
    bonds = bonds_of_pairs(
        crystal,
        np.concatenate([first, *(member.first for member in members)]),
        np.concatenate([second, *(member.second for member in members)]),
        np.concatenate([cells, *(member.cells for member in members)]),
    )
    parametrisation = Parametrisation.from_bonds(bonds)
    points = stability_points(crystal)
    values, verdicts, asymmetries = [], [], []
    for member in members:
        projection = parametrisation.project(member)
        if projection.asymmetry > _ASYMMETRY_LIMIT:
            raise InputError(
                f"{member.source} is not a set of force constants of {crystal.describe()}",
                f"{100 * projection.asymmetry:.0f} % of its norm breaks the symmetry of the crystal",
                "check that structure, supercell and force constants belong together",
            )
        values.append(projection.values)
        asymmetries.append(projection.asymmetry)
        symmetric = parametrisation.force_constants(projection.values, member, member.source)
        verdicts.append(judge(symmetric, points))
    stable = [k for k, verdict in enumerate(verdicts) if verdict.stable]
    if not stable:
        worst = min(verdicts, key=lambda verdict: verdict.lowest)
        raise InputError(
            f"none of the {len(members)} sets of force constants is stable",
            f"the lowest energy is {worst.lowest:.2f} meV (imaginary) at q = {worst.worst_q}",
            "give sets without imaginary modes",
        )
    if len(stable) == 1 and spread is None:
        raise InputError(
            f"the range of the force constants is not known from one stable set ({members[stable[0]].source})",
            "a range needs two",
            "give more sets, or a relative half-width with --spread",
        )
    kept = np.array([values[k] for k in stable])
    reference_values = kept.mean(axis=0)
    order = np.lexsort((np.arange(len(reference_values)), -np.abs(reference_values).round(12)))
    kept = kept[:, order]
    distance = np.array([parametrisation.elements[k].distance for k in order])
    if len(stable) == 1:
        assert spread is not None
        observed = kept * np.array([[1 - spread], [1 + spread]])
        deviation = np.abs(kept[0]) * spread
    else:
        observed, deviation = kept, kept.std(axis=0, ddof=1)
    magnitude = np.abs(observed)
    columns = np.arange(len(order))
    return Prior(
        parametrisation=parametrisation,
        order=order,
        members=tuple(
            Member(member.source, values[k][order], asymmetries[k], verdicts[k]) for k, member in enumerate(members)
        ),
        reference=parametrisation.force_constants(reference_values, members[stable[0]], "mean of the ensemble"),
        mean=reference_values[order],
        sigma=np.maximum(2 * deviation, floor_sigma(distance)),
        lower=observed[magnitude.argmin(axis=0), columns],
        upper=observed[magnitude.argmax(axis=0), columns],
    )
