"""Validators: what a value of a property must fulfil, and the sentence that says so."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from mantid.kernel._boost import ArgumentError
from mantid.kernel._enumerations import CompositeRelation

_MISSING = "A value must be entered for this parameter"


class IValidator:
    """The part that all validators share."""

    def _problem(self, value: Any) -> str:
        """Return what is wrong with a value, empty if nothing is."""
        raise NotImplementedError

    def _allowed(self) -> list[str]:
        """Return the list that the value must come from, empty if there is none."""
        return []


class NullValidator(IValidator):
    """Accepts everything."""

    def _problem(self, value: Any) -> str:
        return ""


class _Bounded(IValidator):
    """Two bounds; each of them may be missing, and may be excluded."""

    _lower: Any = None
    _upper: Any = None
    _lower_exclusive = _upper_exclusive = False

    def hasLower(self) -> bool:
        """Return whether there is a lower bound."""
        return self._lower is not None

    def hasUpper(self) -> bool:
        """Return whether there is an upper bound."""
        return self._upper is not None

    def lower(self) -> Any:
        """Return the lower bound."""
        return self._lower

    def upper(self) -> Any:
        """Return the upper bound."""
        return self._upper

    def setLower(self, lower: Any) -> None:
        """Set the lower bound."""
        self._lower = lower

    def setUpper(self, upper: Any) -> None:
        """Set the upper bound."""
        self._upper = upper

    def _outside(self, value: Any) -> str:
        lower, upper = self._lower, self._upper
        if lower is not None and (value < lower or (self._lower_exclusive and value == lower)):
            sign = "<=" if self._lower_exclusive else "<"
            return f"Selected value {value:g} is {sign} the lower bound ({lower:g})"
        if upper is not None and (value > upper or (self._upper_exclusive and value == upper)):
            sign = ">=" if self._upper_exclusive else ">"
            return f"Selected value {value:g} is {sign} the upper bound ({upper:g})"
        return ""


class _NumberBounded(_Bounded):
    """A number between bounds."""

    def __init__(self, lower: Any = None, upper: Any = None, exclusive: bool = False) -> None:
        self._lower, self._upper = lower, upper
        self._lower_exclusive = self._upper_exclusive = exclusive

    def setBounds(self, lower: Any, upper: Any) -> None:
        """Set both bounds."""
        self._lower, self._upper = lower, upper

    def isLowerExclusive(self) -> bool:
        """Return whether the lower bound itself is refused."""
        return self._lower_exclusive

    def isUpperExclusive(self) -> bool:
        """Return whether the upper bound itself is refused."""
        return self._upper_exclusive

    def setExclusive(self, exclusive: bool) -> None:
        """Refuse or accept the bounds themselves."""
        self._lower_exclusive = self._upper_exclusive = exclusive

    def setLowerExclusive(self, exclusive: bool) -> None:
        """Refuse or accept the lower bound itself."""
        self._lower_exclusive = exclusive

    def setUpperExclusive(self, exclusive: bool) -> None:
        """Refuse or accept the upper bound itself."""
        self._upper_exclusive = exclusive

    def _problem(self, value: Any) -> str:
        return self._outside(value)


class FloatBoundedValidator(_NumberBounded):
    """Bounds of a number."""


class IntBoundedValidator(_NumberBounded):
    """Bounds of an integer."""

    def __init__(self, lower: Any = None, upper: Any = None, exclusive: bool = False) -> None:
        for bound in (lower, upper):
            if bound is not None and not isinstance(bound, int):
                raise TypeError("No registered converter was able to produce a C++ rvalue of type int")
        super().__init__(lower, upper, exclusive)


class StringListValidator(IValidator):
    """A string from a list."""

    def __init__(self, allowedValues: list[str] | None = None) -> None:
        if not isinstance(allowedValues, list | None):
            raise ArgumentError("Python argument types in StringListValidator.__init__ did not match C++ signature")
        self._values = [str(value) for value in allowedValues or []]

    def addAllowedValue(self, value: str) -> None:
        """Add a string to the list."""
        self._values.append(value)

    def _problem(self, value: Any) -> str:
        if value in self._values:
            return ""
        return "Select a value" if value == "" else f'The value "{value}" is not in the list of allowed values'

    def _allowed(self) -> list[str]:
        return list(self._values)


class StringContainsValidator(IValidator):
    """A string that contains all of some others."""

    def __init__(self, values: list[str] | None = None) -> None:
        self._values = list(values or [])

    def setRequiredStrings(self, Strings: list[str]) -> None:
        """Replace what must be contained."""
        self._values = list(Strings)

    def _problem(self, value: Any) -> str:
        missing = [part for part in self._values if part not in value]
        return "" if not missing else f"String must contain {', '.join(missing)}"


class _Mandatory(IValidator):
    """Something must be entered."""

    def _problem(self, value: Any) -> str:
        return _MISSING if len(value) == 0 else ""


class StringMandatoryValidator(_Mandatory):
    """A string that is not empty."""


class FloatArrayMandatoryValidator(_Mandatory):
    """A list of numbers that is not empty."""


class IntArrayMandatoryValidator(_Mandatory):
    """A list of integers that is not empty."""


class StringArrayMandatoryValidator(_Mandatory):
    """A list of strings that is not empty."""


class FloatMandatoryValidator(IValidator):
    """A number that was entered."""

    def _problem(self, value: Any) -> str:
        return _MISSING if value > 8.9e307 else ""


class _ArrayLength(IValidator):
    """A list of one length, or of a range of lengths."""

    def __init__(self, *length: int) -> None:
        if len(length) > 2:
            raise ArgumentError(f"Python argument types in {type(self).__name__} did not match C++ signature")
        self._minimum, self._maximum = (length[0], length[-1]) if length else (0, 2**31 - 1)

    def getMinLength(self) -> int:
        """Return the least length."""
        return self._minimum

    def getMaxLength(self) -> int:
        """Return the greatest length."""
        return self._maximum

    def setLength(self, length: int) -> None:
        """Allow one length only."""
        self._minimum = self._maximum = length

    def _problem(self, value: Any) -> str:
        n = len(value)
        if n < self._minimum:
            return f"Array size {n} is smaller than the minimum {self._minimum}"
        if n > self._maximum:
            return f"Array size {n} is greater than the maximum {self._maximum}"
        return ""


class FloatArrayLengthValidator(_ArrayLength):
    """Length of a list of numbers."""


class IntArrayLengthValidator(_ArrayLength):
    """Length of a list of integers."""


class StringArrayLengthValidator(_ArrayLength):
    """Length of a list of strings."""


class _ArrayBounded(_Bounded):
    """Bounds of every number of a list."""

    def __init__(self, *bounds: Any) -> None:
        if len(bounds) not in (0, 2):
            raise ArgumentError(f"Python argument types in {type(self).__name__} did not match C++ signature")
        self._lower, self._upper = bounds or (None, None)

    def clearLower(self) -> None:
        """Remove the lower bound."""
        self._lower = None

    def clearUpper(self) -> None:
        """Remove the upper bound."""
        self._upper = None

    def _problem(self, value: Any) -> str:
        return next((problem for item in value if (problem := self._outside(item))), "")


class FloatArrayBoundedValidator(_ArrayBounded):
    """Bounds of every number of a list."""


class IntArrayBoundedValidator(_ArrayBounded):
    """Bounds of every integer of a list."""


class FloatArrayOrderedPairsValidator(IValidator):
    """Pairs of numbers, the first of each not above the second."""

    def _problem(self, value: Any) -> str:
        if len(value) % 2:
            return "Number of values should be even, in pairs of lower and upper"
        pairs = np.reshape(value, (-1, 2))
        return "" if np.all(pairs[:, 0] <= pairs[:, 1]) else "Pairs must be in increasing order"


class RebinParamsValidator(IValidator):
    """Bin edges and widths by turns: x1, dx1, x2, dx2, x3."""

    def __init__(self, AllowEmpty: bool = False, AllowRange: bool = False) -> None:
        self._allow_empty = AllowEmpty

    def _problem(self, value: Any) -> str:
        if len(value) == 0:
            return "" if self._allow_empty else "Enter values for this property"
        if len(value) == 1:
            return "" if value[0] != 0 else "The bin width must be non-zero"
        if len(value) % 2 == 0:
            return "The number of bin boundaries must be even"
        if any(width == 0 for width in value[1::2]):
            return "Cannot have a zero bin width"
        edges = value[::2]
        rising = all(a < b for a, b in itertools.pairwise(edges))
        return "" if rising else "Bin boundary values must be given in order of increasing value"


class CompositeValidator(IValidator):
    """Several validators together."""

    def __init__(self, validators: list[IValidator] | None = None, relation: int = CompositeRelation.AND) -> None:
        self._parts = list(validators or [])
        self._all = relation == CompositeRelation.AND

    def add(self, other: IValidator) -> None:
        """Add a validator."""
        self._parts.append(other)

    def _problem(self, value: Any) -> str:
        problems = [part._problem(value) for part in self._parts]
        if self._all:
            return next((problem for problem in problems if problem), "")
        return "" if not problems or "" in problems else problems[0]

    def _allowed(self) -> list[str]:
        return next((allowed for part in self._parts if (allowed := part._allowed())), [])
