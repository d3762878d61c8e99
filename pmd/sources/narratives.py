"""Localized Narratives: what its four sources share. Each is one data set's images under one kind of JSON Lines row.

Read alike: captions-only files, full files (with or without `traces`), and facebook/pmd's `*_captions_multi.jsonl`,
which are already split at full stops and keep the narrative as `original_caption`; and a mirror's table, without its pictures
and traces. A sentence has the same `source_id` from whichever of them it is read. The four modules over this one say which
images there are, and how they are found.
"""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, Any, Final

import pyarrow as pa

from pmd.errors import InputError
from pmd.formats import archives, json_stream, lines
from pmd.schema import keys
from pmd.sources import karpathy, named_rows, named_tables, records
from pmd.sources.contract import Chunk, InputFile, Rule, SourceOptions
from pmd.sources.karpathy import Exclude
from pmd.text import cleaning

#: Hidden files, such as the "._x.jsonl" that macOS puts into zips, are none of upstream's.
_MEMBERS: Final = r"[^.].*\.jsonl(\.\w+)?"
_EXPECTED: Final = (
    'JSON Lines of Localized Narratives: {"dataset_id": …, "image_id": …, "annotator_id": …, "caption": …}'
)
#: A mouse trace and timed words are up to some 100 kB a row, and say nothing of the pair.
_TOO_HEAVY: Final = frozenset({"traces", "timed_caption"})
#: Columns of a mirror; what else it has (`image`, `traces`, `timed_caption`) is heavy, and says nothing of the pair.
_MIRROR: Final = named_tables.Layout(
    "a mirror of Localized Narratives",
    {name: (name,) for name in ("dataset_id", "image_id", "annotator_id", "caption")},
    {"original_caption": ("original_caption",)},
    text=frozenset({"dataset_id", "caption", "original_caption"}),
)
#: The start of a list with an object a line. The end of a row that was cut in two may begin with a bracket, too.
_LIST: Final = re.compile(rb"\s*\[(?:[^\n]*,)?\s*\n")
#: Rows looked at to tell which data set a table is of.
_HEAD_ROWS: Final = 100
#: What a `dataset_id` or file name has in it, by data set.
_MARKS: Final[dict[str, re.Pattern[str]]] = {
    "openimages": re.compile(r"open_?images", re.IGNORECASE),
    "coco": re.compile(r"coco", re.IGNORECASE),
    "flickr30k": re.compile(r"flick", re.IGNORECASE),
    "ADE20k": re.compile(r"ade20k|^ade", re.IGNORECASE),
}


#: An id that is a file's name as it stands: nothing in it leads to another folder.
_PLAIN: Final = re.compile(r"(?!\.{1,2}$)[^/\\\x00-\x1f\x7f]{1,100}")


def plain(image_id: str, of: str) -> str:
    """Return an id of which a path is made; raise `records.Malformed` where it would lead elsewhere."""
    if _PLAIN.fullmatch(image_id) is None:
        raise records.Malformed(f"image_id: expected an id of {of}, found {image_id[:60]}")
    return image_id


class Options(SourceOptions):
    """Options of the four Localized Narratives sources."""

    split_sentences: Annotated[
        bool,
        Rule(
            says="Cut a narrative at its full stops: each piece, with its full stop put back, is a pair.",
            origin="facebook/pmd's loader and files; FLAVA (2112.04482) is silent, but Table 2's 1.9M pairs of 13.8 "
            "words are sentences: whole narratives are 0.87M of 36.5 words",
            paper=True,
            hub=True,
            recommended=True,
            table2="Localized Narratives: 1.9M pairs fall to 0.87M when it is off",
        ),
    ]


class CocoOptions(Options):
    """Options of Localized Narratives on COCO."""

    karpathy: Annotated[str, karpathy.FILE_RULE, karpathy.FILE]
    exclude_karpathy: Annotated[Exclude, karpathy.EXCLUDE_RULE]


@dataclasses.dataclass(frozen=True)
class Picture:
    """Which image a narrative is of.

    Attributes:
        identity: The image's identity.
        file_name: Its name in upstream's archive.
        image_url: Its URL, where upstream's images have one each.
    """

    identity: str
    file_name: str
    image_url: str | None = None


@dataclasses.dataclass(frozen=True)
class Narratives:
    """One of the four sources.

    Attributes:
        name: Name of the source.
        dataset: Key of its data set in `dataset_id` and file names.
        picture: Says which image `image_id` is, given the split. Raises `records.Malformed` where it is no id of the
            data set, and `NoSplit` where its place depends on a split that nothing tells.
        options: Options of the source.
        numbered: Whether its image ids are numbers.
    """

    name: str
    dataset: str
    picture: Callable[[str, str | None], Picture]
    options: type[SourceOptions] = Options
    numbered: bool = False

    def plan(self, files: Sequence[InputFile], options: Options) -> list[Chunk]:
        """Cut plain files into byte ranges; a member of an archive is one chunk."""
        held: tuple[str, ...] = ()
        if isinstance(options, CocoOptions):
            held = karpathy.companions(options.karpathy, options.exclude_karpathy)
        chunks = []
        first: dict[tuple[str, ...], str] = {}
        for path, member in records.documents(files, _MEMBERS, expected="*.jsonl"):
            table = named_tables.look(path, member)
            # JSON Lines are upstream's own form.
            if table is not None and (
                table.form == "parquet" or (table.form in ("csv", "tsv") and _MIRROR.fits(table))
            ):
                _MIRROR.names(table)
                self._refuse_another(table)
                chunks += [dataclasses.replace(chunk, companions=held) for chunk in table.chunks()]
                continue
            _refuse_twice(self._refuse_foreign(path, member), archives.location(path, member), first)
            for start, stop in [(0, None)] if member is not None else lines.ranges(path):
                chunks.append(Chunk(path=path, form="jsonl", member=member, start=start, stop=stop, companions=held))
        return chunks

    def read(self, chunk: Chunk, options: Options) -> Iterator[pa.RecordBatch]:
        """Yield one draft a sentence, or a narrative."""
        yield from records.batches(self._drafts(chunk, options))

    def _refuse_foreign(self, path: str, member: str | None) -> dict[str, Any] | None:
        """Raise for a file whose first lines hold no narrative, or only those of another data set; return the first one.

        A file without lines has no narratives, and is none the worse for it.
        """
        first = lines.head(path, member=member)
        if first is None:
            return None
        rows = [row for _, row, _ in json_stream.parse_json_lines(first) if isinstance(row, dict)]
        named = [row["dataset_id"] for row in rows if isinstance(row.get("dataset_id"), str)]
        shaped = not rows or any("caption" in row and "image_id" in row for row in rows)
        start = records.head(path, member)
        # Of a list with an object a line, as DuckDB writes it, the last line alone is an object as it stands.
        is_list = _LIST.match(start) is not None
        if is_list or not shaped or not any(map(self._is_mine, named)):
            expected = f"{_EXPECTED}, of {self.dataset}"
            # Lines that are objects are JSON Lines, though of something else.
            remedy = named_tables.otherwise(start) if is_list or not rows else None
            raise records.foreign(path, member, expected=expected, start=start, remedy=remedy)
        return next((row for row in rows if "caption" in row and "image_id" in row), None)

    def _refuse_another(self, table: named_tables.Table) -> None:
        """Raise for a mirror's table whose first rows are all of another data set."""
        found = itertools.islice(named_rows.rows(table.chunks()[0], _MIRROR), _HEAD_ROWS)
        named = [str(row["dataset_id"]) for row, _ in found if isinstance(row, dict)]
        if named and not any(map(self._is_mine, named)):
            raise _MIRROR.refusal(table, f"not narratives of {self.dataset}", f"dataset_id {named[0]}")

    def _is_mine(self, dataset_id: str) -> bool:
        """Return whether a `dataset_id` is this data set's, or at least none that is known as another's."""
        others = [pattern for dataset, pattern in _MARKS.items() if dataset != self.dataset]
        return bool(_MARKS[self.dataset].search(dataset_id)) or not any(other.search(dataset_id) for other in others)

    def _drafts(self, chunk: Chunk, options: Options) -> Iterator[dict[str, Any]]:
        held: dict[int, str] = {}
        if isinstance(options, CocoOptions):
            held = karpathy.left_out(options.karpathy, options.exclude_karpathy)
        document = archives.location(chunk.path, chunk.member)
        is_mirror = named_tables.is_chunk(chunk)
        rows = _mirrored(chunk) if is_mirror else _lines(chunk, numbered=self.numbered)
        otherwise = named_tables.split_of(document) if is_mirror else None
        for row, where in rows:
            try:
                drafts = self._narrative(row, document, held, otherwise, split=options.split_sentences)
            except NoSplit as lacking:
                yield records.lost(row, "no_image", str(lacking), where)
            except records.Malformed as malformed:
                yield records.lost(row, "malformed_row", str(malformed), where)
            else:
                for draft in drafts:
                    yield draft | {"where": where}

    def _narrative(
        self, row: Any, document: str, held: dict[int, str], otherwise: str | None, *, split: bool
    ) -> list[dict[str, Any]]:
        """Return the drafts of one row, at least one; of a split that the file's place tells where nothing else does."""
        record = records.mapping(row, "row")
        if record.get("original_caption", "") in (None, ""):  # a column of a table, with nothing in it
            record = {key: value for key, value in record.items() if key != "original_caption"}
        dataset_id, image_id = records.text(record, "dataset_id"), records.text(record, "image_id")
        if not self._is_mine(dataset_id):
            raise records.Malformed(f"dataset_id: expected one of {self.dataset}, found {dataset_id}")
        annotator_id = records.integer(record, "annotator_id")
        caption = records.text(record, "caption")
        original = records.optional_text(record, "original_caption")
        of_split = split_of(dataset_id, image_id, document) or otherwise
        picture = self.picture(image_id, of_split)
        if records.is_no_id(image_id):
            raise records.Malformed(f"image_id: expected an id of {self.dataset}, found {image_id!r}")
        shared = {
            **dataclasses.asdict(picture),
            "row_digest": records.row_digest(record),
            "text_licence": "CC-BY-4.0",
            "image_licence": "NOASSERTION",
            "split": of_split,
        }
        if held and (karpathy_split := held.get(int(image_id))):
            shared |= {"reason": "evaluation_image", "detail": f"Karpathy {karpathy_split}"}
        light = {key: value for key, value in record.items() if key not in _TOO_HEAVY}
        narrative = caption if original is None else original
        stem = f"{dataset_id}/{image_id}/{annotator_id}/{keys.digest(narrative).hex()}"
        if original is not None:
            return [
                shared
                | {"source_id": _split_upstream(stem, caption, original), "text": caption, "meta": records.meta(light)}
            ]
        if not split:
            return [shared | {"source_id": stem, "text": caption, "meta": records.meta(light)}]
        sentences = cleaning.split_sentences([caption])[0]
        if not sentences:
            return [
                {"reason": "empty_text", "detail": "the narrative has no sentence"}
                | shared
                | {"source_id": f"{stem}/0", "text": caption, "meta": records.meta(light)}
            ]
        return [
            shared
            | {
                "source_id": f"{stem}/{number}",
                "text": sentence,
                "meta": records.meta({**light, "caption": sentence, "original_caption": caption}),
            }
            for number, sentence in enumerate(sentences)
        ]


def _refuse_twice(row: dict[str, Any] | None, place: str, first: dict[tuple[str, ...], str]) -> None:
    """Refuse files that begin with one narrative: upstream has each with its traces, and without.

    Args:
        row: The first of a file.
        place: What the file is called.
        first: That of each file before → what that is called; this one is added.

    Raises:
        InputError: Names both: each of their pairs would come twice.
    """
    if row is None:
        return
    said = (
        row.get("dataset_id"),
        row.get("image_id"),
        row.get("annotator_id"),
        row.get("original_caption") or row["caption"],
    )
    other = first.setdefault(tuple(map(str, said)), place)
    if other != place:
        raise InputError(
            "two editions of the same narratives, so that each of their pairs would come twice",
            where=place,
            expected="narratives with their traces, or without, or cut into sentences",
            found=f"{other} begins with the same narrative",
            remedy="take one of the two out of `annotations`; that of captions alone is the smallest, and gives the same pairs",
        )


def _lines(chunk: Chunk, *, numbered: bool) -> Iterator[tuple[Any, str]]:
    """Yield the rows of upstream's files, and where each stands; `Spoiled` for what is no JSON.

    Where ids are `numbered`, one that is a number is upstream's text: pandas makes it so, and writes it so.
    """
    for batch in lines.read_lines(chunk.path, chunk.start, chunk.stop, member=chunk.member):
        if isinstance(batch, lines.LongLine):
            yield json_stream.Spoiled(batch.digest, batch.why), batch.where
            continue
        for index, row, error in json_stream.parse_json_lines(batch):
            if numbered and isinstance(row, dict) and (number := records.whole(row.get("image_id"))) is not None:
                row["image_id"] = str(number)
            if error is None:
                yield row, batch.place(index)
            elif (raw := batch.lines[index].as_py()).strip():  # else a blank line, which is no row
                yield json_stream.Spoiled(raw, error), batch.place(index)


def _mirrored(chunk: Chunk) -> Iterator[tuple[Any, str]]:
    """Yield a table's rows as upstream has them, and where each stands."""
    for row, where in named_rows.rows(chunk, _MIRROR):
        yield _upstream(row) if isinstance(row, dict) else row, where


def _upstream(row: dict[str, Any]) -> dict[str, Any]:
    """Return a table's row as upstream has it."""
    record = {key: value for key, value in row.items() if value is not None}
    if "caption" in row:  # which many a table has null for, where it is empty
        record.setdefault("caption", "")
    # Tables make numbers of ids that are all digits, pandas makes floats of these, and a CSV makes text of every number.
    for key, read in (("image_id", records.digits), ("annotator_id", records.spelled_whole)):
        if (spelled := read(str(record.get(key)))) is not None:
            record[key] = spelled
    return record


class NoSplit(ValueError):
    """Neither the row nor the file's name says which split the image is in. Never leaves a reader."""

    def __init__(self) -> None:
        """Say so."""
        super().__init__("neither dataset_id, image_id nor the file's name says train, validation or test")


def split_of(dataset_id: str, image_id: str, document: str) -> str | None:
    """Return the split that a row is in.

    As its `dataset_id` says (mscoco_val2017), else its image id (ADE_train_…), else the name of its file; None where
    none of them does.
    """
    for name in (dataset_id, image_id, re.split(r"[/\\]", document)[-1]):
        if match := re.search(r"(?<![a-z])(train(?:ing)?|val(?:idation)?|test)(?![a-z])", name, re.IGNORECASE):
            return named_tables.SPLITS[match[1].lower()]
    return None


def _split_upstream(stem: str, caption: str, original: str) -> str:
    """Return the id of a sentence that upstream cut out: its number is where it stands in the narrative.

    A sentence that a narrative has twice stands at its first place both times, and one that is not in it has no number.
    """
    pieces = cleaning.split_sentences([original])[0]
    return f"{stem}/{pieces.index(caption)}" if caption in pieces else f"{stem}/{keys.digest(caption).hex()}"
