"""Words beside terms of identity: which are found, what bounds them, and what is never told."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from pmd.audit.counting import context, measure
from pmd.audit.counting.measure import Plan
from pmd.audit.statistics import clusters, estimates
from pmd.audit.statistics.estimates import Part
from tests.audit.batches import WHOLE, batch, pair

#: Caption → how many users wrote it, once each.
_TEXTS = {
    "a muslim wearing a scarf": 30,
    "a muslim reading a book": 30,
    "a muslim on the street": 40,
    "a scarf in a shop": 15,
    "somebody reading a book": 400,
    "a dog on the street": 500,
}


pytestmark = pytest.mark.usefixtures("english")


def _pairs(texts: dict[str, int], *, users: int = 0) -> tuple[pa.RecordBatch, pa.Array]:
    """Return a pair of each; of as many users as there are pairs, or of so many in turn."""
    rows = []
    for text, number in texts.items():
        for _ in range(number):
            user = len(rows) % users if users else len(rows)
            rows.append(pair("yfcc100m", str(len(rows)), text, meta={"uid": f"u{user}"}))
    return batch(rows), pa.array(["shard"] * len(rows))


def _rows(pairs: pa.RecordBatch, last: pa.Array, plan: Plan = WHOLE) -> pa.Table:
    return pa.Table.from_batches(context.occurrences(pairs, last, measure.look(pairs, plan), plan), context.ROWS)


def _found(texts: dict[str, int], **more: Any) -> dict[str, dict[str, Any]]:
    (one,) = context.count(_rows(*_pairs(texts, **more)), 1)
    assert (one["source"], one["stage"]) == ("yfcc100m", "shard")
    return {row["beside"]: row for row in one["words"]}


def test_words_are_found_that_no_list_has() -> None:
    found = _found(_TEXTS)
    assert [*found] == ["scarf", "wearing"]  # a book is read as often by others, and the street is walked less often
    assert {row["term"] for row in found.values()} == {"muslim"}
    scarf = found["scarf"]
    assert (scarf["texts"], scarf["of_term"], scarf["cluster"], scarf["clusters"]) == (30, 100, "user", 30)
    assert scarf["odds"] == pytest.approx((30 / 70) / (15 / 900))
    assert not scarf["at_least"]
    assert scarf["finding"]
    assert scarf["low"] < scarf["odds"] < scarf["high"]


def test_a_terms_own_words_and_what_is_no_word_are_left_out() -> None:
    texts = {"muslims: muslim 2011 x !": 40, "a muslim": 40, "2011 x !": 20, "a dog": 500}
    assert _found(texts) == {}


def test_hardly_any_other_caption_is_not_told_of() -> None:
    """Three others have the word; its odds are told as though ten had, and as at least these."""
    found = _found(_TEXTS | {"a scarf in a shop": 3})["scarf"]
    assert found["at_least"]
    assert found["odds"] == pytest.approx((30 / 70) / (10 / 893))
    assert found == _found(_TEXTS | {"a scarf in a shop": 7, "somebody reading a book": 396})["scarf"]


def test_a_word_of_all_captions_with_the_term_is_told_as_at_least() -> None:
    """Its odds have no end; they are told as though ten captions lacked it, and without an upper end."""
    found = _found({"a muslim in a scarf": 40, "a scarf in a shop": 15, "a dog on the street": 500})["scarf"]
    assert (found["texts"], found["of_term"], found["at_least"], found["finding"]) == (40, 40, True, False)
    assert found["odds"] == pytest.approx((40 / 10) / (15 / 500))
    assert found["low"] <= found["odds"]
    assert found["high"] is None


@pytest.mark.parametrize(
    ("changed", "users"),
    [
        ({"a muslim wearing a scarf": 19}, 0),  # too few captions
        ({}, 9),  # too few users
        ({"a muslim reading a book": 0, "a muslim on the street": 9}, 0),  # nine captions with the term lack the word
    ],
)
def test_what_few_have_is_not_told(changed: dict[str, int], users: int) -> None:
    assert "scarf" not in _found(_TEXTS | changed, users=users)


def test_the_interval_is_that_of_users() -> None:
    """A user's captions are one draw: the interval is that of shares over users."""
    texts = {"a muslim wearing a scarf": 60, "a muslim on the street": 140, "a dog on the street": 800}
    found = _found(texts, users=50)["scarf"]
    sizes, having = np.full(50, 4), np.bincount(np.arange(60) % 50, minlength=50)
    drawn = estimates.share_of_draw([Part(clusters.of(sizes, {"w": having}), 1.0)], "w")
    assert drawn.low is not None
    assert drawn.error is not None
    assert drawn.degrees is not None
    assert found["degrees"] == pytest.approx(drawn.degrees)
    other = 10 / 790
    if not found["finding"]:
        pytest.fail("it is a finding")
    assert found["low"] <= drawn.low / (1 - drawn.low) / other
    effect = math.log(60 / 140 / other)
    assert math.sqrt(found["low"] * found["high"]) == pytest.approx(math.exp(effect))


def test_the_more_sources_the_surer_a_finding_must_be() -> None:
    texts = {"a muslim wearing a scarf": 40, "a muslim on the street": 160}
    texts |= {"a scarf in a shop": 80, "a dog on the street": 720}
    rows = {}
    for sources in (1, 12):
        (one,) = context.count(_rows(*_pairs(texts)), sources)
        rows[sources] = next(row for row in one["words"] if row["beside"] == "scarf")
    assert rows[1]["p"] == rows[12]["p"]
    assert [row["finding"] for row in rows.values()] == [True, False]


def test_rows_do_not_depend_on_how_pairs_are_dealt_out() -> None:
    pairs, last = _pairs(_TEXTS, users=80)
    whole = [*context.count(_rows(pairs, last), 1)]
    order = np.random.default_rng(1).permutation(pairs.num_rows)
    parts = [_rows(pairs.take(pa.array(some)), last.take(pa.array(some))) for some in np.array_split(order, 7)]
    assert [*context.count(pa.concat_tables(parts[::-1]), 1)] == whole


def test_words_are_of_the_last_stage_alone() -> None:
    pairs, last = _pairs(_TEXTS)
    some = pa.array(["images" if "scarf" in text else "shard" for text in pairs["text"].to_pylist()])
    (one,) = context.count(_rows(pairs, some), 1)
    assert one["stage"] == "shard"
    assert {"scarf", "wearing"}.isdisjoint(row["beside"] for row in one["words"])
    assert len(last) == len(some)


def test_words_are_read_of_a_bounded_number_of_texts() -> None:
    """However many texts are looked at for terms: words are read of a part of them, by the same hash."""
    options = measure.AuditOptions(text_sample=10_000_000)
    plan = measure.plan({"yfcc100m": 4_000_000, "coco": 600_000}, options, WHOLE.lexicon)
    assert plan.limits == {"coco": measure.EVERYTHING, "yfcc100m": measure.EVERYTHING}
    assert plan.opened == {"coco": 2**64 // 3, "yfcc100m": 2**64 // 20}
    pairs, last = _pairs(_TEXTS)
    half = dataclasses.replace(WHOLE, opened={"yfcc100m": 2**63})
    rows = _rows(pairs, last, half).to_pylist()
    (read,) = {row["captions"] for row in rows if row["term"] == -1 and row["word"] == ""}
    chosen = measure.hashes(pairs.column("pair_id")) < np.uint64(2**63)
    assert read == int(chosen.sum())
    assert 0.4 < read / pairs.num_rows < 0.6


def test_rows_are_added_up_before_they_leave_a_batch() -> None:
    rows = _rows(*_pairs({"a dog on the street": 1000}))
    assert rows.num_rows == 5  # dog, on, the, street, and all captions


@pytest.mark.parametrize(("subreddits", "told"), [(12, True), (9, False)])
def test_clusters_that_cross_are_both_asked(subreddits: int, *, told: bool) -> None:
    rows = []
    for number in range(200):
        text = "a muslim wearing a scarf" if number < 60 else "a muslim" if number < 120 else "a dog"
        meta = {"author": f"u{number}", "subreddit": f"s{number % subreddits}"}
        rows.append(pair("red_caps", str(number), text, meta=meta))
    (one,) = context.count(_rows(batch(rows), pa.array(["shard"] * 200)), 1)
    assert [row["beside"] for row in one["words"]] == (["scarf", "wearing"] if told else [])
    assert all(row["cluster"] in {"user", "subreddit"} for row in one["words"])
