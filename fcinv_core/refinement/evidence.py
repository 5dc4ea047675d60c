"""How wide a prior the counts ask for, and whether its tails are those of a Gaussian."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import gammaln

from fcinv_core.prior import Prior, floor_sigma
from fcinv_core.refinement.scoring import GaussianPrior, Maximum

#: Shares of the prior's floor among which the counts choose.
_SHARES = (1.0, 0.5, 0.25)
#: Degrees of freedom of the heavy tails: Lange, Little and Taylor, J. Am. Stat. Assoc. 84, 881 (1989).
DEGREES = 4.0
#: Rounds in which the widths of heavy tails settle, and the change of all logarithms that ends them.
_ROUNDS, _SETTLED = 200, 1e-3


@dataclass(frozen=True, eq=False)
class Width:
    """A prior of all parameters, as the counts chose it.

    Attributes
    ----------
    gaussian
        The prior; that of heavy tails is the Gaussian that stands for them about one maximum.
    share
        Factor of the floor.
    heavy
        Whether the force constants have heavy tails.
    """

    gaussian: GaussianPrior
    share: float
    heavy: bool

    @property
    def kind(self) -> tuple[float, bool]:
        """What was chosen, whatever widths heavy tails settled at."""
        return self.share, self.heavy

    @property
    def notes(self) -> tuple[str, ...]:
        """What is not as the ensemble has it, one sentence each."""
        sentences = []
        if self.share < 1:
            sentences.append(
                f"Where force fields agree, {100 * self.share:g} % of the least standard deviation of the prior "
                "were taken, which makes the counts most probable."
            )
        if self.heavy:
            sentences.append(
                f"A prior with heavy tails (Student's t, {DEGREES:g} degrees of freedom) makes counts more "
                "probable than a Gaussian does: the force fields are far off in a few force constants."
            )
        return tuple(sentences)


def likeliest_width(prior: Prior, gaussian: GaussianPrior, found: Maximum) -> Width:
    """Return the prior under which the counts are most probable (type II maximum likelihood).

    Where members of the ensemble agree better than its floor, that floor is a guess which is wide for most
    crystals: it may be lowered (`narrowed`). Where force fields are all wrong in the same way, they are so in a few
    force constants and right in most: heavy tails hold the many closely and let the few go.

    Parameters
    ----------
    prior
        The ensemble.
    gaussian
        Of all parameters, force constants first.
    found
        A maximum under any prior.
    """
    n, choices = prior.n_force_constants, []
    for share in _SHARES:
        light = narrowed(prior, gaussian, share)
        choices.append((log_evidence(light, found), Width(light, share, False)))
        heavy, evidence = heavy_tailed(light, found, n)
        choices.append((evidence, Width(heavy, share, True)))
    return max(choices, key=lambda choice: choice[0])[1]


def narrowed(prior: Prior, gaussian: GaussianPrior, share: float) -> GaussianPrior:
    """Return a prior whose floor is lowered to a share of itself, but not below twice the spread of the ensemble.

    Parameters
    ----------
    prior
        The ensemble.
    gaussian
        Of all parameters, force constants first.
    share
        Factor of the floor, up to 1.
    """
    n = prior.n_force_constants
    distance = np.array([prior.parametrisation.elements[k].distance for k in prior.order])
    values = np.array([member.values for member in prior.members if member.stability.stable])
    spread = 2 * values.std(axis=0, ddof=1) if len(values) > 1 else np.zeros(n)
    at_floor = prior.sigma <= floor_sigma(distance) * (1 + 1e-9)
    sigma = gaussian.sigma.copy()
    sigma[:n] = np.where(at_floor, np.maximum(share * prior.sigma, np.minimum(spread, prior.sigma)), prior.sigma)
    return GaussianPrior(gaussian.mean, sigma)


def log_evidence(gaussian: GaussianPrior, found: Maximum) -> float:
    """Return how probable the counts are under a prior, in Laplace's approximation, up to a constant.

    The maximum may be that of another prior: the likelihood is taken as Gaussian about it.
    """
    hessian = found.at.information + gaussian.precision
    gradient = found.at.gradient + gaussian.gradient(found.parameters)
    objective = found.at.loss + gaussian.loss(found.parameters)
    objective -= 0.5 * float(gradient @ np.linalg.solve(hessian, gradient))
    return -objective - 0.5 * float(np.linalg.slogdet(hessian)[1]) - float(np.log(gaussian.sigma).sum())


def heavy_tailed(gaussian: GaussianPrior, found: Maximum, n: int) -> tuple[GaussianPrior, float]:
    """Give the first n parameters Student's t as prior; return the Gaussian in its place and the log evidence.

    t is a Gaussian whose precision is gamma distributed. Parameters and precisions are taken as independent of each
    other (Tipping and Lawrence, Neurocomputing 69, 123 (2005)): a parameter that lies z standard deviations off,
    its own variance counted in, has (DEGREES + z²) / (DEGREES + 1) times the variance. The evidence is the lower
    bound which that gives, on the scale of `log_evidence`.

    Parameters
    ----------
    gaussian
        Centres and scales.
    found
        A maximum under any prior: the likelihood is taken as Gaussian about it.
    n
        Number of parameters, the first, with heavy tails.
    """
    sigma = gaussian.sigma.copy()
    shape = (DEGREES + 1) / 2
    for _ in range(_ROUNDS):
        wide = GaussianPrior(gaussian.mean, sigma)
        covariance = np.linalg.inv(found.at.information + wide.precision)
        step = covariance @ (found.at.gradient + wide.gradient(found.parameters))
        square = (found.parameters - step - gaussian.mean) ** 2 + np.diag(covariance)
        rate = (DEGREES + square[:n] / gaussian.sigma[:n] ** 2) / 2
        new = gaussian.sigma[:n] * np.sqrt(rate / shape)
        change = np.abs(np.log(new / sigma[:n])).max()
        sigma = np.append(new, gaussian.sigma[n:])
        if change < _SETTLED:
            break
    precision = shape / rate
    wide = GaussianPrior(gaussian.mean, sigma)
    # `log_evidence` holds the Gaussian's share of the bound; the rest is the precisions'.
    own = 0.5 * precision * square[:n] / gaussian.sigma[:n] ** 2 - 0.5 * np.log(precision)
    own += gammaln(shape) - shape * np.log(rate) + DEGREES / 2 * np.log(DEGREES / 2) - gammaln(DEGREES / 2)
    return wide, log_evidence(wide, found) + float(own.sum())
