"""Training sets: dynamically stable force constants drawn around an ensemble, with their mode energies."""

from __future__ import annotations

import importlib.metadata
import itertools
import json
import platform
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

import fcinv_core
from fcinv_core.crystal import FloatArray, IntArray, check_readable
from fcinv_core.dynamics import BornVonKarman
from fcinv_core.errors import InputError
from fcinv_core.files import replace_when_complete
from fcinv_core.prior import Prior
from fcinv_core.prior_hdf5 import read_prior, write_prior
from fcinv_core.qpath import QPath
from fcinv_core.sensitivity import Sensitivity
from fcinv_core.spectrum import (
    DEFAULT_BINS,
    Resolution,
    SpectralGrid,
    default_resolution,
    grid_up_to,
    render,
)
from fcinv_core.stability import TOLERANCE, stability_points
from fcinv_core.work_units import MapUnits, map_in_process

#: Mark and version of the file layout; a reader refuses newer versions.
FORMAT, SCHEMA = "fcinv training set", 1
#: Sampled range: t of lower + t (upper - lower).
T_RANGE = (-0.25, 1.5)
#: Shares of the training, validation and test parts.
SPLIT = (0.80, 0.05, 0.15)
#: Candidates drawn together: the unit of work, and of reproducibility.
_CANDIDATES = 1024
#: q-points of one round of the stability test; most unstable candidates fall in the first.
_ROUND = 12
#: Give up when fewer than this share is stable after so many candidates.
_LEAST_ACCEPTANCE, _PATIENCE = 1e-4, 50 * _CANDIDATES
#: Samples whose spectra are rendered in one go.
_RENDERED_TOGETHER = 256


@dataclass(frozen=True, eq=False)
class Sampling:
    """How force constants are drawn; everything that a worker needs to draw a block of them.

    Attributes
    ----------
    seed
        Seed of the whole set.
    retained
        FC numbers drawn uniformly over T_RANGE of their observed ranges.
    lower, upper
        Shape (n,): observed ranges in FC order, eV/Å².
    mean, sigma
        Shape (n,): Gaussian from which the others are drawn, eV/Å²; zero sigma holds them at the reference.
    stability, path
        Dynamics at the points where stability is judged, and along the path.
    device
        Torch device that does the dynamics, or None for the processor.
    """

    seed: int
    retained: IntArray
    lower: FloatArray
    upper: FloatArray
    mean: FloatArray
    sigma: FloatArray
    stability: BornVonKarman
    path: BornVonKarman
    device: str | None = None

    @classmethod
    def around(
        cls,
        prior: Prior,
        path: QPath,
        retained: IntArray,
        *,
        seed: int,
        others: str = "prior",
        device: str | None = None,
    ) -> Sampling:
        """Prepare the drawing of force constants.

        Parameters
        ----------
        prior
            Ensemble knowledge.
        path
            Where mode energies are stored.
        retained
            FC numbers that are drawn uniformly over their ranges.
        seed
            Seed; the same seed gives the same set on any number of threads or workers.
        others
            "prior": the other force constants are drawn from the Gaussian prior, conditional on stability;
            "reference": they are held at the reference, as in Sable et al., Digital Discovery 5, 1545 (2026).
        device
            Torch device for the dynamics, None for the processor.
        """
        sigma = prior.sigma.copy() if others == "prior" else np.zeros_like(prior.sigma)
        sigma[retained] = 0.0
        return cls(
            seed=seed,
            retained=np.asarray(retained),
            lower=prior.lower,
            upper=prior.upper,
            mean=prior.mean,
            sigma=sigma,
            stability=prior.dynamics(stability_points(prior.crystal)),
            path=prior.dynamics(path.q, path.direction),
            device=device,
        )


@dataclass(frozen=True, eq=False)
class Block:
    """The stable ones among one block of candidates.

    Attributes
    ----------
    values
        Shape (m, n): force constants in FC order, eV/Å².
    energies
        Shape (m, n_q, s): mode energies along the path, meV.
    place
        Shape (m,): position of each among the candidates.
    """

    values: FloatArray
    energies: FloatArray
    place: IntArray


def draw_block(sampling: Sampling, index: int) -> Block:
    """Draw block ``index``: the same numbers wherever and in whatever order blocks are drawn."""
    generator = np.random.default_rng([sampling.seed, index])
    values = sampling.mean + sampling.sigma * generator.standard_normal((_CANDIDATES, len(sampling.mean)))
    t = generator.uniform(*T_RANGE, (_CANDIDATES, len(sampling.retained)))
    span = sampling.upper - sampling.lower
    values[:, sampling.retained] = sampling.lower[sampling.retained] + t * span[sampling.retained]
    place = np.arange(_CANDIDATES)
    for start in range(0, len(sampling.stability.q), _ROUND):
        part = sampling.stability.at_points(slice(start, start + _ROUND))
        stable = _is_stable(part.energies(values[place], device=sampling.device))
        place = place[stable]
    energies = sampling.path.energies(values[place], device=sampling.device)
    stable = _is_stable(energies)
    return Block(values[place[stable]], energies[stable], place[stable])


def _is_stable(energies: FloatArray) -> NDArray[np.bool_]:
    return np.asarray(energies.min(axis=(1, 2), initial=0.0) >= -TOLERANCE)


def generate(
    path: Path,
    prior: Prior,
    qpath: QPath,
    retained: IntArray,
    found: Sensitivity,
    n: int,
    *,
    seed: int = 0,
    others: str = "prior",
    energy_range: tuple[float, float] | None = None,
    n_bins: int = DEFAULT_BINS,
    resolution: Resolution | None = None,
    store_spectra: bool = False,
    device: str | None = None,
    map_units: MapUnits = map_in_process,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> TrainingSet:
    """Draw n stable sets of force constants and write them with their mode energies.

    Memory does not grow with n. The file appears at ``path`` when it is complete.

    Parameters
    ----------
    path
        The HDF5 file to write.
    prior, qpath, retained, seed, others, device
        See `Sampling.around`.
    found
        Sensitivity of the dispersion, kept in the file.
    energy_range, n_bins
        Energy bins of spectra, meV; the default range holds the highest energy drawn, see `grid_up_to`.
    resolution
        Default: that of `default_resolution`.
    store_spectra
        Also write the spectra, for programs that do not render them.
    map_units
        Does the blocks, here or on a cluster; the file is the same.
    progress
        Called with the number of sets that are done, and n.

    Raises
    ------
    InputError
        If hardly any candidate is stable, or the file cannot be written.
    """
    sampling = Sampling.around(prior, qpath, retained, seed=seed, others=others, device=device)
    with replace_when_complete(path) as temporary:
        with h5py.File(temporary, "w") as file:
            n_drawn, highest = _write_blocks(file, sampling, n, map_units, progress)
            grid = SpectralGrid(*energy_range, n_bins) if energy_range else grid_up_to(highest, n_bins)
            resolution = resolution or default_resolution(grid)
            write_prior(file.create_group("prior"), prior)
            file["retained"] = np.asarray(retained)
            file["sensitivity/rms"], file["sensitivity/largest"] = found.rms, found.largest
            file["split"] = _split(n, seed)
            file.attrs["format"], file.attrs["schema"] = FORMAT, SCHEMA
            file.attrs["content"] = json.dumps(
                {
                    "qpath": qpath.to_dict(),
                    "grid": asdict(grid),
                    "resolution": asdict(resolution),
                    "seed": seed,
                    "others": others,
                    "t_range": T_RANGE,
                    "stability_tolerance_mev": TOLERANCE,
                    "candidates": n_drawn,
                    "acceptance": n / n_drawn,
                    "versions": _versions(),
                },
                ensure_ascii=False,
            )
            if store_spectra:
                _write_spectra(file, grid, resolution)
        TrainingSet.open(temporary)
    return TrainingSet.open(path)


def _write_blocks(
    file: h5py.File,
    sampling: Sampling,
    n: int,
    map_units: MapUnits,
    progress: Callable[[int, int], None],
) -> tuple[int, float]:
    """Write n stable sets; return how many candidates that took and the highest energy, meV."""
    n_q, n_modes = len(sampling.path.q), sampling.path.n_modes
    values = file.create_dataset("force_constants", (n, len(sampling.mean)), "f8")
    energies = file.create_dataset("energies", (n, n_q, n_modes), "f4", chunks=(1, n_q, n_modes))
    found, drawn, highest = 0, 0, 0.0
    for block in map_units(draw_block, sampling, itertools.count()):
        keep = min(len(block.values), n - found)
        values[found : found + keep] = block.values[:keep]
        energies[found : found + keep] = block.energies[:keep]
        highest = max(highest, float(block.energies[:keep].max(initial=0.0)))
        found += keep
        progress(found, n)
        if found == n:
            return drawn + int(block.place[keep - 1]) + 1, highest
        drawn += _CANDIDATES
        if drawn >= _PATIENCE and found < _LEAST_ACCEPTANCE * drawn:
            break
    raise InputError(
        "hardly any set of force constants in the sampled range is dynamically stable",
        f"{found} of {drawn} candidates are",
        "retain fewer force constants, hold the others at the reference, or give another ensemble",
    )


def _write_spectra(file: h5py.File, grid: SpectralGrid, resolution: Resolution) -> None:
    energies = file["energies"]
    n, n_q, _ = energies.shape
    spectra = file.create_dataset("spectra", (n, n_q, grid.n_bins), "f4", chunks=(1, n_q, grid.n_bins))
    for start in range(0, n, _RENDERED_TOGETHER):
        part = slice(start, start + _RENDERED_TOGETHER)
        spectra[part] = render(energies[part], grid, resolution)


def _split(n: int, seed: int) -> NDArray[np.uint8]:
    """Assign each sample to training (0), validation (1) or test (2)."""
    ends = np.rint(np.cumsum(SPLIT) * n).astype(int)
    part = np.searchsorted(ends, np.arange(n), side="right").astype(np.uint8)
    return np.random.default_rng([seed, 2**32]).permutation(part)


def _versions() -> dict[str, str]:
    names = ("numpy", "scipy", "phonopy", "spglib", "seekpath", "h5py")
    return {
        "fcinv": fcinv_core.__version__,
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in names},
    }


@dataclass(frozen=True, eq=False)
class TrainingSet:
    """A training set on disk.

    Attributes
    ----------
    path
        The HDF5 file.
    prior
        The ensemble it was drawn around.
    qpath, grid, resolution
        What its spectra are rendered on.
    retained
        FC numbers that were drawn over their ranges: what a network learns to give back.
    sensitivity
        Change of the dispersion over the range of each force constant.
    split
        Shape (n,): 0 training, 1 validation, 2 test.
    content
        Everything else the file says of itself: seed, acceptance, versions ...
    """

    path: Path
    prior: Prior
    qpath: QPath
    grid: SpectralGrid
    resolution: Resolution
    retained: IntArray
    sensitivity: Sensitivity
    split: NDArray[np.uint8]
    content: Mapping[str, Any]

    @classmethod
    def open(cls, path: Path | str) -> TrainingSet:
        """Open a training set; force constants and energies stay on disk until they are asked for.

        Raises
        ------
        InputError
            If the file is missing, damaged, not a training set, or of a newer schema.
        """
        path = Path(path)
        check_readable(path, "a training set (HDF5)")
        try:
            with h5py.File(path) as file:
                if file.attrs.get("format") != FORMAT:
                    raise InputError(
                        f"{path} is not a training set",
                        "it lacks the mark of one",
                        "make one with `fcinv generate`",
                    )
                if file.attrs["schema"] > SCHEMA:
                    raise InputError(
                        f"{path} is a training set of schema {file.attrs['schema']}",
                        f"this version reads up to schema {SCHEMA}",
                        "update fcinv, or make the set again",
                    )
                content = json.loads(file.attrs["content"])
                return cls(
                    path=path,
                    prior=read_prior(file["prior"]),
                    qpath=QPath.from_dict(content["qpath"]),
                    grid=SpectralGrid(**content["grid"]),
                    resolution=Resolution(tuple(content["resolution"]["fwhm_coefficients"])),
                    retained=file["retained"][()],
                    sensitivity=Sensitivity(file["sensitivity/rms"][()], file["sensitivity/largest"][()]),
                    split=file["split"][()],
                    content=content,
                )
        except (OSError, KeyError) as error:
            raise InputError(
                f"{path} cannot be read as a training set", str(error).strip("'\""), "copy it again or make it anew"
            ) from error

    def __len__(self) -> int:
        """Number of samples."""
        return len(self.split)

    def force_constants(self, part: slice | IntArray = slice(None)) -> FloatArray:
        """Return force constants of samples in FC order, shape (m, n), eV/Å²."""
        with h5py.File(self.path) as file:
            return np.asarray(file["force_constants"][part])

    def energies(self, part: slice | IntArray = slice(None)) -> FloatArray:
        """Return mode energies of samples along the path, shape (m, n_q, s), meV."""
        with h5py.File(self.path) as file:
            return np.asarray(file["energies"][part], dtype=float)

    def spectra(self, part: slice | IntArray = slice(None)) -> NDArray[np.float32]:
        """Render spectra of samples with unit weights, shape (m, n_q, n_bins), weight per meV."""
        return render(self.energies(part), self.grid, self.resolution)
