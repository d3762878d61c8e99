"""Audit of any data set: its rows as pairs → audit.json, report.html and tables; nothing else is built."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import apache_beam as beam
import pyarrow as pa

from pipelines import running
from pipelines.audit import UNIT_PARTITION_BYTES
from pmd import flow
from pmd.audit import data_columns, lexicon, measure
from pmd.audit.datasets import Described
from pmd.audit.transforms import CountPairs, CountPartition, CountUnits, WithReport
from pmd.config.options import AuditOptions
from pmd.datasets import files as data_files
from pmd.datasets import pairs as data_pairs
from pmd.datasets.transforms import SpreadData, data_tasks
from pmd.engines.committing import CommitStage, target
from pmd.engines.transforms import OUTPUTS, Only, PerTask, Spread, WriteCommit, create
from pmd.errors import ConfigError
from pmd.store import exchange, root, storage
from pmd.store.wanted import Wanted, as_json

#: Bytes of a data set's files in a partition; of text in gz about ten times as much in memory.
_PARTITION_BYTES = 16 * 2**20


def build(path: str, out: str, named: Mapping[str, str], report: Callable[[str], None]) -> str:
    """Audit a data set on Beam's local runner, and return the page.

    Args:
        path: A file, a folder or a glob.
        out: Where the audit goes: a new folder, an empty one, or one of an earlier audit.
        named: Role → column, where the user names them.
        report: Told which columns were taken.

    Raises:
        ConfigError: `out` is a build's.
        InputError: There are no such files, or they are not what is read.
    """
    files = [data_files.look(file, named) for file in data_files.find(path, beside=out)]
    told: dict[str, str] = {}
    for file in files:
        told.setdefault(data_columns.told(file.roles), file.path)
    for columns, first in told.items():
        report(f"columns: {columns} ({first})")
    if root.curated_sources(out):
        raise ConfigError(
            "a build is here",
            where=out,
            expected="another folder than a build's for the audit of a data set",
            remedy="name another folder: --out DIR",
        )
    with root.writer(out, f"pmd audit {path}"):
        root.create(out, 0)
        _run(path, out, files, Described(path, len(files), tuple(told)))
    return storage.join(root.audit_folder(out), "report.html")


def _run(path: str, out: str, files: list[data_files.DataFile], data: Described) -> None:
    options = AuditOptions()
    plan = measure.plan(_rows(files), options, lexicon.load())
    sizes = {file.path: storage.size(file.path) for file in files}
    size = sum(sizes.values())
    bits = exchange.bits_for(size, _PARTITION_BYTES)
    text_bits, unit_bits = max(bits - 3, 0), exchange.bits_for(size, UNIT_PARTITION_BYTES)
    work = root.work_folder(out, "audit")
    settings = as_json(options) | {"data_set": path, "columns": list(data.columns)}
    inputs = {file.path: storage.fingerprint(file.path) for file in files}
    wanted = Wanted(flow.AUDIT.name, "all", root.audit_folder(out), settings, inputs)

    def wire(pipeline: beam.Pipeline) -> Any:
        # RUNS, and OUTPUTS
        read = (
            pipeline
            | "Chunks" >> create(data_tasks(files))
            | "Spread" >> Spread()
            | "Rows" >> beam.ParDo(PerTask(SpreadData(bits, work))).with_output_types(pa.RecordBatch)
        )
        pairs = read | "Pairs" >> Only(exchange.RUNS)
        count = CountPartition(plan, 1, text_bits, unit_bits, work)
        counted = pairs | "Counted" >> CountPairs(count, CountUnits(work))
        return (
            (read | "Books" >> Only(OUTPUTS), counted)
            | "Outputs" >> beam.Flatten()
            | "Commit"
            >> WriteCommit(CommitStage(work, (target(wanted, complete=WithReport(plan, {}, {}, None, data=data)),)))
        )

    running.run_and_commit(out, [wanted.folder], wire, (), work, size)


def _rows(files: Iterable[data_files.DataFile]) -> dict[str, int]:
    """Return about how many rows there are of each source, and no fewer."""
    found: dict[str, int] = {}
    for file in files:
        for name, count in data_pairs.sources_of(data_files.most_rows(file)).items():
            found[name] = found.get(name, 0) + count
    return found
