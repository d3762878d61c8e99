"""Years and countries' domains."""

from __future__ import annotations

import orjson
import pyarrow as pa
import pytest

from pmd import manifests
from pmd.audit.counting import traits


@pytest.mark.parametrize(
    ("source", "date", "year"),
    [
        ("yfcc100m", "2011-05-03 10:20:30.0", "2011"),
        ("yfcc100m", "1999-12-31", "1999"),
        ("yfcc100m", "2015-01-01 00:00:00.0", ""),  # gathered in 2014
        ("yfcc100m", "0001-01-01 00:00:00.0", ""),
        ("yfcc100m", "", ""),
        ("yfcc100m", None, ""),
        ("yfcc100m", "null", ""),
        ("red_caps", 1514764799, "2017"),
        ("red_caps", "1514764800", "2018"),
        ("red_caps", -5, ""),
        ("red_caps", 10**15, ""),
        ("red_caps", True, ""),
        ("red_caps", 1514764799.0, "2017"),  # pandas has made floats of them
        ("red_caps", "1514764800.0", "2018"),
        ("red_caps", -5.0, ""),
        ("red_caps", 1e15, ""),
        ("yfcc100m", "1969-12-31 23:59:59", "1969"),
        ("yfcc100m", "0000-00-00 00:00:00", ""),
        ("yfcc100m", "11-05-03 10:20:30", ""),
    ],
)
def test_years(source: str, date: object, year: str) -> None:
    last_year = manifests.load(source).recorded.last_year
    assert last_year is not None
    assert traits.year(date, last_year) == year
    spelled = None if date is None else orjson.dumps(date).decode()
    assert traits.years(pa.array([spelled], pa.string()), last_year).to_pylist() == [year]


@pytest.mark.parametrize(
    ("host", "code"),
    [
        ("example.de", "DE"),
        ("bbc.co.uk", "GB"),
        ("ukr.ua", "UA"),
        ("xn--d1abbgf6aiiy.xn--p1ai", "RU"),
        ("xn--r8jz45g.xn--fiqs8s", "CN"),
        ("a.xn--fiqz9s", "CN"),
        ("a.xn--vermgensberatung-pwb", ""),  # a script's own letters are no country
        ("staticflickr.com", ""),
        ("youtu.be", "BE"),
        ("a.tv", ""),
        ("b.io", ""),
        ("c.co", ""),
        ("d.me", ""),
        ("e.ai", ""),
        ("f.fm", ""),
        ("g.ly", ""),
        ("h.gg", ""),
        ("i.to", ""),
        ("j.eu", ""),
        ("192.0.2.1", ""),
        ("", ""),
        ("xn--p1ai", ""),
    ],
)
def test_domains_of_countries(host: str, code: str) -> None:
    assert traits.suffix(host) == code
