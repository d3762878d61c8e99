"""Compression is decided by content, streams that follow each other are one, damage is never a short read."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import random
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from pmd.errors import InputError
from pmd.formats.compression import open_decompressed, sniff

CONTENT = "".join(f"row {number}\t{number * 7919 % 10007}\n" for number in range(60_000)).encode()
COMPRESSORS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": lambda data: gzip.compress(data, 1),
    "bzip2": lambda data: bz2.compress(data, 1),
    "xz": lambda data: lzma.compress(data, preset=1),
    "zstd": lambda data: zstandard.ZstdCompressor(write_checksum=True).compress(data),
}


def write(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    return str(path)


def read(path: str, member: str | None = None) -> bytes:
    with open_decompressed(path, member) as file:
        return file.read()


@pytest.mark.parametrize("kind", COMPRESSORS)
def test_content_decides_and_streams_join(tmp_path: Path, kind: str) -> None:
    compress = COMPRESSORS[kind]
    path = write(tmp_path / "lying.txt", b"".join([compress(CONTENT[:99]), compress(b""), compress(CONTENT[99:])]))
    assert sniff(path) == kind
    assert read(path) == CONTENT


@pytest.mark.parametrize(
    "content", [b"", b"B", b"BZh9 is how this sentence begins", b"\x1f\x8b", b"plain\n", b"\x00" * 600, b"PKxx"]
)
def test_anything_else_is_plain(tmp_path: Path, content: bytes) -> None:
    path = write(tmp_path / "a.gz", content)
    assert sniff(path) == "plain"
    assert read(path) == content


def test_empty_streams_are_empty(tmp_path: Path) -> None:
    for kind, compress in COMPRESSORS.items():
        path = write(tmp_path / kind, compress(b""))
        assert sniff(path) == kind
        assert read(path) == b""


def test_gzip_padding_is_passed_over(tmp_path: Path) -> None:
    assert read(write(tmp_path / "a", gzip.compress(b"x") + bytes(700) + gzip.compress(b"y") + bytes(70_000))) == b"xy"


def test_xz_padding_is_passed_over(tmp_path: Path) -> None:
    assert read(write(tmp_path / "a", lzma.compress(b"x") + bytes(8) + lzma.compress(b"y") + bytes(70_000))) == b"xy"


def test_an_xz_stream_that_asks_for_too_much_memory_is_refused(tmp_path: Path) -> None:
    filters = [{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 30}]
    path = write(tmp_path / "a.xz", lzma.compress(b"x", filters=filters))
    with pytest.raises(InputError, match="the xz data are damaged") as caught:
        read(path)
    assert "Memory usage limit exceeded" in str(caught.value.found)
    assert "unpack it" in str(caught.value.remedy)


def test_a_zstd_frame_with_a_window_that_is_too_large_says_how_to_unpack_it(tmp_path: Path) -> None:
    far = zstandard.ZstdCompressionParameters.from_level(1, window_log=30, enable_ldm=False)
    packed = io.BytesIO()
    with zstandard.ZstdCompressor(compression_params=far).stream_writer(packed, closefd=False) as stream:
        stream.write(CONTENT)
    with pytest.raises(InputError, match=r"zstd -d --long=31"):
        read(write(tmp_path / "far.zst", packed.getvalue()))


@pytest.mark.parametrize(
    ("magic", "name", "command"),
    [
        (b"7z\xbc\xaf\x27\x1c\x00\x04", "7z", "7z x"),
        (b"Rar!\x1a\x07\x00", "RAR", "unrar x"),
        (b"\x04\x22\x4d\x18\x64\x40", "LZ4", "lz4 -d"),
        (b"LZIP\x01\x0c", "lzip", "lzip -d"),
        (b"\x5d\x00\x00\x80\x00", "LZMA without an xz header", "xz -d"),
        (b"\x1f\x9d\x90", "compress (.Z)", "uncompress"),
        (b"\xff\x06\x00\x00sNaPpY", "Snappy", "snzip -d"),
    ],
)
def test_forms_that_are_not_read_are_refused_by_name(tmp_path: Path, magic: bytes, name: str, command: str) -> None:
    path = write(tmp_path / "a.tsv", magic + bytes(100))
    for ask in (sniff, read):
        with pytest.raises(InputError) as caught:
            ask(path)
        assert str(caught.value) == (
            f"{path}:byte 0: {name} is not read\n"
            "  expected: plain text, gzip, bzip2, xz, zstd, zip or tar\n"
            f"  found: the start of a file in {name}\n"
            f"  remedy: unpack it ({command}) and name what is in it"
        )


def test_a_zip_of_one_file_needs_no_member(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("folder/one.json", b"[]")
    assert sniff(str(path)) == "zip"
    assert read(str(path)) == b"[]"
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("two.json", b"[]")
    with pytest.raises(InputError, match="a member of the archive must be named") as caught:
        read(str(path))
    assert caught.value.found == "2 files: folder/one.json, two.json"


@pytest.mark.parametrize("kind", COMPRESSORS)
def test_every_truncation_is_an_error_that_names_the_byte(tmp_path: Path, kind: str) -> None:
    whole = COMPRESSORS[kind](CONTENT[:50_000]) + COMPRESSORS[kind](CONTENT[50_000:60_000])
    chance = random.Random(0)
    first = len(COMPRESSORS[kind](CONTENT[:50_000]))
    for length in [16, first + 3, first + 10, len(whole) - 1, *(chance.randrange(16, len(whole)) for _ in range(20))]:
        if length == first:
            continue
        path = write(tmp_path / "cut", whole[:length])
        with pytest.raises(
            InputError, match=r"cut:byte \d+: the \w+ data end too early: the file is truncated"
        ) as caught:
            read(path)
        assert int(str(caught.value.where).rsplit(" ", 1)[1]) in (length, first), length


@pytest.mark.parametrize("kind", COMPRESSORS)
def test_damage_is_an_error_that_names_the_byte(tmp_path: Path, kind: str) -> None:
    whole = bytearray(COMPRESSORS[kind](CONTENT))
    for place in (len(whole) // 2, len(whole) - 6):
        damaged = bytearray(whole)
        damaged[place] ^= 0x55
        path = write(tmp_path / "damaged", bytes(damaged))
        with pytest.raises(InputError, match=r"damaged:byte \d+: the \w+ data ") as caught:
            read(path)
        assert int(str(caught.value.where).rsplit(" ", 1)[1]) <= len(whole)


@pytest.mark.parametrize("kind", COMPRESSORS)
def test_garbage_after_the_data_is_an_error(tmp_path: Path, kind: str) -> None:
    whole = COMPRESSORS[kind](b"some data")
    path = write(tmp_path / "a", whole + b"and then something else")
    with pytest.raises(InputError, match=rf"a:byte {len(whole)}: something that is not {kind} follows"):
        read(path)


def test_memory_is_bounded_by_steps(tmp_path: Path) -> None:
    for kind, compress in COMPRESSORS.items():
        with open_decompressed(write(tmp_path / kind, compress(bytes(20_000_000)))) as file:
            assert file.read(1000) == bytes(1000)
            assert sum(len(part) for part in iter(lambda: file.read(65_536), b"")) == 20_000_000 - 1000


def test_genuine_plain_text_named_gz(samples: Path) -> None:
    path = str(samples / "wit" / "wit_v1.train.all-00000-of-00010.plain-text.tsv.gz")
    assert sniff(path) == "plain"
    assert read(path).startswith(b"language\tpage_url\t")
