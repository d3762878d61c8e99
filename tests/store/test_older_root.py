"""A ROOT that an earlier version wrote: what it fetched stands, and everything else is made anew, never refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from pmd import config, flow, manifests
from pmd.curate import needs as curate_needs
from pmd.curate import transforms as curate_transforms
from pmd.dedupe import needs as dedupe_needs
from pmd.fetch import needs as fetch_needs
from pmd.fetch.generations import store
from pmd.fetch.ledger import asking, partitions, state
from pmd.images import needs as images_needs
from pmd.images import rules as images_rules
from pmd.inspection import explain, verify
from pmd.publish import needs as publish_needs
from pmd.publish import rules as publish_rules
from pmd.schema.tables import BARE_VIEWS, LEDGER
from pmd.shard import needs as shard_needs
from pmd.shard import writing
from pmd.store import commits, parquet_files, storage, wanted
from pmd.store.standing import Standing
from tests import tiny_root

#: The list's columns as they were: four were never null.
OLDER_LIST = pa.schema(
    [
        field.with_type(parquet_files.plain_type(field)).with_nullable(
            field.name not in {"source", "pair_id", "image_id", "sha256"}
        )
        for field in publish_rules.PUBLISHED
    ]
)


@pytest.fixture(scope="module")
def older(tmp_path_factory: pytest.TempPathFactory) -> config.Config:
    """A ROOT with the columns that the formats 3 and 2 had."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(wanted, "FORMAT", 3)
        patch.setattr(publish_needs, "LIST_FORMAT", 2)
        patch.setattr(curate_transforms, "in_source_folder", lambda schema: schema)
        patch.setattr(publish_rules, "PUBLISHED", OLDER_LIST)
        patch.setattr(images_rules, "VIEWS", BARE_VIEWS)
        patch.setattr(writing, "PARQUET", writing.OLDER_PARQUET)
        patch.setattr(store, "LEDGER_FILE", LEDGER)
        patch.setattr(store, "is_hashed", lambda rows: False)  # its hashes were not PDQ's own
        return tiny_root.build(tmp_path_factory.mktemp("older"))


def _schemas(chosen: config.Config, pattern: str) -> list[pa.Schema]:
    return [pq.ParquetFile(path).schema_arrow for path in sorted(Path(chosen.root).glob(pattern))]


def test_it_has_the_older_columns(older: config.Config) -> None:
    assert {schema.field("source").type for schema in _schemas(older, "curate/*/*/*.parquet")} == {pa.string()}
    assert not any(schema.field("sha256").nullable for schema in _schemas(older, "publish/*/*.parquet"))
    assert all(schema.names == writing.OLDER_PARQUET.names for schema in _schemas(older, "shards/parquet/*.parquet"))
    assert all(schema.names == BARE_VIEWS.names for schema in _schemas(older, "views/pairs/*.parquet"))
    assert all(schema.names == LEDGER.names for schema in _schemas(older, "fetch/ledger/*/*/*.parquet"))


def test_it_is_sound_and_can_be_asked(older: config.Config) -> None:
    assert verify.verify(older.root)["problems"] == []
    found: Any = explain.explain(older.root, tiny_root.C3)
    assert "dead" in explain.render(found)


def test_all_is_made_anew_but_what_was_fetched(older: config.Config) -> None:
    units = [
        *(curate_needs.of(older, name).wanted for name in sorted(older.sources)),
        images_needs.of(older).wanted,
        fetch_needs.wanted(older)[0],
        dedupe_needs.wanted(older)[0],
        *shard_needs.wanted(older),
        *(publish_needs.of(older, name).wanted for name in sorted(older.sources)),
    ]
    assert {unit.why() for unit in units} == {"written by another version of pmd"}


def test_a_list_is_made_anew_where_its_manifest_lets_other_fields_leave(
    older: config.Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = publish_needs.of(older, "coco").wanted
    less = manifests.load("coco").model_copy(update={"meta": {"id": "[0-9]+"}})
    monkeypatch.setattr(manifests, "load", lambda name: less)
    assert publish_needs.of(older, "coco").wanted.hash != before.hash
    assert publish_needs.of(older, "coco").wanted.options["meta"] == {"id": "[0-9]+"}


class Silent(tiny_root.Lane):
    """A lane that may not be asked for anything."""

    def fetch(self, todo: pa.Table, **_: Any) -> Any:
        raise AssertionError(f"{todo.num_rows} images are asked for again")


def test_what_was_fetched_is_not_asked_for_again(older: config.Config) -> None:
    before = sorted(storage.list_files(f"{older.root}/fetch/ledger"))
    cut = partitions.cut(older.root)
    standing = 0
    for part in range(2**cut.part_bits):
        rows = partitions.read_images(older.root, part)
        for number in cut.shards(part):
            ledger = state.read_ledger(older.root, number)
            assert ledger.schema.equals(LEDGER)
            standing += ledger.num_rows
            mine = rows.filter(pc.equal(rows["fetch_shard"], number))
            lane: Any = Silent({})
            store.run_shard(store.Order(older.root, number, mine, older.fetch), lane)
    assert standing == 5
    assert sorted(storage.list_files(f"{older.root}/fetch/ledger")) == before


def test_built_again_it_is_as_a_new_one_and_its_next_generation_stands_beside(
    older: config.Config, tmp_path: Path
) -> None:
    new = tiny_root.build(tmp_path)
    assert sum(asking.missing(Standing(older.root)).values()) == 4
    assert asking.missing(Standing(new.root)) == {}
    for chosen in (older, new):
        tiny_root.fetch(chosen, 1, retry=("dead",))
        for name in sorted(chosen.sources):
            tiny_root.curate(chosen, name)
        tiny_root.make_images(chosen)
        tiny_root.hash_stored(chosen)
        assert asking.missing(Standing(chosen.root)) == {}
        tiny_root.commit_rejected(chosen)
        tiny_root.run_stages(chosen, flow.between(flow.FETCH, flow.AUDIT))
    for folder in (*(f"{stage}/source=coco" for stage in ("curate", "publish")), "images", "views", "shards/parquet"):
        mine, others = (commits.require(f"{chosen.root}/{folder}", "").files for chosen in (older, new))
        assert [(file.rows, file.sha256) for file in mine] == [(file.rows, file.sha256) for file in others], folder
    ledgers = _schemas(older, "fetch/ledger/*/*/*.parquet")
    assert {schema.names == LEDGER.names for schema in ledgers} == {True, False}
    assert verify.verify(older.root)["problems"] == []
