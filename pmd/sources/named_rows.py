"""The rows of tables whose columns have names (`pmd.sources.named_tables`): one by one, or by columns.

Readers of records (RedCaps, SBU, Localized Narratives, WIT) take rows. Those of a URL and a text take columns, since their tables
are the longest. A row that cannot be read is told with its place, and its neighbours are read.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Final, cast

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from pmd.errors import InputError
from pmd.formats import archives, json_stream, lines, parquet, tsv
from pmd.formats.json_stream import Spoiled
from pmd.formats.lines import INVALID_UTF8
from pmd.schema import keys
from pmd.sources import column_drafts, named_tables, records
from pmd.sources.contract import DRAFT_ROWS, Chunk
from pmd.sources.named_tables import Layout, Table

#: A whole number that was written as a float: pandas makes floats of ids where a row has none.
_WHOLE_FLOAT: Final = r"^(-?[0-9]+)\.0+$"
_NO_VALUE: Final = object()
#: Bytes of text in a batch, about.
_BATCH_BYTES: Final = 8 * 1024 * 1024


def rows(chunk: Chunk, layout: Layout) -> Iterator[tuple[Any, str]]:
    """Yield each row of a chunk as (its columns that are there, by our names; where it stands).

    What cannot be read is `Spoiled`. A line of JSON that is no object is given as it is. Values are those of the file: text
    throughout in a CSV, and in Parquet whatever the column is; numbers of classes become their names.

    Raises:
        InputError: The file is damaged, or its columns are others than when it was planned.
    """
    table = _planned(chunk, layout)
    names = layout.names(table)
    if table.form == "jsonl":
        yield from _json_rows(chunk, layout)
    else:
        read = {"parquet": _parquet_rows, "csv": _csv_rows, "tsv": _tsv_rows}[table.form]
        yield from read(table, chunk, names)


@dataclasses.dataclass(frozen=True)
class Part:
    """Some rows by columns.

    Attributes:
        columns: Our name → the column, as text (large_string); null where the row has none.
        places: Where each row stands.
        lost: Drafts of the rows that could not be read.
    """

    columns: Mapping[str, pa.Array]
    places: pa.Array
    lost: tuple[dict[str, Any], ...] = ()


def parts(chunk: Chunk, layout: Layout) -> Iterator[Part]:
    """Yield a chunk's rows by columns, at most `DRAFT_ROWS` at a time: for tables of which no row should be an object.

    Numbers are text, as they are spelled; anything else that is no text makes its row a `malformed_row`, but for columns that are
    loose, where it is none.

    Raises:
        InputError: As `rows`.
    """
    table = _planned(chunk, layout)
    names = layout.names(table)
    if table.form == "parquet":
        for batch in parquet.read(table.path, [*dict.fromkeys(names.values())], chunk.start, chunk.stop):
            yield _parquet_part(batch, names)
    elif table.form == "tsv":
        yield from _tsv_parts(table, chunk, names)
    else:
        # What no early row has, a later one of JSON Lines may have.
        wanted = names if table.form != "jsonl" else {**layout.needed, **layout.optional}
        yield from gathered(rows(chunk, layout), [*wanted], layout.loose)


def with_same(found: Iterator[Part], said: Mapping[str, str | None]) -> Iterator[Part]:
    """Yield rows with columns in which all of them have one value, where they have no such column."""
    for part in found:
        same = {name: pa.array([value] * len(part.places), pa.large_string()) for name, value in said.items()}
        yield dataclasses.replace(part, columns={**same, **part.columns})


def _planned(chunk: Chunk, layout: Layout) -> Table:
    table = named_tables.look(chunk.path, chunk.member)
    if table is None or named_tables.PREFIX + table.form != chunk.form:
        raise InputError(
            "the file has changed since it was planned",
            where=archives.location(chunk.path, chunk.member),
            expected=f"{layout.of}: {chunk.form.removeprefix(named_tables.PREFIX)}",
            found="another form",
            remedy="run the build again",
        )
    return table


def _parquet_rows(table: Table, chunk: Chunk, names: Mapping[str, str]) -> Iterator[tuple[Any, str]]:
    for batch in parquet.read(table.path, [*dict.fromkeys(names.values())], chunk.start, chunk.stop):
        columns = {name: batch.batch[name] for name in names.values()}
        spoiled = _spoiled(columns, batch.long)
        readable = pa.array([index not in spoiled for index in range(len(batch.batch))]) if spoiled else None
        values = {ours: _values(columns[name], readable, table.class_names.get(name)) for ours, name in names.items()}
        for ours, index in _without_value(values):
            spoiled.setdefault(index, Spoiled(_raw(columns, index), f"{ours}: a time that no calendar has"))
        for index in range(len(batch.batch)):
            if index in spoiled:
                yield spoiled[index], batch.place(index)
            else:
                yield {ours: column[index] for ours, column in values.items()}, batch.place(index)


def _spoiled(columns: Mapping[str, pa.Array], long: Mapping[int, bytes]) -> dict[int, Spoiled]:
    """Return the rows that are too long, and those of which a column of text is not UTF-8."""
    texts = {name: column for name, column in columns.items() if parquet.is_text(column.type)}
    found = {
        index: Spoiled(digest, f"more than {parquet.BATCH_BYTES} bytes of text in a row")
        for index, digest in long.items()
    }
    for name, column in texts.items():
        for index in np.flatnonzero(parquet.undecodable(column)).tolist():
            found.setdefault(index, Spoiled(_raw(texts, index), f"{INVALID_UTF8} in {name}"))
    return found


def _raw(columns: Mapping[str, pa.Array], index: int) -> bytes:
    """Return what tells a row by, that cannot be read: its texts, whatever their bytes are."""
    texts = (
        column.slice(index, 1).cast(pa.large_binary()) for column in columns.values() if parquet.is_text(column.type)
    )
    return b"\0".join(text[0].as_py() or b"" for text in texts)


def _values(column: pa.Array, readable: pa.Array | None, classes: tuple[str, ...] | None) -> list[Any]:
    """Return a column's values; None in rows that are not readable, whose text cannot be made a string."""
    if parquet.is_text(column.type):
        column = column.cast(pa.large_binary())
        if readable is not None:
            column = pc.if_else(readable, column, pa.scalar(None, column.type))
        column = column.cast(pa.large_string())
    elif pa.types.is_floating(column.type):  # NaN and the infinities are nothing, as in JSON
        column = column.cast(pa.float64())
        column = pc.if_else(pc.is_finite(column), column, pa.scalar(None, pa.float64()))
    values = _listed(column)
    if classes is None:
        return values
    return [classes[value] if type(value) is int and 0 <= value < len(classes) else value for value in values]


def _listed(column: pa.Array) -> list[Any]:
    """Return a column's values, with `_NO_VALUE` for those that Python cannot have: times of years that it does not count."""
    try:
        return cast(list[Any], column.to_pylist())
    except (OverflowError, ValueError):
        return [_as_python(value) for value in column]


def _as_python(value: pa.Scalar) -> Any:
    try:
        return value.as_py()
    except (OverflowError, ValueError):
        return _NO_VALUE


def _without_value(columns: Mapping[str, list[Any]]) -> Iterator[tuple[str, int]]:
    """Yield (column, row) of each value that Python cannot have; texts, which most columns are, are not looked through."""
    for name, values in columns.items():
        if not isinstance(next((value for value in values if value is not None), None), str):
            yield from ((name, row) for row, value in enumerate(values) if value is _NO_VALUE)


def _parquet_part(batch: parquet.Rows, names: Mapping[str, str]) -> Part:
    columns = {ours: batch.batch[name] for ours, name in names.items()}
    spoiled = _spoiled({name: batch.batch[name] for name in names.values()}, batch.long)
    lost = [records.unreadable(spoiled[index].raw, spoiled[index].why, batch.place(index)) for index in sorted(spoiled)]
    places = batch.places()
    if spoiled:
        good = pa.array([index for index in range(len(batch.batch)) if index not in spoiled], pa.int64())
        columns, places = {ours: column.take(good) for ours, column in columns.items()}, places.take(good)
    return Part({ours: _as_text(column) for ours, column in columns.items()}, places, tuple(lost))


def _as_text(column: pa.Array) -> pa.Array:
    """Return text as it is, and numbers as they are spelled; lists, of columns that may have them, as JSON spells them.

    Other kinds are refused when a file is planned.
    """
    if pa.types.is_nested(column.type):
        spelled = [None if value is None else orjson.dumps(value).decode() for value in column.to_pylist()]
        return pa.array(spelled, pa.large_string())
    if pa.types.is_floating(column.type):  # as JSON and Python spell them
        column = pa.array([None if value is None else str(value) for value in column.to_pylist()], pa.string())
    between = pa.large_binary() if parquet.is_text(column.type) else pa.large_string()
    return column.cast(between).cast(pa.large_string())


def _json_rows(chunk: Chunk, layout: Layout) -> Iterator[tuple[Any, str]]:
    # Which of its keys a row has is its own: one that is optional may be in any of them.
    asked = {**layout.needed, **layout.optional}
    for batch in lines.read_lines(chunk.path, chunk.start, chunk.stop, member=chunk.member):
        if isinstance(batch, lines.LongLine):
            yield Spoiled(batch.digest, batch.why), batch.where
            continue
        for index, value, error in json_stream.parse_json_lines(batch):
            if error is not None:
                raw = batch.lines[index].as_py()
                if raw.strip():  # else a blank line, which is no row
                    yield Spoiled(raw, error), batch.place(index)
            elif isinstance(value, dict):
                names = {ours: next((name for name in known if name in value), None) for ours, known in asked.items()}
                yield {ours: value[name] for ours, name in names.items() if name is not None}, batch.place(index)
            else:
                yield value, batch.place(index)


def _csv_rows(table: Table, chunk: Chunk, names: Mapping[str, str]) -> Iterator[tuple[Any, str]]:
    where = {ours: table.columns.index(name) for ours, name in names.items()}
    said = (row for row in tsv.read_csv(chunk.path, member=chunk.member, delimiter=",") if row.raw.strip())
    # The names are the first row that has anything.
    for row in itertools.islice(said, 1, None):
        place = f"{table.label}:line {row.line}"
        if row.error is not None:
            yield Spoiled(row.raw, row.error), place
        elif len(row.fields) != len(table.columns):
            yield Spoiled(row.raw, f"expected {len(table.columns)} fields, found {len(row.fields)}"), place
        else:
            yield {ours: row.fields[index] for ours, index in where.items()}, place


def _tsv_rows(table: Table, chunk: Chunk, names: Mapping[str, str]) -> Iterator[tuple[Any, str]]:
    for part in _tsv_parts(table, chunk, names):
        columns = {ours: column.to_pylist() for ours, column in part.columns.items()}
        for index, place in enumerate(part.places.to_pylist()):
            yield {ours: values[index] for ours, values in columns.items()}, place
        for draft in part.lost:
            yield Spoiled(draft["row_digest"], draft["detail"]), draft["where"]


def _tsv_parts(table: Table, chunk: Chunk, names: Mapping[str, str]) -> Iterator[Part]:
    width = len(table.columns)
    first = chunk.start == 0
    for batch in lines.read_lines(chunk.path, chunk.start, chunk.stop, member=chunk.member):
        if isinstance(batch, lines.LongLine):
            nothing = {ours: pa.array([], pa.large_string()) for ours in names}
            lost = records.unreadable(batch.digest, batch.why, batch.where)
            yield Part(nothing, pa.array([], pa.string()), (lost,))
            continue
        for part, places in column_drafts.slices(batch):
            body, where = _without_blank_lines(part, places)
            if not len(body):
                continue
            if first:  # the names
                body, where, first = body.slice(1), where.slice(1), False
            cut = tsv.split_columns(body, columns=[width])
            columns = {ours: cut.column(table.columns.index(name)) for ours, name in names.items()}
            bad: list[dict[str, Any]] = []
            if len(cut.bad):
                bad = column_drafts.lost_lines(
                    body, cut, digests=column_drafts.digests(body), places=where, expected=f"{width} fields"
                ).to_pylist()
            yield Part(columns, column_drafts.take(where, cut.good), tuple(bad))


def _without_blank_lines(part: pa.Array, places: pa.Array) -> tuple[pa.Array, pa.Array]:
    """Return lines and their places without those that are blank; tabs are rows of empty fields."""
    blank = column_drafts.mask(pc.match_substring_regex(part, "^[ \r]*$"))
    if not blank.any():
        return part, places
    said = np.flatnonzero(~blank)
    return column_drafts.take(part, said), column_drafts.take(places, said)


def gathered(
    found: Iterator[tuple[Any, str]], names: Sequence[str], loose: Collection[str] = frozenset()
) -> Iterator[Part]:
    """Gather rows to columns of text; a value of a loose column that is neither text nor a number is none."""
    columns: dict[str, list[str | None]] = {name: [] for name in names}
    places: list[str] = []
    lost: list[dict[str, Any]] = []
    held_bytes = 0
    for row, place in found:
        try:
            said = records.mapping(row, "row")
            values = {name: _text(said, name, is_loose=name in loose) for name in names}
        except records.Malformed as malformed:
            lost.append(
                records.unreadable(row.raw, row.why, place)
                if isinstance(row, Spoiled)
                else records.lost(row, "malformed_row", str(malformed), place)
            )
        else:
            places.append(place)
            for name, value in values.items():
                columns[name].append(value)
                held_bytes += len(value or "")
        if max(len(places), len(lost)) >= DRAFT_ROWS or held_bytes >= _BATCH_BYTES:
            yield _part(columns, places, lost)
            columns, places, lost, held_bytes = {name: [] for name in names}, [], [], 0
    if places or lost:
        yield _part(columns, places, lost)


def _part(columns: Mapping[str, list[str | None]], places: list[str], lost: list[dict[str, Any]]) -> Part:
    return Part(
        {name: pa.array(values, pa.large_string()) for name, values in columns.items()},
        pa.array(places, pa.string()),
        tuple(lost),
    )


def _text(row: Mapping[str, Any], name: str, *, is_loose: bool) -> str | None:
    """Return a value as text; None where there is none. A number is spelled as it is."""
    value = row.get(name)
    if value is None or isinstance(value, str):
        return value
    if type(value) in (int, float):
        return str(value)
    if is_loose:
        return None
    raise records.Malformed(f"{name}: expected text, found {records.meta(value)[:60]}")


def whole_numbers(column: pa.Array) -> pa.Array:
    """Return the whole numbers, int32, that texts (large_string) spell, also as "640.0"; null for whatever else there is."""
    sound = pc.fill_null(pc.match_substring_regex(column, r"^[0-9]{1,9}(\.0+)?$"), fill_value=False)
    spelled = pc.if_else(sound, column, pa.scalar(None, pa.large_string()))
    return pc.replace_substring_regex(spelled, r"\.0+$", "").cast(pa.int32())


def ids(column: pa.Array) -> pa.Array:
    """Return ids as every form has them: null where there is none, whole numbers without a fraction; 0 and -1 are ids.

    Args:
        column: Text, as `Part` has it.
    """
    return pc.replace_substring_regex(given(column), _WHOLE_FLOAT, r"\1")


def given(column: pa.Array) -> pa.Array:
    """Return values with null for blank ones, and for what writers put where there is none ("nan", "None").

    Args:
        column: Text, as `Part` has it.
    """
    none = pc.is_in(
        pc.utf8_lower(pc.utf8_trim_whitespace(column)), value_set=pa.array(sorted(records.NO_ID), pa.large_string())
    )
    return pc.if_else(none, pa.scalar(None, pa.large_string()), column)


def lost_batch(lost: Sequence[dict[str, Any]]) -> pa.RecordBatch:
    """Return drafts of rows that could not be read, as a batch."""
    return column_drafts.drafts(
        len(lost),
        {
            "row_digest": keys.key_array(draft["row_digest"] for draft in lost),
            **{name: pa.array([draft[name] for draft in lost], pa.string()) for name in ("reason", "detail", "where")},
        },
    )
