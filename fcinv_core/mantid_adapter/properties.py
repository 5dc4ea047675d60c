"""Properties that several algorithms share, turned into objects of the core."""

from __future__ import annotations

from collections import UserDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from fcinv_core.crystal import Crystal, IntArray
from fcinv_core.errors import InputError
from fcinv_core.folding.energy_bins import stepped_bins
from fcinv_core.force_constants.phonopy_files import supercell_matrix
from fcinv_core.qpath import QPath, chosen_path, points_for_step
from fcinv_core.spectrum import Resolution, SpectralGrid


class Problems(UserDict[str, str]):
    """Property name to the sentence that says what is wrong with it.

    Its ``data`` is what ``validateInputs`` returns: Mantid reads a dictionary of no other class than dict.
    """

    def check(self, name: str, read: Callable[[], Any]) -> Any:
        """Return what ``read`` returns; note its InputError for the property ``name`` and return None."""
        try:
            return read()
        except InputError as error:
            self[name] = str(error)
            return None

    def check_path(self, algorithm: Any, crystal: Crystal) -> None:
        """Note what is wrong with the properties Path and QStep."""
        path = self.check("Path", lambda: chosen_path(crystal, _path_text(algorithm)))
        if path is not None:
            self.check("QStep", lambda: path_of(algorithm, crystal))


def path_of(algorithm: Any, crystal: Crystal) -> QPath:
    """Return the path of the properties Path and QStep.

    Raises
    ------
    InputError
        If it cannot be followed.
    """
    text, step = _path_text(algorithm), float(algorithm.getProperty("QStep").value)
    return chosen_path(crystal, text, points_for_step(chosen_path(crystal, text), step))


def _path_text(algorithm: Any) -> str | None:
    return algorithm.getPropertyValue("Path").strip() or None


def binning_of(algorithm: Any) -> tuple[tuple[float, float] | None, float | None]:
    """Return limits and step of the property EnergyBinning, meV; None where they are not given.

    Raises
    ------
    InputError
        If it is neither empty, nor a step, nor minimum, step and maximum.
    """
    numbers = numbers_of(algorithm, "EnergyBinning")
    if not numbers:
        return None, None
    if len(numbers) not in (1, 3) or not numbers[len(numbers) // 2] > 0:
        raise InputError(
            f"the binning {_listed(numbers)}",
            "a positive step, or minimum, positive step and maximum were expected",
            "write for example -2,0.5,38 (meV)",
        )
    if len(numbers) == 1:
        return None, numbers[0]
    low, step, high = numbers
    if not high > low:
        raise InputError(
            f"the binning {_listed(numbers)}", "its maximum is not above its minimum", "write min,step,max"
        )
    return (low, high), step


def stated_bins(algorithm: Any) -> SpectralGrid | None:
    """Return the energy bins of the property EnergyBinning where no measurement sets limits; None if it is empty.

    Raises
    ------
    InputError
        If it is not minimum, step and maximum.
    """
    limits, step = binning_of(algorithm)
    if step is None:
        return None
    if limits is None:
        raise InputError(
            f"the binning {step:g}", "a simulation has no measured limits", "write min,step,max, such as 0,0.5,40"
        )
    return stepped_bins(*limits, step)


def resolution_of(algorithm: Any) -> Resolution | None:
    """Return the resolution of the property ResolutionFWHM; None where it is empty."""
    numbers = numbers_of(algorithm, "ResolutionFWHM")
    return Resolution(tuple(numbers)) if numbers else None


def supercell_of(algorithm: Any) -> IntArray | None:
    """Return phonopy's DIM of the property Supercell, shape (3, 3); None where it is empty.

    Raises
    ------
    InputError
        If it is neither 3 nor 9 integers that span a volume.
    """
    given = np.array(algorithm.getProperty("Supercell").value, dtype=np.int64)
    if not given.size:
        return None
    return supercell_matrix(given, "Supercell")


def file_of(algorithm: Any, name: str) -> Path | None:
    """Return the file of an optional property; None where it is empty."""
    text = algorithm.getPropertyValue(name)
    return Path(text) if text else None


def number_of(algorithm: Any, name: str) -> float | None:
    """Return an optional number; None where it is not given."""
    given = algorithm.getProperty(name)
    return None if given.isDefault else float(given.value)


def numbers_of(algorithm: Any, name: str) -> list[float]:
    """Return the numbers of an array property."""
    return [float(number) for number in algorithm.getProperty(name).value]


def _listed(numbers: list[float]) -> str:
    return ",".join(f"{number:g}" for number in numbers)
