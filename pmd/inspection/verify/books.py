"""The books, for `pmd verify`: those of each commit are the rows of its files, and a stage takes in what the one before kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from pmd import flow
from pmd.books.balance import balance
from pmd.books.committed import NOTHING, Committed, accounts_by_stage, made_of
from pmd.books.recount import Tally
from pmd.books.report import Report
from pmd.schema.statuses import OK
from pmd.store import commits
from pmd.terminal import bar


def check(standing: Mapping[str, Committed], tally: Tally) -> None:
    """The books of each commit are the rows of its files."""
    for folder, committed in sorted(standing.items()):
        place = f"{folder}/{commits.STAGE_FILE}"
        for source, account in sorted(committed.accounts.items()):
            if not account.balances():
                booked = f"{account.kept} kept and {sum(account.rejected.values())} rejected"
                tally.report.tell("books: in is kept + rejected", f"{place}: {source}", booked, f"in {account.taken}")
        kind = flow.kind_of(folder)
        if kind is None or not kind[1].counts_pairs:
            continue
        if kind[0] == flow.GENERATION:
            _check_generation(place, committed, tally)
            continue
        if kind[0] == kind[1].books:  # the rejected pairs of all its folders stand in one
            _check_rejected(place, committed, tally)
        if kind[0].keeps is not None:  # else no file of it holds what it keeps; that is reconciled
            _check_kept(place, committed, tally)
    _check_twins(standing, tally.report)


def _check_rejected(place: str, committed: Committed, tally: Tally) -> None:
    booked = {
        (source, reason): count
        for source, account in committed.accounts.items()
        for reason, count in account.rejected.items()
        if count
    }
    counted = {
        (source, reason): count for (at, source, reason), count in tally.rejected.items() if at == committed.folder
    }
    for source, reason in sorted({*booked, *counted}):
        wanted, rows = booked.get((source, reason), 0), counted.get((source, reason), 0)
        if wanted != rows:
            tally.report.tell(
                "books: rejected", f"{place}: {source}, {reason}", f"{wanted}, as booked", bar.amount(rows, "rows")
            )


def _check_kept(place: str, committed: Committed, tally: Tally) -> None:
    counted = {source: count for (at, source), count in tally.kept.items() if at == committed.folder}
    for source in sorted({*committed.accounts, *counted}):
        wanted, rows = committed.accounts.get(source, NOTHING).kept, counted.get(source, 0)
        if wanted != rows:
            tally.report.tell("books: kept", f"{place}: {source}", f"{wanted}, as booked", bar.amount(rows, "rows"))


def _check_generation(place: str, committed: Committed, tally: Tally) -> None:
    """A generation books each image under every source that it then had: at least once, at most once a source."""
    counted = {status: count for (at, _, status), count in tally.rejected.items() if at == committed.folder}
    booked: Counter[str] = Counter()
    what = "books: images of a generation"
    for source, account in committed.accounts.items():
        for status, count in {OK: account.kept, **account.rejected}.items():
            booked[status] += count
            rows = counted.get(status, 0)
            if count > rows or (len(committed.accounts) == 1 and count != rows):
                tally.report.tell(what, f"{place}: {source}, {status}", f"{count}, as booked", bar.amount(rows, "rows"))
    for status, count in counted.items():
        if booked[status] < count:
            expected = f"{booked[status]}, as booked for all sources"
            tally.report.tell(what, f"{place}: {status}", expected, bar.amount(count, "rows"))


def _check_twins(standing: Mapping[str, Committed], report: Report) -> None:
    """A stage that commits several folders books the same in each."""
    for stage in flow.STAGES:
        for kind in stage.folders:
            one, other = stage.books.path, kind.path
            if not kind.twin or not {one, other} & standing.keys():
                continue
            if one in standing and other in standing:
                if standing[one].accounts != standing[other].accounts:
                    place = f"{other}/{commits.STAGE_FILE}"
                    report.tell("books differ from those of the same stage", place, f"as {one}", "others")
            elif other in standing or not kind.optional:
                absent, there = (one, other) if other in standing else (other, one)
                report.tell("half of a stage's commits", there, f"{absent}/{commits.STAGE_FILE}", "nothing")


def check_chain(standing: Mapping[str, Committed], report: Report) -> None:
    """What a stage took in is what the one before it kept. Those that count no pairs take none in, and stand for themselves."""
    accounts = accounts_by_stage(standing)
    for name in accounts:
        before = flow.BY_NAME[name].after
        if before is not None and before not in accounts:
            report.tell("a stage is committed without the one before it", name, f"{before} too", "nothing")
    for line in balance(standing):
        if line["before"] in accounts and line["in"] != line["before_kept"]:
            report.tell(
                f"{line['stage']}: in is what {line['before']} kept",
                f"{line['stage']}, {line['source']}",
                bar.amount(line["before_kept"], "pairs"),
                bar.amount(line["in"], "pairs"),
            )
    for source in made_of(standing):
        folder = flow.PAIRS.at(source=source)
        if folder not in standing:
            report.tell("images were made of a source that is gone", folder, "a commit", "nothing")
    _check_inputs(standing, report)


def _check_inputs(standing: Mapping[str, Committed], report: Report) -> None:
    """The images were made of the pairs that are committed now."""
    views = standing.get(flow.VIEWS.path)
    inputs = {} if views is None else views.commit.run.get("inputs", {})
    for source in made_of(standing):
        folder = flow.PAIRS.at(source=source)
        if source in inputs and folder in standing and inputs[source] != standing[folder].commit.digest("pairs"):
            what = "images were made of other pairs than those committed now"
            report.tell(what, folder, inputs[source], standing[folder].commit.digest("pairs"))
