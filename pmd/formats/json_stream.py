"""Objects of JSON documents of any size, one at a time, and the objects of JSON Lines.

Visual Genome's regions are one array of 700 MB of text, COCO's captions one object of 90 MB: the list that holds the
records is streamed (ijson on yajl), so that memory holds one record and not the document.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any, Final

import ijson
import orjson

from pmd.errors import InputError
from pmd.formats.archives import MEMBER_SEPARATOR
from pmd.formats.compression import open_decompressed, sniff
from pmd.formats.lines import INVALID_UTF8, LineBatch

_CHUNK_BYTES: Final = 1 << 16
_ITEM: Final = "item"
_KEYS_SHOWN: Final = 8


def objects(path: str, prefix: str, *, member: str | None = None, expected: str) -> Iterator[tuple[int, Any]]:
    """Yield (index, value) for each value at a prefix, in the order of the document.

    Integers come as int, other numbers as float. A lone surrogate escape comes as "?".

    Args:
        path: The file, plain or compressed.
        prefix: Where the values stand, as ijson writes it: "item" for the elements of a top-level list,
            "annotations.item" for those of the list under a key.
        member: A member of an archive.
        expected: What the document should be, for people: "COCO captions: an object with a list `annotations`".

    Raises:
        InputError: The document is truncated, not JSON, followed by something else, or has no list at the prefix
            (an empty one is no error); names the byte. Values before the damage have been yielded by then.
    """
    for _, index, value in objects_of(path, [prefix], member=member, expected=expected):
        yield index, value


def objects_of(
    path: str, prefixes: Sequence[str], *, member: str | None = None, expected: str
) -> Iterator[tuple[str, int, Any]]:
    """Yield (prefix, index, value) for several prefixes, reading the file once.

    The values of one prefix come in the order of the document; those of different prefixes may change places within
    64 KiB of it. Arguments and errors are those of `objects`.
    """
    values = [ijson.sendable_list() for _ in prefixes]
    # One parser a prefix, each wholly in C, is faster than one whose events pass through Python.
    parsers = [ijson.items_coro(found, prefix, use_float=True) for found, prefix in zip(values, prefixes, strict=True)]
    counts = dict.fromkeys(prefixes, 0)
    read_bytes = 0
    with open_decompressed(path, member) as file:
        while chunk := file.read(_CHUNK_BYTES):
            for prefix, found, parser in zip(prefixes, values, parsers, strict=True):
                try:
                    parser.send(chunk)
                except ijson.JSONError as error:
                    raise _not_json(path, member, expected, read_bytes, str(error)) from None
                for value in found:
                    yield prefix, counts[prefix], value
                    counts[prefix] += 1
                found.clear()
            read_bytes += len(chunk)
    for parser in parsers:
        try:
            with contextlib.suppress(StopIteration):
                parser.send(b"")
        except ijson.JSONError as error:
            raise _ends_early(path, member, expected, read_bytes, str(error)) from None
    absent = [prefix for prefix in prefixes if not counts[prefix]]
    if absent:
        _require_lists(path, member, expected, read_bytes, absent)


def parse_json_lines(batch: LineBatch) -> Iterator[tuple[int, Any | None, str | None]]:
    """Yield (line of the batch, value, None) for each line, or (line, None, why) for one that is not JSON.

    The reason of a line whose bytes are not UTF-8 begins with `lines.INVALID_UTF8`.
    """
    for index, line in enumerate(batch.lines.to_pylist()):
        try:
            yield index, orjson.loads(line), None
        except orjson.JSONDecodeError as error:
            yield index, None, _why_not_json(line, error)


def _why_not_json(line: bytes, error: orjson.JSONDecodeError) -> str:
    try:
        line.decode()
    except UnicodeDecodeError as undecodable:
        return f"{INVALID_UTF8} at byte {undecodable.start}"
    return f"not JSON: {error.msg} at character {error.pos}" if line.strip() else "not JSON: an empty line"


def _require_lists(path: str, member: str | None, expected: str, read_bytes: int, prefixes: list[str]) -> None:
    """Tell empty lists from absent ones, with a second look at a document that gave no value."""
    containers = {prefix.removesuffix(_ITEM).removesuffix("."): prefix for prefix in prefixes}
    kinds: dict[str, str] = {}
    keys: list[str] = []
    with open_decompressed(path, member) as file:
        for where, event, value in ijson.parse(file, use_float=True):
            if where == "" and event == "map_key":
                keys.append(value)
            elif where in containers or where == "":
                kinds.setdefault(where, event)
    for container, prefix in containers.items():
        is_list = prefix == _ITEM or prefix.endswith("." + _ITEM)
        if kinds.get(container) == "start_array" or (not is_list and container in kinds):
            continue
        if kinds.get("") != "start_map":
            found = "a list" if kinds.get("") == "start_array" else "a single value"
        elif container in kinds and container:
            found = f"{_KINDS.get(kinds[container], 'a single value')} at {container!r}"
        else:
            shown = ", ".join(repr(key) for key in keys[:_KEYS_SHOWN]) + (", …" if len(keys) > _KEYS_SHOWN else "")
            found = f"an object with the keys {shown}" if keys else "an object without keys"
        raise InputError(
            f"no list at {container!r}" if container else "the document is not a list",
            where=_place(path, member, read_bytes if container and kinds.get("") == "start_map" else 0),
            expected=expected,
            found=found,
            remedy="check that this is the annotation file that the configuration says it is",
        )


_KINDS: Final = {"start_map": "an object", "start_array": "a list"}


def _not_json(path: str, member: str | None, expected: str, chunk_start: int, message: str) -> InputError:
    byte, found = _locate(path, member, chunk_start)
    return InputError(
        f"not valid JSON: {_first_line(message)}",
        where=_place(path, member, byte),
        expected=expected,
        found=found,
        remedy="fetch the file again, or check that it is the annotation file that the configuration says it is",
    )


def _ends_early(path: str, member: str | None, expected: str, read_bytes: int, message: str) -> InputError:
    return InputError(
        "the JSON document ends too early: the file is truncated" if read_bytes else "the file is empty",
        where=_place(path, member, read_bytes),
        expected=expected,
        found=f"the end of the file ({_first_line(message)})",
        remedy="fetch the file again: pmd manifests verify tells whether it is the published one",
    )


def _locate(path: str, member: str | None, chunk_start: int) -> tuple[int, str]:
    """Find the byte that makes a document invalid, which yajl does not tell: read it again, at last byte by byte."""
    parser = ijson.basic_parse_coro(_Nowhere(), use_float=True)
    with open_decompressed(path, member) as file:
        left = chunk_start
        while left:
            chunk = file.read(min(_CHUNK_BYTES, left))
            parser.send(chunk)
            left -= len(chunk)
        chunk = file.read(_CHUNK_BYTES)
    for index in range(len(chunk)):
        try:
            parser.send(chunk[index : index + 1])
        except ijson.JSONError:
            return chunk_start + index, repr(chunk[max(index - 20, 0) : index + 20])
    return chunk_start, repr(chunk[:40])


class _Nowhere:
    """A receiver of parse events that keeps none."""

    def send(self, event: object) -> None:
        """Forget an event."""


def _first_line(message: str) -> str:
    return message.removeprefix("b'").split("\\n")[0].split("\n")[0].rstrip(".")


def _place(path: str, member: str | None, byte: int) -> str:
    if member is not None:
        return f"{path}{MEMBER_SEPARATOR}{member}:byte {byte}"
    return f"{path}:{'byte' if sniff(path) == 'plain' else 'decompressed byte'} {byte}"
