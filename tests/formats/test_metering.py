"""Counting what is read of documents."""

from __future__ import annotations

import bz2
import gzip
import zipfile
from pathlib import Path

import pytest

from pmd.formats import metering
from pmd.formats.compression import open_decompressed

TEXT = b"".join(b"line %d of a document\n" % number for number in range(50_000))


def test_outside_of_a_block_streams_are_handed_out_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(TEXT)
    with open_decompressed(str(path)) as file:
        assert file.seekable()
    with metering.metered(), open_decompressed(str(path)) as file:
        assert not file.seekable()
    with open_decompressed(str(path)) as file:
        assert file.seekable()


@pytest.mark.parametrize("packed", [lambda data: data, gzip.compress, bz2.compress], ids=["plain", "gzip", "bzip2"])
def test_the_plain_bytes_that_were_taken_are_counted(tmp_path: Path, packed: object) -> None:
    assert callable(packed)
    path = tmp_path / "a"
    path.write_bytes(packed(TEXT))
    with metering.metered() as meter, open_decompressed(str(path)) as file:
        assert meter.plain_bytes() == 0
        assert len(file.read(1000)) == 1000
        assert len(file.readline()) > 0
        taken = meter.plain_bytes()
        assert 1000 < taken < 1030
        assert meter.plain_bytes() == taken
        while file.read(1 << 16):
            pass
        assert meter.plain_bytes() == len(TEXT)
        assert meter.ratio(str(path), None) == pytest.approx(len(TEXT) / path.stat().st_size, rel=0.01)


def test_a_member_is_a_document_and_is_counted_by_its_name(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("one.txt", TEXT)
        archive.writestr("two.txt", TEXT)
    with metering.metered() as meter:
        for name in ("one.txt", "two.txt"):
            with open_decompressed(str(path), name) as file:
                file.read(100)
        assert meter.plain_bytes() == 200
        assert meter.ratio(str(path), "one.txt") == 1.0  # a member's size is that of its plain bytes


def test_a_document_that_is_read_twice_is_counted_once_and_side_by_side_by_the_furthest(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(TEXT)
    with metering.metered() as meter:
        with open_decompressed(str(path)) as whole:
            whole.read()
        assert meter.plain_bytes() == len(TEXT)
        with open_decompressed(str(path)) as first, open_decompressed(str(path)) as second:
            first.read(300)
            second.read(100)
            assert meter.plain_bytes() == 300
