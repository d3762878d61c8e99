"""The list of what has left published lists, as it stands beside them: where it is, and its ids.

`pmd.publish.withdrawn` writes it; whoever reads lists that are older leaves out what it names.
"""

from __future__ import annotations

import itertools
import posixpath
from collections.abc import Iterable, Iterator

import pyarrow as pa

from pmd import flow
from pmd.store import parquet_files, storage


def near(folders: Iterable[str]) -> Iterator[str]:
    """Yield those of the folders above a list's file in which it may stand: the nearest two, the nearest first.

    Of folders that part a list by columns (`source=S/split=test`) all, and the one above them.
    """
    parts = 0
    for number, folder in enumerate(folders):
        if number >= flow.WITHDRAWN_ABOVE and parts < number:
            return
        parts += "=" in posixpath.basename(folder)
        yield folder


def where(lists: str) -> str | None:
    """Return the list of what has left that stands beside lists, in their folder or above a file; None where none does."""
    folders = itertools.chain([lists] if storage.is_folder(lists) else [], storage.above(lists))
    paths = (storage.join(folder, flow.WITHDRAWN) for folder in near(folders))
    return next(filter(storage.exists, paths), None)


def ids(path: str) -> pa.Array:
    """Return the ids of a list of what has left, in hex."""
    found = [batch["pair_id"].drop_null().cast(pa.string()) for batch in parquet_files.iterate(path, ["pair_id"])]
    return pa.concat_arrays([pa.array([], pa.string()), *found])


def beside(lists: str) -> pa.Array | None:
    """Return the ids of what has left that stand beside lists, as `where` finds them; None where none do."""
    path = where(lists)
    return None if path is None else ids(path)
