from __future__ import annotations

import asyncio
import collections
import dataclasses
import datetime
import gzip
import hashlib
import io
import itertools
import os
import socket
import subprocess
import sys
import tarfile
import threading
import time
import zipfile
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pytest

from pmd.config.options import FetchOptions, PerHost
from pmd.errors import ConfigError, InputError
from pmd.fetch import outcome
from pmd.fetch.http import addresses, resolver
from pmd.fetch.http.receiving import ImageBody
from pmd.fetch.http.resolver import Resolver, Route
from pmd.fetch.http.transfers import Then
from pmd.fetch.lane.engine import Lane
from pmd.fetch.lane.stopping import Stop
from pmd.fetch.lists import blocklists
from pmd.fetch.outcome import Fetched
from pmd.fetch.politeness import hosts, robots, shares, tdmrep
from pmd.schema import keys
from pmd.schema.tables import LEDGER
from pmd.suppression import lists
from pmd.suppression.lists import Suppression
from tests.fetch import pace
from tests.fetch.conftest import HASTE, Behaviour, Web, image_row, options, photo, reply, table

JPEG = photo()
PNG = photo(kind="PNG")


def run(
    rows: pa.Table, fetch_options: FetchOptions, *, previous: pa.Table | None = None, **lane: object
) -> dict[str, Fetched]:
    """Fetch, and return outcomes by the identities that tests gave."""
    names = dict(zip(rows["image_id"].to_pylist(), rows["identity"].to_pylist(), strict=True))
    with Lane(fetch_options, contact="mailto:us@example.org", **{"patience": HASTE, **lane}) as opened:  # type: ignore[arg-type]
        settled = list(opened.fetch(rows, previous=previous))
    assert len(settled) == rows.num_rows
    return {names[fetched.image_id]: fetched for fetched in settled}


def test_an_image_that_is_there(web: Web) -> None:
    web.routes["a.test/x.jpg"] = reply(JPEG, ETag='"7"')
    got = run(table(image_row("x", "http://a.test/x.jpg")), options(web))["x"]
    assert (got.status, got.location, got.bytes, got.format) == ("ok", "http://a.test/x.jpg", len(JPEG), "jpeg")
    assert (got.width_px, got.height_px, got.frames, got.stored_form) == (320, 300, 1, "resized")
    assert got.stored != JPEG
    assert got.perceptual_hash is not None
    assert len(got.perceptual_hash) == 32
    (attempt,) = got.attempts
    assert (attempt.status, attempt.http_status, attempt.final_url) == ("ok", 200, "http://a.test/x.jpg")
    assert attempt.headers is not None
    assert '"etag":"\\"7\\""' in attempt.headers
    assert attempt.policy == "allowed"


async def drop(writer: asyncio.StreamWriter) -> None:
    writer.close()


#: Ordinary ones; `tests/fetch/hostile.py` has the rest.
ANSWERS = {
    "plain": (reply(JPEG), "ok"),
    "png": (reply(photo(kind="PNG"), Content_Type="text/plain"), "ok"),
    "not-found": (reply(b"gone", 404), "dead"),
    "gone": (reply(status=410), "dead"),
    "bad-request": (reply(status=400), "dead"),
    "forbidden": (reply(status=403), "forbidden"),
    "legal": (reply(status=451), "forbidden"),
    "error": (reply(status=500), "server_error"),
    "unasked-part": (reply(JPEG, 206), "ok"),
    "whole-part": (reply(JPEG, 206, Content_Range=f"bytes 0-{len(JPEG) - 1}/{len(JPEG)}"), "ok"),
    "part": (reply(JPEG[:900], 206, Content_Range=f"bytes 0-899/{len(JPEG)}"), "server_error"),
    "created": (reply(JPEG, 201), "ok"),
    "accepted": (reply(JPEG, 202), "ok"),
    "accepted-page": (reply(b"<html>come again</html>" * 9, 202), "server_error"),
    "accepted-packed": (reply(gzip.compress(b"<html>come again</html>"), 202, Content_Encoding="gzip"), "server_error"),
    "accepted-empty": (reply(status=202), "server_error"),
    "enhance-your-calm": (reply(status=420), "rate_limited"),
    "shopify": (reply(status=430), "rate_limited"),
    "bandwidth": (reply(status=509), "rate_limited"),
    "overloaded": (reply(status=529), "rate_limited"),
    "request-denied": (reply(status=999), "rate_limited"),
    "for-now": (reply(status=403, Retry_After="60"), "rate_limited"),
    "challenge": (reply(status=202, X_Amzn_Waf_Action="challenge"), "forbidden"),
    "captcha": (reply(status=405, X_Amzn_Waf_Action="captcha"), "forbidden"),
    "no-content": (b"HTTP/1.1 204 X\r\n\r\n", "not_an_image"),
    "truncated": (reply(JPEG[: len(JPEG) // 2]), "undecodable"),
    "small": (reply(photo(20, 20)), "too_small"),
    "gzip": (reply(gzip.compress(JPEG), Content_Encoding="gzip"), "ok"),
    "deflate": (reply(zlib.compress(JPEG), Content_Encoding="deflate"), "ok"),
    "not-gzip": (reply(JPEG, Content_Encoding="gzip"), "ok"),
    "noai": (reply(JPEG, X_Robots_Tag="noai, noimageai"), "opted_out"),
    "other-agent": (reply(JPEG, X_Robots_Tag="otherbot: noindex"), "ok"),
    "to-plain": (reply(b"moved", 301, Location="http://plain.test/x"), "ok"),
    "relative": (reply(status=307, Location="../y?z=1"), "dead"),
    "removed": (reply(status=302, Location="https://i.imgur.com/removed.png"), "placeholder"),
}


def test_every_answer_has_its_status(web: Web) -> None:
    for name, (answer, _) in ANSWERS.items():
        web.routes[f"{name}.test/x"] = answer
    rows = table(*(image_row(name, f"http://{name}.test/x") for name in ANSWERS))
    got = run(rows, options(web, min_side_px=32))
    assert {name: fetched.status for name, fetched in got.items()} == {
        name: status for name, (_, status) in ANSWERS.items()
    }
    assert all(len(fetched.attempts) == 1 for fetched in got.values())
    assert got["to-plain"].attempts[0].final_url == "http://plain.test/x"
    assert got["relative"].attempts[0].final_url == "http://relative.test/y?z=1"
    assert got["noai"].attempts[0].policy_evidence == "X-Robots-Tag: noai, noimageai"
    assert not [request for request in web.asked() if "imgur" in request.host]


@pytest.mark.parametrize("store", ["original", "resized"])
def test_a_picture_that_a_host_shows_in_anothers_place_is_known_by_its_bytes(
    web: Web, monkeypatch: pytest.MonkeyPatch, store: str
) -> None:
    shown = {"removed": photo(161, 81, kind="PNG"), "elsewhere": photo(336, 478)}
    status = {"removed": "placeholder", "elsewhere": "forbidden"}
    told = {hashlib.sha256(shown[name]).digest(): (status[name], f"shown where it is {name}") for name in shown}
    monkeypatch.setattr(outcome, "SUBSTITUTES", told)
    web.routes |= {f"{name}.test/x": reply(content) for name, content in shown.items()}
    rows = table(*(image_row(name, f"http://{name}.test/x") for name in shown))
    got = run(rows, options(web, store=store))
    assert {name: fetched.status for name, fetched in got.items()} == status
    assert {name: fetched.attempts[0].error for name, fetched in got.items()} == {
        name: f"shown where it is {name}" for name in shown
    }
    assert all(fetched.stored is None for fetched in got.values())


@pytest.mark.parametrize("url", ["ftp://a.test/x", "data:image/png;base64,AAAA", "not a url", "http://127.0.0.2/x"])
def test_urls_that_are_not_asked_for(web: Web, url: str) -> None:
    got = run(table(image_row("x", url)), options(web))["x"]
    assert got.status == "blocked_address"
    assert not web.log


def test_an_image_without_a_location(web: Web) -> None:
    got = run(table(image_row("x")), options(web))["x"]
    assert (got.status, got.location, got.tried, got.attempts) == ("no_location", None, (), ())


def test_names_are_resolved_once_and_their_addresses_checked(web: Web) -> None:
    asked: list[str] = []

    def lookup(host: str) -> list[str]:
        asked.append(host)
        if host == "unknown.test":
            raise OSError(-2, "Name or service not known")
        return ["10.1.2.3", "fd00::1"] if host == "inside.test" else ["127.0.0.1"]

    rows = table(
        *(image_row(f"{host} {number}", f"http://{host}:{web.port}/{number}") for host in HOSTS for number in range(3))
    )
    got = run(rows, options(resolve={}, allow_addresses=()), lookup=lookup)
    assert {name: fetched.status for name, fetched in got.items()} == {
        f"{host} {number}": status for host, status in HOSTS.items() for number in range(3)
    }
    assert sorted(asked) == sorted(HOSTS)
    assert not web.connections


@pytest.mark.parametrize(
    ("others_come_back", "is_looked_up", "routes"),
    [(True, False, 4), (False, False, 1), (True, True, 1)],
    ids=["waits for others", "nobody comes back", "is looked up itself"],
)
def test_a_name_that_waits_for_others_has_its_time_yet(
    *, others_come_back: bool, is_looked_up: bool, routes: int
) -> None:
    """A lane looks up a few of its names at a time: those behind them were lost as `dns` before anybody had asked for them."""
    route = Route("a.test", 80, ("93.184.215.14",))
    asked: list[str] = []

    class Busy(Resolver):
        async def route(self, scheme: str, host: str, port: int) -> Route:
            asked.append(host)
            if len(asked) < 4:
                self.looked_up += others_come_back
                await asyncio.Event().wait()
            return route

        def began(self, scheme: str, host: str, port: int) -> float | None:
            return asyncio.get_running_loop().time() - 1.0 if is_looked_up else None

    with Lane(options(timeout_s=0.01), contact="", patience=HASTE) as lane:
        lane._client._resolver.__class__ = Busy
        named = asyncio.run_coroutine_threadsafe(
            lane._client._gate.named(addresses.parse("http://a.test/x")), lane._loop
        )
        if routes == 4:
            assert named.result() == route
        else:
            with pytest.raises(addresses.NameUnknown, match=r"no answer in 0\.01 s"):
                named.result()
    assert len(asked) == routes


def test_a_lookup_is_timed_from_its_own_beginning() -> None:
    async def story() -> None:
        begun, end = threading.Event(), threading.Event()

        def lookup(host: str) -> list[str]:
            begun.set()
            end.wait()
            return ["93.184.215.14"]

        with ThreadPoolExecutor(1) as threads:
            names = Resolver(addresses.AddressPolicy(), addresses.Routes({}), threads, lookup)
            first, second = (asyncio.ensure_future(names.route("http", host, 80)) for host in ("a.test", "b.test"))
            await asyncio.sleep(0)
            await asyncio.to_thread(begun.wait)
            assert names.began("http", "a.test", 80) is not None
            assert names.began("http", "b.test", 80) is None
            end.set()
            await asyncio.gather(first, second)
            assert (names.looked_up, names.began("http", "a.test", 80)) == (2, None)

    asyncio.run(story())


def test_a_name_of_which_the_resolver_could_not_say_is_looked_up_again(web: Web) -> None:
    """A busy resolver lost all images of a host for five minutes: as fast as they were asked for, a shard in seconds."""
    fails = {"busy.test": 2, "lame.test": 3}
    asked: collections.Counter[str] = collections.Counter()

    def lookup(host: str) -> list[str]:
        asked[host] += 1
        if host == "unknown.test":
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        if asked[host] <= fails[host]:
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return ["127.0.0.1"]

    urls = {
        f"{host} {number}": f"http://{host}:{web.port}/{number}"
        for host in (*fails, "unknown.test")
        for number in "123"
    }
    for number in "123":
        web.routes[f"busy.test:{web.port}/{number}"] = reply(JPEG)
    rows = table(*(image_row(name, url) for name, url in urls.items()))
    got = run(rows, options(resolve={}, robots=False, retries=2), lookup=lookup)
    assert {name: fetched.status for name, fetched in got.items()} == {
        name: "ok" if name.startswith("busy") else "dns" for name in urls
    }
    assert asked == {"busy.test": 3, "lame.test": 3, "unknown.test": 1}


def test_addresses_are_used_on_while_the_resolver_cannot_say(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FOUND_S", "NOT_FOUND_S"):
        monkeypatch.setattr(resolver, name, 0.0)
    said: list[list[str] | OSError] = [
        ["93.184.215.14"],
        socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution"),
        socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution"),
        socket.gaierror(socket.EAI_NONAME, "Name or service not known"),
    ]

    def lookup(_: str) -> list[str]:
        answer = said.pop(0)
        if isinstance(answer, OSError):
            raise answer
        return answer

    async def story() -> None:
        with ThreadPoolExecutor(1) as threads:
            names = Resolver(addresses.AddressPolicy(), addresses.Routes({}), threads, lookup)
            for _ in range(3):
                assert (await names.route("http", "a.test", 80)).addresses == ("93.184.215.14",)
            with pytest.raises(addresses.NameUnknown):
                await names.route("http", "a.test", 80)

    asyncio.run(story())


HOSTS = {"unknown.test": "dns", "inside.test": "blocked_address", "rebound.test": "blocked_address"}


def test_the_socket_itself_refuses_what_slipped_through(web: Web) -> None:
    """A resolver whose answer was good when it was checked, and is not when the connection is made."""
    with Lane(
        options(resolve={}, allow_addresses=()), contact="", patience=HASTE, lookup=lambda _: ["93.184.215.14"]
    ) as lane:

        async def rebound(_: str, host: str, port: int) -> Route:
            return Route(host, port, ("127.0.0.1",))

        lane._client._resolver.route = rebound  # type: ignore[method-assign]
        rows = table(image_row("x", f"http://rebound.test:{web.port}/x"))
        (got,) = lane.fetch(rows)
    assert got.status == "blocked_address"
    assert not web.connections


def test_connections_are_kept_and_bounded(web: Web) -> None:
    for number in range(40):
        web.routes[f"a.test/{number}"] = reply(JPEG) if number % 4 else reply(b"gone", 404)
    rows = table(*(image_row(str(number), f"http://a.test/{number}") for number in range(40)))
    got = run(rows, options(web, per_host=PerHost(requests_per_s=10_000, connections=4)))
    assert sum(fetched.status == "ok" for fetched in got.values()) == 30
    assert len(web.asked()) == 40
    assert web.connections <= 4
    assert web.most_at_once <= 4


def test_a_domain_shares_its_pace_redirects_included(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[tuple[str, float]] = []
    give = hosts.Group._given

    def noted(group: hosts.Group, circuit: hosts.Circuit, slot: hosts.Slot, now: float) -> hosts.Turn:
        given.append((group.name, now))
        return give(group, circuit, slot, now)

    monkeypatch.setattr(hosts.Group, "_given", noted)
    for number in range(6):
        web.routes[f"a{number}.one.test/x"] = reply(status=302, Location=f"http://cdn.one.test/{number}")
        web.routes[f"cdn.one.test/{number}"] = reply(JPEG)
    rows = table(*(image_row(str(number), f"http://a{number}.one.test/x") for number in range(6)))
    run(rows, options(web, robots=False, per_host=PerHost(requests_per_s=80, connections=8)), lanes=2)
    assert len(web.log) == 12
    assert [name for name, _ in given] == ["one.test"] * 12
    # Each by the loop's own clock, at which it leaves: however busy the machine is, none is sooner than this.
    spacing = shares.spacing_s(80, lanes=2, lane=0)
    for (before, (_, earlier)), (after, (_, later)) in itertools.combinations(enumerate(given), 2):
        assert later - earlier >= (after - before) * spacing - hosts._LATE_S - 1e-6


@pytest.mark.parametrize(
    "refusal",
    [*(reply(status=status) for status in (420, 429, 430, 503, 509, 529, 999)), reply(status=403, Retry_After="0.01")],
    ids=["420", "429", "430", "503", "509", "529", "999", "403 for now"],
)
def test_who_asks_for_fewer_requests_is_asked_again_later(web: Web, refusal: bytes) -> None:
    web.routes["a.test/x"] = [refusal, reply(JPEG)]
    got = run(table(image_row("x", "http://a.test/x")), options(web, robots=False, retries=1))["x"]
    assert [attempt.status for attempt in got.attempts] == ["rate_limited", "ok"]


def test_a_503_is_waited_out_and_nobody_else_asks_meanwhile(web: Web) -> None:
    web.routes["a.test/0"] = [reply(status=503, Retry_After="1"), reply(JPEG)]
    for number in range(1, 6):
        web.routes[f"a.test/{number}"] = reply(photo(seed=number))
    rows = table(*(image_row(str(number), f"http://a.test/{number}") for number in range(6)))
    got = run(rows, options(web, robots=False, retries=1, per_host=PerHost(requests_per_s=10_000, connections=1)))
    assert {fetched.status for fetched in got.values()} == {"ok"}
    assert [attempt.status for attempt in got["0"].attempts] == ["rate_limited", "ok"]
    refused = next(request.at for request in web.log if request.path == "/0")
    after = [request.at - refused for request in web.log if request.at > refused]
    assert after
    assert min(after) >= 1.0


class Strict(dict[str, bytes]):
    """Routes of a host that counts: above a limit in any second it answers 429, as from the n-th request for a while 503."""

    def __init__(self, limit: int, *, busy_from: int | None = None, busy_s: float = 0.0) -> None:
        super().__init__()
        self.limit, self.busy_from, self.busy_s = limit, busy_from, busy_s
        self.busy_until = 0.0
        self.served: list[float] = []
        self.refused: list[float] = []

    def get(self, key: str, default: bytes | None = None) -> bytes | None:  # type: ignore[override]
        now = time.monotonic()
        if len(self.served) == self.busy_from and not self.busy_until:
            self.busy_until = now + self.busy_s
        if now < self.busy_until:
            self.refused.append(now)
            return reply(status=503, Retry_After=str(int(self.busy_s)))
        recent = sum(at > now - 1 for at in self.served)
        if recent >= self.limit:
            self.refused.append(now)
            return reply(status=429)
        self.served.append(now)
        return reply(JPEG) if key.endswith(".jpg") else default


LANE = """
import sys
from pathlib import Path
from tests.fetch import pace
from pmd.fetch.lane.engine import Lane
from tests.fetch.conftest import image_row, options, table
port, number, images = map(int, sys.argv[1:4])
rows = table(*(image_row(f"{number} {image}", f"http://h{image % 3}.one.test/{number}-{image}.jpg") for image in range(images)))
web = type("Web", (), {"port": port})
chosen = options(web, per_host={"requests_per_s": 22.0, "connections": 8}, timeout_s=60.0)
with pace.noted(pace.file_of(Path(sys.argv[4]), number)), Lane(chosen, contact="", lanes=4, number=number) as lane:
    print("ready", flush=True)
    sys.stdin.readline()
    assert [fetched.status for fetched in lane.fetch(rows)] == ["ok"] * images
"""


def test_four_lanes_in_processes_of_their_own_never_ask_too_often(web: Web, tmp_path: Path) -> None:
    images = (15, 15, 12, 12)  # as their shares are: 6, 6, 5, 5
    for number, count in enumerate(images):
        web.routes |= {f"h{image % 3}.one.test/{number}-{image}.jpg": reply(JPEG) for image in range(count)}
    lanes = [
        subprocess.Popen(
            [sys.executable, "-c", LANE, str(web.port), str(number), str(images[number]), str(tmp_path)],
            cwd=Path(__file__).parents[3],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for number in range(4)
    ]
    for lane in lanes:
        assert lane.stdout is not None
        assert lane.stdout.readline() == b"ready\n"
    for lane in lanes:
        assert lane.stdin is not None
        lane.stdin.write(b"go\n")
        lane.stdin.close()
    assert [lane.wait() for lane in lanes] == [0] * 4
    by_lane = [pace.turns(pace.file_of(tmp_path, number), "one.test") for number in range(4)]
    assert sum(map(len, by_lane)) == len(web.log) == sum(images) + 4 * 3 * 2  # each lane asks each host for two files
    pace.check(by_lane, 22, window=20)


def test_the_way_back_after_a_503_is_exactly_what_the_host_asks_for(
    web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody asks before the time is up, somebody may then, at the usual pace, and for each image once more at most."""
    routes = Strict(limit=40, busy_from=10, busy_s=1.0)
    web.routes = routes  # type: ignore[assignment]
    refuse, waits = hosts.Group.refused, list[tuple[float, float]]()

    def refused(group: hosts.Group, sent_at: float, retry_after_s: float | None, chance: float) -> None:
        before = time.monotonic()
        refuse(group, sent_at, retry_after_s, chance)
        waits.append((group._paused_until - time.monotonic(), group._paused_until - before))

    monkeypatch.setattr(hosts.Group, "refused", refused)
    rows = table(*(image_row(str(number), f"http://a.test/{number}.jpg") for number in range(30)))
    with pace.noted(pace.file_of(tmp_path, 0)):
        got = run(rows, options(web, robots=False, retries=1, per_host=PerHost(requests_per_s=40, connections=4)))
    assert {fetched.status for fetched in got.values()} == {"ok"}
    assert all(least <= 1.0 <= most for least, most in waits)
    assert 1 <= len(waits) == len(routes.refused) <= 4  # one a connection: on their way when the first answer came
    turns = pace.turns(pace.file_of(tmp_path, 0), "a.test")
    back = [turn for turn in turns if turn.at >= routes.refused[0] + 1.0]
    assert len(back) == 20  # ten were served before, and nobody asked meanwhile
    pace.check([turns], 40, window=10)
    assert len(web.log) == len(turns) == 30 + len(routes.refused)


def test_a_host_that_asks_for_more_than_patience_is_left_alone(web: Web) -> None:
    web.routes |= {f"a.test/{number}": reply(status=429, Retry_After="3600") for number in range(9)}
    rows = table(*(image_row(str(number), f"http://a.test/{number}") for number in range(9)))
    got = run(rows, options(web, robots=False, retries=3, per_host=PerHost(requests_per_s=10_000, connections=1)))
    assert {fetched.status for fetched in got.values()} == {"rate_limited"}
    assert len(web.log) == 1
    assert sum("not asked" in (attempt.error or "") for fetched in got.values() for attempt in fetched.attempts) == 9


def test_a_host_that_says_when_to_come_again_is_heeded_whatever_is_wrong_with_it(web: Web) -> None:
    web.routes |= {
        "asks.test/0": reply(status=502, Retry_After="3600"),
        "fails.test/0": reply(status=502),
        "lacks.test/0": reply(status=404, Retry_After="3600"),  # a page's own, which is missing
    }
    web.routes |= {f"{host}.test/1": reply(JPEG) for host in ("asks", "fails", "lacks")}
    hosts_in_order = ("asks", "fails", "lacks")
    with Lane(options(web), contact="", patience=HASTE) as lane:
        first, then = (
            {
                fetched.location: fetched.status
                for fetched in lane.fetch(
                    table(*(image_row(f"{host} {number}", f"http://{host}.test/{number}") for host in hosts_in_order))
                )
            }
            for number in range(2)
        )
    assert list(first.values()).count("server_error") == 2
    assert then == {"http://asks.test/1": "rate_limited", "http://fails.test/1": "ok", "http://lacks.test/1": "ok"}


@pytest.mark.parametrize("after", [{}, {"Retry_After": "0"}, {"Retry_After": "Fri, 02 Jan 1970 00:00:00 GMT"}])
def test_a_host_that_refuses_everything_is_left_alone(web: Web, after: dict[str, str]) -> None:
    """It would else keep the shard for as many waits as it has images."""
    web.routes |= {f"a.test/{number}": reply(status=503, **after) for number in range(50)}
    rows = table(*(image_row(str(number), f"http://a.test/{number}") for number in range(50)))
    chosen = options(web, robots=False, retries=3, per_host=PerHost(requests_per_s=10_000, connections=2))
    patience = dataclasses.replace(HASTE, refusals=3)
    with Lane(chosen, contact="", patience=patience) as lane:
        got = list(lane.fetch(rows))
    assert {fetched.status for fetched in got} == {"rate_limited"}
    assert len(web.log) <= 3 * 2  # both connections', at each of three times
    told = {attempt.error for fetched in got for attempt in fetched.attempts} - {"HTTP 503"}
    assert len(told) == 1
    assert "has refused too often (in a row: 3)" in str(told.pop())


def test_a_host_whose_answers_have_no_end_is_given_up(web: Web) -> None:
    async def stalls(writer: asyncio.StreamWriter) -> None:
        writer.write(reply(JPEG)[:-9])
        await asyncio.sleep(60)

    web.routes |= {f"a.test/{number:02}": stalls for number in range(20)}
    web.routes["b.test/1"] = web.routes["b.test/3"] = stalls
    web.routes["b.test/2"] = reply(JPEG)
    urls = [
        *(f"http://a.test/{number:02}" for number in range(20)),
        *(f"http://b.test/{number}" for number in (1, 2, 3)),
    ]
    chosen = options(web, robots=False, timeout_s=0.2, per_host=PerHost(requests_per_s=10_000, connections=1))
    got = run(table(*(image_row(url, url) for url in urls)), chosen)
    assert {fetched.status for url, fetched in got.items() if "a.test" in url} == {"timeout"}
    assert len(web.asked("a.test")) <= HASTE.failures + 1  # one is on its way when the last failure is known
    assert [got[f"http://b.test/{number}"].status for number in (1, 2, 3)] == ["timeout", "ok", "timeout"]


def test_what_may_pass_is_tried_again_and_what_will_not_is_not(web: Web) -> None:
    web.routes |= {
        "a.test/error": [reply(status=500), reply(status=502), reply(JPEG)],
        "a.test/dead": [reply(status=404), reply(JPEG)],
        "a.test/busy": [reply(status=429), reply(JPEG)],
    }
    rows = table(*(image_row(name, f"http://a.test/{name}") for name in ("error", "dead", "busy")))
    got = run(rows, options(web, retries=2))
    assert [attempt.status for attempt in got["error"].attempts] == ["server_error", "server_error", "ok"]
    assert [attempt.status for attempt in got["dead"].attempts] == ["dead"]
    assert [attempt.status for attempt in got["busy"].attempts] == ["rate_limited", "ok"]


def test_a_host_that_cannot_be_connected_to_is_given_up(web: Web) -> None:
    for number in range(12):
        web.routes[f"a.test/{number}"] = drop
    rows = table(*(image_row(str(number), f"http://a.test/{number}") for number in range(12)))
    got = run(rows, options(web, robots=False, per_host=PerHost(requests_per_s=10_000, connections=1)))
    assert {fetched.status for fetched in got.values()} == {"connection"}
    assert HASTE.failures <= len(web.log) < 12
    assert sum("not asked" in (fetched.attempts[0].error or "") for fetched in got.values()) == 12 - len(web.log)


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("Connection closed."),
        ValueError("\udce4"),
        UnicodeEncodeError("idna", "x" * 70, 0, 70, "label too long"),
        OSError(0, "\udce4"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_a_library_raises_at_an_answer_ends_that_image_alone(
    web: Web, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    web.routes |= {
        "a.test/x": reply(JPEG, ETag="bad"),
        "b.test/x": reply(JPEG),
        "c.test/x": reply(status=404, ETag="bad"),
    }
    take = ImageBody.take

    def breaks(body: ImageBody, octets: bytes) -> Then | asyncio.Future[None]:
        if "bad" in (body._answer.headers or ""):
            raise error
        return take(body, octets)

    monkeypatch.setattr(ImageBody, "take", breaks)
    rows = table(*(image_row(host, f"http://{host}.test/x") for host in "abc"))
    got = run(rows, options(web, robots=False, concurrency=1))
    assert {name: fetched.status for name, fetched in got.items()} == {"a": "connection", "b": "ok", "c": "dead"}
    assert type(error).__name__ in (got["a"].attempts[0].error or "")


DENIES = b"User-agent: *\nDisallow: /*.jpg$\n"

ROBOTS = {
    "denies": (reply(DENIES), "opted_out", "Disallow: /*.jpg$"),
    "denies-us": (reply(b"User-agent: pmd\nDisallow: /\n\nUser-agent: *\nAllow: /\n"), "opted_out", "Disallow: /"),
    "allows": (reply(b"User-agent: *\nDisallow: /private\n"), "ok", "has no rule"),
    "has-none": (reply(status=404), "ok", "HTTP 404"),
    "refuses": (reply(status=403), "ok", "HTTP 403"),
    "moved": (reply(status=301, Location="http://denies.test/robots.txt"), "opted_out", "Disallow: /*.jpg$"),
    "fails": (reply(status=500), "server_error", "RFC 9309"),
    "walled": (reply(status=202, X_Amzn_Waf_Action="challenge"), "forbidden", "RFC 9309"),
    "drops": (drop, "connection", "RFC 9309"),
    "packed": (reply(gzip.compress(DENIES), Content_Encoding="gzip"), "opted_out", "Disallow: /*.jpg$"),
    "packed-twice": (
        reply(zlib.compress(gzip.compress(DENIES)), Content_Encoding="gzip, deflate"),
        "opted_out",
        "Disallow: /*.jpg$",
    ),
    "packed-raw": (reply(zlib.compress(DENIES, wbits=-15), Content_Encoding="deflate"), "opted_out", "/*.jpg$"),
    "says-packed": (reply(DENIES, Content_Encoding="gzip"), "opted_out", "Disallow: /*.jpg$"),
    "packed-unknown": (
        reply(b"\x0b\x02\x80" + bytes(40), Content_Encoding="br"),
        "server_error",
        "(Content-Encoding br",
    ),
    "utf-16": (reply(DENIES.decode().encode("utf-16")), "opted_out", "Disallow: /*.jpg$"),
    "signals": (
        reply(b"User-agent: *\nContent-Signal: search=yes,ai-train=no\nAllow: /\n"),
        "opted_out",
        "http://signals.test/robots.txt: Content-Signal: search=yes,ai-train=no",
    ),
    "prefers": (
        reply(b"User-agent: *\nAllow: /\nContent-Usage: /*.jpg$ train-ai=n\n"),
        "opted_out",
        "http://prefers.test/robots.txt: Content-Usage: /*.jpg$ train-ai=n",
    ),
    "prefers-else": (reply(b"User-agent: *\nContent-Usage: train-ai=y, search=n\n"), "ok", "has no rule"),
}


def test_an_origin_that_said_nothing_is_heeded_once_it_says_something(
    web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    web.routes |= {f"a.test/{number}": reply(JPEG) for number in range(3)}
    verdicts: list[str] = []
    verdict = robots.verdict

    def noted(policy: robots.Policy, origin: str, path: str, agent: str) -> robots.Verdict:
        verdicts.append(path)
        return verdict(policy, origin, path, agent)

    monkeypatch.setattr(robots, "verdict", noted)
    one = options(web, concurrency=1)
    with Lane(one, contact="", patience=HASTE) as lane:
        got = list(lane.fetch(table(*(image_row(str(number), f"http://a.test/{number}") for number in range(2)))))
        assert {fetched.status for fetched in got} == {"ok"}
        assert len({fetched.attempts[0].policy_evidence for fetched in got}) == 1
        asked = len(verdicts)
        got += lane.fetch(table(image_row("1", "http://a.test/1")))
        assert len(verdicts) == asked  # of this origin it is known
        lane.policies["http://a.test"] = robots.Policy(
            lane.policies["http://a.test"].when, 200, "User-agent: *\nDisallow: /"
        )
        (denied,) = lane.fetch(table(image_row("2", "http://a.test/2")))
        assert (denied.status, len(verdicts)) == ("opted_out", asked + 1)
        del lane.policies["http://a.test"]
        lane.reservations["http://a.test"] = robots.Policy(
            lane.reservations["http://a.test"].when, 200, '[{"location": "/*", "tdm-reservation": 1}]'
        )
        (reserved,) = lane.fetch(table(image_row("3", "http://a.test/3")))
        assert (reserved.status, reserved.attempts[0].policy) == ("opted_out", "denied by TDMRep")
    assert len(web.asked("a.test")) == 3
    assert tdmrep.PATH in {request.path for request in web.log}


@pytest.mark.parametrize(
    ("path", "said", "status"),
    [
        ("/robots.txt", b"User-agent: *\nDisallow: /private\n", "ok"),
        ("/robots.txt", DENIES, "opted_out"),
        (tdmrep.PATH, b"[]", "ok"),
        (tdmrep.PATH, b'[{"location": "/*.jpg$", "tdm-reservation": 1}]', "opted_out"),
    ],
)
def test_files_are_read_in_answers_that_libcurl_refuses_and_browsers_show(
    web: Web, path: str, said: bytes, status: str
) -> None:
    head = b"HTTP/1.1 200 X\r\nthis line has no colon\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"

    def closing(body: bytes) -> Behaviour:
        async def send(writer: asyncio.StreamWriter) -> None:
            writer.write(head % len(body) + body)
            await writer.drain()

        return send

    web.routes["odd.test/1.jpg"] = closing(JPEG)
    web.routes[f"odd.test{path}"] = closing(said)
    with Lane(options(web), contact="mailto:us@example.org", patience=HASTE) as lane:
        (got,) = lane.fetch(table(image_row("x", "http://odd.test/1.jpg")))
        assert lane.requests() == {"odd.test": len(web.log)}, "each takes a turn of its own"
    assert (got.status, len(got.attempts)) == (status, 1)
    assert [request.path for request in web.log].count(path) == 2
    assert len(web.asked("odd.test")) == (2 if status == "ok" else 0)


def test_an_empty_robots_txt_is_one_in_odd_answers(web: Web) -> None:
    """libcurl refuses the one, and waits for the end of the connection of the other."""

    async def closing(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nno colon\r\nConnection: close\r\n\r\n")
        await writer.drain()

    open_ = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\nContent-Length: 0\r\n\r\n"
    web.routes |= {"a.test/robots.txt": closing, "b.test/robots.txt": open_, "c.test/x": closing, "d.test/x": open_}
    web.routes |= {"a.test/x": reply(JPEG), "b.test/x": reply(JPEG)}
    rows = table(*(image_row(name, f"http://{name}.test/x") for name in "abcd"))
    got = run(rows, options(web, retries=0))
    statuses = {name: got[name].status for name in "abcd"}
    assert statuses == {"a": "ok", "b": "ok", "c": "server_error", "d": "not_an_image"}


def test_robots_txt_is_asked_for_once_and_obeyed(web: Web) -> None:
    for name, (answer, _, _) in ROBOTS.items():
        web.routes[f"{name}.test/robots.txt"] = answer
        web.routes |= {f"{name}.test/{number}.jpg": reply(JPEG) for number in range(3)}
    rows = table(*(image_row(f"{name} {n}", f"http://{name}.test/{n}.jpg") for name in ROBOTS for n in range(3)))
    policies: dict[str, robots.Policy] = {}
    got = run(rows, options(web), policies=policies)
    for name, (_, status, evidence) in ROBOTS.items():
        fetched = got[f"{name} 0"]
        assert (name, fetched.status) == (name, status)
        assert evidence in (fetched.attempts[0].policy_evidence or "")
        assert (fetched.attempts[0].policy == "allowed") == (status == "ok")
        assert len(web.asked(f"{name}.test")) == (3 if status == "ok" else 0)
    assert sum(request.path == "/robots.txt" for request in web.log) == len(ROBOTS) + 1
    assert not [request for request in web.asked("denies.test", robots=True) if request.path.endswith("tdmrep.json")]
    assert policies["http://denies.test"].http_status == 200
    before = len(web.log)
    run(
        rows.filter([name.startswith("denies") for name in rows["identity"].to_pylist()]),
        options(web),
        policies=policies,
    )
    assert len(web.log) == before


def test_requests_to_a_host_keep_its_crawl_delay(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    web.routes["slow.test/robots.txt"] = reply(b"User-agent: *\nCrawl-delay: 0.2\n")
    web.routes |= {f"{host}.test/{number}": reply(JPEG) for host in ("slow", "quick") for number in range(3)}
    sent: list[float] = []
    tries = hosts.Circuit.tries

    def noted(circuit: hosts.Circuit, now: float) -> None:
        if circuit.delay_s:
            sent.append(now - circuit.tried_at)
        tries(circuit, now)

    monkeypatch.setattr(hosts.Circuit, "tries", noted)
    rows = [image_row(f"{host} {n}", f"http://{host}.test/{n}") for host in ("slow", "quick") for n in range(3)]
    got = run(table(*rows), options(web))
    assert {fetched.status for fetched in got.values()} == {"ok"}
    assert len(sent) == 4, "tdmrep.json and the pictures of one host"
    assert min(sent) > 0.199


def test_images_that_wait_for_a_delay_hold_up_no_other_host_and_end_when_they_are_asked_to(
    web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A slot or a connection that one of them held would have the others wait for an hour, and so would the lane's end."""
    monkeypatch.setattr(robots, "MOST_DELAY_S", 3599.0)
    web.routes["slow.test/robots.txt"] = reply(b"User-agent: *\nCrawl-delay: 3599\n")
    web.routes |= {f"{host}.test/{number}": reply(JPEG) for host in ("slow", "quick") for number in range(6)}
    rows = table(*(image_row(f"{host} {n}", f"http://{host}.test/{n}") for host in ("slow", "quick") for n in range(6)))
    stop = Stop()
    with Lane(
        options(web, concurrency=1, tdmrep=False), contact="mailto:us@example.org", patience=HASTE, stop=stop
    ) as lane:
        settled = []
        for fetched in lane.fetch(rows):
            settled.append(fetched.location)
            if len(settled) == 6:
                stop.ask()
    assert sorted(map(str, settled)) == [f"http://quick.test/{number}" for number in range(6)]
    assert [request.path for request in web.asked("slow.test", robots=True)] == ["/robots.txt"]


def test_a_clock_that_goes_back_has_robots_txt_asked_for_once_more(web: Web) -> None:
    web.routes["away.test/robots.txt"] = reply(status=500)
    web.routes["here.test/robots.txt"] = reply(status=404)
    now = [datetime.datetime(2026, 6, 1, 12, tzinfo=datetime.UTC)]

    def looks() -> int:
        return sum(request.path == "/robots.txt" for request in web.log)

    with Lane(options(web), contact="mailto:us@example.org", patience=HASTE, clock=lambda: now[0]) as lane:
        for number in range(6):
            rows = table(*(image_row(f"{host} {number}", f"http://{host}.test/{number}") for host in ("away", "here")))
            list(lane.fetch(rows))
            if number == 1:
                first = looks()
                now[0] -= datetime.timedelta(hours=3)
    assert looks() == 2 * first


RESERVES_JPG = b'[{"location": "/*.jpg$", "tdm-reservation": 1, "tdm-policy": "http://reserves.test/terms"}]'

#: As long as it is, the picture's own line is never read.
LONG_RESERVATION = (
    b"["
    + b",".join(b'{"location": "/%d/", "tdm-reservation": 0}' % number for number in range(15_000))
    + b"," + RESERVES_JPG[1:]
)  # fmt: skip

TDMREP = {
    "reserves": (reply(RESERVES_JPG, Content_Type="application/json"), "opted_out", "/*.jpg$: tdm-reservation 1"),
    "elsewhere": (reply(b'[{"location": "/texts/", "tdm-reservation": 1}]'), "ok", "has no rule for it"),
    "undeclared": (reply(status=404), "ok", "tdmrep.json (HTTP 404) has no rule"),
    "breaks": (reply(status=500), "ok", "tdmrep.json (HTTP 500) has no rule"),
    "busy": (reply(status=429, Retry_After="3600"), "rate_limited", "tdmrep.json could not be had"),
    "moves": (reply(status=301, Location="http://reserves.test/.well-known/tdmrep.json"), "opted_out", "/*.jpg$"),
    "packed": (reply(gzip.compress(RESERVES_JPG), Content_Encoding="gzip"), "opted_out", "/*.jpg$: tdm-reservation 1"),
    "packed-unknown": (
        reply(b"\x0b\x02\x80" + bytes(40), Content_Encoding="br"),
        "server_error",
        "tdmrep.json could not be had (Content-Encoding br, which was not asked for, nor can be read)",
    ),
    "utf-16": (reply(RESERVES_JPG.decode().encode("utf-16")), "opted_out", "/*.jpg$: tdm-reservation 1"),
    "long": (reply(LONG_RESERVATION), "opted_out", "is longer than the 524,288 bytes that are read"),
    "long-page": (reply(b"<!doctype html>\n<p>" + b"a" * 600_000), "ok", "has no rule for it"),
}


def test_tdmrep_is_asked_for_once_and_obeyed(web: Web) -> None:
    for name, (answer, _, _) in TDMREP.items():
        web.routes[f"{name}.test/.well-known/tdmrep.json"] = answer
        web.routes |= {f"{name}.test/{number}.jpg": reply(JPEG) for number in range(3)}
    rows = table(*(image_row(f"{name} {n}", f"http://{name}.test/{n}.jpg") for name in TDMREP for n in range(3)))
    reservations: dict[str, robots.Policy] = {}
    got = run(rows, options(web), reservations=reservations)
    for name, (_, status, evidence) in TDMREP.items():
        fetched = got[f"{name} 0"]
        assert (name, fetched.status) == (name, status)
        assert evidence in (fetched.attempts[0].policy_evidence or "")
        assert len(web.asked(f"{name}.test")) == (3 if status == "ok" else 0)
    assert got["reserves 0"].attempts[0].policy == "denied by TDMRep"
    assert sum(request.path.endswith("/tdmrep.json") for request in web.log) == len(TDMREP) + 1
    assert reservations["http://reserves.test"].body == RESERVES_JPG.decode()
    web.log.clear()
    run(table(image_row("x", "http://reserves.test/9.jpg")), options(web), reservations=reservations)
    assert [request.path for request in web.log] == ["/robots.txt"]
    web.log.clear()
    got = run(table(image_row("x", "http://reserves.test/0.jpg")), options(web, tdmrep=False))
    assert got["x"].status == "ok"
    assert not [request for request in web.log if request.path.endswith("tdmrep.json")]


def test_a_tdmrep_header_is_obeyed_before_the_body(web: Web) -> None:
    async def reserved(writer: asyncio.StreamWriter) -> None:
        writer.write(reply(b"", Content_Length="500000", tdm_reservation="1", tdm_policy="http://a.test/terms"))
        await asyncio.sleep(60)

    web.routes |= {"a.test/x": reserved, "a.test/y": reply(JPEG, tdm_reservation="0")}
    got = run(table(image_row("x", "http://a.test/x"), image_row("y", "http://a.test/y")), options(web))
    assert {name: fetched.status for name, fetched in got.items()} == {"x": "opted_out", "y": "ok"}
    (attempt,) = got["x"].attempts
    assert (attempt.policy, attempt.policy_evidence) == (
        "denied by TDMRep",
        "tdm-reservation: 1; tdm-policy: http://a.test/terms",
    )
    assert '"tdm-reservation":"1"' in (attempt.headers or "")


#: What a host says before there is a picture, and what becomes of it; the picture itself says nothing.
NOES = {
    "to-noai": (reply(status=301, Location="/y", X_Robots_Tag="noai"), "opted_out"),
    "to-noindex": (reply(status=302, Location="/y", X_Robots_Tag="noindex"), "opted_out"),
    "to-otherbot": (reply(status=302, Location="/y", X_Robots_Tag="otherbot: noai"), "ok"),
    "to-reserved": (reply(status=307, Location="/y", tdm_reservation="1"), "opted_out"),
    "gone-noai": (reply(status=404, X_Robots_Tag="noindex, noimageai"), "opted_out"),
    "gone-reserved": (reply(status=410, tdm_reservation="1"), "opted_out"),
    "busy-noml": (reply(status=503, X_Robots_Tag="noml"), "opted_out"),
    "to-signal": (reply(status=301, Location="/y", Content_Signal="search=yes, ai-train=no"), "opted_out"),
    "gone-usage": (reply(status=404, Content_Usage="train-ai=n"), "opted_out"),
    "has-usage": (reply(JPEG, Content_Usage="search=y, train-ai=n"), "opted_out"),
    "has-signal": (reply(JPEG, Content_Signal="search=no, ai-input=no"), "ok"),
    "gone-noindex": (
        reply(status=404, X_Robots_Tag="noindex, noimageindex, none"),
        "dead",
    ),  # the page for what is missing
}


def test_a_redirect_and_an_error_say_no_as_a_picture_does(web: Web) -> None:
    for name, (answer, _) in NOES.items():
        web.routes |= {f"{name}.test/x": answer, f"{name}.test/y": reply(JPEG)}
    got = run(table(*(image_row(name, f"http://{name}.test/x") for name in NOES)), options(web))
    assert {name: fetched.status for name, fetched in got.items()} == {
        name: status for name, (_, status) in NOES.items()
    }
    (attempt,) = got["to-noai"].attempts
    assert (attempt.policy, attempt.policy_evidence) == ("denied by X-Robots-Tag", "X-Robots-Tag: noai")
    assert (attempt.http_status, attempt.final_url) == (301, "http://to-noai.test/x")
    (attempt,) = got["has-usage"].attempts
    assert (attempt.policy, attempt.policy_evidence) == (
        "denied by Content-Usage",
        "Content-Usage: search=y, train-ai=n",
    )
    assert '"content-usage":"search=y, train-ai=n"' in (attempt.headers or "")
    assert [request.host for request in web.asked() if request.path == "/y"] == ["to-otherbot.test"]
    got = run(table(image_row("x", "http://to-reserved.test/x")), options(web, tdmrep=False))
    assert got["x"].status == "ok"


#: Old addresses, their answers, where the picture is today (which has it), and what becomes of it.
OLDER = (
    ("static.flickr.com/1/22_abc.jpg", reply(status=403), "live.staticflickr.com/1/22_abc.jpg", "ok"),
    ("farm3.static.flickr.com/1/23_abc.jpg", reply(status=403), "live.staticflickr.com/1/23_abc.jpg", "ok"),
    (
        "static.flickr.com/1/27_abc.jpg",
        reply(status=403, Retry_After="0"),
        "live.staticflickr.com/1/27_abc.jpg",
        "ok",
    ),
    ("static.flickr.com/1/24_abc.jpg", reply(status=404), "live.staticflickr.com/1/24_abc.jpg", "dead"),
    (
        "static.flickr.com/1/25_abc.jpg",
        reply(status=403, X_Robots_Tag="noai"),
        "live.staticflickr.com/1/25_abc.jpg",
        "opted_out",
    ),
    ("farm3.staticflickr.com/1/26_abc.jpg", reply(status=403), "live.staticflickr.com/1/26_abc.jpg", "forbidden"),
    (
        "upload.wikimedia.org/wikipedia/commons/thumb/a/ab/Cat%281%29.JPG/600px-Cat%281%29.JPG",
        reply(status=400),
        "upload.wikimedia.org/wikipedia/commons/a/ab/Cat%281%29.JPG",
        "ok",
    ),
    (
        "upload.wikimedia.org/wikipedia/commons/thumb/a/ab/D.svg/600px-D.svg.png",
        reply(status=400),
        "upload.wikimedia.org/wikipedia/commons/thumb/a/ab/D.svg/960px-D.svg.png",
        "ok",
    ),
    (
        "thumb.wikimedia.org/wikipedia/en/thumb/a/ab/T.tif/lossy-page1-5000px-T.tif.jpg",
        reply(status=400),
        "thumb.wikimedia.org/wikipedia/en/thumb/a/ab/T.tif/lossy-page1-3840px-T.tif.jpg",
        "ok",
    ),
    (
        "upload.wikimedia.org/wikipedia/commons/thumb/a/ab/E.svg/960px-E.svg.png",
        reply(status=400),
        "upload.wikimedia.org/wikipedia/commons/thumb/a/ab/E.svg/1280px-E.svg.png",
        "dead",
    ),
)


def test_where_hosts_refuse_an_older_address_that_of_today_is_asked_for(web: Web) -> None:
    for number, (older, answer, today, _) in enumerate(OLDER):
        web.routes |= {older: answer, today: reply(photo(seed=number))}
    got = run(table(*(image_row(older, f"http://{older}") for older, *_ in OLDER)), options(web))
    assert {older: got[older].status for older, *_ in OLDER} == {older: status for older, _, _, status in OLDER}
    asked = {f"{request.host}{request.path}" for request in web.asked()}
    for older, _, today, status in OLDER:
        assert (today in asked) == (status == "ok")
        assert got[older].attempts[-1].final_url == f"http://{today if status == 'ok' else older}"


def test_an_older_address_that_is_refused_stays_refused_where_no_redirect_is_left(web: Web) -> None:
    older, answer, today, _ = OLDER[0]
    web.routes |= {older: answer, today: reply(JPEG), "a.test/x": reply(status=301, Location=f"http://{older}")}
    rows = table(image_row("at once", f"http://{older}"), image_row("led there", "http://a.test/x"))
    for left, status in ((0, "too_many_redirects"), (1, "forbidden"), (2, "ok")):
        got = run(rows, options(web, max_redirects=left))
        assert (got["at once"].status, got["led there"].status) == ("ok" if left else "forbidden", status)


def test_what_is_kept_out_is_not_asked_for_where_an_older_address_is_refused(web: Web) -> None:
    older, _, today, _ = OLDER[0]
    web.routes |= {older: reply(status=403), today: reply(JPEG)}
    kept = Suppression((lists.new().with_values({"url": [f"http://{today}"]}),))
    got = run(table(image_row("x", f"http://{older}")), options(web), blocklist=blocklists.read([]).with_kept_out(kept))
    assert got["x"].status == "blocked_content"
    assert [request.host for request in web.asked() if request.path.endswith(".jpg")] == ["static.flickr.com"]


def test_who_we_are_and_what_is_not_sent(web: Web) -> None:
    web.routes["a.test/x?a=%20b"] = [reply(status=302, Location="/y", Set_Cookie="id=1"), reply(JPEG)]
    web.routes["a.test/y"] = reply(JPEG)
    run(table(image_row("x", "HTTP://user:secret@A.test:80/x?a= b#there")), options(web))
    (first, second) = web.asked("a.test")
    assert first.headers["user-agent"] == "pmd/0.1 (mailto:us@example.org)"
    assert first.headers["from"] == "us@example.org"
    assert first.headers["accept-encoding"] == "identity"
    assert "authorization" not in first.headers
    assert "cookie" not in second.headers
    assert second.path == "/y"


def ending_barely(head: bytes, body: bytes) -> Behaviour:
    """Return what sends an answer, and closes the connection without the end that TLS has."""

    async def send(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n" + body)
        await writer.drain()
        with socket.socket(fileno=os.dup(writer.get_extra_info("socket").fileno())) as below:
            below.shutdown(socket.SHUT_RDWR)

    return send


def test_a_picture_that_only_the_end_of_tls_ends_is_judged_by_its_bytes(secure: tuple[Web, Path]) -> None:
    """OpenSSL 3 takes such an end for a failure where servers do not say that it is one: whole pictures were lost by it."""
    server, pem = secure
    answers = {
        "to-the-end": (ending_barely(b"", JPEG), "ok"),
        "half": (ending_barely(b"", JPEG[: len(JPEG) // 2]), "connection"),
        "page": (ending_barely(b"", b"<html>" * 99), "not_an_image"),
        "less-than-said": (ending_barely(b"Content-Length: %d\r\n" % (len(JPEG) + 1), JPEG), "connection"),
        "chunks": (ending_barely(b"Transfer-Encoding: chunked\r\n", b"%x\r\n%s\r\n" % (len(JPEG), JPEG)), "connection"),
    }
    server.routes |= {f"secure.test/{name}": answer for name, (answer, _) in answers.items()}
    rows = table(*(image_row(name, f"https://secure.test/{name}") for name in answers))
    got = run(rows, options(resolve={"*:443": f"127.0.0.1:{server.port}"}, ca_file=str(pem), robots=False))
    assert {name: fetched.status for name, fetched in got.items()} == {name: end for name, (_, end) in answers.items()}


def closing(answer: bytes) -> Behaviour:
    """Return what sends an answer, and closes the connection as it should be."""

    async def send(writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        await writer.drain()

    return send


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "AVIF", "TIFF", "BMP"])
@pytest.mark.parametrize("head", [b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.0 200 OK\r\nConnection: close\r\n\r\n"])
def test_half_a_picture_in_an_answer_that_only_the_connection_ends_is_asked_for_again(
    web: Web, kind: str, head: bytes
) -> None:
    """Nobody has said that it is all: a broken transfer of such an answer looks just so."""
    whole = photo(kind=kind)
    web.routes["a.test/x"] = Answers(closing(head + whole[: len(whole) // 2]), closing(head + whole))
    got = run(table(image_row("x", "http://a.test/x")), options(web, robots=False, retries=1, store="original"))["x"]
    assert [attempt.status for attempt in got.attempts] == ["connection", "ok"]
    assert (got.attempts[0].error or "").startswith("not all of the picture came: ")
    assert got.stored == whole


class Answers:
    """One answer after the other; the last again and again."""

    def __init__(self, *answers: Behaviour) -> None:
        self._answers = list(answers)

    async def __call__(self, writer: asyncio.StreamWriter) -> None:
        await (self._answers.pop(0) if len(self._answers) > 1 else self._answers[0])(writer)


def test_half_a_picture_is_what_the_host_has_where_it_says_how_much_that_is(web: Web) -> None:
    half, damaged = JPEG[: len(JPEG) // 2], PNG[:100] + bytes(60) + PNG[160:]
    web.routes |= {
        "a.test/said": reply(half),
        "a.test/chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n"
        % (len(half), half),
        "a.test/damaged": closing(b"HTTP/1.1 200 OK\r\n\r\n" + damaged),  # and goes to its end
    }
    names = ("said", "chunks", "damaged")
    rows = table(*(image_row(name, f"http://a.test/{name}") for name in names))
    got = run(rows, options(web, robots=False, retries=1))
    assert [[attempt.status for attempt in got[name].attempts] for name in names] == [["undecodable"]] * 3


@pytest.mark.parametrize("said", [{}, {"Content_Range": "bytes 0-1499"}, {"Content_Range": "0-1499/*"}])
def test_a_part_of_a_picture_is_asked_for_again_whatever_its_range_says(web: Web, said: dict[str, str]) -> None:
    web.routes["a.test/x"] = [reply(JPEG[:1500], 206, **said), reply(JPEG)]
    got = run(table(image_row("x", "http://a.test/x")), options(web, robots=False, retries=1))["x"]
    assert [attempt.status for attempt in got.attempts] == ["server_error", "ok"]


def test_certificates_are_verified(secure: tuple[Web, Path]) -> None:
    server, pem = secure
    server.routes["secure.test/x"] = server.routes["other.test/x"] = reply(JPEG)
    rows = table(image_row("right", "https://secure.test/x"), image_row("wrong", "https://other.test/x"))
    routes = {"*:443": f"127.0.0.1:{server.port}"}
    trusting = run(rows, options(resolve=routes, ca_file=str(pem)))
    assert {name: fetched.status for name, fetched in trusting.items()} == {"right": "ok", "wrong": "tls"}
    strict = run(rows, options(resolve=routes))
    assert {fetched.status for fetched in strict.values()} == {"tls"}


def test_archives_come_first_and_the_web_when_they_lack_it(
    web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as zipped:
        zipped.writestr("in/a.jpg", photo(seed=1))
        zipped.writestr("in/page.html", b"<html>")
    with tarfile.open(tmp_path / "b.tar", "w") as tar:
        info = tarfile.TarInfo("b.jpg")
        info.size = len(photo(seed=2))
        tar.addfile(info, io.BytesIO(photo(seed=2)))
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "c.jpg").write_bytes(photo(seed=3))
    web.routes["a.test/x"] = reply(JPEG)
    rows = table(
        image_row("zip", f"{tmp_path}/a.zip!/in/a.jpg", "http://a.test/never"),
        image_row("tar", f"{tmp_path}/b.tar!/b.jpg", "http://a.test/never"),
        image_row("folder", "folder!/c.jpg", "http://a.test/never"),
        image_row("page", f"{tmp_path}/a.zip!/in/page.html"),
        image_row("lacks", f"{tmp_path}/a.zip!/in/z.jpg", "http://a.test/x"),
        image_row("escapes", "folder!/../a.zip"),
    )
    monkeypatch.chdir(tmp_path)
    got = run(rows, options(web))
    assert {name: fetched.status for name, fetched in got.items()} == {
        "zip": "ok",
        "tar": "ok",
        "folder": "ok",
        "page": "not_an_image",
        "lacks": "ok",
        "escapes": "blocked_address",
    }
    assert [attempt.status for attempt in got["lacks"].attempts] == ["dead", "ok"]
    assert [request.path for request in web.asked()] == ["/x"]


def test_an_archive_that_is_gone_ends_the_run(web: Web, tmp_path: Path) -> None:
    rows = table(*(image_row(str(number), f"{tmp_path}/gone.zip!/{number}.jpg") for number in range(20)))
    with pytest.raises(InputError, match="no such file"):
        run(rows, options(web))


def test_the_first_location_that_has_it_is_taken(web: Web) -> None:
    web.routes |= {"b.test/x": reply(b"<html>" + bytes(100)), "c.test/x": reply(JPEG), "d.test/x": reply(JPEG)}
    rows = table(image_row("x", *(f"http://{host}.test/x" for host in "abcd")))
    got = run(rows, options(web))["x"]
    assert (got.status, got.location) == ("ok", "http://c.test/x")
    assert got.tried == ("http://a.test/x", "http://b.test/x", "http://c.test/x")
    assert not web.asked("d.test")


def test_the_status_of_several_failures_and_of_earlier_ones(web: Web) -> None:
    web.routes |= {"a.test/x": reply(status=403), "b.test/x": reply(status=500)}
    rows = table(image_row("x", "http://a.test/x", "http://b.test/x", "http://c.test/x"))
    assert run(rows, options(web))["x"].status == "server_error"
    previous = pa.Table.from_pylist(
        [{"image_id": keys.image_id("x"), "status": "opted_out", "generation": 0, "tried": ["http://z.test/x"]}],
        schema=LEDGER,
    )
    got = run(rows, options(web), previous=previous)["x"]
    assert got.status == "opted_out"
    assert "http://z.test/x" in got.tried


@pytest.mark.parametrize(("store", "has_region"), [("original", False), ("resized", True)])
def test_originals_are_kept_where_asked_for_and_where_regions_are(web: Web, *, store: str, has_region: bool) -> None:
    web.routes["a.test/x"] = reply(JPEG)
    got = run(table(image_row("x", "http://a.test/x", has_region=has_region)), options(web, store=store))["x"]
    assert (got.stored, got.stored_form, got.stored_format) == (JPEG, "original", "jpeg")


def test_stopping_early_leaves_the_lane_fit_for_more(web: Web) -> None:
    web.routes |= {f"a.test/{number}": reply(photo(seed=number)) for number in range(30)}
    rows = table(*(image_row(str(number), f"http://a.test/{number}") for number in range(30)))
    with Lane(options(web, concurrency=4), contact="", patience=HASTE) as lane:
        some = lane.fetch(rows)
        next(some)
        some.close()
        assert len(list(lane.fetch(rows))) == 30
        assert lane.requests()["a.test"] >= 31


def test_more_lanes_than_connections_cannot_be() -> None:
    with pytest.raises(ConfigError, match="more lanes than connections") as raised:
        Lane(options(per_host=PerHost(connections=1)), contact="", lanes=2)
    assert raised.value.remedy
    with pytest.raises(ConfigError, match="more lanes than requests a second"):
        Lane(options(per_host=PerHost(requests_per_s=1.5, connections=2)), contact="", lanes=2)


@pytest.mark.parametrize("status", [201, 206])
def test_a_robots_txt_of_any_success_is_heeded(web: Web, status: int) -> None:
    """Its host's pictures were all `server_error`: such a file counted as one that cannot be had."""
    web.routes["a.test/robots.txt"] = reply(b"User-agent: *\nDisallow: /no", status, Content_Type="text/plain")
    web.routes |= {f"a.test/{name}": reply(JPEG) for name in ("no", "yes")}
    rows = table(*(image_row(name, f"http://a.test/{name}") for name in ("no", "yes")))
    got = run(rows, options(web))
    assert {name: fetched.status for name, fetched in got.items()} == {"no": "opted_out", "yes": "ok"}
