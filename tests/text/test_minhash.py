"""Hash values computed on whole columns are datasketch's own; the exact similarity of two texts."""

from __future__ import annotations

import datasketch
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pmd.text import minhash


@settings(max_examples=40, deadline=None)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=40), min_size=1, max_size=8))
def test_signatures_are_those_of_datasketch(texts: list[str]) -> None:
    hashes, starts = minhash.shingles(texts)
    found = minhash.signatures(texts)
    assert found.shape == (len(texts), minhash.PERMUTATIONS)
    for row, mine in zip(found, np.split(hashes, starts[1:]), strict=True):
        peer = datasketch.MinHash(minhash.PERMUTATIONS, minhash.SEED, hashfunc=int, scheme=minhash.SCHEME)
        peer.update_batch(mine.tolist())
        assert np.array_equal(peer.hashvalues, row)


def test_shingles_are_within_their_text(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = ["a red kite over the hill", "", "ab", "日本の猫がいる", "abcde"]
    hashes, starts = minhash.shingles(texts)
    assert [len(part) for part in np.split(hashes, starts[1:])] == [20, 1, 1, 3, 1]
    for text, part in zip(texts, np.split(hashes, starts[1:]), strict=True):
        assert np.array_equal(minhash.shingles([text])[0], part)
        assert len(minhash.shingle_set(text)) == len(set(part.tolist()))
    assert minhash.signatures([]).shape == (0, minhash.PERMUTATIONS)
    whole = minhash.signatures(texts)
    monkeypatch.setattr(minhash, "_CHUNK", 2)
    assert np.array_equal(minhash.signatures(texts), whole)


@pytest.mark.parametrize(
    ("one", "other", "similarity"),
    [
        ("abcdefghij", "abcdefghij", 1.0),
        ("abcdefghijklmnopqrstu", "abcdefghijklmnopqrst", 16 / 17),
        ("abcdefg", "abcdefx", 2 / 4),
        ("ab", "ab", 1.0),
        ("ab", "abc", 0.0),
        ("", "", 1.0),
        ("aaaaaaaaaa", "aaaaaa", 1.0),  # sets: a run that stands twice is one
    ],
)
def test_jaccard(one: str, other: str, similarity: float) -> None:
    sets = minhash.shingle_set(one), minhash.shingle_set(other)
    assert minhash.jaccard(*sets) == minhash.jaccard(*sets[::-1]) == similarity


@given(st.text("ab", max_size=30), st.text("ab", max_size=30), st.sampled_from([0.6, 0.8, 0.95]))
def test_sizes_rule_out_only_what_does_not_match(one: str, other: str, least: float) -> None:
    sets = minhash.shingle_set(one), minhash.shingle_set(other)
    exact = len(sets[0] & sets[1]) / len(sets[0] | sets[1])
    assert (minhash.jaccard(*sets, least) >= least) == (exact >= least)
