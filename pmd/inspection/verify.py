"""Verify: recount everything under a ROOT from the committed files, and name every place where they disagree.

Nothing is believed: not a size, a checksum, a count of rows, a key or a total. Files are read front to back, one at a
time, a row group or a member at a time; what must be compared across files is cut by key (`pmd.books.reconciliation`) or
by part.

1. Every file that a commit lists is there, with its bytes, its SHA-256 and its rows; nothing else is beside it, but for what
   a killed run leaves, which is a note (`pmd.inspection.orphans`).
2. The books: in = kept + rejected; kept and rejected by reason are the rows of the files; in is what the stage before kept.
3. The pairs: each that entered is kept or rejected exactly once, in every stage, shard format and list; its keys are the
   hashes of its content, its text is the same everywhere, and so is its split: that of its image's duplicate group.
4. The images: those of the views; the ledger's rows one an image and generation; the stored bytes are where the ledger
   says, are an image, and where they are the original's have its digest; as many were there as the sums say.
5. The release, which no commit lists, is as its own checksums say (`pmd.publish.checking`).
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from pmd import escape, flow
from pmd.books.balance import balance
from pmd.books.committed import NOTHING, Committed, accounts_by_stage, formats_of, made_of, read, stage_of
from pmd.books.reconciliation import Expectation, Reconciliation
from pmd.books.recount import Tally
from pmd.books.report import DAMAGE, Report, first_line, refuse_ours
from pmd.dedupe import rules as dedupe_rules
from pmd.errors import PmdError, RootError, VerificationError
from pmd.fetch.ledger import asked, partitions, sums
from pmd.fetch.ledger.partitions import Cut
from pmd.fetch.politeness import policies
from pmd.images import recount as images_recount
from pmd.inspection import groups as committed_groups
from pmd.inspection import orphans, splits
from pmd.inspection.groups import Groups
from pmd.inspection.recount import Progress, Recounting
from pmd.publish import checking
from pmd.publish.folder import README
from pmd.schema.statuses import OK
from pmd.schema.tables import BARE_VIEWS
from pmd.store import commits, lock, register, root, storage

#: Times that a ROOT is counted while a writer commits; a build commits some thirty times in hours.
_TIMES: Final = 3

#: What stands, or is expected, in the place of a count.
_OTHER: Final = "nothing, or another count"


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
        _check_books(standing, tally)
        _check_chain(standing, report)
        expected = _expectation(standing)
        pairs.check(expected, lambda place, what, wanted, found: report.tell(what, place, wanted, found))
    _check_parts(root_url, standing, groups, report)
    _check_near_texts(root_url, standing, report)
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


def render(result: Mapping[str, Any]) -> str:
    """Return what was found as people read it."""
    result = escape.shown(result)
    notes = [
        f"  note: {note['place']}: {note['what']}" + (f" ({note['found']})" if note["found"] else "")
        for note in result["notes"]
    ]
    if result["kind"] == "release":
        return "\n".join([*_rendered_release(result), *notes])
    counted = (
        f"{result['files']:,} files, {result['bytes']:,} bytes, {result['rows']:,} rows "
        f"of {result['commits']:,} commit{'s' if result['commits'] != 1 else ''} recounted"
    )
    if result["released"]:
        counted += f", {result['released']:,} files of the release held to its checksums"
    if not result["problems"]:
        return "\n".join([f"{counted}: all of it is as the commits say, and the books balance.", *notes])
    lines = [f"{counted}: {len(result['problems'])} problems", *_listed(result["problems"]), *notes]
    lines.append(
        "If a stage ran alone, or the configuration changed, `pmd build CONFIG` brings the others after it. If files were "
        "changed or lost, `pmd repair ROOT` makes or fetches them again, and nothing else."
    )
    return "\n".join(lines)


def _rendered_release(result: Mapping[str, Any]) -> Iterator[str]:
    counted = f"{result['released']:,} files of a release held to its checksums"
    if not result["problems"]:
        yield f"{counted}: all of them are as they were written."
        return
    yield f"{counted}: {len(result['problems'])} problems"
    yield from _listed(result["problems"])
    yield "Copy these files again from where the release came from. Under the ROOT that it was made in, `pmd repair ROOT` does."


def _listed(problems: Sequence[Mapping[str, str]]) -> Iterator[str]:
    for problem in problems:
        yield f"  {problem['place']}: {problem['what']}"
        if problem["expected"] or problem["found"]:
            yield f"      expected: {problem['expected']}"
            yield f"      found:    {problem['found']}"


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
                report.note(what, f"{flow.HOSTS}/{name}", f"{damaged:,} lines")


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
        report.tell(what, place, "nothing", f"{files:,} files" if what == orphans.UNCOMMITTED else "it")
    for folder, files in sorted(left.items()):
        report.note("left by a run that did not end; the stage's next run removes it", folder, f"{files:,} files")
    work = sum(name.startswith(f"{root.WORK}/") for name in names)
    if work:
        report.note("left by a run that did not end; the next run removes it", root.WORK, f"{work:,} files")


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
            report.note(what, f"{top}{files[0]}", f"{len(files):,} files")
    if found.is_card_changed:
        what = "the card is another than was written: where nobody has edited it, remove it, "
        what += "and copy it again or run pmd repair CONFIG"
        report.note(what, f"{top}{README}", "other bytes")


def _expectation(standing: Mapping[str, Committed]) -> Expectation:
    imaged = made_of(standing)
    published = {committed.source for committed in standing.values() if committed.is_of(flow.LISTS)}
    return Expectation(tuple(accounts_by_stage(standing)), imaged, published & {*imaged}, formats_of(standing))


# Books


def _check_books(standing: Mapping[str, Committed], tally: Tally) -> None:
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
            _check_generation_books(place, committed, tally)
            continue
        if kind[0] == kind[1].books:  # the rejected pairs of all its folders stand in one
            _check_rejected_books(place, committed, tally)
        if kind[0].keeps is not None:  # else no file of it holds what it keeps; that is reconciled
            _check_kept_books(place, committed, tally)
    _check_twins(standing, tally.report)


def _check_rejected_books(place: str, committed: Committed, tally: Tally) -> None:
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
            tally.report.tell("books: rejected", f"{place}: {source}, {reason}", f"{wanted}, as booked", f"{rows} rows")


def _check_kept_books(place: str, committed: Committed, tally: Tally) -> None:
    counted = {source: count for (at, source), count in tally.kept.items() if at == committed.folder}
    for source in sorted({*committed.accounts, *counted}):
        wanted, rows = committed.accounts.get(source, NOTHING).kept, counted.get(source, 0)
        if wanted != rows:
            tally.report.tell("books: kept", f"{place}: {source}", f"{wanted}, as booked", f"{rows} rows")


def _check_generation_books(place: str, committed: Committed, tally: Tally) -> None:
    """A generation books each image under every source that it then had: at least once, at most once a source."""
    counted = {status: count for (at, _, status), count in tally.rejected.items() if at == committed.folder}
    booked: Counter[str] = Counter()
    what = "books: images of a generation"
    for source, account in committed.accounts.items():
        for status, count in {OK: account.kept, **account.rejected}.items():
            booked[status] += count
            rows = counted.get(status, 0)
            if count > rows or (len(committed.accounts) == 1 and count != rows):
                tally.report.tell(what, f"{place}: {source}, {status}", f"{count}, as booked", f"{rows} rows")
    for status, count in counted.items():
        if booked[status] < count:
            expected = f"{booked[status]}, as booked for all sources"
            tally.report.tell(what, f"{place}: {status}", expected, f"{count} rows")


def _check_twins(standing: Mapping[str, Committed], report: Report) -> None:
    """A stage that commits several folders books the same in each."""
    for stage in flow.STAGES:
        for kind in stage.folders:
            one, other = stage.books.path, kind.path
            if not kind.twin or not {one, other} & standing.keys():
                continue
            if one in standing and other in standing:
                if _plain(standing[one]) != _plain(standing[other]):
                    place = f"{other}/{commits.STAGE_FILE}"
                    report.tell("books differ from those of the same stage", place, f"as {one}", "others")
            elif other in standing or not kind.optional:
                absent, there = (one, other) if other in standing else (other, one)
                report.tell("half of a stage's commits", there, f"{absent}/{commits.STAGE_FILE}", "nothing")


def _plain(committed: Committed) -> dict[str, Any]:
    return {source: dataclasses.asdict(account) for source, account in committed.accounts.items()}


def _check_chain(standing: Mapping[str, Committed], report: Report) -> None:
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
                f"{line['before_kept']} pairs",
                f"{line['in']} pairs",
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


# Parts


def _check_parts(root_url: str, standing: Mapping[str, Committed], groups: Groups | None, report: Report) -> None:
    """Compare images, views, ledger, and the pairs that fetch and dedupe reject, a part at a time."""
    if not {flow.VIEWS.path, flow.DISTINCT.path} <= {*standing}:
        return
    facts = standing[flow.VIEWS.path].commit.facts
    unfetched, dedupe = standing.get(flow.UNFETCHED.path), standing.get(flow.GROUPS.path)
    available = standing.get(flow.AVAILABILITY.path)
    cut = Cut(int(facts["part_bits"]), int(facts["fetch_shard_bits"]))
    counted = []
    for part in range(2**cut.part_bits):
        place = f"part {part} of {2**cut.part_bits}"
        try:
            views = partitions.read_views(root_url, part, BARE_VIEWS.names)
            images_recount.compare(place, partitions.read_images(root_url, part), views, report)
            if unfetched is None:
                continue
            generations = partitions.own_generations(root_url, cut.shards(part))
            ledger = partitions.standing(generations)
            statuses = partitions.statuses(views, ledger)
            out = pc.not_equal(statuses, OK)
            _compare_rejected(
                unfetched, root_url, part, place, views.filter(out)["pair_id"], statuses.filter(out), report
            )
            if available is not None:
                counted.append(sums.facts([ledger]))
                rows = asked.of_part(root_url, part, ledger, generations)
                _compare_sums(available, root_url, part, place, sums.of(rows), report)
            if dedupe is not None and groups is not None:
                _, rejected = dedupe_rules.judge_again(root_url, part, views, ledger, groups.part(part))
                _compare_rejected(dedupe, root_url, part, place, rejected["pair_id"], rejected["reason"], report)
        except (*DAMAGE, PmdError) as error:
            refuse_ours(error)
            report.tell("cannot be compared", place, "images, views and ledger that can be read", first_line(error))
    if unfetched is not None and dedupe is not None and groups is not None:
        _check_splits(root_url, cut, dedupe, groups, report)
    if available is not None and len(counted) == 2**cut.part_bits:
        wanted, found = sums.together(counted), dict(available.commit.facts)
        if found != wanted:
            place = f"{available.folder}/{commits.STAGE_FILE}"
            report.tell("images of the ledger by status, and those with a perceptual hash", place, wanted, found)


def _compare_sums(committed: Committed, root_url: str, part: int, place: str, wanted: pa.Table, report: Report) -> None:
    """What was there is counted as the images and the ledger say it: by day, where every commit still says when it ended.

    An earlier version counted other images, and says so: its counts are made anew by the next build.
    """
    if committed.commit.run.get("options") != sums.OPTIONS:
        return
    files = [file for file in committed.commit.files if flow.part_number(file.name) == part]
    folder = storage.join(root_url, committed.folder)
    found = Counter(row for file in files for row in _rows(commits.read_table(folder, file)))
    counted = Counter(_rows(wanted))
    if any(
        (by, name) == (sums.DAY, sums.UNKNOWN) for by, _, name, *_ in counted
    ):  # a commit was made again from its files
        found, counted = (Counter(row for row in rows.elements() if row[0] != sums.DAY) for rows in (found, counted))
    for row in sorted((found - counted) + (counted - found)):
        by, source, name, images, alive = row
        says = f"{images:,} images, {alive:,} there"
        at = f"{committed.folder}/, {place}: {by} {name} of {source}"
        expected, there = (says, _OTHER) if counted[row] > found[row] else (_OTHER, says)
        report.tell("how many images were there", at, expected, there)


def _rows(table: pa.Table) -> Iterator[tuple[Any, ...]]:
    return zip(*(column.to_pylist() for column in table.columns), strict=True)


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


def _check_splits(root_url: str, cut: Cut, dedupe: Committed, groups: Groups, report: Report) -> None:
    try:
        splits.check(root_url, cut, dedupe, groups, report)
    except (*DAMAGE, PmdError) as error:
        refuse_ours(error)
        what = "views, ledger, groups and splits that can be read"
        report.tell("splits cannot be compared", flow.GROUPS.path, what, first_line(error))


def _check_near_texts(root_url: str, standing: Mapping[str, Committed], report: Report) -> None:
    """A group of near-duplicate captions has a row of the text that leads it, and another's."""
    if flow.GROUPS.path not in standing:
        return
    place = f"{root.dedupe_folder(root_url)}/near_texts"
    try:
        rows = dedupe_rules.read_near_texts(root_url, ["text_id", "group_id"])
    except (*DAMAGE, PmdError) as error:
        refuse_ours(error)
        report.tell("near-duplicate texts cannot be read", place, "files of near_texts", first_line(error))
        return
    leads = pc.equal(rows["text_id"], rows["group_id"])
    leaders, led = rows.filter(leads)["text_id"], rows.filter(pc.invert(leads))["group_id"].unique()
    for what, ids, among in (
        ("a text whose group's first is not there", led, leaders),
        ("a text that leads no other", leaders, led),
    ):
        for key in ids.filter(pc.invert(pc.is_in(ids, value_set=among))).to_pylist():
            report.tell(what, f"{place}: text {key.hex()}", "two rows of a group", "one")


def _compare_rejected(
    committed: Committed,
    root_url: str,
    part: int,
    place: str,
    pair_ids: pa.ChunkedArray,
    reasons: pa.ChunkedArray | pa.Array,
    report: Report,
) -> None:
    """The pairs that a stage rejects are those that the ledger and the groups say, for that reason."""
    kind = flow.kind_of(committed.folder)
    assert kind is not None
    assert kind[0].rejects is not None, committed.folder
    files = [file for file in committed.commit.files if file.name.startswith(kind[0].rejects)]
    files = [file for file in files if flow.part_number(file.name) == part]
    should = dict(zip(pair_ids.to_pylist(), reasons.to_pylist(), strict=True))
    for file in files:
        table = commits.read_table(storage.join(root_url, committed.folder), file, ["pair_id", "reason"])
        for pair_id, reason in zip(table["pair_id"].to_pylist(), table["reason"].to_pylist(), strict=True):
            wanted = should.pop(pair_id, None)
            if wanted != reason:
                at = f"{committed.folder}/{file.name}: pair {pair_id.hex()}"
                report.tell(
                    f"why {stage_of(committed.folder)} rejects a pair", at, wanted or "the pair is kept", reason
                )
    for pair_id, reason in should.items():
        at = f"{committed.folder}/, {place}: pair {pair_id.hex()}"
        report.tell(f"why {stage_of(committed.folder)} rejects a pair", at, reason, "the pair is kept")
