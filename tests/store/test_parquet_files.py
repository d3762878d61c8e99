"""Tables as Parquet files: the same rows give the same bytes, and are read as they were written."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pmd.schema.tables import IMAGES, VIEWS
from pmd.store import commits, parquet_files, storage

VIEW_ROWS = [
    {
        "image_id": bytes([i]) * 16,
        "pair_id": bytes([i + 1]) * 16,
        "source": "coco" if i % 2 else "wit",
        "source_id": str(i),
        "region": None if i % 3 else [0.0, 0.25, 0.5, 0.125 * (i + 1)],
        "width_px": i or None,
        "height_px": 7,
        "text": "a dog " * i,
    }
    for i in range(7)
]
IMAGE_ROWS = [
    {
        "image_id": bytes([i]) * 16,
        "identity": f"coco:{i}",
        "locations": [{"kind": "original", "url": f"http://e.org/{i}/{j}"} for j in range(i)],
        "sources": ["coco"] * (i % 2),
        "has_region": bool(i % 2),
        "fetch_shard": 0,
    }
    for i in range(7)
]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 3), max_size=7), st.integers(0, 3))
def test_equal_rows_in_other_chunks_give_equal_bytes(cuts: list[int], padding: int) -> None:
    for schema, rows in ((VIEWS, VIEW_ROWS), (IMAGES, IMAGE_ROWS)):
        whole = pa.Table.from_pylist(rows, schema=schema)
        # Slices of something longer, so that offsets and neighbours would show.
        longer = pa.Table.from_pylist(rows[:padding] + rows + rows[:padding], schema=schema)
        pieces, start = [], padding
        for cut in cuts:
            pieces.append(longer.slice(start, min(cut, padding + len(rows) - start)))
            start += pieces[-1].num_rows
        pieces.append(longer.slice(start, padding + len(rows) - start))
        chunked = pa.concat_tables(pieces)
        assert chunked == whole
        assert parquet_files.to_bytes(chunked) == parquet_files.to_bytes(whole)


@pytest.mark.parametrize(("schema", "rows"), [(VIEWS, VIEW_ROWS), (IMAGES, IMAGE_ROWS), (VIEWS, [])])
def test_a_table_is_read_as_it_was_written(schema: pa.Schema, rows: list[dict[str, object]], tmp_path: Path) -> None:
    table = pa.Table.from_pylist(rows, schema=schema)
    file = parquet_files.put_table(str(tmp_path), "pairs/part", table)
    assert parquet_files.read_table(str(tmp_path), file).equals(table)
    assert parquet_files.read_table(str(tmp_path), file).schema.equals(schema)
    assert parquet_files.read_table(str(tmp_path), file, ["image_id"]).column_names == ["image_id"]
    path = storage.join(str(tmp_path), file.name)
    assert pa.Table.from_batches(list(parquet_files.iterate(path)), schema=schema).equals(table)
    assert file.rows == len(rows)
    assert file.bytes == storage.size(path)
    assert file.sha256 == commits.sha256(storage.read_bytes(path))
    assert file.name == f"pairs/part-{file.sha256[:16]}.parquet"


def test_row_groups_have_a_fixed_size(tmp_path: Path) -> None:
    table = pa.table({"x": pa.array(range(parquet_files.ROW_GROUP_ROWS + 1), pa.int32())})
    file = parquet_files.put_table(str(tmp_path), "part", table)
    parquet = pq.ParquetFile(tmp_path / file.name)
    assert [parquet.metadata.row_group(i).num_rows for i in range(parquet.num_row_groups)] == [
        parquet_files.ROW_GROUP_ROWS,
        1,
    ]
    assert sum(batch.num_rows for batch in parquet_files.iterate(str(tmp_path / file.name), ["x"])) == table.num_rows


def test_strings_are_written_once_where_they_repeat(tmp_path: Path) -> None:
    """A dictionary pays where a string stands four times on average, and makes nothing else of the rows that are read."""
    often = ["a dog", "a cat"] * 8
    rows = pa.table({"often": often, "rare": [str(number) for number in range(16)], "number": [1] * 16})
    assert parquet_files._repeating(rows) == ["often"]
    assert parquet_files._repeating(rows.slice(0, 8)) == ["often"]
    assert parquet_files._repeating(rows.slice(0, 7)) == []
    assert parquet_files._repeating(rows.set_column(1, "rare", rows["rare"].dictionary_encode())) == ["often", "rare"]
    file = parquet_files.put_table(str(tmp_path), "pairs/part", rows)
    assert file.rows == 16
    assert parquet_files.read_table(str(tmp_path), file) == rows
    assert parquet_files.read_table(str(tmp_path), file, ["number", "often"]) == rows.select(["number", "often"])
    written = pq.ParquetFile(tmp_path / file.name).metadata.row_group(0)
    encoded = [
        any("DICTIONARY" in name for name in written.column(number).encodings) for number in range(written.num_columns)
    ]
    assert encoded == [True, False, False]
    batches = list(parquet_files.iterate(str(tmp_path / file.name), ["rare"]))
    assert pa.Table.from_batches(batches) == rows.select(["rare"])


def test_what_a_schema_says_beside_its_columns_stays() -> None:
    rows = pa.table({"source": pa.array(["wit"]).dictionary_encode(), "n": [1]}).replace_schema_metadata({"a": "b"})
    plain = parquet_files.without_dictionaries(rows)
    assert plain.schema.equals(
        pa.schema({"source": pa.string(), "n": pa.int64()}, metadata={"a": "b"}), check_metadata=True
    )
    assert parquet_files.without_dictionaries(plain) is plain


def test_rows_of_a_long_column_are_read_fewer_at_a_time(tmp_path: Path) -> None:
    path = str(tmp_path / "long.parquet")
    rows = pa.table(
        {"number": pa.array(range(1000), pa.int64()), "long": [f"{number:0500d}" for number in range(1000)]}
    )
    pq.write_table(rows, path, row_group_size=400, compression="zstd", use_dictionary=False)
    sizes = {
        name: [batch.num_rows for batch in parquet_files.iterate(path, columns, 256, 16_000)]
        for name, columns in {"all": None, "long": ["long"], "short": ["number"]}.items()
    }
    # A number has 8 bytes, a text 504: 32 of these have 16,128, and half of them are read.
    assert max(sizes["short"]) == 256
    assert max(sizes["long"]) == max(sizes["all"]) == 16
    assert pa.Table.from_batches(list(parquet_files.iterate(path, None, 256, 16_000))) == rows
