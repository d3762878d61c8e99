"""Members of zip and tar files, read in place through seeks, never unpacked and never whole in memory.

Annotation files come zipped (COCO, Visual Genome, RedCaps) or tarred (SBU), images in archives of up to 20 GB, often
on an object store: only the directory and the bytes of the members asked for are read. A location within an archive is
written ``ARCHIVE!/MEMBER``.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import itertools
import lzma
import stat
import struct
import tarfile
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO, Final, Self, cast

from pmd.errors import InputError
from pmd.formats.copies import Copies
from pmd.formats.remembering import remembered
from pmd.formats.streams import (
    FETCH_AGAIN,
    HEAD_BYTES,
    Guarded,
    Slice,
    buffered,
    compression_of,
    decompressed,
    read_head,
)
from pmd.store import shortage, storage

#: Stands between an archive's path and a member's name.
MEMBER_SEPARATOR: Final = "!/"

_TAR_BLOCK: Final = 512
_ZIP_LOCAL_HEADER_BYTES: Final = 30
#: The end of a zip file: 22 bytes and a comment (APPNOTE 4.3.16); its count of entries has 16 bits.
_ZIP_END_BYTES: Final = 22 + 65_535
_ZIP_MANY: Final = 65_536
_ZIP_ENCRYPTED: Final = 0x1
_ZIP_UNIX: Final = 3  # who wrote an entry: its mode is in the upper half of its attributes
_ZIP_UTF8: Final = 0x800  # a name's; otherwise code page 437
_ZIP_DAMAGE: Final = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError, OSError, ValueError)
#: What `tarfile` raises at headers that are none: of attributes and of long names it reads numbers and text unchecked.
_TAR_DAMAGE: Final = (tarfile.TarError, EOFError, OSError, ValueError)
#: Bytes of a tar's long name or set of attributes, at most, which `tarfile` reads whole; a path has some thousand.
_MAX_TAR_HEADER_BYTES: Final = 1 << 20
#: What may follow the end of an archive: a tar's records are filled up with zeros, to some kilobytes, on tapes to some megabytes.
_MAX_TRAILING_BLOCKS: Final = 64
_TRAILING_BLOCK: Final = 1 << 20
#: How often the end of a stream may be read: once by whoever looks ahead, once by whoever reads on.
_MAX_ENDS: Final = 4
_OF_JOINED: Final = (
    "of archives that were joined only the first is seen: unpack it with tar -xif, and name the files; else fetch it "
    "again"
)
_TAR_MAGIC: Final = slice(257, 262), b"ustar"
#: Names that a note shows.
_NAMES_SHOWN: Final = 3

_copies: Final = Copies()


@dataclasses.dataclass(frozen=True, slots=True)
class Member:
    """One file in an archive.

    Attributes:
        name: Its name in the archive, with "/" between folders.
        bytes: Its size once out of the archive.
        offset: Where it can be sought to: in a tar the byte of its content, in a zip that of its local header. None in
            a compressed tar, where reaching a member means reading everything before it, or a copy of the tar.
    """

    name: str
    bytes: int
    offset: int | None


@dataclasses.dataclass(frozen=True, slots=True)
class _Directory:
    """The files of an archive.

    Attributes:
        members: Name → file; of several with one name the last.
        times: How often a name comes that comes several times.
    """

    members: dict[str, Member]
    times: dict[str, int]

    @classmethod
    def of(cls, files: Iterable[Member]) -> Self:
        """Return the directory of files in their order."""
        members: dict[str, Member] = {}
        times: Counter[str] = Counter()
        for file in files:
            times[file.name] += file.name in members
            members[file.name] = file
        return cls(members, {name: 1 + more for name, more in times.items() if more})

    def __len__(self) -> int:
        return len(self.members)


def split_member(location: str) -> tuple[str, str | None]:
    """Cut "a.zip!/x/y" into ("a.zip", "x/y"); a path without a member gives (path, None).

    A local folder may have a name that ends in "!": what is below it is no member.
    """
    at = location.find(MEMBER_SEPARATOR)
    while at >= 0 and "://" not in location and storage.is_folder(location[: at + 1]):
        at = location.find(MEMBER_SEPARATOR, at + 1)
    return (location, None) if at < 0 else (location[:at], location[at + len(MEMBER_SEPARATOR) :])


def location(path: str, member: str | None) -> str:
    """Return how a document is named in `where` and in errors, "FILE" or "FILE!/MEMBER": what `split_member` cuts."""
    return path if member is None else f"{path}{MEMBER_SEPARATOR}{member}"


def is_archive(path: str) -> bool:
    """Return whether a file is a zip or a tar, plain or compressed, by its content.

    Raises:
        InputError: There is no such file.
    """
    return _kind(path) is not None


def members(path: str) -> list[Member]:
    """Return the files (no folders, no links) of an archive, in its order; of several with one name the last.

    A hard link in a plain tar is the file that it stands for, as tar writes all names but the first of one file.

    Raises:
        InputError: The file is no archive, or is damaged or truncated; names the byte.
    """
    return list(_directory(path).members.values())


def size_of(path: str, name: str) -> int | None:
    """Return the bytes of one member once it is out of the archive; None where there is none of that name.

    Raises:
        InputError: As of `members`.
    """
    member = _directory(path).members.get(name)
    return None if member is None else member.bytes


def each_once(path: str, names: Iterable[str]) -> list[str]:
    """Return those of an archive's members that are no hard link to one before them, in their order: its content is theirs."""
    known = _directory(path).members
    first: dict[object, str] = {}
    for name in names:
        offset = known[name].offset
        first.setdefault(name if offset is None else offset, name)
    return list(first.values())


def note_of_repeated(path: str) -> str | None:
    """Return what a person should know of names that an archive has several times, else None.

    Programs do not agree on which of them is meant: most unpack the last over those before, some show the first.

    Raises:
        InputError: As of `members`.
    """
    times = _directory(path).times
    if not times:
        return None
    shown = [f"{name} ({count} times)" for name, count in itertools.islice(times.items(), _NAMES_SHOWN)]
    more = f" and {len(times) - len(shown):,} more" if len(times) > len(shown) else ""
    return f"{path}: names that it has several times, of which the last is read: {', '.join(shown)}{more}"


def open_member(path: str, name: str) -> BinaryIO:
    """Open one member as the bytes that were put into the archive.

    `compression.open_decompressed` does so too, and decompresses the member by its content. Tar members are seekable,
    others are not. A damaged member raises an `InputError` where it is read.

    Raises:
        InputError: There is no such archive or member.
    """
    kind = _kind(path)
    if kind == "zip":
        return _open_zip_member(path, name)
    directory = _directory(path)
    member = directory.members.get(name)
    if member is None:
        raise _no_such_member(path, name)
    label = location(path, name)
    if member.offset is None:
        sizes = (one.bytes + 2 * _TAR_BLOCK for one in directory.members.values())
        copy = _copies.of(path, _version(path), sizes)
        if copy is None:
            return _open_in_compressed_tar(path, name, label, directory.times.get(name, 1))
        offset = cast(int, _directory(copy).members[name].offset)
        return buffered(Slice(storage.open_raw(copy), label, offset, member.bytes))
    return buffered(Slice(storage.open_raw(path), label, member.offset, member.bytes))


class Damaged(Exception):
    """A tar that cannot be read on from here; its text says what was found."""


def walk(file: BinaryIO) -> Iterator[tarfile.TarInfo]:
    """Yield each member of a plain tar, links and whatever else included, and keep none of them.

    What stands before damage comes before it is told. The file may be read between two members. Headers are bounded, also
    those of holes and of attributes, and each must stand behind the one before it.

    Args:
        file: Seekable, at the tar's first byte.

    Raises:
        Damaged: Here it is no tar, or its end is missing.
    """
    bounded, before = _BoundedHeaders(file), -1
    with contextlib.ExitStack() as stack:
        try:
            tar = stack.enter_context(tarfile.open(fileobj=cast(BinaryIO, bounded), mode="r:", tarinfo=_Header))
        except _ANY_TAR_DAMAGE as error:
            shortage.refuse_of_storage(error)
            raise Damaged(str(error)) from None
        while True:
            bounded.left = _MAX_MEMBER_HEADERS_BYTES
            try:
                info = tar.next()
            except _ANY_TAR_DAMAGE as error:
                shortage.refuse_of_storage(error)
                raise Damaged(str(error)) from None
            if info is None:
                return
            if info.size < 0 or not before < info.offset < info.offset_data <= tar.offset:
                raise Damaged(f"a header that leads back, at byte {info.offset}")
            before = info.offset
            cast(Any, tar).members.clear()
            cast(Any, tar).pax_headers.clear()  # attributes for all that follows would be copied for each
            yield info


#: `tarfile` reads headers of headers by recursion, and seeks to wherever a size leads.
_ANY_TAR_DAMAGE: Final = (*_TAR_DAMAGE, RecursionError, OverflowError)
#: Bytes of all headers of one member: its name, its link's, its attributes, its map of holes.
_MAX_MEMBER_HEADERS_BYTES: Final = 4 << 20


class _BoundedHeaders:
    """A tar's file as `tarfile` reads it, which asks for no more at once than a header may have."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.left = _MAX_MEMBER_HEADERS_BYTES

    def read(self, size: int) -> bytes:
        """Read bytes.

        Raises:
            tarfile.ReadError: They are more than headers have.
        """
        if not 0 <= size <= self.left:
            raise tarfile.ReadError(f"headers of over {_MAX_MEMBER_HEADERS_BYTES} bytes")
        self.left -= size
        return self._file.read(size)

    def seek(self, offset: int) -> int:
        return self._file.seek(offset)

    def tell(self) -> int:
        return self._file.tell()


def _kind(path: str) -> str | None:
    """Return "zip", "tar", "compressed tar", or None.

    Raises:
        InputError: The first header of a tar is damaged: as text, it would be read as something else.
    """
    with storage.open_raw(path) as file:
        head = read_head(file, _TAR_BLOCK)
    compression = compression_of(head[:HEAD_BYTES])
    if compression == "zip":
        return "zip"
    if compression == "plain":
        return "tar" if _is_tar_header(path, head) else None
    with decompressed(storage.open_raw(path), path) as plain:
        try:
            head = read_head(plain, _TAR_BLOCK)
        except InputError:
            return None  # damage is reported by whoever reads the content
    return "compressed tar" if _is_tar_header(path, head) else None


class _Header(tarfile.TarInfo):
    """A tar header that announces no endless name, and is not taken for the end of the archive where it is damaged."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        if buf == bytes(_TAR_BLOCK):
            return super().frombuf(buf, encoding, errors)  # which says that it is the end
        if not buf:
            raise tarfile.ReadError("no end-of-archive block")
        try:
            header = super().frombuf(buf, encoding, errors)
        except tarfile.HeaderError as error:
            raise tarfile.ReadError(str(error)) from None
        if header.type in _EXTENDED_HEADERS and header.size > _MAX_TAR_HEADER_BYTES:
            raise tarfile.ReadError(f"a name or set of attributes of {header.size} bytes")
        return header


_EXTENDED_HEADERS: Final = (
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
)


def _is_tar_header(path: str, block: bytes) -> bool:
    """Return whether a block is a tar header: its checksum is right, which no text's is."""
    try:
        tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except (tarfile.HeaderError, ValueError) as error:
        where, magic = _TAR_MAGIC
        if block[where] == magic:
            raise bad_tar(f"{path}:byte 0", str(error)) from None
        return False
    return True


def _directory(path: str) -> _Directory:
    return _directory_of_version(path, _version(path))


def _version(path: str) -> str:
    storage.size(path)  # says so if there is no such file
    return storage.fingerprint(path)


@remembered
def _directory_of_version(path: str, _fingerprint: str) -> _Directory:
    kind = _kind(path)
    if kind == "zip":
        entries = _zip_entries_of_version(path, _fingerprint)
        return _Directory.of(Member(info.filename, info.file_size, info.header_offset) for info in entries)
    if kind == "tar":
        return _tar_directory(path)
    if kind == "compressed tar":
        return _compressed_tar_directory(path)
    raise InputError(
        "not an archive",
        where=path,
        expected="a zip or a tar file",
        found=f"a file of {storage.size(path)} bytes that begins otherwise",
        remedy="check the path in the configuration",
    )


@remembered
def _zip_entries_of_version(path: str, _fingerprint: str) -> list[zipfile.ZipInfo]:
    """Return the files of the central directory, in its order; kept, since that of COCO's images takes half a second to read."""
    with storage.open_raw(path) as file:
        try:
            with zipfile.ZipFile(file) as archive:
                entries = archive.infolist()
            count = _entry_count(file, storage.size(path))
            if count is not None and len(entries) % _ZIP_MANY != count:
                raise zipfile.BadZipFile(f"entries: {count} told, {len(entries)} found")
            return [info for info in entries if not (info.is_dir() or _is_link(info))]
        except (zipfile.BadZipFile, struct.error, EOFError, OSError, ValueError, NotImplementedError) as error:
            shortage.refuse_of_storage(error)
            raise InputError(
                "the zip file is damaged or truncated",
                where=f"{path}:byte {storage.size(path)}",
                expected="a central directory before the end of the file",
                found=str(error),
                remedy=FETCH_AGAIN,
            ) from None


def _is_link(info: zipfile.ZipInfo) -> bool:
    """Return whether an entry is a symbolic link, as `zip --symlinks` keeps them: its content is the path that it leads to."""
    return info.create_system == _ZIP_UNIX and stat.S_ISLNK(info.external_attr >> 16)


def _entry_count(file: BinaryIO, size: int) -> int | None:
    """Return how many entries a zip file says it has, modulo 65,536; None where it says so elsewhere (ZIP64).

    `zipfile` does not look: an entry with a wrong length swallows the next one.
    """
    file.seek(max(size - _ZIP_END_BYTES, 0))
    tail = file.read()
    end = tail.rfind(b"PK\x05\x06")
    (count,) = struct.unpack("<H", tail[end + 10 : end + 12])
    return None if count == _ZIP_MANY - 1 else int(count)


@remembered
def _zip_directory_of_version(path: str, _fingerprint: str) -> dict[str, zipfile.ZipInfo]:
    return {info.filename: info for info in _zip_entries_of_version(path, _fingerprint)}


def _open_zip_member(path: str, name: str) -> BinaryIO:
    info = _zip_directory_of_version(path, _version(path)).get(name)
    if info is None:
        raise _no_such_member(path, name)
    label = location(path, name)
    if info.flag_bits & _ZIP_ENCRYPTED:
        raise InputError(
            "the member is encrypted",
            where=label,
            expected="a member that needs no password",
            found="the mark of an encrypted one",
            remedy="unpack the archive yourself and name the files",
        )
    file = storage.open_raw(path)
    try:
        _seek_to_content(file, path, info)
        plain = zipfile.ZipExtFile(cast(Any, file), "r", info)
    except NotImplementedError as error:
        file.close()
        raise InputError(
            "the member's compression is not supported",
            where=label,
            expected="stored, deflated, bzip2 or LZMA",
            found=str(error),
            remedy="unpack the archive",
        ) from None
    except BaseException:
        file.close()
        raise
    return buffered(Guarded(cast(BinaryIO, plain), label, _ZIP_DAMAGE, info.file_size, (file,)))


def _seek_to_content(file: BinaryIO, path: str, info: zipfile.ZipInfo) -> None:
    file.seek(max(info.header_offset, 0))  # a damaged directory may have it before the file
    header = read_head(file, _ZIP_LOCAL_HEADER_BYTES)
    if len(header) < _ZIP_LOCAL_HEADER_BYTES or header[:4] != b"PK\x03\x04":
        raise InputError(
            "the zip file is damaged",
            where=f"{path}:byte {info.header_offset}",
            expected=f"the header of {info.filename}",
            found=repr(header[:4]),
            remedy=FETCH_AGAIN,
        )
    # The lengths of the local header count: its extra field often differs from the directory's.
    name_bytes, extra_bytes = struct.unpack("<HH", header[26:30])
    name = read_head(file, name_bytes)
    encoding = "utf-8" if info.flag_bits & _ZIP_UTF8 else "cp437"
    if name.decode(encoding, "replace") != info.orig_filename:
        raise InputError(
            "the zip file is damaged",
            where=f"{path}:byte {info.header_offset}",
            expected=f"the header of {info.filename}, as the directory has it",
            found=f"that of {name.decode(encoding, 'replace')}",
            remedy=FETCH_AGAIN,
        )
    file.seek(extra_bytes, io.SEEK_CUR)


def _tar_directory(path: str) -> _Directory:
    files: list[Member] = []
    known: dict[str, Member] = {}
    with storage.open_raw(path) as file:
        try:
            with tarfile.open(fileobj=file, mode="r:", tarinfo=_Header) as tar:
                for info in tar:
                    linked = known.get(info.linkname) if info.islnk() else None
                    if linked is not None:
                        files.append(dataclasses.replace(linked, name=info.name))
                    elif _is_file(path, info):
                        files.append(Member(info.name, info.size, info.offset_data))
                    else:
                        continue
                    known[info.name] = files[-1]
                end = tar.offset
        except _TAR_DAMAGE as error:
            shortage.refuse_of_storage(error)
            raise bad_tar(f"{path}:byte {file.tell()}", str(error)) from None
        # tarfile takes a cut between two members, and rubbish after one, for the end of the archive; a whole one ends
        # in zeros. It has read past the end marker where there is one.
        last = max(end - _TAR_BLOCK, 0)
        file.seek(last)
        blocks = read_head(file, 2 * _TAR_BLOCK)
        marks = [at for at in (0, _TAR_BLOCK) if blocks[at : at + _TAR_BLOCK] == bytes(_TAR_BLOCK)]
        if not marks:
            raise bad_tar(f"{path}:byte {end}", "no end-of-archive block")
        file.seek(last + marks[0])
        _read_to_end(path, file)
    return _Directory.of(files)


def _compressed_tar_directory(path: str) -> _Directory:
    with decompressed(storage.open_raw(path), path) as plain, _tar_stream(path, plain) as tar:
        try:
            files = [Member(info.name, info.size, None) for info in tar if _is_file(path, info)]
        except _TAR_DAMAGE as error:
            shortage.refuse_of_storage(error)
            raise bad_tar(path, str(error)) from None
        _read_to_end(path, cast(BinaryIO, tar.fileobj))
    return _Directory.of(files)


def _read_to_end(path: str, rest: BinaryIO) -> None:
    """Read what follows the end of an archive: zeros, and behind them the checksum of what was compressed.

    Raises:
        InputError: Something else follows, such as another archive, whose members would be missing unseen.
    """
    for _ in range(_MAX_TRAILING_BLOCKS):
        data = rest.read(_TRAILING_BLOCK)
        if data.count(0) != len(data):
            raise bad_tar(path, "more behind its end", _OF_JOINED)
        if not data:
            return
    raise bad_tar(path, f"over {_MAX_TRAILING_BLOCKS * _TRAILING_BLOCK} bytes behind its end")


class _Ending:
    """A stream that says when its end is passed: `tarfile` would go on to the end of a member of any size, byte by byte."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._ends = 0

    def read(self, size: int) -> bytes:
        """Read bytes.

        Raises:
            tarfile.ReadError: There were none several times before.
        """
        data = self._file.read(size)
        self._ends += not data
        if self._ends > _MAX_ENDS:
            raise tarfile.ReadError("the end of the file within a member")
        return data


def _tar_stream(path: str, plain: BinaryIO) -> tarfile.TarFile:
    try:
        return tarfile.open(fileobj=cast(BinaryIO, _Ending(plain)), mode="r|", tarinfo=_Header)
    except _TAR_DAMAGE as error:
        shortage.refuse_of_storage(error)
        raise bad_tar(path, str(error)) from None


def _open_in_compressed_tar(path: str, name: str, label: str, time: int) -> BinaryIO:
    """Open a member, where its name comes for the `time`-th time."""
    plain = decompressed(storage.open_raw(path), path)
    tar = _tar_stream(path, plain)
    try:
        called_so = (one for one in tar if one.name == name and one.isreg())
        info = next(itertools.islice(called_so, time - 1, None), None)
        content = tar.extractfile(info) if info is not None else None
    except _TAR_DAMAGE as error:
        shortage.refuse_of_storage(error)
        raise bad_tar(path, str(error)) from None
    if info is None or content is None:
        plain.close()
        raise _no_such_member(path, name)
    return buffered(Guarded(cast(BinaryIO, content), label, (tarfile.TarError, EOFError), info.size, (plain,)))


def _is_file(path: str, info: tarfile.TarInfo) -> bool:
    if info.issparse():
        raise InputError(
            "sparse tar members are not supported",
            where=location(path, info.name),
            expected="members that are whole",
            found="one with holes",
            remedy="unpack the archive and name the files",
        )
    return info.isreg()


def bad_tar(where: str, found: str, remedy: str = FETCH_AGAIN) -> InputError:
    """Return what is told of a tar that is damaged or truncated."""
    return InputError(
        "the tar file is damaged or truncated",
        where=where,
        expected="members up to an end-of-archive block",
        found=found,
        remedy=remedy,
    )


def _no_such_member(path: str, name: str) -> InputError:
    return InputError(
        "no such member",
        where=path,
        expected=name,
        found="an archive without it",
        remedy="list the archive (unzip -l, tar -t) and check the name in the configuration",
    )
