"""Members of zip and tar: listed and read in place, damage named."""

from __future__ import annotations

import errno
import gzip
import io
import os
import random
import shutil
import stat
import tarfile
import types
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, Literal

import pytest

from pmd.errors import InputError
from pmd.formats import archives, copies, remembering
from pmd.formats.archives import Member, is_archive, members, note_of_repeated, open_member, split_member
from pmd.formats.compression import open_decompressed
from pmd.store import spools

FILES = {"a.txt": b"first\n" * 50_000, "folder/b.bin": bytes(range(256)) * 300, "folder/empty": b""}


def make_zip(path: Path, compression: int = zipfile.ZIP_DEFLATED) -> str:
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.mkdir("folder")
        for name, content in FILES.items():
            archive.writestr(name, content)
    return str(path)


def make_tar(path: Path, mode: Literal["w", "w:gz", "w:bz2"] = "w", files: dict[str, bytes] = FILES) -> str:
    with tarfile.open(path, mode) as archive:
        folder = tarfile.TarInfo("folder")
        folder.type = tarfile.DIRTYPE
        archive.addfile(folder)
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, "a.txt"
        archive.addfile(link)
    return str(path)


MAKERS: dict[str, Callable[[Path], str]] = {
    "deflated": make_zip,
    "stored": lambda path: make_zip(path, zipfile.ZIP_STORED),
    "bzip2 in zip": lambda path: make_zip(path, zipfile.ZIP_BZIP2),
    "tar": make_tar,
    "tar.gz": lambda path: make_tar(path, "w:gz"),
    "tar.bz2": lambda path: make_tar(path, "w:bz2"),
}


def test_a_hard_link_is_the_file_that_it_stands_for(tmp_path: Path) -> None:
    path = tmp_path / "linked.tar"
    with tarfile.open(path, "w") as archive:
        first = tarfile.TarInfo("1.jpg")
        first.size = 7
        archive.addfile(first, io.BytesIO(b"picture"))
        for name, target in (("2.jpg", "1.jpg"), ("3.jpg", "elsewhere.jpg")):
            link = tarfile.TarInfo(name)
            link.type, link.linkname = tarfile.LNKTYPE, target
            archive.addfile(link)
    assert [(member.name, member.bytes) for member in members(str(path))] == [("1.jpg", 7), ("2.jpg", 7)]
    with open_member(str(path), "2.jpg") as file:
        assert file.read() == b"picture"


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz"])
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_that_comes_several_times_is_told_and_the_last_is_read(tmp_path: Path, kind: str) -> None:
    path = str(tmp_path / f"a.{kind}")
    files = [("a.txt", b"first"), ("b.txt", b"b"), ("a.txt", b"the second"), ("a.txt", b"last"), ("b.txt", b"bb")]
    if kind == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in files:
                archive.writestr(name, content)
    else:
        with tarfile.open(path, "w:gz" if kind == "tar.gz" else "w") as tar:
            for name, content in files:
                info = tarfile.TarInfo(name)
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    assert [(member.name, member.bytes) for member in members(path)] == [("a.txt", 4), ("b.txt", 2)]
    for name, content in (("a.txt", b"last"), ("b.txt", b"bb")):
        with open_member(path, name) as file:
            assert file.read() == content
    assert note_of_repeated(path) == (
        f"{path}: names that it has several times, of which the last is read: a.txt (3 times), b.txt (2 times)"
    )


def test_a_directory_is_read_once_however_many_archives_take_turns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Images stand in no order of the archives that they are in."""
    paths = [make_zip(tmp_path / f"{number}.zip") for number in range(9)]
    seen: list[object] = []
    opened = zipfile.ZipFile
    monkeypatch.setattr(archives.zipfile, "ZipFile", lambda file: (seen.append(file), opened(file))[1])
    for _ in range(3):
        for path in paths:
            assert open_member(path, "a.txt").read(5) == b"first"
    assert len(seen) == len(paths)


@pytest.mark.parametrize("room", ["there is room", "there is none"])
def test_a_compressed_tar_is_not_read_from_its_start_for_each_of_many_members(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: str
) -> None:
    """As Flickr30k is given out. Without room for a copy it takes as long as it takes."""
    files = {f"{number}.jpg": b"%d" % number * 100 for number in range(120)}
    path = make_tar(tmp_path / "pictures.tgz", "w:gz", files)
    monkeypatch.setattr(archives, "_copies", copies.Copies())
    if room != "there is room":
        monkeypatch.setattr(shutil, "disk_usage", lambda _: types.SimpleNamespace(free=0))
    started: list[str] = []
    stream = archives._tar_stream
    monkeypatch.setattr(archives, "_tar_stream", lambda name, plain: (started.append(name), stream(name, plain))[1])
    names = random.Random(0).sample(sorted(files), len(files))
    for name in names:
        with open_member(path, name) as file:
            assert file.read() == files[name]
    assert (len(started) <= 2 + copies._STREAMED) == (room == "there is room")


def test_a_copy_of_a_compressed_tar_that_was_removed_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_tar(tmp_path / "pictures.tgz", "w:gz")
    made = copies.Copies()
    monkeypatch.setattr(archives, "_copies", made)
    monkeypatch.setattr(copies, "_STREAMED", 0)
    for _ in range(2):
        assert open_member(path, "a.txt").read(5) == b"first"
        (copy,) = made._made.values()
        assert copy is not None
        Path(copy).unlink()


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="the system cannot take room before it is written")
def test_a_copy_of_a_compressed_tar_takes_its_room_before_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Workers that copy at once each take half of what is left: without it they all saw the same room."""
    path = make_tar(tmp_path / "pictures.tgz", "w:gz", {"a.bin": bytes(1 << 20)})
    taken: list[int] = []
    copy = shutil.copyfileobj

    def copied(source: BinaryIO, file: BinaryIO, piece: int) -> None:
        taken.append(os.fstat(file.fileno()).st_blocks * 512)
        copy(source, file, piece)

    monkeypatch.setattr(shutil, "copyfileobj", copied)
    made = copies._unpacked(path, 1 << 20)
    assert made is not None
    assert len(taken) == 1
    assert taken[0] >= 1 << 20
    assert Path(made).read_bytes() == gzip.decompress(Path(path).read_bytes())


def test_a_compressed_tar_is_read_where_no_copy_can_stand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def folder() -> str:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    path = make_tar(tmp_path / "pictures.tgz", "w:gz")
    monkeypatch.setattr(archives, "_copies", copies.Copies())
    monkeypatch.setattr(copies, "_STREAMED", 0)
    monkeypatch.setattr(spools, "folder", folder)
    assert open_member(path, "a.txt").read(5) == b"first"


def test_so_many_directories_are_remembered_as_have_some_files_between_them() -> None:
    read: list[str] = []

    @remembering.remembered
    def listing(path: str, _fingerprint: str) -> list[str]:
        read.append(path)
        return ["x"] * (remembering._MOST // 2 - remembering._ARCHIVE)

    for path in ("a", "b", "a", "c", "a", "c", "b"):
        assert listing(path, "1")
    assert "".join(read) == "abcb"  # two at a time, and of them those asked for last


def test_an_archive_whose_names_come_once_needs_no_note(tmp_path: Path) -> None:
    for name, make in MAKERS.items():
        assert note_of_repeated(make(tmp_path / name.replace(" ", "-"))) is None


@pytest.mark.parametrize("kind", MAKERS)
def test_members_are_listed_and_read(tmp_path: Path, kind: str) -> None:
    path = MAKERS[kind](tmp_path / "archive")
    assert is_archive(path)
    assert [(member.name, member.bytes) for member in members(path)] == [(n, len(c)) for n, c in FILES.items()]
    for name, content in FILES.items():
        with open_member(path, name) as file:
            assert file.read() == content


def test_a_tar_member_can_be_sought_to(tmp_path: Path) -> None:
    path = make_tar(tmp_path / "a.tar")
    member = members(path)[1]
    assert member.offset is not None
    assert Path(path).read_bytes()[member.offset : member.offset + member.bytes] == FILES["folder/b.bin"]
    with open_member(path, "folder/b.bin") as file:
        file.seek(-3, io.SEEK_END)
        assert file.read() == bytes([253, 254, 255])
        file.seek(257)
        assert file.read(2) == b"\x01\x02"


def test_a_compressed_tar_has_no_offsets(tmp_path: Path) -> None:
    assert members(make_tar(tmp_path / "a.tgz", "w:gz"))[0] == Member("a.txt", len(FILES["a.txt"]), None)


def test_zip64_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive, archive.open("big", "w", force_zip64=True) as file:
        file.write(b"x" * 1000)
    with open_member(str(path), "big") as member:
        assert member.read() == b"x" * 1000


def test_a_changed_archive_is_listed_anew(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    make_tar(path)
    assert len(members(str(path))) == 3
    make_tar(path, files={"only": b"1" * 99_999})
    assert [member.name for member in members(str(path))] == ["only"]


def test_members_are_decompressed_by_content(tmp_path: Path) -> None:
    path = make_tar(
        tmp_path / "a.tar", files={"x.tsv": gzip.compress(b"one") + gzip.compress(b"two"), "y.gz": b"plain"}
    )
    with open_decompressed(path, "x.tsv") as file:
        assert file.read() == b"onetwo"
    with open_decompressed(path, "y.gz") as file:
        assert file.read() == b"plain"


@pytest.mark.parametrize(
    ("location", "parts"),
    [
        ("a.zip!/x/y", ("a.zip", "x/y")),
        ("gs://bucket/a.tar!/x!/y", ("gs://bucket/a.tar", "x!/y")),
        ("folder/a.jsonl", ("folder/a.jsonl", None)),
    ],
)
def test_a_location_is_cut_at_its_separator(location: str, parts: tuple[str, str | None]) -> None:
    assert split_member(location) == parts


def test_a_folder_whose_name_ends_like_a_separator_is_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine!" / "more!").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    for folder in ("", f"{tmp_path}/"):
        assert split_member(f"{folder}mine!/cc3m.tsv") == (f"{folder}mine!/cc3m.tsv", None)
        assert split_member(f"{folder}mine!/a.zip!/b!/c") == (f"{folder}mine!/a.zip", "b!/c")
        assert split_member(f"{folder}mine!/more!/a.zip!/b") == (f"{folder}mine!/more!/a.zip", "b")
        assert split_member(f"{folder}mine!!/b") == (f"{folder}mine!", "b")


@pytest.mark.parametrize(
    "content", [b"", b"plain text, long enough to be a block\n" * 100, gzip.compress(b"x" * 2000, mtime=0)]
)
def test_other_files_are_no_archives(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(content)
    assert not is_archive(str(path))
    with pytest.raises(InputError, match="not an archive"):
        members(str(path))


def test_a_missing_archive_and_member_are_named(tmp_path: Path) -> None:
    for call in (members, lambda path: open_member(path, "x"), is_archive):
        with pytest.raises(InputError, match=r"nowhere\.zip: no such file"):
            call(str(tmp_path / "nowhere.zip"))
    for path in (make_zip(tmp_path / "a.zip"), make_tar(tmp_path / "a.tar"), make_tar(tmp_path / "a.tgz", "w:gz")):
        with pytest.raises(InputError, match="no such member") as caught:
            open_member(path, "c.txt")
        assert caught.value.where == path
        assert caught.value.expected == "c.txt"


def test_a_truncated_zip_names_its_last_byte(tmp_path: Path) -> None:
    path = Path(make_zip(tmp_path / "a.zip"))
    path.write_bytes(path.read_bytes()[:700])
    with pytest.raises(InputError, match=r"a\.zip:byte 700: the zip file is damaged or truncated"):
        members(str(path))


def test_damage_within_a_zip_member_names_the_byte(tmp_path: Path) -> None:
    path = Path(make_zip(tmp_path / "a.zip", zipfile.ZIP_STORED))
    content = bytearray(path.read_bytes())
    content[content.index(b"first") + 3] ^= 1
    path.write_bytes(content)
    with (
        open_member(str(path), "a.txt") as file,
        pytest.raises(InputError, match=r"a\.zip!/a\.txt:decompressed byte \d+: .*damaged") as caught,
    ):
        file.read()
    assert "CRC" in str(caught.value.found)


@pytest.mark.parametrize("cut", [1, 200, 512, 600, 1024, 5000, 300_000])
def test_a_truncated_tar_is_no_shorter_tar(tmp_path: Path, cut: int) -> None:
    path = Path(make_tar(tmp_path / "a.tar"))
    content = path.read_bytes()
    end = content.rindex(b"ustar") - 257 + 512  # of the last member, a link, which is a header alone
    path.write_bytes(content[: end - cut])
    with pytest.raises(InputError, match=r"a\.tar:byte \d+: the tar file is damaged or truncated"):
        members(str(path))


def test_a_tar_cut_between_members_is_truncated(tmp_path: Path) -> None:
    path = Path(make_tar(tmp_path / "a.tar"))
    offset = members(str(path))[1].offset
    assert offset is not None
    path.write_bytes(path.read_bytes()[: offset - 512])
    with pytest.raises(InputError, match="no end-of-archive block"):
        members(str(path))


def _tar_header(kind: bytes, size: int, name: bytes = b"././@LongLink") -> bytes:
    header = bytearray(512)
    header[: len(name)], header[124:136], header[156:157] = name, b"%011o\0" % size, kind
    header[257:265], header[148:156] = b"ustar\x0000", b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header)


@pytest.mark.parametrize("kind", [tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.XHDTYPE, tarfile.XGLTYPE])
@pytest.mark.parametrize("compressed", [False, True])
def test_a_name_of_gigabytes_is_not_read(tmp_path: Path, kind: bytes, compressed: bool) -> None:
    content = _tar_header(kind, 8**11 - 1) + b"a" * 2048
    path = tmp_path / "archive"
    path.write_bytes(gzip.compress(content) if compressed else content)
    with pytest.raises(InputError, match="the tar file is damaged") as caught:
        members(str(path))
    assert caught.value.found == "a name or set of attributes of 8589934591 bytes"


@pytest.mark.parametrize("record", [b"13 size=\xffxx\n", b"12 size=abc\n"])
def test_attributes_that_are_none_are_damage_or_passed_over(tmp_path: Path, record: bytes) -> None:
    path = tmp_path / "archive"
    member = _tar_header(b"0", 3, b"a.txt") + b"abc".ljust(512, b"\0")
    path.write_bytes(_tar_header(b"x", len(record)) + record.ljust(512, b"\0") + member + bytes(1024))
    try:
        assert [member.name for member in members(str(path))] == ["a.txt"]
    except InputError as error:
        assert "the tar file is damaged" in str(error)  # noqa: PT017 - both ends are right


def test_a_tar_whose_first_header_is_damaged_is_no_text(tmp_path: Path) -> None:
    path = Path(make_tar(tmp_path / "archive"))
    content = bytearray(path.read_bytes())
    content[0] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match="archive:byte 0: the tar file is damaged"):
        is_archive(str(path))


@pytest.mark.parametrize("offset", [0, 1, 2**31, 2**32 - 2])
def test_a_zip_whose_directory_points_elsewhere_is_damaged(tmp_path: Path, offset: int) -> None:
    path = Path(make_zip(tmp_path / "archive"))
    content = path.read_bytes()
    entry = content.rfind(b"PK\x05\x06") + 16  # where the directory starts, from which members are counted
    path.write_bytes(content[:entry] + offset.to_bytes(4, "little") + content[entry + 4 :])
    with pytest.raises(InputError, match="damaged"):
        open_member(str(path), "a.txt").read()


def test_damage_in_an_lzma_member_is_told(tmp_path: Path) -> None:
    path = Path(make_zip(tmp_path / "archive", zipfile.ZIP_LZMA))
    content = bytearray(path.read_bytes())
    at = content.find(b"a.txt") + len("a.txt")
    content[at : at + 40] = b"\xff" * 40
    path.write_bytes(content)
    with pytest.raises(InputError, match="the member is damaged"):
        open_member(str(path), "a.txt").read()


def test_a_truncated_compressed_tar_is_an_error(tmp_path: Path) -> None:
    path = Path(make_tar(tmp_path / "a.tgz", "w:gz"))
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(InputError, match="truncated"):
        members(str(path))


def test_genuine_red_caps_archive(samples: Path) -> None:
    path = str(samples / "redcaps" / "annotations.zip")
    inside = members(path)
    assert len(inside) == 1391
    with open_decompressed(path, "dummy_data/annotations/abandonedporn_2017.json") as file:
        assert file.read(17) == b'{"annotations": ['


def test_a_damaged_header_within_a_compressed_tar_is_not_its_end(tmp_path: Path) -> None:
    content = bytearray(Path(make_tar(tmp_path / "plain")).read_bytes())
    content[content.find(b"folder/b.bin")] ^= 1
    path = tmp_path / "archive"
    path.write_bytes(gzip.compress(content))
    with pytest.raises(InputError, match="the tar file is damaged"):
        members(str(path))


def test_a_member_of_terabytes_ends_with_its_file(tmp_path: Path) -> None:
    path = tmp_path / "archive"
    path.write_bytes(gzip.compress(_tar_header(b"0", 8**11 - 1, b"a.txt") + b"abc"))
    with pytest.raises(InputError, match="the tar file is damaged"):
        members(str(path))


def test_what_follows_a_compressed_tar_is_read_for_its_checksum(tmp_path: Path) -> None:
    content = bytearray(Path(make_tar(tmp_path / "a.tgz", "w:gz")).read_bytes())
    content[-6] ^= 1  # of the checksum
    path = tmp_path / "archive"
    path.write_bytes(content)
    with pytest.raises(InputError, match="damaged"):
        members(str(path))


def test_members_of_tars_that_were_joined_are_not_left_out_unseen(tmp_path: Path) -> None:
    one = Path(make_tar(tmp_path / "one")).read_bytes()
    path = tmp_path / "both.tar"
    path.write_bytes(one + one)
    with pytest.raises(InputError, match=r"(?s)more behind its end.*tar -xif"):
        members(str(path))
    path.write_bytes(one + bytes(2**20))  # as on tapes
    assert members(str(path)) == members(str(tmp_path / "one"))


def test_a_tar_with_more_behind_its_end_is_damaged(tmp_path: Path) -> None:
    content = bytearray(Path(make_tar(tmp_path / "plain")).read_bytes())
    at = content.find(b"folder/b.bin")
    content[at : at + 512] = bytes(512)  # what looks like the end
    path = tmp_path / "archive"
    for whole in (content, gzip.compress(content)):
        path.write_bytes(whole)
        with pytest.raises(InputError, match="more behind its end"):
            members(str(path))
    path.write_bytes(gzip.compress(Path(make_tar(tmp_path / "whole")).read_bytes() + bytes(100 * 2**20)))
    with pytest.raises(InputError, match="behind its end"):
        members(str(path))


def test_an_entry_that_swallows_the_next_is_damage(tmp_path: Path) -> None:
    path = Path(make_zip(tmp_path / "archive"))
    content = bytearray(path.read_bytes())
    entry = content.find(b"PK\x01\x02", content.find(b"PK\x01\x02") + 4)
    following = content.find(b"PK\x01\x02", entry + 4)
    length = content.find(b"PK\x01\x02", following + 4) - following
    content[entry + 32 : entry + 34] = length.to_bytes(2, "little")  # of the comment
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"entries: [0-9]+ told"):
        members(str(path))


def test_a_member_under_another_name_is_damage(tmp_path: Path) -> None:
    path = Path(make_zip(tmp_path / "archive"))
    content = bytearray(path.read_bytes())
    content[content.rfind(b"a.txt")] = ord("b")
    path.write_bytes(content)
    assert "b.txt" in [member.name for member in members(str(path))]
    with pytest.raises(InputError, match="as the directory has it"):
        open_member(str(path), "b.txt")


def test_a_link_in_a_zip_is_no_file(tmp_path: Path) -> None:
    path = tmp_path / "links.zip"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("real/1.jpg", b"1")
        link = zipfile.ZipInfo("1.jpg")
        link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
        file.writestr(link, "real/1.jpg")
    assert [member.name for member in members(str(path))] == ["real/1.jpg"]
    with pytest.raises(InputError, match="no such member"):
        open_member(str(path), "1.jpg")
