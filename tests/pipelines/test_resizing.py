"""Sizes and formats in whole builds: what each stage makes of them, what a changed option makes anew, and that books balance."""

from __future__ import annotations

import dataclasses
import io
import tarfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from PIL import Image

from pmd import config
from pmd.config import Config
from pmd.errors import ConfigError
from pmd.fetch.ledger import partitions
from pmd.inspection import explain, plan, status, verify
from pmd.store import root
from tests.fetch.conftest import Web, photo, reply
from tests.pipelines.test_hashes import run

PICTURES = {
    "wide.jpg": photo(900, 200, seed=1),
    "tall.jpg": photo(300, 420, seed=2),
    "small.jpg": photo(120, 90, seed=3),
    "photo.png": photo(640, 480, seed=4, kind="PNG"),
    "line.jpg": photo(900, 60, seed=5),
}


@pytest.fixture(scope="module")
def web() -> Iterator[Web]:
    with Web() as server:
        server.routes |= {f"a.test/{name}": reply(content) for name, content in PICTURES.items()}
        yield server


def configured(folder: Path, web: Web, *, fetch: str = "", shard: str = "") -> Config:
    path = folder / "rows.tsv"
    if not path.exists():
        lines = [f"picture number {number} of them\thttp://a.test/{name}" for number, name in enumerate(PICTURES)]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    chosen = config.parse(
        f"""
root = "{folder}/pmd"
profile = "paper"
contact = "mailto:tests@example.org"
[sources.conceptual_captions]
annotations = ["{path}"]
[fetch]
allow_addresses = ["127.0.0.1/32"]
resolve = {{ "*:80" = "127.0.0.1:{web.port}" }}
{fetch}
[shard]
formats = ["webdataset"]
{shard}
"""
    )
    root.create(chosen.root, 1)
    return chosen


def pictures(chosen: Config) -> Counter[tuple[str, tuple[int, int]]]:
    """Return the format and size of every picture in the shards."""
    found: Counter[tuple[str, tuple[int, int]]] = Counter()
    for path in Path(chosen.root).glob("shards/webdataset/*.tar"):
        with tarfile.open(path) as tar:
            for member in tar:
                if not member.name.endswith((".json", ".txt")):
                    content = tar.extractfile(member)
                    assert content is not None
                    with Image.open(io.BytesIO(content.read())) as image:
                        found[member.name.partition(".")[2], image.size] += 1
    return found


def test_a_build_with_every_option_and_what_a_change_makes_anew(web: Web, tmp_path: Path) -> None:
    fetch = "image_size = 180\nmax_aspect_ratio = 10.0"
    chosen = configured(tmp_path, web, fetch=fetch)
    run(chosen)
    assert pictures(chosen) == {
        ("jpg", (810, 180)): 1,
        ("jpg", (180, 252)): 1,
        ("jpg", (120, 90)): 1,
        ("jpg", (240, 180)): 1,
    }
    assert status.books(chosen.root)["stages"]["fetch"]["rejected"] == {"too_narrow": 1}
    asked = len(web.log)

    squares = configured(
        tmp_path,
        web,
        fetch=fetch,
        shard='image_size = 180\nresize_mode = "center_crop"\nencode_format = "webp"\nmin_side_px = 100\nmax_aspect_ratio = 4.0',
    )
    done = run(squares)
    assert {stage for stage, why in done.items() if why is not None} == {"shard"}
    names = ("encode_format", "image_size", "max_aspect_ratio", "min_side_px")
    assert done["shard"] == "; ".join(f"option {name} is new" for name in names) + "; and 1 more"
    assert pictures(squares) == {("webp", (180, 180)): 2}
    assert status.books(squares.root)["stages"]["shard"]["rejected"] == {"sample_too_small": 1, "sample_too_narrow": 1}
    assert verify.verify(squares.root)["problems"] == []
    assert {*run(squares).values()} == {None}
    shown = explain.render(explain.explain(squares.root, "http://a.test/wide.jpg"))
    assert "sample_too_narrow" in shown
    assert "stored (resized: jpeg, 810 × 180 px)" in shown
    assert "too_narrow" in explain.render(explain.explain(squares.root, "http://a.test/line.jpg"))

    # Another form in [fetch] holds for what comes, and nothing is fetched twice.
    other = configured(tmp_path, web, fetch='image_size = 300\nresize_mode = "border"\nencode_format = "png"')
    done = run(other)
    assert done["fetch"] is None
    assert pictures(other)["jpg", (810, 180)] == 1
    larger = configured(tmp_path, web, fetch="image_size = 300", shard="image_size = 300")
    with pytest.raises(ConfigError, match="shards make nothing larger than it is kept"):
        run(larger)
    assert len(web.log) == asked


def test_squares_in_the_store_are_hashed_and_nobody_asks_for_it_later(web: Web, tmp_path: Path) -> None:
    chosen = configured(
        tmp_path, web, fetch='image_size = 180\nresize_mode = "border"\nencode_format = "png"\nencode_quality = 9'
    )
    assert plan.plan(chosen)["hashes"]["asked_by"] == "fetch.resize_mode"
    run(chosen)
    assert pictures(chosen) == {("png", (180, 180)): 4, ("png", (120, 90)): 1}
    assert verify.verify(chosen.root)["problems"] == []
    near = dataclasses.replace(chosen, dedupe=chosen.dedupe.model_copy(update={"near": "merge"}))
    done = run(near)
    assert done["fetch"] is None
    assert "perceptual hash" not in str(done["dedupe"])
    assert {found["hashed_form"] for found in ledger(near).to_pylist()} == {"original"}
    assert verify.verify(near.root)["problems"] == []


def ledger(chosen: Config) -> pa.Table:
    return partitions.standing(partitions.own_generations(chosen.root, range(2)))
