"""People's own pairs: any table with a column of image URLs and one of texts; TSV, CSV, Parquet or JSON Lines.

A configuration gives such a source its name (`[sources.NAME] reader = "url_text"`), and says which columns are meant, where
they are not called what everybody calls them. All else is as for every source: its pairs have keys of their content, and its
images are found by their URLs. Only the URLs may be handed on, unless the configuration says more.

**A list of `pmd publish`** is such a table that says more of a row, and that is read too (`pmd.sources.listed_rows`).

**The row's id** is that of `id_column`. Where none is named, or a row has none, it is the digest of URL and text: the same
rows in another form, or another order, are the same pairs. What writers put where there is no id ("", "None", "NaN", null) is
no id. 7.0 is 7, since some write numbers so.
"""

from __future__ import annotations

import dataclasses
import difflib
import posixpath
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Final

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from pmd import escape
from pmd.errors import InputError
from pmd.manifests.model import Licence, Redistribute, Terms
from pmd.sources import column_drafts, listed_rows, named_rows, named_tables, records
from pmd.sources.contract import Chunk, InputFile, Rule, SourceOptions

NAME: Final = "url_text"

#: That a column is the one of its usual name.
AUTO: Final = "auto"
#: That no column is meant.
NONE: Final = "none"
_URLS: Final = ("image_url", "url")
_TEXTS: Final = ("text", "caption")
_MEMBERS: Final = r"[^.].*\.(tsv|csv|jsonl|ndjson|json)(\.(gz|bz2|xz|zst))?"
#: Beside tables, a text is what somebody has written about them.
_TEXT_MEMBERS: Final = r"[^.].*\.txt(\.(gz|bz2|xz|zst))?"
_EXPECTED: Final = "tables: *.tsv, *.csv, *.jsonl, *.json, else *.txt"
_OF_ARCHIVE: Final = "name the members that are tables in `annotations`: ARCHIVE!/MEMBER"
_OF_FILE: Final = "name only tables in `annotations`, or write the file as one"
_REMEDY: Final = "name the columns in the configuration: url_column, text_column, id_column"


_Column = Annotated[str, Field(min_length=1)]


class Options(SourceOptions):
    """Options of a source that `url_text` reads."""

    url_column: Annotated[
        _Column,
        Rule(
            says='Column of the image\'s URL; "auto": the one called exactly image_url or url.',
            origin="ours",
            paper=AUTO,
            hub=AUTO,
            recommended=AUTO,
        ),
    ]
    text_column: Annotated[
        _Column,
        Rule(
            says='Column of the text; "auto": the one called exactly text or caption.',
            origin="ours",
            paper=AUTO,
            hub=AUTO,
            recommended=AUTO,
        ),
    ]
    id_column: Annotated[
        _Column,
        Rule(
            says='Column of the row\'s id; "none": a row is known by its URL and text.',
            origin="ours",
            paper=NONE,
            hub=NONE,
            recommended=NONE,
        ),
    ]
    text_licence: Annotated[
        Licence,
        Rule(
            says="Licence of the texts: an SPDX expression, or NOASSERTION.",
            origin="ours",
            paper="NOASSERTION",
            hub="NOASSERTION",
            recommended="NOASSERTION",
        ),
    ]
    image_licence: Annotated[
        Licence,
        Rule(
            says="Licence of the images, where all have the same: an SPDX expression, or NOASSERTION.",
            origin="ours",
            paper="NOASSERTION",
            hub="NOASSERTION",
            recommended="NOASSERTION",
        ),
    ]
    redistribute: Annotated[
        Redistribute,
        Rule(
            says='What published lists carry: "text" (URLs and texts), "urls", or "ids" (ids and digests alone).',
            origin="ours: nobody but you knows",
            paper="urls",
            hub="urls",
            recommended="urls",
        ),
    ]

    def written_in(self) -> tuple[str, ...] | None:
        return None


class UrlText:
    """People's own pairs; see the module."""

    name = NAME
    options: type[SourceOptions] = Options

    def plan(self, files: Sequence[InputFile], options: Options) -> list[Chunk]:
        """Cut each table; refuse a file without the columns."""
        chunks: list[Chunk] = []
        for table in _tables(files):
            layout = _layout(table, options)
            layout.names(table)
            _find_optional(table, layout)
            chunks += table.chunks()
        return chunks

    def read(self, chunk: Chunk, options: Options) -> Iterator[pa.RecordBatch]:
        """Yield one draft a row; rows that could not be read are batches of their own."""
        table = _table(chunk.path, chunk.member)
        layout = _layout(table, options)
        names = layout.names(table)
        split = named_tables.split_in(posixpath.basename(chunk.member or chunk.path))
        left = listed_rows.withdrawn_beside(chunk.path) if listed_rows.is_list(table) else None
        above = {} if left is None else listed_rows.of_folders(chunk.path)
        for part in named_rows.with_same(named_rows.parts(chunk, layout), above):
            if len(part.places):
                yield _drafts(part, names, split, options, left)
            if part.lost:
                yield named_rows.lost_batch(part.lost)

    def terms(self, name: str, options: Options) -> Terms:
        """Return what may be handed on: URLs, and texts where the configuration says so; no other field."""
        return Terms(name=name, hub_name=name, images_by_url=True, redistribute=options.redistribute, meta={})

    def notes(self, files: Sequence[InputFile], options: Options) -> list[str]:
        """Return which columns were found by their names, where the configuration does not name them."""
        found: dict[str, str] = {}
        lists: list[str] = []
        for table in _tables(files):
            names = _layout(table, options).names(table)
            guessed = [
                f'{option} = "{names[ours]}"'
                for ours, option in (("image_url", "url_column"), ("text", "text_column"))
                if getattr(options, option) == AUTO
            ]
            if guessed:
                found.setdefault(", ".join(guessed), table.label)
            if listed_rows.is_list(table):
                lists.append(table.label)
        notes = [f"columns by their names: {said} ({label})" for said, label in found.items()]
        return notes + [
            f"a list of pmd publish: regions, licences and splits are its rows' ({label})" for label in lists[:1]
        ]


READER: Final = UrlText()


def _tables(files: Sequence[InputFile]) -> Iterator[named_tables.Table]:
    """Yield the tables that files are or hold, sorted; lists of what has left have no rows of their own."""
    found = records.documents(
        files,
        _MEMBERS,
        expected=_EXPECTED,
        lone=True,
        else_wanted=_TEXT_MEMBERS,
        remedy=_OF_ARCHIVE,
        all_have_rows=False,  # programs write parts without rows, which are alike
    )
    tables = (_table(path, member) for path, member in found)
    yield from (table for table in tables if not listed_rows.is_of_withdrawn(table))


def _table(path: str, member: str | None) -> named_tables.Table:
    table = named_tables.look(path, member)
    if table is None:
        start = records.head(path, member)
        raise records.foreign(
            path,
            member,
            expected="a table whose columns have names: Parquet, JSON Lines, or CSV or TSV with a first line of names",
            start=start,
            remedy=named_tables.otherwise(start) or _OF_FILE,
        )
    return table


def _layout(table: named_tables.Table, options: Options) -> named_tables.Layout:
    """Return which of a table's columns are meant.

    Raises:
        InputError: More than one may be.
    """
    asked = (("image_url", "url_column", _URLS), ("text", "text_column", _TEXTS))
    needed: dict[str, tuple[str, ...]] = {}
    for ours, option, usual in asked:
        named = getattr(options, option)
        needed[ours] = usual if named == AUTO else (named,)
        there = [name for name in needed[ours] if name in table.columns]
        if len(there) > 1:
            raise InputError(
                "more than one column may be meant",
                where=table.label,
                expected=f"one column called {' or '.join(usual)}",
                found=", ".join(there),
                remedy=f'name it in the configuration: {option} = "{there[0]}"',
            )
    optional: dict[str, tuple[str, ...]] = {}
    if listed_rows.is_list(table):
        optional |= {name: (name,) for name in listed_rows.COLUMNS}
    if options.id_column != NONE:
        # Of JSON Lines nothing says which keys the rows have: each may have an id or not.
        (optional if table.form == "jsonl" else needed)["id"] = (options.id_column,)
    remedy = _remedy(table, {**needed, **optional})
    return named_tables.Layout("a table", needed, optional, text=frozenset({"image_url", "text"}), remedy=remedy)


def _find_optional(table: named_tables.Table, layout: named_tables.Layout) -> None:
    """Refuse JSON Lines of which none has a column that the configuration names: its name was mistyped.

    Where the first lines lack it, lines are read up to the first that has it.

    Raises:
        InputError: None has it.
    """
    missing = {ours for ours, names in layout.optional.items() if names[0] not in table.columns} & {"id"}
    if not missing:
        return
    whole = Chunk(table.path, named_tables.PREFIX + table.form, table.member)
    for row, _ in named_rows.rows(whole, layout):
        missing -= row.keys() if isinstance(row, dict) else set()
        if not missing:
            return
    dataclasses.replace(layout, needed={**layout.needed, **layout.optional}, optional={}).names(table)


#: Our names of columns → the options that name them.
_NAMING: Final = {"image_url": "url_column", "text": "text_column", "id": "id_column"}


def _remedy(table: named_tables.Table, asked: Mapping[str, tuple[str, ...]]) -> str:
    """Return what to do where a table lacks columns: what its names look like, else which options there are."""
    if (otherwise := table.otherwise) is not None:
        return otherwise
    missing = {
        ours: names
        for ours, names in asked.items()
        if ours in _NAMING and not any(name in table.columns for name in names)
    }
    near = {ours: _nearest(names, table.columns) for ours, names in missing.items()}
    if not near or None in near.values():
        return _REMEDY
    return "name the columns in the configuration: " + ", ".join(
        f"{_NAMING[ours]} = {escape.toml(name)}" for ours, name in near.items() if name is not None
    )


def _nearest(wanted: Sequence[str], columns: Sequence[str]) -> str | None:
    """Return the column that is called nearly so; capitals do not count."""
    folded = {name.casefold(): name for name in reversed(columns)}
    for name in wanted:
        near = difflib.get_close_matches(name.casefold(), folded, n=1)
        if near:
            return folded[near[0]]
    return None


def _drafts(
    part: named_rows.Part, names: dict[str, str], split: str | None, options: Options, left: pa.Array | None
) -> pa.RecordBatch:
    columns = {ours: pc.fill_null(part.columns[ours], "") for ours in ("image_url", "text")}
    nul, nothing = pa.scalar("\0", pa.large_string()), pa.scalar(None, pa.large_string())
    said = pc.binary_join_element_wise(columns["image_url"], columns["text"], nul)
    licences = {"text_licence": options.text_licence, "image_licence": options.image_licence}
    more: dict[str, Any] = {**licences, "split": split, "reason": pa.nulls(len(said), pa.string())}
    if left is not None:
        more = listed_rows.drafted(part.columns, licences, split, left)
        regions = listed_rows.spelled(more["region"], part.columns["region"])
        said = pc.coalesce(pc.binary_join_element_wise(said, regions, nul), said)
    ids = named_rows.ids(part.columns["id"]) if "id" in part.columns else None
    if ids is not None:
        # A row without an id has the digest that it has in a table without ids.
        said = pc.coalesce(pc.binary_join_element_wise(said, ids, nul), said)
        columns["id"] = pc.fill_null(ids, "")
    no_url = pc.equal(pc.utf8_trim_whitespace(columns["image_url"]), "")
    return column_drafts.drafts(
        len(part.places),
        {
            "source_id": ids,
            "row_digest": column_drafts.digests(said),
            "image_url": pc.if_else(no_url, nothing, columns["image_url"]),
            "text": columns["text"],
            "meta": column_drafts.json_objects(
                {options.id_column if ours == "id" else names[ours]: column for ours, column in columns.items()}
            ),
            **more,
            "reason": pc.if_else(no_url, "no_image", more["reason"]),
            "where": part.places,
        },
    )
