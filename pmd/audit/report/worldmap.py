"""A map of the world: countries as shapes, filled by class, in an equal-area projection, so that what is large looks large.

Shapes are those of the time zones (tzfpy), put together by country as `places.places` has it and rounded to the drawing: no
other geometry is needed, and the map's borders are the ones that points are counted by. They reach twelve miles out to sea, which
is less than a pixel, and keeps small islands visible. To put them together takes half a second, so what comes of it stands in
`shapes.bin`, written by benchmarks/place_cells.py from tzfpy's polygons (© OpenStreetMap contributors, ODbL 1.0) of one version;
those of another version are put together anew. The projection is Equal Earth (Šavrič, Patterson and Jenny, International
Journal of Geographical Information Science 33(3), 2019).
"""

from __future__ import annotations

import functools
import itertools
import math
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import orjson
import tzfpy
from numpy.typing import NDArray

from pmd.audit.places import cells, places, territories
from pmd.audit.report import charts
from pmd.escape import html as escape

WIDTH: Final = 1040.0
#: The shapes of `cells.VERSION`, as JSON in zlib's format.
FILE: Final = Path(__file__).with_name("shapes.bin")
#: Land south of it is drawn by nobody's photographs.
_SOUTH: Final = -58.0
_ANTARCTICA: Final = "AQ"

#: Coefficients of Equal Earth.
_A: Final = (1.340264, -0.081106, 0.000893, 0.003796)
_SCALE: Final = WIDTH / (2 * 2.7066297)
_TOP: Final = 1.3173627 * _SCALE

#: Rings of less than so many square pixels are not drawn.
_LEAST_AREA: Final = 3.0

Points = NDArray[np.float64]  # shape (points, 2), in degrees or pixels
Pixels = NDArray[np.int64]
Spot = tuple[int, int]


def drawing(classes: Mapping[str, int], titles: Mapping[str, str], title: str) -> str:
    """Return the map.

    Args:
        classes: Country → its class, 1 for the lowest; others are drawn as without a figure.
        titles: Country → what it says when pointed at.
        title: What the map shows.
    """
    parts = []
    for code, path in shapes().items():
        style = f"land fill-{classes[code]}" if code in classes else "land"
        said = titles.get(code)
        inner = f"<title>{escape(said)}</title>" if said is not None else ""
        parts.append(
            f'<path class="{style}" d="{path}">{inner}</path>' if inner else f'<path class="{style}" d="{path}"/>'
        )
    return charts.svg("".join(parts), WIDTH, _height(), title)


@functools.cache
def shapes() -> dict[str, str]:
    """Return the path of each country."""
    if tzfpy.data_version() != cells.VERSION:
        return put_together()
    found: dict[str, str] = orjson.loads(zlib.decompress(FILE.read_bytes()))
    return found


def put_together() -> dict[str, str]:
    """Return the same, from the polygons of the time zones."""
    rings: dict[str, list[Points]] = {}
    for zone in sorted(tzfpy.timezonenames()):
        if not zone.startswith("Etc/"):
            for ring in _rings(zone):
                longitude, latitude = ring.mean(axis=0).tolist()
                code = places.country_of_zone(zone, longitude, latitude)
                if code not in {places.NOWHERE, _ANTARCTICA}:
                    rings.setdefault(code, []).append(ring)
    # Cut out of Serbia's zone, and drawn over it.
    rings[places.KOSOVO] = [np.array(territories.KOSOVO_BORDER)]
    return {code: path for code, some in sorted(rings.items()) if (path := _path(some))}


def _rings(zone: str) -> list[Points]:
    """Return the outer rings of a zone, in degrees."""
    found: list[Any] = orjson.loads(tzfpy.get_tz_polygon_geojson(zone))["features"]
    rings = [polygon[0] for feature in found for polygon in feature["geometry"]["coordinates"]]
    return [np.array(ring, dtype=np.float64) for ring in rings]


def _height() -> float:
    return float(_projected(np.array([[0.0, _SOUTH]]))[0, 1])


def _projected(ring: Points) -> Points:
    """Return a ring in pixels."""
    longitude, latitude = np.radians(ring[:, 0]), np.radians(np.clip(ring[:, 1], _SOUTH, 90))
    theta = np.arcsin(math.sqrt(3) / 2 * np.sin(latitude))
    first, second, third, fourth = _A
    square = theta * theta
    sixth = square**3
    slope = 9 * fourth * square * sixth + 7 * third * sixth + 3 * second * square + first
    x = 2 * math.sqrt(3) * longitude * np.cos(theta) / (3 * slope)
    y = theta * (first + second * square + sixth * (third + fourth * square))
    return np.stack([x * _SCALE + WIDTH / 2, _TOP - y * _SCALE], axis=1)


def _path(rings: list[Points]) -> str:
    """Return the outline of rings that are beside each other: without the lines between them."""
    drawn = [_rounded(_projected(ring)) for ring in rings]
    outlines = [_straightened(ring) for ring in _dissolved(drawn)]
    kept = [ring for ring in outlines if _area(ring) >= _LEAST_AREA]
    return "".join(map(_written, kept)) or _dot(max(drawn, key=_area))


def _rounded(ring: Points) -> Pixels:
    """Return a ring in whole pixels, each point on another than the one before; clockwise."""
    cells = np.round(ring).astype(np.int64)
    cells = cells[np.concatenate([[True], (np.diff(cells, axis=0) != 0).any(axis=1)])]
    clockwise: Pixels = cells if _signed_area(cells) >= 0 else cells[::-1]
    return clockwise


def _dissolved(rings: list[Pixels]) -> list[Pixels]:
    """Return the outlines of rings that turn one way: an edge that two of them have, each in its direction, is none."""
    edges: dict[tuple[Spot, Spot], int] = {}
    for ring in rings:
        spots: list[Spot] = [(x, y) for x, y in ring.tolist()]
        for one, other in itertools.pairwise([*spots, spots[0]]):
            if edges.get((other, one), 0):
                edges[other, one] -= 1
            elif one != other:
                edges[one, other] = edges.get((one, other), 0) + 1
    onward: dict[Spot, list[Spot]] = {}
    for (one, other), times in edges.items():
        onward.setdefault(one, []).extend([other] * times)
    outlines = []
    for start, ways in onward.items():
        while ways:
            walk = [start, ways.pop()]
            while walk[-1] != start and onward.get(walk[-1]):
                walk.append(onward[walk[-1]].pop())
            outlines.append(np.array(walk, dtype=np.int64))
    return outlines


def _straightened(ring: Pixels) -> Pixels:
    """Return a ring without the points on a line between others."""
    steps = np.diff(ring, axis=0)
    turns = (steps[1:] != steps[:-1]).any(axis=1)
    straight: Pixels = ring[np.concatenate([[True], turns, [True]])]
    return straight


def _area(ring: Pixels) -> float:
    return abs(_signed_area(ring))


def _signed_area(ring: Pixels) -> float:
    x, y = ring.T
    return float(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2


def _written(ring: Pixels) -> str:
    """Return a closed path, each point relative to the one before; a minus parts two numbers as well as a space."""
    numbers = np.diff(ring, axis=0).ravel().tolist()
    moves = "".join(f"{number}" if number < 0 or not place else f" {number}" for place, number in enumerate(numbers))
    return f"M{ring[0, 0]} {ring[0, 1]}l{moves}z"


def _dot(ring: Pixels) -> str:
    """Return a square for a country that is smaller than what is drawn."""
    return f"M{ring[0, 0] - 1} {ring[0, 1] - 1}h2v2h-2z"
