"""Direct-geometry spectrometers: where their detectors stand, and their energy resolution."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from fcinv_core.crystal import FloatArray, IntArray
from fcinv_core.errors import InputError
from fcinv_core.events.experiment import Detectors
from fcinv_core.spectrum import Resolution

#: Width of the one-inch ³He tubes that all these instruments use, m.
_TUBE_WIDTH = 0.0254
#: Tubes in a pack.
_PACK = 8
#: Degree of the polynomial in energy transfer that carries the width of the resolution.
_RESOLUTION_DEGREE = 6
#: Between these fractions of Ei the polynomial follows the width.
_RESOLUTION_RANGE = (-1.0, 0.95)


@dataclass(frozen=True)
class TubeArc:
    """Vertical position-sensitive tubes, evenly spaced on an arc about the sample.

    Attributes
    ----------
    first, last
        Horizontal angles of the centres of the outermost tubes, degrees from the beam, positive towards +x.
    n_tubes
        Number of tubes.
    radius
        Horizontal distance from the sample to the tubes, m.
    height
        Height of the middle of the tubes above the sample, m.
    length
        Active length of a tube, m.
    n_pixels
        Pixels along a tube.
    """

    first: float
    last: float
    n_tubes: int
    radius: float
    height: float
    length: float
    n_pixels: int

    @classmethod
    def of_packs(
        cls, first: float, last: float, n_packs: int, *, radius: float, height: float, length: float
    ) -> TubeArc:
        """Make the arc of packs of eight tubes, 128 pixels each; angles are those of the centres of packs."""
        inner = abs(last - first) / (n_packs - 1) * (_PACK - 1) / (2 * _PACK)
        low, high = min(first, last) - inner, max(first, last) + inner
        return cls(low, high, _PACK * n_packs, radius, height, length, 128)


@dataclass(frozen=True)
class Instrument:
    """A direct-geometry time-of-flight spectrometer.

    Attributes
    ----------
    name
        As Mantid calls it.
    primary_path
        Distance from moderator to sample, m.
    arcs
        Detector tubes. Gaps between the packs of one arc, 5 mm or so, are evened out.
    widths
        Rows (Ei, c0, c1, c2): energy resolution FWHM = Ei sqrt(c0 + c1 t + c2 t²) with t = (1 - E/Ei)^(3/2),
        the form in which times at moderator and chopper propagate (Windsor, Pulsed Neutron Scattering, 1981).
    setting
        Choppers for which ``widths`` holds.
    source
        Where the numbers come from.
    bank_turns
        Whether the detector bank can be turned about the sample (HYSPEC).
    """

    name: str
    primary_path: float
    arcs: tuple[TubeArc, ...]
    widths: tuple[tuple[float, float, float, float], ...]
    setting: str
    source: str
    bank_turns: bool = False


_PYCHOP = (
    "resolution from resins 0.1.0, model PyChop (R. I. Bewley, R. A. Ewings, M. D. Le, T. G. Perring and "
    "D. J. Voneshen, PyChop, 2018)"
)


def _rows(
    arcs: tuple[tuple[float, float, int], ...], *, radius: float, height: float, length: float
) -> tuple[TubeArc, ...]:
    return tuple(TubeArc.of_packs(*arc, radius=radius, height=height, length=length) for arc in arcs)


_ARCS_OUTER = (
    (133.176, 109.032, 7),
    (103.558, 79.414, 7),
    (72.436, 48.292, 7),
    (42.818, 22.698, 6),
    (16.096, -8.048, 7),
    (-13.888, -25.960, 4),
)
_ARCS_MIDDLE = (
    (134.116, 108.844, 7),
    (103.746, 78.474, 7),
    (73.376, 48.104, 7),
    (43.006, 21.946, 6),
    (16.848, 4.212, 4),
    (-4.212, -8.424, 2),
    (-13.522, -26.158, 4),
)

#: The instruments by name.
INSTRUMENTS: Mapping[str, Instrument] = {
    instrument.name: instrument
    for instrument in (
        Instrument(
            name="ARCS",
            primary_path=13.6,
            arcs=(
                *_rows(_ARCS_OUTER, radius=3.1309, height=-1.1009, length=1.006),
                *_rows(_ARCS_MIDDLE, radius=2.9908, height=-0.05, length=1.006),
                *_rows(_ARCS_OUTER, radius=3.1309, height=0.9964, length=1.006),
            ),
            widths=(
                (20, 141.6e-6, 367.5e-6, 372.8e-6),
                (30, 190.9e-6, 495.1e-6, 514.4e-6),
                (40, 237.9e-6, 619.0e-6, 659.9e-6),
                (60, 316.8e-6, 782.8e-6, 790.3e-6),
                (100, 436.7e-6, 1007.3e-6, 926.6e-6),
                (150, 135.6e-6, 677.0e-6, 911.8e-6),
                (250, 166.3e-6, 888.9e-6, 1254.6e-6),
            ),
            setting="Fermi chopper ARCS-100-1.5-AST at 300 Hz",
            source="geometry: Mantid's ARCS_Definition (2012); D. L. Abernathy et al., Rev. Sci. Instrum. 83, "
            f"015114 (2012); {_PYCHOP}",
        ),
        Instrument(
            name="SEQUOIA",
            primary_path=20.0114,
            arcs=(
                *_rows(((5.201, -2.219, 4),), radius=5.372, height=-2.5507, length=1.2),
                *_rows(((59.033, -28.324, 37),), radius=5.372, height=-1.2976, length=1.2),
                *_rows(((58.261, 3.022, 24), (-4.503, -28.329, 11)), radius=5.508, height=-0.0389, length=1.2),
                *_rows(((58.323, -28.4, 37),), radius=5.371, height=1.2291, length=1.2),
            ),
            widths=(
                (12, 161.5e-6, 128.7e-6, 42.0e-6),
                (20, 207.6e-6, 178.9e-6, 79.4e-6),
                (30, 243.4e-6, 216.2e-6, 103.9e-6),
                (40, 266.5e-6, 244.9e-6, 128.5e-6),
                (60, 286.6e-6, 262.5e-6, 133.5e-6),
                (100, 281.7e-6, 249.8e-6, 110.2e-6),
                (160, 244.8e-6, 211.4e-6, 78.1e-6),
                (250, 228.5e-6, 193.8e-6, 61.2e-6),
            ),
            setting="Fermi chopper ARCS-100-1.5-AST at 300 Hz",
            source="geometry: Mantid's SEQUOIA_Definition (2019); G. E. Granroth et al., J. Phys. Conf. Ser. 251, "
            f"012058 (2010); {_PYCHOP}",
        ),
        Instrument(
            name="CNCS",
            primary_path=36.262,
            arcs=_rows(((-52.055, -5.39, 14), (5.38, 131.035, 36)), radius=3.49, height=-0.013, length=2.06),
            widths=(
                (1.5, 69.2e-6, 153.3e-6, 369.0e-6),
                (3.3, 97.2e-6, 269.1e-6, 784.9e-6),
                (6.6, 117.6e-6, 454.8e-6, 1540.5e-6),
                (12, 133.8e-6, 741.9e-6, 2773.4e-6),
                (25, 134.7e-6, 1389.5e-6, 5739.7e-6),
                (50, 176.6e-6, 2668.0e-6, 11441.2e-6),
                (80, 264.5e-6, 4238.1e-6, 18278.1e-6),
            ),
            setting="High Flux, double disk at 300 Hz, Fermi chopper at 60 Hz",
            source="geometry: Mantid's CNCS_Definition (2018); G. Ehlers et al., Rev. Sci. Instrum. 82, 085108 "
            f"(2011); {_PYCHOP}",
        ),
        Instrument(
            name="HYSPEC",
            primary_path=40.78,
            arcs=_rows(((-28.426, 28.426, 20),), radius=4.53, height=0.0, length=1.2),
            widths=(
                (3.8, 84.8e-6, 238.7e-6, 518.1e-6),
                (7.5, 96.2e-6, 346.4e-6, 963.1e-6),
                (15, 101.9e-6, 535.3e-6, 1852.0e-6),
                (25, 85.3e-6, 742.3e-6, 3024.5e-6),
                (35, 79.1e-6, 964.5e-6, 4204.2e-6),
                (60, 100.3e-6, 1582.6e-6, 7169.1e-6),
            ),
            setting="Fermi chopper at 180 Hz",
            source="geometry: Mantid's HYSPEC_Definition (2012), monochromator to sample 1.8 m; B. Winn et al., "
            f"EPJ Web Conf. 83, 03017 (2015); {_PYCHOP}",
            bank_turns=True,
        ),
        Instrument(
            name="MERLIN",
            primary_path=11.8,
            arcs=tuple(
                TubeArc(first, last, n_tubes, 2.5, 0.0, 2.9271, 1024)
                for first, last, n_tubes in (
                    (-45.010, -25.478, 32),
                    (-23.578, -4.047, 32),
                    (2.838, 17.330, 24),
                    (19.163, 38.700, 32),
                    (40.535, 60.072, 32),
                    (61.907, 81.444, 32),
                    (83.279, 102.817, 32),
                    (104.711, 119.207, 24),
                    (121.195, 135.691, 24),
                )
            ),
            widths=(
                (7, 127.1e-6, 257.8e-6, 296.4e-6),
                (12, 147.3e-6, 334.5e-6, 450.7e-6),
                (20, 177.7e-6, 457.1e-6, 689.8e-6),
                (30, 221.7e-6, 620.1e-6, 988.5e-6),
                (45, 237.2e-6, 786.6e-6, 1405.8e-6),
                (70, 264.7e-6, 1065.8e-6, 2103.3e-6),
                (120, 564.9e-6, 2006.7e-6, 3644.5e-6),
                (180, 646.3e-6, 2705.6e-6, 5337.7e-6),
            ),
            setting="Gd chopper (G) at 250 Hz",
            source="geometry: Mantid's MERLIN_Definition (2012, doors 5 and 6 by their even spacing); R. I. Bewley "
            f"et al., Physica B 385-386, 1029 (2006); {_PYCHOP}",
        ),
        Instrument(
            name="LET",
            primary_path=25.0,
            # Twelve doors of 32 tubes, 15 degrees apart.
            arcs=tuple(
                TubeArc(-38.947 + 15 * door, -26.053 + 15 * door, 32, 3.5, 0.0, 4.01, 1024) for door in range(12)
            ),
            widths=(
                (1.5, 53.5e-6, 81.4e-6, 104.8e-6),
                (2.2, 75.5e-6, 116.8e-6, 153.2e-6),
                (3.7, 76.0e-6, 152.8e-6, 248.1e-6),
                (6, 78.1e-6, 209.3e-6, 393.9e-6),
                (9, 74.0e-6, 276.7e-6, 583.2e-6),
                (14, 78.2e-6, 398.0e-6, 901.4e-6),
                (20, 88.9e-6, 548.0e-6, 1284.6e-6),
                (30, 106.0e-6, 797.0e-6, 1923.8e-6),
            ),
            setting="High Flux, resolution disk at 240 Hz, pulse removal disk at 120 Hz",
            source="geometry: Mantid's LET_Definition (2014); R. I. Bewley, J. W. Taylor and S. M. Bennington, "
            f"Nucl. Instrum. Methods A 637, 128 (2011); {_PYCHOP}",
        ),
    )
}


def find_instrument(name: str) -> Instrument:
    """Return the instrument of a name, upper or lower case.

    Raises
    ------
    InputError
        If it is not in the table.
    """
    instrument = INSTRUMENTS.get(name.strip().upper())
    if instrument is None:
        raise InputError(
            f"{name!r} is not a known instrument", "the table has " + ", ".join(INSTRUMENTS), "choose one"
        )
    return instrument


def detectors(instrument: Instrument, spacing: float = 0.0, bank_angle: float | None = None) -> Detectors:
    """Return the detector pixels of an instrument, or groups of neighbours.

    Parameters
    ----------
    instrument
        The instrument.
    spacing
        Wanted size of a group, degrees, in both directions; 0 keeps every pixel. Groups never join tubes of two
        arcs, and all have nearly the same size. A group stands at its middle, its solid angle is the sum.
    bank_angle
        Horizontal angle of the middle of a detector bank that turns (HYSPEC's s2), degrees.

    Raises
    ------
    InputError
        If the spacing is negative, or an angle is given for a bank that stands still, or not given for one that
        turns.
    """
    if spacing < 0:
        raise InputError(f"detectors cannot be {spacing} degrees apart", "it is negative", "give 0 or more")
    if (bank_angle is not None) != instrument.bank_turns:
        raise InputError(
            f"the angle of the detector bank of {instrument.name} is {bank_angle}",
            "its bank turns about the sample" if instrument.bank_turns else "its detectors stand still",
            "say where the middle of the bank is" if instrument.bank_turns else "leave the angle out",
        )
    parts = [_group(arc, spacing, bank_angle or 0.0) for arc in instrument.arcs]
    position = np.concatenate([part[0] for part in parts])
    solid_angle = np.concatenate([part[1] for part in parts])
    distance = np.linalg.norm(position, axis=1)
    return Detectors(
        ids=np.arange(1, len(position) + 1),
        two_theta=np.arctan2(np.hypot(position[:, 0], position[:, 1]), position[:, 2]),
        azimuth=np.arctan2(position[:, 1], position[:, 0]),
        distance=distance,
        masked=np.zeros(len(position), dtype=bool),
        solid_angle=solid_angle,
    )


def _group(arc: TubeArc, spacing: float, bank_angle: float) -> tuple[FloatArray, FloatArray]:
    """Positions (n, 3), m, and solid angles (n,) of the groups of one arc, tube by tube."""
    pitch = (arc.last - arc.first) / (arc.n_tubes - 1)
    pixel = arc.length / arc.n_pixels
    tubes = _even_groups(arc.n_tubes, spacing / pitch)
    pixels = _even_groups(arc.n_pixels, np.radians(spacing) * arc.radius / pixel)
    horizontal = np.radians(bank_angle + arc.first + pitch * _means(tubes))
    heights = arc.height - arc.length / 2 + pixel * (_means(pixels) + 0.5)
    x, y = np.meshgrid(horizontal, heights, indexing="ij")
    position = np.stack([arc.radius * np.sin(x), y, arc.radius * np.cos(x)], axis=-1).reshape(-1, 3)

    # A pixel of width w and height h faces the axis: its solid angle is w h cos(elevation) / distance².
    each = arc.height - arc.length / 2 + pixel * (np.arange(arc.n_pixels) + 0.5)
    solid = _TUBE_WIDTH * pixel * arc.radius / (arc.radius**2 + each**2) ** 1.5
    summed = np.add.reduceat(solid, pixels[:-1])
    return position, np.outer(np.diff(tubes), summed).ravel()


def _even_groups(count: int, wanted: float) -> IntArray:
    """Edges of nearly equal groups of about ``wanted`` members, at least one each."""
    n_groups = max(1, round(count / max(wanted, 1.0)))
    return np.rint(np.linspace(0, count, n_groups + 1)).astype(np.int64)


def _means(edges: IntArray) -> FloatArray:
    """Mean index of the members of each group."""
    return np.asarray((edges[:-1] + edges[1:] - 1) / 2)


def resolution(instrument: Instrument, ei: float, elastic_fwhm: float | None = None) -> Resolution:
    """Return the energy resolution at an incident energy, for energy transfers from -Ei to 0.95 Ei.

    Parameters
    ----------
    instrument
        The instrument; its ``setting`` says for which choppers.
    ei
        Incident energy, meV.
    elastic_fwhm
        Measured full width of the elastic line, meV; for other chopper settings it scales the whole curve.

    Raises
    ------
    InputError
        If the incident energy is outside of the table, or the width not positive.
    """
    table = np.array(instrument.widths)
    low, high = table[0, 0], table[-1, 0]
    if not low <= ei <= high:
        raise InputError(
            f"{instrument.name} has no resolution at Ei = {ei} meV",
            f"its table goes from {low:g} to {high:g} meV for the {instrument.setting}",
            "choose an energy in that range, or give the resolution yourself",
        )
    if elastic_fwhm is not None and not elastic_fwhm > 0:
        raise InputError(f"an elastic width of {elastic_fwhm} meV is not one", "it must be positive", "measure it")
    squares = [np.interp(np.log(ei), np.log(table[:, 0]), table[:, k]) for k in (1, 2, 3)]
    # Chebyshev points keep the polynomial from swinging at the ends.
    start, stop = _RESOLUTION_RANGE
    fraction = (start + stop) / 2 + (stop - start) / 2 * np.cos(np.pi * (np.arange(40) + 0.5) / 40)
    time_ratio = (1 - fraction) ** 1.5
    fwhm = ei * np.sqrt(squares[0] + squares[1] * time_ratio + squares[2] * time_ratio**2)
    scale = 1.0 if elastic_fwhm is None else elastic_fwhm / (ei * np.sqrt(sum(squares)))
    fitted = np.polynomial.Polynomial.fit(fraction * ei, scale * fwhm, _RESOLUTION_DEGREE).convert()
    return Resolution(tuple(float(c) for c in fitted.coef))
