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

from pipelines import build
from pmd.config import Config
from pmd.inspection import explain, verify
from pmd.inspection.peek import rows as shown
from pmd.schema import keys
from pmd.schema.tables import GROUPS
from pmd.store import commits, root
from pmd.text import urls
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
    return keys.image_id(str(urls.identity_one(url)))


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Config]:
    chosen = building.world(tmp_path_factory.mktemp("near"))
    with building.small() as patch:
        patch.setattr(tiny_root, "_web", web)
        building.run(chosen)
        yield chosen


def groups(chosen: Config) -> list[dict[str, Any]]:
    folder = root.dedupe_folder(chosen.root)
    files = commits.require(folder, "").under("groups")
    tables = (commits.read_table(folder, file) for file in files)
    return list(pa.concat_tables([GROUPS.empty_table(), *tables]).to_pylist())


def test_groups_say_who_gave_way(built: Config) -> None:
    found = {(row["image_id"], row["kept_id"]): row for row in groups(built)}
    small = sorted([image(tiny_root.C2), image(tiny_root.C3)])
    assert found[small[1], small[0]]["relation"] == "same_bytes"
    near = found[small[0], image(tiny_root.C1)]
    assert near["relation"] == "near_duplicate"
    assert 0 <= near["distance"] <= 31
    assert len(found) == 2


def test_all_captions_stand_at_the_largest(built: Config) -> None:
    folder = root.shards_folder(built.root, "parquet")
    files = [file for file in commits.require(folder, "").files if file.name.endswith(".parquet")]
    samples = [row for file in files for row in commits.read_table(folder, file).to_pylist()]
    (sample,) = [row for row in samples if row["image_id"] == image(tiny_root.C1).hex()]
    assert {pair["text"] for pair in sample["pairs"]} == {
        "a red square",
        "the same square elsewhere",
        "a picture that is gone",
    }
    assert verify.verify(built.root)["problems"] == []


def test_explain_and_peek_follow_both_steps(built: Config) -> None:
    found = explain.explain(built.root, tiny_root.C3)
    (pair,) = found["pairs"]
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
    told = explain.text(explain.explain(other.root, tiny_root.C1))
    assert f"(evaluation_overlap, distance 0): {path}: photograph 1" in told
    with root.writer(built.root, "test"):
        build.build(built)
    assert {row["relation"] for row in groups(built)} == {"same_bytes", "near_duplicate"}


def test_kept_apart_where_that_is_asked_for(built: Config) -> None:
    other = dataclasses.replace(built, dedupe=built.dedupe.model_copy(update={"near": "keep"}))
    from pipelines import dedupe

    with root.writer(other.root, "test"):
        dedupe.build(other)
    assert {row["relation"] for row in groups(other)} == {"same_bytes"}
    with root.writer(built.root, "test"):
        dedupe.build(built)
    assert {row["relation"] for row in groups(built)} == {"same_bytes", "near_duplicate"}
