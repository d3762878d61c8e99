"""Recounting one commit: how its files are read and what is noted of them. Each stage has its own, `pmd/<stage>/recount.py`.

What must be compared across files is only noted: how often each commit kept and rejected, and where each pair stands
(`pmd.books.reconciliation`). `pmd.inspection.verify.recount` reads the files, and hands their rows over.
"""

from __future__ import annotations

import dataclasses
import tarfile
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, ClassVar, Final

import pyarrow as pa

from pmd import flow
from pmd.books import reconciliation
from pmd.books.committed import Committed
from pmd.books.reconciliation import Reconciliation
from pmd.books.report import Report
from pmd.config.reasons import reasons_of
from pmd.schema import keys
from pmd.schema.tables import REJECTED, REJECTED_LATER

#: Rows that are read at a time.
ROWS: Final = 65_536
#: Bytes that tell an image's format.
HEAD_BYTES: Final = 64

#: The keys of the last row of a batch, by which the next one is held to the order; None: nothing was read yet.
Keys = tuple[bytes, ...] | None

#: Checks one batch of a file: (the file's name, its number in the reconciliation, the batch, the keys before it).
Check = Callable[[str, int, pa.RecordBatch, Keys], Keys]


@dataclasses.dataclass(frozen=True)
class Tally:
    """What a recount notes across commits.

    Attributes:
        root: ROOT.
        shard_bits: How images are cut into fetch shards.
        merged: Part → its images that gave way to others → those that stand for them.
        splits: Images whose pairs are in another split than upstream has them in → the split; None: not known.
        formats: The formats of shards, in the order of their roles.
        pairs: Where pairs stand.
        report: What is told.
        kept: (folder of a commit, source) → rows kept.
        rejected: (folder of a commit, source, reason) → rows rejected.
    """

    root: str
    shard_bits: int
    merged: Callable[[int], Mapping[bytes, bytes]]
    splits: Mapping[bytes, str] | None
    formats: Sequence[str]
    pairs: Reconciliation
    report: Report
    kept: Counter[tuple[str, str]] = dataclasses.field(default_factory=Counter)
    rejected: Counter[tuple[str, str, str]] = dataclasses.field(default_factory=Counter)


@dataclasses.dataclass(frozen=True)
class Table:
    """What a Parquet file must hold, and how its rows are checked, so many at a time."""

    schema: pa.Schema
    check: Check
    rows: int = ROWS


class Recount:
    """The recount of one commit. A stage overrides what it has: tables, tars, other files.

    Attributes:
        has_rows: Whether the books count rows of its Parquet files; where not, they are held to their digests alone.
        tables: The tables that others may rely on, as this version writes them, by their headings in docs/contract.md.
    """

    has_rows = True
    tables: ClassVar[Mapping[str, pa.Schema]] = {}

    def __init__(self, committed: Committed, tally: Tally) -> None:
        self.committed = committed
        self.folder = committed.folder
        self.tally = tally
        self.tell = tally.report.tell

    def order(self, name: str) -> int:
        """Return when a file is read: those of the lower numbers first, and among equals by name."""
        return 0

    def table(self, name: str, columns: Sequence[str]) -> Table:
        """Return what a Parquet file of a name (relative to ROOT) and with these columns must hold."""
        raise ValueError(f"no stage writes Parquet in {self.folder}")

    def tar(self, name: str, tar: tarfile.TarFile) -> int:
        """Check a tar's members, front to back; return how many samples or pictures it has."""
        raise ValueError(f"no stage writes a tar in {self.folder}")

    def other(self, name: str, path: str) -> None:
        """Check a file that is neither Parquet nor a tar."""

    def end(self) -> None:
        """Check what all files of the commit say of each other."""

    # Rows

    def is_rejected(self, name: str) -> bool:
        """Return whether a file holds rejected rows."""
        kind = flow.kind_of(self.folder)
        return (
            kind is not None
            and kind[0].rejects is not None
            and name.removeprefix(f"{self.folder}/").startswith(kind[0].rejects)
        )

    def rejected(self, columns: Sequence[str], schema: pa.Schema = REJECTED) -> Table:
        """Return what a file of rejected rows with these columns must hold."""
        return Table(without_later(schema, REJECTED_LATER, columns), self._rejected)

    def _rejected(self, name: str, number: int, batch: pa.RecordBatch, before: Keys) -> Keys:
        stage = flow.stage_of(self.folder)
        assert stage is not None
        check_pair_keys(self.tally.report, name, batch)
        sources = batch["source"].to_pylist()
        reasons = batch["reason"].to_pylist()
        for (source, reason), count in Counter(zip(sources, reasons, strict=True)).items():
            self.tally.rejected[self.folder, source, reason] += count
        for other in {*batch["stage"].to_pylist()} - {stage.name}:
            self.tell("stage of rejected rows", name, stage.name, other)
        for reason in {*reasons}.difference(reasons_of(stage.name)):
            self.tell(f"reason that {stage.name} does not give", name, ", ".join(reasons_of(stage.name)), reason)
        keys = reconciliation.key_bytes(batch["pair_id"])
        self.tally.pairs.add(reconciliation.rejected_by(stage.name), number, keys, sources)
        return check_order(self.tally.report, name, batch, ("pair_id",), before)

    def keep(
        self,
        role: int,
        number: int,
        batch: pa.RecordBatch,
        shown: Sequence[bytes] | None = None,
        splits: Sequence[str] | None = None,
    ) -> None:
        """Note pairs that are kept, where the file has their texts."""
        sources = batch["source"].to_pylist()
        for source, count in Counter(sources).items():
            self.tally.kept[self.folder, source] += count
        keys = reconciliation.key_bytes(batch["pair_id"])
        self.tally.pairs.add(role, number, keys, sources, batch["text"].to_pylist(), shown, splits)


def without_later(schema: pa.Schema, later: Collection[str], columns: Sequence[str]) -> pa.Schema:
    """Return a table's schema less those of its later columns that a file, of an earlier version, does not have."""
    return pa.schema([field for field in schema if field.name not in later or field.name in columns])


def check_pair_keys(report: Report, name: str, batch: pa.RecordBatch) -> None:
    """Each pair_id is that of its source and source_id."""
    columns = (batch[column].to_pylist() for column in ("pair_id", "source", "source_id"))
    for pair_id, source, source_id in zip(*columns, strict=True):
        if keys.pair_id(source, source_id) != pair_id:
            wanted = keys.pair_id(source, source_id).hex()
            report.tell("pair_id", f"{name}: {source}/{source_id}", wanted, pair_id.hex())


def check_image_keys(report: Report, name: str, batch: pa.RecordBatch) -> None:
    """Each image_id is that of its identity."""
    for image_id, identity in zip(batch["image_id"].to_pylist(), batch["identity"].to_pylist(), strict=True):
        if keys.image_id(identity) != image_id:
            report.tell("image_id", f"{name}: {identity}", keys.image_id(identity).hex(), image_id.hex())


def check_order(report: Report, name: str, batch: pa.RecordBatch, columns: Sequence[str], before: Keys) -> Keys:
    """Rows stand in order, each once; returns the last row's keys."""
    for row, row_keys in enumerate(zip(*(batch[column].to_pylist() for column in columns), strict=True)):
        if before is not None and row_keys <= before:
            place = f"{name}: row {row} of its batch, {_hex(row_keys)}"
            what = "row stands twice" if row_keys == before else "rows out of order"
            report.tell(what, place, f"after {_hex(before)}", _hex(row_keys))
        before = row_keys
    return before


def _hex(row_keys: Sequence[Any]) -> str:
    return "/".join(item.hex() if isinstance(item, bytes) else str(item) for item in row_keys)
