"""Lists that `pmd publish` wrote, read as people's own pairs (`pmd.sources.url_text`): what a row says beside its URL and text.

Whoever holds a list and not the annotation files makes shards of it so. The caption of a region is of that part of its image
alone, and a test picture is none to train on: a reader that passed over these columns would make other pairs of the rows.
"""

from __future__ import annotations

import functools
import posixpath
from collections.abc import Mapping
from typing import Any, Final

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from pmd import flow
from pmd.errors import InputError
from pmd.formats import folders
from pmd.schema import licences
from pmd.schema.tables import REGION
from pmd.sources import named_rows
from pmd.sources.named_tables import Table
from pmd.store import storage, withdrawn

#: Columns by which a table is told for a list: those of every version.
_OF_EVERY: Final = frozenset(
    {"image_url", "text", "source", "meta", "pair_id", "image_id", "region", "sha256", "text_licence", "image_licence", "split"}
)  # fmt: skip
#: What is read of a list beside URL and text.
COLUMNS: Final = ("region", "width", "height", "text_licence", "image_licence", "licence_evidence", "split", "pair_id")

_LICENCES: Final = ("text_licence", "image_licence")
#: By how much a region may stick out of its image: sums of fractions are not exact.
_ROUNDED: Final = 1e-9


def is_list(table: Table) -> bool:
    """Return whether a table is a published list; others may have parted it by columns, which then name its folders.

    Raises:
        InputError: It is one in another form than it was published in.
    """
    if not {*table.columns, *folders.said(table.path)} >= _OF_EVERY:
        return False
    if table.form != "parquet":
        raise InputError(
            "a published list in another form",
            where=table.label,
            expected="the Parquet files that pmd publish wrote, whose rows tell regions and splits",
            found=table.form,
            remedy="give those; or leave out the column sha256: then the table has URLs and texts, and nothing else is read",
        )
    return True


def is_of_withdrawn(table: Table) -> bool:
    """Return whether a table is the list of what has left published lists, and not pairs in a file that is called so."""
    return posixpath.basename(table.path) == flow.WITHDRAWN and table.columns == ("pair_id",)


def withdrawn_beside(path: str) -> pa.Array:
    """Return the ids of what has left, by the list that stands beside a list's file or above it; none where none does."""
    there = withdrawn.where(path)
    return pa.array([], pa.large_string()) if there is None else _ids(there, storage.fingerprint(there))


@functools.lru_cache(maxsize=1)
def _ids(path: str, _fingerprint: str) -> pa.Array:
    return withdrawn.ids(path).cast(pa.large_string())


def of_folders(path: str) -> dict[str, str | None]:
    """Return those of `COLUMNS` that the names of a list's folders say, of all rows of its file."""
    return {name: value for name, value in folders.said(path).items() if name in COLUMNS}


def drafted(
    columns: Mapping[str, pa.Array], given: Mapping[str, str], split: str | None, left: pa.Array
) -> dict[str, Any]:
    """Return columns of drafts.

    Args:
        columns: `COLUMNS`, as text; those that the list has.
        given: text_licence and image_licence of the configuration, which hold where the row states none.
        split: That of the file's name, which holds where the row has none.
        left: The ids of what has left later releases (`withdrawn_beside`).
    """
    nothing = pa.nulls(len(columns["region"]), pa.large_string())
    said = {name: columns.get(name, nothing) for name in COLUMNS}
    texts = said["region"].to_pylist()
    found = [_region(text) for text in texts]
    has_left = pc.is_in(said["pair_id"], value_set=left)
    is_spoilt = pa.array([box is None and text is not None for box, text in zip(found, texts, strict=True)])
    in_part = pa.array([region is not None for region in found])
    sizes = {
        f"{name}_px": pc.if_else(in_part, _sides(said[name]), pa.scalar(None, pa.int32()))
        for name in ("width", "height")
    }
    known = pc.if_else(
        pc.is_in(said["split"], value_set=pa.array(flow.SPLITS, pa.large_string())), said["split"], nothing
    )
    return {
        "region": pa.array(found, REGION),
        # Of the picture that was fetched then: boxes do not fit one of another shape.
        **sizes,
        **{name: _stated(said[name], given[name]) for name in _LICENCES},
        "licence_evidence": said["licence_evidence"],
        "split": pc.coalesce(known, pa.scalar(split, pa.large_string())),
        "reason": pc.if_else(
            has_left, "withdrawn", pc.if_else(is_spoilt, pa.scalar("bad_region"), pa.scalar(None, pa.string()))
        ),
    }


def spelled(regions: pa.Array, texts: pa.Array) -> pa.Array:
    """Return regions as one text each, however a file spells them; those that are none as they stand there, null of none."""
    both = zip(regions.to_pylist(), texts.to_pylist(), strict=True)
    return pa.array([text if box is None else orjson.dumps(box).decode() for box, text in both], pa.large_string())


def _region(text: str | None) -> list[float] | None:
    """Return `[x, y, width, height]`; None where there is none, or it is none within an image."""
    try:
        box = None if text is None else orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(box, list) or len(box) != 4 or not all(type(side) in (int, float) for side in box):
        return None
    x, y, width, height = map(float, box)
    fits = x >= 0 and y >= 0 and width > 0 and height > 0 and x + width <= 1 + _ROUNDED and y + height <= 1 + _ROUNDED
    return [x, y, width, height] if fits else None


def _sides(column: pa.Array) -> pa.Array:
    """Return sides of pictures in pixels; null for what is none."""
    found = named_rows.whole_numbers(column)
    return pc.if_else(pc.greater(found, 0), found, pa.scalar(None, pa.int32()))


def _stated(column: pa.Array, otherwise: str) -> pa.Array:
    """Return the licence that each row states, as SPDX spells it; where it states none, another."""
    stated = column.dictionary_encode()
    names = [licences.or_none(name) for name in stated.dictionary.to_pylist()]
    found = pa.array([otherwise if name == licences.NOASSERTION else name for name in names], pa.string())
    return pc.coalesce(found.take(stated.indices), pa.scalar(otherwise))
