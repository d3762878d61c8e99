"""What a worker counts of pairs: each once, of a build of a sample those of its images alone; no run is left where it fails."""

from __future__ import annotations

import base64
import errno
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from pmd.audit import measure, transforms, units
from pmd.audit.transforms import Counting
from pmd.images import rules
from pmd.store import exchange, storage
from pmd.text import language
from tests.audit.batches import WHOLE, batch, pair

BITS = {"fate": 0, "image": 0, "unit": 0, "text": 0}


def test_pairs_outside_the_sample_are_counted_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(language, "languages", lambda texts: pa.array(["en"] * len(texts), pa.string()))
    pairs = batch(pair("coco", str(index), "a woman", url=f"http://a.org/{index}") for index in range(200))
    inside = rules.in_sample(pairs["image_id"], 4)
    last = ["curate"] * 200
    for place in inside.nonzero()[0][5:].tolist():
        last[place] = "images"
    counting = Counting(WHOLE, ("coco",), BITS, str(tmp_path), 4)
    of_words, of_images, of_units, texts, outputs = list(counting.count([(pairs, pa.array(last))]))
    assert (texts.schema, of_units.schema) == (transforms.TEXT_RUNS, transforms.UNIT_RUNS)
    assert (of_words.schema, of_images.schema) == (transforms.WORD_RUNS, transforms.IMAGE_RUNS)
    fact = outputs["fact"][0].as_py().removeprefix(transforms.COUNTED)
    found = measure.from_bytes(base64.b64decode(fact)).sources["coco"]
    number = int(inside.sum())
    assert 30 < number < 70
    assert found.pairs.tolist() == [5, number - 5, 0, 0, 0, 0]
    assert found.outside == 200 - number
    (images,) = transforms.CountImages(str(tmp_path), ("coco",))((0, [transforms.as_runs(of_images)]))
    (known,) = transforms.CountUnits(str(tmp_path))((0, [transforms.as_runs(of_units)]))
    counted = units.merged(
        units.Counted.from_text(one["fact"][0].as_py().removeprefix(transforms.UNITS)) for one in (images, known)
    )
    assert int(units.sizes_of(counted, "coco", "image", 0)[1].sum()) == number
    assert units.hosts_of(counted, "coco", 1) == [("a.org", number - 5)]
    assert pc.sum(known["count"]).as_py() is None


def test_a_task_that_fails_leaves_no_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(language, "languages", lambda texts: pa.array(["en"] * len(texts), pa.string()))
    counting = Counting(WHOLE, ("coco",), BITS, str(tmp_path))
    pairs = batch(pair("coco", str(index), "a woman") for index in range(9))
    with pytest.raises(Exception, match="no such stage"):
        list(counting.count([(pairs, pa.array(["curate"] * 9)), (pairs, pa.array(["lost"] * 9))]))
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize("fails", range(5))
def test_a_task_whose_runs_cannot_all_be_written_leaves_none(
    fails: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(language, "languages", lambda texts: pa.array(["en"] * len(texts), pa.string()))
    counting = Counting(WHOLE, ("coco",), BITS, str(tmp_path))
    pairs = batch(pair("coco", str(index), "a woman") for index in range(9))
    finish, ended = storage.Draft.finish, []

    def failing(draft: storage.Draft, name: str) -> None:
        ended.append(name)
        if len(ended) > fails:
            raise OSError(errno.EIO, "the disk is gone")
        finish(draft, name)

    def count() -> int:
        return len(list(counting.count([(pairs, pa.array(["curate"] * 9))])))

    monkeypatch.setattr(storage.Draft, "finish", failing)
    if fails == 4:  # all four are written
        assert count() == 5
        assert len([*tmp_path.iterdir()]) == 4
        return
    with pytest.raises(OSError, match="the disk is gone"):
        count()
    assert len(ended) == fails + 1
    assert not [*tmp_path.iterdir()]


def test_a_task_whose_runs_cannot_all_be_begun_leaves_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counting = Counting(WHOLE, ("coco",), BITS, str(tmp_path))
    begin, begun = exchange.RunWriter.__init__, []

    def failing(run: exchange.RunWriter, *asked: Any) -> None:
        if len(begun) == 2:
            raise OSError(errno.ENOSPC, "the disk is full")
        begin(run, *asked)
        begun.append(run)

    monkeypatch.setattr(exchange.RunWriter, "__init__", failing)
    with pytest.raises(OSError, match="the disk is full"):
        list(counting.count([]))
    assert not [*tmp_path.iterdir()]


def test_fields_are_read_of_sources_that_have_a_use_for_them() -> None:
    assert "meta" in measure.columns_of("yfcc100m")
    assert "meta" in measure.columns_of("wit")
    assert "meta" not in measure.columns_of("conceptual_12m")


def test_a_pair_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its fields are read once, none of a source that has no use for them, and languages are asked for once a batch."""
    asked: list[int] = []
    read: list[tuple[int, tuple[str, ...]]] = []
    tokens = measure.fields.tokens
    monkeypatch.setattr(
        measure.fields,
        "tokens",
        lambda metas, names: read.append((len(metas), tuple(names))) or tokens(metas, names),
    )
    monkeypatch.setattr(
        language, "languages", lambda texts: asked.append(len(texts)) or pa.array(["en"] * len(texts), pa.string())
    )
    metas = [{"uid": f"{number}@N00", "longitude": "2.35", "latitude": "48.85"} for number in range(5)]
    rows = [pair("yfcc100m", str(number), "a woman", meta=meta) for number, meta in enumerate(metas)]
    pairs = batch([*rows, pair("coco", "1", "a man"), pair("sbu_captions", "2", "a dog", meta={"user_id": "7@N00"})])
    counting = Counting(WHOLE, ("coco", "sbu_captions", "yfcc100m"), BITS, str(tmp_path))
    list(counting.count([(pairs, pa.array(["curate"] * 7))]))
    assert asked == [7]
    assert read == [(1, ("user_id",)), (5, ("uid", "longitude", "latitude", "datetaken"))]
