"""Cells of a quarter of a degree that no border of a time zone crosses: all points of one lie in the same zones.

So a million geotags are told by some tens of thousands of points. Which cells those are stands in `cells.bin`, a bit a cell,
written by benchmarks/place_cells.py from tzfpy's polygons (© OpenStreetMap contributors, ODbL 1.0) of one version. With another
version's polygons there are none, and every point is asked for by itself.
"""

from __future__ import annotations

import functools
import zlib
from pathlib import Path
from typing import Final

import numpy as np
import tzfpy
from numpy.typing import NDArray

#: The version of the polygons (`tzfpy.data_version()`).
VERSION: Final = "2026e"
#: Cells of a degree, and of the globe eastwards and northwards.
A_DEGREE: Final = 4
EAST: Final = 360 * A_DEGREE
NORTH: Final = 180 * A_DEGREE
FILE: Final = Path(__file__).with_name("cells.bin")


def of(longitudes: NDArray[np.float64], latitudes: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the cell of each point; -1 where a border crosses it.

    Args:
        longitudes: Degrees, -180 to 180.
        latitudes: Degrees, -90 to 90.
    """
    east = np.floor((longitudes + 180) * A_DEGREE).astype(np.int64)
    north = np.floor((latitudes + 90) * A_DEGREE).astype(np.int64)
    within = (east < EAST) & (north < NORTH)  # not the pole, nor the last meridian
    cell = np.where(within, north * EAST + east, 0)
    found: NDArray[np.int64] = np.where(within & _whole()[cell], cell, -1)
    return found


def middle(cell: int) -> tuple[float, float]:
    """Return the longitude and latitude of the middle of a cell."""
    north, east = divmod(cell, EAST)
    return (east + 0.5) / A_DEGREE - 180, (north + 0.5) / A_DEGREE - 90


@functools.cache
def _whole() -> NDArray[np.bool_]:
    """Return which cells no border crosses."""
    if tzfpy.data_version() != VERSION:
        return np.zeros(EAST * NORTH, np.bool_)
    return np.unpackbits(np.frombuffer(zlib.decompress(FILE.read_bytes()), np.uint8)).astype(np.bool_)
