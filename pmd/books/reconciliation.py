"""Reconciliation: every pair, in every stage it stands in, brought together by its key; for `pmd verify`.

Keys are put into buckets by their first bits, on disk once they are many, and each bucket is judged alone. So memory is
one bucket, whatever the number of pairs, and the answer is exact: no pair is missing, doubled, or in two places at once.
"""

from __future__ import annotations

import contextlib
import dataclasses
import struct
import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import IO, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import xxhash

from pmd import flow
from pmd.store import spools

#: Where a pair can stand: kept by curate, among the views, in a list; rejected by a stage; in shards of a format.
CURATED: Final = 0
VIEWED: Final = 1
PUBLISHED: Final = 2
_REJECTED: Final = {stage.name: 3 + number for number, stage in enumerate(flow.JUDGING)}
SHARDED: Final = 3 + len(_REJECTED)

_RECORD: Final = np.dtype(
    [
        ("high", "<u8"),
        ("low", "<u8"),
        ("text", "<u8"),  # digest of the text; 0: the text is not there
        ("shown", "<u8"),  # digest of the image and region it is shown with; 0: not said
        ("file", "<u4"),
        ("source", "<u2"),
        ("role", "u1"),
        ("split", "u1"),  # place in `flow.SPLITS`, from 1; 0: not said
    ]
)

#: Each split's number in a record, and that of what is none.
_SPLITS: Final = {name: number for number, name in enumerate(flow.SPLITS, start=1)}
_NO_SPLIT: Final = 255

#: Records of a bucket: sorted, with the counts, about 150 MB.
_BUCKET_RECORDS: Final = 1 << 20
#: A bucket is in memory up to this size, and a temporary file beyond it; and all buckets together.
_SPOOL_BYTES: Final = 1 << 22
_SPOOLS_BYTES: Final = 1 << 25
_MOST_BITS: Final = 9


def rejected_by(stage: str) -> int:
    """Return the role of the pairs that a stage rejects."""
    return _REJECTED[stage]


Tell = Callable[[str, str, str, str], None]
Counts = npt.NDArray[np.int64]


@dataclasses.dataclass(frozen=True)
class Expectation:
    """What is committed, and therefore where pairs must stand.

    Attributes:
        stages: The stages that are committed.
        imaged: The sources that the images were made of.
        published: Those of them whose lists are committed.
        formats: The formats of shards, in the order of their roles (`SHARDED` + position).
    """

    stages: Collection[str]
    imaged: Collection[str]
    published: Collection[str]
    formats: Sequence[str]


class Reconciliation:
    """Collects where pairs stand, then judges; a context manager."""

    def __init__(self, records: int) -> None:
        """Prepare for about `records` entries in all."""
        self._bits = min(max((records - 1) // _BUCKET_RECORDS, 0).bit_length(), _MOST_BITS)
        self._stack = contextlib.ExitStack()
        self._buckets: list[IO[bytes]] = []
        self._files: list[str] = []
        self._sources: list[str] = []

    def __enter__(self) -> Reconciliation:
        held = min(_SPOOL_BYTES, _SPOOLS_BYTES >> self._bits)
        self._buckets = [
            self._stack.enter_context(tempfile.SpooledTemporaryFile(held))  # noqa: SIM115  the stack closes it
            for _ in range(2**self._bits)
        ]
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def file(self, place: str) -> int:
        """Return the number under which a file's entries are added."""
        self._files.append(place)
        return len(self._files) - 1

    def add(
        self,
        role: int,
        file: int,
        pair_ids: Sequence[bytes],
        sources: Sequence[str],
        texts: Sequence[str | None] | None = None,
        shown: Sequence[bytes] | None = None,
        splits: Sequence[str] | None = None,
    ) -> None:
        """Add the pairs of a file, or some of them.

        Args:
            role: Where they stand.
            file: Which file says so.
            pair_ids: 16 bytes each.
            sources: Their sources.
            texts: Their texts, where the file has them.
            shown: Image and region (`view_bytes`) that each is shown with, where the file says so.
            splits: The split that each is in, where the file says so, or what it is made of.
        """
        if not pair_ids:
            return
        keys = np.frombuffer(b"".join(pair_ids), dtype=">u8").reshape(-1, 2)
        records = np.zeros(len(pair_ids), _RECORD)
        records["high"], records["low"] = keys[:, 0], keys[:, 1]
        records["file"], records["role"] = file, role
        for source in {*sources}.difference(self._sources):
            self._sources.append(source)
        numbers = {source: number for number, source in enumerate(self._sources)}
        records["source"] = [numbers[source] for source in sources]
        if texts is not None:
            records["text"] = [0 if text is None else xxhash.xxh3_64_intdigest(text.encode()) for text in texts]
        if shown is not None:
            records["shown"] = [xxhash.xxh3_64_intdigest(view) for view in shown]
        if splits is not None:
            records["split"] = [_SPLITS.get(split, _NO_SPLIT) for split in splits]
        with spools.named():
            self._put(records)

    def _put(self, records: npt.NDArray[np.void]) -> None:
        if not self._bits:
            self._buckets[0].write(records.tobytes())
            return
        where = records["high"] >> np.uint64(64 - self._bits)
        for bucket in np.unique(where):
            self._buckets[int(bucket)].write(records[where == bucket].tobytes())

    def check(self, expected: Expectation, tell: Tell) -> None:
        """Tell of every pair that does not stand where it must: (place, what, expected, found)."""
        for bucket in self._buckets:
            with spools.named():
                bucket.seek(0)
            records = np.frombuffer(bucket.read(), _RECORD)
            if len(records):
                self._check(records, expected, tell)

    def _check(self, records: npt.NDArray[np.void], expected: Expectation, tell: Tell) -> None:
        records = records[np.lexsort((records["low"], records["high"]))]
        new = np.r_[True, (records["high"][1:] != records["high"][:-1]) | (records["low"][1:] != records["low"][:-1])]
        starts = np.flatnonzero(new)
        group = np.cumsum(new) - 1
        roles = SHARDED + len(expected.formats)
        counts: Counts = np.bincount(group * roles + records["role"], minlength=len(starts) * roles).reshape(-1, roles)
        sources = records["source"][starts]
        stops = np.r_[starts[1:], len(records)]

        def report(wrong: npt.NDArray[np.bool_], what: str, should: Counts, times: Counts) -> None:
            for at in np.flatnonzero(wrong):
                tell(
                    self._place(records[starts[at] : stops[at]]),
                    what,
                    str(int(should[at])),
                    str(int(times[at])),
                )

        for wrong, what, should, times in _mistakes(counts, self._among(sources, expected), expected):
            report(wrong, what, should, times)
        self._check_sameness(records, starts, stops, tell)

    def _among(self, sources: npt.NDArray[np.uint16], expected: Expectation) -> dict[str, npt.NDArray[np.bool_]]:
        return {
            name: np.array([source in chosen for source in self._sources], bool)[sources]
            for name, chosen in (("imaged", expected.imaged), ("published", expected.published))
        }

    def _check_sameness(
        self,
        records: npt.NDArray[np.void],
        starts: npt.NDArray[np.intp],
        stops: npt.NDArray[np.intp],
        tell: Tell,
    ) -> None:
        """A pair has one text, is shown with one image and region, and is in one split, wherever it stands."""
        for field, what in (
            ("text", "the pair's text"),
            ("shown", "the image and region of a pair"),
            ("split", "the split of a pair"),
        ):
            digests = records[field].astype(np.uint64)
            largest = np.maximum.reduceat(digests, starts)
            smallest = np.minimum.reduceat(np.where(digests == 0, np.uint64(2**64 - 1), digests), starts)
            for at in np.flatnonzero((largest != 0) & (largest != smallest)):
                standing = records[starts[at] : stops[at]]
                tell(self._place(standing[standing[field] != 0]), what, "the same everywhere", "different ones")

    def _place(self, standing: npt.NDArray[np.void]) -> str:
        key = f"{int(standing['high'][0]):016x}{int(standing['low'][0]):016x}"
        files = dict.fromkeys(self._files[number] for number in standing["file"])
        return f"{', '.join(files)}: pair {key}"


def _mistakes(
    counts: Counts, among: dict[str, npt.NDArray[np.bool_]], expected: Expectation
) -> Iterator[tuple[npt.NDArray[np.bool_], str, Counts, Counts]]:
    """Yield (which pairs are wrong, what was counted, how often it should be, how often it is)."""
    entered = counts[:, CURATED] + counts[:, rejected_by(flow.CURATE.name)]
    yield entered > 1, "times in curate, kept or rejected", np.ones_like(entered), entered
    if flow.IMAGES.name not in expected.stages:
        return
    should = np.where(among["imaged"], np.minimum(counts[:, CURATED], 1), 0)
    times = counts[:, VIEWED] + counts[:, rejected_by(flow.IMAGES.name)]
    yield times != should, "times in images, kept or rejected, of those that curate kept", should, times
    left = np.minimum(counts[:, VIEWED], 1)
    to_publish = left
    for stage in flow.JUDGING[flow.JUDGING.index(flow.IMAGES) + 1 :]:
        if stage.name not in expected.stages:
            break
        times = counts[:, rejected_by(stage.name)]
        yield times > left, f"times rejected by {stage.name}, of those that came to it", left, times
        left = left - np.minimum(times, left)
        if stage.name == flow.PUBLISH.after:
            to_publish = left
    if flow.SHARD.name in expected.stages:
        for position, form in enumerate(expected.formats):
            times = counts[:, SHARDED + position]
            yield times != left, f"times in the {form} shards, of those that shard kept", left, times
    if flow.PUBLISH.after in expected.stages:
        times = counts[:, PUBLISHED]
        wrong = among["published"] & (times != to_publish)
        yield wrong, f"times published, of those that {flow.PUBLISH.after} kept", to_publish, times


def key_bytes(column: pa.ChunkedArray | pa.Array) -> list[bytes]:
    """Return a key column as a list."""
    keys: list[bytes] = column.to_pylist()
    return keys


def view_bytes(image_id: bytes, region: Sequence[float] | None) -> bytes:
    """Return an image and the region of it that is shown, as bytes that are equal where both are."""
    return image_id + (struct.pack("<4d", *region) if region is not None else b"")


def hex_keys(column: Iterable[str]) -> list[bytes]:
    """Return keys that a file spells in hex.

    Raises:
        ValueError: One is no 32 hex digits.
    """
    keys = [bytes.fromhex(item) for item in column]
    if any(len(item) != 16 for item in keys):
        raise ValueError("a key that is not 32 hex digits")
    return keys
