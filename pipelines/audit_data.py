"""Audit of any data set: its rows as pairs → audit.json, report.html and tables; nothing else is built."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import apache_beam as beam

from pipelines import running
from pipelines.audit import bits_of
from pmd import flow
from pmd.audit import data_columns
from pmd.audit.counting import measure
from pmd.audit.figures.datasets import Described
from pmd.audit.places import population
from pmd.audit.texts import lexicon
from pmd.audit.transforms import Counting, CountMet, WithReport
from pmd.config.options import AuditOptions
from pmd.datasets import files as data_files
from pmd.datasets import pairs as data_pairs
from pmd.datasets.transforms import CountData, data_tasks
from pmd.engines.committing import CommitStage, target
from pmd.engines.transforms import Cross, Spread, WriteCommit, create
from pmd.errors import ConfigError, RootError
from pmd.store import failures, root, storage
from pmd.store.wanted import Wanted, as_json

_ANOTHER: Final = "name another folder: --out DIR"


def build(path: str, out: str, named: Mapping[str, str], report: Callable[[str], None]) -> str:
    """Audit a data set on Beam's local runner, and return the page.

    Args:
        path: A file, a folder or a glob.
        out: Where the audit goes: a new folder, an empty one, or one of an earlier audit.
        named: Role → column, where the user names them.
        report: Told which columns were taken, and which files were left out.

    Raises:
        ConfigError: `out` is a build's, or names no folder.
        RootError: It holds other files.
        InputError: There are no such files, or they are not what is read.
    """
    with failures.at(out):
        return _built(path, out, named, report)


def _built(path: str, out: str, named: Mapping[str, str], report: Callable[[str], None]) -> str:
    _refuse_others_folders(out)
    files = [data_files.look(file, named) for file in data_files.find(path, beside=out, report=report)]
    told: dict[str, str] = {}
    for file in files:
        if not file.roles:  # a tar without a sample
            continue
        told.setdefault(data_columns.told(file.roles), file.path)
    for columns, first in told.items():
        report(f"columns: {columns} ({first})")
    if root.curated_sources(out):
        raise ConfigError(
            "a build is here",
            where=out,
            expected="another folder than a build's for the audit of a data set",
            remedy=_ANOTHER,
        )
    with root.writer(out, f"pmd audit {path}"):
        root.create(out, 0)
        _run(path, out, files, Described(path, len(files), tuple(told)))
    return storage.join(root.audit_folder(out), "report.html")


def _refuse_others_folders(out: str) -> None:
    """Refuse a folder that has other files in it, in the words of who named it: no configuration did."""
    if not out:
        raise ConfigError("no folder is named", where="--out", expected="a folder for the audit", remedy=_ANOTHER)
    try:
        root.refuse_others_folders(out)
    except RootError as error:
        error.expected, error.remedy = "a new folder, an empty one, or one of an earlier audit", _ANOTHER
        raise


def _run(path: str, out: str, files: list[data_files.DataFile], data: Described) -> None:
    options = AuditOptions()
    rows = _rows(files)
    plan = measure.plan(rows, options, lexicon.load())
    beside = population.Beside(population.YEAR, population.load(population.YEAR))
    sizes = {file.path: storage.size(file.path) for file in files}
    size = sum(sizes.values())
    work = root.work_folder(out, "audit")
    settings = as_json(options) | {"data_set": path, "columns": list(data.columns)}
    inputs = {file.path: storage.fingerprint(file.path) for file in files}
    wanted = Wanted(flow.AUDIT.name, "all", root.audit_folder(out), settings, inputs)

    def wire(pipeline: beam.Pipeline) -> Any:
        counting = Counting(plan, tuple(sorted(rows)), bits_of(sum(rows.values())), work, of_columns=True)
        return (
            pipeline
            | "Chunks" >> create(data_tasks(files))
            | "Spread" >> Spread()
            # RUNS of several kinds, and OUTPUTS
            | "Rows" >> Cross(CountData(counting), by_engine=False)
            | "Counted" >> CountMet(counting, by_engine=False)
            | "Commit"
            >> WriteCommit(
                CommitStage(work, (target(wanted, complete=WithReport(plan, {}, {}, None, beside=beside, data=data)),))
            )
        )

    running.run_and_commit(out, [wanted.folder], wire, (), work, size)


def _rows(files: Iterable[data_files.DataFile]) -> dict[str, int]:
    """Return about how many rows there are of each source, and no fewer."""
    found: dict[str, int] = {}
    for file in files:
        for name, count in data_pairs.sources_of(data_files.most_rows(file)).items():
            found[name] = found.get(name, 0) + count
    return found
