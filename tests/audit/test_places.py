"""Countries of geotags."""

from __future__ import annotations

import pytest

from pmd.audit import places


@pytest.mark.parametrize(
    ("longitude", "latitude", "expected"),
    [
        ("-81.804885", "24.550558", (-81.804885, 24.550558)),
        (2.35, 48.85, (2.35, 48.85)),
        ("-1.0", "-1.0", None),
        ("-1.0", "51.0", (-1.0, 51.0)),
        ("", "", None),
        (None, None, None),
        ("east", "north", None),
        ("nan", "1", None),
        ("181", "0", None),
        ("0", "90.5", None),
    ],
)
def test_positions(longitude: object, latitude: object, expected: tuple[float, float] | None) -> None:
    assert places.position(longitude, latitude) == expected


@pytest.mark.parametrize(
    ("longitude", "latitude", "code"),
    [
        (-81.80, 24.55, "US"),
        (2.35, 48.85, "FR"),
        (87.6, 43.8, "CN"),  # two time zones overlap here, both of one country
        (-0.12, 51.5, "GB"),
        (-30.0, 0.0, places.NOWHERE),  # at sea
    ],
)
def test_countries(longitude: float, latitude: float, code: str) -> None:
    assert places.country(longitude, latitude) == code


def test_names() -> None:
    assert places.name("FR") == "France"
    assert places.name("ZZ") == "at sea, or no single country"
