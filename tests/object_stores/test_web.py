"""Files of a web server, which is no object store: what it does not tell, or does not do, is told in a sentence."""

from __future__ import annotations

import contextlib
import http.server
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pmd.errors import InputError
from pmd.store import failures, storage

pytest.importorskip(
    "aiohttp", reason="fsspec's client of web servers needs it: make emulators, then PYTHONPATH=.engines/lib"
)

CONTENT = bytes(range(256)) * 40
PAGE = b'<a href="a.tsv">a</a> <a href="b.tsv">b</a> <a href="c.csv">c</a>'


class Web(http.server.BaseHTTPRequestHandler):
    """A folder of three files; it heeds no ranges. Of what is chunked it tells no size."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        if self.path == "/forbidden":
            self.send_error(403)
        elif self.path in {"/429", "/500", "/503"}:
            self.send_error(int(self.path[1:]))
        elif self.path == "/chunked":
            self._tell(("Transfer-Encoding", "chunked"), b"5\r\nhello\r\n0\r\n\r\n")
        elif self.path in {"/folder", "/folder/", "/a.tsv", "/folder/a.tsv", "/folder/b.tsv"}:
            content = CONTENT if self.path.endswith("v") else PAGE
            self._tell(("Content-Length", str(len(content))), content)
        else:
            self.send_error(404)

    do_HEAD = do_GET

    def _tell(self, length: tuple[str, str], content: bytes) -> None:
        self.send_response(200)
        self.send_header(*length)
        self.send_header("Last-Modified", "Mon, 30 Nov 2026 04:00:00 GMT")
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)


@pytest.fixture(scope="module")
def web() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Web) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_file_of_a_web_server_is_read(web: str) -> None:
    assert storage.exists(f"{web}/a.tsv")
    assert not storage.exists(f"{web}/none")
    assert storage.size(f"{web}/a.tsv") == len(CONTENT)
    assert "30 Nov 2026" in storage.fingerprint(f"{web}/a.tsv")
    assert storage.read_bytes(f"{web}/a.tsv") == CONTENT
    assert storage.read_bytes(f"{web}/a.tsv", 3, 9) == CONTENT[3:9]
    assert storage.glob(f"{web}/folder/*.tsv") == [f"{web}/folder/a.tsv", f"{web}/folder/b.tsv"]


def hang_up(server: socket.socket) -> None:
    """Take requests and answer none; unread ones would reset the connection, now and then."""
    with contextlib.suppress(OSError):
        while True:
            connection, _ = server.accept()
            connection.recv(1 << 16)
            connection.close()


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_server_that_fails_for_now_has_not_said_that_a_file_is_not_there(web: str, status: int) -> None:
    """A list of what has left was passed over so, and its pictures stayed."""
    with pytest.raises(InputError) as caught, failures.at("/r/pmd"):
        storage.exists(f"{web}/{status}")
    assert str(status) in str(caught.value.found)


@pytest.mark.parametrize("listens", [False, True])
def test_a_server_that_is_away_is_not_one_without_the_file(*, listens: bool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}/a.tsv"
        if listens:
            threading.Thread(target=hang_up, args=(server,), daemon=True).start()
        else:
            server.close()
        for look in (storage.exists, storage.glob):
            with pytest.raises(InputError) as caught, failures.at("/r/pmd"):
                look(url)
            assert caught.value.where == url
            assert "127.0.0.1" in str(caught.value.found) or "disconnected" in str(caught.value.found)
            assert caught.value.remedy == "download it, and name the file that you have"


def seek(url: str) -> bytes:
    file = storage.open_raw(url)
    file.seek(1000)
    return file.read(10)


@pytest.mark.parametrize(
    ("read", "name", "found"),
    [
        (storage.size, "chunked", "its server does not say how large it is"),
        (storage.read_bytes, "forbidden", "403"),
        (seek, "a.tsv", "support range requests"),
    ],
)
def test_what_it_does_not_do_is_told(web: str, read: Callable[[str], Any], name: str, found: str) -> None:
    with pytest.raises(InputError) as caught, failures.at("/r/pmd"):
        read(f"{web}/{name}")
    assert found in f"{caught.value.problem} {caught.value.found}"
    assert caught.value.where == f"{web}/{name}"
    assert caught.value.remedy == "download it, and name the file that you have"
