"""Countries of geotags: longitude and latitude to a time zone to the one country that has it.

The polygons are those of the time zones (tzfpy; data from OpenStreetMap by way of timezone-boundary-builder, ODbL), the
countries those that the IANA time zone database (pytz) gives each zone. No polygon of countries is needed that way, and
both tables come inside pinned wheels. At sea, and where the zones of several countries overlap, the answer is "ZZ".
"""

from __future__ import annotations

import functools
import math
from typing import Any, Final

import pytz
import tzfpy

#: "Unknown or unspecified": a code that ISO 3166 leaves to users.
NOWHERE: Final = "ZZ"


def position(longitude: Any, latitude: Any) -> tuple[float, float] | None:
    """Return a geotag as numbers, in degrees, or None where there is none.

    None for what is empty, no number or out of range, and for "-1.0", "-1.0", which the 23-column YFCC100M
    writes for "no place".
    """
    try:
        east, north = float(longitude), float(latitude)
    except (TypeError, ValueError):
        return None
    if not (math.isfinite(east) and math.isfinite(north)) or abs(east) > 180 or abs(north) > 90:
        return None
    return None if (east, north) == (-1.0, -1.0) else (east, north)


def country(longitude: float, latitude: float) -> str:
    """Return the ISO 3166 code of the one country whose time zone covers a point, else "ZZ"."""
    countries = _country_of_zone()
    codes = {countries.get(zone, NOWHERE) for zone in tzfpy.get_tzs(longitude, latitude)}
    return codes.pop() if len(codes) == 1 else NOWHERE


def name(code: str) -> str:
    """Return a country's English name by the IANA database; for "ZZ" and unknown codes a description or the code."""
    if code == NOWHERE:
        return "at sea, or no single country"
    return str(pytz.country_names.get(code, code))


@functools.cache
def _country_of_zone() -> dict[str, str]:
    by_zone: dict[str, set[str]] = {}
    for code in pytz.country_timezones:
        for zone in pytz.country_timezones[code]:
            by_zone.setdefault(zone, set()).add(code)
    return {zone: codes.pop() if len(codes) == 1 else NOWHERE for zone, codes in sorted(by_zone.items())}
