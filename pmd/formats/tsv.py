"""Tab-separated text in its two dialects: unquoted (CC3M, CC12M, YFCC100M) by columns, quoted (WIT) row by row.

They cannot be told apart by looking, and mixing them up loses rows silently: a caption that begins with a quotation
mark would swallow what follows. So the caller says which it is.
"""

from __future__ import annotations

import csv
import dataclasses
import functools
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import BinaryIO, Final, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import xxhash

from pmd.errors import InputError
from pmd.formats import archives, encoding
from pmd.formats.compression import open_decompressed, sniff
from pmd.formats.lines import INVALID_UTF8, MAX_LINE_BYTES, every_other

#: The longest row of quoted text: a stray quotation mark makes one row of all that follows, line by line, and its parts
#: take twenty times its bytes. WIT's rows are some kilobytes.
MAX_ROW_BYTES: Final = 8 * 1024 * 1024
#: A longer one is passed over up to here, and lost alone. Beyond, too many rows could have vanished in it behind a stray mark.
MAX_PASSED_BYTES: Final = MAX_LINE_BYTES

#: Bytes that are kept of a row that is passed over.
_SHOWN_BYTES: Final = 4096
#: Bytes of a line that are read at once where its row is passed over.
_PART_BYTES: Final = 1 << 20
_QUOTE: Final = ord('"')
#: A carriage return that is no part of a line's end, and what stands for it: a number that is no character.
_RETURN_ALONE: Final = re.compile(r"\r(?!\n|\Z)")
_STAND_IN: Final = "\ufdd0"
#: What stands within quotes, doubled ones among it: by one call, since a field may be nothing but these.
_WITHIN_QUOTES: Final = re.compile(rb'(?:[^"]++|"")*+')
#: How pandas calls the numbers of rows: when it writes them, and once it has read that.
_UNNAMED: Final = ("", "unnamed: 0")
#: Rows as a csv writer writes them, which quotes each field with a quotation mark, or a new line, in it, and no field with a tab
#: is among them: without quoting, a field that begins with a mark would reach to one that ends with one, over tabs.
_QUOTED_ROWS: Final = re.compile(rb'(?:(?:"(?:[^"\t]++|"")*+"\r?|[^"\t\n]*+)[\t\n])*+')
#: What no field without quoting looks like: one in quotes with doubled ones, or a new line, in it.
_QUOTED_FIELD: Final = re.compile(rb'(?:\A|[\t\n])"[^"\t\n]*+(?:""|\n)')
#: An address in quotes, which none has without quoting: of a writer that quotes every field, as R does.
_QUOTED_ADDRESS: Final = re.compile(rb'(?:\A|\t)"https?://[^"\t]*"(?:\t|\r?\Z)', re.IGNORECASE)
#: Lines looked at for addresses.
_LINES: Final = 20
#: Why a row is none of which Spark and others have escaped quotation marks as programming languages do: read as csv, they and a
#: backslash stay in the text, and what follows moves.
ESCAPED: Final = "a quotation mark within quotes has a backslash before it, and is not doubled"
_OPEN_AT_END: Final = "a quoted field is not closed: the file is truncated, or not quoted"


class SplitColumns:
    """Lines cut into fields.

    Attributes:
        fields: Number of fields of each line.
        valid_count: Whether the number of fields is one of those asked for, for each line.
        invalid_utf8: Whether the line is not UTF-8, for each line.
        good: Indices of the lines that have the right count and are UTF-8, ascending.
        bad: Indices of the others, ascending.
    """

    def __init__(
        self,
        data: npt.NDArray[np.uint8],
        offsets: npt.NDArray[np.int64],
        separators: npt.NDArray[np.int64],
        counts: Sequence[int],
    ) -> None:
        self._data = data
        self._offsets = offsets
        # A field that a short line does not have may lie past the last separator; what it finds there is not used.
        self._separators = np.append(separators, np.zeros(max(counts) + 1, np.int64))
        self._parted = len(separators)
        self._most = max(counts)
        self._first = np.searchsorted(separators, offsets)  # each line's first separator
        self.fields: npt.NDArray[np.int64] = np.diff(self._first) + 1
        self.valid_count: npt.NDArray[np.bool_] = np.isin(self.fields, list(counts))
        self.invalid_utf8: npt.NDArray[np.bool_] = _invalid_utf8(data, offsets)
        passed = self.valid_count & ~self.invalid_utf8
        self.good: npt.NDArray[np.int64] = np.flatnonzero(passed)
        self.bad: npt.NDArray[np.int64] = np.flatnonzero(~passed)

    def column(self, index: int, lines: npt.NDArray[np.int64] | None = None) -> pa.LargeStringArray:
        """Return field `index` (from 0) of good lines, null where a line has fewer; cut out when asked for.

        Args:
            index: Which field.
            lines: The lines' indices, all of them good; by default `good`.
        """
        chosen = self.good if lines is None else lines
        if not len(chosen):
            return pa.array([], pa.large_string())
        index = min(index, self._most)  # no good line has that one
        fields, first = self.fields[chosen], self._first[chosen]
        starts = self._offsets[chosen] if index == 0 else self._separators[first + index - 1] + 1
        if (fields > index + 1).all():  # nearly always: all lines have as many fields
            missing, ends = None, self._separators[first + index]
        else:
            missing, line_ends = fields <= index, self._offsets[chosen + 1]
            ends = np.where(fields <= index + 1, line_ends, self._separators[first + index])
            starts = np.where(missing, line_ends, starts)
        # Fields and what lies between them are alternate values over the buffer: one gather copies only the fields.
        bounds = np.empty(2 * len(chosen), np.int64)
        bounds[0::2], bounds[1::2] = starts, ends
        pieces = pa.LargeBinaryArray.from_buffers(
            pa.large_binary(), len(bounds) - 1, [None, pa.py_buffer(bounds), pa.py_buffer(self._data)]
        )
        present = None
        if missing is not None and missing.any():
            present = pa.py_buffer(np.packbits(~missing, bitorder="little"))
        evens = pa.py_buffer(np.arange(0, len(bounds), 2))
        return pieces.take(pa.Array.from_buffers(pa.int64(), len(chosen), [present, evens])).view(pa.large_string())

    def without(self, fields: Sequence[int], lines: npt.NDArray[np.int64]) -> pa.LargeBinaryArray:
        """Return lines less some of their fields, and the separator after each of these.

        Args:
            fields: Which, ascending; none is a line's last.
            lines: The lines' indices, ascending; all have these fields, good or not.
        """
        if not len(lines):
            return pa.array([], pa.large_binary())
        first = self._first[lines]
        # Of each line, what stays and what goes by turns: it begins and ends with something that stays, if it is nothing.
        bounds = np.empty((len(lines), 2 * len(fields) + 2), np.int64)
        bounds[:, 0], bounds[:, -1] = self._offsets[lines], self._offsets[lines + 1]
        for at, field in enumerate(fields):
            bounds[:, 2 * at + 1] = self._separators[first + field - 1] + 1 if field else bounds[:, 0]
            bounds[:, 2 * at + 2] = self._separators[first + field] + 1
        pieces = every_other(self._data, bounds.ravel())
        _, offsets, data = pieces.buffers()
        ends = np.frombuffer(offsets, np.int64)[: len(pieces) + 1 : len(fields) + 1]
        return pa.LargeBinaryArray.from_buffers(
            pa.large_binary(), len(lines), [None, pa.py_buffer(np.ascontiguousarray(ends)), data]
        )

    def joined(
        self,
        before: Sequence[bytes],
        behind: Sequence[bytes],
        which: npt.NDArray[np.int64],
        lines: npt.NDArray[np.int64],
    ) -> pa.LargeStringArray:
        """Return lines with words in place of their separators: all by one gather, without cutting a field out.

        Args:
            before: What stands before each of the fields, of which the lines have as many.
            behind: What may stand behind the last one.
            which: Which of these does, for each line.
            lines: The lines' indices, ascending; all good.
        """
        fields = len(before)
        bounds = np.empty((len(lines), 2 * fields), np.int64)  # fields and what parts them, by turns
        bounds[:, 0], bounds[:, -1] = self._offsets[lines], self._offsets[lines + 1]
        separators = self._separators[self._first[lines][:, None] + np.arange(fields - 1)]
        bounds[:, 1:-1:2], bounds[:, 2:-1:2] = separators, separators + 1
        words = [*before, *behind]
        # The words stand behind the lines, and are values of the same array.
        data = np.concatenate([self._data, np.frombuffer(b"".join(words), np.uint8)])
        ends = len(self._data) + np.cumsum([0, *map(len, words)])
        all_bounds = np.concatenate([bounds.ravel(), ends])
        pieces = pa.LargeBinaryArray.from_buffers(
            pa.large_binary(), len(all_bounds) - 1, [None, pa.py_buffer(all_bounds), pa.py_buffer(data)]
        )
        order = np.empty((len(lines), 2 * fields + 1), np.int64)
        order[:, 0:-1:2] = bounds.size + np.arange(fields)
        order[:, 1::2] = np.arange(0, bounds.size, 2).reshape(order[:, 1::2].shape)
        order[:, -1] = bounds.size + fields + which
        taken = pieces.take(pa.Array.from_buffers(pa.int64(), order.size, [None, pa.py_buffer(order)]))
        _, offsets, content = taken.buffers()
        every = np.frombuffer(offsets, np.int64)[: order.size + 1 : order.shape[1]]
        return pa.LargeStringArray.from_buffers(len(lines), pa.py_buffer(np.ascontiguousarray(every)), content)

    def quoted(self, lines: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Return which lines have a byte in a field that JSON writes otherwise: control characters, quotation marks, backslashes.

        Args:
            lines: The lines' indices.
        """
        odd = self._data < ord(" ")
        odd[self._separators[: self._parted]] = False
        odd |= self._data == ord('"')
        odd |= self._data == ord("\\")
        found = np.zeros(len(self.fields), np.bool_)
        found[np.searchsorted(self._offsets, np.flatnonzero(odd), "right") - 1] = True
        return found[lines]

    @property
    def columns(self) -> list[pa.LargeStringArray]:
        """Return every column of the good lines, as many as the longest of them has."""
        width = int(self.fields[self.good].max()) if len(self.good) else 0
        return [self.column(index) for index in range(width)]


def split_columns(lines: pa.LargeBinaryArray, *, columns: Sequence[int], most: int | None = None) -> SplitColumns:
    """Cut lines at every tab, without quoting of any kind.

    Args:
        lines: Lines without their ends, as `lines.read_lines` gives them; no nulls.
        columns: The numbers of fields that a good line may have.
        most: How many fields a line is cut into at most: the last has what is left, tabs among it. None: any number.
    """
    _, offsets_buffer, data_buffer = lines.buffers()
    if offsets_buffer is None or not len(lines):
        offsets = np.zeros(1, np.int64)
    else:
        offsets = np.frombuffer(offsets_buffer, np.int64)[lines.offset : lines.offset + len(lines) + 1]
    data = np.frombuffer(data_buffer or b"", np.uint8)[offsets[0] : offsets[-1]]
    separators = np.flatnonzero(data == ord("\t"))
    if most is not None:
        first = np.searchsorted(separators, offsets - offsets[0])
        of_line = np.searchsorted(first, np.arange(len(separators)), "right") - 1
        separators = separators[np.arange(len(separators)) - first[of_line] < most - 1]
    return SplitColumns(data, offsets - offsets[0], separators, columns)


def header(line: bytes, known: Mapping[str, str]) -> tuple[str, ...] | None:
    """Return what the columns of a file are, where its first line is a header: one of which every cell is a known name.

    The first of several may have none, as where pandas writes the numbers of the rows: it is called "index".

    Args:
        line: The line.
        known: Name, in small letters → column.
    """
    cells = [cell.strip().lower() for cell in line.decode("utf-8", "replace").split("\t")]
    if len(cells) > 1 and cells[0] in _UNNAMED:
        return None if (others := header(line.partition(b"\t")[2], known)) is None else ("index", *others)
    return tuple(known[cell] for cell in cells) if all(cell in known for cell in cells) else None


def is_quoted(start: bytes) -> bool:
    """Return whether a table parted by tabs is quoted as csv does, so that its quotation marks are no part of its texts.

    Args:
        start: Its first bytes, of which the last line may be cut.
    """
    if _has_quoted_addresses(start):
        return True
    whole = _QUOTED_ROWS.match(start)
    assert whole is not None
    # What is left is the line that is cut; more, where a mark stands that no csv writer would have written.
    return b"\t" not in start[whole.end() :] and _QUOTED_FIELD.search(whole[0]) is not None


def _has_quoted_addresses(start: bytes) -> bool:
    """Return whether the first lines have an address in quotes each, but for one that may be the names of the columns."""
    lines = [line for line in start.split(b"\n", _LINES)[:_LINES] if line.strip()]
    rows = lines[1:] or lines
    return bool(rows) and all(map(_QUOTED_ADDRESS.search, rows[:-1] or rows))  # the last may be cut


def _invalid_utf8(data: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Return for each value whether it is not UTF-8; halves what fails until the single values are known."""
    values = pa.LargeStringArray.from_buffers(
        len(offsets) - 1, pa.py_buffer(np.ascontiguousarray(offsets)), pa.py_buffer(data)
    )
    invalid = np.zeros(len(values), np.bool_)
    todo = [(0, len(values))]
    while todo:
        start, stop = todo.pop()
        try:
            values.slice(start, stop - start).validate(full=True)
        except pa.ArrowInvalid:
            if stop - start == 1:
                invalid[start] = True
            else:
                middle = (start + stop) // 2
                todo += [(start, middle), (middle, stop)]
    return invalid


@dataclasses.dataclass(frozen=True, slots=True)
class CsvRow:
    """One row of quoted text.

    Attributes:
        line: Physical line where it starts, from 1.
        byte: Byte of the decompressed file where it starts.
        fields: Its fields, unquoted; empty for an empty line, and where there is an error.
        raw: Its bytes without the last line end; of one over `MAX_ROW_BYTES` the first of them, and a digest of all.
        error: Why it could not be read, else None; of bytes that are not UTF-8 it begins with `lines.INVALID_UTF8`.
    """

    line: int
    byte: int
    fields: list[str]
    raw: bytes
    error: str | None


def read_csv(path: str, *, member: str | None = None, delimiter: str = "\t") -> Iterator[CsvRow]:
    """Yield every row, a header included, of text quoted as Python's `csv` does it by default.

    A quotation mark opens only at the start of a field, is doubled within, and newlines within are part of the field.
    Lines end in a newline, with a carriage return before it or not. A carriage return alone is a character like others,
    outside quotes too; so is NUL. A byte order mark at the start of the file is no part of the first row. A row whose marks
    are escaped by backslashes is an error (`ESCAPED`).

    A row over `MAX_ROW_BYTES` is passed over, and an error of its own.

    Raises:
        InputError: A quote is open at the end of the file, or a row is over `MAX_PASSED_BYTES`: names the byte and the
            line where the quote opened. Also for damaged compressed data.
    """
    # The limit belongs to the process; it is raised and never lowered, and the bound that counts is our own, on rows.
    csv.field_size_limit(max(csv.field_size_limit(), MAX_ROW_BYTES))
    label = archives.location(path, member)
    word = "byte" if member is not None or sniff(path) == "plain" else "decompressed byte"
    with open_decompressed(path, member) as file:
        feed = _RowFeed(file, label, word, delimiter)
        reader = csv.reader(feed, delimiter=delimiter)
        while True:
            feed.begin_row()
            error = None
            try:
                try:
                    fields = next(reader)
                except csv.Error:
                    fields, error = _with_returns(feed, delimiter)
            except StopIteration:
                return
            except _TooLong:
                yield feed.pass_over()
                continue
            feed.require_closed()
            if error is None and _is_escaped(feed.row, delimiter):
                fields, error = [], ESCAPED
            if feed.undecodable is not None:
                fields, error = [], f"{INVALID_UTF8} at byte {feed.undecodable} of the row"
            yield CsvRow(feed.first_line, feed.first_byte, fields, _without_line_end(b"".join(feed.row)), error)


def _is_escaped(row: Sequence[bytes], delimiter: str) -> bool:
    """Return whether a row, given by its lines, is no csv to the letter, and has a backslash before a quotation mark."""
    if not any(b'\\"' in line for line in row):
        return False
    lines = (_RETURN_ALONE.sub(_STAND_IN, line.decode(errors="surrogateescape")) for line in row)
    try:
        next(csv.reader(lines, delimiter=delimiter, strict=True))
    except csv.Error:
        return True
    return False


def _with_returns(feed: _RowFeed, delimiter: str) -> tuple[list[str], str | None]:
    """Return the fields of a row in which a carriage return stands alone outside quotes, and None; or none, and what is wrong.

    `csv` takes it for the end of a line with more behind it, which is an error, so that a stand-in is put in its place.
    """
    begun = [line.decode(errors="surrogateescape") for line in feed.row]
    hidden = (_RETURN_ALONE.sub(_STAND_IN, line) for line in itertools.chain(begun, feed))
    try:
        fields = next(csv.reader(hidden, delimiter=delimiter))
    except csv.Error as problem:
        return [], str(problem)
    if any(_STAND_IN.encode() in line for line in feed.row):
        return [], "a carriage return alone, outside quotes"
    return [field.replace(_STAND_IN, "\r") for field in fields], None


class _TooLong(Exception):
    """A row is over the limit. Never leaves `read_csv`."""


class _RowFeed:
    """Gives physical lines to a csv reader and knows which of them the present row is made of.

    Attributes:
        first_line: Line where the row starts, from 1.
        first_byte: Byte where it starts.
        row: Its lines so far.
        undecodable: First byte of the row that is not UTF-8, or None.
    """

    def __init__(self, file: BinaryIO, name: str, word: str, delimiter: str) -> None:
        self._file = file
        self._delimiter = ord(delimiter)
        self._file_name = name
        self._label = f"{name}:{word}"
        self._next_line = 1
        self._next_byte = 0
        self._ended = False
        self.begin_row()

    def begin_row(self) -> None:
        self.first_line = self._next_line
        self.first_byte = self._next_byte
        self.row: list[bytes] = []
        self._row_bytes = 0
        self.undecodable: int | None = None

    def __iter__(self) -> _RowFeed:
        return self

    def __next__(self) -> str:
        line = self._file.readline(MAX_ROW_BYTES + 1)
        if not line:
            # The reader asks within a row only while a quote is open.
            self._ended = True
            raise StopIteration
        if not self._next_byte:
            self._next_byte = self.first_byte = encoding.mark_bytes(line[: encoding.HEAD_BYTES], self._file_name)
            line = line[self._next_byte :]
        if len(line) >= len(encoding.HOLE) and (hole := encoding.hole_in(line)) is not None:
            raise encoding.hole(f"{self._label} {self._next_byte + hole}")
        if self._row_bytes + len(line) > MAX_ROW_BYTES:
            self.row.append(line)
            raise _TooLong
        try:
            text = line.decode()
        except UnicodeDecodeError as error:
            if self.undecodable is None:
                self.undecodable = self._row_bytes + error.start
            text = line.decode(errors="surrogateescape")
        self.row.append(line)
        self._row_bytes += len(line)
        self._next_line += 1
        self._next_byte += len(line)
        return text

    def pass_over(self) -> CsvRow:
        """Read on to the end of a row that is too long, and keep nothing of it.

        Raises:
            InputError: As of `read_csv`.
        """
        quotes, digest = _Quotes(self._delimiter), xxhash.xxh3_128()
        shown = b"".join(self.row)[:_SHOWN_BYTES]
        length = lines = 0
        for part in itertools.chain(self.row, iter(functools.partial(self._file.readline, _PART_BYTES), b"")):
            if (hole := encoding.hole_in(part)) is not None:
                raise encoding.hole(f"{self._label} {self.first_byte + length + hole}")
            quotes.take(part)
            digest.update(part)
            length += len(part)
            lines += part.endswith(b"\n")
            if quotes.opened is None and part.endswith(b"\n"):
                break
            if length > MAX_PASSED_BYTES:
                problem, found = (
                    f"a row is longer than {MAX_PASSED_BYTES} bytes",
                    "no end of the row in that many bytes",
                )
                raise self._unclosed(problem, found, quotes.opened)
        else:
            quotes.end()
            if quotes.opened is not None:
                raise self._unclosed(_OPEN_AT_END, "the end of the file", quotes.opened)
        self._next_line = self.first_line + lines
        self._next_byte = self.first_byte + length
        why = f"a row of {length} bytes in {max(lines, 1)} lines, over {MAX_ROW_BYTES}, that begins at byte {self.first_byte}"
        return CsvRow(self.first_line, self.first_byte, [], shown + digest.digest(), why)

    def require_closed(self) -> None:
        """Raise if the file ended within the row, which the csv reader takes for its end."""
        if self._ended and self.row:
            opened = open_quote(b"".join(self.row), self._delimiter)
            raise self._unclosed(_OPEN_AT_END, "the end of the file", opened)

    def _unclosed(self, problem: str, found: str, opened: tuple[int, int] | None) -> InputError:
        byte, line = opened or (0, 0)
        return InputError(
            problem,
            where=f"{self._label} {self.first_byte + byte} (line {self.first_line + line})",
            expected='a closing " for the one that opens there' if opened is not None else "a row that ends",
            found=found,
            remedy="write a \" within a text as two; or fetch the file again: pmd manifests verify tells if it is upstream's",
        )


def open_quote(row: bytes, delimiter: int) -> tuple[int, int] | None:
    """Return the byte of a row, and its line, both from 0, where the quote opens that is open at its end; None if none is."""
    quotes = _Quotes(delimiter)
    quotes.take(row)
    quotes.end()
    return quotes.opened


class _Quotes:
    """Where a row of quoted text stands after some of its bytes, as Python's csv reads it.

    Attributes:
        opened: Byte of the row, and its line, from 0, where the quote opened within which it stands; None where in none.
    """

    def __init__(self, delimiter: int) -> None:
        self._delimiter = delimiter
        self._opening = bytes([delimiter, _QUOTE])
        self._taken = self._lines = 0
        self._at_start = True  # of a field
        self._after_quote = False  # which closes the field, or is the first of two
        self.opened: tuple[int, int] | None = None

    def take(self, part: bytes) -> None:
        at = 0
        while at < len(part):
            if self._after_quote:
                self._after_quote = False
                if part[at] == _QUOTE:
                    at += 1
                else:
                    self.opened = None
            elif self.opened is not None:
                at = cast(re.Match[bytes], _WITHIN_QUOTES.match(part, at)).end()
                if at == len(part):
                    break
                at += 1
                self._after_quote = True
            elif self._at_start and part[at] == _QUOTE:
                self._open(part, at)
                at += 1
            else:
                # Fields without a quote are passed over in one step.
                opening = part.find(self._opening, at)
                self._at_start = opening < 0 and part[-1] == self._delimiter
                if opening < 0:
                    break
                self._open(part, opening + 1)
                at = opening + 2
        self._taken += len(part)
        self._lines += part.count(b"\n")

    def _open(self, part: bytes, at: int) -> None:
        self._at_start = False
        self.opened = self._taken + at, self._lines + part.count(b"\n", 0, at)

    def end(self) -> None:
        """Take the end of the file, which closes a quote behind a quotation mark."""
        if self._after_quote:
            self.opened = None


def _without_line_end(row: bytes) -> bytes:
    return row.removesuffix(b"\n").removesuffix(b"\r") if row.endswith(b"\n") else row
