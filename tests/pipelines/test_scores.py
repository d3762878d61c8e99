"""Scores through the pipelines: books, what is fetched, and what a change of the file does."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines import build
from pmd.config.options import ScoreRule
from pmd.inspection import verify
from pmd.schema import keys
from pmd.store import commits, root
from pmd.text import url_identity
from tests import tiny_root
from tests.pipelines import building


def test_scores_of_pairs_and_images_are_counted_like_any_rule(tmp_path: Path) -> None:
    chosen = building.world(tmp_path)
    pairs, images = tmp_path / "clip.parquet", tmp_path / "nsfw.parquet"
    first = keys.image_id(str(url_identity.of_one(tiny_root.C1))).hex()
    pq.write_table(pa.table({"image_id": [first], "nsfw": [0.9]}), images)
    pq.write_table(pa.table({"pair_id": [keys.pair_id("coco", "12345").hex()], "clip": [0.3]}), pairs)
    rules = (
        ScoreRule(file=str(images), keep="nsfw < 0.2", missing="keep"),
        ScoreRule(file=str(pairs), keep="clip > 0.31", missing="keep"),
    )
    scored = dataclasses.replace(chosen, scores=rules)
    with building.small():
        building.run(scored)
        books = commits.require(root.views_folder(chosen.root), "").sources
        assert books["conceptual_captions"].rejected == {"score": 1, "takedown": 1}
        assert books["coco"].rejected == {"score": 1}
        assert verify.verify(chosen.root)["problems"] == []
        assert {step.why for step in build.explain(scored)} == {None}
        pq.write_table(pa.table({"image_id": [first], "nsfw": [0.15]}), images)
        assert [step.why for step in build.explain(scored) if step.stage == "images"] == [f"input {images} changed"]
        with root.writer(chosen.root, "test"):
            build.build(scored)
        books = commits.require(root.views_folder(chosen.root), "").sources
        assert books["conceptual_captions"].rejected == {"takedown": 1}
