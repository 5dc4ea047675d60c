"""Instruments: the place of each detector, and parameters such as the mask."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import Any
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from mantid.kernel._vectors import V3D

FloatArray = NDArray[np.float64]
#: Namespace of instrument definitions.
IDF = "{http://www.mantidproject.org/IDF/1.0}"
_MASKED = re.compile(r"detID:(\d+);bool;masked;1")


@dataclass
class InstrumentData:
    """What an instrument is made of.

    ``positions`` (n, 3) in metres from the sample, beam along z, y up; ``parameters`` is the text of Mantid's
    parameter map: ``name;type;parameter;value|detID:7;bool;masked;1|``.
    """

    name: str = ""
    definition: str = ""
    parameters: str = ""
    source: float = 0.0
    detector_ids: NDArray[np.int32] = field(default_factory=lambda: np.empty(0, np.int32))
    positions: FloatArray = field(default_factory=lambda: np.empty((0, 3)))

    def parameter(self, name: str) -> str | None:
        """Return a parameter of the instrument as a whole."""
        for entry in self.parameters.split("|"):
            parts = entry.split(";")
            if len(parts) >= 4 and parts[0] == self.name and parts[2] == name:
                return parts[3]
        return None

    def set_parameter(self, component: str, kind: str, name: str, value: str) -> None:
        """Set a parameter of a component."""
        kept = [
            entry
            for entry in self.parameters.split("|")
            if entry and entry.split(";")[::2][:2] != [component, name]
        ]
        self.parameters = "".join(f"{entry}|" for entry in [*kept, f"{component};{kind};{name};{value}"])

    def masked(self) -> set[int]:
        """Return the numbers of masked detectors."""
        return {int(number) for number in _MASKED.findall(self.parameters)}

    def set_masked(self, detector: int, masked: bool) -> None:
        """Mask a detector, or take its mask away."""
        self.parameters = self.parameters.replace(f"detID:{detector};bool;masked;1|", "")
        if masked:
            self.parameters += f"detID:{detector};bool;masked;1|"


def source_position(definition: str) -> float:
    """Return where the source of a definition lies along the beam, in metres; 0 if the definition does not tell."""
    root = ElementTree.fromstring(definition)
    sources = [kind.get("name") for kind in root.iter(f"{IDF}type") if kind.get("is") == "Source"]
    for component in root.findall(f"{IDF}component"):
        location = component.find(f"{IDF}location")
        if component.get("type") in sources and location is not None:
            return float(location.get("z", "0"))
    return 0.0


class _Component:
    """A thing with a name and a place."""

    def __init__(self, name: str, position: Any) -> None:
        self._component_name = name
        self._position = [float(value) for value in position]

    def getName(self) -> str:
        """Return the name."""
        return self._component_name

    def getPos(self) -> V3D:
        """Return the place in metres."""
        return V3D(*self._position)

    def getDistance(self, other: Any) -> float:
        """Return the distance to another component in metres."""
        return self.getPos().distance(other.getPos())


class ObjComponent(_Component):
    """Source or sample position."""


class Detector(_Component):
    """A detector pixel."""

    def __init__(self, instrument: InstrumentData, index: int) -> None:
        super().__init__(f"detector{index}", instrument.positions[index])
        self._instrument, self._number = instrument, int(instrument.detector_ids[index])

    def getID(self) -> int:
        """Return its number."""
        return self._number

    def isMasked(self) -> bool:
        """Return whether it is masked."""
        return self._number in self._instrument.masked()

    def isMonitor(self) -> bool:
        """Return whether it is a monitor."""
        return False

    def getPhi(self) -> float:
        """Return the azimuth about the beam in radians."""
        return math.atan2(self._position[1], self._position[0])

    def getTwoTheta(self, observer: V3D, axis: V3D) -> float:
        """Return the scattering angle in radians."""
        return (self.getPos() - observer).angle(axis)


class Instrument(_Component):
    """The whole instrument."""

    def __init__(self, data: InstrumentData) -> None:
        super().__init__(data.name, (0, 0, 0))
        self._instrument = data

    def getSample(self) -> ObjComponent:
        """Return the sample position."""
        return ObjComponent("sample-position", (0, 0, 0))

    def getSource(self) -> ObjComponent:
        """Return the source."""
        return ObjComponent("moderator", (0, 0, self._instrument.source))

    def getDetector(self, detector_id: int) -> Detector:
        """Return a detector; RuntimeError if there is none of that number."""
        found = np.flatnonzero(self._instrument.detector_ids == detector_id)
        if len(found) == 0:
            raise RuntimeError(f"Instrument: detector with ID {detector_id} not found.")
        return Detector(self._instrument, int(found[0]))

    def hasParameter(self, name: str, recursive: bool = True) -> bool:
        """Return whether the instrument has a parameter."""
        return self._instrument.parameter(name) is not None

    def getStringParameter(self, pname: str, recursive: bool = True) -> list[str]:
        """Return a text parameter, as a list of one or none."""
        value = self._instrument.parameter(pname)
        return [] if value is None else [value]

    def getNumberParameter(self, pname: str, recursive: bool = True) -> list[float]:
        """Return a number parameter, as a list of one or none."""
        value = self._instrument.parameter(pname)
        return [] if value is None else [float(value)]


class DetectorInfo:
    """All detectors by index."""

    def __init__(self, data: InstrumentData) -> None:
        self._instrument = data

    def size(self) -> int:
        """Return the number of detectors."""
        return len(self._instrument.detector_ids)

    def __len__(self) -> int:
        return self.size()

    def detectorIDs(self) -> NDArray[np.int32]:
        """Return their numbers."""
        return self._instrument.detector_ids.copy()

    def position(self, index: int) -> V3D:
        """Return the place in metres."""
        return V3D(*self._instrument.positions[index].tolist())

    def twoTheta(self, index: int) -> float:
        """Return the scattering angle in radians."""
        return self.position(index).angle(V3D(0.0, 0.0, 1.0))

    def isMasked(self, index: int) -> bool:
        """Return whether a detector is masked."""
        return int(self._instrument.detector_ids[index]) in self._instrument.masked()

    def setMasked(self, index: int, masked: bool) -> None:
        """Mask a detector, or take its mask away."""
        self._instrument.set_masked(int(self._instrument.detector_ids[index]), masked)

    def isMonitor(self, index: int) -> bool:
        """Return whether a detector is a monitor."""
        return False


class ComponentInfo:
    """All components by index: here the detectors, then source and sample."""

    def __init__(self, data: InstrumentData) -> None:
        self._instrument = data

    def size(self) -> int:
        """Return the number of components."""
        return len(self._instrument.detector_ids) + 2

    def l1(self) -> float:
        """Return the distance from source to sample in metres."""
        return abs(self._instrument.source)

    def samplePosition(self) -> V3D:
        """Return the place of the sample."""
        return V3D()

    def sourcePosition(self) -> V3D:
        """Return the place of the source."""
        return V3D(0.0, 0.0, self._instrument.source)

    def isDetector(self, index: int) -> bool:
        """Return whether a component is a detector."""
        return index < len(self._instrument.detector_ids)
