"""Takedown lists: which lines they have, and which of them have taken nothing down.

A line that cannot be read is a mistake and not a comment: whoever asked for a takedown must not be ignored because of a slip.
A line that matches nothing is none, since a list may be older or wider than a ROOT, but is told.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Sequence
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pmd.errors import InputError
from pmd.formats import encoding
from pmd.schema import keys
from pmd.store import commits, root, sealed, storage
from pmd.text import urls

#: The reason of pairs that are taken down.
REASON: Final = "takedown"

_KEY: Final = re.compile("[0-9a-fA-F]{32}")
#: Lines that are shown of many.
_SHOWN: Final = 5


@dataclasses.dataclass(frozen=True)
class Line:
    """One line of a list.

    Attributes:
        place: "FILE:line N".
        said: The line.
        key: The image or pair that it names, by its key or by the identity of its URL.
        url: The canonical URL, where it is one.
    """

    place: str
    said: str
    key: bytes
    url: str | None


def lines(paths: Iterable[str]) -> list[Line]:
    """Read takedown lists: one image URL, image_id or pair_id (32 hex digits) a line; a line of "#" is a comment.

    Raises:
        InputError: Lines are none of these; all of them are counted, the first few shown.
    """
    listed: list[Line] = []
    wrong: list[tuple[str, str]] = []
    for path in paths:
        content = encoding.without_mark(storage.read_bytes(path), path).decode("utf-8", errors="replace")
        for number, line in enumerate(content.splitlines(), start=1):
            said = line.strip()
            if not said or said.startswith("#"):
                continue
            place = f"{path}:line {number}"
            identity = urls.identity_one(said)
            if _KEY.fullmatch(said):
                listed.append(Line(place, said, bytes.fromhex(said), None))
            elif identity is not None:
                listed.append(Line(place, said, keys.image_id(identity), urls.canonical_one(said)))
            else:
                wrong.append((place, said))
    if wrong:
        more = f"; and {len(wrong) - _SHOWN:,} more" if len(wrong) > _SHOWN else ""
        raise InputError(
            "takedown: a line names nothing" if len(wrong) == 1 else f"takedown: {len(wrong):,} lines name nothing",
            where=", ".join(place for place, _ in wrong[:_SHOWN]) + more,
            expected="an http or https URL, or an image_id or pair_id of 32 hex digits; # begins a line of comment",
            found=", ".join(said for _, said in wrong[:_SHOWN]),
            remedy="mend the lines; nothing was run, so that nobody's request is passed over",
        )
    return listed


def unmatched(root_url: str, sources: Iterable[str], listed: Sequence[Line]) -> list[Line]:
    """Return the lines because of which no pair has left, by the commits as they stand.

    Reads the keys of all pairs once, and more only of those that were taken down.
    """
    views = root.views_folder(root_url)
    hits: set[bytes] = set()
    forms: set[str | None] = set()
    left: list[bytes] = []
    for file in commits.require(views, "run: pmd images CONFIG").under("rejected") if listed else ():
        rows = commits.read_table(views, file, ["reason", "pair_id", "image_id"])
        rows = rows.filter(pc.equal(rows["reason"], REASON))
        left += rows["pair_id"].to_pylist()
        hits.update(left, rows["image_id"].to_pylist())
    for source in sources if left else ():
        folder = root.curate_folder(root_url, source)
        for file in commits.require(folder, "run: pmd curate CONFIG").under("pairs"):
            for row in _described(storage.join(folder, file.name), keys.key_array(left)):
                hits.add(row["image_id"])
                if row["also"] is not None:
                    hits.add(keys.image_id(row["also"]))
                if row["image_url"] is not None:
                    forms.add(urls.canonical_one(row["image_url"]))
    return [line for line in listed if line.key not in hits and (line.url is None or line.url not in forms)]


def _described(path: str, pair_ids: pa.Array) -> list[dict[str, Any]]:
    described: list[dict[str, Any]] = []
    with sealed.open_checked(path) as raw:
        parquet = pq.ParquetFile(raw)
        for group in range(parquet.num_row_groups):
            there = pc.is_in(parquet.read_row_group(group, ["pair_id"], use_threads=False)["pair_id"], pair_ids)
            if pc.any(there).as_py():
                rows = parquet.read_row_group(group, ["image_id", "also", "image_url"], use_threads=False)
                described += rows.filter(there).to_pylist()
    return described


def note(listed: Sequence[Line], without: Sequence[Line]) -> str | None:
    """Return in words which lines have taken nothing down, or None where all have."""
    if not without:
        return None
    shown = ", ".join(line.place for line in without[:_SHOWN]) + (", …" if len(without) > _SHOWN else "")
    return f"takedown: {len(without):,} of {len(listed):,} lines match no pair of this ROOT: {shown}"
