"""A ray through latent space along which one force constant changes, decoded, and the spectra it stands for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fcinv_core.crystal import FloatArray
from fcinv_core.latent.encoding import decode, encode
from fcinv_core.networks.augmentation import Spectrometer
from fcinv_core.networks.inputs import FloatArray32, image_of
from fcinv_core.networks.model import Model
from fcinv_core.networks.vae import VariationalAutoencoder
from fcinv_core.spectrum import unit_spectra

#: Places on the ray, as quantiles of the force constant among the spectra; the middle one is where it is tangent.
_QUANTILES = (0.1, 0.3, 0.5, 0.7, 0.9)
#: Quantiles between which the direction is taken.
_NEAR = (0.45, 0.55)


@dataclass(frozen=True, eq=False)
class Ray:
    """Spectra where one force constant changes and all others stay at their mean.

    Attributes
    ----------
    number
        FC number of the one that changes.
    values
        Shape (n,): what it is, eV/Å².
    direction
        Shape (d,): change of the latent means for 1 eV/Å² at the middle one.
    straight
        Shape (n, n_q, n_bins): decoded from a straight line in that direction.
    encoded
        Shape (n, n_q, n_bins): decoded from where the encoder puts the true spectra.
    true
        Shape (n, n_q, n_bins): the true spectra.
    """

    number: int
    values: FloatArray
    direction: FloatArray
    straight: FloatArray32
    encoded: FloatArray32
    true: FloatArray32

    def explained(self, decoded: FloatArray32) -> float:
        """Return which share of the change of the true spectra decoded ones show: 1 at best, below 0 if they are
        farther from the truth than its mean."""
        off = decoded - self.true
        change = self.true - self.true.mean(axis=0)
        return float(1 - (off**2).sum() / (change**2).sum())


def decoded_ray(model: Model, network: VariationalAutoencoder, values: FloatArray, number: int) -> Ray:
    """Decode a straight line through latent space, tangent to the curve on which one force constant changes.

    Parameters
    ----------
    model, network
        The model, and its network.
    values
        Shape (m, n_fc): force constants of some spectra in FC order, eV/Å²: where the ray lies.
    number
        FC number of the one that changes.
    """
    along = np.quantile(values[:, number], (*_QUANTILES, *_NEAR))
    sets = np.repeat(values.mean(axis=0)[None], len(along), axis=0)
    sets[:, number] = along
    energies = model.dynamics.energies(sets)
    spectrometer = Spectrometer(model.qpath, model.grid, model.resolution, None)
    source = np.random.default_rng(0)  # clean spectra draw nothing
    images = [image_of(*spectrometer.measure(one, source), model.grid, model.scaling).channels for one in energies]
    mean = encode(network, np.stack(images)).mean
    places, (lower, upper) = along[: len(_QUANTILES)], along[len(_QUANTILES) :]
    direction = (mean[-1] - mean[-2]) / (upper - lower)
    middle = len(places) // 2
    return Ray(
        number=number,
        values=places,
        direction=direction,
        straight=decode(network, mean[middle] + (places - places[middle])[:, None] * direction),
        encoded=decode(network, mean[: len(places)]),
        true=unit_spectra(energies[: len(places)], model.grid, model.resolution),
    )
