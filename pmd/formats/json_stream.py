"""Values of JSON documents of any size, one at a time, and the values of JSON Lines.

Visual Genome's regions are one array of 700 MB of text, COCO's captions one object of 90 MB: the list that holds the
records is streamed, so that memory holds one record and not the document.

A document is cut by its structure alone: brackets, commas and colons outside strings, found over whole buffers. Each
value is then parsed by itself. One that cannot be parsed is one bad row (`Spoiled`), as in JSON Lines, and its neighbours are
read: bytes that are not UTF-8, half a surrogate pair, a number beyond a double, a thousand levels. NaN and the infinities, which
Python writes where pandas has no value, are null. Only where brackets, commas or quotation marks are wrong does the document
end: nobody could say what follows.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Collection, Iterator, Sequence
from typing import Any, Final, cast

import numpy as np
import numpy.typing as npt
import orjson

from pmd.errors import InputError
from pmd.formats import archives, encoding
from pmd.formats.compression import open_decompressed, sniff
from pmd.formats.lines import INVALID_UTF8, LineBatch
from pmd.formats.streams import FETCH_AGAIN

#: The longest value of a list. Records of upstream's are up to some 100 kB; what is longer is no list of records, and
#: its objects would take twenty times its bytes.
MAX_VALUE_BYTES: Final = 4 * 1024 * 1024
#: The deepest value: what is deeper could not be written again (orjson: 254 levels, of which readers add some).
MAX_DEPTH: Final = 200

_CHUNK_BYTES: Final = 1 << 18
_KEYS_SHOWN: Final = 8
_SHOWN_BYTES: Final = 20
_BLANK: Final = b" \t\r\n"
_QUOTE: Final = ord('"')
_CHECK: Final = "check that it is the annotation file that the configuration says it is"

_ESCAPE: Final = re.compile(rb"\\.", re.DOTALL)
#: A string, or one without an end: possessive, so that one without an end takes no more time.
_STRING: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+("?)', re.DOTALL)


def _table(values: dict[str, int]) -> npt.NDArray[np.int8]:
    table = np.zeros(256, np.int8)
    for sign, value in values.items():
        table[ord(sign)] = value
    return table


_IS_SIGN: Final = _table(dict.fromkeys("[]{},:", 1))
_DEEPER: Final = _table({"[": 1, "{": 1, "]": -1, "}": -1})


class NoListError(InputError):
    """A document that is JSON, and has no list where one is asked for."""


@dataclasses.dataclass(frozen=True, slots=True)
class Spoiled:
    """A value of a document that cannot be read, while its neighbours can.

    Attributes:
        raw: Its bytes.
        why: What is wrong; begins with `lines.INVALID_UTF8` where its bytes are not UTF-8.
    """

    raw: bytes
    why: str


def objects(path: str, name: str | None, *, member: str | None = None, expected: str) -> Iterator[tuple[int, Any]]:
    """Yield (index, value) for each value of a list, in the order of the document; `Spoiled` for one that is unreadable.

    Integers of up to 64 bits come as int, other numbers as float.

    Args:
        path: The file, plain or compressed.
        name: Key of the list in the document's object, or None where the document is the list. Two lists under one key
            are read as one.
        member: A member of an archive.
        expected: What the document should be, for people: "COCO captions: an object with a list `annotations`".

    Raises:
        NoListError: The document has no such list; an empty one is no error.
        InputError: It is truncated, has a hole, is not JSON, is followed by something else, or has a value over
            `MAX_VALUE_BYTES`; names the byte. Values before the damage have been yielded by then.
    """
    for _, index, value in objects_of(path, [name], member=member, expected=expected):
        yield index, value


def objects_of(
    path: str,
    names: Sequence[str | None],
    *,
    member: str | None = None,
    expected: str,
    optional: Collection[str] = (),
) -> Iterator[tuple[Any, int, Any]]:
    """Yield (name, index, value) for the values of several lists, reading the file once.

    Arguments and errors are those of `objects`; the lists that are `optional` need not be there.
    """
    document = _Document(names, _Origin(path, member, expected), optional)
    with open_decompressed(path, member) as file:
        while chunk := file.read(_CHUNK_BYTES):
            yield from document.feed(chunk)
    document.finish()


def parse_json_lines(batch: LineBatch) -> Iterator[tuple[int, Any | None, str | None]]:
    """Yield (line of the batch, value, None) for each line, or (line, None, why) for one that is not JSON.

    The reason of a line whose bytes are not UTF-8 begins with `lines.INVALID_UTF8`.

    Args:
        batch: The lines.
    """
    for index, line in enumerate(batch.lines.to_pylist()):
        value = parsed_without_nan(line)
        if isinstance(value, Spoiled):
            yield index, None, value.why
        else:
            yield index, value, None


def _parsed(raw: bytes) -> Any:
    """Return the value that some bytes are, or `Spoiled`."""
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        return Spoiled(raw, _why_not_json(raw, error))
    # More levels than opening brackets there cannot be.
    if raw.count(b"[") + raw.count(b"{") > MAX_DEPTH and _depth(raw) > MAX_DEPTH:
        return Spoiled(raw, _TOO_DEEP)
    return value


def parsed_without_nan(raw: bytes) -> Any:
    """Return the value that some bytes are, with null for NaN and Infinity, or `Spoiled`."""
    value = _parsed(raw)
    if not isinstance(value, Spoiled) or value.why == _TOO_DEEP or not (b"NaN" in raw or b"Infinity" in raw):
        return value
    try:
        # Python's own reader takes more than these words: what orjson writes again it has read, too.
        found = _parsed(orjson.dumps(json.loads(raw, parse_constant=lambda _: None)))
    except (ValueError, TypeError, RecursionError):
        return value
    return dataclasses.replace(found, raw=raw) if isinstance(found, Spoiled) else found


_TOO_DEEP: Final = f"nested deeper than {MAX_DEPTH} levels"


def _depth(raw: bytes) -> int:
    """Return how deep a JSON value is nested."""
    outside = _STRING.sub(b"", raw)
    return int(np.cumsum(_DEEPER[np.frombuffer(outside, np.uint8)], dtype=np.int64).max(initial=0))


def _why_not_json(raw: bytes, error: orjson.JSONDecodeError) -> str:
    try:
        raw.decode()
    except UnicodeDecodeError as undecodable:
        return f"{INVALID_UTF8} at byte {undecodable.start}"
    return f"not JSON: {error.msg} at character {error.pos}" if raw.strip() else "not JSON: an empty line"


def _fault(raw: bytes) -> int | None:
    """Return the byte at which some bytes are no JSON value by their structure; None where what spoils them is within.

    Strings may hold anything, numbers may have any size; a value that is cut short ends at its last byte.
    """
    plain = _STRING.sub(_blanked, raw).decode("latin-1")
    try:
        json.loads(plain, parse_int=str, parse_float=str)  # NaN and the infinities too: what follows them is clear
    except json.JSONDecodeError as error:
        cut = error.msg.startswith("Unterminated string") or plain[error.pos :] in _BEGUN
        return len(raw) if cut else error.pos
    except RecursionError:  # brackets match, or the value would not have ended here
        return None
    return None


def _blanked(string: re.Match[bytes]) -> bytes:
    return b'"' + b"_" * (len(string[0]) - 1 - len(string[1])) + string[1]


#: A literal or a number that is cut short.
_BEGUN: Final = frozenset(word[:length] for word in ("true", "false", "null", "-") for length in range(1, 5))


@dataclasses.dataclass(frozen=True, slots=True)
class _Origin:
    """Where a document stands, and what it must be, as errors say it."""

    path: str
    member: str | None
    expected: str

    @property
    def label(self) -> str:
        """What the document is called."""
        return archives.location(self.path, self.member)

    def place(self, byte: int) -> str:
        """Return the place of a byte."""
        is_plain = self.member is not None or sniff(self.path) == "plain"
        return f"{self.label}:{'byte' if is_plain else 'decompressed byte'} {byte}"

    def around(self, byte: int) -> str:
        """Return what stands around a byte of the plain document."""
        left = max(byte - _SHOWN_BYTES, 0)
        with open_decompressed(self.path, self.member) as file:
            skipped = left
            while skipped and (chunk := file.read(min(skipped, _CHUNK_BYTES))):
                skipped -= len(chunk)
            return repr(file.read(2 * _SHOWN_BYTES))

    def error(
        self, problem: str, byte: int, found: str, remedy: str = FETCH_AGAIN, kind: type[InputError] = InputError
    ) -> InputError:
        """Return an error."""
        return kind(problem, where=self.place(byte), expected=self.expected, found=found, remedy=remedy)


@dataclasses.dataclass(slots=True)
class _Container:
    """A container that was entered: the document's own, or what its object has under a key.

    Attributes:
        is_list: Whether it is a list, else an object.
        name: Of a list whose values are asked for, its name.
        is_wanted: Whether they are.
        key: Of an object, the key of the next value; None where there was none, or none that can be read.
        has_key: Whether a key and its colon were read.
        begun: Whether anything was read.
    """

    is_list: bool
    name: str | None = None
    is_wanted: bool = False
    key: str | None = None
    has_key: bool = False
    begun: bool = False


_Entry = tuple[str | None, int, Any]
_COMMAS: Final = re.compile(",+")
_NO_VALUE: Final = object()


class _Document:
    """A document on its way through: it is fed with bytes, and gives the values that are complete."""

    def __init__(self, names: Sequence[str | None], origin: _Origin, optional: Collection[str] = ()) -> None:
        self._origin = origin
        self._optional = optional
        self._counts = dict.fromkeys(names, 0)
        #: How deep the lists stand that are asked for: containers down to there are entered, deeper ones are values.
        self._level = 1 if None in names else 2
        self._within: list[_Container] = []
        self._kind: str | None = None  # what the document is
        self._keys: list[str] = []  # the first keys of its object
        self._kinds: dict[str | None, str] = {}  # what stands under each name; a list, where there is one
        self._closed = False  # the last value was a container that was entered
        self._data = b""  # what was read and is in no complete value
        self._mark = 0  # the byte where it starts
        self._read = 0
        # Where the structure stands at the end of what was read.
        self._in_string = False
        self._in_escape = False
        self._depth = 0
        self._deepest = 0  # since where a value was last complete, at least

    def feed(self, chunk: bytes) -> Iterator[_Entry]:
        """Take bytes; yield (name, index, value) for each value of the lists that ends in them."""
        if not self._read:
            self._mark = self._read = encoding.mark_bytes(chunk[: encoding.HEAD_BYTES], self._origin.label)
            chunk = chunk[self._mark :]
        if (hole := encoding.hole_in(chunk)) is not None:
            raise encoding.hole(self._origin.place(self._read + hole))
        signs, places, depths = self._signs(chunk)
        start = self._mark
        data = self._data + chunk
        self._read += len(chunk)
        at = one_by_one = 0
        while at < len(signs):
            if signs[at] == "," and at >= one_by_one:
                # Values that commas part, and nothing else between: all of them in one call, if they can be read.
                one_by_one = cast(re.Match[str], _COMMAS.match(signs, at)).end()
                values = self._take_values(one_by_one - at, data[self._mark - start : places[one_by_one - 1] - start])
                if values is not None:
                    yield from self._entries(values)
                    self._mark = places[one_by_one - 1] + 1
                    at = one_by_one
                    continue
            if depths[at] < 0:
                raise self._not_json(places[at], data[self._mark - start : places[at] - start])
            yield from self._take(signs[at], places[at], data[self._mark - start : places[at] - start])
            at += 1
        self._data = data[self._mark - start :]
        if len(self._data) > MAX_VALUE_BYTES:
            raise self._endless()

    def _take(self, sign: str, at: int, text: bytes) -> Iterator[_Entry]:
        """Take a sign, and the bytes before it that no sign has ended."""
        if sign in "[{":
            self._enter(sign, at, text)
        elif not self._within:
            raise self._not_json(at, text)
        elif sign == ":":
            self._take_key(at, text)
        else:
            value = self._take_value(sign, at, text)
            if value is not _NO_VALUE:
                yield from self._entries([value])
            if sign != ",":
                self._leave(sign, at)
        self._mark = at + 1

    def _entries(self, values: Sequence[Any]) -> Iterator[_Entry]:
        """Yield values of the list that was entered last, where it is asked for."""
        inner = self._within[-1]
        if inner.is_wanted:
            count = self._counts[inner.name]
            self._counts[inner.name] += len(values)
            for index, value in enumerate(values, count):
                yield inner.name, index, value

    def finish(self) -> None:
        """Take the end of the file.

        Raises:
            InputError: The document is not complete, or has no such list.
        """
        rest = self._data.strip(_BLANK)
        if self._kind is None and rest and _fault(self._data) is None:
            self._kind, rest = "a single value", b""
        if self._kind is not None and not self._within and rest:
            raise self._not_json(self._mark, self._data)
        if self._kind is None or self._within:
            fault = None if self._closed or not rest else _fault(self._data)
            if fault is not None and fault < len(self._data.rstrip(_BLANK)):
                raise self._not_json(self._mark + fault, b"")
            raise self._origin.error(
                "the JSON document ends too early: the file is truncated" if self._read else "the file is empty",
                self._read,
                "the end of the file",
            )
        for name in self._counts:
            if self._kinds.get(name) != "a list" and not (name in self._optional and name not in self._kinds):
                raise self._no_list(name)

    def _signs(self, chunk: bytes) -> tuple[str, list[int], list[int]]:
        """Return the signs that are not within a value, the byte of each in the file, and the depth after it."""
        plain = chunk
        if self._in_escape:
            plain = b"_" + plain[1:]
        if b"\\" in plain:
            plain = _ESCAPE.sub(b"__", plain)
        self._in_escape = plain.endswith(b"\\")
        octets = np.frombuffer(plain, np.uint8)
        quotes = np.flatnonzero(octets == _QUOTE)
        at = np.flatnonzero(_IS_SIGN[octets])
        at = at[(np.searchsorted(quotes, at) + self._in_string) % 2 == 0]
        signs = octets[at]
        steps = _DEEPER[signs].astype(np.int64)
        after = self._depth + np.cumsum(steps)
        deepest = max(self._depth, int(after.max(initial=0)))
        # A value may have begun in the bytes before, or before those.
        self._deepest = max(deepest, self._deepest if self._data else 0)
        outside = (after < self._level) | ((after == self._level) & (steps >= 0))
        self._in_string ^= bool(len(quotes) % 2)
        self._depth = int(after[-1]) if len(after) else self._depth
        return signs[outside].tobytes().decode(), (at[outside] + self._read).tolist(), after[outside].tolist()

    def _take_values(self, count: int, text: bytes) -> list[Any] | None:
        """Return the values of a list that commas part; None where this is no list, or one of them cannot be read."""
        if not self._within or not self._within[-1].is_list or self._closed or self._deepest > MAX_DEPTH:
            return None
        try:
            values = orjson.loads(b"[" + text + b"]")
        except orjson.JSONDecodeError:
            return None
        if len(values) != count:
            return None
        self._within[-1].begun = True
        return cast(list[Any], values)

    def _enter(self, sign: str, at: int, text: bytes) -> None:
        """Enter a container, where a value may stand."""
        outer = self._within[-1] if self._within else None
        if text.strip(_BLANK) or self._closed or (outer is None and self._kind is not None):
            raise self._not_json(at, text)
        is_list = sign == "["
        kind = "a list" if is_list else "an object"
        name: str | None = None
        if outer is None:
            self._kind = kind
        elif outer.is_list:
            name = ""  # an element that is no row: of a document that is a list of lists
        elif outer.has_key:
            name = outer.key
        else:
            raise self._not_json(at, text)
        is_wanted = is_list and name in self._counts and len(self._within) == self._level - 1
        if name in self._counts and self._kinds.get(name) != "a list":
            self._kinds[name] = kind
        self._within.append(_Container(is_list, name if is_wanted else None, is_wanted))
        self._mark = at + 1

    def _leave(self, sign: str, at: int) -> None:
        """Leave a container."""
        if self._within.pop().is_list != (sign == "]"):
            raise self._not_json(at, b"")
        self._closed = bool(self._within)

    def _take_key(self, at: int, text: bytes) -> None:
        """Take a key of an object."""
        inner = self._within[-1]
        key = _parsed(text)
        is_string = isinstance(key, str) or (text.strip(_BLANK).startswith(b'"') and _fault(text) is None)
        if inner.is_list or inner.has_key or self._closed or not is_string:
            raise self._not_json(at, text)
        inner.key, inner.has_key, inner.begun = key if isinstance(key, str) else None, True, True
        if len(self._within) == 1 and isinstance(key, str) and len(self._keys) <= _KEYS_SHOWN:
            self._keys.append(key)

    def _take_value(self, sign: str, at: int, text: bytes) -> Any:
        """Take a value, which a comma or the end of its container ends; return it where it is asked for."""
        inner = self._within[-1]
        key, has_key, begun = inner.key, inner.has_key, inner.begun
        inner.key, inner.has_key, inner.begun = None, False, True
        if self._closed:
            self._closed = False
            if text.strip(_BLANK):
                raise self._not_json(at, text)
            return _NO_VALUE
        if not text.strip(_BLANK):
            if sign == "," or begun:
                raise self._not_json(at, b"")
            return _NO_VALUE
        if not inner.is_list and not has_key:
            raise self._not_json(at, text)
        value = parsed_without_nan(text)
        if isinstance(value, Spoiled):
            fault = _fault(text)
            if fault is not None:
                raise self._not_json(self._mark + fault, b"")
        if inner.is_wanted:
            return value
        if len(self._within) == 1 and key in self._counts:
            self._kinds.setdefault(key, "a single value")
        return _NO_VALUE

    def _not_json(self, at: int, text: bytes) -> InputError:
        """Return the error of a sign, or of what stands before it and is not blank."""
        if text.strip(_BLANK):
            at = self._mark + len(text) - len(text.lstrip(_BLANK))
        return self._origin.error("not valid JSON", at, self._origin.around(at), f"fetch the file again, or {_CHECK}")

    def _endless(self) -> InputError:
        fault = None if self._closed else _fault(self._data)
        if fault is not None and fault < len(self._data):
            return self._not_json(self._mark + fault, b"")
        return self._origin.error(
            f"a value is longer than {MAX_VALUE_BYTES} bytes",
            self._mark,
            f"no end of it in {len(self._data)} bytes",
            _CHECK,
        )

    def _no_list(self, name: str | None) -> InputError:
        if self._kind != "an object":
            found = str(self._kind)
        elif name is not None and name in self._kinds:
            found = f"{self._kinds[name]} at {name!r}"
        else:
            shown = ", ".join(map(repr, self._keys[:_KEYS_SHOWN])) + (", …" if len(self._keys) > _KEYS_SHOWN else "")
            found = f"an object with the keys {shown}" if shown else "an object without keys"
        return self._origin.error(
            f"no list at {name!r}" if name is not None else "the document is not a list",
            self._read if name is not None and self._kind == "an object" else 0,
            found,
            _CHECK,
            NoListError,
        )
