"""`fetch.against` in whole builds: a second ROOT is checked against the list that the first one has published."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines import build, fetch
from pmd import config
from pmd.config import Config
from pmd.errors import InputError
from pmd.inspection import explain, verify
from pmd.store import root, storage
from tests.end_to_end.building import rows
from tests.fetch.conftest import Web, photo, reply
from tests.fetch.lists.test_reference_lists import reencoded

PICTURES = {f"http://a.test/{number}.jpg": photo(640, 480, seed=number * 7) for number in range(8)}
CHANGED, REENCODED, UNLISTED = "http://a.test/1.jpg", "http://a.test/2.jpg", "http://a.test/7.jpg"


def configured(folder: Path, name: str, web: Web, *, more: str = "") -> Config:
    shown = [url for url in PICTURES if name != "first" or url != UNLISTED]
    lines = [f"picture number {number} of them\t{url}" for number, url in enumerate(shown)]
    (folder / f"{name}.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    chosen = config.parse(
        f"""
root = "{folder}/{name}"
contact = "mailto:tests@example.org"
[sources.conceptual_captions]
annotations = ["{folder}/{name}.tsv"]
[fetch]
{more}
allow_addresses = ["127.0.0.1/32"]
resolve = {{ "*:80" = "127.0.0.1:{web.port}" }}
"""
    )
    root.create(chosen.root, 2)
    return chosen


def test_a_second_root_is_checked_against_what_the_first_has_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch, "LISTED_PARTITION_BYTES", 500)  # so that even eight rows meet in several partitions
    with Web() as web:
        web.routes |= {url.removeprefix("http://"): reply(content) for url, content in PICTURES.items()}
        first = configured(tmp_path, "first", web)
        with root.writer(first.root, "test"):
            build.build(first)
        web.routes["a.test/1.jpg"] = reply(photo(640, 480, seed=201))
        web.routes["a.test/2.jpg"] = reply(reencoded(PICTURES[REENCODED]))
        lists = f'against = ["{tmp_path}/first/publish/*/*.parquet"]'
        second = configured(tmp_path, "second", web, more=lists)
        with root.writer(second.root, "test"):
            build.build(second)
        asked = len(web.log)
        with root.writer(second.root, "test"):
            build.build(dataclasses.replace(second, fetch=second.fetch.model_copy(update={"against": ()})))
        assert len(web.log) == asked, "settled images are not asked for again when lists come or go"
    published = {row["image_url"]: row for row in rows(Path(second.root) / "publish/source=conceptual_captions")}
    assert {*PICTURES} - {*published} == {CHANGED}
    assert all(row["perceptual_hash"] is not None and len(row["perceptual_hash"]) == 64 for row in published.values())
    assert verify.verify(second.root)["problems"] == []
    told = explain.explain(second.root, CHANGED)
    assert told["images"][0]["stands"]["status"] == "changed"
    assert [row["reason"] for row in told["pairs"][0]["rejected"]] == ["changed"]
    assert "perceptual hashes differ in" in explain.render(told)
    marks = {url: explain.explain(second.root, url)["images"][0]["stands"]["listed"] for url in published}
    assert marks.pop(UNLISTED) is None
    assert marks.pop(REENCODED) == "reencoded"
    assert {*marks.values()} == {"same"}
    assert "the picture of a published list: reencoded" in explain.render(explain.explain(second.root, REENCODED))
    assert not storage.exists(f"{second.root}/{root.WORK}")


def test_lists_that_are_missing_or_too_old_are_told_before_anything_runs(tmp_path: Path) -> None:
    old = tmp_path / "old.parquet"
    pq.write_table(pa.table({"image_id": ["ab" * 16], "image_url": ["http://a.test/1.jpg"]}), old)
    for path, says in ((f"{tmp_path}/no/*.parquet", "no such list"), (str(old), "cannot be checked against")):
        with Web() as web:
            chosen = configured(tmp_path, "alone", web, more=f'against = ["{path}"]')
            for run in (build.build, fetch.build):
                with pytest.raises(InputError, match=says):
                    run(chosen)
            assert not web.log
        assert root.curated_sources(chosen.root) == []
