"""`fetch.adopt` in a whole build: what img2dataset has is in store, shards and lists, and its host hears nothing."""

from __future__ import annotations

import hashlib
from pathlib import Path

from pipelines import build
from pmd import config
from pmd.fetch.ledger import partitions
from pmd.inspection import verify
from pmd.schema import keys
from pmd.store import root, storage
from tests.end_to_end.building import rows
from tests.fetch.adoption.test_adopt import entry, written
from tests.fetch.conftest import Web, photo, reply
from tests.pipelines.test_renamed import PHOTO, of_both, run


def test_a_build_takes_over_what_is_there(tmp_path: Path) -> None:
    pictures = {f"http://a.test/{number}.jpg": photo(640, 480, seed=number) for number in range(6)}
    digests = {url: hashlib.sha256(content).hexdigest() for url, content in pictures.items()}
    lines = [f"picture number {number} of them\t{url}" for number, url in enumerate(pictures)]
    (tmp_path / "cc3m.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    there = list(pictures)[:4]
    written(tmp_path, *(entry(url, pictures[url], sha256=digests[url]) for url in there))
    with Web() as web:
        web.routes |= {url.removeprefix("http://"): reply(content) for url, content in pictures.items()}
        chosen = config.parse(
            f"""
root = "{tmp_path}/root"
contact = "mailto:tests@example.org"
[sources.conceptual_captions]
annotations = ["{tmp_path}/cc3m.tsv"]
[fetch]
adopt = ["{tmp_path}/0*.tar"]
allow_addresses = ["127.0.0.1/32"]
resolve = {{ "*:80" = "127.0.0.1:{web.port}" }}
"""
        )
        root.create(chosen.root, 1)
        with root.writer(chosen.root, "test"):
            build.build(chosen)
        assert sorted(request.path for request in web.asked()) == ["/4.jpg", "/5.jpg"]
    listed = {row["image_url"]: row["sha256"] for row in rows(tmp_path / "root/publish/source=conceptual_captions")}
    assert listed == digests
    assert verify.verify(chosen.root)["problems"] == []
    assert not storage.exists(f"{chosen.root}/{root.WORK}")


def test_what_is_there_under_an_address_of_another_identity_is_taken_over(tmp_path: Path) -> None:
    """A photograph that COCO has too is `coco:9`, and its address says `flickr:5151`."""
    picture = photo(640, 480, seed=1)
    written(tmp_path, entry(PHOTO, picture, sha256=hashlib.sha256(picture).hexdigest()))
    with Web() as web:
        chosen = of_both(tmp_path, web, f"a dog on the grass\t{PHOTO}\n", f'adopt = ["{tmp_path}/0*.tar"]')
        run(chosen)
        assert web.log == []
    ledger = partitions.standing(partitions.own_generations(chosen.root, range(16))).to_pylist()
    assert [(row["image_id"], row["status"]) for row in ledger] == [(keys.image_id("coco:9"), "ok")]
    assert ledger[0]["location"] == f"{tmp_path}/00000.tar!/000000000.jpg"
