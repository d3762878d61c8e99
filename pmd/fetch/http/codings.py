"""Content codings of a body, undone though they were not asked for: bounded, and damage is forgiven as in browsers.

A host that sends its robots.txt packed to all who ask has said no all the same: what cannot be read may not be taken for a yes.
"""

from __future__ import annotations

import contextlib
import re
import zlib
from collections.abc import Sequence
from typing import Final

from pmd import codec
from pmd.fetch import outcome
from pmd.fetch.http.answer import Ended

#: Bytes that tell the format (`codec.sniff`).
HEAD_BYTES: Final = 64

_GZIP_OR_ZLIB: Final = zlib.MAX_WBITS | 32
#: Codings one inside the other that are undone; curl has the same number.
_MOST: Final = 5
_PIECE: Final = 1 << 16

#: Members of a gzip that are read: each is a copy of all that follows it. Ours.
_MEMBERS: Final = 16

#: How gzip's and zlib's streams begin (RFC 1952 §2.3.1; RFC 1950 §2.2).
_GZIP: Final = b"\x1f\x8b"
_DEFLATE_METHOD, _ZLIB_CHECK = 8, 31
#: Octets that no text has, and how much of a file is looked at for them.
_BINARY: Final = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
_TEXT_BYTES: Final = 1024


def named(values: Sequence[str]) -> list[str]:
    """Return the content codings that a header names, in the order in which they were applied; "identity" is none."""
    named = (coding.strip().lower() for value in values for coding in value[: outcome.EVIDENCE_LENGTH].split(","))
    return [coding for coding in named if coding not in {"", "identity"}]


def undone(body: bytes, codings: Sequence[str], limit: int, without: str) -> bytes:
    """Undo content codings, which were sent unasked, until there is an image: what the header says may be a lie.

    Args:
        body: With them.
        codings: They.
        limit: Bytes that it may have without them.
        without: The status where no image is in it.

    Raises:
        Ended: It grows beyond the limit, is damaged, or holds no image.
    """
    content, damage = body, ""
    for _ in codings[:_MOST]:
        if codec.sniff(content[:HEAD_BYTES]) is not None:
            return content  # the header was wrong
        content, damage = _inflated(content, limit)
        if len(content) > limit:
            raise Ended("too_large", f"{len(body)} bytes that decompress to more than {limit}")
    if codec.sniff(content[:HEAD_BYTES]) is None:
        said = damage or f"begins with {content[:16]!r}"
        raise Ended(without, f"Content-Encoding {', '.join(codings)}, which was not asked for; {said}")
    return content


def text(body: bytes, codings: Sequence[str], limit: int) -> bytes:
    """Undo the content codings of a small text file, which were sent unasked, up to a limit: what the header says may be a lie.

    Raises:
        Ended: It cannot be read.
    """
    content = body
    for _ in codings[:_MOST]:
        if not (is_packed := _is_packed(content)) and _is_text(content):
            break
        inflated = _inflated(content, limit)[0] if is_packed else _raw(content, limit)
        if not inflated and not _is_text(content):
            raise Ended(
                "server_error", f"Content-Encoding {', '.join(codings)}, which was not asked for, nor can be read"
            )
        content = (inflated or content)[:limit]
    return content


def _raw(content: bytes, limit: int) -> bytes:
    """Return what is packed without a head, nothing where it is damaged: a beginning of nearly anything inflates."""
    inflating = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        inflated = inflating.decompress(content, limit + 1)
    except zlib.error:
        return b""
    is_whole = inflating.eof and not inflating.unused_data
    return inflated if is_whole or len(inflated) > limit else b""


def _is_packed(content: bytes) -> bool:
    first = int.from_bytes(content[:2], "big")
    is_zlib = len(content) > 1 and content[0] & 0x0F == _DEFLATE_METHOD and first % _ZLIB_CHECK == 0
    return is_zlib or content.startswith(_GZIP)


def _is_text(content: bytes) -> bool:
    return content.startswith((b"\xff\xfe", b"\xfe\xff")) or _BINARY.search(content, 0, _TEXT_BYTES) is None


def _inflated(body: bytes, limit: int) -> tuple[bytes, str]:
    """Return what a body decompresses to, up to a byte more than the limit, and what is wrong with it.

    What comes before the damage counts, as in browsers: before a wrong checksum of gzip's, that is all of it.
    """
    damage = ""
    for bits in (_GZIP_OR_ZLIB, -zlib.MAX_WBITS):  # "deflate" is zlib by the book and raw in the wild
        try:
            return _whole(body, bits, limit), damage
        except zlib.error as error:
            damage = damage or str(error)
            content = _up_to_damage(body, bits, limit)
            if content:
                return content, damage
    return b"", damage


def _whole(body: bytes, bits: int, limit: int) -> bytes:
    """Return what a sound body decompresses to; several of gzip's members, one behind the other, are one (RFC 1952 §2.2).

    Raises:
        zlib.error: It is damaged.
    """
    content = b""
    for _ in range(_MEMBERS):
        inflating = zlib.decompressobj(bits)
        content += inflating.decompress(body, limit + 1 - len(content))
        body = inflating.unused_data
        if len(content) > limit or not body.startswith(_GZIP):
            break
    return content


def _up_to_damage(body: bytes, bits: int, limit: int) -> bytes:
    """Return what a damaged body decompresses to before it breaks off."""
    inflating = zlib.decompressobj(bits)
    content = bytearray()
    with contextlib.suppress(zlib.error):
        # Whole pieces first: what a piece with damage in it would have given before is lost.
        for at in range(0, len(body), _PIECE):
            before = inflating.copy()
            try:
                content += inflating.decompress(body[at : at + _PIECE], max(1, limit + 1 - len(content)))
            except zlib.error:
                for place in range(at, at + _PIECE):
                    content += before.decompress(body[place : place + 1], max(1, limit + 1 - len(content)))
            if len(content) > limit:
                break
    return bytes(content)
