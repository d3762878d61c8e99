"""A limit of images a text, through the pipelines: who leaves, that all later stages agree, that nothing depends on order."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import orjson
import pytest

from pipelines import dedupe
from pmd.config import Config
from pmd.inspection import explain, verify
from pmd.store import commits, root
from tests import tiny_root
from tests.pipelines import building

#: One text on three images, of which C2 has the bytes of C1: it stands on two in the end, on C1 and on COCO's.
CAPTIONS = {tiny_root.C1: "IMG_0001.JPG", tiny_root.C2: "img 17 jpg", tiny_root.C5: "Img-3, jpg!"}
LINES = [(CAPTIONS.get(url, caption), url) for caption, url in tiny_root._CC3M]


def limited(chosen: Config, most: int | None) -> Config:
    return dataclasses.replace(chosen, dedupe=chosen.dedupe.model_copy(update={"max_images_per_text": most}))


def build(folder: Path, lines: list[tuple[str, str]]) -> Config:
    with building.small() as patch:
        patch.setattr(tiny_root, "_CC3M", lines)
        chosen = limited(building.world(folder), 1)
        building.run(chosen)
    return chosen


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Config:
    return build(tmp_path_factory.mktemp("repeated"), LINES)


def test_the_images_of_a_text_are_counted_once_merged(built: Config) -> None:
    gone = building.rejected_by_dedupe(built)
    assert {(row["reason"], row["detail"]) for row in gone} == {("repeated_text", "its text stands on 2 images")}
    books = commits.require(root.dedupe_folder(built.root), "").sources
    assert books["conceptual_captions"].rejected == {"repeated_text": len(gone)}
    assert books["coco"].rejected == {}


def test_all_stages_agree(built: Config) -> None:
    assert verify.verify(built.root)["problems"] == []
    kept = commits.require(root.dedupe_folder(built.root), "").sources["conceptual_captions"].kept
    published = commits.require(root.publish_folder(built.root, "conceptual_captions"), "").sources
    assert published["conceptual_captions"].kept == kept
    audit = orjson.loads((Path(built.root) / "audit/audit.json").read_bytes())
    assert audit["sources"]["conceptual_captions"]["dedupe"]["pairs"] == kept
    told = explain.render(explain.explain(built.root, building.rejected_by_dedupe(built)[0]["pair_id"].hex()))
    assert "rejected by dedupe: repeated_text; detail: its text stands on 2 images" in told


def test_the_order_of_input_changes_nothing(built: Config, tmp_path: Path) -> None:
    other = build(tmp_path, LINES[::-1])
    assert building.committed(other.root)["dedupe"]["files"] == building.committed(built.root)["dedupe"]["files"]


def test_without_the_limit_nothing_leaves(built: Config) -> None:
    for most, left in ((None, 0), (2, 0), (1, len(building.rejected_by_dedupe(built)))):
        with root.writer(built.root, "test"):
            dedupe.build(limited(built, most))
        assert len(building.rejected_by_dedupe(built)) == left
