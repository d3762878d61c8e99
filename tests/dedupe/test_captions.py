"""Which texts are one, and whose pairs leave where one stands on too many images."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pmd.dedupe import captions
from pmd.schema import keys


@pytest.mark.parametrize(
    ("form", "texts"),
    [
        ("img 0 jpg", ["IMG_1234.JPG", "img 77 jpg", "Img-00001 (JPG)", "img77jpg"]),
        ("dsc 0", ["DSC0001", "dsc_9", "DSC １２"]),
        ("uploaded by a friend", ["Uploaded by a friend", "uploaded by:  a FRIEND!", "“Uploaded”, by a friend…"]),
        ("cafe a paris", ["Café à Paris", "CAFE\u0301 A\u0300 PARIS", "cafe a paris"]),
        ("0 0 0", ["2009-11-02", "24/12/1999"]),
        ("istanbul", ["İstanbul", "ISTANBUL"]),
        ("日本 0", ["日本 12", "日本！99"]),
        ("☀", ["☀", "☀…"]),
        ("", ["...", "", "—!?"]),
    ],
)
def test_texts_with_one_form(form: str, texts: list[str]) -> None:
    assert captions.forms(pa.array(texts)).to_pylist() == [form] * len(texts)
    assert len(set(captions.text_ids(pa.array(texts)).to_pylist())) == 1


def test_words_tell_texts_apart() -> None:
    texts = ["a red kite", "a red kit", "the red kite", "red kite a", "a redkite", "a red kite ☀", "a red kite 1"]
    assert len(set(captions.text_ids(pa.array(texts)).to_pylist())) == len(texts)


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]))))
def test_forms_are_their_own_forms(texts: list[str]) -> None:
    forms = captions.forms(pa.array(texts, pa.string()))
    assert captions.forms(forms).equals(forms)


@given(st.lists(st.text(st.sampled_from("aZ1 ,-\u00a0\u2003\u2028\u1680\u3000\u00bf\u0301é_")), max_size=5))
def test_between_two_words_there_is_one_space(texts: list[str]) -> None:
    forms = captions.forms(pa.array(texts, pa.string())).to_pylist()
    for text, form in zip(texts, forms, strict=True):
        plain = [one for one in unicodedata.normalize("NFKD", text) if unicodedata.category(one) != "Mn"]
        kinds = "".join("0" if one.isdigit() else " " if unicodedata.category(one)[0] in "PZ" else one for one in plain)
        words = re.sub("0+", " 0 ", kinds.lower()).split(" ")
        assert form == " ".join(word for word in words if word)


@given(st.lists(st.text(st.characters(max_codepoint=127))))
def test_ascii_has_the_forms_that_any_text_has(texts: list[str]) -> None:
    column = pa.array(texts, pa.string())
    assert captions.forms(column).equals(captions._any_forms(column))


def key(number: int) -> bytes:
    return keys.digest(str(number))


def rows(*found: tuple[str, int, int]) -> pa.Table:
    """TEXTS of (text, image, pair)."""
    return pa.Table.from_pylist(
        [
            {"text_id": keys.digest(text), "stands_id": key(image), "image_id": key(-pair), "pair_id": key(pair)}
            for text, image, pair in found
        ],
        schema=captions.TEXTS,
    )


def test_images_are_counted_not_pairs() -> None:
    some = rows(("a", 1, 1), ("a", 1, 2), ("a", 2, 3), ("b", 1, 4), ("b", 3, 5), ("b", 4, 6))
    assert captions.over(some, 3).num_rows == 0
    (gone,) = captions.over(some, 2).to_pylist()
    assert gone["pair_id"] in {key(4), key(5), key(6)}
    assert gone["image_id"] == {key(pair): key(-pair) for pair in (4, 5, 6)}[gone["pair_id"]]
    assert gone["detail"] == "its text stands on 3 images"
    left = {key(pair) for pair in range(1, 7)} - set(captions.over(some, 1)["pair_id"].to_pylist())
    assert len(left & {key(4), key(5), key(6)}) == 1
    assert left - {key(4), key(5), key(6)} in ({key(1), key(2)}, {key(3)})
    assert captions.over(rows(), 1).num_rows == 0


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 6)), max_size=25),
    st.integers(1, 4),
    st.randoms(use_true_random=False),
)
def test_who_stays_depends_on_no_order_and_more_may_only_keep_more(found: list[Any], most: int, random: Any) -> None:
    pairs = [(text, image, number) for number, (text, image) in enumerate(found)]
    gone = captions.over(rows(*pairs), most)
    assert gone.schema == captions.REPEATED
    assert captions.over(rows(*random.sample(pairs, len(pairs))), most).equals(gone)
    out = set(gone["pair_id"].to_pylist())
    images: dict[str, set[int]] = defaultdict(set)
    left: dict[str, set[int]] = defaultdict(set)
    for text, image, number in pairs:
        images[text].add(image)
        if key(number) not in out:
            left[text].add(image)
    for text, all_of_it in images.items():
        assert len(left[text]) == min(most, len(all_of_it))
    # An image keeps a text with all its pairs, or with none.
    assert out == {key(number) for text, image, number in pairs if image not in left[text]}
    assert set(captions.over(rows(*pairs), most + 1)["pair_id"].to_pylist()) <= out
