"""What comes from the web beside what published lists say of it: the same, other bytes of it, or another picture."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from pmd import codec
from pmd.errors import InputError
from pmd.fetch.adoption import adopt
from pmd.fetch.generations import store
from pmd.fetch.lane.engine import Lane
from pmd.fetch.ledger import state
from pmd.fetch.lists import reference_lists
from pmd.fetch.lists.reference_lists import Known
from pmd.schema import keys
from pmd.store import commits
from pmd.text import url_identity
from tests.fetch.adoption.test_adopt import entry, written
from tests.fetch.conftest import HASTE, Web, image_row, options, photo, reply, table

PHOTO = photo(640, 480, seed=3)
OTHER = photo(640, 480, seed=200)


def reencoded(content: bytes) -> bytes:
    buffer = io.BytesIO()
    Image.open(io.BytesIO(content)).save(buffer, "JPEG", quality=60)
    return buffer.getvalue()


def pdq(content: bytes) -> bytes:
    found = codec.prepare(content, codec.Limits(), codec.Form(), hashed=True).perceptual_hash
    assert found is not None
    return found


def known(content: bytes) -> Known:
    return Known(hashlib.sha256(content).digest(), pdq(content))


def flipped(hashed: bytes, bits: int) -> bytes:
    return (int.from_bytes(hashed, "big") ^ (2**bits - 1)).to_bytes(32, "big")


@pytest.mark.parametrize(
    ("said", "mark"),
    [
        ([], None),
        ([Known(b"s" * 32, b"f" * 32)], "same"),
        ([Known(b"s" * 32, None)], "same"),
        ([Known(b"t" * 32, b"f" * 32)], "reencoded"),
        ([Known(b"t" * 32, flipped(b"f" * 32, 31))], "reencoded"),
        ([Known(b"t" * 32, flipped(b"f" * 32, 32))], "changed"),
        ([Known(b"t" * 32, None)], "changed"),
        ([Known(b"t" * 32, flipped(b"f" * 32, 200)), Known(b"u" * 32, b"f" * 32)], "reencoded"),
        ([Known(b"t" * 32, flipped(b"f" * 32, 200)), Known(b"s" * 32, None)], "same"),
    ],
)
def test_bytes_decide_then_looks(said: list[Known], mark: str | None) -> None:
    assert reference_lists.compare(said, b"s" * 32, b"f" * 32).mark == mark


def test_a_picture_without_a_hash_is_the_same_only_by_its_bytes() -> None:
    assert reference_lists.compare([Known(b"t" * 32, b"f" * 32)], b"s" * 32, None).mark == "changed"


def row(name: str, *locations: str) -> dict[str, object]:
    url = f"http://a.test/{name}"
    return image_row(url_identity.of_one(url) or "", *(locations or (url,)))


def run(
    web: Web, folder: Path, rows: pa.Table, listed: reference_lists.Listed, **more: Any
) -> dict[str, dict[str, Any]]:
    chosen = options(web)
    with Lane(chosen, contact="", patience=HASTE) as lane:
        store.run_shard(store.Order(str(folder), 0, rows, chosen, listed=listed, **more), lane)
    names = {image["image_id"]: image["identity"].rpartition("/")[2] for image in rows.to_pylist()}
    return {names[found["image_id"]]: found for found in state.read_ledger(str(folder), 0).to_pylist()}


def key(name: str) -> bytes:
    return keys.image_id(url_identity.of_one(f"http://a.test/{name}") or "")


def test_what_is_the_listed_picture_is_stored_and_what_is_not_is_not(web: Web, tmp_path: Path) -> None:
    served = {"same": PHOTO, "reencoded": reencoded(PHOTO), "changed": OTHER, "unlisted": OTHER}
    web.routes |= {f"a.test/{name}": reply(content) for name, content in served.items()}
    listed = {key(name): [known(PHOTO)] for name in ("same", "reencoded", "changed")}
    rows = table(*(row(name) for name in served))
    got = run(web, tmp_path, rows, listed)
    assert {name: (found["status"], found["listed"]) for name, found in got.items()} == {
        "same": ("ok", "same"),
        "reencoded": ("ok", "reencoded"),
        "changed": ("changed", None),
        "unlisted": ("ok", None),
    }
    assert (got["changed"]["store_file"], got["changed"]["sha256"]) == (None, None)
    (_, folder, commit) = next(state.generations(str(tmp_path), 0))
    assert commit.sources["coco"].rejected == {"changed": 1}
    attempts = next(file.name for file in commit.files if "attempts" in file.name)
    said = {row["image_id"]: row for row in pq.read_table(commits.path_of(folder, attempts)).to_pylist()}
    assert hashlib.sha256(OTHER).hexdigest() in said[key("changed")]["error"]
    assert hashlib.sha256(PHOTO).hexdigest() in said[key("changed")]["error"]
    before = len(web.log)
    assert run(web, tmp_path, rows, {key("unlisted"): [known(PHOTO)]}) == got
    assert len(web.log) == before, "what is settled is not asked for again because a list has changed"


def test_a_changed_location_is_passed_over_for_one_that_has_the_picture(web: Web, tmp_path: Path) -> None:
    web.routes |= {"a.test/mirror": reply(OTHER), "a.test/own": reply(PHOTO)}
    rows = table(row("own", "http://a.test/mirror", "http://a.test/own"))
    got = run(web, tmp_path, rows, {key("own"): [known(PHOTO)]})
    assert (got["own"]["status"], got["own"]["listed"], got["own"]["location"]) == ("ok", "same", "http://a.test/own")


def test_of_a_changed_and_a_slow_location_a_retry_remembers_the_slow_one(web: Web, tmp_path: Path) -> None:
    web.routes |= {"a.test/mirror": reply(OTHER), "a.test/own": reply(b"", 503)}
    rows = table(row("own", "http://a.test/mirror", "http://a.test/own"))
    assert run(web, tmp_path, rows, {key("own"): [known(PHOTO)]})["own"]["status"] == "rate_limited"


def test_a_changed_picture_is_not_adopted_and_the_web_is_asked(web: Web, tmp_path: Path) -> None:
    web.routes |= {"a.test/one": reply(PHOTO), "a.test/two": reply(PHOTO)}
    digest = hashlib.sha256(OTHER).hexdigest()
    tar = written(tmp_path, entry("http://a.test/one", OTHER, sha256=digest), entry("http://a.test/two", PHOTO))
    rows = table(row("one"), row("two"))
    listed = {key(name): [known(PHOTO)] for name in ("one", "two")}
    got = run(web, tmp_path / "root", rows, listed, adopted=adopt.index([tar]))
    assert {name: (found["status"], found["listed"]) for name, found in got.items()} == {
        "one": ("ok", "same"),
        "two": ("ok", "same"),
    }
    assert [request.path for request in web.asked()] == ["/one"]


def listed_of(folder: Path, *rows: dict[str, Any]) -> list[pa.RecordBatch]:
    path = folder / "list.parquet"
    whole = [{"image_url": None, "sha256": "ab" * 32, "perceptual_hash": None} | row for row in rows]
    pq.write_table(pa.Table.from_pylist(whole), path)
    return list(reference_lists.listed_rows(str(path)))


def test_an_image_is_found_under_its_own_name_and_those_of_its_urls(tmp_path: Path) -> None:
    flickr = "https://live.staticflickr.com/65535/123456789_abcdef1234_b.jpg"
    images = table(
        image_row("coco:7", "coco.zip!/7.jpg", flickr), image_row("url:a.test/x", "http://a.test/x"), row("absent")
    )
    said = listed_of(
        tmp_path,
        {"image_id": keys.image_id("flickr:123456789").hex()},
        {
            "image_id": keys.image_id("elsewhere").hex(),
            "image_url": "HTTP://A.test/x?utm_source=y",
            "sha256": "cd" * 32,
        },
        {"image_id": keys.image_id("nobody").hex()},
        {"image_id": keys.image_id("coco:7").hex()},
    )
    found = reference_lists.gather(
        pa.Table.from_batches(
            [reference_lists.meet(pa.Table.from_batches([*reference_lists.image_rows(images), *said]))]
        )
    )
    assert {row["image_id"]: row["sha256"] for row in found.to_pylist()} == {
        keys.image_id("coco:7"): b"\xab" * 32,
        keys.image_id("url:a.test/x"): b"\xcd" * 32,
    }
    assert found.num_rows == 2


def test_a_list_may_be_of_bytes_and_of_strings_of_any_width(tmp_path: Path) -> None:
    path = str(tmp_path / "list.parquet")
    columns = {
        "image_id": pa.array([b"i" * 16], pa.binary(16)),
        "image_url": pa.array([None], pa.null()),
        "sha256": pa.array([(b"s" * 32).hex()], pa.large_string()),
        "perceptual_hash": pa.array([b"f" * 32], pa.binary(32)),
    }
    pq.write_table(pa.table(columns), path)
    (own, by_url) = reference_lists.listed_rows(path)
    views = {
        "image_id": pa.array([(b"i" * 16).hex()], pa.string_view()),
        "sha256": columns["sha256"].dictionary_encode(),
    }
    other = str(tmp_path / "other.parquet")
    pq.write_table(pa.table({**columns, **views}), other)
    assert next(reference_lists.listed_rows(other)).equals(own)
    assert own.to_pylist() == [{"name": b"i" * 16, "image_id": None, "sha256": b"s" * 32, "perceptual_hash": b"f" * 32}]
    assert by_url.num_rows == 0


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ({"image_id": ["12"], "sha256": ["ab" * 32]}, "image_id"),
        ({"image_id": ["ab" * 16], "sha256": ["no digest"]}, "sha256"),
        ({"image_id": [7], "sha256": ["ab" * 32]}, "image_id"),
    ],
)
def test_keys_that_are_none_are_named(tmp_path: Path, columns: dict[str, list[Any]], says: str) -> None:
    path = str(tmp_path / "list.parquet")
    pq.write_table(pa.table({"image_url": ["http://a.test/x"], "perceptual_hash": ["ab" * 32]} | columns), path)
    with pytest.raises(InputError, match="key or digest") as raised:
        list(reference_lists.listed_rows(path))
    assert raised.value.where == f"{path}: {says}"


def test_a_list_that_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such list") as raised:
        reference_lists.files([f"{tmp_path}/*.parquet"])
    assert raised.value.where == f"fetch.against: {tmp_path}/*.parquet"
    (tmp_path / "a.parquet").write_bytes(b"no Parquet")
    with pytest.raises(InputError, match="not a Parquet file"):
        reference_lists.files([f"{tmp_path}/*.parquet"])
    pq.write_table(pa.table({"image_id": ["ab" * 16], "image_url": ["x"], "sha256": ["ab"]}), tmp_path / "a.parquet")
    with pytest.raises(InputError, match="cannot be checked against") as raised:
        reference_lists.files([f"{tmp_path}/*.parquet"])
    assert raised.value.found == "none, or several, called perceptual_hash"


def test_a_folder_stands_for_the_lists_in_it(tmp_path: Path) -> None:
    rows = pa.table({name: pa.array([], pa.string()) for name in reference_lists.COLUMNS})
    for name in (
        "release/source=coco/a",
        "release/source=wit/b",
        "root/publish/source=coco/c",
        "root/curate/source=coco/pairs/d",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(rows, tmp_path / f"{name}.parquet")
    pq.write_table(pa.table({"pair_id": ["ab" * 16]}), tmp_path / "release/withdrawn.parquet")
    (tmp_path / "root/root.json").write_text("{}")
    for given, found in (
        ("release", ["release/source=coco/a", "release/source=wit/b"]),
        ("release/source=*", ["release/source=coco/a", "release/source=wit/b"]),
        ("release/source=wit", ["release/source=wit/b"]),
        ("root", ["root/publish/source=coco/c"]),
    ):
        assert reference_lists.files([f"{tmp_path}/{given}"]) == [f"{tmp_path}/{name}.parquet" for name in found]
    (tmp_path / "none").mkdir()
    with pytest.raises(InputError, match="no list is in this folder"):
        reference_lists.files([f"{tmp_path}/none"])
