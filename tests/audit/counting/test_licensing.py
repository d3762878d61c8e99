"""Licences of pairs: the text's and the image's together, after every stage, by source and in all."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from pmd.audit.counting import licensing, measure
from pmd.audit.figures.result import result
from pmd.audit.report import licences_section
from pmd.store.commits import Books
from tests.audit.batches import WHOLE, batch, pair

pytestmark = pytest.mark.usefixtures("english")

_BY, _SA, _NONE = "CC-BY-2.0", "CC-BY-SA-2.0", "NOASSERTION"
_NOT_SHOWN = ("not shown", "not shown")


def _content(*groups: tuple[str, str | None, str | None, int, int]) -> dict[str, Any]:
    """Return audit.json of groups of pairs: source, licence of the text and of the image, kept by curate, and by images."""
    rows, last = [], []
    kept: dict[str, list[int]] = {}
    for number, (source, text, image, first, then) in enumerate(groups):
        for index in range(first):
            row = pair(source, f"{number}/{index}", "some dog")
            rows.append({**row, "text_licence": text, "image_licence": image})
            last.append("images" if index < then else "curate")
        of_source = kept.setdefault(source, [0, 0])
        of_source[0], of_source[1] = of_source[0] + first, of_source[1] + then
    books = {
        "curate": {source: Books(first) for source, (first, _) in kept.items()},
        "images": {source: Books(then, {"takedown": first - then}) for source, (first, then) in kept.items()},
    }
    return result(measure.measure(batch(rows), pa.array(last), WHOLE), books, WHOLE, {})


def _told(content: dict[str, Any], source: str, stage: str = "images") -> dict[tuple[str, str], int]:
    population = content["all" if source == "all" else "sources"]
    section = (population if source == "all" else population[source])[stage]["licences"]
    assert sum(row["pairs"] for row in section["shares"]) == section["coverage"]["measured"]
    return {(row["text_licence"], row["image_licence"]): row["pairs"] for row in section["shares"]}


def test_both_licences_of_a_pair_stand_in_one_row() -> None:
    content = _content(
        ("coco", "CC-BY-4.0", _BY, 60, 40), ("coco", "CC-BY-4.0", _SA, 50, 20), ("wit", None, None, 40, 30)
    )
    assert _told(content, "coco", "curate") == {("CC-BY-4.0", _BY): 60, ("CC-BY-4.0", _SA): 50}
    assert _told(content, "coco") == {("CC-BY-4.0", _BY): 40, ("CC-BY-4.0", _SA): 20}
    assert _told(content, "wit") == {(_NONE, _NONE): 30}
    assert _told(content, "all") == {("CC-BY-4.0", _BY): 40, (_NONE, _NONE): 30, ("CC-BY-4.0", _SA): 20}
    (row, *_) = content["all"]["images"]["licences"]["shares"]
    assert row["share"] == pytest.approx(40 / 90, rel=1e-5)


def test_a_licence_of_few_pairs_does_not_follow_from_the_others() -> None:
    content = _content(
        ("coco", "CC-BY-4.0", _BY, 60, 40),
        ("coco", "CC-BY-4.0", _SA, 50, 20),
        ("coco", "CC-BY-4.0", "CC0-1.0", 3, 3),
        ("yfcc100m", _NONE, "CC0-1.0", 30, 15),
        ("yfcc100m", _NONE, _BY, 30, 15),
    )
    assert _told(content, "coco", "curate") == {("CC-BY-4.0", _BY): 60, _NOT_SHOWN: 53}
    assert _told(content, "coco") == {("CC-BY-4.0", _BY): 40, _NOT_SHOWN: 23}
    assert _told(content, "all") == {("CC-BY-4.0", _BY): 40, _NOT_SHOWN: 23, (_NONE, _BY): 15, (_NONE, "CC0-1.0"): 15}


def test_a_licence_that_lost_a_few_pairs_is_not_told_twice() -> None:
    content = _content(
        ("coco", "CC-BY-4.0", _BY, 60, 55), ("coco", "CC-BY-4.0", _SA, 50, 20), ("coco", "CC-BY-4.0", _NONE, 70, 30)
    )
    assert ("CC-BY-4.0", _BY) in _told(content, "coco", "curate")
    assert ("CC-BY-4.0", _BY) not in _told(content, "coco")


def test_of_a_source_with_the_same_licences_throughout_they_are_told_however_few_it_lost() -> None:
    content = _content(("wit", "CC-BY-SA-3.0", _NONE, 25, 21), ("coco", "CC-BY-4.0", _BY, 60, 40))
    assert _told(content, "wit") == {("CC-BY-SA-3.0", _NONE): 21}


def test_a_large_row_that_hardly_changed_is_given_as_it_was() -> None:
    content = _content(
        ("coco", "CC-BY-4.0", _BY, 400, 397), ("coco", "CC-BY-4.0", _SA, 300, 100), ("coco", _NONE, _NONE, 90, 20)
    )
    rows = content["sources"]["coco"]["images"]["licences"]["shares"]
    (held,) = (row for row in rows if row.get("as_before"))
    assert (held["image_licence"], held["pairs"]) == (_BY, 400)
    assert _told(content, "coco")["CC-BY-4.0", _BY] == 400
    assert "≈400" in licences_section.section(content)


def test_the_page_says_of_how_many_pairs_a_licence_is_stated() -> None:
    content = _content(
        ("coco", "CC-BY-4.0", _BY, 60, 40), ("coco", "CC-BY-4.0", _NONE, 60, 40), ("sbu_captions", _NONE, _NONE, 40, 20)
    )
    said = licences_section.section(content)
    assert "is stated of 80.0\u00a0% of the texts, of 40.0\u00a0% of the images, and of both in 40.0\u00a0%." in said


def test_where_few_are_hidden_the_page_gives_a_range() -> None:
    content = _content(
        ("coco", "CC-BY-4.0", _BY, 80, 60), ("coco", "CC-BY-4.0", _SA, 50, 20), ("coco", "CC-BY-4.0", "CC0-1.0", 30, 4)
    )
    said = licences_section.section(content)
    assert "of 71.4\u00a0% to 100\u00a0% of the images" in said
    assert "hence the ranges" in said


def test_licences_are_counted_alike_however_pairs_are_cut() -> None:
    texts, images = pa.array(["a", "b", None, "a"]), pa.array(["x", None, None, "y"])
    assert licensing.stated(texts, images).to_pylist() == ["a\tx", f"b\t{_NONE}", f"{_NONE}\t{_NONE}", "a\ty"]
    assert licensing.stated(texts[:0], images[:0]).to_pylist() == []
    assert licensing.stated(texts[2:], images[2:]).to_pylist() == [f"{_NONE}\t{_NONE}", "a\ty"]
