"""Rows of a SQLite database, read only and in ranges of an integer key: the open copy of YFCC100M is one.

That file is named ``yfcc100m_dataset.sql`` but is a database and no SQL text; the first bytes decide.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import sqlite3
import struct
import urllib.parse
from collections.abc import Iterator, Sequence
from typing import Any, Final

from pmd.errors import InputError
from pmd.formats.streams import FETCH_AGAIN, compression_of, read_head
from pmd.store import storage

#: First bytes of every SQLite 3 database (file format, section 1.3).
MAGIC: Final = b"SQLite format 3\0"

#: Names of columns, and SQLite's own words about damage, are taken for UTF-8 by the library.
_DAMAGE: Final = (sqlite3.DatabaseError, UnicodeDecodeError)
_HEADER_BYTES: Final = 100
#: SQLite's smallest integer.
_LEAST: Final = -(2**63)
#: First bytes of a rollback journal that is needed to undo a change that was broken off (file format, section 3).
_JOURNAL_MAGIC: Final = bytes.fromhex("d9d505f920a163d7")
_SQL_TEXT_HEAD_BYTES: Final = 4096
_SQL_STARTS: Final = (b"--", b"/*", b"BEGIN", b"CREATE", b"INSERT", b"PRAGMA", b"DROP", b"SET", b"USE", b"LOCK")


def is_sqlite(path: str) -> bool:
    """Return whether a file is a SQLite database, by its first 16 bytes.

    Raises:
        InputError: There is no such file.
    """
    with storage.open_raw(path) as file:
        return read_head(file, len(MAGIC)) == MAGIC


def id_ranges(path: str, table: str, key: str, parts: int) -> list[tuple[int, int | None]]:
    """Cut the keys of a table into ranges of equal width that `read_rows` can read alone.

    Equal widths are not equal numbers of rows, so `parts` should be several times the number of workers.

    Args:
        path: The database, on a local disk.
        table: Name of the table.
        key: Its integer primary key, so that the ends are found without reading the table.
        parts: How many ranges at most.

    Returns:
        Ranges [start, stop) in order that hold every key, the last without a stop; none for an empty table. Rows without a key
        belong to the first.

    Raises:
        InputError: As `read_rows`; also where the key is no integer.
    """
    with _reading(path, table) as connection:
        _require_columns(connection, path, table, [key])
        # Two statements: SQLite uses the index for min or max alone, and reads the whole table for both.
        first, last = (
            connection.execute(f"SELECT {end}({_quoted(key)}) FROM {_quoted(table)}").fetchone()[0]  # noqa: S608
            for end in ("min", "max")
        )
        empty = first is None and connection.execute(f"SELECT 1 FROM {_quoted(table)} LIMIT 1").fetchone() is None  # noqa: S608
    if empty:
        return []
    if first is None:  # no row has a key
        return [(_LEAST, None)]
    if not isinstance(first, int) or not isinstance(last, int):
        raise InputError(
            f"the key {key!r} of table {table!r} is not an integer",
            where=path,
            expected="integers",
            found=repr(first),
            remedy=FETCH_AGAIN,
        )
    span = last + 1 - first
    parts = max(1, min(parts, span))
    # From the very first: to look for a key in a damaged table may end behind rows, and rows would be missing unseen.
    cuts: list[Any] = [_LEAST, *(first + span * part // parts for part in range(1, parts))]
    # The last key may be SQLite's last number, so that none would stand after it.
    return list(itertools.pairwise([*cuts, None]))


def read_rows(
    path: str, table: str, columns: Sequence[str], key: str, start: int, stop: int | None, batch_rows: int
) -> Iterator[list[tuple[Any, ...]]]:
    """Yield the rows with start <= key < stop, in the order of the key.

    Args:
        path: The database, on a local disk.
        table: Name of the table.
        columns: Names of the columns wanted, in the order wanted.
        key: The integer primary key; in a table that somebody else has made, rows may lack it.
        start: First key. Rows without one come before all others of the first range.
        stop: End of the keys, exclusive; None means to the last.
        batch_rows: Rows in a list, at most.

    Yields:
        Lists of tuples of int, float, str, bytes or None; text that is not UTF-8 comes as bytes.

    Raises:
        InputError: The file is no database, cut short, damaged or not local, or lacks the table or a column.
    """
    with _reading(path, table) as connection:
        _require_columns(connection, path, table, [*columns, key])
        wanted = ", ".join(_quoted(column) for column in columns)
        whole = f"SELECT {wanted} FROM {_quoted(table)} WHERE"  # noqa: S608 - names are quoted
        within, values = f"{_quoted(key)} >= ?", [start]
        if stop is not None:
            within += f" AND {_quoted(key)} < ?"
            values.append(stop)
        statements: list[tuple[str, list[int]]] = [(f"{whole} {within} ORDER BY {_quoted(key)}", values)]
        if start == _LEAST and _may_lack(connection, table, key):
            statements.insert(0, (f"{whole} {_quoted(key)} IS NULL", []))
        done = 0
        since = "" if start == _LEAST else f" of those from {key} {start}"
        for statement, bounds in statements:
            cursor = connection.execute(statement, bounds)
            cursor.arraysize = batch_rows
            while rows := _fetch(cursor, f"{path}: table {table}, after {done} rows{since}"):
                done += len(rows)
                yield rows


def _fetch(cursor: sqlite3.Cursor, where: str) -> list[tuple[Any, ...]]:
    try:
        return cursor.fetchmany()
    except _DAMAGE as error:
        raise _damaged(where, error) from None


@contextlib.contextmanager
def _reading(path: str, table: str) -> Iterator[sqlite3.Connection]:
    """Open a database so that nothing is written or locked, not even a journal beside it."""
    if not storage.is_local(path):
        raise InputError(
            "a SQLite database can be read only from a local disk",
            where=path,
            remedy="copy it to one, and name the copy in the configuration",
        )
    _require_whole(path)
    _require_settled(path)
    address = "file:" + urllib.parse.quote(os.path.abspath(storage.filesystem(path)[1])) + "?mode=ro&immutable=1"
    try:
        with contextlib.closing(sqlite3.connect(address, uri=True)) as connection:
            connection.text_factory = _text
            yield connection
    except _DAMAGE as error:
        raise _damaged(f"{path}: table {table}", error) from None


def _text(value: bytes) -> str | bytes:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value


def _require_whole(path: str) -> None:
    """Raise unless a file is a database and as long as its header says (file format, sections 1.3.2 and 1.3.8)."""
    with storage.open_raw(path) as file:
        head = read_head(file, _SQL_TEXT_HEAD_BYTES)
    size = storage.size(path)
    if head[: len(MAGIC)] != MAGIC:
        raise _not_a_database(path, head)
    if len(head) >= _HEADER_BYTES:
        page_bytes = struct.unpack(">H", head[16:18])[0]
        page_bytes = 65536 if page_bytes == 1 else page_bytes
        change_counter, pages = struct.unpack(">II", head[24:32])
        # Old writers leave the number of pages as it was; it counts when this field was set with the last change.
        valid_for = struct.unpack(">I", head[92:96])[0]
        if not pages or change_counter != valid_for or size >= pages * page_bytes:
            return
        expected = f"{pages} pages of {page_bytes} bytes, {pages * page_bytes} in all"
    else:
        expected = f"a header of {_HEADER_BYTES} bytes"
    raise InputError(
        "the SQLite database is truncated",
        where=f"{path}:byte {size}",
        expected=expected,
        found=f"the end of the file after {size} bytes",
        remedy=FETCH_AGAIN,
    )


def _require_settled(path: str) -> None:
    """Raise where rows of a database are not in its file yet, or half a change is: another file beside it has the rest.

    A file that is opened without a lock, which cannot be written to, is read without them: rows would be missing unseen.
    """
    log, journal = f"{path}-wal", f"{path}-journal"
    if storage.exists(log) and storage.size(log):
        other, found = log, "changes that are not in the database yet"
    elif storage.exists(journal) and _starts_with(journal, _JOURNAL_MAGIC):
        other, found = journal, "a change that was broken off, and must be undone first"
    else:
        return
    raise InputError(
        "rows of the SQLite database are in another file beside it",
        where=path,
        expected="a database that nobody is writing to",
        found=f"{other}: {found}",
        remedy=f"end what writes to it, then: sqlite3 {path} 'PRAGMA wal_checkpoint(TRUNCATE)'",
    )


def _starts_with(path: str, magic: bytes) -> bool:
    with storage.open_raw(path) as file:
        return read_head(file, len(magic)) == magic


def _may_lack(connection: sqlite3.Connection, table: str, key: str) -> bool:
    """Return whether a row may have no key: not where it is the row's own number, which upstream's is."""
    for _, name, kind, _, _, primary in connection.execute(f"PRAGMA table_info({_quoted(table)})"):
        if str(name).lower() == key.lower():
            return not (primary and str(kind).upper() == "INTEGER")
    return False


def _not_a_database(path: str, head: bytes) -> InputError:
    if head.lstrip().upper().startswith(_SQL_STARTS):
        found, remedy = "SQL text", f"load it into a database: sqlite3 yfcc100m.sqlite < {path}, and name that"
    elif compression_of(head) != "plain":
        found, remedy = (
            f"{compression_of(head)} data",
            "decompress it first: a database cannot be read through compression",
        )
    else:
        found, remedy = repr(head[: len(MAGIC)]), "check the path in the configuration"
    return InputError("not a SQLite database", where=f"{path}:byte 0", expected=repr(MAGIC), found=found, remedy=remedy)


def _require_columns(connection: sqlite3.Connection, path: str, table: str, columns: Sequence[str]) -> None:
    """Raise unless a table has these columns; SQLite takes a quoted name that it does not know for a string."""
    present = [str(row[1]) for row in connection.execute(f"PRAGMA table_info({_quoted(table)})")]
    if not present:
        tables = [str(row[0]) for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        raise InputError(
            f"the database has no table {table!r}",
            where=path,
            expected=table,
            found=", ".join(tables) or "no tables",
            remedy="check that this is the database that the configuration says it is",
        )
    known = {name.lower() for name in present}
    missing = [column for column in columns if column.lower() not in known]
    if missing:
        raise InputError(
            f"table {table!r} lacks columns",
            where=path,
            expected=", ".join(missing),
            found=", ".join(present),
            remedy="check that this is the database that the configuration says it is",
        )


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _damaged(where: str, error: Exception) -> InputError:
    return InputError(
        "the SQLite database cannot be read",
        where=where,
        expected="a whole database",
        found=str(error),
        remedy=FETCH_AGAIN,
    )
