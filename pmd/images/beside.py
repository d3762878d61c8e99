"""What workers of images know beside the pairs: files of archives, which images stand for others or are held out, and scores.

The driver writes each into a file of the work folder, whose name tells what is in it. A worker reads it once.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Collection, Iterable, Iterator, Sequence

import orjson
import pyarrow as pa

from pmd.config import places, scores
from pmd.images import archived, needs
from pmd.images import rules as images_rules
from pmd.images.aliases import Aliases
from pmd.images.archived import Index
from pmd.schema.tables import KEY
from pmd.store import commits, parquet_files, root, storage


def write_index(archives: Sequence[str], name: str, paths: Iterable[str], folder: str) -> str:
    """Write which files a source's archives have; tell where these have a name several times, or none of its pictures.

    Args:
        archives: Archives and folders of images.
        name: The source.
        paths: The files of its pairs.
        folder: Where it is written.
    """
    told = logging.getLogger("pmd.notes")
    index = archived.index_archives(archives, places.written, lambda note: told.warning("%s: %s", name, note))
    note = archived.note_of_archives(name, _file_names(paths), index)
    if note is not None:
        told.warning("%s", note)
    return commits.put_aside(folder, f"archives-{name}", orjson.dumps(index.locations))


def _file_names(paths: Iterable[str]) -> Iterator[str | None]:
    for path in paths:
        for batch in parquet_files.iterate(path, ["file_name"]):
            yield from batch.column(0).to_pylist()


@functools.lru_cache(maxsize=2)
def read_index(path: str) -> Index:
    """Return what `write_index` has written."""
    return Index(orjson.loads(storage.read_bytes(path)))


def write_aliases(found: Iterable[pa.RecordBatch], folder: str) -> str:
    """Write which images stand for others, of batches of `ALIASES`."""
    table = Aliases.of(found).table
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    return commits.put_aside(folder, "aliases", sink.getvalue().to_pybytes())


@functools.lru_cache(maxsize=1)
def read_aliases(path: str) -> Aliases:
    """Return what `write_aliases` has written."""
    return Aliases(pa.ipc.open_file(storage.read_bytes(path)).read_all())


def write_held_out(
    root_url: str, left_out: Iterable[tuple[str, commits.Commit]], links: Collection[tuple[bytes, bytes]], folder: str
) -> str:
    """Write the keys of the evaluation images that sources have left out, under every identity that sources know of them.

    Args:
        root_url: ROOT.
        left_out: The sources that say in their books that they have left some out, with their commits.
        links: See `aliases.links`.
        folder: Where it is written.
    """
    ids: set[bytes] = set()
    for name, commit in left_out:
        for file in commit.under("rejected"):
            path = storage.join(root.curate_folder(root_url, name), file.name)
            for batch in parquet_files.iterate(path, needs.EVALUATION_COLUMNS):
                ids |= needs.evaluation_images(batch)
    return commits.put_aside(folder, "held-out", b"".join(sorted(images_rules.reached(frozenset(ids), links))))


@functools.lru_cache(maxsize=1)
def read_held_out(path: str) -> pa.Array:
    """Return what `write_held_out` has written: keys, in order."""
    content = storage.read_bytes(path)
    return pa.Array.from_buffers(KEY, len(content) // KEY.byte_width, [None, pa.py_buffer(content)])


@functools.lru_cache(maxsize=16)
def verdicts(held: scores.Held) -> scores.Verdicts:
    """Return what scores decide, of the files that `scores.put` has written."""
    return held.mapped()
