"""YFCC100M: Flickr photos with their users' titles and descriptions, filtered as FLAVA did; PMD's largest source.

Three forms of one table: lines of 25 columns, the older lines of 23 (without line number and hash), and the Multimedia
Commons' SQLite dump. One row of upstream gives the same pair, key and digest in all of them. Text columns are
URL-encoded, and hold HTML once decoded.

FLAVA's rule (arXiv 2112.04482, §3.1): English captions of more than two words; "first consider the description field;
if it does not pass the filters, consider the title field". Its detector and tokeniser are not named: here the language
identifier of `pmd.text.language`, and words between white space.

Everything is done a column at a time; 30M of 100M rows stay, so what only they need (`meta`, mirrors) is made last.
"""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Annotated, Any, Final, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import xxhash
from pydantic import Field

from pmd.errors import InputError
from pmd.formats import archives, lines, sqlite, tsv
from pmd.sources import column_drafts, multimedia_commons, named_tables, records
from pmd.sources.column_drafts import Indices
from pmd.sources.contract import DRAFT_ROWS, Chunk, InputFile, Rule, SourceOptions
from pmd.store import storage
from pmd.text import cleaning, language

NAME: Final = "yfcc100m"

#: Bytes of a chunk: of lines, of a bzip2 file, or of the dump.
CHUNK_BYTES: Final = lines.RANGE_BYTES

#: The columns that all three forms have, in order, by the dump's names.
COLUMNS: Final = (
    "photoid", "uid", "unickname", "datetaken", "dateuploaded", "capturedevice", "title", "description", "usertags",
    "machinetags", "longitude", "latitude", "accuracy", "pageurl", "downloadurl", "licensename", "licenseurl",
    "serverid", "farmid", "secret", "secretoriginal", "ext", "marker",
)  # fmt: skip
#: Number of columns → their names, for the two forms of lines.
LAYOUTS: Final[Mapping[int, tuple[str, ...]]] = {
    25: ("line_number", COLUMNS[0], "hash", *COLUMNS[1:]),
    23: COLUMNS,
}
TABLE: Final = "yfcc100m_dataset"

_MEMBERS: Final = r"yfcc100m_dataset.*|[^.].*\.(tsv|txt)(\.\w+)?"
#: The form of lines whose first names the columns: what follows the colon says no more of how they are read.
_WITH_HEADER: Final = "tsv:header"
_HEAD_LINES: Final = 100
_HEAD_BYTES: Final = 64 * 1024
_PHOTO_ID: Final = "^[1-9][0-9]{0,18}$"
#: A line of upstream's other files: two or three fields, of which the first is a photo id, or a line's number and the second one.
_OTHER_FILE: Final = re.compile(rb"[0-9]{1,19}\t[^\t]*(?:\t[^\t]*)?\Z")
_PHOTO, _VIDEO = "0", "1"

#: The six licences that YFCC100M has, by the end of their names and by the path of their URLs.
_LICENCES: Final = {
    "Attribution License": "by",
    "Attribution-ShareAlike License": "by-sa",
    "Attribution-NoDerivs License": "by-nd",
    "Attribution-NonCommercial License": "by-nc",
    "Attribution-NonCommercial-ShareAlike License": "by-nc-sa",
    "Attribution-NonCommercial-NoDerivs License": "by-nc-nd",
}
_SPDX_OF_URL: Final = {
    f"creativecommons.org/licenses/{code}/2.0": f"CC-{code.upper()}-2.0" for code in _LICENCES.values()
}
_SPDX_OF_NAME: Final = {name: f"CC-{code.upper()}-2.0" for name, code in _LICENCES.items()}

_ORDERS: Final[Mapping[str, tuple[str, ...]]] = {
    "description_then_title": ("description", "title"),
    "description": ("description",),
    "title": ("title",),
}


class Options(SourceOptions):
    """Options of `yfcc100m`."""

    caption_fields: Annotated[
        Literal["description_then_title", "description", "title"],
        Rule(
            says="Which field is the caption; the title is considered where the description fails the other rules.",
            origin="FLAVA (2112.04482) §3.1",
            paper="description_then_title",
            hub="description_then_title",
            recommended="description_then_title",
        ),
    ]
    min_words: Annotated[
        int,
        Field(ge=1, le=1000),
        Rule(
            says="Fewest words of a caption, between white space, once decoded and without HTML.",
            origin='FLAVA (2112.04482) §3.1: "more than two words"; no tokeniser named',
            paper=3,
            hub=3,
            recommended=3,
            table2="YFCC100M: tokenisers that part punctuation let more two-word titles pass",
        ),
    ]
    detector: Annotated[
        Literal["default", "fasttext", "cld2", "any"],
        Rule(
            says='What must find a caption English; "any" takes every language.',
            origin="FLAVA (2112.04482) §3.1: non-English captions are discarded, no detector named",
            paper="default",
            hub="default",
            recommended="default",
            table2="YFCC100M 30.3M: detectors differ most on titles of three and four words",
        ),
    ]
    unquote_plus: Annotated[
        bool,
        Rule(
            says="Decode the URL-encoding of titles and descriptions, + being a space.",
            origin="the format; facebook/pmd's predecessor script imports `unquote_plus`",
            paper=True,
            hub=True,
            recommended=True,
        ),
    ]
    strip_html: Annotated[
        bool,
        Rule(
            says="Remove HTML tags from captions and decode character references, before words are counted.",
            origin="FLAVA is silent; later users of YFCC100M (SLIP, GroupViT) strip tags",
            paper=True,
            hub=True,
            recommended=True,
            table2="YFCC100M: with tags kept, an attribute counts as a word, and its words as English",
        ),
    ]
    drop_non_ascii: Annotated[
        bool,
        Rule(
            says="Drop every character beyond ASCII from the chosen caption; reject it where nothing is left.",
            origin="M4's builders do so for WIT; for YFCC100M the loader of the published file is not known",
            paper=False,
            hub=True,
            recommended=False,
        ),
    ]
    exclude_videos: Annotated[
        bool,
        Rule(
            says="Reject videos.",
            origin="FLAVA (2112.04482) §3.1 counts image-text pairs",
            paper=True,
            hub=True,
            recommended=True,
        ),
    ]

    def written_in(self) -> tuple[str, ...] | None:
        return None if self.detector == "any" else super().written_in()


@dataclasses.dataclass(frozen=True)
class Rows:
    """Rows of any form that have the right number of columns and are UTF-8.

    Attributes:
        names: Of the columns, in the order of the form.
        column: Name, and indices or None for all → upstream's strings; nulls of the dump are empty.
        objects: Indices, and further columns of these rows → one JSON object of each, of upstream's columns and the further ones.
        digests: Of the columns that all forms have, joined by tabs.
        places: Where each row stands.
    """

    names: Sequence[str]
    column: Callable[[str, Indices | None], pa.Array]
    objects: Callable[[Indices, Mapping[str, pa.Array]], pa.Array]
    digests: pa.Array
    places: pa.Array

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.digests)


@dataclasses.dataclass(frozen=True)
class Captions:
    """Which rows have a caption, and why the others have none.

    Attributes:
        kept: The rows with a caption, ascending.
        texts: Their captions.
        fields: Which field each came from.
        languages: What the detector said of it; null with detector "any".
        scores: How sure it was, to two decimals; null as `languages`.
        left: The other rows, ascending.
        reasons: Of each of these: empty_text, too_few_words, not_english, not_ascii.
        details: What each of its fields was.
    """

    kept: Indices
    texts: pa.Array
    fields: pa.Array
    languages: pa.Array
    scores: pa.Array
    left: Indices
    reasons: pa.Array
    details: pa.Array


#: Why a row leaves, by how far the field of it came that came furthest: no words, too few, enough.
_REASONS: Final = ("empty_text", "too_few_words", "not_english")


def choose(fields: Mapping[str, pa.Array], options: Options) -> Captions:
    """Apply the caption rules.

    Where no field passes, the reason is that of the field that came furthest: `not_english` where one has enough words,
    `too_few_words` where one has any, else `empty_text`.

    Args:
        fields: Raw "title" and "description", of one length.
        options: The rules.
    """
    rows = len(fields["title"])
    undecided: Indices = np.arange(rows)
    furthest = np.zeros(rows, np.int64)
    passed: list[tuple[pa.Array, ...]] = []
    at: list[Indices] = []
    tries: list[_Try] = []
    for name in _ORDERS[options.caption_fields]:
        texts = _clean(column_drafts.take(fields[name], undecided), options)
        words = cleaning.word_count_of_normalised(texts)
        counts = words.to_numpy()
        enough = np.flatnonzero(counts >= options.min_words)
        furthest[undecided] = np.maximum(furthest[undecided], counts > 0)
        furthest[undecided[enough]] = 2
        tried = column_drafts.take(texts, enough)
        passes, languages, scores = _english(tried, options)
        found = pa.array(np.flatnonzero(passes))
        passed.append((tried.take(found), pa.repeat(name, len(found)), languages.take(found), scores.take(found)))
        at.append(undecided[enough[passes]])
        tries.append(_Try(name, undecided, words, enough, languages, scores))
        stays = np.ones(len(undecided), np.bool_)
        stays[enough[passes]] = False
        undecided = undecided[stays]
    kept = np.concatenate(at)
    order = np.argsort(kept)
    kept, emptied = kept[order], np.zeros(0, np.int64)
    texts, names, languages, scores = (
        pa.concat_arrays(parts).take(pa.array(order)) for parts in zip(*passed, strict=True)
    )
    if options.drop_non_ascii:
        texts = cleaning.normalise(cleaning.drop_non_ascii(texts))
        empty = column_drafts.equals(texts, "")
        emptied, kept = kept[empty], kept[~empty]
        texts, names, languages, scores = (one.filter(pa.array(~empty)) for one in (texts, names, languages, scores))
    left = np.union1d(undecided, emptied)
    reasons = pa.array(_REASONS, pa.string()).take(pa.array(furthest[left]))
    if len(emptied):
        reasons = pc.if_else(pa.array(np.isin(left, emptied)), "not_ascii", reasons)
    notes = pc.binary_join_element_wise(*(tried.notes(left) for tried in tries), "; ", null_handling="skip")
    return Captions(kept, texts, names, languages, scores, left, reasons, notes)


def draft(rows: Rows, options: Options) -> Iterator[pa.RecordBatch]:
    """Yield the drafts of rows: first the pairs, then the rows that leave, each in their order.

    Two of three rows leave. Of these nothing is made that only pairs have.
    """
    photo_ids, download_urls, markers = (
        rows.column(name, None).cast(pa.string()) for name in ("photoid", "downloadurl", "marker")
    )
    reasons = np.full(len(rows), None, object)
    details = np.full(len(rows), None, object)
    bad_id = ~column_drafts.matches(photo_ids, _PHOTO_ID)
    video = column_drafts.equals(markers, _VIDEO)
    bad_marker = ~(video | column_drafts.equals(markers, _PHOTO))
    reasons[column_drafts.equals(download_urls, "")] = "no_image"
    if options.exclude_videos:
        reasons[video] = "video"
    for name, wrong, column, expected in (
        ("marker", bad_marker, markers, "0 or 1"),
        ("photoid", bad_id, photo_ids, "a photo id"),
    ):
        for row in np.flatnonzero(wrong):
            reasons[row] = "malformed_row"
            details[row] = f"{name}: expected {expected}, found {column[int(row)].as_py()!r}"
    lost = np.flatnonzero(reasons != None)  # noqa: E711 - elementwise
    eligible = np.flatnonzero(reasons == None)  # noqa: E711 - elementwise
    captions = choose({name: rows.column(name, eligible) for name in ("title", "description")}, options)
    ids = pc.if_else(pa.array(reasons != "malformed_row"), photo_ids, pa.scalar(None, pa.string()))
    kept = eligible[captions.kept]
    if len(kept):
        yield _pairs(rows, kept, ids, download_urls, captions)
    left = np.concatenate([lost, eligible[captions.left]])
    if len(left):
        order = pa.array(np.argsort(left))
        said = {
            "reason": pa.concat_arrays([pa.array(reasons[lost], pa.string()), captions.reasons]).take(order),
            "detail": pa.concat_arrays([pa.array(details[lost], pa.string()), captions.details]).take(order),
        }
        known = _columns_of_every_row(rows, np.sort(left), ids)
        if known["source_id"].null_count:  # the picture of such a row is known by its address alone
            addresses = column_drafts.take(download_urls, np.sort(left))
            said["image_url"] = pc.if_else(pc.is_null(known["source_id"]), addresses, pa.scalar(None, pa.string()))
        yield column_drafts.drafts(len(left), known | said)


def _pairs(rows: Rows, kept: Indices, ids: pa.Array, download_urls: pa.Array, captions: Captions) -> pa.RecordBatch:
    """Return the drafts of the rows that have a caption."""
    urls_of_kept = column_drafts.take(download_urls, kept)
    licence_urls, licence_names = (rows.column(name, kept) for name in ("licenseurl", "licensename"))
    hashes = rows.column("hash", kept) if "hash" in rows.names else None
    return column_drafts.drafts(
        len(kept),
        _columns_of_every_row(rows, kept, ids)
        | {
            "image_url": urls_of_kept,
            "mirrors": multimedia_commons.mirror_lists(urls_of_kept, hashes),
            "text": captions.texts,
            "meta": rows.objects(kept, {"_pmd": _chosen(captions)}),
            "text_licence": "NOASSERTION",
            "image_licence": _licences(licence_urls, licence_names),
            "licence_evidence": licence_urls,
        },
    )


def _columns_of_every_row(rows: Rows, some: Indices, ids: pa.Array) -> dict[str, Any]:
    """Return what is told of each row, whether it stays or leaves."""
    ids = column_drafts.take(ids, some)
    return {
        "source_id": ids,
        "row_digest": column_drafts.take(rows.digests, some),
        "identity": pc.binary_join_element_wise("flickr:", ids, ""),
        "split": "train",
        "where": column_drafts.take(rows.places, some),
    }


class Yfcc100m:
    """YFCC100M; see the module."""

    name = NAME
    options: type[SourceOptions] = Options

    def plan(self, files: Sequence[InputFile], options: Options) -> list[Chunk]:
        """Cut lines into ranges of bytes and the dump into ranges of photo ids, of about `CHUNK_BYTES` each."""
        chunks: list[Chunk] = []
        for path, member in records.documents(files, _MEMBERS, expected="yfcc100m_dataset, or *.tsv", lone=True):
            cuts: Sequence[tuple[int, int | None]] = [(0, None)]
            if member is None and sqlite.is_sqlite(path):
                parts = max(1, storage.size(path) // CHUNK_BYTES)
                cuts = sqlite.id_ranges(path, TABLE, "photoid", parts)
                form = "sqlite"
            else:
                form = _WITH_HEADER if _has_header(path, member) else "tsv"
                if member is None:
                    cuts = lines.ranges(path, CHUNK_BYTES)
            chunks += [Chunk(path=path, form=form, member=member, start=start, stop=stop) for start, stop in cuts]
        return chunks

    def read(self, chunk: Chunk, options: Options) -> Iterator[pa.RecordBatch]:
        """Yield drafts; lines of 25 columns, of 23, and lost ones are batches of their own."""
        return _read_dump(chunk, options) if chunk.form == "sqlite" else _read_lines(chunk, options)


SOURCE: Final = Yfcc100m()


def _read_lines(chunk: Chunk, options: Options) -> Iterator[pa.RecordBatch]:
    skipped = int(chunk.form == _WITH_HEADER and chunk.start == 0)
    for batch in lines.read_lines(chunk.path, chunk.start, chunk.stop, member=chunk.member):
        if isinstance(batch, lines.LongLine):
            yield column_drafts.long_line(batch)
            continue
        for lines_of_part, places_of_part in column_drafts.slices(batch):
            part, places = lines_of_part.slice(skipped), places_of_part.slice(skipped)
            skipped = 0
            cut = tsv.split_columns(part, columns=list(LAYOUTS))
            digests = _line_digests(part, cut)
            counts = cut.fields[cut.good]
            for count, names in LAYOUTS.items():
                at = cut.good[counts == count]
                if len(at):
                    yield from draft(
                        Rows(
                            names,
                            functools.partial(_cut_out, cut, names, at),
                            functools.partial(_joined, cut, names, at),
                            column_drafts.take(digests, at),
                            column_drafts.take(places, at),
                        ),
                        options,
                    )
            if len(cut.bad):
                yield column_drafts.lost_lines(part, cut, digests=digests, places=places, expected="23 or 25 fields")


def _cut_out(cut: tsv.SplitColumns, names: Sequence[str], at: Indices, name: str, chosen: Indices | None) -> pa.Array:
    return cut.column(names.index(name), at if chosen is None else at[chosen])


def _joined(
    cut: tsv.SplitColumns, names: Sequence[str], at: Indices, chosen: Indices, further: Mapping[str, pa.Array]
) -> pa.Array:
    return column_drafts.lines_as_objects(cut, names, at[chosen], further)


def _read_dump(chunk: Chunk, options: Options) -> Iterator[pa.RecordBatch]:
    for rows in sqlite.read_rows(chunk.path, TABLE, COLUMNS, "photoid", chunk.start, chunk.stop, DRAFT_ROWS):
        columns = list(zip(*rows, strict=True))
        undecoded = {
            i for column in columns if bytes in set(map(type, column)) for i, v in enumerate(column) if type(v) is bytes
        }
        good = [row for i, row in enumerate(rows) if i not in undecoded] if undecoded else rows
        if good:
            yield from draft(_dump_rows(good, chunk.path), options)
        if undecoded:
            lost = [rows[i] for i in sorted(undecoded)]
            yield column_drafts.drafts(
                len(lost),
                {
                    "row_digest": column_drafts.keys_of(
                        (xxhash.xxh3_128_digest(b"\t".join(_as_bytes(value) for value in row)) for row in lost),
                        len(lost),
                    ),
                    "reason": "bad_encoding",
                    "detail": "the row is not UTF-8",
                    "where": _dump_places(chunk.path, lost),
                },
            )


def _dump_rows(rows: Sequence[tuple[Any, ...]], path: str) -> Rows:
    texts = [
        column if set(map(type, column)) == {str} else tuple(map(_as_text, column))
        for column in zip(*rows, strict=True)
    ]
    joined = map(str.encode, map("\t".join, zip(*texts, strict=True)))
    columns = {name: pa.array(column, pa.string()) for name, column in zip(COLUMNS, texts, strict=True)}

    def column(name: str, chosen: Indices | None) -> pa.Array:
        return columns[name] if chosen is None else column_drafts.take(columns[name], chosen)

    def objects(chosen: Indices, further: Mapping[str, pa.Array]) -> pa.Array:
        return column_drafts.json_objects({name: column(name, chosen) for name in COLUMNS} | {**further})

    return Rows(
        COLUMNS,
        column,
        objects,
        digests=column_drafts.keys_of(map(xxhash.xxh3_128_digest, joined), len(rows)),
        places=_dump_places(path, rows),
    )


def _dump_places(path: str, rows: Sequence[tuple[Any, ...]]) -> pa.Array:
    return pa.array([f"{path}:{TABLE}, photoid {'null' if row[0] is None else row[0]}" for row in rows], pa.string())


def _as_text(value: Any) -> str:
    """Return a value of the dump as the lines spell it: a null is an empty field."""
    return "" if value is None else str(value)


def _as_bytes(value: Any) -> bytes:
    return value if isinstance(value, bytes) else _as_text(value).encode()


def _line_digests(part: pa.Array, cut: tsv.SplitColumns) -> pa.Array:
    """Return digests of lines; those of 25 fields without their line number and hash."""
    numbered = cut.fields == max(LAYOUTS)
    if not numbered.any():
        return column_drafts.digests(part)
    names = LAYOUTS[max(LAYOUTS)]
    own = [at for at, name in enumerate(names) if name not in COLUMNS]
    common = column_drafts.digests(cut.without(own, np.flatnonzero(numbered)))
    if numbered.all():
        return common
    others = column_drafts.digests(part.filter(pa.array(~numbered)))
    places = np.argsort(np.argsort(~numbered, kind="stable"))
    return pa.concat_arrays([common, others]).take(pa.array(places))


def _clean(raw: pa.Array, options: Options) -> pa.Array:
    texts = raw.cast(pa.string())
    if options.unquote_plus:
        texts = cleaning.unquote_plus(texts)
    if options.strip_html:
        texts = cleaning.strip_html(texts)
    return cleaning.normalise(texts)


def _english(texts: pa.Array, options: Options) -> tuple[column_drafts.Mask, pa.Array, pa.Array]:
    """Return which texts pass the language rule, what the detector said, and its score to two decimals."""
    if options.detector == "any":
        return np.ones(len(texts), np.bool_), pa.nulls(len(texts), pa.string()), pa.nulls(len(texts), pa.float64())
    detected = language.english(texts, detector=options.detector)
    scores = pc.round(detected["score"].cast(pa.float64()), 2)
    return column_drafts.mask(detected["is_english"]), detected["language"].cast(pa.string()), scores


@dataclasses.dataclass(frozen=True)
class _Try:
    """A field of the rows that had no caption yet.

    Attributes:
        name: Of the field.
        rows: These rows, ascending.
        words: How many words it has in each.
        at: Which of them it has enough words in.
        languages: What the detector said of these.
        scores: How sure it was of these.
    """

    name: str
    rows: Indices
    words: pa.Array
    at: Indices
    languages: pa.Array
    scores: pa.Array

    def notes(self, rows: Indices) -> pa.Array:
        """Return what the field was in some rows, e.g. "description: 7 words, de 0.98" or "title: 1 word"; null: not tried."""
        places = np.searchsorted(self.rows, rows)
        tried = np.append(self.rows, -1)[places] == rows
        words = self.words.take(pa.array(places, mask=~tried))
        of_at = np.full(len(self.rows) + 1, -1)
        of_at[self.at] = np.arange(len(self.at))
        slots = of_at[places]
        judged = pa.array(slots, mask=slots < 0)
        scores = self.scores.take(judged).cast(pa.string())
        verdicts = pc.fill_null(pc.binary_join_element_wise(", ", self.languages.take(judged), " ", scores, ""), "")
        noun = pc.if_else(pc.equal(words, 1), " word", " words")
        return pc.binary_join_element_wise(f"{self.name}: ", words.cast(pa.string()), noun, verdicts, "")


def _chosen(captions: Captions) -> pa.StructArray:
    """Return what the rules chose: field, and language and score where a detector was asked."""
    said = {"field": captions.fields}
    if captions.languages.null_count < len(captions.languages):
        said |= {"language": captions.languages, "score": captions.scores}
    return pa.StructArray.from_arrays(list(said.values()), names=list(said))


def _licences(licence_urls: pa.Array, names: pa.Array) -> pa.Array:
    """Return SPDX identifiers, by the licence's URL, else by its name, else NOASSERTION."""
    pairs = pc.binary_join_element_wise(
        licence_urls.cast(pa.string()), names.cast(pa.string()), "\t"
    ).dictionary_encode()
    spdx = pa.array([_licence(*pair.split("\t", 1)) for pair in pairs.dictionary.to_pylist()], pa.string())
    return spdx.take(pairs.indices)


def _licence(url: str, name: str) -> str:
    address = url.partition("://")[2].removeprefix("www.").rstrip("/").lower()
    return _SPDX_OF_URL.get(address) or _SPDX_OF_NAME.get(name.strip()) or "NOASSERTION"


def _has_header(path: str, member: str | None) -> bool:
    """Return whether lines begin with a header; of an empty file, and of upstream's own, they do not.

    Raises:
        InputError: Its columns are none of the two layouts, or no early line has the columns of a photo.
    """
    batch = lines.head(path, member=member, batch_bytes=_HEAD_BYTES)
    if batch is None or not len(batch):
        return False
    head = batch.lines
    start: bytes = head[0].as_py()
    known = {name: name for name in max(LAYOUTS.values(), key=len)}
    header = tsv.header(start, known)
    rows = head.slice(int(header is not None), _HEAD_LINES)
    if (header is None or header in LAYOUTS.values()) and (not len(rows) or _shows_photos(rows)):
        return header is not None
    first = records.head(path, member)
    table = named_tables.look(path, member)
    is_named = header is not None or (table is not None and {*table.columns} >= _TELLING)
    found, remedy = _told_of(start, first)
    raise InputError(
        f"not a file of {NAME}",
        where=f"{archives.location(path, member)}:byte 0",
        expected="lines of 25 columns (or 23, without line number and hash) parted by tabs, or the SQLite dump",
        found=found or start[:80].decode("utf-8", "replace"),
        remedy=(_OF_NAMES if is_named else remedy)
        or records.of_lines(first)
        or f"check `annotations` in the configuration against manifests/{NAME}.toml",
    )


#: Columns that tell a table of other form or order for one of photographs.
_TELLING: Final = frozenset({"photoid", "downloadurl"})
_OF_NAMES: Final = (
    r"write the 25 columns, or the 23, in upstream's order, parted by tabs: to_csv(…, sep='\t', index=False)"
)


def _told_of(line: bytes, start: bytes) -> tuple[str, str] | tuple[None, None]:
    """Return what a foreign file is, and what to do, where its first line or bytes tell."""
    if line.startswith(sqlite.MAGIC):
        return "the SQLite dump, compressed or in an archive", "unpack it"
    if _OTHER_FILE.match(line):
        return (
            line[:80].decode("utf-8", "replace"),
            "it is a list of photos (autotags, exif, hash, lines, places …), which has no captions: take it out of "
            "`annotations`, or name the files called yfcc100m_dataset alone",
        )
    return records.told_of(start) or (None, None)


def _shows_photos(rows: pa.Array) -> bool:
    """Return whether a line has as many columns as one of the layouts, and a photo id in the right one."""
    cut = tsv.split_columns(rows, columns=list(LAYOUTS))
    counts = cut.fields[cut.good]
    return any(
        column_drafts.matches(cut.column(names.index("photoid")).filter(pa.array(counts == count)), _PHOTO_ID).any()
        for count, names in LAYOUTS.items()
    )
