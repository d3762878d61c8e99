"""Files read as the curate stage reads them, without Beam."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from benchmarks.fuzzing.bases import Base
from pmd import sources
from pmd.config import SourceConfig, inputs
from pmd.config.asked import Asked
from pmd.config.options import CurateOptions
from pmd.curate import rules as curate_rules
from pmd.curate.transforms import chunk_batch, chunk_of
from pmd.errors import PmdError
from pmd.schema.tables import JUDGED, PAIRS, REJECTED

Output = tuple[Any, ...]


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of a case's files.

    Attributes:
        outputs: (document and place, every column of `JUDGED` but `where`) of each judged row.
        pairs: source_id → row of `PAIRS`.
        rejected: source_id → row of `REJECTED` but `where`.
        settled_rows: Number of both.
        refusal: The error that refused the files, else None.
    """

    outputs: list[tuple[str, Output]] = dataclasses.field(default_factory=list)
    pairs: dict[str, Output] = dataclasses.field(default_factory=dict)
    rejected: dict[str, Output] = dataclasses.field(default_factory=dict)
    settled_rows: int = 0
    refusal: PmdError | None = None


_JUDGED: Final = [name for name in JUDGED.names if name != "where"]
SOURCE_ID: Final = _JUDGED.index("source_id")
REASON: Final = _JUDGED.index("reason")
_WHERE_LESS: Final = [name for name in REJECTED.names if name != "where"]


def options_of(source: str, profile: str, **changed: Any) -> Any:
    """Return a source's options in a profile."""
    model = sources.load(source).options
    return model(**{**model.profile_values(profile), **changed})  # type: ignore[arg-type]


def read(base: Base, profile: str, folder: Path, names: Sequence[str]) -> Outcome:
    """Read files as the curate stage does.

    Raises:
        Exception: Anything but a `PmdError`, which is what is looked for.
    """
    changed: dict[str, Any] = dict(base.options)
    changed |= {"karpathy": str(folder / base.karpathy), "exclude_karpathy": "val_and_test"} if base.karpathy else {}
    options = options_of(base.source, profile, **changed)
    source = sources.load(base.source)
    paths = tuple(str(folder / name) for name in names if name != base.karpathy)
    batches: list[pa.RecordBatch] = []
    try:
        files = inputs.files(SourceConfig(base.source, paths, (), options))
        for chunk in source.plan(files, options):
            batches += [
                curate_rules.judge(base.source, drafts) for drafts in source.read(chunk_of(chunk_batch(chunk)), options)
            ]
    except PmdError as error:
        return Outcome(refusal=error)
    table = pa.Table.from_batches(batches, schema=JUDGED)
    table.validate(full=True)
    asked = Asked.only(curate=CurateOptions(**CurateOptions.profile_values(profile)))  # type: ignore[arg-type]
    settled = curate_rules.resolve(base.source, table, asked)
    places = [where.removeprefix(f"{folder}/") for where in table["where"].to_pylist()]
    return Outcome(
        list(zip(places, _rows(table, _JUDGED), strict=True)),
        dict(zip(settled.pairs["source_id"].to_pylist(), _rows(settled.pairs, PAIRS.names), strict=True)),
        dict(zip(settled.rejected["source_id"].to_pylist(), _rows(settled.rejected, _WHERE_LESS), strict=True)),
        settled.pairs.num_rows + settled.rejected.num_rows,
    )


def _rows(table: pa.Table, names: Sequence[str]) -> Iterator[Output]:
    columns = []
    for name in names:
        values = table[name].to_pylist()
        columns.append([None if v is None else tuple(v) for v in values] if name in ("mirrors", "region") else values)
    return zip(*columns, strict=True)


@contextlib.contextmanager
def written(files: Mapping[str, bytes]) -> Iterator[Path]:
    """Write files into a folder that goes when it is done with."""
    folder = Path(tempfile.mkdtemp(prefix="fuzz-", dir=_SCRATCH))
    try:
        for name, content in files.items():
            (folder / name).write_bytes(content)
        yield folder
    finally:
        shutil.rmtree(folder)


#: Memory, where the system has it as a folder.
_SCRATCH: Final = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
