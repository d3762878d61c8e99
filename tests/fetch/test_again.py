"""What an operator meets after a fetch that went wrong, through the pipeline: what the next run asks for, and what stands."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from pipelines import build, curate, fetch, images
from pmd import config, root, verify
from pmd.config import Config
from pmd.fetch import robots, state
from pmd.schema.statuses import TRANSIENT
from tests.fetch.conftest import Web, photo, reply


def known(folder: Path, web: Web, urls: list[str], **options: Any) -> Config:
    """Return a configuration whose ROOT knows images under these URLs, in two fetch shards; all that is asked goes to `web`."""
    (folder / "cc12m.tsv").write_text("".join(f"{url}\ta photograph, number {n}\n" for n, url in enumerate(urls)))
    chosen = configured(folder, web, **options)
    root.create(chosen.root, 1)
    curate.build(chosen, "conceptual_12m")
    images.build(chosen)
    return chosen


def configured(folder: Path, web: Web, *, allow: str = '"127.0.0.1/32"', lanes: int = 1, port: int = 0) -> Config:
    return config.parse(
        f'root = "{folder}/root"\nprofile = "paper"\ncontact = "mailto:us@example.org"\n'
        f'[sources.conceptual_12m]\nannotations = ["{folder}/cc12m.tsv"]\n'
        f"[fetch]\nretries = 0\nlanes = {lanes}\ntimeout_s = 5.0\nallow_addresses = [{allow}]\n"
        f'resolve = {{ "*:80" = "127.0.0.1:{port or web.port}" }}\n'
        "per_host = { requests_per_s = 5000.0, connections = 8 }\n"
    )


def statuses(chosen: Config) -> Counter[str]:
    return Counter(
        status
        for shard in state.shards(chosen.root)
        for status in state.read_ledger(chosen.root, shard)["status"].to_pylist()
    )


async def drop(writer: asyncio.StreamWriter) -> None:
    writer.close()


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
    urls = [f"http://{name}.test/{number}.jpg" for number in range(4) for name in ("broken", "sound")]
    web.routes |= {url.removeprefix("http://"): reply(photo(seed=n)) for n, url in enumerate(urls)}
    web.routes[f"broken.test{path}"] = answer
    chosen = known(tmp_path, web, urls)
    fetch.build(chosen)
    assert statuses(chosen) == {"ok": 4, status: 4}
    asked = [(request.host, request.path) for request in web.asked(robots=True)]
    assert asked.count(("broken.test", path)) == 1  # within the run once, for both shards
    kind: robots.Kind = "robots" if path == "/robots.txt" else "tdmrep"
    before = robots.read_policies(chosen.root, kind)
    web.routes[f"broken.test{path}"] = reply(status=404)
    fetch.build(chosen, retry=TRANSIENT)
    assert statuses(chosen) == {"ok": 8}
    again = [(request.host, request.path) for request in web.asked(robots=True)][len(asked) :]
    assert again.count(("broken.test", path)) == 1
    assert not [host for host, _ in again if host == "sound.test"]
    after = robots.read_policies(chosen.root, kind)
    assert after["http://sound.test"] == before["http://sound.test"]
    assert (before["http://broken.test"].status, after["http://broken.test"].status) == (status, None)
    assert after["http://broken.test"].when > before["http://broken.test"].when


def test_a_refused_address_that_is_allowed_since_is_asked_by_a_plain_fetch(tmp_path: Path, web: Web) -> None:
    """Images refused for another reason, or at another address, are left alone."""
    gone, elsewhere = "http://a.test/gone.jpg", "http://a.test/elsewhere.jpg"
    literal = f"http://127.0.0.1:{web.port}/literal.jpg"
    urls = ["http://a.test/0.jpg", "http://a.test/1.jpg", gone, elsewhere, literal, "http://10.0.0.1/x.jpg"]
    web.routes |= {"a.test/0.jpg": reply(photo(seed=1)), "a.test/1.jpg": reply(photo(seed=2))}
    web.routes[f"127.0.0.1:{web.port}/literal.jpg"] = reply(photo(seed=3))
    web.routes["a.test/elsewhere.jpg"] = reply(status=302, Location="ftp://a.test/x")
    known(tmp_path, web, urls, allow="")
    refused = configured(tmp_path, web, allow="")
    fetch.build(refused)
    assert statuses(refused) == {"blocked_address": 6}
    assert not web.log
    assert fetch.pending(refused) == {}
    assert fetch.pending(configured(tmp_path, web, allow='"10.1.0.0/16", "::1/128"')) == {}
    allowed = configured(tmp_path, web)
    assert sum(fetch.pending(allowed).values()) == 5
    build.build(allowed, only="fetch")
    assert statuses(allowed) == {"ok": 3, "dead": 1, "blocked_address": 2}
    asked = len(web.log)
    assert fetch.pending(allowed) == {}
    build.build(allowed, only="fetch")
    assert len(web.log) == asked
    assert verify.verify(allowed.root)["problems"] == []
