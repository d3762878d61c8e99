"""The pure parts: statuses, headers, addresses, robots.txt, pace."""

from __future__ import annotations

import asyncio
import datetime
import inspect
import ipaddress
import math
import random
import subprocess
import sys
import tracemalloc
from collections.abc import Coroutine
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pmd.config.options import FetchOptions
from pmd.fetch import dates, outcome
from pmd.fetch.http import addresses, receiving, special
from pmd.fetch.http import resolver as names
from pmd.fetch.http.head import Head
from pmd.fetch.politeness import hosts, policies, robots, shares, signals, tdmrep
from pmd.fetch.politeness.slots import Slot, Slots
from pmd.schema.statuses import OK, STATUSES, TRANSIENT

NOON = datetime.datetime(2026, 1, 2, 12, tzinfo=datetime.UTC)
MOST = outcome.RETRY_AFTER_MOST_S


def test_the_order_of_statuses_is_complete_and_puts_what_may_pass_before_what_will_not() -> None:
    assert sorted(outcome.MOST_INFORMATIVE) == sorted(set(STATUSES) - {OK})
    places = [outcome.MOST_INFORMATIVE.index(status) for status in TRANSIENT]
    assert sorted(places) == list(range(2, len(TRANSIENT) + 2))
    assert outcome.most_informative(["dead", "timeout"]) == "timeout"
    assert outcome.most_informative(["dead", "ok", "opted_out"]) == "ok"
    assert outcome.most_informative([]) == "no_location"
    assert set(STATUSES) >= outcome.RETRIED


@pytest.mark.parametrize(
    ("said", "status"),
    [
        (None, "ok"),
        ("bytes 0-9/10", "ok"),
        ("bytes 00-9/10", "ok"),
        ("Bytes  0-9 / 10", "ok"),
        ("bytes 0-9/*", "ok"),
        ("bytes 0-9/11", "server_error"),
        ("bytes 1-9/10", "server_error"),
        ("bytes 0-10/10", "ok"),  # it contradicts itself, so the body decides
        ("bytes 0-9/5", "ok"),
        ("bytes 1-10/10", "server_error"),
        ("bytes */10", "ok"),  # says of no part which it is: the body decides
        ("pages 0-9/10", "ok"),
    ],
)
def test_part_of_a_picture_is_none_unless_it_is_all_of_it(said: str | None, status: str) -> None:
    assert outcome.status_of(206, {} if said is None else {"content-range": [said]}) == status
    assert outcome.status_of(200, {} if said is None else {"content-range": [said]}) == "ok"


def test_a_refusal_for_now_is_told_from_one_for_good() -> None:
    assert outcome.status_of(403, {}) == "forbidden"
    assert outcome.status_of(403, {"retry-after": ["60"]}) == "rate_limited"
    assert outcome.status_of(451, {"retry-after": ["60"]}) == "rate_limited"
    assert outcome.status_of(404, {"retry-after": ["60"]}) == "dead"
    assert outcome.status_of(500, {"retry-after": ["60"]}) == "server_error"


@pytest.mark.parametrize(
    ("wanted", "made"),
    [("1px-D.svg.png", "20px-D.svg.png"), ("331px-D.svg.png", "500px-D.svg.png"), ("99999px-D.svg.png", "3840px-D.svg.png"),
     ("page7-600px-D.pdf.jpg", "page7-960px-D.pdf.jpg"), ("langde-600px-D.svg.png", "langde-960px-D.svg.png"),
     ("600px-12px-D.svg.png", "960px-12px-D.svg.png"), ("500px-D.svg.png", None), ("D.svg.png", None)],
)  # fmt: skip
def test_a_thumbnail_of_a_width_that_is_made_no_more_is_had_of_the_next(wanted: str, made: str | None) -> None:
    folder = "/wikipedia/commons/thumb/archive/a/ab/D.svg/"
    found = outcome.moved("upload.wikimedia.org", folder + wanted, 400)
    assert found == (made and f"upload.wikimedia.org{folder}{made}")


@given(st.integers(100, 999))
def test_every_http_status_has_one_of_ours(http_status: int) -> None:
    assert outcome.status_of_http(http_status) in STATUSES


@pytest.mark.parametrize(
    ("values", "denied"),
    [
        ([], False),
        (["all"], False),
        (["NoAI"], True),
        (["nofollow, noindex"], True),
        (["noimageindex"], True),
        (["none"], True),
        (["all, noml"], True),
        (["otherbot: noindex, noai"], False),
        (["otherbot: noindex, PMD: noai"], True),
        (["otherbot: noindex", "noai"], True),
        (["unavailable_after: 25 Jun 2010 15:00:00 PST, noai"], True),
        (["unavailable_after: Fri, 25 Jun 2010 15:00:00 PST, noai"], True),
        (["unavailable_after: Friday, 25-Jun-10 15:00:00 UTC, noai"], True),
        (["360Spider: noai"], False),
        (["max-snippet: 50"], False),
        (["max-image-preview:none"], False),
        (["max-image-preview: none, max-snippet: none; nofollow"], False),
        (["max-image-preview: none noai"], True),
        (["max-image-preview noai"], True),
        (['"noai, noimageai"'], True),
        (['"otherbot: noindex", "pmd: noai"'], True),
        (["max-image-preview: none, none"], True),
        (["noindex;nofollow"], True),
        (["nofollow noimageai"], True),
        (["otherbot: nofollow noai"], False),
        (["no-noindex, donoai"], False),
    ],
)
def test_x_robots_tag(values: list[str], *, denied: bool) -> None:
    assert (outcome.denying_tag(values, "pmd", outcome.tags_of(200)) is not None) == denied


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("120", 120),
        (" 0 ", 0),
        ("Fri, 02 Jan 2026 12:00:30 GMT", 30),
        ("Fri, 02 Jan 2026 11:00:00 GMT", 0),
        ("Fri, 2 Jan 2026 12:00:30 GMT", 30),
        ("fri, 02 jan 2026 12:00:30 gmt", 30),
        ("Friday, 02-Jan-26 12:00:30 GMT", 30),
        ("Friday, 02-Jan-2026 12:00:30 GMT", 30),
        ("Fri Jan  2 12:00:30 2026", 30),
        ("Fri Jan 02 12:00:30 2026", 30),
        ("Friday, 02-Jan-76 12:00:00 GMT", MOST),  # fifty years ahead
        ("Saturday, 03-Jan-76 12:00:00 GMT", 0),  # a day more: fifty years ago
        ("Friday, 31-Dec-99 23:59:59 GMT", 0),
        ("Fri, 02 Jan 2026 12:00:60 GMT", 59),  # a leap second
        ("Sun, 29 Feb 2026 12:00:00 GMT", None),
        ("Fri, 02 Jan 0000 12:00:00 GMT", None),
        ("Fri, 02 Jän 2026 12:00:30 GMT", None),
        ("Fri, 02 Jan 2026 24:00:00 GMT", None),
        ("Fri, ٠٢ Jan 2026 12:00:30 GMT", None),
        ("Fri, 01 Jan 9999 00:00:00 GMT", MOST),
        ("9" * 400, MOST),
        ("0" * 400 + "7", 7),
        ("2592001", MOST),
        ("1e400", None),
        ("inf", None),
        ("nan", None),
        ("1.5", 1.5),
        ("2.0", 2),
        ("0.5", 0.5),
        ("2592000.5", MOST),
        ("1.", None),
        (".5", None),
        ("1.5.2", None),
        ("٣", None),
        ("", None),
        ("\udce4", None),
        ("soon", None),
        ("-5", None),
    ],
)
def test_retry_after(value: str | None, seconds: float | None) -> None:
    assert outcome.retry_after_s(value, NOON) == seconds


def test_dates_do_not_depend_on_the_machines_language() -> None:
    code = (
        "import datetime, locale\n"
        "from pmd.fetch import dates\n"
        "names = 'de_DE.UTF-8', 'fr_FR.UTF-8', 'ja_JP.UTF-8', 'C'\n"
        "for name in names:\n"
        "    try: locale.setlocale(locale.LC_ALL, name); break\n"
        "    except locale.Error: pass\n"
        "print(dates.parse('Sun, 06 May 2026 08:49:37 GMT', datetime.datetime.now(datetime.UTC)))\n"
    )
    said = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert said == "2026-05-06 08:49:37+00:00\n"
    source = inspect.getsource(dates)
    assert "strptime(" not in source


@given(st.text() | st.from_regex(dates._FORMS[1], fullmatch=True), st.datetimes(timezones=st.just(datetime.UTC)))
def test_any_retry_after_is_bounded(value: str, now: datetime.datetime) -> None:
    seconds = outcome.retry_after_s(value, now)
    assert seconds is None or 0 <= seconds <= MOST


def test_an_x_robots_tag_of_any_length_is_judged_at_once() -> None:
    long, directives = "otherbot: noindex, " * 20_000, outcome.tags_of(200)
    assert outcome.denying_tag([long], "pmd", directives) == long
    assert outcome.denying_tag(["otherbot: all, " * 20_000], "pmd", directives) is None
    assert outcome.denying_tag(["otherbot: noindex, " * 100], "pmd", directives) is None


@given(st.text(st.characters(exclude_categories=[])), st.binary(max_size=50))
def test_whatever_hosts_say_can_be_written_down(text: str, octets: bytes) -> None:
    said = text + octets.decode("utf-8", "surrogateescape")
    attempt = outcome.Attempt(
        b"x" * 16, "http://a.test/", 0, NOON, "dead", None, said, outcome.evidence({"etag": [said]}), said, said, said
    )
    assert orjson.loads(orjson.dumps(outcome.attempts_table([attempt]).drop(["image_id"]).to_pylist()))
    policy = robots.Policy(NOON, None, status="dns", error=said)
    assert orjson.dumps(policy)


def test_octets_that_are_no_text_are_kept_escaped() -> None:
    assert outcome.evidence({"etag": [b'"\xe4\x00\xff"'.decode("utf-8", "surrogateescape")]}) == (
        '{"etag":"\\"\\\\xe4\\u0000\\\\xff\\""}'
    )
    assert outcome.storable("\ud800 ä \udcff") == "\\ud800 ä \\xff"


@pytest.mark.parametrize(
    ("octets", "url"),
    [
        (b"/b\xe4.jpg", "http://a.test/b%E4.jpg"),
        ("/bä.jpg".encode(), "http://a.test/b%C3%A4.jpg"),
        (b"/b\xe4%20\xc3\xa4?\xff#\xff", "http://a.test/b%E4%20%C3%A4?%FF"),
        ("http://bücher.test/".encode(), "http://xn--bcher-kva.test/"),
        (b"  /x\t ", "http://a.test/x"),
        (b"/a b|c", "http://a.test/a%20b|c"),
    ],
)
def test_a_location_of_any_octets_leads_where_browsers_go(octets: bytes, url: str) -> None:
    """Chromium and WPT's fetch/api/redirect/redirect-location-escape: each octet beyond ASCII is escaped as it is."""
    place = addresses.location(octets.decode("utf-8", "surrogateescape"))
    assert addresses.parse(place, "http://a.test/y").url == url


@pytest.mark.parametrize(
    ("host", "path", "known"),
    [
        ("i.imgur.com", "/removed.png", True),
        ("I.Imgur.com", "/removed.png", True),
        ("i.imgur.com", "/a/removed.png", False),
        ("combo.staticflickr.com", "/pw/images/en-us/photo_unavailable.png", True),
        ("s.yimg.com", "/pw/images/en-us/photo_unavailable.png", True),
        ("live.staticflickr.com", "/1/2_3.jpg", False),
        ("assets.tumblr.com", "/images/media_violation/community_guidelines_v1_1280.png", True),
        ("assets.tumblr.com", "/images/default_avatar.png", False),
        ("notflickr.com", "/photo_unavailable.png", False),
        ("notflickr.com.evil.test", "/photo_unavailable.png", False),
    ],
)
def test_placeholders(host: str, path: str, *, known: bool) -> None:
    assert (outcome.placeholder_of(host, path) is not None) == known


@pytest.mark.parametrize(
    ("address", "refused"),
    [
        ("8.8.8.8", False),
        ("2606:4700::1", False),
        ("127.0.0.1", True),
        ("10.0.0.1", True),
        ("192.168.1.1", True),
        ("172.16.0.1", True),
        ("169.254.169.254", True),
        ("100.64.0.1", True),
        ("100.100.100.200", True),
        ("168.63.129.16", True),
        ("192.0.0.192", True),
        ("0.0.0.0", True),
        ("224.0.0.1", True),
        ("255.255.255.255", True),
        ("::", True),
        ("::1", True),
        ("fe80::1", True),
        ("fec0::1", True),
        ("fd00:ec2::254", True),
        ("ff02::1", True),
        ("::ffff:127.0.0.1", True),
        ("::ffff:8.8.8.8", False),
        ("64:ff9b::7f00:1", True),
        ("64:ff9b::808:808", False),
        ("2002:7f00:1::", True),
        ("2001:db8::1", True),
    ],
)
def test_addresses(address: str, *, refused: bool) -> None:
    assert (addresses.AddressPolicy().refusal(address) is not None) == refused


REACHABLE = {"64:ff9b::/96"}  # by the address that it carries


@pytest.mark.parametrize("row", [*special.IPV4, *special.IPV6], ids=lambda row: row[0])
def test_every_block_of_the_registries_is_judged_by_its_row(row: special.Row) -> None:
    """First and last address, and their neighbours outside: as the narrowest row that holds them says, or public."""
    policy = addresses.AddressPolicy()
    block = ipaddress.ip_network(row[0])
    first, last = block[0], block[-1]
    inside = {first, last} if row[0] not in REACHABLE | {"::ffff:0:0/96", "2001::/32", "2002::/16"} else set()
    beside = {type(first)(number) for number in (int(first) - 1, int(last) + 1) if 0 <= number < 2**first.max_prefixlen}
    for address in inside | beside:
        rows = [other for other in (*special.IPV4, *special.IPV6) if _holds(other, address)]
        narrowest = max(rows, key=lambda other: ipaddress.ip_network(other[0]).prefixlen, default=None)
        public = narrowest[3] is True if narrowest is not None else _is_of_the_internet(address)
        public = public and not _holds(("192.0.0.0/24",), address)  # Oracle's metadata
        assert (policy.refusal(str(address)) is None) == public, address


def _holds(row: tuple[Any, ...], address: addresses.IpAddress) -> bool:
    block = ipaddress.ip_network(row[0])
    return block.version == address.version and address in block


def _is_of_the_internet(address: addresses.IpAddress) -> bool:
    return not address.is_multicast if address.version == 4 else address in ipaddress.ip_network("2000::/3")


def test_the_registries_are_whole() -> None:
    assert (len(special.IPV4), len(special.IPV6)) == (26, 25)
    assert all(ipaddress.ip_network(row[0]) for row in (*special.IPV4, *special.IPV6, *special.SPACE))


CARRYING = {
    "mapped": "::ffff:{inner}",
    "NAT64": "64:ff9b::{inner}",
    "6to4": "2002:{hex}::1",
    "Teredo's server": "2001:0:{hex}:0:0:f7f7:f7f7",
    "Teredo's client": "2001:0:808:808:0:0:{inverse}",
    "ISATAP": "2001:470:1::5efe:{inner}",
    "ISATAP, universal": "2001:470:1:0:200:5efe:{inner}",
    "ISATAP in 6to4": "2002:808:808::5efe:{inner}",
}


@pytest.mark.parametrize("form", CARRYING.values(), ids=CARRYING)
@pytest.mark.parametrize(
    ("inner", "refused"),
    [
        ("8.8.8.8", False),
        ("127.0.0.1", True),
        ("10.1.2.3", True),
        ("169.254.169.254", True),
        ("192.88.99.1", True),
        ("100.64.0.1", True),
        ("168.63.129.16", True),
        ("240.0.0.1", True),
        ("224.0.0.1", True),
        ("0.0.0.0", True),
    ],
)
def test_addresses_that_carry_another_are_judged_by_all(form: str, inner: str, *, refused: bool) -> None:
    number = int(ipaddress.IPv4Address(inner))
    inverse = number ^ 0xFFFFFFFF
    address = form.format(
        inner=inner,
        hex=f"{number >> 16:x}:{number & 0xFFFF:x}",
        inverse=f"{inverse >> 16:x}:{inverse & 0xFFFF:x}",
    )
    assert (addresses.AddressPolicy().refusal(address) is not None) == refused, address


@pytest.mark.parametrize(
    "address",
    [
        "::8.8.8.8",
        "::ffff:0:8.8.8.8",
        "64:ff9b:1::8.8.8.8",
        "fe80::5efe:8.8.8.8",
        "4000::1",
        "fe80::1%eth0",
        "1::",
        "fec0::1",
    ],
)
def test_blocks_that_are_nobodys_are_refused_whatever_they_carry(address: str) -> None:
    assert addresses.AddressPolicy().refusal(address) is not None


def test_what_was_refused_is_read_from_what_an_attempt_keeps() -> None:
    class Nobody(Executor):
        def submit(self, function: Any, /, *arguments: Any, **named: Any) -> Future[Any]:
            found: Future[Any] = Future()
            found.set_result(function(*arguments, **named))
            return found

    async def refused(host: str, *found: str) -> list[str]:
        resolver = names.Resolver(addresses.AddressPolicy(), addresses.Routes({}), Nobody(), lambda _: list(found))
        with pytest.raises(addresses.Blocked) as raised:
            await resolver.route("http", host, 80)
        return addresses.refused(f"{type(raised.value).__name__}: {raised.value}"[:500])

    assert asyncio.run(refused("a.test", "10.0.0.1", "fd00::1")) == ["10.0.0.1", "fd00::1"]
    assert asyncio.run(refused("fe80::1")) == ["fe80::1"]
    for url in ("x: 10.0.0.1 is not a public address", "ftp://h/: 10.0.0.1 is not a public address"):
        with pytest.raises(addresses.Blocked) as raised:
            addresses.parse(url)
        assert addresses.refused(f"Blocked: {raised.value}") == []


def test_named_addresses_are_allowed_in_either_spelling() -> None:
    policy = addresses.AddressPolicy.of(("127.0.0.0/8", "::1/128"))
    assert [policy.refusal(address) for address in ("127.0.0.1", "::ffff:127.0.0.1", "::1")] == [None] * 3
    assert policy.refusal("10.0.0.1")


@pytest.mark.parametrize(
    ("url", "base", "expected"),
    [
        ("http://A.test", None, ("http://a.test/", "a.test", 80, "/")),
        (
            "https://a.test:8443/ä b?c d#e",
            None,
            ("https://a.test:8443/%C3%A4%20b?c%20d", "a.test", 8443, "/%C3%A4%20b?c%20d"),
        ),
        ("http://user:secret@a.test/", None, ("http://a.test/", "a.test", 80, "/")),
        ("http://bücher.test/", None, ("http://xn--bcher-kva.test/", "xn--bcher-kva.test", 80, "/")),
        ("http://0x7f.1/", None, ("http://127.0.0.1/", "127.0.0.1", 80, "/")),
        ("http://[::1]:81/", None, ("http://[::1]:81/", "::1", 81, "/")),
        ("../b", "http://a.test/x/y/z", ("http://a.test/x/b", "a.test", 80, "/x/b")),
        ("//b.test/c", "https://a.test/", ("https://b.test/c", "b.test", 443, "/c")),
    ],
)
def test_urls_are_taken_apart(url: str, base: str | None, expected: tuple[str, str, int, str]) -> None:
    target = addresses.parse(url, base)
    assert (target.url, target.host, target.port, target.path) == expected


@pytest.mark.parametrize(
    "url", ["", "x", "ftp://a.test/", "file:///etc/passwd", "http://", "http://a b/", "javascript:1"]
)
def test_urls_that_are_none(url: str) -> None:
    with pytest.raises(addresses.Blocked):
        addresses.parse(url)


@given(
    st.sampled_from(["http://", "https://", "HTTP://", "http:/"]),
    st.text("abz09-.xn", min_size=1, max_size=8)
    | st.sampled_from(["a.test", "xn--a", "a.0x1", "1.2", "a.xn--b", "a..b", "a-", "-a"]),
    st.sampled_from(["", ":80", ":443", ":1", ":8080", ":35225", ":59999", ":65535", ":65536", ":0", ":080"]),
    st.text("abz09./%2eE_~?&=@:;!$'()*+,#[]|^\\ {}<>\"`\u00e9", max_size=10),
)
def test_a_url_that_is_not_asked_about_is_what_the_standard_says(scheme: str, host: str, port: str, rest: str) -> None:
    url = f"{scheme}{host}{port}/{rest}"
    try:
        expected = addresses.parse(url, "http://base.test/")  # with a base, the standard is always asked
    except addresses.Blocked:
        assume(scheme != "http:/")
        with pytest.raises(addresses.Blocked):
            addresses.parse(url)
        return
    assume(scheme != "http:/")
    assert addresses.parse(url) == expected


def test_most_urls_are_not_asked_about(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(addresses.ada_url, "URL", None)
    url = "https://farm4.static-example.test:8080/3456/12_a~b%20c.jpg?w=640&h=480"
    target = addresses.parse(url)
    assert target == (url, "https", "farm4.static-example.test", 8080, "/3456/12_a~b%20c.jpg?w=640&h=480")
    assert target.origin == "https://farm4.static-example.test:8080"


def test_routes_are_those_of_curl() -> None:
    routes = addresses.Routes.of({"a.test:80": "127.0.0.1:8080", "*:443": "[::1]:8443"})
    assert routes.of_host("a.test", 80) == ("127.0.0.1", 8080)
    assert routes.of_host("b.test", 80) == ("b.test", 80)
    assert routes.of_host("b.test", 443) == ("::1", 8443)
    assert routes.of_host("169.254.169.254", 443) == ("169.254.169.254", 443)


FILE = """
# of an image host
User-agent: *
Disallow: /private/
Allow: /private/open
Disallow: /*.gif$
Disallow: /caf%C3%A9

User-agent: OtherBot
User-agent: pmd/2.0
Disallow: /ours
Sitemap: https://a.test/map

User-agent: PMD
Disallow: /also-ours
"""


@pytest.mark.parametrize(
    ("agent", "path", "allowed"),
    [
        ("nobody", "/x.jpg", True),
        ("nobody", "/private/x.jpg", False),
        ("nobody", "/private/open.jpg", True),
        ("nobody", "/a/b.gif", False),
        ("nobody", "/a/b.gif?x", True),
        ("nobody", "/café/x", False),
        ("nobody", "/caf%c3%a9/x", False),
        ("nobody", "/%70rivate/x", False),
        ("nobody", "/ours", True),
        ("pmd", "/ours/x", False),
        ("pmd", "/also-ours", False),
        ("pmd", "/private/x", True),
        ("pmdx", "/ours/x", True),
        ("otherbot", "/ours", False),
        ("otherbot", "/also-ours", True),
    ],
)
def test_robots_rules(agent: str, path: str, *, allowed: bool) -> None:
    assert robots.verdict(robots.Policy(NOON, 200, FILE), "https://a.test", path, agent).allowed == allowed


@pytest.mark.parametrize(
    ("file", "delay_s"),
    [
        ("User-agent: *\nCrawl-delay: 1", 1.0),
        ("User-agent: *\nCrawl-delay: 2", 2.0),
        ("User-agent: *\nCrawl-delay: 2.5", 2.0),  # no longer than `MOST_DELAY_S`
        ("User-agent: *\nCrawl-delay: 10", 2.0),
        ("User-agent: *\nDisallow: /private\nCRAWL-DELAY : 0.5 # half\nAllow: /", 0.5),
        ("User-agent: pmd\nCrawl-delay: 1\n\nUser-agent: *\nCrawl-delay: 2", 1.0),
        ("User-agent: pmd\nDisallow:\n\nUser-agent: *\nCrawl-delay: 9", 0.0),  # ours says none
        ("User-agent: otherbot\nCrawl-delay: 9\nDisallow: /\n\nUser-agent: *\nDisallow:", 0.0),
        ("User-agent: otherbot\nUser-agent: *\nCrawl-delay: 0.3\nCrawl-delay: 0.4", 0.4),
        ("Crawl-delay: 5", 0.0),
        ("User-agent: *\nCrawl-delay: " + "9" * 400, 2.0),
        ("User-agent: *\nCrawl-delay: -1\nCrawl-delay: often\nCrawl-delay:\nCrawl-delay: nan\nCrawl-delay: inf", 0.0),
        ("User-agent: *\nCrawl-delay 1.7", 1.7),
        ("User-agent: *\nCrawl-delay: .5", 0.5),
        ("", 0.0),
    ],
)
def test_a_crawl_delay_is_that_of_our_group(file: str, delay_s: float) -> None:
    verdict = robots.verdict(robots.Policy(NOON, 200, file), "https://a.test", "/x", "pmd")
    assert (verdict.allowed, verdict.delay_s) == (True, delay_s)


def test_a_crawl_delay_ends_no_list_of_agents() -> None:
    """RFC 9309 does not know it, and Google's parser passes over it: both agents have the rule behind it."""
    file = "User-agent: *\nCrawl-delay: 5\nUser-agent: otherbot\nDisallow: /"
    assert not robots.verdict(robots.Policy(NOON, 200, file), "https://a.test", "/x", "pmd").allowed


@pytest.mark.parametrize(
    ("pattern", "path", "matches"),
    [
        ("/fish", "/fish.html", True),
        ("/fish", "/Fish.asp", False),
        ("/fish*", "/fishheads/yummy.html", True),
        ("/fish/", "/fish", False),
        ("/*.php", "/folder/filename.php?parameters", True),
        ("/*.php$", "/filename.php?parameters", False),
        ("/*.php$", "/filename.php", True),
        ("/fish*.php", "/fishheads/catfish.php?parameters", True),
        ("*", "/anything", True),
        ("/$", "/", True),
        ("/$", "/x", False),
        ("/a*a$", "/a", False),
        ("/" + "*a" * 200 + "$", "/" + "a" * 199 + "b", False),
    ],
)
def test_robots_patterns(pattern: str, path: str, *, matches: bool) -> None:
    """The examples of RFC 9309 and of Google's specification, and one that backtracking would never end on."""
    rules = robots.rules_for(f"User-agent: *\nDisallow: {pattern}", "pmd")
    assert (robots.decide(rules, path) is not None) == matches


@given(st.text(), st.text())
def test_no_robots_file_is_an_error(body: str, path: str) -> None:
    robots.verdict(robots.Policy(NOON, 200, body), "https://a.test", "/" + path, "pmd")


@pytest.mark.parametrize(
    ("said", "allows"),
    [
        ("", None),
        ("search=yes, ai-input=no", None),
        ("search=yes,ai-train=no,use=reference", False),
        ("search=yes, ai-train=yes", True),
        ("AI-Train = No", False),
        ('"ai-train=no, search=yes"', False),
        ("search=yes ai-train=no", False),
        ("search=yes; ai-train=no", False),
        ("ai-train=disallow, ai-input=allow", False),
        ("ai-train", None),
        ("ai-train=", None),
        ("ai-train=maybe", None),
        ("ai-train=nobody", None),
        ("x-ai-train=no, ai-train-x=no, ai-training=no", None),
        ("train-ai=n", False),
        ("train-ai=y", True),
        ("search=n, ai-use=n", None),
        ("train-ai;why=none, search=y", None),
        ('train-ai=n;why="a, b"', False),
        ("train-ai=y, train-ai=n", False),  # the no counts
        ("train-ai=n, train-ai=y", False),
        ("bots=n", False),  # all use, in drafts up to -04
        ("bots=n, search=y", False),
        ("bots=n, train-ai=y", True),  # what is said of training itself counts
        ("bots=y, train-ai=n", False),
        ("train-ai=y, train-genai=n", False),
        ("\udce4=n, é=no, ai-traın=no", None),
    ],
)
def test_signals_on_training(said: str, *, allows: bool | None) -> None:
    assert signals.allows(said) is allows


CLOUDFLARE = """# BEGIN Cloudflare Managed content
User-agent: *
Content-Signal: search=yes,ai-train=no,use=reference
Allow: /

User-agent: CCBot
Disallow: /
# END Cloudflare Managed Content

User-agent: *
Disallow: /private
"""
#: The example of draft-ietf-aipref-attach-05.
AIPREF = """User-Agent: *
Allow: /
Disallow: /never/
Content-Usage: train-ai=n
Content-Usage: /ai-ok/ train-ai=y

User-Agent: ExampleBot
Allow: /
Content-Usage: train-ai=y
"""


@pytest.mark.parametrize(
    ("file", "agent", "path", "evidence"),
    [
        (CLOUDFLARE, "pmd", "/x.jpg", "Content-Signal: search=yes,ai-train=no,use=reference"),
        (CLOUDFLARE, "pmd", "/private/x.jpg", "Disallow: /private"),
        (AIPREF, "pmd", "/test", "Content-Usage: train-ai=n"),
        (AIPREF, "pmd", "/never/test", "Disallow: /never/"),
        (AIPREF, "pmd", "/ai-ok/test", None),
        (AIPREF, "examplebot", "/test", None),
        ("User-agent: *\nContent-Signal: search=no, ai-input=no", "pmd", "/x", None),
        (
            "User-agent: *\nContent-Signal: /blog ai-train=no # ours",
            "pmd",
            "/blog/x",
            "Content-Signal: /blog ai-train=no",
        ),
        ("User-agent: *\nContent-Signal: /blog ai-train=no", "pmd", "/x", None),
        (
            "User-agent: *\nCONTENT-USAGE :\t/*.jpg$\ttrain-ai=n",
            "pmd",
            "/a/x.jpg",
            "Content-Usage: /*.jpg$\ttrain-ai=n",
        ),
        ("User-agent: *\nContent-Usage: /*.jpg$ train-ai=n", "pmd", "/a/x.png", None),
        ("User-agent: *\nContent-Usage: /caf%C3%A9 train-ai=n", "pmd", "/café", "train-ai=n"),
        ("User-agent: *\nContent-Signal ai-train=no", "pmd", "/x", "Content-Signal: ai-train=no"),
        # The longest that says something of training counts, and of two as long the no; one name does not undo the other.
        ("User-agent: *\nContent-Usage: train-ai=n\nContent-Usage: /a search=y", "pmd", "/a", "train-ai=n"),
        ("User-agent: *\nContent-Signal: ai-train=yes\nContent-Signal: / ai-train=no", "pmd", "/a", "/ ai-train=no"),
        ("User-agent: *\nContent-Signal: /a ai-train=yes\nContent-Usage: train-ai=n", "pmd", "/a", "train-ai=n"),
        # Whose they are.
        ("User-agent: pmd\nDisallow:\n\nUser-agent: *\nContent-Signal: ai-train=no", "pmd", "/x", None),
        ("User-agent: otherbot\nContent-Signal: ai-train=no\nUser-agent: *\nDisallow: /a", "pmd", "/x", None),
        ("User-agent: otherbot\nContent-Signal: ai-train=no\nUser-agent: *\nDisallow: /a", "otherbot", "/a", "/a"),
        (
            "User-agent: *\nCrawl-delay: 2\nContent-Signal: ai-train=no\nUser-agent: b\nAllow: /",
            "pmd",
            "/x",
            "ai-train=no",
        ),
        ("Content-Signal: ai-train=no", "pmd", "/x", None),
        # What cannot be read.
        (
            "User-agent: *\nContent-Signal: /a?ai-train=no\nContent-Usage:\nContent-Usage: =\nContent-Usage: /",
            "pmd",
            "/a",
            None,
        ),
    ],
)
def test_signals_of_robots_txt(file: str, agent: str, path: str, evidence: str | None) -> None:
    found = robots.verdict(robots.Policy(NOON, 200, file), "https://a.test", path, agent)
    assert found.allowed == (evidence is None)
    assert found.evidence.startswith("https://a.test/robots.txt")
    assert found.evidence.endswith(evidence or "")


@pytest.mark.parametrize(
    ("http_status", "lines", "denied"),
    [
        (
            200,
            ["Content-Signal: ai-train=no, search=yes"],
            ("Content-Signal", "Content-Signal: ai-train=no, search=yes"),
        ),
        (200, ["content-usage: train-ai=n"], ("Content-Usage", "Content-Usage: train-ai=n")),
        (
            200,
            ["Content-Usage: search=y", "Content-Usage: train-ai=n"],
            ("Content-Usage", "Content-Usage: search=y, train-ai=n"),
        ),
        (
            200,
            ["Content-Signal: ai-train=yes", "Content-Usage: train-ai=n"],
            ("Content-Usage", "Content-Usage: train-ai=n"),
        ),
        (302, ["Content-Usage: train-ai=n"], ("Content-Usage", "Content-Usage: train-ai=n")),
        (404, ["Content-Signal: ai-train=no"], ("Content-Signal", "Content-Signal: ai-train=no")),
        (200, ["X-Archive-Orig-Content-Usage: train-ai=n"], ("Content-Usage", "Content-Usage: train-ai=n")),
        (200, ["Content-Signal: ai-input=no, search=no", "Content-Usage: search=n"], None),
        (200, ["Content-Signal: ai-train=yes", "Content-Usage: train-ai=y"], None),
        (200, ["Content-Security-Policy: ai-train=no"], None),
    ],
)
def test_signals_of_headers(http_status: int, lines: list[str], denied: tuple[str, str] | None) -> None:
    head = Head.of([f"{line}\r\n".encode() for line in (f"HTTP/1.1 {http_status} X", *lines)])
    assert receiving.denial(head, "pmd", tdmrep_counts=False) == denied


def test_signals_of_more_patterns_than_are_looked_through_are_a_no() -> None:
    lines = "".join(f"Content-Usage: *{'a' * 40}{number}*a train-ai=y\n" for number in range(6_000))
    policy = robots.Policy(NOON, 200, f"User-agent: *\n{lines}")
    found = robots.verdict(policy, "https://a.test", "/" + "a" * 4_000, "pmd")
    assert (found.allowed, found.evidence) == (False, "https://a.test/robots.txt " + robots.TOO_MUCH.format(4_001))
    assert robots.verdict(policy, "https://a.test", "/a", "pmd").allowed


@given(st.text(alphabet='ai-tran=,;n yes/*\t"bots'))
def test_no_signal_is_an_error(said: str) -> None:
    assert signals.allows(said) in (True, False, None)
    robots.verdict(robots.Policy(NOON, 200, f"User-agent: *\nContent-Signal: {said}"), "https://a.test", "/x", "pmd")


RESERVED = """[
  {"location": "/open/*", "tdm-reservation": 0},
  {"location": "/open-again", "tdm-reservation": "0"},
  {"location": "/pictures/*.jpg$", "tdm-reservation": 1, "tdm-policy": "https://a.test/terms.json"},
  {"location": "/text", "tdm-reservation": "1"},
  {"location": "/odd", "tdm-reservation": true},
  {"location": 3, "tdm-reservation": 1},
  "nothing",
  {"location": "/open", "tdm-reservation": 1}
]"""


@pytest.mark.parametrize(
    ("path", "allowed", "evidence"),
    [
        ("/open/x.jpg", True, "/open/*: tdm-reservation 0"),
        ("/open-again", True, "/open-again: tdm-reservation 0"),
        ("/open", False, "/open: tdm-reservation 1"),
        ("/pictures/a/x.jpg", False, "/pictures/*.jpg$: tdm-reservation 1, tdm-policy https://a.test/terms.json"),
        ("/pictures/x.jpg?size=1", True, "has no rule for it"),
        ("/%74ext/x", False, "/text: tdm-reservation 1"),
        ("/odd", True, "/odd: tdm-reservation 0"),
        ("/elsewhere", True, "has no rule for it"),
    ],
)
def test_tdmrep_rules(path: str, evidence: str, *, allowed: bool) -> None:
    found = tdmrep.verdict(robots.Policy(NOON, 200, RESERVED), "https://a.test", path)
    assert found.allowed == allowed
    assert found.evidence.startswith("https://a.test/.well-known/tdmrep.json")
    assert found.evidence.endswith(evidence)


@given(st.text() | st.sampled_from(["{}", "[", "null", '[{"location": "", "tdm-reservation": 1}]']), st.text())
def test_no_tdmrep_file_is_an_error(body: str, path: str) -> None:
    assert tdmrep.verdict(robots.Policy(NOON, 200, body), "https://a.test", "/" + path).allowed


@pytest.mark.parametrize(
    ("values", "policies", "said"),
    [
        ([], [], None),
        (["0"], ["https://a.test/terms"], None),
        (["yes"], [], None),
        ([" 1 "], [], "tdm-reservation: 1"),
        (["0", "1"], ["https://a.test/terms"], "tdm-reservation: 1; tdm-policy: https://a.test/terms"),
        (["0, 1"], [], "tdm-reservation: 1"),  # two of them, put together by a server on the way
        (['"1"; x=y'], [], "tdm-reservation: 1"),
        (["10"], [], None),
    ],
)
def test_tdmrep_headers(values: list[str], policies: list[str], said: str | None) -> None:
    assert tdmrep.reserving_header(values, policies) == said


def test_policies_are_kept_and_age(tmp_path: Path) -> None:
    old = robots.Policy(NOON - datetime.timedelta(hours=2), 404)
    new = robots.Policy(NOON, 200, "User-agent: *\nDisallow: /")
    broken = robots.Policy(NOON - datetime.timedelta(hours=2), 500, status="server_error", error="x")
    keep(tmp_path, "lane-0", {"http://a.test": old, "http://b.test": broken})
    keep(tmp_path, "lane-1", {"http://a.test": new})
    keep(tmp_path, "lane-0", {"http://a.test": new}, "tdmrep")
    kept = list(policies.read(str(tmp_path)))
    assert sorted(kept, key=str) == sorted(
        [("http://a.test", old), ("http://b.test", broken), ("http://a.test", new)], key=str
    )
    assert list(policies.read(str(tmp_path), "tdmrep")) == [("http://a.test", new)]
    hour, minute = datetime.timedelta(hours=1), datetime.timedelta(minutes=1)
    assert [policy.is_fresh(NOON) for policy in (old, new)] == [True, True]
    assert not old.is_fresh(NOON + 30 * hour)
    asked = broken.when
    assert broken.is_fresh(asked + minute)
    assert not broken.is_fresh(asked + 6 * minute)
    for began, known in ((asked - minute, {"http://a.test", "http://b.test"}), (asked + minute, {"http://a.test"})):
        with policies.Kept(str(tmp_path), "lane-2", began) as found:
            assert {*found} == known, "an unreachable file of an earlier run does not stand"


@pytest.mark.parametrize("status", [None, "server_error"])
def test_what_was_learnt_by_a_clock_that_was_ahead_does_not_stand(status: str | None) -> None:
    ahead = robots.Policy(NOON + datetime.timedelta(hours=3), 404, status=status)
    assert not ahead.is_fresh(NOON)
    assert ahead.is_fresh(ahead.when)
    assert ahead.is_fresh(ahead.when - datetime.timedelta(minutes=1)), "machines' clocks differ"


def test_files_that_others_put_beside_what_hosts_said_are_let_be(tmp_path: Path) -> None:
    keep(tmp_path, "lane-0", {"http://a.test": robots.Policy(NOON, 404)})
    folder = Path(policies.hosts_folder(str(tmp_path)))
    for name in ("robots-notes.jsonl", "robots-.jsonl"):
        (folder / name).write_text("{}\n")
    assert [origin for origin, _ in policies.read(str(tmp_path))] == ["http://a.test"]


def run(coroutine: Coroutine[Any, Any, None]) -> None:
    asyncio.run(coroutine)


def test_bytes_under_way_are_bounded_and_begun_bodies_come_first() -> None:
    async def story() -> None:
        slots = Slots(images=4, max_bytes=1)
        free = slots._free
        first, second, third = [await slots.take() for _ in range(3)]
        await first.reserve(free - 10)
        await second.reserve(5)
        order: list[str] = []

        async def more(name: str, slot: Slot, count: int) -> None:
            await slot.reserve(count)
            order.append(name)

        newcomer = asyncio.create_task(more("newcomer", third, 20))
        await asyncio.sleep(0)
        begun = asyncio.create_task(more("begun", second, 50))
        await asyncio.sleep(0)
        assert not order
        first.release()
        await asyncio.gather(newcomer, begun)
        assert order == ["begun", "newcomer"]
        second.release()
        second.release()
        third.release()
        assert slots._free == free

    run(story())


def test_a_wait_that_is_given_up_keeps_nothing() -> None:
    async def story() -> None:
        slots = Slots(images=2, max_bytes=1)
        free = slots._free
        holder, waiter = await slots.take(), await slots.take()
        await holder.reserve(free)
        waiting = asyncio.create_task(waiter.reserve(1))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        holder.release()
        waiter.release()
        assert slots._free == free

    run(story())


def test_waits_double_up_to_the_limit() -> None:
    patience = hosts.Patience(backoff_s=1, limit_s=5)
    assert [patience.backoff(failures, 0.0) for failures in (1, 2, 3, 4)] == [1, 2, 4, 5]
    assert patience.backoff(1, 0.5) == 1.25


def test_refusals_of_one_moment_count_once_and_a_pause_holds_everybody() -> None:
    async def story() -> None:
        loop = asyncio.get_running_loop()
        patience = hosts.Patience(backoff_s=0.02, limit_s=1)
        group = hosts.Group(0.0, 8, Slots(8, 1), patience)
        circuit = hosts.Circuit(patience)
        turns = [await group.turn(circuit) for _ in range(4)]
        refused_at = loop.time()
        for turn in turns:
            group.refused(turn.sent_at, None, 0.0)
            turn.leave()
        again = await group.turn(circuit)
        assert 0.02 <= loop.time() - refused_at < 0.2
        group.refused(again.sent_at, None, 0.0)
        again.leave()
        assert group._refusals == 2
        group.refused(again.sent_at, 60.0, 0.0)
        with pytest.raises(hosts.Paused):
            await group.turn(circuit)

    run(story())


def test_a_host_that_refuses_again_is_not_asked_again_at_once_whatever_it_says() -> None:
    async def story() -> None:
        patience = hosts.Patience(backoff_s=0.5, limit_s=0.1)  # so that a wait is an error here
        group, circuit = hosts.Group(0.0, 8, Slots(8, 1), patience), hosts.Circuit(patience)
        first = await group.turn(circuit)
        group.refused(first.sent_at, 0.0, 0.0)
        second = await group.turn(circuit)
        group.refused(second.sent_at, 0.0, 0.0)
        assert group._paused_until == pytest.approx(asyncio.get_running_loop().time() + 0.1, abs=0.05)
        group.served()
        group.refused(second.sent_at, 0.0, 0.0)
        assert group._refusals == 1

    run(story())


def test_an_open_circuit_lets_one_image_try_after_a_while() -> None:
    async def story() -> None:
        loop = asyncio.get_running_loop()
        circuit = hosts.Circuit(hosts.Patience(failures=2, open_s=0.02))
        for _ in range(2):
            circuit.check(loop.time())
            circuit.failed("timeout", answered=False)
        with pytest.raises(hosts.CircuitOpen) as raised:
            circuit.check(loop.time())
        assert raised.value.status == "timeout"
        await asyncio.sleep(0.03)
        circuit.check(loop.time())
        circuit.check(loop.time())
        circuit.tries(loop.time())
        with pytest.raises(hosts.CircuitOpen):
            circuit.check(loop.time())
        circuit.reached()
        for _ in range(2):
            circuit.check(loop.time())
            circuit.tries(loop.time())

    run(story())


def test_an_image_that_may_try_an_open_circuit_does_though_it_has_to_wait_for_its_turn() -> None:
    """The lane is busy: all slots are taken."""

    async def story() -> None:
        patience = hosts.Patience(failures=1, open_s=60.0)
        slots = Slots(1, 1)
        group, circuit = hosts.Group(0.0, 8, slots, patience), hosts.Circuit(patience)
        circuit.failed("timeout", answered=False)
        circuit.until = 0.0  # its time is up
        busy = await slots.take()
        assert group.turn_now(circuit) is None
        tries, follows = (asyncio.create_task(group.turn(circuit)) for _ in range(2))
        await asyncio.sleep(0)
        busy.release()
        (await tries).leave()
        with pytest.raises(hosts.CircuitOpen):
            await follows

    run(story())


def test_a_delay_holds_for_its_host_alone_and_lanes_keep_it_together(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story() -> None:
        known = hosts.Hosts(FetchOptions(), 2, 0, Slots(8, 1), hosts.Patience())
        slow, quick = ("slow.example.org", 80), ("quick.example.org", 80)
        known.keep(*slow, 4.0)
        known.keep(*quick, 0.01)
        assert (known.circuit(*slow).delay_s, known.circuit(*quick).delay_s) == (8.0, 0.0)
        waits, over, sleep = [], asyncio.Event(), asyncio.sleep

        async def waiting(seconds: float) -> None:
            if seconds > 1:
                waits.append(seconds)
                await over.wait()

        monkeypatch.setattr(asyncio, "sleep", waiting)
        group, circuit = known.of(*slow)
        assert group.turn_now(circuit) is None
        (await group.turn(circuit)).leave()
        behind = [asyncio.create_task(group.turn(circuit)) for _ in range(2)]
        (await group.turn(known.circuit(*quick))).leave()
        assert [7 < seconds <= 8 for seconds in waits] == [True], "the second waits behind the first"
        behind[0].cancel()
        await sleep(0.001)
        assert len(waits) == 2
        over.set()
        (await behind[1]).leave()
        known.keep(*slow, 0.0)
        turn = await group.turn(circuit)
        sent_at = circuit.tried_at
        await sleep(0.001)
        turn.sent_again()  # the host had closed the connection that was kept
        assert circuit.tried_at > sent_at, "the next keeps its distance from the request that was heard"
        turn.leave()
        assert len(waits) == 2

    run(story())


@given(
    st.floats(0.05, 300) | st.integers(1, 300).map(float),
    st.integers(1, 12),
    st.lists(st.floats(0, 3), min_size=12, max_size=12),
    st.floats(0, 60),
)
def test_lanes_together_keep_to_the_pace_in_any_second(
    rate: float, lanes: int, starts: list[float], begins: float
) -> None:
    """Whatever the phases of the lanes are, no window of one second has more requests than were agreed."""
    assume(lanes == 1 or lanes <= rate)
    sent = 0
    for lane in range(lanes):
        spacing = shares.spacing_s(rate, lanes, lane)
        first, last = math.ceil((begins - starts[lane]) / spacing), math.floor((begins + 1 - starts[lane]) / spacing)
        sent += max(0, last - max(first, 0) + 1)
    assert sent <= max(1, rate)


def test_shares_add_up() -> None:
    assert [shares.share(10, 4, lane) for lane in range(4)] == [3, 3, 2, 2]
    assert [shares.share(8, 1, 0)] == [8]


def test_hosts_of_a_domain_share_a_group() -> None:
    async def story() -> None:
        patience = hosts.Patience()
        groups = {"wikimedia": ("wikimedia.org", "wikipedia.org"), "farms": ("staticflickr.com", "live.flickr.com")}
        known = hosts.Hosts(FetchOptions(host_groups=groups), 2, 0, Slots(1, 1), patience)
        assert known.group("upload.wikimedia.org") is known.group("en.wikipedia.org")
        assert known.group("live.flickr.com") is known.group("c1.staticflickr.com")
        assert known.group("notwikipedia.org") is not known.group("wikipedia.org")
        assert set(known.requests()) == {"wikimedia", "farms", "notwikipedia.org"}
        assert known.group("farm1.static.flickr.com") is known.group("www.flickr.com")
        assert known.group("i.redd.it") is not known.group("i.imgur.com")
        assert known.circuit("a", 80) is known.circuit("a", 80)

    run(story())


def keep(root: Path, name: str, learnt: dict[str, robots.Policy], kind: policies.Kind = "robots", run: int = 0) -> None:
    with policies.Kept(str(root), name, NOON, kind, run=run) as kept:
        kept.update(learnt)


def test_a_lane_begins_with_the_latest_of_all_and_writes_what_it_learns(tmp_path: Path) -> None:
    hour = datetime.timedelta(hours=1)
    first, later = robots.Policy(NOON, 200, "a"), robots.Policy(NOON + hour, 200, "b")
    keep(tmp_path, "lane-0", {"http://a.test": first, "http://b.test": later})
    keep(tmp_path, "lane-1", {"http://a.test": later, "http://b.test": first})
    before = {path: path.read_bytes() for path in (tmp_path / "fetch/hosts").iterdir()}
    with policies.Kept(str(tmp_path), "lane-0", NOON) as kept:
        assert dict(kept) == {"http://a.test": later, "http://b.test": later}
        assert "http://c.test" not in kept
        kept["http://c.test"] = first
        kept["http://c.test"] = later
        assert kept["http://c.test"] == later
        assert len(kept) == 3
    (written,) = set((tmp_path / "fetch/hosts").iterdir()) - set(before)
    assert [orjson.loads(line)["origin"] for line in written.read_bytes().splitlines()] == ["http://c.test"]
    assert {path: path.read_bytes() for path in before} == before  # evidence is not rewritten
    keep(tmp_path, "lane-0", {})
    assert len(list((tmp_path / "fetch/hosts").iterdir())) == 3


def test_a_lane_begins_with_nothing_that_is_stale(tmp_path: Path) -> None:
    hour = datetime.timedelta(hours=1)
    keep(tmp_path, "old", {"http://a.test": robots.Policy(NOON - 25 * hour, 200, "a")})
    both = {
        "http://b.test": robots.Policy(NOON - 25 * hour, 200, "b"),
        "http://c.test": robots.Policy(NOON - hour, 200, "c"),
        "http://d.test": robots.Policy(NOON - hour, 500, status="server_error", error="x"),
    }
    keep(tmp_path, "mixed", both)
    with policies.Kept(str(tmp_path), "lane-0", NOON) as kept:
        assert list(kept) == ["http://c.test"]
    assert len(list(policies.read(str(tmp_path)))) == 4


def test_looks_that_are_dated_ahead_do_not_win_over_those_of_later_runs(tmp_path: Path) -> None:
    """By a clock that was nine hours ahead: when its date comes, what a later run has learnt stands, be it old by then."""
    hour = datetime.timedelta(hours=1)
    ahead, true = robots.Policy(NOON + 9 * hour, 200, "ahead"), robots.Policy(NOON + hour, 200, "true")
    keep(tmp_path, "lane-0", {"http://a.test": ahead, "http://b.test": ahead}, run=3)
    assert known(tmp_path, NOON + 10 * hour) == {"http://a.test": ahead, "http://b.test": ahead}  # nobody knows better
    keep(tmp_path, "lane-1", {"http://a.test": true}, run=12)
    assert known(tmp_path, NOON + 10 * hour) == {"http://a.test": true}
    assert known(tmp_path, NOON + 30 * hour) == {}
    keep(tmp_path, "lane-0", {"http://c.test": robots.Policy(true.when + robots.SKEW, 200)}, run=11)
    assert "http://c.test" in known(tmp_path, NOON + 10 * hour)  # two machines' clocks may differ
    assert len(list(policies.read(str(tmp_path)))) == 4  # as evidence all stand


def known(root: Path, began: datetime.datetime) -> dict[str, robots.Policy]:
    with policies.Kept(str(root), "lane-0", began) as kept:
        return dict(kept)


def test_a_lane_that_fails_keeps_what_stood(tmp_path: Path) -> None:
    policy = robots.Policy(NOON, 200, "a")
    keep(tmp_path, "lane-0", {"http://a.test": policy})

    def fails() -> None:
        with policies.Kept(str(tmp_path), "lane-0", NOON) as kept:
            kept["http://b.test"] = policy
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fails()
    assert list(policies.read(str(tmp_path))) == [("http://a.test", policy)]


def test_a_line_of_policies_that_is_cut_short_says_nothing(tmp_path: Path) -> None:
    keep(tmp_path, "lane-0", {"http://a.test": robots.Policy(NOON, 200, "a")})
    (path,) = (tmp_path / "fetch/hosts").iterdir()
    path.write_bytes(path.read_bytes() + b'{"origin": "http://b.te')
    assert list(policies.read(str(tmp_path))) == [("http://a.test", robots.Policy(NOON, 200, "a"))]


def test_no_flipped_bit_of_what_a_host_said_is_heeded(tmp_path: Path) -> None:
    """A no must not become a yes: the host is asked anew."""
    keep(tmp_path, "lane-0", {"http://a.test": robots.Policy(NOON, 200, "User-agent: *\nDisallow: /")})
    (path,) = (tmp_path / "fetch/hosts").iterdir()
    content = path.read_bytes()
    for at in range(len(content)):
        for bit in range(8):
            path.write_bytes(content[:at] + bytes([content[at] ^ 1 << bit]) + content[at + 1 :])
            assert list(policies.read(str(tmp_path))) == [], (at, bit)


def test_a_line_of_policies_of_an_earlier_version_is_asked_anew(tmp_path: Path) -> None:
    keep(tmp_path, "lane-0", {"http://a.test": robots.Policy(NOON, 200, "a")})
    (path,) = (tmp_path / "fetch/hosts").iterdir()
    row = orjson.loads(path.read_bytes())
    del row["digest"]
    path.write_bytes(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))
    assert list(policies.read(str(tmp_path))) == []


def test_policies_leave_nothing_in_the_folder_for_temporaries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not while they are there either: a lane may be killed."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("SQLITE_TMPDIR", str(temporary))
    chance = random.Random(0)
    with policies.Kept(str(tmp_path), "lane-0", NOON) as kept:
        for number in range(40):  # more than SQLite keeps in memory
            kept[f"http://{number}.test"] = robots.Policy(NOON, 200, chance.randbytes(robots.MAX_BYTES // 2).hex())
        assert list(temporary.iterdir()) == []


def test_memory_does_not_grow_with_what_origins_say(tmp_path: Path) -> None:
    long, short = "# " + "x" * robots.MAX_BYTES, "# é"
    with policies.Kept(str(tmp_path), "lane-0", NOON) as kept:
        tracemalloc.start()
        for number in range(200):
            kept[f"http://{number}.test"] = robots.Policy(NOON, 200, f"{long}{number}")
        for number in range(policies.SHORT_FILES + 100):
            kept[f"http://short-{number}.test"] = robots.Policy(NOON, 200, f"{short}{number}")
        held, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert held < (policies.LONG_FILES + 8) * robots.MAX_BYTES  # of 200 times that
        assert kept["http://7.test"].body == f"{long}7"
        assert kept["http://short-0.test"].body == f"{short}0"
        assert len(kept) == 200 + policies.SHORT_FILES + 100
