"""What is counted of a batch, and that order and dealing out never matter."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pmd.audit.counting import measure
from pmd.audit.counting.measure import CATEGORIES, CLASSES, Partial, Plan
from pmd.audit.texts import lexicon
from pmd.config.options import AuditOptions
from pmd.errors import PmdError
from pmd.text import language
from pmd.text.tokens import Tokens
from tests.audit.batches import WHOLE, batch, pair


@pytest.fixture
def by_mark(monkeypatch: pytest.MonkeyPatch) -> None:
    """Languages by a mark in the text, so that a test's figures do not hang on an identifier's taste."""

    def marked(tokens: Tokens) -> pa.Array:
        texts = tokens.joined(np.arange(len(tokens))).to_pylist()
        codes = ["de" if "(de)" in text else "und" if "(?)" in text else "en" for text in texts]
        return pa.array(codes, pa.string())

    monkeypatch.setattr(language, "languages", marked)


def _rows() -> list[dict[str, Any]]:
    paris = {"uid": "1@N00", "longitude": "2.35", "latitude": "48.85"}
    return [
        pair("yfcc100m", "1", "a woman in Paris", url="http://farm1.staticflickr.com/1.jpg", meta=paris),
        pair("yfcc100m", "2", "the same man", url="http://farm2.staticflickr.com/2.jpg", meta=paris | {"uid": "2@N00"}),
        pair(
            "yfcc100m",
            "3",
            "ein Hund (de)",
            url="http://farm2.staticflickr.com/3.jpg",
            meta={"uid": "1@N00", "longitude": "-1.0", "latitude": "-1.0"},
        ),
        pair("coco", "1", "a man and a woman", image="coco:1"),
        pair("coco", "2", "two people", image="coco:1"),
        pair("red_caps", "1", "x (?)", url="https://i.redd.it/1.jpg", meta={"author": "None"}),
    ]


_LAST = ["shard", "fetch", "curate", "shard", "shard", "images"]


@pytest.mark.usefixtures("by_mark")
def test_a_batch_by_hand() -> None:
    found = measure.measure(batch(_rows()), pa.array(_LAST), WHOLE).sources
    assert sorted(found) == ["coco", "red_caps", "yfcc100m"]
    yfcc = found["yfcc100m"]
    assert yfcc.pairs.tolist() == [1, 0, 0, 1, 0, 1]
    assert yfcc.words.tolist() == [3, 0, 0, 3, 0, 4]
    assert [(stage, words) for stage, words in zip(*np.nonzero(yfcc.lengths), strict=True)] == [(0, 3), (3, 3), (5, 4)]
    assert {code: counts.tolist() for code, counts in yfcc.languages.items()} == {
        "de": [1, 0, 0, 0, 0, 0],
        "en": [0, 0, 0, 1, 0, 1],
    }
    assert {code: counts.tolist() for code, counts in yfcc.countries.items()} == {"FR": [0, 0, 0, 1, 0, 1]}
    assert _texts(yfcc.sample) == {"read": 3, "english": 2, "female": 1, "male": 1}
    coco = found["coco"]
    assert coco.countries == {}
    assert _texts(coco.sample[5:]) == {"read": 2, "english": 2, "female": 1, "male": 1}
    assert coco.sample[5, CATEGORIES.index(frozenset({"read", "english", "female", "male"}))] == 1
    assert _texts(found["red_caps"].sample[1:2]) == {"read": 1, "undetermined": 1}


def _texts(sample: np.ndarray) -> dict[str, int]:
    """Return how many texts have each name."""
    names = sorted(frozenset().union(*CATEGORIES))
    counts = sample.sum(axis=0).tolist()
    found = {name: sum(n for having, n in zip(CATEGORIES, counts, strict=True) if name in having) for name in names}
    return {name: count for name, count in found.items() if count}


@pytest.mark.usefixtures("by_mark")
def test_what_is_seen_of_pairs() -> None:
    seen = measure.look(batch(_rows()), WHOLE)
    assert seen["yfcc100m"].units["user"].to_pylist() == ["1@N00", "2@N00", "1@N00"]
    assert seen["yfcc100m"].units["host"].to_pylist() == ["staticflickr.com"] * 3
    assert seen["yfcc100m"].countries.to_pylist() == ["FR", "FR", ""]
    assert seen["red_caps"].units["user"].to_pylist() == [""]  # "None" is nobody
    assert seen["red_caps"].units["subreddit"].to_pylist() == [""]
    assert set(seen["coco"].units) == {"host"}


@pytest.mark.usefixtures("by_mark")
def test_pairs_whose_fields_are_cut_are_seen_as_they_were() -> None:
    rows = [row for row in _rows() if row["source"] == "yfcc100m"]
    whole, cut = batch(rows), measure.cut(batch(rows), "yfcc100m")
    assert pa.types.is_struct(cut["meta"].type)
    assert cut.nbytes < whole.nbytes
    told, seen = (measure.look(some, WHOLE)["yfcc100m"] for some in (whole, cut))
    assert seen.countries.equals(told.countries)
    for of_seen, of_told in ((seen.units, told.units), (seen.traits, told.traits)):
        assert {kind: values.to_pylist() for kind, values in of_seen.items()} == {
            kind: values.to_pylist() for kind, values in of_told.items()
        }
    assert measure.users(cut.slice(1)).tolist() == measure.users(whole).tolist()[1:]
    coco = batch([row for row in _rows() if row["source"] == "coco"])
    assert measure.cut(coco, "coco") is coco  # nothing is asked of its fields


def _drawn(seed: int, number: int) -> tuple[list[dict[str, Any]], list[str]]:
    chance = random.Random(seed)
    rows = [
        pair(
            chance.choice(["yfcc100m", "sbu_captions", "coco"]),
            str(index),
            " ".join(chance.choices(["woman", "man", "(de)", "(?)", "dog", "person"], k=chance.randint(1, 6))),
            image=f"image {chance.randint(0, number // 2)}",
            url=chance.choice([None, f"http://host{chance.randint(0, 30)}.org/x.jpg"]),
            meta={"uid": str(chance.randint(0, 30)), "user_id": "", "longitude": str(index % 90), "latitude": "45.0"},
        )
        for index in range(number)
    ]
    return rows, chance.choices(CLASSES, k=number)


@pytest.mark.usefixtures("by_mark")
@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 5), st.randoms(use_true_random=False))
def test_partials_do_not_depend_on_how_pairs_are_dealt_out(seed: int, parts: int, chance: random.Random) -> None:
    rows, last = _drawn(seed, 60)
    plan = Plan({"yfcc100m": 2**63}, WHOLE.lexicon)
    whole = measure.to_bytes(measure.measure(batch(rows), pa.array(last), plan))
    order = list(range(60))
    chance.shuffle(order)
    dealt = [order[number::parts] for number in range(parts)]
    partials = [
        measure.measure(batch([rows[index] for index in some]), pa.array([last[index] for index in some]), plan)
        for some in dealt
    ]
    forth = measure.merge_all(partials)
    back = Partial()
    for partial in reversed(partials):
        back = measure.merge(partial, back)
    paired = measure.merge(measure.merge_all(partials[:2]), measure.merge_all(partials[2:]))
    assert measure.to_bytes(forth) == measure.to_bytes(back) == measure.to_bytes(paired) == whole
    assert measure.to_bytes(measure.from_bytes(whole)) == whole


@pytest.mark.usefixtures("by_mark")
def test_a_partial_stays_small() -> None:
    rows, last = _drawn(1, 3000)
    sizes = []
    for number in (300, 3000):
        partial = measure.measure(batch(rows[:number]), pa.array(last[:number]), WHOLE)
        sizes.append(len(measure.to_bytes(partial)))
        assert partial.sources["coco"].sample.shape == (len(CLASSES), len(CATEGORIES))
    assert sizes[1] < 20_000


@pytest.mark.usefixtures("by_mark")
def test_the_sample_of_texts_is_about_what_was_asked_for_and_the_same_at_every_stage() -> None:
    rows = [pair("coco", str(index), "a dog") for index in range(4000)]
    plan = measure.plan({"coco": 4000}, AuditOptions(text_sample=400), WHOLE.lexicon)
    found = measure.measure(batch(rows), pa.array(["shard"] * 4000), plan).sources["coco"]
    assert found.pairs.sum() == 4000
    assert 340 <= found.sample.sum() <= 460  # three standard deviations
    again = measure.measure(batch(rows[:2000]), pa.array(["curate"] * 2000), plan).sources["coco"]
    more = measure.measure(batch(rows[2000:]), pa.array(["fetch"] * 2000), plan).sources["coco"]
    assert (again + more).sample.sum() == found.sample.sum()
    assert measure.plan({"coco": 4000}, AuditOptions(text_sample=4000), WHOLE.lexicon).limits["coco"] == 2**64 - 1


def test_without_a_lexicon_nothing_is_called_gendered() -> None:
    plan = Plan({}, lexicon.Absent("the package genbit is not installed"))
    found = measure.measure(batch(_rows()), pa.array(_LAST), plan).sources["coco"]
    assert _texts(found.sample) == {"read": 2, "english": 2}


def test_an_unknown_stage_is_refused() -> None:
    with pytest.raises(PmdError, match="no such stage") as caught:
        measure.measure(batch(_rows()[:1]), pa.array(["publish"]), WHOLE)
    assert caught.value.found == "'publish'"


def test_an_empty_batch_counts_nothing() -> None:
    empty = measure.measure(batch([]), pa.array([], pa.string()), WHOLE)
    assert empty == Partial()
    assert measure.from_bytes(measure.to_bytes(empty)) == empty


def test_users_are_the_same_where_the_pairs_were_seen() -> None:
    pairs = batch(_rows())
    assert measure.users(pairs, measure.look(pairs, WHOLE)).tolist() == measure.users(pairs).tolist()
    assert measure.users(pairs).any()
