"""Sets of properties, and what a history keeps of them."""

from __future__ import annotations

from typing import Any

from mantid.kernel._boost import ArgumentError, std_vector_property
from mantid.kernel._property import Property, property_of
from mantid.kernel._settings import IPropertySettings


class IPropertyManager:
    """Properties by name; names are compared without case."""

    _properties: dict[str, Property]

    def declareProperty(self, name: str, value: Any) -> None:
        """Add a property of the type of a value."""
        self._declare(property_of(value, name))

    def _declare(self, new: Property) -> None:
        if not new.name:
            raise ValueError("An empty property name is not permitted")
        if new.name.lower() in self._properties:
            raise RuntimeError(f"Property with given name already exists search object {new.name}")
        self._properties[new.name.lower()] = new

    def getProperty(self, name: str) -> Property:
        """Return a property; RuntimeError if there is none of that name."""
        if not isinstance(name, str):
            raise ArgumentError("Python argument types did not match C++ signature: a string is needed")
        try:
            return self._properties[name.lower()]
        except KeyError:
            raise RuntimeError(f"Unknown property search object {name}") from None

    def getPropertyValue(self, name: str) -> str:
        """Return the value of a property as text."""
        return self.getProperty(name).valueAsStr

    def setProperty(self, name: str, value: Any) -> None:
        """Set a property; ValueError if the value is not valid, TypeError if it is of the wrong type."""
        self.getProperty(name)._set(value)

    def setPropertyValue(self, name: str, value: str) -> None:
        """Set a property from text."""
        self.getProperty(name).valueAsStr = value

    def setProperties(self, kwargs: dict[str, Any]) -> None:
        """Set several properties."""
        for name, value in kwargs.items():
            self.setProperty(name, value)

    def setPropertySettings(self, name: str, settingsManager: IPropertySettings) -> None:
        """Say when a property is enabled or visible."""
        if not isinstance(settingsManager, IPropertySettings):
            raise ArgumentError("Python argument types in setPropertySettings did not match C++ signature")
        self.getProperty(name)._settings = settingsManager

    def setPropertyGroup(self, name: str, group: str) -> None:
        """Put a property into a group of the dialog."""
        self.getProperty(name)._group = group

    def existsProperty(self, name: str) -> bool:
        """Return whether there is a property of that name."""
        return name.lower() in self._properties

    has_key = existsProperty

    def __contains__(self, name: str) -> bool:
        return self.existsProperty(name)

    def get(self, name: str, value: Any) -> Any:
        """Return a property, or something else if there is none of that name."""
        return self._properties.get(name.lower(), value)

    def keys(self) -> list[str]:
        """Return all names."""
        return [known.name for known in self._properties.values()]

    def values(self) -> list[Property]:
        """Return all properties."""
        return std_vector_property(self._properties.values())

    getProperties = values

    def propertyCount(self) -> int:
        """Return how many properties there are."""
        return len(self._properties)


class PropertyManager(IPropertyManager):
    """A set of properties that stands alone, for instance the value of a property."""

    def __init__(self, values: dict[str, Any] | None = None) -> None:
        self._properties = {}
        for name, value in (values or {}).items():
            self.declareProperty(name, value)

    def __getitem__(self, name: str) -> Property:
        return self.getProperty(name)


class PropertyManagerProperty(Property):
    """A property that holds other properties."""

    _type = "Dictionary"

    def __init__(self, name: str, *arguments: Any, direction: int = 0) -> None:
        values = arguments[0] if arguments and isinstance(arguments[0], dict) else {}
        super().__init__(name, PropertyManager(values), None, direction)

    @property
    def value(self) -> PropertyManager:
        """The properties."""
        manager: PropertyManager = self._value
        return manager

    def dtype(self) -> str:
        """Return numpy's letter for the type: there is none."""
        return ""

    def _convert(self, value: Any) -> PropertyManager:
        if not isinstance(value, dict):
            raise TypeError("A dictionary is needed")
        return PropertyManager(value)

    def _format(self, value: PropertyManager) -> str:
        return "{" + ",".join(f'"{known.name}":"{known.valueAsStr}"' for known in value.values()) + "}"


class PropertyHistory:
    """What a history keeps of a property: text."""

    def __init__(self, name: str, value: str, type: str, is_default: bool, direction: int) -> None:
        self._name, self._value, self._type = name, value, type
        self._is_default, self._direction = is_default, direction

    def name(self) -> str:
        """Return its name."""
        return self._name

    def value(self) -> str:
        """Return its value as text."""
        return self._value

    def type(self) -> str:
        """Return Mantid's word for its type."""
        return self._type

    def isDefault(self) -> bool:
        """Return whether it was left as it was."""
        return self._is_default

    def direction(self) -> int:
        """Return whether it is input, output or both."""
        return self._direction
