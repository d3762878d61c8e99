"""`pmd verify`: a sound ROOT passes; every kind of tampering is told, with its place."""

from __future__ import annotations

import dataclasses
import errno
import hashlib
import io
import os
import re
import shutil
import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from PIL import Image
from typer.testing import CliRunner

from pmd import cli, config, flow
from pmd.books import reconciliation
from pmd.books.committed import Committed
from pmd.errors import RootError
from pmd.fetch.ledger import state, stored
from pmd.inspection import verify
from pmd.inspection.verify.recount import Recounting
from pmd.publish.rules import LATER
from pmd.schema.tables import KEY, LEDGER, LEDGER_LATER, REJECTED_LATER
from pmd.shard import recount, writing
from pmd.store import commits, lock, parquet_files, root, sealed, storage, written
from pmd.takedown import receipts
from tests import tiny_root

#: Folders of other stages: what their recounts tell besides is said by their own tests.
OTHERS = tuple(f"{stage.books.top}/" for stage in tiny_root.STAGES if stage not in {*flow.JUDGING, flow.PUBLISH})


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> config.Config:
    return tiny_root.build(tmp_path_factory.mktemp("sound"))


@pytest.fixture
def copy(sound: config.Config, tmp_path: Path) -> Path:
    """A ROOT to tamper with."""
    shutil.copytree(sound.root, tmp_path / "pmd")
    return tmp_path / "pmd"


def problems(root: Path) -> list[dict[str, str]]:
    found = verify.verify(str(root))["problems"]
    assert isinstance(found, list)
    orjson.dumps(found)
    return found


def told(root: Path, what: str, place: str = "") -> dict[str, str]:
    """Return the problem of this kind at this place; fail where there is none."""
    listed = problems(root)
    found = [item for item in listed if item["what"] == what and place in item["place"]]
    assert found, listed
    return found[0]


def one(root: Path, pattern: str) -> Path:
    return sorted(root.glob(pattern))[0]


def edit_stage(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    path = folder / "_stage.json"
    content = orjson.loads(path.read_bytes())
    change(content)
    content["run"].pop("digest", None)  # as if it had been written so
    path.write_bytes(orjson.dumps(content))


def recommit(path: Path, folder: Path, rows: int) -> Path:
    """Make the commit of a folder list a changed file as it is now, under the name that it then has."""
    data = path.read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    promised = sealed.digest_of(path.name)
    new = path if promised is None else path.rename(path.with_name(path.name.replace(promised, digest[:16])))

    def change(content: dict[str, Any]) -> None:
        entry = next(file for file in content["files"] if (folder / file["name"]).resolve() == path.resolve())
        entry.update(name=os.path.relpath(new, folder), bytes=len(data), rows=rows, sha256=digest)

    edit_stage(folder, change)
    return new


def rewrite(path: Path, folder: Path, change: Callable[[pa.Table], pa.Table]) -> Path:
    """Change the rows of a Parquet file, and its entry in the commit."""
    table = change(pq.read_table(path))
    path.write_bytes(parquet_files.to_bytes(table))
    return recommit(path, folder, table.num_rows)


def without_first(table: pa.Table) -> pa.Table:
    return table.slice(1)


def first_twice(table: pa.Table) -> pa.Table:
    return pa.concat_tables([table.slice(0, 1), table])


def test_a_sound_root_passes_and_everything_is_counted(sound: config.Config) -> None:
    progress: list[tuple[int, int]] = []
    found = verify.verify(sound.root, lambda done, total: progress.append((done, total)))
    assert found["problems"] == []
    listed = [
        file for path in Path(sound.root).rglob("_stage.json") for file in orjson.loads(path.read_bytes())["files"]
    ]
    assert found["files"] == len(listed)
    assert found["bytes"] == sum(file["bytes"] for file in listed) == progress[-1][0] == progress[-1][1]
    assert found["rows"] == sum(file["rows"] for file in listed)
    assert "the books balance" in verify.render(found)


def test_no_root_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RootError, match="no ROOT here"):
        verify.verify(str(tmp_path))


def test_a_second_generation_and_what_follows_it_pass(sound: config.Config, tmp_path: Path) -> None:
    chosen = tiny_root.build(tmp_path)
    tiny_root.fetch(chosen, 1, retry=("dead",))
    listed = problems(Path(chosen.root))
    older = {
        "why fetch rejects a pair",
        "how many images were there",
        "images of the ledger by status, and those with a perceptual hash",
    }
    found = {item["what"] for item in listed if not item["place"].startswith(OTHERS)}
    assert found == older, "the stage after it is older"
    tiny_root.commit_rejected(chosen)
    tiny_root.run_stages(chosen, flow.between(flow.FETCH, flow.AUDIT))
    assert problems(Path(chosen.root)) == []


def test_stages_that_are_not_there_yet_are_no_problem(copy: Path) -> None:
    for stage in reversed(tiny_root.STAGES[tiny_root.STAGES.index(flow.FETCH) :]):
        shutil.rmtree(copy / stage.books.top)
        assert problems(copy) == []


def test_one_flipped_byte_of_any_file_is_told(copy: Path) -> None:
    files = [
        path for path in sorted(copy.rglob("*")) if path.is_file() and path.name not in {"_stage.json", "root.json"}
    ]
    assert len(files) > 30
    for path in files:
        content = path.read_bytes()
        at = len(content) // 2
        path.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
        assert told(copy, "sha256", str(path.relative_to(copy)))["expected"] == hashlib.sha256(content).hexdigest()
        path.write_bytes(content)
    assert problems(copy) == []


def test_any_file_that_is_cut_short_is_told(copy: Path) -> None:
    for path in sorted(copy.rglob("*"))[::3]:
        if path.is_file() and path.name not in {"_stage.json", "root.json"}:
            content = path.read_bytes()
            path.write_bytes(content[:-7])
            assert told(copy, "bytes", str(path.relative_to(copy)))["found"] == str(len(content) - 7)
            path.write_bytes(content)


def test_any_file_that_is_gone_is_told(copy: Path) -> None:
    for path in sorted(copy.rglob("*"))[::3]:
        if path.is_file() and path.name not in {"_stage.json", "root.json"}:
            content = path.read_bytes()
            path.unlink()
            assert told(copy, "file is gone", str(path.relative_to(copy)))["found"] == "nothing"
            path.write_bytes(content)


#: Every kind of Parquet file, and what says that a row is missing where the commit was made to agree with the file.
ROWS = [
    ("curate/source=coco", "pairs/*.parquet", "books: kept"),
    ("curate/source=conceptual_captions", "rejected/*.parquet", "books: rejected"),
    ("views", "pairs/*.parquet", "books: kept"),
    ("views", "rejected/*.parquet", "books: rejected"),
    ("images", "*.parquet", "a view without its image"),
    ("fetch/ledger/shard=00001/generation=0000", "ledger-*.parquet", "a picture that the ledger does not know"),
    ("fetch/rejected", "*.parquet", "books: rejected"),
    ("fetch/availability", "*.parquet", "how many images were there"),
    ("dedupe", "groups/*.parquet", "the image and region of a pair"),
    ("shards/rejected", "*.parquet", "books: rejected"),
    ("shards/parquet", "*.parquet", "books: kept"),
    ("publish/source=coco", "*.parquet", "books: kept"),
]


@pytest.mark.parametrize(("folder", "pattern", "what"), ROWS)
def test_a_row_deleted_is_told_even_where_the_file_is_committed_anew(
    copy: Path, folder: str, pattern: str, what: str
) -> None:
    path = one(copy / folder, pattern)
    rewrite(path, copy / folder, without_first)
    told(copy, what)


@pytest.mark.parametrize(("folder", "pattern", "what"), ROWS)
def test_a_row_doubled_is_told_even_where_the_file_is_committed_anew(
    copy: Path, folder: str, pattern: str, what: str
) -> None:
    path = one(copy / folder, pattern)
    rewrite(path, copy / folder, first_twice)
    if folder in {"images", "dedupe"} or "generation" in folder:
        what = "row stands twice"
    told(copy, what)


def test_a_row_deleted_with_its_books_is_told_by_the_next_stage(copy: Path) -> None:
    folder = copy / "curate/source=coco"
    path = one(folder, "pairs/*.parquet")
    key = pq.read_table(path)["pair_id"][0].as_py().hex()
    rewrite(path, folder, without_first)

    def change(content: dict[str, Any]) -> None:
        content["sources"]["coco"]["in"] -= 1
        content["sources"]["coco"]["kept"] -= 1

    edit_stage(folder, change)
    found = told(copy, "images: in is what curate kept", "coco")
    assert (found["expected"], found["found"]) == ("1 pair", "2 pairs")
    told(copy, "times in images, kept or rejected, of those that curate kept", key)
    told(copy, "images were made of other pairs than those committed now", "curate/source=coco")


BOOKED = [
    "curate/source=coco",
    "views",
    "fetch/rejected",
    "dedupe",
    "shards/rejected",
    "shards/webdataset",
    "publish/source=coco",
]


@pytest.mark.parametrize("folder", BOOKED)
@pytest.mark.parametrize("field", ["in", "kept"])
def test_books_that_were_edited_are_told(copy: Path, folder: str, field: str) -> None:
    edit_stage(copy / folder, lambda content: content["sources"]["coco"].update({field: 7}))
    told(copy, "books: in is kept + rejected", f"{folder}/_stage.json: coco")


@pytest.mark.parametrize("folder", BOOKED)
def test_books_that_were_edited_and_still_add_up_are_told(copy: Path, folder: str) -> None:
    def change(content: dict[str, Any]) -> None:
        content["sources"]["coco"]["in"] += 1
        content["sources"]["coco"]["kept"] += 1

    edit_stage(copy / folder, change)
    assert problems(copy)


@pytest.mark.parametrize("folder", BOOKED[:5])
def test_a_rejection_that_no_file_has_is_told(copy: Path, folder: str) -> None:
    def change(content: dict[str, Any]) -> None:
        content["sources"]["coco"]["in"] += 1
        content["sources"]["coco"]["rejected"]["dead"] = 1

    edit_stage(copy / folder, change)
    assert told(copy, "books: rejected", f"{folder}/_stage.json: coco, dead")["found"] == "0 rows"


def test_a_generations_books_are_bounded_by_its_ledger(copy: Path) -> None:
    folder = one(copy, "fetch/ledger/*/*/_stage.json").parent
    source = next(iter(orjson.loads((folder / "_stage.json").read_bytes())["sources"]))

    def change(content: dict[str, Any]) -> None:
        content["sources"][source]["in"] += 9
        content["sources"][source]["kept"] += 9

    edit_stage(folder, change)
    told(copy, "books: images of a generation", source)


def test_a_file_that_nothing_lists_is_told_unless_somebody_writes(copy: Path) -> None:
    (copy / "curate/source=coco/pairs/more.parquet").write_bytes(b"")
    (copy / "fetch/store/left-over.tar").write_bytes(b"")
    told(copy, "no commit lists this file", "curate/source=coco/pairs/more.parquet")
    told(copy, "no commit lists this file", "fetch/store/left-over.tar")
    with lock.held(str(copy), lock.Holder("here", 1, "now", "pmd build")):
        assert problems(copy) == []


def test_a_damaged_commit_is_told(copy: Path) -> None:
    (copy / "dedupe/_stage.json").write_bytes(b'{"stage": "dedupe"}')
    told(copy, "not a commit", "dedupe/_stage.json")


def test_a_key_that_is_not_the_hash_of_its_row_is_told(copy: Path) -> None:
    folder = copy / "curate/source=coco"

    def change(table: pa.Table) -> pa.Table:
        at = table.schema.get_field_index("source_id")
        ids = ["9999999", *table["source_id"].to_pylist()[1:]]
        return table.set_column(at, table.schema.field(at), pa.array(ids, pa.string()))

    rewrite(one(folder, "pairs/*.parquet"), folder, change)
    told(copy, "pair_id", "coco/9999999")


def test_a_text_changed_in_one_stage_is_told(copy: Path) -> None:
    folder = copy / "views"

    def change(table: pa.Table) -> pa.Table:
        at = table.schema.get_field_index("text")
        return table.set_column(at, table.schema.field(at), pa.array(["other words"] * table.num_rows, pa.string()))

    rewrite(one(folder, "pairs/*.parquet"), folder, change)
    assert told(copy, "the pair's text")["found"] == "different ones"


def test_a_group_that_names_another_image_in_the_end_is_told(copy: Path) -> None:
    folder = copy / "dedupe"
    nobody = pq.read_table(one(folder, "groups/*.parquet"))["image_id"][0].as_py()

    def change(table: pa.Table) -> pa.Table:
        at = table.schema.get_field_index("stands_id")
        return table.set_column(at, table.schema.field(at), pa.array([nobody] * table.num_rows, KEY))

    rewrite(one(folder, "groups/*.parquet"), folder, change)
    assert told(copy, "who stands in the end", nobody.hex())["found"] == nobody.hex()


def test_a_group_in_the_file_of_another_part_is_told(copy: Path) -> None:
    """Whoever reads the groups of a part opens its file alone."""
    folder = copy / "dedupe"
    path = one(folder, "groups/*.parquet")
    number = int(path.name.split("-")[1])
    other = f"part-{(number + 1) % 4:05d}-of-00004"
    moved = path.rename(path.with_name(path.name.replace(f"part-{number:05d}-of-00004", other)))

    def change(content: dict[str, Any]) -> None:
        (entry,) = (file for file in content["files"] if file["name"].endswith(path.name))
        entry["name"] = f"groups/{moved.name}"

    edit_stage(folder, change)
    found = told(copy, "part of a group", other)
    assert (found["expected"], found["found"]) == (str((number + 1) % 4), str(number))


def test_another_reason_than_the_ledgers_is_told(copy: Path) -> None:
    folder = copy / "fetch/rejected"

    def change(table: pa.Table) -> pa.Table:
        at = table.schema.get_field_index("reason")
        return table.set_column(at, table.schema.field(at), pa.array(["timeout"], pa.string()))

    rewrite(one(folder, "*.parquet"), folder, change)

    def books(content: dict[str, Any]) -> None:
        content["sources"]["conceptual_captions"]["rejected"] = {"timeout": 1}

    edit_stage(folder, books)
    found = told(copy, "why fetch rejects a pair")
    assert (found["expected"], found["found"]) == ("dead", "timeout")


def _ledger(copy: Path) -> tuple[Path, Path]:
    path = one(copy, "fetch/ledger/shard=00001/*/ledger-*.parquet")
    return path, path.parent


@pytest.mark.parametrize(
    ("column", "value", "what"),
    [
        ("offset", 1024, "the ledger's picture is not in the store"),
        ("length", 5, "length of a stored picture"),
        ("sha256", bytes(32), "sha256 of a stored original"),
        ("bytes", 1, "bytes of a stored original"),
        ("stored_format", "png", "format of a stored picture"),
        ("store_file", "fetch/store/other.tar", "store file"),
        ("status", "lost", "status"),
        ("settled_in", 4, "generation"),
        ("listed", "nearly", "listed"),
        ("stored_digest", bytes(16), "digest of a stored picture"),
        ("hashed_form", "nearly", "hashed_form"),
        ("perceptual_hash", None, "an ok image of a generation whose commit says that all have their hash"),
    ],
)
def test_a_ledger_that_says_otherwise_than_the_store_is_told(copy: Path, column: str, value: Any, what: str) -> None:
    path, folder = _ledger(copy)

    def change(table: pa.Table) -> pa.Table:
        at = table.schema.get_field_index(column)
        values = [value, *table[column].to_pylist()[1:]]
        return table.set_column(at, table.schema.field(at), pa.array(values, table.schema.field(at).type))

    rewrite(path, folder, change)
    told(copy, what)


def test_another_size_than_a_picture_that_was_encoded_anew_has_is_told(copy: Path) -> None:
    path, folder = _ledger(copy)

    def said(table: pa.Table, width_px: int) -> pa.Table:
        rows = table.to_pylist()
        with Image.open(io.BytesIO(stored.read(str(copy), rows[0]))) as image:
            size = image.size
        rows[0] |= {"stored_form": "resized", "stored_width_px": width_px or size[0], "stored_height_px": size[1]}
        return pa.Table.from_pylist(rows, schema=table.schema)

    path = rewrite(path, folder, lambda table: said(table, 0))
    assert problems(copy) == []
    rewrite(path, folder, lambda table: said(table, 7))
    assert told(copy, "size of a stored picture")["expected"].startswith("(7, ")


def test_a_ledger_of_an_earlier_version_passes(copy: Path) -> None:
    for path in copy.glob("fetch/ledger/*/*/ledger-*.parquet"):
        rewrite(path, path.parent, lambda table: table.drop_columns(list(LEDGER_LATER)))
    assert problems(copy) == []
    assert state.read_ledger(str(copy), 1).schema.equals(LEDGER)


@pytest.mark.parametrize(
    ("pattern", "later"),
    [
        ("publish/source=*/*.parquet", (*LATER, "perceptual_hash")),
        ("*/rejected/*.parquet", REJECTED_LATER),
        ("curate/source=*/rejected/*.parquet", REJECTED_LATER),
    ],
)
def test_lists_and_rejected_rows_of_an_earlier_version_pass(copy: Path, pattern: str, later: Sequence[str]) -> None:
    """Those of 0.1.0: a ROOT as it left it was said to be damaged, by a hundred problems."""
    paths = [*copy.glob(pattern)]
    assert paths
    for path in paths:
        folder = path.parent if (path.parent / commits.STAGE_FILE).exists() else path.parent.parent
        rewrite(path, folder, lambda table: table.drop_columns(list(later)))
    assert problems(copy) == []


def test_hashes_that_are_none_of_their_shards_are_told(copy: Path, sound: config.Config) -> None:
    for folder in copy.glob("fetch/ledger/*/generation=*"):
        edit_stage(folder, lambda content: content["facts"].pop(state.HASH, None))
    tiny_root.hash_stored(dataclasses.replace(sound, root=str(copy)))
    assert problems(copy) == []
    path = one(copy, "fetch/hashes/shard=*/*.parquet")
    shard = path.parent.name

    def change(table: pa.Table) -> pa.Table:
        other = [bytes([0xFF if shard != "shard=00003" else 0]) * 16, *table["image_id"].to_pylist()[1:]]
        table = table.set_column(0, table.schema.field(0), pa.array(other, table.schema.field(0).type))
        return table.set_column(2, table.schema.field(2), pa.array(["nearly"] * len(table)))

    rewrite(path, copy / f"fetch/ledger/{shard}/generation=0001", lambda table: first_twice(change(table)))
    for what in ("fetch shard of an image", "hashed_form", "row stands twice"):
        told(copy, what, "fetch/hashes")


def test_an_image_twice_in_a_generation_is_told(copy: Path) -> None:
    path, folder = _ledger(copy)
    path = rewrite(path, folder, first_twice)
    told(copy, "row stands twice", path.name)
    told(copy, "two images at one place", path.name)


def test_an_attempt_deleted_is_told(copy: Path) -> None:
    folder = one(copy, "fetch/ledger/shard=00001/generation=0000")
    path = one(copy, "fetch/attempts/shard=00001/*.parquet")
    rewrite(path, folder, without_first)
    told(copy, "an image settled without an attempt", str(folder.relative_to(copy)))


def _retar(path: Path, change: Callable[[str, bytes], bytes | None]) -> None:
    sink = io.BytesIO()
    with tarfile.open(path) as old, tarfile.open(fileobj=sink, mode="w", format=tarfile.USTAR_FORMAT) as new:
        for member in old:
            file = old.extractfile(member)
            assert file is not None
            content = change(member.name, file.read())
            if content is not None:
                member.size = len(content)
                new.addfile(member, io.BytesIO(content))
    path.write_bytes(sink.getvalue())


def test_a_sample_taken_out_of_a_shard_is_told(copy: Path) -> None:
    folder = copy / "shards/webdataset"
    path = one(folder, "*.tar")
    with tarfile.open(path) as tar:
        key = tar.getnames()[0].split(".")[0]
    _retar(path, lambda name, content: None if name.startswith(key) else content)
    recommit(path, folder, 2)
    assert told(copy, "times in the webdataset shards, of those that shard kept")["found"] == "0"
    told(copy, "samples by shard", "sizes.json")


@pytest.mark.parametrize("form", ["webdataset", "parquet"])
def test_shards_of_unequal_size_are_told_in_every_format(copy: Path, form: str) -> None:
    folder = copy / "shards" / form

    def change(content: dict[str, Any]) -> None:
        named = [file for file in content["files"] if file["name"].endswith((".tar", ".parquet"))]
        for file, rows in zip(named, (1, 3), strict=True):
            file["rows"] = rows

    edit_stage(folder, change)
    problem = told(copy, "samples in a shard", f"shards/{form}")
    assert (problem["expected"], problem["found"]) == ("as many in all but the last", "[1, 3]")
    edit_stage(folder, lambda content: content["run"]["options"].update({"shards": 2}))
    problem = told(copy, "samples in a shard", f"shards/{form}")
    assert (problem["expected"], problem["found"]) == (
        "as many in all but the last, or one more in the first ones",
        "[1, 3]",
    )


@pytest.mark.parametrize(
    ("counts", "by_samples", "by_number"),
    [
        ([], True, True),
        ([3], True, True),
        ([3, 3, 2], True, True),
        ([3, 2, 2], False, True),
        ([3, 3, 1], True, True),  # after a takedown, whose gaps the last fills
        ([3, 2, 1], False, True),
        ([4, 2, 2], False, False),
        ([2, 3, 2], False, False),
        ([2, 2, 3], False, False),
    ],
)
def test_the_last_shard_alone_may_have_fewer(counts: list[int], by_samples: bool, by_number: bool) -> None:
    assert recount.are_even(counts, by_number=False) is by_samples
    assert recount.are_even(counts, by_number=True) is by_number


def test_a_file_that_says_otherwise_what_the_data_are_is_told(copy: Path) -> None:
    folder = copy / "shards/webdataset"
    path = folder / ".huggingface.yaml"
    path.write_text(path.read_text().replace("*.tar", "*.json"))
    recommit(path, folder, 0)
    assert '"*.json"' in told(copy, "what is data in the folder", "shards/webdataset/.huggingface.yaml")["found"]


@pytest.mark.parametrize("content", writing.earlier_tars())
def test_what_earlier_versions_said_of_the_data_is_no_fault(copy: Path, content: bytes) -> None:
    """Their shards stay where nothing else makes them stale."""
    folder = copy / "shards/webdataset"
    path = folder / ".huggingface.yaml"
    path.write_bytes(content)
    recommit(path, folder, 0)
    assert verify.verify(str(copy))["problems"] == []


def test_what_loaders_leave_beside_the_shards_is_no_fault(copy: Path) -> None:
    """Energon's, webdataset's and wids' indexes; a card; what a mount or a desktop leaves."""
    for name in (
        "webdataset/.nv-meta/dataset.yaml",
        "webdataset/.nv-meta/index.sqlite",
        "webdataset/.nv-meta/.info.json",
        f"webdataset/{one(copy / 'shards/webdataset', '*.tar').name}.idx",
        "webdataset/wids.json",
        "webdataset/__len__",
        "webdataset/README.md",
        "parquet/_metadata",
        "parquet/README.md",
        "parquet/.DS_Store",
        "README.md",
    ):
        path = copy / "shards" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("another's")
    found = verify.verify(str(copy))
    assert (found["problems"], found["notes"]) == ([], [])


def test_a_commit_without_its_file_of_sizes_is_told(copy: Path) -> None:
    def change(content: dict[str, Any]) -> None:
        content["files"] = [file for file in content["files"] if file["name"] != "sizes.json"]

    edit_stage(copy / "shards/webdataset", change)
    (copy / "shards/webdataset/sizes.json").unlink()
    problem = told(copy, "the commit lists no file of sizes", "shards/webdataset/sizes.json")
    assert problem["expected"].startswith("{")


@pytest.mark.parametrize(
    ("options", "asked"),
    [
        ({"short_side_px": 3}, "keep_ratio to 3 px"),
        ({"image_size": 3, "resize_mode": "border"}, "border to 3 px"),
        ({"image_size": 4000, "resize_mode": "center_crop", "resize_only_if_bigger": False}, "center_crop to 4000 px"),
    ],
)
@pytest.mark.parametrize("form", ["webdataset", "parquet"])
def test_pictures_of_another_size_than_the_commit_asked_for_are_told(
    copy: Path, form: str, options: dict[str, Any], asked: str
) -> None:
    edit_stage(copy / "shards" / form, lambda content: content["run"]["options"].update(options))
    problem = told(copy, "size of a picture", f"shards/{form}")
    assert problem["expected"] == f"{asked}, as the commit's options ask"
    assert re.fullmatch(r"\d+ × \d+ px", problem["found"])


def test_only_webdatasets_readers_get_a_file_of_sizes(sound: config.Config) -> None:
    assert [str(path.relative_to(sound.root)) for path in Path(sound.root).rglob("sizes.json")] == [
        "shards/webdataset/sizes.json"
    ]


@pytest.mark.parametrize(
    ("suffix", "content", "what"),
    [
        (".txt", b"other words", "caption"),
        (".txt", None, "members"),
        (".jpg", b"GIF89a", "not the picture that its name says"),
        (".json", b"{}", "description of a sample"),
        (".json", b'{"split": "dev", "image_id": "", "region": null, "pairs": []}', "split"),
    ],
)
def test_a_member_of_a_shard_that_was_changed_is_told(
    copy: Path, suffix: str, content: bytes | None, what: str
) -> None:
    folder = copy / "shards/webdataset"
    path = one(folder, "*.tar")
    _retar(path, lambda name, old: content if name.endswith(suffix) else old)
    recommit(path, folder, 3)
    told(copy, what, path.name)


def test_many_problems_of_one_kind_are_told_by_example(tmp_path: Path) -> None:
    with reconciliation.Reconciliation(3_000_000) as pairs:
        file = pairs.file("somewhere")
        for number in range(40):
            pairs.add(reconciliation.CURATED, file, [number.to_bytes(16, "little")] * 2, ["coco"] * 2, ["text"] * 2)
        told: list[tuple[str, ...]] = []
        expected = reconciliation.Expectation(["curate"], [], [], [])
        pairs.check(expected, lambda *problem: told.append(problem))
    assert len(told) == 40
    assert told[0][2:] == ("1", "2")


def test_what_buckets_hold_in_memory_does_not_grow_with_the_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    """A PMD's 500 million records fill 512 buckets, each of which had held up to 4 MB."""
    monkeypatch.setattr(reconciliation, "_SPOOL_BYTES", 1 << 12)
    monkeypatch.setattr(reconciliation, "_SPOOLS_BYTES", 1 << 15)
    dice = np.random.default_rng(0)
    with reconciliation.Reconciliation(500_000_000) as pairs:
        file = pairs.file("somewhere")
        held = []
        for _ in range(40):
            ids = [bytes(row) for row in dice.integers(0, 256, (1000, 16), np.uint8)]
            pairs.add(reconciliation.CURATED, file, ids, ["coco"] * 1000)
            held.append(sum(bucket.tell() for bucket in pairs._buckets if not bucket._rolled))  # type: ignore[attr-defined]
        told: list[tuple[str, ...]] = []
        pairs.check(reconciliation.Expectation(["curate"], [], [], []), lambda *problem: told.append(problem))
    assert len(pairs._buckets) == 512
    assert 0 < max(held) <= 1 << 15
    assert told == []


def test_the_command_fails_with_its_exit_code(copy: Path) -> None:
    runner = CliRunner()
    assert runner.invoke(cli.app, ["verify", str(copy)]).exit_code == 0
    storage.remove(str(one(copy, "views/pairs/*.parquet")))
    failed = runner.invoke(cli.app, ["verify", str(copy)])
    assert failed.exit_code == 5
    assert "file is gone" in failed.stdout
    as_json = runner.invoke(cli.app, ["verify", str(copy), "--json"])
    assert as_json.exit_code == 5
    assert orjson.loads(as_json.stdout)["problems"]


def noted(root: Path) -> list[dict[str, str]]:
    found = verify.verify(str(root))
    assert found["problems"] == []
    return list(found["notes"])


@pytest.mark.parametrize("form", ["webdataset", "parquet"])
def test_shards_whose_commit_is_gone_are_told(copy: Path, form: str) -> None:
    files = len(list((copy / "shards" / form).iterdir())) - 1
    (copy / "shards" / form / "_stage.json").unlink()
    assert told(copy, "files without their commit", f"shards/{form}")["found"] == f"{files} files"


@pytest.mark.parametrize(
    "name",
    [
        "shards/webdataset/00000-of-00001.tar",
        "shards/webdataset/old/00000-of-00001-0a1b2c3d.tar",
        "shards/tfrecord/00000-of-00001-0a1b2c3d.tfrecord",
        "publish/source=coco/coco.parquet",
        "publish/part-00000-of-00001-0123456789abcdef.parquet",
        "curate/coco/pairs/part-00000-of-00001-0123456789abcdef.parquet",
        "curate/source=coco/pairs/copy of part-00000-of-00001-0123456789abcdef.parquet",
        "images/old.parquet",
        "fetch/store/shard=00001/pictures.tar",
        "dedupe/groups/more.parquet",
        "audit/mine.html",
    ],
)
def test_a_file_that_no_run_writes_is_told(copy: Path, name: str) -> None:
    (copy / name).parent.mkdir(parents=True, exist_ok=True)
    (copy / name).write_bytes(b"x")
    assert [(item["what"], item["place"]) for item in problems(copy)] == [("no commit lists this file", name)]


@pytest.mark.parametrize(
    "name",
    [
        "publish/README.md",
        "publish/croissant.json",
        "publish/source=coco/notes.txt",
        "shards/webdataset/.nv-meta/index.sqlite",
        "shards/webdataset/00000-of-00001-0a1b2c3d.tar.idx",
        "release/README.md",
        "release/source=coco/more.parquet",
    ],
)
def test_what_people_and_loaders_put_beside_lists_and_shards_is_theirs(copy: Path, name: str) -> None:
    (copy / name).parent.mkdir(parents=True, exist_ok=True)
    (copy / name).write_bytes(b"x")
    assert problems(copy) == []


@pytest.mark.parametrize("place", ["shards/backup", "curate/source=coco.bak", "publish/source=coco/old"])
def test_a_commit_where_no_stage_commits_is_told(copy: Path, place: str) -> None:
    kept = "shards/webdataset" if place.startswith("shards") else f"{place.split('/', maxsplit=1)[0]}/source=coco"
    content = {path: path.read_bytes() for path in (copy / kept).rglob("*") if path.is_file()}
    for path, data in content.items():
        target = copy / place / path.relative_to(copy / kept)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    told(copy, "a commit in a folder that no stage has", place)


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("curate/source=wit/pairs/part-00000-of-00001-0123456789abcdef.parquet", "curate/source=wit"),
        ("curate/source=coco/pairs/part-00000-of-00001-0123456789abcdef.parquet", "curate/source=coco"),
        ("curate/source=coco/pairs/.tmp-0a1b2c3d4e5f60718293a4b5c6d7e8f9", "curate/source=coco/pairs"),
        ("views/rejected/part-00000-of-00004-0123456789abcdef.parquet", "views"),
        ("fetch/store/shard=00001/0123456789abcdef.tar", "fetch/store/shard=00001"),
        (
            "fetch/ledger/shard=00001/generation=0001/ledger-0123456789abcdef.parquet",
            "fetch/ledger/shard=00001/generation=0001",
        ),
        ("dedupe/groups/part-0123456789abcdef.parquet", "dedupe"),
        ("dedupe/near_texts/part-00000-of-00004-0123456789abcdef.parquet", "dedupe"),
        ("shards/webdataset/00000-of-00003-0a1b2c3d.tar", "shards/webdataset"),
        ("shards/rejected/part-00000-of-00001-0123456789abcdef.parquet", "shards/rejected"),
        ("publish/source=wit/part-00000-of-00001-0123456789abcdef.parquet", "publish/source=wit"),
    ],
)
def test_what_a_killed_run_leaves_is_a_note(copy: Path, name: str, folder: str) -> None:
    (copy / name).parent.mkdir(parents=True, exist_ok=True)
    (copy / name).write_bytes(b"x")
    (note,) = noted(copy)
    assert (note["place"], note["found"]) == (folder, "1 file")
    result = CliRunner().invoke(cli.app, ["verify", str(copy)])
    assert result.exit_code == 0
    assert f"note: {folder}: left by a run that did not end" in result.stdout


def test_that_somebody_writes_is_a_note(copy: Path) -> None:
    with root.writer(str(copy), "pmd build pmd.toml"):
        result = CliRunner().invoke(cli.app, ["verify", str(copy)])
    assert result.exit_code == 0
    said = "  note: writer.json: somebody writes here: files that no commit lists are not judged"
    assert result.stdout.splitlines()[-1] == said


def test_a_first_run_that_was_killed_before_its_commit_is_a_note(copy: Path) -> None:
    for form in ("rejected", "webdataset", "parquet"):
        (copy / "shards" / form / "_stage.json").unlink()
    assert {note["place"] for note in noted(copy)} == {"shards/rejected", "shards/webdataset", "shards/parquet"}
    (copy / "_work/shard").mkdir(parents=True)
    (copy / "_work/shard/run-1.arrows").write_bytes(b"x")
    assert "_work" in {note["place"] for note in noted(copy)}


def test_an_attempt_doubled_is_told_and_a_second_try_is_not(copy: Path) -> None:
    folder = one(copy, "fetch/ledger/shard=00001/generation=0000")
    path = one(copy, "fetch/attempts/shard=00001/*.parquet")

    def again(table: pa.Table) -> pa.Table:
        first = table.slice(0, 1)
        later = pc.add(first["when"], pa.scalar(7, pa.duration("ms")))
        at = table.schema.get_field_index("when")
        return pa.concat_tables([first.set_column(at, table.schema.field(at), later), table])

    path = rewrite(path, folder, again)
    assert problems(copy) == []
    path = rewrite(path, folder, first_twice)
    assert told(copy, "row stands twice", path.name)["found"] == "the same again"


def test_every_file_that_is_written_is_known_to_be(sound: config.Config) -> None:
    for name in storage.list_files(sound.root):
        if name.count("/") and not name.endswith("_stage.json"):
            home = written.home(name)
            assert home is not None, name
            assert "generation" in home or home.startswith("fetch/") or Path(sound.root, home, "_stage.json").exists()


@pytest.mark.parametrize("times", [1, 99])
def test_what_is_committed_meanwhile_is_counted_anew(copy: Path, monkeypatch: pytest.MonkeyPatch, times: int) -> None:
    """A writer commits, and sweeps what the commit before listed, while that is being read."""
    path = one(copy, "publish/source=coco/*.parquet")
    content, folder = path.read_bytes(), str(path.parent)
    commit, passes, recounted = commits.require(folder, ""), 0, Recounting.commit

    def overtaken(self: Recounting, unit: Committed) -> None:
        nonlocal passes
        if unit.folder != "publish/source=coco":
            recounted(self, unit)
            return
        passes += 1
        if passes > times:
            recounted(self, unit)
        else:
            path.unlink()
            recounted(self, unit)
            path.write_bytes(content)
            commits.claim(folder, passes)
            commits.write(folder, dataclasses.replace(commit, run={commits.EPOCH: passes}))

    monkeypatch.setattr(Recounting, "commit", overtaken)
    if times == 99:
        with pytest.raises(RootError, match="a writer commits all the time"):
            verify.verify(str(copy))
        return
    assert problems(copy) == []
    assert passes == 2


# Splits


@pytest.fixture(scope="module")
def validated(tmp_path_factory: pytest.TempPathFactory) -> config.Config:
    """A ROOT where COCO's photograph is one of validation, and stands in Conceptual Captions too."""
    return tiny_root.build(tmp_path_factory.mktemp("validated"), coco="val2017")


@pytest.fixture
def with_splits(validated: config.Config, tmp_path: Path) -> Path:
    shutil.copytree(validated.root, tmp_path / "pmd")
    return tmp_path / "pmd"


def into(split: str) -> Callable[[pa.Table], pa.Table]:
    """Return what puts the first row that is out of training into a split."""

    def change(table: pa.Table) -> pa.Table:
        found = table["split"].to_pylist()
        at = next(place for place, said in enumerate(found) if said != "train")
        found[at] = split
        return table.set_column(table.schema.get_field_index("split"), table.schema.field("split"), pa.array(found))

    return change


def test_the_split_of_a_group_is_worked_out_once_more(with_splits: Path) -> None:
    assert problems(with_splits) == []
    place = one(with_splits, "dedupe/splits/*.parquet")
    assert pq.read_table(place)["split"].to_pylist() == ["validation"]
    rewrite(place, with_splits / "dedupe", into("test"))
    found = problems(with_splits)
    assert {item["what"] for item in found} == {"the split of a duplicate group", "the split of a pair"}
    (group,) = [item for item in found if item["what"] == "the split of a duplicate group"]
    assert (group["expected"], group["found"]) == ("validation", "test")
    assert group["place"].startswith("dedupe/splits/, part ")


def test_an_image_that_is_in_the_split_of_no_group_is_told(with_splits: Path) -> None:
    rewrite(one(with_splits, "dedupe/splits/*.parquet"), with_splits / "dedupe", lambda table: table.slice(0, 0))
    group = told(with_splits, "the split of a duplicate group")
    assert (group["expected"], group["found"]) == ("validation", "what upstream says")


def test_images_with_equal_bytes_are_in_one_split_where_they_are_not_merged(
    with_splits: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`splits.equal` is what makes them one; a stage that had forgotten it is told."""
    from pmd.dedupe import splits

    edit_stage(with_splits / "dedupe", lambda stage: stage["run"]["options"].update(same_bytes="keep"))
    assert problems(with_splits) == []
    rows: list[int] = []
    equal = splits.equal

    def noted(table: pa.Table) -> pa.Table:
        rows.append(table.num_rows)
        return equal(table)

    monkeypatch.setattr(splits, "equal", noted)
    assert problems(with_splits) == []
    kept = pq.read_table(with_splits / "fetch/ledger", columns=["status"])["status"].to_pylist().count("ok")
    assert sum(rows) == kept


def test_pairs_moved_are_counted_once_more(with_splits: Path) -> None:
    edit_stage(with_splits / "dedupe", lambda stage: stage["facts"].update(moved_splits={}))
    found = told(with_splits, "pairs in another split than upstream's")
    assert (found["place"], found["expected"], found["found"]) == (
        "dedupe/_stage.json: conceptual_captions, validation",
        "1",
        "0",
    )


@pytest.mark.parametrize("pattern", ["publish/source=coco/validation-*.parquet", "shards/parquet/*.parquet"])
def test_a_list_or_a_sample_in_another_split_than_its_group_is_told(with_splits: Path, pattern: str) -> None:
    path = next(
        path
        for path in sorted(with_splits.glob(pattern))
        if {*pq.read_table(path, columns=["split"])["split"].to_pylist()} - {"train"}
    )
    rewrite(path, path.parent, into("test"))
    found = told(with_splits, "the split of a pair")
    assert (found["expected"], found["found"]) == ("the same everywhere", "different ones")
    assert str(path.relative_to(with_splits)).rpartition("-")[0] in found["place"]


@pytest.mark.parametrize(("name", "is_told"), [("EMFILE", False), ("ENOMEM", False), ("EACCES", True), ("EIO", True)])
def test_what_this_process_lacks_is_no_files_fault(
    copy: Path, monkeypatch: pytest.MonkeyPatch, name: str, *, is_told: bool
) -> None:
    lists = next((copy / "publish").rglob("*.parquet"))
    real = storage.open_raw

    def opened(url: str) -> Any:
        if url.endswith(lists.name):
            raise OSError(getattr(errno, name), os.strerror(getattr(errno, name)), url)
        return real(url)

    monkeypatch.setattr(storage, "open_raw", opened)
    if is_told:
        assert os.strerror(getattr(errno, name)) in told(copy, "file cannot be read")["found"]
    else:
        with pytest.raises(OSError, match=os.strerror(getattr(errno, name))):
            verify.verify(str(copy))


def test_after_a_takedown_that_was_stopped_the_remedy_is_to_go_on_with_it(copy: Path) -> None:
    (copy / "takedown").mkdir()
    (copy / receipts.PLACE).write_bytes(b"{}")
    found = verify.verify(str(copy))
    says = "a takedown did not come to its end: pmd takedown apply CONFIG does the rest"
    assert (found["problems"], found["notes"]) == ([], [{"place": receipts.PLACE, "what": says, "found": ""}])
    one(copy, "views/pairs/*.parquet").unlink()
    last = verify.render(verify.verify(str(copy))).splitlines()[-1]
    assert (
        last == "A takedown was stopped: run `pmd takedown apply CONFIG` first, which does the rest, and verify again."
    )
    (copy / receipts.PLACE).unlink()
    assert "`pmd repair ROOT`" in verify.render(verify.verify(str(copy))).splitlines()[-1]
