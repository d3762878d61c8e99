"""What became of pairs is what each stage says of them, whatever the order and the partition."""

from __future__ import annotations

import random

import numpy as np
import pyarrow as pa
import pytest

from pmd.audit.counting import fates
from pmd.audit.counting.measure import CLASSES
from pmd.dedupe import captions
from pmd.schema import keys
from pmd.schema.tables import GROUPS, KEY
from pmd.store import exchange, storage


def _number(name: str) -> int:
    return CLASSES.index(name)


def _known(rows: list[tuple[bytes, int]], bits: int, folder: str) -> fates.Known:
    table = pa.table(
        {"pair_id": pa.array([key for key, _ in rows], KEY), "last": pa.array([last for _, last in rows], pa.int8())}
    ).cast(fates.FATES)
    where = exchange.partitions(table["pair_id"], bits)
    files = [
        fates.pack(folder, number, table.filter(pa.array(where == number))) for number in np.unique(where).tolist()
    ]
    return fates.Known.of(bits, files)


@pytest.mark.parametrize("bits", [0, 3])
def test_each_pair_has_the_last_stage_that_is_said_of_it(bits: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    chance = random.Random(bits)
    rows, expected = [], {}
    for number in range(2000):
        key = keys.pair_id("coco", str(number))
        last = chance.choice(["curate", "images", "asked", "fetch", "dedupe", "shard"])
        expected[key] = last
        if last != "curate":
            rows.append((key, _number("dedupe" if last == "shard" else last)))
        if last == "dedupe" or (chance.random() < 0.01 and last not in ("shard", "curate")):
            rows.append((key, fates.LEFT_OUT))
    chance.shuffle(rows)
    known = _known(rows, bits, str(tmp_path_factory.mktemp("fates")))
    wanted = [*expected]
    for _ in range(2):
        found = known.last(pa.array(wanted, KEY)).cast(pa.string()).to_pylist()
        assert dict(zip(wanted, found, strict=True)) == expected
        chance.shuffle(wanted)  # in order or not
    assert known.last(pa.array([], KEY)).to_pylist() == []


def test_keys_with_one_first_half_are_told_apart(tmp_path_factory: pytest.TempPathFactory) -> None:
    alike = [b"same key" + bytes([number]) * 8 for number in range(5)]
    stages = ["images", "asked", "fetch", "dedupe", "shard"]
    rows = [(key, _number("dedupe" if last == "shard" else last)) for key, last in zip(alike, stages, strict=True)]
    rows += [(alike[3], fates.LEFT_OUT), (b"same key or none", fates.LEFT_OUT)]
    known = _known(rows[::-1], 1, str(tmp_path_factory.mktemp("fates")))
    assert known.last(pa.array(alike, KEY)).to_pylist() == stages
    assert known.last(pa.array([b"same key unknown"], KEY)).to_pylist() == ["curate"]


def test_files_far_away_are_copied_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    real = storage.read_bytes
    monkeypatch.setattr(storage, "read_bytes", lambda url, *span: asked.append(url) or real(url, *span))
    ids = [keys.pair_id("coco", str(number)) for number in range(100)]
    files = _known([(key, _number("fetch")) for key in ids], 1, "memory://fates").files
    for _ in range(3):  # tasks of one worker
        known = fates.Known(1, files)
        assert set(known.last(pa.array(ids, KEY)).to_pylist()) == {"fetch"}
    assert sorted(asked) == sorted(row["path"] for row in files.values())


def test_what_nobody_was_to_ask_for_is_told_from_what_is_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    statuses = {"kept": "ok", "gone": "ok", "repeated": "ok", "no": "opted_out", "inside": "blocked_address"}
    statuses |= {"listed": "blocked_content", "dead": "dead"}
    ids = {name: keys.image_id(name) for name in (*statuses, "untried")}
    views = pa.table({"pair_id": pa.array(sorted(ids.values()), KEY), "image_id": pa.array(sorted(ids.values()), KEY)})
    known = sorted((ids[name], status) for name, status in statuses.items())
    ledger = pa.table({"image_id": pa.array([key for key, _ in known], KEY), "status": [status for _, status in known]})
    leaving = [{"image_id": ids[name], "kept_id": ids[name], "relation": "repeated_bytes"} for name in ("gone", "dead")]
    groups = pa.Table.from_pylist([{**row, "distance": 0} for row in leaving], GROUPS)
    over = pa.Table.from_pylist(
        [{"image_id": ids["repeated"], "pair_id": ids["repeated"], "reason": "repeated_text", "detail": "its text"}],
        captions.REPEATED,
    )
    asked: list[tuple[str, ...]] = []
    monkeypatch.setattr(fates.partitions, "read_views", lambda root, part, columns: asked.append(columns) or views)
    monkeypatch.setattr(fates.dedupe_rules, "read_repeated", lambda root, part: over)
    names = {value: name for name, value in ids.items()}
    found = fates.of_part("root", 0, ledger, groups)
    assert found.schema == fates.FATES
    assert {names[row["pair_id"]]: CLASSES[row["last"]] for row in found.to_pylist()} == {
        "kept": "dedupe",
        "gone": "fetch",
        "repeated": "fetch",
        "dead": "asked",
        "untried": "asked",
        "no": "images",
        "inside": "images",
        "listed": "images",
    }
    assert asked == [("image_id", "pair_id")]  # no more is read of them
