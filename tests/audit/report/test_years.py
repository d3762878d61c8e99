"""What is said of the years of pairs."""

from __future__ import annotations

import re
from typing import Any

from pmd.audit.report import years_section


def told(shares: dict[str, float]) -> dict[str, Any]:
    rows = [{"value": year, "share": share, "pairs": int(share * 1000)} for year, share in shares.items()]
    return {"date": "taken", "shard": {"shares": rows, "coverage": {"share": 0.5, "measured": 500}}}


def test_the_middle_half_is_told_where_it_is_known() -> None:
    said = years_section._reading("yfcc100m", told({"2006": 0.2, "2007": 0.5, "2008": 0.3}), "shard")
    assert "the middle half of them were taken between 2007 and 2008" in said


def test_where_most_years_hold_too_few_pairs_the_largest_is_told() -> None:
    said = years_section._reading("yfcc100m", told({"2006": 0.1, "2008": 0.12}), "shard")
    assert "of the years that are told, most are of 2008 (12" in said


def test_pairs_that_have_dates_of_which_no_year_holds_enough_are_not_said_to_have_none() -> None:
    few = {"date": "posted", "shard": {"shares": [], "coverage": {"share": 1.0, "measured": 21}}}
    none = {"date": "taken", "shard": {"shares": [], "coverage": {"share": 0.0, "measured": 0}}}
    result: dict[str, Any] = {
        "stages": ["shard"],
        "table2": [],
        "sources": {"red_caps": {}, "yfcc100m": {}},
        "geography": {"years": {"red_caps": few, "yfcc100m": none}},
    }
    said = years_section.section(result)
    assert said == '<p class="reading">No year holds enough of red_caps&#x27;s pairs after shard to be shown.</p>'
    result["geography"]["years"] = {"yfcc100m": none}
    assert "No pair here has a date." in years_section.section(result)


def test_a_year_that_is_not_told_is_not_drawn_as_none() -> None:
    before, after = told({"1999": 0.1, "2006": 0.4, "2007": 0.5}), told({"2006": 0.4, "2008": 0.6})
    result: dict[str, Any] = {"stages": ["curate", "shard"]}
    years = {"date": "taken", "curate": before["shard"], "shard": after["shard"]}
    drawn = years_section._drawn(result, "yfcc100m", years, ("curate", "shard"))
    titles = re.findall("<title>([^<]*year: [^<]*)</title>", drawn)
    assert titles == [
        "before 2000 year: 10.0\u00a0%",
        "2006 year: 40.0\u00a0%",
        "2006 year: 40.0\u00a0%",
        "2007 year: 50.0\u00a0%",
        "2008 year: 60.0\u00a0%",
    ]
