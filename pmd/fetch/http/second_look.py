"""Answers that libcurl refuses and browsers show.

They have a header line without a colon, a length that is no number, a version of HTTP that there is not, or a transfer coding
that nobody knows. libcurl cannot be told to pass over them. So such a host is asked once more, on a connection of its own, which
is read to its end: where that is, the answer is over, whatever it says. The standard library's reader is given it without those
lines.
"""

from __future__ import annotations

import asyncio
import functools
import http.client
import io
import ssl
from collections.abc import Sequence
from typing import Final

from pmd.fetch.http.addresses import Target
from pmd.fetch.http.broken import Broken
from pmd.fetch.http.head import Head
from pmd.fetch.http.resolver import Route
from pmd.fetch.politeness import slots
from pmd.fetch.politeness.slots import Slot

#: Bytes and lines of heads that are read, interim ones with them: as many as libcurl reads.
_HEAD_BYTES: Final = 300 * 1024
_LINES: Final = 5000
_PIECE: Final = 1 << 16
#: Transfer codings that change the body, and that nobody is asked for (RFC 9112 §7.2).
_PACKED: Final = frozenset({"compress", "deflate", "gzip", "x-compress", "x-gzip"})


async def ask(target: Target, route: Route, headers: Sequence[str], authorities: str, slot: Slot, limit: int) -> bytes:
    """Return the whole answer to a request of its own, up to the end of its connection; for `read`.

    Args:
        target: What is asked for.
        route: Where; only its addresses are connected to.
        headers: Sent with it.
        authorities: A file of them.
        slot: Holds what is read.
        limit: Bytes of a body that are of use.

    Raises:
        OSError: There is no answer.
    """
    context = _trusting(authorities) if target.scheme == "https" else None
    reader, writer = await asyncio.open_connection(
        route.addresses[0], route.port, ssl=context, server_hostname=target.host if context is not None else None
    )
    try:
        asked = [
            f"GET {target.path} HTTP/1.1",
            f"Host: {target.origin.partition('://')[2]}",
            *headers,
            "Connection: close",
        ]
        writer.write("\r\n".join([*asked, "", ""]).encode())
        answer = bytearray()
        while len(answer) <= limit + _HEAD_BYTES and (piece := await reader.read(_PIECE)):
            await slot.reserve(slots.UNKNOWN_BYTES if len(answer) + len(piece) <= slots.UNKNOWN_BYTES else limit)
            answer += piece
    finally:
        writer.close()
    return bytes(answer)


# To read the authorities takes milliseconds, and a host may want every image looked at again.
@functools.lru_cache(maxsize=1)
def _trusting(authorities: str) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=authorities)


def read(answer: bytes) -> tuple[Head, bytes]:
    """Return head and body of a whole answer. A body of tiny chunks takes seconds: no work for an event loop.

    Args:
        answer: All of it.

    Raises:
        Broken: It is none that browsers would show.
    """
    lines, body = _parted(answer)
    kept = [lines[0], *(line for line in lines[1:] if _is_header(line))]
    head = Head.of(kept)
    is_chunked = "chunked" in head.transfer_codings
    if not _PACKED.isdisjoint(head.transfer_codings):
        raise Broken("server_error", f"comes packed: {', '.join(head.transfer_codings)[:100]}")
    lengths = {value.strip() for values in head.all("content-length") for value in values.split(",")}
    if len(lengths) > 1:
        raise Broken("server_error", f"ends at more than one place: {', '.join(sorted(lengths))[:100]}")
    framed = (
        b"Transfer-Encoding: chunked\r\n" if is_chunked else b"".join(line for line in kept[1:] if _is_length(line))
    )
    response = http.client.HTTPResponse(_Answer(b"HTTP/1.1 200 OK\r\n" + framed + b"\r\n" + body))  # type: ignore[arg-type]
    try:
        response.begin()
        return head, response.read()
    except (http.client.HTTPException, ValueError) as error:
        raise Broken("connection", f"{type(error).__name__}: {error}") from None


def _parted(answer: bytes) -> tuple[list[bytes], bytes]:
    """Return the lines of the head of the final answer, and what follows it."""
    stream = io.BytesIO(answer)
    lines: list[bytes] = []
    for _ in range(_LINES):
        line = stream.readline()
        if stream.tell() > _HEAD_BYTES:
            break
        if line not in (b"\r\n", b"\n", b""):
            lines.append(line)
            continue
        if not lines or not line or any(_is_refused(one) for one in lines):
            break
        if not Head.of(lines).is_interim:
            return lines, stream.read()
        lines = []
    raise Broken("server_error", "no head that browsers read")


def _is_header(line: bytes) -> bool:
    _, colon, value = line.partition(b":")
    if not colon:
        return line[:1] in (b" ", b"\t")
    return not _is_length(line) or value.strip().isdigit() or b"," in value


def _is_length(line: bytes) -> bool:
    return line.partition(b":")[0].strip().lower() == b"content-length"


def _is_refused(line: bytes) -> bool:
    """Return whether a line has what would let others see another answer than we do."""
    return b"\0" in line or b"\r" in line.removesuffix(b"\n").removesuffix(b"\r")


class _Answer:
    """What the standard library's reader asks of a socket."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer

    def makefile(self, _: str) -> io.BytesIO:
        """Return the answer."""
        return io.BytesIO(self._answer)
