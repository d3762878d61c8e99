"""SQLite: read only, in ranges of its key, and everything that is not a whole database is said to be."""

from __future__ import annotations

import gzip
import sqlite3
from pathlib import Path

import pytest

from pmd.errors import InputError
from pmd.formats.sqlite import id_ranges, is_sqlite, read_rows

TABLE = "yfcc100m_dataset"
IDS = [3, 7, 1000, 1001, 5_000_000_000, 9_999_999_999]


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "yfcc 100%m?.sql"
    connection = sqlite3.connect(path)
    connection.execute(f"CREATE TABLE {TABLE} (photoid INTEGER PRIMARY KEY, title TEXT, longitude REAL)")
    connection.executemany(
        f"INSERT INTO {TABLE} VALUES (?, ?, ?)", [(number, f"title {number} é", None) for number in reversed(IDS)]
    )
    connection.execute(f"UPDATE {TABLE} SET title = CAST(x'ff41' AS TEXT), longitude = 1.5 WHERE photoid = 1000")
    connection.commit()
    connection.close()
    return path


@pytest.mark.parametrize("parts", [1, 2, 3, 7, 1000])
def test_ranges_give_every_row_once(database: Path, parts: int) -> None:
    ranges = id_ranges(str(database), TABLE, "photoid", parts)
    assert len(ranges) <= parts
    rows = [
        row
        for start, stop in ranges
        for batch in read_rows(str(database), TABLE, ["photoid"], "photoid", start, stop, 2)
        for row in batch
    ]
    assert rows == [(number,) for number in IDS]


def test_rows_come_in_batches_of_columns_asked_for(database: Path) -> None:
    batches = list(read_rows(str(database), TABLE, ["longitude", "title"], "photoid", 4, None, 2))
    assert batches == [
        [(None, "title 7 é"), (1.5, b"\xffA")],
        [(None, "title 1001 é"), (None, "title 5000000000 é")],
        [(None, "title 9999999999 é")],
    ]


def test_nothing_is_written_beside_it(database: Path) -> None:
    before = database.read_bytes()
    list(read_rows(str(database), TABLE, ["photoid"], "photoid", 0, None, 10))
    assert [path.name for path in database.parent.iterdir()] == [database.name]
    assert database.read_bytes() == before


def test_an_empty_table_has_no_ranges(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "a") as connection:
        connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY)")
    connection.close()
    assert id_ranges(str(tmp_path / "a"), "t", "id", 4) == []


def test_content_decides(database: Path, tmp_path: Path) -> None:
    assert is_sqlite(str(database))
    other = tmp_path / "a.sqlite"
    other.write_bytes(b"SQLite format 2\0")
    assert not is_sqlite(str(other))


@pytest.mark.parametrize(
    ("content", "found", "remedy"),
    [
        (b"-- dump\nCREATE TABLE t (id INTEGER);\n", "SQL text", "load it into a database: sqlite3 yfcc100m.sqlite < "),
        (b"BEGIN TRANSACTION;\n", "SQL text", "load it into a database"),
        (gzip.compress(b"SQLite format 3\0", mtime=0), "gzip data", "decompress it first"),
        (b"", "b''", "check the path"),
        (b"1\t2\t3\n" * 100, "b'1\\t2", "check the path"),
    ],
)
def test_other_files_are_foreign(tmp_path: Path, content: bytes, found: str, remedy: str) -> None:
    path = tmp_path / "yfcc100m_dataset.sql"
    path.write_bytes(content)
    for call in (
        lambda: id_ranges(str(path), TABLE, "photoid", 2),
        lambda: list(read_rows(str(path), TABLE, ["photoid"], "photoid", 0, None, 2)),
    ):
        with pytest.raises(InputError, match="not a SQLite database") as caught:
            call()
        assert caught.value.where == f"{path}:byte 0"
        assert str(caught.value.found).startswith(found)
        assert str(caught.value.remedy).startswith(remedy)


def test_a_missing_file_table_or_column_is_named(database: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        id_ranges(str(database) + "x", TABLE, "photoid", 2)
    with pytest.raises(InputError, match="the database has no table 'photos'") as caught:
        id_ranges(str(database), "photos", "photoid", 2)
    assert caught.value.found == TABLE
    with pytest.raises(InputError, match="lacks columns") as caught:
        list(read_rows(str(database), TABLE, ["photoid", "hash"], "photoid", 0, None, 2))
    assert caught.value.expected == "hash"
    assert caught.value.found == "photoid, title, longitude"
    with pytest.raises(InputError, match="is not an integer"):
        id_ranges(str(database), TABLE, "title", 2)


@pytest.fixture
def large(tmp_path: Path) -> Path:
    path = tmp_path / "large.sql"
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA page_size = 1024")
    connection.execute(f"CREATE TABLE {TABLE} (photoid INTEGER PRIMARY KEY, title TEXT)")
    connection.executemany(f"INSERT INTO {TABLE} VALUES (?, ?)", [(number, "x" * 50) for number in range(3000)])
    connection.commit()
    connection.close()
    return path


def test_a_truncated_database_names_its_last_byte(large: Path) -> None:
    content = large.read_bytes()
    for length in (50, 1024, len(content) // 2, len(content) - 1):
        large.write_bytes(content[:length])
        with pytest.raises(InputError, match=rf"large\.sql:byte {length}: the SQLite database is truncated"):
            id_ranges(str(large), TABLE, "photoid", 2)


def test_a_damaged_page_is_an_error_after_the_rows_before_it(large: Path) -> None:
    content = bytearray(large.read_bytes())
    middle = len(content) // 2 // 1024 * 1024
    content[middle : middle + 1024] = b"\xee" * 1024
    large.write_bytes(content)
    read: list[int] = []
    batches = read_rows(str(large), TABLE, ["photoid"], "photoid", 0, None, 100)
    with pytest.raises(InputError, match=rf"table {TABLE}, after \d+ rows.*cannot be read"):
        read.extend(len(rows) for rows in batches)
    assert 0 < sum(read) < 3000


def test_the_last_number_that_a_key_may_be_is_read(tmp_path: Path) -> None:
    path = str(tmp_path / "a")
    keys = [-(2**63), 0, 2**63 - 1]
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY)")
        connection.executemany("INSERT INTO t VALUES (?)", [(key,) for key in keys])
    connection.close()
    for parts in (1, 2, 5):
        ranges = id_ranges(path, "t", "id", parts)
        rows = [row for cut in ranges for batch in read_rows(path, "t", ["id"], "id", *cut, 9) for row in batch]
        assert rows == [(key,) for key in keys]


def test_names_that_are_not_utf8_are_damage(database: Path) -> None:
    content = database.read_bytes()
    at = content.find(b"title", content.find(b"CREATE TABLE"))
    database.write_bytes(content[:at] + b"ti\xfftl"[:5] + content[at + 5 :])
    with pytest.raises(InputError):
        list(read_rows(str(database), TABLE, ["photoid", "title"], "photoid", 0, None, 10))


def test_rows_that_are_not_in_the_file_yet_are_not_left_out_unseen(database: Path) -> None:
    writer = sqlite3.connect(database)
    writer.execute("PRAGMA journal_mode = WAL")
    writer.execute(f"INSERT INTO {TABLE} VALUES (8, 'in the log alone', NULL)")
    writer.commit()
    with pytest.raises(InputError, match=r"(?s)another file beside it.*100%m\?\.sql-wal: changes.*wal_checkpoint"):
        id_ranges(str(database), TABLE, "photoid", 3)
    with pytest.raises(InputError, match="another file beside it"):
        list(read_rows(str(database), TABLE, ["photoid"], "photoid", 0, None, 10))
    writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # as the error advises
    assert len(next(read_rows(str(database), TABLE, ["photoid"], "photoid", 0, None, 10))) == len(IDS) + 1
    writer.close()


def test_a_change_that_was_broken_off_is_not_read_as_done(database: Path) -> None:
    journal = database.with_name(f"{database.name}-journal")
    journal.write_bytes(bytes.fromhex("d9d505f920a163d7") + bytes(500))
    with pytest.raises(InputError, match=r"(?s)another file beside it.*-journal: a change that was broken off"):
        id_ranges(str(database), TABLE, "photoid", 3)
    journal.write_bytes(bytes(512))  # how SQLite leaves one that is done with
    assert id_ranges(str(database), TABLE, "photoid", 3)


@pytest.mark.parametrize("keys", [[None, 5, None, 2], [None, None]])
def test_rows_without_a_key_are_read_too(tmp_path: Path, keys: list[int | None]) -> None:
    path = tmp_path / "by_pandas.sql"
    with sqlite3.connect(path) as connection:
        connection.execute(f"CREATE TABLE {TABLE} (photoid BIGINT, title TEXT)")
        connection.executemany(f"INSERT INTO {TABLE} VALUES (?, 'x')", [(key,) for key in keys])
    connection.close()
    rows = [
        row[0]
        for start, stop in id_ranges(str(path), TABLE, "photoid", 2)
        for batch in read_rows(str(path), TABLE, ["photoid"], "photoid", start, stop, 2)
        for row in batch
    ]
    assert rows == sorted(keys, key=lambda key: key or 0)
