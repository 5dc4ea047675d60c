"""Enumerations of mantid.api."""

from __future__ import annotations

from mantid.kernel._boost import enumeration

_MODULE = "mantid.api"

FileAction = enumeration(
    "FileAction", _MODULE, Save=0, OptionalSave=1, Load=2, OptionalLoad=3, Directory=4, OptionalDirectory=5
)
PropertyMode = enumeration("PropertyMode", _MODULE, Mandatory=0, Optional=1)
LockMode = enumeration("LockMode", _MODULE, NoLock=0, Lock=1)
SpecialCoordinateSystem = enumeration("SpecialCoordinateSystem", _MODULE, QLab=1, QSample=2, HKL=3, **{"None": 0})
MDNormalization = enumeration(
    "MDNormalization", _MODULE, NoNormalization=0, VolumeNormalization=1, NumEventsNormalization=2
)
