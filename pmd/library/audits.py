"""A ROOT's audit, or that of any data set, as tables and DataFrames (`pmd.audit.figures.tables` says which there are)."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

import orjson
import pyarrow as pa

from pmd import flow
from pmd.audit.figures.tables import SCHEMAS, tables
from pmd.library import reading
from pmd.library.tables import Selection, Table, matching
from pmd.store import commits, failures, root, sealed, storage

if TYPE_CHECKING:
    import pandas as pd

_FILE: Final = "audit.json"


def _attributes() -> dict[str, str]:
    """Return what tables are called as attributes → their names; a section's list is the section too."""
    found = {name.replace(".", "_"): name for name in SCHEMAS}
    for name in SCHEMAS:
        section, _, end = name.rpartition(".")
        if end in ("shares", "largest") and "." not in section:
            found.setdefault(section, name)
    return found


#: As `_attributes` says: `countries` is the table "countries.shares".
ATTRIBUTES: Final = _attributes()


class Audit(Mapping[str, Table]):
    """The tables of a ROOT's audit, by name; a mapping.

    >>> import pmd
    >>> audit = pmd.load("demo/pmd").audit
    >>> figures = audit["figures"].only(source="all").to_pandas()
    >>> sorted(figures[figures.figure == "words.mean"].stage)
    ['curate', 'dedupe', 'fetch', 'images', 'shard']
    >>> audit["books"].columns
    ['stage', 'source', 'in', 'kept', 'rejected']
    >>> audit.countries.columns.to_list()[:4]  # a DataFrame
    ['source', 'stage', 'country', 'pairs']
    """

    def __getattr__(self, name: str) -> pd.DataFrame:
        """Return a table as a DataFrame, under its name with "_" for "."; `countries` is `countries_shares`, and so on."""
        if name not in ATTRIBUTES:
            raise AttributeError(f"an audit has no table {name!r}: it has {', '.join(ATTRIBUTES)}")
        return self[ATTRIBUTES[name]].to_pandas()

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *ATTRIBUTES})

    def __init__(self, root_url: str) -> None:
        """Prepare to read the audit of a ROOT."""
        self.where = root_url

    @functools.cached_property
    def content(self) -> dict[str, Any]:
        """The content of audit.json (docs/audit.md says what its figures mean).

        Raises:
            RootError: The audit has not been run.
            VerificationError: The file is gone, or has other bytes than were committed.
        """
        with failures.at(self.where):
            return _content(self.where)

    def to_pandas(self) -> dict[str, pd.DataFrame]:
        """Return every table as a DataFrame, by name."""
        return {name: table.to_pandas() for name, table in self.items()}

    def __getitem__(self, name: str) -> Table:
        schema = SCHEMAS[name]
        columns = [by for by in ("source", "stage") if by in schema.names]
        known = {by: functools.partial(self._values, name, by) for by in columns}
        return Table.of(f"audit {name}", self.where, schema, functools.partial(self._read, name), **known)

    def __iter__(self) -> Iterator[str]:
        return iter(SCHEMAS)

    def __len__(self) -> int:
        return len(SCHEMAS)

    def __repr__(self) -> str:
        return f"<audit of {self.where}>"

    @functools.cached_property
    def _tables(self) -> dict[str, pa.Table]:
        return tables(self.content)

    def _read(self, name: str, wanted: Selection) -> Iterator[pa.RecordBatch]:
        rows = matching(matching(self._tables[name], "source", wanted.sources), "stage", wanted.stages)
        yield from rows.combine_chunks().to_batches()

    def _values(self, name: str, column: str) -> list[str]:
        return sorted(self._tables[name][column].unique().to_pylist())


def _content(root_url: str) -> dict[str, Any]:
    folder = root.audit_folder(root_url)
    (file,) = [file for file in reading.require(root_url, folder, flow.AUDIT).files if file.name == _FILE]
    path = storage.join(folder, file.name)
    promised = f"sha256 {file.sha256[:16]}…"
    try:
        content = storage.read_bytes(path)
    except FileNotFoundError:
        raise sealed.damaged(path, "a committed file is gone", promised, "nothing") from None
    digest = commits.sha256(content)
    if digest != file.sha256:
        problem = "a committed file has other bytes than were written"
        raise sealed.damaged(path, problem, promised, f"sha256 {digest[:16]}…, {len(content)} bytes")
    found: dict[str, Any] = orjson.loads(content)
    return found
