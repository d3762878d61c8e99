"""A build goes on wherever its commands are run, and goes by the bytes of its files and not by their times."""

from __future__ import annotations

import io
import json
import os
import zipfile
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from PIL import Image

from pipelines import build
from pmd import config
from pmd.fetch.ledger import state
from pmd.schema.statuses import OK
from pmd.store import commits, root, storage

CONFIG = """
root = "out"
contact = "mailto:tests@example.org"
[sources.coco]
annotations = ["data/captions_*.json"]
images = ["data/*.zip"]
karpathy = "none"
[fetch]
resolve = { "*:80" = "127.0.0.1:9" }
allow_addresses = ["127.0.0.1/32"]
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with a configuration, and one captioned image in an archive, so that no web is asked."""
    folder = tmp_path / "project"
    (folder / "data").mkdir(parents=True)
    (folder / "pmd.toml").write_text(CONFIG)
    images = [
        {
            "id": 9,
            "file_name": "000000000009.jpg",
            "coco_url": "http://images.cocodataset.org/train2017/000000000009.jpg",
        }
    ]
    annotations = [{"id": 1, "image_id": 9, "caption": "a grey square on nothing"}]
    content = {"licenses": [], "images": images, "annotations": annotations}
    (folder / "data" / "captions_train2017.json").write_text(json.dumps(content))
    picture = io.BytesIO()
    Image.linear_gradient("L").resize((320, 300)).convert("RGB").save(picture, "JPEG")
    with zipfile.ZipFile(folder / "data" / "train2017.zip", "w") as archive:
        archive.writestr("train2017/000000000009.jpg", picture.getvalue())
    return folder


def run(path: str, only: str | None = None) -> list[build.Step]:
    chosen, steps = config.load(path), []
    with root.writer(chosen.root, "test"):
        build.build(chosen, only=only, report=steps.append)
    return steps


def test_a_build_goes_on_from_another_folder(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project)
    for stage in ("curate", "images"):
        run("pmd.toml", stage)
    (file,) = (project / "out/images").rglob("*.parquet")
    (image,) = pq.read_table(file)["locations"].to_pylist()
    assert image[0] == {"kind": "archive", "url": "data/train2017.zip!/train2017/000000000009.jpg"}
    monkeypatch.chdir(project.parent)
    (fetched,) = run("project/pmd.toml", "fetch")
    assert fetched.why is not None
    shards = [
        state.read_ledger("project/out", shard) for shard in range(2 ** root.require("project/out")["fetch_shard_bits"])
    ]
    assert [row["status"] for ledger in shards if ledger is not None for row in ledger.to_pylist()] == [OK]
    assert [(step.stage, step.why) for step in run(str(project / "pmd.toml"))][:3] == [
        ("curate", None),
        ("images", None),
        ("fetch", None),
    ]
    assert sorted(path.name for path in project.parent.iterdir()) == ["project"]
    monkeypatch.chdir(project / "data")
    assert {step.why for step in build.explain(config.load("../pmd.toml"))} == {None}


def test_what_a_build_would_do_has_the_lists_of_sources_that_are_not_curated_yet(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project)
    path = Path("pmd.toml")
    path.write_text(path.read_text() + '[sources.mine]\nreader = "url_text"\nannotations = ["mine.csv"]\n')
    Path("mine.csv").write_text("url,text\nhttp://one.example/1.jpg,a cat\n")
    told = [(step.stage, step.unit) for step in build.explain(config.load("pmd.toml"))]
    assert [unit for stage, unit in told if stage == "publish"] == ["coco", "mine"]


def test_a_file_of_another_time_is_not_curated_anew(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project)
    run("pmd.toml", "curate")
    file = Path("data/captions_train2017.json")
    before = commits.require("out/curate/source=coco", "")
    assert before.run["digests"] == {str(file): storage.content_digest(str(file), "any")}
    os.utime(file, (1, 1))
    (explained, *_) = build.explain(config.load("pmd.toml"))
    assert explained.why is None
    (step,) = run("pmd.toml", "curate")
    assert step.why is None
    after = commits.require("out/curate/source=coco", "")
    assert (after.files, after.sources) == (before.files, before.sources)
    assert after.run["inputs"] == {str(file): storage.fingerprint(str(file))} != before.run["inputs"]
    file.write_text(file.read_text().replace("grey", "blue"))
    (step,) = run("pmd.toml", "curate")
    assert step.why == f"input {file} changed"
