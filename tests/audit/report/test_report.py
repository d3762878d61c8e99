"""The page: whole without network or scripts, well-formed, and careful with small numbers."""

from __future__ import annotations

import base64
import hashlib
import itertools
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import orjson
import pyarrow as pa
import pytest

from pmd import escape
from pmd.audit.counting import measure, overlap, repeated
from pmd.audit.counting.measure import Partial, Plan
from pmd.audit.figures import tables
from pmd.audit.figures.result import result
from pmd.audit.report import card_sentence, charts, formatting, page, ratios, sharing
from pmd.audit.report.script import SCRIPT
from pmd.audit.report.sections import CARD, MISSING, SECTIONS, html
from pmd.audit.report.style import CSS
from pmd.audit.texts.lexicon import Absent
from pmd.config import reference
from pmd.store.commits import Books
from tests.audit import page_tables, planted
from tests.audit.batches import WHOLE, batch, counted, pair
from tests.audit.figures.test_result import TABLE2

_VOID = {"meta", "br"}
#: No file of attributes is named here.
_SHOWN = [section for section in SECTIONS if section.anchor != "attributes"]


class _Page(HTMLParser):
    """Reads a page strictly: every element is closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, self.getpos()

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in {"style", "title", "script"} and "svg" not in self.open:
            self.text.append(data)


def _read(written: str) -> tuple[_Page, str]:
    parser = _Page()
    parser.feed(written)
    parser.close()
    assert parser.open == []
    return parser, re.sub(r"\s+", " ", "".join(parser.text))


def _figures(
    number: int, plan: Plan = WHOLE, stages: tuple[str, ...] = ("curate", "images", "fetch")
) -> dict[str, Any]:
    rows, last = [], []
    for index in range(number):
        meta = {"uid": str(index % 7), "longitude": "2.35", "latitude": "48.85"} if index % 2 else {"uid": ""}
        text = ("a woman", "a man in a park", "some dog", "er <b>&</b> sie")[index % 4]
        rows.append(pair("yfcc100m", str(index), text, url=f"http://h{index % 50}.org/<x>", meta=meta))
        last.append(stages[-1] if index % 5 else stages[max(len(stages) - 2, 0)])
    partial = measure.measure(batch(rows), pa.array(last), plan)
    kept = {stage: int(partial.sources["yfcc100m"].pairs[measure.CLASSES.index(stage) :].sum()) for stage in stages}
    books = {"curate": {"yfcc100m": Books(kept["curate"], {"too_few_words": 3})}}
    for before, stage in itertools.pairwise(stages):
        lost = kept[before] - kept[stage]
        books[stage] = {"yfcc100m": Books(kept[stage], {"dead": lost} if lost else {})}
    occurrences = repeated.occurrences(batch(rows), pa.array(last))
    return result(
        partial,
        books,
        plan,
        TABLE2,
        counted=counted(batch(rows), pa.array(last), plan),
        profile="paper",
        repeated=repeated.summary(repeated.count(pa.Table.from_batches([occurrences]))),
        overlap=overlap.matrix([[[["coco", "yfcc100m"], 3], [["yfcc100m"], number]]]),
    )


pytestmark = pytest.mark.usefixtures("english")


def test_the_page_loads_nothing() -> None:
    page = html(_figures(200))
    parser, _ = _read(page)
    for tag, name, value in parser.attributes:
        assert tag not in {"link", "img", "iframe", "object", "embed", "use", "image"}
        assert tag != "script", "a script with an attribute may have a source"
        assert not name.startswith("on")
        if name in {"src", "href", "srcset", "data", "action", "xlink:href"}:
            beside = tag == "a" and re.fullmatch(r"tables/[a-z0-9_.]+\.(csv|parquet)", value)
            assert value.startswith("#") or beside, (tag, name, value)
    assert "://" not in page
    assert "fetch(" not in page
    assert "url(" not in page
    assert "@import" not in page


def test_every_link_of_the_page_has_its_place() -> None:
    parser, _ = _read(html(_figures(200)))
    places = {value for _, name, value in parser.attributes if name == "id"}
    links = {value.removeprefix("#") for _, name, value in parser.attributes if name == "href" and value[0] == "#"}
    assert links <= places
    assert links == {section.anchor for section in _SHOWN}


def test_the_page_is_its_sections_in_order_and_under_their_questions() -> None:
    parser, text = _read(html(_figures(200)))
    anchors = [section.anchor for section in _SHOWN]
    assert len({*anchors}) == len(anchors)
    assert [value for tag, name, value in parser.attributes if (tag, name) == ("h2", "id")] == anchors
    groups = [name for name, _ in itertools.groupby(SECTIONS, lambda section: section.group)]
    assert len({*groups}) == len(groups), "sections of one question stand together"
    assert groups[0] == CARD
    assert groups[-1] == MISSING
    assert text.index("Where pairs go", text.index("What each step did")) > 0
    for section in _SHOWN:
        assert f"no ground to claim {section.never}." in text or not section.never


def test_the_tables_that_the_page_gives_have_no_formulas_as_those_beside_it_have_none() -> None:
    guard = "cell.matches('th, .words, .wide') && /^["
    assert SCRIPT.count(guard) == 1
    guarded = SCRIPT.partition(guard)[2].partition(']/.test(parts) ? "\'" + parts')[0]
    begins = {*guarded.replace("\\-", "-").encode().decode("unicode_escape")}
    # What else begins one is white space, which no cell of the page begins with.
    assert begins == {one for one in escape._FORMULA if not one.isspace()}


@pytest.mark.parametrize(
    "written",
    [
        *(formatting.percent(share) for share in (0.0, 1e-7, 0.5, 0.99999, 1.0)),
        *(
            formatting.minus(-0.87, 2),
            formatting.signed(0.0004),
            formatting.short(20_238),
            "≈4,701",
            "≥ 30.4",
            "39–89 %",
        ),
    ],
)
def test_the_script_sorts_every_figure_as_a_number(written: str) -> None:
    (pattern,) = re.findall(r"found = plain\.match\(/(.+)/\);", SCRIPT)
    plain = re.sub(r",(?=\d{3})", "", written.replace("\u00a0", " ").replace("\u2212", "-"))
    assert re.match(pattern, plain)
    assert not re.match(pattern, "too few")


def test_captions_of_over_512_words_are_told_as_such() -> None:
    """Lengths are told apart up to 512 words, so that a longer half is no half of 512 or fewer."""
    figures = _figures(60)
    for stages in (figures["all"], *figures["sources"].values()):
        for one in stages.values():
            one["words"] |= {"mean": 10_000.5, "median": 3, "p95": 512}
    page = html(figures)
    assert "; half have 3 or fewer, one in twenty or more 512 or more." in page
    assert "<td>512+</td>" in page
    for one in figures["all"].values():
        one["words"]["median"] = 512
    assert "; half have 512 or more, one in twenty or more 512 or more." in html(figures)


def test_the_first_lines_count_what_the_paper_has() -> None:
    """Pairs of one's own are no part of Table 2, at the top of the page as beside Table 2 itself."""
    rows = [pair("yfcc100m", str(index), "a woman") for index in range(30)]
    rows += [pair("my_pairs", str(index), "a woman") for index in range(70)]

    def page_of(*sources: str) -> str:
        some = [row for row in rows if row["source"] in sources]
        last = pa.array(["curate"] * len(some))
        books = {"curate": {source: Books(sum(row["source"] == source for row in some)) for source in sources}}
        partial = measure.measure(batch(some), last, WHOLE)
        found = result(partial, books, WHOLE, TABLE2, counted=counted(batch(some), last, WHOLE))
        for row in found["table2"]:
            row["published"]["pairs"] = 1000 if row["sources_here"] else 0
        return _read(html(found))[1].replace("\u00a0", " ")

    both, own = page_of("my_pairs", "yfcc100m"), page_of("my_pairs")
    assert f"2 sources, 1 of the {len({row.row for row in TABLE2.values()})} rows of Table 2; stages: curate." in both
    assert "3.0 %of the 1,000 pairs in FLAVA's Table 2" in both
    assert f"1 source, 0 of the {len({row.row for row in TABLE2.values()})} rows of Table 2; stages: curate." in own
    assert "pairs in FLAVA's Table 2" not in own


def test_options_in_what_a_reason_means_are_code() -> None:
    found = _figures(200)
    found["books"]["images"]["yfcc100m"]["rejected"] = {"licence": 10}
    page = html(found)
    assert "is none of <code>image_allow</code>, or asks" in page
    assert "`" not in _read(page)[1]


def test_how_few_users_hold_how_much_is_told_of_the_last_stage() -> None:
    """As in all other sections: it was told of the first, without a word of that."""
    found = _figures(400)
    by_stage = found["sources"]["yfcc100m"]
    by_stage["curate"]["users"] |= {"top_1_percent": 0.1, "hold_half": 60, "distinct": {"value": 900, "exact": True}}
    by_stage["fetch"]["users"] |= {"top_1_percent": 0.25, "hold_half": 40, "distinct": {"value": 700, "exact": True}}
    text = _read(html(found))[1].replace("\u00a0", " ")
    assert (
        "After fetch, the most active 1 % of users hold 25.0 % of the pairs of yfcc100m, where they are most concentrated; "
        "40 of 700 hold half." in text
    )


def test_a_single_host_holds_all_pairs() -> None:
    rows = [pair("yfcc100m", str(index), "a woman", url=f"http://one.org/{index}") for index in range(40)]
    partial = measure.measure(batch(rows), pa.array(["curate"] * 40), WHOLE)
    books = {"curate": {"yfcc100m": Books(40, {})}}
    found = result(partial, books, WHOLE, TABLE2, counted=counted(batch(rows), pa.array(["curate"] * 40), WHOLE))
    assert "1 registrable domain holds all pairs with an image URL after curate." in html(found)


def test_the_script_is_the_one_that_the_policy_allows() -> None:
    page = html(_figures(60))
    (script,) = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src &#x27;sha256-{digest}&#x27;" in page
    assert "default-src &#x27;none&#x27;" in page


def test_the_card_is_answered_first() -> None:
    found = _figures(400)
    page = html(found)
    _, text = _read(page)
    assert page.index("<blockquote>") < page.index('class="tiles"')
    assert "developed countriespartly testable" in text
    assert "100 % of the pairs with a geotag in a country lie in France." in text.replace("\u00a0", " ")
    assert "[audit.reference]" in text
    assert "youngernot testable hereNo source records who contributed, or how old they are." in text
    assert "male usersnot testable hereNo source records the gender of who contributed." in text
    assert "What captions mention, which is another question: 1.00 English captions with a female term" in text
    assert "adult and violent contentterms are counted" in text
    del found["all"]["fetch"]["harm"]
    assert "adult and violent contentnot measured" in card_sentence.section(found).replace("</h3>", "").replace(
        '<p class="verdict not">', ""
    )


@pytest.mark.parametrize(
    ("ends", "said"),
    [
        (([0.0028, 0.0032], [0.0026, 0.0034]), False),
        (([0.0031, 0.0034], [0.0026, 0.0030]), True),
        ((None, [0.0026, 0.0030]), True),
        ((None, None), True),
    ],
)
def test_the_card_says_where_terms_are_commonest_only_where_intervals_lie_apart(
    ends: tuple[list[float] | None, list[float] | None], *, said: bool
) -> None:
    found = _figures(60)
    by_stage = found["sources"]["yfcc100m"]
    found["sources"] = {"one": by_stage, "other": orjson.loads(orjson.dumps(by_stage))}
    for source, value, interval in zip(found["sources"].values(), (0.0032, 0.0029), ends, strict=True):
        source["fetch"]["harm"]["adult"] |= {"value": value, "interval": interval, "enough": True}
    assert ("Commonest are adult ones in one (0.32" in card_sentence.section(found)) is said


def test_the_card_has_the_share_of_high_income_countries_where_it_is_known() -> None:
    found = _figures(400)
    draw = {"interval": [0.4, 0.6], "value": 0.5, "enough": True}
    by_stage = found["geography"]["sources"]["yfcc100m"]
    kinds = {kind: {"number": 100, "share": 0.5} for kind in ("pairs", "users", "people", "internet_users")}
    for stage, share in (("curate", 0.75), ("fetch", 0.5)):
        by_stage[stage]["incomes"] = [{"class": name, **kinds} for name in reference.CLASSES]
        by_stage[stage]["added_up"] = ["pairs"]
        by_stage[stage]["high_income"] = {
            "photographs": {"value": share, "interval": None, "known": 200, "another_draw": draw, "bounds": [0.2, 0.9]},
            "users": {"value": 0.4, "interval": None, "known": 20, "bounds": [0.1, 0.8]},
        }
    text = _read(html(found))[1].replace("\u00a0", " ")
    assert (
        "50.0 % (another draw of such users: 40–60 %) of yfcc100m's photographs in countries of known income that are told "
        "are from high-income countries after fetch, 75.0 % after curate." in text
    )
    assert "Of photographs: the countries of each class that are told after the first step and after the last" in text
    by_stage["fetch"]["added_up"] = []
    whole = _read(html(found))[1]
    assert "yfcc100m's photographs in a country of known income are from high-income countries after fetch" in whole
    assert "Of its users, 40.0 % have most of their photographs there" in text
    for kind in ("photographs", "users"):
        assert (
            f"Of {kind} no share is told after images, opt-outs and blocks: beside the others it would tell of a few."
            in text
        )
    assert "Were none, or all, of its other photographs there, it would be 20–90 % of all its photographs." in text
    assert "[audit.reference] in the configuration" not in text
    found["geography"] |= {"sources": {}, "reference": {"absent": "", "download": ["World Bank, income classes"]}}
    assert "[audit.reference] in the configuration: World Bank, income classes." in _read(html(found))[1]


def test_what_captions_mention_answers_nothing_and_says_so() -> None:
    found = _figures(400)
    share = {"interval": None, "enough": True}
    for population in (found["all"]["fetch"], found["sources"]["yfcc100m"]["fetch"]):
        for section, name, value in (
            ("age", "young", 0.05),
            ("age", "old", 0.02),
            ("harm", "adult", 0.01),
            ("harm", "sexual", 0.02),
            ("harm", "violent", 0.03),
        ):
            population[section][name] |= {"value": value, **share}
    text = _read(html(found))[1].replace("\u00a0", " ")
    assert "youngernot testable here" in text
    assert (
        "which is another question: 5.0 % of English captions have a term for the young, 2.0 % one for the old" in text
    )
    assert "terms are counted1.0 % of English captions have adult terms; 2.0 % sexual ones; 3.0 % violent ones." in text


def test_every_drawing_says_what_it_shows() -> None:
    page = html(_figures(200))
    drawings = re.findall(r"(<svg [^>]*>)(.{0,40})", page)
    seen = [(head, drawing) for head, drawing in drawings if 'aria-hidden="true"' not in head]
    assert len(seen) > 8
    assert all('role="img"' in head and drawing.startswith("<title>") for head, drawing in seen)


def test_the_page_is_the_same_from_the_file() -> None:
    found = _figures(60)
    assert html(found) == html(orjson.loads(orjson.dumps(found)))


def test_a_build_large_enough_is_read_in_sentences() -> None:
    _, text = _read(html(_figures(400)))
    assert "After fetch, 25" in text
    assert "with a female term for each with a male one" in text
    assert "All pairs with a geotag are from France." in text
    assert "Ten of 40 registrable domains hold 25.0 % of the pairs" in text.replace("\u00a0", " ")
    assert "Coverage 320 of 320 pairs (100" in text


def test_another_draw_says_what_it_rests_on_or_why_it_cannot_be_told() -> None:
    _, text = _read(html(_figures(400)))
    assert "All pairs have" not in text
    # Half of the pairs name one of three users: too few to speak of others.
    assert "female termtoo fewuser" in text
    assert "design effect" in text
    plain = text.replace("\u00a0", " ")
    assert "Left out so: 160 of 320 English texts of yfcc100m (by user)." in plain


def test_a_change_is_called_one_only_where_it_is_large_enough() -> None:
    _, text = _read(html(_figures(400)))
    assert "more than chance" not in text
    assert "Since curate neither share is known to have moved by 0.5 points or more." in text


def test_whether_loss_struck_unevenly_has_its_section() -> None:
    found = _figures(400)
    _, text = _read(html(found))
    assert "Did loss strike unevenly?" in text
    number = len(found["tests"])
    assert number == 5  # English, and four kinds of terms: all lie in one country, and users are alike
    assert f"Of {number} tests 0 are findings; {number} cannot be answered" in text  # seven users are too few
    assert "captions in English" in text
    assert (
        "Of all findings of this page, those of terms and words included, no more than 5 % are false on average; nor are they of "
        "any of its sections that you choose."
    ) in text


def test_what_is_under_a_hundredth_of_a_percent_keeps_its_sign() -> None:
    cells = '<td>&lt;0.01 %</td><td class="words">host</td><td class="wide">man 3</td>'
    said = page.row("rare", "<0.01 %", page.Words("host"), page.Lines("man 3"))
    assert said == f'<tr><th scope="row">rare</th>{cells}</tr>'


def test_a_build_of_a_sample_says_so_at_the_top() -> None:
    found = _figures(60)
    _, text = _read(html({**found, "sample": 8}))
    assert (
        "A sample: one in 8 of the images. Every figure but the books', also after curate, is of pairs of these images."
        in text
    )
    assert "A sample:" not in _read(html(found))[1]


def test_repeated_texts_are_shown_as_they_are_compared() -> None:
    _, text = _read(html(_figures(400)))
    assert "100 % of pairs have a text that stands on 10 images or more" in text
    assert "er <b> < b> sie8080" in text
    shown = _figures(400)["sources"]["yfcc100m"]["fetch"]["repeated"]["largest"]
    assert {row["users"] for row in shown} == {None}  # four users are too few to be counted out
    assert "er <b> < b> sie8080<10" in text
    _, none = _read(html(_figures(8)))
    assert "No text stands on 10 images or more." in none


def test_the_overlap_is_a_matrix_of_shares() -> None:
    parser, text = _read(html(_figures(97)))
    assert "3.0 % of 100 images are in several sources; coco and yfcc100m share most: 3." in text
    titles = [value for tag, name, value in parser.attributes if (tag, name) == ("td", "title")]
    assert "3 images of coco are in yfcc100m" in titles
    assert "3 images of yfcc100m are in coco" in titles


def test_a_tiny_build_claims_no_rates() -> None:
    _, text = _read(html(_figures(8)))
    assert "too few, from too few images, to speak of rates" in text
    assert "Only 3 pairs with a geotag lie in a country: too few to speak of shares." in text
    assert "There are too few users here" in text
    assert "This build holds too small a part of PMD" in text


def test_a_build_of_one_stage_has_no_before() -> None:
    page = html(_figures(40, stages=("curate",)))
    _, text = _read(page)
    assert "Not run yet: images, fetch, dedupe, shard." in text
    assert "since curate" not in text
    assert 'class="bar before"' not in page


def test_a_source_that_is_lost_whole_is_still_shown() -> None:
    rows = [pair("coco", str(index), "a woman") for index in range(40)]
    partial = measure.measure(batch(rows), pa.array(["images"] * 40), WHOLE)
    books = {"curate": {"coco": Books(40)}, "images": {"coco": Books(40)}, "fetch": {"coco": Books(0, {"dead": 40})}}
    _, text = _read(html(result(partial, books, WHOLE, TABLE2)))
    assert "No caption is left." in text
    assert "none left" in text


def test_an_absent_lexicon_is_said_with_its_remedy() -> None:
    _, text = _read(html(_figures(40, Plan({}, Absent("the package genbit is not installed")))))
    assert "Not measured: the package genbit is not installed." in text
    assert "pip install --no-deps genbit==2.2.0.0" in text


def test_an_empty_root_says_what_to_do() -> None:
    _, text = _read(html(result(Partial(), {}, WHOLE, TABLE2)))
    assert "no stage is committed in this ROOT yet" in text
    assert "pmd build CONFIG" in text


@pytest.mark.parametrize(
    ("share", "width", "text"),
    [
        (0.1234, None, "12.3\u00a0%"),
        (0.00456, None, "0.46\u00a0%"),
        (0.1234, 0.2, "12\u00a0%"),
        (0.1234, 0.01, "12.3\u00a0%"),
        (0.1234, 0.001, "12.34\u00a0%"),
        (0.00001, None, "<0.01\u00a0%"),
        (0.001, 0.2, "<1\u00a0%"),
        (0.0, 0.2, "0\u00a0%"),
        (1.0, None, "100\u00a0%"),
        (0.9999, None, ">99.9\u00a0%"),
        (0.9994, None, "99.9\u00a0%"),
        (0.9997, 0.001, "99.97\u00a0%"),
        (0.9997, 0.01, ">99.9\u00a0%"),
        (0.997, 0.2, ">99\u00a0%"),
        (1.0, 0.01, "100\u00a0%"),
        (1.0512, None, "105\u00a0%"),
        (None, None, "–"),
    ],
)
def test_no_more_decimals_than_the_interval_bears(share: float | None, width: float | None, text: str) -> None:
    assert formatting.percent(share, width) == text


def test_what_rounds_to_nothing_has_no_sign_and_a_small_rate_keeps_two_figures() -> None:
    assert [formatting.signed(share) for share in (-0.00001, 0.00001, 0.0, -0.0123, 0.5)] == [
        *["0.00"] * 3,
        "−1.23",
        "+50.00",
    ]
    assert [formatting.minus(number, 2) for number in (-0.001, 0.001, -1.0)] == ["0.00", "0.00", "−1.00"]
    assert [formatting.rate(number) for number in (1234.56, 1.0, 0.0421, 0.001, 0)] == [
        "1,234.6",
        "1.0",
        "0.042",
        "<0.01",
        "0.0",
    ]


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0.00"), (0.00001, "<0.0001"), (0.00312, "0.0031"), (0.06, "0.06"), (0.096, "0.10"), (1.234, "1.23")],
)
def test_a_small_ratio_is_not_written_as_none(number: float, text: str) -> None:
    assert formatting.ratio(number) == text


def test_an_interval_of_shares_that_ends_close_to_all_is_written_to_its_end() -> None:
    figure = {"value": 0.9997, "interval": [0.99, 0.99995], "enough": True}
    assert formatting.share(figure) == ">99.9\u00a0% (99.0–100)"
    assert formatting.ratios((0.0031, 0.0152)) == "0.0031–0.015"


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0"), (512, "512"), (9_876, "9,876"), (12_345, "12.3k"), (999_600, "1M"), (30_312_004, "30.3M"), (None, "–")],
)
def test_short_counts(number: int | None, text: str) -> None:
    assert formatting.short(number) == text


def test_a_column_of_all_is_said_to_be_all() -> None:
    drawing = charts.columns(["5–6"], [[1.0]], ["after"], "lengths", "words")
    assert "<title>5–6 words: 100\u00a0%</title>" in drawing


@pytest.mark.parametrize("section", ["countries", "languages"])
def test_what_is_not_told_of_the_first_stage_is_not_drawn_as_none(section: str) -> None:
    content = _figures(200)
    listed = {"countries": ("FR", "country", "pairs"), "languages": ("de", "language", "texts")}
    code, label, count = listed[section]
    content["all"]["fetch"][section]["shares"] = [{label: code, count: 50, "share": 0.5}]
    content["all"]["curate"][section]["shares"] = []
    content["all"]["fetch"][section]["other"] = 0.5
    written = html(content).partition(f'<h2 id="{section}">')[2].partition("<h2 ")[0]
    (row,) = [row for row in re.findall("<li.*?</li>", written) if "bar" in row]
    assert 'class="bar after"' in row
    assert 'class="bar before"' not in row


def _rows_of(told: Any) -> Iterator[dict[str, Any]]:
    """Yield the rows of lists that may have one that is given as it was: countries, hosts, years, domains, texts."""
    if isinstance(told, dict):
        if told.keys() & {"share", "images"} and told.keys() & {"country", "host", "language", "value", "text"}:
            yield told
        for one in told.values():
            yield from _rows_of(one)
    elif isinstance(told, list):
        for one in told:
            yield from _rows_of(one)


def test_where_no_term_for_the_old_was_found_the_shares_are_told() -> None:
    _, text = _read(html(_figures(400)))
    part = text.partition("Terms for young and old")[2].partition("Terms for young and old")[2].replace("\u00a0", " ")
    assert (
        "After fetch, 0 % of English captions have a term for young people and 0 % one for old people: no ratio" in part
    )


def test_shares_of_countries_are_of_pairs_that_lie_in_one() -> None:
    """Of 80 geotags 40 are at sea: a half of the geotagged pairs lies in France, and all of those in a country."""
    content = orjson.loads(orjson.dumps(planted.content()))
    for stage in content["stages"]:
        content["all"][stage]["countries"] |= {
            "coverage": {"measured": 80, "eligible": 1000, "share": 0.08, "of": "pairs", "rest": "has no geotag"},
            "shares": [{"country": "DE", "pairs": 40, "share": 1.0}],
            "no_country": 40,
        }
    content["geography"]["sources"] = {}
    _, text = _read(html(content))
    assert "100 % of the pairs with a geotag in a country lie in Germany." in text.replace("\u00a0", " ")
    content["all"]["fetch"]["countries"]["no_country"] = 1
    assert "1 more is at sea or in no single one." in _read(html(content))[1]


def test_what_is_given_as_it_was_is_marked_wherever_it_stands() -> None:
    content = orjson.loads(orjson.dumps(planted.content()))
    for stage, population in _figures(200)["all"].items():
        content["all"][stage]["repeated"] = population["repeated"]
    for of in ("all", "sources", "geography"):
        for row in _rows_of(content[of]):
            row["as_before"] = True
    written = html(content)
    marked = {
        (table.section, column)
        for table in page_tables.Page(written).tables
        for column, *cells in zip(table.head, *table.rows, strict=False)
        if any("≈" in cell for cell in cells)
    }
    assert marked >= {
        ("countries", "pairs after fetch"),
        ("geography", "photographs"),
        ("geography", "pairs after fetch"),  # of hosts' domains
        ("years", "after fetch"),
        ("repeated", "pairs"),
        ("hosts", "pairs after fetch"),
        ("hosts", "largest"),
        ("stages", "after fetch"),
    }
    drawn = re.findall(
        '<span class="value">(≈?)', written.partition('<h2 id="countries">')[2].partition("</figure>")[0]
    )
    assert set(drawn[1:]) == {"≈"}, "the first is the axis"
    assert written.count("≈: as after another step, from which it differs by fewer than 10") >= len(
        {section for section, _ in marked}
    )
    assert "≈: as after another step" not in html(_figures(200))


def test_texts_from_data_are_escaped() -> None:
    drawing = charts.bar_list([charts.Bar("<script>", [0.5], '"note"', "a & b")], ["after"], "<title> & co")
    assert "<script>" not in drawing
    assert "&lt;script&gt;" in drawing
    assert 'aria-label="&lt;title&gt; &amp; co"' in drawing


def test_axes_end_at_round_numbers_beyond_the_largest_value() -> None:
    for largest in (0.003, 0.09, 0.7, 1.0, 4.9, 17.3, 99.0, 100.0):
        drawing = charts.dot_plot([charts.Dots("x", [charts.Mark(largest, None, None, "after", "x")])], "x")
        ticks = [float(tick) for tick in re.findall(r'class="tick middle(?: odd)?">([\d.]+)<', drawing)]
        assert ticks[0] == 0
        assert ticks[-1] >= largest * 0.999
        assert 3 <= len(ticks) <= 7


def test_what_rests_on_too_few_stretches_no_axis() -> None:
    def row(name: str, value: float, high: float, *, faint: bool) -> charts.Dots:
        return charts.Dots(name, [charts.Mark(value, 0.0, high, "after", name, faint)])

    sound, tiny = row("sound", 0.05, 0.06, faint=False), row("tiny", 0.9, 1.0, faint=True)
    drawing = charts.dot_plot([sound, tiny], "x", unit=100)
    assert re.findall(r'class="tick middle(?: odd)?">([\d.]+)<', drawing)[-1] == "6"
    assert drawing.count('class="beyond"') == 1
    assert 'cx="100.00%"' in drawing  # the tiny one, at the end
    assert 'cx="83.33%"' in drawing
    alone = charts.dot_plot([tiny], "x", unit=100)
    assert re.findall(r'class="tick middle(?: odd)?">([\d.]+)<', alone)[-1] == "100"
    assert "beyond" not in alone


def test_every_row_of_a_chart_is_reached_by_keyboard_and_told_in_words() -> None:
    page = html(_figures(200))
    rows = re.findall(r'<li class="row[^"]*" tabindex="0">(.*?)</li>', page, re.DOTALL)
    assert len(rows) > 10
    assert all('role="img" aria-label="' in row and 'class="tip" aria-hidden="true">' in row for row in rows)
    assert all(re.search(r"<title>[^<]", row) for row in rows)


def test_every_table_has_a_name_of_its_own_and_every_row_a_head() -> None:
    """Who hears the page goes from table to table by their names, and from cell to cell by heads."""
    page = html(_figures(400))
    tables = re.findall(r'<div class="table[^>]*aria-label="([^"]+)"><table(.*?)</table>', page, re.DOTALL)
    assert len(tables) == page.count("<table") > 20
    names = [name for name, _ in tables]
    assert sorted({*names}) == sorted(names)
    for name, table in tables:
        assert f'aria-label="{name}"' in table or f"<caption>{name}</caption>" in table
        rows = re.findall(r"<tr[^>]*>(<..)", table[table.index("<tbody>") :])
        assert {*rows} == {"<th"}, name


def test_a_chart_of_ratios_is_cut_into_sheets_over_one_axis() -> None:
    rows = [
        row
        for group in range(6)
        for row in (
            ratios.Ratio(f"group {group}"),
            *(ratios.Ratio(f"row {n}", [(1.3, "after", "x")]) for n in range(9)),
        )
    ]
    rows[5] = ratios.Ratio("far", [(3.9, "after", "3.9")])
    drawn = ratios.charts_of(rows, "ratios")
    assert [one.count('<li class="row') for one in drawn] == [30, 30]
    assert all(one.count('<li class="row heading">') == 3 for one in drawn)
    ticks = [re.findall(r'class="tick[^>]*>([\d.]+)<', one) for one in drawn]
    assert ticks == [["0.25", "0.5", "1", "2", "4"]] * 2


def test_a_ratio_of_a_few_stretches_no_axis_and_stands_at_its_end() -> None:
    sound = ratios.Ratio("sound", [(1.2, "after", "1.2")])
    few = [
        ratios.Ratio("few", [(9.0, "after", "9")], faint=True),
        ratios.Ratio("none", [(0.0, "after", "0")], faint=True),
    ]
    (drawn,) = ratios.charts_of([sound, *few], "ratios")
    assert re.findall(r'class="tick[^>]*>([\d.]+)<', drawn)[-1] == "1.25"
    assert drawn.count("▸") == drawn.count("◂") == 1
    (alone,) = ratios.charts_of(few[:1], "ratios")
    assert re.findall(r'class="tick[^>]*>([\d.]+)<', alone)[-1] == "16"


def test_what_is_folded_is_printed_and_colours_too() -> None:
    printed = CSS[CSS.index("@media print") :]
    assert "details::details-content { content-visibility: visible" in printed
    assert "print-color-adjust: exact" in CSS
    assert "beforeprint" in SCRIPT


def test_on_paper_heads_are_repeated_and_charts_and_short_tables_are_in_one_piece() -> None:
    printed = CSS[CSS.index("@media print") :]
    assert "th button { display: contents; }" in printed  # a button is not drawn in a head that is repeated
    (whole,) = re.findall(r"([^{}]*) { break-inside: avoid; }", printed)
    assert {"figure", ".short", "tr", "thead"} <= {name.strip() for name in whole.split(",")}
    rows = [page.row(str(number), "1") for number in range(page.SHORT + 1)]
    assert 'class="table short"' in page.table(["<a", "b"], rows[:-1], label="short")
    assert 'class="table"' in page.table(["<a", "b"], rows, label="long")


def test_of_many_findings_the_largest_are_listed_and_the_rest_is_in_the_table() -> None:
    found = _figures(60)
    test = {
        "section": "countries",
        "source": "yfcc100m",
        "stage": "fetch",
        "cluster": "user",
        "clusters": 99,
        "degrees": 50,
        "error": 0.001,
        "p": 0.0001,
        "low": None,
        "high": None,
        "level": None,
        "finding": True,
        "refused": None,
    }
    found["tests"] = [{**test, "property": f"C{number}", "effect": -number / 10_000} for number in range(3000)]
    page = html(found)
    _, text = _read(page)
    assert "Of 3,000 tests 3,000 are findings" in text
    assert (
        "2,980 further findings, smaller than these, and all tests stand in the table “tests” beside the page." in text
    )
    assert "C2999" in text
    assert "C2979" not in text
    assert len(page) < 200_000
    assert len(tables.tables(found)["tests"]) == 3000
    found["tests"] = found["tests"][:1]
    assert "Of 1 test 1 is a finding; 0 cannot be answered" in _read(html(found))[1]


def test_the_page_says_whether_small_hosts_died_more_often() -> None:
    found = _figures(60)
    test = {
        "section": "host_sizes",
        "source": "yfcc100m",
        "stage": "fetch",
        "cluster": "host",
        "clusters": 400,
        "p": 0.0001,
        "level": 0.99,
        "finding": True,
        "refused": None,
    }
    small = {**test, "property": "2–9", "effect": -0.152, "low": -0.2, "high": -0.1}
    large = {**test, "property": "100–999", "effect": 0.081, "low": 0.02, "high": 0.142}
    unsure = {**test, "property": "10–99", "effect": 0.01, "low": -0.02, "high": 0.04, "finding": False}
    refused = {
        **test,
        "property": "1",
        "effect": 0.3,
        "low": None,
        "high": None,
        "finding": False,
        "refused": "too few",
    }
    elsewhere = {**small, "stage": "images"}
    for tests, said in (
        (
            [small, large, unsure, refused, elsewhere],
            "Dead links of yfcc100m: hosts with 2–9 pairs keep 15.2 points less of their pairs than others (−20.00 to −10.00); "
            "hosts with 100–999 pairs keep 8.1 points more of their pairs than others (+2.00 to +14.20).",
        ),
        ([unsure, refused], "Dead links of yfcc100m: hosts of no size are known to have fared otherwise."),
    ):
        found["tests"] = tests
        assert said in _read(html(found))[1]
    found["tests"] = [refused]
    assert "Dead links of yfcc100m" not in _read(html(found))[1]


def test_a_repeated_text_is_text_and_its_direction_ends_with_it() -> None:
    shown = sharing._largest([{"text": "\u202e<b>x\x1b", "images": 2, "pairs": 3}], "users", "coco")
    assert "<bdi>\u202e&lt;b&gt;x\u241b</bdi>" in shown


def test_texts_that_are_hidden_are_not_said_to_be_none() -> None:
    found = _figures(400)
    last = found["stages"][-1]
    assert found["all"][last]["repeated"]["shared_by"][0]["pairs"] > 0
    found["all"][last]["repeated"]["largest"] = []
    _, text = _read(html(found))
    assert "None is shown: beside another step it would tell of a few pairs." in text
    _, none = _read(html(_figures(8)))
    assert "None is shown" not in none


def test_nouns_stand_as_their_numbers_ask() -> None:
    assert [formatting.counted(number, "pair") for number in (0, 1, 2000)] == ["0 pairs", "1 pair", "2,000 pairs"]
    assert [formatting.counted(number, "image") for number in (0.6, 1.4, 1.6)] == ["1 image", "1 image", "2 images"]
