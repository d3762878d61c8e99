"""Rows of a SQLite database, read only (skeleton; being filled in)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any


def is_sqlite(path: str) -> bool:
    """Return whether a file is a SQLite database, by its first 16 bytes."""
    raise NotImplementedError


def id_ranges(path: str, table: str, key: str, parts: int) -> list[tuple[int, int]]:
    """Cut the keys of a table into at most `parts` ranges [start, stop); an empty table has none."""
    raise NotImplementedError


def read_rows(
    path: str, table: str, columns: Sequence[str], key: str, start: int, stop: int | None, batch_rows: int
) -> Iterator[list[tuple[Any, ...]]]:
    """Yield the rows with start <= key < stop in key order, as tuples of `columns`; text that is not UTF-8 comes as bytes."""
    raise NotImplementedError
