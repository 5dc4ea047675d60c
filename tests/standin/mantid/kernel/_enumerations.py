"""Enumerations of mantid.kernel."""

from __future__ import annotations

from mantid.kernel._boost import enumeration

_MODULE = "mantid.kernel"

Direction = enumeration("Direction", _MODULE, Input=0, Output=1, InOut=2, **{"None": 3})
PropertyCriterion = enumeration(
    "PropertyCriterion", _MODULE, IsDefault=0, IsNotDefault=1, IsEqualTo=2, IsNotEqualTo=3, IsMoreOrEqual=4
)
LogicOperator = enumeration("LogicOperator", _MODULE, Or=0, And=1, Xor=2)
CompositeRelation = enumeration("CompositeRelation", _MODULE, AND=0, OR=1)
DeltaEModeType = enumeration("DeltaEModeType", _MODULE, Elastic=0, Direct=1, Indirect=2)
