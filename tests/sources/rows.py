"""Rows as tests of readers compare them."""

from __future__ import annotations

from typing import Any


def columns(rows: list[dict[str, Any]], *names: str) -> list[tuple[Any, ...]]:
    """Return some columns of rows, row by row."""
    return [tuple(row[name] for name in names) for row in rows]
