"""The figures of a small build, computed by hand, and that books and pairs must agree."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson
import pyarrow as pa
import pytest

from pmd.audit.counting import measure
from pmd.audit.counting.measure import Partial, Plan
from pmd.audit.figures.result import result
from pmd.audit.report import balance, formatting
from pmd.audit.texts.lexicon import Absent
from pmd.errors import VerificationError
from pmd.manifests import Table2
from pmd.store.commits import Books
from tests.audit.batches import WHOLE, batch, counted, pair


def row(name: Any, pairs_millions: float, mean_words: float) -> Table2:
    return Table2(row=name, pairs_millions=pairs_millions, mean_words=mean_words, note="rounded")


TABLE2: dict[str, Table2] = {
    "coco": row("COCO", 0.9, 12.4),
    "localized_narratives__coco": row("Localized Narratives", 1.9, 13.8),
    "localized_narratives__ADE20k": row("Localized Narratives", 1.9, 13.8),
    "yfcc100m": row("YFCC100M, filtered", 30.3, 12.7),
}


pytestmark = pytest.mark.usefixtures("marked_language")


def _pairs() -> tuple[pa.RecordBatch, pa.Array]:
    """Four captions of two COCO photographs, and six YFCC photographs of three users, two of which are lost."""
    paris = {"longitude": "2.35", "latitude": "48.85"}
    london = {"longitude": "-0.12", "latitude": "51.5"}
    flickr = "http://farm1.staticflickr.com/{}.jpg"
    rows = [
        (pair("coco", "1", "a woman with a man", image="a"), "fetch"),
        (pair("coco", "2", "a woman", image="a"), "fetch"),
        (pair("coco", "3", "a dog", image="b"), "fetch"),
        (pair("coco", "4", "a red dog here", image="b"), "fetch"),
        *(
            (pair("yfcc100m", name, text, url=flickr.format(name), meta={"uid": user, **place}), last)
            for name, text, user, place, last in (
                ("1", "a man in Paris", "u", paris, "fetch"),
                ("2", "a man in Paris too", "u", paris, "fetch"),
                ("3", "she sees London", "u", london, "fetch"),
                ("4", "some more words here", "v", {}, "fetch"),
                ("5", "ein Hund (de)", "v", {}, "images"),
                ("6", "she was lost", "w", london, "images"),
            )
        ),
    ]
    return batch(row for row, _ in rows), pa.array([last for _, last in rows])


def _build() -> tuple[Partial, dict[str, dict[str, Books]]]:
    partial = measure.measure(*_pairs(), WHOLE)
    books = {
        "curate": {"coco": Books(4, {"evaluation_image": 1}), "yfcc100m": Books(6, {"too_few_words": 5, "video": 1})},
        "images": {"coco": Books(4), "yfcc100m": Books(6)},
        "fetch": {"coco": Books(4), "yfcc100m": Books(4, {"dead": 2})},
    }
    return partial, books


def _result() -> dict[str, Any]:
    partial, books = _build()
    return result(partial, books, WHOLE, TABLE2, counted=counted(*_pairs()), profile="recommended")


def test_counts_stand_beside_table_2() -> None:
    found = _result()
    assert found["stages"] == ["curate", "images", "fetch"]
    assert found["books"]["curate"]["yfcc100m"] == {"in": 12, "kept": 6, "rejected": {"too_few_words": 5, "video": 1}}
    assert [row["row"] for row in found["table2"]] == ["COCO", "Localized Narratives", "YFCC100M, filtered"]
    coco, narratives, yfcc = found["table2"]
    assert coco["published"] == {"pairs": 900_000, "mean_words": 12.4}
    assert coco["pairs"] == {"curate": 4, "images": 4, "fetch": 4}
    assert coco["mean_words"]["curate"] == 3.25  # 5 + 2 + 2 + 4 words
    assert coco["of_published"]["curate"] == pytest.approx(4 / 900_000, rel=1e-5)
    assert (yfcc["read"], yfcc["pairs"]) == (12, {"curate": 6, "images": 6, "fetch": 4})
    assert narratives["sources"] == ["localized_narratives__ADE20k", "localized_narratives__coco"]
    assert (narratives["sources_here"], narratives["mean_words"]["curate"]) == ([], None)


def test_a_source_that_the_paper_does_not_have_is_told_in_words_and_counts_in_no_share_of_table_2() -> None:
    whole = _result()
    assert "Table 2 does not have" not in balance.against_table2(whole)
    partial, books = _build()
    without: dict[str, Table2] = {"coco": row("COCO", 20e-6, 12.4)}  # 20 pairs
    found = result(partial, books, WHOLE, without, counted=counted(*_pairs()), profile="recommended")
    page = balance.against_table2(found)
    assert "Table 2 does not have yfcc100m: it has no row here. Its pairs are in the counts of the last line" in page
    assert found["all"]["fetch"]["pairs"] == 8
    assert f"</svg>{formatting.percent(4 / 20)}</td>" in page.rpartition('<tr class="total">')[2]


def test_lengths_by_hand() -> None:
    words = _result()["sources"]["yfcc100m"]["fetch"]["words"]
    # 4, 5, 3 and 4 words.
    assert (words["mean"], words["median"], words["p95"]) == (4.0, 4, 5)
    assert {one["from"]: one["pairs"] for one in words["histogram"] if one["pairs"]} == {3: 3, 5: 1}
    assert words["coverage"] == {"measured": 4, "eligible": 4, "share": 1.0, "of": "pairs"}


def test_languages_by_hand() -> None:
    languages = _result()["all"]["curate"]["languages"]
    assert languages["english"]["value"] == 0.9
    assert languages["shares"] == [{"language": "en", "texts": 9, "share": 0.9}]
    assert languages["other"] == 0.1  # one text is too few to name its language
    assert languages["coverage"]["share"] == 1.0
    assert _result()["labels"]["languages"] == {"en": "English"}


def test_countries_by_hand() -> None:
    before, after = (_result()["all"][stage]["countries"] for stage in ("curate", "fetch"))
    assert before["coverage"] == {
        "measured": 4,
        "eligible": 10,
        "share": 0.4,
        "of": "pairs",
        "rest": "has no geotag",
    }
    assert (before["distinct"], after["distinct"]) == (2, 2)
    assert before["shares"] == after["shares"] == []  # of two and of one photograph: too few to be shown
    assert (before["other"], after["other"]) == (1.0, 1.0)


def test_gendered_terms_by_hand() -> None:
    found = _result()
    coco = found["sources"]["coco"]["curate"]["gendered"]
    assert (coco["female"]["value"], coco["male"]["value"], coco["both"]["value"]) == (0.5, 0.25, 0.25)
    assert (coco["neither"]["value"], coco["neutral"]["value"]) == (0.5, 0.0)
    assert coco["female_to_male"]["value"] == 2.0
    assert not coco["female"]["enough"]  # four captions of two images
    assert coco["coverage"] == {
        "measured": 4,
        "eligible": 4,
        "share": 1.0,
        "of": "texts of the sample",
        "rest": "is not English",
        "pairs": 4,
    }
    yfcc = found["sources"]["yfcc100m"]["fetch"]["gendered"]
    assert yfcc["female"]["value"] == 0.25
    # Two of five English ones before: "she sees London", "she was lost".
    assert yfcc["change_since_curate"]["female"]["value"] == pytest.approx(0.25 - 0.4)
    assert "change_since_curate" not in coco


def test_concentration_by_hand() -> None:
    users = _result()["sources"]["yfcc100m"]["curate"]["users"]
    assert users["distinct"] == {"value": 3, "interval": None, "exact": True}
    # 3, 2 and 1 pairs: Gini = Σ (2i − n − 1) x_i ÷ (n Σ x) with x ascending = (−2·1 + 0·2 + 2·3) ÷ 18.
    assert users["gini"] == pytest.approx(4 / 18, rel=1e-5)
    assert users["two_pairs_share_one"] == pytest.approx(8 / 30, rel=1e-5)
    assert (users["top_1_percent"], users["curve"]) == (None, [])  # of three users
    assert users["hold_half"] == 1
    hosts = _result()["all"]["fetch"]["hosts"]
    assert (hosts["coverage"]["measured"], hosts["top_10"]) == (4, 1.0)
    assert (hosts["largest"], hosts["other"]) == ([], 1.0)  # four pairs are too few to name a host
    assert "not_measured" in _result()["sources"]["coco"]["curate"]["users"]
    assert "not_measured" in _result()["all"]["curate"]["users"]


def _large(last: list[str], on_one: int = 8) -> tuple[pa.RecordBatch, pa.Array]:
    """Three thousand photographs of 1,500 users, an eighth on one host, or all; every third of a woman."""
    rows = [
        pair(
            "yfcc100m",
            str(index),
            "a dog" if index % 3 else "a woman",
            url=f"http://{'big' if index % on_one == 0 else index % 1000}.org/x.jpg",
            meta={"uid": str(index % 1500)},
        )
        for index in range(len(last))
    ]
    return batch(rows), pa.array(last)


def test_large_sources_are_counted_too() -> None:
    pairs, last = _large(["curate"] * 3000)
    found = result(
        measure.measure(pairs, last, WHOLE),
        {"curate": {"yfcc100m": Books(3000)}},
        WHOLE,
        TABLE2,
        counted=counted(pairs, last),
    )["sources"]["yfcc100m"]["curate"]
    assert found["users"]["distinct"]["value"] == 1500
    assert found["users"]["gini"] == 0.0  # two pairs each
    assert found["users"]["top_1_percent"] == pytest.approx(0.01)
    assert found["hosts"]["distinct"]["value"] == 876
    assert found["hosts"]["largest"] == [{"host": "big.org", "pairs": 375, "share": 0.125}]
    assert found["hosts"]["other"] == 0.875
    assert found["hosts"]["hold_half"] == 376  # 375 + 375 × 3 = 1,500 of 3,000
    assert found["users"]["hold_half"] == 750


def test_a_figure_of_all_texts_is_exact_and_another_draw_has_an_interval() -> None:
    pairs, last = _large(["curate"] * 3000)
    books = {"curate": {"yfcc100m": Books(3000)}}
    female = result(measure.measure(pairs, last, WHOLE), books, WHOLE, TABLE2, counted=counted(pairs, last))["all"][
        "curate"
    ]["gendered"]["female"]
    assert (female["value"], female["interval"], female["exact"]) == (pytest.approx(1 / 3, rel=1e-5), None, True)
    draw = female["another_draw"]
    assert (draw["cluster"], draw["clusters"]) == ("user", 1500)
    # Both photographs of a user are of a kind, since 1,500 is a multiple of three: twice the variance of single ones.
    assert draw["design_effect"] == pytest.approx(2, rel=0.01)
    assert draw["interval"][0] < 1 / 3 < draw["interval"][1]
    half = Plan({"yfcc100m": 2**63}, WHOLE.lexicon)
    read = result(measure.measure(pairs, last, half), books, half, TABLE2, counted=counted(pairs, last, half))["all"][
        "curate"
    ]["gendered"]["female"]
    assert not read["exact"]
    assert read["interval"][0] < 1 / 3 < read["interval"][1]


def test_another_draw_says_how_many_texts_it_leaves_out_since_they_name_no_user() -> None:
    names = ["", "[deleted]", *(str(number % 40) for number in range(398))]
    rows = [
        pair("yfcc100m", str(index), "a woman" if index % 3 else "(de)", meta={"uid": name})
        for index, name in enumerate(names)
    ]
    pairs, last = batch(rows), pa.array(["curate"] * 400)
    books = {"curate": {"yfcc100m": Books(400)}}
    found = result(measure.measure(pairs, last, WHOLE), books, WHOLE, TABLE2, counted=counted(pairs, last))
    of_all = found["all"]["curate"]
    # Of the two one is English.
    assert of_all["languages"]["english"]["another_draw"]["left_out"] == 2
    assert of_all["gendered"]["female_to_male"]["another_draw"]["left_out"] == 1
    assert of_all["age"]["young"]["another_draw"]["left_out"] == 1
    assert of_all["personal_data"]["email"]["another_draw"]["left_out"] == 2


def test_whether_loss_struck_unevenly_is_tested_by_section() -> None:
    # Of every other photograph of a woman the link has died, and of no other.
    last = ["asked" if index % 6 == 0 else "fetch" for index in range(3000)]
    pairs, fates = _large(last, on_one=1)
    books = {
        "curate": {"yfcc100m": Books(3000)},
        "images": {"yfcc100m": Books(3000)},
        "fetch": {"yfcc100m": Books(2500, {"dead": 500})},
    }
    found = result(measure.measure(pairs, fates, WHOLE), books, WHOLE, TABLE2, counted=counted(pairs, fates))
    tests = {(row["section"], row["property"]): row for row in found["tests"]}
    assert set(tests) == {
        ("languages", "english"),
        *(("gendered", name) for name in ("both", "female", "male", "neutral")),
    }
    female = tests["gendered", "female"]
    assert (female["source"], female["stage"], female["finding"]) == ("yfcc100m", "fetch", True)
    assert (female["cluster"], female["clusters"]) == ("user", 1500)  # all lie on one host, so hosts tell nothing
    assert female["effect"] == pytest.approx(500 / 2500 - 1000 / 3000, rel=1e-4)
    # It is the only one that could be answered: nobody is a man, or neutral. Its section is held to a ninth of 5 %.
    assert (female["rule"], female["among"]) == ("Benjamini and Yekutieli 2001", 1)
    assert female["held_to"] == pytest.approx(0.05 / 9, rel=1e-5)
    assert female["level"] == pytest.approx(1 - 0.05 / 9, rel=1e-5)
    assert tests["gendered", "male"]["rule"] is tests["gendered", "male"]["held_to"] is None
    assert {tests["gendered", name]["refused"] for name in ("both", "male", "neutral")} == {"too few"}
    assert not tests["languages", "english"]["finding"]
    change = found["all"]["fetch"]["gendered"]["change_since_curate"]["female"]
    assert (change["value"], change["exact"]) == (pytest.approx(-2 / 15, rel=1e-4), True)


def _of_users(
    sizes: Sequence[int], *, hosts: int = 1, years: bool = False
) -> tuple[pa.RecordBatch, pa.Array, dict[str, Any]]:
    """Return pairs of users of some sizes, on so many hosts; of every fifth user all are dead, and years go by turns of users."""
    rows, last = [], []
    for user, size in enumerate(sizes):
        for _ in range(size):
            number = len(rows)
            meta = {"uid": f"u{user}"} | ({"datetaken": f"201{user % 2}-01-01 00:00:00"} if years else {})
            rows.append(pair("yfcc100m", str(number), "a dog", url=f"http://h{number % hosts}.org/x", meta=meta))
            last.append("asked" if user % 5 == 0 else "fetch")
    kept = last.count("fetch")
    books = {stage: {"yfcc100m": Books(len(rows))} for stage in ("curate", "images")}
    books["fetch"] = {"yfcc100m": Books(kept, {"dead": len(rows) - kept})}
    return batch(rows), pa.array(last), books


def _tests_of(pairs: pa.RecordBatch, last: pa.Array, books: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    found = result(measure.measure(pairs, last, WHOLE), books, WHOLE, TABLE2, counted=counted(pairs, last))
    return {(row["section"], row["property"]): row for row in found["tests"] if row["stage"] == "fetch"}


def test_whether_links_died_by_the_size_of_users_is_tested_by_user() -> None:
    """Of users with one pair every fifth is lost, and of those with four none: uneven by size, for sure."""
    sizes = [1 if user % 5 == 0 else 1 + 3 * (user % 2) for user in range(1000)]
    tests = _tests_of(*_of_users(sizes))
    one, more = tests["user_sizes", "1"], tests["user_sizes", "2–9"]
    assert (one["cluster"], one["clusters"], one["finding"], more["finding"]) == ("user", 1000, True, True)
    # Of 600 users with one pair 400 keep it, and the 400 others keep all that they have.
    assert (one["effect"], more["effect"]) == (-0.333, 0.333)
    assert one["low"] < -1 / 3 < one["high"] < 0
    assert not {section for section, _ in tests} & {"host_sizes", "years"}  # one host, and no dates


def test_of_sizes_so_little_is_told_that_no_user_s_losses_follow() -> None:
    """Two users alone have sizes whose changes are hidden: seven pairs of 1,000 and six of 150."""
    pairs, last, books = _of_users([1] * 300 + [5] * 200)
    rows, steps = pairs.to_pylist(), last.to_pylist()
    for user, size, lost in (("large", 1000, 7), ("middle", 150, 6)):
        for number in range(size):
            rows.append(pair("yfcc100m", f"{user}{number}", "a dog", url="http://h0.org/x", meta={"uid": user}))
            steps.append("asked" if number < lost else "fetch")
    kept = steps.count("fetch")
    books = {stage: {"yfcc100m": Books(len(rows))} for stage in ("curate", "images")}
    books["fetch"] = {"yfcc100m": Books(kept, {"dead": len(rows) - kept})}
    tests = _tests_of(batch(rows), pa.array(steps), books)
    one, some = tests["user_sizes", "1"], tests["user_sizes", "2–9"]
    assert {name for section, name in tests if section == "user_sizes"} == {"1", "2–9"}
    # As whoever has the tables may work it out: sums of the shares that users keep, of all that have another size.
    others = (240 / 300 - one["effect"]) * 202
    five = (some["effect"] * 302 + 240 + others) / 502
    gone = 2 - (others - 200 * five)
    middle = (gone - 13 / 1000) / (1 / 150 - 1 / 1000)
    assert abs(middle - 6) > 1
    for test in (one, some):
        assert all(test[name] == round(test[name], 3) for name in ("effect", "error", "low", "high"))


def test_where_hosts_are_coarser_sizes_of_users_are_no_question() -> None:
    tests = _tests_of(*_of_users([1, 4] * 500, hosts=40))
    assert tests["user_sizes", "1"]["refused"] == "hosts are coarser"
    assert tests["user_sizes", "1"]["error"] is None
    assert not tests["user_sizes", "1"]["finding"]


def test_whether_links_died_by_year_is_tested_by_the_coarsest_clusters() -> None:
    by_user = _tests_of(*_of_users([2] * 600, years=True))
    assert (by_user["years", "2010"]["cluster"], by_user["years", "2010"]["clusters"]) == ("user", 600)
    by_host = _tests_of(*_of_users([2] * 600, years=True, hosts=40))
    assert (by_host["years", "2010"]["cluster"], by_host["years", "2010"]["clusters"]) == ("host", 40)
    assert by_user["years", "2010"]["effect"] == pytest.approx(0)
    assert not by_user["years", "2010"]["finding"]


def test_whether_links_died_by_the_size_of_hosts_is_tested_by_host() -> None:
    """Small sites die more often than large ones."""
    rows, last = [], []
    for host in range(400):
        dead = host % 10 == 0 if host % 2 else host % 4 == 0
        for _ in range(20 if host % 2 else 3):
            rows.append(pair("conceptual_12m", str(len(rows)), "a dog", url=f"http://h{host}.org/{len(rows)}"))
            last.append("asked" if dead else "fetch")
    kept = last.count("fetch")
    books = {stage: {"conceptual_12m": Books(len(rows))} for stage in ("curate", "images")}
    books["fetch"] = {"conceptual_12m": Books(kept, {"dead": len(rows) - kept})}
    tests = _tests_of(batch(rows), pa.array(last), books)
    small, large = tests["host_sizes", "2–9"], tests["host_sizes", "10–99"]
    assert (small["cluster"], small["clusters"], small["finding"], large["finding"]) == ("host", 400, True, True)
    assert small["effect"] < 0 < large["effect"]


def test_a_build_of_a_sample_counts_nothing_outside_it() -> None:
    pairs, last = _pairs()
    inside = measure.measure(pairs.slice(0, 9), last.slice(0, 9), WHOLE)
    partial = measure.merge(inside, measure.outside(pairs.slice(9)))
    books = {
        "curate": {"coco": Books(4), "yfcc100m": Books(6)},
        "images": {"coco": Books(4), "yfcc100m": Books(5, {"not_sampled": 1})},
    }
    found = result(partial, books, WHOLE, TABLE2, sample=2)
    assert found["sample"] == 2
    assert found["sources"]["yfcc100m"]["curate"]["pairs"] == 5


def test_images_are_counted_once() -> None:
    images = _result()["sources"]["coco"]["curate"]["images"]
    assert (images["distinct"]["value"], images["pairs_per_image"]) == (2, 2.0)


def test_sources_weigh_as_their_pairs_do_however_many_texts_were_looked_at() -> None:
    rows = [pair("coco", str(index), "a woman") for index in range(2000)]
    rows += [pair("yfcc100m", str(index), "a dog", meta={"uid": "u"}) for index in range(2000)]
    plan = Plan({"yfcc100m": 2**64 // 10}, WHOLE.lexicon)
    partial = measure.measure(batch(rows), pa.array(["curate"] * 4000), plan)
    books = {"curate": {"coco": Books(2000), "yfcc100m": Books(2000)}}
    gendered = result(partial, books, plan, TABLE2)["all"]["curate"]["gendered"]
    assert gendered["texts"]["female"] == 2000
    assert gendered["coverage"]["measured"] < 2300
    assert gendered["female"]["value"] == pytest.approx(0.5)


def test_books_that_say_otherwise_than_the_pairs_are_refused() -> None:
    partial, books = _build()
    books["fetch"]["yfcc100m"] = Books(5, {"dead": 1})
    with pytest.raises(VerificationError) as caught:
        result(partial, books, WHOLE, TABLE2)
    assert str(caught.value) == (
        "stage fetch, source yfcc100m: the books and the pairs disagree\n"
        "  expected: 5 pairs, as the stage's books say\n"
        "  found: 4 pairs\n"
        "  remedy: run: pmd verify ROOT"
    )


def test_a_stage_must_get_what_the_one_before_kept() -> None:
    partial, books = _build()
    books["fetch"]["yfcc100m"] = Books(4, {"dead": 1})
    with pytest.raises(VerificationError, match="stage fetch did not get what images kept"):
        result(partial, books, WHOLE, TABLE2)


def test_the_content_is_json_and_always_the_same() -> None:
    partial, books = _build()
    turned = {stage: dict(reversed(list(books[stage].items()))) for stage in reversed(list(books))}
    one, two = result(partial, books, WHOLE, TABLE2), result(partial, turned, WHOLE, dict(reversed(TABLE2.items())))
    assert orjson.dumps(one) == orjson.dumps(two)
    assert orjson.loads(orjson.dumps(one)) == one
    assert list(one) == sorted(one)


def test_what_is_not_measured_says_why_and_covers_nothing() -> None:
    partial, books = _build()
    plan = Plan({}, Absent("the package genbit is not installed"))
    found = result(partial, books, plan, TABLE2)
    gendered = found["all"]["fetch"]["gendered"]
    assert gendered["coverage"]["measured"] == 0
    assert gendered["remedy"] == "pip install --no-deps genbit==2.2.0.0"
    assert found["components"][0]["version"] is None


def test_components_have_versions_and_licences() -> None:
    parts = {part["name"]: part for part in _result()["components"]}
    assert parts["genbit"]["sha256"]["female"]
    assert all(part["licence"] and (part["version"] or part["absent"]) for part in parts.values())
    assert parts["bokeh-sampledata"]["absent"] == "no populations were read"
    assert parts["tzfpy"]["data_licence"] == "ODbL-1.0"
    assert "OpenStreetMap" in parts["tzfpy"]["data"]


def test_an_empty_root_has_no_figures() -> None:
    found = result(Partial(), {}, WHOLE, TABLE2)
    assert (found["stages"], found["sources"], found["all"]) == ([], {}, {})
