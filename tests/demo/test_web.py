"""The demo's web, spoken to as a client would: raw connections, so that nothing is smoothed over."""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
import threading
import time
from collections.abc import Iterator

import pytest

from pmd.demo.web import ENDLESS_BYTES, Answer, DemoWeb, page, redirect, route_of

BODY = bytes(range(256)) * 40
ROUTES = {
    "http://a.example/photo.jpg": Answer(BODY),
    "http://a.example/photo.jpg?size=2": Answer(b"two"),
    "http://b.example/photo.jpg": Answer(b"of b"),
    "http://a.example/Stra%C3%9Fe.jpg": Answer(b"street"),
    "http://a.example/moved.jpg": redirect("http://b.example/photo.jpg", 301),
    "http://a.example/gone.jpg": page("Gone", 410),
    "http://a.example/law.jpg": page("No", 451),
    "http://a.example/busy.jpg": Answer(b"at last", behaviour="busy_once"),
    "http://a.example/slow.jpg": Answer(BODY, behaviour="drip"),
    "http://a.example/endless.jpg": Answer(b"\xff\xd8\xff", behaviour="endless"),
    "http://a.example/hang.jpg": Answer(behaviour="hang"),
    "http://a.example/drop.jpg": Answer(behaviour="drop"),
    "http://a.example/garbage.jpg": Answer(behaviour="garbage"),
    "http://a.example/noai.jpg": Answer(b"mine", headers=(("X-Robots-Tag", "noai"),)),
}


@pytest.fixture
def web() -> Iterator[DemoWeb]:
    routes = {route_of(url): answer for url, answer in ROUTES.items()}
    with DemoWeb(routes, untrusted_hosts=["bad.example"]) as web:
        yield web


def _connect(address: str) -> http.client.HTTPConnection:
    host, _, port = address.partition(":")
    return http.client.HTTPConnection(host, int(port), timeout=5)


def _get(web: DemoWeb, host: str, path: str) -> tuple[http.client.HTTPResponse, bytes]:
    with contextlib.closing(_connect(web.address)) as connection:
        connection.request("GET", path, headers={"Host": host})
        response = connection.getresponse()
        return response, response.read()


def test_listens_on_loopback_alone(web: DemoWeb) -> None:
    assert web.address.startswith("127.0.0.1:")
    assert web.tls_address.startswith("127.0.0.1:")


@pytest.mark.parametrize(
    ("host", "path", "status", "body"),
    [
        ("a.example", "/photo.jpg", 200, BODY),
        ("A.EXAMPLE:80", "/photo.jpg", 200, BODY),
        ("a.example", "/photo.jpg?size=2", 200, b"two"),
        ("b.example", "/photo.jpg", 200, b"of b"),
        ("a.example", "/Stra%c3%9fe.jpg", 200, b"street"),
        ("a.example", "/law.jpg", 451, None),
        ("a.example", "/gone.jpg", 410, None),
        ("a.example", "/nowhere.jpg", 404, None),
        ("c.example", "/photo.jpg", 404, None),
        ("c.example", "/robots.txt", 404, None),
    ],
)
def test_answers_by_host_and_path(web: DemoWeb, host: str, path: str, status: int, body: bytes | None) -> None:
    response, found = _get(web, host, path)
    assert response.status == status
    if body is not None:
        assert found == body
        assert response.headers["Content-Type"] == "image/jpeg"


def test_redirects_and_headers(web: DemoWeb) -> None:
    response, _ = _get(web, "a.example", "/moved.jpg")
    assert (response.status, response.headers["Location"]) == (301, "http://b.example/photo.jpg")
    response, _ = _get(web, "a.example", "/noai.jpg")
    assert response.headers["X-Robots-Tag"] == "noai"


def test_keeps_connections(web: DemoWeb) -> None:
    connection = _connect(web.address)
    for path in ("/photo.jpg", "/nowhere.jpg", "/photo.jpg"):
        connection.request("GET", path, headers={"Host": "a.example"})
        first = connection.sock
        connection.getresponse().read()
        assert connection.sock is first is not None
    connection.request("HEAD", "/photo.jpg", headers={"Host": "a.example"})
    response = connection.getresponse()
    assert (response.read(), response.headers["Content-Length"]) == (b"", str(len(BODY)))
    connection.close()


def test_busy_once(web: DemoWeb) -> None:
    response, _ = _get(web, "a.example", "/busy.jpg")
    assert (response.status, response.headers["Retry-After"]) == (429, "1")
    response, body = _get(web, "a.example", "/busy.jpg")
    assert (response.status, body) == (200, b"at last")


def test_slow_host_takes_about_a_second(web: DemoWeb) -> None:
    start = time.monotonic()
    assert _get(web, "a.example", "/slow.jpg")[1] == BODY
    assert 0.9 < time.monotonic() - start < 4


def test_endless_body_ends_when_the_client_goes_and_in_any_case(web: DemoWeb) -> None:
    for limit in (1_000_000, None):
        connection = _connect(web.address)
        connection.request("GET", "/endless.jpg", headers={"Host": "a.example"})
        response = connection.getresponse()
        assert "Content-Length" not in response.headers
        if limit:
            assert response.read(limit)[:3] == b"\xff\xd8\xff"
        else:
            with pytest.raises(http.client.IncompleteRead) as error:
                response.read()
            got = len(error.value.partial)
            assert got <= ENDLESS_BYTES + (1 << 20)
        connection.close()


def test_broken_answers(web: DemoWeb) -> None:
    with pytest.raises(http.client.RemoteDisconnected):
        _get(web, "a.example", "/drop.jpg")
    with pytest.raises(http.client.BadStatusLine):
        _get(web, "a.example", "/garbage.jpg")


def test_log_knows_every_request(web: DemoWeb) -> None:
    threads = [threading.Thread(target=_get, args=(web, "b.example", "/photo.jpg")) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    _get(web, "a.example", "/Stra%C3%9Fe.jpg")
    assert web.requests.count(("b.example", "/photo.jpg")) == 16
    assert web.requests[-1] == ("a.example", "/Straße.jpg")


def _tls(web: DemoWeb, host: str) -> bytes:
    context = ssl.create_default_context(cadata=web.ca_pem.decode())
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    address, _, port = web.tls_address.partition(":")
    with (
        socket.create_connection((address, int(port)), timeout=5) as plain,
        context.wrap_socket(plain, server_hostname=host) as connection,
    ):
        connection.sendall(f"GET /photo.jpg HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        received = b""
        while piece := connection.recv(1 << 16):
            received += piece
    return received


def test_tls(web: DemoWeb) -> None:
    assert _tls(web, "a.example").endswith(BODY)
    assert _tls(web, "b.example").endswith(b"of b")
    assert b"404" in _tls(web, "never-heard-of.example").splitlines()[0]
    with pytest.raises(ssl.SSLCertVerificationError):
        _tls(web, "bad.example")
    with DemoWeb({}) as other, pytest.raises(ssl.SSLCertVerificationError):
        _tls_of(web, other)


def _tls_of(client_of: DemoWeb, served_by: DemoWeb) -> None:
    """Ask one web while trusting another's authority."""
    context = ssl.create_default_context(cadata=client_of.ca_pem.decode())
    address, _, port = served_by.tls_address.partition(":")
    with socket.create_connection((address, int(port)), timeout=5) as plain:
        context.wrap_socket(plain, server_hostname="a.example").close()


def test_closing_ends_open_connections_and_hanging_answers() -> None:
    before = threading.active_count()
    start = time.monotonic()
    with DemoWeb({route_of("http://a.example/hang.jpg"): Answer(behaviour="hang")}) as web:
        idle = socket.create_connection(("127.0.0.1", int(web.address.partition(":")[2])), timeout=5)
        hanging = _connect(web.address)
        hanging.request("GET", "/hang.jpg", headers={"Host": "a.example"})
        while not web.requests:
            assert time.monotonic() - start < 5
    assert time.monotonic() - start < 5
    assert threading.active_count() == before
    assert idle.recv(1) == b""
    idle.close()
    hanging.close()


def test_bodies_are_made_before_they_are_asked_for_and_no_sooner_than_the_web_is_open() -> None:
    made = threading.Event()

    def body() -> bytes:
        made.set()
        return BODY

    web = DemoWeb({route_of("http://a.example/drawn.jpg"): Answer(body)})
    assert not made.is_set()
    with web:
        assert made.wait(5)
        assert _get(web, "a.example", "/drawn.jpg")[1] == BODY
