"""Files of two columns, a URL and a caption, without quoting: Conceptual Captions and Conceptual 12M.

Mirrors of them are tables whose columns have names (`pmd.sources.named_tables`). They keep all that upstream's line says, so
that their rows are keyed by that line, put together again.

The two sources differ in the order of their columns, and in nothing else that a parser sees: a file given to the wrong
one reads without an error, and yields captions for URLs. So the first lines must show a URL where the
source has its own. Upstream's files have no header; img2dataset's recipes put one on top, whose names then tell the columns.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pmd.errors import InputError
from pmd.formats import archives, lines, tsv
from pmd.sources import column_drafts, named_rows, named_tables, records
from pmd.sources.contract import Chunk, InputFile, SourceOptions

#: Bytes of a chunk.
CHUNK_BYTES: Final = lines.RANGE_BYTES

#: Lines looked at to tell whether a file is the source's.
_HEAD_LINES: Final = 100
_HEAD_BYTES: Final = 64 * 1024
_URL: Final = "(?i)^https?://"

_MEMBERS: Final = r"[^.].*\.(tsv|txt)(\.\w+)?"
#: Names of columns, as headers have them → what they are. Those that are not needed are known, so that a header with them is one.
NAMES: Final[Mapping[str, str]] = {
    **dict.fromkeys(("url", "urls", "image_url", "image_urls", "img_url", "imageurl"), "image_url"),
    **dict.fromkeys(("caption", "captions", "text", "alt_text", "alttext"), "caption"),
    **{name: name for name in ("id", "key", "index", "split", "hash", "width", "height", "user_id", "status")},
    **{name: name for name in ("labels", "mids", "confidence_scores")},  # of Conceptual Captions with labels
}
#: How a chunk's form begins; the columns follow where the file has a header.
_FORM: Final = "tsv"
#: The same of a file without a header that has further columns.
_WIDER: Final = "wider tsv"


class NoOptions(SourceOptions):
    """These sources have no rules of their own: neither the paper nor any loader filters them."""


@dataclasses.dataclass(frozen=True)
class TwoColumns:
    """A source whose files have two columns.

    Attributes:
        name: As in `Source`.
        columns: "image_url" and "caption", in the order of the file.
        rival: The source whose files have the other order.
        split_of: Upstream's split of a file, by its path.
        further: Columns that another edition has behind these two. They are not read.
    """

    name: str
    columns: tuple[str, str]
    rival: str
    split_of: Callable[[str], str]
    further: tuple[str, ...] = ()
    options: type[SourceOptions] = NoOptions

    @property
    def _mirror(self) -> named_tables.Layout:
        """The columns of the Hub's copies, and of img2dataset's lists."""
        columns = {"image_url": ("image_url", "url"), "caption": ("caption",)}
        return named_tables.Layout(f"a mirror of {self.name}", columns, text=frozenset(columns))

    def plan(self, files: Sequence[InputFile], options: SourceOptions) -> list[Chunk]:
        """Cut tables, and plain and bzip2 files, into ranges; other files, and members, are one chunk each."""
        chunks: list[Chunk] = []
        for path, member in records.documents(files, _MEMBERS, expected="*.tsv", lone=True):
            table = named_tables.look(path, member)
            # Of text, only names tell a mirror from captions: a line of upstream's may have commas in it.
            if table is not None and (table.form in ("parquet", "jsonl") or self._is_csv(table)):
                self._mirror.names(table)
                chunks += table.chunks()
                continue
            named_tables.refuse_quoted(table)
            form = self._form(path, member)
            cuts = lines.ranges(path, CHUNK_BYTES) if member is None else [(0, None)]
            chunks += [Chunk(path=path, form=form, member=member, start=start, stop=stop) for start, stop in cuts]
        return chunks

    def read(self, chunk: Chunk, options: SourceOptions) -> Iterator[pa.RecordBatch]:
        """Yield drafts in the order of the lines, but a slice's lost lines after its others.

        `row_digest` is that of the line's bytes without its end, as upstream's file has it; there is no upstream id.
        """
        split = self.split_of(archives.location(chunk.path, chunk.member))
        if named_tables.is_chunk(chunk):
            for rows in named_rows.parts(chunk, self._mirror):
                yield from self._mirrored(rows, split)
            return
        kind, *named = chunk.form.split(":")
        order = named or self.columns
        skipped = int(bool(named) and kind == _FORM and chunk.start == 0)
        for batch in lines.read_lines(chunk.path, chunk.start, chunk.stop, member=chunk.member):
            if isinstance(batch, lines.LongLine):
                yield column_drafts.long_line(batch)
                continue
            for part, places in column_drafts.slices(batch):
                yield from self._drafts(part.slice(skipped), places.slice(skipped), split, order)
                skipped = 0

    def _drafts(self, part: pa.Array, places: pa.Array, split: str, order: Sequence[str]) -> Iterator[pa.RecordBatch]:
        digests = column_drafts.digests(part)
        # Tabs behind that of the last column are the caption's, as whoever reads upstream's file for the Hub takes them.
        most = len(order) if order[-1] == "caption" else None
        cut = tsv.split_columns(part, columns=[len(order)], most=most)
        if len(cut.good):
            columns = {name: cut.column(order.index(name)) for name in self.columns}
            keyed = (
                column_drafts.take(digests, cut.good)
                if tuple(order) == self.columns
                else column_drafts.digests(_line(columns))
            )
            yield _good(columns, keyed, column_drafts.take(places, cut.good), split)
        if len(cut.bad):
            fields = f"{len(order)} fields"
            yield column_drafts.lost_lines(part, cut, digests=digests, places=places, expected=fields)

    def _is_csv(self, table: named_tables.Table) -> bool:
        return table.form == "csv" and self._mirror.fits(table)

    def _mirrored(self, rows: named_rows.Part, split: str) -> Iterator[pa.RecordBatch]:
        """Yield the drafts of a mirror's rows, keyed as upstream's lines are."""
        if len(rows.places):
            columns = {name: pc.fill_null(rows.columns[name], "") for name in self.columns}
            # A line's end is no part of it: the Hub's Conceptual 12M has it at the end of every caption.
            columns = {name: pc.replace_substring_regex(column, r"\r?\n\z", "") for name, column in columns.items()}
            yield _good(columns, column_drafts.digests(_line(columns)), rows.places, split)
        if rows.lost:
            yield named_rows.lost_batch(rows.lost)

    def _form(self, path: str, member: str | None) -> str:
        """Return a file's form, with the names of its columns where they are not the two.

        Raises:
            InputError: The header lacks a column, or the first lines show no URL in the source's; an empty file is no mistake.
        """
        batch = lines.head(path, member=member, batch_bytes=_HEAD_BYTES)
        if batch is None or not len(batch):
            return _FORM
        start: bytes = batch.lines[0].as_py()
        header = tsv.header(start, NAMES)
        where = f"{archives.location(path, member)}:byte 0"
        if header is not None and any(header.count(name) != 1 for name in self.columns):
            raise InputError(
                "the header does not name the columns that are needed",
                where=where,
                expected="url and caption, each once",
                found=_shown(start),
                remedy="name them so in the first line, or take the line away where the columns are upstream's: "
                + "<TAB>".join(self.columns),
            )
        head = batch.lines.slice(int(header is not None), _HEAD_LINES)
        orders = [header or self.columns]
        if header is None and self.further:
            orders.append((*self.columns, *self.further))
        fitting = [order for order in orders if not len(head) or self._shows_urls(head, order)]
        if fitting:
            # Some lines may be bad ones, and have as many fields as those of the other edition.
            order = max(fitting, key=lambda order: _urls(head, order, "image_url"))
            return ":".join([_FORM, *(header or ())] if order is orders[0] else [_WIDER, *order])
        swapped = any(_urls(head, order, "caption") for order in orders)
        raise InputError(
            ("the header has the columns" if header else "the columns are") + " in the other order"
            if swapped
            else f"not a file of {self.name}",
            where=where,
            expected=f"lines of {'<TAB>'.join(orders[0])}",
            found=_shown(head[0].as_py()),
            remedy=named_tables.otherwise(records.head(path, member))
            or f"check `annotations` in the configuration against manifests/{self.name}.toml"
            if not swapped
            else "mend the header"
            if header
            else f"name this file under [sources.{self.rival}]",
        )

    def _shows_urls(self, head: pa.Array, order: Sequence[str]) -> bool:
        """Return whether lines have URLs where the source has its own: some captions are addresses, but few."""
        own = _urls(head, order, "image_url")
        return own > 0 and own >= _urls(head, order, "caption")


def _urls(head: pa.Array, order: Sequence[str], name: str) -> int:
    """Return how many lines have a URL in a column, of those that have as many columns."""
    column = tsv.split_columns(head, columns=[len(order)]).column(order.index(name))
    return int(np.count_nonzero(column_drafts.matches(column, _URL)))


def _good(columns: Mapping[str, pa.Array], digests: pa.Array, places: pa.Array, split: str) -> pa.RecordBatch:
    """Return the drafts of rows that have both columns."""
    urls = columns["image_url"]
    no_url = pc.equal(urls, pa.scalar("", urls.type))
    return column_drafts.drafts(
        len(urls),
        {
            "row_digest": digests,
            "image_url": pc.if_else(no_url, pa.scalar(None, urls.type), urls),
            "text": columns["caption"],
            "meta": column_drafts.json_objects(columns),
            "text_licence": "NOASSERTION",
            "image_licence": "NOASSERTION",
            "split": split,
            "reason": pc.if_else(no_url, "no_image", pa.scalar(None, pa.string())),
            "where": places,
        },
    )


def _line(columns: Mapping[str, pa.Array]) -> pa.Array:
    """Return rows as upstream's lines have them, in whatever order the file has its columns."""
    return pc.binary_join_element_wise(*columns.values(), pa.scalar("\t", pa.large_string()))


def _shown(line: bytes) -> str:
    return line[:80].decode("utf-8", "replace")
