"""What stands between libcurl and the lane: heads, second looks, authorities, kept connections, room for bodies."""

from __future__ import annotations

import asyncio
import hashlib
import ssl
from pathlib import Path

import certifi
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pmd.config.options import PerHost
from pmd.fetch.http import second_look, transfers, trust
from pmd.fetch.http.broken import Broken
from pmd.fetch.http.head import ENDLESS, Head
from pmd.fetch.lane.engine import Lane
from pmd.fetch.politeness import slots
from pmd.fetch.politeness.slots import Slot
from tests.fetch.conftest import HASTE, Behaviour, Web, image_row, options, photo, reply, table

JPEG = photo()


# --- heads -----------------------------------------------------------------------------------------------------------


def test_a_head_is_read_as_browsers_read_it() -> None:
    head = Head.of(
        [
            b"http/1.1 203 O\xe4\r\n",
            b"this is no header\r\n",
            b"ETag : a\r\n",
            b"etag:\t b \r\n",
            b"X-Folded: a\r\n",
            b"\t b\r\n",
            b": x\n",
            b"X-\xe4: \xff\r\n",
        ]
    )
    assert head == Head(203, {"etag": ["a", "b"], "x-folded": ["a b"], "": ["x"], "x-\udce4": ["\udcff"]})
    assert (head.first("etag"), head.all("etag"), head.first("date"), head.all("date")) == ("a", ["a", "b"], None, [])


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (b"HTTP/1.0 200", 200), (b"HTTP/1.1 404 Not Found\r\n", 404), (b"HTTP/2 200 \r\n", 200), (b"HTTP/1.1 2000 OK", 0),
        (b"HTTP/1.1 OK", 0), (b"HTTP/1.1 099 Low", 0), (b"ICY 200 OK", 0), (b"", 0),
    ],
)  # fmt: skip
def test_a_status_has_three_digits(line: bytes, status: int) -> None:
    assert Head.of([line]).http_status == status


@pytest.mark.parametrize(
    ("said", "length"),
    [
        (b"5", 5),
        (b" 5 ", 5),
        (b"many", None),
        (b"-5", None),
        (b"+5", None),
        (b"", None),
        (b"9" * 30, ENDLESS),
        ("٣".encode(), None),
    ],
)
def test_a_length_is_a_number_or_none(said: bytes, length: int | None) -> None:
    assert Head.of([b"HTTP/1.1 200 OK\r\n", b"Content-Length: " + said + b"\r\n"]).content_length == length


def test_a_length_beside_chunks_says_nothing() -> None:
    lines = [b"HTTP/1.1 200 OK\r\n", b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n"]
    assert Head.of(lines).content_length is None


@given(st.lists(st.binary(max_size=60), max_size=8))
def test_no_head_raises(lines: list[bytes]) -> None:
    head = Head.of(lines)
    assert head.http_status in {0, *range(100, 1000)}
    assert head.content_length is None or head.content_length >= 0
    "".join(head.headers).encode("utf-8", "surrogateescape")


# --- second looks ----------------------------------------------------------------------------------------------------

CLOSES = b"Connection: close\r\n"


@pytest.mark.parametrize(
    ("head", "body", "content"),
    [
        (b"no colon\r\nContent-Length: 3\r\n" + CLOSES, b"abc", b"abc"),
        (b"no colon\r\nTransfer-Encoding: chunked\r\n" + CLOSES, b"2\r\nab\r\n1\r\nc\r\n0\r\n\r\n", b"abc"),
        (b"no colon\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n" + CLOSES, b"3\r\nabc\r\n0\r\n\r\n", b"abc"),
        (b"Content-Length: many\r\n" + CLOSES, b"abc", b"abc"),
        (b"Content-Length: -5\r\n" + CLOSES, b"abc", b"abc"),
        (b"Content-Length: -5\r\nContent-Length: 3\r\n" + CLOSES, b"abc", b"abc"),
        (b"no colon\r\nContent-Length: 3\r\n", b"abc", b"abc"),  # nor does it say that it closes: it has
        (b"Content-Length:\r\n", b"abc", b"abc"),
        (b"Transfer-Encoding: binary\r\n", b"abc", b"abc"),
        (b"Transfer-Encoding: none\r\nContent-Length: 3\r\n", b"abc", b"abc"),
        (b"Transfer-Encoding: binary, chunked\r\n", b"3\r\nabc\r\n0\r\n\r\n", b"abc"),
        (b"X: " + b"x" * 90_000 + b"\r\nno colon\r\n" + b"Y: y\r\n" * 300 + CLOSES, b"abc", b"abc"),
    ],
)  # fmt: skip
def test_what_browsers_pass_over_is_passed_over(head: bytes, body: bytes, content: bytes) -> None:
    for before in (b"", b"HTTP/1.1 103 Early Hints\r\nno colon\r\n\r\n"):
        found, read = second_look.read(before + b"HTTP/1.1 200 OK\r\n" + head + b"\r\n" + body)
        assert (found.http_status, read) == (200, content)


@pytest.mark.parametrize(
    ("head", "body", "status"),
    [
        (b"Transfer-Encoding: gzip\r\n" + CLOSES, b"abc", "server_error"),
        (b"Transfer-Encoding: gzip, chunked\r\n" + CLOSES, b"3\r\nabc\r\n0\r\n\r\n", "server_error"),
        (b"Content-Length: 3\r\nContent-Length: 5\r\nno colon\r\n" + CLOSES, b"abc", "server_error"),
        (b"Content-Length: 3, 5\r\nno colon\r\n" + CLOSES, b"abc", "server_error"),
        (b"no colon\r\nX: \0\r\n" + CLOSES, b"abc", "server_error"),
        (b"no colon\r\nX: a\rContent-Length: 1\r\n" + CLOSES, b"abc", "server_error"),
        (b"no colon\r\n" + CLOSES + b" a\r\n" * 6_000, b"abc", "server_error"),  # more lines than are read
        (b"no colon\r\n" + CLOSES + b"X: " + b"x" * 310_000 + b"\r\n", b"abc", "server_error"),
        (b"no colon\r\nContent-Length: 5\r\n" + CLOSES, b"abc", "connection"),
        (b"no colon\r\nTransfer-Encoding: chunked\r\n" + CLOSES, b"3\r\nabc\r\n", "connection"),
        (b"no colon\r\nTransfer-Encoding: chunked\r\n" + CLOSES, b"zz\r\nabc\r\n", "connection"),
    ],
)  # fmt: skip
def test_what_nobody_can_read_is_not_read(head: bytes, body: bytes, status: str) -> None:
    with pytest.raises(Broken) as raised:
        second_look.read(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n" + body)
    assert raised.value.status == status


def test_interim_answers_are_looked_through_as_far_as_heads_are_read() -> None:
    hints = b"HTTP/1.1 103 Early Hints\r\nno colon\r\n\r\n"
    final = b"HTTP/1.1 200 OK\r\n" + CLOSES + b"\r\nabc"
    assert second_look.read(hints * 1_000 + final)[1] == b"abc"
    with pytest.raises(Broken, match="no head that browsers read"):
        second_look.read(hints * 100_000 + final)


@given(st.binary(max_size=300))
def test_a_second_look_only_ever_breaks(noise: bytes) -> None:
    for answer in (noise, b"HTTP/1.1 200 OK\r\nConnection: close\r\n" + noise):
        try:
            head, content = second_look.read(answer)
        except Broken:
            continue
        assert isinstance(content, bytes)
        assert not head.is_interim


def test_a_second_look_takes_a_turn_and_fails_as_the_first(web: Web) -> None:
    ends = f"Content-Length: {len(JPEG)}\r\n\r\n".encode()

    def odd(end: bytes) -> Behaviour:
        async def answer(writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 200 OK\r\nno colon\r\n" + end + JPEG)

        return answer

    web.routes |= {"a.test/x": odd(ends), "b.test/x": odd(b"Content-Length: 5\r\n" + ends)}
    rows = table(image_row("a", "http://a.test/x"), image_row("b", "http://b.test/x"))
    with Lane(options(web, robots=False, concurrency=1), contact="", patience=HASTE) as lane:
        got = {fetched.location: fetched for fetched in lane.fetch(rows)}
        assert lane.requests() == {"a.test": 2, "b.test": 2}
    assert got["http://a.test/x"].sha256 == hashlib.sha256(JPEG).digest()
    (attempt,) = got["http://b.test/x"].attempts
    assert (attempt.status, attempt.error) == ("server_error", "Broken: curl 8: Header without colon")


# --- authorities -----------------------------------------------------------------------------------------------------


def places(**known: str | None) -> ssl.DefaultVerifyPaths:
    return ssl.get_default_verify_paths()._replace(**{"cafile": None, "capath": None, **known})  # type: ignore[arg-type]


def test_authorities_are_the_systems_and_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own.pem").write_text("OWN")
    (tmp_path / "system.pem").write_text("SYSTEM")
    folder = tmp_path / "certs"
    folder.mkdir()
    (folder / "one.pem").write_text("ONE")
    (folder / "0a1b2c3d.0").symlink_to(folder / "one.pem")
    (folder / "0a1b2c3d.1").symlink_to(folder / "one.pem")
    (folder / "README").write_text("none")

    def read(found: ssl.DefaultVerifyPaths) -> str:
        monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: found)
        authorities = trust.Authorities(str(tmp_path / "own.pem"))
        content = Path(authorities.path).read_text()
        authorities.close()
        assert not Path(authorities.path).exists()
        return content

    assert read(places(cafile=str(tmp_path / "system.pem"))) == "SYSTEM\nOWN\n"
    assert read(places(capath=str(folder))) == "ONE\nOWN\n"
    assert read(places()) == Path(certifi.where()).read_text() + "\nOWN\n"


# --- connections and room --------------------------------------------------------------------------------------------


def test_a_connection_that_the_host_closed_unsaid_loses_no_image_and_sends_nothing_twice(web: Web) -> None:
    async def closes(writer: asyncio.StreamWriter) -> None:
        writer.write(reply(JPEG))

    web.routes |= {f"a.test/{number}": closes for number in range(6)}
    rows = table(*(image_row(str(number), f"http://a.test/{number}") for number in range(6)))
    per_host = PerHost(requests_per_s=50, connections=1)
    with Lane(options(web, robots=False, per_host=per_host), contact="", patience=HASTE) as lane:
        assert [fetched.status for fetched in lane.fetch(rows)] == ["ok"] * 6
        assert len(web.asked()) == lane.requests()["a.test"] == web.connections == 6


def test_the_connection_of_a_hosts_last_image_is_not_kept(web: Web) -> None:
    web.routes |= {f"a.test/{number}": reply(JPEG) for number in range(4)}
    rows = table(*(image_row(str(number), f"http://a.test/{number}") for number in range(3)))
    per_host = PerHost(requests_per_s=10_000, connections=1)
    with Lane(options(web, robots=False, per_host=per_host), contact="", patience=HASTE) as lane:
        assert [fetched.status for fetched in lane.fetch(rows)] == ["ok"] * 3
        assert web.connections == 1
        assert [fetched.status for fetched in lane.fetch(table(image_row("3", "http://a.test/3")))] == ["ok"]
        assert web.connections == 2


def test_a_connection_is_kept_after_a_redirect(web: Web) -> None:
    web.routes |= {"a.test/x": reply(status=301, Location="http://b.test/x"), "b.test/x": reply(JPEG)}
    web.routes["b.test/y"] = reply(JPEG)
    with Lane(options(web, robots=False), contact="", patience=HASTE) as lane:
        assert [fetched.status for fetched in lane.fetch(table(image_row("x", "http://a.test/x")))] == ["ok"]
        # Whether anything more is wanted of the host that it leads to, nobody has looked.
        assert [fetched.status for fetched in lane.fetch(table(image_row("y", "http://b.test/y")))] == ["ok"]
        assert web.connections == 2


def test_libcurl_knows_no_more_names_than_it_has_handles(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[list[str]] = []
    lead = transfers._Names.lead

    def noted(names: transfers._Names, name: str, addresses: str) -> list[str]:
        told.append(lead(names, name, addresses))
        return told[-1]

    monkeypatch.setattr(transfers._Names, "lead", noted)
    hosts = [f"host{number}.test:{web.port}" for number in range(60)]
    web.routes |= {f"{host}/x": reply(JPEG) for host in hosts}
    rows = table(*(image_row(host, f"http://{host}/x") for host in hosts))
    few = options(web, robots=False, concurrency=3)
    with Lane(few, contact="", patience=HASTE, lookup=lambda _: ["127.0.0.1"]) as lane:
        assert [fetched.status for fetched in lane.fetch(rows)] == ["ok"] * 60
    known: set[str] = set()
    most = 0
    for said in told:
        for entry in said:
            known.discard(entry[1:]) if entry[0] == "-" else known.add(entry.rpartition(":")[0])
        most = max(most, len(known))
    assert len(told) == 60
    assert most <= 4  # a handle for each image under way, and a name that no handle leads to any more


def test_a_name_is_known_as_long_as_one_handle_leads_to_it() -> None:
    names = transfers._Names()
    assert names.lead("a.test:80", "10.0.0.1,10.0.0.2") == ["a.test:80:10.0.0.1,10.0.0.2"]
    assert names.lead("a.test:80", "10.0.0.1") == ["a.test:80:10.0.0.1"]
    names.leave("a.test:80")
    assert names.lead("b.test:80", "10.0.0.3") == ["b.test:80:10.0.0.3"]
    names.leave("a.test:80")
    names.leave("b.test:80")
    assert names.lead("b.test:80", "10.0.0.3") == ["-a.test:80", "b.test:80:10.0.0.3"]
    assert names.lead("c.test:80", "10.0.0.4") == ["c.test:80:10.0.0.4"]


def test_proxies_of_the_environment_are_not_asked(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    web.routes["a.test/x"] = reply(JPEG)
    with Lane(options(web), contact="", patience=HASTE) as lane:
        assert [fetched.status for fetched in lane.fetch(table(image_row("x", "http://a.test/x")))] == ["ok"]


def test_bodies_wait_for_room_whole_and_in_order(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of bodies that do not say how long they are only one may be long at a time: the others wait in the middle."""
    monkeypatch.setattr(slots, "_BUDGET_BYTES", 0)
    bodies = {f"a.test/{number}": photo(seed=number) + bytes(3_000_000 + number) for number in range(6)}

    def chunked(body: bytes) -> bytes:
        return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)

    web.routes |= {place: chunked(body) for place, body in bodies.items()}
    rows = table(*(image_row(place, f"http://{place}") for place in bodies))
    chosen = options(web, robots=False, concurrency=4, max_bytes=4_000_000, store="original")
    with Lane(chosen, contact="", patience=HASTE) as lane:
        got = {fetched.location: fetched.stored for fetched in lane.fetch(rows)}
    assert got == {f"http://{place}": body for place, body in bodies.items()}


def test_bodies_in_chunks_that_say_a_length_too_never_wait_for_each_other(
    web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each has said that it is shorter, and is longer: were room kept for what they said, none would come to its end."""
    monkeypatch.setattr(slots, "_BUDGET_BYTES", 0)
    body, said = photo() + bytes(3_400_000), 3_000_000
    both_begun, begun = asyncio.Event(), set[int]()
    reserve_now = Slot.reserve_now

    def noted(slot: Slot, count: int) -> bool:
        there = reserve_now(slot, count)
        begun.add(id(slot))
        if len(begun) == 2:
            web.loop.call_soon_threadsafe(both_begun.set)
        return there

    async def longer(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: %d\r\n\r\n" % said)
        writer.write(b"%x\r\n%s\r\n" % (said, body[:said]))
        await both_begun.wait()
        writer.write(b"%x\r\n%s\r\n0\r\n\r\n" % (len(body) - said, body[said:]))
        await writer.drain()

    monkeypatch.setattr(Slot, "reserve_now", noted)
    places = ["a.test/x", "b.test/x"]
    web.routes |= dict.fromkeys(places, longer)
    rows = table(*(image_row(place, f"http://{place}") for place in places))
    chosen = options(web, robots=False, concurrency=2, max_bytes=4_000_000, store="original", timeout_s=60.0)
    with Lane(chosen, contact="", patience=HASTE) as lane:
        assert [fetched.stored for fetched in lane.fetch(rows)] == [body, body]


def test_a_length_beside_chunks_is_no_reason_to_refuse_a_picture(web: Web) -> None:
    web.routes["a.test/x"] = (
        b"HTTP/1.1 200 OK\r\nContent-Length: 9000000\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n"
        % (len(JPEG), JPEG)
    )
    with Lane(options(web, max_bytes=4_000_000), contact="", patience=HASTE) as lane:
        assert [fetched.status for fetched in lane.fetch(table(image_row("x", "http://a.test/x")))] == ["ok"]
