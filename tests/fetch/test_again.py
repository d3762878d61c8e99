"""What an operator meets after a fetch that went wrong, through the pipeline: what the next run asks for, and what stands."""

from __future__ import annotations

import asyncio
import itertools
import json
import socket
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from pipelines import build, curate, fetch, images
from pmd import cli, config
from pmd.config import Config
from pmd.errors import NetworkError
from pmd.fetch import needs as fetch_needs
from pmd.fetch.ledger import state
from pmd.fetch.politeness import policies
from pmd.inspection import verify
from pmd.schema import keys
from pmd.schema.statuses import TRANSIENT
from pmd.store import commits, root, storage
from pmd.text import url_identity
from tests.fetch.conftest import Web, photo, reply


@pytest.fixture
def pmd(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """A function that runs the command line: exit code, standard output, standard error."""

    def run(*arguments: str | Path) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["pmd", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main()
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    return run


def known(folder: Path, web: Web, addresses: list[str], **options: Any) -> Config:
    """Return a configuration whose ROOT knows images under these URLs, in two fetch shards; all that is asked goes to `web`."""
    (folder / "cc12m.tsv").write_text("".join(f"{url}\ta photograph, number {n}\n" for n, url in enumerate(addresses)))
    chosen = configured(folder, web, **options)
    root.create(chosen.root, 1)
    with root.writer(chosen.root, "test"):
        curate.build(chosen, ["conceptual_12m"])
    with root.writer(chosen.root, "test"):
        images.build(chosen)
    return chosen


def configured(
    folder: Path, web: Web, *, allow: str = '"127.0.0.1/32"', lanes: int = 1, port: int = 0, timeout_s: float = 5.0
) -> Config:
    """Return a configuration, which is also written to `pmd.toml`."""
    text = (
        f'root = "{folder}/root"\nprofile = "paper"\ncontact = "mailto:us@example.org"\n'
        f'[sources.conceptual_12m]\nannotations = ["{folder}/cc12m.tsv"]\n'
        f"[fetch]\nretries = 0\nlanes = {lanes}\ntimeout_s = {timeout_s}\nallow_addresses = [{allow}]\n"
        f'resolve = {{ "*:80" = "127.0.0.1:{port or web.port}" }}\n'
        "per_host = { requests_per_s = 5000.0, connections = 8 }\n"
    )
    (folder / "pmd.toml").write_text(text)
    return config.parse(text)


def statuses(chosen: Config) -> Counter[str]:
    return Counter(
        status
        for shard in state.shards(chosen.root)
        for status in state.read_ledger(chosen.root, shard)["status"].to_pylist()
    )


async def drop(writer: asyncio.StreamWriter) -> None:
    writer.close()


def waited(chosen: Config) -> dict[str, list[float]]:
    """Return how long each try of a host took, by what the attempts have."""
    found: dict[str, list[float]] = {}
    for path in (Path(chosen.root) / "fetch" / "attempts").rglob("*.parquet"):
        for row in pq.read_table(path).to_pylist():
            found.setdefault(row["location"].split("/")[2], []).append(row["seconds"])
    return found


#: More than any answer takes, however busy the machine is.
PATIENT_S = 300.0
LATE_S = 0.3


async def late(writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(LATE_S)
    writer.write(reply(photo(seed=2)))
    await writer.drain()


@pytest.mark.parametrize(
    ("path", "answer", "status"),
    [
        ("/robots.txt", reply(status=500), "server_error"),
        ("/robots.txt", drop, "connection"),
        ("/.well-known/tdmrep.json", reply(status=429, Retry_After="0"), "rate_limited"),
    ],
)
def test_a_host_whose_rules_could_not_be_had_is_asked_again_by_the_next_run(
    tmp_path: Path, web: Web, path: str, answer: bytes, status: str
) -> None:
    """Within minutes: the operator has just mended what was broken. What hosts did say is not asked for again."""
    sites = [f"http://{name}.test/{number}.jpg" for number in range(4) for name in ("broken", "sound")]
    web.routes |= {url.removeprefix("http://"): reply(photo(seed=n)) for n, url in enumerate(sites)}
    web.routes[f"broken.test{path}"] = answer
    chosen = known(tmp_path, web, sites)
    with root.writer(chosen.root, "test"):
        fetch.build(chosen)
    assert statuses(chosen) == {"ok": 4, status: 4}
    asked = [(request.host, request.path) for request in web.asked(robots=True)]
    assert asked.count(("broken.test", path)) == 1  # within the run once, for both shards
    kind: policies.Kind = "robots" if path == "/robots.txt" else "tdmrep"
    before = dict(policies.read(chosen.root, kind))
    web.routes[f"broken.test{path}"] = reply(status=404)
    with root.writer(chosen.root, "test"):
        fetch.build(chosen, retry=TRANSIENT)
    assert statuses(chosen) == {"ok": 8}
    again = [(request.host, request.path) for request in web.asked(robots=True)][len(asked) :]
    assert again.count(("broken.test", path)) == 1
    assert not [host for host, _ in again if host == "sound.test"]
    after = dict(policies.read(chosen.root, kind))
    assert after["http://sound.test"] == before["http://sound.test"]
    assert (before["http://broken.test"].status, after["http://broken.test"].status) == (status, None)
    assert after["http://broken.test"].when > before["http://broken.test"].when


def test_a_refused_address_that_is_allowed_since_is_asked_by_a_plain_fetch(tmp_path: Path, web: Web) -> None:
    """Images refused for another reason, or at another address, are left alone."""
    gone, elsewhere = "http://a.test/gone.jpg", "http://a.test/elsewhere.jpg"
    literal = f"http://127.0.0.1:{web.port}/literal.jpg"
    places = ["http://a.test/0.jpg", "http://a.test/1.jpg", gone, elsewhere, literal, "http://10.0.0.1/x.jpg"]
    web.routes |= {"a.test/0.jpg": reply(photo(seed=1)), "a.test/1.jpg": reply(photo(seed=2))}
    web.routes[f"127.0.0.1:{web.port}/literal.jpg"] = reply(photo(seed=3))
    web.routes["a.test/elsewhere.jpg"] = reply(status=302, Location="ftp://a.test/x")
    known(tmp_path, web, places, allow="")
    refused = configured(tmp_path, web, allow="")
    with root.writer(refused.root, "test"):
        fetch.build(refused)
    assert statuses(refused) == {"blocked_address": 6}
    assert not web.log
    assert fetch_needs.pending_images(refused) == {}
    assert fetch_needs.pending_images(configured(tmp_path, web, allow='"10.1.0.0/16", "::1/128"')) == {}
    allowed = configured(tmp_path, web)
    assert sum(fetch_needs.pending_images(allowed).values()) == 5
    with root.writer(allowed.root, "test"):
        build.build(allowed, only="fetch")
    assert statuses(allowed) == {"ok": 3, "dead": 1, "blocked_address": 2}
    asked = len(web.log)
    assert fetch_needs.pending_images(allowed) == {}
    with root.writer(allowed.root, "test"):
        build.build(allowed, only="fetch")
    assert len(web.log) == asked
    assert verify.verify(allowed.root)["problems"] == []


def dead_port() -> int:
    """Return a port on which nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


HOSTS = 5  # too few for `pmd.fetch.network`, which stops a run


def unanswered(folder: Path, web: Web, *, lanes: int = 1) -> tuple[Config, Config, list[str]]:
    """Return a ROOT's configuration with a dead network, the same with a sound one, and the images' URLs."""
    places = [f"http://h{number % HOSTS}.test/{number}.jpg" for number in range(20)]
    web.routes |= {url.removeprefix("http://"): reply(photo(seed=n)) for n, url in enumerate(places)}
    sound = known(folder, web, places)
    return configured(folder, web, lanes=lanes, port=dead_port()), sound, places


@pytest.mark.parametrize(("lanes", "runs"), [(1, 2), (2, 1)])
def test_a_dead_network_settles_nothing_and_the_next_run_fetches(
    tmp_path: Path, web: Web, lanes: int, runs: int
) -> None:
    dead, sound, places = unanswered(tmp_path, web, lanes=lanes)
    for _ in range(runs):
        with pytest.raises(NetworkError, match="no image could be reached") as raised, root.writer(dead.root, "test"):
            fetch.build(dead)
        assert raised.value.exit_code == 6
        assert raised.value.found == f"nothing was settled: {len(places)} images stay open ({len(places)} connection)"
        assert "--settle-unreached" in (raised.value.remedy or "")
        assert statuses(dead) == {}
        assert sum(fetch_needs.pending_images(dead).values()) == len(places)
        found = verify.verify(dead.root)
        assert (found["problems"], found["notes"]) == ([], [])
        books = commits.require(root.fetch_rejected_folder(dead.root), "").sources
        assert books == {"conceptual_12m": commits.Books(0, {"not_fetched": len(places)})}
    with root.writer(sound.root, "test"):
        build.build(sound, only="fetch")
    assert statuses(sound) == {"ok": len(places)}
    assert len(web.asked()) == len(places)
    assert verify.verify(sound.root)["problems"] == []


def in_shard(shard: int, host: str, count: int) -> list[str]:
    """Return URLs of a host whose images are all in one of two fetch shards."""
    found = (f"http://{host}/{number}.jpg" for number in itertools.count())
    mine = (url for url in found if keys.partition_of(keys.image_id(str(url_identity.of_one(url))), 1) == shard)
    return list(itertools.islice(mine, count))


@pytest.mark.parametrize("lanes", [1, 2])
def test_losses_are_settled_where_a_host_answered_another_shard_or_lane(tmp_path: Path, web: Web, lanes: int) -> None:
    """Also those that ended before it did, and without being asked for twice."""
    lost, gone = in_shard(0, "lost.test", 4), in_shard(1, "here.test", 3)
    web.routes |= {"lost.test/robots.txt": drop}
    chosen = known(tmp_path, web, [*lost, *gone], lanes=lanes)
    with root.writer(chosen.root, "test"):
        fetch.build(chosen)
    assert statuses(chosen) == {"connection": 4, "dead": 3}
    assert len(web.asked("lost.test", robots=True)) == 1
    assert fetch_needs.pending_images(chosen) == {}
    assert verify.verify(chosen.root)["problems"] == []
    chosen = configured(tmp_path, web)
    with root.writer(chosen.root, "test"):  # no host answers this one; what it tells of them is known already
        fetch.build(chosen, retry=["connection"])
    assert statuses(chosen) == {"connection": 4, "dead": 3}
    assert fetch_needs.pending_images(chosen) == {}


def test_a_run_that_is_stopped_leaves_nothing_of_what_waited(tmp_path: Path, web: Web) -> None:
    few = in_shard(0, "few.test", 3)
    many = [url for number in range(25) for url in in_shard(1, f"many{number}.test", 1)]
    known(tmp_path, web, [*few, *many])
    dead = configured(tmp_path, web, port=dead_port())
    with pytest.raises(NetworkError, match="network does not work"), root.writer(dead.root, "test"):
        fetch.build(dead)
    assert storage.list_files(f"{dead.root}/fetch") == []
    assert storage.list_files(f"{dead.root}/_work") == []
    with root.writer(dead.root, "test"):
        fetch.build(dead, settle_unreached=True)
    assert statuses(dead) == {"connection": 28}


def test_a_run_that_is_killed_before_it_is_known_leaves_images_open(
    tmp_path: Path, web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        """Stands for kill -9."""

    def kill(*_: object, **__: object) -> None:
        raise Killed

    lost, here = in_shard(0, "lost.test", 4), in_shard(1, "here.test", 3)
    web.routes |= {"lost.test/robots.txt": drop}
    chosen = known(tmp_path, web, [*lost, *here])
    with monkeypatch.context() as patch:
        patch.setattr("pmd.fetch.generations.store.end_waiting", kill)
        with pytest.raises(Killed), root.writer(chosen.root, "test"):
            fetch.build(chosen)
    assert statuses(chosen) == {"dead": 3}
    assert sum(fetch_needs.pending_images(chosen).values()) == 4
    web.routes |= {"lost.test/robots.txt": reply(status=404)}
    web.routes |= {url.removeprefix("http://"): reply(photo(seed=n)) for n, url in enumerate(lost)}
    with root.writer(chosen.root, "test"):
        fetch.build(chosen)
    assert statuses(chosen) == {"dead": 3, "ok": 4}
    found = verify.verify(chosen.root)
    assert (found["problems"], found["notes"]) == ([], [])


def test_losses_are_settled_if_asked_for(tmp_path: Path, web: Web) -> None:
    dead, sound, places = unanswered(tmp_path, web)
    with root.writer(dead.root, "test"):
        fetch.build(dead, settle_unreached=True)
    assert statuses(dead) == {"connection": len(places)}
    assert fetch_needs.pending_images(sound) == {}
    assert verify.verify(dead.root)["problems"] == []
    with root.writer(sound.root, "test"):
        fetch.build(sound, retry=TRANSIENT)
    assert statuses(sound) == {"ok": len(places)}


def test_the_command_tells_its_run_as_json(tmp_path: Path, web: Web, pmd: Callable[..., tuple[int, str, str]]) -> None:
    """Of what this run did, and of nothing that stood before; a run that fails tells its mistake in its place."""
    places = [f"http://h{number % 3}.test/{number}.jpg" for number in range(12)]
    pictures = {url.removeprefix("http://"): photo(seed=n) for n, url in enumerate(places[:8])}
    web.routes |= {name: reply(content) for name, content in pictures.items()}
    web.routes["h2.test/2.jpg"] = late
    known(tmp_path, web, [*places, "http://h0.test/0.jpg"])
    dead = configured(tmp_path, web, port=dead_port(), timeout_s=PATIENT_S)
    code, out, err = pmd("fetch", tmp_path / "pmd.toml", "--json")
    assert code == 6
    assert json.loads(out)["error"]["found"] == "nothing was settled: 12 images stay open (12 connection)"
    assert "--settle-unreached" in err
    assert statuses(dead) == {}
    chosen = configured(tmp_path, web, timeout_s=PATIENT_S)
    code, out, err = pmd("fetch", tmp_path / "pmd.toml", "--json")
    assert code == 0
    told = json.loads(out)
    expected = {"dead": 4, "ok": 8}
    assert (told["images"], told["statuses"], told["generations"]) == (12, expected, 2)
    assert told["sources"] == {"conceptual_12m": expected}
    assert told["bytes"] == sum(map(len, pictures.values()))
    assert told["images_per_s"] == pytest.approx(12 / told["seconds"], rel=0.01, abs=0.001)  # both are rounded
    assert told["mb_per_s"] == pytest.approx(told["bytes"] / 1e6 / told["seconds"], rel=0.02, abs=0.001)
    waits = waited(chosen)
    assert sum(waits["h2.test"]) >= LATE_S  # however slow the machine was beside that
    assert told["slowest_hosts"] == [
        {
            "host": host,
            "tries": 4,
            "seconds": pytest.approx(sum(waits[host]), abs=0.001),
            "seconds_per_try": pytest.approx(sum(waits[host]) / 4, abs=0.001),
        }
        for host in sorted(waits, key=lambda host: -sum(waits[host]))
    ]
    assert {host: len(waits[host]) for host in waits} == {"h0.test": 4, "h1.test": 4, "h2.test": 4}
    assert told["pairs"] == {"conceptual_12m": {"in": 13, "kept": 9, "rejected": {"dead": 4}}}
    assert "9 of 13 pairs have their image" in err
    code, out, _ = pmd("fetch", tmp_path / "pmd.toml", "--retry", "dead", "--json")
    assert (code, json.loads(out)["statuses"], json.loads(out)["pairs"]) == (0, {"dead": 4}, told["pairs"])
    code, out, err = pmd("fetch", tmp_path / "pmd.toml", "--json")
    again = json.loads(out)
    assert err == "= fetch all: committed and unchanged\n"
    assert "= fetch all: there was nothing to ask for\n" in pmd("fetch", tmp_path / "pmd.toml", "--for", "1h")[2]
    assert (code, again["images"], again["images_per_s"], again["slowest_hosts"]) == (0, 0, 0.0, [])
    assert again["pairs"] == told["pairs"]


def test_a_build_tells_the_run_of_its_fetch(tmp_path: Path, web: Web, pmd: Callable[..., tuple[int, str, str]]) -> None:
    web.routes["a.test/0.jpg"] = reply(photo(seed=1))
    known(tmp_path, web, ["http://a.test/0.jpg", "http://a.test/1.jpg"])
    found = json.loads(pmd("build", tmp_path / "pmd.toml", "--json")[1])
    assert found["fetch_run"]["statuses"] == {"dead": 1, "ok": 1}
    assert found["fetch"]["ledger"] == {"dead": 1, "ok": 1}
    again = json.loads(pmd("build", tmp_path / "pmd.toml", "--json")[1])
    assert (again["fetch_run"], again["fetch"]) == (None, found["fetch"])
