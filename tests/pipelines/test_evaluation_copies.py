"""Karpathy's held-out photographs leave under whatever identity a source has them."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipelines import build
from pmd import config
from pmd.config import Config
from pmd.images import needs as images_needs
from pmd.inspection import explain, verify
from pmd.schema import keys
from pmd.store import commits, root
from pmd.suppression.lists import Suppression
from pmd.takedown import matching, requests
from tests import tiny_root
from tests.pipelines import building

#: COCO's photograph 9, which is Flickr's 4242, is one that models are tested on.
_SPLIT = {
    "dataset": "coco",
    "images": [
        {
            "cocoid": 9,
            "split": "test",
            "filepath": "val2014",
            "filename": "COCO_val2014_000000000009.jpg",
            "imgid": 0,
            "sentids": [12345],
            "sentences": [{"sentid": 12345, "imgid": 0, "raw": "A green field.", "tokens": ["a", "green", "field"]}],
        }
    ],
}


def write_config(folder: Path) -> str:
    """Write the tiny world, with Karpathy's file and what comes after `[sources.visual_genome]`."""
    path = Path(tiny_root.write_config(folder))
    (folder / "dataset_coco.json").write_text(json.dumps(_SPLIT), encoding="utf-8")
    text = path.read_text(encoding="utf-8")
    held = f'karpathy = "{folder}/dataset_coco.json"\nexclude_karpathy = "val_and_test"'
    path.write_text(text.replace('exclude_karpathy = "none"', held, 1), encoding="utf-8")
    return str(path)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Config]:
    chosen = config.load(write_config(tmp_path_factory.mktemp("held-out")))
    with building.small():
        building.run(chosen)
        yield chosen


def rejected(chosen: Config) -> dict[str, dict[str, int]]:
    found = commits.require(root.views_folder(chosen.root), "").sources
    return {source: dict(books.rejected) for source, books in found.items() if books.rejected}


def test_the_flickr_copy_leaves_with_cocos_own_rows(built: Config) -> None:
    coco = commits.require(root.curate_folder(built.root, "coco"), "").sources["coco"]
    assert dict(coco.rejected) == {"evaluation_image": 2}
    assert rejected(built) == {"conceptual_captions": {"evaluation_copy": 1, "takedown": 1}}
    assert verify.verify(built.root)["problems"] == []
    assert "evaluation_copy" in explain.render(explain.explain(built.root, tiny_root.C5))
    assert keys.image_id("flickr:4242") not in {row["image_id"] for row in building.outcomes(built.root)}


def test_it_stays_where_that_is_asked_for_and_nothing_else_moves(built: Config) -> None:
    before = building.committed(built.root)
    other = dataclasses.replace(built, images=built.images.model_copy(update={"evaluation_copies": "keep"}))
    why: Any = images_needs.of(other).wanted.why()
    assert "evaluation_copies" in why
    with root.writer(other.root, "test"):
        build.build(other)
    assert rejected(other) == {"conceptual_captions": {"takedown": 1}}
    assert verify.verify(other.root)["problems"] == []
    with root.writer(built.root, "test"):
        build.build(built)
    after = building.committed(built.root)
    assert {name: after[name] for name in before if name.startswith("curate")} == {
        name: before[name] for name in before if name.startswith("curate")
    }
    assert after["images"] == before["images"]
    assert after["views"] == before["views"]


def test_another_profile_keeps_it(tmp_path: Path) -> None:
    path = Path(write_config(tmp_path))
    path.write_text(path.read_text(encoding="utf-8").replace('"recommended"', '"hub"', 1), encoding="utf-8")
    assert config.load(str(path)).images.evaluation_copies == "keep"


@pytest.mark.parametrize("said", ["coco:9", "http://images.cocodataset.org/train2017/000000000009.jpg"])
def test_a_takedown_by_an_identity_that_only_rejected_rows_know_reaches_the_copy(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, said: str
) -> None:
    path = Path(write_config(tmp_path))
    path.write_text(path.read_text(encoding="utf-8").replace('"recommended"', '"hub"', 1), encoding="utf-8")
    chosen = config.load(str(path))
    with building.small():
        building.run(chosen)
        copy = keys.image_id("flickr:4242")
        assert copy in {row["image_id"] for row in building.outcomes(chosen.root)}
        found = matching.resolve(chosen.root, [requests.Request(1, (said,))], chosen.sources, Suppression())
        assert copy in found.images
        assert found.unmatched == ()
        with (tmp_path / "data" / "takedown.txt").open("a", encoding="utf-8") as listed:
            listed.write(f"{said}\n")
        caplog.clear()
        building.run(chosen)
    assert rejected(chosen)["conceptual_captions"] == {"takedown": 2}
    assert "match no pair" not in caplog.text
