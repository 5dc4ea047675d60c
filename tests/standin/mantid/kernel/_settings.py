"""Settings that enable or show a property of a dialog depending on another one."""

from __future__ import annotations

from typing import Any

from mantid.kernel._boost import ArgumentError
from mantid.kernel._enumerations import LogicOperator, PropertyCriterion


class IPropertySettings:
    """The part that all settings share."""

    def isEnabled(self, alg: Any) -> bool:
        """Return whether the user can enter the property."""
        return True

    def isVisible(self, alg: Any) -> bool:
        """Return whether the user sees the property."""
        return True


class _When(IPropertySettings):
    """A condition on the value of another property, or two conditions and an operator."""

    def __init__(self, *arguments: Any) -> None:
        combined = len(arguments) == 3 and isinstance(arguments[0], _When) and isinstance(arguments[1], _When)
        plain = (
            len(arguments) in (2, 3)
            and isinstance(arguments[0], str)
            and isinstance(arguments[1], PropertyCriterion)
            and (len(arguments) == 2 or isinstance(arguments[2], str))
        )
        if not combined and not plain:
            raise ArgumentError(f"Python argument types in {type(self).__name__} did not match C++ signature")
        compares = plain and arguments[1] not in (PropertyCriterion.IsDefault, PropertyCriterion.IsNotDefault)
        if compares and len(arguments) == 2:
            raise ValueError(f"{type(self).__name__} needs a value to compare {arguments[0]} with")
        self._arguments = arguments

    def _fulfilled(self, alg: Any) -> bool:
        first, second, *rest = self._arguments
        if isinstance(first, _When):
            one, two = first._fulfilled(alg), second._fulfilled(alg)
            return {LogicOperator.And: one and two, LogicOperator.Or: one or two, LogicOperator.Xor: one != two}[
                rest[0]
            ]
        other = alg.getProperty(first)
        if second == PropertyCriterion.IsDefault:
            return bool(other.isDefault)
        if second == PropertyCriterion.IsNotDefault:
            return not other.isDefault
        if second == PropertyCriterion.IsEqualTo:
            return bool(other.valueAsStr == rest[0])
        if second == PropertyCriterion.IsNotEqualTo:
            return bool(other.valueAsStr != rest[0])
        return int(other.valueAsStr) >= int(rest[0])


class EnabledWhenProperty(_When):
    """Enabled when the condition holds."""

    def isEnabled(self, alg: Any) -> bool:
        return self._fulfilled(alg)


class VisibleWhenProperty(_When):
    """Visible when the condition holds."""

    def isVisible(self, alg: Any) -> bool:
        return self._fulfilled(alg)
