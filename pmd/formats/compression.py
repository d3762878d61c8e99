"""Opens any annotation file as plain bytes, deciding by content and never by name.

Names lie: a WIT shard named ``.tsv.gz`` may be plain text, and a proxy may have decompressed what it passed on.
"""

from __future__ import annotations

from typing import BinaryIO

from pmd.errors import InputError
from pmd.formats import archives, metering
from pmd.formats.streams import HEAD_BYTES, Compression, compression_of, decompressed, read_head, refuse_unread
from pmd.store import storage

__all__ = ["Compression", "open_decompressed", "sniff"]

_NAMES_SHOWN = 3


def sniff(path: str) -> Compression:
    """Return how a file is compressed, by its first bytes; what is not known is "plain", and so is an empty file.

    Raises:
        InputError: There is no such file, or it is in a form that is not read (7z, RAR, …).
    """
    with storage.open_raw(path) as file:
        head = read_head(file, HEAD_BYTES)
    refuse_unread(head, path)
    return compression_of(head)


def open_decompressed(path: str, member: str | None = None) -> BinaryIO:
    """Open a file, or a member of a zip or tar, as plain bytes.

    Several gzip members, bzip2 or xz streams or zstd frames that follow each other are one file. A member is itself
    decompressed by content. A zip that holds exactly one file needs no `member`. A plain file is seekable, anything
    else is not.

    Raises:
        InputError: There is no such file or member, or a zip of several files was named without a member. Reading
            raises it at damage and truncation: "FILE:byte N" counts the bytes of the compressed file, and "decompressed
            byte N" those of a member.
    """
    named = member
    if member is None and sniff(path) == "zip":
        inside = archives.members(path)
        if len(inside) != 1:
            shown = ", ".join(one.name for one in inside[:_NAMES_SHOWN]) + (", …" if len(inside) > _NAMES_SHOWN else "")
            raise InputError(
                "a member of the archive must be named",
                where=path,
                expected="a zip file that holds exactly one file",
                found=f"{len(inside)} files: {shown}" if inside else "no files",
                remedy=f"name one as {path}{archives.MEMBER_SEPARATOR}MEMBER, or unpack the archive",
            )
        member = inside[0].name
    if member is None:
        return metering.counted(decompressed(storage.open_raw(path), path), path, named)
    stream = decompressed(archives.open_member(path, member), archives.location(path, member))
    return metering.counted(stream, path, named)
