"""Mantid's instrument definition files: pixel shapes out of one, and a plain one for a set of pixels."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from xml.etree import ElementTree
from xml.sax.saxutils import quoteattr

import numpy as np

from fcinv_core.events.experiment import Detectors, FloatArray

#: Frontal size of a pixel: (width m, height m, axis (3,) of a tube or None); a tube's length is the height of an
#: upright one, and the width of one that lies.
Shape = tuple[float, float, tuple[float, float, float] | None]
_UNKNOWN: Shape = (-1.0, -1.0, None)


def with_shapes(definition: str, detectors: Detectors) -> Detectors:
    """Return detectors with the angular sizes and solid angles of their shapes; None for both if one is not known.

    A cylinder (tube pixel) shows the projection of its side, 2 r h sin(angle between its axis and the line
    of sight); tubes are taken to stand as the definition draws them, as upright tubes do however they are
    turned about the vertical. Cuboids and hexahedra show their front face.

    Parameters
    ----------
    definition
        Text of an instrument definition (IDF).
    detectors
        Where the pixels stand.
    """
    sizes = _sizes(definition, detectors)
    if sizes is None:
        return replace(detectors, solid_angle=None, widths=None)
    widths = sizes / detectors.distance[:, None]
    return replace(detectors, solid_angle=widths.prod(axis=1), widths=widths)


def instrument_definition(
    name: str, detectors: Detectors, *, source_distance: float, pixel_width: float, pixel_height: float
) -> str:
    """Return an instrument definition with one flat pixel for each detector, facing the sample.

    Parameters
    ----------
    name
        Name of the instrument.
    detectors
        Where the pixels stand.
    source_distance
        From moderator to sample, m.
    pixel_width, pixel_height
        Of every pixel, m.
    """
    degrees = np.degrees(np.stack([detectors.two_theta, detectors.azimuth], axis=1))
    places = "".join(
        f'<location r="{r:.9g}" t="{t:.12g}" p="{p:.12g}" name="pixel{i}"><facing x="0" y="0" z="0"/></location>'
        for i, r, (t, p) in zip(detectors.ids, detectors.distance, degrees, strict=True)
    )
    runs = np.split(detectors.ids, np.flatnonzero(np.diff(detectors.ids) != 1) + 1)
    ids = "".join(f'<id start="{run[0]}" end="{run[-1]}"/>' for run in runs)
    x, y = pixel_width / 2, pixel_height / 2
    corners = {
        "left-front-bottom": (-x, -y, 0.0),
        "left-front-top": (-x, y, 0.0),
        "left-back-bottom": (-x, -y, -0.001),
        "right-front-bottom": (x, -y, 0.0),
    }
    shape = "".join(f'<{c}-point x="{px:g}" y="{py:g}" z="{pz:g}"/>' for c, (px, py, pz) in corners.items())
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<instrument xmlns="http://www.mantidproject.org/IDF/1.0" name={quoteattr(name)} '
        'valid-from="1900-01-31 23:59:59" valid-to="2100-01-31 23:59:59" last-modified="2020-01-01 00:00:00">'
        '<defaults><length unit="meter"/><angle unit="degree"/><reference-frame><along-beam axis="z"/>'
        '<pointing-up axis="y"/><handedness val="right"/></reference-frame></defaults>'
        f'<component type="moderator"><location z="-{source_distance:g}"/></component>'
        '<type name="moderator" is="Source"/>'
        '<component type="sample-position"><location x="0" y="0" z="0"/></component>'
        '<type name="sample-position" is="SamplePos"/>'
        '<component type="bank" idlist="ids"><location/></component>'
        f'<type name="bank"><component type="pixel">{places}</component></type>'
        f'<type is="detector" name="pixel"><cuboid id="c">{shape}</cuboid><algebra val="c"/></type>'
        f'<idlist idname="ids">{ids}</idlist></instrument>'
    )


@lru_cache(maxsize=4)
def _shapes(definition: str) -> dict[Shape, list[tuple[int, int]]] | None:
    """Id ranges (first, last) of each pixel shape; None if some pixel has no shape that is known."""
    try:
        root = ElementTree.fromstring(definition)
    except ElementTree.ParseError:
        return None
    for element in root.iter():
        element.tag = element.tag.rsplit("}", 1)[-1]
    types = {element.get("name", ""): element for element in root.findall("type")}
    lists = {element.get("idname", ""): _ids(element) for element in root.findall("idlist")}
    ranges: dict[Shape, list[tuple[int, int]]] = {}
    for component in root.findall("component"):
        kind = types.get(component.get("type", ""))
        if kind is None:
            continue
        if kind.get("is", "").lower() == "rectangular_detector":
            panels = [(component, kind)]
        else:
            panels = [
                (inner, types[inner.get("type", "")])
                for inner in kind.findall("component")
                if types.get(inner.get("type", ""), kind).get("is", "").lower() == "rectangular_detector"
            ]
        for place, panel in panels:
            shape = _shape(types.get(panel.get("type", "")))
            if shape is None:
                return None
            start, step = int(place.get("idstart", "0")), int(place.get("idstepbyrow", "0"))
            nx, ny = int(panel.get("xpixels", "0")), int(panel.get("ypixels", "0"))
            ranges.setdefault(shape, []).append((start, start + max(nx, ny) * max(step, 1) - 1))
        names = lists.get(component.get("idlist", ""))
        if names is None or panels:
            continue
        leaves = _leaves(kind, types) * _places(component)
        if len(leaves) != sum(last - first + 1 for first, last in names):
            return None
        position = iter(leaves)
        for first, last in names:
            _add_range(ranges, types, first, [next(position) for _ in range(first, last + 1)])
    return None if any(min(shape[:2]) <= 0 for shape in ranges) or not ranges else ranges


def _add_range(
    ranges: dict[Shape, list[tuple[int, int]]],
    types: dict[str, ElementTree.Element],
    first: int,
    leaves: list[str],
) -> None:
    start = 0
    for k in range(1, len(leaves) + 1):
        if k == len(leaves) or leaves[k] != leaves[start]:
            kind = types[leaves[start]]
            if kind.get("is", "").lower() == "detector":
                ranges.setdefault(_shape(kind) or _UNKNOWN, []).append((first + start, first + k - 1))
            start = k


def _leaves(kind: ElementTree.Element, types: dict[str, ElementTree.Element]) -> list[str]:
    """Names of the pixel types below a type, in the order in which Mantid numbers them."""
    if kind.get("is", "").lower() in ("detector", "monitor"):
        return [kind.get("name", "")]
    found: list[str] = []
    for component in kind.findall("component"):
        inner = types.get(component.get("type", ""))
        if inner is not None:
            found += _leaves(inner, types) * _places(component)
    return found


def _places(component: ElementTree.Element) -> int:
    rows = sum(int(element.get("n-elements", "1")) for element in component.findall("locations"))
    return len(component.findall("location")) + rows


def _ids(element: ElementTree.Element) -> list[tuple[int, int]]:
    found = []
    for entry in element.findall("id"):
        first = int(entry.get("start", entry.get("val", "0")))
        last, step = int(entry.get("end", entry.get("val", first))), int(entry.get("step", "1"))
        found += [(first, last)] if step == 1 else [(i, i) for i in range(first, last + 1, step)]
    return found


def _shape(kind: ElementTree.Element | None) -> Shape | None:
    if kind is None:
        return None
    cylinder = kind.find("cylinder")
    if cylinder is not None:
        axis = _vector(cylinder.find("axis"))
        radius, height = (_value(cylinder.find(name)) for name in ("radius", "height"))
        length = float(np.linalg.norm(axis))
        if not length:
            return None
        along = (axis[0] / length, axis[1] / length, axis[2] / length)
        return (2 * radius, height, along) if _is_upright(along) else (height, 2 * radius, along)
    box = kind.find("cuboid")
    box = kind.find("hexahedron") if box is None else box
    if box is None:
        return None
    corner = _vector(box.find("left-front-bottom-point"))
    up = np.subtract(_vector(box.find("left-front-top-point")), corner)
    right = np.subtract(_vector(box.find("right-front-bottom-point")), corner)
    return float(np.linalg.norm(right)), float(np.linalg.norm(up)), None


def _is_upright(axis: tuple[float, float, float]) -> bool:
    return abs(axis[1]) >= abs(axis[0])


def _vector(element: ElementTree.Element | None) -> tuple[float, float, float]:
    if element is None:
        return (0.0, 0.0, 0.0)
    return (float(element.get("x", "0")), float(element.get("y", "0")), float(element.get("z", "0")))


def _value(element: ElementTree.Element | None) -> float:
    return 0.0 if element is None else float(element.get("val", "0"))


def _sizes(definition: str, detectors: Detectors) -> FloatArray | None:
    """Width and height of each detector as seen from the sample, shape (m, 2), m, or None if one is not known."""
    shapes = _shapes(definition)
    if shapes is None:
        return None
    kinds = np.full(len(detectors.ids), -1, dtype=np.int64)
    for number, ranges in enumerate(shapes.values()):
        for first, last in ranges:
            kinds[(detectors.ids >= first) & (detectors.ids <= last)] = number
    if (kinds < 0).any():
        return None
    sizes = np.empty((len(kinds), 2))
    for number, (width, height, axis) in enumerate(shapes):
        alike = kinds == number
        sizes[alike] = width, height
        if axis is not None:
            along = detectors.directions[alike] @ np.array(axis)
            sizes[alike, 1 if _is_upright(axis) else 0] *= np.sqrt(1 - along**2)
    return sizes
