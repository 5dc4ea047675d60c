"""What a measurement is made for: quantities that follow from force constants, and how well they are known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fcinv_core.crystal import FloatArray
from fcinv_core.errors import InputError
from fcinv_core.prior import Prior
from fcinv_core.refinement.branches import Branches

#: Wavevectors of the whole zone that stand for the dispersion.
_N_POINTS = 60


@dataclass(frozen=True, eq=False)
class Wanted:
    """What is asked for.

    Attributes
    ----------
    name
        For people.
    unit
        Of the error.
    n_force_constants
        Number n of force constants; what follows in the parameters belongs to the measurement.
    weights
        Shape (d, n, n): for each of d sets of force constants the matrix W of the mean variance of the quantities,
        the sum over W times their covariance; None for all force constants together.
    """

    name: str
    unit: str
    n_force_constants: int
    weights: FloatArray | None

    def log_variance(self, precision: FloatArray) -> FloatArray:
        """Return the logarithm of the mean variance of what is asked for, parameters of the measurement unknown.

        With all force constants it is the logarithm of the geometric mean of the variances along the axes of
        their ellipsoid: minus log det of their marginal precision (D-optimality) over n. With ``weights`` it is
        that of the mean variance of the quantities (A-optimality; c-optimality with one).

        Parameters
        ----------
        precision
            Shape (d, p, p): inverse covariance of force constants and parameters of the measurement, for each set.

        Returns
        -------
        Shape (d,).
        """
        n = self.n_force_constants
        if self.weights is None:
            whole = np.linalg.slogdet(precision)[1]
            return np.asarray(np.linalg.slogdet(precision[:, n:, n:])[1] - whole) / n
        covariance = np.linalg.inv(precision)[:, :n, :n]
        return np.asarray(np.log((self.weights * covariance).sum(axis=(1, 2))))

    def error(self, precision: FloatArray) -> float:
        """Return the expected error, sets averaged in the logarithm, for precisions (d, p, p)."""
        return float(np.exp(0.5 * self.log_variance(precision).mean()))


def asked_for(prior: Prior, draws: FloatArray, names: Sequence[str]) -> Wanted:
    """Ask for "all" force constants, for the "dispersion", or for some force constants by name.

    Parameters
    ----------
    prior
        Dynamics.
    draws
        Shape (d, n): force constants at which energies are differentiated.
    names
        One of the two words, or "FC0", "FC1" ...

    Raises
    ------
    InputError
        If there is no force constant of a name.
    """
    if [name.lower() for name in names] == ["all"]:
        return all_force_constants(prior)
    if [name.lower() for name in names] == ["dispersion"]:
        return dispersion(prior, draws)
    return named_force_constants(prior, names, len(draws))


def all_force_constants(prior: Prior) -> Wanted:
    """Ask for all force constants; the error is the geometric mean over the axes of their ellipsoid."""
    return Wanted("all force constants", "eV/Å²", prior.n_force_constants, None)


def named_force_constants(prior: Prior, names: Sequence[str], n_sets: int) -> Wanted:
    """Ask for some force constants, such as "FC0"; the error is their root mean square.

    Raises
    ------
    InputError
        If there is none of a name.
    """
    known = {f"FC{k}": k for k in range(prior.n_force_constants)}
    unknown = [name for name in names if name.upper() not in known]
    if unknown or not names:
        raise InputError(
            f"{unknown[0]} is not a force constant" if unknown else "no force constant is asked for",
            f"they are FC0 to FC{prior.n_force_constants - 1}",
            "choose among them, or all, or dispersion",
        )
    rows = np.eye(prior.n_force_constants)[[known[name.upper()] for name in names]]
    return _quantities(", ".join(name.upper() for name in names), "eV/Å²", [rows] * n_sets)


def dispersion(prior: Prior, draws: FloatArray) -> Wanted:
    """Ask for all mode energies over the zone; the error is their root mean square."""
    q = np.random.default_rng(0).uniform(-0.5, 0.5, (_N_POINTS, 3))
    branches = Branches.of(prior.dynamics(q))
    rows = [branches.energies_and_derivatives(values)[1].reshape(-1, len(values)) for values in draws]
    return _quantities("mode energies over the zone", "meV", rows)


def mode_energy(prior: Prior, draws: FloatArray, point: str, branch: int) -> Wanted:
    """Ask for the energy of one mode; a degenerate one stands for the mean of its set.

    Parameters
    ----------
    prior
        Dynamics.
    draws
        Shape (d, n): force constants at which it is differentiated.
    point
        Name of a high-symmetry point ("G" for Γ), or "q1,q2,q3" in fractions of the primitive reciprocal basis.
    branch
        Number of the branch, from 1 upwards in energy.

    Raises
    ------
    InputError
        If there is no such point or branch, or the energy is zero by symmetry.
    """
    q = _wavevector(prior, point)
    branches = Branches.of(prior.dynamics(q[None], q[None]))
    if not 1 <= branch <= branches.n_modes:
        raise InputError(
            f"there is no branch {branch}", f"they are numbered from 1 to {branches.n_modes}", "choose one"
        )
    if branch <= 3 and np.allclose(q, np.rint(q)):
        raise InputError(
            f"the energy of branch {branch} at {point} need not be measured",
            "acoustic modes at Γ have none",
            "choose a branch from 4 on",
        )
    rows = [branches.energies_and_derivatives(values)[1][:, branch - 1] for values in draws]
    return _quantities(f"energy of branch {branch} at {point}", "meV", rows)


def _quantities(name: str, unit: str, rows: Sequence[FloatArray]) -> Wanted:
    """Ask for quantities of which derivatives by force constants (k, n) are given for each set."""
    return Wanted(name, unit, rows[0].shape[1], np.array([one.T @ one / len(one) for one in rows]))


def _wavevector(prior: Prior, point: str) -> FloatArray:
    points = prior.crystal.high_symmetry_points
    label = "Γ" if point.upper() in ("G", "GAMMA") and point not in points else point
    if label in points:
        return np.array(points[label], dtype=float)
    try:
        q = np.array([float(part) for part in point.split(",")])
    except ValueError:
        q = np.empty(0)
    if q.shape != (3,) or not np.isfinite(q).all():
        raise InputError(
            f"{point!r} is no wavevector",
            f"the high-symmetry points are {' '.join(points)}",
            "name one of them, or give q1,q2,q3 in fractions of the primitive reciprocal basis",
        )
    return q
