"""JSON records: where their documents stand, how fields are checked, how a record is kept as `meta` and digested.

Stands under every reader whose upstream is JSON (COCO, Visual Genome, Localized Narratives, RedCaps, SBU), so that a
missing key, a number out of range or a string "false" is judged and worded alike in all of them. It knows no source.
"""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Final

import orjson

from pmd import keys
from pmd.errors import InputError
from pmd.formats import archives, compression
from pmd.sources.contract import InputFile

#: Bytes read to tell what a document is: the first records of every JSON form that the readers know are far shorter.
HEAD_BYTES: Final = 64 * 1024

_INT32_MAX: Final = 2**31 - 1


class Malformed(ValueError):
    """A field is missing or not what it should be; the text is the draft's `detail`. Never leaves a reader."""


def documents(files: Sequence[InputFile], wanted: str, *, expected: str) -> list[tuple[str, str | None]]:
    """Return the documents of files as (path, member), sorted: a plain file is one, an archive holds those it names.

    Args:
        files: Files, or members spelled "a.zip!/member".
        wanted: Regular expression that the base name of an archive's member must match in whole.
        expected: What such a member is called, for the error.

    Raises:
        InputError: An archive holds no such member.
    """
    found: list[tuple[str, str | None]] = []
    for file in files:
        path, member = archives.split_member(file.path)
        if member is not None or not archives.is_archive(path):
            found.append((path, member))
            continue
        names = [entry.name for entry in archives.members(path)]
        chosen = [name for name in names if re.fullmatch(wanted, posixpath.basename(name))]
        if not chosen:
            raise InputError(
                "the archive holds no annotation file of this source",
                where=path,
                expected=expected,
                found=", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "") or "no files",
                remedy="check that it is the archive that the source's manifest names",
            )
        found += [(path, name) for name in chosen]
    return sorted(set(found), key=lambda document: (document[0], document[1] or ""))


def location(path: str, member: str | None) -> str:
    """Return how a document is named in `where` and in errors: "FILE" or "FILE!/MEMBER"."""
    return path if member is None else f"{path}{archives.MEMBER_SEPARATOR}{member}"


def head(path: str, member: str | None) -> bytes:
    """Return the first `HEAD_BYTES` of a document, decompressed."""
    with compression.open_decompressed(path, member) as file:
        return file.read(HEAD_BYTES)


def foreign(path: str, member: str | None, *, expected: str, start: bytes) -> InputError:
    """Return the error for a file that is none of the source's, showing how it starts."""
    return InputError(
        "not an annotation file of this source",
        where=location(path, member) + ":byte 0",
        expected=expected,
        found=start[:60].decode("utf-8", "replace") if start else "an empty file",
        remedy="check `annotations` in the configuration against the files that the source's manifest names",
    )


def mapping(value: Any, name: str) -> dict[str, Any]:
    """Return a value that must be a JSON object."""
    if not isinstance(value, dict):
        raise Malformed(f"{name}: expected an object, found {_kind(value)}")
    return value


def text(record: dict[str, Any], key: str) -> str:
    """Return a string that must be there; it may be empty."""
    value = _required(record, key)
    if not isinstance(value, str):
        raise Malformed(f"{key}: expected a string, found {_kind(value)}")
    return value


def optional_text(record: dict[str, Any], key: str) -> str | None:
    """Return a string, or None where the key is absent or null."""
    return None if record.get(key) is None else text(record, key)


def integer(record: dict[str, Any], key: str) -> int:
    """Return a whole number that must be there; true and false are none."""
    value = _required(record, key)
    if type(value) is not int:
        raise Malformed(f"{key}: expected a whole number, found {_kind(value)}")
    return value


def optional_integer(record: dict[str, Any], key: str) -> int | None:
    """Return a whole number, or None where the key is absent or null."""
    return None if record.get(key) is None else integer(record, key)


def number(record: dict[str, Any], key: str) -> float:
    """Return a number that must be there, as a float."""
    value = _required(record, key)
    if type(value) not in (int, float, Decimal):
        raise Malformed(f"{key}: expected a number, found {_kind(value)}")
    try:
        return float(value)
    except OverflowError:
        raise Malformed(f"{key}: expected a number, found {_kind(value)}") from None


def pixels(record: dict[str, Any], key: str) -> int:
    """Return a width or height in pixels, 1…2³¹-1, that must be there."""
    value = integer(record, key)
    if not 1 <= value <= _INT32_MAX:
        raise Malformed(f"{key}: expected a size in pixels, found {value}")
    return value


def optional_pixels(record: dict[str, Any], key: str) -> int | None:
    """Return a width or height in pixels, or None where the key is absent or null."""
    return None if record.get(key) is None else pixels(record, key)


def meta(record: Any) -> str:
    """Return upstream's fields as compact JSON, in upstream's order of keys."""
    return _dump(record, 0).decode()


def canonical(record: Any) -> bytes:
    """Return a record as JSON with sorted keys: equal for equal records, whatever the order of their keys."""
    return _dump(record, orjson.OPT_SORT_KEYS)


def row_digest(*records: Any) -> bytes:
    """Return the digest of everything that upstream says in a row: of its records, in this order."""
    return keys.digest(*(canonical(record) for record in records))


def _required(record: dict[str, Any], key: str) -> Any:
    if key not in record:
        raise Malformed(f"{key}: missing")
    return record[key]


def _kind(value: Any) -> str:
    """Return what a value is in JSON's words, with the value where it is short."""
    if value is None:
        return "null"
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    shown = meta(value)
    return shown if len(shown) <= 60 else shown[:60] + "…"


def _dump(record: Any, option: int) -> bytes:
    try:
        return orjson.dumps(record, default=_plain, option=option)
    except TypeError:
        # orjson has no integers beyond 64 bits; JSON has.
        return json.dumps(
            record, default=_plain, ensure_ascii=False, separators=(",", ":"), sort_keys=bool(option)
        ).encode("utf-8", "backslashreplace")


def _plain(value: Any) -> float:
    """Return a number that the streaming parser gave as a decimal; any other type is our mistake."""
    if isinstance(value, Decimal):
        return float(value)
    raise TypeError(f"not JSON: {type(value).__name__}")
