"""Damage is noticed where it would be used: one flipped byte in every kind of committed file; and what a repair runs."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from pmd import config
from pmd.config import Config
from pmd.dedupe import rules as dedupe_rules
from pmd.errors import VerificationError
from pmd.fetch import runs
from pmd.fetch.ledger import partitions, state
from pmd.fetch.runs import Run
from pmd.images import aliases
from pmd.inspection import damage, explain, peek
from pmd.inspection.damage import Damage
from pmd.refresh import results
from pmd.store import commits, sealed
from tests import tiny_root


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Config:
    return tiny_root.build(tmp_path_factory.mktemp("sound"))


@pytest.fixture
def copy(sound: Config, tmp_path: Path) -> Config:
    shutil.copytree(sound.root, tmp_path / "pmd")
    return config.load(tiny_root.write_config(tmp_path))


def flip(path: Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 1 << at % 8
    path.write_bytes(content)
    sealed.forget()


def _views(chosen: Config) -> None:
    for part in range(2**tiny_root.SHARD_BITS):
        partitions.read_views(chosen.root, part)


def _images(chosen: Config) -> None:
    for part in range(2**tiny_root.SHARD_BITS):
        partitions.read_images(chosen.root, part)


def _pairs(chosen: Config) -> None:
    folder = Path(chosen.root) / "curate/source=coco"
    for path in folder.glob("pairs/*.parquet"):
        list(aliases.found(str(path)))


def _groups(chosen: Config) -> None:
    dedupe_rules.read_groups(chosen.root)


def _attempts(chosen: Config) -> None:
    runs.tell(chosen, Run(dict.fromkeys(range(2**tiny_root.SHARD_BITS), 0)))


#: Files → the stage that reads them, in this process.
READ: list[tuple[str, Callable[[Config], object]]] = [
    ("curate/source=coco/pairs/*.parquet", _pairs),
    ("curate/source=coco/pairs/*.parquet", tiny_root.make_images),
    ("curate/source=conceptual_captions/rejected/*.parquet", lambda chosen: peek.page(chosen.root)),
    ("images/*.parquet", _images),
    ("views/pairs/*.parquet", _views),
    ("views/pairs/*.parquet", tiny_root.commit_rejected),
    ("views/pairs/*.parquet", tiny_root.dedupe),
    ("views/pairs/*.parquet", tiny_root.shard),
    ("fetch/ledger/*/*/ledger-*.parquet", tiny_root.commit_rejected),
    ("fetch/ledger/*/*/ledger-*.parquet", tiny_root.dedupe),
    ("fetch/ledger/*/*/ledger-*.parquet", lambda chosen: tiny_root.fetch(chosen, 1, retry=("dead",))),
    ("fetch/attempts/*/*.parquet", _attempts),
    ("fetch/store/*/*.tar", tiny_root.shard),
    ("fetch/availability/*.parquet", lambda chosen: results.gather(chosen.root)),
    ("dedupe/groups/*.parquet", _groups),
    ("dedupe/groups/*.parquet", tiny_root.shard),
    ("publish/source=coco/*.parquet", lambda chosen: explain.explain(chosen.root, "coco/12345")),
]


@pytest.mark.parametrize(("pattern", "reader"), READ)
def test_one_flipped_byte_stops_the_stage_that_reads_it(
    copy: Config, pattern: str, reader: Callable[[Config], object]
) -> None:
    chance = random.Random(pattern)
    paths = sorted(Path(copy.root).glob(pattern))
    before = {path: path.read_bytes() for path in paths}
    for path, content in before.items():
        inside = range(600, 900) if path.suffix == ".tar" else range(len(content))  # of a tar, the first picture
        flip(path, chance.choice(inside))
    committed = {path: path.read_bytes() for path in Path(copy.root).rglob("_stage.json")}
    with pytest.raises(VerificationError):
        reader(copy)
    assert {path: path.read_bytes() for path in Path(copy.root).rglob("_stage.json")} == committed
    assert not list(Path(copy.root).rglob(".tmp-*"))


def test_peek_says_damaged_in_the_picture_s_place(copy: Config) -> None:
    for path in Path(copy.root).glob("fetch/store/*/*.tar"):
        flip(path, 700)
    assert "damaged: a stored picture is damaged" in peek.page(copy.root)


def test_whose_file_is_damaged_and_what_it_is(copy: Config) -> None:
    folder = Path(copy.root)
    assert damage.survey(copy.root) == []
    told: list[tuple[int, int]] = []
    damage.survey(copy.root, lambda done, total: told.append((done, total)))
    assert told[-1][0] == told[-1][1] > 0
    gone = next(folder.glob("views/pairs/*.parquet"))
    gone.unlink()
    flip(folder / "shards/parquet/_stage.json", 0)
    (tar,) = list(folder.glob("fetch/store/shard=00001/*.tar"))
    flip(tar, 3)
    found = {item.name: item for item in damage.survey(copy.root)}
    assert [*found] == sorted(
        str(path.relative_to(folder)) for path in (gone, folder / "shards/parquet/_stage.json", tar)
    )
    units = {name: (item.unit, item.is_fetched) for name, item in found.items()}
    assert units == {
        str(gone.relative_to(folder)): (("images", "all"), False),
        "shards/parquet/_stage.json": (("shard", "all"), False),
        str(tar.relative_to(folder)): (("fetch", "all"), True),
    }
    assert found[str(gone.relative_to(folder))].found == "nothing"
    assert found[str(tar.relative_to(folder))].generation == (1, 0)


def test_half_of_a_stage_s_commits_is_damage(copy: Config) -> None:
    (Path(copy.root) / "views/_stage.json").unlink()
    (found,) = damage.survey(copy.root)
    assert (found.unit, found.name, found.found) == (("images", "all"), "views/_stage.json", "nothing")


def test_a_source_s_file_is_its_unit_s() -> None:
    assert Damage("publish/source=coco", "x", "", "").unit == ("publish", "coco")
    assert Damage("curate/source=wit", "x", "", "").unit == ("curate", "wit")
    assert Damage("fetch/rejected", "x", "", "").is_fetched is False


@pytest.mark.parametrize(
    ("damaged", "committed", "was_fresh", "why", "runs_it"),
    [
        (True, True, True, None, True),
        (True, False, None, None, True),
        (False, True, True, None, False),
        (False, True, True, "input ledger changed", True),
        (False, True, None, "input ledger changed", True),
        (False, True, None, None, False),
        (False, True, False, "option seed was 0, is 1", False),
        (False, False, False, "nothing is committed yet", False),
    ],
)
def test_a_repair_runs_what_is_damaged_and_what_followed_it(
    *, damaged: bool, committed: bool, was_fresh: bool | None, why: str | None, runs_it: bool
) -> None:
    assert damage.must_run(damaged=damaged, committed=committed, was_fresh=was_fresh, why=why) is runs_it


def test_what_a_repair_has_written_off_stands_no_more(copy: Config) -> None:
    shard = 1
    ledger = state.read_ledger(copy.root, shard)
    key, sha256 = ledger["image_id"][0].as_py(), ledger["sha256"][0].as_py()
    ((_, folder, commit),) = list(state.generations(copy.root, shard))
    facts = {**commit.facts, state.LOST: {"images": [key.hex()]}}
    commits.write(folder, commits.Commit(commit.stage, commit.files, commit.sources, commit.hash, commit.run, facts))
    left = state.read_ledger(copy.root, shard)
    assert left.num_rows == ledger.num_rows - 1
    assert state.to_restore(state.own(copy.root, shard), left) == {key: sha256}
