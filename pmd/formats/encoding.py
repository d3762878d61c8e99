"""What a text is written in, told by its first bytes: UTF-8 with or without a byte order mark, and nothing else is read.

Editors and spreadsheets on Windows put the mark there. It is no part of the data: left in, it spoils the first row, whose URL
then begins with it. UTF-16 and UTF-32, which the same programs write, are refused by name, since every row would be lost.

So is a hole: programs that make room for a file before they fetch it, piece by piece, leave NUL where rows should be. Taken for
text, all these rows would be one bad row.
"""

from __future__ import annotations

from typing import Final

from pmd.errors import InputError

#: What no text has, and no bad block of a disk: a part of a file that was never written. Pieces of downloads are larger.
HOLE: Final = bytes(64 * 1024)

#: Bytes of a text's head that `mark_bytes` looks at.
HEAD_BYTES: Final = 32

_MARK: Final = b"\xef\xbb\xbf"
#: Marks of what is not read; the longer first, since one begins with another.
_OTHERS: Final = (
    (b"\xff\xfe\x00\x00", "UTF-32"),
    (b"\x00\x00\xfe\xff", "UTF-32"),
    (b"\xff\xfe", "UTF-16"),
    (b"\xfe\xff", "UTF-16"),
)
#: Bytes from which on every other one being NUL is no chance.
_TELLING_BYTES: Final = 8


def mark_bytes(head: bytes, where: str) -> int:
    """Return how many bytes at the start of a text are its byte order mark: 3 or 0.

    Args:
        head: Its first `HEAD_BYTES`, or all of it.
        where: What an error calls the place.

    Raises:
        InputError: It is UTF-16 or UTF-32, with a mark or, as ASCII in UTF-16 shows, without one.
    """
    if head.startswith(_MARK):
        return len(_MARK)
    name = next((name for mark, name in _OTHERS if head.startswith(mark)), None)
    if name is None and _has_zeros_between(head):
        name = "UTF-16"
    if name is None:
        return 0
    raise InputError(
        f"the text is in {name}",
        where=where,
        expected="UTF-8, with a byte order mark or without",
        found=repr(head[:_TELLING_BYTES]),
        remedy=f"convert it: iconv -f {name} -t UTF-8 FILE > NEW",
    )


def hole_in(part: bytes) -> int | None:
    """Return the first byte of a hole in a part of a text; None where it has none, which takes next to no time."""
    at = part.find(HOLE) if b"\0" in part else -1
    return None if at < 0 else at


def hole(where: str) -> InputError:
    """Return the error of a text with a hole at a place."""
    return InputError(
        "a part of the file was never written",
        where=where,
        expected="text",
        found=f"{len(HOLE)} NUL bytes or more",
        remedy="fetch the file again: a download that was broken off leaves such holes",
    )


def without_mark(content: bytes, where: str) -> bytes:
    """Return a whole text without its byte order mark; errors are those of `mark_bytes`."""
    return content[mark_bytes(content[:HEAD_BYTES], where) :]


def _has_zeros_between(head: bytes) -> bool:
    """Return whether every other byte is NUL and those between are ASCII without NUL."""
    halves = head[0::2], head[1::2]
    return len(head) >= _TELLING_BYTES and any(
        not any(zeros) and all(others) and others.isascii() for zeros, others in (halves, halves[::-1])
    )
