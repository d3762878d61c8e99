"""Proxies of the environment: asked only where the configuration says so, and never for what leads inside a network."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from pmd.config.options import FetchOptions
from pmd.errors import ConfigError
from pmd.fetch.http.proxies import Proxies, is_inside
from pmd.fetch.lane.engine import Lane
from pmd.fetch.outcome import Fetched
from tests.fetch.conftest import HASTE, Loopback, Web, image_row, options, photo, reply, table

JPEG = photo()


class Proxy(Loopback):
    """A proxy that answers for every host itself, and leads all tunnels to one port. `heads` holds what it was told."""

    def __init__(self, tunnel_to: int | None = None) -> None:
        super().__init__()
        self.heads: list[str] = []
        self.answers: dict[str, bytes] = {}
        self._tunnel_to = tunnel_to

    @property
    def asked(self) -> list[str]:
        """The first words of what it was told, those for robots.txt and tdmrep.json left out."""
        lines = [head.splitlines()[0].removesuffix(" HTTP/1.1") for head in self.heads]
        return sorted(line for line in lines if not line.endswith((".txt", ".json")))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                self.heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
                method, place, _ = self.heads[-1].split(" ", 2)
                if method != "CONNECT":
                    writer.write(self.answers.get(place, reply(status=404)))
                elif self._tunnel_to is None:
                    writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
                else:
                    writer.write(b'HTTP/1.1 200 Here you are\r\nETag: "of the proxy"\r\n\r\n')
                    inner = await asyncio.open_connection("127.0.0.1", self._tunnel_to)
                    await asyncio.gather(_copied(reader, inner[1]), _copied(inner[0], writer))
                    return
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()


async def _copied(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while piece := await reader.read(1 << 16):
        writer.write(piece)
    writer.close()


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    with Proxy() as opened:
        yield opened


@pytest.fixture(autouse=True)
def _bare(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http", "https", "all", "no"):
        monkeypatch.delenv(f"{name}_proxy", raising=False)
        monkeypatch.delenv(f"{name}_proxy".upper(), raising=False)


def run(rows: pa.Table, fetch_options: FetchOptions) -> tuple[dict[str, Fetched], set[str]]:
    """Fetch where no name resolves but the proxy's; return outcomes, and the names that were looked up."""
    looked_up: set[str] = set()

    def lookup(host: str) -> list[str]:
        looked_up.add(host)
        if host in {"proxy.test", "direct.test"}:
            return ["127.0.0.1"]
        raise OSError("no such name")

    names = dict(zip(rows["image_id"].to_pylist(), rows["identity"].to_pylist(), strict=True))
    with Lane(fetch_options, contact="mailto:us@example.org", patience=HASTE, lookup=lookup, stops=False) as lane:
        return {names[fetched.image_id]: fetched for fetched in lane.fetch(rows)}, looked_up


def through_proxy(**changes: object) -> FetchOptions:
    return options(allow_addresses=(), proxy="environment", **changes)


def test_no_proxy_is_asked_unless_the_configuration_says_so(
    web: Web, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
    web.routes["a.test/x"] = reply(JPEG)
    found, _ = run(table(image_row("x", "http://a.test/x")), options(web))
    assert (found["x"].status, len(web.asked()), proxy.heads) == ("ok", 1, [])


def test_a_proxy_resolves_names_and_is_told_whole_addresses(proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://us:secret@proxy.test:{proxy.port}")
    monkeypatch.setenv("no_proxy", "other.test")
    proxy.answers["http://a.test/x%2f?q"] = reply(JPEG, ETag='"7"')
    proxy.answers["http://b.test:8080/robots.txt"] = reply(b"User-agent: *\nDisallow: /", Content_Type="text/plain")
    proxy.answers["http://b.test:8080/x"] = reply(JPEG)
    rows = table(image_row("a", "http://a.test/x%2f?q"), image_row("b", "http://b.test:8080/x"))
    found, looked_up = run(rows, through_proxy())
    assert {name: fetched.status for name, fetched in found.items()} == {"a": "ok", "b": "opted_out"}
    assert (proxy.asked, looked_up) == (["GET http://a.test/x%2f?q"], {"proxy.test"})
    assert all("Proxy-Authorization: Basic dXM6c2VjcmV0" in head for head in proxy.heads)


def test_what_a_proxy_refuses_is_not_taken_for_the_hosts_word(proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    """A password is wrong: each picture would else be forbidden, and a robots.txt that is not to be had allow all for a day."""
    monkeypatch.setenv("HTTP_PROXY", f"http://us:wrong@proxy.test:{proxy.port}")
    refusal = reply(status=407, Proxy_Authenticate='Basic realm="x"')
    proxy.answers |= {f"http://a.test/{name}": refusal for name in ("x", "robots.txt", ".well-known/tdmrep.json")}
    for robots in (True, False):
        found, _ = run(table(image_row("x", "http://a.test/x")), through_proxy(robots=robots))
        (attempt,) = found["x"].attempts
        assert (found["x"].status, attempt.http_status) == ("connection", None)
        assert "the proxy asks who we are" in (attempt.error or "")
    assert proxy.asked == ["GET http://a.test/x"]


def test_what_leads_inside_a_network_is_refused_all_the_same(proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.port}")
    monkeypatch.setenv("no_proxy", "93.184.216.0/24")  # what libcurl alone would heed
    inside = [
        "127.0.0.1",
        "10.0.0.8",
        "[::1]",
        "169.254.169.254",
        "localhost",
        "a.localhost",
        "intranet",
        "db.internal",
    ]
    proxy.answers["http://a.test/sends"] = reply(status=302, Location="http://127.0.0.1/x")
    proxy.answers["http://93.184.216.34/x"] = reply(JPEG)
    rows = [image_row(host, f"http://{host}/x") for host in [*inside, "93.184.216.34"]]
    found, looked_up = run(table(*rows, image_row("sent", "http://a.test/sends")), through_proxy())
    statuses = {name: fetched.status for name, fetched in found.items()}
    assert statuses == {**dict.fromkeys([*inside, "sent"], "blocked_address"), "93.184.216.34": "ok"}
    assert (proxy.asked, looked_up) == (["GET http://93.184.216.34/x", "GET http://a.test/sends"], set())
    assert found["localhost"].attempts[0].error == (
        "Blocked: localhost: such names lead inside a network, and no address of theirs is known here"
    )


def test_what_is_asked_for_without_a_proxy_is_checked_as_ever(proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.port}")
    monkeypatch.setenv("no_proxy", ".direct.test,direct.test")
    found, looked_up = run(table(image_row("x", "http://direct.test/x")), through_proxy())
    assert (found["x"].status, proxy.heads, looked_up) == ("blocked_address", [], {"direct.test"})


def test_tunnels_are_checked_to_their_end_and_tell_the_proxy_nothing(
    secure: tuple[Web, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    server, pem = secure
    server.routes["secure.test/x"] = reply(JPEG)
    rows = table(image_row("right", "https://secure.test/x"), image_row("wrong", "https://other.test/x"))
    with Proxy(server.port) as proxy:
        monkeypatch.setenv("https_proxy", f"127.0.0.1:{proxy.port}")
        found, _ = run(rows, through_proxy(ca_file=str(pem)))
    assert {name: fetched.status for name, fetched in found.items()} == {"right": "ok", "wrong": "tls"}
    assert set(proxy.asked) == {"CONNECT other.test:443", "CONNECT secure.test:443"}
    assert not any("example.org" in head or "pmd" in head for head in proxy.heads)
    assert server.asked()[0].headers["from"] == "us@example.org"
    assert found["right"].attempts[0].headers == f'{{"content-type":"image/jpeg","content-length":"{len(JPEG)}"}}'


def test_a_proxy_that_leads_nowhere_is_no_answer_of_the_host(proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", f"http://127.0.0.1:{proxy.port}")
    found, _ = run(table(image_row("x", "https://a.test/x")), through_proxy(robots=False))
    (attempt,) = found["x"].attempts
    assert (attempt.status, attempt.http_status) == ("connection", None)


def test_a_header_without_a_colon_is_not_looked_at_again_past_a_proxy(
    proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.port}")
    proxy.answers["http://a.test/x"] = b"HTTP/1.1 200 OK\r\nno colon\r\nConnection: close\r\n\r\n" + JPEG
    found, _ = run(table(image_row("x", "http://a.test/x")), through_proxy(robots=False))
    assert (found["x"].status, proxy.asked) == ("server_error", ["GET http://a.test/x"])


def test_a_proxy_that_cannot_be_asked_is_told_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    for url in ("socks5://us:secret@proxy.test:1080", "http://us:secret@proxy.test:many", "http://"):
        monkeypatch.setenv("https_proxy", url)
        with pytest.raises(ConfigError) as raised:
            Lane(through_proxy(), contact="")
        assert "https_proxy" in str(raised.value)
        assert "expected: http://host:port, or https://host:port" in str(raised.value)
        assert "secret" not in str(raised.value)


def test_the_environment_is_read_as_curl_reads_it() -> None:
    told = Proxies(
        {"HTTP_PROXY": "http://big:1", "http_proxy": "http://small:2", "NO_PROXY": "c.test", "HTTPS_PROXY": ""}
    )
    found = told.of("http", "a.test")
    assert found is not None
    assert (found.host, found.port, told.of("https", "a.test"), told.of("http", "b.c.test")) == ("small", 2, None, None)
    assert "big" not in repr(found)
    assert "//" not in repr(found)
    both = Proxies({"all_proxy": "proxy.test"})
    assert {(proxy.url, proxy.port) for scheme in ("http", "https") if (proxy := both.of(scheme, "a.test"))} == {
        ("http://proxy.test", 80)
    }
    assert not Proxies({"no_proxy": "*", "HTTP_PROXY": "http://p:1"}).of("http", "a.test")
    assert not Proxies(None)


@pytest.mark.parametrize(
    ("host", "inside"),
    [
        ("localhost", True), ("LOCALHOST.", True), ("x.local", True), ("printer.home.arpa", True), ("intranet", True),
        ("metadata.google.internal", True), ("a.test", False), ("internal.example.org", False), ("arpa.org", False),
    ],
)  # fmt: skip
def test_names_that_lead_inside(host: str, inside: bool) -> None:
    assert is_inside(host) is inside
