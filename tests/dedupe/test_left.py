"""What dedupe leaves of a part: the views that stay, the image that stands for theirs, the split that they are in."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from pmd import config
from pmd.dedupe import left
from pmd.fetch.ledger import partitions
from pmd.schema import keys
from pmd.store import commits, parquet_files, root
from pmd.text import url_identity
from tests import tiny_root


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> config.Config:
    return tiny_root.build(tmp_path_factory.mktemp("built"))


def all_left(chosen: config.Config) -> pa.Table:
    cut = partitions.cut(chosen.root)
    return pa.concat_tables(
        [
            left.views(chosen.root, part, partitions.read_ledger(chosen.root, cut.shards(part)))
            for part in range(2**cut.part_bits)
        ]
    )


def test_it_is_what_the_books_say_is_kept_with_who_stands_for_whom(built: config.Config) -> None:
    found = all_left(built)
    assert found.schema.names == left.LEFT.names
    assert {*found["split"].to_pylist()} == {"train"}, "never null"
    books = commits.require(root.dedupe_folder(built.root), "").sources
    kept = {name: book.kept for name, book in books.items() if book.kept}
    assert {name: found["source"].to_pylist().count(name) for name in kept} == kept
    assert found.num_rows == sum(kept.values())
    ids = {url: keys.image_id(str(url_identity.of_one(url))) for url in (tiny_root.C1, tiny_root.C2)}
    stands = dict(zip(found["image_id"].to_pylist(), found["stands_id"].to_pylist(), strict=True))
    assert len({stands[key] for key in ids.values()}) == 1, "of equal bytes one stands for both"
    assert stands[ids[tiny_root.C1]] in {*ids.values()}
    others = {key: stood for key, stood in stands.items() if key not in ids.values()}
    assert others
    assert all(key == stood for key, stood in others.items())


def test_a_pair_that_left_for_its_text_is_not_there(built: config.Config, tmp_path: Path) -> None:
    gone = all_left(built).slice(0, 1)
    chosen = tiny_root.build(tmp_path)
    folder = root.dedupe_folder(chosen.root)
    commit = commits.require(folder, "")
    cut = partitions.cut(chosen.root)
    (row,) = gone.select(["pair_id", "source", "source_id", "image_id"]).to_pylist()
    rejected = pa.Table.from_pylist(
        [{**row, "stage": "dedupe", "reason": "repeated_text", "detail": "3"}], schema=left.rules.REJECTED
    )
    part = keys.partition_of(row["image_id"], cut.part_bits)
    file = parquet_files.put_table(folder, f"rejected/part-{part:05d}-of-{2**cut.part_bits:05d}", rejected)
    commits.write(folder, commits.Commit("dedupe", (*commit.files, file), commit.sources, commit.hash, commit.run))
    kept = all_left(chosen)
    assert kept.num_rows == all_left(built).num_rows - 1
    assert row["pair_id"] not in kept["pair_id"].to_pylist()
