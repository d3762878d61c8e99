"""Scores as a filter: conditions, files in both spellings of ids, what is missing, and mistakes."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pmd.config import scores
from pmd.errors import InputError
from pmd.schema import keys


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("nsfw < 0.2", ("nsfw", "<", 0.2)),
        ("clip.b-32>=-1e-3", ("clip.b-32", ">=", -0.001)),
        ("  a==1  ", ("a", "==", 1.0)),
        ("a != .5", ("a", "!=", 0.5)),
    ],
)
def test_conditions(text: str, expected: tuple[str, str, float]) -> None:
    found = scores.parse(text)
    assert (found.column, found.operator, found.number) == expected


@pytest.mark.parametrize(
    "text",
    [
        "a < 1e999",
        "a > -1e400",
        "",
        "nsfw",
        "nsfw <",
        "0.2 > nsfw",
        "a < 1 and b < 2",
        "a < b",
        "a < nan",
        "a = 1",
        "a <> 1",
    ],
)
def test_what_is_no_condition(text: str) -> None:
    with pytest.raises(ValueError, match="a column, one of"):
        scores.parse(text)


def key(number: int) -> bytes:
    return number.to_bytes(1, "big") * 16


def write(path: Path, column: str, ids: list[Any], values: list[float | None], name: str = "nsfw") -> str:
    pq.write_table(pa.table({column: ids, name: values}), path)
    return str(path)


def read(path: str, keep: str, missing: Literal["keep", "reject"]) -> scores.Verdicts:
    return scores.put(path, keep, missing, f"{path}.side").mapped()


def out(verdicts: scores.Verdicts, *numbers: int) -> list[int]:
    """Return which of some keys leave."""
    listed = verdicts.has(pa.array([key(number) for number in numbers], pa.binary(16)))
    leaves = ~listed if verdicts.rejects_missing else listed
    return [number for number, gone in zip(numbers, leaves, strict=True) if gone]


@pytest.mark.parametrize("spelled", ["hex", "bytes"])
def test_failing_missing_null_and_doubled(tmp_path: Path, spelled: str) -> None:
    numbers, values = [1, 2, 3, 4, 5, 5], [0.1, 0.9, None, float("nan"), 0.1, 0.9]
    ids = [key(n).hex() for n in numbers] if spelled == "hex" else [key(n) for n in numbers]
    path = write(tmp_path / "nsfw.parquet", "image_id", ids, values)
    kept = read(path, "nsfw < 0.2", "keep")
    assert kept.column == "image_id"
    assert out(kept, 1, 2, 3, 4, 5, 6) == [2, 5]
    assert out(read(path, "nsfw < 0.2", "reject"), 1, 2, 3, 4, 5, 6) == [2, 3, 4, 5, 6]


def test_a_file_without_rows_knows_nobody(tmp_path: Path) -> None:
    path = tmp_path / "empty.parquet"
    pq.write_table(pa.table({"pair_id": pa.array([], pa.string()), "nsfw": pa.array([], pa.float64())}), path)
    assert out(read(str(path), "nsfw < 1", "keep"), 1) == []
    assert out(read(str(path), "nsfw < 1", "reject"), 1) == [1]


def test_many_ids_are_sorted_by_buckets_and_looked_up_in_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is held is a bucket and what all buckets may keep in memory, however many ids a file has."""
    monkeypatch.setattr(scores, "_BUCKET_IDS", 256)
    monkeypatch.setattr(scores, "_SPOOL_BYTES", 1 << 13)
    dice = np.random.default_rng(0)
    ids = [bytes(row) for row in dice.integers(0, 256, (6000, 16), np.uint8)]
    values = dice.random(len(ids)).tolist()
    ids, values = [*ids, *ids[:500]], [*values, *dice.random(500).tolist()]  # some twice
    path = write(tmp_path / "nsfw.parquet", "pair_id", ids, values)
    held: list[int] = []
    sorted_at_once: list[int] = []
    real_add, real_unique = scores._Buckets.add, np.unique

    def add(self: scores._Buckets, *rows: Any) -> None:
        real_add(self, *rows)
        held.append(sum(bucket.tell() for bucket in self._buckets if not bucket._rolled))  # type: ignore[attr-defined]

    def unique(rows: Any) -> Any:
        sorted_at_once.append(len(rows))
        return real_unique(rows)

    monkeypatch.setattr(scores._Buckets, "add", add)
    monkeypatch.setattr(scores.np, "unique", unique)
    batches = scores._batches
    monkeypatch.setattr(
        scores,
        "_batches",
        lambda *asked: ((name, batch[at : at + 500]) for name, batch in batches(*asked) for at in range(0, 6500, 500)),
    )
    failing = {key for key, value in zip(ids, values, strict=True) if value >= 0.5}
    for missing, decide in (("keep", failing), ("reject", {*ids} - failing)):
        verdicts = read(path, "nsfw < 0.5", missing)  # type: ignore[arg-type]
        found = [row.ljust(16, b"\0") for row in verdicts.ids.tolist()]
        assert found == sorted(decide)
        assert verdicts.has(pa.array(ids, pa.binary(16))).tolist() == [key in decide for key in ids]
        assert isinstance(verdicts.ids.base, np.memmap)
    assert 0 < max(held) <= 1 << 13
    assert max(sorted_at_once) < 2 * 256


@settings(max_examples=30, deadline=None)
@given(st.lists(st.binary(min_size=16, max_size=16), unique=True, max_size=20), st.data())
def test_look_ups_are_exact_also_where_first_halves_agree(ids: list[bytes], data: st.DataObject) -> None:
    ids += [item[:8] + b"\xff" * 8 for item in ids[:5]] + [item[:9] + bytes(7) for item in ids[5:10]]
    ids = list(dict.fromkeys(ids))
    chosen = data.draw(st.sets(st.sampled_from(ids))) if ids else set()
    kept = np.unique(keys.sortable(pa.array(sorted(chosen), pa.binary(16))))
    verdicts = scores.Verdicts("pair_id", kept, rejects_missing=False)
    assert verdicts.has(pa.array(ids, pa.binary(16))).tolist() == [item in chosen for item in ids]


def test_the_cost_of_a_look_up_does_not_grow_with_ids_that_begin_alike() -> None:
    """Ids are anyone's: of a thousand that share their first half each is found by one bisection."""
    ids = pa.array([b"alike---" + number.to_bytes(8, "big") for number in range(1000)], pa.binary(16))
    verdicts = scores.Verdicts("pair_id", np.unique(keys.sortable(ids)), rejects_missing=False)
    looked: list[int] = []

    class Counting(np.ndarray):
        def __getitem__(self, place: Any) -> Any:
            looked.append(np.size(place))
            return super().__getitem__(place)

    counted = scores.Verdicts("pair_id", verdicts.ids.view(Counting), rejects_missing=False)
    assert counted.has(ids).all()
    assert sum(looked) <= 2 * len(ids)


def test_mistakes_in_a_file_are_told(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", "key", [key(1).hex()], [0.1])
    with pytest.raises(InputError, match="without the columns"):
        read(path, "nsfw < 1", "keep")
    path = write(tmp_path / "b.parquet", "pair_id", ["12"], [0.1])
    with pytest.raises(InputError, match="an id that is none"):
        read(path, "nsfw < 1", "keep")
    with pytest.raises(InputError, match="without the columns"):
        read(path, "quality < 1", "keep")
    pq.write_table(pa.table({"pair_id": [key(1).hex()], "nsfw": ["low"]}), tmp_path / "c.parquet")
    with pytest.raises(InputError, match="a score that is no number"):
        read(str(tmp_path / "c.parquet"), "nsfw < 1", "keep")
    (tmp_path / "d.parquet").write_text("no parquet")
    with pytest.raises(InputError, match="not a Parquet file"):
        read(str(tmp_path / "d.parquet"), "nsfw < 1", "keep")
    one = pa.array([0.1])
    pq.write_table(
        pa.Table.from_arrays([pa.array([key(1).hex()]), one, one], names=["pair_id", "nsfw", "nsfw"]),
        tmp_path / "e.parquet",
    )
    with pytest.raises(InputError, match="without the columns"):
        read(str(tmp_path / "e.parquet"), "nsfw < 1", "keep")
    path = write(tmp_path / "f.parquet", "pair_id", [16, 10**15], [0.1, 0.2])
    with pytest.raises(InputError, match="an id that is none"):
        read(path, "nsfw < 1", "keep")


def test_whole_numbers_of_any_size_are_scores(tmp_path: Path) -> None:
    path = write(tmp_path / "large.parquet", "pair_id", [key(1).hex(), key(2).hex()], [2**53 + 1, 3])
    assert read(path, "nsfw < 10", "keep").has(pa.array([key(1), key(2)], pa.binary(16))).tolist() == [
        True,
        False,
    ]


@pytest.mark.parametrize("damage", [lambda whole: whole[:-9], lambda whole: whole[:4] + bytes(60) + whole[64:]])
def test_a_damaged_file_is_told(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "a.parquet"
    write(path, "pair_id", [key(number).hex() for number in range(9)], [0.1] * 9)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(InputError, match="damaged or cut short") as raised:
        read(str(path), "nsfw < 1", "keep")
    assert raised.value.where == str(path)


def test_any_number_of_ids_is_sorted_in_few_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process may have 256 open files on macOS, and each bucket is one in the end."""
    monkeypatch.setattr(scores, "_SPOOL_BYTES", 1 << 10)
    ids = np.sort(np.frombuffer(np.random.default_rng(1).bytes(16 * 100_000), "S16"))
    with scores._Buckets(2**40) as buckets:
        before = len(os.listdir("/dev/fd"))
        buckets.add(ids, np.ones(len(ids), bool))
        assert len(os.listdir("/dev/fd")) - before <= 128
        passing = np.concatenate([good for _, good in buckets.sorted()])
    assert (passing == ids).all()
