"""The forms in which an algorithm can declare a property."""

from __future__ import annotations

from typing import Any

from mantid.kernel._boost import ArgumentError
from mantid.kernel._property import Property, property_of
from mantid.kernel._validators import IValidator

#: Arguments and their types; those that do not fit the next one are tried on the one after it.
_OF_A_PROPERTY: dict[str, Any] = {"prop": Property, "doc": str}
_OF_A_VALUE: dict[str, Any] = {
    "name": str,
    "defaultValue": object,
    "validator": IValidator | None,
    "doc": str,
    "direction": int,
}


def declared(arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Property:
    """Return the property of ``(property[, doc])`` or ``(name, default[, validator][, doc][, direction])``.

    Raises
    ------
    ArgumentError
        If the arguments have neither form.
    """
    is_property = "prop" in keywords or (bool(arguments) and isinstance(arguments[0], Property))
    form = _OF_A_PROPERTY if is_property else _OF_A_VALUE
    given: dict[str, Any] = {}
    names = list(form)
    for argument in arguments:
        while names and not isinstance(argument, form[names[0]]):
            names.pop(0)
        if not names:
            raise _no_form()
        given[names.pop(0)] = argument
    if set(given) & set(keywords) or not set(keywords) <= set(form):
        raise _no_form()
    if not all(isinstance(value, form[name]) for name, value in keywords.items()):
        raise _no_form()
    given |= keywords
    if not {"prop"} <= set(given) and not {"name", "defaultValue"} <= set(given):
        raise _no_form()
    new: Property = given["prop"] if is_property else _of_value(**given)
    new._documentation = given.get("doc", "")
    return new


def _of_value(
    name: str, defaultValue: Any, validator: IValidator | None = None, doc: str = "", direction: int = 0
) -> Property:
    return property_of(defaultValue, name, validator, direction)


def _no_form() -> ArgumentError:
    return ArgumentError("Python argument types in Algorithm.declareProperty did not match C++ signature")
