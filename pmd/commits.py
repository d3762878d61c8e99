"""Commits: a stage's output exists when its `_stage.json` does, and is exactly what that file lists.

`_stage.json` is written last. It lists every file of the unit (name relative to its folder, bytes, rows, sha256), the
books, the hash of the options and inputs the unit uses, and a `run` section that stands outside every equality claim.
Readers open what it lists and never glob. Committing removes what is not listed: files of an older commit, of a killed
run, of a worker that was doubled.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pmd import sealed, storage
from pmd.errors import RootError

STAGE_FILE: Final = "_stage.json"

#: Rows in a Parquet row group. Fixed, because other groups give other bytes; 64k rows of pairs are about 30 MB.
ROW_GROUP_ROWS: Final = 65_536
#: Rows by which a column is judged to repeat itself.
_HEAD_ROWS: Final = 4096


@dataclasses.dataclass(frozen=True)
class File:
    """One committed file; `name` is relative to the folder of its commit. `rows` counts samples for tars."""

    name: str
    bytes: int
    rows: int
    sha256: str


@dataclasses.dataclass(frozen=True)
class Books:
    """What happened to the pairs (in a fetch generation: the images) of one source in one stage."""

    kept: int = 0
    rejected: Mapping[str, int] = dataclasses.field(default_factory=dict)

    @property
    def total(self) -> int:
        """Everything that came in; the books balance by construction, and `pmd verify` recounts the files."""
        return self.kept + sum(self.rejected.values())

    def __add__(self, other: Books) -> Books:
        reasons = sorted({*self.rejected, *other.rejected})
        return Books(
            self.kept + other.kept,
            {reason: self.rejected.get(reason, 0) + other.rejected.get(reason, 0) for reason in reasons},
        )


@dataclasses.dataclass(frozen=True)
class Commit:
    """The content of one `_stage.json`."""

    stage: str
    files: tuple[File, ...]
    sources: Mapping[str, Books]
    hash: str
    run: Mapping[str, Any]
    #: Further facts of the stage that later stages read; deterministic, like the books.
    facts: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def under(self, prefix: str) -> list[File]:
        """Return the files whose name starts with a folder's name, in order."""
        return [file for file in self.files if file.name.startswith(f"{prefix}/")]

    def digest(self, prefix: str | None = None) -> str:
        """Return the hash of what is committed (not of how): what later stages depend on."""
        files = self.files if prefix is None else self.under(prefix)
        return options_hash([[file.name, file.sha256] for file in files] + [dict(self.facts)])


def sha256(content: bytes) -> str:
    """Return the SHA-256 of bytes, in hex."""
    return hashlib.sha256(content).hexdigest()


def options_hash(content: Any) -> str:
    """Return the hash of a JSON-like value, independent of the order of its keys: 32 hex digits."""
    return hashlib.sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).hexdigest()[:32]


def to_json(commit: Commit) -> bytes:
    """Return a commit as the bytes of `_stage.json`."""
    return orjson.dumps(
        {
            "stage": commit.stage,
            "files": [dataclasses.asdict(file) for file in sorted(commit.files, key=lambda file: file.name)],
            "sources": {
                source: {"in": books.total, "kept": books.kept, "rejected": dict(sorted(books.rejected.items()))}
                for source, books in sorted(commit.sources.items())
            },
            "hash": commit.hash,
            "facts": commit.facts,
            "run": commit.run,
        },
        option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE,
    )


def from_json(content: bytes, where: str) -> Commit:
    """Parse `_stage.json`.

    Raises:
        RootError: It is not one, or of another version.
    """
    try:
        raw = orjson.loads(content)
        return Commit(
            stage=raw["stage"],
            files=tuple(File(**file) for file in raw["files"]),
            sources={name: Books(books["kept"], books["rejected"]) for name, books in raw["sources"].items()},
            hash=raw["hash"],
            run=raw["run"],
            facts=raw.get("facts", {}),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise RootError(
            "not a commit of this version of pmd",
            where=where,
            expected="a JSON object with stage, files, sources, hash and run",
            found=f"{type(error).__name__}: {error}",
            remedy="remove the folder it stands in; the stage is then run again",
        ) from None


def read(folder: str) -> Commit | None:
    """Return the commit of a folder, or None where nothing is committed."""
    path = storage.join(folder, STAGE_FILE)
    if not storage.exists(path):
        return None
    return from_json(storage.read_bytes(path), path)


def require(folder: str, remedy: str) -> Commit:
    """Return the commit of a folder.

    Raises:
        RootError: Nothing is committed there.
    """
    commit = read(folder)
    if commit is None:
        raise RootError("nothing is committed here", where=folder, expected=STAGE_FILE, remedy=remedy)
    return commit


def write(folder: str, commit: Commit) -> None:
    """Commit: replace `_stage.json`, then remove every file of the folder that it does not list."""
    storage.put(storage.join(folder, STAGE_FILE), to_json(commit))
    sweep(folder, commit)


def write_if_absent(folder: str, commit: Commit) -> bool:
    """Commit where nothing is committed yet; return whether this commit is the one that stands. For fetch generations."""
    return storage.put_if_absent(storage.join(folder, STAGE_FILE), to_json(commit))


def retire(folder: str) -> None:
    """Remove a commit with all its files; the commit goes first, so that no reader sees it half there."""
    storage.remove(storage.join(folder, STAGE_FILE))
    storage.remove_tree(folder)


def sweep(folder: str, commit: Commit) -> None:
    """Remove what a commit does not list; folders below with commits of their own are left alone."""
    listed = {file.name for file in commit.files} | {STAGE_FILE}
    names = storage.list_files(folder)
    nested = tuple(name.removesuffix(STAGE_FILE) for name in names if name.endswith(f"/{STAGE_FILE}"))
    for name in names:
        if name not in listed and not (nested and name.startswith(nested)):
            storage.remove(storage.join(folder, name))


def parquet_bytes(table: pa.Table) -> bytes:
    """Return a table as Parquet: the same rows give the same bytes, however they were chunked."""
    rows = table.combine_chunks()
    sink = io.BytesIO()
    with pq.ParquetWriter(
        sink,
        rows.schema,
        # Level 3 takes twice the time of 1 for a hundredth fewer bytes; so does a dictionary of texts that never repeat.
        compression="zstd",
        compression_level=1,
        use_dictionary=_repeating(rows),
        write_statistics=True,
        store_schema=True,
    ) as writer:
        writer.write_table(rows, row_group_size=ROW_GROUP_ROWS)
    return sink.getvalue()


def _repeating(rows: pa.Table) -> list[str]:
    """Return the columns of strings whose first rows repeat one another: those that a dictionary makes smaller."""
    head = rows.slice(0, _HEAD_ROWS)
    return [
        field.name
        for field in rows.schema
        if pa.types.is_string(field.type) and 4 * pc.count_distinct(head[field.name], mode="all").as_py() <= len(head)
    ]


def put_content(folder: str, prefix: str, suffix: str, content: bytes, rows: int) -> File:
    """Write a file under a name that carries its digest, so that a doubled or older worker can never change it.

    Args:
        folder: The folder of the commit.
        prefix: "pairs/part-00003-of-00016"; the digest's first 16 hex digits follow.
        suffix: ".parquet".
        content: The whole file.
        rows: What it holds.
    """
    digest = sha256(content)
    name = f"{prefix}-{digest[:16]}{suffix}"
    path = storage.join(folder, name)
    if not storage.exists(path):
        storage.put(path, content)
    return File(name, len(content), rows, digest)


def put_table(folder: str, prefix: str, table: pa.Table) -> File:
    """Write a table as one committed Parquet file."""
    return put_content(folder, prefix, ".parquet", parquet_bytes(table), table.num_rows)


def read_table(folder: str, file: File, columns: Iterable[str] | None = None) -> pa.Table:
    """Read one committed Parquet file, or some of its columns.

    Raises:
        VerificationError: It is gone, or has other bytes than were committed.
    """
    wanted = list(columns) if columns is not None else None
    with sealed.open_checked(storage.join(folder, file.name)) as source:
        # Neither `pq.read_table` nor threads: Arrow's threads let go of a Python file's buffers a little later than they
        # answer, and a process that ends in between is aborted (seen in one of 12 runs of a short command).
        table = pq.ParquetFile(source).read(columns=wanted, use_threads=False)
    return table if wanted is None else table.select(wanted)


def iterate(path: str, columns: Iterable[str] | None = None) -> Iterator[pa.RecordBatch]:
    """Yield a Parquet file's rows, a row group at a time.

    Raises:
        VerificationError: It is a committed file that is gone, or has other bytes.
    """
    wanted = list(columns) if columns is not None else None
    with sealed.open_checked(path) as file:
        parquet = pq.ParquetFile(file)
        for group in range(parquet.num_row_groups):
            rows = parquet.read_row_group(group, columns=wanted, use_threads=False)
            yield from rows.combine_chunks().to_batches()
