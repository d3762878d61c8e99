"""How pairs fared from one build to the next: added, removed, changed, died, revived."""

from __future__ import annotations

from collections import Counter

import pytest

from pmd.config.reasons import REASONS, reasons_of
from pmd.inspection.diff import pairs


def compared(fates: dict[tuple[str, str], int], altered: int = 0) -> pairs.Compared:
    counted = Counter({("coco", before, after): count for (before, after), count in fates.items()})
    return pairs.Compared(counted, Counter(), Counter({"coco": altered} if altered else {}), [])


@pytest.mark.parametrize(
    ("before", "after", "how"),
    [
        ("absent", "kept", "added"),
        ("kept", "absent", "removed"),
        ("kept", "dead", "died"),
        ("kept", "timeout", "died"),
        ("sample_too_small", "dead", "died"),
        ("dead", "kept", "revived"),
        ("dead", "crop_too_small", "revived"),
    ],
)
def test_how_a_pair_fared(before: str, after: str, how: str) -> None:
    (line,) = pairs.fared(compared({(before, after): 3}))
    assert {name: line[name] for name in pairs.FARED} == dict.fromkeys(pairs.FARED, 0) | {how: 3}
    status = {"died": after, "revived": before}.get(how)
    assert line["statuses"] == ([{"how": how, "status": status, "pairs": 3}] if status else [])


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("kept", "kept"),
        ("kept", "takedown"),  # somebody asked for it: the image has not died
        ("dead", "dead"),
        ("dead", "timeout"),
        ("absent", "dead"),
        ("dead", "absent"),
        ("not_fetched", "kept"),
        ("kept", "not_fetched"),
        ("takedown", "dead"),
        ("empty_text", "kept"),
    ],
)
def test_what_is_none_of_these(before: str, after: str) -> None:
    assert before in {"kept", "absent", *REASONS}
    assert after in {"kept", "absent", *REASONS}
    assert pairs.fared(compared({(before, after): 3})) == []


def test_every_status_of_the_fetch_is_a_death() -> None:
    lost = [reason for reason in reasons_of("fetch") if reason != "not_fetched"]
    (line,) = pairs.fared(compared({("kept", reason): 1 for reason in lost}, altered=2))
    assert line["died"] == len(lost)
    assert {row["status"] for row in line["statuses"]} == {*lost}
    assert line["changed"] == 2
