"""Everything that is asked of the latent space of a model, in one go."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fcinv_core.crystal import FloatArray, IntArray
from fcinv_core.errors import InputError
from fcinv_core.latent.activity import Activity, linear_r2
from fcinv_core.latent.encoding import Latents, autoencoder_of, encode
from fcinv_core.latent.measurements import FoldedImages, images_of, kinds
from fcinv_core.latent.plane import Plane, plane_of
from fcinv_core.latent.ray import Ray, decoded_ray
from fcinv_core.networks.batches import TEST
from fcinv_core.networks.model import Model
from fcinv_core.networks.model_folder import basis_hash
from fcinv_core.training_set import TrainingSet

#: Spectra that a cloud of latents is drawn from; force constants that are shown, FC0 first.
_FEWEST, SHOWN = 40, 4
#: Share of clean spectra that lie within the border of their cloud.
_WITHIN = 0.95


@dataclass(frozen=True, eq=False)
class FoldedLatents:
    """Where a folded measurement falls.

    Attributes
    ----------
    name
        What it is called.
    whole, runs
        Of all runs together (1 spectrum), and of single ones.
    numbers
        Run numbers of these.
    """

    name: str
    whole: Latents
    runs: Latents
    numbers: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class LatentStudy:
    """The latent space of a model.

    Attributes
    ----------
    model
        The model.
    values
        Shape (m, n_fc): force constants of the spectra, eV/Å², FC order.
    latents
        Latents of the same spectra by the kind of measurement (`kinds`).
    linear
        Shape (k,): R² of linear functions of the latent means of clean spectra, for each retained force constant.
    plane
        A plane to look at latents in, of the clean ones.
    rays
        One for each of the force constants shown.
    folded
        Measurements.
    """

    model: Model
    values: FloatArray
    latents: Mapping[str, Latents]
    linear: FloatArray
    plane: Plane
    rays: tuple[Ray, ...]
    folded: tuple[FoldedLatents, ...]

    @property
    def clean(self) -> Latents:
        """Latents of the clean spectra."""
        return self.latents["clean"]

    @property
    def activity(self) -> Mapping[str, Activity]:
        """By the kind of measurement."""
        return {name: Activity.of(latents) for name, latents in self.latents.items()}

    def distance(self, latents: Latents) -> FloatArray:
        """Mahalanobis distance of latent means from the cloud of the clean ones over active dimensions, shape (m,).

        It is divided by the root of the number of active dimensions: about 1 inside of the cloud.
        """
        active = Activity.of(self.clean).active
        cloud = self.clean.mean[:, active]
        root = np.linalg.cholesky(np.cov(cloud, rowvar=False).reshape(cloud.shape[1], -1))
        scaled = np.linalg.solve(root, (latents.mean[:, active] - cloud.mean(axis=0)).T)
        return np.asarray(np.sqrt((scaled**2).mean(axis=0)))

    @property
    def border(self) -> float:
        """Distance within which 95 % of the clean spectra lie."""
        return float(np.quantile(self.distance(self.clean), _WITHIN))

    def shift(self, kind: str) -> FloatArray:
        """How far each spectrum is moved by being measured, shape (m,): rms over active dimensions, in units of the
        standard deviation of the clean latents."""
        activity = Activity.of(self.clean)
        moved = (self.latents[kind].mean - self.clean.mean)[:, activity.active]
        return np.asarray(np.sqrt((moved**2 / activity.variance[activity.active]).mean(axis=1)))


def study_latent_space(
    model: Model,
    training: TrainingSet,
    folded: Sequence[FoldedImages] = (),
    *,
    n: int = 1000,
    seed: int = 0,
    say: Callable[[str], None] = lambda sentence: None,
    between: Callable[[], None] = lambda: None,
) -> LatentStudy:
    """Look into the latent space of a model with spectra of the test part of a training set.

    Parameters
    ----------
    model
        A model with a latent space.
    training
        A training set of its crystal.
    folded
        Measurements whose place is asked for (`folded_images`).
    n
        Spectra that are encoded at most.
    seed
        Of noise and plane.
    say
        Told what is being done.
    between
        Called between steps of the work, a fraction of a second apart; what it raises ends it.

    Raises
    ------
    InputError
        If the model has no latent space, belongs to another crystal, or there are too few spectra.
    """
    network = autoencoder_of(model)
    chosen = _chosen(model, training, n)
    values, energies = training.force_constants(chosen), training.energies(chosen)
    latents = {}
    for name, measure in kinds(training).items():
        say(f"encoding {len(chosen)} spectra: {name}")
        latents[name] = encode(network, images_of(model, training, energies, measure, seed), between)
    clean = latents["clean"]
    if not Activity.of(clean).active.any():
        raise InputError(
            "none of the latent dimensions is active",
            "the encoder does not look at the spectra",
            "train the model for longer",
        )
    say("decoding rays, and laying out a plane")
    return LatentStudy(
        model=model,
        values=values,
        latents=latents,
        linear=linear_r2(clean, values[:, model.retained]),
        plane=plane_of(clean.mean, seed),
        rays=tuple(decoded_ray(model, network, values, int(k)) for k in np.sort(model.retained)[:SHOWN]),
        folded=tuple(
            FoldedLatents(one.name, encode(network, one.whole[None]), encode(network, one.runs), one.numbers)
            for one in folded
        ),
    )


def _chosen(model: Model, training: TrainingSet, n: int) -> IntArray:
    """Return the numbers of the spectra that are encoded."""
    if model.card["basis"] != basis_hash(training.prior):
        raise InputError(
            f"the model does not belong to the crystal of {training.path}",
            f"it is of {model.prior.crystal.describe()}, the training set of {training.prior.crystal.describe()}",
            "give the training set that it was trained on",
        )
    chosen = np.flatnonzero(training.split == TEST)[:n]
    if len(chosen) < _FEWEST:
        raise InputError(
            f"{len(chosen)} spectra of the test part of {training.path} are asked for or there",
            f"a cloud of latents wants at least {_FEWEST}",
            "ask for more, or give a larger training set",
        )
    return chosen
