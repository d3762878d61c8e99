"""What has left the lists is told by id, whatever the cause, and left out of older lists that it stands beside."""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import pmd
from pmd.config import SourceConfig, inputs
from pmd.publish import withdrawn
from pmd.publish.rules import PUBLISHED
from pmd.schema import keys
from pmd.sources import url_text
from pmd.store import commits, parquet_files

IDS = [f"{number:032x}" for number in range(5)]


def put(path: Path, ids: Iterable[str]) -> str:
    rows = [{"pair_id": one, "image_id": "ab" * 16, "source": "coco", "text": f"caption {one}"} for one in ids]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(parquet_files.to_bytes(pa.Table.from_pylist(rows, schema=PUBLISHED)))
    return str(path)


def update(release: Path, before: Iterable[str], now: Iterable[str]) -> bytes | None:
    """Return the list of what has left as it then stands; None where none is written."""
    digest = withdrawn.update(str(release), before, now)
    if digest is None:
        return None
    content = (release / withdrawn.FILE).read_bytes()
    assert commits.sha256(content) == digest
    assert [path.name for path in release.iterdir()] == [withdrawn.FILE]
    return content


def told(content: bytes | None) -> list[str]:
    assert content is not None
    return list(pq.read_table(io.BytesIO(content))["pair_id"].to_pylist())


def test_it_has_what_earlier_releases_had_until_it_is_back(tmp_path: Path) -> None:
    release = tmp_path / "release"
    first, second = put(tmp_path / "a.parquet", IDS), put(tmp_path / "b.parquet", IDS[1:4])
    assert update(release, [], [first]) is None
    assert update(release, [first], [first]) is None
    left = update(release, [first], [second])
    assert told(left) == [IDS[0], IDS[4]]
    # Killed before the lists were replaced, or after: it is the same.
    assert update(release, [first], [second]) == left
    assert update(release, [second], [second]) == left
    assert told(update(release, [second], [put(tmp_path / "c.parquet", IDS[:2])])) == IDS[2:]
    assert update(release, [second], [first]) is None


def test_memory_is_that_of_a_part_and_the_bytes_those_of_the_ids_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [keys.digest(str(number)).hex() for number in range(3000)]
    before = [put(tmp_path / f"{part}.parquet", ids[part::3]) for part in range(3)]
    now = [put(tmp_path / "now.parquet", ids[:600]), put(tmp_path / "again.parquet", ids[500:1000])]
    whole = update(tmp_path / "whole", before, now)
    rows = pa.table([sorted(ids[1000:])], schema=withdrawn.WITHDRAWN)
    assert whole == parquet_files.to_bytes(rows)
    sizes: list[int] = []
    left = withdrawn._gone_ids

    def counted(table: pa.Table) -> pa.Array:
        sizes.append(table.num_rows)
        return left(table)

    monkeypatch.setattr(withdrawn, "_gone_ids", counted)
    monkeypatch.setattr(withdrawn, "_PARTITION_BYTES", 4096)
    assert update(tmp_path / "parts", before, now) == whole
    assert sum(sizes) == 3000 + 1100
    assert max(sizes) < 4100 / 16
    # Row groups are full, in whatever parts the ids come.
    monkeypatch.setattr(parquet_files, "ROW_GROUP_ROWS", 700)
    assert update(tmp_path / "groups", before, now) == parquet_files.to_bytes(rows)
    assert pq.ParquetFile(tmp_path / "groups" / withdrawn.FILE).num_row_groups == 3


def test_older_lists_are_read_without_what_has_left_since(tmp_path: Path) -> None:
    old = Path(put(tmp_path / "old/source=coco/train-part-0.parquet", IDS))
    assert pmd.load(tmp_path / "old").published.count_rows() == 5
    assert withdrawn.update(str(tmp_path / "old"), [str(old)], [put(tmp_path / "new.parquet", IDS[1:])]) is not None
    for where in (tmp_path / "old", old.parent, old):
        published = pmd.load(where).published
        assert published.select(["pair_id"]).to_table()["pair_id"].to_pylist() == IDS[1:]
        assert published.count_rows() == 4
        assert published.select(["text"]).only(source="coco").to_table().num_rows == 4


@pytest.mark.parametrize(
    ("folder", "is_near"),
    [
        ("", True),
        ("source=coco", True),
        ("source=coco/split=train", True),
        ("source=coco/split=train/status=ok", True),
        ("lists/source=coco", False),
        ("source=coco/lists/split=train", False),
    ],
)
def test_what_has_left_is_looked_for_above_the_folders_that_part_a_list(
    tmp_path: Path, folder: str, *, is_near: bool
) -> None:
    old = Path(put(tmp_path / folder / "data_0.parquet", IDS))
    pq.write_table(pa.table({"pair_id": IDS[:1]}, schema=withdrawn.WITHDRAWN), tmp_path / withdrawn.FILE)
    assert pmd.load(old).published.count_rows() == (4 if is_near else 5)
    options = url_text.Options(**url_text.Options.profile_values("paper"))
    mine = SourceConfig("mine", (str(old),), (), options, reader="url_text")
    assert len(inputs.files(mine)) == 1 + is_near


def test_what_has_left_is_looked_for_above_the_folder_that_one_is_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = Path(put(tmp_path / "old/source=coco/train-part-0.parquet", IDS))
    pq.write_table(pa.table({"pair_id": IDS[:1]}, schema=withdrawn.WITHDRAWN), tmp_path / "old" / withdrawn.FILE)
    for folder, names in (
        (old.parent, (".", "..", old.name, f"./{old.name}")),
        (old.parent.parent, (".", old.parent.name)),
    ):
        monkeypatch.chdir(folder)
        for name in names:
            assert pmd.load(name).published.count_rows() == 4, (folder, name)
