"""Countries of geotags: longitude and latitude to a time zone, to the one country that has it.

The polygons are those of the time zones (tzfpy; data from OpenStreetMap by way of timezone-boundary-builder, ODbL), the
countries those that the IANA time zone database (pytz) gives each zone. No polygon of countries is needed that way, and
both tables come inside pinned wheels. Where zones and countries part, and where land is disputed, `pmd.audit.places.territories`
decides. Waters belong to the country of their zone up to twelve nautical miles; further out the answer is "ZZ".
benchmarks/gazetteer.py compares it with 170,391 settlements.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytz
import tzfpy
from numpy.typing import NDArray

from pmd.audit import fields
from pmd.audit.places import cells, territories

#: No single country, or none.
NOWHERE: Final = territories.NOWHERE
KOSOVO: Final = territories.KOSOVO

#: What is written for "no place": the 23-column YFCC100M has -1, -1, and forms and cameras without a fix 0, 0. Neither is land,
#: and nothing else is within ten kilometres of either. The corners of the range are what a wrong number is cut down to.
PLACEHOLDERS: Final = frozenset(
    {(0.0, 0.0), (-1.0, -1.0), (180.0, 90.0), (-180.0, -90.0), (180.0, -90.0), (-180.0, 90.0)}
)

#: Degrees that there are, at most.
_EAST: Final = 180
_NORTH: Final = 90

#: What may be amiss with numbers that someone wrote for a place. They are spelled otherwise ("48,85", "48°51′N"). The latitude is
#: beyond a pole: perhaps both stand in each other's column. Or the longitude is beyond 180: perhaps it is counted to 360.
AMISS: Final = ("no decimal degrees", "latitude beyond 90", "longitude beyond 180")
#: What writers put where there is no number.
_NOTHING: Final = frozenset({"", "nan", "none", "null", "inf", "-inf"})

#: What ships keep far from land; no country has these zones.
_AT_SEA: Final = "Etc/"


def position(longitude: Any, latitude: Any) -> tuple[float, float] | None:
    """Return a geotag as numbers, in degrees, or None where there is none.

    None for what is empty, no number or out of range, and for `PLACEHOLDERS`.
    """
    if longitude == "" or latitude == "":  # most photographs: sooner told than by an exception
        return None
    try:
        east, north = float(longitude), float(latitude)
    except (TypeError, ValueError):
        return None
    if not (math.isfinite(east) and math.isfinite(north)) or abs(east) > _EAST or abs(north) > _NORTH:
        return None
    return None if (east, north) in PLACEHOLDERS else (east, north)


def countries(longitudes: pa.Array, latitudes: pa.Array) -> tuple[pa.Array, NDArray[np.bool_]]:
    """Return the country of each geotag, "" where there is none, or one in no single country, and whether it is that.

    Args:
        longitudes: As JSON spells them, null for none.
        latitudes: The same.
    """
    found = np.full(len(longitudes), "", dtype=object)
    rows = _given(longitudes, latitudes)
    (east, is_east), (north, is_north) = (_degrees(some.take(pa.array(rows))) for some in (longitudes, latitudes))
    plain = is_east & is_north
    sound = plain & (np.abs(east) <= _EAST) & (np.abs(north) <= _NORTH)
    for nowhere_east, nowhere_north in PLACEHOLDERS:
        sound &= (east != nowhere_east) | (north != nowhere_north)
    found[rows[sound]] = _countries(east[sound], north[sound])
    for row in rows[~plain].tolist():
        at = position(fields.value(longitudes[row].as_py()), fields.value(latitudes[row].as_py()))
        if at is not None:
            found[row] = country(*at)
    nowhere = found == NOWHERE
    found[nowhere] = ""
    return pa.array(found, pa.string()), nowhere.astype(bool)


def _given(longitudes: pa.Array, latitudes: pa.Array) -> NDArray[np.intp]:
    """Return the rows that have both. Most photographs have none: these are told apart all at once."""
    given = [pc.fill_null(pc.not_equal(some, '""'), fill_value=False) for some in (longitudes, latitudes)]
    return np.flatnonzero(pc.and_(*given).to_numpy(zero_copy_only=False))


def amiss(longitudes: pa.Array, latitudes: pa.Array) -> pa.DictionaryArray:
    """Return what is amiss with each pair of values: `AMISS`, or "" where it is a geotag, `PLACEHOLDERS`, or none was written.

    Args:
        longitudes: As JSON spells them, null for none.
        latitudes: The same.
    """
    rows = _given(longitudes, latitudes)
    (east, is_east), (north, is_north) = (_degrees(some.take(pa.array(rows))) for some in (longitudes, latitudes))
    plain = is_east & is_north
    codes = np.zeros(len(longitudes), np.int8)
    codes[rows[plain & (np.abs(east) > _EAST)]] = 3
    codes[rows[plain & (np.abs(north) > _NORTH)]] = 2
    for row in rows[~plain].tolist():
        codes[row] = _amiss(fields.value(longitudes[row].as_py()), fields.value(latitudes[row].as_py()))
    return pa.DictionaryArray.from_arrays(codes, pa.array(["", *AMISS]))


def _amiss(longitude: Any, latitude: Any) -> int:
    """Return the place in `AMISS`, from 1 on; 0 for nothing."""
    if any(str(one).strip().lower() in _NOTHING for one in (longitude, latitude)):
        return 0
    try:
        east, north = float(longitude), float(latitude)
    except (TypeError, ValueError):
        return 1
    if abs(north) > _NORTH:
        return 2
    return 3 if abs(east) > _EAST else 0


def _degrees(values: pa.Array) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return what JSON says as numbers, and which of them are decimal numbers, in quotation marks or not; others are NaN."""
    is_plain = pc.match_substring_regex(values, r'^("-?[0-9]{1,3}(\.[0-9]{1,15})?"|-?[0-9]{1,3}\.[0-9]{1,15})$')
    plain = is_plain.to_numpy(zero_copy_only=False)
    found = np.full(len(values), np.nan)
    found[plain] = pc.utf8_trim(values.filter(is_plain), '"').cast(pa.float64()).to_numpy(zero_copy_only=False)
    return found, plain


def _countries(east: NDArray[np.float64], north: NDArray[np.float64]) -> NDArray[np.object_]:
    """Return `country` of points: of a cell that lies in one country asked once, of others point by point."""
    codes, place = np.unique(cells.of(east, north), return_inverse=True)
    told = [_of_cell(cell) for cell in codes.tolist()]
    found: NDArray[np.object_] = np.array(told, dtype=object)[place]
    others = np.flatnonzero(np.array([one is None for one in told], dtype=bool)[place])
    found[others] = [country(*at) for at in zip(east[others].tolist(), north[others].tolist(), strict=True)]
    return found


@functools.lru_cache(maxsize=2**17)
def _of_cell(cell: int) -> str | None:
    """Return the country of all points of a cell; None of none (-1), and where a point of it tells."""
    found = _of_zones(tuple(tzfpy.get_tzs(*cells.middle(cell)))) if cell >= 0 else None
    return found if isinstance(found, str) else None


@functools.lru_cache(maxsize=2**15)  # photographs of one place, and of one journey, often have the very same point
def country(longitude: float, latitude: float) -> str:
    """Return the ISO 3166 code of the one country that a point lies in ("XK" for Kosovo), else "ZZ"."""
    found = _of_zones(tuple(tzfpy.get_tzs(longitude, latitude)))
    return found if isinstance(found, str) else found(longitude, latitude)


def country_of_zone(zone: str, longitude: float, latitude: float) -> str:
    """Return the country of a zone's land; of a zone of several countries, of its land at a point."""
    found = _of_zones((zone,))
    return found if isinstance(found, str) else found(longitude, latitude)


@functools.lru_cache(maxsize=4096)  # of zones that overlap there are some dozens of sets
def _of_zones(zones: tuple[str, ...]) -> str | Callable[[float, float], str]:
    """Return the country of zones that cover a point, or what tells it from the point."""
    on_land = tuple(zone for zone in zones if not zone.startswith(_AT_SEA))
    if len(on_land) == 1 and on_land[0] in territories.DIVIDED:
        return territories.DIVIDED[on_land[0]]
    countries = _country_of_zone()
    codes = {countries.get(zone, NOWHERE) for zone in on_land}
    return codes.pop() if len(codes) == 1 else territories.of_overlap(on_land)


def name(code: str) -> str:
    """Return a country's English name by the IANA database; for "ZZ" and unknown codes a description or the code."""
    if code == NOWHERE:
        return "at sea, or no single country"
    return "Kosovo" if code == KOSOVO else str(pytz.country_names.get(code, code))


@functools.cache
def _country_of_zone() -> dict[str, str]:
    by_zone: dict[str, set[str]] = {}
    for code in pytz.country_timezones:
        for zone in pytz.country_timezones[code]:
            by_zone.setdefault(zone, set()).add(code)
    return {zone: codes.pop() if len(codes) == 1 else NOWHERE for zone, codes in sorted(by_zone.items())}
