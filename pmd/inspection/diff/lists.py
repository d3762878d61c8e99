"""Two published lists (`pmd publish`), or folders of them, wherever they were copied to: rows compared by pair_id."""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from pmd.errors import InputError
from pmd.inspection.diff import pairs
from pmd.inspection.diff.join import A, B, Meeting
from pmd.publish.rules import PUBLISHED
from pmd.schema import keys
from pmd.store import commits, root, sealed, storage

_SAID: Final = [name for name in PUBLISHED.names if name not in {"pair_id", "source", "text", "image_url"}]


def files(url: str) -> list[str]:
    """Return the Parquet files of a list, of a folder of lists, or of a ROOT's; what a commit lists, where there is one.

    Raises:
        InputError: A file is none of a list.
    """
    if not storage.is_folder(url):
        found = [url]
    else:
        below = storage.list_files(url)
        top = "publish/" if root.ROOT_FILE in below else ""
        committed = [name for name in below if posixpath.basename(name) == commits.STAGE_FILE and name.startswith(top)]
        found = []
        for name in committed:
            folder = storage.join(url, posixpath.dirname(name)).rstrip("/")
            commit = commits.read(folder)
            found += [storage.join(folder, file.name) for file in commit.files] if commit is not None else []
        if not committed:
            found = [storage.join(url, name) for name in below if name.endswith(".parquet") and name.startswith(top)]
    for path in found:
        _check(path)
    return found


def _check(path: str) -> None:
    try:
        with sealed.open_checked(path) as file:
            names = pq.ParquetFile(file).schema_arrow.names
    except pa.ArrowInvalid as error:
        raise InputError("not a Parquet file", where=path, expected="a list of pmd publish", found=str(error)) from None
    absent = [name for name in PUBLISHED.names if name not in names]
    if absent:
        raise InputError(
            "not a list that pmd publish wrote",
            where=path,
            expected=f"the columns {', '.join(PUBLISHED.names)}",
            found=f"none called {', '.join(absent)}",
            remedy="give a ROOT, ROOT/publish or one of its folders, or a copy of them",
        )


def compare(a: Sequence[str], b: Sequence[str], limit: int) -> dict[str, Any]:
    """Compare the rows of lists; see `pmd.inspection.diff.diff`."""
    total = 0
    for path in (*a, *b):
        with sealed.open_checked(path) as file:
            total += pq.ParquetFile(file).metadata.num_rows
    with Meeting(total) as met:
        for side, paths in ((A, a), (B, b)):
            for path in paths:
                _spread(met, side, path)
        found = pairs.compare(met, limit)
    listed = sorted({source for source, _, _ in found.fates})
    return {
        "equal": not pairs.moves(found) and not found.changed,
        "pairs": sum(found.fates.values()),
        "stages": pairs.stage_table(found, {source: ["publish"] for source in listed}),
        "not_compared": [],
        "moved": pairs.moves(found),
        "changed": pairs.changes(found),
        "images": None,
        "outputs": [],
        "options": [],
        "examples": found.examples,
    }


def _spread(met: Meeting, side: str, path: str) -> None:
    for batch, file, row in met.read(path, PUBLISHED.names):
        try:
            pair_ids = keys.key_array(bytes.fromhex(key) for key in batch["pair_id"].to_pylist())
        except (ValueError, TypeError, pa.ArrowInvalid) as error:
            raise InputError(
                "a key that is none", where=f"{path}: pair_id", expected="32 hex digits", found=str(error)
            ) from None
        said = pairs.said(batch, _SAID)
        met.add(pair_ids, side=side, kind=pairs.PAIR, source=batch["source"], file=file, row=row, **said)
