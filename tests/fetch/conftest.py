"""A small loopback web whose answers tests write by hand, byte by byte where they must be wrong."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime
import io
import ssl
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Self

import pyarrow as pa
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from PIL import Image, ImageDraw

from pmd.config.options import FetchOptions, PerHost
from pmd.fetch.politeness.hosts import Patience
from pmd.schema import keys
from pmd.schema.tables import IMAGES

Behaviour = Callable[[asyncio.StreamWriter], Awaitable[None]]

#: What is asked for before an origin's first image.
SITE_FILES = ("/robots.txt", "/.well-known/tdmrep.json")

#: Tests do not wait.
HASTE = Patience(backoff_s=0.01, limit_s=5.0, failures=4, open_s=60.0)


@dataclasses.dataclass(frozen=True)
class Request:
    at: float
    host: str
    path: str
    headers: dict[str, str]


def reply(body: bytes = b"", status: int = 200, **headers: str) -> bytes:
    """Return a whole answer; header names are written with underscores."""
    lines = {"Content-Length": str(len(body)), "Content-Type": "image/jpeg"}
    lines |= {name.replace("_", "-"): value for name, value in headers.items()}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"HTTP/1.1 {status} X\r\n{head}\r\n".encode() + body


class Loopback:
    """A server on 127.0.0.1, in a thread of its own while it is entered; `port` says where, and `loop` runs it."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.port = 0
        self._tls = tls
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        server = asyncio.run_coroutine_threadsafe(
            asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls), self.loop
        ).result()
        self.port = server.sockets[0].getsockname()[1]
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self.loop).result()
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()

    async def _stop(self) -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        raise NotImplementedError


class Web(Loopback):
    """Answers for every host; unknown addresses get 404. `log` holds all requests, `connections` how many were opened."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(tls)
        self.routes: dict[str, bytes | list[bytes] | Behaviour] = {}
        self.log: list[Request] = []
        self.connections = 0
        self.at_once = 0
        self.most_at_once = 0

    def asked(self, host: str | None = None, *, robots: bool = False) -> list[Request]:
        """Return the requests to a host, those for robots.txt and tdmrep.json left out."""
        return [
            request
            for request in self.log
            if host in {None, request.host} and (robots or request.path not in SITE_FILES)
        ]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while await self._answer(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError, ssl.SSLError):
            pass
        finally:
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
        path = head[0].split(" ")[1]
        self.log.append(Request(time.monotonic(), headers["host"], path, headers))
        self.at_once += 1
        self.most_at_once = max(self.at_once, self.most_at_once)
        try:
            answer = self.routes.get(headers["host"] + path, reply(status=404, Content_Type="text/plain"))
            if isinstance(answer, list):
                answer = answer.pop(0) if len(answer) > 1 else answer[0]
            if isinstance(answer, bytes):
                await asyncio.sleep(0.002)
                writer.write(answer)
                await writer.drain()
                return True
            await answer(writer)
            return False
        finally:
            self.at_once -= 1


@pytest.fixture
def web() -> Iterator[Web]:
    with Web() as server:
        yield server


@pytest.fixture
def secure(tmp_path: Path) -> Iterator[tuple[Web, Path]]:
    """A web that is secure.test over TLS, and its certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "secure.test")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("secure.test")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = tmp_path / "ca.pem"
    pem.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private = tmp_path / "key.pem"
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pem, private)
    with Web(context) as server:
        yield server, pem


def options(web: Web | None = None, **changes: object) -> FetchOptions:
    """Return options that lead every host to the test's web, in haste; without robots.txt, without TDMRep too."""
    plain = {
        "tdmrep": changes.get("robots", True),
        "per_host": PerHost(requests_per_s=10_000, connections=8),
        "retries": 0,
        "timeout_s": 5.0,
        "allow_addresses": ("127.0.0.1/32",),
        "resolve": {"*:80": f"127.0.0.1:{web.port}"} if web else {},
    }
    return FetchOptions(**{**plain, **changes})  # type: ignore[arg-type]


def image_row(
    identity: str, *locations: str, sources: tuple[str, ...] = ("coco",), has_region: bool = False
) -> dict[str, object]:
    return {
        "image_id": keys.image_id(identity),
        "identity": identity,
        "locations": [{"kind": "archive" if "!/" in url else "original", "url": url} for url in locations],
        "sources": list(sources),
        "has_region": has_region,
        "fetch_shard": 0,
    }


def table(*rows: dict[str, object]) -> pa.Table:
    return pa.Table.from_pylist(sorted(rows, key=lambda row: row["image_id"]), schema=IMAGES)  # type: ignore[arg-type,return-value]


def photo(width: int = 320, height: int = 300, seed: int = 0, kind: str = "JPEG") -> bytes:
    """Return a small picture, another for each seed."""
    image = Image.new("RGB", (width, height), (seed * 37 % 256, seed * 91 % 256, 128))
    draw = ImageDraw.Draw(image)
    for step in range(8):
        draw.ellipse(
            (step * 20 + seed, step * 9, step * 20 + width // 3, step * 9 + height // 2),
            fill=(step * 30, 200, seed % 256),
        )
    buffer = io.BytesIO()
    image.save(buffer, kind, **({"quality": 90} if kind == "JPEG" else {}))
    return buffer.getvalue()
