"""What Boost.Python leaves visible in Mantid's interface: its errors, enumerations and vectors."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any


class ArgumentError(TypeError):
    """No C++ signature fits the Python arguments."""


class BoostEnum(int):
    """An integer with a name; the class knows its members by name and by value."""

    names: dict[str, BoostEnum]
    values: dict[int, BoostEnum]
    name: str

    def __new__(cls, value: int = 0) -> BoostEnum:
        known = cls.values.get(value)
        return int.__new__(cls, value) if known is None else known

    def __repr__(self) -> str:
        return f"{type(self).__module__}.{type(self).__name__}.{self}"

    def __str__(self) -> str:
        return self.name


def enumeration(name: str, module: str, **members: int) -> Any:
    """Return a new enumeration; a name that Python reserves (``None``) is reached by ``getattr``."""
    cls = type(name, (BoostEnum,), {"__module__": module, "names": {}, "values": {}})
    for label, value in members.items():
        member = int.__new__(cls, value)
        member.name = label
        cls.names[label] = member
        cls.values[value] = member
        setattr(cls, label, member)
    return cls


class _Vector:
    """A std::vector: it can be indexed and grows, but is neither a list nor a numpy array."""

    def __init__(self, values: Iterable[Any] = ()) -> None:
        self._values = list(values)

    def append(self, value: Any) -> None:
        """Add an element."""
        self._values.append(value)

    def extend(self, values: Iterable[Any]) -> None:
        """Add several elements."""
        self._values.extend(values)

    def __len__(self) -> int:
        return len(self._values)

    def __getitem__(self, index: Any) -> Any:
        return self._values[index]

    def __setitem__(self, index: Any, value: Any) -> None:
        self._values[index] = value

    def __iter__(self) -> Iterator[Any]:
        return iter(self._values)

    def __contains__(self, value: object) -> bool:
        return value in self._values

    def __str__(self) -> str:
        return "[" + ",".join(str(value) for value in self._values) + "]"


class std_vector_dbl(_Vector):
    """Vector of doubles."""


class std_vector_int(_Vector):
    """Vector of integers."""


class std_vector_str(_Vector):
    """Vector of strings."""


class std_vector_property(_Vector):
    """Vector of properties."""


def check_type(value: Any, kind: type, cpp_name: str) -> Any:
    """Return the value if Boost converts it to that C++ type.

    A Python int passes as a number; numpy's integers, booleans and single-precision floats do not.

    Raises
    ------
    TypeError
        If it does not.
    """
    accepted = {bool: (bool, int), int: int, float: (float, int), str: str}[kind]
    if not isinstance(value, accepted):
        raise TypeError(
            f"No registered converter was able to produce a C++ rvalue of type {cpp_name} from this Python object "
            f"of type {type(value).__name__}"
        )
    return kind(value)
