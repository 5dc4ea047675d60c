"""Bragg peaks: found without the UB matrix, compared with it, and the rotation and scale that would mend it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike
from scipy.spatial.transform import Rotation

from fcinv_core.checking.elastic_map import ElasticBackground, ElasticMap
from fcinv_core.crystal import FloatArray, IntArray
from fcinv_core.events.experiment import BoolArray
from fcinv_core.verdict import Finding, Status

#: Most peaks that are kept, the strongest first, and those that weigh less than this share of the third strongest.
_MOST_PEAKS, _WEAKEST = 400, 2e-3
#: Distance at which a peak still counts as the reflection nearest to it, as a share of the shortest
#: reciprocal lattice vector: a peak at random falls so near once in 25 times or less.
_INDEX_SHARE = 0.2
#: Offset of the covered part of a peak's surroundings, as a share of their radius, that tells a cut peak.
_CUT_SHARE = 0.15
#: Fewest peaks and runs' peaks from which a rotation is refined.
_FEWEST_PEAKS, _FEWEST_OF_RUN = 3, 4
#: Displacements at the largest Q that a person should look at, and that spoil a fold, 1/Å.
_LOOK_SHIFT, _BAD_SHIFT = 0.03, 0.10
#: Share of the peaks that a UB matrix must explain.
_LOOK_INDEXED, _BAD_INDEXED = 0.85, 0.5


@dataclass(frozen=True, eq=False)
class Peaks:
    """Peaks of elastic intensity.

    Attributes
    ----------
    position
        Shape (n, 3): centroids in Q_sample, 1/Å.
    error
        Shape (n,): error of a component from counting, 1/Å.
    size
        Shape (n,): rms radius of a component, 1/Å.
    intensity
        Shape (n,): excess weight.
    hkl
        Shape (n, 3): in the cell of the UB matrix, fractional.
    nearest
        Shape (n, 3): (h, k, l) of the nearest reflection of the crystal's lattice.
    residual
        Shape (n, 3): position minus that of the reflection, 1/Å.
    indexed
        Shape (n,): whether the reflection is near enough.
    """

    position: FloatArray
    error: FloatArray
    size: FloatArray
    intensity: FloatArray
    hkl: FloatArray
    nearest: FloatArray
    residual: FloatArray
    indexed: BoolArray

    def __len__(self) -> int:
        return len(self.position)


@dataclass(frozen=True, eq=False)
class Misfit:
    """The small rotation and change of scale that bring the UB matrix onto the peaks.

    Attributes
    ----------
    rotation
        Shape (3,): rotation vector in the sample's frame, degrees: UB_new = R UB.
    rotation_errors
        Shape (3,): degrees.
    angle, angle_error
        Length of the rotation vector, and the error along it, degrees.
    scale, scale_error
        Relative change of all |Q|: lattice parameters change by -scale.
    scatter
        Rms distance of a component from the refined positions, beyond counting, 1/Å.
    n_peaks
        Number of peaks.
    determined
        False if all peaks lie on one line, so that the rotation about it is not known.
    """

    rotation: FloatArray
    rotation_errors: FloatArray
    angle: float
    angle_error: float
    scale: float
    scale_error: float
    scatter: float
    n_peaks: int
    determined: bool


def find_peaks(elastic: ElasticMap, background: ElasticBackground, separation: float) -> tuple[Peaks, IntArray]:
    """Find peaks of elastic intensity, whatever the UB matrix says.

    Parameters
    ----------
    elastic, background
        The map, and its level without peaks.
    separation
        Least distance between peaks, 1/Å.

    Returns
    -------
    The peaks, strongest first and not indexed yet, and the peak of each voxel (v,): -1 for none.
    """
    grid = elastic.grid
    labels = np.full(grid.size, -1, dtype=np.int64)
    candidates = np.flatnonzero(background.peak.ravel())
    rate = background.rate.ravel()[candidates]
    candidates = candidates[np.argsort(-rate, kind="stable")]
    place = grid.centres(candidates)
    free = np.ones(len(candidates), dtype=bool)
    starts: list[int] = []
    for k in range(len(candidates)):
        if free[k]:
            starts.append(k)
            free &= ((place - place[k]) ** 2).sum(axis=1) > separation**2
            if len(starts) >= _MOST_PEAKS:
                break
    radius = max(0.6 * separation, 1.5 * grid.width)
    rows = []
    for k in starts:
        row = _centroid(elastic, background, place[k], radius)
        if row is not None:
            rows.append(row)
    rows.sort(key=lambda row: -row[5])
    # A centroid may walk to a stronger neighbour; only the stronger of the two is a peak.
    chosen: list[FloatArray] = []
    for row in rows:
        if all(np.linalg.norm(row[:3] - other[:3]) > 0.75 * separation for other in chosen):
            chosen.append(row)
    if len(chosen) > 3:
        chosen = [row for row in chosen if row[5] > _WEAKEST * chosen[2][5]]
    table = np.array(chosen).reshape(-1, 6)
    n = len(table)
    for k in range(n - 1, -1, -1):
        ball = _ball(elastic, table[k, :3], radius)
        labels[ball] = k
    nothing = np.full((n, 3), np.nan)
    return (
        Peaks(table[:, :3], table[:, 3], table[:, 4], table[:, 5], nothing, nothing, nothing, np.zeros(n, bool)),
        labels,
    )


def index_peaks(peaks: Peaks, ub: ArrayLike, basis: IntArray) -> Peaks:
    """Compare peaks with the reflections of a UB matrix.

    Parameters
    ----------
    peaks
        Peaks.
    ub
        Shape (3, 3): 1/Å without the 2 pi.
    basis
        Shape (3, 3): (h, k, l) of the UB's cell = basis @ integers, for all reflections of the lattice
        (the unit matrix for a primitive cell).
    """
    matrix = 2 * np.pi * np.asarray(ub, dtype=float)
    primitive = matrix @ basis
    node, residual = nearest_reflections(peaks.position, primitive)
    return replace(
        peaks,
        hkl=peaks.position @ np.linalg.inv(matrix).T,
        nearest=node @ np.asarray(basis, dtype=float).T,
        residual=residual,
        indexed=(np.linalg.norm(residual, axis=1) < index_radius(primitive)) & (np.abs(node).max(axis=1) > 0),
    )


def nearest_reflections(position: FloatArray, primitive: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the integers of the nearest reflections (n, 3), and position minus reflection (n, 3), 1/Å.

    Parameters
    ----------
    position
        Shape (n, 3): Q_sample, 1/Å.
    primitive
        Shape (3, 3): reciprocal basis vectors in columns, 1/Å with the 2 pi.
    """
    node = np.rint(position @ np.linalg.inv(primitive).T)
    # Rounding misses the nearest node of a skewed basis by one step at most.
    steps = np.stack(np.meshgrid(*[(-1, 0, 1)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    distance = position[:, None, :] - (node[:, None, :] + steps) @ primitive.T
    best = (distance**2).sum(axis=2).argmin(axis=1) if len(node) else np.zeros(0, np.int64)
    return node + steps[best], distance[np.arange(len(node)), best]


def shortest_vector(primitive: FloatArray) -> float:
    """Return the length of the shortest reciprocal lattice vector, 1/Å; basis vectors in columns."""
    steps = np.stack(np.meshgrid(*[(-2, -1, 0, 1, 2)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    lengths = np.linalg.norm(steps @ primitive.T, axis=1)
    return float(lengths[lengths > 1e-9].min())


def index_radius(primitive: FloatArray) -> float:
    """Return the distance (1/Å) within which a peak counts as a reflection; basis vectors in columns."""
    return _INDEX_SHARE * shortest_vector(primitive)


def refine(position: FloatArray, residual: FloatArray, error: FloatArray) -> Misfit | None:
    """Fit a small rotation and a scale to the displacements of peaks by weighted least squares.

    Parameters
    ----------
    position, residual
        Shape (n, 3): centroids, and centroid minus predicted position, 1/Å.
    error
        Shape (n,): error of a component from counting, 1/Å. What scatters beyond it (mosaic, pixels, steps of
        the goniometer) is estimated from the peaks themselves and added.

    Returns
    -------
    None if there are fewer than three peaks.
    """
    predicted = position - residual
    use = np.ones(len(position), dtype=bool)
    floor = 0.0
    solution, covariance = np.zeros(4), np.eye(4)
    determined = True
    for _ in range(8):
        n = int(use.sum())
        if n < _FEWEST_PEAKS:
            return None
        g, r = predicted[use], residual[use]
        design = np.zeros((n, 3, 4))
        # omega x G
        design[:, 0, 1], design[:, 0, 2] = g[:, 2], -g[:, 1]
        design[:, 1, 0], design[:, 1, 2] = -g[:, 2], g[:, 0]
        design[:, 2, 0], design[:, 2, 1] = g[:, 1], -g[:, 0]
        design[:, :, 3] = g
        sigma = np.sqrt(error[use] ** 2 + floor**2)
        a = (design / sigma[:, None, None]).reshape(-1, 4)
        b = (r / sigma[:, None]).ravel()
        values, vectors = np.linalg.eigh(a.T @ a)
        determined = bool(values[0] > 1e-3 * values[-1])
        inverse = np.where(values > 1e-3 * values[-1], 1 / np.maximum(values, 1e-300), 0.0)
        covariance = (vectors * inverse) @ vectors.T
        solution = covariance @ (a.T @ b)
        left = (residual - _displacement(solution, predicted)) ** 2
        freedom = 3 * n - int((inverse > 0).sum())
        # The floor that makes chi2 = 1 for each degree of freedom, within what peaks are used.
        excess = float(left[use].sum()) / freedom - float((error[use] ** 2).mean())
        new_floor = np.sqrt(max(excess, 0.0))
        distance = np.sqrt(left.mean(axis=1))
        new_use = distance < 3.5 * np.sqrt(error**2 + new_floor**2)
        if abs(new_floor - floor) < 1e-5 and np.array_equal(new_use, use):
            break
        floor = float(new_floor)
        use = new_use if new_use.sum() >= _FEWEST_PEAKS else use
    rotation = np.degrees(solution[:3])
    errors = np.degrees(np.sqrt(np.diag(covariance)[:3]))
    angle = float(np.linalg.norm(rotation))
    along = rotation / angle if angle > 0 else np.array([1.0, 0.0, 0.0])
    return Misfit(
        rotation=rotation,
        rotation_errors=errors,
        angle=angle,
        angle_error=float(np.degrees(np.sqrt(along @ covariance[:3, :3] @ along))),
        scale=float(solution[3]),
        scale_error=float(np.sqrt(covariance[3, 3])),
        scatter=floor,
        n_peaks=int(use.sum()),
        determined=determined,
    )


def _displacement(solution: FloatArray, predicted: FloatArray) -> FloatArray:
    return np.asarray(np.cross(solution[:3], predicted) + solution[3] * predicted)


def refined_ub(ub: FloatArray, misfit: Misfit) -> FloatArray:
    """Return the UB matrix (3, 3) with the rotation and scale applied."""
    turn = Rotation.from_rotvec(misfit.rotation, degrees=True).as_matrix()
    return np.asarray((1 + misfit.scale) * turn @ np.asarray(ub))


class RunMoments:
    """Centroids of the peaks in single runs."""

    def __init__(self, n_peaks: int, n_runs: int) -> None:
        self.shape = (n_peaks, n_runs)
        self.weight = np.zeros(self.shape)
        self.variance = np.zeros(self.shape)
        self.moment = np.zeros((*self.shape, 3))

    def add(
        self, label: IntArray, run: IntArray, offset: FloatArray, signal: FloatArray, variance: FloatArray
    ) -> None:
        """Add events: peak (n,), run (n,), Q minus the peak's centroid (n, 3), weight and variance (n,)."""
        key = label * self.shape[1] + run
        size = self.weight.size
        self.weight += np.bincount(key, signal, minlength=size).reshape(self.shape)
        self.variance += np.bincount(key, variance, minlength=size).reshape(self.shape)
        for k in range(3):
            self.moment[..., k] += np.bincount(key, signal * offset[:, k], minlength=size).reshape(self.shape)


@dataclass(frozen=True, eq=False)
class RunTurns:
    """How far the goniometer angle of each run seems to be off, about the vertical.

    Attributes
    ----------
    angle, error
        Shape (r,): degrees, relative to the other runs; NaN where a run has too few peaks. The error is that
        of the scatter between peaks, for a run cuts through a mosaic and does not show all of a peak.
    n_peaks
        Shape (r,): peaks used.
    """

    angle: FloatArray
    error: FloatArray
    n_peaks: IntArray


def turns_of_runs(moments: RunMoments, peaks: Peaks, goniometer: FloatArray, incident: FloatArray) -> RunTurns:
    """Fit a rotation about the laboratory's vertical to the displacements of peaks in each run.

    At rest a crystal is seen on one sphere of elastic scattering. What moves a peak across the sphere changes its
    brightness there and not its place, so only displacements within the sphere count.

    Parameters
    ----------
    moments, peaks
        Centroids of the peaks in each run and in all.
    goniometer
        Shape (r, 3, 3): Q_lab = R Q_sample.
    incident
        Shape (r,): incident wavevector, 1/Å.
    """
    n_runs = moments.shape[1]
    angle, error = np.full(n_runs, np.nan), np.full(n_runs, np.nan)
    count = np.zeros(n_runs, dtype=np.int64)
    for k in range(n_runs):
        weight, variance = moments.weight[:, k], moments.variance[:, k]
        effective = np.where(variance > 0, weight**2 / np.maximum(variance, 1e-300), 0.0)
        # Against the other runs: a centroid of all runs would follow the one that is off.
        others = moments.weight.sum(axis=1) - weight
        good = peaks.indexed & (effective > 10) & (others > 0.3 * weight)
        count[k] = int(good.sum())
        if count[k] < _FEWEST_OF_RUN:
            continue
        rest = moments.moment[good].sum(axis=1) - moments.moment[good, k]
        shift = moments.moment[good, k] / weight[good][:, None] - rest / others[good][:, None]
        lab, there = shift @ goniometer[k].T, peaks.position[good] @ goniometer[k].T
        # A turn by t about y moves Q by t (Qz, 0, -Qx).
        lever = np.stack([there[:, 2], np.zeros(len(there)), -there[:, 0]], axis=1)
        normal = np.array([0.0, 0.0, incident[k]]) - there
        normal /= np.linalg.norm(normal, axis=1, keepdims=True)
        lever -= (lever * normal).sum(axis=1, keepdims=True) * normal
        square = (lever**2).sum(axis=1)
        turn = (lab * lever).sum(axis=1) / np.maximum(square, 1e-12)
        share = square / square.sum()
        angle[k] = np.degrees((share * turn).sum())
        scatter = (share * (turn - np.radians(angle[k])) ** 2).sum() * len(turn) / (len(turn) - 1)
        error[k] = np.degrees(np.sqrt(scatter * (share**2).sum()))
    return RunTurns(angle, error, count)


def judge_orientation(
    peaks: Peaks,
    misfit: Misfit | None,
    turns: RunTurns,
    largest_q: float,
    run_numbers: list[int],
    ub: FloatArray,
) -> Finding:
    """Say whether the UB matrix can be believed at the largest Q that is used."""
    name = "orientation"
    share = float(peaks.indexed.mean()) if len(peaks) else 0.0
    shown = min(len(peaks), 60)
    numbers: dict[str, object] = {
        "n_peaks": len(peaks),
        "share_indexed": share,
        "largest_q_per_angstrom": largest_q,
        "peaks": [
            {
                "q_sample_per_angstrom": peaks.position[k].round(5).tolist(),
                "hkl": peaks.hkl[k].round(4).tolist(),
                "indexed": bool(peaks.indexed[k]),
                "distance_per_angstrom": round(float(np.linalg.norm(peaks.residual[k])), 5),
                "intensity": float(peaks.intensity[k]),
            }
            for k in range(shown)
        ],
    }
    if len(peaks) < _FEWEST_PEAKS:
        return Finding(
            name,
            Status.LOOK,
            f"only {len(peaks)} Bragg peaks stand out of the elastic line, too few to judge the UB matrix: "
            "measure more orientations, or check it with white-beam or rocking data.",
            numbers,
        )
    strong = peaks.intensity[: max(_FEWEST_PEAKS, len(peaks) // 2)]
    share_strong = float(peaks.indexed[: len(strong)].mean())
    numbers["share_of_stronger_half_indexed"] = share_strong
    # Weak peaks may be of powder grains and higher orders: the strong ones decide.
    if misfit is None or share_strong < _BAD_INDEXED:
        lost = np.flatnonzero(~peaks.indexed)
        where = "; ".join(
            f"({', '.join(f'{x:.2f}' for x in peaks.hkl[k])}) at {np.linalg.norm(peaks.position[k]):.3f} 1/Å"
            for k in lost[:3]
        )
        return Finding(
            name,
            Status.BAD,
            f"the UB matrix explains {int(peaks.indexed.sum())} of {len(peaks)} Bragg peaks; the strongest others "
            f"lie at (h, k, l) = {where}: index the crystal again, or give the structure that was measured.",
            numbers,
        )
    # An angle is positive by construction: what noise would give is taken off before it is judged.
    angle = float(np.sqrt(max(misfit.angle**2 - float((misfit.rotation_errors**2).sum()), 0.0)))
    sure_angle = misfit.angle > 3.5 * misfit.angle_error
    sure_scale = abs(misfit.scale) > 3.5 * misfit.scale_error
    shift = largest_q * float(
        np.hypot(np.radians(angle) if sure_angle else 0.0, misfit.scale if sure_scale else 0.0)
    )
    unsure = largest_q * float(np.hypot(np.radians(misfit.angle_error), misfit.scale_error))
    cell = np.linalg.norm(np.linalg.inv(ub), axis=1)
    numbers |= {
        "n_peaks_refined": misfit.n_peaks,
        "misorientation_degrees": misfit.angle,
        "misorientation_error_degrees": misfit.angle_error,
        "rotation_vector_degrees": misfit.rotation.tolist(),
        "rotation_vector_errors_degrees": misfit.rotation_errors.tolist(),
        "rotation_determined": misfit.determined,
        "lattice_deviation_percent": -100 * misfit.scale,
        "lattice_deviation_error_percent": 100 * misfit.scale_error,
        "ub_cell_angstrom": cell.tolist(),
        "refined_cell_angstrom": (cell / (1 + misfit.scale)).tolist(),
        "scatter_per_angstrom": misfit.scatter,
        "displacement_at_largest_q_per_angstrom": shift,
        "displacement_error_per_angstrom": unsure,
        "refined_ub_per_angstrom": refined_ub(ub, misfit).tolist(),
        "run_numbers": run_numbers,
        "run_turns_degrees": [None if np.isnan(x) else float(x) for x in turns.angle],
        "run_turn_errors_degrees": [None if np.isnan(x) else float(x) for x in turns.error],
    }
    said = (
        f"{int(peaks.indexed.sum())} of {len(peaks)} Bragg peaks lie {misfit.angle:.2f} ± {misfit.angle_error:.2f}"
        f"° and {-100 * misfit.scale:+.2f} ± {100 * misfit.scale_error:.2f} % (lattice) from the UB matrix"
    )
    means = f"{shift:.3f} ± {unsure:.3f} 1/Å at {largest_q:.1f} 1/Å"
    if shift > _LOOK_SHIFT:
        status = Status.BAD if shift > _BAD_SHIFT else Status.LOOK
        return Finding(name, status, f"{said}, which is {means}: use the refined UB matrix in check.json.", numbers)
    if min(share, share_strong) < _LOOK_INDEXED:
        return Finding(
            name,
            Status.LOOK,
            f"{said}, but {int((~peaks.indexed).sum())} peaks are not indexed: look for a second grain, magnetic "
            "peaks or spurions.",
            numbers,
        )
    if not misfit.determined:
        return Finding(
            name,
            Status.LOOK,
            f"{said}, but the peaks lie on one line: a rotation about it cannot be seen; measure another.",
            numbers,
        )
    if unsure > _BAD_SHIFT:
        return Finding(
            name,
            Status.LOOK,
            f"{said}: no better than {unsure:.2f} 1/Å at {largest_q:.1f} 1/Å is known; measure more Bragg peaks.",
            numbers,
        )
    known = np.isfinite(turns.angle)
    off = np.zeros(len(turns.angle), dtype=bool)
    off[known] = (np.abs(turns.angle[known]) > 5 * turns.error[known]) & (
        np.radians(np.abs(turns.angle[known])) * largest_q > _LOOK_SHIFT
    )
    off &= turns.n_peaks >= 2 * _FEWEST_OF_RUN
    if off.any():
        worst = int(np.argmax(np.where(off, np.abs(turns.angle), 0)))
        return Finding(
            name,
            Status.LOOK,
            f"{said}, but {int(off.sum())} runs are turned against the others, most run {run_numbers[worst]} by "
            f"{turns.angle[worst]:+.2f}°: check its goniometer angle.",
            numbers,
        )
    return Finding(name, Status.OK, f"{said}, {means}: it holds.", numbers)


def _ball(elastic: ElasticMap, centre: FloatArray, radius: float) -> IntArray:
    """Voxels (flat) whose centres lie within ``radius`` (1/Å) of a point."""
    grid = elastic.grid
    low = np.maximum(np.floor((centre - radius - grid.origin) / grid.width).astype(int), 0)
    high = np.minimum(np.ceil((centre + radius - grid.origin) / grid.width).astype(int), grid.shape)
    axes = [np.arange(a, b) for a, b in zip(low, high, strict=True)]
    i, j, k = (one.ravel() for one in np.meshgrid(*axes, indexing="ij"))
    flat = (i * grid.shape[1] + j) * grid.shape[2] + k
    return np.asarray(flat[((grid.centres(flat) - centre) ** 2).sum(axis=1) <= radius**2], dtype=np.int64)


def _centroid(
    elastic: ElasticMap, background: ElasticBackground, start: FloatArray, radius: float
) -> FloatArray | None:
    """Walk to the centroid of the excess around a point: position, its error, rms radius, intensity."""
    centre = start
    for _ in range(12):
        ball = _ball(elastic, centre, radius)
        ball = ball[elastic.exposure[ball] > 0]
        signal, exposure = elastic.signal[ball], elastic.exposure[ball]
        if not len(ball) or signal.sum() <= 0:
            return None
        excess = signal - background.expected[ball]
        # Equal weight to equal rates, wherever pixels are dense or sparse; voxels that were hardly seen
        # would only bring noise.
        weight = 1 / (exposure + 0.3 * np.median(exposure))
        place = elastic.grid.centres(ball) + elastic.moment[ball] / np.where(signal > 0, signal, 1.0)[:, None]
        rate = excess * weight
        total = rate.sum()
        if total <= 0:
            return None
        new = (rate[:, None] * place).sum(axis=0) / total
        moved = np.linalg.norm(new - centre)
        if np.linalg.norm(new - start) > 2 * radius:
            return None
        centre = new
        if moved < 1e-4:
            break
    spread = ((place - centre) ** 2).sum(axis=1) / 3
    variance = elastic.variance[ball] + background.gain * background.expected[ball] / 10
    error = np.sqrt((weight**2 * variance * spread).sum()) / total
    size = np.sqrt(max((rate * spread).sum() / total, 0.0))
    # A handful of points in a peak cannot place it better than their distance allows.
    error = np.hypot(error, elastic.grid.width / np.sqrt(12 * max((signal > 0).sum(), 1)))
    # A peak at the rim of what was measured is cut, and its centroid is that of the rest.
    if np.linalg.norm(place.mean(axis=0) - centre) > _CUT_SHARE * radius:
        error = np.hypot(error, 0.5 * size)
    return np.array([*centre, error, size, excess.sum()])
