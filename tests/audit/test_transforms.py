"""What a worker counts of a partition: of a build of a sample the pairs of its images alone."""

from __future__ import annotations

import base64
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from pmd.audit import measure, transforms, units
from pmd.fetch import partitions
from pmd.images import rules
from pmd.schema import keys
from pmd.schema.tables import KEY
from pmd.store import exchange
from pmd.text import language
from tests.audit.batches import WHOLE, batch, pair


def test_pairs_outside_the_sample_are_counted_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(language, "languages", lambda texts: pa.array(["en"] * len(texts), pa.string()))
    pairs = batch(pair("coco", str(index), "a woman", url=f"http://a.org/{index}") for index in range(200))
    inside = rules.in_sample(pairs["image_id"], 4)
    kept = pairs["pair_id"].filter(pa.array(inside))
    rows = [
        exchange.widen(pa.Table.from_batches([pairs]).select(list(measure.COLUMNS)), transforms.MEETING),
        exchange.widen(pa.table({"pair_id": kept.slice(5)}), transforms.MEETING, last="images"),
    ]
    written = list(exchange.write(str(tmp_path), transforms.MEETING, 0, rows, "pair_id"))
    count = transforms.CountPartition(WHOLE, 4, 0, 0, str(tmp_path))
    texts, of_units, of_words, outputs = list(count((0, written)))
    assert (texts.schema, of_units.schema) == (exchange.RUNS, transforms.UNIT_RUNS)
    assert of_words.schema == transforms.WORD_RUNS
    fact = outputs["fact"][0].as_py().removeprefix(transforms.COUNTED)
    found = measure.from_bytes(base64.b64decode(fact)).sources["coco"]
    number = int(inside.sum())
    assert 30 < number < 70
    assert found.pairs.tolist() == [5, number - 5, 0, 0, 0, 0]
    assert found.outside == 200 - number
    (known,) = transforms.CountUnits(str(tmp_path))((0, [transforms.as_runs(of_units)]))
    counted = units.Counted.from_text(known["fact"][0].as_py().removeprefix(transforms.UNITS))
    assert int(units.sizes_of(counted, "coco", "image", 0)[1].sum()) == number
    assert units.hosts_of(counted, "coco", 1) == [("a.org", number - 5)]
    assert pc.sum(known["count"]).as_py() is None


def test_a_pair_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its fields are read once, none of a source that has no use for them, and languages are asked for once a source."""
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
    named = pa.Table.from_batches([pairs]).select(list(measure.COLUMNS))
    written = list(
        exchange.write(str(tmp_path), transforms.MEETING, 0, [exchange.widen(named, transforms.MEETING)], "pair_id")
    )
    list(transforms.CountPartition(WHOLE, 1, 0, 0, str(tmp_path))((0, written)))
    assert asked == [1, 1, 5]
    assert read == [(1, ("user_id",)), (5, ("uid", "longitude", "latitude", "datetaken"))]


def test_what_opted_out_is_told_from_what_is_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    statuses = {"kept": "ok", "gone": "ok", "no": "opted_out", "dead": "dead"}
    ids = {name: keys.image_id(name) for name in (*statuses, "untried")}
    views = pa.table({"pair_id": pa.array(list(ids.values()), KEY), "image_id": pa.array(list(ids.values()), KEY)})
    ledger = pa.table({"image_id": pa.array([ids[name] for name in statuses], KEY), "status": list(statuses.values())})
    kept, gone = (views.filter(pc.equal(views["pair_id"].cast(pa.binary()), ids[name])) for name in ("kept", "gone"))
    monkeypatch.setattr(transforms.partitions, "read_views", lambda root, part, columns: views)
    monkeypatch.setattr(transforms.partitions, "read_ledger", lambda root, shards, columns: ledger)
    monkeypatch.setattr(transforms.dedupe_rules, "judge_again", lambda *given: (kept, gone))
    monkeypatch.setattr(transforms.dedupe_rules, "read_groups", lambda root, part: None)
    cut = partitions.Cut(0, 0)
    found = transforms._Part.read("root", 0, cut).last_stages("root")
    names = {value: name for name, value in ids.items()}
    assert {stage: [names[one] for one in pairs.to_pylist()] for stage, pairs in found} == {
        "dedupe": ["kept"],
        "fetch": ["gone"],
        "asked": ["dead", "untried"],
        "images": ["no"],
    }
