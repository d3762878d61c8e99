"""The groups of a ROOT are read by part, and worked out once more a partition at a time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from pmd import flow
from pmd.books.committed import Committed
from pmd.books.report import Report
from pmd.dedupe import rules
from pmd.inspection.verify import groups
from pmd.schema.tables import GROUPS, KEY
from pmd.store import exchange, parquet_files, root
from pmd.store.commits import Commit

BITS = 4
ROWS = 640


def ids(count: int, seed: int) -> list[bytes]:
    return [bytes(row) for row in np.random.default_rng(seed).integers(0, 256, (count, 16), np.uint8)]


def related() -> pa.Table:
    """Chains: a third gives way to images of equal bytes, which give way to others that look alike, or leave."""
    equal, alike, last, gone = (ids(ROWS // 4, seed) for seed in range(4))
    return pa.concat_tables(
        [
            rules.related(equal, alike, [rules.SAME_BYTES] * len(equal), [0] * len(equal)),
            rules.related(alike, last, [rules.NEAR_DUPLICATE] * len(alike), [7] * len(alike)),
            rules.related(gone, gone, [rules.REPEATED_BYTES] * len(gone), [0] * len(gone)),
        ]
    )


@pytest.fixture
def committed(tmp_path: Path) -> Committed:
    """Groups in a file a part."""
    found = rules.resolved(related())
    numbers = exchange.partitions(found["image_id"], BITS)
    folder = root.dedupe_folder(str(tmp_path))
    files = [
        parquet_files.put_table(folder, f"groups/{flow.part(part, BITS)}", found.filter(pa.array(numbers == part)))
        for part in range(2**BITS)
    ]
    return Committed(flow.GROUPS.path, Commit("dedupe", tuple(files), {}, "", {}, {}), {})


def test_no_more_rows_are_held_than_a_part_has_or_meet(
    tmp_path: Path, committed: Committed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(groups, "_ROWS", 64)
    read: list[int] = []
    resolved: list[int] = []
    real_read, real_resolved = parquet_files.read_table, rules.resolved

    def reading(*asked: Any) -> pa.Table:
        table = real_read(*asked)
        read.append(table.num_rows)
        return table

    def resolving(found: pa.Table) -> pa.Table:
        resolved.append(found.num_rows)
        return real_resolved(found)

    monkeypatch.setattr(parquet_files, "read_table", reading)
    monkeypatch.setattr(rules, "resolved", resolving)
    report = Report()
    there = groups.read(str(tmp_path), {flow.GROUPS.path: committed}, report)
    assert there is not None
    assert report.problems() == []
    assert sum(read) == sum(resolved) == related().num_rows
    assert max(resolved) < 2 * 64
    read.clear()
    mine = there.part(3)
    assert read == [mine.num_rows]
    assert {*exchange.partitions(mine["image_id"], BITS).tolist()} == {3}


def test_each_part_tells_who_stands_for_its_images_in_the_end(tmp_path: Path, committed: Committed) -> None:
    there = groups.Groups(str(tmp_path), committed)
    told: dict[bytes, bytes] = {}
    for part in range(2**BITS):
        told |= there.merged(part)
    equal, alike, last, _ = (ids(ROWS // 4, seed) for seed in range(4))
    assert told == dict(zip([*equal, *alike], [*last, *last], strict=True))


def test_whoever_else_stands_in_the_end_is_told_in_order(tmp_path: Path, committed: Committed) -> None:
    folder = root.dedupe_folder(str(tmp_path))
    files, wrong = [], []
    for file in committed.commit.files:
        table = parquet_files.read_table(folder, file).cast(GROUPS)
        wrong.append(table["image_id"][0].as_py())
        stands = pa.array([wrong[-1], *table["stands_id"].to_pylist()[1:]], KEY)
        changed = table.set_column(GROUPS.get_field_index("stands_id"), GROUPS.field("stands_id"), stands)
        files.append(parquet_files.put_table(folder, f"groups/{flow.part(flow.part_number(file.name), BITS)}", changed))
    commit = Commit("dedupe", tuple(files), {}, "", {}, {})
    report = Report()
    groups.read(str(tmp_path), {flow.GROUPS.path: Committed(flow.GROUPS.path, commit, {})}, report)
    told = [one for one in report.problems() if one["what"] == "who stands in the end"]
    assert [one["found"] for one in told[:10]] == [key.hex() for key in wrong[:10]]  # those of more are counted


def test_groups_of_an_earlier_version_are_read_whole(tmp_path: Path) -> None:
    folder = root.dedupe_folder(str(tmp_path))
    found = related().sort_by("image_id")
    file = parquet_files.put_table(folder, "groups/all", found)
    committed = Committed(flow.GROUPS.path, Commit("dedupe", (file,), {}, "", {}, {}), {})
    report = Report()
    there = groups.read(str(tmp_path), {flow.GROUPS.path: committed}, report)
    assert there is not None
    assert report.problems() == []
    assert there.part(0) == there.part(5) == rules.resolved(found)
