"""Recounting splits for `pmd verify`: which image is in another split than upstream says, by its duplicate group.

Worked out once more from views, ledger and groups, as dedupe did it (`pmd.dedupe.splits`), and held against what it committed.
Parts are read one by one, twice: what keeps a group out of training may stand in any of them.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Final

import pyarrow as pa

from pmd import flow
from pmd.books.committed import Committed
from pmd.books.report import Report
from pmd.dedupe import rules as dedupe_rules
from pmd.dedupe import splits
from pmd.fetch.ledger import partitions
from pmd.fetch.ledger.partitions import Cut
from pmd.inspection.verify.groups import Groups
from pmd.schema.tables import SPLITS
from pmd.store import commits, exchange, parquet_files, root, spools, storage

_UPSTREAM: Final = "what upstream says"
#: The fact of dedupe's commit.
MOVED: Final = "moved_splits"


def committed(root_url: str, dedupe: Committed) -> pa.Table:
    """Return the committed `SPLITS` of all parts: few, and all workers hold them."""
    folder = root.dedupe_folder(root_url)
    files = dedupe.commit.under("splits")
    return pa.concat_tables([SPLITS.empty_table(), *(parquet_files.read_table(folder, file) for file in files)])


def check(root_url: str, cut: Cut, dedupe: Committed, groups: Groups, report: Report) -> None:
    """Tell of every image whose split is not its group's, and of sums that are not those of the images.

    Args:
        root_url: ROOT.
        cut: Its parts.
        dedupe: The commit of the groups.
        groups: The groups of each part.
        report: Told of what differs.
    """
    if MOVED not in dedupe.commit.facts:  # of an earlier version, which left pairs in upstream's splits
        return
    parts = range(2**cut.part_bits)
    all_views = ((part, partitions.read_views(root_url, part, splits.NEEDED)) for part in parts)
    restricted = {part: some for part, views in all_views if (some := splits.restricted(views)).num_rows}
    together: pa.Table | None = None
    if restricted and dedupe.commit.run.get("options", {}).get("same_bytes") == "keep":
        related = (groups.part(part).select(dedupe_rules.RELATED.names) for part in parts)
        together = dedupe_rules.resolved(pa.concat_tables([*related, *_equal(root_url, cut, groups)]))
    held = [splits.HELD.empty_table()]
    for part, views in restricted.items():
        kept, _ = dedupe_rules.judge(views, _ledger(root_url, cut, part), groups.part(part))
        held.append(splits.held(kept, groups.part(part) if together is None else together))
    out_of_training = pa.concat_tables(held)
    moved: Counter[tuple[str, str]] = Counter()
    for part in parts:
        there = splits.read(root_url, part)
        if not out_of_training.num_rows and not there.num_rows:
            continue
        views = partitions.read_views(root_url, part, splits.NEEDED)
        ledger = _ledger(root_url, cut, part)
        mine = groups.part(part)
        found = mine if together is None else together
        should = splits.moved(dedupe_rules.judge(views, ledger, mine)[0], found, out_of_training)
        _compare(f"part {part} of {len(parts)}", should, there, report)
        kept, _ = dedupe_rules.judge_again(root_url, part, views, ledger, mine)
        for source, counts in splits.count_moved(kept, should).items():
            moved.update({(source, split): count for split, count in counts.items()})
    _compare_sums(moved, dedupe.commit.facts[MOVED], report)


def _ledger(root_url: str, cut: Cut, part: int) -> pa.Table:
    return partitions.standing(partitions.own_generations(root_url, cut.shards(part)))


def _equal(root_url: str, cut: Cut, groups: Groups) -> Iterator[pa.Table]:
    """Yield the images with equal bytes that are not merged, a partition at a time, by run files on the temporary disk."""
    with tempfile.TemporaryDirectory(prefix="splits-", dir=spools.folder()) as work:
        runs = [run for part in range(2**cut.part_bits) for run in _run(root_url, cut, part, groups, work)]
        for _, references in exchange.by_partition(runs):
            yield splits.equal(exchange.read(work, [references], dedupe_rules.HASHES))


def _run(root_url: str, cut: Cut, part: int, groups: Groups, work: str) -> Iterator[pa.RecordBatch]:
    wanted = dedupe_rules.to_compare(root_url, part, dedupe_rules.leaving(groups.part(part)))
    rows = dedupe_rules.hashes(_ledger(root_url, cut, part), wanted)
    yield from exchange.write(work, dedupe_rules.HASHES, cut.part_bits, rows.to_batches(), "key")


def _compare(place: str, should: pa.Table, there: pa.Table, report: Report) -> None:
    wanted, found = (
        dict(zip(table["image_id"].to_pylist(), table["split"].to_pylist(), strict=True)) for table in (should, there)
    )
    for key in sorted({*wanted, *found}):
        if wanted.get(key) != found.get(key):
            at = f"{flow.GROUPS.path}/splits/, {place}: image {key.hex()}"
            report.tell("the split of a duplicate group", at, wanted.get(key, _UPSTREAM), found.get(key, _UPSTREAM))


def _compare_sums(moved: Mapping[tuple[str, str], int], booked: Mapping[str, Any], report: Report) -> None:
    told = {(source, split): count for source, counts in booked.items() for split, count in counts.items()}
    for source, split in sorted({*moved, *told}):
        wanted, found = moved.get((source, split), 0), told.get((source, split), 0)
        if wanted != found:
            at = storage.join(flow.GROUPS.path, commits.STAGE_FILE)
            report.tell("pairs in another split than upstream's", f"{at}: {source}, {split}", wanted, found)
