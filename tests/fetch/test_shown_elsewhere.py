"""Odd answers whose picture Chromium shows, and `requests` or curl: each was lost here, and by no check of ours."""

from __future__ import annotations

import asyncio
import collections
from typing import Final

import pytest

from pmd.fetch.http.receiving import ImageBody
from pmd.fetch.lane.engine import Lane
from tests.fetch.conftest import HASTE, Behaviour, Web, image_row, options, photo, reply, table

JPEG: Final = photo()
LENGTH: Final = b"Content-Length: %d\r\n" % len(JPEG)


def closing(answer: bytes) -> Behaviour:
    """Return what sends an answer, and closes the connection."""

    async def send(writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        await writer.drain()

    return send


def closed(line: bytes, headers: bytes) -> Behaviour:
    return closing(line + b"\r\n" + headers + b"\r\n" + JPEG)


ANSWERS: Final[dict[str, bytes | Behaviour]] = {
    # libcurl took the first until 8.x, and refuses all of them now.
    "two blanks": closed(b"HTTP/1.1  200 OK", LENGTH),
    "HTTP/1.2": closed(b"HTTP/1.2 200 OK", LENGTH),
    "HTTP/1": closed(b"HTTP/1 200 OK", b""),
    "HTTP/2 in letters": closed(b"HTTP/2 200", LENGTH),
    "no colon": closed(b"HTTP/1.1 200 OK", b"no colon\r\n" + LENGTH),
    "no colon in HTTP/1.0": closed(b"HTTP/1.0 200 OK", b"no colon\r\n"),
    "an empty length": closed(b"HTTP/1.1 200 OK", b"Content-Length: \r\n"),
    "a transfer coding that is none": closed(b"HTTP/1.1 200 OK", b"Transfer-Encoding: binary\r\n"),
    "a transfer coding that is none, and a length": closed(
        b"HTTP/1.1 200 OK", b"Transfer-Encoding: none\r\nConnection: close\r\n" + LENGTH
    ),
    # The connection stays open: libcurl waits for its end.
    "identity and a length": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n" + LENGTH + b"\r\n" + JPEG,
    "a range that is one off": reply(JPEG, 206, Content_Range=f"bytes 0-{len(JPEG)}/{len(JPEG)}"),
    "a redirect without a target": reply(JPEG, 302),
    "a redirect with an empty target": reply(JPEG, 301, Location=""),
}


def test_a_picture_that_others_show_is_had(web: Web) -> None:
    web.routes |= {f"a{number}.test/x": answer for number, answer in enumerate(ANSWERS.values())}
    rows = table(*(image_row(name, f"http://a{number}.test/x") for number, name in enumerate(ANSWERS)))
    names = dict(zip(rows["image_id"].to_pylist(), rows["identity"].to_pylist(), strict=True))
    with Lane(options(web, robots=False, store="original"), contact="", patience=HASTE) as lane:
        got = {names[fetched.image_id]: fetched for fetched in lane.fetch(rows)}
    assert {name: (got[name].status, got[name].stored) for name in ANSWERS} == dict.fromkeys(ANSWERS, ("ok", JPEG))


def test_an_address_that_a_strict_server_refuses_is_asked_for_as_the_standard_has_it(web: Web) -> None:
    """Tomcat answers so. What other servers take as it stands is asked for once."""
    web.routes |= {
        "strict.test/a[1]|b.jpg?c={d}": reply(status=400),
        "strict.test/a%5B1%5D%7Cb.jpg?c=%7Bd%7D": reply(JPEG),
        "lax.test/a[1]|b.jpg?c={d}": reply(JPEG),
        "gone.test/a[1].jpg": reply(status=404),
        "bad.test/a.jpg": reply(status=400),
        "stubborn.test:81/a[1].jpg": reply(status=400),
        "stubborn.test:81/a%5B1%5D.jpg": reply(status=400),
    }
    urls = {
        "http://strict.test/a[1]|b.jpg?c={d}": ("ok", 2),
        "http://lax.test/a[1]|b.jpg?c={d}": ("ok", 1),
        "http://gone.test/a[1].jpg": ("dead", 1),
        "http://bad.test/a.jpg": ("dead", 1),
        "http://stubborn.test:81/a[1].jpg": ("dead", 2),
    }
    places = {"*:80": f"127.0.0.1:{web.port}", "*:81": f"127.0.0.1:{web.port}"}
    with Lane(options(robots=False, resolve=places), contact="", patience=HASTE) as lane:
        got = {fetched.location: fetched for fetched in lane.fetch(table(*(image_row(url, url) for url in urls)))}
    asked = collections.Counter(request.host.partition(":")[0] for request in web.asked())
    assert {url: (got[url].status, asked[url.split("/")[2].partition(":")[0]]) for url in urls} == urls


def test_what_has_no_picture_is_what_it_was(web: Web) -> None:
    web.routes |= {
        "a.test/nowhere": reply(b"<html>", 302, Content_Type="text/html"),
        "a.test/packed": closing(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n" + JPEG),
        "a.test/identity": closing(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n" + LENGTH + b"\r\n" + JPEG[: len(JPEG) // 2]
        ),
    }
    expected = {"nowhere": "too_many_redirects", "packed": "server_error", "identity": "connection"}
    rows = table(*(image_row(name, f"http://a.test/{name}") for name in expected))
    names = dict(zip(rows["image_id"].to_pylist(), rows["identity"].to_pylist(), strict=True))
    with Lane(options(web, robots=False), contact="", patience=HASTE) as lane:
        got = {names[fetched.image_id]: fetched for fetched in lane.fetch(rows)}
    assert {name: got[name].status for name in expected} == expected
    assert got["nowhere"].attempts[0].error == "a redirect without a target: text/html, begins with b'<html>'"


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"Transfer-Encoding: identity\r\n" + LENGTH, "ok"),
        (b"Transfer-Encoding: chunked\r\n", "too_large"),
    ],
)
def test_a_body_that_waited_for_room_and_is_of_no_more_use_ends_then(
    web: Web, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, head: bytes, status: str
) -> None:
    """libcurl gives what it held back, is told that it is enough, and would wait for more from a host that is silent."""
    waited = set[int]()
    make_room = ImageBody._make_room

    def busy(body: ImageBody, length: int) -> object:
        """Let each body wait once, as where others have all the room."""
        if id(body) not in waited:
            waited.add(id(body))
            return asyncio.ensure_future(asyncio.sleep(0))
        return make_room(body, length)

    monkeypatch.setattr(ImageBody, "_make_room", busy)
    chunk = b"%x\r\n" % len(JPEG) if status == "too_large" else b""
    web.routes["a.test/x"] = b"HTTP/1.1 200 OK\r\n" + head + b"\r\n" + chunk + JPEG
    most = len(JPEG) - 1 if status == "too_large" else len(JPEG)
    chosen = options(web, robots=False, max_bytes=most, timeout_s=60.0)
    with Lane(chosen, contact="", patience=HASTE) as lane:
        (got,) = lane.fetch(table(image_row("x", "http://a.test/x")))
    assert (got.status, len(waited)) == (status, 1)
    assert not caplog.records
