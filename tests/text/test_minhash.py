"""Which texts are nearly one."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from pmd.text import minhash

SIGNED = "photo taken by {} on assignment for the daily planet all rights reserved please do not use without permission"
WORDS = [
    "harbour",
    "bridge",
    "sunset",
    "market",
    "kitten",
    "bicycle",
    "mountain",
    "orange",
    "river",
    "castle",
    "garden",
]


def named(texts: list[str]) -> list[str]:
    return [texts[first] for first in minhash.groups(texts)]


def test_boilerplate_with_a_name_in_it_is_one_group() -> None:
    signed = [SIGNED.format(name) for name in WORDS]
    others = [f"a {one} near the {other}" for one in WORDS for other in WORDS if one != other]
    texts = [*others, *signed]
    assert named(texts) == [*others, *[min(signed)] * len(signed)]


def test_few_and_short_texts() -> None:
    assert minhash.groups([]) == []
    assert minhash.groups(["", "a", "ab", "abcde", "日本"]) == [0, 1, 2, 3, 4]
    # Twenty letters, one more in one of them: 16 of 17 shingles are the same.
    assert minhash.groups(["abcdefghijklmnopqrstu", "abcdefghijklmnopqrst"]) == [1, 1]


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.lists(st.sampled_from(WORDS), min_size=1, max_size=12).map(" ".join), max_size=20, unique=True),
    st.randoms(use_true_random=False),
)
def test_groups_depend_on_no_order_and_join_only_what_matches(texts: list[str], random: Any) -> None:
    found = dict(zip(texts, named(texts), strict=True))
    shuffled = random.sample(texts, len(texts))
    assert dict(zip(shuffled, named(shuffled), strict=True)) == found
    for text, first in found.items():
        assert found[first] == first <= text
        assert text == first or any(
            minhash._jaccard(text, other) >= minhash.JACCARD
            for other in texts
            if other != text and found[other] == first
        )
