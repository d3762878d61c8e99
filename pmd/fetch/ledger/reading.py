"""Many stored pictures, read with few requests, in whatever order they are asked for.

On this machine's own file system a picture is read at its place when it is asked for, through files that stay open. Any other
storage is asked for ranges that hold many pictures each, several at a time. What it answers stands in files of this process
until all is read. So memory is that of the ranges that are under way, and the local disk holds the pictures once.

A range may hold what nobody has asked for, where that is less than another request would cost: in all at most 17 % of what the
wanted pictures take in their tars, headers and padding counted, so that of pictures of 30 kB and more at most a fifth more bytes
are read than they have. There are never more ranges than pictures.
"""

from __future__ import annotations

import dataclasses
import os
import shutil
import tarfile
import tempfile
from collections import OrderedDict, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from types import TracebackType
from typing import Any, Final, Self

import pyarrow as pa
import pyarrow.compute as pc

from pmd.errors import PmdError
from pmd.fetch.ledger import stored
from pmd.schema import keys
from pmd.store import patience, shortage, spools, storage

#: What must be known of the pictures that are going to be read.
COLUMNS: Final = ("store_file", "offset", "length")

#: What may be read beside wanted pictures, of what they take in their tars.
_MORE: Final = 0.17
#: A tar's headers and members begin at whole blocks: neighbours are one block and the padding before it apart.
_BLOCK: Final = tarfile.BLOCKSIZE
#: What lies between two pictures is read with them up to here: a request takes about as long as so many bytes.
_GAP_BYTES: Final = 2**22
#: A range ends before it is larger than this, but for a picture that is.
_RANGE_BYTES: Final = 2**27
#: Ranges that are asked for at a time, each of them in memory.
_AT_ONCE: Final = 3
#: Bytes of pictures in memory at a time: from a processor's own cache they are checked, hashed and written in nine tenths of the
#: time.
_CHUNK_BYTES: Final = 2**20
#: Local files that are open at a time: a window of fetch shards.
_OPEN_FILES: Final = 128


@dataclasses.dataclass(frozen=True)
class Range:
    """Bytes of one file that are asked for at once."""

    start: int
    stop: int


def ranges(places: Iterable[tuple[int, int]]) -> list[Range]:
    """Return the ranges in which pictures of one file are read, front to back.

    Args:
        places: (offset, length) of each picture, in any order, repeated or not.
    """
    ordered = sorted({*places})
    starts = [offset for offset, _ in ordered]
    stops = [offset + length for offset, length in ordered]
    gaps = [max(start - stop, 0) for start, stop in zip(starts[1:], stops, strict=False)]
    left = _MORE * sum(_BLOCK + length + -length % _BLOCK for _, length in ordered)
    joined = [gap < 2 * _BLOCK for gap in gaps]
    for at in sorted((at for at, near in enumerate(joined) if not near), key=gaps.__getitem__):
        left -= gaps[at] - _BLOCK  # the header before what is wanted counts with it
        joined[at] = left >= 0 and gaps[at] <= _GAP_BYTES
    found: list[Range] = []
    for at, (start, stop) in enumerate(zip(starts, stops, strict=True)):
        if at and joined[at - 1] and stop - found[-1].start <= _RANGE_BYTES:
            found[-1] = Range(found[-1].start, max(stop, found[-1].stop))
        else:
            found.append(Range(start, stop))
    return found


class Pictures:
    """Reads stored pictures; a context manager.

    Args:
        root_folder: ROOT.
        rows: What is going to be read: `COLUMNS` of it. Anything else is read too, by a request of its own.
    """

    def __init__(self, root_folder: str, rows: pa.Table) -> None:
        self._root = root_folder
        self._source = _Local(root_folder) if storage.is_local(root_folder) else _Spooled(root_folder, rows)
        self._room = memoryview(bytearray())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._source.close()

    def read(self, row: Mapping[str, Any]) -> bytes:
        """Return the stored bytes of an ok row of the ledger; see `stored.read`.

        Raises:
            VerificationError: The tar is gone or too short, or the bytes are not those that were stored.
        """
        return bytes(self._source.read(row, memoryview(bytearray(row["length"]))))

    def chunks(self, rows: pa.Table, at_most: int) -> Iterator[tuple[int, list[memoryview]]]:
        """Yield the stored bytes of ok rows of the ledger, in their order, some at a time: the first one's number, and of each.

        As many are read as stay in a processor's own cache, or one; each once, front to back in each file. They are good until
        the next are asked for, which use the same memory.

        Args:
            rows: `stored.COLUMNS` and image_id.
            at_most: Pictures at a time.

        Raises:
            VerificationError: As `read`.
        """
        names, offsets, lengths = (rows[name].to_pylist() for name in COLUMNS)
        digests = rows["stored_digest"].to_numpy(zero_copy_only=False).tolist()
        for start, stop in _cut(lengths, at_most):
            self._make_room(sum(lengths[start:stop]))
            found: dict[tuple[str, int], memoryview] = {}
            end = 0
            for name, offset, at in sorted(
                zip(names[start:stop], offsets[start:stop], range(start, stop), strict=True)
            ):
                if (name, offset) in found:
                    continue
                room = self._room[end : end + lengths[at]]
                end += lengths[at]
                if not self._source.fill(name, offset, room) or keys.digest(room) != digests[at]:
                    room = self._source.read(
                        rows.slice(at, 1).to_pylist()[0], room
                    )  # of an earlier version, or damaged
                found[name, offset] = room
            yield start, [found[place] for place in zip(names[start:stop], offsets[start:stop], strict=True)]

    def _make_room(self, size: int) -> None:
        """Have memory for so many bytes: what is asked of the system anew costs as much as reading into it."""
        if len(self._room) < size:
            self._room = memoryview(bytearray(size + size // 4))


class _Local:
    """Pictures of local files."""

    def __init__(self, root_folder: str) -> None:
        self._root = root_folder
        self._open: OrderedDict[str, patience.Reading] = OrderedDict()

    def read(self, row: Mapping[str, Any], room: memoryview) -> memoryview:
        return stored.checked(row, lambda: self.content(row, room))

    def content(self, row: Mapping[str, Any], room: memoryview) -> memoryview:
        return room[: self._file(row["store_file"]).fill(room, row["offset"])]

    def fill(self, name: str, offset: int, room: memoryview) -> bool:
        """Have bytes of a file in memory, if that can be done at once."""
        try:
            return self._file(name).fill_at_once(room, offset)
        except OSError:
            return False

    def close(self) -> None:
        for file in self._open.values():
            file.close()
        self._open.clear()

    def _file(self, name: str) -> patience.Reading:
        if name in self._open:
            self._open.move_to_end(name)
            return self._open[name]
        file = patience.Reading(storage.filesystem(storage.join(self._root, name))[1])
        if len(self._open) >= _OPEN_FILES:
            self._open.popitem(last=False)[1].close()
        self._open[name] = file
        return file


class _Spooled:
    """Pictures of other storage, which has been asked for all of them in ranges."""

    def __init__(self, root_folder: str, rows: pa.Table) -> None:
        self._root = root_folder
        self._folder = tempfile.mkdtemp(prefix="pictures-", dir=spools.folder())
        self._numbers: dict[str, int] = {}
        self._local = _Local(self._folder)
        try:
            self._spool(rows)
        except BaseException:
            self.close()
            raise

    def read(self, row: Mapping[str, Any], room: memoryview) -> memoryview:
        number = self._numbers.get(row["store_file"])
        if number is not None:
            with suppress(OSError):  # of this machine's disk: the store has it still
                content = self._local.content({**row, "store_file": str(number)}, room)
                if stored.mistake(content, row) is None:
                    return content
        return memoryview(stored.read(self._root, row))  # not asked for before, or not had: what is wrong shows now

    def close(self) -> None:
        self._local.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def fill(self, name: str, offset: int, room: memoryview) -> bool:
        number = self._numbers.get(name)
        return number is not None and self._local.fill(str(number), offset, room)

    def _spool(self, rows: pa.Table) -> None:
        places: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
        known = rows.select(list(COLUMNS)).filter(pc.is_valid(rows["store_file"]))
        for name, offset, length in zip(*(known[column].to_pylist() for column in COLUMNS), strict=True):
            places[name].append((offset, length))
        asked = []
        for number, name in enumerate(sorted(places)):
            self._numbers[name] = number
            with open(self._path(number), "wb"):
                pass
            asked += [(name, number, each) for each in ranges(places[name])]
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            for _ in pool.map(self._have, asked):
                pass

    def _path(self, number: int) -> str:
        return os.path.join(self._folder, str(number))

    def _have(self, asked: tuple[str, int, Range]) -> None:
        """Have a range at its place in a file of this process; one that cannot be had stays a hole."""
        name, number, chosen = asked
        try:
            content = storage.read_bytes(storage.join(self._root, name), chosen.start, chosen.stop)
        except (OSError, ValueError, PmdError) as error:
            if not shortage.tells_of_bytes(error):
                raise
            return
        with spools.named(), open(self._path(number), "r+b") as file:
            file.seek(chosen.start)
            file.write(content)


def _cut(lengths: Sequence[int], at_most: int) -> Iterator[tuple[int, int]]:
    """Yield the chunks in which pictures of these lengths are read: (start, stop)."""
    start, held = 0, 0
    for at, length in enumerate(lengths):
        if at > start and (held + length > _CHUNK_BYTES or at == start + at_most):
            yield start, at
            start, held = at, 0
        held += length
    if lengths:
        yield start, len(lengths)
