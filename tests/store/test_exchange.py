"""Run files: every row once and in its partition, however the rows were batched, doubled or killed."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pmd.schema import keys
from pmd.schema.tables import KEY, REGION
from pmd.store import exchange, storage

SCHEMA = pa.schema([pa.field("key", KEY), pa.field("text", pa.string()), pa.field("region", REGION)])


def rows_of(count: int) -> list[dict[str, Any]]:
    return [
        {
            "key": keys.digest(str(i)),
            "text": None if i % 5 == 0 else f"text {i}",
            "region": [0.0, 0.0, 1.0, i / count] if i % 3 else None,
        }
        for i in range(count)
    ]


def write(folder: str, batches: list[pa.RecordBatch], bits: int) -> pa.RecordBatch:
    run = exchange.RunWriter(folder, SCHEMA, bits)
    for batch in batches:
        run.add(batch, "key")
    return run.close()


def sorted_rows(table: pa.Table) -> list[dict[str, Any]]:
    return sorted(table.to_pylist(), key=lambda row: row["key"])


@settings(max_examples=30, deadline=None)
@given(
    st.integers(0, 60),
    st.integers(0, 6),
    st.lists(st.integers(0, 20), max_size=8),
    st.integers(1, 2000),
)
def test_every_row_is_read_once_in_its_partition(count: int, bits: int, cuts: list[int], buffer_bytes: int) -> None:
    rows = rows_of(count)
    batch = pa.RecordBatch.from_pylist(rows, schema=SCHEMA)
    pieces, start = [], 0
    for cut in [*cuts, count]:
        pieces.append(batch.slice(start, cut))
        start += pieces[-1].num_rows
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(exchange, "BUFFER_BYTES", buffer_bytes)
        # Two workers share the batches; what they wrote meets.
        written = [write(folder, pieces[::2], bits), write(folder, pieces[1::2], bits)]
        read, seen = [], []
        for partition, runs in exchange.by_partition(written):
            seen.append(partition)
            table = exchange.read(folder, [runs], SCHEMA)
            assert table.schema == SCHEMA
            assert all(keys.partition_of(key, bits) == partition for key in table["key"].to_pylist())
            read += table.to_pylist()
        assert seen == sorted(set(seen))
        assert sorted(read, key=lambda row: row["key"]) == sorted(rows, key=lambda row: row["key"])


@pytest.mark.parametrize(("buffers", "bits"), [(0, 3), (1, 0), (3, 2), (4, 6)])
def test_what_meets_in_one_worker_is_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, buffers: int, bits: int
) -> None:
    """28 bytes for each partition of each buffer of a unit, however many rows there are: all RUNS meet to be turned over."""
    batch = pa.RecordBatch.from_pylist(rows_of(2000), schema=SCHEMA)
    monkeypatch.setattr(exchange, "BUFFER_BYTES", batch.nbytes)
    runs = list(exchange.write(str(tmp_path), SCHEMA, bits, [batch] * buffers, "key"))
    assert sum(run.num_rows for run in runs) == buffers * 2**bits
    assert sum(run.nbytes for run in runs) == buffers * 2**bits * 28


def test_a_doubled_worker_changes_nothing(tmp_path: Path) -> None:
    batches = [pa.RecordBatch.from_pylist(rows_of(40)[i : i + 10], schema=SCHEMA) for i in range(0, 40, 10)]
    one, two = (exchange.RunWriter(str(tmp_path), SCHEMA, 2) for _ in range(2))
    for batch in batches:  # interleaved, as a zombie and its successor are
        one.add(batch, "key")
        two.add(batch, "key")
    first, second = one.close(), two.close()
    assert first["partition"].to_pylist() == second["partition"].to_pylist() == [0, 1, 2, 3]
    for (partition, a), (_, b) in zip(exchange.by_partition([first]), exchange.by_partition([second]), strict=True):
        assert a["run"] != b["run"]
        read = [sorted_rows(exchange.read(str(tmp_path), [runs], SCHEMA)) for runs in (a, b)]
        assert read[0] == read[1], partition


def test_a_worker_that_fails_leaves_no_run(tmp_path: Path) -> None:
    run = exchange.RunWriter(str(tmp_path), SCHEMA, 2)
    run.add(pa.RecordBatch.from_pylist(rows_of(10), schema=SCHEMA), "key")
    run.discard()
    assert storage.list_files(str(tmp_path)) == []


def test_rows_of_other_columns_are_refused(tmp_path: Path) -> None:
    run = exchange.RunWriter(str(tmp_path), SCHEMA)
    run.put(pa.RecordBatch.from_pylist([{"key": keys.digest("1")}]), np.zeros(1, np.int32))
    with pytest.raises(ValueError, match="in a run of"):
        run.close()
    run.discard()
    assert storage.list_files(str(tmp_path)) == []


def test_a_run_shows_only_when_it_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "BUFFER_BYTES", 1)
    run = exchange.RunWriter(str(tmp_path), SCHEMA, 2)
    run.add(pa.RecordBatch.from_pylist(rows_of(10), schema=SCHEMA), "key")
    assert [name for name in storage.list_files(str(tmp_path)) if not name.startswith(storage.TEMPORARY)] == []
    run.close()
    assert len(storage.list_files(str(tmp_path))) == 1


def test_a_partition_without_references_is_an_empty_table() -> None:
    assert exchange.read("nowhere", [], SCHEMA) == SCHEMA.empty_table()


@pytest.mark.parametrize("bits", [0, 1, 5, 12, 32])
def test_partitions_are_those_of_the_keys(bits: int) -> None:
    made = [keys.digest(str(i)) for i in range(50)]
    array = pa.array(made, KEY)
    expected = [keys.partition_of(key, bits) for key in made]
    # int32 holds 31 bits; all 32 are never asked for, but must not be mistaken for fewer.
    assert [int(number) & (2**32 - 1) for number in exchange.partitions(array, bits)] == expected
    assert list(exchange.partitions(array.slice(7, 5), bits)) == list(exchange.partitions(array, bits)[7:12])
    assert list(exchange.partitions(pa.chunked_array([array[:3], array[3:]]), bits)) == list(
        exchange.partitions(array, bits)
    )
    assert list(exchange.partitions(pa.array([], KEY), bits)) == []


@pytest.mark.parametrize(
    ("count", "per_partition", "most", "bits"),
    [
        (0, 10, 12, 0),
        (10, 10, 12, 0),
        (11, 10, 12, 1),
        (20, 10, 12, 1),
        (21, 10, 12, 2),
        (10**9, 1, 12, 12),
        (10**9, 1, 3, 3),
    ],
)
def test_partitions_are_as_many_as_the_input_needs(count: int, per_partition: int, most: int, bits: int) -> None:
    assert exchange.bits_for(count, per_partition, most) == bits


def test_widened_rows_have_nulls_and_constants_where_they_lack_columns() -> None:
    table = pa.table({"key": pa.array([keys.digest("a"), keys.digest("b")], KEY)})
    batch = exchange.widen(table, SCHEMA, text="same")
    assert batch.schema == SCHEMA
    assert batch.to_pylist() == [
        {"key": keys.digest("a"), "text": "same", "region": None},
        {"key": keys.digest("b"), "text": "same", "region": None},
    ]


def test_small_files_make_a_unit_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "TASK_BYTES", 10)
    files = [("a", 4), ("b", 4), ("c", 4), ("d", 30), ("e", 1), ("f", 0)]
    assert exchange.tasks(files) == [["a", "b", "c"], ["d"], ["e", "f"]]
    assert exchange.tasks([]) == []


#: Two kinds of rows, of which a unit may have one or both.
KINDS = {"": SCHEMA, "word": pa.schema([pa.field("word", pa.string())])}


def words(*found: str) -> exchange.Rows:
    batch = pa.RecordBatch.from_pylist([{"word": word} for word in found], schema=KINDS["word"])
    return exchange.Rows(batch, np.arange(len(found), dtype=np.int32), "word")


def test_each_kind_of_rows_has_runs_of_its_own(tmp_path: Path) -> None:
    """They are told apart by their schemas, whatever order rows came in; a kind without rows has none."""
    batch = pa.RecordBatch.from_pylist(rows_of(9), schema=SCHEMA)
    with exchange.Runs(str(tmp_path), KINDS) as runs:
        runs.put(words("a", "b"))
        for rows in exchange.by_key([batch.slice(0, 4), batch.slice(4)], "key", 2):
            runs.put(rows)
        runs.put(words("c"))
        runs.put(words())
    of_keys, of_words = runs.written
    assert (of_keys.schema, of_words.schema) == (exchange.RUNS, exchange.runs_of("word"))
    assert of_words.schema != exchange.RUNS
    read = exchange.read(str(tmp_path), [of_keys], SCHEMA)
    assert sorted_rows(read) == sorted(rows_of(9), key=lambda row: row["key"])
    found = dict(exchange.by_partition([exchange.as_runs(of_words)]))
    at = {number: exchange.read(str(tmp_path), [each], KINDS["word"]) for number, each in found.items()}
    assert {number: sorted(table["word"].to_pylist()) for number, table in at.items()} == {0: ["a", "c"], 1: ["b"]}
    with exchange.Runs(str(tmp_path / "none"), KINDS) as runs:
        runs.put(words())
    assert runs.written == []


def test_a_unit_that_fails_leaves_no_run_of_any_kind(tmp_path: Path) -> None:
    def fail() -> None:
        with exchange.Runs(str(tmp_path), KINDS) as runs:
            runs.put(words("a"))
            runs.put(next(exchange.by_key([pa.RecordBatch.from_pylist(rows_of(3), schema=SCHEMA)], "key", 0)))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert [*tmp_path.iterdir()] == []


def test_where_a_run_cannot_be_finished_none_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk is full as the second of two gets its name: the first, which has its own, goes too."""
    finish, names = storage.Draft.finish, list[str]()

    def full(self: storage.Draft, name: str) -> None:
        names.append(name)
        if len(names) == 2:
            raise OSError("no space left")
        finish(self, name)

    monkeypatch.setattr(storage.Draft, "finish", full)

    def write() -> None:
        with exchange.Runs(str(tmp_path), KINDS) as runs:
            runs.put(words("a"))
            runs.put(next(exchange.by_key([pa.RecordBatch.from_pylist(rows_of(3), schema=SCHEMA)], "key", 0)))

    with pytest.raises(OSError, match="no space left"):
        write()
    assert len(names) == 2
    assert [*tmp_path.iterdir()] == []


def test_a_reference_stays_small() -> None:
    """What crosses the shuffle is units times partitions of these."""
    assert sum(field.type.bit_width // 8 for field in exchange.RUNS) <= 40


def test_nothing_written_turns_over_into_nothing() -> None:
    assert list(exchange.by_partition([])) == []


def test_the_partitions_of_several_tables_follow_each_other() -> None:
    """Each table keeps its own, as if it were exchanged alone."""
    tables = exchange.Numbered({"b": 1, "a": 2, "c": 0})
    assert len(tables) == 4 + 2 + 1
    assert [tables.place(number) for number in range(7)] == [
        ("a", 0), ("a", 1), ("a", 2), ("a", 3), ("b", 0), ("b", 1), ("c", 0),
    ]  # fmt: skip
    keys = pa.array([bytes([first]) + bytes(15) for first in (0, 127, 128, 255)], pa.binary(16))
    for name, bits in tables.bits.items():
        own = exchange.partitions(keys, bits).tolist()
        assert [tables.place(number) for number in tables.numbers(name, keys).tolist()] == [
            (name, each) for each in own
        ]
    with pytest.raises(IndexError):
        tables.place(7)
