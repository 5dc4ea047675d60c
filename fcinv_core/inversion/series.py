"""Measurements of one crystal at several temperatures or pressures, inverted one after the other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from fcinv_core.crystal import Crystal, FloatArray
from fcinv_core.errors import InputError
from fcinv_core.folding.folded import BoolArray, Folded
from fcinv_core.inversion.inversion import Inversion
from fcinv_core.inversion.matching import strain_between

if TYPE_CHECKING:
    from fcinv_core.inversion.invert import InversionSettings
    from fcinv_core.networks.model import Model

#: Units of what changes from one measurement to the next.
Unit = Literal["K", "GPa", "kbar"]
#: What has that unit.
QUANTITY: dict[Unit, str] = {"K": "temperature", "GPa": "pressure", "kbar": "pressure"}
#: Measurements are at the same temperature or pressure when they differ by less than this share.
_SAME = 1e-3
#: Branches are one mode when they are nearer than this in every measurement, meV.
_DEGENERATE = 0.01
#: How answers of a series hang together.
INDEPENDENCE = (
    "Every measurement was inverted on its own, with the same prior. The answer before it is one more start of "
    "its refinement and no prior: counts of one measurement say nothing about another. What the prior decides is "
    "common to all of them and shows no change."
)


@dataclass(frozen=True, eq=False)
class SeriesPart:
    """One measurement of a series.

    Attributes
    ----------
    name
        How messages and tables call it.
    at
        Temperature or pressure.
    folded, keep
        The measurement, along a path, and the cells of ``folded.cells`` that take part.
    settings
        How to invert it.
    provenance
        Where it comes from, plain content for JSON.
    """

    name: str
    at: float
    folded: Folded
    keep: BoolArray
    settings: InversionSettings
    provenance: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class SeriesAnswer:
    """What one measurement of a series says.

    Attributes
    ----------
    name, at
        Of the `SeriesPart`.
    strain
        Largest principal strain of its lattice against that of the first measurement.
    inversion
        The answer.
    """

    name: str
    at: float
    strain: float
    inversion: Inversion

    @property
    def volume(self) -> float:
        """Volume of the primitive cell, Å³."""
        return abs(float(np.linalg.det(self.inversion.crystal.lattice)))


@dataclass(frozen=True, eq=False)
class Mode:
    """A mode at a high-symmetry point, in all measurements of a series.

    Attributes
    ----------
    point
        Label of the point.
    branches
        First and last branch, from 1, which are degenerate.
    energies, sigma
        Shape (m,): energies and their standard deviations, meV.
    """

    point: str
    branches: tuple[int, int]
    energies: FloatArray
    sigma: FloatArray

    @property
    def name(self) -> str:
        """Point and branches, such as "X 1-2"."""
        first, last = self.branches
        return f"{self.point} {first}" if first == last else f"{self.point} {first}-{last}"


@dataclass(frozen=True, eq=False)
class Series:
    """Answers of all measurements, by rising temperature or pressure.

    Attributes
    ----------
    unit
        Of the temperature or pressure.
    answers
        One for each measurement.
    modes
        Modes at the high-symmetry points that all paths go through: first the point of highest symmetry.
    """

    unit: Unit
    answers: tuple[SeriesAnswer, ...]
    modes: tuple[Mode, ...]

    @property
    def quantity(self) -> str:
        """What changes: "temperature" or "pressure"."""
        return QUANTITY[self.unit]

    @property
    def at(self) -> FloatArray:
        """Shape (m,): temperatures or pressures."""
        return np.array([one.at for one in self.answers])

    @property
    def values(self) -> FloatArray:
        """Shape (m, n): force constants in FC order, eV/Å²."""
        return np.array([one.inversion.values for one in self.answers])

    @property
    def sigma(self) -> FloatArray:
        """Shape (m, n): their standard deviations, eV/Å²."""
        return np.array([one.inversion.sigma for one in self.answers])

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the force constants."""
        return self.answers[0].inversion.prior.labels


def invert_series(
    parts: Sequence[SeriesPart],
    model: Model,
    unit: Unit = "K",
    *,
    say: Callable[[str], None] = lambda sentence: None,
    between: Callable[[], None] = lambda: None,
) -> Series:
    """Invert several measurements of one crystal by rising temperature or pressure.

    Each starts from the answer before it too, and takes the same prior (`INDEPENDENCE`).

    Parameters
    ----------
    parts
        The measurements, in any order.
    model
        A trained model of the crystal, with its prior.
    unit
        Of their temperatures or pressures. A temperature is taken as that of the sample.
    say, between
        See `fcinv_core.inversion.invert.invert`.

    Raises
    ------
    InputError
        If there is one measurement only, two are at the same temperature or pressure or are of different crystals,
        or one cannot be inverted.
    """
    from fcinv_core.inversion.invert import invert

    ordered = _ordered(parts, unit)
    strains = [_strain(one, ordered[0]) for one in ordered]
    answers: list[SeriesAnswer] = []
    for one, strain in zip(ordered, strains, strict=True):
        settings = replace(one.settings, temperature=one.at) if unit == "K" else one.settings
        inversion = invert(
            one.folded,
            one.keep,
            model,
            settings,
            provenance=one.provenance,
            starts=answers[-1].inversion.values[None] if answers else None,
            say=_prefixed(say, f"{one.at:g} {unit}"),
            between=between,
        )
        answers.append(SeriesAnswer(one.name, one.at, strain, inversion))
    return Series(unit, tuple(answers), modes_of([one.inversion for one in answers]))


def temperature_of(folded: Folded, name: str) -> float:
    """Return the mean temperature of the runs of a measurement, K.

    Raises
    ------
    InputError
        If no run says it.
    """
    known = [run.temperature for run in folded.runs if run.temperature is not None]
    if not known:
        raise InputError(
            f"{name} is at an unknown temperature", "none of its runs says it", "give all temperatures with --at"
        )
    return float(np.mean(known))


def modes_of(inversions: Sequence[Inversion]) -> tuple[Mode, ...]:
    """Return the modes at the high-symmetry points of all paths; degenerate branches are one mode.

    The three acoustic branches at Γ, which have no energy, are left out.
    """
    crystal = inversions[0].crystal
    ticks = [dict(reversed([(label, k) for k, label in one.path.ticks])) for one in inversions]
    common = [label for label in ticks[0] if all(label in other for other in ticks)]
    at = {label: inversions[0].path.q[ticks[0][label]] for label in common}
    modes = []
    for label in sorted(common, key=lambda label: (-_symmetry(crystal, at[label]), label)):
        energies, sigma = (
            np.array(
                [
                    getattr(one.derived.energies, name)[tick[label]]
                    for one, tick in zip(inversions, ticks, strict=True)
                ]
            )
            for name in ("value", "sigma")
        )
        first = 3 if np.allclose(at[label], 0) else 0
        steps = np.abs(np.diff(energies, axis=1)).max(axis=0) > _DEGENERATE
        starts = [first, *(k + 1 for k in np.flatnonzero(steps).tolist() if k + 1 > first), energies.shape[1]]
        modes += [
            Mode(label, (a + 1, b), energies[:, a:b].mean(axis=1), sigma[:, a:b].mean(axis=1))
            for a, b in pairwise(starts)
            if b > a
        ]
    return tuple(modes)


def _prefixed(say: Callable[[str], None], where: str) -> Callable[[str], None]:
    return lambda sentence: say(f"{where}: {sentence}")


def _symmetry(crystal: Crystal, q: FloatArray) -> int:
    """Return how many rotations of the crystal leave a wave vector as it is, up to a reciprocal lattice vector."""
    moved = q @ crystal.rotations - q
    return int((np.abs(moved - np.rint(moved)) < 1e-6).all(axis=1).sum())


def _ordered(parts: Sequence[SeriesPart], unit: Unit) -> list[SeriesPart]:
    quantity = QUANTITY[unit]
    if len(parts) < 2:
        raise InputError(
            f"a series of {len(parts)} measurement", "a series compares two or more", "invert a single one alone"
        )
    for one in parts:
        if not np.isfinite(one.at) or (unit == "K" and one.at <= 0):
            raise InputError(
                f"{one.name} is at {one.at:g} {unit}", f"that is no {quantity}", f"give its {quantity}"
            )
    ordered = sorted(parts, key=lambda one: one.at)
    for one, other in pairwise(ordered):
        if np.isclose(one.at, other.at, rtol=_SAME, atol=0):
            raise InputError(
                f"{one.name} and {other.name} are both at {one.at:g} {unit}",
                f"a series has one measurement at each {quantity}",
                "fold them together, or give what differs with --at",
            )
    return ordered


def _strain(one: SeriesPart, first: SeriesPart) -> float:
    try:
        return strain_between(one.folded.bins.crystal, first.folded.bins.crystal)
    except InputError as error:
        raise InputError(
            f"{one.name} is of another crystal than {first.name}", error.why, "give measurements of one crystal"
        ) from error
