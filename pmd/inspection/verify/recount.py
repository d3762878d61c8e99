"""Recount: read one committed file after the other, whole, for its bytes and its rows; for `pmd verify`.

Files are read front to back, a row group or a member at a time. What rows must be is said by their stage
(`pmd/<stage>/recount.py`).
"""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO, Final

import pyarrow as pa
import pyarrow.parquet as pq

from pmd import flow, stages
from pmd.books import recount
from pmd.books.committed import Committed
from pmd.books.recount import Keys, Tally
from pmd.books.report import DAMAGE, first_line, refuse_ours
from pmd.errors import PmdError
from pmd.store import commits, parquet_files, storage
from pmd.terminal import bar

#: Told of (bytes read so far, bytes in all).
Progress = Callable[[int, int], None]

_BLOCK_BYTES: Final = 1 << 20


class _Hashed(io.RawIOBase):
    """Reads a file front to back, hashing what passes; `finish` reads what is left."""

    def __init__(self, file: BinaryIO, passed: Callable[[int], None]) -> None:
        self._file = file
        self._passed = passed
        self._digest = hashlib.sha256()
        self.size = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        block = self._file.read(len(buffer))
        buffer[: len(block)] = block
        self._digest.update(block)
        self.size += len(block)
        self._passed(len(block))
        return len(block)

    def finish(self) -> str:
        while self.read(_BLOCK_BYTES):
            pass
        return self._digest.hexdigest()


class Recounting:
    """Reads every file once for its bytes and once for its rows."""

    def __init__(self, found: Mapping[str, Committed], tally: Tally, progress: Progress | None) -> None:
        self._tally = tally
        self._tell = tally.report.tell
        self._progress = progress
        self._total = sum(file.bytes for committed in found.values() for file in committed.commit.files)
        self.files = 0
        self.bytes = 0
        self.rows = 0

    def commit(self, committed: Committed) -> None:
        """Recount the files of one commit."""
        stage = flow.stage_of(committed.folder)
        counted = (recount.Recount if stage is None else stages.recount_of(stage))(committed, self._tally)
        for name, file in sorted(committed.files(), key=lambda item: counted.order(item[0])):
            path = storage.join(self._tally.root, name)
            if not storage.exists(path):
                self._tell("file is gone", name, f"{file.bytes} bytes, {bar.amount(file.rows, 'rows')}", "nothing")
                continue
            self.files += 1
            try:
                rows = self._file(counted, name, file, path)
            except DAMAGE as error:
                refuse_ours(error)
                self._tell("file cannot be read", name, bar.amount(file.rows, "rows"), first_line(error))
                continue
            if rows is not None:
                self.rows += rows
                if rows != file.rows:
                    self._tell("rows", name, file.rows, rows)
        try:
            counted.end()
        except (*DAMAGE, PmdError) as error:  # what it holds its files to, be it of other stages
            refuse_ours(error)
            self._tell("cannot be compared", committed.folder, "files that can be read", first_line(error))

    def _file(self, counted: recount.Recount, name: str, file: commits.File, path: str) -> int | None:
        if name.endswith(".tar"):
            return self._tar(counted, name, file, path)
        with storage.open_raw(path) as raw:
            hashed = _Hashed(raw, self._passed)
            self._compare(name, file, hashed.finish(), hashed.size)
        if not (name.endswith(".parquet") and counted.has_rows):
            counted.other(name, path)
            return None
        with storage.open_raw(path) as raw:
            return self._parquet(counted, name, pq.ParquetFile(raw))

    def _passed(self, count: int) -> None:
        self.bytes += count
        if self._progress is not None:
            self._progress(self.bytes, self._total)

    def _compare(self, name: str, file: commits.File, digest: str, size: int) -> None:
        if size != file.bytes:
            self._tell("bytes", name, file.bytes, size)
        if digest != file.sha256:
            self._tell("sha256", name, file.sha256, digest)

    def _parquet(self, counted: recount.Recount, name: str, parquet: pq.ParquetFile) -> int:
        columns = parquet.schema_arrow
        table = counted.table(name, columns.names)
        if not _has_columns(columns, table.schema):
            self._tell("columns", name, _names(table.schema), _names(columns))
            return int(parquet.metadata.num_rows)
        number = self._tally.pairs.file(name)
        before: Keys = None
        rows = 0
        for batch in parquet.iter_batches(batch_size=table.rows, use_threads=False):  # as in `parquet_files.read_table`
            rows += batch.num_rows
            before = table.check(name, number, batch, before)
        return rows

    def _tar(self, counted: recount.Recount, name: str, file: commits.File, path: str) -> int | None:
        """Read a tar front to back, once, for its digest and its members."""
        with storage.open_raw(path) as raw:
            hashed = _Hashed(raw, self._passed)
            stream = io.BufferedReader(hashed, _BLOCK_BYTES)
            rows: int | None = None
            try:
                with tarfile.open(fileobj=stream, mode="r|", bufsize=_BLOCK_BYTES) as tar:
                    rows = counted.tar(name, tar)
            except DAMAGE as error:
                refuse_ours(error)
                self._tell("file cannot be read", name, bar.amount(file.rows, "samples"), first_line(error))
            self._compare(name, file, hashed.finish(), hashed.size)
        return rows


def _names(schema: pa.Schema) -> str:
    return ", ".join(f"{field.name}: {field.type}" for field in schema)


def _has_columns(written: pa.Schema, schema: pa.Schema) -> bool:
    """Return whether a file has a table's columns, however they are encoded; it may say of more of them that none is null.

    Files of earlier versions are encoded otherwise, and say so of more.
    """
    if written.names != schema.names:
        return False
    return all(
        parquet_files.plain_type(mine) == parquet_files.plain_type(wanted) and (wanted.nullable or not mine.nullable)
        for mine, wanted in zip(written, schema, strict=True)
    )
