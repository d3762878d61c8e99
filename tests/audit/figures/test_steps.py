"""What each step did to whom: inclusion ratios of planted losses, and no small cell among them."""

from __future__ import annotations

import pytest

from pmd.audit.figures import steps
from pmd.audit.report import steps_section
from tests.audit import planted

pytestmark = pytest.mark.usefixtures("english")


def _rows(by: str) -> dict[str, dict[str, object]]:
    return {row["value"]: row for row in planted.content()["steps"]["sources"]["yfcc100m"]["by"][by]["rows"]}


def test_opt_outs_are_a_step_of_their_own() -> None:
    told = planted.content()["steps"]
    assert [one["step"] for one in told["steps"]] == ["curate", "images", "asked", "fetch"]
    assert told["sources"]["yfcc100m"]["pairs"] == [1000, 1000, 950, 790]
    assert steps.of(["curate", "images"]) == ["curate", "images"]


def test_the_ratio_of_a_country() -> None:
    rows = _rows("country")
    assert rows["DE"]["pairs"] == [280, 280, 280, 280]
    assert rows["DE"]["ratios"] == [None, 1.0, pytest.approx(1000 / 950, rel=1e-5), pytest.approx(950 / 790, rel=1e-5)]
    assert rows["DE"]["ratio"] == pytest.approx(1000 / 790, rel=1e-5)
    assert rows["VN"]["pairs"] == [220, 220, 220, 60]
    assert rows["VN"]["ratios"][3] == pytest.approx(60 / 220 / (790 / 950), rel=1e-5)  # type: ignore[index]
    assert rows["VN"]["intervals"] == [None] * 4
    assert "LI" not in rows


def test_ratios_by_income_user_size_term_host_and_year() -> None:
    content = planted.content()["steps"]["sources"]["yfcc100m"]["by"]
    assert set(content) == {"country", "income", "gender", "language", "user_size", "host_size", "host", "year"}
    assert _rows("income")["high"]["pairs"] == [385, 385, 335, 335]
    assert _rows("user_size")["2–9"]["pairs"][0] == 605  # type: ignore[index]
    assert _rows("user_size")["100–999"]["pairs"][0] == 395  # type: ignore[index]
    assert _rows("host")["a.de"]["pairs"][0] == 500  # type: ignore[index]
    assert _rows("host_size")["100–999"]["pairs"][0] == 1000  # type: ignore[index]
    assert _rows("gender")["female"]["pairs"][0] == 750  # type: ignore[index]
    assert _rows("year")["2012"]["pairs"] == [100, 100, 50, 50]


def test_texts_of_a_sample_have_intervals() -> None:
    found = steps._ratios([100, 100, 60], [1000, 1000, 800], 0.5)
    assert found["ratio"] == pytest.approx(0.75)
    low, high = found["interval"]
    assert low < 0.75 < high
    assert steps._ratios([100, None, 60], [1000, 900, 800], 0.0)["ratios"] == [None, None, None]


def test_whom_link_rot_removed_is_told_in_a_sentence() -> None:
    said = steps_section.whom(planted.content()).replace("\u00a0", " ")
    assert said.startswith("Link rot removed 16.8 % of yfcc100m's 950 pairs that were asked for: by ")
    assert "72.7 % for Vietnam and hardly any for Germany" in said
    assert "72.7 % for lower middle income and 0 % for high income" in said
    # All lie on two hosts, which are the coarser clusters.
    assert said.endswith("cannot be tested: too little was lost, or few users or hosts decide.")


def test_that_sizes_could_be_tested_says_nothing_of_what_pairs_show() -> None:
    content = planted.content()
    refused = {"source": "yfcc100m", "stage": "fetch", "section": "countries", "finding": False, "refused": "too few"}
    answered = {**refused, "refused": None}
    of_hosts = {**answered, "section": "host_sizes"}
    ends = {
        "cannot be tested: too little was lost, or few users or hosts decide.": [refused, of_hosts],
        "No test clustered by user or host calls it uneven for what pairs show.": [answered, of_hosts],
    }
    for end, tests in ends.items():
        assert steps_section.whom({**content, "tests": tests}).replace("\u00a0", " ").endswith(end)


def test_the_section_stands_with_its_picture_and_tables() -> None:
    page = steps_section.section(planted.content())
    assert page.count('<div class="plot"') == 1
    assert 'aria-label="Vietnam: 0.33 by dead links; Vietnam: 0.35 by all steps"' in page
    assert '<li class="row heading">country of the geotag</li>' in page
    assert "Inclusion ratio by country of the geotag" in page
    assert "too_few_words 3,000" in page
    assert "opt-outs" in page


def test_nothing_lost_is_said_so() -> None:
    content = planted.content()
    kept = {
        source: {**one, "pairs": [5, 5], "link_rot": {"lost": 0}} for source, one in content["steps"]["sources"].items()
    }
    nothing = {**content, "steps": {**content["steps"], "sources": kept}}
    assert "No pair was lost to a dead link." in steps_section.section(nothing)
    before = {**nothing, "stages": ["curate", "images"]}
    assert "Nothing has been fetched yet, so no link is known to be dead." in steps_section.section(before)
