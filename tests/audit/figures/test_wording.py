"""Figures of marks and terms, by hand: rates, young : old, what carries them, what stands beside, hosts and subreddits."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from pmd.audit.counting import measure
from pmd.audit.counting.measure import Plan
from pmd.audit.figures.result import result
from pmd.audit.report import sections as report
from pmd.audit.texts import lexicon
from pmd.store.commits import Books
from tests.audit.batches import WHOLE, batch, counted, pair

pytestmark = pytest.mark.usefixtures("marked_language")


def _content(texts: dict[str, int], plan: Plan = WHOLE, *, lost: int = 0) -> dict[str, Any]:
    """Return audit.json of RedCaps pairs with so many of each text, the first `lost` of which are lost; a user has five."""
    written = [text for text, number in texts.items() for _ in range(number)]
    rows = [
        pair(
            "red_caps",
            str(index),
            text,
            url=f"https://{'bad' if 'murder' in text else 'good'}.org/{index}.jpg",
            meta={"author": f"u{index // 5}", "subreddit": "gore" if "murder" in text else "aww"},
        )
        for index, text in enumerate(written)
    ]
    last = pa.array(["curate"] * lost + ["images"] * (len(rows) - lost))
    pairs = batch(rows)
    books = {
        "curate": {"red_caps": Books(len(rows))},
        "images": {"red_caps": Books(len(rows) - lost, {"takedown": lost})},
    }
    return result(measure.measure(pairs, last, plan), books, plan, {}, counted=counted(pairs, last, plan))


_TEXTS = {
    "a murder of a woman": 25,
    "a baby and an old man": 20,
    "a baby": 60,
    "write to a@b.org (de)": 10,
    "a Muslim woman praying": 22,
    "a Muslim": 8,
    "a dog": 55,
}


def test_rates_by_hand() -> None:
    found = _content(_TEXTS)["sources"]["red_caps"]["images"]
    age, harm, personal, identity = (found[name] for name in ("age", "harm", "personal_data", "identity"))
    assert age["coverage"]["measured"] == 190
    assert (age["young"]["value"], age["young"]["exact"]) == (pytest.approx(80 / 190, rel=1e-5), True)
    assert age["old"]["value"] == pytest.approx(20 / 190, rel=1e-5)
    assert age["young_to_old"]["value"] == 4.0
    assert age["young"]["another_draw"]["cluster"] in {"user", "subreddit"}
    assert harm["violent"]["value"] == pytest.approx(25 / 190, rel=1e-5)
    assert harm["sexual"]["value"] == 0
    assert identity["religion"]["value"] == pytest.approx(30 / 190, rel=1e-5)
    assert personal["coverage"]["measured"] == 200
    assert personal["email"]["value"] == 0.05
    assert personal["phone"]["value"] == 0


def test_a_sample_of_texts_has_intervals() -> None:
    plan = Plan({"red_caps": 2**63}, WHOLE.lexicon)
    young = _content({"a baby": 1000, "a dog": 1000}, plan)["sources"]["red_caps"]["images"]["age"]["young"]
    assert not young["exact"]
    assert young["interval"][0] < 0.5 < young["interval"][1]


def test_what_carries_figures_is_listed_of_the_last_stage_alone() -> None:
    content = _content(_TEXTS, lost=5)["sources"]["red_caps"]
    assert content["curate"]["harm"]["carried_by"] == content["curate"]["harm"]["hosts"] == []
    found = content["images"]
    assert found["harm"]["carried_by"] == [{"list": "violent", "term": "murder", "texts": 20}]
    assert found["age"]["carried_by"] == [
        {"list": "old", "term": "old man", "texts": 20},
        {"list": "young", "term": "baby", "texts": 80},
    ]
    assert found["terms"]["carried_by"] == [
        {"list": "female", "term": "woman", "texts": 42},
        {"list": "male", "term": "man", "texts": 20},
    ]


def test_terms_of_all_sources_tell_of_no_few_texts_of_one() -> None:
    """Of 25 Muslims in all less 18 in the one source, seven would be left for the other."""
    texts = {"red_caps": 18 * ["a Muslim"] + 12 * ["a Sikh"], "sbu_captions": 7 * ["a Muslim"] + 30 * ["a Sikh"]}
    rows = [
        pair(source, str(number), text, url=f"http://h{number}.org/x", meta={})
        for source, some in texts.items()
        for number, text in enumerate(some)
    ]
    pairs, last = batch(rows), pa.array(["curate"] * len(rows))
    books = {"curate": {source: Books(len(some)) for source, some in texts.items()}}
    content = result(measure.measure(pairs, last, WHOLE), books, WHOLE, {}, counted=counted(pairs, last, WHOLE))
    told = {
        name: {row["term"]: row["texts"] for row in population["curate"]["identity"]["carried_by"]}
        for name, population in {**content["sources"], "all": content["all"]}.items()
    }
    assert told["red_caps"] == {"muslim": 18, "sikh": 12}
    assert told["sbu_captions"] == {"sikh": 30}
    assert told["all"] == {"muslim": 18, "sikh": 42}


def test_odds_are_carried_by_female_and_male_terms_alone() -> None:
    """A nurse is among the neutral terms: she would be said to carry her own odds."""
    texts = ["a woman and a nurse"] * 1200 + ["a man and a nurse"] * 60
    rows = [pair("yfcc100m", str(index), text, meta={"uid": f"u{index // 5}"}) for index, text in enumerate(texts)]
    pairs, last = batch(rows), pa.array(["curate"] * len(rows))
    lists = lexicon.of({"female": ["woman"], "male": ["man"], "neutral": ["nurse"]})
    plan = Plan({}, lists)
    books = {"curate": {"yfcc100m": Books(len(rows))}}
    content = result(measure.measure(pairs, last, plan), books, plan, {}, counted=counted(pairs, last, plan))
    (row,) = content["sources"]["yfcc100m"]["curate"]["associations"]["terms"]
    assert (row["term"], row["carried_by"]) == ("nurse", "woman 1,200, man 60")


@pytest.mark.parametrize(("number", "shown"), [(20, 1), (19, 0)])
def test_hosts_and_subreddits_are_named_from_twenty_texts_on(number: int, shown: int) -> None:
    harm = _content({"a murder": number, "a murdered dog (de)": 5, "a dog": 50})["sources"]["red_caps"]["images"][
        "harm"
    ]
    row = {"list": "violent", "texts": number, "english": number, "share": 1.0}
    assert harm["hosts"] == [{"host": "bad.org", **row}] * shown
    assert harm["subreddits"] == [{"subreddit": "gore", **row}] * shown


def test_that_no_caption_names_an_identity_is_said_where_enough_were_read() -> None:
    kinds = "a religion, a nationality, an ethnicity, a disability or an orientation"
    assert f"No English caption that was read names {kinds}." in report.html(_content({"a dog": 200}))
    assert f"Too few captions name {kinds} to speak of rates." in report.html(_content({"a dog": 5}))
    assert "What English captions name most often is a religion" in report.html(_content(_TEXTS))


def test_each_section_says_what_it_must_not_be_used_for() -> None:
    page = report.html(_content(_TEXTS))
    for anchor in ("age", "associations", "identity", "harm", "personal-data"):
        section = page.partition(f'<h2 id="{anchor}">')[2].partition("<h2 ")[0]
        assert "This is no ground to claim" in section, anchor
    before, _, repeated = page.partition('<h2 id="repeated">')
    assert "a@b.org" not in before + repeated.partition("</section>")[2]
    assert "murder 25" in page
    assert 'id="attributes"' not in page
