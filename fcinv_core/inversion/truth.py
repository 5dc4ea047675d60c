"""How far an inversion is from known force constants: those of a virtual experiment."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fcinv_core.crystal import FloatArray
from fcinv_core.derived.zone_mesh import irreducible_mesh
from fcinv_core.dynamics import mode_energies
from fcinv_core.force_constants.pairs import ForceConstants
from fcinv_core.inversion.inversion import Inversion

#: Spacing of the mesh on which dispersions are compared, 1/Å.
_SPACING = 0.15


@dataclass(frozen=True, eq=False)
class Comparison:
    """An answer beside the truth.

    Attributes
    ----------
    zone_rms, zone_mean
        Root mean square and mean of the difference of mode energies over the whole zone, answer less truth, meV.
    network_rms
        The same root mean square for the network alone; None without one.
    prior_rms
        The same for the mean of the force fields.
    bands68, bands95
        Share of the modes along the path that lie in the 68 % and 95 % bands.
    intervals68, intervals95
        Share of the force constants that lie within one and two sigma.
    truth
        Shape (n,): the true force constants in FC order, eV/Å².
    """

    zone_rms: float
    zone_mean: float
    network_rms: float | None
    prior_rms: float
    bands68: float
    bands95: float
    intervals68: float
    intervals95: float
    truth: FloatArray

    def describe(self) -> str:
        """Return the comparison as sentences."""
        network = "" if self.network_rms is None else f"{self.network_rms:.2f} for the network alone, "
        return (
            f"Its mode energies are {self.zone_rms:.2f} meV rms from the truth over the whole zone ({network}"
            f"{self.prior_rms:.2f} for the mean of the force fields). Of the modes along the path "
            f"{100 * self.bands68:.0f} % lie in their 68 % band and {100 * self.bands95:.0f} % in their 95 % band; "
            f"of the force constants {100 * self.intervals68:.0f} % lie within σ and "
            f"{100 * self.intervals95:.0f} % within 2 σ."
        )


def compare(inversion: Inversion, truth: ForceConstants) -> Comparison:
    """Compare an inversion with the truth, expressed in the crystal of the inversion's prior.

    Raises
    ------
    InputError
        If the truth reaches farther than the force constants of the inversion.
    """
    prior, path = inversion.prior, inversion.path
    q, weights = irreducible_mesh(prior.crystal, _SPACING)
    exact = prior.parametrisation.project(truth).values[prior.order]
    sets = [inversion.values, prior.mean] + ([] if inversion.network is None else [inversion.network.values])
    zone = prior.dynamics(q).energies(np.array(sets))
    difference = zone - mode_energies(truth, q)
    rms = np.sqrt(np.einsum("dqm,q->d", difference**2, weights) / difference.shape[2])
    bands = inversion.derived.energies
    true_path = mode_energies(truth, path.q, path.direction)
    # Where a band has no width, as at Γ, rounding must not decide.
    inside68 = (true_path >= bands.lower68 - 1e-3) & (true_path <= bands.upper68 + 1e-3)
    inside95 = (true_path >= bands.lower95 - 1e-3) & (true_path <= bands.upper95 + 1e-3)
    distance = np.abs(inversion.values - exact) / inversion.sigma
    return Comparison(
        zone_rms=float(rms[0]),
        zone_mean=float(np.einsum("qm,q->", difference[0], weights) / difference.shape[2]),
        network_rms=None if inversion.network is None else float(rms[2]),
        prior_rms=float(rms[1]),
        bands68=float(inside68.mean()),
        bands95=float(inside95.mean()),
        intervals68=float((distance < 1).mean()),
        intervals95=float((distance < 2).mean()),
        truth=exact,
    )
