"""Answers of HTTP from a grammar, each a function of a seed and its number, and a web on loopback that gives them.

An answer is put together from parts: status line, headers with every way to spoil one, framing (length, chunks, until the
connection closes), content codings, bodies, redirects, what robots.txt and tdmrep.json say, how it is sent. Nothing here knows
which client asks. Each part says whether a browser would still show the picture (`Answer.shown`), which
`answers.py --chromium` compares with what Chromium does.

A web of this kind is reached as `http://h<number>.test/x`; `page.test` has pages for a browser.
"""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import gzip
import io
import json
import random
import struct
import threading
import zlib
from collections.abc import Callable
from typing import Final, Self

from PIL import Image, ImageDraw

#: The longest that an answer waits between two of its pieces.
PAUSE_S: Final = 0.05

#: Octets that no text is made of, and some that only look odd.
_ODD: Final = (
    b"\xe4",
    b"\xff\xfe",
    b"\xc3\xa4",
    b"\xed\xa0\x80",
    b"\x01",
    b"\x7f",
    b"\t",
    b'"',
    b"\\",
    b"%",
    b"\xf0\x9f\x98\x80",
)

#: The headers that pmd keeps, less those that frame a body or forbid it.
_KEPT: Final = (b"Content-Type", b"Last-Modified", b"ETag", b"TDM-Policy", b"Retry-After", b"Location")
_OTHERS: Final = (b"Server", b"Set-Cookie", b"Cache-Control", b"Vary", b"Content-Disposition", b"Link", b"X-Powered-By")


@dataclasses.dataclass(frozen=True)
class Answer:
    """What one host says.

    Attributes:
        parts: The names of what is odd in it; () for a plain one.
        shown: A browser shows the picture, and nobody says that it is none.
        refused: It has no status that means success. A browser shows the pictures of errors too; pmd does not keep them.
        denied: robots.txt or TDMRep says no.
        picture: The bytes that come, where they are a sound picture.
        said: By path, the pieces to send; between two of them some time passes, after the last the connection closes.
    """

    parts: tuple[str, ...]
    shown: bool
    refused: bool
    denied: bool
    picture: bytes | None
    said: dict[str, tuple[bytes, ...]]


# --- bodies ----------------------------------------------------------------------------------------------------------


def _encoded(kind: str, number: int) -> bytes:
    image = Image.new("RGB", (40 + number, 30 + number), (number * 37 % 256, 90, 128))
    ImageDraw.Draw(image).ellipse((5, 5, 30, 25), fill=(200, number * 11 % 256, 10))
    buffer = io.BytesIO()
    image.save(buffer, kind)
    return buffer.getvalue()


@functools.cache
def pictures() -> tuple[bytes, ...]:
    """Return sound pictures of the formats that browsers show."""
    return tuple(
        _encoded(kind, number) for kind in ("JPEG", "PNG", "GIF", "WEBP", "BMP", "AVIF") for number in range(6)
    )


def _bomb() -> bytes:
    header = struct.pack(">IIBBBBB", 65_536, 65_536, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(bytes(1000))), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
        for name, content in chunks
    )


#: Bodies that are no sound picture. Some of them browsers show in part; that is nothing to be kept.
_UNSOUND: Final[dict[str, Callable[[random.Random, bytes], bytes]]] = {
    "truncated": lambda chance, picture: picture[: chance.randrange(1, len(picture) // 2)],
    "empty": lambda _, __: b"",
    "page": lambda _, __: b"<!doctype html><title>Not here</title><p>Sorry",
    "page before": lambda _, picture: b"<!doctype html><!--" + picture,
    "json": lambda _, __: b'{"error": "not found"}',
    "noise": lambda chance, _: chance.randbytes(chance.randrange(1, 3000)),
    "bomb": lambda _, __: _bomb(),
    "one byte": lambda chance, _: chance.randbytes(1),
}


# --- parts -----------------------------------------------------------------------------------------------------------


@dataclasses.dataclass
class _Draft:
    """An answer in the making."""

    chance: random.Random
    body: bytes
    shown: bool = True
    refused: bool = False
    status: bytes = b"HTTP/1.1 200 OK"
    end: bytes = b"\r\n"
    headers: list[bytes] = dataclasses.field(default_factory=list)
    codings: list[bytes] = dataclasses.field(default_factory=list)
    framing: str = "length"
    before: bytes = b""
    parts: list[str] = dataclasses.field(default_factory=list)

    def head(self, *more: bytes) -> bytes:
        lines = (self.status, *self.headers, *more)
        return self.before + b"".join(line + self.end for line in lines) + self.end


_STATUS: Final = {
    "no reason": (b"HTTP/1.1 200", True),
    "empty reason": (b"HTTP/1.1 200 ", True),
    "octets in reason": (b"HTTP/1.1 200 O\xe4\xff", True),
    "long reason": (b"HTTP/1.1 200 " + b"x" * 9000, True),
    "HTTP/1.0": (b"HTTP/1.0 200 OK", True),
    "small letters": (b"http/1.1 200 OK", True),
    "203": (b"HTTP/1.1 203 Transformed", True),
    "404": (b"HTTP/1.1 404 Not Found", False),
    "500": (b"HTTP/1.1 500 Oops", False),
    "204": (b"HTTP/1.1 204 No Content", False),
    "429": (b"HTTP/1.1 429 Slow", False),
    "no status": (b"HTTP/1.1 OK", False),
    "status of four": (b"HTTP/1.1 2000 OK", False),
}


def _odd_status(draft: _Draft) -> str:
    name = draft.chance.choice(tuple(_STATUS))
    draft.status, success = _STATUS[name]
    draft.refused = not success
    return f"status: {name}"


def _odd_octets(draft: _Draft) -> str:
    name = draft.chance.choice(_KEPT + _OTHERS)
    octets = b"".join(draft.chance.choices(_ODD, k=draft.chance.randrange(1, 6)))
    draft.headers.append(name + b": x" + octets + b"y")
    return "header: octets"


_HEADERS: Final = {
    "no value": b"ETag:",
    "spaces": b"ETag:   \t x  \t ",
    "no space": b"ETag:x",
    "space before colon": b"ETag : x",
    "no colon": b"this is no header",
    "no name": b": x",
    "odd name": b"X(y)@z: 1",
    "octets in name": b"X-\xe4: 1",
    "folded": b"X-Folded: a\r\n b",
    "repeated": b"ETag: a\r\nETag: b",
    "long": b"Content-Security-Policy: " + b"x" * 60_000,
    "many": b"\r\n".join(b"X-%d: y" % number for number in range(200)),
    "cookies": b"\r\n".join(b"Set-Cookie: %d=%s" % (number, b"y" * 3000) for number in range(20)),
    "dates": b"Last-Modified: yesterday\r\nExpires: 0\r\nDate: Sun Nov 6 08:49:37 1994",
    "retry": b"Retry-After: Sunday, 06-Nov-94 08:49:37 GMT",
    "tags of others": b"X-Robots-Tag: otherbot: noindex, nofollow",
    "odd reservation": b"TDM-Reservation: maybe\xff",
}


def _odd_header(draft: _Draft) -> str:
    name = draft.chance.choice(tuple(_HEADERS))
    draft.headers.append(_HEADERS[name])
    return f"header: {name}"


_TYPES: Final = (
    b"text/html", b"text/plain; charset=utf-16", b"application/octet-stream", b"image/png", b"image/jpeg; charset=x-\xe4", b"",
    b"*/*", b"image", b"image/jpg", b"video/mp4", b"text/html\r\nContent-Type: image/jpeg", b"application/json", b"x" * 300,
)  # fmt: skip


def _odd_type(draft: _Draft) -> str:
    draft.headers.append(b"Content-Type: " + draft.chance.choice(_TYPES))
    return "type"


_gzip: Final = functools.partial(gzip.compress, mtime=0)
_CODINGS: Final = {
    "gzip": ([b"gzip"], _gzip, True),
    "x-gzip": ([b"x-gzip"], _gzip, True),
    "deflate": ([b"deflate"], zlib.compress, True),
    "raw deflate": ([b"deflate"], lambda body: zlib.compress(body)[2:-4], True),
    "gzip twice": ([b"gzip, gzip"], lambda body: _gzip(_gzip(body)), True),
    "identity": ([b"identity"], bytes, True),
    "unknown": ([b"utf-8"], bytes, True),
    "none": ([b"none"], bytes, True),
    "empty": ([b""], bytes, True),
    "a lie": ([b"gzip"], bytes, False),
    "gzip without checksum": ([b"gzip"], lambda body: _gzip(body)[:-8] + bytes(8), True),
}


def _odd_coding(draft: _Draft) -> str:
    name = draft.chance.choice(tuple(_CODINGS))
    values, code, shown = _CODINGS[name]
    draft.headers += [b"Content-Encoding: " + value for value in values]
    draft.body = code(draft.body)
    draft.shown &= shown
    return f"coding: {name}"


#: Ways to say where a body ends: whether it then still does in a browser.
_FRAMINGS: Final = {
    "close": True,
    "chunks": True,
    "small chunks": True,
    "chunk extensions": True,
    "trailers": True,
    "large digits": True,
    "chunks and length": True,
    "length of no number": True,
    "length below zero": True,
    "length twice": True,
    "lengths that differ": False,
    "length too large": False,
    "length too small": False,
    "no last chunk": False,
    "chunk of no number": False,
}


def _odd_framing(draft: _Draft) -> str:
    draft.framing = draft.chance.choice(tuple(_FRAMINGS))
    draft.shown &= _FRAMINGS[draft.framing]
    return f"framing: {draft.framing}"


def _odd_before(draft: _Draft) -> str:
    draft.before = draft.chance.choice(
        (
            b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n",
            b"HTTP/1.1 100 Continue\r\n\r\n" * 3,
            b"HTTP/1.1 102 Processing\r\nX: \xe4\r\n\r\n",
        )
    )
    return "interim answers"


def _odd_ends(draft: _Draft) -> str:
    draft.end = b"\n"
    return "bare line feeds"


_ODD_PARTS: Final = (
    _odd_status, _odd_octets, _odd_octets, _odd_header, _odd_header, _odd_type, _odd_coding, _odd_framing, _odd_framing,
    _odd_before, _odd_ends,
)  # fmt: skip


def _chunked(draft: _Draft, size: int) -> bytes:
    extension = b";a=b;c" if draft.framing == "chunk extensions" else b""
    form = b"%08X" if draft.framing == "large digits" else b"%x"
    pieces = [draft.body[at : at + size] for at in range(0, len(draft.body), size)]
    chunks = b"".join(form % len(piece) + extension + b"\r\n" + piece + b"\r\n" for piece in pieces)
    if draft.framing == "no last chunk":
        return chunks
    if draft.framing == "chunk of no number":
        return chunks + b"zz\r\n\r\n"
    return chunks + b"0\r\n" + (b"X-Trailer: \xe4\r\n" if draft.framing == "trailers" else b"") + b"\r\n"


def _framed(draft: _Draft) -> bytes:
    """Return the whole answer."""
    length = b"Content-Length: %d"
    size = len(draft.body)
    lengths = {
        "length": [length % size],
        "length twice": [length % size] * 2,
        "lengths that differ": [length % size, length % (size + 7)],
        "length too large": [length % (size + 7)],
        "length too small": [length % (size // 2)],
        "length of no number": [b"Content-Length: many"],
        "length below zero": [b"Content-Length: -5"],
        "close": [],
    }
    if draft.framing in lengths:
        return draft.head(*lengths[draft.framing], b"Connection: close") + draft.body
    more = [length % 5] if draft.framing == "chunks and length" else []
    pieces = 7 if draft.framing == "small chunks" else 1000
    return draft.head(b"Transfer-Encoding: chunked", *more, b"Connection: close") + _chunked(draft, pieces)


# --- where it leads, and whether it may be asked ---------------------------------------------------------------------

#: Locations, relative to /x of the host, and the path that is asked for then.
_PLACES: Final = {
    "relative": (b"y", "/y"),
    "absolute": (b"HTTP://H%d.TEST/y", "/y"),
    "without scheme": (b"//h%d.test/y", "/y"),
    "octets": (b"/b\xe4.jpg", "/b%E4.jpg"),
    "utf-8": (b"/b\xc3\xa4.jpg", "/b%C3%A4.jpg"),
    "octets in query": (b"/y?q=\xff\xe4", "/y?q=%FF%E4"),
    "spaces": (b"  /a b.jpg  ", "/a%20b.jpg"),
    "fragment": (b"/y#\xe4", "/y"),
    "dots": (b"/a/../y", "/y"),
    "backslash": (b"\\y", "/y"),
    "escapes": (b"/%41%e4%zz", "/%41%e4%zz"),
    "long": (b"/" + b"%%41" * 2000, "/" + "%41" * 2000),
}

#: What robots.txt says, and whether that forbids.
_ROBOTS: Final = {
    "all": (b"User-agent: *\nAllow: /\n", False),
    "nothing": (b"User-agent: *\nDisallow: /\n", True),
    "us": (b"User-agent: PMD/3\nDisallow: /\n\nUser-agent: *\nAllow: /\n", True),
    "others": (b"User-agent: *WordPress*\nDisallow: /\n", False),
    "mark": (b"\xef\xbb\xbfUser-agent: *\nDisallow: *\n", True),
    "octets": (b"User-agent: *\nDisallow: /\xe4\n\xff\xfe: \x00\n", False),
    "page": (b"<!doctype html><p>Disallow: /", False),
    "noise": (bytes(range(256)) * 20, False),
    "many": (b"User-agent: *\n" + b"allow:*b*\n" * 9000, False),
    "wildcards": (b"User-agent: *\nDisallow: " + b"*a" * 9000 + b"$\n", False),
    "returns": (b"User-agent: *\rDisallow: /\r", True),
}
_TDMREP: Final = {
    "reserved": (b'[{"location": "/*", "tdm-reservation": 1, "tdm-policy": "\xc3\xa4"}]', True),
    "mark": (b'\xef\xbb\xbf[{"location": "/*", "tdm-reservation": "1"}]', True),
    "open": (b'[{"location": "/*", "tdm-reservation": 0}]', False),
    "many": (b"[" + b",".join([b'{"location":"*b"}'] * 9000) + b"]", False),
    "deep": (b"[" * 9000, False),
    "octets": (b'[{"location": "/\xff", "tdm-reservation": 1}]', False),
    "odd": (b'{"location": [], "tdm-reservation": NaN}', False),
}


def _plain(body: bytes, status: bytes = b"200 OK") -> bytes:
    return b"HTTP/1.1 " + status + b"\r\nContent-Length: %d\r\n\r\n" % len(body) + body


def _policies(chance: random.Random, said: dict[str, tuple[bytes, ...]]) -> tuple[list[str], bool]:
    parts, denied = [], False
    for path, table in (("/robots.txt", _ROBOTS), ("/.well-known/tdmrep.json", _TDMREP)):
        name = chance.choice((*table, *["none"] * len(table)))
        content, denies = table.get(name, (b"", False))
        said[path] = (_plain(content) if name != "none" else _plain(b"", b"404 No"),)
        denied |= denies
        parts += [f"{path}: {name}"] if name != "none" else []
    return parts, denied


def make(seed: int, number: int, *, policies: bool = False) -> Answer:
    """Return the n-th answer of a seed.

    Args:
        seed: Of all.
        number: Which; also of its host.
        policies: Whether robots.txt and tdmrep.json say something too.
    """
    chance = random.Random(f"{seed}/{number}")
    picture = chance.choice(pictures())
    draft = _Draft(chance, picture)
    sound = chance.random() < 0.8
    if not sound:
        name = chance.choice(tuple(_UNSOUND))
        draft.body, draft.shown = _UNSOUND[name](chance, picture), False
        draft.parts.append(f"body: {name}")
    elif chance.random() < 0.1:
        draft.body += chance.randbytes(50)
        draft.parts.append("body: more behind it")
    body = draft.body
    for odd in dict.fromkeys(chance.choices(_ODD_PARTS, k=chance.choice((0, 1, 1, 2, 3)))):
        draft.parts.append(odd(draft))
    said: dict[str, tuple[bytes, ...]] = {"/x": _sent(draft, _framed(draft))}
    if chance.random() < 0.2:
        name = chance.choice(tuple(_PLACES))
        place, path = _PLACES[name]
        said = {path: said["/x"]}
        head = b"HTTP/1.1 302 Found\r\nLocation: " + (place % number if b"%d" in place else place.replace(b"%%", b"%"))
        # A connection that closes unsaid was kept by the client, which has to ask again on another.
        unsaid = chance.random() < 0.5
        said["/x"] = (head + b"\r\nContent-Length: 0\r\n" + (b"" if unsaid else b"Connection: close\r\n") + b"\r\n",)
        draft.parts += [f"to: {name}", *(["closed unsaid"] if unsaid else [])]
    denied = False
    if policies:
        more, denied = _policies(chance, said)
        draft.parts += more
    kept = body if sound and "length too small" not in draft.framing else None
    shown = draft.shown and not draft.refused and not denied
    return Answer(tuple(sorted(draft.parts)), shown, draft.refused, denied, kept, said)


def _sent(draft: _Draft, answer: bytes) -> tuple[bytes, ...]:
    """Return the pieces in which an answer is sent: whole, slowly, or only in part."""
    drawn = draft.chance.random()
    if drawn < 0.03:
        draft.parts.append("sent: slowly")
        at = sorted(draft.chance.randrange(1, len(answer)) for _ in range(3))
        return (answer[: at[0]], answer[at[0] : at[1]], answer[at[1] : at[2]], answer[at[2] :])
    if drawn < 0.05:
        draft.parts.append("sent: in part")
        draft.shown = False
        return (answer[: draft.chance.randrange(0, max(1, len(answer) - 300))],)
    return (answer,)


# --- the web ---------------------------------------------------------------------------------------------------------


class Web:
    """Gives the answers of a seed on loopback; a context manager. `results` is what a browser's pages have told.

    Args:
        seed: Of the answers.
        policies: As for `make`.
    """

    def __init__(self, seed: int, *, policies: bool = False) -> None:
        self._make = functools.lru_cache(maxsize=2048)(functools.partial(make, seed, policies=policies))
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self.port = 0
        self.results: dict[int, bool] = {}
        self.told = threading.Event()

    def __enter__(self) -> Self:
        self._thread.start()
        self._server = asyncio.run_coroutine_threadsafe(
            asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=4096), self._loop
        ).result()
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _end(self) -> None:
        """End what is being answered: a task that is left to the collector complains wherever that comes by."""
        self._server.close()
        answering = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in answering:
            task.cancel()
        await asyncio.gather(*answering, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await self._one(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass
        finally:
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; return whether another may come."""
        lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, path, _ = lines[0].split(" ")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        host = headers["host"].partition(":")[0].lower()
        if host == "page.test":
            writer.write(await self._page(reader, method, path, int(headers.get("content-length", 0))))
            return True
        pieces = self._make(int(host.partition(".")[0][1:])).said.get(path)
        if pieces is None:
            writer.write(_plain(b"", b"404 Not Found"))
            return True
        for place, piece in enumerate(pieces):
            if place:
                await asyncio.sleep(PAUSE_S)
            writer.write(piece)
            await writer.drain()
        return path in {"/robots.txt", "/.well-known/tdmrep.json"}

    async def _page(self, reader: asyncio.StreamReader, method: str, path: str, length: int) -> bytes:
        if method == "GET" and "-" not in path:
            return _plain(b"", b"404 Not Found")  # its icon
        if method == "POST":
            found = json.loads(await reader.readexactly(length))
            self.results |= {int(number): shown for number, shown in found.items()}
            self.told.set()
            return _plain(b"")
        first, last = (int(part) for part in path.rpartition("/")[2].split("-"))
        page = _PAGE % (first, last)
        return b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n" % len(page) + page.encode()


#: Shows each picture in turn, forty at a time, and tells which it could.
_PAGE: Final = """<!doctype html><meta charset=utf-8><title>Pictures</title><script>
let next = %d; const last = %d, found = {}; let left = last - next;
function ended(number, shown) {
  found[number] = shown; left -= 1;
  if (left) one(); else fetch("/", {method: "POST", body: JSON.stringify(found)});
}
function one() {
  if (next >= last) return;
  const number = next++, image = new Image(); let done = false;
  const once = shown => { if (!done) { done = true; ended(number, shown); } };
  image.onload = () => once(image.naturalWidth > 0); image.onerror = () => once(false);
  setTimeout(() => once(false), 6000); image.src = `http://h${number}.test/x`;
}
for (let at = 0; at < 40; at++) one();
</script>"""
