"""Tasks that write a window's shards read its store files once, with few requests, and write the same bytes as any others."""

from __future__ import annotations

import itertools
import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pmd.engines.transforms import OUTPUTS, collect
from pmd.fetch.ledger import reading
from pmd.shard import windows
from pmd.shard.samples import SAMPLES
from pmd.shard.transforms import SHARDS, WINDOWS, CutShards, WriteShard, by_shard, joined
from pmd.store import commits, parquet_files, storage
from tests.fetch.ledger.test_reading import Asked, write
from tests.fetch.ledger.test_reading import asked as asked  # noqa: PLC0414  a fixture of theirs
from tests.shard.test_shards import asking

#: Store files of a window, pictures of each of them, and how many of these no shard has.
FILES, PICTURES, GONE = 2, 500, 5
WINDOW = FILES * (PICTURES - GONE)


@given(st.lists(st.integers(0, 40), max_size=12), st.integers(1, 60))
def test_a_task_has_windows_that_follow_each_other_and_no_more_than_it_needs(counts: list[int], least: int) -> None:
    found = windows.tasks(counts, least)
    assert len(found) == len(counts)
    assert all(after - before in {0, 1} for before, after in itertools.pairwise([0, *found]))
    for task in {*found[:-1]} - {*found[-1:]}:
        held = [count for count, number in zip(counts, found, strict=True) if number == task]
        assert sum(held) >= least > sum(held[:-1])


def of_window(root: str, window: int) -> pa.Table:
    """Return the samples of a window in a mixed order; their pictures are written."""
    chance = random.Random(window)
    tables = []
    for number in range(FILES):
        rows = write(root, f"fetch/store/{window}-{number}.tar", [600] * PICTURES)
        tables.append(rows.filter(pa.array([row % 100 != 7 for row in range(PICTURES)])))
    rows = pa.concat_tables(tables)
    rows = rows.take(pa.array(chance.sample(range(rows.num_rows), rows.num_rows)))
    keys = [f"{window:02d}{rank:030d}" for rank in range(rows.num_rows)]
    pairs = [[{"pair_id": name, "source": "coco", "source_id": name, "text": f"of {name}"}] for name in keys]
    known = {
        **{name: rows[name] for name in rows.column_names},
        "key": pa.array(keys),
        "pairs": pa.array(pairs, SAMPLES.field("pairs").type),
        "stored_format": pa.repeat("jpeg", rows.num_rows),
        "split": pa.repeat("train", rows.num_rows),
    }
    columns = [known.get(field.name, pa.nulls(rows.num_rows, field.type)) for field in SAMPLES]
    return pa.table([pc.cast(column, field.type) for column, field in zip(columns, SAMPLES, strict=True)], SAMPLES)


def tables(root: str, count: int) -> list[pa.RecordBatch]:
    """Return WINDOWS of a ROOT, their samples and pictures written."""
    rows = []
    for window in range(count):
        samples = of_window(root, window)
        name = parquet_files.put_table(f"{root}/_work", f"samples-{window:05d}", samples, durable=False).name
        row = {"window": window, "path": f"{root}/_work/{name}", "samples": samples.num_rows, "outputs": b""}
        rows.append(pa.RecordBatch.from_pylist([row], schema=WINDOWS))
    return rows


def shards(root: str, out: Path, found: list[pa.RecordBatch], per_shard: int, *, by_window: bool) -> list[Any]:
    """Write all shards; return their files."""
    folders = tuple((form, str(out / form)) for form in ("webdataset", "parquet"))
    asked = asking(samples_per_shard=per_shard)
    write_shard = WriteShard(root, folders, "tag", asked, f"{root}/_work")
    given = [
        item
        for batch in CutShards(asked, f"{root}/_work", by_window=by_window)((0, found))
        for item in write_shard(batch)
    ]
    outputs = [batch for batch in given if batch.schema == OUTPUTS]
    parts: dict[int, list[pa.RecordBatch]] = {}
    for batch in given:
        if batch.schema == SHARDS:
            number, part = by_shard(batch)
            parts.setdefault(number, []).extend([part, part])  # as a bundle that is run twice hands it on
    for number, batches in parts.items():
        outputs += write_shard(joined((number, reversed(batches))))
    return list(collect(outputs).files)


@pytest.mark.parametrize("per_shard", [97, 985, 2500])
def test_shards_are_the_same_however_they_are_cut_into_tasks(
    per_shard: int, asked: Asked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(windows, "SHARDS_A_TASK", 2)
    local, remote = str(tmp_path / "root"), "memory://root"
    found = tables(local, 3)
    expected = shards(local, tmp_path / "a", found, per_shard, by_window=False)
    assert sum(file.rows for file in expected) == 2 * 3 * WINDOW
    assert shards(local, tmp_path / "b", found, per_shard, by_window=True) == expected
    assert shards(remote, tmp_path / "c", tables(remote, 3), per_shard, by_window=True) == expected


def test_a_thousand_pictures_take_five_requests_and_a_fifth_more_than_their_bytes(asked: Asked, tmp_path: Path) -> None:
    count, root = 5, "memory://root"
    found = tables(root, count)
    asked.ranges.clear()
    assert shards(root, tmp_path, found, 90, by_window=True)
    of_pictures = [each for each in asked.ranges if "store/" in each[0] or "pictures-" in each[0]]
    assert len(of_pictures) < len(asked.ranges)  # the samples are read as well
    assert len(of_pictures) <= 5 * count * WINDOW / 1000
    # Pictures as small as these take twice 512 bytes of their tar more than they have.
    assert sum(stop - start for _, start, stop in of_pictures) <= 1.2 * count * WINDOW * (1024 + 512)
    assert len({(name, start) for name, start, _ in of_pictures}) == len(of_pictures)


def test_what_is_handed_on_is_each_picture_once_in_order(asked: Asked, tmp_path: Path) -> None:
    root = "memory://root"
    window = of_window(root, 0).slice(0, 5)
    twice = pa.concat_tables([window, window])
    with reading.Pictures(root, twice) as pictures:
        path = windows.hand_on(root, f"{root}/_work", twice, pictures)
        contents = [pictures.read(row) for row in window.to_pylist()]
    folder, _, name = path.rpartition("/")
    (file,) = (name for name in storage.list_names(folder) if name.startswith("pictures-"))
    assert storage.read_bytes(f"{folder}/{file}") == b"".join(contents)
    again = parquet_files.read_table(folder, commits.File(name, 0, 0, ""))
    assert again.drop_columns(["store_file", "offset"]) == twice.drop_columns(["store_file", "offset"])
    assert again["store_file"].unique().to_pylist() == [f"_work/{file}"]
    with reading.Pictures(root, again) as pictures:
        assert [pictures.read(row) for row in again.to_pylist()] == contents * 2
