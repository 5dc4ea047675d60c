"""Scattering lengths are those of the tables, and elements without one number are refused."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from importlib.resources import files

import numpy as np
import pytest
from euphonic.isotopes import data as isotope_data

from fcinv_core.crystal import Crystal
from fcinv_core.errors import InputError
from fcinv_core.structure_factor.scattering_lengths import natural_scattering_lengths
from tests.crystals import crystal

ONE_SITE = Crystal.from_cell(3.3 * np.eye(3), [[0, 0, 0]], ["Nb"])


def of(symbol: str) -> tuple[float, float]:
    """Scattering length, fm, and incoherent cross-section, barn, of an element."""
    values = natural_scattering_lengths(replace(ONE_SITE, symbols=(symbol,)))
    return float(values.coherent[0]), float(values.incoherent_cross_section[0])


def test_values_of_elements_that_matter_here() -> None:
    """Sears, Neutron News 3, 26 (1992): b in fm, incoherent cross-section in barn."""
    for symbol, b, incoherent in [
        ("Ge", 8.185, 0.18),
        ("Nb", 7.054, 0.0024),
        ("Na", 3.63, 1.62),
        ("H", -3.74, 80.26),
    ]:
        assert of(symbol)[0] == pytest.approx(b, abs=2e-3)
        assert of(symbol)[1] == pytest.approx(incoherent, rel=1e-2)


def test_values_follow_sears_but_for_later_measurements() -> None:
    """Euphonic holds Sears' table as it was printed; what differs by more than 1 % was measured again since."""
    text = files(isotope_data) / "sears-1992.csv"
    rows = [line.split(",") for line in text.read_text(encoding="utf-8").splitlines()]
    theirs = {row[0]: complex(row[7]) for row in reversed(rows) if row[1].isdigit() and row[7]}
    common = "C N O F Na Mg Al Si S Cl K Ca Ti Cr Fe Ni Cu Zn Ga Ge Se Sr Y Zr Nb Mo Ag Sn Sb Te Ba Hf W Pt Hg Pb"
    differs = {symbol for symbol in common.split(" ") if abs(of(symbol)[0] / theirs[symbol].real - 1) > 0.01}
    assert differs == {"Ti", "Te", "W"}


def test_cross_sections_add_up() -> None:
    values = natural_scattering_lengths(crystal("NaCl"))
    np.testing.assert_allclose(values.coherent_cross_section, 4 * np.pi * values.coherent**2 / 100)
    np.testing.assert_allclose(
        values.total_cross_section - values.coherent_cross_section, values.incoherent_cross_section
    )


@pytest.mark.parametrize("symbol", ["Gd", "Cd", "Sm", "Eu"])
def test_a_resonant_absorber_is_refused(symbol: str) -> None:
    with pytest.raises(InputError, match="depends on the neutron's energy"):
        of(symbol)


def test_an_element_without_values_is_refused() -> None:
    with pytest.raises(InputError, match="no neutron scattering length"):
        of("Po")


def test_threads_that_look_for_the_first_time_together_find_the_table() -> None:
    # A fresh process: this one has looked already.
    together = """
import sys, threading
from concurrent.futures import ThreadPoolExecutor
from fcinv_core.structure_factor.scattering_lengths import _element
sys.setswitchinterval(1e-6)
begin = threading.Barrier(8)
def look(_):
    begin.wait()
    return _element("Ge")
with ThreadPoolExecutor(8) as pool:
    print(set(pool.map(look, range(8))))
"""
    done = subprocess.run([sys.executable, "-c", together], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "{(8.185, 0.18)}"
