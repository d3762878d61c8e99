"""A run on a broken network stops and says so; a list of which much is gone does not."""

from __future__ import annotations

import collections
import random
from pathlib import Path

import pyarrow as pa
import pytest

from pmd.errors import NetworkError
from pmd.fetch import network
from pmd.fetch.generations import store
from pmd.fetch.lane.engine import Lane
from pmd.schema import keys
from pmd.schema.tables import LEDGER
from pmd.store import storage
from tests.fetch.conftest import HASTE, Web, image_row, options, photo, reply, table

IMAGES = 120


def rows(domains: int = 60) -> pa.Table:
    return table(*(image_row(str(n), f"http://h{n % domains}.test/{n}.jpg") for n in range(IMAGES)))


def unknown(host: str) -> list[str]:
    raise OSError(-3, "Temporary failure in name resolution")


def test_without_dns_a_run_stops_and_leaves_nothing(web: Web, tmp_path: Path) -> None:
    chosen = options(resolve={})
    with (
        Lane(chosen, contact="", patience=HASTE, lookup=unknown) as lane,
        pytest.raises(NetworkError, match="DNS does not work") as raised,
    ):
        store.run_shard(store.Order(str(tmp_path), 0, rows(), chosen), lane)
    assert raised.value.exit_code == 6
    assert "20 × names that do not resolve" in (raised.value.found or "")
    assert "Temporary failure" in (raised.value.found or "")
    assert "--retry dns" in (raised.value.remedy or "")
    assert storage.list_files(str(tmp_path)) == []


def test_without_a_connection_a_run_stops(web: Web) -> None:
    chosen = options(resolve={"*:80": "127.0.0.1:9"})
    with (
        Lane(chosen, contact="", patience=HASTE) as lane,
        pytest.raises(NetworkError, match="network does not work") as raised,
    ):
        list(lane.fetch(rows()))
    assert "connections that fail" in (raised.value.found or "")


def test_where_tls_comes_about_with_nobody_a_run_stops(secure: tuple[Web, Path], tmp_path: Path) -> None:
    """As where the clock is wrong, or an authority is missing. A host's own certificate that is wrong is its own."""
    server, _ = secure
    chosen = options(robots=False, resolve={"*:443": f"127.0.0.1:{server.port}"})
    many = table(*(image_row(str(n), f"https://h{n % 60}.test/{n}.jpg") for n in range(IMAGES)))
    with (
        Lane(chosen, contact="", patience=HASTE) as lane,
        pytest.raises(NetworkError, match="TLS does not work") as raised,
    ):
        store.run_shard(store.Order(str(tmp_path / "root"), 0, many, chosen), lane)
    assert "× TLS that does not come about" in (raised.value.found or "")
    assert "ca_file" in (raised.value.remedy or "")
    assert storage.list_files(str(tmp_path / "root")) == []
    few = table(*(image_row(str(n), f"https://h{n % 5}.test/{n}.jpg") for n in range(IMAGES)))
    with Lane(chosen, contact="", patience=HASTE) as lane:
        assert {fetched.status for fetched in lane.fetch(few)} == {"tls"}


def test_a_lane_that_is_told_that_it_is_the_hosts_goes_on(web: Web) -> None:
    with Lane(options(resolve={}), contact="", patience=HASTE, lookup=unknown, stops=False) as lane:
        assert [fetched.status for fetched in lane.fetch(rows())] == ["dns"] * IMAGES
        assert not lane.answered


def test_one_host_that_is_down_stops_nothing_nor_do_images_that_were_unreached_before(web: Web) -> None:
    with Lane(options(resolve={}), contact="", patience=HASTE, lookup=unknown) as lane:
        assert {fetched.status for fetched in lane.fetch(rows(domains=5))} == {"dns"}
    previous = pa.Table.from_pylist(
        [
            {
                "image_id": keys.image_id(str(n)),
                "status": "dns",
                "generation": 0,
                "tried": [f"http://h{n % 60}.test/{n}.jpg"],
            }
            for n in range(IMAGES)
        ],
        schema=LEDGER,
    )
    with Lane(options(resolve={}), contact="", patience=HASTE, lookup=unknown) as lane:
        assert len(list(lane.fetch(rows(), previous=previous))) == IMAGES


def test_a_list_of_which_much_is_gone_is_fetched_to_its_end(web: Web) -> None:
    """Of 60 domains 45 have no name any more."""
    web.routes |= {f"h{n % 60}.test/{n}.jpg": reply(photo(seed=n % 90)) for n in range(IMAGES)}
    chosen = options(resolve={f"h{n}.test:80": f"127.0.0.1:{web.port}" for n in range(0, 60, 4)})
    with Lane(chosen, contact="", patience=HASTE, lookup=unknown) as lane:
        # A reroute leads to an address that needs no name.
        statuses = [fetched.status for fetched in lane.fetch(rows())]
    assert statuses.count("ok") == IMAGES // 4
    assert statuses.count("dns") == IMAGES * 3 // 4


def test_a_network_that_breaks_later_is_noticed_and_bad_luck_is_not() -> None:
    chance = random.Random(1)
    seen = network.Network()
    for number in range(20_000):
        if chance.random() < 0.4:
            seen.reached(f"h{number}")
        else:
            seen.unreached(f"h{number}", "dns", "gone", [])
    for number in range(network.LAST_HOSTS - 2):
        seen.unreached(f"later{number}", "connection", "refused", ["one", "two"])
    seen.unreached("one", "connection", "refused", ["two", "three"])
    with pytest.raises(NetworkError, match="network does not work"):
        seen.unreached("two", "connection", "refused", ["one", "two", "three"])


def test_where_every_name_leads_inside_a_run_stops_and_leaves_nothing(tmp_path: Path) -> None:
    """Clash and others answer for DNS with addresses of their own: all images were settled as `blocked_address`."""
    with (
        Lane(
            options(resolve={}, allow_addresses=()), contact="", patience=HASTE, lookup=lambda _: ["198.18.0.7"]
        ) as lane,
        pytest.raises(NetworkError, match="DNS does not work") as raised,
    ):
        store.run_shard(store.Order(str(tmp_path), 0, rows(), options()), lane)
    assert "20 × names that lead to private addresses" in (raised.value.found or "")
    assert "198.18.0.7 is not a public address" in (raised.value.found or "")
    assert "fetch.allow_addresses" in (raised.value.remedy or "")
    assert storage.list_files(str(tmp_path)) == []


def test_where_one_host_leads_says_nothing_of_the_network(web: Web) -> None:
    """One with links to hosts that are gone, or that lead inside, ended a fetch of sound hosts as a network that is broken."""
    names = [f"{kind}{number}.test" for kind in ("gone", "inside") for number in range(60)]
    web.routes |= {f"links.test:{web.port}/{name}": reply(status=302, Location=f"http://{name}/x") for name in names}
    lookup = {"links.test": ["127.0.0.1"], **{name: ["10.0.0.1"] for name in names if name.startswith("inside")}}
    rows = table(*(image_row(name, f"http://links.test:{web.port}/{name}") for name in names))
    chosen = options(resolve={}, allow_addresses=("127.0.0.0/8",), robots=False)
    with Lane(chosen, contact="", patience=HASTE, lookup=lambda host: lookup.get(host, [])) as lane:
        statuses = collections.Counter(fetched.status for fetched in lane.fetch(rows))
    assert statuses == {"dns": 60, "blocked_address": 60}


def test_private_addresses_in_urls_say_nothing_of_the_network() -> None:
    inside = table(*(image_row(str(n), f"http://10.0.0.{n}/x.jpg") for n in range(60)))
    with Lane(options(resolve={}, allow_addresses=()), contact="", patience=HASTE, lookup=unknown) as lane:
        assert {fetched.status for fetched in lane.fetch(inside)} == {"blocked_address"}
