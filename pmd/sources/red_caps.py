"""RedCaps: Reddit's captions, `annotations/<subreddit>_<year>.json`, from the release's zip as it is, or unpacked.

Or a mirror's table, such as the Parquet that the Hub makes of its loader: the same records, with `image_url` for `url`, a
time for `created_utc`, a number for each subreddit, and null for what a record has not. They are made upstream's again.

The release has 1,391 documents of very unequal size. A chunk is a run of them of some `CHUNK_BYTES`: indices of members
of the zip, or files.
"""

from __future__ import annotations

import datetime
import html
import itertools
import posixpath
import re
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlsplit

import pyarrow as pa

from pmd.errors import InputError
from pmd.formats import archives, json_stream
from pmd.sources import named_rows, named_tables, records
from pmd.sources.contract import Chunk, InputFile, Rule, SourceOptions
from pmd.text import url_identity

NAME: Final = "red_caps"

#: An SPDX expression: the annotations are CC BY 4.0, and beside that for non-commercial research alone.
TEXT_LICENCE: Final = "CC-BY-4.0 AND LicenseRef-RedCaps-non-commercial"

#: Plain JSON in a chunk, about: all of RedCaps (some 5 GB) is then some 80 chunks.
CHUNK_BYTES: Final = 64 * 1024 * 1024

#: Hidden files, such as the "._x.json" that macOS puts into zips, are none of the release's.
_MEMBERS: Final = r"[^.].*\.json"
_EXPECTED: Final = 'RedCaps: {"annotations": [{"image_id": …, "url": …, "caption": …, "raw_caption": …}, …]}'
_IMGUR: Final = re.compile(r"(?:.+\.)?imgur\.(?:com|io)", re.IGNORECASE)
#: White space before another URL. Looked for from its start alone: else from each blank of it, to its end.
_BETWEEN: Final = re.compile(r"(?<!\s)\s+(?=https?://)")

#: An address that RedCaps' downloader has made of a post's: imgur.com/Abc12?1, www.imgur.com/Abc12, imgur.com/Abc12.png and
#: imgur.com/r/cats/Abc12 became i.imgur.com/Abc12?1.jpg, www.i.imgur.com/Abc12.jpg, i.imgur.com/Abc12.png.jpg and
#: i.imgur.com/r/cats/Abc12.jpg. Imgur spells no picture's address so.
_POST: Final = re.compile(
    r"((?i:https?))://(?i:(?:www\.)?i\.imgur\.com)/(?:(?:r|t|topic)/[^/?#]+/)?"
    r"([0-9A-Za-z]{5,8})(\.(?i:jpe?g|png|gif))?/?(?:[?#][^/]*)?\.jpg"
)

#: What Reddit's API writes for three characters (its documentation, "response body encoding").
_ESCAPED: Final = re.compile("&(?:amp|lt|gt);")

#: Keys of which RedCaps' annotations have all, and COCO's, which stand under the same name, none.
_OWN_KEYS: Final = frozenset({"url", "raw_caption", "subreddit", "permalink", "author"})

_ID: Final = "image_id"
#: Upstream's key → the column of a mirror, best first.
_NEEDED: Final[dict[str, tuple[str, ...]]] = {_ID: (_ID,), "url": ("image_url", "url")}
_TEXTS: Final[dict[str, tuple[str, ...]]] = {"raw_caption": ("raw_caption",), "caption": ("caption",)}
_OTHERS: Final[dict[str, tuple[str, ...]]] = {
    name: (name,) for name in ("author", "subreddit", "score", "created_utc", "permalink", "crosspost_parents")
}
#: Upstream's order of an annotation's keys.
_ORDER: Final = (
    "image_id", "subreddit", "url", "caption", "raw_caption", "score", "author", "created_utc", "permalink",
    "crosspost_parents",
)  # fmt: skip
_NUMBERS: Final = frozenset({"score", "created_utc"})
_NEVER_NULL: Final = frozenset({*_NEEDED, *_TEXTS})
#: What not every annotation has.
_OFTEN: Final = frozenset({"score", "crosspost_parents"})
#: Seconds since 1970 are under this, and milliseconds, as some writers have it, are not: Reddit is of 2005.
_FEWEST_MS: Final = 10**11


class Options(SourceOptions):
    """Options of `red_caps`."""

    text: Annotated[
        Literal["caption", "raw_caption"],
        Rule(
            says="caption: RedCaps' cleaned text (lower case, ASCII, without brackets, user names as <usr>); "
            "raw_caption: the title as posted.",
            origin="FLAVA (2112.04482) is silent, its code's example takes caption; M4's builder takes raw_caption; "
            "recommended keeps caption, since raw_caption names people",
            paper="caption",
            hub="raw_caption",
            recommended="caption",
            table2="RedCaps: the average length (9.5 words) moves; some 12,000 pairs have an empty caption",
        ),
    ]


class RedCaps:
    """RedCaps; see the module."""

    name = NAME
    options: type[SourceOptions] = Options

    def plan(self, files: Sequence[InputFile], options: Options) -> list[Chunk]:
        """Group the documents of each zip, and those that stand alone, by size."""
        chunks: list[Chunk] = []
        alone: list[tuple[str, int]] = []
        whole = {file.path for file in files}
        documents: list[tuple[str, str | None]] = []
        for file in sorted(files, key=lambda file: file.path):
            path, member = archives.split_member(file.path)
            if member is not None and path in whole:
                continue  # it is read with its archive
            if member is None and archives.is_archive(path):
                bytes_of = {entry.name: entry.bytes for entry in archives.members(path)}
                members = _members(path)
                documents += members
                sizes = [bytes_of[name] for _, name in members if name is not None]
                chunks += [Chunk(path=path, form="zip", start=start, stop=stop) for start, stop in runs(sizes)]
            elif (table := named_tables.look(path, member)) is not None and _is_mirror(table, options):
                _layout(options).names(table)
                chunks += table.chunks()
            else:
                _refuse_foreign(path, member)
                documents.append((path, member))
                alone.append((file.path, file.bytes))
        records.refuse_copies(documents)
        for start, stop in runs([size for _, size in alone]):
            first, *others = [path for path, _ in alone[start:stop]]
            path, member = archives.split_member(first)
            chunks.append(Chunk(path=path, form="json", member=member, companions=tuple(others)))
        return chunks

    def read(self, chunk: Chunk, options: Options) -> Iterator[pa.RecordBatch]:
        """Yield one draft an annotation."""
        yield from records.batches(
            _mirrored(chunk, options) if named_tables.is_chunk(chunk) else _drafts(chunk, options)
        )


SOURCE = RedCaps()


def runs(sizes: Sequence[int], target_bytes: int = CHUNK_BYTES) -> list[tuple[int, int]]:
    """Cut documents, in their order, into runs [start, stop) that end where they reach the target size."""
    cuts, start, total = [], 0, 0
    for index, size in enumerate(sizes):
        total += size
        if total >= target_bytes:
            cuts.append((start, index + 1))
            start, total = index + 1, 0
    return [*cuts, (start, len(sizes))] if start < len(sizes) else cuts


def pictures(url: str) -> list[str]:
    """Return the URLs of the pictures that an annotation's `url` names, each once: nearly always itself.

    Reddit's API escapes `&`, `<` and `>` in all that it says, and whoever signs addresses knows none with `&amp;` in it.

    As the release's card takes them apart: several stand one behind another, with white space between. In one of Imgur's, ids
    do, with commas between, and perhaps one behind the last.
    """
    given = url.strip()
    if "&" in given:
        given = _ESCAPED.sub(lambda escaped: html.unescape(escaped[0]), given)
    if "," not in given and len(given.split()) < 2:
        return [_direct(given)]
    addresses = [part for part in _BETWEEN.split(given) if part.startswith(("http://", "https://"))]
    named = itertools.chain.from_iterable(map(_of_imgur, addresses or [given]))
    return list(dict.fromkeys(map(_direct, named)))


def _direct(url: str) -> str:
    """Return where the picture of a post of Imgur's is whose address RedCaps' code has spoilt; any other URL as it is."""
    post = _POST.fullmatch(url)
    return url if post is None else f"{post[1]}://i.imgur.com/{post[2]}{post[3] or '.jpg'}"


def _of_imgur(url: str) -> list[str]:
    """Return the URLs of the pictures whose ids a URL of Imgur's has; of any other, or of one picture, the URL itself."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:  # no URL at all, which is not for this rule to say
        return [url]
    if "," not in parts.path or _IMGUR.fullmatch(host) is None:
        return [url]
    names = [posixpath.splitext(posixpath.basename(name.strip())) for name in parts.path.split(",")]
    return [
        f"http://i.imgur.com/{name}{kind.partition('%')[0] or '.jpg'}"
        for name, kind in names
        if name and not name.startswith(".")
    ]


def _members(path: str) -> list[tuple[str, str | None]]:
    # The release holds nothing else but its terms: a file of another name is a document whose name was damaged.
    for entry in archives.members(path):
        name = posixpath.basename(entry.name)
        if not (re.fullmatch(rf"{_MEMBERS}|\..*", name, re.IGNORECASE) or records.DESCRIBING.fullmatch(name)):
            raise InputError(
                "the archive holds a file that is none of the release's",
                where=archives.location(path, entry.name),
                expected="annotations/<subreddit>_<year>.json",
                found=entry.name,
                remedy="take it out of the archive, or fetch the archive again",
            )
    return records.documents([InputFile(path, 0)], _MEMBERS, expected="annotations/<subreddit>_<year>.json")


def _refuse_foreign(path: str, member: str | None) -> None:
    start = records.head(path, member)
    if not start.lstrip(records.BLANK).startswith(b"{"):
        # A list of annotations is a mirror's table, once it is JSON Lines.
        raise records.foreign(path, member, expected=_EXPECTED, start=start, remedy=named_tables.otherwise(start))


def _documents(chunk: Chunk) -> list[tuple[str, str | None]]:
    if chunk.form == "zip":
        return _members(chunk.path)[chunk.start : chunk.stop]
    return [(chunk.path, chunk.member), *(archives.split_member(companion) for companion in chunk.companions)]


def _drafts(chunk: Chunk, options: Options) -> Iterator[dict[str, Any]]:
    for path, member in _documents(chunk):
        document = archives.location(path, member)
        annotations = json_stream.objects(path, "annotations", member=member, expected=_EXPECTED)
        first = list(itertools.islice(annotations, records.HEAD_RECORDS))
        named = [annotation.keys() for _, annotation in first if isinstance(annotation, dict)]
        # One alone may be a bad row, and no sign of another source.
        if len(named) > 1 and not any(_OWN_KEYS & names for names in named):
            shown = records.keys_of(dict.fromkeys(named[0]))
            raise records.foreign(path, member, expected=_EXPECTED, found=f"annotations[0] with {shown}")
        for index, annotation in itertools.chain(first, annotations):
            where = f"{document}:annotations[{index}]"
            try:
                yield _draft(annotation, options.text) | {"where": where}
            except records.Malformed as error:
                yield records.lost(annotation, "malformed_row", str(error), where)


def _layout(options: Options) -> named_tables.Layout:
    """Return the columns of a mirror: the text that is not asked for need not be there."""
    asked: dict[str, tuple[str, ...]] = {options.text: _TEXTS[options.text]}
    return named_tables.Layout(
        f"a mirror of {NAME}", {**_NEEDED, **asked}, {**_TEXTS, **_OTHERS}, text=frozenset({_ID, "url", *_TEXTS})
    )


def _is_mirror(table: named_tables.Table, options: Options) -> bool:
    """Return whether a file is a mirror's table, though perhaps one of other columns: upstream's document has a list."""
    if table.form == "jsonl":
        return "annotations" not in table.columns
    return table.form == "parquet" or _layout(options).fits(table)


def _mirrored(chunk: Chunk, options: Options) -> Iterator[dict[str, Any]]:
    layout = _layout(options)
    nothing = dict.fromkeys(layout.needed)  # Spark leaves what is null out of JSON Lines
    for row, where in named_rows.rows(chunk, layout):
        try:
            annotation = _upstream(nothing | records.mapping(row, "annotation"))
            yield _draft(annotation, options.text) | {"where": where}
        except records.Malformed as error:
            yield records.lost(row, "malformed_row", str(error), where)


def _upstream(row: dict[str, Any]) -> dict[str, Any]:
    """Return a mirror's row as the annotation that it was made from."""
    # Every annotation has these, and many a table has null for an empty text.
    said = {key: "" if value is None and key in _NEVER_NULL else value for key, value in row.items()}
    # Two are not in every annotation; a table has a place for them in every row.
    there = {key for key, value in said.items() if value is not None and (value != "" or key not in _OFTEN)}
    annotation: dict[str, Any] = {key: said[key] for key in _ORDER if key in there}
    for key in _NUMBERS & there:
        annotation[key] = _number(annotation[key])
    if type(created := annotation.get("created_utc")) is int and created >= _FEWEST_MS:
        annotation["created_utc"] = created // 1000
    return annotation


def _number(value: Any) -> Any:
    """Return a number, or a time as seconds since 1970, in whatever form a table has it; what is neither as it is.

    A CSV makes text of both, and so do most writers of JSON of a time. One without a zone is UTC, as upstream's are.
    """
    if isinstance(value, str):
        if (spelled := records.spelled_whole(value)) is not None:
            return spelled
        try:
            value = datetime.datetime.fromisoformat(value)
        except ValueError:
            return value
    if isinstance(value, datetime.datetime):
        return int(value.replace(tzinfo=value.tzinfo or datetime.UTC).timestamp())
    return value if (number := records.whole(value)) is None else number


def _draft(annotation: Any, text_key: str) -> dict[str, Any]:
    record = records.mapping(annotation, "annotation")
    if record.get(_ID) is None:  # as a mirror's row has it, whose empty text may have been either: one row has one key
        record = {_ID: ""} | record | {_ID: ""}
    url = records.text(record, "url")
    image_id = records.text(record, _ID)
    draft: dict[str, Any] = {
        "source_id": None if records.is_no_id(image_id) else image_id,
        "row_digest": records.row_digest(record),
        "image_url": url,
        "text": records.text(record, text_key),
        "meta": records.meta(record),
        "text_licence": TEXT_LICENCE,
        "image_licence": "NOASSERTION",
    }
    named = pictures(url)
    if not url.strip():
        draft |= {"reason": "no_image", "detail": "url is empty"}
    elif len(named) > 1:
        draft |= {"reason": "several_images", "detail": url}
    elif named and named[0] != url.strip():
        draft |= {"identity": url_identity.of_one(named[0]), "mirrors": named}
    return draft
