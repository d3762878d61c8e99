"""What has left the lists is told by id, whatever the cause, and left out of older lists that it stands beside."""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

import pmd
from pmd.publish import withdrawn
from pmd.publish.rules import PUBLISHED
from pmd.store import commits

IDS = [f"{number:032x}" for number in range(5)]


def put(path: Path, ids: Iterable[str]) -> str:
    rows = [{"pair_id": one, "image_id": "ab" * 16, "source": "coco", "text": f"caption {one}"} for one in ids]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(commits.parquet_bytes(pa.Table.from_pylist(rows, schema=PUBLISHED)))
    return str(path)


def told(content: bytes | None) -> list[str]:
    assert content is not None
    return list(pq.read_table(io.BytesIO(content))["pair_id"].to_pylist())


def test_it_has_what_earlier_releases_had_until_it_is_back(tmp_path: Path) -> None:
    release = tmp_path / "release"
    first, second = put(tmp_path / "a.parquet", IDS), put(tmp_path / "b.parquet", IDS[1:4])
    assert withdrawn.update(str(release), [], [first]) is None
    assert withdrawn.update(str(release), [first], [first]) is None
    left = withdrawn.update(str(release), [first], [second])
    assert told(left) == [IDS[0], IDS[4]]
    release.mkdir()
    (release / withdrawn.FILE).write_bytes(left or b"")
    # Killed before the lists were replaced, or after: it is the same.
    assert withdrawn.update(str(release), [first], [second]) == left
    assert withdrawn.update(str(release), [second], [second]) == left
    assert told(withdrawn.update(str(release), [second], [put(tmp_path / "c.parquet", IDS[:2])])) == IDS[2:]
    assert withdrawn.update(str(release), [second], [first]) is None


def test_older_lists_are_read_without_what_has_left_since(tmp_path: Path) -> None:
    old = Path(put(tmp_path / "old/source=coco/train-part-0.parquet", IDS))
    assert pmd.load(tmp_path / "old").published.count_rows() == 5
    content = withdrawn.update(str(tmp_path / "none"), [str(old)], [put(tmp_path / "new.parquet", IDS[1:])])
    (tmp_path / "old" / withdrawn.FILE).write_bytes(content or b"")
    for where in (tmp_path / "old", old.parent, old):
        published = pmd.load(where).published
        assert published.select(["pair_id"]).to_table()["pair_id"].to_pylist() == IDS[1:]
        assert published.count_rows() == 4
        assert published.select(["text"]).only(source="coco").to_table().num_rows == 4
