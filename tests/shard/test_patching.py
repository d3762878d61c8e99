"""Patching shards: what stays keeps its place, gaps go to what is new and then to the last sample."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from pmd.errors import VerificationError
from pmd.schema import keys
from pmd.shard import patching, samples, writing
from pmd.shard.patching import Layout
from pmd.store import commits


def layout(said: str, changed: str = "") -> Layout:
    """Return a layout of samples of one letter each; of `changed` other things are said."""
    ids = keys.key_array(letter.encode() * 16 for letter in said)
    return Layout(ids, keys.key_array((b"!" if letter in changed else b".") * 16 for letter in said))


@pytest.mark.parametrize(
    ("before", "now", "changed", "kept", "written"),
    [
        ("abc def ghi j", "abcdefghij", "", [0, 1, 2, 3], {}),
        ("abc def ghi j", "bcadefghij", "", [0, 1, 2, 3], {}),  # their own order is another: places stay
        ("abc def ghi j", "abcefghij", "", [0, 2], {1: "jef"}),  # the last gives its place up
        ("abc def ghi j", "acefghij", "", [], {0: "ajc", 1: "ief", 2: "gh"}),
        ("abc def ghi j", "abcdefghi", "", [0, 1, 2], {}),  # the last itself
        ("abc def ghi j", "abcxefghij", "", [0, 2, 3], {1: "xef"}),  # a new one takes the place
        ("abc def ghi j", "abcdefghij", "e", [0, 2, 3], {1: "def"}),  # a pair of it is gone
        ("abc", "b", "", [], {0: "b"}),
        ("abc def", "", "", [], {}),
    ],
)
def test_places(before: str, now: str, changed: str, kept: list[int], written: dict[int, str]) -> None:
    counts = [len(shard) for shard in before.split()]
    planned = patching.plan(counts, layout(before.replace(" ", "")), layout(now, changed))
    assert planned is not None
    assert planned[0] == kept
    found = {patch.file: "".join(now[place] for place in patch.samples) for patch in planned[1]}
    assert found == written


def test_done_again_it_changes_nothing() -> None:
    counts, before, now = [3, 3, 3], layout("abcdefghi"), layout("abefgi")
    planned = patching.plan(counts, before, now)
    assert planned is not None
    whole = [list("abcdefghi")[3 * file : 3 * file + 3] for file in range(3)]
    for patch in planned[1]:
        whole[patch.file] = ["abefgi"[place] for place in patch.samples]
    whole = whole[:2]
    again = patching.plan([3, 3], layout("".join(map("".join, whole))), now)
    assert again == ([0, 1], [])


def test_more_new_ones_than_places_are_for_a_new_cut() -> None:
    assert patching.plan([3], layout("abc"), layout("abxy")) is None


def test_slices_of_windows() -> None:
    samples = pa.array([0, 1, 2, 7, 3, 4]).to_numpy()
    assert [*patching.runs(samples, [3, 0, 5])] == [(0, 0, 3), (2, 4, 5), (2, 0, 2)]


def test_a_new_file_has_the_number_of_the_old_and_another_tag() -> None:
    assert patching.renamed("00003-of-00042-0a1b2c3d.tar", "ffffffff") == "00003-of-00042-ffffffff"


@pytest.fixture
def shard(tmp_path: Path) -> Callable[[str], commits.File]:
    """Write a shard of four samples in a format, next to nothing else."""

    def write(form: str) -> commits.File:
        said = [
            {
                "key": f"{number:032x}",
                "text": "x",
                "image_id": f"{number:032x}",
                "pairs": [dict.fromkeys((field.name for field in samples.PAIR), "x")],
                "split": "train",
            }
            for number in range(4)
        ]
        fields = pa.schema([field for field in writing.PARQUET if field.name != "image"])
        described = writing.Described(pa.Table.from_pylist(said, schema=fields))
        chunk = writing.Chunk(described, 0, [b"\xff\xd8\xff"] * 4, ["jpg"] * 4, [None] * 4)
        return writing.write_samples({form: str(tmp_path)}, "00000-of-00001-0a1b2c3d", [chunk])[form]

    return write


def _without(path: Path) -> None:
    path.unlink()


def _with_half(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2 // 512 * 512 + 100)


def _with_two_samples(path: Path) -> None:
    with tarfile.open(path) as tar:
        end = tar.getmembers()[6].offset
    os.truncate(path, end)


def _with_other_bytes(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[600:-600] = bytes(len(content) - 1200)
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("form", "damage"),
    [
        ("webdataset", _without),
        ("webdataset", _with_half),
        ("webdataset", _with_two_samples),
        ("webdataset", _with_other_bytes),
        ("parquet", _without),
        ("parquet", _with_half),
        ("parquet", _with_other_bytes),
    ],
)
def test_a_shard_that_is_damaged_is_told_with_what_mends_it(
    tmp_path: Path, shard: Callable[[str], commits.File], form: str, damage: Callable[[Path], None]
) -> None:
    """Of one that lacks samples the places of all that follow would be another's."""
    file = shard(form)
    assert len(patching.read(str(tmp_path), file).keys) == 4
    damage(tmp_path / file.name)
    with pytest.raises(VerificationError) as told:
        patching.read(str(tmp_path), file)
    assert told.value.remedy == "run: pmd repair ROOT"
    assert str(told.value.where).endswith(file.name)
