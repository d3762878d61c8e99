"""Emulators, behind a proxy that writes down what they are asked, and answers for them where it is told to."""

from __future__ import annotations

import contextlib
import http.client
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from benchmarks.breaking import emulators
from tests.end_to_end.conftest import demo as demo  # noqa: PLC0414  fixtures of theirs
from tests.end_to_end.conftest import unbuilt as unbuilt  # noqa: PLC0414

#: Headers of one hop.
HOP = {"connection", "keep-alive", "transfer-encoding"}
#: How headers begin that tell of an answer's content.
OF_CONTENT = ("content-length", "x-amz-checksum", "x-goog-hash")
#: Methods that a word stands for.
METHODS = {"*": ("GET", "HEAD", "PUT", "POST", "DELETE", "PATCH"), "WRITE": ("PUT", "POST", "DELETE", "PATCH")}
CONFLICT = b"<Error><Code>OperationAborted</Code><Message>another is under way</Message></Error>"


@dataclass
class Proxy:
    """Hands requests on to an emulator.

    Attributes:
        asked: Each request: its method, and its path with its query.
        busy: Statuses that the next requests get; each is answered once.
        refused: A status that every request gets, and the method it is for: "*" is all, "WRITE" those that change something.
        says: What such a request gets beside its status.
        once: An answer that the next request of a method gets, in place of the store's.
        broken: How many of the next answers that have something in them break off half-way.
        short: How many of the next such answers are whole, and have half of what was asked for.
        short_of: What stands in the paths of those.
        conflicts: How many of the next requests that write meet another one that is under way (409).
    """

    port: int
    asked: list[tuple[str, str]] = field(default_factory=list)
    busy: list[int] = field(default_factory=list)
    refused: tuple[str, int] | None = None
    says: bytes = b""
    once: tuple[str, bytes] | None = None
    broken: int = 0
    short: int = 0
    short_of: str = ""
    conflicts: int = 0

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        """Answer one request."""
        body = read(handler)
        self.asked.append((handler.command, handler.path))
        status = self.busy.pop(0) if self.busy else 0
        if self.refused is not None and handler.command in METHODS.get(self.refused[0], (self.refused[0],)):
            status = self.refused[1]
        if status:
            tell(handler, status, [], self.says)
            return
        if self.once is not None and self.once[0] == handler.command:
            content, self.once = self.once[1], None
            tell(handler, 200, [], content)
            return
        if self.conflicts and handler.command in {"PUT", "POST"}:
            self.conflicts -= 1
            tell(handler, 409, [], CONFLICT)
            return
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)) as behind:
            behind.request(handler.command, handler.path, body, dict(handler.headers.items()))
            answer = behind.getresponse()
            content = answer.read()
            headers = answer.getheaders()
            if self.broken and handler.command == "GET" and len(content) > 1:
                self.broken -= 1
                headers = [(name, value) for name, value in headers if name.lower() != "content-length"]
                headers.append(("Content-Length", str(len(content))))
                content, handler.close_connection = content[: len(content) // 2], True
            if self.short and handler.command == "GET" and len(content) > 1 and self.short_of in handler.path:
                self.short -= 1
                headers = [(name, value) for name, value in headers if not name.lower().startswith(OF_CONTENT)]
                content = content[: len(content) // 2]
            tell(handler, answer.status, headers, content)


def read(handler: BaseHTTPRequestHandler) -> bytes:
    if "chunked" not in handler.headers.get("Transfer-Encoding", ""):
        return handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
    parts = []
    while size := int(handler.rfile.readline().split(b";")[0], 16):
        parts.append(handler.rfile.read(size))
        handler.rfile.readline()
    handler.rfile.readline()
    del handler.headers["Transfer-Encoding"]
    return b"".join(parts)


def tell(handler: BaseHTTPRequestHandler, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
    handler.send_response_only(status)
    has_length = False
    for name, value in headers:
        if name.lower() not in HOP:
            handler.send_header(name, value)
            has_length |= name.lower() == "content-length"
    if not has_length:
        handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    if handler.command != "HEAD":
        handler.wfile.write(body)


@contextlib.contextmanager
def proxied(port: int) -> Iterator[tuple[Proxy, int]]:
    """Run a proxy before an emulator's port; give it and its own port."""
    proxy = Proxy(port)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

        def do_GET(self) -> None:
            proxy.answer(self)

        do_PUT = do_POST = do_HEAD = do_DELETE = do_PATCH = do_GET

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_: Any) -> None:
            """Say nothing: a client that is refused may hang up before it has the answer."""

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield proxy, server.server_port
        finally:
            server.shutdown()


@dataclass
class Emulated:
    """An object store: its bucket's URL, and the proxy before it."""

    kind: str
    bucket: str
    proxy: Proxy

    def asks(self, call: Any) -> list[tuple[str, str]]:
        """Return what a call asks the store."""
        self.proxy.asked.clear()
        call()
        return list(self.proxy.asked)


@pytest.fixture(scope="session", params=emulators.KINDS)
def emulated(request: pytest.FixtureRequest) -> Iterator[Emulated]:
    """Run an object store for all tests of its kind."""
    kind = request.param
    why = emulators.missing(kind)
    if why is not None:
        pytest.skip(why)
    with emulators.proxied(kind, proxied) as (bucket, proxy):
        yield Emulated(kind, bucket, proxy)


@pytest.fixture
def store(emulated: Emulated) -> Iterator[Emulated]:
    """Give an object store that answers as it should when a test is done with it."""
    yield emulated
    emulated.proxy.busy.clear()
    emulated.proxy.refused = emulated.proxy.once = None
    emulated.proxy.says = b""
    emulated.proxy.short_of = ""
    emulated.proxy.broken = emulated.proxy.short = emulated.proxy.conflicts = 0


def in_process(code: str) -> subprocess.CompletedProcess[str]:
    """Run Python in a process of its own."""
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=300)
