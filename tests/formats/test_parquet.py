"""Parquet tables: what they say of themselves, rows by row groups, and what is damaged."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pmd.errors import InputError
from pmd.formats import parquet
from pmd.store import storage


def _write(path: Path, table: pa.Table, **more: Any) -> str:
    pq.write_table(table, path, **more)
    return str(path)


@pytest.fixture
def table(tmp_path: Path) -> str:
    """Seven rows in row groups of three."""
    rows = {"number": list(range(7)), "word": [f"w{number}" for number in range(7)]}
    return _write(tmp_path / "a.parquet", pa.table(rows), row_group_size=3)


def test_rows_come_by_row_groups_and_say_where_they_stand(table: str) -> None:
    found = list(parquet.read(table, ["word"]))
    assert [(rows.group, rows.first, rows.batch.to_pydict()) for rows in found] == [
        (0, 0, {"word": ["w0", "w1", "w2"]}),
        (1, 0, {"word": ["w3", "w4", "w5"]}),
        (2, 0, {"word": ["w6"]}),
    ]
    assert found[1].places().to_pylist() == [f"{table}:row group 1, row {row}" for row in range(3)]
    assert found[1].place(2) == f"{table}:row group 1, row 2"
    assert [rows.batch["word"].to_pylist() for rows in parquet.read(table, ["word"], 1, 2)] == [["w3", "w4", "w5"]]


def test_columns_come_in_the_order_that_is_asked_for(table: str) -> None:
    assert [rows.batch.schema.names for rows in parquet.read(table, ["word", "number"], 2)] == [["word", "number"]]


def test_a_large_row_group_is_read_in_batches(tmp_path: Path) -> None:
    count = 3 * parquet.BATCH_ROWS + 1
    path = _write(tmp_path / "a.parquet", pa.table({"number": list(range(count))}))
    found = list(parquet.read(path, ["number"]))
    assert [(rows.group, rows.first, len(rows.batch)) for rows in found] == [
        *((0, number * parquet.BATCH_ROWS, parquet.BATCH_ROWS) for number in range(3)),
        (0, 3 * parquet.BATCH_ROWS, 1),
    ]
    assert [number for rows in found for number in rows.batch["number"].to_pylist()] == list(range(count))
    assert found[3].place(0) == f"{path}:row group 0, row {count - 1}"


def test_a_table_without_rows(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.parquet", pa.table({"word": pa.array([], pa.string())}))
    assert (parquet.row_count(path), list(parquet.read(path, ["word"]))) == (0, [])
    assert len(parquet.ranges(path)) == 1


def test_ranges_cover_every_row_group_once(table: str) -> None:
    assert parquet.ranges(table) == [(0, 3)]
    assert parquet.ranges(table, 1) == [(0, 1), (1, 2), (2, 3)]
    assert parquet.row_count(table) == 7


def test_a_table_is_read_where_fsspec_reaches(table: str) -> None:
    storage.put("memory://mirrors/a.parquet", Path(table).read_bytes())
    assert parquet.is_parquet("memory://mirrors/a.parquet")
    assert sum(len(rows.batch) for rows in parquet.read("memory://mirrors/a.parquet", ["word"])) == 7


def test_text_is_counted_without_pictures(tmp_path: Path) -> None:
    words = [f"a caption of some words, number {number}" for number in range(200)]
    pictures = [{"bytes": bytes([number % 256]) * 5000, "path": None} for number in range(200)]
    path = _write(tmp_path / "a.parquet", pa.table({"caption": words, "image": pictures}), use_dictionary=False)
    assert sum(map(len, words)) <= parquet.text_bytes(path) <= 2 * sum(map(len, words))


def test_names_of_classes_are_the_metadatas() -> None:
    def schema(said: bytes) -> pa.Schema:
        return pa.schema([pa.field("kind", pa.int64())], metadata={"huggingface": said})

    features = {"kind": {"names": ["cat", "dog"], "_type": "ClassLabel"}, "word": {"dtype": "string", "_type": "Value"}}
    assert parquet.class_names(schema(json.dumps({"info": {"features": features}}).encode())) == {
        "kind": ("cat", "dog")
    }
    for odd in (b"", b"[]", b"{}", b'{"info": null}', b'{"info": {"features": [1]}}', b"\xff"):
        assert parquet.class_names(schema(odd)) == {}
    assert parquet.class_names(pa.schema([])) == {}


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (pa.string(), True),
        (pa.large_string(), True),
        (pa.binary(), True),
        (pa.string_view(), True),
        (pa.binary_view(), True),
        (pa.dictionary(pa.int32(), pa.string()), True),
        (pa.dictionary(pa.int32(), pa.int64()), False),
        (pa.int64(), False),
        (pa.list_(pa.string()), False),
        (pa.struct([("bytes", pa.binary())]), False),
    ],
)
def test_what_is_text(kind: pa.DataType, *, expected: bool) -> None:
    assert parquet.is_text(kind) is expected


def test_bytes_that_are_not_utf8_are_found() -> None:
    column = pa.array([b"one", None, b"caf\xe9", b"", "東京".encode()])
    assert parquet.undecodable(column).tolist() == [False, False, True, False, False]


@pytest.mark.parametrize("cut", [4, 100, -1])
def test_a_file_that_is_cut_short_is_told(table: str, cut: int) -> None:
    Path(table).write_bytes(Path(table).read_bytes()[:cut])
    with pytest.raises(InputError) as caught:
        parquet.schema_of(table)
    assert caught.value.where == table
    assert str(caught.value).startswith(f"{table}: the Parquet table is damaged or cut short\n")


def test_every_byte_that_is_changed_is_read_or_told(table: str, tmp_path: Path) -> None:
    content, told = Path(table).read_bytes(), 0
    other = tmp_path / "b.parquet"
    for at in range(4, len(content)):
        changed = bytearray(content)
        changed[at] ^= 0xFF
        other.write_bytes(changed)
        try:
            names = parquet.schema_of(str(other)).names
            for rows in parquet.read(str(other), [name for name in ("number", "word") if name in names]):
                rows.batch.validate()
        except InputError as error:
            told += 1
            assert str(other) in str(error)  # noqa: PT017 - both ends are right
    assert told > len(content) // 4


def test_what_the_storage_says_is_not_taken_for_damage(table: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any, **__: Any) -> Any:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(pq, "ParquetFile", fails)
    with pytest.raises(OSError, match="Input/output error"):
        parquet.row_count(table)


@pytest.mark.parametrize(
    "kind",
    [
        pa.string(),
        pa.large_string(),
        pa.binary(),
        pa.string_view(),
        pa.binary_view(),
        pa.dictionary(pa.int32(), pa.string()),
    ],
)
@pytest.mark.parametrize("packed", [{}, {"use_dictionary": False}, {"compression": "zstd"}])
def test_a_few_bytes_that_stand_for_many_are_written_out_a_few_rows_at_a_time(
    tmp_path: Path, kind: pa.DataType, packed: dict[str, Any]
) -> None:
    """Bytes are counted, of the batches and while they are made: 1,000 rows of 100 kB are 100 MB."""
    texts = pa.array(["z"] + ["x" * 100_000, None, "y"] * 333)
    column = texts.dictionary_encode().cast(kind) if pa.types.is_dictionary(kind) else texts.cast(kind)
    path = _write(tmp_path / "a.parquet", pa.table({"number": range(1000), "text": column}), **packed)
    values: list[Any] = []
    before, held = pa.total_allocated_bytes(), 0
    for rows in parquet.read(path, ["number", "text"]):
        held = max(held, pa.total_allocated_bytes() - before)
        assert rows.batch["text"].nbytes <= parquet.BATCH_BYTES + 16 * len(rows.batch)
        assert rows.place(0).endswith(f"row {rows.batch['number'][0]}")
        assert parquet.is_text(rows.batch["text"].type)
        assert not pa.types.is_dictionary(rows.batch["text"].type)
        assert not rows.long
        values += [value and (value[:1], len(value)) for value in rows.batch["text"].cast(pa.string()).to_pylist()]
    assert values == [("z", 1)] + [("x", 100_000), None, ("y", 1)] * 333
    assert held < 2 * parquet.BATCH_BYTES if not packed else held < 8 * parquet.BATCH_BYTES


@pytest.mark.parametrize("kind", [pa.string_view(), pa.binary_view()])
def test_views_stand_beside_numbered_text(tmp_path: Path, kind: pa.DataType) -> None:
    texts = pa.array(["a", None, "a text of more than twelve bytes"])
    table = pa.table({"view": texts.cast(kind), "numbered": texts.dictionary_encode()})
    (rows,) = parquet.read(_write(tmp_path / "a.parquet", table), ["view", "numbered"])
    assert [rows.batch[name].cast(pa.string()).to_pylist() for name in ("view", "numbered")] == [texts.to_pylist()] * 2


def test_a_row_of_too_much_text_is_left_out_and_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "BATCH_BYTES", 100)
    texts = ["a", "b" * 101, "c" * 60, "b" * 101, None, "d" * 60, "e" * 51]
    more = ["", "", "x", "", "", "", "f" * 50]
    path = _write(tmp_path / "a.parquet", pa.table({"text": texts, "more": more}))
    found = list(parquet.read(path, ["text", "more"]))
    assert [text for rows in found for text in rows.batch["text"].to_pylist()] == [
        "a", None, "c" * 60, None, None, "d" * 60, None,
    ]  # fmt: skip
    long = {rows.first + index: digest for rows in found for index, digest in rows.long.items()}
    assert sorted(long) == [1, 3, 6]
    assert long[1] == long[3] != long[6]


@pytest.mark.parametrize(
    ("content", "found", "remedy"),
    [
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12\n",
            "a pointer of Git LFS",
            "run: git lfs pull",
        ),
        (b"ARROW1\0\0rows", "an Arrow file", "write it as Parquet"),
        (b"rows", None, None),
        (b"", None, None),
    ],
)
def test_what_is_no_table_is_told(tmp_path: Path, content: bytes, found: str | None, remedy: str | None) -> None:
    """Who clones a folder of the Hub without Git LFS has pointers in it."""
    (tmp_path / "a.parquet").write_bytes(content)
    with pytest.raises(InputError, match="not a Parquet file") as caught:
        parquet.refuse_others(str(tmp_path / "a.parquet"), "a list")
    assert (caught.value.found or "").startswith(found or "")
    assert (caught.value.remedy or "").startswith(remedy or "")
    assert (caught.value.found is None) == (found is None)
