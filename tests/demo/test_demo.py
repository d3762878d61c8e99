"""The demo's files, read as upstream's own readers would; its expectations; and its web seen by a plain client."""

from __future__ import annotations

import bz2
import csv
import gzip
import hashlib
import io
import json
import tarfile
import tomllib
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote_plus

import pyarrow as pa
import pytest
from PIL import Image

from pipelines import demo as demonstration
from pmd import config, manifests, sources
from pmd.config import inputs
from pmd.config.asked import Asked
from pmd.config.reasons import REASONS, reasons_of
from pmd.curate import rules as curate_rules
from pmd.demo import files
from pmd.demo.annotations import write_annotations
from pmd.demo.config import MAX_BYTES, MIN_SIDE_PX, SOURCES, config_text, open_web, write_demo
from pmd.demo.rows import build_world
from pmd.demo.rows.shared import Photo
from pmd.demo.web import ENDLESS_BYTES, Answer, DemoWeb, route_of
from pmd.demo.world import World
from pmd.schema.statuses import STATUSES
from tests.demo.expected import Expected, expected

DEMO_BYTES = 15 * 1024 * 1024


@pytest.fixture(scope="module")
def world() -> World:
    return build_world()


@pytest.fixture(scope="module")
def outcome(world: World) -> Expected:
    return expected(world)


@pytest.fixture(scope="module")
def web() -> Iterator[DemoWeb]:
    with open_web() as web:
        yield web


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, web: DemoWeb) -> Path:
    folder = tmp_path_factory.mktemp("demo")
    write_demo(folder, web)
    return folder


def _json(folder: Path, name: str) -> Any:
    return json.loads((folder / name).read_bytes())


# ----------------------------------------------------------------------------------------- files, as upstream reads


def test_coco(folder: Path, world: World) -> None:
    captions = _json(folder, files.COCO_FILE)
    assert list(captions) == ["info", "licenses", "images", "annotations"]
    with zipfile.ZipFile(folder / files.COCO_ARCHIVE) as archive:
        assert archive.testzip() is None
        held = set(archive.namelist())
        for image in captions["images"]:
            assert image["file_name"] == f"{image['id']:012d}.jpg"
            member = f"train2017/{image['file_name']}"
            if member in held:
                assert Image.open(archive.open(member)).size == (image["width"], image["height"])
    assert sum(f"train2017/{image['file_name']}" in held for image in captions["images"]) == 20
    assert [item["id"] for item in captions["annotations"]] != sorted(item["id"] for item in captions["annotations"])

    karpathy = _json(folder, files.KARPATHY_FILE)
    assert Counter(image["split"] for image in karpathy["images"]) == {"train": 18, "restval": 2, "val": 1, "test": 1}
    by_id = {item["id"]: item for item in captions["annotations"] if "said" not in item.get("caption", "")}
    for image in karpathy["images"]:
        assert image["filename"] == f"COCO_{image['filepath']}_{image['cocoid']:012d}.jpg"
        assert image["sentids"] == [sentence["sentid"] for sentence in image["sentences"]]
        for sentence in image["sentences"]:
            assert by_id[sentence["sentid"]]["image_id"] == image["cocoid"]


def test_visual_genome(folder: Path) -> None:
    images, regions = _json(folder, files.VG_IMAGES_FILE), _json(folder, files.VG_REGIONS_FILE)
    assert all(set(image) == {"width", "url", "height", "image_id", "coco_id", "flickr_id"} for image in images)
    assert [entry["id"] for entry in regions][: len(images)] == [image["image_id"] for image in images]
    assert regions[0]["regions"][0]["region_id"] == 1382
    assert all(region["image_id"] == entry["id"] for entry in regions for region in entry["regions"])


@pytest.mark.parametrize(
    ("name", "broken"),
    [
        (files.LN_OPENIMAGES_FILE, 2),
        (files.LN_COCO_FILE, 0),
        (files.LN_COCO_FULL_FILE, 0),
        (files.LN_FLICKR30K_FILE, 0),
        (files.LN_ADE20K_FILE, 0),
    ],
)
def test_localized_narratives(folder: Path, name: str, broken: int) -> None:
    bad, keys = 0, []
    for line in (folder / name).read_bytes().splitlines():
        try:
            record = json.loads(line.decode())
        except ValueError:
            bad += 1
            continue
        assert list(record)[:3] == ["dataset_id", "image_id", "annotator_id"]
        assert isinstance(record["image_id"], str)
        assert isinstance(record["annotator_id"], int)
        keys.append(tuple(record)[4:])
    assert bad == broken
    if name == files.LN_COCO_FULL_FILE:
        assert keys == [("timed_caption", "traces", "voice_recording"), ("timed_caption", "voice_recording")]


def test_archives_without_urls(folder: Path) -> None:
    with tarfile.open(folder / files.FLICKR30K_ARCHIVE) as archive:
        members = [info for info in archive if info.isfile()]
        assert len(members) == 7
        assert all(info.mtime == 0 for info in members)
        assert Image.open(archive.extractfile(members[0])).format == "JPEG"  # type: ignore[arg-type]
    with zipfile.ZipFile(folder / files.ADE20K_ARCHIVE) as archive:
        assert "ADEChallengeData2016/images/training/ADE_train_00000001.jpg" in archive.namelist()


def test_red_caps(folder: Path) -> None:
    with zipfile.ZipFile(folder / files.RED_CAPS_FILE) as archive:
        names = [name for name in archive.namelist() if not name.endswith("/")]
        posts = []
        for name in names:
            document = json.loads(archive.read(name))
            assert set(document["info"]) >= {"start_date", "end_date", "url", "version"}
            for post in document["annotations"]:
                assert name.startswith(f"annotations/{post['subreddit']}_20")
                posts.append(post)
    assert any(
        not json.loads(zipfile.ZipFile(folder / files.RED_CAPS_FILE).read(name))["annotations"] for name in names
    )
    assert {"crosspost_parents"} <= {key for post in posts for key in post}
    assert any("score" not in post for post in posts)
    assert any(post["author"] == "None" for post in posts)
    assert all(isinstance(post["created_utc"], int) for post in posts)


def test_yfcc(folder: Path) -> None:
    lines = bz2.decompress((folder / files.YFCC_FILE).read_bytes()).split(b"\n")
    assert lines.pop() == b""
    records = [line.decode("latin-1").split("\t") for line in lines]
    assert Counter(map(len, records)) == {25: len(records) - 1, 24: 1}
    whole = [record for record in records if len(record) == 25]
    unpadded = "".join
    for record in whole:
        digest = hashlib.md5(record[16].encode(), usedforsecurity=False).digest()
        assert record[2] == unpadded(f"{byte:x}" for byte in digest)
        assert record[16] == (f"http://farm{record[20]}.staticflickr.com/{record[19]}/{record[1]}_{record[21]}.jpg")
    assert any("<a href=" in unquote_plus(record[9]) for record in whole)
    assert any("\n" in unquote_plus(record[9]) for record in whole)
    assert {record[24] for record in whole} == {"0", "1"}
    assert len({record[12] for record in whole if record[12]}) >= 8
    assert len({record[18] for record in whole}) == 6
    assert len({record[3] for record in whole}) >= 4


def test_sbu(folder: Path) -> None:
    lists = _json(folder, files.SBU_FILE)
    assert list(lists) == ["image_urls", "user_ids", "captions"]
    assert len({len(column) for column in lists.values()}) == 1


def test_conceptual(folder: Path) -> None:
    cc3m, cc12m = (folder / files.CC3M_FILE).read_bytes(), (folder / files.CC12M_FILE).read_bytes()
    assert cc3m.endswith(b"\n")
    assert not cc12m.endswith(b"\n")
    pairs = [line.split("\t") for line in cc3m.decode("latin-1").splitlines()]
    assert Counter(len(pair) for pair in pairs) == {2: len(pairs) - 2, 1: 1, 3: 1}
    assert any(pair[0].startswith('"') for pair in pairs)
    reversed_pairs = [line.split("\t") for line in cc12m.decode().split("\n")]
    assert sum(pair[0].startswith("http") for pair in reversed_pairs) == len(reversed_pairs) - 1
    assert any("<PERSON>" in pair[-1] for pair in reversed_pairs)


def test_wit(folder: Path) -> None:
    text = gzip.decompress((folder / files.WIT_FILE).read_bytes()).decode()
    records = list(csv.DictReader(io.StringIO(text, newline=""), delimiter="\t"))
    assert tuple(records[0]) == files.WIT_COLUMNS
    assert text.count("\n") > len(records) + 1  # newlines stand inside quoted fields
    assert {record["language"] for record in records} == {"en", "de", "fr", "ru", "es"}
    assert {record["is_main_image"] for record in records} == {"true", "false"}
    assert sum(record["context_section_description"] is None for record in records) == 1


# ------------------------------------------------------------------------------------------------- the whole of it


def test_size_and_number(folder: Path, world: World, outcome: Expected) -> None:
    pairs = sum(books["in"] for books in outcome.curate.values())
    assert 300 <= pairs <= 500
    assert 150 <= len(outcome.images) <= 250
    on_disk = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    assert on_disk + sum(len(answer.content) for answer in world.routes.values()) < DEMO_BYTES


def test_two_writes_are_equal(folder: Path, web: DemoWeb, tmp_path: Path) -> None:
    build_world.cache_clear()
    written = write_annotations(build_world(), tmp_path)
    assert [path.relative_to(tmp_path) for path in written] == sorted(
        path.relative_to(folder) for path in (folder / "data").rglob("*") if path.is_file()
    )
    for path in written:
        assert path.read_bytes() == (folder / path.relative_to(tmp_path)).read_bytes()
    assert (folder / "pmd.toml").read_text() == config_text(web.address, web.tls_address)


def test_configuration_is_one(folder: Path, web: DemoWeb) -> None:
    raw = tomllib.loads((folder / "pmd.toml").read_text())
    assert tuple(raw["sources"]) == tuple(SOURCES)
    assert raw["fetch"]["resolve"] == {"*:80": web.address, "*:443": web.tls_address}
    chosen = config.load(str(folder / "pmd.toml"))
    assert set(chosen.sources) == set(manifests.of_table2()) <= set(sources.names())
    assert chosen.fetch.max_bytes == MAX_BYTES < ENDLESS_BYTES
    assert chosen.fetch.min_side_px == MIN_SIDE_PX
    inputs.check(chosen, chosen.sources)


@pytest.mark.parametrize("name", SOURCES)
def test_curate_gives_what_is_expected(folder: Path, outcome: Expected, name: str) -> None:
    chosen = config.load(str(folder / "pmd.toml"))
    mine, source = chosen.sources[name], sources.load(name)
    judged = [
        curate_rules.judge(name, batch)
        for unit in source.plan(inputs.files(mine), mine.options)
        for batch in source.read(unit, mine.options)
    ]
    settled = curate_rules.resolve(name, pa.Table.from_batches(judged), Asked.of(chosen, "curate"))
    books = settled.books()
    assert {
        "in": settled.pairs.num_rows + settled.rejected.num_rows,
        "kept": books.kept,
        "rejected": dict(books.rejected),
    } == outcome.curate[name]
    assert tuple(sorted(settled.pairs["text"].to_pylist())) == outcome.texts[name]
    for pair in settled.pairs.select(["image_url", "file_name", "mirrors"]).to_pylist():
        place = pair["image_url"] or pair["file_name"].rpartition("/")[2]
        assert {outcome.statuses[place], *(outcome.statuses[url] for url in pair["mirrors"] or [])} <= set(STATUSES)


def test_books_follow_each_other(outcome: Expected) -> None:
    for before, after in (
        (outcome.curate, outcome.fetch),
        (outcome.fetch, outcome.dedupe),
        (outcome.dedupe, outcome.shard),
    ):
        assert {name: books["kept"] for name, books in before.items() if books["kept"]} == {
            name: books["in"] for name, books in after.items()
        }
    assert outcome.dedupe["conceptual_12m"]["rejected"] == {"repeated_bytes": 12}
    assert outcome.shard["visual_genome"]["rejected"].keys() == {"crop_too_small", "box_mismatch"}
    assert outcome.pairs == sum(books["kept"] for books in outcome.shard.values())
    assert outcome.samples < outcome.pairs


@pytest.mark.parametrize("out", ["d", "out/demo", "/somewhere/else/that is long"])
def test_what_was_made_stands_in_columns(out: str) -> None:
    lines = [line for line in demonstration._next(Path(out), f"{out}/pmd", 7) if line.startswith("  ")]
    says = ("the audit:", "training-ready", "the same samples", "lists of URLs", "the configuration")
    says += ("sampled pairs", "recount", "what became", "what a second")
    assert len({line.index(words) for line, words in zip(lines, says, strict=True)}) == 1


def test_nearly_every_reason_and_status_has_its_row(outcome: Expected) -> None:
    given = {reason for books in outcome.curate.values() for reason in books["rejected"]}
    assert given <= set(REASONS)
    # No profile but `hub` asks for ASCII, and no source here is a published list.
    assert set(reasons_of("curate")) - given == {"not_ascii", "withdrawn"}
    ended = {image.status for image in outcome.images.values()}
    # Every name resolves here, waiting is no show, and shapes, blocklists and lists to check against are everybody's own.
    assert set(STATUSES) - ended == {"dns", "timeout", "blocked_content", "changed", "too_narrow"}


def test_one_photograph_has_several_names(world: World) -> None:
    urls = [set(image.urls) for image in world.images.values()]
    photo = Photo.number(0)
    (everywhere,) = (mine for mine in urls if photo.static() in mine)
    assert {photo.on_farm(), photo.static()} <= everywhere
    assert any(url.startswith("http://images.cocodataset.org/") for url in everywhere)
    assert any(url.startswith("https://cs.stanford.edu/") for url in everywhere)
    for number, one in enumerate(urls):
        assert all(one.isdisjoint(other) for other in urls[number + 1 :])


def test_every_image_is_where_it_should_be_and_unlike_the_others(world: World) -> None:
    """An image that is to be `ok` has a place that gives it, and no bytes belong to two images unless that is meant."""
    owners: dict[bytes, set[str]] = {}
    for image in world.images.values():
        bodies = {world.archives[archive][member] for archive, member in (name.split("!/") for name in image.members)}
        for url in image.urls:
            answer = _followed(world, url)
            if answer is not None and answer.status == 200:
                bodies.add(answer.content)
        if image.status == "ok":
            assert bodies, image
            for body in bodies:
                owners.setdefault(body, set()).add(image.name)
        if image.status in ("dead", "no_location", "forbidden"):
            assert not bodies, image
    assert sorted(len(names) for names in owners.values() if len(names) > 1) == [2, 12]


def _followed(world: World, url: str) -> Answer | None:
    """Return what a URL ends in; None: 404 or a loop."""
    for _ in range(5):
        answer = world.routes.get(route_of(url))
        if answer is None or not 300 <= answer.status < 400:
            return answer
        target = dict(answer.headers)["Location"]
        url = target if "://" in target else "/".join(url.split("/", 3)[:3]) + target
    return None


def test_regions_are_where_the_image_has_them(world: World) -> None:
    sizes = {image["image_id"]: (image["width"], image["height"]) for image in world.vg_images}
    for row in (row for row in world.rows if row.source == "visual_genome"):
        if row.outcomes[0].reason is None:
            width, height = sizes[row.record["image_id"]]
            assert row.record["x"] + row.record["width"] <= width
            assert row.record["y"] + row.record["height"] <= height


def test_never_requested_and_may_repeat_are_apart(outcome: Expected) -> None:
    assert not outcome.never_requested & outcome.may_repeat
    assert route_of("http://169.254.169.254/latest/meta-data/") in outcome.never_requested
