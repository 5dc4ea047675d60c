"""A trained network with all that it takes to ask it: from a measurement to draws of the force constants."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fcinv_core.crystal import FloatArray, IntArray
from fcinv_core.dynamics import BornVonKarman
from fcinv_core.errors import InputError
from fcinv_core.networks.architectures import Network, Problem, build
from fcinv_core.networks.batches import Standardisation
from fcinv_core.networks.calibration import corrected
from fcinv_core.networks.features import FeatureDistribution
from fcinv_core.networks.inputs import BoolArray, FloatArray32, Image, InputScaling, image_of, resample
from fcinv_core.networks.layers import ImageShape
from fcinv_core.networks.model_folder import read_model
from fcinv_core.networks.signs import SIGNS, Usual
from fcinv_core.networks.spot import Spot
from fcinv_core.prior import Prior
from fcinv_core.qpath import QPath
from fcinv_core.spectrum import Resolution, SpectralGrid
from fcinv_core.training_set import T_RANGE


@dataclass(frozen=True, eq=False)
class NetworkDraws:
    """Force constants that a network draws for a measurement.

    Attributes
    ----------
    draws
        Shape (n, n_fc): force constants in FC order, eV/Å²; those that the network was not taught are drawn from
        the prior.
    retained
        FC numbers that were drawn over their ranges in training: those that the scores are about.
    """

    draws: FloatArray
    retained: IntArray


@dataclass(frozen=True, eq=False)
class NetworkAnswer(NetworkDraws):
    """What a network makes of a measurement: its draws, and whether to believe them.

    Attributes
    ----------
    reconstructed
        Shape (n_q, n_bins): the clean spectrum it takes the measurement for, all modes alike, or None.
    latent
        Shape (n, d): latent vectors, or None.
    input, covered
        Shape (n_q, n_bins): the scaled intensity that it saw, and where there was any coverage.
    out_of_range
        FC numbers whose mean lies outside of the range drawn in training.
    distance, threshold
        Misfit between the measurement and the lines of the draws (`fcinv_core.networks.misfit`), and what at
        most 5 % of the measurements trained for exceed.
    flags
        What to beware of, one sentence each.
    """

    reconstructed: FloatArray32 | None
    latent: FloatArray32 | None
    input: FloatArray32
    covered: BoolArray
    out_of_range: tuple[int, ...]
    distance: float
    threshold: float
    flags: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Model:
    """A trained network.

    Attributes
    ----------
    card
        Everything that is known of it: checksums, settings, versions, scores, calibration.
    prior
        The ensemble it was trained around.
    qpath, grid, resolution
        Of the spectra that it knows.
    retained
        FC numbers that were drawn over their ranges.
    architecture
        Its name.
    network
        The torch module.
    standardisation
        Between its targets and force constants.
    scaling
        Between measurements and its images.
    factor
        Shape (k,): split-conformal correction of the spread.
    features
        What its features of the measurements trained for are like; None if its card names no such file.
    largest
        Sign that a measurement is unusual (`fcinv_core.networks.signs`) -> threshold; 5 % of the measurements
        trained for exceed one of them. Infinite where its card names none.
    """

    card: Mapping[str, Any]
    prior: Prior
    qpath: QPath
    grid: SpectralGrid
    resolution: Resolution
    retained: IntArray
    architecture: str
    network: Network
    standardisation: Standardisation
    scaling: InputScaling
    factor: FloatArray
    features: FeatureDistribution | None
    largest: Mapping[str, float]

    @cached_property
    def dynamics(self) -> BornVonKarman:
        """Dynamics along its path."""
        return self.prior.dynamics(self.qpath.q, self.qpath.direction)

    @cached_property
    def usual(self) -> Usual:
        """What its answers to the measurements trained for are compared with."""
        return Usual(
            self.standardisation,
            self.retained,
            self.prior,
            self.dynamics,
            self.grid,
            self.resolution,
            self.features,
        )

    def draw(
        self, counts: FloatArray, exposure: FloatArray, n: int, seed: int, *, path: QPath, grid: SpectralGrid
    ) -> NetworkDraws:
        """Draw force constants for a measurement, without asking whether the network was trained for such.

        Parameters and what is raised are those of `answer`, and so are the draws.
        """
        _, embedding = self._look(counts, exposure, path, grid)
        taught = self._taught(embedding, n, torch.Generator().manual_seed(seed))
        return NetworkDraws(self._complete(taught, seed), self.retained)

    def answer(
        self, counts: FloatArray, exposure: FloatArray, n: int, seed: int, *, path: QPath, grid: SpectralGrid
    ) -> NetworkAnswer:
        """Draw force constants for a measurement; say what it is taken for, and whether the network knows such.

        Parameters
        ----------
        counts, exposure
            Shape (n_points, n_energies): counts are Poisson with mean intensity times exposure; pixels without
            exposure were not covered, whatever their counts.
        n
            Number of draws.
        seed
            The same seed gives the same draws.
        path, grid
            Where they were measured: the path that the network was trained on, with any number of points, and
            any energies that overlap with its own.

        Raises
        ------
        InputError
            If the path is another one, counts are negative, or nothing is covered.
        """
        image, embedding = self._look(counts, exposure, path, grid)
        generator = torch.Generator().manual_seed(seed)
        taught = self._taught(embedding, n, generator)
        with torch.no_grad():
            latent = self.network.latent(embedding, n, generator)
            reconstructed = self.network.reconstructed(embedding)
        draws = self._complete(taught, seed)
        found = self.usual.signs(image.channels[None], taught[None], self.network.features(embedding).numpy())
        signs = {sign: float(values[0]) for sign, values in found.items()}
        out_of_range = self._out_of_range(draws.mean(axis=0))
        return NetworkAnswer(
            draws=draws,
            retained=self.retained,
            reconstructed=None if reconstructed is None else reconstructed[0].numpy(),
            latent=None if latent is None else latent[0].numpy(),
            input=image.channels[0],
            covered=image.covered,
            out_of_range=out_of_range,
            distance=signs["misfit"],
            threshold=self.largest["misfit"],
            flags=self._flags(out_of_range, signs, lambda: self.usual.spot(image.channels, taught)),
        )

    @torch.no_grad()
    def _look(
        self, counts: FloatArray, exposure: FloatArray, path: QPath, grid: SpectralGrid
    ) -> tuple[Image, torch.Tensor]:
        """Return the image that the network sees of a measurement, and its embedding (1, e)."""
        on_grid = resample(counts, exposure, path, grid, self.qpath, self.grid)
        image = image_of(*on_grid, self.grid, self.scaling)
        return image, self.network.embedding(torch.from_numpy(image.channels[None]))

    @torch.no_grad()
    def _taught(self, embedding: torch.Tensor, n: int, generator: torch.Generator) -> FloatArray32:
        """Return corrected draws (n, k) of the targets."""
        return corrected(self.network.draw(embedding, n, generator)[0].numpy(), self.factor)

    def _complete(self, taught: FloatArray32, seed: int) -> FloatArray:
        """Return draws (n, n_fc) of all force constants, with those that were not taught drawn from the prior."""
        drawn = np.random.default_rng(seed).standard_normal((len(taught), self.prior.n_force_constants))
        return self.standardisation.complete(taught, self.prior.mean + self.prior.sigma * drawn)

    def _out_of_range(self, mean: FloatArray) -> tuple[int, ...]:
        ends = np.sort([self.prior.in_range(np.full(len(mean), t)) for t in T_RANGE], axis=0)
        outside = (mean < ends[0]) | (mean > ends[1])
        return tuple(int(k) for k in self.retained if outside[k])

    def _flags(
        self, out_of_range: tuple[int, ...], signs: Mapping[str, float], brightest: Callable[[], Spot]
    ) -> tuple[str, ...]:
        flags = []
        if out_of_range:
            names = ", ".join(f"FC{k}" for k in out_of_range)
            flags.append(f"The network's mean of {names} lies outside of the range that it was trained on.")
        value, largest = signs["misfit"], self.largest["misfit"]
        if value > largest:
            flags.append(
                "The measurement is unlike those that the network was trained for: the lines that it supposes "
                f"explain {np.exp(-value):.0%} of the structure that is there; usual is more than "
                f"{np.exp(-largest):.0%}."
            )
        value, largest = signs["spread"], self.largest["spread"]
        if value > largest:
            flags.append(
                "The measurement says next to nothing about the force constants: the network's draws are "
                f"{value:.0%} as wide as its training set; usual is less than {largest:.0%}."
            )
        value, largest = signs["feature_distance"], self.largest["feature_distance"]
        if value > largest:
            flags.append(
                "The network has seen no such spectrum in training, as with force constants out of range: its "
                f"features lie {value:.2g} times as far from their mean as is typical; usual is less than "
                f"{largest:.2g}."
            )
        value, largest = signs["spot"], self.largest["spot"]
        if value > largest:
            spot = brightest()
            q = " ".join(f"{x:.2f}" for x in self.qpath.q[spot.row])
            flags.append(
                f"A spot at q = ({q}), {self.grid.centres[spot.column]:.1f} meV, off the lines that the network "
                f"supposes, stands out {np.exp(value):.2g} times as much as any other; usual is less than "
                f"{np.exp(largest):.2g}. It may be a spurion."
            )
        return tuple(flags)


def load_model(folder: Path | str) -> Model:
    """Load a model that `fcinv train` wrote.

    Raises
    ------
    InputError
        If the folder is not a model, is damaged or of a newer schema, or its parts do not fit each other.
    """
    folder = Path(folder)
    card, weights, prior, features = read_model(folder)
    try:
        taught = card["targets"]
        targets = np.array(taught["numbers"], dtype=np.int64)
        problem = Problem(ImageShape(**card["image"]), tuple(taught["retained"]), len(targets))
        network = build(card["architecture"], problem, dict(card["parameters"]))
        network.load_state_dict(weights)
        network.eval()
        return Model(
            card=card,
            prior=prior,
            qpath=QPath.from_dict(card["qpath"]),
            grid=SpectralGrid(**card["grid"]),
            resolution=Resolution(tuple(card["resolution"]["fwhm_coefficients"])),
            retained=targets[list(taught["retained"])],
            architecture=card["architecture"],
            network=network,
            standardisation=Standardisation(targets, np.array(taught["mean"]), np.array(taught["deviation"])),
            scaling=InputScaling(**card["scaling"]),
            factor=np.array(card["conformal_factor"]),
            features=features,
            largest={sign: float(card.get(f"largest_{sign}", np.inf)) for sign in SIGNS},
        )
    except (KeyError, TypeError, RuntimeError) as error:
        raise InputError(
            f"the model {folder} cannot be put together",
            f"its card and its weights do not fit: {str(error).strip()}",
            "train it anew with this version",
        ) from error
