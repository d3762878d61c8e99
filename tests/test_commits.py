"""Commits: the same rows give the same bytes, and a folder holds exactly what its `_stage.json` lists."""

from __future__ import annotations

from pathlib import Path

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pmd import commits, storage
from pmd.commits import Books, Commit, File
from pmd.errors import RootError
from pmd.schema.tables import IMAGES, VIEWS

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


def some(stage: str = "curate", *files: File) -> Commit:
    return Commit(stage, files, {"coco": Books(2, {"empty_text": 1})}, "0" * 32, {"pmd": "test"}, {"bits": 3})


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
        assert commits.parquet_bytes(chunked) == commits.parquet_bytes(whole)


@pytest.mark.parametrize(("schema", "rows"), [(VIEWS, VIEW_ROWS), (IMAGES, IMAGE_ROWS), (VIEWS, [])])
def test_a_table_is_read_as_it_was_written(schema: pa.Schema, rows: list[dict[str, object]], tmp_path: Path) -> None:
    table = pa.Table.from_pylist(rows, schema=schema)
    file = commits.put_table(str(tmp_path), "pairs/part", table)
    assert commits.read_table(str(tmp_path), file).equals(table)
    assert commits.read_table(str(tmp_path), file).schema.equals(schema)
    assert commits.read_table(str(tmp_path), file, ["image_id"]).column_names == ["image_id"]
    path = storage.join(str(tmp_path), file.name)
    assert pa.Table.from_batches(list(commits.iterate(path)), schema=schema).equals(table)
    assert file.rows == len(rows)
    assert file.bytes == storage.size(path)
    assert file.sha256 == commits.sha256(storage.read_bytes(path))
    assert file.name == f"pairs/part-{file.sha256[:16]}.parquet"


def test_row_groups_have_a_fixed_size(tmp_path: Path) -> None:
    table = pa.table({"x": pa.array(range(commits.ROW_GROUP_ROWS + 1), pa.int32())})
    file = commits.put_table(str(tmp_path), "part", table)
    parquet = pq.ParquetFile(tmp_path / file.name)
    assert [parquet.metadata.row_group(i).num_rows for i in range(parquet.num_row_groups)] == [
        commits.ROW_GROUP_ROWS,
        1,
    ]
    assert sum(batch.num_rows for batch in commits.iterate(str(tmp_path / file.name), ["x"])) == table.num_rows


def test_a_commit_is_read_as_it_was_written(tmp_path: Path) -> None:
    commit = some("curate", File("pairs/a", 3, 1, "ab"), File("rejected/b", 4, 2, "cd"))
    commits.write(str(tmp_path), commit)
    assert commits.read(str(tmp_path)) == commit
    assert commits.require(str(tmp_path), "run it") == commit
    assert [file.name for file in commit.under("pairs")] == ["pairs/a"]


def test_the_keys_of_a_commit_are_the_contract() -> None:
    content = orjson.loads(commits.to_json(some("curate", File("pairs/b", 3, 1, "ab"), File("pairs/a", 4, 2, "cd"))))
    assert content == {
        "stage": "curate",
        "files": [
            {"name": "pairs/a", "bytes": 4, "rows": 2, "sha256": "cd"},
            {"name": "pairs/b", "bytes": 3, "rows": 1, "sha256": "ab"},
        ],
        "sources": {"coco": {"in": 3, "kept": 2, "rejected": {"empty_text": 1}}},
        "hash": "0" * 32,
        "facts": {"bits": 3},
        "run": {"pmd": "test"},
    }


def test_a_commit_does_not_depend_on_the_order_of_its_parts() -> None:
    one, two = File("a", 1, 1, "aa"), File("b", 2, 2, "bb")
    first = Commit("s", (one, two), {"x": Books(1, {"p": 1, "q": 2}), "y": Books(2)}, "h", {})
    second = Commit("s", (two, one), {"y": Books(2), "x": Books(1, {"q": 2, "p": 1})}, "h", {})
    assert commits.to_json(first) == commits.to_json(second)


def test_committing_removes_what_is_not_listed(tmp_path: Path) -> None:
    folder = str(tmp_path / "shards")
    kept = commits.put_content(folder, "pairs/part", ".bin", b"kept", 1)
    commits.put_content(folder, "pairs/part", ".bin", b"of an older commit", 1)
    storage.put(storage.join(folder, f"pairs/{storage.TEMPORARY}killed"), b"half")
    commits.write(folder, some("curate", kept))
    assert storage.list_files(folder) == ["_stage.json", kept.name]


def test_a_sweep_leaves_other_commits_below_alone(tmp_path: Path) -> None:
    folder = str(tmp_path)
    storage.put(storage.join(folder, "source=wit", "_stage.json"), commits.to_json(some()))
    storage.put(storage.join(folder, "source=wit", "part"), b"")
    storage.put(storage.join(folder, "source=witless", "part"), b"")
    commits.write(folder, some())
    assert storage.list_files(folder) == ["_stage.json", "source=wit/_stage.json", "source=wit/part"]


def test_a_file_is_never_written_over(tmp_path: Path) -> None:
    first = commits.put_content(str(tmp_path), "part", ".bin", b"content", 1)
    before = (tmp_path / first.name).stat().st_mtime_ns
    assert commits.put_content(str(tmp_path), "part", ".bin", b"content", 1) == first
    assert (tmp_path / first.name).stat().st_mtime_ns == before


def test_of_two_generations_the_first_stands(tmp_path: Path) -> None:
    first, second = some("fetch", File("a", 1, 1, "aa")), some("fetch", File("b", 1, 1, "bb"))
    assert commits.write_if_absent(str(tmp_path), first)
    assert not commits.write_if_absent(str(tmp_path), second)
    assert commits.read(str(tmp_path)) == first


def test_nothing_committed_is_told_with_what_to_run(tmp_path: Path) -> None:
    assert commits.read(str(tmp_path)) is None
    with pytest.raises(RootError) as caught:
        commits.require(str(tmp_path), "run: pmd dedupe")
    assert str(caught.value) == (
        f"{tmp_path}: nothing is committed here\n  expected: _stage.json\n  remedy: run: pmd dedupe"
    )


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"{", "JSONDecodeError"),
        (b"null", "TypeError"),
        (b"[]", "TypeError"),
        (b"{}", "KeyError: 'stage'"),
        (b'{"stage": "x", "files": [{"name": "a"}], "sources": {}, "hash": "", "run": {}}', "TypeError"),
        (b'{"stage": "x", "files": [], "sources": [], "hash": "", "run": {}}', "AttributeError"),
        (b'{"stage": "x", "files": [], "sources": {"coco": {"in": 1}}, "hash": "", "run": {}}', "KeyError: 'kept'"),
    ],
)
def test_a_foreign_stage_file_is_told(content: bytes, found: str) -> None:
    with pytest.raises(RootError) as caught:
        commits.from_json(content, "out/curate/source=coco/_stage.json")
    text = str(caught.value)
    assert text.startswith(
        "out/curate/source=coco/_stage.json: not a commit of this version of pmd\n"
        "  expected: a JSON object with stage, files, sources, hash and run\n"
        f"  found: {found}"
    )
    assert text.endswith("remedy: remove the folder it stands in; the stage is then run again")


def test_books_add_up() -> None:
    one, two = Books(2, {"dead": 1, "dns": 3}), Books(5, {"dead": 4})
    assert one + two == Books(7, {"dead": 5, "dns": 3})
    assert (one + two).total == one.total + two.total == 15
    assert Books() + one == one
    assert Books().total == 0


def test_a_digest_is_of_what_is_committed() -> None:
    commit = some("curate", File("pairs/a", 3, 1, "ab"), File("rejected/b", 4, 2, "cd"))
    other_run = Commit(commit.stage, commit.files, commit.sources, "1" * 32, {"pmd": "other"}, commit.facts)
    other_rejected = some("curate", File("pairs/a", 3, 1, "ab"), File("rejected/b", 4, 2, "ce"))
    assert commit.digest() == other_run.digest()
    assert commit.digest() != other_rejected.digest()
    assert commit.digest("pairs") == other_rejected.digest("pairs")
    assert commits.options_hash({"a": 1, "b": 2}) == commits.options_hash({"b": 2, "a": 1})
