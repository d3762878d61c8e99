"""Files of two columns, a URL and a caption, without header or quoting: Conceptual Captions and Conceptual 12M.

Mirrors of them are tables whose columns have names (`pmd.sources.tables`). They keep all that upstream's line says, so
that their rows are keyed by that line, put together again.

The two sources differ in the order of their columns, and in nothing else that a parser sees: a file given to the wrong
one reads without an error, and yields captions for URLs. So the first lines must show a URL where the
source has its own.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pmd.errors import InputError
from pmd.formats import lines, tsv
from pmd.sources import table_drafts, table_rows, tables
from pmd.sources.contract import Chunk, InputFile, SourceOptions

#: Bytes of a chunk.
CHUNK_BYTES: Final = lines.RANGE_BYTES

#: Lines looked at to tell whether a file is the source's.
_HEAD_LINES: Final = 100
_HEAD_BYTES: Final = 64 * 1024
_URL: Final = "(?i)^https?://"


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
    """

    name: str
    columns: tuple[str, str]
    rival: str
    split_of: Callable[[str], str]
    options: type[SourceOptions] = NoOptions

    @property
    def _mirror(self) -> tables.Layout:
        """The columns of the Hub's copies, and of img2dataset's lists."""
        columns = {"image_url": ("image_url", "url"), "caption": ("caption",)}
        return tables.Layout(f"a mirror of {self.name}", columns, text=frozenset(columns))

    def plan(self, files: Sequence[InputFile], options: SourceOptions) -> list[Chunk]:
        """Cut each file into ranges of `CHUNK_BYTES`; gzip and zstd files are one chunk each."""
        chunks: list[Chunk] = []
        for file in sorted(files, key=lambda file: file.path):
            table = tables.look(file.path)
            # Of text, only names tell a mirror from captions: a line of upstream's may have commas in it.
            if table is not None and (table.form in ("parquet", "jsonl") or self._is_csv(table)):
                self._mirror.names(table)
                chunks += table.chunks()
                continue
            self._check(file.path)
            chunks += [
                Chunk(path=file.path, form="tsv", start=start, stop=stop)
                for start, stop in lines.ranges(file.path, CHUNK_BYTES)
            ]
        return chunks

    def read(self, chunk: Chunk, options: SourceOptions) -> Iterator[pa.RecordBatch]:
        """Yield drafts in the order of the lines, but a slice's lost lines after its others.

        `row_digest` is that of the line's bytes without its end; there is no upstream id.
        """
        split = self.split_of(chunk.path)
        if tables.is_chunk(chunk):
            for rows in table_rows.parts(chunk, self._mirror):
                yield from self._mirrored(rows, split)
            return
        for batch in lines.read_lines(chunk.path, chunk.start, chunk.stop):
            for part, places in table_drafts.slices(batch):
                yield from self._drafts(part, places, split)

    def _drafts(self, part: pa.Array, places: pa.Array, split: str) -> Iterator[pa.RecordBatch]:
        digests = table_drafts.digests(part)
        cut = tsv.split_columns(part, columns=[2])
        if len(cut.good):
            columns = {name: cut.column(index) for index, name in enumerate(self.columns)}
            yield _good(columns, table_drafts.take(digests, cut.good), table_drafts.take(places, cut.good), split)
        if len(cut.bad):
            yield table_drafts.lost_lines(part, cut, digests=digests, places=places, expected="2 fields")

    def _is_csv(self, table: tables.Table) -> bool:
        return table.form == "csv" and self._mirror.fits(table)

    def _mirrored(self, rows: table_rows.Part, split: str) -> Iterator[pa.RecordBatch]:
        """Yield the drafts of a mirror's rows, keyed as upstream's lines are."""
        if len(rows.places):
            columns = {name: pc.fill_null(rows.columns[name], "") for name in self.columns}
            # A line's end is no part of it: the Hub's Conceptual 12M has it at the end of every caption.
            columns = {name: pc.replace_substring_regex(column, r"\r?\n\z", "") for name, column in columns.items()}
            line = pc.binary_join_element_wise(*columns.values(), pa.scalar("\t", pa.large_string()))
            yield _good(columns, table_drafts.digests(line), rows.places, split)
        if rows.lost:
            yield table_rows.lost_batch(rows.lost)

    def _check(self, path: str) -> None:
        """Refuse a file whose first lines show no URL in the source's column; an empty file is no mistake."""
        for batch in itertools.islice(lines.read_lines(path, batch_bytes=_HEAD_BYTES), 1):
            head = batch.lines.slice(0, _HEAD_LINES)
            cut = tsv.split_columns(head, columns=[2])
            urls = {
                name: int(np.count_nonzero(table_drafts.matches(cut.column(index), _URL)))
                for index, name in enumerate(self.columns)
            }
            if not len(head) or urls["image_url"]:
                return
            swapped = urls["caption"] > 0
            raise InputError(
                "the columns are in the other order" if swapped else f"not a file of {self.name}",
                where=f"{path}:byte 0",
                expected=f"lines of {'<TAB>'.join(self.columns)}",
                found=head[0].as_py()[:80].decode("utf-8", "replace"),
                remedy=f"name this file under [sources.{self.rival}]"
                if swapped
                else f"check `annotations` in the configuration against manifests/{self.name}.toml",
            )


def _good(columns: Mapping[str, pa.Array], digests: pa.Array, places: pa.Array, split: str) -> pa.RecordBatch:
    """Return the drafts of rows that have both columns."""
    urls = columns["image_url"]
    no_url = pc.equal(urls, pa.scalar("", urls.type))
    return table_drafts.drafts(
        len(urls),
        {
            "row_digest": digests,
            "image_url": pc.if_else(no_url, pa.scalar(None, urls.type), urls),
            "text": columns["caption"],
            "meta": table_drafts.json_objects(columns),
            "text_licence": "NOASSERTION",
            "image_licence": "NOASSERTION",
            "split": split,
            "reason": pc.if_else(no_url, "no_image", pa.scalar(None, pa.string())),
            "where": places,
        },
    )
