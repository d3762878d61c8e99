"""A photograph that another source knows by another identity is in the store already, whatever its hosts say by then."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from pipelines import build
from pmd import codec, config
from pmd.books import redirects
from pmd.config import Config
from pmd.fetch.ledger import partitions, stored
from pmd.fetch.politeness import forecast
from pmd.inspection import plan, verify
from pmd.inspection.plan import assumptions
from pmd.schema import keys
from pmd.store import register, root
from pmd.text import url_identity, urls
from tests.fetch.conftest import Web, photo, reply

PHOTO = "http://farm1.staticflickr.com/2/5151_abcdef.jpg"
PICTURE = photo(640, 480, seed=1)
COCO = {
    "images": [
        {
            "id": 9,
            "file_name": "000000000009.jpg",
            "coco_url": "http://images.cocodataset.org/train2017/000000000009.jpg",
            "flickr_url": PHOTO.replace(".jpg", "_z.jpg"),
            "license": 1,
            "height": 480,
            "width": 640,
        }
    ],
    "licenses": [{"id": 1, "name": "x", "url": "http://creativecommons.org/licenses/by/2.0/"}],
    "annotations": [{"id": 1, "image_id": 9, "caption": "A small dog sits on grass."}],
}


@pytest.fixture
def web() -> Iterator[Web]:
    with Web() as server:
        yield server


def of_both(folder: Path, web: Web, lines: str, more: str = "") -> Config:
    """Return a configuration of both sources, with the lines of one, and with more of `[fetch]`; its ROOT is made."""
    (folder / "cc3m.tsv").write_text(lines)
    (folder / "captions_train2017.json").write_text(json.dumps(COCO))
    chosen = config.parse(
        f"""
root = "{folder}/root"
profile = "paper"
contact = "mailto:tests@example.org"
[sources.conceptual_captions]
annotations = ["{folder}/cc3m.tsv"]
[sources.coco]
annotations = ["{folder}/captions_train2017.json"]
karpathy = "none"
[fetch]
retries = 0
allow_addresses = ["127.0.0.1/32"]
resolve = {{ "*:80" = "127.0.0.1:{web.port}" }}
{more}
"""
    )
    root.create(chosen.root, 4)
    return chosen


def configured(folder: Path, web: Web) -> Config:
    """Return a configuration of both sources; the photograph of one has been fetched, and its hosts have lost it since."""
    chosen = of_both(folder, web, f"a dog on the grass\t{PHOTO}\na cat in a box\thttp://a.test/2.jpg\n")
    web.routes[PHOTO.removeprefix("http://")] = reply(status=302, Location="http://moved.test/5151.jpg")
    web.routes["moved.test/5151.jpg"] = reply(PICTURE)
    web.routes["a.test/2.jpg"] = reply(photo(640, 480, seed=2))
    run(dataclasses.replace(chosen, sources={"conceptual_captions": chosen.sources["conceptual_captions"]}))
    web.routes.clear()
    web.log.clear()
    return chosen


def run(chosen: Config) -> None:
    with root.writer(chosen.root, "test"):
        for stage in ("curate", "images", "fetch"):
            build.build(chosen, only=stage)


def row_of(chosen: Config, identity: str) -> dict[str, Any]:
    ledger = partitions.standing(partitions.own_generations(chosen.root, range(16)))
    (row,) = ledger.filter(pc.equal(ledger["image_id"], pa.scalar(keys.image_id(identity)))).to_pylist()
    return row


def test_a_plan_asks_nobody_for_what_the_store_has_under_another_identity(tmp_path: Path, web: Web) -> None:
    """Before sources meet, and after: what is taken over is the store's, and holds no host up."""
    chosen = configured(tmp_path, web)
    told = []
    for stage in ("curate", "images", "fetch"):
        told.append(plan.plan(chosen))
        with root.writer(chosen.root, "test"):
            build.build(chosen, only=stage)
    assert [one["images_basis"] for one in told] == ["counted", "counted", "committed"]
    for one in told:
        assert one["to_fetch"] == 1
        assert [(host["host"], host["images"]) for host in one["fetch"]["hosts"]] == [(forecast.STORE, 1)]
        assert one["fetch"]["slowest"]["host"] is None
        assert one["fetch"]["unasked"] == 0
        assert assumptions.OF_STORE in one["assumptions"]
    assert web.log == []
    after = plan.plan(chosen)
    assert (after["to_fetch"], after["fetch"]["hosts"]) == (0, [])
    assert assumptions.OF_STORE not in after["assumptions"]


def test_what_the_store_has_under_another_identity_is_not_asked_for_again(tmp_path: Path, web: Web) -> None:
    chosen = configured(tmp_path, web)
    run(chosen)
    assert web.log == []
    before, now = row_of(chosen, "flickr:5151"), row_of(chosen, "coco:9")
    assert stored.read(chosen.root, now) == stored.read(chosen.root, before)
    same = ("status", "location", "sha256", "width_px", "height_px", "stored_form", "stored_digest", "tried")
    assert {name: now[name] for name in same} == {name: before[name] for name in same}
    assert now["status"] == "ok"
    # Whoever asks for a takedown knows it where it was had from.
    led = pa.Table.from_batches([*redirects.led(register.current(chosen.root))])
    assert {*led["address"].filter(pc.equal(led["image_id"], pa.scalar(now["image_id"]))).to_pylist()} == {
        "http://moved.test/5151.jpg"
    }
    assert verify.verify(chosen.root)["problems"] == []
    run(chosen)
    assert web.log == []


@pytest.mark.parametrize("amiss", ["blocked", "damaged"])
def test_what_is_not_to_be_kept_or_cannot_be_read_is_not_taken_over(tmp_path: Path, web: Web, amiss: str) -> None:
    chosen = configured(tmp_path, web)
    if amiss == "damaged":
        row = row_of(chosen, "flickr:5151")
        path = Path(chosen.root, row["store_file"])
        content = bytearray(path.read_bytes())
        content[row["offset"] + 100] ^= 1
        path.write_bytes(content)
        run(chosen)
        assert row_of(chosen, "coco:9")["status"] == "dead"
        return
    blocklist = tmp_path / "blocked.txt"
    blocklist.write_text(f"sha256:{hashlib.sha256(PICTURE).hexdigest()} theirs\n")
    run(dataclasses.replace(chosen, fetch=chosen.fetch.model_copy(update={"blocklists": (str(blocklist),)})))
    assert row_of(chosen, "coco:9")["status"] == "blocked_content"
    assert web.log == []


#: Pictures that an earlier version called by their URLs.
ONCE_BY_URL = (
    "http://somebody:secret@a.test/1.jpg",
    "http://i.imgur.com/abcdef1_d.jpg?maxwidth=500",
    "http://i.imgur.com/abcdef2.JPG",
    "http://www.imgur.com/abcdef3.jpg",
    "http://i.imgur.io/abcdef4.jpg",
    "http://thumb.wikimedia.org/wikipedia/commons/thumb/a/ab/X.jpg/220px-X.jpg",
)


def once(some: pa.Array) -> pa.Array:
    """Return identities as an earlier version gave them."""
    return pc.coalesce(url_identity.former(some), pa.array([*map(url_identity.of_one, some.to_pylist())]))


def test_what_an_earlier_version_called_by_its_url_is_not_asked_for_again(
    tmp_path: Path, web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = "".join(f"a dog on the grass, number {number}\t{url}\n" for number, url in enumerate(ONCE_BY_URL))
    both = of_both(tmp_path, web, lines)
    chosen = dataclasses.replace(both, sources={"conceptual_captions": both.sources["conceptual_captions"]})
    for number, url in enumerate(ONCE_BY_URL):
        web.routes[urls.without_credentials(url).removeprefix("http://")] = reply(photo(640, 480, seed=number))
    with monkeypatch.context() as earlier:
        earlier.setattr(url_identity, "of", once)
        run(chosen)
    before = {str(once(pa.array([url]))[0]): str(url_identity.of_one(url)) for url in ONCE_BY_URL}
    assert not before.keys() & {*before.values()}
    shas = {before[name]: row_of(chosen, name)["sha256"] for name in before}
    web.routes.clear()
    web.log.clear()
    shutil.rmtree(tmp_path / "root" / "curate")  # a new version makes it anew
    run(chosen)
    assert web.log == []
    assert {name: row_of(chosen, name)["sha256"] for name in shas} == shas
    assert verify.verify(chosen.root)["problems"] == []


def test_what_is_taken_over_is_hashed_where_that_is_asked_since(tmp_path: Path, web: Web) -> None:
    chosen = configured(tmp_path, web)
    assert row_of(chosen, "flickr:5151")["perceptual_hash"] is None
    blocklist = tmp_path / "blocked.txt"
    blocklist.write_text(f"pdq:{codec.hash_of(PICTURE, codec.Limits()).hex()} theirs\n")
    run(dataclasses.replace(chosen, fetch=chosen.fetch.model_copy(update={"blocklists": (str(blocklist),)})))
    assert row_of(chosen, "coco:9")["status"] == "blocked_content"
    assert web.log == []
