"""Land whose time zone does not tell its country, and land that several states claim: what each is counted as, in writing.

Northern Vietnam has Thailand's zone, and Kosovo Serbia's. There a line decides, drawn by hand or taken from Natural Earth (public
domain). Disputed land is counted as the United Nations count it, since their populations stand beside it. Where they say nothing,
its time zone decides: that of those who run the place. This is a rule of counting, and no opinion on whose the land is.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Mapping
from typing import Final

#: "Unknown or unspecified": a code that ISO 3166 leaves to users.
NOWHERE: Final = "ZZ"
#: Kosovo: a code that ISO 3166 leaves to users, and that the European Union, the World Bank and GeoNames use.
KOSOVO: Final = "XK"

#: Kosovo's border, clockwise from its westmost point, to .01 degrees: Natural Earth 1:10m, Admin 0 (world-atlas 2.0.2). Only what
#: lies within Serbia's time zone is asked.
KOSOVO_BORDER: Final[tuple[tuple[float, float], ...]] = (
    (20.06, 42.55), (20.1, 42.65), (20.04, 42.71), (20.03, 42.74), (20.08, 42.77), (20.18, 42.74), (20.22, 42.8),
    (20.48, 42.85), (20.5, 42.88), (20.45, 42.92), (20.46, 42.95), (20.48, 42.97), (20.54, 42.98), (20.56, 43.01),
    (20.6, 43.01), (20.67, 43.08), (20.67, 43.11), (20.62, 43.13), (20.6, 43.2), (20.8, 43.26), (20.86, 43.22),
    (20.84, 43.21), (20.84, 43.17), (21.0, 43.1), (21.09, 43.09), (21.15, 42.99), (21.21, 43.0), (21.23, 42.91),
    (21.26, 42.89), (21.4, 42.85), (21.41, 42.82), (21.38, 42.74), (21.57, 42.72), (21.63, 42.67), (21.74, 42.68),
    (21.77, 42.65), (21.74, 42.62), (21.72, 42.55), (21.62, 42.45), (21.62, 42.39), (21.52, 42.34), (21.56, 42.25),
    (21.47, 42.24), (21.44, 42.25), (21.42, 42.24), (21.43, 42.22), (21.35, 42.22), (21.3, 42.15), (21.3, 42.09),
    (21.24, 42.1), (21.16, 42.17), (21.11, 42.2), (21.03, 42.15), (20.81, 42.09), (20.76, 42.04), (20.74, 41.89),
    (20.68, 41.84), (20.64, 41.87), (20.62, 41.85), (20.57, 41.87), (20.56, 41.9), (20.6, 41.96), (20.55, 42.07),
    (20.55, 42.12), (20.5, 42.21), (20.33, 42.32), (20.24, 42.32), (20.19, 42.39), (20.21, 42.42), (20.15, 42.49),
    (20.06, 42.55),
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Disputed:
    """Land that several states claim.

    Attributes:
        land: Its name.
        counted_as: The code it is counted under; "ZZ" for none.
        claimed_by: Codes of who else claims it, or part of it.
        by: Why: "United Nations", "time zone" or "two zones".
    """

    land: str
    counted_as: str
    claimed_by: tuple[str, ...]
    by: str


#: All land of which states say different things and where photographs may be expected.
DISPUTED: Final = (
    Disputed("Kosovo", KOSOVO, ("RS",), "United Nations"),
    Disputed("West Bank and Gaza", "PS", ("IL",), "United Nations"),
    Disputed("East Jerusalem", "IL", ("PS",), "time zone"),
    Disputed("Golan Heights", "IL", ("SY",), "time zone"),
    Disputed("Crimea", "UA", ("RU",), "United Nations"),
    Disputed("Abkhazia and South Ossetia", "GE", ("RU",), "United Nations"),
    Disputed("Western Sahara", "EH", ("MA",), "United Nations"),
    Disputed("Northern Cyprus", "CY", ("TR",), "United Nations"),
    Disputed("Transnistria", "MD", ("RU",), "United Nations"),
    Disputed("Somaliland", "SO", (), "United Nations"),
    Disputed("Taiwan", "TW", ("CN",), "United Nations"),
    Disputed("Jammu, Kashmir and Ladakh, by the line of control", "IN", ("PK", "CN"), "time zone"),
    Disputed("Azad Kashmir and Gilgit-Baltistan", "PK", ("IN",), "time zone"),
    Disputed("Aksai Chin", "CN", ("IN",), "time zone"),
    Disputed("Arunachal Pradesh", "IN", ("CN",), "time zone"),
    Disputed("Paracel Islands", "CN", ("VN", "TW"), "time zone"),
    Disputed("Southern Kuril Islands", "RU", ("JP",), "time zone"),
    Disputed("Abu Musa and the Tunbs", "IR", ("AE",), "time zone"),
    Disputed("Falkland Islands", "FK", ("AR",), "United Nations"),
    Disputed("Gibraltar", "GI", ("ES",), "United Nations"),
    Disputed("Guyana west of the Essequibo", "GY", ("VE",), "United Nations"),
    Disputed("Abyei and Kafia Kingi", NOWHERE, ("SD", "SS"), "two zones"),
    Disputed("Hala'ib", "EG", ("SD",), "time zone"),
)

#: Zones that overlap where the country is settled all the same.
_OVERLAPPING: Final[Mapping[frozenset[str], str]] = {
    frozenset({"Asia/Hebron", "Asia/Jerusalem"}): "PS",  # settlements in the West Bank keep Israel's time
    frozenset({"Asia/Tbilisi", "Europe/Moscow"}): "GE",  # Abkhazia and South Ossetia keep Russia's
}


def _of_bangkok(longitude: float, latitude: float) -> str:
    """Return Vietnam north of the 17th parallel, which has kept Thailand's time since 1967; Laos and its zone lie between."""
    # Thailand ends at 102.2° E where it reaches 18.6° N, and at 104.9° E where it reaches 16.9° N.
    is_vietnam = (latitude >= 18.6 and longitude >= 102.0) or (latitude >= 16.9 and longitude >= 105.0)
    return "VN" if is_vietnam or latitude > 20.6 else "TH"


def _of_belgrade(longitude: float, latitude: float) -> str:
    return KOSOVO if _is_within(longitude, latitude, KOSOVO_BORDER) else "RS"


#: Zones of several countries → which of them has a point.
DIVIDED: Final[Mapping[str, Callable[[float, float], str]]] = {
    "Asia/Bangkok": _of_bangkok,
    "Europe/Belgrade": _of_belgrade,
}


def of_overlap(zones: tuple[str, ...]) -> str:
    """Return the country of land that has the zones of several; "ZZ" where that is not settled."""
    return _OVERLAPPING.get(frozenset(zones), NOWHERE)


def _is_within(longitude: float, latitude: float, ring: tuple[tuple[float, float], ...]) -> bool:
    """Return whether a line eastwards from a point crosses a closed ring an odd number of times."""
    crossed = False
    for (x, y), (next_x, next_y) in itertools.pairwise(ring):
        if (y > latitude) != (next_y > latitude):
            crossed ^= longitude < x + (next_x - x) * (latitude - y) / (next_y - y)
    return crossed
