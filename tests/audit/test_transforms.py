"""What a worker counts of pairs: each once, of a build of a sample those of its images alone."""

from __future__ import annotations

import base64
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from pmd.audit import transforms
from pmd.audit.counting import measure, repeated, unit_sums
from pmd.audit.transforms import KINDS, CountFiles, Counting
from pmd.images import rules
from pmd.store import exchange
from pmd.store.exchange import Rows
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
    *rows, outputs = list(counting.count([(pairs, pa.array(last))]))
    with exchange.Runs(str(tmp_path), transforms.KINDS) as runs:
        for some in rows:
            assert isinstance(some, Rows)
            runs.put(some)
    of = {
        kind: [exchange.as_runs(one) for one in runs.written if one.schema == exchange.runs_of(kind)] for kind in KINDS
    }
    assert {kind: len(found) for kind, found in of.items()} == dict.fromkeys(KINDS, 1)
    assert isinstance(outputs, pa.RecordBatch)
    fact = outputs["fact"][0].as_py().removeprefix(transforms.COUNTED)
    found = measure.from_bytes(base64.b64decode(fact)).sources["coco"]
    number = int(inside.sum())
    assert 30 < number < 70
    assert found.pairs.tolist() == [5, number - 5, 0, 0, 0, 0]
    assert found.outside == 200 - number
    (images,) = transforms.CountImages(str(tmp_path), ("coco",))((0, of["image"]))
    (known,) = transforms.CountUnits(str(tmp_path))((0, of["unit"]))
    counted = unit_sums.merged(
        transforms.read_units(one["fact"][0].as_py().removeprefix(transforms.UNITS)) for one in (images, known)
    )
    assert int(counted.sizes_of("coco", "image", 0)[1].sum()) == number
    assert known.nbytes < 1000  # it is told in a file: that of all partitions together is one element
    assert counted.hosts_of("coco", 1) == [("a.org", number - 5)]
    assert pc.sum(known["count"]).as_py() is None


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


def test_what_is_read_in_pieces_is_looked_at_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transforms, "_COLUMN_BYTES", 2**12)
    metas = [{"uid": f"{number}@N00", "description": "a dog " * 50} for number in range(100)]
    rows = batch([pair("yfcc100m", str(number), "a dog", meta=meta) for number, meta in enumerate(metas)])
    path = tmp_path / "pairs.parquet"
    pq.write_table(pa.Table.from_batches([rows]), path, use_dictionary=False)
    read: list[int] = []
    cut = measure.cut
    monkeypatch.setattr(measure, "cut", lambda pairs, source: read.append(pairs.num_rows) or cut(pairs, source))
    counting = Counting(WHOLE, ("yfcc100m",), BITS, str(tmp_path))
    (found,) = CountFiles(counting, 1)._read(str(path), "yfcc100m")
    assert len(read) > 5
    assert found["pair_id"] == rows["pair_id"]
    assert found["meta"].field("uid").to_pylist() == [f'"{meta["uid"]}"' for meta in metas]
    assert found["source"].to_pylist() == ["yfcc100m"] * 100


@pytest.mark.parametrize("bits", [0, 2])
def test_texts_that_stand_once_are_not_handed_on(tmp_path: Path, bits: int) -> None:
    """All files' texts are told apart first; without that all are handed on."""
    paths = []
    for part, texts in enumerate((["a dog"] * 6 + ["a cat", "a man"], ["A dog."] * 4 + ["a cat", "Été"] * 5)):
        rows = batch(pair("coco", f"{part} {number}", text) for number, text in enumerate(texts))
        paths.append(tmp_path / f"pairs-{part}.parquet")
        pq.write_table(pa.Table.from_batches([rows]), paths[-1])
    tasks = [
        pa.RecordBatch.from_pylist([{"pairs": str(path), "source": "coco"}], transforms.PAIR_TASKS) for path in paths
    ]
    written = [run for task in tasks for run in transforms.SpreadLetters(bits, str(tmp_path), 2)(task)]
    often = [
        batch
        for keyed in exchange.by_partition(written)
        for batch in transforms.FindOften(str(tmp_path))((keyed[0], [keyed[1]]))
    ]
    counting = Counting(WHOLE, ("coco",), BITS, str(tmp_path))
    for beside, handed_on in ((often, 10), ([], 22)):
        found = [found for task in tasks for found in CountFiles(counting, 2).rows(task, beside)]
        texts = [rows.batch for rows in found if isinstance(rows, Rows) and rows.kind == "text"]
        assert sum(rows.num_rows for rows in texts) == handed_on
        counted = repeated.count(pa.Table.from_batches(texts))
        assert counted["form"].to_pylist() == ["a dog"]


def test_batches_are_put_together_up_to_a_number_of_rows() -> None:
    batches = [pa.RecordBatch.from_pydict({"x": [number] * rows}) for number, rows in enumerate((3, 3, 3, 5, 9, 1))]
    found = [*transforms._together(batches, 8)]
    assert [batch.num_rows for batch in found] == [6, 8, 9, 1]
    assert pa.Table.from_batches(found) == pa.Table.from_batches(batches)
    assert [*transforms._together([], 8)] == []
