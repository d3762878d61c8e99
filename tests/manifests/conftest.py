"""A loopback server that serves, cuts, refuses and forgets ranges as told, and manifests that point at it."""

from __future__ import annotations

import dataclasses
import hashlib
import re
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from pmd.manifests import Manifest, ManifestFile, load


@dataclasses.dataclass
class Resource:
    """What one path answers.

    Attributes:
        body: The file.
        ranges: Whether Range is honoured.
        etag: Its ETag, if any.
        last_modified: Its Last-Modified, if any.
        cut_after: Bytes after which the connection is cut; one entry a request, then whole.
        statuses: Answers other than the file; one entry a request, then the file.
        headers: Sent with everything.
    """

    body: bytes
    ranges: bool = True
    etag: str | None = '"v1"'
    last_modified: str | None = None
    cut_after: list[int] = dataclasses.field(default_factory=list)
    statuses: list[int] = dataclasses.field(default_factory=list)
    headers: dict[str, str] = dataclasses.field(default_factory=dict)


class Web:
    """The server: `resources` by path, and the `requests` it got as (path, Range, If-Range)."""

    def __init__(self) -> None:
        self.resources: dict[str, Resource] = {}
        self.requests: list[tuple[str, str | None, str | None]] = []
        self.user_agents: set[str] = set()
        self.encodings: set[str] = set()
        web = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                web.answer(self)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self.thread.start()

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server.server_port}{path}"

    def paths(self) -> list[str]:
        return [path for path, _, _ in self.requests]

    def ranges(self) -> list[str | None]:
        return [asked for _, asked, _ in self.requests]

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        asked, condition = handler.headers["Range"], handler.headers["If-Range"]
        self.requests.append((handler.path, asked, condition))
        self.user_agents.add(handler.headers["User-Agent"])
        self.encodings.add(handler.headers["Accept-Encoding"])
        handler.close_connection = True
        resource = self.resources.get(handler.path)
        if resource is None:
            handler.send_error(404)
            return
        if resource.statuses:
            handler.send_response(resource.statuses.pop(0))
            for name, value in resource.headers.items():
                handler.send_header(name, value)
            handler.end_headers()
            return
        body = resource.body
        start = 0
        fresh = condition is None or condition in {resource.etag, resource.last_modified}
        if asked and resource.ranges and fresh:
            match = re.fullmatch(r"bytes=(\d+)-", asked)
            assert match
            start = int(match.group(1))
            if start >= len(body):
                handler.send_response(416)
                handler.send_header("Content-Range", f"bytes */{len(body)}")
                handler.end_headers()
                return
            handler.send_response(206)
            handler.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        else:
            handler.send_response(200)
        handler.send_header("Content-Length", str(len(body) - start))
        if resource.etag:
            handler.send_header("ETag", resource.etag)
        if resource.last_modified:
            handler.send_header("Last-Modified", resource.last_modified)
        for name, value in resource.headers.items():
            handler.send_header(name, value)
        handler.end_headers()
        stop = start + resource.cut_after.pop(0) if resource.cut_after else len(body)
        handler.wfile.write(body[start:stop])


@pytest.fixture
def web() -> Iterator[Web]:
    """A server for one test."""
    web = Web()
    yield web
    web.server.shutdown()
    web.server.server_close()
    web.thread.join()


@pytest.fixture
def resource() -> type[Resource]:
    """The class of what the server serves."""
    return Resource


BODY = b"PK".ljust(32) + b"".join(
    hashlib.sha256(bytes([n % 256, n // 256])).digest() for n in range(1, 16_384)
)  # 512 KiB that begin as a zip does, no two blocks alike


@pytest.fixture
def body() -> bytes:
    """A file's bytes: 512 KiB."""
    return BODY


@pytest.fixture
def file(web: Web) -> Callable[..., ManifestFile]:
    """Make a file of `red_caps` whose places are paths of the server; published size and checksum are `BODY`'s."""

    def make(*paths: str, checked: bool = True, **columns: Any) -> ManifestFile:
        columns = {"source": "red_caps", "name": "a.zip", "kind": "annotations"} | columns
        columns |= {"urls": tuple(web.url(path) for path in paths)}
        if checked:
            columns = {"bytes": len(BODY), "sha256": hashlib.sha256(BODY).hexdigest()} | columns
        return ManifestFile(**columns)

    return make


@pytest.fixture
def manifest() -> Callable[..., Manifest]:
    """Make a manifest of these files."""

    def make(*files: ManifestFile) -> Manifest:
        return load("red_caps").model_copy(update={"files": files})

    return make


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """The data folder."""
    return tmp_path / "data"
