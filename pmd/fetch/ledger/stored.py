"""Stored pictures, read back: what the ledger says of them is checked before they are used.

A picture is had by one range read of its tar, so neither the tar's own digest nor its headers have been looked at. The
ledger's `stored_digest` decides. Ledgers of earlier versions have none: then the SHA-256 of the original decides where that is
what is stored, and only the length is known of a picture that was scaled.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

import numpy as np

from pmd.schema import keys
from pmd.store import sealed, shortage, storage

#: What a row must have for its picture to be found and judged.
COLUMNS: Final = ("store_file", "offset", "length", "stored_format", "stored_form", "sha256", "stored_digest")

#: The stored form in which the bytes are those that the host gave.
ORIGINAL: Final = "original"
#: … and that in which they are the picture encoded anew, in another size or not.
RESIZED: Final = "resized"


#: Bytes of a picture.
_Content = TypeVar("_Content", bytes, memoryview)


def mistake(content: bytes | memoryview, row: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return what the ledger says of a stored picture and what its bytes are, where the two differ; else None.

    Args:
        content: The bytes at its place.
        row: Of the ledger, or of whatever has `COLUMNS`.
    """
    if len(content) != row["length"]:
        return f"{row['length']} bytes", f"{len(content)} bytes"
    expected = row.get("stored_digest")
    if expected is not None:
        digest = keys.digest(content)
        return (f"digest {expected.hex()}", f"digest {digest.hex()}") if digest != expected else None
    if row["stored_form"] == ORIGINAL and row["sha256"] is not None:
        found = hashlib.sha256(content).digest()
        return (f"sha256 {row['sha256'].hex()}", f"sha256 {found.hex()}") if found != row["sha256"] else None
    return None


def reshaped(width: Any, height: Any, stored_width: Any, stored_height: Any) -> Any:
    """Return whether a picture is stored in another shape than it has: cut to a square, or with a border.

    Regions, which are fractions of the picture, are elsewhere in it then. What rounding to whole pixels changes is no other
    shape. Takes numbers, or arrays of them; where one is not a number, the answer is no.
    """
    return np.abs(stored_width * height - stored_height * width) > np.maximum(width, height)


def read(root_folder: str, row: Mapping[str, Any]) -> bytes:
    """Return the stored bytes of an ok row of the ledger, by one range read of its tar; for many there is `reading`.

    Raises:
        VerificationError: The tar is gone or too short, or the bytes are not those that were stored.
    """
    return checked(row, lambda: raw(root_folder, row))


def raw(root_folder: str, row: Mapping[str, Any]) -> bytes:
    """Return what is at the place of a stored picture, unchecked."""
    start = int(row["offset"])
    return storage.read_bytes(storage.join(root_folder, row["store_file"]), start, start + int(row["length"]))


def checked(row: Mapping[str, Any], get: Callable[[], _Content]) -> _Content:
    """Return the stored bytes of an ok row of the ledger, which a call gets.

    Raises:
        VerificationError: The tar is gone or too short, or the bytes are not those that were stored.
    """
    try:
        content = get()
    except FileNotFoundError:
        raise _damaged(row, "the store's file is gone", "no such file") from None
    except (OSError, ValueError) as error:  # a range behind the end, of some object stores; a sector that is lost
        if not shortage.tells_of_bytes(error):
            raise
        raise _damaged(row, "a stored picture cannot be read", str(error)) from None
    found = mistake(content, row)
    if found is not None:
        raise sealed.damaged(_where(row), "a stored picture is damaged", *found)
    return content


def _damaged(row: Mapping[str, Any], problem: str, found: str) -> Exception:
    return sealed.damaged(_where(row), problem, f"{row['length']} bytes", found)


def _where(row: Mapping[str, Any]) -> str:
    place = f"{row['length']} bytes from byte {row['offset']}"
    return f"{row['store_file']}: image {row['image_id'].hex()}, {place}"
