"""Near-duplicates through the pipelines: the smaller copy's pairs move, and what is committed agrees with itself."""

from __future__ import annotations

import dataclasses
import hashlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

import pmd
from pipelines import build, dedupe
from pmd.config import Config
from pmd.inspection import explain, verify
from pmd.inspection.peek import rows as shown
from pmd.schema import keys
from pmd.schema.tables import GROUPS
from pmd.shard.samples import STATED
from pmd.store import commits, parquet_files, root
from pmd.text import url_identity
from tests import tiny_root
from tests.pipelines import building


def scene() -> Image.Image:
    """Return a picture with something to see everywhere."""
    random = np.random.default_rng(7)
    coarse = random.integers(0, 255, (12, 16, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((640, 480), Image.Resampling.BICUBIC)


def encoded(picture: Image.Image, quality: int) -> bytes:
    sink = io.BytesIO()
    picture.save(sink, "JPEG", quality=quality)
    return sink.getvalue()


def web() -> dict[bytes, bytes]:
    """Return the tiny world, in which C2 is a smaller copy of C1, and C3 has the bytes of that copy."""
    small = encoded(scene().resize((320, 240)), 70)
    pictures = {tiny_root.C1: encoded(scene(), 90), tiny_root.C2: small, tiny_root.C3: small}
    return plain() | {image(url): content for url, content in pictures.items()}


plain = tiny_root._web


def image(url: str) -> bytes:
    return keys.image_id(str(url_identity.of_one(url)))


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Config]:
    chosen = building.world(tmp_path_factory.mktemp("near"))
    (captions,) = chosen.sources["conceptual_captions"].annotations
    others = str(Path(captions).with_name("GCC-1.1.0-Validation.tsv"))
    Path(others).write_text(f"a square to try oneself on\t{tiny_root.C3}\n", encoding="utf-8")
    tried = dataclasses.replace(chosen.sources["conceptual_captions"], annotations=(captions, others))
    chosen = dataclasses.replace(chosen, sources={**chosen.sources, "conceptual_captions": tried})
    with building.small() as patch:
        patch.setattr(tiny_root, "_web", web)
        building.run(chosen)
        yield chosen


def groups(chosen: Config) -> list[dict[str, Any]]:
    folder = root.dedupe_folder(chosen.root)
    files = commits.require(folder, "").under("groups")
    tables = (parquet_files.read_table(folder, file) for file in files)
    return list(pa.concat_tables([GROUPS.empty_table(), *tables]).to_pylist())


def in_shards(chosen: Config) -> list[dict[str, Any]]:
    """Return the samples."""
    folder = root.shards_folder(chosen.root, "parquet")
    files = [file for file in commits.require(folder, "").files if file.name.endswith(".parquet")]
    return [row for file in files for row in parquet_files.read_table(folder, file).to_pylist()]


def test_groups_say_who_gave_way(built: Config) -> None:
    found = {(row["image_id"], row["kept_id"]): row for row in groups(built)}
    small = sorted([image(tiny_root.C2), image(tiny_root.C3)])
    assert found[small[1], small[0]]["relation"] == "same_bytes"
    near = found[small[0], image(tiny_root.C1)]
    assert near["relation"] == "near_duplicate"
    assert 0 <= near["distance"] <= 31
    assert len(found) == 2


def test_all_captions_stand_at_the_largest(built: Config) -> None:
    (sample,) = [row for row in in_shards(built) if row["image_id"] == image(tiny_root.C1).hex()]
    assert {pair["text"] for pair in sample["pairs"]} == {
        "a red square",
        "the same square elsewhere",
        "a picture that is gone",
        "a square to try oneself on",
    }
    assert verify.verify(built.root)["problems"] == []


def in_lists(chosen: Config) -> dict[str, dict[str, Any]]:
    """Return the rows of the lists by pair_id."""
    rows = pmd.load(chosen.root).published.to_table().to_pylist()
    return {row["pair_id"]: row for row in rows}


def test_a_group_is_in_one_split_in_shards_and_lists(built: Config) -> None:
    """Upstream has one caption of a copy for validation, and three of its copies for training."""
    listed = in_lists(built)
    samples = in_shards(built)
    for sample in samples:
        for pair in sample["pairs"]:
            row = listed[pair["pair_id"]]
            assert (row["split"], row["image_id"]) == (sample["split"], pair["image_id"])
            assert {name: row[name] for name in STATED} == {name: pair[name] for name in STATED}
    splits = {pair["text"]: sample["split"] for sample in samples for pair in sample["pairs"]}
    assert {text for text, split in splits.items() if split == "validation"} == {
        "a red square",
        "the same square elsewhere",
        "a picture that is gone",
        "a square to try oneself on",
    }
    assert {row["text"] for row in listed.values() if row["split"] == "validation"} == {
        text for text, split in splits.items() if split == "validation"
    }
    folder = root.dedupe_folder(built.root)
    assert commits.require(folder, "").facts["moved_splits"] == {"conceptual_captions": {"validation": 3}}
    names = {
        file.name.partition("-")[0]
        for file in commits.require(root.publish_folder(built.root, "conceptual_captions"), "").files
    }
    assert names == {"train", "validation"}


def test_every_sample_of_a_merged_image_joins_the_lists_by_its_pairs(built: Config) -> None:
    """By the sample's own image_id, rows of images that gave way to it would be missed."""
    listed = in_lists(built)
    samples = in_shards(built)
    joined = {pair["pair_id"] for sample in samples for pair in sample["pairs"]}
    assert joined <= {*listed}
    by_image = {pair["image_id"] for sample in samples for pair in sample["pairs"]}
    assert {row["image_id"] for pair_id, row in listed.items() if pair_id in joined} == by_image
    assert not by_image <= {sample["image_id"] for sample in samples}


def test_equal_bytes_that_are_not_merged_are_in_one_split(built: Config) -> None:
    apart = dataclasses.replace(built, dedupe=built.dedupe.model_copy(update={"near": "keep", "same_bytes": "keep"}))
    with root.writer(apart.root, "test"):
        dedupe.build(apart)
    assert groups(apart) == []
    moved = commits.require(root.dedupe_folder(apart.root), "").facts["moved_splits"]
    assert moved == {"conceptual_captions": {"validation": 2}}  # C3's own other caption, and C2, which has its bytes
    with root.writer(built.root, "test"):
        dedupe.build(built)


def test_explain_and_peek_follow_both_steps(built: Config) -> None:
    found = explain.explain(built.root, tiny_root.C3)
    assert len(found["pairs"]) == 2
    for pair in found["pairs"]:
        assert pair["shown_image_id"] == image(tiny_root.C1).hex()
        assert pair["samples"]
    three = {image(url) for url in (tiny_root.C1, tiny_root.C2, tiny_root.C3)}
    assert shown._alike(built.root, {image(tiny_root.C3)}) == {image(tiny_root.C3): three}
    assert shown._alike(built.root, {image(tiny_root.C1)}) == {image(tiny_root.C1): three}


def test_evaluation_images_leave_and_nothing_moves_to_them(built: Config, tmp_path: Path) -> None:
    """C1 is on the list by its bytes alone: its smaller copies are not, stay, and are not merged into what left."""
    path = tmp_path / "list.txt"
    path.write_text(f"sha256:{hashlib.sha256(web()[image(tiny_root.C1)]).hexdigest()} photograph 1\n")
    other = dataclasses.replace(built, dedupe=built.dedupe.model_copy(update={"evaluation": (str(path),)}))
    with root.writer(other.root, "test"):
        build.build(other)
    found = {row["image_id"]: row for row in groups(other)}
    mine = found[image(tiny_root.C1)]
    assert (mine["relation"], mine["distance"], mine["matched"]) == ("evaluation_overlap", 0, f"{path}: photograph 1")
    assert {row["relation"] for row in found.values()} == {"evaluation_overlap", "same_bytes"}
    books = commits.require(root.dedupe_folder(other.root), "").sources["conceptual_captions"]
    assert books.rejected == {"evaluation_overlap": 1}
    assert verify.verify(other.root)["problems"] == []
    told = explain.render(explain.explain(other.root, tiny_root.C1))
    assert f"(evaluation_overlap, distance 0): {path}: photograph 1" in told
    with root.writer(built.root, "test"):
        build.build(built)
    assert {row["relation"] for row in groups(built)} == {"same_bytes", "near_duplicate"}


def test_kept_apart_where_that_is_asked_for(built: Config) -> None:
    other = dataclasses.replace(built, dedupe=built.dedupe.model_copy(update={"near": "keep"}))
    with root.writer(other.root, "test"):
        dedupe.build(other)
    assert {row["relation"] for row in groups(other)} == {"same_bytes"}
    with root.writer(built.root, "test"):
        dedupe.build(built)
    assert {row["relation"] for row in groups(built)} == {"same_bytes", "near_duplicate"}
