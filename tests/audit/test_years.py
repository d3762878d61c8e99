"""What is said of the years of pairs."""

from __future__ import annotations

from typing import Any

from pmd.audit import years_section


def told(shares: dict[str, float]) -> dict[str, Any]:
    rows = [{"value": year, "share": share, "pairs": int(share * 1000)} for year, share in shares.items()]
    return {"date": "taken", "shard": {"shares": rows, "coverage": {"share": 0.5, "measured": 500}}}


def test_the_middle_half_is_told_where_it_is_known() -> None:
    said = years_section._reading("yfcc100m", told({"2006": 0.2, "2007": 0.5, "2008": 0.3}), "shard")
    assert "the middle half of them were taken between 2007 and 2008" in said


def test_where_most_years_hold_too_few_pairs_the_largest_is_told() -> None:
    said = years_section._reading("yfcc100m", told({"2006": 0.1, "2008": 0.12}), "shard")
    assert "of the years that are told, most are of 2008 (12" in said
