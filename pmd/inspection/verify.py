"""Verify: recount everything under a ROOT from the committed files, and name every place where they disagree.

Nothing is believed: not a size, a checksum, a count of rows, a key or a total. Files are read front to back, one at a
time, a row group or a member at a time; what must be compared across files is cut by key (`pmd.inspection.reconciliation`) or
by part.

1. Every file that a commit lists is there, with its bytes, its SHA-256 and its rows; nothing else is beside it, but for what
   a killed run leaves, which is a note (`pmd.inspection.orphans`).
2. The books: in = kept + rejected; kept and rejected by reason are the rows of the files; in is what the stage before kept.
3. The pairs: each that entered is kept or rejected exactly once, in every stage, shard format and list; its keys are the
   hashes of its content, its text is the same everywhere.
4. The images: those of the views; the ledger's rows one an image and generation; the stored bytes are where the ledger
   says, are an image, and where they are the original's have its digest.
"""

from __future__ import annotations

import dataclasses
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from pmd import escape
from pmd.dedupe import rules as dedupe_rules
from pmd.errors import PmdError, RootError, VerificationError
from pmd.fetch import partitions, policies
from pmd.inspection import orphans
from pmd.inspection.reconciliation import Census, Expectation
from pmd.inspection.recount import DAMAGE, Progress, Recount, Report, first_line, formats_of
from pmd.inspection.status import (
    BEFORE,
    GENERATION,
    NOTHING,
    STAGES,
    Unit,
    accounts_by_stage,
    balance,
    made_of,
    read_unit,
    stage_of,
)
from pmd.schema.statuses import OK
from pmd.schema.tables import GROUPS
from pmd.store import commits, lock, root, storage

#: Times that a ROOT is counted while a writer commits; a build commits some thirty times in hours.
_TIMES: Final = 3

_TOPS: Final = ("audit", "curate", "dedupe", "fetch", "images", "publish", "shards", "views")


def verify(root_url: str, progress: Progress | None = None) -> dict[str, Any]:
    """Recount a ROOT.

    Args:
        root_url: ROOT.
        progress: Told how far it is.

    Returns:
        ``files``, ``bytes`` and ``rows``, as counted; ``commits``; ``problems``: place, what, expected, found of each;
        ``notes``: place, what and found of what is no problem, but good to know.

    What a writer commits meanwhile is counted anew, so that half of the old and half of the new is no problem.

    Raises:
        RootError: No ROOT, or one of another version; or a writer commits all the time.
    """
    for _ in range(_TIMES):
        found, units = _verify_once(root_url, progress)
        if not found["problems"] or not _is_changed(root_url, units):
            return found
    raise RootError(
        "a writer commits all the time",
        where=root_url,
        found=f"other commits at the end than at the beginning, {_TIMES} times",
        remedy="verify when it has ended; pmd status ROOT tells who it is",
    )


def _is_changed(root_url: str, units: Mapping[str, Unit]) -> bool:
    """Return whether other commits stand than those that were counted."""
    now = _units(root_url, storage.list_files(root_url), Report())
    return {folder: unit.commit for folder, unit in units.items()} != {
        folder: unit.commit for folder, unit in now.items()
    }


def _verify_once(root_url: str, progress: Progress | None) -> tuple[dict[str, Any], dict[str, Unit]]:
    described = root.require(root_url)
    names = storage.list_files(root_url)
    report = Report()
    units = _units(root_url, names, report)
    _note_hosts(root_url, report)
    _check_listing(root_url, names, units, report)
    records = sum(file.rows for unit in units.values() for file in unit.commit.files)
    with Census(records) as pairs:
        groups = _read_groups(root_url, units, report)
        merged = _merged(groups)
        bits = int(described.get("fetch_shard_bits", 0))
        recount = Recount(root_url, bits, units, merged, pairs, report, progress)
        for unit in sorted(units.values(), key=lambda unit: unit.folder):
            recount.unit(unit)
        _check_books(units, recount, report)
        _check_chain(units, report)
        expected = _expectation(units)
        pairs.judge(expected, lambda place, what, wanted, found: report.tell(what, place, wanted, found))
    _check_parts(root_url, units, groups, report)
    return {
        "files": recount.files,
        "bytes": recount.bytes,
        "rows": recount.rows,
        "commits": len(units),
        "problems": report.problems(),
        "notes": report.notes,
    }, units


def text(found: Mapping[str, Any]) -> str:
    """Return what was found as people read it."""
    found = escape.shown(found)
    counted = (
        f"{found['files']:,} files, {found['bytes']:,} bytes, {found['rows']:,} rows "
        f"of {found['commits']:,} commits recounted"
    )
    notes = [f"  note: {note['place']}: {note['what']} ({note['found']})" for note in found["notes"]]
    if not found["problems"]:
        return "\n".join([f"{counted}: all of it is as the commits say, and the books balance.", *notes])
    lines = [f"{counted}: {len(found['problems'])} problems"]
    for problem in found["problems"]:
        lines.append(f"  {problem['place']}: {problem['what']}")
        if problem["expected"] or problem["found"]:
            lines.append(f"      expected: {problem['expected']}")
            lines.append(f"      found:    {problem['found']}")
    lines += notes
    lines.append(
        "If a stage ran alone, or the configuration changed, `pmd build CONFIG` brings the others after it. If files were "
        "changed or lost, `pmd repair ROOT` makes or fetches them again, and nothing else."
    )
    return "\n".join(lines)


def _units(root_url: str, names: Sequence[str], report: Report) -> dict[str, Unit]:
    units: dict[str, Unit] = {}
    for name in names:
        folder, _, last = name.rpartition("/")
        if last != commits.STAGE_FILE or folder.split("/", 1)[0] not in _TOPS:
            continue
        try:
            unit = read_unit(root_url, folder, damaged=True)
        except (PmdError, KeyError, TypeError, ValueError) as error:
            report.tell("not a commit", name, "a JSON object with stage, files, sources, hash and run", error)
            continue
        if unit is not None:
            units[folder] = unit
            _check_digest(root_url, folder, report)
            if unit.commit.stage != stage_of(folder):
                report.tell("commit of another stage", name, stage_of(folder), unit.commit.stage)
    return units


def _note_hosts(root_url: str, report: Report) -> None:
    """Lines of what hosts said that are not as they were written: nobody heeds them, and the hosts are asked again."""
    folder = policies.hosts_folder(root_url)
    for name in storage.list_files(folder):
        if name.endswith(".jsonl"):
            damaged = sum(said is None for said in policies.lines(storage.join(folder, name)))
            if damaged:
                what = (
                    "lines that are not as they were written, or are of an earlier version: these hosts are asked again"
                )
                report.note(what, f"fetch/hosts/{name}", f"{damaged:,} lines")


def _check_digest(root_url: str, folder: str, report: Report) -> None:
    """The commit is as it was written."""
    try:
        commits.read(storage.join(root_url, folder))
    except VerificationError as error:
        report.tell("the commit is damaged", f"{folder}/{commits.STAGE_FILE}", error.expected or "", error.found or "")


def _check_listing(root_url: str, names: Sequence[str], units: Mapping[str, Unit], report: Report) -> None:
    """Each file is listed once; nothing else stands there but what a killed run may leave."""
    listed: Counter[str] = Counter()
    for unit in units.values():
        listed.update(name for name, _ in unit.files())
    for name, times in listed.items():
        if times > 1:
            report.tell("listed more than once", name, 1, times)
    if lock.is_held(root_url):
        report.note("somebody writes here: files that no commit lists are not judged", lock.STATE_FILE)
        return
    if not lock.read(root_url).ended:
        report.note("the last run did not end: the next one says so, and goes on from there", lock.STATE_FILE)
    problems, left = orphans.judge(
        [name for name in names if name.split("/", 1)[0] in _TOPS], listed.keys(), units.keys()
    )
    for what, place, files in problems:
        report.tell(what, place, "nothing", f"{files:,} files" if what == orphans.UNCOMMITTED else "it")
    for folder, files in sorted(left.items()):
        report.note("left by a run that did not end; the stage's next run removes it", folder, f"{files:,} files")
    work = sum(name.startswith(f"{root.WORK}/") for name in names)
    if work:
        report.note("left by a run that did not end; the next run removes it", root.WORK, f"{work:,} files")


def _expectation(units: Mapping[str, Unit]) -> Expectation:
    imaged = made_of(units)
    published = {folder.rpartition("source=")[2] for folder in units if folder.startswith("publish/")}
    return Expectation(tuple(accounts_by_stage(units)), imaged, published & {*imaged}, formats_of(units))


# Books


def _check_books(units: Mapping[str, Unit], recount: Recount, report: Report) -> None:
    """The books of each commit are the rows of its files."""
    for folder, unit in sorted(units.items()):
        place = f"{folder}/{commits.STAGE_FILE}"
        for source, account in sorted(unit.accounts.items()):
            if not account.balances():
                told = f"{account.kept} kept and {sum(account.rejected.values())} rejected"
                report.tell("books: in is kept + rejected", f"{place}: {source}", told, f"in {account.taken}")
        if GENERATION in folder:
            _check_generation_books(place, unit, recount, report)
            continue
        if folder in {"curate", "images"} or stage_of(folder) == "audit":
            continue
        _check_rejected_books(place, folder, unit, recount, report)
        _check_kept_books(place, folder, unit, recount, report)
    _check_twins(units, report)


def _check_rejected_books(place: str, folder: str, unit: Unit, recount: Recount, report: Report) -> None:
    if folder.startswith("shards/") and folder != "shards/rejected":
        return  # the rejected pairs of all formats stand in one folder
    booked = {
        (source, reason): count
        for source, account in unit.accounts.items()
        for reason, count in account.rejected.items()
        if count
    }
    counted = {(source, reason): count for (at, source, reason), count in recount.rejected.items() if at == folder}
    for source, reason in sorted({*booked, *counted}):
        wanted, found = booked.get((source, reason), 0), counted.get((source, reason), 0)
        if wanted != found:
            report.tell("books: rejected", f"{place}: {source}, {reason}", f"{wanted}, as booked", f"{found} rows")


def _check_kept_books(place: str, folder: str, unit: Unit, recount: Recount, report: Report) -> None:
    if folder in {"fetch/rejected", "dedupe", "shards/rejected"}:
        return  # what these keep, no file of theirs holds; the census counts it
    counted = {source: count for (at, source), count in recount.kept.items() if at == folder}
    for source in sorted({*unit.accounts, *counted}):
        wanted, found = unit.accounts.get(source, NOTHING).kept, counted.get(source, 0)
        if wanted != found:
            report.tell("books: kept", f"{place}: {source}", f"{wanted}, as booked", f"{found} rows")


def _check_generation_books(place: str, unit: Unit, recount: Recount, report: Report) -> None:
    """A generation books each image under every source that it then had: at least once, at most once a source."""
    counted = {status: count for (at, _, status), count in recount.rejected.items() if at == unit.folder}
    booked: Counter[str] = Counter()
    for source, account in unit.accounts.items():
        for status, count in {OK: account.kept, **account.rejected}.items():
            booked[status] += count
            if count > counted.get(status, 0) or (len(unit.accounts) == 1 and count != counted.get(status, 0)):
                report.tell(
                    "books: images of a generation",
                    f"{place}: {source}, {status}",
                    f"{count}, as booked",
                    f"{counted.get(status, 0)} rows",
                )
    for status, count in counted.items():
        if booked[status] < count:
            report.tell(
                "books: images of a generation",
                f"{place}: {status}",
                f"{booked[status]}, as booked for all sources",
                f"{count} rows",
            )


def _check_twins(units: Mapping[str, Unit], report: Report) -> None:
    """A stage that commits several folders books the same in each."""
    twins = [("views", "images")] + [("shards/rejected", f"shards/{form}") for form in formats_of(units)]
    for one, other in twins:
        if one in units and other in units and _plain(units[one]) != _plain(units[other]):
            report.tell(
                "books differ from those of the same stage", f"{other}/{commits.STAGE_FILE}", f"as {one}", "others"
            )
        if (one in units) != (other in units):
            absent, there = (one, other) if other in units else (other, one)
            report.tell("half of a stage's commits", there, f"{absent}/{commits.STAGE_FILE}", "nothing")


def _plain(unit: Unit) -> dict[str, Any]:
    return {source: dataclasses.asdict(account) for source, account in unit.accounts.items()}


def _check_chain(units: Mapping[str, Unit], report: Report) -> None:
    """What a stage took in is what the one before it kept."""
    accounts = accounts_by_stage(units)
    present = [stage for stage in STAGES if stage in accounts]
    for stage in present:
        if stage in BEFORE and BEFORE[stage] not in accounts:
            report.tell("a stage is committed without the one before it", stage, f"{BEFORE[stage]} too", "nothing")
    for line in balance(units):
        if line["before"] in accounts and line["in"] != line["before_kept"]:
            report.tell(
                f"{line['stage']}: in is what {line['before']} kept",
                f"{line['stage']}, {line['source']}",
                f"{line['before_kept']} pairs",
                f"{line['in']} pairs",
            )
    known = accounts.get("curate", {})
    for source in made_of(units):
        if source not in known:
            report.tell("images were made of a source that is gone", f"curate/source={source}", "a commit", "nothing")
    _check_inputs(units, report)


def _check_inputs(units: Mapping[str, Unit], report: Report) -> None:
    """The images were made of the pairs that are committed now."""
    if "views" not in units:
        return
    inputs = units["views"].commit.run.get("inputs", {})
    for source in made_of(units):
        folder = f"curate/source={source}"
        if source in inputs and folder in units and inputs[source] != units[folder].commit.digest("pairs"):
            report.tell(
                "images were made of other pairs than those committed now",
                folder,
                inputs[source],
                units[folder].commit.digest("pairs"),
            )


# Parts


def _check_parts(root_url: str, units: Mapping[str, Unit], groups: pa.Table | None, report: Report) -> None:
    """Compare images, views, ledger, and the pairs that fetch and dedupe reject, a part at a time."""
    if not {"views", "images"} <= {*units}:
        return
    facts = units["views"].commit.facts
    cut = partitions.Cut(int(facts["part_bits"]), int(facts["fetch_shard_bits"]))
    for part in range(2**cut.part_bits):
        place = f"part {part} of {2**cut.part_bits}"
        try:
            views = partitions.read_views(root_url, part)
            _compare_images(place, partitions.read_images(root_url, part), views, report)
            if "fetch/rejected" not in units:
                continue
            ledger = partitions.read_ledger(root_url, cut.shards(part))
            found = partitions.statuses(views, ledger)
            out = pc.not_equal(found, OK)
            _compare_rejected(
                units["fetch/rejected"], root_url, part, place, views.filter(out)["pair_id"], found.filter(out), report
            )
            if "dedupe" in units and groups is not None:
                _, rejected = dedupe_rules.judge_again(root_url, part, views, ledger, groups)
                _compare_rejected(
                    units["dedupe"], root_url, part, place, rejected["pair_id"], rejected["reason"], report
                )
        except (*DAMAGE, PmdError) as error:
            report.tell("cannot be compared", place, "images, views and ledger that can be read", first_line(error))


def _read_groups(root_url: str, units: Mapping[str, Unit], report: Report) -> pa.Table | None:
    """Return all groups, as every worker of dedupe and shard holds them; None where there are none to be read."""
    if "dedupe" not in units:
        return None
    folder = root.dedupe_folder(root_url)
    try:
        tables = [commits.read_table(folder, file).cast(GROUPS) for file in units["dedupe"].commit.under("groups")]
    except (*DAMAGE, PmdError) as error:
        report.tell("groups cannot be read", folder, "files of groups", first_line(error))
        return None
    return pa.concat_tables([GROUPS.empty_table(), *tables])


def _merged(groups: pa.Table | None) -> dict[bytes, bytes]:
    """Return the images that give way, with those that stand for them."""
    if groups is None:
        return {}
    merged = groups.filter(pc.is_in(groups["relation"], value_set=pa.array(dedupe_rules.MERGED)))
    stands = dedupe_rules.kept_ids(merged["image_id"], groups)
    return dict(zip(merged["image_id"].to_pylist(), stands.to_pylist(), strict=True))


def _compare_images(place: str, images: pa.Table, views: pa.Table, report: Report) -> None:
    """The images are those of the views, with their sources, and know whether a view is a region."""
    shown = views.group_by("image_id").aggregate([("region", "count")]).sort_by("image_id")
    regions = dict(zip(shown["image_id"].to_pylist(), shown["region_count"].to_pylist(), strict=True))
    sources: defaultdict[bytes, set[str]] = defaultdict(set)
    for row in views.group_by(["image_id", "source"]).aggregate([]).to_pylist():
        sources[row["image_id"]].add(row["source"])
    for row in images.select(["image_id", "has_region", "sources"]).to_pylist():
        key = row["image_id"]
        at = f"images/, {place}: image {key.hex()}"
        count = regions.pop(key, None)
        if count is None:
            report.tell("an image without a pair", at, "at least one view", "none")
            continue
        if bool(count) != row["has_region"]:
            report.tell("has_region", at, bool(count), row["has_region"])
        if sorted(sources[key]) != row["sources"]:
            report.tell("sources of an image", at, ", ".join(sorted(sources[key])), ", ".join(row["sources"]))
    for key in regions:
        report.tell("a view without its image", f"views/, {place}: image {key.hex()}", "a row of images", "none")


def _compare_rejected(
    unit: Unit,
    root_url: str,
    part: int,
    place: str,
    pair_ids: pa.ChunkedArray,
    reasons: pa.ChunkedArray | pa.Array,
    report: Report,
) -> None:
    """The pairs that a stage rejects are those that the ledger and the groups say, for that reason."""
    prefix = "rejected/" if unit.folder == "dedupe" else ""
    files = [
        file
        for file in unit.commit.files
        if file.name.startswith(f"{prefix}part-") and partitions.number(file.name) == part
    ]
    should = dict(zip(pair_ids.to_pylist(), reasons.to_pylist(), strict=True))
    for file in files:
        table = commits.read_table(storage.join(root_url, unit.folder), file, ["pair_id", "reason"])
        for pair_id, reason in zip(table["pair_id"].to_pylist(), table["reason"].to_pylist(), strict=True):
            wanted = should.pop(pair_id, None)
            if wanted != reason:
                at = f"{unit.folder}/{file.name}: pair {pair_id.hex()}"
                report.tell(f"why {stage_of(unit.folder)} rejects a pair", at, wanted or "the pair is kept", reason)
    for pair_id, reason in should.items():
        at = f"{unit.folder}/, {place}: pair {pair_id.hex()}"
        report.tell(f"why {stage_of(unit.folder)} rejects a pair", at, reason, "the pair is kept")
