"""`pmd explain`: one pair or image, by any of its names, with everything that became of it."""

from __future__ import annotations

import struct
from collections.abc import Collection
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from pmd import cli, config
from pmd.errors import PmdError, RootError
from pmd.fetch.ledger import stored
from pmd.images import names
from pmd.inspection import explain
from pmd.inspection.explain import book as book_module
from pmd.inspection.explain.book import Book
from pmd.schema import keys
from pmd.schema.tables import GROUPS, VIEWS
from pmd.store import commits, parquet_files, root
from pmd.text import url_identity
from tests import tiny_root


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> config.Config:
    return tiny_root.build(tmp_path_factory.mktemp("built"))


def ask(built: config.Config, what: str) -> dict[str, Any]:
    found = explain.explain(built.root, what)
    orjson.dumps(found)
    assert explain.render(found)
    return found


COCO_IMAGE = keys.image_id("coco:9").hex()


@pytest.mark.parametrize("what", ["coco/12345", "12345", keys.pair_id("coco", "12345").hex()])
def test_a_pair_by_each_of_its_names(built: config.Config, what: str) -> None:
    found = ask(built, what)
    (pair,) = found["pairs"]
    assert (pair["source"], pair["source_id"], pair["row"]["text"]) == ("coco", "12345", "A green field.")
    assert pair["rejected"] == []
    assert {sample["format"] for sample in pair["samples"]} == {"webdataset", "parquet"}
    assert {sample["key"] for sample in pair["samples"]} == {COCO_IMAGE}
    assert pair["published"][0].startswith("publish/source=coco/")
    (image,) = found["images"]
    assert image["image_id"] == COCO_IMAGE
    assert image["row"]["identity"] == "coco:9"
    assert (image["stands"]["status"], image["attempts"][0]["http_status"]) == ("ok", 200)


@pytest.mark.parametrize(
    "what", [COCO_IMAGE, tiny_root.COCO_URL, "http://images.cocodataset.org/val2014/COCO_val2014_000000000009.jpg"]
)
def test_an_image_has_the_pairs_of_all_sources(built: config.Config, what: str) -> None:
    pairs = ask(built, what)["pairs"]
    assert [(pair["source"], pair["shown_image_id"]) for pair in pairs] == [
        ("coco", COCO_IMAGE),
        ("coco", COCO_IMAGE),
        ("conceptual_captions", COCO_IMAGE),
    ]


@pytest.mark.parametrize(
    "what",
    [tiny_root.C5, "https://live.staticflickr.com/65535/4242_0123abcd_b.jpg", keys.image_id("flickr:4242").hex()],
)
def test_an_identity_that_gave_way_leads_to_the_one_that_stands(built: config.Config, what: str) -> None:
    found = ask(built, what)
    (image,) = found["images"]
    assert image["image_id"] == COCO_IMAGE
    assert image["aliases"] == [keys.image_id("flickr:4242").hex()]
    assert len(found["pairs"]) == 3


def test_an_address_is_known_in_another_spelling(built: config.Config) -> None:
    other = tiny_root.C1.replace("one.example", "one.example.").replace("c1.jpg", "%631%2ejpg")
    assert keys.image_id(str(url_identity.of_one(other))) != keys.image_id(str(url_identity.of_one(tiny_root.C1)))
    assert ask(built, other)["pairs"] == ask(built, tiny_root.C1)["pairs"]


def test_an_image_with_the_bytes_of_another_is_shown_as_that(built: config.Config) -> None:
    first, second = (ask(built, url)["pairs"][0] for url in (tiny_root.C1, tiny_root.C2))
    assert first["shown_image_id"] == second["shown_image_id"]
    assert first["samples"] == second["samples"]
    assert ask(built, tiny_root.C1)["images"][0]["groups"][0]["relation"] == "same_bytes"


def test_an_image_has_the_pairs_of_those_that_gave_way_to_it(built: config.Config) -> None:
    by_url = {url: ask(built, url) for url in (tiny_root.C1, tiny_root.C2)}
    (shown,) = {pair["shown_image_id"] for found in by_url.values() for pair in found["pairs"]}
    theirs = {url: {pair["row"]["image_url"] for pair in found["pairs"]} for url, found in by_url.items()}
    (stays,) = (url for url, found in by_url.items() if found["images"][0]["image_id"] == shown)
    (gave_way,) = by_url.keys() - {stays}
    assert theirs == {stays: {tiny_root.C1, tiny_root.C2}, gave_way: {gave_way}}


@pytest.mark.parametrize(
    ("what", "stage", "reason"),
    [
        (tiny_root.C3, "fetch", "dead"),
        (tiny_root.C4, "images", "takedown"),
        ("visual_genome/12", "shard", "crop_too_small"),
        ("visual_genome/13", "curate", "empty_text"),
    ],
)
def test_why_a_pair_left(built: config.Config, what: str, stage: str, reason: str) -> None:
    found = ask(built, what)
    (pair,) = found["pairs"]
    assert [(row["stage"], row["reason"]) for row in pair["rejected"]] == [(stage, reason)]
    assert pair["samples"] == []
    assert f"rejected by {stage}: {reason}" in explain.render(found)


def test_a_row_that_was_never_parsed_is_found_by_its_digest(built: config.Config, tmp_path: Path) -> None:
    found = explain.explain(built.root, "http://one.example/gone.jpg")
    source_id = found["pairs"][0]["source_id"]
    assert len(source_id) == 32, "these rows have no upstream id"
    assert explain.explain(built.root, source_id)["pairs"][0]["pair_id"] == found["pairs"][0]["pair_id"]


def test_a_region_is_found_in_its_own_sample(built: config.Config) -> None:
    (left,), (whole,) = (ask(built, name)["pairs"] for name in ("visual_genome/10", "visual_genome/11"))
    assert left["row"]["region"] == [0.0, 0.0, 0.5, 1.0]
    assert left["samples"][0]["key"] != whole["samples"][0]["key"]


def test_a_sample_is_found_by_the_key_that_a_trainer_knows(built: config.Config) -> None:
    """That of a region is neither its image's nor its pair's."""
    (left,) = ask(built, "visual_genome/10")["pairs"]
    key = left["samples"][0]["key"]
    assert key not in {left["pair_id"], left["image_id"], left["shown_image_id"]}
    found = ask(built, key)
    assert (found["as"], found["pairs"]) == ("the key of a sample", [left])
    assert [image["image_id"] for image in found["images"]] == [left["shown_image_id"]]


def test_a_sample_of_images_that_were_merged_is_found_by_its_key(tmp_path: Path) -> None:
    """The region of an image that gave way is in the sample of the one that stands, in the end."""
    own, other, last = (bytes([number]) * 16 for number in (1, 2, 3))
    said = {"source": "visual_genome", "source_id": "1", "text": "x"}
    rows = [
        {"image_id": image_id, "pair_id": pair_id * 16, "region": region, **said}
        for image_id, pair_id, region in (
            (own, b"p", [0.0, 0.0, 0.5, 1.0]), (other, b"q", [0.0, 0.0, 0.5, 1.0]),
            (other, b"r", [0.0, 0.0, 1.0, 0.5]), (last, b"s", None),
        )
    ]  # fmt: skip
    gone = [(other, own, "same_bytes", 0), (own, last, "near_duplicate", 2)]
    groups = [
        {"image_id": image_id, "kept_id": kept, "relation": relation, "distance": bits, "stands_id": last}
        for image_id, kept, relation, bits in gone
    ]
    for folder, name, table in (
        ("views", "pairs/part-00000-of-00001", pa.Table.from_pylist(rows, VIEWS)),
        ("dedupe", "groups/part-00000-of-00001", pa.Table.from_pylist(groups, GROUPS)),
    ):
        file = parquet_files.put_table(str(tmp_path / folder), name, table)
        commits.write(str(tmp_path / folder), commits.Commit(folder, (file,), {}, "hash", {}))
    book = Book(str(tmp_path))
    key = keys.digest("sample", last, struct.pack("<4d", 0.0, 0.0, 0.5, 1.0))
    assert book.of_sample(key) == {b"p" * 16, b"q" * 16}
    assert book.of_sample(b"k" * 16) == set()
    assert [book.gave_way({image_id}) for image_id in (own, other, last)] == [set(), set(), {own, other}]


def test_every_sample_of_a_build_is_found_by_its_key(built: config.Config) -> None:
    columns = ["key", "region", "pairs"]
    rows = pq.read_table(f"{built.root}/shards/parquet", columns=columns).to_pylist()
    assert {row["region"] is None for row in rows} == {True, False}
    for row in rows:
        found = {pair["pair_id"] for pair in ask(built, row["key"])["pairs"]}
        of_sample = {pair["pair_id"] for pair in row["pairs"]}
        assert found == of_sample if row["region"] else found >= of_sample


@pytest.mark.parametrize("what", ["coco/999", "nothing", "0" * 32, "http://nowhere.example/x.jpg", "https://"])
def test_a_name_that_nothing_has_is_an_error_with_a_remedy(built: config.Config, what: str) -> None:
    with pytest.raises(PmdError) as caught:
        explain.explain(built.root, what)
    assert what in str(caught.value)
    assert "remedy: pmd status ROOT" in str(caught.value)


@pytest.mark.parametrize(
    "what", ["https://www.flickr.com/people/12345678@N00/", "user:sbu_captions/1@N01", "u/Somebody", "host:one.example"]
)
def test_a_person_or_a_host_is_not_said_to_be_absent(built: config.Config, what: str) -> None:
    """Nothing here was called so, though one.example has pictures."""
    with pytest.raises(PmdError, match="is a person or a host, who may have many pictures") as told:
        explain.explain(built.root, what)
    assert "apply CONFIG --dry-run" in str(told.value.remedy)


@pytest.mark.parametrize("said", ["{}", "//{}"])
def test_an_address_without_its_scheme_is_told_to_have_one(built: config.Config, said: str) -> None:
    with pytest.raises(
        PmdError, match=r"remedy: a URL begins with its scheme: https://one\.example/absent\.jpg; pmd status"
    ):
        explain.explain(built.root, said.format("one.example/absent.jpg"))


def test_a_pair_without_a_split_says_so(built: config.Config) -> None:
    answer = explain.explain(built.root, tiny_root.C3)
    assert "; split train" in explain.render(answer)
    for pair in answer["pairs"]:
        pair["row"]["split"] = None
    assert "; no split" in explain.render(answer)
    assert "None" not in explain.render(answer)


def test_no_root_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RootError, match="no ROOT here"):
        explain.explain(str(tmp_path), "coco/1")


def test_the_command_prints_text_or_json(built: config.Config) -> None:
    runner = CliRunner()
    shown = runner.invoke(cli.app, ["explain", built.root, tiny_root.C3]).stdout
    assert (
        "attempt 2024-01-01T00:00:00+00:00, generation 0: http://one.example/gone.jpg: dead; http_status 404" in shown
    )
    found = orjson.loads(runner.invoke(cli.app, ["explain", built.root, tiny_root.C3, "--json"]).stdout)
    assert found["images"][0]["stands"]["status"] == "dead"


def test_a_row_that_curate_rejected_has_its_text_and_its_line(built: config.Config) -> None:
    found = ask(built, "visual_genome/13")
    (row,) = found["pairs"][0]["rejected"]
    assert row["place"].endswith("/region_descriptions.json:[0].regions[3]")
    assert '"region_id":13' in row["upstream"]
    folder = root.curate_folder(built.root, "conceptual_captions")
    commit = commits.require(folder, "")
    (lost,) = (
        row
        for file in commit.under("rejected")
        for row in parquet_files.read_table(folder, file).to_pylist()
        if row["reason"] == "malformed_row"
    )
    shown = explain.render(ask(built, lost["pair_id"].hex()))
    assert "where: " in shown
    assert "/data/GCC-training.tsv:line 7\n" in shown
    assert "the row there: one column only" in shown


@pytest.mark.parametrize(
    "what",
    [
        "https://www.flickr.com/photos/somebody/4242/in/photostream/",
        "www.flickr.com/photos/somebody/4242",
        "https://flic.kr/p/2g9",
        "flickr:4242",
        "coco:9",
        "COCO_train2014_000000000009.jpg",
        "https://cocodataset.org/#explore?id=9",
    ],
)
def test_an_image_by_what_people_have_of_it(built: config.Config, what: str) -> None:
    (image,) = ask(built, what)["images"]
    assert image["image_id"] == COCO_IMAGE


@pytest.mark.parametrize("left", [False, True])
def test_an_image_by_visual_genome_s_own_id_where_it_is_known_as_coco_s(tmp_path: Path, *, left: bool) -> None:
    chosen = config.load(tiny_root.write_config(tmp_path))
    records = tmp_path / "data" / "image_data.json"
    records.write_text(records.read_text(encoding="utf-8").replace('"coco_id": null', '"coco_id": 7'), encoding="utf-8")
    if left:
        (tmp_path / "data" / "takedown.txt").write_text("visual_genome:1\n", encoding="utf-8")
    for name in sorted(chosen.sources):
        tiny_root.curate(chosen, name)
    tiny_root.make_images(chosen)
    for what in ("visual_genome:1", "https://visualgenome.org/api/v0/images/1", tiny_root.VG_URL):
        found = ask(chosen, what)
        assert found["pairs"] == ask(chosen, "coco:7")["pairs"] != []
        assert [image["image_id"] for image in found["images"]] == [keys.image_id("coco:7").hex()]


def test_an_image_by_its_bytes(built: config.Config, tmp_path: Path) -> None:
    stands = ask(built, COCO_IMAGE)["images"][0]["stands"]
    keyed = stands | {name: bytes.fromhex(stands[name]) for name in ("image_id", "stored_digest")}
    (tmp_path / "saved.jpg").write_bytes(stored.read(built.root, keyed))
    for what in (
        stands["sha256"], f"SHA256:{stands['sha256']}", stands["stored_digest"], str(tmp_path / "saved.jpg"),
    ):  # fmt: skip
        assert [image["image_id"] for image in ask(built, what)["images"]] == [COCO_IMAGE]


@pytest.mark.parametrize("what", ["what is this", "\udcff", "https://a.example/\udcff.jpg", "coco/\udcff"])
def test_what_is_not_understood_is_told_with_the_forms(built: config.Config, what: str) -> None:
    with pytest.raises(PmdError) as caught:
        explain.explain(built.root, what)
    assert f"expected: what a curated source has, as {names.FORMS}" in str(caught.value)


class Repeats(Book):
    """A book of one source, all of whose rows have one id; it counts how often it is opened."""

    def __init__(self, root_url: str, numbers: range) -> None:
        super().__init__(root_url)
        spelled = ["one" if number == 1 else f"one#{number}" for number in numbers]
        self.rows = {keys.pair_id("coco", name): name for name in spelled}
        self.sources = ["coco"]
        self.looks = 0

    def curated(self, pair_ids: Collection[bytes]) -> list[dict[str, Any]]:
        self.looks += 1
        there = [key for key in pair_ids if key in self.rows]
        return [{"pair_id": key, "source": "coco", "source_id": self.rows[key]} for key in there]


@pytest.mark.parametrize("asked", ["one", "coco/one"])
@pytest.mark.parametrize("count", [0, 1, 2, 3, 1000])
def test_an_id_that_very_many_rows_have_takes_few_looks(tmp_path: Path, asked: str, count: int) -> None:
    book = Repeats(str(tmp_path), range(1, count + 1))
    assert book.by_source_id(asked) == {*book.rows}
    assert book.looks <= 1 + count.bit_length()


def test_repeats_end_where_a_number_is_not_there(tmp_path: Path) -> None:
    book = Repeats(str(tmp_path), range(1, 9))
    del book.rows[keys.pair_id("coco", "one#5")]
    assert book.by_source_id("one") == {keys.pair_id("coco", name) for name in ("one", "one#2", "one#3", "one#4")}


def test_the_groups_of_a_placeholder_are_compared_with_no_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A removed picture's group has a hundred thousand images, and the one that it is told by stands in each row."""

    class Row(dict[str, Any]):
        compared = 0

        def __eq__(self, other: object) -> bool:
            Row.compared += 1
            return dict.__eq__(self, other)

        __hash__ = None  # type: ignore[assignment]

    ids = [keys.image_id(f"imgur:{number}") for number in range(300)]
    rows = [
        Row(image_id=one, kept_id=ids[0], relation="repeated_bytes", distance=0, matched=None, stands_id=None)
        for one in ids
    ]
    monkeypatch.setattr(book_module, "_rows_with", lambda _, column, of: [row for row in rows if row[column] in of])
    monkeypatch.setattr(Book, "_files", lambda self, folder, prefix=None: [("groups.parquet", None)])
    found = Book(str(tmp_path)).groups(ids[0])
    assert [row["image_id"] for row in found] == ids
    assert Row.compared == 0


def test_what_takes_a_pass_over_shards_is_asked_once_for_all_pairs_of_an_image(
    built: config.Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    for name in ("samples", "rejected"):
        real = getattr(Book, name)
        monkeypatch.setattr(Book, name, lambda book, of, real=real: (asked.append(len(of)), real(book, of))[1])
    found = ask(built, keys.image_id("visual_genome:1").hex())
    assert len(found["pairs"]) == 3
    assert len(asked) == 2
    assert [len(pair["samples"]) for pair in found["pairs"]] == [2, 2, 0]
    assert [len(pair["rejected"]) for pair in found["pairs"]] == [0, 0, 1]
