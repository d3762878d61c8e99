"""What a part's images, ledger and groups say of its pairs, for `pmd verify`: who leaves, why, and in which split they are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from pmd import flow
from pmd.books.committed import Committed, stage_of
from pmd.books.report import DAMAGE, Report, first_line, refuse_ours
from pmd.dedupe import rules as dedupe_rules
from pmd.errors import PmdError
from pmd.fetch.ledger import asked, partitions, sums
from pmd.fetch.ledger.partitions import Cut
from pmd.images import recount as images_recount
from pmd.inspection.verify import splits
from pmd.inspection.verify.groups import Groups
from pmd.schema.statuses import OK
from pmd.schema.tables import BARE_VIEWS
from pmd.store import commits, parquet_files, root, storage
from pmd.terminal import bar

#: What stands, or is expected, in the place of a count.
_OTHER: Final = "nothing, or another count"


def check(root_url: str, standing: Mapping[str, Committed], groups: Groups | None, report: Report) -> None:
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
        table = parquet_files.read_table(storage.join(root_url, committed.folder), file, ["pair_id", "reason"])
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


def _compare_sums(committed: Committed, root_url: str, part: int, place: str, wanted: pa.Table, report: Report) -> None:
    """What was there is counted as the images and the ledger say it: by day, where every commit still says when it ended.

    An earlier version counted other images, and says so: its counts are made anew by the next build.
    """
    if committed.commit.run.get("options") != sums.OPTIONS:
        return
    files = [file for file in committed.commit.files if flow.part_number(file.name) == part]
    folder = storage.join(root_url, committed.folder)
    found = Counter(row for file in files for row in _rows(parquet_files.read_table(folder, file)))
    counted = Counter(_rows(wanted))
    if any(
        (by, name) == (sums.DAY, sums.UNKNOWN) for by, _, name, *_ in counted
    ):  # a commit was made again from its files
        found, counted = (Counter(row for row in rows.elements() if row[0] != sums.DAY) for rows in (found, counted))
    for row in sorted((found - counted) + (counted - found)):
        by, source, name, images, alive = row
        says = f"{bar.amount(images, 'images')}, {alive:,} there"
        at = f"{committed.folder}/, {place}: {by} {name} of {source}"
        expected, there = (says, _OTHER) if counted[row] > found[row] else (_OTHER, says)
        report.tell("how many images were there", at, expected, there)


def _rows(table: pa.Table) -> Iterator[tuple[Any, ...]]:
    return zip(*(column.to_pylist() for column in table.columns), strict=True)


def _check_splits(root_url: str, cut: Cut, dedupe: Committed, groups: Groups, report: Report) -> None:
    try:
        splits.check(root_url, cut, dedupe, groups, report)
    except (*DAMAGE, PmdError) as error:
        refuse_ours(error)
        what = "views, ledger, groups and splits that can be read"
        report.tell("splits cannot be compared", flow.GROUPS.path, what, first_line(error))


def check_near_texts(root_url: str, standing: Mapping[str, Committed], report: Report) -> None:
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
