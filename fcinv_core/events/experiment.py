"""What is known of a measurement: runs (one goniometer setting each) and detectors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import constants

from fcinv_core.errors import InputError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

#: Neutron energy over squared wavevector, meV Å² (CODATA): E = 2.0721 k².
NEUTRON_ENERGY = constants.hbar**2 / (2 * constants.m_n) * 1e20 / constants.e * 1e3


@dataclass(frozen=True, eq=False)
class Run:
    """One goniometer setting of a direct-geometry measurement.

    Laboratory frame: z along the incident beam, y up, x = y × z. Momentum transfer Q = ki - kf and energy
    transfer E = Ei - Ef (Mantid's inelastic convention).

    Attributes
    ----------
    number
        Run number; the position of the run in its file where the file has none.
    incident_energy
        Ei, meV.
    goniometer
        Shape (3, 3): rotation R with Q_lab = R Q_sample.
    ub
        Shape (3, 3), 1/Å without the 2 pi, as in Mantid: Q_sample = 2 pi UB (h, k, l).
    proton_charge
        µA h; 1.0 where the file has none, which ``notes`` then say.
    energy_limits
        Lowest and highest energy transfer that was kept, meV.
    energy_edges
        Shape (k + 1,): boundaries of the energy bins of the reduction, meV; None where not stored.
    temperature
        Mean sample temperature, K, or None.
    title
        Title of the run, possibly empty.
    logs
        Mean values (float) or texts of the logs that people look at.
    notes
        What had to be assumed, one sentence each.
    """

    number: int
    incident_energy: float
    goniometer: FloatArray
    ub: FloatArray
    proton_charge: float
    energy_limits: tuple[float, float]
    energy_edges: FloatArray | None = None
    temperature: float | None = None
    title: str = ""
    logs: Mapping[str, float | str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Detectors:
    """Where the detector pixels stand.

    Attributes
    ----------
    ids
        Shape (m,) integers: detector ids, unique.
    two_theta, azimuth
        Shape (m,): scattering angle from the beam, and angle about it from x towards y, rad.
    distance
        Shape (m,): from the sample, m.
    masked
        Shape (m,) bool.
    solid_angle
        Shape (m,): from the shapes of the pixels, sr; None where the shapes are not known.
    widths
        Shape (m, 2): horizontal and vertical size as seen from the sample, rad; None where not known.
    """

    ids: IntArray
    two_theta: FloatArray
    azimuth: FloatArray
    distance: FloatArray
    masked: BoolArray
    solid_angle: FloatArray | None = None
    widths: FloatArray | None = None

    def __len__(self) -> int:
        """Number of pixels."""
        return len(self.ids)

    @property
    def directions(self) -> FloatArray:
        """Unit vectors from the sample, laboratory frame, shape (m, 3)."""
        across = np.sin(self.two_theta)
        return np.stack(
            [across * np.cos(self.azimuth), across * np.sin(self.azimuth), np.cos(self.two_theta)], axis=1
        )

    @cached_property
    def _order(self) -> IntArray:
        return np.argsort(self.ids, kind="stable")

    def rows(self, ids: ArrayLike) -> IntArray:
        """Return the position of each detector id, shape of ``ids``; -1 for ids that are not there."""
        wanted = np.asarray(ids, dtype=np.int64)
        place = np.searchsorted(self.ids, wanted, sorter=self._order)
        if not len(self.ids):
            return np.full(wanted.shape, -1)
        rows = self._order[np.minimum(place, len(self.ids) - 1)]
        return np.where(self.ids[rows] == wanted, rows, -1)


#: For input that does not know its detectors.
NO_DETECTORS = Detectors(
    np.empty(0, np.int64), np.empty(0), np.empty(0), np.empty(0), np.empty(0, np.bool_), np.empty(0)
)


def stated_run(
    ub: ArrayLike,
    incident_energy: float,
    energy_limits: tuple[float, float],
    *,
    goniometer: ArrayLike | None = None,
) -> Run:
    """Return the run of input without experiment info, made of what the caller states.

    Parameters
    ----------
    ub
        Shape (3, 3): 1/Å without the 2 pi.
    incident_energy, energy_limits
        meV.
    goniometer
        Shape (3, 3), Q_lab = R Q_sample; none by default.
    """
    return Run(
        number=0,
        incident_energy=incident_energy,
        goniometer=np.eye(3) if goniometer is None else np.asarray(goniometer, dtype=float),
        ub=np.asarray(ub, dtype=float),
        proton_charge=1.0,
        energy_limits=(energy_limits[0], min(energy_limits[1], incident_energy)),
        notes=("no experiment info in the file: UB and incident energy as given, proton charge 1",),
    )


def momentum_transfer(
    incident_energy: float, two_theta: ArrayLike, azimuth: ArrayLike, energy: ArrayLike
) -> FloatArray:
    """Return Q_lab = ki - kf, shape (n, 3), 1/Å.

    Parameters
    ----------
    incident_energy
        meV.
    two_theta, azimuth
        Shape (n,): rad.
    energy
        Shape (n,): energy transfer, meV, below the incident energy.
    """
    angle, about = np.asarray(two_theta, dtype=float), np.asarray(azimuth, dtype=float)
    final = np.sqrt((incident_energy - np.asarray(energy, dtype=float)) / NEUTRON_ENERGY)
    return np.stack(
        [
            -final * np.sin(angle) * np.cos(about),
            -final * np.sin(angle) * np.sin(about),
            np.sqrt(incident_energy / NEUTRON_ENERGY) - final * np.cos(angle),
        ],
        axis=-1,
    )


def momentum_length(two_theta: ArrayLike, incident_energy: float, energy: ArrayLike) -> FloatArray:
    """Return |Q|, 1/Å, at scattering angles (rad) and energy transfers (meV): the cosine rule."""
    ki = np.sqrt(incident_energy / NEUTRON_ENERGY)
    kf = np.sqrt((incident_energy - np.asarray(energy, dtype=float)) / NEUTRON_ENERGY)
    return np.asarray(np.sqrt(np.maximum(ki**2 + kf**2 - 2 * ki * kf * np.cos(two_theta), 0.0)))


def axis_rotation(axis: ArrayLike, degrees: float) -> FloatArray:
    """Return the matrix (3, 3) of a right-handed rotation about ``axis`` (3,)."""
    x, y, z = np.asarray(axis, dtype=float) / np.linalg.norm(axis)
    cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    angle = np.radians(degrees)
    return np.asarray(np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross)


def ub_from_vectors(lattice: ArrayLike, u: ArrayLike, v: ArrayLike) -> FloatArray:
    """Return the UB matrix (3, 3), 1/Å without the 2 pi, of a crystal aligned by two of its vectors.

    As Mantid's SetUB and Horace do: at goniometer zero u lies along the beam and v in the horizontal plane,
    on the side of +x.

    Parameters
    ----------
    lattice
        a, b, c in Å and alpha, beta, gamma in degrees.
    u, v
        Shape (3,): reciprocal lattice vectors (h, k, l).

    Raises
    ------
    InputError
        If the lattice spans no volume, or u and v are parallel.
    """
    cell = np.asarray(lattice, dtype=float)
    along, plane = np.asarray(u, dtype=float), np.asarray(v, dtype=float)
    if cell.shape != (6,) or along.shape != (3,) or plane.shape != (3,):
        raise InputError(
            f"lattice {cell}, u {along} and v {plane} do not give an orientation",
            "six lattice parameters and three components each of u and v were expected",
            "give a b c (Å) alpha beta gamma (degrees), and u and v as h k l",
        )
    metric = np.outer(cell[:3], cell[:3])
    cosines = np.cos(np.radians(cell[3:]))
    for (i, j), cosine in zip(((1, 2), (0, 2), (0, 1)), cosines, strict=True):
        metric[i, j] *= cosine
        metric[j, i] *= cosine
    if np.any(cell <= 0) or np.linalg.det(metric) <= 1e-9:
        raise InputError(
            f"{' '.join(f'{x:g}' for x in cell)} are not lattice parameters",
            "they span no volume",
            "give a b c in Å and alpha beta gamma in degrees",
        )
    # Busing and Levy: a* along x, b* in the xy plane, so B is upper triangular and B^T B the reciprocal metric.
    b = np.linalg.cholesky(np.linalg.inv(metric)).T
    first, second = b @ along, b @ plane
    third = np.cross(first, second)
    if np.linalg.norm(third) < 1e-6 * np.linalg.norm(first) * np.linalg.norm(second) or not third.any():
        raise InputError(
            f"u {along} and v {plane} are parallel", "they span no scattering plane", "choose another v"
        )
    frame = np.array([first, np.cross(third, first), third])
    frame /= np.linalg.norm(frame, axis=1)[:, None]
    # u -> z (beam), v -> x, their normal -> y (up).
    return np.asarray(np.array([frame[1], frame[2], frame[0]]) @ b)
