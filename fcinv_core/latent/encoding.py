"""Spectra as Gaussians in the latent space of a variational autoencoder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from fcinv_core.crystal import FloatArray
from fcinv_core.errors import InputError
from fcinv_core.networks.inputs import FloatArray32
from fcinv_core.networks.model import Model
from fcinv_core.networks.vae import VariationalAutoencoder

#: Images that are encoded in one go.
_TOGETHER = 50


@dataclass(frozen=True, eq=False)
class Latents:
    """What an encoder makes of m spectra.

    Attributes
    ----------
    mean
        Shape (m, d).
    log_variance
        Shape (m, d): logarithm of the variance.
    """

    mean: FloatArray
    log_variance: FloatArray


def autoencoder_of(model: Model) -> VariationalAutoencoder:
    """Return the network of a model that has a latent space.

    Raises
    ------
    InputError
        If it has none.
    """
    if not isinstance(model.network, VariationalAutoencoder):
        raise InputError(
            f"a {model.architecture} has no latent space",
            "its features are no distribution, and nothing decodes them to a spectrum",
            "give the model of a vae",
        )
    return model.network


@torch.no_grad()
def encode(
    network: VariationalAutoencoder, images: FloatArray32, between: Callable[[], None] = lambda: None
) -> Latents:
    """Encode images (m, c, n_q, n_bins); ``between`` is called between batches."""
    found = []
    for part in torch.split(torch.from_numpy(images), _TOGETHER):
        between()
        found.append(network.encode(part))
    mean, log_variance = (torch.cat(parts).numpy().astype(float) for parts in zip(*found, strict=True))
    return Latents(mean, log_variance)


@torch.no_grad()
def decode(network: VariationalAutoencoder, vectors: FloatArray) -> FloatArray32:
    """Return the spectra, shape (m, n_q, n_bins), of latent vectors (m, d)."""
    spectra = network.decoder(torch.from_numpy(vectors.astype(np.float32)))
    return np.asarray(spectra.numpy(), dtype=np.float32)
