"""Reads what is kept of requests: lines of JSON that pmd has written, and that a disk or a hand may have damaged since."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import orjson

from pmd.errors import VerificationError

Row = TypeVar("Row")


def lines(content: bytes, path: str, row_of: Callable[[Any], Row]) -> list[Row]:
    """Return the rows of a file of JSON lines.

    Args:
        content: The file's.
        path: The file.
        row_of: Makes a row of a line's object; whatever it lacks or has otherwise may raise as Python does.

    Raises:
        VerificationError: A line is none that pmd has written. What stands in it is not repeated: it may name people.
    """
    found = content.splitlines() or [b""]  # none is written that has no line: an empty one was cut short
    return [one(line, f"{path}:line {number}", row_of) for number, line in enumerate(found, start=1)]


def one(content: bytes, where: str, row_of: Callable[[Any], Row]) -> Row:
    """Return one object, as `lines` does."""
    try:
        return row_of(orjson.loads(content))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise VerificationError(
            "what is kept of takedown requests is damaged",
            where=where,
            expected="a JSON object, as pmd takedown has written it",
            found="something else",
            remedy="put the file back from a copy of this ROOT, or mend the line: nothing was changed",
        ) from None
