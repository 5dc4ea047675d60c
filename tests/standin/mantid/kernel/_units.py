"""Units of axes."""

from __future__ import annotations

from typing import Any

#: Identifier -> caption and label.
_KNOWN = {
    "Degrees": ("Scattering angle", "degrees"),
    "DeltaE": ("Energy transfer", "meV"),
    "Empty": ("", ""),
    "Energy": ("Energy", "meV"),
    "MomentumTransfer": ("q", "Å^-1"),
    "QSquared": ("Q2", "Å^-2"),
    "TOF": ("Time-of-flight", "microsecond"),
    "Temperature": ("Temperature", "K"),
    "Time": ("t", "second"),
    "Wavelength": ("Wavelength", "Å"),
    "dSpacing": ("d-Spacing", "Å"),
    "SpectraNumber": ("Spectrum", ""),
    "Text": ("", ""),
}


class UnitLabel:
    """Symbol of a unit."""

    def __init__(self, ascii: str, utf8: str = "", latex: str = "") -> None:
        self._ascii, self._utf8, self._latex = ascii, utf8 or ascii, latex or ascii

    def ascii(self) -> str:
        """Return the symbol in plain letters."""
        return self._ascii

    def utf8(self) -> str:
        """Return the symbol in any letters."""
        return self._utf8

    def latex(self) -> str:
        """Return the symbol for LaTeX."""
        return self._latex

    def __str__(self) -> str:
        return self._ascii


class Unit:
    """What an axis counts in."""

    def __init__(self, identifier: str, caption: str, label: str) -> None:
        self._identifier, self._caption, self._label = identifier, caption, label

    def unitID(self) -> str:
        """Return the identifier by which it is created."""
        return self._identifier

    def caption(self) -> str:
        """Return the name of the quantity."""
        return self._caption

    def label(self) -> str:
        """Return the symbol of the unit."""
        return self._label.replace("Å", "Angstrom")

    def symbol(self) -> UnitLabel:
        """Return the symbol of the unit in several alphabets."""
        return UnitLabel(self.label(), self._label)


class Label(Unit):
    """A unit that carries what one writes on it."""

    def setLabel(self, caption: str, label: Any) -> None:
        """Set the name of the quantity and the symbol of the unit."""
        self._caption, self._label = caption, str(label)


class UnitFactoryImpl:
    """Makes units by their identifiers."""

    def create(self, className: str) -> Unit:
        """Return a unit; RuntimeError if there is none of that name."""
        if className == "Label":
            return Label("Label", "Quantity", "")
        if className not in _KNOWN:
            raise RuntimeError(f"{className} is not registered in the factory")
        return Unit(className, *_KNOWN[className])

    def getKeys(self) -> list[str]:
        """Return all identifiers."""
        return [*_KNOWN, "Label"]
