"""Axes of Mantid's MD files: which are Q and which is energy, their frame, and the way from them to Q_sample."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree import ElementTree

import numpy as np

from fcinv_core.errors import InputError
from fcinv_core.events.experiment import FloatArray, IntArray

#: Mantid's SpecialCoordinateSystem, stored as ``coordinate_system``.
COORDINATE_SYSTEMS = {1: "QLab", 2: "QSample", 3: "HKL"}
FRAMES = ("QSample", "QLab", "HKL")
_LETTERS = {"h": 0, "k": 1, "l": 2, "ξ": 0, "η": 1, "ζ": 2}


def decoded(value: object) -> str:
    """Return a text of an HDF5 file, which comes as bytes or str, as str."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


@dataclass(frozen=True)
class Axis:
    """One dimension of an MD file: its id, name and frame as stored."""

    id: str
    name: str
    frame: str

    @classmethod
    def from_xml(cls, text: str) -> Axis:
        """Read the XML that SaveMD stores for a dimension of an event file."""
        root = ElementTree.fromstring(text)
        frame = root.find(".//Frame")
        return cls(
            id=root.get("ID", ""),
            name=(root.findtext("Name") or "").strip(),
            frame=(frame.text or "").strip() if frame is not None else "",
        )

    @property
    def is_energy(self) -> bool:
        """Whether this is the axis of energy transfer."""
        return any(text.replace(" ", "").lower() == "deltae" for text in (self.frame, self.id, self.name))


@dataclass(frozen=True, eq=False)
class Axes:
    """Axes of a four-dimensional MD file.

    Attributes
    ----------
    q
        Shape (3,): columns of Q, in order.
    energy
        Column of the energy transfer.
    frame
        "QSample", "QLab" or "HKL".
    projection
        Shape (3, 3): Q in that frame = projection @ coordinates, in 1/Å or as (h, k, l); None if the names of
        the axes do not tell.
    sign
        -1 where Q was saved as kf - ki (Mantid's crystallographic convention), else 1.
    """

    q: IntArray
    energy: int
    frame: str
    projection: FloatArray | None
    sign: float

    def to_q_sample(
        self, goniometer: FloatArray | None, ub: FloatArray | None, projection: FloatArray | None, name: str
    ) -> FloatArray:
        """Return the matrix M (3, 3) with Q_sample = M @ coordinates, 1/Å.

        Parameters
        ----------
        goniometer
            Rotation R with Q_lab = R Q_sample; needed for files in Q_lab.
        ub
            1/Å without the 2 pi; needed for files in HKL.
        projection
            Stored projection that takes precedence over names (Mantid's W matrix for HKL), or None.
        name
            How error messages call the file.

        Raises
        ------
        InputError
            If what the frame needs is not given.
        """
        basis = projection if projection is not None else self.projection
        if basis is None:
            raise InputError(
                f"the axes of {name} are not known in {self.frame}",
                "their names are not of the form [H,H,0] or Q_sample_x",
                "name the axes by their directions, or save events in Q_sample",
            )
        if self.frame == "QSample":
            return self.sign * basis
        if self.frame == "QLab":
            if goniometer is None:
                raise InputError(
                    f"{name} holds Q in the laboratory frame and no goniometer",
                    "its events cannot be turned into the frame of the sample",
                    "save it with its experiment info, or give the goniometer",
                )
            return np.asarray(self.sign * np.asarray(goniometer).T @ basis)
        if ub is None:
            raise InputError(
                f"{name} holds (h, k, l) and no UB matrix",
                "its events cannot be turned into 1/Å",
                "give --ub",
            )
        return np.asarray(self.sign * 2 * np.pi * ub @ basis)


def find_axes(axes: Sequence[Axis], coordinate_system: int | None, convention: str, name: str) -> Axes:
    """Tell Q from energy and find the frame.

    Parameters
    ----------
    axes
        All dimensions of the file, in order of its columns.
    coordinate_system
        Mantid's number for it (1 Q_lab, 2 Q_sample, 3 HKL), if stored.
    convention
        "Inelastic" or "Crystallography".
    name
        How error messages call the file.

    Raises
    ------
    InputError
        If there are not three axes of Q and one of energy in a known frame.
    """
    if len(axes) != 4:
        raise InputError(
            f"{name} has {len(axes)} dimensions ({', '.join(axis.name for axis in axes)})",
            "three of Q and one of energy transfer are needed",
            "convert the reduced runs with ConvertToMD, QDimensions=Q3D and dEAnalysisMode=Direct",
        )
    energy = [k for k, axis in enumerate(axes) if axis.is_energy]
    if len(energy) != 1:
        raise InputError(
            f"{name} has {len(energy)} axes of energy transfer ({', '.join(axis.name for axis in axes)})",
            "one named DeltaE is needed",
            "convert the reduced runs with ConvertToMD, QDimensions=Q3D and dEAnalysisMode=Direct",
        )
    q = [k for k in range(4) if k != energy[0]]
    rows = [_direction(axes[k].name) for k in q]
    directions = None if any(row is None for row in rows) else np.array(rows).T
    frame = _frame([axes[k] for k in q], coordinate_system, directions is not None)
    if directions is None and frame != "HKL":
        components = [re.search(r"[xyz]$", axes[k].name.lower()) for k in q]
        if all(components):
            directions = np.eye(3)[:, ["xyz".index(one.group()) for one in components if one]]
    if frame is None:
        raise InputError(
            f"the frame of {name} is not known",
            f"axes {', '.join(axes[k].name or axes[k].id for k in q)} are in the frame "
            f"{axes[q[0]].frame or 'unnamed'}, not in {', '.join(FRAMES)}",
            "save it in one of those (ConvertToMD, Q3DFrames=Q_sample)",
        )
    if directions is not None and abs(np.linalg.det(directions)) < 1e-6:
        raise InputError(
            f"the axes of {name} lie in one plane",
            ", ".join(axes[k].name for k in q),
            "choose three independent directions",
        )
    return Axes(
        q=np.array(q),
        energy=energy[0],
        frame=frame,
        projection=directions,
        sign=-1.0 if convention.lower().startswith("cryst") else 1.0,
    )


def _frame(axes: Sequence[Axis], coordinate_system: int | None, named_hkl: bool) -> str | None:
    stored = {axis.frame for axis in axes}
    if len(stored) == 1 and stored <= set(FRAMES):
        return stored.pop()
    names = {re.sub(r"[^a-z]", "", axis.name.lower())[:-1] for axis in axes}
    if names in ({"qsample"}, {"qlab"}):
        return "QSample" if names == {"qsample"} else "QLab"
    # BinMD on (h, k, l) and other tools leave the frame unnamed, but name the directions.
    if named_hkl:
        return "HKL"
    return COORDINATE_SYSTEMS.get(coordinate_system or 0)


def _direction(name: str) -> tuple[float, float, float] | None:
    """Direction in (h, k, l) that a name like "[H,-0.5H,0]" stands for, or None."""
    inside = re.fullmatch(r"\s*[\[(](.*)[\])]\s*", name)
    parts = inside.group(1).split(",") if inside else []
    if len(parts) != 3:
        return None
    values, letters = [], set()
    for part in parts:
        term = re.fullmatch(r"([+-]?\d*\.?\d*(?:e[+-]?\d+)?)\*?([hklξηζ]?)", part.strip().lower())
        if term is None:
            return None
        number, letter = term.groups()
        if letter:
            letters.add(letter)
            values.append(float(number + "1") if number in ("", "+", "-") else float(number))
        elif number and float(number) == 0:
            values.append(0.0)
        else:
            return None
    return (values[0], values[1], values[2]) if len(letters) == 1 and any(values) else None
