"""What a change redoes and what it leaves alone, told by `--why`, by file times and by the web's log."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines import build, curate
from pmd import config
from pmd.config import Config, inputs
from pmd.demo.config import open_web, write_demo
from pmd.demo.rows import build_world
from pmd.demo.web import DemoWeb
from pmd.inspection import verify
from pmd.store import root
from tests.end_to_end import building


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Config, DemoWeb]]:
    """A demo without its last source, built; each test works on a copy of it."""
    folder = tmp_path_factory.mktemp("incremental")
    with open_web() as web:
        whole = config.load(str(write_demo(folder, web)))
        chosen = without(whole, "sbu_captions")
        building.run(chosen)
        yield folder, whole, web


def without(whole: Config, name: str) -> Config:
    return dataclasses.replace(whole, sources={key: item for key, item in whole.sources.items() if key != name})


def copy(whole: Config, target: Path) -> Config:
    shutil.copytree(whole.root, target, copy_function=shutil.copy2)
    return dataclasses.replace(whole, root=str(target))


def times(root: str) -> dict[str, int]:
    """Return the time of every file but the writer's lock."""
    found = [path for path in Path(root).rglob("*") if path.is_file()]
    return {str(path.relative_to(root)): path.stat().st_mtime_ns for path in found}


def redone(before: dict[str, int], after: dict[str, int]) -> set[str]:
    return {name for name, time in after.items() if before.get(name) != time} | (set(before) - set(after))


def stale(chosen: Config) -> dict[tuple[str, str], str]:
    return {(step.stage, step.unit): step.why for step in build.explain(chosen) if step.why is not None}


def images_asked(web: DemoWeb, since: int) -> list[tuple[str, str]]:
    return [route for route in web.requests[since:] if not route[1].endswith(("/robots.txt", "/tdmrep.json"))]


def test_a_source_added(finished: tuple[Path, Config, DemoWeb], tmp_path: Path) -> None:
    _, whole, web = finished
    chosen = copy(whole, tmp_path / "root")
    why = stale(chosen)
    assert why["curate", "sbu_captions"] == "nothing is committed yet"
    assert not [unit for stage, unit in why if stage == "curate" and unit != "sbu_captions"]
    before, asked = times(chosen.root), len(web.requests)
    settled = set(web.requests)
    steps = building.run(chosen)
    changed = redone(before, times(chosen.root))
    assert not [name for name in changed if name.startswith("curate/") and "sbu_captions" not in name]
    assert not [name for name in changed if name.startswith("publish/") and "sbu_captions" not in name]
    append_only = ("fetch/store/", "fetch/ledger/", "fetch/attempts/", "fetch/hashes/")
    assert not [name for name in before if name in changed and name.startswith(append_only)]
    asked_now = images_asked(web, asked)
    assert asked_now
    assert not set(asked_now) & settled
    assert {step.unit for step in steps if step.stage == "publish" and step.seconds is not None} == {"sbu_captions"}


def test_an_option_of_one_source_changed(finished: tuple[Path, Config, DemoWeb], tmp_path: Path) -> None:
    _, whole, web = finished
    chosen = copy(without(whole, "sbu_captions"), tmp_path / "root")
    red_caps = chosen.sources["red_caps"]
    options = red_caps.options.model_copy(update={"text": "raw_caption"})
    changed_source = dataclasses.replace(red_caps, options=options)
    chosen = dataclasses.replace(chosen, sources={**chosen.sources, "red_caps": changed_source})
    assert stale(chosen)["curate", "red_caps"] == "option text was 'caption', is 'raw_caption'"
    before, asked = times(chosen.root), len(web.requests)
    settled = set(web.requests)
    building.run(chosen)
    changed = redone(before, times(chosen.root))
    assert any(name.startswith("curate/source=red_caps/") for name in changed)
    assert not [name for name in changed if name.startswith("curate/") and "red_caps" not in name]
    assert not [name for name in before if name in changed and name.startswith(("fetch/store/", "fetch/ledger/"))]
    # A row whose `caption` was empty has a `raw_caption`: its image is new, and no other is asked for.
    assert len(images_asked(web, asked)) == 1
    assert not set(images_asked(web, asked)) & settled


def test_an_image_taken_out(finished: tuple[Path, Config, DemoWeb], tmp_path: Path) -> None:
    _, whole, web = finished
    chosen = copy(without(whole, "sbu_captions"), tmp_path / "root")
    pair = building.rows(Path(chosen.root) / "publish/source=conceptual_captions")[0]
    listed = tmp_path / "takedown.txt"
    listed.write_text(f"# asked for by its author\n{pair['image_url']}\n")
    chosen = dataclasses.replace(chosen, takedown=(str(listed),))
    assert not [unit for stage, unit in stale(chosen) if stage == "curate"]
    assert f"input {listed} is new" in stale(chosen)["images", "all"]
    before, asked = times(chosen.root), len(web.requests)
    building.run(chosen)
    changed = redone(before, times(chosen.root))
    assert images_asked(web, asked) == []
    assert not [name for name in changed if name.startswith(("curate/", "fetch/store/", "fetch/ledger/"))]
    gone = [row for row in building.rows(Path(chosen.root) / "views", "rejected/") if row["reason"] == "takedown"]
    assert pair["pair_id"] in {row["pair_id"].hex() for row in gone}
    for folder in (f"publish/source={pair['source']}", "shards/parquet"):
        assert pair["image_id"] not in {row["image_id"] for row in building.rows(Path(chosen.root) / folder)}


def test_a_build_that_has_nothing_to_do_does_without_beam(
    finished: tuple[Path, Config, DemoWeb], tmp_path: Path
) -> None:
    folder, whole, _ = finished
    target = copy(whole, tmp_path / "root").root
    text = (folder / "pmd.toml").read_text()
    here = json.dumps(target)
    text = re.sub("^root = .*$", lambda _: f"root = {here}", text, flags=re.MULTILINE)
    text = re.sub(r"\n\[sources\.sbu_captions\].*?(?=\n\[)", "", text, flags=re.DOTALL)
    path = folder / "idle.toml"  # beside the files that it names
    path.write_text(text)
    code = (
        f"import sys; sys.argv = ['pmd', 'build', {str(path)!r}]\nfrom pmd import cli\ntry: cli.main()\n"
        "except SystemExit as end: print(end.code, *{name.split('.')[0] for name in sys.modules})"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert ended.stderr.count("= ") == ended.stderr.count(": committed and unchanged") > 20
    status, *loaded = ended.stdout.splitlines()[-1].split()
    assert status == "0"
    assert not {*loaded} & {"apache_beam", "grpc"}


def test_samples_are_nested_and_ask_for_nothing_twice(finished: tuple[Path, Config, DemoWeb], tmp_path: Path) -> None:
    _, whole, web = finished
    chosen = dataclasses.replace(without(whole, "sbu_captions"), root=str(tmp_path / "root"))
    may_repeat = build_world().may_repeat
    taken = []
    for sample in (8, 2):
        asked = len(web.requests)
        building.run(dataclasses.replace(chosen, sample=sample))
        taken.append({row["image_id"] for row in building.rows(tmp_path / "root/images")})
        fetched = images_asked(web, asked)
        assert {route for route in fetched if fetched.count(route) > 1} <= may_repeat
    assert 0 < len(taken[0]) < len(taken[1])
    assert taken[0] < taken[1]


def test_what_is_no_longer_named_is_retired(finished: tuple[Path, Config, DemoWeb], tmp_path: Path) -> None:
    _, whole, _ = finished
    chosen = copy(without(whole, "sbu_captions"), tmp_path / "root")
    pair = building.rows(Path(chosen.root) / "publish/source=conceptual_captions")[0]
    (tmp_path / "takedown.txt").write_text(pair["image_url"])
    chosen = without(chosen, "conceptual_captions")
    shard = chosen.shard.model_copy(update={"formats": ("webdataset",)})
    chosen = dataclasses.replace(chosen, takedown=(str(tmp_path / "takedown.txt"),), shard=shard)
    assert stale(chosen)["shard", "parquet"] == stale(chosen)["publish", "conceptual_captions"] == build.RETIRED
    building.run(chosen)
    left = building.committed(Path(chosen.root))
    assert "shards/webdataset" in left
    assert not {"shards/parquet", "publish/source=conceptual_captions"} & set(left)
    assert not (Path(chosen.root) / "shards/parquet").exists()
    assert verify.verify(chosen.root)["problems"] == []


def test_a_folder_of_annotations_is_the_files_in_it(finished: tuple[Path, Config, DemoWeb], tmp_path: Path) -> None:
    _, whole, _ = finished
    for number, path in enumerate(whole.sources["red_caps"].annotations):
        with zipfile.ZipFile(path) as archive:
            archive.extractall(tmp_path / "annotations" / str(number))
    (tmp_path / "annotations" / ".hidden").write_text("no annotations")
    red_caps = dataclasses.replace(whole.sources["red_caps"], annotations=(str(tmp_path / "annotations"),))
    chosen = dataclasses.replace(whole, root=str(tmp_path / "root"), sources={"red_caps": red_caps})
    inputs.check(chosen, ["red_caps"])
    with root.writer(chosen.root, "test"):
        curate.build(chosen, ["red_caps"])
    found, zipped = (building.committed(Path(where))["curate/source=red_caps"] for where in (chosen.root, whole.root))
    assert building.digests(found, "pairs/") == building.digests(zipped, "pairs/")
