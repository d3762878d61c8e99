"""JSON records: where their documents stand, how fields are checked, how a record is kept as `meta` and digested.

Stands under every reader whose upstream is JSON (COCO, Visual Genome, Localized Narratives, RedCaps, SBU), so that a
missing key, a number out of range or a string "false" is judged and worded alike in all of them. It knows no source.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

import orjson
import pyarrow as pa

from pmd.errors import InputError
from pmd.formats import archives, compression, encoding, mistaken, parquet
from pmd.formats.json_stream import Spoiled
from pmd.formats.lines import INVALID_UTF8
from pmd.formats.streams import HEAD_BYTES as MAGIC_BYTES
from pmd.formats.streams import compression_of
from pmd.schema import keys
from pmd.sources.contract import DraftBuilder, InputFile
from pmd.store import storage

#: Bytes read to tell what a document is: the first records of every JSON form that the readers know are far shorter.
HEAD_BYTES: Final = 64 * 1024

#: Records looked at to tell whose a document is.
HEAD_RECORDS: Final = 100

#: What may stand before a document: JSON's white space.
BLANK: Final = b" \t\r\n"

#: What upstreams write where they know no id, in small letters.
NO_ID: Final = frozenset({"", "none", "null", "nan", "n/a", "na", "<na>", "undefined"})

#: What has no rows beside files that have, in folders and archives: what Spark, Hadoop, Dask, Databricks, the Hub and pmd itself
#: write there, and whoever publishes.
DESCRIBING: Final = re.compile(
    r"_SUCCESS|_stage\.json|_(?:common_)?metadata|_(?:committed|started)_[0-9]+|dataset_infos?\.json"
    r"|(?i:README|LICEN[CS]E|TERMS[_ -]?OF[_ -]?USE)(?:\.(?i:md|txt))?"
)

#: What packing adds to a name.
_PACKED: Final = re.compile(r"(?:\.(?:gz|bz2|xz|lzma|zst|zstd|zip))+$", re.IGNORECASE)
#: What a second download or a copy adds: wget's number, a query, a browser's number, desktops' and editors' words.
_AGAIN: Final = re.compile(
    r"\?.*$|^copy of |(?: ?\([0-9]{1,3}\)| (?:- )?copy(?: ?\(?[0-9]{1,3}\)?)?)(?=\.|$)|(?:\.(?:[0-9]{1,3}|bak|old|orig)|~)$",
    re.IGNORECASE,
)
_DIGITS: Final = re.compile("[1-9][0-9]{0,18}")
#: A whole number as text, as a CSV has every number, also where pandas has made a float of it.
_SPELLED: Final = re.compile(r"(-?[0-9]{1,20})(?:\.0)?")
_INT32_MAX: Final = 2**31 - 1
#: Whole numbers that JSON is read and written with.
_LEAST, _MOST = -(2**63), 2**64 - 1
#: Up to here every whole number is a float of its own.
_EXACT_MAX: Final = 2**53 - 1
#: How much of what was found an error shows.
_SHOWN_NAMES: Final = 5
_SHOWN_CHARACTERS: Final = 60
_SHOWN_KEYS: Final = 12


class Malformed(ValueError):
    """A field is missing or not what it should be; the text is the draft's `detail`. Never leaves a reader."""


def documents(
    files: Sequence[InputFile],
    wanted: str,
    *,
    expected: str,
    lone: bool = False,
    else_wanted: str | None = None,
    remedy: str = "check that it is the archive that the source's manifest names",
    all_have_rows: bool = True,
) -> list[tuple[str, str | None]]:
    """Return the documents of files as (path, member), sorted: a plain file is one, an archive holds those it names.

    Args:
        files: Files, or members spelled "a.zip!/member".
        wanted: Regular expression that the base name of an archive's member must match in whole.
        expected: What such a member is called, for the error.
        lone: Whether the only file of an archive may have any name.
        else_wanted: What the name must match in an archive without such a member.
        remedy: What to do about an archive that holds none.
        all_have_rows: Whether each document has rows of its own, so that one that is given twice is refused (`refuse_copies`).

    Raises:
        InputError: An archive holds no such member, or a document is given twice (`refuse_copies`).
    """
    listed: list[tuple[str, str | None]] = []
    for file in files:
        path, member = archives.split_member(file.path)
        if member is not None or not archives.is_archive(path):
            listed.append((path, member))
            continue
        names = [entry.name for entry in archives.members(path)]
        chosen = _named(names, wanted)
        if not chosen and else_wanted is not None:
            chosen = _named(names, else_wanted)
        if not chosen and lone and len(visible := _visible(names)) == 1:
            chosen = visible
        if not chosen:
            raise InputError(
                "the archive holds no annotation file of this source",
                where=path,
                expected=expected,
                found=", ".join([*names[:_SHOWN_NAMES], *(["…"] if len(names) > _SHOWN_NAMES else [])]) or "no files",
                remedy=remedy,
            )
        listed += [(path, name) for name in archives.each_once(path, chosen)]
    found = sorted(set(listed), key=lambda document: (document[0], document[1] or ""))
    if all_have_rows:
        refuse_copies(found)
    return found


def refuse_copies(documents: Iterable[tuple[str, str | None]]) -> None:
    """Refuse a document that is given twice: an archive and what came out of it, compressed and plain, or a copy elsewhere.

    Two are one where their names are, less folders and what packing and downloading again add, their first bytes, and their
    sizes where these are known. Copies under other names are rows of their own: who has two files with the same rows may mean it.

    Raises:
        InputError: Names both: each of their pairs would come twice.
    """
    alike: dict[str, list[tuple[str, str | None]]] = {}
    for path, member in documents:
        name = _AGAIN.sub("", re.split(r"[/\\]", member or path)[-1])
        alike.setdefault(_PACKED.sub("", name), []).append((path, member))
    for ones in alike.values():
        if len(ones) == 1:
            continue
        first: dict[bytes, list[tuple[str, int | None]]] = {}
        for path, member in ones:
            start, size = _start_and_size(path, member)
            place = archives.location(path, member)
            for other, size_of_other in first.setdefault(start, []):
                if start and (size is None or size_of_other is None or size == size_of_other):
                    raise InputError(
                        "one file twice, as a copy or packed and unpacked, so that each of its pairs would come twice",
                        where=place,
                        expected="each file once",
                        found=f"{other} begins with the same {len(start):,} bytes",
                        remedy="take one of the two out of `annotations`, or name the files one by one",
                    )
            first[start].append((place, size))


def _start_and_size(path: str, member: str | None) -> tuple[bytes, int | None]:
    """Return a document's first bytes, decompressed, and its size; None where only reading it would tell."""
    with compression.open_decompressed(path, member) as file:
        start = file.read(HEAD_BYTES)
    if len(start) < HEAD_BYTES:
        return start, len(start)
    if member is not None:
        of_member = archives.size_of(path, member)
        with archives.open_member(path, member) as packed:
            is_plain = compression_of(packed.read(MAGIC_BYTES)) == "plain"
        return start, of_member if is_plain else None
    return start, storage.size(path) if compression.sniff(path) == "plain" else None


def _named(names: Sequence[str], wanted: str) -> list[str]:
    # Some programs write ".TSV".
    return [name for name in _visible(names) if re.fullmatch(wanted, _base(name), re.IGNORECASE)]


def _visible(names: Sequence[str]) -> list[str]:
    """Return names but those of what has no rows, and of hidden files, which macOS puts beside each file of an archive."""
    return [name for name in names if not (_base(name).startswith(".") or DESCRIBING.fullmatch(_base(name)))]


def _base(name: str) -> str:
    """Return a name without its folders, between which some programs on Windows write backslashes."""
    return re.split(r"[/\\]", name)[-1]


def told_of(start: bytes) -> tuple[str, str] | None:
    """Return `mistaken.of_another`, also of what is no annotation file only where nothing else knows it: a page, a Parquet table.

    Args:
        start: Its first bytes, decompressed.
    """
    from pmd.manifests import integrity  # late: a build that has nothing to do reads no manifests

    if integrity.is_page(start):
        return integrity.A_PAGE, "download the file anew: a server has sent this in its place"
    if start.startswith(parquet.MAGIC):
        return (
            "a Parquet table",
            "give upstream's own file: docs/sources.md says which sources have mirrors that are read",
        )
    return mistaken.of_another(start)


def packed_twice(start: bytes) -> str | None:
    """Return what to do with a document that is still packed once it is unpacked; None where it is not.

    Args:
        start: Its first bytes, decompressed.
    """
    kind = compression_of(start[:MAGIC_BYTES])
    return (
        None
        if kind == "plain"
        else f"it is {kind} within another packing: unpack the outer one, and name what comes out"
    )


def of_lines(start: bytes) -> str | None:
    """Return what to do with lines that are none as they stand: packed twice, or without line feeds; None where they are neither.

    Args:
        start: Their first bytes, decompressed.
    """
    if (advice := packed_twice(start)) is not None:
        return advice
    if b"\r" in start and b"\n" not in start:
        return "its lines end with carriage returns alone; write line feeds: tr '\\r' '\\n' < FILE > NEW"
    return None


def head(path: str, member: str | None) -> bytes:
    """Return the first `HEAD_BYTES` of a document, decompressed, without a byte order mark.

    Raises:
        InputError: It is in UTF-16 or UTF-32.
    """
    with compression.open_decompressed(path, member) as file:
        return encoding.without_mark(file.read(HEAD_BYTES), archives.location(path, member))


def first(values: Iterator[tuple[int, Any]]) -> list[dict[str, Any]]:
    """Return the objects among the first values of a document's list: what tells whose it is."""
    return [value for _, value in itertools.islice(values, HEAD_RECORDS) if isinstance(value, dict)]


def foreign(
    path: str,
    member: str | None,
    *,
    expected: str,
    start: bytes = b"",
    found: str | None = None,
    problem: str = "not an annotation file of this source",
    remedy: str | None = None,
) -> InputError:
    """Return the error for a file that is none of the source's.

    Args:
        path: The file.
        member: Its member, if it is an archive.
        expected: What the source's files are.
        start: How it starts.
        found: What it is, where that is known.
        problem: What is wrong.
        remedy: What to do, where there is more to say than to look at the files.
    """
    shown = start[:_SHOWN_CHARACTERS].decode("utf-8", "replace") if start else "an empty file"
    what, advice = told_of(start) or (None, None)
    return InputError(
        problem,
        where=archives.location(path, member) + ":byte 0",
        expected=expected,
        found=what or found or shown,
        remedy=advice
        or remedy
        or packed_twice(start)
        or "check `annotations` in the configuration against the files that the source's manifest names",
    )


def keys_of(record: dict[str, Any]) -> str:
    """Return the keys of a record, as an error shows them."""
    names = sorted(record)
    return ", ".join(names[:_SHOWN_KEYS]) + (", …" if len(names) > _SHOWN_KEYS else "")


def batches(drafts: Iterable[dict[str, Any]]) -> Iterator[pa.RecordBatch]:
    """Yield drafts, given as columns by name, in batches of at most `DRAFT_ROWS`."""
    builder = DraftBuilder()
    for draft in drafts:
        builder.add(**draft)
        if builder.full():
            yield builder.take()
    if len(builder):
        yield builder.take()


def lost(record: Any, reason: str, detail: str, where: str) -> dict[str, Any]:
    """Return the draft of a record that yields no pair; it is keyed by the record's digest, or that of its bytes."""
    if isinstance(record, Spoiled):
        return unreadable(record.raw, record.why, where)
    return {"row_digest": row_digest(record), "reason": reason, "detail": detail, "where": where}


def unreadable(raw: bytes, why: str, where: str) -> dict[str, Any]:
    """Return the draft of a record that could not be parsed; `why` begins with `INVALID_UTF8` where it is no UTF-8."""
    reason = "bad_encoding" if why.startswith(INVALID_UTF8) else "malformed_row"
    return {"row_digest": keys.digest(raw), "reason": reason, "detail": why, "where": where}


def mapping(value: Any, name: str) -> dict[str, Any]:
    """Return a value that must be a JSON object."""
    if isinstance(value, Spoiled):
        raise Malformed(value.why)
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


def whole(value: Any) -> int | None:
    """Return a whole number, or None where a value is none; true and false are none.

    pandas makes floats of a column of numbers in which some are missing: 7.0 is 7, as long as a float tells all numbers apart.
    """
    if isinstance(value, float) and value.is_integer() and abs(value) <= _EXACT_MAX:
        return int(value)
    return value if type(value) is int else None


def digits(said: str) -> str | None:
    """Return the digits of a whole number that a text spells, also as "7.0"; None where it spells none."""
    spelled = _SPELLED.fullmatch(said)
    return None if spelled is None else spelled[1]


def spelled_whole(said: str) -> int | None:
    """Return the whole number that a text spells (`digits`); None where it spells none, or one beyond 64 bits."""
    spelled = digits(said)
    return int(spelled) if spelled is not None and _LEAST <= int(spelled) <= _MOST else None


def integer(record: dict[str, Any], key: str) -> int:
    """Return a whole number that must be there; see `whole`."""
    value = _required(record, key)
    if (number := whole(value)) is None:
        raise Malformed(f"{key}: expected a whole number, found {_kind(value)}")
    return number


def optional_integer(record: dict[str, Any], key: str) -> int | None:
    """Return a whole number, or None where the key is absent or null."""
    return None if record.get(key) is None else integer(record, key)


def is_no_id(value: Any) -> bool:
    """Return whether a value is what upstreams write where they know no id: null, 0, -1, any number below 1, "", "None".

    Taken for an id, it would make one image of all that have it.
    """
    if isinstance(value, str):
        said = value.strip().lower()
        return said in NO_ID or re.fullmatch(r"-[0-9.]+|0+(\.0*)?", said) is not None
    return value is None or (type(value) in (int, float) and not value >= 1)


def optional_id(record: dict[str, Any], key: str) -> int | None:
    """Return the number that somebody else's image or photo has, or None where there is none; see `is_no_id`.

    Some write ids as strings: "7" is 7.
    """
    value = record.get(key)
    if isinstance(value, str) and _DIGITS.fullmatch(value):
        return int(value)
    return None if is_no_id(value) else integer(record, key)


def items(record: dict[str, Any], key: str) -> list[Any]:
    """Return a list that must be there; it may be empty."""
    value = _required(record, key)
    if not isinstance(value, list):
        raise Malformed(f"{key}: expected a list, found {_kind(value)}")
    return value


def number(record: dict[str, Any], key: str) -> float:
    """Return a number that must be there, as a float."""
    value = _required(record, key)
    if type(value) not in (int, float):
        raise Malformed(f"{key}: expected a number, found {_kind(value)}")
    return float(value)


def pixels(record: dict[str, Any], key: str) -> int:
    """Return a width or height in pixels, 1…2³¹-1, that must be there."""
    value = integer(record, key)
    if not 1 <= value <= _INT32_MAX:
        raise Malformed(f"{key}: expected a size in pixels, found {value}")
    return value


def optional_pixels(record: dict[str, Any], key: str) -> int | None:
    """Return a width or height in pixels, or None where the key is absent, null or 0: a size that nobody knew."""
    return pixels(record, key) if optional_integer(record, key) else None


def meta(record: Any) -> str:
    """Return upstream's fields as compact JSON, in upstream's order of keys; a table's values that JSON has not are text."""
    return orjson.dumps(record, default=str).decode()


def canonical(record: Any) -> bytes:
    """Return a record as JSON with sorted keys: equal for equal records, whatever the order of their keys."""
    return orjson.dumps(record, default=str, option=orjson.OPT_SORT_KEYS)


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
    return shown if len(shown) <= _SHOWN_CHARACTERS else shown[:_SHOWN_CHARACTERS] + "…"
