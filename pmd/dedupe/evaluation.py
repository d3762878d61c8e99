"""Evaluation images, as hashes: what must not be trained on, told without handing on the images themselves.

A list is a text file, a Parquet file, or images that are hashed here (a folder, a tar or a zip). SHA-256 finds the very
file, PDQ whatever looks like it, within the distance that near-duplicates have. Both are 64 hex digits, so a list says
which it means; `pmd hashes` writes such lists.
"""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pmd import codec, escape
from pmd.dedupe import near
from pmd.errors import InputError
from pmd.formats import archives, encoding, parquet
from pmd.store import storage

#: One evaluation image; either hash may be missing. `name` says which list has it, and as what.
KNOWN: Final = pa.schema(
    [
        pa.field("sha256", pa.binary(32)),
        pa.field("pdq", pa.binary(32)),
        pa.field("name", pa.string(), nullable=False),
    ]
)

#: Images in the answer: which, how far from what, and its name.
OVERLAPS: Final = pa.schema(
    [
        pa.field("place", pa.int64(), nullable=False),
        pa.field("distance", pa.int32(), nullable=False),
        pa.field("name", pa.string(), nullable=False),
    ]
)

#: By so many bytes the format of a picture is told.
_HEAD_BYTES: Final = 64
_NOT_THERE: Final = "no such list, folder or archive of evaluation images"
_EXPECTED: Final = "sha256:HEX, pdq:HEX or both, 64 hex digits each, and perhaps a name behind them"
_REMEDY: Final = "write the list with: pmd hashes FOLDER > LIST"
_TOKEN: Final = re.compile(r"(sha256|pdq):([0-9a-fA-F]{64})(?:\s+|$)")
_COLUMNS: Final = {"sha256": "sha256", "pdq": "pdq", "perceptual_hash": "pdq"}


def read(paths: Iterable[str]) -> pa.Table:
    """Return all evaluation images, `KNOWN`, in the order of the lists.

    Raises:
        InputError: A path is not there, or holds neither hashes nor images.
    """
    return pa.concat_tables([KNOWN.empty_table(), *(_read(path) for path in paths)]).combine_chunks()


def check(paths: Iterable[str]) -> None:
    """Find before anything runs what `read` would refuse, without hashing an image or reading all of a long table.

    Raises:
        InputError: As `read`.
    """
    for path in paths:
        if storage.is_folder(path) or (storage.exists(path) and archives.is_archive(path)):
            there = any(codec.sniff(content) is not None for _, content in _contents(path, _HEAD_BYTES))
        elif not storage.exists(path):
            raise InputError(_NOT_THERE, where=path)
        else:
            # Of lines all: a mistake may be in the last.
            rows = _read_parquet(path) if parquet.is_parquet(path) else iter([*_read_lines(path)])
            there = any(row.get("sha256") or row.get("pdq") for row in rows)
        if not there:
            raise _nothing(path)


def _nothing(path: str) -> InputError:
    return InputError("no evaluation image is in it", where=path, expected=f"images, or lines of {_EXPECTED}")


def _read(path: str) -> pa.Table:
    if storage.is_folder(path) or (storage.exists(path) and archives.is_archive(path)):
        repeated = None if storage.is_folder(path) else archives.note_of_repeated(path)
        if repeated is not None:
            logging.getLogger("pmd.notes").warning(repeated)
        images = list(hashed(path))
        undecoded = [name for name, _, pdq in images if pdq is None]
        if undecoded:
            logging.getLogger("pmd.notes").warning(note_of_undecoded(path, undecoded))
        rows = [
            {"sha256": sha256, "pdq": pdq, "name": escape.terminal(f"{path}: {name}")} for name, sha256, pdq in images
        ]
    elif not storage.exists(path):
        raise InputError(_NOT_THERE, where=path)
    else:
        rows = list(_read_parquet(path) if parquet.is_parquet(path) else _read_lines(path))
    if not any(row.get("sha256") or row.get("pdq") for row in rows):
        raise _nothing(path)
    return pa.Table.from_pylist(rows, schema=KNOWN)


def _read_lines(path: str) -> Iterator[dict[str, Any]]:
    text = encoding.without_mark(storage.read_bytes(path), path).decode("utf-8", errors="replace")
    for number, line in enumerate(text.splitlines(), start=1):
        rest = line.strip()
        if not rest or rest.startswith("#"):
            continue
        found: dict[str, Any] = {}
        while token := _TOKEN.match(rest):
            found[token[1]] = bytes.fromhex(token[2])
            rest = rest[token.end() :]
        if not found:
            raise InputError(
                "not a hash", where=f"{path}:line {number}", expected=_EXPECTED, found=line.strip()[:80], remedy=_REMEDY
            )
        yield {**found, "name": f"{path}: {rest}" if rest else f"{path}:line {number}"}


def _read_parquet(path: str) -> Iterator[dict[str, Any]]:
    with parquet.telling(path), storage.open_raw(path) as file:
        table = pq.ParquetFile(file)
        names = table.schema_arrow.names
        columns = [name for name in names if name in _COLUMNS]
        if not columns or len({_COLUMNS[name] for name in columns}) < len(columns):
            raise InputError(
                "a Parquet file with several columns of one hash" if columns else "a Parquet file without hashes",
                where=path,
                expected="a column sha256, pdq or perceptual_hash: 32 bytes, or 64 hex digits",
                found=", ".join(names),
            )
        wanted = [*columns, *(["name"] if names.count("name") == 1 else [])]
        rows = (row for batch in table.iter_batches(columns=wanted, use_threads=False) for row in batch.to_pylist())
        for number, row in enumerate(rows):
            hashes = {_COLUMNS[name]: _bytes(row[name], f"{path}: {name}, row {number}") for name in columns}
            said = row.get("name")
            yield {**hashes, "name": f"{path}: row {number}" if said is None else f"{path}: {said}"}


def _bytes(value: Any, where: str) -> bytes | None:
    if value is None or (isinstance(value, bytes) and len(value) == 32):
        return value
    if isinstance(value, str) and re.fullmatch(r"[0-9a-fA-F]{64}", value):
        return bytes.fromhex(value)
    raise InputError("not a hash", where=where, expected="32 bytes, or 64 hex digits", found=repr(value)[:80])


def hashed(path: str) -> Iterator[tuple[str, bytes, bytes | None]]:
    """Yield (name, SHA-256, PDQ hash) of every image in a folder, tar or zip, in order of name; other files are passed over.

    A picture that does not decode, since it is damaged or too large, has no PDQ hash: it is known again by its bytes alone.
    """
    for name, content in _contents(path):
        if codec.sniff(content) is None:
            continue
        try:
            pdq = codec.hash_of(content, codec.Limits())
        except codec.Refused:
            pdq = None
        yield name, hashlib.sha256(content).digest(), pdq


def _contents(path: str, most: int = -1) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of each file in a folder, tar or zip, in order of name; of each so many bytes at most."""
    folder = storage.is_folder(path)
    names = storage.list_files(path) if folder else [member.name for member in archives.members(path)]
    for name in sorted(names):
        with storage.open_raw(storage.join(path, name)) if folder else archives.open_member(path, name) as file:
            content = file.read(most)
        yield name, content


def note_of_undecoded(path: str, names: Sequence[str]) -> str:
    """Return what a person should know of evaluation images that `hashed` could not decode."""
    does = "picture does" if len(names) == 1 else "pictures do"
    return (
        f"{path}: {len(names):,} {does} not decode, so that only the same bytes are known again, and nothing that looks alike: "
        f"{names[0]}{', …' if len(names) > 1 else ''}"
    )


def line(name: str, sha256: bytes, pdq: bytes | None) -> str:
    """Return a line of a list."""
    looks = f"\tpdq:{pdq.hex()}" if pdq is not None else ""
    return f"sha256:{sha256.hex()}{looks}\t{escape.terminal(name)}"


def overlaps(rows: pa.Table, known: pa.Table, distance: int) -> pa.Table:
    """Find the images that are among those known.

    Args:
        rows: With `sha256` and `perceptual_hash`, as the ledger has them.
        known: `KNOWN`.
        distance: The largest at which two perceptual hashes match; those that say too little match nothing.

    Returns:
        `OVERLAPS`, in order of place: the same file where there is one, else the nearest hash, else nothing.
    """
    by_digest: dict[bytes | None, str] = {}
    for digest, name in zip(known["sha256"].to_pylist(), known["name"].to_pylist(), strict=True):
        by_digest.setdefault(digest, name)
    by_digest.pop(None, None)
    with_hash = known.filter(known["pdq"].is_valid()).combine_chunks()
    theirs = near.words(with_hash["pdq"])
    telling = np.flatnonzero(near.informative(theirs))
    mine_at = np.flatnonzero(rows["perceptual_hash"].is_valid().to_numpy(zero_copy_only=False))
    mine = near.words(rows["perceptual_hash"].take(pa.array(mine_at)))
    useful = near.informative(mine)
    place, far = near.nearest(mine[useful], theirs[telling], distance)
    names = with_hash["name"].to_pylist()
    found = {
        int(at): (int(bits), names[telling[other]])
        for at, other, bits in zip(mine_at[useful], place, far, strict=True)
        if other >= 0
    }
    for at, digest in enumerate(rows["sha256"].to_pylist()):
        if digest in by_digest:
            found[at] = (0, by_digest[digest])
    return pa.Table.from_pylist(
        [{"place": at, "distance": bits, "name": name} for at, (bits, name) in sorted(found.items())], schema=OVERLAPS
    )
