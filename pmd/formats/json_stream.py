"""Objects of huge JSON documents, one at a time (skeleton; being filled in)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from pmd.formats.lines import LineBatch


def objects(path: str, prefix: str, *, member: str | None = None, expected: str) -> Iterator[tuple[int, Any]]:
    """Yield (index, object) for each element at a prefix such as "item" or "annotations.item"."""
    raise NotImplementedError


def objects_of(
    path: str, prefixes: Sequence[str], *, member: str | None = None, expected: str
) -> Iterator[tuple[str, int, Any]]:
    """Yield (prefix, index, object) for several prefixes in one pass over the file."""
    raise NotImplementedError


def parse_json_lines(batch: LineBatch) -> Iterator[tuple[int, Any | None, str | None]]:
    """Yield (line index in the batch, value, None), or (index, None, error text) for a line that is not JSON."""
    raise NotImplementedError
