"""A table: rows of committed files, chosen by source and columns, and read when they are asked for.

What is chosen is no more than a description, so a table costs nothing and can be read any number of times. Each reading
begins with the commits that stand then.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from pmd.config import remedies
from pmd.errors import ConfigError, RootError
from pmd.store import failures

if TYPE_CHECKING:
    import pandas as pd


@dataclasses.dataclass(frozen=True)
class Selection:
    """What of a table is to be read. `sources` and `stages`: None is all of them."""

    columns: tuple[str, ...]
    sources: tuple[str, ...] | None = None
    stages: tuple[str, ...] | None = None


#: Yields the rows that are wanted, with their columns at least, a batch at a time.
Read = Callable[[Selection], Iterator[pa.RecordBatch]]


@dataclasses.dataclass(frozen=True, repr=False)
class Table:
    """Rows of a ROOT or of published lists. Nothing is read before it is asked for, and nothing is kept.

    Reading is a batch at a time, so memory does not grow with the rows, save in `to_table` and `to_pandas`, which return
    all of them. polars, duckdb and pyarrow take a table as it is (the Arrow stream interface).

    >>> import pmd
    >>> captions = pmd.load("demo/pmd").pairs.only(source="coco").select(["text", "image_url"])
    >>> captions.columns
    ['text', 'image_url']
    >>> rows = 0
    >>> for batch in captions:
    ...     rows += batch.num_rows
    >>> rows == captions.count_rows()
    True
    >>> captions.head(2).to_pandas().shape
    (2, 2)

    Attributes:
        name: Its name, as `pmd.load(…)` has it.
        where: The ROOT or the lists that it is of.
    """

    name: str
    where: str
    _whole: pa.Schema
    _read: Read
    #: What it can be chosen by: "source", "stage" → the values that there are.
    _known: Mapping[str, Callable[[], Sequence[str]]]
    _wanted: Selection

    @classmethod
    def of(cls, name: str, where: str, schema: pa.Schema, read: Read, **known: Callable[[], Sequence[str]]) -> Table:
        """Return a table of all columns and rows; `known` is what it can be chosen by."""
        return cls(name, where, schema, read, known, Selection(tuple(schema.names)))

    @property
    def columns(self) -> list[str]:
        """The names of its columns."""
        return list(self._wanted.columns)

    @property
    def schema(self) -> pa.Schema:
        """Its columns with their Arrow types (docs/contract.md says what they mean)."""
        return pa.schema([self._whole.field(name) for name in self._wanted.columns])

    def select(self, columns: Iterable[str]) -> Table:
        """Return the same rows with some columns, in the order given; the others are not read.

        Raises:
            ConfigError: It has no such column, or none is named.
        """
        names = tuple([columns] if isinstance(columns, str) else columns)
        for name in names:
            self._check("column", name, self.columns)
        if not names:
            raise ConfigError("no column is named", where=self._place, expected="one or more", found="none")
        return dataclasses.replace(self, _wanted=dataclasses.replace(self._wanted, columns=names))

    def only(self, *, source: str | Iterable[str] | None = None, stage: str | Iterable[str] | None = None) -> Table:
        """Return the rows of some sources, or those that some stages have rejected; other files are not read where that can be.

        Args:
            source: One source or several, by pmd's names (`pmd sources`); None: those that were chosen before.
            stage: Likewise, of `rejected` and of the audit's tables.

        Raises:
            ConfigError: There is no such source or stage, or the table cannot be chosen by it.
        """
        wanted = self._wanted
        if source is not None:
            wanted = dataclasses.replace(wanted, sources=self._chosen("source", source))
        if stage is not None:
            wanted = dataclasses.replace(wanted, stages=self._chosen("stage", stage))
        return dataclasses.replace(self, _wanted=wanted)

    def to_batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the rows as Arrow record batches of at most 65,536 rows; one is in memory at a time.

        Raises:
            RootError: The stage that writes them has not been run.
            VerificationError: A committed file is gone, or has other bytes than were committed.
        """
        schema = self.schema
        with failures.at(self.where):
            for batch in self._read(self._wanted):
                if batch.num_rows:
                    yield self._shaped(batch, schema)

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        return self.to_batches()

    def to_table(self) -> pa.Table:
        """Return all rows as an Arrow table; raises what `to_batches` does."""
        return pa.Table.from_batches(list(self.to_batches()), self.schema)

    def to_pandas(self) -> pd.DataFrame:
        """Return all rows as a DataFrame; raises what `to_batches` does."""
        found: pd.DataFrame = self.to_table().to_pandas()
        return found

    def head(self, rows: int = 5) -> pa.Table:
        """Return the first rows; no more batches are read than they stand in."""
        found: list[pa.RecordBatch] = []
        left = rows
        for batch in self.to_batches() if left > 0 else ():
            found.append(batch.slice(0, left))
            left -= batch.num_rows
            if left <= 0:
                break
        return pa.Table.from_batches(found, self.schema)

    def count_rows(self) -> int:
        """Return how many rows there are, reading one column."""
        return sum(batch.num_rows for batch in self.select(self.columns[:1]))

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Return a stream of all rows, for whatever takes one (the Arrow PyCapsule interface)."""
        return pa.RecordBatchReader.from_batches(self.schema, self.to_batches()).__arrow_c_stream__(requested_schema)

    def __repr__(self) -> str:
        chosen = [
            f"{name} {', '.join(values)}"
            for name, values in (("source", self._wanted.sources), ("stage", self._wanted.stages))
            if values is not None
        ]
        return f"<{'; '.join([self._place, *chosen])}: {', '.join(self.columns)}>"

    @property
    def _place(self) -> str:
        return f"{self.name} of {self.where}"

    def _chosen(self, by: str, given: str | Iterable[str]) -> tuple[str, ...]:
        if by not in self._known:
            raise ConfigError(
                f"cannot be chosen by {by}",
                where=self._place,
                expected=f"a choice by {' or '.join(self._known)}" if self._known else "no choice of rows",
                found=by,
            )
        values = (given,) if isinstance(given, str) else tuple(dict.fromkeys(given))
        if not values:
            raise ConfigError(f"no {by} is named", where=self._place, expected="one or more", found="none")
        known = self._known[by]()
        for value in values if known else ():  # where nothing is known, reading says what has not been run
            self._check(by, value, known)
        return values

    def _check(self, kind: str, given: str, known: Sequence[str]) -> None:
        if given in known:
            return
        raise ConfigError(
            f"no such {kind}",
            where=self._place,
            expected=f"one of {', '.join(known)}",
            found=given,
            remedy=remedies.of_word(given, known),
        )

    def _shaped(self, batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
        absent = [name for name in schema.names if name not in batch.schema.names]
        if absent:
            raise RootError(
                "written by another version of pmd",
                where=self._place,
                expected=f"the columns {', '.join(schema.names)}",
                found=f"none called {', '.join(absent)}",
                remedy="choose other columns, or run: pmd build CONFIG",
            )
        rows = batch.select(schema.names)
        return rows if rows.schema.equals(schema) else rows.cast(schema)


def matching(batch: Any, column: str, values: Sequence[str] | None) -> Any:
    """Return the rows of a batch or table whose column has one of some values; all of them for None."""
    if values is None:
        return batch
    return batch.filter(pc.is_in(batch[column], value_set=pa.array(values, pa.string())))
