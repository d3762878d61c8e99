"""The worst that a web can answer: a table of hosts, each with one way to harm who asks, and the status it must end in.

`docs/hostile-web.md` has the same list in words. Answers are written byte by byte, pictures are crafted, and none is larger than
`MAX_BYTES`. `python -m tests.fetch.hostile PORT COPIES` fetches all of them from a web that answers so, and prints the
highest memory of its process in bytes.
"""

from __future__ import annotations

import asyncio
import collections
import dataclasses
import datetime
import gzip
import io
import os
import random
import resource
import struct
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from PIL import Image

from pmd.config.options import FetchOptions
from pmd.fetch.lane import engine
from pmd.fetch.outcome import EVIDENCE_HEADERS
from pmd.fetch.politeness import policies
from tests.fetch.conftest import HASTE, Behaviour, image_row, options, photo, reply, table

JPEG: Final = photo()
MAX_BYTES: Final = 1_500_000
TIMEOUT_S: Final = 3.0
MAX_PIXELS: Final = 20_000_000
MAX_REDIRECTS: Final = 4


@dataclasses.dataclass(frozen=True)
class Case:
    """What a host answers, and how that ends.

    Attributes:
        answer: To its /x.
        status: Of the image.
        url: Where it is asked for, if not at http://NAME.test/x.
        others: Further answers, by path.
    """

    answer: bytes | Behaviour
    status: str
    url: str | None = None
    others: tuple[tuple[str, bytes | Behaviour], ...] = ()


# --- answers ---------------------------------------------------------------------------------------------------------


def sending(*pieces: bytes, hold: bool = False, pause_s: float = 0.2) -> Behaviour:
    """Return what sends bytes as they are, piece after piece, and then closes the connection or (`hold`) says no more."""

    async def send(writer: asyncio.StreamWriter) -> None:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(pause_s)
        if hold:
            await asyncio.sleep(60)

    return send


def endless(head: bytes, piece: bytes, pause_s: float = 0.0) -> Behaviour:
    """Return what sends a beginning, and then the same piece for ever, with pauses or as fast as it is taken."""

    async def send(writer: asyncio.StreamWriter) -> None:
        writer.write(head)
        while True:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(pause_s)

    return send


async def reset(writer: asyncio.StreamWriter) -> None:
    """Send half a picture, and reset the connection."""
    writer.write(reply(JPEG)[:2000])
    await writer.drain()
    await abort(writer)


async def abort(writer: asyncio.StreamWriter) -> None:
    """Reset the connection."""
    socket = writer.get_extra_info("socket")
    socket.setsockopt(1, 13, struct.pack("ii", 1, 0))  # SO_LINGER: close with a reset
    writer.transport.abort()


def head(*lines: str, status: str = "200 OK") -> bytes:
    """Return the beginning of an answer."""
    return "".join(f"{line}\r\n" for line in (f"HTTP/1.1 {status}", *lines, "")).encode("latin-1")


def to(location: str, status: int = 302) -> bytes:
    """Return a redirect."""
    return reply(b"moved", status, Location=location)


def chunked(*chunks: bytes) -> bytes:
    """Return an answer in chunks, without the last, empty one."""
    return head("Transfer-Encoding: chunked") + b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks)


NOISE: Final = random.Random(1).randbytes(1 << 16)

#: Bodies and lengths.
BODIES: Final[dict[str, Case]] = {
    "endless": Case(endless(head() + JPEG, bytes(1 << 16)), "too_large"),
    "endless-chunks": Case(endless(chunked(JPEG), b"10000\r\n" + bytes(1 << 16) + b"\r\n"), "too_large"),
    "endless-page": Case(endless(head("Content-Type: text/html") + b"<html>", b" " * 65536), "not_an_image"),
    "endless-gzip": Case(endless(head("Content-Encoding: gzip") + b"\x1f\x8b\x08\0\0\0\0\0\0\3", NOISE), "too_large"),
    "endless-camera": Case(
        endless(head("Content-Type: multipart/x-mixed-replace; boundary=b"), b"--b\r\n\r\n" + JPEG), "not_an_image"
    ),
    "drip": Case(endless(head("Content-Length: 100000") + JPEG[:100], b"x", 0.05), "timeout"),
    "said-large": Case(sending(head("Content-Length: 99999999"), hold=True), "too_large"),
    "longer-than-said": Case(
        reply(JPEG, Content_Length=str(len(JPEG) // 2)), "undecodable"
    ),  # half a picture is what it is
    "longer-later": Case(sending(reply(JPEG[:4000]), JPEG[4000:], pause_s=2.0), "undecodable"),
    "shorter-than-said": Case(sending(reply(JPEG, Content_Length=str(len(JPEG) + 9))), "connection"),
    "shorter-and-silent": Case(sending(reply(JPEG, Content_Length=str(len(JPEG) + 9)), hold=True), "timeout"),
    "negative-length": Case(reply(JPEG, Content_Length="-5"), "server_error"),
    "no-number-length": Case(reply(JPEG, Content_Length="1e3"), "server_error"),
    "two-lengths": Case(reply(JPEG, Content_Length=f"{len(JPEG)}\r\nContent-Length: 5"), "server_error"),
    "overflowing-length": Case(reply(JPEG, Content_Length="9" * 30), "server_error"),
    "length-and-chunks": Case(reply(JPEG, Transfer_Encoding="chunked"), "server_error"),
    "chunk-overflows": Case(head("Transfer-Encoding: chunked") + b"F" * 17 + b"\r\n" + JPEG, "server_error"),
    "chunk-is-none": Case(head("Transfer-Encoding: chunked") + b"-5\r\n" + JPEG, "server_error"),
    "chunk-extension": Case(endless(head("Transfer-Encoding: chunked") + b"5;a=", b"x" * 65536), "timeout"),
    "chunk-trailers": Case(endless(chunked(JPEG) + b"0\r\n", b"X-Trailer: y\r\n" * 999), "server_error"),
    "chunks-of-a-byte": Case(chunked(*(JPEG[at : at + 1] for at in range(len(JPEG)))) + b"0\r\n\r\n", "ok"),
    "cut": Case(sending(reply(JPEG)[:-200]), "connection"),
    "reset": Case(reset, "connection"),
    "empty": Case(reply(b""), "not_an_image"),
    "page": Case(reply(b"<!doctype html><title>Sorry</title>" + b" " * 100), "not_an_image"),
    "gzip-bomb": Case(reply(gzip.compress(JPEG + bytes(50 << 20), 1), Content_Encoding="gzip"), "too_large"),
    "deflate-bomb": Case(reply(zlib.compress(JPEG + bytes(50 << 20), 1), Content_Encoding="deflate"), "too_large"),
    "gzip-in-gzip": Case(reply(gzip.compress(gzip.compress(JPEG)), Content_Encoding="gzip"), "not_an_image"),
    "gzip-twice": Case(reply(gzip.compress(gzip.compress(JPEG)), Content_Encoding="gzip, gzip"), "ok"),
    "gzip-members": Case(
        reply(gzip.compress(JPEG[:500]) + gzip.compress(JPEG[500:]) + b"\0" * 9, Content_Encoding="gzip"), "ok"
    ),
    "gzip-member-cut": Case(
        reply(gzip.compress(JPEG[:500]) + gzip.compress(JPEG[500:])[:99], Content_Encoding="gzip"), "undecodable"
    ),
    "gzip-no-members": Case(reply(gzip.compress(b"") * 1000, Content_Encoding="gzip"), "not_an_image"),
    "gzip-many": Case(reply(gzip.compress(JPEG), Content_Encoding="gzip, " * 10_000), "ok"),
    "gzip-checksum": Case(reply(gzip.compress(JPEG)[:-8] + bytes(8), Content_Encoding="gzip"), "ok"),
    "no-coding": Case(reply(JPEG, Content_Encoding="utf-8"), "ok"),
    "no-brotli": Case(reply(JPEG, Content_Encoding="br"), "ok"),
    "gzip-cut": Case(reply(gzip.compress(JPEG)[:1000], Content_Encoding="gzip"), "undecodable"),
    "gzip-drip": Case(endless(head("Content-Encoding: gzip") + b"\x1f\x8b", b"\0", 0.05), "timeout"),
    "brotli": Case(reply(b"?" * 90, Content_Encoding="br"), "not_an_image"),
}

#: Heads, and what is no HTTP.
HEADS: Final[dict[str, Case]] = {
    "hang": Case(sending(hold=True), "timeout"),
    "drop": Case(sending(), "connection"),
    "abort": Case(abort, "connection"),
    "garbage": Case(sending(b"220 ftp.example.org ready\r\n"), "server_error"),
    "http-09": Case(sending(JPEG), "server_error"),
    "http-2": Case(sending(b"\x00\x00\x12\x04\x00\x00\x00\x00\x00" + bytes(18)), "server_error"),
    "drip-head": Case(endless(b"HTTP/1.1 200 OK\r\n", b"X-More: y\r\n", 0.25), "timeout"),
    "drip-status": Case(endless(b"", b"H", 0.05), "server_error"),
    "header-flood": Case(endless(b"HTTP/1.1 200 OK\r\n", b"X-More: y\r\n" * 999), "server_error"),
    "long-header": Case(endless(b"HTTP/1.1 200 OK\r\nX-Long: ", b"x" * 65536), "server_error"),
    "long-name": Case(endless(b"HTTP/1.1 200 OK\r\n", b"x" * 65536), "server_error"),
    "long-reason": Case(endless(b"HTTP/1.1 200 ", b"x" * 65536), "server_error"),
    "nul-header": Case(sending(head("X-Nul: a\0b") + JPEG), "server_error"),
    "no-colon-flood": Case(
        endless(b"HTTP/1.1 200 OK\r\nConnection: close\r\nno colon\r\n", b" x\r\n" * 9999), "server_error"
    ),
    "no-colon-hints": Case(endless(b"", b"HTTP/1.1 103 Early Hints\r\nno colon\r\n\r\n" * 999), "server_error"),
    "no-colon-chunks": Case(
        sending(head("no colon", "Connection: close", "Transfer-Encoding: chunked") + b"1\r\nx\r\n" * 200_000),
        "server_error",
    ),
    "no-colon": Case(sending(head("no colon here") + JPEG), "ok"),
    "status-99": Case(sending(head(status="99 Low") + JPEG), "server_error"),
    "status-999": Case(reply(JPEG, 999), "rate_limited"),
    "continue-flood": Case(endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 99, 0.01), "server_error"),
    "hints-flood": Case(endless(b"", b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n", 0.05), "timeout"),
    "hints-then-it": Case(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" * 20 + reply(JPEG), "ok"),
    "upgrade": Case(
        sending(head("Upgrade: websocket", status="101 Switching Protocols") + JPEG, hold=True), "server_error"
    ),
    "evidence-flood": Case(
        sending(head(*["ETag: " + "x" * 8000] * 90, "Content-Length: 0", status="404 No")), "server_error"
    ),
    "octets-in-headers": Case(
        sending(head(*(f"{name}: \xe4\xff" for name in EVIDENCE_HEADERS if name != "content-length")) + JPEG), "ok"
    ),
    "octets-in-reason": Case(sending(head(status="404 N\xe4") + b"x"), "dead"),
    "large-header": Case(reply(JPEG, Content_Security_Policy="x" * 90_000), "ok"),
    "retry-after": Case(reply(status=429, Retry_After="9" * 400), "rate_limited"),
}

#: Redirects, and where names lead. `LOOKUP` says what names outside of `.test` resolve to.
PLACES: Final[dict[str, Case]] = {
    "to-itself": Case(to("/x"), "too_many_redirects"),
    "to-and-fro": Case(to("/y"), "too_many_redirects", others=(("/y", to("/x")),)),
    "to-ever-more": Case(
        to("/0"), "too_many_redirects", others=tuple((f"/{number}", to(f"/{number + 1}")) for number in range(9))
    ),
    "to-nowhere": Case(reply(status=301), "too_many_redirects"),
    "to-empty": Case(to(""), "too_many_redirects"),
    "to-file": Case(to("file:///etc/passwd"), "blocked_address"),
    "to-gopher": Case(to("gopher://a.test/"), "blocked_address"),
    "to-data": Case(to("data:image/png;base64,AAAA"), "blocked_address"),
    "to-script": Case(to("javascript:alert(1)"), "blocked_address"),
    "to-metadata": Case(to("http://169.254.169.254/latest/meta-data/"), "blocked_address"),
    "to-metadata-name": Case(to("http://metadata.internal:81/"), "blocked_address"),
    "to-metadata-6": Case(to("http://[fd00:ec2::254]/latest/meta-data/"), "blocked_address"),
    "to-loopback": Case(to("http://127.0.0.2/"), "blocked_address"),
    "to-loopback-6": Case(to("http://[::1]/"), "blocked_address"),
    "to-zero": Case(to("http://0/"), "blocked_address"),
    "to-number": Case(to("http://2130706434/"), "blocked_address"),
    "to-octal": Case(to("http://0177.0.0.2/"), "blocked_address"),
    "to-hexadecimal": Case(to("http://0x7f000002/"), "blocked_address"),
    "to-short": Case(to("http://127.2/"), "blocked_address"),
    "to-full-width": Case(to("http://%EF%BC%91%EF%BC%92%EF%BC%97.0.0.2/"), "blocked_address"),  # １２７.0.0.2
    "to-mapped": Case(to("http://[::ffff:10.0.0.1]/"), "blocked_address"),
    "to-nat64": Case(to("http://[64:ff9b::10.0.0.1]/"), "blocked_address"),
    "to-relative-scheme": Case(to("//127.0.0.2/x"), "blocked_address"),
    "to-port": Case(to("http://a.test:99999/"), "blocked_address"),
    "to-line-ends": Case(to("/%0d%0aHost:%20evil.test%0d%0a%0d%0a"), "dead"),
    "to-bare-return": Case(to("/a\rHost: evil.test"), "server_error"),
    "to-user": Case(to("http://somebody:secret@there.test/x"), "ok"),
    "to-long": Case(to("/" + "x" * 4000), "dead"),
    "to-rather-long": Case(to("/" + "x" * 60_000), "blocked_address"),
    "to-mail": Case(to("http://there.test:25/x"), "blocked_address"),
    "to-chat": Case(to("https://there.test:6667/x"), "blocked_address"),
    "to-too-long": Case(to("/" + "x" * 200_000), "server_error"),
    "to-octets": Case(
        head("Location: /b\xe4.jpg", "Content-Length: 0", status="302 Found"),
        "ok",
        others=(("/b%E4.jpg", reply(JPEG)),),
    ),
    "to-long-label": Case(to(f"http://{'x' * 70}.internal/"), "dead"),
    "to-dot": Case(to("http://.there.test/x"), "ok"),
    "to-no-text": Case(to("/\xff\xfe"), "dead"),
    "to-plain": Case(to("http://there.test/x", 301), "ok", "https://to-plain.test/x"),
    "to-unknown": Case(to("http://unknown.internal:81/"), "dns"),
    "there": Case(reply(JPEG), "ok"),
    "rebound": Case(reply(JPEG), "blocked_address", "http://rebound.internal:{port}/x"),
    "mixed": Case(reply(JPEG), "dead", "http://mixed.internal:{port}/x"),
    "untrusted": Case(reply(JPEG), "tls", "https://untrusted.test/x"),
    "tls-silent": Case(reply(JPEG), "timeout", "https://silent.test/x"),
    "tls-garbage": Case(reply(JPEG), "tls", "https://garbled.test/x"),
}

LOOKUP: Final[dict[str, list[list[str]]]] = {
    "metadata.internal": [["169.254.169.254"]],
    # Good when it is checked, and not when it is connected to.
    "rebound.internal": [["127.0.0.1"], ["127.0.0.3"]],
    # What may be asked is asked, the rest is left alone.
    "mixed.internal": [["10.0.0.1", "127.0.0.1", "fd00::1"]],
}

_DEEP: Final = b"[" * 100_000
_MANY_RULES: Final = b"User-agent: *\n" + b"".join(b"Disallow: /%d*a*b*c*$\n" % number for number in range(20_000))

#: What is asked for before a picture is.
FILES: Final[dict[str, Case]] = {
    "robots-endless": Case(reply(JPEG), "ok", others=(("/robots.txt", endless(head(), b"User-agent: x\n" * 999)),)),
    "robots-silent": Case(reply(JPEG), "timeout", others=(("/robots.txt", sending(hold=True)),)),
    "robots-loop": Case(reply(JPEG), "ok", others=(("/robots.txt", to("/robots.txt")),)),
    "robots-inside": Case(reply(JPEG), "server_error", others=(("/robots.txt", to("http://169.254.169.254/")),)),
    "robots-to-nowhere": Case(reply(JPEG), "server_error", others=(("/robots.txt", to("http://")),)),
    "reserved-inside": Case(reply(JPEG), "ok", others=(("/.well-known/tdmrep.json", to("http://169.254.169.254/")),)),
    "robots-bomb": Case(
        reply(JPEG),
        "ok",
        others=(("/robots.txt", reply(gzip.compress(bytes(50 << 20), 1), Content_Encoding="gzip")),),
    ),
    "robots-members": Case(
        reply(JPEG),
        "opted_out",
        others=(
            (
                "/robots.txt",
                reply(gzip.compress(b"User-agent: *\n") + gzip.compress(b"Disallow: /\n"), Content_Encoding="gzip"),
            ),
        ),
    ),
    "robots-rules": Case(reply(JPEG), "ok", others=(("/robots.txt", reply(_MANY_RULES)),)),
    "robots-patterns": Case(
        reply(JPEG), "ok", others=(("/robots.txt", reply(b"User-agent:*\n" + b"allow:*b*\n" * 50_000)),)
    ),
    "robots-signals": Case(
        reply(JPEG),
        "ok",
        others=(("/robots.txt", reply(b"User-agent:*\nContent-Usage:" + b"bots " * 90_000 + b"bots  " * 10_000)),),
    ),
    "robots-octets": Case(reply(JPEG), "ok", others=(("/robots.txt", reply(b"\xff\xfe" + NOISE)),)),
    "robots-to-octets": Case(
        reply(JPEG),
        "opted_out",
        others=(
            ("/robots.txt", head("Location: /r\xe4", "Content-Length: 0", status="301 Moved")),
            ("/r%E4", reply(b"User-agent: *\nDisallow: /")),
        ),
    ),
    "tdmrep-patterns": Case(
        reply(JPEG),
        "ok",
        others=(("/.well-known/tdmrep.json", reply(b'[{"location":"*b"}' + b',{"location":"*b"}' * 25_000 + b"]")),),
    ),
    "tdmrep-deep": Case(reply(JPEG), "ok", others=(("/.well-known/tdmrep.json", reply(_DEEP)),)),
    "tdmrep-endless": Case(
        reply(JPEG), "opted_out", others=(("/.well-known/tdmrep.json", endless(head(), b"[[1],\n" * 999)),)
    ),
}


# --- pictures --------------------------------------------------------------------------------------------------------


def encoded(kind: str, size: tuple[int, int] = (40, 30), **more: object) -> bytes:
    """Return a small picture of one colour."""
    buffer = io.BytesIO()
    Image.new("RGB", size, (200, 10, 10)).save(buffer, kind, **more)
    return buffer.getvalue()


def chunk(name: bytes, content: bytes) -> bytes:
    """Return a chunk of a PNG."""
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png(*chunks: bytes) -> bytes:
    """Return a PNG with chunks of ours behind its header."""
    plain = encoded("PNG")
    return plain[:33] + b"".join(chunks) + plain[33:]


def png_of(width: int, height: int) -> bytes:
    """Return a PNG that says it is so large, and has the pixels of a small one."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(60_000))) + chunk(b"IEND", b"")


def segments(marker: bytes, content: bytes) -> bytes:
    """Return content as segments of a JPEG, cut where it must be, each with EXIF's name."""
    pieces = [b"Exif\0\0" + content[at : at + 65_000] for at in range(0, len(content), 65_000)]
    return b"".join(marker + struct.pack(">H", len(piece) + 2) + piece for piece in pieces)


def jpeg(before: bytes = b"", behind: bytes = b"") -> bytes:
    """Return a JPEG with something of ours behind its first marker and its last."""
    plain = encoded("JPEG")
    return plain[:2] + before + plain[2:] + behind


def jpeg_of(width: int, height: int, *, progressive: bool = False) -> bytes:
    """Return a JPEG that says it is so large."""
    plain = bytearray(encoded("JPEG", progressive=progressive))
    at = plain.index(b"\xff\xc2" if progressive else b"\xff\xc0")
    plain[at + 5 : at + 9] = struct.pack(">HH", height, width)
    return bytes(plain)


def scans(count: int, side: int) -> bytes:
    """Return a progressive JPEG with its last scan again and again, which says that it is so large."""
    plain = jpeg_of(side, side, progressive=True)
    return plain[:-2] + plain[plain.rindex(b"\xff\xda") : -2] * count + b"\xff\xd9"


def gif(before: bytes = b"", frames: int = 1) -> bytes:
    """Return a GIF with something of ours before its first picture, which comes again and again."""
    plain = encoded("GIF", (16, 16))
    at = plain.index(b",")
    return plain[:at] + before + plain[at:-1] * frames + b";"


def gif_of(width: int, height: int, *, left: int = 0) -> bytes:
    """Return a GIF that says it is so large, or that its picture stands far to the right."""
    plain = bytearray(encoded("GIF", (16, 16)))
    plain[6:10] = struct.pack("<HH", width, height)
    at = plain.index(b",")
    plain[at + 1 : at + 5] = struct.pack("<HH", left, left)
    return bytes(plain)


def webp_of(width: int, height: int) -> bytes:
    """Return the beginning of a WebP that says it is so large."""
    extended = bytes(4) + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return b"RIFF" + struct.pack("<I", 22) + b"WEBPVP8X" + struct.pack("<I", 10) + extended + bytes(40)


def webp_frames(count: int) -> bytes:
    """Return a WebP of many frames, each its first."""
    inner = encoded("WEBP", (16, 16))[12:]
    frame = bytes(6) + (15).to_bytes(3, "little") * 2 + (10).to_bytes(3, "little") + b"\0" + inner
    anmf = b"ANMF" + struct.pack("<I", len(frame)) + frame + bytes(len(frame) % 2)
    vp8x = b"VP8X" + struct.pack("<I", 10) + b"\x02\0\0\0" + (15).to_bytes(3, "little") * 2
    body = b"WEBP" + vp8x + b"ANIM" + struct.pack("<I", 6) + bytes(6) + anmf * count
    return b"RIFF" + struct.pack("<I", len(body)) + body


def bmp_of(width: int, height: int, content: bytes = b"", compression: int = 0) -> bytes:
    """Return a BMP that says it is so large."""
    head_bytes = 54 + 1024
    return (
        b"BM"
        + struct.pack("<IHHI", head_bytes + len(content), 0, 0, head_bytes)
        + struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, compression, len(content), 0, 0, 256, 0)
        + bytes(1024)
        + content
    )


def directory(entries: list[tuple[int, int, int, int]], following: int = 0, content: bytes = b"") -> bytes:
    """Return a TIFF, or EXIF, of one directory: (tag, type, count, value or its place)."""
    listed = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return b"II*\0" + struct.pack("<IH", 8, len(entries)) + listed + struct.pack("<I", following) + content


def directories(count: int) -> bytes:
    """Return a TIFF of directories each of which names the next as its EXIF."""
    each = 2 + 12 + 4
    links = (struct.pack("<HHHIII", 1, 34665, 4, 1, 8 + each * (number + 1), 0) for number in range(count))
    return b"II*\0" + struct.pack("<I", 8) + b"".join(links)


def pointing(entries: int, size: int) -> bytes:
    """Return EXIF of many values, each of which is all of the file."""
    return directory([(1000 + number, 7, size, 8) for number in range(entries)]).ljust(size + 8, b"\0")


def tiff(tags: dict[int, int], content: bytes, offset_tag: int, following: int = 0) -> bytes:
    """Return a grey TIFF of one strip or tile; `tags` are added to what it needs."""
    needed = {256: 1, 257: 1, 258: 8, 259: 8, 262: 1, 277: 1} | tags
    place = 8 + 2 + 12 * (len(needed) + 1) + 4
    entries = [(tag, 4, 1, value) for tag, value in sorted((needed | {offset_tag: place}).items())]
    return directory(entries, following, content)


def tiff_tile(side: int) -> bytes:
    """Return a TIFF of one pixel, in a tile of many."""
    tile = zlib.compress(bytes(side * side), 1)
    return tiff({322: side, 323: side, 325: len(tile)}, tile, 324)


def tiff_cycle() -> bytes:
    """Return a TIFF whose directory is followed by itself."""
    strip = zlib.compress(bytes(1))
    return tiff({278: 1, 279: len(strip)}, strip, 273, following=8)


def with_exif(kind: str, exif: bytes) -> bytes:
    """Return a picture with EXIF that its encoder would not survive: put in the place of as much that it does."""
    tame = directory([]).ljust(len(exif), b"\0")
    content = encoded(kind, exif=b"Exif\0\0" + tame)
    assert content.count(tame) == 1
    return content.replace(tame, exif)


def raw_profile(exif: bytes) -> bytes:
    """Return EXIF as ImageMagick writes it into a PNG's text."""
    return b"Raw profile type exif\0\0" + zlib.compress(b"\nexif\n%8d\n%s\n" % (len(exif), exif.hex().encode()))


def zipped() -> bytes:
    """Return a zip file."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("x.html", b"<script>alert(1)</script>")
    return buffer.getvalue()


SVG: Final = (
    b'<?xml version="1.0"?><!DOCTYPE svg [<!ENTITY a SYSTEM "http://entity.test/x"><!ENTITY b "&a;&a;&a;&a;">]>'
    b'<svg xmlns="http://www.w3.org/2000/svg"><image href="http://entity.test/y"/><text>&b;</text></svg>'
)

#: Bytes of an EXIF bomb that fits one segment.
_SEGMENT: Final = 60_000

#: Pictures, made when they are first asked for.
PICTURES: Final[dict[str, tuple[Callable[[], bytes], str]]] = {
    "png-65536": (lambda: png_of(65_536, 65_536), "bomb"),
    "jpeg-65500": (lambda: jpeg_of(65_500, 65_500), "bomb"),
    "webp-16384": (lambda: webp_of(16_384, 16_384), "bomb"),
    "gif-65535": (lambda: gif_of(65_535, 65_535), "bomb"),
    "gif-far-away": (lambda: gif_of(16, 16, left=65_519), "bomb"),
    "bmp-65536": (lambda: bmp_of(65_536, 65_536), "bomb"),
    "tiff-65536": (lambda: tiff({256: 65_536, 257: 65_536, 279: 9}, bytes(9), 273), "bomb"),
    "tiff-tile": (lambda: tiff_tile(5_000), "bomb"),
    "tiff-cycle": (tiff_cycle, "ok"),
    "tiff-pointing": (lambda: pointing(5_000, 300_000), "bomb"),
    "tiff-deep": (lambda: directories(40_000), "undecodable"),
    "jpeg-scans": (lambda: scans(600, 64), "bomb"),
    "jpeg-large-scans": (lambda: scans(120, 4_000), "bomb"),
    "jpeg-markers": (lambda: jpeg(b"\xff\xe5\0\2" * 110_000), "bomb"),
    "jpeg-filled": (lambda: jpeg(b"\xff" * 150_000), "bomb"),
    "jpeg-exif": (lambda: jpeg(segments(b"\xff\xe1", pointing(5_000, _SEGMENT))), "bomb"),
    "jpeg-long-exif": (lambda: jpeg(segments(b"\xff\xe1", pointing(5_000, 300_000))), "bomb"),
    "jpeg-exif-names": (lambda: jpeg(segments(b"\xff\xe1", b"Exif\0\0" * 20_000)), "bomb"),
    "jpeg-cut": (lambda: JPEG[: len(JPEG) // 2], "undecodable"),
    "jpeg-profile": (lambda: encoded("JPEG", icc_profile=bytes(300_000)), "ok"),
    "png-exif": (lambda: png(chunk(b"eXIf", pointing(5_000, 300_000))), "bomb"),
    "png-raw-exif": (lambda: png(chunk(b"zTXt", raw_profile(pointing(5_000, 400_000)))), "bomb"),
    "webp-exif": (lambda: with_exif("WEBP", pointing(5_000, 300_000)), "bomb"),
    "avif-exif": (lambda: with_exif("AVIF", pointing(5_000, 300_000)), "bomb"),
    "png-text": (lambda: png(chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(50 << 20), 1))), "undecodable"),
    "png-profile": (lambda: png(chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(50 << 20), 1))), "undecodable"),
    "png-more-pixels": (
        lambda: png_of(40, 30)[:-12] + chunk(b"IDAT", zlib.compress(bytes(50 << 20), 1)) + chunk(b"IEND", b""),
        "ok",
    ),
    "png-chunks": (lambda: png(chunk(b"aaAa", b"") * 110_000), "bomb"),
    "png-frames": (lambda: png(chunk(b"acTL", struct.pack(">II", 2**31 - 1, 0))), "ok"),
    "gif-frames": (lambda: gif(frames=20_000), "ok"),
    "gif-comment": (lambda: gif(b"!\xfe" + (b"\xff" + b"x" * 255) * 400 + b"\0"), "ok"),
    "gif-comments": (lambda: gif(b"!\xfe" + b"\1x" * 40_000 + b"\0"), "bomb"),
    "gif-extensions": (lambda: gif(b"!\1\0" * 30_000), "bomb"),
    "webp-frames": (lambda: webp_frames(9_000), "ok"),
    "bmp-runs": (lambda: bmp_of(4_000, 4_000, b"\1\7" * 100_000, compression=1), "undecodable"),
    "svg": (lambda: SVG, "not_an_image"),
    "jpeg-html": (lambda: jpeg(b"\xff\xfe\0\x1b<script>alert(1)</script>"), "ok"),
    "html-jpeg": (lambda: b"<html><!--" + JPEG, "not_an_image"),
    "gif-js": (lambda: gif(b"!\xfe\x12*/=1;alert(1);/*aa\0"), "ok"),
    "png-zip": (lambda: encoded("PNG") + zipped(), "ok"),
    "pdf-jpeg": (lambda: b"%PDF-1.4\n" + JPEG, "not_an_image"),
}


# --- all of it -------------------------------------------------------------------------------------------------------


def cases() -> dict[str, Case]:
    """Return every case; pictures are made now."""
    pictures = {name: Case(reply(make()), status) for name, (make, status) in PICTURES.items()}
    return BODIES | HEADS | PLACES | FILES | pictures


class Routes(dict[str, bytes | Behaviour]):
    """The answers of all cases; "c3.NAME.test" is another host that answers as NAME.test does."""

    def __init__(self, of: dict[str, Case]) -> None:
        super().__init__()
        for name, case in of.items():
            for path, answer in (("/x", case.answer), *case.others):
                self[f"{name}.test{path}"] = answer

    def get(self, key: str, default: object = None) -> object:  # type: ignore[override]
        host, slash, path = key.partition("/")
        labels = host.split(".")
        return super().get(".".join(labels[-2:]) + slash + path, default)


class Names:
    """What names outside of `.test` resolve to: an answer a question, the last one for ever."""

    def __init__(self) -> None:
        self.asked: collections.Counter[str] = collections.Counter()

    def __call__(self, host: str) -> list[str]:
        answers = LOOKUP.get(host)
        if answers is None:
            raise OSError(-2, "Name or service not known")
        number = min(self.asked[host], len(answers) - 1)
        self.asked[host] += 1
        return answers[number]


def chosen(port: int, routes: Mapping[str, str] | None = None, **changes: Any) -> FetchOptions:
    """Return options in haste; `routes` go beside that of plain HTTP to a port."""
    limits = {"timeout_s": TIMEOUT_S, "max_bytes": MAX_BYTES, "max_pixels": MAX_PIXELS, "max_redirects": MAX_REDIRECTS}
    return options(**{**limits, "resolve": {"*:80": f"127.0.0.1:{port}", **(routes or {})}, **changes})


def main(port: int, copies: int) -> None:
    """Fetch all that is plain HTTP, so many times; print the highest memory."""
    names = [name for name, case in cases().items() if case.url is None]
    rows = table(
        *(image_row(f"{name} {copy}", f"http://c{copy}.{name}.test/x") for name in names for copy in range(copies))
    )
    began = datetime.datetime.now(datetime.UTC)
    with (
        tempfile.TemporaryDirectory() as root,
        policies.Kept(root, "lane", began) as robots_files,  # on disk, as a lane has them
        policies.Kept(root, "lane", began, "tdmrep") as reservations,
        engine.Lane(
            chosen(port, concurrency=32, timeout_s=0.5),
            contact="",
            policies=robots_files,
            reservations=reservations,
            patience=HASTE,
            lookup=Names(),
        ) as lane,
    ):
        count = sum(1 for _ in lane.fetch(rows))
    assert count == len(names) * copies
    sys.stdout.write(f"{_peak_bytes()}{os.linesep}")


def _peak_bytes() -> int:
    """Return the most memory that this program held: not `ru_maxrss` on Linux, which begins with what its parent held."""
    status = Path("/proc/self/status")
    if status.exists():
        peak = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(peak.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
