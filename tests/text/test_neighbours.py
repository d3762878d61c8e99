"""Which texts are nearly one, by datasketch's bands."""

from __future__ import annotations

import sys
from typing import Any

import datasketch
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pmd.text import minhash, neighbours
from tests.text import generated
from tests.text.generated import SIGNED, WORDS

JACCARD = 0.8


def named(texts: list[str]) -> list[str]:
    return [texts[first] for first in neighbours.groups(texts, JACCARD)]


@pytest.mark.parametrize(
    ("threshold", "bands"),
    [(0.6, (24, 4)), (0.7, (21, 6)), (0.8, (16, 8)), (0.85, (12, 10)), (0.9, (9, 14)), (0.95, (6, 21))],
)
def test_datasketch_chooses_the_bands(threshold: float, bands: tuple[int, int]) -> None:
    """Those that the documents tell; another version of datasketch that chose otherwise would change what is committed."""
    assert neighbours.bands(threshold) == neighbours.Bands(*bands)
    index = datasketch.MinHashLSH(threshold=threshold, num_perm=minhash.PERMUTATIONS, weights=neighbours.WEIGHTS)
    assert (index.b, index.r) == bands


def test_what_is_proposed_is_what_datasketch_proposes() -> None:
    texts = sorted({*generated.near(600, 3), *generated.crowd(80)})
    index = datasketch.MinHashLSH(num_perm=minhash.PERMUTATIONS, params=(16, 8))
    expected = []
    for place, values in enumerate(minhash.signatures(texts)):
        sketch = datasketch.LeanMinHash(seed=minhash.SEED, hashvalues=values, scheme=minhash.SCHEME)
        proposed = index.query(sketch)
        if len(proposed) < neighbours.CROWDED:
            index.insert(place, sketch, check_duplication=False)
        expected.append(sorted(proposed))
    assert neighbours._proposals(texts, JACCARD) == expected
    assert sum(map(len, expected)) > 100
    assert max(map(len, expected)) >= neighbours.CROWDED, "some are crowded"


def test_boilerplate_with_a_name_in_it_is_one_group() -> None:
    signed = [SIGNED.format(name) for name in WORDS]
    others = [f"a {one} near the {other}" for one in WORDS[:9] for other in WORDS[:9] if one != other]
    texts = [*others, *signed]
    assert named(texts) == [*others, *[min(signed)] * len(signed)]


def test_few_and_short_texts() -> None:
    assert neighbours.groups([], JACCARD) == []
    assert neighbours.groups(["one"], JACCARD) == [0]
    assert neighbours.groups(["", "a", "ab", "abcde", "日本"], JACCARD) == [0, 1, 2, 3, 4]
    # Twenty letters, one more in one of them: 16 of 17 shingles are the same.
    assert neighbours.groups(["abcdefghijklmnopqrstu", "abcdefghijklmnopqrst"], JACCARD) == [1, 1]


def test_nearly_all_matches_are_found() -> None:
    texts = generated.near(600, 3)
    found = dict(zip(texts, named(texts), strict=True))
    wanted = generated.matches(texts, JACCARD)
    assert len(wanted) > 80
    assert sum(found[one] == found[other] for one, other in wanted) >= 0.97 * len(wanted)


def test_a_band_that_all_share_costs_no_square(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = generated.crowd(80)
    assert not generated.matches(texts, JACCARD)
    monkeypatch.setattr(neighbours, "CROWDED", 4)
    compared = 0
    original = minhash.jaccard

    def counted(*given: Any) -> float:
        nonlocal compared
        compared += 1
        return original(*given)

    monkeypatch.setattr(minhash, "jaccard", counted)
    assert neighbours.groups(texts, JACCARD) == list(range(len(texts)))
    crowded = compared
    monkeypatch.setattr(neighbours, "CROWDED", 10**9)
    compared = 0
    assert neighbours.groups(texts, JACCARD) == list(range(len(texts)))
    assert crowded < compared / 2


def test_an_audit_imports_no_datasketch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasketch", None)  # which cannot be imported then
    neighbours.bands.cache_clear()
    minhash._permutations.cache_clear()
    signed = [SIGNED.format(f"{one} {other}") for one in WORDS[:6] for other in WORDS[:6]]
    assert len(signed) > neighbours.FEW
    assert named([*signed, "a tree"]) == [*[min(signed)] * len(signed), "a tree"]
    with pytest.raises(ImportError):
        neighbours.bands(0.9)


def test_of_few_texts_no_match_is_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = generated.crowd(neighbours.FEW)
    monkeypatch.setattr(minhash, "signatures", lambda texts: pytest.fail("no index is needed"))
    assert named(texts) == texts


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.lists(st.sampled_from(WORDS), min_size=1, max_size=12).map(" ".join), max_size=20, unique=True),
    st.randoms(use_true_random=False),
    st.sampled_from([0, neighbours.FEW]),
)
def test_groups_depend_on_no_order_and_join_only_what_matches(texts: list[str], random: Any, few: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(neighbours, "FEW", few)
        found = dict(zip(texts, named(texts), strict=True))
        shuffled = random.sample(texts, len(texts))
        assert dict(zip(shuffled, named(shuffled), strict=True)) == found
    sets = {text: minhash.shingle_set(text) for text in texts}
    for text, first in found.items():
        assert found[first] == first <= text
        assert text == first or any(
            minhash.jaccard(sets[text], sets[other]) >= JACCARD
            for other in texts
            if other != text and found[other] == first
        )
