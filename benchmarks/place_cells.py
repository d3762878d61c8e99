"""Write what is made of the polygons of time zones: cells that no border crosses, and the map's shapes; ask points in cells.

    python benchmarks/place_cells.py [--write] [--points 100000]

A cell is crossed where a piece of a border comes within a thousandth of a degree of it: rather one too many. Points are drawn
in cells beside crossed ones, two fifths of them at an edge; each must have the zones of its cell's middle. Without `--write`
the files must be the same (`pmd.audit.places.cells`, `pmd.audit.report.worldmap`).
"""

from __future__ import annotations

import argparse
import json
import zlib

import numpy as np
import orjson
import tzfpy
from numpy.typing import NDArray

from pmd.audit.places import cells
from pmd.audit.report import worldmap

#: Degrees that a border is taken to reach beyond itself.
_NEAR = 1e-3
_PIECE = 0.5  # of a cell: longer edges are cut


def crossed() -> NDArray[np.bool_]:
    """Return which cells a border crosses; shape (north, east)."""
    found = np.zeros((cells.NORTH, cells.EAST), np.bool_)
    for name in tzfpy.timezonenames():
        for feature in orjson.loads(tzfpy.get_tz_polygon_geojson(name))["features"]:
            shape = feature["geometry"]
            polygons = shape["coordinates"] if shape["type"] == "MultiPolygon" else [shape["coordinates"]]
            for ring in (ring for polygon in polygons for ring in polygon):
                _mark(found, np.array(ring, np.float64))
    return found


def _mark(found: NDArray[np.bool_], ring: NDArray[np.float64]) -> None:
    starts, ends = ring, np.roll(ring, -1, axis=0)
    pieces = np.ceil(np.abs(ends - starts).max(axis=1) * cells.A_DEGREE / _PIECE).astype(np.int64) + 1
    edge = np.repeat(np.arange(len(ring)), pieces)
    number = np.arange(len(edge)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    step = (ends - starts)[edge] / pieces[edge][:, None]
    first = starts[edge] + step * number[:, None]
    low, high = np.minimum(first, first + step) - _NEAR, np.maximum(first, first + step) + _NEAR
    east, north = (
        [np.clip(np.floor((one[:, axis] + half) * cells.A_DEGREE).astype(np.int64), 0, most - 1) for one in (low, high)]
        for axis, half, most in ((0, 180, cells.EAST), (1, 90, cells.NORTH))
    )
    for x in east:
        for y in north:
            found[y, x] = True


def unlike(crossed: NDArray[np.bool_], points: int) -> int:
    """Return how many points of cells beside crossed ones have other zones than the middle of their cell."""
    beside = np.zeros_like(crossed)
    for x in (-1, 0, 1):
        for y in (-1, 0, 1):
            beside |= np.roll(np.roll(crossed, y, 0), x, 1)
    some = np.argwhere(beside & ~crossed)
    dice = np.random.default_rng(3)
    within = dice.random((points, 2))
    within = np.where(dice.random(within.shape) < 0.4, np.round(within) * 0.999999, within)
    wrong = 0
    for (north, east), (up, right) in zip(
        some[dice.integers(0, len(some), points)].tolist(), within.tolist(), strict=True
    ):
        at = ((east + right) / cells.A_DEGREE - 180, (north + up) / cells.A_DEGREE - 90)
        wrong += tzfpy.get_tzs(*at) != tzfpy.get_tzs(*cells.middle(north * cells.EAST + east))
    return wrong


def main() -> int:
    """Write or compare, ask, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help=f"write {cells.FILE.name} and {worldmap.FILE.name}")
    parser.add_argument("--points", type=int, default=100_000)
    told = parser.parse_args()
    found = crossed()
    content = zlib.compress(np.packbits(~found.reshape(-1)).tobytes(), 9)
    shapes = zlib.compress(orjson.dumps(worldmap.put_together()), 9)
    if told.write:
        cells.FILE.write_bytes(content)
        worldmap.FILE.write_bytes(shapes)
    said = {
        "version": tzfpy.data_version(),
        "crossed": float(found.mean()),
        "bytes": [len(content), len(shapes)],
        "same": all(
            zlib.decompress(made) == zlib.decompress(file.read_bytes())
            for made, file in ((content, cells.FILE), (shapes, worldmap.FILE))
        ),
        "points": told.points,
        "unlike": unlike(found, told.points),
    }
    print(json.dumps(said))
    return 0 if said["same"] and said["version"] == cells.VERSION and not said["unlike"] else 1


if __name__ == "__main__":
    raise SystemExit(main())
