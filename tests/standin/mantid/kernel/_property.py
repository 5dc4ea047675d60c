"""Properties: named, typed, validated values, those of algorithms and those of sample logs."""

from __future__ import annotations

import re
from typing import Any, ClassVar

import numpy as np

from mantid.kernel._boost import ArgumentError, check_type, std_vector_dbl, std_vector_int, std_vector_str
from mantid.kernel._enumerations import Direction
from mantid.kernel._validators import IValidator

_MULTIPLE_ITEMS = re.compile(r"\s*,\s*")


class Property:
    """The part that all properties share; not to be constructed from Python."""

    EMPTY_DBL = 8.9884656743115785e307
    EMPTY_INT = 2**31 - 1
    EMPTY_LONG = 2**63 - 1

    _type = ""

    def __init__(self, name: str, default: Any, validator: IValidator | None, direction: int) -> None:
        if not isinstance(name, str):
            raise ArgumentError(f"Python argument types in {type(self).__name__} did not match C++ signature")
        self._name = name
        self._default = default
        self._value = default
        self._validator = validator
        self._direction = Direction(direction)
        self._documentation = ""
        self._group = ""
        self._settings: Any = None
        self.units = ""

    @property
    def name(self) -> str:
        """Name by which it is set."""
        return self._name

    @property
    def type(self) -> str:
        """Mantid's word for its type."""
        return self._type

    @property
    def direction(self) -> int:
        """Input, Output or InOut."""
        return int(self._direction)

    @property
    def documentation(self) -> str:
        """What the dialog shows as help."""
        return self._documentation

    @property
    def getGroup(self) -> str:
        """Group of the dialog that it lies in."""
        return self._group

    @property
    def settings(self) -> Any:
        """What makes it enabled or visible."""
        return self._settings

    @property
    def getDefault(self) -> str:
        """The default as text."""
        return self._format(self._default)

    @property
    def isDefault(self) -> bool:
        """Whether the value is the default."""
        return self._format(self._value) == self._format(self._default)

    @property
    def isValid(self) -> str:
        """What is wrong with the value; empty if nothing is."""
        return "" if self._validator is None else self._validator._problem(self._value)

    @property
    def allowedValues(self) -> list[str]:
        """Values of a list that it must come from; empty if there is none."""
        return [] if self._validator is None else self._validator._allowed()

    @property
    def valueAsStr(self) -> str:
        """The value as text."""
        return self._format(self._value)

    @valueAsStr.setter
    def valueAsStr(self, text: str) -> None:
        self._set_text(text)

    def valueAsPrettyStr(self, maxLength: int = 0, collapseLists: bool = True) -> str:
        """Return the value as text, shortened to ``maxLength`` characters if that is not 0."""
        text = self._format(self._value)
        return text if not maxLength or len(text) <= maxLength else text[: maxLength - 3] + "..."

    def _parse(self, text: str) -> Any:
        raise NotImplementedError

    def _convert(self, value: Any) -> Any:
        raise NotImplementedError

    def _format(self, value: Any) -> str:
        return str(value)

    def _set(self, value: Any) -> None:
        """Take a Python value: text is parsed, all else must convert; refuse what is not valid."""
        if isinstance(value, str):
            self._set_text(value)
            return
        self._replace(self._convert(value), str(value))

    def _set_text(self, text: str) -> None:
        if not isinstance(text, str):
            raise ArgumentError("Python argument types did not match C++ signature: a string is needed")
        try:
            value = self._parse(text)
        except (ValueError, TypeError) as error:
            raise self._invalid(text, f"Could not set property {self._name}. {error}") from None
        self._replace(value, text)

    def _replace(self, value: Any, text: str) -> None:
        before, self._value = self._value, value
        problem = self.isValid
        if problem:
            self._value = before
            raise self._invalid(text, problem)

    def _invalid(self, text: str, problem: str) -> ValueError:
        return ValueError(f'Invalid value for property {self._name} ({self._type}) "{text}": {problem}')


class _PropertyWithValue(Property):
    """A property whose value Python can read and replace."""

    @property
    def value(self) -> Any:
        """The value in its Python type."""
        return self._value

    @value.setter
    def value(self, new: Any) -> None:
        self._set(new)

    def dtype(self) -> str:
        """Return numpy's letter for the type."""
        return {"number": "f", "string": "S1", "boolean": "b"}.get(self._type, "")


class StringPropertyWithValue(_PropertyWithValue):
    """A string."""

    _type = "string"

    def _parse(self, text: str) -> str:
        return text

    def _convert(self, value: Any) -> str:
        text: str = check_type(value, str, "std::string")
        return text


class FloatPropertyWithValue(_PropertyWithValue):
    """A double."""

    _type = "number"

    def _parse(self, text: str) -> float:
        return float(text)

    def _convert(self, value: Any) -> float:
        number: float = check_type(value, float, "double")
        return number

    def _format(self, value: Any) -> str:
        return f"{value:.17g}"


class IntPropertyWithValue(_PropertyWithValue):
    """A 32-bit integer."""

    _type = "number"

    def _parse(self, text: str) -> int:
        return int(text)

    def _convert(self, value: Any) -> int:
        number: int = check_type(value, int, "int")
        return number


class LongPropertyWithValue(IntPropertyWithValue):
    """A 64-bit integer: what an int in Python becomes."""


class BoolPropertyWithValue(_PropertyWithValue):
    """A truth value, written as 1 or 0."""

    _type = "boolean"

    def _parse(self, text: str) -> bool:
        try:
            return {"1": True, "0": False, "true": True, "false": False}[text.lower()]
        except KeyError:
            raise ValueError(f'Can not convert "{text}" to boolean') from None

    def _convert(self, value: Any) -> bool:
        truth: bool = check_type(value, bool, "bool")
        return truth

    def _format(self, value: Any) -> str:
        return "1" if value else "0"


def _float_text(value: float) -> str:
    """Return a number of a list as C++ streams write it: with six digits, so that a history holds no more."""
    return f"{value:g}"


class _VectorProperty(_PropertyWithValue):
    """A list of values, written with commas."""

    _element: ClassVar[type] = float
    _vector: ClassVar[Any] = std_vector_dbl

    @property
    def value(self) -> Any:
        return self._vector(self._value)

    @value.setter
    def value(self, new: Any) -> None:
        self._set(new)

    def _parse(self, text: str) -> list[Any]:
        if not text.strip():
            return []
        if self._element is int:
            return [number for part in _MULTIPLE_ITEMS.split(text.strip()) for number in _int_range(part)]
        return [self._element(part) for part in _MULTIPLE_ITEMS.split(text.strip())]

    def _convert(self, value: Any) -> list[Any]:
        if isinstance(value, np.ndarray):
            fits = value.dtype.kind == "U" if self._element is str else np.can_cast(value.dtype, self._element)
            if value.ndim != 1 or not fits:
                raise TypeError(f"Cannot convert an array of {value.dtype} and shape {value.shape}")
            return [self._element(item) for item in value]
        items = value if isinstance(value, list | tuple) else [value]
        cpp_name = {float: "double", int: "int", str: "std::string"}[self._element]
        return [check_type(item, self._element, cpp_name) for item in items]

    def _format(self, value: Any) -> str:
        return ",".join(_float_text(item) if self._element is float else str(item) for item in value)


def _int_range(text: str) -> list[int]:
    """Return the integers of "3" or of "3-6" or "3:6"."""
    found = re.fullmatch(r"(\d+)\s*[-:]\s*(\d+)", text)
    if found is None:
        return [int(text)]
    return list(range(int(found[1]), int(found[2]) + 1))


class VectorFloatPropertyWithValue(_VectorProperty):
    """A list of doubles."""

    _type = "dbl list"


class VectorLongPropertyWithValue(_VectorProperty):
    """A list of integers."""

    _type = "int list"
    _element = int
    _vector = std_vector_int


class VectorStringPropertyWithValue(_VectorProperty):
    """A list of strings."""

    _type = "str list"
    _element = str
    _vector = std_vector_str


class _ArrayProperty(_VectorProperty):
    """A list declared as such: ``(name[, values][, validator][, direction])``."""

    def __init__(self, name: str, *arguments: Any, **keywords: Any) -> None:
        values, validator, direction = _array_arguments(type(self).__name__, arguments, keywords)
        super().__init__(name, [], validator, direction)
        self._default = self._value = self._parse(values) if isinstance(values, str) else self._convert(values)


def _array_arguments(
    kind: str, arguments: tuple[Any, ...], keywords: dict[str, Any]
) -> tuple[Any, IValidator | None, int]:
    """Sort the arguments of an array property into values, validator and direction."""
    names = ["values", "validator", "direction"]
    if arguments and isinstance(arguments[0], Direction):
        names = ["direction"]
    elif arguments and isinstance(arguments[0], IValidator):
        names = ["validator", "direction"]
    given = dict(zip(names, arguments, strict=False))
    unknown = set(keywords) - {"values", "validator", "direction"}
    if len(arguments) > len(names) or set(given) & set(keywords) or unknown:
        raise ArgumentError(f"Python argument types in {kind}.__init__ did not match C++ signature")
    given |= keywords
    return given.get("values", []), given.get("validator"), given.get("direction", Direction.Input)


class FloatArrayProperty(_ArrayProperty):
    """A list of doubles, read as a numpy array."""

    _type = "dbl list"

    @property
    def value(self) -> Any:
        return np.array(self._value, dtype=np.float64)

    @value.setter
    def value(self, new: Any) -> None:
        self._set(new)


class IntArrayProperty(_ArrayProperty):
    """A list of integers, read as a numpy array; "1-4" is a range."""

    _type = "int list"
    _element = int

    @property
    def value(self) -> Any:
        return np.array(self._value, dtype=np.int32)

    @value.setter
    def value(self, new: Any) -> None:
        self._set(new)


class UnsignedIntArrayProperty(IntArrayProperty):
    """A list of integers that are not negative."""

    _type = "unsigned int list"


class StringArrayProperty(_ArrayProperty):
    """A list of strings."""

    _type = "str list"
    _element = str
    _vector = std_vector_str


def property_of(value: Any, name: str, validator: IValidator | None = None, direction: int = 0) -> Property:
    """Return the property that a Python value makes: its type says which.

    Raises
    ------
    ValueError
        If the type is none that Mantid knows: a numpy array, None, a dictionary.
    """
    kinds: dict[type, type[Property]] = {
        bool: BoolPropertyWithValue,
        int: LongPropertyWithValue,
        float: FloatPropertyWithValue,
        str: StringPropertyWithValue,
    }
    for kind in (bool, int, float, str):
        if isinstance(value, kind):
            return kinds[kind](name, kind(value), validator, direction)
    if isinstance(value, list | tuple) and value:
        lists: dict[type, type[Property]] = {
            int: VectorLongPropertyWithValue,
            float: VectorFloatPropertyWithValue,
            str: VectorStringPropertyWithValue,
        }
        for kind, cls in lists.items():
            if all(isinstance(item, kind) and not isinstance(item, bool) for item in value):
                return cls(name, [kind(item) for item in value], validator, direction)
    raise ValueError(
        f"Cannot create PropertyWithValue from Python type {type(value).__name__}. "
        "No converter registered in PropertyWithValueFactory."
    )
