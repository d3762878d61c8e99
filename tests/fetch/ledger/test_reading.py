"""Many stored pictures are read with few requests, each of them checked, and none but what was asked for is given."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from hypothesis import given
from hypothesis import strategies as st

from pmd.errors import VerificationError
from pmd.fetch.ledger import reading, stored
from pmd.schema import keys
from pmd.store import spools, storage
from tests.store.failing_storage import FailingStorage

HEADER = 512


class Asked:
    """What an object store was asked for: (path, start, stop)."""

    def __init__(self) -> None:
        self.ranges: list[tuple[str, int, int]] = []

    @property
    def bytes(self) -> int:
        return sum(stop - start for _, start, stop in self.ranges)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[Asked]:
    """Every read of the memory file system, which stands for an object store."""
    found, real = Asked(), MemoryFileSystem.cat_file

    def counted(self: Any, path: str, start: int | None = None, end: int | None = None, **named: Any) -> Any:
        found.ranges.append((path, start or 0, end if end is not None else self.size(path)))
        return real(self, path, start, end, **named)

    monkeypatch.setattr(MemoryFileSystem, "cat_file", counted)
    yield found
    MemoryFileSystem.store.clear()


def laid_out(sizes: list[int]) -> list[tuple[int, int]]:
    """Return the places of pictures of some sizes in a tar."""
    found, end = [], 0
    for size in sizes:
        found.append((end + HEADER, size))
        end += HEADER + size + -size % HEADER
    return found


def write(root: str, name: str, sizes: list[int]) -> pa.Table:
    """Write a store's file of random pictures; return their rows."""
    chance = random.Random(name)
    rows, content = [], b""
    for number, (offset, size) in enumerate(laid_out(sizes)):
        picture = chance.randbytes(size)
        content += bytes(offset - len(content)) + picture
        rows.append(
            {
                "image_id": number.to_bytes(16, "big"),
                "store_file": name,
                "offset": offset,
                "length": size,
                "stored_form": "resized",
                "sha256": None,
                "stored_digest": keys.digest(picture),
            }
        )
    storage.put(f"{root}/{name}", content)
    return pa.Table.from_pylist(rows)


# --- ranges


@given(st.lists(st.tuples(st.integers(1, 5000), st.booleans()), max_size=60))
def test_ranges_hold_all_that_is_wanted_and_little_else(pictures: list[tuple[int, bool]]) -> None:
    places = laid_out([size for size, _ in pictures])
    wanted = [place for place, (_, is_wanted) in zip(places, pictures, strict=True) if is_wanted]
    found = reading.ranges(reversed(wanted))
    assert len(found) <= len(wanted)
    assert all(one.stop <= other.start for one, other in itertools.pairwise(found))
    for offset, length in wanted:
        assert sum(each.start <= offset and offset + length <= each.stop for each in found) == 1
    members = sum(HEADER + length + -length % HEADER for _, length in wanted)
    assert sum(each.stop - each.start for each in found) <= 1.17 * members


@pytest.mark.parametrize("size", [64, 4_000, 40_000, 160_000])
@pytest.mark.parametrize("gone", [0, 0.12])
def test_a_thousand_pictures_take_five_requests_and_a_fifth_more_than_their_bytes(size: int, gone: float) -> None:
    chance = random.Random(size)
    places = laid_out([int(size * chance.uniform(0.5, 1.5)) for _ in range(4096)])
    wanted = [place for place in places if chance.random() >= gone]
    found = reading.ranges(wanted)
    assert len(found) <= 5 * len(wanted) / 1000
    read = sum(each.stop - each.start for each in found)
    assert read <= 1.2 * sum(HEADER + length + -length % HEADER for _, length in wanted)
    if size >= 40_000:  # of small ones a tar's headers alone are much
        assert read <= 1.2 * sum(length for _, length in wanted)


def test_of_a_sample_no_more_is_asked_for_than_its_pictures() -> None:
    places = laid_out([40_000] * 4096)
    wanted = random.Random(0).sample(places, 41)
    found = reading.ranges(wanted)
    assert len(found) <= 41
    assert sum(each.stop - each.start for each in found) <= 1.2 * 41 * 40_000


def test_a_range_ends_where_memory_does_and_pictures_are_not_cut() -> None:
    size = reading._RANGE_BYTES // 3
    places = laid_out([size, size, 2 * reading._RANGE_BYTES, 10, 10])
    found = reading.ranges(places)
    assert [(each.start, each.stop) for each in found] == [
        (places[0][0], places[1][0] + size),
        (places[2][0], places[2][0] + 2 * reading._RANGE_BYTES),
        (places[3][0], places[4][0] + 10),
    ]


def test_what_lies_far_apart_is_asked_for_apart() -> None:
    far = reading._GAP_BYTES + 1
    assert len(reading.ranges([(0, 10 * far), (11 * far, 10)])) == 2
    assert len(reading.ranges([(0, 10 * far), (11 * far - 1, 10)])) == 1


# --- reading


def test_pictures_of_an_object_store_come_in_any_order_by_a_request_a_file(asked: Asked, tmp_path: Path) -> None:
    rows = pa.concat_tables([write("memory://root", name, [700] * 50) for name in ("a.tar", "b.tar")])
    mixed = rows.to_pylist()
    random.Random(0).shuffle(mixed)
    asked.ranges.clear()
    with reading.Pictures("memory://root", rows) as pictures:
        assert sorted(asked.ranges) == [
            ("/root/a.tar", 512, rows["offset"][49].as_py() + 700),
            ("/root/b.tar", 512, rows["offset"][49].as_py() + 700),
        ]
        contents = [pictures.read(row) for row in mixed]
        assert len(asked.ranges) == 2
    assert [keys.digest(content) for content in contents] == [row["stored_digest"] for row in mixed]
    assert not [name for name in Path(spools.folder()).iterdir() if name.name.startswith("pictures-")]


def test_a_picture_that_nobody_announced_is_read_all_the_same(asked: Asked) -> None:
    rows = write("memory://root", "a.tar", [100] * 20)
    asked.ranges.clear()
    with reading.Pictures("memory://root", rows.slice(0, 3)) as pictures:
        for row in rows.to_pylist():
            assert keys.digest(pictures.read(row)) == row["stored_digest"]
    assert len(asked.ranges) == 1 + 17


@pytest.mark.parametrize("root", ["memory://root", "local"])
def test_damage_is_told_of_the_picture_as_by_a_read_of_it_alone(root: str, asked: Asked, tmp_path: Path) -> None:
    root = root if "://" in root else str(tmp_path)
    rows = write(root, "a.tar", [300] * 9)
    whole = storage.read_bytes(f"{root}/a.tar")
    third = rows.to_pylist()[3]
    at = third["offset"] + 7
    for content in (whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :], whole[:at], whole[:600], None):
        if content is None:
            storage.remove(f"{root}/a.tar")
        else:
            storage.put(f"{root}/a.tar", content)
        with reading.Pictures(root, rows) as pictures:
            for row in rows.to_pylist():
                try:
                    expected: bytes | str = stored.read(root, row)
                except VerificationError as error:
                    expected = str(error)
                try:
                    found: bytes | str = pictures.read(row)
                except VerificationError as error:
                    found = str(error)
                assert found == expected
        with reading.Pictures(root, rows) as pictures, pytest.raises(VerificationError):
            pictures.read(third)


def test_storage_that_is_away_is_not_taken_for_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = write(str(tmp_path), "a.tar", [300] * 3)
    failing = FailingStorage(tmp_path, monkeypatch)
    with reading.Pictures(str(tmp_path), rows) as pictures:
        (first, second, third) = rows.to_pylist()
        failing.fail("read", "EIO", 0)
        assert keys.digest(pictures.read(first)) == first["stored_digest"]
        failing.fail("read", "EIO")
        with pytest.raises(VerificationError, match="a stored picture cannot be read"):
            pictures.read(second)
        failing.fail("read", "ETIMEDOUT")
        with pytest.raises(TimeoutError):
            pictures.read(third)


def test_an_object_store_that_is_away_is_not_taken_for_damage(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = write("memory://root", "a.tar", [300] * 3)

    def away(*_: Any, **__: Any) -> bytes:
        raise TimeoutError(110, "timed out")

    monkeypatch.setattr(storage, "read_bytes", away)
    with pytest.raises(TimeoutError):
        reading.Pictures("memory://root", rows)
    assert not [name for name in Path(spools.folder()).iterdir() if name.name.startswith("pictures-")]


def test_local_files_stay_open_and_never_more_than_a_few(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "_OPEN_FILES", 2)
    rows = pa.concat_tables([write(str(tmp_path), f"{number}.tar", [10] * 4) for number in range(3)])
    failing = FailingStorage(tmp_path, monkeypatch)
    with reading.Pictures(str(tmp_path), rows) as pictures:
        for row in rows.to_pylist():
            assert keys.digest(pictures.read(row)) == row["stored_digest"]
        assert failing.calls["open"] == 3
        assert len(pictures._source._open) == 2  # type: ignore[union-attr]


# --- many at a time


def in_chunks(root: str, rows: pa.Table, at_most: int = 64) -> list[bytes]:
    """Return all pictures as they come in chunks."""
    found: list[bytes] = []
    with reading.Pictures(root, rows) as pictures:
        for start, contents in pictures.chunks(rows, at_most):
            assert start == len(found)
            assert 0 < len(contents) <= at_most
            assert len(contents) == 1 or sum(map(len, contents)) <= reading._CHUNK_BYTES
            found += map(bytes, contents)
    return found


@pytest.mark.parametrize("root", ["memory://root", "local"])
@pytest.mark.parametrize("sizes", [[700] * 50, [400_000] * 5, [10, reading._CHUNK_BYTES + 1, 10]])
def test_chunks_hold_every_picture_in_its_place(root: str, sizes: list[int], asked: Asked, tmp_path: Path) -> None:
    root = root if "://" in root else str(tmp_path)
    rows = pa.concat_tables([write(root, "a.tar", [5]), *(write(root, name, sizes) for name in ("b.tar", "c.tar"))])
    order = [*range(rows.num_rows), 0]
    random.Random(0).shuffle(order)
    mixed = rows.take(order)
    with reading.Pictures(root, mixed) as pictures:
        expected = [pictures.read(row) for row in mixed.to_pylist()]
    assert in_chunks(root, mixed) == expected
    assert in_chunks(root, mixed, at_most=1) == expected
    assert in_chunks(root, mixed.slice(0, 0)) == []


def test_in_a_chunk_a_picture_is_read_by_one_call_and_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = write(str(tmp_path), "a.tar", [300] * 9)
    failing = FailingStorage(tmp_path, monkeypatch)
    assert len(in_chunks(str(tmp_path), pa.concat_tables([rows, rows]))) == 18
    assert failing.calls["read"] == 9


def test_in_a_chunk_a_read_that_fails_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = write(str(tmp_path), "a.tar", [300] * 9)
    failing = FailingStorage(tmp_path, monkeypatch)
    failing.fail("read", "EIO", 3, 4)
    found = in_chunks(str(tmp_path), rows)
    assert [keys.digest(content) for content in found] == rows["stored_digest"].to_pylist()


@pytest.mark.parametrize("root", ["memory://root", "local"])
def test_damage_in_a_chunk_is_told_as_by_a_read_alone(root: str, asked: Asked, tmp_path: Path) -> None:
    root = root if "://" in root else str(tmp_path)
    rows = write(root, "a.tar", [300] * 9)
    whole = storage.read_bytes(f"{root}/a.tar")
    third = rows.to_pylist()[3]
    at = third["offset"] + 7
    for content in (whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :], whole[:at]):
        storage.put(f"{root}/a.tar", content)
        with pytest.raises(VerificationError) as expected:
            stored.read(root, third)
        with pytest.raises(VerificationError) as found:
            in_chunks(root, rows)
        assert str(found.value) == str(expected.value)


def test_a_picture_of_a_ledger_without_digests_comes_in_a_chunk_too(tmp_path: Path) -> None:
    rows = write(str(tmp_path), "a.tar", [300] * 3)
    digests = rows["stored_digest"].to_pylist()
    at = rows.schema.get_field_index("stored_digest")
    rows = rows.set_column(at, "stored_digest", pa.nulls(3, pa.binary()))
    assert [keys.digest(content) for content in in_chunks(str(tmp_path), rows)] == digests
