"""Solid angles and sizes out of instrument definitions."""

from __future__ import annotations

import numpy as np
import pytest

from fcinv_core.events import Detectors, instrument_definition, with_shapes

TUBES = """<?xml version="1.0"?>
<instrument xmlns="http://www.mantidproject.org/IDF/1.0" name="T">
 <component type="bank" idlist="far"><location/></component>
 <component type="short" idlist="near"><location/><location/></component>
 <component type="monitor" idlist="mon"><location/></component>
 <type name="bank"><component type="tube"><location/><location/></component></type>
 <type name="tube"><component type="long-pixel"><locations y="-1" y-end="1" n-elements="3"/></component></type>
 <type name="short"><component type="short-pixel"><location/></component></type>
 <type is="detector" name="long-pixel"><cylinder id="c"><centre-of-bottom-base x="0" y="0" z="0"/>
  <axis x="0" y="1" z="0"/><radius val="0.01"/><height val="0.02"/></cylinder><algebra val="c"/></type>
 <type is="detector" name="short-pixel"><cuboid id="c"><left-front-bottom-point x="-1" y="-2" z="0"/>
  <left-front-top-point x="-1" y="2" z="0"/><left-back-bottom-point x="-1" y="-2" z="3"/>
  <right-front-bottom-point x="1" y="-2" z="0"/></cuboid><algebra val="c"/></type>
 <type is="monitor" name="monitor"/>
 <idlist idname="far"><id start="10" end="12"/><id start="20" end="24" step="2"/></idlist>
 <idlist idname="near"><id val="1"/><id val="2"/></idlist>
 <idlist idname="mon"><id val="-1"/></idlist>
</instrument>"""


def place(ids: list[int], polar: float, azimuth: float, distance: float) -> Detectors:
    n = len(ids)
    return Detectors(
        np.array(ids),
        np.full(n, np.radians(polar)),
        np.full(n, np.radians(azimuth)),
        np.full(n, distance),
        np.zeros(n, bool),
    )


def test_every_pixel_gets_the_shape_of_its_own_type() -> None:
    angle = with_shapes(TUBES, place([24, 1, 11, 2, 20], 60.0, 0.0, 2.0)).solid_angle
    assert angle == pytest.approx([1e-4, 2.0, 1e-4, 2.0, 1e-4])


def test_an_upright_tube_is_foreshortened_above_the_plane() -> None:
    angle = with_shapes(TUBES, place([10], 30.0, 90.0, 1.0)).solid_angle
    assert angle == pytest.approx([2 * 0.01 * 0.02 * np.cos(np.radians(30))])


def test_widths_are_those_of_the_shape_and_make_up_the_solid_angle() -> None:
    above = place([10, 1], 30.0, 90.0, 2.0)
    upright = with_shapes(TUBES, above)
    assert upright.widths == pytest.approx(np.array([[0.01, 0.01 * np.cos(np.radians(30))], [1.0, 2.0]]))
    assert upright.solid_angle == pytest.approx([0.01**2 * np.cos(np.radians(30)), 2.0])
    definition = TUBES.replace('<axis x="0" y="1" z="0"/>', '<axis x="1" y="0" z="0"/>')
    lying = with_shapes(definition, above)
    assert lying.widths[0] == pytest.approx([0.01, 0.01])  # type: ignore[index]
    aside = with_shapes(definition, place([10], 30.0, 0.0, 2.0))
    assert aside.widths == pytest.approx(np.array([[0.01 * np.cos(np.radians(30)), 0.01]]))


def test_unknown_shapes_give_no_solid_angle() -> None:
    known = place([10, 11], 30.0, 90.0, 1.0)
    for definition, detectors in (
        ("not xml", known),
        ("<instrument/>", known),
        (TUBES.replace('radius val="0.01"', 'radius val="0"'), known),
        (TUBES, place([10, 99], 30.0, 90.0, 1.0)),
    ):
        unknown = with_shapes(definition, detectors)
        assert unknown.solid_angle is None
        assert unknown.widths is None


def test_a_definition_made_here_gives_back_the_pixels() -> None:
    detectors = place([5, 6, 9], 45.0, 20.0, 3.0)
    text = instrument_definition("A<B", detectors, source_distance=12, pixel_width=0.02, pixel_height=0.1)
    assert with_shapes(text, detectors).solid_angle == pytest.approx(0.002 / 9)
