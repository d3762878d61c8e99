"""WIT v1: images of Wikipedia with up to three texts each; quoted, tab-separated shards with a header.

A quoted field may hold newlines, and gzip cannot be entered in the middle, so one csv reader reads a shard from end to
end: ten shards are ten chunks. The header decides which column is which; a release's further columns stay in `meta`.

**The row's id.** Upstream has none. One image stands on many pages, and on one page in several sections, each time with
another reference text: the id is page URL, image URL and `hierarchical_section_title`. The hierarchical title is taken
rather than `section_title`, which is empty for a page's lead and repeats under different headings ("Gallery").
A mirror's table (the Hub's google/wit, Parquet or JSON Lines) has the same columns with types: its values are spelled as
upstream does. wikimedia/wit_base has a row an image, and in it lists of the pages: each entry is a row of upstream's again.

Rows that share even that are told apart by `row_digest`, as everywhere.

**Which text is the caption** is a rule. FLAVA does not say; facebook/pmd's users see the chain that M4's builder has.
"""

from __future__ import annotations

import dataclasses
import itertools
import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Any, Final, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from pmd.errors import InputError
from pmd.formats import archives, tsv
from pmd.formats.lines import INVALID_UTF8
from pmd.formats.tsv import CsvRow
from pmd.schema import keys
from pmd.sources import column_drafts, named_rows, named_tables, records
from pmd.sources.column_drafts import Indices
from pmd.sources.contract import DRAFT_ROWS, Chunk, InputFile, Rule, SourceOptions
from pmd.text import cleaning

NAME: Final = "wit"

COLUMNS: Final = (
    "language", "page_url", "image_url", "page_title", "section_title", "hierarchical_section_title",
    "caption_reference_description", "caption_attribution_description", "caption_alt_text_description", "mime_type",
    "original_height", "original_width", "is_main_image", "attribution_passes_lang_id", "page_changed_recently",
    "context_page_description", "context_section_description",
)  # fmt: skip

_MEMBERS: Final = r"[^.].*\.tsv(\.\w+)?"

#: Bytes of rows in a batch, about: articles' introductions stand in every row.
_BATCH_BYTES: Final = 8 * 1024 * 1024

#: Booleans are these two strings; bool("false") is what made every image a main image for others. Where nothing is said, none is
#: wrong: no rule looks at them, and readers elsewhere take `page_changed_recently` for a string because it may be empty.
_BOOLEANS: Final = frozenset({"true", "false"})
_FLAGS: Final = ("is_main_image", "attribution_passes_lang_id", "page_changed_recently")
_SIZES: Final = ("original_width", "original_height")
_PIXELS: Final = re.compile("[0-9]{1,10}")
_WHOLE_FLOAT: Final = re.compile(r"([0-9]+)\.0")
_INT32_MAX: Final = 2**31 - 1

_SPLITS: Final = {"train": "train", "val": "validation", "validation": "validation", "test": "test"}

Candidate = Literal["reference", "attribution", "attribution_english", "alt_text"]
#: Candidate → the column that it is read from.
_COLUMN_OF: Final[Mapping[str, str]] = {
    "reference": "caption_reference_description",
    "attribution": "caption_attribution_description",
    "attribution_english": "caption_attribution_description",
    "alt_text": "caption_alt_text_description",
}
_M4: Final = "M4's builder (jz_wit.py)"


class Options(SourceOptions):
    """Options of `wit`."""

    languages: Annotated[
        tuple[str, ...],
        Field(min_length=1, strict=False),
        Rule(
            says="Languages of Wikipedia whose rows are taken, as upstream's `language` spells them.",
            origin=f"{_M4}; FLAVA (2112.04482) is silent, its Table 2 fits English alone",
            paper=("en",),
            hub=("en",),
            recommended=("en",),
            table2="WIT 4.8M: upstream has 5.4M English rows of 37M",
        ),
    ]
    captions: Annotated[
        tuple[Candidate, ...],
        Field(min_length=1, strict=False),
        Rule(
            says="Texts in order of preference: the first that has enough words is the caption. "
            "`attribution_english` is what follows the label English in a text of several languages, "
            "`attribution` the whole text.",
            origin=f"FLAVA (2112.04482) is silent; the chain with attribution_english is {_M4}",
            paper=("reference", "attribution", "alt_text"),
            hub=("reference", "attribution_english", "alt_text"),
            recommended=("reference", "attribution_english", "alt_text"),
            table2="WIT 4.8M: hub's chain loses the rows whose only text is an attribution without a label",
        ),
    ]
    min_words_reference: Annotated[
        int,
        Field(ge=1, le=1000),
        Rule(
            says="Fewest words of a reference description.",
            origin=f'{_M4}, which splits at " "; here at any white space',
            paper=1,
            hub=2,
            recommended=2,
            table2="WIT 4.8M",
        ),
    ]
    min_words_attribution: Annotated[
        int,
        Field(ge=1, le=1000),
        Rule(
            says="Fewest words of an attribution; of an English part of one never under three.",
            origin=f'{_M4}, which splits at " "; here at any white space',
            paper=1,
            hub=3,
            recommended=3,
            table2="WIT 4.8M",
        ),
    ]
    min_words_alt_text: Annotated[
        int,
        Field(ge=1, le=1000),
        Rule(
            says="Fewest words of an alt text.",
            origin=f'{_M4}, which splits at " "; here at any white space',
            paper=1,
            hub=3,
            recommended=3,
            table2="WIT 4.8M",
        ),
    ]
    drop_non_ascii: Annotated[
        bool,
        Rule(
            says="Drop every character beyond ASCII from the chosen caption; reject it where nothing is left.",
            origin=_M4,
            paper=False,
            hub=True,
            recommended=False,
        ),
    ]

    def written_in(self) -> tuple[str, ...] | None:
        return self.languages


@dataclasses.dataclass(frozen=True)
class Captions:
    """The caption of each row, or why it has none.

    Attributes:
        texts: Captions; null where none passes.
        columns: The upstream column that each came from; null where none passes.
        reasons: no_caption, not_ascii; null where one passes.
        details: How many words each candidate had, where none passes.
    """

    texts: pa.Array
    columns: pa.Array
    reasons: pa.Array
    details: pa.Array


def choose(columns: Mapping[str, pa.Array], options: Options) -> Captions:
    """Apply the caption rules.

    Args:
        columns: Upstream's three caption columns, of one length.
        options: The rules.
    """
    rows = len(columns["caption_reference_description"])
    fewest = {
        "reference": options.min_words_reference,
        "attribution": options.min_words_attribution,
        "attribution_english": options.min_words_attribution,
        "alt_text": options.min_words_alt_text,
    }
    texts: pa.Array = pa.nulls(rows, pa.string())
    chosen: pa.Array = pa.nulls(rows, pa.string())
    notes: list[pa.Array] = []
    for candidate in options.captions:
        values = columns[_COLUMN_OF[candidate]]
        if candidate == "attribution_english":
            values = pa.array([cleaning.attribution_english(value) for value in values.to_pylist()], pa.string())
        words = pc.fill_null(cleaning.word_count(values), 0)
        takes = pc.and_(pc.is_null(chosen), pc.greater_equal(words, fewest[candidate]))
        texts = pc.if_else(takes, values, texts)
        chosen = pc.if_else(takes, _COLUMN_OF[candidate], chosen)
        noun = pc.if_else(pc.equal(words, 1), " word", " words")
        notes.append(pc.binary_join_element_wise(f"{candidate}: ", words.cast(pa.string()), noun, ""))
    reasons = pc.if_else(pc.is_null(chosen), "no_caption", pa.scalar(None, pa.string()))
    details = pc.if_else(pc.is_null(chosen), pc.binary_join_element_wise(*notes, "; "), pa.scalar(None, pa.string()))
    if options.drop_non_ascii:
        texts = cleaning.drop_non_ascii(texts)
        reasons = pc.if_else(pa.array(column_drafts.equals(cleaning.normalise(texts), "")), "not_ascii", reasons)
    return Captions(texts, chosen, reasons, details)


def draft(
    header: Sequence[str], rows: Sequence[Sequence[str]], places: Sequence[str], split: str, options: Options
) -> pa.RecordBatch:
    """Return the drafts of rows that have as many fields as the header.

    Args:
        header: Upstream's names of the columns.
        rows: Fields of each row.
        places: Where each row stands.
        split: Upstream's split.
        options: The rules.
    """
    count = len(rows)
    columns = {
        name: pa.array(values, pa.string()) for name, values in zip(header, zip(*rows, strict=True), strict=True)
    }
    details = _malformed(columns)
    malformed = np.array([detail is not None for detail in details], np.bool_)
    reasons = np.full(count, None, object)
    reasons[malformed] = "malformed_row"
    asked = column_drafts.mask(pc.is_in(columns["language"], value_set=pa.array(options.languages, pa.string())))
    for row in np.flatnonzero(~malformed & ~asked).tolist():
        reasons[row] = "language"
        details[row] = f"language {columns['language'][row].as_py()!r}"
    no_image = ~malformed & asked & column_drafts.equals(columns["image_url"], "")
    reasons[no_image] = "no_image"
    eligible: Indices = np.flatnonzero(reasons == None)  # noqa: E711 - elementwise
    taken = {name: values.take(pa.array(eligible)) for name, values in columns.items()}
    captions = choose(taken, options)
    passes = column_drafts.mask(pc.is_null(captions.reasons))
    of_kept = pa.array(np.flatnonzero(passes))
    kept: Indices = eligible[passes]
    reasons[eligible] = captions.reasons.to_numpy(zero_copy_only=False)
    for row, detail in zip(eligible.tolist(), captions.details.to_pylist(), strict=True):
        details[row] = detail
    chosen = pa.StructArray.from_arrays([captions.columns.take(of_kept)], names=["field"])
    meta = column_drafts.json_objects(
        {**{name: values.take(of_kept) for name, values in taken.items()}, "_pmd": chosen}
    )
    well_formed = pa.array(~malformed)
    ids = pc.binary_join_element_wise(
        columns["page_url"], columns["image_url"], columns["hierarchical_section_title"], "/"
    )
    nothing = pa.scalar(None, pa.string())
    return column_drafts.drafts(
        count,
        {
            "source_id": pc.if_else(well_formed, ids, nothing),
            # The same as of the fields as parts, and one call for a row instead of seventeen.
            "row_digest": column_drafts.keys_of(map(keys.digest, map("\x00".join, rows)), count),
            "image_url": pc.if_else(pc.equal(columns["image_url"], ""), nothing, columns["image_url"]),
            **{
                name: pa.array(
                    [
                        None if bad or not size else int(size) or None
                        for bad, size in zip(malformed, columns[column].to_pylist(), strict=True)
                    ],
                    pa.int32(),
                )
                for name, column in zip(("width_px", "height_px"), _SIZES, strict=True)
            },
            "text": column_drafts.scatter(captions.texts.take(of_kept), kept, count),
            "meta": column_drafts.scatter(meta, kept, count),
            "text_licence": "CC-BY-SA-3.0",
            "image_licence": "NOASSERTION",
            "split": split,
            "reason": pa.array(reasons, pa.string()),
            "detail": pa.array(details, pa.string()),
            "where": pa.array(places, pa.string()),
        },
    )


class Wit:
    """WIT; see the module."""

    name = NAME
    options: type[SourceOptions] = Options

    def plan(self, files: Sequence[InputFile], options: Options) -> list[Chunk]:
        """One chunk a shard; tables are cut."""
        chunks: list[Chunk] = []
        for path, member in records.documents(files, _MEMBERS, expected="*.tsv, *.tsv.gz", lone=True):
            table = named_tables.look(path, member)
            if table is None or not _is_mirror(table):
                # Before anything is read: shards take hours, and the last may be another file.
                _header(archives.location(path, member), next(tsv.read_csv(path, member=member), None))
                chunks.append(Chunk(path=path, form="csv", member=member))
                continue
            layout = _layout(table)
            layout.names(table)
            chunks += table.chunks()
        return chunks

    def read(self, chunk: Chunk, options: Options) -> Iterator[pa.RecordBatch]:
        """Yield drafts; rows that could not be parsed are batches of their own."""
        if named_tables.is_chunk(chunk):
            yield from _mirrored(chunk, options)
            return
        rows, shard = tsv.read_csv(chunk.path, member=chunk.member), archives.location(chunk.path, chunk.member)
        header = _header(shard, next(rows, None))
        good: list[CsvRow] = []
        lost: list[CsvRow] = []
        held_bytes = 0
        for row in rows:
            (good if row.error is None and len(row.fields) == len(header) else lost).append(row)
            held_bytes += len(row.raw)
            if max(len(good), len(lost)) >= DRAFT_ROWS or held_bytes >= _BATCH_BYTES:
                yield from _batches(shard, header, good, lost, options)
                good, lost, held_bytes = [], [], 0
        yield from _batches(shard, header, good, lost, options)


SOURCE: Final = Wit()


def _batches(
    path: str, header: Sequence[str], good: Sequence[CsvRow], lost: Sequence[CsvRow], options: Options
) -> Iterator[pa.RecordBatch]:
    if good:
        fields = [row.fields for row in good]
        _spell(header, fields)
        yield draft(header, fields, [_place(path, row) for row in good], _split(path), options)
    if lost:
        yield column_drafts.drafts(
            len(lost),
            {
                "row_digest": column_drafts.keys_of((keys.digest(row.raw) for row in lost), len(lost)),
                "reason": pa.array([_reason(row) for row in lost], pa.string()),
                "detail": pa.array(
                    [row.error or f"expected {len(header)} fields, found {len(row.fields)}" for row in lost],
                    pa.string(),
                ),
                "where": pa.array([_place(path, row) for row in lost], pa.string()),
            },
        )


#: What every entry of `wit_features` has of upstream's columns; the others stand beside it, once for the image.
_FEATURES: Final = "wit_features"
_OF_IMAGE: Final = (
    "image_url", "caption_attribution_description", "mime_type", "original_height", "original_width",
)  # fmt: skip

#: What every row of upstream's has a value of.
_NEVER_EMPTY: Final = frozenset({"language", "page_url", "image_url"})

_ROWS: Final = named_tables.Layout("a mirror of wit", {name: (name,) for name in COLUMNS})
_IMAGES: Final = named_tables.Layout(
    "a mirror of wit (wit_base)", {name: (name,) for name in _OF_IMAGE}, {_FEATURES: (_FEATURES,)}
)


def _is_mirror(table: named_tables.Table) -> bool:
    """Return whether a file is a mirror's table, though perhaps one of other columns; upstream's own has tabs."""
    return table.form in ("parquet", "jsonl") or (table.form == "csv" and not {*COLUMNS}.isdisjoint(table.columns))


def _layout(table: named_tables.Table) -> named_tables.Layout:
    return _IMAGES if _FEATURES in table.columns else _ROWS


def _mirrored(chunk: Chunk, options: Options) -> Iterator[pa.RecordBatch]:
    """Yield the drafts of a mirror's rows."""
    table = named_tables.look(chunk.path, chunk.member)
    layout = _ROWS if table is None else _layout(table)
    found = named_rows.rows(chunk, layout)
    if layout is _IMAGES:
        found = itertools.chain.from_iterable(_pages(row, where) for row, where in found)
    split = named_tables.split_of(chunk.path) or "train"
    good: list[list[str]] = []
    places: list[str] = []
    lost: list[dict[str, Any]] = []
    held_bytes = 0
    for row, where in found:
        try:
            record = records.mapping(row, "row")
            good.append([_spelled(record, name) for name in COLUMNS])
            places.append(where)
            held_bytes += sum(map(len, good[-1]))
        except records.Malformed as malformed:
            lost.append(records.lost(row, "malformed_row", str(malformed), where))
        if max(len(good), len(lost)) >= DRAFT_ROWS or held_bytes >= _BATCH_BYTES:
            yield from _good_and_lost(good, places, lost, split, options)
            good, places, lost, held_bytes = [], [], [], 0
    yield from _good_and_lost(good, places, lost, split, options)


def _good_and_lost(
    good: Sequence[Sequence[str]], places: Sequence[str], lost: Sequence[dict[str, Any]], split: str, options: Options
) -> Iterator[pa.RecordBatch]:
    if good:
        yield draft(COLUMNS, good, places, split, options)
    if lost:
        yield named_rows.lost_batch(lost)


def _pages(row: Any, where: str) -> Iterable[tuple[Any, str]]:
    """Yield the rows of upstream's that an image of wit_base stands for: one for each page that it is on."""
    features = row.get(_FEATURES) if isinstance(row, dict) else None
    # The library datasets makes an object of lists of a list of objects.
    if isinstance(features, dict) and all(isinstance(column, list) for column in features.values()):
        names = [*features]
        features = [dict(zip(names, entry, strict=False)) for entry in zip(*features.values(), strict=False)]
    if not isinstance(features, list) or not features or not all(isinstance(entry, dict) for entry in features):
        return [({_FEATURES: features} if isinstance(row, dict) else row, where)]
    of_image = {name: row.get(name) for name in _OF_IMAGE}
    return [({**entry, **of_image}, f"{where}, {_FEATURES}[{index}]") for index, entry in enumerate(features)]


def _spelled(row: Mapping[str, Any], name: str) -> str:
    """Return a mirror's value as upstream spells it: nothing is the empty text, and flags are words."""
    if name not in row and name in _NEVER_EMPTY:
        raise records.Malformed(f"{name}: missing")
    value = row.get(name)  # Spark leaves what is null out of JSON Lines
    if value is None:
        return ""
    if isinstance(value, str):
        return _spelled_text(value, name)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) or (isinstance(value, float) and value.is_integer()):
        return str(int(value))
    raise records.Malformed(f"{name}: expected text, found {records.meta(value)[:60]}")


def _spell(header: Sequence[str], rows: Sequence[list[str]]) -> None:
    """Spell flags and sizes as upstream does, in place, where a program has written a shard anew: pandas does in a TSV too."""
    for name in (*_FLAGS, *_SIZES):
        at = header.index(name)
        # Nearly always no value is another.
        values = {row[at] for row in rows}
        if not all(value in _BOOLEANS if name in _FLAGS else value.isdigit() for value in values if value):
            for row in rows:
                row[at] = _spelled_text(row[at], name)


def _spelled_text(value: str, name: str) -> str:
    """Return a mirror's text as upstream spells it: Python writes True into a CSV, and pandas 10.0 below a missing size."""
    if name in _FLAGS and value.lower() in _BOOLEANS:
        return value.lower()
    if name in _SIZES and (whole := _WHOLE_FLOAT.fullmatch(value)):
        return whole[1]
    return value


def _reason(row: CsvRow) -> str:
    return "bad_encoding" if row.error is not None and row.error.startswith(INVALID_UTF8) else "malformed_row"


def _place(path: str, row: CsvRow) -> str:
    return f"{path}:line {row.line}"


def _header(path: str, row: CsvRow | None) -> tuple[str, ...]:
    """Return the names of the columns.

    Raises:
        InputError: The first row is no header of WIT.
    """
    names = tuple(row.fields) if row is not None else ()
    missing = [name for name in COLUMNS if name not in names]
    if missing or len(set(names)) != len(names):
        whole = "a shard's header stands in its first row only: give whole shards, as upstream publishes them"
        shown: Any = "\t".join(names) if names else "an empty file" if row is None else row.error or "an empty line"
        if 0 < len(missing) < len(COLUMNS):
            shown = f"one without {', '.join(missing)}"
            whole = "give all of upstream's columns: a row is known by them"
        raise InputError(
            "the first row is not WIT's header",
            where=f"{path}:line 1",
            expected=f"a row with the column names {', '.join(COLUMNS)}, each once",
            found=shown[:120] + ("…" if len(shown) > 120 else ""),
            remedy=(row and named_tables.otherwise(row.raw)) or whole,
        )
    return names


def _split(path: str) -> str:
    """Return upstream's split by the file's name (wit_v1.val.all-00000-of-00005.tsv.gz); train where it names none."""
    words = re.split("[^a-z]+", posixpath.basename(path).lower())
    return next((_SPLITS[word] for word in words if word in _SPLITS), "train")


def _malformed(columns: Mapping[str, pa.Array]) -> list[str | None]:
    """Return, for each row, which field is not what it must be; None where all are."""
    details: list[str | None] = [None] * len(columns["language"])
    for name in _SIZES:
        for row, value in enumerate(columns[name].to_pylist()):
            if value and not (_PIXELS.fullmatch(value) and int(value) <= _INT32_MAX):
                details[row] = f"{name}: expected a number of pixels, found {value[:40]!r}"
    for name in _FLAGS:
        wrong = pc.invert(pc.is_in(columns[name], value_set=pa.array(["", *sorted(_BOOLEANS)], pa.string())))
        for row in np.flatnonzero(column_drafts.mask(wrong)).tolist():
            details[row] = f"{name}: expected true or false, found {columns[name][row].as_py()[:40]!r}"
    return details
