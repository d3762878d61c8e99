"""SBU Captions: `sbu-captions-all.json`, the older pair of text files whose lines belong together, or a table with a header.

The JSON document is three parallel lists one after the other. They are read in lockstep by three parsers, each over
the whole file, so that memory holds one row and not three million strings. Upstream has no row ids: rows are keyed by
digest of URL, user and caption. The Hub's copy has all three, and so the same keys; a table without users gives keys of its
own, as the text files do.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

import pyarrow as pa

from pmd.errors import InputError
from pmd.formats import archives, json_stream, lines, tsv
from pmd.schema import keys
from pmd.sources import named_rows, named_tables, records
from pmd.sources.contract import Chunk, InputFile, SourceOptions
from pmd.sources.two_columns import NAMES

NAME: Final = "sbu_captions"

_MEMBERS: Final = r"sbu-captions-all\.json|SBU_captioned_photo_dataset_(urls|captions)\.txt|[^.].*\.tsv"
_EXPECTED_MEMBERS: Final = "sbu-captions-all.json, or SBU_captioned_photo_dataset_{urls,captions}.txt"
_EXPECTED_TABLE: Final = "a .tsv whose header names url and caption"
_HEAD_LINES: Final = 100
_URL: Final = re.compile(rb"\s*https?://", re.IGNORECASE)
#: How the form of a table begins; its columns follow.
_TABLE: Final = "tsv"
_EXPECTED: Final = 'SBU captions: {"image_urls": […], "user_ids": […], "captions": […]}, three lists of one length'
#: Upstream's lists, and the name of one of their elements in `meta`, as facebook/pmd has it.
_LISTS: Final[dict[str, str]] = {"image_urls": "image_url", "user_ids": "user_id", "captions": "caption"}

_MIRROR: Final = named_tables.Layout(
    f"a mirror of {NAME}",
    {"image_url": ("image_url", "url"), "caption": ("caption",)},
    {"user_id": ("user_id",)},
    text=frozenset({"image_url", "caption", "user_id"}),
)


class Options(SourceOptions):
    """Options of `sbu_captions`: it has no rules of its own."""


class SbuCaptions:
    """SBU Captions; see the module."""

    name = NAME
    options: type[SourceOptions] = Options

    def plan(self, files: Sequence[InputFile], options: Options) -> list[Chunk]:
        """One chunk a JSON document, and one a pair of text files, whose names differ in one word; tables are cut."""
        chunks: list[Chunk] = []
        texts: list[str] = []
        for path, member in records.documents(files, _MEMBERS, expected=_EXPECTED_MEMBERS):
            head = records.head(path, member)
            # By name first, which pairs the text files anyway: one's first line may begin with anything.
            if re.search(r"(urls|captions)\.txt", member or path):
                texts.append(archives.location(path, member))
            elif (table := named_tables.look(path, member)) is not None and _is_mirror(table):
                _MIRROR.names(table)
                chunks += table.chunks()
            elif table is not None and table.is_quoted:
                named_tables.refuse_quoted(table)
            elif head.lstrip(records.BLANK).startswith(b"{"):
                chunks.append(Chunk(path=path, form="json", member=member))
            elif header := _table_header(head):
                form = ":".join([_TABLE, *header])
                cuts = lines.ranges(path) if member is None else [(0, None)]
                chunks += [Chunk(path=path, form=form, member=member, start=start, stop=stop) for start, stop in cuts]
            else:
                expected = f"{_EXPECTED_MEMBERS}: {_EXPECTED}; or {_EXPECTED_TABLE}"
                remedy = named_tables.otherwise(head)
                raise records.foreign(path, member, expected=expected, start=head, remedy=remedy)
        return chunks + _pairs(texts)

    def read(self, chunk: Chunk, options: Options) -> Iterator[pa.RecordBatch]:
        """Yield one draft a row."""
        read = (
            _mirror_drafts
            if named_tables.is_chunk(chunk)
            else {"json": _json_drafts, "txt": _text_drafts}.get(chunk.form, _table_drafts)
        )
        yield from records.batches(read(chunk))


SOURCE = SbuCaptions()


def _is_mirror(table: named_tables.Table) -> bool:
    """Return whether a file is a mirror's table, though perhaps one of other columns: upstream's document has its lists."""
    if table.form == "jsonl":
        return not any(name in table.columns for name in _LISTS)
    return table.form == "parquet" or (table.form == "csv" and _MIRROR.fits(table))


def _mirror_drafts(chunk: Chunk) -> Iterator[dict[str, Any]]:
    for row, where in named_rows.rows(chunk, _MIRROR):
        if isinstance(row, json_stream.Spoiled):
            yield records.unreadable(row.raw, row.why, where)
        elif isinstance(row, dict):
            # Without a user, it is as in the text files.
            named = [name for name in _LISTS.values() if name != "user_id" or row.get(name) is not None]
            yield _draft({name: "" if row.get(name) is None else row[name] for name in named}, where)
        else:
            yield records.lost(row, "malformed_row", "row: expected an object", where)


def _table_header(start: bytes) -> tuple[str, ...] | None:
    """Return the columns of a table, or None where its first line does not name those that are needed, each once."""
    header = tsv.header(start.partition(b"\n")[0], NAMES)
    if header is None or len({*header}) < len(header) or not {"image_url", "caption"} <= {*header}:
        return None
    return header


def _pairs(texts: list[str]) -> list[Chunk]:
    """Return a chunk for each pair "…urls.txt", "…captions.txt"."""
    chunks = []
    for urls in [name for name in texts if _other(name, "urls") == name]:
        captions = _other(urls, "captions")
        if captions not in texts:
            raise _missing(urls, captions)
        path, member = archives.split_member(urls)
        _refuse_without_urls(path, member)
        chunks.append(Chunk(path=path, form="txt", member=member, companions=(captions,)))
    for captions in set(texts) - {
        name for chunk in chunks for name in (archives.location(chunk.path, chunk.member), *chunk.companions)
    }:
        raise _missing(captions, _other(captions, "urls"))
    return chunks


def _refuse_without_urls(path: str, member: str | None) -> None:
    """Refuse a file of URLs that begins with lines of which none is one; a file without lines has no rows.

    Raises:
        InputError: It is another, or holds the captions.
    """
    batch = lines.head(path, member=member)
    said = [] if batch is None else [line for line in batch.lines.slice(0, _HEAD_LINES).to_pylist() if line.strip()]
    # One alone may be a bad row, or a header.
    if len(said) > 1 and not any(_URL.match(line) for line in said):
        raise records.foreign(
            path, member, expected="an address a line: http://static.flickr.com/…", start=records.head(path, member)
        )


def _other(name: str, word: str) -> str:
    """Return the name of a pair's file of one kind, given either's; what follows ".txt" (".gz") stays."""
    return re.sub(r"(urls|captions)(\.txt[^/]*)$", word + r"\2", name)


def _missing(file: str, other: str) -> InputError:
    return InputError(
        "the file that its lines belong to is missing",
        where=file,
        expected=f"{other} beside it in `annotations`",
        remedy="name both files, or the .tar.gz that has them",
    )


def _draft(fields: dict[str, Any], where: str) -> dict[str, Any]:
    """Return the draft of one row, given its `image_url`, `caption` and, but for the text files, `user_id`."""
    for name, value in fields.items():
        if isinstance(value, json_stream.Spoiled):
            return records.unreadable(_raw(fields), f"{value.why} of {name}", where)
        if not isinstance(value, str):
            return records.lost(fields, "malformed_row", f"{name}: expected a string", where)
    draft = {
        "row_digest": keys.digest(fields["image_url"], fields.get("user_id", ""), fields["caption"]),
        "image_url": fields["image_url"],
        "text": fields["caption"],
        "meta": records.meta(fields),
        "text_licence": "NOASSERTION",
        "image_licence": "NOASSERTION",
        "where": where,
    }
    if not fields["image_url"].strip():
        draft |= {"reason": "no_image", "detail": "image_url is empty"}
    return draft


def _raw(fields: dict[str, Any]) -> bytes:
    """Return the bytes of a row of which a field could not be read."""
    return b"\0".join(
        value.raw if isinstance(value, json_stream.Spoiled) else records.canonical(value) for value in fields.values()
    )


def _json_drafts(chunk: Chunk) -> Iterator[dict[str, Any]]:
    document = archives.location(chunk.path, chunk.member)
    columns = [json_stream.objects(chunk.path, name, member=chunk.member, expected=_EXPECTED) for name in _LISTS]
    for index in itertools.count():
        row = [next(column, None) for column in columns]
        if None in row:
            # At least one list is at its end; the others must be too.
            lengths = [
                index + (value is not None) + sum(1 for _ in column) for value, column in zip(row, columns, strict=True)
            ]
            if len(set(lengths)) > 1:
                raise _unequal(document, _EXPECTED, dict(zip(_LISTS, lengths, strict=True)))
            return
        fields = {name: value for name, (_, value) in zip(_LISTS.values(), (cell for cell in row if cell), strict=True)}
        yield _draft(fields, f"{document}:image_urls[{index}]")


def _text_drafts(chunk: Chunk) -> Iterator[dict[str, Any]]:
    (companion,) = chunk.companions
    path, member = archives.split_member(companion)
    urls, captions = _lines(chunk.path, chunk.member), _lines(path, member)
    if _top(chunk.path, chunk.member) == ("image_url",) and _top(path, member) == ("caption",):
        urls, captions = itertools.islice(urls, 1, None), itertools.islice(captions, 1, None)
    for number in itertools.count():
        url, caption = next(urls, None), next(captions, None)
        if url is None or caption is None:
            lengths, said = zip(*(_left(line, rest) for line, rest in ((url, urls), (caption, captions))), strict=True)
            # Editors leave blank lines at the end of one of them, which belong to nothing.
            if any(said):
                document = archives.location(chunk.path, chunk.member)
                found = {document: number + lengths[0], companion: number + lengths[1]}
                raise _unequal(document, "as many URLs as captions", found)
            return
        (url_bytes, where), (caption_bytes, _) = url, caption
        if isinstance(url_bytes, json_stream.Spoiled) or isinstance(caption_bytes, json_stream.Spoiled):
            long = url_bytes if isinstance(url_bytes, json_stream.Spoiled) else caption_bytes
            assert isinstance(long, json_stream.Spoiled)
            yield records.unreadable(long.raw, long.why, where)
            continue
        try:
            yield _draft({"image_url": url_bytes.decode(), "caption": caption_bytes.decode()}, where)
        except UnicodeDecodeError as error:
            yield {
                "row_digest": keys.digest(url_bytes, b"", caption_bytes),
                "reason": "bad_encoding",
                "detail": f"not UTF-8: {error.reason}",
                "where": where,
            }


def _left(line: _Line | None, rest: Iterator[_Line]) -> tuple[int, bool]:
    """Return how many lines are left of a file, and whether any of them is not blank."""
    count, said = 0, False
    for text, _ in itertools.chain([] if line is None else [line], rest):
        count += 1
        said |= isinstance(text, json_stream.Spoiled) or bool(text.strip())
    return count, said


def _table_drafts(chunk: Chunk) -> Iterator[dict[str, Any]]:
    header = chunk.form.split(":")[1:]
    # The header is where the file starts.
    for line, where in itertools.islice(
        _lines(chunk.path, chunk.member, chunk.start, chunk.stop), int(not chunk.start), None
    ):
        if isinstance(line, json_stream.Spoiled):
            yield records.unreadable(line.raw, line.why, where)
            continue
        cells = line.split(b"\t")
        if len(cells) != len(header):
            why = f"expected {len(header)} fields, found {len(cells)}"
            yield records.unreadable(line, why, where)
            continue
        try:
            named = dict(zip(header, line.decode().split("\t"), strict=True))
        except UnicodeDecodeError as error:
            yield records.unreadable(line, f"{lines.INVALID_UTF8} at byte {error.start} of the line", where)
        else:
            yield _draft({name: named[name] for name in _LISTS.values() if name in named}, where)


#: A line, or why it is none, and where it stands.
_Line = tuple[bytes | json_stream.Spoiled, str]


def _lines(path: str, member: str | None, start: int = 0, stop: int | None = None) -> Iterator[_Line]:
    """Yield lines and where each stands; of one that is too long why, so that the next is not taken for its fellow's."""
    for batch in lines.read_lines(path, start, stop, member=member):
        if isinstance(batch, lines.LongLine):
            yield json_stream.Spoiled(batch.digest, batch.why), batch.where
            continue
        for index, line in enumerate(batch.lines.to_pylist()):
            yield line, batch.place(index)


def _top(path: str, member: str | None) -> tuple[str, ...] | None:
    """Return the columns that the first line of a file names, or None."""
    batch = lines.head(path, member=member)
    return tsv.header(batch.lines[0].as_py(), NAMES) if batch is not None and len(batch) else None


def _unequal(where: str, expected: str, lengths: dict[str, int]) -> InputError:
    return InputError(
        "parallel lists are not of one length, so that no caption can be told to be of its image",
        where=where,
        expected=expected,
        found=", ".join(f"{name} has {length}" for name, length in lengths.items()),
        remedy="the file is cut short, or of another release: download it anew",
    )
