"""Annotation files of facebook/pmd (experimental): JSON Lines of `{"image_url", "text" or "texts", "source", "meta"}`.

Of several texts the first is the caption, as M4's loader takes it. One of the files is `yfcc100m_subset.jsonl`, the only
record of what FLAVA's unpublished YFCC filter kept. That they have these fields is known from code that reads them; no such
file was seen. So a line without them is counted and shown, never guessed at, and a file of such lines is refused.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Final

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from pmd.errors import InputError
from pmd.formats import json_stream, lines
from pmd.schema import keys
from pmd.schema.tables import KEY
from pmd.sources import records
from pmd.text import cleaning, pages, url_identity

#: Their rows. `line` counts from 0; `image_id` is null where the row does not tell its image.
THEIRS: Final = pa.schema(
    [
        pa.field("line", pa.int64(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("text", pa.string(), nullable=False),
        pa.field("image_id", KEY),
        pa.field("of_bucket", pa.bool_(), nullable=False),  # a URL that only the photograph's hash names
    ]
)
_EXPECTED: Final = '{"image_url": …, "text": … or "texts": [… ], "source": "yfcc100m", "meta": "{…}"}, one a line'
_YFCC: Final = "yfcc100m"
_BUCKET: Final = r"^https?://[^/?#]*multimedia-commons[^?#]*/(?P<hash>[0-9a-f]+)\.jpg$"


@dataclasses.dataclass
class Read:
    """What a file held, beside the rows that can be compared.

    Attributes:
        rows: Lines.
        unreadable: Lines without the fields.
        unidentified: Rows that do not tell their image.
        not_curated: source → rows of sources that are not asked for.
        first: The first few of both, where and why.
    """

    rows: int = 0
    unreadable: int = 0
    unidentified: int = 0
    not_curated: Counter[str] = dataclasses.field(default_factory=Counter)
    first: list[str] = dataclasses.field(default_factory=list)


@dataclasses.dataclass(frozen=True)
class Row:
    """One row: the caption, the source as they spell it, and the image's identity where `meta` tells it."""

    source: str
    caption: str
    identity: str | None
    image_url: str | None


def parse(value: Any) -> Row:
    """Return the value of a line as a row.

    Raises:
        Malformed: It has not the fields; says which.
    """
    row = records.mapping(value, "row")
    source, url = records.text(row, "source"), records.optional_text(row, "image_url")
    several = records.items(row, "texts") if "texts" in row else []
    caption = records.text({"text": several[0]}, "text") if several else records.text(row, "text")
    meta = row.get("meta")
    if isinstance(meta, str) and source == _YFCC:
        try:
            meta = orjson.loads(meta)
        except orjson.JSONDecodeError:
            raise records.Malformed("meta: not JSON") from None
    return Row(source, caption, photo(meta) if source == _YFCC and isinstance(meta, dict) else None, url or None)


def photo(meta: Mapping[str, Any]) -> str | None:
    """Return the identity of a YFCC100M photograph by upstream's columns, or None where they do not tell it."""
    photo_id = str(meta.get("photoid", ""))
    if photo_id.isdecimal() and photo_id.isascii():
        return f"flickr:{photo_id}"
    identity = url_identity.of_one(str(meta.get("downloadurl", "")))
    if identity is not None and identity.startswith("flickr:"):
        return identity
    return _by_page(str(meta.get("pageurl", "")))


def _by_page(url: str | None) -> str | None:
    """Return the one identity that a page about an image tells, or None."""
    page = pages.meant(url) if url else None
    return page.identities[0] if page is not None and len(page.identities) == 1 else None


def read(path: str, names: Mapping[str, str], found: Read, limit: int) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a file that tell their image, as `THEIRS`; count everything else.

    Args:
        path: The file, plain or compressed.
        names: The sources to be compared, as they spell them → our names.
        found: Filled.
        limit: How many lines that cannot be compared are told.

    Raises:
        InputError: The file's first lines have not the fields, or it is damaged.
    """
    for batch in lines.read_lines(path):
        if isinstance(batch, lines.LongLine):
            found.unreadable += 1
            _tell(found, limit, f"{batch.where}: {batch.why}")
            found.rows += 1
            continue
        rows: list[tuple[int, Row]] = []
        for i, value, error in json_stream.parse_json_lines(batch):
            try:
                if error is not None:
                    raise records.Malformed(error)
                row = parse(value)
            except records.Malformed as wrong:
                found.unreadable += 1
                _tell(found, limit, f"{batch.place(i)}: {wrong}")
                continue
            if row.source in names:
                rows.append((i, row))
            else:
                found.not_curated[row.source] += 1
        if not found.rows and found.unreadable == len(batch):
            raise _foreign(batch)
        yield _batch(batch, rows, names, found, limit)
        found.rows += len(batch)


def _batch(
    batch: lines.LineBatch, rows: list[tuple[int, Row]], names: Mapping[str, str], found: Read, limit: int
) -> pa.RecordBatch:
    image_urls = pa.array([None if row.identity else row.image_url for _, row in rows], pa.string())
    hashed = of_bucket(image_urls)
    identities = pc.coalesce(pa.array([row.identity for _, row in rows], pa.string()), hashed, _identities(image_urls))
    for (i, _), tells in zip(rows, identities.is_valid().to_pylist(), strict=True):
        if not tells:
            found.unidentified += 1
            _tell(found, limit, f"{batch.place(i)}: neither image_url nor meta tells the image")
    return pa.RecordBatch.from_arrays(
        [
            pa.array([found.rows + i for i, _ in rows], pa.int64()),
            pa.array([names[row.source] for _, row in rows], pa.string()),
            cleaning.normalise(pa.array([row.caption for _, row in rows], pa.string())),
            keys.image_ids(identities),
            hashed.is_valid(),
        ],
        schema=THEIRS,
    )


def _identities(image_urls: pa.Array) -> pa.Array:
    """Return the identity of each URL, be it that of a page about the image."""
    own = url_identity.of(image_urls)
    perhaps = pc.fill_null(pc.starts_with(own, url_identity.BY_URL), fill_value=False)
    told = pa.array(map(_by_page, image_urls.filter(perhaps).to_pylist()), pa.string())
    return pc.replace_with_mask(own, perhaps, pc.coalesce(told, own.filter(perhaps)))


def of_bucket(image_urls: pa.Array) -> pa.Array:
    """Return what stands for a photograph in URLs of the Multimedia Commons bucket, however they spell it; else null."""
    return pc.binary_join_element_wise(
        "multimedia-commons:", pc.struct_field(pc.extract_regex(image_urls, _BUCKET), "hash"), ""
    )


def _tell(found: Read, limit: int, line: str) -> None:
    if len(found.first) < limit:
        found.first.append(line)


def _foreign(batch: lines.LineBatch) -> InputError:
    return InputError(
        "not an annotation file of facebook/pmd",
        where=batch.place(0),
        expected=_EXPECTED,
        found=batch.lines[0].as_py()[:80].decode("utf-8", "replace"),
        remedy="to compare other annotation files, curate them into a ROOT of their own, and compare the two ROOTs",
    )


def read_back(path: str, wanted: set[int]) -> dict[int, dict[str, str | None]]:
    """Return line → caption and image_url of some lines: the file is read once more, up to the last of them."""
    found: dict[int, dict[str, str | None]] = {}
    before = 0
    for batch in lines.read_lines(path) if wanted else ():
        if isinstance(batch, lines.LongLine):
            before += 1
            continue
        for line in wanted & {*range(before, before + len(batch))}:
            row = parse(orjson.loads(batch.lines[line - before].as_py()))
            found[line] = {"text": row.caption, "image_url": row.image_url}
        before += len(batch)
        if len(found) == len(wanted):
            break
    return found
