"""Files of two columns, a URL and a caption, without quoting: Conceptual Captions and Conceptual 12M.

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
from pmd.formats import lines, tsv
from pmd.sources import records, table_drafts
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
}
#: How a chunk's form begins; the columns follow where the file has a header.
_FORM: Final = "tsv"


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

    def plan(self, files: Sequence[InputFile], options: SourceOptions) -> list[Chunk]:
        """Cut plain and bzip2 files into ranges of `CHUNK_BYTES`; other files, and members, are one chunk each."""
        chunks: list[Chunk] = []
        for path, member in records.documents(files, _MEMBERS, expected="*.tsv", lone=True):
            form = ":".join([_FORM, *self._header(path, member)])
            cuts = lines.ranges(path, CHUNK_BYTES) if member is None else [(0, None)]
            chunks += [Chunk(path=path, form=form, member=member, start=start, stop=stop) for start, stop in cuts]
        return chunks

    def read(self, chunk: Chunk, options: SourceOptions) -> Iterator[pa.RecordBatch]:
        """Yield drafts in the order of the lines, but a slice's lost lines after its others.

        `row_digest` is that of the line's bytes without its end, as upstream's file has it; there is no upstream id.
        """
        header = tuple(chunk.form.split(":")[1:])
        skipped = int(bool(header) and chunk.start == 0)
        split = self.split_of(records.location(chunk.path, chunk.member))
        for batch in lines.read_lines(chunk.path, chunk.start, chunk.stop, member=chunk.member):
            for part, places in table_drafts.slices(batch):
                yield from self._drafts(part.slice(skipped), places.slice(skipped), split, header or self.columns)
                skipped = 0

    def _drafts(self, part: pa.Array, places: pa.Array, split: str, order: Sequence[str]) -> Iterator[pa.RecordBatch]:
        digests = table_drafts.digests(part)
        cut = tsv.split_columns(part, columns=[len(order)])
        if len(cut.good):
            columns = {name: cut.column(order.index(name)) for name in self.columns}
            urls = columns["image_url"]
            no_url = pc.equal(urls, pa.scalar("", urls.type))
            yield table_drafts.drafts(
                len(cut.good),
                {
                    "row_digest": table_drafts.take(digests, cut.good)
                    if tuple(order) == self.columns
                    else table_drafts.digests(_line(columns)),
                    "image_url": pc.if_else(no_url, pa.scalar(None, urls.type), urls),
                    "text": columns["caption"],
                    "meta": table_drafts.json_objects(columns),
                    "text_licence": "NOASSERTION",
                    "image_licence": "NOASSERTION",
                    "split": split,
                    "reason": pc.if_else(no_url, "no_image", pa.scalar(None, pa.string())),
                    "where": table_drafts.take(places, cut.good),
                },
            )
        if len(cut.bad):
            fields = f"{len(order)} fields"
            yield table_drafts.lost_lines(part, cut, digests=digests, places=places, expected=fields)

    def _header(self, path: str, member: str | None) -> tuple[str, ...]:
        """Return the columns that a file's header names, none where it has no header.

        Raises:
            InputError: The header lacks a column, or the first lines show no URL in the source's; an empty file is no mistake.
        """
        batch = next(lines.read_lines(path, batch_bytes=_HEAD_BYTES, member=member), None)
        if batch is None or not len(batch):
            return ()
        start: bytes = batch.lines[0].as_py()
        header = tsv.header(start, NAMES)
        where = f"{records.location(path, member)}:byte 0"
        if header is not None and any(header.count(name) != 1 for name in self.columns):
            raise InputError(
                "the header does not name the columns that are needed",
                where=where,
                expected="url and caption, each once",
                found=_shown(start),
                remedy="name them so in the first line, or take the line away where the columns are upstream's: "
                + "<TAB>".join(self.columns),
            )
        order = header or self.columns
        head = batch.lines.slice(int(header is not None), _HEAD_LINES)
        cut = tsv.split_columns(head, columns=[len(order)])
        urls = {
            name: int(np.count_nonzero(table_drafts.matches(cut.column(order.index(name)), _URL)))
            for name in self.columns
        }
        if len(head) and not urls["image_url"]:
            swapped = urls["caption"] > 0
            raise InputError(
                ("the header has the columns" if header else "the columns are") + " in the other order"
                if swapped
                else f"not a file of {self.name}",
                where=where,
                expected=f"lines of {'<TAB>'.join(order)}",
                found=_shown(head[0].as_py()),
                remedy=f"check `annotations` in the configuration against manifests/{self.name}.toml"
                if not swapped
                else "mend the header"
                if header
                else f"name this file under [sources.{self.rival}]",
            )
        return header or ()


def _line(columns: Mapping[str, pa.Array]) -> pa.Array:
    """Return rows as upstream's lines have them, in whatever order the file has its columns."""
    return pc.binary_join_element_wise(*columns.values(), pa.scalar("\t", pa.large_string())).view(pa.large_binary())


def _shown(line: bytes) -> str:
    return line[:80].decode("utf-8", "replace")
