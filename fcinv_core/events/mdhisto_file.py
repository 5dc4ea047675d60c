"""Reading SaveMD's MDHisto files: every voxel of a four-dimensional histogram as one weighted point."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import ArrayLike

from fcinv_core.errors import InputError
from fcinv_core.events.axes import Axes, Axis, decoded, find_axes
from fcinv_core.events.experiment import NO_DETECTORS, Detectors, FloatArray, Run, stated_run
from fcinv_core.events.experiment_info import read_experiments
from fcinv_core.events.source import NORMALISED, EventChunk, EventSource, PointCoverage

#: Where coverage is from if it is given.
_NORMALISATION = "coverage is that of the voxels, as the normalisation file says"


def open_mdhisto(
    path: Path,
    *,
    ub: ArrayLike | None = None,
    incident_energy: float | None = None,
    goniometer: ArrayLike | None = None,
    normalisation: Path | None = None,
) -> EventSource:
    """Open a four-dimensional MDHisto file; voxels stay on disk.

    Voxels stand at their centres with their signal and squared error. Those that are NaN or masked are
    skipped. The file is taken as normalised, as MDNorm's output is, so that every voxel has exposure 1, unless its
    normalisation is given. The run and detector of what fell into a voxel are lost; the run of the first
    experiment info is kept for its UB, incident energy and temperature.

    Parameters
    ----------
    path
        File written by Mantid's SaveMD (BinMD, MDNorm, CutMD ...).
    ub, incident_energy, goniometer
        As in :func:`open_mdevent`.
    normalisation
        MDHisto file of the same voxels whose signal is their exposure (MDNorm's OutputNormalizationWorkspace):
        ``path`` then holds data that were not divided by it (OutputDataWorkspace). Voxels without exposure and
        signal are skipped.

    Raises
    ------
    InputError
        If it is damaged, not four-dimensional or in an unknown frame, if UB or Ei are neither in the file
        nor given, or if the normalisation has other voxels.
    """
    name = str(path)
    if normalisation is not None:
        _check_same_voxels(path, normalisation)
    with h5py.File(path, "r") as file:
        entry = file["MDHistoWorkspace"]
        data = entry.get("data")
        if data is None or "signal" not in data or "errors_squared" not in data:
            raise InputError(f"{name} is damaged", "its signal is missing", "save it again in Mantid")
        ids = decoded(data["signal"].attrs.get("axes", "")).split(":")
        missing = [one for one in ids if one not in data]
        if missing or len(ids) != data["signal"].ndim:
            raise InputError(f"{name} is damaged", "its axes are not described", "save it again in Mantid")
        # SaveMD stores the slowest dimension first, so columns run backwards.
        stored = [
            Axis(one, decoded(data[one].attrs.get("long_name", one)), decoded(data[one].attrs.get("frame", "")))
            for one in ids
        ]
        system = entry.get("coordinate_system")
        number = None if system is None else int(np.ravel(system[()])[0])
        axes = find_axes(stored[::-1], number, decoded(entry.attrs.get("QConvention", "Inelastic")), name)
        axes = replace(axes, q=3 - axes.q, energy=3 - axes.energy)
        edges = [np.asarray(data[one][()], dtype=float) for one in ids]
        edges = [
            one if len(one) == n + 1 else _around(one) for one, n in zip(edges, data["signal"].shape, strict=True)
        ]
        extents = (float(edges[axes.energy][0]), float(edges[axes.energy][-1]))
        experiments = read_experiments(entry, extents, ub=ub, incident_energy=incident_energy, name=name)
        if experiments:
            first = replace(experiments[0].runs[0], energy_edges=edges[axes.energy], energy_limits=extents)
            runs: tuple[Run, ...] = (first,)
            detectors: tuple[Detectors, ...] = (experiments[0].detectors,)
            stored_ub = experiments[0].stored_ub
            matrix = axes.to_q_sample(
                # One rotation only makes sense of Q_lab when the histogram holds one run.
                first.goniometer if len(experiments) == 1 else None,
                first.ub if stored_ub is None else stored_ub,
                _basis(entry, axes),
                name,
            )
        else:
            given_r = None if goniometer is None else np.asarray(goniometer, dtype=float)
            given_ub = None if ub is None else np.asarray(ub, dtype=float)
            runs = ()
            if given_ub is not None and incident_energy is not None:
                runs = (stated_run(given_ub, incident_energy, extents, goniometer=given_r),)
            detectors = (NO_DETECTORS,) * len(runs)
            matrix = axes.to_q_sample(given_r, given_ub, _basis(entry, axes), name)
        shape = data["signal"].shape

    centres = [(one[1:] + one[:-1]) / 2 for one in edges]
    layout = _Layout(path, normalisation, axes, centres, matrix, 0 if runs else -1)
    return EventSource(
        description=f"{path.name}, histogram of {' × '.join(str(n) for n in shape[::-1])} voxels in {axes.frame}",
        runs=runs,
        detectors=detectors,
        n_events=int(np.prod(shape)),
        lean=True,
        energy_bin_width=float(np.diff(edges[axes.energy]).max()),
        reader=layout.read,
        coverage=PointCoverage(
            NORMALISED if normalisation is None else _NORMALISATION,
            matrix.T * np.array([np.diff(edges[axis]).max() for axis in axes.q])[:, None],
        ),
    )


def _check_same_voxels(path: Path, normalisation: Path) -> None:
    (shape, one), (other_shape, two) = _voxels(path), _voxels(normalisation)
    same = shape == other_shape and one.keys() == two.keys()
    if not same or any(
        one[key].shape != two[key].shape or not np.allclose(one[key], two[key], rtol=0, atol=1e-5) for key in one
    ):
        raise InputError(
            f"{normalisation} has other voxels than {path}",
            "an MDHisto file of equal axes was expected",
            "save OutputDataWorkspace and OutputNormalizationWorkspace of one MDNorm",
        )


def _voxels(path: Path) -> tuple[tuple[int, ...], dict[str, FloatArray]]:
    """Shape of a histogram, and the edges along each of its axes."""
    try:
        with h5py.File(path, "r") as file:
            data = file["MDHistoWorkspace/data"]
            ids = decoded(data["signal"].attrs.get("axes", "")).split(":")
            return data["signal"].shape, {one: np.asarray(data[one][()], dtype=float) for one in ids}
    except (OSError, KeyError) as error:
        raise InputError(
            f"{path} holds no histogram", "an MDHisto file of SaveMD was expected", "save it again in Mantid"
        ) from error


@dataclass(frozen=True, eq=False)
class _Layout:
    """Centres of the voxels along each stored axis, the matrix (3, 3) from them to Q_sample, and the files."""

    path: Path
    normalisation: Path | None
    axes: Axes
    centres: list[FloatArray]
    matrix: FloatArray
    run: int

    def read(self, size: int) -> Iterator[EventChunk]:
        """Iterate over the voxels in chunks of at most ``size``."""
        with ExitStack() as files:
            data = files.enter_context(h5py.File(self.path, "r"))["MDHistoWorkspace/data"]
            laid = None
            if self.normalisation is not None:
                laid = files.enter_context(h5py.File(self.normalisation, "r"))["MDHistoWorkspace/data/signal"]
            for block in _blocks(data["signal"].shape, size):
                try:
                    signal, variance = data["signal"][block], data["errors_squared"][block]
                    good = np.isfinite(signal) & np.isfinite(variance)
                    if "mask" in data:
                        good &= data["mask"][block] == 0
                    exposure = np.ones(signal.shape) if laid is None else laid[block]
                    # Where only the exposure is 0, the data lie outside of their coverage: the fold says so.
                    good &= (exposure > 0) | ((exposure == 0) & (signal != 0))
                except OSError as error:
                    raise InputError(
                        f"{self.path} is damaged", "its voxels cannot be read", "copy it again"
                    ) from error
                if good.any():
                    yield self._chunk(block, signal, variance, exposure, good)

    def _chunk(self, block: tuple[slice, ...], signal: Any, variance: Any, exposure: Any, good: Any) -> EventChunk:
        grid = np.meshgrid(
            *(c[part] for c, part in zip(self.centres, block, strict=True)), indexing="ij", copy=False
        )
        coordinates = np.stack([grid[k][good] for k in self.axes.q], axis=1)
        n = len(coordinates)
        return EventChunk(
            q_sample=coordinates @ self.matrix.T,
            energy=grid[self.axes.energy][good],
            signal=signal[good].astype(np.float64),
            error_squared=variance[good].astype(np.float64),
            run=np.full(n, self.run),
            detector=np.full(n, -1),
            exposure=exposure[good].astype(np.float64),
        )


def _blocks(shape: tuple[int, ...], size: int) -> Iterator[tuple[slice, ...]]:
    """Blocks of at most ``size`` voxels that tile an array, rows of the fastest axes kept whole."""
    steps = list(shape)
    for axis in range(len(shape)):
        inner = int(np.prod(shape[axis + 1 :]))
        steps[axis] = min(shape[axis], max(1, size // inner))
        if steps[axis] * inner <= size:
            break
    starts = (range(0, n, step) for n, step in zip(shape, steps, strict=True))
    for corner in itertools.product(*starts):
        yield tuple(slice(first, first + step) for first, step in zip(corner, steps, strict=True))


def _basis(entry: Any, axes: Axes) -> FloatArray | None:
    """Where names do not tell: the inverse of the transformation from the events that BinMD stores."""
    node = entry.get("transform_from_orig")
    if axes.projection is not None or node is None or node.size != 25:
        return None
    affine = np.asarray(node[()], dtype=float).reshape(5, 5)
    if abs(np.linalg.det(affine)) < 1e-12:
        return None
    inverse = np.linalg.inv(affine)
    rows = 3 - axes.q
    energy = 3 - axes.energy
    # A shifted origin, or Q mixed with energy, is not a basis of Q.
    if np.abs(inverse[:3, 4]).max() > 1e-6 or np.abs(inverse[:3, energy]).max() > 1e-6:
        return None
    return np.asarray(inverse[:3, rows])


def _around(centres: FloatArray) -> FloatArray:
    """Boundaries half-way between centres."""
    if len(centres) < 2:
        return np.array([centres[0] - 0.5, centres[0] + 0.5])
    middle = (centres[1:] + centres[:-1]) / 2
    return np.asarray(np.r_[2 * centres[0] - middle[0], middle, 2 * centres[-1] - middle[-1]])
