"""Who asks for perceptual hashes, and that nothing is decoded where nobody does."""

from __future__ import annotations

import dataclasses
import io
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from pmd import codec, config
from pmd.codec import decoding
from pmd.config import Config
from pmd.fetch.generations import store
from pmd.fetch.lane import judging
from pmd.fetch.lane.engine import Lane
from pmd.fetch.ledger import asking, state
from pmd.fetch.lists import reference_lists
from pmd.fetch.lists.blocklists import read
from tests.fetch.conftest import HASTE, Web, image_row, options, photo, reply, table

PDQ = codec.hash_of(photo(seed=5), codec.Limits())


def configured(folder: Path, profile: str, *, fetch: str = "", dedupe: str = "") -> Config:
    (folder / "rows.tsv").write_text("a picture of a thing\thttp://a.test/1.jpg\n", encoding="utf-8")
    return config.parse(
        f"""
root = "{folder}/pmd"
profile = "{profile}"
contact = "mailto:tests@example.org"
[sources.conceptual_captions]
annotations = ["{folder}/rows.tsv"]
[fetch]
{fetch}
[dedupe]
{dedupe}
"""
    )


def flat() -> bytes:
    """Return a picture whose hash tells nothing."""
    out = io.BytesIO()
    Image.new("RGB", (64, 64), "white").save(out, "PNG")
    return out.getvalue()


def listed(folder: Path, perceptual_hash: str | None, kind: pa.DataType | None = None) -> str:
    """Write a list of two images, of which the second may have a hash."""
    hashes = pa.array([None, perceptual_hash], kind or pa.string())
    columns = {"image_id": ["ab" * 16] * 2, "image_url": ["http://a.test/1.jpg"] * 2, "sha256": ["cd" * 32] * 2}
    path = folder / "list.parquet"
    pq.write_table(pa.table({**columns, "perceptual_hash": hashes}), path)
    return str(path)


@pytest.mark.parametrize(("profile", "asks"), [("paper", None), ("hub", None), ("recommended", "dedupe.near")], ids=str)
def test_profiles(tmp_path: Path, profile: str, asks: str | None) -> None:
    assert asking.who(configured(tmp_path, profile)) == asks


def test_each_option_that_asks(tmp_path: Path) -> None:
    (tmp_path / "bytes.txt").write_text(f"sha256:{'ab' * 32}\n")
    (tmp_path / "looks.txt").write_text(f"sha256:{'ab' * 32}\npdq:{PDQ.hex()}\n")

    def who(**tables: str) -> str | None:
        return asking.who(configured(tmp_path, "paper", **tables))

    assert who(dedupe='near = "merge"') == "dedupe.near"
    assert who(dedupe=f'evaluation = ["{tmp_path}/looks.txt"]') == "dedupe.evaluation"
    assert who(dedupe="near_texts = 0.8") is None
    assert who(fetch=f'blocklists = ["{tmp_path}/bytes.txt"]') is None
    assert who(fetch=f'blocklists = ["{tmp_path}/bytes.txt", "{tmp_path}/looks.txt"]') == "fetch.blocklists"
    assert who(fetch=f'against = ["{listed(tmp_path, None)}"]') is None
    assert who(fetch=f'against = ["{listed(tmp_path, PDQ.hex())}"]') == "fetch.against"
    assert who(fetch='store = "original"') is None
    assert who(fetch='resize_mode = "center_crop"') == "fetch.resize_mode"
    assert who(fetch='resize_mode = "border"') == "fetch.resize_mode"
    assert who(fetch='resize_mode = "keep_ratio_largest"') is None


def test_a_takedown_list_that_names_looks_asks(tmp_path: Path) -> None:
    chosen = configured(tmp_path, "paper")
    (tmp_path / "flat.png").write_bytes(flat())
    (tmp_path / "mine.jpg").write_bytes(photo(seed=5))

    def who(line: str) -> str | None:
        (tmp_path / "takedown.txt").write_text(f"http://a.test/1.jpg\n{line}\n", encoding="utf-8")
        return asking.who(dataclasses.replace(chosen, takedown=(f"{tmp_path}/takedown.txt",)))

    by_looks = [f"pdq:{PDQ.hex()}", PDQ.hex(), "mine.jpg"]
    by_name = ["", "flickr:4242", "coco:9", f"sha256:{'ab' * 32}", f"xxh3:{'ab' * 16}", "ab" * 16, "flat.png"]
    assert [who(line) for line in by_looks] == ["takedown"] * 3
    assert [who(line) for line in by_name] == [None] * 7


def test_a_list_without_statistics_may_have_hashes(tmp_path: Path) -> None:
    path = listed(tmp_path, None)
    pq.write_table(pq.read_table(path), path, write_statistics=False)
    assert reference_lists.has_hashes(path)
    assert not reference_lists.has_hashes(listed(tmp_path, None, pa.null()))


@pytest.fixture
def decodings(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Every decoding of pixels."""
    found: list[Any] = []
    original = decoding.load

    def counted(*given: Any, **named: Any) -> Any:
        found.append(given)
        return original(*given, **named)

    monkeypatch.setattr(decoding, "load", counted)
    return found


@pytest.mark.parametrize(
    ("kept", "has_region", "hashed", "expected"),
    [
        ("original", False, False, 0),
        ("resized", True, False, 0),
        ("resized", False, False, 1),
        ("original", False, True, 1),
    ],
)
def test_pixels_are_decoded_for_who_needs_them(
    decodings: list[Any],
    kept: str,
    has_region: bool,
    hashed: bool,
    expected: int,
) -> None:
    chosen = options(store=kept)
    form = judging.form_of(chosen, has_region=has_region)
    judged = judging.judge(photo(640, 480), codec.Limits(), form, read([]), (), hashed=hashed)
    assert judged.prepared.inspected.status == "ok"
    assert (judged.prepared.perceptual_hash is not None) == hashed
    assert len(decodings) == expected


def test_a_lane_decodes_nothing_where_nobody_asks(web: Web, tmp_path: Path, decodings: list[Any]) -> None:
    web.routes |= {f"a.test/{name}": reply(photo(seed=number)) for number, name in enumerate("xyz")}
    rows = table(*(image_row(name, f"http://a.test/{name}") for name in "xyz"))
    chosen = options(web, store="original")
    with Lane(chosen, contact="", patience=HASTE, hashed=False) as lane:
        commit = store.run_shard(store.Order(str(tmp_path), 0, rows, chosen, hashed=False), lane)
    assert decodings == []
    assert commit is not None
    assert state.HASH not in commit.facts
    ledger = state.read_ledger(str(tmp_path), 0)
    assert {*ledger["status"].to_pylist()} == {"ok"}
    assert {*ledger["width_px"].to_pylist(), *ledger["stored_height_px"].to_pylist()} == {320, 300}
    assert {*ledger["perceptual_hash"].to_pylist(), *ledger["hashed_form"].to_pylist()} == {None}


def test_a_generation_says_that_its_hashes_are_there_only_where_all_are(web: Web, tmp_path: Path) -> None:
    web.routes |= {"a.test/x": reply(photo(seed=1)), "a.test/y": reply(photo(seed=2))}
    rows = table(*(image_row(name, f"http://a.test/{name}") for name in "xyz"))  # the third is dead
    for folder, hashed in (("asked", True), ("unasked", False)):
        chosen = options(web)
        with Lane(chosen, contact="", patience=HASTE, hashed=hashed) as lane:
            commit = store.run_shard(store.Order(str(tmp_path / folder), 0, rows, chosen), lane)
        assert commit is not None
        assert (commit.facts.get(state.HASH) == state.PDQ) == hashed
        ledger = state.read_ledger(str(tmp_path / folder), 0)
        assert asking.lacking(ledger, rows["image_id"]).num_rows == (0 if hashed else 2)
        assert {*ledger["hashed_form"].to_pylist()} == ({"original", None} if hashed else {None})
