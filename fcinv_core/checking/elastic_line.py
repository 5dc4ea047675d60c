"""The elastic line: its centre and width for all runs together, for each run, and against scattering angle."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import constants
from scipy.optimize import least_squares
from scipy.special import ndtr

from fcinv_core.checking.geometry import Geometry, PlacedEvents
from fcinv_core.crystal import FloatArray, IntArray
from fcinv_core.events import EventChunk, EventSource
from fcinv_core.verdict import Finding, Status

#: FWHM of a Gaussian over its standard deviation.
FWHM = float(np.sqrt(8 * np.log(2)))
#: The elastic line is looked for within this share of Ei, and its centre within the smaller one.
_RANGE, _SEARCH = 0.3, 0.1
#: Bins of true events, as a share of Ei: a quarter of the sharpest resolution (1 %).
_BIN_SHARE = 0.0025
_N_ANGLES = 24
#: Effective counts below which a line is not fitted.
_FEWEST = 30.0
#: Errors of the centre (in standard deviations) that count, and shares of the FWHM that do.
_SIGNIFICANT, _LOOK_SHARE, _BAD_SHARE = 4.0, 0.1, 0.5


@dataclass(frozen=True)
class Line:
    """A Gaussian line on a sloping background.

    Attributes
    ----------
    centre, centre_error
        meV; the error includes the misfit of a Gaussian.
    fwhm, fwhm_error
        meV.
    area
        Weighted counts in the line.
    """

    centre: float
    centre_error: float
    fwhm: float
    fwhm_error: float
    area: float


@dataclass(frozen=True, eq=False)
class ElasticLine:
    """What the elastic line tells.

    Attributes
    ----------
    edges
        Shape (b + 1,): energy bins, meV.
    spectrum, variance
        Shape (b,): all events, and the variance.
    whole
        The line of all events; None if there is none.
    of_runs
        The line of each run, None where counts do not allow.
    angles
        Shape (a,): mean scattering angles, degrees.
    of_angles
        The line at each angle.
    time_offset_us
        Change of T0 (or of the sample-detector time) that brings the line to zero, microseconds.
    """

    edges: FloatArray
    spectrum: FloatArray
    variance: FloatArray
    whole: Line | None
    of_runs: tuple[Line | None, ...]
    angles: FloatArray
    of_angles: tuple[Line | None, ...]
    time_offset_us: float

    @property
    def window(self) -> tuple[float, float]:
        """Energies that count as elastic, meV: one FWHM to either side of the centre."""
        assert self.whole is not None
        # Histogrammed events lie at centres of bins: a window narrower than a bin may hold none.
        half = max(self.whole.fwhm, 0.51 * float(self.edges[1] - self.edges[0]))
        return self.whole.centre - half, self.whole.centre + half

    @property
    def inelastic_from(self) -> float:
        """Lowest energy that is free of the elastic line, meV."""
        assert self.whole is not None
        return self.whole.centre + max(1.7 * self.whole.fwhm, 1.01 * float(self.edges[1] - self.edges[0]))


class ElasticHistograms:
    """Histograms in energy that events are added to: of every run, and of bins in scattering angle."""

    def __init__(self, source: EventSource, geometry: Geometry) -> None:
        self.geometry = geometry
        self.edges = _edges(source, geometry)
        n = len(self.edges) - 1
        self.runs = np.zeros((2, len(geometry.runs), n))
        limits = geometry.two_theta[geometry.weight > 0]
        self._angle_edges = np.linspace(limits.min() - 1e-9, limits.max() + 1e-9, _N_ANGLES + 1)
        self.angles = np.zeros((2, _N_ANGLES, n))
        self._angle_of = np.clip(
            np.searchsorted(self._angle_edges, geometry.two_theta, side="right") - 1, 0, _N_ANGLES - 1
        )

    def add(self, chunk: EventChunk, placed: PlacedEvents) -> None:
        """Add the events of a chunk."""
        energy = chunk.energy[placed.kept]
        inside = (energy >= self.edges[0]) & (energy < self.edges[-1])
        index = np.searchsorted(self.edges, energy[inside], side="right") - 1
        kept = placed.kept[inside]
        for rows, into in (
            (placed.run[inside], self.runs),
            (self._angle_of[placed.pixel[inside]], self.angles),
        ):
            _add(into[0], rows, index, chunk.signal[kept])
            _add(into[1], rows, index, chunk.error_squared[kept])

    def analyse(self) -> ElasticLine:
        """Fit the lines."""
        total, variance = self.runs.sum(axis=1)
        geometry = self.geometry
        energy = geometry.incident_energy
        search = _SEARCH * energy
        whole = fit_line(self.edges, total, variance, search)
        offset = 0.0
        if whole is not None:
            speed = np.sqrt(2 * energy * 1e-3 * constants.e / constants.m_n)
            length = float(np.average(geometry.distance, weights=geometry.weight))
            # A neutron that left the sample later than assumed seems slow, so E = Ei - Ef comes out too high.
            offset = length / speed * whole.centre / (2 * energy) * 1e6
        middles = (self._angle_edges[1:] + self._angle_edges[:-1]) / 2
        return ElasticLine(
            edges=self.edges,
            spectrum=total,
            variance=variance,
            whole=whole,
            of_runs=tuple(fit_line(self.edges, a, b, search, whole) for a, b in zip(*self.runs, strict=True)),
            angles=np.degrees(middles),
            of_angles=tuple(fit_line(self.edges, a, b, search, whole) for a, b in zip(*self.angles, strict=True)),
            time_offset_us=offset,
        )


def fit_line(
    edges: FloatArray,
    counts: FloatArray,
    variance: FloatArray,
    search: float,
    around: Line | None = None,
) -> Line | None:
    """Fit a Gaussian, integrated over each bin, on a sloping background.

    Parameters
    ----------
    edges
        Shape (b + 1,): meV.
    counts, variance
        Shape (b,): weighted counts, and their variance.
    search
        The highest bin is looked for at energies up to this far from zero, meV.
    around
        A line to start from.

    Returns
    -------
    The line, or None if there is none that stands out by five standard deviations.
    """
    middles = (edges[1:] + edges[:-1]) / 2
    width = np.diff(edges)
    total = counts.sum()
    gain = float(variance.sum() / total) if total > 0 else 1.0
    if around is None:
        near = np.flatnonzero(np.abs(middles) <= max(search, 1.01 * float(width[0])))
        if not len(near) or total <= 0:
            return None
        smooth = np.convolve(counts / width, np.ones(3) / 3, mode="same")
        top = near[smooth[near].argmax()]
        base = float(np.median(smooth))
        above = smooth - base > (smooth[top] - base) / 2
        left = top
        while left > 0 and above[left - 1]:
            left -= 1
        right = top
        while right < len(above) - 1 and above[right + 1]:
            right += 1
        centre, sigma = float(middles[left : right + 1].mean()), float(edges[right + 1] - edges[left]) / FWHM
    else:
        centre, sigma = around.centre, around.fwhm / FWHM
    use = np.abs(middles - centre) < max(6 * sigma, 4.1 * float(width[0]))
    x, y = middles[use], counts[use]
    low, high, w = edges[:-1][use], edges[1:][use], width[use]
    if len(x) < 6 or y.sum() ** 2 < _FEWEST * variance[use].sum():
        return None

    def model(p: FloatArray) -> FloatArray:
        line = ndtr((high - p[1]) / abs(p[2])) - ndtr((low - p[1]) / abs(p[2]))
        return np.asarray(p[0] * line + (p[3] + p[4] * (x - centre)) * w)

    ends = np.minimum(y[0] / w[0], y[-1] / w[-1])
    start = np.array([max(float((y - ends * w).sum()), 1.0), centre, sigma, ends, 0.0])
    scale = np.sqrt(variance[use] + gain)
    for _ in range(3):
        fit = least_squares(lambda p, s=scale: (model(p) - y) / s, start, x_scale=np.abs(start) + 0.1)
        start = fit.x
        # The variance of the model, not of the data: low bins would pull the fit down.
        scale = np.sqrt(gain * np.maximum(model(start), 0.5))
    freedom = max(len(x) - 5, 1)
    try:
        covariance = np.linalg.inv(fit.jac.T @ fit.jac) * max(1.0, 2 * fit.cost / freedom)
    except np.linalg.LinAlgError:
        return None
    error = np.sqrt(np.abs(np.diag(covariance)))
    area, centre, sigma = float(start[0]), float(start[1]), abs(float(start[2]))
    found = area > 5 * error[0] and abs(centre) < 2 * search and sigma < search and error[1] < sigma
    if not found or not np.isfinite(error).all():
        return None
    return Line(centre, float(error[1]), FWHM * sigma, FWHM * float(error[2]), area)


def judge_elastic_line(line: ElasticLine, geometry: Geometry) -> Finding:
    """Say whether Ei and T0 can be believed."""
    name = "elastic line"
    if line.whole is None:
        return Finding(
            name,
            Status.LOOK,
            "no elastic line stands out near zero energy transfer, so Ei, T0 and the orientation cannot be "
            "checked; keep energies from -20 % of Ei in the reduction.",
            {"found": False},
        )
    whole = line.whole
    runs = _spread(line.of_runs)
    angles = _spread(line.of_angles)
    numbers = {
        "found": True,
        "centre_mev": whole.centre,
        "centre_error_mev": whole.centre_error,
        "fwhm_mev": whole.fwhm,
        "fwhm_error_mev": whole.fwhm_error,
        "incident_energy_mev": geometry.incident_energy,
        "time_offset_us": line.time_offset_us,
        "run_numbers": [run.number for run in geometry.runs],
        "run_centres_mev": [None if one is None else one.centre for one in line.of_runs],
        "run_centre_errors_mev": [None if one is None else one.centre_error for one in line.of_runs],
        "run_fwhms_mev": [None if one is None else one.fwhm for one in line.of_runs],
        "spread_of_runs_mev": runs[0],
        "two_theta_degrees": line.angles.tolist(),
        "angle_centres_mev": [None if one is None else one.centre for one in line.of_angles],
        "angle_centre_errors_mev": [None if one is None else one.centre_error for one in line.of_angles],
        "spread_of_angles_mev": angles[0],
    }
    off = abs(whole.centre)
    sure = off > _SIGNIFICANT * whole.centre_error
    said = f"elastic line at {whole.centre:+.3f} ± {whole.centre_error:.3f} meV, FWHM {whole.fwhm:.2f} meV"
    if sure and off > _LOOK_SHARE * whole.fwhm:
        status = Status.BAD if off > _BAD_SHARE * whole.fwhm else Status.LOOK
        return Finding(
            name,
            status,
            f"{said}: subtract {whole.centre:+.2f} meV from the energies, or change T0 by "
            f"{line.time_offset_us:+.1f} µs (or Ei) and reduce again.",
            numbers,
        )
    for (spread, certain), what, do in (
        (runs, "from run to run", "look at the runs that differ (moderator, chopper phase)"),
        (angles, "with scattering angle", "check detector distances and T0"),
    ):
        if certain and spread > _LOOK_SHARE * whole.fwhm:
            return Finding(
                name, Status.LOOK, f"{said}, but it moves by {spread:.3f} meV (rms) {what}: {do}.", numbers
            )
    return Finding(name, Status.OK, f"{said}: Ei and T0 agree.", numbers)


def _spread(lines: tuple[Line | None, ...]) -> tuple[float, bool]:
    """Rms scatter of the centres beyond their errors (meV), and whether it is significant."""
    known = [one for one in lines if one is not None]
    if len(known) < 3:
        return 0.0, False
    centre = np.array([one.centre for one in known])
    weight = np.array([one.centre_error for one in known]) ** -2.0
    mean = np.average(centre, weights=weight)
    freedom = len(known) - 1
    excess = float((weight * (centre - mean) ** 2).sum()) - freedom
    return float(np.sqrt(max(excess, 0.0) / weight.sum())), excess > 4 * np.sqrt(2 * freedom)


def _edges(source: EventSource, geometry: Geometry) -> FloatArray:
    energy = geometry.incident_energy
    low = min(run.energy_limits[0] for run in geometry.runs)
    high = max(run.energy_limits[1] for run in geometry.runs)
    if source.energy_bin_width is None:
        bottom, top = max(low, -_RANGE * energy), min(high, _RANGE * energy)
        n = max(8, round((top - bottom) / (_BIN_SHARE * energy)))
        return np.linspace(bottom, top, n + 1)
    stored = geometry.runs[0].energy_edges
    width = source.energy_bin_width
    edges = low + width * np.arange(round((high - low) / width) + 1) if stored is None else np.asarray(stored)
    inside = (edges >= -_RANGE * energy - width) & (edges <= _RANGE * energy + width)
    # Rounding to single precision must not move an event at a centre of a bin: edges are half a bin away.
    return np.asarray(edges[inside] if inside.sum() > 8 else edges, dtype=float)


def _add(into: FloatArray, rows: IntArray, columns: IntArray, values: FloatArray) -> None:
    n = into.size
    into += np.bincount(rows * into.shape[1] + columns, values, minlength=n).reshape(into.shape)
