"""Verify: recount everything under a ROOT from the committed files, and name every place where they disagree.

Nothing is believed: not a size, a checksum, a count of rows, a key or a total. Files are read front to back, one at a
time, a row group or a member at a time; what must be compared across files is cut by key (`pmd.books.reconciliation`) or
by part.

1. Every file that a commit lists is there, with its bytes, its SHA-256 and its rows; nothing else is beside it, but for what
   a killed run leaves, which is a note (`pmd.inspection.verify.orphans`).
2. The books: in = kept + rejected; kept and rejected by reason are the rows of the files; in is what the stage before kept.
3. The pairs: each that entered is kept or rejected exactly once, in every stage, shard format and list; its keys are the
   hashes of its content, its text is the same everywhere, and so is its split: that of its image's duplicate group.
4. The images: those of the views; the ledger's rows one an image and generation; the stored bytes are where the ledger
   says, are an image, and where they are the original's have its digest; as many were there as the sums say.
5. The release, which no commit lists, is as its own checksums say (`pmd.publish.checking`).

Modules, each importing only those above it::

    groups     who stands in the end for whom, a part at a time
    splits     which images are in another split than upstream says
    orphans    files that no commit lists
    recount    files, read whole for their bytes and rows
    books      what commits say against the rows of their files, and stage against stage
    parts      what a part's images, ledger and groups say of its pairs
    rendering  the answer as people read it
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

from pmd import flow
from pmd.books.committed import Committed, accounts_by_stage, formats_of, made_of, read, stage_of
from pmd.books.reconciliation import Expectation, Reconciliation
from pmd.books.recount import Tally
from pmd.books.report import DAMAGE, Report, first_line, refuse_ours
from pmd.errors import PmdError, RootError, VerificationError
from pmd.fetch.politeness import policies
from pmd.inspection.verify import books, orphans, parts, splits
from pmd.inspection.verify import groups as committed_groups
from pmd.inspection.verify.recount import Progress, Recounting
from pmd.inspection.verify.rendering import render as render
from pmd.publish import checking
from pmd.publish.folder import README
from pmd.store import commits, lock, register, root, storage
from pmd.suppression import lists
from pmd.takedown import receipts
from pmd.terminal import bar

#: Times that a ROOT is counted while a writer commits; a build commits some thirty times in hours.
_TIMES: Final = 3


def verify(root_url: str, progress: Progress | None = None) -> dict[str, Any]:
    """Recount a ROOT, or hold a release that stands by itself to its checksums.

    Args:
        root_url: ROOT, or a copy of its release.
        progress: Told how far it is.

    Returns:
        ``kind``, root or release; ``files``, ``bytes`` and ``rows``, as counted; ``commits``; ``released``: files of the
        release that have checksums;
        ``problems``: place, what, expected, found of each;
        ``notes``: place, what and found of what is no problem, but good to know.

    What a writer commits meanwhile is counted anew, so that half of the old and half of the new is no problem.

    Raises:
        RootError: No ROOT, or one of another version; or a writer commits all the time.
    """
    if root.identity(root_url) is None and not root.curated_sources(root_url):
        alone = checking.check_alone(root_url)
        if alone is not None:
            return _of_release(alone)
    for _ in range(_TIMES):
        result, standing = _verify_once(root_url, progress)
        if not result["problems"] or not _is_changed(root_url, standing):
            return result
    raise RootError(
        "a writer commits all the time",
        where=root_url,
        found=f"other commits at the end than at the beginning, {_TIMES} times",
        remedy="verify when it has ended; pmd status ROOT tells who it is",
    )


def _of_release(found: checking.Checked) -> dict[str, Any]:
    """Return what was found of a release by itself, of which no commit tells."""
    report = Report()
    for one in found.problems:
        report.tell(one.what, one.name, one.expected, one.found)
    _note_others(found, "", report)
    counted = {"files": 0, "bytes": 0, "rows": 0, "commits": 0, "released": found.files}
    return {"kind": "release", **counted, "problems": report.problems(), "notes": report.notes}


def _is_changed(root_url: str, standing: Mapping[str, Committed]) -> bool:
    """Return whether other commits stand than those that were counted."""
    now = _standing(root_url, storage.list_files(root_url), Report())
    return {folder: committed.commit for folder, committed in standing.items()} != {
        folder: committed.commit for folder, committed in now.items()
    }


def _verify_once(root_url: str, progress: Progress | None) -> tuple[dict[str, Any], dict[str, Committed]]:
    described = root.require(root_url)
    names = storage.list_files(root_url)
    report = Report()
    standing = _standing(root_url, names, report)
    if root.ROOT_FILE not in names and "fetch_shard_bits" in described:
        report.tell("gone: the next command that writes here puts it back", root.ROOT_FILE, described, "nothing")
    elif root.ROOT_FILE not in names and any(flow.GENERATION.holds(folder) for folder in standing):
        report.tell(
            "gone: pmd repair puts it back, as what was fetched tells", root.ROOT_FILE, "fetch_shard_bits", "nothing"
        )
    _note_takedown(root_url, report)
    _note_hosts(root_url, report)
    _check_register(root_url, standing, report)
    _check_listing(root_url, names, standing, report)
    records = sum(file.rows for committed in standing.values() for file in committed.commit.files)
    with Reconciliation(records) as pairs:
        groups = committed_groups.read(root_url, standing, report)
        bits = int(described.get("fetch_shard_bits", 0))
        moved = _read_splits(root_url, standing, report)
        merged = _none if groups is None else groups.merged
        tally = Tally(root_url, bits, merged, moved, formats_of(standing), pairs, report)
        recounting = Recounting(standing, tally, progress)
        for folder in sorted(standing):
            recounting.commit(standing[folder])
        books.check(standing, tally)
        books.check_chain(standing, report)
        expected = _expectation(standing)
        pairs.check(expected, lambda place, what, wanted, found: report.tell(what, place, wanted, found))
    parts.check(root_url, standing, groups, report)
    parts.check_near_texts(root_url, standing, report)
    released = _check_release(root_url, names, standing, report)
    return {
        "kind": "root",
        "files": recounting.files,
        "bytes": recounting.bytes,
        "rows": recounting.rows,
        "commits": len(standing),
        "released": released,
        "problems": report.problems(),
        "notes": report.notes,
    }, standing


def _standing(root_url: str, names: Sequence[str], report: Report) -> dict[str, Committed]:
    standing: dict[str, Committed] = {}
    for name in names:
        folder, _, last = name.rpartition("/")
        if last != commits.STAGE_FILE or folder.split("/", 1)[0] not in flow.TOPS:
            continue
        try:
            committed = read(root_url, folder, damaged=True)
        except (PmdError, KeyError, TypeError, ValueError) as error:
            report.tell("not a commit", name, "a JSON object with stage, files, sources, hash and run", error)
            continue
        if committed is not None:
            standing[folder] = committed
            _check_digest(root_url, folder, report)
            if committed.commit.stage != stage_of(folder):
                report.tell("commit of another stage", name, stage_of(folder), committed.commit.stage)
    return standing


def _check_register(root_url: str, standing: Mapping[str, Committed], report: Report) -> None:
    """Who reads the register in place of the commits of generations is told the same."""
    kept = register.read(root_url)
    if not kept.is_kept or lock.is_held(root_url):
        return  # nobody believes it
    there = {folder: unit.commit.digest() for folder, unit in standing.items() if unit.is_of(flow.GENERATION)}
    known = kept.digests
    other = sorted(folder for folder in {*there, *known} if there.get(folder) != known.get(folder))
    if not other:
        return
    more = f" and {len(other) - 1:,} more" if len(other) > 1 else ""
    if storage.is_local(root_url):  # whoever asks next looks through the folder
        report.note(
            "it is of other commits than stand; the next run brings it up to date", flow.REGISTER, other[0] + more
        )
    else:
        report.tell(
            "it is of other commits than stand", flow.REGISTER, "what the ledger's commits say", other[0] + more
        )


def _note_takedown(root_url: str, report: Report) -> None:
    """A takedown that was stopped: part of what it is to remove is still here, and no other command goes on with it."""
    if receipts.PENDING in storage.list_names(storage.join(root_url, lists.FOLDER)) and not lock.is_held(root_url):
        report.note("a takedown did not come to its end: pmd takedown apply CONFIG does the rest", receipts.PLACE)


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
                report.note(what, f"{flow.HOSTS}/{name}", bar.amount(damaged, "lines"))


def _check_digest(root_url: str, folder: str, report: Report) -> None:
    """The commit is as it was written."""
    try:
        commits.read(storage.join(root_url, folder))
    except VerificationError as error:
        report.tell("the commit is damaged", f"{folder}/{commits.STAGE_FILE}", error.expected or "", error.found or "")


def _check_listing(root_url: str, names: Sequence[str], standing: Mapping[str, Committed], report: Report) -> None:
    """Each file is listed once; nothing else stands there but what a killed run may leave."""
    listed: Counter[str] = Counter()
    for committed in standing.values():
        listed.update(name for name, _ in committed.files())
    for name, times in listed.items():
        if times > 1:
            report.tell("listed more than once", name, 1, times)
    if lock.is_held(root_url):
        report.note("somebody writes here: files that no commit lists are not judged", lock.STATE_FILE)
        return
    if not lock.read(root_url).ended:
        report.note("the last run did not end: the next one says so, and goes on from there", lock.STATE_FILE)
    problems, left = orphans.classify(
        [name for name in names if name.split("/", 1)[0] in flow.TOPS], listed.keys(), standing.keys()
    )
    for what, place, files in problems:
        report.tell(what, place, "nothing", bar.amount(files, "files") if what == orphans.UNCOMMITTED else "it")
    for folder, files in sorted(left.items()):
        report.note(
            "left by a run that did not end; the stage's next run removes it", folder, bar.amount(files, "files")
        )
    work = sum(name.startswith(f"{root.WORK}/") for name in names)
    if work:
        report.note("left by a run that did not end; the next run removes it", root.WORK, bar.amount(work, "files"))


def _check_release(root_url: str, names: Sequence[str], standing: Mapping[str, Committed], report: Report) -> int:
    """The release is as its checksums say, and of the lists that stand; return how many files were looked at.

    What a run that was killed has left of it the next one writes anew: then nothing is wrong with it.
    """
    if lock.is_held(root_url):
        return 0
    found = checking.check(root_url, checking.names_in(names), checking.lists_in(standing.values()))
    ended = lock.read(root_url).ended
    for one in found.problems:
        if ended:
            report.tell(one.what, one.name, one.expected, one.found)
        else:
            report.note(f"{one.what}; the last run did not end, and the next one writes it", one.name, one.found)
    _note_others(found, f"{flow.RELEASE}/", report)
    if found.files and found.stale is not None:
        what = "it is of other lists than stand; the next run of publish or build writes it anew"
        report.note(what, flow.RELEASE, found.stale)
    return found.files


def _note_others(found: checking.Checked, top: str, report: Report) -> None:
    for what, files in (
        ("left by a run that did not end; the next run that writes the release removes it", found.left),
        ("not of pmd, and left alone", found.others),
    ):
        if files:
            report.note(what, f"{top}{files[0]}", bar.amount(len(files), "files"))
    if found.is_card_changed:
        what = "the card is another than was written: where nobody has edited it, remove it, "
        what += "and copy it again or run pmd repair CONFIG"
        report.note(what, f"{top}{README}", "other bytes")


def _expectation(standing: Mapping[str, Committed]) -> Expectation:
    imaged = made_of(standing)
    published = {committed.source for committed in standing.values() if committed.is_of(flow.LISTS)}
    return Expectation(tuple(accounts_by_stage(standing)), imaged, published & {*imaged}, formats_of(standing))


def _read_splits(root_url: str, standing: Mapping[str, Committed], report: Report) -> dict[bytes, str] | None:
    """Return the images that are in another split than upstream says; None where dedupe says nothing of splits."""
    dedupe = standing.get(flow.GROUPS.path)
    if dedupe is None or splits.MOVED not in dedupe.commit.facts:
        return None
    try:
        rows = splits.committed(root_url, dedupe)
    except (*DAMAGE, PmdError) as error:
        refuse_ours(error)
        report.tell("splits cannot be read", f"{flow.GROUPS.path}/splits", "files of splits", first_line(error))
        return None
    return dict(zip(rows["image_id"].to_pylist(), rows["split"].to_pylist(), strict=True))


def _none(_: int) -> dict[bytes, bytes]:
    return {}
