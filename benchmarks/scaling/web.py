"""A web on loopback that answers for every host as the web of PMD's links does: what is dead, refused, moved, copied.

    python -m benchmarks.scaling.web CA_FILE

It is a process of its own, so that its processor time is not counted with what is measured. It writes the certificate of its
authority, prints its two ports (HTTP, HTTPS), and for each line that it reads the requests so far, as JSON: of pictures, and of
anything else (robots.txt and the like).

The shares are those that others measured (google-research-datasets/conceptual-12m#9, PeppaKing8/minit2i-jax#2,
redcaps-downloader#4, GeoYFCC#2, dalle-mini): of Conceptual 12M 12 % gone, 8 % refused, 6 % unreachable
and 4 % broken; of RedCaps 40 % gone; of Flickr's own addresses 34 %, while the mirror of YFCC100M has all but .03 %. Of what is
there 5 % has moved, and 2 % is a copy of another picture (these two are assumed).
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Final

import xxhash

from benchmarks.scaling.pictures import picture
from pmd.demo.web import Authority

_GONE: Final = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
_REFUSED: Final = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"
_MOVED: Final = "HTTP/1.1 301 Moved Permanently\r\nLocation: {}\r\nContent-Length: 0\r\n\r\n"
_CLOSED: Final = b""
_PER_MILLE: Final = 1000
#: Host's ending → of a thousand pictures: gone, refused, unreachable, broken.
_SHARES: Final = (
    ("multimedia-commons.s3-us-west-2.amazonaws.com", (0, 0, 0, 0)),
    ("staticflickr.com", (340, 0, 0, 0)),
    ("flickr.com", (140, 0, 0, 0)),
    ("redd.it", (250, 50, 0, 0)),
    ("imgur.com", (400, 0, 0, 0)),
    (".example", (140, 80, 60, 40)),
    ("", (0, 0, 0, 0)),
)
_MOVED_SHARE: Final = 50
_COPIED_SHARE: Final = 20
_COPIES: Final = 4096


def _ok(body: bytes, kind: bytes = b"image/jpeg") -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s" % (kind, len(body), body)


def answer(host: str, path: str) -> bytes:
    """Return the whole answer to a GET; nothing where the connection is to be closed."""
    if path in ("/robots.txt", "/.well-known/tdmrep.json"):
        return _GONE
    gone, refused, unreachable, broken = next(shares for ending, shares in _SHARES if host.endswith(ending))
    drawn = xxhash.xxh3_64_intdigest((host + path).encode())
    place = drawn % _PER_MILLE
    if place < gone:
        return _GONE
    if place < gone + refused:
        return _REFUSED
    if place < gone + refused + unreachable:
        return _CLOSED
    name = host + path.removesuffix("?moved")
    other = drawn // _PER_MILLE
    if other % _PER_MILLE < _COPIED_SHARE:
        name = f"copy {other // _PER_MILLE % _COPIES}"
    elif other % _PER_MILLE < _COPIED_SHARE + _MOVED_SHARE and not path.endswith("?moved"):
        return _MOVED.format(f"http://{host}/kept{path}?moved").encode()
    body = picture(name)
    return _ok(body[: len(body) // 2] if place < gone + refused + unreachable + broken else body)


class _Connection(asyncio.Protocol):
    counts: Final = {"pictures": 0, "others": 0}

    def __init__(self) -> None:
        self._held = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._held += data
        while (end := self._held.find(b"\r\n\r\n")) >= 0:
            head, self._held = self._held[:end], self._held[end + 4 :]
            first, *headers = head.decode("latin-1").split("\r\n")
            host = next((line[5:].strip() for line in headers if line[:5].lower() == "host:"), "")
            path = first.split(" ")[1]
            self.counts["others" if path in ("/robots.txt", "/.well-known/tdmrep.json") else "pictures"] += 1
            said = answer(host.partition(":")[0].lower(), path)
            if not said:
                self._transport.close()
                return
            self._transport.write(said)


async def _serve() -> None:
    loop = asyncio.get_running_loop()
    authority = Authority()
    Path(sys.argv[1]).write_bytes(authority.pem)
    servers = [
        await loop.create_server(_Connection, "127.0.0.1", 0, backlog=1024, ssl=tls)
        for tls in (None, authority.server_context)
    ]
    print(*(server.sockets[0].getsockname()[1] for server in servers), flush=True)
    while await loop.run_in_executor(None, sys.stdin.readline):
        print(json.dumps(_Connection.counts), flush=True)


if __name__ == "__main__":
    asyncio.run(_serve())
