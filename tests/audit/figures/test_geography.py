"""Places beside people: by photograph and by user, against planted truths."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest

from pmd.audit.figures import tables
from pmd.audit.places import population
from pmd.audit.report import geography_section
from pmd.audit.report import sections as report
from tests.audit import planted

pytestmark = pytest.mark.usefixtures("english")


def test_countries_by_photograph_and_by_user() -> None:
    told = planted.content()["geography"]["sources"]["yfcc100m"]
    before = {row["country"]: row for row in told["curate"]["countries"]}
    assert {code: row["pairs"] for code, row in before.items()} == {"DE": 280, "VN": 220}
    # Five of Liechtenstein are few, and would follow from the total if the next smallest were shown.
    assert told["curate"]["other"]["pairs"] == 105
    assert (before["DE"]["users"], before["VN"]["users"]) == (60, 40)
    assert before["DE"]["share"] == pytest.approx(280 / 605, rel=1e-5)
    assert before["DE"]["to_people"] == pytest.approx(280 / 605 / 0.08, rel=1e-5)
    assert before["VN"]["per_million_people"] == pytest.approx(220 / 90 * 1e6, rel=1e-5)
    assert before["DE"]["per_million_internet_users"] == pytest.approx(280 / 64 * 1e6, rel=1e-5)
    assert before["DE"]["to_internet_users"] == pytest.approx(280 / 605 / (64 / (64 + 210 + 27)), rel=1e-5)
    assert told["curate"]["coverage"]["measured"] == 605
    assert told["curate"]["users"] == {
        "measured": 121,
        "eligible": 124,
        "share": pytest.approx(121 / 124, rel=1e-5),
        "of": "users",
        "rest": "has no photograph with a country",
    }


def test_countries_of_which_nothing_is_known_are_in_neither_share(monkeypatch: pytest.MonkeyPatch) -> None:
    """A table without Vietnam: Germany's photographs are told of those elsewhere, as its internet users are."""
    rows = tuple(row for row in planted.ROWS if row.country != "VN")
    people = {code: number for code, number in planted.BESIDE.people.items() if code != "VN"}
    beside = population.Beside(2010, population.Population(2010, people, 1000), rows)
    monkeypatch.setattr(planted, "BESIDE", beside)
    told = planted.content.__wrapped__()["geography"]["sources"]["yfcc100m"]["curate"]["countries"]
    germany, vietnam = ({row["country"]: row for row in told}[code] for code in ("DE", "VN"))
    assert germany["share"] == pytest.approx(280 / 605, rel=1e-5)
    assert germany["to_people"] == pytest.approx(280 / (605 - 220) / (80 / (1000 - 90)), rel=1e-5)
    assert germany["to_internet_users"] == pytest.approx(280 / (605 - 220) / (64 / (64 + 210)), rel=1e-5)
    assert vietnam.keys().isdisjoint({"to_people", "to_internet_users"})


def test_the_share_of_high_income_has_its_interval_and_its_bounds() -> None:
    told = planted.content()["geography"]["sources"]["yfcc100m"]["curate"]["high_income"]
    photographs, users = told["photographs"], told["users"]
    assert photographs["value"] == pytest.approx(385 / 605, rel=1e-5)
    assert (photographs["exact"], photographs["interval"], photographs["known"]) == (True, None, 605)
    # 395 have no place.
    assert photographs["bounds"] == [0.385, 0.78]
    assert users["value"] == pytest.approx(81 / 121, rel=1e-5)
    assert users["bounds"] == [pytest.approx(81 / 124, rel=1e-5), pytest.approx(84 / 124, rel=1e-5)]
    low, high = users["another_draw"]["interval"]
    assert 0.55 < low < 81 / 121 < high < 0.78
    assert (users["another_draw"]["cluster"], users["another_draw"]["clusters"]) == ("user", 121)
    draw = photographs["another_draw"]
    assert draw["clusters"] == 121
    assert draw["interval"][0] < 385 / 605 < draw["interval"][1]


def test_incomes_beside_people_and_internet_users() -> None:
    rows = {row["class"]: row for row in planted.content()["geography"]["sources"]["yfcc100m"]["curate"]["incomes"]}
    assert rows["high"]["pairs"] == {"number": 385, "share": pytest.approx(385 / 605, rel=1e-5)}
    assert rows["high"]["people"] == {"number": 381, "share": pytest.approx(381 / 471, rel=1e-5)}
    assert rows["lower_middle"]["internet_users"]["number"] == 27
    assert rows["low"]["pairs"] == {"number": None, "share": None}


def test_the_page_says_what_a_dash_among_incomes_is() -> None:
    result = planted.content()
    source = result["geography"]["sources"]["yfcc100m"]
    ends, taken = ("curate", "fetch"), [one["step"] for one in result["steps"]["steps"]]
    assert "–: none, or too few to show." in geography_section._incomes("yfcc100m", source, ends, taken)
    for stage in ends:
        for row in source[stage]["incomes"]:
            for kind in ("pairs", "users"):
                row[kind]["share"] = 0.25
            row["internet_users"] = {"number": None, "share": None}  # as of a table without
    assert "too few to show" not in geography_section._incomes("yfcc100m", source, ends, taken)


def test_years_and_domains() -> None:
    told = planted.content()["geography"]
    assert told["years"]["yfcc100m"]["date"] == "taken"
    curate = told["years"]["yfcc100m"]["curate"]
    assert {row["value"]: row["pairs"] for row in curate["shares"]}["2012"] == 100
    assert (curate["coverage"]["measured"], curate["coverage"]["eligible"]) == (605, 1000)
    assert told["suffixes"]["yfcc100m"]["curate"]["shares"] == [{"value": "DE", "pairs": 500, "share": 1.0}]
    assert "tv" in told["sold_abroad"]


class _Text(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []

    def handle_data(self, data: str) -> None:
        self.said.append(data)


def _read(page: str) -> str:
    parser = _Text()
    parser.feed(page)
    return " ".join("".join(parser.said).replace("\u00a0", " ").split())


def test_the_page_says_where_beside_whom_and_what_not_to_claim() -> None:
    page = report.html(planted.content())
    text = _read(page[page.index('<h2 id="geography">') : page.index("</section>", page.index('<h2 id="geography">'))])
    # Of India no income is known, so its people are in neither share.
    assert (
        "of yfcc100m's photographs after fetch in a country of known income are in high-income ones (another draw"
        in text
    )
    assert "which have 80.9 % of the people of all countries of known income; of all" in text
    assert "share of these after fetch" in text
    assert "of all its photographs, placed or not, between" in text
    assert "After curate it was 63.6 %." in text
    assert "a photographed country is not a home" in text
    assert "Kosovo" in text  # among disputed land
    assert "Download" not in text


def test_the_page_says_what_to_download_and_install() -> None:
    content = planted.content(with_reference=False)
    text = _read(geography_section.section(content))
    assert "No populations: no populations were read. Run" in text
    assert "Download them by name, World Bank, “World Bank country classifications by income level”" in text
    assert "IT.NET.USER.ZS" in text
    assert "Germany has" in text
    assert "http" not in geography_section.section(content)


def test_without_a_place_there_is_no_map() -> None:
    content = planted.content()
    nothing = {**content, "geography": {**content["geography"], "sources": {}}}
    assert "No photograph here lies in a country that is known." in geography_section.section(nothing)


def test_places_and_steps_are_handed_out_as_tables() -> None:
    found = tables.tables(planted.content())
    (germany,) = [
        row for row in found["geography.countries"].to_pylist() if (row["stage"], row["country"]) == ("curate", "DE")
    ]
    assert (germany["pairs"], germany["users"]) == (280, 60)
    high = [row for row in found["geography.high_income"].to_pylist() if row["stage"] == "curate"]
    assert {row["of"]: row["share"] for row in high} == {
        "photographs": pytest.approx(385 / 605, rel=1e-5),
        "users": pytest.approx(81 / 121, rel=1e-5),
    }
    assert all(row["low"] < row["share"] < row["high"] for row in high)
    assert [row["at_least"] for row in high if row["of"] == "photographs"] == [0.385]
    incomes = {row["class"]: row for row in found["geography.incomes"].to_pylist() if row["stage"] == "curate"}
    assert (incomes["high"]["pairs"], incomes["high"]["people"]) == (385, 381)
    assert {row["year"] for row in found["geography.years"].to_pylist()} == {2006, 2007, 2008, 2009, 2010, 2012}
    assert [row["step"] for row in found["steps.kept"].to_pylist()] == ["curate", "images", "asked", "fetch"]
    vietnam = {
        row["step"]: row for row in found["steps.ratios"].to_pylist() if (row["by"], row["value"]) == ("country", "VN")
    }
    assert [vietnam[step]["pairs"] for step in ("curate", "images", "asked", "fetch", "all")] == [220, 220, 220, 60, 60]
    assert vietnam["all"]["ratio"] == pytest.approx(60 / 220 / 0.79, rel=1e-5)
